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
            (OnItsWay { giver: self, chunks: state.chunks.split_off(moment.position)? }, before)
        };
        into.receive(region)?;
        let mut state = self.state.lock();
        state.marks.forget_from(mark.serial);
        state.chunks.resume(before);
        Ok(())
    }

    /// Takes chunks in that another arena has filled. Where it does not, its lock goes before they go back.
    fn receive(&self, mut region: OnItsWay<'_>) -> Result<(), ArenaError> {
        let wanted = region.chunks.iter().map(|chunk| chunk.memory.mapped_bytes()).sum();
        let mut state = self.state()?;
        let (limit, mapped) = (self.limit_bytes(), state.chunks.mapped_bytes());
        if wanted > limit.saturating_sub(mapped) {
            return Err(ArenaError::Limit { wanted, limit, mapped });
        }
        state.chunks.make_room(region.chunks.len())?;
        region.chunks.iter().for_each(|chunk| chunk.hand_over(&self.account));
        if !(self.is_local() && region.giver.is_local()) {
            let home = self.home();
            region.chunks.iter_mut().for_each(|chunk| chunk.home = home);
        }
        state.chunks.receive(std::mem::take(&mut region.chunks));
        Ok(())
    }
}

/// Chunks between two arenas. Where they do not arrive, they go back: what was allocated in them is in use.
struct OnItsWay<'a> {
    giver: &'a Arena,
    chunks: Vec<Chunk>,
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        if !self.chunks.is_empty() {
            self.giver.state.lock().chunks.join(std::mem::take(&mut self.chunks));
        }
    }
}
