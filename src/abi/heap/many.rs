//! Many blocks of a heap in one call.

use super::ostler_heap;
use crate::abi::arguments::{array_in, array_out, clear, clear_array};
use crate::abi::guard::{with, with_child};
use crate::abi::status::{Failure, ostler_status};
use crate::base::handles::Pin;
use crate::base::text::Text;
use crate::base::thread::ERROR_BYTES;
use crate::memory::heap::Heap;
use std::ffi::c_void;

/// Allocates many blocks of one size at once, or none.
///
/// Parameters:
/// - heap: borrowed.
/// - size_bytes: of each; 0 gives addresses of their own, too.
/// - align_bytes: a power of two of at most 2 MiB; 0: 16.
/// - count: how many; 0 does nothing; at most 1048576.
/// - addresses: written; an array of count blocks on success, which end as those of ostler_heap_alloc do, else of NULLs.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_PAGES_UNAVAILABLE,
/// OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; addresses (unless count is 0) must not be NULL.
/// Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_alloc_n(
    heap: *mut ostler_heap,
    size_bytes: u64,
    align_bytes: u64,
    count: u32,
    addresses: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear_array(addresses, count) };
    with(heap, |heap: &Pin<Heap>| {
        // SAFETY: as the header asks.
        let Some(addresses) = (unsafe { array_out("addresses", addresses, count)? }) else { return Ok(()) };
        Ok(heap.alloc_n(heap.record(), size_bytes, align_bytes, addresses)?)
    })
}

/// Gives many blocks back, on whatever thread. Those that can be freed are, also when another one cannot.
///
/// Parameters:
/// - heap: borrowed, also when it is closed.
/// - addresses: borrowed during the call; an array of count blocks of this heap, none of them twice; each as for
///   ostler_heap_free, also NULL, which counts as freed.
/// - count: how many; 0 does nothing; at most 1048576.
/// - freed: written; how many were freed, also after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_FOREIGN_POINTER, OSTLER_E_DOUBLE_FREE, OSTLER_E_OVERRUN (these of the first that cannot
/// be freed, which the message names by its place in the array), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Only a checked heap finds one block freed by two threads at the same moment.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; addresses (unless count is 0) must not be NULL; freed may be NULL.
/// Blocking: now and then as long as the kernel takes to give large chunks back; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_free_n(
    heap: *mut ostler_heap,
    addresses: *const *mut c_void,
    count: u32,
    freed: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(freed, 0) };
    with_child(heap, |heap: &Pin<Heap>| {
        // SAFETY: as the header asks.
        let Some(addresses) = (unsafe { array_in("addresses", addresses, count)? }) else { return Ok(()) };
        let (done, result) = heap.free_n(heap.record(), addresses);
        // SAFETY: as the header asks.
        unsafe { clear(freed, done) };
        result.map_err(|(place, error)| {
            let words = Text::<ERROR_BYTES>::format(format_args!("addresses[{place}]: {error}"));
            Failure::new(Failure::from(error).status(), format_args!("{words}"))
        })
    })
}
