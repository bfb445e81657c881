#ifndef OSTLER_GO_SHIM_SLAB_H
#define OSTLER_GO_SHIM_SLAB_H

#include "shim.h"

typedef struct ostler_go_slab_count {
    ostler_go_failure failure;
    uint64_t count;
} ostler_go_slab_count;

ostler_go_failure ostler_go_slab_config_init(ostler_slab_config *config);
/* An id of 0: without callbacks. */
ostler_go_created ostler_go_slab_create(ostler_slab_config *config, const ostler_page_source *source, uintptr_t id,
                                        uint32_t has_reset);
ostler_go_memory ostler_go_slab_get(uintptr_t slab);
ostler_go_failure ostler_go_slab_put(uintptr_t slab, uintptr_t slot);
ostler_go_failure ostler_go_slab_get_n(uintptr_t slab, uint32_t count, void **slots);
ostler_go_slab_count ostler_go_slab_put_n(uintptr_t slab, void *const *slots, uint32_t count);
ostler_go_slab_count ostler_go_slab_trim(uintptr_t slab);
ostler_go_slab_count ostler_go_slab_list_live(uintptr_t slab, ostler_slab_live *slots, uint64_t capacity);
ostler_go_failure ostler_go_slab_get_stats(uintptr_t slab, ostler_slab_stats *out);
ostler_go_waited ostler_go_slab_close(uintptr_t slab, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_slab_destroy(uintptr_t slab);

ostler_go_memory ostler_go_magazine_open(uintptr_t slab);
ostler_go_memory ostler_go_magazine_get(ostler_magazine *magazine);
ostler_go_failure ostler_go_magazine_put(ostler_magazine *magazine, uintptr_t slot);
ostler_go_failure ostler_go_magazine_get_n(ostler_magazine *magazine, uint32_t count, void **slots);
ostler_go_slab_count ostler_go_magazine_put_n(ostler_magazine *magazine, void *const *slots, uint32_t count);
ostler_go_failure ostler_go_magazine_close(ostler_magazine *magazine);

#endif
