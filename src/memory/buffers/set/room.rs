//! Room: a set grows by a span, or a chunk, when nothing is idle, and gives back what nobody uses.

use super::super::chunks::{self, Fit, Site, UNIT_ALIGN};
use super::super::record::{Chain, Kind};
use super::super::sizes;
use super::config::SMALLEST_CHUNK_BYTES;
use super::{Buffers, BuffersError};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::barrier;
use crate::memory::governor::Account;
use crate::memory::governor::reclaim::{ReclaimKind, Reclaimer};
use crate::memory::pages::NextChunk;
use crate::memory::sanitizers;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

impl Buffers {
    /// Cuts another span, and takes buffers of it.
    pub(super) fn grow(&self, class: usize, wanted: u32) -> Result<Chain, BuffersError> {
        let _growing = self.growth.lock();
        let found = self.take(class, wanted);
        if found.count > 0 {
            return Ok(found);
        }
        let bytes = sizes::bytes_of(class);
        let has_room = self.chunks.lock().take(bytes, Fit::Good);
        let site = match has_room {
            Some(site) => site,
            None => match self.map(bytes).and_then(|()| self.site(bytes, Fit::Good)) {
                Ok(site) => site,
                Err(error) => {
                    // What other threads have at hand, and what other sizes do not use, comes before a refusal.
                    self.recall();
                    let found = self.take(class, wanted);
                    if found.count > 0 {
                        return Ok(found);
                    }
                    self.give_spans_back(0);
                    self.site(bytes, Fit::Tight).or_else(|_| {
                        // Chunks that are too small for it make room for one that is not.
                        if self.drop_empty_chunks(0) == 0 {
                            return Err(error);
                        }
                        self.map(bytes).and_then(|()| self.site(bytes, Fit::Tight))
                    })?
                }
            },
        };
        self.add_span(class, site, wanted)
    }

    fn site(&self, bytes: u64, fit: Fit) -> Result<Site, BuffersError> {
        self.chunks.lock().take(bytes, fit).ok_or(OutOfMemory { bytes }.into())
    }

    /// Cuts a span into buffers, of which the caller gets so many before anybody else can.
    fn add_span(&self, class: usize, site: Site, wanted: u32) -> Result<Chain, BuffersError> {
        let bytes = sizes::bytes_of(class);
        let give_back = |_: &BuffersError| self.chunks.lock().give_back(site);
        let mut spares = self.take_spares((site.bytes / bytes) as u32).inspect_err(give_back)?;
        let mut idle = Chain::EMPTY;
        while let Some(number) = spares.pop(&self.records) {
            let data = site.start.wrapping_add((u64::from(spares.count) * bytes) as usize);
            self.records.get(number).describe(Kind::Buffer(class), data, bytes);
            idle.push(&self.records, number);
        }
        if self.is_watched {
            sanitizers::forbid(site.start, site.bytes);
        }
        let taken = {
            let mut depot = self.depots[class].lock();
            depot.add(site, idle, &self.records).map(|()| depot.take(wanted, &self.records))
        };
        taken.map_err(BuffersError::from).inspect_err(|error| {
            self.put_spares(idle);
            give_back(error);
        })
    }

    /// Maps a chunk that has room for so many bytes in one piece.
    pub(super) fn map(&self, needed: u64) -> Result<(), BuffersError> {
        let mapped = self.chunks.lock().mapped_bytes();
        let limit = if self.config.limit_bytes == 0 { u64::MAX } else { self.config.limit_bytes };
        let next = NextChunk {
            // Less than a chunk can be would be of little use.
            needed: chunks::chunk_for(needed.max(SMALLEST_CHUNK_BYTES)),
            usual: self.config.chunk_bytes,
            left: limit.saturating_sub(mapped) & !(UNIT_ALIGN - 1),
            source: self.config.source,
            account: &self.account,
            name: self.config.name.as_str(),
        };
        let mapping = alloc::try_arc(next.map(|wanted| BuffersError::Limit { wanted, limit, mapped })?)?;
        Ok(self.chunks.lock().add(mapping)?)
    }

    /// Takes what threads have at hand to where all find it; for one who grows or trims alone.
    fn recall(&self) {
        self.counters.recalls.fetch_add(1, Relaxed);
        self.moving(|| {
            self.stashes.all().for_each(|stash| stash.door.shut());
            barrier::heavy();
            for stash in self.stashes.all() {
                stash.empty(|class, idle| self.depots[class].lock().put(idle, &self.records));
            }
        });
    }

    /// Gives spans whose buffers are all idle back to their chunks, until the sizes keep no more than so many bytes.
    fn give_spans_back(&self, keep_bytes: u64) {
        let mut whole: u64 = self.depots.iter().map(|depot| depot.lock().whole_bytes()).sum();
        for depot in self.depots.iter().rev() {
            while whole > keep_bytes {
                // Its buffers are nobody's before their memory is.
                let Some((site, buffers)) = depot.lock().take_whole() else { break };
                self.put_spares(buffers);
                self.chunks.lock().give_back(site);
                whole -= whole.min(site.bytes);
            }
        }
    }

    /// Unmaps chunks that nothing is cut from, and tells how many bytes that were.
    fn drop_empty_chunks(&self, keep_bytes: u64) -> u64 {
        let mut freed = 0;
        loop {
            let mapping = {
                let mut chunks = self.chunks.lock();
                if chunks.mapped_bytes() <= keep_bytes {
                    break;
                }
                chunks.take_empty()
            };
            let Some(mapping) = mapping else { break };
            freed += mapping.bytes;
            drop(mapping);
        }
        freed
    }

    /// Gives idle memory back to the system until no more than so much is mapped, and tells how much it gave back.
    pub fn trim(&self, keep_bytes: u64) -> u64 {
        let growing = self.growth.lock();
        self.trim_alone(keep_bytes, &growing)
    }

    fn trim_alone(&self, keep_bytes: u64, _growing: &MutexGuard<'_, ()>) -> u64 {
        self.counters.trims.fetch_add(1, Relaxed);
        self.recall();
        self.give_spans_back(keep_bytes.saturating_sub(self.in_use_bytes()));
        self.drop_empty_chunks(keep_bytes)
    }
}

impl Reclaimer for Buffers {
    fn kind(&self) -> ReclaimKind {
        ReclaimKind::Empty
    }

    fn reclaimable_bytes(&self) -> u64 {
        let whole: u64 = self.depots.iter().map(|depot| depot.lock().whole_bytes()).sum();
        whole + self.chunks.lock().empty_bytes()
    }

    fn last_used_ns(&self) -> u64 {
        self.counters.last_used_ns.load(Relaxed)
    }

    fn reclaim(&self, bytes: u64) -> u64 {
        // A set that is growing may wait for the very memory that is looked for.
        let Some(growing) = self.growth.try_lock() else { return 0 };
        let mapped = self.chunks.lock().mapped_bytes();
        self.trim_alone(mapped.saturating_sub(bytes), &growing)
    }

    fn account(&self) -> Option<&Arc<Account>> {
        Some(&self.account)
    }
}
