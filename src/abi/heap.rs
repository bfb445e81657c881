//! Heap: blocks of any size on the pages and the node asked for, each given back by itself, by any thread.
//!
//! The address of a block never changes; what shall be moved is a block of its own kind, see ostler_heap_alloc_block.
//! Freeing one twice, or an address that the heap did not give out, is found at the call; a checked heap also finds what was
//! written beside a block.

mod many;

pub use many::*;

use super::arguments::{clear, flag, name, null, optional_output, output};
use super::cancel::{given, ostler_cancel};
use super::guard::{destroy, guard, seated, with, with_child};
use super::library::OSTLER_NAME_BYTES;
use super::page_source::{self, ostler_page_source};
use super::status::{
    Failure, OSTLER_E_BUSY, OSTLER_E_CLOSED, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER, OSTLER_E_INVALID_ARGUMENT,
    OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_OVERRUN, OSTLER_E_STALE_BLOCK, OSTLER_OK, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::memory::heap::{Heap, HeapConfig, HeapError, LiveBlock};
use std::ffi::{c_char, c_void};

/// Blocks of any size, allocated and freed one by one by many threads.
pub struct ostler_heap {
    _opaque: [u8; 0],
}

/// How a heap gets its memory, and how closely it looks.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_heap_config {
    /// sizeof(ostler_heap_config).
    pub struct_size: u32,
    /// 1: guards surround each block, and are looked at when it is freed or resized and by ostler_heap_check; each block
    /// remembers where it was asked for; every call takes the heap's lock, and a block costs 32 bytes more. 0: only
    /// addresses are checked.
    pub checked: u32,
    /// 1: the heap maps nothing; it has what ostler_heap_adopt gives it. 0: it maps chunks as it needs them.
    pub adopted_only: u32,
    /// 0.
    pub reserved: u32,
    /// What memory the heap is made of; borrowed while the heap is created; NULL: the defaults of
    /// ostler_page_source_init.
    pub source: *const ostler_page_source,
    /// Bytes mapped at once; 65536 to 64 GiB, rounded up to the page size got; 0: 2 MiB. A larger block gets a
    /// larger chunk, which goes back when nothing lies in it any more, at the latest with the next ostler_heap_trim.
    pub chunk_bytes: u64,
    /// Mapped bytes never exceed this, so chunks may be smaller than chunk_bytes; at least 65536; 0: no limit.
    pub limit_bytes: u64,
    /// Shown in reports and in the kernel's list of mappings.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// What a heap holds and did. used_bytes + cached_bytes + free_bytes + returned_bytes + tag_bytes are all its memory,
/// but for a rest of less than 64 bytes in each chunk.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_heap_stats {
    /// sizeof(ostler_heap_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Chunks, mapped and adopted.
    pub chunks: u64,
    /// Bytes mapped: with returned_bytes left out what the governor is charged for.
    pub mapped_bytes: u64,
    /// The most that mapped_bytes ever was.
    pub peak_mapped_bytes: u64,
    /// Bytes adopted.
    pub adopted_bytes: u64,
    /// Mapped bytes that have memory behind them now.
    pub resident_bytes: u64,
    /// Blocks that are out.
    pub blocks: u64,
    /// Those of them that are reached through a handle.
    pub movable_blocks: u64,
    /// Bytes that were asked for with them.
    pub requested_bytes: u64,
    /// Bytes that they take, rounding and guards included; the difference is waste.
    pub used_bytes: u64,
    /// Bytes that are free, and at hand for one thread.
    pub cached_bytes: u64,
    /// Bytes that are free for all.
    pub free_bytes: u64,
    /// The pieces that those lie in.
    pub free_blocks: u64,
    /// The largest of them.
    pub largest_free_bytes: u64,
    /// Bytes of the tags that say what memory is used for, one for each 16.
    pub tag_bytes: u64,
    /// Allocations that ever succeeded.
    pub allocations: u64,
    /// How often somebody had written to free memory, so that its lists were made anew.
    pub repairs: u64,
    /// Chunks that got smaller pages or another node policy than asked.
    pub step_downs: u64,
    /// Mapped bytes that a compaction gave back page by page: free, with no memory behind them, and charged to nobody until
    /// they are used again.
    pub returned_bytes: u64,
}

versioned!(ostler_heap_config, ostler_heap_stats);

/// A block that is out.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_heap_block {
    /// Where it begins.
    pub address: u64,
    /// Bytes that were asked for.
    pub requested_bytes: u64,
    /// Bytes that it takes.
    pub used_bytes: u64,
    /// Where it was asked for, in a checked heap while tracing is on; else 0.
    pub call_site: u32,
    /// 1: it is reached through a handle, and may be elsewhere soon.
    pub is_movable: u32,
}

