//! The directory: which chunk an address lies in, if in any. A table with open addressing: address space in units of 2 MiB,
//! each with the chunks that lie in it, mostly one. Threads read it in their windows; it changes while those are shut.

use super::classes::GRANULE;
use super::tags::Tag;
use crate::base::alloc::{self, OutOfMemory};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

const UNIT_SHIFT: u32 = 21;
const SMALLEST_TABLE: usize = 64;

/// The blocks of one chunk: where they begin, and how many granules there are.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    pub start: *mut u8,
    pub granules: u32,
    /// The tags of all granules.
    pub tags: *mut u8,
    /// The place of its chunk in the list.
    pub chunk: u32,
}

/// A granule that belongs to the heap.
#[derive(Clone, Copy)]
pub struct Place {
    pub chunk: u32,
    pub granule: u32,
    pub tag: Tag,
    /// The address is not the begin of the granule.
    pub is_off: bool,
}

/// A chunk, in one of the units that it lies in; 0 granules: vacant.
#[repr(align(32))]
struct Entry {
    start: AtomicPtr<u8>,
    granules: AtomicU64,
    tags: AtomicPtr<u8>,
    chunk: AtomicU32,
}

impl Entry {
    #[allow(clippy::declare_interior_mutable_const)] // each use is to be one of its own
    const VACANT: Self = Self {
        start: AtomicPtr::new(std::ptr::null_mut()),
        granules: AtomicU64::new(0),
        tags: AtomicPtr::new(std::ptr::null_mut()),
        chunk: AtomicU32::new(0),
    };

    fn is_vacant(&self) -> bool {
        self.granules.load(Relaxed) == 0
    }

    fn fill(&self, ground: &Ground) {
        self.start.store(ground.start, Relaxed);
        self.tags.store(ground.tags, Relaxed);
        self.chunk.store(ground.chunk, Relaxed);
        self.granules.store(ground.granules.into(), Relaxed);
    }
}

fn units(ground: &Ground) -> std::ops::RangeInclusive<usize> {
    let first = ground.start as usize;
    let last = first + ground.granules as usize * GRANULE as usize - 1;
    first >> UNIT_SHIFT..=last >> UNIT_SHIFT
}

/// The table of a directory without chunks.
static NOWHERE: Entry = Entry::VACANT;

/// A unit's entries begin at the place of its number; there are twice as many as are needed, so some are always vacant.
pub struct Directory {
    entries: AtomicPtr<Entry>,
    /// Their number, a power of two, less one; 0: they are [`NOWHERE`].
    mask: AtomicUsize,
}

impl Default for Directory {
    fn default() -> Self {
        Self { entries: AtomicPtr::new((&raw const NOWHERE).cast_mut()), mask: AtomicUsize::new(0) }
    }
}

impl Directory {
    /// The tag of the granule that begins at an address. For a thread in its window, or who holds the lock.
    #[inline(always)]
    pub fn tag_of(&self, address: *const u8) -> Option<Tag> {
        self.look_up(address as usize).map(|(_, _, tag)| tag)
    }

    /// The granule at an address. For a thread in its window, or who holds the lock.
    pub fn find(&self, address: *const u8) -> Option<Place> {
        let beyond = address as usize % GRANULE as usize;
        let (entry, granule, tag) = self.look_up(address as usize - beyond)?;
        Some(Place { chunk: entry.chunk.load(Relaxed), granule, tag, is_off: beyond > 0 })
    }

    #[inline(always)]
    fn look_up(&self, address: usize) -> Option<(&Entry, u32, Tag)> {
        let (entries, mask) = (self.entries.load(Relaxed), self.mask.load(Relaxed));
        let mut place = address >> UNIT_SHIFT;
        loop {
            // SAFETY: there are so many, and they are only replaced while the windows are shut, by who holds the lock.
            let entry = unsafe { &*entries.add(place & mask) };
            let offset = address.wrapping_sub(entry.start.load(Relaxed) as usize) as u64;
            // Beyond all when it is no multiple.
            let granule = offset.rotate_right(GRANULE.trailing_zeros());
            if granule < entry.granules.load(Relaxed) {
                // SAFETY: the chunk has that many tags, and goes only while the windows are shut.
                let tag = unsafe { Tag::at(entry.tags.load(Relaxed).add(granule as usize)) };
                return Some((entry, granule as u32, tag));
            }
            if entry.is_vacant() {
                return None;
            }
            place += 1;
        }
    }

    /// Adds a chunk to `all`, those that are there. For who holds the lock, with the windows shut.
    pub fn add<'a>(
        &self,
        ground: &'a Ground,
        all: impl Iterator<Item = &'a Ground> + Clone,
    ) -> Result<(), OutOfMemory> {
        let wanted: usize = all.clone().chain([ground]).map(|ground| units(ground).count()).sum();
        if wanted * 2 <= self.table().len() {
            self.enter(ground);
            return Ok(());
        }
        let length = (wanted * 4).next_power_of_two().max(SMALLEST_TABLE);
        let mut table = alloc::try_vec(length)?;
        table.resize_with(length, || Entry::VACANT);
        self.replace(table.into_boxed_slice());
        all.chain([ground]).for_each(|ground| self.enter(ground));
        Ok(())
    }

    /// Leaves only `all`. For who holds the lock, with the windows shut.
    pub fn keep<'a>(&self, all: impl Iterator<Item = &'a Ground>) {
        self.table().iter().for_each(|entry| entry.granules.store(0, Relaxed));
        all.for_each(|ground| self.enter(ground));
    }

    fn enter(&self, ground: &Ground) {
        let table = self.table();
        for unit in units(ground) {
            let mut places = (unit..).filter_map(|place| table.get(place & (table.len() - 1)));
            if let Some(entry) = places.find(|entry| entry.is_vacant()) {
                entry.fill(ground);
            }
        }
    }

    /// Nothing before the first chunk. For who holds the lock.
    fn table(&self) -> &[Entry] {
        match self.mask.load(Relaxed) {
            0 => &[],
            // SAFETY: there are so many, and only who holds the lock replaces them.
            mask => unsafe { std::slice::from_raw_parts(self.entries.load(Relaxed), mask + 1) },
        }
    }

    fn replace(&self, table: Box<[Entry]>) {
        let length = table.len();
        let before = self.entries.swap(Box::into_raw(table).cast(), Relaxed);
        let mask = self.mask.swap(length - 1, Relaxed);
        // SAFETY: nobody reads it any more.
        unsafe { free_table(before, mask) };
    }
}

/// # Safety
/// A table that this mask belongs to, which nobody uses any more.
unsafe fn free_table(entries: *mut Entry, mask: usize) {
    if mask > 0 {
        // SAFETY: `replace` took it from a box of this length.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(entries, mask + 1)) });
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: the directory is going.
        unsafe { free_table(*self.entries.get_mut(), *self.mask.get_mut()) };
    }
}
