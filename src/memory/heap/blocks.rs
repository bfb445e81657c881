//! Movable blocks: reached through a handle, so that they can be moved while nobody has them pinned.
//!
//! Each has a slot, which knows where it lies. Pinning counts in the slot with one locked operation and takes no lock;
//! whoever moves, resizes or frees the block claims the slot first, which only one that nobody pins allows.

use super::bins::At;
use super::guards::Guarded;
use super::space::Piece;
use super::tags::{Extent, MOST_MOVABLE_BLOCKS, Tag};
use super::{Heap, HeapError, State, Wanted};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::park::Parker;
use crate::base::thread::ThreadRecord;
use crate::base::tracing::{self, Token};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// Names a movable block. Generation:40 | slot:24; the generation begins at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovableBlock(pub u64);

const NUMBER_BITS: u32 = 24;
const NUMBERS: u64 = 1 << NUMBER_BITS;
const _: () = assert!(NUMBERS == MOST_MOVABLE_BLOCKS);

// The word of a slot: generation:40 | pins:24.
const PIN_BITS: u32 = 24;
const PINS: u64 = (1 << PIN_BITS) - 1;
const VACANT: u64 = PINS;
/// Somebody moves, resizes or frees the block.
const CLAIMED: u64 = PINS - 1;
const MOST_PINS: u64 = PINS - 2;

struct Slot {
    word: AtomicU64,
    /// Where the block begins, its guards included.
    start: AtomicPtr<u8>,
    align: AtomicU64,
    /// By which tracing follows the block.
    token: AtomicU32,
}

const FIRST_ROW: usize = 64;
const ROWS: usize = 19;

/// The slots of a heap, in rows of 64, 128, 256, ... A row stays as long as the heap.
pub struct Slots {
    rows: [OnceLock<Box<[Slot]>>; ROWS],
}

impl Default for Slots {
    fn default() -> Self {
        Self { rows: [const { OnceLock::new() }; ROWS] }
    }
}

/// Slots that no block has. Behind the heap's lock.
#[derive(Default)]
pub struct Vacancies {
    freed: Vec<u32>,
    /// The first slot that was never used.
    fresh: u32,
}

impl Vacancies {
    pub fn taken(&self) -> u64 {
        u64::from(self.fresh) - self.freed.len() as u64
    }
}

fn place_of(number: u64) -> (usize, usize) {
    let row = (number as usize / FIRST_ROW + 1).ilog2() as usize;
    (row, number as usize - FIRST_ROW * ((1 << row) - 1))
}

impl Slots {
    fn at(&self, number: u64) -> Option<&Slot> {
        let (row, place) = place_of(number);
        self.rows.get(row)?.get()?.get(place)
    }

    /// The slot of a block that is out, and its word.
    fn find(&self, block: MovableBlock) -> Result<(&Slot, u64), HeapError> {
        let stale = HeapError::StaleBlock { value: block.0 };
        let Some(slot) = self.at(block.0 % NUMBERS) else { return Err(stale) };
        let word = slot.word.load(Acquire);
        if word >> PIN_BITS != block.0 >> NUMBER_BITS || word & PINS == VACANT {
            return Err(stale);
        }
        Ok((slot, word))
    }

    fn reserve(&self, vacancies: &mut Vacancies) -> Result<u64, HeapError> {
        if let Some(number) = vacancies.freed.pop() {
            return Ok(number.into());
        }
        let number = u64::from(vacancies.fresh);
        if number == NUMBERS {
            return Err(HeapError::TooManyBlocks);
        }
        // So that giving the slots back never needs memory.
        if vacancies.freed.try_reserve(number as usize + 1).is_err() {
            return Err(OutOfMemory { bytes: number * 4 }.into());
        }
        let (row, place) = place_of(number);
        if place == 0 && self.at(number).is_none() {
            let mut slots = alloc::try_vec(FIRST_ROW << row)?;
            slots.resize_with(FIRST_ROW << row, || Slot {
                word: AtomicU64::new(1 << PIN_BITS | VACANT),
                start: AtomicPtr::new(std::ptr::null_mut()),
                align: AtomicU64::new(0),
                token: AtomicU32::new(0),
            });
            // Behind the heap's lock, so nobody else was faster.
            let _ = self.rows[row].set(slots.into_boxed_slice());
        }
        vacancies.fresh += 1;
        Ok(number)
    }

