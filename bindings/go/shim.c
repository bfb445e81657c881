/* The other side of shim.h: the library's calls as Go makes them, and the library's callbacks on their way to Go. */
#include "shim.h"
#include "_cgo_export.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ostler_go_failure failure(ostler_status status)
{
    ostler_go_failure failure = {status, NULL};
    if (status != OSTLER_OK)
        failure.message = strdup(ostler_last_error_message());
    return failure;
}

/* ---- library ---- */

ostler_go_failure ostler_go_version_check(void)
{
    return failure(ostler_version_check(OSTLER_VERSION_NUMBER));
}

struct log_line {
    uint32_t level, bytes;
    char text[1016];
};

/* A line goes to a pipe and not to Go, so that no call can turn into a call back only because it has something to say.
 * A line is shorter than PIPE_BUF, so it comes through whole, or not at all where Go reads too slowly. */
static void log_to_pipe(void *pipe, uint32_t level, const char *message)
{
    struct log_line line = {level, (uint32_t)strnlen(message, sizeof line.text), {0}};
    memcpy(line.text, message, line.bytes);
    ssize_t written = write((int)(intptr_t)pipe, &line, offsetof(struct log_line, text) + line.bytes);
    (void)written;
}

ostler_go_failure ostler_go_log_to_pipe(uint32_t max_level, int pipe)
{
    return failure(ostler_log_set(max_level, log_to_pipe, (void *)(intptr_t)pipe));
}

ostler_go_failure ostler_go_log_off(void)
{
    return failure(ostler_log_set(OSTLER_LOG_ERROR, NULL, NULL));
}

ostler_go_waited ostler_go_shutdown(uint64_t timeout_ns)
{
    ostler_go_waited waited = {0};
    waited.failure = failure(ostler_shutdown(timeout_ns, &waited.still_out));
    return waited;
}

/* ---- cancel ---- */

ostler_go_created ostler_go_cancel_create(void)
{
    ostler_cancel *cancel = NULL;
    ostler_go_failure failed = failure(ostler_cancel_create(&cancel));
    return (ostler_go_created){failed, (uintptr_t)cancel};
}

ostler_go_failure ostler_go_cancel_signal(uintptr_t cancel)
{
    return failure(ostler_cancel_signal((ostler_cancel *)cancel));
}

ostler_go_failure ostler_go_cancel_destroy(uintptr_t cancel)
{
    return failure(ostler_cancel_destroy((ostler_cancel *)cancel));
}

/* ---- topology ---- */

ostler_go_created ostler_go_topology_create(const char *synthetic)
{
    ostler_topology *topology = NULL;
    ostler_go_failure failed = failure(ostler_topology_create(synthetic, &topology));
    return (ostler_go_created){failed, (uintptr_t)topology};
}

ostler_go_failure ostler_go_topology_get_info(uintptr_t topology, ostler_topology_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_topology_get_info((ostler_topology *)topology, out));
}

ostler_go_failure ostler_go_topology_get_node(uintptr_t topology, uint32_t index, ostler_node_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_topology_get_node((ostler_topology *)topology, index, out));
}

ostler_go_failure ostler_go_topology_get_cpu(uintptr_t topology, uint32_t index, ostler_cpu_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_topology_get_cpu((ostler_topology *)topology, index, out));
}

ostler_go_failure ostler_go_topology_get_cache(uintptr_t topology, uint32_t index, ostler_cache_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_topology_get_cache((ostler_topology *)topology, index, out));
}

ostler_go_failure ostler_go_topology_get_pages(uintptr_t topology, uint32_t node, uint32_t page_size,
                                               ostler_page_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_topology_get_pages((ostler_topology *)topology, node, page_size, out));
}

ostler_go_failure ostler_go_topology_destroy(uintptr_t topology)
{
    return failure(ostler_topology_destroy((ostler_topology *)topology));
}

/* ---- arena ---- */

