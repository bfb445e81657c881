#include "shim_turn.h"
#include "_cgo_export.h"

static void ring(void *bell) { ostlerGoRing((uintptr_t)bell); }

static ostler_go_turn begun(ostler_status status, ostler_ticket ticket, uint64_t look_again_ns, ostler_lease lease,
                            void *resource)
{
    return (ostler_go_turn){.leased = {failure(status), lease.value, (uintptr_t)resource},
                            .ticket = ticket.value,
                            .look_again_ns = look_again_ns};
}

ostler_go_turn ostler_go_pool_begin_acquire(uintptr_t pool, uint32_t priority, uint64_t tag, uint64_t timeout_ns,
                                            uintptr_t bell)
{
    const ostler_acquire how = {
        .struct_size = sizeof how, .priority = priority, .timeout_ns = timeout_ns, .tag = tag};
    ostler_ticket ticket = {0};
    ostler_lease lease = {0};
    void *resource = NULL;
    uint64_t look_again_ns = 0;
    ostler_status status = ostler_pool_begin_acquire((ostler_pool *)pool, &how, ring, (void *)bell, &ticket,
                                                     &look_again_ns, &lease, &resource);
    return begun(status, ticket, look_again_ns, lease, resource);
}

ostler_go_turn ostler_go_pool_continue_acquire(uintptr_t pool, uint64_t ticket, uint32_t cancelled)
{
    ostler_lease lease = {0};
    void *resource = NULL;
    ostler_go_turn turn = {0};
    ostler_status status = ostler_pool_continue_acquire((ostler_pool *)pool, (ostler_ticket){ticket}, cancelled,
                                                        &turn.look_again_ns, &lease, &resource);
    if (status == OSTLER_E_NOT_READY)
        turn.ticket = ticket;
    else
        turn.leased = (ostler_go_leased){failure(status), lease.value, (uintptr_t)resource};
    return turn;
}

ostler_go_turn ostler_go_tap_begin_acquire(ostler_tap *tap, uint64_t timeout_ns, uintptr_t bell)
{
    const ostler_acquire how = {.struct_size = sizeof how, .timeout_ns = timeout_ns};
    ostler_ticket ticket = {0};
    ostler_lease lease = {0};
    void *resource = NULL;
    uint64_t look_again_ns = 0;
    ostler_status status =
        ostler_tap_begin_acquire(tap, &how, ring, (void *)bell, &ticket, &look_again_ns, &lease, &resource);
    return begun(status, ticket, look_again_ns, lease, resource);
}

ostler_go_turn ostler_go_pool_begin_acquire_n(uintptr_t pool, uint32_t count, uint64_t timeout_ns, uintptr_t bell,
                                              uint64_t *leases, uintptr_t *resources)
{
    const ostler_acquire how = {.struct_size = sizeof how, .timeout_ns = timeout_ns};
    ostler_ticket ticket = {0};
    ostler_go_turn turn = {0};
    turn.leased.failure =
        failure(ostler_pool_begin_acquire_n((ostler_pool *)pool, &how, count, ring, (void *)bell, &ticket,
                                            &turn.look_again_ns, (ostler_lease *)leases, (void **)resources));
    turn.ticket = ticket.value;
    return turn;
}

ostler_go_turn ostler_go_pool_continue_acquire_n(uintptr_t pool, uint64_t ticket, uint32_t count, uint32_t cancelled,
                                                 uint64_t *leases, uintptr_t *resources)
{
    ostler_go_turn turn = {0};
    ostler_status status =
        ostler_pool_continue_acquire_n((ostler_pool *)pool, (ostler_ticket){ticket}, count, cancelled,
                                       &turn.look_again_ns, (ostler_lease *)leases, (void **)resources);
    if (status == OSTLER_E_NOT_READY)
        turn.ticket = ticket;
    else
        turn.leased.failure = failure(status);
    return turn;
}
