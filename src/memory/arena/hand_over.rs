//! Handing over: an arena, or a region of it, goes from one owner to another without a copy. What it holds stays where
//! it lies, and the account that pays for it goes along.

use super::super::inspection::inspector;
use super::chunk::Chunk;
use super::{Arena, ArenaError, Mark};
use crate::base::Owner;
use std::sync::Arc;

impl Arena {
    /// Makes an arena for another owner of everything that this one holds: chunks, account and numbers. This one is
    /// left empty and closing. Nobody may allocate meanwhile.
    pub fn hand_over(&self, heir: Owner) -> Result<Arc<Self>, ArenaError> {
        let heir = Self::empty(heir, self.config, self.account.clone())?;
        let mut state = self.state()?;
        match self.cursors_open() {
            0 => {}
            open => return Err(ArenaError::CursorsOpen { open }),
        }
        self.empty_regions(&mut state);
        state.closing = true;
        state.marks.clear();
        state.counts.rewinds += self.bookmark.take_rewinds();
        let mut theirs = heir.state.lock();
        std::mem::swap(&mut theirs.chunks, &mut state.chunks);
        theirs.counts = std::mem::take(&mut state.counts);
        drop(theirs);
        heir.account.let_inspect(inspector::<Self>(heir.owner));
        Ok(heir)
    }

    /// Begins a region: what is allocated from here on lies in chunks of its own. Nobody may allocate meanwhile.
    pub fn begin_region(&self) -> Result<Mark, ArenaError> {
        let mut state = self.state()?;
        self.empty_regions(&mut state);
        let before = state.chunks.position();
        state.chunks.begin_region();
        let position = state.chunks.position();
        match state.marks.set(position, None, Some(before)) {
            Ok(serial) => Ok(Mark { owner: self.owner.0, serial }),
            Err(error) => {
                state.chunks.resume(before);
                Err(error.into())
            }
        }
    }

    /// Moves what was allocated since the beginning of a region into another arena, together with what it costs. The
    /// mark of the region, and those made after it, are stale then. Nobody may allocate from either meanwhile.
    pub fn hand_over_region(&self, mark: Mark, into: &Self) -> Result<(), ArenaError> {
        self.check_owner(mark)?;
        let (region, before) = {
            let mut state = self.state()?;
            let moment = state.marks.find(mark.serial).ok_or(ArenaError::StaleMark { serial: mark.serial })?;
            let before = moment.region.ok_or(ArenaError::NoRegion { serial: mark.serial })?;
            if std::ptr::eq(self, into) {
                return Err(ArenaError::IntoItself);
            }
            self.empty_regions(&mut state);
            (state.chunks.split_off(moment.position)?, before)
        };
        let received = into.receive(region, self);
        let mut state = self.state.lock();
        match received {
            Ok(()) => {
                state.marks.forget_from(mark.serial);
                state.chunks.resume(before);
                Ok(())
            }
            Err((error, region)) => {
                state.chunks.join(region);
                Err(error)
            }
        }
    }

    /// Takes chunks in that another arena has filled, or gives them back with the reason.
    fn receive(&self, mut region: Vec<Chunk>, giver: &Self) -> Result<(), (ArenaError, Vec<Chunk>)> {
        let wanted = region.iter().map(|chunk| chunk.memory.mapped_bytes()).sum();
        let mut state = match self.state() {
            Ok(state) => state,
            Err(error) => return Err((error, region)),
        };
        let (limit, mapped) = (self.limit_bytes(), state.chunks.mapped_bytes());
        if wanted > limit.saturating_sub(mapped) {
            return Err((ArenaError::Limit { wanted, limit, mapped }, region));
        }
        if let Err(error) = state.chunks.make_room(region.len()) {
            return Err((error.into(), region));
        }
        region.iter().for_each(|chunk| chunk.hand_over(&self.account));
        if !(self.is_local() && giver.is_local()) {
            let home = self.home();
            region.iter_mut().for_each(|chunk| chunk.home = home);
        }
        state.chunks.receive(region);
        Ok(())
    }
}
