//! Records: what the library knows of each view, 32 bytes beside the memory and not inside it, where no stray write of a
//! holder reaches. They stand in blocks that double, are found by number, and stay until the set goes.

use super::view::{MOST_VIEWS, Salt, View, Word};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// No record.
pub const NONE: u32 = u32::MAX;

/// What a record stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A buffer of this size class.
    Buffer(usize),
    /// A part of another view's memory.
    Slice,
    /// Memory of the caller's.
    Wrapped,
}

const SLICE: u64 = 0xff;
const WRAPPED: u64 = 0xfe;
const KIND_SHIFT: u32 = 56;
const BYTES_MASK: u64 = (1 << KIND_SHIFT) - 1;

#[repr(C, align(32))]
pub struct Record {
    pub word: Word,
    data: AtomicPtr<u8>,
    /// kind:8 | bytes:56.
    extent: AtomicU64,
    /// Of a buffer: its span. Of a slice: the record of the memory that it is a part of. Of wrapped memory: the record
    /// that has what is called at the end.
    pub place: AtomicU32,
    /// In a list: the next one. Of a buffer in use: the bytes that rounding up wastes.
    pub link: AtomicU32,
}

impl Record {
    #[inline]
    pub fn extent(&self) -> (*mut u8, u64) {
        (self.data.load(Relaxed), self.extent.load(Relaxed) & BYTES_MASK)
    }

    #[inline]
    pub fn kind(&self) -> Kind {
        match self.extent.load(Relaxed) >> KIND_SHIFT {
            SLICE => Kind::Slice,
            WRAPPED => Kind::Wrapped,
            class => Kind::Buffer(class as usize),
        }
    }

    /// For the one whose record it is.
    #[inline]
    pub fn describe(&self, kind: Kind, data: *mut u8, bytes: u64) {
        let kind = match kind {
            Kind::Buffer(class) => class as u64,
            Kind::Slice => SLICE,
            Kind::Wrapped => WRAPPED,
        };
        self.data.store(data, Relaxed);
        self.extent.store((kind << KIND_SHIFT) | bytes, Relaxed);
    }

    #[inline]
    pub fn set_bytes(&self, bytes: u64) {
        let kind = self.extent.load(Relaxed) & !BYTES_MASK;
        self.extent.store(kind | bytes, Relaxed);
    }
}

/// What is called when wrapped memory is not viewed any more, kept in a record beside the view's.
impl Record {
    pub fn keep_ending(&self, callback: *const (), user_data: *mut ()) {
        self.data.store(user_data.cast(), Relaxed);
        self.extent.store(callback as u64, Relaxed);
    }

    pub fn ending(&self) -> (*const (), *mut ()) {
        (self.extent.load(Relaxed) as *const (), self.data.load(Relaxed).cast())
    }
}

const FIRST_BLOCK: u32 = 64;
const BLOCKS: usize = (MOST_VIEWS / FIRST_BLOCK).ilog2() as usize;

pub struct Records {
    salt: Salt,
    first_generation: u32,
    blocks: [AtomicPtr<Record>; BLOCKS],
}

/// The block of a record, and its place there.
#[inline]
fn place_of(number: u32) -> (usize, usize) {
    let shifted = number + FIRST_BLOCK;
    let block = (shifted / FIRST_BLOCK).ilog2();
    (block as usize, (shifted - (FIRST_BLOCK << block)) as usize)
}

impl Records {
    /// The most records that a set can have.
    pub const MOST: u32 = FIRST_BLOCK * ((1 << BLOCKS) - 1);

    pub fn new(serial: u64) -> Self {
        Self {
            salt: Salt::of(serial),
            // So that also sets of the same salt do not know each other's names.
            first_generation: (serial.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32,
            blocks: [const { AtomicPtr::new(std::ptr::null_mut()) }; BLOCKS],
        }
    }

    /// Sees to it that there are records up to this one; under the lock of the spare ones.
    pub fn grow_to(&self, number: u32) -> Result<(), OutOfMemory> {
        let (block, _) = place_of(number);
        if !self.blocks[block].load(Relaxed).is_null() {
            return Ok(());
        }
        let count = (FIRST_BLOCK << block) as usize;
        let mut records = alloc::try_vec(count)?;
        records.extend((0..count).map(|_| Record {
            word: Word::new(self.first_generation),
            data: AtomicPtr::new(std::ptr::null_mut()),
            extent: AtomicU64::new(0),
            place: AtomicU32::new(NONE),
            link: AtomicU32::new(NONE),
        }));
        let records: Box<[Record]> = records.into_boxed_slice();
        self.blocks[block].store(Box::into_raw(records).cast(), Release);
        Ok(())
    }

    /// Records are reached by numbers that this set gave out, so each is there.
    #[inline]
    pub fn get(&self, number: u32) -> &Record {
        let (block, place) = place_of(number);
        let records = self.blocks[block].load(Acquire);
        debug_assert!(!records.is_null());
        // SAFETY: `grow_to` made the block before the number was given out, and it lives as long as `self`.
        unsafe { &*records.add(place) }
    }

    /// The record of a name that a caller presents, whose word says whether the name is stale.
    #[inline]
    pub fn find(&self, view: View) -> Option<(u32, &Record)> {
        let number = self.salt.number_of(view).filter(|number| *number < Self::MOST)?;
        let (block, place) = place_of(number);
        let records = self.blocks[block].load(Acquire);
        // SAFETY: a block that is there has all its records, and lives as long as `self`.
        (!records.is_null()).then(|| (number, unsafe { &*records.add(place) }))
    }

    /// Begins a view; the record is the caller's alone.
    #[inline]
    pub fn begin(&self, number: u32) -> View {
        self.get(number).word.begin(self.salt, number)
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        for (index, block) in self.blocks.iter().enumerate() {
            let records = block.load(Relaxed);
            if !records.is_null() {
                let count = (FIRST_BLOCK << index) as usize;
                // SAFETY: `grow_to` made it of a boxed slice of this length, and `self` is going.
                drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(records, count)) });
            }
        }
    }
}

/// Records linked one after the other, for one who has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    pub first: u32,
    pub count: u32,
}

impl Chain {
    pub const EMPTY: Self = Self { first: NONE, count: 0 };

    pub fn push(&mut self, records: &Records, number: u32) {
        records.get(number).link.store(self.first, Relaxed);
        self.first = number;
        self.count += 1;
    }

    pub fn pop(&mut self, records: &Records) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        let number = self.first;
        self.count -= 1;
        self.first = if self.count == 0 { NONE } else { records.get(number).link.load(Relaxed) };
        Some(number)
    }
}
