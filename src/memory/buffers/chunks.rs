//! The chunks of a set, each cut into at most 64 units, of which a span takes some that lie side by side.

use crate::base::alloc::{self, OutOfMemory};
use crate::memory::pages::Mapping;
use std::sync::Arc;

const MOST_UNITS: u64 = 64;
pub const UNIT_ALIGN: u64 = 4096;

/// The units of a chunk of so many bytes.
fn unit_of(bytes: u64) -> u64 {
    bytes.div_ceil(MOST_UNITS).next_multiple_of(UNIT_ALIGN)
}

/// What a chunk must have at least so that so many bytes are whole units of it.
pub fn chunk_for(bytes: u64) -> u64 {
    bytes.next_multiple_of(unit_of(bytes))
}

struct Chunk {
    mapping: Arc<Mapping>,
    unit_bytes: u64,
    /// One bit for each unit that no span has.
    free: u64,
    all: u64,
}

/// Where a span lies.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    pub start: *mut u8,
    pub bytes: u64,
    chunk: u32,
    units: u64,
}

// SAFETY: a site is a range of a mapping, which may be known to any thread; who touches it is its holder's business.
unsafe impl Send for Site {}

/// How much of a chunk a span takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// So much that at most an eighth of it is lost.
    Good,
    /// For one buffer.
    Tight,
}

#[derive(Default)]
pub struct Chunks {
    list: Vec<Option<Chunk>>,
    mapped_bytes: u64,
    count: u64,
    step_downs: u64,
}

impl Chunk {
    fn new(mapping: Arc<Mapping>) -> Self {
        let unit_bytes = unit_of(mapping.bytes);
        let units = mapping.bytes / unit_bytes;
        let all = if units == MOST_UNITS { u64::MAX } else { (1 << units) - 1 };
        Self { mapping, unit_bytes, free: all, all }
    }

    /// Units for a span of buffers of this size.
    fn units_for(&self, bytes: u64, fit: Fit) -> u64 {
        let least = bytes.div_ceil(self.unit_bytes);
        let is_good = |units: &u64| {
            let span = units * self.unit_bytes;
            (span % bytes) * 8 <= span
        };
        match fit {
            Fit::Good => (least..=u64::from(self.all.count_ones())).find(is_good).unwrap_or(least),
            Fit::Tight => least,
        }
    }

    /// Takes free units that lie side by side, the first ones there are.
    fn take(&mut self, units: u64) -> Option<u64> {
        if units == 0 || units > MOST_UNITS {
            return None;
        }
        // A bit stays when so many that follow it are set as well.
        let mut starts = self.free;
        for shift in 1..units {
            starts &= self.free >> shift;
        }
        if starts == 0 {
            return None;
        }
        let run = if units == MOST_UNITS { u64::MAX } else { ((1 << units) - 1) << starts.trailing_zeros() };
        self.free &= !run;
        Some(run)
    }
}

impl Chunks {
    /// Takes room for a span of buffers of this size.
    pub fn take(&mut self, bytes: u64, fit: Fit) -> Option<Site> {
        let chunks = self.list.iter_mut().enumerate();
        for (index, chunk) in chunks.filter_map(|(index, chunk)| Some((index, chunk.as_mut()?))) {
            let Some(units) = chunk.take(chunk.units_for(bytes, fit)) else { continue };
            let offset = u64::from(units.trailing_zeros()) * chunk.unit_bytes;
            return Some(Site {
                start: chunk.mapping.address().wrapping_add(offset as usize),
                bytes: u64::from(units.count_ones()) * chunk.unit_bytes,
                chunk: index as u32,
                units,
            });
        }
        None
    }

    pub fn give_back(&mut self, site: Site) {
        if let Some(Some(chunk)) = self.list.get_mut(site.chunk as usize) {
            chunk.free |= site.units;
        }
    }

    pub fn add(&mut self, mapping: Arc<Mapping>) -> Result<(), OutOfMemory> {
        let vacant = match self.list.iter().position(Option::is_none) {
            Some(vacant) => vacant,
            None => {
                alloc::try_reserve_one(&mut self.list)?;
                self.list.push(None);
                self.list.len() - 1
            }
        };
        self.mapped_bytes += mapping.bytes;
        self.count += 1;
        self.step_downs += u64::from(mapping.stepped_down());
        self.list[vacant] = Some(Chunk::new(mapping));
        Ok(())
    }

