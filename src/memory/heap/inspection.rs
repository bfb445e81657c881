//! A heap's chunks, for those who look at them again: those that it mapped, and those that the host lent.

use super::classes::GRANULE;
use super::space::{Memory, Piece};
use super::{Heap, State};
use crate::base::alloc::{self, OutOfMemory};
use crate::memory::coverage::Seen;
use crate::memory::inspection::{Bare, Inspect, Memory as Shown};
use crate::memory::pages::Mapping;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A chunk that stays while it is looked at.
enum Held {
    Mapped(Arc<Mapping>),
    Adopted { address: u64, bytes: u64 },
}

impl Inspect for Heap {
    fn each_chunk(&self, show: &mut dyn FnMut(Shown<'_>) -> ControlFlow<()>) -> Result<(), OutOfMemory> {
        let chunks = held(&self.state.lock())?;
        // Each may go as soon as it was seen.
        let _ = chunks.into_iter().try_for_each(|chunk| {
            show(match &chunk {
                Held::Mapped(mapping) => Shown::Mapped(mapping),
                Held::Adopted { address, bytes } => Shown::Adopted { address: *address, bytes: *bytes },
            })
        });
        Ok(())
    }

    fn note_seen(&self, seen: Seen) {
        self.account.note_seen(seen);
    }

    /// Pages that were given back are nobody's, and no more are given back meanwhile. A chunk that a trim takes out stays
    /// for as long as it is shown, and so does what is charged for it.
    fn bare_parts(&self, of: &Mapping) -> Result<Bare<'_>, OutOfMemory> {
        let alone = self.pages.lock();
        let state = self.state.lock();
        let space = &state.space;
        let is_it =
            |memory: &Memory| matches!(memory, Memory::Mapped(mapping) if std::ptr::eq(&raw const **mapping, of));
        let mut parts = Vec::new();
        if let Some(chunk) = space.chunks().find(|chunk| is_it(&chunk.memory)) {
            for (at, piece) in space.pieces(chunk.ground.chunk) {
                if let Piece::Returned(granules) = piece {
                    let start = space.address(at) as u64;
                    alloc::try_reserve_one(&mut parts)?;
                    parts.push(start..start + u64::from(granules) * GRANULE);
                }
            }
        } else {
            // It is no part of the heap any more.
            alloc::try_reserve_one(&mut parts)?;
            let start = of.address() as u64;
            parts.push(start..start + of.bytes);
        }
        Ok(Bare { parts, held: Some(alone) })
    }
}

fn held(state: &State) -> Result<Vec<Held>, OutOfMemory> {
    let mut held = alloc::try_vec(state.space.chunks().count())?;
    held.extend(state.space.chunks().map(|chunk| match &chunk.memory {
        Memory::Mapped(mapping) => Held::Mapped(mapping.clone()),
        Memory::Adopted { address, bytes } => Held::Adopted { address: *address as u64, bytes: *bytes },
    }));
    Ok(held)
}
