//! A request on its way, as its submitter gives it, as a run sees it, and what becomes of it.

use crate::base::MESSAGE_BYTES;
pub use crate::base::priority::Priority;
use crate::base::sync::AtomicU32;
use crate::base::text::{Lossy, Text};
use std::ffi::{c_char, c_void};

/// A view of a set of buffers, with the set's handle. A view of 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Parcel {
    pub set: u64,
    pub view: u64,
}

impl Parcel {
    pub const NONE: Self = Self { set: 0, view: 0 };
}

/// What a submitter gives. The memory are borrowed until the outcome.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub priority: Priority,
    /// From the submit on; 0: none.
    pub deadline_after_ns: u64,
    pub input: *const c_void,
    pub input_bytes: u64,
    pub output: *mut c_void,
    pub output_capacity_bytes: u64,
    /// Is the input, of which the request keeps a reference until its outcome is taken.
    pub parcel: Parcel,
    pub completion: Option<Completion>,
    pub user_data: *mut c_void,
}

/// A function of the host that takes the outcome. Only the model's [`Backend`](super::Backend) knows its type.
#[derive(Clone, Copy, Debug)]
pub struct Completion(pub *const ());

/// Names an accepted request until its outcome is taken. 0 is no ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// A request as a run sees it. Its layout is that of `ostler_item`.
#[derive(Debug)]
#[repr(C)]
pub struct Item {
    pub struct_size: u32,
    pub priority: u32,
    pub input: *const c_void,
    pub input_bytes: u64,
    pub output: *mut c_void,
    pub output_capacity_bytes: u64,
    pub output_bytes: u64,
    pub status: i32,
    pub reserved: u32,
    pub cancelled: *const AtomicU32,
    pub user_data: *mut c_void,
    pub ticket: u64,
    pub message: [c_char; MESSAGE_BYTES],
    pub input_parcel: Parcel,
    /// A reference that the run hands over with the outcome.
    pub output_parcel: Parcel,
}

impl Item {
    /// An item for nothing, in a slot that no request has used yet.
    pub const VACANT: Self = Self {
        struct_size: size_of::<Item>() as u32,
        priority: 0,
        input: std::ptr::null(),
        input_bytes: 0,
        output: std::ptr::null_mut(),
        output_capacity_bytes: 0,
        output_bytes: 0,
        status: 0,
        reserved: 0,
        cancelled: std::ptr::null(),
        user_data: std::ptr::null_mut(),
        ticket: 0,
        message: [0; MESSAGE_BYTES],
        input_parcel: Parcel::NONE,
        output_parcel: Parcel::NONE,
    };

    /// What the run wrote beside the failure of the item.
    pub fn words(&self) -> Text<MESSAGE_BYTES> {
        let bytes = self.message.map(|byte| byte as u8);
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(MESSAGE_BYTES);
        Text::format(format_args!("{}", Lossy(&bytes[..end])))
    }
}

/// The one thing that became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum OutcomeKind {
    Completed = 1,
    Failed = 2,
    TimedOut = 3,
    Cancelled = 4,
    Shed = 5,
}

#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub kind: OutcomeKind,
    /// Why a failed request failed; 0 otherwise.
    pub failure: Failure,
    pub batch_size: u32,
    pub worker: u32,
    pub output_bytes: u64,
    pub queue_ns: u64,
    pub run_ns: u64,
    pub message: Text<MESSAGE_BYTES>,
    /// The reference that the request has kept; ends when the outcome is taken.
    pub input: Parcel,
    /// Whose reference goes to whoever takes the outcome.
    pub output: Parcel,
}

/// Who said that a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    None,
    /// The run callback, with a status of its own.
    Run(i32),
    /// The run callback said that it wrote more than there was room for.
    Overrun,
    /// No worker could load its state.
    Load,
    /// The library, in a worker thread.
    Panic,
}

impl Outcome {
    /// An outcome without a run.
    pub fn unrun(kind: OutcomeKind, failure: Failure, queue_ns: u64, message: Text<MESSAGE_BYTES>) -> Self {
        Self {
            kind,
            failure,
            batch_size: 0,
            worker: 0,
            output_bytes: 0,
            queue_ns,
            run_ns: 0,
            message,
            input: Parcel::NONE,
            output: Parcel::NONE,
        }
    }
}
