/* Pool: what is taken back from its holder or from the idle ones, and what a host hears. */
#include "farm.h"

TEST(revoked_lease_is_stale_and_its_resource_is_not_shared)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease lease = acquire_now(pool);
    struct horse *horse = horse_of(pool, lease);
    void *resource;
    CHECK_STATUS(ostler_pool_revoke(pool, lease), OSTLER_OK);
    CHECK_STATUS(ostler_pool_revoke(pool, lease), OSTLER_E_STALE_LEASE);
    CHECK_STATUS(ostler_pool_get_resource(pool, lease, &resource), OSTLER_E_STALE_LEASE);
    CHECK_EQ(pool_stats(pool).revoked, 1);
    /* Its place is another's now, and the one it was for still lives. */
    ostler_lease next = acquire_now(pool);
    CHECK(horse_of(pool, next) != horse);
    CHECK_EQ(horse->alive, 1);
    CHECK_EQ(farm->destroyed, 0);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_E_STALE_LEASE);
    CHECK_EQ(horse->alive, 0);
    CHECK_EQ(pool_stats(pool).revoked, 0);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_E_STALE_LEASE);
    CHECK_EQ(farm->destroyed, 1);
    CHECK_STATUS(ostler_pool_release(pool, next), OSTLER_OK);
    check_accounts(pool);
    end(pool, farm);
}

TEST(revoked_leases_come_back_by_every_way)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    ostler_lease leases[3];
    void *resources[3];
    uint32_t released;
    uint64_t still_out;
    CHECK_STATUS(ostler_pool_acquire_n(pool, 3, 0, NULL, leases, resources), OSTLER_OK);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(ostler_pool_revoke(pool, leases[i]), OSTLER_OK);
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 3);
    CHECK_STATUS(ostler_pool_discard(pool, leases[1]), OSTLER_E_STALE_LEASE);
    CHECK_STATUS(ostler_pool_release_n(pool, leases, 3, &released), OSTLER_E_STALE_LEASE);
    CHECK_EQ(released, 0);
    CHECK_EQ(farm->destroyed, 3);
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, &still_out), OSTLER_OK);
    end(pool, farm);
}

TEST(revoked_lease_outlives_its_pool)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease lease = acquire_now(pool);
    CHECK_STATUS(ostler_pool_revoke(pool, lease), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    CHECK_EQ(farm->destroyed, 0);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_E_STALE_LEASE);
    CHECK_EQ(farm->destroyed, 1);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_E_INVALID_HANDLE);
    free(farm);
}

static void *wait_for_one(void *pool)
{
    ostler_lease lease;
    void *resource;
    EXPECT_STATUS(ostler_pool_acquire(pool, OSTLER_FOREVER, NULL, &lease, &resource), OSTLER_OK);
    EXPECT_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    return NULL;
}

TEST(who_waits_gets_the_place_of_a_revoked_lease)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    pthread_t thread;
    ostler_lease lease = acquire_now(pool);
    pthread_create(&thread, NULL, wait_for_one, pool);
    AWAIT(pool_stats(pool).waiting == 1);
    CHECK_STATUS(ostler_pool_revoke(pool, lease), OSTLER_OK);
    pthread_join(thread, NULL);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_E_STALE_LEASE);
    end(pool, farm);
}

TEST(trim_leaves_what_is_to_stay)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(6);
    ostler_lease leases[6];
    void *resources[6];
    uint32_t trimmed;
    config.min_size = 1;
    ostler_pool *pool = pool_of(farm, config);
    CHECK_STATUS(ostler_pool_acquire_n(pool, 6, OSTLER_FOREVER, NULL, leases, resources), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release_n(pool, leases + 1, 5, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_pool_trim(pool, 3, &trimmed), OSTLER_OK);
    CHECK_EQ(trimmed, 2);
    CHECK_EQ(pool_stats(pool).idle, 3);
    CHECK_STATUS(ostler_pool_trim(pool, 3, &trimmed), OSTLER_OK);
    CHECK_EQ(trimmed, 0);
    CHECK_STATUS(ostler_pool_release(pool, leases[0]), OSTLER_OK);
    CHECK_STATUS(ostler_pool_trim(pool, 0, NULL), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).idle, 1); /* min_size */
    end(pool, farm);
}

