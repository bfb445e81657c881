//! Random sequences on a machine of four nodes, which this one is taken for: which resource comes next is what one list for
//! each node says.

use crate::factory::{Event, Factory, Odds, Stable};
use crate::machine::{self, CPUS, NEAREST};
use ostler_rlib::abi::pool::*;
use ostler_rlib::abi::status::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

const MAX_SIZE: usize = 6;

#[derive(Clone, Debug)]
enum Step {
    RunOn(u32),
    Acquire,
    AcquireMany(usize),
    /// Of the leases that are out, the one at this place.
    Release(usize),
    Discard(usize),
    Pause,
    Resume,
    Refresh,
    Resize(u32),
    Trim(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..CPUS).prop_map(Step::RunOn),
        10 => Just(Step::Acquire),
        2 => (1usize..4).prop_map(Step::AcquireMany),
        12 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Discard),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => Just(Step::Refresh),
        1 => (1..=MAX_SIZE as u32).prop_map(Step::Resize),
        1 => (0u32..4).prop_map(Step::Trim),
    ];
    prop::collection::vec(step, 1..150)
}

struct Run {
    factory: Box<Factory>,
    pool: Stable,
    longest_first: bool,
    here: usize,
    max_size: usize,
    is_paused: bool,
    /// By node, in the order of their coming.
    idle: [Vec<u32>; 4],
    leased: Vec<(u64, u32)>,
    hits: u64,
    misses: u64,
}

impl Run {
    fn new(longest_first: bool) -> Self {
        machine::run_on(0);
        machine::pretend();
        let factory = Factory::new(false, false, Odds::default(), 0, 1000);
        // SAFETY: a plain struct, for which zeroes are the defaults.
        let mut config: ostler_pool_config = unsafe { std::mem::zeroed() };
        config.max_size = MAX_SIZE as u32;
        config.idle_order = u32::from(longest_first);
        config.affinity = OSTLER_AFFINITY_NODE;
        let pool = Stable(factory.pool(config));
        let (idle, leased) = ([const { Vec::new() }; 4], Vec::new());
        Self {
            factory,
            pool,
            longest_first,
            here: 0,
            max_size: MAX_SIZE,
            is_paused: false,
            idle,
            leased,
            hits: 0,
            misses: 0,
        }
    }

    fn idle_count(&self) -> usize {
        self.idle.iter().map(Vec::len).sum()
    }

    /// Takes the resource that comes next from that node's list.
    fn next_on(&mut self, node: usize) -> u32 {
        if node == self.here {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
        let list = &mut self.idle[node];
        if self.longest_first { list.remove(0) } else { list.pop().expect("the list is not empty") }
    }

    fn forget_destroyed(&mut self) {
        for event in self.factory.take_events() {
            if let Event::Destroyed(number) = event {
                self.idle.iter_mut().for_each(|list| list.retain(|other| *other != number));
            }
        }
    }

    fn acquired(&mut self, came: Result<(u64, u32), ostler_status>) {
        self.forget_destroyed();
        let from = NEAREST[self.here].into_iter().find(|node| !self.idle[*node].is_empty());
        let wanted = match from {
            _ if self.is_paused => None,
            Some(node) => Some(self.next_on(node)),
            None if self.leased.len() < self.max_size => Some(self.factory.made() - 1),
            None => None,
        };
        assert_eq!(came.ok().map(|(_, number)| number), wanted);
        self.leased.extend(came);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::RunOn(cpu) => {
                machine::run_on(cpu);
                self.here = cpu as usize / 2;
            }
            Step::Acquire => {
                let came = self.pool.acquire(0);
                self.acquired(came);
            }
            Step::AcquireMany(count) => {
                let is_possible =
                    count <= self.max_size && !self.is_paused && self.leased.len() + count <= self.max_size;
                let all_of_one = NEAREST[self.here].into_iter().find(|node| self.idle[*node].len() >= count);
                let came = self.pool.acquire_n(count, 0);
                assert_eq!(came.is_ok(), is_possible);
                match all_of_one {
                    // In one step, from the nearest node that has so many.
                    Some(node) if is_possible && !self.longest_first => {
                        let wanted: Vec<u32> = (0..count).map(|_| self.next_on(node)).collect();
                        let came = came.unwrap_or_default();
                        assert_eq!(came.iter().map(|(_, number)| *number).collect::<Vec<_>>(), wanted);
                        self.leased.extend(came);
                    }
                    _ if is_possible => came.unwrap_or_default().into_iter().for_each(|one| self.acquired_of_many(one)),
                    // What was collected in vain is back, each where it was used last, but in what order is not told.
                    _ => {
                        let stats = self.pool.stats();
                        (self.hits, self.misses) = (stats.node_hits, stats.node_misses);
                        self.learn_order();
                    }
                }
            }
            Step::Release(place) | Step::Discard(place) if !self.leased.is_empty() => {
                let (lease, number) = self.leased.remove(place % self.leased.len());
                if matches!(step, Step::Discard(_)) {
                    assert_eq!(self.pool.discard(lease), OSTLER_OK);
                } else {
                    assert_eq!(self.pool.release(lease), OSTLER_OK);
                    self.idle[self.here].push(number);
                }
                self.forget_destroyed();
            }
            Step::Release(_) | Step::Discard(_) => {}
            Step::Pause => {
                assert_eq!(self.pool.pause(), OSTLER_OK);
                self.is_paused = true;
            }
            Step::Resume => {
                assert_eq!(self.pool.resume(), OSTLER_OK);
                self.is_paused = false;
            }
            Step::Refresh => {
                assert_eq!(self.pool.refresh(), OSTLER_OK);
                self.forget_destroyed();
                assert_eq!(self.idle_count(), 0);
            }
            Step::Resize(max_size) => {
                assert_eq!(self.pool.resize(max_size), OSTLER_OK);
                self.max_size = max_size as usize;
                self.forget_destroyed();
                assert!(self.idle_count() == 0 || self.idle_count() + self.leased.len() <= self.max_size);
            }
            Step::Trim(keep_idle) => {
                let left = self.idle_count().min(keep_idle as usize);
                self.pool.trim(keep_idle);
                self.forget_destroyed();
                assert_eq!(self.idle_count(), left);
            }
        }
        self.compare();
    }

