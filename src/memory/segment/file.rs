//! The memory of a segment: an anonymous file that cannot shrink or grow any more, all of whose pages are there, so that
//! no touch of it ends in a signal.

use super::super::crew::{Crew, Refusal};
use super::super::governor::account::Backing;
use super::super::governor::{Account, Charge};
use super::super::headroom::Admission;
use super::super::pages::{Limit, Options, PagesError, Step, Steps};
use super::super::placement::Placement;
use super::super::placing::{PlacedBy, Placing};
use super::super::planning::fits_a_page;
use super::super::policy::{NodeMask, NodePolicy, Pages};
use super::super::receipt::Receipt;
use super::super::source::PageSource;
use super::super::system::{self, Errno};
use super::super::{cgroup, kernel, residency, round_up, sanitizers, this_machine};
use super::SegmentError;
use super::layout::{FACTS_BYTES, Facts, HEADER_BYTES, Header, MAGIC, VERSION};
use super::owner::Identity;
use std::ffi::CString;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;
use std::sync::Arc;

/// What a process may do with a segment. The numbers are those of OSTLER_ACCESS_.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Access {
    ReadWrite = 0,
    ReadOnly = 1,
}

/// Mapped memory that is shared with other processes. Dropping it unmaps it here.
#[derive(Debug)]
pub struct Mapped {
    address: NonNull<u8>,
    pub bytes: u64,
    pub access: Access,
}

// SAFETY: a range of plain memory, of which the library itself touches only atomic words.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    fn new(file: BorrowedFd, bytes: u64, access: Access) -> Result<Self, Errno> {
        let address = system::map_shared(file, bytes, access == Access::ReadWrite)?;
        sanitizers::mapped(address.as_ptr(), bytes);
        Ok(Self { address, bytes, access })
    }

    pub fn address(&self) -> *mut u8 {
        self.address.as_ptr()
    }

    pub fn header(&self) -> &Header {
        // SAFETY: every segment begins with a header, which is all atomic words and facts that nobody changes; it is
        // aligned like a page.
        unsafe { self.address.cast().as_ref() }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        sanitizers::unmapping(self.address(), self.bytes);
        // SAFETY: the range is this mapping, whose last user is gone.
        if let Err(errno) = unsafe { system::unmap(self.address(), self.bytes) } {
            crate::base::log::warn(format_args!("munmap of {} bytes failed: errno {errno}", self.bytes));
        }
    }
}

/// How the memory of a segment came about, for its owner.
#[derive(Debug)]
pub struct Origin {
    asked: PageSource,
    asked_bytes: u64,
    pages: Pages,
    page_bytes: u64,
    nodes: NodePolicy,
    placed_by: PlacedBy,
    node_set: NodeMask,
    steps: Steps,
}

/// What a new segment shall be.
pub struct Request<'a> {
    pub bytes: u64,
    pub source: PageSource,
    pub account: &'a Arc<Account>,
    pub name: &'a str,
    /// No other process can map it for writing.
    pub sole_writer: bool,
}

pub struct Made {
    // Dropped in this order: the charge ends after the memory is gone.
    pub mapped: Mapped,
    pub file: OwnedFd,
    pub origin: Origin,
    pub charge: Charge,
}

/// Makes the memory of a segment, down the ladder of page sizes until one is to be had.
pub fn make(request: &Request) -> Result<Made, SegmentError> {
    let placement = Placement::of(&request.source);
    let mut steps = Steps::default();
    for tried in request.source.pages.ladder() {
        let attempt = Attempt { request, placement: placement.as_ref(), tried: *tried };
        if let Some(mut made) = attempt.run(&mut steps)? {
            made.origin.steps = steps;
            attempt.verify(&made)?;
            return Ok(made);
        }
        if request.source.strict && request.source.pages == *tried {
            return Err(PagesError::PagesUnavailable { asked: *tried, bytes: request.bytes, steps }.into());
        }
    }
    Err(PagesError::OutOfMemory { bytes: request.bytes, steps }.into())
}

