//! Pockets: a number is one thread's at a time, nobody goes without while one lies in a pocket, and who needs them shut has
//! them shut.

use crate::base::Owner;
use crate::base::pockets::{Place, Places, Pocket, Pockets, Puttable, Reach, Window};
use crate::base::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use crate::explore;
use crate::pool::slots::{Borrower, Hold, Lease, Memory, Phase, PlainSlots, Slots};
use crate::pool::stack::Stack;
use shuttle::thread;
use std::sync::Arc;

const THREADS: usize = 2;

/// A place with room for two, as a tap is.
struct Tap {
    busy: AtomicU64,
    numbers: [AtomicU32; 2],
    count: AtomicU32,
}

impl Place for Tap {
    fn busy(&self) -> &AtomicU64 {
        &self.busy
    }

    fn count(&self, _owner: Owner) -> u32 {
        self.count.load(Acquire)
    }

    fn take(&self, _owner: Owner) -> Option<u32> {
        let left = self.count.load(Acquire).checked_sub(1)?;
        let number = self.numbers[left as usize].load(Relaxed);
        self.count.store(left, Release);
        Some(number)
    }
}

impl Puttable for Tap {
    fn put(&self, _owner: Owner, number: u32) -> Option<u32> {
        let count = self.count.load(Relaxed);
        let Some(place) = self.numbers.get(count as usize) else { return Some(number) };
        place.store(number, Relaxed);
        self.count.store(count + 1, Release);
        None
    }
}

/// The borrower that stands for the tap.
const TAP: u32 = 99;

/// A pool of numbers, with nothing but pockets, a tap and a stack.
struct Barn {
    pockets: Pockets,
    places: Vec<Pocket>,
    tap: Tap,
    idle: Stack,
    slots: Slots,
    /// Tells two users of one number.
    users: Vec<AtomicU32>,
    closed: AtomicU32,
    has_shut: AtomicBool,
    generation: AtomicU32,
    tick_ns: AtomicU64,
}

impl Places for Barn {
    fn visit(&self, each: &mut dyn FnMut(&dyn Place)) {
        self.places.iter().for_each(|place| each(place));
        each(&self.tap);
    }
}

impl Barn {
    fn new(count: u32) -> Arc<Self> {
        let barn = Self {
            pockets: Pockets::new(Owner(7)),
            places: (0..THREADS).map(|_| Pocket::EMPTY).collect(),
            tap: Tap { busy: AtomicU64::new(0), numbers: [const { AtomicU32::new(0) }; 2], count: AtomicU32::new(0) },
            idle: Stack::new(count).unwrap(),
            slots: Slots::new(count, Memory::default()).unwrap(),
            users: (0..count).map(|_| AtomicU32::new(0)).collect(),
            closed: AtomicU32::new(0),
            has_shut: AtomicBool::new(false),
            generation: AtomicU32::new(0),
            tick_ns: AtomicU64::new(0),
        };
        (0..count).for_each(|number| barn.idle.push(number));
        Arc::new(barn)
    }

    /// As if all had been calm for a while.
    fn open(&self) {
        for _ in 0..40 {
            self.pockets.note_calm(self, || self.closed.load(SeqCst) == 0);
        }
    }

    fn recall(&self) {
        self.pockets.recall(self, |number| self.idle.push(number));
    }

    fn acquire(&self, me: usize) -> Option<u32> {
        let at_hand = self.pockets.reach(&self.places[me]).and_then(|reach| reach.take());
        let number = at_hand.or_else(|| {
            loop {
                let moment = self.pockets.moment();
                if let Some((number, _)) = self.idle.pop() {
                    return Some(number);
                }
                if self.pockets.may_have_some(moment, self) {
                    self.recall();
                } else if self.idle.depth() == 0 {
                    return None;
                }
            }
        })?;
        assert_eq!(self.users[number as usize].fetch_add(1, Relaxed), 0, "two have one number");
        Some(number)
    }

