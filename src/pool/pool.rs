//! A pool: acquire and release, and what becomes of a resource in between. The path of a resource that is idle and
//! needs no callback takes no lock, allocates nothing and reads no clock.

use super::housekeeper::{self, Housekeeper};
use super::slots::{Claim, Lease, MOST_SLOTS, Phase, Resource, Retirement, Slots, StaleLease};
use super::stack::Stack;
use super::waiters::{Grant, Waiters};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback::{self, CallbackFailure};
use crate::base::cancel::{self, Cancel, WaitEnd};
use crate::base::clock::{self, Deadline};
use crate::base::handles::{Handled, Kind};
use crate::base::text::Text;
use crate::base::thread::SpawnError;
use crate::base::watchers::Watchers;
use crate::base::{InvalidField, Name, Owner, log};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

/// The host's side of a pool. A status other than 0 is a failure, with the words that the callback left.
pub trait Factory: Send + Sync + 'static {
    fn create(&self, resource: &mut Resource) -> i32;
    fn validates(&self) -> bool;
    fn validate(&self, resource: Resource) -> i32;
    fn resets(&self) -> bool;
    fn reset(&self, resource: Resource) -> i32;
    fn destroy(&self, resource: Resource);
}

#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// Made in the background, and kept however long they are idle.
    pub min_size: u32,
    pub max_size: u32,
    /// 0: never.
    pub idle_timeout_ns: u64,
    /// 0: every time.
    pub validate_after_ns: u64,
    pub name: Name,
}

pub struct Pool {
    owner: Owner,
    pub(super) config: PoolConfig,
    factory: Box<dyn Factory>,
    validates: bool,
    resets: bool,
    pub(super) slots: Slots,
    idle: Stack,
    vacant: Stack,
    waiters: Waiters,
    closed: AtomicBool,
    destroying: AtomicBool,
    /// Told when a resource of a closed pool is gone.
    ended: Watchers,
    pub(super) housekeeper: Housekeeper,
    last_failure: Mutex<Option<CallbackFailure>>,
    peak_in_use: AtomicU32,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    created: AtomicU64,
    create_failures: AtomicU64,
    /// Acquires that made the resource which they got.
    fresh: AtomicU64,
    destroyed: AtomicU64,
    destroyed_idle: AtomicU64,
    destroyed_invalid: AtomicU64,
    destroyed_discarded: AtomicU64,
    destroyed_reset: AtomicU64,
    timeouts: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    pub in_use: u64,
    pub idle: u64,
    pub creating: u64,
    pub waiting: u64,
    pub created: u64,
    pub create_failures: u64,
    pub destroyed: u64,
    pub destroyed_idle: u64,
    pub destroyed_invalid: u64,
    pub destroyed_discarded: u64,
    pub destroyed_reset: u64,
    pub acquires: u64,
    pub reuses: u64,
    pub timeouts: u64,
    pub peak_in_use: u64,
    pub peak_waiting: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    #[error("the pool is closing: it leases nothing any more")]
    Closed,
    #[error("all {max_size} resources (max_size) are leased; release one, or raise it")]
    Exhausted { max_size: u32 },
    #[error("no resource could be made: {0}")]
    CreateFailed(CallbackFailure),
    #[error(
        "{end}: {in_use} resources are in use, {idle} idle, {waiting} callers wait, max_size is {max_size}{failure}"
    )]
    Wait { end: WaitEnd, in_use: u64, idle: u64, waiting: u64, max_size: u32, failure: LastFailure },
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// Told with a wait that ended in vain, because it is often the reason.
#[derive(Debug)]
pub struct LastFailure(Option<CallbackFailure>);

impl std::fmt::Display for LastFailure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|failure| write!(formatter, "; the last create failed: {failure}"))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    #[error("a close from inside one of the pool's own callbacks, or the log's, would wait for itself")]
    InsideOwnCallback,
    #[error("the pool was destroyed by another thread while {still_out} leases were out")]
    Destroyed { still_out: u64 },
    #[error("{still_out} leases are still out: {end}")]
    Wait { still_out: u64, end: WaitEnd },
}

