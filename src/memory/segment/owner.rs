//! Who made a segment, and whether that process is still there.
//!
//! The owner holds a lock on the file through a descriptor that it never passes on, and the kernel lets go of it however
//! the process ends. A forked child of the owner would keep the lock with its copy of the descriptor, so where the
//! owner's process is visible, that is looked at as well.

use super::super::system::{self, Errno};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// A process, so that another one that is given its number later is not taken for it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub process: u64,
    /// When it was started, in ticks since the machine was.
    started: u64,
    /// In which namespace its number counts.
    namespace: u64,
}

/// The numbers are those of OSTLER_OWNER_.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    Alive = 0,
    /// It destroyed the segment in order.
    Closed = 1,
    /// It ended without that.
    Died = 2,
}

impl Identity {
    /// The calling process.
    pub fn own() -> Self {
        Self {
            process: u64::from(std::process::id()),
            started: stat("/proc/self/stat").map_or(0, |(_, started)| started),
            namespace: namespace(),
        }
    }

    /// `None`: it cannot be seen from here.
    fn is_gone(self) -> Option<bool> {
        if self.namespace == 0 || self.namespace != namespace() {
            return None;
        }
        let now = stat(&format!("/proc/{}/stat", self.process));
        Some(now.is_none_or(|(state, started)| matches!(state, 'Z' | 'X') || started != self.started))
    }
}

fn namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |found| found.ino())
}

/// A process's state and when it was started.
fn stat(path: &str) -> Option<(char, u64)> {
    let text = fs::read_to_string(path).ok()?;
    // The name before may have spaces and brackets in it.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.nth(18)?.parse().ok()?))
}

/// That this process is the owner, as long as it lasts.
pub struct Claim {
    _file: OwnedFd,
}

impl Claim {
    pub fn stake(file: BorrowedFd) -> Result<Self, Errno> {
        let own = system::reopen(file, libc::O_RDWR)?;
        system::lock(own.as_fd())?;
        Ok(Self { _file: own })
    }
}

/// Whether the owner of a file is still there.
pub fn state(file: BorrowedFd, owner: Identity, is_closed: bool) -> Result<State, Errno> {
    if is_closed {
        return Ok(State::Closed);
    }
    let gone = !system::is_locked(file)? || owner.is_gone() == Some(true);
    Ok(if gone { State::Died } else { State::Alive })
}
