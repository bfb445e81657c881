//! Acquire: the ways to lease a resource of a pool. Who waits is served by class, and within a class in the order of their
//! coming.

use super::arguments::{check_count, clear, clear_array, null, output};
use super::cancel::{given, ostler_cancel};
use super::guard::{guard, seated, with, with_child};
use super::pool::{ostler_acquired_callback, ostler_lease, ostler_pool};
use super::request::{ostler_ticket, priority_of};
use super::status::{
    Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_NOT_READY, OSTLER_E_STALE_TICKET, OSTLER_E_SYSTEM, OSTLER_OK,
    ostler_status,
};
use super::structs::{init, read, versioned};
use crate::base::cancel::Cancel;
use crate::base::clock::Deadline;
use crate::base::handles::Pin;
use crate::pool::{AcquireError, Acquired, Begun, Demand, Hearer, Lease, Pool, Resource};
use std::ffi::c_void;

/// How a resource is acquired.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_acquire {
    /// sizeof(ostler_acquire).
    pub struct_size: u32,
    /// OSTLER_PRIORITY_...: whose turn it is among those who wait; 0: normal.
    pub priority: u32,
    /// How long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
    pub timeout_ns: u64,
    /// Borrowed during the call; ends the wait; may be NULL.
    pub cancel: *mut ostler_cancel,
    /// The settings that the resource shall have, of the host's own choice: one that has them is preferred, another is
    /// given them with retag; 0: as create makes it.
    pub tag: u64,
}

versioned!(ostler_acquire);

/// Leases a resource: an idle one, the one used last first; else a new one, made on this thread; else, when max_size
/// are out, the next that comes back. Callers that wait are served in the order of their coming.
///
/// Parameters:
/// - pool: borrowed.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound. The time that create and
///   validate take is not bounded by it.
/// - cancel: borrowed during the call; ends the wait.
/// - lease: written only on success, else 0; ends with ostler_pool_release or ostler_pool_discard.
/// - resource: written only on success, else NULL; what create made, to be used until the lease ends.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_CREATE_FAILED (with the words of the create
/// callback), OSTLER_E_OVERLOADED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; lease and resource must not be NULL.
/// Blocking: up to timeout_ns, and as long as create and validate take. A callback of the same pool may call it with a
/// timeout.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_acquire(
    pool: *mut ostler_pool,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    if cancel.is_null() && unsafe { acquire_at_once(pool, lease, resource) } {
        return OSTLER_OK;
    }
    // SAFETY: as the header asks.
    unsafe { acquire_guarded(pool, timeout_ns, cancel, lease, resource) }
}

/// The way of a call that may have to look, to make or to wait.
///
/// # Safety
/// As for [`ostler_pool_acquire`].
#[cold]
#[inline(never)]
unsafe extern "C" fn acquire_guarded(
    pool: *mut ostler_pool,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    let take = |pool: &Pin<Pool>| {
        let cancel = given(cancel)?;
        let demand = Demand::plain(pool.caller());
        match pool.acquire_at_hand(demand) {
            Some(at_hand) => Ok(at_hand),
            None => Ok(acquire(pool, demand, timeout_ns, cancel.as_deref())?),
        }
    };
    // SAFETY: the caller's promise.
    unsafe { leasing(pool, lease, resource, take) }
}

/// A call that leases one resource.
///
/// # Safety
/// As for [`output`].
#[inline(always)]
pub(super) unsafe fn leasing(
    pool: *mut ostler_pool,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
    take: impl FnOnce(&Pin<Pool>) -> Result<(Lease, Resource), Failure>,
) -> ostler_status {
    // SAFETY: the caller's promise.
    unsafe { clear_lease(lease, resource) };
    with(pool, |pool: &Pin<Pool>| {
        // SAFETY: the caller's promise.
        let (lease, resource) = unsafe { lease_outputs(lease, resource)? };
        let (leased, made) = take(pool)?;
        write(lease, resource, (leased, made));
        Ok(())
    })
}

/// The way of one who has nothing at hand.
pub(super) fn acquire(
    pool: &Pool,
    demand: Demand,
    timeout_ns: u64,
    cancel: Option<&Cancel>,
) -> Result<(Lease, Resource), AcquireError> {
    // A resource that is there needs no clock.
    match pool.acquire_now(demand)? {
        Some(now) => Ok(now),
        None => pool.acquire_later(demand, Deadline::after(timeout_ns), cancel),
    }
}

