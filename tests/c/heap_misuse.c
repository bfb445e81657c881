/* Heap: misuse is told at the call, and leads nothing astray. */
#include "heaps.h"

TEST(what_is_freed_twice_is_told)
{
    static const uint64_t sizes[] = {1, 16, 100, 1000, 2048, 2049, 5000, 100000, 1 << 20};
    for (int checked = 0; checked < 2; checked++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            ostler_heap *heap = make_heap(checked ? checked_heap() : small_heap());
            void *beside = get(heap, sizes[i], 0), *block = get(heap, sizes[i], 0);
            CHECK_FREE(heap, block);
            ostler_status second = ostler_heap_free(heap, block);
            /* The chunk of a large block went with it. */
            CHECK_STATUS(second, sizes[i] < CHUNK_BYTES ? OSTLER_E_DOUBLE_FREE : OSTLER_E_FOREIGN_POINTER);
            CHECK_STR_CONTAINS(ostler_last_error_message(), "0x");
            recall(heap);
            CHECK(ostler_heap_free(heap, block) == second);
            void *moved = heap;
            CHECK(ostler_heap_resize(heap, block, 10, 0, &moved) == second);
            CHECK_EQ(moved, NULL);
            uint64_t usable = 1;
            CHECK(ostler_heap_get_usable_bytes(heap, block, &usable) == second);
            CHECK_EQ(usable, 0);
            CHECK_FREE(heap, beside);
            check_empty(heap);
            CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
        }
}

TEST(address_inside_a_block_names_the_block)
{
    for (int checked = 0; checked < 2; checked++) {
        ostler_heap *heap = make_heap(checked ? checked_heap() : small_heap());
        unsigned char *small = get(heap, 100, 0), *large = get(heap, 5000, 0);
        char wanted[64];
        memset(small, 0xff, 100); /* looks like tags, if tags lay there */
        memset(large, 0x50, 5000);
        for (size_t offset = 1; offset < 100; offset++) {
            CHECK_STATUS(ostler_heap_free(heap, small + offset), OSTLER_E_FOREIGN_POINTER);
            snprintf(wanted, sizeof wanted, "lies %zu bytes into the block of 100 bytes at %p", offset, (void *)small);
            CHECK_STR_CONTAINS(ostler_last_error_message(), wanted);
        }
        for (size_t offset = 1; offset < 5000; offset += 13)
            CHECK_STATUS(ostler_heap_free(heap, large + offset), OSTLER_E_FOREIGN_POINTER);
        CHECK_FREE(heap, small);
        CHECK_FREE(heap, large);
        check_empty(heap);
        CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    }
}

TEST(address_of_somebody_else_is_foreign)
{
    ostler_heap *heap = make_heap(small_heap()), *other = make_heap(small_heap());
    int local = 0;
    void *mine = get(heap, 64, 0), *theirs = get(other, 64, 0), *from_malloc = malloc(64);
    void *const foreign[] = {&local, theirs, from_malloc, heap, (void *)(uintptr_t)1, (void *)(uintptr_t)UINTPTR_MAX,
                             (void *)(uintptr_t)(UINTPTR_MAX - 15)};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        CHECK_STATUS(ostler_heap_free(heap, foreign[i]), OSTLER_E_FOREIGN_POINTER);
        void *moved;
        CHECK_STATUS(ostler_heap_resize(heap, foreign[i], 100, 0, &moved), OSTLER_E_FOREIGN_POINTER);
    }
    CHECK_FREE(heap, mine);
    CHECK_FREE(other, theirs);
    free(from_malloc);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    CHECK_STATUS(ostler_heap_free(heap, mine), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_heap_destroy(other), OSTLER_OK);
}

TEST(write_beside_a_block_is_told_where_it_was)
{
    static const uint64_t sizes[] = {1, 15, 16, 17, 100, 1000, 2047, 3000, 70000};
    static const struct {
        long offset; /* from the end, or from the begin when below 0 */
        size_t bytes;
        const char *where;
    } writes[] = {
        {0, 1, "byte 1 past its end"},   {7, 1, "byte 8 past its end"},    {0, 8, "byte 1 past its end"},
        {15, 1, "byte 16 past its end"}, {-1, 1, "byte 1 before its begin"}, {-8, 8, "byte 1 before its begin"},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof writes / sizeof *writes; j++) {
            ostler_heap *heap = make_heap(checked_heap());
            get(heap, sizes[i], 0);
            unsigned char *block = get(heap, sizes[i], 0);
            unsigned char *at = block + (writes[j].offset < 0 ? writes[j].offset : (long)sizes[i] + writes[j].offset);
            unsigned char before[8];
            char wanted[80];
            void *moved;
            get(heap, sizes[i], 0);
            memcpy(before, at, writes[j].bytes);
            for (size_t byte = 0; byte < writes[j].bytes; byte++)
                at[byte] ^= 0x5a;
            snprintf(wanted, sizeof wanted, "of %u bytes at %p was overrun: %s", (unsigned)sizes[i], (void *)block,
                     writes[j].where);
            CHECK_STATUS(ostler_heap_check(heap), OSTLER_E_OVERRUN);
            CHECK_STR_CONTAINS(ostler_last_error_message(), wanted);
            CHECK_STATUS(ostler_heap_free(heap, block), OSTLER_E_OVERRUN);
            CHECK_STR_CONTAINS(ostler_last_error_message(), wanted);
            CHECK_STATUS(ostler_heap_resize(heap, block, 10, 0, &moved), OSTLER_E_OVERRUN);
            /* It stayed as it was. */
            CHECK_EQ(heap_stats(heap).blocks, 3);
            memcpy(at, before, writes[j].bytes);
            CHECK_STATUS(ostler_heap_check(heap), OSTLER_OK);
            CHECK_FREE(heap, block);
            CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
        }
}

TEST(write_to_freed_memory_leads_nothing_astray)
{
    ostler_heap *heap = make_heap(small_heap());
    unsigned char *blocks[40];
    for (int i = 0; i < 40; i++)
        blocks[i] = get(heap, 4000, 0);
    for (int i = 0; i < 40; i += 2)
        CHECK_FREE(heap, blocks[i]);
    for (int value = 0; value < 256; value += 15) {
        for (int i = 0; i < 40; i += 2)
            memset(blocks[i], value, 4000);
        struct tagged again[20];
        for (int i = 0; i < 20; i++)
            again[i] = tag_block(get(heap, 4000 - i, 0), 4000 - i, (unsigned char)(i + 1));
        for (int i = 0; i < 20; i++) {
            CHECK(is_untouched(&again[i]));
            CHECK_FREE(heap, again[i].bytes);
        }
    }
    CHECK(heap_stats(heap).repairs > 0);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

/* --- room --- */

CHECK_MAIN()
