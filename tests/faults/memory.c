/* Memory, when something of it is refused, and when a call panics. */
#include "faults.h"
#include <ostler_inline.h>

static ostler_status use_topology(void)
{
    ostler_status status = OSTLER_OK;
    ostler_topology *topology = NULL;
    ostler_topology_info info = {.struct_size = sizeof info};
    TRY(ostler_topology_create("node:2 core:2 pu:1", &topology));
    if (topology != NULL)
        TRY(ostler_topology_get_info(topology, &info));
    TRY(ostler_topology_destroy(topology));
    return status;
}

static ostler_status use_heap(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BEST, .prefault = 1,
                                 .node_policy = OSTLER_NODE_INTERLEAVE};
    ostler_heap_config config = {.struct_size = sizeof config, .source = &source, .chunk_bytes = 65536,
                                 .name = "ostler-test"};
    ostler_heap_stats stats = {.struct_size = sizeof stats};
    static char lent[8192];
    static void *blocks[300], *many[200];
    ostler_heap_block listed[10];
    ostler_block movable[200];
    ostler_heap_compaction compaction = {.struct_size = sizeof compaction};
    ostler_heap *heap = NULL;
    void *moved;
    uint64_t count;
    TRY(ostler_heap_create(&config, &heap));
    if (heap == NULL)
        return status;
    TRY(ostler_heap_adopt(heap, lent, sizeof lent));
    for (int i = 0; i < 300; i++) {
        TRY(ostler_heap_alloc(heap, (uint64_t)i * 13, 0, &blocks[i]));
        if (blocks[i] != NULL)
            memset(blocks[i], i, (size_t)i * 13);
    }
    for (int i = 0; i < 300; i += 7)
        if (blocks[i] != NULL) {
            TRY(ostler_heap_resize(heap, blocks[i], (uint64_t)i * 300 + 1, 64, &moved));
            blocks[i] = moved != NULL ? moved : blocks[i];
        }
    for (int i = 0; i < 200; i++) {
        TRY(ostler_heap_alloc_block(heap, (uint64_t)i * 50, 0, &movable[i]));
        if (movable[i].value != 0)
            TRY(ostler_heap_resize_block(heap, movable[i], (uint64_t)i * 70));
    }
    TRY(ostler_heap_alloc_n(heap, 700, 64, 200, many));
    TRY(ostler_heap_list_blocks(heap, 0, listed, 10, &count));
    TRY(ostler_heap_compact(heap, 0, &compaction));
    TRY(ostler_heap_get_stats(heap, &stats));
    /* Giving back must work whatever happened before. */
    for (int i = 0; i < 200; i++)
        if (movable[i].value != 0)
            EXPECT_STATUS(ostler_heap_free_block(heap, movable[i]), OSTLER_OK);
    EXPECT((many[0] == NULL) == (many[199] == NULL));
    EXPECT_STATUS(ostler_heap_free_n(heap, many, 200, NULL), OSTLER_OK);
    for (int i = 0; i < 300; i++) {
        for (int at = 0; blocks[i] != NULL && at < i * 13 && (i % 7 != 0 || at == 0); at++)
            EXPECT(((unsigned char *)blocks[i])[at] == (unsigned char)i);
        EXPECT_STATUS(ostler_heap_free(heap, blocks[i]), OSTLER_OK);
    }
    TRY(ostler_heap_trim(heap, 0, NULL));
    TRY(ostler_heap_close(heap, OSTLER_FOREVER, NULL, NULL));
    EXPECT_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    return status;
}

