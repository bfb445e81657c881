//! Slots that are out: where, for how long, and who got them.

use super::ostler_slab;
use crate::abi::arguments::{clear, null, optional_output, output, print};
use crate::abi::guard::with;
use crate::abi::status::ostler_status;
use crate::base::handles::Pin;
use crate::memory::slab::{LiveSlot, Slab};
use std::ffi::{c_char, c_void};

/// A slot that is out.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_slab_live {
    pub slot: *mut c_void,
    /// Nanoseconds since it was got, when tracing remembered it then; else since the slab's live slots were first listed or printed
    /// with it among them, and 0 that time.
    pub held_ns: u64,
    /// The thread that got it, as gettid has it; 0 when tracing did not remember it.
    pub thread_id: u32,
    /// The number of the call stack that got it; 0 when tracing did not remember it.
    pub call_site: u32,
}

/// Lists the slots that are out, in the order of their addresses.
///
/// Parameters:
/// - slab: borrowed.
/// - slots: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
/// - capacity: its elements; 0 only counts.
/// - count: written; how many slots are out, which may be more than capacity; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each slot was out at some moment of the call; nobody is held up.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slots may be NULL when capacity is 0; count must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_list_live(
    slab: *mut ostler_slab,
    slots: *mut ostler_slab_live,
    capacity: u64,
    count: *mut u64,
) -> ostler_status {
    let none = ostler_slab_live { slot: std::ptr::null_mut(), held_ns: 0, thread_id: 0, call_site: 0 };
    // SAFETY: as the header asks.
    unsafe {
        clear(count, 0);
        if capacity > 0 {
            clear(slots, none);
        }
    }
    with(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let count = unsafe { output("count", count, 0)? };
        if slots.is_null() && capacity > 0 {
            return Err(null("slots"));
        }
        for live in slab.live() {
            if *count < capacity {
                // SAFETY: as the header asks, and there are `capacity` places.
                unsafe { slots.add(*count as usize).write(live_slot(&live)) };
            }
            *count += 1;
        }
        Ok(())
    })
}

fn live_slot(live: &LiveSlot) -> ostler_slab_live {
    ostler_slab_live {
        slot: live.slot.cast(),
        held_ns: live.held_ns,
        thread_id: live.thread,
        call_site: live.site.number(),
    }
}

/// Writes the slots that are out as a table for people: each with its address, for how long, the thread, and the call stack
/// that got it, where tracing remembered it.
///
/// Parameters:
/// - slab: borrowed.
/// - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
/// - buffer_bytes: its size; 0 writes nothing.
/// - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each slot was out at some moment of the call; nobody is held up.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_print_live(
    slab: *mut ostler_slab,
    buffer: *mut c_char,
    buffer_bytes: u64,
    needed_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    let needed = unsafe { optional_output(needed_bytes, 0) };
    if buffer_bytes > 0 {
        // SAFETY: as the header asks.
        unsafe { clear(buffer, 0) };
    }
    with(slab, |slab: &Pin<Slab>| {
        let table = || slab.live().map(|live| format!("{live}\n")).collect();
        // SAFETY: as the header asks.
        unsafe { print(table, buffer, buffer_bytes, needed) }
    })
}
