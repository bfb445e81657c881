//! What the host does for a pool: it makes resources, looks after them and ends them.

use super::{lease_info, ostler_lease, ostler_lease_info};
use crate::abi::guard::guard;
use crate::abi::request::ostler_ticket;
use crate::abi::status::{Failure, OSTLER_OK, answered, ostler_status};
use crate::abi::structs::{init, versioned};
use crate::base::callback::Refusal;
use crate::pool::{AcquireError, Bell, Event, Factory, Hearer, Lease, LeaseInfo, Outcome, Resource};
use std::ffi::c_void;

/// What the host does for a pool. All are called with the pool's user_data, with no lock held, on the thread that
/// acquires or releases, or on the pool's own. They may call the library, but not close or destroy their own pool. Each
/// resource is with one callback or one lease at a time. A C++ exception must not leave one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_pool_callbacks {
    /// sizeof(ostler_pool_callbacks).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Makes a resource, which must not be NULL; required.
    pub create:
        Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, resource: *mut *mut c_void) -> ostler_status>,
    /// Tells whether an idle resource can still be used, before it is leased again; may be NULL. After a failure it is
    /// destroyed and the next is taken.
    pub validate: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, resource: *mut c_void) -> ostler_status>,
    /// Makes a released resource ready for the next use; may be NULL. After a failure it is destroyed.
    pub reset: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, resource: *mut c_void) -> ostler_status>,
    /// Ends a resource, once for each that create made; required.
    pub destroy: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, resource: *mut c_void)>,
    /// Hears, once, of a lease that has lasted longer than lease_limit_ns; may be NULL. info is borrowed during the call.
    /// It may take the resource away from its holder with ostler_pool_discard, which destroys it: the host sees to it that
    /// the holder does not use it any more.
    pub overdue: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, info: *const ostler_lease_info)>,
    /// Gives a resource other settings, from those of one tag to those of another, before it is leased; may be NULL, and
    /// then tags are ignored. A resource has the tag 0 when it is made. After a failure it is destroyed, and the acquire
    /// fails with OSTLER_E_CREATE_FAILED.
    pub retag: Option<
        unsafe extern "C-unwind" fn(
            user_data: *mut c_void,
            resource: *mut c_void,
            from_tag: u64,
            to_tag: u64,
        ) -> ostler_status,
    >,
    /// Hears what happens to the pool: an OSTLER_POOL_EVENT_...; may be NULL. resource is NULL unless the event is about one.
    pub event: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, event: u32, resource: *mut c_void)>,
}

/// A resource was made.
pub const OSTLER_POOL_EVENT_CREATED: u32 = 1;

/// A resource is about to be destroyed.
pub const OSTLER_POOL_EVENT_DESTROYED: u32 = 2;

/// create has failed breaker_failures times in a row.
pub const OSTLER_POOL_EVENT_BREAKER_OPENED: u32 = 3;

/// create has succeeded again.
pub const OSTLER_POOL_EVENT_BREAKER_CLOSED: u32 = 4;

pub const OSTLER_POOL_EVENT_PAUSED: u32 = 5;

pub const OSTLER_POOL_EVENT_RESUMED: u32 = 6;

pub const OSTLER_POOL_EVENT_RESIZED: u32 = 7;

pub const OSTLER_POOL_EVENT_REFRESHED: u32 = 8;

/// By a close or a destroy, before any resource goes.
pub const OSTLER_POOL_EVENT_CLOSED: u32 = 9;

/// Hears what became of an acquire that did not have its resource at once: called once, on the pool's own thread, with no
/// lock held. On OSTLER_OK the lease is its own to end; else lease is 0, resource NULL, status as for
/// ostler_pool_acquire_with, and ostler_last_error_message has the words. It may call the library, but not wait for a lease
/// of its own pool, nor close or destroy that.
pub type ostler_acquired_callback = Option<
    unsafe extern "C-unwind" fn(
        user_data: *mut c_void,
        ticket: ostler_ticket,
        status: ostler_status,
        lease: ostler_lease,
        resource: *mut c_void,
    ),
