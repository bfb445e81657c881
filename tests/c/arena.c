/* Arena: placement, marks, limits, resets, and what many threads do to it at once. */
#include "arenas.h"
#include "tally.h"
#include <ostler_inline.h>
#include <pthread.h>
#include <sched.h>

TEST(every_alignment_up_to_64_kib_is_kept)
{
    ostler_arena *arena = make_arena(small_chunks());
    struct tagged blocks[17 * 8];
    size_t count = 0;
    for (int round = 0; round < 8; round++)
        for (uint64_t align = 1; align <= 65536; align *= 2) {
            size_t size = (size_t)(align % 97 + 1 + round);
            void *bytes = take(arena, size, align);
            CHECK_EQ((uintptr_t)bytes % align, 0);
            blocks[count] = tag_block(bytes, size, (unsigned char)(count + 1));
            count++;
        }
    CHECK_EQ(count, sizeof blocks / sizeof *blocks);
    for (size_t i = 0; i < count; i++)
        CHECK(is_untouched(&blocks[i]));
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(no_alignment_means_16)
{
    ostler_arena *arena = make_arena(small_chunks());
    for (int i = 0; i < 100; i++)
        CHECK_EQ((uintptr_t)take(arena, 1, 0) % 16, 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(alignment_that_is_no_power_of_two_is_refused)
{
    static const uint64_t alignments[] = {3, 6, 24, 4097, UINT64_MAX, ((uint64_t)1 << 63) + 1};
    ostler_arena *arena = make_arena(small_chunks());
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        void *bytes = arena;
        CHECK_STATUS(ostler_arena_alloc(arena, 8, alignments[i], &bytes), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "align_bytes");
        CHECK_EQ(bytes, NULL);
    }
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(block_larger_than_a_chunk_gets_its_own)
{
    ostler_arena *arena = make_arena(small_chunks());
    struct tagged small = tag_block(take(arena, 100, 0), 100, 1);
    struct tagged large = tag_block(take(arena, 5 * CHUNK_BYTES + 3, 4096), 5 * CHUNK_BYTES + 3, 2);
    struct tagged after = tag_block(take(arena, 100, 0), 100, 3);
    CHECK(is_untouched(&small) && is_untouched(&large) && is_untouched(&after));
    CHECK(arena_stats(arena).mapped_bytes >= 6 * CHUNK_BYTES);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(size_that_no_machine_has_is_refused)
{
    ostler_arena *arena = make_arena(small_chunks());
    for (uint64_t less = 0; less < 10000; less += 37) {
        void *bytes = arena;
        ostler_status status = ostler_arena_alloc(arena, UINT64_MAX - less, 1 + (less & 1) * 4095, &bytes);
        CHECK(status == OSTLER_E_OUT_OF_MEMORY || status == OSTLER_E_INVALID_ARGUMENT || status == OSTLER_E_LIMIT);
        CHECK_EQ(bytes, NULL);
    }
    take(arena, 16, 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(limit_is_never_passed_and_a_reset_makes_room)
{
    ostler_arena_config config = small_chunks();
    config.limit_bytes = 4 * CHUNK_BYTES;
    ostler_arena *arena = make_arena(config);
    for (int round = 0; round < 2; round++) {
        void *bytes;
        ostler_status status;
        uint64_t taken = 0;
        while ((status = ostler_arena_alloc(arena, 1000, 0, &bytes)) == OSTLER_OK) {
            memset(bytes, 1, 1000);
            taken += 1000;
            CHECK(arena_stats(arena).mapped_bytes <= config.limit_bytes);
        }
        CHECK_STATUS(status, OSTLER_E_LIMIT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "limit_bytes");
        CHECK_EQ(bytes, NULL);
        CHECK(taken > 2 * CHUNK_BYTES);
        CHECK_STATUS(ostler_arena_alloc(arena, 3 * CHUNK_BYTES, 0, &bytes), OSTLER_E_LIMIT);
        CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    }
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(rewind_gives_back_what_came_after_the_mark_and_no_more)
{
    ostler_arena *arena = make_arena(small_chunks());
    struct tagged before = tag_block(take(arena, 5000, 0), 5000, 0x11);
    ostler_mark mark = mark_of(arena);
    uint64_t used = arena_stats(arena).used_bytes, mapped = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++)
            memset(take(arena, 2000, 0), 0x22, 2000);
        if (round == 0)
            mapped = arena_stats(arena).mapped_bytes;
        CHECK_EQ(arena_stats(arena).mapped_bytes, mapped);
        CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_OK);
        CHECK_EQ(arena_stats(arena).used_bytes, used);
        CHECK(is_untouched(&before));
    }
    CHECK_EQ(arena_stats(arena).rewinds, 3);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

static void *take_elsewhere(void *arena)
{
    return take(arena, 100, 0);
}

TEST(same_moment_is_marked_and_gone_back_to_again_and_again)
{
    ostler_arena *arena = make_arena(small_chunks());
    struct tagged before = tag_block(take(arena, 100, 0), 100, 0x11);
    ostler_mark mark = mark_of(arena);
    void *first = take(arena, 1000, 0);
    for (int round = 0; round < 100; round++) {
        CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_OK);
        ostler_mark again = mark_of(arena);
        CHECK_EQ(again.serial, mark.serial);
        CHECK_EQ(take(arena, 1000, 0), first);
        memset(first, 0x22, 1000);
        if (round % 10 == 0) {
            /* It is another moment once another thread took something. */
            pthread_t thread;
            CHECK_EQ(pthread_create(&thread, NULL, take_elsewhere, arena), 0);
            CHECK_EQ(pthread_join(thread, NULL), 0);
            CHECK(mark_of(arena).serial != mark.serial);
        }
        CHECK(is_untouched(&before));
    }
    CHECK_EQ(arena_stats(arena).rewinds, 100);
    CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_OK);
    CHECK_STATUS(ostler_arena_rewind(arena, NULL), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_arena_mark(arena, NULL), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_arena_close(arena, 0, NULL, NULL), OSTLER_OK);
    ostler_mark after = mark;
    CHECK_STATUS(ostler_arena_mark(arena, &after), OSTLER_E_CLOSED);
    CHECK_EQ(after.serial, 0);
    CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_arena_mark(arena, &after), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_E_INVALID_HANDLE);
}

TEST(mark_of_a_cursor_is_stale_once_its_arena_is_marked_again)
{
    ostler_arena *arena = make_arena(small_chunks());
    ostler_cursor *cursor = open_cursor(arena);
    take(arena, 100, 0);
    ostler_mark mark = mark_of(arena), of_cursor;
    CHECK_STATUS(ostler_cursor_mark_inline(cursor, &of_cursor), OSTLER_OK);
    CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_rewind_inline(cursor, &of_cursor), OSTLER_E_STALE_MARK);
    CHECK_STATUS(ostler_cursor_mark_inline(cursor, &of_cursor), OSTLER_OK);
    mark_of(arena);
    CHECK_STATUS(ostler_cursor_rewind_inline(cursor, &of_cursor), OSTLER_E_STALE_MARK);
    CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(mark_inside_a_rewound_one_is_stale)
{
    ostler_arena *arena = make_arena(small_chunks());
    ostler_mark outer = mark_of(arena);
    take(arena, 100, 0);
    ostler_mark inner = mark_of(arena);
    take(arena, 100, 0);
    CHECK_STATUS(ostler_arena_rewind(arena, &inner), OSTLER_OK);
    CHECK_STATUS(ostler_arena_rewind(arena, &outer), OSTLER_OK);
    CHECK_STATUS(ostler_arena_rewind(arena, &inner), OSTLER_E_STALE_MARK);
    /* The place of the inner mark is taken by another, which does not revive it. */
    take(arena, 100, 0);
    ostler_mark next = mark_of(arena);
    CHECK_STATUS(ostler_arena_rewind(arena, &inner), OSTLER_E_STALE_MARK);
    CHECK_STATUS(ostler_arena_rewind(arena, &next), OSTLER_OK);
    CHECK_STATUS(ostler_arena_rewind(arena, &outer), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(mark_is_stale_after_a_reset_and_in_another_arena)
{
    ostler_arena *arena = make_arena(small_chunks()), *other = make_arena(small_chunks());
    ostler_mark mark = mark_of(arena), others = mark_of(other);
    CHECK_STATUS(ostler_arena_rewind(arena, &others), OSTLER_E_STALE_MARK);
    CHECK_STATUS(ostler_arena_rewind(other, &mark), OSTLER_E_STALE_MARK);
    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_E_STALE_MARK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    /* An arena in the place of the destroyed one does not know its marks. */
    arena = make_arena(small_chunks());
    CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_E_STALE_MARK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(other), OSTLER_OK);
}

TEST(rewind_and_reset_take_open_cursors_along)
{
    ostler_arena *arena = make_arena(small_chunks());
    ostler_cursor *cursor = open_cursor(arena);
    for (int round = 0; round < 6; round++) {
        struct tagged blocks[400];
        void *bytes;
        ostler_mark mark = mark_of(arena);
        for (int i = 0; i < 400; i++) {
            if (i % 2)
                bytes = take(arena, 3000, 0);
            else
                CHECK_STATUS((i % 4 ? ostler_cursor_alloc : ostler_cursor_alloc_inline)(cursor, 3000, 0, &bytes), OSTLER_OK);
            blocks[i] = tag_block(bytes, 3000, (unsigned char)(i + round));
        }
        for (int i = 0; i < 400; i++)
            CHECK(is_untouched(&blocks[i]));
        if (round % 2)
            CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_OK);
        else
            CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_RETURN_PAGES), OSTLER_OK);
    }
    CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

static uint64_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%llu %llu", &size, &resident) == 2);
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

TEST(reset_keeps_pages_or_returns_them_as_it_is_told)
{
    const uint64_t block = (uint64_t)1 << 20, blocks = 64, slack = 16 * block;
    ostler_arena_config config = small_chunks();
    config.chunk_bytes = 4 * block;
    ostler_arena *arena = make_arena(config);
    uint64_t empty = resident_bytes();
    for (uint64_t i = 0; i < blocks; i++)
        memset(take(arena, block, 0), 1, block);
    CHECK(resident_bytes() > empty + blocks * block - slack);

    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    CHECK_EQ(arena_stats(arena).used_bytes, 0);
    CHECK(resident_bytes() > empty + blocks * block - slack);

    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_RETURN_PAGES), OSTLER_OK);
    CHECK_EQ(arena_stats(arena).used_bytes, 0);
    CHECK(resident_bytes() < empty + slack);
    CHECK_EQ(arena_stats(arena).resets, 2);
    memset(take(arena, block, 0), 2, block);
    CHECK_STATUS(ostler_arena_reset(arena, 7), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "mode is 7");
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK(resident_bytes() < empty + slack);
}

