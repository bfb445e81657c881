//! Acquires in two steps, for a host whose users are no threads: goroutines, fibers, coroutines. Each waits in the queue as a
//! caller does. A bell rings when it is worth while to look, and then its host goes on with it on any thread, on which the
//! callbacks run that are needed; between the steps no thread waits, of the host or of the library.

use super::barging::Patience;
use super::demand::Demand;
use super::pool::{Pool, QUARANTINED};
use super::slots::{Lease, Resource};
use super::waiters::{Bell, Grant, Sleeper, Waiter};
use super::waiting::{AcquireError, Ended, Waited, next_number};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::cancel::WaitEnd;
use crate::base::clock::{self, Deadline};
use crate::base::thread::Caller;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// How far an acquire has come.
pub enum Step {
    /// All that it wants is leased.
    Leased,
    /// It waits under this number, which is never 0, and is to be looked at again after so long, if its bell does not ring before.
    Waits { number: u64, look_again_ns: u64 },
}

struct Turn {
    waiter: Arc<Waiter>,
    demand: Demand,
    /// How many it wants. While it finds out whether any can be made, it waits for one.
    count: u32,
    deadline: Deadline,
    patience: Option<Patience>,
    bell: Bell,
    begin_ns: u64,
}

impl Turn {
    fn is_trial(&self) -> bool {
        self.waiter.want.count < self.count
    }

    /// In the queue it is nobody's: what a thread waits for, others on it do not.
    fn begin_wait(pool: &Pool, demand: Demand, bell: Bell, count: u32) -> Result<Arc<Waiter>, OutOfMemory> {
        pool.begin_wait(Sleeper::Host(bell), Demand { caller: Caller::UNKNOWN, ..demand }, count)
    }
}

/// Those that wait.
#[derive(Default)]
pub(super) struct Turns {
    waiting: Mutex<HashMap<u64, Turn>>,
}

impl Turns {
    pub fn count(&self) -> u64 {
        self.waiting.lock().len() as u64
    }

    /// The one of that number, if it wants so many.
    fn take(&self, number: u64, count: u32) -> Option<Turn> {
        let mut waiting = self.waiting.lock();
        if waiting.get(&number)?.count == count { waiting.remove(&number) } else { None }
    }

    fn put(&self, number: u64, turn: Turn) -> Result<(), (Turn, OutOfMemory)> {
        let mut waiting = self.waiting.lock();
        let bytes = size_of::<(u64, Turn)>();
        let room =
            alloc::check(bytes).and_then(|()| waiting.try_reserve(1).map_err(|_| OutOfMemory { bytes: bytes as u64 }));
        match room {
            Ok(()) => drop(waiting.insert(number, turn)),
            Err(no_memory) => return Err((turn, no_memory)),
        }
        Ok(())
    }
}

impl Pool {
    /// Leases as many as there is room for in both when they are to be had now, or begins to wait.
    pub fn begin_turn(
        &self,
        demand: Demand,
        deadline: Deadline,
        bell: Bell,
        leases: &mut [Lease],
        resources: &mut [Resource],
    ) -> Result<Step, AcquireError> {
        if self.lease_now(demand, leases, resources)? {
            return Ok(Step::Leased);
        }
        let begin_ns = clock::now_ns();
        self.refuse_hopeless(demand.priority, deadline)?;
        self.note_waiting_begins();
        let count = leases.len() as u32;
        let first = if self.breaker.is_open() { 1 } else { count };
        let waiter = Turn::begin_wait(self, demand, bell, first)?;
        let patience = self.patience(&waiter, deadline);
        let turn = Turn { waiter, demand, count, deadline, patience, bell, begin_ns };
        self.go_on_with(next_number(), turn, false, leases, resources)
    }

    fn lease_now(
        &self,
        demand: Demand,
        leases: &mut [Lease],
        resources: &mut [Resource],
    ) -> Result<bool, AcquireError> {
        let ([lease], [resource]) = (&mut *leases, &mut *resources) else {
            return self.acquire_many_now(demand, leases, resources);
        };
        let now = self.acquire_now(demand)?;
        if let Some(leased) = now {
            (*lease, *resource) = leased;
        }
        Ok(now.is_some())
    }

