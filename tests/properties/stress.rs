//! Many threads, callbacks that fail, dawdle and panic at random, and an account of every resource.

use crate::factory::{Factory, Odds, Stable};
use crate::machine;
use ostler_rlib::abi::pool::*;
use ostler_rlib::abi::status::*;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const FOREVER: u64 = u64::MAX;
const THREADS: usize = 6;
const MAX_SIZE: u32 = 3;
const TURNS: usize = 400;

fn with(change: fn(&mut ostler_pool_config)) -> ostler_pool_config {
    // SAFETY: a plain struct, for which zeroes are the defaults.
    let mut config: ostler_pool_config = unsafe { std::mem::zeroed() };
    config.max_size = MAX_SIZE;
    config.breaker_failures = 1_000_000;
    change(&mut config);
    config
}

/// Every kind of pool that stands on other code.
fn configs() -> Vec<ostler_pool_config> {
    machine::pretend();
    vec![
        with(|_| {}),
        with(|config| config.creator_threads = 2),
        with(|config| config.barging_ns = 100_000),
        with(|config| (config.barging_ns, config.creator_threads, config.max_uses) = (1_000, 2, 5)),
        with(|config| (config.reserved_high, config.creator_threads) = (1, 1)),
        with(|config| (config.reserved_high, config.max_uses) = (1, 3)),
        with(|config| (config.idle_order, config.max_uses) = (1, 5)),
        with(|config| (config.min_size, config.max_lifetime_ns, config.keepalive_ns) = (2, 2_000_000, 1_000_000)),
        with(|config| config.affinity = OSTLER_AFFINITY_NODE),
        with(|config| {
            (config.affinity, config.min_size, config.idle_timeout_ns) = (OSTLER_AFFINITY_NODE, 1, 1_000_000)
        }),
        with(|config| (config.min_idle, config.idle_timeout_ns, config.soft_max_size) = (1, 1_000_000, 2)),
    ]
}

/// Uses what was leased, and gives it back.
fn use_and_end(factory: &Factory, pool: &Stable, (lease, number): (u64, u32)) -> ostler_status {
    factory.begin_use(number);
    std::thread::yield_now();
    machine::run_on(u32::from(factory.dice()) % machine::CPUS);
    factory.end_use(number);
    if factory.dice() < 30 { pool.discard(lease) } else { pool.release(lease) }
}

/// One turn of a thread: what it acquires it gives back. Tells how the acquire ended.
fn turn(factory: &Factory, pool: &Stable) -> ostler_status {
    match factory.dice() % 8 {
        0 => match pool.try_acquire() {
            Ok(leased) => use_and_end(factory, pool, leased),
            Err(status) => status,
        },
        1 => match pool.acquire_n(2, FOREVER) {
            Ok(leased) => leased.into_iter().map(|one| use_and_end(factory, pool, one)).fold(OSTLER_OK, i32::min),
            Err(status) => status,
        },
        2 => match pool.acquire(u64::from(factory.dice()) * 1000) {
            Ok(leased) => use_and_end(factory, pool, leased),
            Err(status) => status,
        },
        3 => match pool.acquire_high(FOREVER) {
            Ok(leased) => use_and_end(factory, pool, leased),
            Err(status) => status,
        },
        _ => match pool.acquire(FOREVER) {
            Ok(leased) => use_and_end(factory, pool, leased),
            Err(status) => status,
        },
    }
}

#[test]
fn every_resource_is_accounted_for() {
    for (kind, config) in configs().into_iter().enumerate() {
        let odds = Odds { fails: 40, blocks: 40, panics: 0 };
        let factory = Factory::new(true, true, odds, kind as u64 + 1, 1 << 17);
        let pool = Stable(factory.pool(config));
        let running = AtomicU32::new(THREADS as u32);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..TURNS {
                        let status = turn(&factory, &pool);
                        let usual =
                            [OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_TIMEOUT, OSTLER_E_CREATE_FAILED].contains(&status);
                        assert!(usual, "{status}");
                    }
                    running.fetch_sub(1, SeqCst);
                });
            }
            while running.load(SeqCst) > 0 {
                assert!(factory.alive() <= MAX_SIZE, "more than max_size");
                factory.take_events();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        // What is idle goes to nobody, so nobody waits any more, and every place is there.
        assert_eq!(pool.stats().waiting, 0);
        let leases: Vec<_> = (0..MAX_SIZE).map(|_| acquire_at_last(&pool)).collect();
        leases.into_iter().for_each(|(lease, _)| assert_eq!(pool.release(lease), OSTLER_OK));
        assert_eq!(pool.destroy(), OSTLER_OK);
        assert_eq!(factory.alive(), 0);
    }
}

fn acquire_at_last(pool: &Stable) -> (u64, u32) {
    loop {
        match pool.acquire_high(FOREVER) {
            Ok(leased) => return leased,
            Err(status) => assert_eq!(status, OSTLER_E_CREATE_FAILED),
        }
    }
}

/// A panic is a status, and the end of the pool. What the panicking callback had is destroyed with the rest.
#[test]
fn a_panic_loses_nothing() {
    for (kind, config) in configs().into_iter().enumerate().cycle().take(25) {
        let odds = Odds { fails: 20, blocks: 20, panics: 2 };
        let factory = Factory::new(true, true, odds, 100 + kind as u64, 1 << 17);
        let pool = Stable(factory.pool(config));
        let panicked = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut held = Vec::new();
                    loop {
                        match pool.acquire(FOREVER) {
                            Ok((lease, number)) => {
                                factory.begin_use(number);
                                factory.end_use(number);
                                if let status @ (OSTLER_E_PANIC | OSTLER_E_QUARANTINED) = pool.release(lease) {
                                    panicked.store(1, SeqCst);
                                    if status == OSTLER_E_QUARANTINED {
                                        held.push(lease);
                                    }
                                }
                            }
                            Err(OSTLER_E_PANIC | OSTLER_E_QUARANTINED) => panicked.store(1, SeqCst),
                            Err(OSTLER_E_CREATE_FAILED) => {}
                            // The pool is destroyed: leases that are out are good again, each to the last.
                            Err(status) => {
                                assert!([OSTLER_E_CLOSED, OSTLER_E_INVALID_HANDLE].contains(&status), "{status}");
                                held.into_iter().for_each(|lease| assert_eq!(pool.release(lease), OSTLER_OK));
                                return;
                            }
                        }
                    }
                });
            }
            while panicked.load(SeqCst) == 0 && factory.panics.load(SeqCst) == 0 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert_eq!(pool.destroy(), OSTLER_OK);
        });
        assert_eq!(factory.alive(), 0, "lost after {} panics", factory.panics.load(SeqCst));
    }
}