static ostler_status use_arena(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BEST, .prefault = 1,
                                 .node_policy = OSTLER_NODE_INTERLEAVE};
    ostler_arena_config config = {.struct_size = sizeof config, .source = &source, .chunk_bytes = 1 << 20,
                                  .name = "ostler-test"};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    ostler_arena *arena = NULL;
    ostler_cursor *cursor = NULL;
    ostler_mark mark, place = {0};
    void *memory;
    TRY(ostler_arena_create(&config, &arena));
    if (arena == NULL)
        return status;
    TRY(ostler_arena_alloc(arena, 1000, 0, &memory));
    TRY(ostler_arena_mark(arena, &mark));
    TRY(ostler_cursor_open(arena, &cursor));
    if (cursor != NULL) {
        for (int i = 0; i < 40; i++)
            TRY(ostler_cursor_alloc(cursor, 100000, 64, &memory));
        TRY(ostler_cursor_mark(cursor, &place));
        for (int i = 0; i < 3; i++)
            TRY(ostler_cursor_alloc(cursor, 30000, 64, &memory));
        if (place.serial != 0)
            TRY(ostler_cursor_rewind(cursor, &place));
        TRY(ostler_cursor_alloc(cursor, 30000, 64, &memory));
        TRY(ostler_cursor_close(cursor));
    }
    TRY(ostler_arena_get_receipt(arena, 0, &receipt));
    TRY(ostler_arena_rewind(arena, &mark));
    TRY(ostler_arena_reset(arena, OSTLER_RESET_RETURN_PAGES));
    TRY(ostler_arena_close(arena, OSTLER_FOREVER, NULL, NULL));
    /* The destroy itself must work whatever happened before. */
    EXPECT_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    return status;
}

static void look_at_group(void *user_data, const ostler_trace_group *group) { *(uint64_t *)user_data += group->bytes; }

static ostler_status use_tracing(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BASE};
    ostler_arena_config config = {.struct_size = sizeof config, .source = &source, .name = "traced"};
    ostler_arena *arena = NULL;
    uint64_t bytes = 0;
    char report[256];
    TRY(ostler_tracing_start(NULL));
    TRY(ostler_arena_create(&config, &arena));
    TRY(ostler_tracing_report(OSTLER_TRACING_BY_OBJECT, report, sizeof report, NULL));
    TRY(ostler_tracing_visit(OSTLER_TRACING_BY_STACK, look_at_group, &bytes));
    if (status == OSTLER_OK && bytes == 0)
        FAIL("nothing was traced");
    TRY(ostler_arena_destroy(arena));
    EXPECT_STATUS(ostler_tracing_stop(), OSTLER_OK);
    return status;
}

/* An arena that grows is handed over, with a region of it going elsewhere. */
static ostler_status use_hand_over(void)
{
    static char lent[8192];
    ostler_status status = OSTLER_OK;
    ostler_arena_config config = {.struct_size = sizeof config, .chunk_bytes = 64 << 10, .name = "ostler-test",
                                  .growth = OSTLER_GROWTH_DOUBLE, .memory = lent, .memory_bytes = sizeof lent};
    ostler_arena *arena = NULL, *other = NULL, *heir = NULL;
    ostler_mark region = {0};
    void *memory;
    TRY(ostler_arena_create(&config, &arena));
    config.memory = NULL, config.memory_bytes = 0;
    TRY(ostler_arena_create(&config, &other));
    if (arena != NULL && other != NULL) {
        TRY(ostler_arena_begin_region(arena, &region));
        for (int i = 0; i < 20; i++)
            TRY(ostler_arena_alloc(arena, 30000, 64, &memory));
        if (region.serial != 0)
            TRY(ostler_arena_hand_over_region(arena, &region, other));
        TRY(ostler_arena_adopt(other, lent, sizeof lent));
        TRY(ostler_arena_alloc(other, 30000, 64, &memory));
        TRY(ostler_arena_reset(other, OSTLER_RESET_KEEP_PAGES));
        TRY(ostler_arena_trim(other, 0, NULL));
        TRY(ostler_arena_hand_over(other, &heir));
        if (heir != NULL)
            other = heir;
    }
    EXPECT_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    EXPECT_STATUS(ostler_arena_destroy(other), OSTLER_OK);
    return status;
}

