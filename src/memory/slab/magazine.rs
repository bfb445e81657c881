//! A magazine: one thread's stack of free slots, whose top inline code of the host takes and puts without a call, a
//! locked operation or a fence.
//!
//! Others get at it all the same. Whoever needs what is in it *shuts* it: it raises the floor above everything and lowers
//! the ceiling below, passes the heavy side of an asymmetric fence, and takes what lies between `low` and the top. A thread
//! that takes lowers the top first and looks at the floor afterwards, so either it sees the floor raised and puts the top
//! back, or its top is seen (the THE protocol of Cilk-5, Frigo, Leiserson and Randall 1998, with the fence on one side
//! only). One that puts looks at the ceiling first; what it puts at the last moment stays above `low`, for the next look.

use super::depot::Claim;
use super::geometry::Geometry;
use crate::base::barrier;
use crate::base::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use std::sync::atomic::compiler_fence;

/// The layout that inline code of this version knows.
pub const LAYOUT: u32 = 1;
/// Open, but every call goes into the library.
pub const CALLS_ONLY: u32 = u32::MAX;
pub const MOST_ITEMS: u32 = 128;
/// Where the items of a magazine begin.
pub const ITEMS_OFFSET: usize = std::mem::offset_of!(Magazine, items);

const SHUT: u64 = i64::MAX as u64;

/// What the host sees of a magazine, and behind it what only the library uses. Counts are signed where they are
/// compared: an empty magazine's top is -1 for a moment.
#[repr(C, align(64))]
pub struct Magazine {
    layout: AtomicU32,
    shift: AtomicU32,
    top: AtomicU64,
    floor: AtomicU64,
    ceiling: AtomicU64,
    base: AtomicU64,
    inverse: AtomicU64,
    states: AtomicU64,
    slots: AtomicU64,
    stride: AtomicU64,
    /// The lowest place that was not taken by others.
    low: AtomicU64,
    /// Its thread is in a call that moves slots between here and the depot.
    pub busy: AtomicU32,
    capacity: AtomicU32,
    /// Up to where inline code puts: the capacity, or 0 when each put needs a call.
    inline_capacity: AtomicU32,
    /// Where its thread draws from.
    pub claim: Claim,
    _private: [u32; 8],
    items: [AtomicPtr<u8>; MOST_ITEMS as usize],
}

/// How a magazine is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub geometry: Geometry,
    pub states: u64,
    pub capacity: u32,
    pub inline_capacity: u32,
    pub layout: u32,
}

impl Default for Magazine {
    fn default() -> Self {
        Self {
            layout: AtomicU32::new(0),
            shift: AtomicU32::new(0),
            top: AtomicU64::new(0),
            floor: AtomicU64::new(SHUT),
            ceiling: AtomicU64::new(0),
            base: AtomicU64::new(0),
            inverse: AtomicU64::new(0),
            states: AtomicU64::new(0),
            slots: AtomicU64::new(0),
            stride: AtomicU64::new(0),
            low: AtomicU64::new(0),
            busy: AtomicU32::new(0),
            capacity: AtomicU32::new(0),
            inline_capacity: AtomicU32::new(0),
            claim: Claim::default(),
            _private: [0; 8],
            items: [const { AtomicPtr::new(std::ptr::null_mut()) }; MOST_ITEMS as usize],
        }
    }
}

impl Magazine {
    /// Makes a closed magazine an open one that is empty and shut; its first call opens it.
    pub fn set_up(&self, setup: &Setup) {
        self.shift.store(setup.geometry.shift(), Relaxed);
        self.base.store(setup.geometry.base(), Relaxed);
        self.inverse.store(setup.geometry.inverse(), Relaxed);
        self.slots.store(setup.geometry.slots(), Relaxed);
        self.stride.store(setup.geometry.stride(), Relaxed);
        self.states.store(setup.states, Relaxed);
        self.capacity.store(setup.capacity.min(MOST_ITEMS), Relaxed);
        self.inline_capacity.store(setup.inline_capacity.min(MOST_ITEMS), Relaxed);
        self.top.store(0, Relaxed);
        self.low.store(0, Relaxed);
        self.shut();
        self.layout.store(setup.layout, Release);
    }

    /// Sends every call of inline code into the library from now on.
    pub fn close(&self) {
        self.layout.store(0, Relaxed);
        self.shut();
    }

    #[inline]
    pub fn layout(&self) -> u32 {
        self.layout.load(Relaxed)
    }

    pub fn set_layout(&self, layout: u32) {
        self.layout.store(layout, Relaxed);
    }

