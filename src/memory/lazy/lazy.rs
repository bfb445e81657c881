//! A lazy: one value, loaded at the first access and again after it was dropped.

use super::desk::{Desk, Held};
use super::reader::{Reader, Unpinned};
use super::source::{Loaded, Source};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::back_off::BackOff;
use crate::base::callback;
use crate::base::cancel::{Cancel, WaitEnd};
use crate::base::clock::{self, Deadline};
use crate::base::handles::{Handled, Kind};
use crate::base::injection::Callback;
use crate::base::text::Text;
use crate::base::thread::ThreadRecord;
use crate::base::watchers::Watchers;
use crate::base::{MESSAGE_BYTES, Owner, barrier};
use crate::memory::governor::reclaim::{self, ReclaimKind, Reclaimer};
use crate::memory::governor::{Account, Charge, Refused};
use crate::memory::lanes::Lanes;
use crate::memory::stretch::{Stretch, StretchError};
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::*};
use std::sync::{Arc, Weak};

/// All readers of the process.
pub static READERS: Stretch<Reader> = Stretch::new("reader", 1 << 16);

/// Why a load came to nothing.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum LoadFailure {
    #[error("{0}")]
    Callback(Text<MESSAGE_BYTES>),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

#[derive(Debug, thiserror::Error)]
pub enum LazyError {
    #[error("{failure}; it is tried again in {retry_in_ns} ns")]
    Load { failure: LoadFailure, retry_in_ns: u64 },
    #[error("the lazy value is closing: it takes no new work")]
    Closed,
    #[error("a load that waits for its own value would wait for itself")]
    InsideOwnLoad,
    #[error("{0}, with another thread still loading the value")]
    Wait(WaitEnd),
    #[error("the reader has {} pins, which is the most", u32::MAX)]
    TooManyPins,
    #[error("there is no pin of it to let go of: of this reader, or of this thread")]
    NotPinned,
    #[error("the value is pinned, or not loaded")]
    InUse,
    #[error("the reader still holds a pin")]
    StillPinned,
    #[error(transparent)]
    Reader(#[from] StretchError),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LazyStats {
    pub is_loaded: bool,
    pub is_loading: bool,
    pub version: u64,
    pub value_bytes: u64,
    pub readers: u64,
    pub leaving: u64,
    pub pins: u64,
    pub loads: u64,
    pub load_failures: u64,
    pub drops: u64,
    pub invalidations: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Empty,
    /// One thread does; others wait.
    Loading,
    Loaded,
    Failed,
}

struct State {
    phase: Phase,
    held: Option<Box<Held>>,
    desk: Desk,
    version: u64,
    /// The value that is being loaded was invalidated meanwhile.
    is_outdated: bool,
    failure: Option<LoadFailure>,
    retry_at_ns: u64,
    back_off: BackOff,
    is_closed: bool,
    last_used_ns: u64,
    /// How often it was pinned when that was last looked at.
    times: u64,
    loads: u64,
    load_failures: u64,
    drops: u64,
    invalidations: u64,
}

/// The reader that a thread has without having opened one.
#[derive(Default)]
struct OfThread(AtomicPtr<Reader>);

/// What is to be done for a pin that found no value.
enum Step {
    Again,
    Wait,
    Load,
}

pub struct Lazy {
    owner: Owner,
    source: Box<dyn Source>,
    account: Arc<Account>,
    /// The value, for those who pin it; NULL when there is none, or somebody looks whether it can be dropped.
    published: AtomicPtr<()>,
    state: Mutex<State>,
    threads: Lanes<OfThread>,
    changed: Watchers,
    /// Nobody pins any more, and every pin is seen.
    settled: AtomicBool,
}

impl Lazy {
    pub fn new(owner: Owner, account: Arc<Account>, source: Box<dyn Source>) -> Result<Arc<Self>, OutOfMemory> {
        let lazy = alloc::try_arc(Self {
            owner,
            source,
            account,
            published: AtomicPtr::new(std::ptr::null_mut()),
            state: Mutex::new(State {
                phase: Phase::Empty,
                held: None,
                desk: Desk::default(),
                version: 0,
                is_outdated: false,
                failure: None,
                retry_at_ns: 0,
                back_off: BackOff::default(),
                is_closed: false,
                last_used_ns: 0,
                times: 0,
                loads: 0,
                load_failures: 0,
                drops: 0,
                invalidations: 0,
            }),
            threads: Lanes::default(),
            changed: Watchers::default(),
            settled: AtomicBool::new(false),
        })?;
        let reclaimer: Weak<dyn Reclaimer> = Arc::downgrade(&(lazy.clone() as Arc<dyn Reclaimer>));
        reclaim::register::<Self>(owner, reclaimer)?;
        Ok(lazy)
    }

