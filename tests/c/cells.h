/* Sets of one-shot cells, for the tests of them. */
#ifndef OSTLER_TESTS_CELLS_H
#define OSTLER_TESTS_CELLS_H

#include "fixtures.h"

static inline ostler_deferred *make_deferred(uint32_t capacity)
{
    ostler_deferred_config config;
    ostler_deferred *deferred;
    CHECK_STATUS(ostler_deferred_config_init(&config, sizeof config), OSTLER_OK);
    config.capacity = capacity;
    CHECK_STATUS(ostler_deferred_create(&config, &deferred), OSTLER_OK);
    return deferred;
}

static inline ostler_deferred_stats stats_of(ostler_deferred *deferred)
{
    ostler_deferred_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_deferred_get_stats(deferred, &stats), OSTLER_OK);
    return stats;
}

/* Waits until each of these is completed with that value. */
static inline void wait_for_each(ostler_deferred *deferred, const ostler_cell *cells, int count, const void *expected)
{
    for (int i = 0; i < count; i++) {
        ostler_status outcome = 1;
        void *value = NULL;
        EXPECT_STATUS(ostler_deferred_wait(deferred, cells[i], OSTLER_FOREVER, NULL, &outcome, &value), OSTLER_OK);
        EXPECT_EQ(value, expected);
    }
}

#endif
