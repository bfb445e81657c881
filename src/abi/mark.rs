//! Mark: a moment of an arena or of a cursor, to which it can be rewound.

use super::arena::ostler_arena;
use super::arguments::{clear, null, output};
use super::guard::{seated, with};
use super::status::{OSTLER_OK, ostler_status};
use crate::base::handles::Pin;
use crate::memory::arena::{Arena, Mark};

/// A moment of an arena or of a cursor, which it can be rewound to. A value: copied freely, never freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_mark {
    /// The arena's handle, or the cursor's address.
    pub owner: u64,
    /// Which of its marks; never used again.
    pub serial: u64,
}

impl ostler_mark {
    pub(super) const EMPTY: Self = Self { owner: 0, serial: 0 };
}

impl From<Mark> for ostler_mark {
    fn from(mark: Mark) -> Self {
        Self { owner: mark.owner, serial: mark.serial }
    }
}

impl From<ostler_mark> for Mark {
    fn from(mark: ostler_mark) -> Self {
        Self { owner: mark.owner, serial: mark.serial }
    }
}

/// Remembers this moment of an arena. The marks of its cursors are stale from then on.
///
/// Parameters:
/// - arena: borrowed.
/// - out: written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no other thread may allocate from the arena or its cursors meanwhile.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_mark(arena: *mut ostler_arena, out: *mut ostler_mark) -> ostler_status {
    if !out.is_null()
        && let Some(arena) = seated::<_, Arena>(arena)
        && let Some(mark) = arena.mark_at_hand()
    {
        // SAFETY: as the header asks.
        unsafe { out.write(mark.into()) };
        return OSTLER_OK;
    }
    mark_guarded(arena, out)
}

/// The way to a moment that was not marked before.
#[cold]
#[inline(never)]
extern "C" fn mark_guarded(arena: *mut ostler_arena, out: *mut ostler_mark) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, ostler_mark::EMPTY) };
    with(arena, |arena: &Pin<Arena>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, ostler_mark::EMPTY)? };
        *out = arena.mark()?.into();
        Ok(())
    })
}

/// Frees everything that was allocated since a mark. The mark stays valid, later ones and those of cursors become stale;
/// pages are kept.
///
/// Parameters:
/// - arena: borrowed.
/// - mark: borrowed during the call.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_STALE_MARK, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no other thread may allocate from the arena or its cursors meanwhile.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; mark must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_rewind(arena: *mut ostler_arena, mark: *const ostler_mark) -> ostler_status {
    // SAFETY: a non-null mark is readable, as the header asks.
    if let Some(mark) = unsafe { mark.as_ref() }
        && let Some(arena) = seated::<_, Arena>(arena)
        && arena.rewind_at_hand(Mark::from(*mark))
    {
        return OSTLER_OK;
    }
    rewind_guarded(arena, mark)
}

/// The way to a mark that is not the last one, and past what other threads allocated.
#[cold]
#[inline(never)]
extern "C" fn rewind_guarded(arena: *mut ostler_arena, mark: *const ostler_mark) -> ostler_status {
    with(arena, |arena: &Pin<Arena>| {
        // SAFETY: a non-null mark is readable, as the header asks.
        let mark = unsafe { mark.as_ref() }.ok_or_else(|| null("mark"))?;
        Ok(arena.rewind(Mark::from(*mark))?)
    })
}
