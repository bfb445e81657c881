//! What has come, and who takes it, waits for it, or does not want it.

use super::outcomes::outcome_of;
use super::{list, ostler_cell, ostler_deferred};
use crate::abi::arguments::{clear, out_of_range, output};
use crate::abi::cancel::{given, ostler_cancel};
use crate::abi::guard::{seated, with_child};
use crate::abi::status::{Failure, OSTLER_E_NOT_READY, OSTLER_OK, ostler_status};
use crate::base::clock::Deadline;
use crate::base::handles::Pin;
use crate::base::thread::ThreadRecord;
use crate::pool::cells::{CellError, Key};
use crate::pool::{Deferred, DeferredError, Settled};
use std::ffi::c_void;

/// Takes what has come, and does not wait: on OSTLER_OK outcome and value are written, and the cell is stale.
///
/// Parameters:
/// - deferred: borrowed, also when it was destroyed.
/// - cell: consumed on success, and still valid otherwise.
/// - outcome: written; as for ostler_deferred_wait.
/// - value: written; as for ostler_deferred_wait.
///
/// Returns: OSTLER_OK, OSTLER_E_NOT_READY, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or it has a
/// completion callback), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; value may be NULL; outcome must not be NULL.
/// Blocking: never but for the moment in which a set gets its second user (see ostler_deferred); may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_poll(
    deferred: *mut ostler_deferred,
    cell: ostler_cell,
    outcome: *mut ostler_status,
    value: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    match unsafe { look(deferred, cell, outcome, value) } {
        Look::Taken => OSTLER_OK,
        Look::Nothing(record) => {
            // SAFETY: as the header asks.
            unsafe { empty(outcome, value) };
            Failure::in_words(record, OSTLER_E_NOT_READY, DeferredError::NOTHING_HAS_COME).status()
        }
        // SAFETY: as the header asks.
        Look::Refused => unsafe { taking(deferred, outcome, value, |deferred| Ok(deferred.poll(Key(cell.value))?)) },
    }
}

/// Waits until something has come and takes it: on OSTLER_OK outcome and value are written, and the cell is stale. One
/// thread at a time can wait for a cell.
///
/// Parameters:
/// - deferred: borrowed, also when it was destroyed.
/// - cell: consumed on success, and still valid otherwise.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait, not the cell.
/// - outcome: written; what the cell was completed with, OSTLER_E_CANCELLED when it was cancelled, OSTLER_E_CLOSED when
///   the set was destroyed first; 0 after a failure of this call.
/// - value: written; what the cell was completed with, the caller's from now on; else NULL.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (another thread waits for
/// it, or it has a completion callback), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; cancel and value may be NULL; outcome must not be NULL.
/// Blocking: up to timeout_ns; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_wait(
    deferred: *mut ostler_deferred,
    cell: ostler_cell,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    outcome: *mut ostler_status,
    value: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    if cancel.is_null() && matches!(unsafe { look(deferred, cell, outcome, value) }, Look::Taken) {
        return OSTLER_OK;
    }
    let take = |deferred: &Deferred| {
        let cancel = given(cancel)?;
        // What is there needs no clock.
        match deferred.poll(Key(cell.value)) {
            Err(DeferredError::NotReady) => {
                Ok(deferred.wait(Key(cell.value), Deadline::after(timeout_ns), cancel.as_deref())?)
            }
            polled => Ok(polled?),
        }
    };
    // SAFETY: as the header asks.
    unsafe { taking(deferred, outcome, value, take) }
}

