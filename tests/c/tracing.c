/* Tracing: who took what, by call stack and by object, and what is left at the end. */
#include "arenas.h"
#include "traced.h"
#include <ostler_inline.h>
#include <stdbool.h>

static ostler_arena *make_named(const char *name, uint64_t chunk_bytes)
{
    ostler_arena_config config = small_chunks();
    config.chunk_bytes = chunk_bytes;
    snprintf(config.name, sizeof config.name, "%s", name);
    return make_arena(config);
}

/* Two functions of this program, which a call stack has to tell apart. */
__attribute__((noinline)) static ostler_arena *make_stable(void) { return make_named("stable", CHUNK_BYTES); }
__attribute__((noinline)) static ostler_arena *make_barn(void) { return make_named("barn", 8 * CHUNK_BYTES); }

TEST(nothing_is_followed_until_tracing_is_on)
{
    ostler_arena *arena = make_stable();
    CHECK_EQ(tracing_stats().on, 0);
    CHECK_EQ(tracing_stats().followed, 0);
    look(OSTLER_TRACING_BY_STACK);
    CHECK_EQ(seen.groups, 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(memory_is_told_by_the_function_that_took_it)
{
    start(MAPPINGS_ALONE);
    ostler_arena *stable = make_stable(), *second = make_stable(), *barn = make_barn();
    look(OSTLER_TRACING_BY_STACK);
    int of_stable = group_of("make_stable"), of_barn = group_of("make_barn");
    CHECK(of_stable >= 0 && of_barn >= 0);
    /* Most bytes first. */
    CHECK(of_barn < of_stable);
    CHECK_EQ(seen.bytes[of_barn], 8 * CHUNK_BYTES);
    CHECK_EQ(seen.blocks[of_barn], 1);
    CHECK_STR_EQ(seen.name[of_barn], "barn");
    CHECK_STR_EQ(seen.holder[of_barn], "arena");
    CHECK_EQ(seen.kind[of_barn], OSTLER_TRACED_MAPPING);
    CHECK_STR_CONTAINS(seen.stack[of_barn], "test_memory_is_told");
    CHECK_STR_CONTAINS(seen.module[of_barn], "tracing");
    /* The two calls lie on one line, at two places. */
    uint64_t bytes = 0;
    for (int i = 0; i < seen.groups; i++)
        if (strstr(seen.stack[i], "make_stable"))
            bytes += seen.bytes[i];
    CHECK_EQ(bytes, 2 * CHUNK_BYTES);

    CHECK_STATUS(ostler_arena_destroy(barn), OSTLER_OK);
    look(OSTLER_TRACING_BY_STACK);
    CHECK_EQ(group_of("make_barn"), -1);
    CHECK(group_of("make_stable") >= 0);
    CHECK_STATUS(ostler_arena_destroy(stable), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(second), OSTLER_OK);
    CHECK_EQ(tracing_stats().followed, 0);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

__attribute__((noinline)) static void grow(ostler_arena *arena) { take(arena, 8 * CHUNK_BYTES, 0); }

TEST(a_chunk_is_of_the_call_that_needed_it)
{
    start(MAPPINGS_ALONE);
    ostler_arena *arena = make_stable();
    grow(arena);
    look(OSTLER_TRACING_BY_OBJECT);
    int of_growth = group_of("grow");
    CHECK(of_growth >= 0);
    CHECK(seen.bytes[of_growth] >= 8 * CHUNK_BYTES);
    CHECK_EQ(seen.groups, 2);
    CHECK(seen.account[0] != 0 && seen.account[0] == seen.account[1]);
    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_RETURN_PAGES), OSTLER_OK);
    CHECK_EQ(tracing_stats().followed, 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

TEST(objects_come_with_the_largest_first)
{
    start(MAPPINGS_ALONE);
    ostler_arena *stable = make_stable(), *barn = make_barn();
    grow(stable);
    take(barn, 1, 0);
    look(OSTLER_TRACING_BY_OBJECT);
    CHECK_EQ(seen.groups, 3);
    CHECK(seen.account[0] == seen.account[1] && seen.account[1] != seen.account[2]);
    CHECK_STR_EQ(seen.name[0], "stable");
    CHECK(seen.bytes[0] >= seen.bytes[1]);
    CHECK_STR_EQ(seen.name[2], "barn");
    CHECK_STATUS(ostler_arena_destroy(stable), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(barn), OSTLER_OK);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

TEST(what_began_while_it_was_on_is_followed_to_its_end)
{
    start(MAPPINGS_ALONE);
    ostler_arena *arena = make_stable();
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
    ostler_arena *later = make_barn();
    look(OSTLER_TRACING_BY_STACK);
    CHECK(group_of("make_stable") >= 0);
    CHECK_EQ(group_of("make_barn"), -1);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(later), OSTLER_OK);
    CHECK_EQ(tracing_stats().followed, 0);
}

TEST(report_is_cut_where_room_ends)
{
    start(MAPPINGS_ALONE);
    ostler_arena *arena = make_barn();
    uint64_t needed = 0, again = 0;
    CHECK_STATUS(ostler_tracing_report(OSTLER_TRACING_BY_STACK, NULL, 0, &needed), OSTLER_OK);
    char *whole = malloc(needed), *part = malloc(needed);
    CHECK_STATUS(ostler_tracing_report(OSTLER_TRACING_BY_STACK, whole, needed, &again), OSTLER_OK);
    CHECK_EQ(again, needed);
    CHECK_EQ(strlen(whole) + 1, needed);
    CHECK_STR_CONTAINS(whole, "2097152 bytes in 1 mapping of arena \"barn\"");
    CHECK_STR_CONTAINS(whole, "        at make_barn (tracing");
    CHECK_STR_CONTAINS(whole, "tracing.c:");
    CHECK_STATUS(ostler_tracing_report(OSTLER_TRACING_BY_STACK, part, 10, &again), OSTLER_OK);
    CHECK_EQ(strlen(part), 9);
    CHECK(strncmp(part, whole, 9) == 0);
    free(whole);
    free(part);
    CHECK_STATUS(ostler_tracing_report(2, NULL, 0, &needed), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "by is 2");
    CHECK_EQ(needed, 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

TEST(fields_out_of_range_are_named)
{
    ostler_tracing_config config;
    CHECK_STATUS(ostler_tracing_config_init(&config, sizeof config), OSTLER_OK);
    config.max_frames = 65;
    CHECK_STATUS(ostler_tracing_start(&config), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "max_frames is 65, but must be at most 64");
    config.max_frames = 0;
    config.sample_bytes = ((uint64_t)1 << 40) + 1;
    CHECK_STATUS(ostler_tracing_start(&config), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "sample_bytes is 1099511627777");
    CHECK_EQ(tracing_stats().on, 0);
}

__attribute__((noinline)) static void *fill_a_little(ostler_arena *arena, int blocks)
{
    void *last = NULL;
    for (int i = 0; i < blocks; i++)
        last = take(arena, 20000, 0);
    return last;
}

/* Of one kind; -1: of any. */
static uint64_t bytes_of(int kind, const char *function)
{
    uint64_t bytes = 0;
    for (int i = 0; i < seen.groups; i++)
        if ((kind < 0 || seen.kind[i] == (uint32_t)kind) && strstr(seen.stack[i], function))
            bytes += seen.bytes[i];
    return bytes;
}

TEST(what_an_arena_hands_out_is_followed_until_it_is_freed)
{
    start(1);
    ostler_arena *arena = make_barn();
    fill_a_little(arena, 3);
    ostler_mark mark = mark_of(arena);
    void *last = fill_a_little(arena, 5);
    CHECK(last != NULL);
    look(OSTLER_TRACING_BY_STACK);
    CHECK(bytes_of(OSTLER_TRACED_BLOCK, "fill_a_little") >= 8 * 20000);
    CHECK(bytes_of(OSTLER_TRACED_BLOCK, "fill_a_little") <= 8 * 20480);
    CHECK_EQ(bytes_of(OSTLER_TRACED_MAPPING, "fill_a_little"), 0);
    CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_OK);
    look(OSTLER_TRACING_BY_STACK);
    CHECK(bytes_of(OSTLER_TRACED_BLOCK, "fill_a_little") >= 3 * 20000);
    CHECK(bytes_of(OSTLER_TRACED_BLOCK, "fill_a_little") <= 3 * 20480);
    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    look(OSTLER_TRACING_BY_STACK);
    CHECK_EQ(bytes_of(-1, "fill_a_little"), 0);
    fill_a_little(arena, 2);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_EQ(tracing_stats().followed, 0);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

TEST(a_sample_stands_for_all_that_was_handed_out)
{
    enum { BLOCKS = 20000 };
    start(1 << 20);
    ostler_arena *arena = make_barn();
    fill_a_little(arena, BLOCKS);
    look(OSTLER_TRACING_BY_STACK);
    double told = (double)bytes_of(OSTLER_TRACED_BLOCK, "fill_a_little");
    CHECK(tracing_stats().followed < BLOCKS / 10);
    /* The seed is given, so this is the same each time. */
    CHECK(told > BLOCKS * 20000.0 * 0.85 && told < BLOCKS * 20000.0 * 1.15);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_EQ(tracing_stats().followed, 0);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

static ostler_slab *make_stalls(uint64_t max_slots)
{
    ostler_slab *slab;
    ostler_slab_config config;
    CHECK_STATUS(ostler_slab_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.slot_bytes = 64;
    config.max_slots = max_slots;
    snprintf(config.name, sizeof config.name, "stalls");
    CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, &slab), OSTLER_OK);
    return slab;
}

__attribute__((noinline)) static int get_stalls(ostler_slab *slab, int count, void **slots)
{
    int got = 0;
    while (got < count && ostler_slab_get(slab, &slots[got]) == OSTLER_OK)
        got++;
    return got;
}

static void *stalls[40000];

TEST(each_slot_that_is_out_is_followed_where_all_are_asked_for)
{
    start(1);
    ostler_slab *slab = make_stalls(1000);
    CHECK_EQ(get_stalls(slab, 10, stalls), 10);
    for (int i = 0; i < 4; i++)
        CHECK_STATUS(ostler_slab_put(slab, stalls[i]), OSTLER_OK);
    look(OSTLER_TRACING_BY_OBJECT);
    CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "get_stalls"), 6 * 64);
    CHECK_STR_EQ(seen.name[group_of("get_stalls")], "stalls");
    CHECK_STR_EQ(seen.holder[group_of("get_stalls")], "slab");
    for (int i = 4; i < 10; i++)
        CHECK_STATUS(ostler_slab_put(slab, stalls[i]), OSTLER_OK);
    look(OSTLER_TRACING_BY_OBJECT);
    CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "get_stalls"), 0);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
    CHECK_EQ(tracing_stats().followed, 0);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

__attribute__((noinline)) static void *take_inline(ostler_magazine *magazine)
{
    void *slot;
    CHECK_STATUS(ostler_magazine_get_inline(magazine, &slot), OSTLER_OK);
    return slot;
}

/* Whatever call comes first afterwards, the next is inline again. */
TEST(magazine_is_inline_until_all_are_asked_for_and_afterwards)
{
    for (int first = 0; first < 4; first++) {
        ostler_slab *slab = make_stalls(1000);
        ostler_magazine *magazine;
        CHECK_STATUS(ostler_magazine_open(slab, &magazine), OSTLER_OK);
        stalls[0] = take_inline(magazine);
        const int64_t floor = magazine->floor, ceiling = magazine->ceiling;
        start(1);
        /* There are more in it, of which none comes out unseen. */
        stalls[1] = take_inline(magazine);
        look(OSTLER_TRACING_BY_OBJECT);
        CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "take_inline"), 64);
        CHECK(magazine->floor > magazine->top);
        CHECK_EQ(magazine->ceiling, 0);
        CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
        switch (first) {
        case 0:
            stalls[2] = take_inline(magazine);
            break;
        case 1:
            CHECK_STATUS(ostler_magazine_get_n_inline(magazine, 1, &stalls[2]), OSTLER_OK);
            break;
        case 2:
            CHECK_STATUS(ostler_magazine_put_inline(magazine, stalls[1]), OSTLER_OK);
            break;
        default:
            CHECK_STATUS(ostler_magazine_put_n_inline(magazine, &stalls[1], 1, NULL), OSTLER_OK);
        }
        CHECK_EQ(magazine->floor, floor);
        CHECK_EQ(magazine->ceiling, ceiling);
        if (first < 2)
            CHECK_STATUS(ostler_magazine_put_n_inline(magazine, &stalls[1], 2, NULL), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_put_inline(magazine, stalls[0]), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_close(magazine), OSTLER_OK);
        CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
        CHECK_EQ(tracing_stats().followed, 0);
    }
}

