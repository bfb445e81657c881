#ifndef OSTLER_GO_SHIM_TURN_H
#define OSTLER_GO_SHIM_TURN_H

#include "shim_pool.h"

/* With a ticket it waits, and is neither leased nor a failure. */
typedef struct ostler_go_turn {
    ostler_go_leased leased;
    uint64_t ticket;
    uint64_t look_again_ns;
} ostler_go_turn;

ostler_go_turn ostler_go_pool_begin_acquire(uintptr_t pool, uint32_t priority, uint64_t tag, uint64_t timeout_ns,
                                            uintptr_t bell);
ostler_go_turn ostler_go_pool_continue_acquire(uintptr_t pool, uint64_t ticket, uint32_t cancelled);
ostler_go_turn ostler_go_tap_begin_acquire(ostler_tap *tap, uint64_t timeout_ns, uintptr_t bell);
ostler_go_turn ostler_go_pool_begin_acquire_n(uintptr_t pool, uint32_t count, uint64_t timeout_ns, uintptr_t bell,
                                              uint64_t *leases, uintptr_t *resources);
ostler_go_turn ostler_go_pool_continue_acquire_n(uintptr_t pool, uint64_t ticket, uint32_t count, uint32_t cancelled,
                                                 uint64_t *leases, uintptr_t *resources);

#endif
