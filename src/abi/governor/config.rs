//! What the governor is told: how much memory the process may hold, and when that is how short.

use crate::abi::arguments::{flag, out_of_range, text};
use crate::abi::guard::guard;
use crate::abi::status::{Failure, ostler_status};
use crate::abi::structs::{init, read, versioned};
use crate::memory::governor;
use crate::memory::governor::level::Thresholds;
use crate::memory::governor::limit::Configured;
use crate::memory::governor::look::{self, Config};
use crate::memory::governor::rounds;
use std::ffi::c_char;
use std::path::PathBuf;

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
    /// How often the thread looks at what has become of the memory of each object, see ostler_seen: one object at a tick, or
    /// a part of one, for at most a thousandth of its time, and not while memory is short; at least 10 ms; 0: 1 minute;
    /// OSTLER_FOREVER: never.
    pub coverage_period_ns: u64,
}

versioned!(ostler_governor_config);

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
        coverage_period_ns: match config.coverage_period_ns {
            0 => rounds::DEFAULT_PERIOD_NS,
            period_ns => period_ns,
        },
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
