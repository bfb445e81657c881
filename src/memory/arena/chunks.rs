//! The chunks of an arena, in the order in which they are filled. What is used comes before what is kept for later,
//! so a position in the list says what was handed out before it. Each home goes on in a chunk of its own.

use super::super::pages::Mapping;
use super::chunk::{Chunk, HOMES, Home, Memory};
use super::poison::Poisoning;
use super::traces::Traces;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::tracing::{self, Token};
use std::sync::Arc;

/// Spans begin and end on a multiple of this, so that two threads never share a cache line.
pub const SPAN_ALIGN: u64 = 64;

/// A range that was cut from a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: *mut u8,
    pub end: *mut u8,
}

impl Span {
    pub fn bytes(&self) -> u64 {
        self.end as u64 - self.start as u64
    }
}

/// How much of a chunk is wanted, each a multiple of [`SPAN_ALIGN`].
#[derive(Clone, Copy, Debug)]
pub struct Want {
    pub home: Home,
    /// Less is of no use.
    pub needed: u64,
    /// Less is not worth taking from the end of a chunk, as long as there is another.
    pub worthwhile: u64,
    pub at_most: u64,
}

/// A state of the list that can be gone back to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    in_use: usize,
    /// Of each home.
    current: [usize; HOMES],
    /// How far those chunks are filled.
    filled: [u64; HOMES],
    /// How many homes had been taken for.
    homes: usize,
    used_bytes: u64,
}

#[derive(Default)]
pub struct Chunks {
    list: Vec<Chunk>,
    /// Chunks before this index have been used; those after it are kept for later.
    in_use: usize,
    /// Where the next span for each home is looked for first.
    current: [usize; HOMES],
    /// Of this home and those behind it nothing was ever taken.
    homes: usize,
    used_bytes: u64,
    peak_used_bytes: u64,
    mapped_bytes: u64,
    adopted_bytes: u64,
    poisoning: Poisoning,
}

// SAFETY: the mappings may move between threads; the list itself is behind the arena's lock.
unsafe impl Send for Span {}

impl Chunks {
    pub fn new(poisoning: Poisoning) -> Self {
        let mut chunks = Self::default();
        chunks.poisoning = poisoning;
        chunks
    }

    pub fn count(&self) -> usize {
        self.list.len()
    }

    pub fn get(&self, index: usize) -> Option<Memory> {
        self.list.get(index).map(|chunk| chunk.memory.clone())
    }

    pub fn mapped_bytes(&self) -> u64 {
        self.mapped_bytes
    }

    pub fn adopted_bytes(&self) -> u64 {
        self.adopted_bytes
    }

    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    pub fn peak_used_bytes(&self) -> u64 {
        self.peak_used_bytes
    }

    /// Mapped bytes of chunks that are kept for later.
    pub fn kept_bytes(&self) -> u64 {
        self.list.iter().skip(self.in_use).map(|chunk| chunk.memory.mapped_bytes()).sum()
    }

    /// Adds a chunk to those kept for later.
    pub fn push(&mut self, memory: Memory, home: Home) -> Result<(), OutOfMemory> {
        self.make_room(1)?;
        self.poisoning.fresh(memory.address(), memory.bytes());
        self.count_in(&memory);
        self.list.push(Chunk { memory, home, filled: 0, traces: Traces::default() });
        Ok(())
    }

    fn count_in(&mut self, memory: &Memory) {
        self.mapped_bytes += memory.mapped_bytes();
        self.adopted_bytes += memory.bytes() - memory.mapped_bytes();
    }

    fn count_out(&mut self, memory: &Memory) {
        self.mapped_bytes -= memory.mapped_bytes();
        self.adopted_bytes -= memory.bytes() - memory.mapped_bytes();
    }

