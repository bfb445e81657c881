//! Callers who wait for resources, first come first served. The first in the queue collects what it wants before the
//! next gets anything, so that two who want several each cannot hold up one another. Who was handed something that was
//! not fit any more goes on waiting in its old place.
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
}

/// How a wait in the queue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has all that it wants.
    Served,
    /// A resource was to be made for it, and could not be.
    Failed,
}

const WAITING: u32 = 0;
const SERVED: u32 = 1;
const FAILED: u32 = 2;

pub struct Waiter {
    /// Its place among those who came before and after it, which it keeps when it has to enter again.
    turn: u64,
    wants: u32,
    got: Mutex<Vec<Grant>>,
    state: AtomicU32,
    parker: &'static Parker,
    /// The number of its thread.
    thread: u32,
}

impl Waiter {
    pub fn wants(&self) -> u32 {
        self.wants
    }

    pub fn verdict(&self) -> Option<Verdict> {
        match self.state.load(Acquire) {
            WAITING => None,
            FAILED => Some(Verdict::Failed),
            _ => Some(Verdict::Served),
        }
    }

    /// Whether it was handed a part of what it wants.
    pub fn has_some(&self) -> bool {
        !self.got.lock().is_empty()
    }

    fn end(&self, state: u32) {
        self.state.store(state, Release);
        self.parker.unpark();
    }
}

#[derive(Default)]
pub struct Waiters {
    queue: Mutex<VecDeque<Arc<Waiter>>>,
    turns: AtomicU64,
    count: AtomicU32,
    /// Resources that those in the queue still want.
    wanted: AtomicU32,
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

    pub fn wanted(&self) -> u32 {
        self.wanted.load(SeqCst)
    }

    pub fn peak(&self) -> u32 {
        self.peak.load(Relaxed)
    }

    /// Enters the queue at its end, for so many resources. The caller must [`serve`](Self::serve) afterwards, and
    /// [`leave`](Self::leave) in the end.
    pub fn enter(&self, parker: &'static Parker, thread: u32, wants: u32) -> Result<Arc<Waiter>, OutOfMemory> {
        self.enter_at(self.turns.fetch_add(1, Relaxed), parker, thread, wants)
    }

    /// Enters the queue where this one stood, which was handed something that was not fit. The same holds for it as after
    /// [`enter`](Self::enter).
    pub fn enter_again(&self, before: &Waiter) -> Result<Arc<Waiter>, OutOfMemory> {
        self.enter_at(before.turn, before.parker, before.thread, before.wants)
    }

    fn enter_at(
        &self,
        turn: u64,
        parker: &'static Parker,
        thread: u32,
        wants: u32,
    ) -> Result<Arc<Waiter>, OutOfMemory> {
        let got = Mutex::new(alloc::try_vec(wants as usize)?);
        let waiter = alloc::try_arc(Waiter { turn, wants, got, state: AtomicU32::new(WAITING), parker, thread })?;
        let mut queue = self.queue.lock();
        queue.try_reserve(1).map_err(|_| OutOfMemory { bytes: size_of::<Arc<Waiter>>() as u64 })?;
        let place = queue.partition_point(|other| other.turn <= turn);
        if place == 0
            && let Some(first) = queue.front()
        {
            // What the one behind it has collected is its own now, or each could keep what the other one wants.
            let mut collected = first.got.lock();
            let kept = collected.len().saturating_sub(wants as usize);
            waiter.got.lock().extend(collected.drain(kept..));
        }
        queue.insert(place, waiter.clone());
        self.wanted.fetch_add(wants, SeqCst);
        self.count.store(queue.len() as u32, SeqCst);
        self.peak.fetch_max(queue.len() as u32, Relaxed);
        Ok(waiter)
    }

    /// Leaves the queue with what it was handed, which the caller must use or free.
    pub fn leave(&self, waiter: &Arc<Waiter>) -> Vec<Grant> {
        let mut queue = self.queue.lock();
        let got = std::mem::take(&mut *waiter.got.lock());
        if let Some(place) = queue.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            queue.remove(place);
            self.forget(waiter, got.len(), queue.len());
        }
        got
    }

    /// Hands what `free` finds to the first waiters, until one of the two runs out.
    pub fn serve(&self, mut free: impl FnMut() -> Option<Grant>) {
        // Woken without the lock, which the one who wakes takes first.
        while let Some(served) = self.serve_first(&mut free) {
            served.end(SERVED);
        }
    }

    /// The first waiter, when it has all that it wants.
    fn serve_first(&self, mut free: impl FnMut() -> Option<Grant>) -> Option<Arc<Waiter>> {
        let mut queue = self.queue.lock();
        let first = queue.front()?;
        let mut got = first.got.lock();
        while got.len() < first.wants as usize {
            got.push(free()?);
            self.wanted.fetch_sub(1, SeqCst);
        }
        drop(got);
        let served = queue.pop_front();
        self.count.store(queue.len() as u32, SeqCst);
        served
    }

    /// Tells the first waiter that nothing comes for it.
    pub fn fail_first(&self) {
        let mut queue = self.queue.lock();
        if let Some(first) = queue.pop_front() {
            let got = first.got.lock().len();
            self.forget(&first, got, queue.len());
            drop(queue);
            first.end(FAILED);
        }
    }

    fn forget(&self, waiter: &Waiter, got: usize, left: usize) {
        self.wanted.fetch_sub(waiter.wants - got as u32, SeqCst);
        self.count.store(left as u32, SeqCst);
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
