//! Governor of memory: one for the process. Every object is charged for the memory that it holds, and what would pass the
//! limit is refused before it is taken. The limit is the least of what is configured here and what the kernel allows:
//! control groups of both versions, the machine's memory, RLIMIT_AS; it is read anew, because it may change.

use super::arguments::{clear, flag, null, out_of_range, output, text};
use super::guard::guard;
use super::library::OSTLER_NAME_BYTES;
use super::status::{Failure, OSTLER_E_BUSY, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_MEMORY_PRESSURE, ostler_status};
use super::structs::{init, prepare, read, versioned};
use crate::base::{Name, alloc};
use crate::memory::governor::account::{self, Entry, Holder};
use crate::memory::governor::level::{Level, Reason, Thresholds};
use crate::memory::governor::limit::{Configured, Limit, Source};
use crate::memory::governor::look::{self, Config, ConfigError, Depth};
use crate::memory::governor::reclaim::{self, ReclaimKind, Reclaimed, Suggestion, Underway};
use crate::memory::governor::watch::{Change, Listener};
use crate::memory::governor::{self, Refused, WatchError, keeper, root};
use std::ffi::{c_char, c_void};
use std::path::PathBuf;

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

/// Who holds memory: an arena.
pub const OSTLER_HOLDER_ARENA: u32 = 1;
/// A heap.
pub const OSTLER_HOLDER_HEAP: u32 = 2;
/// A slab.
pub const OSTLER_HOLDER_SLAB: u32 = 3;
/// A set of buffers.
pub const OSTLER_HOLDER_BUFFERS: u32 = 4;
/// A lazy value.
pub const OSTLER_HOLDER_LAZY: u32 = 5;
/// A mapped file.
pub const OSTLER_HOLDER_FILE: u32 = 6;
/// A segment that other processes can map.
pub const OSTLER_HOLDER_SHARED: u32 = 7;
/// A pool.
pub const OSTLER_HOLDER_POOL: u32 = 8;
/// The workers of a model.
pub const OSTLER_HOLDER_WORKER: u32 = 9;
/// The host: a cache, the heap of another runtime, whatever it reports.
pub const OSTLER_HOLDER_EXTERNAL: u32 = 10;
/// Memory of a device, which counts against no limit but its account's own.
pub const OSTLER_HOLDER_DEVICE: u32 = 11;

const _: () = assert!(
    OSTLER_HOLDER_ARENA == Holder::Arena as u32
        && OSTLER_HOLDER_HEAP == Holder::Heap as u32
        && OSTLER_HOLDER_SLAB == Holder::Slab as u32
        && OSTLER_HOLDER_BUFFERS == Holder::Buffers as u32
        && OSTLER_HOLDER_LAZY == Holder::Lazy as u32
        && OSTLER_HOLDER_FILE == Holder::File as u32
        && OSTLER_HOLDER_SHARED == Holder::Shared as u32
        && OSTLER_HOLDER_POOL == Holder::Pool as u32
        && OSTLER_HOLDER_WORKER == Holder::Worker as u32
        && OSTLER_HOLDER_EXTERNAL == Holder::External as u32
        && OSTLER_HOLDER_DEVICE == Holder::Device as u32
);

/// There is room.
pub const OSTLER_LEVEL_LOW: u32 = 0;
/// Memory is in use as it is meant to be.
pub const OSTLER_LEVEL_NORMAL: u32 = 1;
/// Memory is short: what can be done without should go.
pub const OSTLER_LEVEL_HIGH: u32 = 2;
/// The next step may be an out-of-memory kill or a stall of seconds: only what is essential is granted.
pub const OSTLER_LEVEL_CRITICAL: u32 = 3;

const _: () = assert!(
    OSTLER_LEVEL_LOW == Level::Low as u32
        && OSTLER_LEVEL_NORMAL == Level::Normal as u32
        && OSTLER_LEVEL_HIGH == Level::High as u32
        && OSTLER_LEVEL_CRITICAL == Level::Critical as u32
);

/// The level is low.
pub const OSTLER_PRESSURE_NONE: u32 = 0;
/// What is charged, against the configured limit.
pub const OSTLER_PRESSURE_LIMIT: u32 = 1;
/// A control group, by what it uses or by what is charged.
pub const OSTLER_PRESSURE_CGROUP: u32 = 2;
/// The memory of the machine.
pub const OSTLER_PRESSURE_MACHINE: u32 = 3;
/// RLIMIT_AS.
pub const OSTLER_PRESSURE_ADDRESS_SPACE: u32 = 4;
/// The memory of one of several nodes; never critical, because the kernel goes to another one.
pub const OSTLER_PRESSURE_NODE: u32 = 5;
/// Threads wait for memory (pressure stall information).
pub const OSTLER_PRESSURE_STALL: u32 = 6;

