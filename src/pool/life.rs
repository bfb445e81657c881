//! The life of a resource between its leases: made, let go, retired, destroyed; and what is done to all of them at once:
//! pause, refresh, the wait for warmth.

use super::events::Event;
use super::numbers::Reason;
use super::pool::{CLOSED, PAUSED, Pool, QUARANTINED};
use super::slots::{Hold, Life, Phase, Resource};
use super::waiting::{AcquireError, LastFailure};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback::{self, CallbackFailure, Refusal};
use crate::base::cancel::{Cancel, WaitEnd};
use crate::base::chance;
use crate::base::clock::{self, Deadline};
use crate::base::injection::Callback;
use crate::base::panics;
use crate::base::text::Text;
use std::sync::atomic::Ordering::*;

/// Where a resource is made in the background: the number of a slot that the maker has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Vacant(u32),
    /// Still among the idle ones, and held.
    Hollow(u32),
}

#[derive(Debug, thiserror::Error)]
pub enum WarmError {
    #[error("a wait for the pool's warmth from inside one of its own callbacks, or the log's, would wait for itself")]
    InsideOwnCallback,
    #[error("the pool is closing: it makes nothing any more")]
    Closed,
    #[error(
        "{ready} of {wanted} resources are made: the pool was quarantined after a panic meanwhile, and only destroy is left"
    )]
    Quarantined { ready: u32, wanted: u32 },
    #[error("{ready} of {wanted} resources are made: {failure}")]
    CreateFailed { ready: u32, wanted: u32, failure: CallbackFailure },
    #[error("{ready} of {wanted} resources are made: {end}{failure}")]
    Wait { ready: u32, wanted: u32, end: WaitEnd, failure: LastFailure },
}

/// Counts a resource as destroyed when its callback ends, however that ends.
struct Destroyed<'a> {
    pool: &'a Pool,
    reason: Reason,
}

impl Drop for Destroyed<'_> {
    fn drop(&mut self) {
        self.pool.note_destroyed(self.reason);
    }
}

impl Pool {
    /// Makes a resource in a slot that the caller took. After a failure the slot is vacant again.
    pub(super) fn create(&self, number: u32) -> Result<Resource, AcquireError> {
        self.make(number).inspect_err(|_| self.vacate(number))
    }

    /// Makes a resource in a slot that is the caller's; after a failure it is that still.
    fn make(&self, number: u32) -> Result<Resource, AcquireError> {
        // A refresh that comes meanwhile makes it old.
        let generation = self.generation.load(SeqCst);
        let begin_ns = clock::now_ns();
        let mut resource = Resource(std::ptr::null_mut());
        let mut create = || callback::run_checked(self.owner, Callback::Create, || self.factory.create(&mut resource));
        let made = self.memory.take().and_then(|()| create().inspect_err(|_| self.memory.give())).and_then(|()| {
            if resource.0.is_null() {
                self.memory.give();
                return Err(CallbackFailure {
                    refusal: Refusal::IN_WORDS,
                    message: Text::from("create callback made no resource (NULL)"),
                });
            }
            Ok(())
        });
        self.counters.creates.note(clock::now_ns().saturating_sub(begin_ns));
        if let Err(failure) = made {
            self.counters.create_failures.fetch_add(1, Relaxed);
            let was_open = self.breaker.is_open();
            self.breaker.failed(failure);
            self.warmed.wake_all();
            if self.breaker.is_open() {
                self.waiters.wake_all(self);
                if !was_open {
                    self.tell(Event::BreakerOpened, Resource::NONE);
                }
            }
            return Err(AcquireError::CreateFailed(failure));
        }
        self.counters.created.fetch_add(1, SeqCst);
        self.slots.begin_life(number, resource, Life { generation, expires_ns: self.lifetime_end_ns() });
        self.idle.note_use(number);
        self.tell(Event::Created, resource);
        self.warmed.wake_all();
        if self.breaker.succeeded() {
            // Those who would have waited for its pause.
            self.refill();
            self.waiters.wake_all(self);
            self.tell(Event::BreakerClosed, Resource::NONE);
        }
        if self.is(CLOSED) {
            self.destroy_resource(number, Reason::Closed);
            return Err(AcquireError::Closed);
        }
        Ok(resource)
    }

    fn lifetime_end_ns(&self) -> u64 {
        match self.config.max_lifetime_ns {
            0 => u64::MAX,
            lifetime_ns => {
                let shorter_ns = chance::within(0..=self.config.lifetime_jitter_ns);
                clock::now_ns().saturating_add(lifetime_ns - shorter_ns)
            }
        }
    }

    /// Resources that are made, and neither destroyed nor taken out of the pool with a lease that was revoked.
    pub(super) fn size(&self) -> u32 {
        let gone = self.counters.destroyed.load(SeqCst) + u64::from(self.revoked.count());
        self.counters.created.load(SeqCst).saturating_sub(gone) as u32
    }

