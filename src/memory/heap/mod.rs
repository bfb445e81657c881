//! A heap: blocks of any size on the pages and nodes asked for, each of which is given back by itself, by any thread.
//!
//! [`space`] cuts chunks into blocks and joins what comes back, with [`bins`] to find a free block in a few instructions
//! and [`tags`] to say, apart from the memory, what each granule is. [`cache`] holds a [`stack`] of free blocks of each of
//! the [`classes`] for each thread, which uses them in [`windows`] without a lock; [`directory`] tells whose an address is.
//! [`guards`] surround the blocks of a checked heap. [`room`] is where the next block goes, or another chunk. [`blocks`] are
//! movable: reached through a handle, so that [`compact`] can slide them together, and pages are [`returned`]. Of a sample
//! of all there are [`traces`]. [`reclaim`] offers what can be given back to the governor, [`census`] tells what there is, and
//! [`inspection`] shows the chunks to who looks at them again. [`finding`] tells which block an address is that somebody gives
//! back, and [`ending`] is how the heap goes.

mod bins;
mod blocks;
mod cache;
mod census;
mod classes;
mod compact;
mod config;
mod directory;
mod ending;
mod error;
mod finding;
mod guards;
mod inspection;
mod many;
mod reclaim;
mod returned;
mod room;
mod space;
mod stack;
mod tags;
mod traces;
mod windows;

pub use blocks::{MovableBlock, MovableInfo};
pub use census::{HeapStats, LiveBlock};
pub use compact::Compaction;
pub use config::HeapConfig;
pub use error::HeapError;

use super::arena::region::{DEFAULT_ALIGN, MAX_ALIGN, bad_alignment};
use super::governor::{Account, Holder};
use super::inspection::inspector;
use super::lanes::Lanes;
use crate::base::Owner;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::handles::Seated;
use crate::base::park::Parker;
use crate::base::thread::ThreadRecord;
use crate::base::tracing::{self, CallSite, Token};
use bins::At;
use blocks::{Slots, Vacancies};
use cache::{Cache, Depot, Tally};
use classes::{CLASSES, GRANULE, class_for, granules_for};
use config::LARGEST_CHUNK_BYTES;
use directory::Directory;
use finding::Held;
use guards::Guarded;
use parking_lot::{Mutex, MutexGuard};
use reclaim::Returning;
use space::{Chunk, Memory, Piece, Space};
use stack::Block;
use std::sync::{Arc, OnceLock};
use tags::{Extent, Tag};
use windows::Windows;

const SMALLEST_ADOPTED_BYTES: u64 = 4096;
/// One part in so many of the heap is what stacks may be widened by, and what the depot may hold.
const MOST_AT_HAND: u64 = 4;

pub struct Heap {
    config: HeapConfig,
    owner: Owner,
    account: Arc<Account>,
    directory: Directory,
    windows: Windows,
    caches: Lanes<Cache>,
    slots: Slots,
    state: Mutex<State>,
    /// Held by the thread that maps the next chunk, or that gives pages back or brings them back, so that others can go on
    /// meanwhile with what is left. Before the lock of the state.
    growth: Mutex<()>,
    /// Held by who gives pages back inside a chunk, or puts those of one together. Before the lock of the growth.
    pages: Mutex<()>,
    /// Known to the governor for as long as the heap lives.
    returning: OnceLock<[Arc<Returning>; 2]>,
}

/// On cache lines of its own, so that who holds the lock does not slow those who need none.
#[repr(align(128))]
struct State {
    space: Space,
    closing: bool,
    destroyed: bool,
    waiters: Vec<&'static Parker>,
    vacancies: Vacancies,
    /// What was done with the lock.
    tally: Tally,
    mapped_bytes: u64,
    peak_mapped_bytes: u64,
    adopted_bytes: u64,
    step_downs: u64,
    /// What threads had at hand was taken back since the last chunk came.
    has_recalled: bool,
    /// What the stacks of all threads were widened by.
    widened_bytes: u64,
    depot: Depot,
    /// Blocks given out by address that tracing follows.
    followed: u64,
}

/// A block as it is asked for.
#[derive(Clone, Copy)]
struct Wanted {
    /// With guards.
    asked: u64,
    granules: u32,
    align: u64,
    /// Granules of guards in front.
    ahead: u32,
}