const _: () = assert!(
    OSTLER_PRESSURE_NONE == Reason::None as u32
        && OSTLER_PRESSURE_LIMIT == Reason::Limit as u32
        && OSTLER_PRESSURE_CGROUP == Reason::Group as u32
        && OSTLER_PRESSURE_MACHINE == Reason::Machine as u32
        && OSTLER_PRESSURE_ADDRESS_SPACE == Reason::AddressSpace as u32
        && OSTLER_PRESSURE_NODE == Reason::Node as u32
        && OSTLER_PRESSURE_STALL == Reason::Stall as u32
);

/// What it costs to get memory back, least first: nothing; it is empty.
pub const OSTLER_RECLAIM_EMPTY: u32 = 0;
/// It is loaded again at the next access.
pub const OSTLER_RECLAIM_LAZY: u32 = 1;
/// Idle resources of pools are made again.
pub const OSTLER_RECLAIM_POOL: u32 = 2;
/// Blocks are moved together.
pub const OSTLER_RECLAIM_COMPACT: u32 = 3;
/// Idle workers are started again.
pub const OSTLER_RECLAIM_WORKER: u32 = 4;

const _: () = assert!(
    OSTLER_RECLAIM_EMPTY == ReclaimKind::Empty as u32
        && OSTLER_RECLAIM_LAZY == ReclaimKind::Lazy as u32
        && OSTLER_RECLAIM_POOL == ReclaimKind::Pool as u32
        && OSTLER_RECLAIM_COMPACT == ReclaimKind::Compact as u32
        && OSTLER_RECLAIM_WORKER == ReclaimKind::Worker as u32
);

/// How much memory the process may hold, and when that is how short.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_governor_config {
    /// sizeof(ostler_governor_config).
    pub struct_size: u32,
    /// All that is charged together may be this share of the kernel's least limit, in percent; 1 to 100; 0: no such
    /// limit.
    pub limit_percent: u32,
    /// All that is charged together may be this much; 0: no such limit.
    pub limit_bytes: u64,
    /// The level is normal from this fill of any limit on, in percent; 1 to 100; 0: 50.
    pub normal_percent: u32,
    /// High; at least normal_percent; 0: 80.
    pub high_percent: u32,
    /// Critical; at least high_percent; 0: 95.
    pub critical_percent: u32,
    /// A level ends when the fill is so much below its begin; below normal_percent; 0: 5.
    pub hysteresis_percent: u32,
    /// The level is high when some thread waited for memory in this share of the time, in percent; 1 to 100; 0: 10.
    pub stall_high_percent: u32,
    /// The level is critical when all threads did; 1 to 100; 0: 10.
    pub stall_critical_percent: u32,
    /// How often the governor's thread looks; 10 ms to 60 s; 0: 250 ms.
    pub tick_ns: u64,
    /// A level that is measured, not charged, ends only after so long without cause; at most 1 hour; 0: 1 s.
    pub cool_down_ns: u64,
    /// 0: while the level is high, memory that can be done without is asked back, what costs least first, up to idle
    /// resources of pools; while it is critical, of every kind. 1: only when ostler_governor_reclaim is called.
    pub suggest_only: u32,
    /// 0.
    pub reserved: u32,
    /// The folder of the control group whose limits hold, and those of the groups above it; borrowed during the call;
    /// NULL: the group that this process is in.
    pub cgroup_folder: *const c_char,
    /// Where pressure stall information is read; borrowed during the call; NULL: memory.pressure of the group, else
    /// /proc/pressure/memory. The kernel's alarm comes from there as well, unless $MEMORY_PRESSURE_WATCH names a file,
    /// FIFO or socket for it; /dev/null there means that stalls count for nothing.
    pub pressure_file: *const c_char,
}

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
}

