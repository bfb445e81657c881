#ifndef OSTLER_GO_SHIM_ARENA_H
#define OSTLER_GO_SHIM_ARENA_H

#include "shim.h"

ostler_go_failure ostler_go_arena_config_init(ostler_arena_config *config);
ostler_go_created ostler_go_arena_create(ostler_arena_config *config, const ostler_page_source *source);
ostler_go_memory ostler_go_arena_alloc(uintptr_t arena, uint64_t size_bytes, uint64_t align_bytes);
ostler_go_failure ostler_go_arena_mark(uintptr_t arena, ostler_mark *out);
ostler_go_failure ostler_go_arena_rewind(uintptr_t arena, ostler_mark mark);
ostler_go_failure ostler_go_arena_reset(uintptr_t arena, uint32_t mode);
ostler_go_failure ostler_go_arena_get_stats(uintptr_t arena, ostler_arena_stats *out);
ostler_go_failure ostler_go_arena_get_receipt(uintptr_t arena, uint64_t chunk, ostler_receipt *out);
ostler_go_printed ostler_go_arena_print_receipts(uintptr_t arena, char *buffer, uint64_t buffer_bytes);
ostler_go_waited ostler_go_arena_close(uintptr_t arena, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_arena_destroy(uintptr_t arena);

#endif
