//! The space of a heap: its chunks, and what is free in them. A block that is given back joins its free neighbours at once.
//! Whoever uses it holds the heap's lock.
//!
//! The tags say where the free blocks are; the lists of the bins, which run through the free memory itself, only help to
//! find them. So no link is followed that is not confirmed from both ends and by the tags, and after a write to free memory
//! the lists are made anew.

use super::bins::{At, Bins, bin_of};
use super::classes::GRANULE;
use super::directory::Ground;
use super::tags::{Extent, Found, Tag, free_granules_up_to};
use crate::base::alloc::{self, OutOfMemory};
use crate::memory::pages::Mapping;
use std::sync::Arc;

/// Where a chunk's memory comes from.
pub enum Memory {
    Mapped(Arc<Mapping>),
    /// Lent by the host.
    Adopted {
        address: *mut u8,
        bytes: u64,
    },
}

impl Memory {
    pub fn bytes(&self) -> u64 {
        match self {
            Memory::Mapped(mapping) => mapping.bytes,
            Memory::Adopted { bytes, .. } => *bytes,
        }
    }

    pub fn address(&self) -> *mut u8 {
        match self {
            Memory::Mapped(mapping) => mapping.address(),
            Memory::Adopted { address, .. } => *address,
        }
    }
}

pub struct Chunk {
    pub memory: Memory,
    pub ground: Ground,
    pub free_granules: u32,
    /// Free as well, but nobody is charged for their pages, which are given back.
    pub returned_granules: u32,
    /// Mapped for one block that is larger than a usual chunk; goes with it.
    pub is_for_one: bool,
}

// SAFETY: a chunk is a range of plain memory; who may touch which part is the heap's business.
unsafe impl Send for Chunk {}

/// A granule, and its tag.
const GRANULE_AND_TAG: u64 = GRANULE + 1;

/// Bytes that a chunk must have for so many granules, wherever it begins.
pub fn bytes_for(granules: u64) -> Option<u64> {
    granules.checked_mul(GRANULE_AND_TAG)?.checked_add(GRANULE)
}

impl Chunk {
    pub fn new(memory: Memory, is_for_one: bool) -> Self {
        let start = memory.address();
        let padding = start.align_offset(GRANULE as usize);
        let granules = memory.bytes().saturating_sub(padding as u64) / GRANULE_AND_TAG;
        let granules = u32::try_from(granules).unwrap_or(u32::MAX);
        let start = start.wrapping_add(padding);
        let tags = start.wrapping_add((u64::from(granules) * GRANULE) as usize);
        let ground = Ground { start, granules, tags, chunk: 0 };
        Self { memory, ground, free_granules: granules, returned_granules: 0, is_for_one }
    }

    pub fn is_empty(&self) -> bool {
        self.free_granules + self.returned_granules == self.ground.granules
    }

    /// Bytes that somebody is charged for.
    pub fn charged_bytes(&self) -> u64 {
        self.memory.bytes() - u64::from(self.returned_granules) * GRANULE
    }
}

/// What the memory between two borders of blocks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Free(u32),
    /// Free, but given back.
    Returned(u32),
    Used(Extent),
    Cached(Extent),
    Movable(Extent, u64),
}

impl Piece {
    pub fn granules(self) -> u32 {
        match self {
            Piece::Free(granules) | Piece::Returned(granules) => granules,
            Piece::Used(extent) | Piece::Cached(extent) | Piece::Movable(extent, _) => extent.granules,
        }
    }
}

/// Granules side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub at: At,
    pub granules: u32,
}

impl Stretch {
    pub fn bytes(self) -> u64 {
        u64::from(self.granules) * GRANULE
    }
}

/// The neighbours of a free block in the list of its bin; they stand at its begin.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Links {
    next: Option<At>,
    before: Option<At>,
}

const NOBODY: u64 = u64::MAX;

fn packed(at: Option<At>) -> u64 {
    at.map_or(NOBODY, |at| u64::from(at.chunk) << 32 | u64::from(at.granule))
}

fn unpacked(word: u64) -> Option<At> {
    (word != NOBODY).then_some(At { chunk: (word >> 32) as u32, granule: word as u32 })
}

