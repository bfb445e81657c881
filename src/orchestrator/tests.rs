//! Attacks on what the orchestrator promises: one outcome for each accepted request, nothing lost, nothing twice.

use super::request::Failure;
use super::*;
use crate::base::alloc::counted;
use crate::base::callback::{Refusal, Told};
use crate::base::cancel::WaitEnd;
use crate::base::clock::{Deadline, now_ns};
use crate::base::handles::{self, Handled, Kind};
use crate::base::{Name, Owner, callback};
use crate::worker::{Bounds, NotReady};
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::*};
use std::time::Duration;

type Hook = Box<dyn Fn(&[*mut Item]) -> i32 + Send + Sync>;

/// A backend whose run is given by the test, and that counts what is done to it.
struct Bench {
    run: Hook,
    load_status: AtomicI32,
    load_pause_ms: AtomicU64,
    loads: AtomicU32,
    unloads: AtomicU32,
    completions: AtomicU32,
}

struct Shared(Arc<Bench>);

fn answered(status: i32) -> Result<(), Refusal> {
    if status == 0 { Ok(()) } else { Err(Refusal { status, told: Told::ByNumber }) }
}

impl Backend for Shared {
    fn load(&self, _worker: u32, state: &mut State) -> Result<(), Refusal> {
        std::thread::sleep(Duration::from_millis(self.0.load_pause_ms.load(SeqCst)));
        let status = self.0.load_status.load(SeqCst);
        if status == 0 {
            state.0 = (self.0.loads.fetch_add(1, SeqCst) as usize + 1) as *mut c_void;
        } else {
            callback::set_message("no model file");
        }
        answered(status)
    }

    fn run(&self, state: State, items: &[*mut Item]) -> Result<(), Refusal> {
        assert!(!state.0.is_null());
        answered((self.0.run)(items))
    }

    fn unload(&self, _state: State) {
        self.0.unloads.fetch_add(1, SeqCst);
    }

    fn complete(&self, _: Completion, _user_data: *mut c_void, _ticket: Ticket, _outcome: &Outcome) {
        self.0.completions.fetch_add(1, SeqCst);
    }
}

struct World {
    handle: u64,
    orchestrator: Arc<Orchestrator>,
}

impl World {
    fn new(request_slots: u32, memory_limit_bytes: u64) -> Self {
        let slot = handles::reserve(Kind::Orchestrator).unwrap();
        let config = OrchestratorConfig { request_slots, memory_limit_bytes, name: Name::new() };
        let orchestrator = Orchestrator::new(slot.owner(), config).unwrap();
        let handle = slot.publish(orchestrator);
        Self { handle, orchestrator: handles::pin::<Orchestrator>(handle).unwrap().share() }
    }

    fn model(&self, config: ModelConfig, run: Hook) -> (Arc<Bench>, Arc<Model>) {
        let bench = bench(run);
        (bench.clone(), self.model_of(config, &bench).unwrap())
    }

    fn model_of(&self, config: ModelConfig, bench: &Arc<Bench>) -> Result<Arc<Model>, CreateError> {
        let slot = handles::reserve(Kind::Model).unwrap();
        let model = self.orchestrator.create_model(slot.owner(), config, Box::new(Shared(bench.clone())))?;
        slot.publish(model.clone());
        Ok(model)
    }

    fn wait(&self, ticket: Ticket) -> Outcome {
        self.orchestrator.wait(ticket, Deadline::NEVER, None).unwrap()
    }

    fn end(self) {
        let Self { handle, orchestrator } = self;
        drop(orchestrator);
        handles::destroy::<Orchestrator>(handle).unwrap();
    }
}

fn bench(run: Hook) -> Arc<Bench> {
    Arc::new(Bench {
        run,
        load_status: AtomicI32::new(0),
        load_pause_ms: AtomicU64::new(0),
        loads: AtomicU32::new(0),
        unloads: AtomicU32::new(0),
        completions: AtomicU32::new(0),
    })
}

fn config(min: u32, max: u32) -> ModelConfig {
    ModelConfig {
        bounds: Bounds { min, max },
        max_batch: 1,
        queue_capacity: 1024,
        batch_wait_ns: 0,
        idle_timeout_ns: 0,
        memory_bytes: 0,
        name: Name::from("test"),
    }
}

