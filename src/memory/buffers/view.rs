//! The names of views, and the word by which each view is counted.
//!
//! A view is one use of one record. Its word says how many references are held to it, and how many slices share the memory
//! that it is a view of. Every change is one exchange of the word, so a name that is stale, or becomes so at that moment,
//! changes nothing. When the last reference ends the generation goes on, and every name of the view is stale; its memory
//! goes when the last slice is gone as well.

use crate::base::sync::{AtomicU64, Ordering::*};

/// How many references one view can have, and how many slices one buffer.
pub const MOST_REFERENCES: u64 = (1 << 14) - 1;
pub const MOST_SLICES: u64 = (1 << 18) - 1;
pub const MOST_VIEWS: u32 = 1 << 24;

/// Names one view of one set. 0 is no view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View(pub u64);

// A name: generation:32 | salt:8 | number:24. The salt tells sets apart and is never 0.
const GENERATION_SHIFT: u32 = 32;
const SALT_SHIFT: u32 = 24;
const NUMBER_MASK: u64 = MOST_VIEWS as u64 - 1;

// A word: generation:32 | references:14 | slices:18.
const REFERENCE: u64 = 1 << 18;
const SLICES: u64 = REFERENCE - 1;
const REFERENCES: u64 = (1 << GENERATION_SHIFT) - REFERENCE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewError {
    /// It was released, or is of another set.
    Stale,
    TooManyReferences,
    TooManySlices,
}

/// What tells the names of one set from those of another.
#[derive(Clone, Copy, Debug)]
pub struct Salt(u8);

impl Salt {
    /// Sets that were made one after the other have different ones.
    pub fn of(serial: u64) -> Self {
        Self((serial % 255) as u8 + 1)
    }

    #[inline]
    fn name(self, number: u32, generation: u64) -> View {
        View((generation << GENERATION_SHIFT) | (u64::from(self.0) << SALT_SHIFT) | u64::from(number))
    }

    /// The record of a name, as far as the name alone tells.
    #[inline]
    pub fn number_of(self, view: View) -> Option<u32> {
        let is_ours = (view.0 >> SALT_SHIFT) & 0xff == u64::from(self.0);
        is_ours.then_some((view.0 & NUMBER_MASK) as u32)
    }
}

/// What is left of a view and its memory when something of it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Something,
    /// Whoever is told so, once, gives the memory back.
    Nothing,
}

pub struct Word(AtomicU64);

impl Word {
    /// Of a record that nothing was ever made of.
    pub fn new(generation: u32) -> Self {
        Self(AtomicU64::new(u64::from(generation) << GENERATION_SHIFT))
    }

    /// Begins a view with one reference; the record is the caller's alone.
    #[inline]
    pub fn begin(&self, salt: Salt, number: u32) -> View {
        let generation = self.0.load(Relaxed) >> GENERATION_SHIFT;
        self.0.store((generation << GENERATION_SHIFT) | REFERENCE, Release);
        salt.name(number, generation)
    }

    #[inline]
    pub fn is_of(&self, view: View) -> bool {
        is_of(self.0.load(SeqCst), view)
    }

    pub fn is_idle(&self) -> bool {
        self.0.load(SeqCst) & (REFERENCES | SLICES) == 0
    }

    /// Whether what a view showed is still in use: by the view, or by slices alone, whose record nobody has had since.
    pub fn keeps(&self, view: View) -> bool {
        let word = self.0.load(SeqCst);
        let generation_before = word.wrapping_sub(1 << GENERATION_SHIFT) >> GENERATION_SHIFT;
        let is_sliced = word & REFERENCES == 0 && word & SLICES > 0;
        is_of(word, view) || is_sliced && generation_before == view.0 >> GENERATION_SHIFT
    }

    #[inline]
    pub fn retain(&self, view: View) -> Result<(), ViewError> {
        self.change(view, |word| {
            if word & REFERENCES == REFERENCES {
                return Err(ViewError::TooManyReferences);
            }
            Ok(word + REFERENCE)
        })?;
        Ok(())
    }

    /// Counts a slice of the memory that this is a view of.
    #[inline]
    pub fn slice(&self, view: View) -> Result<(), ViewError> {
        self.change(view, one_more_slice)?;
        Ok(())
    }

    /// The same for the caller who knows that there is a slice already, which stays meanwhile.
    pub fn slice_beside(&self) -> Result<(), ViewError> {
        let mut word = self.0.load(Relaxed);
        loop {
            match self.0.compare_exchange_weak(word, one_more_slice(word)?, AcqRel, Relaxed) {
                Ok(_) => return Ok(()),
                Err(found) => word = found,
            }
        }
    }

    #[inline]
    pub fn release(&self, view: View) -> Result<Left, ViewError> {
        let before = self.change(view, |word| {
            let after = word - REFERENCE;
            let is_last = after & REFERENCES == 0;
            Ok(if is_last { after.wrapping_add(1 << GENERATION_SHIFT) } else { after })
        })?;
        let was_last = before & (REFERENCES | SLICES) == REFERENCE;
        Ok(if was_last { Left::Nothing } else { Left::Something })
    }

    /// A slice that was counted here is gone.
    #[inline]
    pub fn end_slice(&self) -> Left {
        let before = self.0.fetch_sub(1, AcqRel);
        if before & (REFERENCES | SLICES) == 1 { Left::Nothing } else { Left::Something }
    }

    #[inline]
    fn change(&self, view: View, change: impl Fn(u64) -> Result<u64, ViewError>) -> Result<u64, ViewError> {
        let mut word = self.0.load(Relaxed);
        loop {
            if !is_of(word, view) {
                return Err(ViewError::Stale);
            }
            match self.0.compare_exchange_weak(word, change(word)?, AcqRel, Relaxed) {
                Ok(_) => return Ok(word),
                Err(found) => word = found,
            }
        }
    }
}

#[inline]
fn is_of(word: u64, view: View) -> bool {
    word >> GENERATION_SHIFT == view.0 >> GENERATION_SHIFT && word & REFERENCES != 0
}

#[inline]
fn one_more_slice(word: u64) -> Result<u64, ViewError> {
    if word & SLICES == MOST_SLICES {
        return Err(ViewError::TooManySlices);
    }
    Ok(word + 1)
}