ostler_go_failure ostler_go_arena_config_init(ostler_arena_config *config)
{
    return failure(ostler_arena_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_arena_create(ostler_arena_config *config, const ostler_page_source *source)
{
    config->source = source;
    ostler_arena *arena = NULL;
    ostler_go_failure failed = failure(ostler_arena_create(config, &arena));
    return (ostler_go_created){failed, (uintptr_t)arena};
}

ostler_go_memory ostler_go_arena_alloc(uintptr_t arena, uint64_t size_bytes, uint64_t align_bytes)
{
    ostler_go_memory memory = {0};
    memory.failure = failure(ostler_arena_alloc((ostler_arena *)arena, size_bytes, align_bytes, &memory.address));
    return memory;
}

ostler_go_failure ostler_go_arena_mark(uintptr_t arena, ostler_mark *out)
{
    return failure(ostler_arena_mark((ostler_arena *)arena, out));
}

ostler_go_failure ostler_go_arena_rewind(uintptr_t arena, ostler_mark mark)
{
    return failure(ostler_arena_rewind((ostler_arena *)arena, &mark));
}

ostler_go_failure ostler_go_arena_reset(uintptr_t arena, uint32_t mode)
{
    return failure(ostler_arena_reset((ostler_arena *)arena, mode));
}

ostler_go_failure ostler_go_arena_get_stats(uintptr_t arena, ostler_arena_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_arena_get_stats((ostler_arena *)arena, out));
}

ostler_go_failure ostler_go_arena_get_receipt(uintptr_t arena, uint64_t chunk, ostler_receipt *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_arena_get_receipt((ostler_arena *)arena, chunk, out));
}

ostler_go_printed ostler_go_arena_print_receipts(uintptr_t arena, char *buffer, uint64_t buffer_bytes)
{
    ostler_go_printed printed = {0};
    printed.failure =
        failure(ostler_arena_print_receipts((ostler_arena *)arena, buffer, buffer_bytes, &printed.needed_bytes));
    return printed;
}

ostler_go_waited ostler_go_arena_close(uintptr_t arena, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_waited waited = {0};
    waited.failure =
        failure(ostler_arena_close((ostler_arena *)arena, timeout_ns, (ostler_cancel *)cancel, &waited.still_out));
    return waited;
}

ostler_go_failure ostler_go_arena_destroy(uintptr_t arena)
{
    return failure(ostler_arena_destroy((ostler_arena *)arena));
}

/* ---- cursor ---- */

ostler_go_memory ostler_go_cursor_open(uintptr_t arena)
{
    ostler_cursor *cursor = NULL;
    ostler_go_failure failed = failure(ostler_cursor_open((ostler_arena *)arena, &cursor));
    return (ostler_go_memory){failed, cursor};
}

ostler_go_memory ostler_go_cursor_alloc(ostler_cursor *cursor, uint64_t size_bytes, uint64_t align_bytes)
{
    ostler_go_memory memory = {0};
    memory.failure = failure(ostler_cursor_alloc(cursor, size_bytes, align_bytes, &memory.address));
    return memory;
}

ostler_go_failure ostler_go_cursor_close(ostler_cursor *cursor)
{
    return failure(ostler_cursor_close(cursor));
}

/* ---- pool ---- */

static ostler_status pool_create(void *id, void **resource)
{
    struct ostlerGoPoolCreate_return made = ostlerGoPoolCreate((uintptr_t)id);
    *resource = (void *)made.r1;
    return made.r0;
}

static ostler_status pool_validate(void *id, void *resource)
{
    return ostlerGoPoolValidate((uintptr_t)id, (uintptr_t)resource);
}

static ostler_status pool_reset(void *id, void *resource)
{
    return ostlerGoPoolReset((uintptr_t)id, (uintptr_t)resource);
}

static void pool_destroy(void *id, void *resource)
{
    ostlerGoPoolDestroy((uintptr_t)id, (uintptr_t)resource);
}

static void pool_overdue(void *id, const ostler_lease_info *info) { ostlerGoPoolOverdue((uintptr_t)id, *info); }

ostler_go_failure ostler_go_pool_config_init(ostler_pool_config *config)
{
    return failure(ostler_pool_config_init(config, sizeof *config));
}

static void pool_event(void *id, uint32_t event, void *resource)
{
    ostlerGoPoolEvent((uintptr_t)id, event, (uintptr_t)resource);
}

