//! Which entry goes when there is no room. Each has a mark that its readers set; they write it only when it changes, so
//! that an entry which many threads read does not move from core to core for its mark.

use crate::base::chance;
use crate::base::sync::{AtomicU64, Ordering::*};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// The one whose last use is longest ago, where time goes on with each entry that is put. Of several that were used
    /// since then the one that was put first.
    LeastRecentlyUsed,
    /// The one with the fewest uses; all are halved each time as many have gone as there are.
    LeastFrequentlyUsed,
}

/// Uses are counted one by one up to here, and then ever more rarely: the count is a logarithm (R. Morris, 1978), and
/// that of an entry which is always in use stands still.
const EXACT_USES: u64 = 64;
const USES_FOR_EACH_HALVING: u64 = 8;
const MOST_USES: u64 = EXACT_USES + 20 * USES_FOR_EACH_HALVING;

#[repr(align(64))]
pub struct Usage {
    eviction: Eviction,
    clock: AtomicU64,
}

impl Usage {
    pub fn new(eviction: Eviction) -> Self {
        Self { eviction, clock: AtomicU64::new(0) }
    }

    /// The mark of an entry that is put now.
    pub fn begin(&self) -> u64 {
        let now = self.clock.fetch_add(1, Relaxed) + 1;
        match self.eviction {
            Eviction::LeastRecentlyUsed => now * 2,
            Eviction::LeastFrequentlyUsed => 1,
        }
    }

    #[inline]
    pub fn note(&self, mark: &AtomicU64) {
        let before = mark.load(Relaxed);
        let after = match self.eviction {
            // More than that of the entry that was put last.
            Eviction::LeastRecentlyUsed => self.clock.load(Relaxed) * 2 + 1,
            Eviction::LeastFrequentlyUsed if is_counted(before) => before + 1,
            Eviction::LeastFrequentlyUsed => before,
        };
        if after != before {
            mark.store(after, Relaxed);
        }
    }

    /// As many have gone as there are.
    pub fn age<'a>(&self, marks: impl Iterator<Item = &'a AtomicU64>) {
        if self.eviction == Eviction::LeastFrequentlyUsed {
            marks.for_each(|mark| mark.store(mark.load(Relaxed) / 2, Relaxed));
        }
    }
}

#[inline]
fn is_counted(uses: u64) -> bool {
    uses < EXACT_USES || (uses < MOST_USES && by_chance(1 + (uses - EXACT_USES) / USES_FOR_EACH_HALVING))
}

#[cold]
fn by_chance(halvings: u64) -> bool {
    chance::any() >> (64 - halvings) == 0
}