    /// A place for one more resource, when there is room and the breaker allows an attempt. It calls nobody and wakes
    /// nobody: the creators hold their lock.
    pub(super) fn take_place(&self) -> Option<Place> {
        let place = match self.vacant.pop() {
            Some((number, _)) => Place::Vacant(number),
            None => Place::Hollow((0..self.config.capacity).find(|number| self.slots.get(*number).hold_hollow())?),
        };
        if self.breaker.admits() {
            if let Place::Vacant(number) = place {
                self.slots.get(number).set_phase(Phase::Creating);
            }
            return Some(place);
        }
        match place {
            Place::Vacant(number) => self.vacant.push(number),
            Place::Hollow(number) if self.slots.get(number).let_go_hollow() => {}
            Place::Hollow(number) => self.put_vacant(number),
        }
        None
    }

    /// Makes an idle resource there.
    pub(super) fn fill(&self, place: Place) -> Result<(), AcquireError> {
        match place {
            Place::Vacant(number) => {
                self.create(number)?;
                self.put_idle(number);
            }
            Place::Hollow(number) => {
                self.make(number).inspect_err(|_| self.leave_hollow(number))?;
                self.note_idle_since(number);
                self.leave_idle(number);
            }
        }
        self.warmed.wake_all();
        Ok(())
    }

    /// Makes one more idle resource, when there is room.
    pub(super) fn add_idle(&self) -> Result<bool, AcquireError> {
        match self.take_place() {
            Some(place) => self.fill(place).map(|()| true),
            None => {
                self.serve();
                self.tell_ended();
                Ok(false)
            }
        }
    }

    /// How many resources are missing: for callers who wait where creators make them, and to the least numbers.
    pub(super) fn missing(&self) -> u32 {
        if self.is(CLOSED) {
            return 0;
        }
        let are_served = self.config.creator_threads > 0 && !self.is(PAUSED);
        let waiting = if are_served { self.waiters.wanted() } else { 0 };
        let min_size = self.limits.min_size();
        let unready = match self.config.min_idle {
            0 => 0,
            min_idle => min_idle.saturating_sub(self.ready()),
        };
        (waiting + unready).max(min_size.saturating_sub(self.size()))
    }

    /// Idle resources, without those that were just popped, whose phase still says so.
    pub(super) fn ready(&self) -> u32 {
        self.idle.depth().saturating_sub(self.count(Phase::Hollow))
    }

    fn count(&self, phase: Phase) -> u32 {
        self.slots.iter().filter(|slot| slot.phase() == phase).count() as u32
    }

    /// Asks those who make resources in the background to look what is missing.
    pub(super) fn refill(&self) {
        if self.config.creator_threads > 0 {
            self.creators.ring();
        } else if self.limits.min_size() > 0 || self.config.min_idle > 0 {
            self.housekeeper.ring();
        }
    }

    #[cold]
    pub(super) fn destroy_resource(&self, number: u32, reason: Reason) {
        let resource = self.slots.get(number).end_life();
        self.destroy_one(resource, reason);
    }

    /// Destroys what is no slot's any more. A destroy that panics has destroyed, too.
    pub(super) fn destroy_one(&self, resource: Resource, reason: Reason) {
        let _destroyed = Destroyed { pool: self, reason };
        self.tell(Event::Destroyed, resource);
        callback::run_destroy(self.owner, || self.factory.destroy(resource));
    }

    fn note_destroyed(&self, reason: Reason) {
        self.memory.give();
        self.counters.destroyed.fetch_add(1, SeqCst);
        self.counters.destroyed_for[reason as usize].fetch_add(1, Relaxed);
    }

    /// Takes a released resource out of use. The housekeeper destroys it, when there is one, so that the caller does
    /// not wait for that.
    #[cold]
    pub(super) fn let_go(&self, number: u32, reason: Reason) {
        if reason != Reason::Surplus {
            self.leaving.fetch_add(1, SeqCst);
        }
        if self.housekeeper.is_there() && !self.is(CLOSED) {
            self.doomed.push(number);
            self.housekeeper.ring();
        } else {
            self.destroy_resource(number, reason);
            self.leaving.fetch_sub(1, SeqCst);
            self.vacate(number);
        }
    }

    /// Destroys what was let go.
    pub(super) fn destroy_doomed(&self) {
        while let Some((number, _)) = self.doomed.pop() {
            self.replace_first();
            let reason = self.wear_of(number).unwrap_or(Reason::Surplus);
            self.destroy_resource(number, reason);
            self.leaving.fetch_sub(1, SeqCst);
            self.vacate(number);
        }
    }

    /// Before one is destroyed that the least number needs, another is made, if there is room: the pool is never
    /// without.
    fn replace_first(&self) {
        if !self.is(CLOSED) && self.size() <= self.limits.min_size() {
            // A failure is told by the refill that follows.
            let _ = self.add_idle();
        }
    }

