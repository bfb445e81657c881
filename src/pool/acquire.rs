//! Acquire: takes what is free, an idle resource first, else a place for a new one.

use super::demand::Demand;
use super::idle::Popped;
use super::pool::{CLOSED, PAUSED, Pool};
use super::slots::{Claim, Lease, Phase, Resource};
use super::waiters::{Bell, Grant, Source, Want};
use super::waiting::AcquireError;
use crate::base::callback;
use crate::base::priority::Priority;
use std::sync::atomic::Ordering::*;

impl Pool {
    pub fn try_acquire(&self, demand: Demand) -> Result<(Lease, Resource), AcquireError> {
        self.acquire_now_from_all(demand)?.ok_or_else(|| {
            if self.is(PAUSED) {
                AcquireError::Paused
            } else if self.has_nothing() {
                self.breaker_open()
            } else if self.vacant.depth() > 0 {
                AcquireError::NoneIdle
            } else {
                AcquireError::Exhausted { max_size: self.limits.max_size() }
            }
        })
    }

    /// The same as [`acquire_now`](Self::acquire_now) for one that does not wait, and gets what is in use in a pocket as well.
    fn acquire_now_from_all(&self, demand: Demand) -> Result<Option<(Lease, Resource)>, AcquireError> {
        let moment = self.pockets.moment();
        let now = self.acquire_now(demand)?;
        if now.is_some() || !self.barging.is_allowed() || !self.pockets.may_have_some(moment, self) {
            return Ok(now);
        }
        self.shut_for_now();
        let now = self.acquire_now(demand);
        self.after_idle();
        self.reopen();
        now
    }

    /// Leases an idle resource, else a new one. Nothing when there is none to be had, or when others came first.
    pub fn acquire_now(&self, demand: Demand) -> Result<Option<(Lease, Resource)>, AcquireError> {
        if let Some(leased) = self.acquire_at_hand(demand) {
            return Ok(Some(leased));
        }
        match self.take_now(demand)? {
            Some(grant) => {
                self.note_calm();
                self.lease(grant, demand, &mut || {})
            }
            None => Ok(None),
        }
    }

    /// Takes an idle resource or a place for one, with its share of the pool. Nothing when there is none to be had, or when
    /// others came first.
    #[inline]
    pub(super) fn take_now(&self, demand: Demand) -> Result<Option<Grant>, AcquireError> {
        if self.is(CLOSED) {
            return Err(AcquireError::Closed);
        }
        if self.waiters.anyone_insists() || !self.reserve.enter(demand.priority, 1, self.limits.max_size()) {
            return Ok(None);
        }
        let taken = self.take(demand.tag, self.idle.here());
        if taken.is_none() {
            self.leave_reserve(demand.priority);
        }
        Ok(taken)
    }

    /// Takes what is free for one on that node: an idle slot first, else a vacant one. It is the caller's then.
    #[inline]
    fn take(&self, tag: u64, node: u32) -> Option<Grant> {
        if self.is(PAUSED) {
            return None;
        }
        self.take_idle(tag, node).map(Grant::Idle).or_else(|| self.take_vacant().map(Grant::Vacant))
    }

    #[inline]
    pub(super) fn take_idle(&self, tag: u64, node: u32) -> Option<u32> {
        loop {
            let moment = self.pockets.moment();
            while let Some(Popped { slot, left, from }) = self.idle.pop_for(tag, node) {
                if self.claim(slot) {
                    self.idle.note_taken(node, from, 1);
                    if let Some(left) = left {
                        self.note_peak(left);
                        if left < self.config.min_idle {
                            self.refill();
                        }
                    }
                    return Some(slot);
                }
            }
            if !self.recall_some(moment) {
                return None;
            }
        }
    }

    /// Whether a number that was taken from among the idle ones is the caller's, with its resource.
    #[inline]
    pub(super) fn claim(&self, number: u32) -> bool {
        // Without an age nobody but its popper moves an idle slot.
        let claim = if self.ages { self.slots.get(number).claim() } else { Claim::Resource };
        if claim == Claim::Hollow {
            self.put_vacant(number);
            self.tell_ended();
            self.refill();
        }
        claim == Claim::Resource
    }

    /// Whether a caller that is not held up can make what it needs.
    fn may_make_one(&self) -> bool {
        self.config.creator_threads == 0 && self.vacant.depth() > 0 && !self.breaker.is_open()
    }

    /// Only where callers make what they need.
    fn take_vacant(&self) -> Option<u32> {
        if self.config.creator_threads > 0 {
            return None;
        }
        let (number, _) = self.vacant.pop()?;
        if !self.breaker.admits() {
            self.vacant.push(number);
            return None;
        }
        self.slots.get(number).set_phase(Phase::Creating);
        self.note_peak(self.idle.depth());
        Some(number)
    }

    /// What is in use is what is neither vacant nor idle, both of which know their depth, nor in a pocket.
    #[inline]
    pub(super) fn note_peak(&self, idle: u32) {
        let circulating = self.limits.circulating();
        let not_free = circulating.saturating_sub(self.vacant.depth() + idle);
        if not_free > self.counters.peak_in_use.load(Relaxed) {
            self.raise_peak();
        }
    }

    #[cold]
    fn raise_peak(&self) {
        // In this order, so that what is recalled meanwhile counts as free twice and not as in use.
        let at_hand = self.count_at_hand();
        let free = self.vacant.depth() + self.idle.depth() + at_hand;
        self.counters.peak_in_use.fetch_max(self.limits.circulating().saturating_sub(free), Relaxed);
    }

    /// What was granted to a demand of that priority is not used.
    pub(super) fn give_back(&self, grant: Grant, priority: Priority) {
        match grant {
            Grant::Idle(number) => self.put_idle(number),
            Grant::Vacant(number) => self.vacate(number),
        }
        self.leave_reserve(priority);
    }
}

impl Source for Pool {
    fn admit(&self, want: &Want) -> bool {
        self.reserve.enter(want.priority, want.count, self.limits.max_size())
    }

    fn dismiss(&self, want: &Want) {
        self.reserve.leave(want.priority, want.count);
    }

    fn free(&self, want: &Want) -> Option<Grant> {
        self.take(want.tag, want.node)
    }

    fn refuses(&self, want: &Want) -> bool {
        let is_free = || !self.is(PAUSED) && (self.idle.depth() > 0 || self.may_make_one());
        self.overload.is_watched() && is_free() && self.overload.is_too_late(want.since_ns)
    }

    fn note_turn(&self, waiting: usize) {
        self.overload.note_turn(waiting > 0);
    }

    fn ring(&self, bell: Bell) {
        callback::run(self.owner, || self.factory.ring(bell));
    }
}
