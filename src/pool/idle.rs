//! The numbers of idle slots: all on one shelf, or on one for each node.

use super::by_node::ByNode;
use super::shelf::{Order, Shelf};
use super::stack::{Chain, Links, Stack};
use crate::base::alloc::OutOfMemory;
use crate::memory::nodes::Nodes;
use std::sync::Arc;

/// A number that was idle.
pub struct Popped {
    pub slot: u32,
    /// How many are left, where that was looked at.
    pub left: Option<u32>,
    /// The node that used it last.
    pub from: u32,
}

pub enum IdleSet {
    Shared(Shelf),
    ByNode(ByNode),
}

impl IdleSet {
    /// An empty set for the numbers below `slots`. Where there are nodes, each keeps what was used there; `is_counted`: each
    /// pop has to tell how many are left.
    pub fn new(
        order: Order,
        nodes: Option<Arc<Nodes>>,
        is_counted: bool,
        slots: u32,
        links: &Arc<Links>,
    ) -> Result<Self, OutOfMemory> {
        Ok(match nodes {
            None => Self::Shared(Shelf::new(order, slots, links)?),
            Some(nodes) => Self::ByNode(ByNode::new(order, nodes, is_counted, slots, links)?),
        })
    }

    pub fn is_by_node(&self) -> bool {
        matches!(self, Self::ByNode(_))
    }

    /// The node that runs this thread; 0 where that does not matter.
    #[inline]
    pub fn here(&self) -> u32 {
        match self {
            Self::Shared(_) => 0,
            Self::ByNode(nodes) => nodes.here(),
        }
    }

    /// For the owner of a slot that was just used: it is used on this node.
    #[inline]
    pub fn note_use(&self, slot: u32) {
        if let Self::ByNode(nodes) = self {
            nodes.note_use(slot);
        }
    }

    /// The number must be below the bound and not in the set. The tag is that of its resource.
    #[inline]
    pub fn push(&self, slot: u32, tag: u64) {
        match self {
            Self::Shared(shelf) => shelf.push(slot, tag),
            Self::ByNode(nodes) => nodes.push(slot, tag),
        }
    }

    /// The same for many, which [`push_chain`](Self::push_chain) ends.
    #[inline]
    pub fn link(&self, chain: &mut Chain, slot: u32, tag: u64) {
        match self {
            Self::Shared(shelf) => shelf.link(chain, slot, tag),
            Self::ByNode(nodes) => nodes.push(slot, tag),
        }
    }

    #[inline]
    pub fn push_chain(&self, chain: Chain) {
        if let Self::Shared(shelf) = self {
            shelf.push_chain(chain);
        }
    }

    /// So many at once and how many are left, or none, or none for now; see [`Stack::pop_all`](super::stack::Stack::pop_all).
    #[inline]
    pub fn pop_all(&self, count: usize, each: impl FnMut(usize, u32)) -> Option<u32> {
        match self {
            Self::Shared(shelf) => shelf.pop_all(count, each),
            Self::ByNode(nodes) => nodes.pop_all(count, each),
        }
    }

    /// The next number for one on that node who wants that tag.
    #[inline]
    pub fn pop_for(&self, tag: u64, node: u32) -> Option<Popped> {
        match self {
            Self::Shared(shelf) => shelf.pop(tag).map(|(slot, left)| Popped { slot, left: Some(left), from: 0 }),
            Self::ByNode(nodes) => nodes.pop_for(tag, node),
        }
    }

    /// For one on that node: so many are to be leased that were used last on the other.
    #[inline]
    pub fn note_taken(&self, node: u32, from: u32, count: u64) {
        if let Self::ByNode(nodes) = self {
            nodes.note_taken(node, from, count);
        }
    }

    /// Where the numbers are, when it is one stack for all.
    pub fn stack(&self) -> Option<&Stack> {
        match self {
            Self::Shared(Shelf::LastUsedFirst(stack)) => Some(stack),
            _ => None,
        }
    }

    /// A number, for one who does not lease it.
    pub fn pop(&self) -> Option<u32> {
        match self {
            Self::Shared(shelf) => shelf.pop(0).map(|(slot, _)| slot),
            Self::ByNode(nodes) => nodes.pop(),
        }
    }

    pub fn depth(&self) -> u32 {
        match self {
            Self::Shared(shelf) => shelf.depth(),
            Self::ByNode(nodes) => nodes.depth(),
        }
    }

    /// How often one was taken for somebody on the node that had used it last, and on another.
    pub fn hits(&self) -> (u64, u64) {
        match self {
            Self::Shared(_) => (0, 0),
            Self::ByNode(nodes) => nodes.hits(),
        }
    }
}