const NO_BLOCK: ostler_heap_block =
    ostler_heap_block { address: 0, requested_bytes: 0, used_bytes: 0, call_site: 0, is_movable: 0 };

impl From<LiveBlock> for ostler_heap_block {
    fn from(block: LiveBlock) -> Self {
        Self {
            address: block.address,
            requested_bytes: block.requested_bytes,
            used_bytes: block.used_bytes,
            call_site: block.site.number(),
            is_movable: block.is_movable.into(),
        }
    }
}

impl From<HeapError> for Failure {
    fn from(error: HeapError) -> Self {
        let status = match error {
            HeapError::Source(error) => return error.into(),
            HeapError::Pages(error) => return error.into(),
            HeapError::Wait(end) => return end.into(),
            HeapError::Field(_)
            | HeapError::NotPinned
            | HeapError::AdoptedSize { .. }
            | HeapError::AdoptedTwice { .. } => OSTLER_E_INVALID_ARGUMENT,
            HeapError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
            HeapError::Limit { .. }
            | HeapError::AdoptedFull { .. }
            | HeapError::TooManyPins
            | HeapError::TooManyBlocks => OSTLER_E_LIMIT,
            HeapError::Closed => OSTLER_E_CLOSED,
            HeapError::Foreign { .. } | HeapError::Inside { .. } | HeapError::OfHandle { .. } => {
                OSTLER_E_FOREIGN_POINTER
            }
            HeapError::StaleBlock { .. } => OSTLER_E_STALE_BLOCK,
            HeapError::Pinned { .. } => OSTLER_E_BUSY,
            HeapError::Freed { .. } | HeapError::InFreeMemory { .. } => OSTLER_E_DOUBLE_FREE,
            HeapError::Overrun(_) => OSTLER_E_OVERRUN,
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_heap_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_config_init(config: *mut ostler_heap_config, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// # Safety
/// A non-null `source` is as the header asks.
unsafe fn checked(config: &ostler_heap_config) -> Result<HeapConfig, Failure> {
    Ok(HeapConfig {
        // SAFETY: the caller's promise.
        source: unsafe { page_source::given(config.source)? },
        chunk_bytes: config.chunk_bytes,
        limit_bytes: config.limit_bytes,
        checked: flag("checked", config.checked)?,
        adopted_only: flag("adopted_only", config.adopted_only)?,
        name: name(&config.name)?,
    })
}

/// Makes a heap and maps its first chunk.
///
/// Parameters:
/// - config: borrowed during the call.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_heap_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
/// OSTLER_E_MEMORY_PRESSURE, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; out must not be NULL.
/// Blocking: as long as the kernel takes to map the chunk and bring in its pages; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_create(
    config: *const ostler_heap_config,
    out: *mut *mut ostler_heap,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        let config = if config.is_null() {
            zeroed()
        } else {
            // SAFETY: as the header asks.
            unsafe { read("config", config)? }
        };
        // SAFETY: as the header asks of the source in it.
        let config = unsafe { checked(&config)? };
        let slot = handles::reserve(Kind::Heap)?;
        let heap = Heap::new(slot.owner(), config)?;
        *out = slot.publish(heap) as *mut ostler_heap;
        Ok(())
    })
}

/// Allocates a block. Up to 2048 bytes it mostly is one that this thread has at hand. It holds whatever was there.
///
/// Parameters:
/// - heap: borrowed.
/// - size_bytes: 0 gives an address of its own, too.
/// - align_bytes: a power of two of at most 2 MiB; 0: 16.
/// - out: written only on success, else NULL; ends with ostler_heap_free, or with the heap.
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
pub unsafe extern "C" fn ostler_heap_alloc(
    heap: *mut ostler_heap,
    size_bytes: u64,
    align_bytes: u64,
    out: *mut *mut c_void,
) -> ostler_status {
    if !out.is_null()
        && let Some(block) =
            seated::<_, Heap>(heap).and_then(|heap| Heap::alloc_at_hand(&heap, size_bytes, align_bytes))
    {
        // SAFETY: as the header asks.
        unsafe { clear(out, block.cast()) };
        return OSTLER_OK;
    }
    alloc_guarded(heap, size_bytes, align_bytes, out)
}

/// The way of a call that finds nothing at hand, or has something to tell.
#[cold]
#[inline(never)]
extern "C" fn alloc_guarded(
    heap: *mut ostler_heap,
    size_bytes: u64,
    align_bytes: u64,
    out: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(heap, |heap: &Pin<Heap>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = heap.alloc(heap.record(), size_bytes, align_bytes)?.cast();
        Ok(())
    })
}

