//! What a slab is asked to be, and what becomes of that: sizes, bounds, and the callbacks that make and clean what lies in
//! its slots.

use super::super::policy::Pages;
use super::super::round_up;
use super::super::source::{PageSource, SourceError};
use super::super::system;
use super::magazine::MOST_ITEMS;
use crate::base::refusal::Refusal;
use crate::base::{InvalidField, Name};

pub const MOST_SLOTS: u64 = 1 << 26;
pub const DEFAULT_SLOTS: u64 = 1 << 16;
pub const LARGEST_SLOT: u64 = 1 << 30;
pub const LARGEST_ALIGN: u64 = 2 << 20;
/// What a slot is aligned to when nothing is said, as far as its size allows: a line of the cache.
const DEFAULT_ALIGN: u64 = 64;
pub const DEFAULT_CHUNK_BYTES: u64 = 2 << 20;
pub const SMALLEST_CHUNK_BYTES: u64 = 64 << 10;
pub const LARGEST_CHUNK_BYTES: u64 = 1 << 40;
pub const DEFAULT_MAGAZINE_SLOTS: u32 = MOST_ITEMS;
/// More than any address space has.
const ABSURD: u64 = 1 << 46;

#[derive(Clone, Copy, Debug, Default)]
pub struct SlabConfig {
    pub source: PageSource,
    pub slot_bytes: u64,
    /// 0: the largest power of two that divides `slot_bytes`, at most [`DEFAULT_ALIGN`].
    pub align_bytes: u64,
    /// 0: [`DEFAULT_SLOTS`].
    pub max_slots: u64,
    /// 0: those of one chunk.
    pub initial_slots: u64,
    /// 0: [`DEFAULT_CHUNK_BYTES`].
    pub chunk_bytes: u64,
    /// 0: [`DEFAULT_MAGAZINE_SLOTS`].
    pub magazine_slots: u32,
    /// Every call looks exactly, and no slot is used again before others have been.
    pub checked: bool,
    pub name: Name,
}

/// What the host does with the memory of a slot. No lock is held while one runs.
pub trait Upkeep: Send + Sync + 'static {
    fn creates(&self) -> bool;
    /// Makes what lies in a slot, before it is given out for the first time.
    fn create(&self, slot: *mut u8) -> Result<(), Refusal>;
    fn resets(&self) -> bool;
    /// Cleans it when the slot is put.
    fn reset(&self, slot: *mut u8) -> Result<(), Refusal>;
    fn destroys(&self) -> bool;
    /// Ends what `create` made, before the memory goes.
    fn destroy(&self, slot: *mut u8);
}

impl SlabConfig {
    /// With every default filled in, and sizes rounded as they will be.
    pub fn checked(mut self) -> Result<Self, SourceError> {
        let refuse = |field, value, bound| Err(InvalidField { field, value, bound }.into());
        if !(1..=LARGEST_SLOT).contains(&self.slot_bytes) {
            return refuse("slot_bytes", self.slot_bytes, "must be 1 to 1073741824 (1 GiB)");
        }
        if self.align_bytes == 0 {
            self.align_bytes = (1 << self.slot_bytes.trailing_zeros()).min(DEFAULT_ALIGN);
        }
        if !self.align_bytes.is_power_of_two() || self.align_bytes > LARGEST_ALIGN {
            return refuse("align_bytes", self.align_bytes, "must be 0 or a power of two of at most 2097152 (2 MiB)");
        }
        self.slot_bytes = self.slot_bytes.next_multiple_of(self.align_bytes);
        if self.max_slots == 0 {
            self.max_slots = DEFAULT_SLOTS;
        }
        if self.max_slots > MOST_SLOTS {
            return refuse("max_slots", self.max_slots, "must be at most 67108864");
        }
        if self.max_slots * self.slot_bytes > ABSURD {
            return refuse(
                "max_slots",
                self.max_slots,
                "must be at most 70368744177664 (64 TiB) divided by slot_bytes",
            );
        }
        if self.initial_slots > self.max_slots {
            return refuse("initial_slots", self.initial_slots, "must be at most max_slots");
        }
        if self.chunk_bytes == 0 {
            self.chunk_bytes = DEFAULT_CHUNK_BYTES;
        }
        if !(SMALLEST_CHUNK_BYTES..=LARGEST_CHUNK_BYTES).contains(&self.chunk_bytes) {
            let bound = "must be 0, or 65536 (64 KiB) to 1099511627776 (1 TiB)";
            return refuse("chunk_bytes", self.chunk_bytes, bound);
        }
        if self.magazine_slots == 0 {
            self.magazine_slots = DEFAULT_MAGAZINE_SLOTS;
        }
        if !(2..=MOST_ITEMS).contains(&self.magazine_slots) {
            return refuse("magazine_slots", self.magazine_slots.into(), "must be 0, or 2 to 128");
        }
        self.source = self.source.checked()?;
        self.chunk_bytes =
            self.whole_pages(self.chunk_bytes.min(self.max_slots * self.slot_bytes).max(self.slot_bytes));
        Ok(self)
    }

    /// Rounds a chunk up to pages that it may get.
    fn whole_pages(&self, bytes: u64) -> u64 {
        let bytes_of = |pages: Pages| pages.page_bytes();
        let fits = |page_bytes: &u64| *page_bytes <= bytes;
        let unit = match self.source.pages {
            Pages::Base => None,
            Pages::Transparent => bytes_of(Pages::Transparent).filter(fits),
            Pages::Huge2M | Pages::Huge1G => bytes_of(self.source.pages),
            Pages::Best => {
                let found = [Pages::Huge1G, Pages::Huge2M, Pages::Transparent].into_iter().filter_map(bytes_of);
                found.filter(fits).max()
            }
        };
        let smaller = bytes_of(Pages::Transparent).filter(fits);
        let unit = unit.or(smaller).unwrap_or(0).max(system::base_page_bytes());
        round_up(bytes, unit).unwrap_or(bytes)
    }

    /// What the first chunk begins at a multiple of, so that every chunk begins at one of its pages.
    pub fn alignment(&self) -> u64 {
        let pages = 1 << self.chunk_bytes.trailing_zeros().min(30);
        self.align_bytes.max(pages)
    }

    /// How many chunks there are from the beginning.
    pub fn initial_chunks(&self) -> u64 {
        (self.initial_slots * self.slot_bytes).div_ceil(self.chunk_bytes).max(1)
    }
}
