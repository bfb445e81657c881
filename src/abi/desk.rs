//! Desk: one user's way to a set of cells, without a call; see ostler_inline.h.

use super::arguments::{clear, output};
use super::deferred::{empty, ostler_cell, ostler_deferred, outcome_of, settled};
use super::guard::{guard, with, with_child};
use super::status::{Failure, OSTLER_OK, ostler_status};
use crate::base::handles::Pin;
use crate::pool::cells::Key;
use crate::pool::{CELL_BYTES, CELL_OFFSETS, DESK_LAYOUT, DESK_ROOM, Deferred, Desk, OpenDesk};
use std::ffi::c_void;
use std::mem::offset_of;

/// The layout that ostler_inline.h of this version knows. A library with another one writes another number into its desks,
/// and the inline code calls the library.
pub const OSTLER_DESK_LAYOUT: u32 = 1;

/// Free cells that a desk has room for.
pub const OSTLER_DESK_ROOM: u32 = 32;

/// A cell of a set as it lies in memory, for ostler_inline.h.
#[repr(C)]
pub struct ostler_cell_state {
    /// The high half is that of its name; the low half is 0 while it is free, 1 pending, 16 done, and anything else when only
    /// the library knows what to do.
    pub word: u64,
    /// The library's own.
    pub private_pointer: *mut c_void,
    /// Of what came: 0 when it was completed with OSTLER_OK.
    pub end: u32,
    /// The library's own.
    pub private_number: u32,
    /// Of what came.
    pub value: *mut c_void,
    /// The library's own.
    pub private_words: [u64; 4],
}

/// One user's way to a set of cells, made by ostler_desk_open. The fields are for ostler_inline.h; programs use its functions,
/// or ostler_desk_acquire, ostler_desk_complete, ostler_desk_poll and ostler_desk_release.
#[repr(C)]
pub struct ostler_desk {
    /// OSTLER_DESK_LAYOUT, or another number that sends every call into the library.
    pub layout: u32,
    /// How many free cells are in it.
    pub count: u32,
    /// What deferred is while its user is at it, else 0.
    pub busy: u64,
    pub deferred: u64,
    /// Of the set: odd while free cells may lie in desks.
    pub state: *const u32,
    /// Of the set: who ends cells and takes what comes: the address of a desk that does so alone, or 1 for all.
    pub who: *const u64,
    pub cells: *mut ostler_cell_state,
    /// What stands in the names of its cells beside their number.
    pub salt: u32,
    /// How many cells there are.
    pub capacity: u32,
    /// Of the set: how many cells were released before anything came.
    pub released: *mut u64,
    /// With no more free cells than this in it the library is asked.
    pub floor: u32,
    /// How many free cells may be in it.
    pub room: u32,
    /// The names that those will have which are in it.
    pub free: [u64; 32],
    /// The library's own.
    pub private_words: [u32; 14],
}

const _: () = assert!(
    size_of::<ostler_desk>() == 384
        && size_of::<Desk>() == 384
        && OSTLER_DESK_LAYOUT == DESK_LAYOUT
        && OSTLER_DESK_ROOM as usize == DESK_ROOM
        && size_of::<ostler_cell_state>() == 64
        && CELL_BYTES == 64
        && offset_of!(ostler_desk, count) == Desk::OFFSETS[0]
        && offset_of!(ostler_desk, busy) == Desk::OFFSETS[1]
        && offset_of!(ostler_desk, deferred) == Desk::OFFSETS[2]
        && offset_of!(ostler_desk, state) == Desk::OFFSETS[3]
        && offset_of!(ostler_desk, who) == Desk::OFFSETS[4]
        && offset_of!(ostler_desk, cells) == Desk::OFFSETS[5]
        && offset_of!(ostler_desk, salt) == Desk::OFFSETS[6]
        && offset_of!(ostler_desk, capacity) == Desk::OFFSETS[7]
        && offset_of!(ostler_desk, released) == Desk::OFFSETS[8]
        && offset_of!(ostler_desk, floor) == Desk::OFFSETS[9]
        && offset_of!(ostler_desk, room) == Desk::OFFSETS[10]
        && offset_of!(ostler_desk, free) == Desk::OFFSETS[11]
        && offset_of!(ostler_cell_state, end) == CELL_OFFSETS[0]
        && offset_of!(ostler_cell_state, private_number) == CELL_OFFSETS[1]
        && offset_of!(ostler_cell_state, value) == CELL_OFFSETS[2]
);

/// Opens a desk: the way of one thread, fiber or goroutine at a time to a set of cells, at which
/// ostler_desk_acquire_inline, ostler_desk_complete_inline, ostler_desk_poll_inline and ostler_desk_release_inline of
/// ostler_inline.h do without a call what the functions of the set do. As long as nobody else completes cells of the set, takes
/// what came or waits for it, they have no locked operation; the first who does, also its own user without the desk, ends
/// that for this set. One who only acquires does not. When a desk that was alone is closed, whoever comes next is alone.
/// Nobody goes without because of a desk: free cells that lie in it are recalled for whoever finds no other, and when
/// the set is destroyed.
///
/// Parameters:
/// - deferred: borrowed.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_desk_close, without which the memory of
///   a destroyed set does not go.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT (65536 desks are open), OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never but for the moment in which the set gets its second user or free cells are recalled (see ostler_deferred);
/// may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_desk_open(deferred: *mut ostler_deferred, out: *mut *mut ostler_desk) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(deferred, |deferred: &Pin<Deferred>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = deferred.open_desk()?.cast();
        Ok(())
    })
}

