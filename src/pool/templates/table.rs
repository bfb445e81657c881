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

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(home: u64, rest: u64) -> u64 {
        home << HOME_SHIFT | rest << 4
    }

    fn words<E>(table: &Table<E>) -> Vec<u64> {
        table.places.iter().map(|place| place.word.load(Relaxed)).collect()
    }

    fn finds<E>(table: &Table<E>, hash: u64, entry: *mut E) -> bool {
        table.candidates(hash).any(|place| std::ptr::eq(place.load(Relaxed), entry))
    }

    #[test]
    fn tombstones_stay_only_while_they_are_needed() {
        let table = Table::<u64>::new(4).unwrap();
        let mut values = [0; 4];
        let entries: Vec<*mut u64> = values.iter_mut().map(|value| &raw mut *value).collect();
        // All begin at the last place, and go on at the first.
        let hashes: Vec<u64> = (0..4).map(|rest| hash(7, rest)).collect();
        (0..4).for_each(|i| table.insert(hashes[i], entries[i]));
        table.remove(hashes[0], entries[0]);
        table.remove(hashes[2], entries[2]);
        assert_eq!(words(&table).iter().filter(|word| **word == TOMBSTONE).count(), 2);
        assert!(finds(&table, hashes[1], entries[1]) && finds(&table, hashes[3], entries[3]));
        assert!(!finds(&table, hashes[0], entries[0]));
        table.remove(hashes[3], entries[3]);
        assert_eq!(words(&table).iter().filter(|word| **word == TOMBSTONE).count(), 1);
        table.remove(hashes[1], entries[1]);
        assert_eq!(words(&table), [EMPTY; 8]);
    }

    #[test]
    fn whatever_comes_and_goes_is_found_as_long_as_it_is_there() {
        let table = Table::<u64>::new(32).unwrap();
        let mut values: Vec<u64> = vec![0; 32];
        let entries: Vec<*mut u64> = values.iter_mut().map(|value| &raw mut *value).collect();
        let mut present: Vec<Option<u64>> = vec![None; 32];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let i = random.usize(..32);
            match present[i].take() {
                Some(hash) => table.remove(hash, entries[i]),
                None => {
                    // Few homes, so that searches are long.
                    let hash = hash(random.u64(56..70), random.u64(..3));
                    table.insert(hash, entries[i]);
                    present[i] = Some(hash);
                }
            }
            for (entry, hash) in entries.iter().zip(&present) {
                assert!(hash.is_none_or(|hash| finds(&table, hash, *entry)));
            }
        }
        for (entry, hash) in entries.iter().zip(&present) {
            hash.iter().for_each(|hash| table.remove(*hash, *entry));
        }
        assert_eq!(words(&table), [EMPTY; 64]);
    }
}