>;

/// Rings for an acquire that waits in a way of its host's: ostler_pool_continue_acquire is to be called for it, now or soon.
/// Called with no lock held, on any thread, among them one that releases: it is to be short, and neither waits nor goes on with an acquire. It
/// may come late, when the acquire has ended.
pub type ostler_bell_callback = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

versioned!(ostler_pool_callbacks);

/// The callbacks of one pool; create and destroy are there.
pub(super) struct Callbacks {
    pub table: ostler_pool_callbacks,
    pub user_data: *mut c_void,
}

// SAFETY: the host's functions and its pointer for them; the header says on which threads they are called.
unsafe impl Send for Callbacks {}

// SAFETY: as above.
unsafe impl Sync for Callbacks {}

impl Factory for Callbacks {
    fn create(&self, resource: &mut Resource) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.create.map_or(OSTLER_OK, |create| unsafe { create(self.user_data, &mut resource.0) }))
    }

    fn validates(&self) -> bool {
        self.table.validate.is_some()
    }

    fn validate(&self, resource: Resource) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.validate.map_or(OSTLER_OK, |validate| unsafe { validate(self.user_data, resource.0) }))
    }

    fn resets(&self) -> bool {
        self.table.reset.is_some()
    }

    fn reset(&self, resource: Resource) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.reset.map_or(OSTLER_OK, |reset| unsafe { reset(self.user_data, resource.0) }))
    }

    fn acquired(&self, hearer: Hearer, outcome: Outcome) {
        // SAFETY: `ostler_pool_acquire_async` made it of a function of this type; null is none.
        let callback = unsafe { std::mem::transmute::<*const (), ostler_acquired_callback>(hearer.acquired.0) };
        let (status, (lease, resource)) = match outcome.leased {
            Ok(leased) => (OSTLER_OK, leased),
            Err(status) => (status, (Lease(0), Resource::NONE)),
        };
        let (ticket, lease) = (ostler_ticket { value: outcome.number }, ostler_lease { value: lease.0 });
        if let Some(callback) = callback {
            // SAFETY: the host's function, called as the header says.
            unsafe { callback(hearer.user_data, ticket, status, lease, resource.0) }
        }
    }

    fn status_of(&self, error: AcquireError) -> i32 {
        Failure::from(error).status()
    }

    fn ring(&self, bell: Bell) {
        // SAFETY: `ostler_pool_begin_acquire` made it of a function of this type.
        let ring = unsafe { std::mem::transmute::<*const (), ostler_bell_callback>(bell.ring) };
        if let Some(ring) = ring {
            // SAFETY: the host's function, called as the header says.
            unsafe { ring(bell.user_data) }
        }
    }

    fn hears(&self) -> bool {
        self.table.event.is_some()
    }

    fn event(&self, event: Event, resource: Resource) {
        if let Some(hear) = self.table.event {
            // SAFETY: the host's function, called as the header says.
            unsafe { hear(self.user_data, event as u32, resource.0) }
        }
    }

    fn retags(&self) -> bool {
        self.table.retag.is_some()
    }

    fn retag(&self, resource: Resource, from: u64, to: u64) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.retag.map_or(OSTLER_OK, |retag| unsafe { retag(self.user_data, resource.0, from, to) }))
    }

    fn destroy(&self, resource: Resource) {
        if let Some(destroy) = self.table.destroy {
            // SAFETY: the host's function, called as the header says.
            unsafe { destroy(self.user_data, resource.0) }
        }
    }

    fn overdue(&self, info: &LeaseInfo) {
        if let Some(overdue) = self.table.overdue {
            // SAFETY: the host's function, called as the header says.
            unsafe { overdue(self.user_data, &lease_info(info)) }
        }
    }
}

/// Empties a table of callbacks.
///
/// Parameters:
/// - callbacks: written only on success.
/// - struct_size: sizeof(ostler_pool_callbacks).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callbacks must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_pool_callbacks_init(
    callbacks: *mut ostler_pool_callbacks,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("callbacks", callbacks, struct_size) })
}
