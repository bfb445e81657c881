//! An acquire that cannot be had at once: the wait for its turn, and why it ends in vain.

use super::barging::Patience;
use super::borrowers::Holders;
use super::demand::Demand;
use super::numbers::PoolStats;
use super::pool::{CLOSED, PAUSED, Pool, QUARANTINED};
use super::preparing::Prepared;
use super::slots::{Lease, Resource};
use super::waiters::{Grant, Sleeper, Verdict, Waiter, Want};
use crate::base::alloc::OutOfMemory;
use crate::base::back_off;
use crate::base::callback::CallbackFailure;
use crate::base::cancel::{self, Cancel, WaitEnd};
use crate::base::clock::{self, Deadline};
use crate::base::priority::Priority;
use crate::base::thread::SpawnError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    #[error("the pool is closing: it leases nothing any more")]
    Closed,
    #[error("the pool is paused: it leases nothing until it is resumed")]
    Paused,
    #[error("all {max_size} resources (max_size) are leased; release one, or raise it")]
    Exhausted { max_size: u32 },
    #[error("no resource is idle; a caller that waits gets the next that comes back or is made")]
    NoneIdle,
    #[error("count is {count}, but the pool has at most {max_size} resources (max_size)")]
    TooMany { count: u32, max_size: u32 },
    #[error("no resource could be made: {0}")]
    CreateFailed(CallbackFailure),
    #[error(
        "no resource can be made: {failures} attempts in a row failed, the next one is made in {} ms{failure}",
        .pause_ns.div_ceil(1_000_000)
    )]
    BreakerOpen { failures: u32, pause_ns: u64, failure: LastFailure },
    #[error(
        "{end}: {in_use} resources are in use, {idle} idle, {waiting} callers wait, max_size is {max_size}{paused}{holders}{failure}"
    )]
    Wait {
        end: WaitEnd,
        in_use: u64,
        idle: u64,
        waiting: u64,
        max_size: u64,
        paused: &'static str,
        holders: Holders,
        failure: LastFailure,
    },
    #[error(
        "the pool is overloaded: {waiting} callers wait, and at the present rate that takes {} ms, longer than the {} ms \
         that there are",
        .expected_ns / 1_000_000, .left_ns / 1_000_000
    )]
    Hopeless { waiting: u32, expected_ns: u64, left_ns: u64 },
    #[error(
        "the pool is overloaded: for a while nobody has waited less than {} ms (target_wait_ns), and this caller has for {} ms",
        .target_ns / 1_000_000, .waited_ns / 1_000_000
    )]
    TooLate { target_ns: u64, waited_ns: u64 },
    #[error("the pool is quarantined after a panic: only destroy is left")]
    Quarantined,
    #[error("the library, or a callback, panicked while the resource was made ready")]
    Panicked,
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// Told with a wait that ended in vain, because it is often the reason.
#[derive(Debug)]
pub struct LastFailure(pub(super) Option<CallbackFailure>);

impl std::fmt::Display for LastFailure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|failure| write!(formatter, "; the last create failed: {failure}"))
    }
}

/// Names a wait that is no thread's, among those of all pools, so that none is taken for another. Never 0.
pub(super) fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Relaxed) + 1
}

/// What became of a wait that had all that it wanted.
pub(super) enum Ended<R> {
    Leased(R),
    /// Something was not fit any more, and it waits again, in its old place.
    WaitsAgain(Arc<Waiter>),
}

/// How a look at the queue ended.
#[derive(Clone, Copy)]
pub(super) enum Waited {
    ToTheEnd,
    /// Nothing will come.
    Hopelessly,
    /// Until there is something to look at.
    LongEnough,
}

