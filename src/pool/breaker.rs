//! The circuit breaker before the create callback. A failure that comes alone is told to its caller and forgotten; so
//! many in a row open the breaker, and then one attempt is made after each pause, until one succeeds.

use crate::base::back_off::{self, BackOff};
use crate::base::callback::CallbackFailure;
use crate::base::clock;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};

pub struct Breaker {
    /// So many in a row open it.
    bound: u32,
    failures: AtomicU32,
    /// When the next attempt may be made; 0: at once.
    not_before_ns: AtomicU64,
    /// The attempt that an open breaker admitted has not ended.
    is_trying: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    back_off: BackOff,
    last: Option<CallbackFailure>,
    /// All failures there were.
    count: u64,
}

impl Breaker {
    pub fn new(bound: u32) -> Self {
        Self {
            bound,
            failures: AtomicU32::new(0),
            not_before_ns: AtomicU64::new(0),
            is_trying: AtomicBool::new(false),
            state: Mutex::new(State::default()),
        }
    }

    /// Failures since the last success.
    #[inline]
    pub fn failures(&self) -> u32 {
        self.failures.load(SeqCst)
    }

    #[inline]
    pub fn is_open(&self) -> bool {
        self.failures() >= self.bound
    }

    /// While it is open and its pause is not over: how long that still takes.
    pub fn pause_ns(&self) -> Option<u64> {
        if !self.is_open() {
            return None;
        }
        self.not_before_ns.load(SeqCst).checked_sub(clock::now_ns()).filter(|pause_ns| *pause_ns > 0)
    }

    /// Whether an attempt may be made now. Of several who ask when a pause is over one may.
    pub fn admits(&self) -> bool {
        if !self.is_open() {
            return true;
        }
        let not_before_ns = self.not_before_ns.load(SeqCst);
        let now_ns = clock::now_ns();
        // The others ask again when this attempt ought to have ended.
        let after_ns = now_ns.saturating_add(back_off::FIRST_NS);
        let is_first = now_ns >= not_before_ns
            && self.not_before_ns.compare_exchange(not_before_ns, after_ns, SeqCst, SeqCst).is_ok();
        if is_first {
            self.is_trying.store(true, SeqCst);
        }
        is_first
    }

    /// When a background thread may try again, open or not.
    pub fn not_before_ns(&self) -> u64 {
        self.not_before_ns.load(SeqCst)
    }

    /// Tells whether there were failures before.
    pub fn succeeded(&self) -> bool {
        if self.failures() == 0 {
            return false;
        }
        let mut state = self.state.lock();
        state.back_off = BackOff::default();
        self.is_trying.store(false, SeqCst);
        self.not_before_ns.store(0, SeqCst);
        self.failures.store(0, SeqCst);
        true
    }

    /// Ends the pause: the next attempt may be made now, and the pauses after it begin with the shortest again. One
    /// that is under way tells nothing of how things are from now on, so its failure begins no pause.
    pub fn end_pause(&self) {
        let mut state = self.state.lock();
        state.back_off = BackOff::default();
        self.is_trying.store(false, SeqCst);
        self.not_before_ns.store(0, SeqCst);
    }

    pub fn failed(&self, failure: CallbackFailure) {
        let mut state = self.state.lock();
        state.last = Some(failure);
        state.count += 1;
        let was_open = self.is_open();
        let failures = self.failures.fetch_add(1, SeqCst) + 1;
        if failures == self.bound {
            state.back_off = BackOff::default();
        }
        // Of attempts that were begun before it opened, only the first counts.
        if !was_open || self.is_trying.swap(false, SeqCst) {
            let pause_ns = back_off::shortened(state.back_off.next_ns());
            self.not_before_ns.store(clock::now_ns().saturating_add(pause_ns), SeqCst);
        }
    }

    /// The last failure there was, also after a success.
    pub fn last_failure(&self) -> Option<CallbackFailure> {
        self.state.lock().last
    }

    /// All failures there were, also those before a success.
    pub fn count(&self) -> u64 {
        self.state.lock().count
    }

    /// The last failure, when it came after the first so many and no success after it.
    pub fn failure_after(&self, count: u64) -> Option<CallbackFailure> {
        let state = self.state.lock();
        state.last.filter(|_| state.count > count && self.failures() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::callback::Refusal;
    use crate::base::text::Text;

    fn failure() -> CallbackFailure {
        CallbackFailure { refusal: Refusal::IN_WORDS, message: Text::from("no server") }
    }

    #[test]
    fn opens_after_its_bound_and_closes_with_a_success() {
        let breaker = Breaker::new(3);
        for _ in 0..2 {
            breaker.failed(failure());
            assert!(!breaker.is_open() && breaker.admits() && breaker.pause_ns().is_none());
        }
        breaker.failed(failure());
        assert!(breaker.is_open() && !breaker.admits());
        assert!(breaker.pause_ns().is_some());
        assert_eq!(breaker.last_failure().unwrap().message.as_str(), "no server");
        breaker.succeeded();
        assert!(!breaker.is_open() && breaker.admits());
    }

    /// Lets an open breaker admit an attempt.
    fn admit(breaker: &Breaker) {
        breaker.not_before_ns.store(clock::now_ns(), SeqCst);
        assert!(breaker.admits());
    }

    #[test]
    fn ended_pause_admits_and_the_next_is_short() {
        let breaker = Breaker::new(1);
        breaker.failed(failure());
        for _ in 0..8 {
            admit(&breaker);
            breaker.failed(failure());
        }
        assert!(!breaker.admits());
        breaker.end_pause();
        assert!(breaker.is_open() && breaker.pause_ns().is_none() && breaker.admits());
        breaker.failed(failure());
        assert!(breaker.not_before_ns() <= clock::now_ns() + back_off::FIRST_NS);
    }

    #[test]
    fn attempt_from_before_the_end_of_a_pause_begins_none() {
        let breaker = Breaker::new(1);
        breaker.failed(failure());
        admit(&breaker);
        breaker.end_pause();
        breaker.failed(failure());
        assert!(breaker.pause_ns().is_none() && breaker.admits());
    }

    #[test]
    fn one_of_many_tries_when_the_pause_is_over() {
        let breaker = Breaker::new(1);
        breaker.failed(failure());
        breaker.not_before_ns.store(clock::now_ns(), SeqCst);
        let admitted = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| admitted.fetch_add(u32::from(breaker.admits()), SeqCst));
            }
        });
        assert_eq!(admitted.into_inner(), 1);
    }
}