    fn release(&self, me: usize, number: u32) {
        self.users[number as usize].fetch_sub(1, Relaxed);
        let left = match self.pockets.reach(&self.places[me]) {
            Some(reach) => reach.put(number),
            None => Some(number),
        };
        if let Some(number) = left {
            self.idle.push(number);
        }
    }

    /// As src/pool/at_hand.rs does.
    fn end_lease(&self, lease: Lease, me: usize) -> bool {
        match self.pockets.window(&self.places[me]) {
            Some(Window::Open(_reach)) => match self.slots.end_own_lease(lease, me as u32 + 1) {
                Ok(Some(_)) => return true,
                Ok(None) => {}
                Err(_) => return false,
            },
            Some(Window::Shut(_reach)) => return self.slots.end_lease(lease).is_ok(),
            None => {}
        }
        let end = || self.slots.end_lease(lease).is_ok();
        self.pockets.while_shut(self, |number| self.idle.push(number), end)
    }
}

#[test]
fn number_is_one_threads_at_a_time() {
    explore(|| {
        let barn = Barn::new(2);
        barn.open();
        let riders: Vec<_> = (0..THREADS)
            .map(|me| {
                let barn = barn.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        // There are as many numbers as there are threads.
                        let number = barn.acquire(me).expect("nobody goes without");
                        barn.release(me, number);
                    }
                })
            })
            .collect();
        riders.into_iter().for_each(|rider| rider.join().unwrap());
        barn.recall();
        assert_eq!(barn.idle.depth(), 2, "a number is lost");
    });
}

#[test]
fn nobody_goes_without_while_one_lies_in_a_pocket() {
    explore(|| {
        let barn = Barn::new(1);
        barn.open();
        let number = barn.acquire(0).unwrap();
        barn.release(0, number);
        let other = barn.clone();
        let got = thread::spawn(move || {
            let number = other.acquire(1);
            if let Some(number) = number {
                other.release(1, number);
            }
            number
        });
        // Its own thread may be using it at this moment.
        let mine = barn.acquire(0);
        if let Some(number) = mine {
            barn.release(0, number);
        }
        let theirs = got.join().unwrap();
        assert!(mine.is_some() || theirs.is_some());
        assert_eq!(barn.acquire(1), Some(0));
    });
}

/// As a tap does whose user wants many at once, and as one does that is closed.
#[test]
fn nobody_goes_without_while_a_tap_is_emptied() {
    explore(|| {
        let barn = Barn::new(2);
        barn.open();
        for number in [0, 1] {
            assert!(barn.idle.pop().is_some());
            assert_eq!(barn.pockets.reach(&barn.tap).unwrap().put(number), None);
        }
        let user = barn.clone();
        let emptied = thread::spawn(move || {
            if let Some(reach) = user.pockets.reach(&user.tap) {
                let numbers: Vec<_> = std::iter::from_fn(|| reach.take()).collect();
                numbers.into_iter().for_each(|number| user.idle.push(number));
            }
        });
        assert!(barn.acquire(1).is_some(), "one of two was free all the time");
        emptied.join().unwrap();
    });
}

#[test]
fn nobody_goes_without_while_another_recalls() {
    explore(|| {
        let barn = Barn::new(1);
        barn.open();
        let number = barn.acquire(0).unwrap();
        barn.release(0, number);
        // One who needs them shut for a reason of its own, and takes nothing.
        let recaller = barn.clone();
        let recall = thread::spawn(move || recaller.recall());
        assert_eq!(barn.acquire(1), Some(0), "it was free all the time");
        recall.join().unwrap();
    });
}

#[test]
fn who_needs_them_shut_has_them_shut() {
    explore(|| {
        let barn = Barn::new(1);
        let (user, opener) = (barn.clone(), barn.clone());
        let users = [
            thread::spawn(move || {
                for _ in 0..2 {
                    if let Some(number) = user.acquire(0) {
                        user.release(0, number);
                    }
                }
            }),
            thread::spawn(move || opener.open()),
        ];
        barn.closed.store(1, SeqCst);
        barn.recall();
        users.into_iter().for_each(|user| user.join().unwrap());
        assert!(barn.pockets.are_shut(), "they were opened again");
        assert_eq!(barn.idle.depth(), 1, "a number was put into a pocket afterwards");
    });
}

