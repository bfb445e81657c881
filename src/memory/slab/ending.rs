//! The end of a slab: it gives nothing out any more, and goes when the last slot and the last magazine are back.

use super::gate::Leave;
use super::states::FREE;
use super::{Slab, SlabError};
use crate::base::alloc;
use crate::base::barrier;
use crate::base::cancel::{self, Cancel, WaitEnd};
use crate::base::clock::Deadline;
use crate::base::handles::{Handled, Kind, LaneOf, Laned};
use crate::base::park::Parker;
use std::sync::atomic::Ordering::*;

const LOOK_NS: u64 = 10_000_000;

impl Slab {
    /// Takes no new work, and waits until every slot is back.
    pub fn close(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), SlabError> {
        let parker = cancel::current_parker()?;
        self.seal();
        {
            let mut waiters = self.waiters.lock();
            alloc::try_reserve_one(&mut waiters)?;
            waiters.push(parker);
        }
        let ready = || (self.left() == 0 || self.destroyed.load(SeqCst)).then_some(());
        let ended = loop {
            // An inline put that had begun before wakes nobody, so it is looked for from time to time.
            let look = deadline.min(Deadline::after(LOOK_NS));
            match cancel::wait_until(look, cancel, ready) {
                Err(WaitEnd::TimedOut) if !deadline.has_passed() => {}
                ended => break ended,
            }
        };
        self.waiters.lock().retain(|waiter| !std::ptr::eq(*waiter, parker));
        match ended {
            Ok(()) if self.left() > 0 => Err(SlabError::Destroyed),
            ended => Ok(ended?),
        }
    }

    /// From now on every put is a call, and counted.
    fn seal(&self) {
        self.alone(Leave::Sealed, || self.left.store(self.out() as i64, SeqCst));
    }

    /// Slots that are out, once it is closing. The count may be wrong by what inline code was about to do in each
    /// magazine, so when it is that small the slots themselves are asked.
    pub fn left(&self) -> u64 {
        let counted = self.left.load(SeqCst);
        if !self.gate.is_sealed() {
            return 0;
        }
        if counted > self.magazines.lock().len() as i64 { counted as u64 } else { self.out() }
    }

    /// Ends what lies in the slots that are free, once it is destroyed. Each is taken by one caller.
    pub(super) fn destroy_free(&self) {
        if !self.destroyed.load(SeqCst) || !self.creates {
            return;
        }
        let mut next = None;
        while self.depot.take(1, |index| next = Some(index)) > 0 {
            if let Some(index) = next.filter(|index| self.states.of(*index) == FREE) {
                self.destroy(self.geometry.slot(index));
                self.states.make_raw(index);
            }
        }
    }
}

impl Handled for Slab {
    const KIND: Kind = Kind::Slab;
    const LANE: Option<LaneOf<Self>> = Self::ITS_LANE;

    fn begin_destroy(&self) {
        self.destroyed.store(true, SeqCst);
        self.seal();
        self.waiters.lock().drain(..).for_each(Parker::unpark);
    }

    /// Every wait ends.
    fn quarantined(&self) {
        self.begin_destroy();
    }

    fn finish_destroy(&self) {
        barrier::wait_while(|| self.trimming.load(SeqCst));
        // What was put into a magazine while that was shut, by calls that had begun before.
        self.alone(Leave::Sealed, || ());
        self.destroy_free();
    }

    fn children(&self) -> u64 {
        self.magazines_open.load(SeqCst) + self.left()
    }
}
