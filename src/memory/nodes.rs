//! The nodes on which threads run, and how near each is to the others: for what stays where it was used last.

use super::planning::Machine;
use super::topology::{Topology, TopologyError};
use super::{system, this_machine};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::faults;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The nodes of a machine that have CPUs, counted from 0.
#[derive(Debug)]
pub struct Nodes {
    count: u32,
    /// By CPU: its node.
    homes: Vec<u32>,
    /// For each node all of them, the nearest first.
    nearest: Vec<u32>,
}

impl Nodes {
    /// Those of this machine; nothing when every thread runs on the same.
    pub fn of_this_machine() -> Result<Option<Arc<Self>>, TopologyError> {
        let machine = match faults::machine() {
            Some(description) => Machine::described(&*Topology::synthetic(description)?),
            None => {
                let layout = this_machine::layout();
                if layout.nodes.len() < 2 {
                    return Ok(None);
                }
                Machine { homes: this_machine::homes()?.clone(), ..layout }
            }
        };
        let nodes = Self::of(&machine)?;
        Ok(if nodes.count > 1 { Some(alloc::try_arc(nodes)?) } else { None })
    }

    fn of(machine: &Machine) -> Result<Self, OutOfMemory> {
        let numbers: Vec<u32> = BTreeSet::from_iter(machine.homes.values().copied()).into_iter().collect();
        let place = |number: u32| numbers.binary_search(&number).unwrap_or(0) as u32;
        let cpus = machine.homes.keys().max().map_or(0, |last| *last as usize + 1);
        let mut homes = alloc::try_vec(cpus)?;
        homes.resize(cpus, 0);
        machine.homes.iter().for_each(|(cpu, node)| homes[*cpu as usize] = place(*node));
        let mut nearest = alloc::try_vec(numbers.len() * numbers.len())?;
        for from in &numbers {
            let distances = machine.node(*from).map(|node| &node.distances);
            let distance = |to: u32| match distances.and_then(|distances| distances.get(&to)) {
                _ if to == *from => 0,
                Some(distance) => *distance,
                None => u32::MAX,
            };
            let mut by_distance = numbers.clone();
            by_distance.sort_by_key(|to| distance(*to));
            nearest.extend(by_distance.into_iter().map(place));
        }
        Ok(Self { count: numbers.len() as u32, homes, nearest })
    }

    pub fn count(&self) -> u32 {
        self.count
    }

    /// The node of the CPU that runs this thread now. One that has come since the machine was looked at counts as of node 0.
    #[inline]
    pub fn here(&self) -> u32 {
        let cpu = faults::cpu().or_else(system::current_cpu);
        cpu.and_then(|cpu| self.homes.get(cpu as usize)).copied().unwrap_or(0)
    }

    /// All nodes, that one first and then the nearest.
    #[inline]
    pub fn nearest_to(&self, node: u32) -> &[u32] {
        let count = self.count as usize;
        self.nearest.get(node as usize * count..).and_then(|rows| rows.get(..count)).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(description: &str) -> Nodes {
        Nodes::of(&Machine::described(&Topology::synthetic(description).unwrap())).unwrap()
    }

    #[test]
    fn a_node_of_the_same_package_is_nearer() {
        let nodes = described("package:2 numa:2 core:2 pu:1");
        assert_eq!((nodes.count(), nodes.homes.as_slice()), (4, [0, 0, 1, 1, 2, 2, 3, 3].as_slice()));
        assert_eq!(nodes.nearest_to(0), [0, 1, 2, 3]);
        assert_eq!(nodes.nearest_to(3), [3, 2, 0, 1]);
        assert_eq!(nodes.nearest_to(4), [0u32; 0]);
    }

    #[test]
    fn distances_that_are_told_count() {
        let mut machine = Machine::described(&Topology::synthetic("package:3 numa:1 pu:1").unwrap());
        machine.nodes[0].distances = [(0, 10), (1, 30), (2, 20)].into();
        assert_eq!(Nodes::of(&machine).unwrap().nearest_to(0), [0, 2, 1]);
    }

    #[test]
    fn a_node_without_cpus_runs_nobody() {
        let mut machine = Machine::described(&Topology::synthetic("package:3 numa:1 pu:1").unwrap());
        machine.homes = [(0, 0), (1, 2), (7, 2)].into();
        let nodes = Nodes::of(&machine).unwrap();
        assert_eq!((nodes.count(), nodes.homes.as_slice()), (2, [0, 1, 0, 0, 0, 0, 0, 1].as_slice()));
    }
}
