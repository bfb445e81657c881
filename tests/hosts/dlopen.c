/* A plug-in host: opens the library, uses it on a thread, closes it, and the thread ends afterwards. */
#include "check.h"
#include <dlfcn.h>
#include <ostler.h>
#include <sched.h>

static void *library;
static pthread_barrier_t barrier;

static void *use(void *argument)
{
    ostler_status (*create)(const ostler_arena_config *, ostler_arena **);
    ostler_status (*alloc)(ostler_arena *, uint64_t, uint64_t, void **);
    ostler_status (*destroy)(ostler_arena *);
    ostler_arena *arena;
    void *memory;
    (void)argument;
    *(void **)&create = dlsym(library, "ostler_arena_create");
    *(void **)&alloc = dlsym(library, "ostler_arena_alloc");
    *(void **)&destroy = dlsym(library, "ostler_arena_destroy");
    EXPECT_EQ(create(NULL, &arena), OSTLER_OK);
    EXPECT_EQ(alloc(arena, 64, 0, &memory), OSTLER_OK);
    EXPECT_EQ(destroy(arena), OSTLER_OK);
    pthread_barrier_wait(&barrier);
    /* The library is closed here. What it keeps for this thread is freed when the thread ends. */
    pthread_barrier_wait(&barrier);
    return NULL;
}

TEST(opened_used_on_a_thread_and_closed_before_the_thread_ends)
{
    const char *path = getenv("OSTLER_LIBRARY");
    CHECK(path != NULL);
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        pthread_barrier_init(&barrier, NULL, 2);
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library == NULL)
            FAIL("%s", dlerror());
        pthread_create(&thread, NULL, use, NULL);
        pthread_barrier_wait(&barrier);
        CHECK_EQ(dlclose(library), 0);
        pthread_barrier_wait(&barrier);
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&barrier);
    }
}

static ostler_status load(void *user_data, uint32_t worker, void **state)
{
    (void)worker;
    *state = user_data;
    return OSTLER_OK;
}

static ostler_status run(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    (void)user_data, (void)state, (void)items, (void)count;
    return OSTLER_OK;
}

TEST(closed_while_its_own_threads_run)
{
    ostler_status (*orchestrator_create)(const ostler_orchestrator_config *, ostler_orchestrator **);
    ostler_status (*model_create)(ostler_orchestrator *, const ostler_model_config *, const ostler_model_callbacks *,
                                  void *, ostler_model **);
    ostler_status (*submit)(ostler_model *, const ostler_request *, ostler_ticket *);
    ostler_status (*wait)(ostler_orchestrator *, ostler_ticket, uint64_t, ostler_cancel *, ostler_result *);
    ostler_status (*shutdown)(uint64_t, uint64_t *);
    ostler_model_callbacks callbacks = {.struct_size = sizeof callbacks, .load = load, .run = run};
    ostler_request request = {.struct_size = sizeof request};
    ostler_result result = {.struct_size = sizeof result};
    ostler_orchestrator *orchestrator;
    ostler_model *model;
    ostler_ticket ticket;

    library = dlopen(getenv("OSTLER_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    *(void **)&orchestrator_create = dlsym(library, "ostler_orchestrator_create");
    *(void **)&model_create = dlsym(library, "ostler_model_create");
    *(void **)&submit = dlsym(library, "ostler_model_submit");
    *(void **)&wait = dlsym(library, "ostler_orchestrator_wait");
    *(void **)&shutdown = dlsym(library, "ostler_shutdown");
    CHECK_EQ(orchestrator_create(NULL, &orchestrator), OSTLER_OK);
    CHECK_EQ(model_create(orchestrator, NULL, &callbacks, &request, &model), OSTLER_OK);
    CHECK_EQ(dlclose(library), 0);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(submit(model, &request, &ticket), OSTLER_OK);
        CHECK_EQ(wait(orchestrator, ticket, OSTLER_FOREVER, NULL, &result), OSTLER_OK);
    }
    CHECK_EQ(shutdown(OSTLER_FOREVER, NULL), OSTLER_OK);
}

CHECK_MAIN()
