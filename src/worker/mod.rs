//! Workers: threads that load a state once, stay warm, and are replaced and retired by the crew they belong to.

mod crew;

pub use crew::{Bounds, Crew, Duty, Growth, Leave, NotReady, start};
