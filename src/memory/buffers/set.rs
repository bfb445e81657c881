//! A set of buffers: what is leased from it, and what it gives back.

use super::chunks::{self, Chunks, Fit, Site, UNIT_ALIGN};
use super::depot::Depot;
use super::record::{Chain, Kind, Record, Records};
use super::sizes::{self, LARGEST_BYTES, MOST_CLASSES};
use super::stash::{List, SLICES, Stash};
use super::traces::Traces;
use super::view::{Left, MOST_REFERENCES, MOST_SLICES, View, ViewError};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::cancel::{Cancel, WaitEnd};
use crate::base::clock::{self, Deadline};
use crate::base::handles::{Handled, Kind as HandleKind};
use crate::base::thread::ThreadRecord;
use crate::base::tracing::census::{self, Census};
use crate::base::tracing::{self, Traced, sampler};
use crate::base::watchers::Watchers;
use crate::base::{InvalidField, Name, Owner, barrier, callback};
use crate::memory::governor::reclaim::{self, ReclaimKind, Reclaimer};
use crate::memory::governor::{Account, Holder};
use crate::memory::lanes::Lanes;
use crate::memory::pages::{Mapping, PagesError, Request};
use crate::memory::receipt::Receipt;
use crate::memory::sanitizers;
use crate::memory::source::{PageSource, SourceError};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*, fence};
use std::sync::{Arc, Weak};

pub const DEFAULT_CHUNK_BYTES: u64 = 2 << 20;
pub const SMALLEST_CHUNK_BYTES: u64 = 64 << 10;
pub const LARGEST_CHUNK_BYTES: u64 = 1 << 40;

/// What a thread keeps at hand of one size: so many bytes, and so many buffers.
const STASH_BYTES: u64 = 256 << 10;
const STASH_BUFFERS: u32 = 32;
/// More than any address space has.
const MOST_WRAPPED_BYTES: u64 = 1 << 48;
/// Records for slices that a thread takes at once.
const SPARES: u32 = 16;

/// How many idle buffers of a size a thread keeps at hand; of large ones none.
const fn at_hand(class: usize) -> u32 {
    if class == SLICES {
        return STASH_BUFFERS;
    }
    let fit = STASH_BYTES / sizes::bytes_of(class);
    if fit < STASH_BUFFERS as u64 { fit as u32 } else { STASH_BUFFERS }
}

const AT_HAND: [u32; MOST_CLASSES + 1] = {
    let mut most = [0; MOST_CLASSES + 1];
    let mut class = 0;
    while class < most.len() {
        most[class] = at_hand(class);
        class += 1;
    }
    most
};

#[derive(Clone, Copy, Debug, Default)]
pub struct BuffersConfig {
    pub source: PageSource,
    /// 0: [`DEFAULT_CHUNK_BYTES`].
    pub chunk_bytes: u64,
    /// 0: none.
    pub limit_bytes: u64,
    pub name: Name,
}

#[derive(Debug, thiserror::Error)]
pub enum BuffersError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("the set of buffers is closing: it takes no new work")]
    Closed,
    #[error("buffer {0:#x} was released, or is of another set")]
    Stale(u64),
    #[error("buffer {0:#x} has {MOST_REFERENCES} references, which is the most")]
    TooManyReferences(u64),
    #[error("the memory of buffer {0:#x} has {MOST_SLICES} slices, which is the most")]
    TooManySlices(u64),
    #[error("the set has {} views, which is the most", Records::MOST)]
    TooManyViews,
    #[error("offset_bytes {offset} and size_bytes {bytes} pass the end of a buffer of {size} bytes")]
    PastTheEnd { offset: u64, bytes: u64, size: u64 },
    #[error("{wanted} bytes more would pass limit_bytes {limit}: {mapped} bytes are mapped")]
    Limit { wanted: u64, limit: u64, mapped: u64 },
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error("chunk_index is {index}, but the set has {chunks} chunks")]
    NoSuchChunk { index: u64, chunks: u64 },
    #[error("class_index is {index}, but there are {MOST_CLASSES} size classes")]
    NoSuchClass { index: u64 },
    #[error("{0}, with buffers still out")]
    Wait(WaitEnd),
}

impl BuffersError {
    fn of(view: View, error: ViewError) -> Self {
        match error {
            ViewError::Stale => Self::Stale(view.0),
            ViewError::TooManyReferences => Self::TooManyReferences(view.0),
            ViewError::TooManySlices => Self::TooManySlices(view.0),
        }
    }
}

