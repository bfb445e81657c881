/* Pool: how long resources live, who makes them and who has them, and what is done to all of them at once. */
#define _GNU_SOURCE
#include "farm.h"
#include "frozen.h"
#include <unistd.h>

static void release(ostler_pool *pool, ostler_lease lease)
{
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
}

static ostler_status try_now(ostler_pool *pool, ostler_lease *lease)
{
    void *resource;
    return ostler_pool_try_acquire(pool, lease, &resource);
}

static ostler_status acquire_within(ostler_pool *pool, uint64_t timeout_ns, ostler_lease *lease)
{
    void *resource;
    return ostler_pool_acquire(pool, timeout_ns, NULL, lease, &resource);
}

/* A caller on a thread of its own, that gives back what it got. */
struct rider {
    ostler_pool *pool;
    pthread_t thread;
    ostler_status status;
    char words[512];
};

static void *ride(void *argument)
{
    struct rider *rider = argument;
    ostler_lease lease;
    rider->status = acquire_within(rider->pool, OSTLER_FOREVER, &lease);
    snprintf(rider->words, sizeof rider->words, "%s", ostler_last_error_message());
    if (rider->status == OSTLER_OK)
        EXPECT_STATUS(ostler_pool_release(rider->pool, lease), OSTLER_OK);
    return NULL;
}

static void set_out(struct rider *riders, int count, ostler_pool *pool)
{
    for (int i = 0; i < count; i++) {
        uint64_t before = pool_stats(pool).waiting;
        riders[i] = (struct rider){.pool = pool};
        pthread_create(&riders[i].thread, NULL, ride, &riders[i]);
        AWAIT(pool_stats(pool).waiting == before + 1);
    }
}

static void come_home(struct rider *riders, int count, ostler_status status)
{
    for (int i = 0; i < count; i++) {
        pthread_join(riders[i].thread, NULL);
        CHECK_STATUS(riders[i].status, status);
    }
}

TEST(resource_goes_after_its_last_use)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    config.max_uses = 3;
    ostler_pool *pool = pool_of(farm, config);
    for (int i = 0; i < 7; i++)
        release(pool, acquire_now(pool));
    CHECK_EQ(pool_stats(pool).destroyed_used, 2);
    CHECK_EQ(pool_stats(pool).created, 3);
    check_accounts(pool);
    end(pool, farm);
}

TEST(resource_that_is_too_old_goes_but_never_under_its_holder)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.max_lifetime_ns = DAY;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease held = acquire_now(pool);
    struct horse *horse = horse_of(pool, held);
    release(pool, acquire_now(pool));
    pass(DAY);
    CHECK_EQ(pool_stats(pool).destroyed_old, 1);
    CHECK_EQ(atomic_load(&horse->alive), 1);
    release(pool, held);
    settle();
    CHECK_EQ(pool_stats(pool).destroyed_old, 2);
    CHECK_EQ(atomic_load(&horse->alive), 0);
    check_accounts(pool);
    end(pool, farm);
    thaw();
}

TEST(pool_that_replaces_the_old_is_never_without)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(4);
    config.min_size = 1;
    config.max_lifetime_ns = DAY;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    settle();
    for (int days = 1; days <= 5; days++) {
        pass(DAY);
        CHECK_EQ(pool_stats(pool).destroyed_old, days);
        CHECK_EQ(pool_stats(pool).idle, 1);
        /* Each was made before the one that it replaces was gone. */
        CHECK(atomic_load(&farm->created) > atomic_load(&farm->last_foaled) + 1);
    }
    end(pool, farm);
    thaw();
}

TEST(idle_resources_are_asked_whether_they_live)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.min_size = 2;
    config.keepalive_ns = MINUTE;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    settle();
    for (int minutes = 0; minutes < 3; minutes++)
        pass(MINUTE);
    CHECK_EQ(atomic_load(&farm->validated), 6);
    CHECK_EQ(pool_stats(pool).created, 2);
    atomic_store(&farm->refuse_validate, 1);
    pass(MINUTE);
    CHECK_EQ(pool_stats(pool).destroyed_invalid, 2);
    CHECK_EQ(pool_stats(pool).idle, 2);
    end(pool, farm);
    thaw();
}

