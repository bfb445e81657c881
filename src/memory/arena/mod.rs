//! An arena: chunks on the pages and nodes asked for, shared by many threads, each of which bumps through a region of
//! its own, and given back all at once.
//!
//! A [`config`] says what it is made to be. [`chunks`] holds its memory, each [`chunk`] of which was mapped or adopted,
//! and cuts it into spans; [`region`] cuts spans into blocks; [`lane`] and [`cursor`] give each thread its own region, and
//! [`cursors`] is what an arena does for the latter, which has a [`trail`] to go back on; [`room`] is where both get more. [`marks`] are moments to rewind
//! to, which is done in [`marking`], mostly with the [`bookmark`]; [`hand_over`] passes an arena or a part of it on,
//! [`reclaim`] gives back what is kept for later, [`inspection`] shows the chunks to who looks at them again, and [`poison`]
//! makes a use of what is free visible.

mod bookmark;
mod chunk;
mod chunks;
pub mod config;
pub mod cursor;
mod cursors;
mod hand_over;
mod inspection;
mod lane;
mod marking;
mod marks;
mod poison;
mod reclaim;
pub mod region;
mod room;
mod traces;
mod trail;

pub use config::{Adopted, ArenaConfig, Growth};
pub use marks::Mark;
pub use poison::Poison;

use super::governor::{Account, Holder, reclaim as reclaimers};
use super::inspection::inspector;
use super::lanes::Lanes;
use super::pages::PagesError;
use super::stretch::StretchError;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::cancel::{self, Cancel, WaitEnd};
use crate::base::clock::{self, Deadline};
use crate::base::handles::{Handled, Kind, LaneOf, Laned, Seated};
use crate::base::park::Parker;
use crate::base::thread::ThreadRecord;
use crate::base::{InvalidField, Owner};
use bookmark::Bookmark;
use chunk::Memory;
use chunks::{Chunks, Position, Span};
use config::ConfigError;
use cursors::Opened;
use lane::Lane;
use marks::Marks;
use parking_lot::{Mutex, MutexGuard};
use poison::Poisoning;
use region::{Block, Region, bad_alignment};
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, Weak};

#[derive(Debug, thiserror::Error)]
pub enum ArenaError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the arena is closing: it takes no new work")]
    Closed,
    #[error("{wanted} bytes more would pass limit_bytes {limit}: {mapped} bytes are mapped")]
    Limit { wanted: u64, limit: u64, mapped: u64 },
    #[error("{wanted} bytes are not left in the one chunk of an arena that does not grow")]
    Full { wanted: u64 },
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error(transparent)]
    Cursor(#[from] StretchError),
    #[error("the mark is of {marked:#x}, not of {owner:#x}")]
    MarkOfAnother { marked: u64, owner: u64 },
    #[error("mark {serial} is stale: the arena was reset, or rewound to an earlier mark")]
    StaleMark { serial: u64 },
    #[error("the cursor has {} marks, which is the most", cursor::MOST_MOMENTS)]
    TooManyMarks,
    #[error("mark {serial} does not begin a region")]
    NoRegion { serial: u64 },
    #[error("into is the arena that the region is in already")]
    IntoItself,
    #[error("{open} cursors are still open: whoever gives an arena away keeps no way into it")]
    CursorsOpen { open: u64 },
    #[error("{0}, with cursors still open")]
    Wait(WaitEnd),
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
    pub adopted_bytes: u64,
    pub kept_bytes: u64,
    pub used_bytes: u64,
    pub peak_used_bytes: u64,
    pub cursors_open: u64,
    pub refills: u64,
    pub resets: u64,
    pub rewinds: u64,
    pub step_downs: u64,
    pub strays: u64,
}

pub struct Arena {
    owner: Owner,
    config: ArenaConfig,
    account: Arc<Account>,
    /// Goes on whenever the lanes must be empty: at a mark, a rewind, a reset, and when the arena closes.
    epoch: AtomicU64,
    lanes: Lanes<Lane>,
    bookmark: Bookmark,
    state: Mutex<State>,
    /// Held by the thread that maps the next chunk, so that others can go on meanwhile with what is left.
    growth: Mutex<()>,
    cursors_open: AtomicU64,
    poisoning: Poisoning,
    /// When a thread last took a region.
    last_used_ns: AtomicU64,
}

