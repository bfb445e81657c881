//! One-shot cells: one completes, one takes or gives up, and no cell is lost.

use crate::base::clock::Deadline;
use crate::base::sync::{AtomicU32, Ordering::*};
use crate::explore;
use crate::pool::cells::{CellError, Cells, Finished, Key, Stage};
use shuttle::thread;
use std::sync::Arc;

const PENDING: Stage = Stage(1);
const FILLING: Stage = Stage(2);

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
    let number = cells.claim(key, PENDING, FILLING)?;
    cells.get(number).store(value, Relaxed);
    Ok(cells.finish(number, FILLING))
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
