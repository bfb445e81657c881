#ifndef OSTLER_GO_SHIM_BUFFERS_H
#define OSTLER_GO_SHIM_BUFFERS_H

#include "shim.h"

typedef struct ostler_go_buffer {
    ostler_go_failure failure;
    uint64_t view;
    void *data;
    uint64_t size_bytes;
} ostler_go_buffer;

typedef struct ostler_go_freed {
    ostler_go_failure failure;
    uint64_t freed_bytes;
} ostler_go_freed;

typedef struct ostler_go_released {
    ostler_go_failure failure;
    uint32_t released;
} ostler_go_released;

ostler_go_failure ostler_go_buffers_config_init(ostler_buffers_config *config);
ostler_go_created ostler_go_buffers_create(ostler_buffers_config *config, const ostler_page_source *source);
ostler_go_failure ostler_go_buffers_destroy(uintptr_t buffers);
ostler_go_waited ostler_go_buffers_close(uintptr_t buffers, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_buffers_get_stats(uintptr_t buffers, ostler_buffers_stats *out);
ostler_go_freed ostler_go_buffers_trim(uintptr_t buffers, uint64_t keep_bytes);
ostler_go_buffer ostler_go_buffers_get(uintptr_t buffers, uint64_t size_bytes);
ostler_go_buffer ostler_go_buffers_wrap(uintptr_t buffers, void *data, uint64_t size_bytes, uintptr_t id);
/* One more reference to a view, and what it shows. */
ostler_go_buffer ostler_go_buffers_share(uintptr_t buffers, uint64_t view);
ostler_go_buffer ostler_go_buffers_slice(uintptr_t buffers, uint64_t view, uint64_t offset_bytes, uint64_t size_bytes);
ostler_go_failure ostler_go_buffers_truncate(uintptr_t buffers, uint64_t view, uint64_t size_bytes);
ostler_go_failure ostler_go_buffers_get_class_stats(uintptr_t buffers, uint64_t class_index,
                                                    ostler_buffers_class_stats *out);
ostler_go_released ostler_go_buffers_release_n(uintptr_t buffers, const ostler_buffer *views, uint32_t count);
ostler_go_failure ostler_go_buffers_retain(uintptr_t buffers, uint64_t view);
ostler_go_failure ostler_go_buffers_release(uintptr_t buffers, uint64_t view);

#endif
