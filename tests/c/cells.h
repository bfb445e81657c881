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

#endif
