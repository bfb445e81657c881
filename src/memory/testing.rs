//! What the tests of this room share.

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static FAULTS: RwLock<()> = RwLock::new(());

/// While it lives, no test of this room injects failures.
pub fn quiet() -> RwLockReadGuard<'static, ()> {
    FAULTS.read()
}

/// While it lives, no other test of this room runs: for tests that inject failures, count mappings of the process, or
/// change the machine's pool of huge pages.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    FAULTS.write()
}
