//! The seam for injected failures. Without the feature `faults` every point is a constant "no".

/// A place where the outside world can refuse. The numbers are those of tests/support/ostler_faults.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Point {
    Allocation = 1,
    Mmap = 2,
    Mbind = 3,
    Madvise = 4,
    ThreadStart = 5,
    Callback = 6,
    /// Each entry into a guarded call.
    Call = 7,
    /// A worker thread's own loop, outside any callback.
    Worker = 8,
    Mlock = 9,
    MovePages = 10,
    /// The ioctl PAGEMAP_SCAN.
    Scan = 11,
    /// Opening, asking and reading a file.
    Open = 12,
    /// Each call that makes, checks or passes on the file of a segment.
    Segment = 13,
    /// Having a thread run on CPUs.
    Affinity = 14,
}

/// The errno with which this visit to `point` must fail, if it must. May panic when the test asked for that.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn hit(_point: Point) -> Option<i32> {
    None
}

/// The machine that this one is taken for, in the words of hwloc, if it is.
#[cfg(not(feature = "faults"))]
pub fn machine() -> Option<&'static str> {
    None
}

/// The CPU that this thread is taken to run on, if it is.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn cpu() -> Option<u32> {
    None
}

#[cfg(feature = "faults")]
pub use injected::{hit, hits, set};
#[cfg(feature = "faults")]
pub use pretended::{cpu, machine, run_on, take_for};

#[cfg(feature = "faults")]
mod pretended {
    use parking_lot::Mutex;
    use std::cell::Cell;

    static MACHINE: Mutex<Option<&'static str>> = Mutex::new(None);

    thread_local! {
        static CPU: Cell<Option<u32>> = const { Cell::new(None) };
    }

    pub fn machine() -> Option<&'static str> {
        *MACHINE.lock()
    }

    /// From now on this machine is taken for that one.
    pub fn take_for(machine: Option<&str>) {
        *MACHINE.lock() = machine.map(|machine| &*machine.to_owned().leak());
    }

    pub fn cpu() -> Option<u32> {
        CPU.get()
    }

    /// From now on this thread is taken to run on that CPU.
    pub fn run_on(cpu: u32) {
        CPU.set(Some(cpu));
    }
}

#[cfg(feature = "faults")]
mod injected {
    use super::Point;
    use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};

    const POINTS: usize = 15;

    struct Plan {
        hits: AtomicU64,
        /// The visit that fails, counted from 1; 0: none.
        nth: AtomicU64,
        persistent: AtomicU64,
        os_errno: AtomicI32,
    }

    static PLANS: [Plan; POINTS] = [const {
        Plan {
            hits: AtomicU64::new(0),
            nth: AtomicU64::new(0),
            persistent: AtomicU64::new(0),
            os_errno: AtomicI32::new(0),
        }
    }; POINTS];

    pub fn hit(point: Point) -> Option<i32> {
        let plan = &PLANS[point as usize];
        let visit = plan.hits.fetch_add(1, SeqCst) + 1;
        let nth = plan.nth.load(SeqCst);
        let fails = nth != 0 && (visit == nth || (visit > nth && plan.persistent.load(SeqCst) != 0));
        if !fails {
            return None;
        }
        match plan.os_errno.load(SeqCst) {
            errno if errno < 0 => panic!("injected panic at {point:?}"),
            errno => Some(errno),
        }
    }

    /// Makes the `nth` visit from now fail with `os_errno` (panic when negative); 0 clears the plan.
    pub fn set(point: usize, nth: u64, os_errno: i32, persistent: bool) {
        let Some(plan) = PLANS.get(point) else { return };
        plan.nth.store(0, SeqCst);
        plan.hits.store(0, SeqCst);
        plan.os_errno.store(os_errno, SeqCst);
        plan.persistent.store(u64::from(persistent), SeqCst);
        plan.nth.store(nth, SeqCst);
    }

    /// Visits since the last [`set`].
    pub fn hits(point: usize) -> u64 {
        PLANS.get(point).map_or(0, |plan| plan.hits.load(SeqCst))
    }
}
