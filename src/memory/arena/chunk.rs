//! A chunk: memory that an arena mapped or adopted, filled from its beginning.

use super::super::governor::{Account, Refused};
use super::super::pages::Mapping;
use super::chunks::SPAN_ALIGN;
use super::config::Adopted;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum Memory {
    Mapped(Arc<Mapping>),
    Adopted(Adopted),
}

impl Memory {
    /// The part of the host's memory that begins and ends as spans do.
    pub fn adopt(memory: Adopted) -> Self {
        let padding = (memory.address as u64).wrapping_neg() & (SPAN_ALIGN - 1);
        let bytes = (memory.bytes - padding) & !(SPAN_ALIGN - 1);
        Self::Adopted(Adopted { address: memory.address.wrapping_add(padding as usize), bytes })
    }

    pub fn address(&self) -> *mut u8 {
        match self {
            Self::Mapped(mapping) => mapping.address(),
            Self::Adopted(adopted) => adopted.address,
        }
    }

    pub fn bytes(&self) -> u64 {
        match self {
            Self::Mapped(mapping) => mapping.bytes,
            Self::Adopted(adopted) => adopted.bytes,
        }
    }

    /// What a limit counts: adopted memory is the host's.
    pub fn mapped_bytes(&self) -> u64 {
        match self {
            Self::Mapped(mapping) => mapping.bytes,
            Self::Adopted(_) => 0,
        }
    }
}

#[derive(Debug)]
pub struct Chunk {
    pub memory: Memory,
    pub filled: u64,
}

impl Chunk {
    pub fn room(&self) -> u64 {
        self.memory.bytes() - self.filled
    }

    /// The first byte that is free.
    pub fn free_from(&self) -> *mut u8 {
        self.memory.address().wrapping_add(self.filled as usize)
    }

    /// Lets another account pay for it from now on. The host pays for what it lent.
    pub fn hand_over(&self, to: &Arc<Account>) -> Result<(), Refused> {
        match &self.memory {
            Memory::Mapped(mapping) => mapping.hand_over(to),
            Memory::Adopted(_) => Ok(()),
        }
    }
}
