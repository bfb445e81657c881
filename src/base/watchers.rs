//! Threads that wait for an object's state to change, and the call that wakes them all.

use super::cancel::{self, Cancel, WaitEnd};
use super::clock::Deadline;
use super::park::Parker;
use super::{alloc, alloc::OutOfMemory};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::*};

#[derive(Debug, Default)]
pub struct Watchers {
    parkers: Mutex<Vec<&'static Parker>>,
    count: AtomicUsize,
}

impl Watchers {
    /// Sleeps until `ready` gives a value. Whoever changes what `ready` looks at (sequentially consistent) must call
    /// [`Watchers::wake_all`] afterwards.
    pub fn wait_until<R>(
        &self,
        deadline: Deadline,
        cancel: Option<&Cancel>,
        mut ready: impl FnMut() -> Option<R>,
    ) -> Result<R, WaitEnd> {
        if let Some(value) = ready() {
            return Ok(value);
        }
        let parker = cancel::current_parker()?;
        self.enter(parker)?;
        let end = cancel::wait_until(deadline, cancel, ready);
        self.leave(parker);
        end
    }

    #[inline]
    pub fn wake_all(&self) {
        if self.count.load(SeqCst) == 0 {
            return;
        }
        for parker in self.parkers.lock().iter() {
            parker.unpark();
        }
    }

    fn enter(&self, parker: &'static Parker) -> Result<(), OutOfMemory> {
        let mut parkers = self.parkers.lock();
        alloc::try_reserve_one(&mut parkers)?;
        parkers.push(parker);
        self.count.store(parkers.len(), SeqCst);
        Ok(())
    }

    fn leave(&self, parker: &'static Parker) {
        let mut parkers = self.parkers.lock();
        if let Some(place) = parkers.iter().position(|other| std::ptr::eq(*other, parker)) {
            parkers.swap_remove(place);
        }
        self.count.store(parkers.len(), SeqCst);
    }
}
