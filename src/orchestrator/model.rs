//! A model: what its requests run on. Submits, runs batches on its warm workers, and ends every accepted request in
//! exactly one outcome.

use super::error::{SubmitError, TicketError};
use super::memory::WorkerMemory;
use super::queue::{Chain, Next, Queue, Sleeper, walk};
use super::request::{Completion, Failure, Item, Outcome, OutcomeKind, Parcel, Request, Ticket};
use super::shared::Shared;
use super::table::{NONE, Stage, Table};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback::{self, CallbackFailure, Refusal};
use crate::base::cancel::{self, Cancel};
use crate::base::clock::{self, Deadline};
use crate::base::faults::{self, Point};
use crate::base::handles::{self, Handled, Kind};
use crate::base::injection::{self, Callback};
use crate::base::text::Text;
use crate::base::{MESSAGE_BYTES, Name, Owner, log, panics};
use crate::memory::governor::Charge;
use crate::worker::{self, Bounds, Crew, Duty, Growth, Leave, NotReady};
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

/// What a model's worker loaded; the host's.
#[derive(Clone, Copy, Debug)]
pub struct State(pub *mut c_void);

/// The host's side of a model. With a refusal go the words that the callback left.
pub trait Backend: Send + Sync + 'static {
    fn load(&self, worker: u32, state: &mut State) -> Result<(), Refusal>;
    fn run(&self, state: State, items: &[*mut Item]) -> Result<(), Refusal>;
    fn unload(&self, state: State);
    fn complete(&self, completion: Completion, user_data: *mut c_void, ticket: Ticket, outcome: &Outcome);
}

/// Checked by the caller: every field in its range, no zero that stands for a default.
#[derive(Clone, Copy, Debug)]
pub struct ModelConfig {
    pub bounds: Bounds,
    pub max_batch: u32,
    pub queue_capacity: u32,
    pub batch_wait_ns: u64,
    /// 0: never.
    pub idle_timeout_ns: u64,
    /// Declared for each worker; 0: it is not known, and nothing is charged.
    pub memory_bytes: u64,
    pub name: Name,
}

pub struct Model {
    /// Its place among the models of its orchestrator.
    pub number: u32,
    pub(super) owner: Owner,
    config: ModelConfig,
    shared: Arc<Shared>,
    backend: Box<dyn Backend>,
    pub(super) memory: WorkerMemory,
    pub(super) queue: Queue,
    pub(super) crew: Crew,
    closed: AtomicBool,
    gone: AtomicBool,
    growth_wanted: AtomicBool,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    ended: [AtomicU64; 5],
    batches: AtomicU64,
    largest_batch: AtomicU64,
    warm_requests: AtomicU64,
    queue_ns_total: AtomicU64,
    run_ns_total: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelStats {
    pub workers: u32,
    pub idle_workers: u32,
    pub loading_workers: u32,
    pub queued: u64,
    pub running: u64,
    pub accepted: u64,
    pub completed: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub cancelled: u64,
    pub shed: u64,
    pub refused: u64,
    pub batches: u64,
    pub largest_batch: u64,
    pub loads: u64,
    pub load_failures: u64,
    pub unloads: u64,
    pub warm_requests: u64,
    pub queue_ns_total: u64,
    pub run_ns_total: u64,
    pub evicted: u64,
}

/// A worker's loaded state, and room for the batch that it runs.
pub struct Warm {
    state: State,
    batch: Vec<u32>,
    items: Vec<*mut Item>,
    /// Of what it declares, until it is unloaded.
    _charge: Option<Charge>,
}

impl Model {
    /// The least number of workers is charged for already, and not yet started.
    pub fn new(
        number: u32,
        owner: Owner,
        config: ModelConfig,
        shared: Arc<Shared>,
        backend: Box<dyn Backend>,
    ) -> Result<Arc<Self>, OutOfMemory> {
        let Bounds { max, .. } = config.bounds;
        // More than there can be are never waited for.
        let max_batch = config.max_batch.min(config.queue_capacity).min(shared.table.capacity());
        let model = alloc::try_arc(Self {
            number,
            owner,
            queue: Queue::new(config.queue_capacity, max_batch, config.batch_wait_ns, max)?,
            crew: Crew::new(config.name, config.bounds)?,
            memory: WorkerMemory::new(config.memory_bytes, config.name)?,
            config,
            shared,
            backend,
            closed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            growth_wanted: AtomicBool::new(false),
            counters: Counters::default(),
        })?;
        model.take_part_in_reclaim()?;
        Ok(model)
    }

    pub fn owner(&self) -> Owner {
        self.owner
    }

