//! Receipt: what each chunk of an arena, heap, slab or set of buffers asked for, what it got, and why, checked against the
//! kernel.

use super::arena::ostler_arena;
use super::arguments::{clear, optional_output, print};
use super::buffers::ostler_buffers;
use super::guard::with;
use super::heap::ostler_heap;
use super::page_source::OSTLER_SET_WORDS;
use super::slab::ostler_slab;
use super::status::{Failure, OSTLER_E_INVALID_ARGUMENT, ostler_status};
use super::structs::{prepare, versioned, zeroed};
use crate::base::handles::{Handled, Pin};
use crate::memory::arena::Arena;
use crate::memory::buffers::Buffers;
use crate::memory::heap::Heap;
use crate::memory::inspection::{Inspect, InspectionError};
use crate::memory::pages::{Limit, MAX_STEPS, Options};
use crate::memory::placing::PlacedBy;
use crate::memory::policy::NodePolicy;
use crate::memory::receipt::{Receipt, Table};
use crate::memory::residency::Method;
use crate::memory::slab::Slab;
use std::ffi::c_char;

/// Nothing stood in the way.
pub const OSTLER_LIMIT_NONE: u32 = 0;
/// The pool of huge pages is short (nr_hugepages), on the machine or on the node.
pub const OSTLER_LIMIT_HUGE_PAGE_POOL: u32 = 1;
/// The control group allows no more huge pages (a hugetlb limit).
pub const OSTLER_LIMIT_HUGETLB_CGROUP: u32 = 2;
/// The control group has too little memory left; going on would have ended in an out-of-memory kill.
pub const OSTLER_LIMIT_MEMORY_CGROUP: u32 = 3;
/// The node or the machine has too little free memory, or no free block of that size.
pub const OSTLER_LIMIT_NODE_MEMORY: u32 = 4;
/// The kernel or a sandbox refused the memory policy (mbind, set_mempolicy): EINVAL when there is no such node.
pub const OSTLER_LIMIT_POLICY_REFUSED: u32 = 5;
/// Transparent huge pages are switched off, for the machine or this process.
pub const OSTLER_LIMIT_THP_DISABLED: u32 = 6;
/// Address space is short: RLIMIT_AS, vm.max_map_count, or overcommit.
pub const OSTLER_LIMIT_ADDRESS_SPACE: u32 = 7;
/// This kernel has no pages of that size.
pub const OSTLER_LIMIT_PAGE_SIZE_UNKNOWN: u32 = 8;
/// The chunk is smaller than such a page.
pub const OSTLER_LIMIT_CHUNK_TOO_SMALL: u32 = 9;
/// The kernel is too old for that: before Linux 5.15 it prefers one node, not several.
pub const OSTLER_LIMIT_KERNEL_TOO_OLD: u32 = 10;
/// So much memory may not be locked (RLIMIT_MEMLOCK).
pub const OSTLER_LIMIT_LOCKED_MEMORY: u32 = 11;
/// No node with memory that this process may use is known to be the one.
pub const OSTLER_LIMIT_NODE_UNKNOWN: u32 = 12;
/// The kernel or a sandbox refused to keep the memory out of forks or core dumps.
pub const OSTLER_LIMIT_OPTION_REFUSED: u32 = 13;
/// No CPU of the node may be used: it has none, or a cpuset leaves them out. So nothing can be touched there first.
pub const OSTLER_LIMIT_NO_CPU: u32 = 14;
/// No thread could be run on a CPU of the node: sched_setaffinity was refused, or a limit on threads (EAGAIN).
pub const OSTLER_LIMIT_THREAD_REFUSED: u32 = 15;
/// The kernel does not tell where all of it is.
pub const OSTLER_LIMIT_NOT_VERIFIED: u32 = 16;
/// The limit of ostler_governor_configure leaves no room, or memory is critically short. Only in an advice: a request is
/// answered with OSTLER_E_MEMORY_PRESSURE.
pub const OSTLER_LIMIT_GOVERNOR: u32 = 17;

