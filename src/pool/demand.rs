//! What a caller asks for, and the share of the pool that is kept for callers of high priority.

use super::slots::OF_TAP;
use crate::base::priority::Priority;
use crate::base::thread::Caller;
use crate::base::tracing::CallSite;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// Who acquires, and what is wanted.
#[derive(Clone, Copy)]
pub struct Demand {
    pub caller: Caller,
    /// What stands in the lease: the number of the caller's thread, or of its tap.
    pub borrower: u32,
    pub priority: Priority,
    /// The settings that the resource shall have; 0: as create makes it.
    pub tag: u64,
    /// From where, while tracing is on.
    pub site: CallSite,
}

impl Demand {
    #[inline(always)]
    pub fn plain(caller: Caller) -> Self {
        Self { caller, borrower: caller.number(), priority: Priority::Normal, tag: 0, site: CallSite::here() }
    }

    /// The same when another thread goes on with it. What is leased through a tap belongs to that.
    pub(super) fn taken_up_by(self, caller: Caller) -> Self {
        let borrower = if self.borrower & OF_TAP == 0 { caller.number() } else { self.borrower };
        Self { caller, borrower, ..self }
    }

    /// Whether a share of the pool is kept from it.
    #[inline]
    pub(super) fn is_ordinary(&self) -> bool {
        is_ordinary(self.priority)
    }
}

fn is_ordinary(priority: Priority) -> bool {
    priority.rank() > Priority::High.rank()
}

/// Of the resources, so many are kept for critical and high callers: all others together have at most the rest.
pub(super) struct Reserve {
    kept: u32,
    ordinary: AtomicU32,
}

impl Reserve {
    pub fn new(kept: u32) -> Self {
        Self { kept, ordinary: AtomicU32::new(0) }
    }

    #[inline]
    pub fn is_there(&self) -> bool {
        self.kept > 0
    }

    /// The most that callers of this priority may have.
    pub fn most(&self, priority: Priority, max_size: u32) -> u32 {
        if is_ordinary(priority) { max_size.saturating_sub(self.kept) } else { max_size }
    }

    /// Takes so many shares, or none; they end one by one with [`Reserve::leave`].
    #[inline]
    pub fn enter(&self, priority: Priority, count: u32, max_size: u32) -> bool {
        if self.kept == 0 || !is_ordinary(priority) {
            return true;
        }
        let most = self.most(priority, max_size);
        self.ordinary.fetch_update(SeqCst, SeqCst, |now| (now + count <= most).then_some(now + count)).is_ok()
    }

    #[inline]
    pub fn leave(&self, priority: Priority, count: u32) {
        if self.kept > 0 && is_ordinary(priority) {
            self.ordinary.fetch_sub(count, SeqCst);
        }
    }
}
