/* Takes memory for a host that unloads it afterwards. */
#include <ostler.h>

ostler_status plugin_takes_memory(ostler_arena **arena);

__attribute__((noinline)) static ostler_status take_deep_inside(ostler_arena **arena)
{
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BASE};
    ostler_arena_config config = {.struct_size = sizeof config, .source = &source, .name = "plugin's"};
    return ostler_arena_create(&config, arena);
}

ostler_status plugin_takes_memory(ostler_arena **arena)
{
    ostler_status status = take_deep_inside(arena);
    return status;
}
