//! A tap: idle resources that one user at a time, a thread, a fiber or a goroutine, has at hand, so that it leases and
//! releases with a few instructions of its own code and no locked operation. It is a place like a pocket (see
//! [`crate::base::pockets`]): the code in ostler_inline.h does in its windows what is done here.

use super::slots::{OF_TAP, Slot, Slots};
use crate::base::Owner;
use crate::base::pockets::{Place, Puttable};
use std::mem::offset_of;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// The layout that inline code of this version knows. 0 sends every call into the library.
pub const LAYOUT: u32 = 3;
/// Idle resources that a tap has room for.
pub const ROOM: usize = 40;

/// What the host sees of a tap. All zeroes is a closed one.
#[repr(C, align(128))]
pub struct Tap {
    layout: AtomicU32,
    count: AtomicU32,
    /// The pool in whose window its user is.
    busy: AtomicU64,
    pool: AtomicU64,
    state: AtomicPtr<AtomicU32>,
    generation: AtomicPtr<AtomicU32>,
    tick_ns: AtomicPtr<AtomicU64>,
    slots: AtomicPtr<Slot>,
    /// What stands in its leases as their borrower.
    mark: AtomicU32,
    capacity: AtomicU32,
    /// What one use more adds to the word of a slot.
    one_use: AtomicU64,
    idle: [AtomicU32; ROOM],
    /// The thread that was last in the library with it.
    thread: AtomicU32,
}

/// What inline code needs to know of a pool.
pub struct Published {
    pub owner: Owner,
    pub state: *const AtomicU32,
    pub generation: *const AtomicU32,
    pub tick_ns: *const AtomicU64,
}

impl Tap {
    /// Where the fields lie that inline code uses, the layout first.
    pub const OFFSETS: [usize; 11] = [
        offset_of!(Self, count),
        offset_of!(Self, busy),
        offset_of!(Self, pool),
        offset_of!(Self, state),
        offset_of!(Self, generation),
        offset_of!(Self, tick_ns),
        offset_of!(Self, slots),
        offset_of!(Self, mark),
        offset_of!(Self, capacity),
        offset_of!(Self, one_use),
        offset_of!(Self, idle),
    ];

    /// Makes it a tap of that pool, empty, with this number among all taps. What it points to must outlive it.
    pub fn set_up(&self, number: u32, pool: &Published, slots: &Slots) {
        let (first, capacity, one_use) = slots.published();
        self.count.store(0, Relaxed);
        self.pool.store(pool.owner.0, Relaxed);
        self.state.store(pool.state.cast_mut(), Relaxed);
        self.generation.store(pool.generation.cast_mut(), Relaxed);
        self.tick_ns.store(pool.tick_ns.cast_mut(), Relaxed);
        self.slots.store(first.cast_mut(), Relaxed);
        self.mark.store(OF_TAP | number, Relaxed);
        self.capacity.store(capacity, Relaxed);
        self.one_use.store(one_use, Relaxed);
    }

    /// Whether the host's code may go on by itself, or calls the library each time.
    pub fn set_inline(&self, is_inline: bool) {
        self.layout.store(if is_inline { LAYOUT } else { 0 }, Release);
    }

    /// Leaves nothing behind that points into a pool. It is empty by now.
    pub fn clear(&self) {
        self.set_inline(false);
        self.pool.store(0, Relaxed);
        self.state.store(null_mut(), Relaxed);
        self.generation.store(null_mut(), Relaxed);
        self.tick_ns.store(null_mut(), Relaxed);
        self.slots.store(null_mut(), Relaxed);
    }

    pub fn mark(&self) -> u32 {
        self.mark.load(Relaxed)
    }

    pub fn thread(&self) -> u32 {
        self.thread.load(Relaxed)
    }

    pub fn set_thread(&self, thread: u32) {
        self.thread.store(thread, Relaxed);
    }
}

impl Place for Tap {
    fn busy(&self) -> &AtomicU64 {
        &self.busy
    }

    fn count(&self, _owner: Owner) -> u32 {
        self.count.load(Acquire).min(ROOM as u32)
    }

    fn take(&self, _owner: Owner) -> Option<u32> {
        // What a stray write of the host left there leads nowhere.
        let left = self.count.load(Acquire).checked_sub(1)?;
        let number = self.idle.get(left as usize)?.load(Relaxed);
        // Release, for who finds it gone: the window in which it went is seen then.
        self.count.store(left, Release);
        Some(number)
    }
}

impl Puttable for Tap {
    fn put(&self, _owner: Owner, number: u32) -> Option<u32> {
        let count = self.count.load(Relaxed);
        let Some(place) = self.idle.get(count as usize) else { return Some(number) };
        place.store(number, Relaxed);
        self.count.store(count + 1, Release);
        None
    }
}
