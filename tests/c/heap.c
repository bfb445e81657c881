/* Heap: blocks keep what is in them, misuse is told at the call, nothing is refused that is free, and what is given back
 * joins its neighbours. */
#include "arenas.h"
#include "governed.h"
#include "tally.h"
#include <stdatomic.h>

static ostler_heap_config small_heap(void)
{
    ostler_heap_config config;
    CHECK_STATUS(ostler_heap_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.chunk_bytes = CHUNK_BYTES;
    return config;
}

static ostler_heap_config checked_heap(void)
{
    ostler_heap_config config = small_heap();
    config.checked = 1;
    return config;
}

static ostler_heap *make_heap(ostler_heap_config config)
{
    ostler_heap *heap;
    CHECK_STATUS(ostler_heap_create(&config, &heap), OSTLER_OK);
    return heap;
}

static ostler_heap_stats heap_stats(ostler_heap *heap)
{
    ostler_heap_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_heap_get_stats(heap, &stats), OSTLER_OK);
    return stats;
}

static unsigned char *get(ostler_heap *heap, uint64_t size_bytes, uint64_t align_bytes)
{
    void *block = NULL;
    CHECK_STATUS(ostler_heap_alloc(heap, size_bytes, align_bytes, &block), OSTLER_OK);
    CHECK(block != NULL);
    return block;
}

#define CHECK_FREE(heap, block) CHECK_STATUS(ostler_heap_free(heap, block), OSTLER_OK)

/* What threads have at hand comes home, and nothing is unmapped. */
static void recall(ostler_heap *heap)
{
    uint64_t returned = 1;
    CHECK_STATUS(ostler_heap_trim(heap, UINT64_MAX, &returned), OSTLER_OK);
    CHECK_EQ(returned, 0);
}

static void check_empty(ostler_heap *heap)
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

TEST(close_waits_for_the_last_block)
{
    ostler_heap *heap = make_heap(small_heap());
    void *small = get(heap, 10, 0), *large = get(heap, 10000, 0), *none;
    uint64_t still_out;
    CHECK_STATUS(ostler_heap_close(heap, 1000000, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 2);
    CHECK_STATUS(ostler_heap_alloc(heap, 1, 0, &none), OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_heap_resize(heap, small, 1, 0, &none), OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_heap_trim(heap, 0, NULL), OSTLER_E_CLOSED);
    CHECK_FREE(heap, small);
    CHECK_STATUS(ostler_heap_free(heap, small), OSTLER_E_DOUBLE_FREE);
    CHECK_EQ(heap_stats(heap).blocks, 1);
    CHECK_FREE(heap, large);
    CHECK_STATUS(ostler_heap_close(heap, OSTLER_FOREVER, NULL, &still_out), OSTLER_OK);
    CHECK_EQ(still_out, 0);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_E_INVALID_HANDLE);
}

struct freer {
    ostler_heap *heap;
    void *blocks[100];
};

static void *free_all(void *data)
{
    struct freer *freer = data;
    for (int i = 0; i < 100; i++) {
        usleep(100);
        EXPECT_STATUS(ostler_heap_free(freer->heap, freer->blocks[i]), OSTLER_OK);
    }
    return NULL;
}

TEST(close_ends_when_another_thread_frees_the_last_block)
{
    struct freer freer = {.heap = make_heap(small_heap())};
    pthread_t thread;
    for (int i = 0; i < 100; i++)
        freer.blocks[i] = get(freer.heap, (uint64_t)(100 - i) * 50, 0); /* the last is one that a thread could keep at hand */
    CHECK_EQ(pthread_create(&thread, NULL, free_all, &freer), 0);
    CHECK_STATUS(ostler_heap_close(freer.heap, OSTLER_FOREVER, NULL, NULL), OSTLER_OK);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_STATUS(ostler_heap_destroy(freer.heap), OSTLER_OK);
}

TEST(destroy_takes_blocks_that_are_out_with_it)
{
    for (int i = 0; i < 100; i++) {
        ostler_heap *heap = make_heap(i % 2 ? checked_heap() : small_heap());
        void *block = get(heap, 100, 0);
        get(heap, 100000, 0);
        CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
        CHECK_STATUS(ostler_heap_free(heap, block), OSTLER_E_INVALID_HANDLE);
    }
}

