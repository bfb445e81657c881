//! The regions of threads that allocate without a cursor of their own: one lane of an arena for each thread, found by
//! the thread's record. A record belongs to one thread at a time and is never freed, so a lane needs no lock and no
//! destructor at the end of a thread; the next thread with that record goes on with the lane.

use super::region::{Block, Region};
use crate::base::alloc;
use crate::base::thread::ThreadRecord;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::*};

#[repr(align(64))]
pub struct Lane {
    holder: AtomicPtr<ThreadRecord>,
    /// The arena's epoch in which the region was filled. The arena empties every lane by going on to the next epoch.
    epoch: AtomicU64,
    region: Region,
}

impl Lane {
    /// Takes a block from the region, unless that is of an earlier epoch or used up.
    #[inline]
    pub fn bump(&self, block: Block, epoch: u64) -> Option<*mut u8> {
        if self.epoch.load(Relaxed) != epoch {
            return None;
        }
        self.region.bump(block)
    }

    pub fn fill(&self, start: *mut u8, end: *mut u8, epoch: u64) {
        self.region.fill(start, end);
        self.epoch.store(epoch, Relaxed);
    }

    pub fn region(&self) -> &Region {
        &self.region
    }
}

const FIRST_BLOCK: usize = 16;
const BLOCKS: usize = 10;
/// Lanes of a block that are tried for a thread before the next, larger block.
const WINDOW: usize = 8;

/// An arena's lanes, in blocks of 16, 32, 64, ... lanes. A lane once taken stays with its record.
#[derive(Default)]
pub struct Lanes {
    blocks: [AtomicPtr<Lane>; BLOCKS],
}

impl Lanes {
    /// The lane of the thread that holds this record. `None` when there is no memory for one, or thousands of
    /// threads have theirs.
    #[inline]
    pub fn of(&self, record: &'static ThreadRecord) -> Option<&Lane> {
        let wanted = (&raw const *record).cast_mut();
        let hash = hash(wanted);
        let first = self.blocks[0].load(Acquire);
        if !first.is_null() {
            // SAFETY: the first block has FIRST_BLOCK lanes and lives as long as `self`.
            let lane = unsafe { &*first.add(hash % FIRST_BLOCK) };
            if lane.holder.load(Relaxed) == wanted {
                return Some(lane);
            }
        }
        self.find_or_take(wanted, hash)
    }

    #[cold]
    fn find_or_take(&self, wanted: *mut ThreadRecord, hash: usize) -> Option<&Lane> {
        for index in 0..BLOCKS {
            let lanes = self.block(index)?;
            for offset in 0..WINDOW {
                let lane = &lanes[(hash + offset) % lanes.len()];
                let holder = lane.holder.load(Relaxed);
                let ours = holder == wanted
                    || (holder.is_null() && lane.holder.compare_exchange(holder, wanted, Relaxed, Relaxed).is_ok());
                if ours {
                    return Some(lane);
                }
            }
        }
        None
    }

    fn block(&self, index: usize) -> Option<&[Lane]> {
        let place = &self.blocks[index];
        let mut lanes = place.load(Acquire);
        if lanes.is_null() {
            let fresh = Box::into_raw(new_block(index)?).cast::<Lane>();
            match place.compare_exchange(lanes, fresh, AcqRel, Acquire) {
                Ok(_) => lanes = fresh,
                Err(winner) => {
                    // SAFETY: it was just made, and nobody else knows it.
                    drop(unsafe { owned_block(fresh, index) });
                    lanes = winner;
                }
            }
        }
        // SAFETY: block `index` has this many lanes and lives as long as `self`.
        Some(unsafe { std::slice::from_raw_parts(lanes, FIRST_BLOCK << index) })
    }
}

fn new_block(index: usize) -> Option<Box<[Lane]>> {
    let mut lanes = alloc::try_vec(FIRST_BLOCK << index).ok()?;
    lanes.extend((0..FIRST_BLOCK << index).map(|_| Lane {
        holder: AtomicPtr::new(std::ptr::null_mut()),
        epoch: AtomicU64::new(0),
        region: Region::default(),
    }));
    Some(lanes.into_boxed_slice())
}

/// # Safety
/// `lanes` came from [`new_block`] with this index, and nobody uses it any more.
unsafe fn owned_block(lanes: *mut Lane, index: usize) -> Box<[Lane]> {
    // SAFETY: the caller's promise.
    unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(lanes, FIRST_BLOCK << index)) }
}

/// Spreads the addresses of records, which are multiples of 64 and often of more.
#[inline]
fn hash(record: *const ThreadRecord) -> usize {
    ((record as u64 >> 6).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

impl Drop for Lanes {
    fn drop(&mut self) {
        for (index, block) in self.blocks.iter().enumerate() {
            let lanes = block.load(Relaxed);
            if !lanes.is_null() {
                // SAFETY: `block` put it there, and `self` is going.
                drop(unsafe { owned_block(lanes, index) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Barrier;

    #[test]
    fn each_thread_alive_has_a_lane_of_its_own_and_keeps_it() {
        const THREADS: usize = 60;
        let lanes = Lanes::default();
        let (all_have, done) = (Barrier::new(THREADS), Barrier::new(THREADS));
        let taken: HashSet<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let record = ThreadRecord::current().unwrap();
                        let lane = &raw const *lanes.of(record).unwrap();
                        all_have.wait();
                        assert_eq!(&raw const *lanes.of(record).unwrap(), lane);
                        done.wait();
                        lane as usize
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(taken.len(), THREADS);
    }
}
