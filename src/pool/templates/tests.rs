use super::table::Table;
use super::usage::{Eviction, Usage};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// The search for it begins at this place of a small table.
fn hash(home: u64, rest: u64) -> u64 {
    home << 40 | rest << 4
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
    assert_eq!(table.count_tombstones(), 2);
    assert!(finds(&table, hashes[1], entries[1]) && finds(&table, hashes[3], entries[3]));
    assert!(!finds(&table, hashes[0], entries[0]));
    table.remove(hashes[3], entries[3]);
    assert_eq!(table.count_tombstones(), 1);
    table.remove(hashes[1], entries[1]);
    assert!(table.is_empty());
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
    assert!(table.is_empty());
}

#[test]
fn recent_use_is_more_than_being_put_and_is_written_once() {
    let usage = Usage::new(Eviction::LeastRecentlyUsed);
    let [first, second] = [AtomicU64::new(usage.begin()), AtomicU64::new(usage.begin())];
    assert!(first.load(Relaxed) < second.load(Relaxed));
    usage.note(&first);
    let noted = first.load(Relaxed);
    assert!(noted > second.load(Relaxed));
    usage.note(&first);
    assert_eq!(first.load(Relaxed), noted);
    assert!(usage.begin() > noted);
}

#[test]
fn frequent_use_is_counted_ever_more_rarely() {
    let usage = Usage::new(Eviction::LeastFrequentlyUsed);
    let mark = AtomicU64::new(usage.begin());
    (0..40).for_each(|_| usage.note(&mark));
    assert_eq!(mark.load(Relaxed), 41);
    (0..100_000).for_each(|_| usage.note(&mark));
    let counted = mark.load(Relaxed);
    assert!((65..224).contains(&counted), "{counted}");
    usage.age([&mark].into_iter());
    assert_eq!(mark.load(Relaxed), counted / 2);
}
