//! Windows: what a thread does with its own cache, and with tags, it does inside a window and without any locked operation.
//! Whoever holds the heap's lock can shut the windows, and then every cache, and the list of chunks, is its own until it
//! opens them again. A thread that finds them shut goes the way of all, through the lock.
//!
//! A window shows that it is open, passes the light side of an asymmetric fence, and looks whether it may be. Who shuts
//! them says so first, passes the heavy side, and waits until none is open.

use crate::base::barrier;
use crate::base::sync::{AtomicU32, Ordering::*};

const SHUT: u32 = 0;
const OPEN: u32 = 1;

/// Whether a thread is in its window.
#[derive(Default)]
pub struct Pane(AtomicU32);

/// The windows of one heap.
pub struct Windows {
    state: AtomicU32,
}

/// A window, which ends with this value.
pub struct Window<'a>(&'a Pane);

impl Windows {
    pub fn new() -> Self {
        Self { state: AtomicU32::new(SHUT) }
    }

    /// The window of the pane's own thread, unless they are shut.
    #[inline]
    pub fn enter<'a>(&self, pane: &'a Pane) -> Option<Window<'a>> {
        pane.0.store(1, Relaxed);
        barrier::light();
        let window = Window(pane);
        (self.state.load(Acquire) == OPEN).then_some(window)
    }

    /// For who holds the lock: returns when no window is open any more. What was done in them is seen from then on.
    pub fn shut<'a>(&self, panes: impl Iterator<Item = &'a Pane>) {
        self.state.store(SHUT, SeqCst);
        barrier::heavy();
        // A window that begins after this look at its pane finds them shut.
        for pane in panes {
            barrier::wait_while(|| pane.0.load(Acquire) != 0);
        }
    }

    /// For who holds the lock.
    pub fn open(&self) {
        self.state.store(OPEN, Release);
    }
}

impl Drop for Window<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.0.store(0, Release);
    }
}
