//! Random sequences of calls by one thread, on a pool that has no threads of its own: after each step the pool is what
//! the model says, to the last resource.

use crate::factory::{Event, Factory, Odds, Stable};
use ostler_rlib::abi::pool::*;
use ostler_rlib::abi::status::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const CAPACITY: u32 = 5;

#[derive(Clone, Debug)]
enum Step {
    Acquire,
    /// With a high priority.
    AcquireHigh,
    TryAcquire,
    AcquireMany(usize),
    /// Of the leases that are out, the one at this place of their order.
    Release(usize),
    Discard(usize),
    /// A lease that ended before.
    ReleaseStale(usize),
    Pause,
    Resume,
    Resize(u32),
    Refresh,
    Close,
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    max_size: u32,
    reserved_high: u32,
    soft_max_size: u32,
    max_uses: u64,
    longest_first: bool,
    validates: bool,
    resets: bool,
    fails: u8,
    seed: u64,
}

fn kinds() -> impl Strategy<Value = Kind> {
    let sizes = (1..=CAPACITY, 0u32..3, 0..=CAPACITY, 0u64..4);
    let callbacks = (any::<bool>(), any::<bool>(), prop_oneof![Just(0), Just(40), Just(128)], any::<u64>());
    (sizes, callbacks, any::<bool>()).prop_map(|(sizes, (validates, resets, fails, seed), longest_first)| {
        let (max_size, reserved_high, soft_max_size, max_uses) = sizes;
        let reserved_high = reserved_high.min(max_size - 1);
        Kind { max_size, reserved_high, soft_max_size, max_uses, longest_first, validates, resets, fails, seed }
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Acquire),
        4 => Just(Step::AcquireHigh),
        4 => Just(Step::TryAcquire),
        3 => (0usize..7).prop_map(Step::AcquireMany),
        12 => any::<usize>().prop_map(Step::Release),
        3 => any::<usize>().prop_map(Step::Discard),
        2 => any::<usize>().prop_map(Step::ReleaseStale),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        3 => (1..=CAPACITY).prop_map(Step::Resize),
        2 => Just(Step::Refresh),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 1..120)
}

/// A resource that lives. An acquire of many that fails has used some of the others; which, it does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    generation: u32,
    least_uses: u64,
    most_uses: u64,
}

/// What a pool is, as its specification has it.
#[derive(Default)]
struct Model {
    max_size: usize,
    reserved_high: usize,
    soft_max_size: usize,
    max_uses: u64,
    resets: bool,
    is_paused: bool,
    is_closed: bool,
    generation: u32,
    alive: BTreeMap<u32, Life>,
    /// Which lease names which resource.
    leased: BTreeMap<u64, u32>,
    /// Leases of callers with a high priority.
    high: BTreeSet<u64>,
}

impl Model {
    fn idle(&self) -> BTreeSet<u32> {
        let leased: BTreeSet<u32> = self.leased.values().copied().collect();
        self.alive.keys().copied().filter(|number| !leased.contains(number)).collect()
    }

    fn note(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Created(number) => {
                    let life = Life { generation: self.generation, least_uses: 0, most_uses: 0 };
                    assert_eq!(self.alive.insert(*number, life), None);
                    assert!(self.alive.len() <= self.max_size, "more than max_size");
                }
                Event::Destroyed(number) => assert!(self.alive.remove(number).is_some(), "{number} is destroyed twice"),
                Event::Valid(number) | Event::Invalid(number) | Event::Reset(number) | Event::NotReset(number) => {
                    assert!(self.alive.contains_key(number), "a callback for {number}, which is gone")
                }
                Event::CreateFailed => {}
            }
        }
    }

    /// What acquiring so many gives.
    fn outcome(&self, count: usize, is_high: bool, in_vain: ostler_status, events: &[Event]) -> ostler_status {
        let kept = if is_high { 0 } else { self.reserved_high };
        let (most, ordinary) = (self.max_size - kept, self.leased.len() - self.high.len());
        match () {
            () if count == 0 => OSTLER_OK,
            () if count > most => OSTLER_E_LIMIT,
            () if self.is_closed => OSTLER_E_CLOSED,
            () if self.is_paused || (!is_high && ordinary + count > most) => in_vain,
            () if events.contains(&Event::CreateFailed) => OSTLER_E_CREATE_FAILED,
            () if self.leased.len() + count > self.max_size => in_vain,
            () => OSTLER_OK,
        }
    }

    fn lease(&mut self, lease: u64, number: u32) {
        let life = self.alive.get_mut(&number).expect("what is leased lives");
        assert_eq!(life.generation, self.generation, "{number} is of the time before a refresh");
        life.least_uses += 1;
        life.most_uses += 1;
        assert!(!self.leased.values().any(|other| *other == number), "two have {number}");
        assert_eq!(self.leased.insert(lease, number), None, "two leases are the same");
    }

    /// Whether what comes back is kept; nothing when that cannot be told.
    fn is_kept(&self, number: u32) -> Option<bool> {
        let life = self.alive[&number];
        let bound = if self.max_uses == 0 { u64::MAX } else { self.max_uses };
        let is_surplus = self.alive.len() > self.max_size.min(self.soft_max_size);
        if self.is_closed || is_surplus || life.generation != self.generation || life.least_uses >= bound {
            return Some(false);
        }
        (life.most_uses < bound).then_some(true)
    }
}

