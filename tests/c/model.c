/* What a model promises: batches, many submits in one call, workers that come and go, loads that fail, memory. */
#include "frozen.h"
#include "stalls.h"

TEST(batch_takes_what_waits_up_to_its_bound)
{
    struct stall stall;
    ostler_model_config config = plain_model_config();
    config.max_batch = 4;
    begin_stall(&stall, config);
    ostler_ticket first = stall_worker(&stall);
    ostler_request requests[10];
    ostler_ticket tickets[10];
    uint32_t accepted = 0;
    for (int i = 0; i < 10; i++)
        requests[i] = plain_request();
    CHECK_STATUS(ostler_model_submit_n(stall.model, requests, 10, tickets, &accepted), OSTLER_OK);
    CHECK_EQ(accepted, 10);
    let_all_go(&stall);
    CHECK_EQ(wait_for(stall.orchestrator, first).batch_size, 1);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(wait_for(stall.orchestrator, tickets[i]).batch_size, i < 8 ? 4 : 2);
    CHECK_EQ(model_stats(stall.model).batches, 4);
    CHECK_EQ(model_stats(stall.model).largest_batch, 4);
    end_stall(&stall);
}

TEST(batch_that_is_not_full_waits_for_more_but_not_for_ever)
{
    struct stall full, late;
    ostler_model_config config = plain_model_config();
    ostler_ticket tickets[3];
    config.max_batch = 3;
    config.batch_wait_ns = HOUR;
    begin_stall(&full, config);
    let_all_go(&full);
    for (int i = 0; i < 3; i++)
        tickets[i] = submit(full.model, plain_request());
    for (int i = 0; i < 3; i++)
        CHECK_EQ(wait_for(full.orchestrator, tickets[i]).batch_size, 3);
    end_stall(&full);

    freeze();
    begin_stall(&late, config);
    let_all_go(&late);
    tickets[0] = submit(late.model, plain_request());
    settle();
    advance(HOUR);
    ostler_result result = wait_for(late.orchestrator, tickets[0]);
    CHECK_EQ(result.batch_size, 1);
    CHECK_EQ(result.queue_ns, HOUR);
    end_stall(&late);
    thaw();
}

TEST(drain_does_not_wait_for_a_batch_to_fill)
{
    struct stall stall;
    ostler_model_config config = plain_model_config();
    config.max_batch = 64;
    config.batch_wait_ns = HOUR;
    begin_stall(&stall, config);
    ostler_ticket ticket = submit(stall.model, plain_request());
    let_all_go(&stall);
    CHECK_STATUS(ostler_orchestrator_drain(stall.orchestrator, OSTLER_FOREVER, NULL, NULL), OSTLER_OK);
    CHECK_EQ(wait_for(stall.orchestrator, ticket).outcome, OSTLER_OUTCOME_COMPLETED);
    end_stall(&stall);
}

TEST(batch_does_not_wait_for_more_than_there_can_be)
{
    struct stall stall;
    ostler_ticket tickets[4];
    ostler_model_config config = plain_model_config();
    config.max_batch = 64;
    config.queue_capacity = 4;
    config.batch_wait_ns = HOUR;
    begin_stall(&stall, config);
    let_all_go(&stall);
    for (int i = 0; i < 4; i++)
        tickets[i] = submit(stall.model, plain_request());
    for (int i = 0; i < 4; i++)
        CHECK_EQ(wait_for(stall.orchestrator, tickets[i]).batch_size, 4);
    end_stall(&stall);
}