/// Fills the ways of acquiring with the defaults: normal priority, no wait, no tag.
///
/// Parameters:
/// - how: written only on success.
/// - struct_size: sizeof(ostler_acquire).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: how must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_acquire_init(how: *mut ostler_acquire, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("how", how, struct_size) })
}

/// Leases a resource as ostler_pool_acquire does, with a priority among those who wait, and with a tag: a resource that
/// has it is preferred, else one without a tag, else any, which is given it with retag.
///
/// Parameters:
/// - pool: borrowed.
/// - how: borrowed during the call.
/// - lease: written only on success, else 0; ends with ostler_pool_release or ostler_pool_discard.
/// - resource: written only on success, else NULL; what create made, to be used until the lease ends.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_CREATE_FAILED (with the words of the create or
/// retag callback), OSTLER_E_OVERLOADED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; how, lease and resource must not be NULL.
/// Blocking: up to timeout_ns, and as long as create, validate and retag take. A callback of the same pool may call it
/// with a timeout.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_acquire_with(
    pool: *mut ostler_pool,
    how: *const ostler_acquire,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    let take = |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let how = unsafe { read("how", how)? };
        let cancel = given(how.cancel)?;
        Ok(acquire(pool, demand(pool, &how)?, how.timeout_ns, cancel.as_deref())?)
    };
    // SAFETY: as the header asks.
    unsafe { leasing(pool, lease, resource, take) }
}

pub(super) fn demand(pool: &Pin<Pool>, how: &ostler_acquire) -> Result<Demand, Failure> {
    Ok(Demand { priority: priority_of(how.priority)?, tag: how.tag, ..Demand::plain(pool.caller()) })
}

/// For an acquire that does not wait in the call; `instead` is what ends it.
pub(super) fn refuse_cancel(how: &ostler_acquire, instead: &str) -> Result<(), Failure> {
    if how.cancel.is_null() {
        return Ok(());
    }
    Err(Failure::new(OSTLER_E_INVALID_ARGUMENT, format_args!("how->cancel is not NULL, but must be: {instead}")))
}

/// Leases a resource without holding the caller up: one that is to be had now is leased at once; else the caller's turn
/// comes as that of one who waits, and then the callback hears of it, or it is there for ostler_pool_take_acquired.
///
/// Parameters:
/// - pool: borrowed.
/// - how: borrowed during the call; cancel must be NULL. When timeout_ns is over, the acquire fails with OSTLER_E_TIMEOUT.
/// - callback: called when it was not had at once; NULL: it is to be taken with ostler_pool_take_acquired.
/// - user_data: handed to callback; must stay valid until that has returned, or ostler_pool_cancel_async has returned
///   OSTLER_OK; not used when the lease was had at once, and after a failure.
/// - ticket: written; names the acquire until its callback is called or it is taken, for ostler_pool_cancel_async; 0 when
///   the lease was had at once, and after a failure.
/// - lease: written; 0 unless it was had at once; ends with ostler_pool_release or ostler_pool_discard.
/// - resource: written; NULL unless it was had at once.
///
/// Returns: OSTLER_OK, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT,
/// OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_SYSTEM (no thread for the callbacks),
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; callback and user_data may be NULL; how, ticket, lease and resource must not
/// be NULL.
/// Blocking: as long as create, validate and retag take, where the pool has no creator threads; may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_acquire_async(
    pool: *mut ostler_pool,
    how: *const ostler_acquire,
    callback: ostler_acquired_callback,
    user_data: *mut c_void,
    ticket: *mut ostler_ticket,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(ticket, ostler_ticket { value: 0 });
        clear_lease(lease, resource);
    }
    with(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let (ticket, (lease, resource)) =
            unsafe { (output("ticket", ticket, ostler_ticket { value: 0 })?, lease_outputs(lease, resource)?) };
        // SAFETY: as the header asks.
        let how = unsafe { read("how", how)? };
        refuse_cancel(&how, "ostler_pool_cancel_async takes the ticket")?;
        let demand = demand(pool, &how)?;
        let hearer = callback.map(|callback| Hearer { acquired: Acquired(callback as *const ()), user_data });
        match pool.share().begin_acquire(demand, Deadline::after(how.timeout_ns), hearer)? {
            Begun::AtOnce(leased, made) => {
                write(lease, resource, (leased, made));
            }
            Begun::Later(number) => ticket.value = number,
        }
        Ok(())
    })
}

