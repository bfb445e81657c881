#include "shim_heap.h"

ostler_go_failure ostler_go_heap_config_init(ostler_heap_config *config)
{
    return failure(ostler_heap_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_heap_create(ostler_heap_config *config, const ostler_page_source *source)
{
    config->source = source;
    ostler_heap *heap = NULL;
    ostler_go_failure failed = failure(ostler_heap_create(config, &heap));
    return (ostler_go_created){failed, (uintptr_t)heap};
}

ostler_go_memory ostler_go_heap_alloc(uintptr_t heap, uint64_t size_bytes, uint64_t align_bytes)
{
    ostler_go_memory memory = {0};
    memory.failure = failure(ostler_heap_alloc((ostler_heap *)heap, size_bytes, align_bytes, &memory.address));
    return memory;
}

ostler_go_memory ostler_go_heap_resize(uintptr_t heap, void *block, uint64_t size_bytes, uint64_t align_bytes)
{
    ostler_go_memory memory = {0};
    memory.failure =
        failure(ostler_heap_resize((ostler_heap *)heap, block, size_bytes, align_bytes, &memory.address));
    return memory;
}

ostler_go_failure ostler_go_heap_free(uintptr_t heap, void *block)
{
    return failure(ostler_heap_free((ostler_heap *)heap, block));
}

ostler_go_heap_number ostler_go_heap_get_usable_bytes(uintptr_t heap, void *block)
{
    ostler_go_heap_number usable = {0};
    usable.failure = failure(ostler_heap_get_usable_bytes((ostler_heap *)heap, block, &usable.value));
    return usable;
}

ostler_go_failure ostler_go_heap_alloc_n(uintptr_t heap, uint64_t size_bytes, uint64_t align_bytes, uint32_t count,
                                         void **addresses)
{
    return failure(ostler_heap_alloc_n((ostler_heap *)heap, size_bytes, align_bytes, count, addresses));
}

ostler_go_heap_freed ostler_go_heap_free_n(uintptr_t heap, void *const *addresses, uint32_t count)
{
    ostler_go_heap_freed freed = {0};
    freed.failure = failure(ostler_heap_free_n((ostler_heap *)heap, addresses, count, &freed.count));
    return freed;
}

ostler_go_heap_number ostler_go_heap_alloc_block(uintptr_t heap, uint64_t size_bytes, uint64_t align_bytes)
{
    ostler_block block = {0};
    ostler_go_failure failed = failure(ostler_heap_alloc_block((ostler_heap *)heap, size_bytes, align_bytes, &block));
    return (ostler_go_heap_number){failed, block.value};
}

ostler_go_memory ostler_go_heap_pin(uintptr_t heap, uint64_t block)
{
    ostler_go_memory memory = {0};
    memory.failure = failure(ostler_heap_pin((ostler_heap *)heap, (ostler_block){block}, &memory.address));
    return memory;
}

ostler_go_failure ostler_go_heap_unpin(uintptr_t heap, uint64_t block)
{
    return failure(ostler_heap_unpin((ostler_heap *)heap, (ostler_block){block}));
}

ostler_go_failure ostler_go_heap_resize_block(uintptr_t heap, uint64_t block, uint64_t size_bytes)
{
    return failure(ostler_heap_resize_block((ostler_heap *)heap, (ostler_block){block}, size_bytes));
}

ostler_go_failure ostler_go_heap_free_block(uintptr_t heap, uint64_t block)
{
    return failure(ostler_heap_free_block((ostler_heap *)heap, (ostler_block){block}));
}

ostler_go_failure ostler_go_heap_get_block_info(uintptr_t heap, uint64_t block, ostler_block_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_heap_get_block_info((ostler_heap *)heap, (ostler_block){block}, out));
}

ostler_go_failure ostler_go_heap_compact(uintptr_t heap, uint64_t most_bytes, ostler_heap_compaction *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_heap_compact((ostler_heap *)heap, most_bytes, out));
}

ostler_go_heap_number ostler_go_heap_trim(uintptr_t heap, uint64_t keep_bytes)
{
    ostler_go_heap_number trimmed = {0};
    trimmed.failure = failure(ostler_heap_trim((ostler_heap *)heap, keep_bytes, &trimmed.value));
    return trimmed;
}

ostler_go_failure ostler_go_heap_check(uintptr_t heap)
{
    return failure(ostler_heap_check((ostler_heap *)heap));
}

ostler_go_failure ostler_go_heap_get_stats(uintptr_t heap, ostler_heap_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_heap_get_stats((ostler_heap *)heap, out));
}

ostler_go_waited ostler_go_heap_close(uintptr_t heap, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_waited waited = {0};
    waited.failure =
        failure(ostler_heap_close((ostler_heap *)heap, timeout_ns, (ostler_cancel *)cancel, &waited.still_out));
    return waited;
}

ostler_go_failure ostler_go_heap_destroy(uintptr_t heap)
{
    return failure(ostler_heap_destroy((ostler_heap *)heap));
}
