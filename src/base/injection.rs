//! Faults that a test of the host's puts into the host's callbacks. Not the seam for the library's own tests: that is
//! [`super::faults`].

use super::clock::Deadline;
use super::refusal::Refusal;
use super::watchers::Watchers;
use super::{InvalidField, Owner, alloc, alloc::OutOfMemory, chance};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

/// The callbacks that answer, and the one that ends a resource. The numbers are those of the header, which has those of
/// pools, models and templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Callback {
    Create = 1,
    Validate = 2,
    Reset = 3,
    Destroy = 4,
    Retag = 5,
    Load = 6,
    Run = 7,
    Build = 8,
    Clone = 9,
}

pub const OF_POOLS: &[Callback] =
    &[Callback::Create, Callback::Validate, Callback::Reset, Callback::Destroy, Callback::Retag];
pub const OF_MODELS: &[Callback] = &[Callback::Load, Callback::Run];
pub const OF_TEMPLATES: &[Callback] = &[Callback::Build, Callback::Clone, Callback::Destroy];

impl Callback {
    pub fn name(self) -> &'static str {
        match self {
            Callback::Create => "create",
            Callback::Validate => "validate",
            Callback::Reset => "reset",
            Callback::Destroy => "destroy",
            Callback::Retag => "retag",
            Callback::Load => "load",
            Callback::Run => "run",
            Callback::Build => "build",
            Callback::Clone => "clone",
        }
    }
}

/// Which calls of a callback misbehave, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The first that does, counted from 1; 0: it is `every`.
    pub first: u64,
    /// And so many calls later the next; 0: none.
    pub every: u64,
    /// Each of the others does by this chance.
    pub per_million: u32,
    pub seed: u64,
    /// What it answers without being called; none: it is called.
    pub refusal: Option<Refusal>,
    /// How long it takes before that, by the library's clock.
    pub delay_ns: u64,
}

impl Fault {
    fn check(&self, callback: Callback) -> Result<(), InvalidField> {
        let refuse = |field, value, bound| Err(InvalidField { field, value, bound });
        if self.first == 0 && self.every == 0 && self.per_million == 0 {
            return refuse("first", 0, "one of first, every and per_million must not be 0");
        }
        if self.per_million > 1_000_000 {
            return refuse("per_million", self.per_million.into(), "must be at most 1000000");
        }
        match self.refusal {
            None if self.delay_ns == 0 => refuse("status", 0, "status or delay_ns must not be 0"),
            Some(refusal) if callback == Callback::Destroy => {
                refuse("status", refusal.status.unsigned_abs().into(), "must be 0: a destroy cannot fail")
            }
            _ => Ok(()),
        }
    }

    fn strikes(&self, call: u64) -> bool {
        let is_counted = match (self.first, self.every) {
            (first, 0) => call == first,
            (0, every) => call.is_multiple_of(every),
            (first, every) => call >= first && (call - first).is_multiple_of(every),
        };
        is_counted || luck(self.seed, call) < self.per_million
    }
}

