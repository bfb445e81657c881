//! Buffers: memory in sizes, leased one by one, viewed by many without a copy, and given back with the last view.
//!
//! A *view* names a buffer, a slice of one, or memory of the caller's that was wrapped; [`view`] has the names and counts
//! who refers to what, [`record`] what else is known of each. An idle buffer is in a thread's [`stash`], where its thread
//! gets it without a lock, or in its size class's [`depot`], in spans that are cut from [`chunks`]. The [`sizes`] are fixed.
//! [`set`] is the object that holds it all, and [`traces`] are the buffers that tracing follows.

pub mod chunks;
pub mod depot;
pub mod record;
pub mod set;
pub mod sizes;
pub mod stash;
mod traces;
pub mod view;

pub use set::{Buffers, BuffersConfig, BuffersError, BuffersStats, ClassStats, Ending, Released};
pub use view::View;
