/*
 * Ostler keeps expensive things warm: memory on the pages and NUMA nodes asked for, pools of resources, workers that
 * load once, and an orchestrator that feeds them.
 *
 * This file is generated from the doc comments in src/abi (make header). It is the whole interface; the inline fast
 * path of the cursor stands in ostler_inline.h.
 *
 * What holds for every function
 *
 * Status. A function that can fail returns an ostler_status: OSTLER_OK or a negative OSTLER_E_... constant. The
 * statuses of a block's "Returns" line are those that it can really return. ostler_status_name() gives the name,
 * ostler_last_error_message() says in this thread's words what was wrong. Outputs come last and hold NULL or 0 after a
 * failure.
 *
 * Handles. A handle is a number in the shape of a pointer: never dereference one. NULL, a destroyed handle, one
 * of another kind, or a stray pointer is OSTLER_E_INVALID_HANDLE, never a crash. Destroying NULL is OSTLER_OK.
 *
 * Parents and children. Destroying an object while its leases, tickets or cursors are out is OSTLER_OK: new work gets
 * OSTLER_E_CLOSED, what is out stays valid, and the memory goes with the last of it. A close waits for them instead,
 * and says how many are out. From inside one of the object's own callbacks both are OSTLER_E_WOULD_DEADLOCK.
 *
 * Structs. Configurations, callback tables, requests and outputs begin with struct_size, which the ..._init function
 * sets, or the caller: sizeof of the struct. An older, smaller struct works; a newer, longer one works as long as what
 * this library does not know is zero (else OSTLER_E_UNSUPPORTED). In a configuration, zero is the documented default.
 *
 * Units. Time is in nanoseconds, sizes in bytes, and the names say so. A timeout of 0 does not wait; OSTLER_FOREVER
 * waits without bound. Every wait takes an ostler_cancel, or NULL.
 *
 * Callbacks. A function pointer and a user_data. No lock of the library is held while one runs, and it may call any
 * function, also on the same object, unless that function's block says otherwise. It must not throw, longjmp, or
 * end its thread.
 *
 * Thread-safety is one of three words:
 *   Thread-safe    any thread, at any time.
 *   Exclusive      any thread, while no other thread uses the same object.
 *   Thread-bound   one thread at a time uses the object; it may be handed to another with the usual synchronisation.
 *
 * Threads, fork, exit. The library's threads are named ostler-..., block every signal, and end with their object
 * or with ostler_shutdown(). In a forked child each call is OSTLER_E_FORKED. A program may exit at any moment. The library
 * installs no signal handler, no exit handler, and prints nothing.
 */

#ifndef OSTLER_H
#define OSTLER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ======================================================================
 * Status: what every function answers. The numbers never change; new ones are appended, by area.
 * ====================================================================== */

/** What a function answers: OSTLER_OK, or a negative OSTLER_E_... constant. */
typedef int32_t ostler_status;

/** It worked. */
#define OSTLER_OK 0

/** An argument cannot be honoured; the message names it, its value and the bound. */
#define OSTLER_E_INVALID_ARGUMENT -1

/** The handle is NULL, destroyed, of another kind, or was never given out. */
#define OSTLER_E_INVALID_HANDLE -2

/** The object is closing: it takes no new work. */
#define OSTLER_E_CLOSED -3

/** The time was up before it could be done. */
#define OSTLER_E_TIMEOUT -4

/** The ostler_cancel given to the wait was signalled, or the request was cancelled. */
#define OSTLER_E_CANCELLED -5

/** Memory could not be allocated. */
#define OSTLER_E_OUT_OF_MEMORY -6

/** The library panicked inside the call; the message says where. The object is quarantined. */
#define OSTLER_E_PANIC -7

/** The object panicked before: only destroy is left. */
#define OSTLER_E_QUARANTINED -8

/** The call would wait for itself, for example a destroy from inside the object's own callback. */
#define OSTLER_E_WOULD_DEADLOCK -9

