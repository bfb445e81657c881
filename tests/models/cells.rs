//! One-shot cells: one completes, one takes or gives up, and no cell is lost, also of those at hand.

use crate::base::Owner;
use crate::base::clock::Deadline;
use crate::base::pockets::{Place, Places, Pocket, Reach};
use crate::base::sync::{AtomicU32, Ordering::*};
use crate::explore;
use crate::pool::cells::runs::{Run, Runs};
use crate::pool::cells::{CellError, Cells, Finished, Key, Stage, Users};
use crate::pool::stack::Stack;
use shuttle::thread;
use std::sync::Arc;

const PENDING: Stage = Stage(1);

type Values = Cells<AtomicU32>;

fn values(count: u32) -> Arc<Values> {
    Arc::new(Cells::new(count, || AtomicU32::new(0)).unwrap())
}

fn open(cells: &Values) -> Key {
    let (number, _) = cells.take_free().unwrap();
    cells.open(number, PENDING, false)
}

/// Whether the value was accepted, and by whom it is to be completed.
fn complete(cells: &Values, key: Key, value: u32) -> Result<Finished, CellError> {
    cells.complete(key, PENDING, |cell| cell.store(value, Relaxed))
}

fn read(cell: &AtomicU32) -> u32 {
    cell.load(Relaxed)
}

/// As src/pool/deferred.rs does; tells the value that nobody will take.
fn release(cells: &Values, key: Key) -> Result<Option<u32>, CellError> {
    match cells.withdraw(key, PENDING) {
        Ok(number) => {
            cells.vacate(number);
            return Ok(None);
        }
        Err(CellError::Ended) => {}
        Err(error) => return Err(error),
    }
    let mut value = None;
    cells.forget(key, |cell| value = Some(read(cell)))?;
    Ok(value)
}

#[test]
fn one_of_two_completes() {
    explore(|| {
        let cells = values(1);
        let key = open(&cells);
        let sides: Vec<_> = (1..=2)
            .map(|value| {
                let cells = cells.clone();
                thread::spawn(move || complete(&cells, key, value).is_ok().then_some(value))
            })
            .collect();
        let got = cells.wait(key, Deadline::NEVER, None, read).unwrap();
        let accepted: Vec<u32> = sides.into_iter().filter_map(|side| side.join().unwrap()).collect();
        assert_eq!(accepted, [got]);
        assert_eq!(cells.used(), 0);
    });
}

#[test]
fn value_is_taken_or_given_up_or_kept_by_who_made_it() {
    explore(|| {
        let cells = values(1);
        let key = open(&cells);
        let maker = cells.clone();
        let made = thread::spawn(move || complete(&maker, key, 7));
        let given_up = release(&cells, key).unwrap();
        // Where it was given up before it had come, its maker is told.
        let was_accepted = made.join().unwrap() == Ok(Finished::Kept);
        assert_eq!(given_up.is_some(), was_accepted);
        assert_eq!(cells.used(), 0, "a cell is lost");
    });
}

#[test]
fn completion_is_called_once_whoever_is_first() {
    explore(|| {
        let cells = values(1);
        let key = open(&cells);
        let maker = cells.clone();
        let made = thread::spawn(move || complete(&maker, key, 7).unwrap() == Finished::Attached);
        let is_there = cells.attach(key, |_| {}).unwrap();
        let by_maker = made.join().unwrap();
        assert!(is_there != by_maker, "the completion is called {}", if is_there { "twice" } else { "never" });
        cells.vacate(key.number());
        assert_eq!(cells.used(), 0);
    });
}

