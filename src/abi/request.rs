//! Request: what is submitted to a model, as its run callback sees it, and what became of it. An accepted request
//! ends in exactly one outcome: completed, failed, timed out, cancelled or shed.

use super::arguments::out_of_range;
use super::buffer::ostler_buffer;
use super::buffers::ostler_buffers;
use super::guard::guard;
use super::library::OSTLER_MESSAGE_BYTES;
use super::status::{
    Failure, OSTLER_E_CALLBACK_FAILED, OSTLER_E_CANCELLED, OSTLER_E_DEADLINE_EXCEEDED, OSTLER_E_INVALID_ARGUMENT,
    OSTLER_E_LOAD_FAILED, OSTLER_E_PANIC, OSTLER_E_SHED, OSTLER_OK, ostler_status,
};
use super::structs::{Output, init, read, versioned};
use crate::base::text::Text;
use crate::orchestrator::request::Failure as RunFailure;
use crate::orchestrator::{Completion, Item, Outcome, OutcomeKind, Parcel, Priority, Request};
use std::ffi::{c_char, c_void};
use std::mem::offset_of;

/// Classes of requests, and of callers who wait for a lease. All of one class go before any of the next, and within a
/// class the oldest first.
pub const OSTLER_PRIORITY_DEFAULT: u32 = 0;
pub const OSTLER_PRIORITY_CRITICAL: u32 = 1;
pub const OSTLER_PRIORITY_HIGH: u32 = 2;
/// What the default is.
pub const OSTLER_PRIORITY_NORMAL: u32 = 3;
pub const OSTLER_PRIORITY_LOW: u32 = 4;
pub const OSTLER_PRIORITY_BATCH: u32 = 5;

/// It ran, and neither the run callback nor the item told of a failure.
pub const OSTLER_OUTCOME_COMPLETED: u32 = 1;
/// It ran and failed, or no worker could load, or the library panicked in the worker; the status tells which.
pub const OSTLER_OUTCOME_FAILED: u32 = 2;
/// It had not started by its deadline.
pub const OSTLER_OUTCOME_TIMED_OUT: u32 = 3;
/// It was cancelled before it started.
pub const OSTLER_OUTCOME_CANCELLED: u32 = 4;
/// It was dropped before it started, because its model or orchestrator was destroyed.
pub const OSTLER_OUTCOME_SHED: u32 = 5;

/// Names an accepted request until its outcome is taken. A value of 0 is never a ticket.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_ticket {
    pub value: u64,
}

/// What became of a request.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_result {
    /// sizeof(ostler_result), set by the caller; in a completion callback by the library.
    pub struct_size: u32,
    /// OSTLER_OUTCOME_...
    pub outcome: u32,
    /// OSTLER_OK when completed. Failed: what the item or the run callback said, or OSTLER_E_LOAD_FAILED,
    /// OSTLER_E_PANIC, OSTLER_E_CALLBACK_FAILED (more output than there was room for). Else
    /// OSTLER_E_DEADLINE_EXCEEDED, OSTLER_E_CANCELLED, OSTLER_E_SHED.
    pub status: ostler_status,
    /// Requests that ran in the same batch; 0 when it did not run.
    pub batch_size: u32,
    /// Bytes that the run callback says it wrote to the output; 0 unless completed.
    pub output_bytes: u64,
    /// Nanoseconds from the submit to the start of the run, or to the outcome when it did not run.
    pub queue_ns: u64,
    /// Nanoseconds that the run callback took for the batch.
    pub run_ns: u64,
    /// The number of the worker that ran it; 0 as well when it did not run.
    pub worker: u32,
    /// 0.
    pub reserved: u32,
    /// Why it was not completed; NUL-terminated.
    pub message: [c_char; OSTLER_MESSAGE_BYTES],
    /// The set of output_buffer.
    pub output_buffers: *mut ostler_buffers,
    /// What the run callback has handed over, with one reference, which is the caller's to release, in a completion callback
    /// the library's; 0: nothing, also when the caller's struct has no room for it, and unless completed.
    pub output_buffer: ostler_buffer,
}