/// One step of the ladder.
struct Attempt<'a> {
    request: &'a Request<'a>,
    placement: Option<&'a Placement>,
    tried: Pages,
}

impl Attempt<'_> {
    /// `None` when this step does not hold; why stands in `steps`.
    fn run(&self, steps: &mut Steps) -> Result<Option<Made>, SegmentError> {
        let Some(page_bytes) = self.tried.page_bytes() else {
            let limit = if self.tried == Pages::Transparent { Limit::ThpDisabled } else { Limit::PageSizeUnknown };
            steps.note(self.step(limit, 0));
            return Ok(None);
        };
        if self.tried == Pages::Transparent && kernel::shared_transparent_pages_off() {
            steps.note(self.step(Limit::ThpDisabled, 0));
            return Ok(None);
        }
        if !fits_a_page(self.tried, page_bytes, self.request.bytes, self.request.source.pages) {
            steps.note(self.step(Limit::ChunkTooSmall, 0));
            return Ok(None);
        }
        let Some(bytes) = round_up(self.request.bytes, page_bytes) else { return Ok(None) };
        let backing = if self.is_huge() { Backing::HugePool } else { Backing::Memory };
        let charge = self.request.account.charge_backed(bytes, backing).map_err(PagesError::from)?;
        match self.fill(bytes, page_bytes, charge, steps) {
            Ok(made) => {
                made.seal(self.request.sole_writer)
                    .map_err(|errno| SegmentError::Call { call: "F_ADD_SEALS", errno })?;
                Ok(Some(made))
            }
            Err(step) => {
                steps.note(step);
                Ok(None)
            }
        }
    }

    fn is_huge(&self) -> bool {
        matches!(self.tried, Pages::Huge2M | Pages::Huge1G)
    }

    fn step(&self, limit: Limit, errno: Errno) -> Step {
        Step { tried: self.tried, limit, errno }
    }

    /// The file with all of its pages, placed before the first of them is there.
    fn fill(&self, bytes: u64, page_bytes: u64, charge: Charge, steps: &mut Steps) -> Result<Made, Step> {
        let flags =
            if self.is_huge() { libc::MFD_HUGETLB | (page_bytes.trailing_zeros() << libc::MAP_HUGE_SHIFT) } else { 0 };
        let refused = |errno| self.step(self.why_not(page_bytes, bytes, errno), errno);
        let name = CString::new(format!("ostler:{}", self.request.name)).unwrap_or_default();
        let file = system::memory_file(&name, flags).map_err(refused)?;
        system::set_size(file.as_fd(), bytes).map_err(refused)?;
        let mapped = Mapped::new(file.as_fd(), bytes, Access::ReadWrite).map_err(refused)?;
        // SAFETY: the range is this mapping.
        let mut placing = unsafe {
            let note = |limit, errno| steps.note(self.step(limit, errno));
            let asked = self.request.source.nodes;
            Placing::of(mapped.address(), bytes, asked, self.placement.copied(), note)
        };
        if self.tried == Pages::Transparent {
            // SAFETY: the range is this mapping, which is empty.
            unsafe { system::advise(mapped.address(), bytes, libc::MADV_HUGEPAGE) }
                .map_err(|errno| self.step(Limit::ThpDisabled, errno))?;
        }
        let bring_in = |crew: &Crew| self.bring_in(crew, &mapped, &file, page_bytes);
        let step = |refusal| match refusal {
            Refusal::Errno(errno) => refused(errno),
            refusal => refusal.step(self.tried, Limit::None),
        };
        match bring_in(&placing.crew) {
            Err(refusal @ Refusal::Absent(..)) => {
                steps.note(step(refusal));
                placing = Placing::nowhere();
                bring_in(&placing.crew).map_err(step)?;
            }
            done => done.map_err(step)?,
        }
        let nodes = if placing.placement.is_some() { self.request.source.nodes } else { NodePolicy::Any };
        let origin = Origin {
            asked: self.request.source,
            asked_bytes: self.request.bytes,
            pages: self.tried,
            page_bytes,
            nodes,
            placed_by: placing.by,
            node_set: placing.placement.map_or(NodeMask::EMPTY, |placement| *placement.nodes()),
            steps: Steps::default(),
        };
        Ok(Made { mapped, file, origin, charge })
    }

    /// Brings every page of the file in, slice by slice.
    fn bring_in(&self, crew: &Crew, mapped: &Mapped, file: &OwnedFd, page_bytes: u64) -> Result<(), Refusal> {
        let bound_to = self.placement.and_then(Placement::bound_to);
        // The pool of huge pages answers with an error by itself; a group that counts them does not.
        let admit = |left| match self.is_huge() {
            true if cgroup::counts_huge_pages() => Admission::ask_group(left).map(Some),
            true => Ok(None),
            false => Admission::ask(left, bound_to).map(Some),
        };
        crew.bring_in(mapped.bytes, page_bytes, &admit, &|offset, bytes| {
            if self.tried == Pages::Transparent || crew.places() {
                // Only a touch makes them huge, and has numa_maps tell of them; what is still missing comes with the
                // allocation below.
                // SAFETY: the part lies in the mapping; populating changes no contents.
                let _ =
                    unsafe { system::advise(mapped.address().add(offset as usize), bytes, libc::MADV_POPULATE_WRITE) };
            }
            system::allocate(file.as_fd(), offset, bytes)
        })
    }

    fn why_not(&self, page_bytes: u64, bytes: u64, errno: Errno) -> Limit {
        if !self.is_huge() {
            return Limit::NodeMemory;
        }
        if errno == libc::EINVAL {
            return Limit::PageSizeUnknown;
        }
        let nodes = self.placement.and_then(Placement::bound_to);
        let (limit, ..) =
            this_machine::now().shortage_of_huge(page_bytes, bytes, nodes.unwrap_or(&NodeMask::EMPTY), nodes.is_some());
        if limit == Limit::None { Limit::HugePagePool } else { limit }
    }

    /// What strict promises is looked up, not believed.
    fn verify(&self, made: &Made) -> Result<(), SegmentError> {
        if !self.request.source.strict {
            return Ok(());
        }
        let mut steps = made.origin.steps;
        let found = made.origin.receipt(&made.mapped).found;
        if made.origin.nodes != self.request.source.nodes {
            return Err(PagesError::NodeUnavailable { steps }.into());
        }
        let misplaced = self.placement.and_then(|placement| match made.origin.placed_by {
            PlacedBy::FirstTouch => found.why_not_as(placement, made.mapped.bytes, made.origin.page_bytes),
            _ => found.is_astray(placement.nodes()).then_some(Limit::NodeMemory),
        });
        if let Some(limit) = misplaced {
            steps.note(self.step(limit, 0));
            return Err(PagesError::NodeUnavailable { steps }.into());
        }
        if self.tried == Pages::Transparent && found.huge_bytes < made.mapped.bytes {
            steps.note(self.step(Limit::NodeMemory, 0));
            let (asked, bytes) = (self.request.source.pages, self.request.bytes);
            return Err(PagesError::PagesUnavailable { asked, bytes, steps }.into());
        }
        Ok(())
    }
}

