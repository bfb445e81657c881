//! The ladder: page sizes from the one asked for downwards, until one is to be had.

use super::super::crew::{Crew, Refusal};
use super::super::governor::Refused;
use super::super::governor::account::Backing;
use super::super::headroom::Admission;
use super::super::placement::Placement;
use super::super::placing::{PlacedBy, Placing};
use super::super::planning::{ABSURD, binds_huge, fits_a_page};
use super::super::policy::{NodeMask, NodePolicy, Pages};
use super::super::system::{self, Errno};
use super::super::{cgroup, kernel, residency, round_up, this_machine};
use super::options::{Options, name_of_mapping};
use super::populate::populate;
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
        let mut placing = self.prepare(&mut mapping, placement, steps)?;
        placing.crew = placing.crew.with_helpers(bytes, placing.by == PlacedBy::Policy);
        // A touch goes to other nodes where these are short; who wants no others has to look first.
        let bound = placement.filter(|placement| placing.crew.places() && placement.bound_to().is_some());
        if let Some(placement) = bound {
            let (limit, ..) =
                this_machine::huge_pages_now(page_bytes).shortage_of_huge(page_bytes, bytes, placement.nodes(), true);
            if limit != Limit::None {
                return Err(self.step(limit, 0).into());
            }
        }
        let admit = |bytes| match cgroup::counts_huge_pages() {
            true => Admission::ask_group(bytes).map(Some),
            false => Ok(None),
        };
        let step = |refusal| match refusal {
            Refusal::Errno(errno) => refused(errno),
            refusal => refusal.step(self.tried, Limit::None),
        };
        match populate(&mapping, &placing.crew, &admit) {
            Err(refusal @ Refusal::Absent(..)) => {
                self.leave_to_kernel(&mut mapping, step(refusal), steps);
                populate(&mapping, &Crew::caller(), &admit).map_err(step)?;
            }
            done => done.map_err(step)?,
        }
        if bound.is_some_and(|placement| residency::measure(&mapping).is_astray(placement.nodes())) {
            return Err(self.step(Limit::HugePagePool, 0).into());
        }
        mapping.options.add(Options::PREFAULTED);
        Ok(mapping)
    }

    /// Base pages, aligned and advised so that the kernel makes them huge.
    fn transparent(&self, bytes: u64, page_bytes: u64, steps: &mut Steps) -> Result<Mapping, Failed> {
        if kernel::transparent_pages_off() {
            return Err(self.step(Limit::ThpDisabled, 0).into());
        }
        let (mut mapping, placing) = self.small(bytes, page_bytes, steps)?;
        mapping.advise(libc::MADV_HUGEPAGE).map_err(|errno| self.step(Limit::ThpDisabled, errno))?;
        self.prefault(&mut mapping, &placing, steps)?;
        if self.request.source.strict && self.request.source.prefault {
            // Takes what stayed small together. Whether that worked is looked up afterwards.
            let _ = mapping.advise(libc::MADV_COLLAPSE);
        }
        Ok(mapping)
    }

    fn base(&self, bytes: u64, page_bytes: u64, steps: &mut Steps) -> Result<Mapping, Failed> {
        let (mut mapping, placing) = self.small(bytes, page_bytes, steps)?;
        if self.request.source.pages == Pages::Base {
            // Refused by kernels that have no other pages anyway.
            let _ = mapping.advise(libc::MADV_NOHUGEPAGE);
        }
        self.prefault(&mut mapping, &placing, steps)?;
        Ok(mapping)
    }

    /// Memory that is there when it is touched.
    fn small(&self, bytes: u64, alignment: u64, steps: &mut Steps) -> Result<(Mapping, Placing), Failed> {
        let charge = self.request.account.charge_backed(bytes, Backing::Memory)?;
        // Explicit huge pages lie in a file each, which the kernel merges with nothing.
        let guard = self.request.source.guard || residency::tells_of_whole_mappings_only();
        let window = Window::new(bytes, alignment, guard, |at| system::map_at(at, bytes, 0));
        let window = window.map_err(|errno| self.step(Limit::AddressSpace, errno))?;
        let mut mapping = Mapping::own(window, self.request, self.tried, alignment, charge);
        mapping.name(self.name);
        let mut placing = self.prepare(&mut mapping, self.placement, steps)?;
        placing.crew = placing.crew.with_helpers(bytes, placing.by == PlacedBy::Policy);
        Ok((mapping, placing))
    }

    /// Gives the mapping its nodes and options, before any page of it is there.
    fn prepare(
        &self,
        mapping: &mut Mapping,
        placement: Option<Placement>,
        steps: &mut Steps,
    ) -> Result<Placing, Failed> {
        let source = &self.request.source;
        // SAFETY: the range is this mapping.
        let placing = unsafe {
            let note = |limit, errno| steps.note(self.step(limit, errno));
            Placing::of(mapping.address(), mapping.bytes, source.nodes, placement, note)
        };
        if let Some(placement) = placing.placement {
            (mapping.nodes, mapping.policy, mapping.placed_by) = (source.nodes, Some(placement.raw), placing.by);
        }
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
        Ok(placing)
    }

    /// Brings the pages in, when they are wanted now or are placed by that. A crew that cannot place them leaves them to the
    /// kernel, unless strict.
    fn prefault(&self, mapping: &mut Mapping, placing: &Placing, steps: &mut Steps) -> Result<(), Step> {
        let source = &self.request.source;
        let places = placing.crew.places();
        if !source.prefault && !places {
            return Ok(());
        }
        let nodes = self.placement.and_then(|placement| placement.bound_to().copied());
        let admit = |bytes| Admission::ask(bytes, nodes.as_ref());
        let step = |refusal: Refusal| refusal.step(self.tried, Limit::NodeMemory);
        match populate(mapping, &placing.crew, &admit) {
            Ok(()) => {}
            Err(refusal) if places && !source.strict && !source.prefault => {
                self.leave_to_kernel(mapping, step(refusal), steps);
                return Ok(());
            }
            Err(refusal @ Refusal::Absent(..)) => {
                self.leave_to_kernel(mapping, step(refusal), steps);
                populate(mapping, &Crew::caller(), &admit).map_err(step)?;
            }
            Err(refusal) => return Err(step(refusal)),
        }
        mapping.options.add(Options::PREFAULTED);
        Ok(())
    }

    fn leave_to_kernel(&self, mapping: &mut Mapping, why: Step, steps: &mut Steps) {
        steps.note(why);
        (mapping.nodes, mapping.policy, mapping.placed_by) = (NodePolicy::Any, None, PlacedBy::Kernel);
    }

    /// Which limit stood behind a refusal of explicit huge pages.
    fn why_no_huge_pages(&self, placement: Option<&Placement>, page_bytes: u64, bytes: u64, errno: Errno) -> Limit {
        if errno == libc::EINVAL {
            return Limit::PageSizeUnknown;
        }
        let nodes = placement.and_then(Placement::bound_to);
        let (limit, ..) = this_machine::huge_pages_now(page_bytes).shortage_of_huge(
            page_bytes,
            bytes,
            nodes.unwrap_or(&NodeMask::EMPTY),
            nodes.is_some(),
        );
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
