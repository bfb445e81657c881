//! A pool: acquire and release. The path of a resource that is idle and needs no callback takes no lock, allocates
//! nothing and reads no clock.

use super::attendant::{Attendant, Hearer, Outcome};
use super::borrowers::LeaseInfo;
use super::breaker::Breaker;
use super::config::{Affinity, IdleOrder, PoolConfig};
use super::creators::{self, Creators};
use super::demand::{Demand, Reserve};
use super::events::Event;
use super::housekeeper::{self, Housekeeper};
use super::idle::{IdleSet, Popped};
use super::looks::Looks;
use super::memory::Memory;
use super::numbers::{Counters, Reason};
use super::overload::Overload;
use super::reclaim::Revoked;
use super::resize::Limits;
use super::shelf::Order;
use super::sites::Sites;
use super::slots::{self, Borrower, Claim, Lease, Phase, Resource, Slots, StaleLease};
use super::stack::{Links, Stack};
use super::taps::Taps;
use super::waiters::{Grant, Source, Waiters, Want};
use super::waiting::AcquireError;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback::{self, CallbackFailure, Refusal};
use crate::base::clock;
use crate::base::handles::{Handled, Kind};
use crate::base::injection::Callback;
use crate::base::pockets::Pockets;
use crate::base::priority::Priority;
use crate::base::thread::Caller;
use crate::base::thread::SpawnError;
use crate::base::tracing::{CallSite, census};
use crate::base::watchers::Watchers;
use crate::base::{InvalidField, Owner, log};
use crate::memory::governor::reclaim;
use crate::memory::nodes::Nodes;
use crate::memory::topology::TopologyError;
use std::sync::atomic::{AtomicU32, Ordering::*};
use std::sync::{Arc, Weak};

/// The host's side of a pool. With a refusal go the words that the callback left.
pub trait Factory: Send + Sync + 'static {
    fn create(&self, resource: &mut Resource) -> Result<(), Refusal>;
    fn validates(&self) -> bool;
    fn validate(&self, resource: Resource) -> Result<(), Refusal>;
    fn resets(&self) -> bool;
    fn reset(&self, resource: Resource) -> Result<(), Refusal>;
    /// What became of an acquire that held no thread up.
    fn acquired(&self, hearer: Hearer, outcome: Outcome);
    fn status_of(&self, error: AcquireError) -> i32;
    fn hears(&self) -> bool;
    fn event(&self, event: Event, resource: Resource);
    fn retags(&self) -> bool;
    fn retag(&self, resource: Resource, from: u64, to: u64) -> Result<(), Refusal>;
    fn destroy(&self, resource: Resource);
    /// A lease has lasted longer than the limit.
    fn overdue(&self, info: &LeaseInfo);
}

const MEASURED_USES: u64 = 256;

/// A slot of the caller's whose resource can be leased.
#[derive(Clone, Copy)]
pub(super) struct Prepared {
    pub number: u32,
    /// It was made for this caller.
    is_fresh: bool,
}

impl Prepared {
    const FRESH: u64 = 1 << 32;

    /// Stands where the lease will that is made of it.
    pub fn placeholder(self) -> Lease {
        Lease(u64::from(self.number) | if self.is_fresh { Self::FRESH } else { 0 })
    }

    pub fn behind(placeholder: Lease) -> Self {
        Self { number: placeholder.0 as u32, is_fresh: placeholder.0 & Self::FRESH != 0 }
    }
}

