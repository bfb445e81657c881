//! What becomes of each slot, one byte for each, apart from the slots and side by side; and, where somebody wanted to know,
//! since when it is out and who took it. Inline code of the host reads and writes the bytes, too.

use super::super::governor::{Account, Charge, Refused};
use super::super::system::{self, Errno};
use crate::base::clock;
use crate::base::tracing::CallSite;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::*};

/// It was never given out, or what was made in it is destroyed. As fresh memory is.
pub const RAW: u8 = 0;
/// It is free, and what was made in it is there.
pub const FREE: u8 = 1;
/// It is out. Inline code makes it so, and every number from this one on is out to it.
pub const OUT: u8 = 2;
/// It is out, and what is known of its borrower stands in the table.
pub const NOTED: u8 = 3;

/// Why a slot cannot be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOut {
    /// It was put before.
    Free,
    /// It was never got, or what was made in it is gone.
    Raw,
}

/// Who has a slot that is out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Borrower {
    /// Since when, or since it was first looked at; 0: not known.
    pub since_ns: u64,
    /// The number of a thread, as gettid(2) has it; 0: not known.
    pub thread: u32,
    pub site: CallSite,
    /// How many slots this one stands for in a report of tracing; 0: it is not followed.
    pub stands_for: f32,
}

#[derive(Default)]
struct Note {
    since_ns: AtomicU64,
    thread: AtomicU32,
    site: AtomicU32,
    /// How many slots this one stands for in a report, in the bits of an f32; 0: tracing does not follow it.
    stands_for: AtomicU32,
}

