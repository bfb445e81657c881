//! Callers who wait for resources: by class, and within a class first come first served. The one whose turn it is collects
//! what it wants before the next gets anything, so that two who want several each cannot hold up one another. Who was
//! handed something that was not fit any more goes on waiting in its old place.
//!
//! No wake-up is lost: a caller enters the queue (sequentially consistent count) and then looks at what is free; who
//! frees something puts it down (sequentially consistent) and then looks at the count. At least one of the two sees
//! the other, and whoever does matches waiters with what is free under the lock.
//!
//! One that does not insist may be overtaken: others that come later take what is free. It may insist later on.

use crate::base::alloc::{self, OutOfMemory};
use crate::base::park::Parker;
use crate::base::priority::Priority;
use crate::base::sync::{AtomicBool, AtomicU32, AtomicU64, Mutex, Ordering::*};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::Arc;

/// What a waiter was handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A slot with an idle resource.
    Idle(u32),
    /// An empty slot, to create a resource in.
    Vacant(u32),
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    pub count: u32,
    pub priority: Priority,
    pub tag: u64,
    /// The number of its thread.
    pub thread: u32,
    /// Where it runs; 0 where that does not matter.
    pub node: u32,
    /// Whether nobody that comes later may be served before it, from the begin on.
    pub insists: bool,
    /// When it began to wait; 0 where nobody asks.
    pub since_ns: u64,
}

/// Where what waiters get comes from. Called under the queue's lock.
pub trait Source {
    /// Whether it may have all that it wants now, for as long as until [`Source::dismiss`] or the end of its leases.
    fn admit(&self, want: &Want) -> bool;
    fn dismiss(&self, want: &Want);
    fn free(&self, want: &Want) -> Option<Grant>;
    /// Whether it has waited too long, now that something is free for it.
    fn refuses(&self, want: &Want) -> bool;
    /// One more was handed out, and so many still wait.
    fn note_turn(&self, waiting: usize);
    /// Not under the queue's lock.
    fn ring(&self, bell: Bell);
}

/// How a host is told to look again at one who waits in the host's own way: a function of the host, whose type only the pool's
/// factory knows, and its user data.
#[derive(Clone, Copy, Debug)]
pub struct Bell {
    pub ring: *const (),
    pub user_data: *mut c_void,
}

// SAFETY: the host's function and its pointer for it; the header says that any thread may call it.
unsafe impl Send for Bell {}
// SAFETY: the same.
unsafe impl Sync for Bell {}

/// Who sleeps until a waiter's turn comes.
#[derive(Clone, Copy)]
pub enum Sleeper {
    Thread(&'static Parker),
    Host(Bell),
}

/// How a wait in the queue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has all that it wants.
    Served,
    /// A resource was to be made for it, and could not be.
    Failed,
    /// It has waited too long while the queue was never short.
    Refused,
}

const WAITING: u32 = 0;
const SERVED: u32 = 1;
const FAILED: u32 = 2;
const REFUSED: u32 = 3;

pub struct Waiter {
    pub want: Want,
    /// Its place among those who came before and after it, which it keeps when it has to enter again.
    turn: u64,
    got: Mutex<Vec<Grant>>,
    /// Changes under the queue's lock.
    insists: AtomicBool,
    state: AtomicU32,
    sleeper: Sleeper,
    /// Whether it is in the chain of those whose bells somebody is about to ring.
    is_due: AtomicBool,
    next_due: Mutex<Option<Arc<Waiter>>>,
}

impl Waiter {
    pub fn verdict(&self) -> Option<Verdict> {
        match self.state.load(Acquire) {
            WAITING => None,
            FAILED => Some(Verdict::Failed),
            REFUSED => Some(Verdict::Refused),
            _ => Some(Verdict::Served),
        }
    }

    /// Whether it was handed a part of what it wants.
    pub fn has_some(&self) -> bool {
        !self.got.lock().is_empty()
    }

    fn end(&self, state: u32, source: &impl Source) {
        self.state.store(state, Release);
        match self.sleeper {
            Sleeper::Thread(parker) => parker.unpark(),
            Sleeper::Host(bell) => source.ring(bell),
        }
    }
}

#[derive(Default)]
pub struct Waiters {
    queue: Mutex<Queue>,
    turns: AtomicU64,
    count: AtomicU32,
    /// Those among them who may not be overtaken.
    insisting: AtomicU32,
    /// Resources that those in the queue still want.
    wanted: AtomicU32,
    peak: AtomicU32,
}

