//! What a mapping really got: which pages are present, how many of them are huge, and on which nodes they are. Always
//! asked of the kernel, never of our own books: page by page by PAGEMAP_SCAN, on older kernels of its [`lists`] of mappings
//! or of its map of pages, [`pagemap`].

mod lists;
mod pagemap;

use super::pages::Mapping;
use super::placement::Placement;
use super::policy::{NodeMask, Pages};
use super::steps::Limit;
use super::system::{self, Errno, PAGE_IS_HUGE, PAGE_IS_ZERO_PAGE, PageRegion};
use std::fs;
use std::os::fd::AsRawFd;
use std::sync::OnceLock;

/// How something was found out. The numbers are those of OSTLER_VERIFIED_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Method {
    #[default]
    Not = 0,
    PagemapScan = 1,
    Smaps = 2,
    MovePages = 3,
    NumaMaps = 4,
    Pagemap = 5,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Not => "not",
            Method::PagemapScan => "PAGEMAP_SCAN",
            Method::Smaps => "smaps",
            Method::MovePages => "move_pages",
            Method::NumaMaps => "numa_maps",
            Method::Pagemap => "pagemap",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Residency {
    pub resident_bytes: u64,
    /// Resident in huge pages, transparent or explicit.
    pub huge_bytes: u64,
    pub pages_by: Method,
    /// Nodes with their bytes, lowest node first.
    pub nodes: Vec<(u32, u64)>,
    pub nodes_by: Method,
    /// Why it was found out in no way, where it was not.
    pub errno: Errno,
}

impl Residency {
    fn note_pages(&mut self, (resident_bytes, huge_bytes): (u64, u64), method: Method) {
        (self.resident_bytes, self.huge_bytes, self.pages_by) = (resident_bytes, huge_bytes, method);
    }

    /// Whether any of it is on other nodes.
    pub fn is_astray(&self, nodes: &NodeMask) -> bool {
        self.nodes.iter().any(|(node, bytes)| *bytes > 0 && !nodes.has(*node))
    }

    /// What is wrong with memory of which every page should be where a placement says, when nobody but the kernel's own
    /// word is believed.
    pub fn why_not_as(&self, placement: &Placement, bytes: u64, page_bytes: u64) -> Option<Limit> {
        let told: u64 = self.nodes.iter().map(|(_, bytes)| bytes).sum();
        let least = bytes / page_bytes / u64::from(placement.nodes().count().max(1)) * page_bytes;
        let is_uneven = |node| self.nodes.iter().find(|(found, _)| *found == node).is_none_or(|(_, has)| *has < least);
        if self.nodes_by == Method::Not || told < bytes {
            Some(Limit::NotVerified)
        } else if self.is_astray(placement.nodes())
            || (placement.is_interleaved() && least > 0 && placement.nodes().iter().any(is_uneven))
        {
            Some(Limit::NodeMemory)
        } else {
            None
        }
    }
}

/// Present pages that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub start: u64,
    pub end: u64,
    pub huge: bool,
}

impl Extent {
    /// Bytes of one of its pages.
    fn step(&self, huge_step: u64) -> u64 {
        if self.huge { huge_step } else { system::base_page_bytes() }
    }
}

/// Pages whose node is asked one by one; beyond that the totals of numa_maps are quicker.
const MOST_PROBES: u64 = 16 * 1024;

/// Asks the kernel, by the newest way that it knows.
pub fn measure(mapping: &Mapping) -> Residency {
    let start = mapping.address() as u64;
    measure_range(start, start + mapping.bytes, mapping.pages, mapping.page_bytes)
}

/// The same without nodes: of small pages each has to be asked for its own.
pub fn measure_pages(start: u64, end: u64) -> Residency {
    let mut found = Residency::default();
    // What was found stands in it, and where it is does not matter.
    let _ = found.ask_for_pages(start, end);
    found
}

/// The same of any range of whole pages that was mapped in this way.
pub fn measure_range(start: u64, end: u64, pages: Pages, page_bytes: u64) -> Residency {
    let mut found = Residency::default();
    // The page size that a huge extent is made of.
    let huge_step = if pages == Pages::Base { super::kernel::transparent_page_bytes() } else { None };
    let huge_step = huge_step.unwrap_or(page_bytes);
    let extents = found.ask_for_pages(start, end);
    // One by one where they are few, or where no list has them alone.
    let few = extents.as_ref().ok().filter(|extents| probes(extents, huge_step) <= MOST_PROBES);
    let asked = few.map(|extents| by_move_pages(extents, huge_step));
    if let Some(Ok(nodes)) = asked {
        (found.nodes, found.nodes_by) = (nodes, Method::MovePages);
    } else if let Some(nodes) = lists::nodes_of_mapping(start, end) {
        (found.nodes, found.nodes_by) = (nodes, Method::NumaMaps);
    } else {
        let extents = extents.or_else(|_| pagemap::present(start, end));
        match asked.unwrap_or_else(|| by_move_pages(&extents?, huge_step)) {
            Ok(nodes) => (found.nodes, found.nodes_by) = (nodes, Method::MovePages),
            Err(errno) => found.errno = errno,
        }
    }
    found
}

