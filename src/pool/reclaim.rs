//! What is taken back: a lease from a holder that may still be using its resource, and idle resources when memory is
//! needed elsewhere.

use super::numbers::Reason;
use super::pool::Pool;
use super::slots::{Lease, Phase, Resource, StaleLease};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::thread::Caller;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// Leases that were revoked, or are being, and whose holders have not come back yet.
#[derive(Default)]
pub(super) struct Revoked {
    list: Mutex<List>,
    count: AtomicU32,
}

#[derive(Default)]
struct List {
    first: Option<Box<Held>>,
    last_turn: u64,
}

struct Held {
    /// Tells several who revoke the same lease apart.
    turn: u64,
    lease: Lease,
    /// None while the lease is being revoked.
    resource: Option<Resource>,
    /// Its holder came back meanwhile.
    is_back: bool,
    next: Option<Box<Held>>,
}

// SAFETY: the resource is the host's, and only handed back to it.
unsafe impl Send for Held {}

impl Revoked {
    pub fn count(&self) -> u32 {
        self.count.load(SeqCst)
    }

    fn begin(&self, lease: Lease) -> Result<u64, OutOfMemory> {
        let mut held = alloc::try_box(Held { turn: 0, lease, resource: None, is_back: false, next: None })?;
        let mut list = self.list.lock();
        list.last_turn += 1;
        held.turn = list.last_turn;
        held.next = list.first.take();
        list.first = Some(held);
        self.count.fetch_add(1, SeqCst);
        Ok(list.last_turn)
    }

    /// What was held is the caller's to destroy when its holder is back already.
    fn end(&self, turn: u64, resource: Option<Resource>) -> Option<Resource> {
        let mut list = self.list.lock();
        let place = place_of(&mut list.first, |held| held.turn == turn)?;
        let held = place.as_mut()?;
        held.resource = resource;
        if resource.is_some() && !held.is_back {
            return None;
        }
        *place = held.next.take();
        resource
    }

    /// A holder is back; what it held is the caller's to destroy, unless the lease is just being revoked.
    fn come_back(&self, lease: Lease) -> Option<Resource> {
        let mut list = self.list.lock();
        let Some(place) = place_of(&mut list.first, |held| held.lease == lease && held.resource.is_some()) else {
            let mut next = list.first.as_mut();
            while let Some(held) = next {
                held.is_back |= held.lease == lease;
                next = held.next.as_mut();
            }
            return None;
        };
        let held = place.as_mut()?;
        let resource = held.resource;
        *place = held.next.take();
        resource
    }

    /// After what was held is destroyed, or was not revoked at all.
    fn forget(&self) {
        self.count.fetch_sub(1, SeqCst);
    }
}

fn place_of(first: &mut Option<Box<Held>>, is_it: impl Fn(&Held) -> bool) -> Option<&mut Option<Box<Held>>> {
    let mut place = first;
    while !is_it(place.as_ref()?) {
        place = &mut place.as_mut()?.next;
    }
    Some(place)
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
        // Before the lease ends, so that its holder, and who waits for all to be back, never miss it.
        let turn = self.revoked.begin(lease)?;
        match self.end_lease(lease, me) {
            Ok(number) => {
                let has_share = self.has_share(number);
                self.note_use(number);
                let resource = self.slots.get(number).end_life();
                self.vacate(number);
                self.end_share(has_share);
                if let Some(resource) = self.revoked.end(turn, Some(resource)) {
                    self.destroy_revoked(resource);
                }
                Ok(())
            }
            Err(stale) => {
                self.revoked.end(turn, None);
                self.revoked.forget();
                self.tell_ended();
                Err(stale.into())
            }
        }
    }

    /// For a stale lease: its holder gives back what was taken from it.
    #[cold]
    pub(super) fn end_if_revoked(&self, stale: StaleLease) -> StaleLease {
        if self.revoked.count() > 0
            && let Some(resource) = self.revoked.come_back(Lease(stale.lease))
        {
            self.destroy_revoked(resource);
        }
        stale
    }

    fn destroy_revoked(&self, resource: Resource) {
        self.destroy_one(resource, Reason::Discarded);
        self.revoked.forget();
        self.tell_ended();
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
                // Somebody who may be overtaken may wait for what was at hand.
                self.after_idle();
                return trimmed;
            }
            trimmed += 1;
        }
    }

    fn trim_one(&self) -> bool {
        if !self.ages {
            let Some(number) = self.idle.pop() else { return false };
            self.destroy_resource(number, Reason::Idle);
            self.vacate(number);
            return true;
        }
        let since = |number: u32| self.slots.get(number).since_ns.load(Relaxed);
        loop {
            let idle = (0..self.config.capacity).filter(|number| self.slots.get(*number).phase() == Phase::Idle);
            let Some(oldest) = idle.min_by_key(|number| since(*number)) else { return false };
            // Unless it is taken meanwhile; then the next is looked for.
            if self.retire(oldest, since(oldest), Reason::Idle) {
                return true;
            }
        }
    }
}
