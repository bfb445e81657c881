//! The source of pages. A chunk climbs down a ladder of page sizes until one is to be had, and keeps a record of each
//! step. Nothing here ends in a signal: huge pages are populated when they are mapped, where the kernel can still
//! answer with an error, and nothing is populated past a limit whose answer would be a kill.

use super::governor::account::Backing;
use super::governor::{Account, Charge, Refused};
use super::headroom::Admission;
use super::policy::{NodePolicy, Pages, Placement};
use super::source::PageSource;
use super::system::{self, Errno};
use super::{cgroup, kernel, residency, round_up, sanitizers};
use parking_lot::Mutex;
use std::ffi::CString;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// What kept a page size or a node from being had. The numbers are those of OSTLER_LIMIT_.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Limit {
    #[default]
    None = 0,
    HugePagePool = 1,
    HugetlbCgroup = 2,
    MemoryCgroup = 3,
    NodeMemory = 4,
    PolicyRefused = 5,
    ThpDisabled = 6,
    AddressSpace = 7,
    PageSizeUnknown = 8,
    ChunkTooSmall = 9,
    KernelTooOld = 10,
}

impl Limit {
    pub fn words(self) -> &'static str {
        match self {
            Limit::None => "no limit",
            Limit::HugePagePool => "the pool of huge pages is short (nr_hugepages)",
            Limit::HugetlbCgroup => "the control group allows no more huge pages (hugetlb limit)",
            Limit::MemoryCgroup => "the control group has too little memory left (memory limit)",
            Limit::NodeMemory => "too little free memory, or no free block of that size",
            Limit::PolicyRefused => "the kernel or a sandbox refused the memory policy",
            Limit::ThpDisabled => "transparent huge pages are switched off",
            Limit::AddressSpace => "address space is short (RLIMIT_AS, vm.max_map_count or overcommit)",
            Limit::PageSizeUnknown => "this kernel has no pages of that size",
            Limit::ChunkTooSmall => "the chunk is smaller than such a page",
            Limit::KernelTooOld => "the kernel is too old to populate such pages safely",
        }
    }
}

/// One step of the ladder that did not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub tried: Pages,
    pub limit: Limit,
    /// 0 when no system call failed.
    pub errno: Errno,
}

/// The steps of one chunk: four page sizes, and refused policies among them.
pub const MAX_STEPS: usize = 6;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    steps: [Step; MAX_STEPS],
    len: usize,
}

impl Steps {
    fn note(&mut self, step: Step) {
        if self.as_slice().contains(&step) {
            return;
        }
        if let Some(place) = self.steps.get_mut(self.len) {
            *place = step;
            self.len += 1;
        }
    }

    pub fn as_slice(&self) -> &[Step] {
        &self.steps[..self.len]
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.as_slice().iter().enumerate() {
            let comma = if index > 0 { "; " } else { "" };
            write!(formatter, "{comma}{}: {}", step.tried, step.limit.words())?;
            if step.errno != 0 {
                write!(formatter, " [errno {}]", step.errno)?;
            }
        }
        Ok(())
    }
}

/// What a chunk is asked to be.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// At least this much.
    pub bytes: u64,
    /// What a limit leaves; rounding up to a page must not pass it.
    pub at_most: u64,
    pub source: PageSource,
    /// Is charged for what is mapped, until the mapping is dropped.
    pub account: &'a Arc<Account>,
    pub name: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PagesError {
    #[error("strict, and {asked} pages are not to be had for {bytes} bytes ({steps})")]
    PagesUnavailable { asked: Pages, bytes: u64, steps: Steps },
    #[error("strict, and the memory is not on the node asked for ({steps})")]
    NodeUnavailable { steps: Steps },
    #[error("{bytes} bytes are not to be had ({steps})")]
    OutOfMemory { bytes: u64, steps: Steps },
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("{bytes} bytes of {asked} pages are more than the {at_most} that the limit leaves")]
    OverLimit { asked: Pages, bytes: u64, at_most: u64 },
}