    /// Cuts a span.
    pub fn take(&mut self, want: Want) -> Option<Span> {
        let current = self.current_of(want.home).filter(|index| self.list[*index].room() >= want.worthwhile);
        let index = current.map_or_else(|| self.begin_chunk(want), Some)?;
        let chunk = self.list.get_mut(index)?;
        let bytes = chunk.room().min(want.at_most) & !(SPAN_ALIGN - 1);
        let start = chunk.free_from();
        chunk.filled += bytes;
        self.used(bytes);
        self.prefer_roomier(want.home, index);
        Some(Span { start, end: start.wrapping_add(bytes as usize) })
    }

    fn used(&mut self, bytes: u64) {
        self.used_bytes += bytes;
        self.peak_used_bytes = self.peak_used_bytes.max(self.used_bytes);
    }

    /// The chunk in use that a home goes on in.
    fn current_of(&self, home: Home) -> Option<usize> {
        let index = self.current[home.index()];
        let is_its_own = index < self.in_use && self.list.get(index).is_some_and(|chunk| chunk.home == home);
        is_its_own.then_some(index)
    }

    /// Puts a kept chunk of that home that is large enough into use.
    fn begin_chunk(&mut self, want: Want) -> Option<usize> {
        let kept = self.list.get(self.in_use..)?;
        let fits = |chunk: &Chunk| chunk.home == want.home && chunk.memory.bytes() >= want.needed;
        let found = self.in_use + kept.iter().position(fits)?;
        let index = self.in_use;
        self.list.swap(index, found);
        self.in_use += 1;
        Some(index)
    }

    /// Goes on with a newer chunk when it has more room, never back to an older one: what lies before a position
    /// must stay as it is.
    fn prefer_roomier(&mut self, home: Home, index: usize) {
        self.homes = self.homes.max(home.index() + 1);
        let room = |index: usize| self.list.get(index).map_or(0, Chunk::room);
        if self.current_of(home).is_none_or(|current| room(index) > room(current)) {
            self.current[home.index()] = index;
        }
    }

    /// Takes back the unused end of a span, if nothing was cut after it. `next` is where its free part begins.
    pub fn give_back(&mut self, next: *mut u8, end: *mut u8) {
        let Some(chunk) = self.cut_last_at(end) else { return };
        let unused = (end as u64 - next as u64) & !(SPAN_ALIGN - 1);
        chunk.filled -= unused;
        chunk.traces.cut_to(chunk.filled);
        self.used_bytes -= unused;
    }

    /// The chunk in which the last span ends there.
    fn cut_last_at(&mut self, end: *mut u8) -> Option<&mut Chunk> {
        // Of two chunks side by side an empty one begins where the other ends.
        let was_last = |chunk: &Chunk| !end.is_null() && chunk.filled > 0 && chunk.free_from() == end;
        let homes = Home::all().take(self.homes);
        let index = homes.filter_map(|home| self.current_of(home)).find(|index| was_last(&self.list[*index]))?;
        self.list.get_mut(index)
    }

    /// Tracing follows the span that was just cut.
    pub fn follow(&mut self, span: &Span, token: Token) {
        match self.list.iter_mut().find(|chunk| chunk.filled > 0 && chunk.free_from() == span.end) {
            Some(chunk) => chunk.traces.add(chunk.filled - span.bytes(), token),
            None => tracing::untrack(token),
        }
    }

    pub fn position(&self) -> Position {
        let mut filled = [0; HOMES];
        for (filled, index) in filled.iter_mut().zip(self.current).take(self.homes) {
            *filled = self.list.get(index).map_or(0, |chunk| chunk.filled);
        }
        let Self { in_use, current, homes, used_bytes, .. } = *self;
        Position { in_use, current, filled, homes, used_bytes }
    }

