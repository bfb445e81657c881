//! This machine as planning describes machines: read from the kernel each time, except for what hardware does not
//! change.

use super::planning::{Machine, Node, Pool};
use super::policy::NodeMask;
use super::topology::{Topology, TopologyError};
use super::{cgroup, headroom, kernel, system};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Distances from each node to each.
fn distances() -> &'static BTreeMap<u32, BTreeMap<u32, u32>> {
    static DISTANCES: OnceLock<BTreeMap<u32, BTreeMap<u32, u32>>> = OnceLock::new();
    DISTANCES.get_or_init(kernel::distances)
}

/// Its nodes and how far they are apart; nothing of what is free.
pub fn layout() -> Machine {
    let usable = kernel::allowed_nodes();
    let known = distances();
    let all = known.keys().chain(&usable).copied().collect::<NodeMask>();
    let nodes = all.iter().map(|number| Node {
        number,
        usable: usable.contains(&number),
        distances: known.get(&number).cloned().unwrap_or_default(),
        ..Node::default()
    });
    Machine { nodes: nodes.collect(), ..Machine::default() }
}

/// The node of each CPU, as hwloc places them.
pub fn homes() -> Result<&'static BTreeMap<u32, u32>, TopologyError> {
    static HOMES: OnceLock<BTreeMap<u32, u32>> = OnceLock::new();
    if let Some(homes) = HOMES.get() {
        return Ok(homes);
    }
    let topology = Topology::of_this_machine()?;
    let homes = topology.cpus.iter().map(|cpu| (cpu.number, cpu.node)).collect();
    Ok(HOMES.get_or_init(|| homes))
}

/// The usable nodes nearest to CPUs.
pub fn nearest_to_cpus(cpus: &NodeMask) -> Result<NodeMask, TopologyError> {
    Ok(Machine { homes: homes()?.clone(), ..layout() }.nearest_to_cpus(cpus.iter()))
}

/// The usable nodes nearest to a device; empty when it has no node of its own. `None`: there is no such device.
pub fn nearest_to_device(name: &str) -> Option<NodeMask> {
    let node = kernel::node_of_device(name)?;
    Some(u32::try_from(node).map_or(NodeMask::EMPTY, |node| layout().nearest_to_node(node)))
}

/// All of it, as it is now.
pub fn now() -> Machine {
    let mut machine = layout();
    machine.base_page_bytes = system::base_page_bytes();
    machine.transparent_page_bytes = kernel::transparent_page_bytes().filter(|_| !kernel::transparent_pages_off());
    let sizes = kernel::huge_page_sizes();
    machine.pools = sizes.iter().map(|page_bytes| (*page_bytes, pool_of(*page_bytes).unwrap_or_default())).collect();
    machine.available_bytes = headroom::machine_left();
    machine.group_left = headroom::group_left();
    machine.address_space_left =
        system::address_space_limit().map(|limit| limit.saturating_sub(kernel::mapped_bytes()));
    for node in &mut machine.nodes {
        node.available_bytes = headroom::node_left(node.number).unwrap_or(machine.available_bytes);
        node.free_huge = sizes.iter().filter_map(|page_bytes| free_on(node.number, *page_bytes)).collect();
    }
    machine
}

/// Its explicit huge pages of one size, as they are now, and nothing of what else is free.
pub fn huge_pages_now(page_bytes: u64) -> Machine {
    let mut machine = layout();
    machine.pools = pool_of(page_bytes).map(|pool| (page_bytes, pool)).into_iter().collect();
    for node in &mut machine.nodes {
        node.free_huge = free_on(node.number, page_bytes).into_iter().collect();
    }
    machine
}

fn pool_of(page_bytes: u64) -> Option<Pool> {
    let unpromised = kernel::huge_pool(page_bytes)?.unpromised();
    let group_left = cgroup::hugetlb(page_bytes).map(|(_, bound)| bound.left());
    Some(Pool { unpromised, group_left })
}

/// Free pages of a size on a node, with that size.
fn free_on(node: u32, page_bytes: u64) -> Option<(u64, u64)> {
    Some((page_bytes, kernel::huge_pool_of_node(node, page_bytes)?.free))
}
