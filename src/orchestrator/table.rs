//! The slots in which requests live, and the tickets that name them. All memory is taken when the table is made.
//!
//! The life of a slot: `FREE` → `QUEUED` → (`RUNNING` →) `ENDING` → `DONE` → `TAKEN` → `FREE` with the next generation. The
//! model that the request went to moves it up to `ENDING` under its queue's lock; whoever moved it there writes the
//! outcome and makes it `DONE`, once; whoever takes the outcome frees the slot.

use super::error::TicketError;
use super::request::{Completion, Item, Outcome, Request, Ticket};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::cancel::{self, Cancel, WaitEnd};
use crate::base::clock::Deadline;
use crate::base::park::Parker;
use crate::base::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use crossbeam_queue::ArrayQueue;
use std::cell::UnsafeCell;

/// No slot.
pub const NONE: u32 = u32::MAX;
pub const MOST_SLOTS: u32 = 1 << 20;

// The word of a slot: generation:32 | flags and phase:32.
const PHASE: u64 = 0xff;
const FREE: u64 = 0;
const QUEUED: u64 = 1;
const RUNNING: u64 = 2;
const ENDING: u64 = 3;
const DONE: u64 = 4;
/// Its outcome is being taken; to everybody else it is gone.
const TAKEN: u64 = 5;
/// A thread waits for the outcome.
const WAITED: u64 = 0x100;
/// Nobody will take the outcome.
const FORGOTTEN: u64 = 0x200;
/// A completion takes the outcome.
const COMPLETION: u64 = 0x400;
const GENERATION_SHIFT: u32 = 32;

// A ticket: generation:32 | salt:12 | slot:20.
const SALT_SHIFT: u32 = 20;
const SALT_MASK: u64 = 0xfff;
const SLOT_MASK: u64 = 0xf_ffff;

/// Where a request stands, as far as a cancel cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Queued,
    Running,
    Ended,
}

#[repr(align(128))]
pub struct Slot {
    word: AtomicU64,
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
    waiter: AtomicPtr<Parker>,
    completion: UnsafeCell<Option<Completion>>,
    item: UnsafeCell<Item>,
    outcome: UnsafeCell<Option<Outcome>>,
}

// SAFETY: the cells have one owner at a time, told by the phase in `word`: the submitter while the slot is off the
// free list and not yet queued, the run while it is running, whoever made it `ENDING`, whoever takes it when `DONE`.
// Each hand-over is a release and an acquire on `word`, or goes through the inbox or the queue's lock.
unsafe impl Sync for Slot {}
// SAFETY: the raw pointers inside are the host's, and handed back to it only.
unsafe impl Send for Slot {}

pub struct Table {
    slots: Vec<Slot>,
    free: ArrayQueue<u32>,
    salt: u64,
}

impl Table {
    pub fn new(slots: u32) -> Result<Self, OutOfMemory> {
        static SALT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let mut table = alloc::try_vec(slots as usize)?;
        table.extend((0..slots).map(|_| Slot {
            word: AtomicU64::new((1 << GENERATION_SHIFT) | FREE),
            next: AtomicU32::new(NONE),
            previous: AtomicU32::new(NONE),
            model: AtomicU32::new(NONE),
            cancelled: AtomicU32::new(0),
            rank: AtomicU32::new(0),
            submitted_ns: AtomicU64::new(0),
            deadline_ns: AtomicU64::new(u64::MAX),
            waiter: AtomicPtr::new(std::ptr::null_mut()),
            completion: UnsafeCell::new(None),
            item: UnsafeCell::new(Item::VACANT),
            outcome: UnsafeCell::new(None),
        }));
        alloc::check(slots as usize * 16)?;
        let free = ArrayQueue::new(slots.max(1) as usize);
        for slot in 0..slots {
            // The queue has room for every slot.
            let _ = free.push(slot);
        }
        Ok(Self { slots: table, free, salt: SALT.fetch_add(1, Relaxed) & SALT_MASK })
    }

    pub fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Slots that are not free: requests without an outcome, and outcomes that nobody took yet.
    pub fn used(&self) -> u64 {
        (self.slots.len() - self.free.len()) as u64
    }

    /// Outcomes that nobody took yet.
    pub fn untaken(&self) -> u64 {
        self.slots.iter().filter(|slot| slot.word.load(Relaxed) & PHASE == DONE).count() as u64
    }

    /// Takes a free slot, which is nobody else's until it is pushed into an inbox or put back.
    #[inline]
    pub fn take_free(&self) -> Option<u32> {
        self.free.pop()
    }

