//! Catches panics at the boundary and in the library's own threads. The message and the place are written down by
//! the panic hook, without needing memory, and nothing is printed.

use super::text::Text;
use super::thread::{ERROR_BYTES, ThreadRecord};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// A panic that was caught. Its words stand in the thread's record until the next one.
#[derive(Clone, Copy, Debug)]
pub struct Caught(());

impl Caught {
    /// What the panic said, as "words, at file:line".
    pub fn message(self) -> Text<ERROR_BYTES> {
        ThreadRecord::current()
            .map_or_else(|| Text::from("no memory for its message"), |record| *record.panic_message.borrow())
    }
}

/// Runs `body`; a panic inside it becomes an `Err` and is not printed.
#[inline]
pub fn catch<R>(body: impl FnOnce() -> R) -> Result<R, Caught> {
    catch_on(ThreadRecord::current(), body)
}

/// [`catch`] for a caller that has this thread's record at hand.
#[inline(always)]
pub fn catch_on<R>(record: Option<&ThreadRecord>, body: impl FnOnce() -> R) -> Result<R, Caught> {
    // What it was before stays in a register: a second look at it would wait for the first store.
    let outer = record.map_or(0, |record| record.guarded.replace(record.guarded.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(body));
    if let Some(record) = record {
        record.guarded.set(outer);
    }
    result.map_err(|payload| {
        // Dropping a payload may panic in turn; it is a string in every panic of ours, and a leak otherwise.
        std::mem::forget(payload);
        Caught(())
    })
}

/// Panics on this thread are recorded, never printed, until it ends.
pub fn silence_this_thread() {
    install_hook();
    if let Some(record) = ThreadRecord::current() {
        record.guarded.set(1);
    }
}

/// The hook of this copy of the Rust runtime. Threads outside the library keep the hook that was there before.
pub fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match guarded_record() {
            Some(record) => write_down(record, panic),
            None => before(panic),
        }));
    });
}

fn guarded_record() -> Option<&'static ThreadRecord> {
    ThreadRecord::current().filter(|record| record.guarded.get() > 0)
}

fn write_down(record: &ThreadRecord, panic: &PanicHookInfo<'_>) {
    let words = panic.payload_as_str().unwrap_or("panic");
    let text = match panic.location() {
        Some(place) => Text::format(format_args!("{words}, at {}:{}", place.file(), place.line())),
        None => Text::from(words),
    };
    if let Ok(mut message) = record.panic_message.try_borrow_mut() {
        *message = text;
    }
}