    /// Takes a chunk away of which no span has a unit. The caller drops it, without any lock.
    pub fn take_empty(&mut self) -> Option<Arc<Mapping>> {
        let is_empty = |chunk: &Chunk| chunk.free == chunk.all;
        let place = self.list.iter_mut().rev().find(|place| place.as_ref().is_some_and(is_empty))?;
        let mapping = place.take()?.mapping;
        self.mapped_bytes -= mapping.bytes;
        self.count -= 1;
        Some(mapping)
    }

    /// Bytes of chunks of which no span has a unit.
    pub fn empty_bytes(&self) -> u64 {
        self.list.iter().flatten().filter(|chunk| chunk.free == chunk.all).map(|chunk| chunk.mapping.bytes).sum()
    }

    /// Of all chunks.
    pub fn mappings(&self) -> Result<Vec<Arc<Mapping>>, OutOfMemory> {
        let mut mappings = alloc::try_vec(self.count as usize)?;
        mappings.extend(self.list.iter().flatten().map(|chunk| chunk.mapping.clone()));
        Ok(mappings)
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn mapped_bytes(&self) -> u64 {
        self.mapped_bytes
    }

    pub fn step_downs(&self) -> u64 {
        self.step_downs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::pages::Request;
    use crate::memory::policy::Pages;
    use crate::memory::source::PageSource;
    use crate::memory::testing;

    fn chunks(bytes: u64) -> Chunks {
        let request = Request {
            bytes,
            at_most: u64::MAX,
            source: PageSource { pages: Pages::Base, ..PageSource::default() },
            account: &testing::ACCOUNT,
            name: "buffers",
        };
        let mut chunks = Chunks::default();
        chunks.add(Arc::new(Mapping::new(&request).expect("memory"))).expect("memory");
        chunks
    }

    #[test]
    fn spans_lie_side_by_side_and_lose_little() {
        let _quiet = testing::quiet();
        let mut chunks = chunks(2 << 20);
        let first = chunks.take(40 << 10, Fit::Good).unwrap();
        assert_eq!(first.bytes, 128 << 10);
        let tight = chunks.take(40 << 10, Fit::Tight).unwrap();
        assert_eq!((tight.bytes, tight.start), (64 << 10, first.start.wrapping_add(128 << 10)));
        let all = std::iter::from_fn(|| chunks.take(256, Fit::Good)).count();
        assert_eq!(all, 64 - 4 - 2);
        chunks.give_back(first);
        assert_eq!(chunks.take(160 << 10, Fit::Good).map(|site| site.start), None);
        assert_eq!(chunks.take(96 << 10, Fit::Good).unwrap().start, first.start);
        assert!(chunks.take_empty().is_none());
    }

    #[test]
    fn a_chunk_for_one_buffer_has_room_for_it() {
        for class in crate::memory::buffers::sizes::class_of(65536)..crate::memory::buffers::sizes::MOST_CLASSES {
            let bytes = crate::memory::buffers::sizes::bytes_of(class);
            let chunk = chunk_for(bytes);
            assert!(chunk / unit_of(chunk) * unit_of(chunk) >= bytes && chunk - bytes <= bytes / 32, "{bytes}");
        }
    }

    #[test]
    fn a_chunk_that_nobody_uses_can_be_taken_away() {
        let _quiet = testing::quiet();
        let mut chunks = chunks(64 << 10);
        let whole = chunks.take(64 << 10, Fit::Good).unwrap();
        assert!(chunks.take(256, Fit::Tight).is_none() && chunks.empty_bytes() == 0);
        chunks.give_back(whole);
        assert_eq!(chunks.empty_bytes(), 64 << 10);
        assert!(chunks.take_empty().is_some() && chunks.take_empty().is_none());
        assert_eq!((chunks.count(), chunks.mapped_bytes()), (0, 0));
    }
}
