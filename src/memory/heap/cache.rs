//! Caches: free blocks that one thread has at hand, a stack for each class, and what that thread has counted. Its own
//! thread uses one in a window or with the heap's lock; others only with the lock and the windows shut.

use super::classes::{CLASSES, bytes_of};
use super::tags::Tag;
use super::windows::Pane;
use crate::base::alloc::{self, OutOfMemory};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

/// What a stack may hold in bytes, and in blocks.
const MOST_BYTES: u64 = 32 << 10;
const FEWEST: u64 = 16;
const MOST: u64 = 64;

const fn room(class: usize) -> usize {
    (match MOST_BYTES / bytes_of(class) {
        ..FEWEST => FEWEST,
        MOST.. => MOST,
        room => room,
    }) as usize
}

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

/// The blocks of one class. While the thread has no memory for stacks all three are NULL, so that it is empty and full.
#[derive(Default)]
struct Stack {
    top: AtomicPtr<Entry>,
    begin: AtomicPtr<Entry>,
    end: AtomicPtr<Entry>,
}

impl Stack {
    #[inline]
    fn pop(&self) -> Option<Block> {
        let top = self.top.load(Relaxed);
        if top == self.begin.load(Relaxed) {
            return None;
        }
        let top = top.wrapping_sub(1);
        self.top.store(top, Relaxed);
        self.block(top)
    }

    #[inline]
    fn push(&self, block: Block) -> bool {
        let top = self.top.load(Relaxed);
        if top == self.end.load(Relaxed) {
            return false;
        }
        self.top.store(top.wrapping_add(1), Relaxed);
        self.set(top, block);
        true
    }

    #[inline]
    fn block(&self, at: *mut Entry) -> Option<Block> {
        // SAFETY: between begin and end, where entries are as long as the cache; its tag stays as long as the block.
        unsafe {
            let entry = &*at;
            Some(Block { address: entry.address.load(Relaxed), tag: Tag::at(entry.tag.load(Relaxed))? })
        }
    }

    #[inline]
    fn set(&self, at: *mut Entry, block: Block) {
        // SAFETY: as above.
        let entry = unsafe { &*at };
        entry.address.store(block.address, Relaxed);
        entry.tag.store(block.tag.address(), Relaxed);
    }

    fn depth(&self) -> usize {
        (self.top.load(Relaxed) as usize - self.begin.load(Relaxed) as usize) / size_of::<Entry>()
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
    stacks: Stacks,
    entries: OnceLock<Box<[Entry]>>,
}

struct Stacks([Stack; CLASSES]);

impl Default for Stacks {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Stack::default()))
    }
}

impl Cache {
    /// The block that was put there last.
    #[inline]
    pub fn pop(&self, class: usize) -> Option<Block> {
        self.stacks.0[class].pop()
    }

    /// `false`: there is no room.
    #[inline]
    pub fn push(&self, class: usize, block: Block) -> bool {
        self.stacks.0[class].push(block)
    }

    /// Half of what a stack may hold: how many blocks go in or out at once. 0: there is no memory for the stacks.
    pub fn batch(&self, class: usize) -> usize {
        if self.entries.get().is_none() && self.make_stacks().is_err() { 0 } else { room(class) / 2 }
    }

    /// Called by the cache's own thread, so nobody else is faster.
    fn make_stacks(&self) -> Result<(), OutOfMemory> {
        let mut entries = alloc::try_vec((0..CLASSES).map(room).sum())?;
        entries.resize_with(entries.capacity(), Entry::default);
        let entries = self.entries.get_or_init(|| entries.into_boxed_slice());
        let mut begin = entries.as_ptr().cast_mut();
        for (class, stack) in self.stacks.0.iter().enumerate() {
            let end = begin.wrapping_add(room(class));
            stack.begin.store(begin, Relaxed);
            stack.top.store(begin, Relaxed);
            stack.end.store(end, Relaxed);
            begin = end;
        }
        Ok(())
    }

    /// Takes the blocks out that lie lowest in a stack, all but `kept`.
    pub fn drain(&self, class: usize, kept: usize, mut each: impl FnMut(Block)) {
        let stack = &self.stacks.0[class];
        let (begin, depth) = (stack.begin.load(Relaxed), stack.depth());
        let gone = depth.saturating_sub(kept);
        for place in 0..depth {
            let Some(block) = stack.block(begin.wrapping_add(place)) else { continue };
            match place.checked_sub(gone) {
                None => each(block),
                Some(lower) => stack.set(begin.wrapping_add(lower), block),
            }
        }
        stack.top.store(begin.wrapping_add(depth - gone), Relaxed);
    }

    /// Bytes of the blocks in it.
    pub fn bytes(&self) -> u64 {
        self.stacks.0.iter().enumerate().map(|(class, stack)| stack.depth() as u64 * bytes_of(class)).sum()
    }
}
