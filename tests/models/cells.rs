//! One-shot cells: one completes, one takes or gives up, and no cell is lost, also of those at hand.

use crate::base::Owner;
use crate::base::clock::Deadline;
use crate::base::pockets::{Place, Places, Pocket, Reach};
use crate::base::sync::{AtomicU32, Ordering::*};
use crate::explore;
use crate::pool::cells::runs::{Run, Runs};
use crate::pool::cells::{CellError, Cells, Finished, Key, Stage};
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
