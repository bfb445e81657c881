//! Desks of a set of cells: one who uses it alone at a desk and others who come meanwhile, and what lies in desks.

use crate::base::Owner;
use crate::base::pockets::{Place, Places, Pocket, Reach};
use crate::base::sync::{AtomicU32, Mutex, Ordering::*};
use crate::explore;
use crate::pool::cells::desk::{Desk, Published};
use crate::pool::cells::runs::{Run, Runs};
use crate::pool::cells::{CellError, Cells, Key, Stage, Users};
use crate::pool::stack::Stack;
use shuttle::thread;
use std::ptr::null;
use std::sync::Arc;

const PENDING: Stage = Stage(1);
const SET: Owner = Owner(7);

/// A set whose users have a desk each, or a pocket each.
struct Set {
    cells: Cells<AtomicU32>,
    users: Users,
    runs: Runs,
    pockets: [Pocket; 2],
    desks: [Desk; 2],
    open: Mutex<[bool; 2]>,
}

impl Places for Set {
    fn visit(&self, each: &mut dyn FnMut(&dyn Place)) {
        self.pockets.iter().for_each(|pocket| each(&Run { pocket, stack: self.free() }));
        let open = *self.open.lock();
        self.desks.iter().zip(open).filter(|(_, is_open)| *is_open).for_each(|(desk, _)| each(desk));
    }
}

/// By what one uses the set: its desk, or its pocket.
#[derive(Clone, Copy)]
enum By {
    Desk(usize),
    Pocket(usize),
}

impl Set {
    /// Of which one may have so many at hand.
    fn new(count: u32, longest: u32) -> Arc<Self> {
        let set = Self {
            cells: Cells::new(count, || AtomicU32::new(0)).unwrap(),
            users: Users::new(SET),
            runs: Runs::new(SET, longest * 16),
            pockets: [const { Pocket::EMPTY }; 2],
            desks: Default::default(),
            open: Mutex::new([true; 2]),
        };
        let (_, salt) = set.cells.published();
        let (state, who, cells, released) = (null(), null(), null(), null());
        let published = Published { owner: SET, state, who, cells, salt, capacity: count, released, room: longest };
        set.desks.iter().for_each(|desk| desk.set_up(&published));
        Arc::new(set)
    }

    /// The same that the user of the first desk has used alone, and that is open.
    fn used_at_a_desk(count: u32, longest: u32) -> Arc<Self> {
        let set = Self::new(count, longest);
        for _ in 0..40 {
            let number = set.acquire_shared().unwrap();
            set.free().push(number);
        }
        set.admit(By::Desk(0));
        assert!(set.users.is_alone(&set.desks[0]));
        set
    }

    fn free(&self) -> &Stack {
        self.cells.free()
    }

    fn acquire_shared(&self) -> Option<u32> {
        let mut found = 0;
        self.runs.take_shared(1, self.free(), self, || true, |_, number| found = number)?;
        Some(found)
    }

    /// As src/pool/deferred/desks.rs does.
    fn acquire(&self, me: usize) -> Option<Key> {
        let desk = &self.desks[me];
        let key = |number| self.cells.key(number);
        let at_hand = self.at_desk(me, || self.runs.take_at_desk(desk, self.free(), self, key));
        Some(self.cells.open(at_hand.or_else(|| self.acquire_shared())?, PENDING, false))
    }

    fn at_desk<R>(&self, me: usize, body: impl FnOnce() -> R) -> R {
        let _window = Reach::begin(&self.desks[me], SET);
        body()
    }

    fn put(&self, me: usize, number: u32) {
        self.runs.put_at_desk(number, self.cells.key(number), &self.desks[me], self.free());
    }

    fn admit(&self, by: By) {
        match by {
            // Each runs on the thread with the pocket of the same number.
            By::Desk(me) => self.users.admit_at(&self.desks[me], || Some(&self.pockets[me]), self),
            By::Pocket(me) => self.users.admit(|| Some(&self.pockets[me]), self),
        }
    }

