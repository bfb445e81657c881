//! What is alive and from where it came: a table of a fixed size in which every large thing stands, and of the small
//! ones a sample. Entering one and striking it out takes no lock.

use super::{CallSite, sampler};
use crate::base::Name;
use crate::base::alloc::OutOfMemory;
use crate::base::clock;
use crate::base::thread::ThreadRecord;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*, fence};

/// Blocks that are followed at once; more are counted as lost.
const BLOCKS: usize = 1 << 16;

/// What a block is. The numbers are those of OSTLER_TRACED_.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Kind {
    /// Memory that an object took from the system. All of it is followed.
    Mapping = 0,
    /// A block that an object gave to the host: a sample.
    Block = 1,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Mapping, Self::Block];

    fn of_number(number: u64) -> Self {
        Self::ALL.into_iter().find(|kind| *kind as u64 == number).unwrap_or(Self::Block)
    }
}

/// The object that has a block.
#[derive(Clone, Copy, Debug)]
pub struct Keeper {
    /// What kind of object it is, in a word.
    pub holder: &'static str,
    pub name: Name,
    /// The number of its account; 0: it has none.
    pub account: u64,
}

impl PartialEq for Keeper {
    fn eq(&self, other: &Self) -> bool {
        self.account == other.account && self.holder == other.holder && self.name.as_str() == other.name.as_str()
    }
}

/// One block, as its object describes it.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub kind: Kind,
    pub keeper: Keeper,
    pub bytes: u64,
}

impl Block {
    pub fn mapping(keeper: Keeper, bytes: u64) -> Self {
        Self { kind: Kind::Mapping, keeper, bytes }
    }
}

/// A block that is followed, with what was noted when it began.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    pub block: Block,
    /// How many blocks of this size it stands for, itself included.
    pub stands_for: f64,
    pub since_ns: u64,
    pub site: CallSite,
}

/// The entry of a block that is followed. NONE: this one is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token(u32);

impl Token {
    pub const NONE: Self = Self(0);

    /// The same as a number that an atomic can hold, and back.
    #[inline]
    pub fn number(self) -> u32 {
        self.0
    }

    #[inline]
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }

    #[inline]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// Follows a block from now on, whatever its size, as long as tracing is on.
#[inline]
pub fn track(block: impl FnOnce() -> Block) -> Token {
    if super::started() != 0 { enter(block(), 1.0) } else { Token::NONE }
}

/// Follows a block if the sample falls on it. Costs a subtraction for all others.
#[inline]
pub fn track_sampled(record: &ThreadRecord, bytes: u64, block: impl FnOnce() -> Block) -> Token {
    sampler::falls_on(record, bytes).map_or(Token::NONE, |stands_for| enter(block(), stands_for))
}

/// Ends what was begun with [`track`], once.
#[inline]
pub fn untrack(token: Token) {
    if !token.is_none() {
        strike_out(token);
    }
}

/// The block has so many bytes from now on.
pub fn resize(token: Token, bytes: u64) {
    let Some(entry) = entry(token) else { return };
    if entry.begin_to_write(LIVE) {
        entry.words[BYTES].store(bytes, Relaxed);
        entry.end_writing(LIVE);
    }
}

/// The block goes on under another object.
pub fn hand_over(token: Token, to: Keeper) {
    let Some(entry) = entry(token) else { return };
    if entry.begin_to_write(LIVE) {
        entry.write_keeper(&to);
        entry.end_writing(LIVE);
    }
}

/// Every block that is followed now.
pub fn all() -> impl Iterator<Item = Traced> {
    let fresh = table().map_or(0, |table| table.fresh.load(Acquire) as usize);
    let entries = table().and_then(|table| table.entries.get(..fresh)).unwrap_or_default();
    entries.iter().filter_map(Entry::read)
}

/// How many there was no room for.
pub fn lost() -> u64 {
    table().map_or(0, |table| table.lost.load(Relaxed))
}

/// All zeros is an empty table.
struct Table {
    entries: [Entry; BLOCKS],
    /// Entries that were ever used.
    fresh: AtomicU32,
    /// The first of the entries that are free again: its number, and above it a count that tells a list from the same
    /// list later.
    free: AtomicU64,
    lost: AtomicU64,
}

const WORDS: usize = 11;
/// The word that tells the size.
const BYTES: usize = 8;

struct Entry {
    /// A count in the upper bits and what the words are in the lower two: a reader that finds the same before and after
    /// has read what belongs together.
    state: AtomicU64,
    /// The next one in the list of free entries.
    next: AtomicU32,
    site: AtomicU32,
    words: [AtomicU64; WORDS],
}

const FREE: u64 = 0;
const LIVE: u64 = 1;
const WRITING: u64 = 2;
const PHASE: u64 = 3;
const ONE_MORE: u64 = 4;

