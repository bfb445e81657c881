#ifndef OSTLER_GO_SHIM_SEGMENT_H
#define OSTLER_GO_SHIM_SEGMENT_H

#include "shim.h"

typedef struct ostler_go_segment_memory {
    ostler_go_failure failure;
    ostler_segment_block block;
    void *address;
    uint64_t size_bytes;
} ostler_go_segment_memory;

typedef struct ostler_go_descriptor {
    ostler_go_failure failure;
    int32_t fd;
} ostler_go_descriptor;

ostler_go_created ostler_go_segment_create(ostler_segment_config *config, const ostler_page_source *source);
ostler_go_created ostler_go_segment_attach(int32_t fd, uint32_t access);
ostler_go_descriptor ostler_go_segment_get_fd(uintptr_t segment, uint32_t access);
ostler_go_segment_memory ostler_go_segment_alloc(uintptr_t segment, uint64_t size_bytes, uint64_t align_bytes);
ostler_go_segment_memory ostler_go_segment_get(uintptr_t segment, ostler_segment_block block);
ostler_go_segment_memory ostler_go_segment_find(uintptr_t segment, uintptr_t memory);
ostler_go_failure ostler_go_segment_set_root(uintptr_t segment, ostler_segment_block block);
ostler_go_segment_memory ostler_go_segment_get_root(uintptr_t segment);
ostler_go_failure ostler_go_segment_reset(uintptr_t segment);
ostler_go_failure ostler_go_segment_get_stats(uintptr_t segment, ostler_segment_stats *out);
ostler_go_failure ostler_go_segment_get_receipt(uintptr_t segment, ostler_receipt *out);
ostler_go_failure ostler_go_segment_destroy(uintptr_t segment);

#endif
