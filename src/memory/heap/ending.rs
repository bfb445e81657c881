//! The end of a heap: it takes no new work, and goes when no block is pinned any more.

use super::cache::Cache;
use super::{Heap, HeapError};
use crate::base::Owner;
use crate::base::alloc;
use crate::base::cancel::{self, Cancel};
use crate::base::clock::Deadline;
use crate::base::handles::{Handled, Kind, LaneOf, Laned};
use crate::base::park::Parker;
use crate::base::thread::ThreadRecord;

impl Heap {
    /// Takes no new work, and waits until every block is given back.
    pub fn close(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), HeapError> {
        let parker = cancel::current_parker()?;
        {
            let mut state = self.state.lock();
            alloc::try_reserve_one(&mut state.waiters)?;
            state.waiters.push(parker);
            // From now on all goes through the lock.
            state.closing = true;
            self.recall(&mut state);
        }
        let ready = || {
            let state = self.state.lock();
            (state.destroyed || self.live_blocks(&state) == 0).then_some(())
        };
        let ended = cancel::wait_until(deadline, cancel, ready);
        let mut state = self.state.lock();
        state.waiters.retain(|waiter| !std::ptr::eq(*waiter, parker));
        match ended {
            Ok(()) if self.live_blocks(&state) > 0 => Err(HeapError::Closed),
            Ok(()) => Ok(()),
            Err(end) => Err(HeapError::Wait(end)),
        }
    }

    /// Blocks that are out.
    pub fn blocks_out(&self) -> u64 {
        self.live_blocks(&self.state.lock())
    }
}

impl Laned for Heap {
    type Lane = Cache;

    #[inline]
    fn lane_of(&self, record: &'static ThreadRecord, _: Owner) -> Option<&Cache> {
        self.caches.taken_by(record)
    }
}

impl Handled for Heap {
    const KIND: Kind = Kind::Heap;
    const LANE: Option<LaneOf<Self>> = Self::ITS_LANE;

    fn begin_destroy(&self) {
        let mut state = self.state.lock();
        (state.closing, state.destroyed) = (true, true);
        self.shut();
        state.waiters.drain(..).for_each(Parker::unpark);
    }

    /// Every wait ends.
    fn quarantined(&self) {
        self.begin_destroy();
    }

    /// The memory goes with the heap, which stays while blocks are pinned.
    fn finish_destroy(&self) {}

    fn children(&self) -> u64 {
        self.slots.pins()
    }
}
