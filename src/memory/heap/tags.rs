//! Tags: what a chunk's memory is used for, a byte for each granule, apart from the memory itself, so that no write past a
//! block destroys it and any address can be judged.
//!
//! The first tag of a block that is not free has one of the top bits and says what the block is; all other tags have
//! neither. A free block tells its length at both ends, so that its neighbours find it. The other tags of a block hold
//! numbers, six bits in each.

use super::classes::{CLASSES, GRANULE, bytes_of, class_of, granules_of};
use crate::base::tracing::Token;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering::*};

/// The state of the block that begins here.
const STATE: u8 = 0b1100_0000;
const INSIDE: u8 = 0;
const USED: u8 = 0b0100_0000;
const CACHED: u8 = 0b1000_0000;
const MOVABLE: u8 = 0b1100_0000;

/// Below the state stands the form: for the smallest class how many bytes were not asked for, then the other classes.
const CODE: u8 = 0b0011_1111;
const CODES_OF_SMALLEST: u8 = 16;
/// A block of no class, whose length stands behind. What is at hand has a class; with this form it is memory whose pages
/// are given back.
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
const LONG_NUMBER: usize = LONG_SPARE + DIGITS;
/// Where the numbers of a block of a class stand that has one; what its spare bytes have beyond six bits comes last.
const SHORT_SPARE: usize = 1;
const SHORT_NUMBER: usize = 2;
const SHORT_NUMBER_DIGITS: usize = 4;
const SHORT_SPARE_HIGH: usize = SHORT_NUMBER + SHORT_NUMBER_DIGITS;
/// With the number of a block that is none of the movable: that of the entry by which tracing follows it.
const SHORT_FOLLOWED: u8 = 0b0010_0000;
const LONG_FOLLOWED: u64 = 1 << 35;
/// Fewer granules have no room for a number.
pub const FEWEST_NUMBERED: u32 = SHORT_SPARE_HIGH as u32 + 1;
pub const MOST_MOVABLE_BLOCKS: u64 = 1 << (DIGIT_BITS * SHORT_NUMBER_DIGITS as u32);
/// Used blocks of no class are at least so long.
const FEWEST_LONG: u32 = (LONG_NUMBER + DIGITS) as u32 + 1;

