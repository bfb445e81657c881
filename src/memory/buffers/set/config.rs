//! What a set of buffers is asked to be.

use super::BuffersError;
use crate::base::{InvalidField, Name};
use crate::memory::source::PageSource;

pub const DEFAULT_CHUNK_BYTES: u64 = 2 << 20;
pub const SMALLEST_CHUNK_BYTES: u64 = 64 << 10;
pub const LARGEST_CHUNK_BYTES: u64 = 1 << 40;

#[derive(Clone, Copy, Debug, Default)]
pub struct BuffersConfig {
    pub source: PageSource,
    /// 0: [`DEFAULT_CHUNK_BYTES`].
    pub chunk_bytes: u64,
    /// 0: none.
    pub limit_bytes: u64,
    pub name: Name,
}

impl BuffersConfig {
    /// With every default filled in.
    pub(super) fn checked(mut self) -> Result<Self, BuffersError> {
        if self.chunk_bytes == 0 {
            self.chunk_bytes = DEFAULT_CHUNK_BYTES;
        }
        if !(SMALLEST_CHUNK_BYTES..=LARGEST_CHUNK_BYTES).contains(&self.chunk_bytes) {
            let bound = "must be 0, or 65536 (64 KiB) to 1099511627776 (1 TiB)";
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