/// Why a resource is destroyed; each has its count.
#[derive(Clone, Copy)]
pub(super) enum Reason {
    Idle,
    Invalid,
    Discarded,
    Reset,
    Closed,
}

impl Pool {
    pub fn new(owner: Owner, config: PoolConfig, factory: Box<dyn Factory>) -> Result<Arc<Self>, CreateError> {
        check(&config)?;
        let pool = alloc::try_arc(Self {
            owner,
            config,
            validates: factory.validates(),
            resets: factory.resets(),
            factory,
            slots: Slots::new(config.max_size)?,
            idle: Stack::new(config.max_size)?,
            vacant: Stack::new(config.max_size)?,
            waiters: Waiters::default(),
            closed: AtomicBool::new(false),
            destroying: AtomicBool::new(false),
            ended: Watchers::default(),
            housekeeper: Housekeeper::default(),
            last_failure: Mutex::new(None),
            peak_in_use: AtomicU32::new(0),
            counters: Counters::default(),
        })?;
        // The lowest number is on top: a pool that is little used stays in few cache lines.
        (0..config.max_size).rev().for_each(|slot| pool.vacant.push(slot));
        if config.min_size > 0 || config.idle_timeout_ns > 0 {
            housekeeper::start(&pool)?;
        }
        Ok(pool)
    }

    pub fn try_acquire(&self) -> Result<(Lease, Resource), AcquireError> {
        self.acquire_now()?.ok_or(AcquireError::Exhausted { max_size: self.config.max_size })
    }

    /// Leases an idle resource, else a new one. Nothing when every slot is taken, or when others came first.
    #[inline]
    pub fn acquire_now(&self) -> Result<Option<(Lease, Resource)>, AcquireError> {
        if self.is_closed() {
            return Err(AcquireError::Closed);
        }
        if !self.waiters.is_empty() {
            return Ok(None);
        }
        match self.take() {
            Some(Grant::Idle(number)) => self.lease_idle(number).map(Some),
            Some(Grant::Vacant(number)) => self.lease_new(number).map(Some),
            None => Ok(None),
        }
    }

