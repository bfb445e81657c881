//! The region of a thread that allocates without a cursor of its own.

use super::region::{Block, Region};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// One thread's region in an arena; the arena finds it among its [`Lanes`](super::super::lanes::Lanes).
#[derive(Default)]
pub struct Lane {
    /// The arena's epoch in which the region was filled. The arena empties every lane by going on to the next epoch.
    epoch: AtomicU64,
    region: Region,
}

impl Lane {
    /// Takes a block from the region, unless that is of an earlier epoch or used up.
    #[inline]
    pub fn bump(&self, block: Block, epoch: u64) -> Option<*mut u8> {
        if !self.is_of(epoch) {
            return None;
        }
        self.region.bump(block)
    }

    pub fn fill(&self, start: *mut u8, end: *mut u8, epoch: u64) {
        self.region.fill(start, end);
        self.epoch.store(epoch, Relaxed);
    }

    /// What is in it is of this epoch, too.
    pub fn stay(&self, epoch: u64) {
        self.epoch.store(epoch, Relaxed);
    }

    pub fn is_of(&self, epoch: u64) -> bool {
        self.epoch.load(Relaxed) == epoch
    }

    pub fn region(&self) -> &Region {
        &self.region
    }
}
