//! What a pool is told when it is made.

use super::slots::MOST_SLOTS;
use crate::base::{InvalidField, Name};

const MOST_CREATORS: u32 = 64;

/// Which idle resource is leased next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleOrder {
    /// The warmest; what is not needed grows old at the other end and can go.
    LastUsedFirst,
    /// Each in its turn, so that all stay in use.
    LongestIdleFirst,
}

/// To whom an idle resource is leased by preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// The thread that used it last.
    Thread,
    /// Any on the node where it was used last.
    Node,
}

#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// Made in the background, and kept however long they are idle.
    pub min_size: u32,
    pub max_size: u32,
    /// The most that a later resize may set `max_size` to.
    pub capacity: u32,
    /// Made in the background, so that so many are ready.
    pub min_idle: u32,
    /// Beyond it a released resource is not kept when nobody waits.
    pub soft_max_size: u32,
    /// 0: callers make what they need on their own threads.
    pub creator_threads: u32,
    /// Failures in a row after which no resource is made for a while.
    pub breaker_failures: u32,
    pub idle_order: IdleOrder,
    pub affinity: Affinity,
    /// For so long a caller that waits may be overtaken; 0: never.
    pub barging_ns: u64,
    /// Kept for callers of high priority.
    pub reserved_high: u32,
    /// Whether a caller is refused at once that would wait in vain at the present rate.
    pub refuses_hopeless: bool,
    /// When every wait of an interval was longer, those that are longer are refused; 0: never.
    pub target_wait_ns: u64,
    pub wait_interval_ns: u64,
    /// 0: any number.
    pub max_uses: u64,
    /// 0: never.
    pub idle_timeout_ns: u64,
    /// 0: every time.
    pub validate_after_ns: u64,
    /// 0: never.
    pub keepalive_ns: u64,
    /// A lease that lasts longer is told of; 0: none is.
    pub lease_limit_ns: u64,
    /// 0: for ever.
    pub max_lifetime_ns: u64,
    /// A resource's lifetime is shorter by up to this, so that not all end at once.
    pub lifetime_jitter_ns: u64,
    /// What each resource holds, for the governor; 0: it is not known.
    pub resource_bytes: u64,
    pub name: Name,
}

impl PoolConfig {
    pub(super) fn check(&self, retags: bool) -> Result<(), InvalidField> {
        let refuse = |field, value: u64, bound| Err(InvalidField { field, value, bound });
        if !(1..=MOST_SLOTS).contains(&self.max_size) {
            return refuse("max_size", self.max_size.into(), "must be 1 to 1048576, or 0 for 16");
        }
        if !(self.max_size..=MOST_SLOTS).contains(&self.capacity) {
            return refuse("capacity", self.capacity.into(), "must be max_size to 1048576, or 0 for max_size");
        }
        if self.min_size > self.max_size {
            return refuse("min_size", self.min_size.into(), "must be at most max_size");
        }
        if self.min_idle > self.max_size {
            return refuse("min_idle", self.min_idle.into(), "must be at most max_size");
        }
        if !(self.min_size..=self.capacity).contains(&self.soft_max_size) {
            let bound = "must be min_size to capacity, or 0 for no soft bound";
            return refuse("soft_max_size", self.soft_max_size.into(), bound);
        }
        if self.reserved_high >= self.max_size {
            return refuse("reserved_high", self.reserved_high.into(), "must be less than max_size");
        }
        let keeps_turns = retags
            || self.min_idle > 0
            || self.reserved_high > 0
            || self.idle_order == IdleOrder::LongestIdleFirst
            || self.affinity == Affinity::Node;
        if self.barging_ns > 0 && keeps_turns {
            let bound = "must be 0 with min_idle, reserved_high, OSTLER_IDLE_LONGEST_FIRST, OSTLER_AFFINITY_NODE or retag, \
                         where turns are always kept";
            return refuse("barging_ns", self.barging_ns, bound);
        }
        if self.creator_threads > MOST_CREATORS {
            return refuse("creator_threads", self.creator_threads.into(), "must be at most 64");
        }
        if self.lifetime_jitter_ns > self.max_lifetime_ns {
            return refuse("lifetime_jitter_ns", self.lifetime_jitter_ns, "must be at most max_lifetime_ns");
        }
        Ok(())
    }

    /// How often the housekeeper looks at what grows old: four times in the shortest of the times, so that each is
    /// exact to a quarter. Nothing when nothing grows old.
    pub(super) fn tick_length_ns(&self) -> Option<u64> {
        [self.idle_timeout_ns, self.keepalive_ns, self.max_lifetime_ns, self.lease_limit_ns]
            .into_iter()
            .filter(|time_ns| *time_ns > 0)
            .min()
            .map(|time_ns| (time_ns / 4).max(1_000_000))
    }

    /// Whether a resource can be too old, too much used or one too many when it is released.
    pub(super) fn wears(&self) -> bool {
        self.max_lifetime_ns > 0 || self.max_uses > 0 || self.soft_max_size < self.capacity
    }
}
