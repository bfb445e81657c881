//! The taps of a pool: opened, closed, leased through and released through. What lies in one is nobody's alone: whoever
//! finds nothing idle, waits, pauses, resizes, trims or closes has it recalled like what is in a pocket.

use super::demand::Demand;
use super::pool::Pool;
use super::slots::{Lease, OF_TAP, Resource, StaleLease};
use super::stack::Chain;
use super::tap::{Published, Tap};
use super::waiting::AcquireError;
use crate::base::alloc;
use crate::base::barrier;
use crate::base::cancel::Cancel;
use crate::base::clock::Deadline;
use crate::base::pockets::{Place, Reach, Window};
use crate::base::thread::Caller;
use crate::base::tracing::CallSite;
use crate::memory::stretch::{Stretch, StretchError};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::*};

static TAPS: Stretch<Tap> = Stretch::new("tap", 1 << 16);

/// A tap that is open: its number among all, and the handle of its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTap {
    number: u32,
    pub pool: u64,
}

impl OpenTap {
    /// The one behind a pointer that a caller presents.
    pub fn find(pointer: *const Tap) -> Result<Self, StretchError> {
        TAPS.find(pointer).map(|(number, pool)| Self { number, pool })
    }

    fn tap(self) -> &'static Tap {
        TAPS.get(self.number)
    }
}

/// The thread behind what stands in a lease as its borrower: of a tap the one that was last in the library with it.
pub(super) fn thread_of(borrower: u32) -> u32 {
    if borrower & OF_TAP == 0 { borrower } else { TAPS.get(borrower & !OF_TAP).thread() }
}

/// The open taps of one pool.
#[derive(Default)]
pub(super) struct Taps {
    list: Mutex<Vec<u32>>,
    count: AtomicU32,
}

impl Taps {
    pub fn count(&self) -> u32 {
        self.count.load(SeqCst)
    }

    pub fn visit(&self, each: &mut dyn FnMut(&dyn Place)) {
        if self.count() > 0 {
            self.list.lock().iter().for_each(|number| each(TAPS.get(*number)));
        }
    }
}

impl Pool {
    /// Whether taps keep anything at hand. From where a lease is taken only the library finds out, when tracing wants to know it.
    fn is_inline(&self, site: CallSite) -> bool {
        self.is_plain && barrier::is_asymmetric() && site == CallSite::NONE
    }

    pub fn open_tap(&self, me: Caller) -> Result<*mut Tap, StretchError> {
        let number = TAPS.take(self.owner.0)?;
        let tap = TAPS.get(number);
        let published = Published {
            owner: self.owner,
            state: self.pockets.state(),
            generation: &raw const self.generation,
            tick_ns: self.housekeeper.tick(),
        };
        tap.set_up(number, &published, &self.slots);
        tap.set_thread(me.number());
        let is_listed = self.pockets.unchanged(|| {
            let mut list = self.taps.list.lock();
            alloc::try_reserve_one(&mut list)?;
            list.push(number);
            self.taps.count.fetch_add(1, SeqCst);
            Ok(())
        });
        if let Err(no_memory) = is_listed {
            let _ = TAPS.close(number, self.owner.0);
            TAPS.vacate(number);
            return Err(StretchError::OutOfMemory(no_memory));
        }
        tap.set_inline(self.is_inline(CallSite::here()));
        Ok((&raw const *tap).cast_mut())
    }

    /// What was at hand is idle for all. Leases that were taken through it stay good.
    pub fn close_tap(&self, open: OpenTap) -> Result<(), StretchError> {
        TAPS.close(open.number, open.pool)?;
        let tap = open.tap();
        tap.set_inline(false);
        self.pockets.unchanged(|| {
            // Its user has no call under way; one that breaks this rule is waited for.
            barrier::heavy();
            barrier::wait_while(|| tap.busy().load(Acquire) != 0);
            let reach = Reach::begin(tap, self.owner);
            while let Some(number) = reach.take() {
                self.put_where_all_find_it(number);
            }
            drop(reach);
            self.taps.list.lock().retain(|number| *number != open.number);
        });
        tap.clear();
        TAPS.vacate(open.number);
        self.after_idle();
        // From now on the pool may go.
        self.taps.count.fetch_sub(1, SeqCst);
        Ok(())
    }

    /// Leases what is at hand in the tap. Else tells what to ask of the pool, so that the lease belongs to the tap.
    pub fn acquire_at_tap(&self, open: OpenTap, me: Caller) -> Result<(Lease, Resource), Demand> {
        let demand = self.demand_of_tap(open, me);
        let at_hand = self.is_plain.then(|| self.pockets.reach(open.tap())).flatten().and_then(|reach| reach.take());
        at_hand.and_then(|number| self.lease_at_hand(number, demand, open.tap())).ok_or(demand)
    }