    /// Opens a reader for one thread at a time.
    pub fn open_reader(&self) -> Result<*mut Reader, LazyError> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(LazyError::Closed);
        }
        Ok((&raw const *self.add_reader(&mut state, true)?).cast_mut())
    }

    fn add_reader(&self, state: &mut State, is_open: bool) -> Result<&'static Reader, LazyError> {
        state.desk.reserve()?;
        let reader = READERS.get(READERS.take(self.owner.0)?);
        reader.open(&self.published);
        state.desk.add(reader, is_open);
        Ok(reader)
    }

    pub fn close_reader(&self, number: u32) -> Result<(), LazyError> {
        let reader = READERS.get(number);
        let mut state = self.state.lock();
        if reader.is_pinned() {
            return Err(LazyError::StillPinned);
        }
        READERS.close(number, self.owner.0)?;
        reader.close();
        let ended = state.desk.remove(reader);
        drop(state);
        READERS.vacate(number);
        self.end(ended);
        Ok(())
    }

    /// Pins the value, and loads it when it is not there.
    #[inline]
    pub fn pin(&self, reader: &Reader, deadline: Deadline, cancel: Option<&Cancel>) -> Result<*mut (), LazyError> {
        match reader.pin(&self.published) {
            Some(value) => Ok(value),
            None => self.pin_slowly(reader, deadline, cancel),
        }
    }

    /// The same for a thread that has opened no reader.
    #[inline]
    pub fn pin_on(
        &self,
        record: Option<&'static ThreadRecord>,
        deadline: Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<*mut (), LazyError> {
        self.pin(self.reader_of(record)?, deadline, cancel)
    }

    fn reader_of(&self, record: Option<&'static ThreadRecord>) -> Result<&'static Reader, LazyError> {
        let of_thread = record.and_then(|record| self.threads.of(record));
        let of_thread = of_thread.ok_or(OutOfMemory { bytes: size_of::<OfThread>() as u64 })?;
        // SAFETY: readers are never freed.
        if let Some(reader) = unsafe { of_thread.0.load(Relaxed).as_ref() } {
            return Ok(reader);
        }
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(LazyError::Closed);
        }
        let reader = self.add_reader(&mut state, false)?;
        of_thread.0.store((&raw const *reader).cast_mut(), Relaxed);
        Ok(reader)
    }

    /// Lets go of a pin.
    #[inline]
    pub fn unpin(&self, reader: &Reader) -> Result<(), LazyError> {
        match reader.unpin() {
            Unpinned::Quietly => Ok(()),
            Unpinned::Awaited => {
                self.settle(reader);
                Ok(())
            }
            Unpinned::Not => Err(LazyError::NotPinned),
        }
    }

    pub fn unpin_on(&self, record: Option<&'static ThreadRecord>) -> Result<(), LazyError> {
        let of_thread = record.and_then(|record| self.threads.of(record)).ok_or(LazyError::NotPinned)?;
        // SAFETY: readers are never freed.
        self.unpin(unsafe { of_thread.0.load(Relaxed).as_ref() }.ok_or(LazyError::NotPinned)?)
    }

    /// Ends what the reader held and holds no more. With a pin it still does.
    #[cold]
    pub fn settle(&self, reader: &Reader) {
        let ended = {
            let mut state = self.state.lock();
            if reader.is_pinned() { None } else { state.desk.settle(reader) }
        };
        self.end(ended);
    }

    #[cold]
    fn pin_slowly(&self, reader: &Reader, deadline: Deadline, cancel: Option<&Cancel>) -> Result<*mut (), LazyError> {
        if reader.is_full() {
            return Err(LazyError::TooManyPins);
        }
        // The try that failed may have been seen as a pin.
        self.settle(reader);
        loop {
            match self.step()? {
                Step::Again => {}
                Step::Load => self.load(),
                Step::Wait => {
                    let ready = || (self.state.lock().phase != Phase::Loading).then_some(());
                    self.changed.wait_until(deadline, cancel, ready).map_err(LazyError::Wait)?;
                }
            }
            if let Some(value) = reader.pin(&self.published) {
                return Ok(value);
            }
        }
    }

    fn step(&self) -> Result<Step, LazyError> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(LazyError::Closed);
        }
        match state.phase {
            Phase::Loaded => Ok(Step::Again),
            Phase::Loading if callback::waits_for_itself(self.owner) => Err(LazyError::InsideOwnLoad),
            Phase::Loading => Ok(Step::Wait),
            Phase::Failed | Phase::Empty => {
                if let Some(failure) = state.failure {
                    let now_ns = clock::now_ns();
                    if now_ns < state.retry_at_ns {
                        return Err(LazyError::Load { failure, retry_in_ns: state.retry_at_ns - now_ns });
                    }
                }
                state.phase = Phase::Loading;
                state.is_outdated = false;
                Ok(Step::Load)
            }
        }
    }

    /// Loads the value, which is this thread's to do.
    fn load(&self) {
        loop {
            let failed = FailOnPanic(self);
            let made = self.make();
            std::mem::forget(failed);
            let mut state = self.state.lock();
            let held = match made {
                Ok(held) => held,
                Err(failure) => {
                    self.note_failure(&mut state, failure);
                    break;
                }
            };
            if state.is_closed || state.is_outdated {
                let is_closed = state.is_closed;
                state.is_outdated = false;
                if is_closed {
                    state.phase = Phase::Empty;
                }
                drop(state);
                self.end(Some(held));
                if is_closed {
                    break;
                }
                continue;
            }
            state.loads += 1;
            state.version += 1;
            state.failure = None;
            state.back_off = BackOff::default();
            state.last_used_ns = clock::now_ns();
            state.phase = Phase::Loaded;
            self.published.store(held.loaded.value, SeqCst);
            state.held = Some(held);
            break;
        }
        self.changed.wake_all();
    }

    fn make(&self) -> Result<Box<Held>, LoadFailure> {
        let mut loaded = Loaded { value: std::ptr::null_mut(), bytes: 0 };
        callback::run_checked(self.owner, Callback::Load, || self.source.load(&mut loaded))
            .map_err(|failure| LoadFailure::Callback(Text::format(format_args!("{failure}"))))?;
        if loaded.value.is_null() {
            return Err(LoadFailure::Callback(Text::from("load callback left no value")));
        }
        let kept = self.charge(loaded.bytes).and_then(|charge| Ok(alloc::try_box(Held::new(loaded, charge))?));
        kept.inspect_err(|_| self.call_drop(loaded))
    }

    fn charge(&self, bytes: u64) -> Result<Option<Charge>, LoadFailure> {
        Ok(if bytes == 0 { None } else { Some(self.account.charge(bytes)?) })
    }

    fn note_failure(&self, state: &mut MutexGuard<'_, State>, failure: LoadFailure) {
        state.load_failures += 1;
        state.phase = Phase::Failed;
        state.failure = Some(failure);
        let pause_ns = state.back_off.next_ns();
        state.retry_at_ns = clock::now_ns().saturating_add(pause_ns);
    }

    /// What stands there now is not to be used any more: the next access loads anew. Whoever holds a pin keeps the value
    /// until he lets go of it.
    pub fn invalidate(&self) {
        let ended = {
            let mut state = self.state.lock();
            state.invalidations += 1;
            state.failure = None;
            state.back_off = BackOff::default();
            match state.phase {
                Phase::Loading => {
                    state.is_outdated = true;
                    None
                }
                Phase::Loaded => self.withdraw(&mut state),
                Phase::Empty | Phase::Failed => {
                    state.phase = Phase::Empty;
                    None
                }
            }
        };
        self.end(ended);
    }

    /// Takes the value away, and tells what can end now.
    fn withdraw(&self, state: &mut State) -> Option<Box<Held>> {
        self.published.store(std::ptr::null_mut(), SeqCst);
        state.desk.ask();
        barrier::heavy();
        state.phase = Phase::Empty;
        let held = state.held.take()?;
        state.desk.retire(held)
    }

    /// Drops the value when nobody holds a pin, and tells how many bytes that gave back.
    pub fn drop_value(&self) -> Result<u64, LazyError> {
        let (held, bytes) = {
            let mut state = self.state.lock();
            let Some(held) = state.held.take() else { return Err(LazyError::InUse) };
            self.published.store(std::ptr::null_mut(), SeqCst);
            barrier::heavy();
            if state.desk.is_pinned() {
                self.published.store(held.loaded.value, SeqCst);
                state.held = Some(held);
                return Err(LazyError::InUse);
            }
            state.phase = Phase::Empty;
            state.drops += 1;
            let bytes = self.source.bytes_of(held.loaded);
            (held, bytes)
        };
        self.end(Some(held));
        Ok(bytes)
    }

    /// Ends values that nobody uses, with no lock held.
    fn end(&self, mut next: Option<Box<Held>>) {
        while let Some(mut held) = next {
            next = held.take_next();
            self.call_drop(held.loaded);
        }
    }

    fn call_drop(&self, loaded: Loaded) {
        callback::run_destroy(self.owner, || self.source.unload(loaded));
    }

    pub fn stats(&self) -> LazyStats {
        let state = self.state.lock();
        LazyStats {
            is_loaded: state.phase == Phase::Loaded,
            is_loading: state.phase == Phase::Loading,
            version: state.version,
            value_bytes: state.held.as_ref().map_or(0, |held| self.source.bytes_of(held.loaded)),
            readers: state.desk.open(),
            leaving: state.desk.leaving(),
            pins: state.desk.times(),
            loads: state.loads,
            load_failures: state.load_failures,
            drops: state.drops,
            invalidations: state.invalidations,
        }
    }
}

