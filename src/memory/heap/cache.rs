//! Caches: free blocks that one thread has at hand, a stack for each class, and what that thread has counted. Its own
//! thread uses one in a window or with the heap's lock; others only with the lock and the windows shut.

use super::classes::{CLASSES, bytes_of};
use super::tags::Tag;
use super::windows::Pane;
use crate::base::alloc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// What a stack may hold in bytes, and in blocks.
const MOST_BYTES: u64 = 32 << 10;
const FEWEST: u64 = 16;
const MOST: u64 = 64;

/// Where the stack of each class begins, and that of no class: where the last one ends.
const FIRST: [u32; CLASSES + 1] = {
    let mut first = [0; CLASSES + 1];
    let mut class = 0;
    while class < CLASSES {
        let room = match MOST_BYTES / bytes_of(class) {
            ..FEWEST => FEWEST,
            MOST.. => MOST,
            room => room,
        };
        first[class + 1] = first[class] + room as u32;
        class += 1;
    }
    first
};

/// A free block, and its tag.
#[derive(Clone, Copy)]
pub struct Block {
    pub address: *mut u8,
    pub tag: Tag,
}

#[derive(Default)]
struct Entry {
    address: AtomicPtr<u8>,
    tag: AtomicPtr<u8>,
}

impl Entry {
    #[inline]
    fn block(&self) -> Option<Block> {
        // SAFETY: it was put here with its tag, which stays as long as the block.
        let tag = unsafe { Tag::at(self.tag.load(Relaxed)) }?;
        Some(Block { address: self.address.load(Relaxed), tag })
    }

    #[inline]
    fn set(&self, block: Block) {
        self.address.store(block.address, Relaxed);
        self.tag.store(block.tag.address(), Relaxed);
    }
}

/// Counted by one thread, read by all.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, value: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(value), Relaxed);
    }

    #[inline]
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
    pub asked_bytes: Counter,
    pub used_bytes: Counter,
}

impl Tally {
    #[inline]
    pub fn note_alloc(&self, asked: u64, used: u64) {
        self.allocs.add(1);
        self.asked_bytes.add(asked);
        self.used_bytes.add(used);
    }

    #[inline]
    pub fn note_free(&self, asked: u64, used: u64) {
        self.frees.add(1);
        self.asked_bytes.take(asked);
        self.used_bytes.take(used);
    }

    /// From the first of each to the second.
    pub fn note_resize(&self, asked: (u64, u64), used: (u64, u64)) {
        self.asked_bytes.add(asked.1.wrapping_sub(asked.0));
        self.used_bytes.add(used.1.wrapping_sub(used.0));
    }
}

#[derive(Default)]
pub struct Cache {
    pub pane: Pane,
    pub tally: Tally,
    depths: Depths,
    entries: OnceLock<Box<[Entry]>>,
}

struct Depths([AtomicU32; CLASSES]);

impl Default for Depths {
    fn default() -> Self {
        Self([const { AtomicU32::new(0) }; CLASSES])
    }
}

impl Cache {
    /// The block that was put there last.
    #[inline]
    pub fn pop(&self, class: usize) -> Option<Block> {
        let depth = self.depths.0[class].load(Relaxed).checked_sub(1)?;
        let block = self.entry(class, depth)?.block();
        self.depths.0[class].store(depth, Relaxed);
        block
    }

    /// `false`: there is no room.
    #[inline]
    pub fn push(&self, class: usize, block: Block) -> bool {
        let depth = self.depths.0[class].load(Relaxed);
        if depth == room(class) {
            return false;
        }
        let Some(entry) = self.entry(class, depth) else { return false };
        entry.set(block);
        self.depths.0[class].store(depth + 1, Relaxed);
        true
    }

    #[inline]
    fn entry(&self, class: usize, depth: u32) -> Option<&Entry> {
        self.entries.get()?.get((FIRST[class] + depth) as usize)
    }

    /// Half of what a stack may hold: how many blocks go in or out at once. 0: there is no memory for the stacks.
    pub fn batch(&self, class: usize) -> u32 {
        if self.entries.get().is_none() {
            let Ok(mut entries) = alloc::try_vec(FIRST[CLASSES] as usize) else { return 0 };
            entries.resize_with(FIRST[CLASSES] as usize, Entry::default);
            // Of its own thread, so nobody else was faster.
            let _ = self.entries.set(entries.into_boxed_slice());
        }
        room(class) / 2
    }

    /// Takes the blocks out that lie lowest in a stack, all but `kept`.
    pub fn drain(&self, class: usize, kept: u32, mut each: impl FnMut(Block)) {
        let depth = self.depths.0[class].load(Relaxed);
        let gone = depth.saturating_sub(kept);
        for place in 0..gone {
            if let Some(block) = self.entry(class, place).and_then(Entry::block) {
                each(block);
            }
        }
        for place in gone..depth {
            if let (Some(entry), Some(block)) =
                (self.entry(class, place - gone), self.entry(class, place).and_then(Entry::block))
            {
                entry.set(block);
            }
        }
        self.depths.0[class].store(depth - gone, Relaxed);
    }

    /// Bytes of the blocks in it.
    pub fn bytes(&self) -> u64 {
        self.depths.0.iter().enumerate().map(|(class, depth)| u64::from(depth.load(Relaxed)) * bytes_of(class)).sum()
    }
}

#[inline]
fn room(class: usize) -> u32 {
    FIRST[class + 1] - FIRST[class]
}
