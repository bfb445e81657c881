//! Watches of the level: callbacks that are told of each change.

use crate::abi::arguments::{null, out_of_range, output};
use crate::abi::guard::guard;
use crate::abi::status::ostler_status;
use crate::base::alloc;
use crate::memory::governor;
use crate::memory::governor::watch::{Change, Listener};
use std::ffi::c_void;

/// A change of the level, as it is told of.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_level_change {
    /// sizeof(ostler_level_change) of the library.
    pub struct_size: u32,
    /// OSTLER_LEVEL_...
    pub level: u32,
    /// OSTLER_LEVEL_... before.
    pub level_before: u32,
    /// OSTLER_PRESSURE_...: what the level comes from.
    pub pressure: u32,
    /// Charged at that moment.
    pub held_bytes: u64,
    /// The least limit at that moment; UINT64_MAX without one.
    pub limit_bytes: u64,
}

/// Is told of a change of the level: on the governor's thread, with no lock held, each change once and in order. It may
/// call the library, also to end its own watch; what takes long there holds up the next change. change is borrowed
/// during the call.
pub type ostler_level_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, change: *const ostler_level_change)>;

/// A callback of the host that watches the level.
struct Host {
    callback: unsafe extern "C-unwind" fn(*mut c_void, *const ostler_level_change),
    user_data: *mut c_void,
}

// SAFETY: the header asks for a callback and user data that the governor's thread may use.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Listener for Host {
    fn changed(&self, change: &Change) {
        let change = ostler_level_change {
            struct_size: size_of::<ostler_level_change>() as u32,
            level: change.level as u32,
            level_before: change.before as u32,
            pressure: change.reason as u32,
            held_bytes: change.held,
            limit_bytes: change.limit,
        };
        // SAFETY: the host's function, called as the header says.
        unsafe { (self.callback)(self.user_data, &change) }
    }
}

/// Has a callback told of each change of the level from now on, and starts the governor's thread.
///
/// Parameters:
/// - callback: called on the governor's thread until the watch ends.
/// - user_data: handed to it; must stay valid until ostler_governor_unwatch, or ostler_shutdown, has returned; where it ends
///   inside the callback, until that has returned.
/// - watch_id: written only on success, else 0; names the watch for ostler_governor_unwatch.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM (the thread could not be
/// started), OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callback and watch_id must not be NULL; user_data may be NULL.
/// Blocking: as long as the kernel takes to tell its limits; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_governor_watch(
    callback: ostler_level_callback,
    user_data: *mut c_void,
    watch_id: *mut u64,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let watch_id = unsafe { output("watch_id", watch_id, 0)? };
        let callback = callback.ok_or_else(|| null("callback"))?;
        *watch_id = governor::watch(alloc::try_box(Host { callback, user_data })?)?;
        Ok(())
    })
}

/// Ends a watch. When this returns, its callback runs no more.
///
/// Parameters:
/// - watch_id: of ostler_governor_watch.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (there is no such watch, or it was ended), OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: waits while the callback runs; inside that callback it returns at once, and this call of it is the last.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_governor_unwatch(watch_id: u64) -> ostler_status {
    guard(|| {
        if governor::unwatch(watch_id) {
            return Ok(());
        }
        Err(out_of_range("watch_id", watch_id, "must be one of ostler_governor_watch that was not ended"))
    })
}
