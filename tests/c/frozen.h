/* The library's clock, stopped and moved by hand. */
#ifndef OSTLER_TESTS_FROZEN_H
#define OSTLER_TESTS_FROZEN_H

#include "fixtures.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static inline void freeze(void)
{
    CHECK_STATUS(ostler_testkit_clock_freeze(), OSTLER_OK);
}

static inline void thaw(void)
{
    CHECK_STATUS(ostler_testkit_clock_thaw(), OSTLER_OK);
}

static inline void advance(uint64_t by_ns)
{
    CHECK_STATUS(ostler_testkit_clock_advance(by_ns), OSTLER_OK);
}

static inline void settle(void)
{
    CHECK_STATUS(ostler_testkit_clock_settle(OSTLER_FOREVER, NULL), OSTLER_OK);
}

/* So much time goes by, and the library has done what it had to do then. */
static inline void pass(uint64_t by_ns)
{
    advance(by_ns);
    settle();
}

#endif
