/* The seam for injected failures. Only the library built with the feature `faults` exports these functions. */
#ifndef OSTLER_FAULTS_H
#define OSTLER_FAULTS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Points at which the library visits the outside world, and where a visit can be made to fail. */
#define OSTLER_FAULT_ALLOCATION 1
#define OSTLER_FAULT_MMAP 2
#define OSTLER_FAULT_MBIND 3 /* mbind, set_mempolicy and get_mempolicy */
#define OSTLER_FAULT_MADVISE 4
#define OSTLER_FAULT_THREAD_START 5
#define OSTLER_FAULT_CALLBACK 6 /* as if the host's callback had failed; it is not run */
#define OSTLER_FAULT_CALL 7     /* each entry into a guarded call */
#define OSTLER_FAULT_WORKER 8   /* a worker thread's own loop, outside any callback */
#define OSTLER_FAULT_MLOCK 9
#define OSTLER_FAULT_MOVE_PAGES 10
#define OSTLER_FAULT_SCAN 11 /* the ioctl PAGEMAP_SCAN */
#define OSTLER_FAULT_OPEN 12 /* opening, asking and reading a file */
#define OSTLER_FAULT_SEGMENT 13 /* memfd_create, ftruncate, fallocate, fcntl and open, of the file of a segment */
#define OSTLER_FAULT_AFFINITY 14 /* sched_setaffinity, of threads that touch pages */

/* The nth visit of a point from now (1 is the next, 0 clears) fails with os_errno, or panics when that is negative;
 * when persistent is not 0, so does every later one. */
void ostler_faults_set(uint32_t point, uint64_t nth, int32_t os_errno, uint32_t persistent);

/* Visits of a point since it was last set. */
uint64_t ostler_faults_hits(uint32_t point);

/* From now on a pool takes this machine for the one of that description, as hwloc reads it ("numa:4 core:2 pu:1"); NULL:
 * for what it is. */
void ostler_faults_set_machine(const char *description);

/* From now on this thread is taken to run on that CPU. */
void ostler_faults_run_on_cpu(uint32_t cpu);

/* Objects that are not yet gone: 0 once everything is destroyed and every child given back. */
uint64_t ostler_faults_live(void);

#ifdef __cplusplus
}
#endif

#endif
