/* A forked child: each call says so, none hangs, and the parent goes on. */
#include "stalls.h"
#include <sys/wait.h>

static int in_child(void (*body)(void *), void *argument)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        alarm(120);
        body(argument);
        /* Past the exit handlers of the test, which are the parent's. */
        _exit(check_run.outcome == CHECK_FAILED);
    }
    CHECK(child > 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}

struct stable {
    struct stall stall;
    ostler_pool *pool;
    ostler_arena *arena;
    ostler_cursor *cursor;
    ostler_cancel *cancel;
    ostler_ticket running;
    ostler_lease lease;
};

static void call_everything(void *argument)
{
    struct stable *stable = argument;
    ostler_arena *arena;
    ostler_pool *pool;
    ostler_topology *topology;
    ostler_orchestrator *orchestrator;
    ostler_cancel *cancel;
    ostler_lease lease;
    ostler_ticket ticket;
    ostler_request request = {.struct_size = sizeof request};
    ostler_result result = {.struct_size = sizeof result};
    ostler_pool_callbacks callbacks = {.struct_size = sizeof callbacks};
    uint64_t still_out;
    void *memory;

    EXPECT_STATUS(ostler_arena_create(NULL, &arena), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_topology_create(NULL, &topology), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_pool_create(NULL, &callbacks, NULL, &pool), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_orchestrator_create(NULL, &orchestrator), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_cancel_create(&cancel), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_cancel_signal(stable->cancel), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_arena_alloc(stable->arena, 64, 0, &memory), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_cursor_alloc(stable->cursor, 64, 0, &memory), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_pool_acquire(stable->pool, OSTLER_FOREVER, NULL, &lease, &memory), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_pool_release(stable->pool, stable->lease), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_model_submit(stable->stall.model, &request, &ticket), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_model_wait_ready(stable->stall.model, OSTLER_FOREVER, NULL), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_orchestrator_wait(stable->stall.orchestrator, stable->running, OSTLER_FOREVER, NULL, &result),
                  OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_orchestrator_drain(stable->stall.orchestrator, OSTLER_FOREVER, NULL, &still_out),
                  OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_model_destroy(stable->stall.model), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_orchestrator_destroy(stable->stall.orchestrator), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_pool_destroy(stable->pool), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_arena_destroy(stable->arena), OSTLER_E_FORKED);
    EXPECT_STATUS(ostler_shutdown(OSTLER_FOREVER, &still_out), OSTLER_E_FORKED);
    EXPECT_STR_CONTAINS(ostler_last_error_message(), "fork");
    /* What needs no object works on. */
    EXPECT_STR_EQ(ostler_version_string(), "0.1.0");
    EXPECT_STR_EQ(ostler_status_name(OSTLER_E_FORKED), "OSTLER_E_FORKED");
}

TEST(child_of_a_busy_parent_is_told_and_the_parent_goes_on)
{
    struct stable stable;
    void *memory;
    begin_stall(&stable.stall, plain_model_config());
    stable.running = stall_worker(&stable.stall);
    stable.pool = make_pool(2, plain_pool_callbacks(), &stable);
    stable.lease = acquire_now(stable.pool);
    CHECK_STATUS(ostler_arena_create(NULL, &stable.arena), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_open(stable.arena, &stable.cursor), OSTLER_OK);
    CHECK_STATUS(ostler_cancel_create(&stable.cancel), OSTLER_OK);

    CHECK_EQ(in_child(call_everything, &stable), 0);

    CHECK_STATUS(ostler_cursor_alloc(stable.cursor, 64, 0, &memory), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_close(stable.cursor), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(stable.arena), OSTLER_OK);
    CHECK_STATUS(ostler_cancel_destroy(stable.cancel), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(stable.pool, stable.lease), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(stable.pool), OSTLER_OK);
    let_all_go(&stable.stall);
    CHECK_EQ(wait_for(stable.stall.orchestrator, stable.running).outcome, OSTLER_OUTCOME_COMPLETED);
    end_stall(&stable.stall);
}

static void exit_normally(void *argument)
{
    (void)argument;
    exit(0);
}

TEST(child_may_exit)
{
    struct stall stall;
    begin_stall(&stall, plain_model_config());
    ostler_ticket running = stall_worker(&stall);
    CHECK_EQ(in_child(exit_normally, NULL), 0);
    let_all_go(&stall);
    wait_for(stall.orchestrator, running);
    end_stall(&stall);
}

static void exec_true(void *argument)
{
    (void)argument;
    execlp("true", "true", (char *)NULL);
}

TEST(child_may_exec)
{
    ostler_orchestrator *orchestrator = make_orchestrator();
    CHECK_EQ(in_child(exec_true, NULL), 0);
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
}

CHECK_MAIN()
