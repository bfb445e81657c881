//! Magazine: one thread's stack of free slots of a slab, from which it gets, and to which it puts, inline and without a
//! call; see ostler_inline.h. What lies in a magazine is free for everybody: when a slab has nothing else left, it is taken
//! back.

use super::arguments::{array_in, array_out, clear, clear_array, output};
use super::guard::{guard, with, with_child};
use super::slab::ostler_slab;
use super::status::{Failure, OSTLER_OK, ostler_status};
use crate::base::handles::Pin;
use crate::memory::slab::Slab;
use crate::memory::slab::magazine::{self, MOST_ITEMS, Magazine};
use crate::memory::slab::rack::Place;
use std::ffi::c_void;
use std::mem::offset_of;

/// The layout that ostler_inline.h of this version knows. In a newer library of another layout it finds its own floor above
/// every top and its own ceiling at 0, and calls the library.
pub const OSTLER_MAGAZINE_LAYOUT: u32 = 2;

/// Most slots that a magazine holds.
pub const OSTLER_MAGAZINE_SLOTS_MAX: u32 = 128;

/// One thread's stack of free slots, made by ostler_magazine_open. The fields are for ostler_inline.h; programs use its
/// functions, or ostler_magazine_get and ostler_magazine_put.
#[repr(C)]
pub struct ostler_magazine {
    /// OSTLER_MAGAZINE_LAYOUT of the library; 0 when it is closed.
    pub layout: u32,
    /// How far a quotient is rotated.
    pub shift: u32,
    /// How many slots are in it; the last is got first. Inline code of every layout may lower it and put it back.
    pub top: i64,
    /// The top may not fall below; higher than any when the library wants to be called.
    pub floor: i64,
    /// The top may not rise above; 0 when the library wants to be called.
    pub ceiling: i64,
    /// Where the first slot of the slab is.
    pub base: u64,
    /// Of the odd part of the slot size, modulo 2^64.
    pub inverse: u64,
    /// A byte for each slot: 2 and more while it is out, 1 while it is free.
    pub states: *mut u8,
    /// How many slots there may be.
    pub slots: u64,
    /// How far slots lie from each other.
    pub stride: u64,
    /// Where inline code of the next layout finds its floor: higher than any top.
    pub next_floor: i64,
    /// Where inline code of the next layout finds its ceiling: 0.
    pub next_ceiling: i64,
    /// The library's own.
    pub private_words: [u64; 13],
    /// The slots in it, and above the top those that were there last.
    pub items: [*mut c_void; 128],
    /// The state of each of the items.
    pub item_states: [*mut u8; 128],
}

const _: () = assert!(
    size_of::<ostler_magazine>() == size_of::<Magazine>()
        && size_of::<ostler_magazine>() == 3 * 64 + 2 * 128 * 8
        && offset_of!(ostler_magazine, layout) == 0
        && offset_of!(ostler_magazine, shift) == 4
        && offset_of!(ostler_magazine, top) == 8
        && offset_of!(ostler_magazine, floor) == 16
        && offset_of!(ostler_magazine, ceiling) == 24
        && offset_of!(ostler_magazine, base) == 32
        && offset_of!(ostler_magazine, inverse) == 40
        && offset_of!(ostler_magazine, states) == 48
        && offset_of!(ostler_magazine, slots) == 56
        && offset_of!(ostler_magazine, stride) == 64
        && offset_of!(ostler_magazine, next_floor) == 72
        && offset_of!(ostler_magazine, next_ceiling) == 80
        && offset_of!(ostler_magazine, items) == 192
        && offset_of!(ostler_magazine, item_states) == 192 + 128 * 8
        && magazine::ITEMS_OFFSET == 192
        && magazine::ITEM_STATES_OFFSET == 192 + 128 * 8
        && OSTLER_MAGAZINE_SLOTS_MAX == MOST_ITEMS
        && OSTLER_MAGAZINE_LAYOUT == magazine::LAYOUT
);

/// Opens a magazine, empty, for one thread, fiber or goroutine at a time.
///
/// Parameters:
/// - slab: borrowed.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_magazine_close.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_magazine_open(slab: *mut ostler_slab, out: *mut *mut ostler_magazine) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(slab, |slab: &Pin<Slab>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = slab.open_magazine()?.cast();
        Ok(())
    })
}