pub struct Space {
    chunks: Vec<Option<Chunk>>,
    bins: Bins,
    pub free_blocks: u64,
    /// How often the lists had to be made anew.
    pub repairs: u64,
}

impl Space {
    pub fn new() -> Self {
        Self { chunks: Vec::new(), bins: Bins::new(), free_blocks: 0, repairs: 0 }
    }

    pub fn chunks(&self) -> impl Iterator<Item = &Chunk> + Clone {
        self.chunks.iter().flatten()
    }

    pub fn grounds(&self) -> impl Iterator<Item = &Ground> + Clone {
        self.chunks().map(|chunk| &chunk.ground)
    }

    pub fn chunk(&self, index: u32) -> Option<&Chunk> {
        self.chunks.get(index as usize)?.as_ref()
    }

    /// Makes room for one more chunk, and tells what its place will be.
    pub fn reserve(&mut self) -> Result<u32, OutOfMemory> {
        if let Some(place) = self.chunks.iter().position(Option::is_none) {
            return Ok(place as u32);
        }
        alloc::try_reserve_one(&mut self.chunks)?;
        self.chunks.push(None);
        Ok(self.chunks.len() as u32 - 1)
    }

    /// Adds a chunk, all of it free and all of its tags 0, at a place that was reserved.
    pub fn add(&mut self, chunk: Chunk) {
        let (place, granules) = (chunk.ground.chunk, chunk.ground.granules);
        self.chunks[place as usize] = Some(chunk);
        self.put(At { chunk: place, granule: 0 }, granules);
    }

    /// Takes an empty chunk out.
    pub fn remove(&mut self, place: u32) -> Option<Chunk> {
        self.chunk(place).filter(|chunk| chunk.is_empty())?;
        let repairs = self.repairs;
        let mut at = At { chunk: place, granule: 0 };
        while let Some(piece) = self.piece(at) {
            if let Piece::Free(granules) = piece {
                self.unlink(at, granules);
            }
            at = at.further(piece.granules());
        }
        let chunk = self.chunks[place as usize].take();
        if self.repairs != repairs {
            // Some that were unlinked had come into the lists again.
            self.repair();
        }
        chunk
    }

    /// The tag of a granule of a chunk that is there.
    pub fn tag(&self, at: At) -> Option<Tag> {
        let ground = &self.chunk(at.chunk)?.ground;
        if at.granule >= ground.granules {
            return None;
        }
        // SAFETY: the chunk has that many tags.
        Some(unsafe { Tag::at(ground.tags.add(at.granule as usize)) })
    }

    pub fn address(&self, at: At) -> *mut u8 {
        let start = self.chunk(at.chunk).map_or(std::ptr::null_mut(), |chunk| chunk.ground.start);
        start.wrapping_add(at.granule as usize * GRANULE as usize)
    }

    /// What begins at a granule that something begins at.
    pub fn piece(&self, at: At) -> Option<Piece> {
        let tag = self.tag(at)?;
        match tag.find() {
            Found::Nothing => tag.free_granules().map(Piece::Free),
            Found::Returned(granules) => Some(Piece::Returned(granules)),
            Found::Used(extent) | Found::Followed(extent, _) => Some(Piece::Used(extent)),
            Found::Cached(extent) => Some(Piece::Cached(extent)),
            Found::Movable(extent, number) => Some(Piece::Movable(extent, number)),
        }
    }

    /// Everything that a chunk is cut into, from its begin.
    pub fn pieces(&self, chunk: u32) -> impl Iterator<Item = (At, Piece)> {
        let mut at = At { chunk, granule: 0 };
        std::iter::from_fn(move || {
            let piece = self.piece(at)?;
            let here = at;
            at = at.further(piece.granules());
            Some((here, piece))
        })
    }

    /// Takes `granules` of free memory, which the caller marks as what they become.
    pub fn take(&mut self, granules: u32) -> Option<At> {
        self.take_run(granules, 1).map(|(at, _)| at)
    }