impl Made {
    /// Writes the facts, and lets nobody cut the file short under whoever maps it.
    fn seal(&self, sole_writer: bool) -> Result<(), Errno> {
        let facts = Facts {
            magic: MAGIC,
            version: VERSION,
            header_bytes: HEADER_BYTES as u32,
            bytes: self.mapped.bytes,
            page_bytes: self.origin.page_bytes,
            owner: Identity::own(),
        };
        // SAFETY: the mapping begins with room for the facts, is aligned like a page, and nobody else knows it yet.
        unsafe { self.mapped.address().cast::<Facts>().write(facts) };
        self.mapped.header().begin();
        let future = if sole_writer { libc::F_SEAL_FUTURE_WRITE } else { 0 };
        system::seal(self.file.as_fd(), SEALS | libc::F_SEAL_SEAL | future)
    }
}

impl Origin {
    pub fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    /// Asks the kernel anew.
    pub fn receipt(&self, mapped: &Mapped) -> Receipt {
        let start = mapped.address() as u64;
        let found = residency::measure_range(start, start + mapped.bytes, self.pages, self.page_bytes);
        let none_huge = self.pages == Pages::Transparent && found.resident_bytes > 0 && found.huge_bytes == 0;
        let (got_pages, page_bytes) =
            if none_huge { (Pages::Base, system::base_page_bytes()) } else { (self.pages, self.page_bytes) };
        Receipt {
            asked: self.asked,
            asked_bytes: self.asked_bytes,
            got_pages,
            got_nodes: self.nodes,
            placed_by: self.placed_by,
            node_set: self.node_set,
            got_options: Options::PREFAULTED,
            page_bytes,
            address: start,
            mapped_bytes: mapped.bytes,
            found,
            steps: self.steps,
        }
    }
}

