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
 * of another kind, or a stray pointer is OSTLER_E_INVALID_HANDLE, never a crash. Destroying NULL is OSTLER_OK. One kind is
 * different: an ostler_cursor is memory that inline code reads. A closed cursor is refused until its place in memory is
 * taken by a later one, so it must not be used; and the inline function must get a cursor or NULL.
 *
 * Parents and children. Destroying an object while its leases, tickets or cursors are out is OSTLER_OK: new work gets
 * OSTLER_E_CLOSED, what is out stays valid, and the memory goes with the last of it. A close (of an orchestrator: a
 * drain) waits for them instead, and says how many are out. From inside one of the object's own callbacks all are
 * OSTLER_E_WOULD_DEADLOCK. Other waits inside a callback for something that only this callback could bring about are not
 * found out: a lease of a pool whose leases it holds, or the outcome of a request that only its own worker can run.
 *
 * Structs. Configurations, callback tables, requests and outputs begin with struct_size, which the ..._init function
 * sets, or the caller: sizeof of the struct. An older, smaller struct works; a newer, longer one works as long as what
 * this library does not know is zero (else OSTLER_E_UNSUPPORTED). In a configuration, zero is the documented default.
 *
 * Units. Time is in nanoseconds, sizes in bytes, and the names say so. A timeout of 0 does not wait; OSTLER_FOREVER
 * waits without bound. Every wait with a timeout takes an ostler_cancel or NULL, but for ostler_shutdown, which ends
 * those as well. Time is that of CLOCK_MONOTONIC, unless a test has moved the library's clock with ostler_testkit_clock_...
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
 * or with ostler_shutdown(). In a forked child each call is OSTLER_E_FORKED, but for the destroying of NULL. A program may exit at any moment. The library
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

/** The address is not one that this object gave out. */
#define OSTLER_E_FOREIGN_POINTER -103

/** What lay at this address was given back before. */
#define OSTLER_E_DOUBLE_FREE -104

/** Memory beside a block was written; the message says which block and where. */
#define OSTLER_E_OVERRUN -105

/** The block was given back, or is of another object. */
#define OSTLER_E_STALE_BLOCK -106

/** The buffer was given back, or is of another set. */
#define OSTLER_E_STALE_BUFFER -107

/** The governor grants no more memory; the message has its limit and the largest holders. */
#define OSTLER_E_MEMORY_PRESSURE -108

/** Every resource that the pool may have is leased, or every cell or reference is out. */
#define OSTLER_E_EXHAUSTED -200

/** The create callback failed; the message has its words. */
#define OSTLER_E_CREATE_FAILED -201

/** The lease was released, or is of another pool. */
#define OSTLER_E_STALE_LEASE -202

/** The pool is paused: it leases nothing until it is resumed. */
#define OSTLER_E_PAUSED -203

/** What came to the cell was taken, or it was released, or it is of another set. */
#define OSTLER_E_STALE_CELL -204

/** The cell was completed, cancelled, or ended by a destroy before. */
#define OSTLER_E_ALREADY_COMPLETED -205

/** The build callback failed; the message has its words. */
#define OSTLER_E_BUILD_FAILED -206

/** The reference to a template was released, or is of another cache. */
#define OSTLER_E_STALE_TEMPLATE -207

/** More is asked of the pool than it can give in time; the message says by how much. */
#define OSTLER_E_OVERLOADED -208

/** The model's queue, or the orchestrator's table of requests, is full. */
#define OSTLER_E_QUEUE_FULL -300

/** The load callback failed; the message has its words. */
#define OSTLER_E_LOAD_FAILED -301

/** The ticket's outcome was taken, or it is of another orchestrator. */
#define OSTLER_E_STALE_TICKET -302

/** The request has no outcome yet, or nothing has come to the cell. */
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

/**
 * Receives one line of the log: its level and its text, without a newline, borrowed during the call. It may come on any
 * thread that uses the library and on the library's own, so a pool, model or orchestrator cannot be destroyed, closed,
 * drained or waited for there: that is OSTLER_E_WOULD_DEADLOCK.
 */
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
 * - user_data: given to the callback as it is; must stay valid until another call of this function has returned.
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
 * - message: borrowed during the call; what is not UTF-8 in it becomes U+FFFD, so that words in another encoding are
 *   not lost whole; cut to OSTLER_MESSAGE_BYTES.
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
 * that run finish. A clock that a test froze runs on. What tracing knows of that was not given back is told to the log
 * first. Afterwards every handle is invalid, and the library can be used anew, with no governor configured. A program may
 * also just exit, with workers busy.
 *
 * Parameters:
 * - timeout_ns: how long to wait for leases, tickets and cursors that are still out; 0 does not wait, OSTLER_FOREVER
 *   waits without bound. Callbacks that are running are always waited for.
 * - still_out: written; how many objects remain because of children that are out, after OSTLER_E_TIMEOUT; else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT (everything is destroyed all the same; a later call goes on waiting),
 * OSTLER_E_WOULD_DEADLOCK, OSTLER_E_FORKED, OSTLER_E_PANIC
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
 * Topology: the nodes, CPUs, caches and page sizes of this machine, or of one that a text describes.
 * ====================================================================== */

/** A cache for instructions and data. */
#define OSTLER_CACHE_UNIFIED 0

/** A cache for data. */
#define OSTLER_CACHE_DATA 1

/** A cache for instructions. */
#define OSTLER_CACHE_INSTRUCTION 2

/** Instead of the index of a node: the sum over all. */
#define OSTLER_ALL_NODES UINT32_MAX

/** The machine's nodes, packages, cores, CPUs, caches and page sizes; or those of a description, for planning. */
typedef struct ostler_topology ostler_topology;

/** What a topology holds. */
typedef struct ostler_topology_info {
    /** sizeof(ostler_topology_info), set by the caller. */
    uint32_t struct_size;
    /** NUMA nodes. */
    uint32_t node_count;
    /** Packages, which sit in sockets. */
    uint32_t package_count;
    /** Cores, each with one or more CPUs. */
    uint32_t core_count;
    /** CPUs as the operating system counts them, also those that this process may not use. */
    uint32_t cpu_count;
    /** Caches of every level and kind. */
    uint32_t cache_count;
    /** Page sizes, smallest first; the base page is the first. */
    uint32_t page_size_count;
    /** 1: this machine; 0: a description. */
    uint32_t is_this_machine;
} ostler_topology_info;

/** A NUMA node. */
typedef struct ostler_node_info {
    /** sizeof(ostler_node_info), set by the caller. */
    uint32_t struct_size;
    /** The number by which the operating system knows it; what ostler_arena_config.node takes. */
    uint32_t node;
    /** CPUs that are local to it; 0 for memory without CPUs. */
    uint32_t cpu_count;
    /** 0. */
    uint32_t reserved;
    /** All of its memory, in bytes. */
    uint64_t memory_bytes;
    /** What is free of it now, in bytes. */
    uint64_t free_bytes;
} ostler_node_info;

/** A CPU. */
typedef struct ostler_cpu_info {
    /** sizeof(ostler_cpu_info), set by the caller. */
    uint32_t struct_size;
    /** The number by which the operating system knows it. */
    uint32_t cpu;
    /** Its core, counted from 0. */
    uint32_t core;
    /** Its package, counted from 0. */
    uint32_t package;
    /** The number of its node. */
    uint32_t node;
    /** 1: this process may run on it. */
    uint32_t allowed;
} ostler_cpu_info;

/** A cache. */
typedef struct ostler_cache_info {
    /** sizeof(ostler_cache_info), set by the caller. */
    uint32_t struct_size;
    /** 1 is nearest to the core. */
    uint32_t level;
    /** OSTLER_CACHE_... */
    uint32_t kind;
    /** CPUs that share it. */
    uint32_t cpu_count;
    /** The lowest number of these CPUs. */
    uint32_t first_cpu;
    /** Bytes of a line; 0 where unknown. */
    uint32_t line_bytes;
    /** Its size in bytes; 0 where unknown. */
    uint64_t size_bytes;
} ostler_cache_info;

/** Pages of one size. */
typedef struct ostler_page_info {
    /** sizeof(ostler_page_info), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Bytes of one page. */
    uint64_t page_bytes;
    /** Pages of this size: for the base page all memory, for huge pages the pool. */
    uint64_t total_pages;
    /** Free ones now. */
    uint64_t free_pages;
} ostler_page_info;

/**
 * Discovers this machine, or builds the machine of a description. Takes a few milliseconds; the first time in a
 * process some tens.
 *
 * Parameters:
 * - synthetic: borrowed during the call; UTF-8, a description as hwloc reads it, such as
 *   "package:2 numa:1 core:4 pu:2". NULL: this machine.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_topology_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: synthetic may be NULL; out must not be.
 * Blocking: reads files of the kernel, waits for nothing else; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_topology_create(const char *synthetic,
                                     struct ostler_topology **out);

/**
 * Tells how many there are of each thing.
 *
 * Parameters:
 * - topology: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: topology NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_topology_get_info(struct ostler_topology *topology,
                                       struct ostler_topology_info *out);

/**
 * Describes a node; its free memory is read from the kernel anew.
 *
 * Parameters:
 * - topology: borrowed.
 * - index: 0 to node_count - 1.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: topology NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: reads a file of the kernel; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_topology_get_node(struct ostler_topology *topology,
                                       uint32_t index,
                                       struct ostler_node_info *out);

/**
 * Describes a CPU.
 *
 * Parameters:
 * - topology: borrowed.
 * - index: 0 to cpu_count - 1.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: topology NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_topology_get_cpu(struct ostler_topology *topology,
                                      uint32_t index,
                                      struct ostler_cpu_info *out);

/**
 * Describes a cache.
 *
 * Parameters:
 * - topology: borrowed.
 * - index: 0 to cache_count - 1.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: topology NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_topology_get_cache(struct ostler_topology *topology,
                                        uint32_t index,
                                        struct ostler_cache_info *out);

/**
 * Counts the pages of one size; read from the kernel anew.
 *
 * Parameters:
 * - topology: borrowed.
 * - node_index: 0 to node_count - 1, or OSTLER_ALL_NODES.
 * - page_size_index: 0 to page_size_count - 1; 0 is the base page.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: topology NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: reads files of the kernel; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_topology_get_pages(struct ostler_topology *topology,
                                        uint32_t node_index,
                                        uint32_t page_size_index,
                                        struct ostler_page_info *out);

/**
 * Destroys a topology.
 *
 * Parameters:
 * - topology: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: topology NULL is OSTLER_OK and does nothing.
 * Blocking: waits for calls that are inside; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_topology_destroy(struct ostler_topology *topology);


/* ======================================================================
 * Page source: on which pages and which NUMA nodes memory is asked for. What is not to be had becomes the next best,
 * which the receipt tells, and a huge page that is not there is never a SIGBUS.
 * ====================================================================== */

/** Base pages, aligned and advised so that the kernel makes them huge where it can (MADV_HUGEPAGE). The default. */
#define OSTLER_PAGES_TRANSPARENT 0

/** Base pages: 4 KiB on x86-64. */
#define OSTLER_PAGES_BASE 1

/** Explicit huge pages of 2 MiB from the machine's pool (MAP_HUGETLB), populated when they are mapped. */
#define OSTLER_PAGES_2M 2

/** Explicit huge pages of 1 GiB. */
#define OSTLER_PAGES_1G 3

/** The largest that is free and not larger than what is mapped. */
#define OSTLER_PAGES_BEST 4

/** Memory comes from wherever the kernel takes it, mostly the node of the thread that touches it first. */
#define OSTLER_NODE_ANY 0

/**
 * From the node of the thread that maps it. An arena keeps the chunks of each node apart, so that every thread is given
 * memory of its own.
 */
#define OSTLER_NODE_LOCAL 1

/** From the node that ostler_page_source.node names. */
#define OSTLER_NODE_ONE 2

/** Page by page from the nodes of ostler_page_source.node_set; when that is empty, from all that this process may use. */
#define OSTLER_NODE_INTERLEAVE 3

/** From any of the nodes of ostler_page_source.node_set. */
#define OSTLER_NODE_SET 4

/** From the nodes nearest to the CPUs of ostler_page_source.cpu_set, as hwloc and the firmware tell. */
#define OSTLER_NODE_NEAREST_CPUS 5

/** From the nodes nearest to ostler_page_source.device. */
#define OSTLER_NODE_NEAREST_DEVICE 6

/** Words of a set of nodes or CPUs: number n is bit n % 64 of word n / 64. */
#define OSTLER_SET_WORDS 16

/** Bytes of the name of a device, its NUL included. */
#define OSTLER_DEVICE_BYTES 64

/** Where memory shall come from. Every object that maps memory takes one. */
typedef struct ostler_page_source {
    /** sizeof(ostler_page_source). */
    uint32_t struct_size;
    /**
     * OSTLER_PAGES_...; 0: transparent huge pages. What is not to be had becomes the next smaller, and the receipt
     * says why.
     */
    uint32_t page_policy;
    /** OSTLER_NODE_...; 0: any. */
    uint32_t node_policy;
    /**
     * The number of the node, below 1024, for OSTLER_NODE_ONE; else 0. Unless strict, a node that this process may not
     * use becomes any, and the receipt says so.
     */
    uint32_t node;
    /** 1: other pages, other nodes or fewer options than asked are an error. 0: they are told in the receipt. */
    uint32_t strict;
    /**
     * 1: pages are brought in when memory is mapped, as long as that cannot end in an out-of-memory kill. 0: when
     * they are touched; explicit huge pages always are when memory is mapped, and so is what can only be placed by first
     * touch because memory policies are refused. Much is brought in by several threads, which end before the call does.
     */
    uint32_t prefault;
    /** 1: pages stay in memory once they are there (mlock2, within RLIMIT_MEMLOCK). Explicit huge pages always do. */
    uint32_t lock;
    /** 1: on either side of each mapping is a page that nobody may touch. */
    uint32_t guard;
    /** 1: a forked child does not get the memory (MADV_DONTFORK). Explicit huge pages it never gets. */
    uint32_t exclude_fork;
    /** 1: core dumps do not have the memory (MADV_DONTDUMP). */
    uint32_t exclude_dump;
    /**
     * Nodes, for OSTLER_NODE_SET and OSTLER_NODE_INTERLEAVE; else empty. Unless strict, nodes that this process may not
     * use are left out.
     */
    uint64_t node_set[OSTLER_SET_WORDS];
    /** CPUs, for OSTLER_NODE_NEAREST_CPUS; else empty. */
    uint64_t cpu_set[OSTLER_SET_WORDS];
    /**
     * For OSTLER_NODE_NEAREST_DEVICE: its address on the PCI bus ("0000:3b:00.0"), or its class and name ("net/eth0",
     * "nvme/nvme0", as in /sys/class), NUL-terminated; else empty.
     */
    char device[OSTLER_DEVICE_BYTES];
} ostler_page_source;

/**
 * Fills a page source with the defaults.
 *
 * Parameters:
 * - source: written only on success.
 * - struct_size: sizeof(ostler_page_source).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: source must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_page_source_init(struct ostler_page_source *source, uint32_t struct_size);


/* ======================================================================
 * Advice: what a page source would get now, before anything is mapped, and which setting with which value would give
 * it more.
 * ====================================================================== */

/** Obstacles that an advice lists. */
#define OSTLER_ADVICE_OBSTACLES 8

/** Bytes of the name of a setting, its NUL included. */
#define OSTLER_SETTING_BYTES 160

/** Bytes of the value of a setting, its NUL included. */
#define OSTLER_VALUE_BYTES 48

/** Something that stands in the way of what was asked, and what would clear it. */
typedef struct ostler_obstacle {
    /** OSTLER_PAGES_... that it is about. */
    uint32_t page_policy;
    /** OSTLER_LIMIT_...: what stands in the way. */
    uint32_t limit;
    /** What the kernel said when it was asked; 0 where it is arithmetic. */
    int32_t os_errno;
    /** 0. */
    uint32_t reserved;
    /** Bytes that would be taken. */
    uint64_t wanted_bytes;
    /** Bytes that are there to be taken, where the limit lies. */
    uint64_t left_bytes;
    /**
     * What to set: a file of the kernel's, a resource limit, a capability, or "bytes" for a larger request; empty when
     * nothing is known that could be set.
     */
    char setting[OSTLER_SETTING_BYTES];
    /** To what. */
    char value[OSTLER_VALUE_BYTES];
    /** The field of a Kubernetes pod that does the same; empty: none. */
    char pod_field[OSTLER_VALUE_BYTES];
} ostler_obstacle;

/** What a page source would get now. */
typedef struct ostler_advice {
    /** sizeof(ostler_advice), set by the caller. */
    uint32_t struct_size;
    /** 1: the request would be honoured, as the rest says. 0: it would fail. */
    uint32_t holds;
    /** OSTLER_PAGES_... that would be got. */
    uint32_t page_policy;
    /** OSTLER_NODE_... that would place it, by what placed_by says. */
    uint32_t node_policy;
    /** Bytes of one page that would be got. */
    uint64_t page_bytes;
    /** Bytes that would be mapped, in whole pages. */
    uint64_t mapped_bytes;
    /** The nodes that node_policy stands for; empty: any. */
    uint64_t node_set[OSTLER_SET_WORDS];
    /** Obstacles that are listed, larger pages first. */
    uint32_t obstacle_count;
    /**
     * OSTLER_PLACED_BY_...: by what means pages would come to their nodes. By first touch they are brought in when
     * memory is mapped, with or without prefault.
     */
    uint32_t placed_by;
    /** In the way of what was asked. */
    struct ostler_obstacle obstacles[OSTLER_ADVICE_OBSTACLES];
} ostler_advice;

/**
 * Tells what a mapping of so many bytes would get now, and what stands in the way of more. Maps nothing. What is free
 * may be gone by the time it is asked for; the receipt of the real mapping says what became of it.
 *
 * Parameters:
 * - source: borrowed during the call.
 * - size_bytes: at least 1; what an arena maps at once is its chunk_bytes.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: source may be NULL, which takes every default; out must not be NULL.
 * Blocking: reads files of the kernel, waits for nothing else; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_page_source_advise(const ostler_page_source *source,
                                        uint64_t size_bytes,
                                        struct ostler_advice *out);

/**
 * Writes the same for people: what would be got, and below it each obstacle with the setting that would clear it.
 *
 * Parameters:
 * - source: borrowed during the call.
 * - size_bytes: at least 1.
 * - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
 * - buffer_bytes: its size; 0 writes nothing.
 * - needed_bytes: written only on success, else 0: the size that the whole text needs, its NUL included.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: source may be NULL; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
 * Blocking: reads files of the kernel, waits for nothing else; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_page_source_print_advice(const ostler_page_source *source,
                                              uint64_t size_bytes,
                                              char *buffer,
                                              uint64_t buffer_bytes,
                                              uint64_t *needed_bytes);


/* ======================================================================
 * Arena: memory in chunks that many threads allocate from and that are given back all at once.
 * ====================================================================== */

/** Each chunk is as large as the first. The default. */
#define OSTLER_GROWTH_FIXED 0

/** Each chunk is as large as all that is mapped already, up to max_chunk_bytes. */
#define OSTLER_GROWTH_DOUBLE 1

/** One chunk, or the adopted memory, is all there ever is; more is OSTLER_E_LIMIT. */
#define OSTLER_GROWTH_NONE 2

/**
 * Where AddressSanitizer or valgrind watches the program, memory that is not allocated is poisoned, with 16 bytes
 * between blocks, so that they report a use after a reset or rewind, and an overrun. The default; without them it
 * costs nothing.
 */
#define OSTLER_POISON_WATCHED 0

/** Never. */
#define OSTLER_POISON_NEVER 1

/**
 * Also without such a tool: memory that a reset or rewind frees is overwritten with bytes of 0xef. Inline cursors call
 * the library then.
 */
#define OSTLER_POISON_ALWAYS 2

/** A reset keeps the pages for what comes next; no system call. */
#define OSTLER_RESET_KEEP_PAGES 0

/** A reset gives every page back to the system. */
#define OSTLER_RESET_RETURN_PAGES 1

/** Memory on the pages and the node asked for, shared by many threads and given back all at once. */
typedef struct ostler_arena ostler_arena;

/** How an arena gets its memory. */
typedef struct ostler_arena_config {
    /** sizeof(ostler_arena_config). */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /**
     * What memory the arena is made of; borrowed while the arena is created; NULL: the defaults of
     * ostler_page_source_init.
     */
    const ostler_page_source *source;
    /**
     * Bytes mapped at once; 65536 to 1 TiB, rounded up to the page size got; 0: 2 MiB. A larger allocation gets a
     * larger chunk.
     */
    uint64_t chunk_bytes;
    /** Mapped bytes never exceed this, so chunks may be smaller than chunk_bytes; at least 65536; 0: no limit. */
    uint64_t limit_bytes;
    /** Shown in reports and in the kernel's list of mappings. */
    char name[OSTLER_NAME_BYTES];
    /** OSTLER_GROWTH_...; 0: every chunk has chunk_bytes. */
    uint32_t growth;
    /** OSTLER_POISON_...; 0: where a tool watches. */
    uint32_t poison;
    /**
     * The largest chunk that OSTLER_GROWTH_DOUBLE comes to, chunk_bytes to 1 TiB; 0: 64 MiB, or chunk_bytes where that
     * is more. Else 0.
     */
    uint64_t max_chunk_bytes;
    /**
     * Memory of the caller's that becomes the first chunk, instead of one that is mapped: a buffer on the stack, or
     * what another allocator gave. It must stay until the arena's memory goes; NULL: none. See ostler_arena_adopt.
     */
    void *memory;
    /** Its bytes; at least 4096; 0 when memory is NULL. */
    uint64_t memory_bytes;
} ostler_arena_config;

/** What an arena holds and did. */
typedef struct ostler_arena_stats {
    /** sizeof(ostler_arena_stats), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Chunks that are mapped, those that a reset kept included. */
    uint64_t chunks;
    /** Their bytes. */
    uint64_t mapped_bytes;
    /**
     * Bytes handed out since the last reset or the mark last rewound to: rounding included, and regions that threads
     * have taken counted whole.
     */
    uint64_t used_bytes;
    /** The most that used_bytes ever was. */
    uint64_t peak_used_bytes;
    /** Cursors that are open now. */
    uint64_t cursors_open;
    /** How often a thread took a region. */
    uint64_t refills;
    /** Calls of ostler_arena_reset. */
    uint64_t resets;
    /** Calls of ostler_arena_rewind that succeeded. */
    uint64_t rewinds;
    /** Chunks that got smaller pages or another node policy than asked. */
    uint64_t step_downs;
    /** Bytes of chunks that are the caller's memory; not in mapped_bytes. */
    uint64_t adopted_bytes;
    /** Mapped bytes of chunks that are empty and kept for later: what ostler_arena_trim can give back. */
    uint64_t kept_bytes;
    /**
     * With OSTLER_NODE_LOCAL: how often a thread took from the chunk of another node, because nothing more could be mapped
     * on its own.
     */
    uint64_t strays;
} ostler_arena_stats;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_arena_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_config_init(struct ostler_arena_config *config, uint32_t struct_size);

/**
 * Makes an arena and maps its first chunk.
 *
 * Parameters:
 * - config: borrowed during the call.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_arena_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_MEMORY_PRESSURE, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL, which takes every default; out must not be NULL.
 * Blocking: as long as the kernel takes to map the chunk and bring in its pages; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_create(const struct ostler_arena_config *config,
                                  struct ostler_arena **out);

/**
 * Allocates memory that stays until the arena is rewound, reset or destroyed. Each thread takes from a region of its
 * own. The memory is zero when its pages are new, and holds whatever was there after a reset or rewind.
 *
 * Parameters:
 * - arena: borrowed.
 * - size_bytes: 0 gives an address of its own, too.
 * - align_bytes: a power of two of at most 2 MiB; 0: 16.
 * - out: written only on success, else NULL; belongs to the arena.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE,
 * OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_alloc(struct ostler_arena *arena,
                                 uint64_t size_bytes,
                                 uint64_t align_bytes,
                                 void **out);

/**
 * Gives the arena memory of the caller's to hand out, beside what it maps. It is used before more is mapped, counts
 * for no limit, and is never given back before the arena's memory goes: with ostler_arena_destroy, or with the last
 * cursor after it. From then on it is the caller's again.
 *
 * Parameters:
 * - arena: borrowed.
 * - memory: borrowed until the arena's memory goes; nobody else may use it meanwhile.
 * - memory_bytes: at least 4096.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; memory must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_adopt(struct ostler_arena *arena,
                                 void *memory,
                                 uint64_t memory_bytes);

/**
 * Gives chunks back to the system that are empty and kept for later. Under memory pressure the governor does the same
 * by itself.
 *
 * Parameters:
 * - arena: borrowed.
 * - keep_bytes: at most so many stay; 0: none.
 * - given_back_bytes: written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; given_back_bytes may be NULL.
 * Blocking: as long as the kernel takes to unmap; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_trim(struct ostler_arena *arena,
                                uint64_t keep_bytes,
                                uint64_t *given_back_bytes);

/**
 * Frees everything that was allocated. Marks become stale; cursors stay open.
 *
 * Parameters:
 * - arena: borrowed.
 * - mode: OSTLER_RESET_KEEP_PAGES or OSTLER_RESET_RETURN_PAGES.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no other thread may allocate from the arena or its cursors meanwhile.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_reset(struct ostler_arena *arena,
                                 uint32_t mode);

/**
 * Tells what the arena holds and did.
 *
 * Parameters:
 * - arena: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_get_stats(struct ostler_arena *arena,
                                     struct ostler_arena_stats *out);

/**
 * Takes no new work, and waits until every cursor is closed. A cursor's region can still be used up meanwhile. The
 * arena's memory stays until ostler_arena_destroy.
 *
 * Parameters:
 * - arena: borrowed.
 * - timeout_ns: nanoseconds; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait from another thread.
 * - still_out: written; how many cursors are open, also after OSTLER_E_TIMEOUT and OSTLER_E_CANCELLED; else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_TIMEOUT,
 * OSTLER_E_CANCELLED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
 * Blocking: waits as said; OSTLER_E_CLOSED when the arena is destroyed meanwhile with cursors still open.
 * Since: 0.1
 */
ostler_status ostler_arena_close(struct ostler_arena *arena,
                                 uint64_t timeout_ns,
                                 ostler_cancel *cancel,
                                 uint64_t *still_out);

/**
 * Destroys an arena. With cursors still open its memory stays until the last of them is closed; they give
 * OSTLER_E_CLOSED from now on.
 *
 * Parameters:
 * - arena: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no other thread may allocate through one of its cursors meanwhile; other calls are
 * waited for.
 * NULL: arena NULL is OSTLER_OK and does nothing.
 * Blocking: ends the waits inside, and waits for those calls to return; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_destroy(struct ostler_arena *arena);


/* ======================================================================
 * Mark: a moment of an arena or of a cursor, to which it can be rewound.
 * ====================================================================== */

/** A moment of an arena or of a cursor, which it can be rewound to. A value: copied freely, never freed. */
typedef struct ostler_mark {
    /** The arena's handle, or the cursor's address. */
    uint64_t owner;
    /** Which of its marks; never used again. */
    uint64_t serial;
} ostler_mark;

/**
 * Remembers this moment of an arena. The marks of its cursors are stale from then on.
 *
 * Parameters:
 * - arena: borrowed.
 * - out: written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no other thread may allocate from the arena or its cursors meanwhile.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_mark(ostler_arena *arena,
                                struct ostler_mark *out);

/**
 * Frees everything that was allocated since a mark. The mark stays valid, later ones and those of cursors become stale;
 * pages are kept.
 *
 * Parameters:
 * - arena: borrowed.
 * - mark: borrowed during the call.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_STALE_MARK, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no other thread may allocate from the arena or its cursors meanwhile.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; mark must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_rewind(ostler_arena *arena,
                                  const struct ostler_mark *mark);


/* ======================================================================
 * Hand-over: an arena, or a region of it, goes from one owner to another, a thread or a worker, without a copy: what it
 * holds stays at its addresses, and the account that pays for it goes along.
 * ====================================================================== */

/**
 * Hands an arena over: everything that it holds is from now on behind a new handle, for whoever is given that, and the
 * giver's handle is invalid, so that it cannot be used by mistake. Memory stays where it is, the account goes along;
 * marks become stale.
 *
 * Parameters:
 * - arena: owned; invalid afterwards, unless the call failed.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_arena_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_BUSY (cursors are open: whoever gives an arena away keeps no way into it), OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_LIMIT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no other thread may allocate from the arena meanwhile; other calls are waited for.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: waits for other calls on the arena to return; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_hand_over(ostler_arena *arena,
                                     ostler_arena **out);

/**
 * Begins a region of an arena: what is allocated from now on lies in chunks of its own, which can be handed over by
 * themselves. The mark is one to rewind to as well.
 *
 * Parameters:
 * - arena: borrowed.
 * - out: written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no other thread may allocate from the arena or its cursors meanwhile.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_begin_region(ostler_arena *arena,
                                        ostler_mark *out);

/**
 * Hands a region over: everything that was allocated since its beginning moves into another arena, at the same
 * addresses, and goes with that arena's reset. The bytes of its chunks count for that arena's limit and account; the
 * mark, and those made after it, become stale.
 *
 * Parameters:
 * - arena: borrowed.
 * - region: borrowed during the call; what ostler_arena_begin_region of this arena gave.
 * - into: borrowed; another arena.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (the mark begins no region, or into is the same arena),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_STALE_MARK, OSTLER_E_LIMIT (that of into),
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no other thread may allocate from either arena or their cursors meanwhile.
 * NULL: arena NULL or into NULL is OSTLER_E_INVALID_HANDLE; region must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_hand_over_region(ostler_arena *arena,
                                            const ostler_mark *region,
                                            ostler_arena *into);


/* ======================================================================
 * Heap: blocks of any size on the pages and the node asked for, each given back by itself, by any thread.
 *
 * The address of a block never changes; what shall be moved is a block of its own kind, see ostler_heap_alloc_block.
 * Freeing one twice, or an address that the heap did not give out, is found at the call; a checked heap also finds what was
 * written beside a block.
 * ====================================================================== */

/** Blocks of any size, allocated and freed one by one by many threads. */
typedef struct ostler_heap ostler_heap;

