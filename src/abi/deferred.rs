//! Deferred: one-shot cells that carry a result from whoever makes it to whoever takes it. All cells of a set are made
//! beforehand and used again; the name of one use is never valid for another. Nothing here takes a lock or allocates.

use super::arguments::{MOST_ELEMENTS, check_count, clear, null, out_of_range, output};
use super::cancel::{given, ostler_cancel};
use super::guard::{destroy, guard, seated, with, with_child};
use super::pool::{ostler_times, times};
use super::status::{
    Failure, OSTLER_E_ALREADY_COMPLETED, OSTLER_E_BUSY, OSTLER_E_CANCELLED, OSTLER_E_CLOSED, OSTLER_E_EXHAUSTED,
    OSTLER_E_NOT_READY, OSTLER_E_STALE_CELL, OSTLER_OK, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::pool::cells::{Finished, Key};
use crate::pool::{Completion, CreateDeferredError, Deferred, DeferredError, End, Recipient, Settled};
use std::ffi::c_void;

/// A set of cells.
pub struct ostler_deferred {
    _opaque: [u8; 0],
}

/// Names one use of one cell. A value of 0 is never a cell.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_cell {
    pub value: u64,
}

/// Takes what came to a cell: called once, with no lock held, on the thread that completes, cancels or destroys, or on
/// the one that attaches it when it is late. It may call the library, but not destroy its own set. The cell is stale once
/// it returns. outcome and value are as for ostler_deferred_wait.
pub type ostler_cell_callback = Option<
    unsafe extern "C-unwind" fn(user_data: *mut c_void, cell: ostler_cell, outcome: ostler_status, value: *mut c_void),
>;

/// What a set of cells is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_deferred_config {
    /// sizeof(ostler_deferred_config).
    pub struct_size: u32,
    /// How many cells there are; 1 to 1048576; 0: 1024. The memory for all is taken at once, 64 bytes each.
    pub capacity: u32,
    /// Gets each value that is not NULL, was accepted, and that nobody will take, because its cell was released; may be
    /// NULL. It may call the library, but not destroy its own set.
    pub discard: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, value: *mut c_void)>,
    /// Handed to discard.
    pub user_data: *mut c_void,
}

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
    /// Most that were out at once; of what several threads get and free at the same time it may miss some.
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

versioned!(ostler_deferred_config, ostler_deferred_stats);

impl From<CreateDeferredError> for Failure {
    fn from(error: CreateDeferredError) -> Self {
        match error {
            CreateDeferredError::InvalidField(error) => error.into(),
            CreateDeferredError::OutOfMemory(error) => error.into(),
        }
    }
}

impl From<DeferredError> for Failure {
    fn from(error: DeferredError) -> Self {
        let status = match error {
            DeferredError::Closed => OSTLER_E_CLOSED,
            DeferredError::Exhausted { .. } => OSTLER_E_EXHAUSTED,
            DeferredError::Stale { .. } => OSTLER_E_STALE_CELL,
            DeferredError::AlreadyCompleted { .. } => OSTLER_E_ALREADY_COMPLETED,
            DeferredError::NotReady => OSTLER_E_NOT_READY,
            DeferredError::HasCompletion { .. } | DeferredError::Waited { .. } => OSTLER_E_BUSY,
            DeferredError::Wait(end) => Failure::from(end).status(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// The host's function for one set.
struct Host {
    discard: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, value: *mut c_void)>,
    user_data: *mut c_void,
}

// SAFETY: the host's function and its pointer for it; the header says on which threads it is called.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Recipient for Host {
    fn complete(&self, completion: Completion, user_data: *mut c_void, cell: Key, settled: Settled) {
        // SAFETY: `ostler_deferred_on_complete` made it of a function of this type; null is none.
        let callback = unsafe { std::mem::transmute::<*const (), ostler_cell_callback>(completion.0) };
        if let Some(callback) = callback {
            // SAFETY: the host's function, called as the header says.
            unsafe { callback(user_data, ostler_cell { value: cell.0 }, outcome_of(settled.end), settled.value) }
        }
    }

    fn discard(&self, value: *mut c_void) {
        if let Some(discard) = self.discard {
            // SAFETY: the host's function, called as the header says.
            unsafe { discard(self.user_data, value) }
        }
    }
}

#[inline(always)]
fn outcome_of(end: End) -> ostler_status {
    if end == End::Completed { OSTLER_OK } else { status_of(end) }
}

#[cold]
fn status_of(end: End) -> ostler_status {
    match end {
        End::Completed => OSTLER_OK,
        End::Failed(status) => status,
        End::Cancelled => OSTLER_E_CANCELLED,
        End::Closed => OSTLER_E_CLOSED,
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_deferred_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_config_init(
    config: *mut ostler_deferred_config,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Makes a set of cells.
///
/// Parameters:
/// - config: borrowed during the call; NULL: the defaults.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_deferred_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_create(
    config: *const ostler_deferred_config,
    out: *mut *mut ostler_deferred,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        let capacity = if config.capacity == 0 { 1024 } else { config.capacity };
        let host = Box::new(Host { discard: config.discard, user_data: config.user_data });
        let slot = handles::reserve(Kind::Deferred)?;
        let deferred = Deferred::new(slot.owner(), capacity, host)?;
        *out = slot.publish(deferred) as *mut ostler_deferred;
        Ok(())
    })
}

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
        && let Some(deferred) = seated::<_, Deferred>(deferred)
        && let Some(cell) = deferred.acquire_in_window(deferred.lane())
    {
        *out = ostler_cell { value: cell.0 };
        return OSTLER_OK;
    }
    // SAFETY: as the header asks.
    unsafe { acquire_guarded(deferred, out) }
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
    let empty = || {
        for place in 0..(if count <= MOST_ELEMENTS && !cells.is_null() { count as usize } else { 0 }) {
            // SAFETY: as the header asks: an array of count elements.
            unsafe { cells.add(place).write(ostler_cell { value: 0 }) };
        }
    };
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
    deferred.acquire_many_in_window(keys, deferred.lane()).is_some()
}

/// Checks an array of cells; none when it is empty.
fn list(cells: *const ostler_cell, count: u32) -> Result<Option<*const Key>, Failure> {
    check_count(count)?;
    if cells.is_null() && count > 0 {
        return Err(null("cells"));
    }
    Ok((count > 0).then_some(cells.cast()))
}

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
/// Blocking: as long as the cell's completion callback takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_complete(
    deferred: *mut ostler_deferred,
    cell: ostler_cell,
    outcome: ostler_status,
    value: *mut c_void,
) -> ostler_status {
    let cell = Key(cell.value);
    let end = if outcome == OSTLER_OK { End::Completed } else { End::Failed(outcome) };
    let settled = Settled { end, value };
    let filled = seated::<_, Deferred>(deferred).and_then(|deferred| deferred.fill(cell, settled).ok());
    if filled == Some(Finished::Kept) {
        return OSTLER_OK;
    }
    complete_guarded(deferred, cell, settled, filled)
}

