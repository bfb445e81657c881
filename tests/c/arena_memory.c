/* Where an arena's memory comes from and goes: growth, memory of the caller's, trims, poison. */
#include "arenas.h"

/* Fills the arena to the n-th chunk, and says how large the last one is. */
static uint64_t last_of(ostler_arena *arena, uint64_t chunks)
{
    while (arena_stats(arena).chunks < chunks)
        take(arena, 16 << 10, 64);
    uint64_t largest = 0;
    for (uint64_t i = 0; i < chunks; i++) {
        ostler_receipt receipt = {.struct_size = sizeof receipt};
        CHECK_STATUS(ostler_arena_get_receipt(arena, i, &receipt), OSTLER_OK);
        largest = receipt.mapped_bytes > largest ? receipt.mapped_bytes : largest;
    }
    return largest;
}

TEST(chunks_grow_as_the_policy_says)
{
    ostler_arena_config config = small_chunks();
    ostler_arena *arena = make_arena(config);
    CHECK_EQ(last_of(arena, 5), CHUNK_BYTES);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);

    config.growth = OSTLER_GROWTH_DOUBLE;
    arena = make_arena(config);
    CHECK_EQ(last_of(arena, 2), CHUNK_BYTES);
    CHECK_EQ(last_of(arena, 3), 2 * CHUNK_BYTES);
    CHECK_EQ(last_of(arena, 5), 8 * CHUNK_BYTES);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);

    config.max_chunk_bytes = 3 * CHUNK_BYTES;
    arena = make_arena(config);
    CHECK_EQ(last_of(arena, 6), 3 * CHUNK_BYTES);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(arena_without_growth_is_a_hard_bound)
{
    ostler_arena_config config = small_chunks();
    config.growth = OSTLER_GROWTH_NONE;
    ostler_arena *arena = make_arena(config);
    void *bytes;
    ostler_status status;
    while ((status = ostler_arena_alloc(arena, 1000, 0, &bytes)) == OSTLER_OK)
        memset(bytes, 1, 1000);
    CHECK_STATUS(status, OSTLER_E_LIMIT);
    CHECK_EQ(arena_stats(arena).mapped_bytes, CHUNK_BYTES);
    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_RETURN_PAGES), OSTLER_OK);
    take(arena, 1000, 0);
    CHECK_EQ(arena_stats(arena).mapped_bytes, CHUNK_BYTES);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(growth_that_cannot_be_had_is_named)
{
    ostler_arena *arena;
    ostler_arena_config config = small_chunks();
    config.growth = 3;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "growth is 3");
    config.growth = OSTLER_GROWTH_FIXED;
    config.max_chunk_bytes = 4 * CHUNK_BYTES;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "max_chunk_bytes is");
    config.growth = OSTLER_GROWTH_DOUBLE;
    config.max_chunk_bytes = CHUNK_BYTES - 1;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_E_INVALID_ARGUMENT);
    config = small_chunks();
    config.poison = 3;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "poison is 3");
    config = small_chunks();
    config.memory_bytes = 8192;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "memory_bytes is 8192");
    CHECK_EQ(arena, NULL);
}

static int lies_in(const void *bytes, const void *memory, size_t size)
{
    return (uintptr_t)bytes >= (uintptr_t)memory && (uintptr_t)bytes < (uintptr_t)memory + size;
}

