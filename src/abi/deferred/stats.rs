//! What a set of cells holds and did.

use super::ostler_deferred;
use crate::abi::guard::with;
use crate::abi::pool::{ostler_times, times};
use crate::abi::status::ostler_status;
use crate::abi::structs::{prepare, versioned};
use crate::base::handles::Pin;
use crate::pool::Deferred;

/// What a set of cells holds and did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_deferred_stats {
    /// sizeof(ostler_deferred_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    pub capacity: u64,
    /// Cells that are out.
    pub in_use: u64,
    /// Those of them to which nothing has come.
    pub pending: u64,
    /// Most that were out at once; of what several threads get and free at the same time it may miss some, or count some free
    /// ones that were on their way to what one of them has at hand.
    pub peak_in_use: u64,
    /// Cells that were given out.
    pub acquires: u64,
    /// Cells that were completed with OSTLER_OK.
    pub completed: u64,
    /// Cells that were completed with another status.
    pub failed: u64,
    /// Cells that were cancelled, or ended by a destroy.
    pub cancelled: u64,
    /// Cells that were released before anything came.
    pub released: u64,
    /// Values that went to discard.
    pub discarded: u64,
    /// Acquires that found too few cells.
    pub refused: u64,
    /// How long those waited that had to, also in vain.
    pub waits: ostler_times,
}

versioned!(ostler_deferred_stats);

/// Reads what a set of cells holds and did.
///
/// Parameters:
/// - deferred: borrowed.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number is right for some moment of the call; nobody is held up.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_get_stats(
    deferred: *mut ostler_deferred,
    out: *mut ostler_deferred_stats,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(deferred, |deferred: &Pin<Deferred>| {
        let stats = deferred.stats();
        out?.fill(&ostler_deferred_stats {
            struct_size: 0,
            reserved: 0,
            capacity: stats.capacity,
            in_use: stats.in_use,
            pending: stats.pending,
            peak_in_use: stats.peak_in_use,
            acquires: stats.acquires,
            completed: stats.completed,
            failed: stats.failed,
            cancelled: stats.cancelled,
            released: stats.released,
            discarded: stats.discarded,
            refused: stats.refused,
            waits: times(&stats.waits),
        });
        Ok(())
    })
}