    pub fn submit(&self, request: &Request) -> Result<Ticket, SubmitError> {
        let ticket = self.enqueue(request)?;
        self.ring();
        Ok(ticket)
    }

    /// Submits requests until one is refused; `each` gets the tickets of the accepted ones, in order.
    pub fn submit_all(
        &self,
        requests: impl Iterator<Item = Request>,
        mut each: impl FnMut(Ticket),
    ) -> Result<(), SubmitError> {
        let mut result = Ok(());
        for request in requests {
            match self.enqueue(&request) {
                Ok(ticket) => each(ticket),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.ring();
        result
    }

    fn enqueue(&self, request: &Request) -> Result<Ticket, SubmitError> {
        // A refused request was admitted for a moment, in which somebody may have begun to wait for its end.
        let with_input;
        let request = if request.parcel == Parcel::NONE {
            request
        } else {
            let (data, input_bytes) = request.parcel.retain()?;
            with_input = Request { input: data.cast_const().cast(), input_bytes, ..*request };
            &with_input
        };
        let refuse = |error| {
            request.parcel.release();
            self.counters.refused.fetch_add(1, Relaxed);
            self.tell_ended();
            Err(error)
        };
        if !self.queue.admit() {
            return refuse(SubmitError::QueueFull { capacity: self.config.queue_capacity });
        }
        // Whoever closes looks at the queue afterwards, so either it sees this request or this sees the end.
        if self.is_closed() {
            self.queue.dismiss();
            return refuse(SubmitError::Closed);
        }
        let table = &self.shared.table;
        let Some(number) = table.take_free() else {
            self.queue.dismiss();
            return refuse(SubmitError::TableFull { slots: table.capacity() });
        };
        self.counters.accepted.fetch_add(1, Relaxed);
        let now_ns = clock::now_ns();
        let ticket = table.fill(number, request, self.number, now_ns);
        self.queue.push(table, number);
        // A close that looked at the queue just before has not seen it.
        if self.closed.load(SeqCst) {
            self.shed();
        }
        if request.deadline_after_ns != 0 {
            let deadline_ns = now_ns.saturating_add(request.deadline_after_ns);
            self.queue.press(now_ns, deadline_ns);
            self.shared.bell.ring_by(deadline_ns);
        }
        Ok(ticket)
    }

    fn ring(&self) {
        if !self.queue.ring() {
            self.want_growth();
        }
    }

    /// Every worker is busy: asks the manager for one more.
    #[inline]
    fn want_growth(&self) {
        if !self.crew.is_full() && !self.growth_wanted.swap(true, SeqCst) {
            self.shared.bell.ring();
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(SeqCst) || self.shared.closed.load(SeqCst)
    }

    /// Requests without an outcome.
    pub fn pending(&self) -> u64 {
        self.queue.pending()
    }

    /// No more requests will come: no batch waits for any.
    pub fn hurry(&self) {
        self.queue.hurry();
    }

    /// Its workers are gone, and no callback of it runs any more.
    pub fn is_gone(&self) -> bool {
        self.gone.load(SeqCst)
    }

    pub fn wait_ready(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), NotReady> {
        if callback::waits_for_itself(self.owner) {
            return Err(NotReady::InsideOwnCallback);
        }
        self.crew.wait_ready(deadline, cancel)
    }

    /// Ends a queued request; tells a running one that nobody wants it any more.
    pub fn cancel(&self, ticket: Ticket) -> Result<(), TicketError> {
        let table = &self.shared.table;
        let held = self.queue.hold(table);
        let (number, stage) = table.stage(ticket)?;
        match stage {
            Stage::Queued => {
                held.take(number);
                self.end_unrun(number, OutcomeKind::Cancelled, Failure::None, Text::new());
                Ok(())
            }
            Stage::Running => {
                table.slot(number).cancelled.store(1, SeqCst);
                Err(TicketError::Running)
            }
            Stage::Ended => Ok(()),
        }
    }

    /// Ends the requests whose deadline has passed; tells when the next one will.
    pub fn expire(&self) -> u64 {
        let (chain, next_ns) = self.queue.take_expired(&self.shared.table, clock::now_ns());
        self.end_chain(chain, OutcomeKind::TimedOut, Failure::None, Text::new());
        next_ns
    }

    /// Starts one more worker when requests wait and no worker is idle or about to be; tells when to look again.
    pub fn grow_if_wanted(self: &Arc<Self>) -> u64 {
        if !self.growth_wanted.swap(false, SeqCst) || self.queue.queued() == 0 || self.queue.idle() > 0 {
            return u64::MAX;
        }
        match self.crew.growth() {
            Growth::Now if self.shared.memory.charge(self.config.memory_bytes) => {
                let started = worker::start(self);
                if !matches!(started, Ok(true)) {
                    self.shared.memory.discharge(self.config.memory_bytes);
                }
                if let Err(error) = started {
                    log::warn(format_args!("{}: {error}", self.config.name));
                }
                u64::MAX
            }
            // Whoever gives memory back rings.
            Growth::Now => {
                self.growth_wanted.store(true, SeqCst);
                u64::MAX
            }
            Growth::NotBefore(moment_ns) => {
                self.growth_wanted.store(true, SeqCst);
                moment_ns
            }
            // A worker that has loaded or left asks again.
            Growth::No => u64::MAX,
        }
    }

    /// Starts the least number of workers.
    pub fn start(self: &Arc<Self>) -> Result<(), crate::base::thread::SpawnError> {
        for started in 0..self.config.bounds.min {
            if let Err(error) = worker::start(self) {
                let never_started = u64::from(self.config.bounds.min - started);
                self.shared.memory.discharge(never_started * self.config.memory_bytes);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes no more requests, and sheds those that wait.
    pub fn close(&self) {
        self.closed.store(true, SeqCst);
        self.shed();
    }

    /// Ends what is left after [`Model::close`], once nobody submits any more: waits for what runs, and for the
    /// workers to unload.
    pub fn finish(&self) {
        self.shed();
        self.crew.stop();
        injection::forget(self.owner);
        self.queue.wake_all();
        self.crew.join();
        // A worker that panicked left its queue behind.
        self.shed();
        // Others may be ending requests that they took out: a cancel, the manager. Their callbacks are waited for.
        let all_ended = || (self.pending() == 0).then_some(());
        while self.shared.ended.wait_until(Deadline::NEVER, None, all_ended).is_err() {
            // No memory to sleep properly: look again.
            std::thread::yield_now();
        }
        self.gone.store(true, SeqCst);
        self.shared.ended.wake_all();
        self.shared.bell.ring();
    }

    fn shed(&self) {
        self.end_chain(self.queue.take_all(&self.shared.table), OutcomeKind::Shed, Failure::None, Text::new());
    }

    /// Those with a completion come last: it may wait for the others.
    fn end_chain(&self, chain: u32, kind: OutcomeKind, failure: Failure, message: Text<MESSAGE_BYTES>) {
        let table = &self.shared.table;
        let mut last = Chain::default();
        walk(table, chain, |number| match table.completion(number) {
            Some(_) => last.add(table, number),
            None => self.end_unrun(number, kind, failure, message),
        });
        walk(table, last.first, |number| self.end_unrun(number, kind, failure, message));
    }

    fn end_unrun(&self, number: u32, kind: OutcomeKind, failure: Failure, message: Text<MESSAGE_BYTES>) {
        let submitted_ns = self.shared.table.slot(number).submitted_ns.load(Relaxed);
        let queue_ns = clock::now_ns().saturating_sub(submitted_ns);
        self.end(number, &Outcome::unrun(kind, failure, queue_ns, message));
    }

    /// Gives a request that is `ENDING` its outcome.
    fn end(&self, number: u32, outcome: &Outcome) {
        let table = &self.shared.table;
        self.counters.ended[outcome.kind as usize - 1].fetch_add(1, Relaxed);
        self.counters.queue_ns_total.fetch_add(outcome.queue_ns, Relaxed);
        let completion = table.completion(number);
        // SAFETY: the item is this caller's until `finish`.
        let item = unsafe { &*table.item(number) };
        let is_completed = outcome.kind == OutcomeKind::Completed;
        let output = if is_completed { item.output_parcel } else { Parcel::NONE };
        if !is_completed {
            item.output_parcel.release();
        }
        let outcome = Outcome { input: item.input_parcel, output, ..*outcome };
        if let Some(completion) = completion {
            self.call(|| self.backend.complete(completion, item.user_data, Ticket(item.ticket), &outcome));
        }
        let is_unwanted = table.finish(number, &outcome, completion.is_some());
        if is_unwanted || completion.is_some() {
            outcome.input.release();
            outcome.output.release();
        }
        self.queue.finished();
        self.tell_ended();
    }

    #[inline]
    fn tell_ended(&self) {
        if self.is_closed() {
            self.shared.ended.wake_all();
        }
    }

    /// Runs one of the host's callbacks, which is one of the orchestrator's and one of the model's.
    fn call<R>(&self, body: impl FnOnce() -> R) -> R {
        callback::run(self.shared.owner, || callback::run(self.owner, body))
    }

    fn call_checked(
        &self,
        callback: Callback,
        body: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<(), CallbackFailure> {
        callback::run(self.shared.owner, || callback::run_checked(self.owner, callback, body))
    }

    /// One turn of a worker: a batch, or a sleep.
    fn turn(&self, me: Sleeper, warm: &mut Warm, idle_until: &mut Option<Deadline>, loaded_ns: u64) -> Option<Leave> {
        let table = &self.shared.table;
        let until = *idle_until.get_or_insert_with(|| self.idle_deadline());
        warm.batch.clear();
        match self.queue.next(table, me, until, &mut warm.batch) {
            Next::Run { more_is_left } => {
                if more_is_left && self.queue.idle() == 0 {
                    self.want_growth();
                }
                faults::hit(Point::Worker);
                *idle_until = None;
                self.run_batch(me.worker, warm, loaded_ns);
            }
            Next::Expired { chain } => self.end_chain(chain, OutcomeKind::TimedOut, Failure::None, Text::new()),
            // A stop that came before this worker was among the sleepers did not wake it.
            Next::Sleep { .. } | Next::Gather { .. } if self.crew.is_stopping() => {}
            Next::Leave => return Some(Leave::Evicted),
            Next::Gather { until } => me.parker.park(until),
            Next::Sleep { until } => {
                me.parker.park(until);
                if until.has_passed() {
                    if self.queue.leave_if_idle(me.worker) && self.crew.try_retire() {
                        return Some(Leave::Retired);
                    }
                    *idle_until = None;
                }
            }
        }
        None
    }

    fn idle_deadline(&self) -> Deadline {
        match self.config.idle_timeout_ns {
            0 => Deadline::NEVER,
            timeout_ns => Deadline::after(timeout_ns),
        }
    }

    fn run_batch(&self, worker: u32, warm: &mut Warm, loaded_ns: u64) {
        let table = &self.shared.table;
        warm.items.clear();
        warm.items.extend(warm.batch.iter().map(|number| table.item(*number)));
        let begin_ns = clock::now_ns();
        let result = self.call_checked(Callback::Run, || self.backend.run(warm.state, &warm.items));
        let end_ns = clock::now_ns();
        let run_ns = end_ns.saturating_sub(begin_ns);
        self.memory.last_used_ns.store(end_ns, Relaxed);
        self.queue.end_running(table, &warm.batch);

        let size = warm.batch.len() as u32;
        self.counters.batches.fetch_add(1, Relaxed);
        self.counters.largest_batch.fetch_max(u64::from(size), Relaxed);
        self.counters.run_ns_total.fetch_add(run_ns, Relaxed);
        for_each_to_end(table, &mut warm.batch, |number| {
            let submitted_ns = table.slot(number).submitted_ns.load(Relaxed);
            if submitted_ns >= loaded_ns {
                self.counters.warm_requests.fetch_add(1, Relaxed);
            }
            // SAFETY: the run is over, and the item is this thread's until `finish`.
            let item = unsafe { &*table.item(number) };
            let (failure, message) = judge(item, &result);
            let kind = if failure == Failure::None { OutcomeKind::Completed } else { OutcomeKind::Failed };
            self.end(
                number,
                &Outcome {
                    batch_size: size,
                    worker,
                    output_bytes: if kind == OutcomeKind::Completed { item.output_bytes } else { 0 },
                    queue_ns: begin_ns.saturating_sub(submitted_ns),
                    run_ns,
                    ..Outcome::unrun(kind, failure, 0, message)
                },
            );
        });
    }

    /// After a panic of the library in a worker's turn: nothing is lost, and nothing more is taken.
    fn fail_all(&self, batch: &mut Vec<u32>, words: &str) {
        handles::quarantine(self.owner);
        self.closed.store(true, SeqCst);
        let message = Text::from(words);
        let table = &self.shared.table;
        self.queue.end_running(table, batch);
        for_each_to_end(table, batch, |number| self.end_unrun(number, OutcomeKind::Failed, Failure::Panic, message));
        self.end_chain(self.queue.take_all(table), OutcomeKind::Failed, Failure::Panic, message);
    }

    pub fn stats(&self) -> ModelStats {
        let counters = &self.counters;
        let [completed, failed, timed_out, cancelled, shed] =
            [0, 1, 2, 3, 4].map(|kind: usize| counters.ended[kind].load(SeqCst));
        let ended = completed + failed + timed_out + cancelled + shed;
        let admitted = u64::from(self.queue.queued());
        let accepted = counters.accepted.load(SeqCst).max(ended);
        // A request that is about to be refused is admitted for a moment.
        let queued = admitted.min(accepted - ended);
        ModelStats {
            workers: self.crew.alive(),
            idle_workers: self.queue.idle(),
            loading_workers: self.crew.loading(),
            queued,
            running: accepted - ended - queued,
            accepted,
            completed,
            failed,
            timed_out,
            cancelled,
            shed,
            refused: counters.refused.load(Relaxed),
            batches: counters.batches.load(Relaxed),
            largest_batch: counters.largest_batch.load(Relaxed),
            loads: self.crew.loads(),
            load_failures: self.crew.load_failures(),
            unloads: self.crew.unloads(),
            warm_requests: counters.warm_requests.load(Relaxed),
            queue_ns_total: counters.queue_ns_total.load(Relaxed),
            run_ns_total: counters.run_ns_total.load(Relaxed),
            evicted: self.crew.evicted(),
        }
    }
}

/// Empties a batch: `end` gets each of its requests, in order, but those with a completion last, because it may wait
/// for the others. After a panic in between, those that did not end are still there.
fn for_each_to_end(table: &Table, batch: &mut Vec<u32>, mut end: impl FnMut(u32)) {
    for has_completion in [false, true] {
        for place in batch.iter_mut() {
            if *place != NONE && table.completion(*place).is_some() == has_completion {
                end(std::mem::replace(place, NONE));
            }
        }
    }
    batch.clear();
}

/// Whether an item of a run failed, and with which words: its own failure goes before that of the whole run.
fn judge(item: &Item, result: &Result<(), CallbackFailure>) -> (Failure, Text<MESSAGE_BYTES>) {
    if item.status != 0 {
        return (Failure::Run(item.status), item.words());
    }
    if let Err(failure) = result {
        return (Failure::Run(failure.refusal.status), failure.message);
    }
    if item.output_bytes > item.output_capacity_bytes {
        let words = format_args!(
            "run callback says output_bytes {}, but output_capacity_bytes is {}",
            item.output_bytes, item.output_capacity_bytes
        );
        return (Failure::Overrun, Text::format(words));
    }
    (Failure::None, Text::new())
}

impl Duty for Model {
    type State = Warm;

    fn crew(&self) -> &Crew {
        &self.crew
    }

    fn load(&self, worker: u32) -> Result<Warm, CallbackFailure> {
        let no_room = |error: OutOfMemory| CallbackFailure {
            refusal: Refusal::IN_WORDS,
            message: Text::format(format_args!("{error}")),
        };
        let charge = self.memory.charge()?;
        let room = self.config.max_batch as usize;
        let (batch, items) = (alloc::try_vec(room).map_err(no_room)?, alloc::try_vec(room).map_err(no_room)?);
        let mut state = State(std::ptr::null_mut());
        self.call_checked(Callback::Load, || self.backend.load(worker, &mut state))?;
        Ok(Warm { state, batch, items, _charge: charge })
    }

    fn nobody_loaded(&self, failure: &CallbackFailure) {
        let chain = self.queue.take_all(&self.shared.table);
        self.end_chain(chain, OutcomeKind::Failed, Failure::Load, failure.message);
    }

    fn serve(&self, worker: u32, warm: &mut Warm, loaded_ns: u64) -> Leave {
        let Ok(parker) = cancel::current_parker() else { return Leave::Stopped };
        let me = Sleeper { worker, parker };
        let mut idle_until = None;
        while !self.crew.is_stopping() {
            match panics::catch(|| self.turn(me, warm, &mut idle_until, loaded_ns)) {
                Ok(None) => {}
                Ok(Some(leave)) => return leave,
                Err(caught) => {
                    let words = caught.message();
                    log::warn(format_args!("{}: worker {worker} panicked: {words}", self.config.name));
                    self.fail_all(&mut warm.batch, words.as_str());
                    break;
                }
            }
        }
        if self.queue.leave(worker) { Leave::Evicted } else { Leave::Stopped }
    }

    fn unload(&self, warm: Warm) {
        self.call(|| self.backend.unload(warm.state));
    }

    fn gone(&self, _worker: u32) {
        self.shared.memory.discharge(self.config.memory_bytes);
        if self.config.memory_bytes > 0 {
            self.shared.bell.ring();
        }
    }

    fn left_room(&self) {
        // What came while it was leaving found a full crew.
        if self.queue.queued() > 0 {
            self.want_growth();
        }
    }
}

impl Handled for Model {
    const KIND: Kind = Kind::Model;

    fn begin_destroy(&self) {
        self.close();
        // Waits for readiness end here.
        self.crew.stop();
        self.queue.wake_all();
    }

    fn finish_destroy(&self) {
        self.finish();
    }
}
