/* Cursor: the inline call and its exported twin place alike, and neither believes a bad argument. With ANOTHER_LAYOUT
 * the inline is one of another header version: any version may allocate up to inline_end, and the layout is about marks, so
 * it asks the library to mark and to rewind. */
#include "arenas.h"
#include <stdbool.h>
#ifdef ANOTHER_LAYOUT
#undef OSTLER_CURSOR_LAYOUT
#define OSTLER_CURSOR_LAYOUT 99
#endif
#include <ostler_inline.h>

typedef ostler_status (*allocate)(ostler_cursor *, uint64_t, uint64_t, void **);

static ostler_status inline_twin(ostler_cursor *cursor, uint64_t size_bytes, uint64_t align_bytes, void **out)
{
    return ostler_cursor_alloc_inline(cursor, size_bytes, align_bytes, out);
}

static const allocate twins[] = {inline_twin, ostler_cursor_alloc};

/* Sizes and alignments that a program asks for, some that it should not, and some that need a new region. */
static void next_request(uint64_t *seed, uint64_t *size_bytes, uint64_t *align_bytes)
{
    uint64_t random = next_random(seed);
    *size_bytes = random % 300;
    *align_bytes = (uint64_t)1 << (random >> 32) % 9;
    if (random >> 40 & 1)
        *align_bytes = 0;
    switch ((random >> 50) % 40) {
    case 0:
        *size_bytes = random % 70000;
        break;
    case 1:
        *align_bytes = (uint64_t)1 << (random >> 32) % 13; /* up to a page, which is how chunks are aligned */
        break;
    case 2:
        *align_bytes = 24;
        break;
    case 3:
        *size_bytes = UINT64_MAX - random % 70000;
        break;
    case 4:
        *size_bytes = 0;
        break;
    }
}

TEST(inline_and_exported_twin_place_alike)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        ostler_arena *arenas[2];
        ostler_cursor *cursors[2];
        uint64_t state = seed * 0x9e3779b97f4a7c15;
        for (int i = 0; i < 2; i++) {
            arenas[i] = make_arena(small_chunks());
            cursors[i] = open_cursor(arenas[i]);
        }
        for (int call = 0; call < 1500; call++) {
            uint64_t size_bytes, align_bytes;
            void *got[2];
            ostler_status status[2];
            uintptr_t next[2], offset[2];
            bool in_region[2];
            next_request(&state, &size_bytes, &align_bytes);
            const uintptr_t align = align_bytes ? align_bytes : 16, bytes = size_bytes ? size_bytes : 1;
            for (int i = 0; i < 2; i++) {
                uintptr_t end = (uintptr_t)cursors[i]->end;
                next[i] = (uintptr_t)cursors[i]->next;
                got[i] = &state;
                status[i] = twins[i](cursors[i], size_bytes, align_bytes, &got[i]);
                in_region[i] = (uintptr_t)got[i] >= next[i] && (uintptr_t)got[i] < end;
                offset[i] = (uintptr_t)got[i] - next[i];
                /* Nothing lies between blocks but what an alignment needs. */
                const uintptr_t gap = -next[i] & (align - 1);
                if (status[i] == OSTLER_OK && cursors[i]->inline_end && next[i] + gap + bytes <= end) {
                    CHECK_EQ(offset[i], gap);
                    CHECK_EQ((uintptr_t)cursors[i]->next, next[i] + gap + bytes);
                }
            }
            CHECK_EQ(status[0], status[1]);
            CHECK_EQ(arena_stats(arenas[0]).refills, arena_stats(arenas[1]).refills);
            CHECK_EQ(got[0] == NULL, got[1] == NULL);
            CHECK_EQ(got[0] == NULL, status[0] != OSTLER_OK);
            if (status[0] != OSTLER_OK)
                continue;
            CHECK_EQ((uintptr_t)got[0] % align, 0);
            CHECK_EQ((uintptr_t)got[1] % align, 0);
            CHECK_EQ(in_region[0], in_region[1]);
            if (in_region[0])
                CHECK_EQ(offset[0], offset[1]);
            memset(got[0], 1, size_bytes);
            memset(got[1], 1, size_bytes);
        }
        for (int i = 0; i < 2; i++) {
            CHECK_STATUS(ostler_cursor_close(cursors[i]), OSTLER_OK);
            CHECK_STATUS(ostler_arena_destroy(arenas[i]), OSTLER_OK);
        }
    }
}

