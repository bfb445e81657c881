//! Cursors: regions that a host's thread holds itself, so that its code can allocate inline.
//!
//! The struct that the host sees lies in one stretch of address space that is never given back. So a pointer that a
//! caller presents is looked up by its address alone: it is a cursor of ours, a closed one, or nothing of ours, and
//! nothing is read through it before that is known. What the library knows of a cursor is kept beside, where a stray
//! write of the host does not reach it so easily.

use super::super::system;
use super::region::Region;
use crate::base::alloc::OutOfMemory;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// The layout that inline code of this version knows. 0 sends every allocation into the library.
pub const LAYOUT: u32 = 1;

/// What the host sees of a cursor.
#[repr(C, align(64))]
pub struct Cursor {
    layout: AtomicU32,
    _reserved: u32,
    pub region: Region,
    _private: [u64; 5],
}

const _: () = assert!(size_of::<Cursor>() == 64 && std::mem::offset_of!(Cursor, region) == 8);

impl Cursor {
    #[inline]
    pub fn is_inline(&self) -> bool {
        self.layout.load(Relaxed) == LAYOUT
    }
}

/// What the library knows of a cursor.
struct Record {
    /// The arena's handle; 0 while the cursor is closed.
    arena: AtomicU64,
    /// Where it stands in its arena's list of open cursors, which guards this.
    place: AtomicU32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    #[error("cursor is NULL")]
    Null,
    #[error("cursor {0:#x} is not one that this library gave out")]
    Stray(usize),
    #[error("cursor {0:#x} was closed")]
    Closed(usize),
    #[error("too many cursors: {MOST} are open")]
    Full,
    #[error("there is no room for another cursor: errno {0}")]
    System(i32),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

const MOST: u32 = 1 << 18;
/// Cursors whose memory is made usable at once.
const STEP: u32 = 1 << 10;
const CURSOR_SPACE: u64 = MOST as u64 * size_of::<Cursor>() as u64;
const RECORD_SPACE: u64 = MOST as u64 * size_of::<Record>() as u64;
/// So many must have been closed since before a cursor is given out again, to tell stale pointers for longer.
const REST: usize = 1 << 10;

/// The first cursor; the records stand behind the last one.
static CURSORS: AtomicPtr<Cursor> = AtomicPtr::new(std::ptr::null_mut());
/// How many cursors have memory behind them.
static USABLE: AtomicU32 = AtomicU32::new(0);
static VACANCIES: Mutex<Vacancies> = Mutex::new(Vacancies { closed: VecDeque::new(), fresh: 0 });

struct Vacancies {
    /// Cursors to give out again, oldest first.
    closed: VecDeque<u32>,
    /// The first that was never given out.
    fresh: u32,
}

/// A cursor that is open, or is about to be opened or closed: its number in the stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// Takes a vacant cursor for an arena. It stays closed to the host until [`Slot::open`].
    pub fn take(arena: u64) -> Result<Self, CursorError> {
        let mut vacancies = VACANCIES.lock();
        let rested = vacancies.closed.len() >= REST || vacancies.fresh == MOST;
        let index = match if rested { vacancies.closed.pop_front() } else { None } {
            Some(index) => index,
            None => {
                let index = vacancies.fresh;
                if index == MOST {
                    return Err(CursorError::Full);
                }
                make_usable(index)?;
                // So that closing never needs memory.
                let refusal = OutOfMemory { bytes: u64::from(index) * 4 };
                vacancies.closed.try_reserve(index as usize + 1).map_err(|_| refusal)?;
                vacancies.fresh = index + 1;
                index
            }
        };
        let slot = Self(index);
        slot.record().arena.store(arena, SeqCst);
        Ok(slot)
    }

    /// The cursor behind a pointer that a caller presents, and its arena.
    pub fn find(pointer: *const Cursor) -> Result<(Self, u64), CursorError> {
        if pointer.is_null() {
            return Err(CursorError::Null);
        }
        let slot = Self::at(pointer).ok_or(CursorError::Stray(pointer as usize))?;
        match slot.record().arena.load(SeqCst) {
            0 => Err(CursorError::Closed(pointer as usize)),
            arena => Ok((slot, arena)),
        }
    }

    /// By its address alone.
    #[inline]
    fn at(pointer: *const Cursor) -> Option<Self> {
        let usable = USABLE.load(Acquire);
        let offset = (pointer as usize).wrapping_sub(CURSORS.load(Relaxed) as usize);
        let index = offset / size_of::<Cursor>();
        (offset.is_multiple_of(size_of::<Cursor>()) && index < usable as usize).then_some(Self(index as u32))
    }

