/* Pool: what is done to all of its resources at once. */
#define _GNU_SOURCE
#include "frozen.h"
#include "riders.h"

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
