/* Pool: from where in the program each lease was taken, while tracing is on. */
#include "farm.h"
#include <ostler_inline.h>
#include <string.h>

static uint32_t site_of(ostler_pool *pool, ostler_lease lease)
{
    ostler_lease_info infos[4];
    uint64_t count;
    CHECK_STATUS(ostler_pool_list_leases(pool, infos, 4, &count), OSTLER_OK);
    for (uint64_t i = 0; i < count; i++)
        if (infos[i].lease.value == lease.value)
            return infos[i].call_site;
    CHECK(!"the lease is listed");
    return 0;
}

TEST(lease_tells_from_where_it_was_taken)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    ostler_lease before = acquire_now(pool), none;
    void *resource;
    char words[4096];
    uint64_t needed;
    CHECK_STATUS(ostler_tracing_start(NULL), OSTLER_OK);
    CHECK_EQ(site_of(pool, before), 0);
    ostler_lease traced = acquire_now(pool);
    uint32_t site = site_of(pool, traced);
    CHECK(site != 0);
    CHECK_STATUS(ostler_tracing_print_site(site, words, sizeof words, &needed), OSTLER_OK);
    CHECK_EQ(needed, strlen(words) + 1);
    CHECK_STR_CONTAINS(words, "pool_sites");
    CHECK_STATUS(ostler_tracing_print_site(site, words, 4, &needed), OSTLER_OK);
    CHECK_EQ(strlen(words), 3);
    /* Who waits in vain hears of it. */
    CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &none, &resource), OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), " from ");
    CHECK_STR_CONTAINS(ostler_last_error_message(), "pool_sites");
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
    /* The next lease of the place is not taken for the one that was traced. */
    CHECK_STATUS(ostler_pool_release(pool, traced), OSTLER_OK);
    ostler_lease after = acquire_now(pool);
    CHECK_EQ(site_of(pool, after), 0);
    CHECK_STATUS(ostler_pool_release(pool, after), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, before), OSTLER_OK);
    end(pool, farm);
}

TEST(lease_through_a_tap_that_is_opened_meanwhile_tells_it_too)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = make_pool(2, plain_pool_callbacks(), farm);
    ostler_tap *tap;
    ostler_lease lease;
    void *resource;
    CHECK_STATUS(ostler_tracing_start(NULL), OSTLER_OK);
    CHECK_STATUS(ostler_tap_open(pool, &tap), OSTLER_OK);
    for (int i = 0; i < 300; i++) {
        CHECK_STATUS(ostler_tap_acquire_inline(tap, 0, NULL, &lease, &resource), OSTLER_OK);
        CHECK(site_of(pool, lease) != 0);
        CHECK_STATUS(ostler_tap_release_inline(tap, lease), OSTLER_OK);
    }
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
    CHECK_STATUS(ostler_tap_close(tap), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    free(farm);
}

CHECK_MAIN()
