//! What stands at the beginning of a segment, and before each of its blocks. Every process that maps the segment reads
//! and writes it, and each may die at any instruction: there is no lock in it, and what it says is checked before it is
//! believed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// "OSTLRSEG" as the bytes lie in memory.
pub const MAGIC: u64 = u64::from_le_bytes(*b"OSTLRSEG");
/// Goes on whenever the layout changes in a way that an older library would misread.
pub const VERSION: u32 = 1;
pub const HEADER_BYTES: u64 = 256;
/// Blocks begin on a multiple of this.
pub const UNIT: u64 = 16;
/// What stands before a block.
pub const PREFIX_BYTES: u64 = 16;

const OFFSET_BITS: u32 = 40;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;
const LAST_GENERATION: u64 = u64::MAX >> OFFSET_BITS;
pub const LARGEST_BYTES: u64 = 1 << 40;

const _: () = assert!(LARGEST_BYTES / UNIT <= OFFSET_MASK);

/// Where something lies in a segment, and in which of its generations: the same for every process. A word, so that it is
/// read and written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub u64);

impl Place {
    pub const NONE: Self = Self(0);

    pub fn new(generation: u64, offset: u64) -> Self {
        Self((generation << OFFSET_BITS) | (offset / UNIT))
    }

    pub fn generation(self) -> u64 {
        self.0 >> OFFSET_BITS
    }

    pub fn offset(self) -> u64 {
        (self.0 & OFFSET_MASK) * UNIT
    }

    /// The beginning of the next generation, in which nothing is used.
    pub fn next_generation(self) -> Self {
        let next = if self.generation() == LAST_GENERATION { 1 } else { self.generation() + 1 };
        Self::new(next, HEADER_BYTES)
    }
}

/// What never changes once the segment is there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub magic: u64,
    pub version: u32,
    pub header_bytes: u32,
    pub bytes: u64,
    pub page_bytes: u64,
    pub owner: super::owner::Identity,
}

pub const FACTS_BYTES: usize = size_of::<Facts>();

/// The header: facts, and on lines of their own what changes.
#[repr(C)]
pub struct Header {
    facts: Facts,
    _rest: [u8; 128 - FACTS_BYTES],
    /// The generation, and where its first free byte is.
    next: AtomicU64,
    /// A block that whoever attaches can begin with.
    root: AtomicU64,
    /// 1 once the owner has destroyed its segment in order.
    closed: AtomicU32,
    _end: [u8; 108],
}

const _: () = assert!(size_of::<Header>() == HEADER_BYTES as usize);

impl Header {
    /// The header of memory that is zero.
    pub fn begin(&self) {
        self.next.store(Place::new(0, 0).next_generation().0, Release);
    }

    /// The generation, and the end of what is used in it.
    pub fn next(&self) -> Place {
        Place(self.next.load(Acquire))
    }

    /// Takes `bytes` from the end of what is used, if they fit; gives where the block begins.
    pub fn take(&self, bytes: u64, align: u64, end: u64) -> Result<Place, Full> {
        let mut seen = self.next();
        loop {
            let used = seen.offset().max(HEADER_BYTES);
            let full = Full { left: end.saturating_sub(used) };
            let start = super::super::round_up(used + PREFIX_BYTES, align.max(UNIT)).ok_or(full)?;
            let next = start.checked_add(bytes).and_then(|next| super::super::round_up(next, UNIT)).ok_or(full)?;
            if next > end {
                return Err(full);
            }
            let after = Place::new(seen.generation(), next).0;
            match self.next.compare_exchange_weak(seen.0, after, AcqRel, Acquire) {
                Ok(_) => return Ok(Place::new(seen.generation(), start)),
                Err(other) => seen = Place(other),
            }
        }
    }

    /// Begins the next generation: every block is gone.
    pub fn begin_generation(&self) {
        self.root.store(Place::NONE.0, Release);
        self.next.store(self.next().next_generation().0, Release);
    }

    pub fn root(&self) -> Place {
        Place(self.root.load(Acquire))
    }

    pub fn set_root(&self, block: Place) {
        self.root.store(block.0, Release);
    }

    pub fn close(&self) {
        self.closed.store(1, Release);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Acquire) != 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    pub left: u64,
}

/// What stands before a block. Where none begins, or its maker died before it was whole, the check does not hold.
#[repr(C)]
pub struct Prefix {
    check: AtomicU64,
    bytes: AtomicU64,
}

const _: () = assert!(size_of::<Prefix>() == PREFIX_BYTES as usize);

impl Prefix {
    /// Makes the block visible, last of all.
    pub fn write(&self, block: Place, bytes: u64) {
        self.bytes.store(bytes, Relaxed);
        self.check.store(check(block, bytes), Release);
    }

    /// How long the block is, if it is this one.
    pub fn read(&self, block: Place) -> Option<u64> {
        let found = self.check.load(Acquire);
        let bytes = self.bytes.load(Relaxed);
        (found == check(block, bytes)).then_some(bytes)
    }
}

fn check(block: Place, bytes: u64) -> u64 {
    (block.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bytes).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_what_it_was_made_of() {
        for (generation, offset) in [(1, HEADER_BYTES), (LAST_GENERATION, LARGEST_BYTES - UNIT), (7, 4096)] {
            let place = Place::new(generation, offset);
            assert_eq!((place.generation(), place.offset()), (generation, offset));
        }
        assert_eq!(Place::new(LAST_GENERATION, 64).next_generation(), Place::new(1, HEADER_BYTES));
    }

    #[test]
    fn a_prefix_knows_its_own_block_only() {
        let prefix = Prefix { check: AtomicU64::new(0), bytes: AtomicU64::new(0) };
        let block = Place::new(1, 512);
        assert_eq!(prefix.read(block), None);
        prefix.write(block, 100);
        assert_eq!(prefix.read(block), Some(100));
        for other in [Place::new(2, 512), Place::new(1, 528), Place::NONE] {
            assert_eq!(prefix.read(other), None);
        }
    }
}
