#ifndef OSTLER_GO_SHIM_LAZY_H
#define OSTLER_GO_SHIM_LAZY_H

#include "shim.h"

typedef struct ostler_go_dropped {
    ostler_go_failure failure;
    uint64_t freed_bytes;
} ostler_go_dropped;

typedef struct ostler_go_pinned {
    ostler_go_failure failure;
    uintptr_t value;
} ostler_go_pinned;

ostler_go_failure ostler_go_lazy_config_init(ostler_lazy_config *config);
ostler_go_created ostler_go_lazy_create(const ostler_lazy_config *config, uintptr_t id);
ostler_go_created ostler_go_lazy_open_file(ostler_lazy_config *config, const ostler_page_source *source,
                                           const char *path);
ostler_go_failure ostler_go_lazy_destroy(uintptr_t lazy);
ostler_go_failure ostler_go_lazy_invalidate(uintptr_t lazy);
ostler_go_dropped ostler_go_lazy_drop(uintptr_t lazy);
ostler_go_failure ostler_go_lazy_get_stats(uintptr_t lazy, ostler_lazy_stats *out);
ostler_go_memory ostler_go_reader_open(uintptr_t lazy);
ostler_go_pinned ostler_go_reader_pin(ostler_reader *reader, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_reader_unpin(ostler_reader *reader);
ostler_go_failure ostler_go_reader_settle(ostler_reader *reader);
ostler_go_failure ostler_go_reader_close(ostler_reader *reader);

#endif