static ostler_status pool_retag(void *id, void *resource, uint64_t from_tag, uint64_t to_tag)
{
    return ostlerGoPoolRetag((uintptr_t)id, (uintptr_t)resource, from_tag, to_tag);
}

ostler_go_created ostler_go_pool_create(const ostler_pool_config *config, int validates, int resets, int retags,
                                        int hears, uintptr_t id)
{
    const ostler_pool_callbacks callbacks = {
        .struct_size = sizeof callbacks,
        .create = pool_create,
        .validate = validates ? pool_validate : NULL,
        .reset = resets ? pool_reset : NULL,
        .destroy = pool_destroy,
        .overdue = pool_overdue,
        .retag = retags ? pool_retag : NULL,
        .event = hears ? pool_event : NULL,
    };
    ostler_pool *pool = NULL;
    ostler_go_failure failed = failure(ostler_pool_create(config, &callbacks, (void *)id, &pool));
    return (ostler_go_created){failed, (uintptr_t)pool};
}

ostler_go_leased ostler_go_pool_acquire(uintptr_t pool, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_lease lease = {0};
    void *resource = NULL;
    ostler_go_failure failed =
        failure(ostler_pool_acquire((ostler_pool *)pool, timeout_ns, (ostler_cancel *)cancel, &lease, &resource));
    return (ostler_go_leased){failed, lease.value, (uintptr_t)resource};
}

ostler_go_leased ostler_go_pool_acquire_with(uintptr_t pool, uint32_t priority, uint64_t tag, uint64_t timeout_ns,
                                             uintptr_t cancel)
{
    const ostler_acquire how = {.struct_size = sizeof how,
                                .priority = priority,
                                .timeout_ns = timeout_ns,
                                .cancel = (ostler_cancel *)cancel,
                                .tag = tag};
    ostler_lease lease = {0};
    void *resource = NULL;
    ostler_go_failure failed = failure(ostler_pool_acquire_with((ostler_pool *)pool, &how, &lease, &resource));
    return (ostler_go_leased){failed, lease.value, (uintptr_t)resource};
}

/* Numbers on the side of Go, which must not hand over memory that holds pointers. */
_Static_assert(sizeof(ostler_lease) == sizeof(uint64_t) && sizeof(void *) == sizeof(uintptr_t), "one word each");

ostler_go_failure ostler_go_pool_acquire_n(uintptr_t pool, uint32_t count, uint64_t timeout_ns, uintptr_t cancel,
                                           uint64_t *leases, uintptr_t *resources)
{
    return failure(ostler_pool_acquire_n((ostler_pool *)pool, count, timeout_ns, (ostler_cancel *)cancel,
                                         (ostler_lease *)leases, (void **)resources));
}

ostler_go_failure ostler_go_pool_release_n(uintptr_t pool, const uint64_t *leases, uint32_t count)
{
    return failure(ostler_pool_release_n((ostler_pool *)pool, (const ostler_lease *)leases, count, NULL));
}

ostler_go_leased ostler_go_pool_try_acquire(uintptr_t pool)
{
    ostler_lease lease = {0};
    void *resource = NULL;
    ostler_go_failure failed = failure(ostler_pool_try_acquire((ostler_pool *)pool, &lease, &resource));
    return (ostler_go_leased){failed, lease.value, (uintptr_t)resource};
}

ostler_go_failure ostler_go_pool_release(uintptr_t pool, uint64_t lease)
{
    return failure(ostler_pool_release((ostler_pool *)pool, (ostler_lease){lease}));
}

ostler_go_failure ostler_go_pool_discard(uintptr_t pool, uint64_t lease)
{
    return failure(ostler_pool_discard((ostler_pool *)pool, (ostler_lease){lease}));
}

ostler_go_failure ostler_go_pool_revoke(uintptr_t pool, uint64_t lease)
{
    return failure(ostler_pool_revoke((ostler_pool *)pool, (ostler_lease){lease}));
}