/// What a short call found.
enum Look {
    /// What came, which is written.
    Taken,
    Nothing(&'static ThreadRecord),
    /// Something that only the long way does, or tells.
    Refused,
}

/// Takes what came when that is all that there is to do.
///
/// # Safety
/// As for [`output`].
#[inline(always)]
unsafe fn look(
    deferred: *mut ostler_deferred,
    cell: ostler_cell,
    outcome: *mut ostler_status,
    value: *mut *mut c_void,
) -> Look {
    // SAFETY: the caller's promise.
    let Some(outcome) = (unsafe { outcome.as_mut() }) else { return Look::Refused };
    let Some(deferred) = seated::<_, Deferred>(deferred) else { return Look::Refused };
    let settled = match deferred.poll_in_window(Key(cell.value), deferred.pocket()) {
        Some(Ok(settled)) => settled,
        Some(Err(CellError::NotReady)) => return Look::Nothing(deferred.record()),
        _ => return Look::Refused,
    };
    *outcome = outcome_of(settled.end);
    // SAFETY: the caller's promise.
    unsafe { clear(value, settled.value) };
    Look::Taken
}

/// Leaves in the results what they hold after a failure.
///
/// # Safety
/// As for [`output`].
pub(in crate::abi) unsafe fn empty(outcome: *mut ostler_status, value: *mut *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe {
        clear(outcome, OSTLER_OK);
        clear(value, std::ptr::null_mut());
    }
}

/// A call that takes what came, or has something to tell.
///
/// # Safety
/// As for [`output`].
#[inline(never)]
unsafe fn taking(
    deferred: *mut ostler_deferred,
    outcome: *mut ostler_status,
    value: *mut *mut c_void,
    take: impl FnOnce(&Deferred) -> Result<Settled, Failure>,
) -> ostler_status {
    // SAFETY: the caller's promise.
    unsafe { empty(outcome, value) };
    with_child(deferred, |deferred: &Pin<Deferred>| {
        // SAFETY: the caller's promise.
        let outcome = unsafe { output("outcome", outcome, OSTLER_OK)? };
        let settled = take(deferred)?;
        *outcome = outcome_of(settled.end);
        // SAFETY: the caller's promise.
        unsafe { clear(value, settled.value) };
        Ok(())
    })
}

/// Waits until something has come to one of several cells, and leaves it there.
///
/// Parameters:
/// - deferred: borrowed, also when it was destroyed.
/// - cells: borrowed during the call; an array of count cells of this set, none of them twice.
/// - count: how many; 1 to 1048576.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
/// - index: written; the place of the first cell in the array to which something has come; else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (another thread waits for
/// one of them, or one has a completion callback), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; cells and index must not be NULL.
/// Blocking: up to timeout_ns; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_wait_any(
    deferred: *mut ostler_deferred,
    cells: *const ostler_cell,
    count: u32,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    index: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(index, 0) };
    with_child(deferred, |deferred: &Pin<Deferred>| {
        // SAFETY: as the header asks.
        let index = unsafe { output("index", index, 0)? };
        let Some(cells) = list(cells, count)? else {
            return Err(out_of_range("count", 0, "must be 1 to 1048576"));
        };
        // SAFETY: as the header asks.
        let keys = unsafe { std::slice::from_raw_parts(cells, count as usize) };
        let cancel = given(cancel)?;
        *index = deferred.wait_for(keys, 1, Deadline::after(timeout_ns), cancel.as_deref())? as u32;
        Ok(())
    })
}

/// Waits until something has come to all of several cells, and leaves it there.
///
/// Parameters:
/// - deferred: borrowed, also when it was destroyed.
/// - cells: borrowed during the call; an array of count cells of this set, none of them twice.
/// - count: how many; 0 does nothing; at most 1048576.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (another thread waits for
/// one of them, or one has a completion callback), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; cells (unless count is 0) must not be NULL.
/// Blocking: up to timeout_ns; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_wait_all(
    deferred: *mut ostler_deferred,
    cells: *const ostler_cell,
    count: u32,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
) -> ostler_status {
    with_child(deferred, |deferred: &Pin<Deferred>| {
        let Some(cells) = list(cells, count)? else { return Ok(()) };
        // SAFETY: as the header asks.
        let keys = unsafe { std::slice::from_raw_parts(cells, count as usize) };
        let cancel = given(cancel)?;
        deferred.wait_for(keys, keys.len(), Deadline::after(timeout_ns), cancel.as_deref())?;
        Ok(())
    })
}

/// Gives a cell back without taking what comes. When nothing has come, who completes it later gets OSTLER_E_STALE_CELL
/// and keeps the value; a value that has come goes to the set's discard callback.
///
/// Parameters:
/// - deferred: borrowed, also when it was destroyed.
/// - cell: consumed on success, and still valid otherwise.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or its completion callback is called at
/// this moment), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as discard takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_release(deferred: *mut ostler_deferred, cell: ostler_cell) -> ostler_status {
    with_child(deferred, |deferred: &Pin<Deferred>| Ok(deferred.release(Key(cell.value))?))
}
