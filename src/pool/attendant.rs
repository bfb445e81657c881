//! Acquires that hold no thread up: they wait in the queue as callers do, and the pool's attendant, one thread, does for
//! them what a caller would do itself (validate, create, give up in time) and tells their host.

use super::demand::Demand;
use super::pool::Pool;
use super::slots::{Lease, Resource};
use super::waiters::Waiter;
use super::waiting::{AcquireError, Waited};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback;
use crate::base::cancel::{self, WaitEnd};
use crate::base::clock::Deadline;
use crate::base::park::Parker;
use crate::base::thread::{self, Caller};
use crate::base::{handles, log, panics};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::*};
use std::thread::JoinHandle;

/// A function of the host that takes what was acquired. Only the [`Factory`](super::Factory) knows its type.
#[derive(Clone, Copy, Debug)]
pub struct Acquired(pub *const ());

/// Who hears of an acquire: the function and its user data.
#[derive(Clone, Copy, Debug)]
pub struct Hearer {
    pub acquired: Acquired,
    pub user_data: *mut c_void,
}

// SAFETY: the host's function and its pointer for it; the header says on which thread it is called.
unsafe impl Send for Hearer {}

/// What became of an acquire; a failure as its status.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub number: u64,
    pub leased: Result<(Lease, Resource), i32>,
}

// SAFETY: the resource is the host's, and only handed back to it.
unsafe impl Send for Outcome {}

/// An acquire that has just begun.
pub enum Begun {
    AtOnce(Lease, Resource),
    /// The number by which it can be cancelled; never 0.
    Later(u64),
}

struct Pending {
    number: u64,
    waiter: Arc<Waiter>,
    demand: Demand,
    deadline: Deadline,
    hearer: Option<Hearer>,
}

#[derive(Default)]
pub(super) struct Attendant {
    pending: Mutex<Vec<Pending>>,
    last_number: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
    parker: AtomicPtr<Parker>,
    stop: AtomicBool,
    done: Mutex<Done>,
}

/// What nobody hears of and somebody takes.
#[derive(Default)]
struct Done {
    outcomes: VecDeque<Outcome>,
    /// Can be read while there is something to take.
    event: Option<File>,
}

impl Done {
    /// One word is enough: what is there stays readable until it is read.
    fn signal(&self) {
        if let Some(mut event) = self.event.as_ref() {
            // Refused only where it is readable beyond counting.
            let _ = event.write(&1u64.to_ne_bytes());
        }
    }
}

impl Attendant {
    fn ring(&self) {
        // SAFETY: parkers are never freed.
        if let Some(parker) = unsafe { self.parker.load(SeqCst).as_ref() } {
            parker.unpark();
        }
    }

    /// After the pool was closed, when all that was pending has ended.
    pub fn stop(&self) {
        self.stop.store(true, SeqCst);
        self.ring();
        if let Some(thread) = self.thread.lock().take() {
            // A panic in it was caught and told inside it.
            drop(thread.join());
        }
    }

    fn take(&self, number: u64) -> Option<Pending> {
        let mut pending = self.pending.lock();
        let place = pending.iter().position(|other| other.number == number)?;
        Some(pending.swap_remove(place))
    }
}

impl Pool {
    /// Leases what is to be had now, or has the host told when it is.
    pub fn begin_acquire(
        self: &Arc<Self>,
        demand: Demand,
        deadline: Deadline,
        hearer: Option<Hearer>,
    ) -> Result<Begun, AcquireError> {
        if let Some((lease, resource)) = self.acquire_now(demand)? {
            return Ok(Begun::AtOnce(lease, resource));
        }
        self.refuse_hopeless(demand.priority, deadline)?;
        let parker = self.attend()?;
        let waiter = self.begin_wait(parker, demand, 1)?;
        let number = self.attendant.last_number.fetch_add(1, Relaxed) + 1;
        let mut pending = self.attendant.pending.lock();
        if let Err(error) = alloc::try_reserve_one(&mut pending) {
            drop(pending);
            self.abandon(&waiter, demand);
            return Err(error.into());
        }
        pending.push(Pending { number, waiter, demand, deadline, hearer });
        drop(pending);
        self.serve();
        self.creators.ring();
        // It may have been served, or have to look at another time than before.
        self.attendant.ring();
        Ok(Begun::Later(number))
    }

    /// Ends an acquire before it was told; false when it was, or is being told now.
    pub fn cancel_acquire(&self, number: u64) -> bool {
        let Some(Pending { waiter, demand, .. }) = self.attendant.take(number) else { return false };
        self.abandon(&waiter, demand);
        true
    }

    /// Leaves the queue; what it was handed meanwhile is given back.
    fn abandon(&self, waiter: &Arc<Waiter>, demand: Demand) {
        if let Ok(grants) = self.conclude(waiter, Err(WaitEnd::Cancelled)) {
            grants.into_iter().for_each(|grant| self.give_back(grant, demand.priority));
        }
    }

    fn tell_acquired(&self, hearer: Option<Hearer>, number: u64, outcome: Result<(Lease, Resource), AcquireError>) {
        let Some(hearer) = hearer else {
            let outcome = Outcome { number, leased: outcome.map_err(|error| self.factory.status_of(error)) };
            let mut done = self.attendant.done.lock();
            if done.outcomes.try_reserve(1).is_ok() {
                done.outcomes.push_back(outcome);
                return done.signal();
            }
            drop(done);
            // There is no memory to keep it for who asks.
            if let Ok((lease, _)) = outcome.leased {
                let _ = self.release(lease, Caller::UNKNOWN);
            }
            return;
        };
        callback::run(self.owner, || {
            let leased = outcome.map_err(|error| self.factory.status_of(error));
            self.factory.acquired(hearer, Outcome { number, leased });
        });
    }