impl Pool {
    /// Leases the next resource that comes back or is made, after those who came first.
    #[cold]
    pub fn acquire_later(
        &self,
        demand: Demand,
        deadline: Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<(Lease, Resource), AcquireError> {
        self.wait_and_lease(demand, 1, deadline, cancel, |grants, wait| self.lease_first(grants, demand, wait))
    }

    /// Waits for so many until `lease` makes something of them; see [`end_wait`](Self::end_wait).
    pub(super) fn wait_and_lease<R>(
        &self,
        demand: Demand,
        wants: u32,
        deadline: Deadline,
        cancel: Option<&Cancel>,
        mut lease: impl FnMut(&[Grant], &mut dyn FnMut()) -> Result<Option<R>, AcquireError>,
    ) -> Result<R, AcquireError> {
        let begin_ns = clock::now_ns();
        self.refuse_hopeless(demand.priority, deadline)?;
        self.note_waiting_begins();
        let mut waiter = self.begin_wait(Sleeper::Thread(cancel::current_parker()?), demand, wants)?;
        let leased = loop {
            let end = self.wait_in_queue(&waiter, deadline, cancel);
            match self.end_wait(&waiter, end, &mut lease) {
                Ok(Ended::WaitsAgain(again)) => waiter = again,
                Ok(Ended::Leased(leased)) => break Ok(leased),
                Err(error) => break Err(error),
            }
        };
        self.counters.waits.note(clock::now_ns().saturating_sub(begin_ns));
        leased
    }

    pub(super) fn refuse_hopeless(&self, priority: Priority, deadline: Deadline) -> Result<(), AcquireError> {
        if !self.overload.refuses_hopeless() {
            return Ok(());
        }
        let (waiting, left_ns) = (self.waiters.count(), deadline.remaining_ns());
        match self.overload.hopeless_ns(self.waiters.wanted_before(priority), left_ns) {
            Some(expected_ns) => Err(AcquireError::Hopeless { waiting, expected_ns, left_ns: left_ns.unwrap_or(0) }),
            None => Ok(()),
        }
    }

    /// Waits until there is all that the waiter wants, or no reason to wait on.
    fn wait_in_queue(
        &self,
        waiter: &Arc<Waiter>,
        deadline: Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<Waited, WaitEnd> {
        let mut patience = self.patience(waiter, deadline);
        let mut may_look = !cancel.is_some_and(Cancel::is_signalled) && !deadline.has_passed();
        loop {
            self.end_patience(&mut patience, waiter);
            self.serve();
            self.creators.ring();
            if std::mem::take(&mut may_look) && self.end_of_wait(waiter).is_none() {
                match &mut patience {
                    Some(patience) => patience.look_twice(self),
                    None => self.looks.look_for(|| waiter.verdict().is_some()),
                }
            }
            // Nobody comes by when the breaker's pause is over, so the waiters look themselves.
            let until = patience.as_ref().map_or(deadline, Patience::next_look).min(self.next_attempt());
            let ready =
                || self.end_of_wait(waiter).or_else(|| (self.next_attempt() < until).then_some(Waited::LongEnough));
            match cancel::wait_until(until, cancel, ready) {
                Ok(Waited::LongEnough) => {}
                Err(WaitEnd::TimedOut) if patience.is_some() || !deadline.has_passed() => {}
                end => return end,
            }
        }
    }

    /// Ends a wait with what `lease` makes of the grants. It gives nothing when one was not fit any more, and may have called
    /// what it was given to wait on before it put anything down.
    pub(super) fn end_wait<R>(
        &self,
        waiter: &Arc<Waiter>,
        end: Result<Waited, WaitEnd>,
        lease: impl FnOnce(&[Grant], &mut dyn FnMut()) -> Result<Option<R>, AcquireError>,
    ) -> Result<Ended<R>, AcquireError> {
        let grants = self.conclude(waiter, end)?;
        let mut entered = None;
        match lease(&grants, &mut || entered = Some(self.wait_again(waiter)))? {
            Some(leased) => Ok(Ended::Leased(leased)),
            None => Ok(Ended::WaitsAgain(entered.unwrap_or_else(|| self.wait_again(waiter))?)),
        }
    }

    /// What a caller that waits for one makes of its grants.
    pub(super) fn lease_first(
        &self,
        grants: &[Grant],
        demand: Demand,
        wait: &mut dyn FnMut(),
    ) -> Result<Option<(Lease, Resource)>, AcquireError> {
        grants.first().map_or(Ok(None), |grant| self.lease(*grant, demand, wait))
    }

    pub(super) fn prepare_first(
        &self,
        grants: &[Grant],
        demand: Demand,
        wait: &mut dyn FnMut(),
    ) -> Result<Option<Prepared>, AcquireError> {
        grants.first().map_or(Ok(None), |grant| self.prepare(*grant, demand, wait))
    }

    /// Enters the queue. The caller serves afterwards.
    pub(super) fn begin_wait(&self, sleeper: Sleeper, demand: Demand, count: u32) -> Result<Arc<Waiter>, OutOfMemory> {
        let Demand { caller, priority, tag, .. } = demand;
        let (thread, node) = (caller.number(), self.idle.here());
        let insists = !self.barging.is_allowed();
        let want = Want { count, priority, tag, thread, node, insists, since_ns: clock::now_ns() };
        let waiter = self.waiters.enter(sleeper, want)?;
        self.recall_for(&waiter);
        Ok(waiter)
    }

    /// Enters it once more, in its old place.
    fn wait_again(&self, waiter: &Waiter) -> Result<Arc<Waiter>, OutOfMemory> {
        let again = self.waiters.enter_again(waiter)?;
        self.recall_for(&again);
        Ok(again)
    }

    /// How a wait is over, when it is without its time being up.
    pub(super) fn end_of_wait(&self, waiter: &Waiter) -> Option<Waited> {
        if waiter.verdict().is_some() {
            return Some(Waited::ToTheEnd);
        }
        let is_hopeless = self.is(CLOSED | QUARANTINED)
            || waiter.want.count > self.most_for(waiter.want.priority)
            || (self.has_nothing() && !waiter.has_some());
        is_hopeless.then_some(Waited::Hopelessly)
    }

    /// Leaves the queue, with all that was wanted or with the reason why not.
    pub(super) fn conclude(
        &self,
        waiter: &Arc<Waiter>,
        end: Result<Waited, WaitEnd>,
    ) -> Result<Vec<Grant>, AcquireError> {
        let want = waiter.want;
        let grants = self.waiters.leave(waiter, self);
        self.reopen();
        // What came at the last moment is preferred over the end of the wait.
        if grants.len() == want.count as usize && !self.is(CLOSED | QUARANTINED) {
            return Ok(grants);
        }
        grants.into_iter().for_each(|grant| self.give_back(grant, want.priority));
        if !self.waiters.is_empty() {
            // One behind it may want less, and be served with what was not enough for it.
            self.serve();
        }
        Err(match end {
            _ if self.is(CLOSED) => AcquireError::Closed,
            _ if self.is(QUARANTINED) => AcquireError::Quarantined,
            Ok(Waited::ToTheEnd) if waiter.verdict() == Some(Verdict::Refused) => AcquireError::TooLate {
                target_ns: self.config.target_wait_ns,
                waited_ns: clock::now_ns().saturating_sub(waiter.want.since_ns),
            },
            Ok(Waited::ToTheEnd) => self.create_failed(),
            Ok(_) if want.count > self.most_for(want.priority) => {
                AcquireError::TooMany { count: want.count, max_size: self.most_for(want.priority) }
            }
            Ok(_) => self.breaker_open(),
            Err(end) => self.waited_in_vain(want.thread, end),
        })
    }

    pub(super) fn waited_in_vain(&self, thread: u32, end: WaitEnd) -> AcquireError {
        if end == WaitEnd::TimedOut {
            self.counters.timeouts.fetch_add(1, Relaxed);
        }
        let PoolStats { in_use, idle, waiting, max_size, .. } = self.stats();
        let paused = if self.is(PAUSED) { "; the pool is paused" } else { "" };
        let failure = LastFailure(self.breaker.last_failure());
        let holders = self.holders(thread);
        AcquireError::Wait { end, in_use, idle, waiting, max_size, paused, holders, failure }
    }

    /// The most that callers of that priority may have.
    fn most_for(&self, priority: Priority) -> u32 {
        self.reserve.most(priority, self.limits.max_size())
    }

    /// It has no resource, and makes none for now.
    pub(super) fn has_nothing(&self) -> bool {
        self.size() == 0 && !self.is(PAUSED) && self.breaker.pause_ns().is_some()
    }

    pub(super) fn breaker_open(&self) -> AcquireError {
        AcquireError::BreakerOpen {
            failures: self.breaker.failures(),
            pause_ns: self.breaker.pause_ns().unwrap_or(0),
            failure: LastFailure(self.breaker.last_failure()),
        }
    }

    fn create_failed(&self) -> AcquireError {
        self.breaker.last_failure().map_or(AcquireError::Closed, AcquireError::CreateFailed)
    }

    /// When a caller that waits looks again, because it may make a resource then although the breaker is open.
    pub(super) fn next_attempt(&self) -> Deadline {
        if self.config.creator_threads > 0 || !self.breaker.is_open() || self.is(PAUSED) {
            return Deadline::NEVER;
        }
        let now_ns = clock::now_ns();
        let later_ns = now_ns.saturating_add(back_off::FIRST_NS);
        let not_before_ns = self.breaker.not_before_ns();
        // When the pause is over already, another one may have had the attempt.
        Deadline::at(if not_before_ns > now_ns { not_before_ns.min(later_ns) } else { later_ns })
    }
}
