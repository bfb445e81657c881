//! Repair: pages that the kernel took apart or moved away are brought back to what the mapping has been.

use super::super::system::{self, Errno};
use super::Mapping;

impl Mapping {
    /// Moves pages to the nodes that the policy stands for. Those that cannot move stay.
    pub fn move_home(&self) -> Result<(), Errno> {
        let Some(policy) = self.policy else { return Ok(()) };
        // SAFETY: the range is this mapping; moving pages changes no contents.
        unsafe { system::bind_and_move(self.address(), self.bytes, &policy) }
    }

    /// Lets the kernel put pages together that it was told to leave apart, by whomever.
    pub fn allow_huge(&self) -> Result<(), Errno> {
        self.advise(libc::MADV_HUGEPAGE)
    }

    /// Puts the small pages of a range into huge ones.
    pub fn collapse(&self, start: u64, bytes: u64) -> Result<(), Errno> {
        let offset = start.wrapping_sub(self.address() as u64);
        if offset.checked_add(bytes).is_none_or(|end| end > self.bytes) {
            return Err(libc::EINVAL);
        }
        // SAFETY: the range lies in this mapping; collapsing changes no contents.
        unsafe { system::advise(self.address().add(offset as usize), bytes, libc::MADV_COLLAPSE) }
    }
}