/** How a heap gets its memory, and how closely it looks. */
typedef struct ostler_heap_config {
    /** sizeof(ostler_heap_config). */
    uint32_t struct_size;
    /**
     * 1: guards surround each block, and are looked at when it is freed or resized and by ostler_heap_check; each block
     * remembers where it was asked for; every call takes the heap's lock, and a block costs 32 bytes more. 0: only
     * addresses are checked.
     */
    uint32_t checked;
    /** 1: the heap maps nothing; it has what ostler_heap_adopt gives it. 0: it maps chunks as it needs them. */
    uint32_t adopted_only;
    /** 0. */
    uint32_t reserved;
    /**
     * What memory the heap is made of; borrowed while the heap is created; NULL: the defaults of
     * ostler_page_source_init.
     */
    const ostler_page_source *source;
    /**
     * Bytes mapped at once; 65536 to 64 GiB, rounded up to the page size got; 0: 2 MiB. A larger block gets a
     * larger chunk, which goes back when nothing lies in it any more, at the latest with the next ostler_heap_trim.
     */
    uint64_t chunk_bytes;
    /** Mapped bytes never exceed this, so chunks may be smaller than chunk_bytes; at least 65536; 0: no limit. */
    uint64_t limit_bytes;
    /** Shown in reports and in the kernel's list of mappings. */
    char name[OSTLER_NAME_BYTES];
} ostler_heap_config;

/** A block that is out. */
typedef struct ostler_heap_block {
    /** Where it begins. */
    uint64_t address;
    /** Bytes that were asked for. */
    uint64_t requested_bytes;
    /** Bytes that it takes. */
    uint64_t used_bytes;
    /** Where it was asked for, in a checked heap while tracing is on; else 0. */
    uint32_t call_site;
    /** 1: it is reached through a handle, and may be elsewhere soon. */
    uint32_t is_movable;
} ostler_heap_block;

/**
 * What a heap holds and did. used_bytes + cached_bytes + free_bytes + returned_bytes + tag_bytes are all its memory,
 * but for a rest of less than 64 bytes in each chunk.
 */
typedef struct ostler_heap_stats {
    /** sizeof(ostler_heap_stats), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Chunks, mapped and adopted. */
    uint64_t chunks;
    /** Bytes mapped: with returned_bytes left out what the governor is charged for. */
    uint64_t mapped_bytes;
    /** The most that mapped_bytes ever was. */
    uint64_t peak_mapped_bytes;
    /** Bytes adopted. */
    uint64_t adopted_bytes;
    /** Mapped bytes that have memory behind them now. */
    uint64_t resident_bytes;
    /** Blocks that are out. */
    uint64_t blocks;
    /** Those of them that are reached through a handle. */
    uint64_t movable_blocks;
    /** Bytes that were asked for with them. */
    uint64_t requested_bytes;
    /** Bytes that they take, rounding and guards included; the difference is waste. */
    uint64_t used_bytes;
    /** Bytes that are free, and at hand for one thread. */
    uint64_t cached_bytes;
    /** Bytes that are free for all. */
    uint64_t free_bytes;
    /** The pieces that those lie in. */
    uint64_t free_blocks;
    /** The largest of them. */
    uint64_t largest_free_bytes;
    /** Bytes of the tags that say what memory is used for, one for each 16. */
    uint64_t tag_bytes;
    /** Allocations that ever succeeded. */
    uint64_t allocations;
    /** How often somebody had written to free memory, so that its lists were made anew. */
    uint64_t repairs;
    /** Chunks that got smaller pages or another node policy than asked. */
    uint64_t step_downs;
    /**
     * Mapped bytes that a compaction gave back page by page: free, with no memory behind them, and charged to nobody until
     * they are used again.
     */
    uint64_t returned_bytes;
} ostler_heap_stats;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_heap_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_config_init(struct ostler_heap_config *config, uint32_t struct_size);

/**
 * Makes a heap and maps its first chunk.
 *
 * Parameters:
 * - config: borrowed during the call.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_heap_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
 * OSTLER_E_MEMORY_PRESSURE, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL, which takes every default; out must not be NULL.
 * Blocking: as long as the kernel takes to map the chunk and bring in its pages; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_create(const struct ostler_heap_config *config,
                                 struct ostler_heap **out);

/**
 * Allocates a block. Up to 2048 bytes it mostly is one that this thread has at hand. It holds whatever was there.
 *
 * Parameters:
 * - heap: borrowed.
 * - size_bytes: 0 gives an address of its own, too.
 * - align_bytes: a power of two of at most 2 MiB; 0: 16.
 * - out: written only on success, else NULL; ends with ostler_heap_free, or with the heap.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_PAGES_UNAVAILABLE,
 * OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_alloc(struct ostler_heap *heap,
                                uint64_t size_bytes,
                                uint64_t align_bytes,
                                void **out);

/**
 * Gives a block back, on whatever thread. In a checked heap a block that was overrun stays as it is, to be looked at.
 *
 * Parameters:
 * - heap: borrowed, also when it is closed.
 * - address: owned; where ostler_heap_alloc or ostler_heap_resize said that the block begins; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_FOREIGN_POINTER, OSTLER_E_DOUBLE_FREE, OSTLER_E_OVERRUN, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Only a checked heap finds one block freed by two threads at the same moment.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; address NULL is OSTLER_OK and does nothing.
 * Blocking: now and then as long as the kernel takes to give a large chunk back; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_free(struct ostler_heap *heap,
                               void *address);

/**
 * Gives a block another size: where it is, if what lies behind it is free or it becomes smaller, else elsewhere. What it
 * held stays, as far as it fits. After a failure the block is as it was.
 *
 * Parameters:
 * - heap: borrowed.
 * - address: owned; where the block begins; invalid after a success that moved it.
 * - size_bytes: 0 gives an address of its own, too.
 * - align_bytes: a power of two of at most 2 MiB; 0: 16.
 * - out: written only on success, else NULL; where the block begins now.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FOREIGN_POINTER, OSTLER_E_DOUBLE_FREE, OSTLER_E_OVERRUN,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
 * OSTLER_E_MEMORY_PRESSURE, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; address and out must not be NULL.
 * Blocking: as long as it takes to copy, now and then as long as the kernel takes to map a chunk; may be called from any
 * callback.
 * Since: 0.1
 */
ostler_status ostler_heap_resize(struct ostler_heap *heap,
                                 void *address,
                                 uint64_t size_bytes,
                                 uint64_t align_bytes,
                                 void **out);

/**
 * Tells how many bytes a block has room for: at least those that were asked for, and in a checked heap no more.
 *
 * Parameters:
 * - heap: borrowed, also when it is closed.
 * - address: borrowed; where the block begins.
 * - out: written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FOREIGN_POINTER, OSTLER_E_DOUBLE_FREE, OSTLER_E_OVERRUN,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; address and out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_get_usable_bytes(struct ostler_heap *heap,
                                           void *address,
                                           uint64_t *out);

/**
 * Has the heap use memory of the host's, too. It may be any memory that can be read and written; about a 17th of it is for
 * the heap's own tags.
 *
 * Parameters:
 * - heap: borrowed.
 * - memory: borrowed until the heap is gone; nobody else uses it meanwhile.
 * - memory_bytes: 4096 to 64 GiB.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; memory must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_adopt(struct ostler_heap *heap,
                                void *memory,
                                uint64_t memory_bytes);

/**
 * Gives chunks back to the system in which nothing lies. What threads have at hand is taken back first. Adopted memory
 * stays.
 *
 * Parameters:
 * - heap: borrowed.
 * - keep_bytes: as many mapped bytes are kept; 0 keeps no empty chunk.
 * - returned_bytes: written only on success, else 0: bytes that were given back.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; returned_bytes may be NULL.
 * Blocking: as long as the kernel takes to unmap; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_trim(struct ostler_heap *heap,
                               uint64_t keep_bytes,
                               uint64_t *returned_bytes);

/**
 * Looks at the guards of every block of a checked heap. In another one it looks at nothing.
 *
 * Parameters:
 * - heap: borrowed, also when it is closed.
 *
 * Returns: OSTLER_OK, OSTLER_E_OVERRUN (the message names the first such block, its size, and where it was written),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: holds up other calls for as long as it takes to look; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_check(struct ostler_heap *heap);

/**
 * Lists the blocks that are out, lowest address first: for a report of what leaked. A long list is read in pieces: each
 * call goes on behind the last address of the one before.
 *
 * Parameters:
 * - heap: borrowed, also when it is closed.
 * - behind: only blocks at higher addresses are listed; 0: from the first.
 * - blocks: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
 * - capacity: its elements; 0 only counts.
 * - count: written; how many blocks are out behind that address, which may be more than capacity; 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; blocks may be NULL when capacity is 0; count must not be NULL.
 * Blocking: holds up other calls for as long as it takes to look; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_list_blocks(struct ostler_heap *heap,
                                      uint64_t behind,
                                      struct ostler_heap_block *blocks,
                                      uint64_t capacity,
                                      uint64_t *count);

/**
 * Tells what the heap holds and did.
 *
 * Parameters:
 * - heap: borrowed, also when it is closed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. While other threads allocate and free, the numbers are of about the same moment.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell what is resident; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_get_stats(struct ostler_heap *heap,
                                    struct ostler_heap_stats *out);

/**
 * Takes no new work, and waits until every block is given back. The heap's memory stays until ostler_heap_destroy.
 *
 * Parameters:
 * - heap: borrowed.
 * - timeout_ns: nanoseconds; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait from another thread.
 * - still_out: written; how many blocks are out, also after OSTLER_E_TIMEOUT and OSTLER_E_CANCELLED; else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_TIMEOUT,
 * OSTLER_E_CANCELLED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
 * Blocking: waits as said; OSTLER_E_CLOSED when the heap is destroyed meanwhile with blocks still out.
 * Since: 0.1
 */
ostler_status ostler_heap_close(struct ostler_heap *heap,
                                uint64_t timeout_ns,
                                ostler_cancel *cancel,
                                uint64_t *still_out);

/**
 * Destroys a heap with all its blocks. Its memory goes back to the system, or to the host that lent it: at once, or when
 * no movable block is pinned any more.
 *
 * Parameters:
 * - heap: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: nobody may use one of its blocks meanwhile; other calls are waited for.
 * NULL: heap NULL is OSTLER_OK and does nothing.
 * Blocking: ends the waits inside, and waits for those calls to return; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_destroy(struct ostler_heap *heap);


/* ======================================================================
 * Many blocks of a heap in one call.
 * ====================================================================== */

/**
 * Allocates many blocks of one size at once, or none.
 *
 * Parameters:
 * - heap: borrowed.
 * - size_bytes: of each; 0 gives addresses of their own, too.
 * - align_bytes: a power of two of at most 2 MiB; 0: 16.
 * - count: how many; 0 does nothing; at most 1048576.
 * - addresses: written; an array of count blocks on success, which end as those of ostler_heap_alloc do, else of NULLs.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_PAGES_UNAVAILABLE,
 * OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; addresses (unless count is 0) must not be NULL.
 * Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_alloc_n(ostler_heap *heap,
                                  uint64_t size_bytes,
                                  uint64_t align_bytes,
                                  uint32_t count,
                                  void **addresses);

/**
 * Gives many blocks back, on whatever thread. Those that can be freed are, also when another one cannot.
 *
 * Parameters:
 * - heap: borrowed, also when it is closed.
 * - addresses: borrowed during the call; an array of count blocks of this heap, none of them twice; each as for
 *   ostler_heap_free, also NULL, which counts as freed.
 * - count: how many; 0 does nothing; at most 1048576.
 * - freed: written; how many were freed, also after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_FOREIGN_POINTER, OSTLER_E_DOUBLE_FREE, OSTLER_E_OVERRUN (these of the first that cannot
 * be freed, which the message names by its place in the array), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Only a checked heap finds one block freed by two threads at the same moment.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; addresses (unless count is 0) must not be NULL; freed may be NULL.
 * Blocking: now and then as long as the kernel takes to give large chunks back; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_free_n(ostler_heap *heap,
                                 void *const *addresses,
                                 uint32_t count,
                                 uint32_t *freed);


/* ======================================================================
 * Block: a block of a heap that is reached through a handle, so that it can be moved while nobody has it pinned.
 *
 * An address that was given out cannot change, so a heap that has many of them stays as scattered as it is. What is
 * reached through a handle is pinned while it is used, and can be moved otherwise.
 * ====================================================================== */

/** Names a movable block. A value of 0 is never a block. */
typedef struct ostler_block {
    uint64_t value;
} ostler_block;

/** What a movable block is. */
typedef struct ostler_block_info {
    /** sizeof(ostler_block_info), set by the caller. */
    uint32_t struct_size;
    /** How often it is pinned now. */
    uint32_t pins;
    /** Bytes that were asked for. */
    uint64_t requested_bytes;
    /** Bytes that it takes. */
    uint64_t used_bytes;
} ostler_block_info;

/** What a compaction did. */
typedef struct ostler_heap_compaction {
    /** sizeof(ostler_heap_compaction), set by the caller. */
    uint32_t struct_size;
    /** Before it: of the free bytes, how many millionths did not lie in the largest gap of their chunk. */
    uint32_t fragmentation_before_ppm;
    /** The same after it. */
    uint32_t fragmentation_after_ppm;
    /** 0. */
    uint32_t reserved;
    /** Blocks that were moved; one may be moved twice. */
    uint64_t moved_blocks;
    /** Their bytes. */
    uint64_t moved_bytes;
    /** Bytes given back to the system, for which nobody is charged any more: chunks, and whole pages of others. */
    uint64_t returned_bytes;
    /** Chunks given back. */
    uint64_t returned_chunks;
} ostler_heap_compaction;

/**
 * Allocates a block that can be moved while nobody has it pinned. It takes at least 112 bytes.
 *
 * Parameters:
 * - heap: borrowed.
 * - size_bytes: 0 gives a block, too.
 * - align_bytes: a power of two of at most 2 MiB, wherever the block is moved to; 0: 16.
 * - out: written only on success, else 0; ends with ostler_heap_free_block, or with the heap.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_PAGES_UNAVAILABLE,
 * OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_alloc_block(ostler_heap *heap,
                                      uint64_t size_bytes,
                                      uint64_t align_bytes,
                                      struct ostler_block *out);

/**
 * Pins a block: until it was unpinned as often as it was pinned it lies at one address.
 *
 * Parameters:
 * - heap: borrowed.
 * - block: stays valid.
 * - address: written only on success, else NULL; valid until the last unpin.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BLOCK, OSTLER_E_LIMIT (16777213 pins), OSTLER_E_INVALID_ARGUMENT,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; address must not be NULL.
 * Blocking: as long as a compaction of its chunk takes, if one is about to move it; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_pin(ostler_heap *heap,
                              struct ostler_block block,
                              void **address);

/**
 * Ends one pin of a block. The last one of a destroyed heap gives its memory back.
 *
 * Parameters:
 * - heap: borrowed, also when it was destroyed.
 * - block: stays valid.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BLOCK, OSTLER_E_INVALID_ARGUMENT (it is not pinned), OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe; any thread may unpin.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_unpin(ostler_heap *heap,
                                struct ostler_block block);

/**
 * Gives a block that nobody has pinned another size. What it held stays, as far as it fits. After a failure the block is
 * as it was.
 *
 * Parameters:
 * - heap: borrowed.
 * - block: stays valid.
 * - size_bytes: 0 leaves a block, too.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BLOCK, OSTLER_E_BUSY (it is pinned), OSTLER_E_OVERRUN, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_MEMORY_PRESSURE,
 * OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as it takes to copy, now and then as long as the kernel takes to map a chunk; may be called from any
 * callback.
 * Since: 0.1
 */
ostler_status ostler_heap_resize_block(ostler_heap *heap,
                                       struct ostler_block block,
                                       uint64_t size_bytes);

/**
 * Gives a block back that nobody has pinned.
 *
 * Parameters:
 * - heap: borrowed, also when it is closed.
 * - block: consumed.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BLOCK, OSTLER_E_BUSY (it is pinned), OSTLER_E_OVERRUN, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: now and then as long as the kernel takes to give a large chunk back; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_free_block(ostler_heap *heap,
                                     struct ostler_block block);

/**
 * Tells how large a block is, and how often it is pinned.
 *
 * Parameters:
 * - heap: borrowed, also when it is closed.
 * - block: stays valid.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BLOCK, OSTLER_E_OVERRUN, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_get_block_info(ostler_heap *heap,
                                         struct ostler_block block,
                                         struct ostler_block_info *out);

/**
 * Slides movable blocks that nobody has pinned together, moves those of the emptiest chunks into others, and gives what
 * is then free in whole chunks and pages back to the system; while another thread maps memory for the heap, pages may
 * stay. The governor does the same when memory runs short. Blocks that are pinned, or were given out by their address,
 * stay where they are.
 *
 * Parameters:
 * - heap: borrowed.
 * - most_bytes: moves at most so many bytes; 0: as many as it takes.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: holds up other calls for as long as one chunk at a time takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_compact(ostler_heap *heap,
                                  uint64_t most_bytes,
                                  struct ostler_heap_compaction *out);


/* ======================================================================
 * Slab: many objects of one size, side by side on the pages asked for, got and put one by one from any thread. There are
 * never more than a bound, and what is no slot, or is not out, is told when it is put.
 * ====================================================================== */

/** Slots of one size for objects that come and go, shared by many threads. */
typedef struct ostler_slab ostler_slab;


/* ======================================================================
 * What a slab is told when it is made: its slots, and the memory that they lie in.
 * ====================================================================== */

/** What a slab is asked to be. */
typedef struct ostler_slab_config {
    /** sizeof(ostler_slab_config). */
    uint32_t struct_size;
    /** 1: every call looks exactly, no slot is used again before others have been, and inline calls go into the library. */
    uint32_t checked;
    /**
     * What memory the slab is made of; borrowed while the slab is created; NULL: the defaults of
     * ostler_page_source_init.
     */
    const ostler_page_source *source;
    /** Bytes of an object; 1 to 1 GiB, rounded up to align_bytes. From one slot to the next there is nothing else. */
    uint64_t slot_bytes;
    /** What each slot is aligned to, a power of two of at most 2 MiB; 0: the largest that divides slot_bytes, at most 64. */
    uint64_t align_bytes;
    /** Most slots that there ever are, at most 67108864; 0: 65536. Address space for all of them is reserved at once. */
    uint64_t max_slots;
    /** Slots whose memory is there from the beginning and is kept at a trim; at most max_slots; 0: those of one chunk. */
    uint64_t initial_slots;
    /** Bytes mapped at once; 65536 to 1 TiB, rounded up to the page size; 0: 2 MiB. At least one slot, at most max_slots. */
    uint64_t chunk_bytes;
    /** Slots that a magazine holds; 2 to 128; 0: 128. Half of them move at once. */
    uint32_t magazine_slots;
    /** 0. */
    uint32_t reserved;
    /** Shown in reports and in the kernel's list of mappings. */
    char name[OSTLER_NAME_BYTES];
} ostler_slab_config;

/**
 * Fills a configuration with the defaults. There is none for slot_bytes.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_slab_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_config_init(struct ostler_slab_config *config, uint32_t struct_size);


/* ======================================================================
 * What the host does for a slab: it makes what lies in the slots, cleans it and ends it.
 * ====================================================================== */

/**
 * What the host does with the memory of a slot. Each may be NULL, and gets user_data first. None is called with a lock
 * held, so all may call the library, also for this slab.
 */
typedef struct ostler_slab_callbacks {
    /** sizeof(ostler_slab_callbacks). */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /**
     * Makes what lies in a slot, on the thread that gets it, before it is given out for the first time. What it made
     * stays there from one use to the next. Answers OSTLER_OK, or any other status when it cannot; then the get fails
     * with OSTLER_E_CALLBACK_FAILED and the slot stays free.
     */
    ostler_status (*create)(void *user_data, void *slot);
    /**
     * Cleans it, on the thread that puts the slot. After any other status than OSTLER_OK it is destroyed, and made anew
     * when the slot is next wanted. With a reset every put is a call, also an inline one.
     */
    ostler_status (*reset)(void *user_data, void *slot);
    /** Ends what create made, before the memory of the slot is given back. */
    void (*destroy)(void *user_data, void *slot);
} ostler_slab_callbacks;

/**
 * Empties a table of callbacks.
 *
 * Parameters:
 * - callbacks: written only on success.
 * - struct_size: sizeof(ostler_slab_callbacks).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: callbacks must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_callbacks_init(struct ostler_slab_callbacks *callbacks, uint32_t struct_size);


/* ======================================================================
 * The life of a slab: made, closed, destroyed.
 * ====================================================================== */

/**
 * Makes a slab, reserves the address space for every slot, and maps the first chunks.
 *
 * Parameters:
 * - config: borrowed during the call.
 * - callbacks: borrowed during the call.
 * - user_data: handed to every callback; must stay valid until the slab is destroyed and the last slot is put.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_slab_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
 * OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: callbacks may be NULL, which is none; user_data may be NULL; config and out must not be NULL.
 * Blocking: as long as the kernel takes to map the chunks and bring in their pages; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_create(const ostler_slab_config *config,
                                 const ostler_slab_callbacks *callbacks,
                                 void *user_data,
                                 ostler_slab **out);

/**
 * Gives nothing out any more, and waits until every slot is put. The slab's memory stays until ostler_slab_destroy.
 *
 * Parameters:
 * - slab: borrowed.
 * - timeout_ns: nanoseconds; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait from another thread.
 * - still_out: written; how many slots are out, also after OSTLER_E_TIMEOUT and OSTLER_E_CANCELLED; else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_TIMEOUT,
 * OSTLER_E_CANCELLED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
 * Blocking: waits as said; OSTLER_E_CLOSED when the slab is destroyed meanwhile with slots still out.
 * Since: 0.1
 */
ostler_status ostler_slab_close(ostler_slab *slab,
                                uint64_t timeout_ns,
                                ostler_cancel *cancel,
                                uint64_t *still_out);

/**
 * Destroys a slab. What create made is destroyed in every slot that is free. With slots still out, or magazines open, the
 * memory stays until the last is put and closed; each slot is then destroyed when it is put.
 *
 * Parameters:
 * - slab: owned; invalid afterwards, except for putting its slots and closing its magazines.
 *
 * Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no other thread may be inside an inline call of one of its magazines; other calls are waited
 * for.
 * NULL: slab NULL is OSTLER_OK and does nothing.
 * Blocking: ends the waits inside, waits for those calls to return, and as long as destroy takes.
 * Since: 0.1
 */
ostler_status ostler_slab_destroy(ostler_slab *slab);


/* ======================================================================
 * Slots of a slab: got and put, one by one or many at once.
 * ====================================================================== */

/**
 * Gets a slot through the magazine that the library keeps for this thread. What lies in it is what create made or the
 * last use left; in fresh memory, zeros. The slab grows by a chunk when nothing is free, and only when every slot that may
 * be is out the call fails.
 *
 * Parameters:
 * - slab: borrowed.
 * - out: written only on success, else NULL; the caller's alone until it is put.
 *
 * Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_CALLBACK_FAILED (create failed), OSTLER_E_INVALID_ARGUMENT,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
 * OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: now and then as long as create, or the kernel with a chunk, takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_get(ostler_slab *slab,
                              void **out);

/**
 * Puts a slot back, whichever thread got it. A second put of a slot that nobody got meanwhile is told, and so is what is
 * no slot of this slab; both change nothing. Only when two threads put one slot in the same moment may both be answered
 * OSTLER_OK; with checked set, never.
 *
 * Parameters:
 * - slab: borrowed, also when it was destroyed.
 * - slot: owned; from this slab, and no longer the caller's.
 *
 * Returns: OSTLER_OK, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER (no slot begins there, or it was never got),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slot NULL is OSTLER_E_FOREIGN_POINTER.
 * Blocking: as long as reset takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_put(ostler_slab *slab,
                              void *slot);

/**
 * Gets many slots at once, or none.
 *
 * Parameters:
 * - slab: borrowed.
 * - count: how many; 0 does nothing; at most 1048576.
 * - slots: written; an array of count slots on success, else of NULLs.
 *
 * Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_CALLBACK_FAILED (create failed), OSTLER_E_INVALID_ARGUMENT,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
 * OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slots (unless count is 0) must not be NULL.
 * Blocking: now and then as long as create, or the kernel with a chunk, takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_get_n(ostler_slab *slab,
                                uint32_t count,
                                void **slots);

/**
 * Puts many slots back. Those that can be put are, also when another one cannot.
 *
 * Parameters:
 * - slab: borrowed, also when it was destroyed.
 * - slots: borrowed during the call; an array of count slots from this slab, none of them twice.
 * - count: how many; 0 does nothing; at most 1048576.
 * - put: written; how many were put, also after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER (both of the first that cannot be put, which the
 * message names), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slots (unless count is 0) must not be NULL; put may be NULL.
 * Blocking: as long as reset takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_put_n(ostler_slab *slab,
                                void *const *slots,
                                uint32_t count,
                                uint32_t *put);


/* ======================================================================
 * Slots that are out: where, for how long, and who got them.
 * ====================================================================== */

/** A slot that is out. */
typedef struct ostler_slab_live {
    void *slot;
    /**
     * Nanoseconds since it was got, when tracing remembered it then; else since the slab's live slots were first listed or printed
     * with it among them, and 0 that time.
     */
    uint64_t held_ns;
    /** The thread that got it, as gettid has it; 0 when tracing did not remember it. */
    uint32_t thread_id;
    /** The number of the call stack that got it; 0 when tracing did not remember it. */
    uint32_t call_site;
} ostler_slab_live;

/**
 * Lists the slots that are out, in the order of their addresses.
 *
 * Parameters:
 * - slab: borrowed.
 * - slots: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
 * - capacity: its elements; 0 only counts.
 * - count: written; how many slots are out, which may be more than capacity; 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each slot was out at some moment of the call; nobody is held up.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; slots may be NULL when capacity is 0; count must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_list_live(ostler_slab *slab,
                                    struct ostler_slab_live *slots,
                                    uint64_t capacity,
                                    uint64_t *count);

/**
 * Writes the slots that are out as a table for people: each with its address, for how long, the thread, and the call stack
 * that got it, where tracing remembered it.
 *
 * Parameters:
 * - slab: borrowed.
 * - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
 * - buffer_bytes: its size; 0 writes nothing.
 * - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each slot was out at some moment of the call; nobody is held up.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_print_live(ostler_slab *slab,
                                     char *buffer,
                                     uint64_t buffer_bytes,
                                     uint64_t *needed_bytes);


/* ======================================================================
 * The memory of a slab: which of its chunks can go.
 * ====================================================================== */

/**
 * Gives back every chunk in which nothing is out, except for those of initial_slots. What threads have at hand is taken
 * back for that.
 *
 * Parameters:
 * - slab: borrowed.
 * - freed_bytes: written; how much was given back; 0 after a failure, and while another trim is under way.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; freed_bytes may be NULL.
 * Blocking: as long as destroy and the kernel take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_trim(ostler_slab *slab,
                               uint64_t *freed_bytes);


/* ======================================================================
 * What a slab counts.
 * ====================================================================== */

/** What a slab holds and did. */
typedef struct ostler_slab_stats {
    /** sizeof(ostler_slab_stats), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** From one slot to the next. */
    uint64_t slot_bytes;
    /** Most slots that there ever are. */
    uint64_t max_slots;
    /** Slots that are out. */
    uint64_t out;
    /** Chunks that are mapped. */
    uint64_t chunks;
    /** Their bytes. */
    uint64_t mapped_bytes;
    /** Magazines that are open now, those that the library keeps for threads not among them. */
    uint64_t magazines_open;
    /** How often a magazine was refilled. */
    uint64_t refills;
    /** How often half of a full magazine was emptied. */
    uint64_t flushes;
    /** How often nothing else was left than what other threads had at hand, and all of that was taken back. */
    uint64_t recalls;
    /** Calls that found nothing. */
    uint64_t exhausted;
    /** How often chunks were given back. */
    uint64_t trims;
    /** Puts of a slot that was put before. */
    uint64_t double_puts;
    /** Puts of what is no slot, or was never got. */
    uint64_t foreign_puts;
    /** Chunks that got smaller pages or another node policy than asked. */
    uint64_t step_downs;
} ostler_slab_stats;

/**
 * Tells what the slab holds and did.
 *
 * Parameters:
 * - slab: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each number is right for some moment of the call; nobody is held up.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_get_stats(ostler_slab *slab,
                                    struct ostler_slab_stats *out);


/* ======================================================================
 * Magazine: one thread's stack of free slots of a slab, from which it gets, and to which it puts, inline and without a
 * call; see ostler_inline.h. What lies in a magazine is free for everybody: when a slab has nothing else left, it is taken
 * back.
 * ====================================================================== */

/**
 * The layout that ostler_inline.h of this version knows. In a newer library of another layout it finds its own floor above
 * every top and its own ceiling at 0, and calls the library.
 */
#define OSTLER_MAGAZINE_LAYOUT 2

/** Most slots that a magazine holds. */
#define OSTLER_MAGAZINE_SLOTS_MAX 128

/**
 * One thread's stack of free slots, made by ostler_magazine_open. The fields are for ostler_inline.h; programs use its
 * functions, or ostler_magazine_get and ostler_magazine_put.
 */
typedef struct ostler_magazine {
    /** OSTLER_MAGAZINE_LAYOUT of the library; 0 when it is closed. */
    uint32_t layout;
    /** How far a quotient is rotated. */
    uint32_t shift;
    /** How many slots are in it; the last is got first. Inline code of every layout may lower it and put it back. */
    int64_t top;
    /** The top may not fall below; higher than any when the library wants to be called. */
    int64_t floor;
    /** The top may not rise above; 0 when the library wants to be called. */
    int64_t ceiling;
    /** Where the first slot of the slab is. */
    uint64_t base;
    /** Of the odd part of the slot size, modulo 2^64. */
    uint64_t inverse;
    /** A byte for each slot: 2 and more while it is out, 1 while it is free. */
    uint8_t *states;
    /** How many slots there may be. */
    uint64_t slots;
    /** How far slots lie from each other. */
    uint64_t stride;
    /** Where inline code of the next layout finds its floor: higher than any top. */
    int64_t next_floor;
    /** Where inline code of the next layout finds its ceiling: 0. */
    int64_t next_ceiling;
    /** The library's own. */
    uint64_t private_words[13];
    /** The slots in it, and above the top those that were there last. */
    void *items[128];
    /** The state of each of the items. */
    uint8_t *item_states[128];
} ostler_magazine;

