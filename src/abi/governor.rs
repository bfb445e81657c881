//! Governor of memory: one for the process. Every object is charged for the memory that it holds, and what would pass the
//! limit is refused before it is taken. The limit is the least of what is configured here and what the kernel allows:
//! control groups of both versions, the machine's memory, RLIMIT_AS; it is read anew, because it may change.

mod accounts;
mod config;
mod reclaim;
mod stats;
mod watch;

use super::status::{Failure, OSTLER_E_BUSY, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_MEMORY_PRESSURE};
use crate::memory::governor::level::{Level, Reason};
use crate::memory::governor::look::ConfigError;
use crate::memory::governor::reclaim::Underway;
use crate::memory::governor::{Refused, WatchError};

pub use accounts::*;
pub use config::*;
pub use reclaim::*;
pub use stats::*;
pub use watch::*;

/// There is room.
pub const OSTLER_LEVEL_LOW: u32 = 0;
/// Memory is in use as it is meant to be.
pub const OSTLER_LEVEL_NORMAL: u32 = 1;
/// Memory is short: what can be done without should go.
pub const OSTLER_LEVEL_HIGH: u32 = 2;
/// The next step may be an out-of-memory kill or a stall of seconds: only what is essential is granted.
pub const OSTLER_LEVEL_CRITICAL: u32 = 3;

const _: () = assert!(
    OSTLER_LEVEL_LOW == Level::Low as u32
        && OSTLER_LEVEL_NORMAL == Level::Normal as u32
        && OSTLER_LEVEL_HIGH == Level::High as u32
        && OSTLER_LEVEL_CRITICAL == Level::Critical as u32
);

/// The level is low.
pub const OSTLER_PRESSURE_NONE: u32 = 0;
/// What is charged, against the configured limit.
pub const OSTLER_PRESSURE_LIMIT: u32 = 1;
/// A control group, by what it uses or by what is charged.
pub const OSTLER_PRESSURE_CGROUP: u32 = 2;
/// The memory of the machine.
pub const OSTLER_PRESSURE_MACHINE: u32 = 3;
/// RLIMIT_AS.
pub const OSTLER_PRESSURE_ADDRESS_SPACE: u32 = 4;
/// The memory of one of several nodes; never critical, because the kernel goes to another one.
pub const OSTLER_PRESSURE_NODE: u32 = 5;
/// Threads wait for memory (pressure stall information).
pub const OSTLER_PRESSURE_STALL: u32 = 6;

const _: () = assert!(
    OSTLER_PRESSURE_NONE == Reason::None as u32
        && OSTLER_PRESSURE_LIMIT == Reason::Limit as u32
        && OSTLER_PRESSURE_CGROUP == Reason::Group as u32
        && OSTLER_PRESSURE_MACHINE == Reason::Machine as u32
        && OSTLER_PRESSURE_ADDRESS_SPACE == Reason::AddressSpace as u32
        && OSTLER_PRESSURE_NODE == Reason::Node as u32
        && OSTLER_PRESSURE_STALL == Reason::Stall as u32
);

impl From<Refused> for Failure {
    fn from(error: Refused) -> Self {
        Self::new(OSTLER_E_MEMORY_PRESSURE, format_args!("{error}"))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(OSTLER_E_INVALID_ARGUMENT, format_args!("{error}"))
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::OutOfMemory(error) => error.into(),
            WatchError::Spawn(error) => error.into(),
        }
    }
}

impl From<Underway> for Failure {
    fn from(error: Underway) -> Self {
        Self::new(OSTLER_E_BUSY, format_args!("{error}"))
    }
}
