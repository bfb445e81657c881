//! A slab's free slots: each is one owner's at a time, in whichever magazine or in the depot; nobody goes short while one is
//! free; and whoever has the gate alone finds all of them.

#[path = "../../src/memory/slab/depot.rs"]
mod depot;
#[path = "../../src/memory/slab/gate.rs"]
mod gate;
#[path = "../../src/memory/slab/geometry.rs"]
mod geometry;
#[path = "../../src/memory/slab/magazine.rs"]
mod magazine;

use crate::explore;
use depot::{Claim, Depot};
use gate::{Gate, Leave};
use geometry::Geometry;
use magazine::{Magazine, Setup};
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::*};

const STRIDE: u64 = 64;

/// As src/memory/slab/getting.rs and putting.rs do, without memory, callbacks and states.
struct Shelf {
    geometry: Geometry,
    depot: Depot,
    gate: Gate,
    magazines: Vec<Magazine>,
    /// Held by one who has the gate alone.
    list: crate::base::sync::Mutex<()>,
    capacity: u32,
    /// Tells two owners of one slot.
    owners: Vec<AtomicU32>,
}

impl Shelf {
    fn new(slots: u32, magazines: usize, capacity: u32) -> Arc<Self> {
        let geometry = Geometry::new(4096 as *mut u8, STRIDE, u64::from(slots));
        let setup = Setup { geometry, states: 0, capacity, inline_capacity: capacity };
        let shelf = Self {
            geometry,
            depot: Depot::new(slots).unwrap(),
            gate: Gate::default(),
            magazines: (0..magazines).map(|_| Magazine::default()).collect(),
            list: crate::base::sync::Mutex::new(()),
            capacity,
            owners: (0..slots).map(|_| AtomicU32::new(0)).collect(),
        };
        shelf.magazines.iter().for_each(|magazine| magazine.set_up(&setup));
        (0..slots).for_each(|slot| assert!(shelf.depot.give(slot)));
        Arc::new(shelf)
    }

    fn give(&self, slot: *mut u8) {
        assert!(self.depot.give(self.geometry.index_of(slot).unwrap()), "a slot is free twice");
    }

    fn alone<R>(&self, leave: Leave, body: impl FnOnce() -> R) -> R {
        let _list = self.list.lock();
        self.gate.alone(|| self.magazines.iter(), leave, |slot| self.give(slot), body)
    }

    fn get(&self, me: usize) -> Option<u32> {
        let magazine = &self.magazines[me];
        // First as inline code does, then as the call that it makes.
        let at_hand = magazine.pop_inline().or_else(|| magazine.pop()).and_then(|slot| self.geometry.index_of(slot));
        let slot = at_hand.or_else(|| self.take(magazine)).or_else(|| {
            self.alone(Leave::Shut, || {
                let mut got = None;
                self.depot.take(1, |slot| got = Some(slot));
                got
            })
        })?;
        assert_eq!(self.owners[slot as usize].fetch_add(1, Relaxed), 0, "two have one slot");
        Some(slot)
    }

    fn take(&self, magazine: &Magazine) -> Option<u32> {
        let visit = self.gate.visit(Some(magazine));
        if visit.is_open {
            magazine.settle(true);
            if let Some(slot) = magazine.pop() {
                return self.geometry.index_of(slot);
            }
        } else {
            magazine.drain(|slot| self.give(slot));
        }
        let mut got = None;
        if visit.is_open {
            self.depot.draw(&magazine.claim, 1, |slot| got = Some(slot));
        } else {
            self.depot.take(1, |slot| got = Some(slot));
        }
        if got.is_some() && visit.is_open {
            let room = (self.capacity / 2).min(magazine.room());
            self.depot.draw(&magazine.claim, room, |slot| magazine.add(self.geometry.slot(slot), slot.into()));
        }
        let is_open = visit.is_open;
        drop(visit);
        if got.is_some() && !is_open {
            self.gate.note_calm();
        }
        got
    }

    fn put(&self, me: usize, slot: u32) {
        self.owners[slot as usize].fetch_sub(1, Relaxed);
        let (magazine, address) = (&self.magazines[me], self.geometry.slot(slot));
        if magazine.has_room_inline() || magazine.has_room(1) {
            return magazine.add(address, slot.into());
        }
        let visit = self.gate.visit(Some(magazine));
        if visit.is_open {
            magazine.settle(true);
            if magazine.room() == 0 {
                magazine.take_oldest(self.capacity / 2, |slot| self.give(slot));
            }
            magazine.add(address, slot.into());
        } else {
            magazine.drain(|slot| self.give(slot));
            self.give(address);
        }
    }

