//! The numbers of idle slots, in the order in which they are leased again.

use super::config::IdleOrder;
use super::stack::{Chain, Links, Stack};
use crate::base::alloc::{self, OutOfMemory};
use crossbeam_queue::ArrayQueue;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst, fence};

pub enum IdleSet {
    LastUsedFirst(Stack),
    LongestIdleFirst(Box<ArrayQueue<u32>>),
    /// Those of the tag that is wanted before those without one, and these before others; of each the last used first.
    ByTag(ByTag),
}

impl IdleSet {
    /// An empty set for the numbers below `slots`.
    pub fn new(order: IdleOrder, by_tag: bool, slots: u32, links: &Arc<Links>) -> Result<Self, OutOfMemory> {
        if by_tag {
            let numbers = Mutex::new(alloc::try_vec(slots as usize)?);
            return Ok(Self::ByTag(ByTag { numbers, depth: AtomicU32::new(0) }));
        }
        Ok(match order {
            IdleOrder::LastUsedFirst => Self::LastUsedFirst(Stack::with(links)),
            IdleOrder::LongestIdleFirst => {
                alloc::check(slots as usize * 2 * size_of::<usize>())?;
                Self::LongestIdleFirst(alloc::try_box(ArrayQueue::new(slots as usize))?)
            }
        })
    }

    /// The number must be below the bound and not in the set. The tag is that of its resource.
    #[inline]
    pub fn push(&self, slot: u32, tag: u64) {
        match self {
            Self::LastUsedFirst(stack) => stack.push(slot),
            Self::LongestIdleFirst(queue) => {
                // It has room for every number there is.
                let _ = queue.push(slot);
                // The pusher looks for waiters next (see `Waiters`).
                fence(SeqCst);
            }
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
            Self::LongestIdleFirst(queue) => {
                fence(SeqCst);
                Some((queue.pop()?, queue.len() as u32))
            }
            Self::ByTag(set) => set.pop(tag),
        }
    }

    pub fn depth(&self) -> u32 {
        match self {
            Self::LastUsedFirst(stack) => stack.depth(),
            Self::LongestIdleFirst(queue) => queue.len() as u32,
            Self::ByTag(set) => set.depth.load(SeqCst),
        }
    }
}

/// Numbers with their tags, the last used at the end. Looking for a tag takes a lock: what follows, a callback, costs more.
pub struct ByTag {
    numbers: Mutex<Vec<(u32, u64)>>,
    depth: AtomicU32,
}

impl ByTag {
    fn push(&self, slot: u32, tag: u64) {
        let mut numbers = self.numbers.lock();
        // There is room for every number.
        numbers.push((slot, tag));
        self.depth.store(numbers.len() as u32, SeqCst);
    }

    fn pop(&self, wanted: u64) -> Option<(u32, u32)> {
        let mut numbers = self.numbers.lock();
        let of = |wanted: u64| numbers.iter().rposition(|(_, tag)| *tag == wanted);
        let place = of(wanted).or_else(|| of(0)).or_else(|| numbers.len().checked_sub(1))?;
        let (slot, _) = numbers.remove(place);
        self.depth.store(numbers.len() as u32, SeqCst);
        Some((slot, numbers.len() as u32))
    }
}