struct State {
    closing: bool,
    destroyed: bool,
    chunks: Chunks,
    cursors: Vec<Opened>,
    marks: Marks,
    /// The region that was filled last. Its end can go back to the chunk, if nothing was cut after it.
    last_filled: Option<RegionRef>,
    waiters: Vec<&'static Parker>,
    counts: Counts,
}

/// What happened in an arena's life.
#[derive(Default)]
struct Counts {
    refills: u64,
    resets: u64,
    rewinds: u64,
    step_downs: u64,
    strays: u64,
}

/// A lane's or cursor's region; both live at least as long as the arena.
#[derive(Clone, Copy)]
struct RegionRef(*const Region);

// SAFETY: the region's fields are atomic, and it outlives the state that refers to it.
unsafe impl Send for RegionRef {}

/// Who takes spans: a thread's lane, or a cursor.
trait Taker {
    fn region(&self) -> &Region;
    /// Whether what is left of the region may be gone back to, and so must stay.
    fn is_marked(&self) -> bool;
    fn fill(&self, state: &mut State, span: &Span);
    /// Takes the region away.
    fn empty(&self);
    /// A span was taken for one block, and the region stays.
    fn took_alone(&self, state: &mut State, span: &Span);
}

/// A lane in the epoch of its arena.
struct InEpoch<'a> {
    lane: &'a Lane,
    epoch: &'a AtomicU64,
}

