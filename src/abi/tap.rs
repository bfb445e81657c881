//! Tap: idle resources of a pool that one user at a time has at hand, and leases without a call; see ostler_inline.h.

use super::acquire::{acquire, clear_lease, clear_leases, leasing, leasing_many, ostler_acquire};
use super::arguments::{clear, output};
use super::cancel::{given, ostler_cancel};
use super::guard::{guard, with, with_child};
use super::lease::releasing_many;
use super::pool::{ostler_bell_callback, ostler_lease, ostler_pool};
use super::request::ostler_ticket;
use super::status::{
    Failure, OSTLER_E_INVALID_HANDLE, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_OK, ostler_status,
};
use super::turn::{Asked, Told, beginning};
use crate::base::clock::Deadline;
use crate::base::handles::Pin;
use crate::memory::stretch::StretchError;
use crate::pool::{Demand, Lease, OpenTap, Pool, Resource, Slot, TAP_LAYOUT, TAP_ROOM, Tap};
use std::ffi::c_void;
use std::mem::offset_of;

/// The layout that ostler_inline.h of this version knows. A library with another one writes another number into its taps,
/// and the inline code calls the library.
pub const OSTLER_TAP_LAYOUT: u32 = 3;

/// Idle resources that a tap has room for.
pub const OSTLER_TAP_ROOM: u32 = 40;

/// A place of a pool for one resource, for ostler_inline.h.
#[repr(C)]
pub struct ostler_slot {
    /// How often it was leased, its name, and in the low four bits its phase: 2 leased, 8 idle in a tap. While it is leased this
    /// is its lease.
    pub word: u64,
    pub resource: *mut c_void,
    /// Since when it is so; odd when the use is measured.
    pub since_ns: u64,
    pub borrower: u32,
    pub generation: u32,
}

/// One user's idle resources of a pool, made by ostler_tap_open. The fields are for ostler_inline.h; programs use its
/// functions, or ostler_tap_acquire and ostler_tap_release.
#[repr(C)]
pub struct ostler_tap {
    /// OSTLER_TAP_LAYOUT, or another number that sends every call into the library.
    pub layout: u32,
    /// How many are idle in it.
    pub count: u32,
    /// What pool is while its user is at it, else 0.
    pub busy: u64,
    pub pool: u64,
    /// Of the pool: in its low two bits 1 while taps may be used.
    pub state: *const u32,
    /// Of the pool: that of resources which may be leased.
    pub generation: *const u32,
    /// Of the pool: the time, as exactly as it tells it.
    pub tick_ns: *const u64,
    pub slots: *mut ostler_slot,
    /// The borrower of its leases.
    pub mark: u32,
    /// How many slots there are.
    pub capacity: u32,
    /// What one use more adds to the word of a slot: 2 to the power of how many bits are not the uses.
    pub one_use: u64,
    /// The numbers of those that are idle in it.
    pub idle: [u32; 40],
    /// The library's own.
    pub private_words: [u32; 6],
}

const _: () = assert!(
    size_of::<ostler_tap>() == 256
        && size_of::<Tap>() == 256
        && OSTLER_TAP_LAYOUT == TAP_LAYOUT
        && OSTLER_TAP_ROOM as usize == TAP_ROOM
        && size_of::<ostler_slot>() == 32
        && size_of::<Slot>() == 32
        && offset_of!(ostler_tap, count) == Tap::OFFSETS[0]
        && offset_of!(ostler_tap, busy) == Tap::OFFSETS[1]
        && offset_of!(ostler_tap, pool) == Tap::OFFSETS[2]
        && offset_of!(ostler_tap, state) == Tap::OFFSETS[3]
        && offset_of!(ostler_tap, generation) == Tap::OFFSETS[4]
        && offset_of!(ostler_tap, tick_ns) == Tap::OFFSETS[5]
        && offset_of!(ostler_tap, slots) == Tap::OFFSETS[6]
        && offset_of!(ostler_tap, mark) == Tap::OFFSETS[7]
        && offset_of!(ostler_tap, capacity) == Tap::OFFSETS[8]
        && offset_of!(ostler_tap, one_use) == Tap::OFFSETS[9]
        && offset_of!(ostler_tap, idle) == Tap::OFFSETS[10]
        && offset_of!(ostler_slot, resource) == Slot::OFFSETS[0]
        && offset_of!(ostler_slot, since_ns) == Slot::OFFSETS[1]
        && offset_of!(ostler_slot, borrower) == Slot::OFFSETS[2]
        && offset_of!(ostler_slot, generation) == Slot::OFFSETS[3]
);

