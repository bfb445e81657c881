//! Cells that are given out.

use super::{list, ostler_cell, ostler_deferred};
use crate::abi::arguments::{clear, clear_array, output};
use crate::abi::guard::{seated, with};
use crate::abi::status::{OSTLER_OK, ostler_status};
use crate::base::handles::{Pin, Seated};
use crate::pool::Deferred;
use crate::pool::cells::Key;

/// Takes a free cell. It is out until what comes is taken, or until it is released.
///
/// Parameters:
/// - deferred: borrowed.
/// - out: written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_acquire(
    deferred: *mut ostler_deferred,
    out: *mut ostler_cell,
) -> ostler_status {
    // SAFETY: as the header asks.
    if let Some(out) = unsafe { out.as_mut() }
        && let Some(set) = seated::<_, Deferred>(deferred)
    {
        let Some(cell) = set.acquire_at_hand(set.pocket()) else { return acquire_in_window(deferred, set, out) };
        *out = ostler_cell { value: cell.0 };
        return OSTLER_OK;
    }
    // SAFETY: as the header asks.
    unsafe { acquire_guarded(deferred, out) }
}

/// The way of a call that finds nothing at hand.
#[inline(never)]
fn acquire_in_window(deferred: *mut ostler_deferred, set: Seated<Deferred>, out: &mut ostler_cell) -> ostler_status {
    let cell = set.acquire_in_window(set.pocket());
    drop(set);
    match cell {
        Some(cell) => {
            *out = ostler_cell { value: cell.0 };
            OSTLER_OK
        }
        // SAFETY: it is a reference.
        None => unsafe { acquire_guarded(deferred, out) },
    }
}

/// The way of a call that has something to tell.
///
/// # Safety
/// As for [`ostler_deferred_acquire`].
#[inline(never)]
unsafe fn acquire_guarded(deferred: *mut ostler_deferred, out: *mut ostler_cell) -> ostler_status {
    // SAFETY: the caller's promise.
    unsafe { clear(out, ostler_cell { value: 0 }) };
    with(deferred, |deferred: &Pin<Deferred>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, ostler_cell { value: 0 })? };
        out.value = deferred.acquire()?.0;
        Ok(())
    })
}

/// Takes many free cells in one step, or none.
///
/// Parameters:
/// - deferred: borrowed.
/// - count: how many; 0 does nothing; at most 1048576.
/// - cells: an array of count elements, written only on success, else 0; each ends on its own.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; cells (unless count is 0) must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_acquire_n(
    deferred: *mut ostler_deferred,
    count: u32,
    cells: *mut ostler_cell,
) -> ostler_status {
    // SAFETY: as the header asks.
    if unsafe { acquire_few(deferred, count, cells) } {
        return OSTLER_OK;
    }
    // SAFETY: as the header asks; a cell is one word.
    let empty = || unsafe { clear_array(cells.cast(), count) };
    empty();
    let status = with(deferred, |deferred: &Pin<Deferred>| {
        let Some(cells) = list(cells, count)? else { return Ok(()) };
        // SAFETY: as the header asks; a key is one word, and the words were written just now.
        let keys = unsafe { std::slice::from_raw_parts_mut(cells.cast_mut(), count as usize) };
        Ok(deferred.acquire_many(keys)?)
    });
    if status != OSTLER_OK {
        empty();
    }
    status
}

/// Takes a few cells when that is all that there is to do.
///
/// # Safety
/// As for [`ostler_deferred_acquire_n`].
#[inline(always)]
unsafe fn acquire_few(deferred: *mut ostler_deferred, count: u32, cells: *mut ostler_cell) -> bool {
    const FEW: u32 = 64;
    if cells.is_null() || !(1..=FEW).contains(&count) {
        return false;
    }
    let Some(deferred) = seated::<_, Deferred>(deferred) else { return false };
    // SAFETY: the caller's promise; a key is one word, as a cell is, and the words are written first.
    let keys = unsafe {
        cells.write_bytes(0, count as usize);
        std::slice::from_raw_parts_mut(cells.cast::<Key>(), count as usize)
    };
    deferred.acquire_many_in_window(keys, deferred.pocket()).is_some()
}
