//! What an arena is made to be.

use super::super::source::{PageSource, SourceError};
use super::poison::Poison;
use crate::base::{InvalidField, Name};

pub const DEFAULT_CHUNK_BYTES: u64 = 2 << 20;
pub const SMALLEST_CHUNK_BYTES: u64 = 64 << 10;
pub const LARGEST_CHUNK_BYTES: u64 = 1 << 40;
/// Chunks that grow do so up to here, unless the configuration says otherwise.
pub const DEFAULT_MAX_CHUNK_BYTES: u64 = 64 << 20;
/// Less than this is not worth adopting.
pub const SMALLEST_ADOPTED_BYTES: u64 = 4096;

/// How large the next chunk is. The numbers are those of OSTLER_GROWTH_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Growth {
    /// As large as the first.
    #[default]
    Fixed = 0,
    /// As large as all that is mapped already, up to a maximum.
    Double = 1,
    /// There is none: one chunk is all there ever is.
    None = 2,
}

/// Memory of the host that an arena hands out, and that the host takes back after the arena's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Adopted {
    pub address: *mut u8,
    pub bytes: u64,
}

// SAFETY: a range of plain memory that the host gave to the arena, whose business it is who may touch which part.
unsafe impl Send for Adopted {}
// SAFETY: as above.
unsafe impl Sync for Adopted {}

#[derive(Clone, Copy, Debug, Default)]
pub struct ArenaConfig {
    pub source: PageSource,
    /// 0: [`DEFAULT_CHUNK_BYTES`].
    pub chunk_bytes: u64,
    pub growth: Growth,
    /// 0: [`DEFAULT_MAX_CHUNK_BYTES`], or `chunk_bytes` where that is more.
    pub max_chunk_bytes: u64,
    /// 0: none.
    pub limit_bytes: u64,
    /// The first chunk; without it one is mapped.
    pub memory: Option<Adopted>,
    pub poison: Poison,
    pub name: Name,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl ArenaConfig {
    /// With its defaults filled in; refuses what cannot be honoured.
    pub fn checked(mut self) -> Result<Self, ConfigError> {
        if self.chunk_bytes == 0 {
            self.chunk_bytes = DEFAULT_CHUNK_BYTES;
        }
        if !(SMALLEST_CHUNK_BYTES..=LARGEST_CHUNK_BYTES).contains(&self.chunk_bytes) {
            let bound = "must be 0, or 65536 (64 KiB) to 1099511627776 (1 TiB)";
            return Err(InvalidField { field: "chunk_bytes", value: self.chunk_bytes, bound }.into());
        }
        if self.max_chunk_bytes != 0 && self.growth != Growth::Double {
            let bound = "must be 0 unless growth is OSTLER_GROWTH_DOUBLE";
            return Err(InvalidField { field: "max_chunk_bytes", value: self.max_chunk_bytes, bound }.into());
        }
        if self.max_chunk_bytes == 0 {
            self.max_chunk_bytes = DEFAULT_MAX_CHUNK_BYTES.max(self.chunk_bytes);
        }
        if !(self.chunk_bytes..=LARGEST_CHUNK_BYTES).contains(&self.max_chunk_bytes) {
            let bound = "must be 0, or chunk_bytes to 1099511627776 (1 TiB)";
            return Err(InvalidField { field: "max_chunk_bytes", value: self.max_chunk_bytes, bound }.into());
        }
        if self.limit_bytes != 0 && self.limit_bytes < SMALLEST_CHUNK_BYTES {
            let bound = "must be 0, or at least 65536 (64 KiB)";
            return Err(InvalidField { field: "limit_bytes", value: self.limit_bytes, bound }.into());
        }
        if let Some(memory) = self.memory {
            memory.checked()?;
        }
        self.source = self.source.checked()?;
        Ok(self)
    }

    /// Bytes of the next chunk, with this much mapped already.
    pub fn next_chunk_bytes(&self, mapped: u64) -> u64 {
        match self.growth {
            Growth::Fixed | Growth::None => self.chunk_bytes,
            Growth::Double => mapped.clamp(self.chunk_bytes, self.max_chunk_bytes),
        }
    }
}

impl Adopted {
    pub fn checked(self) -> Result<Self, InvalidField> {
        if self.bytes < SMALLEST_ADOPTED_BYTES || (self.address as u64).checked_add(self.bytes).is_none() {
            let bound = "must be at least 4096, and end within the address space";
            return Err(InvalidField { field: "memory_bytes", value: self.bytes, bound });
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_double_up_to_the_maximum() {
        let asked = ArenaConfig {
            chunk_bytes: 64 << 10,
            growth: Growth::Double,
            max_chunk_bytes: 200 << 10,
            ..ArenaConfig::default()
        };
        let config = asked.checked().unwrap();
        let mut mapped = 0;
        let chunks = [64u64, 64, 128, 200, 200].map(|kib| kib << 10);
        for bytes in chunks {
            assert_eq!(config.next_chunk_bytes(mapped), bytes);
            mapped += bytes;
        }
        let default = ArenaConfig::default().checked().unwrap();
        assert_eq!(default.next_chunk_bytes(1 << 40), DEFAULT_CHUNK_BYTES);
    }
}