TEST(batch_begins_before_a_deadline_passes)
{
    struct stall stall;
    ostler_model_config config = plain_model_config();
    config.max_batch = 64;
    config.batch_wait_ns = DAY;
    freeze();
    begin_stall(&stall, config);
    let_all_go(&stall);
    ostler_ticket patient = submit(stall.model, plain_request());
    pass(HOUR);
    ostler_request request = plain_request();
    request.deadline_after_ns = 2 * MINUTE;
    ostler_ticket hasty = submit(stall.model, request);
    pass(MINUTE - 1);
    CHECK_EQ(model_stats(stall.model).queued, 2);
    /* When half of its time is over. */
    pass(1);
    CHECK_EQ(wait_for(stall.orchestrator, hasty).outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_EQ(wait_for(stall.orchestrator, patient).queue_ns, HOUR + MINUTE);
    end_stall(&stall);
    thaw();
}

TEST(submit_of_many_stops_at_the_first_that_is_refused)
{
    struct stall stall;
    ostler_model_config config = plain_model_config();
    config.queue_capacity = 3;
    begin_stall(&stall, config);
    ostler_ticket running = stall_worker(&stall);
    ostler_request requests[5];
    ostler_ticket tickets[5];
    uint32_t accepted = 99;
    for (int i = 0; i < 5; i++)
        requests[i] = plain_request();
    memset(tickets, 0xff, sizeof tickets);
    CHECK_STATUS(ostler_model_submit_n(stall.model, requests, 5, tickets, &accepted), OSTLER_E_QUEUE_FULL);
    CHECK_EQ(accepted, 3);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(tickets[i].value != 0, i < 3);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "queue_capacity");
    let_all_go(&stall);
    wait_for(stall.orchestrator, running);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(wait_for(stall.orchestrator, tickets[i]).outcome, OSTLER_OUTCOME_COMPLETED);

    /* A request that is wrong in itself: those before it are accepted. */
    requests[1].priority = 77;
    CHECK_STATUS(ostler_model_submit_n(stall.model, requests, 3, tickets, &accepted), OSTLER_E_INVALID_ARGUMENT);
    CHECK_EQ(accepted, 1);
    CHECK_EQ(wait_for(stall.orchestrator, tickets[0]).outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_EQ(tickets[1].value, 0);
    CHECK_STATUS(ostler_model_submit_n(stall.model, NULL, 0, NULL, &accepted), OSTLER_OK);
    CHECK_EQ(accepted, 0);
    end_stall(&stall);
}

static ostler_status upper_case(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    (void)user_data, (void)state;
    for (uint32_t i = 0; i < count; i++) {
        ostler_item *item = items[i];
        const char *input = item->input;
        char *output = item->output;
        for (uint64_t byte = 0; byte < item->input_bytes && byte < item->output_capacity_bytes; byte++)
            output[byte] = (char)(input[byte] - 'a' + 'A');
        item->output_bytes = item->input_bytes;
        if (item->input_bytes == 0) {
            item->status = 4711;
            strcpy(item->message, "nothing to read");
        }
    }
    return OSTLER_OK;
}

TEST(each_item_has_its_own_output_and_failure)
{
    ostler_orchestrator *orchestrator = make_orchestrator();
    ostler_model_callbacks callbacks = plain_model_callbacks();
    callbacks.run = upper_case;
    ostler_model_config config = plain_model_config();
    config.max_batch = 8;
    ostler_model *model = make_model(orchestrator, config, callbacks, NULL);
    char output[16] = {0};
    ostler_request good = plain_request(), empty = plain_request(), tight = plain_request();
    good.input = "abc", good.input_bytes = 3;
    good.output = output, good.output_capacity_bytes = sizeof output;
    tight.input = "abcdef", tight.input_bytes = 6;
    tight.output = output + 8, tight.output_capacity_bytes = 2;
    ostler_ticket first = submit(model, good), second = submit(model, empty), third = submit(model, tight);
    ostler_result result = wait_for(orchestrator, first);
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_EQ(result.output_bytes, 3);
    CHECK_STR_EQ(output, "ABC");
    result = wait_for(orchestrator, second);
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_FAILED);
    CHECK_EQ(result.status, 4711);
    CHECK_STR_EQ(result.message, "nothing to read");
    CHECK_EQ(result.output_bytes, 0);
    result = wait_for(orchestrator, third);
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_FAILED);
    CHECK_STATUS(result.status, OSTLER_E_CALLBACK_FAILED);
    CHECK_STR_CONTAINS(result.message, "output_bytes 6");
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
}