struct Run {
    factory: Box<Factory>,
    pool: Stable,
    model: Model,
    ended: Vec<u64>,
}

impl Run {
    fn new(kind: Kind) -> Self {
        let odds = Odds { fails: kind.fails, ..Odds::default() };
        let factory = Factory::new(kind.validates, kind.resets, odds, kind.seed, 1000);
        // SAFETY: a plain struct, for which zeroes are the defaults.
        let mut config: ostler_pool_config = unsafe { std::mem::zeroed() };
        config.max_size = kind.max_size;
        config.reserved_high = kind.reserved_high;
        config.capacity = CAPACITY;
        config.soft_max_size = kind.soft_max_size;
        config.max_uses = kind.max_uses;
        config.idle_order = u32::from(kind.longest_first);
        // An open breaker looks at the clock.
        config.breaker_failures = u32::MAX;
        let model = Model {
            max_size: kind.max_size as usize,
            reserved_high: kind.reserved_high as usize,
            soft_max_size: if kind.soft_max_size == 0 { CAPACITY } else { kind.soft_max_size } as usize,
            max_uses: kind.max_uses,
            resets: kind.resets,
            ..Model::default()
        };
        let pool = Stable(factory.pool(config));
        Self { factory, pool, model, ended: Vec::new() }
    }

    fn acquired(
        &mut self,
        count: usize,
        is_high: bool,
        in_vain: ostler_status,
        came: Result<Vec<(u64, u32)>, ostler_status>,
    ) {
        let events = self.factory.take_events();
        let idle_before = self.model.idle();
        self.model.note(&events);
        let paused = if in_vain == OSTLER_E_EXHAUSTED { OSTLER_E_PAUSED } else { in_vain };
        let in_vain = if self.model.is_paused { paused } else { in_vain };
        let wanted = self.model.outcome(count, is_high, in_vain, &events);
        assert_eq!(came.as_ref().err().copied().unwrap_or(OSTLER_OK), wanted, "{events:?}");
        if count == 1 && events.iter().any(|event| matches!(event, Event::Created(_))) {
            assert!(idle_before.iter().all(|number| !self.model.alive.contains_key(number)), "made before idle ones");
        }
        if count > 1 && events.contains(&Event::CreateFailed) {
            let idle = self.model.idle();
            self.model.alive.iter_mut().filter(|(n, _)| idle.contains(n)).for_each(|(_, life)| life.most_uses += 1);
        }
        for (lease, number) in came.into_iter().flatten() {
            self.model.lease(lease, number);
            if is_high {
                self.model.high.insert(lease);
            }
            self.factory.begin_use(number);
        }
    }