TEST(arena_on_the_callers_memory_maps_nothing_until_that_is_used_up)
{
    static char memory[40000];
    ostler_arena_config config = small_chunks();
    config.memory = memory;
    config.memory_bytes = sizeof memory;
    ostler_arena *arena = make_arena(config);
    CHECK_EQ(arena_stats(arena).mapped_bytes, 0);
    CHECK(arena_stats(arena).adopted_bytes > sizeof memory - 128);
    for (int round = 0; round < 3; round++) {
        size_t taken = 0;
        void *bytes;
        while (lies_in(bytes = take(arena, 500, 0), memory, sizeof memory)) {
            memset(bytes, round, 500);
            taken += 500;
        }
        CHECK(taken > 35000);
        CHECK(arena_stats(arena).mapped_bytes >= CHUNK_BYTES);
        CHECK_STATUS(ostler_arena_reset(arena, round % 2 ? OSTLER_RESET_KEEP_PAGES : OSTLER_RESET_RETURN_PAGES), OSTLER_OK);
        CHECK_EQ(arena_stats(arena).mapped_bytes > 0, round % 2);
        CHECK(arena_stats(arena).adopted_bytes > 0);
    }
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    memset(memory, 7, sizeof memory); /* it is ours again */
}

TEST(memory_that_is_adopted_later_is_used_before_more_is_mapped)
{
    static char first[8192], second[300000];
    ostler_arena_config config = small_chunks();
    config.growth = OSTLER_GROWTH_NONE;
    config.memory = first;
    config.memory_bytes = sizeof first;
    ostler_arena *arena = make_arena(config);
    void *bytes;
    CHECK_STATUS(ostler_arena_alloc(arena, 200000, 0, &bytes), OSTLER_E_LIMIT);
    CHECK_STATUS(ostler_arena_adopt(arena, second, sizeof second), OSTLER_OK);
    CHECK(lies_in(take(arena, 200000, 0), second, sizeof second));
    /* Both are used up before the arena is full. */
    int in_first = 0;
    while (ostler_arena_alloc(arena, 1000, 0, &bytes) == OSTLER_OK)
        in_first += lies_in(bytes, first, sizeof first);
    CHECK(in_first >= 6);
    CHECK_EQ(arena_stats(arena).mapped_bytes, 0);
    CHECK_STATUS(ostler_arena_adopt(arena, NULL, 8192), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_arena_adopt(arena, first, 4095), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "memory_bytes is 4095");
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(trim_gives_back_what_is_kept_and_nothing_in_use)
{
    ostler_arena *arena = make_arena(small_chunks());
    uint64_t given_back = 9;
    struct tagged block = tag_block(take(arena, 1000, 0), 1000, 5);
    ostler_mark mark = mark_of(arena);
    for (int i = 0; i < 8; i++)
        take(arena, 200000, 0);
    CHECK_STATUS(ostler_arena_trim(arena, 0, &given_back), OSTLER_OK);
    CHECK_EQ(given_back, 0);
    CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_OK);
    uint64_t kept = arena_stats(arena).kept_bytes;
    CHECK(kept >= 7 * CHUNK_BYTES);
    CHECK_STATUS(ostler_arena_trim(arena, 2 * CHUNK_BYTES, &given_back), OSTLER_OK);
    CHECK_EQ(given_back, kept - 2 * CHUNK_BYTES);
    CHECK_EQ(arena_stats(arena).kept_bytes, 2 * CHUNK_BYTES);
    CHECK_STATUS(ostler_arena_trim(arena, 0, NULL), OSTLER_OK);
    CHECK_EQ(arena_stats(arena).mapped_bytes, CHUNK_BYTES);
    CHECK(is_untouched(&block));
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(freed_memory_is_overwritten_if_asked)
{
    ostler_arena_config config = small_chunks();
    config.poison = OSTLER_POISON_ALWAYS;
    static unsigned char memory[65536];
    config.memory = memory;
    config.memory_bytes = sizeof memory;
    ostler_arena *arena = make_arena(config);
    ostler_cursor *cursor = open_cursor(arena);
    void *bytes;
    CHECK_STATUS(ostler_cursor_alloc(cursor, 1000, 0, &bytes), OSTLER_OK);
    CHECK(lies_in(bytes, memory, sizeof memory));
    size_t at = (size_t)((unsigned char *)bytes - memory);
    memset(bytes, 1, 1000);
    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    for (size_t i = 0; i < 1000; i++)
        CHECK_EQ(memory[at + i], 0xef);
}

CHECK_MAIN()
