//! The thread of a pool that has something to do in the background: it keeps the least numbers of resources ready, lets
//! go what was idle too long, is too old or is of an earlier generation, and asks the idle ones whether they still live.
//! Its tick is the clock by which releases tell the time.

use super::numbers::Reason;
use super::pool::{Pool, QUARANTINED};
use super::slots::{Lease, Slot};
use crate::base::alloc;
use crate::base::back_off::FIRST_NS;
use crate::base::cancel;
use crate::base::chance;
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
    is_there: AtomicBool,
    parker: AtomicPtr<Parker>,
    /// Somebody rang since it began to look: what a wait inside a callback may have slept through.
    rung: AtomicBool,
    /// The time of its last look, in nanoseconds.
    tick_ns: AtomicU64,
    stop: AtomicBool,
}

impl Housekeeper {
    #[inline]
    pub fn tick_ns(&self) -> u64 {
        self.tick_ns.load(Relaxed)
    }

    /// Where the time of its last look stands.
    pub fn tick(&self) -> &AtomicU64 {
        &self.tick_ns
    }

    pub fn is_there(&self) -> bool {
        self.is_there.load(SeqCst)
    }

    /// Asks it to look now.
    pub fn ring(&self) {
        self.rung.store(true, SeqCst);
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

/// Starts it, when it is not there yet.
pub fn start(pool: &Arc<Pool>) -> Result<(), SpawnError> {
    let housekeeper = &pool.housekeeper;
    let mut thread = housekeeper.thread.lock();
    if thread.is_none() && !housekeeper.stop.load(SeqCst) {
        housekeeper.tick_ns.store(clock::now_ns(), Relaxed);
        let mine = pool.clone();
        *thread = Some(thread::spawn("pool", move || keep(&mine))?);
        housekeeper.is_there.store(true, SeqCst);
    }
    Ok(())
}

fn keep(pool: &Pool) {
    let housekeeper = &pool.housekeeper;
    let Ok(parker) = cancel::current_parker() else {
        log::warn(format_args!("{}: no memory for the housekeeper", pool.config.name));
        housekeeper.is_there.store(false, SeqCst);
        pool.destroy_doomed();
        return;
    };
    housekeeper.parker.store((&raw const *parker).cast_mut(), SeqCst);
    let mut round = Round { next_tick_ns: 0, next_check_ns: Vec::new(), overdue: Vec::new() };
    while !housekeeper.stop.load(SeqCst) {
        housekeeper.rung.store(false, SeqCst);
        let next = panics::catch(|| round.look(pool)).unwrap_or_else(|caught| {
            pool.quarantine("housekeeper", caught);
            Deadline::NOW
        });
        if !housekeeper.stop.load(SeqCst) && !housekeeper.rung.load(SeqCst) {
            parker.park(next);
        }
    }
}

/// What the housekeeper remembers from one look to the next.
struct Round {
    next_tick_ns: u64,
    /// For each slot, when its resource is asked whether it still lives.
    next_check_ns: Vec<u64>,
    /// The leases that were told of because they last too long.
    overdue: Vec<Lease>,
}

impl Round {
    /// Tells when the next look is due.
    fn look(&mut self, pool: &Pool) -> Deadline {
        let now_ns = clock::now_ns();
        pool.housekeeper.tick_ns.store(now_ns, Relaxed);
        pool.destroy_doomed();
        if pool.is(QUARANTINED) {
            return Deadline::NEVER;
        }
        let mut next_ns = u64::MAX;
        if let Some(length_ns) = pool.config.tick_length_ns() {
            retire_worn(pool);
            if now_ns >= self.next_tick_ns {
                retire_idle(pool, now_ns, length_ns);
                self.keep_alive(pool, now_ns);
                pool.tell_overdue(&mut self.overdue);
                self.next_tick_ns = now_ns.saturating_add(length_ns);
            }
            next_ns = self.next_tick_ns;
        }
        Deadline::at(next_ns.min(fill(pool)))
    }

    /// Each idle resource in its own time, so that not all are asked at once.
    fn keep_alive(&mut self, pool: &Pool, now_ns: u64) {
        let interval_ns = pool.config.keepalive_ns;
        if interval_ns == 0 || !pool.validates {
            return;
        }
        if self.next_check_ns.is_empty() {
            let Ok(times) = alloc::try_vec(pool.config.capacity as usize) else { return };
            self.next_check_ns = times;
            self.next_check_ns.resize(pool.config.capacity as usize, 0);
        }
        for (number, next_ns) in self.next_check_ns.iter_mut().enumerate() {
            let slot = pool.slots.get(number as u32);
            let idle_since_ns = slot.since_ns.load(Relaxed);
            let first_ns = idle_since_ns.saturating_add(interval_ns - interval_ns / 10);
            if slot.is_idle() && now_ns >= first_ns && now_ns >= *next_ns {
                pool.recall_if_at_hand(number as u32);
                pool.keep_alive(number as u32, idle_since_ns);
                *next_ns = now_ns.saturating_add(interval_ns - chance::within(0..=interval_ns / 10));
            }
        }
    }
}

/// Makes what is missing to the least numbers, or has it made; tells when to try again.
fn fill(pool: &Pool) -> u64 {
    if pool.config.creator_threads > 0 {
        pool.creators.ring();
        return u64::MAX;
    }
    while pool.missing() > 0 {
        let not_before_ns = pool.breaker.not_before_ns();
        if clock::now_ns() < not_before_ns {
            return not_before_ns;
        }
        match pool.add_idle() {
            Ok(true) => {}
            // Refused by the breaker, whose attempt is another's, or for lack of room: then whoever makes room rings.
            Ok(false) if pool.breaker.is_open() => return pool.breaker.not_before_ns().max(clock::now_ns() + FIRST_NS),
            Ok(false) => break,
            Err(error) => log::warn(format_args!("{}: {error}", pool.config.name)),
        }
    }
    u64::MAX
}

/// Retires the idle resources that are too old, or of an earlier generation.
fn retire_worn(pool: &Pool) {
    for number in 0..pool.config.capacity {
        let slot = pool.slots.get(number);
        if slot.is_idle()
            && let idle_since_ns = slot.since_ns.load(Relaxed)
            && let Some(reason) = pool.wear_of(number)
        {
            pool.recall_if_at_hand(number);
            pool.retire(number, idle_since_ns, reason);
        }
    }
}

/// Retires what was idle too long, the oldest first.
fn retire_idle(pool: &Pool, now_ns: u64, tick_length_ns: u64) {
    if pool.config.idle_timeout_ns == 0 {
        return;
    }
    // A release may have told the time by a tick that was about to end.
    let longest_ns = pool.config.idle_timeout_ns.saturating_add(tick_length_ns);
    let idle_since = |slot: &Slot| slot.since_ns.load(Relaxed);
    let mut surplus = pool.size().saturating_sub(pool.limits.min_size());
    if pool.config.min_idle > 0 {
        surplus = surplus.min(pool.ready().saturating_sub(pool.config.min_idle));
    }
    while surplus > 0 {
        let idle = pool.slots.iter().filter(|slot| slot.is_idle());
        let Some(oldest_ns) = idle.map(idle_since).min() else { return };
        if now_ns.saturating_sub(oldest_ns) < longest_ns {
            return;
        }
        let before = surplus;
        for number in 0..pool.config.capacity {
            let slot = pool.slots.get(number);
            if surplus > 0 && slot.is_idle() && idle_since(slot) == oldest_ns {
                pool.recall_if_at_hand(number);
                surplus -= u32::from(pool.retire(number, oldest_ns, Reason::Idle));
            }
        }
        if surplus == before {
            return;
        }
    }
}
