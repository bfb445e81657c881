/* Many blocks of a heap in one call: all or none come, those that can go do, and what cannot is named. */
#include "heaps.h"
#include <stdatomic.h>

static uint64_t blocks_out(ostler_heap *heap) { return heap_stats(heap).blocks; }

/* Of sizes that threads have at hand and of larger ones, in any heap. */
TEST(many_blocks_are_apart_and_go_at_once)
{
    static const uint64_t sizes[] = {0, 1, 48, 600, 2048, 5000};
    static const uint64_t aligns[] = {0, 16, 64, 4096};
    enum { MOST = 700 };
    static void *blocks[MOST];
    static struct tagged tagged[MOST];
    for (int i = 0; i < 6 * 4 * 2; i++) {
        ostler_heap_config config = small_heap();
        config.checked = i % 2;
        ostler_heap *heap = make_heap(config);
        uint64_t bytes = sizes[i / 2 % 6], align = aligns[i / 12];
        uint32_t count = align == 4096 ? 60 : MOST, freed = 0;
        CHECK_STATUS(ostler_heap_alloc_n(heap, bytes, align, count, blocks), OSTLER_OK);
        CHECK_EQ(blocks_out(heap), count);
        for (uint32_t at = 0; at < count; at++) {
            CHECK(blocks[at] != NULL && (uintptr_t)blocks[at] % (align ? align : 16) == 0);
            tagged[at] = tag_block(blocks[at], bytes, (unsigned char)at);
        }
        for (uint32_t at = 0; at < count; at++)
            CHECK(is_untouched(&tagged[at]));
        CHECK_STATUS(ostler_heap_free_n(heap, blocks, count, &freed), OSTLER_OK);
        CHECK_EQ(freed, count);
        CHECK_EQ(blocks_out(heap), 0);
        CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    }
}

