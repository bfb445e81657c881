//! What a callback of the host answers when it fails.

use std::fmt;

/// The status with which a callback refused. What it is called is known to whoever called the callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Never 0.
    pub status: i32,
    pub told: Told,
}

/// How people are told of a status, behind the words of the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The words say it all.
    InWords,
    ByName(&'static str),
    /// It is one of the host's own.
    ByNumber,
}

impl Refusal {
    /// Of a failure that the library itself has words for.
    pub const IN_WORDS: Self = Self { status: -1, told: Told::InWords };
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.told {
            Told::InWords => Ok(()),
            Told::ByName(name) => write!(formatter, " ({name})"),
            Told::ByNumber => write!(formatter, " (status {})", self.status),
        }
    }
}
