/* Horses: resources that notice when two have them, and when they are used after their end. */
#ifndef OSTLER_TESTS_FARM_H
#define OSTLER_TESTS_FARM_H

#include "fixtures.h"
#include <stdatomic.h>
#include <stdlib.h>

/* A resource that notices when two have it, and when it is used after its end. */
struct horse {
    atomic_int riders;
    atomic_int alive;
    int number;
};

/* A pool's user data: what its callbacks shall do, and what they did. */
struct farm {
    struct horse horses[1 << 17];
    atomic_int created, destroyed, validated, reset;
    atomic_int refuse_create, refuse_validate, refuse_reset;
    struct tally destroys;
    struct tally create_calls;
    atomic_int gated;         /* create waits at the gate */
    struct tally gate;        /* creates that may pass */
    atomic_int last_foaled;   /* how many were gone when the last one was made */
    pthread_t foaled_by;      /* the thread that made it */
};

static inline ostler_status refuse(const char *words)
{
    EXPECT_STATUS(ostler_callback_set_message(words), OSTLER_OK);
    return OSTLER_E_CALLBACK_FAILED;
}

static inline ostler_status create_horse(void *user_data, void **resource)
{
    struct farm *farm = user_data;
    long call = tally_add(&farm->create_calls, 1);
    if (atomic_load(&farm->gated))
        tally_await(&farm->gate, call);
    if (atomic_load(&farm->refuse_create))
        return refuse("the stable is empty");
    atomic_store(&farm->last_foaled, atomic_load(&farm->destroyed));
    farm->foaled_by = pthread_self();
    int number = atomic_fetch_add(&farm->created, 1);
    if (number >= (int)(sizeof farm->horses / sizeof *farm->horses)) {
        EXPECT(!"there are enough horses");
        abort();
    }
    struct horse *horse = &farm->horses[number];
    horse->number = number;
    atomic_store(&horse->alive, 1);
    *resource = horse;
    return OSTLER_OK;
}

static inline ostler_status validate_horse(void *user_data, void *resource)
{
    struct farm *farm = user_data;
    struct horse *horse = resource;
    EXPECT(atomic_load(&horse->alive) && atomic_load(&horse->riders) == 0);
    atomic_fetch_add(&farm->validated, 1);
    return atomic_load(&farm->refuse_validate) ? refuse("lame") : OSTLER_OK;
}

static inline ostler_status reset_horse(void *user_data, void *resource)
{
    struct farm *farm = user_data;
    struct horse *horse = resource;
    EXPECT(atomic_load(&horse->alive) && atomic_load(&horse->riders) == 0);
    atomic_fetch_add(&farm->reset, 1);
    return atomic_load(&farm->refuse_reset) ? refuse("tired") : OSTLER_OK;
}

static inline void destroy_horse(void *user_data, void *resource)
{
    struct farm *farm = user_data;
    struct horse *horse = resource;
    EXPECT_EQ(atomic_load(&horse->riders), 0);
    EXPECT_EQ(atomic_exchange(&horse->alive, 0), 1);
    atomic_fetch_add(&farm->destroyed, 1);
    tally_add(&farm->destroys, 1);
}

static inline struct farm *make_farm(void)
{
    struct farm *farm = calloc(1, sizeof *farm);
    farm->destroys = (struct tally)TALLY_INIT;
    farm->create_calls = (struct tally)TALLY_INIT;
    farm->gate = (struct tally)TALLY_INIT;
    return farm;
}

static inline ostler_pool_config config_with(uint32_t max_size)
{
    ostler_pool_config config;
    CHECK_STATUS(ostler_pool_config_init(&config, sizeof config), OSTLER_OK);
    config.max_size = max_size;
    return config;
}

static inline ostler_pool *pool_of(struct farm *farm, ostler_pool_config config)
{
    ostler_pool_callbacks callbacks;
    ostler_pool *pool;
    CHECK_STATUS(ostler_pool_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.create = create_horse;
    callbacks.validate = validate_horse;
    callbacks.reset = reset_horse;
    callbacks.destroy = destroy_horse;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, farm, &pool), OSTLER_OK);
    return pool;
}

/* Takes the pool down, and every horse that was made must be gone, each once. */
static inline void end(ostler_pool *pool, struct farm *farm)
{
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    CHECK_EQ(atomic_load(&farm->created), atomic_load(&farm->destroyed));
    free(farm);
}

static inline void check_accounts(ostler_pool *pool)
{
    ostler_pool_stats stats;
    /* What is destroyed in the background is counted before its place is free. */
    AWAIT((stats = pool_stats(pool), stats.created == stats.destroyed + stats.in_use + stats.idle));
    CHECK_EQ(stats.destroyed, stats.destroyed_idle + stats.destroyed_invalid + stats.destroyed_discarded +
                                  stats.destroyed_reset + stats.destroyed_old + stats.destroyed_used +
                                  stats.destroyed_refreshed + stats.destroyed_surplus);
}

static inline struct horse *horse_of(ostler_pool *pool, ostler_lease lease)
{
    void *resource = NULL;
    CHECK_STATUS(ostler_pool_get_resource(pool, lease, &resource), OSTLER_OK);
    return resource;
}

#endif
