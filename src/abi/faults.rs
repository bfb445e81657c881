//! The test-only switches, declared in tests/support/ostler_faults.h.

use crate::base::{faults, handles};

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

/// Objects that are not yet gone.
#[unsafe(no_mangle)]
pub extern "C" fn ostler_faults_live() -> u64 {
    handles::live_count()
}
