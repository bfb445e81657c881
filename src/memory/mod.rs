//! Memory: where it comes from, on which pages and nodes, and how it is handed out.
//!
//! From the kernel upwards: [`system`] makes the calls, [`kernel`] and [`cgroup`] read what the kernel tells,
//! [`headroom`] says whether a request would end in an out-of-memory kill. A [`policy`] names sizes and nodes;
//! [`planning`] computes what it stands for on any machine, [`this_machine`] describes the one that runs, a [`placement`]
//! is that for the kernel, [`placing`] tells it, and a [`crew`] of threads brings the pages in. [`pages`] climbs down the ladder of page sizes and records in [`steps`] why, [`residency`] asks what
//! was really got and [`receipt`] puts both side by side; [`sanitizers`] tells the tools that watch the host's memory. A
//! [`source`] is what an object asks for, and the [`governor`] counts what it holds. An [`arena`] hands memory out piece
//! by piece and takes it back all at once, and a [`segment`] does so for several processes; what a thread keeps of an
//! object is one of its [`lanes`]. A [`stretch`] holds structs that the host's code uses inline. A [`file`] is read in
//! memory. An [`advice`] tells beforehand what could be had, an [`inspection`] of an object what became of it, of which
//! [`coverage`] has the numbers. [`topology`] describes the machine, [`nodes`] where on it a thread runs.
//!
//! What is built on these: [`buffers`] are leased one by one and viewed without a copy; a [`slab`] gives out slots
//! of one size, one by one; a [`lazy`] value is loaded when it is needed, and dropped when memory runs short.

pub mod advice;
pub mod arena;
pub mod buffers;
pub mod cgroup;
pub mod coverage;
pub mod crew;
pub mod file;
pub mod governor;
pub mod headroom;
pub mod heap;
pub mod inspection;
pub mod kernel;
pub mod lanes;
pub mod lazy;
pub mod nodes;
pub mod pages;
pub mod placement;
pub mod placing;
pub mod planning;
pub mod policy;
pub mod receipt;
pub mod residency;
pub mod sanitizers;
pub mod segment;
pub mod slab;
pub mod source;
pub mod steps;
pub mod stretch;
pub mod system;
pub mod this_machine;
pub mod topology;

/// The smallest multiple of `unit` (a power of two) that is at least `value`; `None` when there is none.
pub(crate) fn round_up(value: u64, unit: u64) -> Option<u64> {
    Some(value.checked_add(unit - 1)? & !(unit - 1))
}

#[cfg(test)]
pub(crate) mod testing;