/// Ends an acquire that is on its way: on OSTLER_OK its callback is not called, and it does not come to be taken.
///
/// Parameters:
/// - pool: borrowed, also when it was destroyed.
/// - ticket: what ostler_pool_acquire_async gave.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_TICKET (it has been told, or is being told now), OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_cancel_async(pool: *mut ostler_pool, ticket: ostler_ticket) -> ostler_status {
    with_child(pool, |pool: &Pin<Pool>| {
        if pool.cancel_acquire(ticket.value) {
            return Ok(());
        }
        let words = format_args!("ticket {:#x} is stale: it was told or taken, or is of another pool", ticket.value);
        Err(Failure::new(OSTLER_E_STALE_TICKET, words))
    })
}

/// Gives a descriptor for an event loop: it can be read while ostler_pool_take_acquired has something to give. The library
/// reads and writes it; the host only waits for it.
///
/// Parameters:
/// - pool: borrowed.
/// - descriptor: written only on success, else 0; the pool's: it can be read when the pool is destroyed, and is closed when
///   the last of its leases is back.
///
/// Returns: OSTLER_OK, OSTLER_E_SYSTEM, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; descriptor must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_get_event(pool: *mut ostler_pool, descriptor: *mut i32) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(descriptor, 0) };
    with(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let descriptor = unsafe { output("descriptor", descriptor, 0)? };
        *descriptor = pool
            .event()
            .map_err(|error| Failure::new(OSTLER_E_SYSTEM, format_args!("eventfd was refused: {error}")))?;
        Ok(())
    })
}

/// Takes what became of an acquire without a callback, the oldest first, and does not wait.
///
/// Parameters:
/// - pool: borrowed.
/// - ticket: written; that of the acquire, stale from now on; 0 after a failure.
/// - outcome: written; OSTLER_OK, or why there is no lease, as for ostler_pool_acquire_with.
/// - lease: written; 0 unless outcome is OSTLER_OK; ends with ostler_pool_release or ostler_pool_discard.
/// - resource: written; NULL unless outcome is OSTLER_OK.
///
/// Returns: OSTLER_OK, OSTLER_E_NOT_READY (there is nothing to take), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; ticket, outcome, lease and resource must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_take_acquired(
    pool: *mut ostler_pool,
    ticket: *mut ostler_ticket,
    outcome: *mut ostler_status,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(ticket, ostler_ticket { value: 0 });
        clear(outcome, OSTLER_OK);
        clear_lease(lease, resource);
    }
    with(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let (ticket, outcome, (lease, resource)) = unsafe {
            (
                output("ticket", ticket, ostler_ticket { value: 0 })?,
                output("outcome", outcome, OSTLER_OK)?,
                lease_outputs(lease, resource)?,
            )
        };
        let taken = pool
            .take_acquired()
            .ok_or_else(|| Failure::new(OSTLER_E_NOT_READY, format_args!("nothing was acquired since")))?;
        ticket.value = taken.number;
        match taken.leased {
            Ok((leased, made)) => {
                write(lease, resource, (leased, made));
            }
            Err(status) => *outcome = status,
        }
        Ok(())
    })
}

/// Leases a resource without waiting: an idle one, or a new one when there are fewer than max_size.
///
/// Parameters:
/// - pool: borrowed.
/// - lease: written only on success, else 0; ends with ostler_pool_release or ostler_pool_discard.
/// - resource: written only on success, else NULL; what create made, to be used until the lease ends.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED (max_size are out, or others waited first), OSTLER_E_PAUSED,
/// OSTLER_E_CREATE_FAILED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; lease and resource must not be NULL.
/// Blocking: as long as create and validate take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_try_acquire(
    pool: *mut ostler_pool,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    if unsafe { acquire_at_once(pool, lease, resource) } {
        return OSTLER_OK;
    }
    let take = |pool: &Pin<Pool>| Ok(pool.try_acquire(Demand::plain(pool.caller()))?);
    // SAFETY: as the header asks.
    unsafe { leasing(pool, lease, resource, take) }
}

/// Tells the caller what it leases.
#[inline(always)]
pub(super) fn write(lease: &mut ostler_lease, resource: &mut *mut c_void, (leased, made): (Lease, Resource)) {
    *lease = ostler_lease { value: leased.0 };
    *resource = made.0;
}

/// Leases what is at hand, before the guard.
///
/// # Safety
/// As for [`ostler_pool_acquire`].
#[inline(always)]
unsafe fn acquire_at_once(pool: *mut ostler_pool, lease: *mut ostler_lease, resource: *mut *mut c_void) -> bool {
    // SAFETY: the caller's promise.
    if let Some((lease, resource)) = unsafe { lease.as_mut().zip(resource.as_mut()) }
        && let Some(pool) = seated::<_, Pool>(pool)
        && let Some((leased, made)) = pool.acquire_in_window(pool.record(), pool.lane())
    {
        write(lease, resource, (leased, made));
        return true;
    }
    false
}

