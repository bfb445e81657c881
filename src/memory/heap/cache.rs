//! Caches: free blocks that one thread has at hand, a stack for each class, and what that thread has counted. Its own
//! thread uses one in a window or with the heap's lock; others only with the lock and the windows shut. What overflows is
//! left in the [`Depot`] for the next thread that has none, which is cheaper than to join and to cut it.
//!
//! A stack begins small. Each time it runs empty or full it is widened, so that a thread that goes on taking and giving
//! back blocks of a size comes to do so without the lock; as long as its stacks, and those of all, do not take too much.

use super::classes::{CLASSES, GRANULE, bytes_of, class_for};
use super::stack::{Block, Stack};
use crate::base::thread::ThreadRecord;
use crate::base::tracing::sampler;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Blocks for which a stack has room at first, and at last.
const FEWEST: u32 = 16;
const MOST: u32 = 256;
/// What the stacks of one thread may be widened by, in bytes of the blocks that they hold.
const MOST_BYTES: u64 = 2 << 20;

/// Counted by one thread, read by all.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline(always)]
    pub fn add(&self, value: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(value), Relaxed);
    }

    #[inline(always)]
    pub fn take(&self, value: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(value), Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What was done in one place of several; only the sums mean something.
#[derive(Default)]
pub struct Tally {
    pub allocs: Counter,
    pub frees: Counter,
    /// Bytes of blocks in use that were not asked for.
    pub spare_bytes: Counter,
}

impl Tally {
    #[inline(always)]
    pub fn note_alloc(&self, spare: u64) {
        self.allocs.add(1);
        self.spare_bytes.add(spare);
    }

    #[inline(always)]
    pub fn note_free(&self, spare: u64) {
        self.frees.add(1);
        self.spare_bytes.take(spare);
    }

    pub fn note_resize(&self, before: u64, after: u64) {
        self.spare_bytes.add(after.wrapping_sub(before));
    }
}

#[derive(Default)]
pub struct Cache {
    pub tally: Tally,
    stacks: Stacks,
    /// What the stacks were widened by.
    widened_bytes: Counter,
}

/// What threads leave for one another. Behind the heap's lock.
#[derive(Default)]
pub struct Depot {
    stacks: Stacks,
    bytes: u64,
}

struct Stacks([Stack; CLASSES]);

impl Default for Stacks {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Stack::default()))
    }
}

/// The alignments that any block has: 0 to 16, powers of two.
const USUAL_ALIGNS: u32 = 1 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8 | 1 << 16;
const _: () = assert!(GRANULE == 16);

impl Cache {
    /// A block for so many bytes, in use from now on, if there is one and tracing lets it pass.
    #[inline(always)]
    pub fn alloc(&self, record: &ThreadRecord, bytes: u64, align: u64) -> Option<*mut u8> {
        if align > GRANULE || USUAL_ALIGNS >> align & 1 == 0 {
            return None;
        }
        let asked = bytes.max(1);
        let class = class_for(asked)?;
        let block = self.stacks.0.get(class)?.pop_if(|| sampler::passes(record, asked))?;
        let spare = bytes_of(class) - asked;
        block.tag.set_used_class(class, spare);
        self.tally.note_alloc(spare);
        Some(block.address)
    }

    /// Has a block at hand from now on, if it is a used one of a class and there is room.
    #[inline(always)]
    pub fn free(&self, block: Block) -> Option<()> {
        let stack = self.stacks.0.get(block.tag.class_if_used())?;
        let spare = block.tag.spare_of_class();
        if !stack.push(block) {
            return None;
        }
        block.tag.used_to_cached();
        self.tally.note_free(spare);
        Some(())
    }

    /// The block that was put there last.
    #[inline(always)]
    pub fn pop(&self, class: usize) -> Option<Block> {
        self.stacks.0.get(class)?.pop()
    }

    /// `false`: there is no room.
    #[inline(always)]
    pub fn push(&self, class: usize, block: Block) -> bool {
        self.stacks.0.get(class).is_some_and(|stack| stack.push(block))
    }

    /// Half of what a stack may hold: how many blocks go in or out at once.
    pub fn batch(&self, class: usize) -> u32 {
        self.stacks.0[class].room() / 2
    }

    /// Makes a stack twice as wide, if that is at most `most` bytes, and tells how many it is. For its own thread, with the
    /// lock.
    pub fn widen(&self, class: usize, most: u64) -> u64 {
        let stack = &self.stacks.0[class];
        let room = stack.room();
        if room == 0 {
            stack.widen(FEWEST);
            return 0;
        }
        let more = u64::from(room) * bytes_of(class);
        if room == MOST || more > most.min(MOST_BYTES - self.widened_bytes.get()) || !stack.widen(room * 2) {
            return 0;
        }
        self.widened_bytes.add(more);
        more
    }

    /// Takes all blocks out. The stacks have room for few then.
    pub fn empty(&self, mut each: impl FnMut(Block)) {
        for class in 0..CLASSES {
            self.drain(class, 0, &mut each);
            self.stacks.0[class].narrow(FEWEST);
        }
        self.widened_bytes.take(self.widened_bytes.get());
    }

    /// Takes the blocks out that lie lowest in a stack, all but `kept`.
    pub fn drain(&self, class: usize, kept: u32, each: impl FnMut(Block)) {
        self.stacks.0[class].drain(kept, each);
    }

    /// Bytes of the blocks in it.
    pub fn bytes(&self) -> u64 {
        let bytes = |(class, stack): (usize, &Stack)| u64::from(stack.depth()) * bytes_of(class);
        self.stacks.0.iter().enumerate().map(bytes).sum()
    }
}

impl Depot {
    /// `false`: it would come to hold more than `most` bytes, or has no room for more of that class.
    pub fn leave(&mut self, class: usize, block: Block, most: u64) -> bool {
        let bytes = self.bytes + bytes_of(class);
        let stack = &self.stacks.0[class];
        let has_room = stack.room() > 0 || stack.widen(MOST);
        let is_left = bytes <= most && has_room && stack.push(block);
        if is_left {
            self.bytes = bytes;
        }
        is_left
    }

    pub fn take(&mut self, class: usize) -> Option<Block> {
        let block = self.stacks.0[class].pop()?;
        self.bytes -= bytes_of(class);
        Some(block)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
