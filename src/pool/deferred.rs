//! Deferred results: the host takes a cell, somebody completes it once, and somebody takes what came. All memory is taken
//! when the set of cells is made; a lock is taken only when another thread comes, for what one had for itself until then.

mod desks;

use super::cells::runs::{Run, Runs};
use super::cells::{Cell, CellError, Cells, Finished, Key, Stage, Users};
use super::stack::Stack;
use super::times::{Times, TimesSnapshot};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback;
use crate::base::cancel::Cancel;
use crate::base::clock::{self, Deadline};
use crate::base::handles::{Handled, Kind, LaneOf, Laned, Pocketed};
use crate::base::pockets::{Place, Places, Pocket};
use crate::base::thread;
use crate::base::{InvalidField, Owner};
use desks::Desks;
use std::ffi::c_void;
use std::mem::offset_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::*, fence};

pub use super::cells::MOST_CELLS;
pub use desks::OpenDesk;

/// The host's side of a set of cells.
pub trait Recipient: Send + Sync + 'static {
    fn complete(&self, completion: Completion, user_data: *mut c_void, cell: Key, settled: Settled);
    /// A value that was accepted, and that nobody will take.
    fn discard(&self, value: *mut c_void);
}

/// A function of the host that takes what came. Only the [`Recipient`] knows its type.
#[derive(Clone, Copy, Debug)]
pub struct Completion(pub *const ());

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Completed,
    /// With the host's own status.
    Failed(i32),
    Cancelled,
    /// The set was destroyed first.
    Closed,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    pub end: End,
    pub value: *mut c_void,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeferredError {
    #[error("the cells are being destroyed: none is given out any more")]
    Closed,
    #[error(
        "{wanted} cells are wanted, but {free} of {capacity} (capacity) are free; take or release some, or raise it"
    )]
    Exhausted { wanted: usize, free: u32, capacity: u32 },
    #[error("cell {cell:#x} is stale: what came was taken, or it was released, or it is of another set")]
    Stale { cell: u64 },
    #[error("cell {cell:#x} was completed or cancelled before")]
    AlreadyCompleted { cell: u64 },
    #[error("{}", Self::NOTHING_HAS_COME)]
    NotReady,
    #[error("cell {cell:#x} has a completion callback, which takes what comes")]
    HasCompletion { cell: u64 },
    #[error("another thread waits for cell {cell:#x}, or it stands twice in a list")]
    Waited { cell: u64 },
    #[error("nothing has come: {0}")]
    Wait(crate::base::cancel::WaitEnd),
}

impl DeferredError {
    pub const NOTHING_HAS_COME: &str = "nothing has come yet";

    fn of(cell: Key, error: CellError) -> Self {
        let cell = cell.0;
        match error {
            CellError::Stale => Self::Stale { cell },
            CellError::NotReady => Self::NotReady,
            CellError::HasCompletion => Self::HasCompletion { cell },
            CellError::Waited => Self::Waited { cell },
            CellError::Ended => Self::AlreadyCompleted { cell },
            CellError::Wait(end) => Self::Wait(end),
        }
    }
}

const PENDING: Stage = Stage(1);

#[repr(C)]
struct Content {
    end: AtomicU32,
    status: AtomicU32,
    value: AtomicPtr<c_void>,
    completion: AtomicPtr<()>,
    user_data: AtomicPtr<c_void>,
}

const COMPLETED: u32 = 0;
const FAILED: u32 = 1;
const CANCELLED: u32 = 2;
const CLOSED: u32 = 3;

/// How far behind the word of a cell the fields of its content lie that the inline code of a desk uses.
pub const CELL_OFFSETS: [usize; 3] = [
    Cell::<Content>::CONTENT + offset_of!(Content, end),
    Cell::<Content>::CONTENT + offset_of!(Content, status),
    Cell::<Content>::CONTENT + offset_of!(Content, value),
];
pub const CELL_BYTES: usize = size_of::<Cell<Content>>();