/// # Safety
/// As for [`clear`].
#[inline]
pub(super) unsafe fn clear_lease(lease: *mut ostler_lease, resource: *mut *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe {
        clear(lease, ostler_lease { value: 0 });
        clear(resource, std::ptr::null_mut());
    }
}

/// # Safety
/// As for [`output`].
#[inline]
pub(super) unsafe fn lease_outputs<'a>(
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> Result<(&'a mut ostler_lease, &'a mut *mut c_void), Failure> {
    // SAFETY: the caller's promise.
    unsafe {
        Ok((output("lease", lease, ostler_lease { value: 0 })?, output("resource", resource, std::ptr::null_mut())?))
    }
}

/// # Safety
/// `leases` and `resources` are NULL, or have `count` places that can be written.
pub(super) unsafe fn clear_leases(count: u32, leases: *mut ostler_lease, resources: *mut *mut c_void) {
    // SAFETY: the caller's promise; a lease is one word.
    unsafe {
        clear_array(leases.cast(), count);
        clear_array(resources, count);
    }
}

/// Where the leases of a call go, and their resources.
///
/// # Safety
/// As for [`clear_leases`], which was called before.
pub(super) unsafe fn lease_arrays<'a>(
    count: u32,
    leases: *mut ostler_lease,
    resources: *mut *mut c_void,
) -> Result<(&'a mut [Lease], &'a mut [Resource]), Failure> {
    check_count(count)?;
    if leases.is_null() {
        return Err(null("leases"));
    }
    if resources.is_null() {
        return Err(null("resources"));
    }
    // SAFETY: the caller's promise; both types are one word, and the words were written.
    unsafe {
        Ok((
            std::slice::from_raw_parts_mut(leases.cast(), count as usize),
            std::slice::from_raw_parts_mut(resources.cast(), count as usize),
        ))
    }
}

/// Leases many resources: all of them or none. Callers that wait are served in the order of their coming, and one that
/// wants several collects them before the next gets any, so that two of them cannot hold up one another.
///
/// Parameters:
/// - pool: borrowed.
/// - count: how many; 0 does nothing; more than max_size is OSTLER_E_LIMIT; at most 1048576.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound. The time that create and
///   validate take is not bounded by it.
/// - cancel: borrowed during the call; ends the wait.
/// - leases: an array of count elements, written only on success, else 0; each ends on its own.
/// - resources: an array of count elements, written only on success, else NULL; what create made.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_LIMIT, OSTLER_E_CREATE_FAILED (with the words of
/// the create callback), OSTLER_E_OVERLOADED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; leases and resources (unless count is 0) must not
/// be NULL.
/// Blocking: up to timeout_ns, and as long as create and validate take. A callback of the same pool may call it with a
/// timeout.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_acquire_n(
    pool: *mut ostler_pool,
    count: u32,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    leases: *mut ostler_lease,
    resources: *mut *mut c_void,
) -> ostler_status {
    let lease_all = |pool: &Pin<Pool>, leases: &mut [Lease], resources: &mut [Resource]| {
        let (cancel, deadline) = (given(cancel)?, || Deadline::after(timeout_ns));
        Ok(pool.acquire_many(Demand::plain(pool.caller()), deadline, cancel.as_deref(), leases, resources)?)
    };
    // SAFETY: as the header asks.
    unsafe { leasing_many(pool, count, leases, resources, lease_all) }
}

/// A call that leases all of so many or none.
///
/// # Safety
/// As for [`ostler_pool_acquire_n`].
#[inline(always)]
pub(super) unsafe fn leasing_many(
    pool: *mut ostler_pool,
    count: u32,
    leases: *mut ostler_lease,
    resources: *mut *mut c_void,
    lease_all: impl FnOnce(&Pin<Pool>, &mut [Lease], &mut [Resource]) -> Result<(), Failure>,
) -> ostler_status {
    // SAFETY: the caller's promise.
    unsafe { clear_leases(count, leases, resources) };
    let status = with(pool, |pool: &Pin<Pool>| {
        if count == 0 {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        let (leases, resources) = unsafe { lease_arrays(count, leases, resources)? };
        lease_all(pool, leases, resources)
    });
    if status != OSTLER_OK {
        // SAFETY: the caller's promise.
        unsafe { clear_leases(count, leases, resources) };
    }
    status
}
