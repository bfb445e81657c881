//! Buffers: memory in sizes that is leased one by one, viewed by many without a copy, and idle again when the last view is
//! released. A set has a hard bound, and each thread keeps a few idle ones at hand.

use super::arguments::{clear, name, optional_output, output};
use super::guard::{destroy, guard, with};
use super::library::OSTLER_NAME_BYTES;
use super::page_source::{self, ostler_page_source};
use super::status::{
    Failure, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_STALE_BUFFER,
    ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use super::{buffer, cancel, cancel::ostler_cancel};
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::memory::buffers::{Buffers, BuffersConfig, BuffersError};
use std::ffi::c_char;

/// A set of buffers of many sizes, shared by many threads.
pub struct ostler_buffers {
    _opaque: [u8; 0],
}

/// How a set of buffers gets its memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_buffers_config {
    /// sizeof(ostler_buffers_config).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// What memory the buffers are made of; borrowed while the set is created; NULL: the defaults of
    /// ostler_page_source_init.
    pub source: *const ostler_page_source,
    /// Bytes mapped at once; 65536 to 1 TiB, rounded up to the page size got; 0: 2 MiB. A larger buffer gets a larger
    /// chunk.
    pub chunk_bytes: u64,
    /// Mapped bytes never exceed this, so chunks may be smaller than chunk_bytes; at least 65536; 0: no limit. Before a get
    /// is refused, idle buffers of other sizes and of other threads are taken for it.
    pub limit_bytes: u64,
    /// Shown in reports and in the kernel's list of mappings.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// What a set of buffers holds and did. While other threads get and release it tells of about the same moment.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_buffers_stats {
    /// sizeof(ostler_buffers_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Chunks that are mapped.
    pub chunks: u64,
    /// Their bytes.
    pub mapped_bytes: u64,
    /// Buffers that have a view.
    pub in_use: u64,
    /// Their bytes, rounded up to their sizes.
    pub in_use_bytes: u64,
    /// The bytes of in_use_bytes that nobody asked for.
    pub waste_bytes: u64,
    /// Buffers without a view, those that threads have at hand included.
    pub idle: u64,
    /// Their bytes.
    pub idle_bytes: u64,
    /// Idle buffers that threads have at hand.
    pub at_hand: u64,
    /// Memory of the caller's that is wrapped and has a view.
    pub wrapped: u64,
    /// Buffers that were leased.
    pub gets: u64,
    /// Gets that found neither a buffer nor memory for one.
    pub refused: u64,
    /// How often what threads had at hand was taken for others.
    pub recalls: u64,
    /// How often idle memory was given back to the system.
    pub trims: u64,
    /// Chunks that got smaller pages or another node policy than asked.
    pub step_downs: u64,
}

/// What a set has of one size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_buffers_class_stats {
    /// sizeof(ostler_buffers_class_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Bytes of each buffer of the class.
    pub size_bytes: u64,
    /// As in ostler_buffers_stats, of this class.
    pub in_use: u64,
    pub idle: u64,
    pub at_hand: u64,
    pub waste_bytes: u64,
    pub gets: u64,
}

versioned!(ostler_buffers_config, ostler_buffers_stats, ostler_buffers_class_stats);

/// How many sizes there are: four to each doubling, from 256 bytes to 1 GiB.
pub const OSTLER_BUFFERS_CLASSES: u32 = 89;
const _: () = assert!(OSTLER_BUFFERS_CLASSES as usize == crate::memory::buffers::sizes::MOST_CLASSES);

