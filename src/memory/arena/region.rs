//! One thread's bump region: what is left of it, in two words that inline code of the host also knows.

use crate::base::InvalidField;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// An allocation as asked, checked once: a size above 0 and an alignment that is a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    bytes: usize,
    align: usize,
}

pub const DEFAULT_ALIGN: u64 = 16;
pub const MAX_ALIGN: u64 = 2 << 20;

#[cold]
pub fn bad_alignment(align: u64) -> InvalidField {
    const BOUND: &str = "must be 0 or a power of two of at most 2097152 (2 MiB)";
    const _: () = assert!(MAX_ALIGN == 2_097_152);
    InvalidField { field: "align_bytes", value: align, bound: BOUND }
}

impl Block {
    /// An alignment of 0 is the default; a size of 0 is an allocation of one byte, so that each has an address of its
    /// own. `None`: the alignment cannot be had.
    #[inline]
    pub fn new(bytes: u64, align: u64) -> Option<Self> {
        let align = if align == 0 { DEFAULT_ALIGN } else { align };
        (align.is_power_of_two() && align <= MAX_ALIGN)
            .then_some(Self { bytes: bytes.max(1) as usize, align: align as usize })
    }

    /// Bytes that a span must have so that the block fits wherever the span begins, if spans begin at `aligned`.
    pub fn worst_case(self, aligned: usize) -> Option<u64> {
        let padding = self.align.saturating_sub(aligned);
        Some(self.bytes.checked_add(padding)? as u64)
    }

    pub fn bytes(self) -> u64 {
        self.bytes as u64
    }

    pub fn align(self) -> usize {
        self.align
    }
}

/// The free part of a region. One thread allocates from it; another may empty it, in a moment when the contract says
/// that nobody allocates, or at a destroy, when it does no harm. So the fields are atomic, but never ordered.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Region {
    next: AtomicPtr<u8>,
    /// NULL when the region is empty. The last word: `next` is stale then.
    end: AtomicPtr<u8>,
}

impl Region {
    /// Takes a block off the front, if it fits.
    #[inline]
    pub fn bump(&self, block: Block) -> Option<*mut u8> {
        let next = self.next.load(Relaxed);
        let end = self.end.load(Relaxed) as usize;
        let address = (next as usize).checked_add(block.align - 1)? & !(block.align - 1);
        // `address` may be past the end, and the end NULL.
        if address > end || block.bytes > end - address {
            return None;
        }
        let start = next.wrapping_add(address - next as usize);
        self.next.store(start.wrapping_add(block.bytes), Relaxed);
        Some(start)
    }

    pub fn fill(&self, start: *mut u8, end: *mut u8) {
        self.next.store(start, Relaxed);
        self.end.store(end, Relaxed);
    }

    #[inline]
    pub fn go_back(&self, next: *mut u8) {
        self.next.store(next, Relaxed);
    }

    /// Only the end goes. Its thread, which may be reading the two in any order, would take a new `next` beside the old end
    /// for room.
    pub fn empty(&self) {
        self.end.store(std::ptr::null_mut(), Relaxed);
    }

    pub fn next(&self) -> *mut u8 {
        self.next.load(Relaxed)
    }

    pub fn end(&self) -> *mut u8 {
        self.end.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(bytes: &mut [u8]) -> Region {
        let region = Region::default();
        let range = bytes.as_mut_ptr_range();
        region.fill(range.start, range.end);
        region
    }

    #[test]
    fn blocks_are_aligned_and_end_where_the_region_ends() {
        let mut bytes = [0u8; 256];
        let region = region(&mut bytes);
        let mut last = 0;
        let mut taken = 0;
        while let Some(start) = region.bump(Block::new(13, 8).unwrap()) {
            assert_eq!(start as usize % 8, 0);
            assert!(start as usize >= last);
            last = start as usize + 13;
            taken += 1;
        }
        assert!(last <= region.end() as usize && taken >= 15);
    }

    #[test]
    fn an_empty_region_gives_nothing_whatever_is_asked() {
        for (bytes, align) in [(0, 0), (1, 1), (u64::MAX, 1), (u64::MAX, MAX_ALIGN), (1, MAX_ALIGN)] {
            assert_eq!(Region::default().bump(Block::new(bytes, align).unwrap()), None);
        }
        let mut bytes = [0u8; 64];
        let region = region(&mut bytes);
        assert_eq!(region.bump(Block::new(u64::MAX, 1).unwrap()), None);
        region.empty();
        assert_eq!(region.bump(Block::new(1, 1).unwrap()), None);
    }

    /// Of a region that another thread empties meanwhile, each word may be read before or after.
    #[test]
    fn whatever_is_read_of_a_region_while_it_is_emptied_leads_to_a_block_of_it_or_to_none() {
        let mut bytes = [0u8; 64];
        let range = bytes.as_mut_ptr_range();
        let emptied = region(&mut bytes);
        emptied.empty();
        for next in [range.start, emptied.next()] {
            for end in [range.end, emptied.end()] {
                let seen = Region::default();
                seen.fill(next, end);
                assert_eq!(seen.bump(Block::new(8, 1).unwrap()), (end == range.end).then_some(range.start));
            }
        }
    }

    #[test]
    fn alignments_that_cannot_be_had() {
        assert!([3, MAX_ALIGN * 2, u64::MAX].into_iter().all(|align| Block::new(1, align).is_none()));
        assert_eq!(Block::new(usize::MAX as u64, MAX_ALIGN).unwrap().worst_case(64), None);
    }
}
