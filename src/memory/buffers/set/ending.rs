//! The end of a set: it gives nothing out any more, and goes when the last view is released.

use super::{Buffers, BuffersError};
use crate::base::barrier;
use crate::base::cancel::Cancel;
use crate::base::clock::Deadline;
use crate::base::handles::{Handled, Kind, LaneOf, Laned, Pocketed};
use std::sync::atomic::{Ordering::*, fence};

impl Buffers {
    /// Wakes who waits for the last view.
    pub fn tell_returned(&self) {
        if self.closing.load(SeqCst) {
            // Between what was put back and the look for who waits.
            fence(SeqCst);
            self.returned.wake_all();
        }
    }

    /// Whoever does not see it has made visible by now what it did before it looked.
    fn begin_closing(&self) {
        self.closing.store(true, SeqCst);
        barrier::heavy();
    }

    /// Takes no new work, and waits until every view is released.
    pub fn close(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), BuffersError> {
        self.begin_closing();
        let ready = || (self.out() == Some(0) || self.destroyed.load(SeqCst)).then_some(());
        match self.returned.wait_until(deadline, cancel, ready) {
            Ok(()) if self.out() != Some(0) => Err(BuffersError::Closed),
            Ok(()) => Ok(()),
            Err(end) => Err(BuffersError::Wait(end)),
        }
    }
}

impl Pocketed for Buffers {}

impl Handled for Buffers {
    const KIND: Kind = Kind::Buffers;
    const LANE: Option<LaneOf<Self>> = Self::ITS_LANE;

    fn begin_destroy(&self) {
        self.begin_closing();
        self.destroyed.store(true, SeqCst);
        self.returned.wake_all();
    }

    /// Every wait ends.
    fn quarantined(&self) {
        self.begin_destroy();
    }

    /// What is viewed stays mapped until its last view is released.
    fn finish_destroy(&self) {
        self.trim(0);
        self.settled.store(true, SeqCst);
    }

    /// Never too few: as long as somebody may still get, there may be one.
    fn children(&self) -> u64 {
        if !self.settled.load(SeqCst) {
            return 1;
        }
        loop {
            if let Some(out) = self.out() {
                return out;
            }
            // Nothing that moves waits for anything but a short lock.
            std::thread::yield_now();
        }
    }
}
