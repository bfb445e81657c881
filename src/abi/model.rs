//! Model: what requests run on. Its workers are threads that load a state once and keep it warm; each takes batches of
//! requests, the most urgent first.

use super::arguments::{MOST_ELEMENTS, check_count, clear, name, null, out_of_range, output};
use super::cancel::{given, ostler_cancel};
use super::guard::{destroy, guard, with};
use super::library::OSTLER_NAME_BYTES;
use super::orchestrator::{bounded, ostler_orchestrator};
use super::request::{self, ostler_completion_callback, ostler_item, ostler_request, ostler_ticket};
use super::status::{
    Failure, OSTLER_E_CLOSED, OSTLER_E_LIMIT, OSTLER_E_LOAD_FAILED, OSTLER_E_QUEUE_FULL, OSTLER_E_STALE_BUFFER,
    OSTLER_E_WOULD_DEADLOCK, OSTLER_OK, answered, ostler_status,
};
use super::structs::{init, prepare, read, versioned, zeroed};
use crate::base::alloc;
use crate::base::callback::Refusal;
use crate::base::clock::Deadline;
use crate::base::handles::{self, Kind, Pin};
use crate::orchestrator::{
    Backend, Completion, Item, Model, ModelConfig, Orchestrator, Outcome, ParcelError, State, SubmitError, Ticket,
};
use crate::worker::{Bounds, NotReady};
use std::ffi::{c_char, c_void};

/// A model of an orchestrator, with its queue and its workers.
pub struct ostler_model {
    _opaque: [u8; 0],
}

/// What the host does for a model. All are called with the model's user_data, on the threads of its workers, with
/// every signal blocked and no lock held. They may call the library, but not destroy or drain their own model or
/// orchestrator. A C++ exception must not leave one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_model_callbacks {
    /// sizeof(ostler_model_callbacks).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Makes the state that one worker keeps, once, on the worker's own thread; required. worker
    /// is below max_workers; the number of one that ended is used again.
    /// A failure is tried again after 100 ms, then 200 ms, up to 30 s; while no worker is loaded, each failed try
    /// fails the requests that wait with OSTLER_E_LOAD_FAILED.
    pub load: Option<
        unsafe extern "C-unwind" fn(user_data: *mut c_void, worker: u32, state: *mut *mut c_void) -> ostler_status,
    >,
    /// Runs count (at least 1) items, on the thread that loaded the state; required. A failure is that of every item
    /// which has no status of its own.
    pub run: Option<
        unsafe extern "C-unwind" fn(
            user_data: *mut c_void,
            state: *mut c_void,
            items: *const *mut ostler_item,
            count: u32,
        ) -> ostler_status,
    >,
    /// Gives the state back, on the thread that loaded it; may be NULL.
    pub unload: Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, state: *mut c_void)>,
}

/// The bounds of a model.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_model_config {
    /// sizeof(ostler_model_config).
    pub struct_size: u32,
    /// Workers that are there from the start; 1 to 1024; 0: 1.
    pub min_workers: u32,
    /// More workers are started, one after the other, while requests wait and all workers are busy; min_workers to
    /// 1024; 0: min_workers.
    pub max_workers: u32,
    /// Most requests in one run; 1 to 4096; 0: 1.
    pub max_batch: u32,
    /// Most requests that wait for a worker; 1 to 1048576; 0: 1024.
    pub queue_capacity: u32,
    /// 0.
    pub reserved: u32,
    /// A batch that is not full starts when its oldest request has waited this long, when half of the time that a
    /// request has until its deadline is gone, or when the orchestrator drains; 0: at once.
    pub batch_wait_ns: u64,
    /// A worker above min_workers that had nothing to do this long unloads and ends; 0: never.
    pub idle_timeout_ns: u64,
    /// Bytes that each worker holds: counted against the orchestrator's memory_limit_bytes, beyond which none is started,
    /// and charged to the model's account (OSTLER_HOLDER_WORKER) from before its load until after its unload. A load for
    /// which the governor has no room is one that failed. When memory runs short, workers above min_workers that have
    /// nothing to do unload and end (OSTLER_RECLAIM_WORKER). 0: it is not known, nothing is charged and nobody goes.
    pub memory_bytes: u64,
    /// Shown in the log and, after "ostler-", in the names of the threads (8 bytes fit).
    pub name: [c_char; OSTLER_NAME_BYTES],
}