/// Mapped memory of one chunk, and how it came about. Dropping it gives the memory back.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<u8>,
    pub bytes: u64,
    /// The step of the ladder that held.
    pub pages: Pages,
    pub page_bytes: u64,
    /// The node policy that the kernel took; `Any` when it refused.
    pub nodes: NodePolicy,
    pub asked_pages: Pages,
    pub asked_nodes: NodePolicy,
    pub asked_bytes: u64,
    pub steps: Steps,
    /// Ends after the memory is unmapped.
    charge: Mutex<Charge>,
}

// SAFETY: a mapping is a range of plain memory; who may touch which part is the arena's business.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// Larger than any address space.
const ABSURD: u64 = 1 << 56;
/// Populated at once, between two looks at the headroom.
const SLICE: u64 = 32 << 20;

impl Mapping {
    /// Maps a chunk, down the ladder until a step holds.
    pub fn new(request: &Request) -> Result<Self, PagesError> {
        let placement = request.source.nodes.placement(request.source.strict);
        let mut steps = Steps::default();
        if request.bytes > ABSURD {
            steps.note(Step { tried: Pages::Base, limit: Limit::AddressSpace, errno: 0 });
            return Err(PagesError::OutOfMemory { bytes: request.bytes, steps });
        }
        for tried in request.source.pages.ladder() {
            let attempt = Attempt { request, placement: placement.as_ref(), tried: *tried };
            match attempt.run(&mut steps)? {
                Some(mut mapping) => {
                    mapping.steps = steps;
                    mapping.verify(request, placement.as_ref())?;
                    return Ok(mapping);
                }
                None if request.source.strict && request.source.pages == *tried => {
                    return Err(PagesError::PagesUnavailable { asked: *tried, bytes: request.bytes, steps });
                }
                None => {}
            }
        }
        Err(PagesError::OutOfMemory { bytes: request.bytes, steps })
    }

    pub fn address(&self) -> *mut u8 {
        self.address.as_ptr()
    }

    /// Whether the chunk is less than was asked.
    pub fn stepped_down(&self) -> bool {
        (self.asked_pages != Pages::Best && self.pages != self.asked_pages) || self.nodes != self.asked_nodes
    }

    /// Lets another account pay for it from now on.
    pub fn hand_over(&self, to: &Arc<Account>) -> Result<(), Refused> {
        self.charge.lock().hand_over(to)
    }

    fn own(address: NonNull<u8>, bytes: u64, attempt: &Attempt, page_bytes: u64, charge: Charge) -> Self {
        sanitizers::mapped(address.as_ptr(), bytes);
        Self {
            address,
            bytes,
            pages: attempt.tried,
            page_bytes,
            nodes: NodePolicy::Any,
            asked_pages: attempt.request.source.pages,
            asked_nodes: attempt.request.source.nodes,
            asked_bytes: attempt.request.bytes,
            steps: Steps::default(),
            charge: Mutex::new(charge),
        }
    }

    fn advise(&self, advice: i32) -> Result<(), Errno> {
        // SAFETY: the range is this mapping, and none of the advices used here drops contents.
        unsafe { system::advise(self.address(), self.bytes, advice) }
    }

    /// What strict promises is looked up, not believed.
    fn verify(&self, request: &Request, placement: Option<&Placement>) -> Result<(), PagesError> {
        if !request.source.strict {
            return Ok(());
        }
        let mut steps = self.steps;
        if self.nodes != request.source.nodes {
            return Err(PagesError::NodeUnavailable { steps });
        }
        let found = residency::measure(self);
        let astray = |nodes: &[u32]| found.nodes.iter().any(|(node, bytes)| *bytes > 0 && !nodes.contains(node));
        if placement.is_some_and(|placement| astray(&placement.nodes)) {
            steps.note(Step { tried: self.pages, limit: Limit::NodeMemory, errno: 0 });
            return Err(PagesError::NodeUnavailable { steps });
        }
        let measured = found.pages_by != residency::Method::Not;
        if measured && request.source.prefault && self.pages == Pages::Transparent && found.huge_bytes < self.bytes {
            steps.note(Step { tried: self.pages, limit: Limit::NodeMemory, errno: 0 });
            return Err(PagesError::PagesUnavailable { asked: request.source.pages, bytes: request.bytes, steps });
        }
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        sanitizers::unmapping(self.address(), self.bytes);
        // SAFETY: the range is this mapping, whose last user is gone.
        if let Err(errno) = unsafe { system::unmap(self.address(), self.bytes) } {
            crate::base::log::warn(format_args!("munmap of {} bytes failed: errno {errno}", self.bytes));
        }
    }
}

