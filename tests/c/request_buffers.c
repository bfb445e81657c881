/* Buffers in requests: the input is kept until the outcome is taken, what a run hands over belongs to the taker, and
 * whatever becomes of a request no reference is lost. */
#include "fixtures.h"
#include <stdatomic.h>
#include <stddef.h>

struct stage {
    ostler_buffers *buffers;
    ostler_orchestrator *orchestrator;
    ostler_model *model;
    atomic_int fails, hold;
    const void *seen;
};

/* Hands back the second half of the input, or a buffer of its own when there is none. */
static ostler_status run_halves(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    struct stage *stage = user_data;
    (void)state;
    while (atomic_load(&stage->hold))
        sched_yield();
    for (uint32_t i = 0; i < count; i++) {
        ostler_item *item = items[i];
        stage->seen = item->input;
        item->output_buffers = stage->buffers;
        if (item->input_buffer.value != 0) {
            EXPECT(item->input_buffers == stage->buffers);
            EXPECT_STATUS(ostler_buffers_slice(item->input_buffers, item->input_buffer, item->input_bytes / 2,
                                               item->input_bytes - item->input_bytes / 2, &item->output_buffer),
                          OSTLER_OK);
        } else {
            EXPECT_STATUS(ostler_buffers_get(stage->buffers, 10, &item->output_buffer, NULL), OSTLER_OK);
        }
        item->status = atomic_load(&stage->fails) ? 77 : OSTLER_OK;
    }
    return OSTLER_OK;
}

static struct stage *make_stage(void)
{
    static struct stage stage;
    ostler_model_callbacks callbacks = plain_model_callbacks();
    memset(&stage, 0, sizeof stage);
    callbacks.run = run_halves;
    CHECK_STATUS(ostler_buffers_create(NULL, &stage.buffers), OSTLER_OK);
    stage.orchestrator = make_orchestrator();
    stage.model = make_model(stage.orchestrator, plain_model_config(), callbacks, &stage);
    CHECK_STATUS(ostler_model_wait_ready(stage.model, OSTLER_FOREVER, NULL), OSTLER_OK);
    return &stage;
}

static uint64_t in_use(struct stage *stage)
{
    ostler_buffers_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_buffers_get_stats(stage->buffers, &stats), OSTLER_OK);
    return stats.in_use;
}

static void end_stage(struct stage *stage)
{
    CHECK_STATUS(ostler_orchestrator_destroy(stage->orchestrator), OSTLER_OK);
    CHECK_EQ(in_use(stage), 0);
    CHECK_STATUS(ostler_buffers_destroy(stage->buffers), OSTLER_OK);
}

static ostler_request request_with(struct stage *stage, const char *words)
{
    ostler_request request = plain_request();
    void *data;
    request.input_buffers = stage->buffers;
    CHECK_STATUS(ostler_buffers_get(stage->buffers, strlen(words), &request.input_buffer, &data), OSTLER_OK);
    memcpy(data, words, strlen(words));
    return request;
}

TEST(a_request_takes_a_view_along_and_brings_one_back)
{
    struct stage *stage = make_stage();
    ostler_request request = request_with(stage, "hello, world");
    void *data, *input;
    uint64_t size;
    CHECK_STATUS(ostler_buffers_get_data(stage->buffers, request.input_buffer, &input, NULL), OSTLER_OK);
    ostler_ticket ticket = submit(stage->model, request);
    /* The request has a reference of its own. */
    CHECK_STATUS(ostler_buffers_release(stage->buffers, request.input_buffer), OSTLER_OK);
    while (orchestrator_stats(stage->orchestrator).untaken == 0)
        sched_yield();
    CHECK_STATUS(ostler_buffers_get_data(stage->buffers, request.input_buffer, &data, &size), OSTLER_OK);
    ostler_result result = wait_for(stage->orchestrator, ticket);
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK(stage->seen == input);
    CHECK_STATUS(ostler_buffers_get_data(stage->buffers, request.input_buffer, &data, &size), OSTLER_E_STALE_BUFFER);
    CHECK(result.output_buffers == stage->buffers);
    CHECK_STATUS(ostler_buffers_get_data(stage->buffers, result.output_buffer, &data, &size), OSTLER_OK);
    CHECK(size == 6 && memcmp(data, " world", 6) == 0);
    CHECK_STATUS(ostler_buffers_release(stage->buffers, result.output_buffer), OSTLER_OK);
    end_stage(stage);
}