impl Entry {
    /// Of several that would write one does.
    fn begin_to_write(&self, from: u64) -> bool {
        let state = self.state.load(Relaxed);
        let writing = (state & !PHASE) + ONE_MORE + WRITING;
        let is_ours = state & PHASE == from && self.state.compare_exchange(state, writing, Acquire, Relaxed).is_ok();
        // Whoever reads one of the words that come now sees that they are being written.
        fence(Release);
        is_ours
    }

    fn end_writing(&self, phase: u64) {
        self.state.store((self.state.load(Relaxed) & !PHASE) + phase, Release);
    }

    fn write_keeper(&self, keeper: &Keeper) {
        let name = keeper.name.as_c_bytes().as_chunks::<8>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes));
        let words = [keeper.account, keeper.holder.as_ptr() as u64, keeper.holder.len() as u64].into_iter().chain(name);
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Relaxed);
        }
    }

    fn write(&self, traced: &Traced) {
        let block = &traced.block;
        self.write_keeper(&block.keeper);
        let rest = [block.kind as u64, block.bytes, traced.stands_for.to_bits(), traced.since_ns];
        for (place, word) in self.words.iter().skip(WORDS - rest.len()).zip(rest) {
            place.store(word, Relaxed);
        }
        self.site.store(traced.site.number(), Relaxed);
    }

    fn read(&self) -> Option<Traced> {
        let before = self.state.load(Acquire);
        if before & PHASE != LIVE {
            return None;
        }
        let words: [u64; WORDS] = std::array::from_fn(|index| self.words[index].load(Relaxed));
        let site = CallSite::from_number(self.site.load(Relaxed));
        fence(Acquire);
        if self.state.load(Relaxed) != before {
            return None;
        }
        let [account, holder, holder_bytes, name0, name1, name2, name3, kind, bytes, stands_for, since_ns] = words;
        // SAFETY: the two words were written together, of a string that lives as long as the program.
        let holder = unsafe { std::slice::from_raw_parts(holder as *const u8, holder_bytes as usize) };
        let name: Vec<u8> = [name0, name1, name2, name3].into_iter().flat_map(u64::to_ne_bytes).collect();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let keeper = Keeper {
            holder: std::str::from_utf8(holder).unwrap_or_default(),
            name: Name::from(std::str::from_utf8(name).unwrap_or_default()),
            account,
        };
        Some(Traced {
            block: Block { kind: Kind::of_number(kind), keeper, bytes },
            stands_for: f64::from_bits(stands_for),
            since_ns,
            site,
        })
    }
}

static TABLE: OnceLock<Box<Table>> = OnceLock::new();

fn table() -> Option<&'static Table> {
    TABLE.get().map(|table| &**table)
}

fn entry(token: Token) -> Option<&'static Entry> {
    table()?.entries.get(token.0.checked_sub(1)? as usize)
}

/// Takes the memory, of which the system gives only what is used.
pub(super) fn prepare() -> Result<(), OutOfMemory> {
    let refusal = OutOfMemory { bytes: size_of::<Table>() as u64 };
    super::keep(&TABLE).map(|_| ()).ok_or(refusal)
}

// SAFETY: made of atomic integers.
unsafe impl super::Zeroable for Table {}

#[cold]
#[inline(never)]
fn enter(block: Block, stands_for: f64) -> Token {
    let Some(table) = table() else { return Token::NONE };
    let Some(index) = table.take() else {
        table.lost.fetch_add(1, Relaxed);
        return Token::NONE;
    };
    let entry = &table.entries[index as usize];
    let traced = Traced { block, stands_for, since_ns: clock::now_ns(), site: CallSite::here() };
    if entry.begin_to_write(FREE) {
        entry.write(&traced);
        entry.end_writing(LIVE);
    }
    Token(index + 1)
}

#[cold]
#[inline(never)]
fn strike_out(token: Token) {
    let (Some(table), Some(entry)) = (table(), entry(token)) else { return };
    if entry.begin_to_write(LIVE) {
        entry.end_writing(FREE);
        table.give(token.0 - 1);
    }
}

impl Table {
    fn take(&self) -> Option<u32> {
        let mut free = self.free.load(Acquire);
        while let Some(index) = (free as u32).checked_sub(1) {
            let next = self.entries[index as usize].next.load(Relaxed);
            let after = (((free >> 32) + 1) << 32) | u64::from(next);
            match self.free.compare_exchange_weak(free, after, AcqRel, Acquire) {
                Ok(_) => return Some(index),
                Err(newer) => free = newer,
            }
        }
        let one_more = |fresh: u32| Some(fresh + 1).filter(|fresh| *fresh as usize <= BLOCKS);
        self.fresh.fetch_update(AcqRel, Relaxed, one_more).ok()
    }

    fn give(&self, index: u32) {
        let mut free = self.free.load(Relaxed);
        loop {
            self.entries[index as usize].next.store(free as u32, Relaxed);
            let after = (((free >> 32) + 1) << 32) | u64::from(index + 1);
            match self.free.compare_exchange_weak(free, after, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(newer) => free = newer,
            }
        }
    }
}
