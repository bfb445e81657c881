//! What each thread shows that it uses, so that nobody frees it meanwhile: a number in one of the hazards of its own
//! record (M. Michael's hazard pointers, 2004), without a locked operation. A reader shows the number, and then looks
//! whether what it stands for may still be used. Whoever takes that away makes this visible first, passes the heavy side of
//! the barrier (see [`super::barrier`]), and then looks whether a thread still shows the number.

use super::barrier;
use super::thread::ThreadRecord;
use std::sync::atomic::Ordering::*;

/// One hazard of a thread. Hazards of a thread end in the reverse order of their begin.
pub struct Hazard {
    record: &'static ThreadRecord,
    depth: usize,
}

impl Hazard {
    /// `None` without a record, and when its hazards are used up: such a caller must make itself known otherwise.
    #[inline]
    pub fn take(record: Option<&'static ThreadRecord>) -> Option<Self> {
        let record = record?;
        let depth = record.depth.get();
        if depth == record.hazards.len() {
            return None;
        }
        record.depth.set(depth + 1);
        Some(Self { record, depth })
    }

    /// From now on whoever takes away what the number stands for will see it, unless that was done before: look.
    #[inline]
    pub fn show(&self, number: u64) {
        if let Some(hazard) = self.record.hazards.get(self.depth) {
            hazard.store(number, Relaxed);
        }
        barrier::light();
    }

    #[inline]
    pub fn let_go(&self) {
        self.record.depth.set(self.depth);
        if let Some(hazard) = self.record.hazards.get(self.depth) {
            hazard.store(0, Release);
        }
    }

    #[inline]
    pub fn record(&self) -> &'static ThreadRecord {
        self.record
    }

    /// Whether this thread shows the same number in a call further out.
    pub fn is_shown_further_out(&self) -> bool {
        let (further_out, own) = self.record.hazards.split_at(self.depth);
        let shown = own.first().map(|hazard| hazard.load(Relaxed));
        further_out.iter().any(|hazard| Some(hazard.load(Relaxed)) == shown)
    }
}

/// Whether a thread shows this number. Right for numbers that were taken away before the last [`barrier::heavy`].
pub fn is_shown(number: u64) -> bool {
    ThreadRecord::all().any(|record| record.hazards.iter().any(|hazard| hazard.load(SeqCst) == number))
}