static void complete(void *user_data, ostler_ticket ticket, const ostler_result *result)
{
    (void)ticket;
    EXPECT(result->outcome != OSTLER_OUTCOME_COMPLETED || result->output_buffer.value != 0);
    atomic_fetch_add((atomic_int *)user_data, 1);
}

/* Until all that was accepted has ended. */
static void settle(struct stage *stage)
{
    ostler_model_stats stats;
    do {
        sched_yield();
        stats = model_stats(stage->model);
    } while (stats.queued + stats.running > 0);
}

TEST(however_a_request_ends_no_reference_is_lost)
{
    enum { TAKEN_BY_AN_OLD_CALLER, FAILED, COMPLETED, FORGOTTEN, FORGOTTEN_LATE, CANCELLED, TIMED_OUT, WAYS };
    struct stage *stage = make_stage();
    atomic_int completed = 0;
    for (int way = 0; way < WAYS; way++) {
        ostler_request first = request_with(stage, "first"), request = request_with(stage, "some input");
        atomic_store(&stage->hold, 1);
        atomic_store(&stage->fails, way == FAILED);
        ostler_ticket running = submit(stage->model, first);
        if (way == COMPLETED) {
            request.on_complete = complete;
            request.user_data = &completed;
        }
        if (way == TIMED_OUT)
            request.deadline_after_ns = 1;
        ostler_ticket ticket = submit(stage->model, request);
        CHECK_STATUS(ostler_buffers_release(stage->buffers, first.input_buffer), OSTLER_OK);
        CHECK_STATUS(ostler_buffers_release(stage->buffers, request.input_buffer), OSTLER_OK);
        if (way == FORGOTTEN)
            CHECK_STATUS(ostler_orchestrator_forget(stage->orchestrator, ticket), OSTLER_OK);
        if (way == CANCELLED)
            CHECK_STATUS(ostler_orchestrator_cancel(stage->orchestrator, ticket), OSTLER_OK);
        atomic_store(&stage->hold, 0);
        settle(stage);
        if (way == FORGOTTEN_LATE)
            CHECK_STATUS(ostler_orchestrator_forget(stage->orchestrator, ticket), OSTLER_OK);
        if (way == TAKEN_BY_AN_OLD_CALLER) {
            ostler_result small = {.struct_size = offsetof(ostler_result, output_buffers)};
            CHECK_STATUS(ostler_orchestrator_wait(stage->orchestrator, ticket, 0, NULL, &small), OSTLER_OK);
            CHECK_EQ(small.outcome, OSTLER_OUTCOME_COMPLETED);
        }
        if (way == FAILED || way == CANCELLED || way == TIMED_OUT) {
            ostler_result result = wait_for(stage->orchestrator, ticket);
            CHECK(result.outcome != OSTLER_OUTCOME_COMPLETED);
            CHECK_EQ(result.output_buffer.value, 0);
        }
        ostler_result result = wait_for(stage->orchestrator, running);
        if (result.output_buffer.value != 0)
            CHECK_STATUS(ostler_buffers_release(stage->buffers, result.output_buffer), OSTLER_OK);
        /* What a request that nobody takes keeps goes soon after it has ended, on the worker's thread. */
        AWAIT(in_use(stage) == 0);
    }
    CHECK_EQ(completed, 1);
    end_stage(stage);
}

TEST(what_is_no_buffer_is_refused_and_nothing_is_kept)
{
    struct stage *stage = make_stage();
    ostler_request request = request_with(stage, "x"), bad = request;
    ostler_ticket ticket;
    bad.input_buffer.value ^= (uint64_t)1 << 40;
    CHECK_STATUS(ostler_model_submit(stage->model, &bad, &ticket), OSTLER_E_STALE_BUFFER);
    bad = request;
    bad.input_buffers = NULL;
    CHECK_STATUS(ostler_model_submit(stage->model, &bad, &ticket), OSTLER_E_INVALID_HANDLE);
    bad = request;
    bad.input_buffer.value = 0;
    CHECK_STATUS(ostler_model_submit(stage->model, &bad, &ticket), OSTLER_E_INVALID_ARGUMENT);
    bad = request;
    bad.input = &bad;
    CHECK_STATUS(ostler_model_submit(stage->model, &bad, &ticket), OSTLER_E_INVALID_ARGUMENT);
    bad = request;
    bad.input_bytes = 1;
    CHECK_STATUS(ostler_model_submit(stage->model, &bad, &ticket), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_buffers_release(stage->buffers, request.input_buffer), OSTLER_OK);
    CHECK_EQ(in_use(stage), 0);
    end_stage(stage);
}

CHECK_MAIN()
