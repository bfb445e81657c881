//! What the kernel tells in /sys and /proc about pages, nodes and free memory. Read anew each time.

use super::policy::NodeMask;
use super::system;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// A pool of huge pages of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugePool {
    pub total: u64,
    pub free: u64,
    /// Promised to mappings that have not touched them yet; counted in `free` as well.
    pub reserved: u64,
}

impl HugePool {
    /// Pages that a new mapping can still be promised.
    pub fn unpromised(self) -> u64 {
        self.free.saturating_sub(self.reserved)
    }
}

/// Memory of a node or of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    pub free: u64,
    /// Free, or free as soon as it is wanted: file pages that nobody writes to.
    pub available: u64,
}

pub(super) fn read_number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A file of the kernel's that is read again and again. It is opened once, and reading it needs no memory.
pub(super) struct Reread {
    path: PathBuf,
    file: Option<File>,
}

impl Reread {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), file: None }
    }

    /// What the file says now, cut to the buffer's size. One that is gone is looked for again the next time.
    pub fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a str> {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let read = self.file.as_ref()?.read_at(buffer, 0);
        if read.is_err() {
            self.file = None;
        }
        let text = buffer.get(..read.ok()?)?;
        Some(match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(text.get(..error.valid_up_to())?).unwrap_or_default(),
        })
    }

    pub fn number(&mut self) -> Option<u64> {
        self.read(&mut [0; 64])?.trim().parse().ok()
    }
}

/// Sizes of huge pages that this kernel can map, smallest first.
pub fn huge_page_sizes() -> Vec<u64> {
    let entries = fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
    let mut sizes: Vec<u64> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let kilobytes: u64 = name.to_str()?.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
            kilobytes.checked_mul(1024)
        })
        .collect();
    sizes.sort_unstable();
    sizes
}

/// The machine's pool of huge pages of this size; `None` when the kernel does not have that size.
pub fn huge_pool(page_bytes: u64) -> Option<HugePool> {
    pool_in("/sys/kernel/mm", page_bytes)
}

/// A node's part of the pool. Promises are kept for the machine only, so `reserved` is 0.
pub fn huge_pool_of_node(node: u32, page_bytes: u64) -> Option<HugePool> {
    pool_in(&format!("/sys/devices/system/node/node{node}"), page_bytes)
}

/// The file that says how many huge pages a pool shall have: a node's, or the machine's.
pub fn pool_file(node: Option<u32>, page_bytes: u64) -> String {
    let place = match node {
        Some(node) => format!("/sys/devices/system/node/node{node}"),
        None => "/sys/kernel/mm".to_owned(),
    };
    format!("{place}/hugepages/hugepages-{}kB/nr_hugepages", page_bytes / 1024)
}

fn pool_in(place: &str, page_bytes: u64) -> Option<HugePool> {
    let folder = format!("{place}/hugepages/hugepages-{}kB", page_bytes / 1024);
    Some(HugePool {
        total: read_number(&format!("{folder}/nr_hugepages"))?,
        free: read_number(&format!("{folder}/free_hugepages"))?,
        reserved: read_number(&format!("{folder}/resv_hugepages")).unwrap_or(0),
    })
}

/// Memory of one node.
pub fn node_memory(node: u32) -> Option<Memory> {
    node_memory_in(&fs::read_to_string(node_meminfo(node)).ok()?)
}

pub(super) fn node_meminfo(node: u32) -> String {
    format!("/sys/devices/system/node/node{node}/meminfo")
}

/// The same, of the text of the node's meminfo.
pub(super) fn node_memory_in(text: &str) -> Option<Memory> {
    let free = meminfo(text, "MemFree:")?;
    let files = meminfo(text, "Inactive(file):").unwrap_or(0);
    Some(Memory { total: meminfo(text, "MemTotal:")?, free, available: free + files })
}

/// Bytes of this process that are resident; 0 when the kernel does not tell.
pub fn resident_bytes() -> u64 {
    let memory = Reread::new("/proc/self/statm").read(&mut [0; 128]).and_then(process_memory_in);
    memory.map_or(0, |(_, resident)| resident)
}

/// Bytes of address space that this process has mapped; 0 when the kernel does not tell.
pub fn mapped_bytes() -> u64 {
    let memory = Reread::new("/proc/self/statm").read(&mut [0; 128]).and_then(process_memory_in);
    memory.map_or(0, |(mapped, _)| mapped)
}

/// Memory of the machine.
pub fn machine_memory() -> Option<Memory> {
    machine_memory_in(&fs::read_to_string("/proc/meminfo").ok()?)
}

/// The same, of the text of /proc/meminfo.
pub(super) fn machine_memory_in(text: &str) -> Option<Memory> {
    let free = meminfo(text, "MemFree:")?;
    Some(Memory { total: meminfo(text, "MemTotal:")?, free, available: meminfo(text, "MemAvailable:").unwrap_or(free) })
}

/// Bytes of address space that this process has mapped, and those of them that are resident, of the text of
/// /proc/self/statm.
pub(super) fn process_memory_in(text: &str) -> Option<(u64, u64)> {
    let mut pages = text.split_ascii_whitespace().map(|word| word.parse::<u64>().ok());
    let page_bytes = system::base_page_bytes();
    Some((pages.next()??.checked_mul(page_bytes)?, pages.next()??.checked_mul(page_bytes)?))
}