pub struct Pool {
    pub(super) owner: Owner,
    pub(super) config: PoolConfig,
    pub(super) factory: Box<dyn Factory>,
    pub(super) validates: bool,
    pub(super) resets: bool,
    /// Whether idle resources are told apart by their tags.
    retags: bool,
    pub(super) wears: bool,
    /// Whether the housekeeper may take an idle slot, so that whoever pops one has to claim it.
    pub(super) ages: bool,
    pub(super) mode: AtomicU32,
    /// Resources of an earlier generation are not leased any more.
    pub(super) generation: AtomicU32,
    pub(super) slots: Slots,
    pub(super) idle: IdleSet,
    /// Idle slots that are at hand for the thread that used them last.
    pub(super) pockets: Pockets,
    /// Whether they are used at all: not where idle ones are counted, told apart, leased in their turn, or any thread's on
    /// a node.
    pub(super) has_pockets: bool,
    /// Whether what is at hand is fit to be leased: no callback and no look at the resource comes between two leases.
    pub(super) is_plain: bool,
    pub(super) taps: Taps,
    pub(super) reserve: Reserve,
    pub(super) revoked: Revoked,
    pub(super) memory: Memory,
    pub(super) sites: Sites,
    pub(super) overload: Overload,
    pub(super) vacant: Stack,
    /// What was released for the last time, for the housekeeper to destroy.
    pub(super) doomed: Stack,
    /// Resources that were let go and are not yet destroyed.
    pub(super) leaving: AtomicU32,
    pub(super) limits: Limits,
    pub(super) waiters: Waiters,
    pub(super) looks: Looks,
    pub(super) breaker: Breaker,
    pub(super) creators: Creators,
    pub(super) attendant: Attendant,
    pub(super) housekeeper: Housekeeper,
    /// Told when a resource was made in the background, or could not be.
    pub(super) warmed: Watchers,
    /// Told when a resource of a closed pool is gone.
    pub(super) ended: Watchers,
    pub(super) counters: Counters,
}

// What holds for the whole pool: bits of its mode, which is 0 in ordinary times.
pub(super) const CLOSED: u32 = 1;
pub(super) const PAUSED: u32 = 2;
pub(super) const DESTROYING: u32 = 4;
pub(super) const QUARANTINED: u32 = 8;

#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error(transparent)]
    Topology(#[from] TopologyError),
}

impl Pool {
    pub fn new(owner: Owner, config: PoolConfig, factory: Box<dyn Factory>) -> Result<Arc<Self>, CreateError> {
        config.check()?;
        let capacity = config.capacity;
        let links = Links::new(capacity)?;
        let (validates, resets, retags, wears) =
            (factory.validates(), factory.resets(), factory.retags(), config.wears());
        let memory = slots::Memory { uses: config.max_uses > 0, lifetimes: config.max_lifetime_ns > 0, tags: retags };
        let nodes = if config.affinity == Affinity::Node { Nodes::of_this_machine()? } else { None };
        let order = match config.idle_order {
            _ if retags => Order::ByTag,
            IdleOrder::LastUsedFirst => Order::LastUsedFirst,
            IdleOrder::LongestIdleFirst => Order::LongestIdleFirst,
        };
        let idle = IdleSet::new(order, nodes, config.min_idle > 0, capacity, &links)?;
        let has_pockets =
            order == Order::LastUsedFirst && config.min_idle == 0 && config.reserved_high == 0 && !idle.is_by_node();
        let pool = alloc::try_arc(Self {
            owner,
            config,
            validates,
            resets,
            retags,
            wears,
            ages: config.tick_length_ns().is_some(),
            mode: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            slots: Slots::new(capacity, memory)?,
            idle,
            pockets: Pockets::new(owner),
            has_pockets,
            is_plain: has_pockets && !validates && !resets && !wears,
            taps: Taps::default(),
            reserve: Reserve::new(config.reserved_high),
            revoked: Revoked::default(),
            memory: Memory::new(config.resource_bytes, config.name)?,
            sites: Sites::default(),
            overload: Overload::new(config.target_wait_ns, config.wait_interval_ns, config.refuses_hopeless),
            vacant: Stack::with(&links),
            doomed: Stack::with(&links),
            leaving: AtomicU32::new(0),
            limits: Limits::new(&config, &links),
            waiters: Waiters::default(),
            looks: Looks::default(),
            breaker: Breaker::new(config.breaker_failures),
            creators: Creators::default(),
            attendant: Attendant::default(),
            housekeeper: Housekeeper::default(),
            warmed: Watchers::default(),
            ended: Watchers::default(),
            counters: Counters::default(),
            factory,
        })?;
        // On top the low even numbers: a pool that is little used stays in few cache lines, of which each has one user.
        let (even, odd) = ((0..config.max_size).step_by(2), (1..config.max_size).step_by(2));
        odd.rev().chain(even.rev()).for_each(|slot| pool.vacant.push(slot));
        pool.start().inspect_err(|_| {
            // A thread that did start may have made something.
            pool.begin_destroy();
            pool.finish_destroy();
        })?;
        Ok(pool)
    }