/// Gives a block back, on whatever thread. In a checked heap a block that was overrun stays as it is, to be looked at.
///
/// Parameters:
/// - heap: borrowed, also when it is closed.
/// - address: owned; where ostler_heap_alloc or ostler_heap_resize said that the block begins; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_FOREIGN_POINTER, OSTLER_E_DOUBLE_FREE, OSTLER_E_OVERRUN, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Only a checked heap finds one block freed by two threads at the same moment.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; address NULL is OSTLER_OK and does nothing.
/// Blocking: now and then as long as the kernel takes to give a large chunk back; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_free(heap: *mut ostler_heap, address: *mut c_void) -> ostler_status {
    if seated::<_, Heap>(heap).and_then(|heap| Heap::free_at_hand(&heap, address.cast())).is_some() {
        return OSTLER_OK;
    }
    free_guarded(heap, address)
}

/// The way of a block that cannot be kept at hand, or has something to tell.
#[cold]
#[inline(never)]
extern "C" fn free_guarded(heap: *mut ostler_heap, address: *mut c_void) -> ostler_status {
    with_child(heap, |heap: &Pin<Heap>| {
        if address.is_null() {
            return Ok(());
        }
        Ok(heap.free(heap.record(), address.cast())?)
    })
}

/// Gives a block another size: where it is, if what lies behind it is free or it becomes smaller, else elsewhere. What it
/// held stays, as far as it fits. After a failure the block is as it was.
///
/// Parameters:
/// - heap: borrowed.
/// - address: owned; where the block begins; invalid after a success that moved it.
/// - size_bytes: 0 gives an address of its own, too.
/// - align_bytes: a power of two of at most 2 MiB; 0: 16.
/// - out: written only on success, else NULL; where the block begins now.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FOREIGN_POINTER, OSTLER_E_DOUBLE_FREE, OSTLER_E_OVERRUN,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
/// OSTLER_E_MEMORY_PRESSURE, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; address and out must not be NULL.
/// Blocking: as long as it takes to copy, now and then as long as the kernel takes to map a chunk; may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_resize(
    heap: *mut ostler_heap,
    address: *mut c_void,
    size_bytes: u64,
    align_bytes: u64,
    out: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(heap, |heap: &Pin<Heap>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        if address.is_null() {
            return Err(null("address"));
        }
        *out = heap.resize(heap.record(), address.cast(), size_bytes, align_bytes)?.cast();
        Ok(())
    })
}

/// Tells how many bytes a block has room for: at least those that were asked for, and in a checked heap no more.
///
/// Parameters:
/// - heap: borrowed, also when it is closed.
/// - address: borrowed; where the block begins.
/// - out: written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FOREIGN_POINTER, OSTLER_E_DOUBLE_FREE, OSTLER_E_OVERRUN,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; address and out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_get_usable_bytes(
    heap: *mut ostler_heap,
    address: *mut c_void,
    out: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, 0) };
    with_child(heap, |heap: &Pin<Heap>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, 0)? };
        if address.is_null() {
            return Err(null("address"));
        }
        *out = heap.usable_bytes(address.cast())?;
        Ok(())
    })
}

/// Has the heap use memory of the host's, too. It may be any memory that can be read and written; about a 17th of it is for
/// the heap's own tags.
///
/// Parameters:
/// - heap: borrowed.
/// - memory: borrowed until the heap is gone; nobody else uses it meanwhile.
/// - memory_bytes: 4096 to 64 GiB.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; memory must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_adopt(
    heap: *mut ostler_heap,
    memory: *mut c_void,
    memory_bytes: u64,
) -> ostler_status {
    with(heap, |heap: &Pin<Heap>| {
        if memory.is_null() {
            return Err(null("memory"));
        }
        Ok(heap.adopt(memory.cast(), memory_bytes)?)
    })
}

/// Gives chunks back to the system in which nothing lies. What threads have at hand is taken back first. Adopted memory
/// stays.
///
/// Parameters:
/// - heap: borrowed.
/// - keep_bytes: as many mapped bytes are kept; 0 keeps no empty chunk.
/// - returned_bytes: written only on success, else 0: bytes that were given back.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; returned_bytes may be NULL.
/// Blocking: as long as the kernel takes to unmap; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_trim(
    heap: *mut ostler_heap,
    keep_bytes: u64,
    returned_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(returned_bytes, 0) };
    with(heap, |heap: &Pin<Heap>| {
        let returned = heap.trim(keep_bytes)?;
        // SAFETY: as the header asks.
        unsafe { clear(returned_bytes, returned) };
        Ok(())
    })
}

