//! Acquires in two steps, for a host whose users are no threads: goroutines, fibers, coroutines. Each waits in the queue as a
//! caller does. A bell rings when it is worth while to look, and then its host goes on with it on any thread, on which the
//! callbacks run that are needed; between the steps no thread waits, of the host or of the library.

use super::barging::Patience;
use super::demand::Demand;
use super::pool::{Pool, QUARANTINED};
use super::slots::{Lease, Resource};
use super::waiters::{Bell, Sleeper, Waiter};
use super::waiting::{AcquireError, Waited, next_number};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::cancel::WaitEnd;
use crate::base::clock::{self, Deadline};
use crate::base::thread::Caller;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// How far an acquire has come.
pub enum Step {
    Leased(Lease, Resource),
    /// It waits under this number, which is never 0, and is to be looked at again after so long, if its bell does not ring before.
    Waits {
        number: u64,
        look_again_ns: u64,
    },
}

struct Turn {
    waiter: Arc<Waiter>,
    demand: Demand,
    deadline: Deadline,
    patience: Option<Patience>,
    begin_ns: u64,
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
    /// Leases what is to be had now, or begins to wait.
    pub fn begin_turn(&self, demand: Demand, deadline: Deadline, bell: Bell) -> Result<Step, AcquireError> {
        if let Some((lease, resource)) = self.acquire_now(demand)? {
            return Ok(Step::Leased(lease, resource));
        }
        let begin_ns = clock::now_ns();
        self.refuse_hopeless(demand.priority, deadline)?;
        self.note_waiting_begins();
        // In the queue it is nobody's: what a thread waits for, others on it do not.
        let nobody = Demand { caller: Caller::UNKNOWN, ..demand };
        let waiter = self.begin_wait(Sleeper::Host(bell), nobody, 1)?;
        let number = next_number();
        let patience = self.patience(&waiter, deadline);
        self.go_on_with(number, Turn { waiter, demand, deadline, patience, begin_ns }, false)
    }

    /// Goes on with one that waits; nothing when there is none of that number. It ends when it is cancelled.
    pub fn continue_turn(&self, number: u64, me: Caller, is_cancelled: bool) -> Option<Result<Step, AcquireError>> {
        let mut turn = self.turns.waiting.lock().remove(&number)?;
        turn.demand = Demand { caller: me, borrower: me.number(), ..turn.demand };
        Some(self.go_on_with(number, turn, is_cancelled))
    }

    /// In a pool that was quarantined nobody can go on with a turn, and what it was handed goes with the pool.
    pub(super) fn end_refused_turns(&self) {
        if self.is(QUARANTINED) {
            let refused = std::mem::take(&mut *self.turns.waiting.lock());
            refused.into_values().for_each(|turn| self.abandon(&turn.waiter));
        }
    }

    fn go_on_with(&self, number: u64, mut turn: Turn, is_cancelled: bool) -> Result<Step, AcquireError> {
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
            let mut entered = None;
            let mut wait = || entered = Some(self.wait_again(&turn.waiter));
            let leased = self
                .conclude(&turn.waiter, end)
                .and_then(|grants| grants.first().map_or(Ok(None), |grant| self.lease(*grant, turn.demand, &mut wait)));
            match leased {
                // It was not fit any more.
                Ok(None) => match entered.unwrap_or_else(|| self.wait_again(&turn.waiter)) {
                    Ok(again) => turn.waiter = again,
                    Err(no_memory) => break Err(no_memory.into()),
                },
                Ok(Some((lease, resource))) => break Ok(Step::Leased(lease, resource)),
                Err(error) => break Err(error),
            }
        };
        self.counters.waits.note(clock::now_ns().saturating_sub(turn.begin_ns));
        leased
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
