//! Whether pages can be touched now without an out-of-memory kill. The kernel answers a shortage under a limit with
//! SIGKILL instead of an error, so it is asked beforehand, by arithmetic.

use super::kernel::Reread;
use super::policy::NodeMask;
use super::steps::Limit;
use super::{cgroup, kernel};
use parking_lot::Mutex;
use std::sync::LazyLock;

/// Kept free of the machine's and of a node's memory.
pub(super) const MACHINE_MARGIN: u64 = 64 << 20;
const NODE_MARGIN: u64 = 16 << 20;
/// Kept free under a limit of a control group, for page tables and for what each CPU charges ahead.
pub(super) const GROUP_MARGIN: u64 = 2 << 20;

/// What threads of this process are about to touch, and nobody has counted yet.
struct Underway(Mutex<u64>);

static UNDERWAY: Underway = Underway(Mutex::new(0));

impl Underway {
    /// Counts `bytes` once they are found to fit together with those of others. Until then nobody sees them, so that what is
    /// refused never stands in the way of what fits.
    fn admit(&'static self, bytes: u64, fits: impl FnOnce(u64) -> Result<(), Limit>) -> Result<Admission, Limit> {
        let mut counted = self.0.lock();
        let wanted = counted.saturating_add(bytes);
        fits(wanted)?;
        let bytes = wanted - *counted;
        *counted = wanted;
        Ok(Admission { underway: self, bytes })
    }
}

/// Bytes that were found to fit; until it is dropped, other threads take them as gone.
pub struct Admission {
    underway: &'static Underway,
    bytes: u64,
}

impl Admission {
    /// Admits `bytes`, or names the limit that leaves no room for them. With `nodes`, they together must hold the bytes,
    /// because the kernel may not go elsewhere.
    pub fn ask(bytes: u64, nodes: Option<&NodeMask>) -> Result<Self, Limit> {
        UNDERWAY.admit(bytes, |wanted| fits_group(wanted).and_then(|()| fits_machine(wanted, nodes)))
    }

    /// Looks at the control groups only: for pages that the machine has set aside already.
    pub fn ask_group(bytes: u64) -> Result<Self, Limit> {
        UNDERWAY.admit(bytes, fits_group)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        *self.underway.0.lock() -= self.bytes;
    }
}

fn fits_group(wanted: u64) -> Result<(), Limit> {
    match group_left() {
        Some(left) if left < wanted => Err(Limit::MemoryCgroup),
        _ => Ok(()),
    }
}

fn fits_machine(wanted: u64, nodes: Option<&NodeMask>) -> Result<(), Limit> {
    let on_nodes = nodes.and_then(|nodes| nodes.iter().filter_map(node_left).reduce(u64::saturating_add));
    let left = on_nodes.map_or_else(machine_left, |left| left.min(machine_left()));
    if left < wanted { Err(Limit::NodeMemory) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_machine_has_is_refused() {
        let node = NodeMask::from_iter([0]);
        assert!(fits_machine(1 << 50, None).is_err() && fits_machine(1 << 50, Some(&node)).is_err());
        assert!(fits_machine(1 << 20, None).is_ok() && fits_machine(1 << 20, Some(&node)).is_ok());
    }

    #[test]
    fn only_what_is_admitted_is_counted_and_only_for_so_long() {
        static OWN: Underway = Underway(Mutex::new(0));
        let ask = |bytes, together| {
            OWN.admit(bytes, |wanted| {
                assert_eq!(wanted, together);
                if wanted > 100 { Err(Limit::NodeMemory) } else { Ok(()) }
            })
        };
        let first = ask(60, 60);
        assert!(first.is_ok() && ask(50, 110).is_err() && ask(u64::MAX, u64::MAX).is_err());
        let second = ask(40, 100);
        assert!(second.is_ok() && ask(1, 101).is_err());
        drop(first);
        assert!(ask(60, 100).is_ok());
        drop(second);
        assert!(ask(100, 100).is_ok());
        assert!(OWN.admit(u64::MAX, |_| Ok(())).is_ok());
        assert!(ask(0, 0).is_ok());
    }

    #[test]
    fn what_is_refused_never_stands_in_the_way_of_what_fits() {
        static OWN: Underway = Underway(Mutex::new(0));
        let ask = |bytes| OWN.admit(bytes, |wanted| if wanted > 100 { Err(Limit::NodeMemory) } else { Ok(()) });
        std::thread::scope(|scope| {
            let greedy = scope.spawn(|| (0..100_000).all(|_| ask(1 << 50).is_err()));
            while !greedy.is_finished() {
                assert!(ask(100).is_ok());
            }
            assert!(greedy.join().unwrap());
        });
    }
}