static ostler_status use_buffers(void)
{
    ostler_status status = OSTLER_OK;
    ostler_buffers_config config = {.struct_size = sizeof config};
    ostler_buffers *buffers = NULL;
    ostler_buffer held[80] = {{0}}, slices[80] = {{0}};
    char memory[16];
    TRY(ostler_buffers_create(&config, &buffers));
    if (buffers == NULL)
        return status;
    for (uint64_t i = 0; i < 80; i++) {
        if (i % 4 == 3)
            TRY(ostler_buffers_wrap(buffers, memory, sizeof memory, NULL, NULL, &held[i]));
        else
            TRY(ostler_buffers_get(buffers, i * i * 1000, &held[i], NULL));
        if (held[i].value != 0)
            TRY(ostler_buffers_slice(buffers, held[i], 0, 0, &slices[i]));
    }
    TRY(ostler_buffers_trim(buffers, 0, NULL));
    for (int i = 0; i < 80; i++) {
        if (held[i].value != 0)
            EXPECT_STATUS(ostler_buffers_release(buffers, held[i]), OSTLER_OK);
        if (slices[i].value != 0)
            EXPECT_STATUS(ostler_buffers_release(buffers, slices[i]), OSTLER_OK);
    }
    TRY(ostler_buffers_close(buffers, OSTLER_FOREVER, NULL, NULL));
    EXPECT_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
    return status;
}

/* Those that slots hold. */
static int words;

static ostler_status make_word(void *user_data, void *slot)
{
    (void)user_data;
    *(void **)slot = malloc(8);
    __atomic_add_fetch(&words, 1, __ATOMIC_SEQ_CST);
    return OSTLER_OK;
}

static ostler_status clean_word(void *user_data, void *slot)
{
    (void)user_data, (void)slot;
    return OSTLER_OK;
}

static void end_word(void *user_data, void *slot)
{
    (void)user_data;
    free(*(void **)slot);
    __atomic_sub_fetch(&words, 1, __ATOMIC_SEQ_CST);
}

/* Slots that grow by chunks, got and put by the call and by a magazine, listed, trimmed, and one put after the end. */
static ostler_status use_slab(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BEST, .prefault = 1,
                                 .node_policy = OSTLER_NODE_INTERLEAVE};
    ostler_slab_callbacks callbacks = {.struct_size = sizeof callbacks, .create = make_word, .reset = clean_word,
                                       .destroy = end_word};
    for (uint32_t checked = 0; checked <= 1; checked++) {
        ostler_slab_config config = {.struct_size = sizeof config, .source = &source, .slot_bytes = 4096,
                                     .max_slots = 200, .chunk_bytes = 65536, .magazine_slots = 8, .checked = checked,
                                     .name = "ostler-test"};
        ostler_slab *slab = NULL;
        ostler_magazine *magazine = NULL;
        ostler_slab_live live[8];
        ostler_receipt receipt = {.struct_size = sizeof receipt};
        void *slots[60] = {0}, *many[10] = {0}, *last = NULL;
        uint32_t put;
        uint64_t count;
        TRY(ostler_slab_create(&config, &callbacks, NULL, &slab));
        if (slab == NULL)
            return status;
        TRY(ostler_magazine_open(slab, &magazine));
        for (int i = 0; i < 60; i++)
            TRY(magazine != NULL && i % 2 ? ostler_magazine_get(magazine, &slots[i]) : ostler_slab_get(slab, &slots[i]));
        ostler_status all = ostler_slab_get_n(slab, 10, many);
        TRY(all);
        TRY(ostler_slab_list_live(slab, live, 8, &count));
        TRY(ostler_slab_get_receipt(slab, 0, &receipt));
        if (all == OSTLER_OK)
            EXPECT_STATUS(ostler_slab_put_n(slab, many, 10, &put), OSTLER_OK);
        for (int i = 0; i < 60; i++)
            if (slots[i] != NULL)
                EXPECT_STATUS(magazine != NULL && i % 3 ? ostler_magazine_put(magazine, slots[i])
                                                        : ostler_slab_put(slab, slots[i]),
                              OSTLER_OK);
        if (magazine != NULL)
            EXPECT_STATUS(ostler_magazine_close(magazine), OSTLER_OK);
        TRY(ostler_slab_trim(slab, NULL));
        TRY(ostler_slab_get(slab, &last));
        EXPECT_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
        if (last != NULL)
            EXPECT_STATUS(ostler_slab_put(slab, last), OSTLER_OK);
        EXPECT_EQ(__atomic_load_n(&words, __ATOMIC_SEQ_CST), 0);
    }
    return status;
}

