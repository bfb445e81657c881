//! The machine, or a description of one: nodes, packages, cores, CPUs, caches, page sizes. Discovered by hwloc when it
//! is first asked for, never when the library is loaded; what changes (free memory, pools of huge pages) is read from
//! the kernel each time.

use super::{kernel, system};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::handles::{Handled, Kind};
use hwlocality::Topology as Hwloc;
use hwlocality::object::TopologyObject;
use hwlocality::object::attributes::{MemoryPageType, ObjectAttributes};
use hwlocality::object::types::{CacheType, ObjectType};
use hwlocality::topology::builder::{BuildFlags, TopologyBuilder, TypeFilter};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    #[error("synthetic is \"{0}\", but must be a description such as \"package:2 numa:1 core:4 pu:2\"")]
    Synthetic(String),
    #[error("hwloc could not discover this machine: {0}")]
    Discovery(String),
    #[error("{name} is {index}, but there are {count} of them")]
    NoSuch { name: &'static str, index: u64, count: u64 },
    #[error("the kernel does not tell about node {node}")]
    Untold { node: u32 },
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The number by which the operating system knows it.
    pub number: u32,
    pub cpu_count: u32,
    pub memory_bytes: u64,
    /// Of a description: its page sizes and how many pages there are of each.
    pages: Vec<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The number by which the operating system knows it.
    pub number: u32,
    pub core: u32,
    pub package: u32,
    /// The number of its node.
    pub node: u32,
    /// Whether this process may run on it.
    pub allowed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum CacheKind {
    Unified = 0,
    Data = 1,
    Instruction = 2,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    pub level: u32,
    pub kind: CacheKind,
    pub cpu_count: u32,
    /// The lowest number of its CPUs.
    pub first_cpu: u32,
    pub line_bytes: u32,
    pub size_bytes: u64,
}

/// Pages of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageCount {
    pub page_bytes: u64,
    pub total: u64,
    pub free: u64,
}

#[derive(Debug)]
pub struct Topology {
    pub is_this_machine: bool,
    pub nodes: Vec<Node>,
    pub package_count: u32,
    pub core_count: u32,
    pub cpus: Vec<Cpu>,
    pub caches: Vec<Cache>,
    /// Smallest first; the base page is the first.
    pub page_sizes: Vec<u64>,
}

impl Topology {
    pub fn of_this_machine() -> Result<Arc<Self>, TopologyError> {
        Self::build(Hwloc::builder()).map_err(TopologyError::Discovery).and_then(|built| Ok(alloc::try_arc(built)?))
    }

    /// From a description as hwloc reads it; for planning and for tests.
    pub fn synthetic(description: &str) -> Result<Arc<Self>, TopologyError> {
        let refused = || TopologyError::Synthetic(description.to_owned());
        let builder = Hwloc::builder().from_synthetic(description).map_err(|_| refused())?;
        Ok(alloc::try_arc(Self::build(builder).map_err(|_| refused())?)?)
    }

    fn build(builder: TopologyBuilder) -> Result<Self, String> {
        let words = |error: &dyn std::fmt::Display| error.to_string();
        let hwloc = builder
            // It would send the calling thread over all CPUs, and print under valgrind; sysfs tells the same.
            .without_component("x86")
            .map_err(|error| words(&error))?
            .with_flags(BuildFlags::INCLUDE_DISALLOWED)
            .map_err(|error| words(&error))?
            .with_cpu_icache_type_filter(TypeFilter::KeepAll)
            .map_err(|error| words(&error))?
            .build()
            .map_err(|error| words(&error))?;
        Ok(Self::read(&hwloc))
    }

