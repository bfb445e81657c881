//! Lazy values: loaded at the first access by one thread while others wait, pinned while they are used, dropped when memory
//! runs short, and loaded again at the next access.
//!
//! [`reader`] is how a thread pins without a locked operation, and [`desk`] keeps the readers of one lazy and what they still
//! hold. [`source`] says where a value comes from; a [`file`] is one. [`lazy`] is the object.

pub mod desk;
pub mod file;
#[allow(clippy::module_inception)]
pub mod lazy;
pub mod reader;
pub mod source;

pub use file::{Content, File};
pub use lazy::{Lazy, LazyError, LazyStats, READERS};
pub use source::{Loaded, Source};
