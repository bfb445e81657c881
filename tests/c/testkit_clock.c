/* The kit for tests of programs that use the library: a clock that is stopped and moved by hand. */
#define _GNU_SOURCE
#include "kit.h"
#include <sys/wait.h>
#include <unistd.h>

TEST(idle_timeout_of_ten_minutes_is_exact_to_the_tick)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    uint64_t tick = 10 * MINUTE / 4;
    config.idle_timeout_ns = 10 * MINUTE;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    use(pool);
    for (int i = 0; i < 4; i++)
        pass(tick);
    CHECK_EQ(pool_stats(pool).idle, 1);
    pass(tick - 1);
    CHECK_EQ(pool_stats(pool).idle, 1);
    pass(1);
    CHECK_EQ(pool_stats(pool).idle, 0);
    CHECK_EQ(pool_stats(pool).destroyed_idle, 1);
    end(pool, farm);
    thaw();
}

TEST(lifetime_of_a_day_is_exact_to_the_nanosecond)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.max_lifetime_ns = DAY;
    config.lifetime_jitter_ns = 1;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    use(pool);
    pass(DAY - 2);
    CHECK_EQ(pool_stats(pool).idle, 1);
    pass(2);
    CHECK_EQ(pool_stats(pool).destroyed_old, 1);
    end(pool, farm);
    thaw();
}

TEST(keepalive_asks_each_thirty_seconds)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.min_size = 2;
    config.keepalive_ns = 30 * SECOND;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    settle();
    CHECK_EQ(pool_stats(pool).idle, 2);
    /* Ten minutes, tick by tick: the chance that moves them apart is smaller than a tick. */
    for (int i = 1; i <= 80; i++) {
        pass(30 * SECOND / 4);
        CHECK_EQ(atomic_load(&farm->validated), i / 4 * 2);
    }
    end(pool, farm);
    thaw();
}

TEST(lease_that_lasts_too_long_is_told_of)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    config.lease_limit_ns = HOUR;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease lease = acquire_now(pool);
    pass(HOUR - 1);
    CHECK_EQ(pool_stats(pool).overdue, 0);
    pass(HOUR / 4);
    CHECK_EQ(pool_stats(pool).overdue, 1);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    end(pool, farm);
    thaw();
}

TEST(breaker_pauses_for_longer_each_time_up_to_thirty_seconds)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    uint64_t pause = 100 * MS;
    config.breaker_failures = 1;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    fail_each(pool, OSTLER_TESTKIT_CREATE);
    for (uint64_t attempt = 1; attempt <= 12; attempt++) {
        CHECK_STATUS(acquire_within(pool, 0), OSTLER_E_CREATE_FAILED);
        CHECK_EQ(injected(pool, OSTLER_TESTKIT_CREATE).calls, attempt);
        /* By chance it is up to a quarter shorter. */
        advance(pause / 4 * 3 - 1);
        CHECK_STATUS(acquire_within(pool, 0), OSTLER_E_CREATE_FAILED);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "create callback failed by injection");
        CHECK_EQ(injected(pool, OSTLER_TESTKIT_CREATE).calls, attempt);
        advance(pause / 4 + 1);
        pause = pause * 2 < 30 * SECOND ? pause * 2 : 30 * SECOND;
    }
    CHECK_STATUS(ostler_testkit_pool_clear(pool, OSTLER_TESTKIT_CREATE), OSTLER_OK);
    use(pool);
    CHECK_EQ(pool_stats(pool).failures_in_a_row, 0);
    end(pool, farm);
    thaw();
}

TEST(those_who_make_in_the_background_wait_for_the_breaker)
{
    for (uint32_t creators = 0; creators < 3; creators++) {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(2);
        config.min_size = 2;
        config.breaker_failures = 1;
        config.creator_threads = creators;
        atomic_store(&farm->refuse_create, 1);
        freeze();
        ostler_pool *pool = pool_of(farm, config);
        settle();
        uint64_t before = pool_stats(pool).create_failures;
        settle();
        CHECK(before > 0 && pool_stats(pool).create_failures == before);
        pass(MINUTE);
        CHECK(pool_stats(pool).create_failures > before);
        atomic_store(&farm->refuse_create, 0);
        pass(MINUTE);
        CHECK_EQ(pool_stats(pool).idle, 2);
        end(pool, farm);
        thaw();
    }
}

TEST(wait_of_an_hour_ends_with_the_hour)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease lease = acquire_now(pool);
    freeze();
    struct rider *rider = set_out(pool, HOUR), *other = set_out(pool, HOUR + 1);
    advance(HOUR - 1);
    CHECK_EQ(pool_stats(pool).waiting, 2);
    advance(1);
    comes_home_late(rider);
    CHECK_EQ(pool_stats(pool).waiting, 1);
    CHECK_STATUS(acquire_within(pool, 0), OSTLER_E_TIMEOUT);
    advance(1);
    comes_home_late(other);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    end(pool, farm);
    thaw();
}