TEST(inline_and_exported_calls_may_be_mixed)
{
    ostler_arena *arena = make_arena(small_chunks());
    ostler_cursor *cursor = open_cursor(arena);
    struct tagged blocks[2000];
    uint64_t state = 7;
    for (int i = 0; i < 2000; i++) {
        uint64_t size_bytes = next_random(&state) % 500 + 1;
        void *bytes;
        CHECK_STATUS(twins[state >> 63](cursor, size_bytes, 0, &bytes), OSTLER_OK);
        blocks[i] = tag_block(bytes, size_bytes, (unsigned char)i);
    }
    for (int i = 0; i < 2000; i++)
        CHECK(is_untouched(&blocks[i]));
    CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(no_size_wraps_around_the_end)
{
    for (int i = 0; i < 2; i++) {
        ostler_arena *arena = make_arena(small_chunks());
        ostler_cursor *cursor = open_cursor(arena);
        void *bytes;
        CHECK_STATUS(twins[i](cursor, 100, 1, &bytes), OSTLER_OK);
        for (uint64_t align = 1; align <= (uint64_t)1 << 63 && align; align *= 2)
            for (uint64_t less = 0; less < 300; less++) {
                void *more = arena;
                CHECK(twins[i](cursor, UINT64_MAX - less, align, &more) != OSTLER_OK);
                CHECK_EQ(more, NULL);
            }
        CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
}

TEST(bad_arguments_are_refused_by_both)
{
    for (int i = 0; i < 2; i++) {
        ostler_arena *arena = make_arena(small_chunks());
        ostler_cursor *cursor = open_cursor(arena);
        void *bytes;
        /* From here on it has room, so that not the lack of it ends what follows. */
        CHECK_STATUS(twins[i](cursor, 8, 8, &bytes), OSTLER_OK);
        bytes = arena;
        CHECK_STATUS(twins[i](NULL, 8, 8, &bytes), OSTLER_E_INVALID_HANDLE);
        CHECK_EQ(bytes, NULL);
        CHECK_STATUS(twins[i](cursor, 8, 8, NULL), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "out");
        CHECK_STATUS(twins[i](cursor, 8, 12, &bytes), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "align_bytes is 12");
        CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
        bytes = arena;
        CHECK_STATUS(twins[i](cursor, 8, 8, &bytes), OSTLER_E_INVALID_HANDLE);
        CHECK_EQ(bytes, NULL);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
        bytes = arena;
        CHECK_STATUS(twins[i](cursor, 8, 8, &bytes), OSTLER_E_INVALID_HANDLE);
        CHECK_EQ(bytes, NULL);
    }
}

/* A struct that this test made up, and that no library knows: who asks the library about it is refused. The inline
 * allocates up to inline_end, and nowhere without one. */
TEST(inline_allocates_only_up_to_its_own_end)
{
    static unsigned char room[4096];
    ostler_cursor made_up;
    void *bytes = room;
    memset(&made_up, 0, sizeof made_up);
    made_up.layout = 1;
    made_up.next = room;
    made_up.end = room + sizeof room;
    CHECK_STATUS(ostler_cursor_alloc_inline(&made_up, 64, 16, &bytes), OSTLER_E_INVALID_HANDLE);
    CHECK_EQ(bytes, NULL);
    CHECK_EQ(made_up.next, room);
    made_up.inline_end = room + sizeof room;
    CHECK_STATUS(ostler_cursor_alloc_inline(&made_up, 64, 16, &bytes), OSTLER_OK);
    CHECK((unsigned char *)bytes >= room && (unsigned char *)bytes + 64 <= room + sizeof room);
}

TEST(inline_marks_only_in_its_own_layout)
{
    ostler_cursor_moment moments[2] = {{0}};
    ostler_cursor made_up;
    ostler_mark mark;
    memset(&made_up, 0, sizeof made_up);
    made_up.layout = 1;
    made_up.moments = moments;
    made_up.capacity = 2;
    ostler_status status = ostler_cursor_mark_inline(&made_up, &mark);
#ifdef ANOTHER_LAYOUT
    CHECK_STATUS(status, OSTLER_E_INVALID_HANDLE);
    CHECK_EQ(made_up.depth, 0);
#else
    CHECK_STATUS(status, OSTLER_OK);
    CHECK_STATUS(ostler_cursor_rewind_inline(&made_up, &mark), OSTLER_OK);
#endif
}

/* What the tools that watch must be told is not the inline's. */
TEST(cursor_of_a_poisoned_arena_asks_the_library)
{
    ostler_arena_config config = small_chunks();
    config.poison = OSTLER_POISON_ALWAYS;
    ostler_arena *arena = make_arena(config);
    ostler_cursor *cursor = open_cursor(arena);
    unsigned char *before = NULL, *bytes;
    ostler_mark mark;
    for (int i = 0; i < 1000; i++) {
        if (i % 100 == 50)
            CHECK_STATUS(ostler_cursor_mark_inline(cursor, &mark), OSTLER_OK);
        if (i % 100 == 90)
            CHECK_STATUS(ostler_cursor_rewind_inline(cursor, &mark), OSTLER_OK);
        CHECK_STATUS(ostler_cursor_alloc_inline(cursor, 96, 1, (void **)&bytes), OSTLER_OK);
        CHECK_EQ(cursor->inline_end, NULL);
        if (before)
            CHECK(bytes >= before + 96 + 16 || bytes < before);
        before = bytes;
    }
    CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

static ostler_status mark_inline_twin(ostler_cursor *cursor, ostler_mark *out)
{
    return ostler_cursor_mark_inline(cursor, out);
}

static ostler_status rewind_inline_twin(ostler_cursor *cursor, const ostler_mark *mark)
{
    return ostler_cursor_rewind_inline(cursor, mark);
}

static ostler_status (*const mark_twins[])(ostler_cursor *, ostler_mark *) = {mark_inline_twin, ostler_cursor_mark};
static ostler_status (*const rewind_twins[])(ostler_cursor *, const ostler_mark *) = {rewind_inline_twin,
                                                                                     ostler_cursor_rewind};

/* Marks nest, across the ends of regions and around blocks that have spans of their own; what lies before a mark stays. */
TEST(rewound_cursor_gives_the_same_again_and_touches_nothing_else)
{
    enum { DEPTH = 100, EACH = 20 };
    static struct tagged blocks[DEPTH * EACH];
    ostler_mark marks[DEPTH];
    for (int kind = 0; kind < 4; kind++) {
        ostler_arena *arena = make_arena(small_chunks());
        ostler_cursor *cursor = open_cursor(arena);
        uint64_t state = 11, mapped = 0;
        for (int turn = 0; turn < 20; turn++) {
            for (int depth = 0; depth < DEPTH; depth++) {
                CHECK_STATUS(mark_twins[kind & 1](cursor, &marks[depth]), OSTLER_OK);
                for (int i = depth * EACH; i < (depth + 1) * EACH; i++) {
                    uint64_t size_bytes = next_random(&state) % (state >> 58 ? 200 : 30000) + 1;
                    void *bytes;
                    CHECK_STATUS(twins[state >> 63](cursor, size_bytes, 1, &bytes), OSTLER_OK);
                    blocks[i] = tag_block(bytes, size_bytes, (unsigned char)(turn + i));
                }
            }
            for (int depth = DEPTH; depth > 0; depth -= (int)(next_random(&state) >> 62) + 1) {
                for (int i = 0; i < depth * EACH; i++)
                    CHECK(is_untouched(&blocks[i]));
                CHECK_STATUS(rewind_twins[kind >> 1](cursor, &marks[depth - 1]), OSTLER_OK);
                CHECK_STATUS(rewind_twins[turn & 1](cursor, &marks[depth - 1]), OSTLER_E_STALE_MARK);
                CHECK_STATUS(rewind_twins[turn & 1](cursor, &marks[DEPTH - 1]), OSTLER_E_STALE_MARK);
            }
            if (rewind_twins[kind >> 1](cursor, &marks[0]) == OSTLER_OK)
                CHECK_STATUS(rewind_twins[kind >> 1](cursor, &marks[0]), OSTLER_E_STALE_MARK);
            if (turn == 10)
                mapped = arena_stats(arena).mapped_bytes;
        }
        CHECK(arena_stats(arena).mapped_bytes <= 2 * mapped);
        CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
}

TEST(mark_is_of_one_cursor_and_stale_once_the_arena_took_all_back)
{
    for (int i = 0; i < 2; i++) {
        ostler_arena *arena = make_arena(small_chunks());
        ostler_cursor *cursor = open_cursor(arena), *other = open_cursor(arena);
        ostler_mark mark, of_arena, none = {1, 1};
        void *bytes;
        CHECK_STATUS(twins[i](cursor, 100, 0, &bytes), OSTLER_OK);
        CHECK_STATUS(mark_twins[i](cursor, &mark), OSTLER_OK);
        CHECK_STATUS(rewind_twins[i](other, &mark), OSTLER_E_STALE_MARK);
        CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_E_STALE_MARK);
        CHECK_STATUS(mark_twins[i](NULL, &none), OSTLER_E_INVALID_HANDLE);
        CHECK_EQ(none.owner, 0);
        CHECK_EQ(none.serial, 0);
        CHECK_STATUS(mark_twins[i](cursor, NULL), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STATUS(rewind_twins[i](cursor, NULL), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STATUS(rewind_twins[i](cursor, &none), OSTLER_E_STALE_MARK);
        CHECK_STATUS(ostler_arena_mark(arena, &of_arena), OSTLER_OK);
        CHECK_STATUS(rewind_twins[i](cursor, &of_arena), OSTLER_E_STALE_MARK);
        CHECK_STATUS(rewind_twins[i](cursor, &mark), OSTLER_E_STALE_MARK);
        for (int way = 0; way < 2; way++) {
            CHECK_STATUS(mark_twins[i](cursor, &mark), OSTLER_OK);
            CHECK_STATUS(twins[i](cursor, 100, 0, &bytes), OSTLER_OK);
            CHECK_STATUS(way ? ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES) : ostler_arena_rewind(arena, &of_arena),
                         OSTLER_OK);
            CHECK_STATUS(rewind_twins[i](cursor, &mark), OSTLER_E_STALE_MARK);
        }
        CHECK_STATUS(mark_twins[i](cursor, &mark), OSTLER_OK);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
        CHECK_STATUS(rewind_twins[i](cursor, &mark), OSTLER_E_STALE_MARK);
        CHECK_STATUS(ostler_cursor_close(other), OSTLER_OK);
        CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
        CHECK_STATUS(mark_twins[i](cursor, &mark), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(rewind_twins[i](cursor, &mark), OSTLER_E_INVALID_HANDLE);
    }
}

TEST(limit_of_the_arena_holds_for_cursors)
{
    for (int i = 0; i < 2; i++) {
        ostler_arena_config config = small_chunks();
        config.limit_bytes = 2 * CHUNK_BYTES;
        ostler_arena *arena = make_arena(config);
        ostler_cursor *cursor = open_cursor(arena);
        void *bytes;
        ostler_status status;
        while ((status = twins[i](cursor, 500, 0, &bytes)) == OSTLER_OK)
            memset(bytes, 1, 500);
        CHECK_STATUS(status, OSTLER_E_LIMIT);
        CHECK_EQ(bytes, NULL);
        CHECK(arena_stats(arena).mapped_bytes <= config.limit_bytes);
        CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
        CHECK_STATUS(twins[i](cursor, 500, 0, &bytes), OSTLER_OK);
        CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
}

/* The room that it had is still there, but no longer to be given out. */
TEST(cursor_with_room_is_told_that_its_arena_was_destroyed)
{
    for (int i = 0; i < 2; i++) {
        ostler_arena *arena = make_arena(small_chunks());
        ostler_cursor *cursor = open_cursor(arena);
        unsigned char *before;
        void *bytes = arena;
        CHECK_STATUS(twins[i](cursor, 8, 0, (void **)&before), OSTLER_OK);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
        CHECK_STATUS(twins[i](cursor, 8, 0, &bytes), OSTLER_E_CLOSED);
        CHECK_EQ(bytes, NULL);
        memset(before, 1, 8);
        CHECK_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    }
}

TEST(closed_cursor_is_refused_and_many_may_be_open)
{
    ostler_arena *arena = make_arena(small_chunks());
    ostler_cursor *closed = open_cursor(arena), *open[64];
    void *bytes;
    CHECK_STATUS(ostler_cursor_alloc(closed, 8, 0, &bytes), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_close(closed), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_close(closed), OSTLER_E_INVALID_HANDLE);
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(twins[i](closed, 8, 0, &bytes), OSTLER_E_INVALID_HANDLE);
    for (int i = 0; i < 64; i++)
        open[i] = open_cursor(arena);
    CHECK_EQ(arena_stats(arena).cursors_open, 64);
    for (int i = 0; i < 64; i++)
        CHECK_STATUS(ostler_cursor_close(open[i]), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

CHECK_MAIN()
