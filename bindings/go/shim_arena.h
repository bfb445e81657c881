#ifndef OSTLER_GO_SHIM_ARENA_H
#define OSTLER_GO_SHIM_ARENA_H

#include "shim.h"

typedef struct ostler_go_trimmed {
    ostler_go_failure failure;
    uint64_t given_back_bytes;
} ostler_go_trimmed;

ostler_go_failure ostler_go_arena_config_init(ostler_arena_config *config);
ostler_go_created ostler_go_arena_create(ostler_arena_config *config, const ostler_page_source *source);
ostler_go_memory ostler_go_arena_alloc(uintptr_t arena, uint64_t size_bytes, uint64_t align_bytes);
ostler_go_failure ostler_go_arena_mark(uintptr_t arena, ostler_mark *out);
ostler_go_failure ostler_go_arena_rewind(uintptr_t arena, ostler_mark mark);
ostler_go_failure ostler_go_arena_reset(uintptr_t arena, uint32_t mode);
ostler_go_failure ostler_go_arena_get_stats(uintptr_t arena, ostler_arena_stats *out);
ostler_go_trimmed ostler_go_arena_trim(uintptr_t arena, uint64_t keep_bytes);
ostler_go_failure ostler_go_arena_adopt(uintptr_t arena, uintptr_t memory, uint64_t memory_bytes);
ostler_go_created ostler_go_arena_hand_over(uintptr_t arena);
ostler_go_failure ostler_go_arena_begin_region(uintptr_t arena, ostler_mark *out);
ostler_go_failure ostler_go_arena_hand_over_region(uintptr_t arena, ostler_mark region, uintptr_t into);
ostler_go_waited ostler_go_arena_close(uintptr_t arena, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_arena_destroy(uintptr_t arena);

#endif