fn request() -> Request {
    Request {
        priority: Priority::Normal,
        deadline_after_ns: 0,
        input: std::ptr::null(),
        input_bytes: 0,
        output: std::ptr::null_mut(),
        output_capacity_bytes: 0,
        parcel: Parcel::NONE,
        completion: None,
        user_data: std::ptr::null_mut(),
    }
}

/// Runs that last until the gate is opened.
#[derive(Default)]
struct Gate {
    entered: AtomicU32,
    open: AtomicBool,
}

impl Gate {
    fn hook(self: &Arc<Self>) -> Hook {
        let gate = self.clone();
        Box::new(move |_| {
            gate.entered.fetch_add(1, SeqCst);
            until(|| gate.open.load(SeqCst));
            0
        })
    }
}

fn until(condition: impl Fn() -> bool) {
    let begin = now_ns();
    while !condition() {
        std::thread::yield_now();
        assert!(now_ns() - begin < 60_000_000_000, "waited a minute in vain");
    }
}

/// The first wait of a thread for any lock takes memory, and which one it is depends on what runs at the same time.
fn wait_for_a_lock() {
    parking_lot::Condvar::new().wait_for(&mut parking_lot::Mutex::new(()).lock(), Duration::ZERO);
}

#[test]
fn nobody_takes_memory_once_all_is_warm() {
    let world = World::new(256, 0);
    let taken_by_worker = Arc::new(AtomicU64::new(0));
    let note = taken_by_worker.clone();
    // The run itself takes none, so what the worker's thread took by its last run is the library's.
    let has_waited = AtomicBool::new(false);
    let run: Hook = Box::new(move |_| {
        if !has_waited.swap(true, SeqCst) {
            wait_for_a_lock();
        }
        note.store(counted::taken(), SeqCst);
        0
    });
    wait_for_a_lock();
    let (_, model) = world.model(ModelConfig { max_batch: 8, ..config(1, 1) }, run);
    let round = |number: u32| {
        let mut tickets = [Ticket(0); 64];
        for (place, ticket) in tickets.iter_mut().enumerate() {
            let priority = if place % 2 == 0 { Priority::High } else { Priority::Normal };
            let deadline_after_ns = if place % 3 == 0 { 3_600_000_000_000 } else { 0 };
            *ticket = model.submit(&Request { priority, deadline_after_ns, ..request() }).unwrap();
        }
        // Of some rounds one is cancelled, or taken without a wait.
        match number % 3 {
            0 => drop(world.orchestrator.cancel(tickets[63])),
            1 => until(|| world.orchestrator.poll(tickets[0]).is_ok()),
            _ => {}
        }
        for ticket in &tickets[usize::from(number % 3 == 1)..] {
            world.wait(*ticket);
        }
    };
    (0..50).for_each(round);
    let before = (counted::taken(), taken_by_worker.load(SeqCst));
    assert!(before.0 > 0, "the count counts");
    (0..200).for_each(round);
    assert_eq!((counted::taken(), taken_by_worker.load(SeqCst)), before, "(submitter, worker)");
    world.end();
}

#[test]
fn a_full_queue_refuses_and_goes_on_afterwards() {
    let world = World::new(64, 0);
    let gate = Arc::new(Gate::default());
    let (_, model) = world.model(ModelConfig { queue_capacity: 3, ..config(1, 1) }, gate.hook());
    let running = model.submit(&request()).unwrap();
    until(|| gate.entered.load(SeqCst) == 1);
    let queued: Vec<Ticket> = (0..3).map(|_| model.submit(&request()).unwrap()).collect();
    assert_eq!(model.submit(&request()), Err(SubmitError::QueueFull { capacity: 3 }));
    assert_eq!(model.stats().refused, 1);
    gate.open.store(true, SeqCst);
    for ticket in queued.into_iter().chain([running]) {
        assert_eq!(world.wait(ticket).kind, OutcomeKind::Completed);
    }
    assert_eq!(world.wait(model.submit(&request()).unwrap()).kind, OutcomeKind::Completed);
    world.end();
}

#[test]
fn a_batch_takes_what_waits_up_to_its_bound() {
    let world = World::new(64, 0);
    let gate = Arc::new(Gate::default());
    let (_, model) = world.model(ModelConfig { max_batch: 4, ..config(1, 1) }, gate.hook());
    let first = model.submit(&request()).unwrap();
    until(|| gate.entered.load(SeqCst) == 1);
    let mut tickets = Vec::new();
    model.submit_all((0..10).map(|_| request()), |ticket| tickets.push(ticket)).unwrap();
    gate.open.store(true, SeqCst);
    assert_eq!(world.wait(first).batch_size, 1);
    let sizes: Vec<u32> = tickets.into_iter().map(|ticket| world.wait(ticket).batch_size).collect();
    assert_eq!(sizes, [4, 4, 4, 4, 4, 4, 4, 4, 2, 2]);
    assert_eq!((model.stats().batches, model.stats().largest_batch), (4, 4));
    world.end();
}