/// Memory that somebody could give back.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_suggestion {
    /// Whose memory it is, as ostler_account_info tells; 0: no account is charged for it.
    pub account_id: u64,
    /// How much could be freed, as far as that is known.
    pub bytes: u64,
    /// How long ago it was last of use.
    pub idle_ns: u64,
    /// OSTLER_RECLAIM_...
    pub kind: u32,
    /// OSTLER_HOLDER_...; 0 when no account tells.
    pub holder: u32,
    /// The account's.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// What somebody was asked to give back, and what came of it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_reclaimed {
    /// Who was asked.
    pub from: ostler_suggestion,
    /// For how much.
    pub asked_bytes: u64,
    /// What it says to have freed.
    pub claimed_bytes: u64,
    /// What is charged less than before: to its account, or to all together without one.
    pub freed_bytes: u64,
    /// Measured: what of the process is resident less than before; other threads take and free meanwhile.
    pub resident_bytes: u64,
}

/// A change of the level, as it is told of.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_level_change {
    /// sizeof(ostler_level_change) of the library.
    pub struct_size: u32,
    /// OSTLER_LEVEL_...
    pub level: u32,
    /// OSTLER_LEVEL_... before.
    pub level_before: u32,
    /// OSTLER_PRESSURE_...: what the level comes from.
    pub pressure: u32,
    /// Charged at that moment.
    pub held_bytes: u64,
    /// The least limit at that moment; UINT64_MAX without one.
    pub limit_bytes: u64,
}

/// Is told of a change of the level: on the governor's thread, with no lock held, each change once and in order. It may
/// call the library, also to end its own watch; what takes long there holds up the next change. change is borrowed
/// during the call.
pub type ostler_level_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, change: *const ostler_level_change)>;

/// What an account is and holds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_account_info {
    /// Never used again for another account.
    pub id: u64,
    /// The account that is charged for the same bytes; 0: none but that of the process.
    pub parent_id: u64,
    pub held_bytes: u64,
    /// The most that held_bytes ever was.
    pub peak_bytes: u64,
    /// The account's own limit; 0: none.
    pub limit_bytes: u64,
    /// OSTLER_HOLDER_...
    pub holder: u32,
    /// 0.
    pub reserved: u32,
    pub name: [c_char; OSTLER_NAME_BYTES],
}

versioned!(ostler_governor_config, ostler_governor_stats);

impl From<Refused> for Failure {
    fn from(error: Refused) -> Self {
        Self::new(OSTLER_E_MEMORY_PRESSURE, format_args!("{error}"))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(OSTLER_E_INVALID_ARGUMENT, format_args!("{error}"))
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::OutOfMemory(error) => error.into(),
            WatchError::Spawn(error) => error.into(),
        }
    }
}

impl From<Underway> for Failure {
    fn from(error: Underway) -> Self {
        Self::new(OSTLER_E_BUSY, format_args!("{error}"))
    }
}

/// A name as structs of the header hold it.
pub fn name_bytes(name: &Name) -> [c_char; OSTLER_NAME_BYTES] {
    name.as_c_bytes().map(|byte| byte as c_char)
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_governor_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_config_init(
    config: *mut ostler_governor_config,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// # Safety
/// The texts in it are as the header asks.
unsafe fn checked(config: &ostler_governor_config) -> Result<Config, Failure> {
    const HOUR_NS: u64 = 3_600_000_000_000;
    let or = |value: u32, default: u32| if value == 0 { default } else { value };
    let usual = Thresholds::default();
    if config.cool_down_ns > HOUR_NS {
        return Err(out_of_range("cool_down_ns", config.cool_down_ns, "must be at most 3600000000000 (1 h)"));
    }
    // SAFETY: the caller's promise.
    let path = |name, given: *const c_char| unsafe {
        if given.is_null() { Ok(None) } else { text(name, given).map(|path| Some(PathBuf::from(path))) }
    };
    let config = Config {
        limit: Configured { bytes: config.limit_bytes, percent: config.limit_percent },
        thresholds: Thresholds {
            normal: or(config.normal_percent, usual.normal),
            high: or(config.high_percent, usual.high),
            critical: or(config.critical_percent, usual.critical),
            hysteresis: or(config.hysteresis_percent, usual.hysteresis),
            stall_high: or(config.stall_high_percent, usual.stall_high),
            stall_critical: or(config.stall_critical_percent, usual.stall_critical),
            cool_down_ns: if config.cool_down_ns == 0 { usual.cool_down_ns } else { config.cool_down_ns },
        },
        suggest_only: flag("suggest_only", config.suggest_only)?,
        tick_ns: if config.tick_ns == 0 { look::DEFAULT_TICK_NS } else { config.tick_ns },
        group: path("cgroup_folder", config.cgroup_folder)?,
        pressure: path("pressure_file", config.pressure_file)?,
    };
    Ok(config.checked()?)
}

/// Governs the process: sets how much memory it may hold, and when that is how short, in place of what was set before,
/// and starts the governor's thread. What is held already stays, also when it is more. Without this call the limits of
/// the kernel hold, and at no level is anything refused for its sake.
///
/// Parameters:
/// - config: borrowed during the call.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_SYSTEM (the thread could not be
/// started; nothing is changed), OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL: all is as before the first call, and the thread ends unless somebody keeps a watch.
/// Blocking: as long as the kernel takes to tell its limits; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_configure(config: *const ostler_governor_config) -> ostler_status {
    guard(|| {
        if config.is_null() {
            governor::forget();
            return Ok(());
        }
        // SAFETY: as the header asks.
        let config = unsafe { checked(&read("config", config)?)? };
        Ok(governor::configure(config)?)
    })
}

/// A callback of the host that watches the level.
struct Host {
    callback: unsafe extern "C-unwind" fn(*mut c_void, *const ostler_level_change),
    user_data: *mut c_void,
}

// SAFETY: the header asks for a callback and user data that the governor's thread may use.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Listener for Host {
    fn changed(&self, change: &Change) {
        let change = ostler_level_change {
            struct_size: size_of::<ostler_level_change>() as u32,
            level: change.level as u32,
            level_before: change.before as u32,
            pressure: change.reason as u32,
            held_bytes: change.held,
            limit_bytes: change.limit,
        };
        // SAFETY: the host's function, called as the header says.
        unsafe { (self.callback)(self.user_data, &change) }
    }
}

