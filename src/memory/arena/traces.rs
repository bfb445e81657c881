//! The spans of a chunk that tracing follows: a sample of them, each until what was allocated from there on is freed.

use super::super::governor::Account;
use crate::base::alloc;
use crate::base::tracing::{self, Token};

/// In the order in which they were cut.
#[derive(Debug, Default)]
pub struct Traces(Vec<(u64, Token)>);

impl Traces {
    /// Without memory for it the span is not followed.
    pub fn add(&mut self, offset: u64, token: Token) {
        match alloc::try_reserve_one(&mut self.0) {
            Ok(()) => self.0.push((offset, token)),
            Err(_) => tracing::untrack(token),
        }
    }

    /// Ends those of spans that begin at an offset or behind it.
    pub fn cut_to(&mut self, offset: u64) {
        while let Some((_, token)) = self.0.pop_if(|(start, _)| *start >= offset) {
            tracing::untrack(token);
        }
    }

    pub fn hand_over(&self, to: &Account) {
        self.0.iter().for_each(|(_, token)| tracing::hand_over(*token, to.tracing_keeper()));
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        self.cut_to(0);
    }
}
