/* The kit for tests of programs that use the library: callbacks of pools that fail, or take long. */
#define _GNU_SOURCE
#include "kit.h"

TEST(create_fails_when_it_was_told_to)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(8));
    ostler_testkit_fault fault = fault_of(OSTLER_TESTKIT_CREATE);
    fault.first = 2;
    fault.every = 3;
    fault.status = 42;
    CHECK_STATUS(ostler_testkit_pool_inject(pool, &fault), OSTLER_OK);
    ostler_lease leases[5];
    int leased = 0;
    for (int call = 1; call <= 8; call++) {
        if (call % 3 != 2) {
            leases[leased++] = acquire_now(pool);
            continue;
        }
        CHECK_STATUS(acquire_within(pool, 0), OSTLER_E_CREATE_FAILED);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "create callback failed by injection (status 42)");
    }
    CHECK_EQ(leased, 5);
    CHECK_EQ(injected(pool, OSTLER_TESTKIT_CREATE).calls, 8);
    CHECK_EQ(injected(pool, OSTLER_TESTKIT_CREATE).failures, 3);
    CHECK_EQ(injected(pool, OSTLER_TESTKIT_CREATE).delays, 0);
    CHECK_EQ(atomic_load(&farm->created), 5);
    CHECK_EQ(pool_stats(pool).create_failures, 3);
    /* Cleared, it stays to be read; set anew, it counts anew. */
    CHECK_STATUS(ostler_testkit_pool_clear(pool, OSTLER_TESTKIT_CREATE), OSTLER_OK);
    CHECK_EQ(injected(pool, OSTLER_TESTKIT_CREATE).failures, 3);
    CHECK_STATUS(ostler_testkit_pool_inject(pool, &fault), OSTLER_OK);
    CHECK_EQ(injected(pool, OSTLER_TESTKIT_CREATE).calls, 0);
    for (int i = 0; i < leased; i++)
        CHECK_STATUS(ostler_pool_release(pool, leases[i]), OSTLER_OK);
    check_accounts(pool);
    end(pool, farm);
}

static uint64_t failures_by(uint64_t seed)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(64);
    config.breaker_failures = 1000;
    ostler_pool *pool = pool_of(farm, config);
    ostler_testkit_fault fault = fault_of(OSTLER_TESTKIT_CREATE);
    ostler_lease leases[64];
    uint64_t failures = 0;
    fault.per_million = 500000;
    fault.seed = seed;
    fault.status = -1;
    CHECK_STATUS(ostler_testkit_pool_inject(pool, &fault), OSTLER_OK);
    for (int i = 0; i < 64; i++) {
        void *resource;
        ostler_status status = ostler_pool_acquire(pool, 0, NULL, &leases[i], &resource);
        failures |= (uint64_t)(status != OSTLER_OK) << i;
    }
    CHECK_EQ(injected(pool, OSTLER_TESTKIT_CREATE).failures, __builtin_popcountll(failures));
    for (int i = 0; i < 64; i++)
        if (leases[i].value != 0)
            CHECK_STATUS(ostler_pool_release(pool, leases[i]), OSTLER_OK);
    end(pool, farm);
    return failures;
}

TEST(same_seed_gives_the_same_failures)
{
    uint64_t failures = failures_by(1);
    CHECK(failures != 0 && failures != UINT64_MAX);
    CHECK_EQ(failures_by(1), failures);
    CHECK(failures_by(2) != failures);
}

TEST(what_fails_its_validate_or_reset_is_replaced)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    use(pool);
    ostler_testkit_fault fault = fault_of(OSTLER_TESTKIT_VALIDATE);
    fault.first = 2;
    fault.status = -1;
    CHECK_STATUS(ostler_testkit_pool_inject(pool, &fault), OSTLER_OK);
    for (int i = 0; i < 3; i++)
        use(pool);
    CHECK_EQ(pool_stats(pool).destroyed_invalid, 1);
    fault.callback = OSTLER_TESTKIT_RESET;
    CHECK_STATUS(ostler_testkit_pool_inject(pool, &fault), OSTLER_OK);
    for (int i = 0; i < 3; i++)
        use(pool);
    CHECK_EQ(pool_stats(pool).destroyed_reset, 1);
    CHECK_EQ(injected(pool, OSTLER_TESTKIT_RESET).failures, 1);
    check_accounts(pool);
    end(pool, farm);
}

static ostler_status retag_well(void *user_data, void *resource, uint64_t from_tag, uint64_t to_tag)
{
    (void)user_data, (void)resource, (void)from_tag, (void)to_tag;
    return OSTLER_OK;
}

