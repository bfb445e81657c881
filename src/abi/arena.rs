//! Arena: memory in chunks that many threads allocate from and that are given back all at once.

use super::arguments::{clear, name, null, optional_output, out_of_range, output};
use super::guard::{destroy, guard, seated, with};
use super::library::OSTLER_NAME_BYTES;
use super::page_source::{self, ostler_page_source};
use super::status::{
    Failure, OSTLER_E_BUSY, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY,
    OSTLER_E_STALE_MARK, OSTLER_OK, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use super::{cancel, cancel::ostler_cancel};
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::memory::arena::config::ConfigError;
use crate::memory::arena::region::Block;
use crate::memory::arena::{Adopted, Arena, ArenaConfig, ArenaError, Growth, Poison, Reset};
use std::ffi::{c_char, c_void};

/// Memory on the pages and the node asked for, shared by many threads and given back all at once.
pub struct ostler_arena {
    _opaque: [u8; 0],
}

/// How an arena gets its memory.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_arena_config {
    /// sizeof(ostler_arena_config).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// What memory the arena is made of; borrowed while the arena is created; NULL: the defaults of
    /// ostler_page_source_init.
    pub source: *const ostler_page_source,
    /// Bytes mapped at once; 65536 to 1 TiB, rounded up to the page size got; 0: 2 MiB. A larger allocation gets a
    /// larger chunk.
    pub chunk_bytes: u64,
    /// Mapped bytes never exceed this, so chunks may be smaller than chunk_bytes; at least 65536; 0: no limit.
    pub limit_bytes: u64,
    /// Shown in reports and in the kernel's list of mappings.
    pub name: [c_char; OSTLER_NAME_BYTES],
    /// OSTLER_GROWTH_...; 0: every chunk has chunk_bytes.
    pub growth: u32,
    /// OSTLER_POISON_...; 0: where a tool watches.
    pub poison: u32,
    /// The largest chunk that OSTLER_GROWTH_DOUBLE comes to, chunk_bytes to 1 TiB; 0: 64 MiB, or chunk_bytes where that
    /// is more. Else 0.
    pub max_chunk_bytes: u64,
    /// Memory of the caller's that becomes the first chunk, instead of one that is mapped: a buffer on the stack, or
    /// what another allocator gave. It must stay until the arena's memory goes; NULL: none. See ostler_arena_adopt.
    pub memory: *mut c_void,
    /// Its bytes; at least 4096; 0 when memory is NULL.
    pub memory_bytes: u64,
}

/// Each chunk is as large as the first. The default.
pub const OSTLER_GROWTH_FIXED: u32 = 0;
/// Each chunk is as large as all that is mapped already, up to max_chunk_bytes.
pub const OSTLER_GROWTH_DOUBLE: u32 = 1;
/// One chunk, or the adopted memory, is all there ever is; more is OSTLER_E_LIMIT.
pub const OSTLER_GROWTH_NONE: u32 = 2;

/// Where AddressSanitizer or valgrind watches the program, memory that is not allocated is poisoned, with 16 bytes
/// between blocks, so that they report a use after a reset or rewind, and an overrun. The default; without them it
/// costs nothing.
pub const OSTLER_POISON_WATCHED: u32 = 0;
/// Never.
pub const OSTLER_POISON_NEVER: u32 = 1;
/// Also without such a tool: memory that a reset or rewind frees is overwritten with bytes of 0xef. Inline cursors call
/// the library then.
pub const OSTLER_POISON_ALWAYS: u32 = 2;

const _: () = assert!(
    OSTLER_GROWTH_FIXED == Growth::Fixed as u32
        && OSTLER_GROWTH_DOUBLE == Growth::Double as u32
        && OSTLER_GROWTH_NONE == Growth::None as u32
        && OSTLER_POISON_WATCHED == Poison::Watched as u32
        && OSTLER_POISON_NEVER == Poison::Never as u32
        && OSTLER_POISON_ALWAYS == Poison::Always as u32
);

/// What an arena holds and did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_arena_stats {
    /// sizeof(ostler_arena_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Chunks that are mapped, those that a reset kept included.
    pub chunks: u64,
    /// Their bytes.
    pub mapped_bytes: u64,
    /// Bytes handed out since the last reset or the mark last rewound to: rounding included, and regions that threads
    /// have taken counted whole.
    pub used_bytes: u64,
    /// The most that used_bytes ever was.
    pub peak_used_bytes: u64,
    /// Cursors that are open now.
    pub cursors_open: u64,
    /// How often a thread took a region.
    pub refills: u64,
    /// Calls of ostler_arena_reset.
    pub resets: u64,
    /// Calls of ostler_arena_rewind that succeeded.
    pub rewinds: u64,
    /// Chunks that got smaller pages or another node policy than asked.
    pub step_downs: u64,
    /// Bytes of chunks that are the caller's memory; not in mapped_bytes.
    pub adopted_bytes: u64,
    /// Mapped bytes of chunks that are empty and kept for later: what ostler_arena_trim can give back.
    pub kept_bytes: u64,
    /// With OSTLER_NODE_LOCAL: how often a thread took from the chunk of another node, because nothing more could be mapped
    /// on its own.
    pub strays: u64,
}