/// What a model holds and did. accepted is always completed + failed + timed_out + cancelled + shed + queued + running.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ostler_model_stats {
    /// sizeof(ostler_model_stats), set by the caller.
    pub struct_size: u32,
    /// Workers that are there, loaded or not.
    pub workers: u32,
    /// Workers that wait for requests.
    pub idle_workers: u32,
    /// Workers whose state is not loaded.
    pub loading_workers: u32,
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
    /// Runs.
    pub batches: u64,
    /// Most requests that one run had.
    pub largest_batch: u64,
    /// Loads that succeeded.
    pub loads: u64,
    pub load_failures: u64,
    pub unloads: u64,
    /// Requests that ran on a worker which was loaded before they were submitted.
    pub warm_requests: u64,
    /// Sum over all ended requests of the nanoseconds from submit to start.
    pub queue_ns_total: u64,
    /// Sum over all runs of the nanoseconds that they took.
    pub run_ns_total: u64,
    /// Unloads of workers that went because memory was short.
    pub evicted: u64,
}

versioned!(ostler_model_callbacks, ostler_model_config, ostler_model_stats);

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        let status = match error {
            SubmitError::Closed => OSTLER_E_CLOSED,
            SubmitError::QueueFull { .. } | SubmitError::TableFull { .. } => OSTLER_E_QUEUE_FULL,
            SubmitError::Parcel(ParcelError::Handle(error)) => return error.into(),
            SubmitError::Parcel(ParcelError::Stale(_)) => OSTLER_E_STALE_BUFFER,
            SubmitError::Parcel(ParcelError::TooManyReferences(_)) => OSTLER_E_LIMIT,
        };
        Self::new(status, format_args!("{error}"))
    }
}

impl From<NotReady> for Failure {
    fn from(error: NotReady) -> Self {
        let status = match error {
            NotReady::LoadFailed(_) => OSTLER_E_LOAD_FAILED,
            NotReady::Stopping => OSTLER_E_CLOSED,
            NotReady::InsideOwnCallback => OSTLER_E_WOULD_DEADLOCK,
            NotReady::Wait { end, .. } => Failure::from(end).status(),
        };
        Self::new(status, format_args!("{error}"))
    }
}

/// The callbacks of one model; load and run are there.
struct Callbacks {
    table: ostler_model_callbacks,
    user_data: *mut c_void,
}

// SAFETY: the host's functions and its pointer for them; the header says that they are called on worker threads.
unsafe impl Send for Callbacks {}
// SAFETY: as above.
unsafe impl Sync for Callbacks {}

impl Backend for Callbacks {
    fn load(&self, worker: u32, state: &mut State) -> Result<(), Refusal> {
        // SAFETY: the host's function, called as the header says.
        answered(self.table.load.map_or(OSTLER_OK, |load| unsafe { load(self.user_data, worker, &mut state.0) }))
    }

    fn run(&self, state: State, items: &[*mut Item]) -> Result<(), Refusal> {
        let Some(run) = self.table.run else { return Ok(()) };
        // SAFETY: the host's function, called as the header says; an Item is laid out as an ostler_item.
        answered(unsafe { run(self.user_data, state.0, items.as_ptr().cast(), items.len() as u32) })
    }

    fn unload(&self, state: State) {
        if let Some(unload) = self.table.unload {
            // SAFETY: the host's function, called as the header says.
            unsafe { unload(self.user_data, state.0) }
        }
    }

    fn complete(&self, completion: Completion, user_data: *mut c_void, ticket: Ticket, outcome: &Outcome) {
        // SAFETY: `request::given` made it from a callback of this type.
        let callback = unsafe { std::mem::transmute::<*const (), ostler_completion_callback>(completion.0) };
        if let Some(callback) = callback {
            // SAFETY: the host's function, called as the header says.
            unsafe { callback(user_data, ostler_ticket { value: ticket.0 }, &request::result(outcome)) }
        }
    }
}

/// Fills a configuration with the defaults.
///
/// Parameters:
/// - config: written only on success.
/// - struct_size: sizeof(ostler_model_config).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: config must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_model_config_init(config: *mut ostler_model_config, struct_size: u32) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("config", config, struct_size) })
}

/// Empties a table of callbacks.
///
/// Parameters:
/// - callbacks: written only on success.
/// - struct_size: sizeof(ostler_model_callbacks).
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: callbacks must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_model_callbacks_init(
    callbacks: *mut ostler_model_callbacks,
    struct_size: u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    guard(|| unsafe { init("callbacks", callbacks, struct_size) })
}