static ostler_status load_word(void *user_data, void **value, uint64_t *size_bytes)
{
    (void)user_data;
    *value = malloc(8);
    *size_bytes = 8;
    __atomic_add_fetch(&words, 1, __ATOMIC_SEQ_CST);
    return OSTLER_OK;
}

static void drop_word(void *user_data, void *value)
{
    (void)user_data;
    free(value);
    __atomic_sub_fetch(&words, 1, __ATOMIC_SEQ_CST);
}

static ostler_status use_lazy(void)
{
    ostler_status status = OSTLER_OK;
    ostler_lazy_callbacks callbacks = {.struct_size = sizeof callbacks, .load = load_word, .drop = drop_word};
    ostler_lazy *lazy = NULL, *file = NULL;
    ostler_reader *reader = NULL;
    void *value;
    TRY(ostler_lazy_create(NULL, &callbacks, NULL, &lazy));
    TRY(ostler_lazy_open_file(NULL, "/proc/self/exe", &file));
    if (file != NULL) {
        ostler_status pinned = ostler_lazy_pin(file, 0, NULL, &value);
        TRY(pinned);
        if (pinned == OSTLER_OK)
            EXPECT_STATUS(ostler_lazy_unpin(file), OSTLER_OK);
        EXPECT_STATUS(ostler_lazy_destroy(file), OSTLER_OK);
    }
    if (lazy == NULL)
        return status;
    TRY(ostler_reader_open(lazy, &reader));
    for (int i = 0; reader != NULL && i < 3; i++) {
        ostler_status pinned = ostler_reader_pin(reader, 0, NULL, &value);
        TRY(pinned);
        EXPECT_STATUS(ostler_lazy_invalidate(lazy), OSTLER_OK);
        if (pinned == OSTLER_OK)
            EXPECT_STATUS(ostler_reader_unpin(reader), OSTLER_OK);
    }
    EXPECT_STATUS(ostler_reader_close(reader), OSTLER_OK);
    EXPECT_STATUS(ostler_lazy_destroy(lazy), OSTLER_OK);
    EXPECT_EQ(__atomic_load_n(&words, __ATOMIC_SEQ_CST), 0);
    return status;
}

static void ignore_change(void *user_data, const ostler_level_change *change)
{
    (void)user_data, (void)change;
}

static ostler_status give_nothing(void *user_data, uint64_t bytes, uint64_t *freed)
{
    (void)user_data, (void)bytes, (void)freed;
    return OSTLER_OK;
}

