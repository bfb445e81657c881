//! What a pool is told when it is made: its bounds, and the order in which it leases.

use crate::abi::arguments::{flag, name, out_of_range};
use crate::abi::guard::guard;
use crate::abi::library::OSTLER_NAME_BYTES;
use crate::abi::status::{Failure, ostler_status};
use crate::abi::structs::{init, versioned};
use crate::pool::{Affinity, IdleOrder, PoolConfig};
use std::ffi::c_char;

/// The bounds of a pool.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_pool_config {
    /// sizeof(ostler_pool_config).
    pub struct_size: u32,
    /// Resources that are made in the background and kept however long they are idle; at most max_size.
    pub min_size: u32,
    /// Most resources there are at once; 1 to 1048576; 0: 16.
    pub max_size: u32,
    /// For whom an idle resource is kept by preference: OSTLER_AFFINITY_THREAD (0) or OSTLER_AFFINITY_NODE.
    pub affinity: u32,
    /// A resource above min_size that was idle this long is destroyed, at the latest half as long afterwards; 0: never.
    pub idle_timeout_ns: u64,
    /// validate is called only for a resource that was idle this long; 0: every time.
    pub validate_after_ns: u64,
    /// Shown in the log.
    pub name: [c_char; OSTLER_NAME_BYTES],
    /// The most that a later ostler_pool_resize may set max_size to; max_size to 1048576; 0: max_size. The memory for
    /// so many places is taken at once: 36 bytes each, 16 more with OSTLER_IDLE_LONGEST_FIRST or retag (for each node, with
    /// OSTLER_AFFINITY_NODE, and 4 more for that), and 8 more for each of retag, max_uses and max_lifetime_ns.
    pub capacity: u32,
    /// Resources that are made in the background so that as many are idle, as far as max_size allows; at most max_size.
    pub min_idle: u32,
    /// Beyond this many resources one that is released is destroyed when nobody waits for it; min_size to capacity;
    /// 0: all are kept.
    pub soft_max_size: u32,
    /// Threads on which resources are made, so that no caller is held up by create; at most 64; 0: a caller makes what
    /// it needs on its own thread, and min_size and min_idle are made one after the other.
    pub creator_threads: u32,
    /// After so many failures of create in a row it is called only now and then, after 100 ms at first and 30 s at
    /// last, until it succeeds; 0: 5. Meanwhile a pool that has no resource fails its callers at once.
    pub breaker_failures: u32,
    /// Which idle resource is leased next: OSTLER_IDLE_LAST_USED_FIRST (0) or OSTLER_IDLE_LONGEST_FIRST.
    pub idle_order: u32,
    /// A resource is destroyed after this many leases; 0: never.
    pub max_uses: u64,
    /// A resource this old is destroyed when it is next idle, at the latest a quarter as long afterwards; never while it
    /// is leased; 0: it may be of any age.
    pub max_lifetime_ns: u64,
    /// Each lifetime is shorter by up to this, by chance, so that not all end at once; at most max_lifetime_ns; 0: a
    /// tenth of max_lifetime_ns.
    pub lifetime_jitter_ns: u64,
    /// validate is called in the background for a resource that was idle this long, and again after each such time, so
    /// that it is not closed at the other end, and is replaced when it was; 0: never.
    pub keepalive_ns: u64,
    /// A lease that lasts longer is told to the log and to the overdue callback, at the latest a quarter as long
    /// afterwards; 0: none is.
    pub lease_limit_ns: u64,
    /// Of max_size, so many are kept for callers of OSTLER_PRIORITY_HIGH and OSTLER_PRIORITY_CRITICAL: all others together
    /// lease at most the rest; less than max_size; 0: none are.
    pub reserved_high: u32,
    /// 1: a caller who would still wait when its time is up, at the rate at which those before it are served, is refused at
    /// once with OSTLER_E_OVERLOADED; 0: it waits.
    pub refuse_hopeless: u32,
    /// When nobody has waited less than this for wait_interval_ns, callers who have waited longer get OSTLER_E_OVERLOADED
    /// when their turn comes, so that those who came last are served in time (controlled delay); 0: never.
    pub target_wait_ns: u64,
    /// 0: 100 ms.
    pub wait_interval_ns: u64,
    /// What each resource holds, as far as the host knows: charged to an account of the pool while it lives. One for which
    /// the governor leaves no room is not made, which is a failure of create; when memory runs short, idle resources beyond
    /// min_size are destroyed. 0: nothing is charged.
    pub resource_bytes: u64,
    /// For so long a caller that waits may be overtaken by one that comes later: a thread that leases and releases in turn goes
    /// on with what it has at hand, at full speed, and the resource changes hands once in that while, not each time. What
    /// lies unused is found by one who waits after a quarter of it at the latest. 0: who waits is never overtaken; else 0.2
    /// to 10 ms are of use. 0 with min_idle, reserved_high, OSTLER_IDLE_LONGEST_FIRST, OSTLER_AFFINITY_NODE or retag.
    pub barging_ns: u64,
}