    /// Takes several times as many, side by side, if a block that is found for the first has room for them.
    pub fn take_run(&mut self, granules: u32, most: u32) -> Option<(At, u32)> {
        let (at, found) = self.find(granules)?;
        self.unlink(at, found);
        let count = (found / granules).min(most);
        self.put_rest(at, found, count * granules);
        Some((at, count))
    }

    /// Takes `granules`, so that the one `ahead` of the first begins on a multiple of `align`.
    pub fn take_aligned(&mut self, granules: u32, align: u64, ahead: u32) -> Option<At> {
        let room = granules.checked_add(u32::try_from(align / GRANULE).ok()?.saturating_sub(1))?;
        let (at, found) = self.find(room)?;
        self.unlink(at, found);
        let first = self.address(at.further(ahead)) as u64;
        let skipped = (first.next_multiple_of(align) - first) / GRANULE;
        let taken = at.further(skipped as u32);
        if skipped > 0 {
            self.put(at, skipped as u32);
        }
        self.put_rest(taken, found - skipped as u32, granules);
        Some(taken)
    }

    fn put_rest(&mut self, at: At, found: u32, taken: u32) {
        if found > taken {
            self.put(at.further(taken), found - taken);
        }
        self.count(at.chunk, |free| free - taken);
    }

    fn count(&mut self, chunk: u32, change: impl Fn(u32) -> u32) {
        if let Some(Some(chunk)) = self.chunks.get_mut(chunk as usize) {
            chunk.free_granules = change(chunk.free_granules);
        }
    }

    fn count_returned(&mut self, chunk: u32, change: impl Fn(u32) -> u32) {
        if let Some(Some(chunk)) = self.chunks.get_mut(chunk as usize) {
            chunk.returned_granules = change(chunk.returned_granules);
        }
    }

    /// Nobody is given a part of a free block from now on, whose pages are given back.
    pub fn set_returned(&mut self, block: At, part: Stretch) {
        let Some(Piece::Free(granules)) = self.piece(block) else { return };
        let Some(tag) = self.tag(part.at) else { return };
        self.unlink(block, granules);
        let ahead = part.at.granule - block.granule;
        if ahead > 0 {
            self.put(block, ahead);
        }
        tag.set_returned(part.granules);
        self.put_rest(part.at, granules - ahead, part.granules);
        self.count_returned(block.chunk, |returned| returned + part.granules);
    }

    /// Memory whose pages were given back, or the first part of it, is free again. `false`: that is no such memory any more.
    pub fn restore(&mut self, stretch: Stretch) -> bool {
        let Stretch { at, granules } = stretch;
        let Some(Piece::Returned(had)) = self.piece(at).filter(|piece| piece.granules() >= granules) else {
            return false;
        };
        if had > granules
            && let Some(tag) = self.tag(at.further(granules))
        {
            tag.set_returned(had - granules);
        }
        self.count_returned(at.chunk, |returned| returned - granules);
        self.give(at, granules);
        true
    }

    /// Memory that was given back, where that and what is free beside it have so many granules.
    pub fn returned_with_room(&self, granules: u32) -> Option<Stretch> {
        let chunks = self.chunks().filter(|chunk| chunk.returned_granules > 0);
        chunks.map(|chunk| chunk.ground.chunk).find_map(|chunk| {
            // What is side by side, and the first in it that was given back.
            let (mut room, mut first) = (0, None);
            self.pieces(chunk).find_map(|(at, piece)| {
                match piece {
                    Piece::Free(more) => room += more,
                    Piece::Returned(more) => {
                        room += more;
                        first = first.or(Some(Stretch { at, granules: more }));
                    }
                    _ => (room, first) = (0, None),
                }
                first.filter(|_| room >= granules)
            })
        })
    }

    /// Memory that was given back in another chunk, in which something lies.
    pub fn returned_beside(&self, chunk: u32) -> Option<Stretch> {
        let others = self.chunks().filter(|other| other.returned_granules > 0 && !other.is_empty());
        let mut others = others.map(|other| other.ground.chunk).filter(|other| *other != chunk);
        others.find_map(|other| {
            self.pieces(other).find_map(|(at, piece)| match piece {
                Piece::Returned(granules) => Some(Stretch { at, granules }),
                _ => None,
            })
        })
    }

