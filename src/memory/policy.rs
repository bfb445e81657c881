//! Where pages shall come from: which size, which node.

use super::kernel;
use super::system::{self, Errno, RawPolicy};
use std::fmt;

/// Bits of a node mask; more nodes than any kernel is built for.
pub const MASK_BITS: usize = 1024;

/// The pages of a chunk, as asked, tried, or got. The numbers are those of OSTLER_PAGES_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Pages {
    /// Base pages that the kernel may make huge where it can.
    #[default]
    Transparent = 0,
    Base = 1,
    Huge2M = 2,
    Huge1G = 3,
    /// The largest that is to be had.
    Best = 4,
}

impl Pages {
    pub fn from_number(number: u32) -> Option<Self> {
        [Self::Transparent, Self::Base, Self::Huge2M, Self::Huge1G, Self::Best]
            .into_iter()
            .find(|p| *p as u32 == number)
    }

    /// What is tried, in this order, until one is to be had.
    pub fn ladder(self) -> &'static [Pages] {
        match self {
            Pages::Transparent => &[Pages::Transparent, Pages::Base],
            Pages::Base => &[Pages::Base],
            Pages::Huge2M => &[Pages::Huge2M, Pages::Transparent, Pages::Base],
            Pages::Huge1G | Pages::Best => &[Pages::Huge1G, Pages::Huge2M, Pages::Transparent, Pages::Base],
        }
    }

    /// Bytes of one page; `None` when this kernel has no such pages.
    pub fn page_bytes(self) -> Option<u64> {
        let explicit = |bytes| kernel::huge_page_sizes().contains(&bytes).then_some(bytes);
        match self {
            Pages::Transparent => kernel::transparent_page_bytes(),
            Pages::Base => Some(system::base_page_bytes()),
            Pages::Huge2M => explicit(2 << 20),
            Pages::Huge1G => explicit(1 << 30),
            Pages::Best => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Pages::Transparent => "transparent",
            Pages::Base => "base",
            Pages::Huge2M => "2 MiB",
            Pages::Huge1G => "1 GiB",
            Pages::Best => "best",
        }
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The node of a chunk. The numbers of [`NodePolicy::number`] are those of OSTLER_NODE_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodePolicy {
    #[default]
    Any,
    /// The node of the thread that maps the chunk.
    Local,
    One(u32),
    /// Page by page over all allowed nodes.
    Interleave,
}

impl NodePolicy {
    pub fn number(self) -> u32 {
        match self {
            NodePolicy::Any => 0,
            NodePolicy::Local => 1,
            NodePolicy::One(_) => 2,
            NodePolicy::Interleave => 3,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            NodePolicy::Any => "any",
            NodePolicy::Local => "local",
            NodePolicy::One(_) => "node",
            NodePolicy::Interleave => "interleave",
        }
    }

    /// Resolves the policy for a mapping made now by this thread. `None` leaves the choice to the kernel.
    pub fn placement(self, strict: bool) -> Option<Placement> {
        let (mode, nodes) = match self {
            NodePolicy::Any => return None,
            NodePolicy::Local => {
                // A node without memory of its own has no pages to prefer.
                let node = system::current_node().filter(|node| kernel::allowed_nodes().contains(node))?;
                (single_node_mode(strict), vec![node])
            }
            NodePolicy::One(node) => (single_node_mode(strict), vec![node]),
            NodePolicy::Interleave => (libc::MPOL_INTERLEAVE, kernel::allowed_nodes()),
        };
        Some(Placement { raw: RawPolicy { mode, nodes: NodeMask::of(&nodes) }, nodes })
    }
}

fn single_node_mode(strict: bool) -> i32 {
    if strict { libc::MPOL_BIND } else { libc::MPOL_PREFERRED }
}

/// A node policy with its nodes, as the kernel takes it.
#[derive(Clone, Debug)]
pub struct Placement {
    pub raw: RawPolicy,
    pub nodes: Vec<u32>,
}

impl Placement {
    /// The nodes that alone may hold the pages.
    pub fn bound_to(&self) -> Option<&[u32]> {
        (self.raw.mode == libc::MPOL_BIND).then_some(&self.nodes)
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

/// A set of nodes as the kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeMask([u64; MASK_BITS / 64]);

impl NodeMask {
    pub const EMPTY: Self = Self([0; MASK_BITS / 64]);

    pub fn of(nodes: &[u32]) -> Self {
        let mut mask = Self::EMPTY;
        for node in nodes {
            if let Some(word) = mask.0.get_mut(*node as usize / 64) {
                *word |= 1 << (node % 64);
            }
        }
        mask
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    pub fn words(&self) -> &[u64] {
        &self.0
    }

    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_has_a_bit_for_each_node() {
        let mask = NodeMask::of(&[0, 65, 1023, 5000]);
        assert_eq!((mask.words()[0], mask.words()[1], mask.words()[15]), (1, 2, 1 << 63));
        assert!(NodeMask::of(&[]).is_empty());
    }

    #[test]
    fn the_threads_own_policy_is_put_back() {
        let _quiet = super::super::testing::quiet();
        let before = system::thread_policy().expect("get_mempolicy");
        let placement = NodePolicy::Interleave.placement(false).expect("nodes");
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
        let placement = NodePolicy::One(1000).placement(true).expect("a placement");
        assert_eq!(placement.during(|| ()).1, Err(libc::EINVAL));
    }
}
