//! The threads on which a pool makes resources in the background, so that no caller waits behind a create callback.
//! They make what callers wait for and what the least numbers ask for; what nobody needs any more when its turn comes
//! is not made.

use super::life::Place;
use super::pool::Pool;
use crate::base::clock;
use crate::base::thread::{self, SpawnError};
use crate::base::{handles, log, panics};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

#[derive(Default)]
pub struct Creators {
    state: Mutex<State>,
    rung: Condvar,
    are_there: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct State {
    stop: bool,
    /// Resources that are being made.
    making: u32,
}

impl Creators {
    /// Asks them to look what is missing.
    pub fn ring(&self) {
        if self.are_there.load(SeqCst) {
            // Whoever is about to sleep holds the lock.
            drop(self.state.lock());
            self.rung.notify_one();
        }
    }

    pub fn stop(&self) {
        self.state.lock().stop = true;
        self.rung.notify_all();
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
        Ok(Err(_)) => pool.waiters.fail_first(pool),
        Err(caught) => {
            log::warn(format_args!("{}: a creator panicked: {}", pool.config.name, caught.message()));
            handles::quarantine(pool.owner);
        }
    }
    pool.creators.state.lock().making -= 1;
    true
}

/// Waits until a resource is missing, and takes a place for it.
fn await_need(pool: &Pool) -> Option<Place> {
    let creators = &pool.creators;
    let mut state = creators.state.lock();
    loop {
        if state.stop {
            return None;
        }
        let missing = pool.missing();
        if missing <= state.making {
            creators.rung.wait(&mut state);
            continue;
        }
        let pause_ns = pool.breaker.not_before_ns().saturating_sub(clock::now_ns());
        if pause_ns > 0 {
            creators.rung.wait_for(&mut state, Duration::from_nanos(pause_ns));
            continue;
        }
        match pool.take_place() {
            Some(place) => {
                state.making += 1;
                if missing > state.making {
                    creators.rung.notify_one();
                }
                return Some(place);
            }
            // The breaker has just admitted another one: that one's pause is waited for.
            None if pool.breaker.pause_ns().is_some() => {}
            // Whoever vacates a slot rings.
            None => {
                pool.tell_ended();
                creators.rung.wait(&mut state);
            }
        }
    }
}
