//! The ladder: page sizes from the one asked for downwards, until one is to be had.

use super::super::governor::Refused;
use super::super::governor::account::Backing;
use super::super::headroom::Admission;
use super::super::placement::Placement;
use super::super::planning::{ABSURD, binds_huge, fits_a_page};
use super::super::policy::{NodeMask, NodePolicy, Pages};
use super::super::system::{self, Errno};
use super::super::{cgroup, kernel, round_up, this_machine};
use super::options::{Options, name_of_mapping};
use super::populate::{Refusal, populate};
use super::window::Window;
use super::{Limit, Mapping, PagesError, Request, Step, Steps};
use std::cell::Cell;
use std::ffi::CString;

/// Climbs down until a step holds.
pub fn climb(request: &Request) -> Result<Mapping, PagesError> {
    let source = &request.source;
    let mut steps = Steps::default();
    if request.bytes > ABSURD {
        steps.note(Step { tried: Pages::Base, limit: Limit::AddressSpace, errno: 0 });
        return Err(PagesError::OutOfMemory { bytes: request.bytes, steps });
    }
    let placement = Placement::of(source);
    let name = name_of_mapping(request.name);
    for tried in source.pages.ladder() {
        let rung = Rung { request, placement, name: &name, tried: *tried };
        match rung.climb(&mut steps)? {
            Some(mapping) => return Ok(mapping),
            None if source.strict && source.pages == *tried => {
                return Err(PagesError::PagesUnavailable { asked: *tried, bytes: request.bytes, steps });
            }
            None => {}
        }
    }
    Err(PagesError::OutOfMemory { bytes: request.bytes, steps })
}

/// One page size for one chunk.
struct Rung<'a> {
    request: &'a Request<'a>,
    placement: Option<Placement>,
    name: &'a CString,
    tried: Pages,
}