    /// Copies what is of interest, so that nothing of hwloc stays alive.
    fn read(hwloc: &Hwloc) -> Self {
        let is_this_machine = hwloc.is_this_system();
        let nodes: Vec<Node> = hwloc.objects_with_type(ObjectType::NUMANode).map(node).collect();
        let allowed = hwloc.allowed_cpuset();
        let cpus = hwloc.objects_with_type(ObjectType::PU).map(|pu| Cpu {
            number: os_index(pu),
            core: ancestor(pu, ObjectType::Core),
            package: ancestor(pu, ObjectType::Package),
            node: pu
                .nodeset()
                .and_then(|nodes| nodes.first_set())
                .map_or(0, |node| u32::try_from(usize::from(node)).unwrap_or(0)),
            allowed: pu.os_index().is_some_and(|number| allowed.is_set(number)),
        });
        let caches = hwloc.normal_objects().filter_map(cache);
        let page_sizes = if is_this_machine {
            std::iter::once(system::base_page_bytes()).chain(kernel::huge_page_sizes()).collect()
        } else {
            let mut sizes: Vec<u64> = nodes.iter().flat_map(|node| &node.pages).map(|(bytes, _)| *bytes).collect();
            sizes.sort_unstable();
            sizes.dedup();
            sizes
        };
        Self {
            is_this_machine,
            package_count: hwloc.objects_with_type(ObjectType::Package).len() as u32,
            core_count: hwloc.objects_with_type(ObjectType::Core).len() as u32,
            cpus: cpus.collect(),
            caches: caches.collect(),
            page_sizes,
            nodes,
        }
    }

    pub fn node(&self, index: u32) -> Result<&Node, TopologyError> {
        at(&self.nodes, index, "index")
    }

    pub fn cpu(&self, index: u32) -> Result<&Cpu, TopologyError> {
        at(&self.cpus, index, "index")
    }

    pub fn cache(&self, index: u32) -> Result<&Cache, TopologyError> {
        at(&self.caches, index, "index")
    }

    /// Free memory of a node now. All of it, where nothing runs.
    pub fn free_bytes(&self, node: &Node) -> u64 {
        if !self.is_this_machine {
            return node.memory_bytes;
        }
        kernel::node_memory(node.number).or_else(kernel::machine_memory).map_or(0, |memory| memory.free)
    }

    /// Pages of one size, on one node or (`None`) on all.
    pub fn pages(&self, node_index: Option<u32>, size_index: u32) -> Result<PageCount, TopologyError> {
        let page_bytes = *at(&self.page_sizes, size_index, "page_size_index")?;
        let nodes = match node_index {
            Some(index) => std::slice::from_ref(at(&self.nodes, index, "node_index")?),
            None => &self.nodes,
        };
        let mut sum = PageCount { page_bytes, total: 0, free: 0 };
        for node in nodes {
            let (total, free) = self.pages_of(node, page_bytes)?;
            sum.total += total;
            sum.free += free;
        }
        Ok(sum)
    }

    fn pages_of(&self, node: &Node, page_bytes: u64) -> Result<(u64, u64), TopologyError> {
        if !self.is_this_machine {
            let total = node.pages.iter().find(|(bytes, _)| *bytes == page_bytes).map_or(0, |(_, count)| *count);
            return Ok((total, total));
        }
        let single = self.nodes.len() == 1;
        if page_bytes == system::base_page_bytes() {
            let memory = kernel::node_memory(node.number).or_else(|| kernel::machine_memory().filter(|_| single));
            let memory = memory.ok_or(TopologyError::Untold { node: node.number })?;
            return Ok((memory.total / page_bytes, memory.free / page_bytes));
        }
        let pool = kernel::huge_pool_of_node(node.number, page_bytes)
            .or_else(|| kernel::huge_pool(page_bytes).filter(|_| single));
        let pool = pool.ok_or(TopologyError::Untold { node: node.number })?;
        Ok((pool.total, pool.free))
    }
}

fn at<'a, T>(list: &'a [T], index: u32, name: &'static str) -> Result<&'a T, TopologyError> {
    list.get(index as usize).ok_or(TopologyError::NoSuch { name, index: index.into(), count: list.len() as u64 })
}

fn os_index(object: &TopologyObject) -> u32 {
    object.os_index().and_then(|index| u32::try_from(index).ok()).unwrap_or(0)
}

/// The place of the package or core above a CPU in the list of them; 0 where the machine tells of none.
fn ancestor(object: &TopologyObject, kind: ObjectType) -> u32 {
    object.first_ancestor_with_type(kind).map_or(0, |above| above.logical_index() as u32)
}

fn cpus_of(object: &TopologyObject) -> u32 {
    object.cpuset().and_then(|cpus| cpus.weight()).unwrap_or(0) as u32
}

