//! A crew: the workers of one model, between a least and a greatest number of them.
//!
//! The life of a worker: started → loading → loaded (serves) → unloading → gone; a load that fails goes back to
//! loading after a while when the worker is one of the least number, and to gone otherwise. A loaded worker above the
//! least number goes when it has had nothing to do for long, or is evicted when it has nothing to do and memory is short.

use crate::base::alloc::{self, OutOfMemory};
use crate::base::back_off::BackOff;
use crate::base::callback::{CallbackFailure, Refusal};
use crate::base::cancel::{Cancel, WaitEnd};
use crate::base::clock::{self, Deadline};
use crate::base::text::Text;
use crate::base::thread::{self, SpawnError};
use crate::base::watchers::Watchers;
use crate::base::{Name, log, panics};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use std::thread::JoinHandle;

/// What the workers of a crew do.
pub trait Duty: Send + Sync + 'static {
    type State;

    fn crew(&self) -> &Crew;
    /// Makes the state that the worker keeps warm.
    fn load(&self, worker: u32) -> Result<Self::State, CallbackFailure>;
    /// No worker is loaded, and the one that tried last failed.
    fn nobody_loaded(&self, failure: &CallbackFailure);
    /// Works until the crew stops or lets this worker go. `loaded_ns` is when its state was ready.
    fn serve(&self, worker: u32, state: &mut Self::State, loaded_ns: u64) -> Leave;
    fn unload(&self, state: Self::State);
    /// The worker is gone, and what it was charged for is free again.
    fn gone(&self, worker: u32);
    /// The crew has room for another one in its place.
    fn left_room(&self);
}

/// Why a loaded worker leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// [`Crew::try_retire`] let it go.
    Retired,
    /// [`Crew::try_evict`] let it go.
    Evicted,
    Stopped,
}

/// How many workers there are: at least `min` from the start, up to `max` when there is work for them.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub min: u32,
    pub max: u32,
}

/// Whether a crew may have one more worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    Now,
    /// A load has just failed: not before this moment.
    NotBefore(u64),
    /// It is full or stopping, or a worker is on its way in or out.
    No,
}

#[derive(Debug)]
pub struct Crew {
    name: Name,
    bounds: Bounds,
    stopping: AtomicBool,
    /// Workers that are not gone.
    alive: AtomicU32,
    loaded: AtomicU32,
    loads: AtomicU64,
    load_failures: AtomicU64,
    unloads: AtomicU64,
    /// How many were let go because memory is short, and how many of them have unloaded.
    evictions: AtomicU64,
    evicted: AtomicU64,
    /// No growth before this moment, because a load has just failed.
    grow_after_ns: AtomicU64,
    berths: Mutex<Berths>,
    changed: Watchers,
}

#[derive(Debug)]
struct Berths {
    /// One for each worker number.
    threads: Vec<Berth>,
    failure: Option<CallbackFailure>,
}

#[derive(Debug)]
enum Berth {
    Empty,
    Taken(JoinHandle<()>),
    /// The thread is at its end, or past it.
    Left(JoinHandle<()>),
    /// Taken by a thread whose handle is not here yet.
    Starting,
}

#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error("{0}")]
    LoadFailed(CallbackFailure),
    #[error("the workers are being stopped")]
    Stopping,
    #[error("a wait for the workers from inside one of their own callbacks, or the log's, would wait for itself")]
    InsideOwnCallback,
    #[error("{loaded} of {min} workers are loaded: {end}")]
    Wait { loaded: u32, min: u32, end: WaitEnd },
}

impl Crew {
    pub fn new(name: Name, bounds: Bounds) -> Result<Self, OutOfMemory> {
        let mut threads = alloc::try_vec(bounds.max as usize)?;
        threads.extend((0..bounds.max).map(|_| Berth::Empty));
        Ok(Self {
            name,
            bounds,
            stopping: AtomicBool::new(false),
            alive: AtomicU32::new(0),
            loaded: AtomicU32::new(0),
            loads: AtomicU64::new(0),
            load_failures: AtomicU64::new(0),
            unloads: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            grow_after_ns: AtomicU64::new(0),
            berths: Mutex::new(Berths { threads, failure: None }),
            changed: Watchers::default(),
        })
    }

    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub fn alive(&self) -> u32 {
        self.alive.load(SeqCst)
    }

    pub fn loaded(&self) -> u32 {
        self.loaded.load(SeqCst)
    }

