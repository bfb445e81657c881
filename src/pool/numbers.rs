//! What a pool counts, and the snapshot of it.

use super::pool::Pool;
use super::slots::Phase;
use super::times::{Times, TimesSnapshot};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

#[derive(Default)]
pub(super) struct Counters {
    pub created: AtomicU64,
    pub create_failures: AtomicU64,
    /// Acquires that made the resource which they got.
    pub fresh: AtomicU64,
    pub destroyed: AtomicU64,
    /// By [`Reason`].
    pub destroyed_for: [AtomicU64; Reason::COUNT],
    pub timeouts: AtomicU64,
    pub peak_in_use: AtomicU32,
    /// Leases that lasted longer than the limit.
    pub overdue: AtomicU64,
    /// Resources that were given other settings.
    pub retags: AtomicU64,
    /// How long callers waited, those in vain included.
    pub waits: Times,
    pub creates: Times,
    /// How long resources were leased, measured now and then.
    pub uses: Times,
}

/// Why a resource is destroyed; each has its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    Closed,
    Idle,
    Invalid,
    Discarded,
    Reset,
    /// It was older than the longest lifetime.
    Old,
    /// It had its last use.
    Used,
    /// It was of an earlier generation.
    Refreshed,
    /// There were more than the bound.
    Surplus,
}

impl Reason {
    const COUNT: usize = 9;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    pub in_use: u64,
    pub idle: u64,
    pub creating: u64,
    pub waiting: u64,
    pub created: u64,
    pub create_failures: u64,
    pub destroyed: u64,
    pub destroyed_idle: u64,
    pub destroyed_invalid: u64,
    pub destroyed_discarded: u64,
    pub destroyed_reset: u64,
    pub destroyed_old: u64,
    pub destroyed_used: u64,
    pub destroyed_refreshed: u64,
    pub destroyed_surplus: u64,
    pub acquires: u64,
    pub reuses: u64,
    pub timeouts: u64,
    pub peak_in_use: u64,
    pub peak_waiting: u64,
    pub min_size: u64,
    pub max_size: u64,
    /// Creates that failed since the last success.
    pub failures_in_a_row: u64,
    pub overdue: u64,
    pub retags: u64,
    /// Callers who were refused because the pool was overloaded.
    pub refused: u64,
    /// Resources whose lease was revoked and whose holder has not given them back.
    pub revoked: u64,
    /// Idle resources that were taken on the node that used them last, where that matters; and on another.
    pub node_hits: u64,
    pub node_misses: u64,
}

/// The histograms of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolTimes {
    pub waits: TimesSnapshot,
    pub creates: TimesSnapshot,
    pub uses: TimesSnapshot,
}

impl Pool {
    /// One snapshot. Each number is right for some moment of the call; it holds up nobody.
    pub fn stats(&self) -> PoolStats {
        let counters = &self.counters;
        let count = |phases: &[Phase]| self.slots.iter().filter(|slot| phases.contains(&slot.phase())).count() as u64;
        let destroyed_for = |reason: Reason| counters.destroyed_for[reason as usize].load(Relaxed);
        let acquires = self.slots.leases_begun();
        let (min_size, max_size) = self.limits.bounds();
        let (node_hits, node_misses) = self.idle.hits();
        PoolStats {
            in_use: count(&[Phase::Leased, Phase::Returning]),
            idle: count(&[Phase::Idle, Phase::AtHand]),
            creating: count(&[Phase::Creating]),
            waiting: u64::from(self.waiters.count()),
            created: counters.created.load(Relaxed),
            create_failures: counters.create_failures.load(Relaxed),
            destroyed: counters.destroyed.load(Relaxed),
            destroyed_idle: destroyed_for(Reason::Idle),
            destroyed_invalid: destroyed_for(Reason::Invalid),
            destroyed_discarded: destroyed_for(Reason::Discarded),
            destroyed_reset: destroyed_for(Reason::Reset),
            destroyed_old: destroyed_for(Reason::Old),
            destroyed_used: destroyed_for(Reason::Used),
            destroyed_refreshed: destroyed_for(Reason::Refreshed),
            destroyed_surplus: destroyed_for(Reason::Surplus),
            acquires,
            reuses: acquires.saturating_sub(counters.fresh.load(Relaxed)),
            timeouts: counters.timeouts.load(Relaxed),
            peak_in_use: u64::from(counters.peak_in_use.load(Relaxed)),
            peak_waiting: u64::from(self.waiters.peak()),
            min_size: u64::from(min_size),
            max_size: u64::from(max_size),
            failures_in_a_row: u64::from(self.breaker.failures()),
            overdue: counters.overdue.load(Relaxed),
            retags: counters.retags.load(Relaxed),
            refused: self.overload.refused.load(Relaxed),
            revoked: self.revoked.count().into(),
            node_hits,
            node_misses,
        }
    }

    pub fn times(&self) -> PoolTimes {
        PoolTimes {
            waits: self.counters.waits.snapshot(),
            creates: self.counters.creates.snapshot(),
            uses: self.counters.uses.snapshot(),
        }
    }
}