/* Most slots come out of a magazine, and go back into it, without a call that tracing could see. */
TEST(a_sample_of_slots_stands_for_those_of_the_magazine)
{
    const int count = sizeof stalls / sizeof *stalls;
    ostler_slab *slab = make_stalls((uint64_t)count);
    start(16384);
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(get_stalls(slab, count, stalls), count);
        look(OSTLER_TRACING_BY_STACK);
        double told = (double)bytes_of(OSTLER_TRACED_BLOCK, "get_stalls");
        CHECK(told > count * 64.0 * 0.6 && told < count * 64.0 * 1.6);
        CHECK(tracing_stats().followed < 1000);
        for (int i = 0; i < count; i++)
            CHECK_STATUS(ostler_slab_put(slab, stalls[i]), OSTLER_OK);
        look(OSTLER_TRACING_BY_STACK);
        CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "get_stalls"), 0);
    }
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

static ostler_heap *make_manger(uint32_t checked)
{
    ostler_heap *heap;
    ostler_heap_config config;
    CHECK_STATUS(ostler_heap_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.checked = checked;
    snprintf(config.name, sizeof config.name, "manger");
    CHECK_STATUS(ostler_heap_create(&config, &heap), OSTLER_OK);
    return heap;
}

__attribute__((noinline)) static int fill_manger(ostler_heap *heap, int count, uint64_t size_bytes, void **blocks)
{
    int got = 0;
    while (got < count && ostler_heap_alloc(heap, size_bytes, 0, &blocks[got]) == OSTLER_OK)
        got++;
    return got;
}

__attribute__((noinline)) static int fill_manger_with_movable(ostler_heap *heap, int count, ostler_block *blocks)
{
    int got = 0;
    while (got < count && ostler_heap_alloc_block(heap, 500, 0, &blocks[got]) == OSTLER_OK)
        got++;
    return got;
}

__attribute__((noinline)) static ostler_status make_larger(ostler_heap *heap, void **block, uint64_t size_bytes)
{
    ostler_status status = ostler_heap_resize(heap, *block, size_bytes, 0, block);
    return status;
}

TEST(each_block_of_a_heap_is_followed_where_all_are_asked_for)
{
    for (uint32_t checked = 0; checked < 2; checked++) {
        ostler_heap *heap = make_manger(checked);
        void *blocks[20], *before[20];
        ostler_block movable[10];
        /* Some that are at hand already, and some that are out. */
        CHECK_EQ(fill_manger(heap, 20, 40, before), 20);
        for (int i = 0; i < 10; i++)
            CHECK_STATUS(ostler_heap_free(heap, before[i]), OSTLER_OK);
        start(1);
        CHECK_EQ(fill_manger(heap, 10, 40, blocks), 10);
        CHECK_EQ(fill_manger(heap, 10, 5000, blocks + 10), 10);
        CHECK_EQ(fill_manger_with_movable(heap, 10, movable), 10);
        look(OSTLER_TRACING_BY_OBJECT);
        CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "fill_manger "), 10 * 40 + 10 * 5000);
        CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "fill_manger_with_movable"), 10 * 500);
        CHECK_STR_EQ(seen.name[group_of("fill_manger ")], "manger");
        CHECK_STR_EQ(seen.holder[group_of("fill_manger ")], "heap");
        /* In place, elsewhere, and smaller. */
        CHECK_STATUS(make_larger(heap, &blocks[19], 6000), OSTLER_OK);
        CHECK_STATUS(make_larger(heap, &blocks[0], 300), OSTLER_OK);
        CHECK_STATUS(make_larger(heap, &blocks[10], 100), OSTLER_OK);
        CHECK_STATUS(ostler_heap_resize_block(heap, movable[0], 50), OSTLER_OK);
        look(OSTLER_TRACING_BY_OBJECT);
        CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "make_larger"), 6000 + 300 + 100);
        CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "fill_manger "), 9 * 40 + 8 * 5000);
        CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "fill_manger_with_movable"), 9 * 500);
        /* One that is not given back stays where it was. */
        CHECK_STATUS(ostler_heap_free(heap, (char *)blocks[1] + 16), OSTLER_E_FOREIGN_POINTER);
        for (int i = 0; i < 20; i++) {
            CHECK_STATUS(ostler_heap_free(heap, blocks[i]), OSTLER_OK);
            CHECK_STATUS(ostler_heap_free(heap, blocks[i]), OSTLER_E_DOUBLE_FREE);
        }
        for (int i = 0; i < 9; i++)
            CHECK_STATUS(ostler_heap_free_block(heap, movable[i]), OSTLER_OK);
        for (int i = 10; i < 20; i++)
            CHECK_STATUS(ostler_heap_free(heap, before[i]), OSTLER_OK);
        look(OSTLER_TRACING_BY_OBJECT);
        CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "make_larger") + bytes_of(OSTLER_TRACED_BLOCK, "fill_manger "), 0);
        CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "fill_manger_with_movable"), 500);
        /* What is out goes with the heap. */
        CHECK_EQ(fill_manger(heap, 5, 40, blocks), 5);
        CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
        CHECK_EQ(tracing_stats().followed, 0);
        CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
    }
}