TEST(trim_lets_those_go_that_were_idle_longest)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    ostler_lease first, second;
    config.idle_timeout_ns = 3600000000000;
    config.validate_after_ns = 1; /* so that the pool tells the time of each release */
    ostler_pool *pool = pool_of(farm, config);
    first = acquire_now(pool);
    second = acquire_now(pool);
    struct horse *older = horse_of(pool, first), *newer = horse_of(pool, second);
    CHECK_STATUS(ostler_pool_release(pool, first), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, second), OSTLER_OK);
    CHECK_STATUS(ostler_pool_trim(pool, 1, NULL), OSTLER_OK);
    CHECK_EQ(older->alive, 0);
    CHECK_EQ(newer->alive, 1);
    end(pool, farm);
}

struct hearsay {
    int count;
    uint32_t events[64];
    void *resources[64];
    int refuse;
    ostler_pool *pool;
    ostler_status destroyed;
};

static void hear(void *user_data, uint32_t event, void *resource)
{
    struct hearsay *hearsay = user_data;
    hearsay->events[hearsay->count] = event;
    hearsay->resources[hearsay->count++] = resource;
    if (hearsay->pool)
        hearsay->destroyed = ostler_pool_destroy(hearsay->pool);
}

static ostler_status create_or_refuse(void *user_data, void **resource)
{
    struct hearsay *hearsay = user_data;
    *resource = hearsay;
    return hearsay->refuse ? refuse("not today") : OSTLER_OK;
}

TEST(host_hears_what_happens)
{
    static const uint32_t wanted[] = {OSTLER_POOL_EVENT_CREATED,        OSTLER_POOL_EVENT_PAUSED,
                                      OSTLER_POOL_EVENT_RESUMED,        OSTLER_POOL_EVENT_RESIZED,
                                      OSTLER_POOL_EVENT_REFRESHED,      OSTLER_POOL_EVENT_DESTROYED,
                                      OSTLER_POOL_EVENT_BREAKER_OPENED, OSTLER_POOL_EVENT_REFRESHED,
                                      OSTLER_POOL_EVENT_CREATED,        OSTLER_POOL_EVENT_BREAKER_CLOSED,
                                      OSTLER_POOL_EVENT_CLOSED,         OSTLER_POOL_EVENT_DESTROYED};
    struct hearsay hearsay = {0};
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool_config config = config_with(2);
    ostler_pool *pool;
    ostler_lease lease;
    void *resource;
    callbacks.create = create_or_refuse;
    callbacks.event = hear;
    config.breaker_failures = 1;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, &hearsay, &pool), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, acquire_now(pool)), OSTLER_OK);
    hearsay.pool = pool;
    CHECK_STATUS(ostler_pool_pause(pool), OSTLER_OK);
    CHECK_STATUS(hearsay.destroyed, OSTLER_E_WOULD_DEADLOCK);
    hearsay.pool = NULL;
    CHECK_STATUS(ostler_pool_resume(pool), OSTLER_OK);
    CHECK_STATUS(ostler_pool_resize(pool, 0, 1), OSTLER_OK);
    CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK);
    hearsay.refuse = 1;
    CHECK_STATUS(ostler_pool_try_acquire(pool, &lease, &resource), OSTLER_E_CREATE_FAILED);
    hearsay.refuse = 0;
    CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK); /* ends the breaker's pause */
    CHECK_STATUS(ostler_pool_release(pool, acquire_now(pool)), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    CHECK_EQ(hearsay.count, (int)(sizeof wanted / sizeof *wanted));
    for (int i = 0; i < hearsay.count; i++) {
        CHECK_EQ(hearsay.events[i], wanted[i]);
        int is_about_one = wanted[i] == OSTLER_POOL_EVENT_CREATED || wanted[i] == OSTLER_POOL_EVENT_DESTROYED;
        CHECK_EQ(hearsay.resources[i], is_about_one ? &hearsay : NULL);
    }
}

CHECK_MAIN()
