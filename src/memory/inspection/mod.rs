//! Inspection: the chunks of an object, looked at again, because the kernel splits huge pages and moves pages between
//! nodes as it likes. It is asked anew each time: what each chunk got, how much of all of them still is so, and what a
//! [`repair`] can bring back.

mod repair;

use super::coverage::{Coverage, Inspector, Progress, Repair, Seen};
use super::pages::Mapping;
use super::policy::Pages;
use super::receipt::Receipt;
use super::residency::{self, Method};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::handles::{self, Handled, Pin};
use crate::base::thread::ThreadRecord;
use crate::base::{Owner, clock};
use parking_lot::MutexGuard;
use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::Range;

/// A chunk as it is shown.
#[derive(Clone, Copy)]
pub enum Memory<'a> {
    Mapped(&'a Mapping),
    /// Lent by the host, so that nothing was asked for it.
    Adopted {
        address: u64,
        bytes: u64,
    },
}

impl Memory<'_> {
    fn receipt(self) -> Receipt {
        match self {
            Memory::Mapped(mapping) => Receipt::of(mapping),
            Memory::Adopted { address, bytes } => Receipt::of_adopted(address, bytes),
        }
    }

    fn bytes(self) -> u64 {
        match self {
            Memory::Mapped(mapping) => mapping.bytes,
            Memory::Adopted { bytes, .. } => bytes,
        }
    }

    fn coverage(self) -> Coverage {
        self.coverage_of(0..self.bytes())
    }

    fn coverage_of(self, part: Range<u64>) -> Coverage {
        match self {
            Memory::Mapped(mapping) => coverage_of(mapping, part),
            Memory::Adopted { .. } => Coverage::unknown(part.end - part.start),
        }
    }

    /// What is looked at before the looker asks whether to go on.
    fn bite(self, from: u64) -> Option<Range<u64>> {
        let most = match self {
            // Of a part, older kernels would tell page by page or not at all.
            Memory::Mapped(mapping) if residency::tells_of_pages() => BITE.max(mapping.page_bytes),
            _ => u64::MAX,
        };
        (from < self.bytes()).then(|| from..self.bytes().min(from.saturating_add(most)))
    }
}

/// So much is looked at in a fraction of a millisecond; in a few where each small page has to be asked for its node.
const BITE: u64 = 64 << 20;

