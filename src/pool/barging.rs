//! Barging: for a while a caller that waits may be overtaken by others that come later. So a thread which leases and releases
//! in turn goes on with what is at hand for it, at its full speed, although another one waits; and the resource changes hands
//! once in that while and not each time. Then the one that waits insists: the pockets are shut, and turns are kept until it is
//! served.
//!
//! What lies in a pocket wakes nobody. So one that may be overtaken looks now and then, and insists at once when a resource
//! lay unused from one look to the next.

use super::looks;
use super::pool::Pool;
use super::slots::Phase;
use super::waiters::Waiter;
use crate::base::clock::Deadline;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// Looks in the time in which one may be overtaken.
const LOOKS: u64 = 4;
/// Between the first look and the second: about half as long as a sleep and a wake-up.
const FIRST_PAUSE_NS: u64 = 5_000;
/// Slots that one look passes by at most.
const LOOKED_THROUGH: u32 = 64;

pub(super) struct Barging {
    /// For so long a waiter may be overtaken; 0: never.
    ns: u64,
    /// The pockets are shut because somebody insisted, and for no other reason.
    has_shut: AtomicBool,
}

impl Barging {
    pub fn new(ns: u64) -> Self {
        Self { ns, has_shut: AtomicBool::new(false) }
    }

    #[inline]
    pub fn is_allowed(&self) -> bool {
        self.ns > 0
    }
}

/// A waiter that may be overtaken: until when, when it looks again, and what it saw.
pub(super) struct Patience {
    until: Deadline,
    next_look: Deadline,
    pause_ns: u64,
    has_looked: bool,
    seen: Option<Seen>,
    /// Where the next look for another begins.
    place: u32,
}

/// A resource at hand for somebody, as it lay there.
struct Seen {
    number: u32,
    uses: u64,
}

impl Patience {
    /// The first look of a caller that may as well stay awake for the second.
    pub fn look_twice(&mut self, pool: &Pool) {
        self.look(pool);
        for _ in 0..looks::LOOKS {
            std::hint::spin_loop();
        }
        self.next_look = Deadline::NOW;
    }

    pub fn next_look(&self) -> Deadline {
        self.until.min(self.next_look)
    }

    /// Whether what was seen lies there as it did. Else there is something else to be seen.
    fn look(&mut self, pool: &Pool) -> bool {
        let lies_there = |number| {
            let uses = pool.slots.uses(number);
            (pool.slots.get(number).phase() == Phase::AtHand).then_some(Seen { number, uses })
        };
        let now = self.seen.as_ref().and_then(|seen| lies_there(seen.number));
        if now.as_ref().map(|now| now.uses) == self.seen.as_ref().map(|seen| seen.uses) && now.is_some() {
            return true;
        }
        let slots = pool.config.capacity;
        let passed = (self.place..self.place + slots.min(LOOKED_THROUGH)).map(|number| number % slots);
        for number in passed {
            self.place = number + 1;
            self.seen = lies_there(number);
            if self.seen.is_some() {
                break;
            }
        }
        let pause_ns = if self.has_looked { self.pause_ns } else { self.pause_ns.min(FIRST_PAUSE_NS) };
        self.has_looked = true;
        self.next_look = Deadline::after(pause_ns);
        false
    }
}

impl Pool {
    /// For one that has just begun to wait.
    pub(super) fn patience(&self, waiter: &Waiter, deadline: Deadline) -> Option<Patience> {
        (!waiter.want.insists).then(|| Patience {
            until: Deadline::at(waiter.want.since_ns.saturating_add(self.barging.ns)).min(deadline),
            next_look: Deadline::NOW,
            pause_ns: self.barging.ns / LOOKS,
            has_looked: false,
            seen: None,
            place: 0,
        })
    }

    /// Lets a waiter insist when its patience has ended. Who calls it serves afterwards.
    pub(super) fn end_patience(&self, patience: &mut Option<Patience>, waiter: &Arc<Waiter>) {
        if self.has_lost(patience) {
            self.waiters.insist(waiter);
            self.shut_for_now();
        }
    }

    /// Looks whether it is time to insist; then there is no patience any more.
    pub(super) fn has_lost(&self, patience: &mut Option<Patience>) -> bool {
        let ends = patience.as_mut().is_some_and(|patience| {
            patience.until.has_passed() || (patience.next_look.has_passed() && patience.look(self))
        });
        if ends {
            *patience = None;
        }
        ends
    }

    /// For one that has just entered the queue. In time: after what it insists on is visible.
    pub(super) fn recall_for(&self, waiter: &Waiter) {
        match (waiter.want.insists, self.barging.is_allowed()) {
            (true, true) => self.shut_for_now(),
            (true, false) => self.recall(),
            (false, _) => {}
        }
    }

    /// Puts what is in pockets where all find it, and lets nobody put more there until [`reopen`](Self::reopen).
    pub(super) fn shut_for_now(&self) {
        if self.pockets.shut(self, |number| self.put_where_all_find_it(number)) {
            self.barging.has_shut.store(true, SeqCst);
        }
    }

    /// Opens the pockets when nobody insists any more. Who insisted calls it when its wait is over.
    pub(super) fn reopen(&self) {
        while self.may_open_pockets() && self.barging.has_shut.swap(false, SeqCst) {
            if self.pockets.reopen(self, || self.may_open_pockets()) {
                return;
            }
            // One who insists meanwhile found them shut. It may be gone before it sees this.
            self.barging.has_shut.store(true, SeqCst);
        }
    }
}