/**
 * Opens a magazine, empty, for one thread, fiber or goroutine at a time.
 *
 * Parameters:
 * - slab: borrowed.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_magazine_close.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_magazine_open(ostler_slab *slab,
                                   struct ostler_magazine **out);

/**
 * Gets a slot through a magazine, as ostler_slab_get does. Does the same as ostler_magazine_get_inline, which calls it when
 * the magazine is empty.
 *
 * Parameters:
 * - magazine: borrowed.
 * - out: written only on success, else NULL; the caller's alone until it is put.
 *
 * Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_CALLBACK_FAILED (create failed), OSTLER_E_INVALID_ARGUMENT,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
 * OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a magazine.
 * NULL: magazine NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: now and then as long as create, or the kernel with a chunk, takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_magazine_get(struct ostler_magazine *magazine,
                                  void **out);

/**
 * Puts a slot through a magazine, whichever thread got it, as ostler_slab_put does. Does the same as
 * ostler_magazine_put_inline, which calls it when the magazine is full.
 *
 * Parameters:
 * - magazine: borrowed, also when its slab was destroyed.
 * - slot: owned; from the same slab, and no longer the caller's.
 *
 * Returns: OSTLER_OK, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER (no slot begins there, or it was never got),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a magazine.
 * NULL: magazine NULL is OSTLER_E_INVALID_HANDLE; slot NULL is OSTLER_E_FOREIGN_POINTER.
 * Blocking: as long as reset takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_magazine_put(struct ostler_magazine *magazine,
                                  void *slot);

/**
 * Gets many slots through a magazine at once, or none. Does the same as ostler_magazine_get_n_inline.
 *
 * Parameters:
 * - magazine: borrowed.
 * - count: how many; 0 does nothing; at most 1048576.
 * - slots: written; an array of count slots on success, else of NULLs.
 *
 * Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_CALLBACK_FAILED (create failed), OSTLER_E_INVALID_ARGUMENT,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE,
 * OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a magazine.
 * NULL: magazine NULL is OSTLER_E_INVALID_HANDLE; slots (unless count is 0) must not be NULL.
 * Blocking: now and then as long as create, or the kernel with a chunk, takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_magazine_get_n(struct ostler_magazine *magazine,
                                    uint32_t count,
                                    void **slots);

/**
 * Puts many slots through a magazine. Those that can be put are, also when another one cannot. Does the same as
 * ostler_magazine_put_n_inline.
 *
 * Parameters:
 * - magazine: borrowed, also when its slab was destroyed.
 * - slots: borrowed during the call; an array of count slots from the same slab, none of them twice.
 * - count: how many; 0 does nothing; at most 1048576.
 * - put: written; how many were put, also after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_DOUBLE_FREE, OSTLER_E_FOREIGN_POINTER (both of the first that cannot be put, which the
 * message names), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a magazine.
 * NULL: magazine NULL is OSTLER_E_INVALID_HANDLE; slots (unless count is 0) must not be NULL; put may be NULL.
 * Blocking: as long as reset takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_magazine_put_n(struct ostler_magazine *magazine,
                                    void *const *slots,
                                    uint32_t count,
                                    uint32_t *put);

/**
 * Closes a magazine. What is in it stays free. Closing the last magazine of a destroyed slab, when no slot is out, gives
 * the slab's memory back.
 *
 * Parameters:
 * - magazine: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: no other thread may use the magazine meanwhile; any thread may close it.
 * NULL: magazine NULL is OSTLER_OK and does nothing.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_magazine_close(struct ostler_magazine *magazine);


/* ======================================================================
 * Buffers: memory in sizes that is leased one by one, viewed by many without a copy, and idle again when the last view is
 * released. A set has a hard bound, and each thread keeps a few idle ones at hand.
 * ====================================================================== */

/** How many sizes there are: four to each doubling, from 256 bytes to 1 GiB. */
#define OSTLER_BUFFERS_CLASSES 89

/** A set of buffers of many sizes, shared by many threads. */
typedef struct ostler_buffers ostler_buffers;

/** How a set of buffers gets its memory. */
typedef struct ostler_buffers_config {
    /** sizeof(ostler_buffers_config). */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /**
     * What memory the buffers are made of; borrowed while the set is created; NULL: the defaults of
     * ostler_page_source_init.
     */
    const ostler_page_source *source;
    /**
     * Bytes mapped at once; 65536 to 1 TiB, rounded up to the page size got; 0: 2 MiB. A larger buffer gets a larger
     * chunk.
     */
    uint64_t chunk_bytes;
    /**
     * Mapped bytes never exceed this, so chunks may be smaller than chunk_bytes; at least 65536; 0: no limit. Before a get
     * is refused, idle buffers of other sizes and of other threads are taken for it.
     */
    uint64_t limit_bytes;
    /** Shown in reports and in the kernel's list of mappings. */
    char name[OSTLER_NAME_BYTES];
} ostler_buffers_config;

/** What a set of buffers holds and did. While other threads get and release it tells of about the same moment. */
typedef struct ostler_buffers_stats {
    /** sizeof(ostler_buffers_stats), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Chunks that are mapped. */
    uint64_t chunks;
    /** Their bytes. */
    uint64_t mapped_bytes;
    /** Buffers that have a view. */
    uint64_t in_use;
    /** Their bytes, rounded up to their sizes. */
    uint64_t in_use_bytes;
    /** The bytes of in_use_bytes that nobody asked for. */
    uint64_t waste_bytes;
    /** Buffers without a view, those that threads have at hand included. */
    uint64_t idle;
    /** Their bytes. */
    uint64_t idle_bytes;
    /** Idle buffers that threads have at hand. */
    uint64_t at_hand;
    /** Memory of the caller's that is wrapped and has a view. */
    uint64_t wrapped;
    /** Buffers that were leased. */
    uint64_t gets;
    /** Gets that found neither a buffer nor memory for one. */
    uint64_t refused;
    /** How often what threads had at hand was taken for others. */
    uint64_t recalls;
    /** How often idle memory was given back to the system. */
    uint64_t trims;
    /** Chunks that got smaller pages or another node policy than asked. */
    uint64_t step_downs;
} ostler_buffers_stats;

/** What a set has of one size. */
typedef struct ostler_buffers_class_stats {
    /** sizeof(ostler_buffers_class_stats), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Bytes of each buffer of the class. */
    uint64_t size_bytes;
    /** As in ostler_buffers_stats, of this class. */
    uint64_t in_use;
    uint64_t idle;
    uint64_t at_hand;
    uint64_t waste_bytes;
    uint64_t gets;
} ostler_buffers_class_stats;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_buffers_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_config_init(struct ostler_buffers_config *config, uint32_t struct_size);

/**
 * Makes a set of buffers and maps its first chunk.
 *
 * Parameters:
 * - config: borrowed during the call.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_buffers_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
 * OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL, which takes every default; out must not be NULL.
 * Blocking: as long as the kernel takes to map the chunk and bring in its pages; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_create(const struct ostler_buffers_config *config,
                                    struct ostler_buffers **out);

/**
 * Tells what the set holds and did.
 *
 * Parameters:
 * - buffers: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_get_stats(struct ostler_buffers *buffers,
                                       struct ostler_buffers_stats *out);

/**
 * Tells what the set has of one size.
 *
 * Parameters:
 * - buffers: borrowed.
 * - class_index: below OSTLER_BUFFERS_CLASSES; the sizes ascend.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_get_class_stats(struct ostler_buffers *buffers,
                                             uint64_t class_index,
                                             struct ostler_buffers_class_stats *out);

/**
 * Gives idle memory back to the system, until no more than keep_bytes are mapped or nothing more can be given back: only
 * whole chunks can, in which no buffer is in use.
 *
 * Parameters:
 * - buffers: borrowed.
 * - keep_bytes: how much may stay mapped; 0: as little as there can.
 * - freed_bytes: written; how much was given back, 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; freed_bytes may be NULL.
 * Blocking: as long as the kernel takes to unmap; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_trim(struct ostler_buffers *buffers,
                                  uint64_t keep_bytes,
                                  uint64_t *freed_bytes);

/**
 * Takes no new work, and waits until every buffer and all wrapped memory is released. Views stay good meanwhile.
 *
 * Parameters:
 * - buffers: borrowed.
 * - timeout_ns: nanoseconds; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait from another thread.
 * - still_out: written; how many buffers and pieces of wrapped memory have a view, also after OSTLER_E_TIMEOUT and
 *   OSTLER_E_CANCELLED; else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_TIMEOUT,
 * OSTLER_E_CANCELLED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
 * Blocking: waits as said; OSTLER_E_CLOSED when the set is destroyed meanwhile with views still out.
 * Since: 0.1
 */
ostler_status ostler_buffers_close(struct ostler_buffers *buffers,
                                   uint64_t timeout_ns,
                                   ostler_cancel *cancel,
                                   uint64_t *still_out);

/**
 * Destroys a set of buffers. What is still viewed stays mapped until its last view is released, which then can still be
 * sliced and retained; idle memory goes at once.
 *
 * Parameters:
 * - buffers: owned; invalid afterwards, except for what concerns views that are out.
 *
 * Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its release callbacks; nothing happens),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_OK and does nothing.
 * Blocking: ends the waits inside, and waits for those calls to return.
 * Since: 0.1
 */
ostler_status ostler_buffers_destroy(struct ostler_buffers *buffers);


/* ======================================================================
 * Buffer: a view of memory in a set of buffers, until its last reference is released. A stale view, one that is released
 * twice, and one of another set are errors and harm nobody.
 * ====================================================================== */

/** Names a view until its last reference is released. A value of 0 is never a view. */
typedef struct ostler_buffer {
    uint64_t value;
} ostler_buffer;

/**
 * Takes wrapped memory back when its last view is released: called once, on the thread that releases it, with no lock held.
 * It may call the library, but not destroy its set. A C++ exception must not leave it.
 */
typedef void (*ostler_buffer_release_callback)(void *user_data, void *data);

/** A piece of memory, laid out as a struct iovec is: an array of them can be cast and given to readv, writev, sendmsg. */
typedef struct ostler_iovec {
    void *base;
    uint64_t size_bytes;
} ostler_iovec;

/**
 * Leases a buffer, with one reference. Its memory begins on a multiple of 64, from 16 KiB on of 4096, and holds whatever
 * was there before.
 *
 * Parameters:
 * - buffers: borrowed.
 * - size_bytes: at most 1 GiB; 0 has an address of its own, too.
 * - out: written only on success, else 0; ends with ostler_buffers_release.
 * - data: written only on success, else NULL; size_bytes of memory, valid as long as the view.
 *
 * Returns: OSTLER_OK, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE,
 * OSTLER_E_MEMORY_PRESSURE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL; data may be NULL.
 * Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_get(ostler_buffers *buffers,
                                 uint64_t size_bytes,
                                 struct ostler_buffer *out,
                                 void **data);

/**
 * Makes a view of memory of the caller's, with one reference.
 *
 * Parameters:
 * - buffers: borrowed.
 * - data: size_bytes of memory; borrowed until release is called.
 * - size_bytes: how much it is; below 2^48.
 * - release: called when the last view of the memory is released; not called when this fails.
 * - user_data: handed to release; must stay valid until that has returned; not used when this fails.
 * - out: written only on success, else 0; ends with ostler_buffers_release.
 *
 * Returns: OSTLER_OK, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; data (unless size_bytes is 0) and out must not be NULL; release and
 * user_data may be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_wrap(ostler_buffers *buffers,
                                  void *data,
                                  uint64_t size_bytes,
                                  ostler_buffer_release_callback release,
                                  void *user_data,
                                  struct ostler_buffer *out);

/**
 * Makes a view of a part of what another shows, with one reference. Nothing is copied; the memory stays until the last
 * view of any part of it is released.
 *
 * Parameters:
 * - buffers: borrowed, also when it was destroyed.
 * - buffer: stays as it is; may be a slice itself.
 * - offset_bytes: where the part begins.
 * - size_bytes: how long it is; it ends where buffer does, or before. At most 262143 slices of one buffer are out at once.
 * - out: written only on success, else 0; ends with ostler_buffers_release.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_slice(ostler_buffers *buffers,
                                   struct ostler_buffer buffer,
                                   uint64_t offset_bytes,
                                   uint64_t size_bytes,
                                   struct ostler_buffer *out);

/**
 * Adds a reference to a view. Each ends with one ostler_buffers_release.
 *
 * Parameters:
 * - buffers: borrowed, also when it was destroyed.
 * - buffer: a view with at most 16382 references.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_LIMIT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_retain(ostler_buffers *buffers, struct ostler_buffer buffer);

/**
 * Ends a reference. With the last one the view is stale; with the last view of its memory the buffer is idle, or the
 * release callback is called.
 *
 * Parameters:
 * - buffers: borrowed, also when it was destroyed.
 * - buffer: consumed when this was its last reference.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe; any thread may release.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as the release callback of wrapped memory takes, else never; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_release(ostler_buffers *buffers,
                                     struct ostler_buffer buffer);

/**
 * Ends a reference of each of many views. Those that are good are released, also when another one is not.
 *
 * Parameters:
 * - buffers: borrowed, also when it was destroyed.
 * - views: borrowed during the call; an array of count views of this set.
 * - count: how many; 0 does nothing; at most 1048576.
 * - released: written; how many were good, also after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER (one or more were not good; the message names the first),
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; views (unless count is 0) must not be NULL; released may be NULL.
 * Blocking: as ostler_buffers_release; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_release_n(ostler_buffers *buffers,
                                       const struct ostler_buffer *views,
                                       uint32_t count,
                                       uint32_t *released);

/**
 * Tells what a view shows.
 *
 * Parameters:
 * - buffers: borrowed, also when it was destroyed.
 * - buffer: stays as it is.
 * - data: written only on success, else NULL; valid as long as the view.
 * - size_bytes: written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; data and size_bytes may be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_get_data(ostler_buffers *buffers,
                                      struct ostler_buffer buffer,
                                      void **data,
                                      uint64_t *size_bytes);

/**
 * Makes a view shorter, as after a read that filled only its begin. What its slices show stays.
 *
 * Parameters:
 * - buffers: borrowed, also when it was destroyed.
 * - buffer: stays as it is.
 * - size_bytes: at most what it shows now.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: nobody else may truncate the same view meanwhile.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_truncate(ostler_buffers *buffers,
                                      struct ostler_buffer buffer,
                                      uint64_t size_bytes);

/**
 * Lists what many views show, for readv, writev and sendmsg. The views keep their references.
 *
 * Parameters:
 * - buffers: borrowed, also when it was destroyed.
 * - views: borrowed during the call; an array of count views of this set.
 * - count: how many; 0 does nothing; at most 1048576.
 * - out: room for count pieces; written only on success, the first of them emptied otherwise.
 * - total_bytes: written; what they are together, 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_BUFFER, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; views and out (unless count is 0) must not be NULL; total_bytes may be
 * NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_export(ostler_buffers *buffers,
                                    const struct ostler_buffer *views,
                                    uint32_t count,
                                    struct ostler_iovec *out,
                                    uint64_t *total_bytes);


/* ======================================================================
 * Receipt: what each chunk of an arena, heap, slab or set of buffers asked for, what it got, and why, checked against the
 * kernel.
 * ====================================================================== */

/** Nothing stood in the way. */
#define OSTLER_LIMIT_NONE 0

/** The pool of huge pages is short (nr_hugepages), on the machine or on the node. */
#define OSTLER_LIMIT_HUGE_PAGE_POOL 1

/** The control group allows no more huge pages (a hugetlb limit). */
#define OSTLER_LIMIT_HUGETLB_CGROUP 2

/** The control group has too little memory left; going on would have ended in an out-of-memory kill. */
#define OSTLER_LIMIT_MEMORY_CGROUP 3

/** The node or the machine has too little free memory, or no free block of that size. */
#define OSTLER_LIMIT_NODE_MEMORY 4

/** The kernel or a sandbox refused the memory policy (mbind, set_mempolicy): EINVAL when there is no such node. */
#define OSTLER_LIMIT_POLICY_REFUSED 5

/** Transparent huge pages are switched off, for the machine or this process. */
#define OSTLER_LIMIT_THP_DISABLED 6

/** Address space is short: RLIMIT_AS, vm.max_map_count, or overcommit. */
#define OSTLER_LIMIT_ADDRESS_SPACE 7

/** This kernel has no pages of that size. */
#define OSTLER_LIMIT_PAGE_SIZE_UNKNOWN 8

/** The chunk is smaller than such a page. */
#define OSTLER_LIMIT_CHUNK_TOO_SMALL 9

/** The kernel is too old for that: before Linux 5.15 it prefers one node, not several. */
#define OSTLER_LIMIT_KERNEL_TOO_OLD 10

/** So much memory may not be locked (RLIMIT_MEMLOCK). */
#define OSTLER_LIMIT_LOCKED_MEMORY 11

/** No node with memory that this process may use is known to be the one. */
#define OSTLER_LIMIT_NODE_UNKNOWN 12

/** The kernel or a sandbox refused to keep the memory out of forks or core dumps. */
#define OSTLER_LIMIT_OPTION_REFUSED 13

/** No CPU of the node may be used: it has none, or a cpuset leaves them out. So nothing can be touched there first. */
#define OSTLER_LIMIT_NO_CPU 14

/** No thread could be run on a CPU of the node: sched_setaffinity was refused, or a limit on threads (EAGAIN). */
#define OSTLER_LIMIT_THREAD_REFUSED 15

/** The kernel does not tell where all of it is. */
#define OSTLER_LIMIT_NOT_VERIFIED 16

/**
 * The limit of ostler_governor_configure leaves no room, or memory is critically short. Only in an advice: a request is
 * answered with OSTLER_E_MEMORY_PRESSURE.
 */
#define OSTLER_LIMIT_GOVERNOR 17

/** The kernel told nothing that can be relied on. */
#define OSTLER_VERIFIED_NOT 0

/** ioctl PAGEMAP_SCAN (Linux 6.7). */
#define OSTLER_VERIFIED_PAGEMAP_SCAN 1

/** /proc/self/smaps. */
#define OSTLER_VERIFIED_SMAPS 2

/** move_pages, each page asked for. */
#define OSTLER_VERIFIED_MOVE_PAGES 3

/** /proc/self/numa_maps; where move_pages is refused, or there are too many pages to ask for each. */
#define OSTLER_VERIFIED_NUMA_MAPS 4

/** /proc/self/pagemap with /proc/kpageflags, page by page. */
#define OSTLER_VERIFIED_PAGEMAP 5

/** Nothing but the kernel's own choice places pages. */
#define OSTLER_PLACED_BY_KERNEL 0

/** A memory policy that the kernel took (mbind). */
#define OSTLER_PLACED_BY_POLICY 1

/**
 * Threads on CPUs of the nodes brought the pages in, because memory policies are refused. Where a node is full the kernel
 * goes to another.
 */
#define OSTLER_PLACED_BY_FIRST_TOUCH 2

/** All of it was brought in when it was mapped. */
#define OSTLER_OPTION_PREFAULTED 1

/** It stays in memory. */
#define OSTLER_OPTION_LOCKED 2

/** It lies between guard pages. */
#define OSTLER_OPTION_GUARDED 4

/** Forked children do not get it. */
#define OSTLER_OPTION_NOT_FORKED 8

/** Core dumps do not have it. */
#define OSTLER_OPTION_NOT_DUMPED 16

/** The kernel's list of mappings shows its name. */
#define OSTLER_OPTION_NAMED 32

/** Nodes that a receipt lists. */
#define OSTLER_RECEIPT_NODES 8

/** Steps that a receipt lists. */
#define OSTLER_RECEIPT_STEPS 8

/** Part of a chunk on one node. */
typedef struct ostler_receipt_node {
    /** The number of the node. */
    uint32_t node;
    /** 0. */
    uint32_t reserved;
    /** Resident bytes there. */
    uint64_t bytes;
} ostler_receipt_node;

/** Something that was tried for a chunk and was not to be had. */
typedef struct ostler_receipt_step {
    /** OSTLER_PAGES_... */
    uint32_t page_policy;
    /** OSTLER_LIMIT_...: what stood in the way. */
    uint32_t limit;
    /** What the system call said; 0 when it did not come to one. */
    int32_t os_errno;
    /** 0. */
    uint32_t reserved;
} ostler_receipt_step;

/** What a chunk was asked to be, what it got, and why. What it got is what the kernel says, not what was requested. */
typedef struct ostler_receipt {
    /** sizeof(ostler_receipt), set by the caller. */
    uint32_t struct_size;
    /** OSTLER_PAGES_... as configured. */
    uint32_t asked_pages;
    /** OSTLER_NODE_... as configured. */
    uint32_t asked_node_policy;
    /** The number of the node, for OSTLER_NODE_ONE. */
    uint32_t asked_node;
    /** Bytes asked for. */
    uint64_t asked_bytes;
    /** OSTLER_PAGES_... really got. Transparent only when the kernel reports huge bytes, or nothing is resident yet. */
    uint32_t got_pages;
    /** OSTLER_NODE_... that places it, by what placed_by says; OSTLER_NODE_ANY when that was refused. */
    uint32_t got_node_policy;
    /** Bytes of one page of got_pages. */
    uint64_t page_bytes;
    /** Where the chunk begins. */
    uint64_t address;
    /** Bytes of address space. */
    uint64_t mapped_bytes;
    /** Bytes that have memory behind them now. */
    uint64_t resident_bytes;
    /** Resident bytes in huge pages, transparent or explicit. */
    uint64_t huge_bytes;
    /** OSTLER_VERIFIED_...: how resident_bytes and huge_bytes were found out. */
    uint32_t pages_verified_by;
    /** OSTLER_VERIFIED_...: how nodes was found out. */
    uint32_t nodes_verified_by;
    /** Nodes with pages of the chunk. When there are more than OSTLER_RECEIPT_NODES, the first ones are listed. */
    uint32_t node_count;
    /** Steps that were tried first, in the order of steps. */
    uint32_t step_count;
    /** Lowest node first. */
    struct ostler_receipt_node nodes[OSTLER_RECEIPT_NODES];
    /** In the order in which they were tried. */
    struct ostler_receipt_step steps[OSTLER_RECEIPT_STEPS];
    /** OSTLER_OPTION_... as configured. */
    uint32_t asked_options;
    /** OSTLER_OPTION_... really got. */
    uint32_t got_options;
    /** The nodes that got_node_policy stands for; empty for OSTLER_NODE_ANY. */
    uint64_t node_set[OSTLER_SET_WORDS];
    /** OSTLER_PLACED_BY_...: by what means pages come to their nodes. */
    uint32_t placed_by;
    /**
     * Why pages_verified_by or nodes_verified_by is OSTLER_VERIFIED_NOT: EPERM where huge pages have neighbours in the
     * same mapping and their numbers are hidden from this process, or move_pages is refused; else 0.
     */
    int32_t unverified_errno;
} ostler_receipt;

/**
 * Tells what a chunk was asked to be, what it got, and why. Asks the kernel anew each time, because pages come, go,
 * merge and move.
 *
 * Parameters:
 * - arena: borrowed.
 * - chunk_index: 0 to chunks - 1 of ostler_arena_get_stats; a reset or rewind may change the order.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_get_receipt(ostler_arena *arena,
                                       uint64_t chunk_index,
                                       struct ostler_receipt *out);

/**
 * Writes the receipts of all chunks as a table for people, with a line below each chunk for every step that did not
 * hold.
 *
 * Parameters:
 * - arena: borrowed.
 * - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
 * - buffer_bytes: its size; 0 writes nothing.
 * - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_print_receipts(ostler_arena *arena,
                                          char *buffer,
                                          uint64_t buffer_bytes,
                                          uint64_t *needed_bytes);

/**
 * Tells what a chunk of a heap was asked to be, what it got, and why, as ostler_arena_get_receipt does.
 *
 * Parameters:
 * - heap: borrowed.
 * - chunk_index: 0 to chunks - 1 of ostler_heap_get_stats; a trim may change the order.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_get_receipt(ostler_heap *heap,
                                      uint64_t chunk_index,
                                      struct ostler_receipt *out);

/**
 * Writes the receipts of all chunks of a heap as a table for people, as ostler_arena_print_receipts does.
 *
 * Parameters:
 * - heap: borrowed.
 * - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
 * - buffer_bytes: its size; 0 writes nothing.
 * - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_print_receipts(ostler_heap *heap,
                                         char *buffer,
                                         uint64_t buffer_bytes,
                                         uint64_t *needed_bytes);

/**
 * Tells what a chunk of a slab was asked to be, what it got, and why, as ostler_arena_get_receipt does.
 *
 * Parameters:
 * - slab: borrowed.
 * - chunk_index: 0 to chunks - 1 of ostler_slab_get_stats, in the order of addresses.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_get_receipt(ostler_slab *slab,
                                      uint64_t chunk_index,
                                      struct ostler_receipt *out);

/**
 * Writes the receipts of all chunks of a slab as a table for people, as ostler_arena_print_receipts does.
 *
 * Parameters:
 * - slab: borrowed.
 * - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
 * - buffer_bytes: its size; 0 writes nothing.
 * - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_print_receipts(ostler_slab *slab,
                                         char *buffer,
                                         uint64_t buffer_bytes,
                                         uint64_t *needed_bytes);

/**
 * Tells what a chunk of a set of buffers was asked to be, what it got, and why, as ostler_arena_get_receipt does.
 *
 * Parameters:
 * - buffers: borrowed.
 * - chunk_index: 0 to chunks - 1 of ostler_buffers_get_stats; a trim may change the order.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_get_receipt(ostler_buffers *buffers,
                                         uint64_t chunk_index,
                                         struct ostler_receipt *out);

/**
 * Writes the receipts of all chunks of a set of buffers as a table for people, as ostler_arena_print_receipts does.
 *
 * Parameters:
 * - buffers: borrowed.
 * - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
 * - buffer_bytes: its size; 0 writes nothing.
 * - needed_bytes: written only on success, else 0: the size that the whole table needs, its NUL included.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_print_receipts(ostler_buffers *buffers,
                                            char *buffer,
                                            uint64_t buffer_bytes,
                                            uint64_t *needed_bytes);


/* ======================================================================
 * Coverage: how much of some memory still is what its receipts told, as numbers to watch, and its repair. The kernel
 * splits huge pages and moves pages between nodes while a program runs.
 * ====================================================================== */

/** What of some memory is where, in pages of which size, summed over all chunks. */
typedef struct ostler_coverage {
    /** sizeof(ostler_coverage), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Bytes of address space. */
    uint64_t mapped_bytes;
    /** Bytes that have memory behind them now. */
    uint64_t resident_bytes;
    /** Resident bytes in huge pages, transparent or explicit. */
    uint64_t huge_bytes;
    /** Resident bytes in base pages although larger ones were asked for. */
    uint64_t small_bytes;
    /** Resident bytes on nodes that the node policy does not stand for. */
    uint64_t remote_bytes;
    /** Mapped bytes of chunks of which the kernel does not tell. */
    uint64_t unverified_bytes;
    /** Resident bytes for which huge pages were asked; small_bytes is what is missing of them. */
    uint64_t wanted_huge_bytes;
} ostler_coverage;

/** What a repair found and what it left. */
typedef struct ostler_repair {
    /** sizeof(ostler_repair), set by the caller. */
    uint32_t struct_size;
    /** OSTLER_LIMIT_...: what stood in the way of the first thing that could not be repaired. */
    uint32_t limit;
    /** What the system call said; 0 when it did not come to one. */
    int32_t os_errno;
    /** 0. */
    uint32_t reserved;
    /** As in ostler_coverage. */
    uint64_t small_bytes_before;
    /** As in ostler_coverage. */
    uint64_t small_bytes_after;
    /** As in ostler_coverage. */
    uint64_t remote_bytes_before;
    /** As in ostler_coverage. */
    uint64_t remote_bytes_after;
} ostler_repair;

/**
 * What the last look at the memory of an account saw: one by the governor's thread, or one that was asked for. Memory
 * that came or went since is not told of.
 */
typedef struct ostler_seen {
    /**
     * How long ago that look began, of several accounts the longest; one by the governor's thread at a large object goes
     * on over many ticks. UINT64_MAX: nobody looked yet, and all else is 0.
     */
    uint64_t age_ns;
    /** As in ostler_coverage. */
    uint64_t mapped_bytes;
    /** As in ostler_coverage. */
    uint64_t resident_bytes;
    /** As in ostler_coverage. */
    uint64_t wanted_huge_bytes;
    /** As in ostler_coverage. */
    uint64_t huge_bytes;
    /** As in ostler_coverage. */
    uint64_t small_bytes;
    /** As in ostler_coverage. */
    uint64_t remote_bytes;
    /** As in ostler_coverage. */
    uint64_t unverified_bytes;
} ostler_seen;
#define ostler_seen_NOTHING (ostler_seen){ .age_ns = UINT64_MAX, .mapped_bytes = 0, .resident_bytes = 0, .wanted_huge_bytes = 0, .huge_bytes = 0, .small_bytes = 0, .remote_bytes = 0, .unverified_bytes = 0 }

/**
 * Tells how much of an arena's memory is in huge pages, and how much is on other nodes than it should be. Asks the
 * kernel anew each time: some microseconds for each chunk of huge pages. What was seen stays in the stats of the arena's
 * account, see ostler_seen. Memory that the host lent is not looked at.
 *
 * Parameters:
 * - arena: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_arena_get_coverage(ostler_arena *arena,
                                        struct ostler_coverage *out);

/**
 * Brings an arena's pages back to what they were: moves those on other nodes home, and puts base pages together to huge
 * ones, which makes all of each huge page resident. The memory can be used meanwhile, and its contents stay. What could
 * not be repaired is told, and no error.
 *
 * Parameters:
 * - arena: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
 * callback.
 * Since: 0.1
 */
ostler_status ostler_arena_repair(ostler_arena *arena,
                                  struct ostler_repair *out);

/**
 * Tells how much of the memory of a heap is in huge pages, and how much is on other nodes than it should be, as
 * ostler_arena_get_coverage does. Where a compaction gave pages back, the huge pages that these were part of are small
 * ones now.
 *
 * Parameters:
 * - heap: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_heap_get_coverage(ostler_heap *heap,
                                       struct ostler_coverage *out);

/**
 * Brings the pages of a heap back to what they were, as ostler_arena_repair does. Huge pages of which a compaction gave a part back
 * stay as they are, and a compaction waits while those of a chunk are put together.
 *
 * Parameters:
 * - heap: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: heap NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
 * callback.
 * Since: 0.1
 */
ostler_status ostler_heap_repair(ostler_heap *heap,
                                 struct ostler_repair *out);

/**
 * Tells how much of the memory of a slab is in huge pages, and how much is on other nodes than it should be, as
 * ostler_arena_get_coverage does.
 *
 * Parameters:
 * - slab: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_slab_get_coverage(ostler_slab *slab,
                                       struct ostler_coverage *out);

/**
 * Brings the pages of a slab back to what they were, as ostler_arena_repair does. A chunk that a trim takes away meanwhile
 * goes when it is repaired.
 *
 * Parameters:
 * - slab: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: slab NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
 * callback.
 * Since: 0.1
 */
