//! What a cache of templates counts, and the snapshot of it.

use super::Templates;
use crate::base::thread::ThreadRecord;
use crate::pool::times::{Times, TimesSnapshot};
use std::sync::atomic::{AtomicU64, Ordering::*};

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

#[derive(Default)]
#[repr(align(64))]
struct Stripe(AtomicU64);

/// A count that many threads add to, each mostly on a line of its own.
pub struct Hits([Stripe; STRIPES]);

impl Default for Hits {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Stripe::default()))
    }
}

impl Hits {
    #[inline]
    pub fn note(&self, record: Option<&'static ThreadRecord>) {
        let thread = record.map_or(0, ThreadRecord::number) as usize;
        self.0[thread % STRIPES].0.fetch_add(1, Relaxed);
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Relaxed)).sum()
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
