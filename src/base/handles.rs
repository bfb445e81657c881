//! Checked handles. A handle is a number that says kind, slot and generation; it is never an address, so a stray
//! pointer cannot be taken for one, and a destroyed handle stays wrong after its slot is used again.
//!
//! A call *pins* the object behind a handle: it shows the handle (see [`super::hazards`]), looks at the slot, and goes on
//! without a locked operation. Whoever destroys changes the slot first, and then waits until no thread shows the handle.
//! Nested calls past the hazards of a thread count themselves in the slot instead.
//!
//! The life of a slot: `FREE` → `LIVE` → `CLOSING` (destroy runs) → `ORPHANED` (destroyed, but leases or tickets are
//! still out) → `FREE` with the next generation.

mod seat;
mod watch;

pub use seat::{LaneOf, Laned, Pocketed, Seat, Seated};
pub use watch::{watched, with};

use super::alloc::{self, OutOfMemory};
use super::hazards::{self, Hazard};
use super::pockets;
use super::thread::{self, Caller, ThreadRecord};
use super::{Owner, barrier, callback, fork, injection, nesting, panics};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*, fence};

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Model = 1,
    Orchestrator = 2,
    Pool = 3,
    Arena = 4,
    Topology = 5,
    Cancel = 6,
    Deferred = 7,
    Templates = 8,
    Heap = 9,
    Slab = 10,
    Buffers = 11,
    Lazy = 12,
    Segment = 13,
    File = 14,
    Account = 15,
}

/// In the order of a shutdown: what depends on others goes first.
const KINDS: [Kind; 15] = [
    Kind::Model,
    Kind::Orchestrator,
    Kind::Pool,
    Kind::Templates,
    Kind::Deferred,
    Kind::Lazy,
    Kind::Buffers,
    Kind::Slab,
    Kind::Heap,
    Kind::Segment,
    Kind::File,
    Kind::Arena,
    Kind::Account,
    Kind::Topology,
    Kind::Cancel,
];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Model => "model",
            Kind::Orchestrator => "orchestrator",
            Kind::Pool => "pool",
            Kind::Arena => "arena",
            Kind::Topology => "topology",
            Kind::Cancel => "cancel",
            Kind::Deferred => "deferred",
            Kind::Templates => "templates",
            Kind::Heap => "heap",
            Kind::Slab => "slab",
            Kind::Buffers => "buffers",
            Kind::Lazy => "lazy",
            Kind::Segment => "segment",
            Kind::File => "file",
            Kind::Account => "account",
        }
    }

    /// Whether its destroy joins threads, which write to the log.
    fn has_threads(self) -> bool {
        matches!(self, Kind::Model | Kind::Orchestrator | Kind::Pool)
    }
}

