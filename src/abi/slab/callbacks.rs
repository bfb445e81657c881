//! What the host does for a slab: it makes what lies in the slots, cleans it and ends it.

use crate::abi::guard::guard;
use crate::abi::status::{OSTLER_OK, answered, ostler_status};
use crate::abi::structs::{init, versioned};
use crate::base::refusal::Refusal;
use crate::memory::slab::Upkeep;
use std::ffi::c_void;

/// What the host does with the memory of a slot. Each may be NULL, and gets user_data first. None is called with a lock
/// held, so all may call the library, also for this slab.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_slab_callbacks {
    /// sizeof(ostler_slab_callbacks).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Makes what lies in a slot, on the thread that gets it, before it is given out for the first time. What it made
    /// stays there from one use to the next. Answers OSTLER_OK, or any other status when it cannot; then the get fails
    /// with OSTLER_E_CALLBACK_FAILED and the slot stays free.
    pub create: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, slot: *mut c_void) -> ostler_status>,
    /// Cleans it, on the thread that puts the slot. After any other status than OSTLER_OK it is destroyed, and made anew
    /// when the slot is next wanted. With a reset every put is a call, also an inline one.
    pub reset: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, slot: *mut c_void) -> ostler_status>,
    /// Ends what create made, before the memory of the slot is given back.
    pub destroy: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, slot: *mut c_void)>,
}

versioned!(ostler_slab_callbacks);

/// Empties a table of callbacks.
///
/// Parameters:
/// - callbacks: written only on success.
/// - struct_size: sizeof(ostler_slab_callbacks).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callbacks must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_slab_callbacks_init(
    callbacks: *mut ostler_slab_callbacks,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("callbacks", callbacks, struct_size) })
}

/// The callbacks of one slab.
pub(super) struct Callbacks {
    pub table: ostler_slab_callbacks,
    pub user_data: *mut c_void,
}

// SAFETY: the host's functions and its pointer for them; the header says on which threads they are called.
unsafe impl Send for Callbacks {}

// SAFETY: as above.
unsafe impl Sync for Callbacks {}

impl Upkeep for Callbacks {
    fn creates(&self) -> bool {
        self.table.create.is_some()
    }

    fn create(&self, slot: *mut u8) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.create.map_or(OSTLER_OK, |create| unsafe { create(self.user_data, slot.cast()) }))
    }

    fn resets(&self) -> bool {
        self.table.reset.is_some()
    }

    fn reset(&self, slot: *mut u8) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.reset.map_or(OSTLER_OK, |reset| unsafe { reset(self.user_data, slot.cast()) }))
    }

    fn destroys(&self) -> bool {
        self.table.destroy.is_some()
    }

    fn destroy(&self, slot: *mut u8) {
        if let Some(destroy) = self.table.destroy {
            // SAFETY: the host's function, called as the header says.
            unsafe { destroy(self.user_data, slot.cast()) }
        }
    }
}