/// One request as the run callback sees it: made by the library, valid until the callback returns. The callback writes
/// output_bytes, status and message.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_item {
    /// sizeof(ostler_item) of the library.
    pub struct_size: u32,
    /// OSTLER_PRIORITY_..., never the default's 0.
    pub priority: u32,
    /// As submitted.
    pub input: *const c_void,
    pub input_bytes: u64,
    pub output: *mut c_void,
    pub output_capacity_bytes: u64,
    /// Bytes written to output; at most output_capacity_bytes, or the request fails.
    pub output_bytes: u64,
    /// OSTLER_OK, or why this item failed: any other number, of the host's own choice.
    pub status: ostler_status,
    /// 0.
    pub reserved: u32,
    /// Points to a number that becomes 1 when the request is cancelled; read it with an atomic load now and then.
    pub cancelled: *const u32,
    /// As submitted.
    pub user_data: *mut c_void,
    pub ticket: ostler_ticket,
    /// Words for the failure; NUL-terminated.
    pub message: [c_char; OSTLER_MESSAGE_BYTES],
    /// As submitted; the request keeps a reference of its own.
    pub input_buffers: *mut ostler_buffers,
    pub input_buffer: ostler_buffer,
    /// The set of output_buffer; NULL.
    pub output_buffers: *mut ostler_buffers,
    /// 0, or what the callback hands over with the outcome, with one reference: to hand the input over, or a part of it, it
    /// is retained, or sliced.
    pub output_buffer: ostler_buffer,
}

// The core's item is handed to the host as it is.
const _: () = assert!(
    size_of::<ostler_item>() == size_of::<Item>()
        && offset_of!(ostler_item, priority) == offset_of!(Item, priority)
        && offset_of!(ostler_item, input) == offset_of!(Item, input)
        && offset_of!(ostler_item, input_bytes) == offset_of!(Item, input_bytes)
        && offset_of!(ostler_item, output) == offset_of!(Item, output)
        && offset_of!(ostler_item, output_capacity_bytes) == offset_of!(Item, output_capacity_bytes)
        && offset_of!(ostler_item, output_bytes) == offset_of!(Item, output_bytes)
        && offset_of!(ostler_item, status) == offset_of!(Item, status)
        && offset_of!(ostler_item, cancelled) == offset_of!(Item, cancelled)
        && offset_of!(ostler_item, user_data) == offset_of!(Item, user_data)
        && offset_of!(ostler_item, ticket) == offset_of!(Item, ticket)
        && offset_of!(ostler_item, message) == offset_of!(Item, message)
        && offset_of!(ostler_item, input_buffers) == offset_of!(Item, input_parcel)
        && offset_of!(ostler_item, output_buffers) == offset_of!(Item, output_parcel)
        && offset_of!(ostler_item, output_buffer) == offset_of!(Item, output_parcel) + offset_of!(Parcel, view)
);

/// Takes the outcome of a request that was submitted with it: called once, on a thread of the library or on the one
/// that cancels or destroys, with no lock held; perhaps before the submit has returned. It may call the library, but not
/// destroy or drain its own model or orchestrator. The ticket is stale once it returns; result is valid until then.
pub type ostler_completion_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, ticket: ostler_ticket, result: *const ostler_result)>;

/// What is submitted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_request {
    /// sizeof(ostler_request).
    pub struct_size: u32,
    /// OSTLER_PRIORITY_...; 0: normal.
    pub priority: u32,
    /// A request that has not started this many nanoseconds after its submit times out; 0: no deadline.
    pub deadline_after_ns: u64,
    /// Borrowed until the outcome; may be NULL when input_bytes is 0.
    pub input: *const c_void,
    pub input_bytes: u64,
    /// Borrowed until the outcome; may be NULL when output_capacity_bytes is 0.
    pub output: *mut c_void,
    pub output_capacity_bytes: u64,
    /// NULL, or takes the outcome; then wait, poll and forget refuse the ticket.
    pub on_complete: ostler_completion_callback,
    /// Handed to the run callback in the item, and to on_complete; must stay valid until the outcome, and until on_complete
    /// has returned.
    pub user_data: *mut c_void,
    /// The set of input_buffer; NULL when that is 0.
    pub input_buffers: *mut ostler_buffers,
    /// 0, or a view that is the input, without a copy; then input is NULL. The request keeps a reference to it from its
    /// submit until its outcome is taken.
    pub input_buffer: ostler_buffer,
}

versioned!(ostler_result, ostler_request);

/// Fills a request with the defaults.
///
/// Parameters:
/// - request: written only on success.
/// - struct_size: sizeof(ostler_request).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: request must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_request_init(request: *mut ostler_request, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("request", request, struct_size) })
}

