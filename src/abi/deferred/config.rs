//! What a set of cells is made to be.

use crate::abi::guard::guard;
use crate::abi::status::ostler_status;
use crate::abi::structs::{init, versioned};
use std::ffi::c_void;

/// What a set of cells is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_deferred_config {
    /// sizeof(ostler_deferred_config).
    pub struct_size: u32,
    /// How many cells there are; 1 to 1048576; 0: 1024. The memory for all is taken at once, 64 bytes each.
    pub capacity: u32,
    /// Gets each value that is not NULL, was accepted, and that nobody will take, because its cell was released; may be
    /// NULL. It may call the library, but not destroy its own set.
    pub discard: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, value: *mut c_void)>,
    /// Handed to discard; must stay valid until the set is destroyed and its last cell was taken or released.
    pub user_data: *mut c_void,
}

versioned!(ostler_deferred_config);

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_deferred_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_config_init(
    config: *mut ostler_deferred_config,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}