impl From<StretchError> for Failure {
    fn from(error: StretchError) -> Self {
        let status = match error {
            StretchError::Null { .. } | StretchError::Stray { .. } | StretchError::Closed { .. } => {
                OSTLER_E_INVALID_HANDLE
            }
            StretchError::Full { .. } => OSTLER_E_LIMIT,
            StretchError::System { .. } => OSTLER_E_SYSTEM,
            StretchError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Opens a tap: a cache of idle resources for one thread, fiber or goroutine at a time, from which
/// ostler_tap_acquire_inline of ostler_inline.h leases without a call. Nobody goes without because of it: what is idle in a
/// tap is recalled for whoever finds nothing else, and when the pool is paused, resized, trimmed, refreshed or closed. In a
/// pool with validate, reset or retag, or with min_idle, reserved_high, soft_max_size, max_uses, max_lifetime_ns or
/// OSTLER_IDLE_LONGEST_FIRST, a tap keeps nothing at hand, and is as fast as the pool itself.
///
/// Parameters:
/// - pool: borrowed.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_tap_close, without which the memory of
///   a destroyed pool does not go.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT (65536 taps are open), OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tap_open(pool: *mut ostler_pool, out: *mut *mut ostler_tap) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = pool.open_tap(pool.caller())?.cast();
        Ok(())
    })
}

/// Leases a resource as ostler_pool_acquire does, first of all one that is idle in the tap. Does the same as
/// ostler_tap_acquire_inline, which calls it when none is. Who holds the lease is the thread that was last in the library
/// with the tap, and while tracing is on the call site is the one of such a call.
///
/// Parameters:
/// - tap: borrowed.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait; looked at when nothing is idle in the tap.
/// - lease: written only on success, else 0; a lease like any other, which ends with ostler_tap_release,
///   ostler_pool_release or ostler_pool_discard.
/// - resource: written only on success, else NULL; what create made, to be used until the lease ends.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED, OSTLER_E_CLOSED,
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a tap.
/// NULL: tap NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; lease and resource must not be NULL.
/// Blocking: up to timeout_ns, and as long as create and validate take. A callback of the same pool may call it with a
/// timeout.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tap_acquire(
    tap: *mut ostler_tap,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    let wait = |pool: &Pin<Pool>, demand| Ok(acquire(pool, demand, timeout_ns, given(cancel)?.as_deref())?);
    // SAFETY: as the header asks.
    unsafe { leasing_through(tap, lease, resource, wait) }
}

/// Begins to lease a resource as ostler_pool_begin_acquire does, first of all one that is idle in the tap. The lease belongs
/// to the tap, also when ostler_pool_continue_acquire gives it: what is released through the tap is idle there.
///
/// Parameters:
/// - tap: borrowed.
/// - how: borrowed during the call; cancel must be NULL. When timeout_ns is over, going on ends with OSTLER_E_TIMEOUT.
/// - bell: called when it is worth while to go on, also before this call returns, more than once, and a moment after the acquire
///   has ended.
/// - user_data: handed to bell; must stay valid until the pool is destroyed and its last lease and ticket are back. A number by
///   which the host finds who waits needs no such care.
/// - ticket: written; names the acquire until ostler_pool_continue_acquire ends it; 0 when the lease was had at once, and after
///   a failure.
/// - look_again_ns: written; as ostler_pool_begin_acquire writes it.
/// - lease: written; 0 unless it was had at once; ends with ostler_tap_release, ostler_pool_release or ostler_pool_discard.
/// - resource: written; NULL unless it was had at once.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED, OSTLER_E_CLOSED,
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a tap; between begin and continue it may be used.
/// NULL: tap NULL is OSTLER_E_INVALID_HANDLE; user_data may be NULL; how, bell, ticket, look_again_ns, lease and resource must
/// not be NULL.
/// Blocking: as long as create and validate take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tap_begin_acquire(
    tap: *mut ostler_tap,
    how: *const ostler_acquire,
    bell: ostler_bell_callback,
    user_data: *mut c_void,
    ticket: *mut ostler_ticket,
    look_again_ns: *mut u64,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    let asked = Asked { how, bell, user_data };
    let told = Told { ticket, look_again_ns };
    let open = match OpenTap::find(tap.cast()) {
        Ok(open) => open,
        Err(error) => {
            // SAFETY: as the header asks.
            unsafe {
                told.clear();
                clear_lease(lease, resource);
            }
            return guard(|| Err(error.into()));
        }
    };
    let now = |pool: &Pin<Pool>, Demand { priority, tag, .. }: Demand| {
        pool.acquire_at_tap(open, pool.caller()).map_err(|demand| Demand { priority, tag, ..demand })
    };
    // SAFETY: as the header asks.
    unsafe { beginning(open.pool as *mut ostler_pool, asked, told, lease, resource, now) }
}