    /// Memory of a chunk that was given back, where movable blocks lie behind it.
    pub fn returned_before_movable(&self, chunk: u32) -> Option<Stretch> {
        let mut first = None;
        self.pieces(chunk).find_map(|(at, piece)| match piece {
            Piece::Returned(granules) => {
                first = first.or(Some(Stretch { at, granules }));
                None
            }
            Piece::Movable(..) => first,
            _ => None,
        })
    }

    /// Takes a block back. Tells whether its chunk is empty now.
    pub fn give(&mut self, at: At, granules: u32) -> bool {
        let (mut start, mut length) = (at, granules);
        if let Some(tag) = self.tag(at) {
            tag.clear();
        }
        if let Some(before) = self.free_before(at) {
            start = At { granule: at.granule - before, ..at };
            self.unlink(start, before);
            length += before;
        }
        let behind = at.further(granules);
        if let Some(Piece::Free(after)) = self.piece(behind) {
            self.unlink(behind, after);
            length += after;
        }
        self.put(start, length);
        self.count(at.chunk, |free| free + granules);
        self.chunk(at.chunk).is_some_and(Chunk::is_empty)
    }

    /// Lengthens a block by what is free behind it, if that is enough. The caller marks it anew.
    pub fn extend(&mut self, at: At, granules: u32, wanted: u32) -> bool {
        let behind = at.further(granules);
        match self.piece(behind) {
            Some(Piece::Free(after)) if u64::from(granules) + u64::from(after) >= u64::from(wanted) => {
                self.unlink(behind, after);
                self.put_rest(behind, after, wanted - granules);
                true
            }
            _ => false,
        }
    }

    /// Takes what is free in a chunk out of the lists, so that nobody is given it until it is attached again. `false`: that
    /// cannot be done, because somebody goes on writing to free memory.
    pub fn detach(&mut self, chunk: u32) -> bool {
        for _ in 0..3 {
            let repairs = self.repairs;
            let mut at = At { chunk, granule: 0 };
            // A repair puts all of it into the lists again.
            while let Some(piece) = self.piece(at).filter(|_| self.repairs == repairs) {
                if let Piece::Free(granules) = piece {
                    self.unlink(at, granules);
                }
                at = at.further(piece.granules());
            }
            if self.repairs == repairs {
                return true;
            }
        }
        self.repair();
        false
    }

    /// Joins what is free in a detached chunk, and puts it into the lists.
    pub fn attach(&mut self, chunk: u32) {
        let mut at = At { chunk, granule: 0 };
        let mut gap: Option<(At, u32)> = None;
        while let Some(piece) = self.piece(at) {
            match piece {
                Piece::Free(granules) => {
                    let (start, length) = gap.unwrap_or((at, 0));
                    gap = Some((start, length + granules));
                }
                _ => {
                    if let Some((start, length)) = gap.take() {
                        self.put(start, length);
                    }
                }
            }
            at = at.further(piece.granules());
        }
        if let Some((start, length)) = gap {
            self.put(start, length);
        }
    }

    /// Makes a block of a detached chunk free.
    pub fn release(&mut self, at: At, granules: u32) {
        if let Some(tag) = self.tag(at) {
            tag.set_free(granules);
            self.count(at.chunk, |free| free + granules);
        }
    }

    fn free_before(&self, at: At) -> Option<u32> {
        let last = self.tag(At { granule: at.granule.checked_sub(1)?, ..at })?;
        free_granules_up_to(last, at.granule - 1)
    }

    /// Granules of the largest free block.
    pub fn largest(&self) -> u32 {
        let mut next = self.bins.last();
        let mut largest = 0;
        while let Some(at) = next {
            let Some(Piece::Free(granules)) = self.piece(at) else { break };
            largest = largest.max(granules);
            next = self.confirmed_next(at).unwrap_or(None);
        }
        largest
    }

