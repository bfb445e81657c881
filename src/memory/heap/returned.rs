//! Pages that are given back inside a chunk, beside blocks that stay. Nobody is charged for them, and nobody is given them,
//! until they are charged for again; which may be refused.

use super::bins::At;
use super::classes::GRANULE;
use super::space::{Memory, Piece, Space, Stretch};
use super::{Heap, HeapError, State};
use crate::memory::pages::{Mapping, PagesError};
use crate::memory::policy::Pages;
use crate::memory::system;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::time::Duration;

/// A smaller gap is not worth that a huge page is split for it.
const SMALLEST_RETURN_BYTES: u64 = 64 << 10;

/// What can be given back of free memory, if it is worth it.
fn whole_pages(space: &Space, mapping: &Mapping, free: Stretch) -> Option<Stretch> {
    let (page, fewest) = match mapping.pages {
        Pages::Huge2M | Pages::Huge1G => (mapping.page_bytes, mapping.page_bytes),
        _ => (system::base_page_bytes(), SMALLEST_RETURN_BYTES),
    };
    let start = space.address(free.at) as u64;
    let (first, last) = (start.next_multiple_of(page), (start + free.bytes()) / page * page);
    let at = free.at.further(((first - start) / GRANULE) as u32);
    (last >= first + fewest).then(|| Stretch { at, granules: ((last - first) / GRANULE) as u32 })
}

/// The first pages that have so many bytes, or all.
fn first_pages(all: Stretch, mapping: &Mapping, bytes: u64) -> Stretch {
    let wanted = bytes.max(SMALLEST_RETURN_BYTES).next_multiple_of(mapping.step_bytes());
    Stretch { granules: all.granules.min((wanted / GRANULE) as u32), ..all }
}

impl Heap {
    /// Gives the whole pages in the gaps of a chunk back, for which nobody is charged from then on, and tells how many bytes
    /// that was; none when somebody maps memory for longer than `patience`. Others use the heap while the kernel takes them.
    pub(super) fn return_pages(&self, chunk: u32, patience: Duration) -> Result<Option<u64>, HeapError> {
        let mut returned = 0;
        // Before the locks: when this is the last share by then, the memory goes behind them.
        let Some(mapping) = self.state()?.mapping(chunk) else { return Ok(Some(0)) };
        // No repair brings them in meanwhile.
        let _alone = self.pages.lock();
        // And nobody uses them again. It may be this thread that maps, if this is what the host does when it is told of that.
        let Some(_growing) = self.growth.try_lock_for(patience) else { return Ok(None) };
        let mut state = self.state()?;
        let mut at = At { chunk, granule: 0 };
        let mut is_there = state.has(chunk, &mapping);
        while is_there && let Some(piece) = state.space.piece(at) {
            let Piece::Free(granules) = piece else {
                at = at.further(piece.granules());
                continue;
            };
            let Some(part) = whole_pages(&state.space, &mapping, Stretch { at, granules }) else {
                at = at.further(granules);
                continue;
            };
            // First, because the links of the lists lie in the memory.
            state.space.set_returned(at, part);
            let address = state.space.address(part.at);
            let is_gone = MutexGuard::unlocked(&mut state, || {
                // SAFETY: the range lies in the mapping, which stays, and nobody is given what was given back.
                unsafe { system::advise(address, part.bytes(), libc::MADV_DONTNEED) }.is_ok()
            });
            is_there = state.has(chunk, &mapping);
            if is_gone {
                mapping.discharge(part.bytes());
                returned += part.bytes();
            } else if is_there {
                state.space.restore(part);
            }
            at = part.at.further(part.granules);
        }
        Ok(Some(returned))
    }

    /// So that blocks can slide to where pages were given back. Where that is refused they stay behind it.
    pub(super) fn bring_back_before_movable(&self, chunk: u32) -> Result<u64, HeapError> {
        let mut bytes = 0;
        loop {
            let found = {
                let state = self.state()?;
                state.space.returned_before_movable(chunk).and_then(|part| Some((part, state.mapping(part.at.chunk)?)))
            };
            let Some((part, mapping)) = found else { return Ok(bytes) };
            let Some(_growing) = self.growth.try_lock() else { return Ok(bytes) };
            if self.bring_back(part, &mapping).is_err() {
                return Ok(bytes);
            }
            bytes += part.bytes();
        }
    }

    /// As much of what was given back in other chunks as it takes to move what lies in one there.
    pub(super) fn bring_back_beside(&self, chunk: u32) -> Result<u64, HeapError> {
        let mut bytes = 0;
        loop {
            let found = {
                let state = self.state()?;
                let lacks = state.evacuation_lacks(chunk).filter(|lacks| *lacks > 0);
                let all = lacks.and_then(|_| state.space.returned_beside(chunk));
                lacks.zip(all).and_then(|(lacks, all)| Some((lacks, all, state.mapping(all.at.chunk)?)))
            };
            let Some((lacks, all, mapping)) = found else { return Ok(bytes) };
            let part = first_pages(all, &mapping, lacks * GRANULE);
            let Some(_growing) = self.growth.try_lock() else { return Ok(bytes) };
            if self.bring_back(part, &mapping).is_err() {
                return Ok(bytes);
            }
            bytes += part.bytes();
        }
    }

    /// Charges again for memory that was given back, without the lock, and makes it free. For who holds the lock of the
    /// growth, so that nobody is giving it back just now.
    fn bring_back(&self, part: Stretch, mapping: &Arc<Mapping>) -> Result<(), HeapError> {
        mapping.charge_again(part.bytes()).map_err(PagesError::from)?;
        let mut state = self.state.lock();
        if !state.has(part.at.chunk, mapping) || !state.space.restore(part) {
            mapping.discharge(part.bytes());
        }
        Ok(())
    }

    /// Brings some of what was given back, where that makes room. `false`: nowhere.
    pub(super) fn bring_room_back(&self, bytes: u64) -> Result<bool, HeapError> {
        let found = {
            let state = self.state()?;
            let granules = u32::try_from(bytes / GRANULE).unwrap_or(u32::MAX);
            state.space.returned_with_room(granules).and_then(|part| Some((part, state.mapping(part.at.chunk)?)))
        };
        let Some((all, mapping)) = found else { return Ok(false) };
        self.bring_back(first_pages(all, &mapping, bytes), &mapping)?;
        Ok(true)
    }
}

impl State {
    fn mapping(&self, chunk: u32) -> Option<Arc<Mapping>> {
        match &self.space.chunk(chunk)?.memory {
            Memory::Mapped(mapping) => Some(mapping.clone()),
            Memory::Adopted { .. } => None,
        }
    }

    /// Whether that is still the memory of the chunk.
    fn has(&self, chunk: u32, mapping: &Arc<Mapping>) -> bool {
        self.mapping(chunk).is_some_and(|now| Arc::ptr_eq(&now, mapping))
    }
}
