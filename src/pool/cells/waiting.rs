//! Waiting for the results of cells.

use super::{CellError, Cells, DONE, FILLING, Key, PHASE, WAITED};
use crate::base::cancel::{self, Cancel, WaitEnd};
use crate::base::clock::Deadline;
use crate::base::sync::Ordering::*;

impl<T> Cells<T> {
    /// Waits for the result and takes it.
    pub fn wait<R>(
        &self,
        key: Key,
        deadline: Deadline,
        cancel: Option<&Cancel>,
        read: impl FnOnce(&T) -> R,
    ) -> Result<R, CellError> {
        if deadline.has_passed() {
            // No wait at all, so it keeps nobody else from waiting.
            return self.poll(key, read).map_err(|error| match error {
                CellError::NotReady => CellError::Wait(WaitEnd::TimedOut),
                error => error,
            });
        }
        let number = self.begin_waiting(key)?;
        match self.sleep(&[key], 1, deadline, cancel) {
            Ok(_) => self.take(key, number, WAITED, read),
            // What came at the last moment is preferred over the end of the wait.
            Err(_) if self.end_waiting(number) => self.take(key, number, 0, read),
            Err(end) => Err(CellError::Wait(end)),
        }
    }

    /// Waits until so many of these have their results, which stay there; tells the place of the first that has. On an
    /// error it tells the place of the key that it is about.
    pub fn wait_for(
        &self,
        keys: &[Key],
        wanted: usize,
        deadline: Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<usize, (usize, CellError)> {
        let mut result = Ok(0);
        let mut begun = 0;
        for key in keys {
            if let Err(error) = self.begin_waiting(*key) {
                result = Err((begun, error));
                break;
            }
            begun += 1;
        }
        if result.is_ok() {
            result = self.sleep(keys, wanted, deadline, cancel).map_err(|end| (0, CellError::Wait(end)));
        }
        for key in keys.iter().take(begun) {
            self.end_waiting(key.number());
        }
        result
    }

    /// Sleeps until so many of the cells that this thread waits for are done; tells the place of the first.
    fn sleep(
        &self,
        keys: &[Key],
        wanted: usize,
        deadline: Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<usize, WaitEnd> {
        let parker = cancel::current_parker()?;
        let cell_of = |key: &Key| self.cell(key.number());
        for key in keys {
            cell_of(key).waiter.store((&raw const *parker).cast_mut(), SeqCst);
        }
        let is_done = |key: &Key| cell_of(key).word.load(SeqCst) & PHASE == DONE;
        let ready = || {
            let first = keys.iter().position(is_done)?;
            (wanted == 1 || keys.iter().filter(|key| is_done(key)).count() >= wanted).then_some(first)
        };
        cancel::wait_until(deadline, cancel, ready)
    }

    fn begin_waiting(&self, key: Key) -> Result<u32, CellError> {
        loop {
            let (number, cell, word) = self.find_takeable(key)?;
            if word & PHASE == FILLING {
                cell.settled_word();
            } else if cell.replace(word, word | WAITED) {
                return Ok(number);
            }
        }
    }

    /// Tells whether the result is there.
    fn end_waiting(&self, number: u32) -> bool {
        let cell = self.cell(number);
        loop {
            let word = cell.settled_word();
            if cell.replace(word, word & !WAITED) {
                return word & PHASE == DONE;
            }
        }
    }
}