/// A callback of the host that takes wrapped memory back, and what it is called with. Only whoever made the set knows its
/// type.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    pub callback: *const (),
    pub user_data: *mut (),
}

/// Calls an ending.
pub type CallEnding = fn(ending: Ending, memory: *mut u8);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuffersStats {
    pub chunks: u64,
    pub mapped_bytes: u64,
    pub in_use: u64,
    pub in_use_bytes: u64,
    pub waste_bytes: u64,
    pub idle: u64,
    pub idle_bytes: u64,
    pub at_hand: u64,
    pub wrapped: u64,
    pub gets: u64,
    pub refused: u64,
    pub recalls: u64,
    pub trims: u64,
    pub step_downs: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    pub size_bytes: u64,
    pub in_use: u64,
    pub idle: u64,
    /// Of the idle ones, those that threads have at hand.
    pub at_hand: u64,
    pub waste_bytes: u64,
    pub gets: u64,
}

#[derive(Default)]
struct Counters {
    wrapped: AtomicU64,
    refused: AtomicU64,
    recalls: AtomicU64,
    trims: AtomicU64,
    last_used_ns: AtomicU64,
}

/// Records that stand for nothing.
struct Spares {
    idle: Chain,
    /// The first that was never used.
    fresh: u32,
}

/// Lists on their way from one place to another, where a count would miss them or meet them twice.
#[derive(Default)]
struct Moves {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Moves {
    fn during<R>(&self, body: impl FnOnce() -> R) -> R {
        self.begun.fetch_add(1, SeqCst);
        let result = body();
        self.ended.fetch_add(1, SeqCst);
        result
    }

    /// Looks while nothing moved, or says that something did.
    fn look<R>(&self, look: impl FnOnce() -> R) -> Option<R> {
        let ended = self.ended.load(SeqCst);
        if self.begun.load(SeqCst) != ended {
            return None;
        }
        let seen = look();
        (self.begun.load(SeqCst) == ended).then_some(seen)
    }
}

pub struct Buffers {
    owner: Owner,
    config: BuffersConfig,
    account: Arc<Account>,
    call_ending: CallEnding,
    /// A sanitizer watches, and is told which buffers may be used.
    is_watched: bool,
    records: Records,
    stashes: Lanes<Stash>,
    /// Counts for threads without a stash, each under the lock of its class's depot; its lists stay empty.
    apart: Stash,
    depots: [Mutex<Depot>; MOST_CLASSES],
    moves: Moves,
    traces: Traces,
    spares: Mutex<Spares>,
    chunks: Mutex<Chunks>,
    /// Held by the thread that cuts the next span, or maps the next chunk.
    growth: Mutex<()>,
    closing: AtomicBool,
    destroyed: AtomicBool,
    /// Nobody gets any more, so what is out only grows less.
    settled: AtomicBool,
    returned: Watchers,
    counters: Counters,
}

impl Buffers {
    pub fn new(owner: Owner, config: BuffersConfig, call_ending: CallEnding) -> Result<Arc<Self>, BuffersError> {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let config = checked(config)?;
        let set = alloc::try_arc(Self {
            owner,
            config,
            account: Account::open(Holder::Buffers, config.name)?,
            call_ending,
            is_watched: sanitizers::watch(),
            records: Records::new(SERIAL.fetch_add(1, Relaxed)),
            stashes: Lanes::default(),
            apart: Stash::default(),
            depots: std::array::from_fn(|_| Mutex::new(Depot::default())),
            moves: Moves::default(),
            traces: Traces::default(),
            spares: Mutex::new(Spares { idle: Chain::EMPTY, fresh: 0 }),
            chunks: Mutex::new(Chunks::default()),
            growth: Mutex::new(()),
            closing: AtomicBool::new(false),
            destroyed: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            returned: Watchers::default(),
            counters: Counters::default(),
        })?;
        // The first chunk comes now, so that what cannot be had is said at once.
        set.map(0)?;
        let reclaimer: Weak<dyn Reclaimer> = Arc::downgrade(&(set.clone() as Arc<dyn Reclaimer>));
        reclaim::register(reclaimer)?;
        let census: Weak<dyn Census> = Arc::downgrade(&(set.clone() as Arc<dyn Census>));
        census::register(census)?;
        Ok(set)
    }

