//! Windows: what a thread does with its own cache, and with tags, it does inside a window and without any locked operation.
//! Whoever holds the heap's lock can shut the windows, and then every cache, and the list of chunks, is its own until it
//! opens them again. A thread that finds them shut goes the way of all, through the lock.
//!
//! A window is one of the thread's pocket for the heap (see [`pockets`]), so a call that is in one already, to keep the heap
//! alive, has nothing more to do than to look whether the windows are open. Who shuts them says so first, passes the heavy
//! side of the fence, and waits until no thread is in one.

use crate::base::Owner;
use crate::base::pockets::{self, Pocket, Reach};
use crate::base::sync::{AtomicU32, Ordering::*};

const SHUT: u32 = 0;
const OPEN: u32 = 1;

/// The windows of one heap.
pub struct Windows {
    owner: Owner,
    state: AtomicU32,
}

impl Windows {
    pub fn new(owner: Owner) -> Self {
        Self { owner, state: AtomicU32::new(SHUT) }
    }

    /// A window of the pocket's own thread, unless they are shut.
    #[inline]
    pub fn enter<'a>(&self, pocket: &'a Pocket) -> Option<Reach<'a>> {
        let window = Reach::begin(pocket, self.owner);
        self.are_open().then_some(window)
    }

    /// For a thread in a window that it began itself: whether it may use it.
    #[inline(always)]
    pub fn are_open(&self) -> bool {
        self.state.load(Acquire) == OPEN
    }

    /// For who holds the lock, with the pockets of all threads: returns when no window is open any more. What was done in
    /// them is seen from then on.
    pub fn shut<'a>(&self, pockets: impl Iterator<Item = &'a Pocket>) {
        self.state.store(SHUT, SeqCst);
        pockets::wait_for_windows(self.owner, |each| pockets.for_each(|pocket| each(pocket)));
    }

    /// For who holds the lock.
    pub fn open(&self) {
        self.state.store(OPEN, Release);
    }
}
