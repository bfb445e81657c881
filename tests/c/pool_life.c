/* Pool: how long resources live. */
#define _GNU_SOURCE
#include "frozen.h"
#include "riders.h"

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

CHECK_MAIN()
