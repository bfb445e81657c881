//! Coverage: how much of some memory still is what it was asked to be, as numbers to watch; what a repair of it did; and
//! how one gets to know these of an object.

use super::steps::Limit;
use super::system::Errno;
use crate::base::alloc::OutOfMemory;
use crate::base::{Owner, clock};
use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub mapped_bytes: u64,
    pub resident_bytes: u64,
    /// Resident where huge pages were asked for.
    pub wanted_huge_bytes: u64,
    /// Resident in huge pages, asked for or not.
    pub huge_bytes: u64,
    /// Resident in base pages although huge ones were asked for.
    pub small_bytes: u64,
    /// Resident on nodes that the policy does not stand for.
    pub remote_bytes: u64,
    /// Mapped where the kernel does not tell.
    pub unverified_bytes: u64,
}

impl Coverage {
    /// Of memory that is somebody else's.
    pub fn unknown(bytes: u64) -> Self {
        Self { mapped_bytes: bytes, unverified_bytes: bytes, ..Self::default() }
    }
}

impl AddAssign for Coverage {
    fn add_assign(&mut self, other: Self) {
        self.mapped_bytes += other.mapped_bytes;
        self.resident_bytes += other.resident_bytes;
        self.wanted_huge_bytes += other.wanted_huge_bytes;
        self.huge_bytes += other.huge_bytes;
        self.small_bytes += other.small_bytes;
        self.remote_bytes += other.remote_bytes;
        self.unverified_bytes += other.unverified_bytes;
    }
}

/// How far a look has come that goes on later. What comes to the object or leaves it meanwhile may be seen or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Of those that were seen from end to end.
    pub chunks: u64,
    /// Of the chunk behind them.
    pub offset: u64,
    pub seen: Coverage,
    /// `None`: it has not begun.
    pub begun_ns: Option<u64>,
}

/// What a repair found, and what it left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    pub before: Coverage,
    pub after: Coverage,
    /// What stood in the way of the first thing that could not be repaired.
    pub limit: Limit,
    pub errno: Errno,
}

impl Repair {
    pub fn note(&mut self, done: Result<(), (Limit, Errno)>) {
        if let (Err((limit, errno)), Limit::None) = (done, self.limit) {
            (self.limit, self.errno) = (limit, errno);
        }
    }
}

impl AddAssign for Repair {
    fn add_assign(&mut self, other: Self) {
        self.before += other.before;
        self.after += other.after;
        if other.limit != Limit::None {
            self.note(Err((other.limit, other.errno)));
        }
    }
}

/// What somebody saw who looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub coverage: Coverage,
    /// When the look began, because what was seen first may have changed since.
    pub begun_ns: u64,
}

impl Seen {
    pub fn age_ns(&self) -> u64 {
        clock::now_ns().saturating_sub(self.begun_ns)
    }
}

type LookOn = fn(Owner, &mut Progress, &mut dyn FnMut() -> bool) -> Option<Result<bool, OutOfMemory>>;

/// How the memory of an object is looked at by those who know only who pays for it. `None`: the object is going.
#[derive(Clone, Copy, Debug)]
pub struct Inspector {
    pub owner: Owner,
    pub look: fn(Owner) -> Option<Result<Coverage, OutOfMemory>>,
    /// Goes on with a look, at least a bite, until all was seen or the asker says no. Tells whether all was seen.
    pub look_on: LookOn,
    pub repair: fn(Owner) -> Option<Result<Repair, OutOfMemory>>,
}

impl Inspector {
    pub fn look(&self) -> Option<Result<Coverage, OutOfMemory>> {
        (self.look)(self.owner)
    }

    pub fn look_on(
        &self,
        progress: &mut Progress,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Option<Result<bool, OutOfMemory>> {
        (self.look_on)(self.owner, progress, goes_on)
    }

    pub fn repair(&self) -> Option<Result<Repair, OutOfMemory>> {
        (self.repair)(self.owner)
    }
}
