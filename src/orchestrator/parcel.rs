//! What is done with the buffers that travel in requests and outcomes: each parcel stands for one reference to its view.

use super::request::Parcel;
use crate::base::handles::{self, HandleError, Pin};
use crate::base::thread::ThreadRecord;
use crate::memory::buffers::{Buffers, BuffersError, View};

/// Why a buffer cannot travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParcelError {
    #[error(transparent)]
    Handle(#[from] HandleError),
    #[error("input_buffer {0:#x} was released, or is of another set")]
    Stale(u64),
    #[error("input_buffer {0:#x} has as many references as it can")]
    TooManyReferences(u64),
}

impl Parcel {
    /// Adds the reference that the parcel stands for, and tells where the memory is.
    pub fn retain(self) -> Result<(*mut u8, u64), ParcelError> {
        let view = View(self.view);
        let held = handles::with_child(ThreadRecord::current(), self.set, |set: &Pin<Buffers>| {
            set.retain(view)?;
            set.extent(view)
        })?;
        held.map_err(|error| match error {
            BuffersError::TooManyReferences(_) => ParcelError::TooManyReferences(self.view),
            _ => ParcelError::Stale(self.view),
        })
    }

    /// Ends the reference. A parcel that a host has filled with nonsense is nobody's.
    pub fn release(self) {
        if self.view != 0 {
            let _ = handles::with_child(ThreadRecord::current(), self.set, |set: &Pin<Buffers>| {
                set.release(set.record(), View(self.view))
            });
        }
    }
}
