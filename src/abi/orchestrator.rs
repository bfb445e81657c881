//! Orchestrator: holds the requests of its models in a table of fixed size, from the submit until the outcome is
//! taken, and watches their deadlines. Submitting, running and completing a request allocates nothing.

use super::arguments::{clear, name, optional_output, out_of_range, output};
use super::cancel::{given, ostler_cancel};
use super::guard::{destroy, guard, with, with_child};
use super::library::OSTLER_NAME_BYTES;
use super::request::{hand_over, ostler_result, ostler_ticket};
use super::status::{
    Failure, OSTLER_E_BUSY, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_NOT_READY,
    OSTLER_E_STALE_TICKET, OSTLER_E_WOULD_DEADLOCK, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::orchestrator::{CreateError, DrainError, Orchestrator, OrchestratorConfig, Ticket, TicketError};
use std::ffi::c_char;

/// Feeds requests to the warm workers of its models.
pub struct ostler_orchestrator {
    _opaque: [u8; 0],
}

/// The bounds of an orchestrator.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_orchestrator_config {
    /// sizeof(ostler_orchestrator_config).
    pub struct_size: u32,
    /// Most requests that wait, run, or have an outcome that nobody took; 1 to 1048576; 0: 4096. The memory for all
    /// of them is taken at once, 512 bytes each.
    pub request_slots: u32,
    /// Most bytes that the workers of all models declare together; 0: no limit.
    pub memory_limit_bytes: u64,
    /// Shown in the log.
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// What an orchestrator holds and did, over all its models, those that were destroyed included. accepted is always
/// completed + failed + timed_out + cancelled + shed + queued + running.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_orchestrator_stats {
    /// sizeof(ostler_orchestrator_stats), set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Models that are not destroyed.
    pub models: u64,
    /// Their workers.
    pub workers: u64,
    /// Requests that wait for a worker.
    pub queued: u64,
    /// Requests that run, or whose outcome is on its way.
    pub running: u64,
    /// Requests for which a submit returned a ticket.
    pub accepted: u64,
    pub completed: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub cancelled: u64,
    pub shed: u64,
    /// Submits that were refused because something was full or closed.
    pub refused: u64,
    /// Outcomes that nobody took yet.
    pub untaken: u64,
    /// Bytes that the workers declare now.
    pub declared_memory_bytes: u64,
}

versioned!(ostler_orchestrator_config, ostler_orchestrator_stats);

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        let status = match error {
            CreateError::InvalidField(error) => return error.into(),
            CreateError::Spawn(error) => return error.into(),
            CreateError::OutOfMemory(error) => return error.into(),
            CreateError::Handle(error) => return error.into(),
            CreateError::Closed => OSTLER_E_CLOSED,
            CreateError::MemoryLimit { .. } => OSTLER_E_LIMIT,
        };
        Self::new(status, format_args!("{error}"))
    }
}

