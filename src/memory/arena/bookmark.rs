//! The bookmark of an arena: the mark that it was at last, and where a thread's lane was then. As long as it lies there,
//! nothing was allocated since but from that lane, so the same moment is marked again, and gone back to, without the lock.
//!
//! Who marks, goes back and allocates is alone with the arena, by the contract of marks. Whoever else changes something takes
//! the lock, and takes the bookmark out.

use super::lane::Lane;
use super::region::Region;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

/// What was left of a thread's lane at a moment. The lane lives as long as the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    lane: *const Lane,
    next: *mut u8,
    end: *mut u8,
}

// SAFETY: a lane's fields are atomic, and the bytes are the arena's.
unsafe impl Send for Rest {}

impl Rest {
    pub fn of(lane: &Lane) -> Self {
        let region = lane.region();
        Self { lane, next: region.next(), end: region.end() }
    }

    pub fn region(&self) -> *const Region {
        self.lane().region()
    }

    /// The lane goes on there, in this epoch.
    pub fn resume(&self, epoch: u64) {
        self.lane().fill(self.next, self.end, epoch);
    }

    fn lane(&self) -> &Lane {
        // SAFETY: lanes live as long as the arena, which keeps this.
        unsafe { &*self.lane }
    }
}

#[derive(Debug, Default)]
pub struct Bookmark {
    /// 0: there is none.
    serial: AtomicU64,
    /// Null: at the mark no lane had anything.
    region: AtomicPtr<Region>,
    next: AtomicPtr<u8>,
    /// How often it was gone back to.
    rewinds: AtomicU64,
}

impl Bookmark {
    /// For who holds the lock.
    pub fn put(&self, serial: u64, rest: Option<Rest>) {
        self.region.store(rest.map_or(std::ptr::null_mut(), |rest| rest.region().cast_mut()), Relaxed);
        self.next.store(rest.map_or(std::ptr::null_mut(), |rest| rest.next), Relaxed);
        self.serial.store(serial, Relaxed);
    }

    /// For who holds the lock.
    #[inline]
    pub fn take_out(&self) {
        self.serial.store(0, Relaxed);
    }

    /// The mark, if nothing was allocated since.
    #[inline]
    pub fn here(&self) -> Option<u64> {
        let serial = self.serial.load(Relaxed);
        let is_here = self.region().is_none_or(|region| region.next() == self.next.load(Relaxed));
        (serial != 0 && is_here).then_some(serial)
    }

    /// Goes back to that mark, if it is the one that the bookmark is at.
    #[inline]
    pub fn go_back(&self, serial: u64) -> bool {
        let is_it = serial != 0 && self.serial.load(Relaxed) == serial;
        if is_it {
            if let Some(region) = self.region() {
                region.go_back(self.next.load(Relaxed));
            }
            self.rewinds.store(self.rewinds.load(Relaxed) + 1, Relaxed);
        }
        is_it
    }

    pub fn rewinds(&self) -> u64 {
        self.rewinds.load(Relaxed)
    }

    pub fn take_rewinds(&self) -> u64 {
        self.rewinds.swap(0, Relaxed)
    }

    #[inline]
    fn region(&self) -> Option<&Region> {
        // SAFETY: that of a lane, which lives as long as the arena.
        unsafe { self.region.load(Relaxed).as_ref() }
    }
}
