//! The memory that resources hold, as far as the host has declared it: charged to an account for as long as each lives, and
//! given back when memory runs short, by what is idle.

use super::pool::Pool;
use crate::base::Name;
use crate::base::alloc::OutOfMemory;
use crate::base::callback::{CallbackFailure, Refusal};
use crate::base::handles;
use crate::base::text::Text;
use crate::memory::governor::account::Need;
use crate::memory::governor::reclaim::{ReclaimKind, Reclaimer};
use crate::memory::governor::{Account, Holder};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(super) struct Memory {
    /// What each resource holds; 0: it is not known, and nothing is charged.
    resource_bytes: u64,
    account: Option<Arc<Account>>,
    /// When a lease last ended that was measured.
    pub last_used_ns: AtomicU64,
}

impl Memory {
    pub fn new(resource_bytes: u64, name: Name) -> Result<Self, OutOfMemory> {
        let account = if resource_bytes > 0 { Some(Account::open(Holder::Pool, name)?) } else { None };
        Ok(Self { resource_bytes, account, last_used_ns: AtomicU64::new(0) })
    }

    /// What each resource holds, and whose memory it is.
    pub fn declared(&self) -> Option<(u64, &Account)> {
        self.account.as_deref().map(|account| (self.resource_bytes, account))
    }

    /// For a resource that is about to be made.
    pub fn take(&self) -> Result<(), CallbackFailure> {
        let Some(account) = &self.account else { return Ok(()) };
        account.take(self.resource_bytes, Need::Ordinary).map_err(|refused| CallbackFailure {
            refusal: Refusal::IN_WORDS,
            message: Text::format(format_args!("create was not called: {refused}")),
        })
    }

    /// For one that is gone, or could not be made.
    pub fn give(&self) {
        if let Some(account) = &self.account {
            account.give(self.resource_bytes);
        }
    }
}

#[cfg(test)]
impl Pool {
    pub fn charged_bytes(&self) -> u64 {
        self.memory.account.as_ref().map_or(0, |account| account.held())
    }
}

impl Reclaimer for Pool {
    fn kind(&self) -> ReclaimKind {
        ReclaimKind::Pool
    }

    fn reclaimable_bytes(&self) -> u64 {
        let idle = self.ready() + self.count_at_hand();
        u64::from(self.size().saturating_sub(self.limits.min_size()).min(idle)) * self.memory.resource_bytes
    }

    fn last_used_ns(&self) -> u64 {
        let times = self.slots.iter().map(|slot| slot.since_ns.load(Relaxed));
        times.max().unwrap_or(0).max(self.memory.last_used_ns.load(Relaxed))
    }

    fn reclaim(&self, bytes: u64) -> u64 {
        let each = self.memory.resource_bytes;
        // A call like a host's, so that a destroy waits for its callbacks.
        let Ok(pool) = handles::pin::<Pool>(self.owner.0) else { return 0 };
        if each == 0 {
            return 0;
        }
        pool.recall();
        let surplus = u32::try_from(bytes.div_ceil(each)).unwrap_or(u32::MAX);
        u64::from(pool.trim(pool.ready().saturating_sub(surplus))) * each
    }
}