    fn end_lease(&mut self, place: usize, is_discarded: bool) {
        let count = self.model.leased.len().max(1);
        let Some((lease, number)) =
            self.model.leased.iter().nth(place % count).map(|(lease, number)| (*lease, *number))
        else {
            return;
        };
        self.factory.end_use(number);
        let status = if is_discarded { self.pool.discard(lease) } else { self.pool.release(lease) };
        assert_eq!(status, OSTLER_OK);
        let events = self.factory.take_events();
        let is_kept = self.model.is_kept(number).unwrap_or(events != [Event::Destroyed(number)]);
        let wanted = match () {
            () if is_discarded || !is_kept => vec![Event::Destroyed(number)],
            () if !self.model.resets => vec![],
            () if events.first() == Some(&Event::NotReset(number)) => {
                vec![Event::NotReset(number), Event::Destroyed(number)]
            }
            () => vec![Event::Reset(number)],
        };
        assert_eq!(events, wanted);
        self.model.note(&events);
        self.model.leased.remove(&lease);
        self.model.high.remove(&lease);
        self.ended.push(lease);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Acquire => {
                let came = self.pool.acquire(0).map(|leased| vec![leased]);
                self.acquired(1, false, OSTLER_E_TIMEOUT, came);
            }
            Step::AcquireHigh => {
                let came = self.pool.acquire_high(0).map(|leased| vec![leased]);
                self.acquired(1, true, OSTLER_E_TIMEOUT, came);
            }
            Step::TryAcquire => {
                let came = self.pool.try_acquire().map(|leased| vec![leased]);
                self.acquired(1, false, OSTLER_E_EXHAUSTED, came);
            }
            Step::AcquireMany(count) => {
                let came = self.pool.acquire_n(count, 0);
                self.acquired(count, false, OSTLER_E_TIMEOUT, came);
            }
            Step::Release(place) => self.end_lease(place, false),
            Step::Discard(place) => self.end_lease(place, true),
            Step::ReleaseStale(place) => {
                if let Some(lease) = self.ended.get(place % self.ended.len().max(1)) {
                    assert_eq!(self.pool.release(*lease), OSTLER_E_STALE_LEASE);
                    assert_eq!(self.pool.discard(*lease), OSTLER_E_STALE_LEASE);
                }
            }
            Step::Pause => {
                assert_eq!(self.pool.pause(), OSTLER_OK);
                self.model.is_paused = true;
            }
            Step::Resume => {
                assert_eq!(self.pool.resume(), OSTLER_OK);
                self.model.is_paused = false;
            }
            Step::Resize(max_size) if max_size as usize <= self.model.reserved_high => {
                assert_eq!(self.pool.resize(max_size), OSTLER_E_INVALID_ARGUMENT);
            }
            Step::Resize(max_size) => {
                let too_many = self.model.alive.len().saturating_sub(max_size as usize);
                let goes = too_many.min(self.model.idle().len());
                assert_eq!(self.pool.resize(max_size), OSTLER_OK);
                self.model.max_size = max_size as usize;
                self.went(goes);
            }
            Step::Refresh => {
                let goes = self.model.idle().len();
                assert_eq!(self.pool.refresh(), OSTLER_OK);
                self.model.generation += 1;
                self.went(goes);
            }
            Step::Close => {
                let (goes, out) = (self.model.idle().len(), self.model.leased.len() as u64);
                let wanted = if out == 0 { OSTLER_OK } else { OSTLER_E_TIMEOUT };
                assert_eq!(self.pool.close(), (wanted, out));
                self.model.is_closed = true;
                self.went(goes);
            }
        }
        self.compare();
    }

    /// So many idle ones were destroyed, and nothing else happened.
    fn went(&mut self, count: usize) {
        let (events, idle) = (self.factory.take_events(), self.model.idle());
        assert_eq!(events.len(), count, "{events:?}");
        assert!(events.iter().all(|event| matches!(event, Event::Destroyed(number) if idle.contains(number))));
        self.model.note(&events);
    }

    fn compare(&self) {
        let (stats, model) = (self.pool.stats(), &self.model);
        assert_eq!(stats.in_use, model.leased.len() as u64);
        assert_eq!(stats.idle, model.idle().len() as u64);
        assert_eq!((stats.creating, stats.waiting), (0, 0));
        assert_eq!(stats.created, u64::from(self.factory.made()));
        assert_eq!(stats.created - stats.destroyed, model.alive.len() as u64);
        assert_eq!(stats.max_size, model.max_size as u64);
    }

    fn end(mut self) {
        assert_eq!(self.pool.destroy(), OSTLER_OK);
        self.model.is_closed = true;
        let goes = self.model.idle().len();
        self.went(goes);
        while !self.model.leased.is_empty() {
            self.end_lease(0, false);
        }
        assert_eq!(self.factory.alive(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pool_is_what_the_model_says(kind in kinds(), steps in steps()) {
        let mut run = Run::new(kind);
        steps.iter().for_each(|step| run.step(step));
        run.end();
    }
}

/// The model tells a pool that is not what it says: here, one whose lease ended behind its back.
#[test]
#[should_panic]
fn the_model_notices_what_it_did_not_see() {
    let kind = Kind {
        max_size: 1,
        reserved_high: 0,
        soft_max_size: 0,
        max_uses: 0,
        longest_first: false,
        validates: false,
        resets: false,
        fails: 0,
        seed: 1,
    };
    let mut run = Run::new(kind);
    run.step(&Step::Acquire);
    let lease = *run.model.leased.keys().next().expect("a lease is out");
    run.pool.release(lease);
    run.step(&Step::Acquire);
}
