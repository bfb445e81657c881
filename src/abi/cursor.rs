//! Cursor: a region of an arena that one thread allocates from inline, without a call; see ostler_inline.h.

use super::arena::ostler_arena;
use super::arguments::{clear, null, output};
use super::guard::{guard, with, with_child};
use super::mark::ostler_mark;
use super::status::{Failure, OSTLER_OK, ostler_status};
use crate::base::handles::Pin;
use crate::memory::arena::cursor::{self, Cursor, Moment, Slot};
use crate::memory::arena::region::Block;
use crate::memory::arena::{Arena, Mark};
use std::ffi::c_void;
use std::mem::offset_of;

/// The layout of marks that ostler_inline.h of this version knows. A library with another one writes another number into
/// its cursors, and inline code calls it to mark and to rewind. To allocate, inline code needs `inline_end` alone.
pub const OSTLER_CURSOR_LAYOUT: u32 = 1;

/// The lowest bits of a cursor's mark say which of its moments it is; the others count.
pub const OSTLER_CURSOR_PLACE_BITS: u32 = 20;

/// A moment of a cursor that was marked; for ostler_inline.h.
#[repr(C)]
pub struct ostler_cursor_moment {
    /// Of its mark.
    pub serial: u64,
    /// Where the free part of the region began.
    pub next: *mut u8,
    /// Where the region ended.
    pub end: *mut u8,
    /// The stage of the cursor.
    pub stage: u64,
}

/// One thread's bump region in an arena, made by ostler_cursor_open. The fields are for ostler_inline.h; programs use
/// its functions, or ostler_cursor_alloc, ostler_cursor_mark and ostler_cursor_rewind.
#[repr(C)]
pub struct ostler_cursor {
    /// OSTLER_CURSOR_LAYOUT, or another number that sends every mark and rewind into the library.
    pub layout: u32,
    /// How many moments are marked.
    pub depth: u32,
    /// Where the free part of the region begins.
    pub next: *mut u8,
    /// Where the region ends, for marks; NULL when there is none.
    pub end: *mut u8,
    /// Another one whenever the library did something for the cursor.
    pub stage: u64,
    /// The moments that are marked.
    pub moments: *mut ostler_cursor_moment,
    /// What marks count with.
    pub count: u64,
    /// How many moments there is room for.
    pub capacity: u32,
    /// The library's own.
    pub private_word: u32,
    /// Up to where inline code allocates: in every layout `next` and `inline_end` lie here, and any version may allocate up
    /// to `inline_end`; NULL sends each allocation into the library. The layout is about marks.
    pub inline_end: *mut u8,
}

const _: () = assert!(
    size_of::<ostler_cursor>() == 64
        && size_of::<ostler_cursor>() == size_of::<Cursor>()
        && offset_of!(ostler_cursor, layout) == 0
        && offset_of!(ostler_cursor, next) == offset_of!(Cursor, region)
        && offset_of!(ostler_cursor, next) == 8
        && offset_of!(ostler_cursor, end) == 16
        && offset_of!(ostler_cursor, stage) == 24
        && offset_of!(ostler_cursor, moments) == 32
        && offset_of!(ostler_cursor, count) == 40
        && offset_of!(ostler_cursor, capacity) == 48
        && offset_of!(ostler_cursor, inline_end) == offset_of!(Cursor, inline_end)
        && offset_of!(ostler_cursor, inline_end) == 56
        && size_of::<ostler_cursor_moment>() == 32
        && size_of::<ostler_cursor_moment>() == size_of::<Moment>()
        && offset_of!(ostler_cursor_moment, next) == 8
        && offset_of!(ostler_cursor_moment, stage) == 24
        && OSTLER_CURSOR_PLACE_BITS == cursor::PLACE_BITS
        && OSTLER_CURSOR_LAYOUT == cursor::LAYOUT
);

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

/// Remembers where a cursor is. Marks nest, one inside another. Does the same as ostler_cursor_mark_inline, which calls it
/// when there is no room for one more. A mark that is never rewound to takes 32 bytes, and as many again for each region
/// that follows, until the arena is reset.
///
/// Parameters:
/// - cursor: borrowed.
/// - out: written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_LIMIT (1048576 marks), OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a cursor.
/// NULL: cursor NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_cursor_mark(cursor: *mut ostler_cursor, out: *mut ostler_mark) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, ostler_mark::EMPTY) };
    // As in ostler_cursor_alloc.
    if let Some(open) = cursor::open_at(cursor.cast())
        && !out.is_null()
        && let Some(serial) = open.mark()
    {
        // SAFETY: as the header asks.
        unsafe { out.write(ostler_mark { owner: open.address(), serial }) };
        return OSTLER_OK;
    }
    with_arena_of(cursor, |arena, slot| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, ostler_mark::EMPTY)? };
        *out = arena.mark_cursor(slot)?.into();
        Ok(())
    })
}

/// Frees everything that was allocated through a cursor since a mark of it. The mark is stale then, and so are those that
/// were made after it. What other cursors and threads allocated stays. Does the same as ostler_cursor_rewind_inline, which
/// calls it when the cursor is in another region than it was, and when the mark is stale: that, too, are all marks of a
/// cursor after ostler_arena_reset, ostler_arena_mark, ostler_arena_rewind, and the begin or hand-over of a region.
///
/// Parameters:
/// - cursor: borrowed.
/// - mark: borrowed during the call.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_STALE_MARK, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-bound: one thread at a time uses a cursor.
/// NULL: cursor NULL is OSTLER_E_INVALID_HANDLE; mark must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_cursor_rewind(cursor: *mut ostler_cursor, mark: *const ostler_mark) -> ostler_status {
    // As in ostler_cursor_alloc.
    if let Some(open) = cursor::open_at(cursor.cast())
        // SAFETY: a non-null mark is readable, as the header asks.
        && let Some(mark) = unsafe { mark.as_ref() }
        && mark.owner == open.address()
        && open.rewind_within_stage(mark.serial)
    {
        return OSTLER_OK;
    }
    with_arena_of(cursor, |arena, slot| {
        // SAFETY: as above.
        let mark = unsafe { mark.as_ref() }.ok_or_else(|| null("mark"))?;
        Ok(arena.rewind_cursor(slot, Mark::from(*mark))?)
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
    with_arena_of(cursor, |arena, slot| Ok(arena.close_cursor(slot)?))
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
