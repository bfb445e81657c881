//! Poison: what is free may not be touched, and who touches it is told by the tools that people run anyway.

use super::super::sanitizers;
use super::region::Block;

/// When an arena's free memory is poisoned. The numbers are those of OSTLER_POISON_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Poison {
    /// Where a tool watches that would report a use.
    #[default]
    Watched = 0,
    Never = 1,
    /// Also where none does: then freed memory is overwritten.
    Always = 2,
}

/// What is written over freed memory.
pub const FREED: u8 = 0xef;
/// Bytes behind each block that belong to nobody.
const GAP: u64 = 16;

/// How one arena does it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Poisoning {
    overwrite: bool,
    tell: bool,
}

impl Poisoning {
    pub fn of(poison: Poison) -> Self {
        let watched = sanitizers::watch();
        Self { overwrite: poison == Poison::Always, tell: poison != Poison::Never && watched }
    }

    /// Whether each block must be handed out by the library, which knows how long it is.
    #[inline]
    pub fn is_on(self) -> bool {
        self.overwrite || self.tell
    }

    /// The block with the gap behind it, at an address where the tools can tell it from its neighbours.
    pub fn with_gap(block: Block) -> Option<Block> {
        Block::new(block.bytes().checked_add(GAP)?, (block.align() as u64).max(GAP))
    }

    /// These bytes have not been used yet.
    pub fn fresh(self, address: *mut u8, bytes: u64) {
        if self.tell {
            sanitizers::forbid(address, bytes);
        }
    }

    /// These bytes now belong to a user of the arena, or to whoever lent them.
    pub fn hand_out(self, address: *mut u8, bytes: u64) {
        if self.tell {
            sanitizers::allow(address, bytes);
        }
    }

    /// These bytes were used and are free.
    ///
    /// # Safety
    /// They are the arena's, and nobody uses them any more.
    pub unsafe fn free(self, address: *mut u8, bytes: u64) {
        if bytes == 0 {
            return;
        }
        if self.overwrite {
            self.hand_out(address, bytes);
            // SAFETY: the caller's promise.
            unsafe { address.write_bytes(FREED, bytes as usize) };
        }
        self.fresh(address, bytes);
    }

    /// A chunk that another arena filled up to here, and poisoned in its own way.
    pub fn take_over(self, address: *mut u8, filled: u64, bytes: u64) {
        if self.tell {
            sanitizers::forbid(address.wrapping_add(filled as usize), bytes - filled);
        } else {
            sanitizers::allow(address, bytes);
        }
    }
}