TEST(all_come_or_none)
{
    enum { MANY = 4096 };
    static void *blocks[MANY];
    ostler_heap_config config = small_heap();
    config.limit_bytes = 2 * CHUNK_BYTES;
    ostler_heap *heap = make_heap(config);
    void *one;
    CHECK_STATUS(ostler_heap_alloc(heap, 100, 0, &one), OSTLER_OK);
    for (int round = 0; round < 3; round++) {
        memset(blocks, 1, sizeof blocks);
        CHECK_STATUS(ostler_heap_alloc_n(heap, 200, 0, MANY, blocks), OSTLER_E_LIMIT);
        for (int i = 0; i < MANY; i++)
            CHECK_EQ(blocks[i], NULL);
        CHECK_EQ(blocks_out(heap), 1);
    }
    /* What was given back is to be had again. */
    CHECK_STATUS(ostler_heap_alloc_n(heap, 200, 0, 2000, blocks), OSTLER_OK);
    CHECK_STATUS(ostler_heap_free_n(heap, blocks, 2000, NULL), OSTLER_OK);
    memset(blocks, 1, sizeof blocks);
    CHECK_STATUS(ostler_heap_alloc_n(heap, 200, 3, 2, blocks), OSTLER_E_INVALID_ARGUMENT);
    CHECK(blocks[0] == NULL && blocks[1] == NULL && blocks[2] != NULL);
    CHECK_STATUS(ostler_heap_alloc_n(heap, UINT64_MAX, 0, 2, blocks), OSTLER_E_OUT_OF_MEMORY);
    CHECK_STATUS(ostler_heap_alloc_n(heap, 8, 0, 1048577, blocks), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "count is 1048577");
    CHECK_STATUS(ostler_heap_alloc_n(heap, 8, 0, 1, NULL), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "addresses is NULL");
    CHECK_STATUS(ostler_heap_alloc_n(heap, 8, 0, 0, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_heap_free(heap, one), OSTLER_OK);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

TEST(those_that_can_go_do_and_the_first_that_cannot_is_named)
{
    enum { COUNT = 300 };
    ostler_heap *heap = make_heap(small_heap());
    void *blocks[COUNT], *kept[COUNT];
    char own;
    uint32_t freed = 7;
    CHECK_STATUS(ostler_heap_alloc_n(heap, 40, 0, COUNT, blocks), OSTLER_OK);
    memcpy(kept, blocks, sizeof kept);
    blocks[130] = &own;
    blocks[131] = (char *)blocks[132] + 16;
    blocks[200] = blocks[7];
    blocks[299] = NULL;
    CHECK_STATUS(ostler_heap_free_n(heap, blocks, COUNT, &freed), OSTLER_E_FOREIGN_POINTER);
    CHECK_EQ(freed, COUNT - 3);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "addresses[130]");
    CHECK_EQ(blocks_out(heap), 4);
    void *rest[] = {kept[130], kept[131], kept[200], kept[299], kept[130]};
    CHECK_STATUS(ostler_heap_free_n(heap, rest, 5, &freed), OSTLER_E_DOUBLE_FREE);
    CHECK_EQ(freed, 4);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "addresses[4]");
    CHECK_EQ(blocks_out(heap), 0);
    CHECK_STATUS(ostler_heap_free_n(heap, NULL, 0, &freed), OSTLER_OK);
    CHECK_STATUS(ostler_heap_free_n(heap, NULL, 1, &freed), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

TEST(an_overrun_block_among_many_stays)
{
    ostler_heap_config config = small_heap();
    config.checked = 1;
    ostler_heap *heap = make_heap(config);
    void *blocks[20];
    uint32_t freed;
    CHECK_STATUS(ostler_heap_alloc_n(heap, 40, 0, 20, blocks), OSTLER_OK);
    ((unsigned char *)blocks[11])[40] ^= 1;
    CHECK_STATUS(ostler_heap_free_n(heap, blocks, 20, &freed), OSTLER_E_OVERRUN);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "addresses[11]");
    CHECK_EQ(freed, 19);
    ((unsigned char *)blocks[11])[40] ^= 1;
    CHECK_STATUS(ostler_heap_free_n(heap, &blocks[11], 1, &freed), OSTLER_OK);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

TEST(a_heap_that_closes_takes_many_back_and_gives_none)
{
    ostler_heap *heap = make_heap(small_heap());
    void *blocks[50], *more[2] = {heap, heap};
    uint64_t still_out;
    CHECK_STATUS(ostler_heap_alloc_n(heap, 40, 0, 50, blocks), OSTLER_OK);
    CHECK_STATUS(ostler_heap_close(heap, 0, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 50);
    CHECK_STATUS(ostler_heap_alloc_n(heap, 40, 0, 2, more), OSTLER_E_CLOSED);
    CHECK(more[0] == NULL && more[1] == NULL);
    CHECK_STATUS(ostler_heap_free_n(heap, blocks, 50, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_heap_close(heap, OSTLER_FOREVER, NULL, &still_out), OSTLER_OK);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

/* Each thread takes many of a random size, hands them to whoever comes next, and frees what it finds. */

enum { THREADS = 4, ROUNDS = 3000, MOST = 150 };

struct parcel {
    uint32_t count, bytes;
    unsigned char tag;
    void *blocks[MOST];
};

struct market {
    ostler_heap *heap;
    struct parcel *_Atomic stall;
};

static void check_and_free(ostler_heap *heap, struct parcel *parcel)
{
    if (parcel == NULL)
        return;
    uint32_t freed;
    for (uint32_t i = 0; i < parcel->count; i++)
        EXPECT(is_untouched(&(struct tagged){parcel->blocks[i], parcel->bytes, parcel->tag}));
    EXPECT_STATUS(ostler_heap_free_n(heap, parcel->blocks, parcel->count, &freed), OSTLER_OK);
    EXPECT(freed == parcel->count);
    free(parcel);
}

static void *trade(void *argument)
{
    struct market *market = argument;
    uint64_t random = (uint64_t)(uintptr_t)&random | 1;
    for (int round = 0; round < ROUNDS; round++) {
        struct parcel *parcel = malloc(sizeof *parcel);
        parcel->count = (uint32_t)(next_random(&random) % MOST) + 1;
        parcel->bytes = (uint32_t)(next_random(&random) % (round % 50 == 0 ? 9000 : 300));
        parcel->tag = (unsigned char)next_random(&random);
        EXPECT_STATUS(ostler_heap_alloc_n(market->heap, parcel->bytes, 0, parcel->count, parcel->blocks), OSTLER_OK);
        for (uint32_t i = 0; i < parcel->count; i++)
            memset(parcel->blocks[i], parcel->tag, parcel->bytes);
        check_and_free(market->heap, atomic_exchange(&market->stall, parcel));
        if (round % 100 == 0)
            EXPECT_STATUS(ostler_heap_trim(market->heap, 0, NULL), OSTLER_OK);
    }
    return NULL;
}

TEST(threads_free_many_that_others_allocated)
{
    struct market market = {.heap = make_heap(small_heap())};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, trade, &market), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    check_and_free(market.heap, atomic_exchange(&market.stall, NULL));
    CHECK_EQ(blocks_out(market.heap), 0);
    CHECK_STATUS(ostler_heap_close(market.heap, 0, NULL, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_heap_destroy(market.heap), OSTLER_OK);
}

CHECK_MAIN()