    fn find(&mut self, granules: u32) -> Option<(At, u32)> {
        // The last block of just that size that came back, if it is the first of its bin.
        if let Some(head) = self.bins.head(bin_of(granules))
            && let Some(Piece::Free(found)) = self.piece(head)
            && found >= granules
        {
            return Some((head, found));
        }
        let at = self.bins.find(granules).or_else(|| self.search(granules))?;
        match self.piece(at)? {
            Piece::Free(found) if found >= granules => Some((at, found)),
            _ => None,
        }
    }

    /// Looks through the bin in which only some blocks are large enough: before more memory is mapped.
    #[cold]
    fn search(&mut self, granules: u32) -> Option<At> {
        let mut next = self.bins.head(bin_of(granules));
        while let Some(at) = next {
            if matches!(self.piece(at), Some(Piece::Free(found)) if found >= granules) {
                return Some(at);
            }
            next = match self.confirmed_next(at) {
                Some(next) => next,
                None => {
                    self.repair();
                    return self.bins.find(granules);
                }
            };
        }
        None
    }

    fn put(&mut self, at: At, granules: u32) {
        if let Some(tag) = self.tag(at) {
            tag.set_free(granules);
            self.link(at, granules);
        }
    }

    fn link(&mut self, at: At, granules: u32) {
        let bin = bin_of(granules);
        let next = self.bins.head(bin);
        self.set_links(at, Links { next, before: None });
        if let Some(next) = next {
            let links = self.links(next);
            self.set_links(next, Links { before: Some(at), ..links });
        }
        self.bins.set_head(bin, Some(at));
        self.free_blocks += 1;
    }

    fn unlink(&mut self, at: At, granules: u32) {
        if !self.try_unlink(at, granules) {
            self.repair();
            if !self.try_unlink(at, granules) {
                // Somebody goes on writing there. The bin is forgotten; the next repair finds its blocks again.
                self.bins.set_head(bin_of(granules), None);
                self.free_blocks = self.free_blocks.saturating_sub(1);
            }
        }
    }

    fn try_unlink(&mut self, at: At, granules: u32) -> bool {
        let bin = bin_of(granules);
        let Links { before, .. } = self.links(at);
        let Some(next) = self.confirmed_next(at) else { return false };
        match before {
            None if self.bins.head(bin) == Some(at) => self.bins.set_head(bin, next),
            Some(before) if self.is_free(before) && self.links(before).next == Some(at) => {
                let links = self.links(before);
                self.set_links(before, Links { next, ..links });
            }
            _ => return false,
        }
        if let Some(next) = next {
            let links = self.links(next);
            self.set_links(next, Links { before, ..links });
        }
        self.free_blocks -= 1;
        true
    }

    /// The block that follows in the list; `None` when the links do not hold together.
    fn confirmed_next(&self, at: At) -> Option<Option<At>> {
        match self.links(at).next {
            None => Some(None),
            Some(next) => (self.is_free(next) && self.links(next).before == Some(at)).then_some(Some(next)),
        }
    }

    fn is_free(&self, at: At) -> bool {
        matches!(self.piece(at), Some(Piece::Free(_)))
    }

    /// Makes the lists anew, from what the tags say.
    #[cold]
    fn repair(&mut self) {
        self.bins = Bins::new();
        self.free_blocks = 0;
        self.repairs += 1;
        for chunk in 0..self.chunks.len() as u32 {
            let mut at = At { chunk, granule: 0 };
            while let Some(piece) = self.piece(at) {
                if let Piece::Free(granules) = piece {
                    self.link(at, granules);
                }
                at = at.further(piece.granules());
            }
        }
    }

    fn links(&self, at: At) -> Links {
        let Some(words) = self.words(at) else { return Links { next: None, before: None } };
        // SAFETY: a granule of a chunk that is there has room for two words.
        let [next, before] = unsafe { words.read() };
        Links { next: unpacked(next), before: unpacked(before) }
    }

    fn set_links(&self, at: At, links: Links) {
        if let Some(words) = self.words(at) {
            // SAFETY: as above; what is free is the heap's.
            unsafe { words.write([packed(links.next), packed(links.before)]) };
        }
    }

    fn words(&self, at: At) -> Option<*mut [u64; 2]> {
        let chunk = self.chunk(at.chunk)?;
        (at.granule < chunk.ground.granules).then(|| self.address(at).cast())
    }
}
