//! The shelf of templates: readers without a lock, beside one who takes entries away and puts others.

#[path = "../../src/pool/templates/shelf.rs"]
mod shelf;
#[path = "../../src/pool/templates/table.rs"]
mod table;
#[path = "../../src/pool/templates/usage.rs"]
mod usage;

use crate::base::sync::Mutex;
use crate::base::thread::ThreadRecord;
use crate::explore;
use shelf::{Chain, Entry, Kept, Shelf};
use shuttle::sync::atomic::{AtomicU32, Ordering::*};
use shuttle::thread;
use std::sync::Arc;
use usage::Eviction;

/// What an entry holds: its number, and how many of it are alive. A reader that sees a dead one has been betrayed.
struct Page {
    number: u32,
    alive: Arc<[AtomicU32; PAGES]>,
}

const PAGES: usize = 4;

impl Drop for Page {
    fn drop(&mut self) {
        assert_eq!(self.alive[self.number as usize].fetch_sub(1, SeqCst), 1, "destroyed twice");
    }
}

struct Library {
    shelf: Shelf<Page>,
    kept: Mutex<Kept<Page>>,
    alive: Arc<[AtomicU32; PAGES]>,
}

impl Library {
    fn new(most: usize) -> Arc<Self> {
        let alive = Arc::new(std::array::from_fn(|_| AtomicU32::new(0)));
        let (shelf, kept) = (Shelf::new(most, Eviction::LeastRecentlyUsed).unwrap(), Kept::new(most).unwrap());
        Arc::new(Self { shelf, kept: Mutex::new(kept), alive })
    }

    /// All keys have the same hash, so that every search meets the others.
    fn put(&self, key: &[u8], number: u32) {
        self.alive[number as usize].store(1, SeqCst);
        let page = Page { number, alive: self.alive.clone() };
        self.shelf.put(&mut self.kept.lock(), Arc::new(Entry::new(4, key.to_vec(), page)));
    }

    fn take(&self, key: &[u8]) {
        let mut taken = Chain::default();
        if let Some(entry) = self.shelf.take(&mut self.kept.lock(), 4, key) {
            taken.push(entry);
        }
        self.shelf.retire(taken);
    }

    /// The number of the entry, which must live as long as it is read.
    fn read(&self, key: &[u8]) -> Option<u32> {
        let read = self.shelf.read(ThreadRecord::current(), 4, key, |page| {
            self.look(page);
            thread::yield_now();
            self.look(page);
            page.number
        });
        read.ok()
    }

    fn look(&self, page: &Page) {
        assert_eq!(self.alive[page.number as usize].load(SeqCst), 1, "gone under its reader");
    }

    fn assert_gone(&self, number: usize) {
        assert_eq!(self.alive[number].load(SeqCst), 0, "never destroyed");
    }
}

#[test]
fn entry_goes_after_its_last_reader_and_not_later() {
    explore(|| {
        let library = Library::new(2);
        library.put(b"a", 0);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let library = library.clone();
                thread::spawn(move || library.read(b"a"))
            })
            .collect();
        library.take(b"a");
        assert_eq!(library.read(b"a"), None);
        readers.into_iter().for_each(|reader| assert!(matches!(reader.join().unwrap(), None | Some(0))));
        library.assert_gone(0);
    });
}

#[test]
fn share_outlives_the_read() {
    explore(|| {
        let library = Library::new(2);
        library.put(b"a", 0);
        let other = library.clone();
        let reader = thread::spawn(move || {
            let shared = other.shelf.read(ThreadRecord::current(), 4, b"a", |found| found.share()).ok();
            shared.map(|entry| {
                thread::yield_now();
                other.look(&entry);
            })
        });
        library.take(b"a");
        reader.join().unwrap();
        library.assert_gone(0);
    });
}

#[test]
fn reader_without_a_hazard_is_waited_for_as_well() {
    explore(|| {
        let library = Library::new(2);
        library.put(b"a", 0);
        let other = library.clone();
        let reader = thread::spawn(move || {
            let read = other.shelf.read(None, 4, b"a", |page| {
                thread::yield_now();
                other.look(page);
            });
            read.is_ok()
        });
        library.take(b"a");
        reader.join().unwrap();
        library.assert_gone(0);
    });
}

#[test]
fn entry_that_stays_is_found_while_others_come_and_go() {
    explore(|| {
        let library = Library::new(3);
        library.put(b"a", 0);
        library.put(b"b", 1);
        library.put(b"c", 2);
        let other = library.clone();
        let reader = thread::spawn(move || {
            for _ in 0..3 {
                assert_eq!(other.read(b"c"), Some(2), "not found without a lock");
            }
        });
        library.take(b"a");
        library.put(b"d", 3);
        library.take(b"b");
        library.take(b"d");
        reader.join().unwrap();
        [0, 1, 3].iter().for_each(|number| library.assert_gone(*number));
    });
}

#[test]
fn nobody_gets_the_old_one_after_it_was_taken() {
    explore(|| {
        let library = Library::new(2);
        library.put(b"a", 0);
        let other = library.clone();
        let reader = thread::spawn(move || {
            let first = other.read(b"a");
            let second = other.read(b"a");
            // Of a new one nobody comes back to the old one.
            assert!(!(first == Some(1) && second == Some(0)));
            assert!(first.is_some() || second != Some(0));
        });
        library.take(b"a");
        library.put(b"a", 1);
        assert_eq!(library.read(b"a"), Some(1));
        reader.join().unwrap();
        library.assert_gone(0);
    });
}

#[test]
fn reader_that_takes_its_own_entry_away_goes_on_with_it() {
    explore(|| {
        let library = Library::new(2);
        library.put(b"a", 0);
        let other = library.clone();
        let reader = thread::spawn(move || {
            let read = other.shelf.read(ThreadRecord::current(), 4, b"a", |page| {
                other.take(b"a");
                other.look(page);
            });
            read.is_ok()
        });
        library.take(b"a");
        reader.join().unwrap();
        library.assert_gone(0);
    });
}
