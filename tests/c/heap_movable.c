/* Heap: blocks that are reached through a handle move when nobody has them pinned, and pages are given back. */
#include "governed.h"
#include "heaps.h"

static ostler_block get_block(ostler_heap *heap, uint64_t size_bytes, unsigned char tag)
{
    ostler_block block;
    void *address;
    CHECK_STATUS(ostler_heap_alloc_block(heap, size_bytes, 0, &block), OSTLER_OK);
    CHECK_STATUS(ostler_heap_pin(heap, block, &address), OSTLER_OK);
    memset(address, tag, size_bytes);
    CHECK_STATUS(ostler_heap_unpin(heap, block), OSTLER_OK);
    return block;
}

static int holds(ostler_heap *heap, ostler_block block, uint64_t size_bytes, unsigned char tag)
{
    void *address;
    CHECK_STATUS(ostler_heap_pin(heap, block, &address), OSTLER_OK);
    int is_so = is_untouched(&(struct tagged){address, size_bytes, tag});
    CHECK_STATUS(ostler_heap_unpin(heap, block), OSTLER_OK);
    return is_so;
}

TEST(compaction_moves_what_nobody_has_pinned_and_nothing_else)
{
    for (int checked = 0; checked < 2; checked++) {
        ostler_heap *heap = make_heap(checked ? checked_heap() : small_heap());
        static ostler_block blocks[1500];
        ostler_heap_compaction done = {.struct_size = sizeof done};
        void *pinned = NULL, *again;
        for (int i = 0; i < 1500; i++)
            blocks[i] = get_block(heap, 900, (unsigned char)i);
        struct tagged fixed = tag_block(get(heap, 900, 0), 900, 0xaa);
        for (int i = 0; i < 1500; i++)
            if (i % 8)
                CHECK_STATUS(ostler_heap_free_block(heap, blocks[i]), OSTLER_OK);
        CHECK_STATUS(ostler_heap_pin(heap, blocks[800], &pinned), OSTLER_OK);
        CHECK_STATUS(ostler_heap_pin(heap, blocks[800], &again), OSTLER_OK);
        CHECK_EQ(pinned, again);
        CHECK_STATUS(ostler_heap_unpin(heap, blocks[800]), OSTLER_OK);
        uint64_t mapped = heap_stats(heap).mapped_bytes;
        CHECK_STATUS(ostler_heap_compact(heap, 0, &done), OSTLER_OK);
        CHECK(done.fragmentation_before_ppm > 500000);
        CHECK(done.fragmentation_after_ppm < done.fragmentation_before_ppm);
        CHECK(done.moved_blocks >= 100 && done.returned_chunks >= 2);
        CHECK(heap_stats(heap).mapped_bytes <= mapped - done.returned_chunks * CHUNK_BYTES);
        CHECK(is_untouched(&fixed));
        CHECK(is_untouched(&(struct tagged){pinned, 900, (unsigned char)800}));
        CHECK_STATUS(ostler_heap_pin(heap, blocks[800], &again), OSTLER_OK);
        CHECK_EQ(pinned, again);
        CHECK_STATUS(ostler_heap_check(heap), OSTLER_OK);
        for (int i = 0; i < 1500; i += 8)
            CHECK(holds(heap, blocks[i], 900, (unsigned char)i));
        /* No more than it is told to. */
        CHECK_STATUS(ostler_heap_compact(heap, 1, &done), OSTLER_OK);
        CHECK_EQ(done.moved_blocks, 0);
        CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK); /* its memory stays while a block is pinned */
        CHECK(is_untouched(&(struct tagged){pinned, 900, (unsigned char)800}));
        CHECK_STATUS(ostler_heap_unpin(heap, blocks[800]), OSTLER_OK);
        CHECK_STATUS(ostler_heap_unpin(heap, blocks[800]), OSTLER_OK);
        CHECK_STATUS(ostler_heap_unpin(heap, blocks[800]), OSTLER_E_INVALID_HANDLE);
    }
}

