//! The rack: where magazines are kept.
//!
//! The structs that hosts see lie in one stretch of address space that is never given back. So a pointer that a caller
//! presents is looked up by its address alone: it is a magazine of ours, a closed one, or nothing of ours, and nothing is
//! read through it before that is known.

use super::super::system;
use super::magazine::{CALLS_ONLY, LAYOUT, Magazine, Setup};
use crate::base::alloc::OutOfMemory;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RackError {
    #[error("magazine is NULL")]
    Null,
    #[error("magazine {0:#x} is not one that this library gave out")]
    Stray(usize),
    #[error("magazine {0:#x} was closed")]
    Closed(usize),
    #[error("too many magazines: {MOST} are open")]
    Full,
    #[error("there is no room for another magazine: errno {0}")]
    System(i32),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

const MOST: u32 = 1 << 16;
/// Magazines whose memory is made usable at once: whole pages, of whatever size.
const STEP: u32 = 1 << 10;
const MAGAZINE_SPACE: u64 = MOST as u64 * size_of::<Magazine>() as u64;
const OWNER_SPACE: u64 = MOST as u64 * size_of::<AtomicU64>() as u64;
/// So many must have been closed since before a magazine is given out again, to tell stale pointers for longer.
const REST: usize = 1 << 8;

/// The first magazine; behind the last one stands for each the handle of its slab, or 0 while it is closed.
static MAGAZINES: AtomicPtr<Magazine> = AtomicPtr::new(std::ptr::null_mut());
/// How many magazines have memory behind them.
static USABLE: AtomicU32 = AtomicU32::new(0);
static VACANCIES: Mutex<Vacancies> = Mutex::new(Vacancies { closed: VecDeque::new(), fresh: 0 });

struct Vacancies {
    /// Magazines to give out again, oldest first.
    closed: VecDeque<u32>,
    /// The first that was never given out.
    fresh: u32,
}

/// The place of a magazine in the rack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// Opens a magazine of a slab.
    pub fn open(slab: u64, setup: &Setup) -> Result<Self, RackError> {
        let place = Self::vacant()?;
        place.owner().store(slab, SeqCst);
        place.magazine().set_up(setup);
        Ok(place)
    }

    fn vacant() -> Result<Self, RackError> {
        let mut vacancies = VACANCIES.lock();
        let rested = vacancies.closed.len() >= REST || vacancies.fresh == MOST;
        if let Some(index) = if rested { vacancies.closed.pop_front() } else { None } {
            return Ok(Self(index));
        }
        let index = vacancies.fresh;
        if index == MOST {
            return Err(RackError::Full);
        }
        make_usable(index)?;
        // So that closing never needs memory.
        let refusal = OutOfMemory { bytes: u64::from(index) * 4 };
        vacancies.closed.try_reserve(index as usize + 1).map_err(|_| refusal)?;
        vacancies.fresh = index + 1;
        Ok(Self(index))
    }

    /// The magazine behind a pointer that a caller presents, and the handle of its slab.
    pub fn find(pointer: *const Magazine) -> Result<(Self, u64), RackError> {
        if pointer.is_null() {
            return Err(RackError::Null);
        }
        let place = Self::at(pointer).ok_or(RackError::Stray(pointer as usize))?;
        match place.owner().load(SeqCst) {
            0 => Err(RackError::Closed(pointer as usize)),
            slab => Ok((place, slab)),
        }
    }

    /// By its address alone.
    #[inline]
    fn at(pointer: *const Magazine) -> Option<Self> {
        let usable = USABLE.load(Acquire);
        let offset = (pointer as usize).wrapping_sub(MAGAZINES.load(Relaxed) as usize);
        let index = offset / size_of::<Magazine>();
        (offset.is_multiple_of(size_of::<Magazine>()) && index < usable as usize).then_some(Self(index as u32))
    }

    /// Takes it from the host, empty as it must be by now. Of several callers one does it.
    pub fn close(self, slab: u64) -> bool {
        let is_first = self.owner().compare_exchange(slab, 0, SeqCst, SeqCst).is_ok();
        if is_first {
            self.magazine().close();
        }
        is_first
    }

    /// Makes a closed magazine vacant.
    pub fn vacate(self) {
        VACANCIES.lock().closed.push_back(self.0);
    }

    #[inline]
    pub fn magazine(self) -> &'static Magazine {
        // SAFETY: a place is below USABLE, and the stretch is never given back.
        unsafe { &*MAGAZINES.load(Acquire).add(self.0 as usize) }
    }

    fn owner(self) -> &'static AtomicU64 {
        // SAFETY: as above; the owners stand behind the last magazine, zeroed, which is none.
        unsafe { &*MAGAZINES.load(Acquire).add(MOST as usize).cast::<AtomicU64>().add(self.0 as usize) }
    }
}

