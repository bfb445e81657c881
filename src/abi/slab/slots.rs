//! Slots of a slab: got and put, one by one or many at once.

use super::ostler_slab;
use crate::abi::arguments::{array_in, array_out, clear, clear_array, output};
use crate::abi::guard::{seated, with, with_child};
use crate::abi::status::{OSTLER_OK, ostler_status};
use crate::base::handles::Pin;
use crate::memory::slab::Slab;
use std::ffi::c_void;

/// Gets a slot through the magazine that the library keeps for this thread. What lies in it is what create made or the
/// last use left; in fresh memory, zeros. The slab grows by a chunk when nothing is free, and only when every slot that may
/// be is out the call fails.
///
/// Parameters:
/// - slab: borrowed.
/// - out: written only on success, else NULL; the caller's alone until it is put.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_CALLBACK_FAILED (create failed), OSTLER_E_INVALID_ARGUMENT,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: now and then as long as create, or the kernel with a chunk, takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_get(slab: *mut ostler_slab, out: *mut *mut c_void) -> ostler_status {
    if !out.is_null()
        && let Some(slab) = seated::<_, Slab>(slab)
        && let Some(slot) = Slab::get_at_hand(&slab)
    {
        // SAFETY: as the header asks.
        unsafe { out.write(slot.cast()) };
        return OSTLER_OK;
    }
    get_guarded(slab, out)
}

/// The way of a call that may have to look for a slot, or to make one.
#[cold]
#[inline(never)]
extern "C" fn get_guarded(slab: *mut ostler_slab, out: *mut *mut c_void) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = slab.get(slab.record())?.cast();
        Ok(())
    })
}

/// Puts a slot back, whichever thread got it. A second put of a slot that nobody got meanwhile is told, and so is what is
/// no slot of this slab; both change nothing. Only when two threads put one slot in the same moment may both be answered
/// OSTLER_OK; with checked set, never.
///
/// Parameters:
/// - slab: borrowed, also when it was destroyed.
/// - slot: owned; from this slab, and no longer the caller's.
///
/// Returns: OSTLER_OK, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER (no slot begins there, or it was never got),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slot NULL is OSTLER_E_FOREIGN_POINTER.
/// Blocking: as long as reset takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_put(slab: *mut ostler_slab, slot: *mut c_void) -> ostler_status {
    if seated::<_, Slab>(slab).and_then(|slab| Slab::put_at_hand(&slab, slot.cast())).is_some() {
        return OSTLER_OK;
    }
    put_guarded(slab, slot)
}

/// The way of a call that may have to clean a slot, to make room, or to say what is wrong.
#[cold]
#[inline(never)]
extern "C" fn put_guarded(slab: *mut ostler_slab, slot: *mut c_void) -> ostler_status {
    with_child(slab, |slab: &Pin<Slab>| Ok(slab.put(slab.record(), slot.cast())?))
}

/// Gets many slots at once, or none.
///
/// Parameters:
/// - slab: borrowed.
/// - count: how many; 0 does nothing; at most 1048576.
/// - slots: written; an array of count slots on success, else of NULLs.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_CALLBACK_FAILED (create failed), OSTLER_E_INVALID_ARGUMENT,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slots (unless count is 0) must not be NULL.
/// Blocking: now and then as long as create, or the kernel with a chunk, takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_get_n(
    slab: *mut ostler_slab,
    count: u32,
    slots: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear_array(slots, count) };
    with(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let Some(slots) = (unsafe { array_out("slots", slots, count)? }) else { return Ok(()) };
        Ok(slab.get_n(slab.record(), slots)?)
    })
}

/// Puts many slots back. Those that can be put are, also when another one cannot.
///
/// Parameters:
/// - slab: borrowed, also when it was destroyed.
/// - slots: borrowed during the call; an array of count slots from this slab, none of them twice.
/// - count: how many; 0 does nothing; at most 1048576.
/// - put: written; how many were put, also after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER (both of the first that cannot be put, which the
/// message names), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slots (unless count is 0) must not be NULL; put may be NULL.
/// Blocking: as long as reset takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_put_n(
    slab: *mut ostler_slab,
    slots: *const *mut c_void,
    count: u32,
    put: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(put, 0) };
    with_child(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let Some(slots) = (unsafe { array_in("slots", slots, count)? }) else { return Ok(()) };
        let (done, result) = slab.put_n(slab.record(), slots);
        // SAFETY: as the header asks.
        unsafe { clear(put, done) };
        Ok(result?)
    })
}
