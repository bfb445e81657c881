//! The memory under the slots: chunks on the pages asked for, side by side in address space that is reserved for all of
//! them from the beginning. A slot may lie on the border of two; then it takes both.

use super::super::governor::Account;
use super::super::pages::{Mapping, PagesError, Request};
use super::super::source::PageSource;
use super::super::system::{self, Errno};
use crate::base::Name;
use crate::base::alloc::{self, OutOfMemory};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

/// Reserved address space.
pub struct Space {
    start: NonNull<u8>,
    bytes: u64,
    /// The first multiple of the alignment in it.
    base: NonNull<u8>,
}

// SAFETY: a range of address space; who may touch which part of it is its user's business.
unsafe impl Send for Space {}
// SAFETY: as above.
unsafe impl Sync for Space {}

impl Space {
    /// With at least a page on either side that nobody may touch.
    pub fn reserve(bytes: u64, alignment: u64) -> Result<Self, Errno> {
        let page = system::base_page_bytes();
        let bytes = bytes.checked_add(alignment + 2 * page).ok_or(libc::ENOMEM)?;
        let start = system::reserve(bytes)?;
        let aligned = |address: usize| (address + page as usize).next_multiple_of(alignment as usize);
        let base = start.as_ptr().map_addr(aligned);
        Ok(Self { start, bytes, base: NonNull::new(base).ok_or(libc::ENOMEM)? })
    }

    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // SAFETY: what `reserve` returned; the chunks in it are gone.
        if let Err(errno) = unsafe { system::unmap(self.start.as_ptr(), self.bytes) } {
            crate::base::log::warn(format_args!("munmap of {} bytes failed: errno {errno}", self.bytes));
        }
    }
}

/// One place for a chunk.
enum Chunk {
    Absent,
    Mapped(Arc<Mapping>),
    /// Its slots were taken out of use, and what was made in them is being destroyed.
    Leaving(Arc<Mapping>),
    /// That is done, but somebody still looks at its pages.
    Left(Arc<Mapping>),
    /// Nobody does any more, and the kernel takes them back.
    Going,
}

/// What the chunks are made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub source: PageSource,
    pub name: Name,
    pub chunk_bytes: u64,
    pub stride: u64,
    pub slots: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// Every chunk is mapped.
    #[error("all {0} slots are there")]
    Full(u64),
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error("the chunk cannot be moved to its place: errno {0}")]
    Move(Errno),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl Plan {
    /// How many chunks there can be.
    fn places(&self) -> u64 {
        (self.slots * self.stride).div_ceil(self.chunk_bytes)
    }

    /// Maps the chunk for this place.
    pub fn map(&self, index: usize, space: &Space, account: &Arc<Account>) -> Result<Arc<Mapping>, ChunkError> {
        let bytes = self.chunk_bytes;
        // The guards are those of the space: a chunk lies between them only if it is the only one.
        let source = PageSource { guard: self.source.guard && self.places() == 1, ..self.source };
        let request = Request { bytes, at_most: bytes, source, account, name: self.name.as_str() };
        let mut mapping = Mapping::new(&request)?;
        // SAFETY: the space has room for every chunk, its base is a multiple of every page size that a chunk can have,
        // nothing is in this place, and the space outlives the chunks.
        unsafe { mapping.move_to(space.base.add(index * bytes as usize)).map_err(ChunkError::Move)? };
        Ok(alloc::try_arc(mapping)?)
    }
}

/// A chunk that was taken out of the list. Its memory is given back without the lock, and its place is vacated after that.
pub struct Gone {
    pub index: usize,
    pub mapping: Arc<Mapping>,
}

pub struct Chunks {
    plan: Plan,
    list: Vec<Chunk>,
    pub mapped_bytes: u64,
    pub step_downs: u64,
}

impl Chunks {
    pub fn new(plan: Plan) -> Result<Self, OutOfMemory> {
        let count = plan.places() as usize;
        let mut list = alloc::try_vec(count)?;
        list.extend((0..count).map(|_| Chunk::Absent));
        Ok(Self { plan, list, mapped_bytes: 0, step_downs: 0 })
    }

    /// Slots of which at least one byte lies in the chunk.
    fn touching(&self, chunk: usize) -> Range<u32> {
        let (start, end) = (chunk as u64 * self.plan.chunk_bytes, (chunk as u64 + 1) * self.plan.chunk_bytes);
        let first = start / self.plan.stride;
        (first as u32)..end.div_ceil(self.plan.stride).min(self.plan.slots) as u32
    }

    /// Of those the ones whose other bytes lie in chunks that are mapped.
    fn whole(&self, chunk: usize) -> Range<u32> {
        let mapped = |chunk: usize| matches!(self.list.get(chunk), Some(Chunk::Mapped(_)));
        let Range { mut start, mut end } = self.touching(chunk);
        let bytes = self.plan.chunk_bytes;
        // A slot is at most as long as a chunk, so at each end at most one reaches beyond it.
        if u64::from(start) * self.plan.stride < chunk as u64 * bytes && !(chunk > 0 && mapped(chunk - 1)) {
            start += 1;
        }
        if u64::from(end) * self.plan.stride > (chunk as u64 + 1) * bytes && !mapped(chunk + 1) {
            end -= 1;
        }
        start..end.max(start)
    }

