//! Putting a slot back: into the magazine, of which a batch goes to the depot when it is full. What is no slot, or is not
//! out, is told, and changes nothing.

use super::super::sanitizers;
use super::gate::Visit;
use super::magazine::Magazine;
use super::states::{NotOut, OUT};
use super::{Slab, SlabError};
use crate::base::callback;
use crate::base::handles::Seated;
use crate::base::injection::Callback;
use crate::base::park::Parker;
use crate::base::thread::ThreadRecord;
use std::sync::atomic::Ordering::*;

impl Slab {
    /// Puts a slot through the magazine that is kept for this thread.
    #[inline]
    pub fn put(&self, record: Option<&'static ThreadRecord>, slot: *mut u8) -> Result<(), SlabError> {
        self.put_through(self.kept_for(record), slot)
    }

    /// Puts a slot into the magazine that a thread has already, if it can be put and there is room; for a caller who turns
    /// to [`put`](Self::put) for everything else.
    #[inline(always)]
    pub fn put_at_hand(seated: &Seated<Self>, slot: *mut u8) -> Option<()> {
        let magazine = seated.lane();
        let number = seated.geometry.number_of(slot);
        (magazine.has_room(1) && seated.states.end_inline(number)).then(|| magazine.add(slot, number))
    }

    /// Puts a slot, whoever got it, through a magazine of the calling thread.
    #[inline]
    pub fn put_through(&self, magazine: Option<&Magazine>, slot: *mut u8) -> Result<(), SlabError> {
        let Some(index) = self.geometry.index_of(slot) else { return Err(self.foreign(slot)) };
        if !self.checked
            && let Some(magazine) = magazine
            && magazine.has_room(1)
            && !self.is_to_settle(magazine)
        {
            if !self.states.end_inline(index.into()) {
                return Err(self.not_out(index, slot));
            }
            magazine.add(slot, index.into());
            return Ok(());
        }
        self.put_slowly(magazine, index, slot)
    }

    #[cold]
    fn foreign(&self, slot: *mut u8) -> SlabError {
        self.counters.foreign.fetch_add(1, Relaxed);
        SlabError::Foreign { address: slot as usize }
    }

    #[cold]
    fn not_out(&self, index: u32, slot: *mut u8) -> SlabError {
        let address = slot as usize;
        match self.states.why_not_out(index) {
            NotOut::Raw => {
                self.counters.foreign.fetch_add(1, Relaxed);
                SlabError::NeverGot { address }
            }
            NotOut::Free => {
                self.counters.put_twice.fetch_add(1, Relaxed);
                SlabError::PutTwice { address }
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn put_slowly(&self, magazine: Option<&Magazine>, index: u32, slot: *mut u8) -> Result<(), SlabError> {
        if self.states.of(index) < OUT {
            return Err(self.not_out(index, slot));
        }
        let is_clean = !self.resets || self.reset(slot);
        let magazine = magazine.filter(|_| !self.checked);
        let visit = self.gate.visit(magazine);
        if !self.states.end(index) {
            drop(visit);
            return Err(self.not_out(index, slot));
        }
        if !is_clean {
            self.states.make_raw(index);
        }
        self.forbid(slot);
        match magazine {
            // Only what can be used as it is goes where inline code finds it.
            Some(magazine) if visit.is_open && is_clean => self.keep(magazine, index),
            Some(magazine) if !visit.is_open => {
                self.give_all(|each| magazine.drain(each));
                self.give_index(index);
            }
            _ => self.give_index(index),
        }
        self.end_visit(visit);
        Ok(())
    }

    /// In a visit while magazines are open.
    fn keep(&self, magazine: &Magazine, index: u32) {
        magazine.settle(self.is_inline());
        if magazine.room() == 0 {
            // Those that were used longest ago.
            self.give_all(|each| magazine.take_oldest(self.config.magazine_slots / 2, each));
            magazine.flushes.store(magazine.flushes.load(Relaxed) + 1, Relaxed);
        }
        magazine.add(self.geometry.slot(index), index.into());
    }

    /// A slot that was out has come back in this visit. Of a slab that is closing it may have been the last.
    pub(super) fn end_visit(&self, visit: Visit) {
        let (is_open, is_sealed) = (visit.is_open, self.gate.is_sealed());
        if is_sealed {
            self.left.fetch_sub(1, SeqCst);
        }
        drop(visit);
        if is_sealed {
            self.destroy_free();
            if self.left() == 0 {
                self.waiters.lock().drain(..).for_each(Parker::unpark);
            }
        } else if !is_open && !self.checked {
            self.gate.note_calm();
        }
    }

    /// `false`: what was in the slot is gone, and is made anew when the slot is next wanted.
    fn reset(&self, slot: *mut u8) -> bool {
        let cleaned = callback::run_checked(self.owner, Callback::Reset, || self.upkeep.reset(slot));
        if cleaned.is_err() {
            self.destroy(slot);
        }
        cleaned.is_ok()
    }

    pub(super) fn destroy(&self, slot: *mut u8) {
        if self.upkeep.destroys() {
            callback::run_destroy(self.owner, || self.upkeep.destroy(slot));
        }
    }

    fn forbid(&self, slot: *mut u8) {
        if self.checked && !self.creates {
            sanitizers::forbid(slot, self.config.slot_bytes);
        }
    }

    /// Puts every slot that can be put, and tells how many; the error is of the first that cannot.
    pub fn put_n(&self, record: Option<&'static ThreadRecord>, slots: &[*mut u8]) -> (u32, Result<(), SlabError>) {
        self.put_n_through(self.kept_for(record), slots)
    }

    pub fn put_n_through(&self, magazine: Option<&Magazine>, slots: &[*mut u8]) -> (u32, Result<(), SlabError>) {
        let mut put = 0;
        let mut result = Ok(());
        for slot in slots {
            match self.put_through(magazine, *slot) {
                Ok(()) => put += 1,
                Err(error) => result = result.and(Err(error)),
            }
        }
        (put, result)
    }
}