#[test]
fn completion_is_called_by_one_who_can_call_it() {
    explore(|| {
        let cells = values(1);
        let key = open(&cells);
        let maker = cells.clone();
        // As src/abi/deferred/completing.rs does: in a window, and when that is refused where it can be called.
        let made = thread::spawn(move || match maker.complete_for_taker(key, PENDING, |cell| cell.store(7, Relaxed)) {
            Ok(()) => false,
            Err(error) => {
                assert_eq!(error, CellError::HasCompletion);
                complete(&maker, key, 7).unwrap() == Finished::Attached
            }
        });
        let is_there = cells.attach(key, |_| {}).unwrap();
        let by_maker = made.join().unwrap();
        assert!(is_there != by_maker, "the completion is called {}", if is_there { "twice" } else { "never" });
        assert_eq!(read(cells.get(key.number())), 7);
        cells.vacate(key.number());
        assert_eq!(cells.used(), 0);
    });
}

#[test]
fn completion_that_comes_meanwhile_is_not_lost() {
    explore(|| {
        let cells = values(1);
        let key = open(&cells);
        let (maker, asker) = (cells.clone(), cells.clone());
        let made = thread::spawn(move || complete(&maker, key, 7));
        let asked = thread::spawn(move || asker.poll(key, read));
        let attached = cells.attach(key, |_| {});
        // Who asked took it, or the completion gets it.
        let calls = u32::from(attached == Ok(true)) + u32::from(made.join().unwrap() == Ok(Finished::Attached));
        let taken = u32::from(asked.join().unwrap().is_ok());
        assert_eq!(calls + taken, 1);
        if calls == 1 {
            cells.vacate(key.number());
        }
        assert_eq!(cells.used(), 0);
    });
}

#[test]
fn completion_that_was_taken_back_is_not_called() {
    explore(|| {
        let cells = values(1);
        let key = open(&cells);
        cells.attach(key, |_| {}).unwrap();
        let maker = cells.clone();
        let made = thread::spawn(move || complete(&maker, key, 7));
        let taken_back = match cells.withdraw(key, PENDING) {
            Ok(number) => {
                cells.vacate(number);
                true
            }
            Err(_) => false,
        };
        assert_eq!(made.join().unwrap(), if taken_back { Err(CellError::Stale) } else { Ok(Finished::Attached) });
    });
}

#[test]
fn wait_for_any_and_all_misses_nothing() {
    explore(|| {
        let cells = values(2);
        let keys = [open(&cells), open(&cells)];
        let makers: Vec<_> = keys
            .iter()
            .map(|key| {
                let (cells, key) = (cells.clone(), *key);
                thread::spawn(move || complete(&cells, key, 7).unwrap())
            })
            .collect();
        let first = cells.wait_for(&keys, 1, Deadline::NEVER, None).unwrap();
        assert_eq!(cells.poll(keys[first], read), Ok(7));
        let other = [keys[1 - first]];
        cells.wait_for(&other, 1, Deadline::NEVER, None).unwrap();
        assert_eq!(cells.poll(other[0], read), Ok(7));
        makers.into_iter().for_each(|maker| assert_eq!(maker.join().unwrap(), Finished::Kept));
        assert_eq!(cells.used(), 0);
    });
}

#[test]
fn wait_that_runs_out_leaves_what_comes() {
    explore(|| {
        let cells = values(1);
        let key = open(&cells);
        let maker = cells.clone();
        let made = thread::spawn(move || complete(&maker, key, 7).unwrap());
        if cells.wait(key, Deadline::at(1), None, read).is_err() {
            assert_eq!(cells.wait(key, Deadline::NEVER, None, read), Ok(7));
        }
        made.join().unwrap();
        assert_eq!(cells.used(), 0);
    });
}

#[test]
fn key_of_an_earlier_use_never_completes_a_later_one() {
    explore(|| {
        let cells = values(1);
        let old = open(&cells);
        let maker = cells.clone();
        let made = thread::spawn(move || complete(&maker, old, 1));
        let _ = release(&cells, old).unwrap();
        if let Some((number, _)) = cells.take_free() {
            let key = cells.open(number, PENDING, false);
            complete(&cells, key, 2).unwrap();
            assert_eq!(cells.wait(key, Deadline::NEVER, None, read), Ok(2));
        }
        let _ = made.join().unwrap();
    });
}

