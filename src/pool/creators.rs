//! The threads on which a pool makes resources in the background, so that no caller waits behind a create callback.
//! They make what callers wait for and what the least numbers ask for; what nobody needs any more when its turn comes
//! is not made.

use super::life::Place;
use super::pool::Pool;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::cancel;
use crate::base::clock::Deadline;
use crate::base::panics;
use crate::base::park::Parker;
use crate::base::thread::{self, SpawnError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;

#[derive(Default)]
pub struct Creators {
    state: Mutex<State>,
    are_there: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    stop: bool,
    /// Resources that are being made.
    making: u32,
    /// Those who have nothing to make.
    idle: Vec<&'static Parker>,
}

impl Creators {
    /// Asks them to look what is missing.
    pub fn ring(&self) {
        if self.are_there.load(SeqCst) {
            // Whoever is about to sleep holds the lock until it is among the idle ones.
            self.state.lock().ring();
        }
    }

    pub fn stop(&self) {
        let mut state = self.state.lock();
        state.stop = true;
        while state.ring() {}
        drop(state);
        for thread in self.threads.lock().drain(..) {
            // A panic in it was caught and told inside it.
            drop(thread.join());
        }
    }
}

/// After a failure those that were started run on until they are stopped.
pub fn start(pool: &Arc<Pool>, count: u32) -> Result<(), SpawnError> {
    for _ in 0..count {
        let mine = pool.clone();
        let thread = thread::spawn("pool", move || while make_next(&mine) {})?;
        pool.creators.threads.lock().push(thread);
        pool.creators.are_there.store(true, SeqCst);
    }
    Ok(())
}

/// Makes one resource when one is missing. False when the creators stop.
fn make_next(pool: &Pool) -> bool {
    let Some(place) = await_need(pool) else { return false };
    match panics::catch(|| pool.fill(place)) {
        Ok(Ok(())) => {}
        // The one who waits longest is told at once; the others have their chance with the next attempt.
        Ok(Err(_)) => {
            pool.waiters.fail_first(pool);
            pool.serve();
        }
        Err(caught) => pool.quarantine("creator", caught),
    }
    pool.creators.state.lock().making -= 1;
    true
}

/// Waits until a resource is missing, and takes a place for it.
fn await_need(pool: &Pool) -> Option<Place> {
    loop {
        let mut state = pool.creators.state.lock();
        let until = match state.look(pool) {
            Look::Stop => return None,
            Look::Make(place) => return Some(place),
            Look::Sleep { until } => until,
        };
        match state.lie_down() {
            Ok(parker) => {
                drop(state);
                parker.park(until);
                // Unless it was rung for.
                pool.creators.state.lock().idle.retain(|idle| !std::ptr::eq(*idle, parker));
            }
            // No memory to sleep properly: look again.
            Err(OutOfMemory { .. }) => {
                drop(state);
                std::thread::yield_now();
            }
        }
    }
}

/// What a creator finds.
enum Look {
    Stop,
    Make(Place),
    Sleep { until: Deadline },
}

impl State {
    fn look(&mut self, pool: &Pool) -> Look {
        loop {
            if self.stop {
                return Look::Stop;
            }
            let missing = pool.missing();
            if missing <= self.making {
                return Look::Sleep { until: Deadline::NEVER };
            }
            let pause_ends = Deadline::at(pool.breaker.not_before_ns());
            if !pause_ends.has_passed() {
                return Look::Sleep { until: pause_ends };
            }
            match pool.take_place() {
                Some(place) => {
                    self.making += 1;
                    if missing > self.making {
                        self.ring();
                    }
                    return Look::Make(place);
                }
                // The breaker has just admitted another one: that one's pause is waited for.
                None if pool.breaker.pause_ns().is_some() => {}
                // Whoever vacates a slot rings.
                None => {
                    pool.tell_ended();
                    return Look::Sleep { until: Deadline::NEVER };
                }
            }
        }
    }

    fn lie_down(&mut self) -> Result<&'static Parker, OutOfMemory> {
        let parker = cancel::current_parker()?;
        alloc::try_reserve_one(&mut self.idle)?;
        self.idle.push(parker);
        Ok(parker)
    }

    /// Wakes one that is idle, if there is one.
    fn ring(&mut self) -> bool {
        self.idle.pop().inspect(|parker| parker.unpark()).is_some()
    }
}
