#include "shim_arena.h"

ostler_go_failure ostler_go_arena_config_init(ostler_arena_config *config)
{
    return failure(ostler_arena_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_arena_create(ostler_arena_config *config, const ostler_page_source *source)
{
    config->source = source;
    ostler_arena *arena = NULL;
    ostler_go_failure failed = failure(ostler_arena_create(config, &arena));
    return (ostler_go_created){failed, (uintptr_t)arena};
}

ostler_go_memory ostler_go_arena_alloc(uintptr_t arena, uint64_t size_bytes, uint64_t align_bytes)
{
    ostler_go_memory memory = {0};
    memory.failure = failure(ostler_arena_alloc((ostler_arena *)arena, size_bytes, align_bytes, &memory.address));
    return memory;
}

ostler_go_failure ostler_go_arena_mark(uintptr_t arena, ostler_mark *out)
{
    return failure(ostler_arena_mark((ostler_arena *)arena, out));
}

ostler_go_failure ostler_go_arena_rewind(uintptr_t arena, ostler_mark mark)
{
    return failure(ostler_arena_rewind((ostler_arena *)arena, &mark));
}

ostler_go_failure ostler_go_arena_reset(uintptr_t arena, uint32_t mode)
{
    return failure(ostler_arena_reset((ostler_arena *)arena, mode));
}

ostler_go_failure ostler_go_arena_get_stats(uintptr_t arena, ostler_arena_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_arena_get_stats((ostler_arena *)arena, out));
}

ostler_go_trimmed ostler_go_arena_trim(uintptr_t arena, uint64_t keep_bytes)
{
    ostler_go_trimmed trimmed = {0};
    trimmed.failure = failure(ostler_arena_trim((ostler_arena *)arena, keep_bytes, &trimmed.given_back_bytes));
    return trimmed;
}

ostler_go_failure ostler_go_arena_adopt(uintptr_t arena, uintptr_t memory, uint64_t memory_bytes)
{
    return failure(ostler_arena_adopt((ostler_arena *)arena, (void *)memory, memory_bytes));
}

ostler_go_created ostler_go_arena_hand_over(uintptr_t arena)
{
    ostler_arena *heir = NULL;
    ostler_go_failure failed = failure(ostler_arena_hand_over((ostler_arena *)arena, &heir));
    return (ostler_go_created){failed, (uintptr_t)heir};
}

ostler_go_failure ostler_go_arena_begin_region(uintptr_t arena, ostler_mark *out)
{
    return failure(ostler_arena_begin_region((ostler_arena *)arena, out));
}

ostler_go_failure ostler_go_arena_hand_over_region(uintptr_t arena, ostler_mark region, uintptr_t into)
{
    return failure(ostler_arena_hand_over_region((ostler_arena *)arena, &region, (ostler_arena *)into));
}

ostler_go_waited ostler_go_arena_close(uintptr_t arena, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_waited waited = {0};
    waited.failure =
        failure(ostler_arena_close((ostler_arena *)arena, timeout_ns, (ostler_cancel *)cancel, &waited.still_out));
    return waited;
}

ostler_go_failure ostler_go_arena_destroy(uintptr_t arena)
{
    return failure(ostler_arena_destroy((ostler_arena *)arena));
}
