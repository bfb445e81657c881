#include "shim_tracing.h"

#include "_cgo_export.h"

static void show(void *visit, const ostler_trace_group *group)
{
    ostlerGoTraceGroup((uintptr_t)visit, (ostler_trace_group *)group);
}

ostler_go_failure ostler_go_tracing_start(uint32_t max_frames, uint64_t sample_bytes, uint64_t seed)
{
    ostler_tracing_config config = {
        .struct_size = sizeof config, .max_frames = max_frames, .sample_bytes = sample_bytes, .seed = seed};
    return failure(ostler_tracing_start(&config));
}

ostler_go_failure ostler_go_tracing_stop(void) { return failure(ostler_tracing_stop()); }

ostler_go_failure ostler_go_tracing_get_stats(ostler_tracing_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_tracing_get_stats(out));
}

ostler_go_printed ostler_go_tracing_report(uint32_t by, char *buffer, uint64_t buffer_bytes)
{
    ostler_go_printed printed = {.needed_bytes = 0};
    printed.failure = failure(ostler_tracing_report(by, buffer, buffer_bytes, &printed.needed_bytes));
    return printed;
}

ostler_go_failure ostler_go_tracing_visit(uint32_t by, uintptr_t visit)
{
    return failure(ostler_tracing_visit(by, show, (void *)visit));
}