fn sum_of(extents: &[Extent]) -> (u64, u64) {
    let bytes = |extent: &Extent| extent.end - extent.start;
    (extents.iter().map(bytes).sum(), extents.iter().filter(|extent| extent.huge).map(bytes).sum())
}

/// Whether this kernel tells of memory only by whole mappings, and merges neighbours that are alike: then a mapping must
/// be kept apart from them, or nothing can be told of it alone.
pub fn tells_of_whole_mappings_only() -> bool {
    static NAMES: OnceLock<bool> = OnceLock::new();
    !*NAMES.get_or_init(names_mappings) && !tells_of_pages()
}

/// Mappings with different names are never merged.
fn names_mappings() -> bool {
    let bytes = system::base_page_bytes();
    let Ok(page) = system::map_at(None, bytes, 0) else { return false };
    let named = system::name(page.as_ptr(), bytes, c"ostler:probe");
    // SAFETY: the page that was just mapped, which nobody knows.
    let _ = unsafe { system::unmap(page.as_ptr(), bytes) };
    named.is_ok()
}

/// Whether this kernel tells of any page, and its node, by itself.
pub fn tells_of_pages() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    let ask = || {
        let here = 0u8;
        let page_bytes = system::base_page_bytes();
        let start = (&raw const here) as u64 / page_bytes * page_bytes;
        scan(start, start + page_bytes).is_ok_and(|extents| by_move_pages(&extents, page_bytes).is_ok())
    };
    *TELLS.get_or_init(ask)
}

impl Residency {
    fn ask_for_pages(&mut self, start: u64, end: u64) -> Result<Vec<Extent>, Errno> {
        let Ok(extents) = scan(start, end) else { return self.note_pages_by_older_ways(start, end) };
        self.note_pages(sum_of(&extents), Method::PagemapScan);
        Ok(extents)
    }

    /// What is there, before Linux 6.7. The lists tell of all mappings of the process, which takes long where there are many.
    fn note_pages_by_older_ways(&mut self, start: u64, end: u64) -> Result<Vec<Extent>, Errno> {
        /// So little is sooner asked page by page.
        const LITTLE: u64 = 4 << 20;
        let page_by_page = || pagemap::extents(start, end);
        let asked = if end - start <= LITTLE { page_by_page() } else { Err(libc::E2BIG) };
        if asked.is_err()
            && let Some(sums) = lists::pages_of_mapping(start, end)
        {
            self.note_pages(sums, Method::Smaps);
            // A part of a huge page tells its node as well.
            return pagemap::present(start, end);
        }
        let asked = asked.or_else(|_| page_by_page()).or_else(|_| pagemap::extents_by_neighbours(start, end));
        match &asked {
            Ok(extents) => self.note_pages(sum_of(extents), Method::Pagemap),
            Err(errno) => self.errno = *errno,
        }
        asked
    }
}

/// What of a mapping is there, where the kernel tells it page by page.
pub fn extents_of(mapping: &Mapping) -> Result<Vec<Extent>, Errno> {
    let start = mapping.address() as u64;
    scan(start, start + mapping.bytes)
}

/// PAGEMAP_SCAN (Linux 6.7). The page of zeros that unwritten memory shows to readers is not memory that we have.
fn scan(start: u64, end: u64) -> Result<Vec<Extent>, Errno> {
    let pagemap = fs::File::open("/proc/self/pagemap").map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))?;
    let mut extents = Vec::new();
    let mut regions = [PageRegion::default(); 256];
    let mut from = start;
    while from < end {
        let (count, stopped) = system::scan_pages(pagemap.as_raw_fd(), from, end, &mut regions)?;
        let present = regions[..count].iter().filter(|region| region.categories & PAGE_IS_ZERO_PAGE == 0);
        extents.extend(present.map(|region| Extent {
            start: region.start,
            end: region.end,
            huge: region.categories & PAGE_IS_HUGE != 0,
        }));
        if stopped <= from {
            return Err(libc::EIO);
        }
        from = stopped;
    }
    Ok(extents)
}