/// Takes a free cell as ostler_deferred_acquire does, first of all one that lies in the desk. Does the same as
/// ostler_desk_acquire_inline, which calls it when none does.
///
/// Parameters:
/// - desk: borrowed.
/// - out: written only on success, else 0; a cell like any other, for the functions of the set and of its desks.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a desk.
/// NULL: desk NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never but for the moment in which free cells are recalled (see ostler_deferred); may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_desk_acquire(desk: *mut ostler_desk, out: *mut ostler_cell) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, ostler_cell { value: 0 }) };
    match OpenDesk::find(desk.cast()) {
        Ok(open) => with(open.deferred as *mut ostler_deferred, |deferred: &Pin<Deferred>| {
            // SAFETY: as the header asks.
            let out = unsafe { output("out", out, ostler_cell { value: 0 })? };
            out.value = deferred.acquire_at(open)?.0;
            Ok(())
        }),
        Err(error) => guard(|| Err(error.into())),
    }
}

/// Completes a cell as ostler_deferred_complete does. Does the same as ostler_desk_complete_inline, which calls it when it
/// cannot go on.
///
/// Parameters:
/// - desk: borrowed.
/// - cell: a cell of the desk's set that is pending, whoever acquired it.
/// - outcome: OSTLER_OK, or what went wrong: any other number, of the host's own choice.
/// - value: owned; anything, also NULL. On OSTLER_OK it goes to whoever takes it; after an error it stays the caller's.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_CELL (nobody wants it any more), OSTLER_E_ALREADY_COMPLETED (also after a cancel or
/// a destroy), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a desk.
/// NULL: desk NULL is OSTLER_E_INVALID_HANDLE; value may be NULL.
/// Blocking: as long as the cell's completion callback takes, and for the moment in which a set gets its second user (see
/// ostler_deferred); may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_desk_complete(
    desk: *mut ostler_desk,
    cell: ostler_cell,
    outcome: ostler_status,
    value: *mut c_void,
) -> ostler_status {
    with_set_of(desk, |deferred, open| Ok(deferred.complete_at(open, Key(cell.value), settled(outcome, value))?))
}

/// Takes what has come as ostler_deferred_poll does; the cell lies in the desk then, when there is room. Does the same as
/// ostler_desk_poll_inline, which calls it when it cannot go on.
///
/// Parameters:
/// - desk: borrowed.
/// - cell: consumed on success, and still valid otherwise; any cell of the desk's set.
/// - outcome: written; as for ostler_deferred_wait.
/// - value: written; as for ostler_deferred_wait.
///
/// Returns: OSTLER_OK, OSTLER_E_NOT_READY, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or it has a
/// completion callback), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a desk.
/// NULL: desk NULL is OSTLER_E_INVALID_HANDLE; value may be NULL; outcome must not be NULL.
/// Blocking: never but for the moment in which a set gets its second user (see ostler_deferred); may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_desk_poll(
    desk: *mut ostler_desk,
    cell: ostler_cell,
    outcome: *mut ostler_status,
    value: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { empty(outcome, value) };
    with_set_of(desk, |deferred, open| {
        // SAFETY: as the header asks.
        let outcome = unsafe { output("outcome", outcome, OSTLER_OK)? };
        let taken = deferred.poll_at(open, Key(cell.value))?;
        *outcome = outcome_of(taken.end);
        // SAFETY: as the header asks.
        unsafe { clear(value, taken.value) };
        Ok(())
    })
}

/// Gives a cell back without taking what comes, as ostler_deferred_release does. Does the same as ostler_desk_release_inline,
/// which calls it when it cannot go on.
///
/// Parameters:
/// - desk: borrowed.
/// - cell: consumed on success, and still valid otherwise; any cell of the desk's set.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or its completion callback is called at
/// this moment), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a desk.
/// NULL: desk NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as discard takes, and for the moment in which a set gets its second user (see ostler_deferred); may be
/// called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_desk_release(desk: *mut ostler_desk, cell: ostler_cell) -> ostler_status {
    with_set_of(desk, |deferred, open| Ok(deferred.release_at(open, Key(cell.value))?))
}

/// Closes a desk. The free cells in it are there for all; cells that were acquired at it stay good, and end as any do.
/// Closing the last desk of a destroyed set of which no cell is out lets its memory go.
///
/// Parameters:
/// - desk: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: no other thread may use the desk meanwhile; any thread may close it.
/// NULL: desk NULL is OSTLER_OK and does nothing.
/// Blocking: never but for the moment in which the set gets its second user or free cells are recalled (see ostler_deferred);
/// may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_desk_close(desk: *mut ostler_desk) -> ostler_status {
    if desk.is_null() {
        return OSTLER_OK;
    }
    with_set_of(desk, |deferred, open| Ok(deferred.close_desk(open)?))
}

/// A call on behalf of a desk, whose set may be destroyed already.
fn with_set_of(
    desk: *mut ostler_desk,
    body: impl FnOnce(&Pin<Deferred>, OpenDesk) -> Result<(), Failure>,
) -> ostler_status {
    match OpenDesk::find(desk.cast()) {
        Ok(open) => with_child(open.deferred as *mut ostler_deferred, |deferred| body(deferred, open)),
        Err(error) => guard(|| Err(error.into())),
    }
}
