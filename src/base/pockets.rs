//! Pockets: what a thread has at hand of an object, which is one number, without any locked operation; and the recall, by
//! which everybody else gets at it.
//!
//! A thread does what it does with its pocket inside a *window*: it marks the pocket busy, passes the light side of an
//! asymmetric fence, and looks at the object's state. Whoever changes the state passes the heavy side and then waits until
//! no pocket is busy, so the state is the same from the begin of each window to its end. While the pockets are open, a
//! thread's pocket, and what else is biased to it, is its own; while they are shut, nothing is, and everybody goes the way
//! that all share. (Biased locking, Kawachiya, Koseki and Onodera 2002, for many numbers at once.)

use super::Owner;
use super::barrier;
use super::sync::{AtomicU32, AtomicU64, Mutex, Ordering::*};

const NONE: u32 = u32::MAX;

/// One thread's place for one number of one object.
pub struct Pocket {
    /// The object in whose window its thread is.
    busy: AtomicU64,
    number: AtomicU32,
    /// The object that the number is of.
    owner: AtomicU64,
}

impl Pocket {
    #[allow(clippy::declare_interior_mutable_const)] // each use is to be one of its own
    pub const EMPTY: Self = Self { busy: AtomicU64::new(0), number: AtomicU32::new(NONE), owner: AtomicU64::new(0) };

    /// Whether it has a number of that object. Exact for those that were put there before, in the sense of happens-before.
    fn has_some(&self, owner: Owner) -> bool {
        self.owner.load(Relaxed) == owner.0 && self.number.load(Relaxed) != NONE
    }

    /// Takes the number, for the thread in its window or for a recall.
    #[inline]
    fn take(&self, owner: Owner) -> Option<u32> {
        // Whoever sees the number sees whose it is: a recall may meet the window of another object.
        let number = self.number.load(Acquire);
        if number == NONE || self.owner.load(Relaxed) != owner.0 {
            return None;
        }
        self.number.store(NONE, Relaxed);
        Some(number)
    }
}

// The state: the number of changes:30 | how it is now:2.
const SHUT: u32 = 0;
const OPEN: u32 = 1;
const CHANGING: u32 = 2;
const NOW: u32 = 3;
const ONE_CHANGE: u32 = 4;

/// After so many uses that went the shared way in peace the pockets are opened; the number doubles with each recall.
const FIRST_PATIENCE: u32 = 32;
const LAST_PATIENCE: u32 = 1 << 16;

/// The pockets of one object.
pub struct Pockets {
    owner: Owner,
    state: AtomicU32,
    changes: Mutex<()>,
    calm: AtomicU32,
    patience: AtomicU32,
}

/// What a thread finds in its window.
pub enum Window<'a> {
    Open(Reach<'a>),
    Shut(Reach<'a>),
}

/// A window, which ends with this value.
pub struct Reach<'a> {
    pocket: &'a Pocket,
    owner: Owner,
}

impl Reach<'_> {
    /// The number in the pocket; only in an open window.
    #[inline]
    pub fn take(&self) -> Option<u32> {
        self.pocket.take(self.owner)
    }

    /// Puts a number into the pocket, unless another object has one there; only in an open window. Tells the number for
    /// which there is no room: that one, or the one that was there before.
    #[inline]
    pub fn put(&self, number: u32) -> Option<u32> {
        let before = self.pocket.number.load(Relaxed);
        if before != NONE && self.pocket.owner.load(Relaxed) != self.owner.0 {
            return Some(number);
        }
        self.pocket.owner.store(self.owner.0, Relaxed);
        self.pocket.number.store(number, Release);
        (before != NONE).then_some(before)
    }
}

impl Drop for Reach<'_> {
    #[inline]
    fn drop(&mut self) {
        self.pocket.busy.store(0, Release);
    }
}