    /// Leases a buffer of at least so many bytes.
    #[inline]
    pub fn get(&self, record: Option<&'static ThreadRecord>, bytes: u64) -> Result<(View, *mut u8), BuffersError> {
        if bytes > LARGEST_BYTES {
            return Err(too_large(bytes));
        }
        let class = sizes::class_of(bytes);
        let stash = record.and_then(|record| self.stashes.of(record));
        let at_hand = stash.and_then(|stash| {
            let _busy = stash.door.begin();
            stash.list(class).pop(&self.records)
        });
        let number = match at_hand {
            Some(number) => number,
            None => self.refill(class, stash)?,
        };
        if self.closing.load(SeqCst) {
            self.put_idle(number, class, stash);
            return Err(BuffersError::Closed);
        }
        let (view, data) = self.hand_out(number, class, bytes, stash);
        if self.is_watched {
            sanitizers::allow(data, bytes);
        }
        if let Some(stands_for) = record.and_then(|record| sampler::falls_on(record, bytes)) {
            self.traces.add(&self.records, view, bytes, stands_for);
        }
        Ok((view, data))
    }

    /// Leases a buffer that the thread has at hand, if it has one; for a caller who keeps the set alive, and turns to
    /// [`get`](Self::get) for everything else.
    #[inline]
    pub fn get_at_hand(&self, record: &'static ThreadRecord, bytes: u64) -> Option<(View, *mut u8)> {
        if bytes > LARGEST_BYTES || self.is_watched || tracing::is_on() || self.closing.load(SeqCst) {
            return None;
        }
        let class = sizes::class_of(bytes);
        let stash = self.stashes.taken_by(record)?;
        let busy = stash.door.try_begin()?;
        let number = stash.list(class).pop(&self.records)?;
        drop(busy);
        if self.closing.load(SeqCst) {
            self.put_idle(number, class, Some(stash));
            return None;
        }
        Some(self.hand_out(number, class, bytes, Some(stash)))
    }

    /// Makes a view of an idle buffer that is the caller's alone.
    #[inline]
    fn hand_out(&self, number: u32, class: usize, bytes: u64, stash: Option<&Stash>) -> (View, *mut u8) {
        let buffer = self.records.get(number);
        let waste = sizes::bytes_of(class) - bytes;
        buffer.link.store(waste as u32, Relaxed);
        buffer.set_bytes(bytes);
        self.note(class, stash, |list| list.note_get(waste));
        (self.records.begin(number), buffer.extent().0)
    }

    /// Makes a view of memory that is not the set's; the ending is called when nobody views it any more.
    pub fn wrap(
        &self,
        record: Option<&'static ThreadRecord>,
        memory: *mut u8,
        bytes: u64,
        ending: Ending,
    ) -> Result<View, BuffersError> {
        if bytes >= MOST_WRAPPED_BYTES {
            let bound = "must be below 281474976710656 (2^48)";
            return Err(InvalidField { field: "size_bytes", value: bytes, bound }.into());
        }
        let stash = record.and_then(|record| self.stashes.of(record));
        let number = self.take_spare(stash)?;
        let ending_number = self.take_spare(stash).inspect_err(|_| self.put_spare(number, stash))?;
        self.records.get(ending_number).keep_ending(ending.callback, ending.user_data);
        let wrapped = self.records.get(number);
        wrapped.describe(Kind::Wrapped, memory, bytes);
        wrapped.place.store(ending_number, Relaxed);
        self.counters.wrapped.fetch_add(1, SeqCst);
        if self.closing.load(SeqCst) {
            self.counters.wrapped.fetch_sub(1, SeqCst);
            self.put_spare(ending_number, stash);
            self.put_spare(number, stash);
            self.tell_returned();
            return Err(BuffersError::Closed);
        }
        Ok(self.records.begin(number))
    }

    /// Makes a view of a part of what a view shows.
    #[inline]
    pub fn slice(
        &self,
        record: Option<&'static ThreadRecord>,
        view: View,
        offset: u64,
        bytes: u64,
    ) -> Result<View, BuffersError> {
        let stash = record.and_then(|record| self.stashes.of(record));
        let refuse = |error| BuffersError::of(view, error);
        let (number, viewed) = self.find(view)?;
        let (root, (data, size)) = match viewed.kind() {
            Kind::Slice => {
                // A reference keeps it, and so the memory, as they are.
                viewed.word.retain(view).map_err(refuse)?;
                let (root, extent) = (viewed.place.load(Relaxed), viewed.extent());
                let counted = self.records.get(root).word.slice_beside();
                if viewed.word.release(view) == Ok(Left::Nothing) {
                    self.free(number, stash);
                }
                counted.map_err(refuse)?;
                (root, extent)
            }
            Kind::Buffer(_) | Kind::Wrapped => {
                viewed.word.slice(view).map_err(refuse)?;
                (number, viewed.extent())
            }
        };
        let spare = if offset > size || bytes > size - offset {
            Err(BuffersError::PastTheEnd { offset, bytes, size })
        } else {
            self.take_spare(stash)
        };
        let number = spare.inspect_err(|_| self.end_slice(root, stash))?;
        let slice = self.records.get(number);
        slice.describe(Kind::Slice, data.wrapping_add(offset as usize), bytes);
        slice.place.store(root, Relaxed);
        Ok(self.records.begin(number))
    }

