//! Who is told when the level changes: on the governor's thread, with no lock held, once for each change.

use super::level::{Level, Reason};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::{Owner, barrier, callback, log, panics};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// One change of the level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub level: Level,
    pub before: Level,
    pub reason: Reason,
    pub held: u64,
    pub limit: u64,
}

pub trait Listener: Send + Sync {
    fn changed(&self, change: &Change);
}

struct Watch {
    id: u64,
    listener: Box<dyn Listener>,
}

/// Lowest number first.
static WATCHES: Mutex<Vec<Arc<Watch>>> = Mutex::new(Vec::new());
static IDS: AtomicU64 = AtomicU64::new(1);
/// Whose callback runs now; 0: nobody's.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// Changes that nobody was told of yet.
static CHANGES: Mutex<Changes> = Mutex::new(Changes { list: [NO_CHANGE; MOST_CHANGES], len: 0 });

/// More come together only when a callback holds up the next; then the last two become one.
const MOST_CHANGES: usize = 32;
const NO_CHANGE: Change = Change { level: Level::Low, before: Level::Low, reason: Reason::None, held: 0, limit: 0 };

struct Changes {
    list: [Change; MOST_CHANGES],
    len: usize,
}

/// What a callback of a watch runs as.
fn owner(id: u64) -> Owner {
    const MARK: u64 = 1 << 62;
    Owner(MARK | id)
}

/// From now on the listener is told of each change.
pub fn add(listener: Box<dyn Listener>) -> Result<u64, OutOfMemory> {
    let id = IDS.fetch_add(1, Relaxed);
    let watch = alloc::try_arc(Watch { id, listener })?;
    let mut watches = WATCHES.lock();
    alloc::try_reserve_one(&mut watches)?;
    watches.push(watch);
    Ok(id)
}

/// When this returns, the listener is told no more; inside its own callback, after that. `false`: there is no such watch.
pub fn remove(id: u64) -> bool {
    let mut watches = WATCHES.lock();
    let Some(place) = watches.iter().position(|watch| watch.id == id) else { return false };
    let removed = watches.remove(place);
    drop(watches);
    if !callback::inside(owner(id)) {
        barrier::wait_while(|| RUNNING.load(SeqCst) == id);
    }
    drop(removed);
    true
}

/// Forgets every watch. Not to be called while the governor's thread is there.
pub fn clear() {
    WATCHES.lock().clear();
    CHANGES.lock().len = 0;
}

pub fn is_any() -> bool {
    !WATCHES.lock().is_empty()
}

/// Notes a change, to be told of later.
pub fn note(change: Change) {
    let mut changes = CHANGES.lock();
    let len = changes.len;
    if let Some(place) = changes.list.get_mut(len) {
        *place = change;
        changes.len += 1;
    } else if let Some(last) = changes.list.last_mut() {
        *last = Change { before: last.before, ..change };
    }
}

/// Tells every listener of the changes there were. On the governor's thread only.
pub fn tell() {
    while let Some(change) = next_change() {
        let mut after = 0;
        while let Some(watch) = next_watch(after) {
            after = watch.id;
            let told = panics::catch(|| callback::run(owner(watch.id), || watch.listener.changed(&change)));
            RUNNING.store(0, SeqCst);
            if let Err(caught) = told {
                log::warn(format_args!("governor: a callback panicked: {}", caught.message()));
            }
        }
    }
}

fn next_change() -> Option<Change> {
    let mut changes = CHANGES.lock();
    let first = *changes.list.first().filter(|_| changes.len > 0)?;
    let len = changes.len;
    changes.list.copy_within(1..len, 0);
    changes.len -= 1;
    Some(first)
}

/// The next in order. It runs from now on, so that who removes it waits.
fn next_watch(after: u64) -> Option<Arc<Watch>> {
    let watches = WATCHES.lock();
    let next = watches.iter().find(|watch| watch.id > after)?.clone();
    RUNNING.store(next.id, SeqCst);
    Some(next)
}
