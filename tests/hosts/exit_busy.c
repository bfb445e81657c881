/* Ends with workers in the middle of a run, a pool with leases out, an open cursor and a wait on another thread. */
#include <ostler.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static volatile int sink;

static ostler_status load(void *user_data, uint32_t worker, void **state)
{
    (void)worker;
    *state = user_data;
    return OSTLER_OK;
}

static ostler_status run(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    (void)user_data, (void)state, (void)items, (void)count;
    while (sink >= 0)
        sink = 1;
    return OSTLER_OK;
}

static ostler_status create(void *user_data, void **resource)
{
    *resource = user_data;
    return OSTLER_OK;
}

static void destroy(void *user_data, void *resource)
{
    (void)user_data, (void)resource;
}

static void must(ostler_status status)
{
    if (status != OSTLER_OK) {
        fprintf(stderr, "%s: %s\n", ostler_status_name(status), ostler_last_error_message());
        abort();
    }
}

static ostler_orchestrator *orchestrator;

static void *wait_for_ever(void *argument)
{
    ostler_result result = {.struct_size = sizeof result};
    ostler_orchestrator_wait(orchestrator, *(ostler_ticket *)argument, OSTLER_FOREVER, NULL, &result);
    return NULL;
}

int main(int argc, char **argv)
{
    static int anything;
    ostler_model_config config = {.struct_size = sizeof config, .min_workers = 2};
    ostler_model_callbacks callbacks = {.struct_size = sizeof callbacks, .load = load, .run = run};
    ostler_pool_config pool_config = {.struct_size = sizeof pool_config, .min_size = 1, .idle_timeout_ns = 1};
    ostler_pool_callbacks pool_callbacks = {.struct_size = sizeof pool_callbacks, .create = create, .destroy = destroy};
    ostler_request request = {.struct_size = sizeof request};
    static ostler_ticket tickets[4];
    ostler_model *model;
    ostler_pool *pool;
    ostler_arena *arena;
    ostler_cursor *cursor;
    ostler_lease lease;
    pthread_t thread;
    void *memory;

    must(ostler_orchestrator_create(NULL, &orchestrator));
    must(ostler_model_create(orchestrator, &config, &callbacks, &anything, &model));
    must(ostler_pool_create(&pool_config, &pool_callbacks, &anything, &pool));
    must(ostler_pool_acquire(pool, OSTLER_FOREVER, NULL, &lease, &memory));
    must(ostler_arena_create(NULL, &arena));
    must(ostler_cursor_open(arena, &cursor));
    for (int i = 0; i < 4; i++)
        must(ostler_model_submit(model, &request, &tickets[i]));
    pthread_create(&thread, NULL, wait_for_ever, &tickets[0]);
    /* Each time a little later, so that the end meets the threads at different places. */
    nanosleep(&(struct timespec){0, argc > 1 ? atol(argv[1]) : 0}, NULL);
    if (argc > 2 && strcmp(argv[2], "exit") == 0)
        exit(0);
    return 0;
}