impl Heap {
    /// `owner` is what it is known by to its threads' pockets.
    pub fn new(owner: Owner, config: HeapConfig) -> Result<Arc<Self>, HeapError> {
        let config = config.checked()?;
        let heap = alloc::try_arc(Self {
            config,
            owner,
            account: Account::open(Holder::Heap, config.name)?,
            directory: Directory::default(),
            windows: Windows::new(owner),
            caches: Lanes::default(),
            slots: Slots::default(),
            state: Mutex::new(State {
                space: Space::new(),
                closing: false,
                destroyed: false,
                waiters: Vec::new(),
                vacancies: Vacancies::default(),
                tally: Tally::default(),
                mapped_bytes: 0,
                peak_mapped_bytes: 0,
                adopted_bytes: 0,
                step_downs: 0,
                has_recalled: false,
                widened_bytes: 0,
                depot: Depot::default(),
                followed: 0,
            }),
            growth: Mutex::new(()),
            pages: Mutex::new(()),
            returning: OnceLock::new(),
        })?;
        // The first chunk comes now, so that what cannot be had is said at once.
        if !config.adopted_only {
            drop(heap.add_chunk(GRANULE)?);
        }
        heap.reopen(&heap.state.lock());
        let _ = heap.returning.set(reclaim::offer(&heap)?);
        heap.account.let_inspect(inspector::<Self>(owner));
        Ok(heap)
    }

    /// Allocates a block: mostly from what the thread has at hand.
    pub fn alloc(&self, record: Option<&'static ThreadRecord>, bytes: u64, align: u64) -> Result<*mut u8, HeapError> {
        let at_hand = record.and_then(|record| {
            let cache = self.caches.of(record)?;
            let _window = self.windows.enter(record.pocket(self.owner))?;
            cache.alloc(record, bytes, align)
        });
        match at_hand {
            Some(block) => Ok(block),
            None => self.alloc_slowly(record, bytes, align),
        }
    }

    /// Takes a block back, mostly to have it at hand.
    pub fn free(&self, record: Option<&'static ThreadRecord>, block: *mut u8) -> Result<(), HeapError> {
        let at_hand = record.and_then(|record| {
            let cache = self.caches.of(record)?;
            let _window = self.windows.enter(record.pocket(self.owner))?;
            self.free_to(cache, block)
        });
        match at_hand {
            Some(()) => Ok(()),
            None => self.free_slowly(record, block),
        }
    }

    /// A block that the thread has at hand. It waits for nobody, needs no memory and cannot panic.
    #[inline(always)]
    pub fn alloc_at_hand(seated: &Seated<Self>, bytes: u64, align: u64) -> Option<*mut u8> {
        if !seated.windows.are_open() {
            return None;
        }
        seated.lane().alloc(seated.record(), bytes, align)
    }

    /// Has the block at hand from now on, if there is room for it, and nothing to tell. As above.
    #[inline(always)]
    pub fn free_at_hand(seated: &Seated<Self>, block: *mut u8) -> Option<()> {
        if !seated.windows.are_open() {
            return None;
        }
        seated.free_to(seated.lane(), block)
    }

    #[inline(always)]
    fn free_to(&self, cache: &Cache, address: *mut u8) -> Option<()> {
        cache.free(Block { address, tag: self.directory.tag_of(address)? })
    }

    #[cold]
    fn alloc_slowly(
        &self,
        record: Option<&'static ThreadRecord>,
        bytes: u64,
        align: u64,
    ) -> Result<*mut u8, HeapError> {
        let wanted = self.wanted(bytes, align)?;
        let token = self.follow(record, bytes);
        self.place(record, wanted, token).inspect_err(|_| tracing::untrack(token))
    }

    fn place(&self, record: Option<&'static ThreadRecord>, wanted: Wanted, token: Token) -> Result<*mut u8, HeapError> {
        let wanted = wanted.followed_by(token);
        let class = class_for(wanted.asked).filter(|_| wanted.align <= GRANULE && token.is_none());
        let cache = self.cache(record);
        let extent = Extent { granules: wanted.granules, asked: wanted.asked };
        self.with_room(&wanted, |state| {
            if let (Some(cache), Some(class)) = (cache, class)
                && let Some(block) = state.refill(cache, class)
            {
                let spare = self.spare_bytes(extent);
                block.tag.set_used_class(class, spare);
                state.tally.note_alloc(spare);
                return Some(block.address);
            }
            let (at, tag) = state.take(&wanted)?;
            traces::mark_used(tag, extent, token);
            state.followed += u64::from(!token.is_none());
            state.tally.note_alloc(self.spare_bytes(extent));
            // With the lock: whoever looks at all blocks shall find their guards.
            Some(self.hand_out(state.space.address(at), extent))
        })
    }

    #[cold]
    fn free_slowly(&self, record: Option<&'static ThreadRecord>, block: *mut u8) -> Result<(), HeapError> {
        let mut state = self.state.lock();
        let held = self.find_held(&state, block)?;
        state.tally.note_free(self.spare_bytes(held.extent));
        state.forget(held.token);
        let class = Some(held.tag.class_if_used()).filter(|class| *class < CLASSES && !state.closing);
        if let (Some(class), Some(cache)) = (class, self.cache(record)) {
            if !state.widen(cache, class) {
                cache.drain(class, cache.batch(class), |block| self.leave(&mut state, class, block));
            }
            if cache.push(class, Block { address: block, tag: held.tag }) {
                held.tag.set_cached(class);
                return Ok(());
            }
        }
        let is_empty = state.space.give(held.at, held.extent.granules);
        let gone = is_empty.then(|| self.take_out_if_for_one(&mut state, held.at.chunk));
        if state.closing && self.live_blocks(&state) == 0 {
            state.waiters.drain(..).for_each(Parker::unpark);
        }
        drop(state);
        drop(gone);
        Ok(())
    }

