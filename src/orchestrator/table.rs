//! The slots in which requests live, and the tickets that name them. All memory is taken when the table is made.
//!
//! The stages of a request: `QUEUED` → (`RUNNING` →) `ENDING`, then its cell is done. The model that the request went to
//! moves it up to `ENDING` under its queue's lock; whoever moved it there writes the outcome and finishes the cell, once;
//! whoever takes the outcome frees it.

use super::error::TicketError;
use super::request::{Completion, Item, Outcome, Parcel, Request, Ticket};
use crate::base::alloc::OutOfMemory;
use crate::base::cancel::Cancel;
use crate::base::clock::Deadline;
use crate::base::sync::{AtomicU32, AtomicU64, Ordering::*};
use crate::pool::cells::{self, CellError, Cells, Key, MOST_CELLS};
use std::cell::UnsafeCell;

/// No slot.
pub const NONE: u32 = u32::MAX;
pub const MOST_SLOTS: u32 = MOST_CELLS;

const QUEUED: cells::Stage = cells::Stage(1);
const RUNNING: cells::Stage = cells::Stage(2);
const ENDING: cells::Stage = cells::Stage(3);

/// Where a request stands, as far as a cancel cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Queued,
    Running,
    Ended,
}

#[repr(align(128))]
pub struct Slot {
    /// The neighbours in the inbox or in a list of the queue; they belong to whoever that belongs to.
    pub next: AtomicU32,
    pub previous: AtomicU32,
    /// The number of the model that the request went to.
    pub model: AtomicU32,
    /// Read by the run callback; set under the queue's lock.
    pub cancelled: AtomicU32,
    pub rank: AtomicU32,
    pub submitted_ns: AtomicU64,
    /// `u64::MAX`: none.
    pub deadline_ns: AtomicU64,
    completion: UnsafeCell<Option<Completion>>,
    item: UnsafeCell<Item>,
    outcome: UnsafeCell<Option<Outcome>>,
}

// SAFETY: the cells have one owner at a time, told by the stage: the submitter while the slot is off the free list and
// not yet queued, the run while it is running, whoever made it `ENDING`, whoever takes it when it is done. Each hand-over
// is a release and an acquire on the cell's word, or goes through the inbox or the queue's lock.
unsafe impl Sync for Slot {}
// SAFETY: the raw pointers inside are the host's, and handed back to it only.
unsafe impl Send for Slot {}

pub struct Table {
    slots: Cells<Slot>,
}

impl Table {
    pub fn new(slots: u32) -> Result<Self, OutOfMemory> {
        let vacant = || Slot {
            next: AtomicU32::new(NONE),
            previous: AtomicU32::new(NONE),
            model: AtomicU32::new(NONE),
            cancelled: AtomicU32::new(0),
            rank: AtomicU32::new(0),
            submitted_ns: AtomicU64::new(0),
            deadline_ns: AtomicU64::new(u64::MAX),
            completion: UnsafeCell::new(None),
            item: UnsafeCell::new(Item::VACANT),
            outcome: UnsafeCell::new(None),
        };
        Ok(Self { slots: Cells::new(slots, vacant)? })
    }

    pub fn capacity(&self) -> u32 {
        self.slots.capacity()
    }

    /// Slots that are not free: requests without an outcome, and outcomes that nobody took yet.
    pub fn used(&self) -> u64 {
        u64::from(self.slots.used())
    }

    /// Outcomes that nobody took yet.
    pub fn untaken(&self) -> u64 {
        self.slots.untaken()
    }

    /// Takes a free slot, which is nobody else's until it is pushed into an inbox or put back.
    #[inline]
    pub fn take_free(&self) -> Option<u32> {
        self.slots.take_free().map(|(number, _)| number)
    }

    #[inline]
    pub fn slot(&self, number: u32) -> &Slot {
        self.slots.get(number)
    }

