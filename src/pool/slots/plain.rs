//! Leases without anything to look at, one or many at once.

use super::super::stack::{Chain, Stack};
use super::{Lease, Names, PHASE, Phase, Resource, Slot};
use crate::base::sync::{AtomicU32, AtomicU64, Ordering::*};

/// The slots as one borrower uses them while there is nothing to look at, in its window. What a single use reads is read
/// where it is needed, which leaves the registers to others; a loop reads it once.
#[derive(Clone, Copy)]
pub struct PlainSlots<'a> {
    pub(super) slots: &'a [Slot],
    pub(super) names: &'a Names,
    pub(super) borrower: u32,
    /// Of resources that may be leased again.
    pub(super) generation: &'a AtomicU32,
    pub(super) now_ns: &'a AtomicU64,
}

impl PlainSlots<'_> {
    /// Leases a slot of the caller's in that phase, whose resource is of the present generation, unless this use is one to be
    /// looked at.
    #[inline(always)]
    pub fn begin_lease(self, number: u32, phase: Phase) -> Option<(Lease, Resource)> {
        self.begin_lease_at(number, phase, *self.names, || self.now_ns.load(Relaxed))
    }

    #[inline(always)]
    fn begin_lease_at(
        self,
        number: u32,
        phase: Phase,
        names: Names,
        now_ns: impl Fn() -> u64,
    ) -> Option<(Lease, Resource)> {
        let slot = self.slots.get(number as usize)?;
        let word = slot.word.load(Relaxed);
        if word & PHASE != phase as u64 || names.is_looked_at(word) {
            return None;
        }
        slot.borrower.store(self.borrower, Relaxed);
        slot.since_ns.store(now_ns() & !1, Relaxed);
        let leased = names.leased(word, phase);
        slot.word.store(leased, Release);
        Some((Lease(leased), Resource(slot.resource.load(Relaxed))))
    }

    /// Leases the first of these slots of the caller's, whose numbers stand in the leases, as long as none is to be looked
    /// at; tells how many.
    // A loop of its own, which has the registers for itself; so has the next.
    #[inline(never)]
    pub fn begin_leases(self, leases: &mut [Lease], resources: &mut [Resource]) -> usize {
        let (names, now_ns) = (*self.names, self.now_ns.load(Relaxed));
        let places = leases.iter_mut().zip(resources.iter_mut());
        let leased = places.map_while(|(lease, resource)| {
            (*lease, *resource) = self.begin_lease_at(lease.0 as u32, Phase::Idle, names, || now_ns)?;
            Some(())
        });
        leased.count()
    }

    /// Ends the first of these as long as there is nothing to look at, and puts their slots on that chain, idle; tells how
    /// many.
    #[inline(never)]
    pub fn end_leases(self, leases: &[Lease], stack: &Stack, chain: Chain) -> (usize, Chain) {
        let (names, generation, now_ns) = (*self.names, self.generation.load(Relaxed), self.now_ns.load(Relaxed));
        let Some(links) = stack.links(self.slots.len()) else { return (0, chain) };
        let mut top = chain.top();
        let ended = leases.iter().map_while(|lease| {
            let number = self.end_lease_at(*lease, Phase::Idle, names, || generation, || now_ns)?;
            links[number as usize].store(top, Relaxed);
            top = number;
            Some(())
        });
        let count = ended.count();
        let first = leases.first().map_or(top, |lease| names.number_of(*lease));
        (count, chain.with_more_on_top(top, first, count as u32))
    }

    /// Whether the resources of the slots whose numbers stand in these leases may be leased, as far as their generation tells.
    pub fn are_current(self, numbers: &[Lease]) -> bool {
        let generation = self.generation.load(Relaxed);
        let is_current = |slot: &Slot| slot.generation.load(Relaxed) == generation;
        numbers.iter().all(|number| self.slots.get(number.0 as usize).is_some_and(is_current))
    }

    /// Ends a lease of the borrower's, unless there is something to look at: its slot is in that phase from now on, and the
    /// caller puts the number where it belongs.
    #[inline(always)]
    pub fn end_lease(self, lease: Lease, phase: Phase) -> Option<u32> {
        let (generation, now_ns) = (|| self.generation.load(Relaxed), || self.now_ns.load(Relaxed));
        self.end_lease_at(lease, phase, *self.names, generation, now_ns)
    }

    #[inline(always)]
    fn end_lease_at(
        self,
        lease: Lease,
        phase: Phase,
        names: Names,
        generation: impl Fn() -> u32,
        now_ns: impl Fn() -> u64,
    ) -> Option<u32> {
        let (number, slot) = names.find(self.slots, lease)?;
        let is_plain = slot.borrower.load(Relaxed) == self.borrower
            && slot.generation.load(Relaxed) == generation()
            && slot.since_ns.load(Relaxed) & 1 == 0;
        if !is_plain {
            return None;
        }
        slot.since_ns.store(now_ns(), Relaxed);
        slot.word.store(lease.0 - Phase::Leased as u64 + phase as u64, Release);
        Some(number)
    }
}
