//! Hand-over: an arena, or a region of it, goes from one owner to another, a thread or a worker, without a copy: what it
//! holds stays at its addresses, and the account that pays for it goes along.

use super::arena::ostler_arena;
use super::arguments::{clear, null, output};
use super::guard::with;
use super::mark::ostler_mark;
use super::status::{OSTLER_OK, ostler_status};
use crate::base::handles::{self, Kind, Pin};
use crate::memory::arena::{Arena, Mark};

/// Hands an arena over: everything that it holds is from now on behind a new handle, for whoever is given that, and the
/// giver's handle is invalid, so that it cannot be used by mistake. Memory stays where it is, the account goes along;
/// marks become stale.
///
/// Parameters:
/// - arena: owned; invalid afterwards, unless the call failed.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_arena_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_BUSY (cursors are open: whoever gives an arena away keeps no way into it), OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_LIMIT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no other thread may allocate from the arena meanwhile; other calls are waited for.
/// NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: waits for other calls on the arena to return; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_hand_over(
    arena: *mut ostler_arena,
    out: *mut *mut ostler_arena,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    let status = with(arena, |giver: &Pin<Arena>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        let slot = handles::reserve(Kind::Arena)?;
        let heir = giver.hand_over(slot.owner())?;
        *out = slot.publish(heir) as *mut ostler_arena;
        Ok(())
    });
    if status == OSTLER_OK {
        // What is left is empty and closed. A call further out on this thread, or another thread, may end it instead.
        let _ = handles::destroy::<Arena>(arena as u64);
    }
    status
}

/// Begins a region of an arena: what is allocated from now on lies in chunks of its own, which can be handed over by
/// themselves. The mark is one to rewind to as well.
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
pub unsafe extern "C" fn ostler_arena_begin_region(arena: *mut ostler_arena, out: *mut ostler_mark) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, ostler_mark::EMPTY) };
    with(arena, |arena: &Pin<Arena>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, ostler_mark::EMPTY)? };
        *out = arena.begin_region()?.into();
        Ok(())
    })
}

/// Hands a region over: everything that was allocated since its beginning moves into another arena, at the same
/// addresses, and goes with that arena's reset. The bytes of its chunks count for that arena's limit and account; the
/// mark, and those made after it, become stale.
///
/// Parameters:
/// - arena: borrowed.
/// - region: borrowed during the call; what ostler_arena_begin_region of this arena gave.
/// - into: borrowed; another arena.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (the mark begins no region, or into is the same arena),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_STALE_MARK, OSTLER_E_LIMIT (that of into),
/// OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Exclusive: no other thread may allocate from either arena or their cursors meanwhile.
/// NULL: arena NULL or into NULL is OSTLER_E_INVALID_HANDLE; region must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_arena_hand_over_region(
    arena: *mut ostler_arena,
    region: *const ostler_mark,
    into: *mut ostler_arena,
) -> ostler_status {
    with(arena, |arena: &Pin<Arena>| {
        // SAFETY: a non-null mark is readable, as the header asks.
        let region = unsafe { region.as_ref() }.ok_or_else(|| null("region"))?;
        let into = handles::pin::<Arena>(into as u64)?;
        Ok(arena.hand_over_region(Mark::from(*region), &into)?)
    })
}
