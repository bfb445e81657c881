//! What a heap gives back when memory runs short: empty chunks at once, and what a compaction frees.

use super::classes::GRANULE;
use super::space::Chunk;
use super::{Heap, HeapError};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::clock;
use crate::memory::governor::Account;
use crate::memory::governor::reclaim::{ReclaimKind, Reclaimer, register};
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, Weak};

/// One of the two ways in which a heap gives memory back.
pub struct Returning {
    heap: Weak<Heap>,
    account: Arc<Account>,
    kind: ReclaimKind,
    /// What the heap had done when it was last looked at, and when that was not the same as before.
    seen: AtomicU64,
    seen_ns: AtomicU64,
}

/// Has the governor ask the heap, for as long as what is returned lives.
pub fn offer(heap: &Arc<Heap>) -> Result<[Arc<Returning>; 2], OutOfMemory> {
    let (heap_account, heap_owner) = (&heap.account, heap.owner);
    let way = |kind| {
        let heap = Arc::downgrade(heap);
        let seen_ns = AtomicU64::new(clock::now_ns());
        let account = heap_account.clone();
        let returning = alloc::try_arc(Returning { heap, account, kind, seen: AtomicU64::new(0), seen_ns })?;
        let known: Arc<dyn Reclaimer> = returning.clone();
        register::<Heap>(heap_owner, Arc::downgrade(&known))?;
        Ok(returning)
    };
    Ok([way(ReclaimKind::Empty)?, way(ReclaimKind::Compact)?])
}

impl Reclaimer for Returning {
    fn kind(&self) -> ReclaimKind {
        self.kind
    }

    fn reclaimable_bytes(&self) -> u64 {
        let Some(heap) = self.heap.upgrade() else { return 0 };
        match self.kind {
            ReclaimKind::Empty => heap.empty_bytes(),
            _ => heap.scattered_bytes(),
        }
    }

    /// The hot paths read no clock, so it is when the heap was last seen to have done something.
    fn last_used_ns(&self) -> u64 {
        let done = self.heap.upgrade().map_or(0, |heap| heap.allocations());
        if self.seen.swap(done, Relaxed) != done {
            self.seen_ns.store(clock::now_ns(), Relaxed);
        }
        self.seen_ns.load(Relaxed)
    }

    fn reclaim(&self, bytes: u64) -> u64 {
        let Some(heap) = self.heap.upgrade() else { return 0 };
        let returned = match self.kind {
            ReclaimKind::Empty => heap.trim_by(bytes),
            _ => heap.compact(0).map(|done| done.returned_bytes),
        };
        // A heap that is closing gives all of it back soon.
        returned.unwrap_or(0)
    }

    fn account(&self) -> Option<&Arc<Account>> {
        Some(&self.account)
    }
}

impl Heap {
    /// What is in chunks in which nothing lies.
    fn empty_bytes(&self) -> u64 {
        self.state.lock().empty_chunks().map(Chunk::charged_bytes).sum()
    }

    /// What is free in the other chunks, if there are blocks that could be moved.
    fn scattered_bytes(&self) -> u64 {
        let state = self.state.lock();
        if state.vacancies.taken() == 0 {
            return 0;
        }
        let used = state.space.chunks().filter(|chunk| !chunk.is_empty());
        used.map(|chunk| u64::from(chunk.free_granules) * GRANULE).sum()
    }

    /// Gives about so many bytes back in empty chunks.
    fn trim_by(&self, bytes: u64) -> Result<u64, HeapError> {
        let mapped = self.state()?.mapped_bytes;
        self.trim(mapped.saturating_sub(bytes.max(self.config.chunk_bytes)))
    }

    /// A number that goes on with each allocation.
    fn allocations(&self) -> u64 {
        let state = self.state.lock();
        let own = state.tally.allocs.get();
        self.caches.all().fold(own, |sum, cache| sum.wrapping_add(cache.tally.allocs.get()))
    }
}
