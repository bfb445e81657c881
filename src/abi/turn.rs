//! Turn: an acquire in two steps, for hosts whose users are goroutines, fibers or coroutines, which wait in a way of their own.

use super::acquire::{
    clear_lease, clear_leases, demand, lease_arrays, lease_outputs, ostler_acquire, refuse_cancel, write,
};
use super::arguments::{clear, output};
use super::guard::{with, with_child};
use super::pool::{ostler_bell_callback, ostler_lease, ostler_pool};
use super::request::ostler_ticket;
use super::status::{
    Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_NOT_READY, OSTLER_E_STALE_TICKET, OSTLER_OK, ostler_status,
};
use super::structs::read;
use crate::base::clock::Deadline;
use crate::base::handles::Pin;
use crate::pool::{Bell, Demand, Lease, Pool, Resource, Step};
use std::ffi::c_void;

/// Begins to lease a resource without holding a thread up: one that is to be had now is leased at once; else the caller stands
/// in the queue with those who wait, and goes on with ostler_pool_continue_acquire. Unlike ostler_pool_acquire_async it needs
/// no thread of the library: create, validate and retag run in the call that goes on, for many at the same time.
///
/// Parameters:
/// - pool: borrowed.
/// - how: borrowed during the call; cancel must be NULL. When timeout_ns is over, going on ends with OSTLER_E_TIMEOUT.
/// - bell: called when it is worth while to go on, also before this call returns, more than once, and a moment after the acquire
///   has ended.
/// - user_data: handed to bell; must stay valid until the pool is destroyed and its last lease and ticket are back. A number by
///   which the host finds who waits needs no such care.
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
    let asked = Asked { how, bell, user_data };
    let told = Told { ticket, look_again_ns };
    // SAFETY: as the header asks.
    unsafe { beginning(pool, asked, told, lease, resource, |_, demand| Err(demand)) }
}

/// What one asks for who begins an acquire, in C's words.
pub(super) struct Asked {
    pub how: *const ostler_acquire,
    pub bell: ostler_bell_callback,
    pub user_data: *mut c_void,
}

impl Asked {
    /// # Safety
    /// As the header asks.
    unsafe fn read(&self, pool: &Pin<Pool>) -> Result<(Demand, Deadline, Bell), Failure> {
        let Self { how, bell, user_data } = *self;
        let bell = bell.ok_or_else(|| Failure::new(OSTLER_E_INVALID_ARGUMENT, format_args!("bell is NULL")))?;
        // SAFETY: the caller's promise.
        let how = unsafe { read("how", how)? };
        refuse_cancel(&how, "ostler_pool_continue_acquire ends the wait")?;
        let bell = Bell { ring: bell as *const (), user_data };
        Ok((demand(pool, &how)?, Deadline::after(how.timeout_ns), bell))
    }
}

/// Where one who waits is told how to go on.
pub(super) struct Told {
    pub ticket: *mut ostler_ticket,
    pub look_again_ns: *mut u64,
}

impl Told {
    /// # Safety
    /// As for [`clear`].
    pub unsafe fn clear(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            clear(self.ticket, ostler_ticket { value: 0 });
            clear(self.look_again_ns, 0);
        }
    }

    /// # Safety
    /// As for [`output`].
    unsafe fn outputs<'a>(&self) -> Result<(&'a mut ostler_ticket, &'a mut u64), Failure> {
        // SAFETY: the caller's promise.
        unsafe {
            Ok((
                output("ticket", self.ticket, ostler_ticket { value: 0 })?,
                output("look_again_ns", self.look_again_ns, 0)?,
            ))
        }
    }
}

/// A call that begins to lease one resource: as `now` does it, or in its turn for the demand that it gives back.
///
/// # Safety
/// As the header asks of ostler_pool_begin_acquire.
pub(super) unsafe fn beginning(
    pool: *mut ostler_pool,
    asked: Asked,
    told: Told,
    lease: *mut ostler_lease,
    resource: *mut *mut c_void,
    now: impl FnOnce(&Pin<Pool>, Demand) -> Result<(Lease, Resource), Demand>,
) -> ostler_status {
    // SAFETY: the caller's promise.
    unsafe {
        told.clear();
        clear_lease(lease, resource);
    }
    with(pool, |pool: &Pin<Pool>| {
        // SAFETY: the caller's promise.
        let ((ticket, look_again_ns), (lease, resource)) =
            unsafe { (told.outputs()?, lease_outputs(lease, resource)?) };
        // SAFETY: the caller's promise.
        let (demand, deadline, bell) = unsafe { asked.read(pool)? };
        let demand = match now(pool, demand) {
            Ok(leased) => {
                write(lease, resource, leased);
                return Ok(());
            }
            Err(demand) => demand,
        };
        let (mut leased, mut made) = ([Lease(0)], [Resource::NONE]);
        match pool.begin_turn(demand, deadline, bell, &mut leased, &mut made)? {
            Step::Leased => write(lease, resource, (leased[0], made[0])),
            Step::Waits { number, look_again_ns: again } => (ticket.value, *look_again_ns) = (number, again),
        }
        Ok(())
    })
}

