//! Whether pages can be touched now without an out-of-memory kill. The kernel answers a shortage under a limit with
//! SIGKILL instead of an error, so it is asked beforehand, by arithmetic.

use super::pages::Limit;
use super::{cgroup, kernel};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Kept free of the machine's and of a node's memory.
pub(super) const MACHINE_MARGIN: u64 = 64 << 20;
const NODE_MARGIN: u64 = 16 << 20;
/// Kept free under a limit of a control group, for page tables and for what each CPU charges ahead.
pub(super) const GROUP_MARGIN: u64 = 2 << 20;

/// What other threads of this process are about to touch, and nobody has counted yet.
static UNDERWAY: AtomicU64 = AtomicU64::new(0);

/// Bytes that were found to fit; until it is dropped, other threads take them as gone.
pub struct Admission {
    bytes: u64,
}

impl Admission {
    /// Admits `bytes`, or names the limit that leaves no room for them. With `nodes`, each of them alone must hold
    /// the bytes, because the kernel may not go elsewhere.
    pub fn ask(bytes: u64, nodes: Option<&[u32]>) -> Result<Self, Limit> {
        let others = UNDERWAY.fetch_add(bytes, SeqCst);
        let admission = Self { bytes };
        let wanted = bytes.saturating_add(others);
        if let Some(bound) = cgroup::memory()
            && bound.left() < wanted.saturating_add(GROUP_MARGIN)
        {
            return Err(Limit::MemoryCgroup);
        }
        if let Some(memory) = kernel::machine_memory()
            && memory.available < wanted.saturating_add(MACHINE_MARGIN)
        {
            return Err(Limit::NodeMemory);
        }
        for node in nodes.unwrap_or_default() {
            if let Some(memory) = kernel::node_memory(*node)
                && memory.available < wanted.saturating_add(NODE_MARGIN)
            {
                return Err(Limit::NodeMemory);
            }
        }
        Ok(admission)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        UNDERWAY.fetch_sub(self.bytes, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_machine_has_is_refused_and_nothing_stays_counted() {
        let _quiet = super::super::testing::quiet();
        assert!(Admission::ask(1 << 50, None).is_err());
        assert!(Admission::ask(1 << 50, Some(&[0])).is_err());
        assert_eq!(UNDERWAY.load(SeqCst), 0);
        let admission = Admission::ask(1 << 20, None);
        assert!(admission.is_ok());
        assert_eq!(UNDERWAY.load(SeqCst), 1 << 20);
        drop(admission);
        assert_eq!(UNDERWAY.load(SeqCst), 0);
    }
}