    /// Goes back to an earlier position. Every chunk is kept.
    pub fn rewind(&mut self, to: Position) {
        let poisoning = self.poisoning;
        let cut_to = |chunk: &mut Chunk, filled: u64| {
            let bytes = chunk.filled.saturating_sub(filled);
            chunk.filled = filled;
            chunk.traces.cut_to(filled);
            // SAFETY: the bytes behind the position were the arena's, which was told that nobody uses them any more.
            unsafe { poisoning.free(chunk.free_from(), bytes) };
        };
        for chunk in self.list.get_mut(to.in_use..self.in_use).unwrap_or_default() {
            cut_to(chunk, 0);
        }
        for (index, filled) in to.current.into_iter().zip(to.filled).take(to.homes) {
            // Only chunks that were in use then had anything in them.
            if let Some(chunk) = self.list.get_mut(index).filter(|_| index < to.in_use) {
                cut_to(chunk, filled);
            }
        }
        (self.in_use, self.current, self.homes, self.used_bytes) = (to.in_use, to.current, to.homes, to.used_bytes);
    }

    /// Takes out a mapped chunk that is kept for later.
    pub fn take_kept(&mut self) -> Option<Arc<Mapping>> {
        for index in (self.in_use..self.list.len()).rev() {
            if let Memory::Mapped(mapping) = &self.list[index].memory {
                let mapping = mapping.clone();
                let chunk = self.list.swap_remove(index);
                self.count_out(&chunk.memory);
                return Some(mapping);
            }
        }
        None
    }

    /// What is cut from now on lies in chunks that nothing was cut from before.
    pub fn begin_region(&mut self) {
        self.current = [self.in_use; HOMES];
    }

    /// Goes on with the chunk that was current at a position, when all that was begun since is gone.
    pub fn resume(&mut self, at: Position) {
        self.current = at.current;
    }

    /// Takes out the chunks that were begun after a position.
    pub fn split_off(&mut self, from: Position) -> Result<Vec<Chunk>, OutOfMemory> {
        let mut chunks = alloc::try_vec(self.in_use - from.in_use)?;
        chunks.extend(self.list.drain(from.in_use..self.in_use));
        for chunk in &chunks {
            self.count_out(&chunk.memory);
            self.used_bytes -= chunk.filled;
        }
        self.in_use = from.in_use;
        Ok(chunks)
    }

    pub fn make_room(&mut self, chunks: usize) -> Result<(), OutOfMemory> {
        alloc::try_reserve(&mut self.list, chunks)
    }

    /// Puts chunks into use that were split off; there is room for them in the list.
    pub fn join(&mut self, chunks: Vec<Chunk>) {
        for chunk in chunks {
            self.count_in(&chunk.memory);
            self.used(chunk.filled);
            self.list.insert(self.in_use, chunk);
            self.in_use += 1;
        }
    }

    /// [`join`](Self::join) for chunks of another arena.
    pub fn receive(&mut self, chunks: Vec<Chunk>) {
        for chunk in &chunks {
            self.poisoning.take_over(chunk.memory.address(), chunk.filled, chunk.memory.bytes());
        }
        self.join(chunks);
    }
}

