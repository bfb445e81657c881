/* A call stack stays true when the library that it leads through is unloaded, and comes back somewhere else. */
#include "check.h"
#include <dlfcn.h>
#include <ostler.h>

static char stacks[2][2048];
static uint64_t blocks[2];
static int groups;

static void see(void *unused, const ostler_trace_group *group)
{
    (void)unused;
    if (groups < 2) {
        blocks[groups] = group->blocks;
        for (uint32_t i = 0; i < group->frame_count; i++) {
            size_t length = strlen(stacks[groups]);
            const char *module = strrchr(group->frames[i].module, '/');
            snprintf(stacks[groups] + length, sizeof stacks[groups] - length, "%s%s ", group->frames[i].function,
                     module ? module : "?");
        }
    }
    groups++;
}

static ostler_arena *take_through_plugin(void)
{
    ostler_arena *arena = NULL;
    void *plugin = dlopen(getenv("PLUGIN"), RTLD_NOW | RTLD_LOCAL);
    CHECK(plugin != NULL);
    ostler_status (*takes)(ostler_arena **arena) = NULL;
    *(void **)&takes = dlsym(plugin, "plugin_takes_memory");
    CHECK(takes != NULL);
    CHECK_STATUS(takes(&arena), OSTLER_OK);
    CHECK_EQ(dlclose(plugin), 0);
    CHECK(dlopen(getenv("PLUGIN"), RTLD_NOW | RTLD_NOLOAD) == NULL);
    return arena;
}

TEST(call_stack_outlives_its_module)
{
    CHECK_STATUS(ostler_tracing_start(NULL), OSTLER_OK);
    ostler_arena *arenas[2];
    for (int i = 0; i < 2; i++) {
        arenas[i] = take_through_plugin();
        /* Something else takes the place where the plugin was. */
        CHECK(dlopen(i == 0 ? "libm.so.6" : "libutil.so.1", RTLD_NOW) != NULL);
    }
    CHECK_STATUS(ostler_tracing_visit(OSTLER_TRACING_BY_STACK, see, NULL), OSTLER_OK);
    CHECK_EQ(groups, 1);
    CHECK_EQ(blocks[0], 2);
    CHECK_STR_CONTAINS(stacks[0], "take_deep_inside/plugin.so plugin_takes_memory/plugin.so ");
    CHECK_STR_CONTAINS(stacks[0], "take_through_plugin/unloaded");
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(ostler_arena_destroy(arenas[i]), OSTLER_OK);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

CHECK_MAIN()
