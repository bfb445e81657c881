//! What the library keeps for each thread, and the threads that it starts itself.

mod current;

use super::Owner;
use super::faults::{self, Point};
use super::handles::Seat;
use super::park::Parker;
use super::pockets::Pocket;
use super::text::Text;
use super::tracing::sampler::Sampler;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// What one thread can use at once without touching a shared line (see [`super::hazards`]).
pub const HAZARDS: usize = 6;
pub const ERROR_BYTES: usize = 512;
/// Objects of which one thread can have something at hand.
const STALLS: usize = 16;

/// One callback of the host that is running on this thread.
pub(super) struct Frame {
    pub(super) owner: Owner,
    pub(super) outer: *const Frame,
}

/// What a thread has at hand of one object, on a cache line of its own.
#[repr(align(64))]
struct Stall {
    pocket: Pocket,
    seat: Seat,
}

impl Stall {
    #[allow(clippy::declare_interior_mutable_const)] // each use is to be one of its own
    const EMPTY: Self = Self { pocket: Pocket::EMPTY, seat: Seat::EMPTY };
}

/// One thread's record. Records are never freed, only handed to the next thread, so that other threads may look at
/// one (to see which handles it uses, to wake it) without asking whether its thread still lives.
#[repr(align(64))]
pub struct ThreadRecord {
    pub(super) hazards: [AtomicU64; HAZARDS],
    pub(super) depth: Cell<usize>,
    /// The thread's number, as gettid(2) has it.
    pub(super) number: Cell<u32>,
    pub parker: Parker,
    pub(super) frame: Cell<*const Frame>,
    pub(super) callback_message: RefCell<Text<{ super::MESSAGE_BYTES }>>,
    pub(super) panic_message: RefCell<Text<ERROR_BYTES>>,
    pub error_message: RefCell<Text<ERROR_BYTES>>,
    /// How many guarded calls this thread is in: while above 0 a panic is recorded instead of printed.
    pub(super) guarded: Cell<u32>,
    stalls: [Stall; STALLS],
    pub(super) sampler: Sampler,
    /// Its thread is one of the library's own.
    is_ours: AtomicBool,
    taken: AtomicBool,
    next: AtomicPtr<ThreadRecord>,
}

// SAFETY: the `Cell`s and `RefCell`s are used only by the thread that holds the record (`taken` hands it over with
// acquire and release); what other threads read is atomic.
unsafe impl Sync for ThreadRecord {}

/// Threads of the library that were started and have not ended.
static OURS: AtomicU32 = AtomicU32::new(0);
static RECORDS: AtomicPtr<ThreadRecord> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// The key whose destructor hands a record back when its thread ends. Not a destructor of `thread_local!`: those run
/// first, and a C++ `thread_local` that releases a lease after them would keep a record for ever.
fn hand_back_key() -> Option<libc::pthread_key_t> {
    static KEY: OnceLock<Option<libc::pthread_key_t>> = OnceLock::new();
    *KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the key is live, and the library is never unloaded, so its destructor stays.
        (unsafe { libc::pthread_key_create(&mut key, Some(hand_back)) } == 0).then_some(key)
    })
}

unsafe extern "C" fn hand_back(record: *mut c_void) {
    current::set(std::ptr::null());
    // SAFETY: `attach` put it there, and records are never freed.
    if let Some(record) = unsafe { record.cast::<ThreadRecord>().as_ref() } {
        record.give_up();
    }
}