    #[inline]
    pub fn retain(&self, view: View) -> Result<(), BuffersError> {
        let (_, viewed) = self.find(view)?;
        viewed.word.retain(view).map_err(|error| BuffersError::of(view, error))
    }

    /// Ends a reference. With the last one the view is stale, and with the last view its memory is idle.
    #[inline]
    pub fn release(&self, record: Option<&'static ThreadRecord>, view: View) -> Result<(), BuffersError> {
        let (number, viewed) = self.find(view)?;
        if viewed.word.release(view).map_err(|error| BuffersError::of(view, error))? == Left::Nothing {
            self.free(number, record.and_then(|record| self.stashes.of(record)));
        }
        Ok(())
    }

    /// Ends a reference to a buffer where that needs no more than the list of the thread; for a caller who keeps the set
    /// alive, and turns to [`release`](Self::release) for everything else.
    #[inline]
    pub fn release_at_hand(&self, record: &'static ThreadRecord, view: View) -> Option<()> {
        let (number, viewed) = self.records.find(view)?;
        let Kind::Buffer(class) = viewed.kind() else { return None };
        let stash = self.stashes.taken_by(record)?;
        let list = stash.list(class);
        let busy = stash.door.try_begin()?;
        if self.is_watched || list.count() >= AT_HAND[class] {
            return None;
        }
        if viewed.word.release(view).ok()? == Left::Nothing {
            list.note_release(u64::from(viewed.link.load(Relaxed)));
            list.push(&self.records, number);
            drop(busy);
            self.tell_returned();
        }
        Some(())
    }

    /// What a view shows.
    #[inline]
    pub fn extent(&self, view: View) -> Result<(*mut u8, u64), BuffersError> {
        let (_, viewed) = self.find(view)?;
        let extent = viewed.extent();
        // What was read is the view's if its name is still good afterwards.
        fence(Acquire);
        if viewed.word.is_of(view) { Ok(extent) } else { Err(BuffersError::Stale(view.0)) }
    }

    /// Makes a view shorter. Its slices stay as they are.
    pub fn truncate(&self, record: Option<&'static ThreadRecord>, view: View, bytes: u64) -> Result<(), BuffersError> {
        let (_, viewed) = self.find(view)?;
        // A reference keeps the record from becoming another view's meanwhile.
        viewed.word.retain(view).map_err(|error| BuffersError::of(view, error))?;
        let (_, size) = viewed.extent();
        if bytes <= size {
            viewed.set_bytes(bytes);
        }
        self.release(record, view)?;
        if bytes <= size { Ok(()) } else { Err(BuffersError::PastTheEnd { offset: 0, bytes, size }) }
    }

    #[inline]
    fn find(&self, view: View) -> Result<(u32, &Record), BuffersError> {
        self.records.find(view).ok_or(BuffersError::Stale(view.0))
    }

    /// Nobody views what this record stands for any more.
    #[inline]
    fn free(&self, number: u32, stash: Option<&Stash>) {
        let ended = self.records.get(number);
        match ended.kind() {
            Kind::Buffer(class) => {
                let waste = u64::from(ended.link.load(Relaxed));
                self.note(class, stash, |list| list.note_release(waste));
                if self.is_watched {
                    sanitizers::forbid(ended.extent().0, sizes::bytes_of(class));
                }
                self.put_idle(number, class, stash);
            }
            Kind::Slice => {
                let root = ended.place.load(Relaxed);
                self.put_spare(number, stash);
                self.end_slice(root, stash);
            }
            Kind::Wrapped => self.free_wrapped(number, stash),
        }
        self.tell_returned();
    }

    fn end_slice(&self, root: u32, stash: Option<&Stash>) {
        if self.records.get(root).word.end_slice() == Left::Nothing {
            self.free(root, stash);
        }
    }

