//! A pool: its parts, and its begin and end.

use super::attendant::{Attendant, Hearer, Outcome};
use super::barging::Barging;
use super::borrowers::LeaseInfo;
use super::breaker::Breaker;
use super::config::{Affinity, IdleOrder, PoolConfig};
use super::creators::{self, Creators};
use super::demand::Reserve;
use super::events::Event;
use super::housekeeper::{self, Housekeeper};
use super::idle::IdleSet;
use super::looks::Looks;
use super::memory::Memory;
use super::numbers::Counters;
use super::overload::Overload;
use super::reclaim::Revoked;
use super::resize::Limits;
use super::shelf::Order;
use super::sites::Sites;
use super::slots::{self, Phase, Resource, Slots};
use super::stack::{Links, Stack};
use super::taps::Taps;
use super::turns::Turns;
use super::waiters::{Bell, Waiters};
use super::waiting::AcquireError;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback::Refusal;
use crate::base::handles::{self, Handled, Kind, LaneOf, Laned, Pocketed};
use crate::base::panics::Caught;
use crate::base::pockets::Pockets;
use crate::base::thread::SpawnError;
use crate::base::tracing::census;
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
    /// One who waits in the host's own way is to look again.
    fn ring(&self, bell: Bell);
    fn hears(&self) -> bool;
    fn event(&self, event: Event, resource: Resource);
    fn retags(&self) -> bool;
    fn retag(&self, resource: Resource, from: u64, to: u64) -> Result<(), Refusal>;
    fn destroy(&self, resource: Resource);
    /// A lease has lasted longer than the limit.
    fn overdue(&self, info: &LeaseInfo);
}

pub struct Pool {
    pub(super) owner: Owner,
    pub(super) config: PoolConfig,
    pub(super) factory: Box<dyn Factory>,
    pub(super) validates: bool,
    pub(super) resets: bool,
    /// Whether idle resources are told apart by their tags.
    pub(super) retags: bool,
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
    pub(super) turns: Turns,
    pub(super) looks: Looks,
    pub(super) barging: Barging,
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
        config.check(factory.retags())?;
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
            turns: Turns::default(),
            looks: Looks::default(),
            barging: Barging::new(config.barging_ns),
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
            reclaim::register::<Self>(self.owner, reclaimer)?;
            let census: Weak<Pool> = Arc::downgrade(self);
            census::register::<Self>(self.owner, census)?;
        }
        Ok(())
    }

    #[cold]
    pub(super) fn serve(&self) {
        self.waiters.serve(self);
    }

    /// After a panic on a thread of the pool's own.
    #[cold]
    pub(super) fn quarantine(&self, thread: &str, caught: Caught) {
        log::warn(format_args!("{}: the {thread} panicked: {}", self.config.name, caught.message()));
        handles::quarantine(self.owner);
        self.quarantined();
    }

    #[inline]
    pub(super) fn is(&self, mode: u32) -> bool {
        self.mode.load(SeqCst) & mode != 0
    }
}

impl Pocketed for Pool {}

impl Handled for Pool {
    const KIND: Kind = Kind::Pool;
    const LANE: Option<LaneOf<Self>> = Self::ITS_LANE;

    fn begin_destroy(&self) {
        self.mode.fetch_or(DESTROYING, SeqCst);
        self.begin_close();
        self.ended.wake_all();
    }

    /// Every wait ends, and nothing is at hand any more.
    fn quarantined(&self) {
        self.mode.fetch_or(QUARANTINED, SeqCst);
        self.recall();
        self.waiters.wake_all(self);
        self.warmed.wake_all();
        self.ended.wake_all();
    }

    fn finish_destroy(&self) {
        self.attendant.stop();
        self.give_back_acquired();
        self.end_refused_turns();
        self.creators.stop();
        self.housekeeper.stop();
        self.destroy_doomed();
        self.destroy_idle();
    }

    /// Open taps, acquires in two steps that have not ended, and leases that are out, revoked ones as well: each brings its
    /// resource back, which is then destroyed. A slot that a panic left in the middle of its way has no lease and is not waited
    /// for.
    fn children(&self) -> u64 {
        let leased = self.slots.iter().filter(|slot| slot.phase() == Phase::Leased).count() as u64;
        leased + u64::from(self.revoked.count()) + u64::from(self.taps.count()) + self.turns.count()
    }
}
