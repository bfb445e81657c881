/* What tests of the testkit share: callers that wait in vain, and faults of pools. */
#ifndef OSTLER_TESTS_KIT_H
#define OSTLER_TESTS_KIT_H

#include "farm.h"
#include "frozen.h"

static inline ostler_status acquire_within(ostler_pool *pool, uint64_t timeout_ns)
{
    ostler_lease lease;
    void *resource;
    return ostler_pool_acquire(pool, timeout_ns, NULL, &lease, &resource);
}

static inline void use(ostler_pool *pool)
{
    CHECK_STATUS(ostler_pool_release(pool, acquire_now(pool)), OSTLER_OK);
}

/* Waits in vain, on a thread of its own. */
struct rider {
    ostler_pool *pool;
    uint64_t timeout_ns;
    pthread_t thread;
    ostler_status status;
};

static inline void *ride(void *argument)
{
    struct rider *rider = argument;
    rider->status = acquire_within(rider->pool, rider->timeout_ns);
    return NULL;
}

static inline struct rider *set_out(ostler_pool *pool, uint64_t timeout_ns)
{
    struct rider *rider = calloc(1, sizeof *rider);
    uint64_t before = pool_stats(pool).waiting;
    rider->pool = pool;
    rider->timeout_ns = timeout_ns;
    pthread_create(&rider->thread, NULL, ride, rider);
    AWAIT(pool_stats(pool).waiting == before + 1);
    return rider;
}

static inline void comes_home_late(struct rider *rider)
{
    pthread_join(rider->thread, NULL);
    CHECK_STATUS(rider->status, OSTLER_E_TIMEOUT);
    free(rider);
}

static inline ostler_testkit_fault fault_of(uint32_t callback)
{
    ostler_testkit_fault fault;
    CHECK_STATUS(ostler_testkit_fault_init(&fault, sizeof fault), OSTLER_OK);
    fault.callback = callback;
    return fault;
}

static inline ostler_testkit_injected injected(ostler_pool *pool, uint32_t callback)
{
    ostler_testkit_injected injected = {.struct_size = sizeof injected};
    CHECK_STATUS(ostler_testkit_pool_get_injected(pool, callback, &injected), OSTLER_OK);
    return injected;
}

static inline void fail_each(ostler_pool *pool, uint32_t callback)
{
    ostler_testkit_fault fault = fault_of(callback);
    fault.every = 1;
    fault.status = -7;
    CHECK_STATUS(ostler_testkit_pool_inject(pool, &fault), OSTLER_OK);
}

static inline void hold_up(ostler_pool *pool, uint32_t callback, uint64_t delay_ns)
{
    ostler_testkit_fault fault = fault_of(callback);
    fault.every = 1;
    fault.delay_ns = delay_ns;
    CHECK_STATUS(ostler_testkit_pool_inject(pool, &fault), OSTLER_OK);
}

#endif