TEST(pages_given_back_are_charged_to_nobody_until_they_are_used_again)
{
    uint64_t before = governor_stats().held_bytes;
    ostler_heap *heap = make_heap(small_heap());
    ostler_block ahead = get_block(heap, 200000, 1), last = get_block(heap, 1000, 2);
    ostler_heap_compaction done = {.struct_size = sizeof done};
    void *pinned, *refused = &done;
    CHECK_STATUS(ostler_heap_pin(heap, last, &pinned), OSTLER_OK);
    CHECK_STATUS(ostler_heap_free_block(heap, ahead), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, before + CHUNK_BYTES);
    CHECK_STATUS(ostler_heap_compact(heap, 0, &done), OSTLER_OK);
    CHECK(done.returned_bytes >= 190000);
    CHECK_EQ(heap_stats(heap).returned_bytes, done.returned_bytes);
    CHECK_EQ(governor_stats().held_bytes, before + CHUNK_BYTES - done.returned_bytes);
    /* Neither this memory nor other is to be had, and nothing changes for that. */
    limit_to(governor_stats().held_bytes + 4096);
    CHECK_STATUS(ostler_heap_alloc(heap, 150000, 0, &refused), OSTLER_E_MEMORY_PRESSURE);
    CHECK_EQ(refused, NULL);
    CHECK_STATUS(ostler_heap_alloc_block(heap, 150000, 0, &ahead), OSTLER_E_MEMORY_PRESSURE);
    CHECK_EQ(heap_stats(heap).returned_bytes, done.returned_bytes);
    CHECK_EQ(governor_stats().held_bytes, before + CHUNK_BYTES - done.returned_bytes);
    CHECK(is_untouched(&(struct tagged){pinned, 1000, 2}));
    CHECK_FREE(heap, get(heap, 10000, 0)); /* what was kept is not refused */
    govern_no_more();
    struct tagged again = tag_block(get(heap, 150000, 0), 150000, 3);
    CHECK(heap_stats(heap).returned_bytes < done.returned_bytes - 140000);
    CHECK_EQ(heap_stats(heap).mapped_bytes, CHUNK_BYTES);
    CHECK_EQ(governor_stats().held_bytes, before + CHUNK_BYTES - heap_stats(heap).returned_bytes);
    CHECK(is_untouched(&again));
    CHECK_STATUS(ostler_heap_unpin(heap, last), OSTLER_OK);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, before);
}

TEST(handle_that_is_stale_or_of_nobody_is_told)
{
    ostler_heap *heap = make_heap(small_heap());
    ostler_block block = get_block(heap, 100, 1), next;
    ostler_block_info info = {.struct_size = sizeof info};
    void *address;
    CHECK_STATUS(ostler_heap_unpin(heap, block), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_heap_pin(heap, block, &address), OSTLER_OK);
    CHECK_STATUS(ostler_heap_free_block(heap, block), OSTLER_E_BUSY);
    CHECK_STATUS(ostler_heap_resize_block(heap, block, 5000), OSTLER_E_BUSY);
    CHECK_STATUS(ostler_heap_free(heap, address), OSTLER_E_FOREIGN_POINTER);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "handle");
    CHECK_STATUS(ostler_heap_get_block_info(heap, block, &info), OSTLER_OK);
    CHECK_EQ(info.pins, 1);
    CHECK_EQ(info.requested_bytes, 100);
    CHECK_STATUS(ostler_heap_unpin(heap, block), OSTLER_OK);
    CHECK_STATUS(ostler_heap_resize_block(heap, block, 5000), OSTLER_OK);
    CHECK(holds(heap, block, 100, 1));
    CHECK_STATUS(ostler_heap_free_block(heap, block), OSTLER_OK);
    next = get_block(heap, 100, 2); /* has the same slot */
    const ostler_block stale[] = {block, {0}, {UINT64_MAX}, {next.value ^ ((uint64_t)1 << 24)}, {next.value + 1}};
    for (size_t i = 0; i < sizeof stale / sizeof *stale; i++) {
        CHECK_STATUS(ostler_heap_pin(heap, stale[i], &address), OSTLER_E_STALE_BLOCK);
        CHECK_EQ(address, NULL);
        CHECK_STATUS(ostler_heap_unpin(heap, stale[i]), OSTLER_E_STALE_BLOCK);
        CHECK_STATUS(ostler_heap_free_block(heap, stale[i]), OSTLER_E_STALE_BLOCK);
        CHECK_STATUS(ostler_heap_resize_block(heap, stale[i], 1), OSTLER_E_STALE_BLOCK);
    }
    CHECK(holds(heap, next, 100, 2));
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

/* --- the end --- */

CHECK_MAIN()