    /// As ostler_inline.h does at a desk, and src/abi/deferred without one.
    fn complete(&self, by: By, key: Key, value: u32) -> Result<(), CellError> {
        let write = |cell: &AtomicU32| cell.store(value, Relaxed);
        let short = |is_alone: bool| {
            if is_alone {
                return self.cells.complete_alone(key, PENDING, write);
            }
            let is_admitted = self.users.is_admitted();
            is_admitted.then(|| self.cells.complete_for_taker(key, PENDING, write).ok()).flatten()
        };
        let completed = match by {
            By::Desk(me) => self.at_desk(me, || short(self.users.is_alone(&self.desks[me]))),
            By::Pocket(me) => {
                let _window = Reach::begin(&self.pockets[me], SET);
                short(self.users.is_alone(&self.pockets[me]))
            }
        };
        completed.map_or_else(
            || {
                self.admit(by);
                self.cells.complete(key, PENDING, write).map(|_| ())
            },
            Ok,
        )
    }

    /// The same.
    fn take(&self, by: By, key: Key) -> Result<u32, CellError> {
        let read = |cell: &AtomicU32| cell.load(Relaxed);
        if let By::Desk(me) = by {
            let taken = self.at_desk(me, || {
                let taken = if self.users.is_alone(&self.desks[me]) {
                    self.cells.poll_alone(key, read)
                } else {
                    let is_admitted = self.users.is_admitted();
                    is_admitted.then(|| self.cells.poll_out(key, read).ok()).flatten()
                };
                taken.inspect(|(number, _)| self.put(me, *number))
            });
            if let Some((_, value)) = taken {
                return Ok(value);
            }
        }
        self.admit(by);
        let (number, value) = self.cells.poll_out(key, read)?;
        match by {
            By::Desk(me) => self.at_desk(me, || self.put(me, number)),
            By::Pocket(_) => self.cells.put_back(number),
        }
        Ok(value)
    }

    /// Completes a cell and takes what came.
    fn use_up(&self, me: usize, key: Key) {
        self.complete(By::Desk(me), key, 5).unwrap();
        assert_eq!(self.take(By::Desk(me), key), Ok(5));
    }

    /// Of two who wanted to complete each of these one did: the first with 2, or the second with 1.
    fn take_what_one_completed<const COUNT: usize>(
        &self,
        keys: [Key; COUNT],
        first: [bool; COUNT],
        second: [bool; COUNT],
    ) {
        for (place, key) in keys.into_iter().enumerate() {
            assert!(first[place] != second[place], "both or none completed it");
            assert_eq!(self.take(By::Desk(0), key), Ok(if first[place] { 2 } else { 1 }));
        }
    }

    fn close_desk(&self, me: usize) {
        let desk = &self.desks[me];
        self.users.without(desk, || {
            self.runs.unchanged(|| {
                while let Some(number) = desk.take(SET) {
                    self.cells.put_back(number);
                }
                self.open.lock()[me] = false;
            });
        });
    }

    /// As a destroy does.
    fn end(&self, count: u32) {
        self.runs.recall(self.free(), self);
        assert_eq!(self.free().depth(), count, "a cell is lost, or there twice");
    }
}

#[test]
fn another_who_comes_completes_or_the_one_at_the_desk_does() {
    for other in [By::Desk(1), By::Pocket(1)] {
        explore(move || {
            let set = Set::used_at_a_desk(4, 4);
            let keys = [set.acquire(0).unwrap(), set.acquire(0).unwrap()];
            let visited = set.clone();
            let theirs = thread::spawn(move || keys.map(|key| visited.complete(other, key, 1).is_ok()));
            let mine = keys.map(|key| set.complete(By::Desk(0), key, 2).is_ok());
            let theirs = theirs.join().unwrap();
            set.take_what_one_completed(keys, mine, theirs);
            set.end(4);
        });
    }
}

#[test]
fn what_came_is_taken_once_at_a_desk_or_by_who_comes() {
    for other in [By::Desk(1), By::Pocket(1)] {
        explore(move || {
            let set = Set::used_at_a_desk(4, 2);
            let keys = [set.acquire(0).unwrap(), set.acquire(0).unwrap()];
            keys.iter().for_each(|key| set.complete(By::Desk(0), *key, 7).unwrap());
            let visited = set.clone();
            let theirs = thread::spawn(move || keys.map(|key| visited.take(other, key) == Ok(7)));
            let mine = keys.map(|key| set.take(By::Desk(0), key) == Ok(7));
            let theirs = theirs.join().unwrap();
            assert!(mine.iter().zip(theirs).all(|(mine, theirs)| *mine != theirs), "both or none took it");
            set.end(4);
        });
    }
}

