/* What Go calls. Handles and ids cross as integers, small results come back by value, and a failure brings its words
 * with it: they belong to the thread of the call, and the next call of a goroutine may run on another thread. */
#ifndef OSTLER_GO_SHIM_H
#define OSTLER_GO_SHIM_H

#include <ostler.h>
#include <stdint.h>

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

typedef struct ostler_go_leased {
    ostler_go_failure failure;
    uint64_t lease;
    uintptr_t resource;
} ostler_go_leased;

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
} ostler_go_request;

typedef struct {
    ostler_go_failure failure;
    uint32_t ready;
    uint32_t wanted;
} ostler_go_warmed;

typedef struct ostler_go_template {
    ostler_go_failure failure;
    uint64_t reference;
    const void *data;
    uint64_t bytes;
} ostler_go_template;

ostler_go_failure ostler_go_version_check(void);
ostler_go_failure ostler_go_log_to_pipe(uint32_t max_level, int pipe);
ostler_go_failure ostler_go_log_off(void);
ostler_go_waited ostler_go_shutdown(uint64_t timeout_ns);

ostler_go_created ostler_go_cancel_create(void);
ostler_go_failure ostler_go_cancel_signal(uintptr_t cancel);
ostler_go_failure ostler_go_cancel_destroy(uintptr_t cancel);

ostler_go_created ostler_go_topology_create(const char *synthetic);
ostler_go_failure ostler_go_topology_get_info(uintptr_t topology, ostler_topology_info *out);
ostler_go_failure ostler_go_topology_get_node(uintptr_t topology, uint32_t index, ostler_node_info *out);
ostler_go_failure ostler_go_topology_get_cpu(uintptr_t topology, uint32_t index, ostler_cpu_info *out);
ostler_go_failure ostler_go_topology_get_cache(uintptr_t topology, uint32_t index, ostler_cache_info *out);
ostler_go_failure ostler_go_topology_get_pages(uintptr_t topology, uint32_t node, uint32_t page_size,
                                               ostler_page_info *out);
ostler_go_failure ostler_go_topology_destroy(uintptr_t topology);

