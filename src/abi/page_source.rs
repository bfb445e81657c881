//! Page source: on which pages and which NUMA nodes memory is asked for. What is not to be had becomes the next best,
//! which the receipt tells, and a huge page that is not there is never a SIGBUS.

use super::arguments::{fixed_text, flag, out_of_range};
use super::guard::guard;
use super::status::{
    Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_NODE_UNAVAILABLE,
    OSTLER_E_OUT_OF_MEMORY, OSTLER_E_PAGES_UNAVAILABLE, ostler_status,
};
use super::structs::{init, read, versioned};
use crate::memory::pages::PagesError;
use crate::memory::policy::{MASK_BITS, NodeMask, NodePolicy, Pages};
use crate::memory::source::{PageSource, SourceError};
use std::ffi::c_char;

/// Base pages, aligned and advised so that the kernel makes them huge where it can (MADV_HUGEPAGE). The default.
pub const OSTLER_PAGES_TRANSPARENT: u32 = 0;
/// Base pages: 4 KiB on x86-64.
pub const OSTLER_PAGES_BASE: u32 = 1;
/// Explicit huge pages of 2 MiB from the machine's pool (MAP_HUGETLB), populated when they are mapped.
pub const OSTLER_PAGES_2M: u32 = 2;
/// Explicit huge pages of 1 GiB.
pub const OSTLER_PAGES_1G: u32 = 3;
/// The largest that is free and not larger than what is mapped.
pub const OSTLER_PAGES_BEST: u32 = 4;

/// Memory comes from wherever the kernel takes it, mostly the node of the thread that touches it first.
pub const OSTLER_NODE_ANY: u32 = 0;
/// From the node of the thread that maps it. An arena keeps the chunks of each node apart, so that every thread is given
/// memory of its own.
pub const OSTLER_NODE_LOCAL: u32 = 1;
/// From the node that ostler_page_source.node names.
pub const OSTLER_NODE_ONE: u32 = 2;
/// Page by page from the nodes of ostler_page_source.node_set; when that is empty, from all that this process may use.
pub const OSTLER_NODE_INTERLEAVE: u32 = 3;
/// From any of the nodes of ostler_page_source.node_set.
pub const OSTLER_NODE_SET: u32 = 4;
/// From the nodes nearest to the CPUs of ostler_page_source.cpu_set, as hwloc and the firmware tell.
pub const OSTLER_NODE_NEAREST_CPUS: u32 = 5;
/// From the nodes nearest to ostler_page_source.device.
pub const OSTLER_NODE_NEAREST_DEVICE: u32 = 6;

/// Words of a set of nodes or CPUs: number n is bit n % 64 of word n / 64.
pub const OSTLER_SET_WORDS: usize = 16;
/// Bytes of the name of a device, its NUL included.
pub const OSTLER_DEVICE_BYTES: usize = 64;

const _: () = assert!(
    OSTLER_PAGES_TRANSPARENT == Pages::Transparent as u32
        && OSTLER_PAGES_BASE == Pages::Base as u32
        && OSTLER_PAGES_2M == Pages::Huge2M as u32
        && OSTLER_PAGES_1G == Pages::Huge1G as u32
        && OSTLER_PAGES_BEST == Pages::Best as u32
        && OSTLER_SET_WORDS * 64 == MASK_BITS
);

/// Where memory shall come from. Every object that maps memory takes one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_page_source {
    /// sizeof(ostler_page_source).
    pub struct_size: u32,
    /// OSTLER_PAGES_...; 0: transparent huge pages. What is not to be had becomes the next smaller, and the receipt
    /// says why.
    pub page_policy: u32,
    /// OSTLER_NODE_...; 0: any.
    pub node_policy: u32,
    /// The number of the node, below 1024, for OSTLER_NODE_ONE; else 0. Unless strict, a node that this process may not
    /// use becomes any, and the receipt says so.
    pub node: u32,
    /// 1: other pages, other nodes or fewer options than asked are an error. 0: they are told in the receipt.
    pub strict: u32,
    /// 1: pages are brought in when memory is mapped, as long as that cannot end in an out-of-memory kill. 0: when
    /// they are touched; explicit huge pages always are when memory is mapped, and so is what can only be placed by first
    /// touch because memory policies are refused. Much is brought in by several threads, which end before the call does.
    pub prefault: u32,
    /// 1: pages stay in memory once they are there (mlock2, within RLIMIT_MEMLOCK). Explicit huge pages always do.
    pub lock: u32,
    /// 1: on either side of each mapping is a page that nobody may touch.
    pub guard: u32,
    /// 1: a forked child does not get the memory (MADV_DONTFORK). Explicit huge pages it never gets.
    pub exclude_fork: u32,
    /// 1: core dumps do not have the memory (MADV_DONTDUMP).
    pub exclude_dump: u32,
    /// Nodes, for OSTLER_NODE_SET and OSTLER_NODE_INTERLEAVE; else empty. Unless strict, nodes that this process may not
    /// use are left out.
    pub node_set: [u64; OSTLER_SET_WORDS],
    /// CPUs, for OSTLER_NODE_NEAREST_CPUS; else empty.
    pub cpu_set: [u64; OSTLER_SET_WORDS],
    /// For OSTLER_NODE_NEAREST_DEVICE: its address on the PCI bus ("0000:3b:00.0"), or its class and name ("net/eth0",
    /// "nvme/nvme0", as in /sys/class), NUL-terminated; else empty.
    pub device: [c_char; OSTLER_DEVICE_BYTES],
}

