//! Where entries are found without a lock: a table of fixed size with linear probing. Readers may look at any time;
//! writers exclude one another.
//!
//! A place that was vacated stays a tombstone only as long as an entry behind it needs it to be found. So no search ends
//! before what it looks for, and the table does not fill with tombstones.

use crate::base::alloc::{self, OutOfMemory};
use crate::base::sync::{AtomicPtr, AtomicU64, Ordering::*};

// The word of a place: one of these, or the hash of its entry with a bit that makes it neither.
const EMPTY: u64 = 0;
const TOMBSTONE: u64 = 1;
const ENTRY: u64 = 2;
/// A search begins where the upper bits of the hash say: more of them than any table has places.
const HOME_SHIFT: u32 = 40;

struct Place<E> {
    word: AtomicU64,
    entry: AtomicPtr<E>,
}

pub struct Table<E> {
    places: Vec<Place<E>>,
}

impl<E> Table<E> {
    /// For at most so many entries; half of the places stay empty, so that a search is short.
    pub fn new(most: usize) -> Result<Self, OutOfMemory> {
        let count = (most * 2).next_power_of_two();
        let mut places = alloc::try_vec(count)?;
        places.extend(
            (0..count).map(|_| Place { word: AtomicU64::new(EMPTY), entry: AtomicPtr::new(std::ptr::null_mut()) }),
        );
        Ok(Self { places })
    }

    #[inline]
    fn at(&self, number: usize) -> &Place<E> {
        &self.places[number & (self.places.len() - 1)]
    }

    /// The places in the order in which an entry of this hash is searched.
    #[inline]
    fn search(&self, hash: u64) -> impl Iterator<Item = &Place<E>> {
        let home = (hash >> HOME_SHIFT) as usize;
        (home..home + self.places.len()).map(|number| self.at(number))
    }

    /// Where entries of this hash may be. What stands there may be of another hash by now.
    #[inline]
    pub fn candidates(&self, hash: u64) -> impl Iterator<Item = &AtomicPtr<E>> {
        self.search(hash)
            .map(|place| (place, place.word.load(Acquire)))
            .take_while(|(_, word)| *word != EMPTY)
            .filter(move |(_, word)| *word == hash | ENTRY)
            .map(|(place, _)| &place.entry)
    }

    /// For a writer. There is room: the owner counts.
    pub fn insert(&self, hash: u64, entry: *mut E) {
        let free = self.search(hash).find(|place| matches!(place.word.load(Relaxed), EMPTY | TOMBSTONE));
        if let Some(place) = free {
            place.entry.store(entry, Release);
            place.word.store(hash | ENTRY, Release);
        }
    }

    /// For a writer. Readers who found it before may still be using it.
    pub fn remove(&self, hash: u64, entry: *mut E) {
        let Some(steps) = self.search(hash).position(|place| std::ptr::eq(place.entry.load(Relaxed), entry)) else {
            return;
        };
        let home = (hash >> HOME_SHIFT) as usize;
        let place = self.at(home + steps);
        place.word.store(TOMBSTONE, SeqCst);
        place.entry.store(std::ptr::null_mut(), SeqCst);
        // Only these were needed to find it; a later one is needed no more when an earlier one is looked at.
        for number in (home..=home + steps).rev() {
            if self.at(number).word.load(Relaxed) == TOMBSTONE && !self.is_needed(number) {
                self.at(number).word.store(EMPTY, Release);
            }
        }
    }

    #[cfg(test)]
    pub fn count_tombstones(&self) -> usize {
        self.places.iter().filter(|place| place.word.load(Relaxed) == TOMBSTONE).count()
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.places.iter().all(|place| place.word.load(Relaxed) == EMPTY)
    }

    /// Whether the search for an entry passes this place.
    fn is_needed(&self, number: usize) -> bool {
        let mask = self.places.len() - 1;
        for distance in 1..=mask {
            match self.at(number + distance).word.load(Relaxed) {
                EMPTY => return false,
                TOMBSTONE => {}
                hash => {
                    let home = (hash >> HOME_SHIFT) as usize;
                    if (number + distance).wrapping_sub(home) & mask >= distance {
                        return true;
                    }
                }
            }
        }
        false
    }
}
