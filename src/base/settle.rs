//! Waits until the library's own threads have nothing more to do at the time that it is.

use super::cancel::{Cancel, WaitEnd};
use super::{callback, clock, thread};
use std::time::Duration;

const LONGEST_LOOK_US: u64 = 200;

#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error("a wait until the library's threads sleep from inside a callback would wait for that callback")]
    InsideCallback,
    #[error("{0}: a thread of the library is at work, or in a callback")]
    Wait(WaitEnd),
}

/// The timeout is one of real time: the library's clock may stand.
pub fn settle(timeout_ns: u64, cancel: Option<&Cancel>) -> Result<(), SettleError> {
    if callback::inside_any() {
        return Err(SettleError::InsideCallback);
    }
    let begin_ns = clock::monotonic_ns();
    let mut pause_us = 1;
    loop {
        let sleeps = thread::sleeps_of_ours(clock::now_ns());
        if sleeps.is_some() && sleeps == thread::sleeps_of_ours(clock::now_ns()) {
            return Ok(());
        }
        if cancel.is_some_and(Cancel::is_signalled) {
            return Err(SettleError::Wait(WaitEnd::Cancelled));
        }
        if timeout_ns != clock::FOREVER && clock::monotonic_ns() - begin_ns >= timeout_ns {
            return Err(SettleError::Wait(WaitEnd::TimedOut));
        }
        // Nobody tells when a thread lies down: that would cost those who never ask.
        std::thread::sleep(Duration::from_micros(pause_us));
        pause_us = (pause_us * 2).min(LONGEST_LOOK_US);
    }
}
