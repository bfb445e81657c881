//! Templates: immutable initial data by key, built once and then copied, or read in place, without a lock. What is here
//! is bounded by count and by bytes; a key can be invalidated at any time, and whoever uses the old template goes on
//! with it.

mod callbacks;
mod config;
mod instances;
mod life;
mod references;
mod stats;
mod versions;

use super::arguments::{null, out_of_range};
use super::status::{
    Failure, OSTLER_E_BUILD_FAILED, OSTLER_E_CALLBACK_FAILED, OSTLER_E_CLOSED, OSTLER_E_EXHAUSTED,
    OSTLER_E_OUT_OF_MEMORY, OSTLER_E_STALE_TEMPLATE, OSTLER_E_WOULD_DEADLOCK,
};
use crate::pool::templates::{CreateTemplatesError, MOST_KEY_BYTES, TemplatesError};
use std::ffi::c_void;

pub use callbacks::*;
pub use config::*;
pub use instances::*;
pub use life::*;
pub use references::*;
pub use stats::*;
pub use versions::*;

/// A cache of templates.
pub struct ostler_templates {
    _opaque: [u8; 0],
}

/// Names one reference to one template. A value of 0 is never one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_template {
    pub value: u64,
}

impl From<CreateTemplatesError> for Failure {
    fn from(error: CreateTemplatesError) -> Self {
        match error {
            CreateTemplatesError::InvalidField(error) => error.into(),
            CreateTemplatesError::OutOfMemory(error) => error.into(),
        }
    }
}

impl From<TemplatesError> for Failure {
    fn from(error: TemplatesError) -> Self {
        let status = match error {
            TemplatesError::Closed => OSTLER_E_CLOSED,
            TemplatesError::BuildFailed(_) => OSTLER_E_BUILD_FAILED,
            TemplatesError::CloneFailed(_) => OSTLER_E_CALLBACK_FAILED,
            TemplatesError::WouldDeadlock => OSTLER_E_WOULD_DEADLOCK,
            TemplatesError::Exhausted { .. } => OSTLER_E_EXHAUSTED,
            TemplatesError::Stale { .. } => OSTLER_E_STALE_TEMPLATE,
            TemplatesError::Wait(end) => Failure::from(end).status(),
            TemplatesError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Checks a key.
///
/// # Safety
/// A non-null `key` must be valid for reads of `key_bytes`, as the header asks.
#[inline]
unsafe fn checked_key<'a>(key: *const c_void, key_bytes: u64) -> Result<&'a [u8], Failure> {
    if key.is_null() {
        return Err(null("key"));
    }
    if !(1..=MOST_KEY_BYTES).contains(&key_bytes) {
        return Err(out_of_range("key_bytes", key_bytes, "must be 1 to 255"));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(key.cast(), key_bytes as usize) })
}
