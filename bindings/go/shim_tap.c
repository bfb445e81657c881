#include "shim_tap.h"

ostler_go_memory ostler_go_tap_open(uintptr_t pool)
{
    ostler_tap *tap = NULL;
    ostler_go_failure failed = failure(ostler_tap_open((ostler_pool *)pool, &tap));
    return (ostler_go_memory){failed, tap};
}

ostler_go_leased ostler_go_tap_acquire_now(ostler_tap *tap)
{
    ostler_lease lease = {0};
    void *resource = NULL;
    ostler_status status = ostler_tap_try_acquire(tap, &lease, &resource);
    return (ostler_go_leased){failure_unless_busy(status), lease.value, (uintptr_t)resource};
}

ostler_go_leased ostler_go_tap_acquire_shared(ostler_tap *tap)
{
    ostler_lease lease = {0};
    void *resource = NULL;
    ostler_status status = ostler_tap_try_acquire_shared(tap, &lease, &resource);
    return (ostler_go_leased){failure_unless_busy(status), lease.value, (uintptr_t)resource};
}

ostler_go_failure ostler_go_tap_release(ostler_tap *tap, uint64_t lease)
{
    return failure(ostler_tap_release(tap, (ostler_lease){lease}));
}

ostler_go_failure ostler_go_tap_discard(ostler_tap *tap, uint64_t lease)
{
    return failure(ostler_tap_discard(tap, (ostler_lease){lease}));
}

ostler_go_failure ostler_go_tap_close(ostler_tap *tap) { return failure(ostler_tap_close(tap)); }
