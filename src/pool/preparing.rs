//! What a caller took is made ready to be leased: looked at, validated, given the settings that are wanted, or made.

use super::demand::Demand;
use super::numbers::Reason;
use super::pool::Pool;
use super::slots::{Borrower, Lease, Phase, Resource};
use super::waiters::Grant;
use super::waiting::AcquireError;
use crate::base::callback::{self, CallbackFailure};
use crate::base::clock;
use crate::base::injection::Callback;
use crate::base::log;
use crate::base::tracing::CallSite;
use std::sync::atomic::Ordering::*;

const MEASURED_USES: u64 = 256;

/// A slot of the caller's whose resource can be leased.
#[derive(Clone, Copy)]
pub(super) struct Prepared {
    pub number: u32,
    /// It was made for this caller.
    is_fresh: bool,
}

impl Prepared {
    const FRESH: u64 = 1 << 32;

    /// Stands where the lease will that is made of it.
    pub fn placeholder(self) -> Lease {
        Lease(u64::from(self.number) | if self.is_fresh { Self::FRESH } else { 0 })
    }

    pub fn behind(placeholder: Lease) -> Self {
        Self { number: placeholder.0 as u32, is_fresh: placeholder.0 & Self::FRESH != 0 }
    }
}

impl Pool {
    /// Leases what the caller took, with its share of the pool; see [`prepare`](Self::prepare).
    #[inline]
    pub(super) fn lease(
        &self,
        grant: Grant,
        demand: Demand,
        wait: &mut dyn FnMut(),
    ) -> Result<Option<(Lease, Resource)>, AcquireError> {
        Ok(self.prepare(grant, demand, wait)?.map(|prepared| self.lease_prepared(prepared, demand)))
    }

    #[inline]
    pub(super) fn lease_prepared(&self, prepared: Prepared, demand: Demand) -> (Lease, Resource) {
        if prepared.is_fresh {
            self.counters.fresh.fetch_add(1, Relaxed);
        }
        self.begin_lease(prepared.number, demand)
    }

    /// Makes what the caller took ready to be leased. Nothing when it was not fit any more, and another is to be waited for:
    /// then `wait` is called before anything is put down that might go to others.
    #[inline]
    pub(super) fn prepare(
        &self,
        grant: Grant,
        demand: Demand,
        wait: &mut dyn FnMut(),
    ) -> Result<Option<Prepared>, AcquireError> {
        let prepared = match grant {
            Grant::Idle(number) => match self.fault_of(number) {
                None => self.prepare_fit(number, demand).map(Some),
                Some(fault) => self.prepare_another(number, fault, demand, wait),
            },
            Grant::Vacant(number) => self.prepare_new(number, demand).map(Some),
        };
        if !matches!(prepared, Ok(Some(_))) {
            self.leave_reserve(demand.priority);
        }
        prepared
    }

    /// Gives a resource that is fit the settings that are wanted. One that cannot be given them goes, and only that one:
    /// what refuses may be the wish.
    #[inline]
    fn prepare_fit(&self, number: u32, demand: Demand) -> Result<Prepared, AcquireError> {
        if self.retags
            && let Err(failure) = self.retag(number, demand.tag)
        {
            self.destroy_resource(number, Reason::Reset);
            self.vacate(number);
            return Err(AcquireError::CreateFailed(failure));
        }
        Ok(Prepared { number, is_fresh: false })
    }

    /// Gives a resource the settings that are wanted.
    fn retag(&self, number: u32, wanted: u64) -> Result<(), CallbackFailure> {
        let (resource, tag) = (self.slots.get(number).resource(), self.slots.tag(number));
        if tag == wanted {
            return Ok(());
        }
        self.counters.retags.fetch_add(1, Relaxed);
        self.doomed_by_panic(number, || {
            callback::run_checked(self.owner, Callback::Retag, || self.factory.retag(resource, tag, wanted))
        })
        .inspect(|()| self.slots.set_tag(number, wanted))
        .inspect_err(|failure| {
            log::info(format_args!("{}: a resource could not be retagged: {failure}", self.config.name));
        })
    }

    /// Why an idle resource must not be leased again.
    #[inline]
    pub(super) fn fault_of(&self, number: u32) -> Option<Reason> {
        let wear = self.wear_of(number);
        if wear.is_none() && self.validates && !self.is_still_valid(number) {
            return Some(Reason::Invalid);
        }
        wear
    }

