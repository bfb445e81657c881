//! Bins: free blocks by size, in two levels (TLSF; Masmano, Ripoll, Crespo and Real 2004): a doubling, and a sixteenth of
//! it. Two bitmaps tell in a few instructions which bin has a block that is surely large enough.

/// A granule of the heap: where a block begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At {
    pub chunk: u32,
    pub granule: u32,
}

impl At {
    pub fn further(self, granules: u32) -> Self {
        Self { granule: self.granule + granules, ..self }
    }
}

const SLOT_BITS: u32 = 4;
const SLOTS: usize = 1 << SLOT_BITS;
/// Below sixteen granules there is a bin for each size.
const ROWS: usize = (u32::BITS - SLOT_BITS + 1) as usize;

/// A bin's number: its row and its slot in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    row: usize,
    slot: usize,
}

pub struct Bins {
    rows: u32,
    slots: [u16; ROWS],
    heads: [[Option<At>; SLOTS]; ROWS],
}

/// The bin that a free block of so many granules lies in.
pub fn bin_of(granules: u32) -> Bin {
    match granules.checked_ilog2() {
        Some(log) if log >= SLOT_BITS => {
            let slot = (granules >> (log - SLOT_BITS)) as usize & (SLOTS - 1);
            Bin { row: (log - SLOT_BITS + 1) as usize, slot }
        }
        _ => Bin { row: 0, slot: granules as usize },
    }
}

impl Bins {
    pub fn new() -> Self {
        Self { rows: 0, slots: [0; ROWS], heads: [[None; SLOTS]; ROWS] }
    }

    /// The smallest bin that has a block, and all of whose blocks have at least so many granules.
    pub fn find(&self, granules: u32) -> Option<At> {
        let log = granules.checked_ilog2()?;
        let round = if log >= SLOT_BITS { (1 << (log - SLOT_BITS)) - 1 } else { 0 };
        let Bin { row, slot } = bin_of(granules.checked_add(round)?);
        let slots = u32::from(self.slots[row]) & (u32::MAX << slot);
        let (row, slots) = if slots != 0 {
            (row, slots)
        } else {
            let rows = u64::from(self.rows) & (u64::MAX << (row + 1));
            let row = rows.trailing_zeros() as usize;
            (row, u32::from(*self.slots.get(row)?))
        };
        self.heads[row][slots.trailing_zeros() as usize]
    }

    /// The bin with the largest blocks.
    pub fn last(&self) -> Option<At> {
        let row = self.rows.checked_ilog2()? as usize;
        self.heads[row][self.slots[row].checked_ilog2()? as usize]
    }

    pub fn head(&self, bin: Bin) -> Option<At> {
        self.heads[bin.row][bin.slot]
    }

    pub fn set_head(&mut self, bin: Bin, head: Option<At>) {
        self.heads[bin.row][bin.slot] = head;
        match head {
            Some(_) => self.slots[bin.row] |= 1 << bin.slot,
            None => self.slots[bin.row] &= !(1 << bin.slot),
        }
        match self.slots[bin.row] {
            0 => self.rows &= !(1 << bin.row),
            _ => self.rows |= 1 << bin.row,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: At = At { chunk: 1, granule: 7 };

    #[test]
    fn what_is_found_is_large_enough_and_what_is_a_sixteenth_larger_is_found() {
        let sizes: Vec<u32> = (1..200).chain([4095, 4096, 4097, 1 << 20, u32::MAX - 1, u32::MAX]).collect();
        for had in &sizes {
            let mut bins = Bins::new();
            bins.set_head(bin_of(*had), Some(A));
            assert_eq!((bins.find(*had / 17 * 16).or(Some(A)), bins.last()), (Some(A), Some(A)));
            for asked in &sizes {
                if bins.find(*asked).is_some() {
                    assert!(asked <= had, "{asked} found in {had}");
                } else {
                    assert!(u64::from(*asked) * 17 > u64::from(*had) * 16, "{asked} not found in {had}");
                }
            }
            bins.set_head(bin_of(*had), None);
            assert_eq!((bins.find(1), bins.last()), (None, None));
        }
    }
}
