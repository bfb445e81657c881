//! The close: nothing is leased any more, and everything that comes back is destroyed. It waits, and tells what is still out.

use super::borrowers::Holders;
use super::events::Event;
use super::numbers::Reason;
use super::pool::{CLOSED, DESTROYING, Pool, QUARANTINED};
use super::slots::{Claim, Phase, Resource};
use crate::base::callback;
use crate::base::cancel::{Cancel, WaitEnd};
use crate::base::clock::Deadline;
use std::fmt;
use std::sync::atomic::Ordering::*;

#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    #[error("a close from inside one of the pool's own callbacks, or the log's, would wait for itself")]
    InsideOwnCallback,
    #[error("{left}: the pool was destroyed by another thread")]
    Destroyed { left: Left },
    #[error("{left}: the pool was quarantined after a panic meanwhile, and only destroy is left")]
    Quarantined { left: Left },
    #[error("{left}: {end}{holders}")]
    Wait { left: Left, end: WaitEnd, holders: Holders },
}

/// What a close waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Leases that are out, or were revoked and are still with their holders.
    pub leases: u64,
    /// Resources that are being made.
    creates: u64,
    /// Resources that are with another callback, or about to be.
    others: u64,
}

impl fmt::Display for Left {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.leases {
            0 => write!(formatter, "no lease is out any more")?,
            1 => write!(formatter, "1 lease is still out")?,
            leases => write!(formatter, "{leases} leases are still out")?,
        }
        match self.creates {
            0 => {}
            1 => write!(formatter, ", 1 create is under way")?,
            creates => write!(formatter, ", {creates} creates are under way")?,
        }
        match self.others {
            0 => Ok(()),
            1 => write!(formatter, ", 1 resource is on its way out"),
            others => write!(formatter, ", {others} resources are on their way out"),
        }
    }
}

impl Pool {
    /// Leases nothing any more, and waits until everything is back and destroyed.
    pub fn close(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), CloseError> {
        if callback::waits_for_itself(self.owner) {
            return Err(CloseError::InsideOwnCallback);
        }
        self.begin_close();
        let ended = || {
            let left = self.left();
            if left == Left::default() {
                return Some(Ok(()));
            }
            // A destroy waits for no lease, and so not for this call either.
            if self.is(DESTROYING) {
                return Some(Err(CloseError::Destroyed { left }));
            }
            // Leases do not come back, and what a callback had that panicked is destroyed with the pool.
            self.is(QUARANTINED).then_some(Err(CloseError::Quarantined { left }))
        };
        self.ended
            .wait_until(deadline, cancel, ended)
            .unwrap_or_else(|end| Err(CloseError::Wait { left: self.left(), end, holders: self.holders(0) }))
    }

    pub(super) fn begin_close(&self) {
        let is_first = self.mode.fetch_or(CLOSED, SeqCst) & CLOSED == 0;
        self.recall();
        self.waiters.wake_all(self);
        self.warmed.wake_all();
        self.housekeeper.ring();
        if is_first {
            self.tell(Event::Closed, Resource::NONE);
        }
        self.destroy_idle();
    }

    fn left(&self) -> Left {
        let mut left = Left::default();
        for slot in self.slots.iter() {
            match slot.phase() {
                Phase::Vacant | Phase::Hollow => {}
                Phase::Leased => left.leases += 1,
                Phase::Creating => left.creates += 1,
                Phase::Returning | Phase::Idle | Phase::AtHand | Phase::Held | Phase::Unlinked => left.others += 1,
            }
        }
        // Afterwards, because what is revoked counts there before it counts no more here.
        left.leases += u64::from(self.revoked.count());
        left
    }

    #[cold]
    pub(super) fn destroy_idle(&self) {
        while let Some(number) = self.idle.pop() {
            match self.slots.get(number).claim() {
                Claim::Resource => {
                    self.destroy_resource(number, Reason::Closed);
                    self.vacate(number);
                }
                Claim::Hollow => self.vacate(number),
                Claim::Nothing => {}
            }
        }
    }
}
