//! Cancel: ends waits from another thread.

use super::arguments::output;
use super::guard::{destroy, guard, with};
use super::status::ostler_status;
use crate::base::cancel::Cancel;
use crate::base::handles::{self, Handled, Kind};
use std::sync::Arc;

/// Ends waits from another thread. Every function that waits takes one, or NULL; once it is signalled, each present
/// and later wait with it returns OSTLER_E_CANCELLED. It works once: make a new one for the next use.
pub struct ostler_cancel {
    _opaque: [u8; 0],
}

impl Handled for Cancel {
    const KIND: Kind = Kind::Cancel;
    fn begin_destroy(&self) {}
    fn finish_destroy(&self) {}
}

/// The cancel that a wait was given: a share, so that the wait does not hold up its destroy. NULL is none.
pub fn given(cancel: *mut ostler_cancel) -> Result<Option<Arc<Cancel>>, super::status::Failure> {
    if cancel.is_null() {
        return Ok(None);
    }
    Ok(Some(handles::pin::<Cancel>(cancel as u64)?.share()))
}

/// Makes a cancel.
///
/// Parameters:
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_cancel_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_cancel_create(out: *mut *mut ostler_cancel) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        let slot = handles::reserve(Kind::Cancel)?;
        *out = slot.publish(Cancel::new()?) as *mut ostler_cancel;
        Ok(())
    })
}

/// Ends every present and later wait that was given this cancel. Signalling again changes nothing.
///
/// Parameters:
/// - cancel: borrowed.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: cancel NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_cancel_signal(cancel: *mut ostler_cancel) -> ostler_status {
    with(cancel, |cancel: &handles::Pin<Cancel>| {
        cancel.signal();
        Ok(())
    })
}

/// Destroys a cancel. Waits that were given it go on, and can no longer be cancelled.
///
/// Parameters:
/// - cancel: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: cancel NULL is OSTLER_OK and does nothing.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_cancel_destroy(cancel: *mut ostler_cancel) -> ostler_status {
    destroy::<_, Cancel>(cancel)
}