/// Has a callback told of each change of the level from now on, and starts the governor's thread.
///
/// Parameters:
/// - callback: called on the governor's thread until the watch ends.
/// - user_data: handed to it.
/// - watch_id: written only on success, else 0; names the watch for ostler_governor_unwatch.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM (the thread could not be
/// started), OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callback and watch_id must not be NULL; user_data may be NULL.
/// Blocking: as long as the kernel takes to tell its limits; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_watch(
    callback: ostler_level_callback,
    user_data: *mut c_void,
    watch_id: *mut u64,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let watch_id = unsafe { output("watch_id", watch_id, 0)? };
        let callback = callback.ok_or_else(|| null("callback"))?;
        *watch_id = governor::watch(alloc::try_box(Host { callback, user_data })?)?;
        Ok(())
    })
}

/// Ends a watch. When this returns, its callback runs no more.
///
/// Parameters:
/// - watch_id: of ostler_governor_watch.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (there is no such watch, or it was ended), OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: waits while the callback runs; inside that callback it returns at once, and this call of it is the last.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_governor_unwatch(watch_id: u64) -> ostler_status {
    guard(|| {
        if governor::unwatch(watch_id) {
            return Ok(());
        }
        Err(out_of_range("watch_id", watch_id, "must be one of ostler_governor_watch that was not ended"))
    })
}

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
        });
        Ok(())
    })
}

/// Lists the accounts that are open, the largest first: who holds how much. Accounts that another one pays for as well
/// are listed beside it.
///
/// Parameters:
/// - accounts: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
/// - capacity: its elements; 0 only counts.
/// - count: written; how many accounts are open, which may be more than capacity; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number was right at some moment of the call; nobody is held up.
/// NULL: accounts may be NULL when capacity is 0; count must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_list_accounts(
    accounts: *mut ostler_account_info,
    capacity: u64,
    count: *mut u64,
) -> ostler_status {
    let none = ostler_account_info {
        id: 0,
        parent_id: 0,
        held_bytes: 0,
        peak_bytes: 0,
        limit_bytes: 0,
        holder: 0,
        reserved: 0,
        name: [0; OSTLER_NAME_BYTES],
    };
    // SAFETY: as the header asks.
    unsafe {
        clear(count, 0);
        if capacity > 0 {
            clear(accounts, none);
        }
    }
    guard(|| {
        // SAFETY: as the header asks.
        let count = unsafe { output("count", count, 0)? };
        if accounts.is_null() && capacity > 0 {
            return Err(null("accounts"));
        }
        let entries = account::list()?;
        for (place, entry) in entries.iter().enumerate().take_while(|(place, _)| (*place as u64) < capacity) {
            // SAFETY: as the header asks, and there are `capacity` places.
            unsafe { accounts.add(place).write(account_info(entry)) };
        }
        *count = entries.len() as u64;
        Ok(())
    })
}

