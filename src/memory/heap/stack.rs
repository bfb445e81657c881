//! A stack of free blocks of one class: three places in a row of entries. Its user changes it; others read from it how many
//! blocks there are.

use super::tags::Tag;
use crate::base::alloc;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};

/// A free block, and its tag.
#[derive(Clone, Copy)]
pub struct Block {
    pub address: *mut u8,
    pub tag: Tag,
}

type Entry = MaybeUninit<Block>;

/// Blocks lie from `bottom` up to `top`. Before it is widened for the first time it has no entries.
#[derive(Default)]
pub struct Stack {
    top: AtomicPtr<Entry>,
    bottom: AtomicPtr<Entry>,
    /// Up to here it may be filled.
    end: AtomicPtr<Entry>,
    /// How many entries there are.
    length: AtomicU32,
}

impl Stack {
    #[inline(always)]
    pub fn pop(&self) -> Option<Block> {
        self.pop_if(|| true)
    }

    /// The same, unless `may` says otherwise of one that is there.
    #[inline(always)]
    pub fn pop_if(&self, may: impl FnOnce() -> bool) -> Option<Block> {
        let top = self.top.load(Relaxed);
        if top == self.bottom.load(Relaxed) || !may() {
            return None;
        }
        let last = top.wrapping_sub(1);
        self.top.store(last, Relaxed);
        // SAFETY: below the top lies a block, which nobody else takes.
        Some(unsafe { (*last).assume_init() })
    }

    /// `false`: there is no room.
    #[inline(always)]
    pub fn push(&self, block: Block) -> bool {
        let top = self.top.load(Relaxed);
        if top == self.end.load(Relaxed) {
            return false;
        }
        // SAFETY: below the end lies an entry, which nobody else uses.
        unsafe { (*top).write(block) };
        self.top.store(top.wrapping_add(1), Relaxed);
        true
    }

    pub fn depth(&self) -> u32 {
        distance(self.bottom.load(Relaxed), self.top.load(Relaxed))
    }

    /// How many blocks it may hold.
    pub fn room(&self) -> u32 {
        distance(self.bottom.load(Relaxed), self.end.load(Relaxed))
    }

    /// Makes room for so many blocks, if there is memory for the entries.
    pub fn widen(&self, room: u32) -> bool {
        if room > self.length.load(Relaxed) {
            let Ok(mut entries) = alloc::try_vec(room as usize) else { return false };
            entries.extend_from_slice(self.blocks());
            entries.resize(room as usize, Entry::uninit());
            let depth = self.depth();
            let bottom = Box::into_raw(entries.into_boxed_slice()).cast::<Entry>();
            free_entries(self.bottom.swap(bottom, Relaxed), self.length.swap(room, Relaxed));
            self.top.store(bottom.wrapping_add(depth as usize), Relaxed);
        }
        self.end.store(self.bottom.load(Relaxed).wrapping_add(room as usize), Relaxed);
        true
    }

    /// Takes the blocks out that lie lowest, all but `kept`.
    pub fn drain(&self, kept: u32, mut each: impl FnMut(Block)) {
        let gone = self.depth().saturating_sub(kept) as usize;
        // SAFETY: they are blocks.
        self.blocks().iter().take(gone).for_each(|entry| each(unsafe { entry.assume_init() }));
        let (bottom, top) = (self.bottom.load(Relaxed), self.top.load(Relaxed));
        // SAFETY: what is kept moves down inside the entries.
        unsafe { bottom.copy_from(bottom.wrapping_add(gone), self.depth() as usize - gone) };
        self.top.store(top.wrapping_sub(gone), Relaxed);
    }

    /// Leaves it empty, with room for at most so many.
    pub fn narrow(&self, room: u32) {
        let bottom = self.bottom.load(Relaxed);
        self.top.store(bottom, Relaxed);
        self.end.store(bottom.wrapping_add(self.room().min(room) as usize), Relaxed);
    }

    fn blocks(&self) -> &[Entry] {
        match self.depth() as usize {
            0 => &[],
            // SAFETY: so many entries are blocks, and only its user, which this is, takes one away.
            depth => unsafe { std::slice::from_raw_parts(self.bottom.load(Relaxed), depth) },
        }
    }
}

fn distance(from: *mut Entry, to: *mut Entry) -> u32 {
    ((to as usize - from as usize) / size_of::<Entry>()) as u32
}

fn free_entries(entries: *mut Entry, length: u32) {
    if !entries.is_null() {
        // SAFETY: `widen` made it of a box of this length, and nobody uses it any more.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(entries, length as usize)) });
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        free_entries(*self.bottom.get_mut(), *self.length.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: usize) -> Block {
        static TAGS: [AtomicU32; 64] = [const { AtomicU32::new(0) }; 64];
        let address = TAGS[number].as_ptr().cast();
        Block { address, tag: unsafe { Tag::at(address) } }
    }

    fn taken(stack: &Stack) -> Vec<*mut u8> {
        std::iter::from_fn(|| stack.pop()).map(|block| block.address).collect()
    }

    fn blocks(numbers: impl Iterator<Item = usize>) -> Vec<*mut u8> {
        numbers.map(|number| block(number).address).collect()
    }

    #[test]
    fn what_came_last_goes_first_and_what_lies_lowest_is_drained() {
        let stack = Stack::default();
        assert!(stack.pop().is_none() && !stack.push(block(0)));
        assert!(stack.widen(4));
        assert!((0..4).all(|number| stack.push(block(number))) && !stack.push(block(4)));
        assert!(stack.widen(8) && (4..8).all(|number| stack.push(block(number))));
        assert_eq!((stack.depth(), stack.room()), (8, 8));
        let mut drained = Vec::new();
        stack.drain(3, |block| drained.push(block.address));
        assert_eq!(drained, blocks(0..5));
        assert_eq!(taken(&stack), blocks((5..8).rev()));
        stack.narrow(2);
        assert!(stack.push(block(0)) && stack.push(block(1)) && !stack.push(block(2)));
        assert!(stack.widen(8) && stack.push(block(2)));
        assert_eq!(taken(&stack), blocks((0..3).rev()));
    }
}
