//! The library's clock in nanoseconds, and deadlines made from the timeouts that callers give. It is CLOCK_MONOTONIC,
//! until a test of the host's stops or moves it; it never goes backwards.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// Wait without bound.
pub const FOREVER: u64 = u64::MAX;
/// No test moves the clock further than this: 146 years.
const LATEST_NS: u64 = 1 << 62;

/// Whether the clock was ever stopped or moved. Until then nobody looks at its course.
static IS_MOVED: AtomicBool = AtomicBool::new(false);
static COURSE: Mutex<Course> = Mutex::new(Course { stops: 0, stands_at_ns: 0, ahead_ns: 0 });

/// How the library's clock goes.
struct Course {
    /// It stands while there are any.
    stops: u64,
    stands_at_ns: u64,
    /// While it runs: how far before CLOCK_MONOTONIC; behind it when below 0.
    ahead_ns: i64,
}

impl Course {
    fn now_ns(&self) -> u64 {
        if self.stops > 0 { self.stands_at_ns } else { monotonic_ns().saturating_add_signed(self.ahead_ns) }
    }

    fn run_on(&mut self) {
        if self.stops == 1 {
            self.ahead_ns = self.stands_at_ns as i64 - monotonic_ns() as i64;
        }
        self.stops = self.stops.saturating_sub(1);
    }
}

/// Nanoseconds of CLOCK_MONOTONIC.
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec; CLOCK_MONOTONIC exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Milliseconds of CLOCK_MONOTONIC as of the kernel's last tick: a few milliseconds behind, and quicker to read.
pub fn coarse_ms() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec; CLOCK_MONOTONIC_COARSE exists since Linux 2.6.32.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// The time by the library's clock.
pub fn now_ns() -> u64 {
    let now_ns = monotonic_ns();
    // Looked at last: who reads just before a stop has an earlier time than the one at which the clock stands.
    if IS_MOVED.load(Relaxed) { moved_now_ns() } else { now_ns }
}

#[cold]
fn moved_now_ns() -> u64 {
    COURSE.lock().now_ns()
}

/// Stops the clock. Each stop is ended by one [`run_on`].
pub fn stop() {
    IS_MOVED.store(true, SeqCst);
    let mut course = COURSE.lock();
    course.stands_at_ns = course.now_ns();
    course.stops += 1;
}

/// Lets the clock run on from where it stands, once every stop is ended. It does not make up for the time it stood.
pub fn run_on() {
    COURSE.lock().run_on();
}

/// Ends every stop there is.
pub fn run_on_at_last() {
    let mut course = COURSE.lock();
    course.stops = course.stops.min(1);
    course.run_on();
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("by_ns is {by_ns}, but must not take the clock further than 2^62 ns")]
pub struct TooFar {
    by_ns: u64,
}

/// Moves the clock forward, whether it stands or runs.
pub fn advance(by_ns: u64) -> Result<(), TooFar> {
    IS_MOVED.store(true, SeqCst);
    let mut course = COURSE.lock();
    if by_ns > LATEST_NS.saturating_sub(course.now_ns()) {
        return Err(TooFar { by_ns });
    }
    match course.stops {
        0 => course.ahead_ns += by_ns as i64,
        _ => course.stands_at_ns += by_ns,
    }
    Ok(())
}

/// How long a thread may sleep that waits for a deadline.
pub enum Sleep {
    Not,
    /// Until this moment of CLOCK_MONOTONIC.
    Until(u64),
    /// The deadline is never, or the clock stands: whoever moves it wakes the thread.
    Endless,
}

/// A moment of the library's clock, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    pub const NEVER: Self = Self(u64::MAX);
    pub const NOW: Self = Self(0);

    /// The moment `timeout_ns` from now; [`FOREVER`] (or anything that far) is never.
    pub fn after(timeout_ns: u64) -> Self {
        if timeout_ns == FOREVER { Self::NEVER } else { Self(now_ns().saturating_add(timeout_ns)) }
    }

    pub fn at(moment_ns: u64) -> Self {
        Self(moment_ns)
    }

    pub fn is_never(self) -> bool {
        self == Self::NEVER
    }

    pub fn moment_ns(self) -> u64 {
        self.0
    }

    pub fn has_passed(self) -> bool {
        !self.is_never() && now_ns() >= self.0
    }

    /// What remains, 0 when it has passed; `None` for never.
    pub fn remaining_ns(self) -> Option<u64> {
        (!self.is_never()).then(|| self.0.saturating_sub(now_ns()))
    }
    /// To be asked again whenever the clock was stopped, moved or let run.
    pub fn sleep(self) -> Sleep {
        if self.is_never() {
            Sleep::Endless
        } else if !IS_MOVED.load(Relaxed) {
            Sleep::Until(self.0)
        } else {
            self.sleep_by(&COURSE.lock())
        }
    }

    #[cold]
    fn sleep_by(self, course: &Course) -> Sleep {
        if course.stops == 0 {
            Sleep::Until(self.0.saturating_add_signed(course.ahead_ns.saturating_neg()))
        } else if course.stands_at_ns >= self.0 {
            Sleep::Not
        } else {
            Sleep::Endless
        }
    }
}
