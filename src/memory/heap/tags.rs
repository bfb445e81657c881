//! Tags: what a chunk's memory is used for, a byte for each granule, apart from the memory itself, so that no write past a
//! block destroys it and any address can be judged.
//!
//! The first tag of a block that is not free has one of the top bits and says what the block is; all other tags have
//! neither. A free block tells its length at both ends, so that its neighbours find it. The other tags of a block hold
//! numbers, six bits in each.

use super::classes::{CLASSES, GRANULE, bytes_of, class_of, granules_of};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering::*};

/// The state of the block that begins here.
const STATE: u8 = 0b1100_0000;
const INSIDE: u8 = 0;
const USED: u8 = 0b0100_0000;
const CACHED: u8 = 0b1000_0000;

/// Below the state stands the form: for the smallest class how many bytes were not asked for, then the other classes.
const CODE: u8 = 0b0011_1111;
const CODES_OF_SMALLEST: u8 = 16;
/// A block of no class, whose length stands behind.
const LONG: u8 = 63;
const _: () = assert!(CODES_OF_SMALLEST as usize + CLASSES - 1 == LONG as usize);

/// The ends of a free block: its granules, up to 15, or none when the length stands in the next tags.
const FREE: u8 = 0b0001_0000;
const SHORT: u8 = 0b0000_1111;

const DIGIT_BITS: u32 = 6;
const DIGITS: usize = 6;
/// Where the numbers of a long block stand.
const LONG_GRANULES: usize = 1;
const LONG_SPARE: usize = LONG_GRANULES + DIGITS;
/// Used blocks of no class are at least so long.
const FEWEST_LONG: u32 = (LONG_SPARE + DIGITS) as u32 + 1;

/// What begins at a granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that is not free: the inside of a block, or free memory.
    Nothing,
    Used(Extent),
    /// Free, and at hand for one thread.
    Cached(Extent),
}

/// How long a block is, and how much of it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub granules: u32,
    pub asked: u64,
}

impl Extent {
    pub fn bytes(self) -> u64 {
        u64::from(self.granules) * GRANULE
    }

    fn spare(self) -> u64 {
        self.bytes() - self.asked
    }
}

/// The tags of a block, from its first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(NonNull<AtomicU8>);

impl Tag {
    /// # Safety
    /// The tags of all granules from this one to the end of the chunk lie there, for as long as the result is used.
    #[inline]
    pub unsafe fn at(address: *mut u8) -> Option<Self> {
        NonNull::new(address.cast()).map(Self)
    }

    #[inline]
    pub fn address(self) -> *mut u8 {
        self.0.as_ptr().cast()
    }

    #[inline]
    fn byte(&self, offset: usize) -> &AtomicU8 {
        // SAFETY: offsets stay inside the block, which ends inside the chunk.
        unsafe { self.0.add(offset).as_ref() }
    }

    #[inline]
    fn get(self, offset: usize) -> u8 {
        self.byte(offset).load(Relaxed)
    }

    #[inline]
    fn set(self, offset: usize, value: u8) {
        self.byte(offset).store(value, Relaxed);
    }

    fn number(self, offset: usize, digits: usize) -> u64 {
        (0..digits).rev().fold(0, |number, digit| number << DIGIT_BITS | u64::from(self.get(offset + digit) & CODE))
    }

    fn set_number(self, offset: usize, digits: usize, number: u64) {
        for digit in 0..digits {
            self.set(offset + digit, (number >> (DIGIT_BITS * digit as u32)) as u8 & CODE);
        }
    }

    /// The class of a used block that has one, and how much of it was not asked for: what a thread needs to know of a block
    /// that it takes back by itself.
    #[inline]
    pub fn used_class(self) -> Option<(usize, u64)> {
        let tag = self.get(0);
        let code = tag & CODE;
        if tag & STATE != USED || code == LONG {
            return None;
        }
        let class = class_with(code);
        Some((class, u64::from(if class == 0 { code } else { self.get(1) })))
    }

