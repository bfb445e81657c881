//! A set of buffers: what is leased from it, and how that is viewed.
//!
//! A [`config`] says what it is made to be. [`at_hand`] is the way of idle buffers between a thread and everybody, [`spares`]
//! has the records that stand for nothing, [`room`] grows and trims, [`stats`] count what is out, [`inspection`] shows
//! the chunks to who looks at them again, and [`ending`] lets a set go when the last view is released.

mod at_hand;
mod config;
mod ending;
mod inspection;
mod room;
mod spares;
mod stats;

pub use config::BuffersConfig;
pub use stats::{BuffersStats, ClassStats};

use super::chunks::Chunks;
use super::depot::Depot;
use super::record::{Chain, Kind, Record, Records};
use super::sizes::{self, LARGEST_BYTES, MOST_CLASSES};
use super::stash::Stash;
use super::traces::Traces;
use super::view::{Left, MOST_REFERENCES, MOST_SLICES, View, ViewError};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::cancel::WaitEnd;
use crate::base::thread::ThreadRecord;
use crate::base::tracing::census::{self, Census};
use crate::base::tracing::sampler;
use crate::base::watchers::Watchers;
use crate::base::{InvalidField, Owner, barrier, callback};
use crate::memory::governor::reclaim::{self, Reclaimer};
use crate::memory::governor::{Account, Holder};
use crate::memory::inspection::inspector;
use crate::memory::lanes::Lanes;
use crate::memory::pages::PagesError;
use crate::memory::sanitizers;
use crate::memory::source::SourceError;
use at_hand::AT_HAND;
use parking_lot::Mutex;
use spares::Spares;
use stats::Moves;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*, fence};
use std::sync::{Arc, Weak};

/// More than any address space has.
const MOST_WRAPPED_BYTES: u64 = 1 << 48;

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

/// What is left to do for who released a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    Done,
    /// Somebody may wait for it: [`Buffers::tell_returned`].
    ToBeTold,
}

/// Calls an ending.
pub type CallEnding = fn(ending: Ending, memory: *mut u8);

#[derive(Default)]
struct Counters {
    wrapped: AtomicU64,
    refused: AtomicU64,
    recalls: AtomicU64,
    trims: AtomicU64,
    last_used_ns: AtomicU64,
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
        let config = config.checked()?;
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
        reclaim::register::<Self>(owner, reclaimer)?;
        let census: Weak<dyn Census> = Arc::downgrade(&(set.clone() as Arc<dyn Census>));
        census::register::<Self>(owner, census)?;
        set.account.let_inspect(inspector::<Self>(owner));
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
            // Who closes may have seen it out.
            self.tell_returned();
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
    /// [`get`](Self::get) for everything else. It waits for nobody and wakes nobody.
    #[inline]
    pub fn get_at_hand(&self, record: &'static ThreadRecord, bytes: u64) -> Option<(View, *mut u8)> {
        if bytes > LARGEST_BYTES || self.is_watched || self.closing.load(SeqCst) {
            return None;
        }
        let class = sizes::class_of(bytes);
        let stash = self.stashes.taken_by(record)?;
        let busy = stash.door.try_begin()?;
        let list = stash.list(class);
        if list.is_empty() || !sampler::passes(record, bytes) {
            return None;
        }
        let number = list.pop(&self.records)?;
        // Who closes sees it out, or is seen here.
        barrier::light();
        if self.closing.load(SeqCst) {
            list.push(&self.records, number);
            return None;
        }
        drop(busy);
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
    /// alive, and turns to [`release`](Self::release) for everything else. It waits for nobody and wakes nobody.
    #[inline]
    pub fn release_at_hand(&self, record: &'static ThreadRecord, view: View) -> Option<Released> {
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
            if self.closing.load(SeqCst) {
                return Some(Released::ToBeTold);
            }
        }
        Some(Released::Done)
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
}

/// Wrapped memory whose callback runs.
struct OutUntilDropped<'a>(&'a Buffers);

impl Drop for OutUntilDropped<'_> {
    fn drop(&mut self) {
        self.0.counters.wrapped.fetch_sub(1, SeqCst);
        self.0.tell_returned();
    }
}

#[cold]
fn too_large(bytes: u64) -> BuffersError {
    const _: () = assert!(LARGEST_BYTES == 1_073_741_824);
    InvalidField { field: "size_bytes", value: bytes, bound: "must be at most 1073741824 (1 GiB)" }.into()
}

#[cfg(test)]
mod tests;
