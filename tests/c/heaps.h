/* Heaps for tests: small chunks of base pages unless a test asks for more. */
#ifndef OSTLER_TESTS_HEAPS_H
#define OSTLER_TESTS_HEAPS_H

#include "arenas.h"

static inline ostler_heap_config small_heap(void)
{
    ostler_heap_config config;
    CHECK_STATUS(ostler_heap_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.chunk_bytes = CHUNK_BYTES;
    return config;
}

static inline ostler_heap_config checked_heap(void)
{
    ostler_heap_config config = small_heap();
    config.checked = 1;
    return config;
}

static inline ostler_heap *make_heap(ostler_heap_config config)
{
    ostler_heap *heap;
    CHECK_STATUS(ostler_heap_create(&config, &heap), OSTLER_OK);
    return heap;
}

static inline ostler_heap_stats heap_stats(ostler_heap *heap)
{
    ostler_heap_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_heap_get_stats(heap, &stats), OSTLER_OK);
    return stats;
}

static inline unsigned char *get(ostler_heap *heap, uint64_t size_bytes, uint64_t align_bytes)
{
    void *block = NULL;
    CHECK_STATUS(ostler_heap_alloc(heap, size_bytes, align_bytes, &block), OSTLER_OK);
    CHECK(block != NULL);
    return block;
}

#define CHECK_FREE(heap, block) CHECK_STATUS(ostler_heap_free(heap, block), OSTLER_OK)

/* What threads have at hand comes home, and nothing is unmapped. */
static inline void recall(ostler_heap *heap)
{
    uint64_t returned = 1;
    CHECK_STATUS(ostler_heap_trim(heap, UINT64_MAX, &returned), OSTLER_OK);
    CHECK_EQ(returned, 0);
}

static inline void check_empty(ostler_heap *heap)
{
    recall(heap);
    ostler_heap_stats stats = heap_stats(heap);
    CHECK_EQ(stats.blocks, 0);
    CHECK_EQ(stats.requested_bytes, 0);
    CHECK_EQ(stats.used_bytes, 0);
    CHECK_EQ(stats.cached_bytes, 0);
    CHECK_EQ(stats.free_blocks, stats.chunks);
    CHECK_EQ(stats.repairs, 0);
}

#endif
