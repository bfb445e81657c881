/* Taps of pools, for the tests of them: both twins of each function, and what one does with a tap. */
#ifndef OSTLER_TESTS_TAPS_H
#define OSTLER_TESTS_TAPS_H

#include "farm.h"
#include <ostler_inline.h>
#include <stdatomic.h>

typedef ostler_status acquire_twin(ostler_tap *, uint64_t, ostler_cancel *, ostler_lease *, void **);
typedef ostler_status release_twin(ostler_tap *, ostler_lease);

static acquire_twin *const acquires[] = {ostler_tap_acquire, ostler_tap_acquire_inline};
static release_twin *const releases[] = {ostler_tap_release, ostler_tap_release_inline};

typedef ostler_status acquire_n_twin(ostler_tap *, uint32_t, uint64_t, ostler_cancel *, ostler_lease *, void **);
typedef ostler_status release_n_twin(ostler_tap *, const ostler_lease *, uint32_t, uint32_t *);

static acquire_n_twin *const acquires_n[] = {ostler_tap_acquire_n, ostler_tap_acquire_n_inline};
static release_n_twin *const releases_n[] = {ostler_tap_release_n, ostler_tap_release_n_inline};

#define FOR_EACH_TWIN(i) for (int i = 0; i < 2; i++)

/* Without a callback between two leases, so that a tap has something at hand. */
static inline ostler_pool *bare_pool(struct farm *farm, ostler_pool_config config)
{
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool *pool;
    callbacks.create = create_horse;
    callbacks.destroy = destroy_horse;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, farm, &pool), OSTLER_OK);
    return pool;
}

static inline ostler_tap *open_tap(ostler_pool *pool)
{
    ostler_tap *tap = NULL;
    EXPECT_STATUS(ostler_tap_open(pool, &tap), OSTLER_OK);
    EXPECT(tap != NULL);
    return tap;
}

static inline ostler_lease through(int twin, ostler_tap *tap, void **resource)
{
    ostler_lease lease = {0};
    EXPECT_STATUS(acquires[twin](tap, OSTLER_FOREVER, NULL, &lease, resource), OSTLER_OK);
    EXPECT(lease.value != 0 && *resource != NULL);
    return lease;
}

/* Leases and releases through it until it has one at hand. */
static inline void warm(int twin, ostler_tap *tap)
{
    void *resource;
    for (int i = 0; i < 300; i++)
        CHECK_STATUS(releases[twin](tap, through(twin, tap, &resource)), OSTLER_OK);
}

static inline void ends(ostler_tap *tap, ostler_pool *pool, struct farm *farm)
{
    CHECK_STATUS(ostler_tap_close(tap), OSTLER_OK);
    end(pool, farm);
}

/* Leases so many at once: nobody else has any of them. */
static inline void ride_together(int twin, ostler_tap *tap, uint32_t count, ostler_lease *leases)
{
    void *resources[64];
    CHECK_STATUS(acquires_n[twin](tap, count, OSTLER_FOREVER, NULL, leases, resources), OSTLER_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct horse *horse = resources[i];
        CHECK(leases[i].value != 0);
        CHECK_EQ(atomic_fetch_add(&horse->riders, 1), 0);
    }
    for (uint32_t i = 0; i < count; i++)
        atomic_fetch_sub(&((struct horse *)resources[i])->riders, 1);
}

#endif
