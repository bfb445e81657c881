//! A segment: an arena in memory that several processes map, each where it likes. A block is known by its place and its
//! generation, which mean the same everywhere; what a process makes of them is checked.
//!
//! [`file`] is the memory: a sealed anonymous file. [`layout`] is what stands in it, and [`owner`] tells whether the
//! process that made it is still there.

pub mod file;
mod layout;
mod owner;

pub use file::Access;
pub use layout::Place;
pub use owner::State as OwnerState;

use super::governor::{Account, Charge, Holder};
use super::pages::PagesError;
use super::receipt::Receipt;
use super::source::{PageSource, SourceError};
use super::system::{self, Errno};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::handles::{Handled, Kind};
use crate::base::{InvalidField, Name};
use file::{Mapped, Origin};
use layout::{Full, HEADER_BYTES, Header, LARGEST_BYTES, PREFIX_BYTES, Prefix, UNIT};
use owner::{Claim, Identity};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

pub const DEFAULT_BYTES: u64 = 2 << 20;
pub const SMALLEST_BYTES: u64 = 4096;
/// Every process maps it at a multiple of a page.
pub const MAX_ALIGN: u64 = 4096;

#[derive(Clone, Copy, Debug, Default)]
pub struct SegmentConfig {
    pub source: PageSource,
    /// 0: [`DEFAULT_BYTES`].
    pub bytes: u64,
    /// No other process can map it for writing.
    pub sole_writer: bool,
    pub name: Name,
}

