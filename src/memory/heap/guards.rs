//! Guards: what a checked heap puts before and behind each block, to see later whether somebody wrote there.

use super::classes::GRANULE;
use super::tags::Extent;
use crate::base::tracing::CallSite;

/// Bytes before a block: where it was asked for, and a pattern of its own.
pub const FRONT: u64 = GRANULE;
/// The fewest bytes behind it; what its class leaves over joins them.
pub const BACK: u64 = GRANULE;

/// A block of a checked heap whose surroundings were written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the block of {bytes} bytes at {block:#x} was overrun: {} was written; asked for at: {site}", self.place())]
pub struct Damage {
    pub block: usize,
    pub bytes: u64,
    /// From the begin of the block.
    pub offset: i64,
    pub site: CallSite,
}

impl Damage {
    fn place(&self) -> String {
        match u64::try_from(self.offset) {
            Ok(offset) => format!("byte {} past its end", offset - self.bytes + 1),
            Err(_) => format!("byte {} before its begin", self.offset.unsigned_abs()),
        }
    }
}

/// A block with its guards.
#[derive(Clone, Copy)]
pub struct Guarded {
    /// Where the guard in front begins.
    pub start: *mut u8,
    pub extent: Extent,
}

impl Guarded {
    /// What the host sees of it.
    pub fn block(self) -> *mut u8 {
        self.start.wrapping_add(FRONT as usize)
    }

    pub fn bytes(self) -> u64 {
        self.extent.asked - FRONT - BACK
    }

    /// A byte that nobody would write there by chance, different from place to place.
    fn pattern(self, offset: usize) -> u8 {
        let mixed = (self.start as usize + offset).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize);
        (mixed >> 32) as u8 | 1
    }

    fn guards(self) -> impl Iterator<Item = usize> {
        let block_end = (FRONT + self.bytes()) as usize;
        (size_of::<CallSite>()..FRONT as usize).chain(block_end..self.extent.bytes() as usize)
    }

    pub fn write(self, site: CallSite) {
        // SAFETY: the block is the caller's, with the guards; its begin is aligned.
        unsafe { self.start.cast::<CallSite>().write(site) };
        for offset in self.guards() {
            // SAFETY: as above.
            unsafe { self.start.add(offset).write(self.pattern(offset)) };
        }
    }

    pub fn site(self) -> CallSite {
        // SAFETY: the block is in use, and `write` put it there.
        unsafe { self.start.cast::<CallSite>().read() }
    }

    /// Where it was overrun, nearest to the block.
    pub fn verify(self) -> Result<(), Damage> {
        // SAFETY: the block is in use, with the guards.
        let is_damaged = |offset: &usize| unsafe { self.start.add(*offset).read() } != self.pattern(*offset);
        let offset = |offset: usize| offset as i64 - FRONT as i64;
        let behind = self.guards().filter(|at| *at >= FRONT as usize).find(is_damaged);
        let before = || self.guards().take_while(|at| *at < FRONT as usize).filter(is_damaged).last();
        match behind.or_else(before) {
            None => Ok(()),
            Some(at) => {
                Err(Damage { block: self.block() as usize, bytes: self.bytes(), offset: offset(at), site: self.site() })
            }
        }
    }
}
