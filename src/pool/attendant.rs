//! Acquires that hold no thread up: they wait in the queue as callers do, and the pool's attendant, one thread, does for
//! them what a caller would do itself (validate, create, give up in time) and tells their host.

use super::barging::Patience;
use super::demand::Demand;
use super::pool::Pool;
use super::slots::{Lease, Resource};
use super::waiters::{Sleeper, Waiter};
use super::waiting::{AcquireError, Ended, Waited, next_number};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback;
use crate::base::cancel::{self, WaitEnd};
use crate::base::clock::{self, Deadline};
use crate::base::panics;
use crate::base::park::Parker;
use crate::base::thread::{self, Caller};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::*};
use std::sync::mpsc;
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
    patience: Option<Patience>,
    hearer: Option<Hearer>,
}

#[derive(Default)]
struct PendingList {
    waiting: Vec<Pending>,
    /// Those whose wait has ended, for the attendant to look at.
    ended: VecDeque<(Pending, Result<Waited, WaitEnd>)>,
    /// Those who are to insist. There is room for all that wait.
    impatient: Vec<Arc<Waiter>>,
    /// The one that the attendant has in its hands; 0: none.
    looked_at: u64,
    /// Somebody wanted to cancel that one: it does not wait again.
    is_given_up: bool,
}

#[derive(Default)]
pub(super) struct Attendant {
    pending: Mutex<PendingList>,
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

impl PendingList {
    /// Room for one more, wherever it is.
    fn reserve_one(&mut self) -> Result<(), OutOfMemory> {
        alloc::try_reserve_one(&mut self.waiting)?;
        let count = self.waiting.len() + 1;
        let bytes = (count * size_of::<(Pending, Result<Waited, WaitEnd>)>()) as u64;
        let refused = |_| OutOfMemory { bytes };
        self.ended.try_reserve(count).map_err(refused)?;
        self.impatient.try_reserve(count).map_err(refused)
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
        if let Some(place) = pending.waiting.iter().position(|other| other.number == number) {
            return Some(pending.waiting.swap_remove(place));
        }
        if let Some(place) = pending.ended.iter().position(|(other, _)| other.number == number) {
            return pending.ended.remove(place).map(|(ended, _)| ended);
        }
        pending.is_given_up |= number != 0 && number == pending.looked_at;
        None
    }

    fn next_impatient(&self) -> Option<Arc<Waiter>> {
        self.pending.lock().impatient.pop()
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
        let demand = Demand { caller: demand.caller.elsewhere(), ..demand };
        self.note_waiting_begins();
        let parker = self.attend()?;
        let waiter = self.begin_wait(Sleeper::Thread(parker), demand, 1)?;
        let number = next_number();
        let mut pending = self.attendant.pending.lock();
        // Also for what becomes of it, so that it is told whatever happens.
        let room = pending.reserve_one().and_then(|()| self.reserve_outcomes(&pending));
        if let Err(error) = room {
            drop(pending);
            self.abandon(&waiter);
            return Err(error.into());
        }
        let patience = self.patience(&waiter, deadline);
        pending.waiting.push(Pending { number, waiter, demand, deadline, patience, hearer });
        drop(pending);
        self.serve();
        self.creators.ring();
        // It may have been served, or have to look at another time than before.
        self.attendant.ring();
        Ok(Begun::Later(number))
    }

    /// Ends an acquire before it was told; false when it was, or is being told now.
    pub fn cancel_acquire(&self, number: u64) -> bool {
        let Some(Pending { waiter, .. }) = self.attendant.take(number) else { return false };
        self.abandon(&waiter);
        true
    }

    /// Leaves the queue; what it was handed meanwhile is given back.
    pub(super) fn abandon(&self, waiter: &Arc<Waiter>) {
        if let Ok(grants) = self.conclude(waiter, Err(WaitEnd::Cancelled)) {
            grants.into_iter().for_each(|grant| self.give_back(grant, waiter.want.priority));
        }
    }

    /// Room for what becomes of every acquire that is on its way, and of one more.
    fn reserve_outcomes(&self, pending: &PendingList) -> Result<(), OutOfMemory> {
        // One may be in the attendant's hands.
        let count = pending.waiting.len() + pending.ended.len() + 2;
        let mut done = self.attendant.done.lock();
        let bytes = (count * size_of::<Outcome>()) as u64;
        done.outcomes.try_reserve(count).map_err(|_| OutOfMemory { bytes })
    }

