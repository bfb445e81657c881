//! An arena: chunks on the pages and nodes asked for, shared by many threads, each of which bumps through a region of
//! its own, and given back all at once.

use super::chunks::{Chunks, Position, SPAN_ALIGN, Span};
use super::cursor::{Cursor, CursorError, Slot};
use super::governor::{Account, Holder};
use super::lane::Lane;
use super::lanes::Lanes;
use super::pages::{Mapping, PagesError, Request};
use super::receipt::Receipt;
use super::region::{Block, MAX_ALIGN, Region};
use super::round_up;
use super::source::{PageSource, SourceError};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::cancel::{self, Cancel, WaitEnd};
use crate::base::clock::Deadline;
use crate::base::handles::{Handled, Kind};
use crate::base::park::Parker;
use crate::base::thread::ThreadRecord;
use crate::base::{InvalidField, Name, Owner};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};

pub const DEFAULT_CHUNK_BYTES: u64 = 2 << 20;
pub const SMALLEST_CHUNK_BYTES: u64 = 64 << 10;
pub const LARGEST_CHUNK_BYTES: u64 = 1 << 40;

/// What a thread takes at once, and the least that is worth taking from the end of a chunk.
const REGION_BYTES: u64 = 64 << 10;
const SMALLEST_REGION_BYTES: u64 = 16 << 10;
/// A block larger than this gets a span of its own, and the thread keeps its region.
const LARGEST_IN_REGION: u64 = 16 << 10;

#[derive(Clone, Copy, Debug, Default)]
pub struct ArenaConfig {
    pub source: PageSource,
    /// 0: [`DEFAULT_CHUNK_BYTES`].
    pub chunk_bytes: u64,
    /// 0: none.
    pub limit_bytes: u64,
    pub name: Name,
}

#[derive(Debug, thiserror::Error)]
pub enum ArenaError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("the arena is closing: it takes no new work")]
    Closed,
    #[error("{wanted} bytes more would pass limit_bytes {limit}: {mapped} bytes are mapped")]
    Limit { wanted: u64, limit: u64, mapped: u64 },
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error(transparent)]
    Cursor(#[from] CursorError),
    #[error("the mark is of arena {marked:#x}, not of {arena:#x}")]
    MarkOfAnother { marked: u64, arena: u64 },
    #[error("mark {serial} is stale: the arena was reset, or rewound to an earlier mark")]
    StaleMark { serial: u64 },
    #[error("chunk_index is {index}, but the arena has {chunks} chunks")]
    NoSuchChunk { index: u64, chunks: u64 },
    #[error("{0}, with cursors still open")]
    Wait(WaitEnd),
}

/// A moment of an arena that it can be rewound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub arena: u64,
    pub serial: u64,
}

/// What becomes of the pages at a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    Keep,
    Return,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaStats {
    pub chunks: u64,
    pub mapped_bytes: u64,
    pub used_bytes: u64,
    pub peak_used_bytes: u64,
    pub cursors_open: u64,
    pub refills: u64,
    pub resets: u64,
    pub rewinds: u64,
    pub step_downs: u64,
}

pub struct Arena {
    owner: Owner,
    config: ArenaConfig,
    account: Arc<Account>,
    /// Goes on whenever the lanes must be empty: at a mark, a rewind, a reset, and when the arena closes.
    epoch: AtomicU64,
    lanes: Lanes<Lane>,
    state: Mutex<State>,
    /// Held by the thread that maps the next chunk, so that others can go on meanwhile with what is left.
    growth: Mutex<()>,
    cursors_open: AtomicU64,
}

struct State {
    closing: bool,
    destroyed: bool,
    chunks: Chunks,
    cursors: Vec<Slot>,
    marks: Vec<(u64, Position)>,
    next_serial: u64,
    /// The region that was filled last. Its end can go back to the chunk, if nothing was cut after it.
    last_filled: Option<RegionRef>,
    waiters: Vec<&'static Parker>,
    refills: u64,
    resets: u64,
    rewinds: u64,
    step_downs: u64,
}

/// A lane's or cursor's region; both live at least as long as the arena.
#[derive(Clone, Copy)]
struct RegionRef(*const Region);

// SAFETY: the region's fields are atomic, and it outlives the state that refers to it.
unsafe impl Send for RegionRef {}

impl State {
    fn filled_last(&self, region: &Region) -> bool {
        self.last_filled.is_some_and(|last| std::ptr::eq(last.0, region))
    }

    /// Takes the unused end of the last region back, which its thread must not use any more.
    fn take_back_last(&mut self) {
        if let Some(RegionRef(region)) = self.last_filled.take() {
            // SAFETY: lanes live as long as the arena, cursors for ever.
            let region = unsafe { &*region };
            self.chunks.give_back(region.next(), region.end());
        }
    }
}

