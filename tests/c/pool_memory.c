/* Pool: what its resources hold is charged while they live, and limits them. */
#include "farm.h"

enum { HORSE_BYTES = 1 << 20 };

static uint64_t held(void)
{
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
    return stats.held_bytes;
}

static void limit_to(uint64_t bytes)
{
    ostler_governor_config config;
    CHECK_STATUS(ostler_governor_config_init(&config, sizeof config), OSTLER_OK);
    config.limit_bytes = bytes;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
}

TEST(each_resource_is_charged_while_it_lives)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(3);
    config.resource_bytes = HORSE_BYTES;
    uint64_t before = held();
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease leases[3];
    uint32_t trimmed;
    for (uint64_t i = 0; i < 3; i++) {
        leases[i] = acquire_now(pool);
        CHECK_EQ(held() - before, (i + 1) * HORSE_BYTES);
    }
    CHECK_STATUS(ostler_pool_discard(pool, leases[0]), OSTLER_OK);
    CHECK_EQ(held() - before, 2 * HORSE_BYTES);
    CHECK_STATUS(ostler_pool_revoke(pool, leases[1]), OSTLER_OK);
    CHECK_EQ(held() - before, 2 * HORSE_BYTES);
    CHECK_STATUS(ostler_pool_release(pool, leases[1]), OSTLER_E_STALE_LEASE);
    CHECK_EQ(held() - before, HORSE_BYTES);
    CHECK_STATUS(ostler_pool_release(pool, leases[2]), OSTLER_OK);
    CHECK_STATUS(ostler_pool_trim(pool, 0, &trimmed), OSTLER_OK);
    CHECK_EQ(trimmed, 1);
    CHECK_EQ(held(), before);
    atomic_store(&farm->refuse_create, 1);
    CHECK_STATUS(ostler_pool_try_acquire(pool, &leases[0], &(void *){NULL}), OSTLER_E_CREATE_FAILED);
    CHECK_EQ(held(), before);
    end(pool, farm);
    CHECK_EQ(held(), before);
}

TEST(resource_for_which_there_is_no_room_is_not_made)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(3);
    config.resource_bytes = HORSE_BYTES;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease lease = {0}, none;
    void *resource;
    limit_to(held() + HORSE_BYTES + HORSE_BYTES / 2);
    lease = acquire_now(pool);
    CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &none, &resource), OSTLER_E_CREATE_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "create was not called");
    CHECK_EQ(none.value, 0);
    CHECK_EQ(atomic_load(&farm->created), 1);
    limit_to(0);
    CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &none, &resource), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, none), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    end(pool, farm);
}

CHECK_MAIN()