    fn free(&self) -> u64 {
        self.alone(Leave::AsItWas, || self.depot.count())
    }
}

#[test]
fn slot_is_one_owners_at_a_time_and_none_is_lost() {
    explore(|| {
        let shelf = Shelf::new(3, 2, 2);
        let riders: Vec<_> = (0..2)
            .map(|me| {
                let shelf = shelf.clone();
                thread::spawn(move || {
                    for _ in 0..3 {
                        let slot = shelf.get(me).expect("there are more slots than threads");
                        shelf.put(me, slot);
                    }
                })
            })
            .collect();
        riders.into_iter().for_each(|rider| rider.join().unwrap());
        assert_eq!(shelf.free(), 3, "a slot is lost");
    });
}

#[test]
fn nobody_goes_short_while_another_has_it_at_hand() {
    explore(|| {
        // As many slots as are held at once, so each get must succeed, wherever they are.
        let shelf = Shelf::new(2, 2, 2);
        let other = shelf.clone();
        let rider = thread::spawn(move || {
            for _ in 0..2 {
                let slot = other.get(1).expect("one is free");
                other.put(1, slot);
            }
        });
        for _ in 0..2 {
            let slot = shelf.get(0).expect("one is free");
            shelf.put(0, slot);
        }
        rider.join().unwrap();
        let both = [shelf.get(0), shelf.get(0)];
        assert!(both.iter().all(Option::is_some), "one is lost");
    });
}

#[test]
fn whoever_draws_from_words_of_others_takes_each_slot_once() {
    explore(|| {
        // Of three words, so that claims are won, lost, let go, and passed over at the end.
        let depot = Arc::new(Depot::new(3 * 64).unwrap());
        [0, 64, 65, 128].into_iter().for_each(|slot| assert!(depot.give(slot)));
        let other = depot.clone();
        let draw = |depot: &Depot| {
            let (claim, mut drawn) = (Claim::default(), Vec::new());
            depot.draw(&claim, 1, |slot| drawn.push(slot));
            depot.draw(&claim, 2, |slot| drawn.push(slot));
            depot.let_go(&claim);
            drawn
        };
        let rider = thread::spawn(move || draw(&other));
        let mut drawn = draw(&depot);
        drawn.extend(rider.join().unwrap());
        depot.take(4, |slot| drawn.push(slot));
        drawn.sort_unstable();
        assert_eq!(drawn, [0, 64, 65, 128]);
    });
}

#[test]
fn slot_that_passes_from_thread_to_thread_is_found() {
    explore(|| {
        let shelf = Shelf::new(1, 2, 2);
        let slot = shelf.get(0).unwrap();
        let other = shelf.clone();
        let putter = thread::spawn(move || other.put(1, slot));
        // It is out until it is put, so this may find nothing.
        let early = shelf.get(0);
        putter.join().unwrap();
        assert!(early.is_some() || shelf.get(0) == Some(0), "it was free");
    });
}

#[test]
fn whoever_is_alone_finds_what_stands_still() {
    explore(|| {
        let shelf = Shelf::new(3, 2, 2);
        let (one, two) = (shelf.clone(), shelf.clone());
        let riders = [
            thread::spawn(move || one.get(0).map_or((), |slot| one.put(0, slot))),
            thread::spawn(move || {
                let _ = two.get(1);
            }),
        ];
        for _ in 0..2 {
            let counts = shelf.alone(Leave::AsItWas, || [shelf.depot.count(), shelf.depot.count()]);
            assert!(counts[0] == counts[1] && counts[0] <= 3, "slots moved");
        }
        riders.into_iter().for_each(|rider| drop(rider.join()));
        assert_eq!(shelf.free(), 2);
    });
}

#[test]
fn sealed_gate_stays_so() {
    explore(|| {
        let shelf = Shelf::new(2, 2, 2);
        let rider = shelf.clone();
        let rides = thread::spawn(move || {
            if let Some(slot) = rider.get(0) {
                rider.put(0, slot);
            }
        });
        shelf.alone(Leave::Sealed, || {});
        rides.join().unwrap();
        assert!(shelf.gate.is_sealed() && !shelf.gate.visit(None).is_open);
        assert_eq!(shelf.free(), 2);
    });
}