/// Reads and checks a request.
///
/// # Safety
/// As for [`read`].
pub unsafe fn given(name: &str, request: *const ostler_request) -> Result<Request, Failure> {
    // SAFETY: the caller's promise.
    let request = unsafe { read(name, request)? };
    let priority = priority_of(request.priority)?;
    buffer("input", request.input, request.input_bytes, "input_bytes")?;
    let parcel = Parcel { set: request.input_buffers as u64, view: request.input_buffer.value };
    if parcel.view != 0 && !request.input.is_null() {
        return Err(out_of_range("input", request.input as u64, "must be NULL when there is an input_buffer"));
    }
    if parcel.view == 0 && parcel.set != 0 {
        return Err(out_of_range("input_buffer", 0, "must be a view when there are input_buffers"));
    }
    if parcel.view != 0 && request.input_bytes != 0 {
        return Err(out_of_range("input_bytes", request.input_bytes, "must be 0 when there is an input_buffer"));
    }
    buffer("output", request.output, request.output_capacity_bytes, "output_capacity_bytes")?;
    Ok(Request {
        priority,
        deadline_after_ns: request.deadline_after_ns,
        input: request.input,
        input_bytes: request.input_bytes,
        output: request.output,
        output_capacity_bytes: request.output_capacity_bytes,
        parcel,
        completion: request.on_complete.map(|callback| Completion(callback as *const ())),
        user_data: request.user_data,
    })
}

pub fn priority_of(number: u32) -> Result<Priority, Failure> {
    Ok(match number {
        OSTLER_PRIORITY_CRITICAL => Priority::Critical,
        OSTLER_PRIORITY_HIGH => Priority::High,
        OSTLER_PRIORITY_DEFAULT | OSTLER_PRIORITY_NORMAL => Priority::Normal,
        OSTLER_PRIORITY_LOW => Priority::Low,
        OSTLER_PRIORITY_BATCH => Priority::Batch,
        other => {
            return Err(out_of_range("priority", u64::from(other), "must be one of OSTLER_PRIORITY_... (0 to 5)"));
        }
    })
}

fn buffer(name: &str, pointer: *const c_void, bytes: u64, size: &str) -> Result<(), Failure> {
    if !pointer.is_null() || bytes == 0 {
        return Ok(());
    }
    let words = format_args!("{name} is NULL, but must point to the {bytes} bytes of {size}");
    Err(Failure::new(OSTLER_E_INVALID_ARGUMENT, words))
}

/// Gives the outcome to its taker. What his struct has no room for is nobody's.
pub fn hand_over(outcome: &Outcome, out: Output<ostler_result>) {
    if !out.has_room_for(offset_of!(ostler_result, output_buffer) + size_of::<ostler_buffer>()) {
        outcome.output.release();
    }
    out.fill(&result(outcome));
}

/// The outcome as the host sees it.
pub fn result(outcome: &Outcome) -> ostler_result {
    let status = match (outcome.kind, outcome.failure) {
        (OutcomeKind::Completed, _) => OSTLER_OK,
        (OutcomeKind::Failed, RunFailure::Run(status)) => status,
        (OutcomeKind::Failed, RunFailure::Load) => OSTLER_E_LOAD_FAILED,
        (OutcomeKind::Failed, RunFailure::Panic) => OSTLER_E_PANIC,
        (OutcomeKind::Failed, RunFailure::Overrun | RunFailure::None) => OSTLER_E_CALLBACK_FAILED,
        (OutcomeKind::TimedOut, _) => OSTLER_E_DEADLINE_EXCEEDED,
        (OutcomeKind::Cancelled, _) => OSTLER_E_CANCELLED,
        (OutcomeKind::Shed, _) => OSTLER_E_SHED,
    };
    let message = match outcome.kind {
        OutcomeKind::Completed | OutcomeKind::Failed => outcome.message,
        OutcomeKind::TimedOut => Text::from("it had not started by its deadline"),
        OutcomeKind::Cancelled => Text::from("it was cancelled before it started"),
        OutcomeKind::Shed => Text::from("its model or orchestrator was destroyed before it started"),
    };
    ostler_result {
        struct_size: size_of::<ostler_result>() as u32,
        outcome: outcome.kind as u32,
        status,
        batch_size: outcome.batch_size,
        output_bytes: outcome.output_bytes,
        queue_ns: outcome.queue_ns,
        run_ns: outcome.run_ns,
        worker: outcome.worker,
        reserved: 0,
        message: message.as_c_bytes().map(|byte| byte as c_char),
        output_buffers: outcome.output.set as *mut ostler_buffers,
        output_buffer: ostler_buffer { value: outcome.output.view },
    }
}
