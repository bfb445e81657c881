#include "shim_buffers.h"
#include "_cgo_export.h"

static void buffers_release(void *id, void *data)
{
    (void)data;
    ostlerGoBuffersRelease((uintptr_t)id);
}

ostler_go_failure ostler_go_buffers_config_init(ostler_buffers_config *config)
{
    return failure(ostler_buffers_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_buffers_create(ostler_buffers_config *config, const ostler_page_source *source)
{
    config->source = source;
    ostler_buffers *buffers = NULL;
    ostler_go_failure failed = failure(ostler_buffers_create(config, &buffers));
    return (ostler_go_created){failed, (uintptr_t)buffers};
}

ostler_go_failure ostler_go_buffers_destroy(uintptr_t buffers)
{
    return failure(ostler_buffers_destroy((ostler_buffers *)buffers));
}

ostler_go_waited ostler_go_buffers_close(uintptr_t buffers, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_waited waited = {.still_out = 0};
    waited.failure =
        failure(ostler_buffers_close((ostler_buffers *)buffers, timeout_ns, (ostler_cancel *)cancel, &waited.still_out));
    return waited;
}

ostler_go_failure ostler_go_buffers_get_stats(uintptr_t buffers, ostler_buffers_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_buffers_get_stats((ostler_buffers *)buffers, out));
}

ostler_go_freed ostler_go_buffers_trim(uintptr_t buffers, uint64_t keep_bytes)
{
    ostler_go_freed freed = {.freed_bytes = 0};
    freed.failure = failure(ostler_buffers_trim((ostler_buffers *)buffers, keep_bytes, &freed.freed_bytes));
    return freed;
}

ostler_go_buffer ostler_go_buffers_get(uintptr_t buffers, uint64_t size_bytes)
{
    ostler_go_buffer got = {.size_bytes = size_bytes};
    ostler_buffer view = {0};
    got.failure = failure(ostler_buffers_get((ostler_buffers *)buffers, size_bytes, &view, &got.data));
    got.view = view.value;
    return got;
}

ostler_go_buffer ostler_go_buffers_wrap(uintptr_t buffers, void *data, uint64_t size_bytes, uintptr_t id)
{
    ostler_go_buffer wrapped = {.data = data, .size_bytes = size_bytes};
    ostler_buffer view = {0};
    wrapped.failure = failure(
        ostler_buffers_wrap((ostler_buffers *)buffers, data, size_bytes, buffers_release, (void *)id, &view));
    wrapped.view = view.value;
    return wrapped;
}

ostler_go_buffer ostler_go_buffers_share(uintptr_t buffers, uint64_t view)
{
    ostler_go_buffer shared = {.view = view};
    ostler_status status = ostler_buffers_retain((ostler_buffers *)buffers, (ostler_buffer){view});
    if (status == OSTLER_OK)
        status = ostler_buffers_get_data((ostler_buffers *)buffers, (ostler_buffer){view}, &shared.data,
                                         &shared.size_bytes);
    shared.failure = failure(status);
    return shared;
}

ostler_go_buffer ostler_go_buffers_slice(uintptr_t buffers, uint64_t view, uint64_t offset_bytes, uint64_t size_bytes)
{
    ostler_go_buffer part = {.size_bytes = size_bytes};
    ostler_buffer slice = {0};
    part.failure = failure(
        ostler_buffers_slice((ostler_buffers *)buffers, (ostler_buffer){view}, offset_bytes, size_bytes, &slice));
    part.view = slice.value;
    if (slice.value != 0)
        (void)ostler_buffers_get_data((ostler_buffers *)buffers, slice, &part.data, NULL);
    return part;
}

ostler_go_failure ostler_go_buffers_truncate(uintptr_t buffers, uint64_t view, uint64_t size_bytes)
{
    return failure(ostler_buffers_truncate((ostler_buffers *)buffers, (ostler_buffer){view}, size_bytes));
}

ostler_go_failure ostler_go_buffers_get_class_stats(uintptr_t buffers, uint64_t class_index,
                                                    ostler_buffers_class_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_buffers_get_class_stats((ostler_buffers *)buffers, class_index, out));
}

ostler_go_released ostler_go_buffers_release_n(uintptr_t buffers, const ostler_buffer *views, uint32_t count)
{
    ostler_go_released ended = {.released = 0};
    ended.failure = failure(ostler_buffers_release_n((ostler_buffers *)buffers, views, count, &ended.released));
    return ended;
}

ostler_go_failure ostler_go_buffers_retain(uintptr_t buffers, uint64_t view)
{
    return failure(ostler_buffers_retain((ostler_buffers *)buffers, (ostler_buffer){view}));
}

ostler_go_failure ostler_go_buffers_release(uintptr_t buffers, uint64_t view)
{
    return failure(ostler_buffers_release((ostler_buffers *)buffers, (ostler_buffer){view}));
}