/// Below a million, and the same for the same seed and call for ever.
fn luck(seed: u64, call: u64) -> u32 {
    let mixed = chance::mix(seed.wrapping_add(call.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    (((mixed >> 32) * 1_000_000) >> 32) as u32
}

/// The fault of one callback of one object.
struct Plan {
    owner: Owner,
    callback: Callback,
    fault: Fault,
    is_over: AtomicBool,
    /// Told when it is over: delays end.
    ended: Watchers,
    calls: AtomicU64,
    failures: AtomicU64,
    delays: AtomicU64,
}

/// What a fault did, since it was set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    pub calls: u64,
    pub failures: u64,
    pub delays: u64,
}

/// Whether there is any plan: what a callback looks at that no test has set upon.
static ARE_THERE: AtomicBool = AtomicBool::new(false);
static PLANS: Mutex<Vec<Arc<Plan>>> = Mutex::new(Vec::new());

#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// From now on the callback misbehaves. The fault that it had before is over, and what that did is forgotten.
pub fn inject(owner: Owner, callback: Callback, fault: Fault) -> Result<(), InjectError> {
    fault.check(callback)?;
    let plan = alloc::try_arc(Plan {
        owner,
        callback,
        fault,
        is_over: AtomicBool::new(false),
        ended: Watchers::default(),
        calls: AtomicU64::new(0),
        failures: AtomicU64::new(0),
        delays: AtomicU64::new(0),
    })?;
    let mut plans = PLANS.lock();
    alloc::try_reserve_one(&mut plans)?;
    ARE_THERE.store(true, SeqCst);
    let before = plans.iter().position(|plan| plan.is_of(owner, callback));
    let before = before.map(|place| plans.swap_remove(place));
    plans.push(plan);
    drop(plans);
    if let Some(before) = before {
        before.end();
    }
    Ok(())
}

/// The callback is itself again. What was done to it can still be read.
pub fn clear(owner: Owner, callback: Callback) {
    if let Some(plan) = find(owner, callback) {
        plan.end();
    }
}

pub fn injected(owner: Owner, callback: Callback) -> Injected {
    find(owner, callback).map_or(Injected::default(), |plan| Injected {
        calls: plan.calls.load(SeqCst),
        failures: plan.failures.load(SeqCst),
        delays: plan.delays.load(SeqCst),
    })
}

/// The object goes, and nothing shall hold up its callbacks.
pub fn forget(owner: Owner) {
    if !ARE_THERE.load(SeqCst) {
        return;
    }
    let mut plans = PLANS.lock();
    for plan in plans.iter().filter(|plan| plan.owner == owner) {
        plan.end();
    }
    plans.retain(|plan| plan.owner != owner);
    ARE_THERE.store(!plans.is_empty(), SeqCst);
}

/// To be passed by each call of a callback, as if inside it: waits, or tells how it fails.
#[inline]
pub fn pass(owner: Owner, callback: Callback) -> Option<Refusal> {
    if ARE_THERE.load(Relaxed) { find(owner, callback)?.pass() } else { None }
}

#[cold]
fn find(owner: Owner, callback: Callback) -> Option<Arc<Plan>> {
    PLANS.lock().iter().find(|plan| plan.is_of(owner, callback)).cloned()
}

impl Plan {
    fn is_of(&self, owner: Owner, callback: Callback) -> bool {
        self.owner == owner && self.callback == callback
    }

    fn end(&self) {
        self.is_over.store(true, SeqCst);
        self.ended.wake_all();
    }

    fn pass(&self) -> Option<Refusal> {
        if self.is_over.load(SeqCst) {
            return None;
        }
        let call = self.calls.fetch_add(1, SeqCst) + 1;
        if !self.fault.strikes(call) {
            return None;
        }
        if self.fault.delay_ns > 0 {
            let until = Deadline::after(self.fault.delay_ns);
            // Whoever sees the count and advances the clock moves it towards that end.
            self.delays.fetch_add(1, SeqCst);
            let over = || self.is_over.load(SeqCst).then_some(());
            // However it ends, the call goes on; without memory to sleep it is not delayed.
            let _ = self.ended.wait_until(until, None, over);
        }
        let refusal = self.fault.refusal?;
        self.failures.fetch_add(1, SeqCst);
        Some(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSAL: Option<Refusal> = Some(Refusal::IN_WORDS);
    const QUIET: Fault = Fault { first: 0, every: 0, per_million: 0, seed: 0, refusal: REFUSAL, delay_ns: 0 };

    fn struck(fault: Fault, calls: u64) -> Vec<u64> {
        (1..=calls).filter(|call| fault.strikes(*call)).collect()
    }

    #[test]
    fn strikes_the_calls_that_were_asked_for() {
        assert_eq!(struck(Fault { first: 3, ..QUIET }, 20), [3]);
        assert_eq!(struck(Fault { every: 7, ..QUIET }, 20), [7, 14]);
        assert_eq!(struck(Fault { first: 2, every: 6, ..QUIET }, 20), [2, 8, 14, 20]);
        assert_eq!(struck(Fault { per_million: 1_000_000, ..QUIET }, 3), [1, 2, 3]);
    }

    #[test]
    fn chance_is_fair_and_the_same_for_the_same_seed() {
        let fault = |seed| Fault { per_million: 250_000, seed, ..QUIET };
        assert_eq!(struck(fault(7), 10), struck(fault(7), 10));
        assert_ne!(struck(fault(7), 1000), struck(fault(8), 1000));
        for seed in 0..10 {
            let share = struck(fault(seed), 100_000).len();
            assert!((24_000..26_000).contains(&share), "seed {seed}: {share} of 100000");
        }
    }

    #[test]
    fn each_object_has_its_own_faults() {
        let (mine, other) = (Owner(0x1001), Owner(0x1002));
        inject(mine, Callback::Create, Fault { every: 2, ..QUIET }).unwrap();
        let passes: Vec<_> = (0..4).map(|_| pass(mine, Callback::Create)).collect();
        assert_eq!(passes, [None, REFUSAL, None, REFUSAL]);
        assert_eq!((pass(other, Callback::Create), pass(mine, Callback::Reset)), (None, None));
        assert_eq!(injected(mine, Callback::Create), Injected { calls: 4, failures: 2, delays: 0 });
        clear(mine, Callback::Create);
        assert_eq!((0..4).find_map(|_| pass(mine, Callback::Create)), None);
        assert_eq!(injected(mine, Callback::Create).calls, 4);
        forget(mine);
        assert_eq!(injected(mine, Callback::Create), Injected::default());
    }
}