#[test]
fn a_batch_that_waits_starts_when_it_is_full_or_its_oldest_request_has_waited_long_enough() {
    let world = World::new(64, 0);
    let hour = 3_600_000_000_000;
    let full = ModelConfig { max_batch: 3, batch_wait_ns: hour, ..config(2, 2) };
    let (_, model) = world.model(full, Box::new(|_| 0));
    let tickets: Vec<Ticket> = (0..3).map(|_| model.submit(&request()).unwrap()).collect();
    for ticket in tickets {
        assert_eq!(world.wait(ticket).batch_size, 3);
    }
    let late = ModelConfig { max_batch: 3, batch_wait_ns: 20_000_000, ..config(2, 2) };
    let (_, model) = world.model(late, Box::new(|_| 0));
    let outcome = world.wait(model.submit(&request()).unwrap());
    assert_eq!(outcome.batch_size, 1);
    assert!(outcome.queue_ns >= 20_000_000);
    world.end();
}

#[test]
fn each_item_fails_by_itself_or_with_its_run() {
    let world = World::new(64, 0);
    let run: Hook = Box::new(|items| {
        for item in items {
            // SAFETY: an item is live during its run.
            let item = unsafe { &mut **item };
            match item.user_data as usize {
                1 => {
                    item.status = 77;
                    item.message[0] = b'x' as _;
                    item.message[1] = 0;
                }
                2 => item.output_bytes = 9,
                3 => {
                    callback::set_message("the whole run");
                    return -5;
                }
                _ => {}
            }
        }
        0
    });
    let (_, model) = world.model(config(1, 1), run);
    let outcome = |kind: usize| {
        let ticket = model.submit(&Request { user_data: kind as *mut c_void, ..request() }).unwrap();
        let outcome = world.wait(ticket);
        (outcome.kind, outcome.failure, outcome.message.to_string())
    };
    assert_eq!(outcome(0), (OutcomeKind::Completed, Failure::None, String::new()));
    assert_eq!(outcome(1), (OutcomeKind::Failed, Failure::Run(77), "x".to_owned()));
    let (kind, failure, words) = outcome(2);
    assert_eq!((kind, failure), (OutcomeKind::Failed, Failure::Overrun));
    assert!(words.contains("output_bytes 9"), "{words}");
    assert_eq!(outcome(3), (OutcomeKind::Failed, Failure::Run(-5), "the whole run".to_owned()));
    world.end();
}

#[test]
fn a_worker_whose_idle_time_is_up_leaves_no_request_behind() {
    const FIRST: usize = 1;
    const LAST: usize = 2;
    let world = World::new(64, 0);
    let began = Arc::new(AtomicU64::new(0));
    let mine = began.clone();
    // The first of a round runs until the last one does, for which there is a second worker.
    let run: Hook = Box::new(move |items| {
        // SAFETY: an item is live during its run.
        let tag = unsafe { (*items[0]).user_data } as usize;
        let round = (tag / 4) as u64;
        match tag % 4 {
            FIRST => until(|| mine.load(SeqCst) >= round),
            LAST => mine.store(round, SeqCst),
            _ => {}
        }
        0
    });
    let idle_timeout_ns = 2_000_000;
    let (_, model) = world.model(ModelConfig { idle_timeout_ns, ..config(1, 2) }, run);
    let submit = |round: usize, which: usize| {
        model.submit(&Request { user_data: (round * 4 + which) as *mut c_void, ..request() }).unwrap()
    };
    for round in 1..300 {
        let first = submit(round, FIRST);
        // It makes the second worker come, which then is idle until about now.
        world.wait(submit(round, 0));
        std::thread::sleep(Duration::from_nanos(idle_timeout_ns + fastrand::u64(0..200_000)));
        let last = submit(round, LAST);
        world.wait(first);
        world.wait(last);
    }
    drop(model);
    world.end();
}