/// An object that lives behind a handle.
pub trait Handled: Send + Sync + Sized + 'static {
    const KIND: Kind;

    /// How what a thread has of the object for itself is found, where short calls begin at the thread's seat: see [`Laned`].
    const LANE: Option<LaneOf<Self>> = None;

    /// Refuses new work from now on and ends every wait inside the object with "closed".
    fn begin_destroy(&self);

    /// Joins threads and gives back what no child needs. Runs once, when no call but a child's is inside.
    fn finish_destroy(&self);

    /// It is quarantined from now on, on the thread that panicked: ends every wait inside.
    fn quarantined(&self) {}

    /// Leases, tickets, cursors that are still out. The object stays until there are none.
    fn children(&self) -> u64 {
        0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    #[error("{kind} is NULL")]
    Null { kind: &'static str },
    #[error("{kind} handle {handle:#x} is not one that this library gave out")]
    Stray { kind: &'static str, handle: u64 },
    #[error("{kind} handle {handle:#x} is the handle of a {actual}")]
    WrongKind { kind: &'static str, handle: u64, actual: &'static str },
    #[error("{kind} handle {handle:#x} was destroyed")]
    Destroyed { kind: &'static str, handle: u64 },
    #[error("{kind} {handle:#x} is closing: it takes no new work")]
    Closing { kind: &'static str, handle: u64 },
    #[error("{kind} {handle:#x} is quarantined after a panic: only destroy is left")]
    Quarantined { kind: &'static str, handle: u64 },
    #[error(
        "{kind} {handle:#x} cannot be destroyed from inside one of its own callbacks, or the log's: it would wait for itself"
    )]
    InsideOwnCallback { kind: &'static str, handle: u64 },
    #[error(
        "{kind} {handle:#x} cannot be destroyed here: another thread, inside a callback of it, destroys an object inside \
         whose callback this is, and the two would wait for one another"
    )]
    WaitsForOneAnother { kind: &'static str, handle: u64 },
    #[error("too many objects: {MAX_SLOTS} handles are in use")]
    Full,
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

// A handle: 1 | kind:7 | slot:24 | generation:32. The top bit makes it no address of any process.
const MARK: u64 = 1 << 63;
const KIND_SHIFT: u32 = 56;
const SLOT_SHIFT: u32 = 32;
const SLOT_MASK: u64 = (1 << 24) - 1;
const GENERATION: u64 = (1 << 32) - 1;

// The word of a slot: state:8 | kind:8 | generation:32.
const FREE: u64 = 0;
const LIVE: u64 = 1 << 40;
const CLOSING: u64 = 2 << 40;
const ORPHANED: u64 = 3 << 40;
const STATE: u64 = 0xf << 40;
const QUARANTINE: u64 = 0x10 << 40;

const CHUNK_SLOTS: usize = 1024;
const CHUNKS: usize = 1024;
const MAX_SLOTS: usize = CHUNK_SLOTS * CHUNKS;

struct Slot {
    word: AtomicU64,
    /// Pins of threads whose hazards are used up.
    shared_pins: AtomicU32,
    /// An `Arc<T>` turned into a pointer; `T` is told by the kind.
    object: AtomicPtr<()>,
    /// Destroys the object, its type forgotten; for a shutdown.
    destroy: AtomicPtr<()>,
}

impl Slot {
    #[allow(clippy::declare_interior_mutable_const)] // each use is to be one of its own
    const VACANT: Self = Self {
        // Generations begin at 1, so that no handle is a round number.
        word: AtomicU64::new(FREE | 1),
        shared_pins: AtomicU32::new(0),
        object: AtomicPtr::new(std::ptr::null_mut()),
        destroy: AtomicPtr::new(std::ptr::null_mut()),
    };
}

type DestroyFn = fn(u64) -> Result<(), HandleError>;

static TABLE: [AtomicPtr<Slot>; CHUNKS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS];
static VACANCIES: Mutex<Vacancies> = Mutex::new(Vacancies { freed: VecDeque::new(), fresh: 0 });

struct Vacancies {
    /// Slots that were used before, oldest first, so that a generation lasts as long as it can.
    freed: VecDeque<u32>,
    /// The first slot that was never used.
    fresh: usize,
}

/// A slot that is taken but not yet live: its number is known before the object that it will stand for.
pub struct Reserved {
    index: usize,
    handle: u64,
}

impl Reserved {
    pub fn owner(&self) -> Owner {
        Owner(self.handle)
    }

    /// Puts the object behind the handle.
    pub fn publish<T: Handled>(self, object: Arc<T>) -> u64 {
        let handle = self.handle;
        if let Some(slot) = slot(self.index) {
            slot.object.store(Arc::into_raw(object).cast_mut().cast(), Relaxed);
            slot.destroy.store(destroy::<T> as DestroyFn as *mut (), Relaxed);
            slot.word.store(expected(handle, LIVE), SeqCst);
        }
        std::mem::forget(self);
        handle
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        vacate(self.index);
    }
}

/// Takes a slot for an object of this kind.
pub fn reserve(kind: Kind) -> Result<Reserved, HandleError> {
    fork::watch();
    panics::install_hook();
    barrier::choose();
    let mut vacancies = VACANCIES.lock();
    let index = match vacancies.freed.pop_front() {
        Some(index) => index as usize,
        None => {
            let index = vacancies.fresh;
            if index == MAX_SLOTS {
                return Err(HandleError::Full);
            }
            grow_table(index)?;
            // So that giving the slots back never needs memory.
            if vacancies.freed.try_reserve(index + 1).is_err() {
                return Err(OutOfMemory { bytes: index as u64 * 4 }.into());
            }
            vacancies.fresh = index + 1;
            index
        }
    };
    let generation = slot(index).map_or(0, |slot| slot.word.load(Relaxed) & 0xffff_ffff);
    let handle = MARK | ((kind as u64) << KIND_SHIFT) | ((index as u64) << SLOT_SHIFT) | generation;
    Ok(Reserved { index, handle })
}

fn grow_table(index: usize) -> Result<(), OutOfMemory> {
    let chunk = &TABLE[index / CHUNK_SLOTS];
    if !chunk.load(Relaxed).is_null() {
        return Ok(());
    }
    let mut slots = alloc::try_vec(CHUNK_SLOTS)?;
    slots.extend((0..CHUNK_SLOTS).map(|_| Slot::VACANT));
    chunk.store(Vec::leak(slots).as_mut_ptr(), Release);
    Ok(())
}

/// Gives the slot its next generation. A slot whose generations are used up is never used again.
fn vacate(index: usize) {
    let Some(slot) = slot(index) else { return };
    let generation = (slot.word.load(Relaxed) & 0xffff_ffff) + 1;
    if generation <= u64::from(u32::MAX) {
        slot.word.store(FREE | generation, SeqCst);
        VACANCIES.lock().freed.push_back(index as u32);
    } else {
        slot.word.store(FREE, SeqCst);
    }
}

#[inline]
fn slot(index: usize) -> Option<&'static Slot> {
    let chunk = TABLE.get(index / CHUNK_SLOTS)?.load(Acquire);
    // SAFETY: a non-null chunk has CHUNK_SLOTS slots and is never freed.
    (!chunk.is_null()).then(|| unsafe { &*chunk.add(index % CHUNK_SLOTS) })
}

#[inline]
fn index_of(handle: u64) -> usize {
    ((handle >> SLOT_SHIFT) & SLOT_MASK) as usize
}

#[inline]
fn expected(handle: u64, state: u64) -> u64 {
    let kind = (handle >> KIND_SHIFT) & 0x7f;
    state | (kind << 32) | (handle & GENERATION)
}

/// Which states of an object a call may find.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Admit {
    /// New work: only a live object.
    New,
    /// What belongs to a lease, ticket or cursor that is out: also a closing or orphaned one.
    Child,
    /// Destroy: also a quarantined one.
    Destroy,
}

/// The use of an object by one call. While it lives the object does.
pub struct Pin<T: Handled> {
    object: *const T,
    slot: &'static Slot,
    hold: Hold,
}

enum Hold {
    /// Pins are values of one call, so they end in the reverse order of their begin.
    Hazard(Hazard),
    Shared,
}

impl Hold {
    #[inline]
    fn take(record: Option<&'static ThreadRecord>, slot: &Slot, handle: u64) -> Self {
        if let Some(hazard) = Hazard::take(record) {
            hazard.show(handle);
            return Hold::Hazard(hazard);
        }
        slot.shared_pins.fetch_add(1, SeqCst);
        Hold::Shared
    }

    #[inline]
    fn let_go(&self, slot: &Slot) {
        match self {
            Hold::Hazard(hazard) => hazard.let_go(),
            Hold::Shared => {
                slot.shared_pins.fetch_sub(1, SeqCst);
            }
        }
    }
}

impl<T: Handled> Pin<T> {
    #[inline]
    fn new(record: Option<&'static ThreadRecord>, handle: u64, admit: Admit) -> Result<Self, HandleError> {
        if handle >> KIND_SHIFT == (MARK >> KIND_SHIFT) | T::KIND as u64
            && let Some(slot) = slot(index_of(handle))
        {
            let hold = Hold::take(record, slot, handle);
            let word = slot.word.load(SeqCst);
            if word == expected(handle, LIVE) || admits(word, handle, admit) {
                let object: *const T = slot.object.load(Relaxed).cast();
                if let (Some(lane_of), Some(record)) = (T::LANE, record)
                    && !record.seat(Owner(handle)).is_at(handle)
                {
                    // SAFETY: the hold keeps it.
                    seat::sit_down(record, handle, slot, unsafe { &*object }, lane_of);
                }
                return Ok(Self { object, slot, hold });
            }
            hold.let_go(slot);
        }
        Err(explain::<T>(handle))
    }

    /// The record of the thread that calls, where it is at hand.
    #[inline]
    pub fn record(&self) -> Option<&'static ThreadRecord> {
        match &self.hold {
            Hold::Hazard(hazard) => Some(hazard.record()),
            Hold::Shared => None,
        }
    }

    /// The thread that calls, as far as it is known.
    #[inline]
    pub fn caller(&self) -> Caller {
        self.record().map_or(Caller::UNKNOWN, Caller::of)
    }

    /// Whether nobody destroys the object, who would wait for this pin.
    pub fn is_left_alone(&self) -> bool {
        self.slot.word.load(Relaxed) & STATE == LIVE
    }

    /// Whether this thread is inside another call on the object, as when the log's callback runs in one.
    fn is_used_further_out(&self) -> bool {
        matches!(&self.hold, Hold::Hazard(hazard) if hazard.is_shown_further_out())
    }

    /// A share in the object that outlives the pin, for a call that sleeps without holding up a destroy.
    pub fn share(&self) -> Arc<T> {
        // SAFETY: `object` came from `Arc::into_raw` in `publish`, and the pin keeps that share alive.
        unsafe {
            Arc::increment_strong_count(self.object);
            Arc::from_raw(self.object)
        }
    }
}

impl<T: Handled> Deref for Pin<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the object is dropped only after the slot changed and no pin shows the handle any more.
        unsafe { &*self.object }
    }
}

