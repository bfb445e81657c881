//! Planning: which nodes a policy stands for, and which page sizes would hold there. All of it is arithmetic over the
//! description of a machine, so any machine can be planned for, and nothing here asks the kernel.

use super::policy::{NodeMask, NodePolicy, Pages};
use super::round_up;
use super::steps::Limit;
use super::topology::Topology;
use std::collections::BTreeMap;

/// Larger than any address space.
pub const ABSURD: u64 = 1 << 56;

/// What a node has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub number: u32,
    /// Whether it has memory that the process may use.
    pub usable: bool,
    /// Memory that can be had there now.
    pub available_bytes: u64,
    /// Free explicit huge pages by their size.
    pub free_huge: BTreeMap<u64, u64>,
    /// To other nodes by their number, as the firmware tells them: 10 is the node itself.
    pub distances: BTreeMap<u32, u32>,
}

/// How many explicit huge pages of a size can be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// Free in the whole machine, and promised to nobody.
    pub unpromised: u64,
    /// Bytes that the tightest control group leaves; `None`: no limit.
    pub group_left: Option<u64>,
}

/// A machine as far as it matters to where memory comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    pub nodes: Vec<Node>,
    /// The node of each CPU.
    pub homes: BTreeMap<u32, u32>,
    pub base_page_bytes: u64,
    /// `None`: the kernel has none, or they are switched off.
    pub transparent_page_bytes: Option<u64>,
    /// Explicit huge pages by their size.
    pub pools: BTreeMap<u64, Pool>,
    /// Memory that can be had on the whole machine, with what is kept free left out.
    pub available_bytes: u64,
    /// Bytes of memory that the tightest control group leaves; `None`: no limit.
    pub group_left: Option<u64>,
    /// Bytes of address space that RLIMIT_AS leaves; `None`: no limit.
    pub address_space_left: Option<u64>,
}

/// What is planned for.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub bytes: u64,
    pub pages: Pages,
    pub policy: NodePolicy,
    /// The nodes that the policy stands for; empty: all.
    pub nodes: &'a NodeMask,
    /// A step down is an error.
    pub strict: bool,
    /// All of it is brought in at once.
    pub prefault: bool,
}

/// One page size of the ladder, and how it would go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    pub pages: Pages,
    /// 0 when there are no such pages.
    pub page_bytes: u64,
    /// What would be taken, in whole pages.
    pub wanted_bytes: u64,
    /// What is there to be taken, where the limit lies.
    pub left_bytes: u64,
    /// What stands in the way; [`Limit::None`] when it would hold.
    pub limit: Limit,
    /// The nodes alone are short; elsewhere there is enough.
    pub short_on_nodes: bool,
}

/// The ladder from the top down to the rung that would hold, or to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub rungs: Vec<Rung>,
}

impl Plan {
    /// The rung that would hold.
    pub fn holds(&self) -> Option<&Rung> {
        self.rungs.last().filter(|rung| rung.limit == Limit::None)
    }
}

impl Machine {
    /// A description without limits, all of it free.
    pub fn described(topology: &Topology) -> Self {
        let packages = |node: u32| -> Vec<u32> {
            topology.cpus.iter().filter(|cpu| cpu.node == node).map(|cpu| cpu.package).collect()
        };
        // A description tells of no distances: nodes of one package are nearer than those of another.
        let distance = |from: u32, to: u32| match (packages(from), packages(to)) {
            _ if from == to => 10,
            (from, to) if from.iter().any(|package| to.contains(package)) => 20,
            _ => 30,
        };
        let mut machine = Self { base_page_bytes: super::system::base_page_bytes(), ..Self::default() };
        for (index, node) in topology.nodes.iter().enumerate() {
            let mut free_huge = BTreeMap::new();
            for (size, page_bytes) in topology.page_sizes.iter().enumerate() {
                if let Ok(pages) = topology.pages(Some(index as u32), size as u32)
                    && *page_bytes > machine.base_page_bytes
                {
                    free_huge.insert(*page_bytes, pages.free);
                    machine.pools.entry(*page_bytes).or_default().unpromised += pages.free;
                }
            }
            let available_bytes = topology.free_bytes(node);
            machine.available_bytes += available_bytes;
            machine.nodes.push(Node {
                number: node.number,
                usable: node.memory_bytes > 0,
                available_bytes,
                free_huge,
                distances: topology.nodes.iter().map(|to| (to.number, distance(node.number, to.number))).collect(),
            });
        }
        machine.homes = topology.cpus.iter().map(|cpu| (cpu.number, cpu.node)).collect();
        machine
    }

