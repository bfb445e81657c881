/* One signal ends every wait that was given it, whatever the wait is for. */
#include "frozen.h"

/* Runs and loads that last until the test lets them go. */
struct stall {
    struct tally entered, let_go;
};

static ostler_status load_or_stall(void *user_data, uint32_t worker, void **state)
{
    struct stall *stall = user_data;
    (void)worker, (void)state;
    tally_add(&stall->entered, 1);
    tally_await(&stall->let_go, 1);
    return OSTLER_OK;
}

static ostler_status run_and_stall(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    (void)state, (void)items, (void)count;
    return load_or_stall(user_data, 0, NULL);
}

/* Everything that can be waited for, in a state in which no wait ends by itself. */
struct stable {
    ostler_cancel *cancel;
    ostler_pool *pool;
    ostler_lease lease;
    ostler_arena *arena;
    ostler_cursor *cursor;
    ostler_orchestrator *orchestrator;
    ostler_model *running, *loading;
    ostler_ticket ticket;
    struct stall run, load;
};

static void make_stable(struct stable *stable)
{
    *stable = (struct stable){.run = {TALLY_INIT, TALLY_INIT}, .load = {TALLY_INIT, TALLY_INIT}};
    ostler_model_callbacks callbacks = plain_model_callbacks();

    CHECK_STATUS(ostler_cancel_create(&stable->cancel), OSTLER_OK);
    stable->pool = make_pool(1, plain_pool_callbacks(), stable);
    stable->lease = acquire_now(stable->pool);
    CHECK_STATUS(ostler_arena_create(NULL, &stable->arena), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_open(stable->arena, &stable->cursor), OSTLER_OK);

    stable->orchestrator = make_orchestrator();
    callbacks.run = run_and_stall;
    stable->running = make_model(stable->orchestrator, plain_model_config(), callbacks, &stable->run);
    callbacks.load = load_or_stall;
    stable->loading = make_model(stable->orchestrator, plain_model_config(), callbacks, &stable->load);
    stable->ticket = submit(stable->running, plain_request());
    tally_await(&stable->run.entered, 1);
    tally_await(&stable->load.entered, 1);
}

static void end_stable(struct stable *stable)
{
    tally_add(&stable->run.let_go, 1);
    tally_add(&stable->load.let_go, 1);
    CHECK_STATUS(ostler_orchestrator_forget(stable->orchestrator, stable->ticket), OSTLER_OK);
    CHECK_STATUS(ostler_orchestrator_destroy(stable->orchestrator), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(stable->pool, stable->lease), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(stable->pool), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_close(stable->cursor), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(stable->arena), OSTLER_OK);
}

static ostler_status wait_acquire(struct stable *stable, uint64_t timeout_ns, ostler_cancel *cancel)
{
    ostler_lease lease = {99};
    void *resource = &lease;
    ostler_status status = ostler_pool_acquire(stable->pool, timeout_ns, cancel, &lease, &resource);
    EXPECT(status == OSTLER_OK || (lease.value == 0 && resource == NULL));
    return status;
}

static ostler_status wait_pool_close(struct stable *stable, uint64_t timeout_ns, ostler_cancel *cancel)
{
    uint64_t still_out = 99;
    ostler_status status = ostler_pool_close(stable->pool, timeout_ns, cancel, &still_out);
    EXPECT_EQ(still_out, 1);
    return status;
}

static ostler_status wait_arena_close(struct stable *stable, uint64_t timeout_ns, ostler_cancel *cancel)
{
    uint64_t still_out = 99;
    ostler_status status = ostler_arena_close(stable->arena, timeout_ns, cancel, &still_out);
    EXPECT_EQ(still_out, 1);
    return status;
}

static ostler_status wait_ticket(struct stable *stable, uint64_t timeout_ns, ostler_cancel *cancel)
{
    ostler_result result = {.struct_size = sizeof result};
    return ostler_orchestrator_wait(stable->orchestrator, stable->ticket, timeout_ns, cancel, &result);
}

static ostler_status wait_ready(struct stable *stable, uint64_t timeout_ns, ostler_cancel *cancel)
{
    return ostler_model_wait_ready(stable->loading, timeout_ns, cancel);
}

static ostler_status wait_drain(struct stable *stable, uint64_t timeout_ns, ostler_cancel *cancel)
{
    uint64_t still_out = 99;
    ostler_status status = ostler_orchestrator_drain(stable->orchestrator, timeout_ns, cancel, &still_out);
    EXPECT_EQ(still_out, 1);
    return status;
}

/* Those that close something come last. */
static ostler_status (*const waits[])(struct stable *, uint64_t, ostler_cancel *) = {
    wait_acquire, wait_ticket, wait_ready, wait_drain, wait_pool_close, wait_arena_close,
};
#define WAITS (sizeof waits / sizeof *waits)

