//! Marks: moments of an arena that it can be rewound to, in the order in which they were made.

use super::bookmark::Rest;
use super::chunks::Position;
use crate::base::alloc::{self, OutOfMemory};

/// A moment of an arena or of a cursor, as its users hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The arena's handle, or the cursor's address.
    pub owner: u64,
    pub serial: u64,
}

/// What the arena knows of a mark.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    serial: u64,
    pub position: Position,
    /// What was left of the lane of the thread that made it.
    pub rest: Option<Rest>,
    /// Where a region began: the position from which the arena goes on when the region has left it.
    pub region: Option<Position>,
}

pub struct Marks {
    list: Vec<Moment>,
    next_serial: u64,
}

impl Default for Marks {
    fn default() -> Self {
        Self { list: Vec::new(), next_serial: 1 }
    }
}

impl Marks {
    /// Marks a moment. The same moment has the same mark, so marking and rewinding in turn needs no more and more
    /// memory; but each region has its own.
    pub fn set(
        &mut self,
        position: Position,
        rest: Option<Rest>,
        region: Option<Position>,
    ) -> Result<u64, OutOfMemory> {
        if let Some(last) = self.list.last()
            && (last.position, last.rest) == (position, rest)
            && last.region.is_none()
            && region.is_none()
        {
            return Ok(last.serial);
        }
        alloc::try_reserve_one(&mut self.list)?;
        let serial = self.next_serial;
        self.next_serial += 1;
        self.list.push(Moment { serial, position, rest, region });
        Ok(serial)
    }

    /// The moment with this number, unless the arena was rewound past it.
    pub fn find(&self, serial: u64) -> Option<Moment> {
        Some(self.list[self.place(serial)?])
    }

    /// Forgets every mark that was made after this one.
    pub fn forget_after(&mut self, serial: u64) {
        let kept = self.place(serial).map_or(self.list.len(), |place| place + 1);
        self.list.truncate(kept);
    }

    /// Forgets this mark, and every one that was made after it.
    pub fn forget_from(&mut self, serial: u64) {
        let kept = self.place(serial).unwrap_or(self.list.len());
        self.list.truncate(kept);
    }

    pub fn clear(&mut self) {
        self.list.clear();
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.list.len()
    }

    fn place(&self, serial: u64) -> Option<usize> {
        self.list.binary_search_by_key(&serial, |moment| moment.serial).ok()
    }
}
