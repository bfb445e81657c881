//! Repair: pages that the kernel took apart or moved away are brought back to what the mapping has been.

use super::super::system::{self, Errno};
use super::Mapping;
use std::thread;

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
        // What was put together by one try is passed over by the next.
        // SAFETY: the range lies in this mapping; collapsing changes no contents.
        until_not_busy(|| unsafe { system::advise(self.address().add(offset as usize), bytes, libc::MADV_COLLAPSE) })
    }
}

/// A page is busy for as long as another CPU has it on a list of its own, or a process that forks or ends looks at it. The
/// kernel says EAGAIN then, and so it is tried again, a few times.
fn until_not_busy(mut try_it: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    const TRIES: u32 = 8;
    for _ in 1..TRIES {
        match try_it() {
            Err(libc::EAGAIN) => thread::yield_now(),
            done => return done,
        }
    }
    try_it()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it comes to when the kernel answers so, and how often it was asked.
    fn tried(mut answers: impl Iterator<Item = Result<(), Errno>>) -> (Result<(), Errno>, u32) {
        let mut tries = 0;
        let done = until_not_busy(|| {
            tries += 1;
            answers.next().expect("an end of the tries")
        });
        (done, tries)
    }

    #[test]
    fn what_is_busy_is_tried_again_and_nothing_else() {
        let busy = std::iter::repeat(Err(libc::EAGAIN));
        assert_eq!(tried([Ok(())].into_iter()), (Ok(()), 1));
        assert_eq!(tried([Err(libc::ENOMEM)].into_iter()), (Err(libc::ENOMEM), 1));
        assert_eq!(tried(busy.clone().take(3).chain([Ok(())])), (Ok(()), 4));
        assert_eq!(tried(busy.take(100)), (Err(libc::EAGAIN), 8));
    }
}