    /// Gives back a slot that was taken and not used.
    pub fn put_back(&self, slot: u32) {
        // The queue has room for every slot.
        let _ = self.free.push(slot);
    }

    /// The slots are reached by numbers that this table gave out, so each is there.
    #[inline]
    pub fn slot(&self, slot: u32) -> &Slot {
        &self.slots[slot as usize]
    }

    /// Writes the request into a slot that [`Table::take_free`] gave, and makes it `QUEUED`.
    #[inline]
    pub fn fill(&self, number: u32, request: &Request, model: u32, now_ns: u64) -> Ticket {
        let slot = self.slot(number);
        let generation = slot.word.load(Relaxed) >> GENERATION_SHIFT;
        let ticket = (generation << GENERATION_SHIFT) | (self.salt << SALT_SHIFT) | u64::from(number);
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
        slot.waiter.store(std::ptr::null_mut(), Relaxed);
        // SAFETY: the slot is this caller's alone (see `Slot`).
        unsafe {
            *slot.completion.get() = request.completion;
            let item = &mut *slot.item.get();
            item.priority = request.priority as u32;
            item.input = request.input;
            item.input_bytes = request.input_bytes;
            item.output = request.output;
            item.output_capacity_bytes = request.output_capacity_bytes;
            item.output_bytes = 0;
            item.status = 0;
            item.cancelled = &raw const slot.cancelled;
            item.user_data = request.user_data;
            item.ticket = ticket;
            item.message[0] = 0;
        }
        let flag = if request.completion.is_some() { COMPLETION } else { 0 };
        slot.word.store((generation << GENERATION_SHIFT) | QUEUED | flag, Release);
        Ticket(ticket)
    }

    /// Where the request of a ticket stands. Exact while the lock of its model's queue is held.
    pub fn stage(&self, ticket: Ticket) -> Result<(u32, Stage), TicketError> {
        let (number, word) = self.find(ticket)?;
        Ok((
            number,
            match word & PHASE {
                QUEUED => Stage::Queued,
                RUNNING => Stage::Running,
                _ => Stage::Ended,
            },
        ))
    }

    /// Whether a request waits in this slot that had this generation. Exact under the lock of its model's queue.
    pub fn is_queued(&self, number: u32, generation: u32) -> bool {
        let word = self.slot(number).word.load(Acquire);
        word >> GENERATION_SHIFT == u64::from(generation) && word & PHASE == QUEUED
    }

    pub fn generation(&self, number: u32) -> u32 {
        (self.slot(number).word.load(Relaxed) >> GENERATION_SHIFT) as u32
    }

    pub fn begin_running(&self, number: u32) {
        self.advance(number, RUNNING);
    }

    /// From now on the request's outcome is the caller's to write.
    pub fn begin_ending(&self, number: u32) {
        self.advance(number, ENDING);
    }

    /// The next phase; the flags may change meanwhile.
    fn advance(&self, number: u32, phase: u64) {
        let word = &self.slot(number).word;
        // Phases follow one another bit by bit only by addition, which leaves the flags alone.
        let now = word.load(Relaxed) & PHASE;
        word.fetch_add(phase - now, AcqRel);
    }

    pub fn item(&self, number: u32) -> *mut Item {
        self.slot(number).item.get()
    }

    /// The completion of a request that is `ENDING`.
    pub fn completion(&self, number: u32) -> Option<Completion> {
        // SAFETY: written before the request was queued, and not changed until the slot is free.
        unsafe { *self.slot(number).completion.get() }
    }

    /// Ends a request that is `ENDING`. With `taken` the outcome has been taken by its completion.
    pub fn finish(&self, number: u32, outcome: &Outcome, taken: bool) {
        let slot = self.slot(number);
        if taken {
            return self.vacate(number);
        }
        // SAFETY: who made the slot `ENDING` owns the cell until it is `DONE`.
        unsafe { *slot.outcome.get() = Some(*outcome) };
        let before = slot.word.fetch_add(DONE - ENDING, SeqCst);
        if before & FORGOTTEN != 0 {
            self.vacate(number);
        } else if before & WAITED != 0 {
            // SAFETY: parkers are never freed.
            if let Some(waiter) = unsafe { slot.waiter.load(SeqCst).as_ref() } {
                waiter.unpark();
            }
        }
    }