/// The bytes in the line `MemFree:  123 kB`, or `Node 0 MemFree:  123 kB`.
fn meminfo(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.split_ascii_whitespace().any(|word| word == field))?;
    let kilobytes: u64 = line.split_once(field)?.1.trim().trim_end_matches("kB").trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Nodes with memory that this process may use, lowest first. Node 0 when the kernel tells nothing.
pub fn allowed_nodes() -> Vec<u32> {
    let with_memory = fs::read_to_string("/sys/devices/system/node/has_memory").map(|text| number_list(text.trim()));
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Mems_allowed_list:"));
    let mut nodes = allowed.map(|list| number_list(list.trim())).unwrap_or_default();
    if let Ok(with_memory) = with_memory {
        nodes.retain(|node| with_memory.contains(node));
    }
    if nodes.is_empty() {
        nodes.push(0);
    }
    nodes
}

/// Whether all memory is on one node, which hardware does not change.
pub fn is_of_one_node() -> bool {
    static IS_ONE: OnceLock<bool> = OnceLock::new();
    *IS_ONE.get_or_init(|| {
        let nodes = fs::read_to_string("/sys/devices/system/node/has_memory").unwrap_or_default();
        number_list(nodes.trim()).len() <= 1
    })
}

/// The CPUs of a node; empty when it has none, or the kernel tells nothing.
pub fn cpus_of_node(node: u32) -> NodeMask {
    let list = fs::read_to_string(format!("/sys/devices/system/node/node{node}/cpulist")).unwrap_or_default();
    number_list(list.trim()).into_iter().collect()
}

/// From each node to each, as the firmware tells: 10 is the node itself.
pub fn distances() -> BTreeMap<u32, BTreeMap<u32, u32>> {
    let online = fs::read_to_string("/sys/devices/system/node/online").unwrap_or_default();
    let nodes = number_list(online.trim());
    let row = |node: &u32| {
        let text = fs::read_to_string(format!("/sys/devices/system/node/node{node}/distance")).ok()?;
        let distances = text.split_ascii_whitespace().filter_map(|word| word.parse().ok());
        Some((*node, nodes.iter().copied().zip(distances).collect()))
    };
    nodes.iter().filter_map(row).collect()
}

/// The node of a device: its address on the PCI bus (`0000:3b:00.0`), or its class and name (`net/eth0`). Negative when
/// it belongs to none; `None` when there is no such device.
pub fn node_of_device(name: &str) -> Option<i32> {
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains('/');
    let link = match name.split_once('/') {
        Some((class, device)) if is_part(class) && is_part(device) => format!("/sys/class/{class}/{device}"),
        None if is_part(name) => format!("/sys/bus/pci/devices/{name}"),
        _ => return None,
    };
    let device = fs::canonicalize(link).ok()?;
    // What has no node of its own sits on a bus that may have one.
    let above = device.ancestors().take_while(|folder| folder.starts_with("/sys/devices"));
    let node = above.filter_map(|folder| fs::read_to_string(folder.join("numa_node")).ok()).next();
    Some(node.and_then(|text| text.trim().parse().ok()).unwrap_or(-1))
}

/// The numbers of a list such as `0-2,5`.
fn number_list(text: &str) -> Vec<u32> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        })
        .flat_map(|(first, last): (u32, u32)| first..=last)
        .collect()
}

/// Bytes of a transparent huge page; `None` when the kernel has none.
pub fn transparent_page_bytes() -> Option<u64> {
    read_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")
}

/// When the kernel makes huge pages by itself.
pub const TRANSPARENT_PAGES: &str = "/sys/kernel/mm/transparent_hugepage/enabled";

/// Whether the machine, or this process for itself, switched transparent huge pages off.
pub fn transparent_pages_off() -> bool {
    let mode = fs::read_to_string(TRANSPARENT_PAGES).unwrap_or_default();
    mode.contains("[never]") || system::transparent_pages_switched_off()
}

/// Bytes that this process has locked.
pub fn locked_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    meminfo(&status, "VmLck:").unwrap_or(0)
}

/// Whether RLIMIT_MEMLOCK does not hold for this process (CAP_IPC_LOCK).
pub fn may_lock_without_limit() -> bool {
    const IPC_LOCK: u64 = 1 << 14;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).is_some_and(|caps| caps & IPC_LOCK != 0)
}

/// The same for memory that is shared with other processes, which has a switch of its own.
pub fn shared_transparent_pages_off() -> bool {
    let mode = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/shmem_enabled").unwrap_or_default();
    mode.is_empty() || mode.contains("[never]") || mode.contains("[deny]") || system::transparent_pages_switched_off()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_meminfo_are_read_as_the_kernel_writes_them() {
        assert_eq!(number_list("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(number_list("7"), [7]);
        assert_eq!(number_list(""), [0u32; 0]);
        let node = "Node 1 MemTotal:  4096 kB\nNode 1 MemFree:   1024 kB\n";
        assert_eq!(meminfo(node, "MemFree:"), Some(1024 * 1024));
        assert_eq!(meminfo("MemFreeze: 1 kB\nMemFree: 2 kB\n", "MemFree:"), Some(2048));
        assert_eq!(meminfo(node, "Missing:"), None);
    }

    #[test]
    fn this_machine_has_memory_and_an_allowed_node() {
        let memory = machine_memory().expect("/proc/meminfo");
        assert!(memory.total >= memory.available && memory.available > 0);
        let nodes = allowed_nodes();
        assert!(nodes.iter().all(|node| node_memory(*node).is_none_or(|memory| memory.total > 0)));
    }
}
