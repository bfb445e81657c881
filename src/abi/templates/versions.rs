//! Versions: a key whose template is invalidated gets a new one.

use super::{checked_key, ostler_templates};
use crate::abi::arguments::{clear, output};
use crate::abi::guard::with;
use crate::abi::status::ostler_status;
use crate::base::handles::Pin;
use crate::pool::templates::Templates;
use std::ffi::c_void;

/// Tells the version of the template that is kept for a key. Versions only grow, so one that differs from that of a
/// reference says that a newer one is there, or none.
///
/// Parameters:
/// - templates: borrowed.
/// - key: borrowed during the call; bytes of any value.
/// - key_bytes: 1 to 255.
/// - version: written; 0 when none is kept, and after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; key and version must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_get_version(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
    version: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(version, 0) };
    with(templates, |templates: &Pin<Templates>| {
        // SAFETY: as the header asks.
        let version = unsafe { output("version", version, 0)? };
        // SAFETY: as the header asks.
        *version = templates.version(unsafe { checked_key(key, key_bytes)? });
        Ok(())
    })
}

/// Makes the template of a key go: once this returns, no call that begins gets it, nor what a build that was under way
/// made. Those who use it, or waited for that build, go on with it.
///
/// Parameters:
/// - templates: borrowed.
/// - key: borrowed during the call; bytes of any value; one that is not there is nothing to do.
/// - key_bytes: 1 to 255.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; key must not be NULL.
/// Blocking: as long as destroy takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_invalidate(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
) -> ostler_status {
    with(templates, |templates: &Pin<Templates>| {
        // SAFETY: as the header asks.
        templates.invalidate(unsafe { checked_key(key, key_bytes)? });
        Ok(())
    })
}

/// Makes the templates of all keys go; see ostler_templates_invalidate.
///
/// Parameters:
/// - templates: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as destroy takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_invalidate_all(templates: *mut ostler_templates) -> ostler_status {
    with(templates, |templates: &Pin<Templates>| {
        templates.invalidate_all();
        Ok(())
    })
}
