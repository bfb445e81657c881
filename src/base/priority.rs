//! The classes of those who wait for the same.

/// A place in a queue: all of a class go before any of the next, and within a class the oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Priority {
    Critical = 1,
    High = 2,
    Normal = 3,
    Low = 4,
    Batch = 5,
}

impl Priority {
    pub const COUNT: usize = 5;

    #[inline]
    pub fn rank(self) -> usize {
        self as usize - 1
    }
}