    /// Leases as many as there is room for in both, or none, as [`Pool::acquire_many`] does. What is at hand in the tap goes
    /// where all is that is idle, so that they are taken in one step.
    pub fn acquire_many_at_tap(
        &self,
        open: OpenTap,
        me: Caller,
        deadline: impl FnOnce() -> Deadline,
        cancel: Option<&Cancel>,
        leases: &mut [Lease],
        resources: &mut [Resource],
    ) -> Result<(), AcquireError> {
        let demand = self.demand_of_tap(open, me);
        if self.is_plain {
            self.empty(open.tap());
        }
        self.acquire_many(demand, deadline, cancel, leases, resources)
    }

    /// Leases what all share, for a tap that another thread may use meanwhile.
    pub fn try_acquire_for_tap(&self, open: OpenTap, me: Caller) -> Result<(Lease, Resource), AcquireError> {
        let demand = self.demand_for_tap(open, me);
        if !self.is_inline(demand.site) {
            // Only its user may say the contrary: who knows whether it is still open.
            open.tap().set_inline(false);
        }
        self.try_acquire(demand)
    }

    /// What a tap asks of the pool, and whether its user goes on by itself from now on.
    fn demand_of_tap(&self, open: OpenTap, me: Caller) -> Demand {
        let demand = self.demand_for_tap(open, me);
        open.tap().set_inline(self.is_inline(demand.site));
        demand
    }

    fn demand_for_tap(&self, open: OpenTap, me: Caller) -> Demand {
        let tap = open.tap();
        tap.set_thread(me.number());
        let plain = Demand::plain(me);
        if self.is_plain { Demand { borrower: tap.mark(), ..plain } } else { plain }
    }

    /// Puts what is at hand in a tap where all find it.
    fn empty(&self, tap: &Tap) {
        let mut chain = Chain::default();
        // Inside the window, so that whoever finds nothing waits for them.
        if let Some(reach) = self.pockets.reach(tap) {
            while let Some(number) = reach.take() {
                self.slots.get(number).make_idle();
                self.idle.link(&mut chain, number, self.slots.tag(number));
            }
            self.idle.push_chain(chain);
        }
        self.after_idle();
    }

    /// Takes a resource back, and keeps it at hand in the tap when the lease was taken through it.
    pub fn release_through(&self, open: OpenTap, lease: Lease, me: Caller) -> Result<(), StaleLease> {
        let tap = open.tap();
        let Some(number) = self.end_lease_of_tap(tap, lease)? else { return self.release(lease, me) };
        self.note_use(number);
        if self.settle(number) {
            self.note_idle_since(number);
            self.slots.get(number).set_borrower(tap.mark());
            if self.put_at_hand(number, Some(tap)) {
                self.after_idle();
            }
        }
        Ok(())
    }

    /// Takes a resource back that nobody shall have any more, as [`Pool::discard`] does. The others of the tap stay at hand.
    pub fn discard_through(&self, open: OpenTap, lease: Lease, me: Caller) -> Result<(), StaleLease> {
        let Some(number) = self.end_lease_of_tap(open.tap(), lease)? else { return self.discard(lease, me) };
        self.throw_out(number, false);
        Ok(())
    }

    /// Ends a lease that was taken through the tap. Nothing when it is another's, or while the pockets change.
    fn end_lease_of_tap(&self, tap: &Tap, lease: Lease) -> Result<Option<u32>, StaleLease> {
        let ended = match self.is_plain.then(|| self.pockets.window(tap)).flatten() {
            Some(Window::Open(_reach)) => self.slots.end_own_lease(lease, tap.mark()),
            Some(Window::Shut(_reach)) => self.slots.end_lease(lease).map(Some),
            None => Ok(None),
        };
        ended.map_err(|stale| self.end_if_revoked(stale))
    }

    /// Takes many resources back through the tap; tells how many leases were good, and of the first that was not.
    pub fn release_many_through(&self, open: OpenTap, leases: &[Lease], me: Caller) -> (u32, Result<(), StaleLease>) {
        if !self.is_plain {
            return self.release_many(leases, me);
        }
        let (mut released, mut result) = (0, Ok(()));
        for lease in leases {
            match self.release_through(open, *lease, me) {
                Ok(()) => released += 1,
                Err(stale) => result = result.and(Err(stale)),
            }
        }
        (released, result)
    }
}
