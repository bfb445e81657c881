//! What the tests of this room share.

use super::governor::{Account, Holder};
use crate::base::Name;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use std::sync::{Arc, LazyLock};

/// Who pays for the mappings of tests.
pub static ACCOUNT: LazyLock<Arc<Account>> =
    LazyLock::new(|| Account::open(Holder::Arena, Name::from("tests")).expect("memory"));

static ROOM: RwLock<()> = RwLock::new(());

/// While it lives, no test of this room counts on being alone.
pub fn quiet() -> RwLockReadGuard<'static, ()> {
    ROOM.read()
}

/// While it lives, no other test of this room runs: for tests that count mappings of the process, or change the
/// machine's pool of huge pages.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    ROOM.write()
}

/// Runs the calling test in a process of its own, because what it does to its process would meet other tests too. `true`
/// in that process, where the test goes on.
pub fn in_own_process() -> bool {
    const INSIDE: &str = "OSTLER_TEST_IN_OWN_PROCESS";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let thread = std::thread::current();
    let test = thread.name().expect("the test's name");
    let ended = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&ended.stdout) + String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    false
}
