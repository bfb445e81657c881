//! The pockets of a pool: an idle resource stays at hand for the thread that used it last, so that a thread which leases
//! and releases in turn touches nothing that others do. No caller goes without while one lies in any pocket, and whoever
//! waits, pauses, resizes or closes has them all recalled first.

use super::demand::Demand;
use super::numbers::Reason;
use super::pool::Pool;
use super::slots::{Lease, Phase, PlainSlots, Resource, StaleLease};
use super::stack::{Chain, Stack};
use crate::base::pockets::{Place, Places, Pocket, Puttable, Window};
use crate::base::thread::{self, Caller, ThreadRecord};
use crate::base::tracing;
use std::sync::atomic::Ordering::*;

impl Places for Pool {
    fn visit(&self, each: &mut dyn FnMut(&dyn Place)) {
        thread::pockets(self.owner).for_each(|pocket| each(pocket));
        self.taps.visit(each);
    }
}

impl Pool {
    /// Leases what is at hand for a thread that is in its window, without anything to look at.
    #[inline(always)]
    pub fn acquire_in_window(&self, me: &ThreadRecord, pocket: &Pocket) -> Option<(Lease, Resource)> {
        if !self.is_plain || !self.pockets.is_open() || tracing::is_on() {
            return None;
        }
        let number = pocket.number(self.owner)?;
        let leased = self.plain_slots(me.number()).begin_lease(number, Phase::AtHand)?;
        pocket.clear();
        Some(leased)
    }

    /// Takes back what a thread that is in its window has leased, without anything to look at.
    #[inline(always)]
    pub fn release_in_window(&self, lease: Lease, me: &ThreadRecord, pocket: &Pocket) -> Option<()> {
        if !self.is_plain || !self.pockets.is_open() || !pocket.is_empty() {
            return None;
        }
        pocket.fill(self.owner, self.plain_slots(me.number()).end_lease(lease, Phase::AtHand)?);
        Some(())
    }

