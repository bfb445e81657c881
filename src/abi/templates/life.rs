//! The life of a cache of templates.

use super::callbacks::{Host, ostler_templates_callbacks};
use super::config::{checked, ostler_templates_config};
use super::ostler_templates;
use crate::abi::arguments::{null, out_of_range, output};
use crate::abi::guard::{destroy, guard};
use crate::abi::status::ostler_status;
use crate::abi::structs::{read, zeroed};
use crate::base::handles::{self, Kind};
use crate::pool::templates::Templates;
use std::ffi::c_void;

/// Makes a cache of templates, with nothing in it.
///
/// Parameters:
/// - config: borrowed during the call; NULL: the defaults.
/// - callbacks: borrowed during the call; build is required.
/// - user_data: handed to every callback; must stay valid until the cache is destroyed and the last reference is back.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_templates_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL; user_data may be NULL; callbacks, its build, and out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_create(
    config: *const ostler_templates_config,
    callbacks: *const ostler_templates_callbacks,
    user_data: *mut c_void,
    out: *mut *mut ostler_templates,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        // SAFETY: as the header asks.
        let table: ostler_templates_callbacks = unsafe { read("callbacks", callbacks)? };
        if table.reserved != 0 {
            return Err(out_of_range("callbacks->reserved", u64::from(table.reserved), "must be 0"));
        }
        if table.build.is_none() {
            return Err(null("callbacks->build"));
        }
        let config = checked(&config)?;
        let slot = handles::reserve(Kind::Templates)?;
        let templates = Templates::new(slot.owner(), config, Box::new(Host { table, user_data }))?;
        *out = slot.publish(templates) as *mut ostler_templates;
        Ok(())
    })
}

/// Destroys a cache of templates: waits inside it end with OSTLER_E_CLOSED, and builds that are under way are waited for.
/// References that are out stay valid until they are released, and the memory goes with the last.
///
/// Parameters:
/// - templates: owned; invalid afterwards, except for its references.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: templates NULL is OSTLER_OK and does nothing.
/// Blocking: as long as the callbacks take.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_destroy(templates: *mut ostler_templates) -> ostler_status {
    destroy::<_, Templates>(templates)
}
