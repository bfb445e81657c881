//! What can be done to a pool in use: waited for, trimmed, resized, paused, refreshed.

use super::ostler_pool;
use crate::abi::arguments::clear;
use crate::abi::cancel::{given, ostler_cancel};
use crate::abi::guard::with;
use crate::abi::status::ostler_status;
use crate::base::clock::Deadline;
use crate::base::handles::Pin;
use crate::pool::Pool;

/// Waits until the resources are there that min_size and min_idle ask for, or until one of them cannot be made. What
/// failed before the call does not end it: a program that starts beside its server may call it again until it is
/// OSTLER_OK, and waits for the next attempt each time.
///
/// Parameters:
/// - pool: borrowed.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
/// - ready: written; how many resources there are, also after a failure, for a display of the progress.
/// - wanted: written; how many there shall be.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT (with the words of the last failure), OSTLER_E_CANCELLED,
/// OSTLER_E_CREATE_FAILED (with the words of the create callback; the pool goes on trying), OSTLER_E_WOULD_DEADLOCK,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; cancel, ready and wanted may be NULL.
/// Blocking: up to timeout_ns; not from a callback of the same pool (OSTLER_E_WOULD_DEADLOCK).
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_wait_warm(
    pool: *mut ostler_pool,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    ready: *mut u32,
    wanted: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(ready, 0);
        clear(wanted, 0);
    }
    with(pool, |pool: &Pin<Pool>| {
        let cancel = given(cancel)?;
        let warm = pool.wait_warm(Deadline::after(timeout_ns), cancel.as_deref());
        let (made, asked) = match &warm {
            Ok((made, asked)) => (*made, *asked),
            Err(_) => pool.warmth(),
        };
        // SAFETY: as the header asks.
        unsafe {
            clear(ready, made);
            clear(wanted, asked);
        }
        Ok(warm.map(drop)?)
    })
}

/// Destroys idle resources beyond a number, as when memory is needed elsewhere: those first that were idle longest, where
/// the pool has a time by which it tells. As many as min_size asks for stay.
///
/// Parameters:
/// - pool: borrowed.
/// - keep_idle: how many idle ones stay.
/// - trimmed: written; how many were destroyed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; trimmed may be NULL.
/// Blocking: as long as the destroy callbacks take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_trim(pool: *mut ostler_pool, keep_idle: u32, trimmed: *mut u32) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(trimmed, 0) };
    with(pool, |pool: &Pin<Pool>| {
        let count = pool.trim(keep_idle);
        // SAFETY: as the header asks.
        unsafe { clear(trimmed, count) };
        Ok(())
    })
}

/// Changes the bounds of a pool that is in use. When there are too many resources, idle ones are destroyed at once, and
/// leased ones when they come back.
///
/// Parameters:
/// - pool: borrowed.
/// - min_size: at most max_size, and at most the soft_max_size of the configuration.
/// - max_size: 1 to the capacity of the pool's configuration.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_LIMIT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as the destroy callbacks take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_resize(pool: *mut ostler_pool, min_size: u32, max_size: u32) -> ostler_status {
    with(pool, |pool: &Pin<Pool>| Ok(pool.share().resize(min_size, max_size)?))
}

/// Leases nothing until ostler_pool_resume: callers wait, and ostler_pool_try_acquire is OSTLER_E_PAUSED. Leases that are
/// out stay good and can be released.
///
/// Parameters:
/// - pool: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_pause(pool: *mut ostler_pool) -> ostler_status {
    with(pool, |pool: &Pin<Pool>| {
        pool.pause();
        Ok(())
    })
}

/// Leases again, to those who wait first.
///
/// Parameters:
/// - pool: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_resume(pool: *mut ostler_pool) -> ostler_status {
    with(pool, |pool: &Pin<Pool>| {
        pool.resume();
        Ok(())
    })
}

/// Replaces all resources, as after a change of a password or a failover: none that was made before is leased any more.
/// Idle ones are destroyed, leased ones when they come back; to keep min_size, a new one is made before an old one goes.
/// Where create has failed too often, it is tried at once, and the pauses after that begin with the shortest again.
///
/// Parameters:
/// - pool: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as the callbacks take, in a pool without a thread; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_refresh(pool: *mut ostler_pool) -> ostler_status {
    with(pool, |pool: &Pin<Pool>| Ok(pool.refresh()?))
}