    /// Workers whose state is not ready, those that wait to try again included.
    pub fn loading(&self) -> u32 {
        self.alive().saturating_sub(self.loaded())
    }

    pub fn loads(&self) -> u64 {
        self.loads.load(Relaxed)
    }

    pub fn load_failures(&self) -> u64 {
        self.load_failures.load(Acquire)
    }

    pub fn unloads(&self) -> u64 {
        self.unloads.load(Relaxed)
    }

    /// Workers that have unloaded because memory was short.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(SeqCst)
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(SeqCst)
    }

    /// Whether one more worker may be started.
    pub fn growth(&self) -> Growth {
        let after_ns = self.grow_after_ns.load(SeqCst);
        if self.is_stopping() || self.alive() >= self.bounds.max || self.loading() > 0 {
            Growth::No
        } else if clock::now_ns() < after_ns {
            Growth::NotBefore(after_ns)
        } else {
            Growth::Now
        }
    }

    pub fn is_full(&self) -> bool {
        self.alive.load(Relaxed) >= self.bounds.max
    }

    /// Lets a loaded worker go when more than the least number would remain.
    pub fn try_retire(&self) -> bool {
        self.loaded.fetch_update(SeqCst, SeqCst, |loaded| (loaded > self.bounds.min).then(|| loaded - 1)).is_ok()
    }

    /// Loaded workers above the least number.
    pub fn above_least(&self) -> u32 {
        self.loaded().saturating_sub(self.bounds.min)
    }

    /// [`Crew::try_retire`] because memory is short.
    pub fn try_evict(&self) -> bool {
        let lets_go = self.try_retire();
        if lets_go {
            self.evictions.fetch_add(1, SeqCst);
        }
        lets_go
    }

    /// Waits until those that were let go by [`Crew::try_evict`] so far have unloaded.
    pub fn wait_evicted(&self) {
        let evictions = self.evictions.load(SeqCst);
        let unloaded = || (self.evicted() >= evictions).then_some(());
        while self.changed.wait_until(Deadline::NEVER, None, unloaded).is_err() {
            // No memory to sleep properly: look again.
            std::thread::yield_now();
        }
    }

    /// Waits until the least number of workers is loaded.
    pub fn wait_ready(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), NotReady> {
        let ready = || {
            if self.is_stopping() {
                return Some(Err(NotReady::Stopping));
            }
            if self.loaded() >= self.bounds.min {
                return Some(Ok(()));
            }
            self.berths.lock().failure.map(|failure| Err(NotReady::LoadFailed(failure)))
        };
        self.changed
            .wait_until(deadline, cancel, ready)
            .unwrap_or_else(|end| Err(NotReady::Wait { loaded: self.loaded(), min: self.bounds.min, end }))
    }

    /// From now on workers leave as soon as they have finished what they do.
    pub fn stop(&self) {
        self.stopping.store(true, SeqCst);
        self.changed.wake_all();
    }

    /// Waits until every worker is gone, after [`Crew::stop`].
    pub fn join(&self) {
        loop {
            let next = self.berths.lock().threads.iter_mut().find_map(Berth::take_thread);
            match next {
                // A panic in the thread was caught and told inside it.
                Some(thread) => drop(thread.join()),
                None if self.alive() == 0 => return,
                // A start is under way on another thread: its handle appears in a moment.
                None => std::thread::yield_now(),
            }
        }
    }

    fn reserve_berth(&self) -> Option<u32> {
        let mut berths = self.berths.lock();
        if self.is_stopping() {
            return None;
        }
        let free = |berth: &Berth| matches!(berth, Berth::Empty | Berth::Left(_));
        let worker = berths.threads.iter().position(free)?;
        let berth = std::mem::replace(&mut berths.threads[worker], Berth::Starting);
        self.alive.fetch_add(1, SeqCst);
        drop(berths);
        if let Berth::Left(thread) = berth {
            drop(thread.join());
        }
        Some(worker as u32)
    }

    fn occupy(&self, worker: u32, berth: Berth) {
        if let Some(place) = self.berths.lock().threads.get_mut(worker as usize) {
            *place = berth;
        }
    }

    fn left(&self, worker: u32) {
        if let Some(berth) = self.berths.lock().threads.get_mut(worker as usize) {
            *berth = match std::mem::replace(berth, Berth::Empty) {
                Berth::Taken(thread) => Berth::Left(thread),
                other => other,
            };
        }
        self.alive.fetch_sub(1, SeqCst);
        self.changed.wake_all();
    }

    fn has_loaded(&self) {
        self.loads.fetch_add(1, Relaxed);
        self.berths.lock().failure = None;
        self.loaded.fetch_add(1, SeqCst);
        self.changed.wake_all();
    }

    fn has_failed(&self, failure: CallbackFailure, pause_ns: u64) {
        self.grow_after_ns.store(clock::now_ns().saturating_add(pause_ns), SeqCst);
        // Whoever reads the count finds the pause begun.
        self.load_failures.fetch_add(1, Release);
        self.berths.lock().failure = Some(failure);
        self.changed.wake_all();
    }

    /// Sleeps before the next attempt; a stop ends it early.
    fn pause(&self, pause_ns: u64) {
        let stopped = || self.is_stopping().then_some(());
        // Whether it slept to the end or was woken, the caller looks at the stop again.
        let _ = self.changed.wait_until(Deadline::after(pause_ns), None, stopped);
    }
}

