//! What can be wrong with a call, and which block it is about.

use super::guards::Damage;
use crate::base::InvalidField;
use crate::base::alloc::OutOfMemory;
use crate::base::cancel::WaitEnd;
use crate::memory::pages::PagesError;
use crate::memory::source::SourceError;

#[derive(Debug, thiserror::Error)]
pub enum HeapError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error("the heap is closing: it takes no new work")]
    Closed,
    #[error("{wanted} bytes more would pass limit_bytes {limit}: {mapped} bytes are mapped")]
    Limit { wanted: u64, limit: u64, mapped: u64 },
    #[error("no {wanted} bytes are free side by side in the memory that was adopted, and adopted_only is 1")]
    AdoptedFull { wanted: u64 },
    #[error("memory_bytes is {bytes}, but the memory must hold at least 4096 bytes and at most 64 GiB")]
    AdoptedSize { bytes: u64 },
    #[error("memory at {address:#x} overlaps memory that the heap has already")]
    AdoptedTwice { address: usize },
    #[error("{address:#x} lies in no memory of this heap, which did not give it out")]
    Foreign { address: usize },
    #[error(
        "{address:#x} is not where a block begins: it lies {offset} bytes into the block of {bytes} bytes at {block:#x}"
    )]
    Inside { address: usize, block: usize, bytes: u64, offset: usize },
    #[error("the block of {bytes} bytes at {address:#x} was given back before")]
    Freed { address: usize, bytes: u64 },
    #[error("{address:#x} lies in free memory: it was given back before, or never given out")]
    InFreeMemory { address: usize },
    #[error("{address:#x} belongs to a movable block, which goes by its handle")]
    OfHandle { address: usize },
    #[error("block {value:#x} was given back, or is of another heap")]
    StaleBlock { value: u64 },
    #[error("block {value:#x} is pinned")]
    Pinned { value: u64 },
    #[error("block is one that nobody has pinned, but must be one that is")]
    NotPinned,
    #[error("the block is pinned 16777213 times already")]
    TooManyPins,
    #[error("the heap has 16777216 movable blocks already")]
    TooManyBlocks,
    #[error(transparent)]
    Overrun(#[from] Damage),
    #[error("{0}, with blocks still out")]
    Wait(WaitEnd),
}
