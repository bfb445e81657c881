//! Topology: the nodes, CPUs, caches and page sizes of this machine, or of one that a text describes.

use super::arguments::{output, text};
use super::guard::{destroy, guard, with};
use super::status::{Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, ostler_status};
use super::structs::{prepare, versioned, zeroed};
use crate::base::handles::{self, Kind, Pin};
use crate::memory::topology::{CacheKind, Topology, TopologyError};
use std::ffi::c_char;

/// The machine's nodes, packages, cores, CPUs, caches and page sizes; or those of a description, for planning.
pub struct ostler_topology {
    _opaque: [u8; 0],
}

/// What a topology holds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_topology_info {
    /// sizeof(ostler_topology_info), set by the caller.
    pub struct_size: u32,
    /// NUMA nodes.
    pub node_count: u32,
    /// Packages, which sit in sockets.
    pub package_count: u32,
    /// Cores, each with one or more CPUs.
    pub core_count: u32,
    /// CPUs as the operating system counts them, also those that this process may not use.
    pub cpu_count: u32,
    /// Caches of every level and kind.
    pub cache_count: u32,
    /// Page sizes, smallest first; the base page is the first.
    pub page_size_count: u32,
    /// 1: this machine; 0: a description.
    pub is_this_machine: u32,
}

/// A NUMA node.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_node_info {
    /// sizeof(ostler_node_info), set by the caller.
    pub struct_size: u32,
    /// The number by which the operating system knows it; what ostler_arena_config.node takes.
    pub node: u32,
    /// CPUs that are local to it; 0 for memory without CPUs.
    pub cpu_count: u32,
    /// 0.
    pub reserved: u32,
    /// All of its memory, in bytes.
    pub memory_bytes: u64,
    /// What is free of it now, in bytes.
    pub free_bytes: u64,
}

/// A CPU.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_cpu_info {
    /// sizeof(ostler_cpu_info), set by the caller.
    pub struct_size: u32,
    /// The number by which the operating system knows it.
    pub cpu: u32,
    /// Its core, counted from 0.
    pub core: u32,
    /// Its package, counted from 0.
    pub package: u32,
    /// The number of its node.
    pub node: u32,
    /// 1: this process may run on it.
    pub allowed: u32,
}

/// A cache for instructions and data.
pub const OSTLER_CACHE_UNIFIED: u32 = 0;
/// A cache for data.
pub const OSTLER_CACHE_DATA: u32 = 1;
/// A cache for instructions.
pub const OSTLER_CACHE_INSTRUCTION: u32 = 2;

const _: () = assert!(
    OSTLER_CACHE_UNIFIED == CacheKind::Unified as u32
        && OSTLER_CACHE_DATA == CacheKind::Data as u32
        && OSTLER_CACHE_INSTRUCTION == CacheKind::Instruction as u32
);

/// A cache.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_cache_info {
    /// sizeof(ostler_cache_info), set by the caller.
    pub struct_size: u32,
    /// 1 is nearest to the core.
    pub level: u32,
    /// OSTLER_CACHE_...
    pub kind: u32,
    /// CPUs that share it.
    pub cpu_count: u32,
    /// The lowest number of these CPUs.
    pub first_cpu: u32,
    /// Bytes of a line; 0 where unknown.
    pub line_bytes: u32,
    /// Its size in bytes; 0 where unknown.
    pub size_bytes: u64,
}

/// Pages of one size.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_page_info {
    /// sizeof(ostler_page_info), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Bytes of one page.
    pub page_bytes: u64,
    /// Pages of this size: for the base page all memory, for huge pages the pool.
    pub total_pages: u64,
    /// Free ones now.
    pub free_pages: u64,
}

/// Instead of the index of a node: the sum over all.
pub const OSTLER_ALL_NODES: u32 = u32::MAX;

versioned!(ostler_topology_info, ostler_node_info, ostler_cpu_info, ostler_cache_info, ostler_page_info);

