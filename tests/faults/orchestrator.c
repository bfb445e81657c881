/* An orchestrator and its models, when something is refused or panics. */
#include "faults.h"

static ostler_status use_orchestrator(void)
{
    ostler_status status = OSTLER_OK;
    ostler_orchestrator_config config = {.struct_size = sizeof config, .request_slots = 8};
    ostler_model_config model_config = {.struct_size = sizeof model_config, .min_workers = 2, .max_workers = 4,
                                        .max_batch = 2, .memory_bytes = 1 << 20};
    ostler_model_callbacks callbacks = plain_model_callbacks();
    ostler_request request = {.struct_size = sizeof request};
    ostler_orchestrator *orchestrator = NULL;
    ostler_model *model = NULL;
    TRY(ostler_orchestrator_create(&config, &orchestrator));
    if (orchestrator == NULL)
        return status;
    TRY(ostler_model_create(orchestrator, &model_config, &callbacks, NULL, &model));
    for (int i = 0; model != NULL && i < 4; i++) {
        ostler_ticket ticket = {0};
        ostler_result result = {.struct_size = sizeof result};
        TRY(ostler_model_submit(model, &request, &ticket));
        if (ticket.value == 0)
            continue;
        ostler_status waited = ostler_orchestrator_wait(orchestrator, ticket, OSTLER_FOREVER, NULL, &result);
        if (waited == OSTLER_E_OUT_OF_MEMORY)
            EXPECT_STATUS(ostler_orchestrator_wait(orchestrator, ticket, OSTLER_FOREVER, NULL, &result), OSTLER_OK);
        TRY(waited);
        if (waited == OSTLER_OK)
            TRY(result.status);
    }
    /* Workers go, if there are more than two, whatever is refused meanwhile. */
    EXPECT_STATUS(ostler_governor_reclaim(UINT64_MAX, OSTLER_RECLAIM_WORKER, NULL, 0, NULL, NULL), OSTLER_OK);
    TRY(ostler_orchestrator_drain(orchestrator, OSTLER_FOREVER, NULL, NULL));
    EXPECT_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
    return status;
}

static const struct scenario orchestrator = {
    use_orchestrator, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_LOAD_FAILED, -EIO, OSTLER_OK}};

TEST(allocations_of_an_orchestrator) { fail_each_visit(&orchestrator, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(threads_of_an_orchestrator) { fail_each_visit(&orchestrator, OSTLER_FAULT_THREAD_START, EAGAIN); }
TEST(callbacks_of_an_orchestrator) { fail_each_visit(&orchestrator, OSTLER_FAULT_CALLBACK, EIO); }

TEST(panic_in_a_worker_fails_every_request_of_its_model_and_no_other)
{
    ostler_orchestrator *stable = make_orchestrator();
    ostler_model *lame = make_model(stable, plain_model_config(), plain_model_callbacks(), NULL);
    ostler_model *sound = make_model(stable, plain_model_config(), plain_model_callbacks(), NULL);
    ostler_request request = plain_request();
    ostler_ticket ticket;
    CHECK_STATUS(ostler_model_wait_ready(lame, OSTLER_FOREVER, NULL), OSTLER_OK);
    ostler_faults_set(OSTLER_FAULT_WORKER, 1, PANICS, 0);
    ostler_result result = wait_for(stable, submit(lame, request));
    ostler_faults_set(OSTLER_FAULT_WORKER, 0, 0, 0);
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_FAILED);
    CHECK_STATUS(result.status, OSTLER_E_PANIC);
    CHECK_STR_CONTAINS(result.message, "injected panic");
    CHECK_STATUS(ostler_model_submit(lame, &request, &ticket), OSTLER_E_QUARANTINED);
    CHECK_EQ(wait_for(stable, submit(sound, request)).outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_STATUS(ostler_model_destroy(lame), OSTLER_OK);
    CHECK_STATUS(ostler_orchestrator_destroy(stable), OSTLER_OK);
    check_nothing_is_left(OSTLER_FAULT_WORKER, 1);
}

TEST(panic_around_each_callback_of_a_model_ends_its_requests)
{
    for (uint64_t nth = 1; nth <= 3; nth++) {
        ostler_orchestrator *stable = make_orchestrator();
        ostler_faults_set(OSTLER_FAULT_CALLBACK, nth, PANICS, 0);
        ostler_model *model = make_model(stable, plain_model_config(), plain_model_callbacks(), NULL);
        ostler_request request = plain_request();
        for (int i = 0; i < 2; i++) {
            ostler_ticket ticket;
            ostler_status status = ostler_model_submit(model, &request, &ticket);
            if (status == OSTLER_OK)
                CHECK(wait_for(stable, ticket).outcome != 0);
            else
                CHECK_STATUS(status, OSTLER_E_QUARANTINED);
        }
        ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
        CHECK_STATUS(ostler_orchestrator_destroy(stable), OSTLER_OK);
        check_nothing_is_left(OSTLER_FAULT_CALLBACK, nth);
    }
}

CHECK_MAIN()
