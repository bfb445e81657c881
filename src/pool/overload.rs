//! What keeps the queue of waiters short when more is asked of the pool than it can give. A queue that has not been short
//! for a while is not a buffer but a delay: then those who have waited too long are refused when their turn comes, so that
//! others are served in time (controlled delay: K. Nichols and V. Jacobson, 2012). And who cannot be served in time at the
//! present rate is refused at once.

use crate::base::clock;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// So many turns are looked at before the rate is known.
const TURNS: u32 = 8;

pub(super) struct Overload {
    /// 0: nobody is refused for having waited.
    target_ns: u64,
    interval_ns: u64,
    refuses_hopeless: bool,
    pub refused: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    window_end_ns: u64,
    /// The shortest wait of this window.
    least_ns: Option<u64>,
    /// In the last window nobody waited less than the target.
    is_standing: bool,
    /// 0: nobody has waited since.
    last_turn_ns: u64,
    mean_turn_ns: u64,
    turns: u32,
}

impl Overload {
    pub fn new(target_ns: u64, interval_ns: u64, refuses_hopeless: bool) -> Self {
        let refused = AtomicU64::new(0);
        Self { target_ns, interval_ns, refuses_hopeless, refused, state: Mutex::default() }
    }

    pub fn is_watched(&self) -> bool {
        self.target_ns > 0 || self.refuses_hopeless
    }

    /// Whether one who has waited since then is refused, now that its turn has come.
    pub fn is_too_late(&self, since_ns: u64) -> bool {
        if self.target_ns == 0 {
            return false;
        }
        let now_ns = clock::now_ns();
        let waited_ns = now_ns.saturating_sub(since_ns);
        let mut state = self.state.lock();
        if now_ns >= state.window_end_ns {
            state.is_standing = state.least_ns.is_some_and(|least_ns| least_ns > self.target_ns);
            state.least_ns = None;
            state.window_end_ns = now_ns.saturating_add(self.interval_ns);
        }
        state.least_ns = Some(state.least_ns.map_or(waited_ns, |least_ns| least_ns.min(waited_ns)));
        let is_too_late = state.is_standing && waited_ns > self.target_ns;
        if is_too_late {
            self.refused.fetch_add(1, Relaxed);
        }
        is_too_late
    }

    /// A waiter got a resource; `others_wait` tells whether the next turn is another's.
    pub fn note_turn(&self, others_wait: bool) {
        if !self.refuses_hopeless {
            return;
        }
        let now_ns = clock::now_ns();
        let mut state = self.state.lock();
        if state.last_turn_ns != 0 {
            let turn_ns = now_ns.saturating_sub(state.last_turn_ns);
            state.mean_turn_ns = if state.turns == 0 { turn_ns } else { (state.mean_turn_ns * 7 + turn_ns) / 8 };
            state.turns = (state.turns + 1).min(TURNS);
        }
        state.last_turn_ns = if others_wait { now_ns } else { 0 };
    }

    /// How long a wait behind so many would take at the present rate, when that is longer than the time there is.
    pub fn hopeless_ns(&self, ahead: u32, left_ns: Option<u64>) -> Option<u64> {
        let left_ns = left_ns.filter(|_| self.refuses_hopeless && ahead > 0)?;
        let state = self.state.lock();
        let is_known = state.turns >= TURNS && state.last_turn_ns != 0;
        let expected_ns = u64::from(ahead + 1).saturating_mul(state.mean_turn_ns);
        let is_hopeless = is_known && expected_ns > left_ns;
        if is_hopeless {
            self.refused.fetch_add(1, Relaxed);
        }
        is_hopeless.then_some(expected_ns)
    }
}
