//! Rounds: what all accounts pay for, looked at again on request and, one object at a tick, by the governor's thread.
//! What was seen stays in the accounts, where it can be read without a system call.

use super::account::{self, Account};
use super::level::Level;
use crate::base::alloc::OutOfMemory;
use crate::base::clock;
use crate::memory::coverage::{Coverage, Inspector, Repair, Seen};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// How often each object is looked at, unless the host wants something else.
pub const DEFAULT_PERIOD_NS: u64 = 60_000_000_000;

/// What was last seen of the memory of all accounts together, with the time of the oldest look.
pub fn seen() -> Option<Seen> {
    let mut all: Option<Seen> = None;
    account::each(|account| {
        let Some(one) = account.seen() else { return };
        let all = all.get_or_insert(Seen { coverage: Coverage::default(), at_ns: one.at_ns });
        all.coverage += one.coverage;
        all.at_ns = all.at_ns.min(one.at_ns);
    });
    all
}

/// Looks at the memory of every object now.
pub fn look_at_all() -> Result<Coverage, OutOfMemory> {
    let mut sum = Coverage::default();
    each_object(Inspector::look, |seen| sum += seen)?;
    Ok(sum)
}

/// Repairs the memory of every object.
pub fn repair_all() -> Result<Repair, OutOfMemory> {
    let mut sum = Repair::default();
    each_object(Inspector::repair, |done| sum += done)?;
    Ok(sum)
}

/// The others are gone through also when memory was refused at one.
fn each_object<R>(
    inspect: impl Fn(&Inspector) -> Option<Result<R, OutOfMemory>>,
    mut add: impl FnMut(R),
) -> Result<(), OutOfMemory> {
    let mut first = Ok(());
    account::each(|account| match account.inspector().as_ref().and_then(&inspect) {
        Some(Ok(one)) => add(one),
        Some(Err(error)) => first = first.and(Err(error)),
        None => {}
    });
    first
}

static LOOKS: AtomicU64 = AtomicU64::new(0);
static CPU_NS: AtomicU64 = AtomicU64::new(0);

/// How often the governor's thread looked at an object's memory, and what that took of a processor.
pub fn work() -> (u64, u64) {
    (LOOKS.load(Relaxed), CPU_NS.load(Relaxed))
}

/// The governor's thread goes round all objects.
#[derive(Default)]
pub struct Round {
    /// Of the account that comes next.
    place: usize,
    not_before_ns: u64,
}

/// Accounts that are passed by at one tick.
const MOST_PASSED: usize = 256;
/// The thread spends at most one part in so many of its time on looks.
const REST: u64 = 1000;
/// Between two rounds; parts of the period.
const PAUSES: u64 = 16;

impl Round {
    /// Looks at one object, if one is due. While memory is short the thread has other things to do.
    pub fn go_on(&mut self, level: Level, period_ns: u64, cpu_ns: fn() -> u64) {
        let now_ns = clock::monotonic_ns();
        if period_ns == u64::MAX || level >= Level::High || now_ns < self.not_before_ns {
            return;
        }
        for _ in 0..MOST_PASSED {
            let Some(account) = account::at(self.place) else {
                (self.place, self.not_before_ns) = (0, now_ns + period_ns / PAUSES);
                return;
            };
            self.place += 1;
            let due = account.filter(|account| is_due(account, period_ns));
            let begin_ns = cpu_ns();
            if due.and_then(|account| account.inspector()?.look()).is_some() {
                let took_ns = cpu_ns().saturating_sub(begin_ns);
                LOOKS.fetch_add(1, Relaxed);
                CPU_NS.fetch_add(took_ns, Relaxed);
                self.not_before_ns = now_ns.saturating_add(took_ns.saturating_mul(REST));
                return;
            }
        }
    }
}

fn is_due(account: &Account, period_ns: u64) -> bool {
    account.seen().is_none_or(|seen| seen.age_ns() >= period_ns)
}
