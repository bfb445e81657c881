//! Governor of memory: one for the process. Every object is charged for the memory that it holds, and what would pass the
//! limit is refused before it is taken. The limit is the least of what is configured here and what the kernel allows:
//! control groups of both versions, the machine's memory, RLIMIT_AS; it is read anew, because it may change.

use super::arguments::{clear, null, output, text};
use super::guard::guard;
use super::library::OSTLER_NAME_BYTES;
use super::status::{Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_MEMORY_PRESSURE, ostler_status};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::Name;
use crate::memory::governor::account::{self, Entry, Holder};
use crate::memory::governor::limit::{Configured, Limit, Source};
use crate::memory::governor::look::ConfigureError;
use crate::memory::governor::{Refused, look, root};
use std::ffi::c_char;
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
/// A worker.
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

/// How much memory the process may hold.
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
    /// The folder of the control group whose limits hold, and those of the groups above it; borrowed during the call;
    /// NULL: the group that this process is in.
    pub cgroup_folder: *const c_char,
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
}

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

impl From<ConfigureError> for Failure {
    fn from(error: ConfigureError) -> Self {
        Self::new(OSTLER_E_INVALID_ARGUMENT, format_args!("{error}"))
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

/// Sets how much memory the process may hold, in place of what was set before. What is held already stays, also when it
/// is more. Without this call the kernel's limits hold.
///
/// Parameters:
/// - config: borrowed during the call.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default.
/// Blocking: as long as the kernel takes to tell its limits; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_configure(config: *const ostler_governor_config) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        let configured = Configured { bytes: config.limit_bytes, percent: config.limit_percent };
        let folder = if config.cgroup_folder.is_null() {
            None
        } else {
            // SAFETY: as the header asks.
            Some(PathBuf::from(unsafe { text("cgroup_folder", config.cgroup_folder)? }))
        };
        Ok(look::configure(configured, folder)?)
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
        let sight = look::now();
        let totals = root::totals();
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