/** This process is a forked child of the one that uses the library. */
#define OSTLER_E_FORKED -10

/** This library, kernel or machine cannot do that. */
#define OSTLER_E_UNSUPPORTED -11

/** A system call failed; the message has the call and its errno. */
#define OSTLER_E_SYSTEM -12

/** A callback of the host reported a failure; the message has its words. */
#define OSTLER_E_CALLBACK_FAILED -13

/** A configured bound would be passed. */
#define OSTLER_E_LIMIT -14

/** It is in use: children are still out, the ticket is waited on, or the request is running. */
#define OSTLER_E_BUSY -15

/** Strict: the page size asked for is not to be had. */
#define OSTLER_E_PAGES_UNAVAILABLE -100

/** Strict: the NUMA node asked for is not to be had, or there is no such node. */
#define OSTLER_E_NODE_UNAVAILABLE -101

/** The mark is of another arena, or the arena was reset or rewound past it. */
#define OSTLER_E_STALE_MARK -102

/** Every resource that the pool may have is leased. */
#define OSTLER_E_EXHAUSTED -200

/** The create callback failed; the message has its words. */
#define OSTLER_E_CREATE_FAILED -201

/** The lease was released, or is of another pool. */
#define OSTLER_E_STALE_LEASE -202

/** The model's queue, or the orchestrator's table of requests, is full. */
#define OSTLER_E_QUEUE_FULL -300

/** The load callback failed; the message has its words. */
#define OSTLER_E_LOAD_FAILED -301

/** The ticket's outcome was taken, or it is of another orchestrator. */
#define OSTLER_E_STALE_TICKET -302

/** The request has no outcome yet. */
#define OSTLER_E_NOT_READY -303

/** The request had not started by its deadline. */
#define OSTLER_E_DEADLINE_EXCEEDED -304

/** The request was dropped because its model or orchestrator was destroyed. */
#define OSTLER_E_SHED -305


/* ======================================================================
 * Library: version, names of statuses, messages, the log, shutdown.
 * ====================================================================== */

/** The version of this header, in three numbers and in one: major * 1000000 + minor * 1000 + patch. */
#define OSTLER_VERSION_MAJOR 0

#define OSTLER_VERSION_MINOR 1

#define OSTLER_VERSION_PATCH 0

#define OSTLER_VERSION_NUMBER 1000

/** A timeout that never ends. */
#define OSTLER_FOREVER UINT64_MAX

/** Bytes of a name in a configuration, the NUL included. */
#define OSTLER_NAME_BYTES 32

/** Bytes of a message in a result or item, the NUL included. */
#define OSTLER_MESSAGE_BYTES 128

/** Levels of the log, most important first. */
#define OSTLER_LOG_ERROR 1

#define OSTLER_LOG_WARN 2

#define OSTLER_LOG_INFO 3

#define OSTLER_LOG_DEBUG 4

/** Receives one line of the log: its level and its text, without a newline, borrowed during the call. */
typedef void (*ostler_log_callback)(void *user_data, uint32_t level, const char *message);

/**
 * The version of the library that is loaded, as OSTLER_VERSION_NUMBER.
 *
 * Returns: the number.
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer.
 * Blocking: never blocks; may be called from any callback, a signal handler, or a forked child.
 * Since: 0.1
 */
uint32_t ostler_version(void);

/**
 * The version of the library that is loaded, as text such as "0.1.0".
 *
 * Returns: a string that is never freed.
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer.
 * Blocking: never blocks; may be called from any callback, a signal handler, or a forked child.
 * Since: 0.1
 */
const char *ostler_version_string(void);

