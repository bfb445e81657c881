//! Planning on machines that nobody has: up to eight nodes and 512 CPUs as hwloc describes them, with distances, nodes
//! that may not be used and pools of huge pages drawn at random, beside a plain search over all nodes.

use ostler_rlib::memory::planning::{Machine, Pool, Wish};
use ostler_rlib::memory::policy::{NodeMask, NodePolicy, Pages};
use ostler_rlib::memory::steps::Limit;
use ostler_rlib::memory::topology::Topology;
use proptest::prelude::*;
use std::collections::BTreeSet;

const HUGE: u64 = 2 << 20;
const GIB: u64 = 1 << 30;
const MOST_NODES: usize = 8;

/// What is drawn for each node.
#[derive(Clone, Debug)]
struct Drawn {
    usable: bool,
    available_mib: u64,
    free_huge: u64,
    free_gib: u64,
    distances: [u32; MOST_NODES],
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let node = (any::<bool>(), any::<bool>(), 0u64..5000, 0u64..64, 0u64..3, prop::array::uniform8(11u32..40));
    prop::collection::vec(
        node.prop_map(|(one, other, available_mib, free_huge, free_gib, distances)| {
            // Three of four nodes may be used.
            Drawn { usable: one || other, available_mib, free_huge, free_gib, distances }
        }),
        MOST_NODES,
    )
}

/// Packages, nodes of each, cores of each, threads of each: at most 8 nodes and 512 CPUs.
fn shapes() -> impl Strategy<Value = [usize; 4]> {
    (1usize..=4, 1usize..=2, 1usize..=32, 1usize..=2)
        .prop_map(|(packages, nodes, cores, threads)| [packages, nodes, cores, threads])
}

fn machine(shape: [usize; 4], drawn: &[Drawn]) -> Machine {
    let [packages, nodes, cores, threads] = shape;
    let description = format!("package:{packages} numa:{nodes} core:{cores} pu:{threads}");
    let mut machine = Machine::described(&Topology::synthetic(&description).expect("a description"));
    assert_eq!(machine.nodes.len(), packages * nodes);
    assert_eq!(machine.homes.len(), packages * nodes * cores * threads);
    machine.transparent_page_bytes = Some(HUGE);
    machine.available_bytes = 0;
    let (mut huge, mut gib) = (0, 0);
    for (node, drawn) in machine.nodes.iter_mut().zip(drawn) {
        node.usable = drawn.usable;
        node.available_bytes = if drawn.usable { drawn.available_mib << 20 } else { 0 };
        node.free_huge = [(HUGE, drawn.free_huge), (GIB, drawn.free_gib)].into();
        for (to, distance) in &mut node.distances {
            *distance = if *to == node.number { 10 } else { drawn.distances[*to as usize] };
        }
        machine.available_bytes += node.available_bytes;
        (huge, gib) = (huge + drawn.free_huge, gib + drawn.free_gib);
    }
    machine.pools =
        [(HUGE, huge), (GIB, gib)].map(|(size, unpromised)| (size, Pool { unpromised, group_left: None })).into();
    machine
}

fn usable(machine: &Machine) -> BTreeSet<u32> {
    machine.nodes.iter().filter(|node| node.usable).map(|node| node.number).collect()
}

fn of_mask(mask: &NodeMask) -> BTreeSet<u32> {
    mask.iter().collect()
}

/// The usable nodes that no other is nearer than, found by looking at every pair.
fn nearest(machine: &Machine, home: u32) -> BTreeSet<u32> {
    let usable = usable(machine);
    let distance = |to: u32| machine.node(home).expect("a node").distances[&to];
    let no_other_is_nearer = |node: &u32| usable.iter().all(|other| distance(*other) >= distance(*node));
    usable.iter().copied().filter(no_other_is_nearer).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nearest_really_is_nearest(shape in shapes(), drawn in drawn(), cpus in prop::collection::vec(0usize..512, 0..6)) {
        let machine = machine(shape, &drawn);
        for node in &machine.nodes {
            prop_assert_eq!(of_mask(&machine.nearest_to_node(node.number)), nearest(&machine, node.number));
        }
        let cpus: Vec<u32> = cpus.iter().map(|cpu| (cpu % machine.homes.len()) as u32).collect();
        let wanted: BTreeSet<u32> = cpus.iter().flat_map(|cpu| nearest(&machine, machine.homes[cpu])).collect();
        prop_assert_eq!(of_mask(&machine.nearest_to_cpus(cpus)), wanted);
    }

    #[test]
    fn no_node_outside_the_allowed_ones(shape in shapes(), drawn in drawn(), set in 0u64..256, here in 0u32..8) {
        let machine = machine(shape, &drawn);
        let usable = usable(&machine);
        let set: NodeMask = (0..8).filter(|node| set >> node & 1 == 1).collect();
        let here = here % machine.nodes.len() as u32;
        let nodes = |policy, set: &NodeMask| of_mask(&machine.nodes_of(policy, set, Some(here)));
        prop_assert!(nodes(NodePolicy::Any, &set).is_empty());
        prop_assert_eq!(nodes(NodePolicy::Local, &NodeMask::EMPTY), nearest(&machine, here));
        // Interleave covers all that may be used, or of a set all of it that may.
        prop_assert_eq!(&nodes(NodePolicy::Interleave, &NodeMask::EMPTY), &usable);
        let allowed: BTreeSet<u32> = of_mask(&set).intersection(&usable).copied().collect();
        for policy in [NodePolicy::Set, NodePolicy::Interleave, NodePolicy::NearestCpus, NodePolicy::NearestDevice] {
            let got = nodes(policy, &set);
            if !allowed.is_empty() {
                prop_assert_eq!(&got, &allowed);
            } else if !set.is_empty() {
                // Left as it is, for the kernel to refuse.
                prop_assert_eq!(&got, &of_mask(&set));
            }
        }
    }

    #[test]
    fn best_steps_down_by_what_is_free(
        shape in shapes(), drawn in drawn(), node in 0u32..8, mib in 1u64..4000, strict in any::<bool>(),
    ) {
        let machine = machine(shape, &drawn);
        let node = node % machine.nodes.len() as u32;
        let nodes = NodeMask::from_iter([node]);
        let wish =
            Wish { bytes: mib << 20, pages: Pages::Best, policy: NodePolicy::One(node), nodes: &nodes, strict, prefault: true };
        let plan = machine.plan(&wish);
        let there = machine.node(node).expect("a node");
        let has = |size: u64| {
            let free = if there.usable { there.free_huge[&size] * size } else { 0 };
            wish.bytes >= size && free >= wish.bytes.next_multiple_of(size)
        };
        let has_memory = |bytes: u64| machine.available_bytes >= bytes && (!strict || there.available_bytes >= bytes);
        let wanted = if has(GIB) {
            Some(Pages::Huge1G)
        } else if has(HUGE) {
            Some(Pages::Huge2M)
        } else if wish.bytes >= HUGE && has_memory(wish.bytes.next_multiple_of(HUGE)) {
            Some(Pages::Transparent)
        } else {
            has_memory(wish.bytes).then_some(Pages::Base)
        };
        prop_assert_eq!(plan.holds().map(|rung| rung.pages), wanted);
        // What lies above it has a reason.
        let above = plan.rungs.len() - usize::from(plan.holds().is_some());
        for rung in &plan.rungs[..above] {
            prop_assert!(rung.limit != Limit::None);
            if rung.limit == Limit::HugePagePool {
                prop_assert!(rung.left_bytes < rung.wanted_bytes);
            }
        }
    }
}
