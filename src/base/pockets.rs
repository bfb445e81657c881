//! Pockets: what a thread has at hand of an object, which is one number, without any locked operation; and the recall, by
//! which everybody else gets at it. What holds for a pocket holds for any [`Place`] that one user at a time has for itself.
//!
//! A thread does what it does with its pocket inside a *window*: it marks the pocket busy, passes the light side of an
//! asymmetric fence, and looks at the object's state. Whoever changes the state passes the heavy side and then waits until
//! no pocket is busy, so the state is the same from the begin of each window to its end. While the pockets are open, a
//! thread's pocket, and what else is biased to it, is its own; while they are shut, nothing is, and everybody goes the way
//! that all share. (Biased locking, Kawachiya, Koseki and Onodera 2002, for many numbers at once.)

use super::Owner;
use super::barrier;
use super::sync::{AtomicU32, AtomicU64, Mutex, Ordering::*};
use std::sync::atomic::compiler_fence;

const NONE: u32 = u32::MAX;

/// Where one user at a time keeps numbers of an object for itself.
pub trait Place {
    /// The object in whose window its user is.
    fn busy(&self) -> &AtomicU64;

    /// How many numbers of that object it has. Exact for those that were put there before, in the sense of happens-before.
    fn count(&self, owner: Owner) -> u32;

    /// Takes a number, for the user in its window or for a recall.
    fn take(&self, owner: Owner) -> Option<u32>;
}

/// A place where any number can be put as it is.
pub trait Puttable: Place {
    /// Puts a number there, for the user in its window. Tells the number for which there is no room: that one, or one that
    /// was there before.
    fn put(&self, owner: Owner, number: u32) -> Option<u32>;
}

/// All places where numbers of an object may lie.
pub trait Places {
    fn visit(&self, each: &mut dyn FnMut(&dyn Place));
}

/// One thread's place for one number of one object.
#[repr(align(32))]
pub struct Pocket {
    /// The object in whose window its thread is.
    busy: AtomicU64,
    number: AtomicU32,
    /// The object that the number is of.
    owner: AtomicU64,
    /// What that object notes beside its number.
    pub notes: [AtomicU32; 2],
}

impl Pocket {
    #[allow(clippy::declare_interior_mutable_const)] // each use is to be one of its own
    pub const EMPTY: Self = Self {
        busy: AtomicU64::new(0),
        number: AtomicU32::new(NONE),
        owner: AtomicU64::new(0),
        notes: [const { AtomicU32::new(0) }; 2],
    };
}

impl Pocket {
    /// The number of that object that is there.
    #[inline(always)]
    pub fn number(&self, owner: Owner) -> Option<u32> {
        // Whoever sees the number sees whose it is: a recall may meet the window of another object.
        let number = self.number.load(Acquire);
        (number != NONE && self.owner.load(Relaxed) == owner.0).then_some(number)
    }

    /// Leaves nothing there, for the user in its window.
    #[inline(always)]
    pub fn clear(&self) {
        self.number.store(NONE, Relaxed);
    }

    /// Leaves a number in one that is empty, for the user in its window.
    #[inline(always)]
    pub fn fill(&self, owner: Owner, number: u32) {
        self.owner.store(owner.0, Relaxed);
        self.number.store(number, Release);
    }

    /// Leaves another number in one that has one of the same object, for the user in its window.
    #[inline(always)]
    pub fn replace(&self, number: u32) {
        self.number.store(number, Release);
    }

    /// Whether it has no number of any object.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.number.load(Relaxed) == NONE
    }
}

impl Place for Pocket {
    #[inline]
    fn busy(&self) -> &AtomicU64 {
        &self.busy
    }

    fn count(&self, owner: Owner) -> u32 {
        u32::from(self.number(owner).is_some())
    }

    #[inline]
    fn take(&self, owner: Owner) -> Option<u32> {
        self.number(owner).inspect(|_| self.clear())
    }
}

impl Puttable for Pocket {
    /// Unless another object has a number there.
    #[inline]
    fn put(&self, owner: Owner, number: u32) -> Option<u32> {
        let before = self.number.load(Relaxed);
        if before != NONE && self.owner.load(Relaxed) != owner.0 {
            return Some(number);
        }
        self.fill(owner, number);
        (before != NONE).then_some(before)
    }
}

/// Whether the user of that place is in a window of that object. Right for a window that began before the last
/// [`barrier::heavy`].
pub fn has_window(place: &(impl Place + ?Sized), owner: Owner) -> bool {
    place.busy().load(Acquire) == owner.0
}

