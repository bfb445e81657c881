//! One thread that alone ends and takes results: as long as there is no other, it changes the words of the cells in its
//! windows (see [`crate::base::pockets`]) without a locked operation. The first use by any other thread ends that for good:
//! it says so, passes the heavy side of the asymmetric fence, and waits until no window is left that began before.

use super::{Cells, DONE, FREE, GENERATION_MASK, GENERATION_SHIFT, Key, Stage};
use crate::base::Owner;
use crate::base::pockets::{Places, Pocket, wait_for_windows};
use crate::base::sync::{AtomicU64, Mutex, Ordering::*};

// Who uses them: one of these, or the address of the only thread's pocket.
const NOBODY: u64 = 0;
const ALL: u64 = 1;
/// Another thread comes at this moment.
const CHANGING: u64 = 2;

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

    /// Whether the thread with that pocket, which is in its window, is the only one until that ends.
    #[inline(always)]
    pub fn is_alone(&self, pocket: &Pocket) -> bool {
        self.who.load(Acquire) == address_of(pocket)
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
            (ALL, _) => {}
            (NOBODY, Some(pocket)) => self.who.store(address_of(pocket), SeqCst),
            (NOBODY, None) => self.who.store(ALL, SeqCst),
            _ => self.end_solitude(all),
        }
    }

    fn end_solitude(&self, all: &impl Places) {
        self.who.store(CHANGING, SeqCst);
        wait_for_windows(self.owner, |each| all.visit(each));
        self.who.store(ALL, SeqCst);
    }
}

#[inline(always)]
fn address_of(pocket: &Pocket) -> u64 {
    (&raw const *pocket).addr() as u64
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