ostler_go_waited ostler_go_pool_trim(uintptr_t pool, uint32_t keep_idle)
{
    uint32_t trimmed = 0;
    ostler_go_failure failed = failure(ostler_pool_trim((ostler_pool *)pool, keep_idle, &trimmed));
    return (ostler_go_waited){failed, trimmed};
}

ostler_go_leased ostler_go_pool_get_resource(uintptr_t pool, uint64_t lease)
{
    void *resource = NULL;
    ostler_go_failure failed =
        failure(ostler_pool_get_resource((ostler_pool *)pool, (ostler_lease){lease}, &resource));
    return (ostler_go_leased){failed, lease, (uintptr_t)resource};
}

ostler_go_failure ostler_go_pool_get_stats(uintptr_t pool, ostler_pool_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_pool_get_stats((ostler_pool *)pool, out));
}

ostler_go_waited ostler_go_pool_list_leases(uintptr_t pool, ostler_lease_info *leases, uint64_t capacity)
{
    ostler_go_waited listed = {0};
    listed.failure = failure(ostler_pool_list_leases((ostler_pool *)pool, leases, capacity, &listed.still_out));
    return listed;
}

ostler_go_warmed ostler_go_pool_wait_warm(uintptr_t pool, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_warmed warmed = {0};
    warmed.failure = failure(ostler_pool_wait_warm((ostler_pool *)pool, timeout_ns, (ostler_cancel *)cancel,
                                                   &warmed.ready, &warmed.wanted));
    return warmed;
}

ostler_go_failure ostler_go_pool_resize(uintptr_t pool, uint32_t min_size, uint32_t max_size)
{
    return failure(ostler_pool_resize((ostler_pool *)pool, min_size, max_size));
}

ostler_go_failure ostler_go_pool_pause(uintptr_t pool) { return failure(ostler_pool_pause((ostler_pool *)pool)); }

ostler_go_failure ostler_go_pool_resume(uintptr_t pool) { return failure(ostler_pool_resume((ostler_pool *)pool)); }

ostler_go_failure ostler_go_pool_refresh(uintptr_t pool) { return failure(ostler_pool_refresh((ostler_pool *)pool)); }

ostler_go_waited ostler_go_pool_close(uintptr_t pool, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_waited waited = {0};
    waited.failure =
        failure(ostler_pool_close((ostler_pool *)pool, timeout_ns, (ostler_cancel *)cancel, &waited.still_out));
    return waited;
}

ostler_go_failure ostler_go_pool_destroy(uintptr_t pool)
{
    return failure(ostler_pool_destroy((ostler_pool *)pool));
}

/* ---- deferred ---- */

static void settle_cell(void *key, ostler_cell cell, ostler_status outcome, void *value)
{
    (void)cell;
    ostlerGoCellSettle((uintptr_t)key, outcome, (uintptr_t)value);
}

ostler_go_created ostler_go_deferred_create(uint32_t capacity)
{
    ostler_deferred_config config = {.struct_size = sizeof config, .capacity = capacity};
    ostler_deferred *deferred = NULL;
    ostler_go_failure failed = failure(ostler_deferred_create(&config, &deferred));
    return (ostler_go_created){failed, (uintptr_t)deferred};
}

ostler_go_failure ostler_go_deferred_acquire_n(uintptr_t deferred, uint32_t count, uint64_t *cells,
                                               const uintptr_t *keys)
{
    ostler_deferred *set = (ostler_deferred *)deferred;
    ostler_status status = ostler_deferred_acquire_n(set, count, (ostler_cell *)cells);
    for (uint32_t i = 0; status == OSTLER_OK && i < count; i++)
        status = ostler_deferred_on_complete(set, (ostler_cell){cells[i]}, settle_cell, (void *)keys[i]);
    return failure(status);
}

ostler_go_failure ostler_go_deferred_complete(uintptr_t deferred, uint64_t cell, ostler_status outcome, uintptr_t value)
{
    return failure(ostler_deferred_complete((ostler_deferred *)deferred, (ostler_cell){cell}, outcome, (void *)value));
}

ostler_go_failure ostler_go_deferred_cancel(uintptr_t deferred, uint64_t cell)
{
    return failure(ostler_deferred_cancel((ostler_deferred *)deferred, (ostler_cell){cell}));
}

