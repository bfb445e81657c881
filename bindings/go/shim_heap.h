#ifndef OSTLER_GO_SHIM_HEAP_H
#define OSTLER_GO_SHIM_HEAP_H

#include "shim.h"

typedef struct ostler_go_heap_number {
    ostler_go_failure failure;
    uint64_t value;
} ostler_go_heap_number;

ostler_go_failure ostler_go_heap_config_init(ostler_heap_config *config);
ostler_go_created ostler_go_heap_create(ostler_heap_config *config, const ostler_page_source *source);
typedef struct ostler_go_heap_freed {
    ostler_go_failure failure;
    uint32_t count;
} ostler_go_heap_freed;

ostler_go_memory ostler_go_heap_alloc(uintptr_t heap, uint64_t size_bytes, uint64_t align_bytes);
ostler_go_memory ostler_go_heap_resize(uintptr_t heap, void *block, uint64_t size_bytes, uint64_t align_bytes);
ostler_go_failure ostler_go_heap_free(uintptr_t heap, void *block);
ostler_go_heap_number ostler_go_heap_get_usable_bytes(uintptr_t heap, void *block);
ostler_go_failure ostler_go_heap_alloc_n(uintptr_t heap, uint64_t size_bytes, uint64_t align_bytes, uint32_t count,
                                         void **addresses);
ostler_go_heap_freed ostler_go_heap_free_n(uintptr_t heap, void *const *addresses, uint32_t count);
ostler_go_heap_number ostler_go_heap_alloc_block(uintptr_t heap, uint64_t size_bytes, uint64_t align_bytes);
ostler_go_memory ostler_go_heap_pin(uintptr_t heap, uint64_t block);
ostler_go_failure ostler_go_heap_unpin(uintptr_t heap, uint64_t block);
ostler_go_failure ostler_go_heap_resize_block(uintptr_t heap, uint64_t block, uint64_t size_bytes);
ostler_go_failure ostler_go_heap_free_block(uintptr_t heap, uint64_t block);
ostler_go_failure ostler_go_heap_get_block_info(uintptr_t heap, uint64_t block, ostler_block_info *out);
ostler_go_failure ostler_go_heap_compact(uintptr_t heap, uint64_t most_bytes, ostler_heap_compaction *out);
ostler_go_heap_number ostler_go_heap_trim(uintptr_t heap, uint64_t keep_bytes);
ostler_go_failure ostler_go_heap_check(uintptr_t heap);
ostler_go_failure ostler_go_heap_get_stats(uintptr_t heap, ostler_heap_stats *out);
ostler_go_waited ostler_go_heap_close(uintptr_t heap, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_heap_destroy(uintptr_t heap);

#endif
