//! What the lock-free parts synchronize with, under a name of our own: the model checker (tests/models) includes those
//! files and puts its own in this place.

pub use parking_lot::{Mutex, MutexGuard};
pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
