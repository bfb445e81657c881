//! Accounts: bytes held are bytes charged, in one tree whose root is the process.

use crate::base::Name;
use crate::base::alloc::{self, OutOfMemory};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// What kind of object an account belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Holder {
    Process = 0,
    Arena = 1,
    Heap = 2,
    Slab = 3,
    Buffers = 4,
    Lazy = 5,
    /// A mapped file.
    File = 6,
    /// Memory that other processes can map.
    Shared = 7,
    Pool = 8,
    Worker = 9,
    /// What a program reports of its own: a device's memory, another runtime's heap.
    External = 10,
}

/// The governor does not let an account grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} bytes more would pass the governor's limit of {limit}: {held} bytes are held")]
pub struct Refused {
    pub wanted: u64,
    pub held: u64,
    pub limit: u64,
}

#[derive(Debug)]
pub struct Account {
    pub holder: Holder,
    pub name: Name,
    held: AtomicU64,
}

/// Bytes of all accounts.
static HELD: AtomicU64 = AtomicU64::new(0);

/// Bytes that all accounts of this process hold together.
pub fn held() -> u64 {
    HELD.load(Relaxed)
}

impl Account {
    pub fn open(holder: Holder, name: Name) -> Result<Arc<Self>, OutOfMemory> {
        alloc::try_arc(Self { holder, name, held: AtomicU64::new(0) })
    }

    /// Counts bytes that are about to be held, until the charge is dropped.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge, Refused> {
        self.held.fetch_add(bytes, Relaxed);
        HELD.fetch_add(bytes, Relaxed);
        Ok(Charge { account: self.clone(), bytes })
    }

    pub fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }
}

/// Bytes that an account is charged for.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl Charge {
    /// Moves to another account. The process holds no more and no less for that.
    pub fn hand_over(&mut self, to: &Arc<Account>) -> Result<(), Refused> {
        to.held.fetch_add(self.bytes, Relaxed);
        self.account.held.fetch_sub(self.bytes, Relaxed);
        self.account = to.clone();
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.held.fetch_sub(self.bytes, Relaxed);
        HELD.fetch_sub(self.bytes, Relaxed);
    }
}
