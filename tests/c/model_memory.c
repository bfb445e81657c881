/* Model: what its workers hold is charged while they are warm, limits them, and goes when memory runs short. */
#include "stalls.h"
#include "frozen.h"
#include "governed.h"

enum { WORKER_BYTES = 1 << 20 };

static ostler_model_config config_with(uint32_t min_workers, uint32_t max_workers)
{
    ostler_model_config config = plain_model_config();
    config.min_workers = min_workers;
    config.max_workers = max_workers;
    config.memory_bytes = WORKER_BYTES;
    snprintf(config.name, sizeof config.name, "ocr");
    return config;
}

/* Every worker that there can be is busy with a request of its own. */
static void stall_all(struct stall *stall, ostler_ticket *tickets, int workers)
{
    for (int i = 0; i < workers; i++)
        tickets[i] = submit(stall->model, plain_request());
    tally_await(&stall->entered, workers);
}

/* Lets runs end, and waits until as many workers sleep. */
static void let_go_until_idle(struct stall *stall, long runs, uint32_t idle_workers)
{
    tally_add(&stall->let_go, runs);
    AWAIT(model_stats(stall->model).idle_workers == idle_workers);
}

static uint64_t suggested_workers(ostler_suggestion *suggestion)
{
    uint64_t count;
    CHECK_STATUS(ostler_governor_suggest(suggestion, 1, &count), OSTLER_OK);
    CHECK(count == 0 || suggestion->kind == OSTLER_RECLAIM_WORKER);
    return count;
}

static uint64_t reclaim_workers(uint64_t bytes)
{
    uint64_t freed;
    CHECK_STATUS(ostler_governor_reclaim(bytes, OSTLER_RECLAIM_WORKER, NULL, 0, NULL, &freed), OSTLER_OK);
    return freed;
}

TEST(each_worker_is_charged_while_it_is_warm)
{
    uint64_t before = governor_stats().held_bytes, count;
    ostler_account_info accounts[8];
    ostler_orchestrator *orchestrator = make_orchestrator();
    ostler_model *model = make_model(orchestrator, config_with(3, 3), plain_model_callbacks(), NULL);
    CHECK_STATUS(ostler_model_wait_ready(model, OSTLER_FOREVER, NULL), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes - before, 3 * WORKER_BYTES);
    CHECK_STATUS(ostler_governor_list_accounts(accounts, 8, &count), OSTLER_OK);
    CHECK_EQ(count, 1);
    CHECK_EQ(accounts[0].holder, OSTLER_HOLDER_WORKER);
    CHECK_EQ(accounts[0].held_bytes, 3 * WORKER_BYTES);
    CHECK(strcmp(accounts[0].name, "ocr") == 0);
    CHECK_STATUS(ostler_model_destroy(model), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, before);
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
}

static ostler_status refuse_to_load(void *user_data, uint32_t worker, void **state)
{
    (void)user_data, (void)worker, (void)state;
    return -1;
}

TEST(worker_that_cannot_load_is_not_charged)
{
    uint64_t before = governor_stats().held_bytes;
    ostler_orchestrator *orchestrator = make_orchestrator();
    ostler_model_callbacks callbacks = plain_model_callbacks();
    callbacks.load = refuse_to_load;
    /* It is not tried again. */
    freeze();
    ostler_model *model = make_model(orchestrator, config_with(1, 1), callbacks, NULL);
    CHECK_STATUS(ostler_model_wait_ready(model, OSTLER_FOREVER, NULL), OSTLER_E_LOAD_FAILED);
    CHECK_EQ(governor_stats().held_bytes, before);
    thaw();
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
}

