//! Segment: an arena in memory that several processes map, each at an address of its own. Blocks are known by values
//! that mean the same in every process and are checked; the memory is a sealed anonymous file, so that no touch of it
//! ends in a signal.

use super::arguments::{clear, flag, name, optional_output, out_of_range, output};
use super::guard::{destroy, guard, with};
use super::library::OSTLER_NAME_BYTES;
use super::page_source::{self, ostler_page_source};
use super::receipt::ostler_receipt;
use super::status::{
    Failure, OSTLER_E_CLOSED, OSTLER_E_FOREIGN_POINTER, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT,
    OSTLER_E_STALE_BLOCK, OSTLER_E_SYSTEM, OSTLER_E_UNSUPPORTED, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::handles::{self, Kind, Pin};
use crate::memory::segment::{Access, OwnerState, Place, Segment, SegmentConfig, SegmentError};
use std::ffi::{c_char, c_void};
use std::os::fd::{BorrowedFd, IntoRawFd};

/// Memory that several processes map.
pub struct ostler_segment {
    _opaque: [u8; 0],
}

/// How a segment is made.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_segment_config {
    /// sizeof(ostler_segment_config).
    pub struct_size: u32,
    /// 1: no other process can ever map it for writing (F_SEAL_FUTURE_WRITE, Linux 5.1).
    pub sole_writer: u32,
    /// What memory it is made of; borrowed while it is created; NULL: the defaults of ostler_page_source_init. All of it
    /// is brought in at once, whatever prefault says; lock, guard, exclude_fork and exclude_dump must be 0.
    pub source: *const ostler_page_source,
    /// Its size, with 256 bytes of its own and 16 for each block; 4096 to 1 TiB, rounded up to the page size got; 0:
    /// 2 MiB.
    pub bytes: u64,
    /// Shown in the kernel's list of mappings.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// A block of a segment, the same for every process. A value: copied freely, also into the segment; 0: none. It is
/// stale once the segment was reset.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_segment_block {
    /// Where and of which generation.
    pub value: u64,
}

/// What a segment is and holds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_segment_stats {
    /// sizeof(ostler_segment_stats), set by the caller.
    pub struct_size: u32,
    /// OSTLER_ACCESS_... of this process.
    pub access: u32,
    /// Bytes of the whole segment.
    pub bytes: u64,
    /// Bytes that are used, what the segment needs for itself included.
    pub used_bytes: u64,
    /// Bytes of one of its pages.
    pub page_bytes: u64,
    /// Which generation of blocks it is in; each reset begins the next.
    pub generation: u64,
    /// The process that made it, by its number there.
    pub owner_process: u64,
    /// OSTLER_OWNER_...: whether that process is still there.
    pub owner: u32,
    /// 0.
    pub reserved: u32,
}

versioned!(ostler_segment_config, ostler_segment_stats);

/// Read and write.
pub const OSTLER_ACCESS_READ_WRITE: u32 = 0;
/// Read only: a write to the memory is a fault of the program's, as to any other that is not its own.
pub const OSTLER_ACCESS_READ_ONLY: u32 = 1;

/// The process that made the segment is there and has it.
pub const OSTLER_OWNER_ALIVE: u32 = 0;
/// It destroyed the segment in order.
pub const OSTLER_OWNER_CLOSED: u32 = 1;
/// It ended without that. What is in the segment is still there, and as it was.
pub const OSTLER_OWNER_DIED: u32 = 2;

const _: () = assert!(
    OSTLER_ACCESS_READ_WRITE == Access::ReadWrite as u32
        && OSTLER_ACCESS_READ_ONLY == Access::ReadOnly as u32
        && OSTLER_OWNER_ALIVE == OwnerState::Alive as u32
        && OSTLER_OWNER_CLOSED == OwnerState::Closed as u32
        && OSTLER_OWNER_DIED == OwnerState::Died as u32
);

impl ostler_segment_block {
    const NONE: Self = Self { value: 0 };
}

impl From<SegmentError> for Failure {
    fn from(error: SegmentError) -> Self {
        let status = match error {
            SegmentError::Field(error) => return error.into(),
            SegmentError::Source(error) => return error.into(),
            SegmentError::Pages(error) => return error.into(),
            SegmentError::OutOfMemory(error) => return error.into(),
            SegmentError::Call { .. } => OSTLER_E_SYSTEM,
            SegmentError::Foreign { .. } => OSTLER_E_INVALID_ARGUMENT,
            SegmentError::OtherLayout { .. }
            | SegmentError::ReadOnlyFile { .. }
            | SegmentError::ReadOnly
            | SegmentError::NotOwner => OSTLER_E_UNSUPPORTED,
            SegmentError::Closed => OSTLER_E_CLOSED,
            SegmentError::Full { .. } => OSTLER_E_LIMIT,
            SegmentError::StaleBlock { .. } => OSTLER_E_STALE_BLOCK,
            SegmentError::ForeignPointer { .. } => OSTLER_E_FOREIGN_POINTER,
        };
        Self::new(status, format_args!("{error}"))
    }
}