    fn tell_acquired(&self, hearer: Option<Hearer>, number: u64, outcome: Result<(Lease, Resource), AcquireError>) {
        let outcome = Outcome { number, leased: outcome.map_err(|error| self.factory.status_of(error)) };
        let Some(hearer) = hearer else {
            let mut done = self.attendant.done.lock();
            done.outcomes.push_back(outcome);
            return done.signal();
        };
        callback::run(self.owner, || self.factory.acquired(hearer, outcome));
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

    /// After the attendant has ended: what nobody took goes back. The event stays readable, for one who waits for it.
    pub(super) fn give_back_acquired(&self) {
        loop {
            let mut done = self.attendant.done.lock();
            done.signal();
            let Some(outcome) = done.outcomes.pop_front() else { return };
            drop(done);
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
            let (tell, told) = mpsc::sync_channel(1);
            let mine = self.clone();
            let started = thread::spawn("pool", move || attend(&mine, &tell))?;
            // Without memory for one it ends at once, and its side of the channel with it.
            let parker: &'static Parker = told.recv().map_err(|_| OutOfMemory { bytes: size_of::<Parker>() as u64 })?;
            attendant.parker.store((&raw const *parker).cast_mut(), SeqCst);
            *thread = Some(started);
        }
        drop(thread);
        // SAFETY: parkers are never freed.
        unsafe { attendant.parker.load(SeqCst).as_ref() }.ok_or_else(|| OutOfMemory { bytes: 0 }.into())
    }
}

/// The life of the attendant. It tells its parker to the one who started it.
fn attend(pool: &Pool, told: &mpsc::SyncSender<&'static Parker>) {
    let Ok(parker) = cancel::current_parker() else { return };
    // Refused only where nobody listens.
    let _ = told.send(parker);
    while !pool.attendant.stop.load(SeqCst) {
        let next = panics::catch(|| look(pool)).unwrap_or_else(|caught| {
            pool.quarantine("attendant", caught);
            Deadline::NOW
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
    while find_ended(pool) {
        tell_ended(pool);
    }
    let pending = pool.attendant.pending.lock();
    let next_look = |pending: &Pending| pending.patience.as_ref().map_or(pending.deadline, Patience::next_look);
    let deadlines = pending.waiting.iter().map(next_look);
    deadlines.min().map_or(Deadline::NEVER, |first| first.min(pool.next_attempt()))
}

fn tell_ended(pool: &Pool) {
    while let Some((pending, end)) = take_ended(pool) {
        let (number, hearer, since_ns) = (pending.number, pending.hearer, pending.waiter.want.since_ns);
        let outcome = panics::catch(|| attend_to(pool, pending, end)).unwrap_or_else(|caught| {
            pool.quarantine("attendant", caught);
            Some(Err(AcquireError::Panicked))
        });
        if let Some(outcome) = outcome {
            pool.counters.waits.note(clock::now_ns().saturating_sub(since_ns));
            pool.tell_acquired(hearer, number, outcome);
        }
        pool.attendant.pending.lock().looked_at = 0;
    }
}

/// What became of one whose wait has ended. Nothing when it waits again.
fn attend_to(
    pool: &Pool,
    pending: Pending,
    end: Result<Waited, WaitEnd>,
) -> Option<Result<(Lease, Resource), AcquireError>> {
    let demand = pending.demand;
    let ended = pool.end_wait(&pending.waiter, end, |grants, wait| pool.lease_first(grants, demand, wait));
    match ended {
        Ok(Ended::Leased(leased)) => Some(Ok(leased)),
        Ok(Ended::WaitsAgain(waiter)) => put_back(pool, Pending { waiter, ..pending }).err().map(Err),
        Err(error) => Some(Err(error)),
    }
}

fn put_back(pool: &Pool, again: Pending) -> Result<(), AcquireError> {
    let mut pending = pool.attendant.pending.lock();
    let room = pending.reserve_one();
    if room.is_err() || pending.is_given_up {
        drop(pending);
        pool.abandon(&again.waiter);
        room?;
        return Err(pool.waited_in_vain(again.waiter.want.thread, WaitEnd::Cancelled));
    }
    pending.waiting.push(again);
    drop(pending);
    pool.serve();
    pool.creators.ring();
    Ok(())
}

/// Looks at all that wait, each once, and tells whether the wait of any has ended.
fn find_ended(pool: &Pool) -> bool {
    end_patience(pool);
    pool.serve();
    let mut pending = pool.attendant.pending.lock();
    let PendingList { waiting, ended, .. } = &mut *pending;
    let mut place = 0;
    while let Some(next) = waiting.get(place) {
        let end = match pool.end_of_wait(&next.waiter) {
            Some(waited) => Some(Ok(waited)),
            None if next.patience.is_some() => None,
            None => next.deadline.has_passed().then_some(Err(WaitEnd::TimedOut)),
        };
        match end {
            Some(end) => ended.push_back((waiting.swap_remove(place), end)),
            None => place += 1,
        }
    }
    // In the order of their coming, which the removals have disturbed.
    ended.make_contiguous().sort_unstable_by_key(|(pending, _)| pending.number);
    !ended.is_empty()
}

/// Lets those insist whose patience has ended. The pockets are shut once for all of them, and without the lock.
fn end_patience(pool: &Pool) {
    let mut pending = pool.attendant.pending.lock();
    let PendingList { waiting, impatient, .. } = &mut *pending;
    let lost = waiting.iter_mut().filter_map(|next| pool.has_lost(&mut next.patience).then(|| next.waiter.clone()));
    impatient.extend(lost);
    if impatient.is_empty() {
        return;
    }
    drop(pending);
    while let Some(waiter) = pool.attendant.next_impatient() {
        pool.waiters.insist(&waiter);
    }
    pool.shut_for_now();
    // They may all have been cancelled meanwhile.
    pool.reopen();
}

fn take_ended(pool: &Pool) -> Option<(Pending, Result<Waited, WaitEnd>)> {
    let mut pending = pool.attendant.pending.lock();
    let (taken, end) = pending.ended.pop_front()?;
    (pending.looked_at, pending.is_given_up) = (taken.number, false);
    Some((taken, end))
}