const _: () = assert!(
    OSTLER_LIMIT_NONE == Limit::None as u32
        && OSTLER_LIMIT_HUGE_PAGE_POOL == Limit::HugePagePool as u32
        && OSTLER_LIMIT_HUGETLB_CGROUP == Limit::HugetlbCgroup as u32
        && OSTLER_LIMIT_MEMORY_CGROUP == Limit::MemoryCgroup as u32
        && OSTLER_LIMIT_NODE_MEMORY == Limit::NodeMemory as u32
        && OSTLER_LIMIT_POLICY_REFUSED == Limit::PolicyRefused as u32
        && OSTLER_LIMIT_THP_DISABLED == Limit::ThpDisabled as u32
        && OSTLER_LIMIT_ADDRESS_SPACE == Limit::AddressSpace as u32
        && OSTLER_LIMIT_PAGE_SIZE_UNKNOWN == Limit::PageSizeUnknown as u32
        && OSTLER_LIMIT_CHUNK_TOO_SMALL == Limit::ChunkTooSmall as u32
        && OSTLER_LIMIT_KERNEL_TOO_OLD == Limit::KernelTooOld as u32
        && OSTLER_LIMIT_LOCKED_MEMORY == Limit::LockedMemory as u32
        && OSTLER_LIMIT_NODE_UNKNOWN == Limit::NodeUnknown as u32
        && OSTLER_LIMIT_OPTION_REFUSED == Limit::OptionRefused as u32
        && OSTLER_LIMIT_NO_CPU == Limit::NoCpu as u32
        && OSTLER_LIMIT_THREAD_REFUSED == Limit::ThreadRefused as u32
        && OSTLER_LIMIT_NOT_VERIFIED == Limit::NotVerified as u32
        && OSTLER_LIMIT_GOVERNOR == Limit::Governor as u32
);

/// The kernel told nothing that can be relied on.
pub const OSTLER_VERIFIED_NOT: u32 = 0;
/// ioctl PAGEMAP_SCAN (Linux 6.7).
pub const OSTLER_VERIFIED_PAGEMAP_SCAN: u32 = 1;
/// /proc/self/smaps.
pub const OSTLER_VERIFIED_SMAPS: u32 = 2;
/// move_pages, each page asked for.
pub const OSTLER_VERIFIED_MOVE_PAGES: u32 = 3;
/// /proc/self/numa_maps; where move_pages is refused, or there are too many pages to ask for each.
pub const OSTLER_VERIFIED_NUMA_MAPS: u32 = 4;
/// /proc/self/pagemap with /proc/kpageflags, page by page.
pub const OSTLER_VERIFIED_PAGEMAP: u32 = 5;

const _: () = assert!(
    OSTLER_VERIFIED_NOT == Method::Not as u32
        && OSTLER_VERIFIED_PAGEMAP_SCAN == Method::PagemapScan as u32
        && OSTLER_VERIFIED_SMAPS == Method::Smaps as u32
        && OSTLER_VERIFIED_MOVE_PAGES == Method::MovePages as u32
        && OSTLER_VERIFIED_NUMA_MAPS == Method::NumaMaps as u32
        && OSTLER_VERIFIED_PAGEMAP == Method::Pagemap as u32
);

/// Nothing but the kernel's own choice places pages.
pub const OSTLER_PLACED_BY_KERNEL: u32 = 0;
/// A memory policy that the kernel took (mbind).
pub const OSTLER_PLACED_BY_POLICY: u32 = 1;
/// Threads on CPUs of the nodes brought the pages in, because memory policies are refused. Where a node is full the kernel
/// goes to another.
pub const OSTLER_PLACED_BY_FIRST_TOUCH: u32 = 2;

const _: () = assert!(
    OSTLER_PLACED_BY_KERNEL == PlacedBy::Kernel as u32
        && OSTLER_PLACED_BY_POLICY == PlacedBy::Policy as u32
        && OSTLER_PLACED_BY_FIRST_TOUCH == PlacedBy::FirstTouch as u32
);

