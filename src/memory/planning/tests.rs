use super::*;

const GIB: u64 = 1 << 30;
const HUGE: u64 = 2 << 20;

/// Eight nodes in four packages, 512 CPUs.
fn large() -> Machine {
    Machine::described(&Topology::synthetic("package:4 numa:2(memory=1073741824) core:32 pu:2").expect("a description"))
}

/// Nodes 0 to 3 with a few huge pages each; node 2 has no memory, and its nearest are 1 and 3.
fn small(free_huge: [u64; 4]) -> Machine {
    let distances = [[10, 20, 30, 40], [20, 10, 15, 30], [30, 15, 10, 15], [40, 30, 15, 10]];
    let node = |number: usize| Node {
        number: number as u32,
        usable: number != 2,
        available_bytes: if number == 2 { 0 } else { GIB },
        free_huge: BTreeMap::from([(HUGE, free_huge[number])]),
        distances: (0..).zip(distances[number]).collect(),
    };
    Machine {
        nodes: (0..4).map(node).collect(),
        homes: (0..16).map(|cpu| (cpu, cpu / 4)).collect(),
        base_page_bytes: 4096,
        transparent_page_bytes: Some(HUGE),
        pools: BTreeMap::from([(HUGE, Pool { unpromised: free_huge.iter().sum(), group_left: None })]),
        available_bytes: 3 * GIB,
        group_left: None,
        address_space_left: None,
    }
}

fn set(nodes: &[u32]) -> NodeMask {
    nodes.iter().copied().collect()
}

fn wish(pages: Pages, bytes: u64, nodes: &NodeMask) -> Wish<'_> {
    let policy = if nodes.is_empty() { NodePolicy::Any } else { NodePolicy::Set };
    Wish { bytes, pages, policy, nodes, strict: false, prefault: true }
}

fn outcome(plan: &Plan) -> Vec<(Pages, Limit)> {
    plan.rungs.iter().map(|rung| (rung.pages, rung.limit)).collect()
}

#[test]
fn every_cpu_of_a_large_machine_has_its_node() {
    let machine = large();
    assert_eq!((machine.nodes.len(), machine.homes.len()), (8, 512));
    for (cpu, home) in &machine.homes {
        assert_eq!((machine.nearest_to_cpus([*cpu]), *home), (set(&[*home]), cpu / 64));
    }
    assert_eq!(machine.nearest_to_cpus([0, 63, 64, 511]), set(&[0, 1, 7]));
    assert!(machine.nearest_to_cpus([512, 1023]).is_empty());
}

#[test]
fn a_node_without_memory_is_near_to_those_around_it() {
    let mut machine = small([4; 4]);
    assert_eq!(machine.nearest_to_node(2), set(&[1, 3]));
    assert_eq!(machine.nearest_to_cpus([8, 9]), set(&[1, 3]));
    assert_eq!(machine.nearest_to_cpus([0, 11]), set(&[0, 1, 3]));
    assert_eq!(machine.nodes_of(NodePolicy::Local, &NodeMask::EMPTY, Some(2)), set(&[1, 3]));
    // What a cpuset takes away is as if it were not there.
    machine.nodes[1].usable = false;
    assert_eq!(machine.nearest_to_node(2), set(&[3]));
    assert_eq!(machine.nearest_to_node(1), set(&[0]));
    machine.nodes.iter_mut().for_each(|node| node.usable = false);
    assert!(machine.nearest_to_node(1).is_empty());
}

#[test]
fn a_node_of_the_same_package_is_nearer() {
    let mut machine = large();
    machine.nodes[6].usable = false;
    assert_eq!(machine.nearest_to_node(6), set(&[7]));
    machine.nodes[7].usable = false;
    assert_eq!(machine.nearest_to_node(6), set(&[0, 1, 2, 3, 4, 5]));
}

#[test]
fn policies_stand_for_the_nodes_that_may_be_used() {
    let machine = small([4; 4]);
    let of = |policy, nodes: &[u32]| machine.nodes_of(policy, &set(nodes), Some(0));
    assert_eq!(of(NodePolicy::Any, &[]), NodeMask::EMPTY);
    assert_eq!(of(NodePolicy::Local, &[]), set(&[0]));
    assert_eq!(of(NodePolicy::One(3), &[]), set(&[3]));
    assert_eq!(of(NodePolicy::Interleave, &[]), set(&[0, 1, 3]));
    assert_eq!(of(NodePolicy::Interleave, &[2, 3]), set(&[3]));
    assert_eq!(of(NodePolicy::Set, &[1, 2]), set(&[1]));
    // Nothing usable is left as it is, so that the kernel can refuse it.
    assert_eq!(of(NodePolicy::Set, &[2, 900]), set(&[2, 900]));
    assert_eq!(machine.nodes_of(NodePolicy::Local, &NodeMask::EMPTY, None), NodeMask::EMPTY);
}

