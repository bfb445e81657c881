#include "shim_segment.h"

ostler_go_created ostler_go_segment_create(ostler_segment_config *config, const ostler_page_source *source)
{
    config->struct_size = sizeof *config;
    config->source = source;
    ostler_segment *segment = NULL;
    ostler_go_failure failed = failure(ostler_segment_create(config, &segment));
    return (ostler_go_created){failed, (uintptr_t)segment};
}

ostler_go_created ostler_go_segment_attach(int32_t fd, uint32_t access)
{
    ostler_segment *segment = NULL;
    ostler_go_failure failed = failure(ostler_segment_attach(fd, access, &segment));
    return (ostler_go_created){failed, (uintptr_t)segment};
}

ostler_go_descriptor ostler_go_segment_get_fd(uintptr_t segment, uint32_t access)
{
    ostler_go_descriptor descriptor = {0};
    descriptor.failure = failure(ostler_segment_get_fd((ostler_segment *)segment, access, &descriptor.fd));
    return descriptor;
}

ostler_go_segment_memory ostler_go_segment_alloc(uintptr_t segment, uint64_t size_bytes, uint64_t align_bytes)
{
    ostler_go_segment_memory memory = {.size_bytes = size_bytes};
    memory.failure = failure(
        ostler_segment_alloc((ostler_segment *)segment, size_bytes, align_bytes, &memory.block, &memory.address));
    return memory;
}

ostler_go_segment_memory ostler_go_segment_get(uintptr_t segment, ostler_segment_block block)
{
    ostler_go_segment_memory memory = {.block = block};
    memory.failure = failure(ostler_segment_get((ostler_segment *)segment, block, &memory.address, &memory.size_bytes));
    return memory;
}

ostler_go_segment_memory ostler_go_segment_find(uintptr_t segment, uintptr_t memory)
{
    ostler_go_segment_memory found = {0};
    found.failure = failure(ostler_segment_find((ostler_segment *)segment, (const void *)memory, &found.block));
    return found;
}

ostler_go_failure ostler_go_segment_set_root(uintptr_t segment, ostler_segment_block block)
{
    return failure(ostler_segment_set_root((ostler_segment *)segment, block));
}

ostler_go_segment_memory ostler_go_segment_get_root(uintptr_t segment)
{
    ostler_go_segment_memory root = {0};
    root.failure = failure(ostler_segment_get_root((ostler_segment *)segment, &root.block));
    return root;
}

ostler_go_failure ostler_go_segment_reset(uintptr_t segment)
{
    return failure(ostler_segment_reset((ostler_segment *)segment));
}

ostler_go_failure ostler_go_segment_get_stats(uintptr_t segment, ostler_segment_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_segment_get_stats((ostler_segment *)segment, out));
}

ostler_go_failure ostler_go_segment_get_receipt(uintptr_t segment, ostler_receipt *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_segment_get_receipt((ostler_segment *)segment, out));
}

ostler_go_failure ostler_go_segment_destroy(uintptr_t segment)
{
    return failure(ostler_segment_destroy((ostler_segment *)segment));
}