impl<T: Handled> Drop for Pin<T> {
    #[inline]
    fn drop(&mut self) {
        self.hold.let_go(self.slot);
    }
}

#[cold]
fn admits(word: u64, handle: u64, admit: Admit) -> bool {
    match admit {
        Admit::New => false,
        Admit::Child => word == expected(handle, CLOSING) || word == expected(handle, ORPHANED),
        Admit::Destroy => word == expected(handle, LIVE | QUARANTINE),
    }
}

#[cold]
fn explain<T: Handled>(handle: u64) -> HandleError {
    let kind = T::KIND.name();
    if handle == 0 {
        return HandleError::Null { kind };
    }
    let actual = KINDS.iter().find(|k| handle >> KIND_SHIFT == (MARK >> KIND_SHIFT) | **k as u64);
    let (Some(actual), Some(slot)) = (actual, slot(index_of(handle))) else {
        return HandleError::Stray { kind, handle };
    };
    if *actual != T::KIND {
        return HandleError::WrongKind { kind, handle, actual: actual.name() };
    }
    let word = slot.word.load(SeqCst);
    if word & !(STATE | QUARANTINE) != expected(handle, 0) {
        return HandleError::Destroyed { kind, handle };
    }
    match word & STATE {
        LIVE if word & QUARANTINE != 0 => HandleError::Quarantined { kind, handle },
        CLOSING | ORPHANED => HandleError::Closing { kind, handle },
        _ => HandleError::Destroyed { kind, handle },
    }
}

