//! Cursor: a region of an arena that one thread allocates from inline, without a call; see ostler_inline.h.

use super::arena::ostler_arena;
use super::arguments::{clear, output};
use super::guard::{guard, with, with_child};
use super::status::{
    Failure, OSTLER_E_INVALID_HANDLE, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_OK, ostler_status,
};
use crate::base::handles::Pin;
use crate::memory::arena::Arena;
use crate::memory::arena::cursor::{self, Cursor, CursorError, Slot};
use crate::memory::arena::region::Block;
use std::ffi::c_void;
use std::mem::offset_of;

/// The layout that ostler_inline.h of this version knows. A library with another one writes another number into its
/// cursors, and the inline code calls the library.
pub const OSTLER_CURSOR_LAYOUT: u32 = 1;

/// One thread's bump region in an arena, made by ostler_cursor_open. The fields are for ostler_inline.h; programs use
/// its function, or ostler_cursor_alloc.
#[repr(C)]
pub struct ostler_cursor {
    /// OSTLER_CURSOR_LAYOUT, or another number that sends every allocation into the library.
    pub layout: u32,
    /// 0.
    pub reserved: u32,
    /// Where the free part of the region begins.
    pub next: *mut u8,
    /// Where the region ends; NULL when there is none.
    pub end: *mut u8,
    /// The library's own.
    pub private_words: [u64; 5],
}

const _: () = assert!(
    size_of::<ostler_cursor>() == 64
        && size_of::<ostler_cursor>() == size_of::<Cursor>()
        && offset_of!(ostler_cursor, layout) == 0
        && offset_of!(ostler_cursor, next) == offset_of!(Cursor, region)
        && offset_of!(ostler_cursor, next) == 8
        && offset_of!(ostler_cursor, end) == 16
        && OSTLER_CURSOR_LAYOUT == cursor::LAYOUT
);

impl From<CursorError> for Failure {
    fn from(error: CursorError) -> Self {
        let status = match error {
            CursorError::Null | CursorError::Stray(_) | CursorError::Closed(_) => OSTLER_E_INVALID_HANDLE,
            CursorError::Full => OSTLER_E_LIMIT,
            CursorError::System(_) => OSTLER_E_SYSTEM,
            CursorError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Opens a cursor: a region of the arena for one thread at a time, from which ostler_cursor_alloc_inline of
/// ostler_inline.h allocates without a call.
///
/// Parameters:
/// - arena: borrowed.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_cursor_close.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_cursor_open(arena: *mut ostler_arena, out: *mut *mut ostler_cursor) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(arena, |arena: &Pin<Arena>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = arena.open_cursor()?.cast();
        Ok(())
    })
}

/// Allocates through a cursor memory that stays until its arena is rewound, reset or destroyed and the last cursor
/// closed. Does the same as ostler_cursor_alloc_inline, which calls it when the region is used up.
///
/// Parameters:
/// - cursor: borrowed.
/// - size_bytes: 0 gives an address of its own, too.
/// - align_bytes: a power of two of at most 2 MiB; 0: 16.
/// - out: written only on success, else NULL; belongs to the arena.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE,
/// OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a cursor.
/// NULL: cursor NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_cursor_alloc(
    cursor: *mut ostler_cursor,
    size_bytes: u64,
    align_bytes: u64,
    out: *mut *mut c_void,
) -> ostler_status {
    // An open cursor with room needs no guard: it has nothing that could fail, and none is open in a forked child.
    if let Some(open) = cursor::open_at(cursor.cast())
        && let Some(block) = Block::new(size_bytes, align_bytes)
        && !out.is_null()
        && let Some(start) = open.region.bump(block)
    {
        // SAFETY: as the header asks.
        unsafe { out.write(start.cast()) };
        return OSTLER_OK;
    }
    alloc_slowly(cursor, size_bytes, align_bytes, out)
}

#[cold]
fn alloc_slowly(cursor: *mut ostler_cursor, size_bytes: u64, align_bytes: u64, out: *mut *mut c_void) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with_arena_of(cursor, |arena, slot| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        *out = arena.alloc_through(slot, size_bytes, align_bytes)?.cast();
        Ok(())
    })
}

/// Closes a cursor. What was allocated through it stays. Closing the last cursor of a destroyed arena gives the arena's
/// memory back.
///
/// Parameters:
/// - cursor: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: no other thread may use the cursor meanwhile; any thread may close it.
/// NULL: cursor NULL is OSTLER_OK and does nothing.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_cursor_close(cursor: *mut ostler_cursor) -> ostler_status {
    if cursor.is_null() {
        return OSTLER_OK;
    }
    with_arena_of(cursor, |arena, slot| {
        if arena.close_cursor(slot) { Ok(()) } else { Err(CursorError::Closed(cursor as usize).into()) }
    })
}

/// A call on behalf of a cursor, whose arena may be destroyed already.
fn with_arena_of(
    cursor: *mut ostler_cursor,
    body: impl FnOnce(&Pin<Arena>, Slot) -> Result<(), Failure>,
) -> ostler_status {
    match Slot::find(cursor.cast()) {
        Ok((slot, arena)) => with_child(arena as *mut ostler_arena, |arena| body(arena, slot)),
        Err(error) => guard(|| Err(error.into())),
    }
}
