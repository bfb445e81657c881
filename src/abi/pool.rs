//! Pool: resources that are expensive to make are made once, checked, leased out, and taken back. A lease names one
//! use of one resource; a second release of it is an error and harms nobody.

mod callbacks;
mod config;
mod life;
mod stats;
mod upkeep;

use super::status::{
    Failure, OSTLER_E_CLOSED, OSTLER_E_CREATE_FAILED, OSTLER_E_EXHAUSTED, OSTLER_E_LIMIT, OSTLER_E_OVERLOADED,
    OSTLER_E_PANIC, OSTLER_E_PAUSED, OSTLER_E_QUARANTINED, OSTLER_E_STALE_LEASE, OSTLER_E_WOULD_DEADLOCK,
};
use crate::pool::{AcquireError, CloseError, CreateError, LeaseInfo, ResizeError, RevokeError, StaleLease, WarmError};
use std::ffi::c_void;

pub use callbacks::*;
pub use config::*;
pub use life::*;
pub use stats::*;
pub use upkeep::*;

/// Keeps resources of one kind warm.
pub struct ostler_pool {
    _opaque: [u8; 0],
}

/// Names one use of one resource. A value of 0 is never a lease. One that has ended stays stale until its place in the pool
/// has been leased another 2^(48 - s) - 1 times, where s is how many bits the capacity less 1 has.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_lease {
    pub value: u64,
}

/// A lease that is out.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_lease_info {
    pub lease: ostler_lease,
    pub resource: *mut c_void,
    /// How long it has lasted, to a quarter of the shortest of the pool's times; 0 when nobody has looked at the clock.
    pub held_ns: u64,
    /// The thread that acquired it, as gettid has it.
    pub thread_id: u32,
    /// From where it was acquired, for ostler_tracing_print_site; 0 while tracing was off.
    pub call_site: u32,
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::InvalidField(error) => error.into(),
            CreateError::OutOfMemory(error) => error.into(),
            CreateError::Spawn(error) => error.into(),
            CreateError::Topology(error) => error.into(),
        }
    }
}

impl From<AcquireError> for Failure {
    fn from(error: AcquireError) -> Self {
        let status = match error {
            AcquireError::Closed => OSTLER_E_CLOSED,
            AcquireError::Paused => OSTLER_E_PAUSED,
            AcquireError::Exhausted { .. } | AcquireError::NoneIdle => OSTLER_E_EXHAUSTED,
            AcquireError::TooMany { .. } => OSTLER_E_LIMIT,
            AcquireError::Hopeless { .. } | AcquireError::TooLate { .. } => OSTLER_E_OVERLOADED,
            AcquireError::CreateFailed(_) | AcquireError::BreakerOpen { .. } => OSTLER_E_CREATE_FAILED,
            AcquireError::Wait { end, .. } => Failure::from(end).status(),
            AcquireError::Panicked => OSTLER_E_PANIC,
            AcquireError::Quarantined => OSTLER_E_QUARANTINED,
            AcquireError::Spawn(error) => return error.into(),
            AcquireError::OutOfMemory(error) => return error.into(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

impl From<StaleLease> for Failure {
    fn from(error: StaleLease) -> Self {
        Self::new(OSTLER_E_STALE_LEASE, format_args!("{error}"))
    }
}

impl From<RevokeError> for Failure {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Stale(error) => error.into(),
            RevokeError::OutOfMemory(error) => error.into(),
        }
    }
}

impl From<CloseError> for Failure {
    fn from(error: CloseError) -> Self {
        let status = match error {
            CloseError::InsideOwnCallback => OSTLER_E_WOULD_DEADLOCK,
            CloseError::Destroyed { .. } => OSTLER_E_CLOSED,
            CloseError::Quarantined { .. } => OSTLER_E_QUARANTINED,
            CloseError::Wait { end, .. } => Failure::from(end).status(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

impl From<ResizeError> for Failure {
    fn from(error: ResizeError) -> Self {
        match error {
            ResizeError::InvalidField(error) => error.into(),
            ResizeError::Spawn(error) => error.into(),
        }
    }
}

impl From<WarmError> for Failure {
    fn from(error: WarmError) -> Self {
        let status = match error {
            WarmError::InsideOwnCallback => OSTLER_E_WOULD_DEADLOCK,
            WarmError::Closed => OSTLER_E_CLOSED,
            WarmError::Quarantined { .. } => OSTLER_E_QUARANTINED,
            WarmError::CreateFailed { .. } => OSTLER_E_CREATE_FAILED,
            WarmError::Wait { end, .. } => Failure::from(end).status(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

pub fn lease_info(info: &LeaseInfo) -> ostler_lease_info {
    ostler_lease_info {
        lease: ostler_lease { value: info.lease.0 },
        resource: info.resource.0,
        held_ns: info.held_ns,
        thread_id: info.thread,
        call_site: info.site.number(),
    }
}