    #[cold]
    fn free_wrapped(&self, number: u32, stash: Option<&Stash>) {
        let wrapped = self.records.get(number);
        let (memory, _) = wrapped.extent();
        let ending_number = wrapped.place.load(Relaxed);
        let (callback, user_data) = self.records.get(ending_number).ending();
        self.put_spare(ending_number, stash);
        self.put_spare(number, stash);
        // It is out until its callback has returned, or unwound.
        let _out = OutUntilDropped(self);
        if !callback.is_null() {
            callback::run_destroy(self.owner, || (self.call_ending)(Ending { callback, user_data }, memory));
        }
    }

    fn tell_returned(&self) {
        if self.closing.load(SeqCst) {
            self.returned.wake_all();
        }
    }

    #[inline]
    fn note(&self, class: usize, stash: Option<&Stash>, note: impl FnOnce(&List)) {
        match stash {
            Some(stash) => note(stash.list(class)),
            None => {
                let _alone = self.depots[class].lock();
                note(self.apart.list(class));
            }
        }
    }

    #[inline]
    fn put_idle(&self, number: u32, class: usize, stash: Option<&Stash>) {
        let most = AT_HAND[class];
        match stash {
            Some(stash) if most > 0 => {
                let busy = stash.door.begin();
                let count = stash.list(class).push(&self.records, number);
                drop(busy);
                if count > most {
                    self.flush(class, stash);
                }
            }
            _ => {
                let mut one = Chain::EMPTY;
                one.push(&self.records, number);
                self.depots[class].lock().put(one, &self.records);
            }
        }
    }

    /// Takes half of what the thread has at hand to where all find it.
    #[cold]
    fn flush(&self, class: usize, stash: &Stash) {
        self.moves.during(|| {
            let list = stash.list(class);
            let busy = stash.door.begin();
            let mut rest = list.take_all();
            let mut kept = Chain::EMPTY;
            while kept.count < AT_HAND[class] / 2
                && let Some(number) = rest.pop(&self.records)
            {
                kept.push(&self.records, number);
            }
            list.fill(kept);
            drop(busy);
            self.depots[class].lock().put(rest, &self.records);
        });
    }

    /// A buffer from where all find them; a few more come with it.
    #[cold]
    fn refill(&self, class: usize, stash: Option<&Stash>) -> Result<u32, BuffersError> {
        if self.closing.load(SeqCst) {
            return Err(BuffersError::Closed);
        }
        self.counters.last_used_ns.store(clock::now_ns(), Relaxed);
        let wanted = if stash.is_some() { (AT_HAND[class] / 2).max(1) } else { 1 };
        self.moves.during(|| {
            let mut taken = self.take(class, wanted);
            if taken.count == 0 {
                taken = self.grow(class, wanted).inspect_err(|_| {
                    self.counters.refused.fetch_add(1, Relaxed);
                })?;
            }
            let first = taken.pop(&self.records).ok_or(OutOfMemory { bytes: sizes::bytes_of(class) })?;
            if let Some(stash) = stash
                && taken.count > 0
            {
                let _busy = stash.door.begin();
                stash.list(class).fill(taken);
            }
            Ok(first)
        })
    }

    fn take(&self, class: usize, most: u32) -> Chain {
        self.depots[class].lock().take(most, &self.records)
    }

    /// Cuts another span, and takes buffers of it.
    fn grow(&self, class: usize, wanted: u32) -> Result<Chain, BuffersError> {
        let _growing = self.growth.lock();
        let found = self.take(class, wanted);
        if found.count > 0 {
            return Ok(found);
        }
        let bytes = sizes::bytes_of(class);
        let has_room = self.chunks.lock().take(bytes, Fit::Good);
        let site = match has_room {
            Some(site) => site,
            None => match self.map(bytes).and_then(|()| self.site(bytes, Fit::Good)) {
                Ok(site) => site,
                Err(error) => {
                    // What other threads have at hand, and what other sizes do not use, comes before a refusal.
                    self.recall();
                    let found = self.take(class, wanted);
                    if found.count > 0 {
                        return Ok(found);
                    }
                    self.give_spans_back(0);
                    self.site(bytes, Fit::Tight).or_else(|_| {
                        // Chunks that are too small for it make room for one that is not.
                        if self.drop_empty_chunks(0) == 0 {
                            return Err(error);
                        }
                        self.map(bytes).and_then(|()| self.site(bytes, Fit::Tight))
                    })?
                }
            },
        };
        self.add_span(class, site)?;
        Ok(self.take(class, wanted))
    }

