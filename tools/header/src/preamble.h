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