/// One step of the ladder.
struct Attempt<'a> {
    request: &'a Request<'a>,
    placement: Option<&'a Placement>,
    tried: Pages,
}

impl Attempt<'_> {
    /// `None` when this step does not hold; why stands in `steps`.
    fn run(&self, steps: &mut Steps) -> Result<Option<Mapping>, PagesError> {
        let Some(page_bytes) = self.tried.page_bytes() else {
            let limit = if self.tried == Pages::Transparent { Limit::ThpDisabled } else { Limit::PageSizeUnknown };
            steps.note(self.step(limit, 0));
            return Ok(None);
        };
        let explicit = self.request.source.pages == self.tried && self.tried != Pages::Transparent;
        if self.request.bytes < page_bytes && !explicit && self.tried != Pages::Base {
            steps.note(self.step(Limit::ChunkTooSmall, 0));
            return Ok(None);
        }
        let bytes = round_up(self.request.bytes.max(1), page_bytes).unwrap_or(ABSURD);
        if bytes > self.request.at_most {
            if self.tried == Pages::Base || (self.request.source.strict && explicit) {
                let at_most = self.request.at_most;
                return Err(PagesError::OverLimit { asked: self.tried, bytes, at_most });
            }
            steps.note(self.step(Limit::ChunkTooSmall, 0));
            return Ok(None);
        }
        let from_pool = matches!(self.tried, Pages::Huge2M | Pages::Huge1G);
        let backing = if from_pool { Backing::HugePool } else { Backing::Memory };
        let charge = self.request.account.charge_backed(bytes, backing)?;
        let made = match self.tried {
            Pages::Huge2M | Pages::Huge1G => self.huge(bytes, page_bytes, charge, steps),
            Pages::Transparent => self.transparent(bytes, page_bytes, charge, steps),
            Pages::Base | Pages::Best => self.base(bytes, page_bytes, charge, steps),
        };
        match made {
            Ok(mapping) => Ok(Some(mapping)),
            Err(step) => {
                steps.note(step);
                Ok(None)
            }
        }
    }

    fn step(&self, limit: Limit, errno: Errno) -> Step {
        Step { tried: self.tried, limit, errno }
    }

    /// Explicit huge pages: the thread's policy stands before mmap, and they are populated at once, because a touch
    /// later could be answered with SIGBUS.
    fn huge(&self, bytes: u64, page_bytes: u64, charge: Charge, steps: &mut Steps) -> Result<Mapping, Step> {
        let size_flag = (page_bytes.trailing_zeros() as i32) << libc::MAP_HUGE_SHIFT;
        let map = || system::map(bytes, libc::MAP_HUGETLB | size_flag);
        let (mapped, policy) = match self.placement {
            Some(placement) => placement.during(map),
            None => (map(), Ok(())),
        };
        if let Err(errno) = policy {
            steps.note(self.step(Limit::PolicyRefused, errno));
        }
        let refused = |errno| self.step(self.why_no_huge_pages(page_bytes, bytes, errno), errno);
        let address = mapped.map_err(refused)?;
        let mut mapping = Mapping::own(address, bytes, self, page_bytes, charge);
        self.place(&mut mapping, steps);
        // A forked child would share the pages copy-on-write, and with an empty pool its first write is a SIGBUS.
        mapping.advise(libc::MADV_DONTFORK).map_err(|errno| self.step(Limit::KernelTooOld, errno))?;
        populate(&mapping, |_| Ok(())).map_err(|refusal| match refusal {
            Refusal::Limit(limit) => self.step(limit, 0),
            Refusal::Errno(libc::EINVAL) => self.step(Limit::KernelTooOld, libc::EINVAL),
            Refusal::Errno(errno) => refused(errno),
        })?;
        self.name(&mapping);
        Ok(mapping)
    }

    /// Base pages, aligned and advised so that the kernel makes them huge.
    fn transparent(&self, bytes: u64, page_bytes: u64, charge: Charge, steps: &mut Steps) -> Result<Mapping, Step> {
        if kernel::transparent_pages_off() {
            return Err(self.step(Limit::ThpDisabled, 0));
        }
        let no_room = |errno| self.step(Limit::AddressSpace, errno);
        let address = map_aligned(bytes, page_bytes).map_err(no_room)?;
        let mut mapping = Mapping::own(address, bytes, self, page_bytes, charge);
        self.place(&mut mapping, steps);
        mapping.advise(libc::MADV_HUGEPAGE).map_err(|errno| self.step(Limit::ThpDisabled, errno))?;
        self.prefault(&mapping)?;
        if self.request.source.strict && self.request.source.prefault {
            // Takes what stayed small together. Whether that worked is looked up afterwards.
            let _ = mapping.advise(libc::MADV_COLLAPSE);
        }
        self.name(&mapping);
        Ok(mapping)
    }

    fn base(&self, bytes: u64, page_bytes: u64, charge: Charge, steps: &mut Steps) -> Result<Mapping, Step> {
        let address = system::map(bytes, 0).map_err(|errno| self.step(Limit::AddressSpace, errno))?;
        let mut mapping = Mapping::own(address, bytes, self, page_bytes, charge);
        self.place(&mut mapping, steps);
        if self.request.source.pages == Pages::Base {
            // Refused by kernels that have no other pages anyway.
            let _ = mapping.advise(libc::MADV_NOHUGEPAGE);
        }
        self.prefault(&mapping)?;
        self.name(&mapping);
        Ok(mapping)
    }

    /// Gives the mapping its node policy, before any page of it is there. A refusal leaves it to the kernel.
    fn place(&self, mapping: &mut Mapping, steps: &mut Steps) {
        let Some(placement) = self.placement else {
            if self.request.source.nodes != mapping.nodes {
                steps.note(self.step(Limit::NodeMemory, 0));
            }
            return;
        };
        // SAFETY: the range is this mapping.
        match unsafe { system::bind(mapping.address(), mapping.bytes, &placement.raw) } {
            Ok(()) => mapping.nodes = self.request.source.nodes,
            Err(errno) => steps.note(self.step(Limit::PolicyRefused, errno)),
        }
    }

    fn prefault(&self, mapping: &Mapping) -> Result<(), Step> {
        if !self.request.source.prefault {
            return Ok(());
        }
        let nodes = self.placement.and_then(Placement::bound_to);
        populate(mapping, |bytes| Admission::ask(bytes, nodes)).map_err(|refusal| match refusal {
            Refusal::Limit(limit) => self.step(limit, 0),
            Refusal::Errno(errno) => self.step(Limit::NodeMemory, errno),
        })
    }

    /// Which limit stood behind a refusal of explicit huge pages.
    fn why_no_huge_pages(&self, page_bytes: u64, bytes: u64, errno: Errno) -> Limit {
        if errno == libc::EINVAL {
            return Limit::PageSizeUnknown;
        }
        if cgroup::hugetlb_refusal(page_bytes, bytes).is_some() {
            return Limit::HugetlbCgroup;
        }
        let on_nodes = self.placement.and_then(Placement::bound_to).map(|nodes| {
            nodes.iter().filter_map(|node| kernel::huge_pool_of_node(*node, page_bytes)).map(|pool| pool.free).sum()
        });
        let in_all = kernel::huge_pool(page_bytes).map_or(0, kernel::HugePool::unpromised);
        let enough = in_all.min(on_nodes.unwrap_or(in_all)) >= bytes / page_bytes;
        if errno == libc::ENOMEM && enough { Limit::AddressSpace } else { Limit::HugePagePool }
    }

    /// A name of its own keeps the kernel from merging neighbouring chunks, so that smaps tells of each alone.
    fn name(&self, mapping: &Mapping) {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let allowed = |c: char| c.is_ascii_graphic() && !"\\`$[]".contains(c);
        let name: String = self.request.name.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
        let serial = SERIAL.fetch_add(1, Relaxed);
        if let Ok(name) = CString::new(format!("ostler:{name}:{serial}")) {
            system::name(mapping.address(), mapping.bytes, &name);
        }
    }
}

