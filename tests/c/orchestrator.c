/* Orchestrator: from a submit to the one outcome of its request. */
#include "stalls.h"

TEST(request_runs_and_its_outcome_is_taken_once)
{
    struct stall stall;
    begin_stall(&stall, plain_model_config());
    let_all_go(&stall);
    ostler_ticket ticket = submit(stall.model, request_of(&stall));
    ostler_result result = wait_for(stall.orchestrator, ticket);
    CHECK_EQ(result.struct_size, sizeof result);
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_STATUS(result.status, OSTLER_OK);
    CHECK_EQ(result.batch_size, 1);
    CHECK_STR_EQ(result.message, "");
    CHECK_EQ(stall.order[0], &stall);
    CHECK_STATUS(ostler_orchestrator_wait(stall.orchestrator, ticket, 0, NULL, &result), OSTLER_E_STALE_TICKET);
    CHECK_STATUS(ostler_orchestrator_poll(stall.orchestrator, ticket, &result), OSTLER_E_STALE_TICKET);
    CHECK_STATUS(ostler_orchestrator_cancel(stall.orchestrator, ticket), OSTLER_E_STALE_TICKET);
    CHECK_STATUS(ostler_orchestrator_forget(stall.orchestrator, ticket), OSTLER_E_STALE_TICKET);
    end_stall(&stall);
}

