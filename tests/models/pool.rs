//! The pool's hand-over: idle and vacant slots, waiters, leases, retirement.

#[path = "../../src/pool/by_node.rs"]
mod by_node;
#[path = "../../src/pool/cells/mod.rs"]
pub mod cells;
#[path = "../../src/pool/idle.rs"]
mod idle;
#[path = "../../src/pool/shelf.rs"]
mod shelf;
#[path = "../../src/pool/slots/mod.rs"]
pub mod slots;
#[path = "../../src/pool/stack.rs"]
pub mod stack;
#[path = "../../src/pool/waiters.rs"]
mod waiters;

use crate::base::clock::Deadline;
use crate::base::park::Parker;
use crate::base::priority::Priority;
use crate::explore;
use crate::memory::nodes::{self, Nodes};
use idle::IdleSet;
use shelf::Order;
use shuttle::thread;
use slots::{Borrower, Claim, Hold, Memory, Slots};
use stack::{Chain, Links, Stack};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::*};
use waiters::{Bell, Grant, Sleeper, Source, Waiters, Want};

/// The slots of a pool without callbacks, and who is in them.
struct Stable {
    slots: Slots,
    idle: Stack,
    waiters: Waiters,
    /// Tells two owners of one slot.
    riders: Vec<AtomicU32>,
    /// How many resources each slot has: 0 or 1.
    made: Vec<AtomicU32>,
    /// How many those without a high priority may have, and have.
    shares: u32,
    ordinary: shuttle::sync::atomic::AtomicU32,
}

impl Stable {
    fn new(count: u32) -> Arc<Self> {
        let stable = Self {
            slots: Slots::new(count, Memory::default()).unwrap(),
            idle: Stack::new(count).unwrap(),
            waiters: Waiters::default(),
            riders: (0..count).map(|_| AtomicU32::new(0)).collect(),
            made: (0..count).map(|_| AtomicU32::new(1)).collect(),
            shares: u32::MAX,
            ordinary: shuttle::sync::atomic::AtomicU32::new(0),
        };
        for number in 0..count {
            stable.put_idle(number);
        }
        Arc::new(stable)
    }

    fn take(&self) -> Option<Grant> {
        while let Some((number, _)) = self.idle.pop() {
            let made = &self.made[number as usize];
            match self.slots.get(number).claim() {
                Claim::Resource => {
                    assert_eq!(made.load(Relaxed), 1, "a slot without its resource is leased");
                    return Some(Grant::Idle(number));
                }
                Claim::Hollow => {
                    assert_eq!(made.fetch_add(1, Relaxed), 0, "a resource is forgotten");
                    return Some(Grant::Vacant(number));
                }
                Claim::Nothing => {}
            }
        }
        None
    }

    fn acquire(&self) -> u32 {
        let now = if self.waiters.is_empty() { self.take() } else { None };
        let grant = now.unwrap_or_else(|| {
            let parker = Parker::leaked();
            let waiter = self.waiters.enter(Sleeper::Thread(parker), want(1, Priority::Normal)).unwrap();
            self.waiters.serve(self);
            while waiter.verdict().is_none() {
                parker.park(Deadline::NEVER);
            }
            self.waiters.leave(&waiter, self)[0]
        });
        let number = number_of(grant);
        assert_eq!(self.riders[number as usize].fetch_add(1, Relaxed), 0, "two have one slot");
        number
    }

    fn release(&self, number: u32) {
        self.riders[number as usize].fetch_sub(1, Relaxed);
        self.put_idle(number);
        if !self.waiters.is_empty() {
            self.waiters.serve(self);
        }
    }

    /// As the housekeeper does, which saw the slot idle since that moment.
    fn retire(&self, number: u32, idle_since_ns: u64) {
        let slot = self.slots.get(number);
        match slot.hold_idle(idle_since_ns) {
            Hold::Taken => {
                assert_eq!(self.riders[number as usize].load(Relaxed), 0, "a leased resource is destroyed");
                assert_eq!(self.made[number as usize].fetch_sub(1, Relaxed), 1, "a resource is destroyed twice");
                if !slot.let_go_hollow() {
                    self.made[number as usize].fetch_add(1, Relaxed);
                    self.put_idle(number);
                }
            }
            Hold::Refused => {}
            Hold::Unlinked => self.put_idle(number),
        }
        if !self.waiters.is_empty() {
            self.waiters.serve(self);
        }
    }

    /// As the housekeeper does to the least number.
    fn refill(&self, number: u32) {
        let slot = self.slots.get(number);
        if slot.hold_hollow() {
            assert_eq!(self.made[number as usize].fetch_add(1, Relaxed), 0, "a resource is forgotten");
            if !slot.let_go_idle() {
                self.put_idle(number);
            }
            if !self.waiters.is_empty() {
                self.waiters.serve(self);
            }
        }
    }

    fn put_idle(&self, number: u32) {
        self.slots.get(number).make_idle();
        self.idle.push(number);
    }
}

fn want(count: u32, priority: Priority) -> Want {
    Want { count, priority, tag: 0, thread: 0, node: 0, insists: true, since_ns: 0 }
}

