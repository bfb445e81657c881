//! The host's callbacks: who is inside one now, and the words that go with a failure.

use super::faults::{self, Point};
use super::injection::{self, Callback};
pub use super::refusal::{Refusal, Told};
use super::text::Text;
use super::thread::{Frame, ThreadRecord};
use super::{MESSAGE_BYTES, Owner};
use std::fmt;

/// A failure that a callback of the host reported.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{message}{refusal}")]
pub struct CallbackFailure {
    pub refusal: Refusal,
    pub message: Text<MESSAGE_BYTES>,
}

/// Runs `body` as a callback of `owner`. No lock of the library may be held. Words that an outer callback has left for
/// its own failure outlive it.
pub fn run<R>(owner: Owner, body: impl FnOnce() -> R) -> R {
    let Some(record) = ThreadRecord::current() else { return body() };
    let outer_words = take_words(record);
    let frame = Frame { owner, outer: record.frame.get() };
    let leave = Leave { record, outer: frame.outer };
    record.frame.set(&raw const frame);
    let result = body();
    drop(leave);
    match outer_words {
        Some(words) => *record.callback_message.borrow_mut() = words,
        None => record.callback_message.borrow_mut().clear(),
    }
    result
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
pub fn run_checked(
    owner: Owner,
    callback: Callback,
    body: impl FnOnce() -> Result<(), Refusal>,
) -> Result<(), CallbackFailure> {
    let name = callback.name();
    let injected = |refusal| {
        let message = Text::format(format_args!("{name} callback failed by injection"));
        CallbackFailure { refusal, message }
    };
    if let Some(errno) = faults::hit(Point::Callback) {
        let status = if errno == 0 { -1 } else { -errno };
        return Err(injected(Refusal { status, told: Told::InWords }));
    }
    run(owner, || {
        if let Some(refusal) = injection::pass(owner, callback) {
            return Err(injected(refusal));
        }
        body().map_err(|refusal| {
            let said = ThreadRecord::current().and_then(take_words);
            let message = said.unwrap_or_else(|| Text::format(format_args!("{name} callback failed")));
            CallbackFailure { refusal, message }
        })
    })
}

/// Runs the callback that ends something, which cannot fail.
pub fn run_destroy(owner: Owner, body: impl FnOnce()) {
    run(owner, || {
        injection::pass(owner, Callback::Destroy);
        body();
    });
}

/// Whether a call that waits for what `owner` does would wait for itself: inside one of its callbacks, and inside the
/// log's, which may be on any thread of the library with any object in its hands.
pub fn waits_for_itself(owner: Owner) -> bool {
    any_frame(|frame| frame.owner == owner || frame.owner == Owner::LOG)
}

/// Whether this thread is inside a callback of `owner`.
pub fn inside(owner: Owner) -> bool {
    any_frame(|frame| frame.owner == owner)
}

/// Whether this thread is inside any callback.
pub fn inside_any() -> bool {
    any_frame(|_| true)
}

fn any_frame(wanted: impl FnMut(&Frame) -> bool) -> bool {
    // SAFETY: this thread is in them.
    Inside::here().is_some_and(|inside| unsafe { inside.any(wanted) })
}

/// The callbacks that a thread is in.
#[derive(Clone, Copy)]
pub(super) struct Inside(*const Frame);

impl Inside {
    /// Those of this thread, when it is in any.
    pub fn here() -> Option<Self> {
        let innermost = ThreadRecord::current()?.frame.get();
        (!innermost.is_null()).then_some(Self(innermost))
    }

    /// # Safety
    /// Its thread is in them still.
    unsafe fn any(self, mut wanted: impl FnMut(&Frame) -> bool) -> bool {
        let mut next = self.0;
        // SAFETY: a frame lives on its thread's stack, in the call of `run` that put it there.
        while let Some(frame) = unsafe { next.as_ref() } {
            if wanted(frame) {
                return true;
            }
            next = frame.outer;
        }
        false
    }

    /// Whether one of them is that object's.
    ///
    /// # Safety
    /// Its thread is in them still.
    pub unsafe fn has(self, owner: Owner) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.any(|frame| frame.owner == owner) }
    }
}

/// Leaves words for the failure that the running callback is about to return.
pub fn set_message(words: impl fmt::Display) {
    if let Some(record) = ThreadRecord::current() {
        *record.callback_message.borrow_mut() = Text::format(format_args!("{words}"));
    }
}

/// The words that the running callback has left for its failure.
pub fn said() -> Option<Text<MESSAGE_BYTES>> {
    ThreadRecord::current().and_then(take_words)
}

/// The words that stand there, when there are any; then there are none.
fn take_words(record: &'static ThreadRecord) -> Option<Text<MESSAGE_BYTES>> {
    let said = !record.callback_message.borrow().is_empty();
    said.then(|| record.callback_message.take())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTER: Owner = Owner(2);
    const INNER: Owner = Owner(3);

    fn words_of(result: Result<(), CallbackFailure>) -> String {
        result.unwrap_err().message.to_string()
    }

    #[test]
    fn words_outlive_a_callback_that_runs_inside() {
        let outer = run_checked(OUTER, Callback::Load, || {
            set_message("bad shape");
            assert_eq!(
                words_of(run_checked(INNER, Callback::Create, || Err(Refusal::IN_WORDS))),
                "create callback failed"
            );
            run(INNER, || set_message("of a destroy that cannot fail"));
            Err(Refusal::IN_WORDS)
        });
        assert_eq!(words_of(outer), "bad shape");
    }

    #[test]
    fn words_are_told_once() {
        assert_eq!(
            words_of(run_checked(OUTER, Callback::Load, || {
                set_message("first");
                Err(Refusal::IN_WORDS)
            })),
            "first"
        );
        assert_eq!(words_of(run_checked(OUTER, Callback::Load, || Err(Refusal::IN_WORDS))), "load callback failed");
    }
}
