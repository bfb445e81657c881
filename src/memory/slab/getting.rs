//! Getting a slot: from the magazine, from the depot with a batch for the magazine, from a new chunk, and at last from what
//! others have in theirs. Only when all of that was looked at is a slab exhausted.

use super::super::sanitizers;
use super::chunks::{ChunkError, Chunks};
use super::gate::Leave;
use super::magazine::{MOST_ITEMS, Magazine};
use super::states::RAW;
use super::{Slab, SlabError};
use crate::base::handles::Seated;
use crate::base::injection::Callback;
use crate::base::thread::ThreadRecord;
use crate::base::tracing::{self, CallSite, sampler};
use crate::base::{Owner, barrier, callback};
use std::sync::atomic::Ordering::*;

/// A slot that is the caller's, and what was in it.
struct Taken {
    index: u32,
    was: u8,
    /// How many slots were taken together, this one and those for the magazine.
    batch: u32,
}

/// Whether a place is about to be vacated, and does not wait for this thread: a callback may be of the trim itself, and
/// what the log is told may be that the kernel did not take a chunk.
fn is_vacated_by_others(chunks: &Chunks, owner: Owner) -> bool {
    if callback::inside(Owner::LOG) {
        return false;
    }
    if chunks.is_one_leaving() { !callback::inside(owner) } else { chunks.is_one_going() }
}

impl Slab {
    /// Gets a slot through the magazine that is kept for this thread.
    #[inline]
    pub fn get(&self, record: Option<&'static ThreadRecord>) -> Result<*mut u8, SlabError> {
        self.get_through(self.kept_for(record))
    }

    /// Gets a slot of the magazine that a thread has already, if one is in it; for a caller who turns to
    /// [`get`](Self::get) for everything else. A checked slab keeps no magazines.
    #[inline(always)]
    pub fn get_at_hand(seated: &Seated<Self>) -> Option<*mut u8> {
        if tracing::enabled() {
            return None;
        }
        let slot = seated.lane().pop_without_fence()?;
        seated.states.begin_inline(seated.geometry.number_of(slot));
        Some(slot)
    }

    /// Gets a slot through a magazine of the calling thread.
    #[inline]
    pub fn get_through(&self, magazine: Option<&Magazine>) -> Result<*mut u8, SlabError> {
        if self.is_plain()
            && let Some(magazine) = magazine
            && !self.is_to_settle(magazine)
            && let Some(slot) = magazine.pop()
        {
            self.begin(slot);
            return Ok(slot);
        }
        self.get_slowly(magazine)
    }

    /// A slot from a magazine is out.
    #[inline]
    pub fn begin(&self, slot: *mut u8) {
        if let Some(index) = self.geometry.index_of(slot) {
            self.states.begin(index);
        }
    }

    #[cold]
    #[inline(never)]
    fn get_slowly(&self, magazine: Option<&Magazine>) -> Result<*mut u8, SlabError> {
        loop {
            let growths = self.growths.load(SeqCst);
            if let Some(taken) = self.take(magazine)? {
                return self.hand_out(taken);
            }
            let Err(error) = self.grow(growths) else { continue };
            if let Some(taken) = self.recall()? {
                return self.hand_out(taken);
            }
            if self.has_room_by_now(&error) {
                continue;
            }
            return Err(self.exhausted(1, error));
        }
    }

    /// Of what is at hand, or in the depot; then also some for the magazine.
    fn take(&self, magazine: Option<&Magazine>) -> Result<Option<Taken>, SlabError> {
        let visit = self.gate.visit(magazine);
        if self.gate.is_sealed() {
            return Err(SlabError::Closed);
        }
        let open = magazine.filter(|_| visit.is_open && !self.checked);
        if let Some(magazine) = open {
            magazine.settle(self.is_inline());
            if let Some(index) = magazine.pop().and_then(|slot| self.geometry.index_of(slot)) {
                return Ok(Some(Taken { index, was: self.states.begin(index), batch: 1 }));
            }
        } else if let Some(magazine) = magazine {
            self.give_all(|each| magazine.drain(each));
        }
        let taken = match open {
            Some(magazine) => self.refill(magazine),
            None => self.take_from_depot(),
        };
        let Some(taken) = taken else { return Ok(None) };
        let is_open = visit.is_open;
        drop(visit);
        if !is_open && !self.checked {
            self.gate.note_calm();
        }
        Ok(Some(taken))
    }

    fn take_from_depot(&self) -> Option<Taken> {
        let mut taken = None;
        self.depot.take(1, |index| taken = Some(Taken { index, was: self.states.begin(index), batch: 1 }));
        if self.checked
            && let Some(taken) = &taken
        {
            self.depot.rotate(taken.index);
        }
        taken
    }

    /// For a magazine that is empty: one slot, and with it some more for the magazine, half of it in all, so that what comes
    /// next finds room on both sides.
    fn refill(&self, magazine: &Magazine) -> Option<Taken> {
        let mut batch = [0; MOST_ITEMS as usize];
        let half = (self.config.magazine_slots / 2).max(2);
        // In one step, unless the first may have to be made.
        let mut count = self.draw(magazine, &mut batch[..if self.creates { 1 } else { half as usize }]);
        if count == 0 {
            return None;
        }
        let index = batch[0];
        let was = self.states.begin(index);
        if self.creates && was == RAW {
            // What was never made is made one by one, when it is wanted.
            return Some(Taken { index, was, batch: 1 });
        }
        if self.creates {
            count += self.draw(magazine, &mut batch[1..half as usize]);
        }
        // The lowest comes out first.
        magazine.add_all(batch[1..count].iter().rev().filter_map(|index| {
            if self.creates && self.states.of(*index) == RAW {
                self.give_index(*index);
                return None;
            }
            Some((self.geometry.slot(*index), u64::from(*index)))
        }));
        magazine.refills.store(magazine.refills.load(Relaxed) + 1, Relaxed);
        Some(Taken { index, was, batch: count as u32 })
    }

