//! Giving back: chunks that an arena keeps for later, and can do without.

use super::super::governor::Account;
use super::super::governor::reclaim::{ReclaimKind, Reclaimer};
use super::Arena;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;

impl Arena {
    /// Gives chunks that are kept for later back to the system, until at most `keep` bytes of them are left. Says how
    /// much went.
    pub fn trim(&self, keep: u64) -> u64 {
        let kept = self.state.lock().chunks.kept_bytes();
        self.give_back(kept.saturating_sub(keep))
    }

    /// Chunk by chunk, so that the kernel is never called with the lock held, and without needing memory.
    pub(super) fn give_back(&self, wanted: u64) -> u64 {
        let mut gone = 0;
        while gone < wanted {
            let Some(mapping) = self.state.lock().chunks.take_kept() else { break };
            gone += mapping.bytes;
        }
        gone
    }
}

impl Reclaimer for Arena {
    fn kind(&self) -> ReclaimKind {
        ReclaimKind::Empty
    }

    fn reclaimable_bytes(&self) -> u64 {
        self.state.lock().chunks.kept_bytes()
    }

    fn last_used_ns(&self) -> u64 {
        self.last_used_ns.load(Relaxed)
    }

    fn reclaim(&self, bytes: u64) -> u64 {
        self.give_back(bytes)
    }

    fn account(&self) -> Option<&Arc<Account>> {
        Some(&self.account)
    }
}