    fn acquired_of_many(&mut self, leased: (u64, u32)) {
        self.forget_destroyed();
        match NEAREST[self.here].into_iter().find(|node| !self.idle[*node].is_empty()) {
            Some(node) => assert_eq!(self.next_on(node), leased.1),
            None => assert!(!self.leased.contains(&leased)),
        }
        self.leased.push(leased);
    }

    /// Takes everything out of the pool and puts it back, so that the order is known.
    fn learn_order(&mut self) {
        if self.is_paused {
            return;
        }
        let cpu = self.here as u32 * 2;
        for node in 0..4 {
            machine::run_on(node as u32 * 2);
            let mut taken: Vec<(u64, u32)> =
                (0..self.idle[node].len()).map(|_| self.pool.try_acquire().unwrap()).collect();
            assert!(taken.iter().all(|(_, number)| self.idle[node].contains(number)), "one was moved");
            self.hits += taken.len() as u64;
            self.idle[node].clear();
            taken.reverse();
            for (lease, number) in taken {
                assert_eq!(self.pool.release(lease), OSTLER_OK);
                self.idle[node].push(number);
            }
        }
        machine::run_on(cpu);
    }

    fn compare(&mut self) {
        let stats = self.pool.stats();
        assert_eq!((stats.idle, stats.in_use), (self.idle_count() as u64, self.leased.len() as u64));
        assert_eq!((stats.node_hits, stats.node_misses), (self.hits, self.misses));
    }

    fn end(mut self) {
        assert_eq!(self.pool.destroy(), OSTLER_OK);
        for (lease, _) in self.leased.drain(..) {
            assert_eq!(self.pool.release(lease), OSTLER_OK);
        }
        assert_eq!(self.factory.alive(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_used_on_a_node_is_leased_there(longest_first: bool, steps in steps()) {
        let mut run = Run::new(longest_first);
        steps.iter().for_each(|step| run.step(step));
        run.end();
    }
}

/// As many threads as resources, each with at most one: there is one for everybody, wherever it lies.
#[test]
fn nobody_goes_without_while_one_is_idle_on_any_node() {
    const THREADS: u32 = 4;
    for order in [OSTLER_IDLE_LAST_USED_FIRST, OSTLER_IDLE_LONGEST_FIRST] {
        machine::pretend();
        let factory = Factory::new(false, false, Odds::default(), 0, 100);
        // SAFETY: as above.
        let mut config: ostler_pool_config = unsafe { std::mem::zeroed() };
        (config.max_size, config.idle_order, config.affinity) = (THREADS, order, OSTLER_AFFINITY_NODE);
        let pool = Stable(factory.pool(config));
        let leases: Vec<_> = (0..THREADS).map(|_| pool.acquire(0).unwrap()).collect();
        leases.into_iter().for_each(|(lease, _)| assert_eq!(pool.release(lease), OSTLER_OK));
        let turns = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let turn = turns.fetch_add(7, SeqCst);
                        machine::run_on(turn % CPUS);
                        let (lease, number) = pool.try_acquire().expect("one is idle somewhere");
                        factory.begin_use(number);
                        machine::run_on(turn / 3 % CPUS);
                        factory.end_use(number);
                        assert_eq!(pool.release(lease), OSTLER_OK);
                    }
                });
            }
        });
        let stats = pool.stats();
        assert_eq!((stats.created, stats.node_hits + stats.node_misses), (4, 80_000));
        assert_eq!(pool.destroy(), OSTLER_OK);
    }
}
