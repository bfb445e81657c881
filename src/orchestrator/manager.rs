//! The one thread of an orchestrator: ends requests whose deadline has passed, starts workers when all are busy, and
//! strikes models that are gone. It sleeps until the next deadline, or until somebody rings.

use super::model::{Model, ModelStats};
use super::shared::Shared;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::cancel;
use crate::base::clock;
use crate::base::thread::{self, SpawnError};
use crate::base::{log, panics};
use parking_lot::Mutex;
use std::sync::Arc;
use std::thread::JoinHandle;

const PAUSE_AFTER_PANIC_NS: u64 = 100_000_000;

/// The models of one orchestrator, and what those that are gone have counted.
#[derive(Default)]
pub struct Roster {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    models: Vec<Option<Arc<Model>>>,
    retired: ModelStats,
}

impl Roster {
    /// Takes a place: `make` gets its number. The model is on the roster when this returns.
    pub fn add<E: From<OutOfMemory>>(&self, make: impl FnOnce(u32) -> Result<Arc<Model>, E>) -> Result<Arc<Model>, E> {
        let mut entries = self.entries.lock();
        let place = match entries.models.iter().position(Option::is_none) {
            Some(place) => place,
            None => {
                alloc::try_reserve_one(&mut entries.models)?;
                entries.models.push(None);
                entries.models.len() - 1
            }
        };
        let model = make(place as u32)?;
        entries.models[place] = Some(model.clone());
        Ok(model)
    }

    pub fn get(&self, number: u32) -> Option<Arc<Model>> {
        self.entries.lock().models.get(number as usize)?.clone()
    }

    /// Visits each model that is on the roster, with no lock held meanwhile.
    pub fn for_each(&self, mut visit: impl FnMut(&Arc<Model>)) {
        let mut number = 0;
        while let Some(model) = self.next_from(&mut number) {
            visit(&model);
        }
    }

    fn next_from(&self, number: &mut u32) -> Option<Arc<Model>> {
        let entries = self.entries.lock();
        let place = (*number as usize..entries.models.len()).find(|place| entries.models[*place].is_some())?;
        *number = place as u32 + 1;
        entries.models[place].clone()
    }

    /// What all models have counted, those that are gone included, and how many there are.
    pub fn stats(&self) -> (ModelStats, u64) {
        let entries = self.entries.lock();
        let models = entries.models.iter().flatten();
        let sum = models.clone().fold(entries.retired, |sum, model| sum.plus(&model.stats()));
        (sum, models.filter(|model| !model.is_gone()).count() as u64)
    }

    /// Strikes the models that are gone.
    pub fn strike_gone(&self) {
        let mut struck = 0;
        loop {
            let gone = {
                let mut entries = self.entries.lock();
                let Entries { models, retired } = &mut *entries;
                let found = models.iter_mut().find(|model| model.as_ref().is_some_and(|model| model.is_gone()));
                let Some(gone) = found.and_then(Option::take) else { break };
                *retired = retired.plus(&gone.stats());
                gone
            };
            // Its memory goes here, outside the lock.
            drop(gone);
            struck += 1;
        }
        if struck > 0 {
            log::info(format_args!("{struck} models are gone"));
        }
    }
}

impl ModelStats {
    fn plus(&self, other: &Self) -> Self {
        Self {
            workers: self.workers + other.workers,
            idle_workers: self.idle_workers + other.idle_workers,
            loading_workers: self.loading_workers + other.loading_workers,
            queued: self.queued + other.queued,
            running: self.running + other.running,
            accepted: self.accepted + other.accepted,
            completed: self.completed + other.completed,
            failed: self.failed + other.failed,
            timed_out: self.timed_out + other.timed_out,
            cancelled: self.cancelled + other.cancelled,
            shed: self.shed + other.shed,
            refused: self.refused + other.refused,
            batches: self.batches + other.batches,
            largest_batch: self.largest_batch.max(other.largest_batch),
            loads: self.loads + other.loads,
            load_failures: self.load_failures + other.load_failures,
            unloads: self.unloads + other.unloads,
            warm_requests: self.warm_requests + other.warm_requests,
            queue_ns_total: self.queue_ns_total + other.queue_ns_total,
            run_ns_total: self.run_ns_total + other.run_ns_total,
            evicted: self.evicted + other.evicted,
        }
    }
}

/// Starts the manager, which runs until the bell's stop.
pub fn start(shared: Arc<Shared>, roster: Arc<Roster>) -> Result<JoinHandle<()>, SpawnError> {
    thread::spawn("manager", move || {
        let Ok(parker) = cancel::current_parker() else {
            log::warn(format_args!("no memory for the manager: deadlines are looked at by workers only"));
            return;
        };
        while !shared.bell.is_stopped() {
            shared.bell.begin_look(parker);
            let next_ns = panics::catch(|| look(&roster)).unwrap_or_else(|caught| {
                log::warn(format_args!("the manager panicked: {}", caught.message()));
                clock::now_ns() + PAUSE_AFTER_PANIC_NS
            });
            shared.bell.end_look(next_ns, parker);
        }
    })
}

/// One round over all models; tells the next deadline.
fn look(roster: &Roster) -> u64 {
    let mut next_ns = u64::MAX;
    roster.for_each(|model| {
        next_ns = next_ns.min(model.expire()).min(model.grow_if_wanted());
    });
    roster.strike_gone();
    next_ns
}
