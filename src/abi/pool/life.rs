//! The life of a pool: made, closed, destroyed.

use super::callbacks::{Callbacks, ostler_pool_callbacks};
use super::config::{checked, ostler_pool_config};
use super::ostler_pool;
use crate::abi::arguments::{clear, null, optional_output, out_of_range, output};
use crate::abi::cancel::{given, ostler_cancel};
use crate::abi::guard::{destroy, guard, with};
use crate::abi::status::ostler_status;
use crate::abi::structs::{read, zeroed};
use crate::base::alloc;
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::pool::{CloseError, Left, Pool};
use std::ffi::c_void;

/// Makes a pool. With a min_size or min_idle, or a time after which something happens, it starts a thread, ostler-pool,
/// that looks after the resources; with creator_threads as many more, on which they are made. One that cannot be made in
/// the background is tried again after 100 ms, then 200 ms, up to 30 s, each time up to a quarter sooner, by chance.
///
/// Parameters:
/// - config: borrowed during the call.
/// - callbacks: borrowed during the call; create and destroy are required.
/// - user_data: handed to every callback; must stay valid until the pool is destroyed and the last lease is back.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_pool_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM,
/// OSTLER_E_LIMIT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; user_data may be NULL; callbacks, its create and destroy, and out must not be
/// NULL.
/// Blocking: as long as it takes to start a thread; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_create(
    config: *const ostler_pool_config,
    callbacks: *const ostler_pool_callbacks,
    user_data: *mut c_void,
    out: *mut *mut ostler_pool,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        // SAFETY: as the header asks.
        let table: ostler_pool_callbacks = unsafe { read("callbacks", callbacks)? };
        if table.reserved != 0 {
            return Err(out_of_range("callbacks->reserved", u64::from(table.reserved), "must be 0"));
        }
        if table.create.is_none() {
            return Err(null("callbacks->create"));
        }
        if table.destroy.is_none() {
            return Err(null("callbacks->destroy"));
        }
        let config = checked(&config)?;
        let slot = handles::reserve(Kind::Pool)?;
        let factory = alloc::try_box(Callbacks { table, user_data })?;
        let pool = Pool::new(slot.owner(), config, factory)?;
        *out = slot.publish(pool) as *mut ostler_pool;
        Ok(())
    })
}

/// Leases nothing any more, ends waits with OSTLER_E_CLOSED, destroys what is idle, and waits until every lease is back
/// and every resource destroyed, also one that create is still making. The pool stays closed, also when the time is up
/// first; a later close goes on waiting. A destroy by another thread ends the wait with OSTLER_E_CLOSED.
///
/// Parameters:
/// - pool: borrowed.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
/// - still_out: written; how many leases are out when the wait ends too early, which may be 0 when only a callback is
///   still under way (the message tells); else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
/// Blocking: up to timeout_ns; not from a callback of the same pool (OSTLER_E_WOULD_DEADLOCK).
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_close(
    pool: *mut ostler_pool,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    still_out: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(still_out, 0) };
    with(pool, |pool: &Pin<Pool>| {
        let cancel = given(cancel)?;
        let closed = pool.close(Deadline::after(timeout_ns), cancel.as_deref());
        // SAFETY: as the header asks.
        let still_out = unsafe { optional_output(still_out, 0) };
        let left = match &closed {
            Err(CloseError::Wait { left, .. } | CloseError::Destroyed { left } | CloseError::Quarantined { left }) => {
                *left
            }
            Ok(()) | Err(CloseError::InsideOwnCallback) => Left::default(),
        };
        if let Some(still_out) = still_out {
            *still_out = left.leases;
        }
        Ok(closed?)
    })
}

/// Destroys a pool: waits end with OSTLER_E_CLOSED, what is idle is destroyed. Leases that are out stay valid; each
/// release then destroys its resource, and the pool's memory goes with the last.
///
/// Parameters:
/// - pool: owned; invalid afterwards, except for its leases.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks, or inside one of an object whose destroy
/// would wait for this one while this one waits for it; nothing happens), OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_OK and does nothing.
/// Blocking: as long as the callbacks that are under way, and those that destroy, take.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_destroy(pool: *mut ostler_pool) -> ostler_status {
    destroy::<_, Pool>(pool)
}