/// Looks at the guards of every block of a checked heap. In another one it looks at nothing.
///
/// Parameters:
/// - heap: borrowed, also when it is closed.
///
/// Returns: OSTLER_OK, OSTLER_E_OVERRUN (the message names the first such block, its size, and where it was written),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: holds up other calls for as long as it takes to look; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_check(heap: *mut ostler_heap) -> ostler_status {
    with_child(heap, |heap: &Pin<Heap>| Ok(heap.check()?))
}

/// Lists the blocks that are out, lowest address first: for a report of what leaked. A long list is read in pieces: each
/// call goes on behind the last address of the one before.
///
/// Parameters:
/// - heap: borrowed, also when it is closed.
/// - behind: only blocks at higher addresses are listed; 0: from the first.
/// - blocks: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
/// - capacity: its elements; 0 only counts.
/// - count: written; how many blocks are out behind that address, which may be more than capacity; 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; blocks may be NULL when capacity is 0; count must not be NULL.
/// Blocking: holds up other calls for as long as it takes to look; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_list_blocks(
    heap: *mut ostler_heap,
    behind: u64,
    blocks: *mut ostler_heap_block,
    capacity: u64,
    count: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(count, 0);
        if capacity > 0 {
            clear(blocks, NO_BLOCK);
        }
    }
    with_child(heap, |heap: &Pin<Heap>| {
        // SAFETY: as the header asks.
        let count = unsafe { output("count", count, 0)? };
        if blocks.is_null() && capacity > 0 {
            return Err(null("blocks"));
        }
        let (listed, total) = heap.blocks_behind(behind, capacity as usize)?;
        for (place, block) in listed.into_iter().enumerate() {
            // SAFETY: at most `capacity` blocks are listed, and there are so many places, as the header asks.
            unsafe { blocks.add(place).write(block.into()) };
        }
        *count = total;
        Ok(())
    })
}

/// Tells what the heap holds and did.
///
/// Parameters:
/// - heap: borrowed, also when it is closed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. While other threads allocate and free, the numbers are of about the same moment.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to tell what is resident; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_get_stats(heap: *mut ostler_heap, out: *mut ostler_heap_stats) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with_child(heap, |heap: &Pin<Heap>| {
        let out = out?;
        let stats = heap.stats()?;
        out.fill(&ostler_heap_stats {
            chunks: stats.chunks,
            mapped_bytes: stats.mapped_bytes,
            peak_mapped_bytes: stats.peak_mapped_bytes,
            adopted_bytes: stats.adopted_bytes,
            resident_bytes: stats.resident_bytes,
            blocks: stats.blocks,
            movable_blocks: stats.movable_blocks,
            requested_bytes: stats.requested_bytes,
            used_bytes: stats.used_bytes,
            cached_bytes: stats.cached_bytes,
            free_bytes: stats.free_bytes,
            free_blocks: stats.free_blocks,
            largest_free_bytes: stats.largest_free_bytes,
            tag_bytes: stats.tag_bytes,
            allocations: stats.allocations,
            repairs: stats.repairs,
            step_downs: stats.step_downs,
            returned_bytes: stats.returned_bytes,
            ..zeroed()
        });
        Ok(())
    })
}

/// Takes no new work, and waits until every block is given back. The heap's memory stays until ostler_heap_destroy.
///
/// Parameters:
/// - heap: borrowed.
/// - timeout_ns: nanoseconds; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait from another thread.
/// - still_out: written; how many blocks are out, also after OSTLER_E_TIMEOUT and OSTLER_E_CANCELLED; else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
/// Blocking: waits as said; OSTLER_E_CLOSED when the heap is destroyed meanwhile with blocks still out.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_close(
    heap: *mut ostler_heap,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    still_out: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(still_out, 0) };
    with(heap, |heap: &Pin<Heap>| {
        // SAFETY: as the header asks.
        let still_out = unsafe { optional_output(still_out, 0) };
        let cancel = given(cancel)?;
        let closed = heap.close(Deadline::after(timeout_ns), cancel.as_deref());
        if let Some(still_out) = still_out {
            *still_out = heap.blocks_out();
        }
        Ok(closed?)
    })
}

/// Destroys a heap with all its blocks. Its memory goes back to the system, or to the host that lent it: at once, or when
/// no movable block is pinned any more.
///
/// Parameters:
/// - heap: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: nobody may use one of its blocks meanwhile; other calls are waited for.
/// NULL: heap NULL is OSTLER_OK and does nothing.
/// Blocking: ends the waits inside, and waits for those calls to return; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_destroy(heap: *mut ostler_heap) -> ostler_status {
    destroy::<_, Heap>(heap)
}
