//! The numbers of idle slots, in the order in which they are leased again.

use super::config::IdleOrder;
use super::stack::{Chain, Stack};
use crate::base::alloc::{self, OutOfMemory};
use crossbeam_queue::ArrayQueue;
use std::sync::atomic::{Ordering::SeqCst, fence};

pub enum IdleSet {
    LastUsedFirst(Stack),
    LongestIdleFirst(Box<ArrayQueue<u32>>),
}

impl IdleSet {
    /// An empty set for the numbers below `slots`.
    pub fn new(order: IdleOrder, slots: u32) -> Result<Self, OutOfMemory> {
        Ok(match order {
            IdleOrder::LastUsedFirst => Self::LastUsedFirst(Stack::new(slots)?),
            IdleOrder::LongestIdleFirst => {
                alloc::check(slots as usize * 2 * size_of::<usize>())?;
                Self::LongestIdleFirst(alloc::try_box(ArrayQueue::new(slots as usize))?)
            }
        })
    }

    /// The number must be below the bound and not in the set.
    #[inline]
    pub fn push(&self, slot: u32) {
        match self {
            Self::LastUsedFirst(stack) => stack.push(slot),
            Self::LongestIdleFirst(queue) => {
                // It has room for every number there is.
                let _ = queue.push(slot);
                // The pusher looks for waiters next (see `Waiters`).
                fence(SeqCst);
            }
        }
    }

    /// The same for many, which [`push_chain`](Self::push_chain) ends.
    #[inline]
    pub fn link(&self, chain: &mut Chain, slot: u32) {
        match self {
            Self::LastUsedFirst(stack) => stack.link(chain, slot),
            Self::LongestIdleFirst(_) => self.push(slot),
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
            Self::LongestIdleFirst(_) => None,
        }
    }

    /// The next number, and how many are left.
    #[inline]
    pub fn pop(&self) -> Option<(u32, u32)> {
        match self {
            Self::LastUsedFirst(stack) => stack.pop(),
            Self::LongestIdleFirst(queue) => {
                fence(SeqCst);
                Some((queue.pop()?, queue.len() as u32))
            }
        }
    }

    pub fn depth(&self) -> u32 {
        match self {
            Self::LastUsedFirst(stack) => stack.depth(),
            Self::LongestIdleFirst(queue) => queue.len() as u32,
        }
    }
}