impl Arena {
    pub fn new(owner: Owner, config: ArenaConfig) -> Result<Arc<Self>, ArenaError> {
        let config = checked(config)?;
        let arena = alloc::try_arc(Self {
            owner,
            config,
            account: Account::open(Holder::Arena, config.name)?,
            epoch: AtomicU64::new(1),
            lanes: Lanes::default(),
            state: Mutex::new(State {
                closing: false,
                destroyed: false,
                chunks: Chunks::default(),
                cursors: Vec::new(),
                marks: Vec::new(),
                next_serial: 1,
                last_filled: None,
                waiters: Vec::new(),
                refills: 0,
                resets: 0,
                rewinds: 0,
                step_downs: 0,
            }),
            growth: Mutex::new(()),
            cursors_open: AtomicU64::new(0),
        })?;
        // The first chunk comes now, so that what cannot be had is said at once.
        drop(arena.add_chunk(1, 0)?);
        Ok(arena)
    }

    /// Allocates from the calling thread's own lane.
    #[inline]
    pub fn alloc(&self, bytes: u64, align: u64) -> Result<*mut u8, ArenaError> {
        let block = Block::new(bytes, align).ok_or(bad_alignment(align))?;
        let lane = ThreadRecord::current().and_then(|record| self.lanes.of(record));
        if let Some(lane) = lane
            && let Some(start) = lane.bump(block, self.epoch.load(Relaxed))
        {
            return Ok(start);
        }
        let Some(lane) = lane else { return self.alloc_apart(block) };
        self.alloc_slowly(block, lane.region(), |span| lane.fill(span.start, span.end, self.epoch.load(Relaxed)))
    }

    /// Allocates through a cursor whose region may be used up.
    pub fn alloc_through(&self, slot: Slot, bytes: u64, align: u64) -> Result<*mut u8, ArenaError> {
        let block = Block::new(bytes, align).ok_or(bad_alignment(align))?;
        let region = &slot.cursor().region;
        if let Some(start) = region.bump(block) {
            return Ok(start);
        }
        self.alloc_slowly(block, region, |span| region.fill(span.start, span.end))
    }

    #[cold]
    fn alloc_slowly(&self, block: Block, region: &Region, fill: impl Fn(&Span)) -> Result<*mut u8, ArenaError> {
        if block.bytes() > LARGEST_IN_REGION || block.align() as u64 > LARGEST_IN_REGION {
            return self.alloc_apart(block);
        }
        let needed = span_bytes(block).ok_or_else(|| self.too_large(block))?;
        let refill = |state: &mut State, at_least: u64| {
            // What is left of the region joins what follows it.
            if state.filled_last(region) {
                state.take_back_last();
                region.empty();
            }
            let span = state.chunks.take(at_least, REGION_BYTES.max(needed))?;
            fill(&span);
            state.refills += 1;
            state.last_filled = Some(RegionRef(region));
            region.bump(block)
        };
        self.grow(SMALLEST_REGION_BYTES.max(needed), |state| refill(state, SMALLEST_REGION_BYTES.max(needed))).or_else(
            // Where nothing more can be mapped, a small rest of a chunk is better than nothing.
            |error| self.state().and_then(|mut state| refill(&mut state, needed).ok_or(error)),
        )
    }

    /// A span for one block alone.
    fn alloc_apart(&self, block: Block) -> Result<*mut u8, ArenaError> {
        let needed = span_bytes(block).ok_or_else(|| self.too_large(block))?;
        self.grow(needed, |state| {
            let span = state.chunks.take(needed, needed)?;
            let alone = Region::default();
            alone.fill(span.start, span.end);
            alone.bump(block)
        })
    }

    fn too_large(&self, block: Block) -> ArenaError {
        OutOfMemory { bytes: block.bytes() }.into()
    }

    /// Takes something that needs `needed` bytes of a chunk, and maps another chunk when none has them.
    fn grow<R>(&self, needed: u64, take: impl Fn(&mut State) -> Option<R>) -> Result<R, ArenaError> {
        let _watch = EmptyOnPanic(self);
        if let Some(taken) = take(&mut *self.state()?) {
            return Ok(taken);
        }
        let _growing = self.growth.lock();
        let mapped = {
            let mut state = self.state()?;
            if let Some(taken) = take(&mut state) {
                return Ok(taken);
            }
            state.chunks.mapped_bytes()
        };
        let mut state = self.add_chunk(needed, mapped)?;
        take(&mut state).ok_or(OutOfMemory { bytes: needed }.into())
    }

