//! What brings a cell to its end, and what is called then.

use super::{ostler_cell, ostler_cell_callback, ostler_deferred};
use crate::abi::arguments::null;
use crate::abi::guard::{seated, with_child};
use crate::abi::status::{OSTLER_OK, ostler_status};
use crate::base::handles::{Pin, Seated};
use crate::pool::cells::Key;
use crate::pool::{Completion, Deferred, End, Settled};
use std::ffi::c_void;

/// Completes a cell, once, with a value or with a failure. What happened before it is visible to whoever takes what came.
///
/// Parameters:
/// - deferred: borrowed, also when it was destroyed.
/// - cell: a cell of this set that is pending.
/// - outcome: OSTLER_OK, or what went wrong: any other number, of the host's own choice.
/// - value: owned; anything, also NULL. On OSTLER_OK it goes to whoever takes it; after an error it stays the caller's.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_CELL (nobody wants it any more), OSTLER_E_ALREADY_COMPLETED (also after a cancel or
/// a destroy), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; value may be NULL.
/// Blocking: as long as the cell's completion callback takes, and for the moment in which a set gets its second user (see ostler_deferred); may be called
/// from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_complete(
    deferred: *mut ostler_deferred,
    cell: ostler_cell,
    outcome: ostler_status,
    value: *mut c_void,
) -> ostler_status {
    let in_window =
        |set: Seated<Deferred>| set.complete_in_window(Key(cell.value), settled(outcome, value), set.pocket());
    if seated(deferred).and_then(in_window).is_some() {
        return OSTLER_OK;
    }
    complete_guarded(deferred, cell, outcome, value)
}

#[inline(always)]
pub(in crate::abi) fn settled(outcome: ostler_status, value: *mut c_void) -> Settled {
    let end = if outcome == OSTLER_OK { End::Completed } else { End::Failed(outcome) };
    Settled { end, value }
}

/// The way of a call that has a completion to call or something to tell.
#[inline(never)]
fn complete_guarded(
    deferred: *mut ostler_deferred,
    cell: ostler_cell,
    outcome: ostler_status,
    value: *mut c_void,
) -> ostler_status {
    with_child(deferred, |deferred: &Pin<Deferred>| Ok(deferred.complete(Key(cell.value), settled(outcome, value))?))
}

/// Ends a pending cell with OSTLER_E_CANCELLED for whoever takes it. Who completes it later gets
/// OSTLER_E_ALREADY_COMPLETED, or OSTLER_E_STALE_CELL once that was taken.
///
/// Parameters:
/// - deferred: borrowed, also when it was destroyed.
/// - cell: a cell of this set that is pending; what came is still to be taken.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_CELL, OSTLER_E_ALREADY_COMPLETED, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as the cell's completion callback takes, and for the moment in which a set gets its second user (see ostler_deferred); may be called
/// from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_cancel(deferred: *mut ostler_deferred, cell: ostler_cell) -> ostler_status {
    with_child(deferred, |deferred: &Pin<Deferred>| Ok(deferred.cancel(Key(cell.value))?))
}

/// Gives a cell a callback that takes what comes; when something has come already it is called before this returns.
///
/// Parameters:
/// - deferred: borrowed, also when it was destroyed.
/// - cell: from now on for the callback only: wait and poll refuse it. A release before anything has come takes the
///   callback back.
/// - callback: called once.
/// - user_data: handed to callback; used until callback has returned, or until the cell is released before anything has come;
///   not used when this fails.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or it has a callback),
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; callback must not be NULL; user_data may be NULL.
/// Blocking: as long as the callback takes, and for the moment in which a set gets its second user (see ostler_deferred); may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_on_complete(
    deferred: *mut ostler_deferred,
    cell: ostler_cell,
    callback: ostler_cell_callback,
    user_data: *mut c_void,
) -> ostler_status {
    with_child(deferred, |deferred: &Pin<Deferred>| {
        let callback = callback.ok_or_else(|| null("callback"))?;
        Ok(deferred.on_complete(Key(cell.value), Completion(callback as *const ()), user_data)?)
    })
}