impl From<TopologyError> for Failure {
    fn from(error: TopologyError) -> Self {
        let status = match error {
            TopologyError::Synthetic(_) | TopologyError::NoSuch { .. } => OSTLER_E_INVALID_ARGUMENT,
            TopologyError::Discovery(_) | TopologyError::Untold { .. } => OSTLER_E_SYSTEM,
            TopologyError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Discovers this machine, or builds the machine of a description. Takes a few milliseconds; the first time in a
/// process some tens.
///
/// Parameters:
/// - synthetic: borrowed during the call; UTF-8, a description as hwloc reads it, such as
///   "package:2 numa:1 core:4 pu:2". NULL: this machine.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_topology_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: synthetic may be NULL; out must not be.
/// Blocking: reads files of the kernel, waits for nothing else; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_topology_create(
    synthetic: *const c_char,
    out: *mut *mut ostler_topology,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        let slot = handles::reserve(Kind::Topology)?;
        let topology = if synthetic.is_null() {
            Topology::of_this_machine()?
        } else {
            // SAFETY: as the header asks.
            Topology::synthetic(unsafe { text("synthetic", synthetic)? })?
        };
        *out = slot.publish(topology) as *mut ostler_topology;
        Ok(())
    })
}

/// Tells how many there are of each thing.
///
/// Parameters:
/// - topology: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: topology NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_topology_get_info(
    topology: *mut ostler_topology,
    out: *mut ostler_topology_info,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(topology, |topology: &Pin<Topology>| {
        let out = out?;
        out.fill(&ostler_topology_info {
            node_count: topology.nodes.len() as u32,
            package_count: topology.package_count,
            core_count: topology.core_count,
            cpu_count: topology.cpus.len() as u32,
            cache_count: topology.caches.len() as u32,
            page_size_count: topology.page_sizes.len() as u32,
            is_this_machine: u32::from(topology.is_this_machine),
            ..zeroed()
        });
        Ok(())
    })
}

/// Describes a node; its free memory is read from the kernel anew.
///
/// Parameters:
/// - topology: borrowed.
/// - index: 0 to node_count - 1.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: topology NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: reads a file of the kernel; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_topology_get_node(
    topology: *mut ostler_topology,
    index: u32,
    out: *mut ostler_node_info,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(topology, |topology: &Pin<Topology>| {
        let out = out?;
        let node = topology.node(index)?;
        out.fill(&ostler_node_info {
            node: node.number,
            cpu_count: node.cpu_count,
            memory_bytes: node.memory_bytes,
            free_bytes: topology.free_bytes(node),
            ..zeroed()
        });
        Ok(())
    })
}

/// Describes a CPU.
///
/// Parameters:
/// - topology: borrowed.
/// - index: 0 to cpu_count - 1.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: topology NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_topology_get_cpu(
    topology: *mut ostler_topology,
    index: u32,
    out: *mut ostler_cpu_info,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(topology, |topology: &Pin<Topology>| {
        let out = out?;
        let cpu = topology.cpu(index)?;
        out.fill(&ostler_cpu_info {
            cpu: cpu.number,
            core: cpu.core,
            package: cpu.package,
            node: cpu.node,
            allowed: u32::from(cpu.allowed),
            ..zeroed()
        });
        Ok(())
    })
}

/// Describes a cache.
///
/// Parameters:
/// - topology: borrowed.
/// - index: 0 to cache_count - 1.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: topology NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_topology_get_cache(
    topology: *mut ostler_topology,
    index: u32,
    out: *mut ostler_cache_info,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(topology, |topology: &Pin<Topology>| {
        let out = out?;
        let cache = topology.cache(index)?;
        out.fill(&ostler_cache_info {
            level: cache.level,
            kind: cache.kind as u32,
            cpu_count: cache.cpu_count,
            first_cpu: cache.first_cpu,
            line_bytes: cache.line_bytes,
            size_bytes: cache.size_bytes,
            ..zeroed()
        });
        Ok(())
    })
}

/// Counts the pages of one size; read from the kernel anew.
///
/// Parameters:
/// - topology: borrowed.
/// - node_index: 0 to node_count - 1, or OSTLER_ALL_NODES.
/// - page_size_index: 0 to page_size_count - 1; 0 is the base page.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: topology NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: reads files of the kernel; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_topology_get_pages(
    topology: *mut ostler_topology,
    node_index: u32,
    page_size_index: u32,
    out: *mut ostler_page_info,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(topology, |topology: &Pin<Topology>| {
        let out = out?;
        let pages = topology.pages((node_index != OSTLER_ALL_NODES).then_some(node_index), page_size_index)?;
        out.fill(&ostler_page_info {
            page_bytes: pages.page_bytes,
            total_pages: pages.total,
            free_pages: pages.free,
            ..zeroed()
        });
        Ok(())
    })
}

/// Destroys a topology.
///
/// Parameters:
/// - topology: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: topology NULL is OSTLER_OK and does nothing.
/// Blocking: waits for calls that are inside; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_topology_destroy(topology: *mut ostler_topology) -> ostler_status {
    destroy::<_, Topology>(topology)
}