/// Idle orders: the warmest resource is leased next, so that what is not needed grows old and can go.
pub const OSTLER_IDLE_LAST_USED_FIRST: u32 = 0;

/// Each resource is leased in its turn, so that all stay in use.
pub const OSTLER_IDLE_LONGEST_FIRST: u32 = 1;

/// Affinities: with OSTLER_IDLE_LAST_USED_FIRST a thread gets first of all the resource that it released last itself. For
/// others, and with OSTLER_IDLE_LONGEST_FIRST, there is one order for all.
pub const OSTLER_AFFINITY_THREAD: u32 = 0;

/// An idle resource stays with the NUMA node on which it was used last: each caller gets, in the idle_order, one of the node
/// that runs it, else of the nearest node that has one. On a machine whose CPUs are all of one node this is
/// OSTLER_AFFINITY_THREAD.
pub const OSTLER_AFFINITY_NODE: u32 = 1;

versioned!(ostler_pool_config);

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_pool_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_config_init(config: *mut ostler_pool_config, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

pub(super) fn checked(config: &ostler_pool_config) -> Result<PoolConfig, Failure> {
    let affinity = match config.affinity {
        OSTLER_AFFINITY_THREAD => Affinity::Thread,
        OSTLER_AFFINITY_NODE => Affinity::Node,
        other => return Err(out_of_range("affinity", other.into(), "must be an OSTLER_AFFINITY_... constant")),
    };
    let idle_order = match config.idle_order {
        OSTLER_IDLE_LAST_USED_FIRST => IdleOrder::LastUsedFirst,
        OSTLER_IDLE_LONGEST_FIRST => IdleOrder::LongestIdleFirst,
        other => return Err(out_of_range("idle_order", other.into(), "must be an OSTLER_IDLE_... constant")),
    };
    let or = |value: u32, default: u32| if value == 0 { default } else { value };
    let max_size = or(config.max_size, 16);
    let capacity = or(config.capacity, max_size);
    Ok(PoolConfig {
        min_size: config.min_size,
        max_size,
        capacity,
        min_idle: config.min_idle,
        soft_max_size: or(config.soft_max_size, capacity),
        creator_threads: config.creator_threads,
        breaker_failures: or(config.breaker_failures, 5),
        idle_order,
        affinity,
        reserved_high: config.reserved_high,
        refuses_hopeless: flag("refuse_hopeless", config.refuse_hopeless)?,
        target_wait_ns: config.target_wait_ns,
        resource_bytes: config.resource_bytes,
        barging_ns: config.barging_ns,
        wait_interval_ns: if config.wait_interval_ns == 0 { 100_000_000 } else { config.wait_interval_ns },
        max_uses: config.max_uses,
        idle_timeout_ns: config.idle_timeout_ns,
        validate_after_ns: config.validate_after_ns,
        keepalive_ns: config.keepalive_ns,
        lease_limit_ns: config.lease_limit_ns,
        max_lifetime_ns: config.max_lifetime_ns,
        lifetime_jitter_ns: match config.lifetime_jitter_ns {
            0 => config.max_lifetime_ns / 10,
            jitter_ns => jitter_ns,
        },
        name: name(&config.name)?,
    })
}
