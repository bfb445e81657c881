//! The memory of a slab: which of its chunks can go.

use super::ostler_slab;
use crate::abi::arguments::optional_output;
use crate::abi::guard::with;
use crate::abi::status::ostler_status;
use crate::base::handles::Pin;
use crate::memory::slab::Slab;

/// Gives back every chunk in which nothing is out, except for those of initial_slots. What threads have at hand is taken
/// back for that.
///
/// Parameters:
/// - slab: borrowed.
/// - freed_bytes: written; how much was given back; 0 after a failure, and while another trim is under way.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; freed_bytes may be NULL.
/// Blocking: as long as destroy and the kernel take; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_trim(slab: *mut ostler_slab, freed_bytes: *mut u64) -> ostler_status {
    // SAFETY: as the header asks.
    let freed_bytes = unsafe { optional_output(freed_bytes, 0) };
    with(slab, |slab: &Pin<Slab>| {
        let freed = slab.trim(u64::MAX);
        if let Some(freed_bytes) = freed_bytes {
            *freed_bytes = freed;
        }
        Ok(())
    })
}
