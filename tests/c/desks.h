/* Desks of sets of cells, for the tests of them: both twins of each function, and what one does with cells at a desk. */
#ifndef OSTLER_TESTS_DESKS_H
#define OSTLER_TESTS_DESKS_H

#include "cells.h"
#include <ostler_inline.h>

typedef ostler_status acquire_twin(ostler_desk *, ostler_cell *);
typedef ostler_status complete_twin(ostler_desk *, ostler_cell, ostler_status, void *);
typedef ostler_status poll_twin(ostler_desk *, ostler_cell, ostler_status *, void **);
typedef ostler_status release_twin(ostler_desk *, ostler_cell);

static acquire_twin *const acquires[] = {ostler_desk_acquire, ostler_desk_acquire_inline};
static complete_twin *const completes[] = {ostler_desk_complete, ostler_desk_complete_inline};
static poll_twin *const polls[] = {ostler_desk_poll, ostler_desk_poll_inline};
static release_twin *const releases[] = {ostler_desk_release, ostler_desk_release_inline};

enum { EXPORTED, INLINE };

#define FOR_EACH_TWIN(i) for (int i = EXPORTED; i <= INLINE; i++)

/* More uses in peace than it takes until cells stay at hand; what the word of a set says when all use it, and when nobody
 * has. */
enum { CALM = 200, ALL = 1, NOBODY = 0 };

static int marks[2];

static inline ostler_desk *open_desk(ostler_deferred *deferred)
{
    ostler_desk *desk = NULL;
    EXPECT_STATUS(ostler_desk_open(deferred, &desk), OSTLER_OK);
    EXPECT(desk != NULL);
    return desk;
}

static inline ostler_cell acquire(int twin, ostler_desk *desk)
{
    ostler_cell cell = {0};
    EXPECT_STATUS(acquires[twin](desk, &cell), OSTLER_OK);
    EXPECT(cell.value != 0);
    return cell;
}

static inline void complete(int twin, ostler_desk *desk, ostler_cell cell, void *value)
{
    EXPECT_STATUS(completes[twin](desk, cell, OSTLER_OK, value), OSTLER_OK);
}

/* Takes what came; the outcome must be this one. */
static inline void *take(int twin, ostler_desk *desk, ostler_cell cell, ostler_status wanted)
{
    ostler_status outcome = 1;
    void *value = NULL;
    EXPECT_STATUS(polls[twin](desk, cell, &outcome, &value), OSTLER_OK);
    EXPECT_STATUS(outcome, wanted);
    return value;
}

static inline void complete_and_take(int twin, ostler_desk *desk, ostler_cell cell)
{
    complete(twin, desk, cell, &marks[0]);
    EXPECT_EQ(take(twin, desk, cell, OSTLER_OK), &marks[0]);
}

/* Uses it until it has free cells at hand. */
static inline void warm(int twin, ostler_desk *desk)
{
    for (int i = 0; i < CALM; i++)
        complete_and_take(twin, desk, acquire(twin, desk));
}

static inline bool is_alone(const ostler_desk *desk)
{
    return *desk->who == (uint64_t)(uintptr_t)desk;
}

static inline void destroy(ostler_deferred *deferred)
{
    ostler_deferred_stats stats = stats_of(deferred);
    CHECK_EQ(stats.in_use, 0);
    CHECK_EQ(stats.acquires, stats.completed + stats.failed + stats.cancelled + stats.released);
    CHECK_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
}

static inline void ends(ostler_desk *desk, ostler_deferred *deferred)
{
    CHECK_STATUS(ostler_desk_close(desk), OSTLER_OK);
    destroy(deferred);
}

#endif