/// As src/pool/barging.rs does; `closed` counts those who insist.
impl Barn {
    fn insist(&self) {
        self.closed.fetch_add(1, SeqCst);
        if self.pockets.shut(self, |number| self.idle.push(number)) {
            self.has_shut.store(true, SeqCst);
        }
    }

    fn leave(&self) {
        self.closed.fetch_sub(1, SeqCst);
        let may_open = || self.closed.load(SeqCst) == 0;
        while may_open() && self.has_shut.swap(false, SeqCst) {
            if self.pockets.reopen(self, may_open) {
                return;
            }
            self.has_shut.store(true, SeqCst);
        }
    }
}

#[test]
fn who_insists_has_them_shut_and_the_last_to_leave_opens_them() {
    explore(|| {
        let barn = Barn::new(1);
        barn.open();
        let number = barn.acquire(0).unwrap();
        barn.release(0, number);
        let user = barn.clone();
        let uses = thread::spawn(move || {
            if let Some(number) = user.pockets.reach(&user.places[0]).and_then(|reach| reach.take()) {
                user.release(0, number);
            }
        });
        let insisters: Vec<_> = (0..2)
            .map(|_| {
                let barn = barn.clone();
                thread::spawn(move || {
                    barn.insist();
                    assert!(barn.pockets.are_shut(), "they were opened under one who insists");
                    barn.leave();
                })
            })
            .collect();
        uses.join().unwrap();
        insisters.into_iter().for_each(|insister| insister.join().unwrap());
        assert!(!barn.pockets.are_shut(), "nobody insists, and they stay shut");
        barn.recall();
        assert_eq!(barn.idle.depth(), 1, "a number is lost");
    });
}

#[test]
fn lease_ends_once_whoever_ends_it() {
    explore(|| {
        let barn = Barn::new(1);
        barn.open();
        let lease = barn.slots.begin_lease(0, Borrower { number: 1, is_ordinary: false, since_ns: 0 });
        let enders: Vec<_> = (0..THREADS)
            .map(|me| {
                let barn = barn.clone();
                thread::spawn(move || barn.end_lease(lease, me))
            })
            .collect();
        barn.open();
        let ended: usize = enders.into_iter().map(|ender| usize::from(ender.join().unwrap())).sum();
        assert_eq!(ended, 1);
    });
}

/// As the inline code of a tap does: in one window a number is taken and leased, or its lease ended and it is put back.
impl Barn {
    fn lease_through_tap(&self) -> Option<(u32, Lease)> {
        let reach = self.pockets.reach(&self.tap)?;
        let number = reach.take()?;
        assert_eq!(self.users[number as usize].fetch_add(1, Relaxed), 0, "two have one number");
        Some((number, self.slots.begin_lease(number, Borrower { number: TAP, is_ordinary: false, since_ns: 0 })))
    }

    fn end_through_tap(&self, number: u32, lease: Lease) -> bool {
        match self.pockets.window(&self.tap) {
            Some(Window::Open(reach)) => {
                let ended = matches!(self.slots.end_own_lease(lease, TAP), Ok(Some(_)));
                if ended {
                    self.users[number as usize].fetch_sub(1, Relaxed);
                    assert_eq!(reach.put(number), None);
                }
                ended
            }
            Some(Window::Shut(reach)) => {
                drop(reach);
                self.end_elsewhere(number, lease)
            }
            None => self.end_elsewhere(number, lease),
        }
    }

    /// By one who has neither the tap nor the lease of a pocket.
    fn end_elsewhere(&self, number: u32, lease: Lease) -> bool {
        let end = || self.slots.end_lease(lease).is_ok();
        let ended = self.pockets.while_shut(self, |number| self.idle.push(number), end);
        if ended {
            self.users[number as usize].fetch_sub(1, Relaxed);
            self.idle.push(number);
        }
        ended
    }
}