    /// What was acquired since, or failed to be, for which there is no hearer.
    pub fn take_acquired(&self) -> Option<Outcome> {
        let mut done = self.attendant.done.lock();
        let outcome = done.outcomes.pop_front();
        if done.outcomes.is_empty()
            && let Some(mut event) = done.event.as_ref()
        {
            // Refused when there was nothing to read.
            let _ = event.read(&mut [0; 8]);
        }
        outcome
    }

    /// A descriptor that can be read while there is something to take. It is the pool's.
    pub fn event(&self) -> std::io::Result<i32> {
        let mut done = self.attendant.done.lock();
        if let Some(event) = &done.event {
            return Ok(event.as_raw_fd());
        }
        // SAFETY: eventfd takes plain numbers.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if descriptor < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, and nobody else's.
        done.event = Some(unsafe { File::from_raw_fd(descriptor) });
        if !done.outcomes.is_empty() {
            done.signal();
        }
        Ok(descriptor)
    }

    /// After the attendant has ended: what nobody took goes back.
    pub(super) fn give_back_acquired(&self) {
        while let Some(outcome) = self.take_acquired() {
            if let Ok((lease, _)) = outcome.leased {
                let _ = self.release(lease, Caller::UNKNOWN);
            }
        }
    }

    /// The parker of the attendant, which is started when it is not there yet.
    fn attend(self: &Arc<Self>) -> Result<&'static Parker, AcquireError> {
        let attendant = &self.attendant;
        let mut thread = attendant.thread.lock();
        if thread.is_none() {
            if attendant.stop.load(SeqCst) {
                return Err(AcquireError::Closed);
            }
            let (told, parker) = (Arc::new(Mutex::new(None)), cancel::current_parker()?);
            let (mine, answer) = (self.clone(), told.clone());
            *thread = Some(thread::spawn("pool", move || attend(&mine, &answer, parker))?);
            while told.lock().is_none() {
                parker.park(Deadline::NEVER);
            }
            let its = told.lock().take().flatten();
            if let Some(its) = its {
                attendant.parker.store((&raw const *its).cast_mut(), SeqCst);
            } else {
                *thread = None;
            }
        }
        drop(thread);
        // SAFETY: parkers are never freed.
        unsafe { attendant.parker.load(SeqCst).as_ref() }.ok_or_else(|| OutOfMemory { bytes: 0 }.into())
    }
}

/// The life of the attendant. It tells its parker to the one who started it.
fn attend(pool: &Pool, told: &Mutex<Option<Option<&'static Parker>>>, starter: &'static Parker) {
    let parker = cancel::current_parker().ok();
    *told.lock() = Some(parker);
    starter.unpark();
    let Some(parker) = parker else { return };
    while !pool.attendant.stop.load(SeqCst) {
        let next = panics::catch(|| look(pool)).unwrap_or_else(|caught| {
            log::warn(format_args!("{}: the attendant panicked: {}", pool.config.name, caught.message()));
            handles::quarantine(pool.owner);
            Deadline::after(1_000_000_000)
        });
        if !pool.attendant.stop.load(SeqCst) {
            parker.park(next);
        }
    }
    // What came in before the stop was seen.
    let _ = panics::catch(|| look(pool));
}

/// Ends every acquire that can be ended; tells when to look again.
fn look(pool: &Pool) -> Deadline {
    while let Some((pending, end)) = take_ended(pool) {
        let Pending { waiter, demand, deadline, hearer, number } = pending;
        let mut entered = None;
        let mut wait = || entered = Some(pool.waiters.enter_again(&waiter));
        let leased = pool
            .conclude(&waiter, end)
            .and_then(|grants| grants.first().map_or(Ok(None), |grant| pool.lease(*grant, demand, &mut wait)));
        let outcome = match leased {
            Ok(Some(leased)) => Ok(leased),
            // It was not fit any more: it waits again, as a caller would.
            Ok(None) => {
                let again = entered.unwrap_or_else(|| pool.waiters.enter_again(&waiter));
                let pending = again.map(|waiter| Pending { number, waiter, demand, deadline, hearer });
                match pending.map_err(AcquireError::from).and_then(|pending| wait_again(pool, pending)) {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        };
        pool.tell_acquired(hearer, number, outcome);
    }
    let pending = pool.attendant.pending.lock();
    let deadlines = pending.iter().map(|pending| pending.deadline);
    deadlines.min().map_or(Deadline::NEVER, |first| first.min(pool.next_attempt()))
}

fn wait_again(pool: &Pool, again: Pending) -> Result<(), AcquireError> {
    pool.recall();
    let mut pending = pool.attendant.pending.lock();
    if let Err(error) = alloc::try_reserve_one(&mut pending) {
        drop(pending);
        pool.abandon(&again.waiter, again.demand);
        return Err(error.into());
    }
    pending.push(again);
    drop(pending);
    pool.serve();
    pool.creators.ring();
    Ok(())
}

fn take_ended(pool: &Pool) -> Option<(Pending, Result<Waited, WaitEnd>)> {
    pool.serve();
    let mut pending = pool.attendant.pending.lock();
    let end_of = |pending: &Pending| match pool.end_of_wait(&pending.waiter) {
        Some(waited) => Some(Ok(waited)),
        None => pending.deadline.has_passed().then_some(Err(WaitEnd::TimedOut)),
    };
    let (place, end) = pending.iter().enumerate().find_map(|(place, pending)| Some((place, end_of(pending)?)))?;
    Some((pending.swap_remove(place), end))
}
