/* Heap: blocks keep what is in them, nothing is refused that is free, and what is given back joins its neighbours. */
#include "heaps.h"

TEST(every_size_and_alignment_is_kept)
{
    for (int checked = 0; checked < 2; checked++) {
        ostler_heap *heap = make_heap(checked ? checked_heap() : small_heap());
        struct tagged blocks[17 * 24];
        size_t count = 0;
        for (int round = 0; round < 24; round++)
            for (uint64_t align = 1; align <= 65536; align *= 2) {
                size_t size = (size_t)(round * round * 11 + align % 7 + 1);
                void *bytes = get(heap, size, align);
                CHECK_EQ((uintptr_t)bytes % align, 0);
                CHECK_EQ((uintptr_t)bytes % 16, 0);
                blocks[count] = tag_block(bytes, size, (unsigned char)(count + 1));
                count++;
            }
        CHECK_STATUS(ostler_heap_check(heap), OSTLER_OK);
        for (size_t i = 0; i < count; i++) {
            CHECK(is_untouched(&blocks[i]));
            CHECK_FREE(heap, blocks[i].bytes);
        }
        check_empty(heap);
        CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    }
}

TEST(blocks_of_no_bytes_have_addresses_of_their_own)
{
    ostler_heap *heap = make_heap(small_heap());
    void *first = get(heap, 0, 0), *second = get(heap, 0, 0);
    CHECK(first != second);
    CHECK_FREE(heap, first);
    CHECK_FREE(heap, second);
    CHECK_FREE(heap, NULL);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

TEST(sizes_and_alignments_that_cannot_be_had_are_refused)
{
    static const uint64_t alignments[] = {3, 6, 24, 4097, 1 << 22, UINT64_MAX, ((uint64_t)1 << 63) + 1};
    ostler_heap *heap = make_heap(small_heap());
    void *bytes;
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        bytes = heap;
        CHECK_STATUS(ostler_heap_alloc(heap, 8, alignments[i], &bytes), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "align_bytes");
        CHECK_EQ(bytes, NULL);
    }
    for (uint64_t less = 0; less < 10000; less += 37) {
        bytes = heap;
        CHECK_STATUS(ostler_heap_alloc(heap, UINT64_MAX - less, 1 + (less & 1) * 4095, &bytes), OSTLER_E_OUT_OF_MEMORY);
        CHECK_EQ(bytes, NULL);
    }
    check_empty(heap);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

TEST(configuration_that_cannot_be_honoured_names_the_field)
{
    static const struct {
        const char *field;
        size_t offset;
        size_t size;
        uint64_t value;
    } wrong[] = {
        {"chunk_bytes", offsetof(ostler_heap_config, chunk_bytes), 8, 65535},
        {"chunk_bytes", offsetof(ostler_heap_config, chunk_bytes), 8, ((uint64_t)64 << 30) + 1},
        {"limit_bytes", offsetof(ostler_heap_config, limit_bytes), 8, 65535},
        {"checked", offsetof(ostler_heap_config, checked), 4, 2},
        {"adopted_only", offsetof(ostler_heap_config, adopted_only), 4, 2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ostler_heap_config config = small_heap();
        ostler_heap *heap = (ostler_heap *)&config;
        memcpy((char *)&config + wrong[i].offset, &wrong[i].value, wrong[i].size);
        CHECK_STATUS(ostler_heap_create(&config, &heap), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), wrong[i].field);
        CHECK_EQ(heap, NULL);
    }
}

/* --- misuse --- */

TEST(limit_is_never_passed_and_what_is_freed_makes_room)
{
    ostler_heap_config config = small_heap();
    config.limit_bytes = 4 * CHUNK_BYTES;
    ostler_heap *heap = make_heap(config);
    static void *blocks[2000];
    int first = 0;
    for (int round = 0; round < 3; round++) {
        int count = 0;
        ostler_status status;
        while ((status = ostler_heap_alloc(heap, 1000, 0, &blocks[count])) == OSTLER_OK) {
            memset(blocks[count++], 1, 1000);
            CHECK(heap_stats(heap).mapped_bytes <= config.limit_bytes);
        }
        CHECK_STATUS(status, OSTLER_E_LIMIT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "limit_bytes");
        CHECK_EQ(blocks[count], NULL);
        CHECK_EQ(heap_stats(heap).cached_bytes, 0); /* nobody is refused what lies in a cache */
        CHECK(count > 900);
        first = round ? first : count;
        CHECK_EQ(count, first);
        while (count-- > 0)
            CHECK_FREE(heap, blocks[count]);
    }
    check_empty(heap);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

TEST(block_larger_than_a_chunk_gets_a_larger_one_which_goes_with_it)
{
    ostler_heap *heap = make_heap(small_heap());
    uint64_t mapped = heap_stats(heap).mapped_bytes;
    struct tagged small = tag_block(get(heap, 100, 0), 100, 1);
    struct tagged large = tag_block(get(heap, 5 * CHUNK_BYTES + 3, 4096), 5 * CHUNK_BYTES + 3, 2);
    CHECK(heap_stats(heap).mapped_bytes >= mapped + 5 * CHUNK_BYTES);
    CHECK(is_untouched(&small) && is_untouched(&large));
    CHECK_FREE(heap, large.bytes);
    CHECK_EQ(heap_stats(heap).mapped_bytes, mapped);
    CHECK(is_untouched(&small));
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

TEST(largest_free_block_can_be_had)
{
    ostler_heap_config config = small_heap();
    config.limit_bytes = CHUNK_BYTES;
    ostler_heap *heap = make_heap(config);
    for (int round = 0; round < 20; round++) {
        uint64_t largest = heap_stats(heap).largest_free_bytes;
        void *block = get(heap, largest, 0);
        CHECK_EQ(heap_stats(heap).free_bytes, 0);
        CHECK_FREE(heap, block);
        CHECK_EQ(heap_stats(heap).largest_free_bytes, largest);
        get(heap, (uint64_t)round * 997 + 2100, 0);
    }
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

TEST(adopted_memory_is_all_that_such_a_heap_has)
{
    ostler_heap_config config = small_heap();
    config.adopted_only = 1;
    ostler_heap *heap = make_heap(config);
    static _Alignas(16) unsigned char first[8192 + 64], second[65536];
    void *block;
    CHECK_STATUS(ostler_heap_alloc(heap, 1, 0, &block), OSTLER_E_LIMIT);
    CHECK_STATUS(ostler_heap_adopt(heap, first, 4095), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "memory_bytes");
    memset(first, 0x5a, sizeof first);
    CHECK_STATUS(ostler_heap_adopt(heap, first + 5, 8192), OSTLER_OK);
    CHECK_STATUS(ostler_heap_adopt(heap, second, sizeof second), OSTLER_OK);
    CHECK_STATUS(ostler_heap_adopt(heap, second + 100, 4096), OSTLER_E_INVALID_ARGUMENT);
    struct tagged blocks[200];
    int count = 0;
    ostler_status status;
    while ((status = ostler_heap_alloc(heap, 700, 0, &block)) == OSTLER_OK) {
        unsigned char *bytes = block;
        CHECK((bytes >= first && bytes + 700 <= first + sizeof first) || (bytes >= second && bytes + 700 <= second + sizeof second));
        blocks[count] = tag_block(block, 700, (unsigned char)(count + 1));
        count++;
    }
    CHECK_STATUS(status, OSTLER_E_LIMIT);
    CHECK(count > 90);
    CHECK_EQ(heap_stats(heap).mapped_bytes, 0);
    CHECK_EQ(heap_stats(heap).adopted_bytes, 8192 + sizeof second);
    while (count-- > 0) {
        CHECK(is_untouched(&blocks[count]));
        CHECK_FREE(heap, blocks[count].bytes);
    }
    uint64_t returned = 1;
    CHECK_STATUS(ostler_heap_trim(heap, 0, &returned), OSTLER_OK);
    CHECK_EQ(returned, 0);
    check_empty(heap);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(first[i], 0x5a);
    for (size_t i = 8192 + 5; i < sizeof first; i++)
        CHECK_EQ(first[i], 0x5a);
}

TEST(trim_gives_back_what_is_empty_and_keeps_what_it_is_told_to)
{
    ostler_heap *heap = make_heap(small_heap());
    static void *blocks[3000];
    for (int i = 0; i < 3000; i++)
        memset(blocks[i] = get(heap, 1000, 0), 1, 1000);
    uint64_t full = heap_stats(heap).mapped_bytes, returned;
    CHECK_STATUS(ostler_heap_trim(heap, 0, &returned), OSTLER_OK);
    CHECK(returned <= CHUNK_BYTES);
    for (int i = 1; i < 3000; i++)
        CHECK_FREE(heap, blocks[i]);
    CHECK_STATUS(ostler_heap_trim(heap, 4 * CHUNK_BYTES, &returned), OSTLER_OK);
    CHECK_EQ(heap_stats(heap).mapped_bytes, 4 * CHUNK_BYTES);
    CHECK(returned >= full - 6 * CHUNK_BYTES);
    CHECK_STATUS(ostler_heap_trim(heap, 0, &returned), OSTLER_OK);
    CHECK_EQ(heap_stats(heap).chunks, 1);
    CHECK_EQ(*(unsigned char *)blocks[0], 1);
    CHECK_FREE(heap, blocks[0]);
    CHECK_STATUS(ostler_heap_trim(heap, 0, NULL), OSTLER_OK);
    CHECK_EQ(heap_stats(heap).mapped_bytes, 0);
    CHECK_FREE(heap, get(heap, 10, 0));
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

TEST(resize_keeps_contents_and_grows_where_it_is_if_it_can)
{
    for (int checked = 0; checked < 2; checked++) {
        ostler_heap *heap = make_heap(checked ? checked_heap() : small_heap());
        unsigned char *block = get(heap, 3000, 0);
        void *moved;
        memset(block, 7, 3000);
        CHECK_STATUS(ostler_heap_resize(heap, block, 30000, 0, &moved), OSTLER_OK);
        CHECK_EQ(moved, block); /* all behind it is free */
        CHECK_STATUS(ostler_heap_resize(heap, block, 40, 0, &moved), OSTLER_OK);
        CHECK_EQ(moved, block);
        void *behind = get(heap, 20000, 0);
        CHECK_STATUS(ostler_heap_resize(heap, block, 60000, 4096, &moved), OSTLER_OK);
        CHECK_EQ((uintptr_t)moved % 4096, 0);
        for (int i = 0; i < 40; i++)
            CHECK_EQ(((unsigned char *)moved)[i], 7);
        CHECK_STATUS(ostler_heap_resize(heap, moved, UINT64_MAX / 2, 0, &moved), OSTLER_E_OUT_OF_MEMORY);
        CHECK_EQ(moved, NULL);
        CHECK_EQ(heap_stats(heap).blocks, 2);
        CHECK_EQ(heap_stats(heap).requested_bytes, 80000);
        CHECK_FREE(heap, behind);
        CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    }
}

TEST(usable_bytes_may_be_used)
{
    for (int checked = 0; checked < 2; checked++) {
        ostler_heap *heap = make_heap(checked ? checked_heap() : small_heap());
        for (uint64_t size = 1; size < 6000; size += 7) {
            void *block = get(heap, size, 0);
            uint64_t usable;
            CHECK_STATUS(ostler_heap_get_usable_bytes(heap, block, &usable), OSTLER_OK);
            CHECK(checked ? usable == size : usable >= size && (usable - size < 16 || (usable - size) * 8 <= usable));
            memset(block, 0xee, usable);
            CHECK_FREE(heap, block);
        }
        check_empty(heap);
        CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    }
}

/* --- reports --- */

TEST(blocks_that_are_out_are_listed_by_address)
{
    for (int checked = 0; checked < 2; checked++) {
        ostler_heap *heap = make_heap(checked ? checked_heap() : small_heap());
        for (uint64_t i = 1; i <= 1000; i++) {
            void *block = get(heap, i, 0);
            if (i % 2)
                CHECK_FREE(heap, block);
        }
        ostler_heap_block piece[7];
        uint64_t behind = 0, left, seen = 0, requested = 0;
        CHECK_STATUS(ostler_heap_list_blocks(heap, 0, NULL, 0, &left), OSTLER_OK);
        CHECK_EQ(left, 500);
        do {
            CHECK_STATUS(ostler_heap_list_blocks(heap, behind, piece, 7, &left), OSTLER_OK);
            CHECK_EQ(left, 500 - seen);
            for (uint64_t i = 0; i < 7 && i < left; i++, seen++) {
                CHECK(piece[i].address > behind);
                CHECK(piece[i].used_bytes >= piece[i].requested_bytes);
                behind = piece[i].address;
                requested += piece[i].requested_bytes;
            }
        } while (left > 7);
        CHECK_EQ(seen, 500);
        CHECK_EQ(requested, 250500);
        CHECK_EQ(heap_stats(heap).requested_bytes, 250500);
        CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    }
}

TEST(receipts_tell_of_each_chunk)
{
    ostler_heap *heap = make_heap(small_heap());
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    char table[4096];
    uint64_t needed;
    memset(get(heap, 100000, 0), 1, 100000);
    get(heap, 250000, 0);
    CHECK_EQ(heap_stats(heap).chunks, 2);
    for (uint64_t chunk = 0; chunk < 2; chunk++) {
        CHECK_STATUS(ostler_heap_get_receipt(heap, chunk, &receipt), OSTLER_OK);
        CHECK_EQ(receipt.got_pages, OSTLER_PAGES_BASE);
        CHECK(receipt.mapped_bytes >= CHUNK_BYTES);
    }
    CHECK(heap_stats(heap).resident_bytes >= 100000 && heap_stats(heap).resident_bytes < CHUNK_BYTES);
    CHECK_STATUS(ostler_heap_get_receipt(heap, 2, &receipt), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_heap_print_receipts(heap, table, sizeof table, &needed), OSTLER_OK);
    CHECK_EQ(strlen(table) + 1, needed);
    CHECK_STR_CONTAINS(table, "256 KiB");
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

/* --- movable blocks --- */

CHECK_MAIN()