/// Leases a resource as ostler_pool_try_acquire does, first of all one that is idle in the tap.
///
/// Parameters:
/// - tap: borrowed.
/// - lease: written only on success, else 0; as ostler_tap_acquire gives it.
/// - resource: written only on success, else NULL; what create made, to be used until the lease ends.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED (max_size are out, or others waited first), OSTLER_E_PAUSED,
/// OSTLER_E_CREATE_FAILED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a tap.
/// NULL: tap NULL is OSTLER_E_INVALID_HANDLE; lease and resource must not be NULL.
/// Blocking: as long as create and validate take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tap_try_acquire(
    tap: *mut ostler_tap,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { leasing_through(tap, lease, resource, |pool, demand| Ok(pool.try_acquire(demand)?)) }
}

/// Leases for the tap what ostler_pool_try_acquire would lease: what is idle in the tap only when nothing else is. For programs
/// that keep the tap's users apart by a lock of their own, and do not want to hold that while a resource is made.
///
/// Parameters:
/// - tap: borrowed.
/// - lease: written only on success, else 0; as ostler_tap_acquire gives it.
/// - resource: written only on success, else NULL; what create made, to be used until the lease ends.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED (max_size are out, or others waited first), OSTLER_E_PAUSED,
/// OSTLER_E_CREATE_FAILED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe: also while another thread uses the tap.
/// NULL: tap NULL is OSTLER_E_INVALID_HANDLE; lease and resource must not be NULL.
/// Blocking: as long as create and validate take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tap_try_acquire_shared(
    tap: *mut ostler_tap,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { leasing_for(tap, lease, resource, |pool, open| Ok(pool.try_acquire_for_tap(open, pool.caller())?)) }
}

/// Leases many resources as ostler_pool_acquire_n does: all of them or none. Does the same as ostler_tap_acquire_n_inline,
/// which calls it when fewer are idle in the tap.
///
/// Parameters:
/// - tap: borrowed.
/// - count: how many; 0 does nothing; more than max_size is OSTLER_E_LIMIT; at most 1048576. More than OSTLER_TAP_ROOM are
///   never idle in a tap.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait; looked at when fewer are idle in the tap.
/// - leases: an array of count elements, written only on success, else 0; leases like any other, each of which ends on its own.
/// - resources: an array of count elements, written only on success, else NULL; what create made.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_LIMIT, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED,
/// OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a tap.
/// NULL: tap NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; leases and resources (unless count is 0) must not be NULL.
/// Blocking: up to timeout_ns, and as long as create and validate take. A callback of the same pool may call it with a
/// timeout.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tap_acquire_n(
    tap: *mut ostler_tap,
    count: u32,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    leases: *mut ostler_lease,
    resources: *mut *mut c_void,
) -> ostler_status {
    let open = match OpenTap::find(tap.cast()) {
        Ok(open) => open,
        Err(error) => {
            // SAFETY: as the header asks.
            unsafe { clear_leases(count, leases, resources) };
            return guard(|| Err(error.into()));
        }
    };
    let lease_all = |pool: &Pin<Pool>, leases: &mut [Lease], resources: &mut [Resource]| {
        let (cancel, deadline) = (given(cancel)?, || Deadline::after(timeout_ns));
        Ok(pool.acquire_many_at_tap(open, pool.caller(), deadline, cancel.as_deref(), leases, resources)?)
    };
    // SAFETY: as the header asks.
    unsafe { leasing_many(open.pool as *mut ostler_pool, count, leases, resources, lease_all) }
}

/// A call that leases what is idle in the tap, else what `other` finds.
///
/// # Safety
/// As for [`leasing`].
unsafe fn leasing_through(
    tap: *mut ostler_tap,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
    other: impl FnOnce(&Pin<Pool>, Demand) -> Result<(Lease, Resource), Failure>,
) -> ostler_status {
    let take = |pool: &Pin<Pool>, open| match pool.acquire_at_tap(open, pool.caller()) {
        Ok(at_hand) => Ok(at_hand),
        Err(demand) => other(pool, demand),
    };
    // SAFETY: the caller's promise.
    unsafe { leasing_for(tap, lease, resource, take) }
}

