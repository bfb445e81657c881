//! The directory: which chunk an address lies in, if in any. A table with open addressing: address space in units of 2 MiB,
//! each with the chunks that lie in it, mostly one. Threads read it in their windows; it changes while those are shut.

use super::classes::GRANULE;
use super::tags::Tag;
use crate::base::alloc::{self, OutOfMemory};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};

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

#[derive(Default)]
struct Entry {
    /// The unit's number plus one; 0: vacant.
    unit: AtomicUsize,
    start: AtomicPtr<u8>,
    granules: AtomicU32,
    chunk: AtomicU32,
    tags: AtomicPtr<u8>,
}

impl Entry {
    fn fill(&self, unit: usize, ground: &Ground) {
        self.start.store(ground.start, Relaxed);
        self.granules.store(ground.granules, Relaxed);
        self.chunk.store(ground.chunk, Relaxed);
        self.tags.store(ground.tags, Relaxed);
        self.unit.store(unit + 1, Relaxed);
    }
}

struct Table {
    /// A power of two of them.
    entries: Box<[Entry]>,
}

impl Table {
    fn new(entries: usize) -> Result<Self, OutOfMemory> {
        let mut list = alloc::try_vec(entries)?;
        list.resize_with(entries, Entry::default);
        Ok(Self { entries: list.into_boxed_slice() })
    }

    /// For a table that has room.
    fn add(&mut self, ground: &Ground) {
        for unit in units(ground) {
            let vacant = self.from(unit).find(|entry| entry.unit.load(Relaxed) == 0);
            if let Some(entry) = vacant {
                entry.fill(unit, ground);
            }
        }
    }

    #[inline]
    fn from(&self, unit: usize) -> impl Iterator<Item = &Entry> {
        let mask = self.entries.len() - 1;
        (unit..).map_while(move |place| self.entries.get(place & mask))
    }
}

fn units(ground: &Ground) -> std::ops::RangeInclusive<usize> {
    let first = ground.start as usize;
    let last = first + ground.granules as usize * GRANULE as usize - 1;
    first >> UNIT_SHIFT..=last >> UNIT_SHIFT
}

#[derive(Default)]
pub struct Directory {
    table: AtomicPtr<Table>,
}

impl Directory {
    /// The granule at an address. For a thread in its window, or who holds the lock.
    #[inline]
    pub fn find(&self, address: *const u8) -> Option<Place> {
        // SAFETY: tables are only replaced while the windows are shut, by who holds the lock.
        let table = unsafe { self.table.load(Acquire).as_ref() }?;
        let unit = address as usize >> UNIT_SHIFT;
        for entry in table.from(unit) {
            let found = entry.unit.load(Relaxed);
            if found == unit + 1 {
                let offset = (address as usize).wrapping_sub(entry.start.load(Relaxed) as usize);
                let granule = offset / GRANULE as usize;
                if granule < entry.granules.load(Relaxed) as usize {
                    // SAFETY: the chunk has that many tags, and goes only while the windows are shut.
                    let tag = unsafe { Tag::at(entry.tags.load(Relaxed).add(granule)) }?;
                    let is_off = !offset.is_multiple_of(GRANULE as usize);
                    return Some(Place { chunk: entry.chunk.load(Relaxed), granule: granule as u32, tag, is_off });
                }
            } else if found == 0 {
                return None;
            }
        }
        None
    }

    /// Adds a chunk to `all`, those that are there. For who holds the lock, with the windows shut.
    pub fn add<'a>(
        &self,
        ground: &'a Ground,
        all: impl Iterator<Item = &'a Ground> + Clone,
    ) -> Result<(), OutOfMemory> {
        let wanted: usize = all.clone().chain([ground]).map(|ground| units(ground).count()).sum();
        // SAFETY: as in `find`; nobody else is here.
        if let Some(table) = unsafe { self.table.load(Relaxed).as_mut() }
            && wanted * 2 <= table.entries.len()
        {
            table.add(ground);
            return Ok(());
        }
        let mut table = Table::new((wanted * 4).next_power_of_two().max(SMALLEST_TABLE))?;
        all.chain([ground]).for_each(|ground| table.add(ground));
        self.replace(Some(alloc::try_box(table)?));
        Ok(())
    }

    /// Leaves only `all`. For who holds the lock, with the windows shut.
    pub fn keep<'a>(&self, all: impl Iterator<Item = &'a Ground>) {
        // SAFETY: as in `find`; nobody else is here.
        if let Some(table) = unsafe { self.table.load(Relaxed).as_mut() } {
            table.entries.iter().for_each(|entry| entry.unit.store(0, Relaxed));
            all.for_each(|ground| table.add(ground));
        }
    }

    fn replace(&self, table: Option<Box<Table>>) {
        let next = table.map_or(std::ptr::null_mut(), Box::into_raw);
        let before = self.table.swap(next, AcqRel);
        if !before.is_null() {
            // SAFETY: it came from a box, and nobody reads it any more.
            drop(unsafe { Box::from_raw(before) });
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.replace(None);
    }
}