TEST(beyond_the_soft_bound_nothing_is_kept)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(4);
    config.soft_max_size = 2;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease leases[4];
    for (int i = 0; i < 4; i++)
        leases[i] = acquire_now(pool);
    for (int i = 0; i < 4; i++)
        release(pool, leases[i]);
    CHECK_EQ(pool_stats(pool).idle, 2);
    CHECK_EQ(pool_stats(pool).destroyed_surplus, 2);
    check_accounts(pool);
    end(pool, farm);
}

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

TEST(longest_idle_is_leased_first_when_asked)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(3);
    config.idle_order = OSTLER_IDLE_LONGEST_FIRST;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease leases[3];
    for (int i = 0; i < 3; i++)
        leases[i] = acquire_now(pool);
    for (int i = 0; i < 3; i++)
        release(pool, leases[i]);
    for (int i = 0; i < 9; i++) {
        ostler_lease lease = acquire_now(pool);
        CHECK_EQ(horse_of(pool, lease)->number, i % 3);
        release(pool, lease);
    }
    end(pool, farm);
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

TEST(last_use_of_many_is_not_lost)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(4);
    ostler_lease leases[4];
    void *resources[4];
    config.min_size = 4;
    config.max_uses = 1;
    ostler_pool *pool = pool_of(farm, config);
    CHECK_STATUS(ostler_pool_wait_warm(pool, OSTLER_FOREVER, NULL, NULL, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_pool_acquire_n(pool, 4, OSTLER_FOREVER, NULL, leases, resources), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).created, 4);
    CHECK_STATUS(ostler_pool_release_n(pool, leases, 4, NULL), OSTLER_OK);
    AWAIT(pool_stats(pool).destroyed_used == 4);
    end(pool, farm);
}

static void *ask_for_three(void *argument)
{
    struct rider *rider = argument;
    ostler_lease leases[3];
    void *resources[3];
    rider->status = ostler_pool_acquire_n(rider->pool, 3, OSTLER_FOREVER, NULL, leases, resources);
    return NULL;
}

TEST(who_waits_for_more_than_there_can_be_is_told)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(4);
    config.soft_max_size = 3;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease first = acquire_now(pool), second = acquire_now(pool);
    struct rider rider = {.pool = pool};
    pthread_create(&rider.thread, NULL, ask_for_three, &rider);
    AWAIT(pool_stats(pool).waiting == 1);
    CHECK_STATUS(ostler_pool_resize(pool, 0, 2), OSTLER_OK);
    come_home(&rider, 1, OSTLER_E_LIMIT);
    release(pool, first);
    release(pool, second);
    CHECK_STATUS(ostler_pool_resize(pool, 0, 4), OSTLER_OK);
    CHECK_STATUS(ostler_pool_resize(pool, 4, 4), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "soft_max_size");
    check_accounts(pool);
    end(pool, farm);
}

TEST(paused_pool_leases_nothing_and_takes_back)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    ostler_lease held = acquire_now(pool), lease;
    struct rider riders[2];
    CHECK_STATUS(ostler_pool_pause(pool), OSTLER_OK);
    CHECK_STATUS(try_now(pool, &lease), OSTLER_E_PAUSED);
    CHECK_STATUS(acquire_within(pool, 0, &lease), OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "paused");
    set_out(riders, 2, pool);
    release(pool, held);
    CHECK_EQ(pool_stats(pool).waiting, 2);
    CHECK_EQ(pool_stats(pool).idle, 1);
    CHECK_STATUS(ostler_pool_resume(pool), OSTLER_OK);
    come_home(riders, 2, OSTLER_OK);
    check_accounts(pool);
    end(pool, farm);
}