TEST(workers_come_while_all_are_busy_and_go_when_idle)
{
    struct stall stall;
    ostler_ticket tickets[5];
    ostler_model_config config = plain_model_config();
    config.min_workers = 1;
    config.max_workers = 3;
    config.idle_timeout_ns = HOUR;
    freeze();
    begin_stall(&stall, config);
    for (int i = 0; i < 5; i++)
        tickets[i] = submit(stall.model, plain_request());
    tally_await(&stall.entered, 3);
    CHECK_EQ(model_stats(stall.model).workers, 3);
    CHECK_EQ(model_stats(stall.model).running, 3);
    CHECK_EQ(model_stats(stall.model).queued, 2);
    let_all_go(&stall);
    for (int i = 0; i < 5; i++) {
        ostler_result result = wait_for(stall.orchestrator, tickets[i]);
        CHECK_EQ(result.outcome, OSTLER_OUTCOME_COMPLETED);
        CHECK(result.worker < 3);
    }
    settle();
    pass(HOUR - 1);
    CHECK_EQ(model_stats(stall.model).workers, 3);
    pass(1);
    CHECK_EQ(model_stats(stall.model).workers, 1);
    CHECK_EQ(model_stats(stall.model).unloads, 2);
    CHECK_EQ(model_stats(stall.model).loads, 3);
    end_stall(&stall);
    thaw();
}

TEST(declared_memory_bounds_the_workers)
{
    struct stall stall;
    ostler_orchestrator_config bounds;
    ostler_orchestrator *orchestrator;
    ostler_model *more = (ostler_model *)1;
    CHECK_STATUS(ostler_orchestrator_config_init(&bounds, sizeof bounds), OSTLER_OK);
    bounds.memory_limit_bytes = 100;
    CHECK_STATUS(ostler_orchestrator_create(&bounds, &orchestrator), OSTLER_OK);
    ostler_model_config config = plain_model_config();
    config.max_workers = 8;
    config.memory_bytes = 40;
    begin_stall_with(&stall, config, orchestrator);
    ostler_ticket tickets[4];
    for (int i = 0; i < 4; i++)
        tickets[i] = submit(stall.model, plain_request());
    tally_await(&stall.entered, 2);
    CHECK_EQ(orchestrator_stats(orchestrator).declared_memory_bytes, 80);
    config.memory_bytes = 21;
    ostler_model_callbacks callbacks = plain_model_callbacks();
    CHECK_STATUS(ostler_model_create(orchestrator, &config, &callbacks, NULL, &more), OSTLER_E_LIMIT);
    CHECK(more == NULL);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "memory_limit_bytes");
    let_all_go(&stall);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(wait_for(orchestrator, tickets[i]).outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_EQ(model_stats(stall.model).loads, 2);
    end_stall(&stall);
}

struct stable {
    atomic_int refusals; /* loads that still fail */
    struct tally unloaded;
    pthread_t loader;
    atomic_int wrong_thread;
};

static ostler_status load_later(void *user_data, uint32_t worker, void **state)
{
    struct stable *stable = user_data;
    (void)worker;
    if (atomic_fetch_sub(&stable->refusals, 1) > 0) {
        ostler_callback_set_message("no model file");
        return -3;
    }
    stable->loader = pthread_self();
    *state = stable;
    return OSTLER_OK;
}

static ostler_status run_on_its_thread(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    struct stable *stable = user_data;
    (void)items, (void)count;
    if (state != stable || !pthread_equal(stable->loader, pthread_self()))
        atomic_fetch_add(&stable->wrong_thread, 1);
    return OSTLER_OK;
}

static void unload(void *user_data, void *state)
{
    struct stable *stable = user_data;
    if (state != stable || !pthread_equal(stable->loader, pthread_self()))
        atomic_fetch_add(&stable->wrong_thread, 1);
    tally_add(&stable->unloaded, 1);
}

static ostler_model_callbacks stable_callbacks(void)
{
    ostler_model_callbacks callbacks = plain_model_callbacks();
    callbacks.load = load_later;
    callbacks.run = run_on_its_thread;
    callbacks.unload = unload;
    return callbacks;
}

