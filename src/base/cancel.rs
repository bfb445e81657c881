//! Cancellation of waits, and the one loop in which every wait of the library sleeps.

use super::alloc::{self, OutOfMemory};
use super::clock::Deadline;
use super::park::Parker;
use super::thread::ThreadRecord;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// A one-shot signal. Once given, every present and later wait that was handed this object ends.
#[derive(Debug)]
pub struct Cancel {
    signalled: AtomicBool,
    sleepers: Mutex<Vec<&'static Parker>>,
}

impl Cancel {
    pub fn new() -> Result<Arc<Self>, OutOfMemory> {
        alloc::try_arc(Self { signalled: AtomicBool::new(false), sleepers: Mutex::new(Vec::new()) })
    }

    pub fn signal(&self) {
        self.signalled.store(true, SeqCst);
        for parker in self.sleepers.lock().drain(..) {
            parker.unpark();
        }
    }

    pub fn is_signalled(&self) -> bool {
        self.signalled.load(SeqCst)
    }

    fn enlist(&self, parker: &'static Parker) -> Result<(), OutOfMemory> {
        let mut sleepers = self.sleepers.lock();
        alloc::try_reserve_one(&mut sleepers)?;
        sleepers.push(parker);
        Ok(())
    }

    fn strike(&self, parker: &'static Parker) {
        let mut sleepers = self.sleepers.lock();
        if let Some(place) = sleepers.iter().position(|p| std::ptr::eq(*p, parker)) {
            sleepers.swap_remove(place);
        }
    }
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitEnd {
    #[error("the time was up")]
    TimedOut,
    #[error("the wait was cancelled")]
    Cancelled,
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// The parker of this thread, for a structure that will wake it.
pub fn current_parker() -> Result<&'static Parker, OutOfMemory> {
    let record = ThreadRecord::current().ok_or(OutOfMemory { bytes: size_of::<ThreadRecord>() as u64 })?;
    Ok(&record.parker)
}

/// Sleeps until `ready` gives a value. Whoever makes it ready must unpark [`current_parker`] afterwards. What is
/// ready is preferred over a cancellation, and that over the time.
pub fn wait_until<R>(
    deadline: Deadline,
    cancel: Option<&Cancel>,
    mut ready: impl FnMut() -> Option<R>,
) -> Result<R, WaitEnd> {
    if let Some(value) = ready() {
        return Ok(value);
    }
    let parker = current_parker()?;
    if let Some(cancel) = cancel {
        cancel.enlist(parker)?;
    }
    let end = loop {
        if let Some(value) = ready() {
            break Ok(value);
        }
        if cancel.is_some_and(Cancel::is_signalled) {
            break Err(WaitEnd::Cancelled);
        }
        if deadline.has_passed() {
            break Err(WaitEnd::TimedOut);
        }
        parker.park(deadline);
    };
    if let Some(cancel) = cancel {
        cancel.strike(parker);
    }
    end
}