#[test]
fn lease_through_a_tap_ends_once_and_its_number_is_everybodys() {
    explore(|| {
        let barn = Barn::new(1);
        barn.open();
        let number = barn.acquire(0).unwrap();
        barn.users[number as usize].fetch_sub(1, Relaxed);
        assert_eq!(barn.pockets.reach(&barn.tap).unwrap().put(number), None);
        let (number, lease) = barn.lease_through_tap().unwrap();
        let (thief, finder) = (barn.clone(), barn.clone());
        let others = [
            thread::spawn(move || u32::from(thief.end_elsewhere(number, lease))),
            thread::spawn(move || {
                if let Some(number) = finder.acquire(1) {
                    finder.release(1, number);
                }
                0
            }),
        ];
        let mut ended = u32::from(barn.end_through_tap(number, lease));
        ended += others.into_iter().map(|other| other.join().unwrap()).sum::<u32>();
        assert_eq!(ended, 1, "a lease ends once");
        barn.recall();
        assert_eq!(barn.idle.depth(), 1, "the number is lost, or there twice");
    });
}

/// As a call does that has nothing to look at, of the thread with the first pocket.
impl Barn {
    fn lease_in_window(&self) -> Option<Lease> {
        let pocket = &self.places[0];
        let _window = Reach::begin(pocket, Owner(7));
        if !self.pockets.is_open() {
            return None;
        }
        let (lease, _) = self.plain_slots().begin_lease(pocket.number(Owner(7))?, Phase::AtHand)?;
        pocket.clear();
        assert_eq!(self.users[0].fetch_add(1, Relaxed), 0, "its resource is gone, or another's");
        Some(lease)
    }

    fn plain_slots(&self) -> PlainSlots<'_> {
        self.slots.plain(1, &self.generation, &self.tick_ns)
    }

    fn end_in_window(&self, lease: Lease) -> bool {
        let pocket = &self.places[0];
        let _window = Reach::begin(pocket, Owner(7));
        if !self.pockets.is_open() || !pocket.is_empty() {
            return false;
        }
        self.users[0].fetch_sub(1, Relaxed);
        let number = self.plain_slots().end_lease(lease, Phase::AtHand);
        pocket.fill(Owner(7), number.expect("it is its own, and nobody has ended it"));
        true
    }

    /// As the housekeeper does to what it wants to look at.
    fn hold(&self) {
        if self.slots.get(0).phase() == Phase::AtHand {
            self.pockets.recall(self, |number| {
                self.slots.get(number).make_idle();
                self.idle.push(number);
            });
        }
        if self.slots.get(0).hold_idle(0) == Hold::Taken {
            assert_eq!(self.users[0].fetch_add(1, Relaxed), 0, "a leased resource is held");
            thread::yield_now();
            self.users[0].fetch_sub(1, Relaxed);
            assert!(self.slots.get(0).let_go_idle(), "nobody pops it here");
        }
    }
}

#[test]
fn what_is_at_hand_is_its_users_until_it_is_recalled() {
    explore(|| {
        let barn = Barn::new(1);
        barn.open();
        // Used once, so that its next use is not one to be looked at.
        let first =
            barn.slots.begin_lease(barn.idle.pop().unwrap().0, Borrower { number: 1, is_ordinary: false, since_ns: 0 });
        barn.users[0].store(1, Relaxed);
        assert!(barn.end_in_window(first));
        let keeper = barn.clone();
        let look = thread::spawn(move || {
            keeper.hold();
            keeper.hold();
        });
        for _ in 0..2 {
            if let Some(lease) = barn.lease_in_window()
                && !barn.end_in_window(lease)
            {
                barn.slots.end_lease(lease).unwrap();
                barn.users[0].fetch_sub(1, Relaxed);
                barn.slots.get(0).make_idle();
                barn.idle.push(0);
            }
        }
        look.join().unwrap();
        barn.pockets.recall(&*barn, |number| barn.idle.push(number));
        assert_eq!(barn.idle.depth(), 1, "the number is lost, or there twice");
    });
}
