//! What the host does for a cache of templates: it builds them, copies them and ends them.

use crate::abi::guard::guard;
use crate::abi::status::{OSTLER_OK, answered, ostler_status};
use crate::abi::structs::{init, versioned};
use crate::base::callback;
use crate::base::callback::Refusal;
use crate::pool::templates::{Made, TemplateHost};
use std::ffi::c_void;

/// The functions of the host for a cache of templates. They run on the thread that calls the library, with no lock held,
/// and may call it, also the same cache, but not destroy that. A build that asks for its own key, over others or not, gets
/// OSTLER_E_WOULD_DEADLOCK; a circle over several caches, or over threads that a build starts and waits for, is not noticed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_templates_callbacks {
    /// sizeof(ostler_templates_callbacks).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Builds the template of a key: writes where its data is and of how many bytes it is, and returns OSTLER_OK, or what
    /// went wrong. The data is not copied and must not change until destroy. charge_bytes holds 0: the template counts
    /// data_bytes for max_bytes; or it writes what that is to be. Called for one key by one thread at a time, unless the
    /// key is invalidated meanwhile.
    pub build: Option<
        unsafe extern "C-unwind" fn(
            user_data: *mut c_void,
            key: *const c_void,
            key_bytes: u64,
            data: *mut *mut c_void,
            data_bytes: *mut u64,
            charge_bytes: *mut u64,
        ) -> ostler_status,
    >,
    /// Makes an instance of data_bytes at target, by many threads at once; NULL: the bytes are copied.
    pub clone: Option<
        unsafe extern "C-unwind" fn(
            user_data: *mut c_void,
            data: *const c_void,
            data_bytes: u64,
            target: *mut c_void,
        ) -> ostler_status,
    >,
    /// Ends what build made, when nobody uses it any more; may be NULL.
    pub destroy: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, data: *mut c_void, data_bytes: u64)>,
}

versioned!(ostler_templates_callbacks);

/// The host's functions for one cache.
pub(super) struct Host {
    pub table: ostler_templates_callbacks,
    pub user_data: *mut c_void,
}

// SAFETY: the host's functions and its pointer for them; the header says on which threads they are called.
unsafe impl Send for Host {}

// SAFETY: as above.
unsafe impl Sync for Host {}

impl TemplateHost for Host {
    fn build(&self, key: &[u8], made: &mut Made) -> Result<(), Refusal> {
        let (name, length) = (key.as_ptr().cast(), key.len() as u64);
        // SAFETY: the host's function, called as the header says.
        answered(self.table.build.map_or(OSTLER_OK, |build| unsafe {
            build(self.user_data, name, length, &mut made.data, &mut made.bytes, &mut made.charge_bytes)
        }))?;
        if made.bytes > i64::MAX as u64 || (made.data.is_null() && made.bytes > 0) {
            callback::set_message("build said that it worked, but wrote no data of that size");
            return Err(Refusal::IN_WORDS);
        }
        if made.charge_bytes == 0 {
            made.charge_bytes = made.bytes;
        }
        Ok(())
    }

    fn has_clone(&self) -> bool {
        self.table.clone.is_some()
    }

    fn clone_into(&self, made: &Made, target: *mut c_void) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(
            self.table.clone.map_or(OSTLER_OK, |clone| unsafe { clone(self.user_data, made.data, made.bytes, target) }),
        )
    }

    fn destroy(&self, made: &Made) {
        if let Some(destroy) = self.table.destroy {
            // SAFETY: the host's function, called as the header says.
            unsafe { destroy(self.user_data, made.data, made.bytes) }
        }
    }
}

/// Empties a table of callbacks.
///
/// Parameters:
/// - callbacks: written only on success.
/// - struct_size: sizeof(ostler_templates_callbacks).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callbacks must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_templates_callbacks_init(
    callbacks: *mut ostler_templates_callbacks,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("callbacks", callbacks, struct_size) })
}