impl ThreadRecord {
    /// This thread's record, or `None` when there is no memory for one.
    #[inline]
    pub fn current() -> Option<&'static ThreadRecord> {
        match Self::known() {
            Some(record) => Some(record),
            None => Self::attach(),
        }
    }

    #[cold]
    fn attach() -> Option<&'static ThreadRecord> {
        let record = Self::all().find(|record| {
            !record.taken.load(Relaxed) && record.taken.compare_exchange(false, true, Acquire, Relaxed).is_ok()
        });
        let record = match record {
            Some(record) => record,
            None => Self::add()?,
        };
        let record_pointer = (&raw const *record).cast::<c_void>();
        // SAFETY: the key was made above.
        let is_handed_back =
            hand_back_key().is_some_and(|key| unsafe { libc::pthread_setspecific(key, record_pointer) } == 0);
        if !is_handed_back {
            record.give_up();
            return None;
        }
        // SAFETY: gettid takes nothing.
        record.number.set(unsafe { libc::gettid() } as u32);
        record.is_ours.store(IS_OURS.get(), SeqCst);
        current::set(record);
        Some(record)
    }

    /// This thread's record, if it has one already.
    #[inline(always)]
    pub fn known() -> Option<&'static ThreadRecord> {
        // SAFETY: records are never freed.
        unsafe { current::get().as_ref() }
    }

    /// The thread's number, as gettid(2) has it.
    #[inline]
    pub fn number(&self) -> u32 {
        self.number.get()
    }

    /// Its pocket for that object.
    #[inline(always)]
    pub fn pocket(&self, owner: Owner) -> &Pocket {
        &self.stall(owner).pocket
    }

    /// Its seat at that object, or at another that has the same place.
    #[inline(always)]
    pub(super) fn seat(&self, owner: Owner) -> &Seat {
        &self.stall(owner).seat
    }

    /// Its thread has from now on a part of an object of which it had none: where it sat at one without, it looks again.
    #[cold]
    pub fn has_a_new_lane(&self) {
        self.stalls.iter().for_each(|stall| stall.seat.forget_if_nowhere());
    }

    /// Objects that were made one after the other have different ones.
    #[inline(always)]
    fn stall(&self, owner: Owner) -> &Stall {
        &self.stalls[(owner.0 >> 32) as usize % STALLS]
    }

    /// Leaves it to the next thread, which shall find nothing of this one's, however it ended.
    fn give_up(&self) {
        self.hazards.iter().for_each(|hazard| hazard.store(0, Release));
        self.depth.set(0);
        self.frame.set(std::ptr::null());
        self.guarded.set(0);
        self.is_ours.store(false, SeqCst);
        self.error_message.replace(Text::new());
        self.callback_message.replace(Text::new());
        self.panic_message.replace(Text::new());
        self.taken.store(false, Release);
    }

    fn add() -> Option<&'static ThreadRecord> {
        super::alloc::probe(size_of::<ThreadRecord>()).ok()?;
        let record: &'static ThreadRecord = Box::leak(Box::new(ThreadRecord {
            hazards: [const { AtomicU64::new(0) }; HAZARDS],
            depth: Cell::new(0),
            number: Cell::new(0),
            parker: Parker::new(),
            frame: Cell::new(std::ptr::null()),
            callback_message: RefCell::new(Text::new()),
            panic_message: RefCell::new(Text::new()),
            error_message: RefCell::new(Text::new()),
            guarded: Cell::new(0),
            stalls: [Stall::EMPTY; STALLS],
            sampler: Sampler::default(),
            is_ours: AtomicBool::new(false),
            taken: AtomicBool::new(true),
            next: AtomicPtr::new(std::ptr::null_mut()),
        }));
        let mut head = RECORDS.load(Relaxed);
        loop {
            record.next.store(head, Relaxed);
            match RECORDS.compare_exchange_weak(head, (&raw const *record).cast_mut(), Release, Relaxed) {
                Ok(_) => return Some(record),
                Err(newer) => head = newer,
            }
        }
    }

    /// Every record there is, whether a thread holds it or not.
    pub(super) fn all() -> impl Iterator<Item = &'static ThreadRecord> {
        let mut next = RECORDS.load(Acquire);
        std::iter::from_fn(move || {
            // SAFETY: records are never freed.
            let record = unsafe { next.as_ref() }?;
            next = record.next.load(Acquire);
            Some(record)
        })
    }
}

/// The thread on whose behalf something is done, as far as it is known.
#[derive(Clone, Copy)]
pub struct Caller {
    record: Option<&'static ThreadRecord>,
    number: u32,
}

impl Caller {
    pub const UNKNOWN: Self = Self { record: None, number: 0 };

    #[inline]
    pub fn of(record: &'static ThreadRecord) -> Self {
        Self { record: Some(record), number: record.number() }
    }

    /// The thread's number, as gettid(2) has it; 0: unknown.
    #[inline]
    pub fn number(self) -> u32 {
        self.number
    }

