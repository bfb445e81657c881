//! Where submitters put requests down without a lock: a stack linked through the slots. Whoever holds the queue's
//! lock takes it whole, which leaves no room for the ABA problem, and turns it round.

use super::table::{NONE, Table};
use crate::base::sync::{AtomicU32, Ordering::*};

#[repr(align(128))]
pub struct Inbox {
    head: AtomicU32,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { head: AtomicU32::new(NONE) }
    }
}

impl Inbox {
    /// Sequentially consistent, because the submitter looks next whether a worker sleeps.
    #[inline]
    pub fn push(&self, table: &Table, number: u32) {
        let slot = table.slot(number);
        let mut head = self.head.load(Relaxed);
        loop {
            slot.next.store(head, Relaxed);
            match self.head.compare_exchange_weak(head, number, SeqCst, Relaxed) {
                Ok(_) => return,
                Err(newer) => head = newer,
            }
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.load(SeqCst) == NONE
    }

    /// Takes everything, oldest first.
    pub fn drain(&self, table: &Table, mut each: impl FnMut(u32)) {
        if self.is_empty() {
            return;
        }
        let mut newest = self.head.swap(NONE, SeqCst);
        let mut oldest = NONE;
        while newest != NONE {
            let slot = table.slot(newest);
            let before = slot.next.swap(oldest, Relaxed);
            oldest = newest;
            newest = before;
        }
        while oldest != NONE {
            let after = table.slot(oldest).next.load(Relaxed);
            each(oldest);
            oldest = after;
        }
    }
}