/// Begins to lease many resources, all of them or none, without holding a thread up; see ostler_pool_begin_acquire and
/// ostler_pool_acquire_n.
///
/// Parameters:
/// - pool: borrowed.
/// - how: borrowed during the call; cancel must be NULL. When timeout_ns is over, going on ends with OSTLER_E_TIMEOUT.
/// - count: how many; 0 does nothing; more than max_size is OSTLER_E_LIMIT; at most 1048576.
/// - bell: called when it is worth while to go on, also before this call returns, more than once, and a moment after the acquire
///   has ended.
/// - user_data: handed to bell; must stay valid until the pool is destroyed and its last lease and ticket are back. A number by
///   which the host finds who waits needs no such care.
/// - ticket: written; names the acquire until ostler_pool_continue_acquire_n ends it, without which the memory of a destroyed
///   pool does not go; 0 when the leases were had at once, and after a failure.
/// - look_again_ns: written; after so long it is to be gone on with when the bell has not rung, OSTLER_FOREVER: never; 0 when
///   the leases were had at once, and after a failure.
/// - leases: an array of count elements, written; 0 unless they were had at once; each ends on its own.
/// - resources: an array of count elements, written; NULL unless they were had at once.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_LIMIT, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED, OSTLER_E_CLOSED,
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; user_data may be NULL; how, bell, ticket, look_again_ns, leases and resources
/// must not be NULL, the last two unless count is 0.
/// Blocking: as long as create, validate and retag take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_begin_acquire_n(
    pool: *mut ostler_pool,
    how: *const ostler_acquire,
    count: u32,
    bell: ostler_bell_callback,
    user_data: *mut c_void,
    ticket: *mut ostler_ticket,
    look_again_ns: *mut u64,
    leases: *mut ostler_lease,
    resources: *mut *mut c_void,
) -> ostler_status {
    let told = Told { ticket, look_again_ns };
    // SAFETY: as the header asks.
    unsafe {
        told.clear();
        clear_leases(count, leases, resources);
    }
    let mut is_leased = false;
    let status = with(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let ((ticket, look_again_ns), (demand, deadline, bell)) =
            unsafe { (told.outputs()?, Asked { how, bell, user_data }.read(pool)?) };
        if count == 0 {
            return Ok(());
        }
        // SAFETY: as the header asks.
        let (leases, resources) = unsafe { lease_arrays(count, leases, resources)? };
        match pool.begin_turn(demand, deadline, bell, leases, resources)? {
            Step::Leased => is_leased = true,
            Step::Waits { number, look_again_ns: again } => (ticket.value, *look_again_ns) = (number, again),
        }
        Ok(())
    });
    if !is_leased {
        // SAFETY: as the header asks.
        unsafe { clear_leases(count, leases, resources) };
    }
    status
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
        let (mut leased, mut made) = ([Lease(0)], [Resource::NONE]);
        go_on(pool, ticket, cancelled, look_again_ns, (&mut leased, &mut made))?;
        write(lease, resource, (leased[0], made[0]));
        Ok(())
    })
}

/// Goes on with an acquire of many that waits: when its turn has come, or its time is up, it ends; else it waits on.
///
/// Parameters:
/// - pool: borrowed, also when it was destroyed.
/// - ticket: what ostler_pool_begin_acquire_n gave; stale from now on, unless this is OSTLER_E_NOT_READY, or
///   OSTLER_E_QUARANTINED, after which the destroy of the pool ends it.
/// - count: as many as ostler_pool_begin_acquire_n was asked for.
/// - cancelled: 1: the wait ends now, with OSTLER_E_CANCELLED unless its turn has come; 0: it may go on.
/// - look_again_ns: written; with OSTLER_E_NOT_READY as ostler_pool_begin_acquire_n writes it, else 0.
/// - leases: an array of count elements, written only on success, else 0; each ends on its own.
/// - resources: an array of count elements, written only on success, else NULL; what create made.
///
/// Returns: OSTLER_OK, OSTLER_E_NOT_READY (it waits on), OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_CREATE_FAILED,
/// OSTLER_E_OVERLOADED, OSTLER_E_LIMIT, OSTLER_E_CLOSED, OSTLER_E_STALE_TICKET (also where the ticket is for another count),
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe; one thread at a time goes on with a ticket.
/// NULL: pool NULL is OSTLER_E_INVALID_HANDLE; look_again_ns, leases and resources must not be NULL.
/// Blocking: as long as create, validate and retag take; may be called from any callback except the bell.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_continue_acquire_n(
    pool: *mut ostler_pool,
    ticket: ostler_ticket,
    count: u32,
    cancelled: u32,
    look_again_ns: *mut u64,
    leases: *mut ostler_lease,
    resources: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(look_again_ns, 0);
        clear_leases(count, leases, resources);
    }
    let status = with_child(pool, |pool: &Pin<Pool>| {
        // SAFETY: as the header asks.
        let (look_again_ns, arrays) =
            unsafe { (output("look_again_ns", look_again_ns, 0)?, lease_arrays(count, leases, resources)?) };
        go_on(pool, ticket, cancelled, look_again_ns, arrays)
    });
    if status != OSTLER_OK {
        // SAFETY: as the header asks.
        unsafe { clear_leases(count, leases, resources) };
    }
    status
}

fn go_on(
    pool: &Pin<Pool>,
    ticket: ostler_ticket,
    cancelled: u32,
    look_again_ns: &mut u64,
    (leases, resources): (&mut [Lease], &mut [Resource]),
) -> Result<(), Failure> {
    let is_cancelled = match cancelled {
        0 => false,
        1 => true,
        other => {
            let words = format_args!("cancelled is {other}, but must be 0 or 1");
            return Err(Failure::new(OSTLER_E_INVALID_ARGUMENT, words));
        }
    };
    let Some(step) = pool.continue_turn(ticket.value, pool.caller(), is_cancelled, leases, resources) else {
        let count = leases.len();
        let words = format_args!(
            "ticket {:#x} names no acquire of {count}: it is stale, of another pool, or for another count",
            ticket.value
        );
        return Err(Failure::new(OSTLER_E_STALE_TICKET, words));
    };
    match step? {
        Step::Leased => Ok(()),
        Step::Waits { look_again_ns: again, .. } => {
            *look_again_ns = again;
            Err(Failure::new(OSTLER_E_NOT_READY, format_args!("the acquire waits for its turn")))
        }
    }
}