impl From<BuffersError> for Failure {
    fn from(error: BuffersError) -> Self {
        let status = match error {
            BuffersError::Field(_) | BuffersError::PastTheEnd { .. } | BuffersError::NoSuchClass { .. } => {
                OSTLER_E_INVALID_ARGUMENT
            }
            BuffersError::Source(error) => return error.into(),
            BuffersError::Pages(error) => return error.into(),
            BuffersError::Closed => OSTLER_E_CLOSED,
            BuffersError::Stale(_) => OSTLER_E_STALE_BUFFER,
            BuffersError::TooManyReferences(_)
            | BuffersError::TooManySlices(_)
            | BuffersError::TooManyViews
            | BuffersError::Limit { .. } => OSTLER_E_LIMIT,
            BuffersError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
            BuffersError::Wait(end) => return end.into(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_buffers_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_config_init(
    config: *mut ostler_buffers_config,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// # Safety
/// A non-null `source` is as the header asks.
unsafe fn checked(config: &ostler_buffers_config) -> Result<BuffersConfig, Failure> {
    Ok(BuffersConfig {
        // SAFETY: the caller's promise.
        source: unsafe { page_source::given(config.source)? },
        chunk_bytes: config.chunk_bytes,
        limit_bytes: config.limit_bytes,
        name: name(&config.name)?,
    })
}

/// Makes a set of buffers and maps its first chunk.
///
/// Parameters:
/// - config: borrowed during the call.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_buffers_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
/// OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; out must not be NULL.
/// Blocking: as long as the kernel takes to map the chunk and bring in its pages; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_create(
    config: *const ostler_buffers_config,
    out: *mut *mut ostler_buffers,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        // SAFETY: as the header asks of the source in it.
        let config = unsafe { checked(&config)? };
        let slot = handles::reserve(Kind::Buffers)?;
        let buffers = Buffers::new(slot.owner(), config, buffer::call_ending)?;
        *out = slot.publish(buffers) as *mut ostler_buffers;
        Ok(())
    })
}

/// Tells what the set holds and did.
///
/// Parameters:
/// - buffers: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_get_stats(
    buffers: *mut ostler_buffers,
    out: *mut ostler_buffers_stats,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(buffers, |buffers: &Pin<Buffers>| {
        let out = out?;
        let stats = buffers.stats();
        out.fill(&ostler_buffers_stats {
            chunks: stats.chunks,
            mapped_bytes: stats.mapped_bytes,
            in_use: stats.in_use,
            in_use_bytes: stats.in_use_bytes,
            waste_bytes: stats.waste_bytes,
            idle: stats.idle,
            idle_bytes: stats.idle_bytes,
            at_hand: stats.at_hand,
            wrapped: stats.wrapped,
            gets: stats.gets,
            refused: stats.refused,
            recalls: stats.recalls,
            trims: stats.trims,
            step_downs: stats.step_downs,
            ..zeroed()
        });
        Ok(())
    })
}

/// Tells what the set has of one size.
///
/// Parameters:
/// - buffers: borrowed.
/// - class_index: below OSTLER_BUFFERS_CLASSES; the sizes ascend.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_get_class_stats(
    buffers: *mut ostler_buffers,
    class_index: u64,
    out: *mut ostler_buffers_class_stats,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(buffers, |buffers: &Pin<Buffers>| {
        let out = out?;
        let stats = buffers.class_stats(class_index)?;
        out.fill(&ostler_buffers_class_stats {
            size_bytes: stats.size_bytes,
            in_use: stats.in_use,
            idle: stats.idle,
            at_hand: stats.at_hand,
            waste_bytes: stats.waste_bytes,
            gets: stats.gets,
            ..zeroed()
        });
        Ok(())
    })
}

/// Gives idle memory back to the system, until no more than keep_bytes are mapped or nothing more can be given back: only
/// whole chunks can, in which no buffer is in use.
///
/// Parameters:
/// - buffers: borrowed.
/// - keep_bytes: how much may stay mapped; 0: as little as there can.
/// - freed_bytes: written; how much was given back, 0 after a failure.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; freed_bytes may be NULL.
/// Blocking: as long as the kernel takes to unmap; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_trim(
    buffers: *mut ostler_buffers,
    keep_bytes: u64,
    freed_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    let freed_bytes = unsafe { optional_output(freed_bytes, 0) };
    with(buffers, |buffers: &Pin<Buffers>| {
        let freed = buffers.trim(keep_bytes);
        if let Some(freed_bytes) = freed_bytes {
            *freed_bytes = freed;
        }
        Ok(())
    })
}

/// Takes no new work, and waits until every buffer and all wrapped memory is released. Views stay good meanwhile.
///
/// Parameters:
/// - buffers: borrowed.
/// - timeout_ns: nanoseconds; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait from another thread.
/// - still_out: written; how many buffers and pieces of wrapped memory have a view, also after OSTLER_E_TIMEOUT and
///   OSTLER_E_CANCELLED; else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
/// Blocking: waits as said; OSTLER_E_CLOSED when the set is destroyed meanwhile with views still out.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_close(
    buffers: *mut ostler_buffers,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    still_out: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(still_out, 0) };
    with(buffers, |buffers: &Pin<Buffers>| {
        // SAFETY: as the header asks.
        let still_out = unsafe { optional_output(still_out, 0) };
        let cancel = cancel::given(cancel)?;
        let closed = buffers.close(Deadline::after(timeout_ns), cancel.as_deref());
        if let Some(still_out) = still_out {
            *still_out = buffers.still_out();
        }
        Ok(closed?)
    })
}

/// Destroys a set of buffers. What is still viewed stays mapped until its last view is released, which then can still be
/// sliced and retained; idle memory goes at once.
///
/// Parameters:
/// - buffers: owned; invalid afterwards, except for what concerns views that are out.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its release callbacks; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: buffers NULL is OSTLER_OK and does nothing.
/// Blocking: ends the waits inside, and waits for those calls to return.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_buffers_destroy(buffers: *mut ostler_buffers) -> ostler_status {
    destroy::<_, Buffers>(buffers)
}
