/* The kit for tests of programs that use the library: models that fail, or take long. */
#define _GNU_SOURCE
#include "kit.h"
#include "stalls.h"

static void inject(ostler_model *model, uint32_t callback, uint64_t first, ostler_status status, uint64_t delay_ns)
{
    ostler_testkit_fault fault = fault_of(callback);
    fault.first = first;
    fault.status = status;
    fault.delay_ns = delay_ns;
    CHECK_STATUS(ostler_testkit_model_inject(model, &fault), OSTLER_OK);
}

TEST(run_fails_and_takes_as_long_as_it_was_told_to)
{
    ostler_orchestrator *orchestrator = make_orchestrator();
    freeze();
    ostler_model *model = make_model(orchestrator, plain_model_config(), plain_model_callbacks(), orchestrator);
    inject(model, OSTLER_TESTKIT_RUN, 2, OSTLER_E_LIMIT, HOUR);
    CHECK_STATUS(wait_for(orchestrator, submit(model, plain_request())).status, OSTLER_OK);
    ostler_ticket ticket = submit(model, plain_request());
    settle();
    CHECK_EQ(model_stats(model).running, 1);
    advance(HOUR);
    ostler_result result = wait_for(orchestrator, ticket);
    CHECK_STATUS(result.status, OSTLER_E_LIMIT);
    CHECK_STR_CONTAINS(result.message, "run callback failed by injection");
    CHECK_EQ(result.run_ns, HOUR);
    ostler_testkit_injected done = {.struct_size = sizeof done};
    CHECK_STATUS(ostler_testkit_model_get_injected(model, OSTLER_TESTKIT_RUN, &done), OSTLER_OK);
    CHECK(done.calls == 2 && done.failures == 1 && done.delays == 1);
    inject(model, OSTLER_TESTKIT_RUN, 1, 0, OSTLER_FOREVER);
    ticket = submit(model, plain_request());
    settle();
    CHECK_STATUS(ostler_testkit_model_clear(model, OSTLER_TESTKIT_RUN), OSTLER_OK);
    CHECK_STATUS(wait_for(orchestrator, ticket).status, OSTLER_OK);
    /* Nor does a destroy wait for it. */
    inject(model, OSTLER_TESTKIT_RUN, 1, 0, OSTLER_FOREVER);
    CHECK_STATUS(ostler_testkit_model_clear(model, OSTLER_TESTKIT_CREATE), OSTLER_E_INVALID_ARGUMENT);
    ticket = submit(model, plain_request());
    settle();
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
    ostler_result last = {.struct_size = sizeof last};
    CHECK_STATUS(ostler_orchestrator_poll(orchestrator, ticket, &last), OSTLER_OK);
    thaw();
}

TEST(load_that_failed_is_tried_again_after_its_pause)
{
    struct stall stall;
    ostler_model_config config = plain_model_config();
    config.max_workers = 2;
    freeze();
    begin_stall(&stall, config);
    ostler_ticket first = stall_worker(&stall);
    inject(stall.model, OSTLER_TESTKIT_LOAD, 1, OSTLER_E_LIMIT, 0);
    ostler_ticket second = submit(stall.model, plain_request());
    AWAIT(model_stats(stall.model).load_failures == 1);
    advance(100 * MS - 1);
    CHECK_EQ(model_stats(stall.model).loads, 1);
    advance(1);
    tally_await(&stall.entered, 2);
    CHECK_EQ(model_stats(stall.model).loads, 2);
    let_all_go(&stall);
    wait_for(stall.orchestrator, first);
    wait_for(stall.orchestrator, second);
    end_stall(&stall);
    thaw();
}

TEST(requests_end_at_their_deadline_and_batches_at_their_wait)
{
    struct stall stall;
    ostler_model_config config = plain_model_config();
    ostler_request request = plain_request();
    ostler_result result = {.struct_size = sizeof result};
    freeze();
    begin_stall(&stall, config);
    ostler_ticket first = stall_worker(&stall);
    request.deadline_after_ns = HOUR;
    ostler_ticket second = submit(stall.model, request);
    advance(HOUR - 1);
    CHECK_STATUS(ostler_orchestrator_poll(stall.orchestrator, second, &result), OSTLER_E_NOT_READY);
    advance(1);
    result = wait_for(stall.orchestrator, second);
    CHECK_STATUS(result.status, OSTLER_E_DEADLINE_EXCEEDED);
    CHECK_EQ(result.queue_ns, HOUR);
    let_all_go(&stall);
    wait_for(stall.orchestrator, first);
    end_stall(&stall);

    config.max_batch = 3;
    config.batch_wait_ns = HOUR;
    begin_stall(&stall, config);
    let_all_go(&stall);
    first = submit(stall.model, plain_request());
    pass(HOUR / 2);
    second = submit(stall.model, plain_request());
    pass(HOUR / 2 - 1);
    CHECK_EQ(model_stats(stall.model).queued, 2);
    pass(1);
    CHECK_EQ(model_stats(stall.model).batches, 1);
    CHECK_EQ(wait_for(stall.orchestrator, first).queue_ns, HOUR);
    CHECK_EQ(wait_for(stall.orchestrator, second).queue_ns, HOUR / 2);
    end_stall(&stall);
    thaw();
}

CHECK_MAIN()
