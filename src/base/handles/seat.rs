//! Seats: what a thread remembers of the objects that it used last, so that a call that has only a few instructions to do
//! looks nothing up. A seat says where the object is and what of it is the thread's own; whether it is still there says its
//! slot, as ever.

use super::{GENERATION, Handled, LIVE, Slot};
use crate::base::pockets::{Pocket, Reach};
use crate::base::thread::ThreadRecord;
use crate::base::{Owner, fork};
use std::cell::Cell;
use std::ops::Deref;
use std::sync::atomic::Ordering::*;

/// An object of which each thread has a part for itself.
pub trait Laned: Handled {
    type Lane: 'static;

    /// The part that the thread with this record has already, of the object with this handle. It stays with the record as long
    /// as the object lives. Who gives a thread its part says so with [`ThreadRecord::has_a_new_lane`].
    fn lane_of(&self, record: &'static ThreadRecord, owner: Owner) -> Option<&Self::Lane>;

    /// For [`Handled::LANE`].
    const ITS_LANE: Option<LaneOf<Self>> =
        Some(|object, record, owner| object.lane_of(record, owner).map(|lane| (&raw const *lane).cast()));
}

/// An object of which a thread has what is in its pocket.
pub trait Pocketed: Handled {}

impl<T: Pocketed> Laned for T {
    type Lane = Pocket;

    fn lane_of(&self, record: &'static ThreadRecord, owner: Owner) -> Option<&Pocket> {
        Some(record.pocket(owner))
    }
}

/// What of an object is the own of the thread with this record: the [`Laned::Lane`], its type forgotten.
pub type LaneOf<T> = fn(&T, &'static ThreadRecord, Owner) -> Option<*const ()>;

/// One thread's seat. Another object with the same place in the record takes it away.
pub struct Seat {
    handle: Cell<u64>,
    slot: Cell<*const Slot>,
    object: Cell<*const ()>,
    /// What of the object is the thread's own. Null: nothing, and the seat leads nowhere.
    lane: Cell<*const ()>,
}

/// Where a seat leads that nobody has taken, or that is at an object of which its thread has nothing: there is no object.
static NOWHERE: Slot = Slot::VACANT;

impl Seat {
    #[allow(clippy::declare_interior_mutable_const)] // each use is to be one of its own
    pub const EMPTY: Self = Self {
        handle: Cell::new(0),
        slot: Cell::new(&raw const NOWHERE),
        object: Cell::new(std::ptr::null()),
        lane: Cell::new(std::ptr::null()),
    };

    #[inline(always)]
    pub(super) fn is_at(&self, handle: u64) -> bool {
        self.handle.get() == handle
    }

    /// If it leads nowhere, it is nobody's from now on.
    pub fn forget_if_nowhere(&self) {
        if self.lane.get().is_null() {
            self.handle.set(0);
        }
    }

    /// Whether an object of this kind is still behind the handle of the seat; asked in a window of it.
    #[inline(always)]
    pub(super) fn finds<T: Handled>(&self, handle: u64) -> bool {
        // SAFETY: slots are never freed.
        let word = unsafe { &*self.slot.get() }.word.load(SeqCst);
        fork::is_swift() && word == LIVE | (T::KIND as u64) << 32 | (handle & GENERATION)
    }
}

/// A live object in the hands of a call that has only a few instructions to do: it waits for no one, calls nobody and cannot
/// panic. They are a window of the caller's pocket (see [`crate::base::pockets`]), and while that lasts the object does.
pub struct Seated<T: Laned> {
    object: *const T,
    lane: *const T::Lane,
    record: &'static ThreadRecord,
    window: Reach<'static>,
}

impl<T: Laned> Seated<T> {
    /// Nothing when there is something to tell, when a fence costs something, or when the thread has no seat there: the long way
    /// does the one and the other.
    #[inline(always)]
    pub fn enter(handle: u64) -> Option<Self> {
        // Injected failures are for the long way.
        if cfg!(feature = "faults") {
            return None;
        }
        let record = ThreadRecord::known()?;
        let seat = record.seat(Owner(handle));
        if !seat.is_at(handle) {
            return None;
        }
        let window = Reach::begin_without_fence(record.pocket(Owner(handle)), Owner(handle));
        if !seat.finds::<T>(handle) {
            return None;
        }
        Some(Self { object: seat.object.get().cast(), lane: seat.lane.get().cast(), record, window })
    }

    /// What of the object is this thread's own.
    #[inline(always)]
    pub fn lane(&self) -> &T::Lane {
        // SAFETY: as below; it is the lane of this record.
        unsafe { &*self.lane }
    }

    /// The pocket in whose window this is.
    #[inline(always)]
    pub fn pocket(&self) -> &'static Pocket {
        self.window.place()
    }

    /// The record of the thread that calls.
    #[inline(always)]
    pub fn record(&self) -> &'static ThreadRecord {
        self.record
    }
}

impl<T: Laned> Deref for Seated<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the object was found behind this handle, whose slot says that it is live. Whoever destroys it changes the
        // slot first, and then waits until no window of it is left.
        unsafe { &*self.object }
    }
}

/// Gives the thread with this record a seat at an object that the caller holds. Where nothing of it is the thread's own the
/// seat leads nowhere, and every call goes the long way without another look for it.
#[cold]
pub(super) fn sit_down<T: Handled>(
    record: &'static ThreadRecord,
    handle: u64,
    slot: &'static Slot,
    object: &T,
    lane_of: LaneOf<T>,
) {
    let owner = Owner(handle);
    let (slot, lane) = match lane_of(object, record, owner) {
        Some(lane) => (slot, lane),
        None => (&NOWHERE, std::ptr::null()),
    };
    let seat = record.seat(owner);
    seat.slot.set(slot);
    seat.object.set((&raw const *object).cast());
    seat.lane.set(lane);
    seat.handle.set(handle);
}