/// How many pages would be asked for.
fn probes(extents: &[Extent], huge_step: u64) -> u64 {
    extents.iter().map(|extent| (extent.end - extent.start).div_ceil(extent.step(huge_step))).sum()
}

/// Asks move_pages for one address in each page.
fn by_move_pages(extents: &[Extent], huge_step: u64) -> Result<Vec<(u32, u64)>, Errno> {
    let at_once = probes(extents, huge_step).min(MOST_PROBES) as usize;
    let (mut addresses, mut bytes) = (Vec::with_capacity(at_once), Vec::with_capacity(at_once));
    let (mut answers, mut nodes) = (vec![0; at_once], Vec::new());
    let pages = extents.iter().flat_map(|extent| {
        let step = extent.step(huge_step);
        (extent.start..extent.end).step_by(step as usize).map(move |at| (at, step.min(extent.end - at)))
    });
    let mut pages = pages.peekable();
    while pages.peek().is_some() {
        addresses.clear();
        bytes.clear();
        for (at, page_bytes) in pages.by_ref().take(at_once) {
            addresses.push(at as *const u8);
            bytes.push(page_bytes);
        }
        let answers = &mut answers[..addresses.len()];
        system::nodes_of_pages(&addresses, answers)?;
        for (node, bytes) in answers.iter().zip(&bytes) {
            // A page that went away since the scan has a negative errno for a node.
            if let Ok(node) = u32::try_from(*node) {
                add(&mut nodes, node, *bytes);
            }
        }
    }
    Ok(nodes)
}

fn add(nodes: &mut Vec<(u32, u64)>, node: u32, bytes: u64) {
    match nodes.binary_search_by_key(&node, |(node, _)| *node) {
        Ok(place) => nodes[place].1 += bytes,
        Err(place) => nodes.insert(place, (node, bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::pages::Request;
    use super::super::source::PageSource;
    use super::*;

    fn mapping(bytes: u64, pages: Pages, prefault: bool) -> Mapping {
        // Guards keep it a mapping of its own.
        let request = Request {
            bytes,
            at_most: u64::MAX,
            source: PageSource { pages, prefault, guard: true, ..PageSource::default() },
            account: &super::super::testing::ACCOUNT,
            name: "residency",
        };
        Mapping::new(&request).expect("memory")
    }

    /// Each way to ask must tell the same of the same mapping.
    #[test]
    fn the_older_ways_tell_the_same_as_the_newer() {
        let _quiet = super::super::testing::quiet();
        for pages in [Pages::Base, Pages::Transparent] {
            let mapping = mapping(8 << 20, pages, false);
            // SAFETY: the range was just mapped.
            unsafe {
                mapping.address().write(1);
                mapping.address().add(3 << 20).write(1);
                // Between two looks khugepaged must not change it.
                system::advise(mapping.address(), mapping.bytes, libc::MADV_NOHUGEPAGE).expect("advice");
            }
            let (start, end) = (mapping.address() as u64, mapping.address() as u64 + mapping.bytes);
            let found = measure(&mapping);
            assert_eq!((found.pages_by, found.nodes_by), (Method::PagemapScan, Method::MovePages));
            assert!(found.resident_bytes >= 8192 && found.resident_bytes < mapping.bytes, "{found:?}");
            let sums = (found.resident_bytes, found.huge_bytes);
            assert_eq!(lists::pages_of_mapping(start, end), Some(sums), "{found:?}");
            assert_eq!(lists::nodes_of_mapping(start, end).as_ref(), Some(&found.nodes));
            // Of the numbers of pages only a privileged process is told.
            match pagemap::extents(start, end) {
                Ok(extents) => assert_eq!(sum_of(&extents), sums),
                Err(errno) => assert_eq!(errno, libc::EPERM),
            }
            let present = pagemap::present(start, end).expect("pagemap");
            assert_eq!(sum_of(&present).0, found.resident_bytes);
            assert_eq!(by_move_pages(&present, 4096), Ok(found.nodes));
        }
    }

    #[test]
    fn many_small_pages_are_counted_by_totals() {
        let _quiet = super::super::testing::quiet();
        let mapping = mapping((MOST_PROBES + 1) * system::base_page_bytes(), Pages::Base, true);
        let found = measure(&mapping);
        assert_eq!((found.resident_bytes, found.huge_bytes), (mapping.bytes, 0));
        assert_eq!(found.nodes_by, Method::NumaMaps);
        assert_eq!(found.nodes.iter().map(|(_, bytes)| bytes).sum::<u64>(), mapping.bytes);
    }
}
