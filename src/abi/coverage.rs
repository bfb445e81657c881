//! Coverage: how much of some memory still is what its receipts told, as numbers to watch, and its repair. The kernel
//! splits huge pages and moves pages between nodes while a program runs.

use super::arena::ostler_arena;
use super::buffers::ostler_buffers;
use super::guard::{guard, with};
use super::heap::ostler_heap;
use super::slab::ostler_slab;
use super::status::ostler_status;
use super::structs::{prepare, versioned, zeroed};
use crate::base::handles::{Handled, Pin};
use crate::memory::arena::Arena;
use crate::memory::buffers::Buffers;
use crate::memory::coverage::{Coverage, Repair, Seen};
use crate::memory::governor::rounds;
use crate::memory::heap::Heap;
use crate::memory::inspection::Inspect;
use crate::memory::slab::Slab;

/// What of some memory is where, in pages of which size, summed over all chunks.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_coverage {
    /// sizeof(ostler_coverage), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Bytes of address space.
    pub mapped_bytes: u64,
    /// Bytes that have memory behind them now.
    pub resident_bytes: u64,
    /// Resident bytes in huge pages, transparent or explicit.
    pub huge_bytes: u64,
    /// Resident bytes in base pages although larger ones were asked for.
    pub small_bytes: u64,
    /// Resident bytes on nodes that the node policy does not stand for.
    pub remote_bytes: u64,
    /// Mapped bytes of chunks of which the kernel does not tell.
    pub unverified_bytes: u64,
    /// Resident bytes for which huge pages were asked; small_bytes is what is missing of them.
    pub wanted_huge_bytes: u64,
}

/// What a repair found and what it left.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_repair {
    /// sizeof(ostler_repair), set by the caller.
    pub struct_size: u32,
    /// OSTLER_LIMIT_...: what stood in the way of the first thing that could not be repaired.
    pub limit: u32,
    /// What the system call said; 0 when it did not come to one.
    pub os_errno: i32,
    /// 0.
    pub reserved: u32,
    /// As in ostler_coverage.
    pub small_bytes_before: u64,
    /// As in ostler_coverage.
    pub small_bytes_after: u64,
    /// As in ostler_coverage.
    pub remote_bytes_before: u64,
    /// As in ostler_coverage.
    pub remote_bytes_after: u64,
}

/// What the last look at the memory of an account saw: one by the governor's thread, or one that was asked for. Memory
/// that came or went since is not told of.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_seen {
    /// How long ago that look began, of several accounts the longest; one by the governor's thread at a large object goes
    /// on over many ticks. UINT64_MAX: nobody looked yet, and all else is 0.
    pub age_ns: u64,
    /// As in ostler_coverage.
    pub mapped_bytes: u64,
    /// As in ostler_coverage.
    pub resident_bytes: u64,
    /// As in ostler_coverage.
    pub wanted_huge_bytes: u64,
    /// As in ostler_coverage.
    pub huge_bytes: u64,
    /// As in ostler_coverage.
    pub small_bytes: u64,
    /// As in ostler_coverage.
    pub remote_bytes: u64,
    /// As in ostler_coverage.
    pub unverified_bytes: u64,
}

versioned!(ostler_coverage, ostler_repair);

impl ostler_seen {
    pub const NOTHING: Self = Self {
        age_ns: u64::MAX,
        mapped_bytes: 0,
        resident_bytes: 0,
        wanted_huge_bytes: 0,
        huge_bytes: 0,
        small_bytes: 0,
        remote_bytes: 0,
        unverified_bytes: 0,
    };
}

impl From<Option<Seen>> for ostler_seen {
    fn from(seen: Option<Seen>) -> Self {
        let Some(seen) = seen else { return Self::NOTHING };
        let coverage = &seen.coverage;
        Self {
            age_ns: seen.age_ns(),
            mapped_bytes: coverage.mapped_bytes,
            resident_bytes: coverage.resident_bytes,
            wanted_huge_bytes: coverage.wanted_huge_bytes,
            huge_bytes: coverage.huge_bytes,
            small_bytes: coverage.small_bytes,
            remote_bytes: coverage.remote_bytes,
            unverified_bytes: coverage.unverified_bytes,
        }
    }
}

impl From<Coverage> for ostler_coverage {
    fn from(coverage: Coverage) -> Self {
        Self {
            mapped_bytes: coverage.mapped_bytes,
            resident_bytes: coverage.resident_bytes,
            huge_bytes: coverage.huge_bytes,
            small_bytes: coverage.small_bytes,
            remote_bytes: coverage.remote_bytes,
            unverified_bytes: coverage.unverified_bytes,
            wanted_huge_bytes: coverage.wanted_huge_bytes,
            ..zeroed()
        }
    }
}