    /// The same, for another thread that does something on its behalf.
    pub fn elsewhere(self) -> Self {
        Self { record: None, ..self }
    }

    /// The thread's pocket for that object.
    #[inline]
    pub fn pocket(self, owner: Owner) -> Option<&'static Pocket> {
        self.record.map(|record| record.pocket(owner))
    }
}

/// The pockets of every thread, for that object.
pub fn pockets(owner: Owner) -> impl Iterator<Item = &'static Pocket> {
    ThreadRecord::all().map(move |record| record.pocket(owner))
}

#[derive(Debug, thiserror::Error)]
#[error("thread {name} could not be started: {source} (a limit on threads or memory: RLIMIT_NPROC, pids cgroup)")]
pub struct SpawnError {
    pub name: String,
    pub source: std::io::Error,
}

/// Starts a thread of the library: named `ostler-<name>` (15 bytes are kept), with every signal blocked, so that the
/// host's handlers never run on it.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, SpawnError> {
    let counted = Counted::new();
    start(name, move || {
        let _counted = counted;
        let _marked = Marked::new();
        super::panics::silence_this_thread();
        body();
    })
}

/// [`spawn`] for a thread that follows the machine instead of the library's clock: it sleeps elsewhere, and who waits until
/// all threads of the library sleep does not wait for it.
pub fn spawn_apart(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, SpawnError> {
    start(name, move || {
        super::panics::silence_this_thread();
        body();
    })
}

/// [`spawn_apart`] for a thread that ends within a scope of the thread that starts it.
pub fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    name: &str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Result<std::thread::ScopedJoinHandle<'scope, T>, SpawnError> {
    begin(name, |builder| {
        builder.spawn_scoped(scope, move || {
            super::panics::silence_this_thread();
            body()
        })
    })
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, SpawnError> {
    begin(name, |builder| builder.spawn(body))
}

fn begin<T>(name: &str, spawn: impl FnOnce(std::thread::Builder) -> std::io::Result<T>) -> Result<T, SpawnError> {
    let name = format!("ostler-{name}");
    if let Some(errno) = faults::hit(Point::ThreadStart) {
        return Err(SpawnError { name, source: std::io::Error::from_raw_os_error(errno) });
    }
    let short = name.chars().take(15).collect();
    let _blocked = BlockedSignals::new();
    spawn(std::thread::Builder::new().name(short)).map_err(|source| SpawnError { name, source })
}

/// Wakes every thread that sleeps in the library, to look again at what it waits for.
pub fn wake_all() {
    ThreadRecord::all().for_each(|record| record.parker.unpark());
}

/// While all threads of the library sleep, and none for a moment that has passed: how often they lay down. When it is
/// the same at two looks, there was a moment between them at which all slept, and only time or the host can wake one.
pub fn sleeps_of_ours(now_ns: u64) -> Option<u64> {
    let ours = OURS.load(SeqCst);
    let mut asleep = 0;
    let mut sum = 0;
    for record in ThreadRecord::all().filter(|record| record.is_ours.load(SeqCst)) {
        let (sleeps, _) = record.parker.sleep().filter(|(_, until_ns)| *until_ns > now_ns)?;
        asleep += 1;
        sum += u64::from(sleeps);
    }
    (asleep == ours).then_some(sum)
}

/// Counts a thread of the library, from before its start to its end.
struct Counted(());

impl Counted {
    fn new() -> Self {
        OURS.fetch_add(1, SeqCst);
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        OURS.fetch_sub(1, SeqCst);
    }
}

/// Marks this thread as one of the library's own while it lives.
struct Marked(());

impl Marked {
    fn new() -> Self {
        IS_OURS.set(true);
        Self(())
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        IS_OURS.set(false);
        if let Some(record) = ThreadRecord::known() {
            record.is_ours.store(false, SeqCst);
        }
    }
}

/// Blocks every signal on this thread while it lives; a thread started meanwhile inherits that.
struct BlockedSignals {
    before: libc::sigset_t,
}

impl BlockedSignals {
    fn new() -> Self {
        // SAFETY: both sets are live; a zeroed sigset_t is valid for sigfillset to fill.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            Self { before }
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: `before` was filled by pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests;
