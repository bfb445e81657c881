/* Every noun that is made of chunks, so that a test asks the same of each: an object of one chunk, in which nobody but the
 * test uses the memory, but for its end. */
#ifndef OSTLER_TESTS_INSPECTED_H
#define OSTLER_TESTS_INSPECTED_H

#include "check.h"
#include <ostler.h>

#define HUGE_BYTES ((uint64_t)2 << 20)

struct noun {
    const char *name;
    void *(*make)(const ostler_page_source *source, uint64_t bytes);
    ostler_status (*receipt)(void *object, uint64_t chunk_index, ostler_receipt *out);
    ostler_status (*print)(void *object, char *buffer, uint64_t buffer_bytes, uint64_t *needed_bytes);
    ostler_status (*coverage)(void *object, ostler_coverage *out);
    ostler_status (*repair)(void *object, ostler_repair *out);
    ostler_status (*destroy)(void *object);
};

static inline void *make_inspected_arena(const ostler_page_source *source, uint64_t bytes)
{
    ostler_arena_config config = {.struct_size = sizeof config, .source = source, .chunk_bytes = bytes,
                                  .name = "inspected arena"};
    ostler_arena *arena;
    void *memory;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_OK);
    CHECK_STATUS(ostler_arena_alloc(arena, bytes - 4096, 0, &memory), OSTLER_OK);
    return arena;
}

static inline void *make_inspected_heap(const ostler_page_source *source, uint64_t bytes)
{
    ostler_heap_config config = {.struct_size = sizeof config, .source = source, .chunk_bytes = bytes,
                                 .name = "inspected heap"};
    ostler_heap *heap;
    void *memory;
    CHECK_STATUS(ostler_heap_create(&config, &heap), OSTLER_OK);
    /* Behind it lie the heap's own tags. */
    CHECK_STATUS(ostler_heap_alloc(heap, bytes / 32 * 30, 0, &memory), OSTLER_OK);
    return heap;
}

static inline void *make_inspected_slab(const ostler_page_source *source, uint64_t bytes)
{
    ostler_slab_config config = {.struct_size = sizeof config, .source = source, .slot_bytes = 65536,
                                 .chunk_bytes = bytes, .max_slots = bytes / 65536, .name = "inspected slab"};
    ostler_slab *slab;
    CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, &slab), OSTLER_OK);
    return slab;
}

static inline void *make_inspected_buffers(const ostler_page_source *source, uint64_t bytes)
{
    ostler_buffers_config config = {.struct_size = sizeof config, .source = source, .chunk_bytes = bytes,
                                    .limit_bytes = bytes, .name = "inspected set"};
    ostler_buffers *buffers;
    CHECK_STATUS(ostler_buffers_create(&config, &buffers), OSTLER_OK);
    return buffers;
}

/* The calls of a noun, for an object whose type is forgotten. */
#define CALLS_OF(noun)                                                                                                 \
    static inline ostler_status receipt_of_##noun(void *object, uint64_t chunk_index, ostler_receipt *out)             \
    {                                                                                                                  \
        return ostler_##noun##_get_receipt(object, chunk_index, out);                                                  \
    }                                                                                                                  \
    static inline ostler_status print_of_##noun(void *object, char *buffer, uint64_t buffer_bytes, uint64_t *needed)   \
    {                                                                                                                  \
        return ostler_##noun##_print_receipts(object, buffer, buffer_bytes, needed);                                   \
    }                                                                                                                  \
    static inline ostler_status coverage_of_##noun(void *object, ostler_coverage *out)                                 \
    {                                                                                                                  \
        return ostler_##noun##_get_coverage(object, out);                                                              \
    }                                                                                                                  \
    static inline ostler_status repair_of_##noun(void *object, ostler_repair *out)                                     \
    {                                                                                                                  \
        return ostler_##noun##_repair(object, out);                                                                    \
    }                                                                                                                  \
    static inline ostler_status destroy_of_##noun(void *object) { return ostler_##noun##_destroy(object); }
CALLS_OF(arena)
CALLS_OF(heap)
CALLS_OF(slab)
CALLS_OF(buffers)

#define NOUN(noun)                                                                                                     \
    {#noun, make_inspected_##noun, receipt_of_##noun, print_of_##noun, coverage_of_##noun, repair_of_##noun, destroy_of_##noun}
static const struct noun nouns[] = {NOUN(arena), NOUN(heap), NOUN(slab), NOUN(buffers)};
#define NOUNS (sizeof nouns / sizeof *nouns)

static inline ostler_coverage coverage_of(const struct noun *noun, void *object)
{
    ostler_coverage coverage = {.struct_size = sizeof coverage};
    CHECK_STATUS(noun->coverage(object, &coverage), OSTLER_OK);
    return coverage;
}

static inline ostler_repair repair_of(const struct noun *noun, void *object)
{
    ostler_repair repair = {.struct_size = sizeof repair};
    CHECK_STATUS(noun->repair(object, &repair), OSTLER_OK);
    return repair;
}

static inline ostler_receipt first_receipt_of(const struct noun *noun, void *object)
{
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    CHECK_STATUS(noun->receipt(object, 0, &receipt), OSTLER_OK);
    return receipt;
}

#endif