impl Rung<'_> {
    /// `None` when this one does not hold; why stands in `steps`.
    fn climb(&self, steps: &mut Steps) -> Result<Option<Mapping>, PagesError> {
        let Some(page_bytes) = self.tried.page_bytes() else {
            let limit = if self.tried == Pages::Transparent { Limit::ThpDisabled } else { Limit::PageSizeUnknown };
            steps.note(self.step(limit, 0));
            return Ok(None);
        };
        let source = &self.request.source;
        if !fits_a_page(self.tried, page_bytes, self.request.bytes, source.pages) {
            steps.note(self.step(Limit::ChunkTooSmall, 0));
            return Ok(None);
        }
        let bytes = round_up(self.request.bytes.max(1), page_bytes).unwrap_or(ABSURD);
        if bytes > self.request.at_most {
            let at_most = self.request.at_most;
            if self.tried == Pages::Base || (source.strict && self.tried == source.pages && bytes > page_bytes) {
                return Err(PagesError::OverLimit { asked: self.tried, bytes, at_most });
            }
            steps.note(self.step(Limit::ChunkTooSmall, 0));
            return Ok(None);
        }
        let made = match self.tried {
            Pages::Huge2M | Pages::Huge1G => self.huge(bytes, page_bytes, steps),
            Pages::Transparent => self.transparent(bytes, page_bytes, steps),
            Pages::Base | Pages::Best => self.base(bytes, page_bytes, steps),
        };
        match made {
            Ok(mut mapping) => {
                mapping.steps = *steps;
                mapping.verify(self.request, self.placement.as_ref())?;
                Ok(Some(mapping))
            }
            Err(Failed::Step(step)) => {
                steps.note(step);
                Ok(None)
            }
            Err(Failed::Error(error)) => Err(error),
        }
    }

    fn step(&self, limit: Limit, errno: Errno) -> Step {
        Step { tried: self.tried, limit, errno }
    }

    /// Explicit huge pages. Who named their size gets it from other nodes before smaller pages from the wanted ones;
    /// whoever asked for the best gets it from the wanted nodes or not at all.
    fn huge(&self, bytes: u64, page_bytes: u64, steps: &mut Steps) -> Result<Mapping, Failed> {
        let source = &self.request.source;
        if let Some(wanted) = self.placement.filter(|_| source.nodes != NodePolicy::Interleave) {
            match self.huge_on(Some(wanted.bound()), bytes, page_bytes, steps) {
                Err(Failed::Step(step)) if !binds_huge(source.nodes, source.pages, source.strict) => steps.note(step),
                other => return other,
            }
        }
        self.huge_on(self.placement, bytes, page_bytes, steps)
    }

    /// The thread's policy stands before mmap, so that a short node is an error of mmap; and the pages are populated at
    /// once, because a touch later could be answered with SIGBUS.
    fn huge_on(
        &self,
        placement: Option<Placement>,
        bytes: u64,
        page_bytes: u64,
        steps: &mut Steps,
    ) -> Result<Mapping, Failed> {
        let refused = |errno| self.step(self.why_no_huge_pages(placement.as_ref(), page_bytes, bytes, errno), errno);
        let charge = self.request.account.charge_backed(bytes, Backing::HugePool)?;
        let is_named = Cell::new(false);
        let map = |at| {
            let (address, named) = system::map_huge(at, bytes, page_bytes, self.name)?;
            is_named.set(named);
            Ok(address)
        };
        let window = || Window::new(bytes, page_bytes, self.request.source.guard, map);
        let (mapped, policy) = match placement {
            Some(placement) => placement.during(window),
            None => (window(), Ok(())),
        };
        if let Err(errno) = policy {
            steps.note(self.step(Limit::PolicyRefused, errno));
        }
        let mut mapping = Mapping::own(mapped.map_err(refused)?, self.request, self.tried, page_bytes, charge);
        if is_named.get() {
            mapping.options.add(Options::NAMED);
        }
        self.prepare(&mut mapping, placement, steps)?;
        let admit = |bytes| match cgroup::counts_huge_pages() {
            true => Admission::ask_group(bytes).map(Some),
            false => Ok(None),
        };
        populate(&mapping, admit).map_err(|refusal| match refusal {
            Refusal::Limit(limit) => self.step(limit, 0),
            Refusal::Errno(errno) => refused(errno),
        })?;
        mapping.options.add(Options::PREFAULTED);
        Ok(mapping)
    }

    /// Base pages, aligned and advised so that the kernel makes them huge.
    fn transparent(&self, bytes: u64, page_bytes: u64, steps: &mut Steps) -> Result<Mapping, Failed> {
        if kernel::transparent_pages_off() {
            return Err(self.step(Limit::ThpDisabled, 0).into());
        }
        let mut mapping = self.small(bytes, page_bytes, steps)?;
        mapping.advise(libc::MADV_HUGEPAGE).map_err(|errno| self.step(Limit::ThpDisabled, errno))?;
        self.prefault(&mut mapping)?;
        if self.request.source.strict && self.request.source.prefault {
            // Takes what stayed small together. Whether that worked is looked up afterwards.
            let _ = mapping.advise(libc::MADV_COLLAPSE);
        }
        Ok(mapping)
    }

    fn base(&self, bytes: u64, page_bytes: u64, steps: &mut Steps) -> Result<Mapping, Failed> {
        let mut mapping = self.small(bytes, page_bytes, steps)?;
        if self.request.source.pages == Pages::Base {
            // Refused by kernels that have no other pages anyway.
            let _ = mapping.advise(libc::MADV_NOHUGEPAGE);
        }
        self.prefault(&mut mapping)?;
        Ok(mapping)
    }

    /// Memory that is there when it is touched.
    fn small(&self, bytes: u64, alignment: u64, steps: &mut Steps) -> Result<Mapping, Failed> {
        let charge = self.request.account.charge_backed(bytes, Backing::Memory)?;
        let window = Window::new(bytes, alignment, self.request.source.guard, |at| system::map_at(at, bytes, 0));
        let window = window.map_err(|errno| self.step(Limit::AddressSpace, errno))?;
        let mut mapping = Mapping::own(window, self.request, self.tried, alignment, charge);
        mapping.name(self.name);
        self.prepare(&mut mapping, self.placement, steps)?;
        Ok(mapping)
    }

    /// Gives the mapping its nodes and options, before any page of it is there.
    fn prepare(&self, mapping: &mut Mapping, placement: Option<Placement>, steps: &mut Steps) -> Result<(), Failed> {
        let source = &self.request.source;
        self.place(mapping, placement, steps);
        mapping.exclude(source, steps)?;
        if source.lock
            && let Err(errno) = mapping.lock()
        {
            if source.strict {
                let limit = system::locked_memory_limit();
                return Err(PagesError::LockRefused { bytes: mapping.bytes, limit, errno }.into());
            }
            steps.note(self.step(Limit::LockedMemory, errno));
        }
        Ok(())
    }

    /// A refusal leaves it to the kernel.
    fn place(&self, mapping: &mut Mapping, placement: Option<Placement>, steps: &mut Steps) {
        let asked = self.request.source.nodes;
        let Some(placement) = placement else {
            if asked != NodePolicy::Any {
                steps.note(self.step(Limit::NodeUnknown, 0));
            }
            return;
        };
        // SAFETY: the range is this mapping.
        let bind = |placement: &Placement| unsafe { system::bind(mapping.address(), mapping.bytes, &placement.raw) };
        let (placement, bound) = match (bind(&placement), placement.narrowed()) {
            // Before Linux 5.15 only one node can be preferred.
            (Err(libc::EINVAL), Some(narrowed)) => {
                steps.note(self.step(Limit::KernelTooOld, libc::EINVAL));
                (narrowed, bind(&narrowed))
            }
            (bound, _) => (placement, bound),
        };
        match bound {
            Ok(()) => (mapping.nodes, mapping.policy) = (asked, Some(placement.raw)),
            Err(errno) => steps.note(self.step(Limit::PolicyRefused, errno)),
        }
    }

    fn prefault(&self, mapping: &mut Mapping) -> Result<(), Step> {
        if !self.request.source.prefault {
            return Ok(());
        }
        let nodes = self.placement.and_then(|placement| placement.bound_to().copied());
        populate(mapping, |bytes| Admission::ask(bytes, nodes.as_ref())).map_err(|refusal| match refusal {
            Refusal::Limit(limit) => self.step(limit, 0),
            Refusal::Errno(errno) => self.step(Limit::NodeMemory, errno),
        })?;
        mapping.options.add(Options::PREFAULTED);
        Ok(())
    }

    /// Which limit stood behind a refusal of explicit huge pages.
    fn why_no_huge_pages(&self, placement: Option<&Placement>, page_bytes: u64, bytes: u64, errno: Errno) -> Limit {
        if errno == libc::EINVAL {
            return Limit::PageSizeUnknown;
        }
        let nodes = placement.and_then(Placement::bound_to);
        let (limit, ..) =
            this_machine::now().shortage_of_huge(page_bytes, bytes, nodes.unwrap_or(&NodeMask::EMPTY), nodes.is_some());
        match limit {
            // The pages are there by now: another process was faster, or it was not for want of pages.
            Limit::None if errno == libc::ENOMEM => Limit::AddressSpace,
            Limit::None => Limit::HugePagePool,
            limit => limit,
        }
    }
}

/// How a rung does not hold: the next is tried, or none.
enum Failed {
    Step(Step),
    Error(PagesError),
}

impl From<Step> for Failed {
    fn from(step: Step) -> Self {
        Self::Step(step)
    }
}

impl From<PagesError> for Failed {
    fn from(error: PagesError) -> Self {
        Self::Error(error)
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Error(refused.into())
    }
}