    /// Leases the next resource that comes back, after those who came first.
    #[cold]
    pub fn acquire_later(
        &self,
        deadline: Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<(Lease, Resource), AcquireError> {
        let parker = cancel::current_parker()?;
        let waiter = self.waiters.enter(parker)?;
        self.serve();
        let ready = || waiter.grant().map(Some).or_else(|| self.is_closed().then_some(None));
        let end = cancel::wait_until(deadline, cancel, ready);
        let grant = match end {
            Ok(Some(grant)) => Some(grant),
            // What came at the last moment is preferred over the end of the wait.
            Ok(None) | Err(_) => self.waiters.leave(&waiter),
        };
        match (grant, end) {
            (Some(grant), _) if self.is_closed() => {
                self.give_back(grant);
                Err(AcquireError::Closed)
            }
            (Some(Grant::Idle(number)), _) => self.lease_idle(number),
            (Some(Grant::Vacant(number)), _) => self.lease_new(number),
            (None, Ok(_)) => Err(AcquireError::Closed),
            (None, Err(end)) => {
                if end == WaitEnd::TimedOut {
                    self.counters.timeouts.fetch_add(1, Relaxed);
                }
                let PoolStats { in_use, idle, waiting, .. } = self.stats();
                let failure = LastFailure(*self.last_failure.lock());
                Err(AcquireError::Wait { end, in_use, idle, waiting, max_size: self.config.max_size, failure })
            }
        }
    }

    /// Takes what is free: an idle slot first, else a vacant one. It is the caller's then.
    #[inline]
    fn take(&self) -> Option<Grant> {
        self.take_from_idle().or_else(|| {
            let (number, _) = self.vacant.pop()?;
            self.slots.get(number).set_phase(Phase::Creating);
            self.note_peak(self.idle.depth());
            Some(Grant::Vacant(number))
        })
    }

    #[inline]
    fn take_from_idle(&self) -> Option<Grant> {
        while let Some((number, left)) = self.idle.pop() {
            let slot = self.slots.get(number);
            // Without an idle time-out nobody but its popper moves an idle slot.
            let claim = if self.config.idle_timeout_ns == 0 { Claim::Resource } else { slot.claim() };
            match claim {
                Claim::Resource => {
                    self.note_peak(left);
                    return Some(Grant::Idle(number));
                }
                Claim::Hollow => return Some(Grant::Vacant(number)),
                Claim::Nothing => {}
            }
        }
        None
    }

    /// What is in use is what is neither vacant nor idle; both stacks know their depth.
    #[inline]
    fn note_peak(&self, idle: u32) {
        let in_use = self.config.max_size.saturating_sub(self.vacant.depth() + idle);
        if in_use > self.peak_in_use.load(Relaxed) {
            self.peak_in_use.fetch_max(in_use, Relaxed);
        }
    }

    /// Leases an idle resource that the caller took. In place of one that is not valid any more it takes the next idle
    /// one, and makes a new one when there is none.
    #[inline]
    fn lease_idle(&self, mut number: u32) -> Result<(Lease, Resource), AcquireError> {
        while self.validates && !self.is_still_valid(number) {
            self.destroy_resource(number, Reason::Invalid);
            self.slots.get(number).set_phase(Phase::Creating);
            match self.take_from_idle() {
                Some(Grant::Idle(next)) => {
                    self.vacate(number);
                    number = next;
                }
                Some(Grant::Vacant(hollow)) => {
                    self.vacate(hollow);
                    return self.lease_new(number);
                }
                None => return self.lease_new(number),
            }
        }
        let resource = self.slots.get(number).resource();
        Ok((self.slots.begin_lease(number), resource))
    }

    #[cold]
    fn is_still_valid(&self, number: u32) -> bool {
        let slot = self.slots.get(number);
        let trusted_ns = self.config.validate_after_ns;
        if trusted_ns > 0 && clock::now_ns().saturating_sub(slot.idle_since_ns.load(Relaxed)) < trusted_ns {
            return true;
        }
        let resource = slot.resource();
        match callback::run_checked(self.owner, "validate", || self.factory.validate(resource)) {
            Ok(()) => true,
            Err(failure) => {
                log::info(format_args!("{}: an idle resource is not valid any more: {failure}", self.config.name));
                false
            }
        }
    }

    fn lease_new(&self, number: u32) -> Result<(Lease, Resource), AcquireError> {
        let resource = self.create(number)?;
        self.counters.fresh.fetch_add(1, Relaxed);
        Ok((self.slots.begin_lease(number), resource))
    }

    /// Makes a resource in a slot that the caller took. After a failure the slot is vacant again.
    fn create(&self, number: u32) -> Result<Resource, AcquireError> {
        let mut resource = Resource(std::ptr::null_mut());
        let made = callback::run_checked(self.owner, "create", || self.factory.create(&mut resource)).and_then(|()| {
            if resource.0.is_null() {
                return Err(CallbackFailure {
                    status: -1,
                    message: Text::from("create callback made no resource (NULL)"),
                });
            }
            Ok(())
        });
        if let Err(failure) = made {
            self.counters.create_failures.fetch_add(1, Relaxed);
            *self.last_failure.lock() = Some(failure);
            self.vacate(number);
            return Err(AcquireError::CreateFailed(failure));
        }
        self.counters.created.fetch_add(1, Relaxed);
        self.slots.get(number).put(resource);
        if self.is_closed() {
            self.destroy_resource(number, Reason::Closed);
            self.vacate(number);
            return Err(AcquireError::Closed);
        }
        Ok(resource)
    }

    /// Takes a resource back, for the next who wants it.
    #[inline]
    pub fn release(&self, lease: Lease) -> Result<(), StaleLease> {
        let number = self.slots.end_lease(lease)?;
        if self.resets && !self.is_closed() && !self.is_reset(number) {
            self.destroy_resource(number, Reason::Reset);
            self.vacate(number);
            return Ok(());
        }
        self.put_idle(number);
        Ok(())
    }

    /// Takes a resource back that nobody shall have any more.
    pub fn discard(&self, lease: Lease) -> Result<(), StaleLease> {
        let number = self.slots.end_lease(lease)?;
        self.destroy_resource(number, Reason::Discarded);
        self.vacate(number);
        Ok(())
    }

    pub fn resource_of(&self, lease: Lease) -> Result<Resource, StaleLease> {
        self.slots.resource_of(lease)
    }

    #[cold]
    fn is_reset(&self, number: u32) -> bool {
        let resource = self.slots.get(number).resource();
        match callback::run_checked(self.owner, "reset", || self.factory.reset(resource)) {
            Ok(()) => true,
            Err(failure) => {
                log::info(format_args!("{}: a resource could not be reset: {failure}", self.config.name));
                false
            }
        }
    }

    #[inline]
    fn put_idle(&self, number: u32) {
        let slot = self.slots.get(number);
        if self.validates && self.config.validate_after_ns > 0 {
            slot.idle_since_ns.store(clock::now_ns(), Relaxed);
        } else {
            slot.idle_since_ns.store(self.housekeeper.tick_ns(), Relaxed);
        }
        slot.make_idle();
        self.idle.push(number);
        if !self.waiters.is_empty() {
            self.serve();
        }
        // A close that came before the push has not seen it.
        if self.is_closed() {
            self.destroy_idle();
        }
    }

    /// The slot's resource is gone.
    #[cold]
    fn vacate(&self, number: u32) {
        self.slots.get(number).set_phase(Phase::Vacant);
        self.vacant.push(number);
        if !self.waiters.is_empty() {
            self.serve();
        }
        if self.is_closed() {
            self.ended.wake_all();
        }
        if self.config.min_size > 0 {
            self.housekeeper.ring();
        }
    }

    fn give_back(&self, grant: Grant) {
        match grant {
            Grant::Idle(number) => self.put_idle(number),
            Grant::Vacant(number) => self.vacate(number),
        }
    }

    #[cold]
    fn serve(&self) {
        self.waiters.serve(|| self.take());
    }

    #[cold]
    fn destroy_resource(&self, number: u32, reason: Reason) {
        let slot = self.slots.get(number);
        let resource = slot.resource();
        slot.put(Resource(std::ptr::null_mut()));
        callback::run(self.owner, || self.factory.destroy(resource));
        let counters = &self.counters;
        counters.destroyed.fetch_add(1, Relaxed);
        match reason {
            Reason::Idle => counters.destroyed_idle.fetch_add(1, Relaxed),
            Reason::Invalid => counters.destroyed_invalid.fetch_add(1, Relaxed),
            Reason::Discarded => counters.destroyed_discarded.fetch_add(1, Relaxed),
            Reason::Reset => counters.destroyed_reset.fetch_add(1, Relaxed),
            Reason::Closed => 0,
        };
    }

    #[cold]
    fn destroy_idle(&self) {
        while let Some((number, _)) = self.idle.pop() {
            match self.slots.get(number).claim() {
                Claim::Resource => {
                    self.destroy_resource(number, Reason::Closed);
                    self.vacate(number);
                }
                Claim::Hollow => self.vacate(number),
                Claim::Nothing => {}
            }
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Resources that are made and not destroyed.
    pub(super) fn size(&self) -> u32 {
        let destroyed = self.counters.destroyed.load(SeqCst);
        self.counters.created.load(SeqCst).saturating_sub(destroyed) as u32
    }

    /// Makes one more idle resource, when there is room.
    pub(super) fn add_idle(&self) -> Result<bool, AcquireError> {
        let Some((number, _)) = self.vacant.pop() else { return Ok(false) };
        self.slots.get(number).set_phase(Phase::Creating);
        self.create(number)?;
        self.put_idle(number);
        Ok(true)
    }

    /// Destroys the resource of a slot that has been idle since `tick_ns`. Its number stays on the idle stack, unless
    /// somebody pops it meanwhile.
    pub(super) fn retire(&self, number: u32, tick_ns: u64) -> bool {
        let slot = self.slots.get(number);
        match slot.begin_retirement(tick_ns) {
            Retirement::Begun => {}
            Retirement::Refused => return false,
            Retirement::Unlinked => {
                self.put_idle(number);
                return false;
            }
        }
        self.destroy_resource(number, Reason::Idle);
        if !slot.end_retirement() {
            self.vacate(number);
        } else if !self.waiters.is_empty() {
            self.serve();
        }
        true
    }

    /// Leases nothing any more, and waits until everything is back and destroyed.
    pub fn close(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), CloseError> {
        if callback::waits_for_itself(self.owner) {
            return Err(CloseError::InsideOwnCallback);
        }
        self.begin_close();
        let ended = || match self.still_out() {
            0 => Some(Ok(())),
            // A destroy waits for no lease, and so not for this call either.
            still_out => self.destroying.load(SeqCst).then_some(Err(CloseError::Destroyed { still_out })),
        };
        self.ended
            .wait_until(deadline, cancel, ended)
            .unwrap_or_else(|end| Err(CloseError::Wait { still_out: self.still_out(), end }))
    }

    fn begin_close(&self) {
        self.closed.store(true, SeqCst);
        self.waiters.wake_all();
        self.housekeeper.ring();
        self.destroy_idle();
    }

    /// Slots with a resource, or with one that is being made or destroyed.
    fn still_out(&self) -> u64 {
        self.slots.iter().filter(|slot| !matches!(slot.phase(), Phase::Vacant | Phase::Hollow)).count() as u64
    }

    pub fn stats(&self) -> PoolStats {
        let counters = &self.counters;
        let count = |phases: &[Phase]| self.slots.iter().filter(|slot| phases.contains(&slot.phase())).count() as u64;
        let acquires = self.slots.iter().map(|slot| slot.uses()).sum::<u64>();
        PoolStats {
            in_use: count(&[Phase::Leased, Phase::Returning]),
            idle: count(&[Phase::Idle]),
            creating: count(&[Phase::Creating]),
            waiting: u64::from(self.waiters.count()),
            created: counters.created.load(Relaxed),
            create_failures: counters.create_failures.load(Relaxed),
            destroyed: counters.destroyed.load(Relaxed),
            destroyed_idle: counters.destroyed_idle.load(Relaxed),
            destroyed_invalid: counters.destroyed_invalid.load(Relaxed),
            destroyed_discarded: counters.destroyed_discarded.load(Relaxed),
            destroyed_reset: counters.destroyed_reset.load(Relaxed),
            acquires,
            reuses: acquires.saturating_sub(counters.fresh.load(Relaxed)),
            timeouts: counters.timeouts.load(Relaxed),
            peak_in_use: u64::from(self.peak_in_use.load(Relaxed)),
            peak_waiting: u64::from(self.waiters.peak()),
        }
    }
}

fn check(config: &PoolConfig) -> Result<(), InvalidField> {
    if !(1..=MOST_SLOTS).contains(&config.max_size) {
        let bound = "must be 1 to 1048576, or 0 for 16";
        return Err(InvalidField { field: "max_size", value: u64::from(config.max_size), bound });
    }
    if config.min_size > config.max_size {
        let bound = "must be at most max_size";
        return Err(InvalidField { field: "min_size", value: u64::from(config.min_size), bound });
    }
    Ok(())
}

impl Handled for Pool {
    const KIND: Kind = Kind::Pool;

    fn begin_destroy(&self) {
        self.destroying.store(true, SeqCst);
        self.begin_close();
        self.ended.wake_all();
    }

    fn finish_destroy(&self) {
        self.housekeeper.stop();
        self.destroy_idle();
    }

    /// Leases that are out: each brings its resource back, which is then destroyed. A slot that a panic left in the
    /// middle of its way has no lease and is not waited for.
    fn children(&self) -> u64 {
        self.slots.iter().filter(|slot| slot.phase() == Phase::Leased).count() as u64
    }
}