enum Refusal {
    Limit(Limit),
    Errno(Errno),
}

/// Brings the pages in, slice by slice; before each, all that is still to come is admitted anew. What was populated
/// before a failure stays so, until the mapping is dropped.
fn populate<A>(mapping: &Mapping, mut admit: impl FnMut(u64) -> Result<A, Limit>) -> Result<(), Refusal> {
    let slice = SLICE.max(mapping.page_bytes);
    let mut done = 0;
    while done < mapping.bytes {
        let bytes = slice.min(mapping.bytes - done);
        let _admission = admit(mapping.bytes - done).map_err(Refusal::Limit)?;
        // SAFETY: the slice lies in the mapping; populating changes no contents.
        let populated = unsafe {
            let start = mapping.address().add(done as usize);
            match system::advise(start, bytes, libc::MADV_POPULATE_WRITE) {
                // Before Linux 5.14. Small pages never answer a touch with a signal, so they can be touched instead.
                Err(libc::EINVAL) if !matches!(mapping.pages, Pages::Huge2M | Pages::Huge1G) => {
                    touch(start, bytes);
                    Ok(())
                }
                other => other,
            }
        };
        populated.map_err(Refusal::Errno)?;
        done += bytes;
    }
    Ok(())
}

/// Writes a zero to each base page of fresh, zeroed memory.
///
/// # Safety
/// The range is mapped and nobody else knows it yet.
unsafe fn touch(start: *mut u8, bytes: u64) {
    for offset in (0..bytes as usize).step_by(system::base_page_bytes() as usize) {
        // SAFETY: the caller's promise.
        unsafe { start.add(offset).write_volatile(0) };
    }
}

