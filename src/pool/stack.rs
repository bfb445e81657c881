//! A lock-free stack of slot numbers, last in first out: what was used last is the warmest. The links live in a dense
//! array of their own, never in what is stored; the head carries a tag that changes with every push, so that a pop
//! cannot mistake a number that went away and came back for one that stayed (R. K. Treiber 1986, with the counter of
//! the IBM System/370 manual). It also carries how many are left, so that counting costs nothing.

use crate::base::alloc::{self, OutOfMemory};
use crate::base::sync::{AtomicU32, AtomicU64, Ordering::*};
use std::sync::Arc;

// The head: tag:22 | depth:21 | slot:21, where the slot that is all ones is none.
const FIELD: u64 = (1 << 21) - 1;
const NONE: u64 = FIELD;
const DEPTH_SHIFT: u32 = 21;
const TAG_SHIFT: u32 = 42;

/// Numbers that are pushed together.
#[derive(Default)]
pub struct Chain {
    top: u32,
    bottom: u32,
    count: u32,
}

impl Chain {
    /// Of numbers that lie on one another already.
    pub fn of(top: u32, bottom: u32, count: u32) -> Self {
        Self { top, bottom, count }
    }

    /// The number on top; what it is of an empty one means nothing.
    pub fn top(&self) -> u32 {
        self.top
    }

    /// The same with so many more, of which the first was laid on its top and that one is on top of all.
    pub fn with_more_on_top(self, top: u32, first: u32, count: u32) -> Self {
        if count == 0 {
            return self;
        }
        Self { top, bottom: if self.count == 0 { first } else { self.bottom }, count: self.count + count }
    }
}

/// What lies below each number: of all stacks that share it a number is on one at most.
pub struct Links {
    below: Vec<AtomicU32>,
}

impl Links {
    /// For the numbers below `slots`, of which there are at most 2^20.
    pub fn new(slots: u32) -> Result<Arc<Self>, OutOfMemory> {
        let mut below = alloc::try_vec(slots as usize)?;
        below.extend((0..slots).map(|_| AtomicU32::new(NONE as u32)));
        alloc::try_arc(Self { below })
    }

    #[inline]
    fn below(&self, slot: u32) -> Option<&AtomicU32> {
        self.below.get(slot as usize)
    }
}

#[repr(align(128))]
pub struct Stack {
    head: AtomicU64,
    links: Arc<Links>,
}

impl Stack {
    /// An empty stack with links of its own.
    pub fn new(slots: u32) -> Result<Self, OutOfMemory> {
        Ok(Self::with(&Links::new(slots)?))
    }

    /// An empty stack of numbers that may be on others with the same links, on one at a time.
    pub fn with(links: &Arc<Links>) -> Self {
        Self { head: AtomicU64::new(NONE), links: links.clone() }
    }

    pub fn depth(&self) -> u32 {
        ((self.head.load(Relaxed) >> DEPTH_SHIFT) & FIELD) as u32
    }

    /// Changes with each push.
    pub fn pushes(&self) -> u32 {
        (self.head.load(SeqCst) >> TAG_SHIFT) as u32
    }

    /// The number must be below the bound and not on the stack.
    #[inline]
    pub fn push(&self, slot: u32) {
        self.push_chain(Chain { top: slot, bottom: slot, count: 1 });
    }

    /// The links of the numbers below `count`, each of which says on what a number of the caller's lies.
    pub fn links(&self, count: usize) -> Option<&[AtomicU32]> {
        self.links.below.get(..count)
    }

    /// What lies beneath a number, there or in what was taken from there and is the caller's.
    #[inline]
    pub fn beneath(&self, slot: u32) -> u32 {
        self.links.below(slot).map_or(NONE as u32, |below| below.load(Relaxed))
    }

    /// Lays a number of the caller's on another.
    #[inline]
    pub fn lay(&self, slot: u32, on: u32) {
        if let Some(below) = self.links.below(slot) {
            below.store(on, Relaxed);
        }
    }

    /// Puts a number on top of a chain, which is not on the stack yet.
    #[inline(always)]
    pub fn link(&self, chain: &mut Chain, slot: u32) {
        let Some(below) = self.links.below(slot) else { return };
        match chain.count {
            0 => chain.bottom = slot,
            _ => below.store(chain.top, Relaxed),
        }
        chain.top = slot;
        chain.count += 1;
    }

    /// Pushes a chain in one step.
    #[inline]
    pub fn push_chain(&self, chain: Chain) {
        if chain.count == 0 {
            return;
        }
        let Some(below) = self.links.below(chain.bottom) else { return };
        let mut head = self.head.load(Relaxed);
        loop {
            below.store((head & FIELD) as u32, Relaxed);
            let depth = ((head >> DEPTH_SHIFT) & FIELD) + u64::from(chain.count);
            let tag = (head >> TAG_SHIFT).wrapping_add(1);
            let pushed = (tag << TAG_SHIFT) | (depth << DEPTH_SHIFT) | u64::from(chain.top);
            // Sequentially consistent, because the pusher looks for waiters next (see `Waiters`).
            match self.head.compare_exchange_weak(head, pushed, SeqCst, Relaxed) {
                Ok(_) => return,
                Err(newer) => head = newer,
            }
        }
    }

    /// Pops so many in one step, or none: `each` gets the place and the number of each, again from the first place on
    /// when another thread was faster. Tells how many are left.
    #[inline]
    pub fn pop_all(&self, count: usize, mut each: impl FnMut(usize, u32)) -> Option<u32> {
        let links = self.links.below.as_slice();
        let mut head = self.head.load(SeqCst);
        loop {
            let left = ((head >> DEPTH_SHIFT) & FIELD).checked_sub(count as u64)?;
            let mut next = (head & FIELD) as u32;
            for place in 0..count {
                each(place, next);
                // A link that another thread changes meanwhile may lead anywhere; the exchange below then fails.
                next = links.get(next as usize).map_or(NONE as u32, |below| below.load(Relaxed));
            }
            let popped = (head & !((1 << TAG_SHIFT) - 1)) | (left << DEPTH_SHIFT) | (u64::from(next) & FIELD);
            match self.head.compare_exchange_weak(head, popped, SeqCst, SeqCst) {
                Ok(_) => return Some(left as u32),
                Err(newer) => head = newer,
            }
        }
    }

    /// The number that was pushed last, and how many are left.
    #[inline]
    pub fn pop(&self) -> Option<(u32, u32)> {
        let mut head = self.head.load(SeqCst);
        loop {
            let slot = head & FIELD;
            // None when empty. A link that another thread changes meanwhile is read in vain: then the tag, or what is
            // on top, has changed too.
            let below = u64::from(self.links.below(slot as u32)?.load(Relaxed));
            let left = ((head >> DEPTH_SHIFT) & FIELD) - 1;
            let popped = (head & !((1 << TAG_SHIFT) - 1)) | (left << DEPTH_SHIFT) | below;
            match self.head.compare_exchange_weak(head, popped, SeqCst, SeqCst) {
                Ok(_) => return Some((slot as u32, left as u32)),
                Err(newer) => head = newer,
            }
        }
    }
}
