//! Library: version, names of statuses, messages, the log, shutdown.

use super::arguments::{optional_output, out_of_range, string};
use super::guard::guard;
use super::status::{
    Failure, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_TIMEOUT, OSTLER_E_UNSUPPORTED, OSTLER_E_WOULD_DEADLOCK, STATUSES,
    ostler_status,
};
use crate::base::clock::{self, Deadline};
use crate::base::text::Lossy;
use crate::base::thread::{self, ThreadRecord};
use crate::base::{callback, handles, log, tracing};
use crate::memory::governor;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// The version of this header, in three numbers and in one: major * 1000000 + minor * 1000 + patch.
pub const OSTLER_VERSION_MAJOR: u32 = 0;
pub const OSTLER_VERSION_MINOR: u32 = 1;
pub const OSTLER_VERSION_PATCH: u32 = 0;
pub const OSTLER_VERSION_NUMBER: u32 = 1000;

const _: () = assert!(
    OSTLER_VERSION_NUMBER == OSTLER_VERSION_MAJOR * 1_000_000 + OSTLER_VERSION_MINOR * 1000 + OSTLER_VERSION_PATCH
);

/// A timeout that never ends.
pub const OSTLER_FOREVER: u64 = u64::MAX;
/// Bytes of a name in a configuration, the NUL included.
pub const OSTLER_NAME_BYTES: usize = 32;
/// Bytes of a message in a result or item, the NUL included.
pub const OSTLER_MESSAGE_BYTES: usize = 128;

/// Levels of the log, most important first.
pub const OSTLER_LOG_ERROR: u32 = 1;
pub const OSTLER_LOG_WARN: u32 = 2;
pub const OSTLER_LOG_INFO: u32 = 3;
pub const OSTLER_LOG_DEBUG: u32 = 4;

/// Receives one line of the log: its level and its text, without a newline, borrowed during the call. It may come on any
/// thread that uses the library and on the library's own, so a pool, model or orchestrator cannot be destroyed, closed,
/// drained or waited for there: that is OSTLER_E_WOULD_DEADLOCK.
pub type ostler_log_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, level: u32, message: *const c_char)>;

/// The version of the library that is loaded, as OSTLER_VERSION_NUMBER.
///
/// Returns: the number.
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: never blocks; may be called from any callback, a signal handler, or a forked child.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_version() -> u32 {
    OSTLER_VERSION_NUMBER
}

/// The version of the library that is loaded, as text such as "0.1.0".
///
/// Returns: a string that is never freed.
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: never blocks; may be called from any callback, a signal handler, or a forked child.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_version_string() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Tells whether a program that was compiled with a header can use this library: the same major version (while it is
/// 0, the same minor version), and a library not older than the header. Call it once with OSTLER_VERSION_NUMBER.
///
/// Parameters:
/// - header_version: OSTLER_VERSION_NUMBER of the header that the program was compiled with.
///
/// Returns: OSTLER_OK, OSTLER_E_UNSUPPORTED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_version_check(header_version: u32) -> ostler_status {
    guard(|| {
        let (major, minor) = (header_version / 1_000_000, header_version / 1000 % 1000);
        let same_interface = major == OSTLER_VERSION_MAJOR && (major > 0 || minor == OSTLER_VERSION_MINOR);
        if same_interface && header_version <= OSTLER_VERSION_NUMBER {
            return Ok(());
        }
        Err(Failure::new(
            OSTLER_E_UNSUPPORTED,
            format_args!(
                "the program was compiled with the header of version {major}.{minor}.{}, but the library is {}: \
                 compile it again with this library's header",
                header_version % 1000,
                env!("CARGO_PKG_VERSION")
            ),
        ))
    })
}

/// The name of a status, such as "OSTLER_E_TIMEOUT".
///
/// Parameters:
/// - status: any number; one that is no status is "OSTLER_E_UNKNOWN".
///
/// Returns: a string that is never freed.
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer.
/// Blocking: never blocks; may be called from any callback, a signal handler, or a forked child.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_status_name(status: ostler_status) -> *const c_char {
    STATUSES.iter().find(|(number, _)| *number == status).map_or(c"OSTLER_E_UNKNOWN", |(_, name)| name).as_ptr()
}

/// What was wrong in this thread's last call that failed: which argument, value, bound or errno, and what to do.
///
/// Returns: a string, empty before the first failure; valid until this thread's next call that fails.
///
/// Thread-safety: Thread-safe.
/// NULL: takes no pointer; the result is never NULL.
/// Blocking: never blocks; may be called from any callback, or a forked child.
/// Since: 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ostler_last_error_message() -> *const c_char {
    match ThreadRecord::current() {
        Some(record) => record.error_message.as_ptr().cast_const().cast(),
        None => c"out of memory".as_ptr(),
    }
}

