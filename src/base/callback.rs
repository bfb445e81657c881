//! The host's callbacks: who is inside one now, and the words that go with a failure.

use super::faults::{self, Point};
use super::text::Text;
use super::thread::ThreadRecord;
use super::{MESSAGE_BYTES, Owner};

/// A failure that a callback of the host reported.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{message} (status {status})")]
pub struct CallbackFailure {
    /// The status that the callback returned; never 0.
    pub status: i32,
    pub message: Text<MESSAGE_BYTES>,
}

/// One callback that is running on this thread.
pub struct Frame {
    owner: Owner,
    outer: *const Frame,
}

/// Runs `body` as a callback of `owner`. No lock of the library may be held.
pub fn run<R>(owner: Owner, body: impl FnOnce() -> R) -> R {
    let Some(record) = ThreadRecord::current() else { return body() };
    let frame = Frame { owner, outer: record.frame.get() };
    let _leave = Leave { record, outer: frame.outer };
    record.frame.set(&raw const frame);
    body()
}

/// Takes the frame off the stack, also when the callback unwinds.
struct Leave {
    record: &'static ThreadRecord,
    outer: *const Frame,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.record.frame.set(self.outer);
    }
}

/// Runs a callback that answers with a status. Its failure carries what it said through [`set_message`].
pub fn run_checked(owner: Owner, name: &str, body: impl FnOnce() -> i32) -> Result<(), CallbackFailure> {
    if let Some(errno) = faults::hit(Point::Callback) {
        let message = Text::format(format_args!("{name} callback failed by injection"));
        return Err(CallbackFailure { status: if errno == 0 { -1 } else { -errno }, message });
    }
    clear_message();
    match run(owner, body) {
        0 => Ok(()),
        status => {
            let said = take_message();
            let message = if said.is_empty() { Text::format(format_args!("{name} callback failed")) } else { said };
            Err(CallbackFailure { status, message })
        }
    }
}

/// Whether this thread is inside a callback of `owner`.
pub fn inside(owner: Owner) -> bool {
    any_frame(|frame| frame.owner == owner)
}

/// Whether this thread is inside any callback.
pub fn inside_any() -> bool {
    any_frame(|_| true)
}

fn any_frame(mut wanted: impl FnMut(&Frame) -> bool) -> bool {
    let Some(record) = ThreadRecord::current() else { return false };
    let mut next = record.frame.get();
    // SAFETY: a frame lives on this thread's stack below us, in the call of `run` that put it there.
    while let Some(frame) = unsafe { next.as_ref() } {
        if wanted(frame) {
            return true;
        }
        next = frame.outer;
    }
    false
}

/// Leaves words for the failure that the running callback is about to return.
pub fn set_message(words: &str) {
    if let Some(record) = ThreadRecord::current() {
        *record.callback_message.borrow_mut() = Text::from(words);
    }
}

fn clear_message() {
    if let Some(record) = ThreadRecord::current() {
        record.callback_message.borrow_mut().clear();
    }
}

fn take_message() -> Text<MESSAGE_BYTES> {
    ThreadRecord::current().map(|record| record.callback_message.take()).unwrap_or_default()
}