/* The only test that lets real time go by: enough for the wait to have ended, had the clock not stood. */
TEST(wait_that_began_before_the_freeze_does_not_end_in_it)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease lease = acquire_now(pool);
    struct rider *rider = set_out(pool, 2 * SECOND);
    freeze();
    usleep(2500000);
    CHECK_EQ(pool_stats(pool).waiting, 1);
    advance(2 * SECOND);
    comes_home_late(rider);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    end(pool, farm);
    thaw();
}

TEST(after_a_thaw_each_wait_has_left_what_it_had)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease lease = acquire_now(pool);
    freeze();
    struct rider *soon = set_out(pool, HOUR), *late = set_out(pool, 2 * HOUR);
    advance(HOUR - MS);
    CHECK_EQ(pool_stats(pool).waiting, 2);
    thaw();
    comes_home_late(soon);
    CHECK_EQ(pool_stats(pool).waiting, 1);
    /* A clock that runs can be moved as well. */
    advance(HOUR);
    comes_home_late(late);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    end(pool, farm);
}

TEST(each_freeze_is_ended_by_one_thaw)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease lease = acquire_now(pool);
    freeze();
    freeze();
    thaw();
    struct rider *rider = set_out(pool, 1);
    CHECK_EQ(pool_stats(pool).waiting, 1);
    thaw();
    comes_home_late(rider);
    thaw();
    CHECK_STATUS(acquire_within(pool, 1), OSTLER_E_TIMEOUT);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    end(pool, farm);
}

static void *advance_often(void *unused)
{
    for (int i = 0; i < 1000; i++)
        EXPECT_STATUS(ostler_testkit_clock_advance(MS), OSTLER_OK);
    return unused;
}

TEST(advances_of_several_threads_add_up)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease lease = acquire_now(pool);
    pthread_t threads[4];
    freeze();
    struct rider *rider = set_out(pool, 4 * SECOND), *other = set_out(pool, 4 * SECOND + 1);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, advance_often, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    comes_home_late(rider);
    CHECK_EQ(pool_stats(pool).waiting, 1);
    advance(1);
    comes_home_late(other);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    end(pool, farm);
    thaw();
}

TEST(clock_goes_no_further_than_it_can)
{
    freeze();
    CHECK_STATUS(ostler_testkit_clock_advance(UINT64_MAX), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "by_ns is 18446744073709551615");
    thaw();
    CHECK_STATUS(ostler_testkit_clock_advance((uint64_t)1 << 62), OSTLER_E_INVALID_ARGUMENT);
}

TEST(nothing_that_ends_an_object_waits_for_a_clock_that_stands)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.min_size = 1;
    config.creator_threads = 1;
    config.idle_timeout_ns = HOUR;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    hold_up(pool, OSTLER_TESTKIT_DESTROY, OSTLER_FOREVER);
    settle();
    CHECK_EQ(pool_stats(pool).idle, 1);
    end(pool, farm);

    /* The shutdown's own timeout is up in the end, because the clock runs again. */
    farm = make_farm();
    pool = pool_of(farm, config_with(1));
    ostler_lease lease = acquire_now(pool);
    uint64_t still_out = 0;
    CHECK_STATUS(ostler_shutdown(MS, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 1);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    CHECK_STATUS(ostler_shutdown(OSTLER_FOREVER, NULL), OSTLER_OK);
    CHECK_EQ(atomic_load(&farm->destroyed), 1);
    free(farm);
}

static ostler_status statuses_inside[2];

static ostler_status lend_and_ask(void *user_data, void **resource)
{
    *resource = user_data;
    statuses_inside[0] = ostler_testkit_clock_advance(HOUR);
    statuses_inside[1] = ostler_testkit_clock_settle(OSTLER_FOREVER, NULL);
    return OSTLER_OK;
}

TEST(callback_can_move_the_clock_but_not_wait_for_itself)
{
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    callbacks.create = lend_and_ask;
    freeze();
    ostler_pool *pool = make_pool(1, callbacks, &callbacks);
    use(pool);
    CHECK_STATUS(statuses_inside[0], OSTLER_OK);
    CHECK_STATUS(statuses_inside[1], OSTLER_E_WOULD_DEADLOCK);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    thaw();
}