#[derive(Default)]
struct Queue {
    classes: [VecDeque<Arc<Waiter>>; Priority::COUNT],
    /// The class whose first waiter was admitted, and has a part of what it wants.
    collecting: Option<usize>,
    insisting: u32,
}

impl Queue {
    fn len(&self) -> usize {
        self.classes.iter().map(VecDeque::len).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Waiter>> {
        self.classes.iter().flat_map(VecDeque::iter)
    }

    /// Whose turn it is.
    fn turn(&self) -> Option<usize> {
        self.collecting.or_else(|| self.classes.iter().position(|class| !class.is_empty()))
    }

    /// Takes a waiter out; tells whether it had been admitted.
    fn remove(&mut self, class: usize, place: usize) -> bool {
        let removed = self.classes[class].remove(place);
        self.insisting -= u32::from(removed.is_some_and(|waiter| waiter.insists.load(Relaxed)));
        let was_admitted = place == 0 && self.collecting == Some(class);
        if was_admitted {
            self.collecting = None;
        }
        was_admitted
    }
}

impl Waiters {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count.load(SeqCst) == 0
    }

    pub fn count(&self) -> u32 {
        self.count.load(SeqCst)
    }

    /// Whether turns are kept: who comes now has to enter the queue.
    #[inline]
    pub fn anyone_insists(&self) -> bool {
        self.insisting.load(SeqCst) > 0
    }

    pub fn wanted(&self) -> u32 {
        self.wanted.load(SeqCst)
    }

    /// What those want who come before a newcomer of that priority.
    pub fn wanted_before(&self, priority: Priority) -> u32 {
        let queue = self.queue.lock();
        let classes = queue.classes.iter().take(priority.rank() + 1);
        classes.flat_map(VecDeque::iter).map(|waiter| waiter.want.count).sum()
    }

    pub fn peak(&self) -> u32 {
        self.peak.load(Relaxed)
    }

    /// Enters the queue at the end of its class. The caller must [`serve`](Self::serve) afterwards, and
    /// [`leave`](Self::leave) in the end.
    pub fn enter(&self, sleeper: Sleeper, want: Want) -> Result<Arc<Waiter>, OutOfMemory> {
        self.enter_at(self.turns.fetch_add(1, Relaxed), sleeper, want)
    }

    /// Enters the queue where this one stood, which was handed something that was not fit; but behind one that has
    /// begun to collect several, so that not each keeps what the other one wants. The same holds for it as after
    /// [`enter`](Self::enter).
    pub fn enter_again(&self, before: &Waiter) -> Result<Arc<Waiter>, OutOfMemory> {
        let insists = before.insists.load(Relaxed);
        self.enter_at(before.turn, before.sleeper, Want { insists, ..before.want })
    }

    fn enter_at(&self, turn: u64, sleeper: Sleeper, want: Want) -> Result<Arc<Waiter>, OutOfMemory> {
        let got = Mutex::new(alloc::try_vec(want.count as usize)?);
        let waiter = alloc::try_arc(Waiter {
            want,
            turn,
            got,
            insists: AtomicBool::new(want.insists),
            state: AtomicU32::new(WAITING),
            sleeper,
            is_due: AtomicBool::new(false),
            next_due: Mutex::new(None),
        })?;
        let mut queue = self.queue.lock();
        let rank = want.priority.rank();
        let first = usize::from(queue.collecting == Some(rank));
        let class = &mut queue.classes[rank];
        class.try_reserve(1).map_err(|_| OutOfMemory { bytes: size_of::<Arc<Waiter>>() as u64 })?;
        let place = class.partition_point(|other| other.turn <= turn).max(first);
        class.insert(place, waiter.clone());
        queue.insisting += u32::from(want.insists);
        self.wanted.fetch_add(want.count, SeqCst);
        self.note_len(&queue);
        self.peak.fetch_max(queue.len() as u32, Relaxed);
        Ok(waiter)
    }

    /// From now on nobody overtakes this one, unless it is served by now. The caller must [`serve`](Self::serve) afterwards.
    pub fn insist(&self, waiter: &Arc<Waiter>) {
        let mut queue = self.queue.lock();
        let waits = queue.classes[waiter.want.priority.rank()].iter().any(|other| Arc::ptr_eq(other, waiter));
        if waits && !waiter.insists.swap(true, Relaxed) {
            queue.insisting += 1;
            self.note_len(&queue);
        }
    }

