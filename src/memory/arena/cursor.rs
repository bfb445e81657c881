//! A cursor: a region that a host's thread holds itself, so that its code can allocate, mark and rewind inline.
//!
//! Cursors lie in a [`Stretch`]. Beside the region each has a stack of the moments that were marked and not yet gone back
//! to. The number of a mark says where in the stack its moment is, and is never used again, so whether a mark is good is one
//! comparison. A *stage* is the time in which the library did nothing for the cursor: what was marked in the present stage
//! is gone back to by setting where the region goes on, and anything else is the arena's business.

use super::super::stretch::{Stretch, StretchError};
use super::region::Region;
use crate::base::alloc::{self, OutOfMemory};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// The layout of marks that inline code of this version knows. 0 sends every mark and rewind into the library.
pub const LAYOUT: u32 = 1;
/// The lowest bits of a mark's number are the place of its moment, the others count.
pub const PLACE_BITS: u32 = 20;
const FIRST_MOMENTS: usize = 16;
pub const MOST_MOMENTS: u32 = 1 << PLACE_BITS;

static CURSORS: Stretch<Cursor> = Stretch::new("cursor", 1 << 18);

/// What the host sees of a cursor.
#[repr(C, align(64))]
pub struct Cursor {
    layout: AtomicU32,
    /// How many moments are marked.
    depth: AtomicU32,
    pub region: Region,
    stage: AtomicU64,
    moments: AtomicPtr<Moment>,
    /// What the numbers of marks and stages count with, in the bits above the place.
    count: AtomicU64,
    /// How many moments there is room for; 0 sends the next mark into the library.
    capacity: AtomicU32,
    /// Where its arena keeps it; to be looked at again, because the host can write there.
    pub place: AtomicU32,
    /// Up to where inline code of every version allocates; NULL where each allocation is the library's.
    pub inline_end: AtomicPtr<u8>,
}

const _: () = assert!(size_of::<Cursor>() == 64 && std::mem::offset_of!(Cursor, region) == 8);

/// A moment that was marked.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Moment {
    serial: AtomicU64,
    next: AtomicPtr<u8>,
    end: AtomicPtr<u8>,
    stage: AtomicU64,
}

/// Where a cursor is gone back to.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub next: *mut u8,
    pub end: *mut u8,
    pub stage: u64,
}

impl Place {
    /// What is left of the region there.
    pub fn bytes(&self) -> u64 {
        self.end as u64 - self.next as u64
    }
}

/// When a mark was made, as the steps of a trail are counted.
pub fn count_of(serial: u64) -> u64 {
    serial >> PLACE_BITS
}

impl Cursor {
    #[inline]
    pub fn is_inline(&self) -> bool {
        self.layout.load(Relaxed) == LAYOUT
    }

    pub fn address(&self) -> u64 {
        (&raw const *self) as u64
    }

    pub fn is_marked(&self) -> bool {
        self.depth.load(Relaxed) > 0
    }

    /// Whether it was ever marked since its region was last taken away with every mark.
    pub fn was_marked(&self) -> bool {
        self.is_marked() || self.capacity.load(Relaxed) > 0
    }

    pub fn stage(&self) -> u64 {
        self.stage.load(Relaxed)
    }

    /// For its thread: marks this moment, and tells the number. `None`: there is no room for it.
    #[inline]
    pub fn mark(&self) -> Option<u64> {
        let depth = self.depth.load(Relaxed);
        let moment = self.moment(depth)?;
        let serial = self.count_on() << PLACE_BITS | u64::from(depth);
        moment.serial.store(serial, Relaxed);
        moment.next.store(self.region.next(), Relaxed);
        moment.end.store(self.region.end(), Relaxed);
        moment.stage.store(self.stage(), Relaxed);
        self.depth.store(depth + 1, Relaxed);
        Some(serial)
    }

    /// Where the cursor was at a mark, unless it was gone back to, or past.
    #[inline]
    pub fn find(&self, serial: u64) -> Option<Place> {
        let place = serial as u32 % MOST_MOMENTS;
        let moment = self.moment(place).filter(|_| place < self.depth.load(Relaxed))?;
        let is_it = moment.serial.load(Relaxed) == serial;
        is_it.then(|| {
            let (next, end) = (moment.next.load(Relaxed), moment.end.load(Relaxed));
            // Of a region that was empty nothing is left, wherever it lay.
            Place { next, end: if end.is_null() { next } else { end }, stage: moment.stage.load(Relaxed) }
        })
    }

    /// For its thread, in the stage of the mark: goes back to it.
    #[inline]
    pub fn rewind_within_stage(&self, serial: u64) -> bool {
        let found = self.find(serial).filter(|place| place.stage == self.stage());
        if let Some(place) = found {
            // Its end is as it was, or gone because the arena is destroyed.
            self.region.go_back(place.next);
            self.forget_from(serial);
        }
        found.is_some()
    }

    /// The region goes on there.
    pub fn go_on_at(&self, place: &Place) {
        self.fill(place.next, place.end);
        self.stage.store(place.stage, Relaxed);
    }

    pub fn fill(&self, start: *mut u8, end: *mut u8) {
        self.region.fill(start, end);
        if self.is_inline() {
            self.inline_end.store(end, Relaxed);
        }
    }

    /// Takes the region away.
    pub fn empty_region(&self) {
        self.region.empty();
        self.inline_end.store(std::ptr::null_mut(), Relaxed);
    }

    /// This mark and those made after it are stale from now on.
    #[inline]
    pub fn forget_from(&self, serial: u64) {
        self.depth.store(serial as u32 % MOST_MOMENTS, Relaxed);
    }