TEST(settle_waits_for_a_callback_at_work)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    ostler_cancel *cancel;
    config.min_size = 1;
    atomic_store(&farm->gated, 1);
    ostler_pool *pool = pool_of(farm, config);
    tally_await(&farm->create_calls, 1);
    CHECK_STATUS(ostler_testkit_clock_settle(0, NULL), OSTLER_E_TIMEOUT);
    CHECK_STATUS(ostler_testkit_clock_settle(MS, NULL), OSTLER_E_TIMEOUT);
    CHECK_STATUS(ostler_cancel_create(&cancel), OSTLER_OK);
    CHECK_STATUS(ostler_cancel_signal(cancel), OSTLER_OK);
    CHECK_STATUS(ostler_testkit_clock_settle(OSTLER_FOREVER, cancel), OSTLER_E_CANCELLED);
    tally_add(&farm->gate, 1);
    settle();
    CHECK_EQ(pool_stats(pool).idle, 1);
    CHECK_STATUS(ostler_cancel_destroy(cancel), OSTLER_OK);
    end(pool, farm);
}

TEST(forked_child_is_told)
{
    ostler_pool *pool = make_pool(1, plain_pool_callbacks(), &pool);
    freeze();
    pid_t child = fork();
    if (child == 0) {
        bool told = ostler_testkit_clock_freeze() == OSTLER_E_FORKED &&
                    ostler_testkit_clock_advance(1) == OSTLER_E_FORKED &&
                    ostler_testkit_clock_settle(0, NULL) == OSTLER_E_FORKED &&
                    ostler_testkit_clock_thaw() == OSTLER_E_FORKED &&
                    ostler_testkit_pool_clear(pool, OSTLER_TESTKIT_CREATE) == OSTLER_E_FORKED;
        _exit(told ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    thaw();
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

/* Riders, while somebody moves the clock in every way. */
struct race {
    ostler_pool *pool;
    pthread_t thread;
    unsigned seed;
};

static void *race(void *argument)
{
    struct race *race = argument;
    for (int i = 0; i < 500; i++) {
        ostler_lease lease;
        void *resource;
        uint64_t timeout_ns = rand_r(&race->seed) % 3 * SECOND;
        if (ostler_pool_acquire(race->pool, timeout_ns, NULL, &lease, &resource) == OSTLER_OK)
            EXPECT_STATUS(ostler_pool_release(race->pool, lease), OSTLER_OK);
    }
    return NULL;
}

/* How long the first lease has lasted. */
static uint64_t held_for(ostler_pool *pool, ostler_lease lease)
{
    ostler_lease_info infos[8];
    uint64_t count = 0;
    EXPECT_STATUS(ostler_pool_list_leases(pool, infos, 8, &count), OSTLER_OK);
    for (uint64_t i = 0; i < count && i < 8; i++)
        if (infos[i].lease.value == lease.value)
            return infos[i].held_ns;
    FAIL("the lease is not listed");
    return 0;
}

TEST(time_never_goes_backwards_and_nobody_is_forgotten)
{
    for (uint32_t creators = 0; creators < 3; creators += 2) {
        struct farm *farm = make_farm();
        struct race races[4];
        ostler_pool_config config = config_with(4);
        ostler_testkit_fault fault = fault_of(OSTLER_TESTKIT_CREATE);
        unsigned seed = creators + 1, frozen = 0;
        uint64_t held_ns = 0;
        config.creator_threads = creators;
        config.min_idle = 1;
        config.max_lifetime_ns = MINUTE;
        config.idle_timeout_ns = 10 * SECOND;
        config.keepalive_ns = 10 * SECOND;
        ostler_pool *pool = pool_of(farm, config);
        ostler_lease lease = {0};
        void *resource;
        CHECK_STATUS(ostler_pool_acquire(pool, OSTLER_FOREVER, NULL, &lease, &resource), OSTLER_OK);
        fault.per_million = 300000;
        fault.status = -1;
        fault.delay_ns = MS;
        CHECK_STATUS(ostler_testkit_pool_inject(pool, &fault), OSTLER_OK);
        for (unsigned i = 0; i < 4; i++) {
            races[i] = (struct race){.pool = pool, .seed = i + 1};
            pthread_create(&races[i].thread, NULL, race, &races[i]);
        }
        for (int i = 0; i < 2000; i++) {
            unsigned dice = rand_r(&seed);
            switch (dice % 4) {
            case 0:
                freeze(), frozen++;
                break;
            case 1:
                if (frozen > 0)
                    thaw(), frozen--;
                break;
            default:
                advance(dice % 1000 * MS);
            }
            uint64_t now_held_ns = held_for(pool, lease);
            CHECK(now_held_ns >= held_ns);
            held_ns = now_held_ns;
        }
        for (; frozen > 0; frozen--)
            thaw();
        CHECK_STATUS(ostler_testkit_pool_clear(pool, OSTLER_TESTKIT_CREATE), OSTLER_OK);
        for (int i = 0; i < 4; i++)
            pthread_join(races[i].thread, NULL);
        CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
        check_accounts(pool);
        end(pool, farm);
    }
}

CHECK_MAIN()
