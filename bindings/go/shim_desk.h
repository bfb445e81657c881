#ifndef OSTLER_GO_SHIM_DESK_H
#define OSTLER_GO_SHIM_DESK_H

#include "shim.h"

typedef struct ostler_go_cell {
    ostler_go_failure failure;
    uint64_t cell;
} ostler_go_cell;

typedef struct ostler_go_came {
    ostler_go_failure failure;
    ostler_status outcome;
    uintptr_t value;
} ostler_go_came;

ostler_go_memory ostler_go_desk_open(uintptr_t deferred);
ostler_go_cell ostler_go_desk_acquire(ostler_desk *desk);
ostler_go_failure ostler_go_desk_complete(ostler_desk *desk, uint64_t cell, ostler_status outcome, uintptr_t value);
ostler_go_came ostler_go_desk_poll(ostler_desk *desk, uint64_t cell);
ostler_go_failure ostler_go_desk_release(ostler_desk *desk, uint64_t cell);
ostler_go_failure ostler_go_desk_close(ostler_desk *desk);

#endif
