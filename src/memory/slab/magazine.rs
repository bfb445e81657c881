//! A magazine: one thread's stack of free slots, whose top inline code of the host takes and puts without a call, a
//! locked operation or a fence.
//!
//! Others get at it all the same. Whoever needs what is in it *shuts* it: it raises the floor above everything and lowers
//! the ceiling below, passes the heavy side of an asymmetric fence, and takes what lies between `low` and the top. A thread
//! that takes lowers the top first and looks at the floor afterwards, so either it sees the floor raised and puts the top
//! back, or its top is seen (the THE protocol of Cilk-5, Frigo, Leiserson and Randall 1998, with the fence on one side
//! only). One that puts looks at the ceiling first; what it puts at the last moment stays above `low`, for the next look.
//!
//! Beside each item stands where the state of that slot is, also above the top: a slot that goes back to the place that it
//! was got from is known again by a look at that place, without arithmetic and without a store that the next get waits for.

use super::depot::Claim;
use super::geometry::Geometry;
use crate::base::barrier;
use crate::base::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use std::sync::atomic::compiler_fence;

/// The layout that inline code of this version knows.
pub const LAYOUT: u32 = 2;
pub const MOST_ITEMS: u32 = 128;
/// Where the items of a magazine begin, and where their states.
pub const ITEMS_OFFSET: usize = std::mem::offset_of!(Magazine, items);
pub const ITEM_STATES_OFFSET: usize = std::mem::offset_of!(Magazine, item_states);

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
    /// What inline code of the next layout takes for floor and ceiling.
    next_floor: AtomicU64,
    next_ceiling: AtomicU64,
    /// The lowest place that was not taken by others.
    low: AtomicU64,
    /// The floor and the ceiling of the library's own calls, which may be there when inline code may not.
    own_floor: AtomicU64,
    own_ceiling: AtomicU64,
    /// Its thread is in a call that moves slots between here and the depot.
    pub busy: AtomicU32,
    capacity: AtomicU32,
    /// Up to where inline code puts: the capacity, or 0 when each put needs a call.
    inline_capacity: AtomicU32,
    /// Where its thread draws from.
    pub claim: Claim,
    /// How often it was refilled from the depot, and how often it gave up half. Its thread counts.
    pub refills: AtomicU64,
    pub flushes: AtomicU64,
    _private: [u64; 6],
    items: [AtomicPtr<u8>; MOST_ITEMS as usize],
    /// Where the state of each item is.
    item_states: [AtomicU64; MOST_ITEMS as usize],
}

