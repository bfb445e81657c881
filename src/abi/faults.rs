//! The test-only switches, declared in tests/support/ostler_faults.h.

use crate::base::{faults, handles};
use std::ffi::{CStr, c_char};

/// Makes the `nth` visit of a point from now fail with `os_errno`, or panic when that is negative; 0 clears it.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_faults_set(point: u32, nth: u64, os_errno: i32, persistent: u32) {
    faults::set(point as usize, nth, os_errno, persistent != 0);
}

/// Visits of a point since it was last set.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_faults_hits(point: u32) -> u64 {
    faults::hits(point as usize)
}

/// From now on this machine is taken for the one of that description, as hwloc reads it; with NULL for what it is.
///
/// # Safety
/// The description is NULL or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_faults_set_machine(description: *const c_char) {
    // SAFETY: the caller's promise.
    let description = (!description.is_null()).then(|| unsafe { CStr::from_ptr(description) });
    faults::take_for(description.and_then(|description| description.to_str().ok()));
}

/// From now on this thread is taken to run on that CPU.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_faults_run_on_cpu(cpu: u32) {
    faults::run_on(cpu);
}

/// Objects that are not yet gone.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_faults_live() -> u64 {
    handles::live_count()
}