    fn start(self: &Arc<Self>) -> Result<(), CreateError> {
        creators::start(self, self.config.creator_threads)?;
        if self.config.min_size > 0 || self.config.min_idle > 0 || self.ages {
            housekeeper::start(self)?;
        }
        if self.config.resource_bytes > 0 {
            let reclaimer: Weak<Pool> = Arc::downgrade(self);
            reclaim::register(reclaimer)?;
            let census: Weak<Pool> = Arc::downgrade(self);
            census::register(census)?;
        }
        Ok(())
    }

    pub fn try_acquire(&self, demand: Demand) -> Result<(Lease, Resource), AcquireError> {
        self.acquire_now(demand)?.ok_or_else(|| {
            if self.is(PAUSED) {
                AcquireError::Paused
            } else if self.has_nothing() {
                self.breaker_open()
            } else if self.vacant.depth() > 0 {
                AcquireError::NoneIdle
            } else {
                AcquireError::Exhausted { max_size: self.limits.max_size() }
            }
        })
    }

    /// Leases an idle resource, else a new one. Nothing when there is none to be had, or when others came first.
    pub fn acquire_now(&self, demand: Demand) -> Result<Option<(Lease, Resource)>, AcquireError> {
        if let Some(leased) = self.acquire_at_hand(demand) {
            return Ok(Some(leased));
        }
        match self.take_now(demand)? {
            Some(grant) => {
                self.note_calm();
                self.lease(grant, demand, &mut || {})
            }
            None => Ok(None),
        }
    }

    /// Takes an idle resource or a place for one, with its share of the pool. Nothing when there is none to be had, or when
    /// others came first.
    #[inline]
    pub(super) fn take_now(&self, demand: Demand) -> Result<Option<Grant>, AcquireError> {
        if self.is(CLOSED) {
            return Err(AcquireError::Closed);
        }
        if !self.waiters.is_empty() || !self.reserve.enter(demand.priority, 1, self.limits.max_size()) {
            return Ok(None);
        }
        let taken = self.take(demand.tag, self.idle.here());
        if taken.is_none() {
            self.leave_reserve(demand.priority);
        }
        Ok(taken)
    }

    /// Takes what is free for one on that node: an idle slot first, else a vacant one. It is the caller's then.
    #[inline]
    fn take(&self, tag: u64, node: u32) -> Option<Grant> {
        if self.is(PAUSED) {
            return None;
        }
        self.take_idle(tag, node).map(Grant::Idle).or_else(|| self.take_vacant().map(Grant::Vacant))
    }

    #[inline]
    fn take_idle(&self, tag: u64, node: u32) -> Option<u32> {
        loop {
            let moment = self.pockets.moment();
            while let Some(Popped { slot, left, from }) = self.idle.pop_for(tag, node) {
                if self.claim(slot) {
                    self.idle.note_taken(node, from, 1);
                    if let Some(left) = left {
                        self.note_peak(left);
                        if left < self.config.min_idle {
                            self.refill();
                        }
                    }
                    return Some(slot);
                }
            }
            if !self.recall_some(moment) {
                return None;
            }
        }
    }

    /// Whether a number that was taken from among the idle ones is the caller's, with its resource.
    #[inline]
    pub(super) fn claim(&self, number: u32) -> bool {
        // Without an age nobody but its popper moves an idle slot.
        let claim = if self.ages { self.slots.get(number).claim() } else { Claim::Resource };
        if claim == Claim::Hollow {
            self.put_vacant(number);
            self.tell_ended();
            self.refill();
        }
        claim == Claim::Resource
    }

    /// Whether a caller that is not held up can make what it needs.
    fn may_make_one(&self) -> bool {
        self.config.creator_threads == 0 && self.vacant.depth() > 0 && !self.breaker.is_open()
    }

    /// Only where callers make what they need.
    fn take_vacant(&self) -> Option<u32> {
        if self.config.creator_threads > 0 {
            return None;
        }
        let (number, _) = self.vacant.pop()?;
        if !self.breaker.admits() {
            self.vacant.push(number);
            return None;
        }
        self.slots.get(number).set_phase(Phase::Creating);
        self.note_peak(self.idle.depth());
        Some(number)
    }

