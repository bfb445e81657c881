/* Hand-over: arenas and regions that go from thread to thread. */
#include "arenas.h"

static ostler_arena *handed_over(ostler_arena *arena)
{
    ostler_arena *heir = arena;
    CHECK_STATUS(ostler_arena_hand_over(arena, &heir), OSTLER_OK);
    CHECK(heir != NULL && heir != arena);
    return heir;
}

TEST(giver_is_left_with_nothing_and_the_receiver_has_it_all)
{
    ostler_arena *arena = make_arena(small_chunks());
    struct tagged block = tag_block(take(arena, 5000, 0), 5000, 3);
    ostler_arena_stats before = arena_stats(arena);
    ostler_mark mark = mark_of(arena);
    ostler_arena *heir = handed_over(arena);
    void *bytes = arena;
    CHECK_STATUS(ostler_arena_alloc(arena, 8, 0, &bytes), OSTLER_E_INVALID_HANDLE);
    CHECK_EQ(bytes, NULL);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_arena_rewind(heir, &mark), OSTLER_E_STALE_MARK);
    CHECK_EQ(arena_stats(heir).mapped_bytes, before.mapped_bytes);
    CHECK_EQ(arena_stats(heir).refills, before.refills);
    take(heir, 5000, 0);
    CHECK(is_untouched(&block));
    CHECK_STATUS(ostler_arena_reset(heir, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(heir), OSTLER_OK);
}

TEST(whoever_has_a_cursor_open_gives_nothing_away)
{
    ostler_arena *arena = make_arena(small_chunks()), *heir = arena;
    ostler_cursor *cursor = open_cursor(arena);
    CHECK_STATUS(ostler_arena_hand_over(arena, &heir), OSTLER_E_BUSY);
    CHECK_EQ(heir, NULL);
    take(arena, 100, 0);
    CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    heir = handed_over(arena);
    CHECK_STATUS(ostler_arena_destroy(heir), OSTLER_OK);
}

struct relay {
    ostler_arena *arena;
    struct tagged blocks[200];
    int count;
};

/* Checks what the one before has written, adds its own, and passes it on. */
static void *carry(void *argument)
{
    struct relay *relay = argument;
    for (int i = 0; i < relay->count; i++)
        EXPECT(is_untouched(&relay->blocks[i]));
    for (int i = 0; i < 10; i++) {
        void *bytes = NULL;
        if (EXPECT_STATUS(ostler_arena_alloc(relay->arena, 3000, 0, &bytes), OSTLER_OK)) {
            relay->blocks[relay->count] = tag_block(bytes, 3000, (unsigned char)(relay->count + 1));
            relay->count++;
        }
    }
    ostler_arena *heir = NULL;
    EXPECT_STATUS(ostler_arena_hand_over(relay->arena, &heir), OSTLER_OK);
    relay->arena = heir;
    return NULL;
}

TEST(arena_goes_from_thread_to_thread)
{
    struct relay relay = {.arena = make_arena(small_chunks())};
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, carry, &relay);
        pthread_join(thread, NULL);
    }
    CHECK_EQ(relay.count, 200);
    for (int i = 0; i < relay.count; i++)
        CHECK(is_untouched(&relay.blocks[i]));
    CHECK_STATUS(ostler_arena_destroy(relay.arena), OSTLER_OK);
}

TEST(region_moves_and_the_rest_stays)
{
    ostler_arena *from = make_arena(small_chunks()), *into = make_arena(small_chunks());
    ostler_mark region;
    struct tagged ours = tag_block(take(from, 5000, 0), 5000, 1);
    CHECK_STATUS(ostler_arena_begin_region(from, &region), OSTLER_OK);
    struct tagged small = tag_block(take(from, 5000, 0), 5000, 2);
    struct tagged large = tag_block(take(from, 3 * CHUNK_BYTES, 0), 3 * CHUNK_BYTES, 3);
    uint64_t all = arena_stats(from).mapped_bytes, theirs = arena_stats(into).mapped_bytes;
    CHECK_STATUS(ostler_arena_hand_over_region(from, &region, into), OSTLER_OK);
    CHECK_EQ(arena_stats(from).mapped_bytes, CHUNK_BYTES);
    CHECK_EQ(arena_stats(into).mapped_bytes, theirs + all - CHUNK_BYTES);
    CHECK_STATUS(ostler_arena_hand_over_region(from, &region, into), OSTLER_E_STALE_MARK);
    memset(take(from, 5000, 0), 4, 5000);
    memset(take(into, 5000, 0), 5, 5000);
    CHECK(is_untouched(&ours) && is_untouched(&small) && is_untouched(&large));
    CHECK_STATUS(ostler_arena_destroy(from), OSTLER_OK);
    CHECK(is_untouched(&small) && is_untouched(&large));
    CHECK_STATUS(ostler_arena_reset(into, OSTLER_RESET_RETURN_PAGES), OSTLER_OK);
    CHECK_EQ(arena_stats(into).mapped_bytes, 0);
    CHECK_STATUS(ostler_arena_destroy(into), OSTLER_OK);
}

TEST(region_that_cannot_move_stays_where_it_is)
{
    ostler_arena_config tight = small_chunks();
    tight.limit_bytes = 2 * CHUNK_BYTES;
    ostler_arena *from = make_arena(small_chunks()), *into = make_arena(tight);
    ostler_mark mark = mark_of(from), region;
    CHECK_STATUS(ostler_arena_begin_region(from, &region), OSTLER_OK);
    struct tagged block = tag_block(take(from, 2 * CHUNK_BYTES, 0), 2 * CHUNK_BYTES, 3);
    ostler_arena_stats before = arena_stats(from);
    CHECK_STATUS(ostler_arena_hand_over_region(from, &region, into), OSTLER_E_LIMIT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "limit_bytes");
    CHECK_STATUS(ostler_arena_hand_over_region(from, &mark, into), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "region");
    CHECK_STATUS(ostler_arena_hand_over_region(from, &region, from), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_arena_hand_over_region(into, &region, from), OSTLER_E_STALE_MARK);
    CHECK_EQ(arena_stats(from).mapped_bytes, before.mapped_bytes);
    CHECK_EQ(arena_stats(from).used_bytes, before.used_bytes);
    take(from, 5000, 0);
    CHECK(is_untouched(&block));
    CHECK_STATUS(ostler_arena_rewind(from, &region), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(from), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(into), OSTLER_OK);
}

CHECK_MAIN()
