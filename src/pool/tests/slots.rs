//! The words of slots and their leases.

use super::super::slots::{Borrower, Lease, Life, Memory, Phase, Resource, Slots};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicU64};

const SOMEBODY: Borrower = Borrower { number: 7, is_ordinary: false, since_ns: 0 };

#[test]
fn no_lease_is_forgotten_when_the_uses_of_a_slot_come_round() {
    let slots = Slots::new(3, Memory { uses: true, ..Memory::default() }).unwrap();
    let (generation, now_ns) = (AtomicU32::new(0), AtomicU64::new(0));
    let plain = slots.plain(SOMEBODY.number, &generation, &now_ns);
    assert_eq!(slots.leases_begun(), 0);
    let before = slots.age(1, 70);
    slots.begin_life(1, Resource(std::ptr::without_provenance_mut(64)), Life { generation: 0, expires_ns: u64::MAX });
    slots.get(1).make_at_hand();
    let (mut seen, mut looked_at) = (HashSet::new(), 0);
    for begun in 1..=200 {
        let lease = match plain.begin_lease(1, Phase::AtHand) {
            Some((lease, _)) => lease,
            None => {
                looked_at += 1;
                slots.begin_lease(1, SOMEBODY)
            }
        };
        assert_eq!(slots.leases_begun(), before + begun);
        assert!(seen.insert(lease.0), "each names one use");
        assert_eq!(plain.end_lease(lease, Phase::AtHand), Some(1));
        assert_eq!(plain.end_lease(lease, Phase::AtHand), None, "it has ended");
    }
    assert_eq!((looked_at, slots.uses_of_resource(1)), (4, 4), "what nothing is remembered of is not counted");
}

#[test]
fn what_a_slot_is_not_leased_as_is_no_lease_of_it() {
    let slots = Slots::new(3, Memory::default()).unwrap();
    let lease = slots.begin_lease(2, SOMEBODY);
    assert!(slots.resource_of(lease).is_ok());
    for phase in [Phase::Vacant, Phase::Creating, Phase::Returning, Phase::Idle, Phase::Held, Phase::AtHand] {
        slots.get(2).set_phase(phase);
        let forged = Lease(lease.0 - Phase::Leased as u64 + phase as u64);
        assert!(slots.resource_of(forged).is_err() && slots.end_lease(forged).is_err());
        assert!(slots.resource_of(lease).is_err());
    }
}
