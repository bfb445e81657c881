//! Page source: on which pages and which NUMA nodes memory is asked for. What is not to be had becomes the next best,
//! which the receipt tells, and a huge page that is not there is never a SIGBUS.

use super::arguments::{flag, out_of_range};
use super::guard::guard;
use super::status::{
    Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_NODE_UNAVAILABLE,
    OSTLER_E_OUT_OF_MEMORY, OSTLER_E_PAGES_UNAVAILABLE, ostler_status,
};
use super::structs::{init, read, versioned};
use crate::memory::pages::PagesError;
use crate::memory::policy::{NodePolicy, Pages};
use crate::memory::source::{PageSource, SourceError};

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
/// From the node of the thread that maps it.
pub const OSTLER_NODE_LOCAL: u32 = 1;
/// From the node that ostler_page_source.node names.
pub const OSTLER_NODE_ONE: u32 = 2;
/// Page by page from all nodes that this process may use.
pub const OSTLER_NODE_INTERLEAVE: u32 = 3;

const _: () = assert!(
    OSTLER_PAGES_TRANSPARENT == Pages::Transparent as u32
        && OSTLER_PAGES_BASE == Pages::Base as u32
        && OSTLER_PAGES_2M == Pages::Huge2M as u32
        && OSTLER_PAGES_1G == Pages::Huge1G as u32
        && OSTLER_PAGES_BEST == Pages::Best as u32
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
    /// 1: other pages or another node than asked are an error.
    pub strict: u32,
    /// 1: pages are brought in when memory is mapped, as long as that cannot end in an out-of-memory kill. 0: when
    /// they are touched; explicit huge pages always are when memory is mapped.
    pub prefault: u32,
}

versioned!(ostler_page_source);

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let status = match error {
            SourceError::Field(_) => OSTLER_E_INVALID_ARGUMENT,
            SourceError::NoSuchNode { .. } => OSTLER_E_NODE_UNAVAILABLE,
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
            PagesError::OverLimit { .. } => OSTLER_E_LIMIT,
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
    let nodes = match source.node_policy {
        OSTLER_NODE_ANY => NodePolicy::Any,
        OSTLER_NODE_LOCAL => NodePolicy::Local,
        OSTLER_NODE_ONE => NodePolicy::One(source.node),
        OSTLER_NODE_INTERLEAVE => NodePolicy::Interleave,
        other => return Err(range("node_policy", other, "must be one of OSTLER_NODE_... (0 to 3)")),
    };
    Ok(PageSource {
        pages,
        nodes,
        strict: flag("strict", source.strict)?,
        prefault: flag("prefault", source.prefault)?,
    })
}
