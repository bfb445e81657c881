//! The begin and the end of a set of cells.

use super::callbacks::Host;
use super::{ostler_deferred, ostler_deferred_config};
use crate::abi::arguments::output;
use crate::abi::guard::{destroy, guard};
use crate::abi::status::ostler_status;
use crate::abi::structs::{read, zeroed};
use crate::base::handles::{self, Kind};
use crate::pool::Deferred;

/// Makes a set of cells.
///
/// Parameters:
/// - config: borrowed during the call; NULL: the defaults.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_deferred_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_create(
    config: *const ostler_deferred_config,
    out: *mut *mut ostler_deferred,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        let capacity = if config.capacity == 0 { 1024 } else { config.capacity };
        let host = Box::new(Host { discard: config.discard, user_data: config.user_data });
        let slot = handles::reserve(Kind::Deferred)?;
        let deferred = Deferred::new(slot.owner(), capacity, host)?;
        *out = slot.publish(deferred) as *mut ostler_deferred;
        Ok(())
    })
}

/// Destroys a set of cells: none is given out any more, and each that is pending ends with OSTLER_E_CLOSED. Cells that are
/// out stay valid until what came is taken or they are released, and the memory goes with the last.
///
/// Parameters:
/// - deferred: owned; invalid afterwards, except for its cells.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: deferred NULL is OSTLER_OK and does nothing.
/// Blocking: as long as the callbacks take.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_deferred_destroy(deferred: *mut ostler_deferred) -> ostler_status {
    destroy::<_, Deferred>(deferred)
}