impl Source for Stable {
    fn admit(&self, want: &Want) -> bool {
        let one_more = |ordinary: u32| (ordinary + want.count <= self.shares).then_some(ordinary + want.count);
        want.priority == Priority::High || self.ordinary.fetch_update(SeqCst, SeqCst, one_more).is_ok()
    }

    fn dismiss(&self, want: &Want) {
        if want.priority != Priority::High {
            self.ordinary.fetch_sub(want.count, SeqCst);
        }
    }

    fn free(&self, _want: &Want) -> Option<Grant> {
        self.take()
    }

    fn refuses(&self, _want: &Want) -> bool {
        false
    }

    fn note_turn(&self, _waiting: usize) {}

    fn ring(&self, _bell: Bell) {}
}

impl Stable {
    /// A turn of somebody who wants two, again in the same place when what came the first time was not fit.
    fn drive_a_pair(&self, comes_again: bool) {
        let parker = Parker::leaked();
        let mut waiter = self.waiters.enter(Sleeper::Thread(parker), want(2, Priority::Normal)).unwrap();
        for is_fit in [!comes_again, true] {
            self.waiters.serve(self);
            while waiter.verdict().is_none() {
                parker.park(Deadline::NEVER);
            }
            let grants = self.waiters.leave(&waiter, self);
            if !is_fit {
                waiter = self.waiters.enter_again(&waiter).unwrap();
            }
            for grant in grants {
                let number = number_of(grant);
                assert_eq!(self.riders[number as usize].fetch_add(1, Relaxed), 0, "two have one slot");
                self.release(number);
            }
            if is_fit {
                return;
            }
        }
    }
}

#[test]
fn two_who_want_several_do_not_hold_up_one_another() {
    for comes_again in [false, true] {
        explore(move || {
            let stable = Stable::new(2);
            let teams: Vec<_> = (0..2)
                .map(|_| {
                    let stable = stable.clone();
                    thread::spawn(move || stable.drive_a_pair(comes_again))
                })
                .collect();
            let single = ride(&stable, 1);
            teams.into_iter().chain([single]).for_each(|team| team.join().unwrap());
            assert_eq!((stable.idle.depth(), stable.waiters.wanted()), (2, 0));
        });
    }
}

#[test]
fn who_comes_again_has_its_old_place() {
    explore(|| {
        let stable = Stable::new(1);
        let held = stable.acquire();
        let parker = Parker::leaked();
        let first = stable.waiters.enter(Sleeper::Thread(parker), want(1, Priority::Normal)).unwrap();
        let second = stable.waiters.enter(Sleeper::Thread(parker), want(1, Priority::Normal)).unwrap();
        let releaser = {
            let stable = stable.clone();
            thread::spawn(move || stable.release(held))
        };
        while first.verdict().is_none() {
            parker.park(Deadline::NEVER);
        }
        let grants = stable.waiters.leave(&first, &*stable);
        let again = stable.waiters.enter_again(&first).unwrap();
        stable.put_idle(number_of(grants[0]));
        stable.waiters.serve(&*stable);
        // The other one gets nothing first, or this would sleep for ever.
        while again.verdict().is_none() {
            parker.park(Deadline::NEVER);
        }
        assert_eq!(second.verdict(), None);
        stable.waiters.leave(&again, &*stable);
        stable.waiters.leave(&second, &*stable);
        releaser.join().unwrap();
    });
}

#[test]
fn many_are_popped_and_pushed_in_one_step() {
    explore(|| {
        let stack = Arc::new(Stack::new(4).unwrap());
        (0..4).for_each(|number| stack.push(number));
        let owners: Arc<Vec<AtomicU32>> = Arc::new((0..4).map(|_| AtomicU32::new(0)).collect());
        let takers: Vec<_> = (1..4)
            .map(|count| {
                let (stack, owners) = (stack.clone(), owners.clone());
                thread::spawn(move || {
                    let mut taken = [0; 3];
                    if stack.pop_all(count, |place, number| taken[place] = number).is_some() {
                        let mut chain = Chain::default();
                        for number in &taken[..count] {
                            assert_eq!(owners[*number as usize].fetch_add(1, Relaxed), 0, "two have one number");
                            thread::yield_now();
                            owners[*number as usize].fetch_sub(1, Relaxed);
                        }
                        taken[..count].iter().for_each(|number| stack.link(&mut chain, *number));
                        stack.push_chain(chain);
                    }
                })
            })
            .collect();
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        let mut left: Vec<u32> = std::iter::from_fn(|| stack.pop()).map(|(number, _)| number).collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3]);
    });
}