fn node(object: &TopologyObject) -> Node {
    let memory_bytes = object.total_memory();
    let mut pages = Vec::new();
    if let Some(ObjectAttributes::NUMANode(attributes)) = object.attributes() {
        pages.extend(attributes.page_types().iter().map(|kind: &MemoryPageType| (kind.size().get(), kind.count())));
    }
    if pages.is_empty() {
        pages.push((system::base_page_bytes(), memory_bytes / system::base_page_bytes()));
    }
    Node { number: os_index(object), cpu_count: cpus_of(object), memory_bytes, pages }
}

fn cache(object: &TopologyObject) -> Option<Cache> {
    let Some(ObjectAttributes::Cache(attributes)) = object.attributes() else { return None };
    let kind = match attributes.cache_type() {
        CacheType::Data => CacheKind::Data,
        CacheType::Instruction => CacheKind::Instruction,
        CacheType::Unified | CacheType::Unknown(_) => CacheKind::Unified,
    };
    let first = object.cpuset().and_then(|cpus| cpus.first_set());
    Some(Cache {
        level: attributes.depth() as u32,
        kind,
        cpu_count: cpus_of(object),
        first_cpu: first.map_or(0, |cpu| usize::from(cpu) as u32),
        line_bytes: attributes.line_size().map_or(0, |bytes| bytes.get() as u32),
        size_bytes: attributes.size().map_or(0, |bytes| bytes.get()),
    })
}

impl Handled for Topology {
    const KIND: Kind = Kind::Topology;
    fn begin_destroy(&self) {}
    fn finish_destroy(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_becomes_the_machine_that_it_describes() {
        let topology =
            Topology::synthetic("package:2 numa:2(memory=1073741824) l2:1(size=1048576) core:4 pu:2").unwrap();
        assert!(!topology.is_this_machine);
        assert_eq!((topology.nodes.len(), topology.package_count, topology.core_count), (4, 2, 16));
        assert_eq!((topology.cpus.len(), topology.caches.len()), (32, 4));
        let (node, cpu, cache) = (&topology.nodes[3], &topology.cpus[31], &topology.caches[3]);
        assert_eq!((node.number, node.cpu_count, node.memory_bytes), (3, 8, 1 << 30));
        assert_eq!((cpu.number, cpu.core, cpu.package, cpu.node, cpu.allowed), (31, 15, 1, 3, true));
        assert_eq!((cache.level, cache.kind, cache.cpu_count, cache.first_cpu), (2, CacheKind::Unified, 8, 24));
        assert_eq!(cache.size_bytes, 1 << 20);
        let all = topology.pages(None, 0).unwrap();
        assert_eq!((all.page_bytes * all.total, all.free), (4 << 30, all.total));
    }

    #[test]
    fn descriptions_and_indices_that_make_no_sense_are_named() {
        let error = Topology::synthetic("package:2 nonsense").unwrap_err().to_string();
        assert!(error.contains("\"package:2 nonsense\""), "{error}");
        assert!(Topology::synthetic("").is_err());
        let topology = Topology::synthetic("numa:2 pu:1").unwrap();
        let error = topology.node(2).unwrap_err().to_string();
        assert_eq!(error, "index is 2, but there are 2 of them");
        assert!(topology.pages(Some(2), 0).is_err() && topology.pages(None, 9).is_err());
    }

    #[test]
    fn this_machine_agrees_with_the_kernel() {
        let topology = Topology::of_this_machine().unwrap();
        assert!(topology.is_this_machine && topology.package_count >= 1 && topology.core_count >= 1);
        let online = std::thread::available_parallelism().unwrap().get();
        assert!(topology.cpus.iter().filter(|cpu| cpu.allowed).count() >= online);
        let nodes: Vec<u32> = topology.nodes.iter().map(|node| node.number).collect();
        assert!(kernel::allowed_nodes().iter().all(|node| nodes.contains(node)));
        assert_eq!(topology.page_sizes[0], system::base_page_bytes());
        for (index, bytes) in topology.page_sizes.iter().enumerate().skip(1) {
            let sum = topology.pages(None, index as u32).unwrap();
            assert_eq!(sum.total, kernel::huge_pool(*bytes).unwrap().total);
        }
        assert!(topology.free_bytes(&topology.nodes[0]) > 0);
    }
}