    /// For its thread: begins another stage, and tells which.
    pub fn next_stage(&self) -> u64 {
        let stage = self.count_on();
        self.stage.store(stage, Relaxed);
        stage
    }

    /// Takes the region away, and with it every mark. The arena hears of the next one.
    pub fn empty(&self) {
        self.empty_region();
        self.depth.store(0, Relaxed);
        self.capacity.store(0, Relaxed);
    }

    fn count_on(&self) -> u64 {
        let count = count_of(self.count.load(Relaxed)) + 1;
        self.count.store(count << PLACE_BITS, Relaxed);
        count
    }

    #[inline]
    fn moment(&self, place: u32) -> Option<&Moment> {
        let moments = self.moments.load(Relaxed);
        let is_there = place < self.capacity.load(Relaxed);
        // SAFETY: there are so many, and they stay while the cursor is open.
        is_there.then(|| unsafe { &*moments.add(place as usize) })
    }
}

/// The memory of a cursor's moments, kept by its arena.
#[derive(Debug, Default)]
pub struct Moments(Box<[Moment]>);

impl Moments {
    /// Makes room for marks, for the thread of the cursor: what there is, or twice as much when it has that.
    pub fn make_room(&mut self, cursor: &Cursor) -> Result<(), OutOfMemory> {
        if cursor.capacity.load(Relaxed) as usize >= self.0.len() {
            self.grow()?;
        }
        cursor.moments.store(self.0.as_mut_ptr(), Relaxed);
        cursor.capacity.store(self.0.len() as u32, Relaxed);
        Ok(())
    }

    fn grow(&mut self) -> Result<(), OutOfMemory> {
        let count = (self.0.len() * 2).max(FIRST_MOMENTS).min(MOST_MOMENTS as usize);
        let mut more = alloc::try_vec(count)?;
        more.extend(std::mem::take(&mut self.0));
        more.resize_with(count, Moment::default);
        self.0 = more.into_boxed_slice();
        Ok(())
    }
}

/// A cursor that is open, or is about to be opened or closed: its number in the stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// Takes a vacant cursor for an arena. It stays closed to the host until [`Slot::open`].
    pub fn take(arena: u64) -> Result<Self, StretchError> {
        CURSORS.take(arena).map(Self)
    }

    /// The cursor behind a pointer that a caller presents, and its arena.
    pub fn find(pointer: *const Cursor) -> Result<(Self, u64), StretchError> {
        CURSORS.find(pointer).map(|(number, arena)| (Self(number), arena))
    }

    /// Gives it to the host, whose inline code may use it only if `inline`.
    pub fn open(self, inline: bool) -> *mut Cursor {
        let cursor = self.cursor();
        cursor.empty();
        cursor.layout.store(if inline { LAYOUT } else { 0 }, Release);
        (&raw const *cursor).cast_mut()
    }

    /// Takes it from the host. Of several callers one does it.
    pub fn close(self, arena: u64) -> Result<(), StretchError> {
        CURSORS.close(self.0, arena)?;
        let cursor = self.cursor();
        cursor.layout.store(0, Relaxed);
        cursor.empty();
        cursor.moments.store(std::ptr::null_mut(), Relaxed);
        Ok(())
    }

    /// Makes a closed cursor vacant. No more is said about it to its arena.
    pub fn vacate(self) {
        CURSORS.vacate(self.0);
    }

    #[inline]
    pub fn cursor(self) -> &'static Cursor {
        CURSORS.get(self.0)
    }
}

/// The open cursor at an address that inline code may use, for a call that needs nothing else. `None` sends the call the
/// long way, which says what is wrong.
#[inline]
pub fn open_at(pointer: *const Cursor) -> Option<&'static Cursor> {
    let cursor = CURSORS.get(CURSORS.number_at(pointer)?);
    cursor.is_inline().then_some(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_cursor_is_none_for_inline_code() {
        let _quiet = super::super::super::testing::quiet();
        let slot = Slot::take(7).unwrap();
        let cursor = slot.open(true);
        assert_eq!(Slot::find(cursor), Ok((slot, 7)));
        assert!(open_at(cursor).is_some() && open_at(cursor.wrapping_byte_add(8)).is_none());
        assert!(slot.close(8).is_err() && slot.close(7).is_ok() && slot.close(7).is_err());
        assert!(open_at(cursor).is_none() && Slot::find(cursor).is_err());
        slot.vacate();
    }

    #[test]
    fn each_mark_is_good_until_it_or_an_earlier_one_is_gone_back_to() {
        let _quiet = super::super::super::testing::quiet();
        let slot = Slot::take(7).unwrap();
        slot.open(true);
        let (cursor, mut moments) = (slot.cursor(), Moments::default());
        assert_eq!(cursor.mark(), None);
        for _ in 0..3 {
            moments.make_room(cursor).unwrap();
        }
        let marks: Vec<u64> = std::iter::from_fn(|| cursor.mark()).collect();
        assert_eq!(marks.len(), FIRST_MOMENTS * 4);
        assert!(cursor.rewind_within_stage(marks[60]));
        assert!(!cursor.rewind_within_stage(marks[60]) && !cursor.rewind_within_stage(marks[61]));
        let again = cursor.mark().unwrap();
        assert!(!cursor.rewind_within_stage(marks[60]) && cursor.find(again).is_some());
        cursor.next_stage();
        assert!(!cursor.rewind_within_stage(again) && cursor.find(again).is_some());
        cursor.empty();
        assert!(marks.iter().chain([&again]).all(|serial| cursor.find(*serial).is_none()));
        slot.close(7).unwrap();
        slot.vacate();
    }
}