/* With a housekeeper that is there for their age, with one that only fills, and without one. */
TEST(after_a_refresh_everything_is_new)
{
    for (int kind = 0; kind < 3; kind++) {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(4);
        config.min_size = kind == 2 ? 0 : 1;
        config.max_lifetime_ns = kind == 0 ? 3600 * 1000 * MS : 0;
        ostler_pool *pool = pool_of(farm, config);
        ostler_lease held = acquire_now(pool), other = acquire_now(pool);
        struct horse *old[2] = {horse_of(pool, held), horse_of(pool, other)};
        release(pool, other);
        CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK);
        AWAIT(atomic_load(&old[1]->alive) == 0);
        CHECK_EQ(atomic_load(&old[0]->alive), 1);
        for (int i = 0; i < 4; i++) {
            ostler_lease lease = acquire_now(pool);
            CHECK(horse_of(pool, lease) != old[0] && horse_of(pool, lease) != old[1]);
            release(pool, lease);
        }
        release(pool, held);
        AWAIT(atomic_load(&old[0]->alive) == 0);
        AWAIT(pool_stats(pool).destroyed_refreshed >= 2);
        AWAIT(pool_stats(pool).created == pool_stats(pool).destroyed + pool_stats(pool).idle);
        check_accounts(pool);
        end(pool, farm);
    }
}

/* Until the pauses of its breaker are long. */
static void wear_out(ostler_pool *pool)
{
    ostler_lease none;
    while (pool_stats(pool).failures_in_a_row < 5) {
        ostler_status status = acquire_within(pool, MS, &none);
        CHECK(status == OSTLER_E_CREATE_FAILED || status == OSTLER_E_TIMEOUT);
    }
}

TEST(refresh_lets_an_open_breaker_try_at_once)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.breaker_failures = 2;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease lease;
    atomic_store(&farm->refuse_create, 1);
    wear_out(pool);
    CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK);
    /* One attempt, and it is a failure as good as any. */
    CHECK_STATUS(try_now(pool, &lease), OSTLER_E_CREATE_FAILED);
    CHECK_EQ(pool_stats(pool).failures_in_a_row, 6);
    atomic_store(&farm->refuse_create, 0);
    CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK);
    CHECK_STATUS(try_now(pool, &lease), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).failures_in_a_row, 0);
    release(pool, lease);
    end(pool, farm);
}

/* Those who wait for a pause to end: a caller, who makes it on his own thread, a creator, and the housekeeper. */
TEST(refresh_wakes_those_who_wait_for_the_breaker)
{
    for (int kind = 0; kind < 3; kind++) {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(2);
        config.breaker_failures = 1;
        config.creator_threads = kind == 1;
        config.min_size = kind == 2 ? 2 : 0;
        ostler_pool *pool = pool_of(farm, config);
        struct rider rider;
        ostler_lease held;
        CHECK_STATUS(ostler_pool_wait_warm(pool, OSTLER_FOREVER, NULL, NULL, NULL), OSTLER_OK);
        CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, &held), OSTLER_OK);
        atomic_store(&farm->refuse_create, 1);
        if (kind == 2) {
            ostler_lease other = acquire_now(pool);
            CHECK_STATUS(ostler_pool_discard(pool, other), OSTLER_OK);
        }
        wear_out(pool);
        atomic_store(&farm->refuse_create, 0);
        rider = (struct rider){.pool = pool};
        pthread_create(&rider.thread, NULL, ride, &rider);
        /* The pause may have been over by itself. */
        AWAIT(pool_stats(pool).waiting == 1 || pool_stats(pool).failures_in_a_row == 0);
        CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK);
        come_home(&rider, 1, OSTLER_OK);
        release(pool, held);
        check_accounts(pool);
        end(pool, farm);
    }
}

TEST(pool_grows_and_shrinks_in_use)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.capacity = 8;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease leases[8], more;
    struct rider rider;
    for (int i = 0; i < 2; i++)
        leases[i] = acquire_now(pool);
    CHECK_STATUS(try_now(pool, &more), OSTLER_E_EXHAUSTED);
    set_out(&rider, 1, pool);
    CHECK_STATUS(ostler_pool_resize(pool, 0, 8), OSTLER_OK);
    come_home(&rider, 1, OSTLER_OK);
    for (int i = 2; i < 8; i++)
        leases[i] = acquire_now(pool);
    CHECK_STATUS(try_now(pool, &more), OSTLER_E_EXHAUSTED);
    CHECK_STATUS(ostler_pool_resize(pool, 1, 3), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).max_size, 3);
    CHECK_EQ(pool_stats(pool).min_size, 1);
    for (int i = 0; i < 8; i++)
        release(pool, leases[i]);
    AWAIT(pool_stats(pool).idle == 3 && pool_stats(pool).in_use == 0);
    CHECK_EQ(pool_stats(pool).destroyed_surplus, 5);
    for (int i = 0; i < 3; i++)
        leases[i] = acquire_now(pool);
    CHECK_STATUS(try_now(pool, &more), OSTLER_E_EXHAUSTED);
    for (int i = 0; i < 3; i++)
        release(pool, leases[i]);
    CHECK_STATUS(ostler_pool_resize(pool, 0, 1), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).idle, 1);
    check_accounts(pool);
    CHECK_STATUS(ostler_pool_resize(pool, 0, 9), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "max_size is 9");
    CHECK_STATUS(ostler_pool_resize(pool, 5, 4), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "min_size is 5");
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