/// Cells whose free ones lie at hand for two threads.
struct Stall {
    cells: Cells<AtomicU32>,
    runs: Runs,
    pockets: [Pocket; 2],
    closed: AtomicU32,
}

const STALL: Owner = Owner(7);

impl Places for Stall {
    fn visit(&self, each: &mut dyn FnMut(&dyn Place)) {
        self.pockets.iter().for_each(|pocket| each(&Run { pocket, stack: self.cells.free() }));
    }
}

impl Stall {
    /// With runs of so many at most.
    fn new(count: u32, longest: u32) -> Arc<Self> {
        let stall = Self {
            cells: Cells::new(count, || AtomicU32::new(0)).unwrap(),
            runs: Runs::new(STALL, longest * 16),
            pockets: [const { Pocket::EMPTY }; 2],
            closed: AtomicU32::new(0),
        };
        Arc::new(stall)
    }

    fn free(&self) -> &Stack {
        self.cells.free()
    }

    fn may_open(&self) -> bool {
        self.closed.load(SeqCst) == 0
    }

    /// As src/abi/deferred/acquiring.rs does: in a window, else where all find one.
    fn acquire(&self, me: usize) -> Option<Key> {
        let at_hand = self.in_window(me, |run| self.runs.take(run, self));
        let number = at_hand.or_else(|| {
            let mut found = 0;
            self.runs.take_shared(1, self.free(), self, || self.may_open(), |_, number| found = number)?;
            Some(found)
        })?;
        Some(self.cells.open(number, PENDING, false))
    }

    fn acquire_all(&self, me: usize, count: u32) -> Option<Vec<Key>> {
        let mut numbers = vec![0; count as usize];
        self.in_window(me, |run| self.runs.take_all(count, run, self, |place, number| numbers[place] = number))
            .or_else(|| {
                let note = |place: usize, number| numbers[place] = number;
                self.runs.take_shared(count as usize, self.free(), self, || self.may_open(), note)
            })?;
        Some(numbers.into_iter().map(|number| self.cells.open(number, PENDING, false)).collect())
    }

    fn take(&self, me: usize, key: Key) -> Result<u32, CellError> {
        let (number, value) = self.cells.poll_out(key, read)?;
        self.in_window(me, |run| self.runs.put(number, run));
        Ok(value)
    }

