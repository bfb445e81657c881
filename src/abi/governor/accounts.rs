//! Accounts that are open: who holds how much.

use crate::abi::arguments::{clear, null, output};
use crate::abi::coverage::ostler_seen;
use crate::abi::guard::guard;
use crate::abi::library::OSTLER_NAME_BYTES;
use crate::abi::status::ostler_status;
use crate::base::Name;
use crate::memory::governor::account::{self, Entry, Holder};
use std::ffi::c_char;

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
    /// What was last seen of its memory. Nobody looks for this call.
    pub seen: ostler_seen,
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
        seen: ostler_seen::NOTHING,
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
        seen: entry.seen.into(),
    }
}

/// A name as structs of the header hold it.
pub fn name_bytes(name: &Name) -> [c_char; OSTLER_NAME_BYTES] {
    name.as_c_bytes().map(|byte| byte as c_char)
}