    /// Gives it to the host, whose inline code may use it only if `inline`.
    pub fn open(self, inline: bool) -> *mut Cursor {
        let cursor = self.cursor();
        cursor.region.empty();
        cursor.layout.store(if inline { LAYOUT } else { 0 }, Release);
        (&raw const *cursor).cast_mut()
    }

    /// Takes it from the host. Of several callers one does it.
    pub fn close(self, arena: u64) -> bool {
        if self.record().arena.compare_exchange(arena, 0, SeqCst, SeqCst).is_err() {
            return false;
        }
        let cursor = self.cursor();
        cursor.layout.store(0, Relaxed);
        cursor.region.empty();
        true
    }

    /// Makes a closed cursor vacant. No more is said about it to its arena.
    pub fn vacate(self) {
        VACANCIES.lock().closed.push_back(self.0);
    }

    pub fn cursor(self) -> &'static Cursor {
        // SAFETY: a slot is below USABLE, and the stretch is never given back.
        unsafe { &*CURSORS.load(Acquire).add(self.0 as usize) }
    }

    fn record(self) -> &'static Record {
        // SAFETY: as above; the records stand behind the last cursor, zeroed, which is a closed record.
        unsafe { &*CURSORS.load(Acquire).add(MOST as usize).cast::<Record>().add(self.0 as usize) }
    }

    pub fn place(self) -> usize {
        self.record().place.load(Relaxed) as usize
    }

    pub fn set_place(self, place: usize) {
        self.record().place.store(place as u32, Relaxed);
    }
}

/// The open cursor at an address that inline code may use, for an allocation that needs nothing else. `None` sends the call the long way, which
/// says what is wrong.
#[inline]
pub fn open_at(pointer: *const Cursor) -> Option<&'static Cursor> {
    let cursor = Slot::at(pointer)?.cursor();
    cursor.is_inline().then_some(cursor)
}

/// Puts memory behind the cursor with this number, and the ones after it.
fn make_usable(index: u32) -> Result<(), CursorError> {
    if index < USABLE.load(Relaxed) {
        return Ok(());
    }
    let mut cursors = CURSORS.load(Acquire);
    if cursors.is_null() {
        let space = system::reserve(CURSOR_SPACE + RECORD_SPACE).map_err(CursorError::System)?.as_ptr();
        // In a forked child every cursor then has the layout 0, and its inline code calls the library, which says no.
        // A kernel without this advice lets a child go on with its copy of the memory.
        // SAFETY: the space was just reserved and has no contents.
        let _ = unsafe { system::advise(space, CURSOR_SPACE, libc::MADV_WIPEONFORK) };
        cursors = space.cast();
        CURSORS.store(cursors, Release);
    }
    let step = |bytes: usize| u64::from(STEP) * bytes as u64;
    // SAFETY: both ranges lie in the reserved space: `index` is a multiple of STEP and below MOST.
    unsafe {
        let records = cursors.add(MOST as usize).cast::<Record>().add(index as usize);
        system::commit(cursors.add(index as usize).cast(), step(size_of::<Cursor>())).map_err(CursorError::System)?;
        system::commit(records.cast(), step(size_of::<Record>())).map_err(CursorError::System)?;
    }
    USABLE.store(index + STEP, Release);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_told_apart_without_looking_through_them() {
        let _quiet = super::super::super::testing::quiet();
        let slot = Slot::take(7).unwrap();
        let cursor = slot.open(true);
        let other = 0u64;
        assert_eq!(Slot::find(cursor), Ok((slot, 7)));
        assert_eq!(Slot::find(std::ptr::null()), Err(CursorError::Null));
        let strays = [16, usize::MAX, &raw const other as usize, cursor as usize + 8, cursor as usize + (1 << 40)];
        for stray in strays {
            assert_eq!(Slot::find(stray as *const Cursor), Err(CursorError::Stray(stray)));
            assert!(open_at(stray as *const Cursor).is_none());
        }
        assert!(!slot.close(8));
        assert!(slot.close(7));
        assert!(!slot.close(7));
        assert_eq!(Slot::find(cursor), Err(CursorError::Closed(cursor as usize)));
        assert!(open_at(cursor).is_none());
        slot.vacate();
    }

    #[test]
    fn a_closed_cursor_rests_before_it_is_given_out_again() {
        let _quiet = super::super::super::testing::quiet();
        let first = Slot::take(7).unwrap();
        assert!(first.close(7));
        first.vacate();
        for _ in 0..REST / 2 {
            let next = Slot::take(7).unwrap();
            assert_ne!(next, first);
            assert!(next.close(7));
            next.vacate();
        }
    }
}