fn access_of(access: u32) -> Result<Access, Failure> {
    match access {
        OSTLER_ACCESS_READ_WRITE => Ok(Access::ReadWrite),
        OSTLER_ACCESS_READ_ONLY => Ok(Access::ReadOnly),
        other => Err(out_of_range("access", u64::from(other), "must be one of OSTLER_ACCESS_... (0 or 1)")),
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_segment_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_config_init(
    config: *mut ostler_segment_config,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Makes a segment and brings all of its pages in. It is charged to the process that makes it.
///
/// Parameters:
/// - config: borrowed during the call.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_segment_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_MEMORY_PRESSURE, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_SYSTEM,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; out must not be NULL.
/// Blocking: as long as the kernel takes to bring the pages in; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_create(
    config: *const ostler_segment_config,
    out: *mut *mut ostler_segment,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    guard(|| {
        // SAFETY: as the header asks.
        let (out, config) = unsafe {
            let out = output("out", out, std::ptr::null_mut())?;
            (out, if config.is_null() { zeroed() } else { read("config", config)? })
        };
        let config = SegmentConfig {
            // SAFETY: as the header asks.
            source: unsafe { page_source::given(config.source)? },
            bytes: config.bytes,
            sole_writer: flag("sole_writer", config.sole_writer)?,
            name: name(&config.name)?,
        };
        let slot = handles::reserve(Kind::Segment)?;
        *out = slot.publish(Segment::new(config)?) as *mut ostler_segment;
        Ok(())
    })
}

/// Maps a segment that another process made, or this one. The file is checked before any of it is touched: whether it is
/// a segment of this layout, whole, sealed, and all there.
///
/// Parameters:
/// - fd: a descriptor of its file, as ostler_segment_get_fd gave it out; borrowed during the call.
/// - access: OSTLER_ACCESS_READ_WRITE or OSTLER_ACCESS_READ_ONLY.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_segment_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (fd is no segment's), OSTLER_E_UNSUPPORTED (a segment of another
/// layout, or one that cannot be written), OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_attach(fd: i32, access: u32, out: *mut *mut ostler_segment) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        let access = access_of(access)?;
        if fd < 0 {
            return Err(SegmentError::Foreign { fd, why: "is no descriptor" }.into());
        }
        let slot = handles::reserve(Kind::Segment)?;
        // SAFETY: not -1; one that is not open is found out by the first call that uses it.
        let segment = Segment::attach(unsafe { BorrowedFd::borrow_raw(fd) }, access)?;
        *out = slot.publish(segment) as *mut ostler_segment;
        Ok(())
    })
}

/// Gives a descriptor of the segment's file, which another process needs to attach: passed over a socket (SCM_RIGHTS),
/// or left open across an exec. It is closed at an exec unless the caller clears FD_CLOEXEC.
///
/// Parameters:
/// - segment: borrowed.
/// - access: OSTLER_ACCESS_READ_ONLY gives one that cannot be mapped for writing.
/// - out: written only on success, else 0; owned by the caller, ends with close(2).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_UNSUPPORTED (it is attached for reading only), OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: segment NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_get_fd(
    segment: *mut ostler_segment,
    access: u32,
    out: *mut i32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, 0) };
    with(segment, |segment: &Pin<Segment>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, 0)? };
        *out = segment.descriptor(access_of(access)?)?.into_raw_fd();
        Ok(())
    })
}

/// Allocates a block, without a lock, so that a process that dies in the middle holds nobody up. New memory is zero; what
/// a reset has freed is as it was.
///
/// Parameters:
/// - segment: borrowed.
/// - size_bytes: 0 gives a block of its own, too.
/// - align_bytes: a power of two of at most 4096; 0: 16.
/// - block: written only on success, else 0.
/// - memory: written only on success, else NULL; where it lies for this process.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED (by its owner, too),
/// OSTLER_E_QUARANTINED, OSTLER_E_LIMIT (it is full), OSTLER_E_UNSUPPORTED (it is attached for reading only),
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe, between processes as well.
/// NULL: segment NULL is OSTLER_E_INVALID_HANDLE; block must not be NULL; memory may be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_alloc(
    segment: *mut ostler_segment,
    size_bytes: u64,
    align_bytes: u64,
    block: *mut ostler_segment_block,
    memory: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(block, ostler_segment_block::NONE);
        clear(memory, std::ptr::null_mut());
    }
    with(segment, |segment: &Pin<Segment>| {
        // SAFETY: as the header asks.
        let (block, memory) = unsafe {
            (output("block", block, ostler_segment_block::NONE)?, optional_output(memory, std::ptr::null_mut()))
        };
        let (place, made) = segment.alloc(size_bytes, align_bytes)?;
        *block = ostler_segment_block { value: place.0 };
        if let Some(memory) = memory {
            *memory = made.address.cast();
        }
        Ok(())
    })
}