ostler_go_failure ostler_go_arena_config_init(ostler_arena_config *config);
ostler_go_created ostler_go_arena_create(ostler_arena_config *config, const ostler_page_source *source);
ostler_go_memory ostler_go_arena_alloc(uintptr_t arena, uint64_t size_bytes, uint64_t align_bytes);
ostler_go_failure ostler_go_arena_mark(uintptr_t arena, ostler_mark *out);
ostler_go_failure ostler_go_arena_rewind(uintptr_t arena, ostler_mark mark);
ostler_go_failure ostler_go_arena_reset(uintptr_t arena, uint32_t mode);
ostler_go_failure ostler_go_arena_get_stats(uintptr_t arena, ostler_arena_stats *out);
ostler_go_failure ostler_go_arena_get_receipt(uintptr_t arena, uint64_t chunk, ostler_receipt *out);
ostler_go_printed ostler_go_arena_print_receipts(uintptr_t arena, char *buffer, uint64_t buffer_bytes);
ostler_go_waited ostler_go_arena_close(uintptr_t arena, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_arena_destroy(uintptr_t arena);

ostler_go_memory ostler_go_cursor_open(uintptr_t arena);
ostler_go_memory ostler_go_cursor_alloc(ostler_cursor *cursor, uint64_t size_bytes, uint64_t align_bytes);
ostler_go_failure ostler_go_cursor_close(ostler_cursor *cursor);

ostler_go_failure ostler_go_pool_config_init(ostler_pool_config *config);
ostler_go_created ostler_go_pool_create(const ostler_pool_config *config, int validates, int resets, int retags,
                                        int hears, uintptr_t id);
ostler_go_leased ostler_go_pool_acquire_with(uintptr_t pool, uint32_t priority, uint64_t tag, uint64_t timeout_ns,
                                             uintptr_t cancel);
ostler_go_leased ostler_go_pool_acquire(uintptr_t pool, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_pool_acquire_n(uintptr_t pool, uint32_t count, uint64_t timeout_ns, uintptr_t cancel,
                                           uint64_t *leases, uintptr_t *resources);
ostler_go_failure ostler_go_pool_release_n(uintptr_t pool, const uint64_t *leases, uint32_t count);
ostler_go_leased ostler_go_pool_try_acquire(uintptr_t pool);
ostler_go_failure ostler_go_pool_release(uintptr_t pool, uint64_t lease);
ostler_go_failure ostler_go_pool_discard(uintptr_t pool, uint64_t lease);
ostler_go_failure ostler_go_pool_revoke(uintptr_t pool, uint64_t lease);
ostler_go_waited ostler_go_pool_trim(uintptr_t pool, uint32_t keep_idle);
ostler_go_leased ostler_go_pool_get_resource(uintptr_t pool, uint64_t lease);
ostler_go_failure ostler_go_pool_get_stats(uintptr_t pool, ostler_pool_stats *out);
ostler_go_waited ostler_go_pool_list_leases(uintptr_t pool, ostler_lease_info *leases, uint64_t capacity);
ostler_go_warmed ostler_go_pool_wait_warm(uintptr_t pool, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_pool_resize(uintptr_t pool, uint32_t min_size, uint32_t max_size);
ostler_go_failure ostler_go_pool_pause(uintptr_t pool);
ostler_go_failure ostler_go_pool_resume(uintptr_t pool);
ostler_go_failure ostler_go_pool_refresh(uintptr_t pool);
ostler_go_waited ostler_go_pool_close(uintptr_t pool, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_pool_destroy(uintptr_t pool);

ostler_go_created ostler_go_deferred_create(uint32_t capacity);
/* keys: what each cell's callback gets. */
ostler_go_failure ostler_go_deferred_acquire_n(uintptr_t deferred, uint32_t count, uint64_t *cells,
                                               const uintptr_t *keys);
ostler_go_failure ostler_go_deferred_complete(uintptr_t deferred, uint64_t cell, ostler_status outcome, uintptr_t value);
ostler_go_failure ostler_go_deferred_cancel(uintptr_t deferred, uint64_t cell);
ostler_go_failure ostler_go_deferred_release(uintptr_t deferred, uint64_t cell);
ostler_go_failure ostler_go_deferred_get_stats(uintptr_t deferred, ostler_deferred_stats *out);
ostler_go_failure ostler_go_deferred_destroy(uintptr_t deferred);

ostler_go_failure ostler_go_templates_config_init(ostler_templates_config *config);
ostler_go_created ostler_go_templates_create(const ostler_templates_config *config, uintptr_t id);
ostler_go_template ostler_go_templates_instantiate(uintptr_t templates, const void *key, uint64_t key_bytes, void *target,
                                                   uint64_t target_bytes, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_template ostler_go_templates_instantiate_in(uintptr_t templates, const void *key, uint64_t key_bytes,
                                                      uintptr_t arena, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_template ostler_go_templates_get(uintptr_t templates, const void *key, uint64_t key_bytes, uint64_t timeout_ns,
                                           uintptr_t cancel);
ostler_go_failure ostler_go_templates_release(uintptr_t templates, uint64_t reference);
ostler_go_failure ostler_go_templates_get_info(uintptr_t templates, uint64_t reference, ostler_template_info *out);
ostler_go_failure ostler_go_templates_get_version(uintptr_t templates, const void *key, uint64_t key_bytes,
                                                  uint64_t *version);
ostler_go_failure ostler_go_templates_invalidate(uintptr_t templates, const void *key, uint64_t key_bytes);
ostler_go_failure ostler_go_templates_invalidate_all(uintptr_t templates);
ostler_go_failure ostler_go_templates_get_stats(uintptr_t templates, ostler_templates_stats *out);
ostler_go_failure ostler_go_templates_destroy(uintptr_t templates);

ostler_go_failure ostler_go_orchestrator_config_init(ostler_orchestrator_config *config);
ostler_go_created ostler_go_orchestrator_create(const ostler_orchestrator_config *config);
ostler_go_failure ostler_go_orchestrator_cancel(uintptr_t orchestrator, uint64_t ticket);
ostler_go_waited ostler_go_orchestrator_drain(uintptr_t orchestrator, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_orchestrator_get_stats(uintptr_t orchestrator, ostler_orchestrator_stats *out);
ostler_go_failure ostler_go_orchestrator_destroy(uintptr_t orchestrator);

ostler_go_failure ostler_go_model_config_init(ostler_model_config *config);
ostler_go_created ostler_go_model_create(uintptr_t orchestrator, const ostler_model_config *config, uintptr_t id);
ostler_go_failure ostler_go_model_wait_ready(uintptr_t model, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_submitted ostler_go_model_submit(uintptr_t model, uint32_t priority, uint64_t deadline_after_ns,
                                           const void *input, uint64_t input_bytes, void *output,
                                           uint64_t output_capacity_bytes, uintptr_t id);
ostler_go_submitted_n ostler_go_model_submit_n(uintptr_t model, const ostler_go_request *requests, uint32_t count,
                                               uint64_t *tickets);
ostler_go_failure ostler_go_model_get_stats(uintptr_t model, ostler_model_stats *out);
ostler_go_failure ostler_go_model_destroy(uintptr_t model);

ostler_go_failure ostler_go_testkit_clock_freeze(void);
ostler_go_failure ostler_go_testkit_clock_advance(uint64_t by_ns);
ostler_go_failure ostler_go_testkit_clock_settle(uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_testkit_clock_thaw(void);
ostler_go_failure ostler_go_testkit_pool_inject(uintptr_t pool, ostler_testkit_fault *fault);
ostler_go_failure ostler_go_testkit_pool_clear(uintptr_t pool, uint32_t callback);
ostler_go_failure ostler_go_testkit_pool_get_injected(uintptr_t pool, uint32_t callback, ostler_testkit_injected *out);
ostler_go_failure ostler_go_testkit_model_inject(uintptr_t model, ostler_testkit_fault *fault);
ostler_go_failure ostler_go_testkit_model_clear(uintptr_t model, uint32_t callback);
ostler_go_failure ostler_go_testkit_model_get_injected(uintptr_t model, uint32_t callback, ostler_testkit_injected *out);

#endif