    fn site(&self, bytes: u64, fit: Fit) -> Result<Site, BuffersError> {
        self.chunks.lock().take(bytes, fit).ok_or(OutOfMemory { bytes }.into())
    }

    fn add_span(&self, class: usize, site: Site) -> Result<(), BuffersError> {
        let bytes = sizes::bytes_of(class);
        let give_back = |_: &BuffersError| self.chunks.lock().give_back(site);
        let mut spares = self.take_spares((site.bytes / bytes) as u32).inspect_err(give_back)?;
        let mut idle = Chain::EMPTY;
        while let Some(number) = spares.pop(&self.records) {
            let data = site.start.wrapping_add((u64::from(spares.count) * bytes) as usize);
            self.records.get(number).describe(Kind::Buffer(class), data, bytes);
            idle.push(&self.records, number);
        }
        if self.is_watched {
            sanitizers::forbid(site.start, site.bytes);
        }
        let added = self.depots[class].lock().add(site, idle, &self.records);
        added.map_err(BuffersError::from).inspect_err(|error| {
            self.put_spares(idle);
            give_back(error);
        })
    }

    /// Maps a chunk that has room for so many bytes in one piece.
    fn map(&self, needed: u64) -> Result<(), BuffersError> {
        let mapped = self.chunks.lock().mapped_bytes();
        let limit = if self.config.limit_bytes == 0 { u64::MAX } else { self.config.limit_bytes };
        let over_limit = |wanted| BuffersError::Limit { wanted, limit, mapped };
        let at_most = limit.saturating_sub(mapped) & !(UNIT_ALIGN - 1);
        // Less than a chunk can be would be of little use.
        let least = chunks::chunk_for(needed.max(SMALLEST_CHUNK_BYTES));
        if least > at_most {
            return Err(over_limit(least));
        }
        let request = Request {
            bytes: self.config.chunk_bytes.min(at_most).max(least),
            at_most,
            source: self.config.source,
            account: &self.account,
            name: self.config.name.as_str(),
        };
        let mapping = Mapping::new(&request).map_err(|error| match error {
            PagesError::OverLimit { bytes, .. } => over_limit(bytes),
            error => error.into(),
        })?;
        let mapping = alloc::try_arc(mapping)?;
        Ok(self.chunks.lock().add(mapping)?)
    }

    #[inline]
    fn take_spare(&self, stash: Option<&Stash>) -> Result<u32, BuffersError> {
        let at_hand = stash.and_then(|stash| {
            let _busy = stash.door.begin();
            stash.list(SLICES).pop(&self.records)
        });
        if let Some(number) = at_hand {
            return Ok(number);
        }
        let mut taken = self.take_spares(if stash.is_some() { SPARES } else { 1 })?;
        let first = taken.pop(&self.records).ok_or(BuffersError::TooManyViews)?;
        if let Some(stash) = stash {
            let _busy = stash.door.begin();
            stash.list(SLICES).fill(taken);
        }
        Ok(first)
    }

    #[inline]
    fn put_spare(&self, number: u32, stash: Option<&Stash>) {
        match stash {
            Some(stash) => {
                let list = stash.list(SLICES);
                let busy = stash.door.begin();
                let is_full = list.push(&self.records, number) > AT_HAND[SLICES];
                let too_many = if is_full { list.take_all() } else { Chain::EMPTY };
                drop(busy);
                if is_full {
                    self.put_spares(too_many);
                }
            }
            None => {
                let mut one = Chain::EMPTY;
                one.push(&self.records, number);
                self.put_spares(one);
            }
        }
    }

    /// So many records, or none.
    fn take_spares(&self, count: u32) -> Result<Chain, BuffersError> {
        let mut spares = self.spares.lock();
        let mut taken = Chain::EMPTY;
        while taken.count < count {
            let next = match spares.idle.pop(&self.records) {
                Some(next) => Ok(next),
                None if spares.fresh == Records::MOST => Err(BuffersError::TooManyViews),
                None => {
                    let fresh = spares.fresh;
                    self.records.grow_to(fresh).map(|()| spares.fresh += 1).map(|()| fresh).map_err(Into::into)
                }
            };
            match next {
                Ok(number) => taken.push(&self.records, number),
                Err(error) => {
                    while let Some(number) = taken.pop(&self.records) {
                        spares.idle.push(&self.records, number);
                    }
                    return Err(error);
                }
            }
        }
        Ok(taken)
    }

    fn put_spares(&self, mut chain: Chain) {
        let mut spares = self.spares.lock();
        while let Some(number) = chain.pop(&self.records) {
            spares.idle.push(&self.records, number);
        }
    }

