//! A chunk: memory that an arena mapped or adopted, filled from its beginning.

use super::super::governor::Account;
use super::super::pages::Mapping;
use super::chunks::SPAN_ALIGN;
use super::config::Adopted;
use super::traces::Traces;
use std::sync::Arc;

/// Homes that an arena keeps chunks apart for; nodes of more share them.
pub const HOMES: usize = 16;

/// Where those run who take from a chunk: of an arena of local memory a node, else one place for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Home(u8);

impl Home {
    pub fn of_node(node: u32) -> Self {
        Self((node as usize % HOMES) as u8)
    }

    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    pub fn all() -> impl Iterator<Item = Self> {
        (0..HOMES as u8).map(Self)
    }
}

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
    /// For whom it was begun.
    pub home: Home,
    pub filled: u64,
    pub traces: Traces,
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
    pub fn hand_over(&self, to: &Arc<Account>) {
        if let Memory::Mapped(mapping) = &self.memory {
            mapping.hand_over(to);
        }
        self.traces.hand_over(to);
    }
}