static void use_tagged(ostler_pool *pool, uint64_t tag)
{
    ostler_acquire how;
    ostler_lease lease;
    void *resource;
    CHECK_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
    how.tag = tag;
    CHECK_STATUS(ostler_pool_acquire_with(pool, &how, &lease, &resource), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
}

TEST(what_fails_its_retag_goes)
{
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    callbacks.retag = retag_well;
    ostler_pool *pool = make_pool(1, callbacks, &callbacks);
    ostler_testkit_fault fault = fault_of(OSTLER_TESTKIT_RETAG);
    fault.first = 2;
    fault.status = -1;
    CHECK_STATUS(ostler_testkit_pool_inject(pool, &fault), OSTLER_OK);
    use_tagged(pool, 1);
    ostler_acquire how = {.struct_size = sizeof how, .tag = 2};
    ostler_lease lease;
    void *resource;
    CHECK_STATUS(ostler_pool_acquire_with(pool, &how, &lease, &resource), OSTLER_E_CREATE_FAILED);
    CHECK_EQ(pool_stats(pool).destroyed_reset, 1);
    use_tagged(pool, 2);
    CHECK_EQ(pool_stats(pool).created, 2);
    CHECK_EQ(injected(pool, OSTLER_TESTKIT_RETAG).calls, 3);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

static atomic_int uses;

static void *use_on_its_own(void *pool)
{
    use(pool);
    atomic_fetch_add(&uses, 1);
    return NULL;
}

TEST(delay_takes_time_of_the_clock)
{
    /* A create and a reset; then a validate and, after the last use, a destroy. */
    const uint32_t callbacks[2][2] = {{OSTLER_TESTKIT_CREATE, OSTLER_TESTKIT_RESET},
                                      {OSTLER_TESTKIT_VALIDATE, OSTLER_TESTKIT_DESTROY}};
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    config.max_uses = 2;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        for (int part = 0; part < 2; part++)
            hold_up(pool, callbacks[i][part], MINUTE);
        pthread_create(&thread, NULL, use_on_its_own, pool);
        for (int part = 0; part < 2; part++) {
            AWAIT(injected(pool, callbacks[i][part]).delays == 1);
            advance(MINUTE - 1);
            CHECK_EQ(atomic_load(&uses), i);
            advance(1);
        }
        pthread_join(thread, NULL);
        CHECK_EQ(atomic_load(&uses), i + 1);
    }
    CHECK_EQ(atomic_load(&farm->destroyed), 1);
    end(pool, farm);
    thaw();
}

TEST(delay_ends_when_its_fault_is_cleared)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    pthread_t thread;
    hold_up(pool, OSTLER_TESTKIT_CREATE, OSTLER_FOREVER);
    pthread_create(&thread, NULL, use_on_its_own, pool);
    AWAIT(injected(pool, OSTLER_TESTKIT_CREATE).delays == 1);
    CHECK_STATUS(ostler_testkit_pool_clear(pool, OSTLER_TESTKIT_CREATE), OSTLER_OK);
    pthread_join(thread, NULL);
    CHECK_EQ(atomic_load(&farm->created), 1);
    end(pool, farm);
}

TEST(destroy_ends_the_delays_of_its_pool)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    config.creator_threads = 1;
    ostler_pool *pool = pool_of(farm, config);
    hold_up(pool, OSTLER_TESTKIT_CREATE, OSTLER_FOREVER);
    CHECK_STATUS(acquire_within(pool, 0), OSTLER_E_TIMEOUT);
    struct rider *rider = set_out(pool, OSTLER_FOREVER);
    AWAIT(injected(pool, OSTLER_TESTKIT_CREATE).delays == 1);
    /* A thread that is held up sleeps. */
    settle();
    end(pool, farm);
    pthread_join(rider->thread, NULL);
    CHECK_STATUS(rider->status, OSTLER_E_CLOSED);
    free(rider);
}

TEST(fault_that_makes_no_sense_is_refused)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_testkit_injected out = {.struct_size = sizeof out};
    const struct {
        ostler_testkit_fault fault;
        const char *words;
    } faults[] = {
        {{.callback = 1, .status = -1}, "first is 0, but one of first, every and per_million"},
        {{.callback = 1, .first = 1}, "status is 0, but status or delay_ns"},
        {{.callback = 1, .per_million = 1000001, .status = -1}, "per_million is 1000001"},
        {{.callback = 4, .first = 1, .status = -1}, "a destroy cannot fail"},
        {{.callback = 6, .first = 1, .status = -1}, "callback is 6, but must be 1 (create) to 5 (retag)"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        ostler_testkit_fault fault = faults[i].fault;
        fault.struct_size = sizeof fault;
        CHECK_STATUS(ostler_testkit_pool_inject(pool, &fault), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), faults[i].words);
    }
    CHECK_STATUS(ostler_testkit_pool_clear(pool, 0), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_testkit_pool_get_injected(pool, 6, &out), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_testkit_pool_clear(pool, OSTLER_TESTKIT_CREATE), OSTLER_OK);
    use(pool);
    end(pool, farm);
}

CHECK_MAIN()
