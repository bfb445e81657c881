/* Ostler in one sitting: memory from an arena, a lease from a pool, an answer from a warm worker.
 *     cc -std=c11 quickstart.c $(pkg-config --cflags --libs ostler) -o quickstart && ./quickstart */
#include <ostler.h>
#include <ostler_inline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(ostler_status status)
{
    if (status == OSTLER_OK)
        return;
    fprintf(stderr, "quickstart: %s: %s\n", ostler_status_name(status), ostler_last_error_message());
    exit(1);
}

/* A pool makes what is dear once and lends it out. Here: a buffer. */
static ostler_status make_buffer(void *user_data, void **resource)
{
    *resource = calloc(1, *(size_t *)user_data);
    return *resource != NULL ? OSTLER_OK : OSTLER_E_OUT_OF_MEMORY;
}

static void free_buffer(void *user_data, void *resource)
{
    (void)user_data, free(resource);
}

/* A worker loads its state once and keeps it warm. Here: a factor. */
static ostler_status load(void *user_data, uint32_t worker, void **state)
{
    return (void)worker, *state = user_data, OSTLER_OK;
}

static ostler_status run(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    (void)user_data;
    for (uint32_t i = 0; i < count; i++) {
        *(int *)items[i]->output = *(const int *)items[i]->input * *(const int *)state;
        items[i]->output_bytes = sizeof(int);
    }
    return OSTLER_OK;
}

int main(void)
{
    void *memory, *buffer;
    ostler_arena *arena;
    ostler_cursor *cursor;
    must(ostler_arena_create(NULL, &arena));
    must(ostler_cursor_open(arena, &cursor));
    must(ostler_cursor_alloc_inline(cursor, 2 * sizeof(int), sizeof(int), &memory));

    size_t bytes = 4096;
    ostler_lease lease;
    ostler_pool *pool;
    ostler_pool_callbacks pooled = {.struct_size = sizeof pooled, .create = make_buffer, .destroy = free_buffer};
    must(ostler_pool_create(NULL, &pooled, &bytes, &pool));
    must(ostler_pool_acquire(pool, OSTLER_FOREVER, NULL, &lease, &buffer));
    int factor = 7, *number = memcpy(memory, (int[]){6, 0}, 2 * sizeof(int));
    ostler_ticket ticket;
    ostler_model *model;
    ostler_orchestrator *orchestrator;
    ostler_model_callbacks callbacks = {.struct_size = sizeof callbacks, .load = load, .run = run};
    ostler_request request = {.struct_size = sizeof request, .input = &number[0], .input_bytes = sizeof(int),
                              .output = &number[1], .output_capacity_bytes = sizeof(int)};
    must(ostler_orchestrator_create(NULL, &orchestrator));
    must(ostler_model_create(orchestrator, NULL, &callbacks, &factor, &model));
    must(ostler_model_submit(model, &request, &ticket));
    ostler_result result = {.struct_size = sizeof result};
    must(ostler_orchestrator_wait(orchestrator, ticket, OSTLER_FOREVER, NULL, &result));
    if (result.status != OSTLER_OK)
        return fprintf(stderr, "quickstart: the request failed: %s\n", result.message), 1;
    sprintf(buffer, "a warm worker says %d", number[1]);
    puts(buffer);
    must(ostler_pool_release(pool, lease));
    must(ostler_cursor_close(cursor));
    must(ostler_shutdown(OSTLER_FOREVER, NULL));
}
