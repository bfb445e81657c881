//! The life of a slab: made, closed, destroyed.

use super::callbacks::{Callbacks, ostler_slab_callbacks};
use super::config::{checked, ostler_slab_config};
use super::ostler_slab;
use crate::abi::arguments::{clear, optional_output, out_of_range, output};
use crate::abi::cancel::{self, ostler_cancel};
use crate::abi::guard::{destroy, guard, with};
use crate::abi::status::ostler_status;
use crate::abi::structs::{read, zeroed};
use crate::base::alloc;
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::memory::slab::Slab;
use std::ffi::c_void;

/// Makes a slab, reserves the address space for every slot, and maps the first chunks.
///
/// Parameters:
/// - config: borrowed during the call.
/// - callbacks: borrowed during the call.
/// - user_data: handed to every callback; must stay valid until the slab is destroyed and the last slot is put.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_slab_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callbacks may be NULL, which is none; user_data may be NULL; config and out must not be NULL.
/// Blocking: as long as the kernel takes to map the chunks and bring in their pages; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_create(
    config: *const ostler_slab_config,
    callbacks: *const ostler_slab_callbacks,
    user_data: *mut c_void,
    out: *mut *mut ostler_slab,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = unsafe { checked(&read("config", config)?)? };
        // SAFETY: as the header asks.
        let table = if callbacks.is_null() { zeroed() } else { unsafe { read("callbacks", callbacks)? } };
        if table.reserved != 0 {
            return Err(out_of_range("callbacks->reserved", u64::from(table.reserved), "must be 0"));
        }
        let slot = handles::reserve(Kind::Slab)?;
        let upkeep = alloc::try_box(Callbacks { table, user_data })?;
        let slab = Slab::new(slot.owner(), config, upkeep)?;
        *out = slot.publish(slab) as *mut ostler_slab;
        Ok(())
    })
}

/// Gives nothing out any more, and waits until every slot is put. The slab's memory stays until ostler_slab_destroy.
///
/// Parameters:
/// - slab: borrowed.
/// - timeout_ns: nanoseconds; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait from another thread.
/// - still_out: written; how many slots are out, also after OSTLER_E_TIMEOUT and OSTLER_E_CANCELLED; else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
/// Blocking: waits as said; OSTLER_E_CLOSED when the slab is destroyed meanwhile with slots still out.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_close(
    slab: *mut ostler_slab,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    still_out: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(still_out, 0) };
    with(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let still_out = unsafe { optional_output(still_out, 0) };
        let cancel = cancel::given(cancel)?;
        let closed = slab.close(Deadline::after(timeout_ns), cancel.as_deref());
        if let Some(still_out) = still_out {
            *still_out = slab.left();
        }
        Ok(closed?)
    })
}

/// Destroys a slab. What create made is destroyed in every slot that is free. With slots still out, or magazines open, the
/// memory stays until the last is put and closed; each slot is then destroyed when it is put.
///
/// Parameters:
/// - slab: owned; invalid afterwards, except for putting its slots and closing its magazines.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no other thread may be inside an inline call of one of its magazines; other calls are waited
/// for.
/// NULL: slab NULL is OSTLER_OK and does nothing.
/// Blocking: ends the waits inside, waits for those calls to return, and as long as destroy takes.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_destroy(slab: *mut ostler_slab) -> ostler_status {
    destroy::<_, Slab>(slab)
}