fn account_info(entry: &Entry) -> ostler_account_info {
    ostler_account_info {
        id: entry.id,
        parent_id: entry.parent,
        held_bytes: entry.held,
        peak_bytes: entry.peak,
        limit_bytes: entry.limit,
        holder: entry.holder as u32,
        reserved: 0,
        name: name_bytes(&entry.name),
    }
}

/// Tells who could give how much memory back, in the order in which they would be asked: what costs least to get back
/// first, and among that what was not used for longest. Nobody is asked for anything. What the level comes from, and how
/// much must go, stands in ostler_governor_get_stats.
///
/// Parameters:
/// - suggestions: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
/// - capacity: its elements; 0 only counts.
/// - count: written; how many there are, which may be more than capacity; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number was right at some moment of the call.
/// NULL: suggestions may be NULL when capacity is 0; count must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_suggest(
    suggestions: *mut ostler_suggestion,
    capacity: u64,
    count: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(count, 0);
        if capacity > 0 {
            clear(suggestions, std::mem::zeroed());
        }
    }
    guard(|| {
        // SAFETY: as the header asks.
        let count = unsafe { output("count", count, 0)? };
        if suggestions.is_null() && capacity > 0 {
            return Err(null("suggestions"));
        }
        let list = reclaim::suggestions()?;
        for (place, one) in list.iter().enumerate().take_while(|(place, _)| (*place as u64) < capacity) {
            // SAFETY: as the header asks, and there are `capacity` places.
            unsafe { suggestions.add(place).write(suggestion(one)) };
        }
        *count = list.len() as u64;
        Ok(())
    })
}

fn suggestion(one: &Suggestion) -> ostler_suggestion {
    ostler_suggestion {
        account_id: one.account,
        bytes: one.bytes,
        idle_ns: reclaim::idle_ns(one.last_used_ns),
        kind: one.kind as u32,
        holder: one.holder as u32,
        name: name_bytes(&one.name),
    }
}

/// Asks for memory back, as ostler_governor_suggest has it, until as much is freed as was wanted or nobody is left, and
/// tells what each of them really freed.
///
/// Parameters:
/// - bytes: how much is wanted; UINT64_MAX asks everybody.
/// - up_to_kind: OSTLER_RECLAIM_...: what costs more than that stays.
/// - reclaimed: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
/// - capacity: its elements; 0 only counts.
/// - count: written; how many were asked, which may be more than capacity; 0 after a failure.
/// - freed_bytes: written; how much was freed in all; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_BUSY (memory is being asked back already: on another thread, or in a reclaim callback
/// that this call was made from), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe; one call at a time.
/// NULL: reclaimed may be NULL when capacity is 0; count and freed_bytes may be NULL.
/// Blocking: as long as those who are asked take; their callbacks run on this thread, the unload of a model on its worker's.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_reclaim(
    bytes: u64,
    up_to_kind: u32,
    reclaimed: *mut ostler_reclaimed,
    capacity: u64,
    count: *mut u64,
    freed_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(count, 0);
        clear(freed_bytes, 0);
        if capacity > 0 {
            clear(reclaimed, std::mem::zeroed());
        }
    }
    guard(|| {
        if reclaimed.is_null() && capacity > 0 {
            return Err(null("reclaimed"));
        }
        let number = u64::from(up_to_kind);
        let up_to = ReclaimKind::from_number(up_to_kind)
            .ok_or_else(|| out_of_range("up_to_kind", number, "must be one of OSTLER_RECLAIM_... (0 to 4)"))?;
        let mut asked = 0;
        let freed = reclaim::reclaim(bytes, up_to, |one| {
            if asked < capacity {
                // SAFETY: as the header asks, and there are `capacity` places.
                unsafe { reclaimed.add(asked as usize).write(outcome(one)) };
            }
            asked += 1;
        })?;
        // SAFETY: as the header asks.
        unsafe {
            clear(count, asked);
            clear(freed_bytes, freed);
        }
        Ok(())
    })
}

fn outcome(one: &Reclaimed) -> ostler_reclaimed {
    ostler_reclaimed {
        from: suggestion(&one.from),
        asked_bytes: one.asked,
        claimed_bytes: one.claimed,
        freed_bytes: one.freed,
        resident_bytes: one.resident,
    }
}
