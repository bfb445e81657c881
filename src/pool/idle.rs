//! The numbers of idle slots, in the order in which they are leased again.

use super::config::IdleOrder;
use super::stack::Stack;
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