    fn in_window<R>(&self, me: usize, body: impl FnOnce(&Run<'_>) -> R) -> R {
        let pocket = &self.pockets[me];
        let _window = Reach::begin(pocket, STALL);
        body(&Run { pocket, stack: self.free() })
    }

    /// As if all had been calm for a while.
    fn open(&self) {
        for _ in 0..40 {
            let mut found = 0;
            self.runs.take_shared(1, self.free(), self, || self.may_open(), |_, number| found = number);
            self.free().push(found);
        }
    }

    fn close(&self) {
        self.closed.store(1, SeqCst);
        self.runs.recall(self.free(), self);
    }
}

#[test]
fn cell_at_hand_is_one_threads_and_none_is_lost() {
    explore(|| {
        let stall = Stall::new(4, 4);
        stall.open();
        let users: Vec<_> = (0..2)
            .map(|me| {
                let stall = stall.clone();
                thread::spawn(move || {
                    for value in [me as u32, 2] {
                        // There are as many as both want.
                        let keys = stall.acquire_all(me, 2).expect("nobody goes without");
                        for key in keys {
                            complete(&stall.cells, key, value).unwrap();
                            assert_eq!(stall.take(me, key), Ok(value), "two have one cell");
                        }
                    }
                })
            })
            .collect();
        users.into_iter().for_each(|user| user.join().unwrap());
        stall.close();
        assert_eq!(stall.free().depth(), 4, "a cell is lost, or there twice");
    });
}

#[test]
fn nobody_goes_without_a_cell_that_is_at_hand_for_another() {
    explore(|| {
        let stall = Stall::new(2, 2);
        stall.open();
        let keys = stall.acquire_all(0, 2).unwrap();
        for key in keys {
            complete(&stall.cells, key, 7).unwrap();
            stall.take(0, key).unwrap();
        }
        let other = stall.clone();
        let user = thread::spawn(move || {
            let key = other.acquire(1).expect("one is free all the time");
            complete(&other.cells, key, 8).unwrap();
            other.take(1, key)
        });
        let key = stall.acquire(0).expect("one is free all the time");
        complete(&stall.cells, key, 9).unwrap();
        assert_eq!(stall.take(0, key), Ok(9));
        assert_eq!(user.join().unwrap(), Ok(8));
        stall.close();
        assert_eq!(stall.free().depth(), 2);
    });
}

#[test]
fn last_cell_is_told_to_who_closes_or_to_who_brings_it() {
    explore(|| {
        let stall = Stall::new(1, 1);
        stall.open();
        let key = stall.acquire(0).unwrap();
        complete(&stall.cells, key, 7).unwrap();
        let user = stall.clone();
        let taken = thread::spawn(move || user.take(1, key).unwrap());
        stall.close();
        taken.join().unwrap();
        assert_eq!(stall.cells.used(), 0, "it lies where nobody counts it");
    });
}

/// Cells that one thread uses alone until another comes.
struct Lone {
    cells: Cells<AtomicU32>,
    users: Users,
    pockets: [Pocket; 3],
}

impl Places for Lone {
    fn visit(&self, each: &mut dyn FnMut(&dyn Place)) {
        self.pockets.iter().for_each(|pocket| each(&Run { pocket, stack: self.cells.free() }));
    }
}

impl Lone {
    fn new(count: u32) -> Arc<Self> {
        Arc::new(Self {
            cells: Cells::new(count, || AtomicU32::new(0)).unwrap(),
            users: Users::new(STALL),
            pockets: [const { Pocket::EMPTY }; 3],
        })
    }

    /// The same that thread 0 has used alone.
    fn used_by_one(count: u32) -> Arc<Self> {
        let lone = Self::new(count);
        lone.admit(0);
        assert!(lone.users.is_alone(&lone.pockets[0]));
        lone
    }

    fn open(&self) -> Key {
        open(&self.cells)
    }

    fn admit(&self, me: usize) {
        self.users.admit(|| Some(&self.pockets[me]), self);
    }

    fn in_window<R>(&self, me: usize, body: impl FnOnce(&Pocket) -> Option<R>) -> Option<R> {
        let _window = Reach::begin(&self.pockets[me], STALL);
        body(&self.pockets[me])
    }

    /// As src/abi/deferred/completing.rs does.
    fn complete(&self, me: usize, key: Key, value: u32) -> Result<Finished, CellError> {
        let write = |cell: &AtomicU32| cell.store(value, Relaxed);
        let short = self.in_window(me, |pocket| {
            if self.users.is_alone(pocket) {
                return self.cells.complete_alone(key, PENDING, write);
            }
            let is_admitted = self.users.is_admitted();
            is_admitted.then(|| self.cells.complete_for_taker(key, PENDING, write).ok()).flatten()
        });
        short.map_or_else(
            || {
                self.admit(me);
                complete(&self.cells, key, value)
            },
            |()| Ok(Finished::Kept),
        )
    }

    /// As src/abi/deferred/taking.rs does.
    fn take(&self, me: usize, key: Key) -> Result<u32, CellError> {
        let short = self.in_window(me, |pocket| {
            let taken = if self.users.is_alone(pocket) {
                self.cells.poll_alone(key, read)
            } else {
                let is_admitted = self.users.is_admitted();
                is_admitted.then(|| self.cells.poll_out(key, read).ok()).flatten()
            };
            taken.inspect(|(number, _)| self.cells.put_back(*number))
        });
        short.map_or_else(
            || {
                self.admit(me);
                self.cells.poll(key, read)
            },
            |(_, value)| Ok(value),
        )
    }