TEST(load_that_fails_tells_its_words_and_is_tried_again)
{
    struct stable stable = {.refusals = 1, .unloaded = TALLY_INIT};
    ostler_orchestrator *orchestrator = make_orchestrator();
    freeze();
    ostler_model *model = make_model(orchestrator, plain_model_config(), stable_callbacks(), &stable);
    AWAIT(model_stats(model).load_failures == 1);
    CHECK_STATUS(ostler_model_wait_ready(model, OSTLER_FOREVER, NULL), OSTLER_E_LOAD_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "no model file");
    thaw();
    ostler_status status;
    while ((status = ostler_model_wait_ready(model, OSTLER_FOREVER, NULL)) == OSTLER_E_LOAD_FAILED)
        sched_yield();
    CHECK_STATUS(status, OSTLER_OK);
    CHECK_EQ(wait_for(orchestrator, submit(model, plain_request())).outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_EQ(model_stats(model).loads, 1);
    CHECK_EQ(model_stats(model).warm_requests, 1);
    CHECK_STATUS(ostler_model_destroy(model), OSTLER_OK);
    CHECK_EQ(tally_read(&stable.unloaded), 1);
    CHECK_EQ(atomic_load(&stable.wrong_thread), 0);
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
}

TEST(requests_that_wait_for_a_load_share_its_failure)
{
    struct stable stable = {.refusals = 1000, .unloaded = TALLY_INIT};
    ostler_orchestrator *orchestrator = make_orchestrator();
    ostler_model *model = make_model(orchestrator, plain_model_config(), stable_callbacks(), &stable);
    ostler_result result = wait_for(orchestrator, submit(model, plain_request()));
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_FAILED);
    CHECK_STATUS(result.status, OSTLER_E_LOAD_FAILED);
    CHECK_STR_CONTAINS(result.message, "no model file");
    CHECK_EQ(result.batch_size, 0);
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
    CHECK_EQ(tally_read(&stable.unloaded), 0);
}

TEST(wait_for_a_slow_load_ends_by_time_and_by_cancel)
{
    struct stall stall;
    ostler_cancel *cancel;
    begin_stall(&stall, plain_model_config());
    ostler_model_callbacks callbacks = plain_model_callbacks();
    callbacks.load = load_later;
    struct stable stable = {.refusals = 1000, .unloaded = TALLY_INIT};
    ostler_model *model = make_model(stall.orchestrator, plain_model_config(), callbacks, &stable);
    CHECK_STATUS(ostler_cancel_create(&cancel), OSTLER_OK);
    CHECK_STATUS(ostler_cancel_signal(cancel), OSTLER_OK);
    ostler_status status = ostler_model_wait_ready(model, OSTLER_FOREVER, cancel);
    CHECK(status == OSTLER_E_CANCELLED || status == OSTLER_E_LOAD_FAILED);
    status = ostler_model_wait_ready(model, 0, NULL);
    CHECK(status == OSTLER_E_TIMEOUT || status == OSTLER_E_LOAD_FAILED);
    CHECK_STATUS(ostler_cancel_destroy(cancel), OSTLER_OK);
    CHECK_STATUS(ostler_model_destroy(model), OSTLER_OK);
    end_stall(&stall);
}

TEST(destroyed_model_sheds_what_waits_and_keeps_its_tickets)
{
    struct stall stall;
    begin_stall(&stall, plain_model_config());
    ostler_ticket running = stall_worker(&stall);
    ostler_ticket waiting = submit(stall.model, plain_request());
    let_all_go(&stall);
    CHECK_STATUS(ostler_model_destroy(stall.model), OSTLER_OK);
    CHECK_EQ(wait_for(stall.orchestrator, running).outcome, OSTLER_OUTCOME_COMPLETED);
    uint32_t outcome = wait_for(stall.orchestrator, waiting).outcome;
    CHECK(outcome == OSTLER_OUTCOME_SHED || outcome == OSTLER_OUTCOME_COMPLETED);
    ostler_request request = plain_request();
    ostler_ticket none = {1};
    CHECK_STATUS(ostler_model_submit(stall.model, &request, &none), OSTLER_E_INVALID_HANDLE);
    CHECK_EQ(none.value, 0);
    check_orchestrator_accounts(orchestrator_stats(stall.orchestrator));
    CHECK_STATUS(ostler_orchestrator_destroy(stall.orchestrator), OSTLER_OK);
}