ostler_status ostler_slab_repair(ostler_slab *slab,
                                 struct ostler_repair *out);

/**
 * Tells how much of the memory of a set of buffers is in huge pages, and how much is on other nodes than it should be, as
 * ostler_arena_get_coverage does.
 *
 * Parameters:
 * - buffers: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_get_coverage(ostler_buffers *buffers,
                                          struct ostler_coverage *out);

/**
 * Brings the pages of a set of buffers back to what they were, as ostler_arena_repair does.
 *
 * Parameters:
 * - buffers: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffers NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
 * callback.
 * Since: 0.1
 */
ostler_status ostler_buffers_repair(ostler_buffers *buffers,
                                    struct ostler_repair *out);

/**
 * Looks at the memory of all arenas, heaps, slabs and sets of buffers, each as its own call does, and tells the sum. What
 * was seen of each stays in the stats of its account.
 *
 * Parameters:
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY (what could be looked at was), OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Nobody is held up, but for a destroy of the object that is looked at.
 * NULL: out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_governor_get_coverage(struct ostler_coverage *out);

/**
 * Brings the pages of all arenas, heaps, slabs and sets of buffers back to what they were, each as its own call does.
 *
 * Parameters:
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0: sums, and what stood in the
 *   way first.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY (what could be repaired was), OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Nobody is held up, but for a destroy of the object that is repaired.
 * NULL: out must not be NULL.
 * Blocking: as long as the kernel takes to copy the pages, some milliseconds for each MiB; may be called from any
 * callback.
 * Since: 0.1
 */
ostler_status ostler_governor_repair(struct ostler_repair *out);


/* ======================================================================
 * File: the contents of a file in memory, to be read in place: a model's weights, an index, a table. Mapped, its pages
 * are the kernel's cache of the file, shared with everybody who maps it; copied, they are pages of one's own choice.
 * While a mapped file is open, nobody may cut it: a read beyond its new end is answered with SIGBUS, which no library
 * can turn into an error. Where files are replaced while they are in use, write a new one and rename it, or copy.
 * ====================================================================== */

/** Mapped: nothing is copied, and pages that memory is short of go by themselves and come back when they are read. */
#define OSTLER_FILE_MAP 0

/** Copied onto pages of ostler_file_config.source: whatever becomes of the file, the contents stay. */
#define OSTLER_FILE_COPY 1

/** All of it is read in the background from now on. */
#define OSTLER_READAHEAD_ALL 0

/** What follows a read is read ahead of the next. */
#define OSTLER_READAHEAD_SEQUENTIAL 1

/** Only what is touched is read. */
#define OSTLER_READAHEAD_NONE 2

/** The contents of a file in memory. */
typedef struct ostler_file ostler_file;

/** How a file comes into memory. */
typedef struct ostler_file_config {
    /** sizeof(ostler_file_config). */
    uint32_t struct_size;
    /** OSTLER_FILE_...; 0: mapped. */
    uint32_t mode;
    /** OSTLER_READAHEAD_... of a mapped file; 0: all of it. Of a copy: 0. */
    uint32_t readahead;
    /** 1: all of a mapped file is in memory when it is opened. A copy always is. */
    uint32_t prefault;
    /** 1: it stays in memory (within RLIMIT_MEMLOCK), or is an error. */
    uint32_t lock;
    /** 0. */
    uint32_t reserved;
    /** Where in the file the contents begin. */
    uint64_t offset_bytes;
    /** How much of it; 0: to the end. */
    uint64_t length_bytes;
    /**
     * The pages of a copy; borrowed while the file is opened; NULL: the defaults of ostler_page_source_init. Of a mapped
     * file: NULL.
     */
    const ostler_page_source *source;
    /** Shown in reports. */
    char name[OSTLER_NAME_BYTES];
} ostler_file_config;

/** How a file is now. */
typedef struct ostler_file_info {
    /** sizeof(ostler_file_info), set by the caller. */
    uint32_t struct_size;
    /** 1: part of the contents is no longer in the file. If it is mapped, that part must not be read. */
    uint32_t is_cut;
    /** 1: the file was written to or cut since it was opened. */
    uint32_t is_changed;
    /** 0. */
    uint32_t reserved;
    /** Bytes of the contents. */
    uint64_t bytes;
    /** Of them, in memory now. */
    uint64_t resident_bytes;
    /** Bytes of the whole file, as it is now. */
    uint64_t file_bytes;
} ostler_file_info;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_file_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_file_config_init(struct ostler_file_config *config, uint32_t struct_size);

/**
 * Opens a file to be read in memory. Its size is checked before anything is mapped.
 *
 * Parameters:
 * - path: borrowed during the call; UTF-8.
 * - config: borrowed during the call.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_file_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
 * OSTLER_E_SYSTEM, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL, which takes every default; path and out must not be NULL.
 * Blocking: as long as the kernel takes to read what is copied, prefaulted or locked; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_file_open(const char *path,
                               const struct ostler_file_config *config,
                               struct ostler_file **out);

/**
 * Tells where the contents are. They must only be read.
 *
 * Parameters:
 * - file: borrowed.
 * - out_data: written only on success, else NULL; belongs to the file, until it is destroyed.
 * - out_bytes: written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: file NULL is OSTLER_E_INVALID_HANDLE; out_data and out_bytes must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_file_get_contents(struct ostler_file *file,
                                       void **out_data,
                                       uint64_t *out_bytes);

/**
 * Tells how the file is now: how much of it is in memory, and whether somebody cut or changed it. Between this call and
 * a read of a mapped file it can still be cut.
 *
 * Parameters:
 * - file: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: file NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_file_get_info(struct ostler_file *file,
                                   struct ostler_file_info *out);

/**
 * Tells what the pages of a copy were asked to be, what they are, and why.
 *
 * Parameters:
 * - file: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_UNSUPPORTED when the file is mapped, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: file NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_file_get_receipt(struct ostler_file *file,
                                      ostler_receipt *out);

/**
 * Closes a file. Its contents are gone.
 *
 * Parameters:
 * - file: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no other thread may read the contents meanwhile; other calls are waited for.
 * NULL: file NULL is OSTLER_OK and does nothing.
 * Blocking: waits for those calls to return; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_file_destroy(struct ostler_file *file);


/* ======================================================================
 * Cursor: a region of an arena that one thread allocates from inline, without a call; see ostler_inline.h.
 * ====================================================================== */

/**
 * The layout of marks that ostler_inline.h of this version knows. A library with another one writes another number into
 * its cursors, and inline code calls it to mark and to rewind. To allocate, inline code needs `inline_end` alone.
 */
#define OSTLER_CURSOR_LAYOUT 1

/** The lowest bits of a cursor's mark say which of its moments it is; the others count. */
#define OSTLER_CURSOR_PLACE_BITS 20

/** A moment of a cursor that was marked; for ostler_inline.h. */
typedef struct ostler_cursor_moment {
    /** Of its mark. */
    uint64_t serial;
    /** Where the free part of the region began. */
    uint8_t *next;
    /** Where the region ended. */
    uint8_t *end;
    /** The stage of the cursor. */
    uint64_t stage;
} ostler_cursor_moment;

/**
 * One thread's bump region in an arena, made by ostler_cursor_open. The fields are for ostler_inline.h; programs use
 * its functions, or ostler_cursor_alloc, ostler_cursor_mark and ostler_cursor_rewind.
 */
typedef struct ostler_cursor {
    /** OSTLER_CURSOR_LAYOUT, or another number that sends every mark and rewind into the library. */
    uint32_t layout;
    /** How many moments are marked. */
    uint32_t depth;
    /** Where the free part of the region begins. */
    uint8_t *next;
    /** Where the region ends, for marks; NULL when there is none. */
    uint8_t *end;
    /** Another one whenever the library did something for the cursor. */
    uint64_t stage;
    /** The moments that are marked. */
    struct ostler_cursor_moment *moments;
    /** What marks count with. */
    uint64_t count;
    /** How many moments there is room for. */
    uint32_t capacity;
    /** The library's own. */
    uint32_t private_word;
    /**
     * Up to where inline code allocates: in every layout `next` and `inline_end` lie here, and any version may allocate up
     * to `inline_end`; NULL sends each allocation into the library. The layout is about marks.
     */
    uint8_t *inline_end;
} ostler_cursor;

/**
 * Opens a cursor: a region of the arena for one thread at a time, from which ostler_cursor_alloc_inline of
 * ostler_inline.h allocates without a call.
 *
 * Parameters:
 * - arena: borrowed.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_cursor_close.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: arena NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_cursor_open(ostler_arena *arena,
                                 struct ostler_cursor **out);

/**
 * Allocates through a cursor memory that stays until its arena is rewound, reset or destroyed and the last cursor
 * closed. Does the same as ostler_cursor_alloc_inline, which calls it when the region is used up.
 *
 * Parameters:
 * - cursor: borrowed.
 * - size_bytes: 0 gives an address of its own, too.
 * - align_bytes: a power of two of at most 2 MiB; 0: 16.
 * - out: written only on success, else NULL; belongs to the arena.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_MEMORY_PRESSURE, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE,
 * OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a cursor.
 * NULL: cursor NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: now and then as long as the kernel takes to map a chunk; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_cursor_alloc(struct ostler_cursor *cursor,
                                  uint64_t size_bytes,
                                  uint64_t align_bytes,
                                  void **out);

/**
 * Remembers where a cursor is. Marks nest, one inside another. Does the same as ostler_cursor_mark_inline, which calls it
 * when there is no room for one more. A mark that is never rewound to takes 32 bytes, and as many again for each region
 * that follows, until the arena is reset.
 *
 * Parameters:
 * - cursor: borrowed.
 * - out: written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_LIMIT (1048576 marks), OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a cursor.
 * NULL: cursor NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_cursor_mark(struct ostler_cursor *cursor,
                                 ostler_mark *out);

/**
 * Frees everything that was allocated through a cursor since a mark of it. The mark is stale then, and so are those that
 * were made after it. What other cursors and threads allocated stays. Does the same as ostler_cursor_rewind_inline, which
 * calls it when the cursor is in another region than it was, and when the mark is stale: that, too, are all marks of a
 * cursor after ostler_arena_reset, ostler_arena_mark, ostler_arena_rewind, and the begin or hand-over of a region.
 *
 * Parameters:
 * - cursor: borrowed.
 * - mark: borrowed during the call.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_STALE_MARK, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a cursor.
 * NULL: cursor NULL is OSTLER_E_INVALID_HANDLE; mark must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_cursor_rewind(struct ostler_cursor *cursor,
                                   const ostler_mark *mark);

/**
 * Closes a cursor. What was allocated through it stays. Closing the last cursor of a destroyed arena gives the arena's
 * memory back.
 *
 * Parameters:
 * - cursor: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: no other thread may use the cursor meanwhile; any thread may close it.
 * NULL: cursor NULL is OSTLER_OK and does nothing.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_cursor_close(struct ostler_cursor *cursor);


/* ======================================================================
 * Segment: an arena in memory that several processes map, each at an address of its own. Blocks are known by values
 * that mean the same in every process and are checked; the memory is a sealed anonymous file, so that no touch of it
 * ends in a signal.
 * ====================================================================== */

/** Read and write. */
#define OSTLER_ACCESS_READ_WRITE 0

/** Read only: a write to the memory is a fault of the program's, as to any other that is not its own. */
#define OSTLER_ACCESS_READ_ONLY 1

/** The process that made the segment is there and has it. */
#define OSTLER_OWNER_ALIVE 0

/** It destroyed the segment in order. */
#define OSTLER_OWNER_CLOSED 1

/** It ended without that. What is in the segment is still there, and as it was. */
#define OSTLER_OWNER_DIED 2

/** Memory that several processes map. */
typedef struct ostler_segment ostler_segment;

/** How a segment is made. */
typedef struct ostler_segment_config {
    /** sizeof(ostler_segment_config). */
    uint32_t struct_size;
    /** 1: no other process can ever map it for writing (F_SEAL_FUTURE_WRITE, Linux 5.1). */
    uint32_t sole_writer;
    /**
     * What memory it is made of; borrowed while it is created; NULL: the defaults of ostler_page_source_init. All of it
     * is brought in at once, whatever prefault says; lock, guard, exclude_fork and exclude_dump must be 0.
     */
    const ostler_page_source *source;
    /**
     * Its size, with 256 bytes of its own and 16 for each block; 4096 to 1 TiB, rounded up to the page size got; 0:
     * 2 MiB.
     */
    uint64_t bytes;
    /** Shown in the kernel's list of mappings. */
    char name[OSTLER_NAME_BYTES];
} ostler_segment_config;

/**
 * A block of a segment, the same for every process. A value: copied freely, also into the segment; 0: none. It is
 * stale once the segment was reset.
 */
typedef struct ostler_segment_block {
    /** Where and of which generation. */
    uint64_t value;
} ostler_segment_block;

/** What a segment is and holds. */
typedef struct ostler_segment_stats {
    /** sizeof(ostler_segment_stats), set by the caller. */
    uint32_t struct_size;
    /** OSTLER_ACCESS_... of this process. */
    uint32_t access;
    /** Bytes of the whole segment. */
    uint64_t bytes;
    /** Bytes that are used, what the segment needs for itself included. */
    uint64_t used_bytes;
    /** Bytes of one of its pages. */
    uint64_t page_bytes;
    /** Which generation of blocks it is in; each reset begins the next. */
    uint64_t generation;
    /** The process that made it, by its number there. */
    uint64_t owner_process;
    /** OSTLER_OWNER_...: whether that process is still there. */
    uint32_t owner;
    /** 0. */
    uint32_t reserved;
} ostler_segment_stats;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_segment_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_config_init(struct ostler_segment_config *config, uint32_t struct_size);

/**
 * Makes a segment and brings all of its pages in. It is charged to the process that makes it.
 *
 * Parameters:
 * - config: borrowed during the call.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_segment_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_MEMORY_PRESSURE, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_SYSTEM,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL, which takes every default; out must not be NULL.
 * Blocking: as long as the kernel takes to bring the pages in; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_create(const struct ostler_segment_config *config,
                                    struct ostler_segment **out);

/**
 * Maps a segment that another process made, or this one. The file is checked before any of it is touched: whether it is
 * a segment of this layout, whole, sealed, and all there.
 *
 * Parameters:
 * - fd: a descriptor of its file, as ostler_segment_get_fd gave it out; borrowed during the call.
 * - access: OSTLER_ACCESS_READ_WRITE or OSTLER_ACCESS_READ_ONLY.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_segment_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (fd is no segment's), OSTLER_E_UNSUPPORTED (a segment of another
 * layout, or one that cannot be written), OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_attach(int32_t fd,
                                    uint32_t access,
                                    struct ostler_segment **out);

/**
 * Gives a descriptor of the segment's file, which another process needs to attach: passed over a socket (SCM_RIGHTS),
 * or left open across an exec. It is closed at an exec unless the caller clears FD_CLOEXEC.
 *
 * Parameters:
 * - segment: borrowed.
 * - access: OSTLER_ACCESS_READ_ONLY gives one that cannot be mapped for writing.
 * - out: written only on success, else 0; owned by the caller, ends with close(2).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_UNSUPPORTED (it is attached for reading only), OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: segment NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_get_fd(struct ostler_segment *segment,
                                    uint32_t access,
                                    int32_t *out);

/**
 * Allocates a block, without a lock, so that a process that dies in the middle holds nobody up. New memory is zero; what
 * a reset has freed is as it was.
 *
 * Parameters:
 * - segment: borrowed.
 * - size_bytes: 0 gives a block of its own, too.
 * - align_bytes: a power of two of at most 4096; 0: 16.
 * - block: written only on success, else 0.
 * - memory: written only on success, else NULL; where it lies for this process.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED (by its owner, too),
 * OSTLER_E_QUARANTINED, OSTLER_E_LIMIT (it is full), OSTLER_E_UNSUPPORTED (it is attached for reading only),
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe, between processes as well.
 * NULL: segment NULL is OSTLER_E_INVALID_HANDLE; block must not be NULL; memory may be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_alloc(struct ostler_segment *segment,
                                   uint64_t size_bytes,
                                   uint64_t align_bytes,
                                   struct ostler_segment_block *block,
                                   void **memory);

/**
 * Tells where a block lies for this process. Whatever other processes have written, the block lies in the segment.
 *
 * Parameters:
 * - segment: borrowed.
 * - block: as any process got it.
 * - memory: written only on success, else NULL; stays until the segment is reset or destroyed here.
 * - size_bytes: written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_STALE_BLOCK, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: segment NULL is OSTLER_E_INVALID_HANDLE; memory must not be NULL; size_bytes may be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_get(struct ostler_segment *segment,
                                 struct ostler_segment_block block,
                                 void **memory,
                                 uint64_t *size_bytes);

/**
 * Tells which block begins at an address.
 *
 * Parameters:
 * - segment: borrowed.
 * - memory: borrowed during the call; an address of this process, as ostler_segment_alloc or ostler_segment_get told it; never read through.
 * - out: written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FOREIGN_POINTER, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: segment NULL is OSTLER_E_INVALID_HANDLE; memory NULL is OSTLER_E_FOREIGN_POINTER; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_find(struct ostler_segment *segment,
                                  const void *memory,
                                  struct ostler_segment_block *out);

/**
 * Names the block that whoever attaches begins with.
 *
 * Parameters:
 * - segment: borrowed.
 * - block: one of the segment's.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_STALE_BLOCK,
 * OSTLER_E_UNSUPPORTED (it is attached for reading only), OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe, between processes as well: what was written to the block before is seen by whoever gets
 * the root.
 * NULL: segment NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_set_root(struct ostler_segment *segment,
                                      struct ostler_segment_block block);

/**
 * Tells the block that was named as the root.
 *
 * Parameters:
 * - segment: borrowed.
 * - out: written only on success, else 0; 0 as well when none was named since the last reset.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe, between processes as well.
 * NULL: segment NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_get_root(struct ostler_segment *segment,
                                      struct ostler_segment_block *out);

/**
 * Frees every block: all that any process has of them is stale, and the root is none.
 *
 * Parameters:
 * - segment: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_UNSUPPORTED (only the
 * process that made the segment can), OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no thread of any process may allocate, or use a block, meanwhile.
 * NULL: segment NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_reset(struct ostler_segment *segment);

/**
 * Tells what the segment holds, and whether the process that made it is still there.
 *
 * Parameters:
 * - segment: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: segment NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_get_stats(struct ostler_segment *segment,
                                       struct ostler_segment_stats *out);

/**
 * Tells what memory the segment was asked to be, what it got, and why. A process that attached knows what it got only,
 * as far as it has touched it.
 *
 * Parameters:
 * - segment: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: segment NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_get_receipt(struct ostler_segment *segment,
                                         ostler_receipt *out);

/**
 * Destroys a segment here: its memory is unmapped, so what lies in it must not be used any more. Other processes keep
 * theirs; the last one that does gives the memory back. When the process that made it does, no block is allocated any
 * more.
 *
 * Parameters:
 * - segment: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Exclusive: no other thread may use the segment's memory any more; other calls are waited for.
 * NULL: segment NULL is OSTLER_OK and does nothing.
 * Blocking: waits for those calls to return; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_segment_destroy(struct ostler_segment *segment);


/* ======================================================================
 * Governor of memory: one for the process. Every object is charged for the memory that it holds, and what would pass the
 * limit is refused before it is taken. The limit is the least of what is configured here and what the kernel allows:
 * control groups of both versions, the machine's memory, RLIMIT_AS; it is read anew, because it may change.
 * ====================================================================== */

/** There is room. */
#define OSTLER_LEVEL_LOW 0

/** Memory is in use as it is meant to be. */
#define OSTLER_LEVEL_NORMAL 1

/** Memory is short: what can be done without should go. */
#define OSTLER_LEVEL_HIGH 2

/** The next step may be an out-of-memory kill or a stall of seconds: only what is essential is granted. */
#define OSTLER_LEVEL_CRITICAL 3

/** The level is low. */
#define OSTLER_PRESSURE_NONE 0

/** What is charged, against the configured limit. */
#define OSTLER_PRESSURE_LIMIT 1

/** A control group, by what it uses or by what is charged. */
#define OSTLER_PRESSURE_CGROUP 2

/** The memory of the machine. */
#define OSTLER_PRESSURE_MACHINE 3

/** RLIMIT_AS. */
#define OSTLER_PRESSURE_ADDRESS_SPACE 4

/** The memory of one of several nodes; never critical, because the kernel goes to another one. */
#define OSTLER_PRESSURE_NODE 5

/** Threads wait for memory (pressure stall information). */
#define OSTLER_PRESSURE_STALL 6


/* ======================================================================
 * What the governor is told: how much memory the process may hold, and when that is how short.
 * ====================================================================== */

/** How much memory the process may hold, and when that is how short. */
typedef struct ostler_governor_config {
    /** sizeof(ostler_governor_config). */
    uint32_t struct_size;
    /**
     * All that is charged together may be this share of the kernel's least limit, in percent; 1 to 100; 0: no such
     * limit.
     */
    uint32_t limit_percent;
    /** All that is charged together may be this much; 0: no such limit. */
    uint64_t limit_bytes;
    /** The level is normal from this fill of any limit on, in percent; 1 to 100; 0: 50. */
    uint32_t normal_percent;
    /** High; at least normal_percent; 0: 80. */
    uint32_t high_percent;
    /** Critical; at least high_percent; 0: 95. */
    uint32_t critical_percent;
    /** A level ends when the fill is so much below its begin; below normal_percent; 0: 5. */
    uint32_t hysteresis_percent;
    /** The level is high when some thread waited for memory in this share of the time, in percent; 1 to 100; 0: 10. */
    uint32_t stall_high_percent;
    /** The level is critical when all threads did; 1 to 100; 0: 10. */
    uint32_t stall_critical_percent;
    /** How often the governor's thread looks; 10 ms to 60 s; 0: 250 ms. */
    uint64_t tick_ns;
    /** A level that is measured, not charged, ends only after so long without cause; at most 1 hour; 0: 1 s. */
    uint64_t cool_down_ns;
    /**
     * 0: while the level is high, memory that can be done without is asked back, what costs least first, up to idle
     * resources of pools; while it is critical, of every kind. 1: only when ostler_governor_reclaim is called.
     */
    uint32_t suggest_only;
    /** 0. */
    uint32_t reserved;
    /**
     * The folder of the control group whose limits hold, and those of the groups above it; borrowed during the call;
     * NULL: the group that this process is in.
     */
    const char *cgroup_folder;
    /**
     * Where pressure stall information is read; borrowed during the call; NULL: memory.pressure of the group, else
     * /proc/pressure/memory. The kernel's alarm comes from there as well, unless $MEMORY_PRESSURE_WATCH names a file,
     * FIFO or socket for it; /dev/null there means that stalls count for nothing.
     */
    const char *pressure_file;
    /**
     * How often the thread looks at what has become of the memory of each object, see ostler_seen: one object at a tick, or
     * a part of one, for at most a thousandth of its time, and not while memory is short; at least 10 ms; 0: 1 minute;
     * OSTLER_FOREVER: never.
     */
    uint64_t coverage_period_ns;
} ostler_governor_config;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_governor_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_governor_config_init(struct ostler_governor_config *config, uint32_t struct_size);

/**
 * Governs the process: sets how much memory it may hold, and when that is how short, in place of what was set before,
 * and starts the governor's thread. What is held already stays, also when it is more. Without this call the limits of
 * the kernel hold, and at no level is anything refused for its sake.
 *
 * Parameters:
 * - config: borrowed during the call.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_SYSTEM (the thread could not be
 * started; nothing is changed), OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL: all is as before the first call, and the thread ends unless somebody keeps a watch.
 * Blocking: as long as the kernel takes to tell its limits; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_governor_configure(const struct ostler_governor_config *config);


/* ======================================================================
 * What the process holds, how much it may, and what the kernel says beside that.
 * ====================================================================== */

/** Nothing limits the process. */
#define OSTLER_LIMITED_BY_NOTHING 0

/** ostler_governor_configure. */
#define OSTLER_LIMITED_BY_CONFIG 1

/** memory.max of the process's control group, or of one above it. */
#define OSTLER_LIMITED_BY_CGROUP_MAX 2

/** memory.high of the process's control group, or of one above it. */
#define OSTLER_LIMITED_BY_CGROUP_HIGH 3

/** memory.limit_in_bytes of version 1 of control groups. */
#define OSTLER_LIMITED_BY_CGROUP_V1 4

/** The memory that the machine has. */
#define OSTLER_LIMITED_BY_MACHINE 5

/** RLIMIT_AS. */
#define OSTLER_LIMITED_BY_ADDRESS_SPACE 6

/** What the process holds, how much it may, and what the kernel says beside that. */
typedef struct ostler_governor_stats {
    /** sizeof(ostler_governor_stats), set by the caller. */
    uint32_t struct_size;
    /** OSTLER_LIMITED_BY_...: whose limit is the least. */
    uint32_t limited_by;
    /** That limit; UINT64_MAX without one. */
    uint64_t limit_bytes;
    /** What ostler_governor_configure set, a share of the kernel's least limit in bytes; UINT64_MAX without one. */
    uint64_t configured_limit_bytes;
    /** Charged to all accounts together, those of devices left out. */
    uint64_t held_bytes;
    /** The most that held_bytes ever was. */
    uint64_t peak_held_bytes;
    /** Part of held_bytes that lies in the machine's pool of huge pages, which the kernel counts apart. */
    uint64_t huge_pool_bytes;
    /** Charged to accounts of devices. */
    uint64_t device_bytes;
    /** Accounts that are open. */
    uint64_t accounts;
    /** Charges and reservations that were refused. */
    uint64_t refusals;
    /** Measured: memory of this process that is resident. */
    uint64_t resident_bytes;
    /**
     * Measured: memory that counts against the tightest limit of the kernel, but is charged to no account: of this
     * process and of others.
     */
    uint64_t beside_bytes;
    /** The limit of the control group that is used most, in relation; UINT64_MAX without one. */
    uint64_t cgroup_limit_bytes;
    /** Measured: how far it is used, pages of files that can go left out. */
    uint64_t cgroup_used_bytes;
    /** The memory that the machine has. */
    uint64_t machine_bytes;
    /** Measured: what of it is free, or free as soon as it is wanted. */
    uint64_t machine_available_bytes;
    /** OSTLER_LEVEL_... */
    uint32_t level;
    /** OSTLER_PRESSURE_...: what the level comes from. */
    uint32_t pressure;
    /** Measured: thousandths of the time between the last two looks in which some thread waited for memory. */
    uint32_t stall_some_permille;
    /** The same for all threads at once. */
    uint32_t stall_full_permille;
    /** 1: the kernel wakes the governor's thread when threads wait for memory. 0: that is only measured at each tick. */
    uint32_t alarm_armed;
    /**
     * Why it does not, where that was tried: EOPNOTSUPP when the file is none of the kernel's, EPIPE when the alarm broke,
     * as it does when its group goes; else 0.
     */
    int32_t alarm_errno;
    /** Alarms behind which no stall was: the kernel gives one after it is armed. */
    uint64_t false_alarms;
    /** How much must go before the level is no longer high; 0 when it is not. */
    uint64_t excess_bytes;
    /** How often somebody was asked to give memory back. */
    uint64_t reclaims;
    /** What was charged less after that. */
    uint64_t reclaimed_bytes;
    /** Looks of the governor's thread. */
    uint64_t ticks;
    /** What they took of a processor. */
    uint64_t tick_cpu_ns;
    /** What was last seen of the memory of all accounts together. Nobody looks for this call. */
    ostler_seen seen;
    /** How often the governor's thread looked at the memory of an object. */
    uint64_t coverage_looks;
    /** What that took of a processor. */
    uint64_t coverage_cpu_ns;
} ostler_governor_stats;

/**
 * Tells what the process holds, how much it may, and what the kernel says beside that. The kernel is asked anew.
 *
 * Parameters:
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each number is right for some moment of the call.
 * NULL: out must not be NULL.
 * Blocking: as long as the kernel takes to tell; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_governor_get_stats(struct ostler_governor_stats *out);


/* ======================================================================
 * Watches of the level: callbacks that are told of each change.
 * ====================================================================== */

/** A change of the level, as it is told of. */
typedef struct ostler_level_change {
    /** sizeof(ostler_level_change) of the library. */
    uint32_t struct_size;
    /** OSTLER_LEVEL_... */
    uint32_t level;
    /** OSTLER_LEVEL_... before. */
    uint32_t level_before;
    /** OSTLER_PRESSURE_...: what the level comes from. */
    uint32_t pressure;
    /** Charged at that moment. */
    uint64_t held_bytes;
    /** The least limit at that moment; UINT64_MAX without one. */
    uint64_t limit_bytes;
} ostler_level_change;

/**
 * Is told of a change of the level: on the governor's thread, with no lock held, each change once and in order. It may
 * call the library, also to end its own watch; what takes long there holds up the next change. change is borrowed
 * during the call.
 */
typedef void (*ostler_level_callback)(void *user_data, const struct ostler_level_change *change);

/**
 * Has a callback told of each change of the level from now on, and starts the governor's thread.
 *
 * Parameters:
 * - callback: called on the governor's thread until the watch ends.
 * - user_data: handed to it; must stay valid until ostler_governor_unwatch, or ostler_shutdown, has returned; where it ends
 *   inside the callback, until that has returned.
 * - watch_id: written only on success, else 0; names the watch for ostler_governor_unwatch.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM (the thread could not be
 * started), OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: callback and watch_id must not be NULL; user_data may be NULL.
 * Blocking: as long as the kernel takes to tell its limits; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_governor_watch(ostler_level_callback callback,
                                    void *user_data,
                                    uint64_t *watch_id);

/**
 * Ends a watch. When this returns, its callback runs no more.
 *
 * Parameters:
 * - watch_id: of ostler_governor_watch.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (there is no such watch, or it was ended), OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer.
 * Blocking: waits while the callback runs; inside that callback it returns at once, and this call of it is the last.
 * Since: 0.1
 */
ostler_status ostler_governor_unwatch(uint64_t watch_id);


/* ======================================================================
 * Accounts that are open: who holds how much.
 * ====================================================================== */

/** Who holds memory: an arena. */
#define OSTLER_HOLDER_ARENA 1

/** A heap. */
#define OSTLER_HOLDER_HEAP 2

/** A slab. */
#define OSTLER_HOLDER_SLAB 3

/** A set of buffers. */
#define OSTLER_HOLDER_BUFFERS 4

/** A lazy value. */
#define OSTLER_HOLDER_LAZY 5