/// How a magazine is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub geometry: Geometry,
    pub states: u64,
    pub capacity: u32,
    pub inline_capacity: u32,
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
            next_floor: AtomicU64::new(SHUT),
            next_ceiling: AtomicU64::new(0),
            low: AtomicU64::new(0),
            own_floor: AtomicU64::new(SHUT),
            own_ceiling: AtomicU64::new(0),
            busy: AtomicU32::new(0),
            capacity: AtomicU32::new(0),
            inline_capacity: AtomicU32::new(0),
            claim: Claim::default(),
            refills: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
            _private: [0; 6],
            items: [const { AtomicPtr::new(std::ptr::null_mut()) }; MOST_ITEMS as usize],
            item_states: [const { AtomicU64::new(0) }; MOST_ITEMS as usize],
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
        self.refills.store(0, Relaxed);
        self.flushes.store(0, Relaxed);
        self.next_floor.store(SHUT, Relaxed);
        self.next_ceiling.store(0, Relaxed);
        self.shut();
        for (item, state) in self.items.iter().zip(&self.item_states) {
            item.store(std::ptr::null_mut(), Relaxed);
            // Not that of a slot, and never out.
            state.store((&raw const self.next_ceiling) as u64, Relaxed);
        }
        self.layout.store(LAYOUT, Release);
    }

    /// Sends every call of inline code into the library from now on.
    pub fn close(&self) {
        self.layout.store(0, Relaxed);
        self.shut();
    }

    fn item(&self, place: u64) -> *mut u8 {
        self.items[place as usize % MOST_ITEMS as usize].load(Relaxed)
    }

    /// For its thread: the slot that was put last.
    #[inline]
    pub fn pop(&self) -> Option<*mut u8> {
        self.pop_above(&self.own_floor, barrier::light)
    }

    /// The same where [`barrier::is_asymmetric`] has said that the fence costs nothing.
    #[inline(always)]
    pub fn pop_without_fence(&self) -> Option<*mut u8> {
        self.pop_above(&self.own_floor, || compiler_fence(SeqCst))
    }

    #[inline(always)]
    fn pop_above(&self, floor: &AtomicU64, fence: impl FnOnce()) -> Option<*mut u8> {
        let top = self.top.load(Relaxed).wrapping_sub(1);
        self.top.store(top, Relaxed);
        fence();
        if (top as i64) < floor.load(Relaxed) as i64 {
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
        if (next as i64) < self.own_floor.load(Relaxed) as i64 {
            return false;
        }
        self.top.store(next, Relaxed);
        barrier::light();
        if (next as i64) < self.own_floor.load(Relaxed) as i64 {
            self.top.store(top, Relaxed);
            return false;
        }
        (next..top).map(|place| self.item(place)).for_each(each);
        true
    }

    /// For its thread: whether so many more can be added at once.
    #[inline]
    pub fn has_room(&self, count: u32) -> bool {
        self.has_room_below(&self.own_ceiling, count)
    }

    #[inline(always)]
    fn has_room_below(&self, ceiling: &AtomicU64, count: u32) -> bool {
        self.top.load(Relaxed).wrapping_add(u64::from(count)) as i64 <= ceiling.load(Relaxed) as i64
    }

    /// For its thread in a visit while magazines may be open: opens it, also to inline code or not, with what others left
    /// of it at the bottom.
    pub fn settle(&self, is_inline: bool) {
        let (low, top) = (self.low.load(Relaxed), self.top.load(Relaxed));
        if low > 0 || self.own_floor.load(Relaxed) == SHUT {
            self.move_down(low, top);
            self.low.store(0, Relaxed);
            self.own_floor.store(0, Relaxed);
            self.own_ceiling.store(u64::from(self.inline_capacity.load(Relaxed)), Relaxed);
        }
        let (floor, ceiling) = if is_inline { (0, self.own_ceiling.load(Relaxed)) } else { (SHUT, 0) };
        self.floor.store(floor, Relaxed);
        self.ceiling.store(ceiling, Relaxed);
    }

    /// For its thread: whether inline code is kept out, and the library's own calls are not.
    #[inline]
    pub fn is_for_calls_alone(&self) -> bool {
        self.floor.load(Relaxed) == SHUT && self.own_floor.load(Relaxed) != SHUT
    }

    /// What lies below the top and not below this place is all that stays, from the bottom on.
    fn move_down(&self, from: u64, top: u64) {
        for (to, from) in (from..top).enumerate() {
            self.items[to].store(self.item(from), Relaxed);
            self.item_states[to].store(self.item_states[from as usize % MOST_ITEMS as usize].load(Relaxed), Relaxed);
        }
        self.top.store(top.saturating_sub(from), Relaxed);
    }

    /// For its thread in a visit, when it is open: how many more fit.
    pub fn room(&self) -> u32 {
        self.capacity.load(Relaxed).saturating_sub(self.top.load(Relaxed) as u32)
    }

    /// For its thread, when there is room: puts the slot with this number on top.
    #[inline]
    pub fn add(&self, slot: *mut u8, number: u64) {
        self.add_all(std::iter::once((slot, number)));
    }

    /// The same for many, the last of which comes to lie on top.
    #[inline]
    pub fn add_all(&self, slots: impl Iterator<Item = (*mut u8, u64)>) {
        let (mut top, states) = (self.top.load(Relaxed), self.states.load(Relaxed));
        for (slot, number) in slots {
            let place = top as usize % MOST_ITEMS as usize;
            self.items[place].store(slot, Relaxed);
            self.item_states[place].store(states + number, Relaxed);
            top += 1;
        }
        self.top.store(top, Release);
    }

    /// For its thread in a visit, when it is open: takes so many of those that were put first.
    pub fn take_oldest(&self, count: u32, each: impl FnMut(*mut u8)) {
        let top = self.top.load(Relaxed);
        let count = u64::from(count).min(top);
        (0..count).map(|place| self.item(place)).for_each(each);
        self.move_down(count, top);
    }

    /// Keeps inline code out from the next heavy fence on.
    pub fn shut(&self) {
        for (floor, ceiling) in [(&self.floor, &self.ceiling), (&self.own_floor, &self.own_ceiling)] {
            floor.store(SHUT, SeqCst);
            ceiling.store(0, SeqCst);
        }
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

    /// As inline code does, by its own floor.
    #[cfg(test)]
    pub fn pop_inline(&self) -> Option<*mut u8> {
        self.pop_above(&self.floor, barrier::light)
    }

    /// As inline code does, by its own ceiling.
    #[cfg(test)]
    pub fn has_room_inline(&self) -> bool {
        self.has_room_below(&self.ceiling, 1)
    }

    /// Floor and ceiling, of inline code and of the library's own calls.
    #[cfg(test)]
    pub fn bounds(&self) -> [(i64, i64); 2] {
        [(&self.floor, &self.ceiling), (&self.own_floor, &self.own_ceiling)]
            .map(|(floor, ceiling)| (floor.load(Relaxed) as i64, ceiling.load(Relaxed) as i64))
    }

    /// How many are in it, as far as can be told from outside.
    pub fn count(&self) -> u64 {
        let held = self.top.load(Relaxed) as i64 - self.low.load(Relaxed) as i64;
        held.clamp(0, i64::from(MOST_ITEMS)) as u64
    }
}