/// All of it was brought in when it was mapped.
pub const OSTLER_OPTION_PREFAULTED: u32 = 1;
/// It stays in memory.
pub const OSTLER_OPTION_LOCKED: u32 = 2;
/// It lies between guard pages.
pub const OSTLER_OPTION_GUARDED: u32 = 4;
/// Forked children do not get it.
pub const OSTLER_OPTION_NOT_FORKED: u32 = 8;
/// Core dumps do not have it.
pub const OSTLER_OPTION_NOT_DUMPED: u32 = 16;
/// The kernel's list of mappings shows its name.
pub const OSTLER_OPTION_NAMED: u32 = 32;

const _: () = assert!(
    OSTLER_OPTION_PREFAULTED == Options::PREFAULTED.0
        && OSTLER_OPTION_LOCKED == Options::LOCKED.0
        && OSTLER_OPTION_GUARDED == Options::GUARDED.0
        && OSTLER_OPTION_NOT_FORKED == Options::NOT_FORKED.0
        && OSTLER_OPTION_NOT_DUMPED == Options::NOT_DUMPED.0
        && OSTLER_OPTION_NAMED == Options::NAMED.0
);

/// Nodes that a receipt lists.
pub const OSTLER_RECEIPT_NODES: usize = 8;
/// Steps that a receipt lists.
pub const OSTLER_RECEIPT_STEPS: usize = 8;

const _: () = assert!(OSTLER_RECEIPT_STEPS == MAX_STEPS);

/// Something that was tried for a chunk and was not to be had.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_receipt_step {
    /// OSTLER_PAGES_...
    pub page_policy: u32,
    /// OSTLER_LIMIT_...: what stood in the way.
    pub limit: u32,
    /// What the system call said; 0 when it did not come to one.
    pub os_errno: i32,
    /// 0.
    pub reserved: u32,
}

/// Part of a chunk on one node.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_receipt_node {
    /// The number of the node.
    pub node: u32,
    /// 0.
    pub reserved: u32,
    /// Resident bytes there.
    pub bytes: u64,
}

/// What a chunk was asked to be, what it got, and why. What it got is what the kernel says, not what was requested.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_receipt {
    /// sizeof(ostler_receipt), set by the caller.
    pub struct_size: u32,
    /// OSTLER_PAGES_... as configured.
    pub asked_pages: u32,
    /// OSTLER_NODE_... as configured.
    pub asked_node_policy: u32,
    /// The number of the node, for OSTLER_NODE_ONE.
    pub asked_node: u32,
    /// Bytes asked for.
    pub asked_bytes: u64,
    /// OSTLER_PAGES_... really got. Transparent only when the kernel reports huge bytes, or nothing is resident yet.
    pub got_pages: u32,
    /// OSTLER_NODE_... that places it, by what placed_by says; OSTLER_NODE_ANY when that was refused.
    pub got_node_policy: u32,
    /// Bytes of one page of got_pages.
    pub page_bytes: u64,
    /// Where the chunk begins.
    pub address: u64,
    /// Bytes of address space.
    pub mapped_bytes: u64,
    /// Bytes that have memory behind them now.
    pub resident_bytes: u64,
    /// Resident bytes in huge pages, transparent or explicit.
    pub huge_bytes: u64,
    /// OSTLER_VERIFIED_...: how resident_bytes and huge_bytes were found out.
    pub pages_verified_by: u32,
    /// OSTLER_VERIFIED_...: how nodes was found out.
    pub nodes_verified_by: u32,
    /// Nodes with pages of the chunk. When there are more than OSTLER_RECEIPT_NODES, the first ones are listed.
    pub node_count: u32,
    /// Steps that were tried first, in the order of steps.
    pub step_count: u32,
    /// Lowest node first.
    pub nodes: [ostler_receipt_node; OSTLER_RECEIPT_NODES],
    /// In the order in which they were tried.
    pub steps: [ostler_receipt_step; OSTLER_RECEIPT_STEPS],
    /// OSTLER_OPTION_... as configured.
    pub asked_options: u32,
    /// OSTLER_OPTION_... really got.
    pub got_options: u32,
    /// The nodes that got_node_policy stands for; empty for OSTLER_NODE_ANY.
    pub node_set: [u64; OSTLER_SET_WORDS],
    /// OSTLER_PLACED_BY_...: by what means pages come to their nodes.
    pub placed_by: u32,
    /// Why pages_verified_by or nodes_verified_by is OSTLER_VERIFIED_NOT: EPERM where huge pages have neighbours in the
    /// same mapping and their numbers are hidden from this process, or move_pages is refused; else 0.
    pub unverified_errno: i32,
}