/// Parts of a chunk that shall have no pages, for as long as this is held.
#[derive(Default)]
pub struct Bare<'a> {
    pub parts: Vec<Range<u64>>,
    pub held: Option<MutexGuard<'a, ()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectionError {
    #[error("chunk_index is {index}, but there are {chunks} chunks")]
    NoSuchChunk { index: u64, chunks: u64 },
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// An object that is made of chunks.
pub trait Inspect {
    /// Shows each chunk, in the order of their numbers and with no lock held, until somebody has seen enough.
    fn each_chunk(&self, show: &mut dyn FnMut(Memory<'_>) -> ControlFlow<()>) -> Result<(), OutOfMemory>;

    /// Remembers what all of it was when it was looked at.
    fn note_seen(&self, seen: Seen);

    /// What a repair of a chunk must leave as it is.
    fn bare_parts(&self, _of: &Mapping) -> Result<Bare<'_>, OutOfMemory> {
        Ok(Bare::default())
    }

    /// Asks the kernel about one chunk.
    fn receipt(&self, index: u64) -> Result<Receipt, InspectionError> {
        let (mut receipt, mut chunks) = (None, 0);
        self.each_chunk(&mut |memory| {
            if chunks == index {
                receipt = Some(memory.receipt());
                return Break(());
            }
            chunks += 1;
            Continue(())
        })?;
        receipt.ok_or(InspectionError::NoSuchChunk { index, chunks })
    }

    /// Asks the kernel about every chunk.
    fn receipts(&self) -> Result<Vec<Receipt>, OutOfMemory> {
        let (mut receipts, mut refused) = (Vec::new(), Ok(()));
        self.each_chunk(&mut |memory| {
            refused = alloc::try_reserve_one(&mut receipts);
            if refused.is_err() {
                return Break(());
            }
            receipts.push(memory.receipt());
            Continue(())
        })?;
        refused.map(|()| receipts)
    }

    /// How much of the chunks still is what it was.
    fn coverage(&self) -> Result<Coverage, OutOfMemory> {
        let begun_ns = clock::now_ns();
        let mut sum = Coverage::default();
        self.each_chunk(&mut |memory| {
            sum += memory.coverage();
            Continue(())
        })?;
        self.note_seen(Seen { coverage: sum, begun_ns });
        Ok(sum)
    }

    /// Goes on with a look, at least a bite, until all was seen or `goes_on` says no. Tells whether all was seen.
    fn look_on(&self, progress: &mut Progress, goes_on: &mut dyn FnMut() -> bool) -> Result<bool, OutOfMemory> {
        let begun_ns = *progress.begun_ns.get_or_insert_with(clock::now_ns);
        let (mut number, mut is_over) = (0, true);
        self.each_chunk(&mut |memory| {
            number += 1;
            if number <= progress.chunks {
                return Continue(());
            }
            while let Some(bite) = memory.bite(progress.offset) {
                progress.offset = bite.end;
                progress.seen += memory.coverage_of(bite);
                is_over = goes_on();
                if !is_over {
                    return Break(());
                }
            }
            (progress.chunks, progress.offset) = (number, 0);
            Continue(())
        })?;
        if is_over {
            self.note_seen(Seen { coverage: progress.seen, begun_ns });
        }
        Ok(is_over)
    }

    /// Puts together what the kernel took apart, and moves home what it moved away.
    fn repair(&self) -> Result<Repair, OutOfMemory> {
        let begun_ns = clock::now_ns();
        let (mut sum, mut refused) = (Repair::default(), None);
        self.each_chunk(&mut |memory| {
            let before = memory.coverage();
            let done = match memory {
                Memory::Mapped(mapping) if before.remote_bytes > 0 || before.small_bytes > 0 => {
                    self.bare_parts(mapping).map(|bare| repair::run(mapping, before, &bare.parts))
                }
                _ => Ok(Repair { before, after: before, ..Repair::default() }),
            };
            match done {
                Ok(done) => sum += done,
                Err(error) => refused = Some(error),
            }
            if refused.is_some() { Break(()) } else { Continue(()) }
        })?;
        if let Some(refused) = refused {
            return Err(refused);
        }
        self.note_seen(Seen { coverage: sum.after, begun_ns });
        Ok(sum)
    }
}

/// For the account of an object. The object stays while it is looked at, and is not looked at once it closes. A panic
/// meanwhile quarantines it.
pub fn inspector<T: Handled + Inspect>(owner: Owner) -> Inspector {
    Inspector {
        owner,
        look: |owner| with::<T, _>(owner, |object| object.coverage()),
        look_on: |owner, progress, goes_on| {
            with::<T, _>(owner, |object| object.look_on(progress, &mut || goes_on() && object.is_left_alone()))
        },
        repair: |owner| with::<T, _>(owner, |object| object.repair()),
    }
}

/// `None`: it is going.
fn with<T: Handled, R>(owner: Owner, body: impl FnOnce(&Pin<T>) -> R) -> Option<R> {
    handles::with(ThreadRecord::current(), owner.0, body).ok()
}

/// Asks the kernel.
fn coverage_of(mapping: &Mapping, part: Range<u64>) -> Coverage {
    let nodes = mapping.node_set();
    let (start, bytes) = (mapping.address() as u64, part.end - part.start);
    let (start, end) = (start + part.start, start + part.end);
    // A policy that stands for all nodes leaves none to ask for.
    let found = match nodes.is_empty() {
        true => residency::measure_pages(start, end),
        false => residency::measure_range(start, end, mapping.pages, mapping.page_bytes),
    };
    let astray = found.nodes.iter().filter(|(node, _)| !nodes.has(*node));
    let wanted = if mapping.asked.pages == Pages::Base { 0 } else { found.resident_bytes };
    Coverage {
        mapped_bytes: bytes,
        resident_bytes: found.resident_bytes,
        wanted_huge_bytes: wanted,
        huge_bytes: found.huge_bytes,
        small_bytes: wanted.saturating_sub(found.huge_bytes),
        remote_bytes: astray.map(|(_, bytes)| bytes).sum(),
        unverified_bytes: if found.pages_by == Method::Not { bytes } else { 0 },
    }
}

#[cfg(test)]
mod tests;