/* Callers that hold what others wait for, each on a thread of its own. */
struct holder {
    ostler_pool *pool;
    pthread_t thread;
    struct tally *has_it, *may_end;
    uint64_t then_waits_ns; /* for a second one */
    ostler_status status;
    char words[512];
};

static void *hold(void *argument)
{
    struct holder *holder = argument;
    ostler_lease lease, second;
    pthread_setname_np(pthread_self(), "stable-boy");
    EXPECT_STATUS(acquire_within(holder->pool, OSTLER_FOREVER, &lease), OSTLER_OK);
    tally_add(holder->has_it, 1);
    if (holder->then_waits_ns > 0) {
        holder->status = acquire_within(holder->pool, holder->then_waits_ns, &second);
        snprintf(holder->words, sizeof holder->words, "%s", ostler_last_error_message());
        if (holder->status == OSTLER_OK)
            EXPECT_STATUS(ostler_pool_release(holder->pool, second), OSTLER_OK);
    }
    tally_await(holder->may_end, 1);
    EXPECT_STATUS(ostler_pool_release(holder->pool, lease), OSTLER_OK);
    return NULL;
}

TEST(who_waits_in_vain_learns_who_has_it)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    struct tally has_it = TALLY_INIT, may_end = TALLY_INIT;
    struct holder boy = {.pool = pool, .has_it = &has_it, .may_end = &may_end};
    ostler_lease mine = acquire_now(pool), more;
    char me[64];
    snprintf(me, sizeof me, "thread %d", (int)gettid());
    pthread_create(&boy.thread, NULL, hold, &boy);
    tally_await(&has_it, 1);
    CHECK_STATUS(acquire_within(pool, 5 * MS, &more), OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "held by thread");
    CHECK_STR_CONTAINS(ostler_last_error_message(), "(stable-boy)");
    CHECK_STR_CONTAINS(ostler_last_error_message(), me);
    CHECK(strstr(ostler_last_error_message(), "deadlock") == NULL);
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, NULL), OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "(stable-boy)");
    release(pool, mine);
    tally_add(&may_end, 1);
    pthread_join(boy.thread, NULL);
    end(pool, farm);
}

TEST(deadlock_is_called_by_its_name)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    struct tally has_it = TALLY_INIT, may_end = TALLY_INIT;
    struct holder boy = {.pool = pool, .has_it = &has_it, .may_end = &may_end, .then_waits_ns = OSTLER_FOREVER};
    ostler_lease mine = acquire_now(pool), more;
    pthread_create(&boy.thread, NULL, hold, &boy);
    AWAIT(pool_stats(pool).waiting == 1);
    CHECK_STATUS(acquire_within(pool, 2 * MS, &more), OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "a deadlock: each of them waits for this pool");
    release(pool, mine);
    tally_add(&may_end, 1);
    pthread_join(boy.thread, NULL);
    CHECK_STATUS(boy.status, OSTLER_OK);
    end(pool, farm);
}

TEST(leases_that_are_out_can_be_listed)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(4));
    ostler_lease leases[3];
    ostler_lease_info infos[4];
    uint64_t count = 99;
    CHECK_STATUS(ostler_pool_list_leases(pool, NULL, 0, &count), OSTLER_OK);
    CHECK_EQ(count, 0);
    for (int i = 0; i < 3; i++)
        leases[i] = acquire_now(pool);
    CHECK_STATUS(ostler_pool_list_leases(pool, infos, 2, &count), OSTLER_OK);
    CHECK_EQ(count, 3);
    CHECK_STATUS(ostler_pool_list_leases(pool, infos, 4, &count), OSTLER_OK);
    CHECK_EQ(count, 3);
    /* Each once, in whatever order. */
    for (int i = 0; i < 3; i++) {
        int place = 0;
        while (place < 2 && infos[place].lease.value != leases[i].value)
            place++;
        CHECK_EQ(infos[place].lease.value, leases[i].value);
        CHECK(infos[place].resource == horse_of(pool, leases[i]));
        CHECK_EQ(infos[place].thread_id, (uint32_t)gettid());
    }
    for (int i = 0; i < 3; i++)
        release(pool, leases[i]);
    end(pool, farm);
}

