//! Where the value of a lazy comes from.

use crate::base::callback::Refusal;

/// What a load made.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    pub value: *mut (),
    /// What it counts against the process's memory.
    pub bytes: u64,
}

// SAFETY: the host's pointer, which the header says is used from any thread.
unsafe impl Send for Loaded {}

/// The host's side of a lazy, or a file.
pub trait Source: Send + Sync + 'static {
    /// Makes the value. With a refusal go the words that the callback left.
    fn load(&self, loaded: &mut Loaded) -> Result<(), Refusal>;

    /// Ends a value that nobody uses any more.
    fn unload(&self, loaded: Loaded);

    /// What a value holds, for people and for who looks for memory.
    fn bytes_of(&self, loaded: Loaded) -> u64 {
        loaded.bytes
    }
}