    /// Destroys the resource of a slot that has been idle since `idle_since_ns`. Its number stays among the idle ones,
    /// unless somebody pops it meanwhile.
    pub(super) fn retire(&self, number: u32, idle_since_ns: u64, reason: Reason) -> bool {
        if reason != Reason::Idle {
            self.replace_first();
        }
        if !self.hold_idle(number, idle_since_ns) {
            return false;
        }
        self.destroy_resource(number, reason);
        self.leave_hollow(number);
        true
    }

    /// Asks whether an idle resource still lives; it is out of everybody's reach meanwhile.
    pub(super) fn keep_alive(&self, number: u32, idle_since_ns: u64) {
        if !self.hold_idle(number, idle_since_ns) {
            return;
        }
        // Where it is held it cannot be left to be destroyed later: its number is still among the idle ones.
        let answer = panics::catch(|| self.validate(self.slots.get(number).resource()));
        if let Ok(true) = answer {
            return self.leave_idle(number);
        }
        self.destroy_resource(number, Reason::Invalid);
        self.leave_hollow(number);
        if let Err(caught) = answer {
            self.quarantine("housekeeper", caught);
        }
    }

    fn hold_idle(&self, number: u32, idle_since_ns: u64) -> bool {
        match self.slots.get(number).hold_idle(idle_since_ns) {
            Hold::Taken => true,
            Hold::Refused => false,
            Hold::Unlinked => {
                self.put_idle(number);
                false
            }
        }
    }

    /// Lets go of a slot that was held in place, with its resource.
    fn leave_idle(&self, number: u32) {
        if !self.slots.get(number).let_go_idle() {
            return self.put_idle(number);
        }
        self.after_idle();
    }

    /// The same without a resource.
    fn leave_hollow(&self, number: u32) {
        if !self.slots.get(number).let_go_hollow() {
            return self.vacate(number);
        }
        self.after_vacant();
    }

    /// Waits until the least numbers of resources are there, or one could not be made. Tells how many are, and how many
    /// shall be. A failure from before the call does not end it, so that whoever calls it in a loop waits each time.
    pub fn wait_warm(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(u32, u32), WarmError> {
        if callback::waits_for_itself(self.owner) {
            return Err(WarmError::InsideOwnCallback);
        }
        let failures_before = self.breaker.count();
        let look = || {
            if self.is(CLOSED) {
                return Some(Err(WarmError::Closed));
            }
            let (ready, wanted) = self.warmth();
            if ready >= wanted {
                return Some(Ok((ready, wanted)));
            }
            if self.is(QUARANTINED) {
                return Some(Err(WarmError::Quarantined { ready, wanted }));
            }
            let failure = self.breaker.failure_after(failures_before)?;
            Some(Err(WarmError::CreateFailed { ready, wanted, failure }))
        };
        self.warmed.wait_until(deadline, cancel, look).unwrap_or_else(|end| {
            let (ready, wanted) = self.warmth();
            Err(WarmError::Wait { ready, wanted, end, failure: LastFailure(self.breaker.failure_after(0)) })
        })
    }

    /// How many resources there are, and how many the least numbers ask for.
    pub fn warmth(&self) -> (u32, u32) {
        let ((min_size, max_size), size) = (self.limits.bounds(), self.size());
        let unready = self.config.min_idle.saturating_sub(self.ready());
        (size, min_size.max(size + unready).min(max_size.max(size)))
    }

    /// Leases nothing until [`Pool::resume`]; callers wait.
    pub fn pause(&self) {
        self.mode.fetch_or(PAUSED, SeqCst);
        self.recall();
        self.tell(Event::Paused, Resource::NONE);
    }

    pub fn resume(&self) {
        self.mode.fetch_and(!PAUSED, SeqCst);
        self.serve();
        self.refill();
        self.waiters.wake_all(self);
        self.tell(Event::Resumed, Resource::NONE);
    }

    /// From now on no resource is leased that was made before, and the breaker tries at once: the world has changed.
    pub fn refresh(&self) -> Result<(), OutOfMemory> {
        self.generation.fetch_add(1, SeqCst);
        // Whoever leases without a look at the generation.
        self.recall();
        self.breaker.end_pause();
        self.serve();
        self.refill();
        self.tell(Event::Refreshed, Resource::NONE);
        if self.config.tick_length_ns().is_some() {
            self.housekeeper.ring();
            return Ok(());
        }
        let mut fresh = alloc::try_vec(self.config.capacity as usize)?;
        while let Some(number) = self.idle.pop() {
            match self.wear_of(number) {
                Some(reason) => {
                    self.replace_first();
                    self.destroy_resource(number, reason);
                    self.vacate(number);
                }
                None => fresh.push(number),
            }
        }
        fresh.into_iter().for_each(|number| self.put_idle(number));
        Ok(())
    }
}
