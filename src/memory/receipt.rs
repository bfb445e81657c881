//! What a chunk was asked to be, what it got, and why: the two sides of its mapping.

use super::pages::{Mapping, Options, Steps};
use super::placing::PlacedBy;
use super::policy::{NodeMask, NodePolicy, Pages};
use super::residency::{self, Residency};
use super::source::PageSource;
use super::{round_up, system};
use std::fmt;

#[derive(Clone, Debug)]
pub struct Receipt {
    pub asked: PageSource,
    pub asked_bytes: u64,
    pub got_pages: Pages,
    pub got_nodes: NodePolicy,
    pub placed_by: PlacedBy,
    /// The nodes that the policy stood for.
    pub node_set: NodeMask,
    pub got_options: Options,
    pub page_bytes: u64,
    pub address: u64,
    pub mapped_bytes: u64,
    pub found: Residency,
    pub steps: Steps,
}

impl Receipt {
    /// Asks the kernel anew.
    pub fn of(mapping: &Mapping) -> Self {
        let found = residency::measure(mapping);
        // Transparent pages that came without a single huge one are base pages, whatever was advised.
        let none_huge = found.resident_bytes > 0 && found.huge_bytes == 0 && found.pages_by != residency::Method::Not;
        let got_pages = if mapping.pages == Pages::Transparent && none_huge { Pages::Base } else { mapping.pages };
        Self {
            asked: mapping.asked,
            asked_bytes: mapping.asked_bytes,
            got_pages,
            got_nodes: mapping.nodes,
            placed_by: mapping.placed_by,
            node_set: mapping.node_set(),
            got_options: mapping.options,
            page_bytes: if got_pages == mapping.pages { mapping.page_bytes } else { system::base_page_bytes() },
            address: mapping.address() as u64,
            mapped_bytes: mapping.bytes,
            found,
            steps: mapping.steps,
        }
    }
}

impl Receipt {
    /// Of memory that the host lent, and for which nothing was asked. Pages that it shares with other memory count.
    pub fn of_adopted(address: u64, bytes: u64) -> Self {
        let page_bytes = system::base_page_bytes();
        let end = round_up(address + bytes, page_bytes).unwrap_or(u64::MAX);
        let found = residency::measure_range(address & !(page_bytes - 1), end, Pages::Base, page_bytes);
        Self {
            asked: PageSource { pages: Pages::Base, ..PageSource::default() },
            asked_bytes: bytes,
            got_pages: if found.huge_bytes > 0 { Pages::Transparent } else { Pages::Base },
            got_nodes: NodePolicy::Any,
            placed_by: PlacedBy::Kernel,
            node_set: NodeMask::EMPTY,
            got_options: Options::default(),
            page_bytes,
            address,
            mapped_bytes: bytes,
            found,
            steps: Steps::default(),
        }
    }
}

/// Receipts as a table for people, one chunk a line, and below a line why it is less than asked.
pub struct Table<'a>(pub &'a [Receipt]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:>5}  {:<12} {:<12} {:>10} {:>10} {:>10}  {:<11} {:<11} nodes",
            "chunk", "asked", "got", "mapped", "resident", "huge", "asked node", "got node"
        )?;
        for (index, receipt) in self.0.iter().enumerate() {
            let found = &receipt.found;
            write!(
                formatter,
                "{index:>5}  {:<12} {:<12} {:>10} {:>10} {:>10}  {:<11} {:<11} ",
                receipt.asked.pages,
                receipt.got_pages,
                Bytes(receipt.mapped_bytes).to_string(),
                Bytes(found.resident_bytes).to_string(),
                Bytes(found.huge_bytes).to_string(),
                receipt.asked.nodes,
                receipt.got_nodes,
            )?;
            for (node, bytes) in &found.nodes {
                write!(formatter, "{node}:{} ", Bytes(*bytes))?;
            }
            writeln!(formatter, "(by {}, {})", found.pages_by.name(), found.nodes_by.name())?;
            if receipt.placed_by == PlacedBy::FirstTouch {
                writeln!(formatter, "       placed by {}", receipt.placed_by.name())?;
            }
            let mut words = receipt.got_options.names().peekable();
            if words.peek().is_some() {
                writeln!(formatter, "       {}", words.collect::<Vec<_>>().join(", "))?;
            }
            for step in receipt.steps.as_slice() {
                write!(formatter, "       not {}: {}", step.tried, step.limit.words())?;
                match step.errno {
                    0 => writeln!(formatter)?,
                    errno => writeln!(formatter, " [errno {errno}]")?,
                }
            }
        }
        Ok(())
    }
}

/// Bytes in the largest unit that divides them.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 30 && bytes.is_multiple_of(1 << 30) => write!(formatter, "{} GiB", bytes >> 30),
            bytes if bytes >= 1 << 20 && bytes.is_multiple_of(1 << 20) => write!(formatter, "{} MiB", bytes >> 20),
            bytes if bytes.is_multiple_of(1 << 10) => write!(formatter, "{} KiB", bytes >> 10),
            bytes => write!(formatter, "{bytes} B"),
        }
    }
}
