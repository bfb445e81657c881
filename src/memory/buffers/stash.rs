//! What a thread has at hand: for each size class a short list of idle buffers, linked through their records.
//!
//! Only its own thread takes single ones off a list and puts them on; everybody else can only take a whole list. So the
//! head of a list, which is exchanged together with the count, never comes back to a thread that is about to take it (no
//! ABA problem), and no thread ever waits.

use super::record::{Chain, NONE, Records};
use super::sizes::MOST_CLASSES;
use crate::base::sync::{AtomicU64, Ordering::*};

/// The last list has spare records for slices.
pub const SLICES: usize = MOST_CLASSES;
const LISTS: usize = MOST_CLASSES + 1;

pub struct Stash {
    lists: [List; LISTS],
}

impl Default for Stash {
    fn default() -> Self {
        Self { lists: std::array::from_fn(|_| List::default()) }
    }
}

impl Stash {
    #[inline]
    pub fn list(&self, class: usize) -> &List {
        &self.lists[class]
    }
}

// The top of a list: count:32 | first:32.
const EMPTY: u64 = NONE as u64;

fn top(chain: Chain) -> u64 {
    (u64::from(chain.count) << 32) | u64::from(chain.first)
}

fn chain(top: u64) -> Chain {
    Chain { first: top as u32, count: (top >> 32) as u32 }
}

pub struct List {
    top: AtomicU64,
    /// Buffers that its thread has got, and the bytes that rounding up has wasted by them, less by those that it released:
    /// written by that thread alone, so only the sums over all threads tell something.
    gets: AtomicU64,
    waste: AtomicU64,
}

impl Default for List {
    fn default() -> Self {
        Self { top: AtomicU64::new(EMPTY), gets: AtomicU64::new(0), waste: AtomicU64::new(0) }
    }
}

impl List {
    /// Takes the one that was put there last; for its thread.
    #[inline]
    pub fn pop(&self, records: &Records) -> Option<u32> {
        let mut now = self.top.load(Relaxed);
        loop {
            let mut rest = chain(now);
            let first = rest.pop(records)?;
            match self.top.compare_exchange(now, top(rest), SeqCst, Relaxed) {
                Ok(_) => return Some(first),
                Err(found) => now = found,
            }
        }
    }

    /// Puts one there, and tells how many there are now; for its thread.
    #[inline]
    pub fn push(&self, records: &Records, number: u32) -> u32 {
        let mut now = self.top.load(Relaxed);
        loop {
            let mut more = chain(now);
            more.push(records, number);
            match self.top.compare_exchange(now, top(more), SeqCst, Relaxed) {
                Ok(_) => return more.count,
                Err(found) => now = found,
            }
        }
    }

    /// Fills a list that is empty; for its thread.
    pub fn fill(&self, full: Chain) {
        self.top.store(top(full), SeqCst);
    }

    /// Takes all; for anybody.
    pub fn take_all(&self) -> Chain {
        if self.top.load(SeqCst) == EMPTY {
            return Chain::EMPTY;
        }
        chain(self.top.swap(EMPTY, SeqCst))
    }

    pub fn count(&self) -> u32 {
        chain(self.top.load(SeqCst)).count
    }

    #[inline]
    pub fn note_get(&self, waste: u64) {
        self.gets.store(self.gets.load(Relaxed) + 1, Relaxed);
        self.waste.store(self.waste.load(Relaxed).wrapping_add(waste), Relaxed);
    }

    #[inline]
    pub fn note_release(&self, waste: u64) {
        self.waste.store(self.waste.load(Relaxed).wrapping_sub(waste), Relaxed);
    }

    pub fn gets(&self) -> u64 {
        self.gets.load(Relaxed)
    }

    pub fn waste(&self) -> u64 {
        self.waste.load(Relaxed)
    }
}