#[test]
fn a_load_that_fails_fails_the_requests_and_is_tried_again() {
    let world = World::new(64, 0);
    let bench = bench(Box::new(|_| 0));
    bench.load_status.store(-9, SeqCst);
    bench.load_pause_ms.store(20, SeqCst);
    let model = world.model_of(config(1, 1), &bench).unwrap();
    let outcome = world.wait(model.submit(&request()).unwrap());
    assert_eq!((outcome.kind, outcome.failure), (OutcomeKind::Failed, Failure::Load));
    assert_eq!(outcome.message.as_str(), "no model file");
    match model.wait_ready(Deadline::NEVER, None) {
        Err(NotReady::LoadFailed(failure)) => assert_eq!(failure.message.as_str(), "no model file"),
        other => panic!("{other:?}"),
    }
    bench.load_status.store(0, SeqCst);
    until(|| model.wait_ready(Deadline::after(0), None).is_ok());
    let outcome = world.wait(model.submit(&request()).unwrap());
    assert_eq!(outcome.kind, OutcomeKind::Completed);
    let stats = model.stats();
    assert_eq!((stats.loads, stats.workers, stats.loading_workers), (1, 1, 0));
    assert!(stats.load_failures >= 1);
    assert_eq!(stats.warm_requests, 1);
    world.end();
    assert_eq!(bench.unloads.load(SeqCst), 1);
}

#[test]
fn workers_are_added_while_all_are_busy_and_leave_when_idle() {
    let world = World::new(64, 0);
    let gate = Arc::new(Gate::default());
    let (bench, model) = world.model(ModelConfig { idle_timeout_ns: 5_000_000, ..config(1, 3) }, gate.hook());
    let tickets: Vec<Ticket> = (0..5).map(|_| model.submit(&request()).unwrap()).collect();
    until(|| gate.entered.load(SeqCst) == 3);
    assert_eq!(model.stats().workers, 3);
    gate.open.store(true, SeqCst);
    for ticket in tickets {
        assert_eq!(world.wait(ticket).kind, OutcomeKind::Completed);
    }
    until(|| model.stats().workers == 1);
    assert_eq!(bench.unloads.load(SeqCst), 2);
    assert_eq!(world.wait(model.submit(&request()).unwrap()).kind, OutcomeKind::Completed);
    world.end();
    assert_eq!(bench.loads.load(SeqCst), bench.unloads.load(SeqCst));
}

#[test]
fn declared_memory_stays_below_its_limit() {
    // What is declared is charged, where tests of memory look.
    let _quiet = crate::memory::testing::quiet();
    let world = World::new(64, 100);
    let gate = Arc::new(Gate::default());
    let (_, model) = world.model(ModelConfig { memory_bytes: 40, ..config(1, 8) }, gate.hook());
    let tickets: Vec<Ticket> = (0..8).map(|_| model.submit(&request()).unwrap()).collect();
    until(|| gate.entered.load(SeqCst) == 2);
    assert_eq!(world.orchestrator.stats().declared_memory_bytes, 80);
    let more = world.model_of(ModelConfig { memory_bytes: 21, ..config(1, 1) }, &bench(Box::new(|_| 0)));
    assert!(matches!(more, Err(CreateError::MemoryLimit { charged_bytes: 80, limit_bytes: 100, .. })));
    gate.open.store(true, SeqCst);
    tickets.into_iter().for_each(|ticket| assert_eq!(world.wait(ticket).kind, OutcomeKind::Completed));
    let owner = model.owner();
    drop(model);
    handles::destroy::<Model>(owner.0).unwrap();
    assert_eq!(world.orchestrator.stats().declared_memory_bytes, 0);
    until(|| world.orchestrator.stats().models == 0);
    assert_eq!(world.orchestrator.stats().totals.completed, 8);
    world.end();
}

