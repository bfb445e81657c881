//! A shelf: numbers of idle slots, in the order in which they are leased again.

use super::stack::{Chain, Links, Stack};
use crate::base::alloc::{self, OutOfMemory};
use crossbeam_queue::ArrayQueue;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst, fence};

/// Which one of them is leased next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    LastUsedFirst,
    LongestIdleFirst,
    /// Those of the tag that is wanted before those without one, and these before others; of each the last used first.
    ByTag,
}

pub enum Shelf {
    LastUsedFirst(Stack),
    LongestIdleFirst(Box<Queue>),
    ByTag(ByTag),
}

impl Shelf {
    /// An empty one for the numbers below `slots`.
    pub fn new(order: Order, slots: u32, links: &Arc<Links>) -> Result<Self, OutOfMemory> {
        Self::make(order, slots, links, false)
    }

    /// One of those that are looked through one after the other.
    pub fn one_of_several(order: Order, slots: u32, links: &Arc<Links>) -> Result<Self, OutOfMemory> {
        Self::make(order, slots, links, true)
    }

    fn make(order: Order, slots: u32, links: &Arc<Links>, counts_pushes: bool) -> Result<Self, OutOfMemory> {
        Ok(match order {
            Order::LastUsedFirst => Self::LastUsedFirst(Stack::with(links)),
            Order::LongestIdleFirst => {
                alloc::check(slots as usize * 2 * size_of::<usize>())?;
                let numbers = ArrayQueue::new(slots as usize);
                Self::LongestIdleFirst(alloc::try_box(Queue { numbers, counts_pushes, pushes: AtomicU32::new(0) })?)
            }
            Order::ByTag => {
                let numbers = Mutex::new(alloc::try_vec(slots as usize)?);
                Self::ByTag(ByTag { numbers, depth: AtomicU32::new(0), pushes: AtomicU32::new(0) })
            }
        })
    }

    /// The number must be below the bound and not on the shelf. The tag is that of its resource.
    #[inline]
    pub fn push(&self, slot: u32, tag: u64) {
        match self {
            Self::LastUsedFirst(stack) => stack.push(slot),
            Self::LongestIdleFirst(queue) => queue.push(slot),
            Self::ByTag(set) => set.push(slot, tag),
        }
    }

    /// The same for many, which [`push_chain`](Self::push_chain) ends.
    #[inline]
    pub fn link(&self, chain: &mut Chain, slot: u32, tag: u64) {
        match self {
            Self::LastUsedFirst(stack) => stack.link(chain, slot),
            Self::LongestIdleFirst(_) | Self::ByTag(_) => self.push(slot, tag),
        }
    }

    #[inline]
    pub fn push_chain(&self, chain: Chain) {
        if let Self::LastUsedFirst(stack) = self {
            stack.push_chain(chain);
        }
    }

    /// So many at once, or none, or none for now; see [`Stack::pop_all`].
    #[inline]
    pub fn pop_all(&self, count: usize, each: impl FnMut(usize, u32)) -> Option<u32> {
        match self {
            Self::LastUsedFirst(stack) => stack.pop_all(count, each),
            Self::LongestIdleFirst(_) | Self::ByTag(_) => None,
        }
    }

    /// The next number for one who wants that tag, and how many are left.
    #[inline]
    pub fn pop(&self, tag: u64) -> Option<(u32, u32)> {
        match self {
            Self::LastUsedFirst(stack) => stack.pop(),
            Self::LongestIdleFirst(queue) => queue.pop(),
            Self::ByTag(set) => set.pop(tag),
        }
    }

    /// One with that tag, where they are told apart.
    pub fn pop_tagged(&self, tag: u64) -> Option<u32> {
        match self {
            Self::LastUsedFirst(_) | Self::LongestIdleFirst(_) => None,
            Self::ByTag(set) => set.pop_tagged(tag),
        }
    }

    pub fn depth(&self) -> u32 {
        match self {
            Self::LastUsedFirst(stack) => stack.depth(),
            Self::LongestIdleFirst(queue) => queue.numbers.len() as u32,
            Self::ByTag(set) => set.depth.load(SeqCst),
        }
    }

    /// Changes with each push; of a shelf that is one of several.
    pub fn pushes(&self) -> u32 {
        match self {
            Self::LastUsedFirst(stack) => stack.pushes(),
            Self::LongestIdleFirst(queue) => queue.pushes.load(SeqCst),
            Self::ByTag(set) => set.pushes.load(SeqCst),
        }
    }
}

/// Numbers in the order in which they came.
pub struct Queue {
    numbers: ArrayQueue<u32>,
    counts_pushes: bool,
    pushes: AtomicU32,
}

impl Queue {
    #[inline]
    fn push(&self, slot: u32) {
        // It has room for every number there is.
        let _ = self.numbers.push(slot);
        if self.counts_pushes {
            self.pushes.fetch_add(1, SeqCst);
        }
        // The pusher looks for waiters next (see `Waiters`).
        fence(SeqCst);
    }

    #[inline]
    fn pop(&self) -> Option<(u32, u32)> {
        fence(SeqCst);
        Some((self.numbers.pop()?, self.numbers.len() as u32))
    }
}

/// Numbers with their tags, the last used at the end. Looking for a tag takes a lock: what follows, a callback, costs more.
pub struct ByTag {
    numbers: Mutex<Vec<(u32, u64)>>,
    depth: AtomicU32,
    pushes: AtomicU32,
}

impl ByTag {
    fn push(&self, slot: u32, tag: u64) {
        let mut numbers = self.numbers.lock();
        // There is room for every number.
        numbers.push((slot, tag));
        self.pushes.fetch_add(1, SeqCst);
        self.depth.store(numbers.len() as u32, SeqCst);
    }

    fn pop(&self, wanted: u64) -> Option<(u32, u32)> {
        let numbers = &mut *self.numbers.lock();
        let place =
            last_of(numbers, wanted).or_else(|| last_of(numbers, 0)).or_else(|| numbers.len().checked_sub(1))?;
        let slot = self.remove(numbers, place);
        Some((slot, numbers.len() as u32))
    }

    fn pop_tagged(&self, wanted: u64) -> Option<u32> {
        let numbers = &mut *self.numbers.lock();
        let place = last_of(numbers, wanted)?;
        Some(self.remove(numbers, place))
    }

    fn remove(&self, numbers: &mut Vec<(u32, u64)>, place: usize) -> u32 {
        let (slot, _) = numbers.remove(place);
        self.depth.store(numbers.len() as u32, SeqCst);
        slot
    }
}

fn last_of(numbers: &[(u32, u64)], wanted: u64) -> Option<usize> {
    numbers.iter().rposition(|(_, tag)| *tag == wanted)
}