impl Taker for InEpoch<'_> {
    fn region(&self) -> &Region {
        self.lane.region()
    }

    fn is_marked(&self) -> bool {
        false
    }

    fn fill(&self, _state: &mut State, span: &Span) {
        self.lane.fill(span.start, span.end, self.epoch.load(Relaxed));
    }

    fn empty(&self) {
        self.region().empty();
    }

    fn took_alone(&self, _state: &mut State, _span: &Span) {}
}

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
        let config = config.checked()?;
        let arena = Self::empty(owner, config, Account::open(Holder::Arena, config.name)?)?;
        match config.memory {
            Some(memory) => arena.adopt(memory)?,
            // The first chunk comes now, so that what cannot be had is said at once.
            None => drop(arena.add_chunk(arena.home(), 1, 0)?),
        }
        arena.account.let_inspect(inspector::<Self>(owner));
        Ok(arena)
    }

    fn empty(owner: Owner, config: ArenaConfig, account: Arc<Account>) -> Result<Arc<Self>, ArenaError> {
        let poisoning = Poisoning::of(config.poison);
        let arena = alloc::try_arc(Self {
            owner,
            config,
            account,
            epoch: AtomicU64::new(1),
            lanes: Lanes::default(),
            bookmark: Bookmark::default(),
            state: Mutex::new(State {
                closing: false,
                destroyed: false,
                chunks: Chunks::new(poisoning),
                cursors: Vec::new(),
                marks: Marks::default(),
                last_filled: None,
                waiters: Vec::new(),
                counts: Counts::default(),
            }),
            growth: Mutex::new(()),
            cursors_open: AtomicU64::new(0),
            poisoning,
            last_used_ns: AtomicU64::new(clock::now_ns()),
        })?;
        let reclaimer: Weak<Self> = Arc::downgrade(&arena);
        reclaimers::register::<Self>(owner, reclaimer)?;
        Ok(arena)
    }

    /// Adds memory of the host as another chunk.
    pub fn adopt(&self, memory: Adopted) -> Result<(), ArenaError> {
        let memory = Memory::adopt(memory.checked()?);
        Ok(self.state()?.chunks.push(memory, self.home())?)
    }

    /// Allocates from the calling thread's own lane.
    #[inline]
    pub fn alloc(&self, bytes: u64, align: u64) -> Result<*mut u8, ArenaError> {
        let block = Block::new(bytes, align).ok_or(bad_alignment(align))?;
        if self.poisoning.is_on() {
            return self.alloc_watched(block, |block| self.alloc_in_lane(block));
        }
        self.alloc_in_lane(block)
    }

    /// Allocates from the region that a thread has already, if that has room; for a caller who keeps the arena alive, and
    /// turns to [`alloc`](Self::alloc) for everything else.
    #[inline(always)]
    pub fn alloc_at_hand(seated: &Seated<Self>, block: Block) -> Option<*mut u8> {
        if seated.poisoning.is_on() {
            return None;
        }
        seated.lane().bump(block, seated.epoch.load(Relaxed))
    }

    #[inline]
    fn alloc_in_lane(&self, block: Block) -> Result<*mut u8, ArenaError> {
        let lane = ThreadRecord::current().and_then(|record| self.lanes.of(record));
        if let Some(lane) = lane
            && let Some(start) = lane.bump(block, self.epoch.load(Relaxed))
        {
            return Ok(start);
        }
        let Some(lane) = lane else { return self.alloc_apart(block, |_, _| {}) };
        self.alloc_slowly(block, &InEpoch { lane, epoch: &self.epoch })
    }

    /// Allocates a block with a gap behind it, and lets the tools that watch know the block.
    #[cold]
    fn alloc_watched(
        &self,
        block: Block,
        alloc: impl FnOnce(Block) -> Result<*mut u8, ArenaError>,
    ) -> Result<*mut u8, ArenaError> {
        let start = alloc(Poisoning::with_gap(block).ok_or_else(|| self.too_large(block))?)?;
        self.poisoning.hand_out(start, block.bytes());
        Ok(start)
    }

    /// The state, for who changes what a mark would have to remember.
    fn changing(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock();
        self.bookmark.take_out();
        state
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, ArenaError> {
        let state = self.changing();
        if state.closing { Err(ArenaError::Closed) } else { Ok(state) }
    }

    /// Frees all that was allocated. Nobody may allocate meanwhile.
    pub fn reset(&self, mode: Reset) -> Result<(), ArenaError> {
        let mut state = self.state()?;
        self.empty_regions(&mut state);
        state.marks.clear();
        state.counts.resets += 1;
        state.chunks.rewind(Position::default());
        drop(state);
        if mode == Reset::Return {
            self.give_back(u64::MAX);
        }
        Ok(())
    }

    /// Sends the next allocation of every thread into the library, and takes the unused end of the last region back.
    fn empty_regions(&self, state: &mut State) {
        state.take_back_last();
        self.next_epoch(state);
        state.cursors.iter_mut().for_each(Opened::empty);
    }

    /// The state's lock is held, so nobody else changes it.
    fn next_epoch(&self, _state: &mut State) {
        self.epoch.store(self.epoch.load(Relaxed) + 1, Relaxed);
    }

    /// Takes no new work, and waits until every cursor is closed.
    pub fn close(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), ArenaError> {
        let parker = cancel::current_parker()?;
        {
            let mut state = self.changing();
            alloc::try_reserve_one(&mut state.waiters)?;
            state.waiters.push(parker);
            state.closing = true;
            self.next_epoch(&mut state);
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
            adopted_bytes: state.chunks.adopted_bytes(),
            kept_bytes: state.chunks.kept_bytes(),
            used_bytes: state.chunks.used_bytes(),
            peak_used_bytes: state.chunks.peak_used_bytes(),
            cursors_open: self.cursors_open(),
            refills: state.counts.refills,
            resets: state.counts.resets,
            rewinds: state.counts.rewinds + self.bookmark.rewinds(),
            step_downs: state.counts.step_downs,
            strays: state.counts.strays,
        }
    }
}

impl Laned for Arena {
    type Lane = Lane;

    fn lane_of(&self, record: &'static ThreadRecord, _: Owner) -> Option<&Lane> {
        self.lanes.taken_by(record)
    }
}

impl Handled for Arena {
    const KIND: Kind = Kind::Arena;
    const LANE: Option<LaneOf<Self>> = Self::ITS_LANE;

    fn begin_destroy(&self) {
        let mut state = self.state.lock();
        (state.closing, state.destroyed) = (true, true);
        state.waiters.drain(..).for_each(Parker::unpark);
    }

    /// Every wait ends, and its cursors do not go on without it.
    fn quarantined(&self) {
        self.begin_destroy();
        self.state.lock().cursors.iter_mut().for_each(Opened::empty);
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

#[cfg(test)]
mod tests;
