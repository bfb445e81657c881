/* A model whose runs last until the test lets them go, and that notes what it ran in which order. */
#ifndef OSTLER_TESTS_STALLS_H
#define OSTLER_TESTS_STALLS_H

#include "fixtures.h"
#include <stdatomic.h>

struct stall {
    ostler_orchestrator *orchestrator;
    ostler_model *model;
    struct tally entered; /* runs that have begun */
    struct tally let_go;  /* runs that may end */
    atomic_int ran;       /* items */
    void *order[1024];    /* their user data */
};

static inline ostler_status run_stalled(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    struct stall *stall = user_data;
    (void)state;
    for (uint32_t i = 0; i < count; i++)
        stall->order[atomic_fetch_add(&stall->ran, 1) % 1024] = items[i]->user_data;
    long turn = tally_add(&stall->entered, 1);
    tally_await(&stall->let_go, turn);
    return OSTLER_OK;
}

static inline void begin_stall_with(struct stall *stall, ostler_model_config config, ostler_orchestrator *orchestrator)
{
    ostler_model_callbacks callbacks = plain_model_callbacks();
    callbacks.run = run_stalled;
    memset(stall, 0, sizeof *stall);
    stall->entered = (struct tally)TALLY_INIT;
    stall->let_go = (struct tally)TALLY_INIT;
    stall->orchestrator = orchestrator;
    stall->model = make_model(orchestrator, config, callbacks, stall);
}

static inline void begin_stall(struct stall *stall, ostler_model_config config)
{
    begin_stall_with(stall, config, make_orchestrator());
}

/* Submits a request and returns when its run has begun: from now on the only worker is busy. */
static inline ostler_ticket stall_worker(struct stall *stall)
{
    long before = tally_read(&stall->entered);
    ostler_ticket ticket = submit(stall->model, plain_request());
    tally_await(&stall->entered, before + 1);
    return ticket;
}

static inline void let_all_go(struct stall *stall)
{
    tally_add(&stall->let_go, 1000000);
}

static inline ostler_request request_of(void *user_data)
{
    ostler_request request = plain_request();
    request.user_data = user_data;
    return request;
}

static inline void end_stall(struct stall *stall)
{
    let_all_go(stall);
    CHECK_STATUS(ostler_orchestrator_drain(stall->orchestrator, OSTLER_FOREVER, NULL, NULL), OSTLER_OK);
    check_model_accounts(model_stats(stall->model));
    check_orchestrator_accounts(orchestrator_stats(stall->orchestrator));
    CHECK_EQ(orchestrator_stats(stall->orchestrator).untaken, 0);
    CHECK_STATUS(ostler_orchestrator_destroy(stall->orchestrator), OSTLER_OK);
}

#endif