/**
 * Tells whether a program that was compiled with a header can use this library: the same major version (while it is
 * 0, the same minor version), and a library not older than the header. Call it once with OSTLER_VERSION_NUMBER.
 *
 * Parameters:
 * - header_version: OSTLER_VERSION_NUMBER of the header that the program was compiled with.
 *
 * Returns: OSTLER_OK, OSTLER_E_UNSUPPORTED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_version_check(uint32_t header_version);

/**
 * The name of a status, such as "OSTLER_E_TIMEOUT".
 *
 * Parameters:
 * - status: any number; one that is no status is "OSTLER_E_UNKNOWN".
 *
 * Returns: a string that is never freed.
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer.
 * Blocking: never blocks; may be called from any callback, a signal handler, or a forked child.
 * Since: 0.1
 */
const char *ostler_status_name(ostler_status status);

/**
 * What was wrong in this thread's last call that failed: which argument, value, bound or errno, and what to do.
 *
 * Returns: a string, empty before the first failure; valid until this thread's next call that fails.
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer; the result is never NULL.
 * Blocking: never blocks; may be called from any callback, or a forked child.
 * Since: 0.1
 */
const char *ostler_last_error_message(void);

/**
 * Sends the library's diagnostics to a callback. Silent by default; nothing is ever printed.
 *
 * Parameters:
 * - max_level: OSTLER_LOG_ERROR to OSTLER_LOG_DEBUG: lines up to this level are sent.
 * - callback: called from any thread, also the library's own; must not throw. NULL: silent again. When the function
 *   returns, the callback that was set before runs no more.
 * - user_data: given to the callback as it is.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: callback and user_data may be NULL.
 * Blocking: waits for lines that are being written, except inside the log callback itself; inside it, lines that the
 * library would write are dropped.
 * Since: 0.1
 */
ostler_status ostler_log_set(uint32_t max_level,
                             ostler_log_callback callback,
                             void *user_data);

/**
 * Inside a callback: leaves the words that go with the failure that it is about to return. They stand in
 * ostler_last_error_message, in a result's message, or in the log, wherever that failure is told.
 *
 * Parameters:
 * - message: borrowed during the call; UTF-8; cut to OSTLER_MESSAGE_BYTES.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe; the words belong to the calling thread.
 * NULL: message must not be NULL.
 * Blocking: never blocks; meant for callbacks, OSTLER_E_INVALID_ARGUMENT outside of one.
 * Since: 0.1
 */
ostler_status ostler_callback_set_message(const char *message);

/**
 * Destroys every object of the library in this process, and joins its threads. Requests that are queued are shed, those
 * that run finish. Afterwards every handle is invalid, and the library can be used anew. A program may also just
 * exit, with workers busy.
 *
 * Parameters:
 * - timeout_ns: how long to wait for leases, tickets and cursors that are still out; 0 does not wait, OSTLER_FOREVER
 *   waits without bound. Callbacks that are running are always waited for.
 * - still_out: written on success and with OSTLER_E_BUSY: how many objects remain because of children that are out.
 *
 * Returns: OSTLER_OK, OSTLER_E_BUSY, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: still_out may be NULL.
 * Blocking: waits as said; inside a callback it is OSTLER_E_WOULD_DEADLOCK.
 * Since: 0.1
 */
ostler_status ostler_shutdown(uint64_t timeout_ns,
                              uint64_t *still_out);


/* ======================================================================
 * Cancel: ends waits from another thread.
 * ====================================================================== */

/**
 * Ends waits from another thread. Every function that waits takes one, or NULL; once it is signalled, each present
 * and later wait with it returns OSTLER_E_CANCELLED. It works once: make a new one for the next use.
 */
typedef struct ostler_cancel ostler_cancel;

/**
 * Makes a cancel.
 *
 * Parameters:
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_cancel_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_cancel_create(struct ostler_cancel **out);

/**
 * Ends every present and later wait that was given this cancel. Signalling again changes nothing.
 *
 * Parameters:
 * - cancel: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: cancel NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_cancel_signal(struct ostler_cancel *cancel);

/**
 * Destroys a cancel. Waits that were given it go on, and can no longer be cancelled.
 *
 * Parameters:
 * - cancel: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: cancel NULL is OSTLER_OK and does nothing.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_cancel_destroy(struct ostler_cancel *cancel);


/* ======================================================================
 * Request: what is submitted to a model, as its run callback sees it, and what became of it. An accepted request
 * ends in exactly one outcome: completed, failed, timed out, cancelled or shed.
 * ====================================================================== */

