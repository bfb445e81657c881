//! Uses that come round.

use super::*;

const NOBODY: Borrower = Borrower { number: 7, is_ordinary: false, since_ns: 0 };

#[test]
fn no_lease_is_forgotten_when_the_uses_of_a_slot_come_round() {
    let slots = Slots::new(3, Memory { uses: true, ..Memory::default() }).unwrap();
    let (generation, now_ns) = (AtomicU32::new(0), AtomicU64::new(0));
    let plain = slots.plain(NOBODY.number, &generation, &now_ns);
    assert_eq!(slots.leases_begun(), 0);
    let last = slots.names.uses_of_a_round() - 1;
    let slot = slots.get(1);
    let begun_before = last - 70 - FIRST_USE;
    slot.word.store(slot.word.load(Relaxed) + begun_before * slots.names.one_use, Relaxed);
    slots.begin_life(1, Resource(std::ptr::without_provenance_mut(64)), Life { generation: 0, expires_ns: u64::MAX });
    slots.get(1).make_at_hand();
    let mut seen = std::collections::HashSet::new();
    let mut looked_at = 0;
    for begun in 1..=200 {
        let lease = match plain.begin_lease(1, Phase::AtHand) {
            Some((lease, _)) => lease,
            None => {
                looked_at += 1;
                slots.begin_lease(1, NOBODY)
            }
        };
        assert_eq!(slots.leases_begun(), begun_before + begun);
        assert!(seen.insert(lease.0), "each names one use");
        assert_eq!(plain.end_lease(lease, Phase::AtHand), Some(1));
        assert_eq!(plain.end_lease(lease, Phase::AtHand), None, "it has ended");
    }
    assert_eq!((looked_at, slots.uses_of_resource(1)), (4, 4), "the others were not to be remembered");
}

#[test]
fn what_a_slot_is_not_leased_as_is_no_lease_of_it() {
    let slots = Slots::new(3, Memory::default()).unwrap();
    for phase in PHASES {
        slots.get(2).set_phase(phase);
        let lease = Lease(slots.get(2).word.load(Relaxed));
        assert_eq!(slots.resource_of(lease).is_ok(), phase == Phase::Leased);
    }
}
