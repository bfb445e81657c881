//! What a slab counts.

use super::ostler_slab;
use crate::abi::guard::with;
use crate::abi::status::ostler_status;
use crate::abi::structs::{prepare, versioned};
use crate::base::handles::Pin;
use crate::memory::slab::Slab;

/// What a slab holds and did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_slab_stats {
    /// sizeof(ostler_slab_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// From one slot to the next.
    pub slot_bytes: u64,
    /// Most slots that there ever are.
    pub max_slots: u64,
    /// Slots that are out.
    pub out: u64,
    /// Chunks that are mapped.
    pub chunks: u64,
    /// Their bytes.
    pub mapped_bytes: u64,
    /// Magazines that are open now, those that the library keeps for threads not among them.
    pub magazines_open: u64,
    /// How often a magazine was refilled.
    pub refills: u64,
    /// How often half of a full magazine was emptied.
    pub flushes: u64,
    /// How often nothing else was left than what other threads had at hand, and all of that was taken back.
    pub recalls: u64,
    /// Calls that found nothing.
    pub exhausted: u64,
    /// How often chunks were given back.
    pub trims: u64,
    /// Puts of a slot that was put before.
    pub double_puts: u64,
    /// Puts of what is no slot, or was never got.
    pub foreign_puts: u64,
    /// Chunks that got smaller pages or another node policy than asked.
    pub step_downs: u64,
}

versioned!(ostler_slab_stats);

/// Tells what the slab holds and did.
///
/// Parameters:
/// - slab: borrowed.
/// - out: its struct_size is set by the caller; the rest is written only on success, else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe. Each number is right for some moment of the call; nobody is held up.
/// NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_get_stats(slab: *mut ostler_slab, out: *mut ostler_slab_stats) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(slab, |slab: &Pin<Slab>| {
        let out = out?;
        let stats = slab.stats();
        out.fill(&ostler_slab_stats {
            struct_size: 0,
            reserved: 0,
            slot_bytes: stats.slot_bytes,
            max_slots: stats.max_slots,
            out: stats.out,
            chunks: stats.chunks,
            mapped_bytes: stats.mapped_bytes,
            magazines_open: stats.magazines_open,
            refills: stats.refills,
            flushes: stats.flushes,
            recalls: stats.recalls,
            exhausted: stats.exhausted,
            trims: stats.trims,
            double_puts: stats.put_twice,
            foreign_puts: stats.foreign,
            step_downs: stats.step_downs,
        });
        Ok(())
    })
}
