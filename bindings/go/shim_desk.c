#include "shim_desk.h"

ostler_go_memory ostler_go_desk_open(uintptr_t deferred)
{
    ostler_desk *desk = NULL;
    ostler_go_failure failed = failure(ostler_desk_open((ostler_deferred *)deferred, &desk));
    return (ostler_go_memory){failed, desk};
}

ostler_go_cell ostler_go_desk_acquire(ostler_desk *desk)
{
    ostler_cell cell = {0};
    ostler_go_failure failed = failure(ostler_desk_acquire(desk, &cell));
    return (ostler_go_cell){failed, cell.value};
}

ostler_go_failure ostler_go_desk_complete(ostler_desk *desk, uint64_t cell, ostler_status outcome, uintptr_t value)
{
    return failure(ostler_desk_complete(desk, (ostler_cell){cell}, outcome, (void *)value));
}

ostler_go_came ostler_go_desk_poll(ostler_desk *desk, uint64_t cell)
{
    ostler_status outcome = OSTLER_OK;
    void *value = NULL;
    ostler_go_failure failed = failure(ostler_desk_poll(desk, (ostler_cell){cell}, &outcome, &value));
    return (ostler_go_came){failed, outcome, (uintptr_t)value};
}

ostler_go_failure ostler_go_desk_release(ostler_desk *desk, uint64_t cell)
{
    return failure(ostler_desk_release(desk, (ostler_cell){cell}));
}

ostler_go_failure ostler_go_desk_close(ostler_desk *desk) { return failure(ostler_desk_close(desk)); }
