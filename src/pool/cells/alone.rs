//! One thread, or the user of one desk, that alone ends and takes results: as long as there is no other, it changes the words
//! of the cells in its windows (see [`crate::base::pockets`]) without a locked operation. The first use by any other ends that
//! for good: it says so, passes the heavy side of the asymmetric fence, and waits until no window is left that began before.

use super::{Cells, DONE, FREE, GENERATION_MASK, GENERATION_SHIFT, Key, Stage};
use crate::base::Owner;
use crate::base::pockets::{Place, Places, Pocket, wait_for_windows};
use crate::base::sync::{AtomicU64, Mutex, Ordering::*};

// Who uses them: one of these, or the address of the pocket or the desk of the only one.
const NOBODY: u64 = 0;
const ALL: u64 = 1;
/// Another comes at this moment.
const CHANGING: u64 = 2;
/// Who uses them asks the library first, for good.
const BARRED: u64 = 3;

/// Who may end and take the results of one set of cells.
pub struct Users {
    owner: Owner,
    who: AtomicU64,
    changes: Mutex<()>,
}

impl Users {
    pub fn new(owner: Owner) -> Self {
        Self { owner, who: AtomicU64::new(NOBODY), changes: Mutex::new(()) }
    }

    /// Whether the user of that pocket or desk, who is in its window, is the only one until that ends.
    #[inline(always)]
    pub fn is_alone(&self, place: &impl Place) -> bool {
        self.who.load(Acquire) == address_of(place)
    }

    /// Whether a thread in its window may use them as all do. Else it does so after [`Users::admit`], out of it.
    #[inline(always)]
    pub fn is_admitted(&self) -> bool {
        self.who.load(Acquire) == ALL
    }

    /// Lets a thread use them as all do; it is in no window. Of the first its pocket is remembered, when it has one.
    #[inline]
    pub fn admit<'a>(&self, pocket: impl FnOnce() -> Option<&'a Pocket>, all: &impl Places) {
        let who = self.who.load(SeqCst);
        if who == ALL {
            return;
        }
        let pocket = pocket();
        if pocket.map(address_of) != Some(who) {
            self.admit_another(pocket, all);
        }
    }

    #[cold]
    fn admit_another(&self, pocket: Option<&Pocket>, all: &impl Places) {
        let _changes = self.changes.lock();
        match (self.who.load(SeqCst), pocket) {
            (ALL | BARRED, _) => {}
            (NOBODY, Some(pocket)) => self.who.store(address_of(pocket), SeqCst),
            (NOBODY, None) => self.who.store(ALL, SeqCst),
            _ => self.become_after_windows(ALL, all),
        }
    }

    /// The same for the user of a desk, on the thread with that pocket, which is in no other use of them: what it had alone
    /// the desk has from now on.
    #[inline]
    pub fn admit_at<'a>(&self, desk: &impl Place, pocket: impl FnOnce() -> Option<&'a Pocket>, all: &impl Places) {
        let who = self.who.load(SeqCst);
        if who != ALL && who != address_of(desk) {
            self.admit_desk(address_of(desk), pocket().map(address_of), all);
        }
    }

    #[cold]
    fn admit_desk(&self, desk: u64, pocket: Option<u64>, all: &impl Places) {
        let _changes = self.changes.lock();
        match self.who.load(SeqCst) {
            ALL | BARRED => {}
            // Its thread is in no window of the pocket.
            who if who == NOBODY || Some(who) == pocket => self.who.store(desk, SeqCst),
            _ => self.become_after_windows(ALL, all),
        }
    }

    /// Sends everybody into the library from now on.
    pub fn bar(&self, all: &impl Places) {
        let _changes = self.changes.lock();
        self.become_after_windows(BARRED, all);
    }

    /// Runs `body` while nobody comes or goes: for who adds a desk or takes one away.
    pub fn unchanged<R>(&self, body: impl FnOnce() -> R) -> R {
        let _changes = self.changes.lock();
        body()
    }

    /// The same for a desk that goes, whose user has no window: nobody takes its place before it is used again.
    pub fn without<R>(&self, desk: &impl Place, body: impl FnOnce() -> R) -> R {
        self.unchanged(|| {
            let result = body();
            if self.who.load(SeqCst) == address_of(desk) {
                self.who.store(NOBODY, SeqCst);
            }
            result
        })
    }

    fn become_after_windows(&self, who: u64, all: &impl Places) {
        self.who.store(CHANGING, SeqCst);
        wait_for_windows(self.owner, |each| all.visit(each));
        self.who.store(who, SeqCst);
    }

    /// For code outside of the library that has windows of its own.
    pub fn who(&self) -> *const AtomicU64 {
        &raw const self.who
    }
}

#[inline(always)]
fn address_of<P: Place>(place: &P) -> u64 {
    (&raw const *place).addr() as u64
}

const GENERATION: u64 = GENERATION_MASK << GENERATION_SHIFT;
const NEXT_GENERATION: u64 = 1 << GENERATION_SHIFT;

/// For the thread that is alone, in its window.
impl<T> Cells<T> {
    /// [`Cells::complete`] when nobody waits and there is no completion.
    #[inline(always)]
    pub fn complete_alone(&self, key: Key, from: Stage, write: impl FnOnce(&T)) -> Option<()> {
        let cell = self.cells.get(self.place_of(key))?;
        let generation = key.0 & GENERATION;
        if cell.word.load(Relaxed) != generation | u64::from(from.0) {
            return None;
        }
        write(&cell.content);
        cell.word.store(generation | DONE, Release);
        Some(())
    }

    /// [`Cells::poll_out`] when the result is there and for whoever takes it.
    #[inline(always)]
    pub fn poll_alone<R>(&self, key: Key, read: impl FnOnce(&T) -> R) -> Option<(u32, R)> {
        let number = self.place_of(key);
        let cell = self.cells.get(number)?;
        let generation = key.0 & GENERATION;
        // The last generation ends the long way, which counts that.
        if cell.word.load(Relaxed) != generation | DONE || generation == GENERATION {
            return None;
        }
        let result = read(&cell.content);
        cell.word.store((generation + NEXT_GENERATION) | FREE, Release);
        Some((number as u32, result))
    }
}
