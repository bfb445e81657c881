//! Block: a block of a heap that is reached through a handle, so that it can be moved while nobody has it pinned.
//!
//! An address that was given out cannot change, so a heap that has many of them stays as scattered as it is. What is
//! reached through a handle is pinned while it is used, and can be moved otherwise.

use super::arguments::{clear, output};
use super::guard::{with, with_child};
use super::heap::ostler_heap;
use super::status::ostler_status;
use super::structs::{prepare, versioned, zeroed};
use crate::base::handles::Pin;
use crate::memory::heap::{Heap, MovableBlock};
use std::ffi::c_void;

/// Names a movable block. A value of 0 is never a block.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_block {
    pub value: u64,
}

const NO_BLOCK: ostler_block = ostler_block { value: 0 };

/// What a movable block is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_block_info {
    /// sizeof(ostler_block_info), set by the caller.
    pub struct_size: u32,
    /// How often it is pinned now.
    pub pins: u32,
    /// Bytes that were asked for.
    pub requested_bytes: u64,
    /// Bytes that it takes.
    pub used_bytes: u64,
}

/// What a compaction did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_heap_compaction {
    /// sizeof(ostler_heap_compaction), set by the caller.
    pub struct_size: u32,
    /// Before it: of the free bytes, how many millionths did not lie in the largest gap of their chunk.
    pub fragmentation_before_ppm: u32,
    /// The same after it.
    pub fragmentation_after_ppm: u32,
    /// 0.
    pub reserved: u32,
    /// Blocks that were moved; one may be moved twice.
    pub moved_blocks: u64,
    /// Their bytes.
    pub moved_bytes: u64,
    /// Bytes given back to the system, for which nobody is charged any more: chunks, and whole pages of others.
    pub returned_bytes: u64,
    /// Chunks given back.
    pub returned_chunks: u64,
}

versioned!(ostler_block_info, ostler_heap_compaction);

/// Allocates a block that can be moved while nobody has it pinned. It takes at least 112 bytes.
///
/// Parameters:
/// - heap: borrowed.
/// - size_bytes: 0 gives a block, too.
/// - align_bytes: a power of two of at most 2 MiB, wherever the block is moved to; 0: 16.
/// - out: written only on success, else 0; ends with ostler_heap_free_block, or with the heap.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_PAGES_UNAVAILABLE,
/// OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_alloc_block(
    heap: *mut ostler_heap,
    size_bytes: u64,
    align_bytes: u64,
    out: *mut ostler_block,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, NO_BLOCK) };
    with(heap, |heap: &Pin<Heap>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, NO_BLOCK)? };
        *out = ostler_block { value: heap.alloc_block(size_bytes, align_bytes)?.0 };
        Ok(())
    })
}

/// Pins a block: until it was unpinned as often as it was pinned it lies at one address.
///
/// Parameters:
/// - heap: borrowed.
/// - block: stays valid.
/// - address: written only on success, else NULL; valid until the last unpin.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BLOCK, OSTLER_E_LIMIT (16777213 pins), OSTLER_E_INVALID_ARGUMENT,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; address must not be NULL.
/// Blocking: as long as a compaction of its chunk takes, if one is about to move it; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_pin(
    heap: *mut ostler_heap,
    block: ostler_block,
    address: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(address, std::ptr::null_mut()) };
    with(heap, |heap: &Pin<Heap>| {
        // SAFETY: as the header asks.
        let address = unsafe { output("address", address, std::ptr::null_mut())? };
        *address = heap.pin(MovableBlock(block.value))?.cast();
        Ok(())
    })
}

/// Ends one pin of a block. The last one of a destroyed heap gives its memory back.
///
/// Parameters:
/// - heap: borrowed, also when it was destroyed.
/// - block: stays valid.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BLOCK, OSTLER_E_INVALID_ARGUMENT (it is not pinned), OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe; any thread may unpin.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_unpin(heap: *mut ostler_heap, block: ostler_block) -> ostler_status {
    with_child(heap, |heap: &Pin<Heap>| Ok(heap.unpin(MovableBlock(block.value))?))
}

/// Gives a block that nobody has pinned another size. What it held stays, as far as it fits. After a failure the block is
/// as it was.
///
/// Parameters:
/// - heap: borrowed.
/// - block: stays valid.
/// - size_bytes: 0 leaves a block, too.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BLOCK, OSTLER_E_BUSY (it is pinned), OSTLER_E_OVERRUN, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_MEMORY_PRESSURE,
/// OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: as long as it takes to copy, now and then as long as the kernel takes to map a chunk; may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_resize_block(
    heap: *mut ostler_heap,
    block: ostler_block,
    size_bytes: u64,
) -> ostler_status {
    with(heap, |heap: &Pin<Heap>| Ok(heap.resize_block(MovableBlock(block.value), size_bytes)?))
}

/// Gives a block back that nobody has pinned.
///
/// Parameters:
/// - heap: borrowed, also when it is closed.
/// - block: consumed.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BLOCK, OSTLER_E_BUSY (it is pinned), OSTLER_E_OVERRUN, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: now and then as long as the kernel takes to give a large chunk back; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_free_block(heap: *mut ostler_heap, block: ostler_block) -> ostler_status {
    with_child(heap, |heap: &Pin<Heap>| Ok(heap.free_block(MovableBlock(block.value))?))
}

/// Tells how large a block is, and how often it is pinned.
///
/// Parameters:
/// - heap: borrowed, also when it is closed.
/// - block: stays valid.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_BLOCK, OSTLER_E_OVERRUN, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_get_block_info(
    heap: *mut ostler_heap,
    block: ostler_block,
    out: *mut ostler_block_info,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with_child(heap, |heap: &Pin<Heap>| {
        let out = out?;
        let info = heap.block_info(MovableBlock(block.value))?;
        out.fill(&ostler_block_info {
            pins: info.pins as u32,
            requested_bytes: info.requested_bytes,
            used_bytes: info.used_bytes,
            ..zeroed()
        });
        Ok(())
    })
}

/// Slides movable blocks that nobody has pinned together, moves those of the emptiest chunks into others, and gives what
/// is then free in whole chunks and pages back to the system; while another thread maps memory for the heap, pages may
/// stay. The governor does the same when memory runs short. Blocks that are pinned, or were given out by their address,
/// stay where they are.
///
/// Parameters:
/// - heap: borrowed.
/// - most_bytes: moves at most so many bytes; 0: as many as it takes.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: holds up other calls for as long as one chunk at a time takes; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_compact(
    heap: *mut ostler_heap,
    most_bytes: u64,
    out: *mut ostler_heap_compaction,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(heap, |heap: &Pin<Heap>| {
        let out = out?;
        let done = heap.compact(most_bytes)?;
        out.fill(&ostler_heap_compaction {
            fragmentation_before_ppm: done.fragmentation_before,
            fragmentation_after_ppm: done.fragmentation_after,
            moved_blocks: done.moved_blocks,
            moved_bytes: done.moved_bytes,
            returned_bytes: done.returned_bytes,
            returned_chunks: done.returned_chunks,
            ..zeroed()
        });
        Ok(())
    })
}