    /// Puts a block into a slot that was reserved.
    fn open(&self, number: u64, start: *mut u8, align: u64, token: Token) -> MovableBlock {
        let Some(slot) = self.at(number) else { return MovableBlock(0) };
        slot.start.store(start, Relaxed);
        slot.align.store(align, Relaxed);
        slot.token.store(token.number(), Relaxed);
        let generation = slot.word.load(Relaxed) >> PIN_BITS;
        slot.word.store(generation << PIN_BITS, Release);
        MovableBlock(generation << NUMBER_BITS | number)
    }

    /// Nobody can pin the block from now on until it is released; none when it is pinned.
    pub fn claim(&self, number: u64) -> Option<Claim<'_>> {
        let slot = self.at(number)?;
        let word = slot.word.load(Relaxed);
        let claimed = word & PINS == 0 && slot.word.compare_exchange(word, word | CLAIMED, Acquire, Relaxed).is_ok();
        claimed.then(|| Claim(slot))
    }

    /// Those by which tracing follows blocks that are out.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        let slots = self.rows.iter().filter_map(OnceLock::get).flatten();
        slots.map(|slot| Token::from_number(slot.token.load(Relaxed)))
    }

    /// How many pins are out.
    pub fn pins(&self) -> u64 {
        let slots = self.rows.iter().filter_map(OnceLock::get).flatten();
        let pins = slots.map(|slot| slot.word.load(SeqCst) & PINS);
        pins.filter(|pins| *pins <= MOST_PINS).sum()
    }
}

/// A block that nobody can pin, until this value goes.
pub struct Claim<'a>(&'a Slot);

