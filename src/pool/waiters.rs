//! Callers who wait for a resource, first come first served.
//!
//! No wake-up is lost: a caller enters the queue (sequentially consistent count) and then looks at what is free; who
//! frees something puts it down (sequentially consistent) and then looks at the count. At least one of the two sees
//! the other, and whoever does matches waiters with what is free under the lock.

use crate::base::alloc::{self, OutOfMemory};
use crate::base::park::Parker;
use crate::base::sync::{AtomicU32, AtomicU64, Mutex, Ordering::*};
use std::collections::VecDeque;
use std::sync::Arc;

/// What a waiter was handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A slot with an idle resource.
    Idle(u32),
    /// An empty slot, to create a resource in.
    Vacant(u32),
    /// Nothing: a resource was to be made for it, and could not be.
    Failed,
}

const WAITING: u64 = 0;
const IDLE: u64 = 1 << 32;
const VACANT: u64 = 2 << 32;
const FAILED: u64 = 4 << 32;

pub struct Waiter {
    grant: AtomicU64,
    parker: &'static Parker,
    /// The number of its thread.
    thread: u32,
}

impl Waiter {
    pub fn grant(&self) -> Option<Grant> {
        match self.grant.load(Acquire) {
            WAITING => None,
            FAILED => Some(Grant::Failed),
            grant if grant & VACANT != 0 => Some(Grant::Vacant(grant as u32)),
            grant => Some(Grant::Idle(grant as u32)),
        }
    }

    fn hand(&self, grant: Grant) {
        let word = match grant {
            Grant::Idle(slot) => IDLE | u64::from(slot),
            Grant::Vacant(slot) => VACANT | u64::from(slot),
            Grant::Failed => FAILED,
        };
        self.grant.store(word, Release);
        self.parker.unpark();
    }
}

#[derive(Default)]
pub struct Waiters {
    queue: Mutex<VecDeque<Arc<Waiter>>>,
    count: AtomicU32,
    peak: AtomicU32,
}

impl Waiters {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count.load(SeqCst) == 0
    }

    pub fn count(&self) -> u32 {
        self.count.load(SeqCst)
    }

    pub fn peak(&self) -> u32 {
        self.peak.load(Relaxed)
    }

    /// Enters the queue at its end. The caller must [`serve`](Self::serve) afterwards.
    pub fn enter(&self, parker: &'static Parker, thread: u32) -> Result<Arc<Waiter>, OutOfMemory> {
        let waiter = alloc::try_arc(Waiter { grant: AtomicU64::new(WAITING), parker, thread })?;
        let mut queue = self.queue.lock();
        queue.try_reserve(1).map_err(|_| OutOfMemory { bytes: size_of::<Arc<Waiter>>() as u64 })?;
        queue.push_back(waiter.clone());
        self.count.store(queue.len() as u32, SeqCst);
        self.peak.fetch_max(queue.len() as u32, Relaxed);
        Ok(waiter)
    }

    /// Leaves the queue. A grant that came first is given back to the caller, who must use it or free it.
    pub fn leave(&self, waiter: &Arc<Waiter>) -> Option<Grant> {
        let mut queue = self.queue.lock();
        if let Some(place) = queue.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            queue.remove(place);
            self.count.store(queue.len() as u32, SeqCst);
        }
        waiter.grant()
    }

    /// Hands what `free` finds to the first waiters, until one of the two runs out.
    pub fn serve(&self, mut free: impl FnMut() -> Option<Grant>) {
        let mut queue = self.queue.lock();
        while !queue.is_empty() {
            let Some(grant) = free() else { break };
            if let Some(first) = queue.pop_front() {
                self.count.store(queue.len() as u32, SeqCst);
                first.hand(grant);
            }
        }
    }

    /// Tells the first waiter that nothing comes for it.
    pub fn fail_first(&self) {
        let mut offer = Some(Grant::Failed);
        self.serve(|| offer.take());
    }

    pub fn for_each_thread(&self, mut visit: impl FnMut(u32)) {
        self.queue.lock().iter().for_each(|waiter| visit(waiter.thread));
    }

    /// Wakes everybody, to look at a state that changed for all of them.
    pub fn wake_all(&self) {
        for waiter in self.queue.lock().iter() {
            waiter.parker.unpark();
        }
    }
}