/// What must be sealed so that no touch of a mapping ends in a signal.
const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

/// What an attached segment is made of.
pub struct Found {
    pub mapped: Mapped,
    pub file: OwnedFd,
    pub facts: Facts,
}

/// Maps a segment that another process made. Everything is checked before the first byte of it is touched, and read
/// with a call that answers with an error where a touch could answer with a signal.
pub fn attach(file: BorrowedFd, access: Access) -> Result<Found, SegmentError> {
    let number = file.as_raw_fd();
    let call = |call| move |errno| SegmentError::Call { call, errno };
    let foreign = |why| SegmentError::Foreign { fd: number, why };
    let file = system::duplicate(file).map_err(|errno| match errno {
        libc::EBADF => foreign("is not an open descriptor"),
        errno => SegmentError::Call { call: "F_DUPFD_CLOEXEC", errno },
    })?;
    let seals = system::seals(file.as_fd()).map_err(|_| foreign("is not an anonymous file of memory"))?;
    if seals & SEALS != SEALS {
        return Err(foreign("is not sealed against shrinking and growing"));
    }
    let held = File::from(file);
    let status = held
        .metadata()
        .map_err(|error| SegmentError::Call { call: "fstat", errno: error.raw_os_error().unwrap_or(libc::EIO) })?;
    let facts = read_facts(held.as_fd()).map_err(call("pread"))?;
    let facts = facts.filter(|facts| facts.magic == MAGIC).ok_or_else(|| foreign("holds no segment"))?;
    if facts.version != VERSION || u64::from(facts.header_bytes) != HEADER_BYTES {
        return Err(SegmentError::OtherLayout { fd: number, version: facts.version });
    }
    if facts.bytes != status.len() {
        return Err(foreign("is not as long as the segment in it"));
    }
    // In units of 512 bytes. A hole would be filled at the first touch, or answer it with a signal.
    if status.blocks() * 512 < facts.bytes {
        return Err(foreign("has holes"));
    }
    let mapped = Mapped::new(held.as_fd(), facts.bytes, access).map_err(|errno| match errno {
        libc::EACCES | libc::EPERM => SegmentError::ReadOnlyFile { fd: number },
        errno => SegmentError::Call { call: "mmap", errno },
    })?;
    Ok(Found { mapped, file: held.into(), facts })
}

/// `None`: the file is shorter than that.
fn read_facts(file: BorrowedFd) -> Result<Option<Facts>, Errno> {
    let mut bytes = [0u8; FACTS_BYTES];
    if system::read_at(file, &mut bytes, 0)? < FACTS_BYTES {
        return Ok(None);
    }
    let mut facts = MaybeUninit::<Facts>::uninit();
    // SAFETY: the facts are whole numbers, of which every pattern of bits is one.
    Ok(Some(unsafe {
        facts.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), FACTS_BYTES);
        facts.assume_init()
    }))
}