/// The magazine at an address that its own thread can use without a look at anything else. `None` sends the call the
/// long way, which says what is wrong.
#[inline]
pub fn open_at(pointer: *const Magazine) -> Option<&'static Magazine> {
    let magazine = Place::at(pointer)?.magazine();
    (magazine.layout() == LAYOUT).then_some(magazine)
}

/// The layout of an open magazine, whether inline code may use it or not.
pub fn layout(is_inline: bool) -> u32 {
    if is_inline { LAYOUT } else { CALLS_ONLY }
}

/// Puts memory behind the magazine with this index, and the ones after it.
fn make_usable(index: u32) -> Result<(), RackError> {
    if index < USABLE.load(Relaxed) {
        return Ok(());
    }
    let mut magazines = MAGAZINES.load(Acquire);
    if magazines.is_null() {
        let space = system::reserve(MAGAZINE_SPACE + OWNER_SPACE).map_err(RackError::System)?.as_ptr();
        // In a forked child every magazine then has the layout 0, and its inline code calls the library, which says no.
        // A kernel without this advice lets a child go on with its copy of the memory.
        // SAFETY: the space was just reserved and has no contents.
        let _ = unsafe { system::advise(space, MAGAZINE_SPACE, libc::MADV_WIPEONFORK) };
        magazines = space.cast();
        MAGAZINES.store(magazines, Release);
    }
    let bytes = |each: usize| u64::from(STEP) * each as u64;
    let owners = index / PAGE_OF_OWNERS * PAGE_OF_OWNERS;
    // SAFETY: both ranges lie in the reserved space: `index` is a multiple of STEP and below MOST.
    unsafe {
        let owner = magazines.add(MOST as usize).cast::<AtomicU64>().add(owners as usize);
        let first = magazines.add(index as usize);
        system::commit(first.cast(), bytes(size_of::<Magazine>())).map_err(RackError::System)?;
        system::commit(owner.cast(), u64::from(PAGE_OF_OWNERS) * 8).map_err(RackError::System)?;
    }
    USABLE.store(index + STEP, Release);
    Ok(())
}

/// Owners whose memory is made usable at once.
const PAGE_OF_OWNERS: u32 = 1 << 13;

#[cfg(test)]
mod tests {
    use super::super::geometry::Geometry;
    use super::*;

    const SLAB: u64 = 7;

    fn setup() -> Setup {
        let geometry = Geometry::new(4096 as *mut u8, 64, 10);
        Setup { geometry, states: 0, capacity: 4, inline_capacity: 4, layout: LAYOUT }
    }

    #[test]
    fn pointers_are_told_apart_without_looking_through_them() {
        let _quiet = super::super::super::testing::quiet();
        let place = Place::open(SLAB, &setup()).unwrap();
        let magazine: *const Magazine = place.magazine();
        let other = 0u64;
        assert_eq!(Place::find(magazine), Ok((place, SLAB)));
        assert_eq!(Place::find(std::ptr::null()), Err(RackError::Null));
        for stray in [16, usize::MAX, &raw const other as usize, magazine as usize + 8, magazine as usize + (1 << 40)] {
            assert_eq!(Place::find(stray as *const Magazine), Err(RackError::Stray(stray)));
            assert!(open_at(stray as *const Magazine).is_none());
        }
        assert!(!place.close(SLAB + 1) && place.close(SLAB) && !place.close(SLAB));
        assert_eq!(Place::find(magazine), Err(RackError::Closed(magazine as usize)));
        assert!(open_at(magazine).is_none());
        place.vacate();
    }

    #[test]
    fn more_magazines_than_are_made_usable_at_once_can_be_open() {
        let _quiet = super::super::super::testing::quiet();
        let places: Vec<_> = (0..2 * STEP + 5).map(|_| Place::open(SLAB, &setup()).unwrap()).collect();
        for place in places {
            assert_eq!(Place::find(place.magazine()), Ok((place, SLAB)));
            assert!(place.close(SLAB));
            place.vacate();
        }
    }
}