    /// What is in use is what is neither vacant nor idle, both of which know their depth, nor in a pocket.
    #[inline]
    pub(super) fn note_peak(&self, idle: u32) {
        let circulating = self.limits.circulating();
        let not_free = circulating.saturating_sub(self.vacant.depth() + idle);
        if not_free > self.counters.peak_in_use.load(Relaxed) {
            self.raise_peak();
        }
    }

    #[cold]
    fn raise_peak(&self) {
        // In this order, so that what is recalled meanwhile counts as free twice and not as in use.
        let at_hand = self.count_at_hand();
        let free = self.vacant.depth() + self.idle.depth() + at_hand;
        self.counters.peak_in_use.fetch_max(self.limits.circulating().saturating_sub(free), Relaxed);
    }

    /// Leases what the caller took, with its share of the pool; see [`prepare`](Self::prepare).
    #[inline]
    pub(super) fn lease(
        &self,
        grant: Grant,
        demand: Demand,
        wait: &mut dyn FnMut(),
    ) -> Result<Option<(Lease, Resource)>, AcquireError> {
        Ok(self.prepare(grant, demand, wait)?.map(|prepared| self.lease_prepared(prepared, demand)))
    }

    #[inline]
    pub(super) fn lease_prepared(&self, prepared: Prepared, demand: Demand) -> (Lease, Resource) {
        if prepared.is_fresh {
            self.counters.fresh.fetch_add(1, Relaxed);
        }
        self.begin_lease(prepared.number, demand)
    }

    /// Makes what the caller took ready to be leased. Nothing when it was not fit any more, and another is to be waited for:
    /// then `wait` is called before anything is put down that might go to others.
    #[inline]
    pub(super) fn prepare(
        &self,
        grant: Grant,
        demand: Demand,
        wait: &mut dyn FnMut(),
    ) -> Result<Option<Prepared>, AcquireError> {
        let prepared = match grant {
            Grant::Idle(number) => match self.fault_of(number) {
                None => self.prepare_fit(number, demand).map(Some),
                Some(fault) => self.prepare_another(number, fault, demand, wait),
            },
            Grant::Vacant(number) => self.prepare_new(number, demand).map(Some),
        };
        if !matches!(prepared, Ok(Some(_))) {
            self.leave_reserve(demand.priority);
        }
        prepared
    }

    /// Whether a lease that has just ended had a share of what is for everybody. It comes free after the resource, so that
    /// what is kept for others is not taken in its place.
    #[inline]
    pub(super) fn has_share(&self, number: u32) -> bool {
        self.reserve.is_there() && self.slots.get(number).borrower().is_ordinary
    }

    #[inline]
    pub(super) fn end_share(&self, has_share: bool) {
        if has_share {
            self.leave_reserve(Priority::Normal);
        }
    }

    /// A share of the pool is free for others.
    pub(super) fn leave_reserve(&self, priority: Priority) {
        if self.reserve.is_there() {
            self.reserve.leave(priority, 1);
            self.after_idle();
        }
    }

    /// Gives a resource that is fit the settings that are wanted. One that cannot be given them goes, and only that one:
    /// what refuses may be the wish.
    #[inline]
    fn prepare_fit(&self, number: u32, demand: Demand) -> Result<Prepared, AcquireError> {
        if self.retags
            && let Err(failure) = self.retag(number, demand.tag)
        {
            self.destroy_resource(number, Reason::Reset);
            self.vacate(number);
            return Err(AcquireError::CreateFailed(failure));
        }
        Ok(Prepared { number, is_fresh: false })
    }

    /// Gives a resource the settings that are wanted.
    fn retag(&self, number: u32, wanted: u64) -> Result<(), CallbackFailure> {
        let (resource, tag) = (self.slots.get(number).resource(), self.slots.tag(number));
        if tag == wanted {
            return Ok(());
        }
        self.counters.retags.fetch_add(1, Relaxed);
        self.doomed_by_panic(number, || {
            callback::run_checked(self.owner, Callback::Retag, || self.factory.retag(resource, tag, wanted))
        })
        .inspect(|()| self.slots.set_tag(number, wanted))
        .inspect_err(|failure| {
            log::info(format_args!("{}: a resource could not be retagged: {failure}", self.config.name));
        })
    }