versioned!(ostler_arena_config, ostler_arena_stats);

/// A reset keeps the pages for what comes next; no system call.
pub const OSTLER_RESET_KEEP_PAGES: u32 = 0;
/// A reset gives every page back to the system.
pub const OSTLER_RESET_RETURN_PAGES: u32 = 1;

impl From<ArenaError> for Failure {
    fn from(error: ArenaError) -> Self {
        let status = match error {
            ArenaError::Field(_) | ArenaError::NoRegion { .. } | ArenaError::IntoItself => OSTLER_E_INVALID_ARGUMENT,
            ArenaError::Config(ConfigError::Field(error)) => return error.into(),
            ArenaError::Config(ConfigError::Source(error)) => return error.into(),
            ArenaError::Pages(error) => return error.into(),
            ArenaError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
            ArenaError::Limit { .. } | ArenaError::Full { .. } | ArenaError::TooManyMarks => OSTLER_E_LIMIT,
            ArenaError::CursorsOpen { .. } => OSTLER_E_BUSY,
            ArenaError::Closed => OSTLER_E_CLOSED,
            ArenaError::MarkOfAnother { .. } | ArenaError::StaleMark { .. } => OSTLER_E_STALE_MARK,
            ArenaError::Cursor(error) => return error.into(),
            ArenaError::Wait(end) => return end.into(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_arena_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_config_init(config: *mut ostler_arena_config, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// # Safety
/// A non-null `source` is as the header asks.
unsafe fn checked(config: &ostler_arena_config) -> Result<ArenaConfig, Failure> {
    let range = |field, value: u32, bound| out_of_range(field, u64::from(value), bound);
    let growth = match config.growth {
        OSTLER_GROWTH_FIXED => Growth::Fixed,
        OSTLER_GROWTH_DOUBLE => Growth::Double,
        OSTLER_GROWTH_NONE => Growth::None,
        other => return Err(range("growth", other, "must be one of OSTLER_GROWTH_... (0 to 2)")),
    };
    let poison = match config.poison {
        OSTLER_POISON_WATCHED => Poison::Watched,
        OSTLER_POISON_NEVER => Poison::Never,
        OSTLER_POISON_ALWAYS => Poison::Always,
        other => return Err(range("poison", other, "must be one of OSTLER_POISON_... (0 to 2)")),
    };
    if config.memory.is_null() && config.memory_bytes != 0 {
        return Err(out_of_range("memory_bytes", config.memory_bytes, "must be 0 when memory is NULL"));
    }
    Ok(ArenaConfig {
        // SAFETY: the caller's promise.
        source: unsafe { page_source::given(config.source)? },
        chunk_bytes: config.chunk_bytes,
        growth,
        max_chunk_bytes: config.max_chunk_bytes,
        limit_bytes: config.limit_bytes,
        memory: (!config.memory.is_null())
            .then_some(Adopted { address: config.memory.cast(), bytes: config.memory_bytes }),
        poison,
        name: name(&config.name)?,
    })
}

/// Makes an arena and maps its first chunk.
///
/// Parameters:
/// - config: borrowed during the call.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_arena_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_MEMORY_PRESSURE, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; out must not be NULL.
/// Blocking: as long as the kernel takes to map the chunk and bring in its pages; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_create(
    config: *const ostler_arena_config,
    out: *mut *mut ostler_arena,
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
        let slot = handles::reserve(Kind::Arena)?;
        let arena = Arena::new(slot.owner(), config)?;
        *out = slot.publish(arena) as *mut ostler_arena;
        Ok(())
    })
}

/// Allocates memory that stays until the arena is rewound, reset or destroyed. Each thread takes from a region of its
/// own. The memory is zero when its pages are new, and holds whatever was there after a reset or rewind.
///
/// Parameters:
/// - arena: borrowed.
/// - size_bytes: 0 gives an address of its own, too.
/// - align_bytes: a power of two of at most 2 MiB; 0: 16.
/// - out: written only on success, else NULL; belongs to the arena.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE,
/// OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_alloc(
    arena: *mut ostler_arena,
    size_bytes: u64,
    align_bytes: u64,
    out: *mut *mut c_void,
) -> ostler_status {
    if !out.is_null()
        && let Some(block) = Block::new(size_bytes, align_bytes)
        && let Some(arena) = seated::<_, Arena>(arena)
        && let Some(start) = Arena::alloc_at_hand(&arena, block)
    {
        // SAFETY: as the header asks.
        unsafe { out.write(start.cast()) };
        return OSTLER_OK;
    }
    alloc_guarded(arena, size_bytes, align_bytes, out)
}

/// The way of a call that may need another region.
#[cold]
#[inline(never)]
extern "C" fn alloc_guarded(
    arena: *mut ostler_arena,
    size_bytes: u64,
    align_bytes: u64,
    out: *mut *mut c_void,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(arena, |arena: &Pin<Arena>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = arena.alloc(size_bytes, align_bytes)?.cast();
        Ok(())
    })
}