/// Submitters, cancels, deadlines, forgets, waits with time-outs and a destroy in the middle: every accepted request
/// has one outcome, and the counts agree.
#[test]
fn every_accepted_request_has_one_outcome_whatever_happens() {
    for round in 0..20 {
        let world = World::new(256, 0);
        let run: Hook = Box::new(|items| {
            for item in items {
                // SAFETY: an item is live during its run; its user data counts the runs of its request.
                let runs = unsafe { &*((**item).user_data as *const AtomicU32) };
                assert_eq!(runs.fetch_add(1, SeqCst), 0);
            }
            std::hint::black_box((0..200).sum::<u32>());
            0
        });
        let model_config = ModelConfig { max_batch: 4, queue_capacity: 64, idle_timeout_ns: 50_000, ..config(1, 3) };
        let (bench, model) = world.model(model_config, run);
        let (accepted, with_completion) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for submitter in 0..4u64 {
                let (model, world, accepted, with_completion) = (&model, &world, &accepted, &with_completion);
                scope.spawn(move || {
                    for turn in 0..500u64 {
                        let runs: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
                        let kind = (turn * 7 + submitter) % 6;
                        // As a call from C does, so that a destroy waits for it.
                        let Ok(pinned) = handles::pin::<Model>(model.owner().0) else { break };
                        let ticket = pinned.submit(&Request {
                            priority: [Priority::Critical, Priority::Normal, Priority::Batch][turn as usize % 3],
                            deadline_after_ns: if kind == 1 { 1 + turn * 100 } else { 0 },
                            completion: (kind == 2).then_some(Completion(std::ptr::null())),
                            user_data: (&raw const *runs).cast_mut().cast(),
                            ..request()
                        });
                        drop(pinned);
                        let Ok(ticket) = ticket else { continue };
                        accepted.fetch_add(1, SeqCst);
                        match kind {
                            2 => {
                                with_completion.fetch_add(1, SeqCst);
                            }
                            3 => world.orchestrator.forget(ticket).unwrap(),
                            4 => {
                                let _ = world.orchestrator.cancel(ticket);
                                let outcome = world.wait(ticket);
                                let ran = runs.load(SeqCst);
                                assert_eq!(ran, u32::from(outcome.kind == OutcomeKind::Completed));
                            }
                            5 => {
                                while let Err(error) = world.orchestrator.wait(ticket, Deadline::after(1000), None) {
                                    assert_eq!(error, TicketError::Wait(WaitEnd::TimedOut));
                                }
                            }
                            _ => {
                                let outcome = world.wait(ticket);
                                let ran = runs.load(SeqCst);
                                assert_eq!(ran, u32::from(outcome.kind == OutcomeKind::Completed));
                            }
                        }
                    }
                });
            }
            if round % 2 == 1 {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(2));
                    handles::destroy::<Model>(model.owner().0).unwrap();
                });
            }
        });
        world.orchestrator.drain(Deadline::NEVER, None).unwrap();
        let stats = world.orchestrator.stats();
        let totals = stats.totals;
        assert_eq!(totals.accepted, u64::from(accepted.load(SeqCst)));
        assert_eq!((totals.queued, totals.running, stats.untaken), (0, 0, 0));
        let ended = totals.completed + totals.failed + totals.timed_out + totals.cancelled + totals.shed;
        assert_eq!(ended, totals.accepted);
        assert_eq!(totals.failed, 0);
        assert_eq!(bench.completions.load(SeqCst), with_completion.load(SeqCst));
        assert_eq!(world.orchestrator.children(), 0);
        drop(model);
        world.end();
        assert_eq!(bench.loads.load(SeqCst), bench.unloads.load(SeqCst));
    }
}

/// Cancels beyond count leave neither the queue's list of deadlines nor the table with less room.
#[test]
fn cancelled_requests_take_no_room() {
    let world = World::new(8, 0);
    let gate = Arc::new(Gate::default());
    let (_, model) = world.model(ModelConfig { queue_capacity: 2, ..config(1, 1) }, gate.hook());
    let running = model.submit(&request()).unwrap();
    until(|| gate.entered.load(SeqCst) == 1);
    for _ in 0..1000 {
        let ticket = model.submit(&Request { deadline_after_ns: 3_600_000_000_000, ..request() }).unwrap();
        world.orchestrator.cancel(ticket).unwrap();
        assert_eq!(world.orchestrator.poll(ticket).unwrap().kind, OutcomeKind::Cancelled);
    }
    gate.open.store(true, SeqCst);
    world.wait(running);
    world.end();
}

#[test]
fn waits_from_inside_a_callback_that_would_wait_for_itself_are_refused() {
    let world = World::new(8, 0);
    let (_, model) = world.model(config(1, 1), Box::new(|_| 0));
    model.wait_ready(Deadline::NEVER, None).unwrap();
    let inside = callback::run(Owner(world.handle), || world.orchestrator.drain(Deadline::NEVER, None));
    assert_eq!(inside, Err(DrainError::InsideOwnCallback));
    let inside = callback::run(model.owner(), || model.wait_ready(Deadline::NEVER, None));
    assert!(matches!(inside, Err(NotReady::InsideOwnCallback)));
    world.end();
}
