//! Release: takes a resource back, for the next who wants it, or lets it go.

use super::numbers::Reason;
use super::pool::{CLOSED, Pool};
use super::slots::{Lease, Phase, Resource, StaleLease};
use crate::base::callback;
use crate::base::clock;
use crate::base::injection::Callback;
use crate::base::log;
use crate::base::priority::Priority;
use crate::base::thread::Caller;
use std::sync::atomic::Ordering::*;

impl Pool {
    /// Takes a resource back, for the next who wants it.
    #[inline(always)]
    pub fn release(&self, lease: Lease, me: Caller) -> Result<(), StaleLease> {
        let number = self.end_lease(lease, me).map_err(|stale| self.end_if_revoked(stale))?;
        let has_share = self.has_share(number);
        self.note_use(number);
        if self.settle(number) {
            self.note_idle_since(number);
            if self.put_at_hand(number, me.pocket(self.owner)) {
                self.after_idle();
            }
        }
        self.end_share(has_share);
        Ok(())
    }

    /// Whether a released resource is kept. Otherwise it is on its way out.
    #[inline(always)]
    pub(super) fn settle(&self, number: u32) -> bool {
        if self.withdraw_surplus(number) {
            return false;
        }
        if let Some(reason) = self.wear_of(number).or_else(|| self.surplus()) {
            self.let_go(number, reason);
            return false;
        }
        if self.resets && !self.is(CLOSED) && !self.is_reset(number) {
            self.destroy_resource(number, Reason::Reset);
            self.vacate(number);
            return false;
        }
        true
    }

    #[inline]
    pub(super) fn note_use(&self, number: u32) {
        self.idle.note_use(number);
        let since_ns = self.slots.get(number).since_ns.load(Relaxed);
        if since_ns & 1 == 1 {
            let now_ns = clock::now_ns();
            self.counters.uses.note(now_ns.saturating_sub(since_ns));
            self.memory.last_used_ns.store(now_ns, Relaxed);
        }
    }

    /// Takes a resource back that nobody shall have any more. Another thread than the one that has the lease takes it
    /// away from that one.
    pub fn discard(&self, lease: Lease, me: Caller) -> Result<(), StaleLease> {
        let number = self.end_lease(lease, me).map_err(|stale| self.end_if_revoked(stale))?;
        self.throw_out(number, self.has_share(number));
        Ok(())
    }

    /// For who has ended its lease.
    pub(super) fn throw_out(&self, number: u32, has_share: bool) {
        self.note_use(number);
        self.destroy_resource(number, Reason::Discarded);
        self.vacate(number);
        self.end_share(has_share);
    }

    pub fn resource_of(&self, lease: Lease) -> Result<Resource, StaleLease> {
        self.slots.resource_of(lease)
    }

    /// Whether there are more resources than the pool keeps for nobody; then this one counts as leaving from now on.
    #[inline]
    fn surplus(&self) -> Option<Reason> {
        if !self.wears || self.config.soft_max_size == self.config.capacity || !self.waiters.is_empty() {
            return None;
        }
        // Of several that are released at once, as many go as there are too many.
        let leaving = self.leaving.fetch_add(1, SeqCst);
        if self.size().saturating_sub(leaving) > self.config.soft_max_size {
            return Some(Reason::Surplus);
        }
        self.leaving.fetch_sub(1, SeqCst);
        None
    }

    #[cold]
    fn is_reset(&self, number: u32) -> bool {
        let resource = self.slots.get(number).resource();
        let reset = || callback::run_checked(self.owner, Callback::Reset, || self.factory.reset(resource));
        match self.doomed_by_panic(number, reset) {
            Ok(()) => true,
            Err(failure) => {
                log::info(format_args!("{}: a resource could not be reset: {failure}", self.config.name));
                false
            }
        }
    }

    #[inline]
    pub(super) fn put_idle(&self, number: u32) {
        if self.withdraw_surplus(number) {
            return;
        }
        self.note_idle_since(number);
        self.put_where_all_find_it(number);
        self.after_idle();
    }

    #[inline]
    pub(super) fn push_idle(&self, number: u32) {
        self.idle.push(number, self.slots.tag(number));
    }

    /// To be called when something was put among the idle ones.
    #[inline]
    pub(super) fn after_idle(&self) {
        if self.is_too_large() {
            // A resize that came before has not seen it.
            self.withdraw_what_is_free();
        }
        if !self.waiters.is_empty() {
            self.serve();
        }
        // A close that came before has not seen it.
        if self.is(CLOSED) {
            self.destroy_idle();
        }
    }

    /// As exactly as this pool needs it: the housekeeper's tick costs no look at the clock.
    #[inline]
    pub(super) fn note_idle_since(&self, number: u32) {
        let is_exact = self.validates && self.config.validate_after_ns > 0;
        let now_ns = if is_exact { clock::now_ns() } else { self.housekeeper.tick_ns() };
        self.slots.get(number).since_ns.store(now_ns, Relaxed);
    }

    /// The slot's resource is gone.
    #[cold]
    pub(super) fn vacate(&self, number: u32) {
        self.put_vacant(number);
        self.after_vacant();
    }

    /// To be called when a slot has come free for a new resource.
    pub(super) fn after_vacant(&self) {
        if !self.waiters.is_empty() {
            self.serve();
            if self.breaker.is_open() {
                // Who waits may make something when the breaker's pause is over.
                self.waiters.wake_all(self);
            }
        }
        self.tell_ended();
        self.refill();
    }

    /// To be called when a close may have less to wait for.
    pub(super) fn tell_ended(&self) {
        if self.is(CLOSED) {
            self.ended.wake_all();
        }
    }

    /// The same without a word to those who wait.
    pub(super) fn put_vacant(&self, number: u32) {
        if self.is_too_large() && self.withdraw(number, None) {
            return;
        }
        self.slots.get(number).set_phase(Phase::Vacant);
        self.vacant.push(number);
    }

    /// Whether a lease that has just ended had a share of what is for everybody. It comes free after the resource, so that
    /// what is kept for others is not taken in its place.
    #[inline]
    pub(super) fn has_share(&self, number: u32) -> bool {
        self.reserve.is_there() && self.slots.get(number).borrower().is_ordinary
    }

    #[inline]
    pub(super) fn end_share(&self, has_share: bool) {
        if has_share {
            self.leave_reserve(Priority::Normal);
        }
    }

    /// A share of the pool is free for others.
    pub(super) fn leave_reserve(&self, priority: Priority) {
        if self.reserve.is_there() {
            self.reserve.leave(priority, 1);
            self.after_idle();
        }
    }
}
