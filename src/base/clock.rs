//! Monotonic time in nanoseconds, and deadlines made from the timeouts that callers give.

/// Wait without bound.
pub const FOREVER: u64 = u64::MAX;

/// Nanoseconds of CLOCK_MONOTONIC.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec; CLOCK_MONOTONIC exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A moment of the monotonic clock, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    pub const NEVER: Self = Self(u64::MAX);

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
}