    #[inline(always)]
    pub(super) fn plain_slots(&self, borrower: u32) -> PlainSlots<'_> {
        self.slots.plain(borrower, &self.generation, self.housekeeper.tick())
    }

    /// Leases what is at hand, when it is fit.
    #[inline(always)]
    pub fn acquire_at_hand(&self, demand: Demand) -> Option<(Lease, Resource)> {
        let pocket = demand.caller.pocket(self.owner)?;
        let number = self.pockets.reach(pocket)?.take()?;
        self.lease_at_hand(number, demand, pocket)
    }

    /// Leases what the caller has taken from that place, where it was at hand, when it is fit.
    #[inline(always)]
    pub(super) fn lease_at_hand(&self, number: u32, demand: Demand, place: &impl Place) -> Option<(Lease, Resource)> {
        let mut number = number;
        if self.slots.is_looked_at(number) {
            self.note_peak(self.idle.depth());
            number = self.apart(number, demand.borrower, place);
        }
        match self.fault_of(number) {
            None => Some(self.begin_lease(number, demand)),
            Some(fault) => self.throw_away(number, fault),
        }
    }

    /// That resource, or an idle one instead of it when it shares its cache line with what somebody else uses: the two would
    /// slow down each other with every lease.
    #[cold]
    fn apart(&self, number: u32, borrower: u32, place: &impl Place) -> u32 {
        // Where idle ones grow old, others hold them for a moment. That is for what takes longer than a line takes to pass.
        if self.ages || !self.slots.is_beside_another(number, borrower) {
            return number;
        }
        // In a window, for which whoever finds nothing waits: two are in hand for a moment.
        let Some(window) = self.pockets.reach(place) else { return number };
        let Some((other, _)) = self.idle.stack().and_then(Stack::pop) else { return number };
        let is_better = !self.slots.is_beside_another(other, borrower);
        let (kept, left) = if is_better { (other, number) } else { (number, other) };
        self.put_where_all_find_it(left);
        drop(window);
        self.after_idle();
        kept
    }

    #[cold]
    fn throw_away(&self, number: u32, fault: Reason) -> Option<(Lease, Resource)> {
        self.destroy_resource(number, fault);
        self.vacate(number);
        None
    }

    /// For a slot of the caller's: keeps it at hand in that place, or puts it where all find it; what was at hand before
    /// goes there. False when nothing was put there.
    #[inline(always)]
    pub(super) fn put_at_hand<P: Puttable>(&self, number: u32, place: Option<&P>) -> bool {
        let reach = place.and_then(|place| self.pockets.reach(place));
        let displaced = reach.as_ref().map_or(Some(number), |reach| {
            self.slots.get(number).make_at_hand();
            reach.put(number)
        });
        // Inside the window, so that a recall never misses it on its way.
        displaced.inspect(|number| self.put_where_all_find_it(*number)).is_some()
    }

    /// For a slot of the caller's, which may have been at hand.
    pub(super) fn put_where_all_find_it(&self, number: u32) {
        self.slots.get(number).make_idle();
        self.push_idle(number);
    }

    pub(super) fn count_at_hand(&self) -> u32 {
        self.pockets.count(self)
    }

    /// Ends a lease, once. While the pockets are open those of a thread are its own to end, and anybody else shuts them
    /// first.
    #[inline(always)]
    pub(super) fn end_lease(&self, lease: Lease, me: Caller) -> Result<u32, StaleLease> {
        if !self.has_pockets {
            return self.slots.end_lease(lease);
        }
        match me.pocket(self.owner).and_then(|pocket| self.pockets.window(pocket)) {
            Some(Window::Open(_reach)) => {
                if let Some(number) = self.slots.end_own_lease(lease, me.number())? {
                    return Ok(number);
                }
            }
            Some(Window::Shut(_reach)) => return self.slots.end_lease(lease),
            None => {}
        }
        self.end_lease_of_another(lease)
    }

    /// Ends the first of these leases as long as they are the caller's own and there is nothing to look at, all in one
    /// window, and puts their slots on that chain, idle; tells how many.
    pub(super) fn end_plain_leases(&self, leases: &[Lease], me: Caller, chain: Chain) -> (usize, Chain) {
        let pocket = if self.is_plain { me.pocket(self.owner) } else { None };
        let window = pocket.and_then(|pocket| self.pockets.reach(pocket));
        match (window, self.idle.stack()) {
            (Some(_window), Some(stack)) => self.plain_slots(me.number()).end_leases(leases, stack, chain),
            _ => (0, chain),
        }
    }

    #[cold]
    fn end_lease_of_another(&self, lease: Lease) -> Result<u32, StaleLease> {
        self.pockets.while_shut(self, |number| self.put_where_all_find_it(number), || self.slots.end_lease(lease))
    }

    /// Puts what is in pockets among the idle ones, and lets nobody put more there for now. Whoever needs that calls it
    /// after what makes it necessary is visible: that it waits, or that the pool is paused or closed.
    pub(super) fn recall(&self) {
        self.pockets.recall(self, |number| self.put_where_all_find_it(number));
    }

    /// The same before something is done to the resource of a slot in the background.
    pub(super) fn recall_if_at_hand(&self, number: u32) {
        if self.slots.get(number).phase() == Phase::AtHand {
            self.recall();
            self.after_idle();
        }
    }

    /// The same for one who found nothing idle since that moment, when there may be anything to recall; tells whether it
    /// is worth while to look again.
    #[cold]
    pub(super) fn recall_some(&self, since: u32) -> bool {
        // Where it may be overtaken, its thread waits for what is in use in a pocket.
        let may_have_some = self.has_pockets && !self.barging.is_allowed() && self.pockets.may_have_some(since, self);
        if may_have_some {
            self.recall();
        }
        may_have_some || (self.has_pockets && self.idle.depth() > 0)
    }

    /// For a caller who was served from what all share without meeting anybody.
    #[inline]
    pub(super) fn note_calm(&self) {
        if self.has_pockets {
            self.pockets.note_calm(self, || self.may_open_pockets());
        }
    }

    pub(super) fn may_open_pockets(&self) -> bool {
        !self.waiters.anyone_insists() && self.mode.load(SeqCst) == 0 && !self.is_too_large()
    }
}
