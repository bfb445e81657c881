//! Builds that are under way: one for each key, on the thread that asked first; whoever asks meanwhile waits for it.

use super::Entry;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback::CallbackFailure;
use crate::base::thread::ThreadRecord;
use crate::base::watchers::Watchers;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, OnceLock};

/// How a build ended.
#[derive(Clone)]
pub enum BuildEnd {
    Built(Arc<Entry>),
    Failed(CallbackFailure),
    OutOfMemory(OutOfMemory),
}

pub struct Build {
    hash: u64,
    pub key: Vec<u8>,
    /// From 1; those that begin later have higher ones.
    pub version: u64,
    end: OnceLock<BuildEnd>,
    has_ended: AtomicBool,
    pub watchers: Watchers,
}

impl Build {
    pub fn end(&self) -> Option<&BuildEnd> {
        if self.has_ended.load(SeqCst) { self.end.get() } else { None }
    }

    /// Tells those who wait. Only the first end counts.
    pub fn finish(&self, end: BuildEnd) {
        // A second one is dropped here.
        let _ = self.end.set(end);
        self.has_ended.store(true, SeqCst);
        self.watchers.wake_all();
    }
}

/// A thread, told from others by its record; `None` is like no other.
#[derive(Clone, Copy)]
pub struct Builder(Option<*const ThreadRecord>);

// SAFETY: the pointer is only compared.
unsafe impl Send for Builder {}

impl Builder {
    pub fn current() -> Self {
        Self(ThreadRecord::current().map(|record| &raw const *record))
    }

    fn is(self, other: Self) -> bool {
        self.0.is_some() && self.0 == other.0
    }
}

struct Underway {
    build: Arc<Build>,
    builder: Builder,
    /// The version of the other build that the builder waits for inside its callback, or 0.
    awaited: u64,
    /// Its key was invalidated meanwhile: it is for those who wait for it already.
    is_stale: bool,
}

#[derive(Default)]
pub struct Builds {
    underway: Vec<Underway>,
    last_version: u64,
}

/// What one who asks for a key that is not there has to do.
pub enum Turn {
    Build(Arc<Build>),
    Wait(Arc<Build>),
    /// It would wait for itself.
    Deadlock,
}

impl Builds {
    pub fn ask(&mut self, hash: u64, key: &[u8], builder: Builder) -> Result<Turn, OutOfMemory> {
        let mut same_key = self.underway.iter().filter(|one| one.build.hash == hash && one.build.key == key);
        if same_key.clone().any(|one| one.builder.is(builder)) {
            return Ok(Turn::Deadlock);
        }
        if let Some(other) = same_key.find(|one| !one.is_stale) {
            let build = other.build.clone();
            if self.leads_to(build.version, builder) {
                return Ok(Turn::Deadlock);
            }
            self.note_wait(builder, build.version);
            return Ok(Turn::Wait(build));
        }
        let mut own_key = alloc::try_vec(key.len())?;
        own_key.extend_from_slice(key);
        alloc::try_reserve_one(&mut self.underway)?;
        let build = alloc::try_arc(Build {
            hash,
            key: own_key,
            version: self.last_version + 1,
            end: OnceLock::new(),
            has_ended: AtomicBool::new(false),
            watchers: Watchers::default(),
        })?;
        self.last_version += 1;
        self.underway.push(Underway { build: build.clone(), builder, awaited: 0, is_stale: false });
        Ok(Turn::Build(build))
    }

    /// Whether the builder of this version waits, over others or not, for this thread.
    fn leads_to(&self, version: u64, thread: Builder) -> bool {
        let mut next = version;
        // A thread that would close a circle is refused, so there is none to go round in.
        while let Some(one) = self.underway.iter().find(|one| one.build.version == next) {
            if one.builder.is(thread) {
                return true;
            }
            next = one.awaited;
        }
        false
    }

    /// A thread begins to wait for a build, or ends its wait (0), inside the callbacks of its own builds if it has any.
    pub fn note_wait(&mut self, thread: Builder, version: u64) {
        for one in self.underway.iter_mut().filter(|one| one.builder.is(thread)) {
            one.awaited = version;
        }
    }

    /// Takes a build off the list; tells whether what it made may be kept.
    pub fn leave(&mut self, build: &Arc<Build>) -> bool {
        let place = self.underway.iter().position(|one| Arc::ptr_eq(&one.build, build));
        place.is_some_and(|place| !self.underway.swap_remove(place).is_stale)
    }

    /// What is built for this key, or for any, is not to be kept.
    pub fn invalidate(&mut self, key: Option<(u64, &[u8])>) {
        for one in &mut self.underway {
            if key.is_none_or(|(hash, key)| one.build.hash == hash && one.build.key == key) {
                one.is_stale = true;
            }
        }
    }

    pub fn wake_all(&self) {
        self.underway.iter().for_each(|one| one.build.watchers.wake_all());
    }
}
