//! Templates: immutable initial data by key. Built once, by the first who asks, while the others wait; copied or handed
//! out from then on without a lock, until it is invalidated or evicted; and destroyed after its last user.
//!
//! - [`table`]: where an entry is found.
//! - [`shelf`]: how it is read while others take it away.
//! - [`usage`]: which one goes when there is no room.
//! - [`template`]: what the host built.
//! - [`build`]: builds that are under way.
//! - [`numbers`]: what is counted.

mod build;
mod numbers;
mod shelf;
mod table;
mod template;
mod usage;

use super::cells::{CellError, Cells, Key, MOST_CELLS, Stage};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback::{CallbackFailure, Refusal};
use crate::base::cancel::{Cancel, WaitEnd};
use crate::base::clock::{self, Deadline};
use crate::base::handles::{Handled, Kind, LaneOf, Laned};
use crate::base::text::Text;
use crate::base::thread::ThreadRecord;
use crate::base::{InvalidField, Owner};
use crate::memory::arena::region::MAX_ALIGN;
use build::{Build, BuildEnd, Builder, Builds, Turn};
use numbers::Counters;
use parking_lot::Mutex;
use shelf::{Chain, Found, Kept, Shelf};
use std::ffi::c_void;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::*};
use template::{Maker, Template};

pub use numbers::TemplatesStats;
pub use template::{Made, TemplateHost};
pub use usage::Eviction;

type Entry = shelf::Entry<Template>;

pub const MOST_TEMPLATES: u32 = 1 << 20;
pub const MOST_KEY_BYTES: u64 = 255;