/// Pins a live object, for new work.
#[inline]
pub fn pin<T: Handled>(handle: u64) -> Result<Pin<T>, HandleError> {
    pin_on(ThreadRecord::current(), handle)
}

/// [`pin`] for a caller that has this thread's record at hand.
#[inline]
pub fn pin_on<T: Handled>(record: Option<&'static ThreadRecord>, handle: u64) -> Result<Pin<T>, HandleError> {
    Pin::new(record, handle, Admit::New)
}

/// Runs `body` for something that belongs to a child of the object, which may be closing or destroyed already. When
/// that was the last child of a destroyed object, the object goes.
#[inline]
pub fn with_child<T: Handled, R>(
    record: Option<&'static ThreadRecord>,
    handle: u64,
    body: impl FnOnce(&Pin<T>) -> R,
) -> Result<R, HandleError> {
    let pin = Pin::<T>::new(record, handle, Admit::Child)?;
    let result = body(&pin);
    if pin.slot.word.load(SeqCst) & STATE == LIVE {
        return Ok(result);
    }
    reap_if_childless(pin, handle);
    Ok(result)
}

#[cold]
fn reap_if_childless<T: Handled>(pin: Pin<T>, handle: u64) {
    // A call further out, or the one whose callback this is, looks again when it ends; here that would be waited for.
    let is_outermost = !pin.is_used_further_out() && !callback::inside(Owner(handle));
    let childless = pin.children() == 0;
    drop(pin);
    if childless && is_outermost {
        reap::<T>(handle);
    }
}

