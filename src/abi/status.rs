//! Status: what every function answers. The numbers never change; new ones are appended, by area.

use crate::base::InvalidField;
use crate::base::alloc::OutOfMemory;
use crate::base::callback::{CallbackFailure, Refusal, Told};
use crate::base::cancel::WaitEnd;
use crate::base::handles::HandleError;
use crate::base::text::Text;
use crate::base::thread::{SpawnError, ThreadRecord};
use std::ffi::CStr;
use std::fmt;

/// What a function answers: OSTLER_OK, or a negative OSTLER_E_... constant.
pub type ostler_status = i32;

/// It worked.
pub const OSTLER_OK: ostler_status = 0;
/// An argument cannot be honoured; the message names it, its value and the bound.
pub const OSTLER_E_INVALID_ARGUMENT: ostler_status = -1;
/// The handle is NULL, destroyed, of another kind, or was never given out.
pub const OSTLER_E_INVALID_HANDLE: ostler_status = -2;
/// The object is closing: it takes no new work.
pub const OSTLER_E_CLOSED: ostler_status = -3;
/// The time was up before it could be done.
pub const OSTLER_E_TIMEOUT: ostler_status = -4;
/// The ostler_cancel given to the wait was signalled, or the request was cancelled.
pub const OSTLER_E_CANCELLED: ostler_status = -5;
/// Memory could not be allocated.
pub const OSTLER_E_OUT_OF_MEMORY: ostler_status = -6;
/// The library panicked inside the call; the message says where. The object is quarantined.
pub const OSTLER_E_PANIC: ostler_status = -7;
/// The object panicked before: only destroy is left.
pub const OSTLER_E_QUARANTINED: ostler_status = -8;
/// The call would wait for itself, for example a destroy from inside the object's own callback.
pub const OSTLER_E_WOULD_DEADLOCK: ostler_status = -9;
/// This process is a forked child of the one that uses the library.
pub const OSTLER_E_FORKED: ostler_status = -10;
/// This library, kernel or machine cannot do that.
pub const OSTLER_E_UNSUPPORTED: ostler_status = -11;
/// A system call failed; the message has the call and its errno.
pub const OSTLER_E_SYSTEM: ostler_status = -12;
/// A callback of the host reported a failure; the message has its words.
pub const OSTLER_E_CALLBACK_FAILED: ostler_status = -13;
/// A configured bound would be passed.
pub const OSTLER_E_LIMIT: ostler_status = -14;
/// It is in use: children are still out, the ticket is waited on, or the request is running.
pub const OSTLER_E_BUSY: ostler_status = -15;
/// Strict: the page size asked for is not to be had.
pub const OSTLER_E_PAGES_UNAVAILABLE: ostler_status = -100;
/// Strict: the NUMA node asked for is not to be had, or there is no such node.
pub const OSTLER_E_NODE_UNAVAILABLE: ostler_status = -101;
/// The mark is of another arena, or the arena was reset or rewound past it.
pub const OSTLER_E_STALE_MARK: ostler_status = -102;
/// The address is not one that this object gave out.
pub const OSTLER_E_FOREIGN_POINTER: ostler_status = -103;
/// What lay at this address was given back before.
pub const OSTLER_E_DOUBLE_FREE: ostler_status = -104;
/// Memory beside a block was written; the message says which block and where.
pub const OSTLER_E_OVERRUN: ostler_status = -105;
/// The block was given back, or is of another object.
pub const OSTLER_E_STALE_BLOCK: ostler_status = -106;
/// The buffer was given back, or is of another set.
pub const OSTLER_E_STALE_BUFFER: ostler_status = -107;
/// The governor grants no more memory; the message has its limit and the largest holders.
pub const OSTLER_E_MEMORY_PRESSURE: ostler_status = -108;
/// Every resource that the pool may have is leased, or every cell or reference is out.
pub const OSTLER_E_EXHAUSTED: ostler_status = -200;
/// The create callback failed; the message has its words.
pub const OSTLER_E_CREATE_FAILED: ostler_status = -201;
/// The lease was released, or is of another pool.
pub const OSTLER_E_STALE_LEASE: ostler_status = -202;
/// The pool is paused: it leases nothing until it is resumed.
pub const OSTLER_E_PAUSED: ostler_status = -203;
/// What came to the cell was taken, or it was released, or it is of another set.
pub const OSTLER_E_STALE_CELL: ostler_status = -204;
/// The cell was completed, cancelled, or ended by a destroy before.
pub const OSTLER_E_ALREADY_COMPLETED: ostler_status = -205;
/// The build callback failed; the message has its words.
pub const OSTLER_E_BUILD_FAILED: ostler_status = -206;
/// The reference to a template was released, or is of another cache.
pub const OSTLER_E_STALE_TEMPLATE: ostler_status = -207;
/// More is asked of the pool than it can give in time; the message says by how much.
pub const OSTLER_E_OVERLOADED: ostler_status = -208;
/// The model's queue, or the orchestrator's table of requests, is full.
pub const OSTLER_E_QUEUE_FULL: ostler_status = -300;
/// The load callback failed; the message has its words.
pub const OSTLER_E_LOAD_FAILED: ostler_status = -301;
/// The ticket's outcome was taken, or it is of another orchestrator.
pub const OSTLER_E_STALE_TICKET: ostler_status = -302;
/// The request has no outcome yet, or nothing has come to the cell.
pub const OSTLER_E_NOT_READY: ostler_status = -303;
/// The request had not started by its deadline.
pub const OSTLER_E_DEADLINE_EXCEEDED: ostler_status = -304;
/// The request was dropped because its model or orchestrator was destroyed.
pub const OSTLER_E_SHED: ostler_status = -305;

