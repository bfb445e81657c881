#include "shim_lazy.h"
#include "_cgo_export.h"

static ostler_status lazy_load(void *id, void **value, uint64_t *size_bytes)
{
    struct ostlerGoLazyLoad_return made = ostlerGoLazyLoad((uintptr_t)id);
    *value = (void *)made.r1;
    *size_bytes = made.r2;
    return made.r0;
}

static void lazy_drop(void *id, void *value)
{
    ostlerGoLazyDrop((uintptr_t)id, (uintptr_t)value);
}

ostler_go_failure ostler_go_lazy_config_init(ostler_lazy_config *config)
{
    return failure(ostler_lazy_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_lazy_create(const ostler_lazy_config *config, uintptr_t id)
{
    const ostler_lazy_callbacks callbacks = {.struct_size = sizeof callbacks, .load = lazy_load, .drop = lazy_drop};
    ostler_lazy *lazy = NULL;
    ostler_go_failure failed = failure(ostler_lazy_create(config, &callbacks, (void *)id, &lazy));
    return (ostler_go_created){failed, (uintptr_t)lazy};
}

ostler_go_created ostler_go_lazy_open_file(ostler_lazy_config *config, const ostler_page_source *source,
                                           const char *path)
{
    config->source = source;
    ostler_lazy *lazy = NULL;
    ostler_go_failure failed = failure(ostler_lazy_open_file(config, path, &lazy));
    return (ostler_go_created){failed, (uintptr_t)lazy};
}

ostler_go_failure ostler_go_lazy_destroy(uintptr_t lazy)
{
    return failure(ostler_lazy_destroy((ostler_lazy *)lazy));
}

ostler_go_failure ostler_go_lazy_invalidate(uintptr_t lazy)
{
    return failure(ostler_lazy_invalidate((ostler_lazy *)lazy));
}

ostler_go_dropped ostler_go_lazy_drop(uintptr_t lazy)
{
    ostler_go_dropped dropped = {.freed_bytes = 0};
    dropped.failure = failure(ostler_lazy_drop((ostler_lazy *)lazy, &dropped.freed_bytes));
    return dropped;
}

ostler_go_failure ostler_go_lazy_get_stats(uintptr_t lazy, ostler_lazy_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_lazy_get_stats((ostler_lazy *)lazy, out));
}

ostler_go_memory ostler_go_reader_open(uintptr_t lazy)
{
    ostler_reader *reader = NULL;
    ostler_go_failure failed = failure(ostler_reader_open((ostler_lazy *)lazy, &reader));
    return (ostler_go_memory){failed, reader};
}

ostler_go_pinned ostler_go_reader_pin(ostler_reader *reader, uint64_t timeout_ns, uintptr_t cancel)
{
    void *value = NULL;
    ostler_go_failure failed = failure(ostler_reader_pin(reader, timeout_ns, (ostler_cancel *)cancel, &value));
    return (ostler_go_pinned){failed, (uintptr_t)value};
}

ostler_go_failure ostler_go_reader_unpin(ostler_reader *reader)
{
    return failure(ostler_reader_unpin(reader));
}

ostler_go_failure ostler_go_reader_settle(ostler_reader *reader)
{
    return failure(ostler_reader_settle(reader));
}

ostler_go_failure ostler_go_reader_close(ostler_reader *reader)
{
    return failure(ostler_reader_close(reader));
}