    /// Writes the request into a slot that [`Table::take_free`] gave, and makes it `QUEUED`.
    #[inline]
    pub fn fill(&self, number: u32, request: &Request, model: u32, now_ns: u64) -> Ticket {
        let slot = self.slot(number);
        let ticket = self.slots.key(number).0;
        slot.model.store(model, Relaxed);
        slot.cancelled.store(0, Relaxed);
        slot.rank.store(request.priority.rank() as u32, Relaxed);
        slot.submitted_ns.store(now_ns, Relaxed);
        slot.deadline_ns.store(
            match request.deadline_after_ns {
                0 => u64::MAX,
                after => now_ns.saturating_add(after),
            },
            Relaxed,
        );
        // SAFETY: the slot is this caller's alone (see `Slot`).
        unsafe {
            *slot.completion.get() = request.completion;
            let item = &mut *slot.item.get();
            item.priority = request.priority as u32;
            item.input = request.input;
            item.input_bytes = request.input_bytes;
            item.output = request.output;
            item.output_capacity_bytes = request.output_capacity_bytes;
            item.input_parcel = request.parcel;
            item.output_parcel = Parcel::NONE;
            item.output_bytes = 0;
            item.status = 0;
            item.cancelled = &raw const slot.cancelled;
            item.user_data = request.user_data;
            item.ticket = ticket;
            item.message[0] = 0;
        }
        Ticket(self.slots.open(number, QUEUED, request.completion.is_some()).0)
    }

    /// Where the request of a ticket stands. Exact while the lock of its model's queue is held.
    pub fn stage(&self, ticket: Ticket) -> Result<(u32, Stage), TicketError> {
        let (number, stage) = self.slots.stage(Key(ticket.0)).map_err(|error| TicketError::of(ticket, error))?;
        Ok((
            number,
            match stage {
                Some(QUEUED) => Stage::Queued,
                Some(RUNNING) => Stage::Running,
                _ => Stage::Ended,
            },
        ))
    }

    /// Whether a request waits in this slot that had this generation. Exact under the lock of its model's queue.
    pub fn is_queued(&self, number: u32, generation: u32) -> bool {
        self.slots.is_at(number, generation, QUEUED)
    }

    pub fn generation(&self, number: u32) -> u32 {
        self.slots.generation(number)
    }

    pub fn begin_running(&self, number: u32) {
        self.slots.advance(number, RUNNING);
    }

    /// From now on the request's outcome is the caller's to write.
    pub fn begin_ending(&self, number: u32) {
        self.slots.advance(number, ENDING);
    }

    pub fn item(&self, number: u32) -> *mut Item {
        self.slot(number).item.get()
    }

    /// The completion of a request that is `ENDING`.
    pub fn completion(&self, number: u32) -> Option<Completion> {
        // SAFETY: written before the request was queued, and not changed until the slot is free.
        unsafe { *self.slot(number).completion.get() }
    }

    /// Ends a request that is `ENDING`. With `taken` the outcome has been taken by its completion. Tells whether nobody
    /// will take it.
    pub fn finish(&self, number: u32, outcome: &Outcome, taken: bool) -> bool {
        if taken {
            self.slots.vacate(number);
            return false;
        }
        // SAFETY: who made the slot `ENDING` owns the cell until it is done.
        unsafe { *self.slot(number).outcome.get() = Some(*outcome) };
        !self.slots.finish(number, ENDING)
    }

    /// Waits for the outcome and takes it.
    pub fn wait(&self, ticket: Ticket, deadline: Deadline, cancel: Option<&Cancel>) -> Result<Outcome, TicketError> {
        outcome_of(ticket, self.slots.wait(Key(ticket.0), deadline, cancel, read))
    }

    /// Takes the outcome when it is there.
    pub fn poll(&self, ticket: Ticket) -> Result<Outcome, TicketError> {
        outcome_of(ticket, self.slots.poll(Key(ticket.0), read))
    }

    /// Gives the outcome up, whether it is there or not; tells one that is.
    pub fn forget(&self, ticket: Ticket) -> Result<Option<Outcome>, TicketError> {
        let mut found = None;
        let forgotten = self.slots.forget(Key(ticket.0), |slot| found = read(slot));
        forgotten.map(|()| found).map_err(|error| TicketError::of(ticket, error))
    }
}

/// For one who takes the outcome.
fn read(slot: &Slot) -> Option<Outcome> {
    // SAFETY: whoever takes a done cell owns what is in it until it is vacated.
    unsafe { *slot.outcome.get() }
}

fn outcome_of(ticket: Ticket, taken: Result<Option<Outcome>, CellError>) -> Result<Outcome, TicketError> {
    taken.map_err(|error| TicketError::of(ticket, error))?.ok_or(TicketError::Stale { ticket: ticket.0 })
}