/// What begins at a granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing that is not free: the inside of a block, or free memory.
    Nothing,
    Used(Extent),
    /// Free, and at hand for one thread.
    Cached(Extent),
    /// Free, but its pages are given back: so many granules.
    Returned(u32),
    /// In use, and followed by tracing.
    Followed(Extent, Token),
    /// In use through a handle, whose slot has this number.
    Movable(Extent, u64),
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
    pub unsafe fn at(address: *mut u8) -> Self {
        // SAFETY: tags lie somewhere.
        Self(unsafe { NonNull::new_unchecked(address.cast()) })
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

    /// The class of a used block that has one; else a number beyond all.
    #[inline(always)]
    pub fn class_if_used(self) -> usize {
        CLASS_OF_USED[usize::from(self.get(0))].into()
    }

    /// How many bytes of a used block that has a class were not asked for.
    #[inline(always)]
    pub fn spare_of_class(self) -> u64 {
        let code = self.get(0) & CODE;
        u64::from(if code < CODES_OF_SMALLEST { code } else { self.get(SHORT_SPARE) })
    }

    /// A used block that has a class is at hand for a thread from now on.
    #[inline(always)]
    pub fn used_to_cached(self) {
        self.set(0, self.get(0) ^ (USED ^ CACHED));
    }

    /// A block of that class is in use from now on.
    #[inline(always)]
    pub fn set_used_class(self, class: usize, spare: u64) {
        if class == 0 {
            self.set(0, USED | spare as u8);
        } else {
            self.set(0, USED | code_of(class));
            self.set(SHORT_SPARE, spare as u8);
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
            Some(class) => self.set_used_class(class, extent.spare()),
            None => self.set_long(USED, extent),
        }
    }

    pub fn set_movable(self, extent: Extent, number: u64) {
        self.set_numbered(extent, number, 0, 0);
    }

    /// A block of at least [`FEWEST_NUMBERED`] granules is in use and followed from now on.
    pub fn set_followed(self, extent: Extent, token: Token) {
        self.set_numbered(extent, token.number().into(), SHORT_FOLLOWED, LONG_FOLLOWED);
    }

    fn set_numbered(self, extent: Extent, number: u64, short_mark: u8, long_mark: u64) {
        self.end(extent.granules);
        match class_of(extent.granules) {
            Some(class) => {
                self.set(SHORT_SPARE, extent.spare() as u8 & CODE);
                self.set(SHORT_SPARE_HIGH, (extent.spare() >> DIGIT_BITS) as u8 | short_mark);
                self.set_number(SHORT_NUMBER, SHORT_NUMBER_DIGITS, number);
                self.set(0, MOVABLE | code_of(class));
            }
            None => {
                self.set_number(LONG_NUMBER, DIGITS, number | long_mark);
                self.set_long(MOVABLE, extent);
            }
        }
    }

    fn set_long(self, state: u8, extent: Extent) {
        debug_assert!(extent.granules >= FEWEST_LONG);
        self.set_number(LONG_GRANULES, DIGITS, u64::from(extent.granules));
        self.set_number(LONG_SPARE, DIGITS, extent.spare());
        self.set(0, state | LONG);
    }

    /// What begins here, if it is not free.
    pub fn find(self) -> Found {
        let tag = self.get(0);
        let code = tag & CODE;
        match tag & STATE {
            INSIDE => Found::Nothing,
            CACHED if code == LONG => Found::Returned(self.number(LONG_GRANULES, DIGITS) as u32),
            CACHED => Found::Cached(Extent { granules: granules_of(class_with(code)), asked: 0 }),
            USED if code == LONG => Found::Used(self.long()),
            USED if code < CODES_OF_SMALLEST => Found::Used(short(0, code.into())),
            USED => Found::Used(short(class_with(code), self.get(SHORT_SPARE).into())),
            _ if code == LONG => {
                let number = self.number(LONG_NUMBER, DIGITS);
                numbered(self.long(), number & !LONG_FOLLOWED, number & LONG_FOLLOWED != 0)
            }
            _ => {
                let high = self.get(SHORT_SPARE_HIGH);
                let spare = u64::from(high & !SHORT_FOLLOWED) << DIGIT_BITS | u64::from(self.get(SHORT_SPARE));
                let number = self.number(SHORT_NUMBER, SHORT_NUMBER_DIGITS);
                numbered(short(class_with(code), spare), number, high & SHORT_FOLLOWED != 0)
            }
        }
    }

    fn long(self) -> Extent {
        let granules = self.number(LONG_GRANULES, DIGITS) as u32;
        Extent { granules, asked: u64::from(granules) * GRANULE - self.number(LONG_SPARE, DIGITS) }
    }

    /// The pages of free memory are given back from now on.
    pub fn set_returned(self, granules: u32) {
        debug_assert!(granules >= FEWEST_LONG);
        self.end(granules);
        self.set_number(LONG_GRANULES, DIGITS, u64::from(granules));
        self.set(0, CACHED | LONG);
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

fn numbered(extent: Extent, number: u64, is_followed: bool) -> Found {
    if is_followed {
        Found::Followed(extent, Token::from_number(number as u32))
    } else {
        Found::Movable(extent, number)
    }
}

/// A block of a class, of which so many bytes were not asked for.
fn short(class: usize, spare: u64) -> Extent {
    Extent { granules: granules_of(class), asked: bytes_of(class) - spare }
}

/// The class of a used block for each first tag.
static CLASS_OF_USED: [u8; 256] = {
    let mut classes = [NO_CLASS; 256];
    let mut code = 0;
    while code < LONG {
        classes[(USED | code) as usize] = class_with(code) as u8;
        code += 1;
    }
    classes
};
const NO_CLASS: u8 = u8::MAX;

const fn class_with(code: u8) -> usize {
    code.saturating_sub(CODES_OF_SMALLEST - 1) as usize
}

fn code_of(class: usize) -> u8 {
    if class == 0 { 0 } else { class as u8 + CODES_OF_SMALLEST - 1 }
}

#[cfg(test)]
mod tests {
    use super::super::classes::granules_for;
    use super::*;

    /// The tags of a chunk.
    struct Tags(Vec<u8>);

    impl Tags {
        fn at(&mut self, granule: u32) -> Tag {
            unsafe { Tag::at(self.0.as_mut_ptr().add(granule as usize)) }
        }
    }

    #[test]
    fn what_is_written_is_found_and_only_where_a_block_begins() {
        // Whatever the tags were before.
        for before in [0, 0x3f, 0x1f, 0x10, 0x15] {
            for asked in (1..2100).chain([4096, 100_000, 1 << 20]) {
                let granules = granules_for(asked).unwrap();
                let extent = Extent { granules, asked };
                let mut tags = Tags(vec![before; granules as usize + 1]);
                tags.at(0).set_used(extent);
                assert_eq!(tags.at(0).find(), Found::Used(extent));
                assert_eq!(tags.at(0).class_if_used(), class_of(granules).unwrap_or(NO_CLASS.into()));
                assert!((1..granules).all(|inside| tags.at(inside).find() == Found::Nothing));
                assert_eq!(free_granules_up_to(tags.at(granules - 1), granules - 1), None);

                let extent = Extent { granules: granules.max(FEWEST_NUMBERED), asked };
                let mut tags = Tags(vec![before; extent.granules as usize + 1]);
                for number in [0, 1, 0xabcdef, MOST_MOVABLE_BLOCKS - 1] {
                    tags.at(0).set_movable(extent, number);
                    assert_eq!(tags.at(0).find(), Found::Movable(extent, number));
                    assert!((1..extent.granules).all(|inside| tags.at(inside).find() == Found::Nothing));
                    assert_eq!(free_granules_up_to(tags.at(extent.granules - 1), extent.granules - 1), None);
                }
                for token in [1, 65536].map(Token::from_number) {
                    tags.at(0).set_followed(extent, token);
                    assert_eq!(
                        (tags.at(0).find(), tags.at(0).class_if_used()),
                        (Found::Followed(extent, token), usize::from(NO_CLASS))
                    );
                    assert!((1..extent.granules).all(|inside| tags.at(inside).find() == Found::Nothing));
                    assert_eq!(free_granules_up_to(tags.at(extent.granules - 1), extent.granules - 1), None);
                }
            }
        }
    }

    #[test]
    fn what_was_given_back_is_found_and_not_taken_for_free() {
        for granules in [256, 4096, 1 << 20] {
            let mut tags = Tags(vec![FREE; granules as usize]);
            tags.at(0).set_returned(granules);
            assert_eq!((tags.at(0).find(), tags.at(0).free_granules()), (Found::Returned(granules), None));
            assert_eq!(tags.at(0).class_if_used(), usize::from(NO_CLASS));
            assert_eq!(free_granules_up_to(tags.at(granules - 1), granules - 1), None);
        }
    }

    #[test]
    fn free_block_tells_its_length_at_both_ends() {
        for granules in (1..300).chain([4096, 1 << 20]) {
            let mut tags = Tags(vec![0; granules as usize]);
            tags.at(0).set_free(granules);
            assert_eq!((tags.at(0).find(), tags.at(0).free_granules()), (Found::Nothing, Some(granules)));
            assert_eq!(free_granules_up_to(tags.at(granules - 1), granules - 1), Some(granules));
        }
    }
}
