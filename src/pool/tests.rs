//! Attacks on what the pool promises: one lease for each resource, each created one destroyed once, nobody forgotten.

mod slots;

use super::attendant::{Hearer, Outcome};
use super::borrowers::LeaseInfo;
use super::config::{Affinity, IdleOrder, PoolConfig};
use super::demand::Demand;
use super::events::Event;
use super::pool::{Factory, Pool};
use super::slots::{Lease, Resource};
use super::stack::Stack;
use super::waiters::Bell;
use super::waiting::AcquireError;
use crate::base::callback::Refusal;
use crate::base::clock::Deadline;
use crate::base::handles::{self, Handled, Kind};
use crate::base::thread::Caller;
use crate::base::{Name, panics};
use crate::memory::governor::reclaim::Reclaimer;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};

#[test]
fn last_in_first_out_and_counted() {
    let stack = Stack::new(3).unwrap();
    assert_eq!(stack.pop(), None);
    (0..3).for_each(|slot| stack.push(slot));
    assert_eq!(stack.depth(), 3);
    assert_eq!([stack.pop(), stack.pop(), stack.pop(), stack.pop()], [Some((2, 2)), Some((1, 1)), Some((0, 0)), None]);
}

#[test]
fn a_number_is_never_handed_to_two() {
    let stack = Stack::new(8).unwrap();
    (0..8).for_each(|slot| stack.push(slot));
    let owners: Vec<AtomicU32> = (0..8).map(|_| AtomicU32::new(0)).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50_000 {
                    if let Some((slot, _)) = stack.pop() {
                        assert_eq!(owners[slot as usize].swap(1, Relaxed), 0);
                        owners[slot as usize].store(0, Relaxed);
                        stack.push(slot);
                    }
                }
            });
        }
    });
    assert_eq!(stack.depth(), 8);
}

/// What the callbacks of a pool did, and shall do.
#[derive(Default)]
struct Yard {
    created: AtomicU32,
    destroyed: AtomicU32,
    validates: bool,
    validate_panics: AtomicBool,
    /// Creates that succeed.
    may_create: Option<u32>,
}

struct Made(Arc<Yard>);

impl Factory for Made {
    fn create(&self, resource: &mut Resource) -> Result<(), Refusal> {
        let number = self.0.created.load(SeqCst);
        if self.0.may_create.is_some_and(|most| number >= most) {
            return Err(Refusal::IN_WORDS);
        }
        self.0.created.store(number + 1, SeqCst);
        *resource = Resource((number as usize + 1) as *mut c_void);
        Ok(())
    }
    fn validates(&self) -> bool {
        self.0.validates
    }
    fn validate(&self, _: Resource) -> Result<(), Refusal> {
        assert!(!self.0.validate_panics.load(SeqCst), "validate panics");
        Ok(())
    }
    fn resets(&self) -> bool {
        false
    }
    fn reset(&self, _: Resource) -> Result<(), Refusal> {
        Ok(())
    }
    fn acquired(&self, _: Hearer, _: Outcome) {}
    fn status_of(&self, _: AcquireError) -> i32 {
        -1
    }
    fn ring(&self, _: Bell) {}
    fn hears(&self) -> bool {
        false
    }
    fn event(&self, _: Event, _: Resource) {}
    fn retags(&self) -> bool {
        false
    }
    fn retag(&self, _: Resource, _: u64, _: u64) -> Result<(), Refusal> {
        Ok(())
    }
    fn destroy(&self, _: Resource) {
        self.0.destroyed.fetch_add(1, SeqCst);
    }
    fn overdue(&self, _: &LeaseInfo) {}
}

/// A pool behind a handle.
fn pool_of(yard: &Arc<Yard>, max_size: u32, resource_bytes: u64) -> (u64, Arc<Pool>) {
    pool_from(yard, config_of(max_size, resource_bytes))
}

fn config_of(max_size: u32, resource_bytes: u64) -> PoolConfig {
    PoolConfig {
        min_size: 0,
        max_size,
        capacity: max_size,
        min_idle: 0,
        soft_max_size: max_size,
        creator_threads: 0,
        breaker_failures: 5,
        idle_order: IdleOrder::LastUsedFirst,
        affinity: Affinity::Thread,
        reserved_high: 0,
        refuses_hopeless: false,
        target_wait_ns: 0,
        wait_interval_ns: 0,
        max_uses: 0,
        idle_timeout_ns: 0,
        validate_after_ns: 0,
        keepalive_ns: 0,
        lease_limit_ns: 0,
        max_lifetime_ns: 0,
        lifetime_jitter_ns: 0,
        resource_bytes,
        barging_ns: 0,
        name: Name::from("yard"),
    }
}

fn pool_from(yard: &Arc<Yard>, config: PoolConfig) -> (u64, Arc<Pool>) {
    let reserved = handles::reserve(Kind::Pool).unwrap();
    let pool = Pool::new(reserved.owner(), config, Box::new(Made(yard.clone()))).unwrap();
    (reserved.publish(pool.clone()), pool)
}

fn acquire(pool: &Pool) -> Lease {
    pool.acquire_now(Demand::plain(Caller::UNKNOWN)).unwrap().unwrap().0
}