impl Pockets {
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            state: AtomicU32::new(SHUT),
            changes: Mutex::new(()),
            calm: AtomicU32::new(0),
            patience: AtomicU32::new(FIRST_PATIENCE),
        }
    }

    /// A window of the pocket's own thread, when the pockets are open.
    #[inline]
    pub fn reach<'a>(&self, pocket: &'a Pocket) -> Option<Reach<'a>> {
        if self.state.load(Relaxed) & NOW != OPEN {
            return None;
        }
        match self.window(pocket) {
            Some(Window::Open(reach)) => Some(reach),
            _ => None,
        }
    }

    /// A window of the pocket's own thread, in which the pockets are open or shut throughout; none while that changes.
    #[inline]
    pub fn window<'a>(&self, pocket: &'a Pocket) -> Option<Window<'a>> {
        pocket.busy.store(self.owner.0, Relaxed);
        barrier::light();
        let reach = Reach { pocket, owner: self.owner };
        match self.state.load(Acquire) & NOW {
            OPEN => Some(Window::Open(reach)),
            SHUT => Some(Window::Shut(reach)),
            _ => None,
        }
    }

    /// Shuts the pockets, and takes out what is in them. Nothing is put there any more until they are opened again.
    pub fn recall<'a, I: Iterator<Item = &'a Pocket>>(&self, all: impl Fn() -> I, each: impl FnMut(u32)) {
        if !self.are_shut() {
            self.while_shut(all, each, || {});
        }
    }

    /// The same, and runs `body` before they can be opened again.
    #[cold]
    pub fn while_shut<'a, R, I: Iterator<Item = &'a Pocket>>(
        &self,
        all: impl Fn() -> I,
        each: impl FnMut(u32),
        body: impl FnOnce() -> R,
    ) -> R {
        let _changes = self.changes.lock();
        if !self.are_shut() {
            self.begin_change(&all);
            all().filter_map(|pocket| pocket.take(self.owner)).for_each(each);
            self.calm.store(0, Relaxed);
            self.patience.store((self.patience.load(Relaxed) * 2).min(LAST_PATIENCE), Relaxed);
            self.change(SHUT);
        }
        body()
    }

    /// To be called by who went the shared way in peace: now and then that opens the pockets, when `may_open` says so after
    /// it was made sure that whoever needs them shut is seen by it, or sees that they are opened.
    #[inline]
    pub fn note_calm<'a, I: Iterator<Item = &'a Pocket>>(&self, all: impl Fn() -> I, may_open: impl FnOnce() -> bool) {
        if self.state.load(Relaxed) & NOW != SHUT {
            return;
        }
        // Counted as roughly as a load and a store do.
        let calm = self.calm.load(Relaxed) + 1;
        self.calm.store(calm, Relaxed);
        if calm >= self.patience.load(Relaxed) {
            self.open(all, may_open);
        }
    }

    #[cold]
    fn open<'a, I: Iterator<Item = &'a Pocket>>(&self, all: impl Fn() -> I, may_open: impl FnOnce() -> bool) {
        let _changes = self.changes.lock();
        if self.are_shut() {
            self.begin_change(&all);
            self.calm.store(0, Relaxed);
            self.change(if may_open() { OPEN } else { SHUT });
        }
    }

    /// For who holds the lock of the changes.
    fn change(&self, now: u32) {
        let changes = self.state.load(Relaxed) & !NOW;
        self.state.store(changes.wrapping_add(ONE_CHANGE) | now, SeqCst);
    }

    /// Returns when no window is left that began in the state before.
    fn begin_change<'a, I: Iterator<Item = &'a Pocket>>(&self, all: &impl Fn() -> I) {
        self.change(CHANGING);
        barrier::heavy();
        // A window that begins after this look at its pocket begins in the state that changes.
        for pocket in all() {
            barrier::wait_while(|| pocket.busy.load(Acquire) == self.owner.0);
        }
    }

    #[inline]
    pub fn are_shut(&self) -> bool {
        self.state.load(SeqCst) & NOW == SHUT
    }

    /// Stands for the state at this moment; two that are equal say that there was no recall between them.
    #[inline]
    pub fn moment(&self) -> u32 {
        self.state.load(SeqCst)
    }

    /// Whether any pocket has a number, or a recall that began since that moment may have moved one to where all find it.
    pub fn may_have_some<'a>(&self, since: u32, mut all: impl Iterator<Item = &'a Pocket>) -> bool {
        match since & NOW {
            SHUT => self.moment() != since,
            OPEN => all.any(|pocket| pocket.has_some(self.owner)) || self.moment() != since,
            _ => true,
        }
    }

    /// How many pockets have one.
    pub fn count<'a>(&self, all: impl Iterator<Item = &'a Pocket>) -> u32 {
        if self.are_shut() { 0 } else { all.filter(|pocket| pocket.has_some(self.owner)).count() as u32 }
    }
}