pub struct States {
    bytes: Zeroed<AtomicU8>,
    account: Arc<Account>,
    notes: OnceLock<Zeroed<Note>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatesError {
    #[error("{bytes} bytes for the states of slots cannot be mapped: errno {errno}")]
    Map { bytes: u64, errno: Errno },
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl States {
    pub fn new(slots: u64, account: &Arc<Account>) -> Result<Self, StatesError> {
        Ok(Self { bytes: Zeroed::new(slots, account)?, account: account.clone(), notes: OnceLock::new() })
    }

    /// Where inline code finds the first byte.
    pub fn address(&self) -> u64 {
        self.bytes.start.as_ptr() as u64
    }

    #[inline]
    pub fn of(&self, slot: u32) -> u8 {
        self.bytes.get(slot).load(Acquire)
    }

    /// A free slot is given out; tells what it was.
    #[inline]
    pub fn begin(&self, slot: u32) -> u8 {
        let state = self.bytes.get(slot);
        let before = state.load(Relaxed);
        state.store(OUT, Relaxed);
        before
    }

    /// As inline code does it: the slot with this number is out, if there is one.
    #[inline(always)]
    pub fn begin_inline(&self, number: u64) {
        if let Some(state) = self.bytes.find(number) {
            state.store(OUT, Relaxed);
        }
    }

    /// As inline code does it, which has no locked operation: of two threads that put one slot at the same moment both
    /// may succeed.
    #[inline(always)]
    pub fn end_inline(&self, number: u64) -> bool {
        let Some(state) = self.bytes.find(number) else { return false };
        let is_out = state.load(Relaxed) >= OUT;
        if is_out {
            state.store(FREE, Relaxed);
        }
        is_out
    }

    /// A slot that is out comes back; of several who put it one does.
    pub fn end(&self, slot: u32) -> bool {
        let state = self.bytes.get(slot);
        let back = |now| (now >= OUT).then_some(FREE);
        state.fetch_update(AcqRel, Acquire, back).is_ok()
    }

    /// Why a slot that was put is not out.
    pub fn why_not_out(&self, slot: u32) -> NotOut {
        if self.of(slot) == RAW { NotOut::Raw } else { NotOut::Free }
    }

    /// For its owner: what was made in it is gone.
    pub fn make_raw(&self, slot: u32) {
        self.bytes.get(slot).store(RAW, Release);
    }

    /// For its owner: notes who has it now. Without memory for that nothing is noted.
    #[cold]
    pub fn note(&self, slot: u32, thread: u32, site: CallSite, stands_for: f32) {
        if let Some(notes) = self.notes() {
            let note = notes.get(slot);
            note.since_ns.store(clock::now_ns(), Relaxed);
            note.thread.store(thread, Relaxed);
            note.site.store(site.number(), Relaxed);
            note.stands_for.store(stands_for.to_bits(), Relaxed);
            self.bytes.get(slot).store(NOTED, Release);
        }
    }

    /// Who has this slot, if it is out. One whose begin nobody has seen is out since now.
    pub fn borrower(&self, slot: u32) -> Option<Borrower> {
        let state = self.bytes.get(slot);
        match state.load(Acquire) {
            RAW | FREE => return None,
            NOTED => {}
            _ => {
                let Some(notes) = self.notes() else { return Some(Borrower::default()) };
                let note = notes.get(slot);
                note.since_ns.store(clock::now_ns(), Relaxed);
                note.thread.store(0, Relaxed);
                note.site.store(CallSite::NONE.number(), Relaxed);
                note.stands_for.store(0, Relaxed);
                // It may have been put, and got again, meanwhile.
                if state.compare_exchange(OUT, NOTED, AcqRel, Acquire) == Err(FREE) {
                    return None;
                }
                return Some(Borrower::default());
            }
        }
        self.noted(slot)
    }

    /// Who has this slot, if it is out and that was noted.
    pub fn noted(&self, slot: u32) -> Option<Borrower> {
        if self.of(slot) != NOTED {
            return None;
        }
        let note = self.notes()?.get(slot);
        Some(Borrower {
            since_ns: note.since_ns.load(Relaxed),
            thread: note.thread.load(Relaxed),
            site: CallSite::from_number(note.site.load(Relaxed)),
            stands_for: f32::from_bits(note.stands_for.load(Relaxed)),
        })
    }

    fn notes(&self) -> Option<&Zeroed<Note>> {
        if let Some(notes) = self.notes.get() {
            return Some(notes);
        }
        let fresh = Zeroed::new(self.bytes.count, &self.account).ok()?;
        // Another may have been faster; then this one goes.
        Some(self.notes.get_or_init(|| fresh))
    }
}

/// An array whose memory is there when it is touched, and zero.
struct Zeroed<T> {
    start: NonNull<T>,
    count: u64,
    bytes: u64,
    _charge: Charge,
}

// SAFETY: it owns its elements, which are atomics.
unsafe impl<T: Sync> Send for Zeroed<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Zeroed<T> {}

impl<T> Zeroed<T> {
    /// Of atomics, for which zeros are a value.
    fn new(count: u64, account: &Arc<Account>) -> Result<Self, StatesError> {
        let page = system::base_page_bytes();
        let bytes = (count * size_of::<T>() as u64).max(1).next_multiple_of(page);
        let charge = account.charge(bytes)?;
        let start =
            system::map_at(None, bytes, libc::MAP_NORESERVE).map_err(|errno| StatesError::Map { bytes, errno })?;
        Ok(Self { start: start.cast(), count, bytes, _charge: charge })
    }

    #[inline]
    fn get(&self, index: u32) -> &T {
        self.find(index.into()).expect("slots have numbers below their count")
    }

    #[inline(always)]
    fn find(&self, number: u64) -> Option<&T> {
        // SAFETY: in bounds, and zeros are a value of these atomics.
        (number < self.count).then(|| unsafe { self.start.add(number as usize).as_ref() })
    }
}

impl<T> Drop for Zeroed<T> {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and its last user is gone.
        if let Err(errno) = unsafe { system::unmap(self.start.as_ptr().cast(), self.bytes) } {
            crate::base::log::warn(format_args!("munmap of {} bytes failed: errno {errno}", self.bytes));
        }
    }
}