ostler_go_failure ostler_go_deferred_release(uintptr_t deferred, uint64_t cell)
{
    return failure(ostler_deferred_release((ostler_deferred *)deferred, (ostler_cell){cell}));
}

ostler_go_failure ostler_go_deferred_get_stats(uintptr_t deferred, ostler_deferred_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_deferred_get_stats((ostler_deferred *)deferred, out));
}

ostler_go_failure ostler_go_deferred_destroy(uintptr_t deferred)
{
    return failure(ostler_deferred_destroy((ostler_deferred *)deferred));
}

/* ---- templates ---- */

static ostler_status templates_build(void *id, const void *key, uint64_t key_bytes, void **data, uint64_t *data_bytes,
                                     uint64_t *charge_bytes)
{
    struct ostlerGoTemplatesBuild_return made = ostlerGoTemplatesBuild((uintptr_t)id, (char *)key, (int)key_bytes);
    (void)charge_bytes;
    *data = made.r1;
    *data_bytes = made.r2;
    return made.r0;
}

static void templates_free(void *id, void *data, uint64_t data_bytes)
{
    (void)id, (void)data_bytes;
    free(data);
}

ostler_go_failure ostler_go_templates_config_init(ostler_templates_config *config)
{
    return failure(ostler_templates_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_templates_create(const ostler_templates_config *config, uintptr_t id)
{
    const ostler_templates_callbacks callbacks = {
        .struct_size = sizeof callbacks,
        .build = templates_build,
        .destroy = templates_free,
    };
    ostler_templates *templates = NULL;
    ostler_go_failure failed = failure(ostler_templates_create(config, &callbacks, (void *)id, &templates));
    return (ostler_go_created){failed, (uintptr_t)templates};
}

ostler_go_template ostler_go_templates_instantiate(uintptr_t templates, const void *key, uint64_t key_bytes, void *target,
                                                   uint64_t target_bytes, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_template made = {.data = NULL};
    made.failure = failure(ostler_templates_instantiate((ostler_templates *)templates, key, key_bytes, target, target_bytes,
                                                        timeout_ns, (ostler_cancel *)cancel, &made.bytes));
    return made;
}

ostler_go_template ostler_go_templates_instantiate_in(uintptr_t templates, const void *key, uint64_t key_bytes,
                                                      uintptr_t arena, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_template made = {.data = NULL};
    void *instance = NULL;
    made.failure = failure(ostler_templates_instantiate_in((ostler_templates *)templates, key, key_bytes,
                                                           (ostler_arena *)arena, timeout_ns, (ostler_cancel *)cancel,
                                                           &instance, &made.bytes));
    made.data = instance;
    return made;
}

ostler_go_template ostler_go_templates_get(uintptr_t templates, const void *key, uint64_t key_bytes, uint64_t timeout_ns,
                                           uintptr_t cancel)
{
    ostler_go_template got = {.data = NULL};
    ostler_template reference = {0};
    got.failure = failure(ostler_templates_get((ostler_templates *)templates, key, key_bytes, timeout_ns,
                                               (ostler_cancel *)cancel, &reference, &got.data, &got.bytes));
    got.reference = reference.value;
    return got;
}

ostler_go_failure ostler_go_templates_release(uintptr_t templates, uint64_t reference)
{
    return failure(ostler_templates_release((ostler_templates *)templates, (ostler_template){reference}));
}

ostler_go_failure ostler_go_templates_get_info(uintptr_t templates, uint64_t reference, ostler_template_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_templates_get_info((ostler_templates *)templates, (ostler_template){reference}, out));
}

ostler_go_failure ostler_go_templates_get_version(uintptr_t templates, const void *key, uint64_t key_bytes,
                                                  uint64_t *version)
{
    return failure(ostler_templates_get_version((ostler_templates *)templates, key, key_bytes, version));
}

ostler_go_failure ostler_go_templates_invalidate(uintptr_t templates, const void *key, uint64_t key_bytes)
{
    return failure(ostler_templates_invalidate((ostler_templates *)templates, key, key_bytes));
}

ostler_go_failure ostler_go_templates_invalidate_all(uintptr_t templates)
{
    return failure(ostler_templates_invalidate_all((ostler_templates *)templates));
}

ostler_go_failure ostler_go_templates_get_stats(uintptr_t templates, ostler_templates_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_templates_get_stats((ostler_templates *)templates, out));
}

