//! Many at once: all or none are acquired, in one step of the idle set where that can be, and all are released in one.

use super::demand::Demand;
use super::pool::{CLOSED, Pool};
use super::preparing::Prepared;
use super::slots::{Lease, Phase, Resource, StaleLease};
use super::stack::Chain;
use super::waiters::Grant;
use super::waiting::AcquireError;
use crate::base::cancel::Cancel;
use crate::base::clock::Deadline;
use crate::base::thread::Caller;
use crate::base::tracing::CallSite;
use std::sync::atomic::Ordering::*;

impl Pool {
    /// Leases as many as there is room for in both, or none. The clock is read only to wait.
    pub fn acquire_many(
        &self,
        demand: Demand,
        deadline: impl FnOnce() -> Deadline,
        cancel: Option<&Cancel>,
        leases: &mut [Lease],
        resources: &mut [Resource],
    ) -> Result<(), AcquireError> {
        if self.acquire_many_now(demand, leases, resources)? {
            return Ok(());
        }
        let deadline = deadline();
        if self.breaker.is_open() {
            self.try_one(demand, deadline, cancel)?;
        }
        self.wait_and_lease(demand, leases.len() as u32, deadline, cancel, |grants, wait| {
            self.lease_all(grants, demand, leases, resources, wait)
        })
    }

    /// Leases so many when all of them are idle. False where they are to be waited for.
    pub(super) fn acquire_many_now(
        &self,
        demand: Demand,
        leases: &mut [Lease],
        resources: &mut [Resource],
    ) -> Result<bool, AcquireError> {
        let count = leases.len() as u32;
        let max_size = self.reserve.most(demand.priority, self.limits.max_size());
        if count > max_size {
            return Err(AcquireError::TooMany { count, max_size });
        }
        if self.is(CLOSED) {
            return Err(AcquireError::Closed);
        }
        let moment = self.pockets.moment();
        Ok(count == 0
            || self.take_all_idle(demand, leases, resources)
            || (self.recall_some(moment) && self.take_all_idle(demand, leases, resources)))
    }

    /// One resource is enough to try whether any can be made. It is not leased, and so this is no use of it.
    fn try_one(&self, demand: Demand, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), AcquireError> {
        let now = match self.take_now(demand)? {
            Some(grant) => self.prepare(grant, demand, &mut || {})?,
            None => None,
        };
        let one = match now {
            Some(one) => one,
            None => self
                .wait_and_lease(demand, 1, deadline, cancel, |grants, wait| self.prepare_first(grants, demand, wait))?,
        };
        self.give_back(Grant::Idle(one.number), demand.priority);
        Ok(())
    }

    /// The way without a callback and without a lock: every one is idle, and none can be unfit.
    fn take_all_idle(&self, demand: Demand, leases: &mut [Lease], resources: &mut [Resource]) -> bool {
        let may_need_more = self.ages
            || self.validates
            || self.config.min_idle > 0
            || self.reserve.is_there()
            || self.mode.load(SeqCst) != 0;
        if may_need_more || self.waiters.anyone_insists() {
            return false;
        }
        let slots = self.plain_slots(demand.borrower);
        // The numbers stand in the leases until those are made of them.
        let popped = self.idle.pop_all(leases.len(), |place, number| leases[place] = Lease(number.into()));
        let Some(left) = popped else { return false };
        if !slots.are_current(leases)
            || (self.wears && leases.iter().any(|number| self.wear_of(number.0 as u32).is_some()))
        {
            // Worn out, or of an earlier generation: back through the ordinary ways, which sort that out.
            for number in leases.iter().map(|number| number.0 as u32) {
                match self.wear_of(number) {
                    Some(reason) => {
                        self.slots.get(number).set_phase(Phase::Returning);
                        self.let_go(number, reason);
                    }
                    None => self.put_idle(number),
                }
            }
            return false;
        }
        self.note_peak(left);
        self.note_calm();
        let (mut leases, mut resources) = (leases, resources);
        loop {
            let is_plain = !self.wears && demand.site == CallSite::NONE;
            let plain = if is_plain { slots.begin_leases(leases, resources) } else { 0 };
            let (Some((lease, rest)), Some((resource, others))) =
                (leases[plain..].split_first_mut(), resources[plain..].split_first_mut())
            else {
                return true;
            };
            (*lease, *resource) = self.begin_lease(lease.0 as u32, demand);
            (leases, resources) = (rest, others);
        }
    }

    /// Leases what was granted. Nothing when one was not fit any more: then all are given back.
    pub(super) fn lease_all(
        &self,
        grants: &[Grant],
        demand: Demand,
        leases: &mut [Lease],
        resources: &mut [Resource],
        wait: &mut dyn FnMut(),
    ) -> Result<Option<()>, AcquireError> {
        for (place, grant) in grants.iter().enumerate() {
            let prepared = self.prepare(*grant, demand, wait);
            if let Ok(Some(one)) = prepared {
                leases[place] = one.placeholder();
                continue;
            }
            // None of them was leased, so this is no use of any.
            for placeholder in &leases[..place] {
                self.give_back(Grant::Idle(Prepared::behind(*placeholder).number), demand.priority);
            }
            grants[place + 1..].iter().for_each(|grant| self.give_back(*grant, demand.priority));
            return prepared.map(|_| None);
        }
        for (lease, resource) in leases.iter_mut().zip(resources.iter_mut()) {
            (*lease, *resource) = self.lease_prepared(Prepared::behind(*lease), demand);
        }
        Ok(Some(()))
    }

    /// Takes many resources back; tells how many leases were good, and of the first that was not.
    pub fn release_many(&self, mut leases: &[Lease], me: Caller) -> (u32, Result<(), StaleLease>) {
        let (mut released, mut result) = (0, Ok(()));
        let (mut chain, mut shares) = (Chain::default(), 0);
        loop {
            let plain;
            (plain, chain) = self.end_plain_leases(leases, me, chain);
            released += plain as u32;
            let Some((lease, rest)) = leases[plain..].split_first() else { break };
            leases = rest;
            match self.end_lease(*lease, me) {
                Ok(number) => {
                    released += 1;
                    shares += u32::from(self.has_share(number));
                    self.note_use(number);
                    if self.settle(number) {
                        self.note_idle_since(number);
                        self.slots.get(number).make_idle();
                        self.idle.link(&mut chain, number, self.slots.tag(number));
                    }
                }
                Err(stale) => result = result.and(Err(self.end_if_revoked(stale))),
            }
        }
        self.idle.push_chain(chain);
        self.after_idle();
        (0..shares).for_each(|_| self.end_share(true));
        (released, result)
    }
}
