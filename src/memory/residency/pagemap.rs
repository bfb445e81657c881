//! /proc/self/pagemap: page by page what is there, on kernels without PAGEMAP_SCAN (Linux 6.7). Whether a page is part of a
//! huge one only /proc/kpageflags tells, by the page's number, which only a privileged process learns; without that it is
//! known where the mappings around have no huge page at all.

use super::{Extent, lists};
use crate::memory::kernel;
use crate::memory::system::{self, Errno};
use std::fs::File;
use std::os::unix::fs::FileExt;

const PRESENT: u64 = 1 << 63;
const NUMBER: u64 = (1 << 55) - 1;
/// Of /proc/kpageflags.
const EXPLICIT_HUGE: u64 = 1 << 17;
const TRANSPARENT_HUGE: u64 = 1 << 22;
const ZERO_PAGE: u64 = 1 << 24;
/// Entries that are read at once.
const MOST: usize = 512;

/// What is there, and what of it is huge. EPERM where the latter is not told.
pub fn extents(start: u64, end: u64) -> Result<Vec<Extent>, Errno> {
    let flags = File::open("/proc/kpageflags").map_err(|_| libc::EPERM)?;
    let page_bytes = system::base_page_bytes();
    let huge_bytes = kernel::transparent_page_bytes().unwrap_or(2 << 20);
    let mut extents = Vec::new();
    let mut known_huge = None;
    let mut hidden = false;
    each_page(start, end, |at, entry| {
        let number = entry & NUMBER;
        hidden |= number == 0;
        // The numbers of a huge page follow one another as its addresses do, so one look tells of all its pages.
        let first = number.wrapping_sub(at % huge_bytes / page_bytes);
        let told = match known_huge {
            Some((place, known, told)) if place == at / huge_bytes && known == first => told,
            _ => flags_of(&flags, number),
        };
        let huge = told & (EXPLICIT_HUGE | TRANSPARENT_HUGE) != 0;
        known_huge = huge.then_some((at / huge_bytes, first, told));
        if told & ZERO_PAGE == 0 {
            append(&mut extents, Extent { start: at, end: at + page_bytes, huge });
        }
    })?;
    if hidden { Err(libc::EPERM) } else { Ok(extents) }
}

/// What is there; of nothing it is said that it is huge.
pub fn present(start: u64, end: u64) -> Result<Vec<Extent>, Errno> {
    let page_bytes = system::base_page_bytes();
    let mut extents = Vec::new();
    each_page(start, end, |at, _| append(&mut extents, Extent { start: at, end: at + page_bytes, huge: false }))?;
    Ok(extents)
}

/// The same where the mappings around have no huge page at all.
pub fn extents_by_neighbours(start: u64, end: u64) -> Result<Vec<Extent>, Errno> {
    match lists::huge_bytes_around(start, end) {
        Some(0) => present(start, end),
        _ => Err(libc::EPERM),
    }
}

fn flags_of(flags: &File, number: u64) -> u64 {
    let mut entry = [0; 8];
    // A page of an unknown kind is one of the usual kind.
    flags.read_exact_at(&mut entry, number * 8).map_or(0, |()| u64::from_ne_bytes(entry))
}

fn append(extents: &mut Vec<Extent>, next: Extent) {
    match extents.last_mut() {
        Some(last) if last.end == next.start && last.huge == next.huge => last.end = next.end,
        _ => extents.push(next),
    }
}

/// Tells every page of the range that is there, with its entry.
fn each_page(start: u64, end: u64, mut each: impl FnMut(u64, u64)) -> Result<(), Errno> {
    let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    let pagemap = File::open("/proc/self/pagemap").map_err(errno)?;
    let page_bytes = system::base_page_bytes();
    let mut entries = [0; MOST * 8];
    for first in (start..end).step_by(MOST * page_bytes as usize) {
        let count = ((end - first).div_ceil(page_bytes) as usize).min(MOST);
        let entries = &mut entries[..count * 8];
        pagemap.read_exact_at(entries, first / page_bytes * 8).map_err(errno)?;
        for (entry, at) in entries.chunks_exact(8).zip((first..).step_by(page_bytes as usize)) {
            let entry = entry.try_into().map_or(0, u64::from_ne_bytes);
            if entry & PRESENT != 0 {
                each(at, entry);
            }
        }
    }
    Ok(())
}