#define SUBMITTERS 4
#define EACH 500

struct load_test {
    ostler_orchestrator *orchestrator;
    ostler_model *models[2];
    atomic_int completions;
    atomic_int runs[SUBMITTERS * EACH];
};

struct submitter {
    struct load_test *test;
    int number;
    int outcomes[6];
    pthread_t thread;
};

static ostler_status count_runs(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    struct load_test *test = user_data;
    (void)state;
    for (uint32_t i = 0; i < count; i++)
        EXPECT_EQ(atomic_fetch_add(&test->runs[(uintptr_t)items[i]->user_data], 1), 0);
    return OSTLER_OK;
}

static void *submit_many(void *argument)
{
    struct submitter *submitter = argument;
    struct load_test *test = submitter->test;
    unsigned seed = (unsigned)submitter->number + 1;
    for (uintptr_t i = 0; i < EACH; i++) {
        uintptr_t key = (uintptr_t)submitter->number * EACH + i;
        ostler_request request = request_of((void *)key);
        ostler_result result = {.struct_size = sizeof result};
        ostler_ticket ticket;
        ostler_status status;
        request.priority = (uint32_t)rand_r(&seed) % 6;
        request.deadline_after_ns = rand_r(&seed) % 8 == 0 ? 1 : 0;
        ostler_model *model = test->models[rand_r(&seed) % 2];
        bool cancels = rand_r(&seed) % 8 == 0;
        while ((status = ostler_model_submit(model, &request, &ticket)) == OSTLER_E_QUEUE_FULL)
            sched_yield();
        if (!EXPECT_STATUS(status, OSTLER_OK))
            return NULL;
        if (cancels) {
            status = ostler_orchestrator_cancel(test->orchestrator, ticket);
            EXPECT(status == OSTLER_OK || status == OSTLER_E_BUSY);
        }
        EXPECT_STATUS(ostler_orchestrator_wait(test->orchestrator, ticket, OSTLER_FOREVER, NULL, &result), OSTLER_OK);
        EXPECT_EQ(atomic_load(&test->runs[key]), result.outcome == OSTLER_OUTCOME_COMPLETED);
        submitter->outcomes[result.outcome]++;
        EXPECT_STATUS(ostler_orchestrator_poll(test->orchestrator, ticket, &result), OSTLER_E_STALE_TICKET);
    }
    return NULL;
}

TEST(every_request_runs_once_or_not_at_all)
{
    static struct load_test test;
    struct submitter submitters[SUBMITTERS];
    ostler_model_callbacks callbacks = plain_model_callbacks();
    ostler_model_config config = plain_model_config();
    callbacks.run = count_runs;
    config.max_workers = 3;
    config.max_batch = 4;
    config.queue_capacity = 2;
    config.idle_timeout_ns = MS;
    test.orchestrator = make_orchestrator();
    for (int i = 0; i < 2; i++)
        test.models[i] = make_model(test.orchestrator, config, callbacks, &test);
    for (int i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){.test = &test, .number = i};
        pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]);
    }
    uint64_t outcomes[6] = {0};
    for (int i = 0; i < SUBMITTERS; i++) {
        pthread_join(submitters[i].thread, NULL);
        for (int outcome = 0; outcome < 6; outcome++)
            outcomes[outcome] += (uint64_t)submitters[i].outcomes[outcome];
    }
    ostler_orchestrator_stats stats = orchestrator_stats(test.orchestrator);
    CHECK_EQ(stats.accepted, SUBMITTERS * EACH);
    CHECK_EQ(stats.completed, outcomes[OSTLER_OUTCOME_COMPLETED]);
    CHECK_EQ(stats.cancelled, outcomes[OSTLER_OUTCOME_CANCELLED]);
    CHECK_EQ(stats.timed_out, outcomes[OSTLER_OUTCOME_TIMED_OUT]);
    CHECK_EQ(stats.failed + stats.shed, 0);
    check_orchestrator_accounts(stats);
    CHECK_STATUS(ostler_orchestrator_destroy(test.orchestrator), OSTLER_OK);
}

CHECK_MAIN()