    /// Maps a chunk, without the lock, and adds it to the list.
    fn add_chunk(&self, needed: u64, mapped: u64) -> Result<MutexGuard<'_, State>, ArenaError> {
        let mapping = alloc::try_arc(self.map(needed, mapped)?)?;
        let mut state = self.state()?;
        state.step_downs += u64::from(mapping.stepped_down());
        state.chunks.push(mapping)?;
        Ok(state)
    }

    fn map(&self, needed: u64, mapped: u64) -> Result<Mapping, ArenaError> {
        let limit = if self.config.limit_bytes == 0 { u64::MAX } else { self.config.limit_bytes };
        let over_limit = |wanted| ArenaError::Limit { wanted, limit, mapped };
        let at_most = limit.saturating_sub(mapped);
        if needed > at_most {
            return Err(over_limit(needed));
        }
        let request = Request {
            bytes: self.config.chunk_bytes.min(at_most).max(needed),
            at_most,
            source: self.config.source,
            account: &self.account,
            name: self.config.name.as_str(),
        };
        Mapping::new(&request).map_err(|error| match error {
            PagesError::OverLimit { bytes, .. } => over_limit(bytes),
            error => error.into(),
        })
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, ArenaError> {
        let state = self.state.lock();
        if state.closing { Err(ArenaError::Closed) } else { Ok(state) }
    }

    /// Remembers this moment. Nobody may allocate meanwhile.
    pub fn mark(&self) -> Result<Mark, ArenaError> {
        let _watch = EmptyOnPanic(self);
        let mut state = self.state()?;
        self.empty_regions(&mut state);
        let position = state.chunks.position();
        // The same moment has the same mark, so marking and rewinding in turn needs no more and more memory.
        let serial = match state.marks.last() {
            Some((serial, last)) if *last == position => *serial,
            _ => {
                alloc::try_reserve_one(&mut state.marks)?;
                let serial = state.next_serial;
                state.next_serial += 1;
                state.marks.push((serial, position));
                serial
            }
        };
        Ok(Mark { arena: self.owner.0, serial })
    }

    /// Frees all that was allocated since the mark, which stays valid. Nobody may allocate meanwhile.
    pub fn rewind(&self, mark: Mark) -> Result<(), ArenaError> {
        if mark.arena != self.owner.0 {
            return Err(ArenaError::MarkOfAnother { marked: mark.arena, arena: self.owner.0 });
        }
        let mut state = self.state()?;
        let found = state.marks.binary_search_by_key(&mark.serial, |(serial, _)| *serial);
        let place = found.map_err(|_| ArenaError::StaleMark { serial: mark.serial })?;
        let position = state.marks[place].1;
        state.marks.truncate(place + 1);
        self.empty_regions(&mut state);
        state.chunks.rewind(position);
        state.rewinds += 1;
        Ok(())
    }

    /// Frees all that was allocated. Nobody may allocate meanwhile.
    pub fn reset(&self, mode: Reset) -> Result<(), ArenaError> {
        let mut state = self.state()?;
        self.empty_regions(&mut state);
        state.marks.clear();
        state.resets += 1;
        match mode {
            Reset::Keep => state.chunks.rewind(Position::default()),
            Reset::Return => {
                let returned = state.chunks.clear();
                drop(state);
                drop(returned);
            }
        }
        Ok(())
    }

    /// Sends the next allocation of every thread into the library, and takes the unused end of the last region back.
    fn empty_regions(&self, state: &mut State) {
        state.take_back_last();
        self.epoch.fetch_add(1, Relaxed);
        for slot in &state.cursors {
            slot.cursor().region.empty();
        }
    }

    pub fn open_cursor(&self) -> Result<*mut Cursor, ArenaError> {
        let _watch = EmptyOnPanic(self);
        let mut state = self.state()?;
        alloc::try_reserve_one(&mut state.cursors)?;
        let slot = Slot::take(self.owner.0)?;
        slot.set_place(state.cursors.len());
        state.cursors.push(slot);
        self.cursors_open.fetch_add(1, SeqCst);
        Ok(slot.open())
    }

    /// Closes a cursor of this arena; what was allocated through it stays. `false`: another thread was faster.
    pub fn close_cursor(&self, slot: Slot) -> bool {
        let mut state = self.state.lock();
        if state.filled_last(&slot.cursor().region) {
            state.take_back_last();
        }
        if !slot.close(self.owner.0) {
            return false;
        }
        let place = slot.place();
        state.cursors.swap_remove(place);
        if let Some(moved) = state.cursors.get(place) {
            moved.set_place(place);
        }
        if self.cursors_open.fetch_sub(1, SeqCst) == 1 {
            state.waiters.drain(..).for_each(Parker::unpark);
        }
        drop(state);
        slot.vacate();
        true
    }

    /// Takes no new work, and waits until every cursor is closed.
    pub fn close(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), ArenaError> {
        let parker = cancel::current_parker()?;
        {
            let mut state = self.state.lock();
            alloc::try_reserve_one(&mut state.waiters)?;
            state.waiters.push(parker);
            state.closing = true;
            self.epoch.fetch_add(1, Relaxed);
        }
        let ready = || (self.cursors_open() == 0 || self.state.lock().destroyed).then_some(());
        let ended = cancel::wait_until(deadline, cancel, ready);
        let mut state = self.state.lock();
        state.waiters.retain(|waiter| !std::ptr::eq(*waiter, parker));
        match ended {
            Ok(()) if self.cursors_open() > 0 => Err(ArenaError::Closed),
            Ok(()) => Ok(()),
            Err(end) => Err(ArenaError::Wait(end)),
        }
    }

    pub fn cursors_open(&self) -> u64 {
        self.cursors_open.load(SeqCst)
    }

    pub fn stats(&self) -> ArenaStats {
        let state = self.state.lock();
        ArenaStats {
            chunks: state.chunks.count() as u64,
            mapped_bytes: state.chunks.mapped_bytes(),
            used_bytes: state.chunks.used_bytes(),
            peak_used_bytes: state.chunks.peak_used_bytes(),
            cursors_open: self.cursors_open(),
            refills: state.refills,
            resets: state.resets,
            rewinds: state.rewinds,
            step_downs: state.step_downs,
        }
    }

    /// Asks the kernel about one chunk.
    pub fn receipt(&self, index: u64) -> Result<Receipt, ArenaError> {
        let (mapping, chunks) = {
            let state = self.state.lock();
            (state.chunks.get(usize::try_from(index).unwrap_or(usize::MAX)), state.chunks.count() as u64)
        };
        let mapping = mapping.ok_or(ArenaError::NoSuchChunk { index, chunks })?;
        Ok(Receipt::of(&mapping))
    }

    /// Asks the kernel about every chunk.
    pub fn receipts(&self) -> Vec<Receipt> {
        let mappings: Vec<_> = {
            let state = self.state.lock();
            (0..state.chunks.count()).filter_map(|index| state.chunks.get(index)).collect()
        };
        mappings.iter().map(|mapping| Receipt::of(mapping)).collect()
    }
}