    /// Why a resource has had its last use.
    #[inline]
    pub(super) fn wear_of(&self, number: u32) -> Option<Reason> {
        if self.slots.get(number).generation() != self.generation.load(Relaxed) {
            return Some(Reason::Refreshed);
        }
        if self.wears { self.wear_by_age(number) } else { None }
    }

    fn wear_by_age(&self, number: u32) -> Option<Reason> {
        if self.config.max_uses > 0 && self.slots.uses_of_resource(number) >= self.config.max_uses {
            return Some(Reason::Used);
        }
        // By the housekeeper's clock.
        (self.config.max_lifetime_ns > 0 && self.slots.expires_ns(number) <= self.housekeeper.tick_ns())
            .then_some(Reason::Old)
    }

    /// In place of a resource with a fault, the next idle one without, else a new one.
    #[cold]
    fn prepare_another(
        &self,
        mut number: u32,
        mut fault: Reason,
        demand: Demand,
        wait: &mut dyn FnMut(),
    ) -> Result<Option<Prepared>, AcquireError> {
        loop {
            self.destroy_resource(number, fault);
            self.slots.get(number).set_phase(Phase::Creating);
            let Some(next) = self.take_idle(demand.tag, self.idle.here()) else { break };
            self.vacate(number);
            number = next;
            match self.fault_of(number) {
                Some(next_fault) => fault = next_fault,
                None => return self.prepare_fit(number, demand).map(Some),
            }
        }
        if self.config.creator_threads > 0 || !self.breaker.admits() {
            wait();
            self.vacate(number);
            return Ok(None);
        }
        self.prepare_new(number, demand).map(Some)
    }

    #[cold]
    fn is_still_valid(&self, number: u32) -> bool {
        let slot = self.slots.get(number);
        let trusted_ns = self.config.validate_after_ns;
        if trusted_ns > 0 && clock::now_ns().saturating_sub(slot.since_ns.load(Relaxed)) < trusted_ns {
            return true;
        }
        self.doomed_by_panic(number, || self.validate(slot.resource()))
    }

    /// Runs a callback for a resource of the caller's. One whose callback panics is destroyed when that may be.
    pub(super) fn doomed_by_panic<R>(&self, number: u32, body: impl FnOnce() -> R) -> R {
        let doom = Doom { pool: self, number };
        let result = body();
        std::mem::forget(doom);
        result
    }

    pub(super) fn validate(&self, resource: Resource) -> bool {
        match callback::run_checked(self.owner, Callback::Validate, || self.factory.validate(resource)) {
            Ok(()) => true,
            Err(failure) => {
                log::info(format_args!("{}: an idle resource is not valid any more: {failure}", self.config.name));
                false
            }
        }
    }

    fn prepare_new(&self, number: u32, demand: Demand) -> Result<Prepared, AcquireError> {
        self.create(number)?;
        Ok(Prepared { is_fresh: true, ..self.prepare_fit(number, demand)? })
    }

    /// The time of one use in so many is measured; the others begin at the housekeeper's last tick.
    #[inline(always)]
    pub(super) fn begin_lease(&self, number: u32, demand: Demand) -> (Lease, Resource) {
        let slot = self.slots.get(number);
        let is_measured = self.slots.uses(number).is_multiple_of(MEASURED_USES);
        let since_ns = if is_measured { clock::now_ns() | 1 } else { self.housekeeper.tick_ns() & !1 };
        let resource = slot.resource();
        let is_ordinary = self.reserve.is_there() && demand.is_ordinary();
        let borrower = Borrower { number: demand.borrower, is_ordinary, since_ns };
        let lease = self.slots.begin_lease(number, borrower);
        if demand.site != CallSite::NONE {
            self.sites.note(self.config.capacity, number, lease, demand.site);
        }
        (lease, resource)
    }
}

/// Leaves a resource to be destroyed, by the housekeeper or with the pool.
struct Doom<'a> {
    pool: &'a Pool,
    number: u32,
}

impl Drop for Doom<'_> {
    fn drop(&mut self) {
        self.pool.leaving.fetch_add(1, SeqCst);
        self.pool.doomed.push(self.number);
    }
}