/* The host takes back what is held too long. */
static ostler_pool *watched;
static struct tally taken_back = TALLY_INIT;
static uint32_t late_thread;

static void take_back(void *user_data, const ostler_lease_info *info)
{
    struct farm *farm = user_data;
    struct horse *horse = info->resource;
    EXPECT(horse == &farm->horses[horse->number]);
    EXPECT(info->held_ns >= HOUR);
    late_thread = info->thread_id;
    EXPECT_STATUS(ostler_pool_discard(watched, info->lease), OSTLER_OK);
    tally_add(&taken_back, 1);
}

TEST(lease_that_lasts_too_long_is_told_of_and_can_be_taken_back)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_lease lease;
    config.lease_limit_ns = HOUR;
    callbacks.create = create_horse;
    callbacks.destroy = destroy_horse;
    callbacks.overdue = take_back;
    freeze();
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, farm, &watched), OSTLER_OK);
    lease = acquire_now(watched);
    pass(HOUR / 2);
    CHECK_EQ(tally_read(&taken_back), 0);
    pass(HOUR / 2 + HOUR / 4);
    CHECK_EQ(tally_read(&taken_back), 1);
    CHECK_EQ(late_thread, (uint32_t)gettid());
    CHECK_STATUS(ostler_pool_release(watched, lease), OSTLER_E_STALE_LEASE);
    CHECK_EQ(pool_stats(watched).overdue, 1);
    CHECK_EQ(pool_stats(watched).destroyed_discarded, 1);
    lease = acquire_now(watched);
    CHECK_STATUS(ostler_pool_discard(watched, lease), OSTLER_OK);
    end(watched, farm);
    thaw();
}

TEST(times_are_measured)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease lease = acquire_now(pool), more;
    CHECK_STATUS(acquire_within(pool, 3 * MS, &more), OSTLER_E_TIMEOUT);
    release(pool, lease);
    for (int i = 0; i < 2560; i++)
        release(pool, acquire_now(pool));
    ostler_pool_stats stats = pool_stats(pool);
    CHECK_EQ(stats.waits.count, 1);
    CHECK(stats.waits.min_ns >= 2900000 && stats.waits.max_ns >= stats.waits.p50_ns);
    CHECK_EQ(stats.creates.count, 1);
    CHECK_EQ(stats.uses.count, 11);
    /* The first one lasted as long as the wait. */
    CHECK(stats.uses.max_ns >= 2900000 && stats.uses.p50_ns < stats.uses.max_ns);
    end(pool, farm);
}

TEST(field_that_cannot_be_is_named)
{
    struct {
        ostler_pool_config config;
        const char *words;
    } cases[] = {
        {{.max_size = 4, .capacity = 3}, "capacity is 3"},
        {{.max_size = 4, .min_idle = 5}, "min_idle is 5"},
        {{.max_size = 4, .min_size = 2, .soft_max_size = 1}, "soft_max_size is 1"},
        {{.max_size = 4, .creator_threads = 65}, "creator_threads is 65"},
        {{.max_size = 4, .idle_order = 2}, "idle_order is 2"},
        {{.max_size = 4, .affinity = 2}, "affinity is 2"},
        {{.max_size = 4, .max_lifetime_ns = 5, .lifetime_jitter_ns = 6}, "lifetime_jitter_ns is 6"},
    };
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool *pool;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cases[i].config.struct_size = sizeof cases[i].config;
        CHECK_STATUS(ostler_pool_create(&cases[i].config, &callbacks, NULL, &pool), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), cases[i].words);
    }
}

/* Riders, while somebody else changes everything that can be changed. */
struct fair {
    ostler_pool *pool;
    struct farm *farm;
    pthread_t thread;
    unsigned seed;
};

