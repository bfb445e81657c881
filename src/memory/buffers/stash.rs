//! What a thread has at hand: for each size class a short list of idle buffers, linked through their records.
//!
//! Only its own thread takes single ones off a list and puts them on, with plain stores: it marks the stash busy, passes the
//! light side of an asymmetric fence, and looks whether it is shut. Whoever else wants what is in it shuts it, passes the
//! heavy side, and waits until it is not busy.

use super::record::{Chain, NONE, Records};
use super::sizes::MOST_CLASSES;
use crate::base::barrier;
use crate::base::sync::{AtomicU32, AtomicU64, Ordering::*};

/// The last list has spare records for slices.
pub const SLICES: usize = MOST_CLASSES;
const LISTS: usize = MOST_CLASSES + 1;

pub struct Stash {
    pub door: Door,
    lists: [List; LISTS],
}

impl Default for Stash {
    fn default() -> Self {
        Self { door: Door::default(), lists: std::array::from_fn(|_| List::default()) }
    }
}

impl Stash {
    #[inline]
    pub fn list(&self, class: usize) -> &List {
        &self.lists[class]
    }

    /// For the one who shut it and passed the heavy fence: takes what is in the list of each size, and opens it again.
    pub fn empty(&self, mut each: impl FnMut(usize, Chain)) {
        if !self.door.wait_until_left() {
            // Its thread came in between.
            return;
        }
        for (class, list) in self.lists.iter().enumerate().take(MOST_CLASSES) {
            let all = list.take_all();
            if all.count > 0 {
                each(class, all);
            }
        }
        self.door.open();
    }
}

/// Lets one at a time at the lists: their thread, or one who shut it.
pub struct Door {
    busy: AtomicU32,
    shut: AtomicU32,
}

impl Default for Door {
    fn default() -> Self {
        Self { busy: AtomicU32::new(0), shut: AtomicU32::new(0) }
    }
}

/// While it lasts the thread may change its lists. Then it passes the light side of a fence once more: what it looks at
/// afterwards is later than the change.
pub struct Busy<'a>(&'a Door);

impl Drop for Busy<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.busy.store(0, Release);
        barrier::light();
    }
}

impl Door {
    /// For the thread. `None`: it is shut.
    #[inline]
    pub fn try_begin(&self) -> Option<Busy<'_>> {
        self.busy.store(1, Relaxed);
        barrier::light();
        let busy = Busy(self);
        (self.shut.load(SeqCst) == 0).then_some(busy)
    }

    /// For the thread; waits while it is shut.
    #[inline]
    pub fn begin(&self) -> Busy<'_> {
        loop {
            if let Some(busy) = self.try_begin() {
                return busy;
            }
            barrier::wait_while(|| self.shut.load(SeqCst) != 0);
        }
    }

    /// Keeps the thread out from the next heavy fence on; for one at a time.
    pub fn shut(&self) {
        self.shut.store(1, SeqCst);
    }

    /// For the one who shut it, after the heavy fence. `false`: nobody shut it.
    pub fn wait_until_left(&self) -> bool {
        let is_shut = self.shut.load(SeqCst) != 0;
        if is_shut {
            barrier::wait_while(|| self.busy.load(SeqCst) != 0);
        }
        is_shut
    }

    pub fn open(&self) {
        self.shut.store(0, SeqCst);
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

/// Changes are for its thread while the stash is busy.
impl List {
    /// Takes the one that was put there last.
    #[inline]
    pub fn pop(&self, records: &Records) -> Option<u32> {
        let mut rest = chain(self.top.load(Relaxed));
        let first = rest.pop(records)?;
        self.top.store(top(rest), Relaxed);
        Some(first)
    }

    /// Puts one there, and tells how many there are now.
    #[inline]
    pub fn push(&self, records: &Records, number: u32) -> u32 {
        let mut more = chain(self.top.load(Relaxed));
        more.push(records, number);
        self.top.store(top(more), Relaxed);
        more.count
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        chain(self.top.load(Relaxed)).count == 0
    }

    /// Fills a list that is empty.
    pub fn fill(&self, full: Chain) {
        self.top.store(top(full), Relaxed);
    }

    /// Takes all.
    pub fn take_all(&self) -> Chain {
        let all = chain(self.top.load(Relaxed));
        self.top.store(EMPTY, Relaxed);
        all
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