    fn wait(&self, me: usize, key: Key) -> Result<u32, CellError> {
        self.admit(me);
        self.cells.wait(key, Deadline::NEVER, None, read)
    }
}

#[test]
fn another_who_comes_completes_or_the_lone_one_does() {
    explore(|| {
        let lone = Lone::used_by_one(2);
        let keys = [lone.open(), lone.open()];
        let other = lone.clone();
        let theirs = thread::spawn(move || keys.map(|key| other.complete(1, key, 1).is_ok()));
        let mine = keys.map(|key| lone.complete(0, key, 2).is_ok());
        let theirs = theirs.join().unwrap();
        for (place, key) in keys.into_iter().enumerate() {
            assert!(mine[place] != theirs[place], "both or none completed it");
            assert_eq!(lone.take(0, key), Ok(if mine[place] { 2 } else { 1 }));
        }
        assert_eq!(lone.cells.used(), 0);
    });
}

#[test]
fn what_came_is_taken_once_when_others_come() {
    explore(|| {
        let lone = Lone::used_by_one(2);
        let keys = [lone.open(), lone.open()];
        keys.iter().for_each(|key| assert_eq!(lone.complete(0, *key, 7), Ok(Finished::Kept)));
        let others: Vec<_> = (1..3)
            .map(|me| {
                let lone = lone.clone();
                thread::spawn(move || keys.map(|key| u32::from(lone.take(me, key) == Ok(7))))
            })
            .collect();
        let mut taken = keys.map(|key| u32::from(lone.take(0, key) == Ok(7)));
        for other in others {
            let theirs = other.join().unwrap();
            taken.iter_mut().zip(theirs).for_each(|(sum, theirs)| *sum += theirs);
        }
        assert_eq!(taken, [1, 1]);
        assert_eq!(lone.cells.used(), 0);
    });
}

#[test]
fn one_who_waits_hears_of_what_the_lone_one_completes() {
    explore(|| {
        let lone = Lone::used_by_one(1);
        let key = lone.open();
        let other = lone.clone();
        let waits = thread::spawn(move || other.wait(1, key));
        assert_eq!(lone.complete(0, key, 7), Ok(Finished::Kept));
        assert_eq!(waits.join().unwrap(), Ok(7));
        assert_eq!(lone.cells.used(), 0);
    });
}

#[test]
fn completion_that_another_attaches_is_called_once() {
    explore(|| {
        let lone = Lone::used_by_one(1);
        let key = lone.open();
        let other = lone.clone();
        let attached = thread::spawn(move || {
            other.admit(1);
            other.cells.attach(key, |_| {}).unwrap()
        });
        let by_maker = lone.complete(0, key, 7).unwrap() == Finished::Attached;
        assert!(attached.join().unwrap() != by_maker);
        lone.cells.vacate(key.number());
        assert_eq!(lone.cells.used(), 0);
    });
}

#[test]
fn value_of_the_lone_one_is_given_up_or_kept_when_another_releases() {
    explore(|| {
        let lone = Lone::used_by_one(1);
        let key = lone.open();
        let other = lone.clone();
        let given_up = thread::spawn(move || {
            other.admit(1);
            release(&other.cells, key).unwrap()
        });
        let was_accepted = lone.complete(0, key, 7).is_ok();
        assert_eq!(given_up.join().unwrap().is_some(), was_accepted);
        assert_eq!(lone.cells.used(), 0);
    });
}

#[test]
fn of_several_who_come_first_at_once_none_believes_to_be_alone() {
    explore(|| {
        let lone = Lone::new(1);
        let key = lone.open();
        let users: Vec<_> = (0..3)
            .map(|me| {
                let lone = lone.clone();
                thread::spawn(move || {
                    let completed = u32::from(lone.complete(me, key, me as u32).is_ok());
                    (completed, u32::from(lone.take(me, key).is_ok()))
                })
            })
            .collect();
        let done = users.into_iter().map(|user| user.join().unwrap());
        let (completed, taken) = done.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert_eq!((completed, taken), (1, 1));
        assert_eq!(lone.cells.used(), 0);
    });
}