    /// Waits for the outcome and takes it.
    pub fn wait(&self, ticket: Ticket, deadline: Deadline, cancel: Option<&Cancel>) -> Result<Outcome, TicketError> {
        if deadline.has_passed() {
            // No wait at all, so it keeps nobody else from waiting.
            return self.poll(ticket).map_err(|error| match error {
                TicketError::NotReady => TicketError::Wait(WaitEnd::TimedOut),
                error => error,
            });
        }
        let number = self.begin_waiting(ticket)?;
        let slot = self.slot(number);
        let done = || (slot.word.load(SeqCst) & PHASE == DONE).then_some(());
        let end = cancel::current_parker().map_err(WaitEnd::from).and_then(|parker| {
            slot.waiter.store((&raw const *parker).cast_mut(), SeqCst);
            cancel::wait_until(deadline, cancel, done)
        });
        match end {
            Ok(()) => self.take(ticket, number, WAITED),
            Err(end) => {
                let before = slot.word.fetch_and(!WAITED, SeqCst);
                // What came at the last moment is preferred over the end of the wait.
                if before & PHASE == DONE { self.take(ticket, number, 0) } else { Err(TicketError::Wait(end)) }
            }
        }
    }

    fn begin_waiting(&self, ticket: Ticket) -> Result<u32, TicketError> {
        loop {
            let (number, word) = self.find_open(ticket)?;
            if self.slot(number).word.compare_exchange(word, word | WAITED, SeqCst, SeqCst).is_ok() {
                return Ok(number);
            }
        }
    }

    /// Takes the outcome when it is there.
    pub fn poll(&self, ticket: Ticket) -> Result<Outcome, TicketError> {
        let (number, word) = self.find_open(ticket)?;
        if word & PHASE != DONE {
            return Err(TicketError::NotReady);
        }
        self.take(ticket, number, 0)
    }

    /// Gives the outcome up, whether it is there or not.
    pub fn forget(&self, ticket: Ticket) -> Result<(), TicketError> {
        loop {
            let (number, word) = self.find(ticket)?;
            if word & COMPLETION != 0 {
                return Err(TicketError::HasCompletion);
            }
            if word & WAITED != 0 {
                return Err(TicketError::Waited);
            }
            if word & PHASE == DONE {
                return self.take(ticket, number, 0).map(drop);
            }
            if self.slot(number).word.compare_exchange(word, word | FORGOTTEN, SeqCst, SeqCst).is_ok() {
                return Ok(());
            }
        }
    }

    /// Of several that want the outcome of a `DONE` slot one gets it; who waits for it is never robbed.
    fn take(&self, ticket: Ticket, number: u32, flags: u64) -> Result<Outcome, TicketError> {
        let slot = self.slot(number);
        let generation = (ticket.0 >> GENERATION_SHIFT) << GENERATION_SHIFT;
        let done = generation | DONE | flags;
        if slot.word.compare_exchange(done, generation | TAKEN, SeqCst, SeqCst).is_err() {
            return Err(if slot.word.load(SeqCst) == done | WAITED {
                TicketError::Waited
            } else {
                TicketError::Stale { ticket: ticket.0 }
            });
        }
        // SAFETY: the exchange made the cell this caller's.
        let outcome = unsafe { *slot.outcome.get() };
        self.vacate(number);
        outcome.ok_or(TicketError::Stale { ticket: ticket.0 })
    }

    fn vacate(&self, number: u32) {
        let word = &self.slot(number).word;
        let generation = (word.load(Relaxed) >> GENERATION_SHIFT).wrapping_add(1) & u64::from(u32::MAX);
        // 0 is left out, so that no ticket is.
        word.store((generation.max(1) << GENERATION_SHIFT) | FREE, SeqCst);
        self.put_back(number);
    }

    fn find(&self, ticket: Ticket) -> Result<(u32, u64), TicketError> {
        let stale = TicketError::Stale { ticket: ticket.0 };
        let number = (ticket.0 & SLOT_MASK) as u32;
        let slot = self.slots.get(number as usize).ok_or(stale)?;
        let word = slot.word.load(SeqCst);
        let known = (ticket.0 >> SALT_SHIFT) & SALT_MASK == self.salt
            && word >> GENERATION_SHIFT == ticket.0 >> GENERATION_SHIFT
            && !matches!(word & PHASE, FREE | TAKEN)
            && word & FORGOTTEN == 0;
        if known { Ok((number, word)) } else { Err(TicketError::Stale { ticket: ticket.0 }) }
    }

    /// [`Table::find`] for a caller who wants to take the outcome.
    fn find_open(&self, ticket: Ticket) -> Result<(u32, u64), TicketError> {
        let (number, word) = self.find(ticket)?;
        if word & COMPLETION != 0 {
            return Err(TicketError::HasCompletion);
        }
        if word & WAITED != 0 {
            return Err(TicketError::Waited);
        }
        Ok((number, word))
    }
}