TEST(a_sample_of_blocks_stands_for_all_of_a_heap)
{
    const int count = sizeof stalls / sizeof *stalls;
    ostler_heap *heap = make_manger(0);
    start(65536);
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(fill_manger(heap, count, 100, stalls), count);
        look(OSTLER_TRACING_BY_STACK);
        double told = (double)bytes_of(OSTLER_TRACED_BLOCK, "fill_manger ");
        CHECK(told > count * 100.0 * 0.6 && told < count * 100.0 * 1.6);
        CHECK(tracing_stats().followed < 200);
        for (int i = 0; i < count; i++)
            CHECK_STATUS(ostler_heap_free(heap, stalls[i]), OSTLER_OK);
        look(OSTLER_TRACING_BY_STACK);
        CHECK_EQ(bytes_of(OSTLER_TRACED_BLOCK, "fill_manger "), 0);
    }
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    CHECK_EQ(tracing_stats().followed, 0);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

static void destroy_inside(void *user_data, const ostler_trace_group *group)
{
    ostler_arena **arena = user_data;
    (void)group;
    EXPECT_STATUS(ostler_arena_destroy(*arena), OSTLER_OK);
    *arena = NULL;
}

TEST(visitor_may_call_the_library)
{
    start(MAPPINGS_ALONE);
    ostler_arena *arena = make_stable();
    CHECK_STATUS(ostler_tracing_visit(OSTLER_TRACING_BY_STACK, destroy_inside, &arena), OSTLER_OK);
    CHECK(arena == NULL);
    CHECK_EQ(tracing_stats().followed, 0);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

#define THREADS 4
#define ROUNDS 200

static void *make_and_destroy(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        ostler_arena *arena = NULL;
        ostler_arena_config config = {.struct_size = sizeof config, .source = &base_pages, .chunk_bytes = 65536};
        EXPECT_STATUS(ostler_arena_create(&config, &arena), OSTLER_OK);
        EXPECT_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
    return NULL;
}

TEST(threads_come_and_go_while_others_look)
{
    pthread_t threads[THREADS];
    start(MAPPINGS_ALONE);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, make_and_destroy, NULL), 0);
    for (int i = 0; i < 50; i++) {
        look(i % 2);
        for (int group = 0; group < seen.groups; group++) {
            CHECK_STR_EQ(seen.holder[group], "arena");
            CHECK_STR_CONTAINS(seen.stack[group], "make_and_destroy");
            CHECK_EQ(seen.bytes[group], seen.blocks[group] * 65536);
        }
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(tracing_stats().followed, 0);
    CHECK(tracing_stats().call_stacks < 64);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

static char told[8192];

static void note_line(void *user_data, uint32_t level, const char *line)
{
    (void)user_data;
    size_t length = strlen(told);
    snprintf(told + length, sizeof told - length, "%u %s\n", level, line);
}

TEST(shutdown_tells_the_log_what_is_left)
{
    uint64_t still_out;
    start(MAPPINGS_ALONE);
    ostler_arena *kept = make_stable(), *given_back = make_barn();
    ostler_heap *heap = make_manger(0);
    void *forgotten[3];
    start(1);
    CHECK_EQ(fill_manger(heap, 3, 70, forgotten), 3);
    CHECK_STATUS(ostler_heap_free(heap, forgotten[1]), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(given_back), OSTLER_OK);
    (void)kept;
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_WARN, note_line, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_shutdown(0, &still_out), OSTLER_OK);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_WARN, NULL, NULL), OSTLER_OK);
    CHECK_STR_CONTAINS(told, "2 still there at shutdown: 262144 bytes in 1 mapping of arena \"stable\"");
    CHECK_STR_CONTAINS(told, " < make_stable (tracing");
    CHECK_STR_CONTAINS(told, "2 still there at shutdown: 140 bytes in 2 blocks of heap \"manger\"");
    CHECK_STR_CONTAINS(told, "from fill_manger (tracing");
    CHECK(strstr(told, "barn") == NULL);
    CHECK_EQ(tracing_stats().followed, 0);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

CHECK_MAIN()