/// Returns when no window of that object is left in all places, which `visit` shows, that began before: one that begins
/// after the look at its place finds what was stored before this.
pub fn wait_for_windows(owner: Owner, visit: impl FnOnce(&mut dyn FnMut(&dyn Place))) {
    barrier::heavy();
    visit(&mut |place| barrier::wait_while(|| has_window(place, owner)));
}

// The state: the number of changes:30 | how it is now:2.
const SHUT: u32 = 0;
const OPEN: u32 = 1;
const CHANGING: u32 = 2;
const NOW: u32 = 3;
const ONE_CHANGE: u32 = 4;

/// After so many uses that went the shared way in peace the pockets are opened; the number doubles with each recall.
const FIRST_PATIENCE: u32 = 32;
const LAST_PATIENCE: u32 = 1 << 16;

/// The pockets of one object.
pub struct Pockets {
    owner: Owner,
    state: AtomicU32,
    changes: Mutex<()>,
    calm: AtomicU32,
    patience: AtomicU32,
}

/// What a user finds in its window.
pub enum Window<'a, P: Place = Pocket> {
    Open(Reach<'a, P>),
    Shut(Reach<'a, P>),
}

/// A window, which ends with this value.
pub struct Reach<'a, P: Place = Pocket> {
    place: &'a P,
    owner: Owner,
}

impl<'a, P: Place> Reach<'a, P> {
    /// A window of the place's own user, whatever state it is in.
    #[inline(always)]
    pub fn begin(place: &'a P, owner: Owner) -> Self {
        // Release, for who finds the window of another object here: the one before has ended.
        place.busy().store(owner.0, Release);
        barrier::light();
        Self { place, owner }
    }

    /// The same for one that ends it at once unless [`fork::is_swift`](super::fork::is_swift) says inside of it that the fence
    /// costs nothing.
    #[inline(always)]
    pub fn begin_without_fence(place: &'a P, owner: Owner) -> Self {
        place.busy().store(owner.0, Release);
        compiler_fence(SeqCst);
        Self { place, owner }
    }

    /// Whose window it is.
    #[inline(always)]
    pub fn place(&self) -> &'a P {
        self.place
    }

    /// A number that is there; only in an open window.
    #[inline]
    pub fn take(&self) -> Option<u32> {
        self.place.take(self.owner)
    }

    /// Puts a number there; only in an open window. Tells the number for which there is no room.
    #[inline]
    pub fn put(&self, number: u32) -> Option<u32>
    where
        P: Puttable,
    {
        self.place.put(self.owner, number)
    }
}

impl<P: Place> Drop for Reach<'_, P> {
    #[inline]
    fn drop(&mut self) {
        self.place.busy().store(0, Release);
    }
}

