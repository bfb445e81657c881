/* Tap: many leases at once, all or none, and the slots that lie side by side. The inline functions and the library's do the
 * same. */
#include "taps.h"

/* Of the ones that a pool has room for, whether they lie in the tap, in the pool or nowhere yet. */
TEST(many_at_once_through_a_tap)
{
    FOR_EACH_TWIN(i)
    {
        struct farm *farm = make_farm();
        ostler_pool *pool = bare_pool(farm, config_with(4));
        ostler_tap *tap = open_tap(pool);
        ostler_lease leases[4];
        uint32_t released;
        uint64_t uses = 304, count;
        ride_together(i, tap, 4, leases);
        CHECK_STATUS(releases_n[i](tap, leases, 4, NULL), OSTLER_OK);
        warm(i, tap);
        for (int round = 0; round < 600; round++) {
            /* Also one by itself, so that they are not all measured in the same round. */
            void *resource;
            CHECK_STATUS(releases[i](tap, through(i, tap, &resource)), OSTLER_OK);
            ride_together(i, tap, 3, leases);
            CHECK_STATUS(ostler_pool_list_leases(pool, NULL, 0, &count), OSTLER_OK);
            CHECK_EQ(count, 3);
            CHECK_STATUS(releases_n[i](tap, leases, 3, &released), OSTLER_OK);
            CHECK_EQ(released, 3);
            uses += 4;
            CHECK_EQ(pool_stats(pool).acquires, uses);
        }
        CHECK_EQ(pool_stats(pool).created, 4);
        ride_together(i, tap, 4, leases);
        CHECK_EQ(pool_stats(pool).in_use, 4);
        CHECK_STATUS(releases_n[i](tap, leases, 4, NULL), OSTLER_OK);
        CHECK_EQ(tap->count, 4);
        ends(tap, pool, farm);
    }
}

static uintptr_t line_of(const ostler_tap *tap, uint32_t number)
{
    return (uintptr_t)(tap->slots + number) / 64;
}

/* Two slots lie in a cache line: whose users would write to it in turn are led apart, as long as there is another. */
TEST(neighbours_of_one_cache_line_are_led_apart)
{
    FOR_EACH_TWIN(i)
    {
        struct farm *farm = make_farm();
        ostler_pool *pool = bare_pool(farm, config_with(4));
        ostler_tap *before = open_tap(pool);
        ostler_lease leases[4], ordered[4];
        void *resource;
        ride_together(i, before, 4, leases);
        CHECK_STATUS(releases_n[i](before, leases, 4, NULL), OSTLER_OK);
        warm(i, before);
        /* What a tap leaves behind is leased in the order in which it came there: two neighbours first. */
        ride_together(i, before, 4, leases);
        const uint32_t first = line_of(before, 0) == line_of(before, 1) ? 0 : 1;
        for (int k = 0, rest = 2; k < 4; k++) {
            const uint32_t number = (uint32_t)(leases[k].value >> 16) & 3;
            ordered[number - first < 2 ? (int)(number - first) : rest++] = leases[k];
        }
        CHECK_STATUS(releases_n[i](before, ordered, 4, NULL), OSTLER_OK);
        CHECK_STATUS(ostler_tap_close(before), OSTLER_OK);
        ostler_tap *tap = open_tap(pool), *other = open_tap(pool);
        CHECK_STATUS(releases[i](tap, through(i, tap, &resource)), OSTLER_OK);
        CHECK_STATUS(releases[i](other, through(i, other, &resource)), OSTLER_OK);
        CHECK_EQ(line_of(tap, tap->idle[0]), line_of(tap, other->idle[0]));
        for (int round = 0; round < 600; round++) {
            CHECK_STATUS(releases[i](tap, through(i, tap, &resource)), OSTLER_OK);
            CHECK_STATUS(releases[i](other, through(i, other, &resource)), OSTLER_OK);
        }
        CHECK_EQ(tap->count, 1);
        CHECK_EQ(other->count, 1);
        CHECK(line_of(tap, tap->idle[0]) != line_of(tap, other->idle[0]));
        CHECK_EQ(pool_stats(pool).idle, 4);
        CHECK_EQ(pool_stats(pool).created, 4);
        CHECK_STATUS(ostler_tap_close(other), OSTLER_OK);
        ends(tap, pool, farm);
    }
}