    fn usable(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.usable)
    }

    pub fn node(&self, number: u32) -> Option<&Node> {
        self.nodes.iter().find(|node| node.number == number)
    }

    /// The usable nodes nearest to a node: itself when it is one, else those at the least distance.
    pub fn nearest_to_node(&self, home: u32) -> NodeMask {
        let own = self.node(home);
        let distance = |node: &Node| match own {
            _ if node.number == home => 0,
            Some(own) => own.distances.get(&node.number).copied().unwrap_or(u32::MAX),
            None => u32::MAX,
        };
        let Some(least) = self.usable().map(distance).min() else { return NodeMask::EMPTY };
        self.usable().filter(|node| distance(node) == least).map(|node| node.number).collect()
    }

    /// The usable nodes nearest to any of the CPUs. Empty when none of them is known.
    pub fn nearest_to_cpus(&self, cpus: impl IntoIterator<Item = u32>) -> NodeMask {
        let homes: NodeMask = cpus.into_iter().filter_map(|cpu| self.homes.get(&cpu).copied()).collect();
        homes.iter().flat_map(|home| self.nearest_to_node(home).iter().collect::<Vec<_>>()).collect()
    }

    /// The nodes that a policy stands for. Empty leaves the choice to the kernel. `here` is the node of the CPU that
    /// the thread runs on; `set` is what the policy names, or what was found nearest.
    pub fn nodes_of(&self, policy: NodePolicy, set: &NodeMask, here: Option<u32>) -> NodeMask {
        let usable: NodeMask = self.usable().map(|node| node.number).collect();
        match policy {
            NodePolicy::Any => NodeMask::EMPTY,
            NodePolicy::Local => here.map_or(NodeMask::EMPTY, |here| self.nearest_to_node(here)),
            // Whether there is such a node is for the kernel to say, so that its answer can be told.
            NodePolicy::One(node) => NodeMask::from_iter([node]),
            NodePolicy::Interleave if set.is_empty() => usable,
            NodePolicy::Set | NodePolicy::Interleave | NodePolicy::NearestCpus | NodePolicy::NearestDevice => {
                match set.both(&usable) {
                    none if none.is_empty() => *set,
                    some => some,
                }
            }
        }
    }

    /// The ladder for a wish, down to the rung that would hold.
    pub fn plan(&self, wish: &Wish) -> Plan {
        let mut rungs = Vec::new();
        for pages in wish.pages.ladder() {
            let rung = self.rung(*pages, wish);
            rungs.push(rung);
            let asked_for = *pages == wish.pages;
            if rung.limit == Limit::None || (wish.strict && asked_for) {
                break;
            }
        }
        Plan { rungs }
    }

    fn rung(&self, pages: Pages, wish: &Wish) -> Rung {
        let page_bytes = match pages {
            Pages::Base | Pages::Best => Some(self.base_page_bytes),
            Pages::Transparent => self.transparent_page_bytes,
            Pages::Huge2M => self.pools.contains_key(&(2 << 20)).then_some(2 << 20),
            Pages::Huge1G => self.pools.contains_key(&(1 << 30)).then_some(1 << 30),
        };
        let mut rung = Rung {
            pages,
            page_bytes: page_bytes.unwrap_or(0),
            wanted_bytes: wish.bytes,
            left_bytes: 0,
            limit: Limit::None,
            short_on_nodes: false,
        };
        let Some(page_bytes) = page_bytes else {
            let limit = if pages == Pages::Transparent { Limit::ThpDisabled } else { Limit::PageSizeUnknown };
            return Rung { limit, ..rung };
        };
        if !fits_a_page(pages, page_bytes, wish.bytes, wish.pages) {
            return Rung { limit: Limit::ChunkTooSmall, ..rung };
        }
        rung.wanted_bytes = round_up(wish.bytes.max(1), page_bytes).unwrap_or(ABSURD);
        if let Some(left) = self.address_space_left.filter(|left| *left < rung.wanted_bytes) {
            return Rung { limit: Limit::AddressSpace, left_bytes: left, ..rung };
        }
        let is_explicit = matches!(pages, Pages::Huge2M | Pages::Huge1G);
        let (limit, left_bytes, short_on_nodes) = if is_explicit {
            self.shortage_of_huge(
                page_bytes,
                rung.wanted_bytes,
                wish.nodes,
                binds_huge(wish.policy, wish.pages, wish.strict),
            )
        } else {
            self.shortage_of_memory(rung.wanted_bytes, wish)
        };
        Rung { limit, left_bytes, short_on_nodes, ..rung }
    }

    /// What keeps so many bytes of explicit huge pages from being had; what there is; whether it is the nodes alone.
    /// With `bound` the pages must come from the nodes.
    pub fn shortage_of_huge(&self, page_bytes: u64, bytes: u64, nodes: &NodeMask, bound: bool) -> (Limit, u64, bool) {
        let Some(pool) = self.pools.get(&page_bytes) else { return (Limit::PageSizeUnknown, 0, false) };
        if let Some(left) = pool.group_left.filter(|left| *left < bytes) {
            return (Limit::HugetlbCgroup, left, false);
        }
        let in_all = pool.unpromised.saturating_mul(page_bytes);
        if in_all < bytes {
            return (Limit::HugePagePool, in_all, false);
        }
        let on_nodes = self.sum(nodes, |node| node.free_huge.get(&page_bytes).copied().unwrap_or(0));
        match on_nodes.saturating_mul(page_bytes) {
            left if bound && !nodes.is_empty() && left < bytes => (Limit::HugePagePool, left, true),
            left => (Limit::None, if bound { left.min(in_all) } else { in_all }, false),
        }
    }

    fn shortage_of_memory(&self, bytes: u64, wish: &Wish) -> (Limit, u64, bool) {
        let left = self.group_left.unwrap_or(u64::MAX).min(self.available_bytes);
        if bytes >= ABSURD {
            return (Limit::AddressSpace, left, false);
        }
        // Memory that nobody touches takes nothing.
        if !wish.prefault {
            return (Limit::None, left, false);
        }
        if let Some(left) = self.group_left.filter(|left| *left < bytes) {
            return (Limit::MemoryCgroup, left, false);
        }
        if self.available_bytes < bytes {
            return (Limit::NodeMemory, self.available_bytes, false);
        }
        if wish.strict && wish.policy != NodePolicy::Interleave && !wish.nodes.is_empty() {
            let on_nodes = self.sum(wish.nodes, |node| node.available_bytes);
            if on_nodes < bytes {
                return (Limit::NodeMemory, on_nodes, true);
            }
        }
        (Limit::None, left, false)
    }

    fn sum(&self, nodes: &NodeMask, of: impl Fn(&Node) -> u64) -> u64 {
        self.usable().filter(|node| nodes.has(node.number)).map(of).fold(0, u64::saturating_add)
    }
}

/// Whether a chunk is large enough for such pages. One that names its page size takes a whole page for less.
pub fn fits_a_page(pages: Pages, page_bytes: u64, bytes: u64, asked: Pages) -> bool {
    bytes >= page_bytes || pages == Pages::Base || (pages == asked && pages != Pages::Transparent)
}

/// Whether explicit huge pages come from the wanted nodes or not at all: when strict, and with "best", to whom smaller
/// pages on the wanted node are better than larger ones elsewhere.
pub fn binds_huge(policy: NodePolicy, asked: Pages, strict: bool) -> bool {
    (strict || asked == Pages::Best) && !matches!(policy, NodePolicy::Any | NodePolicy::Interleave)
}

#[cfg(test)]
mod tests;
