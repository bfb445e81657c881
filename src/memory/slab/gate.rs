//! The gate: who moves slots between magazines and the depot, and who needs all of them to stand still.
//!
//! A call that moves slots does so in a *visit*, which takes no lock: it marks its magazine busy, passes the light side of an
//! asymmetric fence, and looks at the gate. Whoever needs exclusiveness changes the gate first, passes the heavy side, and
//! waits until no magazine is busy. While the gate is open each thread has its magazine; while it is shut every slot is in
//! the depot, where all find it, each visit passes a fence of its own, and after so many calls in peace it opens again.

use super::magazine::Magazine;
use crate::base::barrier;
use crate::base::sync::{AtomicBool, AtomicU32, Mutex, Ordering::*, fence};

const OPEN: u32 = 0;
const SHUT: u32 = 1;
const CHANGING: u32 = 2;
/// Shut for good.
const SEALED: u32 = 3;

const FIRST_PATIENCE: u32 = 32;
const LAST_PATIENCE: u32 = 1 << 16;

/// How the gate is left by one who had it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Open, if it was: nobody went short.
    AsItWas,
    Shut,
    Sealed,
}

pub struct Gate {
    state: AtomicU32,
    changes: Mutex<()>,
    /// Stays, also while another has the gate alone.
    sealed: AtomicBool,
    /// Visits of callers who have no magazine.
    strangers: AtomicU32,
    calm: AtomicU32,
    patience: AtomicU32,
}

/// A visit, which ends with this value.
pub struct Visit<'a> {
    gate: &'a Gate,
    magazine: Option<&'a Magazine>,
    /// Whether magazines are in use.
    pub is_open: bool,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        match self.magazine {
            Some(magazine) => magazine.busy.store(0, Release),
            None => drop(self.gate.strangers.fetch_sub(1, SeqCst)),
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            state: AtomicU32::new(OPEN),
            changes: Mutex::new(()),
            sealed: AtomicBool::new(false),
            strangers: AtomicU32::new(0),
            calm: AtomicU32::new(0),
            patience: AtomicU32::new(FIRST_PATIENCE),
        }
    }
}

impl Gate {
    /// Begins a visit; waits while another has the gate alone.
    pub fn visit<'a>(&'a self, magazine: Option<&'a Magazine>) -> Visit<'a> {
        loop {
            match magazine {
                // Its thread alone marks it.
                Some(magazine) => magazine.busy.store(1, Relaxed),
                None => drop(self.strangers.fetch_add(1, SeqCst)),
            }
            barrier::light();
            let mut state = self.state.load(SeqCst);
            if state != OPEN {
                fence(SeqCst);
                state = self.state.load(SeqCst);
            }
            let visit = Visit { gate: self, magazine, is_open: state == OPEN };
            if state != CHANGING {
                return visit;
            }
            drop(visit);
            drop(self.changes.lock());
        }
    }

    /// Runs `body` while nobody visits and no inline code gets at a magazine, after `each` got what was in them.
    pub fn alone<'a, R, I: Iterator<Item = &'a Magazine>>(
        &self,
        all: impl Fn() -> I,
        leave: Leave,
        each: impl FnMut(*mut u8),
        body: impl FnOnce() -> R,
    ) -> R {
        let _changes = self.changes.lock();
        let before = self.state.load(SeqCst);
        self.state.store(CHANGING, SeqCst);
        if before == OPEN {
            barrier::heavy();
        } else {
            // Since the heavy fence with which it was shut, each visit has passed one of its own.
            fence(SeqCst);
        }
        let _restore = Restore { gate: self, state: after(before, leave) };
        barrier::wait_while(|| self.strangers.load(SeqCst) > 0);
        for magazine in all() {
            barrier::wait_while(|| magazine.busy.load(SeqCst) > 0);
        }
        if leave == Leave::Sealed {
            self.sealed.store(true, SeqCst);
        }
        if before == OPEN {
            all().for_each(Magazine::shut);
            barrier::heavy();
        }
        let mut each = each;
        all().for_each(|magazine| magazine.drain(&mut each));
        if leave == Leave::Shut {
            self.calm.store(0, Relaxed);
            self.patience.store((self.patience.load(Relaxed) * 2).min(LAST_PATIENCE), Relaxed);
        }
        body()
    }

    /// To be called by one who was served while it is shut, after the visit.
    pub fn note_calm(&self) {
        let calm = self.calm.load(Relaxed) + 1;
        self.calm.store(calm, Relaxed);
        if calm >= self.patience.load(Relaxed) {
            let _changes = self.changes.lock();
            self.calm.store(0, Relaxed);
            // Another may have sealed it meanwhile.
            let _ = self.state.compare_exchange(SHUT, OPEN, SeqCst, SeqCst);
        }
    }

    pub fn is_sealed(&self) -> bool {
        self.sealed.load(SeqCst)
    }
}

fn after(before: u32, leave: Leave) -> u32 {
    match leave {
        _ if before == SEALED => SEALED,
        Leave::AsItWas => before,
        Leave::Shut => SHUT,
        Leave::Sealed => SEALED,
    }
}

/// Leaves the gate in a state that others can go on with, also when the body unwinds.
struct Restore<'a> {
    gate: &'a Gate,
    state: u32,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        self.gate.state.store(self.state, SeqCst);
    }
}