    /// Takes what threads have at hand to where all find it; for one who grows or trims alone.
    fn recall(&self) {
        self.counters.recalls.fetch_add(1, Relaxed);
        self.moves.during(|| {
            self.stashes.all().for_each(|stash| stash.door.shut());
            barrier::heavy();
            for stash in self.stashes.all() {
                stash.empty(|class, idle| self.depots[class].lock().put(idle, &self.records));
            }
        });
    }

    /// Gives spans whose buffers are all idle back to their chunks, until the sizes keep no more than so many bytes.
    fn give_spans_back(&self, keep_bytes: u64) {
        let mut whole: u64 = self.depots.iter().map(|depot| depot.lock().whole_bytes()).sum();
        for depot in self.depots.iter().rev() {
            while whole > keep_bytes {
                // Its buffers are nobody's before their memory is.
                let Some((site, buffers)) = depot.lock().take_whole() else { break };
                self.put_spares(buffers);
                self.chunks.lock().give_back(site);
                whole -= whole.min(site.bytes);
            }
        }
    }

    /// Unmaps chunks that nothing is cut from, and tells how many bytes that were.
    fn drop_empty_chunks(&self, keep_bytes: u64) -> u64 {
        let mut freed = 0;
        loop {
            let mapping = {
                let mut chunks = self.chunks.lock();
                if chunks.mapped_bytes() <= keep_bytes {
                    break;
                }
                chunks.take_empty()
            };
            let Some(mapping) = mapping else { break };
            freed += mapping.bytes;
            drop(mapping);
        }
        freed
    }

    /// Gives idle memory back to the system until no more than so much is mapped, and tells how much it gave back.
    pub fn trim(&self, keep_bytes: u64) -> u64 {
        let growing = self.growth.lock();
        self.trim_alone(keep_bytes, &growing)
    }

    fn trim_alone(&self, keep_bytes: u64, _growing: &MutexGuard<'_, ()>) -> u64 {
        self.counters.trims.fetch_add(1, Relaxed);
        self.recall();
        self.give_spans_back(keep_bytes.saturating_sub(self.in_use_bytes()));
        self.drop_empty_chunks(keep_bytes)
    }

    fn in_use_bytes(&self) -> u64 {
        (0..MOST_CLASSES).map(|class| self.count(class).0 * sizes::bytes_of(class)).sum()
    }

    /// Of one class: buffers in use, idle in the depot, at hand. Exact when nothing moves.
    fn count(&self, class: usize) -> (u64, u64, u64) {
        let (buffers, idle) = {
            let depot = self.depots[class].lock();
            (depot.buffers(), depot.idle())
        };
        let at_hand = self.stashes.all().map(|stash| u64::from(stash.list(class).count())).sum::<u64>();
        (buffers.saturating_sub(idle + at_hand), idle, at_hand)
    }

    /// Buffers and wrapped memory that somebody views. `None`: something moves.
    fn out(&self) -> Option<u64> {
        let buffers = self.moves.look(|| (0..MOST_CLASSES).map(|class| self.count(class).0).sum::<u64>())?;
        Some(buffers + self.counters.wrapped.load(SeqCst))
    }

    /// The same for people, who want a number.
    pub fn still_out(&self) -> u64 {
        let counted = || (0..MOST_CLASSES).map(|class| self.count(class).0).sum::<u64>();
        self.out().unwrap_or_else(|| counted() + self.counters.wrapped.load(SeqCst))
    }

    /// Whoever does not see it has made visible by now what it did before it looked.
    fn begin_closing(&self) {
        self.closing.store(true, SeqCst);
        barrier::heavy();
    }

    /// Takes no new work, and waits until every view is released.
    pub fn close(&self, deadline: Deadline, cancel: Option<&Cancel>) -> Result<(), BuffersError> {
        self.begin_closing();
        let ready = || (self.out() == Some(0) || self.destroyed.load(SeqCst)).then_some(());
        match self.returned.wait_until(deadline, cancel, ready) {
            Ok(()) if self.out() != Some(0) => Err(BuffersError::Closed),
            Ok(()) => Ok(()),
            Err(end) => Err(BuffersError::Wait(end)),
        }
    }