#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error("{call} of the segment failed: errno {errno}")]
    Call { call: &'static str, errno: Errno },
    #[error("fd is {fd}, which {why}, but must be of a segment")]
    Foreign { fd: i32, why: &'static str },
    #[error("fd {fd} holds a segment of layout {version}, which this library does not know")]
    OtherLayout { fd: i32, version: u32 },
    #[error("fd {fd} cannot be mapped for writing: it is open for reading only, or its owner is the sole writer")]
    ReadOnlyFile { fd: i32 },
    #[error("the segment is attached for reading only")]
    ReadOnly,
    #[error("only the process that made the segment can reset it")]
    NotOwner,
    #[error("the segment is closing: it takes no new work")]
    Closed,
    #[error("{wanted} bytes are not left in the segment: {left} are")]
    Full { wanted: u64, left: u64 },
    #[error("block {block:#x} is not one of this segment, or the segment was reset since")]
    StaleBlock { block: u64 },
    #[error("no block of the segment begins at {address:#x}")]
    ForeignPointer { address: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentStats {
    pub bytes: u64,
    pub used_bytes: u64,
    pub page_bytes: u64,
    pub generation: u64,
    pub owner_process: u64,
    pub owner: OwnerState,
    pub access: Access,
}

pub struct Segment {
    mapped: Mapped,
    file: OwnedFd,
    owner: Identity,
    page_bytes: u64,
    closing: AtomicBool,
    /// What only the process that made it has.
    made: Option<Making>,
}

/// Dropped after the mapping and the file.
struct Making {
    origin: Origin,
    _claim: Claim,
    _charge: Charge,
}

/// A block as this process sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub address: *mut u8,
    pub bytes: u64,
}

impl Segment {
    pub fn new(config: SegmentConfig) -> Result<Arc<Self>, SegmentError> {
        let bytes = if config.bytes == 0 { DEFAULT_BYTES } else { config.bytes };
        if !(SMALLEST_BYTES..=LARGEST_BYTES).contains(&bytes) {
            let bound = "must be 0, or 4096 to 1099511627776 (1 TiB)";
            return Err(InvalidField { field: "bytes", value: bytes, bound }.into());
        }
        let source = &config.source;
        let options = [
            ("lock", source.lock),
            ("guard", source.guard),
            ("exclude_fork", source.exclude_fork),
            ("exclude_dump", source.exclude_dump),
        ];
        if let Some((field, _)) = options.into_iter().find(|(_, is_asked)| *is_asked) {
            return Err(InvalidField { field, value: 1, bound: "must be 0 for a segment" }.into());
        }
        let account = Account::open(Holder::Shared, config.name)?;
        let made = file::make(&file::Request {
            bytes,
            source: config.source.checked()?,
            account: &account,
            name: config.name.as_str(),
            sole_writer: config.sole_writer,
        })?;
        let claim = Claim::stake(made.file.as_fd()).map_err(|errno| SegmentError::Call { call: "lock", errno })?;
        Ok(alloc::try_arc(Self {
            page_bytes: made.origin.page_bytes(),
            mapped: made.mapped,
            file: made.file,
            owner: Identity::own(),
            closing: AtomicBool::new(false),
            made: Some(Making { origin: made.origin, _claim: claim, _charge: made.charge }),
        })?)
    }

    /// Maps a segment that another process made, by a descriptor of its file, which stays the caller's.
    pub fn attach(fd: BorrowedFd, access: Access) -> Result<Arc<Self>, SegmentError> {
        let found = file::attach(fd, access)?;
        Ok(alloc::try_arc(Self {
            mapped: found.mapped,
            file: found.file,
            owner: found.facts.owner,
            page_bytes: found.facts.page_bytes,
            closing: AtomicBool::new(false),
            made: None,
        })?)
    }

    /// A new descriptor of the segment's file, for another process to attach by.
    pub fn descriptor(&self, access: Access) -> Result<OwnedFd, SegmentError> {
        let mode = match access {
            Access::ReadWrite if self.mapped.access == Access::ReadOnly => return Err(SegmentError::ReadOnly),
            Access::ReadWrite => libc::O_RDWR,
            Access::ReadOnly => libc::O_RDONLY,
        };
        system::reopen(self.file.as_fd(), mode).map_err(|errno| SegmentError::Call { call: "open", errno })
    }

    fn header(&self) -> &Header {
        self.mapped.header()
    }

    fn writable(&self) -> Result<&Header, SegmentError> {
        if self.mapped.access == Access::ReadOnly {
            return Err(SegmentError::ReadOnly);
        }
        if self.closing.load(Relaxed) || self.header().is_closed() {
            return Err(SegmentError::Closed);
        }
        Ok(self.header())
    }

    /// Allocates a block, which every process finds by its place.
    pub fn alloc(&self, bytes: u64, align: u64) -> Result<(Place, Block), SegmentError> {
        let align = if align == 0 { UNIT } else { align };
        if !align.is_power_of_two() || align > MAX_ALIGN {
            let bound = "must be 0 or a power of two of at most 4096";
            return Err(InvalidField { field: "align_bytes", value: align, bound }.into());
        }
        let header = self.writable()?;
        let bytes = bytes.max(1);
        let full = |Full { left }| SegmentError::Full { wanted: bytes, left };
        let place = header.take(bytes, align, self.mapped.bytes).map_err(full)?;
        self.prefix(place.offset()).write(place, bytes);
        Ok((place, self.block(place, bytes)))
    }

    /// What stands before the block at an offset, which is a multiple of [`UNIT`] behind the header and before the end.
    fn prefix(&self, offset: u64) -> &Prefix {
        let at = (offset - PREFIX_BYTES) as usize;
        // SAFETY: inside the mapping and aligned, as the caller promises; two atomic words, of which any bits are some.
        unsafe { &*self.mapped.address().add(at).cast() }
    }

    fn block(&self, place: Place, bytes: u64) -> Block {
        Block { address: self.mapped.address().wrapping_add(place.offset() as usize), bytes }
    }

    /// The block at a place, if it is one of now.
    pub fn get(&self, place: Place) -> Result<Block, SegmentError> {
        let is_of_now = place.generation() == self.header().next().generation();
        match self.bytes_at(place) {
            Some(bytes) if is_of_now => Ok(self.block(place, bytes)),
            _ => Err(SegmentError::StaleBlock { block: place.0 }),
        }
    }

    /// How long the block at a place is. Whatever other processes wrote, it lies in the mapping.
    fn bytes_at(&self, place: Place) -> Option<u64> {
        let offset = place.offset();
        if offset < HEADER_BYTES + PREFIX_BYTES || offset >= self.mapped.bytes {
            return None;
        }
        let bytes = self.prefix(offset).read(place)?;
        (bytes <= self.mapped.bytes - offset).then_some(bytes)
    }

    /// The place of the block that begins at an address of this process.
    pub fn find(&self, address: *const u8) -> Result<Place, SegmentError> {
        let offset = (address as u64).wrapping_sub(self.mapped.address() as u64);
        let place = Place::new(self.header().next().generation(), offset);
        let is_one = offset < self.mapped.bytes && offset.is_multiple_of(UNIT) && self.bytes_at(place).is_some();
        if is_one { Ok(place) } else { Err(SegmentError::ForeignPointer { address: address as u64 }) }
    }

    /// Names the block that whoever attaches begins with.
    pub fn set_root(&self, place: Place) -> Result<(), SegmentError> {
        let header = self.writable()?;
        self.get(place)?;
        header.set_root(place);
        Ok(())
    }

    /// [`Place::NONE`]: nothing was named since the last reset.
    pub fn root(&self) -> Place {
        self.header().root()
    }

    /// Frees every block; their places are stale from now on. No process may use one meanwhile.
    pub fn reset(&self) -> Result<(), SegmentError> {
        let header = self.writable()?;
        if self.made.is_none() {
            return Err(SegmentError::NotOwner);
        }
        header.begin_generation();
        Ok(())
    }

    pub fn stats(&self) -> Result<SegmentStats, SegmentError> {
        let next = self.header().next();
        let owner = owner::state(self.file.as_fd(), self.owner, self.header().is_closed())
            .map_err(|errno| SegmentError::Call { call: "F_OFD_GETLK", errno })?;
        Ok(SegmentStats {
            bytes: self.mapped.bytes,
            used_bytes: next.offset().min(self.mapped.bytes),
            page_bytes: self.page_bytes,
            generation: next.generation(),
            owner_process: self.owner.process,
            owner,
            access: self.mapped.access,
        })
    }

    /// Asks the kernel what the memory is made of.
    pub fn receipt(&self) -> Receipt {
        match &self.made {
            Some(made) => made.origin.receipt(&self.mapped),
            None => Receipt::of_adopted(self.mapped.address() as u64, self.mapped.bytes),
        }
    }
}

impl Handled for Segment {
    const KIND: Kind = Kind::Segment;

    fn begin_destroy(&self) {
        self.closing.store(true, Relaxed);
    }

    /// Whoever is still attached keeps the memory, and learns that its owner left in order.
    fn finish_destroy(&self) {
        if self.made.is_some() {
            self.header().close();
        }
    }
}

#[cfg(test)]
mod tests;