static ostler_status use_governor(void)
{
    ostler_status status = OSTLER_OK;
    ostler_governor_config config = {.struct_size = sizeof config, .limit_percent = 90};
    ostler_account_config account_config = {.struct_size = sizeof account_config, .reclaim = give_nothing};
    ostler_account *account = NULL;
    ostler_account_info accounts[4];
    ostler_suggestion suggestions[4];
    uint64_t watch_id = 0, count;
    TRY(ostler_governor_configure(&config));
    TRY(ostler_governor_watch(ignore_change, NULL, &watch_id));
    TRY(ostler_account_create(&account_config, &account));
    if (account) {
        EXPECT_STATUS(ostler_account_reserve(account, 4096, 0), OSTLER_OK);
        TRY(ostler_governor_list_accounts(accounts, 4, &count));
        TRY(ostler_governor_suggest(suggestions, 4, &count));
        /* Asking memory back and giving it back need none. */
        EXPECT_STATUS(ostler_governor_reclaim(4096, OSTLER_RECLAIM_WORKER, NULL, 0, &count, NULL), OSTLER_OK);
        EXPECT_STATUS(ostler_account_release(account, 4096), OSTLER_OK);
        EXPECT_STATUS(ostler_account_destroy(account), OSTLER_OK);
    }
    if (watch_id != 0)
        EXPECT_STATUS(ostler_governor_unwatch(watch_id), OSTLER_OK);
    EXPECT_STATUS(ostler_shutdown(0, NULL), OSTLER_OK);
    return status;
}

