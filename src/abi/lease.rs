//! Lease: what is done with the use of one resource, until it ends. A second end is an error and harms nobody.

use super::arguments::{check_count, clear, null, output};
use super::guard::{seated, with, with_child};
use super::pool::{lease_info, ostler_lease, ostler_lease_info, ostler_pool};
use super::status::{Failure, OSTLER_OK, ostler_status};
use crate::base::handles::Pin;
use crate::pool::{Lease, Pool, StaleLease};
use std::ffi::c_void;

/// Gives a resource back. It is reset on this thread and then idle, or goes to the caller that waits longest. Works on
/// a closing or destroyed pool, where it destroys the resource.
///
/// Parameters:
/// - pool: borrowed.
/// - lease: consumed.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe; any thread may release.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as reset or destroy takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_release(pool: *mut ostler_pool, lease: ostler_lease) -> ostler_status {
    let released =
        seated::<_, Pool>(pool).and_then(|pool| pool.release_in_window(Lease(lease.value), pool.record(), pool.lane()));
    if released.is_some() {
        return OSTLER_OK;
    }
    release_guarded(pool, lease)
}

/// The way of a call that may have to look, to reset or to serve somebody.
#[cold]
#[inline(never)]
extern "C" fn release_guarded(pool: *mut ostler_pool, lease: ostler_lease) -> ostler_status {
    with_child(pool, |pool: &Pin<Pool>| Ok(pool.release(Lease(lease.value), pool.caller())?))
}

/// Gives a resource back that nobody shall have any more: it is destroyed on this thread, and another may be made.
///
/// Parameters:
/// - pool: borrowed.
/// - lease: consumed.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe; any thread may discard.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as destroy takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_discard(pool: *mut ostler_pool, lease: ostler_lease) -> ostler_status {
    with_child(pool, |pool: &Pin<Pool>| Ok(pool.discard(Lease(lease.value), pool.caller())?))
}

/// Tells which resource a lease names.
///
/// Parameters:
/// - pool: borrowed.
/// - lease: stays valid.
/// - resource: written only on success, else NULL.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; resource must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_get_resource(
    pool: *mut ostler_pool,
    lease: ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(resource, std::ptr::null_mut()) };
    with_child(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let resource = unsafe { output("resource", resource, std::ptr::null_mut())? };
        *resource = pool.resource_of(Lease(lease.value))?.0;
        Ok(())
    })
}

/// Gives many resources back. Those whose leases are good are, also when another one is not.
///
/// Parameters:
/// - pool: borrowed, also when it was destroyed.
/// - leases: borrowed during the call; an array of count leases from this pool, each of which is stale afterwards.
/// - count: how many; 0 does nothing; at most 1048576.
/// - released: written; how many were good, also after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_LEASE (one or more were not good; the message names the first),
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; leases (unless count is 0) must not be NULL; released may be NULL.
/// Blocking: as long as reset and destroy take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_release_n(
    pool: *mut ostler_pool,
    leases: *const ostler_lease,
    count: u32,
    released: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(released, 0) };
    with_child(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        unsafe { releasing_many(leases, count, released, |leases| pool.release_many(leases, pool.caller())) }
    })
}

/// A call that ends so many leases, and tells how many were good.
///
/// # Safety
/// As for [`ostler_pool_release_n`].
#[inline(always)]
pub(super) unsafe fn releasing_many(
    leases: *const ostler_lease,
    count: u32,
    released: *mut u32,
    release_all: impl FnOnce(&[Lease]) -> (u32, Result<(), StaleLease>),
) -> Result<(), Failure> {
    if count == 0 {
        return Ok(());
    }
    check_count(count)?;
    if leases.is_null() {
        return Err(null("leases"));
    }
    // SAFETY: the caller's promise.
    let (good, result) = release_all(unsafe { std::slice::from_raw_parts(leases.cast::<Lease>(), count as usize) });
    // SAFETY: the caller's promise.
    unsafe { clear(released, good) };
    Ok(result?)
}

/// Lists the leases that are out: who has what, for how long.
///
/// Parameters:
/// - pool: borrowed.
/// - leases: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
/// - capacity: its elements; 0 only counts.
/// - count: written; how many leases are out, which may be more than capacity; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each lease was out at some moment of the call; nobody is held up.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; leases may be NULL when capacity is 0; count must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_list_leases(
    pool: *mut ostler_pool,
    leases: *mut ostler_lease_info,
    capacity: u64,
    count: *mut u64,
) -> ostler_status {
    let none = ostler_lease_info {
        lease: ostler_lease { value: 0 },
        resource: std::ptr::null_mut(),
        held_ns: 0,
        thread_id: 0,
        call_site: 0,
    };
    // SAFETY: as the header asks.
    unsafe {
        clear(count, 0);
        if capacity > 0 {
            clear(leases, none);
        }
    }
    with(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let count = unsafe { output("count", count, 0)? };
        if leases.is_null() && capacity > 0 {
            return Err(null("leases"));
        }
        let mut place = 0;
        *count = pool.leases(|info| {
            if place < capacity {
                // SAFETY: as the header asks, and there are `capacity` places.
                unsafe { leases.add(place as usize).write(lease_info(&info)) };
                place += 1;
            }
        });
        Ok(())
    })
}

/// Takes a lease away from its holder, which may still be using the resource: the lease is stale from now on, the resource
/// is leased to nobody else and not destroyed yet, and the pool may make another in its place. The holder's release or
/// discard is then OSTLER_E_STALE_LEASE, and destroys the resource.
///
/// Parameters:
/// - pool: borrowed, also when it was destroyed.
/// - lease: a lease from this pool, of whatever thread.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_revoke(pool: *mut ostler_pool, lease: ostler_lease) -> ostler_status {
    with_child(pool, |pool: &Pin<Pool>| Ok(pool.revoke(Lease(lease.value), pool.caller())?))
}
