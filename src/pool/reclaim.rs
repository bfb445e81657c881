//! What is taken back: a lease from a holder that may still be using its resource, and idle resources when memory is
//! needed elsewhere.

use super::events::Event;
use super::numbers::Reason;
use super::pool::Pool;
use super::slots::{Lease, Phase, Resource, StaleLease};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback;
use crate::base::thread::Caller;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// Leases that were revoked and whose holders have not come back yet, with what they hold.
#[derive(Default)]
pub(super) struct Revoked {
    first: Mutex<Option<Box<Held>>>,
    count: AtomicU32,
}

struct Held {
    lease: Lease,
    resource: Resource,
    next: Option<Box<Held>>,
}

// SAFETY: the resource is the host's, and only handed back to it.
unsafe impl Send for Held {}

impl Revoked {
    pub fn count(&self) -> u32 {
        self.count.load(SeqCst)
    }

    fn add(&self, mut held: Box<Held>) {
        let mut first = self.first.lock();
        held.next = first.take();
        *first = Some(held);
        self.count.fetch_add(1, SeqCst);
    }

    fn take(&self, lease: u64) -> Option<Resource> {
        let mut first = self.first.lock();
        let mut place = &mut *first;
        while place.as_ref().is_some_and(|held| held.lease.0 != lease) {
            place = &mut place.as_mut()?.next;
        }
        let held = place.take()?;
        *place = held.next;
        Some(held.resource)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    #[error(transparent)]
    Stale(#[from] StaleLease),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl Pool {
    /// Makes a lease stale. Its place in the pool is free for another resource; the one that it was for is not shared, and
    /// lives until its holder gives it back.
    pub fn revoke(&self, lease: Lease, me: Caller) -> Result<(), RevokeError> {
        let mut held = alloc::try_box(Held { lease, resource: Resource::NONE, next: None })?;
        let number = self.end_lease(lease, me)?;
        self.note_use(number);
        held.resource = self.slots.get(number).end_life();
        self.revoked.add(held);
        self.vacate(number);
        Ok(())
    }

    /// For a stale lease: its holder gives back what was taken from it.
    #[cold]
    pub(super) fn end_if_revoked(&self, stale: StaleLease) -> StaleLease {
        if self.revoked.count() == 0 {
            return stale;
        }
        let Some(resource) = self.revoked.take(stale.lease) else { return stale };
        self.tell(Event::Destroyed, resource);
        callback::run_destroy(self.owner, || self.factory.destroy(resource));
        self.note_destroyed(Reason::Discarded);
        self.revoked.count.fetch_sub(1, SeqCst);
        self.tell_ended();
        stale
    }

    /// Destroys idle resources above the least number until at most so many are idle, those first that were idle longest,
    /// as far as the pool tells their ages; tells how many went.
    pub fn trim(&self, keep_idle: u32) -> u32 {
        self.recall();
        let mut trimmed = 0;
        loop {
            let surplus =
                self.size().saturating_sub(self.limits.min_size()).min(self.ready().saturating_sub(keep_idle));
            if surplus == 0 || !self.trim_one() {
                return trimmed;
            }
            trimmed += 1;
        }
    }

    fn trim_one(&self) -> bool {
        if !self.ages {
            let Some((number, _)) = self.idle.pop(0) else { return false };
            self.destroy_resource(number, Reason::Idle);
            self.vacate(number);
            return true;
        }
        let idle = (0..self.config.capacity).filter(|number| self.slots.get(*number).phase() == Phase::Idle);
        let since = |number: u32| self.slots.get(number).since_ns.load(Relaxed);
        let Some(oldest) = idle.min_by_key(|number| since(*number)) else { return false };
        // When it was taken meanwhile, the caller looks again at what is left.
        self.retire(oldest, since(oldest), Reason::Idle) || self.ready() > 0
    }
}