/// The way of a call that has a completion to call or something to tell, with what it has done already.
#[inline(never)]
fn complete_guarded(
    deferred: *mut ostler_deferred,
    cell: Key,
    settled: Settled,
    filled: Option<Finished>,
) -> ostler_status {
    with_child(deferred, |deferred: &Pin<Deferred>| {
        match filled {
            Some(finished) => deferred.after_fill(cell, finished)?,
            None => deferred.complete(cell, settled)?,
        }
        Ok(())
    })
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
/// Blocking: as long as the cell's completion callback takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_cancel(deferred: *mut ostler_deferred, cell: ostler_cell) -> ostler_status {
    with_child(deferred, |deferred: &Pin<Deferred>| Ok(deferred.cancel(Key(cell.value))?))
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
    if cancel.is_null() && unsafe { take_settled(deferred, cell, outcome, value) } {
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

/// Takes what came when that is all that there is to do.
///
/// # Safety
/// As for [`output`].
#[inline(always)]
unsafe fn take_settled(
    deferred: *mut ostler_deferred,
    cell: ostler_cell,
    outcome: *mut ostler_status,
    value: *mut *mut c_void,
) -> bool {
    // SAFETY: the caller's promise.
    let Some(outcome) = (unsafe { outcome.as_mut() }) else { return false };
    let Some(deferred) = seated::<_, Deferred>(deferred) else { return false };
    let Some(settled) = deferred.poll_in_window(Key(cell.value), deferred.lane()) else { return false };
    *outcome = outcome_of(settled.end);
    // SAFETY: the caller's promise.
    unsafe { clear(value, settled.value) };
    true
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
    unsafe {
        clear(outcome, OSTLER_OK);
        clear(value, std::ptr::null_mut());
    }
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
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_poll(
    deferred: *mut ostler_deferred,
    cell: ostler_cell,
    outcome: *mut ostler_status,
    value: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        if take_settled(deferred, cell, outcome, value) {
            return OSTLER_OK;
        }
        taking(deferred, outcome, value, |deferred| Ok(deferred.poll(Key(cell.value))?))
    }
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

/// Gives a cell a callback that takes what comes; when something has come already it is called before this returns.
///
/// Parameters:
/// - deferred: borrowed, also when it was destroyed.
/// - cell: from now on for the callback only: wait and poll refuse it. A release before anything has come takes the
///   callback back.
/// - callback: called once.
/// - user_data: handed to it.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or it has a callback),
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; callback must not be NULL; user_data may be NULL.
/// Blocking: as long as the callback takes; may be called from any callback.
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

/// Destroys a set of cells: none is given out any more, and each that is pending ends with OSTLER_E_CLOSED. Cells that are
/// out stay valid until what came is taken or they are released, and the memory goes with the last.
///
/// Parameters:
/// - deferred: owned; invalid afterwards, except for its cells.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_OK and does nothing.
/// Blocking: as long as the callbacks take.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_destroy(deferred: *mut ostler_deferred) -> ostler_status {
    destroy::<_, Deferred>(deferred)
}