impl From<TicketError> for Failure {
    fn from(error: TicketError) -> Self {
        let status = match error {
            TicketError::Stale { .. } => OSTLER_E_STALE_TICKET,
            TicketError::NotReady => OSTLER_E_NOT_READY,
            TicketError::HasCompletion => OSTLER_E_INVALID_ARGUMENT,
            TicketError::Waited | TicketError::Running => OSTLER_E_BUSY,
            TicketError::Wait(end) => Failure::from(end).status(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

impl From<DrainError> for Failure {
    fn from(error: DrainError) -> Self {
        let status = match error {
            DrainError::InsideOwnCallback => OSTLER_E_WOULD_DEADLOCK,
            DrainError::Wait { end, .. } => Failure::from(end).status(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_orchestrator_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_orchestrator_config_init(
    config: *mut ostler_orchestrator_config,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Makes an orchestrator without models. It starts one thread, ostler-manager.
///
/// Parameters:
/// - config: borrowed during the call.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_orchestrator_destroy.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
/// OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config may be NULL, which takes every default; out must not be NULL.
/// Blocking: as long as it takes to start a thread; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_orchestrator_create(
    config: *const ostler_orchestrator_config,
    out: *mut *mut ostler_orchestrator,
) -> ostler_status {
    guard(|| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        let slot = handles::reserve(Kind::Orchestrator)?;
        let orchestrator = Orchestrator::new(slot.owner(), checked(&config)?)?;
        *out = slot.publish(orchestrator) as *mut ostler_orchestrator;
        Ok(())
    })
}

fn checked(config: &ostler_orchestrator_config) -> Result<OrchestratorConfig, Failure> {
    Ok(OrchestratorConfig {
        request_slots: if config.request_slots == 0 { 4096 } else { config.request_slots },
        memory_limit_bytes: config.memory_limit_bytes,
        name: name(&config.name)?,
    })
}

/// Waits for the outcome of a request and takes it: on OSTLER_OK the result is filled and the ticket is gone. The
/// outcome itself may be a failure. One thread at a time can wait for a ticket. Works on a closing or destroyed
/// orchestrator as long as the ticket is out.
///
/// Parameters:
/// - orchestrator: borrowed.
/// - ticket: consumed on success, and still valid otherwise.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait, not the request.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_STALE_TICKET, OSTLER_E_BUSY (another thread waits
/// for it), OSTLER_E_INVALID_ARGUMENT (also for a request with on_complete), OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
/// OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; out must not be NULL.
/// Blocking: up to timeout_ns. From inside a run callback it waits for itself when its own model has no other worker.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_orchestrator_wait(
    orchestrator: *mut ostler_orchestrator,
    ticket: ostler_ticket,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    out: *mut ostler_result,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with_child(orchestrator, |orchestrator: &Pin<Orchestrator>| {
        let out = out?;
        let cancel = given(cancel)?;
        let outcome = orchestrator.wait(Ticket(ticket.value), Deadline::after(timeout_ns), cancel.as_deref())?;
        hand_over(&outcome, out);
        Ok(())
    })
}

/// Takes the outcome of a request when it is there, and does not wait.
///
/// Parameters:
/// - orchestrator: borrowed.
/// - ticket: consumed on success, and still valid otherwise.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_NOT_READY, OSTLER_E_STALE_TICKET, OSTLER_E_BUSY (a thread waits for it),
/// OSTLER_E_INVALID_ARGUMENT (also for a request with on_complete), OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
/// OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_orchestrator_poll(
    orchestrator: *mut ostler_orchestrator,
    ticket: ostler_ticket,
    out: *mut ostler_result,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with_child(orchestrator, |orchestrator: &Pin<Orchestrator>| {
        let out = out?;
        let outcome = orchestrator.poll(Ticket(ticket.value))?;
        hand_over(&outcome, out);
        Ok(())
    })
}

/// Cancels a request. One that waits for a worker ends as cancelled at once. One that runs is not broken off: its
/// item's cancelled becomes 1 for the run callback to see, and its outcome is what the callback makes of it. One that
/// has ended keeps its outcome.
///
/// Parameters:
/// - orchestrator: borrowed.
/// - ticket: stays valid; its outcome is still to be taken.
///
/// Returns: OSTLER_OK (it has an outcome), OSTLER_E_BUSY (it is running), OSTLER_E_STALE_TICKET,
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks, but runs the request's on_complete; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_orchestrator_cancel(
    orchestrator: *mut ostler_orchestrator,
    ticket: ostler_ticket,
) -> ostler_status {
    with_child(orchestrator, |orchestrator: &Pin<Orchestrator>| Ok(orchestrator.cancel(Ticket(ticket.value))?))
}

/// Forgoes the outcome of a request: the request goes on with its buffers, and its outcome is dropped when it comes.
///
/// Parameters:
/// - orchestrator: borrowed.
/// - ticket: consumed on success.
///
/// Returns: OSTLER_OK, OSTLER_E_STALE_TICKET, OSTLER_E_BUSY (a thread waits for it), OSTLER_E_INVALID_ARGUMENT (a
/// request with on_complete), OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
/// OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_orchestrator_forget(
    orchestrator: *mut ostler_orchestrator,
    ticket: ostler_ticket,
) -> ostler_status {
    with_child(orchestrator, |orchestrator: &Pin<Orchestrator>| Ok(orchestrator.forget(Ticket(ticket.value))?))
}

/// Takes no more requests, and waits until every accepted one has its outcome. The orchestrator stays closed, also
/// when the time is up first; a later drain goes on waiting.
///
/// Parameters:
/// - orchestrator: borrowed.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
/// - still_out: written; how many requests have no outcome yet, also after OSTLER_E_TIMEOUT and OSTLER_E_CANCELLED; else 0.
///
/// Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_INVALID_HANDLE,
/// OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
/// Blocking: up to timeout_ns; not from a callback of the same orchestrator (OSTLER_E_WOULD_DEADLOCK).
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_orchestrator_drain(
    orchestrator: *mut ostler_orchestrator,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
    still_out: *mut u64,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(still_out, 0) };
    with(orchestrator, |orchestrator: &Pin<Orchestrator>| {
        let cancel = given(cancel)?;
        let drained = orchestrator.drain(Deadline::after(timeout_ns), cancel.as_deref());
        // SAFETY: as the header asks.
        let still_out = unsafe { optional_output(still_out, 0) };
        if let (Err(DrainError::Wait { still_out: count, .. }), Some(still_out)) = (&drained, still_out) {
            *still_out = *count;
        }
        Ok(drained?)
    })
}

/// Tells what an orchestrator holds and did.
///
/// Parameters:
/// - orchestrator: borrowed.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback. Looks at every request slot.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_orchestrator_get_stats(
    orchestrator: *mut ostler_orchestrator,
    out: *mut ostler_orchestrator_stats,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(orchestrator, |orchestrator: &Pin<Orchestrator>| {
        let out = out?;
        let stats = orchestrator.stats();
        out.fill(&ostler_orchestrator_stats {
            struct_size: 0,
            reserved: 0,
            models: stats.models,
            workers: u64::from(stats.totals.workers),
            queued: stats.totals.queued,
            running: stats.totals.running,
            accepted: stats.totals.accepted,
            completed: stats.totals.completed,
            failed: stats.totals.failed,
            timed_out: stats.totals.timed_out,
            cancelled: stats.totals.cancelled,
            shed: stats.totals.shed,
            refused: stats.totals.refused,
            untaken: stats.untaken,
            declared_memory_bytes: stats.declared_memory_bytes,
        });
        Ok(())
    })
}

/// Destroys an orchestrator and its models: requests that wait are shed, those that run finish, workers unload and
/// are joined, and the handles of the models are invalid afterwards. Tickets whose outcome nobody took stay valid for
/// wait, poll, cancel and forget; the memory goes with the last of them.
///
/// Parameters:
/// - orchestrator: owned; invalid afterwards, except for its tickets.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: orchestrator NULL is OSTLER_OK and does nothing.
/// Blocking: until the runs that are under way have returned, and the workers have unloaded.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_orchestrator_destroy(orchestrator: *mut ostler_orchestrator) -> ostler_status {
    destroy::<_, Orchestrator>(orchestrator)
}

/// A field between two bounds, with a default for 0.
pub fn bounded(field: &'static str, value: u32, default: u32, most: u32, bound: &'static str) -> Result<u32, Failure> {
    match value {
        0 => Ok(default),
        value if value <= most => Ok(value),
        value => Err(out_of_range(field, u64::from(value), bound)),
    }
}