/// As many as there are threads, each with at most one: there is one for everybody, whatever moves from node to node.
#[test]
fn nobody_goes_without_while_one_lies_on_any_node() {
    for order in [Order::LastUsedFirst, Order::ByTag] {
        explore(move || {
            let links = Links::new(2).unwrap();
            let idle = IdleSet::new(order, Some(Arc::new(Nodes)), false, 2, &links).unwrap();
            (0..2).for_each(|number| idle.push(number, 0));
            let idle = Arc::new(idle);
            let threads: Vec<_> = (0..2)
                .map(|first| {
                    let idle = idle.clone();
                    thread::spawn(move || {
                        for node in (first..first + 3).map(|turn| turn % 2) {
                            let taken = idle.pop_for(0, node).expect("one lies on a shelf");
                            nodes::run_on(node);
                            idle.note_use(taken.slot);
                            idle.push(taken.slot, 0);
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(idle.depth(), 2);
        });
    }
}

fn number_of(grant: Grant) -> u32 {
    match grant {
        Grant::Idle(number) | Grant::Vacant(number) => number,
    }
}

fn ride(stable: &Arc<Stable>, turns: u32) -> thread::JoinHandle<()> {
    let stable = stable.clone();
    thread::spawn(move || {
        for _ in 0..turns {
            let number = stable.acquire();
            thread::yield_now();
            stable.release(number);
        }
    })
}

#[test]
fn nobody_waits_for_ever_and_nobody_shares() {
    explore(|| {
        let stable = Stable::new(1);
        let riders: Vec<_> = (0..3).map(|_| ride(&stable, 2)).collect();
        riders.into_iter().for_each(|rider| rider.join().unwrap());
        assert_eq!(stable.idle.depth(), 1);
        assert_eq!(stable.waiters.count(), 0);
    });
}

#[test]
fn two_slots_serve_three() {
    explore(|| {
        let stable = Stable::new(2);
        let riders: Vec<_> = (0..3).map(|_| ride(&stable, 2)).collect();
        riders.into_iter().for_each(|rider| rider.join().unwrap());
        assert_eq!(stable.idle.depth(), 2);
    });
}

#[test]
fn retirement_neither_takes_a_leased_slot_nor_loses_one() {
    explore(|| {
        let stable = Stable::new(2);
        let housekeeper = {
            let stable = stable.clone();
            thread::spawn(move || (0..2).for_each(|number| stable.retire(number, 0)))
        };
        let riders: Vec<_> = (0..2).map(|_| ride(&stable, 2)).collect();
        riders.into_iter().for_each(|rider| rider.join().unwrap());
        housekeeper.join().unwrap();
        // Every number is on the stack again, idle or hollow.
        let mut found: Vec<u32> = std::iter::from_fn(|| stable.idle.pop()).map(|(number, _)| number).collect();
        found.sort_unstable();
        assert_eq!(found, [0, 1]);
    });
}

#[test]
fn refill_in_place_neither_forgets_a_resource_nor_loses_a_slot() {
    explore(|| {
        let stable = Stable::new(2);
        let housekeeper = {
            let stable = stable.clone();
            thread::spawn(move || {
                (0..2).for_each(|number| stable.retire(number, 0));
                (0..2).for_each(|number| stable.refill(number));
            })
        };
        let riders: Vec<_> = (0..2).map(|_| ride(&stable, 2)).collect();
        riders.into_iter().for_each(|rider| rider.join().unwrap());
        housekeeper.join().unwrap();
        assert_eq!(stable.idle.depth(), 2);
    });
}

#[test]
fn retirement_that_is_called_off_leaves_the_resource() {
    explore(|| {
        let stable = Stable::new(1);
        let housekeeper = {
            let stable = stable.clone();
            // No slot is idle since then.
            thread::spawn(move || (0..2).for_each(|_| stable.retire(0, 1)))
        };
        ride(&stable, 2).join().unwrap();
        housekeeper.join().unwrap();
        assert_eq!(stable.idle.depth(), 1);
        assert_eq!(stable.made[0].load(Relaxed), 1);
    });
}

#[test]
fn waiter_that_leaves_gets_its_grant_or_nothing() {
    explore(|| {
        let stable = Stable::new(1);
        let held = stable.acquire();
        let impatient = {
            let stable = stable.clone();
            thread::spawn(move || {
                let waiter =
                    stable.waiters.enter(Sleeper::Thread(Parker::leaked()), want(1, Priority::Normal)).unwrap();
                stable.waiters.serve(&*stable);
                if let Some(grant) = stable.waiters.leave(&waiter, &*stable).pop() {
                    let number = number_of(grant);
                    assert_eq!(stable.riders[number as usize].fetch_add(1, Relaxed), 0);
                    stable.release(number);
                }
            })
        };
        stable.release(held);
        impatient.join().unwrap();
        assert_eq!(stable.idle.depth(), 1);
    });
}

#[test]
fn lease_ends_once() {
    explore(|| {
        let slots = Arc::new(Slots::new(1, Memory::default()).unwrap());
        let lease = slots.begin_lease(0, Borrower { number: 0, is_ordinary: false, since_ns: 0 });
        let enders: Vec<_> = (0..3)
            .map(|_| {
                let slots = slots.clone();
                thread::spawn(move || u32::from(slots.end_lease(lease).is_ok()))
            })
            .collect();
        assert_eq!(enders.into_iter().map(|ender| ender.join().unwrap()).sum::<u32>(), 1);
        let next = slots.begin_lease(0, Borrower { number: 0, is_ordinary: false, since_ns: 0 });
        assert!(slots.end_lease(lease).is_err(), "a lease of before ends the one of now");
        assert!(slots.resource_of(next).is_ok());
    });
}
