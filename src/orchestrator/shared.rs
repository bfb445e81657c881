//! What an orchestrator and its models share.

use super::table::Table;
use crate::base::Owner;
use crate::base::clock::Deadline;
use crate::base::park::Parker;
use crate::base::watchers::Watchers;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::*};

pub struct Shared {
    /// The orchestrator.
    pub owner: Owner,
    pub table: Table,
    pub memory: DeclaredMemory,
    pub bell: Bell,
    /// Draining or being destroyed.
    pub closed: AtomicBool,
    /// Told when a request of a closed model has ended, and when a model is gone.
    pub ended: Watchers,
}

/// The memory that loaded workers declare, within a limit.
pub struct DeclaredMemory {
    pub limit_bytes: u64,
    charged_bytes: AtomicU64,
}

impl DeclaredMemory {
    /// A limit of 0 is none.
    pub fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, charged_bytes: AtomicU64::new(0) }
    }

    pub fn charged_bytes(&self) -> u64 {
        self.charged_bytes.load(SeqCst)
    }

    pub fn charge(&self, bytes: u64) -> bool {
        let limit = if self.limit_bytes == 0 { u64::MAX } else { self.limit_bytes };
        let add = |charged: u64| charged.checked_add(bytes).filter(|sum| *sum <= limit);
        self.charged_bytes.fetch_update(SeqCst, SeqCst, add).is_ok()
    }

    pub fn discharge(&self, bytes: u64) {
        self.charged_bytes.fetch_sub(bytes, SeqCst);
    }
}

/// Wakes the manager: at once, or when its sleep would end too late.
#[derive(Default)]
pub struct Bell {
    /// When the manager looks next by itself.
    next_look_ns: AtomicU64,
    manager: AtomicPtr<Parker>,
    stop: AtomicBool,
}

impl Bell {
    /// The manager will look at this moment, or before.
    #[inline]
    pub fn ring_by(&self, moment_ns: u64) {
        if moment_ns < self.next_look_ns.load(SeqCst) {
            self.next_look_ns.fetch_min(moment_ns, SeqCst);
            self.unpark();
        }
    }

    /// The manager will look now.
    pub fn ring(&self) {
        self.ring_by(0);
    }

    pub fn stop(&self) {
        self.stop.store(true, SeqCst);
        self.unpark();
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(SeqCst)
    }

    /// The manager begins to look: what rings from now on is another look.
    pub fn begin_look(&self, parker: &'static Parker) {
        self.manager.store((&raw const *parker).cast_mut(), SeqCst);
        self.next_look_ns.store(u64::MAX, SeqCst);
    }

    /// The manager has looked, and sleeps until the next moment that it found or that rang meanwhile.
    pub fn end_look(&self, found_ns: u64, parker: &'static Parker) {
        let rung_ns = self.next_look_ns.fetch_min(found_ns, SeqCst);
        let next_ns = rung_ns.min(found_ns);
        let until = if next_ns == u64::MAX { Deadline::NEVER } else { Deadline::at(next_ns) };
        if !self.is_stopped() && !until.has_passed() {
            parker.park(until);
        }
    }

    fn unpark(&self) {
        // SAFETY: parkers are never freed.
        if let Some(manager) = unsafe { self.manager.load(SeqCst).as_ref() } {
            manager.unpark();
        }
    }
}