    fn item(&self, place: u64) -> *mut u8 {
        self.items[place as usize % MOST_ITEMS as usize].load(Relaxed)
    }

    /// For its thread: the slot that was put last.
    #[inline]
    pub fn pop(&self) -> Option<*mut u8> {
        self.pop_past(barrier::light)
    }

    /// The same where [`barrier::is_asymmetric`] has said that the fence costs nothing.
    #[inline(always)]
    pub fn pop_without_fence(&self) -> Option<*mut u8> {
        self.pop_past(|| compiler_fence(SeqCst))
    }

    #[inline(always)]
    fn pop_past(&self, fence: impl FnOnce()) -> Option<*mut u8> {
        let top = self.top.load(Relaxed).wrapping_sub(1);
        self.top.store(top, Relaxed);
        fence();
        if (top as i64) < self.floor.load(Relaxed) as i64 {
            self.top.store(top.wrapping_add(1), Relaxed);
            return None;
        }
        Some(self.item(top))
    }

    /// For its thread: so many at once, or none; `each` gets them in the order in which they were put.
    #[inline]
    pub fn pop_n(&self, count: u32, each: impl FnMut(*mut u8)) -> bool {
        let (top, count) = (self.top.load(Relaxed), u64::from(count));
        let next = top.wrapping_sub(count);
        // Looked at first, so that what is too little is not hidden from others for a moment.
        if (next as i64) < self.floor.load(Relaxed) as i64 {
            return false;
        }
        self.top.store(next, Relaxed);
        barrier::light();
        if (next as i64) < self.floor.load(Relaxed) as i64 {
            self.top.store(top, Relaxed);
            return false;
        }
        (next..top).map(|place| self.item(place)).for_each(each);
        true
    }

    /// For its thread: whether so many more can be added at once.
    #[inline]
    pub fn has_room(&self, count: u32) -> bool {
        self.top.load(Relaxed).wrapping_add(u64::from(count)) as i64 <= self.ceiling.load(Relaxed) as i64
    }

    /// For its thread in a visit while magazines may be open: opens it, with what others left of it at the bottom.
    pub fn settle(&self) {
        let (low, top) = (self.low.load(Relaxed), self.top.load(Relaxed));
        if low > 0 || self.floor.load(Relaxed) == SHUT {
            for place in low..top {
                self.items[(place - low) as usize].store(self.item(place), Relaxed);
            }
            self.top.store(top.saturating_sub(low), Relaxed);
            self.low.store(0, Relaxed);
            self.floor.store(0, Relaxed);
            self.ceiling.store(u64::from(self.inline_capacity.load(Relaxed)), Relaxed);
        }
    }

    /// For its thread in a visit, when it is open: how many more fit.
    pub fn room(&self) -> u32 {
        self.capacity.load(Relaxed).saturating_sub(self.top.load(Relaxed) as u32)
    }

    /// For its thread, when there is room: puts a slot on top.
    #[inline]
    pub fn add(&self, slot: *mut u8) {
        let top = self.top.load(Relaxed);
        self.items[top as usize % MOST_ITEMS as usize].store(slot, Relaxed);
        self.top.store(top + 1, Release);
    }

    /// For its thread in a visit, when it is open: takes so many of those that were put first.
    pub fn take_oldest(&self, count: u32, each: impl FnMut(*mut u8)) {
        let top = self.top.load(Relaxed);
        let count = u64::from(count).min(top);
        (0..count).map(|place| self.item(place)).for_each(each);
        for place in count..top {
            self.items[(place - count) as usize].store(self.item(place), Relaxed);
        }
        self.top.store(top - count, Relaxed);
    }

    /// Keeps inline code out from the next heavy fence on.
    pub fn shut(&self) {
        self.floor.store(SHUT, SeqCst);
        self.ceiling.store(0, SeqCst);
    }

    /// For one who shut it and passed the heavy fence, or for its thread in a visit while it is shut: takes what is in it.
    pub fn drain(&self, each: impl FnMut(*mut u8)) {
        let (low, top) = (self.low.load(Relaxed), self.top.load(Acquire));
        // Of a thread that is about to find it shut the top is lower for a moment.
        if (top as i64) > low as i64 {
            (low..top).map(|place| self.item(place)).for_each(each);
            self.low.store(top, Relaxed);
        }
    }

    /// How many are in it, as far as can be told from outside.
    pub fn count(&self) -> u64 {
        let held = self.top.load(Relaxed) as i64 - self.low.load(Relaxed) as i64;
        held.clamp(0, i64::from(MOST_ITEMS)) as u64
    }
}