/// A call that leases from the tap's pool.
///
/// # Safety
/// As for [`leasing`].
unsafe fn leasing_for(
    tap: *mut ostler_tap,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
    take: impl FnOnce(&Pin<Pool>, OpenTap) -> Result<(Lease, Resource), Failure>,
) -> ostler_status {
    match OpenTap::find(tap.cast()) {
        // SAFETY: the caller's promise.
        Ok(open) => unsafe { leasing(open.pool as *mut ostler_pool, lease, resource, |pool| take(pool, open)) },
        Err(error) => {
            // SAFETY: the caller's promise.
            unsafe { clear_lease(lease, resource) };
            guard(|| Err(error.into()))
        }
    }
}

/// Gives a resource back, which is then idle in the tap when there is room, and when the lease was taken through it; else
/// as ostler_pool_release does. Does the same as ostler_tap_release_inline, which calls it when it cannot go on.
///
/// Parameters:
/// - tap: borrowed.
/// - lease: consumed; any lease of the tap's pool.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a tap.
/// NULL: tap NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as reset or destroy takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tap_release(tap: *mut ostler_tap, lease: ostler_lease) -> ostler_status {
    with_pool_of(tap, |pool, open| Ok(pool.release_through(open, Lease(lease.value), pool.caller())?))
}

/// Gives many resources back, which are then idle in the tap as far as there is room, and as their leases were taken through
/// it; the others as ostler_pool_release_n does. Those whose leases are good are given back, also when another one is not. Does
/// the same as ostler_tap_release_n_inline, which calls it when it cannot go on.
///
/// Parameters:
/// - tap: borrowed.
/// - leases: borrowed during the call; an array of count leases of the tap's pool, each of which is stale afterwards.
/// - count: how many; 0 does nothing; at most 1048576.
/// - released: written; how many were good, also after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_LEASE (one or more were not good; the message names the first),
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a tap.
/// NULL: tap NULL is OSTLER_E_INVALID_HANDLE; leases (unless count is 0) must not be NULL; released may be NULL.
/// Blocking: as long as reset and destroy take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tap_release_n(
    tap: *mut ostler_tap,
    leases: *const ostler_lease,
    count: u32,
    released: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(released, 0) };
    with_pool_of(tap, |pool, open| {
        let release_all = |leases: &[Lease]| pool.release_many_through(open, leases, pool.caller());
        // SAFETY: as the header asks.
        unsafe { releasing_many(leases, count, released, release_all) }
    })
}

/// Gives a resource back to be destroyed, as ostler_pool_discard does. One whose lease was taken through the tap is ended without
/// a disturbance of what others have at hand.
///
/// Parameters:
/// - tap: borrowed.
/// - lease: consumed; any lease of the tap's pool.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a tap.
/// NULL: tap NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as destroy takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tap_discard(tap: *mut ostler_tap, lease: ostler_lease) -> ostler_status {
    with_pool_of(tap, |pool, open| Ok(pool.discard_through(open, Lease(lease.value), pool.caller())?))
}

/// Closes a tap. What is idle in it is idle for all; leases that were taken through it stay good, and end with
/// ostler_pool_release or ostler_pool_discard. Closing the last tap of a destroyed pool without leases lets its memory go.
///
/// Parameters:
/// - tap: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: no other thread may use the tap meanwhile; any thread may close it.
/// NULL: tap NULL is OSTLER_OK and does nothing.
/// Blocking: as long as destroy takes, when the pool is closed; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_tap_close(tap: *mut ostler_tap) -> ostler_status {
    if tap.is_null() {
        return OSTLER_OK;
    }
    with_pool_of(tap, |pool, open| Ok(pool.close_tap(open)?))
}

/// A call on behalf of a tap, whose pool may be destroyed already.
fn with_pool_of(tap: *mut ostler_tap, body: impl FnOnce(&Pin<Pool>, OpenTap) -> Result<(), Failure>) -> ostler_status {
    match OpenTap::find(tap.cast()) {
        Ok(open) => with_child(open.pool as *mut ostler_pool, |pool| body(pool, open)),
        Err(error) => guard(|| Err(error.into())),
    }
}
