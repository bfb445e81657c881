//! The memory that loaded workers hold, as far as the host has declared it: charged to an account from before a load until
//! after the unload, and given back when memory runs short, by workers above the least number that have nothing to do.

use super::model::Model;
use crate::base::alloc::OutOfMemory;
use crate::base::callback::{self, CallbackFailure, Refusal};
use crate::base::text::Text;
use crate::base::{Name, clock};
use crate::memory::governor::reclaim::{self, ReclaimKind, Reclaimer};
use crate::memory::governor::{Account, Charge, Holder};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

pub(super) struct WorkerMemory {
    /// What each worker holds; 0: it is not known, and nothing is charged.
    worker_bytes: u64,
    account: Option<Arc<Account>>,
    /// When a run last ended.
    pub last_used_ns: AtomicU64,
}

impl WorkerMemory {
    pub fn new(worker_bytes: u64, name: Name) -> Result<Self, OutOfMemory> {
        let account = if worker_bytes > 0 { Some(Account::open(Holder::Worker, name)?) } else { None };
        Ok(Self { worker_bytes, account, last_used_ns: AtomicU64::new(clock::now_ns()) })
    }

    /// For a worker that is about to load; `None`: it declares nothing.
    pub fn charge(&self) -> Result<Option<Charge>, CallbackFailure> {
        let Some(account) = &self.account else { return Ok(None) };
        account.charge(self.worker_bytes).map(Some).map_err(|refused| CallbackFailure {
            refusal: Refusal::IN_WORDS,
            message: Text::format(format_args!("load was not called: {refused}")),
        })
    }
}

impl Model {
    /// It is asked when memory runs short, if it is known what its workers hold.
    pub(super) fn take_part_in_reclaim(self: &Arc<Self>) -> Result<(), OutOfMemory> {
        if self.memory.worker_bytes == 0 {
            return Ok(());
        }
        let reclaimer: Weak<Self> = Arc::downgrade(self);
        reclaim::register::<Self>(self.owner(), reclaimer)
    }
}

impl Reclaimer for Model {
    fn kind(&self) -> ReclaimKind {
        ReclaimKind::Worker
    }

    fn reclaimable_bytes(&self) -> u64 {
        u64::from(self.crew.above_least().min(self.queue.dispensable())) * self.memory.worker_bytes
    }

    fn last_used_ns(&self) -> u64 {
        self.memory.last_used_ns.load(Relaxed)
    }

    /// Waits for the unloads. From inside a callback of the model, which an unload may wait for, nobody goes.
    fn reclaim(&self, bytes: u64) -> u64 {
        let each = self.memory.worker_bytes;
        if each == 0 || callback::waits_for_itself(self.owner) {
            return 0;
        }
        let wanted = bytes.div_ceil(each);
        let evicted = (0..wanted).take_while(|_| self.queue.send_home(|| self.crew.try_evict())).count();
        self.crew.wait_evicted();
        evicted as u64 * each
    }

    fn account(&self) -> Option<&Arc<Account>> {
        self.memory.account.as_ref()
    }
}
