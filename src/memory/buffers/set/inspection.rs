//! A set's chunks, for those who look at them again.

use super::Buffers;
use crate::base::alloc::OutOfMemory;
use crate::memory::coverage::Seen;
use crate::memory::inspection::{Inspect, Memory};
use std::ops::ControlFlow;

impl Inspect for Buffers {
    fn each_chunk(&self, show: &mut dyn FnMut(Memory<'_>) -> ControlFlow<()>) -> Result<(), OutOfMemory> {
        let mappings = self.chunks.lock().mappings()?;
        // Each may go as soon as it was seen.
        let _ = mappings.into_iter().try_for_each(|mapping| show(Memory::Mapped(&mapping)));
        Ok(())
    }

    fn note_seen(&self, seen: Seen) {
        self.account.note_seen(seen);
    }
}