    /// Leaves the queue with what it was handed, which the caller must use or free. What it was admitted to beyond that
    /// is dismissed.
    pub fn leave(&self, waiter: &Arc<Waiter>, source: &impl Source) -> Vec<Grant> {
        let mut queue = self.queue.lock();
        let got = std::mem::take(&mut *waiter.got.lock());
        let class = waiter.want.priority.rank();
        if let Some(place) = queue.classes[class].iter().position(|other| Arc::ptr_eq(other, waiter)) {
            let missing = waiter.want.count - got.len() as u32;
            if queue.remove(class, place) {
                source.dismiss(&Want { count: missing, ..waiter.want });
            }
            self.wanted.fetch_sub(missing, SeqCst);
            self.note_len(&queue);
        }
        got
    }

    /// Hands what the source has to the first waiters, until one of the two runs out.
    pub fn serve(&self, source: &impl Source) {
        // Woken without the lock, which the one who wakes takes first.
        while let Some((first, state)) = self.serve_first(source) {
            first.end(state, source);
        }
    }

    /// The waiter whose turn it is, when it has all that it wants, or is refused.
    fn serve_first(&self, source: &impl Source) -> Option<(Arc<Waiter>, u32)> {
        let mut queue = self.queue.lock();
        let class = queue.turn()?;
        let first = queue.classes[class].front()?.clone();
        if queue.collecting.is_none() {
            if !source.admit(&first.want) {
                return None;
            }
            if source.refuses(&first.want) {
                source.dismiss(&first.want);
                queue.remove(class, 0);
                self.wanted.fetch_sub(first.want.count, SeqCst);
                self.note_len(&queue);
                return Some((first, REFUSED));
            }
        }
        queue.collecting = Some(class);
        let mut got = first.got.lock();
        while got.len() < first.want.count as usize {
            let Some(grant) = source.free(&first.want) else {
                if got.is_empty() {
                    // One of a higher class may come first after all.
                    queue.collecting = None;
                    source.dismiss(&first.want);
                }
                return None;
            };
            got.push(grant);
            self.wanted.fetch_sub(1, SeqCst);
            source.note_turn(queue.len() - 1);
        }
        drop(got);
        queue.remove(class, 0);
        self.note_len(&queue);
        Some((first, SERVED))
    }

    /// Tells the first waiter that nothing comes for it.
    pub fn fail_first(&self, source: &impl Source) {
        let mut queue = self.queue.lock();
        let Some(class) = queue.turn() else { return };
        let Some(first) = queue.classes[class].front().cloned() else { return };
        let missing = first.want.count - first.got.lock().len() as u32;
        if queue.remove(class, 0) {
            source.dismiss(&Want { count: missing, ..first.want });
        }
        self.wanted.fetch_sub(missing, SeqCst);
        self.note_len(&queue);
        drop(queue);
        first.end(FAILED, source);
    }

    fn note_len(&self, queue: &Queue) {
        self.count.store(queue.len() as u32, SeqCst);
        self.insisting.store(queue.insisting, SeqCst);
    }

    pub fn for_each_thread(&self, mut visit: impl FnMut(u32)) {
        self.queue.lock().all().for_each(|waiter| visit(waiter.want.thread));
    }

    /// Wakes everybody, to look at a state that changed for all of them.
    pub fn wake_all(&self, source: &impl Source) {
        // Bells ring without the lock. The chain of those that are to ring needs no memory that could be refused.
        let mut due: Option<Arc<Waiter>> = None;
        for waiter in self.queue.lock().all() {
            match waiter.sleeper {
                Sleeper::Thread(parker) => parker.unpark(),
                // In the chain of another, it rings later than now.
                Sleeper::Host(_) if waiter.is_due.swap(true, AcqRel) => {}
                Sleeper::Host(_) => *waiter.next_due.lock() = due.replace(waiter.clone()),
            }
        }
        Due { first: due, source }.ring_all();
    }
}

/// Those whose bells are still to ring.
struct Due<'a, S: Source> {
    first: Option<Arc<Waiter>>,
    source: &'a S,
}

impl<S: Source> Due<'_, S> {
    fn ring_all(&mut self) {
        while let Some(waiter) = self.first.take() {
            self.first = waiter.next_due.lock().take();
            waiter.is_due.swap(false, AcqRel);
            if let Sleeper::Host(bell) = waiter.sleeper {
                self.source.ring(bell);
            }
        }
    }
}

impl<S: Source> Drop for Due<'_, S> {
    fn drop(&mut self) {
        // After a ring that unwound the rest is not due any more, so that the next wake-up, that of the quarantine, finds it.
        while let Some(waiter) = self.first.take() {
            self.first = waiter.next_due.lock().take();
            waiter.is_due.swap(false, AcqRel);
        }
    }
}
