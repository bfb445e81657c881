//! The source of pages. A chunk climbs down a [`ladder`] of page sizes until one is to be had, and keeps a record of the
//! steps. It lies in a [`window`] of address space and has its [`options`]. Nothing here ends in a signal: huge pages
//! are [populated](populate) when they are mapped, where the kernel can still answer with an error, and nothing is
//! populated past a limit whose answer would be a kill. What the kernel takes apart later can be [repaired](repair).

mod ladder;
mod options;
mod populate;
mod repair;
mod window;

use super::governor::{Account, Charge, Refused};
use super::placement::Placement;
use super::placing::PlacedBy;
use super::policy::{NodeMask, NodePolicy, Pages};
use super::source::PageSource;
use super::system::{self, Errno, RawPolicy};
use super::{residency, sanitizers};
use parking_lot::Mutex;
use std::ptr::NonNull;
use std::sync::Arc;
use window::Window;

pub use super::steps::{Limit, MAX_STEPS, Step, Steps};
pub use options::Options;

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

/// One more chunk of an object that may have a limit.
#[derive(Clone, Copy)]
pub struct NextChunk<'a> {
    /// At least this much.
    pub needed: u64,
    /// As much as chunks have when the limit leaves it.
    pub usual: u64,
    /// What the limit leaves.
    pub left: u64,
    pub source: PageSource,
    pub account: &'a Arc<Account>,
    pub name: &'a str,
}

impl NextChunk<'_> {
    /// `over_limit` is told the bytes that would pass the limit.
    pub fn map<E: From<PagesError>>(&self, over_limit: impl Fn(u64) -> E) -> Result<Mapping, E> {
        let Self { needed, usual, left, source, account, name } = *self;
        if needed > left {
            return Err(over_limit(needed));
        }
        let request = Request { bytes: usual.min(left).max(needed), at_most: left, source, account, name };
        Mapping::new(&request).map_err(|error| match error {
            PagesError::OverLimit { bytes, .. } => over_limit(bytes),
            error => error.into(),
        })
    }
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
    #[error("strict, and {bytes} bytes may not be locked [errno {errno}]: RLIMIT_MEMLOCK is {limit} bytes")]
    LockRefused { bytes: u64, limit: u64, errno: Errno },
    #[error("{bytes} bytes of {asked} pages are more than the {at_most} that the limit leaves")]
    OverLimit { asked: Pages, bytes: u64, at_most: u64 },
}

/// Mapped memory of one chunk, and how it came about. Dropping it gives the memory back.
#[derive(Debug)]
pub struct Mapping {
    window: Window,
    pub bytes: u64,
    /// The step of the ladder that held.
    pub pages: Pages,
    pub page_bytes: u64,
    /// The node policy that places it; `Any` when none does.
    pub nodes: NodePolicy,
    pub placed_by: PlacedBy,
    /// The policy as the kernel knows it, or would.
    policy: Option<RawPolicy>,
    pub options: Options,
    pub asked: PageSource,
    pub asked_bytes: u64,
    pub steps: Steps,
    /// Ends after the memory is unmapped.
    charge: Mutex<Charge>,
}

impl Mapping {
    /// Maps a chunk, down the ladder until a step holds.
    pub fn new(request: &Request) -> Result<Self, PagesError> {
        ladder::climb(request)
    }

    pub fn address(&self) -> *mut u8 {
        self.window.address().as_ptr()
    }

    /// Moves it, pages and all, onto address space that is reserved for it; that stays reserved when this is dropped.
    /// Guards do not move along.
    ///
    /// # Safety
    /// `to` is a multiple of the page size got, lies inside what [`system::reserve`] returned, has room for all of it,
    /// and outlives it. Nobody uses the memory yet.
    pub unsafe fn move_to(&mut self, to: NonNull<u8>) -> Result<(), Errno> {
        sanitizers::unmapping(self.address(), self.bytes);
        // SAFETY: the caller's promise.
        let moved = unsafe { self.window.move_to(to) };
        sanitizers::mapped(self.address(), self.bytes);
        moved
    }

    /// Whether the chunk is less than was asked.
    pub fn stepped_down(&self) -> bool {
        let best = self.asked.pages == Pages::Best;
        (!best && (self.pages != self.asked.pages || !self.steps.as_slice().is_empty()))
            || self.nodes != self.asked.nodes
            || !self.options.has(Options::asked(&self.asked))
    }

    /// The nodes that the policy stands for; empty: all.
    pub fn node_set(&self) -> NodeMask {
        self.policy.map_or(NodeMask::EMPTY, |policy| policy.nodes)
    }

    /// Bytes of the smallest page that it may be made of.
    pub fn step_bytes(&self) -> u64 {
        if self.is_explicit() { self.page_bytes } else { system::base_page_bytes() }
    }

    /// Lets another account pay for it from now on.
    pub fn hand_over(&self, to: &Arc<Account>) {
        self.charge.lock().hand_over(to);
    }

    /// Lets nobody pay for a part whose pages were given back, until that is charged again.
    pub fn discharge(&self, bytes: u64) {
        self.charge.lock().give_part(bytes);
    }

    /// Before such a part is used again.
    pub fn charge_again(&self, bytes: u64) -> Result<(), Refused> {
        self.charge.lock().take_again(bytes)
    }

    fn own(window: Window, request: &Request, pages: Pages, page_bytes: u64, charge: Charge) -> Self {
        sanitizers::mapped(window.address().as_ptr(), window.bytes());
        let mut options = Options::default();
        if window.is_guarded() {
            options.add(Options::GUARDED);
        }
        Self {
            bytes: window.bytes(),
            window,
            pages,
            page_bytes,
            nodes: NodePolicy::Any,
            placed_by: PlacedBy::Kernel,
            policy: None,
            options,
            asked: request.source,
            asked_bytes: request.bytes,
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
        let misplaced = placement.and_then(|placement| match self.placed_by {
            PlacedBy::FirstTouch => found.why_not_as(placement, self.bytes, self.page_bytes),
            _ => found.is_astray(placement.nodes()).then_some(Limit::NodeMemory),
        });
        if let Some(limit) = misplaced {
            steps.note(Step { tried: self.pages, limit, errno: 0 });
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
    }
}

#[cfg(test)]
mod tests;