/** Classes of requests. All of one class go before any of the next, equals in the order of their coming. */
#define OSTLER_PRIORITY_DEFAULT 0

#define OSTLER_PRIORITY_CRITICAL 1

#define OSTLER_PRIORITY_HIGH 2

/** What the default is. */
#define OSTLER_PRIORITY_NORMAL 3

#define OSTLER_PRIORITY_LOW 4

#define OSTLER_PRIORITY_BATCH 5

/** It ran, and neither the run callback nor the item told of a failure. */
#define OSTLER_OUTCOME_COMPLETED 1

/** It ran and failed, or no worker could load, or the library panicked in the worker; the status tells which. */
#define OSTLER_OUTCOME_FAILED 2

/** It had not started by its deadline. */
#define OSTLER_OUTCOME_TIMED_OUT 3

/** It was cancelled before it started. */
#define OSTLER_OUTCOME_CANCELLED 4

/** It was dropped before it started, because its model or orchestrator was destroyed. */
#define OSTLER_OUTCOME_SHED 5

/** Names an accepted request until its outcome is taken. A value of 0 is never a ticket. */
typedef struct ostler_ticket {
    uint64_t value;
} ostler_ticket;

/** What became of a request. */
typedef struct ostler_result {
    /** sizeof(ostler_result), set by the caller; in a completion callback by the library. */
    uint32_t struct_size;
    /** OSTLER_OUTCOME_... */
    uint32_t outcome;
    /**
     * OSTLER_OK when completed. Failed: what the item or the run callback said, or OSTLER_E_LOAD_FAILED,
     * OSTLER_E_PANIC, OSTLER_E_CALLBACK_FAILED (more output than there was room for). Else
     * OSTLER_E_DEADLINE_EXCEEDED, OSTLER_E_CANCELLED, OSTLER_E_SHED.
     */
    ostler_status status;
    /** Requests that ran in the same batch; 0 when it did not run. */
    uint32_t batch_size;
    /** Bytes that the run callback says it wrote to the output; 0 unless completed. */
    uint64_t output_bytes;
    /** Nanoseconds from the submit to the start of the run, or to the outcome when it did not run. */
    uint64_t queue_ns;
    /** Nanoseconds that the run callback took for the batch. */
    uint64_t run_ns;
    /** The number of the worker that ran it. */
    uint32_t worker;
    /** 0. */
    uint32_t reserved;
    /** Why it was not completed; NUL-terminated. */
    char message[OSTLER_MESSAGE_BYTES];
} ostler_result;

/**
 * Takes the outcome of a request that was submitted with it: called once, on a thread of the library or on the one
 * that cancels or destroys, with no lock held. It may call the library, but not destroy or drain its own model or
 * orchestrator. result is valid until it returns.
 */
typedef void (*ostler_completion_callback)(void *user_data,
                                           struct ostler_ticket ticket,
                                           const struct ostler_result *result);

/** What is submitted. */
typedef struct ostler_request {
    /** sizeof(ostler_request). */
    uint32_t struct_size;
    /** OSTLER_PRIORITY_...; 0: normal. */
    uint32_t priority;
    /** A request that has not started this many nanoseconds after its submit times out; 0: no deadline. */
    uint64_t deadline_after_ns;
    /** Borrowed until the outcome; may be NULL when input_bytes is 0. */
    const void *input;
    uint64_t input_bytes;
    /** Borrowed until the outcome; may be NULL when output_capacity_bytes is 0. */
    void *output;
    uint64_t output_capacity_bytes;
    /** NULL, or takes the outcome; then wait and poll refuse the ticket. */
    ostler_completion_callback on_complete;
    /** Handed to the run callback in the item, and to on_complete. */
    void *user_data;
} ostler_request;