/// Maps memory whose address is a multiple of `alignment`. New kernels give that by themselves; otherwise more is
/// mapped and the ends go back.
fn map_aligned(bytes: u64, alignment: u64) -> Result<NonNull<u8>, Errno> {
    let aligned = |address: NonNull<u8>| (address.as_ptr() as u64).is_multiple_of(alignment);
    let first = system::map(bytes, 0)?;
    if aligned(first) {
        return Ok(first);
    }
    // SAFETY: the mapping was just made, and nobody knows it.
    unsafe { system::unmap(first.as_ptr(), bytes)? };
    let wide = bytes.checked_add(alignment).ok_or(libc::ENOMEM)?;
    let start = system::map(wide, 0)?;
    let head = (alignment - (start.as_ptr() as u64) % alignment) % alignment;
    let tail = wide - head - bytes;
    // SAFETY: both ends lie in the mapping just made. When they cannot be cut off, all of it goes back.
    unsafe {
        let inner = start.add(head as usize);
        let trimmed = (if head > 0 { system::unmap(start.as_ptr(), head) } else { Ok(()) })
            .and_then(|()| system::unmap(inner.add(bytes as usize).as_ptr(), tail));
        if let Err(errno) = trimmed {
            system::unmap(start.as_ptr(), wide)?;
            return Err(errno);
        }
        Ok(inner)
    }
}

#[cfg(test)]
mod tests;
