//! Memory that is asked back: who could give how much, and what came of it.

use super::name_bytes;
use crate::abi::arguments::{clear, null, out_of_range, output};
use crate::abi::guard::guard;
use crate::abi::library::OSTLER_NAME_BYTES;
use crate::abi::status::ostler_status;
use crate::memory::governor::reclaim::{self, ReclaimKind, Reclaimed, Suggestion};
use std::ffi::c_char;

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
