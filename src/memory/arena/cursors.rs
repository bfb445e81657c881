//! What an arena does for its cursors: it opens and closes them, fills their regions, and goes back to their marks when
//! inline code cannot.

use super::chunks::Span;
use super::cursor::{self, Cursor, Slot};
use super::region::{Block, Region, bad_alignment};
use super::room::{is_alone, span_bytes};
use super::trail::Trail;
use super::{Arena, ArenaError, Mark, State, Taker};
use crate::base::alloc;
use crate::base::park::Parker;
use crate::memory::stretch::StretchError;
use std::sync::atomic::Ordering::*;

/// A cursor that is open.
#[derive(Debug)]
pub struct Opened {
    pub slot: Slot,
    trail: Trail,
}

impl Opened {
    /// Takes its region and its marks away.
    pub fn empty(&mut self) {
        self.slot.cursor().empty();
        self.trail.clear();
    }
}

impl State {
    fn opened(&mut self, slot: Slot) -> Option<&mut Opened> {
        let place = self.place_of(slot)?;
        self.cursors.get_mut(place)
    }

    fn place_of(&self, slot: Slot) -> Option<usize> {
        let is_it = |opened: &Opened| opened.slot == slot;
        let noted = slot.cursor().place.load(Relaxed) as usize;
        let found = self.cursors.get(noted).is_some_and(is_it).then_some(noted);
        found.or_else(|| self.cursors.iter().position(is_it))
    }

    fn keep_open(&mut self, slot: Slot) {
        slot.cursor().place.store(self.cursors.len() as u32, Relaxed);
        self.cursors.push(Opened { slot, trail: Trail::default() });
    }

    fn drop_closed(&mut self, slot: Slot) {
        let Some(place) = self.place_of(slot) else { return };
        self.cursors.swap_remove(place);
        if let Some(moved) = self.cursors.get(place) {
            moved.slot.cursor().place.store(place as u32, Relaxed);
        }
    }

    /// Notes what a cursor with marks has taken; there is room for it.
    fn note(&mut self, slot: Slot, span: &Span, alone: bool) {
        let stage = slot.cursor().next_stage();
        if slot.cursor().is_marked()
            && let Some(opened) = self.opened(slot)
        {
            opened.trail.note(*span, stage, alone);
        }
    }
}

impl Taker for Slot {
    fn region(&self) -> &Region {
        &self.cursor().region
    }

    fn is_marked(&self) -> bool {
        self.cursor().is_marked()
    }

    fn fill(&self, state: &mut State, span: &Span) {
        state.note(*self, span, false);
        self.cursor().fill(span.start, span.end);
    }

    fn empty(&self) {
        self.cursor().empty_region();
    }

    fn took_alone(&self, state: &mut State, span: &Span) {
        state.note(*self, span, true);
    }
}

impl Arena {
    pub fn open_cursor(&self) -> Result<*mut Cursor, ArenaError> {
        let mut state = self.state()?;
        alloc::try_reserve_one(&mut state.cursors)?;
        let slot = Slot::take(self.owner.0)?;
        state.keep_open(slot);
        self.cursors_open.fetch_add(1, SeqCst);
        Ok(slot.open(!self.poisoning.is_on()))
    }

    /// Closes a cursor of this arena; what was allocated through it stays. Of several callers one does it.
    pub fn close_cursor(&self, slot: Slot) -> Result<(), StretchError> {
        let mut state = self.changing();
        if state.filled_last(&slot.cursor().region) {
            state.take_back_last();
        }
        slot.close(self.owner.0)?;
        state.drop_closed(slot);
        if self.cursors_open.fetch_sub(1, SeqCst) == 1 {
            state.waiters.drain(..).for_each(Parker::unpark);
        }
        drop(state);
        slot.vacate();
        Ok(())
    }

    /// Allocates through a cursor whose region may be used up.
    pub fn alloc_through(&self, slot: Slot, bytes: u64, align: u64) -> Result<*mut u8, ArenaError> {
        let block = Block::new(bytes, align).ok_or(bad_alignment(align))?;
        if self.poisoning.is_on() {
            return self.alloc_watched(block, |block| self.alloc_in_cursor(slot, block));
        }
        self.alloc_in_cursor(slot, block)
    }

    fn alloc_in_cursor(&self, slot: Slot, block: Block) -> Result<*mut u8, ArenaError> {
        if let Some(start) = slot.cursor().region.bump(block) {
            return Ok(start);
        }
        match self.alloc_from_spares(slot, block)? {
            Some(start) => Ok(start),
            None => self.alloc_slowly(block, &slot),
        }
    }

    /// Out of what the cursor went back over. Also sees to it that what it takes otherwise can be noted.
    fn alloc_from_spares(&self, slot: Slot, block: Block) -> Result<Option<*mut u8>, ArenaError> {
        if !slot.cursor().was_marked() {
            return Ok(None);
        }
        let needed = span_bytes(block).ok_or_else(|| self.too_large(block))?;
        let mut state = self.state()?;
        let Some(opened) = state.opened(slot) else { return Ok(None) };
        opened.trail.make_room()?;
        let alone = is_alone(block);
        let Some(span) = opened.trail.take_spare(needed, alone) else { return Ok(None) };
        if alone {
            slot.took_alone(&mut state, &span);
            let region = Region::default();
            region.fill(span.start, span.end);
            return Ok(region.bump(block));
        }
        slot.fill(&mut state, &span);
        Ok(slot.region().bump(block))
    }

    /// Remembers where a cursor is.
    pub fn mark_cursor(&self, slot: Slot) -> Result<Mark, ArenaError> {
        let mut state = self.changing();
        let cursor = slot.cursor();
        if state.destroyed {
            return Err(ArenaError::Closed);
        }
        if let Some(serial) = cursor.mark() {
            return Ok(Mark { owner: cursor.address(), serial });
        }
        state.opened(slot).ok_or(ArenaError::Closed)?.trail.moments.make_room(cursor)?;
        let serial = cursor.mark().ok_or(ArenaError::TooManyMarks)?;
        Ok(Mark { owner: cursor.address(), serial })
    }

    /// Frees what was allocated through a cursor since a mark of it, which is stale then.
    pub fn rewind_cursor(&self, slot: Slot, mark: Mark) -> Result<(), ArenaError> {
        let cursor = slot.cursor();
        if mark.owner != cursor.address() {
            return Err(ArenaError::MarkOfAnother { marked: mark.owner, owner: cursor.address() });
        }
        let stale = ArenaError::StaleMark { serial: mark.serial };
        let mut state = self.changing();
        let Some(place) = cursor.find(mark.serial) else { return Err(stale) };
        let Some(opened) = state.opened(slot) else { return Err(stale) };
        let free = |span: &Span| {
            // SAFETY: it is the cursor's, whose user says that nothing in it is used any more.
            unsafe { self.poisoning.free(span.start, span.bytes()) }
        };
        let used_up_to = if place.stage == cursor.stage() { cursor.region.next() } else { place.end };
        free(&Span { start: place.next, end: used_up_to });
        let roomier = opened.trail.go_back(cursor::count_of(mark.serial), place.bytes(), free);
        cursor.forget_from(mark.serial);
        match roomier {
            Some(span) => slot.fill(&mut state, &span),
            None => cursor.go_on_at(&place),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
