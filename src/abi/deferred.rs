//! Deferred: one-shot cells that carry a result from whoever makes it to whoever takes it. All cells of a set are made
//! beforehand and used again; the name of one use is never valid for another. Nothing here allocates, and a
//! lock is taken only when another thread comes, for what one had for itself until then.

mod acquiring;
mod callbacks;
mod completing;
mod config;
mod life;
mod outcomes;
mod stats;
mod taking;

use super::arguments::{check_count, null};
use super::status::{
    Failure, OSTLER_E_ALREADY_COMPLETED, OSTLER_E_BUSY, OSTLER_E_CLOSED, OSTLER_E_EXHAUSTED, OSTLER_E_NOT_READY,
    OSTLER_E_STALE_CELL,
};
use crate::pool::cells::Key;
use crate::pool::{CreateDeferredError, DeferredError};

pub use acquiring::*;
pub use callbacks::*;
pub(super) use completing::settled;
pub use completing::*;
pub use config::*;
pub use life::*;
pub(super) use outcomes::outcome_of;
pub use stats::*;
pub(super) use taking::empty;
pub use taking::*;

/// A set of cells. As long as one thread, or the user of one desk, alone completes cells and takes what came, its calls have no
/// locked operation; the first other who does ends that for this set, which takes some microseconds once. When a desk that was
/// alone is closed, whoever comes next is alone. Free cells that threads and desks have at hand are recalled for one who finds
/// too few others, which takes some microseconds as well, and the more rarely the more often it happens.
pub struct ostler_deferred {
    _opaque: [u8; 0],
}

/// Names one use of one cell. A value of 0 is never a cell.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_cell {
    pub value: u64,
}

impl From<CreateDeferredError> for Failure {
    fn from(error: CreateDeferredError) -> Self {
        match error {
            CreateDeferredError::InvalidField(error) => error.into(),
            CreateDeferredError::OutOfMemory(error) => error.into(),
        }
    }
}

impl From<DeferredError> for Failure {
    fn from(error: DeferredError) -> Self {
        let status = match error {
            DeferredError::Closed => OSTLER_E_CLOSED,
            DeferredError::Exhausted { .. } => OSTLER_E_EXHAUSTED,
            DeferredError::Stale { .. } => OSTLER_E_STALE_CELL,
            DeferredError::AlreadyCompleted { .. } => OSTLER_E_ALREADY_COMPLETED,
            DeferredError::NotReady => OSTLER_E_NOT_READY,
            DeferredError::HasCompletion { .. } | DeferredError::Waited { .. } => OSTLER_E_BUSY,
            DeferredError::Wait(end) => Failure::from(end).status(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Checks an array of cells; none when it is empty.
fn list(cells: *const ostler_cell, count: u32) -> Result<Option<*const Key>, Failure> {
    check_count(count)?;
    if cells.is_null() && count > 0 {
        return Err(null("cells"));
    }
    Ok((count > 0).then_some(cells.cast()))
}
