//! What can be given back when memory runs short.

use crate::base::alloc::{self, OutOfMemory};
use parking_lot::Mutex;
use std::sync::Weak;

/// In the order of what it costs to get it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum ReclaimKind {
    /// Empty chunks of slabs, arenas and buffers.
    Empty = 0,
    /// Values that are loaded again at the next access.
    Lazy = 1,
    /// Idle resources of pools.
    Pool = 2,
    /// Blocks of heaps that can be moved together.
    Compact = 3,
    /// Idle workers.
    Worker = 4,
}

/// An object that holds memory which it can do without. Called on the governor's thread with no lock held.
pub trait Reclaimer: Send + Sync {
    fn kind(&self) -> ReclaimKind;
    /// What a [`reclaim`](Self::reclaim) could free now, as far as that is known.
    fn reclaimable_bytes(&self) -> u64;
    /// When it was last of use, on the library's clock; what was used longest ago goes first.
    fn last_used_ns(&self) -> u64;
    /// Gives back about `bytes`, and says how much it was.
    fn reclaim(&self, bytes: u64) -> u64;
}

/// Who can be asked; the dead are forgotten when the next one comes.
static RECLAIMERS: Mutex<Vec<Weak<dyn Reclaimer>>> = Mutex::new(Vec::new());

/// Makes an object one that is asked when memory runs short, for as long as it lives.
pub fn register(reclaimer: Weak<dyn Reclaimer>) -> Result<(), OutOfMemory> {
    let mut list = RECLAIMERS.lock();
    list.retain(|known| known.strong_count() > 0);
    alloc::try_reserve_one(&mut list)?;
    list.push(reclaimer);
    Ok(())
}