/**
 * Fills a request with the defaults.
 *
 * Parameters:
 * - request: written only on success.
 * - struct_size: sizeof(ostler_request).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: request must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_request_init(struct ostler_request *request, uint32_t struct_size);


/* ======================================================================
 * Orchestrator: holds the requests of its models in a table of fixed size, from the submit until the outcome is
 * taken, and watches their deadlines. Submitting, running and completing a request allocates nothing.
 * ====================================================================== */

/** Feeds requests to the warm workers of its models. */
typedef struct ostler_orchestrator ostler_orchestrator;

/** The bounds of an orchestrator. */
typedef struct ostler_orchestrator_config {
    /** sizeof(ostler_orchestrator_config). */
    uint32_t struct_size;
    /**
     * Most requests that wait, run, or have an outcome that nobody took; 1 to 1048576; 0: 4096. The memory for all
     * of them is taken at once, 512 bytes each.
     */
    uint32_t request_slots;
    /** Most bytes that the workers of all models declare together; 0: no limit. */
    uint64_t memory_limit_bytes;
    /** Shown in the log. */
    char name[OSTLER_NAME_BYTES];
} ostler_orchestrator_config;

/**
 * What an orchestrator holds and did, over all its models, those that were destroyed included. accepted is always
 * completed + failed + timed_out + cancelled + shed + queued + running.
 */
typedef struct ostler_orchestrator_stats {
    /** sizeof(ostler_orchestrator_stats), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Models that are not destroyed. */
    uint64_t models;
    /** Their workers. */
    uint64_t workers;
    /** Requests that wait for a worker. */
    uint64_t queued;
    /** Requests that run, or whose outcome is on its way. */
    uint64_t running;
    /** Requests for which a submit returned a ticket. */
    uint64_t accepted;
    uint64_t completed;
    uint64_t failed;
    uint64_t timed_out;
    uint64_t cancelled;
    uint64_t shed;
    /** Submits that were refused because something was full or closed. */
    uint64_t refused;
    /** Outcomes that nobody took yet. */
    uint64_t untaken;
    /** Bytes that the workers declare now. */
    uint64_t declared_memory_bytes;
} ostler_orchestrator_stats;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_orchestrator_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_orchestrator_config_init(struct ostler_orchestrator_config *config,
                                              uint32_t struct_size);

/**
 * Makes an orchestrator without models. It starts one thread, ostler-manager.
 *
 * Parameters:
 * - config: borrowed during the call.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_orchestrator_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
 * OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config NULL takes every default; out must not be NULL.
 * Blocking: as long as it takes to start a thread; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_orchestrator_create(const struct ostler_orchestrator_config *config,
                                         struct ostler_orchestrator **out);

/**
 * Waits for the outcome of a request and takes it: on OSTLER_OK the result is filled and the ticket is gone. The
 * outcome itself may be a failure. One thread at a time can wait for a ticket. Works on a closing or destroyed
 * orchestrator as long as the ticket is out.
 *
 * Parameters:
 * - orchestrator: borrowed.
 * - ticket: consumed on success, and still valid otherwise.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait, not the request.
 * - out: struct_size set by the caller; emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_STALE_TICKET, OSTLER_E_BUSY (another thread waits
 * for it), OSTLER_E_INVALID_ARGUMENT (also for a request with on_complete), OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
 * OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; out must not be NULL.
 * Blocking: up to timeout_ns. From inside a run callback it waits for itself when its own model has no other worker.
 * Since: 0.1
 */
ostler_status ostler_orchestrator_wait(struct ostler_orchestrator *orchestrator,
                                       ostler_ticket ticket,
                                       uint64_t timeout_ns,
                                       ostler_cancel *cancel,
                                       ostler_result *out);

