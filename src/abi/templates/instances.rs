//! Instances: copies of a template, which the library builds when it is not here.

use super::{checked_key, ostler_templates};
use crate::abi::arena::ostler_arena;
use crate::abi::arguments::{clear, null, output};
use crate::abi::cancel::{given, ostler_cancel};
use crate::abi::guard::{seated, with};
use crate::abi::status::{Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_OK, ostler_status};
use crate::base::clock::Deadline;
use crate::base::handles::{self, Pin};
use crate::memory::arena::Arena;
use crate::pool::templates::{MOST_KEY_BYTES, Templates};
use std::ffi::c_void;

/// Makes an instance of the template of a key in the caller's memory. When the template is not there the first caller
/// builds it, and those who come meanwhile wait. One that is there takes no lock.
///
/// Parameters:
/// - templates: borrowed.
/// - key: borrowed during the call; bytes of any value.
/// - key_bytes: 1 to 255.
/// - target: written only on success, but for what a clone callback that fails has written; no part of a template.
/// - target_bytes: its size; at least that of the template, which the message tells when it is more.
/// - timeout_ns: how long to wait for another thread's build; 0 does not wait, OSTLER_FOREVER waits without bound. A build
///   of the caller's own takes as long as it takes.
/// - cancel: borrowed during the call; ends the wait.
/// - data_bytes: written; how many bytes were; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_BUILD_FAILED (the message has the words of the build), OSTLER_E_CALLBACK_FAILED (of the
/// clone), OSTLER_E_WOULD_DEADLOCK (from inside a build of the same key, or one that it waits for), OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; data_bytes may be NULL; key and target must not
/// be NULL.
/// Blocking: up to timeout_ns, or as long as build takes, and then as long as clone takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_instantiate(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
    target: *mut c_void,
    target_bytes: u64,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    data_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    if cancel.is_null() && unsafe { copy(templates, key, key_bytes, target, target_bytes, data_bytes) } {
        return OSTLER_OK;
    }
    // SAFETY: as the header asks.
    unsafe { clear(data_bytes, 0) };
    with(templates, |templates: &Pin<Templates>| {
        // SAFETY: as the header asks.
        let key = unsafe { checked_key(key, key_bytes)? };
        if target.is_null() {
            return Err(null("target"));
        }
        let cancel = given(cancel)?;
        let place = |bytes| if bytes <= target_bytes { Ok(target) } else { Err(too_small(target_bytes, bytes)) };
        // SAFETY: as the header asks, the target has room for `target_bytes`.
        let made = unsafe {
            templates.instantiate(templates.record(), key, || Deadline::after(timeout_ns), cancel.as_deref(), place)?
        };
        // SAFETY: as the header asks.
        unsafe { clear(data_bytes, made.1) };
        Ok(())
    })
}

/// Copies a template when that is all that there is to do.
///
/// # Safety
/// As for [`ostler_templates_instantiate`].
#[inline(always)]
unsafe fn copy(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
    target: *mut c_void,
    target_bytes: u64,
    data_bytes: *mut u64,
) -> bool {
    if key.is_null() || target.is_null() || !(1..=MOST_KEY_BYTES).contains(&key_bytes) {
        return false;
    }
    let copied = {
        let Some(templates) = seated::<_, Templates>(templates) else { return false };
        // SAFETY: the caller's promise.
        unsafe {
            let key = std::slice::from_raw_parts(key.cast(), key_bytes as usize);
            templates.copy_in_window(templates.record(), templates.lane(), key, target, target_bytes)
        }
    };
    // What a sweep has to tell, the guarded way tells.
    if copied.is_sweep_due && sweep(templates) != OSTLER_OK {
        return false;
    }
    let Some(bytes) = copied.bytes else { return false };
    // SAFETY: the caller's promise.
    unsafe { clear(data_bytes, bytes) };
    true
}

/// A cache that is being destroyed meanwhile does it itself.
#[cold]
fn sweep(templates: *mut ostler_templates) -> ostler_status {
    with(templates, |templates: &Pin<Templates>| {
        templates.sweep();
        Ok(())
    })
}

#[cold]
fn too_small(target_bytes: u64, bytes: u64) -> Failure {
    let words = format_args!("target_bytes is {target_bytes}, but must be at least {bytes}, the size of the template");
    Failure::new(OSTLER_E_INVALID_ARGUMENT, words)
}

/// Makes an instance of the template of a key in an arena; see ostler_templates_instantiate.
///
/// Parameters:
/// - templates: borrowed.
/// - key: borrowed during the call; bytes of any value.
/// - key_bytes: 1 to 255.
/// - arena: borrowed; what was allocated for a clone callback that fails stays allocated.
/// - timeout_ns: how long to wait for another thread's build; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
/// - out: written only on success, else NULL; belongs to the arena, aligned as the configuration says.
/// - data_bytes: written; how many bytes are there; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_BUILD_FAILED (the message has the words of the build), OSTLER_E_CALLBACK_FAILED (of the
/// clone), OSTLER_E_WOULD_DEADLOCK (from inside a build of the same key, or one that it waits for), OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED (also the arena's),
/// OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates or arena NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; data_bytes may be NULL; key and out must
/// not be NULL.
/// Blocking: up to timeout_ns, or as long as build takes, and then as long as the kernel takes to map a chunk and clone
/// takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_instantiate_in(
    templates: *mut ostler_templates,
    key: *const c_void,
    key_bytes: u64,
    arena: *mut ostler_arena,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    out: *mut *mut c_void,
    data_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(out, std::ptr::null_mut());
        clear(data_bytes, 0);
    }
    with(templates, |templates: &Pin<Templates>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let key = unsafe { checked_key(key, key_bytes)? };
        let arena = handles::pin_on::<Arena>(templates.record(), arena as u64)?;
        let cancel = given(cancel)?;
        let place = |bytes| Ok::<_, Failure>(arena.alloc(bytes, templates.align_bytes())?.cast());
        // SAFETY: the arena's block has room for as many bytes as were asked for.
        let (target, bytes) = unsafe {
            templates.instantiate(templates.record(), key, || Deadline::after(timeout_ns), cancel.as_deref(), place)?
        };
        *out = target;
        // SAFETY: as the header asks.
        unsafe { clear(data_bytes, bytes) };
        Ok(())
    })
}