/** A mapped file. */
#define OSTLER_HOLDER_FILE 6

/** A segment that other processes can map. */
#define OSTLER_HOLDER_SHARED 7

/** A pool. */
#define OSTLER_HOLDER_POOL 8

/** The workers of a model. */
#define OSTLER_HOLDER_WORKER 9

/** The host: a cache, the heap of another runtime, whatever it reports. */
#define OSTLER_HOLDER_EXTERNAL 10

/** Memory of a device, which counts against no limit but its account's own. */
#define OSTLER_HOLDER_DEVICE 11

/** What an account is and holds. */
typedef struct ostler_account_info {
    /** Never used again for another account. */
    uint64_t id;
    /** The account that is charged for the same bytes; 0: none but that of the process. */
    uint64_t parent_id;
    uint64_t held_bytes;
    /** The most that held_bytes ever was. */
    uint64_t peak_bytes;
    /** The account's own limit; 0: none. */
    uint64_t limit_bytes;
    /** OSTLER_HOLDER_... */
    uint32_t holder;
    /** 0. */
    uint32_t reserved;
    char name[OSTLER_NAME_BYTES];
    /** What was last seen of its memory. Nobody looks for this call. */
    ostler_seen seen;
} ostler_account_info;

/**
 * Lists the accounts that are open, the largest first: who holds how much. Accounts that another one pays for as well
 * are listed beside it.
 *
 * Parameters:
 * - accounts: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
 * - capacity: its elements; 0 only counts.
 * - count: written; how many accounts are open, which may be more than capacity; 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each number was right at some moment of the call; nobody is held up.
 * NULL: accounts may be NULL when capacity is 0; count must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_governor_list_accounts(struct ostler_account_info *accounts,
                                            uint64_t capacity,
                                            uint64_t *count);


/* ======================================================================
 * Memory that is asked back: who could give how much, and what came of it.
 * ====================================================================== */

/** What it costs to get memory back, least first: nothing; it is empty. */
#define OSTLER_RECLAIM_EMPTY 0

/** It is loaded again at the next access. */
#define OSTLER_RECLAIM_LAZY 1

/** Idle resources of pools are made again. */
#define OSTLER_RECLAIM_POOL 2

/** Blocks are moved together. */
#define OSTLER_RECLAIM_COMPACT 3

/** Idle workers are started again. */
#define OSTLER_RECLAIM_WORKER 4

/** Memory that somebody could give back. */
typedef struct ostler_suggestion {
    /** Whose memory it is, as ostler_account_info tells; 0: no account is charged for it. */
    uint64_t account_id;
    /** How much could be freed, as far as that is known. */
    uint64_t bytes;
    /** How long ago it was last of use. */
    uint64_t idle_ns;
    /** OSTLER_RECLAIM_... */
    uint32_t kind;
    /** OSTLER_HOLDER_...; 0 when no account tells. */
    uint32_t holder;
    /** The account's. */
    char name[OSTLER_NAME_BYTES];
} ostler_suggestion;

/** What somebody was asked to give back, and what came of it. */
typedef struct ostler_reclaimed {
    /** Who was asked. */
    struct ostler_suggestion from;
    /** For how much. */
    uint64_t asked_bytes;
    /** What it says to have freed. */
    uint64_t claimed_bytes;
    /** What is charged less than before: to its account, or to all together without one. */
    uint64_t freed_bytes;
    /** Measured: what of the process is resident less than before; other threads take and free meanwhile. */
    uint64_t resident_bytes;
} ostler_reclaimed;

/**
 * Tells who could give how much memory back, in the order in which they would be asked: what costs least to get back
 * first, and among that what was not used for longest. Nobody is asked for anything. What the level comes from, and how
 * much must go, stands in ostler_governor_get_stats.
 *
 * Parameters:
 * - suggestions: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
 * - capacity: its elements; 0 only counts.
 * - count: written; how many there are, which may be more than capacity; 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each number was right at some moment of the call.
 * NULL: suggestions may be NULL when capacity is 0; count must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_governor_suggest(struct ostler_suggestion *suggestions,
                                      uint64_t capacity,
                                      uint64_t *count);

/**
 * Asks for memory back, as ostler_governor_suggest has it, until as much is freed as was wanted or nobody is left, and
 * tells what each of them really freed.
 *
 * Parameters:
 * - bytes: how much is wanted; UINT64_MAX asks everybody.
 * - up_to_kind: OSTLER_RECLAIM_...: what costs more than that stays.
 * - reclaimed: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
 * - capacity: its elements; 0 only counts.
 * - count: written; how many were asked, which may be more than capacity; 0 after a failure.
 * - freed_bytes: written; how much was freed in all; 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_BUSY (memory is being asked back already: on another thread, or in a reclaim callback
 * that this call was made from), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe; one call at a time.
 * NULL: reclaimed may be NULL when capacity is 0; count and freed_bytes may be NULL.
 * Blocking: as long as those who are asked take; their callbacks run on this thread, the unload of a model on its worker's.
 * Since: 0.1
 */
ostler_status ostler_governor_reclaim(uint64_t bytes,
                                      uint32_t up_to_kind,
                                      struct ostler_reclaimed *reclaimed,
                                      uint64_t capacity,
                                      uint64_t *count,
                                      uint64_t *freed_bytes);


/* ======================================================================
 * Account: memory that the host takes itself, or holds already, in the governor's books. What is about to be taken is
 * reserved, and may be refused; what is there already is reported.
 * ====================================================================== */

/** The reservation is granted while memory is critically short, too, as long as no limit is passed. */
#define OSTLER_RESERVE_ESSENTIAL 1

/** What the host takes or holds itself. */
typedef struct ostler_account ostler_account;

/**
 * Frees about bytes of what an account holds, releases or reports that to the account, and writes to freed, which is 0 at
 * first, how much it was. Called with no lock held, on the governor's thread or on one that calls
 * ostler_governor_reclaim, one call at a time. It may call the library, but not destroy its own account. A failure is
 * told to the log, with the words of ostler_callback_set_message.
 */
typedef ostler_status (*ostler_reclaim_callback)(void *user_data, uint64_t bytes, uint64_t *freed);

/** What an account is for. */
typedef struct ostler_account_config {
    /** sizeof(ostler_account_config). */
    uint32_t struct_size;
    /** OSTLER_HOLDER_EXTERNAL or OSTLER_HOLDER_DEVICE; 0: external. */
    uint32_t holder;
    /**
     * An account that is charged for the same bytes, with a limit for all that are below it; borrowed during the call;
     * NULL: none but that of the process.
     */
    struct ostler_account *parent;
    /**
     * What may be reserved in this account and those below it; what is reported counts, but is never refused; 0: no
     * limit of its own.
     */
    uint64_t limit_bytes;
    /** 1: every reservation is as with OSTLER_RESERVE_ESSENTIAL. */
    uint32_t essential;
    /** OSTLER_RECLAIM_...: what it costs to get back what reclaim frees; 0: nothing. Only with reclaim. */
    uint32_t reclaim_kind;
    /** Frees memory that the account holds, when it runs short and the host can do without; NULL: it cannot. */
    ostler_reclaim_callback reclaim;
    /** Handed to reclaim; must stay valid until the account is destroyed. */
    void *user_data;
    /** Shown in reports and in the words of a refusal. */
    char name[OSTLER_NAME_BYTES];
} ostler_account_config;

/** What an account holds. */
typedef struct ostler_account_stats {
    /** sizeof(ostler_account_stats), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** All that is charged, what accounts below it hold included. */
    uint64_t held_bytes;
    /** Part of it that was reserved in this account. */
    uint64_t reserved_bytes;
    /** Part of it that was reported to this account. */
    uint64_t reported_bytes;
    /** The most that held_bytes ever was. */
    uint64_t peak_bytes;
    /** The account's own limit; 0: none. */
    uint64_t limit_bytes;
} ostler_account_stats;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_account_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_account_config_init(struct ostler_account_config *config, uint32_t struct_size);

/**
 * Opens an account.
 *
 * Parameters:
 * - config: borrowed during the call.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_account_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE (parent), OSTLER_E_CLOSED (parent),
 * OSTLER_E_QUARANTINED (parent), OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT (too many accounts below
 * each other), OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL, which takes every default; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_account_create(const struct ostler_account_config *config,
                                    struct ostler_account **out);

/**
 * Asks for memory before it is taken. Granted bytes are held until they are released, also in the accounts above.
 *
 * Parameters:
 * - account: borrowed.
 * - bytes: how much; 0 is granted; at most 2^56.
 * - flags: 0 or OSTLER_RESERVE_ESSENTIAL.
 *
 * Returns: OSTLER_OK, OSTLER_E_MEMORY_PRESSURE (the message has the limit and the largest holders), OSTLER_E_LIMIT (of
 * this account or one above it), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: account NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: now and then as long as the kernel takes to tell its limits; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_account_reserve(struct ostler_account *account,
                                     uint64_t bytes,
                                     uint32_t flags);

/**
 * Ends a reservation, or a part of it. Needs no memory.
 *
 * Parameters:
 * - account: borrowed.
 * - bytes: how much; at most what is reserved in this account.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: account NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_account_release(struct ostler_account *account,
                                     uint64_t bytes);

/**
 * Tells what the host holds beside its reservations, in place of what was told before: the heap of another runtime, the
 * memory of a device. It is never refused for want of room, because it is there already, but leaves less for others.
 *
 * Parameters:
 * - account: borrowed.
 * - bytes: how much is held now; at most 2^56.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_LIMIT or OSTLER_E_MEMORY_PRESSURE (the sum is more than 64 bits can hold; nothing is
 * changed), OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe; of two calls the later one holds.
 * NULL: account NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: now and then as long as the kernel takes to tell its limits; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_account_report(struct ostler_account *account,
                                    uint64_t bytes);

/**
 * Tells that what the account holds was of use just now. What was not used for longest is freed first; reserving and
 * reporting count as use as well.
 *
 * Parameters:
 * - account: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: account NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_account_touch(struct ostler_account *account);

/**
 * Tells what an account holds.
 *
 * Parameters:
 * - account: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: account NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_account_get_stats(struct ostler_account *account,
                                       struct ostler_account_stats *out);

/**
 * Closes an account. What was reserved in it or reported to it is held no more; accounts below it stay, and go on to be
 * limited by it.
 *
 * Parameters:
 * - account: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside its own reclaim callback; nothing happens),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: account NULL is OSTLER_OK and does nothing.
 * Blocking: waits for calls on the account, and for its reclaim callback, to return; that runs no more afterwards.
 * Since: 0.1
 */
ostler_status ostler_account_destroy(struct ostler_account *account);


/* ======================================================================
 * Lazy: a value that is loaded at the first access, by one thread while others wait; pinned while it is used; dropped when
 * memory runs short, and loaded again at the next access.
 * ====================================================================== */

/**
 * The layout that ostler_inline.h of this version knows. A library with another one writes another number into its
 * readers, and the inline code calls the library.
 */
#define OSTLER_READER_LAYOUT 1

/** A value that is loaded when it is needed. */
typedef struct ostler_lazy ostler_lazy;

/** How a lazy value is kept. */
typedef struct ostler_lazy_config {
    /** sizeof(ostler_lazy_config). */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** What memory a file is read into; borrowed during the call; NULL: the defaults of ostler_page_source_init. */
    const ostler_page_source *source;
    /** Shown in reports. */
    char name[OSTLER_NAME_BYTES];
} ostler_lazy_config;

/**
 * What the host does for a lazy value. Both are called with no lock held, on the thread that pins, drops, invalidates or
 * destroys, or on the governor's. They may call the library; a load that pins its own value gets OSTLER_E_WOULD_DEADLOCK. A
 * C++ exception must not leave one.
 */
typedef struct ostler_lazy_callbacks {
    /** sizeof(ostler_lazy_callbacks). */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /**
     * Makes the value, which must not be NULL; required. size_bytes holds 0: it writes what the value counts against the
     * memory of the process. Called by one thread at a time. After a failure each pin fails with its words, until it is
     * tried again: after 100 ms, then 200 ms, up to 30 s.
     */
    ostler_status (*load)(void *user_data, void **value, uint64_t *size_bytes);
    /** Ends a value that nobody uses any more; may be NULL. */
    void (*drop)(void *user_data, void *value);
} ostler_lazy_callbacks;

/**
 * One thread's way to pin a lazy value, made by ostler_reader_open. The fields are for ostler_inline.h; programs use its
 * functions, or ostler_reader_pin and ostler_reader_unpin.
 */
typedef struct ostler_reader {
    /** OSTLER_READER_LAYOUT, or another number that sends every pin into the library. */
    uint32_t layout;
    /** 1: the library wants to hear of the last unpin. */
    uint32_t attention;
    /** How often it pinned, in the upper half, and how many pins it holds. */
    uint64_t word;
    /** Where the value stands; NULL there when there is none. */
    void **published;
    /** The library's own. */
    uint64_t private_words[5];
} ostler_reader;

/** What a lazy value is and did. */
typedef struct ostler_lazy_stats {
    /** sizeof(ostler_lazy_stats), set by the caller. */
    uint32_t struct_size;
    /** 1: it is loaded. */
    uint32_t is_loaded;
    /** 1: a thread loads it. */
    uint32_t is_loading;
    /** 0. */
    uint32_t reserved;
    /** How often it was loaded: the version of the value that is there, or was last. */
    uint64_t version;
    /** What it counts. */
    uint64_t value_bytes;
    /** Readers that are open. */
    uint64_t readers;
    /** Values that were invalidated, and are still pinned. */
    uint64_t leaving;
    /** How often it was pinned. */
    uint64_t pins;
    /** Loads that failed. */
    uint64_t load_failures;
    /** How often it was dropped because memory ran short, or by ostler_lazy_drop. */
    uint64_t drops;
    /** Calls of ostler_lazy_invalidate. */
    uint64_t invalidations;
} ostler_lazy_stats;

/** What the value of ostler_lazy_open_file points to. */
typedef struct ostler_lazy_content {
    /** The bytes of the file, at the moment at which it was read. */
    const void *data;
    uint64_t size_bytes;
} ostler_lazy_content;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_lazy_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_lazy_config_init(struct ostler_lazy_config *config, uint32_t struct_size);

/**
 * Empties a table of callbacks.
 *
 * Parameters:
 * - callbacks: written only on success.
 * - struct_size: sizeof(ostler_lazy_callbacks).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: callbacks must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_lazy_callbacks_init(struct ostler_lazy_callbacks *callbacks, uint32_t struct_size);

/**
 * Makes a lazy value; nothing is loaded yet.
 *
 * Parameters:
 * - config: borrowed during the call.
 * - callbacks: borrowed during the call; load is required.
 * - user_data: handed to every callback; must stay valid until the lazy value and its last reader are gone.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_lazy_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL, which takes every default; user_data may be NULL; callbacks, its load and out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_lazy_create(const struct ostler_lazy_config *config,
                                 const struct ostler_lazy_callbacks *callbacks,
                                 void *user_data,
                                 struct ostler_lazy **out);

/**
 * Makes a lazy value of a file, whose value is an ostler_lazy_content. The file is read whole, so that nobody who shortens
 * it later can take it from under a reader; it is opened anew at each load.
 *
 * Parameters:
 * - config: borrowed during the call.
 * - path: borrowed during the call; NUL-terminated UTF-8.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_lazy_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_LIMIT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL, which takes every default; path and out must not be NULL.
 * Blocking: never blocks, the file is not touched; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_lazy_open_file(const struct ostler_lazy_config *config,
                                    const char *path,
                                    struct ostler_lazy **out);

/**
 * Pins the value for this thread, and loads it when it is not there. It stays until the thread lets go of its last pin.
 *
 * Parameters:
 * - lazy: borrowed.
 * - timeout_ns: how long to wait for another thread that loads it; 0 does not wait, OSTLER_FOREVER waits without bound. A
 *   load by this thread takes as long as it does.
 * - cancel: borrowed during the call; ends the wait.
 * - value: written only on success, else NULL; valid until the pin ends with ostler_lazy_unpin.
 *
 * Returns: OSTLER_OK, OSTLER_E_LOAD_FAILED (with the words of the load callback), OSTLER_E_MEMORY_PRESSURE,
 * OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_LIMIT, OSTLER_E_SYSTEM,
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe; the pin is this thread's.
 * NULL: lazy NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; value must not be NULL.
 * Blocking: as said; may be called from any callback but its own load.
 * Since: 0.1
 */
ostler_status ostler_lazy_pin(struct ostler_lazy *lazy,
                              uint64_t timeout_ns,
                              ostler_cancel *cancel,
                              void **value);

/**
 * Lets go of a pin of this thread.
 *
 * Parameters:
 * - lazy: borrowed, also when it was destroyed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (this thread has no pin of it), OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: the thread that pinned it.
 * NULL: lazy NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as the drop callback takes when the value was invalidated meanwhile, else never; may be called from
 * any callback.
 * Since: 0.1
 */
ostler_status ostler_lazy_unpin(struct ostler_lazy *lazy);

/**
 * Opens a reader: with it one thread at a time pins the value inline, by ostler_reader_pin_inline of ostler_inline.h,
 * without a call and without a locked operation.
 *
 * Parameters:
 * - lazy: borrowed.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_reader_close.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: lazy NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_reader_open(struct ostler_lazy *lazy,
                                 struct ostler_reader **out);

/**
 * Pins the value through a reader, and loads it when it is not there. Does the same as ostler_reader_pin_inline, which
 * calls it when the value is not there.
 *
 * Parameters:
 * - reader: borrowed.
 * - timeout_ns: as for ostler_lazy_pin.
 * - cancel: borrowed during the call; ends the wait.
 * - value: written only on success, else NULL; valid until the reader lets go of its last pin.
 *
 * Returns: OSTLER_OK, OSTLER_E_LOAD_FAILED (with the words of the load callback), OSTLER_E_MEMORY_PRESSURE,
 * OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_LIMIT, OSTLER_E_SYSTEM,
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a reader.
 * NULL: reader NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; value must not be NULL.
 * Blocking: as ostler_lazy_pin; may be called from any callback but its own load.
 * Since: 0.1
 */
ostler_status ostler_reader_pin(struct ostler_reader *reader,
                                uint64_t timeout_ns,
                                ostler_cancel *cancel,
                                void **value);

/**
 * Lets go of a pin of a reader. Does the same as ostler_reader_unpin_inline, which calls it when somebody waits for that.
 *
 * Parameters:
 * - reader: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (it holds no pin), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a reader.
 * NULL: reader NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as the drop callback takes when the value was invalidated meanwhile, else never; may be called from
 * any callback.
 * Since: 0.1
 */
ostler_status ostler_reader_unpin(struct ostler_reader *reader);

/**
 * Tells the library that a reader has let go of its last pin; for ostler_reader_unpin_inline, which has seen that
 * somebody waits for that.
 *
 * Parameters:
 * - reader: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a reader.
 * NULL: reader NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as the drop callback takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_reader_settle(struct ostler_reader *reader);

/**
 * Closes a reader that holds no pin. Closing the last one of a destroyed lazy value ends it.
 *
 * Parameters:
 * - reader: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_BUSY (it holds a pin; nothing happens), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: no other thread may use the reader meanwhile; any thread may close it.
 * NULL: reader NULL is OSTLER_OK and does nothing.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_reader_close(struct ostler_reader *reader);

/**
 * Makes the value one that is not used any more: the next pin loads anew, at once also after failed loads. Who holds a pin
 * keeps what he has; it is dropped when the last such pin ends.
 *
 * Parameters:
 * - lazy: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. A load that began before is done again.
 * NULL: lazy NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as the drop callback takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_lazy_invalidate(struct ostler_lazy *lazy);

/**
 * Drops the value, as happens when memory runs short: unless somebody holds a pin.
 *
 * Parameters:
 * - lazy: borrowed.
 * - freed_bytes: written; what the value counted, 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_BUSY (it is pinned, or not loaded; nothing happens), OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: lazy NULL is OSTLER_E_INVALID_HANDLE; freed_bytes may be NULL.
 * Blocking: as long as the drop callback takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_lazy_drop(struct ostler_lazy *lazy, uint64_t *freed_bytes);

/**
 * Tells what a lazy value is and did.
 *
 * Parameters:
 * - lazy: borrowed.
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: lazy NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_lazy_get_stats(struct ostler_lazy *lazy,
                                    struct ostler_lazy_stats *out);

/**
 * Destroys a lazy value. One that is pinned stays until the last pin ends; open readers must be closed.
 *
 * Parameters:
 * - lazy: owned; invalid afterwards, except for the unpins that are still to come.
 *
 * Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: lazy NULL is OSTLER_OK and does nothing.
 * Blocking: until a load that is under way has returned, and as long as the drop callback takes.
 * Since: 0.1
 */
ostler_status ostler_lazy_destroy(struct ostler_lazy *lazy);


/* ======================================================================
 * Request: what is submitted to a model, as its run callback sees it, and what became of it. An accepted request
 * ends in exactly one outcome: completed, failed, timed out, cancelled or shed.
 * ====================================================================== */

/**
 * Classes of requests, and of callers who wait for a lease. All of one class go before any of the next, and within a
 * class the oldest first.
 */
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
    /** The number of the worker that ran it; 0 as well when it did not run. */
    uint32_t worker;
    /** 0. */
    uint32_t reserved;
    /** Why it was not completed; NUL-terminated. */
    char message[OSTLER_MESSAGE_BYTES];
    /** The set of output_buffer. */
    ostler_buffers *output_buffers;
    /**
     * What the run callback has handed over, with one reference, which is the caller's to release, in a completion callback
     * the library's; 0: nothing, also when the caller's struct has no room for it, and unless completed.
     */
    ostler_buffer output_buffer;
} ostler_result;

/**
 * Takes the outcome of a request that was submitted with it: called once, on a thread of the library or on the one
 * that cancels or destroys, with no lock held; perhaps before the submit has returned. It may call the library, but not
 * destroy or drain its own model or orchestrator. The ticket is stale once it returns; result is valid until then.
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
    /** NULL, or takes the outcome; then wait, poll and forget refuse the ticket. */
    ostler_completion_callback on_complete;
    /**
     * Handed to the run callback in the item, and to on_complete; must stay valid until the outcome, and until on_complete
     * has returned.
     */
    void *user_data;
    /** The set of input_buffer; NULL when that is 0. */
    ostler_buffers *input_buffers;
    /**
     * 0, or a view that is the input, without a copy; then input is NULL. The request keeps a reference to it from its
     * submit until its outcome is taken.
     */
    ostler_buffer input_buffer;
} ostler_request;

/**
 * One request as the run callback sees it: made by the library, valid until the callback returns. The callback writes
 * output_bytes, status and message.
 */
typedef struct ostler_item {
    /** sizeof(ostler_item) of the library. */
    uint32_t struct_size;
    /** OSTLER_PRIORITY_..., never the default's 0. */
    uint32_t priority;
    /** As submitted. */
    const void *input;
    uint64_t input_bytes;
    void *output;
    uint64_t output_capacity_bytes;
    /** Bytes written to output; at most output_capacity_bytes, or the request fails. */
    uint64_t output_bytes;
    /** OSTLER_OK, or why this item failed: any other number, of the host's own choice. */
    ostler_status status;
    /** 0. */
    uint32_t reserved;
    /** Points to a number that becomes 1 when the request is cancelled; read it with an atomic load now and then. */
    const uint32_t *cancelled;
    /** As submitted. */
    void *user_data;
    struct ostler_ticket ticket;
    /** Words for the failure; NUL-terminated. */
    char message[OSTLER_MESSAGE_BYTES];
    /** As submitted; the request keeps a reference of its own. */
    ostler_buffers *input_buffers;
    ostler_buffer input_buffer;
    /** The set of output_buffer; NULL. */
    ostler_buffers *output_buffers;
    /**
     * 0, or what the callback hands over with the outcome, with one reference: to hand the input over, or a part of it, it
     * is retained, or sliced.
     */
    ostler_buffer output_buffer;
} ostler_item;

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
 * Pool: resources that are expensive to make are made once, checked, leased out, and taken back. A lease names one
 * use of one resource; a second release of it is an error and harms nobody.
 * ====================================================================== */

/** Keeps resources of one kind warm. */
typedef struct ostler_pool ostler_pool;

/**
 * Names one use of one resource. A value of 0 is never a lease. One that has ended stays stale until its place in the pool
 * has been leased another 2^(48 - s) - 1 times, where s is how many bits the capacity less 1 has.
 */
typedef struct ostler_lease {
    uint64_t value;
} ostler_lease;

/** A lease that is out. */
typedef struct ostler_lease_info {
    struct ostler_lease lease;
    void *resource;
    /** How long it has lasted, to a quarter of the shortest of the pool's times; 0 when nobody has looked at the clock. */
    uint64_t held_ns;
    /** The thread that acquired it, as gettid has it. */
    uint32_t thread_id;
    /** From where it was acquired, for ostler_tracing_print_site; 0 while tracing was off. */
    uint32_t call_site;
} ostler_lease_info;


/* ======================================================================
 * What a pool is told when it is made: its bounds, and the order in which it leases.
 * ====================================================================== */

/** Idle orders: the warmest resource is leased next, so that what is not needed grows old and can go. */
#define OSTLER_IDLE_LAST_USED_FIRST 0

/** Each resource is leased in its turn, so that all stay in use. */
#define OSTLER_IDLE_LONGEST_FIRST 1

/**
 * Affinities: with OSTLER_IDLE_LAST_USED_FIRST a thread gets first of all the resource that it released last itself. For
 * others, and with OSTLER_IDLE_LONGEST_FIRST, there is one order for all.
 */
#define OSTLER_AFFINITY_THREAD 0

/**
 * An idle resource stays with the NUMA node on which it was used last: each caller gets, in the idle_order, one of the node
 * that runs it, else of the nearest node that has one. On a machine whose CPUs are all of one node this is
 * OSTLER_AFFINITY_THREAD.
 */
#define OSTLER_AFFINITY_NODE 1

/** The bounds of a pool. */
typedef struct ostler_pool_config {
    /** sizeof(ostler_pool_config). */
    uint32_t struct_size;
    /** Resources that are made in the background and kept however long they are idle; at most max_size. */
    uint32_t min_size;
    /** Most resources there are at once; 1 to 1048576; 0: 16. */
    uint32_t max_size;
    /** For whom an idle resource is kept by preference: OSTLER_AFFINITY_THREAD (0) or OSTLER_AFFINITY_NODE. */
    uint32_t affinity;
    /** A resource above min_size that was idle this long is destroyed, at the latest half as long afterwards; 0: never. */
    uint64_t idle_timeout_ns;
    /** validate is called only for a resource that was idle this long; 0: every time. */
    uint64_t validate_after_ns;
    /** Shown in the log. */
    char name[OSTLER_NAME_BYTES];
    /**
     * The most that a later ostler_pool_resize may set max_size to; max_size to 1048576; 0: max_size. The memory for
     * so many places is taken at once: 36 bytes each, 16 more with OSTLER_IDLE_LONGEST_FIRST or retag (for each node, with
     * OSTLER_AFFINITY_NODE, and 4 more for that), and 8 more for each of retag, max_uses and max_lifetime_ns.
     */
    uint32_t capacity;
    /** Resources that are made in the background so that as many are idle, as far as max_size allows; at most max_size. */
    uint32_t min_idle;
    /**
     * Beyond this many resources one that is released is destroyed when nobody waits for it; min_size to capacity;
     * 0: all are kept.
     */
    uint32_t soft_max_size;
    /**
     * Threads on which resources are made, so that no caller is held up by create; at most 64; 0: a caller makes what
     * it needs on its own thread, and min_size and min_idle are made one after the other.
     */
    uint32_t creator_threads;
    /**
     * After so many failures of create in a row it is called only now and then, after 100 ms at first and 30 s at
     * last, until it succeeds; 0: 5. Meanwhile a pool that has no resource fails its callers at once.
     */
    uint32_t breaker_failures;
    /** Which idle resource is leased next: OSTLER_IDLE_LAST_USED_FIRST (0) or OSTLER_IDLE_LONGEST_FIRST. */
    uint32_t idle_order;
    /** A resource is destroyed after this many leases; 0: never. */
    uint64_t max_uses;
    /**
     * A resource this old is destroyed when it is next idle, at the latest a quarter as long afterwards; never while it
     * is leased; 0: it may be of any age.
     */
    uint64_t max_lifetime_ns;
    /**
     * Each lifetime is shorter by up to this, by chance, so that not all end at once; at most max_lifetime_ns; 0: a
     * tenth of max_lifetime_ns.
     */
    uint64_t lifetime_jitter_ns;
    /**
     * validate is called in the background for a resource that was idle this long, and again after each such time, so
     * that it is not closed at the other end, and is replaced when it was; 0: never.
     */
    uint64_t keepalive_ns;
    /**
     * A lease that lasts longer is told to the log and to the overdue callback, at the latest a quarter as long
     * afterwards; 0: none is.
     */
    uint64_t lease_limit_ns;
    /**
     * Of max_size, so many are kept for callers of OSTLER_PRIORITY_HIGH and OSTLER_PRIORITY_CRITICAL: all others together
     * lease at most the rest; less than max_size; 0: none are.
     */
    uint32_t reserved_high;
    /**
     * 1: a caller who would still wait when its time is up, at the rate at which those before it are served, is refused at
     * once with OSTLER_E_OVERLOADED; 0: it waits.
     */
    uint32_t refuse_hopeless;
    /**
     * When nobody has waited less than this for wait_interval_ns, callers who have waited longer get OSTLER_E_OVERLOADED
     * when their turn comes, so that those who came last are served in time (controlled delay); 0: never.
     */
    uint64_t target_wait_ns;
    /** 0: 100 ms. */
    uint64_t wait_interval_ns;
    /**
     * What each resource holds, as far as the host knows: charged to an account of the pool while it lives. One for which
     * the governor leaves no room is not made, which is a failure of create; when memory runs short, idle resources beyond
     * min_size are destroyed. 0: nothing is charged.
     */
    uint64_t resource_bytes;
    /**
     * For so long a caller that waits may be overtaken by one that comes later: a thread that leases and releases in turn goes
     * on with what it has at hand, at full speed, and the resource changes hands once in that while, not each time. What
     * lies unused is found by one who waits after a quarter of it at the latest. 0: who waits is never overtaken; else 0.2
     * to 10 ms are of use. 0 with min_idle, reserved_high, OSTLER_IDLE_LONGEST_FIRST, OSTLER_AFFINITY_NODE or retag.
     */
    uint64_t barging_ns;
} ostler_pool_config;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_pool_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_config_init(struct ostler_pool_config *config, uint32_t struct_size);


