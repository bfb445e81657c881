//! Whether pages can be touched now without an out-of-memory kill. The kernel answers a shortage under a limit with
//! SIGKILL instead of an error, so it is asked beforehand, by arithmetic.

use super::kernel::Reread;
use super::policy::NodeMask;
use super::steps::Limit;
use super::{cgroup, kernel};
use parking_lot::Mutex;
use std::sync::LazyLock;
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
    /// Admits `bytes`, or names the limit that leaves no room for them. With `nodes`, they together must hold the bytes,
    /// because the kernel may not go elsewhere.
    pub fn ask(bytes: u64, nodes: Option<&NodeMask>) -> Result<Self, Limit> {
        let admission = Self::ask_group(bytes)?;
        let wanted = UNDERWAY.load(SeqCst);
        if machine_left() < wanted {
            return Err(Limit::NodeMemory);
        }
        let on_nodes = nodes.map(|nodes| nodes.iter().filter_map(node_left).collect::<Vec<_>>());
        if let Some(left) = on_nodes
            && !left.is_empty()
            && left.into_iter().fold(0, u64::saturating_add) < wanted
        {
            return Err(Limit::NodeMemory);
        }
        Ok(admission)
    }

    /// Looks at the control groups only: for pages that the machine has set aside already.
    pub fn ask_group(bytes: u64) -> Result<Self, Limit> {
        let others = UNDERWAY.fetch_add(bytes, SeqCst);
        let admission = Self { bytes };
        match group_left() {
            Some(left) if left < bytes.saturating_add(others) => Err(Limit::MemoryCgroup),
            _ => Ok(admission),
        }
    }
}

/// Bytes that the tightest control group leaves; `None`: no limit.
pub fn group_left() -> Option<u64> {
    cgroup::memory().map(|bound| bound.left().saturating_sub(GROUP_MARGIN))
}

/// Bytes that the machine can give.
pub fn machine_left() -> u64 {
    /// Asked before each slice of memory that is brought in.
    static MEMINFO: LazyLock<Mutex<Reread>> = LazyLock::new(|| Mutex::new(Reread::new("/proc/meminfo")));
    let mut buffer = [0; 4096];
    let memory = MEMINFO.lock().read(&mut buffer).and_then(kernel::machine_memory_in);
    memory.map_or(u64::MAX, |memory| memory.available.saturating_sub(MACHINE_MARGIN))
}

/// Bytes that a node can give.
pub fn node_left(node: u32) -> Option<u64> {
    kernel::node_memory(node).map(|memory| memory.available.saturating_sub(NODE_MARGIN))
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
        assert!(Admission::ask(1 << 50, Some(&NodeMask::from_iter([0]))).is_err());
        assert_eq!(UNDERWAY.load(SeqCst), 0);
        let admission = Admission::ask(1 << 20, None);
        assert!(admission.is_ok());
        assert_eq!(UNDERWAY.load(SeqCst), 1 << 20);
        drop(admission);
        assert_eq!(UNDERWAY.load(SeqCst), 0);
    }
}