versioned!(ostler_page_source);

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let status = match error {
            SourceError::Field(_) | SourceError::NoSuchDevice(_) => OSTLER_E_INVALID_ARGUMENT,
            SourceError::NoSuchNode { .. } | SourceError::NothingNear { .. } | SourceError::Topology(_) => {
                OSTLER_E_NODE_UNAVAILABLE
            }
        };
        Self::new(status, format_args!("{error}"))
    }
}

impl From<PagesError> for Failure {
    fn from(error: PagesError) -> Self {
        let status = match error {
            PagesError::PagesUnavailable { .. } => OSTLER_E_PAGES_UNAVAILABLE,
            PagesError::NodeUnavailable { .. } => OSTLER_E_NODE_UNAVAILABLE,
            PagesError::OutOfMemory { .. } => OSTLER_E_OUT_OF_MEMORY,
            PagesError::OverLimit { .. } | PagesError::LockRefused { .. } => OSTLER_E_LIMIT,
            PagesError::Refused(_) => OSTLER_E_MEMORY_PRESSURE,
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Fills a page source with the defaults.
///
/// Parameters:
/// - source: written only on success.
/// - struct_size: sizeof(ostler_page_source).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: source must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_page_source_init(source: *mut ostler_page_source, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("source", source, struct_size) })
}

/// The page source that a configuration names; NULL: the defaults.
///
/// # Safety
/// A non-null `source` is as the header asks.
pub(super) unsafe fn given(source: *const ostler_page_source) -> Result<PageSource, Failure> {
    if source.is_null() {
        return Ok(PageSource::default());
    }
    // SAFETY: the caller's promise.
    let source = unsafe { read("source", source)? };
    let range = |field, value: u32, bound| out_of_range(field, u64::from(value), bound);
    let pages = Pages::from_number(source.page_policy)
        .ok_or_else(|| range("page_policy", source.page_policy, "must be one of OSTLER_PAGES_... (0 to 4)"))?;
    if source.node != 0 && source.node_policy != OSTLER_NODE_ONE {
        return Err(range("node", source.node, "must be 0 unless node_policy is OSTLER_NODE_ONE"));
    }
    let node_set = NodeMask::from_words(source.node_set);
    if !node_set.is_empty() && !matches!(source.node_policy, OSTLER_NODE_SET | OSTLER_NODE_INTERLEAVE) {
        let bound = "must be empty unless node_policy is OSTLER_NODE_SET or OSTLER_NODE_INTERLEAVE";
        return Err(out_of_range("node_set", node_set.words()[0], bound));
    }
    let cpus = NodeMask::from_words(source.cpu_set);
    if cpus.is_empty() == (source.node_policy == OSTLER_NODE_NEAREST_CPUS) {
        let bound = "must name CPUs for OSTLER_NODE_NEAREST_CPUS, and else be empty";
        return Err(out_of_range("cpu_set", cpus.words()[0], bound));
    }
    let device = fixed_text("device", &source.device)?;
    if device.is_empty() == (source.node_policy == OSTLER_NODE_NEAREST_DEVICE) {
        let bound = "must name a device for OSTLER_NODE_NEAREST_DEVICE, and else be empty";
        return Err(out_of_range("device", device.len() as u64, bound));
    }
    let nodes = match source.node_policy {
        OSTLER_NODE_ANY | OSTLER_NODE_NEAREST_CPUS | OSTLER_NODE_NEAREST_DEVICE => NodePolicy::Any,
        OSTLER_NODE_LOCAL => NodePolicy::Local,
        OSTLER_NODE_ONE => NodePolicy::One(source.node),
        OSTLER_NODE_INTERLEAVE => NodePolicy::Interleave,
        OSTLER_NODE_SET => NodePolicy::Set,
        other => return Err(range("node_policy", other, "must be one of OSTLER_NODE_... (0 to 6)")),
    };
    let asked = PageSource {
        pages,
        nodes,
        node_set,
        strict: flag("strict", source.strict)?,
        prefault: flag("prefault", source.prefault)?,
        lock: flag("lock", source.lock)?,
        guard: flag("guard", source.guard)?,
        exclude_fork: flag("exclude_fork", source.exclude_fork)?,
        exclude_dump: flag("exclude_dump", source.exclude_dump)?,
    };
    Ok(match source.node_policy {
        OSTLER_NODE_NEAREST_CPUS => asked.near_cpus(&cpus)?,
        OSTLER_NODE_NEAREST_DEVICE => asked.near_device(&device)?,
        _ => asked,
    })
}
