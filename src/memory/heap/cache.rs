//! Caches: free blocks that one thread has at hand, a stack for each class, and what that thread has counted. Its own
//! thread uses one in a window or with the heap's lock; others only with the lock and the windows shut. What overflows is
//! left in the [`Depot`] for the next thread that has none, which is cheaper than to join and to cut it.
//!
//! A stack begins small. Each time it runs empty or full it is widened, so that a thread that goes on taking and giving
//! back blocks of a size comes to do so without the lock; as long as its stacks, and those of all, do not take too much.

use super::classes::{CLASSES, bytes_of};
use super::tags::Tag;
use super::windows::Pane;
use crate::base::alloc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// Blocks for which a stack has room at first, and at last.
const FEWEST: u32 = 16;
const MOST: u32 = 256;
/// What the stacks of one thread may be widened by, in bytes of the blocks that they hold.
const MOST_BYTES: u64 = 2 << 20;

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

impl From<Block> for Entry {
    fn from(block: Block) -> Self {
        Self { address: AtomicPtr::new(block.address), tag: AtomicPtr::new(block.tag.address()) }
    }
}

/// The blocks of one class, the first `depth` of the entries. Before the first block there are none.
#[derive(Default)]
struct Stack {
    entries: AtomicPtr<Entry>,
    depth: AtomicU32,
    /// How many blocks it may hold.
    room: AtomicU32,
    /// How many entries there are.
    length: AtomicU32,
}

impl Stack {
    #[inline(always)]
    fn pop(&self) -> Option<Block> {
        let depth = self.depth.load(Relaxed).checked_sub(1)?;
        self.depth.store(depth, Relaxed);
        self.block(depth)
    }

    #[inline(always)]
    fn push(&self, block: Block) -> bool {
        let depth = self.depth.load(Relaxed);
        if depth >= self.room.load(Relaxed) {
            return false;
        }
        self.set(depth, block);
        self.depth.store(depth + 1, Relaxed);
        true
    }

    /// For a place below the depth.
    #[inline(always)]
    fn block(&self, place: u32) -> Option<Block> {
        // SAFETY: there are so many entries; its tag stays as long as the block.
        unsafe {
            let entry = &*self.entries.load(Relaxed).add(place as usize);
            Some(Block { address: entry.address.load(Relaxed), tag: Tag::at(entry.tag.load(Relaxed))? })
        }
    }

    /// For a place below the room.
    #[inline(always)]
    fn set(&self, place: u32, block: Block) {
        // SAFETY: there are so many entries.
        let entry = unsafe { &*self.entries.load(Relaxed).add(place as usize) };
        entry.address.store(block.address, Relaxed);
        entry.tag.store(block.tag.address(), Relaxed);
    }

    /// Makes room for so many blocks, if there is memory for the entries.
    fn widen(&self, room: u32) -> bool {
        let length = self.length.load(Relaxed);
        if room > length {
            let Ok(mut entries) = alloc::try_vec(room as usize) else { return false };
            entries.extend((0..self.depth.load(Relaxed)).filter_map(|place| self.block(place)).map(Entry::from));
            entries.resize_with(room as usize, Entry::default);
            let entries = Box::into_raw(entries.into_boxed_slice()).cast();
            free_entries(self.entries.swap(entries, Relaxed), length);
            self.length.store(room, Relaxed);
        }
        self.room.store(room, Relaxed);
        true
    }
}

fn free_entries(entries: *mut Entry, length: u32) {
    if !entries.is_null() {
        // SAFETY: `widen` made it of a box of this length, and nobody uses it any more.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(entries, length as usize)) });
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        free_entries(*self.entries.get_mut(), *self.length.get_mut());
    }
}

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
    pub pane: Pane,
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

impl Cache {
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
        self.stacks.0[class].room.load(Relaxed) / 2
    }

    /// Makes a stack twice as wide, if that is at most `most` bytes, and tells how many it is. For its own thread, with the
    /// lock.
    pub fn widen(&self, class: usize, most: u64) -> u64 {
        let stack = &self.stacks.0[class];
        let room = stack.room.load(Relaxed);
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
            let stack = &self.stacks.0[class];
            stack.room.store(stack.room.load(Relaxed).min(FEWEST), Relaxed);
        }
        self.widened_bytes.take(self.widened_bytes.get());
    }

    /// Takes the blocks out that lie lowest in a stack, all but `kept`.
    pub fn drain(&self, class: usize, kept: u32, mut each: impl FnMut(Block)) {
        let stack = &self.stacks.0[class];
        let depth = stack.depth.load(Relaxed);
        let gone = depth.saturating_sub(kept);
        for place in 0..depth {
            let Some(block) = stack.block(place) else { continue };
            match place.checked_sub(gone) {
                None => each(block),
                Some(lower) => stack.set(lower, block),
            }
        }
        stack.depth.store(depth - gone, Relaxed);
    }

    /// Bytes of the blocks in it.
    pub fn bytes(&self) -> u64 {
        let bytes = |(class, stack): (usize, &Stack)| u64::from(stack.depth.load(Relaxed)) * bytes_of(class);
        self.stacks.0.iter().enumerate().map(bytes).sum()
    }
}

impl Depot {
    /// `false`: it would come to hold more than `most` bytes, or has no room for more of that class.
    pub fn leave(&mut self, class: usize, block: Block, most: u64) -> bool {
        let bytes = self.bytes + bytes_of(class);
        let stack = &self.stacks.0[class];
        let has_room = stack.room.load(Relaxed) > 0 || stack.widen(MOST);
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