/// A callback of the host as a sink of the log.
#[derive(Clone, Copy)]
struct HostLog {
    callback: unsafe extern "C-unwind" fn(*mut c_void, u32, *const c_char),
    user_data: *mut c_void,
}

// SAFETY: the header asks for a callback and user data that any thread may use.
unsafe impl Send for HostLog {}
// SAFETY: as above.
unsafe impl Sync for HostLog {}

impl HostLog {
    fn write(&self, level: log::Level, line: &crate::base::text::Text<{ log::LINE_BYTES }>) {
        // SAFETY: the host's promise; the line is NUL-terminated.
        unsafe { (self.callback)(self.user_data, level as u32, line.as_c_bytes().as_ptr().cast()) }
    }
}

/// Sends the library's diagnostics to a callback. Silent by default; nothing is ever printed.
///
/// Parameters:
/// - max_level: OSTLER_LOG_ERROR to OSTLER_LOG_DEBUG: lines up to this level are sent.
/// - callback: called from any thread, also the library's own; must not throw. NULL: silent again. When the function
///   returns, the callback that was set before runs no more.
/// - user_data: given to the callback as it is; must stay valid until another call of this function has returned.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callback and user_data may be NULL.
/// Blocking: waits for lines that are being written, except inside the log callback itself; inside it, lines that the
/// library would write are dropped.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_log_set(
    max_level: u32,
    callback: ostler_log_callback,
    user_data: *mut c_void,
) -> ostler_status {
    guard(|| {
        if !(OSTLER_LOG_ERROR..=OSTLER_LOG_DEBUG).contains(&max_level) {
            return Err(out_of_range("max_level", u64::from(max_level), "must be 1 (error) to 4 (debug)"));
        }
        let sink = match callback {
            None => None,
            Some(callback) => {
                let host = HostLog { callback, user_data };
                crate::base::alloc::check(size_of::<HostLog>() + 16)?;
                Some(Arc::new(move |level, line: &_| host.write(level, line)) as log::Sink)
            }
        };
        log::set(max_level, sink);
        Ok(())
    })
}

/// Inside a callback: leaves the words that go with the failure that it is about to return. They stand in
/// ostler_last_error_message, in a result's message, or in the log, wherever that failure is told.
///
/// Parameters:
/// - message: borrowed during the call; what is not UTF-8 in it becomes U+FFFD, so that words in another encoding are
///   not lost whole; cut to OSTLER_MESSAGE_BYTES.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe; the words belong to the calling thread.
/// NULL: message must not be NULL.
/// Blocking: never blocks; meant for callbacks, OSTLER_E_INVALID_ARGUMENT outside of one.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_callback_set_message(message: *const c_char) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let message = Lossy(unsafe { string("message", message)? }.to_bytes());
        if !callback::inside_any() {
            return Err(Failure::new(
                OSTLER_E_INVALID_ARGUMENT,
                format_args!("message \"{message}\" was given outside any callback, but belongs to one"),
            ));
        }
        callback::set_message(message);
        Ok(())
    })
}

/// Destroys every object of the library in this process, and joins its threads. Requests that are queued are shed, those
/// that run finish. A clock that a test froze runs on. What tracing knows of that was not given back is told to the log
/// first. Afterwards every handle is invalid, and the library can be used anew, with no governor configured. A program may
/// also just exit, with workers busy.
///
/// Parameters:
/// - timeout_ns: how long to wait for leases, tickets and cursors that are still out; 0 does not wait, OSTLER_FOREVER
///   waits without bound. Callbacks that are running are always waited for.
/// - still_out: written; how many objects remain because of children that are out, after OSTLER_E_TIMEOUT; else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT (everything is destroyed all the same; a later call goes on waiting),
/// OSTLER_E_WOULD_DEADLOCK, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: still_out may be NULL.
/// Blocking: waits as said; inside a callback it is OSTLER_E_WOULD_DEADLOCK.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_shutdown(timeout_ns: u64, still_out: *mut u64) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let still_out = unsafe { optional_output(still_out, 0) };
        if callback::inside_any() {
            return Err(Failure::new(
                OSTLER_E_WOULD_DEADLOCK,
                format_args!("shutdown was called from inside a callback, and would wait for that callback"),
            ));
        }
        tracing::report::tell_what_is_left();
        clock::run_on_at_last();
        thread::wake_all();
        let deadline = Deadline::after(timeout_ns);
        governor::end();
        handles::destroy_all();
        let mut left = handles::live_count();
        while left > 0 && !deadline.has_passed() {
            std::thread::sleep(std::time::Duration::from_millis(1));
            left = handles::live_count();
        }
        if let Some(still_out) = still_out {
            *still_out = left;
        }
        if left == 0 {
            return Ok(());
        }
        Err(Failure::new(
            OSTLER_E_TIMEOUT,
            format_args!(
                "the time was up: {left} destroyed objects remain until their leases, tickets or cursors are given back"
            ),
        ))
    })
}
