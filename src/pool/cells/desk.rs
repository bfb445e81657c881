//! A desk: free cells that one user at a time, a thread, a fiber or a goroutine, has at hand, so that it gets, ends and takes
//! with a few instructions of its own code and, as long as it is alone, no locked operation. It is a place like a pocket (see
//! [`crate::base::pockets`]): the code in ostler_inline.h does in its windows what is done here.

use crate::base::Owner;
use crate::base::pockets::Place;
use crate::base::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use std::mem::offset_of;
use std::ptr::null_mut;

/// The layout that inline code of this version knows. 0 sends every call into the library.
pub const LAYOUT: u32 = 1;
/// Free cells that a desk has room for.
pub const ROOM: usize = 32;

/// What the host sees of a desk. All zeroes is a closed one.
#[repr(C, align(128))]
#[derive(Default)]
pub struct Desk {
    layout: AtomicU32,
    count: AtomicU32,
    /// The set in whose window its user is.
    busy: AtomicU64,
    deferred: AtomicU64,
    state: AtomicPtr<AtomicU32>,
    who: AtomicPtr<AtomicU64>,
    cells: AtomicPtr<()>,
    salt: AtomicU32,
    capacity: AtomicU32,
    released: AtomicPtr<AtomicU64>,
    /// With no more free cells than this the library is asked, which looks how many are out.
    floor: AtomicU32,
    /// How many free cells it keeps at most.
    room: AtomicU32,
    /// The keys that they will have.
    free: [AtomicU64; ROOM],
    /// What the library notes beside the floor.
    note: AtomicU32,
}

/// What inline code needs to know of a set of cells.
pub struct Published {
    pub owner: Owner,
    /// Of the pockets.
    pub state: *const AtomicU32,
    /// Of the users.
    pub who: *const AtomicU64,
    pub cells: *const (),
    pub salt: u32,
    pub capacity: u32,
    /// How many were released before anything came.
    pub released: *const AtomicU64,
    pub room: u32,
}

impl Desk {
    /// Where the fields lie that inline code uses, the layout first.
    pub const OFFSETS: [usize; 12] = [
        offset_of!(Self, count),
        offset_of!(Self, busy),
        offset_of!(Self, deferred),
        offset_of!(Self, state),
        offset_of!(Self, who),
        offset_of!(Self, cells),
        offset_of!(Self, salt),
        offset_of!(Self, capacity),
        offset_of!(Self, released),
        offset_of!(Self, floor),
        offset_of!(Self, room),
        offset_of!(Self, free),
    ];

    /// Makes it a desk of that set, empty. What it points to must outlive it.
    pub fn set_up(&self, set: &Published) {
        self.count.store(0, Relaxed);
        self.deferred.store(set.owner.0, Relaxed);
        self.state.store(set.state.cast_mut(), Relaxed);
        self.who.store(set.who.cast_mut(), Relaxed);
        self.cells.store(set.cells.cast_mut(), Relaxed);
        self.salt.store(set.salt, Relaxed);
        self.capacity.store(set.capacity, Relaxed);
        self.released.store(set.released.cast_mut(), Relaxed);
        self.floor.store(0, Relaxed);
        self.note.store(0, Relaxed);
        self.room.store(set.room.min(ROOM as u32), Relaxed);
    }

    /// Whether the host's code may go on by itself, or calls the library each time.
    pub fn set_inline(&self, is_inline: bool) {
        self.layout.store(if is_inline { LAYOUT } else { 0 }, Release);
    }

    /// Leaves nothing behind that points into a set. It is empty by now.
    pub fn clear(&self) {
        self.set_inline(false);
        self.deferred.store(0, Relaxed);
        self.state.store(null_mut(), Relaxed);
        self.who.store(null_mut(), Relaxed);
        self.cells.store(null_mut(), Relaxed);
        self.released.store(null_mut(), Relaxed);
    }

    /// Whether it is a desk of that set: who visits one may meet the next use of it.
    fn is_of(&self, owner: Owner) -> bool {
        self.deferred.load(Relaxed) == owner.0
    }

    pub(super) fn floor(&self) -> &AtomicU32 {
        &self.floor
    }

    pub(super) fn note(&self) -> &AtomicU32 {
        &self.note
    }

    pub(super) fn room(&self) -> u32 {
        self.room.load(Relaxed).min(ROOM as u32)
    }

    /// Takes the uppermost, and tells how many are left.
    pub(super) fn pop(&self) -> Option<(u32, u32)> {
        // What a stray write of the host left there leads nowhere.
        let left = self.count.load(Acquire).checked_sub(1)?;
        let key = self.free.get(left as usize)?.load(Relaxed);
        self.count.store(left, Relaxed);
        Some((key as u32 ^ self.salt.load(Relaxed), left))
    }

    /// Puts a cell on top under the key that it will have, when there is room.
    pub(super) fn push(&self, key: u64) -> bool {
        let count = self.count.load(Relaxed);
        let place = self.free.get(count as usize).filter(|_| count < self.room());
        if let Some(place) = place {
            place.store(key, Relaxed);
            self.count.store(count + 1, Release);
        }
        place.is_some()
    }
}

impl Place for Desk {
    fn busy(&self) -> &AtomicU64 {
        &self.busy
    }

    fn count(&self, owner: Owner) -> u32 {
        // Whoever sees how many there are sees whose they are.
        let count = self.count.load(Acquire).min(ROOM as u32);
        if self.is_of(owner) { count } else { 0 }
    }

    fn take(&self, owner: Owner) -> Option<u32> {
        if self.is_of(owner) { self.pop().map(|(number, _)| number) } else { None }
    }
}
