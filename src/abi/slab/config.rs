//! What a slab is told when it is made: its slots, and the memory that they lie in.

use crate::abi::arguments::{flag, name, out_of_range};
use crate::abi::guard::guard;
use crate::abi::library::OSTLER_NAME_BYTES;
use crate::abi::page_source::{self, ostler_page_source};
use crate::abi::status::{Failure, ostler_status};
use crate::abi::structs::{init, versioned};
use crate::memory::slab::SlabConfig;
use std::ffi::c_char;

/// What a slab is asked to be.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_slab_config {
    /// sizeof(ostler_slab_config).
    pub struct_size: u32,
    /// 1: every call looks exactly, no slot is used again before others have been, and inline calls go into the library.
    pub checked: u32,
    /// What memory the slab is made of; borrowed while the slab is created; NULL: the defaults of
    /// ostler_page_source_init.
    pub source: *const ostler_page_source,
    /// Bytes of an object; 1 to 1 GiB, rounded up to align_bytes. From one slot to the next there is nothing else.
    pub slot_bytes: u64,
    /// What each slot is aligned to, a power of two of at most 2 MiB; 0: the largest that divides slot_bytes, at most 64.
    pub align_bytes: u64,
    /// Most slots that there ever are, at most 67108864; 0: 65536. Address space for all of them is reserved at once.
    pub max_slots: u64,
    /// Slots whose memory is there from the beginning and is kept at a trim; at most max_slots; 0: those of one chunk.
    pub initial_slots: u64,
    /// Bytes mapped at once; 65536 to 1 TiB, rounded up to the page size; 0: 2 MiB. At least one slot, at most max_slots.
    pub chunk_bytes: u64,
    /// Slots that a magazine holds; 2 to 128; 0: 128. Half of them move at once.
    pub magazine_slots: u32,
    /// 0.
    pub reserved: u32,
    /// Shown in reports and in the kernel's list of mappings.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

versioned!(ostler_slab_config);

/// Fills a configuration with the defaults. There is none for slot_bytes.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_slab_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_config_init(config: *mut ostler_slab_config, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// # Safety
/// A non-null `source` is as the header asks.
pub(super) unsafe fn checked(config: &ostler_slab_config) -> Result<SlabConfig, Failure> {
    if config.reserved != 0 {
        return Err(out_of_range("reserved", u64::from(config.reserved), "must be 0"));
    }
    Ok(SlabConfig {
        // SAFETY: the caller's promise.
        source: unsafe { page_source::given(config.source)? },
        slot_bytes: config.slot_bytes,
        align_bytes: config.align_bytes,
        max_slots: config.max_slots,
        initial_slots: config.initial_slots,
        chunk_bytes: config.chunk_bytes,
        magazine_slots: config.magazine_slots,
        checked: flag("checked", config.checked)?,
        name: name(&config.name)?,
    })
}