/// After a panic the arena is quarantined; then also its cursors must not go on without it.
struct EmptyOnPanic<'a>(&'a Arena);

impl Drop for EmptyOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let state = self.0.state.lock();
            for slot in &state.cursors {
                slot.cursor().region.empty();
            }
        }
    }
}

impl Handled for Arena {
    const KIND: Kind = Kind::Arena;

    fn begin_destroy(&self) {
        let mut state = self.state.lock();
        (state.closing, state.destroyed) = (true, true);
        state.waiters.drain(..).for_each(Parker::unpark);
    }

    /// What was allocated stays mapped until the last cursor is closed.
    fn finish_destroy(&self) {
        let mut state = self.state.lock();
        self.empty_regions(&mut state);
    }

    fn children(&self) -> u64 {
        self.cursors_open()
    }
}

/// Bytes of a span that holds the block wherever the span begins.
fn span_bytes(block: Block) -> Option<u64> {
    round_up(block.worst_case(SPAN_ALIGN as usize)?, SPAN_ALIGN)
}

#[cold]
fn bad_alignment(align: u64) -> InvalidField {
    const BOUND: &str = "must be 0 or a power of two of at most 2097152 (2 MiB)";
    const _: () = assert!(MAX_ALIGN == 2_097_152);
    InvalidField { field: "align_bytes", value: align, bound: BOUND }
}

fn checked(mut config: ArenaConfig) -> Result<ArenaConfig, ArenaError> {
    if config.chunk_bytes == 0 {
        config.chunk_bytes = DEFAULT_CHUNK_BYTES;
    }
    if !(SMALLEST_CHUNK_BYTES..=LARGEST_CHUNK_BYTES).contains(&config.chunk_bytes) {
        let bound = "must be 0, or 65536 (64 KiB) to 1099511627776 (1 TiB)";
        return Err(InvalidField { field: "chunk_bytes", value: config.chunk_bytes, bound }.into());
    }
    if config.limit_bytes != 0 && config.limit_bytes < SMALLEST_CHUNK_BYTES {
        let bound = "must be 0, or at least 65536 (64 KiB)";
        return Err(InvalidField { field: "limit_bytes", value: config.limit_bytes, bound }.into());
    }
    config.source = config.source.checked()?;
    Ok(config)
}

#[cfg(test)]
mod tests;
