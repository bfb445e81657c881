/* Callers of a pool, each on a thread of its own. */
#ifndef OSTLER_TESTS_RIDERS_H
#define OSTLER_TESTS_RIDERS_H

#include "farm.h"

static inline void release(ostler_pool *pool, ostler_lease lease)
{
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
}

static inline ostler_status try_now(ostler_pool *pool, ostler_lease *lease)
{
    void *resource;
    return ostler_pool_try_acquire(pool, lease, &resource);
}

static inline ostler_status acquire_within(ostler_pool *pool, uint64_t timeout_ns, ostler_lease *lease)
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

static inline void *ride(void *argument)
{
    struct rider *rider = argument;
    ostler_lease lease;
    rider->status = acquire_within(rider->pool, OSTLER_FOREVER, &lease);
    snprintf(rider->words, sizeof rider->words, "%s", ostler_last_error_message());
    if (rider->status == OSTLER_OK)
        EXPECT_STATUS(ostler_pool_release(rider->pool, lease), OSTLER_OK);
    return NULL;
}

static inline void set_out(struct rider *riders, int count, ostler_pool *pool)
{
    for (int i = 0; i < count; i++) {
        uint64_t before = pool_stats(pool).waiting;
        riders[i] = (struct rider){.pool = pool};
        pthread_create(&riders[i].thread, NULL, ride, &riders[i]);
        AWAIT(pool_stats(pool).waiting == before + 1);
    }
}

static inline void come_home(struct rider *riders, int count, ostler_status status)
{
    for (int i = 0; i < count; i++) {
        pthread_join(riders[i].thread, NULL);
        CHECK_STATUS(riders[i].status, status);
    }
}

#endif