TEST(many_leases_through_a_tap_are_all_or_none_and_end_each_once)
{
    FOR_EACH_TWIN(i)
    {
        struct farm *farm = make_farm();
        ostler_pool *pool = bare_pool(farm, config_with(4));
        ostler_tap *tap = open_tap(pool);
        ostler_lease leases[5], held;
        void *resources[5];
        uint32_t released = 7;
        warm(i, tap);
        ride_together(i, tap, 4, leases);
        /* The second of them has ended before. */
        CHECK_STATUS(ostler_pool_release(pool, leases[1]), OSTLER_OK);
        CHECK_STATUS(releases_n[i](tap, leases, 4, &released), OSTLER_E_STALE_LEASE);
        CHECK_EQ(released, 3);
        CHECK_STATUS(releases_n[i](tap, leases, 4, &released), OSTLER_E_STALE_LEASE);
        CHECK_EQ(released, 0);
        CHECK_EQ(pool_stats(pool).in_use, 0);
        held = through(i, tap, &resources[0]);
        uint64_t uses = pool_stats(pool).acquires;
        CHECK_STATUS(acquires_n[i](tap, 4, 0, NULL, leases, resources), OSTLER_E_TIMEOUT);
        for (int k = 0; k < 4; k++)
            CHECK(leases[k].value == 0 && resources[k] == NULL);
        CHECK_STATUS(acquires_n[i](tap, 5, 0, NULL, leases, resources), OSTLER_E_LIMIT);
        CHECK_EQ(pool_stats(pool).acquires, uses);
        CHECK_STATUS(releases[i](tap, held), OSTLER_OK);
        CHECK_STATUS(acquires_n[i](tap, 0, 0, NULL, NULL, NULL), OSTLER_OK);
        CHECK_STATUS(releases_n[i](tap, NULL, 0, &released), OSTLER_OK);
        CHECK_EQ(released, 0);
        CHECK_STATUS(acquires_n[i](tap, 1, 0, NULL, NULL, resources), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STATUS(acquires_n[i](tap, 1, 0, NULL, leases, NULL), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STATUS(releases_n[i](tap, NULL, 1, &released), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STATUS(releases_n[i](tap, leases, 1048577, &released), OSTLER_E_INVALID_ARGUMENT);
        CHECK_EQ(released, 0);
        CHECK_STATUS(acquires_n[i](NULL, 1, 0, NULL, leases, resources), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(releases_n[i](NULL, leases, 1, &released), OSTLER_E_INVALID_HANDLE);
        /* What was taken through another, or not through a tap at all, is given back all the same. */
        ostler_tap *other = open_tap(pool);
        leases[0] = through(i, other, &resources[0]);
        leases[1] = acquire_now(pool);
        leases[2] = through(i, tap, &resources[2]);
        CHECK_STATUS(releases_n[i](tap, leases, 3, &released), OSTLER_OK);
        CHECK_EQ(released, 3);
        CHECK_EQ(pool_stats(pool).in_use, 0);
        CHECK_STATUS(ostler_tap_close(other), OSTLER_OK);
        ends(tap, pool, farm);
    }
}

/* What there is no room for in a tap is everybody's at once. */
TEST(tap_that_is_full_leaves_the_rest_to_all)
{
    FOR_EACH_TWIN(i)
    {
        enum { MORE = OSTLER_TAP_ROOM + 10 };
        struct farm *farm = make_farm();
        ostler_pool *pool = bare_pool(farm, config_with(MORE));
        ostler_tap *tap = open_tap(pool);
        ostler_lease leases[MORE];
        for (int round = 0; round < 300; round++) {
            ride_together(i, tap, MORE, leases);
            CHECK_STATUS(releases_n[i](tap, leases, MORE, NULL), OSTLER_OK);
        }
        CHECK_EQ(tap->count, OSTLER_TAP_ROOM);
        CHECK_EQ(pool_stats(pool).idle, MORE);
        CHECK_EQ(pool_stats(pool).acquires, 300 * MORE);
        ends(tap, pool, farm);
    }
}

CHECK_MAIN()