    /// A block of that class is in use from now on.
    #[inline]
    pub fn set_used_class(self, class: usize, spare: u64) {
        if class == 0 {
            self.set(0, USED | spare as u8);
        } else {
            self.set(0, USED | code_of(class));
            self.set(1, spare as u8);
        }
    }

    /// A block of that class is at hand for a thread from now on.
    #[inline]
    pub fn set_cached(self, class: usize) {
        self.set(0, CACHED | code_of(class));
    }

    /// The block ends here, and its last tag shall not be taken for the end of a free one.
    pub fn end(self, granules: u32) {
        if granules > 1 {
            self.set(granules as usize - 1, 0);
        }
    }

    pub fn set_used(self, extent: Extent) {
        self.end(extent.granules);
        match class_of(extent.granules) {
            Some(0) => self.set(0, USED | extent.spare() as u8),
            Some(class) => {
                debug_assert!(extent.spare() <= u64::from(CODE));
                self.set(1, extent.spare() as u8);
                self.set(0, USED | code_of(class));
            }
            None => {
                debug_assert!(extent.granules >= FEWEST_LONG);
                self.set_number(LONG_GRANULES, DIGITS, u64::from(extent.granules));
                self.set_number(LONG_SPARE, DIGITS, extent.spare());
                self.set(0, USED | LONG);
            }
        }
    }

    /// What begins here, if it is not free.
    pub fn find(self) -> Found {
        let tag = self.get(0);
        let state = tag & STATE;
        if state == INSIDE {
            return Found::Nothing;
        }
        let code = tag & CODE;
        if state == CACHED {
            let granules = granules_of(class_with(code));
            return Found::Cached(Extent { granules, asked: 0 });
        }
        Found::Used(if code == LONG {
            let granules = self.number(LONG_GRANULES, DIGITS) as u32;
            Extent { granules, asked: u64::from(granules) * GRANULE - self.number(LONG_SPARE, DIGITS) }
        } else {
            let class = class_with(code);
            let spare = if class == 0 { code } else { self.get(1) };
            Extent { granules: granules_of(class), asked: bytes_of(class) - u64::from(spare) }
        })
    }

    /// Nothing begins here any more.
    pub fn clear(self) {
        self.set(0, INSIDE);
    }

    pub fn set_free(self, granules: u32) {
        let last = granules as usize - 1;
        let short = if granules <= u32::from(SHORT) { granules as u8 } else { 0 };
        if short == 0 {
            self.set_number(1, DIGITS, u64::from(granules));
            self.set_number(last - DIGITS, DIGITS, u64::from(granules));
        }
        self.set(0, FREE | short);
        self.set(last, FREE | short);
    }

    /// The granules of the free block that begins here, for a granule that a block begins at.
    pub fn free_granules(self) -> Option<u32> {
        match self.get(0) {
            FREE => Some(self.number(1, DIGITS) as u32),
            tag if tag & !SHORT == FREE => Some(u32::from(tag & SHORT)),
            _ => None,
        }
    }
}

/// The granules of the free block that ends with the tag at `last`, where `before` tags precede it, for the last granule
/// of a block.
pub fn free_granules_up_to(last: Tag, before: u32) -> Option<u32> {
    match last.get(0) {
        FREE if before as usize >= DIGITS => {
            // SAFETY: so many tags precede it.
            let digits = Tag(unsafe { last.0.sub(DIGITS) });
            Some(digits.number(0, DIGITS) as u32)
        }
        tag if tag & !SHORT == FREE && tag != FREE => Some(u32::from(tag & SHORT)),
        _ => None,
    }
}

#[inline]
fn class_with(code: u8) -> usize {
    usize::from(code.saturating_sub(CODES_OF_SMALLEST - 1))
}

fn code_of(class: usize) -> u8 {
    if class == 0 { 0 } else { class as u8 + CODES_OF_SMALLEST - 1 }
}
