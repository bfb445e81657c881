//! What each thread keeps of one object: a lane for each thread, found by the thread's record. A record belongs to one
//! thread at a time and is never freed, so a lane needs no lock and no destructor at the end of a thread; the next thread
//! with that record goes on with the lane.

use crate::base::alloc;
use crate::base::thread::ThreadRecord;
use std::sync::atomic::{AtomicPtr, Ordering::*};

/// A lane and whose it is, away from the lines of the others.
#[repr(align(64))]
struct Place<T> {
    holder: AtomicPtr<ThreadRecord>,
    lane: T,
}

const FIRST_BLOCK: usize = 16;
const BLOCKS: usize = 10;
/// Lanes of a block that are tried for a thread before the next, larger block.
const WINDOW: usize = 8;

/// An object's lanes, in blocks of 16, 32, 64, ... lanes. A lane once taken stays with its record.
pub struct Lanes<T> {
    blocks: [AtomicPtr<Place<T>>; BLOCKS],
}

// SAFETY: it owns the lanes, as a vector of them would, and lets every thread see each.
unsafe impl<T: Send + Sync> Send for Lanes<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Lanes<T> {}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { blocks: [const { AtomicPtr::new(std::ptr::null_mut()) }; BLOCKS] }
    }
}

impl<T: Default> Lanes<T> {
    /// The lane of the calling thread, which holds this record. `None` when there is no memory for one, or thousands of
    /// threads have theirs.
    #[inline]
    pub fn of(&self, record: &'static ThreadRecord) -> Option<&T> {
        let wanted = (&raw const *record).cast_mut();
        let hash = hash(wanted);
        self.at_first_place(wanted, hash).or_else(|| self.find_or_take(record, hash))
    }

    /// The lane that the thread has already. Takes none, and so needs no memory.
    #[inline(always)]
    pub fn taken_by(&self, record: &'static ThreadRecord) -> Option<&T> {
        let wanted = (&raw const *record).cast_mut();
        let hash = hash(wanted);
        self.at_first_place(wanted, hash).or_else(|| self.find(wanted, hash))
    }

    #[inline(always)]
    fn at_first_place(&self, wanted: *mut ThreadRecord, hash: usize) -> Option<&T> {
        let first = self.blocks[0].load(Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: the first block has FIRST_BLOCK lanes and lives as long as `self`.
        let place = unsafe { &*first.add(hash % FIRST_BLOCK) };
        (place.holder.load(Relaxed) == wanted).then_some(&place.lane)
    }

    #[cold]
    fn find(&self, wanted: *mut ThreadRecord, hash: usize) -> Option<&T> {
        for (index, block) in self.blocks.iter().enumerate() {
            let places = block.load(Acquire);
            if places.is_null() {
                return None;
            }
            for offset in 0..WINDOW {
                // SAFETY: block `index` has this many lanes and lives as long as `self`.
                let place = unsafe { &*places.add((hash + offset) % (FIRST_BLOCK << index)) };
                if place.holder.load(Relaxed) == wanted {
                    return Some(&place.lane);
                }
            }
        }
        None
    }

    #[cold]
    fn find_or_take(&self, record: &'static ThreadRecord, hash: usize) -> Option<&T> {
        let wanted = (&raw const *record).cast_mut();
        for index in 0..BLOCKS {
            let places = self.block(index)?;
            for offset in 0..WINDOW {
                let place = &places[(hash + offset) % places.len()];
                let holder = place.holder.load(Relaxed);
                if holder == wanted {
                    return Some(&place.lane);
                }
                if holder.is_null() && place.holder.compare_exchange(holder, wanted, Relaxed, Relaxed).is_ok() {
                    record.has_a_new_lane();
                    return Some(&place.lane);
                }
            }
        }
        None
    }

    fn block(&self, index: usize) -> Option<&[Place<T>]> {
        let block = &self.blocks[index];
        let mut places = block.load(Acquire);
        if places.is_null() {
            let fresh = Box::into_raw(new_block::<T>(index)?).cast::<Place<T>>();
            match block.compare_exchange(places, fresh, AcqRel, Acquire) {
                Ok(_) => places = fresh,
                Err(winner) => {
                    // SAFETY: it was just made, and nobody else knows it.
                    drop(unsafe { owned_block(fresh, index) });
                    places = winner;
                }
            }
        }
        // SAFETY: block `index` has this many lanes and lives as long as `self`.
        Some(unsafe { std::slice::from_raw_parts(places, FIRST_BLOCK << index) })
    }
}

impl<T> Lanes<T> {
    /// Every lane there is, whether a thread has taken it or not.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().enumerate().flat_map(|(index, block)| {
            let places = block.load(Acquire);
            let count = if places.is_null() { 0 } else { FIRST_BLOCK << index };
            // SAFETY: as in `block`; of a null block none is reached.
            (0..count).map(move |place| unsafe { &(*places.add(place)).lane })
        })
    }
}

fn new_block<T: Default>(index: usize) -> Option<Box<[Place<T>]>> {
    let mut places = alloc::try_vec(FIRST_BLOCK << index).ok()?;
    places.extend(
        (0..FIRST_BLOCK << index).map(|_| Place { holder: AtomicPtr::new(std::ptr::null_mut()), lane: T::default() }),
    );
    Some(places.into_boxed_slice())
}

/// # Safety
/// `places` came from [`new_block`] with this index, and nobody uses it any more.
unsafe fn owned_block<T>(places: *mut Place<T>, index: usize) -> Box<[Place<T>]> {
    // SAFETY: the caller's promise.
    unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(places, FIRST_BLOCK << index)) }
}

/// Spreads the addresses of records, which are multiples of 64 and often of more.
#[inline]
fn hash(record: *const ThreadRecord) -> usize {
    ((record as u64 >> 6).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

impl<T> Drop for Lanes<T> {
    fn drop(&mut self) {
        for (index, block) in self.blocks.iter().enumerate() {
            let places = block.load(Relaxed);
            if !places.is_null() {
                // SAFETY: `block` put it there, and `self` is going.
                drop(unsafe { owned_block(places, index) });
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
        let lanes = Lanes::<AtomicPtr<u8>>::default();
        let (all_have, done) = (Barrier::new(THREADS), Barrier::new(THREADS));
        let taken: HashSet<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let record = ThreadRecord::current().unwrap();
                        assert!(lanes.taken_by(record).is_none());
                        let lane = &raw const *lanes.of(record).unwrap();
                        all_have.wait();
                        assert_eq!(&raw const *lanes.of(record).unwrap(), lane);
                        assert_eq!(&raw const *lanes.taken_by(record).unwrap(), lane);
                        done.wait();
                        lane as usize
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(taken.len(), THREADS);
        let all: HashSet<usize> = lanes.all().map(|lane| &raw const *lane as usize).collect();
        assert!(taken.is_subset(&all));
    }
}
