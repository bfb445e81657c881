/* Pool: who makes resources, and what becomes of those who wait when none can be made. */
#define _GNU_SOURCE
#include "frozen.h"
#include "riders.h"

TEST(so_many_are_ready_whatever_is_leased)
{
    for (uint32_t creators = 0; creators < 3; creators += 2) {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(6);
        config.min_idle = 2;
        config.creator_threads = creators;
        ostler_pool *pool = pool_of(farm, config);
        ostler_lease leases[4];
        for (int i = 0; i < 4; i++) {
            AWAIT(pool_stats(pool).idle == 2);
            leases[i] = acquire_now(pool);
        }
        AWAIT(pool_stats(pool).idle == 2);
        CHECK_EQ(pool_stats(pool).created, 6);
        for (int i = 0; i < 4; i++)
            release(pool, leases[i]);
        check_accounts(pool);
        end(pool, farm);
    }
}

TEST(creators_make_what_callers_wait_for)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.creator_threads = 1;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease lease;
    CHECK_STATUS(try_now(pool, &lease), OSTLER_E_EXHAUSTED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "a caller that waits");
    CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, &lease), OSTLER_OK);
    CHECK(!pthread_equal(farm->foaled_by, pthread_self()));
    release(pool, lease);
    end(pool, farm);
}

TEST(caller_never_waits_behind_a_constructor)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(8);
    config.creator_threads = 1;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease lease, more;
    struct rider riders[3];
    CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, &lease), OSTLER_OK);
    atomic_store(&farm->gated, 1);
    /* Its own time is up, although the constructor still works for it. */
    do
        CHECK_STATUS(acquire_within(pool, MS, &more), OSTLER_E_TIMEOUT);
    while (tally_read(&farm->create_calls) < 2);
    set_out(riders, 3, pool);
    /* What comes back goes to those who wait, and what is then not needed is not made. */
    release(pool, lease);
    come_home(riders, 3, OSTLER_OK);
    tally_add(&farm->gate, 1000);
    AWAIT(pool_stats(pool).idle == 2);
    CHECK_EQ(tally_read(&farm->create_calls), 2);
    check_accounts(pool);
    end(pool, farm);
}

static void *ride_in_order(void *argument)
{
    struct rider *rider = argument;
    ostler_lease lease;
    rider->status = acquire_within(rider->pool, OSTLER_FOREVER, &lease);
    struct horse *horse = horse_of(rider->pool, lease);
    /* Which one of those that were made since: the pool has one at a time. */
    snprintf(rider->words, sizeof rider->words, "horse %d", horse->number);
    EXPECT_STATUS(ostler_pool_discard(rider->pool, lease), OSTLER_OK);
    return NULL;
}

TEST(turn_is_kept_by_who_was_handed_something_unfit)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    config.creator_threads = 1;
    ostler_pool *pool = pool_of(farm, config);
    struct rider riders[2];
    ostler_lease held;
    CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, &held), OSTLER_OK);
    for (int i = 0; i < 2; i++) {
        riders[i] = (struct rider){.pool = pool};
        pthread_create(&riders[i].thread, NULL, ride_in_order, &riders[i]);
        AWAIT(pool_stats(pool).waiting == (uint64_t)i + 1);
    }
    atomic_store(&farm->gated, 1);
    atomic_store(&farm->refuse_validate, 1);
    release(pool, held);
    AWAIT(pool_stats(pool).destroyed_invalid == 1 && pool_stats(pool).waiting == 2);
    atomic_store(&farm->refuse_validate, 0);
    tally_add(&farm->gate, 1000);
    come_home(riders, 2, OSTLER_OK);
    CHECK_STR_EQ(riders[0].words, "horse 1");
    CHECK_STR_EQ(riders[1].words, "horse 2");
    check_accounts(pool);
    end(pool, farm);
}

TEST(those_who_wait_learn_why_nothing_comes)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.creator_threads = 2;
    config.breaker_failures = 3;
    ostler_pool *pool = pool_of(farm, config);
    struct rider riders[4];
    atomic_store(&farm->gated, 1);
    atomic_store(&farm->refuse_create, 1);
    set_out(riders, 4, pool);
    tally_add(&farm->gate, 1000);
    come_home(riders, 4, OSTLER_E_CREATE_FAILED);
    for (int i = 0; i < 4; i++)
        CHECK_STR_CONTAINS(riders[i].words, "the stable is empty");
    CHECK_EQ(pool_stats(pool).waiting, 0);
    end(pool, farm);
}

TEST(breaker_spares_a_dead_server_and_heals)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.breaker_failures = 2;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease lease;
    atomic_store(&farm->refuse_create, 1);
    for (int i = 0; i < 50; i++)
        CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, &lease), OSTLER_E_CREATE_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "in a row failed");
    CHECK_STR_CONTAINS(ostler_last_error_message(), "the stable is empty");
    CHECK_EQ(tally_read(&farm->create_calls), 2);
    CHECK_EQ(pool_stats(pool).failures_in_a_row, 2);
    atomic_store(&farm->refuse_create, 0);
    advance(100 * MS);
    CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, &lease), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).failures_in_a_row, 0);
    release(pool, lease);
    end(pool, farm);
    thaw();
}