impl Pockets {
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            state: AtomicU32::new(SHUT),
            changes: Mutex::new(()),
            calm: AtomicU32::new(0),
            patience: AtomicU32::new(FIRST_PATIENCE),
        }
    }

    /// A window of the place's own user, when the pockets are open.
    #[inline]
    pub fn reach<'a, P: Place>(&self, place: &'a P) -> Option<Reach<'a, P>> {
        if self.state.load(Relaxed) & NOW != OPEN {
            return None;
        }
        match self.window(place) {
            Some(Window::Open(reach)) => Some(reach),
            _ => None,
        }
    }

    /// A window of the place's own user, in which the pockets are open or shut throughout; none while that changes.
    #[inline]
    pub fn window<'a, P: Place>(&self, place: &'a P) -> Option<Window<'a, P>> {
        let reach = Reach::begin(place, self.owner);
        match self.state.load(Acquire) & NOW {
            OPEN => Some(Window::Open(reach)),
            SHUT => Some(Window::Shut(reach)),
            _ => None,
        }
    }

    /// Whether a window that has begun is an open one.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.state.load(Acquire) & NOW == OPEN
    }

    /// Shuts the pockets, and takes out what is in them. Nothing is put there any more until they are opened again.
    pub fn recall(&self, all: &impl Places, each: impl FnMut(u32)) {
        if !self.are_shut() {
            self.while_shut(all, each, || {});
        }
    }

    /// The same, and runs `body` before they can be opened again.
    #[cold]
    pub fn while_shut<R>(&self, all: &impl Places, each: impl FnMut(u32), body: impl FnOnce() -> R) -> R {
        let _changes = self.changes.lock();
        if self.shut_locked(all, each) {
            self.patience.store((self.patience.load(Relaxed) * 2).min(LAST_PATIENCE), Relaxed);
        }
        body()
    }

    /// The same as [`recall`](Self::recall) for one who opens them again by [`reopen`](Self::reopen). False when they are
    /// shut already.
    #[cold]
    pub fn shut(&self, all: &impl Places, each: impl FnMut(u32)) -> bool {
        let _changes = self.changes.lock();
        self.shut_locked(all, each)
    }

    fn shut_locked(&self, all: &impl Places, mut each: impl FnMut(u32)) -> bool {
        if self.are_shut() {
            return false;
        }
        self.begin_change(all);
        all.visit(&mut |place| {
            while let Some(number) = place.take(self.owner) {
                each(number);
            }
        });
        self.calm.store(0, Relaxed);
        self.change(SHUT);
        true
    }

    /// To be called by who went the shared way in peace: now and then that opens the pockets, when `may_open` says so after
    /// it was made sure that whoever needs them shut is seen by it, or sees that they are opened.
    #[inline]
    pub fn note_calm(&self, all: &impl Places, may_open: impl FnOnce() -> bool) {
        if self.state.load(Relaxed) & NOW != SHUT {
            return;
        }
        // Counted as roughly as a load and a store do.
        let calm = self.calm.load(Relaxed) + 1;
        self.calm.store(calm, Relaxed);
        if calm >= self.patience.load(Relaxed) {
            self.reopen(all, may_open);
        }
    }

    /// Counts a use like [`note_calm`](Self::note_calm), for who may not open them; tells whether that is due.
    #[inline]
    pub fn is_due(&self) -> bool {
        let calm = self.calm.load(Relaxed) + 1;
        self.calm.store(calm, Relaxed);
        calm >= self.patience.load(Relaxed) && self.are_shut()
    }

    /// Opens them, when `may_open` says so as it does for [`note_calm`](Self::note_calm). Tells whether they are open.
    #[cold]
    pub fn reopen(&self, all: &impl Places, may_open: impl FnOnce() -> bool) -> bool {
        let _changes = self.changes.lock();
        if self.are_shut() {
            self.begin_change(all);
            self.calm.store(0, Relaxed);
            self.change(if may_open() { OPEN } else { SHUT });
        }
        !self.are_shut()
    }

    /// For who holds the lock of the changes.
    fn change(&self, now: u32) {
        let changes = self.state.load(Relaxed) & !NOW;
        self.state.store(changes.wrapping_add(ONE_CHANGE) | now, SeqCst);
    }

    /// Returns when no window is left that began in the state before.
    fn begin_change(&self, all: &impl Places) {
        self.change(CHANGING);
        wait_for_windows(self.owner, |each| all.visit(each));
    }

    #[inline]
    pub fn are_shut(&self) -> bool {
        self.state.load(SeqCst) & NOW == SHUT
    }

    /// Stands for the state at this moment; two that are equal say that there was no recall between them.
    #[inline]
    pub fn moment(&self) -> u32 {
        self.state.load(SeqCst)
    }

    /// Whether any place may have a number, or a recall that began since that moment may have moved one to where all find it. Who
    /// is told no looks there once more: a window that has ended may have moved one as well.
    pub fn may_have_some(&self, since: u32, all: &impl Places) -> bool {
        match since & NOW {
            SHUT => self.moment() != since,
            OPEN => self.may_be_in(all) || self.moment() != since,
            _ => true,
        }
    }

    /// Whether they have been shut since that moment: then no number lies in a place or is on its way to or from one.
    pub fn were_shut(&self, since: u32) -> bool {
        since & NOW == SHUT && self.moment() == since
    }

    /// How many numbers lie in all places.
    pub fn count(&self, all: &impl Places) -> u32 {
        if self.are_shut() { 0 } else { self.count_in(all) }
    }

    /// Whether a place has a number, or is in the middle of a window, which may be moving some to where all find them. Who sees
    /// neither sees what was moved before.
    fn may_be_in(&self, all: &impl Places) -> bool {
        let mut found = false;
        // In this order: a number that is gone from its place went in a window that is seen then, or has ended.
        all.visit(&mut |place| found |= place.count(self.owner) > 0 || has_window(place, self.owner));
        found
    }

    fn count_in(&self, all: &impl Places) -> u32 {
        let mut count = 0;
        all.visit(&mut |place| count += place.count(self.owner));
        count
    }

    /// Runs `body` while the state stays as it is: for who adds a place or takes one away.
    pub fn unchanged<R>(&self, body: impl FnOnce() -> R) -> R {
        let _changes = self.changes.lock();
        body()
    }

    /// For code outside of the library that has windows of its own.
    pub fn state(&self) -> *const AtomicU32 {
        &raw const self.state
    }
}
