//! Turn: an acquire in two steps, for hosts whose users are goroutines, fibers or coroutines, which wait in a way of their own.

use super::acquire::{clear_lease, demand, lease_outputs, ostler_acquire, refuse_cancel, write};
use super::arguments::{clear, output};
use super::guard::{with, with_child};
use super::pool::{ostler_bell_callback, ostler_lease, ostler_pool};
use super::request::ostler_ticket;
use super::status::{Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_NOT_READY, OSTLER_E_STALE_TICKET, ostler_status};
use super::structs::read;
use crate::base::clock::Deadline;
use crate::base::handles::Pin;
use crate::pool::{Bell, Pool, Step};
use std::ffi::c_void;

/// Begins to lease a resource without holding a thread up: one that is to be had now is leased at once; else the caller stands
/// in the queue with those who wait, and goes on with ostler_pool_continue_acquire. Unlike ostler_pool_acquire_async it needs
/// no thread of the library: create, validate and retag run in the call that goes on, for many at the same time.
///
/// Parameters:
/// - pool: borrowed.
/// - how: borrowed during the call; cancel must be NULL. When timeout_ns is over, going on ends with OSTLER_E_TIMEOUT.
/// - bell: called when it is worth while to go on, also before this call returns, also more than once.
/// - user_data: handed to bell.
/// - ticket: written; names the acquire until ostler_pool_continue_acquire ends it, without which the memory of a destroyed
///   pool does not go; 0 when the lease was had at once, and after a failure.
/// - look_again_ns: written; after so long it is to be gone on with when the bell has not rung, OSTLER_FOREVER: never; 0 when
///   the lease was had at once, and after a failure.
/// - lease: written; 0 unless it was had at once; ends with ostler_pool_release or ostler_pool_discard.
/// - resource: written; NULL unless it was had at once.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED, OSTLER_E_CLOSED,
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; user_data may be NULL; how, bell, ticket, look_again_ns, lease and resource must
/// not be NULL.
/// Blocking: as long as create, validate and retag take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_begin_acquire(
    pool: *mut ostler_pool,
    how: *const ostler_acquire,
    bell: ostler_bell_callback,
    user_data: *mut c_void,
    ticket: *mut ostler_ticket,
    look_again_ns: *mut u64,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(ticket, ostler_ticket { value: 0 });
        clear(look_again_ns, 0);
        clear_lease(lease, resource);
    }
    with(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let (ticket, look_again_ns, (lease, resource)) = unsafe {
            (
                output("ticket", ticket, ostler_ticket { value: 0 })?,
                output("look_again_ns", look_again_ns, 0)?,
                lease_outputs(lease, resource)?,
            )
        };
        let bell = bell.ok_or_else(|| Failure::new(OSTLER_E_INVALID_ARGUMENT, format_args!("bell is NULL")))?;
        // SAFETY: as the header asks.
        let how = unsafe { read("how", how)? };
        refuse_cancel(&how, "ostler_pool_continue_acquire ends the wait")?;
        let bell = Bell { ring: bell as *const (), user_data };
        match pool.begin_turn(demand(pool, &how)?, Deadline::after(how.timeout_ns), bell)? {
            Step::Leased(leased, made) => write(lease, resource, (leased, made)),
            Step::Waits { number, look_again_ns: again } => {
                ticket.value = number;
                *look_again_ns = again;
            }
        }
        Ok(())
    })
}

/// Goes on with an acquire that waits: when its turn has come, or its time is up, it ends; else it waits on.
///
/// Parameters:
/// - pool: borrowed, also when it was destroyed.
/// - ticket: what ostler_pool_begin_acquire gave; stale from now on, unless this is OSTLER_E_NOT_READY, or
///   OSTLER_E_QUARANTINED, after which the destroy of the pool ends it.
/// - cancelled: 1: the wait ends now, with OSTLER_E_CANCELLED unless its turn has come; 0: it may go on.
/// - look_again_ns: written; with OSTLER_E_NOT_READY as ostler_pool_begin_acquire writes it, else 0.
/// - lease: written only on success, else 0; ends with ostler_pool_release or ostler_pool_discard.
/// - resource: written only on success, else NULL; what create made, to be used until the lease ends.
///
/// Returns: OSTLER_OK, OSTLER_E_NOT_READY (it waits on), OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_CREATE_FAILED,
/// OSTLER_E_OVERLOADED, OSTLER_E_LIMIT, OSTLER_E_CLOSED, OSTLER_E_STALE_TICKET, OSTLER_E_INVALID_ARGUMENT,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe; one thread at a time goes on with a ticket.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; look_again_ns, lease and resource must not be NULL.
/// Blocking: as long as create, validate and retag take; may be called from any callback except the bell.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_continue_acquire(
    pool: *mut ostler_pool,
    ticket: ostler_ticket,
    cancelled: u32,
    look_again_ns: *mut u64,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(look_again_ns, 0);
        clear_lease(lease, resource);
    }
    with_child(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let (look_again_ns, (lease, resource)) =
            unsafe { (output("look_again_ns", look_again_ns, 0)?, lease_outputs(lease, resource)?) };
        let is_cancelled = match cancelled {
            0 => false,
            1 => true,
            other => {
                let words = format_args!("cancelled is {other}, but must be 0 or 1");
                return Err(Failure::new(OSTLER_E_INVALID_ARGUMENT, words));
            }
        };
        match pool.continue_turn(ticket.value, pool.caller(), is_cancelled) {
            Some(step) => match step? {
                Step::Leased(leased, made) => write(lease, resource, (leased, made)),
                Step::Waits { look_again_ns: again, .. } => {
                    *look_again_ns = again;
                    return Err(Failure::new(OSTLER_E_NOT_READY, format_args!("the acquire waits for its turn")));
                }
            },
            None => {
                let words = format_args!("ticket {:#x} is stale: it has ended, or is of another pool", ticket.value);
                return Err(Failure::new(OSTLER_E_STALE_TICKET, words));
            }
        }
        Ok(())
    })
}
