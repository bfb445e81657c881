//! Repair: pages that the kernel took apart or moved away are brought back to what their chunk has been.

use super::coverage_of;
use crate::memory::coverage::{Coverage, Repair};
use crate::memory::headroom::Admission;
use crate::memory::pages::{Limit, Mapping};
use crate::memory::residency::{self, Extent};
use crate::memory::system::Errno;
use std::ops::Range;

/// Moves pages to their nodes and puts huge pages together, but for those that have a part in `bare`.
pub fn run(mapping: &Mapping, before: Coverage, bare: &[Range<u64>]) -> Repair {
    let mut repair = Repair { before, ..Repair::default() };
    if before.remote_bytes > 0 {
        repair.note(mapping.move_home().map_err(|errno| (Limit::PolicyRefused, errno)));
    }
    if before.small_bytes > 0 {
        repair.note(collapse(mapping, bare));
    }
    repair.after = coverage_of(mapping, 0..mapping.bytes);
    repair
}

/// Each huge page in which something small is resident. The rest of it becomes resident with it.
fn collapse(mapping: &Mapping, bare: &[Range<u64>]) -> Result<(), (Limit, Errno)> {
    let Some(huge) = crate::memory::kernel::transparent_page_bytes() else { return Err((Limit::ThpDisabled, 0)) };
    let extents = residency::extents_of(mapping).map_err(|errno| (Limit::KernelTooOld, errno))?;
    let ranges = ranges_to_collapse(&extents, bare, huge, mapping.address() as u64, mapping.bytes);
    if ranges.is_empty() {
        return Ok(());
    }
    let mut first = mapping.allow_huge().map_err(|errno| (Limit::ThpDisabled, errno));
    for range in ranges {
        // The kernel takes a new huge page before it gives the small ones back.
        let bytes = range.end - range.start;
        let admitted = Admission::ask(bytes, None).map_err(|limit| (limit, 0));
        let done = admitted
            .and_then(|_admission| mapping.collapse(range.start, bytes).map_err(|errno| (Limit::NodeMemory, errno)));
        first = first.and(done);
    }
    first
}

/// Whole huge pages within the mapping that hold something small and nothing bare, neighbours together.
fn ranges_to_collapse(extents: &[Extent], bare: &[Range<u64>], huge: u64, start: u64, bytes: u64) -> Vec<Range<u64>> {
    /// Collapsed at once, between two looks at the headroom.
    const MOST: u64 = 32 << 20;
    let (first, last) = (start.next_multiple_of(huge), (start + bytes) / huge * huge);
    let is_bare = |from: u64, to: u64| bare.iter().any(|part| part.start < to && part.end > from);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for extent in extents.iter().filter(|extent| !extent.huge) {
        let (mut from, to) = ((extent.start / huge * huge).max(first), extent.end.next_multiple_of(huge).min(last));
        while from < to {
            let end = from + huge;
            match ranges.last_mut() {
                _ if is_bare(from, end) => {}
                Some(range) if range.end >= end => {}
                Some(range) if range.end == from && range.end - range.start < MOST => range.end = end,
                _ => ranges.push(from..end),
            }
            from = end;
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUGE: u64 = 2 << 20;

    #[test]
    fn only_huge_pages_with_something_small_in_them_are_put_together() {
        let extent = |start: u64, end: u64, huge| Extent { start: start * 4096, end: end * 4096, huge };
        let extents = [extent(512, 1024, true), extent(1030, 1031, false), extent(1500, 1600, false)];
        assert!(ranges_to_collapse(&extents, &[], HUGE, HUGE, 8 * HUGE).iter().eq([&(2 * HUGE..4 * HUGE)]));
        let across = [extent(1, 2000, false)];
        assert!(ranges_to_collapse(&across, &[], HUGE, 4096, 3 * HUGE).iter().eq([&(HUGE..3 * HUGE)]));
        assert_eq!(ranges_to_collapse(&across, &[], HUGE, 4096, HUGE), []);
    }

    #[test]
    fn a_huge_page_of_which_a_part_was_given_back_stays_apart() {
        let extent = |start: u64, end: u64| Extent { start: start * HUGE, end: end * HUGE, huge: false };
        let bare = [2 * HUGE + 4096..2 * HUGE + 8192, 4 * HUGE - 4096..4 * HUGE];
        let extents = [extent(0, 6)];
        assert_eq!(ranges_to_collapse(&extents, &bare, HUGE, 0, 6 * HUGE), [0..2 * HUGE, 4 * HUGE..6 * HUGE]);
    }
}