/// A load that unwinds has failed, which those who wait for it are told.
struct FailOnPanic<'a>(&'a Lazy);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        let failure = LoadFailure::Callback(Text::from("load callback unwound, or the library panicked in it"));
        self.0.note_failure(&mut self.0.state.lock(), failure);
        self.0.changed.wake_all();
    }
}

impl Reclaimer for Lazy {
    fn kind(&self) -> ReclaimKind {
        ReclaimKind::Lazy
    }

    fn reclaimable_bytes(&self) -> u64 {
        let state = self.state.lock();
        let held = state.held.as_ref().filter(|_| !state.desk.is_pinned());
        held.map_or(0, |held| self.source.bytes_of(held.loaded))
    }

    /// Those who pin read no clock: that it was used is noted when somebody looks.
    fn last_used_ns(&self) -> u64 {
        let mut state = self.state.lock();
        let times = state.desk.times();
        if times != state.times {
            state.times = times;
            state.last_used_ns = clock::now_ns();
        }
        state.last_used_ns
    }

    fn reclaim(&self, _bytes: u64) -> u64 {
        self.drop_value().unwrap_or(0)
    }

    fn account(&self) -> Option<&Arc<Account>> {
        Some(&self.account)
    }
}

impl Handled for Lazy {
    const KIND: Kind = Kind::Lazy;

    fn begin_destroy(&self) {
        self.state.lock().is_closed = true;
        self.changed.wake_all();
    }

    /// Every wait ends.
    fn quarantined(&self) {
        self.begin_destroy();
    }

    /// A value that is pinned stays until it is not.
    fn finish_destroy(&self) {
        let ended = self.withdraw(&mut self.state.lock());
        self.end(ended);
        self.settled.store(true, SeqCst);
    }

    /// Open readers, and threads that hold a pin. Never too few: as long as somebody may still pin, there may be one.
    fn children(&self) -> u64 {
        if !self.settled.load(SeqCst) {
            return 1;
        }
        self.state.lock().desk.children()
    }
}

impl Drop for Lazy {
    fn drop(&mut self) {
        for of_thread in self.threads.all() {
            let reader = of_thread.0.load(Relaxed);
            if let Ok((number, _)) = READERS.find(reader)
                && READERS.close(number, self.owner.0).is_ok()
            {
                READERS.get(number).close();
                READERS.vacate(number);
            }
        }
    }
}
