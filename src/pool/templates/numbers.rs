//! What a cache of templates counts, and the snapshot of it.

use super::Templates;
use crate::base::thread::ThreadRecord;
use crate::pool::times::{Times, TimesSnapshot};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

#[derive(Default)]
pub struct Counters {
    pub hits: Hits,
    pub misses: AtomicU64,
    pub builds: AtomicU64,
    pub build_failures: AtomicU64,
    pub evicted_for_count: AtomicU64,
    pub evicted_for_bytes: AtomicU64,
    pub invalidated: AtomicU64,
    pub unkept: AtomicU64,
    pub waiting: AtomicU64,
    pub kept: AtomicU64,
    pub kept_bytes: AtomicU64,
    pub build_times: Times,
    /// How long those waited who had to, also in vain.
    pub waits: Times,
}

const STRIPES: usize = 64;
/// Stripes that are tried for a thread before the one for all others.
const WINDOW: usize = 4;

#[derive(Default)]
#[repr(align(64))]
struct Stripe {
    /// The record whose thread alone writes the count.
    holder: AtomicPtr<ThreadRecord>,
    count: AtomicU64,
}

/// A count of what happens so often that a locked operation would be dear: each thread has a line of its own, found by
/// its record. A record belongs to one thread at a time and is never freed.
pub struct Hits {
    stripes: [Stripe; STRIPES],
    others: AtomicU64,
}

impl Default for Hits {
    fn default() -> Self {
        Self { stripes: std::array::from_fn(|_| Stripe::default()), others: AtomicU64::new(0) }
    }
}

impl Hits {
    #[inline]
    pub fn note(&self, record: Option<&'static ThreadRecord>) {
        match record.and_then(|record| self.stripe(record)) {
            Some(count) => count.store(count.load(Relaxed) + 1, Relaxed),
            None => {
                self.others.fetch_add(1, Relaxed);
            }
        }
    }

    /// The count of a thread for itself, which stays its record's.
    #[inline]
    pub fn stripe(&self, record: &'static ThreadRecord) -> Option<&AtomicU64> {
        let wanted = (&raw const *record).cast_mut();
        // Fibonacci hashing: addresses of records differ in few bits.
        let first = ((wanted as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
        (first..first + WINDOW).map(|number| &self.stripes[number % STRIPES]).find_map(|stripe| {
            let holder = stripe.holder.load(Relaxed);
            let is_own = std::ptr::eq(holder, wanted)
                || (holder.is_null() && stripe.holder.compare_exchange(holder, wanted, Relaxed, Relaxed).is_ok());
            is_own.then_some(&stripe.count)
        })
    }

    fn sum(&self) -> u64 {
        self.stripes.iter().map(|stripe| stripe.count.load(Relaxed)).sum::<u64>() + self.others.load(Relaxed)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TemplatesStats {
    pub templates: u64,
    pub bytes: u64,
    pub leaving: u64,
    pub leaving_bytes: u64,
    pub in_use: u64,
    pub waiting: u64,
    pub hits: u64,
    pub misses: u64,
    pub builds: u64,
    pub build_failures: u64,
    pub evicted_for_count: u64,
    pub evicted_for_bytes: u64,
    pub invalidated: u64,
    pub unkept: u64,
    pub build_times: TimesSnapshot,
    pub waits: TimesSnapshot,
}

impl Templates {
    /// One snapshot. Each number is right for some moment of the call; it holds up nobody.
    pub fn stats(&self) -> TemplatesStats {
        let counters = &self.counters;
        let count = |counter: &AtomicU64| counter.load(SeqCst);
        let (templates, bytes) = (count(&counters.kept), count(&counters.kept_bytes));
        let (alive, alive_bytes) = self.maker.alive();
        TemplatesStats {
            templates,
            bytes,
            leaving: alive.saturating_sub(templates),
            leaving_bytes: alive_bytes.saturating_sub(bytes),
            in_use: self.references.used().into(),
            waiting: count(&counters.waiting),
            hits: counters.hits.sum(),
            misses: count(&counters.misses),
            builds: count(&counters.builds),
            build_failures: count(&counters.build_failures),
            evicted_for_count: count(&counters.evicted_for_count),
            evicted_for_bytes: count(&counters.evicted_for_bytes),
            invalidated: count(&counters.invalidated),
            unkept: count(&counters.unkept),
            build_times: counters.build_times.snapshot(),
            waits: counters.waits.snapshot(),
        }
    }
}
