//! Puts a thread to sleep until another wakes it: one futex word for each thread.

use super::clock::{Deadline, Sleep};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*, fence};

const EMPTY: u32 = 0;
const NOTIFIED: u32 = 1;
const PARKED: u32 = 2;
/// Looks at the word before the system call that sleeps: a few microseconds.
const LOOKS: u32 = 100;

/// A token that one thread waits for. A wake before the sleep is not lost; a stray wake is harmless, because every
/// waiter looks again at what it waits for.
#[derive(Debug)]
pub struct Parker {
    word: AtomicU32,
    /// How often its thread lay down.
    sleeps: AtomicU32,
    /// What it slept for last.
    until_ns: AtomicU64,
}

impl Parker {
    pub const fn new() -> Self {
        Self { word: AtomicU32::new(EMPTY), sleeps: AtomicU32::new(0), until_ns: AtomicU64::new(0) }
    }

    /// Sleeps until [`Parker::unpark`] or the deadline. Only the owning thread may call this. May return early.
    pub fn park(&self, deadline: Deadline) {
        // Waking a sleeper costs its waker more than these looks cost us.
        for _ in 0..LOOKS {
            if self.word.load(Relaxed) == NOTIFIED {
                break;
            }
            std::hint::spin_loop();
        }
        self.until_ns.store(deadline.moment_ns(), Relaxed);
        self.sleeps.store(self.sleeps.load(Relaxed).wrapping_add(1), Release);
        if self.word.compare_exchange(EMPTY, PARKED, AcqRel, Acquire).is_ok() {
            futex_wait(&self.word, PARKED, deadline);
        }
        self.word.swap(EMPTY, AcqRel);
    }

    /// While its thread sleeps and nobody has woken it: how often it lay down, and the moment for which it sleeps.
    pub fn sleep(&self) -> Option<(u32, u64)> {
        let sleeps = self.sleeps.load(Acquire);
        let is_asleep = self.word.load(Acquire) == PARKED;
        let until_ns = self.until_ns.load(Relaxed);
        fence(Acquire);
        (is_asleep && self.sleeps.load(Relaxed) == sleeps).then_some((sleeps, until_ns))
    }

    pub fn unpark(&self) {
        if self.word.swap(NOTIFIED, AcqRel) == PARKED {
            futex_wake(&self.word, 1);
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
    let moment = match deadline.sleep() {
        Sleep::Not => return,
        Sleep::Until(moment) => Some(moment),
        Sleep::Endless => None,
    };
    let absolute = moment.map(|moment| libc::timespec {
        tv_sec: (moment / 1_000_000_000) as libc::time_t,
        tv_nsec: (moment % 1_000_000_000) as libc::c_long,
    });
    let until = absolute.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
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
