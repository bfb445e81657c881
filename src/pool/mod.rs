//! The resource pool: things that are expensive to make are made once, checked, leased out, and taken back.
//!
//! - [`pool`]: acquire and release, and what becomes of a resource in between.
//! - [`slots`]: where resources live, and the leases that name them.
//! - [`stack`]: the lock-free stack of idle slots, and that of vacant ones.
//! - [`waiters`]: callers who wait, first come first served.
//! - [`housekeeper`]: the thread that keeps the least number ready and lets go what was idle too long.

mod housekeeper;
#[allow(clippy::module_inception)]
mod pool;
mod slots;
mod stack;
mod waiters;

pub use pool::{AcquireError, CloseError, CreateError, Factory, Pool, PoolConfig, PoolStats};
pub use slots::{Lease, MOST_SLOTS, Resource, StaleLease};

#[cfg(test)]
mod tests;