#[test]
fn best_goes_down_by_what_is_free_on_the_wanted_nodes() {
    let machine = small([1, 8, 0, 3]);
    let plan = |pages, nodes: &[u32]| outcome(&machine.plan(&wish(pages, 4 * HUGE, &set(nodes))));
    let no_gib = (Pages::Huge1G, Limit::PageSizeUnknown);
    assert_eq!(plan(Pages::Best, &[1]), [no_gib, (Pages::Huge2M, Limit::None)]);
    assert_eq!(plan(Pages::Best, &[0, 3]), [no_gib, (Pages::Huge2M, Limit::None)]);
    let short = (Pages::Huge2M, Limit::HugePagePool);
    assert_eq!(plan(Pages::Best, &[3]), [no_gib, short, (Pages::Transparent, Limit::None)]);
    // Who names the size gets it from elsewhere.
    assert_eq!(plan(Pages::Huge2M, &[3]), [(Pages::Huge2M, Limit::None)]);
    let strict = machine.plan(&Wish { strict: true, ..wish(Pages::Huge2M, 4 * HUGE, &set(&[3])) });
    assert_eq!((outcome(&strict), strict.holds()), (vec![short], None));
    assert_eq!((strict.rungs[0].left_bytes, strict.rungs[0].short_on_nodes), (3 * HUGE, true));
}

#[test]
fn each_limit_is_named_where_it_lies() {
    let mut machine = small([4; 4]);
    let none = NodeMask::EMPTY;
    machine.pools.insert(HUGE, Pool { unpromised: 16, group_left: Some(HUGE) });
    machine.transparent_page_bytes = None;
    machine.group_left = Some(3 * HUGE);
    let plan = machine.plan(&wish(Pages::Huge2M, 4 * HUGE, &none));
    assert_eq!(
        outcome(&plan),
        [
            (Pages::Huge2M, Limit::HugetlbCgroup),
            (Pages::Transparent, Limit::ThpDisabled),
            (Pages::Base, Limit::MemoryCgroup)
        ]
    );
    assert_eq!(plan.rungs.iter().map(|rung| rung.left_bytes).collect::<Vec<_>>(), [HUGE, 0, 3 * HUGE]);
    assert_eq!(plan.holds(), None);
    // Address space is taken by whatever is mapped, touched or not.
    machine.address_space_left = Some(2 * HUGE);
    let untouched = machine.plan(&Wish { prefault: false, ..wish(Pages::Base, 4 * HUGE, &none) });
    assert_eq!(
        (outcome(&untouched), untouched.rungs[0].left_bytes),
        (vec![(Pages::Base, Limit::AddressSpace)], 2 * HUGE)
    );
    machine.address_space_left = None;
    // What is not brought in cannot run into the limit now.
    assert!(machine.plan(&Wish { prefault: false, ..wish(Pages::Base, 4 * HUGE, &none) }).holds().is_some());
    machine.group_left = None;
    let node = set(&[1]);
    let bound = machine.plan(&Wish { strict: true, ..wish(Pages::Base, GIB + 1, &node) });
    assert_eq!((outcome(&bound), bound.rungs[0].short_on_nodes), (vec![(Pages::Base, Limit::NodeMemory)], true));
    assert!(machine.plan(&wish(Pages::Base, GIB + 1, &node)).holds().is_some());
    assert_eq!(outcome(&machine.plan(&wish(Pages::Base, 4 * GIB, &none))), [(Pages::Base, Limit::NodeMemory)]);
    assert_eq!(outcome(&machine.plan(&wish(Pages::Base, u64::MAX, &none))), [(Pages::Base, Limit::AddressSpace)]);
    assert_eq!(outcome(&machine.plan(&wish(Pages::Best, 4096, &none))).last(), Some(&(Pages::Base, Limit::None)));
}

/// On any machine: what is planned fits, and a rung is passed over only for a reason.
#[test]
fn a_plan_never_takes_what_is_not_there() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let machine = small(std::array::from_fn(|_| random.u64(0..6)));
        let nodes: NodeMask = (0..4).filter(|node| *node != 2 && random.bool()).collect();
        let pages = [Pages::Transparent, Pages::Base, Pages::Huge2M, Pages::Huge1G, Pages::Best][random.usize(0..5)];
        let wish = Wish { strict: random.bool(), ..wish(pages, random.u64(1..8 * HUGE), &nodes) };
        let plan = machine.plan(&wish);
        for (rung, tried) in plan.rungs.iter().zip(pages.ladder()) {
            assert_eq!(rung.pages, *tried);
        }
        let Some(held) = plan.holds() else {
            assert!(wish.strict, "{plan:?}");
            continue;
        };
        assert!(held.wanted_bytes >= wish.bytes && held.wanted_bytes <= held.left_bytes, "{held:?}");
        if held.pages == Pages::Huge2M && binds_huge(wish.policy, pages, wish.strict) && !nodes.is_empty() {
            let free: u64 = machine.nodes.iter().filter(|n| nodes.has(n.number)).map(|n| n.free_huge[&HUGE]).sum();
            assert!(free * HUGE >= held.wanted_bytes);
        }
    }
}
