//! Where pages shall come from: which size, which nodes.

use super::{kernel, system};
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
    /// The node of the thread that maps the chunk, or the nearest with memory.
    Local,
    One(u32),
    /// Page by page over the nodes of the set; over all that are allowed when the set is empty.
    Interleave,
    /// Any of the nodes of the set.
    Set,
    /// The nodes nearest to some CPUs; the set has them.
    NearestCpus,
    /// The nodes nearest to a device; the set has them.
    NearestDevice,
}

impl NodePolicy {
    pub fn number(self) -> u32 {
        match self {
            NodePolicy::Any => 0,
            NodePolicy::Local => 1,
            NodePolicy::One(_) => 2,
            NodePolicy::Interleave => 3,
            NodePolicy::Set => 4,
            NodePolicy::NearestCpus => 5,
            NodePolicy::NearestDevice => 6,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            NodePolicy::Any => "any",
            NodePolicy::Local => "local",
            NodePolicy::One(_) => "node",
            NodePolicy::Interleave => "interleave",
            NodePolicy::Set => "set",
            NodePolicy::NearestCpus => "near CPUs",
            NodePolicy::NearestDevice => "near device",
        }
    }
}

impl fmt::Display for NodePolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodePolicy::One(node) => formatter.pad(&format!("node {node}")),
            policy => formatter.pad(policy.name()),
        }
    }
}

/// A set of nodes as the kernel takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeMask([u64; MASK_BITS / 64]);

impl NodeMask {
    pub const EMPTY: Self = Self([0; MASK_BITS / 64]);

    pub fn from_words(words: [u64; MASK_BITS / 64]) -> Self {
        Self(words)
    }

    pub fn has(&self, node: u32) -> bool {
        self.0.get(node as usize / 64).is_some_and(|word| word & (1 << (node % 64)) != 0)
    }

    /// Lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().zip(0u32..).flat_map(|(word, index)| {
            (0..64u32).filter(move |bit| word & (1 << bit) != 0).map(move |bit| index * 64 + bit)
        })
    }

    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub fn first(&self) -> Option<u32> {
        self.iter().next()
    }

    /// The nodes that are in both.
    pub fn both(&self, other: &Self) -> Self {
        let mut both = *self;
        both.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
        both
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    pub fn words(&self) -> &[u64; MASK_BITS / 64] {
        &self.0
    }

    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

impl FromIterator<u32> for NodeMask {
    fn from_iter<I: IntoIterator<Item = u32>>(nodes: I) -> Self {
        let mut mask = Self::EMPTY;
        for node in nodes {
            if let Some(word) = mask.0.get_mut(node as usize / 64) {
                *word |= 1 << (node % 64);
            }
        }
        mask
    }
}

impl fmt::Display for NodeMask {
    /// As the kernel writes lists: 0-2,5.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut nodes = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = nodes.next() {
            let mut last = first;
            while let Some(next) = nodes.next_if(|next| *next == last + 1) {
                last = next;
            }
            write!(formatter, "{comma}{first}")?;
            if last > first {
                write!(formatter, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_has_a_bit_for_each_node() {
        let mask = NodeMask::from_iter([0, 65, 1023, 5000]);
        assert_eq!((mask.words()[0], mask.words()[1], mask.words()[15]), (1, 2, 1 << 63));
        assert_eq!(mask.iter().collect::<Vec<_>>(), [0, 65, 1023]);
        assert_eq!((mask.count(), mask.first(), mask.has(65), mask.has(64)), (3, Some(0), true, false));
        assert!(NodeMask::from_iter([]).is_empty() && !mask.has(5000));
        assert_eq!(mask.both(&NodeMask::from_iter([1, 65])), NodeMask::from_iter([65]));
    }

    #[test]
    fn masks_are_written_as_the_kernel_writes_lists() {
        assert_eq!(NodeMask::from_iter([0, 1, 2, 5, 7, 8]).to_string(), "0-2,5,7-8");
        assert_eq!(NodeMask::EMPTY.to_string(), "");
    }
}