/// Makes a model and starts its min_workers, which load in the background: ostler_model_wait_ready waits for them, and
/// requests that are submitted before wait in the queue.
///
/// Parameters:
/// - orchestrator: borrowed; its destroy ends the model as well.
/// - config: borrowed during the call.
/// - callbacks: borrowed during the call; load and run are required.
/// - user_data: handed to every callback; must stay valid until the model is destroyed.
/// - out: written only on success, else NULL; owned by the caller, ends with ostler_model_destroy or with the
///   orchestrator.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY,
/// OSTLER_E_SYSTEM, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; config may be NULL, which takes every default; user_data may be NULL;
/// callbacks, its load and run, and out must not be NULL.
/// Blocking: as long as it takes to start the threads; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_model_create(
    orchestrator: *mut ostler_orchestrator,
    config: *const ostler_model_config,
    callbacks: *const ostler_model_callbacks,
    user_data: *mut c_void,
    out: *mut *mut ostler_model,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, std::ptr::null_mut()) };
    with(orchestrator, |orchestrator: &Pin<Orchestrator>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, std::ptr::null_mut())? };
        // SAFETY: as the header asks.
        let config = if config.is_null() { zeroed() } else { unsafe { read("config", config)? } };
        // SAFETY: as the header asks.
        let table: ostler_model_callbacks = unsafe { read("callbacks", callbacks)? };
        reserved("callbacks->reserved", table.reserved)?;
        if table.load.is_none() {
            return Err(null("callbacks->load"));
        }
        if table.run.is_none() {
            return Err(null("callbacks->run"));
        }
        let config = checked(&config)?;
        let slot = handles::reserve(Kind::Model)?;
        let backend = alloc::try_box(Callbacks { table, user_data })?;
        let model = orchestrator.create_model(slot.owner(), config, backend)?;
        *out = slot.publish(model) as *mut ostler_model;
        Ok(())
    })
}

fn checked(config: &ostler_model_config) -> Result<ModelConfig, Failure> {
    reserved("reserved", config.reserved)?;
    let min = bounded("min_workers", config.min_workers, 1, 1024, "must be at most 1024")?;
    let max = bounded("max_workers", config.max_workers, min, 1024, "must be at most 1024")?;
    if max < min {
        return Err(out_of_range("max_workers", u64::from(max), "must be at least min_workers, or 0"));
    }
    Ok(ModelConfig {
        bounds: Bounds { min, max },
        max_batch: bounded("max_batch", config.max_batch, 1, 4096, "must be at most 4096")?,
        queue_capacity: bounded("queue_capacity", config.queue_capacity, 1024, 1 << 20, "must be at most 1048576")?,
        batch_wait_ns: config.batch_wait_ns,
        idle_timeout_ns: config.idle_timeout_ns,
        memory_bytes: config.memory_bytes,
        name: name(&config.name)?,
    })
}

fn reserved(field: &str, value: u32) -> Result<(), Failure> {
    if value == 0 { Ok(()) } else { Err(out_of_range(field, u64::from(value), "must be 0")) }
}

/// Waits until min_workers are loaded.
///
/// Parameters:
/// - model: borrowed.
/// - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
/// - cancel: borrowed during the call; ends the wait.
///
/// Returns: OSTLER_OK, OSTLER_E_LOAD_FAILED (with the words of the load callback; the workers go on trying),
/// OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
/// OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: model NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL.
/// Blocking: up to timeout_ns; not from a callback of the same model (OSTLER_E_WOULD_DEADLOCK).
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_model_wait_ready(
    model: *mut ostler_model,
    timeout_ns: u64,
    cancel: *mut ostler_cancel,
) -> ostler_status {
    with(model, |model: &Pin<Model>| {
        let cancel = given(cancel)?;
        Ok(model.wait_ready(Deadline::after(timeout_ns), cancel.as_deref())?)
    })
}

/// Submits a request. It waits for a worker by its priority, and within a priority the oldest goes first.
///
/// Parameters:
/// - model: borrowed.
/// - request: borrowed during the call; its memory until the outcome. An input_buffer gets a reference of the request's.
/// - out: written only on success, else 0. A request without on_complete keeps its place in the orchestrator's table
///   until this ticket is given to ostler_orchestrator_wait, _poll or _forget.
///
/// Returns: OSTLER_OK, OSTLER_E_QUEUE_FULL, OSTLER_E_STALE_BUFFER, OSTLER_E_LIMIT (of references to the input_buffer),
/// OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE (also of the input_buffer's set),
/// OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: model NULL is OSTLER_E_INVALID_HANDLE; request and out must not be NULL.
/// Blocking: never blocks and allocates nothing; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_model_submit(
    model: *mut ostler_model,
    request: *const ostler_request,
    out: *mut ostler_ticket,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(out, ostler_ticket { value: 0 }) };
    with(model, |model: &Pin<Model>| {
        // SAFETY: as the header asks.
        let out = unsafe { output("out", out, ostler_ticket { value: 0 })? };
        // SAFETY: as the header asks.
        let request = unsafe { request::given("request", request)? };
        out.value = model.submit(&request)?.0;
        Ok(())
    })
}

