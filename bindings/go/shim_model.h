#ifndef OSTLER_GO_SHIM_MODEL_H
#define OSTLER_GO_SHIM_MODEL_H

#include "shim.h"

typedef struct ostler_go_submitted {
    ostler_go_failure failure;
    uint64_t ticket;
} ostler_go_submitted;

typedef struct ostler_go_submitted_n {
    ostler_go_failure failure;
    uint32_t accepted;
} ostler_go_submitted_n;

/* A request whose id is an integer: Go's collector would take small numbers in pointer fields for broken pointers. */
typedef struct ostler_go_request {
    uint64_t deadline_after_ns;
    const void *input;
    uint64_t input_bytes;
    void *output;
    uint64_t output_capacity_bytes;
    uintptr_t id;
    uint32_t priority;
    uintptr_t input_buffers;
    uint64_t input_buffer;
} ostler_go_request;

ostler_go_failure ostler_go_model_config_init(ostler_model_config *config);
ostler_go_created ostler_go_model_create(uintptr_t orchestrator, const ostler_model_config *config, uintptr_t id);
ostler_go_failure ostler_go_model_wait_ready(uintptr_t model, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_submitted ostler_go_model_submit(uintptr_t model, uint32_t priority, uint64_t deadline_after_ns,
                                           const void *input, uint64_t input_bytes, void *output,
                                           uint64_t output_capacity_bytes, uintptr_t id, uintptr_t input_buffers,
                                           uint64_t input_buffer);
ostler_go_submitted_n ostler_go_model_submit_n(uintptr_t model, const ostler_go_request *requests, uint32_t count,
                                               uint64_t *tickets);
ostler_go_failure ostler_go_model_get_stats(uintptr_t model, ostler_model_stats *out);
ostler_go_failure ostler_go_model_destroy(uintptr_t model);

#endif
