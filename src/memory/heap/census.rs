//! What a heap holds: its numbers, and its live blocks.

use super::bins::At;
use super::classes::GRANULE;
use super::guards::Guarded;
use super::space::{Memory, Piece};
use super::{Heap, HeapError, State};
use crate::base::alloc;
use crate::base::tracing::CallSite;
use crate::memory::pages::Mapping;
use crate::memory::residency;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapStats {
    pub chunks: u64,
    pub mapped_bytes: u64,
    pub peak_mapped_bytes: u64,
    pub adopted_bytes: u64,
    pub resident_bytes: u64,
    pub blocks: u64,
    pub movable_blocks: u64,
    pub requested_bytes: u64,
    pub used_bytes: u64,
    pub cached_bytes: u64,
    pub free_bytes: u64,
    pub free_blocks: u64,
    pub largest_free_bytes: u64,
    pub tag_bytes: u64,
    pub allocations: u64,
    pub repairs: u64,
    pub step_downs: u64,
    pub returned_bytes: u64,
}

/// A block that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveBlock {
    pub address: u64,
    pub requested_bytes: u64,
    pub used_bytes: u64,
    pub is_movable: bool,
    pub site: CallSite,
}

impl Heap {
    /// Asks the kernel how much of the memory is there. While other threads are at work, the numbers are of about the same
    /// moment.
    pub fn stats(&self) -> Result<HeapStats, HeapError> {
        let (mut stats, mappings) = {
            let state = self.state.lock();
            (self.count(&state), mappings(&state)?)
        };
        stats.resident_bytes = mappings.iter().map(|mapping| residency::measure(mapping).resident_bytes).sum();
        Ok(stats)
    }

    fn count(&self, state: &State) -> HeapStats {
        let space = &state.space;
        let granules: u64 = space.grounds().map(|ground| u64::from(ground.granules)).sum();
        let free: u64 = space.chunks().map(|chunk| u64::from(chunk.free_granules)).sum();
        let sum = |each: fn(&super::Tally) -> u64| {
            self.caches.all().fold(each(&state.tally), |sum, cache| sum.wrapping_add(each(&cache.tally)))
        };
        let returned: u64 = space.chunks().map(|chunk| u64::from(chunk.returned_granules)).sum();
        let cached_bytes = self.cached_bytes(state);
        let used_bytes = ((granules - free - returned) * GRANULE).saturating_sub(cached_bytes);
        HeapStats {
            chunks: space.chunks().count() as u64,
            mapped_bytes: state.mapped_bytes,
            peak_mapped_bytes: state.peak_mapped_bytes,
            adopted_bytes: state.adopted_bytes,
            resident_bytes: 0,
            blocks: self.live_blocks(state),
            movable_blocks: state.vacancies.taken(),
            requested_bytes: used_bytes.saturating_sub(sum(|tally| tally.spare_bytes.get())),
            used_bytes,
            cached_bytes,
            free_bytes: free * GRANULE,
            free_blocks: space.free_blocks,
            largest_free_bytes: u64::from(space.largest()) * GRANULE,
            tag_bytes: granules,
            allocations: sum(|tally| tally.allocs.get()),
            repairs: space.repairs,
            step_downs: state.step_downs,
            returned_bytes: returned * GRANULE,
        }
    }

    pub(super) fn live_blocks(&self, state: &State) -> u64 {
        let mut live = state.tally.allocs.get().wrapping_sub(state.tally.frees.get());
        for cache in self.caches.all() {
            // Frees first: a block that one thread allocated may be given back by another meanwhile.
            let frees = cache.tally.frees.get();
            live = live.wrapping_add(cache.tally.allocs.get()).wrapping_sub(frees);
        }
        live
    }

    /// The live blocks behind an address, by address, as many as fit into `room`; and how many there are behind it in all.
    pub fn blocks_behind(&self, address: u64, room: usize) -> Result<(Vec<LiveBlock>, u64), HeapError> {
        let state = self.state.lock();
        // No thread allocates or frees meanwhile.
        self.shut();
        let listed = self.list_behind(&state, address, room);
        self.reopen(&state);
        listed
    }

    fn list_behind(&self, state: &State, address: u64, room: usize) -> Result<(Vec<LiveBlock>, u64), HeapError> {
        let mut chunks = alloc::try_vec(state.space.chunks().count())?;
        chunks.extend(state.space.grounds().map(|ground| (ground.start as u64, ground.chunk)));
        chunks.sort_unstable();
        let mut listed = alloc::try_vec(room.min(self.live_blocks(state) as usize))?;
        let mut count = 0;
        for (_, chunk) in chunks {
            let live = state.space.pieces(chunk).filter_map(|(at, piece)| self.live_block(state, at, piece));
            for block in live.filter(|block| block.address > address) {
                count += 1;
                if listed.len() < listed.capacity() {
                    listed.push(block);
                }
            }
        }
        Ok((listed, count))
    }

    fn live_block(&self, state: &State, at: At, piece: Piece) -> Option<LiveBlock> {
        let start = state.space.address(at);
        let (extent, is_movable) = match piece {
            Piece::Used(extent) => (extent, false),
            Piece::Movable(extent, _) => (extent, true),
            Piece::Free(_) | Piece::Returned(_) | Piece::Cached(_) => return None,
        };
        let guarded = self.config.checked.then_some(Guarded { start, extent });
        Some(LiveBlock {
            address: guarded.map_or(start, Guarded::block) as u64,
            requested_bytes: self.seen_bytes(extent),
            used_bytes: extent.bytes(),
            is_movable,
            site: guarded.map_or(CallSite::NONE, Guarded::site),
        })
    }
}

fn mappings(state: &State) -> Result<Vec<Arc<Mapping>>, HeapError> {
    let mut mappings = alloc::try_vec(state.space.chunks().count())?;
    mappings.extend(state.space.chunks().filter_map(|chunk| match &chunk.memory {
        Memory::Mapped(mapping) => Some(mapping.clone()),
        Memory::Adopted { .. } => None,
    }));
    Ok(mappings)
}
