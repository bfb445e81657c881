//! Marking a moment of an arena, and going back to it. The lane of the thread that marks keeps what is left of its region, so
//! that it goes on there; every other lane, and every cursor, begins anew after a mark.

use super::bookmark::Rest;
use super::{Arena, ArenaError, Mark, RegionRef, State};
use crate::base::thread::ThreadRecord;
use std::sync::atomic::Ordering::*;

impl Arena {
    /// Remembers this moment. Nobody may allocate meanwhile.
    pub fn mark(&self) -> Result<Mark, ArenaError> {
        let mut state = self.state()?;
        let rest = self.empty_regions_but_ours(&mut state);
        let position = state.chunks.position();
        let serial = state.marks.set(position, rest, None)?;
        self.lay_bookmark(serial, rest);
        Ok(Mark { owner: self.owner.0, serial })
    }

    /// The same moment again, for a caller who keeps the arena alive, and turns to [`mark`](Self::mark) for any other.
    #[inline(always)]
    pub fn mark_at_hand(&self) -> Option<Mark> {
        Some(Mark { owner: self.owner.0, serial: self.bookmark.here()? })
    }

    /// Frees all that was allocated since the mark, which stays valid. Nobody may allocate meanwhile.
    pub fn rewind(&self, mark: Mark) -> Result<(), ArenaError> {
        self.check_owner(mark)?;
        let mut state = self.state()?;
        let moment = state.marks.find(mark.serial).ok_or(ArenaError::StaleMark { serial: mark.serial })?;
        state.marks.forget_after(mark.serial);
        self.empty_regions(&mut state);
        state.chunks.rewind(moment.position);
        if let Some(rest) = moment.rest {
            rest.resume(self.epoch.load(Relaxed));
            state.last_filled = Some(RegionRef(rest.region()));
        }
        state.counts.rewinds += 1;
        self.lay_bookmark(mark.serial, moment.rest);
        Ok(())
    }

    /// Goes back to the mark that the arena was at last, as [`mark_at_hand`](Self::mark_at_hand) does.
    #[inline(always)]
    pub fn rewind_at_hand(&self, mark: Mark) -> bool {
        mark.owner == self.owner.0 && self.bookmark.go_back(mark.serial)
    }

    pub(super) fn check_owner(&self, mark: Mark) -> Result<(), ArenaError> {
        if mark.owner == self.owner.0 {
            return Ok(());
        }
        Err(ArenaError::MarkOfAnother { marked: mark.owner, owner: self.owner.0 })
    }

    /// Sends every thread but this one into the library for its next allocation, and tells what this one has left.
    fn empty_regions_but_ours(&self, state: &mut State) -> Option<Rest> {
        // What is freed is poisoned, which knows spans and no lanes.
        let record = ThreadRecord::current().filter(|_| !self.poisoning.is_on());
        let lane = record.and_then(|record| self.lanes.taken_by(record));
        let ours = lane.filter(|lane| lane.is_of(self.epoch.load(Relaxed)));
        let last = state.last_filled.take_if(|last| ours.is_some_and(|lane| std::ptr::eq(last.0, lane.region())));
        self.empty_regions(state);
        state.last_filled = last;
        ours.map(|lane| {
            lane.stay(self.epoch.load(Relaxed));
            Rest::of(lane)
        })
    }

    /// What is gone back to with it is not poisoned.
    fn lay_bookmark(&self, serial: u64, rest: Option<Rest>) {
        if !self.poisoning.is_on() {
            self.bookmark.put(serial, rest);
        }
    }
}
