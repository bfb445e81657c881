//! The thread of a pool that has a least size or an idle time-out: keeps the least number of resources ready, and
//! lets go what was idle too long, the oldest first. Its tick is the clock by which releases tell the time.

use super::pool::Pool;
use super::slots::Phase;
use crate::base::back_off::BackOff;
use crate::base::cancel;
use crate::base::clock::{self, Deadline};
use crate::base::park::Parker;
use crate::base::thread::{self, SpawnError};
use crate::base::{log, panics};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::*};
use std::thread::JoinHandle;

#[derive(Default)]
pub struct Housekeeper {
    thread: Mutex<Option<JoinHandle<()>>>,
    parker: AtomicPtr<Parker>,
    /// The time of its last look, in nanoseconds.
    tick_ns: AtomicU64,
    stop: AtomicBool,
}

impl Housekeeper {
    #[inline]
    pub fn tick_ns(&self) -> u64 {
        self.tick_ns.load(Relaxed)
    }

    /// Asks it to look now.
    pub fn ring(&self) {
        // SAFETY: parkers are never freed.
        if let Some(parker) = unsafe { self.parker.load(SeqCst).as_ref() } {
            parker.unpark();
        }
    }

    pub fn stop(&self) {
        self.stop.store(true, SeqCst);
        self.ring();
        if let Some(thread) = self.thread.lock().take() {
            // A panic in it was caught and told inside it.
            drop(thread.join());
        }
    }
}

pub fn start(pool: &Arc<Pool>) -> Result<(), SpawnError> {
    let housekeeper = &pool.housekeeper;
    housekeeper.tick_ns.store(clock::now_ns(), Relaxed);
    let mine = pool.clone();
    *housekeeper.thread.lock() = Some(thread::spawn("pool", move || keep(&mine))?);
    Ok(())
}

fn keep(pool: &Pool) {
    let housekeeper = &pool.housekeeper;
    let Ok(parker) = cancel::current_parker() else {
        log::warn(format_args!("{}: no memory for the housekeeper", pool.config.name));
        return;
    };
    housekeeper.parker.store((&raw const *parker).cast_mut(), SeqCst);
    let mut filling = Filling { back_off: BackOff::default(), not_before_ns: 0 };
    while !housekeeper.stop.load(SeqCst) {
        let next = panics::catch(|| look(pool, &mut filling)).unwrap_or_else(|caught| {
            log::warn(format_args!("{}: the housekeeper panicked: {}", pool.config.name, caught.message()));
            Deadline::after(pool.tick_length_ns())
        });
        if !housekeeper.stop.load(SeqCst) {
            parker.park(next);
        }
    }
}

/// One round; tells when the next is due.
fn look(pool: &Pool, filling: &mut Filling) -> Deadline {
    let now_ns = clock::now_ns();
    pool.housekeeper.tick_ns.store(now_ns, Relaxed);
    let mut next_ns = filling.fill(pool, now_ns);
    if pool.config.idle_timeout_ns > 0 {
        retire_idle(pool, now_ns);
        next_ns = next_ns.min(now_ns.saturating_add(pool.tick_length_ns()));
    }
    if next_ns == u64::MAX { Deadline::NEVER } else { Deadline::at(next_ns) }
}

struct Filling {
    back_off: BackOff,
    not_before_ns: u64,
}

impl Filling {
    /// Makes what is missing to the least size; tells when to try again.
    fn fill(&mut self, pool: &Pool, now_ns: u64) -> u64 {
        while pool.size() < pool.config.min_size && !pool.is_closed() {
            if now_ns < self.not_before_ns {
                return self.not_before_ns;
            }
            match pool.add_idle() {
                Ok(true) => self.back_off = BackOff::default(),
                Ok(false) => break,
                Err(error) => {
                    log::warn(format_args!("{}: {error}", pool.config.name));
                    self.not_before_ns = clock::now_ns().saturating_add(self.back_off.next_ns());
                    return self.not_before_ns;
                }
            }
        }
        u64::MAX
    }
}

impl Pool {
    /// Four ticks in an idle time-out: the time-out is exact to a quarter.
    fn tick_length_ns(&self) -> u64 {
        (self.config.idle_timeout_ns / 4).max(1_000_000)
    }
}

fn retire_idle(pool: &Pool, now_ns: u64) {
    // A release may have told the time by a tick that was about to end.
    let longest_ns = pool.config.idle_timeout_ns.saturating_add(pool.tick_length_ns());
    let mut surplus = pool.size().saturating_sub(pool.config.min_size);
    while surplus > 0 {
        let idle = pool.slots.iter().filter(|slot| slot.phase() == Phase::Idle);
        let Some(oldest_ns) = idle.map(|slot| slot.idle_since_ns.load(Relaxed)).min() else { return };
        if now_ns.saturating_sub(oldest_ns) < longest_ns {
            return;
        }
        let before = surplus;
        for number in 0..pool.config.max_size {
            let slot = pool.slots.get(number);
            let is_oldest = slot.phase() == Phase::Idle && slot.idle_since_ns.load(Relaxed) == oldest_ns;
            if surplus > 0 && is_oldest && pool.retire(number, oldest_ns) {
                surplus -= 1;
            }
        }
        if surplus == before {
            return;
        }
    }
}