impl Content {
    fn vacant() -> Self {
        Self {
            end: AtomicU32::new(COMPLETED),
            status: AtomicU32::new(0),
            value: AtomicPtr::new(std::ptr::null_mut()),
            completion: AtomicPtr::new(std::ptr::null_mut()),
            user_data: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    /// The stage of the cell hands what is written from one side to the other.
    #[inline]
    fn write(&self, settled: Settled) {
        let end = match settled.end {
            End::Completed => COMPLETED,
            End::Failed(status) => {
                self.status.store(status as u32, Relaxed);
                FAILED
            }
            End::Cancelled => CANCELLED,
            End::Closed => CLOSED,
        };
        self.end.store(end, Relaxed);
        self.value.store(settled.value, Relaxed);
    }

    #[inline(always)]
    fn read(&self) -> Settled {
        let end = self.end.load(Relaxed);
        let end = if end == COMPLETED { End::Completed } else { self.other_end(end) };
        Settled { end, value: self.value.load(Relaxed) }
    }

    #[cold]
    fn other_end(&self, end: u32) -> End {
        match end {
            FAILED => End::Failed(self.status.load(Relaxed) as i32),
            CANCELLED => End::Cancelled,
            _ => End::Closed,
        }
    }
}

pub struct Deferred {
    owner: Owner,
    cells: Cells<Content>,
    users: Users,
    runs: Runs,
    recipient: Box<dyn Recipient>,
    closed: AtomicBool,
    counters: Counters,
    desks: Desks,
}

/// What happens to every cell is told by the cells; here stands what is rare.
#[derive(Default)]
struct Counters {
    failed: AtomicU64,
    /// Also by a destroy.
    cancelled: AtomicU64,
    released: AtomicU64,
    discarded: AtomicU64,
    refused: AtomicU64,
    /// How long those waited that had to, also in vain.
    waits: Times,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeferredStats {
    pub capacity: u64,
    pub in_use: u64,
    pub pending: u64,
    pub peak_in_use: u64,
    pub acquires: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub released: u64,
    pub discarded: u64,
    pub refused: u64,
    pub waits: TimesSnapshot,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateDeferredError {
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl Deferred {
    pub fn new(owner: Owner, capacity: u32, recipient: Box<dyn Recipient>) -> Result<Arc<Self>, CreateDeferredError> {
        if !(1..=MOST_CELLS).contains(&capacity) {
            let (value, bound) = (capacity.into(), "must be 1 to 1048576");
            return Err(InvalidField { field: "capacity", value, bound }.into());
        }
        Ok(alloc::try_arc(Self {
            owner,
            cells: Cells::new(capacity, Content::vacant)?,
            users: Users::new(owner),
            runs: Runs::new(owner, capacity),
            recipient,
            closed: AtomicBool::new(false),
            counters: Counters::default(),
            desks: Desks::default(),
        })?)
    }

    pub fn acquire(&self) -> Result<Key, DeferredError> {
        let mut key = [Key(0)];
        self.acquire_many(&mut key)?;
        Ok(key[0])
    }

    /// As many as there is room for, or none.
    pub fn acquire_many(&self, keys: &mut [Key]) -> Result<(), DeferredError> {
        if self.is_closed() {
            return Err(DeferredError::Closed);
        }
        let wanted = keys.len();
        // The numbers stand in the keys until those are made of them.
        let note = |place: usize, number: u32| keys[place] = Key(number.into());
        let taken = self.runs.take_shared(wanted, self.free(), self, || !self.is_closed(), note);
        taken.ok_or_else(|| self.exhausted(wanted))?;
        keys.iter_mut().for_each(|key| *key = self.open(key.0 as u32));
        Ok(())
    }

    /// A free cell for the thread with that pocket, which is in its window, when a few instructions do it.
    #[inline(always)]
    pub fn acquire_at_hand(&self, pocket: &Pocket) -> Option<Key> {
        self.runs.take_at_hand(&self.run_in(pocket)).map(|number| self.open(number))
    }

    /// A free cell for the thread with that pocket, which is in its window, when there is nothing else to do.
    #[inline(always)]
    pub fn acquire_in_window(&self, pocket: &Pocket) -> Option<Key> {
        self.runs.take(&self.run_in(pocket), self).map(|number| self.open(number))
    }

    /// The same for many, or none.
    #[inline(always)]
    pub fn acquire_many_in_window(&self, keys: &mut [Key], pocket: &Pocket) -> Option<()> {
        let count = keys.len() as u32;
        let note = |place: usize, number: u32| keys[place] = Key(number.into());
        self.runs.take_all(count, &self.run_in(pocket), self, note)?;
        keys.iter_mut().for_each(|key| *key = self.open(key.0 as u32));
        Some(())
    }

    #[inline(always)]
    fn open(&self, number: u32) -> Key {
        self.cells.open(number, PENDING, false)
    }

    #[inline(always)]
    fn run_in<'a>(&'a self, pocket: &'a Pocket) -> Run<'a> {
        Run { pocket, stack: self.free() }
    }

    #[inline(always)]
    fn free(&self) -> &Stack {
        self.cells.free()
    }

    fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    #[cold]
    fn exhausted(&self, wanted: usize) -> DeferredError {
        self.counters.refused.fetch_add(1, Relaxed);
        let capacity = self.cells.capacity();
        DeferredError::Exhausted { wanted, free: capacity - self.cells.out(), capacity }
    }

    /// For a thread in no window, before it ends or takes what comes.
    #[inline]
    fn admit(&self) {
        self.users.admit(|| thread::ThreadRecord::known().map(|record| record.pocket(self.owner)), self);
    }

    /// Ends a cell with a value, or with a failure and whatever value goes with it. On success the value is with whoever
    /// takes it; after an error it is still the caller's.
    pub fn complete(&self, cell: Key, settled: Settled) -> Result<(), DeferredError> {
        self.admit();
        self.complete_admitted(cell, settled)
    }

    fn complete_admitted(&self, cell: Key, settled: Settled) -> Result<(), DeferredError> {
        let completed = self.cells.complete(cell, PENDING, |content| self.write(content, settled));
        if completed.map_err(|error| DeferredError::of(cell, error))? == Finished::Attached {
            self.call_completion(cell);
        }
        Ok(())
    }

    /// The same for the thread with that pocket, which is in its window and can call nobody, when there is nothing else
    /// to do.
    #[inline(always)]
    pub fn complete_in_window(&self, cell: Key, settled: Settled, pocket: &Pocket) -> Option<()> {
        let write = |content: &Content| self.write(content, settled);
        if self.users.is_alone(pocket) {
            return self.cells.complete_alone(cell, PENDING, write);
        }
        if !self.users.is_admitted() {
            return None;
        }
        self.cells.complete_for_taker(cell, PENDING, write).ok()
    }

    /// Ends a cell without a value.
    pub fn cancel(&self, cell: Key) -> Result<(), DeferredError> {
        self.complete(cell, Settled { end: End::Cancelled, value: std::ptr::null_mut() })
    }

    /// Writes what comes, and counts it before anybody can see that it has come.
    #[inline(always)]
    fn write(&self, content: &Content, settled: Settled) {
        content.write(settled);
        match settled.end {
            End::Completed => {}
            End::Failed(_) => count(&self.counters.failed),
            End::Cancelled | End::Closed => count(&self.counters.cancelled),
        }
    }

    /// Gives what came to the cell's completion.
    #[cold]
    fn call_completion(&self, cell: Key) {
        let number = cell.number();
        let content = self.cells.get(number);
        let completion = Completion(content.completion.load(Relaxed).cast_const());
        let (user_data, settled) = (content.user_data.load(Relaxed), content.read());
        callback::run(self.owner, || self.recipient.complete(completion, user_data, cell, settled));
        self.cells.vacate(number);
    }

    /// Takes what came when it is there, for the thread with that pocket, which is in its window, when that is all that
    /// there is to do.
    #[inline(always)]
    pub fn poll_in_window(&self, cell: Key, pocket: &Pocket) -> Option<Result<Settled, CellError>> {
        let run = self.run_in(pocket);
        if self.users.is_alone(pocket) {
            if let Some(settled) = self.poll_alone(cell, &run) {
                return Some(Ok(settled));
            }
        } else if !self.users.is_admitted() {
            return None;
        }
        let taken = self.cells.poll_out(cell, Content::read);
        Some(taken.map(|(number, settled)| {
            self.runs.put(number, &run);
            settled
        }))
    }

    #[inline(always)]
    fn poll_alone(&self, cell: Key, run: &Run<'_>) -> Option<Settled> {
        let spot = self.runs.spot(run)?;
        let (number, settled) = self.cells.poll_alone(cell, Content::read)?;
        self.runs.lay(number, spot, run);
        Some(settled)
    }

    /// Takes what came when it is there.
    pub fn poll(&self, cell: Key) -> Result<Settled, DeferredError> {
        self.admit();
        self.cells.poll(cell, Content::read).map_err(|error| DeferredError::of(cell, error))
    }

    /// Waits for what comes and takes it; for one who has found nothing to [`poll`](Self::poll).
    pub fn wait(&self, cell: Key, deadline: Deadline, cancel: Option<&Cancel>) -> Result<Settled, DeferredError> {
        self.measured(&[cell], || {
            let taken = self.cells.wait(cell, deadline, cancel, Content::read);
            taken.map_err(|error| DeferredError::of(cell, error))
        })
    }

    /// Waits until so many of these have ended, and leaves what came where it is; tells the place of the first that has.
    pub fn wait_for(
        &self,
        cells: &[Key],
        wanted: usize,
        deadline: Deadline,
        cancel: Option<&Cancel>,
    ) -> Result<usize, DeferredError> {
        self.measured(cells, || {
            let waited = self.cells.wait_for(cells, wanted, deadline, cancel);
            waited.map_err(|(place, error)| DeferredError::of(cells.get(place).copied().unwrap_or(Key(0)), error))
        })
    }

    #[cold]
    fn measured<R>(&self, cells: &[Key], wait: impl FnOnce() -> R) -> R {
        self.admit();
        // The cells were opened before this look, also for one who destroys at this moment.
        fence(SeqCst);
        if self.is_closed() {
            // A destroy that looks for pending cells may have missed those that were given out just before.
            cells.iter().for_each(|cell| self.close_if_pending(*cell));
        }
        let begin_ns = clock::now_ns();
        let result = wait();
        self.counters.waits.note(clock::now_ns().saturating_sub(begin_ns));
        result
    }

    /// From now on the completion takes what comes; when it is there already, at once.
    pub fn on_complete(&self, cell: Key, completion: Completion, user_data: *mut c_void) -> Result<(), DeferredError> {
        self.admit();
        let attached = self.cells.attach(cell, |content| {
            content.completion.store(completion.0.cast_mut(), Relaxed);
            content.user_data.store(user_data, Relaxed);
        });
        let is_there = attached.map_err(|error| DeferredError::of(cell, error))?;
        if is_there {
            self.call_completion(cell);
        }
        Ok(())
    }

    /// Gives a cell back, whatever has come or not. Who completes it later is told that it is stale.
    pub fn release(&self, cell: Key) -> Result<(), DeferredError> {
        self.admit();
        self.release_admitted(cell)
    }

    fn release_admitted(&self, cell: Key) -> Result<(), DeferredError> {
        match self.cells.withdraw(cell, PENDING) {
            Ok(number) => {
                self.counters.released.fetch_add(1, SeqCst);
                self.cells.vacate(number);
                return Ok(());
            }
            // It has come, or comes at this moment.
            Err(CellError::Ended) => {}
            Err(error) => return Err(DeferredError::of(cell, error)),
        }
        let mut value = std::ptr::null_mut();
        let forgotten = self.cells.forget(cell, |content| value = content.read().value);
        forgotten.map_err(|error| DeferredError::of(cell, error))?;
        if !value.is_null() {
            self.counters.discarded.fetch_add(1, Relaxed);
            callback::run(self.owner, || self.recipient.discard(value));
        }
        Ok(())
    }

    fn close_pending(&self) {
        self.cells.open_keys().for_each(|cell| self.close_if_pending(cell));
    }

    fn close_if_pending(&self, cell: Key) {
        // One that is completed or released meanwhile needs nothing more.
        let _ = self.complete(cell, Settled { end: End::Closed, value: std::ptr::null_mut() });
    }

    /// One snapshot. Each number is right for some moment of the call; it holds up nobody.
    pub fn stats(&self) -> DeferredStats {
        let counters = &self.counters;
        let [failed, cancelled, released] =
            [&counters.failed, &counters.cancelled, &counters.released].map(|count| count.load(SeqCst));
        let pending = self.cells.open_keys().count() as u64;
        let in_use = self.cells.out();
        let acquires = self.cells.vacated() + u64::from(in_use);
        DeferredStats {
            capacity: self.cells.capacity().into(),
            in_use: in_use.into(),
            pending,
            peak_in_use: self.runs.peak(in_use).into(),
            acquires,
            completed: acquires.saturating_sub(pending + failed + cancelled + released),
            failed,
            cancelled,
            released,
            discarded: counters.discarded.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            waits: counters.waits.snapshot(),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, SeqCst);
}

impl Places for Deferred {
    fn visit(&self, each: &mut dyn FnMut(&dyn Place)) {
        thread::pockets(self.owner).for_each(|pocket| each(&self.run_in(pocket)));
        self.desks.visit(each);
    }
}

impl Pocketed for Deferred {}

impl Handled for Deferred {
    const KIND: Kind = Kind::Deferred;
    const LANE: Option<LaneOf<Self>> = Self::ITS_LANE;

    fn begin_destroy(&self) {
        self.closed.store(true, SeqCst);
        // From now on who brings the last cell back is told by what all share.
        self.runs.recall(self.free(), self);
        self.close_pending();
    }

    fn quarantined(&self) {
        self.closed.store(true, SeqCst);
        // Who has a desk asks the library from now on, which refuses.
        self.runs.recall(self.free(), self);
        self.users.bar(self);
    }

    fn finish_destroy(&self) {
        // Those that were given out when the destroy began.
        self.close_pending();
    }

    /// Cells that are out, and desks that are open.
    fn children(&self) -> u64 {
        u64::from(self.cells.used()) + u64::from(self.desks.count())
    }
}

#[cfg(test)]
mod tests;
