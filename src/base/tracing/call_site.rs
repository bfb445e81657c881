//! A call site: a call stack that many may share, in four bytes.

use super::modules::Place;
use super::symbols::Symbols;
use super::{is_on, stacks, unwind};
use std::fmt;

/// Where in the host's program something was asked for: a call stack that many may share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CallSite(u32);

impl CallSite {
    pub const NONE: Self = Self(0);

    /// The place that called into the library; NONE unless tracing is on.
    #[inline(always)]
    pub fn here() -> Self {
        if is_on() { Self::of_this_call() } else { Self::NONE }
    }

    #[cold]
    #[inline(never)]
    fn of_this_call() -> Self {
        Self(stacks::intern(unwind::capture().as_slice()))
    }

    /// The same site as a number that an atomic can hold, and back.
    #[inline]
    pub fn number(self) -> u32 {
        self.0
    }

    #[inline]
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Its frames, innermost first.
    pub fn frames(self) -> impl Iterator<Item = Place> {
        stacks::frames(self.0)
    }
}

/// For people, innermost frame first: in one line, or with `{:#}` one line for each frame.
impl fmt::Display for CallSite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => return formatter.write_str("(tracing was off)"),
            stacks::OTHERS => return formatter.write_str("(one of more call stacks than are kept)"),
            _ => {}
        }
        let (before, between) = if formatter.alternate() { ("        at ", "\n") } else { ("", " < ") };
        for (index, frame) in Symbols::default().of(*self).iter().enumerate() {
            let between = if index > 0 { between } else { "" };
            write!(formatter, "{between}{before}{frame}")?;
        }
        Ok(())
    }
}
