//! The ground floor: what every other room stands on.

pub mod alloc;
pub mod back_off;
pub mod barrier;
pub mod callback;
pub mod cancel;
pub mod chance;
pub mod clock;
pub mod faults;
pub mod fork;
pub mod handles;
pub mod hazards;
pub mod injection;
pub mod log;
mod nesting;
pub mod panics;
pub mod park;
pub mod pockets;
pub mod priority;
pub mod refusal;
pub mod settle;
pub mod sync;
#[cfg(test)]
pub mod testing;
pub mod text;
pub mod thread;
pub mod tracing;
pub mod watchers;

/// Bytes of a message that a callback leaves and a result carries, the NUL included.
pub const MESSAGE_BYTES: usize = 128;
/// Bytes of an object's name, the NUL included.
pub const NAME_BYTES: usize = 32;

/// An object's name, as traces, threads and reports show it.
pub type Name = text::Text<NAME_BYTES>;

/// The object on whose behalf something happens: the value of its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub u64);

impl Owner {
    /// The log, whose callback belongs to no object.
    pub const LOG: Owner = Owner(1);
    /// Who is shown what tracing knows.
    pub const TRACING: Owner = Owner(2);
}

/// A field of a configuration that cannot be honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}, but {bound}")]
pub struct InvalidField {
    pub field: &'static str,
    pub value: u64,
    /// What it must be, as a sentence that goes on after "but": "must be at most 1024".
    pub bound: &'static str,
}
