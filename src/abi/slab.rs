//! Slab: many objects of one size, side by side on the pages asked for, got and put one by one from any thread. There are
//! never more than a bound, and what is no slot, or is not out, is told when it is put.

mod callbacks;
mod config;
mod life;
mod live;
mod memory;
mod slots;
mod stats;

use super::status::{
    Failure, OSTLER_E_CALLBACK_FAILED, OSTLER_E_CLOSED, OSTLER_E_DOUBLE_FREE, OSTLER_E_EXHAUSTED,
    OSTLER_E_FOREIGN_POINTER, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_OUT_OF_MEMORY,
};
use crate::memory::slab::SlabError;
use crate::memory::slab::chunks::ChunkError;
use crate::memory::slab::states::StatesError;

pub use callbacks::*;
pub use config::*;
pub use life::*;
pub use live::*;
pub use memory::*;
pub use slots::*;
pub use stats::*;

/// Slots of one size for objects that come and go, shared by many threads.
pub struct ostler_slab {
    _opaque: [u8; 0],
}

impl From<SlabError> for Failure {
    fn from(error: SlabError) -> Self {
        let status = match error {
            SlabError::Source(error) => return error.into(),
            SlabError::Chunk(ChunkError::Pages(error)) => return error.into(),
            SlabError::States(StatesError::Refused(_)) => OSTLER_E_MEMORY_PRESSURE,
            SlabError::Space { .. }
            | SlabError::States(_)
            | SlabError::Chunk(ChunkError::Move(_) | ChunkError::OutOfMemory(_))
            | SlabError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
            SlabError::Magazine(error) => return error.into(),
            SlabError::Chunk(ChunkError::Full(_)) | SlabError::Exhausted { .. } => OSTLER_E_EXHAUSTED,
            SlabError::Closed | SlabError::Destroyed => OSTLER_E_CLOSED,
            SlabError::Callback(_) => OSTLER_E_CALLBACK_FAILED,
            SlabError::Foreign { .. } | SlabError::NeverGot { .. } => OSTLER_E_FOREIGN_POINTER,
            SlabError::PutTwice { .. } => OSTLER_E_DOUBLE_FREE,
            SlabError::Wait(end) => return end.into(),
        };
        Self::new(status, format_args!("{error}"))
    }
}