TEST(no_time_means_timeout_everywhere)
{
    struct stable stable;
    make_stable(&stable);
    for (size_t i = 0; i < WAITS; i++) {
        CHECK_STATUS(waits[i](&stable, 0, NULL), OSTLER_E_TIMEOUT);
        CHECK_STATUS(waits[i](&stable, 1, stable.cancel), OSTLER_E_TIMEOUT);
    }
    end_stable(&stable);
    CHECK_STATUS(ostler_cancel_destroy(stable.cancel), OSTLER_OK);
}

TEST(signalled_before_the_wait_ends_it_at_once)
{
    struct stable stable;
    make_stable(&stable);
    CHECK_STATUS(ostler_cancel_signal(stable.cancel), OSTLER_OK);
    CHECK_STATUS(ostler_cancel_signal(stable.cancel), OSTLER_OK);
    for (size_t i = 0; i < WAITS; i++)
        CHECK_STATUS(waits[i](&stable, OSTLER_FOREVER, stable.cancel), OSTLER_E_CANCELLED);
    end_stable(&stable);
    CHECK_STATUS(ostler_cancel_destroy(stable.cancel), OSTLER_OK);
}

struct waiter {
    struct stable *stable;
    size_t wait;
    struct tally *begun;
    pthread_t thread;
};

static void *wait_forever(void *argument)
{
    struct waiter *waiter = argument;
    tally_add(waiter->begun, 1);
    EXPECT_STATUS(waits[waiter->wait](waiter->stable, OSTLER_FOREVER, waiter->stable->cancel), OSTLER_E_CANCELLED);
    return NULL;
}

/* The close of the pool would end the acquire with OSTLER_E_CLOSED, so that each has a stable of its own. */
TEST(one_signal_ends_every_wait)
{
    struct stable stables[WAITS];
    struct waiter waiters[WAITS];
    struct tally begun = TALLY_INIT;
    ostler_cancel *cancel = NULL;
    for (size_t i = 0; i < WAITS; i++) {
        make_stable(&stables[i]);
        if (cancel) {
            CHECK_STATUS(ostler_cancel_destroy(stables[i].cancel), OSTLER_OK);
            stables[i].cancel = cancel;
        }
        cancel = stables[i].cancel;
        waiters[i] = (struct waiter){.stable = &stables[i], .wait = i, .begun = &begun};
        pthread_create(&waiters[i].thread, NULL, wait_forever, &waiters[i]);
    }
    tally_await(&begun, WAITS);
    CHECK_STATUS(ostler_cancel_signal(cancel), OSTLER_OK);
    for (size_t i = 0; i < WAITS; i++) {
        pthread_join(waiters[i].thread, NULL);
        end_stable(&stables[i]);
    }
    CHECK_STATUS(ostler_cancel_destroy(cancel), OSTLER_OK);
}

static void *wait_for_an_hour(void *argument)
{
    struct waiter *waiter = argument;
    EXPECT_STATUS(waits[waiter->wait](waiter->stable, HOUR, NULL), OSTLER_E_TIMEOUT);
    tally_add(waiter->begun, 1);
    return NULL;
}

TEST(clock_that_is_moved_ends_every_wait)
{
    struct stable stables[WAITS];
    struct waiter waiters[WAITS];
    struct tally ended = TALLY_INIT;
    freeze();
    for (size_t i = 0; i < WAITS; i++) {
        make_stable(&stables[i]);
        waiters[i] = (struct waiter){.stable = &stables[i], .wait = i, .begun = &ended};
        pthread_create(&waiters[i].thread, NULL, wait_for_an_hour, &waiters[i]);
    }
    /* Who has not yet begun to wait has an hour from then on. */
    AWAIT((advance(HOUR), tally_read(&ended) == WAITS));
    for (size_t i = 0; i < WAITS; i++) {
        pthread_join(waiters[i].thread, NULL);
        end_stable(&stables[i]);
        CHECK_STATUS(ostler_cancel_destroy(stables[i].cancel), OSTLER_OK);
    }
    thaw();
}

static void *acquire_and_release(void *argument)
{
    struct stable *stable = argument;
    ostler_lease lease;
    void *resource;
    EXPECT_STATUS(ostler_pool_acquire(stable->pool, OSTLER_FOREVER, stable->cancel, &lease, &resource), OSTLER_OK);
    EXPECT_STATUS(ostler_pool_release(stable->pool, lease), OSTLER_OK);
    return NULL;
}

TEST(destroyed_while_in_use_leaves_the_wait_alone)
{
    struct stable stable;
    pthread_t thread;
    make_stable(&stable);
    pthread_create(&thread, NULL, acquire_and_release, &stable);
    AWAIT(pool_stats(stable.pool).waiting == 1);
    CHECK_STATUS(ostler_cancel_destroy(stable.cancel), OSTLER_OK);
    CHECK_STATUS(ostler_cancel_signal(stable.cancel), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_pool_release(stable.pool, stable.lease), OSTLER_OK);
    pthread_join(thread, NULL);
    stable.lease = acquire_now(stable.pool);
    end_stable(&stable);
}

CHECK_MAIN()
