//! Where room for a block comes from: what is free, what threads have at hand, what was given back, another chunk.

use super::bins::At;
use super::cache::Cache;
use super::classes::{self, GRANULE};
use super::space::{self, Chunk, Memory};
use super::stack::Block;
use super::tags::Found;
use super::{Heap, HeapError, LARGEST_CHUNK_BYTES, State, Wanted};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::thread;
use crate::memory::pages::{Mapping, NextChunk};
use parking_lot::MutexGuard;

impl Heap {
    /// Takes something that needs room for `wanted`: from what is free, then from what threads have at hand, then from
    /// what was given back, then from another chunk.
    pub(super) fn with_room<R>(&self, wanted: &Wanted, take: impl Fn(&mut State) -> Option<R>) -> Result<R, HeapError> {
        {
            let mut state = self.state()?;
            if let Some(taken) = take(&mut state) {
                return Ok(taken);
            }
            // Once for each chunk: threads will have as much at hand again.
            if !std::mem::replace(&mut state.has_recalled, true)
                && let Some(taken) = self.take_from_all(&mut state, &take)
            {
                return Ok(taken);
            }
        }
        let _growing = self.growth.lock();
        if let Some(taken) = take(&mut *self.state()?) {
            return Ok(taken);
        }
        let room = u64::from(wanted.granules) * GRANULE + wanted.align.saturating_sub(GRANULE);
        let grown = loop {
            match self.bring_room_back(room) {
                Ok(true) => {
                    if let Some(taken) = take(&mut *self.state()?) {
                        return Ok(taken);
                    }
                }
                Ok(false) => break self.add_chunk(room),
                Err(refusal) => break Err(refusal),
            }
        };
        match grown {
            Ok(mut state) => take(&mut state).ok_or(OutOfMemory { bytes: wanted.asked }.into()),
            Err(refusal) => self.take_from_all(&mut *self.state()?, &take).ok_or(refusal),
        }
    }

    /// The same after what threads have at hand was taken back, if there is any.
    fn take_from_all<R>(&self, state: &mut State, take: impl Fn(&mut State) -> Option<R>) -> Option<R> {
        if self.cached_bytes(state) == 0 {
            return None;
        }
        self.recall(state);
        take(state)
    }

    /// Maps a chunk with room for a block, without the lock, and adds it. For who holds the lock of the growth.
    pub(super) fn add_chunk(&self, room: u64) -> Result<MutexGuard<'_, State>, HeapError> {
        if self.config.adopted_only {
            return Err(HeapError::AdoptedFull { wanted: room });
        }
        let too_large = OutOfMemory { bytes: room };
        let needed = space::bytes_for(room / GRANULE).filter(|_| room < LARGEST_CHUNK_BYTES).ok_or(too_large)?;
        let mapped = self.state()?.mapped_bytes;
        let mapping = alloc::try_arc(self.map(needed, mapped)?)?;
        let mut state = self.state()?;
        let (bytes, stepped_down) = (mapping.bytes, mapping.stepped_down());
        let is_for_one = needed > self.config.chunk_bytes;
        self.put_in(&mut state, Chunk::new(Memory::Mapped(mapping), is_for_one))?;
        state.has_recalled &= is_for_one;
        state.mapped_bytes += bytes;
        state.peak_mapped_bytes = state.peak_mapped_bytes.max(state.mapped_bytes);
        state.step_downs += u64::from(stepped_down);
        Ok(state)
    }

    fn map(&self, needed: u64, mapped: u64) -> Result<Mapping, HeapError> {
        let limit = if self.config.limit_bytes == 0 { u64::MAX } else { self.config.limit_bytes };
        let next = NextChunk {
            needed,
            usual: self.config.chunk_bytes,
            left: limit.saturating_sub(mapped),
            source: self.config.source,
            account: &self.account,
            name: self.config.name.as_str(),
        };
        next.map(|wanted| HeapError::Limit { wanted, limit, mapped })
    }

    pub(super) fn put_in(&self, state: &mut State, mut chunk: Chunk) -> Result<(), HeapError> {
        chunk.ground.chunk = state.space.reserve()?;
        self.shut();
        let added = self.directory.add(&chunk.ground, state.space.grounds());
        if added.is_ok() {
            state.space.add(chunk);
        }
        self.reopen(state);
        Ok(added?)
    }

    pub(super) fn take_out_if_for_one(&self, state: &mut State, place: u32) -> Option<Chunk> {
        let is_for_one = state.space.chunk(place).is_some_and(|chunk| chunk.is_for_one);
        if is_for_one { self.take_out(state, place) } else { None }
    }

    /// Takes an empty chunk out; its memory goes with the value.
    pub(super) fn take_out(&self, state: &mut State, place: u32) -> Option<Chunk> {
        self.shut();
        let chunk = state.space.remove(place);
        self.directory.keep(state.space.grounds());
        self.reopen(state);
        state.mapped_bytes -= chunk.as_ref().map_or(0, |chunk| chunk.memory.bytes());
        chunk
    }

    /// Takes back what threads have at hand.
    pub(super) fn recall(&self, state: &mut State) {
        self.shut();
        self.caches.all().for_each(|cache| cache.empty(|block| self.give(state, block)));
        state.widened_bytes = 0;
        for class in 0..classes::CLASSES {
            while let Some(block) = state.depot.take(class) {
                self.give(state, block);
            }
        }
        self.reopen(state);
    }

    /// Takes a block back that one thread has too many of, mostly for another.
    pub(super) fn leave(&self, state: &mut State, class: usize, block: Block) {
        let most = state.most_at_hand();
        if !state.depot.leave(class, block, most) {
            self.give(state, block);
        }
    }

    /// Takes a block back that a thread had at hand.
    pub(super) fn give(&self, state: &mut State, block: Block) {
        if let Some(place) = self.directory.find(block.address)
            && let Found::Cached(extent) = place.tag.find()
        {
            state.space.give(At { chunk: place.chunk, granule: place.granule }, extent.granules);
        }
    }

    /// For who holds the lock: no thread is in its cache or in the directory until they are opened again. The barrier that
    /// every core passes has to come under the lock: before it, another could open the windows again. It takes microseconds.
    pub(super) fn shut(&self) {
        self.windows.shut(thread::pockets(self.owner));
    }

    pub(super) fn reopen(&self, state: &State) {
        if !self.config.checked && !state.closing {
            self.windows.open();
        }
    }

    pub(super) fn cached_bytes(&self, state: &State) -> u64 {
        state.depot.bytes() + self.caches.all().map(Cache::bytes).sum::<u64>()
    }
}
