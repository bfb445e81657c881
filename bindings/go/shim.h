/* What Go calls. Handles and ids cross as integers, small results come back by value, and a failure brings its words
 * with it: they belong to the thread of the call, and the next call of a goroutine may run on another thread. */
#ifndef OSTLER_GO_SHIM_H
#define OSTLER_GO_SHIM_H

#include <ostler.h>
#include <stdint.h>
#include <string.h>

#if OSTLER_VERSION_MAJOR != 0 || OSTLER_VERSION_MINOR != 1
#error "this Go package is for ostler.h of version 0.1"
#endif

typedef struct ostler_go_failure {
    ostler_status status;
    char *message; /* NULL with OSTLER_OK; otherwise the caller frees it */
} ostler_go_failure;

typedef struct ostler_go_created {
    ostler_go_failure failure;
    uintptr_t handle;
} ostler_go_created;

typedef struct ostler_go_waited {
    ostler_go_failure failure;
    uint64_t still_out;
} ostler_go_waited;

typedef struct ostler_go_printed {
    ostler_go_failure failure;
    uint64_t needed_bytes;
} ostler_go_printed;

typedef struct ostler_go_memory {
    ostler_go_failure failure;
    void *address;
} ostler_go_memory;

/* A status with its words. */
static inline ostler_go_failure failure(ostler_status status)
{
    ostler_go_failure failure = {status, NULL};
    if (status != OSTLER_OK)
        failure.message = strdup(ostler_last_error_message());
    return failure;
}

ostler_go_failure ostler_go_version_check(void);
ostler_go_failure ostler_go_log_to_pipe(uint32_t max_level, int pipe);
ostler_go_failure ostler_go_log_off(void);
ostler_go_waited ostler_go_shutdown(uint64_t timeout_ns);

#endif
