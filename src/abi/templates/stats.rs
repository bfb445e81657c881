//! What a cache of templates counts and measures.

use super::ostler_templates;
use crate::abi::guard::with;
use crate::abi::pool::{ostler_times, times};
use crate::abi::status::ostler_status;
use crate::abi::structs::{prepare, versioned};
use crate::base::handles::Pin;
use crate::pool::templates::Templates;

/// What a cache of templates holds and did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_templates_stats {
    /// sizeof(ostler_templates_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Templates that are kept.
    pub templates: u64,
    /// What they count.
    pub bytes: u64,
    /// Templates that are not kept, but still in use.
    pub leaving: u64,
    /// What those count.
    pub leaving_bytes: u64,
    /// References that are out.
    pub in_use: u64,
    /// Callers that wait for another thread's build.
    pub waiting: u64,
    /// Uses of a template that was there.
    pub hits: u64,
    /// Calls that did not find theirs, and built it or waited for it.
    pub misses: u64,
    pub builds: u64,
    pub build_failures: u64,
    /// Templates that went because of max_templates.
    pub evicted_for_count: u64,
    /// Templates that went because of max_bytes.
    pub evicted_for_bytes: u64,
    /// Templates that were kept until they were invalidated.
    pub invalidated: u64,
    /// Templates that were built and not kept: invalidated meanwhile, above max_bytes, or of a cache that is destroyed.
    pub unkept: u64,
    /// How long builds took, also those that failed.
    pub build_times: ostler_times,
    /// How long those waited that had to, also in vain.
    pub waits: ostler_times,
}

versioned!(ostler_templates_stats);

/// Reads what a cache of templates holds and did.
///
/// Parameters:
/// - templates: borrowed.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number is right for some moment of the call; nobody is held up.
/// NULL: templates NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_get_stats(
    templates: *mut ostler_templates,
    out: *mut ostler_templates_stats,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(templates, |templates: &Pin<Templates>| {
        let stats = templates.stats();
        out?.fill(&ostler_templates_stats {
            struct_size: 0,
            reserved: 0,
            templates: stats.templates,
            bytes: stats.bytes,
            leaving: stats.leaving,
            leaving_bytes: stats.leaving_bytes,
            in_use: stats.in_use,
            waiting: stats.waiting,
            hits: stats.hits,
            misses: stats.misses,
            builds: stats.builds,
            build_failures: stats.build_failures,
            evicted_for_count: stats.evicted_for_count,
            evicted_for_bytes: stats.evicted_for_bytes,
            invalidated: stats.invalidated,
            unkept: stats.unkept,
            build_times: times(&stats.build_times),
            waits: times(&stats.waits),
        });
        Ok(())
    })
}
