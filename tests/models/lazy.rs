//! The readers of a lazy: nobody sees a value that was dropped, whoever takes it away meanwhile, and every value that was
//! taken away ends once, at the latest when the last pin does.

#[path = "../../src/memory/lazy/desk.rs"]
mod desk;
#[path = "../../src/memory/lazy/reader.rs"]
mod reader;

mod source {
    pub struct Loaded {
        pub value: *mut (),
        pub bytes: u64,
    }
}

use crate::base::sync::{AtomicPtr, AtomicU32, Mutex, Ordering::*};
use crate::explore;
use desk::{Desk, Held};
use reader::{Reader, Unpinned};
use shuttle::thread;
use source::Loaded;
use std::sync::Arc;

const READERS: usize = 2;
const VALUES: usize = 4;

struct State {
    desk: Desk,
    held: Option<Box<Held>>,
    loads: usize,
}

struct Shelf {
    published: AtomicPtr<()>,
    state: Mutex<State>,
    alive: Vec<AtomicU32>,
    readers: Vec<&'static Reader>,
}

// SAFETY: the pointers in it are numbers.
unsafe impl Send for Shelf {}
// SAFETY: as above.
unsafe impl Sync for Shelf {}

/// Values are told by their numbers, from 1.
fn pointer(number: usize) -> *mut () {
    std::ptr::without_provenance_mut(number)
}

impl Shelf {
    fn new() -> Arc<Self> {
        let shelf = Self {
            published: AtomicPtr::new(std::ptr::null_mut()),
            state: Mutex::new(State { desk: Desk::default(), held: None, loads: 0 }),
            alive: (0..=VALUES).map(|_| AtomicU32::new(0)).collect(),
            readers: (0..READERS).map(|_| &*Box::leak(Box::new(Reader::alone()))).collect(),
        };
        {
            let mut state = shelf.state.lock();
            for reader in &shelf.readers {
                reader.open(&shelf.published);
                state.desk.add(reader, true);
            }
            shelf.load(&mut state);
        }
        Arc::new(shelf)
    }

    fn load(&self, state: &mut State) {
        if state.loads == VALUES || state.held.is_some() {
            return;
        }
        state.loads += 1;
        self.alive[state.loads].store(1, SeqCst);
        state.held = Some(Box::new(Held::new(Loaded { value: pointer(state.loads), bytes: 0 }, None)));
        self.published.store(pointer(state.loads), SeqCst);
    }

    fn end(&self, mut next: Option<Box<Held>>) {
        while let Some(mut held) = next {
            next = held.take_next();
            assert_eq!(self.alive[held.loaded.value as usize].fetch_sub(1, SeqCst), 1, "ended twice");
        }
    }

    fn settle(&self, reader: &Reader) {
        let ended = {
            let mut state = self.state.lock();
            if reader.is_pinned() { None } else { state.desk.settle(reader) }
        };
        self.end(ended);
    }

    /// As src/memory/lazy/lazy.rs does.
    fn invalidate(&self) {
        let ended = {
            let mut state = self.state.lock();
            self.published.store(std::ptr::null_mut(), SeqCst);
            state.desk.ask();
            let ended = state.held.take().and_then(|held| state.desk.retire(held));
            self.load(&mut state);
            ended
        };
        self.end(ended);
    }

    fn drop_value(&self) {
        let dropped = {
            let mut state = self.state.lock();
            let Some(held) = state.held.take() else { return };
            self.published.store(std::ptr::null_mut(), SeqCst);
            if state.desk.is_pinned() {
                self.published.store(held.loaded.value, SeqCst);
                state.held = Some(held);
                None
            } else {
                Some(held)
            }
        };
        self.end(dropped);
    }

    fn use_it(&self, reader: &Reader) {
        let Some(value) = reader.pin(&self.published) else {
            self.settle(reader);
            let mut state = self.state.lock();
            return self.load(&mut state);
        };
        assert_eq!(self.alive[value as usize].load(SeqCst), 1, "dropped under its reader");
        thread::yield_now();
        assert_eq!(self.alive[value as usize].load(SeqCst), 1, "dropped under its reader");
        if reader.unpin() == Unpinned::Awaited {
            self.settle(reader);
        }
    }

    /// Everybody is gone.
    fn close(&self) {
        self.invalidate();
        self.invalidate();
        assert_eq!(self.state.lock().desk.leaving(), 0, "nobody pins, and one is still kept");
    }
}

fn play(takers: Vec<fn(&Shelf)>) {
    explore(move || {
        let shelf = Shelf::new();
        let mut threads: Vec<_> = (0..READERS)
            .map(|number| {
                let shelf = shelf.clone();
                thread::spawn(move || (0..2).for_each(|_| shelf.use_it(shelf.readers[number])))
            })
            .collect();
        threads.extend(takers.clone().into_iter().map(|taker| {
            let shelf = shelf.clone();
            thread::spawn(move || taker(&shelf))
        }));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        shelf.close();
    });
}

#[test]
fn a_value_that_memory_is_short_for_is_dropped_when_nobody_has_it() {
    play(vec![Shelf::drop_value, Shelf::drop_value]);
}

#[test]
fn a_value_that_is_invalidated_stays_with_its_readers() {
    play(vec![Shelf::invalidate, Shelf::invalidate]);
}

#[test]
fn invalidated_and_dropped_at_once() {
    play(vec![Shelf::invalidate, Shelf::drop_value]);
}

#[test]
fn a_second_pin_may_be_of_another_value() {
    explore(|| {
        let shelf = Shelf::new();
        let other = {
            let shelf = shelf.clone();
            thread::spawn(move || (0..2).for_each(|_| shelf.invalidate()))
        };
        let reader = shelf.readers[0];
        if let Some(first) = reader.pin(&shelf.published) {
            shelf.use_it(reader);
            assert_eq!(shelf.alive[first as usize].load(SeqCst), 1, "dropped under an outer pin");
            if reader.unpin() == Unpinned::Awaited {
                shelf.settle(reader);
            }
        }
        other.join().unwrap();
        shelf.close();
    });
}