/// Tells where a block lies for this process. Whatever other processes have written, the block lies in the segment.
///
/// Parameters:
/// - segment: borrowed.
/// - block: as any process got it.
/// - memory: written only on success, else NULL; stays until the segment is reset or destroyed here.
/// - size_bytes: written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_STALE_BLOCK, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: segment NULL is OSTLER_E_INVALID_HANDLE; memory must not be NULL; size_bytes may be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_get(
    segment: *mut ostler_segment,
    block: ostler_segment_block,
    memory: *mut *mut c_void,
    size_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe {
        clear(memory, std::ptr::null_mut());
        clear(size_bytes, 0);
    }
    with(segment, |segment: &Pin<Segment>| {
        // SAFETY: as the header asks.
        let (memory, size_bytes) =
            unsafe { (output("memory", memory, std::ptr::null_mut())?, optional_output(size_bytes, 0)) };
        let found = segment.get(Place(block.value))?;
        *memory = found.address.cast();
        if let Some(size_bytes) = size_bytes {
            *size_bytes = found.bytes;
        }
        Ok(())
    })
}

/// Tells which block begins at an address.
///
/// Parameters:
/// - segment: borrowed.
/// - memory: borrowed during the call; an address of this process, as ostler_segment_alloc or ostler_segment_get told it; never read through.
/// - out: written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FOREIGN_POINTER, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: segment NULL is OSTLER_E_INVALID_HANDLE; memory NULL is OSTLER_E_FOREIGN_POINTER; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_find(
    segment: *mut ostler_segment,
    memory: *const c_void,
    out: *mut ostler_segment_block,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, ostler_segment_block::NONE) };
    with(segment, |segment: &Pin<Segment>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, ostler_segment_block::NONE)? };
        *out = ostler_segment_block { value: segment.find(memory.cast())?.0 };
        Ok(())
    })
}

/// Names the block that whoever attaches begins with.
///
/// Parameters:
/// - segment: borrowed.
/// - block: one of the segment's.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_STALE_BLOCK,
/// OSTLER_E_UNSUPPORTED (it is attached for reading only), OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe, between processes as well: what was written to the block before is seen by whoever gets
/// the root.
/// NULL: segment NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_set_root(
    segment: *mut ostler_segment,
    block: ostler_segment_block,
) -> ostler_status {
    with(segment, |segment: &Pin<Segment>| Ok(segment.set_root(Place(block.value))?))
}

/// Tells the block that was named as the root.
///
/// Parameters:
/// - segment: borrowed.
/// - out: written only on success, else 0; 0 as well when none was named since the last reset.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe, between processes as well.
/// NULL: segment NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_get_root(
    segment: *mut ostler_segment,
    out: *mut ostler_segment_block,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, ostler_segment_block::NONE) };
    with(segment, |segment: &Pin<Segment>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, ostler_segment_block::NONE)? };
        *out = ostler_segment_block { value: segment.root().0 };
        Ok(())
    })
}

/// Frees every block: all that any process has of them is stale, and the root is none.
///
/// Parameters:
/// - segment: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_UNSUPPORTED (only the
/// process that made the segment can), OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no thread of any process may allocate, or use a block, meanwhile.
/// NULL: segment NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_reset(segment: *mut ostler_segment) -> ostler_status {
    with(segment, |segment: &Pin<Segment>| Ok(segment.reset()?))
}

/// Tells what the segment holds, and whether the process that made it is still there.
///
/// Parameters:
/// - segment: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: segment NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_get_stats(
    segment: *mut ostler_segment,
    out: *mut ostler_segment_stats,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(segment, |segment: &Pin<Segment>| {
        let out = out?;
        let stats = segment.stats()?;
        out.fill(&ostler_segment_stats {
            access: stats.access as u32,
            bytes: stats.bytes,
            used_bytes: stats.used_bytes,
            page_bytes: stats.page_bytes,
            generation: stats.generation,
            owner_process: stats.owner_process,
            owner: stats.owner as u32,
            ..zeroed()
        });
        Ok(())
    })
}

/// Tells what memory the segment was asked to be, what it got, and why. A process that attached knows what it got only,
/// as far as it has touched it.
///
/// Parameters:
/// - segment: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: segment NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: as long as the kernel takes to tell; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_get_receipt(
    segment: *mut ostler_segment,
    out: *mut ostler_receipt,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(segment, |segment: &Pin<Segment>| {
        let out = out?;
        out.fill(&ostler_receipt::from(&segment.receipt()));
        Ok(())
    })
}

/// Destroys a segment here: its memory is unmapped, so what lies in it must not be used any more. Other processes keep
/// theirs; the last one that does gives the memory back. When the process that made it does, no block is allocated any
/// more.
///
/// Parameters:
/// - segment: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no other thread may use the segment's memory any more; other calls are waited for.
/// NULL: segment NULL is OSTLER_OK and does nothing.
/// Blocking: waits for those calls to return; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_segment_destroy(segment: *mut ostler_segment) -> ostler_status {
    destroy::<_, Segment>(segment)
}