    /// Of the depot, as many as there is room for; tells how many.
    fn draw(&self, magazine: &Magazine, batch: &mut [u32]) -> usize {
        let most = batch.len() as u32;
        let mut places = batch.iter_mut();
        let take = |index| places.next().into_iter().for_each(|place| *place = index);
        self.depot.draw(&magazine.claim, most, take) as usize
    }

    /// Of what others have at hand. All of it goes to the depot, where everybody looks from now on.
    #[cold]
    fn recall(&self) -> Result<Option<Taken>, SlabError> {
        self.counters.recalls.fetch_add(1, Relaxed);
        let taken = self.alone(Leave::Shut, || self.take_from_depot());
        if taken.is_none() && self.gate.is_sealed() {
            return Err(SlabError::Closed);
        }
        Ok(taken)
    }

    /// A slot of a chunk that goes is no longer free, and its place not yet: whoever finds nothing else waits for that, or
    /// for the end of the slab.
    pub(super) fn has_room_by_now(&self, error: &SlabError) -> bool {
        let (has_place, will_have_one) = {
            let chunks = self.chunks.lock();
            (chunks.absent().is_ok(), is_vacated_by_others(&chunks, self.owner))
        };
        if has_place && matches!(error, SlabError::Chunk(ChunkError::Full(_))) {
            return true;
        }
        if will_have_one {
            barrier::wait_while(|| !self.gate.is_sealed() && is_vacated_by_others(&self.chunks.lock(), self.owner));
        }
        will_have_one
    }

    #[cold]
    fn exhausted(&self, wanted: u64, error: SlabError) -> SlabError {
        self.counters.exhausted.fetch_add(1, Relaxed);
        match error {
            SlabError::Chunk(ChunkError::Full(max)) => SlabError::Exhausted { wanted, max },
            error => error,
        }
    }

    /// Makes of a slot that was taken one that can be used.
    fn hand_out(&self, taken: Taken) -> Result<*mut u8, SlabError> {
        let slot = self.geometry.slot(taken.index);
        self.allow(slot);
        if self.creates && taken.was == RAW {
            let created = callback::run_checked(self.owner, Callback::Create, || self.upkeep.create(slot));
            if let Err(failure) = created {
                let visit = self.gate.visit(None);
                self.states.make_raw(taken.index);
                self.give_index(taken.index);
                self.end_visit(visit);
                return Err(failure.into());
            }
        }
        self.trace(&taken);
        Ok(slot)
    }

    /// Notes who has a slot, if tracing wants to know of each, or the sample falls on it. What a magazine was filled with
    /// at the same time is given out without a call, so this slot stands for those as well.
    fn trace(&self, taken: &Taken) {
        let Some(record) = ThreadRecord::current() else { return };
        let batch = if tracing::enabled() { 1 } else { taken.batch };
        if let Some(stands_for) = sampler::falls_on(record, self.config.slot_bytes * u64::from(batch)) {
            let stands_for = stands_for as f32 * batch as f32;
            self.states.note(taken.index, record.number(), CallSite::here(), stands_for);
        }
    }

    fn allow(&self, slot: *mut u8) {
        if self.checked && !self.creates {
            sanitizers::allow(slot, self.config.slot_bytes);
        }
    }

    /// Gets as many slots as there is room for, or none.
    pub fn get_n(&self, record: Option<&'static ThreadRecord>, slots: &mut [*mut u8]) -> Result<(), SlabError> {
        self.get_n_through(self.kept_for(record), slots)
    }

    pub fn get_n_through(&self, magazine: Option<&Magazine>, slots: &mut [*mut u8]) -> Result<(), SlabError> {
        if slots.len() <= MOST_ITEMS as usize && self.is_plain() && self.pop_n(magazine, slots) {
            return Ok(());
        }
        self.get_n_slowly(magazine, slots)
    }

    fn pop_n(&self, magazine: Option<&Magazine>, slots: &mut [*mut u8]) -> bool {
        let count = slots.len() as u32;
        let mut places = slots.iter_mut();
        magazine.filter(|magazine| !self.is_to_settle(magazine)).is_some_and(|magazine| {
            magazine.pop_n(count, |slot| {
                self.begin(slot);
                if let Some(place) = places.next() {
                    *place = slot;
                }
            })
        })
    }

    #[cold]
    fn get_n_slowly(&self, magazine: Option<&Magazine>, slots: &mut [*mut u8]) -> Result<(), SlabError> {
        let wanted = slots.len() as u64;
        for got in 0..slots.len() {
            match self.get_through(magazine) {
                Ok(slot) => slots[got] = slot,
                Err(error) => {
                    self.put_back(magazine, &mut slots[..got]);
                    return Err(match error {
                        SlabError::Exhausted { max, .. } => SlabError::Exhausted { wanted, max },
                        error => error,
                    });
                }
            }
        }
        Ok(())
    }

    /// What was got in vain.
    fn put_back(&self, magazine: Option<&Magazine>, slots: &mut [*mut u8]) {
        for slot in slots.iter_mut() {
            // It is ours and out, so it can be put.
            let _ = self.put_through(magazine, *slot);
            *slot = std::ptr::null_mut();
        }
    }
}