/// Gives the arena memory of the caller's to hand out, beside what it maps. It is used before more is mapped, counts
/// for no limit, and is never given back before the arena's memory goes: with ostler_arena_destroy, or with the last
/// cursor after it. From then on it is the caller's again.
///
/// Parameters:
/// - arena: borrowed.
/// - memory: borrowed until the arena's memory goes; nobody else may use it meanwhile.
/// - memory_bytes: at least 4096.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; memory must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_adopt(
    arena: *mut ostler_arena,
    memory: *mut c_void,
    memory_bytes: u64,
) -> ostler_status {
    with(arena, |arena: &Pin<Arena>| {
        if memory.is_null() {
            return Err(null("memory"));
        }
        Ok(arena.adopt(Adopted { address: memory.cast(), bytes: memory_bytes })?)
    })
}

/// Gives chunks back to the system that are empty and kept for later. Under memory pressure the governor does the same
/// by itself.
///
/// Parameters:
/// - arena: borrowed.
/// - keep_bytes: at most so many stay; 0: none.
/// - given_back_bytes: written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; given_back_bytes may be NULL.
/// Blocking: as long as the kernel takes to unmap; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_trim(
    arena: *mut ostler_arena,
    keep_bytes: u64,
    given_back_bytes: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(given_back_bytes, 0) };
    with(arena, |arena: &Pin<Arena>| {
        // SAFETY: as the header asks.
        let given_back_bytes = unsafe { optional_output(given_back_bytes, 0) };
        let gone = arena.trim(keep_bytes);
        if let Some(given_back_bytes) = given_back_bytes {
            *given_back_bytes = gone;
        }
        Ok(())
    })
}

/// Frees everything that was allocated. Marks become stale; cursors stay open.
///
/// Parameters:
/// - arena: borrowed.
/// - mode: OSTLER_RESET_KEEP_PAGES or OSTLER_RESET_RETURN_PAGES.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no other thread may allocate from the arena or its cursors meanwhile.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_reset(arena: *mut ostler_arena, mode: u32) -> ostler_status {
    with(arena, |arena: &Pin<Arena>| {
        let mode = match mode {
            OSTLER_RESET_KEEP_PAGES => Reset::Keep,
            OSTLER_RESET_RETURN_PAGES => Reset::Return,
            other => return Err(out_of_range("mode", u64::from(other), "must be one of OSTLER_RESET_... (0 or 1)")),
        };
        Ok(arena.reset(mode)?)
    })
}

/// Tells what the arena holds and did.
///
/// Parameters:
/// - arena: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_get_stats(
    arena: *mut ostler_arena,
    out: *mut ostler_arena_stats,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(arena, |arena: &Pin<Arena>| {
        let out = out?;
        let stats = arena.stats();
        out.fill(&ostler_arena_stats {
            chunks: stats.chunks,
            mapped_bytes: stats.mapped_bytes,
            used_bytes: stats.used_bytes,
            peak_used_bytes: stats.peak_used_bytes,
            cursors_open: stats.cursors_open,
            refills: stats.refills,
            resets: stats.resets,
            rewinds: stats.rewinds,
            step_downs: stats.step_downs,
            adopted_bytes: stats.adopted_bytes,
            kept_bytes: stats.kept_bytes,
            strays: stats.strays,
            ..zeroed()
        });
        Ok(())
    })
}

/// Takes no new work, and waits until every cursor is closed. A cursor's region can still be used up meanwhile. The
/// arena's memory stays until ostler_arena_destroy.
///
/// Parameters:
/// - arena: borrowed.
/// - timeout_ns: nanoseconds; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait from another thread.
/// - still_out: written; how many cursors are open, also after OSTLER_E_TIMEOUT and OSTLER_E_CANCELLED; else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_TIMEOUT,
/// OSTLER_E_CANCELLED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
/// Blocking: waits as said; OSTLER_E_CLOSED when the arena is destroyed meanwhile with cursors still open.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_close(
    arena: *mut ostler_arena,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    still_out: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(still_out, 0) };
    with(arena, |arena: &Pin<Arena>| {
        // SAFETY: as the header asks.
        let still_out = unsafe { optional_output(still_out, 0) };
        let cancel = cancel::given(cancel)?;
        let closed = arena.close(Deadline::after(timeout_ns), cancel.as_deref());
        if let Some(still_out) = still_out {
            *still_out = arena.cursors_open();
        }
        Ok(closed?)
    })
}

/// Destroys an arena. With cursors still open its memory stays until the last of them is closed; they give
/// OSTLER_E_CLOSED from now on.
///
/// Parameters:
/// - arena: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no other thread may allocate through one of its cursors meanwhile; other calls are
/// waited for.
/// NULL: arena NULL is OSTLER_OK and does nothing.
/// Blocking: ends the waits inside, and waits for those calls to return; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_destroy(arena: *mut ostler_arena) -> ostler_status {
    destroy::<_, Arena>(arena)
}
