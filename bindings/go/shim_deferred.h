#ifndef OSTLER_GO_SHIM_DEFERRED_H
#define OSTLER_GO_SHIM_DEFERRED_H

#include "shim.h"

ostler_go_created ostler_go_deferred_create(uint32_t capacity);
/* keys: what each cell's callback gets. */
ostler_go_failure ostler_go_deferred_acquire_n(uintptr_t deferred, uint32_t count, uint64_t *cells,
                                               const uintptr_t *keys);
ostler_go_failure ostler_go_deferred_complete(uintptr_t deferred, uint64_t cell, ostler_status outcome, uintptr_t value);
ostler_go_failure ostler_go_deferred_cancel(uintptr_t deferred, uint64_t cell);
ostler_go_failure ostler_go_deferred_release(uintptr_t deferred, uint64_t cell);
ostler_go_failure ostler_go_deferred_get_stats(uintptr_t deferred, ostler_deferred_stats *out);
ostler_go_failure ostler_go_deferred_destroy(uintptr_t deferred);

#endif
