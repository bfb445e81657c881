#ifndef OSTLER_GO_SHIM_POOL_H
#define OSTLER_GO_SHIM_POOL_H

#include "shim.h"

typedef struct ostler_go_leased {
    ostler_go_failure failure;
    uint64_t lease;
    uintptr_t resource;
} ostler_go_leased;

typedef struct {
    ostler_go_failure failure;
    uint32_t ready;
    uint32_t wanted;
} ostler_go_warmed;

ostler_go_failure ostler_go_pool_config_init(ostler_pool_config *config);
ostler_go_created ostler_go_pool_create(const ostler_pool_config *config, int validates, int resets, int retags,
                                        int hears, uintptr_t id);
/* A status with its words, where it is none that only makes one wait. */
static inline ostler_go_failure failure_unless_busy(ostler_status status)
{
    if (status == OSTLER_E_EXHAUSTED || status == OSTLER_E_PAUSED)
        return (ostler_go_failure){status, NULL};
    return failure(status);
}

ostler_go_leased ostler_go_pool_acquire_now(uintptr_t pool);
ostler_go_failure ostler_go_pool_release_n(uintptr_t pool, const uint64_t *leases, uint32_t count);
ostler_go_leased ostler_go_pool_try_acquire(uintptr_t pool);
ostler_go_failure ostler_go_pool_release(uintptr_t pool, uint64_t lease);
ostler_go_failure ostler_go_pool_discard(uintptr_t pool, uint64_t lease);
ostler_go_failure ostler_go_pool_revoke(uintptr_t pool, uint64_t lease);
ostler_go_waited ostler_go_pool_trim(uintptr_t pool, uint32_t keep_idle);
ostler_go_leased ostler_go_pool_get_resource(uintptr_t pool, uint64_t lease);
ostler_go_failure ostler_go_pool_get_stats(uintptr_t pool, ostler_pool_stats *out);
ostler_go_waited ostler_go_pool_list_leases(uintptr_t pool, ostler_lease_info *leases, uint64_t capacity);
ostler_go_warmed ostler_go_pool_wait_warm(uintptr_t pool, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_pool_resize(uintptr_t pool, uint32_t min_size, uint32_t max_size);
ostler_go_failure ostler_go_pool_pause(uintptr_t pool);
ostler_go_failure ostler_go_pool_resume(uintptr_t pool);
ostler_go_failure ostler_go_pool_refresh(uintptr_t pool);
ostler_go_waited ostler_go_pool_close(uintptr_t pool, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_pool_destroy(uintptr_t pool);

#endif