impl Claim<'_> {
    pub fn start(&self) -> *mut u8 {
        self.0.start.load(Relaxed)
    }

    pub fn align(&self) -> u64 {
        self.0.align.load(Relaxed)
    }

    /// Another entry of tracing follows the block from now on, or none.
    fn follow_by(&self, token: Token) {
        tracing::untrack(Token::from_number(self.0.token.swap(token.number(), Relaxed)));
    }

    pub fn move_to(&self, start: *mut u8) {
        self.0.start.store(start, Relaxed);
    }

    /// The block is gone, and its handle with it.
    fn vacate(self) {
        self.follow_by(Token::NONE);
        let generation = (self.0.word.load(Relaxed) >> PIN_BITS) + 1;
        // The last generation is followed by the first.
        let generation = generation & (u64::MAX >> PIN_BITS);
        self.0.word.store(generation.max(1) << PIN_BITS | VACANT, Release);
        std::mem::forget(self);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.word.fetch_and(!PINS, Release);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovableInfo {
    pub requested_bytes: u64,
    pub used_bytes: u64,
    pub pins: u64,
}

impl Heap {
    /// Allocates a block that may be moved while nobody has it pinned.
    pub fn alloc_block(&self, bytes: u64, align: u64) -> Result<MovableBlock, HeapError> {
        let wanted = self.wanted_movable(bytes, align)?;
        let number = self.slots.reserve(&mut self.state()?.vacancies)?;
        let extent = Extent { granules: wanted.granules, asked: wanted.asked };
        let token = self.follow(ThreadRecord::current(), bytes);
        let taken = self.with_room(&wanted, |state| {
            let (at, tag) = state.take(&wanted)?;
            tag.set_movable(extent, number);
            state.tally.note_alloc(self.spare_bytes(extent));
            let start = state.space.address(at);
            self.hand_out(start, extent);
            Some(self.slots.open(number, start, wanted.align, token))
        });
        taken.inspect_err(|_| {
            tracing::untrack(token);
            self.state.lock().vacancies.freed.push(number as u32);
        })
    }

    /// From now on the block lies where it is, until it is unpinned as often as it was pinned.
    #[inline]
    pub fn pin(&self, block: MovableBlock) -> Result<*mut u8, HeapError> {
        loop {
            let (slot, word) = self.slots.find(block)?;
            match word & PINS {
                // Whoever claimed it holds the lock until it is done.
                CLAIMED => drop(self.state.lock()),
                MOST_PINS => return Err(HeapError::TooManyPins),
                _ => {
                    if slot.word.compare_exchange_weak(word, word + 1, Acquire, Relaxed).is_ok() {
                        let start = slot.start.load(Relaxed);
                        return Ok(start.wrapping_add(self.front_bytes()));
                    }
                }
            }
        }
    }

    #[inline]
    pub fn unpin(&self, block: MovableBlock) -> Result<(), HeapError> {
        loop {
            let (slot, word) = self.slots.find(block)?;
            if matches!(word & PINS, 0 | CLAIMED) {
                return Err(HeapError::NotPinned);
            }
            if slot.word.compare_exchange_weak(word, word - 1, SeqCst, Relaxed).is_ok() {
                return Ok(());
            }
        }
    }

    pub fn free_block(&self, block: MovableBlock) -> Result<(), HeapError> {
        let mut state = self.state.lock();
        let claim = self.claim(block)?;
        let (at, _, extent) = self.lies_at(&state, claim.start(), block)?;
        state.tally.note_free(self.spare_bytes(extent));
        claim.vacate();
        state.vacancies.freed.push((block.0 % NUMBERS) as u32);
        let is_empty = state.space.give(at, extent.granules);
        let gone = is_empty.then(|| self.take_out_if_for_one(&mut state, at.chunk));
        if state.closing && self.live_blocks(&state) == 0 {
            state.waiters.drain(..).for_each(Parker::unpark);
        }
        drop(state);
        drop(gone);
        Ok(())
    }

    /// Gives a block that nobody pins another size. What it held stays, as far as it fits.
    pub fn resize_block(&self, block: MovableBlock, bytes: u64) -> Result<(), HeapError> {
        let align = {
            let _state = self.state()?;
            self.claim(block)?.align()
        };
        let wanted = self.wanted_movable(bytes, align)?;
        let token = self.follow(ThreadRecord::current(), bytes);
        self.resize_followed_block(block, &wanted, token).inspect_err(|_| tracing::untrack(token))
    }

    fn resize_followed_block(&self, block: MovableBlock, wanted: &Wanted, token: Token) -> Result<(), HeapError> {
        let extent = Extent { granules: wanted.granules, asked: wanted.asked };
        self.with_room(wanted, |state| {
            let resized = self.claim(block).and_then(|claim| {
                let (at, tag, had) = self.lies_at(state, claim.start(), block)?;
                if !state.resize_movable(at, tag, had, extent, block.0 % NUMBERS) {
                    let Some((to, tag)) = state.take(wanted) else { return Ok(None) };
                    let start = state.space.address(to);
                    let kept = had.asked.min(extent.asked) as usize;
                    // SAFETY: both are blocks of at least so many bytes, and nobody else uses either.
                    unsafe { start.copy_from_nonoverlapping(claim.start(), kept) };
                    tag.set_movable(extent, block.0 % NUMBERS);
                    state.space.give(at, had.granules);
                    claim.move_to(start);
                }
                self.hand_out(claim.start(), extent);
                claim.follow_by(token);
                state.tally.note_resize(self.spare_bytes(had), self.spare_bytes(extent));
                Ok(Some(()))
            });
            resized.transpose()
        })?
    }

    pub fn block_info(&self, block: MovableBlock) -> Result<MovableInfo, HeapError> {
        let state = self.state.lock();
        let (slot, word) = self.slots.find(block)?;
        let (.., extent) = self.lies_at(&state, slot.start.load(Relaxed), block)?;
        Ok(MovableInfo { requested_bytes: self.seen_bytes(extent), used_bytes: extent.bytes(), pins: word & PINS })
    }

    fn wanted_movable(&self, bytes: u64, align: u64) -> Result<Wanted, HeapError> {
        Ok(self.wanted(bytes, align)?.numbered())
    }

    /// For who holds the lock.
    fn claim(&self, block: MovableBlock) -> Result<Claim<'_>, HeapError> {
        self.slots.find(block)?;
        self.slots.claim(block.0 % NUMBERS).ok_or(HeapError::Pinned { value: block.0 })
    }

    /// The place of a movable block that begins there. In a checked heap its guards are looked at.
    fn lies_at(&self, state: &State, start: *mut u8, block: MovableBlock) -> Result<(At, Tag, Extent), HeapError> {
        let place = self.directory.find(start).ok_or(HeapError::StaleBlock { value: block.0 })?;
        let at = At { chunk: place.chunk, granule: place.granule };
        let Some(Piece::Movable(extent, _)) = state.space.piece(at) else {
            return Err(HeapError::StaleBlock { value: block.0 });
        };
        if self.config.checked {
            Guarded { start, extent }.verify()?;
        }
        Ok((at, place.tag, extent))
    }
}

impl State {
    fn resize_movable(&mut self, at: At, tag: Tag, had: Extent, extent: Extent, number: u64) -> bool {
        if extent.granules > had.granules && !self.space.extend(at, had.granules, extent.granules) {
            return false;
        }
        tag.set_movable(extent, number);
        if extent.granules < had.granules {
            self.space.give(at.further(extent.granules), had.granules - extent.granules);
        }
        true
    }
}