/**
 * Takes the outcome of a request when it is there, and does not wait.
 *
 * Parameters:
 * - orchestrator: borrowed.
 * - ticket: consumed on success, and still valid otherwise.
 * - out: struct_size set by the caller; emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_NOT_READY, OSTLER_E_STALE_TICKET, OSTLER_E_BUSY (a thread waits for it),
 * OSTLER_E_INVALID_ARGUMENT (also for a request with on_complete), OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_orchestrator_poll(struct ostler_orchestrator *orchestrator,
                                       ostler_ticket ticket,
                                       ostler_result *out);

/**
 * Cancels a request. One that waits for a worker ends as cancelled at once. One that runs is not broken off: its
 * item's cancelled becomes 1 for the run callback to see, and its outcome is what the callback makes of it. One that
 * has ended keeps its outcome.
 *
 * Parameters:
 * - orchestrator: borrowed.
 * - ticket: stays valid; its outcome is still to be taken.
 *
 * Returns: OSTLER_OK (it has an outcome), OSTLER_E_BUSY (it is running), OSTLER_E_STALE_TICKET,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks, but runs the request's on_complete; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_orchestrator_cancel(struct ostler_orchestrator *orchestrator,
                                         ostler_ticket ticket);

/**
 * Gives the outcome of a request up: the request goes on, and its outcome is dropped when it comes.
 *
 * Parameters:
 * - orchestrator: borrowed.
 * - ticket: consumed on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_TICKET, OSTLER_E_BUSY (a thread waits for it), OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_orchestrator_forget(struct ostler_orchestrator *orchestrator, ostler_ticket ticket);

/**
 * Takes no more requests, and waits until every accepted one has its outcome. The orchestrator stays closed, also
 * when the time is up first; a later drain goes on waiting.
 *
 * Parameters:
 * - orchestrator: borrowed.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait.
 * - still_out: how many requests have no outcome yet, also after OSTLER_E_TIMEOUT and OSTLER_E_CANCELLED; else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
 * Blocking: up to timeout_ns; not from a callback of the same orchestrator (OSTLER_E_WOULD_DEADLOCK).
 * Since: 0.1
 */
ostler_status ostler_orchestrator_drain(struct ostler_orchestrator *orchestrator,
                                        uint64_t timeout_ns,
                                        ostler_cancel *cancel,
                                        uint64_t *still_out);

/**
 * Tells what an orchestrator holds and did.
 *
 * Parameters:
 * - orchestrator: borrowed.
 * - out: struct_size set by the caller; emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback. Looks at every request slot.
 * Since: 0.1
 */
ostler_status ostler_orchestrator_get_stats(struct ostler_orchestrator *orchestrator,
                                            struct ostler_orchestrator_stats *out);

/**
 * Destroys an orchestrator and its models: requests that wait are shed, those that run finish, workers unload and
 * are joined, and the handles of the models are invalid afterwards. Tickets whose outcome nobody took stay valid for
 * wait, poll, cancel and forget; the memory goes with the last of them.
 *
 * Parameters:
 * - orchestrator: owned; invalid afterwards, except for its tickets.
 *
 * Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: orchestrator NULL is OSTLER_OK and does nothing.
 * Blocking: until the runs that are under way have returned, and the workers have unloaded.
 * Since: 0.1
 */
ostler_status ostler_orchestrator_destroy(struct ostler_orchestrator *orchestrator);


/* ======================================================================
 * Model: what requests run on. Its workers are threads that load a state once and keep it warm; each takes batches of
 * requests, the most urgent first.
 * ====================================================================== */

/** A model of an orchestrator, with its queue and its workers. */
typedef struct ostler_model ostler_model;

