#include "shim_pool.h"
#include "_cgo_export.h"

static ostler_status pool_create(void *id, void **resource)
{
    struct ostlerGoPoolCreate_return made = ostlerGoPoolCreate((uintptr_t)id);
    *resource = (void *)made.r1;
    return made.r0;
}

static ostler_status pool_validate(void *id, void *resource)
{
    return ostlerGoPoolValidate((uintptr_t)id, (uintptr_t)resource);
}

static ostler_status pool_reset(void *id, void *resource)
{
    return ostlerGoPoolReset((uintptr_t)id, (uintptr_t)resource);
}

static void pool_destroy(void *id, void *resource)
{
    ostlerGoPoolDestroy((uintptr_t)id, (uintptr_t)resource);
}

static void pool_overdue(void *id, const ostler_lease_info *info) { ostlerGoPoolOverdue((uintptr_t)id, *info); }

ostler_go_failure ostler_go_pool_config_init(ostler_pool_config *config)
{
    return failure(ostler_pool_config_init(config, sizeof *config));
}

static void pool_event(void *id, uint32_t event, void *resource)
{
    ostlerGoPoolEvent((uintptr_t)id, event, (uintptr_t)resource);
}

static ostler_status pool_retag(void *id, void *resource, uint64_t from_tag, uint64_t to_tag)
{
    return ostlerGoPoolRetag((uintptr_t)id, (uintptr_t)resource, from_tag, to_tag);
}

ostler_go_created ostler_go_pool_create(const ostler_pool_config *config, int validates, int resets, int retags,
                                        int hears, uintptr_t id)
{
    const ostler_pool_callbacks callbacks = {
        .struct_size = sizeof callbacks,
        .create = pool_create,
        .validate = validates ? pool_validate : NULL,
        .reset = resets ? pool_reset : NULL,
        .destroy = pool_destroy,
        .overdue = pool_overdue,
        .retag = retags ? pool_retag : NULL,
        .event = hears ? pool_event : NULL,
    };
    ostler_pool *pool = NULL;
    ostler_go_failure failed = failure(ostler_pool_create(config, &callbacks, (void *)id, &pool));
    return (ostler_go_created){failed, (uintptr_t)pool};
}

ostler_go_leased ostler_go_pool_acquire_now(uintptr_t pool)
{
    ostler_lease lease = {0};
    void *resource = NULL;
    ostler_status status = ostler_pool_try_acquire((ostler_pool *)pool, &lease, &resource);
    return (ostler_go_leased){failure_unless_busy(status), lease.value, (uintptr_t)resource};
}

/* Numbers on the side of Go, which must not hand over memory that holds pointers. */
_Static_assert(sizeof(ostler_lease) == sizeof(uint64_t) && sizeof(void *) == sizeof(uintptr_t), "one word each");

ostler_go_failure ostler_go_pool_release_n(uintptr_t pool, const uint64_t *leases, uint32_t count)
{
    return failure(ostler_pool_release_n((ostler_pool *)pool, (const ostler_lease *)leases, count, NULL));
}

ostler_go_leased ostler_go_pool_try_acquire(uintptr_t pool)
{
    ostler_lease lease = {0};
    void *resource = NULL;
    ostler_go_failure failed = failure(ostler_pool_try_acquire((ostler_pool *)pool, &lease, &resource));
    return (ostler_go_leased){failed, lease.value, (uintptr_t)resource};
}

ostler_go_failure ostler_go_pool_release(uintptr_t pool, uint64_t lease)
{
    return failure(ostler_pool_release((ostler_pool *)pool, (ostler_lease){lease}));
}

ostler_go_failure ostler_go_pool_discard(uintptr_t pool, uint64_t lease)
{
    return failure(ostler_pool_discard((ostler_pool *)pool, (ostler_lease){lease}));
}

ostler_go_failure ostler_go_pool_revoke(uintptr_t pool, uint64_t lease)
{
    return failure(ostler_pool_revoke((ostler_pool *)pool, (ostler_lease){lease}));
}

ostler_go_waited ostler_go_pool_trim(uintptr_t pool, uint32_t keep_idle)
{
    uint32_t trimmed = 0;
    ostler_go_failure failed = failure(ostler_pool_trim((ostler_pool *)pool, keep_idle, &trimmed));
    return (ostler_go_waited){failed, trimmed};
}

ostler_go_leased ostler_go_pool_get_resource(uintptr_t pool, uint64_t lease)
{
    void *resource = NULL;
    ostler_go_failure failed =
        failure(ostler_pool_get_resource((ostler_pool *)pool, (ostler_lease){lease}, &resource));
    return (ostler_go_leased){failed, lease, (uintptr_t)resource};
}

ostler_go_failure ostler_go_pool_get_stats(uintptr_t pool, ostler_pool_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_pool_get_stats((ostler_pool *)pool, out));
}

ostler_go_waited ostler_go_pool_list_leases(uintptr_t pool, ostler_lease_info *leases, uint64_t capacity)
{
    ostler_go_waited listed = {0};
    listed.failure = failure(ostler_pool_list_leases((ostler_pool *)pool, leases, capacity, &listed.still_out));
    return listed;
}

ostler_go_warmed ostler_go_pool_wait_warm(uintptr_t pool, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_warmed warmed = {0};
    warmed.failure = failure(ostler_pool_wait_warm((ostler_pool *)pool, timeout_ns, (ostler_cancel *)cancel,
                                                   &warmed.ready, &warmed.wanted));
    return warmed;
}

ostler_go_failure ostler_go_pool_resize(uintptr_t pool, uint32_t min_size, uint32_t max_size)
{
    return failure(ostler_pool_resize((ostler_pool *)pool, min_size, max_size));
}

ostler_go_failure ostler_go_pool_pause(uintptr_t pool) { return failure(ostler_pool_pause((ostler_pool *)pool)); }

ostler_go_failure ostler_go_pool_resume(uintptr_t pool) { return failure(ostler_pool_resume((ostler_pool *)pool)); }

ostler_go_failure ostler_go_pool_refresh(uintptr_t pool) { return failure(ostler_pool_refresh((ostler_pool *)pool)); }

ostler_go_waited ostler_go_pool_close(uintptr_t pool, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_waited waited = {0};
    waited.failure =
        failure(ostler_pool_close((ostler_pool *)pool, timeout_ns, (ostler_cancel *)cancel, &waited.still_out));
    return waited;
}

ostler_go_failure ostler_go_pool_destroy(uintptr_t pool)
{
    return failure(ostler_pool_destroy((ostler_pool *)pool));
}
