//! A slab's chunks, for those who look at them again. While one is looked at, no other chunk comes to its place.

use super::super::coverage::Seen;
use super::super::inspection::{Inspect, Memory};
use super::super::pages::Mapping;
use super::Slab;
use crate::base::alloc::OutOfMemory;
use std::ops::ControlFlow;
use std::sync::Arc;

impl Inspect for Slab {
    fn each_chunk(&self, show: &mut dyn FnMut(Memory<'_>) -> ControlFlow<()>) -> Result<(), OutOfMemory> {
        let places = self.chunks.lock().places();
        for place in 0..places {
            let Some(mapping) = self.chunks.lock().begin_look(place) else { continue };
            let look = Look { slab: self, place, mapping: Some(mapping) };
            if let Some(mapping) = &look.mapping
                && show(Memory::Mapped(mapping)).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn note_seen(&self, seen: Seen) {
        self.account.note_seen(seen);
    }
}

/// Ends a look, also when whoever looks unwinds.
struct Look<'a> {
    slab: &'a Slab,
    place: usize,
    mapping: Option<Arc<Mapping>>,
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        if let Some(mapping) = self.mapping.take() {
            let gone = self.slab.chunks.lock().end_look(self.place, mapping);
            self.slab.give_back(gone);
        }
    }
}