    /// The lowest place without a chunk, for one who grows alone.
    pub fn absent(&self) -> Result<usize, ChunkError> {
        let absent = self.list.iter().position(|chunk| matches!(chunk, Chunk::Absent));
        absent.ok_or(ChunkError::Full(self.plan.slots))
    }

    /// Puts a chunk in its place, and tells the slots that are there now because of it.
    pub fn place(&mut self, index: usize, mapping: Arc<Mapping>) -> Range<u32> {
        self.mapped_bytes += mapping.bytes;
        self.step_downs += u64::from(mapping.stepped_down());
        self.list[index] = Chunk::Mapped(mapping);
        self.whole(index)
    }

    /// Whether a chunk is on its way out, once callbacks have returned and looks have ended.
    pub fn is_one_leaving(&self) -> bool {
        self.list.iter().any(|chunk| matches!(chunk, Chunk::Leaving(_) | Chunk::Left(_)))
    }

    /// Whether the kernel takes a chunk back just now.
    pub fn is_one_going(&self) -> bool {
        self.list.iter().any(|chunk| matches!(chunk, Chunk::Going))
    }

    /// How many places there are.
    pub fn places(&self) -> usize {
        self.list.len()
    }

    /// The bytes of the chunk in this place, and the slots that are there because of it.
    pub fn mapped(&self, index: usize) -> Option<(u64, Range<u32>)> {
        match self.list.get(index)? {
            Chunk::Mapped(mapping) => Some((mapping.bytes, self.whole(index))),
            _ => None,
        }
    }

    pub fn begin_leaving(&mut self, index: usize) {
        if let Chunk::Mapped(mapping) = std::mem::replace(&mut self.list[index], Chunk::Absent) {
            self.list[index] = Chunk::Leaving(mapping);
        }
    }

    /// One that was leaving goes now, or when whoever looks at it last has seen enough.
    #[must_use]
    pub fn end_leaving(&mut self, index: usize) -> Option<Gone> {
        if let Chunk::Leaving(mapping) = std::mem::replace(&mut self.list[index], Chunk::Absent) {
            self.mapped_bytes -= mapping.bytes;
            self.list[index] = Chunk::Left(mapping);
        }
        self.let_go(index)
    }

    /// Takes a chunk out that has left, unless somebody looks at it.
    fn let_go(&mut self, index: usize) -> Option<Gone> {
        match std::mem::replace(&mut self.list[index], Chunk::Going) {
            Chunk::Left(mapping) if Arc::strong_count(&mapping) == 1 => Some(Gone { index, mapping }),
            other => {
                self.list[index] = other;
                None
            }
        }
    }

    /// Another chunk may come to a place whose memory was given back.
    pub fn vacate(&mut self, index: usize) {
        self.list[index] = Chunk::Absent;
    }

    /// The chunk in this place, which nothing else takes before [`end_look`](Self::end_look) has its share back. Shares are
    /// made and ended under the lock of the list only.
    pub fn begin_look(&self, index: usize) -> Option<Arc<Mapping>> {
        match self.list.get(index)? {
            Chunk::Mapped(mapping) => Some(mapping.clone()),
            _ => None,
        }
    }

    #[must_use]
    pub fn end_look(&mut self, index: usize, share: Arc<Mapping>) -> Option<Gone> {
        drop(share);
        self.let_go(index)
    }

    pub fn count(&self) -> u64 {
        self.list.iter().filter(|chunk| matches!(chunk, Chunk::Mapped(_))).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::policy::Pages;
    use super::super::super::testing::{ACCOUNT, quiet};
    use super::*;

    /// The kernel takes memory back while others use the list, and no other chunk comes to the place before that.
    #[test]
    fn a_place_is_vacated_when_the_memory_is_given_back_and_no_look_is_left() {
        let _quiet = quiet();
        let source = PageSource { pages: Pages::Base, ..PageSource::default() };
        let plan = Plan { source, name: Name::from("slab"), chunk_bytes: 65536, stride: 64, slots: 1024 };
        let space = Space::reserve(65536, 65536).expect("address space");
        for is_looked_at in [false, true] {
            let mut chunks = Chunks::new(plan).expect("memory");
            chunks.place(0, plan.map(0, &space, &ACCOUNT).expect("a chunk"));
            let look = chunks.begin_look(0).filter(|_| is_looked_at);
            chunks.begin_leaving(0);
            let gone = chunks.end_leaving(0);
            assert_eq!((gone.is_some(), chunks.mapped_bytes), (!is_looked_at, 0));
            assert_eq!(chunks.is_one_leaving(), is_looked_at);
            let gone = gone.or_else(|| chunks.end_look(0, look?)).expect("the chunk");
            assert_eq!(Arc::strong_count(&gone.mapping), 1);
            assert!(chunks.absent().is_err() && chunks.is_one_going() && chunks.begin_look(0).is_none());
            drop(gone.mapping);
            chunks.vacate(gone.index);
            assert!(chunks.absent().is_ok() && !chunks.is_one_going());
        }
    }
}
