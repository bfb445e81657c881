//! References: a template is read in place for as long as one is held.

use super::{checked_key, ostler_template, ostler_templates};
use crate::abi::arguments::{clear, output};
use crate::abi::cancel::{given, ostler_cancel};
use crate::abi::guard::{with, with_child};
use crate::abi::status::ostler_status;
use crate::abi::structs::{prepare, versioned, zeroed};
use crate::base::clock::Deadline;
use crate::base::handles::Pin;
use crate::pool::cells::Key;
use crate::pool::templates::Templates;
use std::ffi::c_void;

/// What a reference to a template leads to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_template_info {
    /// sizeof(ostler_template_info), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    pub data: *const c_void,
    pub data_bytes: u64,
    /// From 1; a template whose build began later has a higher one.
    pub version: u64,
}

versioned!(ostler_template_info);

/// Hands out a reference to the template of a key, which is built when it is not there; see
/// ostler_templates_instantiate. Until it is released the template stays, also when it is invalidated or evicted.
///
/// Parameters:
/// - templates: borrowed.
/// - key: borrowed during the call; bytes of any value.
/// - key_bytes: 1 to 255.
/// - timeout_ns: how long to wait for another thread's build; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
/// - out: written only on success, else 0; ends with ostler_templates_release.
/// - data: written only on success, else NULL; the template's data, which must not be written; valid until the release.
/// - data_bytes: written; how many bytes are there; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_BUILD_FAILED (the message has the words of the build), OSTLER_E_EXHAUSTED (of references),
/// OSTLER_E_WOULD_DEADLOCK (from inside a build of the same key, or one that it waits for), OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; data may be NULL; data_bytes may be NULL; key and
/// out must not be NULL.
/// Blocking: up to timeout_ns, or as long as build takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_get(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    out: *mut ostler_template,
    data: *mut *const c_void,
    data_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(out, ostler_template { value: 0 });
        clear(data, std::ptr::null());
        clear(data_bytes, 0);
    }
    with(templates, |templates: &Pin<Templates>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, ostler_template { value: 0 })? };
        // SAFETY: as the header asks.
        let key = unsafe { checked_key(key, key_bytes)? };
        let cancel = given(cancel)?;
        let (reference, view) =
            templates.get(templates.record(), key, || Deadline::after(timeout_ns), cancel.as_deref())?;
        out.value = reference.0;
        // SAFETY: as the header asks.
        unsafe {
            clear(data, view.data.cast_const());
            clear(data_bytes, view.bytes);
        }
        Ok(())
    })
}

/// Gives a reference back. A template that is not kept any more is destroyed with its last one.
///
/// Parameters:
/// - templates: borrowed, also when it was destroyed.
/// - reference: consumed.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_TEMPLATE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as destroy takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_release(
    templates: *mut ostler_templates,
    reference: ostler_template,
) -> ostler_status {
    with_child(templates, |templates: &Pin<Templates>| Ok(templates.release(Key(reference.value))?))
}

/// Tells what a reference leads to.
///
/// Parameters:
/// - templates: borrowed, also when it was destroyed.
/// - reference: one that is out.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_TEMPLATE, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_get_info(
    templates: *mut ostler_templates,
    reference: ostler_template,
    out: *mut ostler_template_info,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with_child(templates, |templates: &Pin<Templates>| {
        let out = out?;
        let view = templates.view(Key(reference.value))?;
        let data = view.data.cast_const();
        out.fill(&ostler_template_info { data, data_bytes: view.bytes, version: view.version, ..zeroed() });
        Ok(())
    })
}