TEST(stats_say_what_is_in_use)
{
    ostler_arena *arena = make_arena(small_chunks());
    CHECK_EQ(arena_stats(arena).used_bytes, 0);
    take(arena, 10000, 0);
    ostler_cursor *first = open_cursor(arena), *second = open_cursor(arena);
    ostler_arena_stats stats = arena_stats(arena);
    CHECK(stats.used_bytes >= 10000 && stats.used_bytes <= stats.mapped_bytes);
    CHECK_EQ(stats.cursors_open, 2);
    CHECK(stats.chunks >= 1 && stats.mapped_bytes >= stats.chunks * 4096);
    CHECK_STATUS(ostler_cursor_close(first), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_close(second), OSTLER_OK);
    CHECK_EQ(arena_stats(arena).cursors_open, 0);
    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    CHECK_EQ(arena_stats(arena).used_bytes, 0);
    CHECK(arena_stats(arena).peak_used_bytes >= 10000);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

struct grazer {
    ostler_arena *arena;
    uint64_t seed;
    struct tagged blocks[3000];
    pthread_t thread;
};

/* Half through a cursor of its own, half through the arena itself. */
static void *graze(void *argument)
{
    struct grazer *grazer = argument;
    ostler_cursor *cursor = NULL;
    EXPECT_STATUS(ostler_cursor_open(grazer->arena, &cursor), OSTLER_OK);
    for (size_t i = 0; i < sizeof grazer->blocks / sizeof *grazer->blocks; i++) {
        uint64_t random = next_random(&grazer->seed), size = random % 700 + 1, align = (uint64_t)1 << (random >> 32) % 8;
        void *bytes = NULL;
        if (random >> 63 ? EXPECT_STATUS(ostler_cursor_alloc(cursor, size, align, &bytes), OSTLER_OK)
                         : EXPECT_STATUS(ostler_arena_alloc(grazer->arena, size, align, &bytes), OSTLER_OK))
            grazer->blocks[i] = tag_block(bytes, size, (unsigned char)(grazer->seed | 1));
    }
    EXPECT_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    return NULL;
}

TEST(threads_that_share_an_arena_get_no_byte_twice)
{
    enum { GRAZERS = 8 };
    struct grazer *grazers = calloc(GRAZERS, sizeof *grazers);
    ostler_arena *arena = make_arena(small_chunks());
    for (int i = 0; i < GRAZERS; i++) {
        grazers[i].arena = arena;
        grazers[i].seed = (uint64_t)i * 977 + 1;
        pthread_create(&grazers[i].thread, NULL, graze, &grazers[i]);
    }
    for (int i = 0; i < GRAZERS; i++)
        pthread_join(grazers[i].thread, NULL);
    for (int i = 0; i < GRAZERS; i++)
        for (size_t k = 0; k < sizeof grazers->blocks / sizeof *grazers->blocks; k++)
            CHECK(is_untouched(&grazers[i].blocks[k]));
    CHECK_EQ(arena_stats(arena).cursors_open, 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    free(grazers);
}

/* What the library keeps for a thread and an arena outlives neither of them in a harmful way. */
static void *use_many_arenas(void *argument)
{
    uint64_t seed = (uint64_t)(uintptr_t)argument;
    for (int round = 0; round < 50; round++) {
        ostler_arena *arenas[6];
        ostler_arena_config config;
        ostler_arena_config_init(&config, sizeof config);
        config.source = &base_pages;
        config.chunk_bytes = CHUNK_BYTES;
        for (int i = 0; i < 6; i++)
            EXPECT_STATUS(ostler_arena_create(&config, &arenas[i]), OSTLER_OK);
        for (int i = 0; i < 60; i++) {
            void *bytes = NULL;
            if (EXPECT_STATUS(ostler_arena_alloc(arenas[next_random(&seed) % 6], 100, 0, &bytes), OSTLER_OK))
                memset(bytes, 1, 100);
        }
        for (int i = 0; i < 6; i++)
            EXPECT_STATUS(ostler_arena_destroy(arenas[i]), OSTLER_OK);
    }
    return NULL;
}

TEST(threads_and_arenas_end_in_any_order)
{
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, use_many_arenas, (void *)(i + 1));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

TEST(close_waits_for_cursors_and_refuses_new_work)
{
    ostler_arena *arena = make_arena(small_chunks());
    ostler_cursor *cursor = open_cursor(arena), *another = cursor;
    uint64_t still_out = 99;
    void *bytes = arena;
    CHECK_STATUS(ostler_arena_close(arena, 0, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 1);
    CHECK_STATUS(ostler_cursor_open(arena, &another), OSTLER_E_CLOSED);
    CHECK_EQ(another, NULL);
    CHECK_STATUS(ostler_arena_alloc(arena, 8, 0, &bytes), OSTLER_E_CLOSED);
    CHECK_EQ(bytes, NULL);
    CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    CHECK_STATUS(ostler_arena_close(arena, OSTLER_FOREVER, NULL, &still_out), OSTLER_OK);
    CHECK_EQ(still_out, 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

static void *close_forever(void *arena)
{
    uint64_t still_out = 99;
    EXPECT_STATUS(ostler_arena_close(arena, OSTLER_FOREVER, NULL, &still_out), OSTLER_OK);
    EXPECT_EQ(still_out, 0);
    return NULL;
}

TEST(close_ends_with_the_last_cursor)
{
    ostler_arena *arena = make_arena(small_chunks());
    ostler_cursor *cursor = open_cursor(arena), *probe;
    pthread_t thread;
    ostler_status status;
    pthread_create(&thread, NULL, close_forever, arena);
    while ((status = ostler_cursor_open(arena, &probe)) == OSTLER_OK) {
        CHECK_STATUS(ostler_cursor_close(probe), OSTLER_OK);
        sched_yield();
    }
    CHECK_STATUS(status, OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    pthread_join(thread, NULL);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(destroyed_before_its_cursors_it_lasts_as_long_as_they_do)
{
    ostler_arena *arena = make_arena(small_chunks());
    ostler_cursor *cursor = open_cursor(arena);
    void *bytes, *more;
    CHECK_STATUS(ostler_cursor_alloc(cursor, 100, 0, &bytes), OSTLER_OK);
    struct tagged block = tag_block(bytes, 100, 0x77);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_E_INVALID_HANDLE);
    CHECK(is_untouched(&block));
    ostler_status status = ostler_cursor_alloc(cursor, 4 * CHUNK_BYTES, 0, &more);
    CHECK_STATUS(status, OSTLER_E_CLOSED);
    CHECK_EQ(more, NULL);
    memset(bytes, 0x78, 100);
    CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_arena_alloc(arena, 8, 0, &more), OSTLER_E_INVALID_HANDLE);
}

CHECK_MAIN()