versioned!(ostler_receipt);

impl From<InspectionError> for Failure {
    fn from(error: InspectionError) -> Self {
        match error {
            InspectionError::NoSuchChunk { .. } => Self::new(OSTLER_E_INVALID_ARGUMENT, format_args!("{error}")),
            InspectionError::OutOfMemory(error) => error.into(),
        }
    }
}

impl From<&Receipt> for ostler_receipt {
    fn from(receipt: &Receipt) -> Self {
        let found = &receipt.found;
        let mut out = Self {
            asked_pages: receipt.asked.pages as u32,
            asked_node_policy: receipt.asked.nodes.number(),
            asked_node: if let NodePolicy::One(node) = receipt.asked.nodes { node } else { 0 },
            asked_bytes: receipt.asked_bytes,
            got_pages: receipt.got_pages as u32,
            got_node_policy: receipt.got_nodes.number(),
            page_bytes: receipt.page_bytes,
            address: receipt.address,
            mapped_bytes: receipt.mapped_bytes,
            resident_bytes: found.resident_bytes,
            huge_bytes: found.huge_bytes,
            pages_verified_by: found.pages_by as u32,
            nodes_verified_by: found.nodes_by as u32,
            node_count: found.nodes.len() as u32,
            step_count: receipt.steps.as_slice().len() as u32,
            asked_options: Options::asked(&receipt.asked).0,
            got_options: receipt.got_options.0,
            node_set: *receipt.node_set.words(),
            placed_by: receipt.placed_by as u32,
            unverified_errno: found.errno,
            ..zeroed()
        };
        for (place, (node, bytes)) in out.nodes.iter_mut().zip(&found.nodes) {
            *place = ostler_receipt_node { node: *node, reserved: 0, bytes: *bytes };
        }
        for (place, step) in out.steps.iter_mut().zip(receipt.steps.as_slice()) {
            let (page_policy, limit) = (step.tried as u32, step.limit as u32);
            *place = ostler_receipt_step { page_policy, limit, os_errno: step.errno, reserved: 0 };
        }
        out
    }
}

/// # Safety
/// `out` is as the header asks.
unsafe fn get_receipt<H, T: Handled + Inspect>(
    object: *mut H,
    chunk_index: u64,
    out: *mut ostler_receipt,
) -> ostler_status {
    // SAFETY: the caller's promise.
    let out = unsafe { prepare("out", out) };
    with(object, |object: &Pin<T>| {
        let out = out?;
        out.fill(&ostler_receipt::from(&object.receipt(chunk_index)?));
        Ok(())
    })
}

/// # Safety
/// `buffer` and `needed_bytes` are as the header asks.
unsafe fn print_receipts<H, T: Handled + Inspect>(
    object: *mut H,
    buffer: *mut c_char,
    buffer_bytes: u64,
    needed_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: the caller's promise.
    let needed = unsafe { optional_output(needed_bytes, 0) };
    if buffer_bytes > 0 {
        // SAFETY: the caller's promise.
        unsafe { clear(buffer, 0) };
    }
    with(object, |object: &Pin<T>| {
        let receipts = object.receipts()?;
        let table = || Table(&receipts).to_string();
        // SAFETY: the caller's promise.
        unsafe { print(table, buffer, buffer_bytes, needed) }
    })
}