/// Every status with its name.
pub const STATUSES: &[(ostler_status, &CStr)] = &[
    (OSTLER_OK, c"OSTLER_OK"),
    (OSTLER_E_INVALID_ARGUMENT, c"OSTLER_E_INVALID_ARGUMENT"),
    (OSTLER_E_INVALID_HANDLE, c"OSTLER_E_INVALID_HANDLE"),
    (OSTLER_E_CLOSED, c"OSTLER_E_CLOSED"),
    (OSTLER_E_TIMEOUT, c"OSTLER_E_TIMEOUT"),
    (OSTLER_E_CANCELLED, c"OSTLER_E_CANCELLED"),
    (OSTLER_E_OUT_OF_MEMORY, c"OSTLER_E_OUT_OF_MEMORY"),
    (OSTLER_E_PANIC, c"OSTLER_E_PANIC"),
    (OSTLER_E_QUARANTINED, c"OSTLER_E_QUARANTINED"),
    (OSTLER_E_WOULD_DEADLOCK, c"OSTLER_E_WOULD_DEADLOCK"),
    (OSTLER_E_FORKED, c"OSTLER_E_FORKED"),
    (OSTLER_E_UNSUPPORTED, c"OSTLER_E_UNSUPPORTED"),
    (OSTLER_E_SYSTEM, c"OSTLER_E_SYSTEM"),
    (OSTLER_E_CALLBACK_FAILED, c"OSTLER_E_CALLBACK_FAILED"),
    (OSTLER_E_LIMIT, c"OSTLER_E_LIMIT"),
    (OSTLER_E_BUSY, c"OSTLER_E_BUSY"),
    (OSTLER_E_PAGES_UNAVAILABLE, c"OSTLER_E_PAGES_UNAVAILABLE"),
    (OSTLER_E_NODE_UNAVAILABLE, c"OSTLER_E_NODE_UNAVAILABLE"),
    (OSTLER_E_STALE_MARK, c"OSTLER_E_STALE_MARK"),
    (OSTLER_E_FOREIGN_POINTER, c"OSTLER_E_FOREIGN_POINTER"),
    (OSTLER_E_DOUBLE_FREE, c"OSTLER_E_DOUBLE_FREE"),
    (OSTLER_E_OVERRUN, c"OSTLER_E_OVERRUN"),
    (OSTLER_E_STALE_BLOCK, c"OSTLER_E_STALE_BLOCK"),
    (OSTLER_E_STALE_BUFFER, c"OSTLER_E_STALE_BUFFER"),
    (OSTLER_E_MEMORY_PRESSURE, c"OSTLER_E_MEMORY_PRESSURE"),
    (OSTLER_E_EXHAUSTED, c"OSTLER_E_EXHAUSTED"),
    (OSTLER_E_CREATE_FAILED, c"OSTLER_E_CREATE_FAILED"),
    (OSTLER_E_STALE_LEASE, c"OSTLER_E_STALE_LEASE"),
    (OSTLER_E_PAUSED, c"OSTLER_E_PAUSED"),
    (OSTLER_E_STALE_CELL, c"OSTLER_E_STALE_CELL"),
    (OSTLER_E_ALREADY_COMPLETED, c"OSTLER_E_ALREADY_COMPLETED"),
    (OSTLER_E_BUILD_FAILED, c"OSTLER_E_BUILD_FAILED"),
    (OSTLER_E_STALE_TEMPLATE, c"OSTLER_E_STALE_TEMPLATE"),
    (OSTLER_E_OVERLOADED, c"OSTLER_E_OVERLOADED"),
    (OSTLER_E_QUEUE_FULL, c"OSTLER_E_QUEUE_FULL"),
    (OSTLER_E_LOAD_FAILED, c"OSTLER_E_LOAD_FAILED"),
    (OSTLER_E_STALE_TICKET, c"OSTLER_E_STALE_TICKET"),
    (OSTLER_E_NOT_READY, c"OSTLER_E_NOT_READY"),
    (OSTLER_E_DEADLINE_EXCEEDED, c"OSTLER_E_DEADLINE_EXCEEDED"),
    (OSTLER_E_SHED, c"OSTLER_E_SHED"),
];

