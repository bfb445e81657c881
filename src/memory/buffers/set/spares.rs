//! Records that stand for nothing: a thread has some at hand, the set has the others.

use super::super::record::{Chain, Records};
use super::super::stash::{SLICES, Stash};
use super::at_hand::AT_HAND;
use super::{Buffers, BuffersError};

/// Records for slices that a thread takes at once.
const SPARES: u32 = 16;

/// Records that stand for nothing.
pub(super) struct Spares {
    pub idle: Chain,
    /// The first that was never used.
    pub fresh: u32,
}

impl Buffers {
    #[inline]
    pub(super) fn take_spare(&self, stash: Option<&Stash>) -> Result<u32, BuffersError> {
        let at_hand = stash.and_then(|stash| {
            let _busy = stash.door.begin();
            stash.list(SLICES).pop(&self.records)
        });
        if let Some(number) = at_hand {
            return Ok(number);
        }
        let mut taken = self.take_spares(if stash.is_some() { SPARES } else { 1 })?;
        let first = taken.pop(&self.records).ok_or(BuffersError::TooManyViews)?;
        if let Some(stash) = stash {
            let _busy = stash.door.begin();
            stash.list(SLICES).fill(taken);
        }
        Ok(first)
    }

    #[inline]
    pub(super) fn put_spare(&self, number: u32, stash: Option<&Stash>) {
        match stash {
            Some(stash) => {
                let list = stash.list(SLICES);
                let busy = stash.door.begin();
                let is_full = list.push(&self.records, number) > AT_HAND[SLICES];
                let too_many = if is_full { list.take_all() } else { Chain::EMPTY };
                drop(busy);
                if is_full {
                    self.put_spares(too_many);
                }
            }
            None => {
                let mut one = Chain::EMPTY;
                one.push(&self.records, number);
                self.put_spares(one);
            }
        }
    }

    /// So many records, or none.
    pub(super) fn take_spares(&self, count: u32) -> Result<Chain, BuffersError> {
        let mut spares = self.spares.lock();
        let mut taken = Chain::EMPTY;
        while taken.count < count {
            let next = match spares.idle.pop(&self.records) {
                Some(next) => Ok(next),
                None if spares.fresh == Records::MOST => Err(BuffersError::TooManyViews),
                None => {
                    let fresh = spares.fresh;
                    self.records.grow_to(fresh).map(|()| spares.fresh += 1).map(|()| fresh).map_err(Into::into)
                }
            };
            match next {
                Ok(number) => taken.push(&self.records, number),
                Err(error) => {
                    while let Some(number) = taken.pop(&self.records) {
                        spares.idle.push(&self.records, number);
                    }
                    return Err(error);
                }
            }
        }
        Ok(taken)
    }

    pub(super) fn put_spares(&self, mut chain: Chain) {
        let mut spares = self.spares.lock();
        while let Some(number) = chain.pop(&self.records) {
            spares.idle.push(&self.records, number);
        }
    }
}