/// Tells what a chunk was asked to be, what it got, and why. Asks the kernel anew each time, because pages come, go,
/// merge and move.
///
/// Parameters:
/// - arena: borrowed.
/// - chunk_index: 0 to chunks - 1 of ostler_arena_get_stats; a reset or rewind may change the order.
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
pub unsafe extern "C" fn ostler_arena_get_receipt(
    arena: *mut ostler_arena,
    chunk_index: u64,
    out: *mut ostler_receipt,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { get_receipt::<_, Arena>(arena, chunk_index, out) }
}

/// Writes the receipts of all chunks as a table for people, with a line below each chunk for every step that did not
/// hold.
///
/// Parameters:
/// - arena: borrowed.
/// - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
/// - buffer_bytes: its size; 0 writes nothing.
/// - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_print_receipts(
    arena: *mut ostler_arena,
    buffer: *mut c_char,
    buffer_bytes: u64,
    needed_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { print_receipts::<_, Arena>(arena, buffer, buffer_bytes, needed_bytes) }
}

/// Tells what a chunk of a heap was asked to be, what it got, and why, as ostler_arena_get_receipt does.
///
/// Parameters:
/// - heap: borrowed.
/// - chunk_index: 0 to chunks - 1 of ostler_heap_get_stats; a trim may change the order.
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
pub unsafe extern "C" fn ostler_heap_get_receipt(
    heap: *mut ostler_heap,
    chunk_index: u64,
    out: *mut ostler_receipt,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { get_receipt::<_, Heap>(heap, chunk_index, out) }
}

/// Writes the receipts of all chunks of a heap as a table for people, as ostler_arena_print_receipts does.
///
/// Parameters:
/// - heap: borrowed.
/// - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
/// - buffer_bytes: its size; 0 writes nothing.
/// - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: heap NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_heap_print_receipts(
    heap: *mut ostler_heap,
    buffer: *mut c_char,
    buffer_bytes: u64,
    needed_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { print_receipts::<_, Heap>(heap, buffer, buffer_bytes, needed_bytes) }
}

/// Tells what a chunk of a slab was asked to be, what it got, and why, as ostler_arena_get_receipt does.
///
/// Parameters:
/// - slab: borrowed.
/// - chunk_index: 0 to chunks - 1 of ostler_slab_get_stats, in the order of addresses.
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
pub unsafe extern "C" fn ostler_slab_get_receipt(
    slab: *mut ostler_slab,
    chunk_index: u64,
    out: *mut ostler_receipt,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { get_receipt::<_, Slab>(slab, chunk_index, out) }
}

/// Writes the receipts of all chunks of a slab as a table for people, as ostler_arena_print_receipts does.
///
/// Parameters:
/// - slab: borrowed.
/// - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
/// - buffer_bytes: its size; 0 writes nothing.
/// - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_print_receipts(
    slab: *mut ostler_slab,
    buffer: *mut c_char,
    buffer_bytes: u64,
    needed_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { print_receipts::<_, Slab>(slab, buffer, buffer_bytes, needed_bytes) }
}

/// Tells what a chunk of a set of buffers was asked to be, what it got, and why, as ostler_arena_get_receipt does.
///
/// Parameters:
/// - buffers: borrowed.
/// - chunk_index: 0 to chunks - 1 of ostler_buffers_get_stats; a trim may change the order.
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
pub unsafe extern "C" fn ostler_buffers_get_receipt(
    buffers: *mut ostler_buffers,
    chunk_index: u64,
    out: *mut ostler_receipt,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { get_receipt::<_, Buffers>(buffers, chunk_index, out) }
}

/// Writes the receipts of all chunks of a set of buffers as a table for people, as ostler_arena_print_receipts does.
///
/// Parameters:
/// - buffers: borrowed.
/// - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
/// - buffer_bytes: its size; 0 writes nothing.
/// - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_print_receipts(
    buffers: *mut ostler_buffers,
    buffer: *mut c_char,
    buffer_bytes: u64,
    needed_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { print_receipts::<_, Buffers>(buffers, buffer, buffer_bytes, needed_bytes) }
}
