//! A page source: where memory shall come from. Every object that maps memory is made with one.

use super::kernel;
use super::policy::{MASK_BITS, NodePolicy, Pages};
use crate::base::InvalidField;

#[derive(Clone, Copy, Debug, Default)]
pub struct PageSource {
    pub pages: Pages,
    pub nodes: NodePolicy,
    /// A step down is an error.
    pub strict: bool,
    /// Bring pages in when they are mapped, not when they are first touched.
    pub prefault: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error("node is {node}, but must be one of the nodes with memory that this process may use: {allowed:?}")]
    NoSuchNode { node: u32, allowed: Vec<u32> },
}

impl PageSource {
    /// Refuses what no machine could honour, and what is strict and this one cannot.
    pub fn checked(self) -> Result<Self, SourceError> {
        if let NodePolicy::One(node) = self.nodes {
            const _: () = assert!(MASK_BITS == 1024);
            if node as usize >= MASK_BITS {
                return Err(InvalidField { field: "node", value: node.into(), bound: "must be below 1024" }.into());
            }
            let allowed = kernel::allowed_nodes();
            if self.strict && !allowed.contains(&node) {
                return Err(SourceError::NoSuchNode { node, allowed });
            }
        }
        Ok(self)
    }
}
