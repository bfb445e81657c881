//! What a heap is made to be.

use super::HeapError;
use crate::base::{InvalidField, Name};
use crate::memory::source::PageSource;

pub const DEFAULT_CHUNK_BYTES: u64 = 2 << 20;
pub const SMALLEST_CHUNK_BYTES: u64 = 64 << 10;
pub const LARGEST_CHUNK_BYTES: u64 = 64 << 30;

#[derive(Clone, Copy, Debug, Default)]
pub struct HeapConfig {
    pub source: PageSource,
    /// 0: [`DEFAULT_CHUNK_BYTES`].
    pub chunk_bytes: u64,
    /// 0: none.
    pub limit_bytes: u64,
    /// Guards surround each block, and no thread has blocks at hand.
    pub checked: bool,
    /// Maps nothing; only memory that the host lends.
    pub adopted_only: bool,
    pub name: Name,
}

impl HeapConfig {
    /// With defaults, or what cannot be.
    pub fn checked(mut self) -> Result<Self, HeapError> {
        if self.chunk_bytes == 0 {
            self.chunk_bytes = DEFAULT_CHUNK_BYTES;
        }
        if !(SMALLEST_CHUNK_BYTES..=LARGEST_CHUNK_BYTES).contains(&self.chunk_bytes) {
            let bound = "must be 0, or 65536 (64 KiB) to 68719476736 (64 GiB)";
            return Err(InvalidField { field: "chunk_bytes", value: self.chunk_bytes, bound }.into());
        }
        if self.limit_bytes != 0 && self.limit_bytes < SMALLEST_CHUNK_BYTES {
            let bound = "must be 0, or at least 65536 (64 KiB)";
            return Err(InvalidField { field: "limit_bytes", value: self.limit_bytes, bound }.into());
        }
        self.source = self.source.checked()?;
        Ok(self)
    }
}
