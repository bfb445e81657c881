//! The orchestrator: its models, its table of requests, its manager.

use super::error::{CreateError, DrainError, TicketError};
use super::manager::{self, Roster};
use super::model::{Backend, Model, ModelConfig, ModelStats};
use super::request::{Outcome, Ticket};
use super::shared::{Bell, DeclaredMemory, Shared};
use super::table::{MOST_SLOTS, Table};
use crate::base::cancel::{Cancel, WaitEnd};
use crate::base::clock::Deadline;
use crate::base::handles::{self, Handled, Kind};
use crate::base::watchers::Watchers;
use crate::base::{InvalidField, Name, Owner, alloc, callback};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::thread::JoinHandle;

#[derive(Clone, Copy, Debug)]
pub struct OrchestratorConfig {
    /// Most requests that wait, run, or have an outcome that nobody took.
    pub request_slots: u32,
    /// Most memory that the workers declare together; 0: no limit.
    pub memory_limit_bytes: u64,
    pub name: Name,
}

pub struct Orchestrator {
    shared: Arc<Shared>,
    roster: Arc<Roster>,
    manager: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone, Copy, Debug)]
pub struct OrchestratorStats {
    pub models: u64,
    pub totals: ModelStats,
    /// Outcomes that nobody took yet.
    pub untaken: u64,
    pub declared_memory_bytes: u64,
}

impl Orchestrator {
    pub fn new(owner: Owner, config: OrchestratorConfig) -> Result<Arc<Self>, CreateError> {
        if !(1..=MOST_SLOTS).contains(&config.request_slots) {
            return Err(InvalidField {
                field: "request_slots",
                value: u64::from(config.request_slots),
                bound: "must be 1 to 1048576",
            }
            .into());
        }
        let shared = alloc::try_arc(Shared {
            owner,
            table: Table::new(config.request_slots)?,
            memory: DeclaredMemory::new(config.memory_limit_bytes),
            bell: Bell::default(),
            closed: AtomicBool::new(false),
            ended: Watchers::default(),
        })?;
        let roster = alloc::try_arc(Roster::default())?;
        let manager = manager::start(shared.clone(), roster.clone())?;
        let stop = StopOnDrop { shared: &shared, manager: Some(manager) };
        let orchestrator = alloc::try_arc(Self { shared: shared.clone(), roster, manager: Mutex::new(None) })?;
        *orchestrator.manager.lock() = stop.keep();
        Ok(orchestrator)
    }

    /// Makes a model and starts its least number of workers. They load in the background.
    pub fn create_model(
        &self,
        owner: Owner,
        config: ModelConfig,
        backend: Box<dyn Backend>,
    ) -> Result<Arc<Model>, CreateError> {
        if self.shared.closed.load(SeqCst) {
            return Err(CreateError::Closed);
        }
        let least_bytes = config.memory_bytes.checked_mul(u64::from(config.bounds.min));
        if !least_bytes.is_some_and(|bytes| self.shared.memory.charge(bytes)) {
            return Err(CreateError::MemoryLimit {
                min_workers: config.bounds.min,
                memory_bytes: config.memory_bytes,
                charged_bytes: self.shared.memory.charged_bytes(),
                limit_bytes: self.shared.memory.limit_bytes,
            });
        }
        let added = self.roster.add(|number| Model::new(number, owner, config, self.shared.clone(), backend));
        let model = added.inspect_err(|_| self.shared.memory.discharge(least_bytes.unwrap_or(0)))?;
        if let Err(error) = model.start() {
            model.close();
            model.finish();
            return Err(error.into());
        }
        Ok(model)
    }

    pub fn wait(&self, ticket: Ticket, deadline: Deadline, cancel: Option<&Cancel>) -> Result<Outcome, TicketError> {
        self.shared.table.wait(ticket, deadline, cancel).inspect(|outcome| outcome.input.release())
    }

    pub fn poll(&self, ticket: Ticket) -> Result<Outcome, TicketError> {
        self.shared.table.poll(ticket).inspect(|outcome| outcome.input.release())
    }

    pub fn forget(&self, ticket: Ticket) -> Result<(), TicketError> {
        if let Some(outcome) = self.shared.table.forget(ticket)? {
            outcome.input.release();
            outcome.output.release();
        }
        Ok(())
    }

    pub fn cancel(&self, ticket: Ticket) -> Result<(), TicketError> {
        let (number, _) = self.shared.table.stage(ticket)?;
        // While the ticket is valid its slot names its model; a model that is gone has ended all its requests.
        let model = self.shared.table.slot(number).model.load(Relaxed);
        self.roster.get(model).map_or(Ok(()), |model| model.cancel(ticket))
    }

    /// Takes no more requests and waits until every accepted one has its outcome.
    pub fn drain(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), DrainError> {
        if callback::waits_for_itself(self.shared.owner) {
            return Err(DrainError::InsideOwnCallback);
        }
        self.shared.closed.store(true, SeqCst);
        self.roster.for_each(|model| model.hurry());
        let drained = || (self.pending() == 0).then_some(());
        self.shared
            .ended
            .wait_until(deadline, cancel, drained)
            .map_err(|end: WaitEnd| DrainError::Wait { still_out: self.pending(), end })
    }

    /// Requests without an outcome.
    fn pending(&self) -> u64 {
        let mut pending = 0;
        self.roster.for_each(|model| pending += model.pending());
        pending
    }

    pub fn stats(&self) -> OrchestratorStats {
        let (totals, models) = self.roster.stats();
        OrchestratorStats {
            models,
            totals,
            untaken: self.shared.table.untaken(),
            declared_memory_bytes: self.shared.memory.charged_bytes(),
        }
    }
}

impl Handled for Orchestrator {
    const KIND: Kind = Kind::Orchestrator;

    fn begin_destroy(&self) {
        self.shared.closed.store(true, SeqCst);
        self.roster.for_each(|model| model.close());
    }

    fn finish_destroy(&self) {
        // The models go with it. One that somebody else is destroying right now is waited for.
        self.roster.for_each(|model| {
            let _ = handles::destroy::<Model>(model.owner().0);
        });
        let all_gone = || {
            let mut all = true;
            self.roster.for_each(|model| all &= model.is_gone());
            all.then_some(())
        };
        while self.shared.ended.wait_until(Deadline::NEVER, None, all_gone).is_err() {
            // No memory to sleep properly: look again.
            std::thread::yield_now();
        }
        self.shared.bell.stop();
        if let Some(manager) = self.manager.lock().take() {
            // A panic in it was caught and told inside it.
            drop(manager.join());
        }
        self.roster.strike_gone();
    }

    /// Tickets whose outcome nobody took.
    fn children(&self) -> u64 {
        self.shared.table.used()
    }
}

/// Stops the manager of an orchestrator that could not be made.
struct StopOnDrop<'a> {
    shared: &'a Shared,
    manager: Option<JoinHandle<()>>,
}

impl StopOnDrop<'_> {
    fn keep(mut self) -> Option<JoinHandle<()>> {
        self.manager.take()
    }
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(manager) = self.manager.take() {
            self.shared.bell.stop();
            drop(manager.join());
        }
    }
}