    pub fn stats(&self) -> BuffersStats {
        let mut stats = BuffersStats::default();
        for class in 0..MOST_CLASSES {
            let of_class = self.class_stats(class as u64).unwrap_or_default();
            stats.in_use += of_class.in_use;
            stats.in_use_bytes += of_class.in_use * of_class.size_bytes;
            stats.idle += of_class.idle;
            stats.idle_bytes += of_class.idle * of_class.size_bytes;
            stats.at_hand += of_class.at_hand;
            stats.waste_bytes += of_class.waste_bytes;
            stats.gets += of_class.gets;
        }
        let chunks = self.chunks.lock();
        let counters = &self.counters;
        BuffersStats {
            chunks: chunks.count(),
            mapped_bytes: chunks.mapped_bytes(),
            step_downs: chunks.step_downs(),
            wrapped: counters.wrapped.load(SeqCst),
            refused: counters.refused.load(Relaxed),
            recalls: counters.recalls.load(Relaxed),
            trims: counters.trims.load(Relaxed),
            ..stats
        }
    }

    pub fn class_stats(&self, index: u64) -> Result<ClassStats, BuffersError> {
        let class = usize::try_from(index).ok().filter(|class| *class < MOST_CLASSES);
        let class = class.ok_or(BuffersError::NoSuchClass { index })?;
        let (in_use, idle, at_hand) = self.count(class);
        let lists = || self.stashes.all().chain([&self.apart]).map(|stash| stash.list(class));
        let waste_bytes = lists().fold(0u64, |sum, list| sum.wrapping_add(list.waste()));
        let size_bytes = sizes::bytes_of(class);
        Ok(ClassStats {
            size_bytes,
            in_use,
            idle: idle + at_hand,
            at_hand,
            // Of a moment that was none: a release may be counted before its get.
            waste_bytes: if waste_bytes > in_use * size_bytes { 0 } else { waste_bytes },
            gets: lists().map(List::gets).sum(),
        })
    }

    /// Asks the kernel about one chunk.
    pub fn receipt(&self, index: u64) -> Result<Receipt, BuffersError> {
        let (mapping, chunks) = {
            let all = self.chunks.lock();
            (all.get(index), all.count())
        };
        Ok(Receipt::of(&*mapping.ok_or(BuffersError::NoSuchChunk { index, chunks })?))
    }
}

/// Wrapped memory whose callback runs.
struct OutUntilDropped<'a>(&'a Buffers);

impl Drop for OutUntilDropped<'_> {
    fn drop(&mut self) {
        self.0.counters.wrapped.fetch_sub(1, SeqCst);
        self.0.tell_returned();
    }
}

impl Census for Buffers {
    fn each_traced(&self, each: &mut dyn FnMut(Traced)) {
        self.traces.each(&self.records, self.account.tracing_keeper(), each);
    }
}

impl Reclaimer for Buffers {
    fn kind(&self) -> ReclaimKind {
        ReclaimKind::Empty
    }

    fn reclaimable_bytes(&self) -> u64 {
        let whole: u64 = self.depots.iter().map(|depot| depot.lock().whole_bytes()).sum();
        whole + self.chunks.lock().empty_bytes()
    }

    fn last_used_ns(&self) -> u64 {
        self.counters.last_used_ns.load(Relaxed)
    }

    fn reclaim(&self, bytes: u64) -> u64 {
        // A set that is growing may wait for the very memory that is looked for.
        let Some(growing) = self.growth.try_lock() else { return 0 };
        let mapped = self.chunks.lock().mapped_bytes();
        self.trim_alone(mapped.saturating_sub(bytes), &growing)
    }

    fn account(&self) -> Option<&Arc<Account>> {
        Some(&self.account)
    }
}

impl Handled for Buffers {
    const KIND: HandleKind = HandleKind::Buffers;

    fn begin_destroy(&self) {
        self.begin_closing();
        self.destroyed.store(true, SeqCst);
        self.returned.wake_all();
    }

    /// What is viewed stays mapped until its last view is released.
    fn finish_destroy(&self) {
        self.trim(0);
        self.settled.store(true, SeqCst);
    }

    /// Never too few: as long as somebody may still get, there may be one.
    fn children(&self) -> u64 {
        if !self.settled.load(SeqCst) {
            return 1;
        }
        loop {
            if let Some(out) = self.out() {
                return out;
            }
            // Nothing that moves waits for anything but a short lock.
            std::thread::yield_now();
        }
    }
}

#[cold]
fn too_large(bytes: u64) -> BuffersError {
    const _: () = assert!(LARGEST_BYTES == 1_073_741_824);
    InvalidField { field: "size_bytes", value: bytes, bound: "must be at most 1073741824 (1 GiB)" }.into()
}

fn checked(mut config: BuffersConfig) -> Result<BuffersConfig, BuffersError> {
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