    /// Gives a block another size, where it is if that can be. What it held stays, as far as it fits.
    pub fn resize(
        &self,
        record: Option<&'static ThreadRecord>,
        block: *mut u8,
        bytes: u64,
        align: u64,
    ) -> Result<*mut u8, HeapError> {
        let wanted = self.wanted(bytes, align)?;
        let token = self.follow(record, bytes);
        let resized = self.resize_followed(record, block, bytes, wanted.followed_by(token), token);
        resized.inspect_err(|_| tracing::untrack(token))
    }

    fn resize_followed(
        &self,
        record: Option<&'static ThreadRecord>,
        block: *mut u8,
        bytes: u64,
        wanted: Wanted,
        token: Token,
    ) -> Result<*mut u8, HeapError> {
        let kept = {
            let mut state = self.state()?;
            let held = self.find_held(&state, block)?;
            if (block as u64).is_multiple_of(wanted.align) && state.resize_in_place(&held, &wanted, token) {
                let extent = Extent { granules: wanted.granules, asked: wanted.asked };
                state.tally.note_resize(self.spare_bytes(held.extent), self.spare_bytes(extent));
                return Ok(self.hand_out(state.space.address(held.at), extent));
            }
            self.seen_bytes(held.extent).min(bytes)
        };
        let moved = self.place(record, wanted, token)?;
        // SAFETY: both blocks are in use, by the caller, and hold at least so many bytes.
        unsafe { moved.copy_from_nonoverlapping(block, kept as usize) };
        self.free_slowly(record, block)?;
        Ok(moved)
    }

    /// Bytes that a block has for its user: all of it, but in a checked heap those that were asked for.
    pub fn usable_bytes(&self, block: *mut u8) -> Result<u64, HeapError> {
        let state = self.state.lock();
        let held = self.find_held(&state, block)?;
        Ok(if self.config.checked { self.seen_bytes(held.extent) } else { held.extent.bytes() })
    }

    /// Has the heap use memory of the host's, too, which must stay until the heap is gone.
    pub fn adopt(&self, address: *mut u8, bytes: u64) -> Result<(), HeapError> {
        if !(SMALLEST_ADOPTED_BYTES..=LARGEST_CHUNK_BYTES).contains(&bytes) {
            return Err(HeapError::AdoptedSize { bytes });
        }
        let mut state = self.state()?;
        let (start, end) = (address as usize, (address as usize).saturating_add(bytes as usize));
        let overlaps = |chunk: &Chunk| {
            let first = chunk.memory.address() as usize;
            start < first + chunk.memory.bytes() as usize && first < end
        };
        if state.space.chunks().any(overlaps) {
            return Err(HeapError::AdoptedTwice { address: start });
        }
        let chunk = Chunk::new(Memory::Adopted { address, bytes }, false);
        // SAFETY: the memory was lent by the caller, and nobody uses it yet.
        unsafe { chunk.ground.tags.write_bytes(0, chunk.ground.granules as usize) };
        self.put_in(&mut state, chunk)?;
        state.adopted_bytes += bytes;
        Ok(())
    }

    /// Gives chunks back in which nothing lies, as long as more than `keep_bytes` are mapped, and tells how many bytes that
    /// was. What threads have at hand is taken from them first.
    pub fn trim(&self, keep_bytes: u64) -> Result<u64, HeapError> {
        let mut state = self.state()?;
        self.recall(&mut state);
        let mut returned = 0;
        loop {
            let spare = |chunk: &&Chunk| state.mapped_bytes - chunk.memory.bytes() >= keep_bytes;
            let Some(place) = state.empty_chunks().find(spare).map(|chunk| chunk.ground.chunk) else {
                return Ok(returned);
            };
            let gone = self.take_out(&mut state, place);
            returned += gone.as_ref().map_or(0, Chunk::charged_bytes);
            // Others may go on while the kernel takes it back.
            MutexGuard::unlocked(&mut state, || drop(gone));
        }
    }

