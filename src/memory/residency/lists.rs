//! The kernel's lists of this process's mappings: smaps tells how much of each is there and huge, numa_maps on which nodes
//! it is. They tell of whole mappings only, and the kernel merges neighbours that are alike.

use super::add;
use std::fs;

/// Resident and huge bytes of the mappings that fill exactly this range; `None` when one of them reaches beyond it.
pub fn pages_of_mapping(start: u64, end: u64) -> Option<(u64, u64)> {
    smaps(&fs::read_to_string("/proc/self/smaps").ok()?, start, end)
}

/// Huge bytes of all mappings that have a part of the range.
pub fn huge_bytes_around(start: u64, end: u64) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/smaps").ok()?;
    let (first, last) = around(&text, start, end)?;
    smaps(&text, first, last).map(|(_, huge)| huge)
}

fn around(text: &str, start: u64, end: u64) -> Option<(u64, u64)> {
    let touching = || text.lines().filter_map(range).filter(|(from, to)| *to > start && *from < end);
    Some((touching().next()?.0, touching().next_back()?.1))
}

/// Bytes on each node, of the mappings that fill exactly this range.
pub fn nodes_of_mapping(start: u64, end: u64) -> Option<Vec<(u32, u64)>> {
    // numa_maps names no ends, and a neighbour may be merged with it, or leave it, at any time.
    let mappings = || mappings(&fs::read_to_string("/proc/self/maps").ok()?, start, end);
    let before = mappings()?;
    let nodes = numa_maps(&fs::read_to_string("/proc/self/numa_maps").ok()?, &before);
    if mappings()? == before { nodes } else { None }
}

/// Where the mappings begin that fill exactly this range.
fn mappings(text: &str, start: u64, end: u64) -> Option<Vec<u64>> {
    let mut at = start;
    let mut starts = Vec::new();
    for (from, to) in text.lines().filter_map(range).filter(|(from, to)| *to > start && *from < end) {
        if from != at || to > end {
            return None;
        }
        starts.push(from);
        at = to;
    }
    (at == end).then_some(starts)
}

fn smaps(text: &str, start: u64, end: u64) -> Option<(u64, u64)> {
    let starts = mappings(text, start, end)?;
    let (mut resident, mut huge, mut is_inside) = (0, 0, false);
    for line in text.lines() {
        if let Some((from, _)) = range(line) {
            is_inside = starts.contains(&from);
        }
        let Some((field, value)) = line.split_once(':').filter(|_| is_inside) else { continue };
        let kilobytes: u64 = value.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
        match field {
            "Rss" => resident += kilobytes * 1024,
            "AnonHugePages" | "ShmemPmdMapped" => huge += kilobytes * 1024,
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

/// Of the mappings that begin there, from lines such as `7f00 default anon=2 dirty=2 N0=2 kernelpagesize_kB=4`.
fn numa_maps(text: &str, starts: &[u64]) -> Option<Vec<(u32, u64)>> {
    let address = |line: &str| u64::from_str_radix(line.split_ascii_whitespace().next()?, 16).ok();
    let field = |word: &str, name: &str| word.strip_prefix(name)?.parse::<u64>().ok();
    let (mut nodes, mut seen) = (Vec::new(), 0);
    for line in text.lines().filter(|line| address(line).is_some_and(|address| starts.contains(&address))) {
        seen += 1;
        let words = || line.split_ascii_whitespace();
        // A mapping without a page has no size of pages.
        let page_bytes = words().find_map(|word| field(word, "kernelpagesize_kB=")).unwrap_or(0) * 1024;
        for word in words() {
            let counted = word.strip_prefix('N').and_then(|rest| rest.split_once('='));
            if let Some((node, pages)) = counted
                && let (Ok(node), Ok(pages)) = (node.parse(), pages.parse::<u64>())
            {
                add(&mut nodes, node, pages * page_bytes);
            }
        }
    }
    (seen == starts.len()).then_some(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merged_mapping_is_not_guessed_at() {
        let text = "1000-5000 rw-p 0 00:00 0\nRss: 16 kB\n";
        for (start, end) in [(0x1000, 0x3000), (0x2000, 0x5000), (0x2000, 0x3000), (0x1000, 0x6000), (0x6000, 0x7000)] {
            assert_eq!(smaps(text, start, end), None);
        }
        assert_eq!(smaps(text, 0x1000, 0x5000), Some((16384, 0)));
    }

    #[test]
    fn parts_of_a_mapping_that_the_kernel_split_are_added_up() {
        let text = "1000-3000 rw-p 0 00:00 0\nRss: 8 kB\n3000-5000 rw-p 0 00:00 0\nRss: 4 kB\n5000-6000 rw-p 0 0 0\nRss: 4 kB\n";
        assert_eq!(smaps(text, 0x1000, 0x5000), Some((12288, 0)));
        assert_eq!(mappings(text, 0x1000, 0x5000), Some(vec![0x1000, 0x3000]));
        let text =
            "1000 bind:0-1 anon=3 N0=1 N1=1 kernelpagesize_kB=4\n3000 default\n5000 default N0=1 kernelpagesize_kB=4\n";
        assert_eq!(numa_maps(text, &[0x1000, 0x3000]), Some(vec![(0, 4096), (1, 4096)]));
        assert_eq!(numa_maps(text, &[0x1000, 0x4000]), None);
    }

    #[test]
    fn explicit_huge_pages_are_resident_though_in_no_rss() {
        let text = "200000-400000 rw-p 0 00:0f 9 /anon_hugepage (deleted)\nRss: 0 kB\nAnonHugePages: 0 kB\n\
                    Private_Hugetlb: 2048 kB\n400000-401000 r--p 0 00:00 0\nRss: 4 kB\n";
        assert_eq!(smaps(text, 0x20_0000, 0x40_0000), Some((2 << 20, 2 << 20)));
    }
}