/* --- many threads --- */

enum { EXCHANGES = 64, WORKERS = 4 };

struct market {
    ostler_heap *heap;
    _Atomic(void *) stalls[EXCHANGES];
    uint64_t steps;
};

struct worker {
    struct market *market;
    uint64_t seed;
};

/* A block that says how long it is, and repeats that to its end. */
static void fill(unsigned char *block, uint32_t size)
{
    memcpy(block, &size, sizeof size);
    memset(block + sizeof size, (int)(size % 251), size - sizeof size);
}

static int is_whole(const unsigned char *block)
{
    uint32_t size;
    memcpy(&size, block, sizeof size);
    for (uint32_t i = sizeof size; i < size; i++)
        if (block[i] != (unsigned char)(size % 251))
            return 0;
    return 1;
}

/* Puts a block of its own where another was, and frees that, whoever allocated it. */
static void *trade(void *data)
{
    struct worker *worker = data;
    struct market *market = worker->market;
    for (uint64_t i = 0; i < market->steps; i++) {
        uint64_t random = next_random(&worker->seed);
        uint32_t size = 4 + (uint32_t)(random % (random % 16 ? 1500 : 40000));
        void *block;
        if (!EXPECT_STATUS(ostler_heap_alloc(market->heap, size, 0, &block), OSTLER_OK))
            return NULL;
        fill(block, size);
        void *other = atomic_exchange(&market->stalls[(random >> 32) % EXCHANGES], block);
        if (other) {
            EXPECT(is_whole(other));
            EXPECT_STATUS(ostler_heap_free(market->heap, other), OSTLER_OK);
        }
        if (random >> 54 == 0)
            EXPECT_STATUS(ostler_heap_trim(market->heap, 0, NULL), OSTLER_OK);
    }
    return NULL;
}

static void run_market(ostler_heap_config config, uint64_t steps)
{
    struct market market = {.heap = make_heap(config), .steps = steps};
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){&market, (uint64_t)i * 7919 + 1};
        CHECK_EQ(pthread_create(&threads[i], NULL, trade, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < EXCHANGES; i++)
        if (market.stalls[i]) {
            CHECK(is_whole(market.stalls[i]));
            CHECK_FREE(market.heap, market.stalls[i]);
        }
    check_empty(market.heap);
    CHECK_STATUS(ostler_heap_destroy(market.heap), OSTLER_OK);
}

TEST(threads_free_each_others_blocks)
{
    run_market(small_heap(), 50000);
}

TEST(threads_free_each_others_blocks_of_a_checked_heap)
{
    run_market(checked_heap(), 5000);
}

struct race {
    ostler_heap *heap;
    void *block;
    pthread_barrier_t start;
    struct tally freed, refused;
};

static void *free_in_a_race(void *data)
{
    struct race *race = data;
    pthread_barrier_wait(&race->start);
    ostler_status status = ostler_heap_free(race->heap, race->block);
    if (status == OSTLER_OK)
        tally_add(&race->freed, 1);
    else if (EXPECT_STATUS(status, OSTLER_E_DOUBLE_FREE))
        tally_add(&race->refused, 1);
    return NULL;
}

TEST(checked_heap_finds_a_block_freed_by_two_threads_at_once)
{
    struct race race = {.heap = make_heap(checked_heap()), .freed = TALLY_INIT, .refused = TALLY_INIT};
    for (int round = 0; round < 200; round++) {
        pthread_t threads[2];
        race.block = get(race.heap, 100, 0);
        CHECK_EQ(pthread_barrier_init(&race.start, NULL, 2), 0);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, free_in_a_race, &race), 0);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        pthread_barrier_destroy(&race.start);
    }
    CHECK_EQ(tally_read(&race.freed), 200);
    CHECK_EQ(tally_read(&race.refused), 200);
    check_empty(race.heap);
    CHECK_STATUS(ostler_heap_destroy(race.heap), OSTLER_OK);
}

CHECK_MAIN()