TEST(ticket_of_another_orchestrator_is_stale)
{
    struct stall stall, other;
    ostler_result result = {.struct_size = sizeof result};
    begin_stall(&stall, plain_model_config());
    begin_stall(&other, plain_model_config());
    ostler_ticket ticket = stall_worker(&stall), others = stall_worker(&other);
    CHECK_STATUS(ostler_orchestrator_wait(other.orchestrator, ticket, 0, NULL, &result), OSTLER_E_STALE_TICKET);
    CHECK_STATUS(ostler_orchestrator_forget(stall.orchestrator, others), OSTLER_E_STALE_TICKET);
    let_all_go(&stall);
    let_all_go(&other);
    CHECK_EQ(wait_for(stall.orchestrator, ticket).outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_EQ(wait_for(other.orchestrator, others).outcome, OSTLER_OUTCOME_COMPLETED);
    end_stall(&stall);
    end_stall(&other);
}

TEST(priorities_come_in_their_order_and_equals_in_that_of_their_coming)
{
    static const uint32_t coming[] = {
        OSTLER_PRIORITY_BATCH, OSTLER_PRIORITY_LOW,     OSTLER_PRIORITY_NORMAL,   OSTLER_PRIORITY_DEFAULT,
        OSTLER_PRIORITY_HIGH,  OSTLER_PRIORITY_BATCH,   OSTLER_PRIORITY_CRITICAL, OSTLER_PRIORITY_LOW,
        OSTLER_PRIORITY_HIGH,  OSTLER_PRIORITY_DEFAULT, OSTLER_PRIORITY_NORMAL,   OSTLER_PRIORITY_CRITICAL,
    };
    static const uintptr_t running[] = {6, 11, 4, 8, 2, 3, 9, 10, 1, 7, 0, 5};
    enum { COUNT = sizeof coming / sizeof *coming };
    struct stall stall;
    ostler_ticket tickets[COUNT];
    begin_stall(&stall, plain_model_config());
    ostler_ticket first = stall_worker(&stall);
    for (uintptr_t i = 0; i < COUNT; i++) {
        ostler_request request = request_of((void *)i);
        request.priority = coming[i];
        tickets[i] = submit(stall.model, request);
    }
    CHECK_EQ(model_stats(stall.model).queued, COUNT);
    let_all_go(&stall);
    wait_for(stall.orchestrator, first);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(wait_for(stall.orchestrator, tickets[i]).outcome, OSTLER_OUTCOME_COMPLETED);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ((uintptr_t)stall.order[i + 1], running[i]);
    end_stall(&stall);
}

TEST(priority_that_does_not_exist_is_refused)
{
    struct stall stall;
    ostler_ticket ticket = {99};
    begin_stall(&stall, plain_model_config());
    ostler_request request = plain_request();
    request.priority = OSTLER_PRIORITY_BATCH + 1;
    CHECK_STATUS(ostler_model_submit(stall.model, &request, &ticket), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "priority is 6");
    CHECK_EQ(ticket.value, 0);
    end_stall(&stall);
}

TEST(request_that_has_not_begun_by_its_deadline_times_out)
{
    struct stall stall;
    begin_stall(&stall, plain_model_config());
    ostler_ticket running = stall_worker(&stall);
    ostler_request request = request_of(&request);
    request.deadline_after_ns = 1;
    ostler_ticket late = submit(stall.model, request);
    request.deadline_after_ns = UINT64_MAX - 1;
    ostler_ticket patient = submit(stall.model, request);
    /* The worker is still busy: nothing but the deadline can end this wait. */
    ostler_result result = wait_for(stall.orchestrator, late);
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_TIMED_OUT);
    CHECK_STATUS(result.status, OSTLER_E_DEADLINE_EXCEEDED);
    let_all_go(&stall);
    CHECK_EQ(wait_for(stall.orchestrator, running).outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_EQ(wait_for(stall.orchestrator, patient).outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_EQ(atomic_load(&stall.ran), 2);
    CHECK_EQ(model_stats(stall.model).timed_out, 1);
    end_stall(&stall);
}

TEST(request_that_runs_past_its_deadline_is_not_broken_off)
{
    struct stall stall;
    begin_stall(&stall, plain_model_config());
    ostler_request request = plain_request();
    request.deadline_after_ns = (uint64_t)3600 * 1000000000;
    ostler_ticket ticket = submit(stall.model, request);
    tally_await(&stall.entered, 1);
    let_all_go(&stall);
    CHECK_EQ(wait_for(stall.orchestrator, ticket).outcome, OSTLER_OUTCOME_COMPLETED);
    end_stall(&stall);
}

TEST(wait_that_runs_out_leaves_the_ticket_valid)
{
    struct stall stall;
    ostler_result result = {.struct_size = sizeof result};
    begin_stall(&stall, plain_model_config());
    ostler_ticket ticket = stall_worker(&stall);
    CHECK_STATUS(ostler_orchestrator_poll(stall.orchestrator, ticket, &result), OSTLER_E_NOT_READY);
    CHECK_EQ(result.outcome, 0);
    CHECK_STATUS(ostler_orchestrator_wait(stall.orchestrator, ticket, 0, NULL, &result), OSTLER_E_TIMEOUT);
    CHECK_STATUS(ostler_orchestrator_wait(stall.orchestrator, ticket, 1000, NULL, &result), OSTLER_E_TIMEOUT);
    let_all_go(&stall);
    CHECK_EQ(wait_for(stall.orchestrator, ticket).outcome, OSTLER_OUTCOME_COMPLETED);
    end_stall(&stall);
}

struct waiting {
    ostler_orchestrator *orchestrator;
    ostler_ticket ticket;
};

static void *wait_on_a_thread(void *argument)
{
    struct waiting *waiting = argument;
    ostler_result result = {.struct_size = sizeof result};
    EXPECT_STATUS(ostler_orchestrator_wait(waiting->orchestrator, waiting->ticket, OSTLER_FOREVER, NULL, &result),
                  OSTLER_OK);
    return NULL;
}

TEST(one_wait_for_a_ticket_at_a_time)
{
    struct stall stall;
    pthread_t thread;
    ostler_result result = {.struct_size = sizeof result};
    ostler_status status;
    begin_stall(&stall, plain_model_config());
    struct waiting waiting = {stall.orchestrator, stall_worker(&stall)};
    pthread_create(&thread, NULL, wait_on_a_thread, &waiting);
    while ((status = ostler_orchestrator_wait(stall.orchestrator, waiting.ticket, 0, NULL, &result)) == OSTLER_E_TIMEOUT)
        sched_yield();
    CHECK_STATUS(status, OSTLER_E_BUSY);
    let_all_go(&stall);
    pthread_join(thread, NULL);
    end_stall(&stall);
}

TEST(cancelled_in_the_queue_it_never_runs)
{
    struct stall stall;
    begin_stall(&stall, plain_model_config());
    ostler_ticket running = stall_worker(&stall), queued = submit(stall.model, plain_request());
    CHECK_STATUS(ostler_orchestrator_cancel(stall.orchestrator, queued), OSTLER_OK);
    ostler_result result = wait_for(stall.orchestrator, queued);
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_CANCELLED);
    CHECK_STATUS(result.status, OSTLER_E_CANCELLED);
    let_all_go(&stall);
    wait_for(stall.orchestrator, running);
    CHECK_EQ(atomic_load(&stall.ran), 1);
    CHECK_EQ(model_stats(stall.model).cancelled, 1);
    end_stall(&stall);
}

static ostler_status run_until_cancelled(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    (void)state, (void)count;
    EXPECT_EQ(__atomic_load_n(items[0]->cancelled, __ATOMIC_ACQUIRE), 0);
    tally_add(user_data, 1);
    AWAIT(__atomic_load_n(items[0]->cancelled, __ATOMIC_ACQUIRE) != 0);
    return OSTLER_OK;
}

TEST(cancelled_while_it_runs_the_callback_sees_it)
{
    struct tally entered = TALLY_INIT;
    ostler_model_callbacks callbacks = plain_model_callbacks();
    ostler_orchestrator *orchestrator = make_orchestrator();
    callbacks.run = run_until_cancelled;
    ostler_model *model = make_model(orchestrator, plain_model_config(), callbacks, &entered);
    ostler_ticket ticket = submit(model, plain_request());
    tally_await(&entered, 1);
    CHECK_STATUS(ostler_orchestrator_cancel(orchestrator, ticket), OSTLER_E_BUSY);
    CHECK(wait_for(orchestrator, ticket).outcome != 0);
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
}

TEST(cancelled_after_its_end_it_keeps_its_outcome)
{
    struct stall stall;
    begin_stall(&stall, plain_model_config());
    let_all_go(&stall);
    ostler_ticket ticket = submit(stall.model, plain_request());
    AWAIT(orchestrator_stats(stall.orchestrator).untaken == 1);
    CHECK_STATUS(ostler_orchestrator_cancel(stall.orchestrator, ticket), OSTLER_OK);
    CHECK_EQ(wait_for(stall.orchestrator, ticket).outcome, OSTLER_OUTCOME_COMPLETED);
    end_stall(&stall);
}

TEST(forgotten_request_runs_and_leaves_nothing)
{
    struct stall stall;
    ostler_result result = {.struct_size = sizeof result};
    begin_stall(&stall, plain_model_config());
    ostler_ticket running = stall_worker(&stall), queued = submit(stall.model, plain_request());
    CHECK_STATUS(ostler_orchestrator_forget(stall.orchestrator, running), OSTLER_OK);
    CHECK_STATUS(ostler_orchestrator_forget(stall.orchestrator, queued), OSTLER_OK);
    CHECK_STATUS(ostler_orchestrator_poll(stall.orchestrator, queued, &result), OSTLER_E_STALE_TICKET);
    let_all_go(&stall);
    AWAIT(orchestrator_stats(stall.orchestrator).completed == 2);
    ostler_ticket finished = submit(stall.model, plain_request());
    AWAIT(orchestrator_stats(stall.orchestrator).untaken == 1);
    CHECK_STATUS(ostler_orchestrator_forget(stall.orchestrator, finished), OSTLER_OK);
    end_stall(&stall);
}

struct completed {
    struct stall stall;
    struct tally calls;
    ostler_ticket ticket;
    ostler_result result;
};

static void note_result(void *user_data, ostler_ticket ticket, const ostler_result *result)
{
    struct completed *completed = user_data;
    completed->ticket = ticket;
    completed->result = *result;
    tally_add(&completed->calls, 1);
}

TEST(completion_callback_takes_the_outcome)
{
    struct completed completed = {.calls = TALLY_INIT};
    ostler_result result = {.struct_size = sizeof result};
    begin_stall(&completed.stall, plain_model_config());
    ostler_ticket running = stall_worker(&completed.stall);
    ostler_request request = request_of(&completed);
    request.on_complete = note_result;
    ostler_ticket ticket = submit(completed.stall.model, request);
    CHECK_STATUS(ostler_orchestrator_poll(completed.stall.orchestrator, ticket, &result), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_orchestrator_wait(completed.stall.orchestrator, ticket, 0, NULL, &result),
                 OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_orchestrator_forget(completed.stall.orchestrator, ticket), OSTLER_E_INVALID_ARGUMENT);
    let_all_go(&completed.stall);
    tally_await(&completed.calls, 1);
    CHECK_EQ(completed.ticket.value, ticket.value);
    CHECK_EQ(completed.result.struct_size, sizeof result);
    CHECK_EQ(completed.result.outcome, OSTLER_OUTCOME_COMPLETED);
    wait_for(completed.stall.orchestrator, running);
    end_stall(&completed.stall);
    CHECK_EQ(tally_read(&completed.calls), 1);
}

TEST(completion_callback_hears_of_every_kind_of_end)
{
    struct completed late = {.calls = TALLY_INIT}, cancelled = {.calls = TALLY_INIT}, shed = {.calls = TALLY_INIT};
    struct stall stall;
    begin_stall(&stall, plain_model_config());
    ostler_ticket running = stall_worker(&stall);

    ostler_request request = request_of(&late);
    request.on_complete = note_result;
    request.deadline_after_ns = 1;
    submit(stall.model, request);
    tally_await(&late.calls, 1);
    CHECK_EQ(late.result.outcome, OSTLER_OUTCOME_TIMED_OUT);

    request.deadline_after_ns = 0;
    request.user_data = &cancelled;
    CHECK_STATUS(ostler_orchestrator_cancel(stall.orchestrator, submit(stall.model, request)), OSTLER_OK);
    tally_await(&cancelled.calls, 1);
    CHECK_EQ(cancelled.result.outcome, OSTLER_OUTCOME_CANCELLED);

    request.user_data = &shed;
    submit(stall.model, request);
    tally_add(&stall.let_go, 0);
    CHECK_STATUS(ostler_orchestrator_forget(stall.orchestrator, running), OSTLER_OK);
    /* The destroy sheds what is queued before it waits for what runs. */
    pthread_t thread;
    pthread_create(&thread, NULL, (void *(*)(void *))(void (*)(void))ostler_orchestrator_destroy, stall.orchestrator);
    tally_await(&shed.calls, 1);
    CHECK_EQ(shed.result.outcome, OSTLER_OUTCOME_SHED);
    CHECK_STATUS(shed.result.status, OSTLER_E_SHED);
    let_all_go(&stall);
    pthread_join(thread, NULL);
    CHECK_EQ(tally_read(&late.calls) + tally_read(&cancelled.calls) + tally_read(&shed.calls), 3);
}

struct chain {
    ostler_model *model;
    struct tally calls;
};

static void submit_next(void *user_data, ostler_ticket ticket, const ostler_result *result)
{
    struct chain *chain = user_data;
    (void)ticket;
    EXPECT_EQ(result->outcome, OSTLER_OUTCOME_COMPLETED);
    if (tally_read(&chain->calls) < 200) {
        ostler_request request;
        ostler_ticket next;
        EXPECT_STATUS(ostler_request_init(&request, sizeof request), OSTLER_OK);
        request.on_complete = submit_next;
        request.user_data = chain;
        EXPECT_STATUS(ostler_model_submit(chain->model, &request, &next), OSTLER_OK);
    }
    tally_add(&chain->calls, 1);
}

TEST(completion_callback_may_submit_again)
{
    ostler_orchestrator *orchestrator = make_orchestrator();
    struct chain chain = {.calls = TALLY_INIT};
    chain.model = make_model(orchestrator, plain_model_config(), plain_model_callbacks(), &chain);
    ostler_request request = request_of(&chain);
    request.on_complete = submit_next;
    submit(chain.model, request);
    tally_await(&chain.calls, 201);
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
    CHECK_EQ(tally_read(&chain.calls), 201);
}

/* A completion that waits for another request of its own batch, or of those that are shed with it. */
struct sibling {
    struct stall *stall;
    ostler_ticket ticket;
    uint32_t outcome;
    struct tally calls;
};

static void wait_for_sibling(void *user_data, ostler_ticket ticket, const ostler_result *result)
{
    struct sibling *sibling = user_data;
    ostler_result other = {.struct_size = sizeof other};
    (void)ticket, (void)result;
    EXPECT_STATUS(ostler_orchestrator_wait(sibling->stall->orchestrator, sibling->ticket, OSTLER_FOREVER, NULL, &other),
                  OSTLER_OK);
    sibling->outcome = other.outcome;
    tally_add(&sibling->calls, 1);
    let_all_go(sibling->stall);
}

static struct sibling *queue_two(struct stall *stall, struct sibling *sibling)
{
    ostler_request request = request_of(sibling);
    *sibling = (struct sibling){.stall = stall, .calls = TALLY_INIT};
    request.on_complete = wait_for_sibling;
    submit(stall->model, request);
    sibling->ticket = submit(stall->model, request_of(stall));
    return sibling;
}

TEST(completion_callback_may_wait_for_the_rest_of_its_batch)
{
    struct stall stall;
    struct sibling sibling;
    ostler_model_config config = plain_model_config();
    config.max_batch = 2;
    begin_stall(&stall, config);
    ostler_ticket first = stall_worker(&stall);
    queue_two(&stall, &sibling);
    let_all_go(&stall);
    tally_await(&sibling.calls, 1);
    CHECK_EQ(sibling.outcome, OSTLER_OUTCOME_COMPLETED);
    wait_for(stall.orchestrator, first);
    end_stall(&stall);
}

TEST(completion_callback_may_wait_for_what_is_shed_with_it)
{
    struct stall stall;
    struct sibling sibling;
    begin_stall(&stall, plain_model_config());
    ostler_ticket first = stall_worker(&stall);
    queue_two(&stall, &sibling);
    /* The worker is busy until the completion has run, so that both are shed. */
    CHECK_STATUS(ostler_model_destroy(stall.model), OSTLER_OK);
    CHECK_EQ(tally_read(&sibling.calls), 1);
    CHECK_EQ(sibling.outcome, OSTLER_OUTCOME_SHED);
    wait_for(stall.orchestrator, first);
    CHECK_STATUS(ostler_orchestrator_destroy(stall.orchestrator), OSTLER_OK);
}

TEST(table_of_requests_is_bounded)
{
    struct stall stall;
    ostler_orchestrator_config config;
    ostler_orchestrator *orchestrator;
    ostler_ticket ticket = {99};
    CHECK_STATUS(ostler_orchestrator_config_init(&config, sizeof config), OSTLER_OK);
    config.request_slots = 2;
    CHECK_STATUS(ostler_orchestrator_create(&config, &orchestrator), OSTLER_OK);
    begin_stall_with(&stall, plain_model_config(), orchestrator);
    ostler_ticket running = stall_worker(&stall), queued = submit(stall.model, plain_request());
    ostler_request request = plain_request();
    CHECK_STATUS(ostler_model_submit(stall.model, &request, &ticket), OSTLER_E_QUEUE_FULL);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "2");
    CHECK_EQ(ticket.value, 0);
    CHECK_EQ(orchestrator_stats(orchestrator).refused, 1);
    let_all_go(&stall);
    wait_for(orchestrator, running);
    wait_for(orchestrator, queued);
    wait_for(orchestrator, submit(stall.model, plain_request()));
    end_stall(&stall);
}

