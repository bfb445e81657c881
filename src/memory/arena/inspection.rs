//! An arena's chunks, for those who look at them again: those that it mapped, and those that the host lent.

use super::super::coverage::Seen;
use super::super::inspection::{Inspect, Memory as Shown};
use super::Arena;
use super::chunk::Memory;
use crate::base::alloc::{self, OutOfMemory};
use std::ops::ControlFlow;

impl Inspect for Arena {
    fn each_chunk(&self, show: &mut dyn FnMut(Shown<'_>) -> ControlFlow<()>) -> Result<(), OutOfMemory> {
        let chunks = {
            let state = self.state.lock();
            let mut chunks = alloc::try_vec(state.chunks.count())?;
            chunks.extend((0..state.chunks.count()).filter_map(|index| state.chunks.get(index)));
            chunks
        };
        // Each may go as soon as it was seen.
        let _ = chunks.into_iter().try_for_each(|chunk| {
            show(match &chunk {
                Memory::Mapped(mapping) => Shown::Mapped(mapping),
                Memory::Adopted(adopted) => Shown::Adopted { address: adopted.address as u64, bytes: adopted.bytes },
            })
        });
        Ok(())
    }

    fn note_seen(&self, seen: Seen) {
        self.account.note_seen(seen);
    }
}
