//! Idle buffers: those that a thread has at hand, and the way between there and where all find them.

use super::super::record::Chain;
use super::super::sizes::{self, MOST_CLASSES};
use super::super::stash::{List, SLICES, Stash};
use super::{Buffers, BuffersError};
use crate::base::alloc::OutOfMemory;
use crate::base::clock;
use std::sync::atomic::Ordering::*;

/// What a thread keeps at hand of one size: so many bytes, and so many buffers.
const STASH_BYTES: u64 = 256 << 10;
const STASH_BUFFERS: u32 = 32;

/// How many idle buffers of a size a thread keeps at hand; of large ones none.
const fn at_hand(class: usize) -> u32 {
    if class == SLICES {
        return STASH_BUFFERS;
    }
    let fit = STASH_BYTES / sizes::bytes_of(class);
    if fit < STASH_BUFFERS as u64 { fit as u32 } else { STASH_BUFFERS }
}

pub(super) const AT_HAND: [u32; MOST_CLASSES + 1] = {
    let mut most = [0; MOST_CLASSES + 1];
    let mut class = 0;
    while class < most.len() {
        most[class] = at_hand(class);
        class += 1;
    }
    most
};

impl Buffers {
    #[inline]
    pub(super) fn note(&self, class: usize, stash: Option<&Stash>, note: impl FnOnce(&List)) {
        match stash {
            Some(stash) => note(stash.list(class)),
            None => {
                let _alone = self.depots[class].lock();
                note(self.apart.list(class));
            }
        }
    }

    #[inline]
    pub(super) fn put_idle(&self, number: u32, class: usize, stash: Option<&Stash>) {
        let most = AT_HAND[class];
        match stash {
            Some(stash) if most > 0 => {
                let busy = stash.door.begin();
                let count = stash.list(class).push(&self.records, number);
                drop(busy);
                if count > most {
                    self.flush(class, stash);
                }
            }
            _ => {
                let mut one = Chain::EMPTY;
                one.push(&self.records, number);
                self.depots[class].lock().put(one, &self.records);
            }
        }
    }

    /// Takes half of what the thread has at hand to where all find it.
    #[cold]
    fn flush(&self, class: usize, stash: &Stash) {
        self.moving(|| {
            let list = stash.list(class);
            let busy = stash.door.begin();
            let mut rest = list.take_all();
            let mut kept = Chain::EMPTY;
            while kept.count < AT_HAND[class] / 2
                && let Some(number) = rest.pop(&self.records)
            {
                kept.push(&self.records, number);
            }
            list.fill(kept);
            drop(busy);
            self.depots[class].lock().put(rest, &self.records);
        });
    }

    /// A buffer from where all find them; a few more come with it.
    #[cold]
    pub(super) fn refill(&self, class: usize, stash: Option<&Stash>) -> Result<u32, BuffersError> {
        if self.closing.load(SeqCst) {
            // Who closes may have seen out what this thread had put back by then.
            self.tell_returned();
            return Err(BuffersError::Closed);
        }
        self.counters.last_used_ns.store(clock::now_ns(), Relaxed);
        let wanted = if stash.is_some() { (AT_HAND[class] / 2).max(1) } else { 1 };
        self.moving(|| {
            let mut taken = self.take(class, wanted);
            if taken.count == 0 {
                taken = self.grow(class, wanted).inspect_err(|_| {
                    self.counters.refused.fetch_add(1, Relaxed);
                })?;
            }
            let first = taken.pop(&self.records).ok_or(OutOfMemory { bytes: sizes::bytes_of(class) })?;
            if let Some(stash) = stash
                && taken.count > 0
            {
                let _busy = stash.door.begin();
                stash.list(class).fill(taken);
            }
            Ok(first)
        })
    }

    pub(super) fn take(&self, class: usize, most: u32) -> Chain {
        self.depots[class].lock().take(most, &self.records)
    }
}
