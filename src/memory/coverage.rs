//! Coverage: how much of some mappings still is what it was. The kernel splits huge pages and moves pages between nodes
//! as it likes; what it took apart can be repaired.

use super::headroom::Admission;
use super::pages::{Limit, Mapping};
use super::policy::Pages;
use super::residency::{self, Extent, Method};
use super::system::Errno;
use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub mapped_bytes: u64,
    pub resident_bytes: u64,
    pub huge_bytes: u64,
    /// Resident in base pages although huge ones were asked for.
    pub small_bytes: u64,
    /// Resident on nodes that the policy does not stand for.
    pub remote_bytes: u64,
    /// Mapped where the kernel does not tell.
    pub unverified_bytes: u64,
}

impl AddAssign for Coverage {
    fn add_assign(&mut self, other: Self) {
        self.mapped_bytes += other.mapped_bytes;
        self.resident_bytes += other.resident_bytes;
        self.huge_bytes += other.huge_bytes;
        self.small_bytes += other.small_bytes;
        self.remote_bytes += other.remote_bytes;
        self.unverified_bytes += other.unverified_bytes;
    }
}

impl Coverage {
    /// Of memory that is somebody else's.
    pub fn unknown(bytes: u64) -> Self {
        Self { mapped_bytes: bytes, unverified_bytes: bytes, ..Self::default() }
    }

    /// Asks the kernel.
    pub fn of(mapping: &Mapping) -> Self {
        let found = residency::measure(mapping);
        let nodes = mapping.node_set();
        let astray = found.nodes.iter().filter(|(node, _)| !nodes.is_empty() && !nodes.has(*node));
        let told = found.pages_by != Method::Not;
        Self {
            mapped_bytes: mapping.bytes,
            resident_bytes: found.resident_bytes,
            huge_bytes: found.huge_bytes,
            small_bytes: if mapping.asked.pages == Pages::Base { 0 } else { found.resident_bytes - found.huge_bytes },
            remote_bytes: astray.map(|(_, bytes)| bytes).sum(),
            unverified_bytes: if told { 0 } else { mapping.bytes },
        }
    }
}

/// What a repair found, and what it left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    pub before: Coverage,
    pub after: Coverage,
    /// What stood in the way of the first thing that could not be repaired.
    pub limit: Limit,
    pub errno: Errno,
}

impl Repair {
    /// Moves pages to their nodes and puts huge pages together, mapping by mapping.
    pub fn run<'a>(mappings: impl IntoIterator<Item = &'a Mapping>) -> Self {
        let mut repair = Self::default();
        for mapping in mappings {
            let before = Coverage::of(mapping);
            repair.before += before;
            if before.remote_bytes > 0 {
                repair.note(mapping.move_home().map_err(|errno| (Limit::PolicyRefused, errno)));
            }
            if before.small_bytes > 0 {
                repair.note(collapse(mapping));
            }
            repair.after += Coverage::of(mapping);
        }
        repair
    }

    fn note(&mut self, done: Result<(), (Limit, Errno)>) {
        if let (Err((limit, errno)), Limit::None) = (done, self.limit) {
            (self.limit, self.errno) = (limit, errno);
        }
    }
}

/// Each huge page in which something small is resident. The rest of it becomes resident with it.
fn collapse(mapping: &Mapping) -> Result<(), (Limit, Errno)> {
    let Some(huge) = super::kernel::transparent_page_bytes() else { return Err((Limit::ThpDisabled, 0)) };
    let small = residency::extents_of(mapping).map_err(|errno| (Limit::KernelTooOld, errno))?;
    let mut first = Ok(());
    for (start, end) in ranges_to_collapse(&small, huge, mapping.address() as u64, mapping.bytes) {
        // The kernel takes a new huge page before it gives the small ones back.
        let admitted = Admission::ask(end - start, None).map_err(|limit| (limit, 0));
        let done = admitted
            .and_then(|_admission| mapping.collapse(start, end - start).map_err(|errno| (Limit::NodeMemory, errno)));
        first = first.and(done);
    }
    first
}

/// Whole huge pages within the mapping that hold something small, neighbours together.
fn ranges_to_collapse(extents: &[Extent], huge: u64, start: u64, bytes: u64) -> Vec<(u64, u64)> {
    /// Collapsed at once, between two looks at the headroom.
    const MOST: u64 = 32 << 20;
    let (first, last) = (start.next_multiple_of(huge), (start + bytes) / huge * huge);
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for extent in extents.iter().filter(|extent| !extent.huge) {
        let (mut from, to) = ((extent.start / huge * huge).max(first), extent.end.next_multiple_of(huge).min(last));
        while from < to {
            let end = from + huge;
            match ranges.last_mut() {
                Some(range) if range.1 >= end => {}
                Some(range) if range.1 == from && range.1 - range.0 < MOST => range.1 = end,
                _ => ranges.push((from, end)),
            }
            from = end;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::super::pages::Request;
    use super::super::source::PageSource;
    use super::super::testing::{ACCOUNT, quiet};
    use super::super::{kernel, system};
    use super::*;

    const HUGE: u64 = 2 << 20;

    #[test]
    fn only_huge_pages_with_something_small_in_them_are_put_together() {
        let extent = |start: u64, end: u64, huge| Extent { start: start * 4096, end: end * 4096, huge };
        let extents = [extent(512, 1024, true), extent(1030, 1031, false), extent(1500, 1600, false)];
        assert_eq!(ranges_to_collapse(&extents, HUGE, HUGE, 8 * HUGE), [(2 * HUGE, 4 * HUGE)]);
        let across = [extent(1, 2000, false)];
        assert_eq!(ranges_to_collapse(&across, HUGE, 4096, 3 * HUGE), [(HUGE, 3 * HUGE)]);
        assert_eq!(ranges_to_collapse(&across, HUGE, 4096, HUGE), []);
    }

    #[test]
    fn what_the_kernel_took_apart_is_put_together_and_keeps_its_contents() {
        let _quiet = quiet();
        if kernel::transparent_pages_off() {
            eprintln!("skipped: transparent huge pages are switched off here");
            return;
        }
        let source = PageSource { pages: Pages::Transparent, prefault: true, ..PageSource::default() };
        let request = Request { bytes: 8 * HUGE, at_most: u64::MAX, source, account: &ACCOUNT, name: "coverage" };
        let mapping = Mapping::new(&request).expect("memory");
        let whole = Coverage::of(&mapping);
        if whole.huge_bytes < whole.mapped_bytes {
            eprintln!("skipped: the kernel has no huge pages now");
            return;
        }
        // SAFETY: the test's own memory; giving a page of each huge one back splits it.
        unsafe {
            for at in (0..8 * HUGE).step_by(HUGE as usize) {
                mapping.address().add(at as usize + 4096).write(7);
                system::advise(mapping.address().add(at as usize), 4096, libc::MADV_DONTNEED).expect("split");
            }
        }
        let split = Coverage::of(&mapping);
        assert_eq!((split.huge_bytes, split.small_bytes), (0, 8 * (HUGE - 4096)));
        let repair = Repair::run([&mapping]);
        assert_eq!((repair.before, repair.limit), (split, Limit::None), "errno {}", repair.errno);
        assert_eq!((repair.after.huge_bytes, repair.after.small_bytes), (8 * HUGE, 0));
        // SAFETY: as above.
        unsafe { assert_eq!((mapping.address().read(), mapping.address().add(4096).read()), (0, 7)) };
        assert_eq!(Repair::run([&mapping]).before, repair.after);
    }
}