/** The bounds of a model. */
typedef struct ostler_model_config {
    /** sizeof(ostler_model_config). */
    uint32_t struct_size;
    /** Workers that are there from the start; 1 to 1024; 0: 1. */
    uint32_t min_workers;
    /**
     * More workers are started, one after the other, while requests wait and all workers are busy; min_workers to
     * 1024; 0: min_workers.
     */
    uint32_t max_workers;
    /** Most requests in one run; 1 to 4096; 0: 1. */
    uint32_t max_batch;
    /** Most requests that wait for a worker; 1 to 1048576; 0: 1024. */
    uint32_t queue_capacity;
    /** 0. */
    uint32_t reserved;
    /** A batch that is not full starts when its oldest request has waited this long; 0: at once. */
    uint64_t batch_wait_ns;
    /** A worker above min_workers that had nothing to do this long unloads and ends; 0: never. */
    uint64_t idle_timeout_ns;
    /** Bytes that each worker declares against the orchestrator's memory_limit_bytes. */
    uint64_t memory_bytes;
    /** Shown in the log and, after "ostler-", in the names of the threads (8 bytes fit). */
    char name[OSTLER_NAME_BYTES];
} ostler_model_config;

/**
 * What the host does for a model. All are called with the model's user_data, on the threads of its workers, with
 * every signal blocked and no lock held. They may call the library, but not destroy or drain their own model or
 * orchestrator. A C++ exception must not leave one.
 */
typedef struct ostler_model_callbacks {
    /** sizeof(ostler_model_callbacks). */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /**
     * Makes the state that one worker keeps, once, on the worker's own thread; required. worker counts from 0.
     * A failure is tried again after 100 ms, then 200 ms, up to 30 s; while no worker is loaded, each failed try
     * fails the requests that wait with OSTLER_E_LOAD_FAILED.
     */
    ostler_status (*load)(void *user_data, uint32_t worker, void **state);
    /**
     * Runs count (at least 1) items, on the thread that loaded the state; required. A failure is that of every item
     * which has no status of its own.
     */
    ostler_status (*run)(void *user_data, void *state, ostler_item *const *items, uint32_t count);
    /** Gives the state back, on the thread that loaded it; may be NULL. */
    void (*unload)(void *user_data, void *state);
} ostler_model_callbacks;

/** What a model holds and did. accepted is always completed + failed + timed_out + cancelled + shed + queued + running. */
typedef struct ostler_model_stats {
    /** sizeof(ostler_model_stats), set by the caller. */
    uint32_t struct_size;
    /** Workers that are there, loaded or not. */
    uint32_t workers;
    /** Workers that wait for requests. */
    uint32_t idle_workers;
    /** Workers whose state is not loaded. */
    uint32_t loading_workers;
    /** Requests that wait for a worker. */
    uint64_t queued;
    /** Requests that run, or whose outcome is on its way. */
    uint64_t running;
    /** Requests for which a submit returned a ticket. */
    uint64_t accepted;
    uint64_t completed;
    uint64_t failed;
    uint64_t timed_out;
    uint64_t cancelled;
    uint64_t shed;
    /** Submits that were refused because something was full or closed. */
    uint64_t refused;
    /** Runs. */
    uint64_t batches;
    /** Most requests that one run had. */
    uint64_t largest_batch;
    /** Loads that succeeded. */
    uint64_t loads;
    uint64_t load_failures;
    uint64_t unloads;
    /** Requests that ran on a worker which was loaded before they were submitted. */
    uint64_t warm_requests;
    /** Sum over all ended requests of the nanoseconds from submit to start. */
    uint64_t queue_ns_total;
    /** Sum over all runs of the nanoseconds that they took. */
    uint64_t run_ns_total;
} ostler_model_stats;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_model_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_model_config_init(struct ostler_model_config *config, uint32_t struct_size);

