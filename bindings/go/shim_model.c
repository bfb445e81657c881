#include "shim_model.h"
#include "_cgo_export.h"

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
        .input_buffers = (ostler_buffers *)from->input_buffers,
        .input_buffer = {from->input_buffer},
    };
}

ostler_go_submitted ostler_go_model_submit(uintptr_t model, uint32_t priority, uint64_t deadline_after_ns,
                                           const void *input, uint64_t input_bytes, void *output,
                                           uint64_t output_capacity_bytes, uintptr_t id, uintptr_t input_buffers,
                                           uint64_t input_buffer)
{
    ostler_go_request from = {deadline_after_ns, input,    input_bytes,   output,      output_capacity_bytes,
                              id,                priority, input_buffers, input_buffer};
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
