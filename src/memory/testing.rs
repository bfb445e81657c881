//! What the tests of this room share.

use super::governor::{Account, Holder};
use crate::base::Name;
pub use crate::base::testing::in_own_process;
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