/**
 * Empties a table of callbacks.
 *
 * Parameters:
 * - callbacks: written only on success.
 * - struct_size: sizeof(ostler_model_callbacks).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: callbacks must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_model_callbacks_init(struct ostler_model_callbacks *callbacks, uint32_t struct_size);

/**
 * Makes a model and starts its min_workers, which load in the background: ostler_model_wait_ready waits for them, and
 * requests that are submitted before wait in the queue.
 *
 * Parameters:
 * - orchestrator: borrowed; its destroy ends the model as well.
 * - config: borrowed during the call.
 * - callbacks: borrowed during the call; load and run are required.
 * - user_data: handed to every callback; must stay valid until the model is destroyed.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_model_destroy or with the
 *   orchestrator.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_SYSTEM, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; config NULL takes every default; user_data may be NULL;
 * callbacks, its load and run, and out must not be NULL.
 * Blocking: as long as it takes to start the threads; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_model_create(ostler_orchestrator *orchestrator,
                                  const struct ostler_model_config *config,
                                  const struct ostler_model_callbacks *callbacks,
                                  void *user_data,
                                  struct ostler_model **out);

/**
 * Waits until min_workers are loaded.
 *
 * Parameters:
 * - model: borrowed.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait.
 *
 * Returns: OSTLER_OK, OSTLER_E_LOAD_FAILED (with the words of the load callback; the workers go on trying),
 * OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
 * OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: model NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL.
 * Blocking: up to timeout_ns; not from a callback of the same model (OSTLER_E_WOULD_DEADLOCK).
 * Since: 0.1
 */
ostler_status ostler_model_wait_ready(struct ostler_model *model, uint64_t timeout_ns, ostler_cancel *cancel);

/**
 * Submits a request. It waits for a worker by its priority, and equals in the order of their coming.
 *
 * Parameters:
 * - model: borrowed.
 * - request: borrowed during the call; its buffers until the outcome.
 * - out: written only on success, else 0; to be given to ostler_orchestrator_wait, _poll or _forget, unless the
 *   request has on_complete.
 *
 * Returns: OSTLER_OK, OSTLER_E_QUEUE_FULL, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: model NULL is OSTLER_E_INVALID_HANDLE; request and out must not be NULL.
 * Blocking: never blocks and allocates nothing; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_model_submit(struct ostler_model *model,
                                  const ostler_request *request,
                                  ostler_ticket *out);

/**
 * Submits many requests in one call, in their order, and wakes workers once. Stops at the first that is refused.
 *
 * Parameters:
 * - model: borrowed.
 * - requests: count of them, one after the other; the first one's struct_size is the distance between them. Borrowed
 *   during the call; their buffers until the outcomes.
 * - count: how many; 0 does nothing; at most 1048576.
 * - tickets: room for count; those of the accepted requests are written, the others 0.
 * - accepted: how many were accepted, also after a failure.
 *
 * Returns: OSTLER_OK (all), or why the first one was refused that was: OSTLER_E_QUEUE_FULL, OSTLER_E_INVALID_ARGUMENT,
 * OSTLER_E_UNSUPPORTED, OSTLER_E_CLOSED; OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: model NULL is OSTLER_E_INVALID_HANDLE; requests and tickets may be NULL when count is 0; accepted must not be
 * NULL.
 * Blocking: never blocks and allocates nothing; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_model_submit_n(struct ostler_model *model,
                                    const ostler_request *requests,
                                    uint32_t count,
                                    ostler_ticket *tickets,
                                    uint32_t *accepted);

/**
 * Tells what a model holds and did.
 *
 * Parameters:
 * - model: borrowed.
 * - out: struct_size set by the caller; emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: model NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_model_get_stats(struct ostler_model *model,
                                     struct ostler_model_stats *out);

/**
 * Destroys a model: requests that wait are shed, those that run finish, its workers unload and are joined. Its
 * tickets stay valid. When this returns no callback of the model runs or will run.
 *
 * Parameters:
 * - model: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: model NULL is OSTLER_OK and does nothing.
 * Blocking: until the runs that are under way have returned, and the workers have unloaded.
 * Since: 0.1
 */
ostler_status ostler_model_destroy(struct ostler_model *model);


#ifdef __cplusplus
}
#endif

#endif /* OSTLER_H */
