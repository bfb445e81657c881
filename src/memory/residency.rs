//! What a mapping really got: which pages are present, how many of them are huge, and on which nodes they are. Always
//! asked of the kernel, never of our own books.

use super::pages::Mapping;
use super::policy::Pages;
use super::system::{self, Errno, PAGE_IS_HUGE, PAGE_IS_ZERO_PAGE, PageRegion};
use std::fs;
use std::os::fd::AsRawFd;

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
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Not => "not",
            Method::PagemapScan => "PAGEMAP_SCAN",
            Method::Smaps => "smaps",
            Method::MovePages => "move_pages",
            Method::NumaMaps => "numa_maps",
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
}

/// Present pages that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub start: u64,
    pub end: u64,
    pub huge: bool,
}

/// Pages whose node is asked one by one; beyond that the totals of numa_maps are quicker.
const MOST_PROBES: usize = 16 * 1024;

/// Asks the kernel, by the newest way that it knows.
pub fn measure(mapping: &Mapping) -> Residency {
    let start = mapping.address() as u64;
    measure_range(start, start + mapping.bytes, mapping.pages, mapping.page_bytes)
}

/// The same of any range of whole pages that was mapped in this way.
pub fn measure_range(start: u64, end: u64, pages: Pages, page_bytes: u64) -> Residency {
    let mut found = Residency::default();
    // The page size that a huge extent is made of.
    let huge_step = if pages == Pages::Base { super::kernel::transparent_page_bytes() } else { None };
    let huge_step = huge_step.unwrap_or(page_bytes);
    let mut nodes = None;
    match scan(start, end) {
        Ok(extents) => {
            found.resident_bytes = extents.iter().map(|extent| extent.end - extent.start).sum();
            found.huge_bytes = extents.iter().filter(|e| e.huge).map(|extent| extent.end - extent.start).sum();
            found.pages_by = Method::PagemapScan;
            nodes = by_move_pages(&extents, huge_step);
        }
        Err(_) => {
            if let Some((resident, huge)) =
                fs::read_to_string("/proc/self/smaps").ok().and_then(|t| smaps(&t, start, end))
            {
                (found.resident_bytes, found.huge_bytes, found.pages_by) = (resident, huge, Method::Smaps);
            }
        }
    }
    if let Some(nodes) = nodes {
        (found.nodes, found.nodes_by) = (nodes, Method::MovePages);
    } else if let Some(nodes) = fs::read_to_string("/proc/self/numa_maps").ok().and_then(|t| numa_maps(&t, start, end))
    {
        (found.nodes, found.nodes_by) = (nodes, Method::NumaMaps);
    }
    found
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

/// Asks move_pages for one address in each page. `None` when that is refused, or too many to ask.
fn by_move_pages(extents: &[Extent], huge_step: u64) -> Option<Vec<(u32, u64)>> {
    let step = |extent: &Extent| if extent.huge { huge_step } else { system::base_page_bytes() };
    let probes: u64 = extents.iter().map(|extent| (extent.end - extent.start).div_ceil(step(extent))).sum();
    if probes > MOST_PROBES as u64 {
        return None;
    }
    let mut addresses = Vec::with_capacity(probes as usize);
    let mut bytes = Vec::with_capacity(probes as usize);
    for extent in extents {
        for at in (extent.start..extent.end).step_by(step(extent) as usize) {
            addresses.push(at as *const u8);
            bytes.push(step(extent).min(extent.end - at));
        }
    }
    let mut answers = vec![0; addresses.len()];
    if !addresses.is_empty() {
        system::nodes_of_pages(&addresses, &mut answers).ok()?;
    }
    let mut nodes = Vec::new();
    for (node, bytes) in answers.into_iter().zip(bytes) {
        // A page that went away since the scan has a negative errno for a node.
        if let Ok(node) = u32::try_from(node) {
            add(&mut nodes, node, bytes);
        }
    }
    Some(nodes)
}

fn add(nodes: &mut Vec<(u32, u64)>, node: u32, bytes: u64) {
    match nodes.binary_search_by_key(&node, |(node, _)| *node) {
        Ok(place) => nodes[place].1 += bytes,
        Err(place) => nodes.insert(place, (node, bytes)),
    }
}

/// Resident and huge bytes of the mapping at exactly this range. When the kernel merged it with a neighbour, nothing
/// can be said of it alone.
fn smaps(text: &str, start: u64, end: u64) -> Option<(u64, u64)> {
    let mut lines = text.lines().skip_while(|line| range(line) != Some((start, end)));
    lines.next()?;
    let (mut resident, mut huge) = (0, 0);
    for line in lines.take_while(|line| range(line).is_none()) {
        let Some((field, value)) = line.split_once(':') else { continue };
        let kilobytes: u64 = value.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
        match field {
            "Rss" => resident += kilobytes * 1024,
            "AnonHugePages" => huge += kilobytes * 1024,
            // Explicit huge pages are in no Rss.
            "Private_Hugetlb" | "Shared_Hugetlb" => {
                resident += kilobytes * 1024;
                huge += kilobytes * 1024;
            }
            _ => {}
        }
    }
    Some((resident, huge))
}

/// The addresses in the first line of a mapping, such as `7f00-7f10 rw-p 0 00:00 0 [anon:x]`.
fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_ascii_whitespace().next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

/// Bytes on each node, from a line such as `7f00 default anon=2 dirty=2 N0=2 kernelpagesize_kB=4`. It names no end,
/// so the mapping must be followed by another, or it may have been merged with a neighbour.
fn numa_maps(text: &str, start: u64, end: u64) -> Option<Vec<(u32, u64)>> {
    let address = |line: &str| u64::from_str_radix(line.split_ascii_whitespace().next()?, 16).ok();
    let mut lines = text.lines().skip_while(|line| address(line) != Some(start));
    let line = lines.next()?;
    if lines.next().and_then(address).is_some_and(|next| next < end) {
        return None;
    }
    let field = |word: &str, name: &str| word.strip_prefix(name)?.parse::<u64>().ok();
    let page_bytes = line.split_ascii_whitespace().find_map(|word| field(word, "kernelpagesize_kB="))? * 1024;
    let mut nodes = Vec::new();
    for word in line.split_ascii_whitespace() {
        let counted = word.strip_prefix('N').and_then(|rest| rest.split_once('='));
        if let Some((node, pages)) = counted
            && let (Ok(node), Ok(pages)) = (node.parse(), pages.parse::<u64>())
        {
            add(&mut nodes, node, pages * page_bytes);
        }
    }
    let total: u64 = nodes.iter().map(|(_, bytes)| bytes).sum();
    (total <= end - start).then_some(nodes)
}

#[cfg(test)]
mod tests {
    use super::super::pages::Request;
    use super::super::source::PageSource;
    use super::*;

    fn mapping(bytes: u64, pages: Pages, prefault: bool) -> Mapping {
        let request = Request {
            bytes,
            at_most: u64::MAX,
            source: PageSource { pages, prefault, ..PageSource::default() },
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
            }
            let (start, end) = (mapping.address() as u64, mapping.address() as u64 + mapping.bytes);
            let found = measure(&mapping);
            assert_eq!((found.pages_by, found.nodes_by), (Method::PagemapScan, Method::MovePages));
            assert!(found.resident_bytes >= 8192 && found.resident_bytes < mapping.bytes, "{found:?}");
            let text = fs::read_to_string("/proc/self/smaps").unwrap();
            assert_eq!(smaps(&text, start, end), Some((found.resident_bytes, found.huge_bytes)), "{found:?}");
            let text = fs::read_to_string("/proc/self/numa_maps").unwrap();
            assert_eq!(numa_maps(&text, start, end).as_ref(), Some(&found.nodes));
        }
    }

    #[test]
    fn many_small_pages_are_counted_by_totals() {
        let _quiet = super::super::testing::quiet();
        let mapping = mapping((MOST_PROBES as u64 + 1) * system::base_page_bytes(), Pages::Base, true);
        let found = measure(&mapping);
        assert_eq!((found.resident_bytes, found.huge_bytes), (mapping.bytes, 0));
        assert_eq!(found.nodes_by, Method::NumaMaps);
        assert_eq!(found.nodes.iter().map(|(_, bytes)| bytes).sum::<u64>(), mapping.bytes);
    }

    #[test]
    fn a_merged_mapping_is_not_guessed_at() {
        let text = "1000-5000 rw-p 0 00:00 0\nRss: 16 kB\n";
        assert_eq!(smaps(text, 0x1000, 0x3000), None);
        assert_eq!(numa_maps("1000 default anon=4 N0=4 kernelpagesize_kB=4\n", 0x1000, 0x3000), None);
        assert_eq!(
            numa_maps("1000 bind:0-1 anon=3 N0=1 N1=2 kernelpagesize_kB=4\n", 0x1000, 0x5000),
            Some(vec![(0, 4096), (1, 8192)])
        );
    }

    #[test]
    fn explicit_huge_pages_are_resident_though_in_no_rss() {
        let text = "200000-400000 rw-p 0 00:0f 9 /anon_hugepage (deleted)\nRss: 0 kB\nAnonHugePages: 0 kB\n\
                    Private_Hugetlb: 2048 kB\n400000-401000 r--p 0 00:00 0\nRss: 4 kB\n";
        assert_eq!(smaps(text, 0x20_0000, 0x40_0000), Some((2 << 20, 2 << 20)));
    }
}