static void *ride_at_the_fair(void *argument)
{
    struct fair *fair = argument;
    for (int i = 0; i < 2000; i++) {
        ostler_lease lease;
        void *resource;
        ostler_status status = ostler_pool_acquire(fair->pool, rand_r(&fair->seed) % 3 * MS, NULL, &lease, &resource);
        if (status != OSTLER_OK) {
            EXPECT(status == OSTLER_E_TIMEOUT || status == OSTLER_E_CREATE_FAILED);
            continue;
        }
        struct horse *horse = resource;
        EXPECT_EQ(atomic_fetch_add(&horse->riders, 1), 0);
        EXPECT_EQ(atomic_load(&horse->alive), 1);
        atomic_fetch_sub(&horse->riders, 1);
        if (rand_r(&fair->seed) % 16 == 0)
            EXPECT_STATUS(ostler_pool_discard(fair->pool, lease), OSTLER_OK);
        else
            EXPECT_STATUS(ostler_pool_release(fair->pool, lease), OSTLER_OK);
    }
    return NULL;
}

static void change_everything(struct fair *fair, int turns)
{
    for (int i = 0; i < turns; i++) {
        unsigned dice = rand_r(&fair->seed);
        uint32_t max_size = 1 + dice % 8, min_size = dice / 8 % (max_size + 1);
        atomic_store(&fair->farm->refuse_create, dice / 64 % 8 == 0);
        atomic_store(&fair->farm->refuse_validate, dice / 512 % 4 == 0);
        atomic_store(&fair->farm->refuse_reset, dice / 2048 % 4 == 0);
        EXPECT_STATUS(ostler_pool_resize(fair->pool, min_size, max_size), OSTLER_OK);
        if (dice / 8192 % 4 == 0)
            EXPECT_STATUS(ostler_pool_refresh(fair->pool), OSTLER_OK);
        if (dice / 32768 % 4 == 0) {
            EXPECT_STATUS(ostler_pool_pause(fair->pool), OSTLER_OK);
            sched_yield();
            EXPECT_STATUS(ostler_pool_resume(fair->pool), OSTLER_OK);
        }
        EXPECT(pool_stats(fair->pool).in_use <= 8);
        sched_yield();
    }
}

TEST(every_change_under_load_keeps_the_accounts)
{
    for (uint32_t kind = 0; kind < 8; kind++) {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(4);
        config.affinity = kind & 4 ? OSTLER_AFFINITY_NODE : OSTLER_AFFINITY_THREAD;
        config.capacity = 8;
        config.creator_threads = kind & 1 ? 2 : 0;
        config.idle_order = kind & 1;
        if (kind & 2) {
            config.max_lifetime_ns = 2 * MS;
            config.idle_timeout_ns = 2 * MS;
            config.keepalive_ns = MS;
            config.max_uses = 9;
            config.min_idle = 1;
        }
        struct fair fairs[4];
        ostler_pool *pool = pool_of(farm, config);
        for (unsigned i = 0; i < 4; i++)
            fairs[i] = (struct fair){.pool = pool, .farm = farm, .seed = kind * 4 + i + 1};
        for (int i = 1; i < 4; i++)
            pthread_create(&fairs[i].thread, NULL, ride_at_the_fair, &fairs[i]);
        change_everything(&fairs[0], 1000);
        /* After all that, every place is there again, and nobody waits in vain. */
        atomic_store(&farm->refuse_create, 0);
        atomic_store(&farm->refuse_validate, 0);
        atomic_store(&farm->refuse_reset, 0);
        CHECK_STATUS(ostler_pool_resize(pool, 0, 8), OSTLER_OK);
        for (int i = 1; i < 4; i++)
            pthread_join(fairs[i].thread, NULL);
        ostler_lease leases[8];
        for (int i = 0; i < 8; i++)
            AWAIT(acquire_within(pool, MS, &leases[i]) == OSTLER_OK);
        for (int i = 0; i < 8; i++)
            release(pool, leases[i]);
        check_accounts(pool);
        CHECK_STATUS(ostler_pool_close(pool, OSTLER_FOREVER, NULL, NULL), OSTLER_OK);
        end(pool, farm);
    }
}

CHECK_MAIN()