TEST(drain_refuses_new_requests_and_waits_for_the_old)
{
    struct stall stall;
    ostler_ticket tickets[4], more = {99};
    uint64_t still_out = 99;
    ostler_request request = plain_request();
    begin_stall(&stall, plain_model_config());
    tickets[0] = stall_worker(&stall);
    for (int i = 1; i < 4; i++)
        tickets[i] = submit(stall.model, plain_request());
    CHECK_STATUS(ostler_orchestrator_drain(stall.orchestrator, 0, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 4);
    CHECK_STATUS(ostler_model_submit(stall.model, &request, &more), OSTLER_E_CLOSED);
    CHECK_EQ(more.value, 0);
    let_all_go(&stall);
    CHECK_STATUS(ostler_orchestrator_drain(stall.orchestrator, OSTLER_FOREVER, NULL, &still_out), OSTLER_OK);
    CHECK_EQ(still_out, 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(wait_for(stall.orchestrator, tickets[i]).outcome, OSTLER_OUTCOME_COMPLETED);
    end_stall(&stall);
}

static void *destroy_on_a_thread(void *orchestrator)
{
    EXPECT_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
    return NULL;
}

TEST(destroy_sheds_what_is_queued_and_finishes_what_runs)
{
    struct stall stall;
    pthread_t thread;
    ostler_ticket queued[3], more;
    ostler_request request = plain_request();
    ostler_result result = {.struct_size = sizeof result};
    begin_stall(&stall, plain_model_config());
    ostler_ticket running = stall_worker(&stall);
    for (int i = 0; i < 3; i++)
        queued[i] = submit(stall.model, plain_request());
    pthread_create(&thread, NULL, destroy_on_a_thread, stall.orchestrator);
    for (int i = 0; i < 2; i++) {
        result = wait_for(stall.orchestrator, queued[i]);
        CHECK_EQ(result.outcome, OSTLER_OUTCOME_SHED);
        CHECK_STATUS(result.status, OSTLER_E_SHED);
    }
    ostler_status status = ostler_model_submit(stall.model, &request, &more);
    CHECK(status == OSTLER_E_CLOSED || status == OSTLER_E_INVALID_HANDLE);
    let_all_go(&stall);
    pthread_join(thread, NULL);
    CHECK_EQ(atomic_load(&stall.ran), 1);
    /* Tickets outlive the orchestrator, which goes with the last of them. */
    CHECK_EQ(wait_for(stall.orchestrator, running).outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_STATUS(ostler_orchestrator_destroy(stall.orchestrator), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_orchestrator_poll(stall.orchestrator, queued[2], &result), OSTLER_OK);
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_SHED);
    CHECK_STATUS(ostler_orchestrator_poll(stall.orchestrator, queued[2], &result), OSTLER_E_INVALID_HANDLE);
}

CHECK_MAIN()
