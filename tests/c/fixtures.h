/* The plainest objects, for tests whose point is something else. */
#ifndef OSTLER_TESTS_FIXTURES_H
#define OSTLER_TESTS_FIXTURES_H

#include "check.h"
#include "tally.h"
#include <ostler.h>
#include <sched.h>
#include <stdbool.h>

/* Spins until a condition holds that no callback tells: that another thread waits inside the library. */
#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        while (!(condition))                                                                                           \
            sched_yield();                                                                                             \
    } while (0)

/* Pool: the user data is every resource. */

static inline ostler_status lend_user_data(void *user_data, void **resource)
{
    *resource = user_data;
    return OSTLER_OK;
}

static inline void destroy_nothing(void *user_data, void *resource)
{
    (void)user_data, (void)resource;
}

static inline ostler_pool_callbacks plain_pool_callbacks(void)
{
    ostler_pool_callbacks callbacks;
    CHECK_STATUS(ostler_pool_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.create = lend_user_data;
    callbacks.destroy = destroy_nothing;
    return callbacks;
}

static inline ostler_pool *make_pool(uint32_t max_size, ostler_pool_callbacks callbacks, void *user_data)
{
    ostler_pool_config config;
    ostler_pool *pool;
    CHECK_STATUS(ostler_pool_config_init(&config, sizeof config), OSTLER_OK);
    config.max_size = max_size;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, user_data, &pool), OSTLER_OK);
    return pool;
}

static inline ostler_pool_stats pool_stats(ostler_pool *pool)
{
    ostler_pool_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_pool_get_stats(pool, &stats), OSTLER_OK);
    return stats;
}

static inline ostler_lease acquire_now(ostler_pool *pool)
{
    ostler_lease lease = {0};
    void *resource;
    CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &lease, &resource), OSTLER_OK);
    CHECK(lease.value != 0);
    return lease;
}

/* Model: a run does nothing, and a state is the user data. */

static inline ostler_status load_user_data(void *user_data, uint32_t worker, void **state)
{
    (void)worker;
    *state = user_data;
    return OSTLER_OK;
}

static inline ostler_status run_nothing(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    (void)user_data, (void)state, (void)items, (void)count;
    return OSTLER_OK;
}

static inline ostler_model_callbacks plain_model_callbacks(void)
{
    ostler_model_callbacks callbacks;
    CHECK_STATUS(ostler_model_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.load = load_user_data;
    callbacks.run = run_nothing;
    return callbacks;
}

static inline ostler_model_config plain_model_config(void)
{
    ostler_model_config config;
    CHECK_STATUS(ostler_model_config_init(&config, sizeof config), OSTLER_OK);
    return config;
}

static inline ostler_model *make_model(ostler_orchestrator *orchestrator, ostler_model_config config,
                                       ostler_model_callbacks callbacks, void *user_data)
{
    ostler_model *model;
    CHECK_STATUS(ostler_model_create(orchestrator, &config, &callbacks, user_data, &model), OSTLER_OK);
    return model;
}

static inline ostler_orchestrator *make_orchestrator(void)
{
    ostler_orchestrator *orchestrator;
    CHECK_STATUS(ostler_orchestrator_create(NULL, &orchestrator), OSTLER_OK);
    return orchestrator;
}

static inline ostler_model_stats model_stats(ostler_model *model)
{
    ostler_model_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_model_get_stats(model, &stats), OSTLER_OK);
    return stats;
}

static inline ostler_orchestrator_stats orchestrator_stats(ostler_orchestrator *orchestrator)
{
    ostler_orchestrator_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_orchestrator_get_stats(orchestrator, &stats), OSTLER_OK);
    return stats;
}

static inline ostler_request plain_request(void)
{
    ostler_request request;
    CHECK_STATUS(ostler_request_init(&request, sizeof request), OSTLER_OK);
    return request;
}

static inline ostler_ticket submit(ostler_model *model, ostler_request request)
{
    ostler_ticket ticket = {0};
    CHECK_STATUS(ostler_model_submit(model, &request, &ticket), OSTLER_OK);
    CHECK(ticket.value != 0);
    return ticket;
}

static inline ostler_result wait_for(ostler_orchestrator *orchestrator, ostler_ticket ticket)
{
    ostler_result result = {.struct_size = sizeof result};
    CHECK_STATUS(ostler_orchestrator_wait(orchestrator, ticket, OSTLER_FOREVER, NULL, &result), OSTLER_OK);
    return result;
}

/* What was accepted is queued, runs, or has one outcome. */
static inline void check_model_accounts(ostler_model_stats stats)
{
    CHECK_EQ(stats.accepted, stats.completed + stats.failed + stats.timed_out + stats.cancelled + stats.shed +
                                 stats.queued + stats.running);
}

static inline void check_orchestrator_accounts(ostler_orchestrator_stats stats)
{
    CHECK_EQ(stats.accepted, stats.completed + stats.failed + stats.timed_out + stats.cancelled + stats.shed +
                                 stats.queued + stats.running);
}

#endif