ostler_go_failure ostler_go_templates_destroy(uintptr_t templates)
{
    return failure(ostler_templates_destroy((ostler_templates *)templates));
}

/* ---- orchestrator ---- */

ostler_go_failure ostler_go_orchestrator_config_init(ostler_orchestrator_config *config)
{
    return failure(ostler_orchestrator_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_orchestrator_create(const ostler_orchestrator_config *config)
{
    ostler_orchestrator *orchestrator = NULL;
    ostler_go_failure failed = failure(ostler_orchestrator_create(config, &orchestrator));
    return (ostler_go_created){failed, (uintptr_t)orchestrator};
}

ostler_go_failure ostler_go_orchestrator_cancel(uintptr_t orchestrator, uint64_t ticket)
{
    return failure(ostler_orchestrator_cancel((ostler_orchestrator *)orchestrator, (ostler_ticket){ticket}));
}

ostler_go_waited ostler_go_orchestrator_drain(uintptr_t orchestrator, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_waited waited = {0};
    waited.failure = failure(ostler_orchestrator_drain((ostler_orchestrator *)orchestrator, timeout_ns,
                                                       (ostler_cancel *)cancel, &waited.still_out));
    return waited;
}

ostler_go_failure ostler_go_orchestrator_get_stats(uintptr_t orchestrator, ostler_orchestrator_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_orchestrator_get_stats((ostler_orchestrator *)orchestrator, out));
}

ostler_go_failure ostler_go_orchestrator_destroy(uintptr_t orchestrator)
{
    return failure(ostler_orchestrator_destroy((ostler_orchestrator *)orchestrator));
}

/* ---- model ---- */

static ostler_status model_load(void *id, uint32_t worker, void **state)
{
    struct ostlerGoModelLoad_return loaded = ostlerGoModelLoad((uintptr_t)id, worker);
    *state = (void *)loaded.r1;
    return loaded.r0;
}

static ostler_status model_run(void *id, void *state, ostler_item *const *items, uint32_t count)
{
    return ostlerGoModelRun((uintptr_t)id, (uintptr_t)state, (ostler_item **)items, count);
}

static void model_unload(void *id, void *state)
{
    ostlerGoModelUnload((uintptr_t)id, (uintptr_t)state);
}

static void request_complete(void *id, ostler_ticket ticket, const ostler_result *result)
{
    ostlerGoRequestComplete((uintptr_t)id, ticket.value, (ostler_result *)result);
}

ostler_go_failure ostler_go_model_config_init(ostler_model_config *config)
{
    return failure(ostler_model_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_model_create(uintptr_t orchestrator, const ostler_model_config *config, uintptr_t id)
{
    const ostler_model_callbacks callbacks = {
        .struct_size = sizeof callbacks,
        .load = model_load,
        .run = model_run,
        .unload = model_unload,
    };
    ostler_model *model = NULL;
    ostler_go_failure failed =
        failure(ostler_model_create((ostler_orchestrator *)orchestrator, config, &callbacks, (void *)id, &model));
    return (ostler_go_created){failed, (uintptr_t)model};
}

ostler_go_failure ostler_go_model_wait_ready(uintptr_t model, uint64_t timeout_ns, uintptr_t cancel)
{
    return failure(ostler_model_wait_ready((ostler_model *)model, timeout_ns, (ostler_cancel *)cancel));
}

static ostler_request request(const ostler_go_request *from)
{
    return (ostler_request){
        .struct_size = sizeof(ostler_request),
        .priority = from->priority,
        .deadline_after_ns = from->deadline_after_ns,
        .input = from->input,
        .input_bytes = from->input_bytes,
        .output = from->output,
        .output_capacity_bytes = from->output_capacity_bytes,
        .on_complete = request_complete,
        .user_data = (void *)from->id,
    };
}

ostler_go_submitted ostler_go_model_submit(uintptr_t model, uint32_t priority, uint64_t deadline_after_ns,
                                           const void *input, uint64_t input_bytes, void *output,
                                           uint64_t output_capacity_bytes, uintptr_t id)
{
    ostler_go_request from = {deadline_after_ns, input, input_bytes, output, output_capacity_bytes, id, priority};
    ostler_request one = request(&from);
    ostler_ticket ticket = {0};
    ostler_go_failure failed = failure(ostler_model_submit((ostler_model *)model, &one, &ticket));
    return (ostler_go_submitted){failed, ticket.value};
}

enum { REQUESTS_AT_ONCE = 64 };

ostler_go_submitted_n ostler_go_model_submit_n(uintptr_t model, const ostler_go_request *requests, uint32_t count,
                                               uint64_t *tickets)
{
    ostler_request many[REQUESTS_AT_ONCE];
    ostler_ticket taken[REQUESTS_AT_ONCE];
    ostler_go_submitted_n submitted = {{OSTLER_OK, NULL}, 0};
    ostler_status status = OSTLER_OK;
    while (submitted.accepted < count && status == OSTLER_OK) {
        uint32_t left = count - submitted.accepted, accepted = 0;
        uint32_t now = left < REQUESTS_AT_ONCE ? left : REQUESTS_AT_ONCE;
        for (uint32_t i = 0; i < now; i++)
            many[i] = request(&requests[submitted.accepted + i]);
        status = ostler_model_submit_n((ostler_model *)model, many, now, taken, &accepted);
        submitted.failure = failure(status);
        for (uint32_t i = 0; i < accepted; i++)
            tickets[submitted.accepted + i] = taken[i].value;
        submitted.accepted += accepted;
    }
    return submitted;
}

ostler_go_failure ostler_go_model_get_stats(uintptr_t model, ostler_model_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_model_get_stats((ostler_model *)model, out));
}

ostler_go_failure ostler_go_model_destroy(uintptr_t model)
{
    return failure(ostler_model_destroy((ostler_model *)model));
}

/* ---- testkit ---- */

ostler_go_failure ostler_go_testkit_clock_freeze(void) { return failure(ostler_testkit_clock_freeze()); }

ostler_go_failure ostler_go_testkit_clock_advance(uint64_t by_ns)
{
    return failure(ostler_testkit_clock_advance(by_ns));
}

ostler_go_failure ostler_go_testkit_clock_settle(uint64_t timeout_ns, uintptr_t cancel)
{
    return failure(ostler_testkit_clock_settle(timeout_ns, (ostler_cancel *)cancel));
}

ostler_go_failure ostler_go_testkit_clock_thaw(void) { return failure(ostler_testkit_clock_thaw()); }

ostler_go_failure ostler_go_testkit_pool_inject(uintptr_t pool, ostler_testkit_fault *fault)
{
    fault->struct_size = sizeof *fault;
    return failure(ostler_testkit_pool_inject((ostler_pool *)pool, fault));
}

ostler_go_failure ostler_go_testkit_pool_clear(uintptr_t pool, uint32_t callback)
{
    return failure(ostler_testkit_pool_clear((ostler_pool *)pool, callback));
}

ostler_go_failure ostler_go_testkit_pool_get_injected(uintptr_t pool, uint32_t callback, ostler_testkit_injected *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_testkit_pool_get_injected((ostler_pool *)pool, callback, out));
}

ostler_go_failure ostler_go_testkit_model_inject(uintptr_t model, ostler_testkit_fault *fault)
{
    fault->struct_size = sizeof *fault;
    return failure(ostler_testkit_model_inject((ostler_model *)model, fault));
}

ostler_go_failure ostler_go_testkit_model_clear(uintptr_t model, uint32_t callback)
{
    return failure(ostler_testkit_model_clear((ostler_model *)model, callback));
}

ostler_go_failure ostler_go_testkit_model_get_injected(uintptr_t model, uint32_t callback, ostler_testkit_injected *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_testkit_model_get_injected((ostler_model *)model, callback, out));
}
