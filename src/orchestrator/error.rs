//! What can go wrong at the orchestrator, by what was asked.

use super::parcel::ParcelError;
use super::request::Ticket;
use crate::base::InvalidField;
use crate::base::alloc::OutOfMemory;
use crate::base::cancel::WaitEnd;
use crate::base::handles::HandleError;
use crate::base::thread::SpawnError;
use crate::pool::cells::CellError;

#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    #[error("the orchestrator is closing: it takes no new model")]
    Closed,
    #[error(
        "{min_workers} workers of {memory_bytes} bytes each do not fit: {charged_bytes} of memory_limit_bytes \
         {limit_bytes} are declared already; destroy a model or raise the limit"
    )]
    MemoryLimit { min_workers: u32, memory_bytes: u64, charged_bytes: u64, limit_bytes: u64 },
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error(transparent)]
    Handle(#[from] HandleError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    #[error("the model is closing or its orchestrator is draining: it takes no new request")]
    Closed,
    #[error("the queue of the model is full: {capacity} requests wait (queue_capacity); wait for some, or raise it")]
    QueueFull { capacity: u32 },
    #[error(
        "the orchestrator's table is full: {slots} requests are waiting, running, or have an outcome that nobody \
         took (request_slots); take outcomes, or raise it"
    )]
    TableFull { slots: u32 },
    #[error(transparent)]
    Parcel(#[from] ParcelError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    #[error("ticket {ticket:#x} is stale: its outcome was taken or forgotten, or it is of another orchestrator")]
    Stale { ticket: u64 },
    #[error("the request has no outcome yet")]
    NotReady,
    #[error("ticket is of a request with on_complete, but only the callback takes that outcome")]
    HasCompletion,
    #[error("another thread waits for this ticket")]
    Waited,
    #[error("the request is running; its run callback was told")]
    Running,
    #[error("no outcome of the request yet: {0}")]
    Wait(WaitEnd),
}

impl TicketError {
    pub fn of(ticket: Ticket, error: CellError) -> Self {
        match error {
            CellError::Stale | CellError::Ended => Self::Stale { ticket: ticket.0 },
            CellError::NotReady => Self::NotReady,
            CellError::HasCompletion => Self::HasCompletion,
            CellError::Waited => Self::Waited,
            CellError::Wait(end) => Self::Wait(end),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    #[error("a drain from inside a callback of the same orchestrator, or the log's, would wait for itself")]
    InsideOwnCallback,
    #[error("{still_out} requests have no outcome yet: {end}")]
    Wait { still_out: u64, end: WaitEnd },
}