impl Berth {
    fn take_thread(&mut self) -> Option<JoinHandle<()>> {
        match std::mem::replace(self, Berth::Empty) {
            Berth::Taken(thread) | Berth::Left(thread) => Some(thread),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// Starts one more worker, when the crew has room for one and is not stopping.
pub fn start<D: Duty>(duty: &Arc<D>) -> Result<bool, SpawnError> {
    let crew = duty.crew();
    let Some(worker) = crew.reserve_berth() else { return Ok(false) };
    let name = if crew.name.is_empty() { Name::from("worker") } else { crew.name };
    let mine = duty.clone();
    // The thread's own end looks for its berth, so the handle must be there before it runs.
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let theirs = gate.clone();
    match thread::spawn(name.as_str(), move || {
        drop(theirs.lock());
        live(&*mine, worker);
    }) {
        Ok(thread) => {
            crew.occupy(worker, Berth::Taken(thread));
            drop(closed);
            Ok(true)
        }
        Err(error) => {
            crew.occupy(worker, Berth::Empty);
            crew.alive.fetch_sub(1, SeqCst);
            Err(error)
        }
    }
}

/// The life of one worker.
fn live<D: Duty>(duty: &D, worker: u32) {
    let crew = duty.crew();
    let mut back_off = BackOff::default();
    while !crew.is_stopping() {
        let loaded = panics::catch(|| duty.load(worker)).unwrap_or_else(|caught| {
            Err(CallbackFailure { refusal: Refusal::IN_WORDS, message: Text::from(caught.message().as_str()) })
        });
        match loaded {
            Ok(state) => {
                crew.has_loaded();
                log::info(format_args!("{}: worker {worker} is loaded", crew.name));
                serve(duty, worker, state);
                break;
            }
            Err(failure) => {
                let pause_ns = back_off.next_ns();
                log::warn(format_args!("{}: worker {worker} could not load: {failure}", crew.name));
                crew.has_failed(failure, pause_ns);
                if crew.loaded() == 0 {
                    // A panic in here is one of the library, told by its own catch; the worker goes on.
                    let _ = panics::catch(|| duty.nobody_loaded(&failure));
                }
                if crew.alive() > crew.bounds.min {
                    break;
                }
                crew.pause(pause_ns);
            }
        }
    }
    duty.gone(worker);
    crew.left(worker);
    duty.left_room();
}

/// From the loaded state to the unloaded one.
fn serve<D: Duty>(duty: &D, worker: u32, mut state: D::State) {
    let crew = duty.crew();
    let loaded_ns = clock::now_ns();
    let leave = panics::catch(|| duty.serve(worker, &mut state, loaded_ns)).unwrap_or_else(|caught| {
        log::warn(format_args!("{}: worker {worker} panicked: {}", crew.name, caught.message()));
        Leave::Stopped
    });
    if leave == Leave::Stopped {
        crew.loaded.fetch_sub(1, SeqCst);
    }
    if let Err(caught) = panics::catch(|| duty.unload(state)) {
        log::warn(format_args!("{}: worker {worker} panicked at its end: {}", crew.name, caught.message()));
    }
    crew.unloads.fetch_add(1, Relaxed);
    if leave == Leave::Evicted {
        log::info(format_args!("{}: worker {worker} was evicted, because memory is short", crew.name));
        crew.evicted.fetch_add(1, SeqCst);
        crew.changed.wake_all();
    }
}