static const struct scenario topology = {use_topology, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario heap = {use_heap, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario arena = {
    use_arena, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_E_STALE_MARK, OSTLER_OK}};
static const struct scenario tracing = {use_tracing, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario hand_over = {use_hand_over, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario buffers = {use_buffers, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario slab = {
    use_slab, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_CALLBACK_FAILED, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_OK}};
static const struct scenario lazy = {use_lazy, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LOAD_FAILED, OSTLER_E_SYSTEM, OSTLER_OK}};
static const struct scenario governor = {use_governor, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_OK}};

TEST(allocations_of_a_topology) { fail_each_visit(&topology, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_a_heap) { fail_each_visit(&heap, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_a_heap) { fail_each_visit(&heap, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(mbind_of_a_heap) { fail_each_visit(&heap, OSTLER_FAULT_MBIND, EPERM); }
TEST(madvise_of_a_heap) { fail_each_visit(&heap, OSTLER_FAULT_MADVISE, ENOMEM); }
TEST(allocations_of_an_arena) { fail_each_visit(&arena, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_without_memory) { fail_each_visit(&arena, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(mmap_without_permission) { fail_each_visit(&arena, OSTLER_FAULT_MMAP, EPERM); }
TEST(mbind_without_permission) { fail_each_visit(&arena, OSTLER_FAULT_MBIND, EPERM); }
TEST(mbind_of_a_node_that_is_not_there) { fail_each_visit(&arena, OSTLER_FAULT_MBIND, EINVAL); }
TEST(madvise_without_memory) { fail_each_visit(&arena, OSTLER_FAULT_MADVISE, ENOMEM); }
TEST(madvise_of_an_old_kernel) { fail_each_visit(&arena, OSTLER_FAULT_MADVISE, EINVAL); }

TEST(every_mmap_fails_and_the_arena_says_so)
{
    ostler_arena *none;
    ostler_faults_set(OSTLER_FAULT_MMAP, 1, ENOMEM, 1);
    ostler_status status = ostler_arena_create(NULL, &none);
    ostler_faults_set(OSTLER_FAULT_MMAP, 0, 0, 0);
    CHECK(status != OSTLER_OK);
    CHECK(none == NULL);
    CHECK(ostler_last_error_message()[0] != 0);
}

TEST(allocations_of_tracing) { fail_each_visit(&tracing, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_a_hand_over) { fail_each_visit(&hand_over, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_a_hand_over) { fail_each_visit(&hand_over, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(allocations_of_buffers) { fail_each_visit(&buffers, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_buffers_without_memory) { fail_each_visit(&buffers, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(allocations_of_a_slab) { fail_each_visit(&slab, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_a_slab) { fail_each_visit(&slab, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(mbind_of_a_slab) { fail_each_visit(&slab, OSTLER_FAULT_MBIND, EPERM); }
TEST(madvise_of_a_slab) { fail_each_visit(&slab, OSTLER_FAULT_MADVISE, ENOMEM); }
TEST(callbacks_of_a_slab) { fail_each_visit(&slab, OSTLER_FAULT_CALLBACK, EIO); }
TEST(allocations_of_a_lazy) { fail_each_visit(&lazy, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_a_lazy) { fail_each_visit(&lazy, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(callbacks_of_a_lazy) { fail_each_visit(&lazy, OSTLER_FAULT_CALLBACK, EIO); }
TEST(allocations_of_the_governor) { fail_each_visit(&governor, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(governor_without_a_thread) { fail_each_visit(&governor, OSTLER_FAULT_THREAD_START, EAGAIN); }

/* An arena with a cursor that has room, and a block in a region that can go into another arena. */
struct laid_out {
    ostler_arena *arena, *into, *heir;
    ostler_cursor *cursor;
    ostler_mark region, mark;
    unsigned char *block;
};

static struct laid_out lay_out(void)
{
    struct laid_out all = {0};
    CHECK_STATUS(ostler_arena_create(NULL, &all.arena), OSTLER_OK);
    CHECK_STATUS(ostler_arena_create(NULL, &all.into), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_open(all.arena, &all.cursor), OSTLER_OK);
    CHECK_STATUS(ostler_arena_begin_region(all.arena, &all.region), OSTLER_OK);
    CHECK_STATUS(ostler_cursor_alloc_inline(all.cursor, 64, 0, (void **)&all.block), OSTLER_OK);
    memset(all.block, 7, 64);
    return all;
}

static ostler_status alloc_much(struct laid_out *all)
{
    void *much;
    return ostler_arena_alloc(all->arena, 16 << 20, 0, &much);
}

static ostler_status mark_arena(struct laid_out *all) { return ostler_arena_mark(all->arena, &all->mark); }
static ostler_status mark_cursor(struct laid_out *all) { return ostler_cursor_mark(all->cursor, &all->mark); }
static ostler_status begin_region(struct laid_out *all) { return ostler_arena_begin_region(all->arena, &all->mark); }
static ostler_status give_away(struct laid_out *all) { return ostler_arena_hand_over(all->arena, &all->heir); }

static ostler_status give_region_away(struct laid_out *all)
{
    return ostler_arena_hand_over_region(all->arena, &all->region, all->into);
}

TEST(panic_in_a_call_on_an_arena_takes_the_room_of_its_cursors_and_no_memory)
{
    static ostler_status (*const calls[])(struct laid_out *) = {alloc_much,   mark_arena, mark_cursor,
                                                                begin_region, give_away,  give_region_away};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        uint64_t visits = 0;
        for (uint64_t nth = 1; visits + 1 >= nth; nth++) {
            struct laid_out all = lay_out();
            void *more;
            ostler_faults_set(OSTLER_FAULT_ALLOCATION, nth, PANICS, 0);
            ostler_status status = calls[i](&all);
            visits = ostler_faults_hits(OSTLER_FAULT_ALLOCATION);
            ostler_faults_set(OSTLER_FAULT_ALLOCATION, 0, 0, 0);
            CHECK_EQ(status == OSTLER_E_PANIC, visits >= nth);
            if (status == OSTLER_E_PANIC) {
                CHECK_STATUS(ostler_cursor_alloc_inline(all.cursor, 1, 0, &more), OSTLER_E_QUARANTINED);
                CHECK_STATUS(ostler_arena_destroy(all.into), OSTLER_OK);
                CHECK(all.block[0] == 7 && all.block[63] == 7);
                all.into = NULL;
            }
            CHECK_STATUS(ostler_arena_destroy(all.arena), OSTLER_OK);
            CHECK_STATUS(ostler_cursor_close(all.cursor), OSTLER_OK);
            CHECK_STATUS(ostler_arena_destroy(all.into), OSTLER_OK);
            check_nothing_is_left(OSTLER_FAULT_ALLOCATION, nth);
        }
    }
}

CHECK_MAIN()
