//! Rounds: what all accounts pay for, looked at again on request and, one object at a tick, by the governor's thread, which
//! comes to a large one several times. What was seen stays in the accounts, where it can be read without a system call.

use super::account::{self, Account};
use super::level::Level;
use crate::base::alloc::OutOfMemory;
use crate::base::clock;
use crate::memory::coverage::{Coverage, Inspector, Progress, Repair, Seen};
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, Weak};

/// How often each object is looked at, unless the host wants something else.
pub const DEFAULT_PERIOD_NS: u64 = 60_000_000_000;

/// What was last seen of the memory of all accounts together, with the time of the oldest look.
pub fn seen() -> Option<Seen> {
    let mut all: Option<Seen> = None;
    account::each(|account| {
        let Some(one) = account.seen() else { return };
        let all = all.get_or_insert(Seen { coverage: Coverage::default(), ..one });
        all.coverage += one.coverage;
        all.begun_ns = all.begun_ns.min(one.begun_ns);
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
    /// How far it has come with an account.
    underway: Option<(Weak<Account>, Progress)>,
    not_before_ns: u64,
}

/// Accounts that are passed by at one tick.
const MOST_PASSED: usize = 256;
/// The thread spends at most one part in so many of its time on looks.
const REST: u64 = 1000;
/// Between two rounds; parts of the period.
const PAUSES: u64 = 16;

impl Round {
    /// Looks at one object, if one is due, for as long as `may_stay` says so between two bites. While memory is short the
    /// thread has other things to do.
    pub fn go_on(&mut self, level: Level, period_ns: u64, cpu_ns: fn() -> u64, may_stay: &mut dyn FnMut() -> bool) {
        let now_ns = clock::monotonic_ns();
        if period_ns == u64::MAX || level >= Level::High || now_ns < self.not_before_ns {
            return;
        }
        // Whatever has come to its place since: places change when accounts are opened.
        if let Some((account, progress)) = self.underway()
            && is_due(&account, period_ns)
            && self.look(&account, progress, cpu_ns, may_stay)
        {
            return;
        }
        for _ in 0..MOST_PASSED {
            let Some(account) = account::at(self.place) else {
                (self.place, self.not_before_ns) = (0, now_ns + period_ns / PAUSES);
                return;
            };
            // Before the look, so that one that panics keeps nobody else from being looked at.
            self.place += 1;
            if let Some(account) = account.filter(|account| is_due(account, period_ns))
                && self.look(&account, Progress::default(), cpu_ns, may_stay)
            {
                return;
            }
        }
    }

    fn underway(&mut self) -> Option<(Arc<Account>, Progress)> {
        let (account, progress) = self.underway.take()?;
        Some((account.upgrade()?, progress))
    }

    /// Goes on with a look at what an account pays for. `false`: there is nothing to look at.
    fn look(
        &mut self,
        account: &Arc<Account>,
        mut progress: Progress,
        cpu_ns: fn() -> u64,
        may_stay: &mut dyn FnMut() -> bool,
    ) -> bool {
        let (now_ns, begin_ns) = (clock::monotonic_ns(), cpu_ns());
        let Some(looked) = account.inspector().and_then(|one| one.look_on(&mut progress, may_stay)) else {
            return false;
        };
        // What memory was refused for is looked at in the next round.
        let is_over = looked.unwrap_or(true);
        if !is_over {
            self.underway = Some((Arc::downgrade(account), progress));
        }
        let took_ns = cpu_ns().saturating_sub(begin_ns);
        LOOKS.fetch_add(u64::from(is_over), Relaxed);
        CPU_NS.fetch_add(took_ns, Relaxed);
        self.not_before_ns = now_ns.saturating_add(took_ns.saturating_mul(REST));
        true
    }
}

fn is_due(account: &Account, period_ns: u64) -> bool {
    account.seen().is_none_or(|seen| seen.age_ns() >= period_ns)
}

#[cfg(test)]
mod tests {
    use super::super::Holder;
    use super::*;
    use crate::base::{Name, Owner, panics};
    use crate::memory::testing::in_own_process;

    const BITES: u64 = 5;
    static BITTEN: AtomicU64 = AtomicU64::new(0);

    /// What cannot be looked at.
    const PANICS: Owner = Owner(7);

    /// Of an object of so many bites.
    fn object(owner: u64) -> Arc<Account> {
        let account = Account::open(Holder::Arena, Name::from("bitten")).expect("memory");
        account.let_inspect(Inspector {
            owner: Owner(owner),
            look: |_| None,
            look_on: |owner, progress, goes_on| {
                assert!(owner != PANICS, "cannot be looked at");
                loop {
                    BITTEN.fetch_add(1, SeqCst);
                    progress.offset += 1;
                    if progress.offset == BITES {
                        return Some(Ok(true));
                    }
                    if !goes_on() {
                        return Some(Ok(false));
                    }
                }
            },
            repair: |_| None,
        });
        account
    }

    /// Bites that a visit takes.
    fn visit(round: &mut Round, level: Level, mut may_stay: impl FnMut() -> bool) -> u64 {
        let before = BITTEN.load(SeqCst);
        round.not_before_ns = 0;
        round.go_on(level, 1_000_000_000, || 0, &mut may_stay);
        BITTEN.load(SeqCst) - before
    }

    /// Alone, because the accounts of all tests are one list.
    #[test]
    fn a_look_gives_way_between_bites_and_goes_on_where_it_was() {
        if !in_own_process() {
            return;
        }
        let large = object(1);
        let mut round = Round::default();
        assert_eq!(visit(&mut round, Level::Low, || false), 1);
        assert_eq!(visit(&mut round, Level::High, || true), 0);
        let mut stays = [true, true, false].into_iter();
        assert_eq!(visit(&mut round, Level::Low, || stays.next().expect("no more bites")), 3);
        assert_eq!(work().0, 0);
        assert_eq!(visit(&mut round, Level::Low, || true), 1);
        assert_eq!((work().0, round.place), (1, 1));
        // Of another that has come to its place nothing is seen yet.
        round.place = 0;
        assert_eq!(visit(&mut round, Level::Low, || false), 1);
        drop(large);
        let _other = object(2);
        round.place = 0;
        assert_eq!(visit(&mut round, Level::Low, || true), BITES);
    }

    #[test]
    fn a_look_goes_on_when_another_account_has_come_to_its_place() {
        if !in_own_process() {
            return;
        }
        let (gone, large) = (object(1), object(2));
        let mut round = Round::default();
        assert_eq!(visit(&mut round, Level::Low, || true), BITES);
        assert_eq!(visit(&mut round, Level::Low, || false), 1);
        drop(gone);
        // More than the list had room for.
        let _others = [(); 100].map(|()| object(3));
        assert!(account::at(0).flatten().is_some_and(|first| Arc::ptr_eq(&first, &large)));
        assert_eq!(visit(&mut round, Level::Low, || true), BITES - 1);
        assert_eq!(work().0, 2);
    }

    #[test]
    fn a_look_that_panics_keeps_no_other_from_being_looked_at() {
        if !in_own_process() {
            return;
        }
        let _both = (object(PANICS.0), object(2));
        panics::install_hook();
        let mut round = Round::default();
        assert!(panics::catch(|| visit(&mut round, Level::Low, || true)).is_err());
        assert_eq!(visit(&mut round, Level::Low, || true), BITES);
    }
}