/* ======================================================================
 * What the host does for a pool: it makes resources, looks after them and ends them.
 * ====================================================================== */

/** A resource was made. */
#define OSTLER_POOL_EVENT_CREATED 1

/** A resource is about to be destroyed. */
#define OSTLER_POOL_EVENT_DESTROYED 2

/** create has failed breaker_failures times in a row. */
#define OSTLER_POOL_EVENT_BREAKER_OPENED 3

/** create has succeeded again. */
#define OSTLER_POOL_EVENT_BREAKER_CLOSED 4

#define OSTLER_POOL_EVENT_PAUSED 5

#define OSTLER_POOL_EVENT_RESUMED 6

#define OSTLER_POOL_EVENT_RESIZED 7

#define OSTLER_POOL_EVENT_REFRESHED 8

/** By a close or a destroy, before any resource goes. */
#define OSTLER_POOL_EVENT_CLOSED 9

/**
 * What the host does for a pool. All are called with the pool's user_data, with no lock held, on the thread that
 * acquires or releases, or on the pool's own. They may call the library, but not close or destroy their own pool. Each
 * resource is with one callback or one lease at a time. A C++ exception must not leave one.
 */
typedef struct ostler_pool_callbacks {
    /** sizeof(ostler_pool_callbacks). */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Makes a resource, which must not be NULL; required. */
    ostler_status (*create)(void *user_data, void **resource);
    /**
     * Tells whether an idle resource can still be used, before it is leased again; may be NULL. After a failure it is
     * destroyed and the next is taken.
     */
    ostler_status (*validate)(void *user_data, void *resource);
    /** Makes a released resource ready for the next use; may be NULL. After a failure it is destroyed. */
    ostler_status (*reset)(void *user_data, void *resource);
    /** Ends a resource, once for each that create made; required. */
    void (*destroy)(void *user_data, void *resource);
    /**
     * Hears, once, of a lease that has lasted longer than lease_limit_ns; may be NULL. info is borrowed during the call.
     * It may take the resource away from its holder with ostler_pool_discard, which destroys it: the host sees to it that
     * the holder does not use it any more.
     */
    void (*overdue)(void *user_data, const ostler_lease_info *info);
    /**
     * Gives a resource other settings, from those of one tag to those of another, before it is leased; may be NULL, and
     * then tags are ignored. A resource has the tag 0 when it is made. After a failure it is destroyed, and the acquire
     * fails with OSTLER_E_CREATE_FAILED.
     */
    ostler_status (*retag)(void *user_data, void *resource, uint64_t from_tag, uint64_t to_tag);
    /** Hears what happens to the pool: an OSTLER_POOL_EVENT_...; may be NULL. resource is NULL unless the event is about one. */
    void (*event)(void *user_data, uint32_t event, void *resource);
} ostler_pool_callbacks;

/**
 * Hears what became of an acquire that did not have its resource at once: called once, on the pool's own thread, with no
 * lock held. On OSTLER_OK the lease is its own to end; else lease is 0, resource NULL, status as for
 * ostler_pool_acquire_with, and ostler_last_error_message has the words. It may call the library, but not wait for a lease
 * of its own pool, nor close or destroy that.
 */
typedef void (*ostler_acquired_callback)(void *user_data,
                                         ostler_ticket ticket,
                                         ostler_status status,
                                         ostler_lease lease,
                                         void *resource);

/**
 * Rings for an acquire that waits in a way of its host's: ostler_pool_continue_acquire is to be called for it, now or soon.
 * Called with no lock held, on any thread, among them one that releases: it is to be short, and neither waits nor goes on with an acquire. It
 * may come late, when the acquire has ended.
 */
typedef void (*ostler_bell_callback)(void *user_data);

/**
 * Empties a table of callbacks.
 *
 * Parameters:
 * - callbacks: written only on success.
 * - struct_size: sizeof(ostler_pool_callbacks).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: callbacks must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_callbacks_init(struct ostler_pool_callbacks *callbacks, uint32_t struct_size);


/* ======================================================================
 * The life of a pool: made, closed, destroyed.
 * ====================================================================== */

/**
 * Makes a pool. With a min_size or min_idle, or a time after which something happens, it starts a thread, ostler-pool,
 * that looks after the resources; with creator_threads as many more, on which they are made. One that cannot be made in
 * the background is tried again after 100 ms, then 200 ms, up to 30 s, each time up to a quarter sooner, by chance.
 *
 * Parameters:
 * - config: borrowed during the call.
 * - callbacks: borrowed during the call; create and destroy are required.
 * - user_data: handed to every callback; must stay valid until the pool is destroyed and the last lease is back.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_pool_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM,
 * OSTLER_E_LIMIT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL, which takes every default; user_data may be NULL; callbacks, its create and destroy, and out must not be
 * NULL.
 * Blocking: as long as it takes to start a thread; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_create(const ostler_pool_config *config,
                                 const ostler_pool_callbacks *callbacks,
                                 void *user_data,
                                 ostler_pool **out);

/**
 * Leases nothing any more, ends waits with OSTLER_E_CLOSED, destroys what is idle, and waits until every lease is back
 * and every resource destroyed, also one that create is still making. The pool stays closed, also when the time is up
 * first; a later close goes on waiting. A destroy by another thread ends the wait with OSTLER_E_CLOSED.
 *
 * Parameters:
 * - pool: borrowed.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait.
 * - still_out: written; how many leases are out when the wait ends too early, which may be 0 when only a callback is
 *   still under way (the message tells); else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; cancel and still_out may be NULL.
 * Blocking: up to timeout_ns; not from a callback of the same pool (OSTLER_E_WOULD_DEADLOCK).
 * Since: 0.1
 */
ostler_status ostler_pool_close(ostler_pool *pool,
                                uint64_t timeout_ns,
                                ostler_cancel *cancel,
                                uint64_t *still_out);

/**
 * Destroys a pool: waits end with OSTLER_E_CLOSED, what is idle is destroyed. Leases that are out stay valid; each
 * release then destroys its resource, and the pool's memory goes with the last.
 *
 * Parameters:
 * - pool: owned; invalid afterwards, except for its leases.
 *
 * Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks, or inside one of an object whose destroy
 * would wait for this one while this one waits for it; nothing happens), OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_OK and does nothing.
 * Blocking: as long as the callbacks that are under way, and those that destroy, take.
 * Since: 0.1
 */
ostler_status ostler_pool_destroy(ostler_pool *pool);


/* ======================================================================
 * What can be done to a pool in use: waited for, trimmed, resized, paused, refreshed.
 * ====================================================================== */

/**
 * Waits until the resources are there that min_size and min_idle ask for, or until one of them cannot be made. What
 * failed before the call does not end it: a program that starts beside its server may call it again until it is
 * OSTLER_OK, and waits for the next attempt each time.
 *
 * Parameters:
 * - pool: borrowed.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait.
 * - ready: written; how many resources there are, also after a failure, for a display of the progress.
 * - wanted: written; how many there shall be.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT (with the words of the last failure), OSTLER_E_CANCELLED,
 * OSTLER_E_CREATE_FAILED (with the words of the create callback; the pool goes on trying), OSTLER_E_WOULD_DEADLOCK,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; cancel, ready and wanted may be NULL.
 * Blocking: up to timeout_ns; not from a callback of the same pool (OSTLER_E_WOULD_DEADLOCK).
 * Since: 0.1
 */
ostler_status ostler_pool_wait_warm(ostler_pool *pool,
                                    uint64_t timeout_ns,
                                    ostler_cancel *cancel,
                                    uint32_t *ready,
                                    uint32_t *wanted);

/**
 * Destroys idle resources beyond a number, as when memory is needed elsewhere: those first that were idle longest, where
 * the pool has a time by which it tells. As many as min_size asks for stay.
 *
 * Parameters:
 * - pool: borrowed.
 * - keep_idle: how many idle ones stay.
 * - trimmed: written; how many were destroyed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; trimmed may be NULL.
 * Blocking: as long as the destroy callbacks take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_trim(ostler_pool *pool,
                               uint32_t keep_idle,
                               uint32_t *trimmed);

/**
 * Changes the bounds of a pool that is in use. When there are too many resources, idle ones are destroyed at once, and
 * leased ones when they come back.
 *
 * Parameters:
 * - pool: borrowed.
 * - min_size: at most max_size, and at most the soft_max_size of the configuration.
 * - max_size: 1 to the capacity of the pool's configuration.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_LIMIT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as the destroy callbacks take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_resize(ostler_pool *pool,
                                 uint32_t min_size,
                                 uint32_t max_size);

/**
 * Leases nothing until ostler_pool_resume: callers wait, and ostler_pool_try_acquire is OSTLER_E_PAUSED. Leases that are
 * out stay good and can be released.
 *
 * Parameters:
 * - pool: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_pause(ostler_pool *pool);

/**
 * Leases again, to those who wait first.
 *
 * Parameters:
 * - pool: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_resume(ostler_pool *pool);

/**
 * Replaces all resources, as after a change of a password or a failover: none that was made before is leased any more.
 * Idle ones are destroyed, leased ones when they come back; to keep min_size, a new one is made before an old one goes.
 * Where create has failed too often, it is tried at once, and the pauses after that begin with the shortest again.
 *
 * Parameters:
 * - pool: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as the callbacks take, in a pool without a thread; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_refresh(ostler_pool *pool);


/* ======================================================================
 * What a pool counts and measures.
 * ====================================================================== */

/** How long things took, in nanoseconds, exact to a hundredth. */
typedef struct ostler_times {
    /** How many were measured. */
    uint64_t count;
    uint64_t min_ns;
    uint64_t mean_ns;
    /** So many percent took at most this long. */
    uint64_t p50_ns;
    uint64_t p90_ns;
    uint64_t p99_ns;
    uint64_t p999_ns;
    uint64_t max_ns;
} ostler_times;

/** What a pool holds and did. */
typedef struct ostler_pool_stats {
    /** sizeof(ostler_pool_stats), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Resources that are leased, or on their way into or out of a lease. */
    uint64_t in_use;
    /** Resources that wait to be leased. */
    uint64_t idle;
    /** Resources that create is making. */
    uint64_t creating;
    /** Callers that wait for one. */
    uint64_t waiting;
    uint64_t created;
    uint64_t create_failures;
    /** All that were destroyed, for the reasons that follow or because the pool was closed. */
    uint64_t destroyed;
    /** Idle too long. */
    uint64_t destroyed_idle;
    /** Found invalid. */
    uint64_t destroyed_invalid;
    uint64_t destroyed_discarded;
    /** Could not be reset. */
    uint64_t destroyed_reset;
    /** Leases that were given out. */
    uint64_t acquires;
    /** Those of them that got a resource which was there already. */
    uint64_t reuses;
    /** Waits that ended because the time was up. */
    uint64_t timeouts;
    /** Most resources that were in use at once. */
    uint64_t peak_in_use;
    /** Most callers that waited at once. */
    uint64_t peak_waiting;
    /** Destroyed because they were older than max_lifetime_ns. */
    uint64_t destroyed_old;
    /** After their last use by max_uses. */
    uint64_t destroyed_used;
    /** After an ostler_pool_refresh. */
    uint64_t destroyed_refreshed;
    /** Beyond soft_max_size, or beyond max_size after an ostler_pool_resize. */
    uint64_t destroyed_surplus;
    /** The bounds now. */
    uint64_t min_size;
    uint64_t max_size;
    /** Creates that failed since the last success. */
    uint64_t failures_in_a_row;
    /** Leases that lasted longer than lease_limit_ns. */
    uint64_t overdue;
    /** How long those waited that had to, also in vain. */
    struct ostler_times waits;
    /** How long create took, also when it failed. */
    struct ostler_times creates;
    /** How long resources were leased: of each the first use and every 256th. */
    struct ostler_times uses;
    /** Resources that were given other settings with retag. */
    uint64_t retags;
    /** Callers who got OSTLER_E_OVERLOADED. */
    uint64_t refused;
    /** Resources whose lease was revoked and whose holder has not given them back yet. */
    uint64_t revoked;
    /**
     * With OSTLER_AFFINITY_NODE, where there are several nodes: idle resources that went to a caller on the node that had
     * used them last.
     */
    uint64_t node_hits;
    /** The same to a caller on another node, because none was idle on its own. */
    uint64_t node_misses;
} ostler_pool_stats;

/**
 * Tells what a pool holds and did, also after an ostler_pool_close: only one that is being destroyed is
 * OSTLER_E_CLOSED.
 *
 * Parameters:
 * - pool: borrowed.
 * - out: struct_size set by the caller; written: emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback. Looks at every slot.
 * Since: 0.1
 */
ostler_status ostler_pool_get_stats(ostler_pool *pool,
                                    struct ostler_pool_stats *out);


/* ======================================================================
 * Acquire: the ways to lease a resource of a pool. Who waits is served by class, and within a class in the order of their
 * coming.
 * ====================================================================== */

/** How a resource is acquired. */
typedef struct ostler_acquire {
    /** sizeof(ostler_acquire). */
    uint32_t struct_size;
    /** OSTLER_PRIORITY_...: whose turn it is among those who wait; 0: normal. */
    uint32_t priority;
    /** How long to wait; 0 does not wait, OSTLER_FOREVER waits without bound. */
    uint64_t timeout_ns;
    /** Borrowed during the call; ends the wait; may be NULL. */
    ostler_cancel *cancel;
    /**
     * The settings that the resource shall have, of the host's own choice: one that has them is preferred, another is
     * given them with retag; 0: as create makes it.
     */
    uint64_t tag;
} ostler_acquire;

/**
 * Leases a resource: an idle one, the one used last first; else a new one, made on this thread; else, when max_size
 * are out, the next that comes back. Callers that wait are served in the order of their coming.
 *
 * Parameters:
 * - pool: borrowed.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound. The time that create and
 *   validate take is not bounded by it.
 * - cancel: borrowed during the call; ends the wait.
 * - lease: written only on success, else 0; ends with ostler_pool_release or ostler_pool_discard.
 * - resource: written only on success, else NULL; what create made, to be used until the lease ends.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_CREATE_FAILED (with the words of the create
 * callback), OSTLER_E_OVERLOADED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; lease and resource must not be NULL.
 * Blocking: up to timeout_ns, and as long as create and validate take. A callback of the same pool may call it with a
 * timeout.
 * Since: 0.1
 */
ostler_status ostler_pool_acquire(ostler_pool *pool,
                                  uint64_t timeout_ns,
                                  ostler_cancel *cancel,
                                  ostler_lease *lease,
                                  void **resource);

/**
 * Fills the ways of acquiring with the defaults: normal priority, no wait, no tag.
 *
 * Parameters:
 * - how: written only on success.
 * - struct_size: sizeof(ostler_acquire).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: how must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_acquire_init(struct ostler_acquire *how, uint32_t struct_size);

/**
 * Leases a resource as ostler_pool_acquire does, with a priority among those who wait, and with a tag: a resource that
 * has it is preferred, else one without a tag, else any, which is given it with retag.
 *
 * Parameters:
 * - pool: borrowed.
 * - how: borrowed during the call.
 * - lease: written only on success, else 0; ends with ostler_pool_release or ostler_pool_discard.
 * - resource: written only on success, else NULL; what create made, to be used until the lease ends.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_CREATE_FAILED (with the words of the create or
 * retag callback), OSTLER_E_OVERLOADED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; how, lease and resource must not be NULL.
 * Blocking: up to timeout_ns, and as long as create, validate and retag take. A callback of the same pool may call it
 * with a timeout.
 * Since: 0.1
 */
ostler_status ostler_pool_acquire_with(ostler_pool *pool,
                                       const struct ostler_acquire *how,
                                       ostler_lease *lease,
                                       void **resource);

/**
 * Leases a resource without holding the caller up: one that is to be had now is leased at once; else the caller's turn
 * comes as that of one who waits, and then the callback hears of it, or it is there for ostler_pool_take_acquired.
 *
 * Parameters:
 * - pool: borrowed.
 * - how: borrowed during the call; cancel must be NULL. When timeout_ns is over, the acquire fails with OSTLER_E_TIMEOUT.
 * - callback: called when it was not had at once; NULL: it is to be taken with ostler_pool_take_acquired.
 * - user_data: handed to callback; must stay valid until that has returned, or ostler_pool_cancel_async has returned
 *   OSTLER_OK; not used when the lease was had at once, and after a failure.
 * - ticket: written; names the acquire until its callback is called or it is taken, for ostler_pool_cancel_async; 0 when
 *   the lease was had at once, and after a failure.
 * - lease: written; 0 unless it was had at once; ends with ostler_pool_release or ostler_pool_discard.
 * - resource: written; NULL unless it was had at once.
 *
 * Returns: OSTLER_OK, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT,
 * OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_SYSTEM (no thread for the callbacks),
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; callback and user_data may be NULL; how, ticket, lease and resource must not
 * be NULL.
 * Blocking: as long as create, validate and retag take, where the pool has no creator threads; may be called from any
 * callback.
 * Since: 0.1
 */
ostler_status ostler_pool_acquire_async(ostler_pool *pool,
                                        const struct ostler_acquire *how,
                                        ostler_acquired_callback callback,
                                        void *user_data,
                                        ostler_ticket *ticket,
                                        ostler_lease *lease,
                                        void **resource);

/**
 * Ends an acquire that is on its way: on OSTLER_OK its callback is not called, and it does not come to be taken.
 *
 * Parameters:
 * - pool: borrowed, also when it was destroyed.
 * - ticket: what ostler_pool_acquire_async gave.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_TICKET (it has been told, or is being told now), OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_cancel_async(ostler_pool *pool,
                                       ostler_ticket ticket);

/**
 * Gives a descriptor for an event loop: it can be read while ostler_pool_take_acquired has something to give. The library
 * reads and writes it; the host only waits for it.
 *
 * Parameters:
 * - pool: borrowed.
 * - descriptor: written only on success, else 0; the pool's: it can be read when the pool is destroyed, and is closed when
 *   the last of its leases is back.
 *
 * Returns: OSTLER_OK, OSTLER_E_SYSTEM, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; descriptor must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_get_event(ostler_pool *pool,
                                    int32_t *descriptor);

/**
 * Takes what became of an acquire without a callback, the oldest first, and does not wait.
 *
 * Parameters:
 * - pool: borrowed.
 * - ticket: written; that of the acquire, stale from now on; 0 after a failure.
 * - outcome: written; OSTLER_OK, or why there is no lease, as for ostler_pool_acquire_with.
 * - lease: written; 0 unless outcome is OSTLER_OK; ends with ostler_pool_release or ostler_pool_discard.
 * - resource: written; NULL unless outcome is OSTLER_OK.
 *
 * Returns: OSTLER_OK, OSTLER_E_NOT_READY (there is nothing to take), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; ticket, outcome, lease and resource must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_take_acquired(ostler_pool *pool,
                                        ostler_ticket *ticket,
                                        ostler_status *outcome,
                                        ostler_lease *lease,
                                        void **resource);

/**
 * Leases a resource without waiting: an idle one, or a new one when there are fewer than max_size.
 *
 * Parameters:
 * - pool: borrowed.
 * - lease: written only on success, else 0; ends with ostler_pool_release or ostler_pool_discard.
 * - resource: written only on success, else NULL; what create made, to be used until the lease ends.
 *
 * Returns: OSTLER_OK, OSTLER_E_EXHAUSTED (max_size are out, or others waited first), OSTLER_E_PAUSED,
 * OSTLER_E_CREATE_FAILED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; lease and resource must not be NULL.
 * Blocking: as long as create and validate take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_try_acquire(ostler_pool *pool,
                                      ostler_lease *lease,
                                      void **resource);

/**
 * Leases many resources: all of them or none. Callers that wait are served in the order of their coming, and one that
 * wants several collects them before the next gets any, so that two of them cannot hold up one another.
 *
 * Parameters:
 * - pool: borrowed.
 * - count: how many; 0 does nothing; more than max_size is OSTLER_E_LIMIT; at most 1048576.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound. The time that create and
 *   validate take is not bounded by it.
 * - cancel: borrowed during the call; ends the wait.
 * - leases: an array of count elements, written only on success, else 0; each ends on its own.
 * - resources: an array of count elements, written only on success, else NULL; what create made.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_LIMIT, OSTLER_E_CREATE_FAILED (with the words of
 * the create callback), OSTLER_E_OVERLOADED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; leases and resources (unless count is 0) must not
 * be NULL.
 * Blocking: up to timeout_ns, and as long as create and validate take. A callback of the same pool may call it with a
 * timeout.
 * Since: 0.1
 */
ostler_status ostler_pool_acquire_n(ostler_pool *pool,
                                    uint32_t count,
                                    uint64_t timeout_ns,
                                    ostler_cancel *cancel,
                                    ostler_lease *leases,
                                    void **resources);


/* ======================================================================
 * Turn: an acquire in two steps, for hosts whose users are goroutines, fibers or coroutines, which wait in a way of their own.
 * ====================================================================== */

/**
 * Begins to lease a resource without holding a thread up: one that is to be had now is leased at once; else the caller stands
 * in the queue with those who wait, and goes on with ostler_pool_continue_acquire. Unlike ostler_pool_acquire_async it needs
 * no thread of the library: create, validate and retag run in the call that goes on, for many at the same time.
 *
 * Parameters:
 * - pool: borrowed.
 * - how: borrowed during the call; cancel must be NULL. When timeout_ns is over, going on ends with OSTLER_E_TIMEOUT.
 * - bell: called when it is worth while to go on, also before this call returns, more than once, and a moment after the acquire
 *   has ended.
 * - user_data: handed to bell; must stay valid until the pool is destroyed and its last lease and ticket are back. A number by
 *   which the host finds who waits needs no such care.
 * - ticket: written; names the acquire until ostler_pool_continue_acquire ends it, without which the memory of a destroyed
 *   pool does not go; 0 when the lease was had at once, and after a failure.
 * - look_again_ns: written; after so long it is to be gone on with when the bell has not rung, OSTLER_FOREVER: never; 0 when
 *   the lease was had at once, and after a failure.
 * - lease: written; 0 unless it was had at once; ends with ostler_pool_release or ostler_pool_discard.
 * - resource: written; NULL unless it was had at once.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED, OSTLER_E_CLOSED,
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; user_data may be NULL; how, bell, ticket, look_again_ns, lease and resource must
 * not be NULL.
 * Blocking: as long as create, validate and retag take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_begin_acquire(ostler_pool *pool,
                                        const ostler_acquire *how,
                                        ostler_bell_callback bell,
                                        void *user_data,
                                        ostler_ticket *ticket,
                                        uint64_t *look_again_ns,
                                        ostler_lease *lease,
                                        void **resource);

/**
 * Begins to lease many resources, all of them or none, without holding a thread up; see ostler_pool_begin_acquire and
 * ostler_pool_acquire_n.
 *
 * Parameters:
 * - pool: borrowed.
 * - how: borrowed during the call; cancel must be NULL. When timeout_ns is over, going on ends with OSTLER_E_TIMEOUT.
 * - count: how many; 0 does nothing; more than max_size is OSTLER_E_LIMIT; at most 1048576.
 * - bell: called when it is worth while to go on, also before this call returns, more than once, and a moment after the acquire
 *   has ended.
 * - user_data: handed to bell; must stay valid until the pool is destroyed and its last lease and ticket are back. A number by
 *   which the host finds who waits needs no such care.
 * - ticket: written; names the acquire until ostler_pool_continue_acquire_n ends it, without which the memory of a destroyed
 *   pool does not go; 0 when the leases were had at once, and after a failure.
 * - look_again_ns: written; after so long it is to be gone on with when the bell has not rung, OSTLER_FOREVER: never; 0 when
 *   the leases were had at once, and after a failure.
 * - leases: an array of count elements, written; 0 unless they were had at once; each ends on its own.
 * - resources: an array of count elements, written; NULL unless they were had at once.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_LIMIT, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED, OSTLER_E_CLOSED,
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; user_data may be NULL; how, bell, ticket, look_again_ns, leases and resources
 * must not be NULL, the last two unless count is 0.
 * Blocking: as long as create, validate and retag take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_begin_acquire_n(ostler_pool *pool,
                                          const ostler_acquire *how,
                                          uint32_t count,
                                          ostler_bell_callback bell,
                                          void *user_data,
                                          ostler_ticket *ticket,
                                          uint64_t *look_again_ns,
                                          ostler_lease *leases,
                                          void **resources);

/**
 * Goes on with an acquire that waits: when its turn has come, or its time is up, it ends; else it waits on.
 *
 * Parameters:
 * - pool: borrowed, also when it was destroyed.
 * - ticket: what ostler_pool_begin_acquire gave; stale from now on, unless this is OSTLER_E_NOT_READY, or
 *   OSTLER_E_QUARANTINED, after which the destroy of the pool ends it.
 * - cancelled: 1: the wait ends now, with OSTLER_E_CANCELLED unless its turn has come; 0: it may go on.
 * - look_again_ns: written; with OSTLER_E_NOT_READY as ostler_pool_begin_acquire writes it, else 0.
 * - lease: written only on success, else 0; ends with ostler_pool_release or ostler_pool_discard.
 * - resource: written only on success, else NULL; what create made, to be used until the lease ends.
 *
 * Returns: OSTLER_OK, OSTLER_E_NOT_READY (it waits on), OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_CREATE_FAILED,
 * OSTLER_E_OVERLOADED, OSTLER_E_LIMIT, OSTLER_E_CLOSED, OSTLER_E_STALE_TICKET, OSTLER_E_INVALID_ARGUMENT,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe; one thread at a time goes on with a ticket.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; look_again_ns, lease and resource must not be NULL.
 * Blocking: as long as create, validate and retag take; may be called from any callback except the bell.
 * Since: 0.1
 */
ostler_status ostler_pool_continue_acquire(ostler_pool *pool,
                                           ostler_ticket ticket,
                                           uint32_t cancelled,
                                           uint64_t *look_again_ns,
                                           ostler_lease *lease,
                                           void **resource);

/**
 * Goes on with an acquire of many that waits: when its turn has come, or its time is up, it ends; else it waits on.
 *
 * Parameters:
 * - pool: borrowed, also when it was destroyed.
 * - ticket: what ostler_pool_begin_acquire_n gave; stale from now on, unless this is OSTLER_E_NOT_READY, or
 *   OSTLER_E_QUARANTINED, after which the destroy of the pool ends it.
 * - count: as many as ostler_pool_begin_acquire_n was asked for.
 * - cancelled: 1: the wait ends now, with OSTLER_E_CANCELLED unless its turn has come; 0: it may go on.
 * - look_again_ns: written; with OSTLER_E_NOT_READY as ostler_pool_begin_acquire_n writes it, else 0.
 * - leases: an array of count elements, written only on success, else 0; each ends on its own.
 * - resources: an array of count elements, written only on success, else NULL; what create made.
 *
 * Returns: OSTLER_OK, OSTLER_E_NOT_READY (it waits on), OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_CREATE_FAILED,
 * OSTLER_E_OVERLOADED, OSTLER_E_LIMIT, OSTLER_E_CLOSED, OSTLER_E_STALE_TICKET (also where the ticket is for another count),
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe; one thread at a time goes on with a ticket.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; look_again_ns, leases and resources must not be NULL.
 * Blocking: as long as create, validate and retag take; may be called from any callback except the bell.
 * Since: 0.1
 */
ostler_status ostler_pool_continue_acquire_n(ostler_pool *pool,
                                             ostler_ticket ticket,
                                             uint32_t count,
                                             uint32_t cancelled,
                                             uint64_t *look_again_ns,
                                             ostler_lease *leases,
                                             void **resources);


/* ======================================================================
 * Lease: what is done with the use of one resource, until it ends. A second end is an error and harms nobody.
 * ====================================================================== */

/**
 * Gives a resource back. It is reset on this thread and then idle, or goes to the caller that waits longest. Works on
 * a closing or destroyed pool, where it destroys the resource.
 *
 * Parameters:
 * - pool: borrowed.
 * - lease: consumed.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe; any thread may release.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as reset or destroy takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_release(ostler_pool *pool,
                                  ostler_lease lease);

/**
 * Gives a resource back that nobody shall have any more: it is destroyed on this thread, and another may be made.
 *
 * Parameters:
 * - pool: borrowed.
 * - lease: consumed.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe; any thread may discard.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as destroy takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_discard(ostler_pool *pool,
                                  ostler_lease lease);

/**
 * Tells which resource a lease names.
 *
 * Parameters:
 * - pool: borrowed.
 * - lease: stays valid.
 * - resource: written only on success, else NULL.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; resource must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_get_resource(ostler_pool *pool,
                                       ostler_lease lease,
                                       void **resource);

/**
 * Gives many resources back. Those whose leases are good are, also when another one is not.
 *
 * Parameters:
 * - pool: borrowed, also when it was destroyed.
 * - leases: borrowed during the call; an array of count leases from this pool, each of which is stale afterwards.
 * - count: how many; 0 does nothing; at most 1048576.
 * - released: written; how many were good, also after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_LEASE (one or more were not good; the message names the first),
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; leases (unless count is 0) must not be NULL; released may be NULL.
 * Blocking: as long as reset and destroy take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_release_n(ostler_pool *pool,
                                    const ostler_lease *leases,
                                    uint32_t count,
                                    uint32_t *released);

/**
 * Lists the leases that are out: who has what, for how long.
 *
 * Parameters:
 * - pool: borrowed.
 * - leases: an array of capacity elements; as many are written as there is room for, after a failure an empty one.
 * - capacity: its elements; 0 only counts.
 * - count: written; how many leases are out, which may be more than capacity; 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each lease was out at some moment of the call; nobody is held up.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; leases may be NULL when capacity is 0; count must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_list_leases(ostler_pool *pool,
                                      ostler_lease_info *leases,
                                      uint64_t capacity,
                                      uint64_t *count);

/**
 * Takes a lease away from its holder, which may still be using the resource: the lease is stale from now on, the resource
 * is leased to nobody else and not destroyed yet, and the pool may make another in its place. The holder's release or
 * discard is then OSTLER_E_STALE_LEASE, and destroys the resource.
 *
 * Parameters:
 * - pool: borrowed, also when it was destroyed.
 * - lease: a lease from this pool, of whatever thread.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_pool_revoke(ostler_pool *pool,
                                 ostler_lease lease);


/* ======================================================================
 * Tap: idle resources of a pool that one user at a time has at hand, and leases without a call; see ostler_inline.h.
 * ====================================================================== */

/**
 * The layout that ostler_inline.h of this version knows. A library with another one writes another number into its taps,
 * and the inline code calls the library.
 */
#define OSTLER_TAP_LAYOUT 3

/** Idle resources that a tap has room for. */
#define OSTLER_TAP_ROOM 40

