//! What a set holds and did, and how many buffers are out.

use super::super::sizes::{self, MOST_CLASSES};
use super::super::stash::List;
use super::{Buffers, BuffersError};
use crate::base::tracing::Traced;
use crate::base::tracing::census::Census;
use std::sync::atomic::{AtomicU64, Ordering::*};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuffersStats {
    pub chunks: u64,
    pub mapped_bytes: u64,
    pub in_use: u64,
    pub in_use_bytes: u64,
    pub waste_bytes: u64,
    pub idle: u64,
    pub idle_bytes: u64,
    pub at_hand: u64,
    pub wrapped: u64,
    pub gets: u64,
    pub refused: u64,
    pub recalls: u64,
    pub trims: u64,
    pub step_downs: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    pub size_bytes: u64,
    pub in_use: u64,
    pub idle: u64,
    /// Of the idle ones, those that threads have at hand.
    pub at_hand: u64,
    pub waste_bytes: u64,
    pub gets: u64,
}

/// Lists on their way from one place to another, where a count would miss them or meet them twice.
#[derive(Default)]
pub(super) struct Moves {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Moves {
    fn during<R>(&self, body: impl FnOnce() -> R) -> R {
        self.begun.fetch_add(1, SeqCst);
        let result = body();
        self.ended.fetch_add(1, SeqCst);
        result
    }

    /// Looks while nothing moved, or says that something did.
    fn look<R>(&self, look: impl FnOnce() -> R) -> Option<R> {
        let ended = self.ended.load(SeqCst);
        if self.begun.load(SeqCst) != ended {
            return None;
        }
        let seen = look();
        (self.begun.load(SeqCst) == ended).then_some(seen)
    }
}

impl Buffers {
    /// Moves lists. Who waits for the last view could not count meanwhile, and looks again.
    pub(super) fn moving<R>(&self, body: impl FnOnce() -> R) -> R {
        let result = self.moves.during(body);
        self.tell_returned();
        result
    }

    /// Of one class: buffers in use, idle in the depot, at hand. Exact when nothing moves.
    pub(super) fn count(&self, class: usize) -> (u64, u64, u64) {
        let (buffers, idle) = {
            let depot = self.depots[class].lock();
            (depot.buffers(), depot.idle())
        };
        let at_hand = self.stashes.all().map(|stash| u64::from(stash.list(class).count())).sum::<u64>();
        (buffers.saturating_sub(idle + at_hand), idle, at_hand)
    }

    /// Buffers and wrapped memory that somebody views. `None`: something moves.
    pub(super) fn out(&self) -> Option<u64> {
        let buffers = self.moves.look(|| (0..MOST_CLASSES).map(|class| self.count(class).0).sum::<u64>())?;
        Some(buffers + self.counters.wrapped.load(SeqCst))
    }

    /// The same for people, who want a number.
    pub fn still_out(&self) -> u64 {
        let counted = || (0..MOST_CLASSES).map(|class| self.count(class).0).sum::<u64>();
        self.out().unwrap_or_else(|| counted() + self.counters.wrapped.load(SeqCst))
    }

    pub(super) fn in_use_bytes(&self) -> u64 {
        (0..MOST_CLASSES).map(|class| self.count(class).0 * sizes::bytes_of(class)).sum()
    }

    pub fn stats(&self) -> BuffersStats {
        let mut stats = BuffersStats::default();
        for class in 0..MOST_CLASSES {
            let of_class = self.class_stats(class as u64).unwrap_or_default();
            stats.in_use += of_class.in_use;
            stats.in_use_bytes += of_class.in_use * of_class.size_bytes;
            stats.idle += of_class.idle;
            stats.idle_bytes += of_class.idle * of_class.size_bytes;
            stats.at_hand += of_class.at_hand;
            stats.waste_bytes += of_class.waste_bytes;
            stats.gets += of_class.gets;
        }
        let chunks = self.chunks.lock();
        let counters = &self.counters;
        BuffersStats {
            chunks: chunks.count(),
            mapped_bytes: chunks.mapped_bytes(),
            step_downs: chunks.step_downs(),
            wrapped: counters.wrapped.load(SeqCst),
            refused: counters.refused.load(Relaxed),
            recalls: counters.recalls.load(Relaxed),
            trims: counters.trims.load(Relaxed),
            ..stats
        }
    }

    pub fn class_stats(&self, index: u64) -> Result<ClassStats, BuffersError> {
        let class = usize::try_from(index).ok().filter(|class| *class < MOST_CLASSES);
        let class = class.ok_or(BuffersError::NoSuchClass { index })?;
        let (in_use, idle, at_hand) = self.count(class);
        let lists = || self.stashes.all().chain([&self.apart]).map(|stash| stash.list(class));
        let waste_bytes = lists().fold(0u64, |sum, list| sum.wrapping_add(list.waste()));
        let size_bytes = sizes::bytes_of(class);
        Ok(ClassStats {
            size_bytes,
            in_use,
            idle: idle + at_hand,
            at_hand,
            // Of a moment that was none: a release may be counted before its get.
            waste_bytes: if waste_bytes > in_use * size_bytes { 0 } else { waste_bytes },
            gets: lists().map(List::gets).sum(),
        })
    }
}

impl Census for Buffers {
    fn each_traced(&self, each: &mut dyn FnMut(Traced)) {
        self.traces.each(&self.records, self.account.tracing_keeper(), each);
    }
}