impl From<Repair> for ostler_repair {
    fn from(repair: Repair) -> Self {
        Self {
            limit: repair.limit as u32,
            os_errno: repair.errno,
            small_bytes_before: repair.before.small_bytes,
            small_bytes_after: repair.after.small_bytes,
            remote_bytes_before: repair.before.remote_bytes,
            remote_bytes_after: repair.after.remote_bytes,
            ..zeroed()
        }
    }
}

/// # Safety
/// `out` is as the header asks.
unsafe fn get_coverage<H, T: Handled + Inspect>(object: *mut H, out: *mut ostler_coverage) -> ostler_status {
    // SAFETY: the caller's promise.
    let out = unsafe { prepare("out", out) };
    with(object, |object: &Pin<T>| {
        let out = out?;
        out.fill(&object.coverage()?.into());
        Ok(())
    })
}

/// # Safety
/// `out` is as the header asks.
unsafe fn repair<H, T: Handled + Inspect>(object: *mut H, out: *mut ostler_repair) -> ostler_status {
    // SAFETY: the caller's promise.
    let out = unsafe { prepare("out", out) };
    with(object, |object: &Pin<T>| {
        let out = out?;
        out.fill(&object.repair()?.into());
        Ok(())
    })
}

/// Tells how much of an arena's memory is in huge pages, and how much is on other nodes than it should be. Asks the
/// kernel anew each time: some microseconds for each chunk of huge pages. What was seen stays in the stats of the arena's
/// account, see ostler_seen. Memory that the host lent is not looked at.
///
/// Parameters:
/// - arena: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_get_coverage(
    arena: *mut ostler_arena,
    out: *mut ostler_coverage,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { get_coverage::<_, Arena>(arena, out) }
}

/// Brings an arena's pages back to what they were: moves those on other nodes home, and puts base pages together to huge
/// ones, which makes all of each huge page resident. The memory can be used meanwhile, and its contents stay. What could
/// not be repaired is told, and no error.
///
/// Parameters:
/// - arena: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_repair(arena: *mut ostler_arena, out: *mut ostler_repair) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { repair::<_, Arena>(arena, out) }
}

/// Tells how much of the memory of a heap is in huge pages, and how much is on other nodes than it should be, as
/// ostler_arena_get_coverage does. Where a compaction gave pages back, the huge pages that these were part of are small
/// ones now.
///
/// Parameters:
/// - heap: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_get_coverage(heap: *mut ostler_heap, out: *mut ostler_coverage) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { get_coverage::<_, Heap>(heap, out) }
}

/// Brings the pages of a heap back to what they were, as ostler_arena_repair does. Huge pages of which a compaction gave a part back
/// stay as they are, and a compaction waits while those of a chunk are put together.
///
/// Parameters:
/// - heap: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_repair(heap: *mut ostler_heap, out: *mut ostler_repair) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { repair::<_, Heap>(heap, out) }
}

/// Tells how much of the memory of a slab is in huge pages, and how much is on other nodes than it should be, as
/// ostler_arena_get_coverage does.
///
/// Parameters:
/// - slab: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_get_coverage(slab: *mut ostler_slab, out: *mut ostler_coverage) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { get_coverage::<_, Slab>(slab, out) }
}

/// Brings the pages of a slab back to what they were, as ostler_arena_repair does. A chunk that a trim takes away meanwhile
/// goes when it is repaired.
///
/// Parameters:
/// - slab: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_repair(slab: *mut ostler_slab, out: *mut ostler_repair) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { repair::<_, Slab>(slab, out) }
}

/// Tells how much of the memory of a set of buffers is in huge pages, and how much is on other nodes than it should be, as
/// ostler_arena_get_coverage does.
///
/// Parameters:
/// - buffers: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_get_coverage(
    buffers: *mut ostler_buffers,
    out: *mut ostler_coverage,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { get_coverage::<_, Buffers>(buffers, out) }
}

/// Brings the pages of a set of buffers back to what they were, as ostler_arena_repair does.
///
/// Parameters:
/// - buffers: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_repair(buffers: *mut ostler_buffers, out: *mut ostler_repair) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { repair::<_, Buffers>(buffers, out) }
}

/// Looks at the memory of all arenas, heaps, slabs and sets of buffers, each as its own call does, and tells the sum. What
/// was seen of each stays in the stats of its account.
///
/// Parameters:
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY (what could be looked at was), OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Nobody is held up, but for a destroy of the object that is looked at.
/// NULL: out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_get_coverage(out: *mut ostler_coverage) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { prepare("out", out)? };
        out.fill(&rounds::look_at_all()?.into());
        Ok(())
    })
}

/// Brings the pages of all arenas, heaps, slabs and sets of buffers back to what they were, each as its own call does.
///
/// Parameters:
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0: sums, and what stood in the
///   way first.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY (what could be repaired was), OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Nobody is held up, but for a destroy of the object that is repaired.
/// NULL: out must not be NULL.
/// Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
/// callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_repair(out: *mut ostler_repair) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { prepare("out", out)? };
        out.fill(&rounds::repair_all()?.into());
        Ok(())
    })
}