/// Gets a slot through a magazine, as ostler_slab_get does. Does the same as ostler_magazine_get_inline, which calls it when
/// the magazine is empty.
///
/// Parameters:
/// - magazine: borrowed.
/// - out: written only on success, else NULL; the caller's alone until it is put.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_CALLBACK_FAILED (create failed), OSTLER_E_INVALID_ARGUMENT,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a magazine.
/// NULL: magazine NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: now and then as long as create, or the kernel with a chunk, takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_magazine_get(magazine: *mut ostler_magazine, out: *mut *mut c_void) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with_slab_of(magazine, |slab, place| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = slab.get_through(Some(place.magazine()))?.cast();
        Ok(())
    })
}

/// Puts a slot through a magazine, whichever thread got it, as ostler_slab_put does. Does the same as
/// ostler_magazine_put_inline, which calls it when the magazine is full.
///
/// Parameters:
/// - magazine: borrowed, also when its slab was destroyed.
/// - slot: owned; from the same slab, and no longer the caller's.
///
/// Returns: OSTLER_OK, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER (no slot begins there, or it was never got),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a magazine.
/// NULL: magazine NULL is OSTLER_E_INVALID_HANDLE; slot NULL is OSTLER_E_FOREIGN_POINTER.
/// Blocking: as long as reset takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_magazine_put(magazine: *mut ostler_magazine, slot: *mut c_void) -> ostler_status {
    with_slab_of(magazine, |slab, place| Ok(slab.put_through(Some(place.magazine()), slot.cast())?))
}

/// Gets many slots through a magazine at once, or none. Does the same as ostler_magazine_get_n_inline.
///
/// Parameters:
/// - magazine: borrowed.
/// - count: how many; 0 does nothing; at most 1048576.
/// - slots: written; an array of count slots on success, else of NULLs.
///
/// Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_CALLBACK_FAILED (create failed), OSTLER_E_INVALID_ARGUMENT,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a magazine.
/// NULL: magazine NULL is OSTLER_E_INVALID_HANDLE; slots (unless count is 0) must not be NULL.
/// Blocking: now and then as long as create, or the kernel with a chunk, takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_magazine_get_n(
    magazine: *mut ostler_magazine,
    count: u32,
    slots: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear_array(slots, count) };
    with_slab_of(magazine, |slab, place| {
        // SAFETY: as the header asks.
        let Some(slots) = (unsafe { array_out("slots", slots, count)? }) else { return Ok(()) };
        Ok(slab.get_n_through(Some(place.magazine()), slots)?)
    })
}

/// Puts many slots through a magazine. Those that can be put are, also when another one cannot. Does the same as
/// ostler_magazine_put_n_inline.
///
/// Parameters:
/// - magazine: borrowed, also when its slab was destroyed.
/// - slots: borrowed during the call; an array of count slots from the same slab, none of them twice.
/// - count: how many; 0 does nothing; at most 1048576.
/// - put: written; how many were put, also after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER (both of the first that cannot be put, which the
/// message names), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a magazine.
/// NULL: magazine NULL is OSTLER_E_INVALID_HANDLE; slots (unless count is 0) must not be NULL; put may be NULL.
/// Blocking: as long as reset takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_magazine_put_n(
    magazine: *mut ostler_magazine,
    slots: *const *mut c_void,
    count: u32,
    put: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(put, 0) };
    with_slab_of(magazine, |slab, place| {
        // SAFETY: as the header asks.
        let Some(slots) = (unsafe { array_in("slots", slots, count)? }) else { return Ok(()) };
        let (done, result) = slab.put_n_through(Some(place.magazine()), slots);
        // SAFETY: as the header asks.
        unsafe { clear(put, done) };
        Ok(result?)
    })
}

/// Closes a magazine. What is in it stays free. Closing the last magazine of a destroyed slab, when no slot is out, gives
/// the slab's memory back.
///
/// Parameters:
/// - magazine: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: no other thread may use the magazine meanwhile; any thread may close it.
/// NULL: magazine NULL is OSTLER_OK and does nothing.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_magazine_close(magazine: *mut ostler_magazine) -> ostler_status {
    if magazine.is_null() {
        return OSTLER_OK;
    }
    with_slab_of(magazine, |slab, place| Ok(slab.close_magazine(place)?))
}

/// A call on behalf of a magazine, whose slab may be destroyed already.
#[inline]
fn with_slab_of(
    magazine: *mut ostler_magazine,
    body: impl FnOnce(&Pin<Slab>, Place) -> Result<(), Failure>,
) -> ostler_status {
    match Place::find(magazine.cast()) {
        Ok((place, slab)) => with_child(slab as *mut ostler_slab, |slab| body(slab, place)),
        Err(error) => guard(|| Err(error.into())),
    }
}
