//! Pockets: a number is one thread's at a time, nobody goes without while one lies in a pocket, and who needs them shut has
//! them shut.

use crate::base::Owner;
use crate::base::pockets::{Pocket, Pockets, Window};
use crate::base::sync::{AtomicU32, Ordering::*};
use crate::explore;
use crate::pool::slots::{Borrower, Lease, Memory, Slots};
use crate::pool::stack::Stack;
use shuttle::thread;
use std::sync::Arc;

const THREADS: usize = 2;

/// A pool of numbers, with nothing but pockets and a stack.
struct Barn {
    pockets: Pockets,
    places: Vec<Pocket>,
    idle: Stack,
    slots: Slots,
    /// Tells two users of one number.
    users: Vec<AtomicU32>,
    closed: AtomicU32,
}

impl Barn {
    fn new(count: u32) -> Arc<Self> {
        let barn = Self {
            pockets: Pockets::new(Owner(7)),
            places: (0..THREADS).map(|_| Pocket::EMPTY).collect(),
            idle: Stack::new(count).unwrap(),
            slots: Slots::new(count, Memory::default()).unwrap(),
            users: (0..count).map(|_| AtomicU32::new(0)).collect(),
            closed: AtomicU32::new(0),
        };
        (0..count).for_each(|number| barn.idle.push(number));
        Arc::new(barn)
    }

    /// As if all had been calm for a while.
    fn open(&self) {
        for _ in 0..40 {
            self.pockets.note_calm(|| self.places.iter(), || self.closed.load(SeqCst) == 0);
        }
    }

    fn recall(&self) {
        self.pockets.recall(|| self.places.iter(), |number| self.idle.push(number));
    }

    fn acquire(&self, me: usize) -> Option<u32> {
        let at_hand = self.pockets.reach(&self.places[me]).and_then(|reach| reach.take());
        let number = at_hand.or_else(|| {
            loop {
                let moment = self.pockets.moment();
                if let Some((number, _)) = self.idle.pop() {
                    return Some(number);
                }
                if !self.pockets.may_have_some(moment, self.places.iter()) {
                    return None;
                }
                self.recall();
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
        self.pockets.while_shut(|| self.places.iter(), |number| self.idle.push(number), end)
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

#[test]
fn lease_ends_once_whoever_ends_it() {
    explore(|| {
        let barn = Barn::new(1);
        barn.open();
        let lease = barn.slots.begin_lease(0, Borrower { thread: 1, is_ordinary: false, since_ns: 0 });
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