#[test]
fn idle_resources_go_when_memory_runs_short_and_each_is_charged_while_it_lives() {
    let yard = Arc::new(Yard::default());
    let (handle, pool) = pool_of(&yard, 4, 1000);
    let leases: Vec<Lease> = (0..4).map(|_| acquire(&pool)).collect();
    assert_eq!((pool.charged_bytes(), pool.reclaimable_bytes()), (4000, 0));
    assert_eq!(pool.reclaim(5000), 0, "what is leased stays");
    leases[1..].iter().for_each(|lease| pool.release(*lease, Caller::UNKNOWN).unwrap());
    assert_eq!(pool.reclaimable_bytes(), 3000);
    assert!(pool.last_used_ns() > 0);
    assert_eq!(pool.reclaim(1500), 2000, "whole resources");
    assert_eq!((pool.charged_bytes(), pool.reclaimable_bytes(), yard.destroyed.load(SeqCst)), (2000, 1000, 2));
    handles::destroy::<Pool>(handle).unwrap();
    assert_eq!(pool.charged_bytes(), 1000, "of the lease that is out");
    assert_eq!(pool.reclaim(1500), 0, "no callback runs after a destroy");
    pool.release(leases[0], Caller::UNKNOWN).unwrap();
    assert_eq!((pool.charged_bytes(), yard.destroyed.load(SeqCst)), (0, 4));
}

#[test]
fn resource_whose_callback_panics_is_destroyed_with_its_pool() {
    let yard = Arc::new(Yard { validates: true, ..Yard::default() });
    let (handle, pool) = pool_of(&yard, 2, 8);
    let lease = acquire(&pool);
    pool.release(lease, Caller::UNKNOWN).unwrap();
    yard.validate_panics.store(true, SeqCst);
    assert!(panics::catch(|| acquire(&pool)).is_err());
    assert_eq!(yard.destroyed.load(SeqCst), 0);
    handles::destroy::<Pool>(handle).unwrap();
    assert_eq!((yard.created.load(SeqCst), yard.destroyed.load(SeqCst), pool.charged_bytes()), (1, 1, 0));
}

#[test]
fn who_waits_hears_of_a_quarantine() {
    let yard = Arc::new(Yard::default());
    let (handle, pool) = pool_of(&yard, 1, 0);
    let lease = acquire(&pool);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| pool.acquire_later(Demand::plain(Caller::UNKNOWN), Deadline::NEVER, None).map(drop));
        while pool.stats().waiting == 0 {
            std::thread::yield_now();
        }
        handles::quarantine(pool.owner);
        pool.quarantined();
        assert!(matches!(waits.join().unwrap(), Err(AcquireError::Quarantined)));
    });
    handles::destroy::<Pool>(handle).unwrap();
    pool.release(lease, Caller::UNKNOWN).unwrap();
    assert_eq!(yard.destroyed.load(SeqCst), 1);
}

#[test]
fn panic_in_the_background_quarantines_the_pool() {
    let yard = Arc::new(Yard { validates: true, ..Yard::default() });
    let (handle, pool) = pool_from(&yard, PoolConfig { keepalive_ns: 4_000_000, ..config_of(2, 0) });
    let leases = [acquire(&pool), acquire(&pool)];
    yard.validate_panics.store(true, SeqCst);
    // Whoever waits leaves to the housekeeper what is idle.
    pool.pause();
    pool.release(leases[0], Caller::UNKNOWN).unwrap();
    let waited = pool.acquire_later(Demand::plain(Caller::UNKNOWN), Deadline::NEVER, None);
    assert!(matches!(waited, Err(AcquireError::Quarantined)));
    assert_eq!(yard.destroyed.load(SeqCst), 1);
    assert!(handles::pin::<Pool>(handle).is_err(), "only destroy is left");
    handles::destroy::<Pool>(handle).unwrap();
    pool.release(leases[1], Caller::UNKNOWN).unwrap();
    assert_eq!((yard.created.load(SeqCst), yard.destroyed.load(SeqCst)), (2, 2));
}

#[test]
fn acquire_of_many_that_fails_is_no_use_of_any() {
    let yard = Arc::new(Yard { may_create: Some(2), ..Yard::default() });
    let (handle, pool) = pool_of(&yard, 4, 0);
    let (mut leases, mut resources) = ([Lease(0); 3], [Resource::NONE; 3]);
    let demand = Demand::plain(Caller::UNKNOWN);
    let mut many = |count: usize| {
        pool.acquire_many(demand, || Deadline::NEVER, None, &mut leases[..count], &mut resources[..count])
    };
    assert!(matches!(many(3), Err(AcquireError::CreateFailed(_))));
    assert_eq!((pool.stats().acquires, pool.stats().idle, pool.stats().in_use), (0, 2, 0));
    many(2).unwrap();
    assert_eq!((pool.stats().acquires, pool.stats().reuses), (2, 2));
    handles::destroy::<Pool>(handle).unwrap();
    assert_eq!(pool.release_many(&leases[..2], Caller::UNKNOWN), (2, Ok(())));
    assert_eq!(yard.destroyed.load(SeqCst), 2);
}

#[test]
fn acquire_of_many_behind_an_open_breaker_is_no_use_of_what_it_tries() {
    let yard = Arc::new(Yard { may_create: Some(1), ..Yard::default() });
    let (handle, pool) = pool_of(&yard, 4, 0);
    let (mut leases, mut resources) = ([Lease(0); 2], [Resource::NONE; 2]);
    let demand = Demand::plain(Caller::UNKNOWN);
    let mut pair = || pool.acquire_many(demand, || Deadline::after(0), None, &mut leases, &mut resources);
    for _ in 0..5 {
        assert!(matches!(pair(), Err(AcquireError::CreateFailed(_))));
    }
    assert!(matches!(pair(), Err(AcquireError::Wait { .. })), "what there is is waited for");
    let stats = pool.stats();
    assert_eq!((stats.acquires, stats.reuses, stats.idle, stats.in_use), (0, 0, 1, 0));
    assert_eq!((yard.created.load(SeqCst), yard.destroyed.load(SeqCst)), (1, 0));
    assert_eq!(pool.slots.uses_of_resource(0), 0);
    handles::destroy::<Pool>(handle).unwrap();
}