/** A place of a pool for one resource, for ostler_inline.h. */
typedef struct ostler_slot {
    /**
     * How often it was leased, its name, and in the low four bits its phase: 2 leased, 8 idle in a tap. While it is leased this
     * is its lease.
     */
    uint64_t word;
    void *resource;
    /** Since when it is so; odd when the use is measured. */
    uint64_t since_ns;
    uint32_t borrower;
    uint32_t generation;
} ostler_slot;

/**
 * One user's idle resources of a pool, made by ostler_tap_open. The fields are for ostler_inline.h; programs use its
 * functions, or ostler_tap_acquire and ostler_tap_release.
 */
typedef struct ostler_tap {
    /** OSTLER_TAP_LAYOUT, or another number that sends every call into the library. */
    uint32_t layout;
    /** How many are idle in it. */
    uint32_t count;
    /** What pool is while its user is at it, else 0. */
    uint64_t busy;
    uint64_t pool;
    /** Of the pool: in its low two bits 1 while taps may be used. */
    const uint32_t *state;
    /** Of the pool: that of resources which may be leased. */
    const uint32_t *generation;
    /** Of the pool: the time, as exactly as it tells it. */
    const uint64_t *tick_ns;
    struct ostler_slot *slots;
    /** The borrower of its leases. */
    uint32_t mark;
    /** How many slots there are. */
    uint32_t capacity;
    /** What one use more adds to the word of a slot: 2 to the power of how many bits are not the uses. */
    uint64_t one_use;
    /** The numbers of those that are idle in it. */
    uint32_t idle[40];
    /** The library's own. */
    uint32_t private_words[6];
} ostler_tap;

/**
 * Opens a tap: a cache of idle resources for one thread, fiber or goroutine at a time, from which
 * ostler_tap_acquire_inline of ostler_inline.h leases without a call. Nobody goes without because of it: what is idle in a
 * tap is recalled for whoever finds nothing else, and when the pool is paused, resized, trimmed, refreshed or closed. In a
 * pool with validate, reset or retag, or with min_idle, reserved_high, soft_max_size, max_uses, max_lifetime_ns or
 * OSTLER_IDLE_LONGEST_FIRST, a tap keeps nothing at hand, and is as fast as the pool itself.
 *
 * Parameters:
 * - pool: borrowed.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_tap_close, without which the memory of
 *   a destroyed pool does not go.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT (65536 taps are open), OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tap_open(ostler_pool *pool,
                              struct ostler_tap **out);

/**
 * Leases a resource as ostler_pool_acquire does, first of all one that is idle in the tap. Does the same as
 * ostler_tap_acquire_inline, which calls it when none is. Who holds the lease is the thread that was last in the library
 * with the tap, and while tracing is on the call site is the one of such a call.
 *
 * Parameters:
 * - tap: borrowed.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait; looked at when nothing is idle in the tap.
 * - lease: written only on success, else 0; a lease like any other, which ends with ostler_tap_release,
 *   ostler_pool_release or ostler_pool_discard.
 * - resource: written only on success, else NULL; what create made, to be used until the lease ends.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED, OSTLER_E_CLOSED,
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a tap.
 * NULL: tap NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; lease and resource must not be NULL.
 * Blocking: up to timeout_ns, and as long as create and validate take. A callback of the same pool may call it with a
 * timeout.
 * Since: 0.1
 */
ostler_status ostler_tap_acquire(struct ostler_tap *tap,
                                 uint64_t timeout_ns,
                                 ostler_cancel *cancel,
                                 ostler_lease *lease,
                                 void **resource);

/**
 * Begins to lease a resource as ostler_pool_begin_acquire does, first of all one that is idle in the tap. The lease belongs
 * to the tap, also when ostler_pool_continue_acquire gives it: what is released through the tap is idle there.
 *
 * Parameters:
 * - tap: borrowed.
 * - how: borrowed during the call; cancel must be NULL. When timeout_ns is over, going on ends with OSTLER_E_TIMEOUT.
 * - bell: called when it is worth while to go on, also before this call returns, more than once, and a moment after the acquire
 *   has ended.
 * - user_data: handed to bell; must stay valid until the pool is destroyed and its last lease and ticket are back. A number by
 *   which the host finds who waits needs no such care.
 * - ticket: written; names the acquire until ostler_pool_continue_acquire ends it; 0 when the lease was had at once, and after
 *   a failure.
 * - look_again_ns: written; as ostler_pool_begin_acquire writes it.
 * - lease: written; 0 unless it was had at once; ends with ostler_tap_release, ostler_pool_release or ostler_pool_discard.
 * - resource: written; NULL unless it was had at once.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED, OSTLER_E_CLOSED,
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a tap; between begin and continue it may be used.
 * NULL: tap NULL is OSTLER_E_INVALID_HANDLE; user_data may be NULL; how, bell, ticket, look_again_ns, lease and resource must
 * not be NULL.
 * Blocking: as long as create and validate take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tap_begin_acquire(struct ostler_tap *tap,
                                       const ostler_acquire *how,
                                       ostler_bell_callback bell,
                                       void *user_data,
                                       ostler_ticket *ticket,
                                       uint64_t *look_again_ns,
                                       ostler_lease *lease,
                                       void **resource);

/**
 * Leases a resource as ostler_pool_try_acquire does, first of all one that is idle in the tap.
 *
 * Parameters:
 * - tap: borrowed.
 * - lease: written only on success, else 0; as ostler_tap_acquire gives it.
 * - resource: written only on success, else NULL; what create made, to be used until the lease ends.
 *
 * Returns: OSTLER_OK, OSTLER_E_EXHAUSTED (max_size are out, or others waited first), OSTLER_E_PAUSED,
 * OSTLER_E_CREATE_FAILED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a tap.
 * NULL: tap NULL is OSTLER_E_INVALID_HANDLE; lease and resource must not be NULL.
 * Blocking: as long as create and validate take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tap_try_acquire(struct ostler_tap *tap,
                                     ostler_lease *lease,
                                     void **resource);

/**
 * Leases for the tap what ostler_pool_try_acquire would lease: what is idle in the tap only when nothing else is. For programs
 * that keep the tap's users apart by a lock of their own, and do not want to hold that while a resource is made.
 *
 * Parameters:
 * - tap: borrowed.
 * - lease: written only on success, else 0; as ostler_tap_acquire gives it.
 * - resource: written only on success, else NULL; what create made, to be used until the lease ends.
 *
 * Returns: OSTLER_OK, OSTLER_E_EXHAUSTED (max_size are out, or others waited first), OSTLER_E_PAUSED,
 * OSTLER_E_CREATE_FAILED, OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe: also while another thread uses the tap.
 * NULL: tap NULL is OSTLER_E_INVALID_HANDLE; lease and resource must not be NULL.
 * Blocking: as long as create and validate take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tap_try_acquire_shared(struct ostler_tap *tap,
                                            ostler_lease *lease,
                                            void **resource);

/**
 * Leases many resources as ostler_pool_acquire_n does: all of them or none. Does the same as ostler_tap_acquire_n_inline,
 * which calls it when fewer are idle in the tap.
 *
 * Parameters:
 * - tap: borrowed.
 * - count: how many; 0 does nothing; more than max_size is OSTLER_E_LIMIT; at most 1048576. More than OSTLER_TAP_ROOM are
 *   never idle in a tap.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait; looked at when fewer are idle in the tap.
 * - leases: an array of count elements, written only on success, else 0; leases like any other, each of which ends on its own.
 * - resources: an array of count elements, written only on success, else NULL; what create made.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_LIMIT, OSTLER_E_CREATE_FAILED, OSTLER_E_OVERLOADED,
 * OSTLER_E_CLOSED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a tap.
 * NULL: tap NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; leases and resources (unless count is 0) must not be NULL.
 * Blocking: up to timeout_ns, and as long as create and validate take. A callback of the same pool may call it with a
 * timeout.
 * Since: 0.1
 */
ostler_status ostler_tap_acquire_n(struct ostler_tap *tap,
                                   uint32_t count,
                                   uint64_t timeout_ns,
                                   ostler_cancel *cancel,
                                   ostler_lease *leases,
                                   void **resources);

/**
 * Gives a resource back, which is then idle in the tap when there is room, and when the lease was taken through it; else
 * as ostler_pool_release does. Does the same as ostler_tap_release_inline, which calls it when it cannot go on.
 *
 * Parameters:
 * - tap: borrowed.
 * - lease: consumed; any lease of the tap's pool.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a tap.
 * NULL: tap NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as reset or destroy takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tap_release(struct ostler_tap *tap,
                                 ostler_lease lease);

/**
 * Gives many resources back, which are then idle in the tap as far as there is room, and as their leases were taken through
 * it; the others as ostler_pool_release_n does. Those whose leases are good are given back, also when another one is not. Does
 * the same as ostler_tap_release_n_inline, which calls it when it cannot go on.
 *
 * Parameters:
 * - tap: borrowed.
 * - leases: borrowed during the call; an array of count leases of the tap's pool, each of which is stale afterwards.
 * - count: how many; 0 does nothing; at most 1048576.
 * - released: written; how many were good, also after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_LEASE (one or more were not good; the message names the first),
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a tap.
 * NULL: tap NULL is OSTLER_E_INVALID_HANDLE; leases (unless count is 0) must not be NULL; released may be NULL.
 * Blocking: as long as reset and destroy take; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tap_release_n(struct ostler_tap *tap,
                                   const ostler_lease *leases,
                                   uint32_t count,
                                   uint32_t *released);

/**
 * Gives a resource back to be destroyed, as ostler_pool_discard does. One whose lease was taken through the tap is ended without
 * a disturbance of what others have at hand.
 *
 * Parameters:
 * - tap: borrowed.
 * - lease: consumed; any lease of the tap's pool.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_LEASE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a tap.
 * NULL: tap NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as destroy takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tap_discard(struct ostler_tap *tap,
                                 ostler_lease lease);

/**
 * Closes a tap. What is idle in it is idle for all; leases that were taken through it stay good, and end with
 * ostler_pool_release or ostler_pool_discard. Closing the last tap of a destroyed pool without leases lets its memory go.
 *
 * Parameters:
 * - tap: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: no other thread may use the tap meanwhile; any thread may close it.
 * NULL: tap NULL is OSTLER_OK and does nothing.
 * Blocking: as long as destroy takes, when the pool is closed; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tap_close(struct ostler_tap *tap);


/* ======================================================================
 * Deferred: one-shot cells that carry a result from whoever makes it to whoever takes it. All cells of a set are made
 * beforehand and used again; the name of one use is never valid for another. Nothing here allocates, and a
 * lock is taken only when another thread comes, for what one had for itself until then.
 * ====================================================================== */

/**
 * A set of cells. As long as one thread, or the user of one desk, alone completes cells and takes what came, its calls have no
 * locked operation; the first other who does ends that for this set, which takes some microseconds once. When a desk that was
 * alone is closed, whoever comes next is alone. Free cells that threads and desks have at hand are recalled for one who finds
 * too few others, which takes some microseconds as well, and the more rarely the more often it happens.
 */
typedef struct ostler_deferred ostler_deferred;

/** Names one use of one cell. A value of 0 is never a cell. */
typedef struct ostler_cell {
    uint64_t value;
} ostler_cell;


/* ======================================================================
 * What a set of cells is made to be.
 * ====================================================================== */

/** What a set of cells is. */
typedef struct ostler_deferred_config {
    /** sizeof(ostler_deferred_config). */
    uint32_t struct_size;
    /** How many cells there are; 1 to 1048576; 0: 1024. The memory for all is taken at once, 64 bytes each. */
    uint32_t capacity;
    /**
     * Gets each value that is not NULL, was accepted, and that nobody will take, because its cell was released; may be
     * NULL. It may call the library, but not destroy its own set.
     */
    void (*discard)(void *user_data, void *value);
    /** Handed to discard; must stay valid until the set is destroyed and its last cell was taken or released. */
    void *user_data;
} ostler_deferred_config;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_deferred_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_config_init(struct ostler_deferred_config *config, uint32_t struct_size);


/* ======================================================================
 * What a set of cells calls.
 * ====================================================================== */

/**
 * Takes what came to a cell: called once, with no lock held, on the thread that completes, cancels or destroys, or on
 * the one that attaches it when it is late. It may call the library, but not destroy its own set. The cell is stale once
 * it returns. outcome and value are as for ostler_deferred_wait.
 */
typedef void (*ostler_cell_callback)(void *user_data, ostler_cell cell, ostler_status outcome, void *value);


/* ======================================================================
 * The begin and the end of a set of cells.
 * ====================================================================== */

/**
 * Makes a set of cells.
 *
 * Parameters:
 * - config: borrowed during the call; NULL: the defaults.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_deferred_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_create(const ostler_deferred_config *config,
                                     ostler_deferred **out);

/**
 * Destroys a set of cells: none is given out any more, and each that is pending ends with OSTLER_E_CLOSED. Cells that are
 * out stay valid until what came is taken or they are released, and the memory goes with the last.
 *
 * Parameters:
 * - deferred: owned; invalid afterwards, except for its cells.
 *
 * Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_OK and does nothing.
 * Blocking: as long as the callbacks take.
 * Since: 0.1
 */
ostler_status ostler_deferred_destroy(ostler_deferred *deferred);


/* ======================================================================
 * Cells that are given out.
 * ====================================================================== */

/**
 * Takes a free cell. It is out until what comes is taken, or until it is released.
 *
 * Parameters:
 * - deferred: borrowed.
 * - out: written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_acquire(ostler_deferred *deferred,
                                      ostler_cell *out);

/**
 * Takes many free cells in one step, or none.
 *
 * Parameters:
 * - deferred: borrowed.
 * - count: how many; 0 does nothing; at most 1048576.
 * - cells: an array of count elements, written only on success, else 0; each ends on its own.
 *
 * Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; cells (unless count is 0) must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_acquire_n(ostler_deferred *deferred,
                                        uint32_t count,
                                        ostler_cell *cells);


/* ======================================================================
 * What brings a cell to its end, and what is called then.
 * ====================================================================== */

/**
 * Completes a cell, once, with a value or with a failure. What happened before it is visible to whoever takes what came.
 *
 * Parameters:
 * - deferred: borrowed, also when it was destroyed.
 * - cell: a cell of this set that is pending.
 * - outcome: OSTLER_OK, or what went wrong: any other number, of the host's own choice.
 * - value: owned; anything, also NULL. On OSTLER_OK it goes to whoever takes it; after an error it stays the caller's.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_CELL (nobody wants it any more), OSTLER_E_ALREADY_COMPLETED (also after a cancel or
 * a destroy), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; value may be NULL.
 * Blocking: as long as the cell's completion callback takes, and for the moment in which a set gets its second user (see ostler_deferred); may be called
 * from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_complete(ostler_deferred *deferred,
                                       ostler_cell cell,
                                       ostler_status outcome,
                                       void *value);

/**
 * Ends a pending cell with OSTLER_E_CANCELLED for whoever takes it. Who completes it later gets
 * OSTLER_E_ALREADY_COMPLETED, or OSTLER_E_STALE_CELL once that was taken.
 *
 * Parameters:
 * - deferred: borrowed, also when it was destroyed.
 * - cell: a cell of this set that is pending; what came is still to be taken.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_CELL, OSTLER_E_ALREADY_COMPLETED, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as the cell's completion callback takes, and for the moment in which a set gets its second user (see ostler_deferred); may be called
 * from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_cancel(ostler_deferred *deferred,
                                     ostler_cell cell);

/**
 * Gives a cell a callback that takes what comes; when something has come already it is called before this returns.
 *
 * Parameters:
 * - deferred: borrowed, also when it was destroyed.
 * - cell: from now on for the callback only: wait and poll refuse it. A release before anything has come takes the
 *   callback back.
 * - callback: called once.
 * - user_data: handed to callback; used until callback has returned, or until the cell is released before anything has come;
 *   not used when this fails.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or it has a callback),
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; callback must not be NULL; user_data may be NULL.
 * Blocking: as long as the callback takes, and for the moment in which a set gets its second user (see ostler_deferred); may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_on_complete(ostler_deferred *deferred,
                                          ostler_cell cell,
                                          ostler_cell_callback callback,
                                          void *user_data);


/* ======================================================================
 * What has come, and who takes it, waits for it, or does not want it.
 * ====================================================================== */

/**
 * Takes what has come, and does not wait: on OSTLER_OK outcome and value are written, and the cell is stale.
 *
 * Parameters:
 * - deferred: borrowed, also when it was destroyed.
 * - cell: consumed on success, and still valid otherwise.
 * - outcome: written; as for ostler_deferred_wait.
 * - value: written; as for ostler_deferred_wait.
 *
 * Returns: OSTLER_OK, OSTLER_E_NOT_READY, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or it has a
 * completion callback), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; value may be NULL; outcome must not be NULL.
 * Blocking: never but for the moment in which a set gets its second user (see ostler_deferred); may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_poll(ostler_deferred *deferred,
                                   ostler_cell cell,
                                   ostler_status *outcome,
                                   void **value);

/**
 * Waits until something has come and takes it: on OSTLER_OK outcome and value are written, and the cell is stale. One
 * thread at a time can wait for a cell.
 *
 * Parameters:
 * - deferred: borrowed, also when it was destroyed.
 * - cell: consumed on success, and still valid otherwise.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait, not the cell.
 * - outcome: written; what the cell was completed with, OSTLER_E_CANCELLED when it was cancelled, OSTLER_E_CLOSED when
 *   the set was destroyed first; 0 after a failure of this call.
 * - value: written; what the cell was completed with, the caller's from now on; else NULL.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (another thread waits for
 * it, or it has a completion callback), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; cancel and value may be NULL; outcome must not be NULL.
 * Blocking: up to timeout_ns; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_wait(ostler_deferred *deferred,
                                   ostler_cell cell,
                                   uint64_t timeout_ns,
                                   ostler_cancel *cancel,
                                   ostler_status *outcome,
                                   void **value);

/**
 * Waits until something has come to one of several cells, and leaves it there.
 *
 * Parameters:
 * - deferred: borrowed, also when it was destroyed.
 * - cells: borrowed during the call; an array of count cells of this set, none of them twice.
 * - count: how many; 1 to 1048576.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait.
 * - index: written; the place of the first cell in the array to which something has come; else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (another thread waits for
 * one of them, or one has a completion callback), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; cells and index must not be NULL.
 * Blocking: up to timeout_ns; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_wait_any(ostler_deferred *deferred,
                                       const ostler_cell *cells,
                                       uint32_t count,
                                       uint64_t timeout_ns,
                                       ostler_cancel *cancel,
                                       uint32_t *index);

/**
 * Waits until something has come to all of several cells, and leaves it there.
 *
 * Parameters:
 * - deferred: borrowed, also when it was destroyed.
 * - cells: borrowed during the call; an array of count cells of this set, none of them twice.
 * - count: how many; 0 does nothing; at most 1048576.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (another thread waits for
 * one of them, or one has a completion callback), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE,
 * OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; cells (unless count is 0) must not be NULL.
 * Blocking: up to timeout_ns; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_wait_all(ostler_deferred *deferred,
                                       const ostler_cell *cells,
                                       uint32_t count,
                                       uint64_t timeout_ns,
                                       ostler_cancel *cancel);

/**
 * Gives a cell back without taking what comes. When nothing has come, who completes it later gets OSTLER_E_STALE_CELL
 * and keeps the value; a value that has come goes to the set's discard callback.
 *
 * Parameters:
 * - deferred: borrowed, also when it was destroyed.
 * - cell: consumed on success, and still valid otherwise.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or its completion callback is called at
 * this moment), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as discard takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_release(ostler_deferred *deferred,
                                      ostler_cell cell);


/* ======================================================================
 * What a set of cells holds and did.
 * ====================================================================== */

/** What a set of cells holds and did. */
typedef struct ostler_deferred_stats {
    /** sizeof(ostler_deferred_stats), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    uint64_t capacity;
    /** Cells that are out. */
    uint64_t in_use;
    /** Those of them to which nothing has come. */
    uint64_t pending;
    /**
     * Most that were out at once; of what several threads get and free at the same time it may miss some, or count some free
     * ones that were on their way to what one of them has at hand.
     */
    uint64_t peak_in_use;
    /** Cells that were given out. */
    uint64_t acquires;
    /** Cells that were completed with OSTLER_OK. */
    uint64_t completed;
    /** Cells that were completed with another status. */
    uint64_t failed;
    /** Cells that were cancelled, or ended by a destroy. */
    uint64_t cancelled;
    /** Cells that were released before anything came. */
    uint64_t released;
    /** Values that went to discard. */
    uint64_t discarded;
    /** Acquires that found too few cells. */
    uint64_t refused;
    /** How long those waited that had to, also in vain. */
    ostler_times waits;
} ostler_deferred_stats;

/**
 * Reads what a set of cells holds and did.
 *
 * Parameters:
 * - deferred: borrowed.
 * - out: struct_size set by the caller; written: emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each number is right for some moment of the call; nobody is held up.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_deferred_get_stats(ostler_deferred *deferred,
                                        struct ostler_deferred_stats *out);


/* ======================================================================
 * Desk: one user's way to a set of cells, without a call; see ostler_inline.h.
 * ====================================================================== */

/**
 * The layout that ostler_inline.h of this version knows. A library with another one writes another number into its desks,
 * and the inline code calls the library.
 */
#define OSTLER_DESK_LAYOUT 1

/** Free cells that a desk has room for. */
#define OSTLER_DESK_ROOM 32

/** A cell of a set as it lies in memory, for ostler_inline.h. */
typedef struct ostler_cell_state {
    /**
     * The high half is that of its name; the low half is 0 while it is free, 1 pending, 16 done, and anything else when only
     * the library knows what to do.
     */
    uint64_t word;
    /** The library's own. */
    void *private_pointer;
    /** Of what came: 0 when it was completed with OSTLER_OK. */
    uint32_t end;
    /** The library's own. */
    uint32_t private_number;
    /** Of what came. */
    void *value;
    /** The library's own. */
    uint64_t private_words[4];
} ostler_cell_state;

/**
 * One user's way to a set of cells, made by ostler_desk_open. The fields are for ostler_inline.h; programs use its functions,
 * or ostler_desk_acquire, ostler_desk_complete, ostler_desk_poll and ostler_desk_release.
 */
typedef struct ostler_desk {
    /** OSTLER_DESK_LAYOUT, or another number that sends every call into the library. */
    uint32_t layout;
    /** How many free cells are in it. */
    uint32_t count;
    /** What deferred is while its user is at it, else 0. */
    uint64_t busy;
    uint64_t deferred;
    /** Of the set: odd while free cells may lie in desks. */
    const uint32_t *state;
    /** Of the set: who ends cells and takes what comes: the address of a desk that does so alone, or 1 for all. */
    const uint64_t *who;
    struct ostler_cell_state *cells;
    /** What stands in the names of its cells beside their number. */
    uint32_t salt;
    /** How many cells there are. */
    uint32_t capacity;
    /** Of the set: how many cells were released before anything came. */
    uint64_t *released;
    /** With no more free cells than this in it the library is asked. */
    uint32_t floor;
    /** How many free cells may be in it. */
    uint32_t room;
    /** The names that those will have which are in it. */
    uint64_t free[32];
    /** The library's own. */
    uint32_t private_words[14];
} ostler_desk;

/**
 * Opens a desk: the way of one thread, fiber or goroutine at a time to a set of cells, at which
 * ostler_desk_acquire_inline, ostler_desk_complete_inline, ostler_desk_poll_inline and ostler_desk_release_inline of
 * ostler_inline.h do without a call what the functions of the set do. As long as nobody else completes cells of the set, takes
 * what came or waits for it, they have no locked operation; the first who does, also its own user without the desk, ends
 * that for this set. One who only acquires does not. When a desk that was alone is closed, whoever comes next is alone.
 * Nobody goes without because of a desk: free cells that lie in it are recalled for whoever finds no other, and when
 * the set is destroyed.
 *
 * Parameters:
 * - deferred: borrowed.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_desk_close, without which the memory of
 *   a destroyed set does not go.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT (65536 desks are open), OSTLER_E_SYSTEM, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: deferred NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never but for the moment in which the set gets its second user or free cells are recalled (see ostler_deferred);
 * may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_desk_open(ostler_deferred *deferred,
                               struct ostler_desk **out);

/**
 * Takes a free cell as ostler_deferred_acquire does, first of all one that lies in the desk. Does the same as
 * ostler_desk_acquire_inline, which calls it when none does.
 *
 * Parameters:
 * - desk: borrowed.
 * - out: written only on success, else 0; a cell like any other, for the functions of the set and of its desks.
 *
 * Returns: OSTLER_OK, OSTLER_E_EXHAUSTED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED,
 * OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a desk.
 * NULL: desk NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never but for the moment in which free cells are recalled (see ostler_deferred); may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_desk_acquire(struct ostler_desk *desk,
                                  ostler_cell *out);

/**
 * Completes a cell as ostler_deferred_complete does. Does the same as ostler_desk_complete_inline, which calls it when it
 * cannot go on.
 *
 * Parameters:
 * - desk: borrowed.
 * - cell: a cell of the desk's set that is pending, whoever acquired it.
 * - outcome: OSTLER_OK, or what went wrong: any other number, of the host's own choice.
 * - value: owned; anything, also NULL. On OSTLER_OK it goes to whoever takes it; after an error it stays the caller's.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_CELL (nobody wants it any more), OSTLER_E_ALREADY_COMPLETED (also after a cancel or
 * a destroy), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a desk.
 * NULL: desk NULL is OSTLER_E_INVALID_HANDLE; value may be NULL.
 * Blocking: as long as the cell's completion callback takes, and for the moment in which a set gets its second user (see
 * ostler_deferred); may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_desk_complete(struct ostler_desk *desk,
                                   ostler_cell cell,
                                   ostler_status outcome,
                                   void *value);

/**
 * Takes what has come as ostler_deferred_poll does; the cell lies in the desk then, when there is room. Does the same as
 * ostler_desk_poll_inline, which calls it when it cannot go on.
 *
 * Parameters:
 * - desk: borrowed.
 * - cell: consumed on success, and still valid otherwise; any cell of the desk's set.
 * - outcome: written; as for ostler_deferred_wait.
 * - value: written; as for ostler_deferred_wait.
 *
 * Returns: OSTLER_OK, OSTLER_E_NOT_READY, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or it has a
 * completion callback), OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a desk.
 * NULL: desk NULL is OSTLER_E_INVALID_HANDLE; value may be NULL; outcome must not be NULL.
 * Blocking: never but for the moment in which a set gets its second user (see ostler_deferred); may be called from any
 * callback.
 * Since: 0.1
 */
ostler_status ostler_desk_poll(struct ostler_desk *desk,
                               ostler_cell cell,
                               ostler_status *outcome,
                               void **value);

/**
 * Gives a cell back without taking what comes, as ostler_deferred_release does. Does the same as ostler_desk_release_inline,
 * which calls it when it cannot go on.
 *
 * Parameters:
 * - desk: borrowed.
 * - cell: consumed on success, and still valid otherwise; any cell of the desk's set.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_CELL, OSTLER_E_BUSY (a thread waits for it, or its completion callback is called at
 * this moment), OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: one thread at a time uses a desk.
 * NULL: desk NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as discard takes, and for the moment in which a set gets its second user (see ostler_deferred); may be
 * called from any callback.
 * Since: 0.1
 */
ostler_status ostler_desk_release(struct ostler_desk *desk,
                                  ostler_cell cell);

/**
 * Closes a desk. The free cells in it are there for all; cells that were acquired at it stay good, and end as any do.
 * Closing the last desk of a destroyed set of which no cell is out lets its memory go.
 *
 * Parameters:
 * - desk: owned; invalid afterwards.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-bound: no other thread may use the desk meanwhile; any thread may close it.
 * NULL: desk NULL is OSTLER_OK and does nothing.
 * Blocking: never but for the moment in which the set gets its second user or free cells are recalled (see ostler_deferred);
 * may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_desk_close(struct ostler_desk *desk);


/* ======================================================================
 * Templates: immutable initial data by key, built once and then copied, or read in place, without a lock. What is here
 * is bounded by count and by bytes; a key can be invalidated at any time, and whoever uses the old template goes on
 * with it.
 * ====================================================================== */

/** A cache of templates. */
typedef struct ostler_templates ostler_templates;

/** Names one reference to one template. A value of 0 is never one. */
typedef struct ostler_template {
    uint64_t value;
} ostler_template;


/* ======================================================================
 * What a cache of templates is told when it is made.
 * ====================================================================== */

/**
 * Evictions: the template whose last use is longest ago goes. Uses are told apart as far as templates were kept between
 * them; of those that were used since the same one was kept the oldest goes.
 */
#define OSTLER_EVICT_LEAST_RECENTLY_USED 0

/**
 * The template with the fewest uses goes; after 64 they are counted ever more rarely. All counts are halved each time as
 * many have gone as there are.
 */
#define OSTLER_EVICT_LEAST_FREQUENTLY_USED 1

/** The bounds of a cache of templates. */
typedef struct ostler_templates_config {
    /** sizeof(ostler_templates_config). */
    uint32_t struct_size;
    /**
     * Which template goes when there is no room: OSTLER_EVICT_LEAST_RECENTLY_USED (0) or
     * OSTLER_EVICT_LEAST_FREQUENTLY_USED. One that is in use goes from the cache at once, and is destroyed after its last
     * use. Of more than 128 templates the least used of 128 goes, which are picked at random.
     */
    uint32_t eviction;
    /** Most templates that are kept; 1 to 1048576; 0: 1024. The memory to find them is taken at once, 40 to 72 bytes each. */
    uint32_t max_templates;
    /** Most references that are out; 1 to 1048576; 0: 1024. The memory for all is taken at once, some 50 bytes each. */
    uint32_t max_references;
    /**
     * Most bytes that the templates that are kept may count; one that counts more is built for each who asks for it, and
     * not kept; 0: no bound.
     */
    uint64_t max_bytes;
    /** Alignment of an instance in an arena; a power of two of at most 2 MiB; 0: 64. */
    uint64_t align_bytes;
} ostler_templates_config;

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_templates_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_config_init(struct ostler_templates_config *config, uint32_t struct_size);


/* ======================================================================
 * What the host does for a cache of templates: it builds them, copies them and ends them.
 * ====================================================================== */

/**
 * The functions of the host for a cache of templates. They run on the thread that calls the library, with no lock held,
 * and may call it, also the same cache, but not destroy that. A build that asks for its own key, over others or not, gets
 * OSTLER_E_WOULD_DEADLOCK; a circle over several caches, or over threads that a build starts and waits for, is not noticed.
 */
