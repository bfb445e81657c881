//! What a cursor took while it had marks, span by span, so that it has it at hand again when it goes back.

use super::chunks::Span;
use super::cursor::Moments;
use crate::base::alloc::{self, OutOfMemory};

#[derive(Clone, Copy, Debug)]
struct Step {
    span: Span,
    /// What the cursor's count was, which the marks made later are above.
    count: u64,
    /// For one block alone, and not for a region.
    alone: bool,
}

#[derive(Debug, Default)]
pub struct Trail {
    pub moments: Moments,
    steps: Vec<Step>,
    /// Free again, and the cursor's.
    spares: Vec<Span>,
}

impl Trail {
    /// So that one more step can be noted, and each gone back over, without memory.
    pub fn make_room(&mut self) -> Result<(), OutOfMemory> {
        alloc::try_reserve(&mut self.steps, 1)?;
        alloc::try_reserve(&mut self.spares, self.steps.len() + 1)
    }

    pub fn note(&mut self, span: Span, count: u64, alone: bool) {
        self.steps.push(Step { span, count, alone });
    }

    /// A spare with so many bytes. For a block alone it may not have too many.
    pub fn take_spare(&mut self, needed: u64, alone: bool) -> Option<Span> {
        let fits = |span: &Span| span.bytes() >= needed && (!alone || span.bytes() <= 2 * needed);
        let found = self.spares.iter().rposition(fits)?;
        Some(self.spares.swap_remove(found))
    }

    /// Makes spares of all that was taken since the count of a mark, except for the largest region of more than `rest`
    /// bytes, in which the cursor had better go on. `each` gets every span.
    pub fn go_back(&mut self, mark: u64, rest: u64, mut each: impl FnMut(&Span)) -> Option<Span> {
        let mut roomier: Option<Span> = None;
        while let Some(step) = self.steps.pop_if(|step| step.count >= mark) {
            each(&step.span);
            let is_roomier = !step.alone && step.span.bytes() > roomier.map_or(rest, |span| span.bytes());
            let spare = if is_roomier { roomier.replace(step.span) } else { Some(step.span) };
            self.spares.extend(spare);
        }
        roomier
    }

    /// What it took is the arena's again.
    pub fn clear(&mut self) {
        self.steps.clear();
        self.spares.clear();
    }
}
