//! The chunks of an arena, in the order in which they are filled. What is used comes before what is kept for later,
//! so a position in the list says what was handed out before it.

use super::pages::Mapping;
use crate::base::alloc::{self, OutOfMemory};
use std::sync::Arc;

/// Spans begin and end on a multiple of this, so that two threads never share a cache line.
pub const SPAN_ALIGN: u64 = 64;

struct Chunk {
    mapping: Arc<Mapping>,
    filled: u64,
}

/// A range that was cut from a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: *mut u8,
    pub end: *mut u8,
}

/// A state of the list that can be gone back to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    in_use: usize,
    current: usize,
    filled: u64,
    used_bytes: u64,
}

#[derive(Default)]
pub struct Chunks {
    list: Vec<Chunk>,
    /// Chunks before this index have been used; those after it are kept for later.
    in_use: usize,
    /// Where the next span is looked for first.
    current: usize,
    used_bytes: u64,
    peak_used_bytes: u64,
    mapped_bytes: u64,
}

// SAFETY: the mappings may move between threads; the list itself is behind the arena's lock.
unsafe impl Send for Span {}

impl Chunks {
    pub fn count(&self) -> usize {
        self.list.len()
    }

    pub fn get(&self, index: usize) -> Option<Arc<Mapping>> {
        self.list.get(index).map(|chunk| chunk.mapping.clone())
    }

    pub fn mapped_bytes(&self) -> u64 {
        self.mapped_bytes
    }

    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    pub fn peak_used_bytes(&self) -> u64 {
        self.peak_used_bytes
    }

    /// Adds a chunk to those kept for later.
    pub fn push(&mut self, mapping: Arc<Mapping>) -> Result<(), OutOfMemory> {
        alloc::try_reserve_one(&mut self.list)?;
        self.mapped_bytes += mapping.bytes;
        self.list.push(Chunk { mapping, filled: 0 });
        Ok(())
    }

    /// Cuts a span of at least `at_least` and at most `at_most` bytes, both multiples of [`SPAN_ALIGN`].
    pub fn take(&mut self, at_least: u64, at_most: u64) -> Option<Span> {
        let fits = |chunk: &Chunk| chunk.mapping.bytes - chunk.filled >= at_least;
        let current_fits = self.current < self.in_use && self.list.get(self.current).is_some_and(fits);
        let index = if current_fits { self.current } else { self.begin_chunk(at_least)? };
        let chunk = self.list.get_mut(index)?;
        let bytes = (chunk.mapping.bytes - chunk.filled).min(at_most) & !(SPAN_ALIGN - 1);
        let start = chunk.mapping.address().wrapping_add(chunk.filled as usize);
        chunk.filled += bytes;
        self.used_bytes += bytes;
        self.peak_used_bytes = self.peak_used_bytes.max(self.used_bytes);
        self.prefer_roomier(index);
        Some(Span { start, end: start.wrapping_add(bytes as usize) })
    }

    /// Puts a kept chunk that is large enough into use.
    fn begin_chunk(&mut self, at_least: u64) -> Option<usize> {
        let kept = self.list.get(self.in_use..)?;
        let found = self.in_use + kept.iter().position(|chunk| chunk.mapping.bytes >= at_least)?;
        let index = self.in_use;
        self.list.swap(index, found);
        self.in_use += 1;
        Some(index)
    }

    /// Goes on with a newer chunk when it has more room, never back to an older one: what lies before a position
    /// must stay as it is.
    fn prefer_roomier(&mut self, index: usize) {
        let room = |index: usize| self.list.get(index).map_or(0, |chunk| chunk.mapping.bytes - chunk.filled);
        if self.current >= self.in_use || room(index) > room(self.current) {
            self.current = index;
        }
    }

    /// Takes back the unused end of a span, if nothing was cut after it. `next` is where its free part begins.
    pub fn give_back(&mut self, next: *mut u8, end: *mut u8) {
        let Some(chunk) = self.list.get_mut(self.current) else { return };
        let filled_to = chunk.mapping.address().wrapping_add(chunk.filled as usize);
        if end.is_null() || filled_to != end {
            return;
        }
        let unused = (end as u64 - next as u64) & !(SPAN_ALIGN - 1);
        chunk.filled -= unused;
        self.used_bytes -= unused;
    }

    pub fn position(&self) -> Position {
        Position {
            in_use: self.in_use,
            current: self.current,
            filled: self.list.get(self.current).map_or(0, |chunk| chunk.filled),
            used_bytes: self.used_bytes,
        }
    }

    /// Goes back to an earlier position. Every chunk is kept.
    pub fn rewind(&mut self, to: Position) {
        let later = self.list.get_mut(to.in_use..self.in_use).unwrap_or_default();
        for chunk in later {
            chunk.filled = 0;
        }
        if let Some(chunk) = self.list.get_mut(to.current) {
            chunk.filled = to.filled;
        }
        (self.in_use, self.current, self.used_bytes) = (to.in_use, to.current, to.used_bytes);
    }

    /// Hands back every chunk.
    pub fn clear(&mut self) -> Vec<Arc<Mapping>> {
        let chunks = std::mem::take(&mut self.list);
        *self = Self { peak_used_bytes: self.peak_used_bytes, ..Self::default() };
        chunks.into_iter().map(|chunk| chunk.mapping).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::pages::Request;
    use super::super::policy::Pages;
    use super::super::source::PageSource;
    use super::*;

    fn chunks(sizes: &[u64]) -> Chunks {
        let mut chunks = Chunks::default();
        for bytes in sizes {
            let request = Request {
                bytes: *bytes,
                at_most: u64::MAX,
                source: PageSource { pages: Pages::Base, prefault: false, ..PageSource::default() },
                account: &super::super::testing::ACCOUNT,
                name: "chunks",
            };
            chunks.push(Arc::new(Mapping::new(&request).expect("memory"))).expect("memory");
        }
        chunks
    }

    #[test]
    fn what_comes_after_a_position_goes_and_what_comes_before_stays() {
        let _quiet = super::super::testing::quiet();
        let mut chunks = chunks(&[65536, 65536, 1 << 20]);
        let first = chunks.take(4096, 4096).unwrap();
        let start = chunks.position();
        // One that only the large chunk can hold, then more than the first can.
        let large = chunks.take(1 << 20, 1 << 20).unwrap();
        let second = chunks.take(60000 & !63, 60000 & !63).unwrap();
        assert_eq!(second.start, first.end);
        let third = chunks.take(4096, 65536).unwrap();
        assert_eq!(chunks.in_use, 3);
        assert!(third.start != second.end);
        chunks.rewind(start);
        assert_eq!((chunks.position(), chunks.used_bytes()), (start, 4096));
        assert_eq!(chunks.take(64, 64).unwrap().start, first.end);
        assert_eq!(chunks.take(1 << 20, 1 << 20).unwrap(), large);
        assert_eq!(chunks.take(1 << 20, 1 << 20), None);
    }

    #[test]
    fn only_the_last_span_can_be_given_back() {
        let _quiet = super::super::testing::quiet();
        let mut chunks = chunks(&[65536]);
        let first = chunks.take(4096, 4096).unwrap();
        let second = chunks.take(4096, 4096).unwrap();
        chunks.give_back(first.start, first.end);
        assert_eq!(chunks.used_bytes(), 8192);
        chunks.give_back(second.start.wrapping_add(65), second.end);
        assert_eq!(chunks.used_bytes(), 4096 + 128);
        assert_eq!(chunks.take(64, 64).unwrap().start, second.start.wrapping_add(128));
    }
}