    /// Why an idle resource must not be leased again.
    #[inline]
    pub(super) fn fault_of(&self, number: u32) -> Option<Reason> {
        let wear = self.wear_of(number);
        if wear.is_none() && self.validates && !self.is_still_valid(number) {
            return Some(Reason::Invalid);
        }
        wear
    }

    /// Why a resource has had its last use.
    #[inline]
    pub(super) fn wear_of(&self, number: u32) -> Option<Reason> {
        if self.slots.get(number).generation() != self.generation.load(Relaxed) {
            return Some(Reason::Refreshed);
        }
        if self.wears { self.wear_by_age(number) } else { None }
    }

    fn wear_by_age(&self, number: u32) -> Option<Reason> {
        if self.config.max_uses > 0 && self.slots.uses_of_resource(number) >= self.config.max_uses {
            return Some(Reason::Used);
        }
        // By the housekeeper's clock.
        (self.config.max_lifetime_ns > 0 && self.slots.expires_ns(number) <= self.housekeeper.tick_ns())
            .then_some(Reason::Old)
    }

    /// In place of a resource with a fault, the next idle one without, else a new one.
    #[cold]
    fn prepare_another(
        &self,
        mut number: u32,
        mut fault: Reason,
        demand: Demand,
        wait: &mut dyn FnMut(),
    ) -> Result<Option<Prepared>, AcquireError> {
        loop {
            self.destroy_resource(number, fault);
            self.slots.get(number).set_phase(Phase::Creating);
            let Some(next) = self.take_idle(demand.tag, self.idle.here()) else { break };
            self.vacate(number);
            number = next;
            match self.fault_of(number) {
                Some(next_fault) => fault = next_fault,
                None => return self.prepare_fit(number, demand).map(Some),
            }
        }
        if self.config.creator_threads > 0 || !self.breaker.admits() {
            wait();
            self.vacate(number);
            return Ok(None);
        }
        self.prepare_new(number, demand).map(Some)
    }

    #[cold]
    fn is_still_valid(&self, number: u32) -> bool {
        let slot = self.slots.get(number);
        let trusted_ns = self.config.validate_after_ns;
        if trusted_ns > 0 && clock::now_ns().saturating_sub(slot.since_ns.load(Relaxed)) < trusted_ns {
            return true;
        }
        self.doomed_by_panic(number, || self.validate(slot.resource()))
    }

    /// Runs a callback for a resource of the caller's. One whose callback panics is destroyed when that may be.
    pub(super) fn doomed_by_panic<R>(&self, number: u32, body: impl FnOnce() -> R) -> R {
        let doom = Doom { pool: self, number };
        let result = body();
        std::mem::forget(doom);
        result
    }

    pub(super) fn validate(&self, resource: Resource) -> bool {
        match callback::run_checked(self.owner, Callback::Validate, || self.factory.validate(resource)) {
            Ok(()) => true,
            Err(failure) => {
                log::info(format_args!("{}: an idle resource is not valid any more: {failure}", self.config.name));
                false
            }
        }
    }

    fn prepare_new(&self, number: u32, demand: Demand) -> Result<Prepared, AcquireError> {
        self.create(number)?;
        Ok(Prepared { is_fresh: true, ..self.prepare_fit(number, demand)? })
    }

    /// The time of one use in so many is measured; the others begin at the housekeeper's last tick.
    #[inline(always)]
    pub(super) fn begin_lease(&self, number: u32, demand: Demand) -> (Lease, Resource) {
        let slot = self.slots.get(number);
        let is_measured = slot.uses().is_multiple_of(MEASURED_USES);
        let since_ns = if is_measured { clock::now_ns() | 1 } else { self.housekeeper.tick_ns() & !1 };
        let resource = slot.resource();
        let is_ordinary = self.reserve.is_there() && demand.is_ordinary();
        let borrower = Borrower { number: demand.borrower, is_ordinary, since_ns };
        let lease = self.slots.begin_lease(number, borrower);
        if demand.site != CallSite::NONE {
            self.sites.note(self.config.capacity, number, lease, demand.site);
        }
        (lease, resource)
    }

