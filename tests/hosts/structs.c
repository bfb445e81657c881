/* Structs of older and newer headers than the library's. */
#include "fixtures.h"
#include <stddef.h>

/* A configuration of a header that is to come: longer by a tail that this library does not know. */
struct newer_pool_config {
    ostler_pool_config known;
    uint64_t tail[4];
};

static ostler_status create_with(const void *config, ostler_pool **pool)
{
    static char resource;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    return ostler_pool_create(config, &callbacks, &resource, pool);
}

TEST(older_configuration_works_and_what_it_lacks_is_the_default)
{
    /* Everything behind max_size is beyond the end of the older struct, and must not be read. */
    struct {
        uint32_t struct_size, min_size, max_size, poison[16];
    } older = {offsetof(ostler_pool_config, affinity), 0, 3, {0}};
    ostler_pool *pool;
    memset(older.poison, 0xff, sizeof older.poison);
    CHECK_STATUS(create_with(&older, &pool), OSTLER_OK);
    for (int i = 0; i < 3; i++)
        acquire_now(pool);
    ostler_lease lease;
    void *resource;
    CHECK_STATUS(ostler_pool_try_acquire(pool, &lease, &resource), OSTLER_E_EXHAUSTED);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

TEST(newer_configuration_with_a_clean_tail_works)
{
    struct newer_pool_config newer;
    ostler_pool *pool;
    CHECK_STATUS(ostler_pool_config_init(&newer.known, sizeof newer), OSTLER_OK);
    CHECK_EQ(newer.known.struct_size, sizeof newer);
    CHECK_EQ(newer.tail[3], 0);
    newer.known.max_size = 2;
    CHECK_STATUS(create_with(&newer, &pool), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

TEST(newer_configuration_with_a_dirty_tail_is_refused_with_its_place)
{
    for (size_t at = sizeof(ostler_pool_config); at < sizeof(struct newer_pool_config); at++) {
        struct newer_pool_config newer;
        ostler_pool *pool = (ostler_pool *)1;
        char place[32];
        CHECK_STATUS(ostler_pool_config_init(&newer.known, sizeof newer), OSTLER_OK);
        ((char *)&newer)[at] = 1;
        CHECK_STATUS(create_with(&newer, &pool), OSTLER_E_UNSUPPORTED);
        CHECK(pool == NULL);
        snprintf(place, sizeof place, "at byte %zu", at);
        CHECK_STR_CONTAINS(ostler_last_error_message(), place);
    }
}

TEST(older_result_struct_is_filled_as_far_as_it_goes)
{
    struct {
        uint32_t struct_size, reserved;
        uint64_t in_use, idle, beyond;
    } older = {offsetof(ostler_pool_stats, creating), 0, 99, 99, 99};
    ostler_pool *pool = make_pool(4, plain_pool_callbacks(), &older);
    acquire_now(pool);
    CHECK_STATUS(ostler_pool_get_stats(pool, (ostler_pool_stats *)&older), OSTLER_OK);
    CHECK_EQ(older.in_use, 1);
    CHECK_EQ(older.idle, 0);
    CHECK_EQ(older.beyond, 99);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

TEST(newer_result_struct_gets_zeros_where_the_library_knows_nothing)
{
    struct {
        ostler_pool_stats known;
        uint64_t tail[4];
    } newer;
    ostler_pool *pool = make_pool(4, plain_pool_callbacks(), &newer);
    memset(&newer, 0xff, sizeof newer);
    newer.known.struct_size = sizeof newer;
    CHECK_STATUS(ostler_pool_get_stats(pool, &newer.known), OSTLER_OK);
    CHECK_EQ(newer.known.in_use, 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(newer.tail[i], 0);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

CHECK_MAIN()