    /// Looks at the guards of every block.
    pub fn check(&self) -> Result<(), HeapError> {
        let state = self.state.lock();
        if !self.config.checked {
            return Ok(());
        }
        for chunk in state.space.grounds() {
            for (at, piece) in state.space.pieces(chunk.chunk) {
                if let Piece::Used(extent) | Piece::Movable(extent, _) = piece {
                    Guarded { start: state.space.address(at), extent }.verify()?;
                }
            }
        }
        Ok(())
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, HeapError> {
        let state = self.state.lock();
        if state.closing { Err(HeapError::Closed) } else { Ok(state) }
    }

    /// The thread's cache, if threads have any now. For who holds the lock.
    fn cache(&self, record: Option<&'static ThreadRecord>) -> Option<&Cache> {
        if self.config.checked { None } else { self.caches.of(record?) }
    }

    fn wanted(&self, bytes: u64, align: u64) -> Result<Wanted, HeapError> {
        let align = if align == 0 { DEFAULT_ALIGN } else { align };
        if !align.is_power_of_two() || align > MAX_ALIGN {
            return Err(bad_alignment(align).into());
        }
        let guards = if self.config.checked { guards::FRONT + guards::BACK } else { 0 };
        let too_large = OutOfMemory { bytes };
        let asked = bytes.max(1).checked_add(guards).ok_or(too_large)?;
        let granules = granules_for(asked).ok_or(too_large)?;
        Ok(Wanted { asked, granules, align, ahead: self.front_granules() })
    }

    /// Bytes of guards before each block.
    fn front_bytes(&self) -> usize {
        if self.config.checked { guards::FRONT as usize } else { 0 }
    }

    fn front_granules(&self) -> u32 {
        (self.front_bytes() as u64 / GRANULE) as u32
    }

    /// Bytes that the user of a block asked for.
    fn seen_bytes(&self, extent: Extent) -> u64 {
        if self.config.checked { extent.asked - guards::FRONT - guards::BACK } else { extent.asked }
    }

    /// Bytes of a block that were not asked for.
    fn spare_bytes(&self, extent: Extent) -> u64 {
        extent.bytes() - self.seen_bytes(extent)
    }

    /// Puts guards around a block, and tells where it begins for its user.
    fn hand_out(&self, start: *mut u8, extent: Extent) -> *mut u8 {
        if !self.config.checked {
            return start;
        }
        let guarded = Guarded { start, extent };
        guarded.write(CallSite::here());
        guarded.block()
    }
}

impl State {
    /// Those that can be given back.
    fn empty_chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.space.chunks().filter(|chunk| chunk.is_empty() && matches!(chunk.memory, Memory::Mapped(_)))
    }

    fn take(&mut self, wanted: &Wanted) -> Option<(At, Tag)> {
        let at = if wanted.align <= GRANULE {
            self.space.take(wanted.granules)?
        } else {
            self.space.take_aligned(wanted.granules, wanted.align, wanted.ahead)?
        };
        Some((at, self.space.tag(at)?))
    }

    /// Takes the last of a thread's stack of that class, which is half filled first if it is empty.
    fn refill(&mut self, cache: &Cache, class: usize) -> Option<Block> {
        if let Some(block) = cache.pop(class) {
            return Some(block);
        }
        self.widen(cache, class);
        let granules = classes::granules_of(class);
        let mut missing = cache.batch(class);
        while missing > 0
            && let Some(block) = self.depot.take(class)
        {
            cache.push(class, block);
            missing -= 1;
        }
        while missing > 0 {
            let Some((first, count)) = self.space.take_run(granules, missing) else { break };
            for index in 0..count {
                let at = first.further(index * granules);
                let tag = self.space.tag(at)?;
                tag.end(granules);
                tag.set_cached(class);
                cache.push(class, Block { address: self.space.address(at), tag });
            }
            missing -= count;
        }
        cache.pop(class)
    }

    /// Lets a thread have more blocks of a class at hand, as long as not too much of the heap may lie there.
    fn widen(&mut self, cache: &Cache, class: usize) -> bool {
        let widened = cache.widen(class, self.most_at_hand().saturating_sub(self.widened_bytes));
        self.widened_bytes += widened;
        widened > 0
    }

    fn most_at_hand(&self) -> u64 {
        (self.mapped_bytes + self.adopted_bytes) / MOST_AT_HAND
    }

    /// A block is followed no more.
    fn forget(&mut self, token: Token) {
        self.followed -= u64::from(!token.is_none());
        tracing::untrack(token);
    }

    fn resize_in_place(&mut self, held: &Held, wanted: &Wanted, token: Token) -> bool {
        let (had, wants) = (held.extent.granules, wanted.granules);
        if wants > had && !self.space.extend(held.at, had, wants) {
            return false;
        }
        // First, so that what is given back does not take the block before it for a free one.
        traces::mark_used(held.tag, Extent { granules: wants, asked: wanted.asked }, token);
        self.forget(held.token);
        self.followed += u64::from(!token.is_none());
        if wants < had {
            self.space.give(held.at.further(wants), had - wants);
        }
        true
    }
}

#[cfg(test)]
mod tests;