TEST(worker_for_which_there_is_no_room_does_not_load)
{
    ostler_orchestrator *orchestrator = make_orchestrator();
    limit_to(governor_stats().held_bytes + WORKER_BYTES + WORKER_BYTES / 2);
    ostler_model *model = make_model(orchestrator, config_with(2, 2), plain_model_callbacks(), NULL);
    CHECK_STATUS(ostler_model_wait_ready(model, OSTLER_FOREVER, NULL), OSTLER_E_LOAD_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "load was not called");
    CHECK(model_stats(model).loads <= 1);
    govern_no_more();
    AWAIT(model_stats(model).loads == 2);
    CHECK_STATUS(ostler_model_wait_ready(model, 0, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
}

TEST(idle_workers_above_the_least_number_go_when_memory_is_wanted)
{
    struct stall stall;
    ostler_ticket tickets[4];
    ostler_suggestion suggestion;
    ostler_reclaimed reclaimed[2];
    uint64_t count, freed, before = governor_stats().held_bytes;
    begin_stall(&stall, config_with(1, 4));
    stall_all(&stall, tickets, 4);
    let_go_until_idle(&stall, 4, 4);
    CHECK_EQ(suggested_workers(&suggestion), 1);
    CHECK_EQ(suggestion.bytes, 3 * WORKER_BYTES);
    CHECK_EQ(suggestion.holder, OSTLER_HOLDER_WORKER);
    CHECK(strcmp(suggestion.name, "ocr") == 0);
    CHECK_EQ(model_stats(stall.model).workers, 4);
    /* What costs less does not touch them. */
    CHECK_STATUS(ostler_governor_reclaim(UINT64_MAX, OSTLER_RECLAIM_COMPACT, NULL, 0, &count, &freed), OSTLER_OK);
    CHECK_EQ(count, 0);

    CHECK_STATUS(ostler_governor_reclaim(WORKER_BYTES + 1, OSTLER_RECLAIM_WORKER, reclaimed, 2, &count, &freed),
                 OSTLER_OK);
    CHECK_EQ(count, 1);
    CHECK_EQ(freed, 2 * WORKER_BYTES);
    CHECK_EQ(reclaimed[0].claimed_bytes, 2 * WORKER_BYTES);
    CHECK_EQ(reclaimed[0].freed_bytes, 2 * WORKER_BYTES);
    CHECK_EQ(governor_stats().held_bytes - before, 2 * WORKER_BYTES);
    CHECK_EQ(model_stats(stall.model).evicted, 2);
    CHECK_EQ(model_stats(stall.model).unloads, 2);
    CHECK_EQ(suggested_workers(&suggestion), 1);
    CHECK_EQ(suggestion.bytes, WORKER_BYTES);

    CHECK_EQ(reclaim_workers(UINT64_MAX), WORKER_BYTES);
    CHECK_EQ(reclaim_workers(UINT64_MAX), 0);
    CHECK_EQ(suggested_workers(&suggestion), 0);
    CHECK_EQ(model_stats(stall.model).evicted, 3);
    CHECK_EQ(model_stats(stall.model).idle_workers, 1);
    CHECK_EQ(governor_stats().held_bytes - before, WORKER_BYTES);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(wait_for(stall.orchestrator, tickets[i]).outcome, OSTLER_OUTCOME_COMPLETED);

    /* Evicted workers come again when there is work for them. */
    long runs = tally_read(&stall.let_go);
    tally_add(&stall.let_go, -runs);
    tally_add(&stall.entered, -runs);
    stall_all(&stall, tickets, 4);
    CHECK_EQ(model_stats(stall.model).loads, 7);
    CHECK_EQ(governor_stats().held_bytes - before, 4 * WORKER_BYTES);
    let_all_go(&stall);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(wait_for(stall.orchestrator, tickets[i]).outcome, OSTLER_OUTCOME_COMPLETED);
    end_stall(&stall);
    CHECK_EQ(governor_stats().held_bytes, before);
}

TEST(busy_worker_is_never_evicted)
{
    struct stall stall;
    ostler_ticket tickets[3];
    ostler_suggestion suggestion;
    begin_stall(&stall, config_with(1, 3));
    stall_all(&stall, tickets, 3);
    CHECK_EQ(suggested_workers(&suggestion), 0);
    CHECK_EQ(reclaim_workers(UINT64_MAX), 0);
    let_go_until_idle(&stall, 1, 1);
    CHECK_EQ(suggested_workers(&suggestion), 1);
    CHECK_EQ(reclaim_workers(UINT64_MAX), WORKER_BYTES);
    CHECK_EQ(model_stats(stall.model).running, 2);
    CHECK_EQ(model_stats(stall.model).evicted, 1);
    let_go_until_idle(&stall, 2, 2);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(wait_for(stall.orchestrator, tickets[i]).outcome, OSTLER_OUTCOME_COMPLETED);
    end_stall(&stall);
}

TEST(workers_that_declare_nothing_stay)
{
    struct stall stall;
    ostler_ticket tickets[3];
    ostler_suggestion suggestion;
    ostler_model_config config = config_with(1, 3);
    config.memory_bytes = 0;
    begin_stall(&stall, config);
    stall_all(&stall, tickets, 3);
    let_go_until_idle(&stall, 3, 3);
    CHECK_EQ(suggested_workers(&suggestion), 0);
    CHECK_EQ(reclaim_workers(UINT64_MAX), 0);
    CHECK_EQ(model_stats(stall.model).workers, 3);
    for (int i = 0; i < 3; i++)
        wait_for(stall.orchestrator, tickets[i]);
    end_stall(&stall);
}

TEST(governor_evicts_by_itself_while_memory_is_critical)
{
    struct stall stall;
    ostler_ticket tickets[3];
    begin_stall(&stall, config_with(1, 3));
    stall_all(&stall, tickets, 3);
    let_go_until_idle(&stall, 3, 3);
    ostler_account *account = open_account("cache", NULL, 0);
    CHECK_STATUS(ostler_account_report(account, 97 * MIB), OSTLER_OK);
    limit_to(101 * MIB);
    AWAIT(model_stats(stall.model).evicted == 2);
    AWAIT(model_stats(stall.model).workers == 1);
    govern_no_more();
    CHECK_STATUS(ostler_account_destroy(account), OSTLER_OK);
    for (int i = 0; i < 3; i++)
        wait_for(stall.orchestrator, tickets[i]);
    end_stall(&stall);
}

/* One run asks for memory while the other workers of its model are idle. */
static ostler_status run_and_reclaim(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    struct stall *stall = user_data;
    ostler_status status = run_stalled(user_data, state, items, count);
    if (items[0]->user_data == stall) {
        AWAIT(model_stats(stall->model).idle_workers == 2);
        EXPECT_EQ(reclaim_workers(UINT64_MAX), 0);
        EXPECT_EQ(model_stats(stall->model).workers, 3);
    }
    return status;
}

TEST(reclaim_from_inside_a_run_does_not_wait_for_its_own_model)
{
    struct stall stall = {0};
    ostler_ticket tickets[3];
    ostler_model_callbacks callbacks = plain_model_callbacks();
    callbacks.run = run_and_reclaim;
    stall.entered = stall.let_go = (struct tally)TALLY_INIT;
    stall.orchestrator = make_orchestrator();
    stall.model = make_model(stall.orchestrator, config_with(1, 3), callbacks, &stall);
    tickets[0] = submit(stall.model, request_of(&stall));
    tickets[1] = submit(stall.model, plain_request());
    tickets[2] = submit(stall.model, plain_request());
    tally_await(&stall.entered, 3);
    let_all_go(&stall);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(wait_for(stall.orchestrator, tickets[i]).outcome, OSTLER_OUTCOME_COMPLETED);
    end_stall(&stall);
}

static void *keep_reclaiming(void *over)
{
    while (!atomic_load((atomic_int *)over))
        reclaim_workers(UINT64_MAX);
    return NULL;
}

TEST(every_request_is_served_while_workers_come_and_are_evicted)
{
    enum { ROUNDS = 300, REQUESTS = 8 };
    uint64_t before = governor_stats().held_bytes;
    atomic_int over = 0;
    pthread_t reclaimer;
    ostler_orchestrator *orchestrator = make_orchestrator();
    ostler_model *model = make_model(orchestrator, config_with(1, 4), plain_model_callbacks(), NULL);
    CHECK_EQ(pthread_create(&reclaimer, NULL, keep_reclaiming, &over), 0);
    for (int round = 0; round < ROUNDS; round++) {
        ostler_ticket tickets[REQUESTS];
        for (int i = 0; i < REQUESTS; i++)
            tickets[i] = submit(model, plain_request());
        for (int i = 0; i < REQUESTS; i++)
            CHECK_EQ(wait_for(orchestrator, tickets[i]).outcome, OSTLER_OUTCOME_COMPLETED);
    }
    atomic_store(&over, 1);
    CHECK_EQ(pthread_join(reclaimer, NULL), 0);
    ostler_model_stats stats = model_stats(model);
    CHECK_EQ(stats.completed, ROUNDS * REQUESTS);
    CHECK(stats.unloads == stats.evicted && stats.workers >= 1);
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, before);
}

TEST(models_end_while_their_workers_are_evicted)
{
    enum { ROUNDS = 200, REQUESTS = 6 };
    uint64_t before = governor_stats().held_bytes;
    atomic_int over = 0;
    pthread_t reclaimer;
    CHECK_EQ(pthread_create(&reclaimer, NULL, keep_reclaiming, &over), 0);
    for (int round = 0; round < ROUNDS; round++) {
        ostler_ticket tickets[REQUESTS];
        ostler_orchestrator *orchestrator = make_orchestrator();
        ostler_model *model = make_model(orchestrator, config_with(1, 3), plain_model_callbacks(), NULL);
        for (int i = 0; i < REQUESTS; i++)
            tickets[i] = submit(model, plain_request());
        for (int i = 0; i < REQUESTS; i++)
            CHECK_EQ(wait_for(orchestrator, tickets[i]).outcome, OSTLER_OUTCOME_COMPLETED);
        CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
        CHECK_EQ(governor_stats().held_bytes, before);
    }
    atomic_store(&over, 1);
    CHECK_EQ(pthread_join(reclaimer, NULL), 0);
}

CHECK_MAIN()
