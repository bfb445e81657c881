//! A page source: where memory shall come from. Every object that maps memory is made with one.

use super::policy::{MASK_BITS, NodeMask, NodePolicy, Pages};
use super::{kernel, this_machine};
use crate::base::InvalidField;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageSource {
    pub pages: Pages,
    pub nodes: NodePolicy,
    /// The nodes of a policy that is for several.
    pub node_set: NodeMask,
    /// A step down is an error.
    pub strict: bool,
    /// Bring pages in when they are mapped, not when they are first touched.
    pub prefault: bool,
    /// Keep pages in memory once they are there.
    pub lock: bool,
    /// A page on either side that nobody may touch.
    pub guard: bool,
    /// A forked child does not get the memory.
    pub exclude_fork: bool,
    /// A core dump does not have it.
    pub exclude_dump: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error("node is {node}, but must be one of the nodes with memory that this process may use: {allowed}")]
    NoSuchNode { node: u32, allowed: NodeMask },
    #[error("strict, and no node with memory that this process may use is known to be near to {what}")]
    NothingNear { what: &'static str },
    #[error("there is no device \"{0}\" in /sys/bus/pci/devices or /sys/class")]
    NoSuchDevice(String),
    #[error("the nodes of CPUs could not be found: {0}")]
    Topology(String),
}

impl PageSource {
    /// Of the nodes nearest to these CPUs.
    pub fn near_cpus(self, cpus: &NodeMask) -> Result<Self, SourceError> {
        let found = this_machine::nearest_to_cpus(cpus).map_err(|error| SourceError::Topology(error.to_string()))?;
        Ok(Self { nodes: NodePolicy::NearestCpus, node_set: found, ..self })
    }

    /// Of the nodes nearest to a device.
    pub fn near_device(self, name: &str) -> Result<Self, SourceError> {
        let found = this_machine::nearest_to_device(name).ok_or_else(|| SourceError::NoSuchDevice(name.to_owned()))?;
        Ok(Self { nodes: NodePolicy::NearestDevice, node_set: found, ..self })
    }

    /// Refuses what no machine could honour, and what is strict and this one cannot.
    pub fn checked(self) -> Result<Self, SourceError> {
        const _: () = assert!(MASK_BITS == 1024);
        let wanted = match self.nodes {
            NodePolicy::One(node) if node as usize >= MASK_BITS => {
                return Err(InvalidField { field: "node", value: node.into(), bound: "must be below 1024" }.into());
            }
            NodePolicy::One(node) => NodeMask::from_iter([node]),
            NodePolicy::Set if self.node_set.is_empty() => {
                return Err(InvalidField { field: "node_set", value: 0, bound: "must name a node" }.into());
            }
            NodePolicy::Set | NodePolicy::Interleave => self.node_set,
            NodePolicy::NearestCpus | NodePolicy::NearestDevice if self.strict && self.node_set.is_empty() => {
                let what = if self.nodes == NodePolicy::NearestCpus { "these CPUs" } else { "the device" };
                return Err(SourceError::NothingNear { what });
            }
            _ => NodeMask::EMPTY,
        };
        if self.strict && !wanted.is_empty() {
            let allowed: NodeMask = kernel::allowed_nodes().into_iter().collect();
            if let Some(node) = wanted.iter().find(|node| !allowed.has(*node)) {
                return Err(SourceError::NoSuchNode { node, allowed });
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strictly(nodes: NodePolicy, set: &[u32]) -> Result<PageSource, SourceError> {
        let node_set = set.iter().copied().collect();
        PageSource { nodes, node_set, strict: true, ..PageSource::default() }.checked()
    }

    #[test]
    fn strict_refuses_nodes_that_are_not_there() {
        let here = kernel::allowed_nodes()[0];
        assert!(strictly(NodePolicy::Set, &[here]).is_ok() && strictly(NodePolicy::Interleave, &[]).is_ok());
        assert!(matches!(strictly(NodePolicy::Set, &[here, 1001]), Err(SourceError::NoSuchNode { node: 1001, .. })));
        assert!(matches!(strictly(NodePolicy::Interleave, &[1001]), Err(SourceError::NoSuchNode { .. })));
        assert!(matches!(strictly(NodePolicy::Set, &[]), Err(SourceError::Field(_))));
        assert!(matches!(strictly(NodePolicy::NearestCpus, &[]), Err(SourceError::NothingNear { .. })));
    }

    #[test]
    fn what_is_near_is_found() {
        let near = PageSource::default().near_cpus(&NodeMask::from_iter([0])).expect("hwloc");
        assert_eq!((near.nodes, near.node_set.count()), (NodePolicy::NearestCpus, 1));
        let nowhere = PageSource::default().near_cpus(&NodeMask::from_iter([1023])).expect("hwloc");
        assert!(nowhere.node_set.is_empty());
        let device = PageSource::default().near_device("net/lo").expect("a device");
        assert_eq!((device.nodes, device.node_set), (NodePolicy::NearestDevice, NodeMask::EMPTY));
        for name in ["net/none", "", "/", "../..", "net/../../kernel", "0000:ff:1f.7"] {
            assert!(matches!(PageSource::default().near_device(name), Err(SourceError::NoSuchDevice(_))), "{name}");
        }
    }
}