    /// Goes on with one that waits for as many as there is room for in both; nothing when there is none of that number. It ends
    /// when it is cancelled.
    pub fn continue_turn(
        &self,
        number: u64,
        me: Caller,
        is_cancelled: bool,
        leases: &mut [Lease],
        resources: &mut [Resource],
    ) -> Option<Result<Step, AcquireError>> {
        let mut turn = self.turns.take(number, leases.len() as u32)?;
        turn.demand = turn.demand.taken_up_by(me);
        Some(self.go_on_with(number, turn, is_cancelled, leases, resources))
    }

    /// In a pool that was quarantined nobody can go on with a turn, and what it was handed goes with the pool.
    pub(super) fn end_refused_turns(&self) {
        if self.is(QUARANTINED) {
            let refused = std::mem::take(&mut *self.turns.waiting.lock());
            refused.into_values().for_each(|turn| self.abandon(&turn.waiter));
        }
    }

    fn go_on_with(
        &self,
        number: u64,
        mut turn: Turn,
        is_cancelled: bool,
        leases: &mut [Lease],
        resources: &mut [Resource],
    ) -> Result<Step, AcquireError> {
        let leased = loop {
            self.end_patience(&mut turn.patience, &turn.waiter);
            self.serve();
            self.creators.ring();
            let Some(end) = self.end_of_turn(&turn, is_cancelled) else {
                let next_look = turn.patience.as_ref().map_or(turn.deadline, Patience::next_look);
                let look_again_ns = next_look.min(self.next_attempt()).remaining_ns().unwrap_or(u64::MAX);
                match self.turns.put(number, turn) {
                    Ok(()) => return Ok(Step::Waits { number, look_again_ns }),
                    Err((refused, no_memory)) => {
                        self.abandon(&refused.waiter);
                        return Err(no_memory.into());
                    }
                }
            };
            let ended = if turn.is_trial() {
                self.end_trial(&turn, end)
            } else {
                self.end_wait(&turn.waiter, end, |grants, wait| {
                    self.lease_all(grants, turn.demand, leases, resources, wait)
                })
            };
            match ended {
                Ok(Ended::WaitsAgain(waiter)) => {
                    turn.patience = self.patience(&waiter, turn.deadline);
                    turn.waiter = waiter;
                }
                Ok(Ended::Leased(())) => break Ok(Step::Leased),
                Err(error) => break Err(error),
            }
        };
        self.counters.waits.note(clock::now_ns().saturating_sub(turn.begin_ns));
        leased
    }

    /// One is enough to find out whether any can be made. It is not leased, and all are waited for then.
    fn end_trial(&self, turn: &Turn, end: Result<Waited, WaitEnd>) -> Result<Ended<()>, AcquireError> {
        let Turn { waiter, demand, count, bell, .. } = turn;
        match self.end_wait(waiter, end, |grants, wait| self.prepare_first(grants, *demand, wait))? {
            Ended::Leased(one) => {
                self.give_back(Grant::Idle(one.number), demand.priority);
                Ok(Ended::WaitsAgain(Turn::begin_wait(self, *demand, *bell, *count)?))
            }
            Ended::WaitsAgain(again) => Ok(Ended::WaitsAgain(again)),
        }
    }

    fn end_of_turn(&self, turn: &Turn, is_cancelled: bool) -> Option<Result<Waited, WaitEnd>> {
        match self.end_of_wait(&turn.waiter) {
            Some(waited) => Some(Ok(waited)),
            None if is_cancelled => Some(Err(WaitEnd::Cancelled)),
            // It looks once more when it may not be overtaken any longer.
            None if turn.patience.is_some() => None,
            None => turn.deadline.has_passed().then_some(Err(WaitEnd::TimedOut)),
        }
    }
}
