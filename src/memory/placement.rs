//! Placement: a node policy as the kernel takes it, for one mapping that is about to be made.

use super::policy::{NodeMask, NodePolicy};
use super::source::PageSource;
use super::system::{self, Errno, RawPolicy};
use super::this_machine;

/// `MPOL_PREFERRED_MANY` (Linux 5.15), which libc does not have.
pub const PREFERRED_MANY: i32 = 5;

/// A node policy with its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    pub raw: RawPolicy,
}

impl Placement {
    /// Resolves the policy for a mapping made now by this thread. `None` leaves the choice to the kernel.
    pub fn of(source: &PageSource) -> Option<Self> {
        if source.nodes == NodePolicy::Any {
            return None;
        }
        let nodes = this_machine::layout().nodes_of(source.nodes, &source.node_set, system::current_node());
        let mode = match source.nodes {
            NodePolicy::Interleave => libc::MPOL_INTERLEAVE,
            _ if source.strict => libc::MPOL_BIND,
            _ if nodes.count() > 1 => PREFERRED_MANY,
            _ => libc::MPOL_PREFERRED,
        };
        (!nodes.is_empty()).then_some(Self { raw: RawPolicy { mode, nodes } })
    }

    pub fn nodes(&self) -> &NodeMask {
        &self.raw.nodes
    }

    /// Its nodes have the pages in turn.
    pub fn is_interleaved(&self) -> bool {
        self.raw.mode == libc::MPOL_INTERLEAVE
    }

    /// The nodes that alone may hold the pages.
    pub fn bound_to(&self) -> Option<&NodeMask> {
        (self.raw.mode == libc::MPOL_BIND).then_some(&self.raw.nodes)
    }

    /// The same nodes and no others.
    pub fn bound(self) -> Self {
        Self { raw: RawPolicy { mode: libc::MPOL_BIND, ..self.raw } }
    }

    /// What a kernel without a preference for many nodes can do of it: prefer the first.
    pub fn narrowed(self) -> Option<Self> {
        let first = self.raw.nodes.first().filter(|_| self.raw.mode == PREFERRED_MANY)?;
        Some(Self { raw: RawPolicy { mode: libc::MPOL_PREFERRED, nodes: NodeMask::from_iter([first]) } })
    }

    /// Runs `body` while this is the thread's own policy: only so does mmap of huge pages look at the pool of the
    /// right node. Says also whether the kernel refused the policy; then `body` runs without it.
    pub fn during<R>(&self, body: impl FnOnce() -> R) -> (R, Result<(), Errno>) {
        let before = match system::thread_policy() {
            Ok(before) => before,
            Err(errno) => return (body(), Err(errno)),
        };
        if let Err(errno) = system::set_thread_policy(&self.raw) {
            return (body(), Err(errno));
        }
        let _restore = Restore { before };
        (body(), Ok(()))
    }
}

/// Puts the thread's policy back, also when the body unwinds.
struct Restore {
    before: RawPolicy,
}

impl Drop for Restore {
    fn drop(&mut self) {
        if let Err(errno) = system::restore_thread_policy(&self.before) {
            crate::base::log::warn(format_args!("set_mempolicy could not put a thread's policy back: errno {errno}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(nodes: NodePolicy, strict: bool) -> Placement {
        Placement::of(&PageSource { nodes, strict, ..PageSource::default() }).expect("nodes")
    }

    #[test]
    fn the_threads_own_policy_is_put_back() {
        let _quiet = super::super::testing::quiet();
        let before = system::thread_policy().expect("get_mempolicy");
        let placement = placement(NodePolicy::Interleave, false);
        let (inside, applied) = placement.during(|| system::thread_policy().expect("get_mempolicy"));
        assert_eq!(applied, Ok(()));
        assert_eq!((inside.mode, inside.nodes), (libc::MPOL_INTERLEAVE, placement.raw.nodes));
        assert_eq!(system::thread_policy(), Ok(before));
        assert!(std::panic::catch_unwind(|| placement.during(|| panic!("inside"))).is_err());
        assert_eq!(system::thread_policy(), Ok(before));
    }

    #[test]
    fn a_node_that_does_not_exist_is_refused_by_the_kernel() {
        let _quiet = super::super::testing::quiet();
        assert_eq!(placement(NodePolicy::One(1000), true).during(|| ()).1, Err(libc::EINVAL));
    }

    #[test]
    fn strict_binds_and_otherwise_the_nodes_are_preferred() {
        let modes = [false, true].map(|strict| placement(NodePolicy::One(0), strict).raw.mode);
        assert_eq!(modes, [libc::MPOL_PREFERRED, libc::MPOL_BIND]);
        assert_eq!(Placement::of(&PageSource::default()), None);
        let many = Placement { raw: RawPolicy { mode: PREFERRED_MANY, nodes: NodeMask::from_iter([3, 5]) } };
        let first = many.narrowed().expect("a node");
        assert_eq!((first.raw.mode, first.nodes()), (libc::MPOL_PREFERRED, &NodeMask::from_iter([3])));
        assert_eq!((first.narrowed(), many.bound().bound_to()), (None, Some(&NodeMask::from_iter([3, 5]))));
    }
}