typedef struct ostler_templates_callbacks {
    /** sizeof(ostler_templates_callbacks). */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /**
     * Builds the template of a key: writes where its data is and of how many bytes it is, and returns OSTLER_OK, or what
     * went wrong. The data is not copied and must not change until destroy. charge_bytes holds 0: the template counts
     * data_bytes for max_bytes; or it writes what that is to be. Called for one key by one thread at a time, unless the
     * key is invalidated meanwhile.
     */
    ostler_status (*build)(void *user_data,
                           const void *key,
                           uint64_t key_bytes,
                           void **data,
                           uint64_t *data_bytes,
                           uint64_t *charge_bytes);
    /** Makes an instance of data_bytes at target, by many threads at once; NULL: the bytes are copied. */
    ostler_status (*clone)(void *user_data, const void *data, uint64_t data_bytes, void *target);
    /** Ends what build made, when nobody uses it any more; may be NULL. */
    void (*destroy)(void *user_data, void *data, uint64_t data_bytes);
} ostler_templates_callbacks;

/**
 * Empties a table of callbacks.
 *
 * Parameters:
 * - callbacks: written only on success.
 * - struct_size: sizeof(ostler_templates_callbacks).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: callbacks must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_callbacks_init(struct ostler_templates_callbacks *callbacks,
                                              uint32_t struct_size);


/* ======================================================================
 * The life of a cache of templates.
 * ====================================================================== */

/**
 * Makes a cache of templates, with nothing in it.
 *
 * Parameters:
 * - config: borrowed during the call; NULL: the defaults.
 * - callbacks: borrowed during the call; build is required.
 * - user_data: handed to every callback; must stay valid until the cache is destroyed and the last reference is back.
 * - out: written only on success, else NULL; owned by the caller, ends with ostler_templates_destroy.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL; user_data may be NULL; callbacks, its build, and out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_create(const ostler_templates_config *config,
                                      const ostler_templates_callbacks *callbacks,
                                      void *user_data,
                                      ostler_templates **out);

/**
 * Destroys a cache of templates: waits inside it end with OSTLER_E_CLOSED, and builds that are under way are waited for.
 * References that are out stay valid until they are released, and the memory goes with the last.
 *
 * Parameters:
 * - templates: owned; invalid afterwards, except for its references.
 *
 * Returns: OSTLER_OK, OSTLER_E_WOULD_DEADLOCK (from inside one of its own callbacks; nothing happens),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates NULL is OSTLER_OK and does nothing.
 * Blocking: as long as the callbacks take.
 * Since: 0.1
 */
ostler_status ostler_templates_destroy(ostler_templates *templates);


/* ======================================================================
 * Instances: copies of a template, which the library builds when it is not here.
 * ====================================================================== */

/**
 * Makes an instance of the template of a key in the caller's memory. When the template is not there the first caller
 * builds it, and those who come meanwhile wait. One that is there takes no lock.
 *
 * Parameters:
 * - templates: borrowed.
 * - key: borrowed during the call; bytes of any value.
 * - key_bytes: 1 to 255.
 * - target: written only on success, but for what a clone callback that fails has written; no part of a template.
 * - target_bytes: its size; at least that of the template, which the message tells when it is more.
 * - timeout_ns: how long to wait for another thread's build; 0 does not wait, OSTLER_FOREVER waits without bound. A build
 *   of the caller's own takes as long as it takes.
 * - cancel: borrowed during the call; ends the wait.
 * - data_bytes: written; how many bytes were; 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_BUILD_FAILED (the message has the words of the build), OSTLER_E_CALLBACK_FAILED (of the
 * clone), OSTLER_E_WOULD_DEADLOCK (from inside a build of the same key, or one that it waits for), OSTLER_E_TIMEOUT,
 * OSTLER_E_CANCELLED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; data_bytes may be NULL; key and target must not
 * be NULL.
 * Blocking: up to timeout_ns, or as long as build takes, and then as long as clone takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_instantiate(ostler_templates *templates,
                                           const void *key,
                                           uint64_t key_bytes,
                                           void *target,
                                           uint64_t target_bytes,
                                           uint64_t timeout_ns,
                                           ostler_cancel *cancel,
                                           uint64_t *data_bytes);

/**
 * Makes an instance of the template of a key in an arena; see ostler_templates_instantiate.
 *
 * Parameters:
 * - templates: borrowed.
 * - key: borrowed during the call; bytes of any value.
 * - key_bytes: 1 to 255.
 * - arena: borrowed; what was allocated for a clone callback that fails stays allocated.
 * - timeout_ns: how long to wait for another thread's build; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait.
 * - out: written only on success, else NULL; belongs to the arena, aligned as the configuration says.
 * - data_bytes: written; how many bytes are there; 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_BUILD_FAILED (the message has the words of the build), OSTLER_E_CALLBACK_FAILED (of the
 * clone), OSTLER_E_WOULD_DEADLOCK (from inside a build of the same key, or one that it waits for), OSTLER_E_TIMEOUT,
 * OSTLER_E_CANCELLED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED (also the arena's),
 * OSTLER_E_QUARANTINED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates or arena NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; data_bytes may be NULL; key and out must
 * not be NULL.
 * Blocking: up to timeout_ns, or as long as build takes, and then as long as the kernel takes to map a chunk and clone
 * takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_instantiate_in(ostler_templates *templates,
                                              const void *key,
                                              uint64_t key_bytes,
                                              ostler_arena *arena,
                                              uint64_t timeout_ns,
                                              ostler_cancel *cancel,
                                              void **out,
                                              uint64_t *data_bytes);


/* ======================================================================
 * References: a template is read in place for as long as one is held.
 * ====================================================================== */

/** What a reference to a template leads to. */
typedef struct ostler_template_info {
    /** sizeof(ostler_template_info), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    const void *data;
    uint64_t data_bytes;
    /** From 1; a template whose build began later has a higher one. */
    uint64_t version;
} ostler_template_info;

/**
 * Hands out a reference to the template of a key, which is built when it is not there; see
 * ostler_templates_instantiate. Until it is released the template stays, also when it is invalidated or evicted.
 *
 * Parameters:
 * - templates: borrowed.
 * - key: borrowed during the call; bytes of any value.
 * - key_bytes: 1 to 255.
 * - timeout_ns: how long to wait for another thread's build; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait.
 * - out: written only on success, else 0; ends with ostler_templates_release.
 * - data: written only on success, else NULL; the template's data, which must not be written; valid until the release.
 * - data_bytes: written; how many bytes are there; 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_BUILD_FAILED (the message has the words of the build), OSTLER_E_EXHAUSTED (of references),
 * OSTLER_E_WOULD_DEADLOCK (from inside a build of the same key, or one that it waits for), OSTLER_E_TIMEOUT,
 * OSTLER_E_CANCELLED, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE; cancel may be NULL; data may be NULL; data_bytes may be NULL; key and
 * out must not be NULL.
 * Blocking: up to timeout_ns, or as long as build takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_get(ostler_templates *templates,
                                   const void *key,
                                   uint64_t key_bytes,
                                   uint64_t timeout_ns,
                                   ostler_cancel *cancel,
                                   ostler_template *out,
                                   const void **data,
                                   uint64_t *data_bytes);

/**
 * Gives a reference back. A template that is not kept any more is destroyed with its last one.
 *
 * Parameters:
 * - templates: borrowed, also when it was destroyed.
 * - reference: consumed.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_TEMPLATE, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as destroy takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_release(ostler_templates *templates,
                                       ostler_template reference);

/**
 * Tells what a reference leads to.
 *
 * Parameters:
 * - templates: borrowed, also when it was destroyed.
 * - reference: one that is out.
 * - out: struct_size set by the caller; written: emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_TEMPLATE, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_get_info(ostler_templates *templates,
                                        ostler_template reference,
                                        struct ostler_template_info *out);


/* ======================================================================
 * Versions: a key whose template is invalidated gets a new one.
 * ====================================================================== */

/**
 * Tells the version of the template that is kept for a key. Versions only grow, so one that differs from that of a
 * reference says that a newer one is there, or none.
 *
 * Parameters:
 * - templates: borrowed.
 * - key: borrowed during the call; bytes of any value.
 * - key_bytes: 1 to 255.
 * - version: written; 0 when none is kept, and after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE; key and version must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_get_version(ostler_templates *templates,
                                           const void *key,
                                           uint64_t key_bytes,
                                           uint64_t *version);

/**
 * Makes the template of a key go: once this returns, no call that begins gets it, nor what a build that was under way
 * made. Those who use it, or waited for that build, go on with it.
 *
 * Parameters:
 * - templates: borrowed.
 * - key: borrowed during the call; bytes of any value; one that is not there is nothing to do.
 * - key_bytes: 1 to 255.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE; key must not be NULL.
 * Blocking: as long as destroy takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_invalidate(ostler_templates *templates,
                                          const void *key,
                                          uint64_t key_bytes);

/**
 * Makes the templates of all keys go; see ostler_templates_invalidate.
 *
 * Parameters:
 * - templates: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: as long as destroy takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_invalidate_all(ostler_templates *templates);


/* ======================================================================
 * What a cache of templates counts and measures.
 * ====================================================================== */

/** What a cache of templates holds and did. */
typedef struct ostler_templates_stats {
    /** sizeof(ostler_templates_stats), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Templates that are kept. */
    uint64_t templates;
    /** What they count. */
    uint64_t bytes;
    /** Templates that are not kept, but still in use. */
    uint64_t leaving;
    /** What those count. */
    uint64_t leaving_bytes;
    /** References that are out. */
    uint64_t in_use;
    /** Callers that wait for another thread's build. */
    uint64_t waiting;
    /** Uses of a template that was there. */
    uint64_t hits;
    /** Calls that did not find theirs, and built it or waited for it. */
    uint64_t misses;
    uint64_t builds;
    uint64_t build_failures;
    /** Templates that went because of max_templates. */
    uint64_t evicted_for_count;
    /** Templates that went because of max_bytes. */
    uint64_t evicted_for_bytes;
    /** Templates that were kept until they were invalidated. */
    uint64_t invalidated;
    /** Templates that were built and not kept: invalidated meanwhile, above max_bytes, or of a cache that is destroyed. */
    uint64_t unkept;
    /** How long builds took, also those that failed. */
    ostler_times build_times;
    /** How long those waited that had to, also in vain. */
    ostler_times waits;
} ostler_templates_stats;

/**
 * Reads what a cache of templates holds and did.
 *
 * Parameters:
 * - templates: borrowed.
 * - out: struct_size set by the caller; written: emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each number is right for some moment of the call; nobody is held up.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_templates_get_stats(ostler_templates *templates,
                                         struct ostler_templates_stats *out);


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
 * NULL: config may be NULL, which takes every default; out must not be NULL.
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
 * - out: struct_size set by the caller; written: emptied first, filled on success.
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
 * - out: struct_size set by the caller; written: emptied first, filled on success.
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
 * Forgoes the outcome of a request: the request goes on with its buffers, and its outcome is dropped when it comes.
 *
 * Parameters:
 * - orchestrator: borrowed.
 * - ticket: consumed on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_STALE_TICKET, OSTLER_E_BUSY (a thread waits for it), OSTLER_E_INVALID_ARGUMENT (a
 * request with on_complete), OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_orchestrator_forget(struct ostler_orchestrator *orchestrator,
                                         ostler_ticket ticket);

/**
 * Takes no more requests, and waits until every accepted one has its outcome. The orchestrator stays closed, also
 * when the time is up first; a later drain goes on waiting.
 *
 * Parameters:
 * - orchestrator: borrowed.
 * - timeout_ns: how long to wait; 0 does not wait, OSTLER_FOREVER waits without bound.
 * - cancel: borrowed during the call; ends the wait.
 * - still_out: written; how many requests have no outcome yet, also after OSTLER_E_TIMEOUT and OSTLER_E_CANCELLED; else 0.
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
 * - out: struct_size set by the caller; written: emptied first, filled on success.
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
    /**
     * A batch that is not full starts when its oldest request has waited this long, when half of the time that a
     * request has until its deadline is gone, or when the orchestrator drains; 0: at once.
     */
    uint64_t batch_wait_ns;
    /** A worker above min_workers that had nothing to do this long unloads and ends; 0: never. */
    uint64_t idle_timeout_ns;
    /**
     * Bytes that each worker holds: counted against the orchestrator's memory_limit_bytes, beyond which none is started,
     * and charged to the model's account (OSTLER_HOLDER_WORKER) from before its load until after its unload. A load for
     * which the governor has no room is one that failed. When memory runs short, workers above min_workers that have
     * nothing to do unload and end (OSTLER_RECLAIM_WORKER). 0: it is not known, nothing is charged and nobody goes.
     */
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
     * Makes the state that one worker keeps, once, on the worker's own thread; required. worker
     * is below max_workers; the number of one that ended is used again.
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
    /** Unloads of workers that went because memory was short. */
    uint64_t evicted;
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
 * NULL: orchestrator NULL is OSTLER_E_INVALID_HANDLE; config may be NULL, which takes every default; user_data may be NULL;
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
 * Submits a request. It waits for a worker by its priority, and within a priority the oldest goes first.
 *
 * Parameters:
 * - model: borrowed.
 * - request: borrowed during the call; its memory until the outcome. An input_buffer gets a reference of the request's.
 * - out: written only on success, else 0. A request without on_complete keeps its place in the orchestrator's table
 *   until this ticket is given to ostler_orchestrator_wait, _poll or _forget.
 *
 * Returns: OSTLER_OK, OSTLER_E_QUEUE_FULL, OSTLER_E_STALE_BUFFER, OSTLER_E_LIMIT (of references to the input_buffer),
 * OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_INVALID_HANDLE (also of the input_buffer's set),
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
 * - accepted: written; how many were accepted, also after a failure.
 *
 * Returns: OSTLER_OK (all), or why the first that was refused was: OSTLER_E_QUEUE_FULL, OSTLER_E_INVALID_ARGUMENT,
 * OSTLER_E_UNSUPPORTED, OSTLER_E_CLOSED, OSTLER_E_STALE_BUFFER, OSTLER_E_LIMIT; OSTLER_E_INVALID_HANDLE, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: model NULL is OSTLER_E_INVALID_HANDLE; requests and tickets (unless count is 0) and accepted must not be
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
 * - out: struct_size set by the caller; written: emptied first, filled on success.
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


/* ======================================================================
 * Tracing: who took what, and from where. While it is on, memory that an object takes from the system, and a sample of
 * the blocks that it hands out, is remembered with its size, its age and the call stack that asked for it, until it is
 * given back. Off, it costs one load of a flag.
 * ====================================================================== */

/** Memory that an object took from the system; every one is remembered. */
#define OSTLER_TRACED_MAPPING 0

/** A block that an object handed out; a sample is remembered. */
#define OSTLER_TRACED_BLOCK 1

/** One group for each call stack, the one with most bytes first. */
#define OSTLER_TRACING_BY_STACK 0

/** One group for each call stack of each object, the object with most bytes first. */
#define OSTLER_TRACING_BY_OBJECT 1

/** What is remembered. */
typedef struct ostler_tracing_config {
    /** sizeof(ostler_tracing_config). */
    uint32_t struct_size;
    /** Frames of a call stack, innermost first; at most 64; 0: 32. */
    uint32_t max_frames;
    /**
     * Of the bytes that are handed out as blocks, one in so many is looked at on average, and the block that it falls
     * into is remembered; 1: every block; 0: 16777216. A larger block is found more surely, and stands for fewer.
     */
    uint64_t sample_bytes;
    /**
     * What the sample is drawn with: the same seed finds the same blocks in a thread that takes the same ones; 0 is a
     * seed like any other.
     */
    uint64_t seed;
} ostler_tracing_config;

/** How much is remembered. */
typedef struct ostler_tracing_stats {
    /** sizeof(ostler_tracing_stats), set by the caller. */
    uint32_t struct_size;
    /** 1 while tracing is on. */
    uint32_t on;
    /** As configured. */
    uint64_t sample_bytes;
    /** Mappings and blocks that are remembered now. */
    uint64_t followed;
    /** Those that were not, because the table of 65536 was full. */
    uint64_t lost;
    /** Different call stacks that were seen; of more than 32768 the rest counts as one. */
    uint64_t call_stacks;
} ostler_tracing_stats;

/** One call in a call stack. Module and offset stay true after the module is unloaded, and from one run to the next. */
typedef struct ostler_trace_frame {
    /** The file of the program or library; "" when the code belongs to none. */
    const char *module;
    /** The address of the call in that file, as addr2line -e takes it; without a module, in memory. */
    uint64_t offset;
    /** The name of the function; "" when the file does not tell. */
    const char *function;
    /** The file of the source; "" when the module has no debug information. */
    const char *file;
    /** The line in it, or 0. */
    uint32_t line;
    /** 0. */
    uint32_t reserved;
} ostler_trace_frame;

/** What one call stack took and has not given back. */
typedef struct ostler_trace_group {
    /** sizeof(ostler_trace_group). */
    uint32_t struct_size;
    /** OSTLER_TRACED_... */
    uint32_t kind;
    /** Bytes of all blocks; an estimate where only a sample is remembered. */
    uint64_t bytes;
    /** How many there are; an estimate as well. */
    uint64_t blocks;
    /** Those of them that are remembered. */
    uint64_t followed;
    /** The age of the oldest one in nanoseconds. */
    uint64_t oldest_ns;
    /** The number of the account of the object that has them; 0: several have them, or it has none. */
    uint64_t account;
    /** The kind of that object, such as "arena"; "": several kinds. */
    const char *holder;
    /** Its call stack, innermost call first. */
    const struct ostler_trace_frame *frames;
    /** How many frames there are. */
    uint32_t frame_count;
    /** 0. */
    uint32_t reserved;
    /** The name of that object; "": several objects, or it has no name. */
    char name[OSTLER_NAME_BYTES];
} ostler_trace_group;

/** Is shown one group, which is borrowed during the call with all that it points to. */
typedef void (*ostler_tracing_callback)(void *user_data, const struct ostler_trace_group *group);

/**
 * Fills a configuration with the defaults.
 *
 * Parameters:
 * - config: written only on success.
 * - struct_size: sizeof(ostler_tracing_config).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tracing_config_init(struct ostler_tracing_config *config, uint32_t struct_size);

/**
 * Switches tracing on, for the whole process. When it is on already, the new configuration holds from now on. What was
 * taken before is not known.
 *
 * Parameters:
 * - config: borrowed during the call.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: config may be NULL, which takes every default.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tracing_start(const struct ostler_tracing_config *config);

/**
 * Switches tracing off. What is remembered stays so until it is given back.
 *
 * Returns: OSTLER_OK, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tracing_stop(void);

/**
 * Tells how much is remembered.
 *
 * Parameters:
 * - out: its struct_size is set by the caller; the rest is written only on success, else 0.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tracing_get_stats(struct ostler_tracing_stats *out);

/**
 * Writes what is alive for people: one line for each group, and below it its call stack.
 *
 * Parameters:
 * - by: OSTLER_TRACING_BY_STACK or OSTLER_TRACING_BY_OBJECT.
 * - buffer: written only on success; NUL-terminated UTF-8, cut to what fits.
 * - buffer_bytes: its size; 0 writes nothing.
 * - needed_bytes: written only on success, else 0: the size that the whole report needs, its NUL included.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
 * Blocking: as long as it takes to read the names from the files of the program and its libraries; may be called from
 * any callback.
 * Since: 0.1
 */
ostler_status ostler_tracing_report(uint32_t by,
                                    char *buffer,
                                    uint64_t buffer_bytes,
                                    uint64_t *needed_bytes);

/**
 * Shows every group to a callback, in the order of the report.
 *
 * Parameters:
 * - by: OSTLER_TRACING_BY_STACK or OSTLER_TRACING_BY_OBJECT.
 * - callback: called for each group, on this thread, with no lock held; it may call the library.
 * - user_data: handed to the callback as it is, during the call.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_OUT_OF_MEMORY, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: callback must not be NULL; user_data may be NULL.
 * Blocking: as long as it takes to read the names from the files of the program and its libraries, and as the callback
 * takes; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_tracing_visit(uint32_t by,
                                   ostler_tracing_callback callback,
                                   void *user_data);

/**
 * Writes a call site for people: its frames in one line, innermost first.
 *
 * Parameters:
 * - call_site: one that the library gave out, as in ostler_lease_info; 0 says that tracing was off.
 * - buffer: written; cut to buffer_bytes - 1 bytes, and a NUL.
 * - buffer_bytes: the bytes of the buffer; 0 only counts.
 * - needed_bytes: written; how many bytes all of it needs, the NUL included; 0 after a failure.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: buffer may be NULL when buffer_bytes is 0; needed_bytes may be NULL.
 * Blocking: as long as it takes to read the names from the files of the program and its libraries; may be called from any
 * callback.
 * Since: 0.1
 */
ostler_status ostler_tracing_print_site(uint32_t call_site,
                                        char *buffer,
                                        uint64_t buffer_bytes,
                                        uint64_t *needed_bytes);


/* ======================================================================
 * Testkit: for the tests of programs that use the library. Its clock can be stopped and moved by hand, so that what
 * takes hours takes none; the callbacks of a pool, a model or templates can be made to fail and to be slow, in the same
 * way each time; and what the library does by chance can be given a seed. Nothing here belongs into a program that is not a test.
 * ====================================================================== */

/**
 * The callbacks that can be made to misbehave: of a pool the first five, of a model the next two, of templates the last
 * two and OSTLER_TESTKIT_DESTROY.
 */
#define OSTLER_TESTKIT_CREATE 1

#define OSTLER_TESTKIT_VALIDATE 2

#define OSTLER_TESTKIT_RESET 3

#define OSTLER_TESTKIT_DESTROY 4

#define OSTLER_TESTKIT_RETAG 5

#define OSTLER_TESTKIT_LOAD 6

#define OSTLER_TESTKIT_RUN 7

#define OSTLER_TESTKIT_BUILD 8

#define OSTLER_TESTKIT_CLONE 9

/**
 * Which calls of a callback misbehave, and how. Calls are counted from 1, from when the fault was set. The same fault
 * and the same calls give the same misbehaviour, in every run and on every machine.
 */
typedef struct ostler_testkit_fault {
    /** sizeof(ostler_testkit_fault). */
    uint32_t struct_size;
    /** Of which callback: OSTLER_TESTKIT_CREATE, ... */
    uint32_t callback;
    /** The first call that misbehaves; 0: the one that every tells. */
    uint64_t first;
    /** After the first, each so-many-th; 0: none. */
    uint64_t every;
    /** Decides, with the number of a call, what comes by chance. */
    uint64_t seed;
    /** How many calls in a million misbehave by chance, besides those that first and every tell; at most 1000000. */
    uint32_t per_million;
    /** What the callback seems to have answered, without being called; 0: it is called. Always 0 for a destroy. */
    ostler_status status;
    /**
     * How long the call takes, by the library's clock, before it fails or before the callback is called;
     * OSTLER_FOREVER: until the fault is cleared.
     */
    uint64_t delay_ns;
} ostler_testkit_fault;

/** What a fault did since it was set. */
typedef struct ostler_testkit_injected {
    /** sizeof(ostler_testkit_injected), set by the caller. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Calls until it was cleared, those that it left alone included. */
    uint64_t calls;
    /** Calls that it made fail. */
    uint64_t failures;
    /** Calls that it held up. */
    uint64_t delays;
} ostler_testkit_injected;

/**
 * Stops the library's clock, for the whole process. Every time that the library reads stands still from now on, and
 * every wait with a timeout lasts until ostler_testkit_clock_advance has brought its end. What the library shortens
 * by chance, such as a lifetime or a breaker's pause, it still does. A second freeze changes nothing; each is ended
 * by one thaw.
 *
 * Returns: OSTLER_OK, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_clock_freeze(void);

/**
 * Moves the library's clock forward, whether it stands or runs, and ends the waits whose time is up then. What the
 * library's threads do about it is done after ostler_testkit_clock_settle. They see the new time at once and none
 * between: what is to happen three times, happens in three advances.
 *
 * Parameters:
 * - by_ns: how far; 0 only wakes those who wait, to look again.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT (the clock would be further than 2^62 ns, 146 years), OSTLER_E_FORKED,
 * OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. What several threads move it by adds up.
 * NULL: takes no pointer.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_clock_advance(uint64_t by_ns);

/**
 * Waits until every thread of the library sleeps and none has anything to do at the time that it is, so that a test
 * sees what an advance led to. A thread that is held up by a fault sleeps, and so does one that waits in the library
 * from inside a callback; any other callback is waited for. What the program's own threads do is theirs to wait for.
 *
 * Parameters:
 * - timeout_ns: real time, however the library's clock stands.
 * - cancel: borrowed.
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT, OSTLER_E_CANCELLED, OSTLER_E_WOULD_DEADLOCK (inside a callback),
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: cancel may be NULL.
 * Blocking: as said; inside a callback it is OSTLER_E_WOULD_DEADLOCK.
 * Since: 0.1
 */
ostler_status ostler_testkit_clock_settle(uint64_t timeout_ns,
                                          ostler_cancel *cancel);

/**
 * Ends one freeze. After the last the clock runs on from where it stands, so that time neither goes backwards nor
 * leaps, and each wait has as much of it left as it had. A clock that runs is left alone. ostler_shutdown ends every
 * freeze.
 *
 * Returns: OSTLER_OK, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_clock_thaw(void);

/**
 * Fills a fault with zeros.
 *
 * Parameters:
 * - fault: written only on success.
 * - struct_size: sizeof(ostler_testkit_fault).
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: fault must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_fault_init(struct ostler_testkit_fault *fault, uint32_t struct_size);

/**
 * Gives a seed to what the library does by chance, for the whole process: by how much a lifetime, a keepalive or a pause is
 * shortened, and which templates are looked at for eviction. The same calls in the same order have the same luck from now
 * on, in each run; threads that draw at the same time do so in no order of their own.
 *
 * Parameters:
 * - seed: any number.
 *
 * Returns: OSTLER_OK, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_chance_seed(uint64_t seed);

/**
 * Ends what ostler_testkit_chance_seed began: chance is chance again.
 *
 * Returns: OSTLER_OK, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: takes no pointer.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_chance_unseed(void);

/**
 * Makes a callback of a pool misbehave from now on, in place of the fault that it had before. A failure looks to the
 * pool as if the callback had answered with it. It lasts until it is cleared, or the pool destroyed. A callback that
 * the pool does not have is never called, and so never misbehaves.
 *
 * Parameters:
 * - pool: borrowed.
 * - fault: borrowed during the call.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; fault must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_pool_inject(ostler_pool *pool,
                                         const struct ostler_testkit_fault *fault);

/**
 * Ends the fault of a pool's callback, and the delays that it causes at this moment. Without one nothing happens.
 *
 * Parameters:
 * - pool: borrowed.
 * - callback: OSTLER_TESTKIT_CREATE to OSTLER_TESTKIT_RETAG.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_pool_clear(ostler_pool *pool,
                                        uint32_t callback);

/**
 * Reads what the fault of a pool's callback did, also after it was cleared; all is 0 when there was none.
 *
 * Parameters:
 * - pool: borrowed.
 * - callback: OSTLER_TESTKIT_CREATE to OSTLER_TESTKIT_RETAG.
 * - out: struct_size set by the caller; written: emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each number is right for some moment of the call.
 * NULL: pool NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_pool_get_injected(ostler_pool *pool,
                                               uint32_t callback,
                                               struct ostler_testkit_injected *out);

/**
 * Makes a callback of a model misbehave from now on, in place of the fault that it had before. A failure looks to the
 * model as if the callback had answered with it. It lasts until it is cleared, or the model destroyed.
 *
 * Parameters:
 * - model: borrowed.
 * - fault: borrowed during the call.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: model NULL is OSTLER_E_INVALID_HANDLE; fault must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_model_inject(ostler_model *model,
                                          const struct ostler_testkit_fault *fault);

/**
 * Ends the fault of a model's callback, and the delays that it causes at this moment. Without one nothing happens.
 *
 * Parameters:
 * - model: borrowed.
 * - callback: OSTLER_TESTKIT_LOAD or OSTLER_TESTKIT_RUN.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: model NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_model_clear(ostler_model *model,
                                         uint32_t callback);

/**
 * Reads what the fault of a model's callback did, also after it was cleared; all is 0 when there was none.
 *
 * Parameters:
 * - model: borrowed.
 * - callback: OSTLER_TESTKIT_LOAD or OSTLER_TESTKIT_RUN.
 * - out: struct_size set by the caller; written: emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each number is right for some moment of the call.
 * NULL: model NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_model_get_injected(ostler_model *model,
                                                uint32_t callback,
                                                struct ostler_testkit_injected *out);

/**
 * Makes a callback of templates misbehave from now on, in place of the fault that it had before. A failure looks to the
 * templates as if the callback had answered with it. It lasts until it is cleared, or the templates destroyed.
 *
 * Parameters:
 * - templates: borrowed.
 * - fault: borrowed during the call.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_E_OUT_OF_MEMORY,
 * OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED, OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE; fault must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_templates_inject(ostler_templates *templates,
                                              const struct ostler_testkit_fault *fault);

/**
 * Ends the fault of a callback of templates, and the delays that it causes at this moment. Without one nothing happens.
 *
 * Parameters:
 * - templates: borrowed.
 * - callback: OSTLER_TESTKIT_BUILD, OSTLER_TESTKIT_CLONE or OSTLER_TESTKIT_DESTROY.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_templates_clear(ostler_templates *templates,
                                             uint32_t callback);

/**
 * Reads what the fault of a callback of templates did, also after it was cleared; all is 0 when there was none.
 *
 * Parameters:
 * - templates: borrowed.
 * - callback: OSTLER_TESTKIT_BUILD, OSTLER_TESTKIT_CLONE or OSTLER_TESTKIT_DESTROY.
 * - out: struct_size set by the caller; written: emptied first, filled on success.
 *
 * Returns: OSTLER_OK, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_INVALID_HANDLE, OSTLER_E_CLOSED, OSTLER_E_QUARANTINED,
 * OSTLER_E_FORKED, OSTLER_E_PANIC
 *
 * Thread-safety: Thread-safe. Each number is right for some moment of the call.
 * NULL: templates NULL is OSTLER_E_INVALID_HANDLE; out must not be NULL.
 * Blocking: never blocks; may be called from any callback.
 * Since: 0.1
 */
ostler_status ostler_testkit_templates_get_injected(ostler_templates *templates,
                                                    uint32_t callback,
                                                    struct ostler_testkit_injected *out);


#ifdef __cplusplus
}
#endif

#endif /* OSTLER_H */
