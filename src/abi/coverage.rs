//! Coverage: how much of an arena's memory still is what its receipts told, as numbers to watch, and its repair. The
//! kernel splits huge pages and moves pages between nodes while a program runs.

use super::arena::ostler_arena;
use super::guard::with;
use super::status::ostler_status;
use super::structs::{prepare, versioned, zeroed};
use crate::base::handles::Pin;
use crate::memory::arena::Arena;

/// What of some memory is where, in pages of which size, summed over all chunks.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_coverage {
    /// sizeof(ostler_coverage), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Bytes of address space.
    pub mapped_bytes: u64,
    /// Bytes that have memory behind them now.
    pub resident_bytes: u64,
    /// Resident bytes in huge pages, transparent or explicit.
    pub huge_bytes: u64,
    /// Resident bytes in base pages although larger ones were asked for.
    pub small_bytes: u64,
    /// Resident bytes on nodes that the node policy does not stand for.
    pub remote_bytes: u64,
    /// Mapped bytes of chunks of which the kernel does not tell.
    pub unverified_bytes: u64,
}

/// What a repair found and what it left.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_repair {
    /// sizeof(ostler_repair), set by the caller.
    pub struct_size: u32,
    /// OSTLER_LIMIT_...: what stood in the way of the first thing that could not be repaired.
    pub limit: u32,
    /// What the system call said; 0 when it did not come to one.
    pub os_errno: i32,
    /// 0.
    pub reserved: u32,
    /// As in ostler_coverage.
    pub small_bytes_before: u64,
    /// As in ostler_coverage.
    pub small_bytes_after: u64,
    /// As in ostler_coverage.
    pub remote_bytes_before: u64,
    /// As in ostler_coverage.
    pub remote_bytes_after: u64,
}

versioned!(ostler_coverage, ostler_repair);

/// Tells how much of an arena's memory is in huge pages, and how much is on other nodes than it should be. Asks the
/// kernel anew each time: some microseconds for each chunk of huge pages.
///
/// Parameters:
/// - arena: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_get_coverage(
    arena: *mut ostler_arena,
    out: *mut ostler_coverage,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(arena, |arena: &Pin<Arena>| {
        let out = out?;
        let coverage = arena.coverage();
        out.fill(&ostler_coverage {
            mapped_bytes: coverage.mapped_bytes,
            resident_bytes: coverage.resident_bytes,
            huge_bytes: coverage.huge_bytes,
            small_bytes: coverage.small_bytes,
            remote_bytes: coverage.remote_bytes,
            unverified_bytes: coverage.unverified_bytes,
            ..zeroed()
        });
        Ok(())
    })
}

/// Brings an arena's pages back to what they were: moves those on other nodes home, and puts base pages together to huge
/// ones, which makes all of each huge page resident. The memory can be used meanwhile, and its contents stay. What could
/// not be repaired is told, and no error.
///
/// Parameters:
/// - arena: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_repair(arena: *mut ostler_arena, out: *mut ostler_repair) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(arena, |arena: &Pin<Arena>| {
        let out = out?;
        let repair = arena.repair();
        out.fill(&ostler_repair {
            limit: repair.limit as u32,
            os_errno: repair.errno,
            small_bytes_before: repair.before.small_bytes,
            small_bytes_after: repair.after.small_bytes,
            remote_bytes_before: repair.before.remote_bytes,
            remote_bytes_after: repair.after.remote_bytes,
            ..zeroed()
        });
        Ok(())
    })
}