/// Submits many requests in one call, in their order, and wakes workers once. Stops at the first that is refused.
///
/// Parameters:
/// - model: borrowed.
/// - requests: count of them, one after the other; the first one's struct_size is the distance between them. Borrowed
///   during the call; their buffers until the outcomes.
/// - count: how many; 0 does nothing; at most 1048576.
/// - tickets: room for count; those of the accepted requests are written, the others 0.
/// - accepted: written; how many were accepted, also after a failure.
///
/// Returns: OSTLER_OK (all), or why the first that was refused was: OSTLER_E_QUEUE_FULL, OSTLER_E_INVALID_ARGUMENT,
/// OSTLER_E_UNSUPPORTED, OSTLER_E_CLOSED, OSTLER_E_STALE_BUFFER, OSTLER_E_LIMIT; OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: model NULL is OSTLER_E_INVALID_HANDLE; requests and tickets (unless count is 0) and accepted must not be
/// NULL.
/// Blocking: never blocks and allocates nothing; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_model_submit_n(
    model: *mut ostler_model,
    requests: *const ostler_request,
    count: u32,
    tickets: *mut ostler_ticket,
    accepted: *mut u32,
) -> ostler_status {
    // SAFETY: as the header asks.
    unsafe { clear(accepted, 0) };
    if !tickets.is_null() && count <= MOST_ELEMENTS {
        for place in 0..count as usize {
            // SAFETY: as the header asks.
            unsafe { tickets.add(place).write(ostler_ticket { value: 0 }) };
        }
    }
    with(model, |model: &Pin<Model>| {
        // SAFETY: as the header asks.
        let accepted = unsafe { output("accepted", accepted, 0)? };
        if count == 0 {
            return Ok(());
        }
        check_count(count)?;
        if tickets.is_null() {
            return Err(null("tickets"));
        }
        // SAFETY: as the header asks.
        unsafe { request::given("requests", requests)? };
        // SAFETY: the first request was read just now.
        let stride = unsafe { (*requests).struct_size } as usize;
        let mut invalid = None;
        let valid = (0..count as usize).map_while(|place| {
            // SAFETY: as the header asks: count requests, that far from one another.
            let next = unsafe { requests.byte_add(place * stride) };
            // SAFETY: as above.
            match unsafe { request::given("requests", next) } {
                Ok(request) => Some(request),
                Err(failure) => {
                    invalid = Some(failure);
                    None
                }
            }
        });
        let result = model.submit_all(valid, |ticket| {
            // SAFETY: there is room for count tickets, and fewer were written.
            unsafe { tickets.add(*accepted as usize).write(ostler_ticket { value: ticket.0 }) };
            *accepted += 1;
        });
        result?;
        invalid.map_or(Ok(()), Err)
    })
}

/// Tells what a model holds and did.
///
/// Parameters:
/// - model: borrowed.
/// - out: struct_size set by the caller; written: emptied first, filled on success.
///
/// Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
/// OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: model NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
/// Blocking: never blocks; may be called from any callback.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_model_get_stats(
    model: *mut ostler_model,
    out: *mut ostler_model_stats,
) -> ostler_status {
    // SAFETY: as the header asks.
    let out = unsafe { prepare("out", out) };
    with(model, |model: &Pin<Model>| {
        let out = out?;
        let stats = model.stats();
        out.fill(&ostler_model_stats {
            struct_size: 0,
            workers: stats.workers,
            idle_workers: stats.idle_workers,
            loading_workers: stats.loading_workers,
            queued: stats.queued,
            running: stats.running,
            accepted: stats.accepted,
            completed: stats.completed,
            failed: stats.failed,
            timed_out: stats.timed_out,
            cancelled: stats.cancelled,
            shed: stats.shed,
            refused: stats.refused,
            batches: stats.batches,
            largest_batch: stats.largest_batch,
            loads: stats.loads,
            load_failures: stats.load_failures,
            unloads: stats.unloads,
            warm_requests: stats.warm_requests,
            queue_ns_total: stats.queue_ns_total,
            run_ns_total: stats.run_ns_total,
            evicted: stats.evicted,
        });
        Ok(())
    })
}

/// Destroys a model: requests that wait are shed, those that run finish, its workers unload and are joined. Its
/// tickets stay valid. When this returns no callback of the model runs or will run.
///
/// Parameters:
/// - model: owned; invalid afterwards.
///
/// Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
/// OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
///
/// Thread-safety: Thread-safe.
/// NULL: model NULL is OSTLER_OK and does nothing.
/// Blocking: until the runs that are under way have returned, and the workers have unloaded.
/// Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ostler_model_destroy(model: *mut ostler_model) -> ostler_status {
    destroy::<_, Model>(model)
}
