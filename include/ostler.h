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


#ifdef __cplusplus
}
#endif

#endif /* OSTLER_H */