    /// Takes a resource back, for the next who wants it.
    #[inline(always)]
    pub fn release(&self, lease: Lease, me: Caller) -> Result<(), StaleLease> {
        let number = self.end_lease(lease, me).map_err(|stale| self.end_if_revoked(stale))?;
        let has_share = self.has_share(number);
        self.note_use(number);
        if self.settle(number) {
            self.note_idle_since(number);
            if self.put_at_hand(number, me.pocket(self.owner)) {
                self.after_idle();
            }
        }
        self.end_share(has_share);
        Ok(())
    }

    /// Whether a released resource is kept. Otherwise it is on its way out.
    #[inline(always)]
    pub(super) fn settle(&self, number: u32) -> bool {
        if self.withdraw_surplus(number) {
            return false;
        }
        if let Some(reason) = self.wear_of(number).or_else(|| self.surplus()) {
            self.let_go(number, reason);
            return false;
        }
        if self.resets && !self.is(CLOSED) && !self.is_reset(number) {
            self.destroy_resource(number, Reason::Reset);
            self.vacate(number);
            return false;
        }
        true
    }

    #[inline]
    pub(super) fn note_use(&self, number: u32) {
        self.idle.note_use(number);
        let since_ns = self.slots.get(number).since_ns.load(Relaxed);
        if since_ns & 1 == 1 {
            let now_ns = clock::now_ns();
            self.counters.uses.note(now_ns.saturating_sub(since_ns));
            self.memory.last_used_ns.store(now_ns, Relaxed);
        }
    }

    /// Takes a resource back that nobody shall have any more. Another thread than the one that has the lease takes it
    /// away from that one.
    pub fn discard(&self, lease: Lease, me: Caller) -> Result<(), StaleLease> {
        let number = self.end_lease(lease, me).map_err(|stale| self.end_if_revoked(stale))?;
        let has_share = self.has_share(number);
        self.note_use(number);
        self.destroy_resource(number, Reason::Discarded);
        self.vacate(number);
        self.end_share(has_share);
        Ok(())
    }

    pub fn resource_of(&self, lease: Lease) -> Result<Resource, StaleLease> {
        self.slots.resource_of(lease)
    }

    /// Whether there are more resources than the pool keeps for nobody; then this one counts as leaving from now on.
    #[inline]
    fn surplus(&self) -> Option<Reason> {
        if !self.wears || self.config.soft_max_size == self.config.capacity || !self.waiters.is_empty() {
            return None;
        }
        // Of several that are released at once, as many go as there are too many.
        let leaving = self.leaving.fetch_add(1, SeqCst);
        if self.size().saturating_sub(leaving) > self.config.soft_max_size {
            return Some(Reason::Surplus);
        }
        self.leaving.fetch_sub(1, SeqCst);
        None
    }

    #[cold]
    fn is_reset(&self, number: u32) -> bool {
        let resource = self.slots.get(number).resource();
        let reset = || callback::run_checked(self.owner, Callback::Reset, || self.factory.reset(resource));
        match self.doomed_by_panic(number, reset) {
            Ok(()) => true,
            Err(failure) => {
                log::info(format_args!("{}: a resource could not be reset: {failure}", self.config.name));
                false
            }
        }
    }

    #[inline]
    pub(super) fn put_idle(&self, number: u32) {
        if self.withdraw_surplus(number) {
            return;
        }
        self.note_idle_since(number);
        self.put_where_all_find_it(number);
        self.after_idle();
    }

    #[inline]
    pub(super) fn push_idle(&self, number: u32) {
        self.idle.push(number, self.slots.tag(number));
    }

    /// To be called when something was put among the idle ones.
    #[inline]
    pub(super) fn after_idle(&self) {
        if self.is_too_large() {
            // A resize that came before has not seen it.
            self.withdraw_what_is_free();
        }
        if !self.waiters.is_empty() {
            self.serve();
        }
        // A close that came before has not seen it.
        if self.is(CLOSED) {
            self.destroy_idle();
        }
    }

