//! Room: a slab grows by a chunk when nothing is free, and gives chunks back in which nothing is in use.

use super::super::governor::Account;
use super::super::governor::reclaim::{ReclaimKind, Reclaimer};
use super::super::sanitizers;
use super::chunks::Gone;
use super::gate::Leave;
use super::states::FREE;
use super::{Slab, SlabError};
use crate::base::alloc;
use crate::base::clock;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

impl Slab {
    /// Adds a chunk, unless there is more than when the caller looked.
    #[cold]
    pub(super) fn grow(&self, growths: u64) -> Result<(), SlabError> {
        let _growing = self.growth.lock();
        if self.growths.load(SeqCst) != growths {
            return Ok(());
        }
        let index = self.chunks.lock().absent()?;
        let mapping = self.plan.map(index, &self.space, &self.account)?;
        if self.checked && !self.creates {
            sanitizers::forbid(mapping.address(), mapping.bytes);
        }
        let slots = self.chunks.lock().place(index, mapping);
        self.give_range(slots);
        self.last_growth_ns.store(clock::now_ns(), Relaxed);
        self.growths.fetch_add(1, SeqCst);
        Ok(())
    }

    fn give_range(&self, slots: Range<u32>) {
        let mut start = slots.start;
        while start < slots.end {
            let end = slots.end.min((start / 64 + 1) * 64);
            let bits = (u64::MAX >> (64 - (end - start))) << (start % 64);
            self.depot.give_all(start / 64, bits);
            start = end;
        }
    }

    /// Gives chunks back in which every slot is free, the last ones first, until `bytes` are given back or no more than the
    /// first ones are left; tells how much it was.
    pub fn trim(&self, bytes: u64) -> u64 {
        if self.trimming.swap(true, SeqCst) {
            // One at a time; what is free is on its way out already.
            return 0;
        }
        let _trimming = Trimming(&self.trimming);
        if self.gate.is_sealed() {
            return 0;
        }
        let Ok(mut leaving) = alloc::try_vec(self.chunks.lock().places()) else { return 0 };
        let freed = self.alone(Leave::AsItWas, || {
            let mut chunks = self.chunks.lock();
            let mut freed = 0;
            for index in (0..chunks.places()).rev() {
                let may_go = freed < bytes && chunks.count() > self.config.initial_chunks();
                let Some((chunk_bytes, slots)) = chunks.mapped(index).filter(|_| may_go) else { continue };
                if self.depot.take_range(slots.clone()) {
                    chunks.begin_leaving(index);
                    leaving.push(Leaving { slab: self, index, slots });
                    freed += chunk_bytes;
                }
            }
            freed
        });
        leaving.into_iter().for_each(Leaving::destroy);
        if freed > 0 {
            self.counters.trims.fetch_add(1, Relaxed);
        }
        freed
    }

    /// Gives the memory of a chunk back, if it is nobody's any more. Others use the list meanwhile.
    pub(super) fn give_back(&self, gone: Option<Gone>) {
        if let Some(Gone { index, mapping }) = gone {
            drop(mapping);
            self.chunks.lock().vacate(index);
        }
    }
}

/// A chunk that leaves, and those of its slots that are not yet raw. It goes also when a callback unwinds; what was made in
/// the others is lost then.
struct Leaving<'a> {
    slab: &'a Slab,
    index: usize,
    slots: Range<u32>,
}

impl Leaving<'_> {
    /// Ends what was made in it.
    fn destroy(mut self) {
        while !self.slots.is_empty() {
            let slot = self.slots.start;
            if self.slab.states.of(slot) == FREE && self.slab.creates {
                self.slab.destroy(self.slab.geometry.slot(slot));
            }
            self.slab.states.make_raw(slot);
            self.slots.start += 1;
        }
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.slots.clone().for_each(|slot| self.slab.states.make_raw(slot));
        let gone = self.slab.chunks.lock().end_leaving(self.index);
        self.slab.give_back(gone);
    }
}

/// Ends a trim, also when a callback unwinds.
struct Trimming<'a>(&'a AtomicBool);

impl Drop for Trimming<'_> {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}

impl Reclaimer for Slab {
    fn kind(&self) -> ReclaimKind {
        ReclaimKind::Empty
    }

    /// What is in magazines may hold a chunk back, or not.
    fn reclaimable_bytes(&self) -> u64 {
        let chunks = self.chunks.lock();
        let spare = chunks.count().saturating_sub(self.config.initial_chunks());
        let mapped = (0..chunks.places()).filter_map(|index| chunks.mapped(index));
        let is_empty = |slots: &Range<u32>| slots.clone().all(|slot| self.depot.has(slot));
        mapped.filter(|(_, slots)| is_empty(slots)).take(spare as usize).map(|(bytes, _)| bytes).sum()
    }

    /// When it last needed more.
    fn last_used_ns(&self) -> u64 {
        self.last_growth_ns.load(Relaxed)
    }

    fn reclaim(&self, bytes: u64) -> u64 {
        self.trim(bytes)
    }

    fn account(&self) -> Option<&Arc<Account>> {
        Some(&self.account)
    }
}
