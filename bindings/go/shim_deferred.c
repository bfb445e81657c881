#include "shim_deferred.h"
#include "_cgo_export.h"

static void settle_cell(void *key, ostler_cell cell, ostler_status outcome, void *value)
{
    (void)cell;
    ostlerGoCellSettle((uintptr_t)key, outcome, (uintptr_t)value);
}

static void discard_value(void *user_data, void *value)
{
    (void)user_data;
    ostlerGoCellDiscard((uintptr_t)value);
}

ostler_go_created ostler_go_deferred_create(uint32_t capacity)
{
    ostler_deferred_config config = {.struct_size = sizeof config, .capacity = capacity, .discard = discard_value};
    ostler_deferred *deferred = NULL;
    ostler_go_failure failed = failure(ostler_deferred_create(&config, &deferred));
    return (ostler_go_created){failed, (uintptr_t)deferred};
}

ostler_go_failure ostler_go_deferred_acquire_n(uintptr_t deferred, uint32_t count, uint64_t *cells,
                                               const uintptr_t *keys)
{
    ostler_deferred *set = (ostler_deferred *)deferred;
    ostler_status status = ostler_deferred_acquire_n(set, count, (ostler_cell *)cells);
    for (uint32_t i = 0; status == OSTLER_OK && i < count; i++)
        status = ostler_deferred_on_complete(set, (ostler_cell){cells[i]}, settle_cell, (void *)keys[i]);
    return failure(status);
}

ostler_go_failure ostler_go_deferred_complete(uintptr_t deferred, uint64_t cell, ostler_status outcome, uintptr_t value)
{
    return failure(ostler_deferred_complete((ostler_deferred *)deferred, (ostler_cell){cell}, outcome, (void *)value));
}

ostler_go_failure ostler_go_deferred_cancel(uintptr_t deferred, uint64_t cell)
{
    return failure(ostler_deferred_cancel((ostler_deferred *)deferred, (ostler_cell){cell}));
}

ostler_go_failure ostler_go_deferred_release(uintptr_t deferred, uint64_t cell)
{
    return failure(ostler_deferred_release((ostler_deferred *)deferred, (ostler_cell){cell}));
}

ostler_go_failure ostler_go_deferred_get_stats(uintptr_t deferred, ostler_deferred_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_deferred_get_stats((ostler_deferred *)deferred, out));
}

ostler_go_failure ostler_go_deferred_destroy(uintptr_t deferred)
{
    return failure(ostler_deferred_destroy((ostler_deferred *)deferred));
}