    /// As exactly as this pool needs it: the housekeeper's tick costs no look at the clock.
    #[inline]
    pub(super) fn note_idle_since(&self, number: u32) {
        let is_exact = self.validates && self.config.validate_after_ns > 0;
        let now_ns = if is_exact { clock::now_ns() } else { self.housekeeper.tick_ns() };
        self.slots.get(number).since_ns.store(now_ns, Relaxed);
    }

    /// The slot's resource is gone.
    #[cold]
    pub(super) fn vacate(&self, number: u32) {
        self.put_vacant(number);
        self.after_vacant();
    }

    /// To be called when a slot has come free for a new resource.
    pub(super) fn after_vacant(&self) {
        if !self.waiters.is_empty() {
            self.serve();
            if self.breaker.is_open() {
                // Who waits may make something when the breaker's pause is over.
                self.waiters.wake_all();
            }
        }
        self.tell_ended();
        self.refill();
    }

    /// To be called when a close may have less to wait for.
    pub(super) fn tell_ended(&self) {
        if self.is(CLOSED) {
            self.ended.wake_all();
        }
    }

    /// The same without a word to those who wait.
    pub(super) fn put_vacant(&self, number: u32) {
        if self.is_too_large() && self.withdraw(number, None) {
            return;
        }
        self.slots.get(number).set_phase(Phase::Vacant);
        self.vacant.push(number);
    }

    /// What was granted to a demand of that priority is not used.
    pub(super) fn give_back(&self, grant: Grant, priority: Priority) {
        match grant {
            Grant::Idle(number) => self.put_idle(number),
            Grant::Vacant(number) => self.vacate(number),
        }
        self.leave_reserve(priority);
    }

    #[cold]
    pub(super) fn serve(&self) {
        self.waiters.serve(self);
    }

    #[inline]
    pub(super) fn is(&self, mode: u32) -> bool {
        self.mode.load(SeqCst) & mode != 0
    }
}

/// Leaves a resource to be destroyed, by the housekeeper or with the pool.
struct Doom<'a> {
    pool: &'a Pool,
    number: u32,
}

impl Drop for Doom<'_> {
    fn drop(&mut self) {
        self.pool.leaving.fetch_add(1, SeqCst);
        self.pool.doomed.push(self.number);
    }
}

impl Source for Pool {
    fn admit(&self, want: &Want) -> bool {
        self.reserve.enter(want.priority, want.count, self.limits.max_size())
    }

    fn dismiss(&self, want: &Want) {
        self.reserve.leave(want.priority, want.count);
    }

    fn free(&self, want: &Want) -> Option<Grant> {
        self.take(want.tag, want.node)
    }

    fn refuses(&self, want: &Want) -> bool {
        let is_free = || !self.is(PAUSED) && (self.idle.depth() > 0 || self.may_make_one());
        self.overload.is_watched() && is_free() && self.overload.is_too_late(want.since_ns)
    }

    fn note_turn(&self, waiting: usize) {
        self.overload.note_turn(waiting > 0);
    }
}

impl Handled for Pool {
    const KIND: Kind = Kind::Pool;

    fn begin_destroy(&self) {
        self.mode.fetch_or(DESTROYING, SeqCst);
        self.begin_close();
        self.ended.wake_all();
    }

    /// Every wait ends, and nothing is at hand any more.
    fn quarantined(&self) {
        self.mode.fetch_or(QUARANTINED, SeqCst);
        self.recall();
        self.waiters.wake_all();
        self.warmed.wake_all();
        self.ended.wake_all();
    }

    fn finish_destroy(&self) {
        self.attendant.stop();
        self.give_back_acquired();
        self.creators.stop();
        self.housekeeper.stop();
        self.destroy_doomed();
        self.destroy_idle();
    }

    /// Open taps, and leases that are out, revoked ones as well: each brings its resource back, which is then destroyed. A slot that a panic left in the
    /// middle of its way has no lease and is not waited for.
    fn children(&self) -> u64 {
        let leased = self.slots.iter().filter(|slot| slot.phase() == Phase::Leased).count() as u64;
        leased + u64::from(self.revoked.count()) + u64::from(self.taps.count())
    }
}
