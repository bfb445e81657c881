//! What a pool counts and measures.

use super::ostler_pool;
use crate::abi::guard::with;
use crate::abi::status::ostler_status;
use crate::abi::structs::{prepare, versioned};
use crate::base::handles::Pin;
use crate::pool::{Pool, TimesSnapshot};

/// How long things took, in nanoseconds, exact to a hundredth.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_times {
    /// How many were measured.
    pub count: u64,
    pub min_ns: u64,
    pub mean_ns: u64,
    /// So many percent took at most this long.
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub max_ns: u64,
}

/// What a pool holds and did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_pool_stats {
    /// sizeof(ostler_pool_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Resources that are leased, or on their way into or out of a lease.
    pub in_use: u64,
    /// Resources that wait to be leased.
    pub idle: u64,
    /// Resources that create is making.
    pub creating: u64,
    /// Callers that wait for one.
    pub waiting: u64,
    pub created: u64,
    pub create_failures: u64,
    /// All that were destroyed, for the reasons that follow or because the pool was closed.
    pub destroyed: u64,
    /// Idle too long.
    pub destroyed_idle: u64,
    /// Found invalid.
    pub destroyed_invalid: u64,
    pub destroyed_discarded: u64,
    /// Could not be reset.
    pub destroyed_reset: u64,
    /// Leases that were given out.
    pub acquires: u64,
    /// Those of them that got a resource which was there already.
    pub reuses: u64,
    /// Waits that ended because the time was up.
    pub timeouts: u64,
    /// Most resources that were in use at once.
    pub peak_in_use: u64,
    /// Most callers that waited at once.
    pub peak_waiting: u64,
    /// Destroyed because they were older than max_lifetime_ns.
    pub destroyed_old: u64,
    /// After their last use by max_uses.
    pub destroyed_used: u64,
    /// After an ostler_pool_refresh.
    pub destroyed_refreshed: u64,
    /// Beyond soft_max_size, or beyond max_size after an ostler_pool_resize.
    pub destroyed_surplus: u64,
    /// The bounds now.
    pub min_size: u64,
    pub max_size: u64,
    /// Creates that failed since the last success.
    pub failures_in_a_row: u64,
    /// Leases that lasted longer than lease_limit_ns.
    pub overdue: u64,
    /// How long those waited that had to, also in vain.
    pub waits: ostler_times,
    /// How long create took, also when it failed.
    pub creates: ostler_times,
    /// How long resources were leased: of each the first use and every 256th.
    pub uses: ostler_times,
    /// Resources that were given other settings with retag.
    pub retags: u64,
    /// Callers who got OSTLER_E_OVERLOADED.
    pub refused: u64,
    /// Resources whose lease was revoked and whose holder has not given them back yet.
    pub revoked: u64,
    /// With OSTLER_AFFINITY_NODE, where there are several nodes: idle resources that went to a caller on the node that had
    /// used them last.
    pub node_hits: u64,
    /// The same to a caller on another node, because none was idle on its own.
    pub node_misses: u64,
}

versioned!(ostler_pool_stats);

pub fn times(times: &TimesSnapshot) -> ostler_times {
    ostler_times {
        count: times.count,
        min_ns: times.min_ns,
        mean_ns: times.mean_ns,
        p50_ns: times.p50_ns,
        p90_ns: times.p90_ns,
        p99_ns: times.p99_ns,
        p999_ns: times.p999_ns,
        max_ns: times.max_ns,
    }
}

/// Tells what a pool holds and did, also after an ostler_pool_close: only one that is being destroyed is
/// OSTLER_E_CLOSED.
///
/// Parameters:
/// - pool: borrowed.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback. Looks at every slot.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_get_stats(pool: *mut ostler_pool, out: *mut ostler_pool_stats) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(pool, |pool: &Pin<Pool>| {
        let out = out?;
        let (stats, measured) = (pool.stats(), pool.times());
        out.fill(&ostler_pool_stats {
            struct_size: 0,
            reserved: 0,
            in_use: stats.in_use,
            idle: stats.idle,
            creating: stats.creating,
            waiting: stats.waiting,
            created: stats.created,
            create_failures: stats.create_failures,
            destroyed: stats.destroyed,
            destroyed_idle: stats.destroyed_idle,
            destroyed_invalid: stats.destroyed_invalid,
            destroyed_discarded: stats.destroyed_discarded,
            destroyed_reset: stats.destroyed_reset,
            acquires: stats.acquires,
            reuses: stats.reuses,
            timeouts: stats.timeouts,
            peak_in_use: stats.peak_in_use,
            peak_waiting: stats.peak_waiting,
            destroyed_old: stats.destroyed_old,
            destroyed_used: stats.destroyed_used,
            destroyed_refreshed: stats.destroyed_refreshed,
            destroyed_surplus: stats.destroyed_surplus,
            min_size: stats.min_size,
            max_size: stats.max_size,
            failures_in_a_row: stats.failures_in_a_row,
            overdue: stats.overdue,
            waits: times(&measured.waits),
            creates: times(&measured.creates),
            uses: times(&measured.uses),
            retags: stats.retags,
            refused: stats.refused,
            revoked: stats.revoked,
            node_hits: stats.node_hits,
            node_misses: stats.node_misses,
        });
        Ok(())
    })
}