#[test]
fn desk_takes_over_from_its_thread_while_another_comes() {
    explore(|| {
        let set = Set::new(4, 2);
        let keys = [set.acquire(0).unwrap(), set.acquire(0).unwrap(), set.acquire(0).unwrap()];
        set.complete(By::Pocket(0), keys[0], 2).unwrap();
        assert!(set.users.is_alone(&set.pockets[0]));
        let visited = set.clone();
        let theirs = thread::spawn(move || keys.map(|key| visited.complete(By::Pocket(1), key, 1).is_ok()));
        let mine = [true, set.complete(By::Desk(0), keys[1], 2).is_ok(), set.complete(By::Desk(0), keys[2], 2).is_ok()];
        let theirs = theirs.join().unwrap();
        set.take_what_one_completed(keys, mine, theirs);
        set.end(4);
    });
}

#[test]
fn desk_that_closes_leaves_nothing_behind_while_another_comes() {
    explore(|| {
        let set = Set::used_at_a_desk(4, 4);
        let key = set.acquire(0).unwrap();
        let next = set.acquire(0).unwrap();
        let visited = set.clone();
        let theirs = thread::spawn(move || visited.complete(By::Desk(1), next, 1).is_ok());
        set.complete(By::Desk(0), key, 2).unwrap();
        set.take(By::Desk(0), key).unwrap();
        set.close_desk(0);
        let mine = set.complete(By::Pocket(0), next, 2).is_ok();
        assert!(theirs.join().unwrap() != mine, "both or none completed it");
        assert_eq!(set.take(By::Desk(1), next), Ok(if mine { 2 } else { 1 }));
        set.end(4);
    });
}

#[test]
fn nobody_goes_without_a_cell_that_lies_in_a_desk() {
    explore(|| {
        let set = Set::used_at_a_desk(4, 4);
        let use_two = |set: &Set, me: usize| {
            for value in [me as u32, 2] {
                // There are as many as both want.
                let keys = [0; 2].map(|_| set.acquire(me).expect("nobody goes without"));
                keys.iter().for_each(|key| set.complete(By::Desk(me), *key, value).unwrap());
                keys.iter().for_each(|key| assert_eq!(set.take(By::Desk(me), *key), Ok(value), "two have one cell"));
            }
        };
        // All lie in the first desk.
        let all = [0; 4].map(|_| set.acquire(0).unwrap());
        all.iter().for_each(|key| set.use_up(0, *key));
        assert_eq!(set.desks[0].count(SET), 4);
        let visited = set.clone();
        let other = thread::spawn(move || use_two(&visited, 1));
        use_two(&set, 0);
        other.join().unwrap();
        set.end(4);
    });
}

#[test]
fn nobody_goes_without_a_cell_on_its_way_into_a_desk() {
    explore(|| {
        // As many as one fill takes, and all are where all find them.
        let set = Set::used_at_a_desk(2, 4);
        assert_eq!(set.free().depth(), 2);
        let visited = set.clone();
        let other = thread::spawn(move || visited.acquire_shared().expect("nobody goes without"));
        let mine = set.acquire(0).expect("nobody goes without");
        set.use_up(0, mine);
        set.free().push(other.join().unwrap());
        set.end(2);
    });
}

#[test]
fn nobody_goes_without_a_cell_on_its_way_out_of_a_desk() {
    explore(|| {
        // Of which one has room: the second that comes sends it away.
        let set = Set::used_at_a_desk(2, 1);
        let keys = [0; 2].map(|_| set.acquire(0).unwrap());
        set.use_up(0, keys[0]);
        assert_eq!(set.desks[0].count(SET), 1);
        let visited = set.clone();
        let other = thread::spawn(move || visited.acquire_shared().expect("nobody goes without"));
        set.use_up(0, keys[1]);
        set.free().push(other.join().unwrap());
        set.end(2);
    });
}

#[test]
fn nobody_goes_without_a_cell_of_a_desk_that_closes() {
    explore(|| {
        let set = Set::used_at_a_desk(1, 1);
        let key = set.acquire(0).unwrap();
        set.use_up(0, key);
        assert_eq!(set.desks[0].count(SET), 1);
        let visited = set.clone();
        let other = thread::spawn(move || visited.acquire_shared().expect("nobody goes without"));
        set.close_desk(0);
        set.free().push(other.join().unwrap());
        set.end(1);
    });
}
