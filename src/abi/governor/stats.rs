//! What the process holds, how much it may, and what the kernel says beside that.

use crate::abi::coverage::ostler_seen;
use crate::abi::guard::guard;
use crate::abi::status::ostler_status;
use crate::abi::structs::{prepare, versioned};
use crate::memory::governor::limit::{Limit, Source};
use crate::memory::governor::look::{self, Depth};
use crate::memory::governor::{account, keeper, reclaim, root, rounds};

/// Nothing limits the process.
pub const OSTLER_LIMITED_BY_NOTHING: u32 = 0;
/// ostler_governor_configure.
pub const OSTLER_LIMITED_BY_CONFIG: u32 = 1;
/// memory.max of the process's control group, or of one above it.
pub const OSTLER_LIMITED_BY_CGROUP_MAX: u32 = 2;
/// memory.high of the process's control group, or of one above it.
pub const OSTLER_LIMITED_BY_CGROUP_HIGH: u32 = 3;
/// memory.limit_in_bytes of version 1 of control groups.
pub const OSTLER_LIMITED_BY_CGROUP_V1: u32 = 4;
/// The memory that the machine has.
pub const OSTLER_LIMITED_BY_MACHINE: u32 = 5;
/// RLIMIT_AS.
pub const OSTLER_LIMITED_BY_ADDRESS_SPACE: u32 = 6;

const _: () = assert!(
    OSTLER_LIMITED_BY_NOTHING == Source::None as u32
        && OSTLER_LIMITED_BY_CONFIG == Source::Host as u32
        && OSTLER_LIMITED_BY_CGROUP_MAX == Source::GroupMax as u32
        && OSTLER_LIMITED_BY_CGROUP_HIGH == Source::GroupHigh as u32
        && OSTLER_LIMITED_BY_CGROUP_V1 == Source::GroupOlder as u32
        && OSTLER_LIMITED_BY_MACHINE == Source::Machine as u32
        && OSTLER_LIMITED_BY_ADDRESS_SPACE == Source::AddressSpace as u32
);

/// What the process holds, how much it may, and what the kernel says beside that.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_governor_stats {
    /// sizeof(ostler_governor_stats), set by the caller.
    pub struct_size: u32,
    /// OSTLER_LIMITED_BY_...: whose limit is the least.
    pub limited_by: u32,
    /// That limit; UINT64_MAX without one.
    pub limit_bytes: u64,
    /// What ostler_governor_configure set, a share of the kernel's least limit in bytes; UINT64_MAX without one.
    pub configured_limit_bytes: u64,
    /// Charged to all accounts together, those of devices left out.
    pub held_bytes: u64,
    /// The most that held_bytes ever was.
    pub peak_held_bytes: u64,
    /// Part of held_bytes that lies in the machine's pool of huge pages, which the kernel counts apart.
    pub huge_pool_bytes: u64,
    /// Charged to accounts of devices.
    pub device_bytes: u64,
    /// Accounts that are open.
    pub accounts: u64,
    /// Charges and reservations that were refused.
    pub refusals: u64,
    /// Measured: memory of this process that is resident.
    pub resident_bytes: u64,
    /// Measured: memory that counts against the tightest limit of the kernel, but is charged to no account: of this
    /// process and of others.
    pub beside_bytes: u64,
    /// The limit of the control group that is used most, in relation; UINT64_MAX without one.
    pub cgroup_limit_bytes: u64,
    /// Measured: how far it is used, pages of files that can go left out.
    pub cgroup_used_bytes: u64,
    /// The memory that the machine has.
    pub machine_bytes: u64,
    /// Measured: what of it is free, or free as soon as it is wanted.
    pub machine_available_bytes: u64,
    /// OSTLER_LEVEL_...
    pub level: u32,
    /// OSTLER_PRESSURE_...: what the level comes from.
    pub pressure: u32,
    /// Measured: thousandths of the time between the last two looks in which some thread waited for memory.
    pub stall_some_permille: u32,
    /// The same for all threads at once.
    pub stall_full_permille: u32,
    /// 1: the kernel wakes the governor's thread when threads wait for memory. 0: that is only measured at each tick.
    pub alarm_armed: u32,
    /// Why it does not, where that was tried: EOPNOTSUPP when the file is none of the kernel's, EPIPE when the alarm broke,
    /// as it does when its group goes; else 0.
    pub alarm_errno: i32,
    /// Alarms behind which no stall was: the kernel gives one after it is armed.
    pub false_alarms: u64,
    /// How much must go before the level is no longer high; 0 when it is not.
    pub excess_bytes: u64,
    /// How often somebody was asked to give memory back.
    pub reclaims: u64,
    /// What was charged less after that.
    pub reclaimed_bytes: u64,
    /// Looks of the governor's thread.
    pub ticks: u64,
    /// What they took of a processor.
    pub tick_cpu_ns: u64,
    /// What was last seen of the memory of all accounts together. Nobody looks for this call.
    pub seen: ostler_seen,
    /// How often the governor's thread looked at the memory of an object.
    pub coverage_looks: u64,
    /// What that took of a processor.
    pub coverage_cpu_ns: u64,
}

versioned!(ostler_governor_stats);

/// Tells what the process holds, how much it may, and what the kernel says beside that. The kernel is asked anew.
///
/// Parameters:
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number is right for some moment of the call.
/// NULL: out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_get_stats(out: *mut ostler_governor_stats) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { prepare("out", out)? };
        let sight = look::now(Depth::Whole);
        let (totals, work, done) = (root::totals(), keeper::work(), reclaim::done());
        let (coverage_looks, coverage_cpu_ns) = rounds::work();
        let stall = sight.readings.stall.unwrap_or_default();
        let group = sight.group.map_or((Limit::NONE.bytes, 0), |group| (group.limit.bytes, group.used));
        out.fill(&ostler_governor_stats {
            struct_size: 0,
            limited_by: sight.limits.effective.source as u32,
            limit_bytes: sight.limits.effective.bytes,
            configured_limit_bytes: sight.limits.configured.bytes,
            held_bytes: totals.held,
            peak_held_bytes: totals.peak,
            huge_pool_bytes: totals.in_huge_pool,
            device_bytes: totals.on_devices,
            accounts: account::count(),
            refusals: totals.refusals,
            resident_bytes: sight.resident,
            beside_bytes: sight.limits.ceiling.beside,
            cgroup_limit_bytes: group.0,
            cgroup_used_bytes: group.1,
            machine_bytes: sight.machine.total,
            machine_available_bytes: sight.machine.available,
            level: sight.verdict.level as u32,
            pressure: sight.verdict.reason as u32,
            stall_some_permille: stall.0 as u32,
            stall_full_permille: stall.1 as u32,
            alarm_armed: u32::from(sight.alarm.is_armed),
            alarm_errno: sight.alarm.errno,
            false_alarms: work.false_alarms,
            excess_bytes: sight.excess,
            reclaims: done.asked,
            reclaimed_bytes: done.freed,
            ticks: work.ticks,
            tick_cpu_ns: work.cpu_ns,
            seen: rounds::seen().into(),
            coverage_looks,
            coverage_cpu_ns,
        });
        Ok(())
    })
}