TEST(while_the_breaker_is_open_what_comes_back_is_leased)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(4);
    config.breaker_failures = 1;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease held = acquire_now(pool), lease;
    struct rider riders[2];
    atomic_store(&farm->refuse_create, 1);
    CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, &lease), OSTLER_E_CREATE_FAILED);
    /* From the second on they wait for it; one of them may be the next to try. */
    for (int i = 0; i < 2; i++) {
        riders[i] = (struct rider){.pool = pool};
        pthread_create(&riders[i].thread, NULL, ride, &riders[i]);
    }
    release(pool, held);
    int served = 0;
    for (int i = 0; i < 2; i++) {
        pthread_join(riders[i].thread, NULL);
        served += riders[i].status == OSTLER_OK;
        CHECK(riders[i].status == OSTLER_OK || riders[i].status == OSTLER_E_CREATE_FAILED);
    }
    CHECK(served >= 1);
    end(pool, farm);
}

TEST(caller_that_waits_makes_it_when_the_breaker_allows)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.breaker_failures = 1;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease held = acquire_now(pool), lease;
    atomic_store(&farm->refuse_create, 1);
    CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, &lease), OSTLER_E_CREATE_FAILED);
    atomic_store(&farm->refuse_create, 0);
    CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, &lease), OSTLER_OK);
    release(pool, lease);
    release(pool, held);
    end(pool, farm);
}

TEST(caller_that_waited_before_the_breaker_opened_has_its_turn)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.breaker_failures = 1;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease held = acquire_now(pool);
    struct rider unlucky = {.pool = pool}, patient;
    atomic_store(&farm->gated, 1);
    pthread_create(&unlucky.thread, NULL, ride, &unlucky);
    tally_await(&farm->create_calls, 2);
    set_out(&patient, 1, pool);
    atomic_store(&farm->refuse_create, 1);
    tally_add(&farm->gate, 2);
    come_home(&unlucky, 1, OSTLER_E_CREATE_FAILED);
    atomic_store(&farm->refuse_create, 0);
    tally_add(&farm->gate, 1000);
    come_home(&patient, 1, OSTLER_OK);
    release(pool, held);
    end(pool, farm);
}

TEST(pool_that_is_asked_for_several_heals_as_well)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(4);
    config.breaker_failures = 2;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease leases[3];
    void *resources[3];
    atomic_store(&farm->refuse_create, 1);
    for (int i = 0; i < 9; i++)
        CHECK_STATUS(ostler_pool_acquire_n(pool, 3, OSTLER_FOREVER, NULL, leases, resources), OSTLER_E_CREATE_FAILED);
    atomic_store(&farm->refuse_create, 0);
    AWAIT(ostler_pool_acquire_n(pool, 3, OSTLER_FOREVER, NULL, leases, resources) == OSTLER_OK);
    CHECK_STATUS(ostler_pool_release_n(pool, leases, 3, NULL), OSTLER_OK);
    check_accounts(pool);
    end(pool, farm);
}

TEST(warmth_can_be_waited_for)
{
    for (uint32_t creators = 0; creators < 4; creators += 3) {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(8);
        uint32_t ready = 99, wanted = 99;
        config.min_size = 4;
        config.creator_threads = creators;
        atomic_store(&farm->gated, 1);
        ostler_pool *pool = pool_of(farm, config);
        CHECK_STATUS(ostler_pool_wait_warm(pool, MS, NULL, &ready, &wanted), OSTLER_E_TIMEOUT);
        CHECK(ready == 0 && wanted == 4);
        tally_add(&farm->gate, 1000);
        CHECK_STATUS(ostler_pool_wait_warm(pool, OSTLER_FOREVER, NULL, &ready, &wanted), OSTLER_OK);
        CHECK(ready == 4 && wanted == 4);
        CHECK_STATUS(ostler_pool_wait_warm(pool, 0, NULL, NULL, NULL), OSTLER_OK);
        end(pool, farm);
    }
}

TEST(wait_for_warmth_tells_why_it_does_not_come)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    uint32_t ready, wanted;
    config.min_size = 2;
    atomic_store(&farm->refuse_create, 1);
    ostler_pool *pool = pool_of(farm, config);
    CHECK_STATUS(ostler_pool_wait_warm(pool, OSTLER_FOREVER, NULL, &ready, &wanted), OSTLER_E_CREATE_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "0 of 2");
    CHECK_STR_CONTAINS(ostler_last_error_message(), "the stable is empty");
    /* Each later call waits for an attempt of its own, and without the time for that it has the words of the last. */
    for (int i = 0; i < 3; i++) {
        uint64_t before = pool_stats(pool).failures_in_a_row;
        CHECK_STATUS(ostler_pool_wait_warm(pool, OSTLER_FOREVER, NULL, NULL, NULL), OSTLER_E_CREATE_FAILED);
        CHECK(pool_stats(pool).failures_in_a_row > before);
    }
    CHECK_STATUS(ostler_pool_wait_warm(pool, 0, NULL, NULL, NULL), OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "0 of 2");
    CHECK_STR_CONTAINS(ostler_last_error_message(), "the last create failed: the stable is empty");
    atomic_store(&farm->refuse_create, 0);
    AWAIT(ostler_pool_wait_warm(pool, OSTLER_FOREVER, NULL, &ready, &wanted) == OSTLER_OK);
    CHECK(ready == 2 && wanted == 2);
    end(pool, farm);
}

CHECK_MAIN()