/// Whoever lent memory can use it again.
impl Drop for Chunks {
    fn drop(&mut self) {
        for chunk in &self.list {
            if let Memory::Adopted(adopted) = &chunk.memory {
                self.poisoning.hand_out(adopted.address, adopted.bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::pages::Request;
    use super::super::super::policy::Pages;
    use super::super::super::source::PageSource;
    use super::super::super::testing;
    use super::*;

    fn memory(bytes: u64) -> Memory {
        let request = Request {
            bytes,
            at_most: u64::MAX,
            source: PageSource { pages: Pages::Base, prefault: false, ..PageSource::default() },
            account: &testing::ACCOUNT,
            name: "chunks",
        };
        Memory::Mapped(Arc::new(Mapping::new(&request).expect("memory")))
    }

    fn chunks(sizes: &[u64]) -> Chunks {
        let mut chunks = Chunks::default();
        for bytes in sizes {
            chunks.push(memory(*bytes), Home::default()).expect("memory");
        }
        chunks
    }

    fn of(needed: u64, at_most: u64) -> Want {
        Want { home: Home::default(), needed, worthwhile: needed, at_most }
    }

    #[test]
    fn what_comes_after_a_position_goes_and_what_comes_before_stays() {
        let _quiet = testing::quiet();
        let mut chunks = chunks(&[65536, 65536, 1 << 20]);
        let first = chunks.take(of(4096, 4096)).unwrap();
        let start = chunks.position();
        // One that only the large chunk can hold, then more than the first can.
        let large = chunks.take(of(1 << 20, 1 << 20)).unwrap();
        let second = chunks.take(of(60000 & !63, 60000 & !63)).unwrap();
        assert_eq!(second.start, first.end);
        let third = chunks.take(of(4096, 65536)).unwrap();
        assert_eq!(chunks.in_use, 3);
        assert!(third.start != second.end);
        chunks.rewind(start);
        assert_eq!((chunks.position(), chunks.used_bytes()), (start, 4096));
        assert_eq!(chunks.take(of(64, 64)).unwrap().start, first.end);
        assert_eq!(chunks.take(of(1 << 20, 1 << 20)).unwrap(), large);
        assert_eq!(chunks.take(of(1 << 20, 1 << 20)), None);
    }

    #[test]
    fn only_the_last_span_can_be_given_back() {
        let _quiet = testing::quiet();
        let mut chunks = chunks(&[65536]);
        let first = chunks.take(of(4096, 4096)).unwrap();
        let second = chunks.take(of(4096, 4096)).unwrap();
        chunks.give_back(first.start, first.end);
        assert_eq!(chunks.used_bytes(), 8192);
        chunks.give_back(second.start.wrapping_add(65), second.end);
        assert_eq!(chunks.used_bytes(), 4096 + 128);
        assert_eq!(chunks.take(of(64, 64)).unwrap().start, second.start.wrapping_add(128));
    }

    #[test]
    fn each_home_goes_on_in_chunks_of_its_own() {
        let _quiet = testing::quiet();
        let mut chunks = Chunks::default();
        let homes = [3, 5, 3 + HOMES as u32].map(Home::of_node);
        assert!(homes[0] == homes[2] && homes[0] != homes[1]);
        for home in [homes[0], homes[1], homes[0]] {
            chunks.push(memory(65536), home).expect("memory");
        }
        let chunk_of = |span: Span, chunks: &Chunks| {
            (0..3).find(|index| {
                let start = chunks.list[*index].memory.address() as usize;
                (start..start + 65536).contains(&(span.start as usize))
            })
        };
        let want = |home| Want { home, ..of(16384, 16384) };
        let take = |chunks: &mut Chunks, home| chunks.take(want(home)).map(|span| (chunk_of(span, chunks), span));
        let (first, second) = (take(&mut chunks, homes[0]).unwrap(), take(&mut chunks, homes[1]).unwrap());
        assert_ne!(first.0, second.0);
        let position = chunks.position();
        // Six more go into the two chunks of one home, three into that of the other, in turns.
        let turns = [0, 1, 0, 0, 1, 0, 0, 1, 0];
        let taken: Vec<Span> = turns.map(|home| take(&mut chunks, homes[home]).unwrap().1).into();
        assert_eq!(take(&mut chunks, homes[1]), None);
        assert!(chunks.take(want(Home::default())).is_none());
        // The last of each can be given back, whichever was cut last of all.
        let (third, last) = (taken[7], taken[8]);
        chunks.give_back(third.start, third.end);
        chunks.give_back(last.start, last.end);
        assert_eq!(take(&mut chunks, homes[1]).unwrap().1, third);
        chunks.rewind(position);
        assert_eq!((chunks.position(), chunks.used_bytes()), (position, 2 * 16384));
        let again: Vec<Span> = turns.map(|home| take(&mut chunks, homes[home]).unwrap().1).into();
        assert_eq!(again, taken);
    }
}
