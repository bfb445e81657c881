//! The governor of memory: who holds how much.

pub mod account;
pub mod reclaim;

pub use account::{Account, Charge, Holder, Refused};