/// What a callback of the host answered. Of the library's own statuses people are told the name, except for the one
/// that says no more than that it failed.
pub fn answered(status: ostler_status) -> Result<(), Refusal> {
    if status == OSTLER_OK {
        return Ok(());
    }
    let name = || STATUSES.iter().find(|(number, _)| *number == status).and_then(|(_, name)| name.to_str().ok());
    let told = match status {
        OSTLER_E_CALLBACK_FAILED => Told::InWords,
        _ => name().map_or(Told::ByNumber, Told::ByName),
    };
    Err(Refusal { status, told })
}

/// A failure on its way to the caller: the status, while the words already stand in the thread's message.
#[derive(Debug)]
pub struct Failure(ostler_status);

impl Failure {
    #[cold]
    pub fn new(status: ostler_status, words: fmt::Arguments<'_>) -> Self {
        if let Some(record) = ThreadRecord::current() {
            *record.error_message.borrow_mut() = Text::format(words);
        }
        Self(status)
    }

    /// The same in words that stand as they are, for a call that is to be short.
    #[inline]
    pub fn in_words(record: &ThreadRecord, status: ostler_status, words: &'static str) -> Self {
        // Nobody holds it while another call is made.
        if let Ok(mut message) = record.error_message.try_borrow_mut() {
            message.set(words);
        }
        Self(status)
    }

    pub fn status(&self) -> ostler_status {
        self.0
    }
}

impl From<HandleError> for Failure {
    fn from(error: HandleError) -> Self {
        let status = match error {
            HandleError::Null { .. }
            | HandleError::Stray { .. }
            | HandleError::WrongKind { .. }
            | HandleError::Destroyed { .. } => OSTLER_E_INVALID_HANDLE,
            HandleError::Closing { .. } => OSTLER_E_CLOSED,
            HandleError::Quarantined { .. } => OSTLER_E_QUARANTINED,
            HandleError::InsideOwnCallback { .. } | HandleError::WaitsForOneAnother { .. } => OSTLER_E_WOULD_DEADLOCK,
            HandleError::Full => OSTLER_E_LIMIT,
            HandleError::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
        };
        Self::new(status, format_args!("{error}"))
    }
}

impl From<InvalidField> for Failure {
    fn from(error: InvalidField) -> Self {
        Self::new(OSTLER_E_INVALID_ARGUMENT, format_args!("{error}"))
    }
}

impl From<OutOfMemory> for Failure {
    fn from(error: OutOfMemory) -> Self {
        Self::new(OSTLER_E_OUT_OF_MEMORY, format_args!("{error}"))
    }
}

impl From<SpawnError> for Failure {
    fn from(error: SpawnError) -> Self {
        Self::new(OSTLER_E_SYSTEM, format_args!("{error}"))
    }
}

impl From<CallbackFailure> for Failure {
    fn from(error: CallbackFailure) -> Self {
        Self::new(OSTLER_E_CALLBACK_FAILED, format_args!("{error}"))
    }
}

impl From<WaitEnd> for Failure {
    fn from(error: WaitEnd) -> Self {
        let status = match error {
            WaitEnd::TimedOut => OSTLER_E_TIMEOUT,
            WaitEnd::Cancelled => OSTLER_E_CANCELLED,
            WaitEnd::OutOfMemory(_) => OSTLER_E_OUT_OF_MEMORY,
        };
        Self::new(status, format_args!("{error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::STATUSES;
    use std::collections::HashSet;

    /// Every constant of this file stands in the list under its own name and number, and no number is used twice.
    #[test]
    fn every_status_has_one_number_and_one_name() {
        let listed: Vec<(i32, String)> =
            STATUSES.iter().map(|(number, name)| (*number, name.to_str().unwrap().to_owned())).collect();
        let declared: Vec<(i32, String)> = include_str!("status.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("pub const OSTLER_"))
            .map(|line| {
                let (name, rest) = line.split_once(": ostler_status = ").unwrap();
                (rest.trim_end_matches(';').parse().unwrap(), format!("OSTLER_{name}"))
            })
            .collect();
        assert_eq!(declared, listed);
        assert_eq!(listed.iter().map(|(number, _)| number).collect::<HashSet<_>>().len(), listed.len());
    }
}