#[derive(Clone, Copy, Debug)]
pub struct TemplatesConfig {
    pub most: u32,
    pub most_bytes: u64,
    pub most_references: u32,
    pub eviction: Eviction,
    /// Of instances in an arena.
    pub align_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateTemplatesError {
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum TemplatesError {
    #[error("the templates are being destroyed: none is built or given out any more")]
    Closed,
    #[error("the template could not be built: {0}")]
    BuildFailed(CallbackFailure),
    #[error("the template could not be cloned: {0}")]
    CloneFailed(CallbackFailure),
    #[error("this thread builds what it asks for, or what the builder of that waits for: it would wait for itself")]
    WouldDeadlock,
    #[error("all {capacity} references (max_references) are out; release some, or raise it")]
    Exhausted { capacity: u32 },
    #[error("template {reference:#x} is stale: it was released, or it is of another cache")]
    Stale { reference: u64 },
    #[error("the template is not there: {0}")]
    Wait(WaitEnd),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// What a reference leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub data: *mut c_void,
    pub bytes: u64,
    pub version: u64,
}

/// What became of a copy in a window.
pub struct Copied {
    /// How many they were, when there was one.
    pub bytes: Option<u64>,
    /// The caller calls [`Templates::sweep`] once it is out of its window.
    pub is_sweep_due: bool,
}

/// So many are copied in no time.
const QUICK_BYTES: u64 = 64 << 10;

/// A reference that is out.
const HELD: Stage = Stage(1);

struct Held {
    /// A share, turned into a pointer.
    entry: AtomicPtr<Entry>,
    data: AtomicPtr<c_void>,
    bytes: AtomicU64,
    version: AtomicU64,
}

impl Held {
    fn vacant() -> Self {
        Self {
            entry: AtomicPtr::new(std::ptr::null_mut()),
            data: AtomicPtr::new(std::ptr::null_mut()),
            bytes: AtomicU64::new(0),
            version: AtomicU64::new(0),
        }
    }

    fn fill(&self, entry: Arc<Entry>) -> View {
        let view = View { data: entry.made().data, bytes: entry.made().bytes, version: entry.version() };
        self.data.store(view.data, Release);
        self.bytes.store(view.bytes, Release);
        self.version.store(view.version, Release);
        self.entry.store(Arc::into_raw(entry).cast_mut(), Release);
        view
    }

    /// Whoever reads it looks afterwards whether it is still held.
    fn view(&self) -> View {
        View { data: self.data.load(Acquire), bytes: self.bytes.load(Acquire), version: self.version.load(Acquire) }
    }

    fn empty(&self) -> Option<Arc<Entry>> {
        let entry = self.entry.swap(std::ptr::null_mut(), Relaxed);
        // SAFETY: `fill` made it of a share, which one swap takes back.
        (!entry.is_null()).then(|| unsafe { Arc::from_raw(entry.cast_const()) })
    }
}

struct State {
    kept: Kept<Template>,
    kept_bytes: u64,
    builds: Builds,
}

pub struct Templates {
    config: TemplatesConfig,
    /// Seeded for each cache, so that nobody can choose keys that collide.
    hasher: foldhash::quality::RandomState,
    shelf: Shelf<Template>,
    maker: Arc<Maker>,
    references: Cells<Held>,
    closed: AtomicBool,
    state: Mutex<State>,
    counters: Counters,
}

impl Templates {
    pub fn new(
        owner: Owner,
        config: TemplatesConfig,
        host: Box<dyn TemplateHost>,
    ) -> Result<Arc<Self>, CreateTemplatesError> {
        let bound = "must be 1 to 1048576";
        if !(1..=MOST_TEMPLATES).contains(&config.most) {
            return Err(InvalidField { field: "max_templates", value: config.most.into(), bound }.into());
        }
        if !(1..=MOST_CELLS).contains(&config.most_references) {
            return Err(InvalidField { field: "max_references", value: config.most_references.into(), bound }.into());
        }
        if !config.align_bytes.is_power_of_two() || config.align_bytes > MAX_ALIGN {
            let bound = "must be a power of two of at most 2 MiB";
            return Err(InvalidField { field: "align_bytes", value: config.align_bytes, bound }.into());
        }
        let state = State { kept: Kept::new(config.most as usize)?, kept_bytes: 0, builds: Builds::default() };
        Ok(alloc::try_arc(Self {
            hasher: foldhash::quality::RandomState::default(),
            shelf: Shelf::new(config.most as usize, config.eviction)?,
            maker: alloc::try_arc(Maker::new(owner, host))?,
            references: Cells::new(config.most_references, Held::vacant)?,
            closed: AtomicBool::new(false),
            state: Mutex::new(state),
            counters: Counters::default(),
            config,
        })?)
    }

    pub fn align_bytes(&self) -> u64 {
        self.config.align_bytes
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    /// Makes an instance of the template of a key, which is built when it is not there. The clock is read only to wait.
    /// `place` is told how many bytes
    /// an instance takes; tells where it is, and of how many bytes.
    ///
    /// # Safety
    /// What `place` gives has room for so many bytes, and is no part of a template.
    #[inline]
    pub unsafe fn instantiate<E: From<TemplatesError>>(
        &self,
        record: Option<&'static ThreadRecord>,
        key: &[u8],
        deadline: impl FnOnce() -> Deadline,
        cancel: Option<&Cancel>,
        place: impl FnOnce(u64) -> Result<*mut c_void, E>,
    ) -> Result<(*mut c_void, u64), E> {
        self.with(record, key, deadline, cancel, |template| {
            let bytes = template.made().bytes;
            let target = place(bytes)?;
            // SAFETY: the caller's promise.
            unsafe { template.instantiate(target) }.map_err(TemplatesError::CloneFailed)?;
            Ok((target, bytes))
        })?
    }

    /// The same for a template that is there and is copied in no time, for a thread in its window, with its count of hits.
    /// Nothing in any other case.
    ///
    /// # Safety
    /// `target` has room for so many bytes, and is no part of a template.
    #[inline(always)]
    pub unsafe fn copy_in_window(
        &self,
        record: &'static ThreadRecord,
        hits: &AtomicU64,
        key: &[u8],
        target: *mut c_void,
        target_bytes: u64,
    ) -> Copied {
        let most = target_bytes.min(QUICK_BYTES);
        // SAFETY: the caller's promise.
        let copy = |found: &Found<'_, Template>| unsafe { found.copy(target, most) };
        let (read, is_sweep_due) = self.shelf.read_only(Some(record), self.hash(key), key, copy);
        let bytes = read.ok().flatten();
        if bytes.is_some() {
            hits.store(hits.load(Relaxed) + 1, Relaxed);
        }
        Copied { bytes, is_sweep_due }
    }

    /// Lets go what was taken away while somebody read it; see [`Copied`].
    #[cold]
    pub fn sweep(&self) {
        self.shelf.sweep();
    }

    /// Hands out a reference, which keeps the template until it is released.
    pub fn get(
        &self,
        record: Option<&'static ThreadRecord>,
        key: &[u8],
        deadline: impl FnOnce() -> Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<(Key, View), TemplatesError> {
        let exhausted = TemplatesError::Exhausted { capacity: self.references.capacity() };
        let (number, _) = self.references.take_free().ok_or(exhausted)?;
        let vacancy = Vacancy { references: &self.references, number };
        let entry = self.with(record, key, deadline, cancel, |found| found.share())?;
        std::mem::forget(vacancy);
        let view = self.references.get(number).fill(entry);
        Ok((self.references.open(number, HELD, false), view))
    }

    /// What a reference leads to.
    pub fn view(&self, reference: Key) -> Result<View, TemplatesError> {
        let stale = TemplatesError::Stale { reference: reference.0 };
        let (number, _) = self.references.stage(reference).map_err(|_| stale)?;
        let view = self.references.get(number).view();
        // Another's, when it was released meanwhile.
        self.references.stage(reference).map(|_| view).map_err(|_| stale)
    }

    pub fn release(&self, reference: Key) -> Result<(), TemplatesError> {
        let stale = |_: CellError| TemplatesError::Stale { reference: reference.0 };
        let number = self.references.withdraw(reference, HELD).map_err(stale)?;
        // Its destroy may give other references back, and this one keeps the cache until it has ended.
        drop(self.references.get(number).empty());
        self.references.vacate(number);
        Ok(())
    }

    /// The version of the template that is there for a key; 0 when there is none.
    pub fn version(&self, key: &[u8]) -> u64 {
        let hash = self.hash(key);
        let state = self.state.lock();
        self.shelf.find_kept(&state.kept, hash, key).map_or(0, |entry| entry.version())
    }

    /// From now on nobody gets the template of this key that is there, or is being built.
    pub fn invalidate(&self, key: &[u8]) {
        let hash = self.hash(key);
        let mut taken = Chain::default();
        {
            let mut state = self.state.lock();
            state.builds.invalidate(Some((hash, key)));
            if let Some(entry) = self.shelf.take(&mut state.kept, hash, key) {
                self.forget(&mut state, entry, &mut taken);
                self.counters.invalidated.fetch_add(1, Relaxed);
            }
        }
        self.shelf.retire(taken);
    }

    /// [`Templates::invalidate`] for every key.
    pub fn invalidate_all(&self) {
        let taken = {
            let mut state = self.state.lock();
            state.builds.invalidate(None);
            let count = state.kept.len() as u64;
            self.counters.invalidated.fetch_add(count, Relaxed);
            self.take_all(&mut state)
        };
        self.shelf.retire(taken);
    }

    fn take_all(&self, state: &mut State) -> Chain<Template> {
        state.kept_bytes = 0;
        let taken = self.shelf.take_all(&mut state.kept);
        self.note_kept(state);
        taken
    }

    /// An entry was taken off the shelf.
    fn forget(&self, state: &mut State, entry: Arc<Entry>, taken: &mut Chain<Template>) {
        state.kept_bytes -= entry.made().charge_bytes;
        taken.push(entry);
        self.note_kept(state);
    }

    fn note_kept(&self, state: &State) {
        self.counters.kept.store(state.kept.len() as u64, SeqCst);
        self.counters.kept_bytes.store(state.kept_bytes, SeqCst);
    }

    /// Uses the template of a key, which is built when it is not there.
    #[inline]
    fn with<R>(
        &self,
        record: Option<&'static ThreadRecord>,
        key: &[u8],
        deadline: impl FnOnce() -> Deadline,
        cancel: Option<&Cancel>,
        body: impl FnOnce(&Found<'_, Template>) -> R,
    ) -> Result<R, TemplatesError> {
        let hash = self.hash(key);
        match self.shelf.read(record, hash, key, body) {
            Ok(result) => {
                self.counters.hits.note(record);
                Ok(result)
            }
            Err(body) => Ok(body(&Found::of(&self.ask(hash, key, deadline(), cancel)?))),
        }
    }

    #[cold]
    fn ask(
        &self,
        hash: u64,
        key: &[u8],
        deadline: Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<Arc<Entry>, TemplatesError> {
        let thread = Builder::current();
        let turn = {
            let mut state = self.state.lock();
            if self.closed.load(SeqCst) {
                return Err(TemplatesError::Closed);
            }
            if let Some(entry) = self.shelf.find_kept(&state.kept, hash, key) {
                self.counters.hits.note(None);
                return Ok(entry.clone());
            }
            self.counters.misses.fetch_add(1, Relaxed);
            state.builds.ask(hash, key, thread)?
        };
        match turn {
            Turn::Build(build) => self.build(hash, &build),
            Turn::Wait(build) => {
                let end = self.wait(&build, deadline, cancel);
                self.state.lock().builds.note_wait(thread, 0);
                end
            }
            Turn::Deadlock => Err(TemplatesError::WouldDeadlock),
        }
    }

    /// Waits for another thread's build.
    fn wait(&self, build: &Build, deadline: Deadline, cancel: Option<&Cancel>) -> Result<Arc<Entry>, TemplatesError> {
        let begin_ns = clock::now_ns();
        self.counters.waiting.fetch_add(1, SeqCst);
        let ended = build.watchers.wait_until(deadline, cancel, || match build.end() {
            Some(end) => Some(self.outcome(end)),
            None => self.closed.load(SeqCst).then_some(Err(TemplatesError::Closed)),
        });
        self.counters.waiting.fetch_sub(1, SeqCst);
        self.counters.waits.note(clock::now_ns().saturating_sub(begin_ns));
        ended.unwrap_or_else(|end| Err(TemplatesError::Wait(end)))
    }

    fn outcome(&self, end: &BuildEnd) -> Result<Arc<Entry>, TemplatesError> {
        match end {
            BuildEnd::Built(entry) => Ok(entry.clone()),
            BuildEnd::Failed(failure) => Err(TemplatesError::BuildFailed(*failure)),
            BuildEnd::OutOfMemory(error) => Err((*error).into()),
        }
    }

    fn build(&self, hash: u64, build: &Arc<Build>) -> Result<Arc<Entry>, TemplatesError> {
        let watch = EndOnPanic { templates: self, build };
        let begin_ns = clock::now_ns();
        let built = self.maker.build(&build.key, build.version);
        self.counters.build_times.note(clock::now_ns().saturating_sub(begin_ns));
        let end = match built.map(|template| shelve(hash, &build.key, template)) {
            Ok(Ok(entry)) => BuildEnd::Built(entry),
            Ok(Err(error)) => BuildEnd::OutOfMemory(error),
            Err(failure) => BuildEnd::Failed(failure),
        };
        std::mem::forget(watch);
        let taken = self.end_build(build, &end);
        build.finish(end.clone());
        self.shelf.retire(taken);
        if self.closed.load(SeqCst) { Err(TemplatesError::Closed) } else { self.outcome(&end) }
    }

    /// Takes a build off the list, and keeps what it made if that may be; tells what has to go for it.
    fn end_build(&self, build: &Arc<Build>, end: &BuildEnd) -> Chain<Template> {
        let mut taken = Chain::default();
        let mut state = self.state.lock();
        let may_be_kept = state.builds.leave(build) && !self.closed.load(SeqCst);
        let BuildEnd::Built(entry) = end else {
            self.counters.build_failures.fetch_add(1, Relaxed);
            return taken;
        };
        self.counters.builds.fetch_add(1, Relaxed);
        let charge = entry.made().charge_bytes;
        if !may_be_kept || charge > self.config.most_bytes {
            self.counters.unkept.fetch_add(1, Relaxed);
            return taken;
        }
        loop {
            let reason = if state.kept.len() >= self.config.most as usize {
                &self.counters.evicted_for_count
            } else if state.kept_bytes > self.config.most_bytes - charge {
                &self.counters.evicted_for_bytes
            } else {
                break;
            };
            let Some(evicted) = self.shelf.take_least_used(&mut state.kept) else { break };
            reason.fetch_add(1, Relaxed);
            self.forget(&mut state, evicted, &mut taken);
        }
        state.kept_bytes += charge;
        self.shelf.put(&mut state.kept, entry.clone());
        self.note_kept(&state);
        taken
    }
}

fn shelve(hash: u64, key: &[u8], template: Template) -> Result<Arc<Entry>, OutOfMemory> {
    let mut own_key = alloc::try_vec(key.len())?;
    own_key.extend_from_slice(key);
    alloc::try_arc(Entry::new(hash, own_key, template))
}

/// A build whose thread panics in the library still ends.
struct EndOnPanic<'a> {
    templates: &'a Templates,
    build: &'a Arc<Build>,
}

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        let end = BuildEnd::Failed(CallbackFailure {
            refusal: Refusal::IN_WORDS,
            message: Text::from("the library panicked"),
        });
        self.templates.end_build(self.build, &end);
        self.build.finish(end);
    }
}

/// A free reference that is not given out yet.
struct Vacancy<'a> {
    references: &'a Cells<Held>,
    number: u32,
}

impl Drop for Vacancy<'_> {
    fn drop(&mut self) {
        self.references.put_back(self.number);
    }
}

impl Laned for Templates {
    /// Its count of hits.
    type Lane = AtomicU64;

    fn lane_of(&self, record: &'static ThreadRecord, _: Owner) -> Option<&AtomicU64> {
        self.counters.hits.stripe(record)
    }
}

impl Handled for Templates {
    const KIND: Kind = Kind::Templates;
    const LANE: Option<LaneOf<Self>> = Self::ITS_LANE;

    fn begin_destroy(&self) {
        self.closed.store(true, SeqCst);
        self.state.lock().builds.wake_all();
    }

    fn finish_destroy(&self) {
        let taken = self.take_all(&mut self.state.lock());
        self.shelf.retire(taken);
        // Also what a reader that unwound has left behind.
        self.shelf.sweep();
    }

    /// References that are out.
    fn children(&self) -> u64 {
        self.references.used().into()
    }
}

#[cfg(test)]
mod tests;
