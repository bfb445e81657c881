//! Puts a thread to sleep until another wakes it: one futex word for each thread.

use super::clock::Deadline;
use std::sync::atomic::{AtomicU32, Ordering::*};

const EMPTY: u32 = 0;
const NOTIFIED: u32 = 1;
const PARKED: u32 = 2;
/// Looks at the word before the system call that sleeps: a few microseconds.
const LOOKS: u32 = 100;

/// A token that one thread waits for. A wake before the sleep is not lost; a stray wake is harmless, because every
/// waiter looks again at what it waits for.
#[derive(Debug)]
pub struct Parker(AtomicU32);

impl Parker {
    pub const fn new() -> Self {
        Self(AtomicU32::new(EMPTY))
    }

    /// Sleeps until [`Parker::unpark`] or the deadline. Only the owning thread may call this. May return early.
    pub fn park(&self, deadline: Deadline) {
        // Waking a sleeper costs its waker more than these looks cost us.
        for _ in 0..LOOKS {
            if self.0.load(Relaxed) == NOTIFIED {
                break;
            }
            std::hint::spin_loop();
        }
        if self.0.compare_exchange(EMPTY, PARKED, AcqRel, Acquire).is_ok() {
            futex_wait(&self.0, PARKED, deadline);
        }
        self.0.swap(EMPTY, AcqRel);
    }

    pub fn unpark(&self) {
        if self.0.swap(NOTIFIED, AcqRel) == PARKED {
            futex_wake(&self.0, 1);
        }
    }
}

impl Default for Parker {
    fn default() -> Self {
        Self::new()
    }
}

/// Sleeps while `word` holds `expected`, at most until the deadline. May return early.
pub fn futex_wait(word: &AtomicU32, expected: u32, deadline: Deadline) {
    let moment = deadline.moment_ns();
    let absolute = libc::timespec {
        tv_sec: (moment / 1_000_000_000) as libc::time_t,
        tv_nsec: (moment % 1_000_000_000) as libc::c_long,
    };
    let until = if deadline.is_never() { std::ptr::null() } else { &raw const absolute };
    // SAFETY: the word outlives the call; FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, or null.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
            expected,
            until,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
}

/// Wakes at most `count` sleepers of `word`.
pub fn futex_wake(word: &AtomicU32, count: i32) {
    // SAFETY: FUTEX_WAKE only uses the address as a key.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, count) };
}