/// Destroys the object: new work is refused, waits end, and when no child is out its memory goes.
pub fn destroy<T: Handled>(handle: u64) -> Result<(), HandleError> {
    let kind = T::KIND.name();
    let pin = Pin::<T>::new(ThreadRecord::current(), handle, Admit::Destroy).map_err(|error| match error {
        HandleError::Closing { kind, handle } => HandleError::Destroyed { kind, handle },
        error => error,
    })?;
    let would_wait_for_itself = pin.is_used_further_out()
        || callback::inside(Owner(handle))
        || (T::KIND.has_threads() && callback::inside(Owner::LOG));
    if would_wait_for_itself {
        return Err(HandleError::InsideOwnCallback { kind, handle });
    }
    let slot = pin.slot;
    let begin = || {
        // Quarantined meanwhile or not: of several destroyers one makes it closing.
        let closing = |word| (word & STATE == LIVE).then_some(expected(handle, CLOSING));
        let is_begun = slot.word.fetch_update(SeqCst, SeqCst, closing).is_ok();
        is_begun.then_some(()).ok_or(HandleError::Destroyed { kind, handle })
    };
    nesting::destroy(Owner(handle), begin, || end(pin, handle))
        .unwrap_or(Err(HandleError::WaitsForOneAnother { kind, handle }))
}

/// What follows once it is closing.
fn end<T: Handled>(pin: Pin<T>, handle: u64) {
    // A callback that is held up would hold up this call.
    injection::forget(Owner(handle));
    pin.begin_destroy();
    let (slot, object) = (pin.slot, pin.share());
    drop(pin);
    wait_unpinned(slot, handle);
    object.finish_destroy();
    slot.word.store(expected(handle, ORPHANED), SeqCst);
    // Either this sees that the last child is gone, or whoever ended that one sees the orphan.
    fence(SeqCst);
    let childless = object.children() == 0;
    drop(object);
    if childless {
        reap::<T>(handle);
    }
}

/// Frees an orphaned object without children. Of several callers one does it.
fn reap<T: Handled>(handle: u64) {
    let index = index_of(handle);
    let Some(slot) = slot(index) else { return };
    let gone = expected(handle, FREE);
    if slot.word.compare_exchange(expected(handle, ORPHANED), gone, SeqCst, SeqCst).is_err() {
        return;
    }
    wait_unpinned(slot, handle);
    let object = slot.object.swap(std::ptr::null_mut(), SeqCst);
    // SAFETY: the share that `publish` put there; the exchange above lets one caller take it.
    drop(unsafe { Arc::from_raw(object.cast::<T>().cast_const()) });
    vacate(index);
}

/// Waits until no call is inside the object behind a handle that no new call can pin.
fn wait_unpinned(slot: &Slot, handle: u64) {
    barrier::heavy();
    let has_window = || thread::pockets(Owner(handle)).any(|pocket| pockets::has_window(pocket, Owner(handle)));
    barrier::wait_while(|| slot.shared_pins.load(SeqCst) > 0 || hazards::is_shown(handle) || has_window());
}

/// After a panic in the middle of its work a live object takes no more of it. One that is being destroyed takes none
/// anyway, and goes when its children are back.
pub fn quarantine(owner: Owner) {
    if let Some(slot) = slot(index_of(owner.0)) {
        let live = expected(owner.0, LIVE);
        let _ = slot.word.compare_exchange(live, live | QUARANTINE, SeqCst, SeqCst);
    }
}

/// Destroys every object, dependents first. Objects whose children are out remain until those are back.
pub fn destroy_all() {
    for kind in KINDS {
        for (handle, destroy) in live_handles(kind) {
            // Another thread may have been faster; then it is destroyed as well.
            let _ = destroy(handle);
        }
    }
}

/// How many objects are not yet gone, orphans included.
pub fn live_count() -> u64 {
    used_slots().filter(|(_, slot)| slot.word.load(SeqCst) & STATE != FREE).count() as u64
}

fn live_handles(kind: Kind) -> Vec<(u64, DestroyFn)> {
    let mut found = Vec::new();
    for (index, slot) in used_slots() {
        let word = slot.word.load(SeqCst);
        if word & STATE == LIVE && (word >> 32) & 0xff == kind as u64 {
            let handle = MARK | ((kind as u64) << KIND_SHIFT) | ((index as u64) << SLOT_SHIFT) | (word & 0xffff_ffff);
            // SAFETY: `publish` stored a `DestroyFn` before the slot became live.
            let destroy = unsafe { std::mem::transmute::<*mut (), DestroyFn>(slot.destroy.load(SeqCst)) };
            found.push((handle, destroy));
        }
    }
    found
}

fn used_slots() -> impl Iterator<Item = (usize, &'static Slot)> {
    let fresh = VACANCIES.lock().fresh;
    (0..fresh).filter_map(|index| Some((index, slot(index)?)))
}

#[cfg(test)]
mod tests;
