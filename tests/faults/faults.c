/* What can be refused is refused, one after the other: the n-th visit of each point fails, n = 1, 2, 3, ..., until the
 * scenario is not touched any more. Each time the failure is told, and afterwards nothing is left. */
#include "fixtures.h"
#include "inspected.h"
#include "ostler_faults.h"
#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#define PANICS (-1)
enum { MOST_VISITS = 2000 };

struct scenario {
    /* Returns the first status that was not OSTLER_OK, and ends whatever it began. */
    ostler_status (*run)(void);
    /* Statuses that a refusal may become, ended by OSTLER_OK. */
    ostler_status allowed[6];
};

static int count_threads(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    while (tasks != NULL && readdir(tasks) != NULL)
        count++;
    if (tasks != NULL)
        closedir(tasks);
    return count - 2;
}

static int count_chunks(void)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, "ostler") != NULL && strstr(line, "libostler") == NULL;
    if (maps != NULL)
        fclose(maps);
    return count;
}

static int count_descriptors(void)
{
    int count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (all != NULL && readdir(all) != NULL)
        count++;
    if (all != NULL)
        closedir(all);
    return count;
}

static int is_allowed(const struct scenario *scenario, ostler_status status)
{
    for (const ostler_status *allowed = scenario->allowed; *allowed != OSTLER_OK; allowed++)
        if (*allowed == status)
            return 1;
    return status == OSTLER_OK;
}

static void check_nothing_is_left(uint32_t point, uint64_t nth)
{
    if (ostler_faults_live() != 0)
        FAIL("point %u, visit %llu: %llu objects are left", point, (unsigned long long)nth,
             (unsigned long long)ostler_faults_live());
    if (count_chunks() != 0)
        FAIL("point %u, visit %llu: %d chunks are still mapped", point, (unsigned long long)nth, count_chunks());
    ostler_governor_stats governor = {.struct_size = sizeof governor};
    EXPECT_STATUS(ostler_governor_get_stats(&governor), OSTLER_OK);
    if (governor.held_bytes != 0)
        FAIL("point %u, visit %llu: %llu bytes are still charged", point, (unsigned long long)nth,
             (unsigned long long)governor.held_bytes);
    /* A thread that was joined may still be on its way out of the kernel. */
    for (time_t begin = time(NULL); count_threads() != 1; sched_yield())
        if (time(NULL) - begin > 60)
            FAIL("point %u, visit %llu: %d threads are left", point, (unsigned long long)nth, count_threads());
}

static void fail_each_visit(const struct scenario *scenario, uint32_t point, int32_t os_errno)
{
    /* What the library keeps for good is there from now on, also what the governor opens when it is asked. */
    EXPECT_STATUS(scenario->run(), OSTLER_OK);
    check_nothing_is_left(point, 0);
    int descriptors = count_descriptors();
    for (uint64_t nth = 1; nth < MOST_VISITS; nth++) {
        ostler_faults_set(point, nth, os_errno, 0);
        ostler_status status = scenario->run();
        uint64_t visits = ostler_faults_hits(point);
        ostler_faults_set(point, 0, 0, 0);
        if (!is_allowed(scenario, status))
            FAIL("point %u, visit %llu: %s: %s", point, (unsigned long long)nth, ostler_status_name(status),
                 ostler_last_error_message());
        check_nothing_is_left(point, nth);
        if (count_descriptors() != descriptors)
            FAIL("point %u, visit %llu: a descriptor is left", point, (unsigned long long)nth);
        if (visits < nth) {
            if (status != OSTLER_OK)
                FAIL("untouched it ended with %s: %s", ostler_status_name(status), ostler_last_error_message());
            return;
        }
    }
    FAIL("point %u is still visited after %d failures", point, MOST_VISITS);
}

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        ostler_status tried = (call);                                                                                  \
        if (status == OSTLER_OK)                                                                                       \
            status = tried;                                                                                            \
    } while (0)

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

/* Everything a page source can be asked for, a dry run before it and a repair after it. */
static ostler_status use_page_source(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BEST, .prefault = 1,
                                 .lock = 1, .guard = 1, .exclude_fork = 1, .exclude_dump = 1,
                                 .node_policy = OSTLER_NODE_SET, .node_set = {1}};
    ostler_arena_config config = {.struct_size = sizeof config, .source = &source, .chunk_bytes = 4 << 20,
                                  .name = "ostler-test"};
    ostler_advice advice = {.struct_size = sizeof advice};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    ostler_coverage coverage = {.struct_size = sizeof coverage};
    ostler_repair repair = {.struct_size = sizeof repair};
    for (source.strict = 0; source.strict <= 1; source.strict++) {
        ostler_arena *arena = NULL;
        TRY(ostler_page_source_advise(&source, 4 << 20, &advice));
        TRY(ostler_arena_create(&config, &arena));
        if (arena == NULL)
            return status;
        TRY(ostler_arena_get_receipt(arena, 0, &receipt));
        TRY(ostler_arena_get_coverage(arena, &coverage));
        TRY(ostler_arena_repair(arena, &repair));
        EXPECT_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
    return status;
}

/* Every noun that is made of chunks, taken apart, looked at, and repaired. */
static ostler_status use_inspection(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_TRANSPARENT, .prefault = 1};
    ostler_arena_config of_arena = {.struct_size = sizeof of_arena, .source = &source};
    ostler_heap_config of_heap = {.struct_size = sizeof of_heap, .source = &source};
    ostler_slab_config of_slab = {.struct_size = sizeof of_slab, .source = &source, .slot_bytes = 64,
                                  .max_slots = 32768};
    ostler_buffers_config of_buffers = {.struct_size = sizeof of_buffers, .source = &source};
    ostler_coverage coverage = {.struct_size = sizeof coverage};
    ostler_repair repair = {.struct_size = sizeof repair};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    ostler_arena *arena = NULL;
    ostler_heap *heap = NULL;
    ostler_slab *slab = NULL;
    ostler_buffers *buffers = NULL;
    char table[4096];
    TRY(ostler_arena_create(&of_arena, &arena));
    TRY(ostler_heap_create(&of_heap, &heap));
    TRY(ostler_slab_create(&of_slab, NULL, NULL, &slab));
    TRY(ostler_buffers_create(&of_buffers, &buffers));
    void *objects[] = {arena, heap, slab, buffers};
    for (size_t i = 0; i < NOUNS; i++) {
        if (objects[i] == NULL)
            continue;
        receipt.address = 0;
        TRY(nouns[i].receipt(objects[i], 0, &receipt));
        if (receipt.address != 0)
            EXPECT(madvise((void *)(uintptr_t)(receipt.address + 8192), 4096, MADV_DONTNEED) == 0);
        TRY(nouns[i].print(objects[i], table, sizeof table, NULL));
        TRY(nouns[i].coverage(objects[i], &coverage));
        TRY(nouns[i].repair(objects[i], &repair));
    }
    TRY(ostler_governor_get_coverage(&coverage));
    TRY(ostler_governor_repair(&repair));
    EXPECT_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    EXPECT_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    EXPECT_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
    EXPECT_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
    return status;
}

/* So much that several threads bring it in. */
static ostler_status use_much(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .prefault = 1};
    ostler_arena_config config = {.struct_size = sizeof config, .source = &source, .chunk_bytes = 96 << 20,
                                  .name = "ostler-test"};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    ostler_arena *arena = NULL;
    TRY(ostler_arena_create(&config, &arena));
    if (arena == NULL)
        return status;
    TRY(ostler_arena_get_receipt(arena, 0, &receipt));
    EXPECT(receipt.resident_bytes == receipt.mapped_bytes);
    EXPECT_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    return status;
}

static ostler_status use_file(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BASE};
    ostler_file_config config = {.struct_size = sizeof config, .prefault = 1, .length_bytes = 100000, .lock = 1};
    ostler_file_info info = {.struct_size = sizeof info};
    for (config.mode = OSTLER_FILE_MAP; config.mode <= OSTLER_FILE_COPY; config.mode++) {
        ostler_file *file = NULL;
        config.source = config.mode == OSTLER_FILE_COPY ? &source : NULL;
        TRY(ostler_file_open("/proc/self/exe", &config, &file));
        if (file != NULL)
            TRY(ostler_file_get_info(file, &info));
        EXPECT_STATUS(ostler_file_destroy(file), OSTLER_OK);
    }
    return status;
}

static ostler_status use_segment(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BEST,
                                 .node_policy = OSTLER_NODE_INTERLEAVE};
    ostler_segment_config config = {.struct_size = sizeof config, .source = &source, .bytes = 4 << 20,
                                    .name = "ostler-test"};
    ostler_segment_stats stats = {.struct_size = sizeof stats};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    ostler_segment *segment = NULL, *attached = NULL;
    ostler_segment_block block = {0};
    int32_t fd = -1;
    TRY(ostler_segment_create(&config, &segment));
    if (segment == NULL)
        return status;
    TRY(ostler_segment_get_fd(segment, OSTLER_ACCESS_READ_WRITE, &fd));
    if (fd > 0)
        TRY(ostler_segment_attach(fd, OSTLER_ACCESS_READ_WRITE, &attached));
    if (attached != NULL) {
        TRY(ostler_segment_alloc(attached, 1000, 0, &block, NULL));
        TRY(ostler_segment_get_stats(attached, &stats));
    }
    TRY(ostler_segment_get_receipt(segment, &receipt));
    if (fd > 0)
        close(fd);
    EXPECT_STATUS(ostler_segment_destroy(attached), OSTLER_OK);
    EXPECT_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
    return status;
}

static int resources;

static ostler_status create_counted(void *user_data, void **resource)
{
    __atomic_add_fetch(&resources, 1, __ATOMIC_SEQ_CST);
    *resource = user_data;
    return OSTLER_OK;
}

static ostler_status look_at(void *user_data, void *resource)
{
    (void)user_data, (void)resource;
    return OSTLER_OK;
}

static void destroy_counted(void *user_data, void *resource)
{
    (void)user_data, (void)resource;
    __atomic_sub_fetch(&resources, 1, __ATOMIC_SEQ_CST);
}

static ostler_status use_pool(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_config config = {.struct_size = sizeof config, .min_size = 1, .max_size = 2, .idle_timeout_ns = 1000};
    ostler_pool_callbacks callbacks = {.struct_size = sizeof callbacks, .create = create_counted, .validate = look_at,
                                       .reset = look_at, .destroy = destroy_counted};
    ostler_pool *pool = NULL;
    ostler_lease leases[3] = {{0}};
    void *resource;
    TRY(ostler_pool_create(&config, &callbacks, &config, &pool));
    if (pool == NULL)
        return status;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++)
            TRY(ostler_pool_acquire(pool, 60000000000, NULL, &leases[i], &resource));
        for (int i = 0; i < 2; i++)
            if (leases[i].value != 0)
                EXPECT_STATUS(round == 0 ? ostler_pool_release(pool, leases[i]) : ostler_pool_discard(pool, leases[i]),
                              OSTLER_OK);
    }
    TRY(ostler_pool_close(pool, OSTLER_FOREVER, NULL, NULL));
    EXPECT_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    EXPECT_EQ(__atomic_load_n(&resources, __ATOMIC_SEQ_CST), 0);
    return status;
}

/* With all that a pool does in the background, and all that is done to it at once. */
static ostler_status use_lively_pool(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_config config = {.struct_size = sizeof config, .min_size = 2, .max_size = 3, .capacity = 4, .min_idle = 1,
                                 .creator_threads = 2, .max_uses = 2, .max_lifetime_ns = 2000000,
                                 .keepalive_ns = 1000000, .lease_limit_ns = 1000000};
    ostler_pool_callbacks callbacks = {.struct_size = sizeof callbacks, .create = create_counted, .validate = look_at,
                                       .reset = look_at, .destroy = destroy_counted};
    ostler_pool *pool = NULL;
    ostler_lease leases[2];
    ostler_lease_info infos[2];
    void *held[2];
    uint64_t count;
    TRY(ostler_pool_create(&config, &callbacks, &config, &pool));
    if (pool == NULL)
        return status;
    TRY(ostler_pool_wait_warm(pool, 60000000000, NULL, NULL, NULL));
    for (int round = 0; round < 3; round++) {
        ostler_status leased = ostler_pool_acquire_n(pool, 2, 60000000000, NULL, leases, held);
        TRY(leased);
        TRY(ostler_pool_resize(pool, 1, 2 + (uint32_t)round));
        TRY(ostler_pool_refresh(pool));
        TRY(ostler_pool_list_leases(pool, infos, 2, &count));
        if (leased == OSTLER_OK)
            EXPECT_STATUS(ostler_pool_release_n(pool, leases, 2, NULL), OSTLER_OK);
    }
    TRY(ostler_pool_close(pool, OSTLER_FOREVER, NULL, NULL));
    EXPECT_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    EXPECT_EQ(__atomic_load_n(&resources, __ATOMIC_SEQ_CST), 0);
    return status;
}

static ostler_status use_tap(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool *pool = NULL;
    ostler_tap *tap = NULL;
    ostler_lease lease = {0};
    void *resource;
    TRY(ostler_pool_create(NULL, &callbacks, &pool, &pool));
    if (pool == NULL)
        return status;
    TRY(ostler_tap_open(pool, &tap));
    if (tap != NULL) {
        for (int i = 0; i < 100; i++) {
            TRY(ostler_tap_acquire(tap, OSTLER_FOREVER, NULL, &lease, &resource));
            if (lease.value != 0)
                EXPECT_STATUS(ostler_tap_release(tap, lease), OSTLER_OK);
        }
        TRY(ostler_tap_close(tap));
    }
    TRY(ostler_pool_destroy(pool));
    return status;
}

static void hear_no_bell(void *user_data) { (void)user_data; }

static ostler_status use_turns(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool_config config = {.struct_size = sizeof config, .max_size = 1};
    const ostler_acquire how = {.struct_size = sizeof how, .timeout_ns = OSTLER_FOREVER};
    ostler_pool *pool = NULL;
    ostler_lease held = {0}, lease = {0};
    ostler_ticket ticket = {0};
    uint64_t look_again_ns;
    void *resource;
    TRY(ostler_pool_create(&config, &callbacks, &pool, &pool));
    if (pool == NULL)
        return status;
    TRY(ostler_pool_begin_acquire(pool, &how, hear_no_bell, NULL, &ticket, &look_again_ns, &held, &resource));
    if (held.value != 0) {
        TRY(ostler_pool_begin_acquire(pool, &how, hear_no_bell, NULL, &ticket, &look_again_ns, &lease, &resource));
        EXPECT_STATUS(ostler_pool_release(pool, held), OSTLER_OK);
        if (ticket.value != 0)
            TRY(ostler_pool_continue_acquire(pool, ticket, 0, &look_again_ns, &lease, &resource));
        if (lease.value != 0)
            EXPECT_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    }
    TRY(ostler_pool_destroy(pool));
    return status;
}

static ostler_status use_turns_of_many(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool_config config = {.struct_size = sizeof config, .max_size = 2};
    const ostler_acquire how = {.struct_size = sizeof how, .timeout_ns = OSTLER_FOREVER};
    ostler_pool *pool = NULL;
    ostler_lease held[2] = {{0}}, leases[2] = {{0}};
    ostler_ticket ticket = {0};
    uint64_t look_again_ns;
    void *resources[2];
    TRY(ostler_pool_create(&config, &callbacks, &pool, &pool));
    if (pool == NULL)
        return status;
    TRY(ostler_pool_begin_acquire_n(pool, &how, 2, hear_no_bell, NULL, &ticket, &look_again_ns, held, resources));
    if (held[0].value != 0) {
        TRY(ostler_pool_begin_acquire_n(pool, &how, 2, hear_no_bell, NULL, &ticket, &look_again_ns, leases, resources));
        EXPECT_STATUS(ostler_pool_release_n(pool, held, 2, NULL), OSTLER_OK);
        if (ticket.value != 0)
            TRY(ostler_pool_continue_acquire_n(pool, ticket, 2, 0, &look_again_ns, leases, resources));
        if (leases[0].value != 0)
            EXPECT_STATUS(ostler_pool_release_n(pool, leases, 2, NULL), OSTLER_OK);
    }
    TRY(ostler_pool_destroy(pool));
    return status;
}

static ostler_status use_deferred(void)
{
    ostler_status status = OSTLER_OK, outcome = OSTLER_OK;
    ostler_deferred_config config = {.struct_size = sizeof config, .capacity = 4};
    ostler_deferred *deferred = NULL;
    ostler_cell cells[2] = {{0}};
    uint32_t index;
    TRY(ostler_deferred_create(&config, &deferred));
    if (deferred == NULL)
        return status;
    EXPECT_STATUS(ostler_deferred_acquire_n(deferred, 2, cells), OSTLER_OK);
    EXPECT_STATUS(ostler_deferred_complete(deferred, cells[0], OSTLER_OK, &config), OSTLER_OK);
    TRY(ostler_deferred_wait_any(deferred, cells, 2, OSTLER_FOREVER, NULL, &index));
    EXPECT_STATUS(ostler_deferred_wait(deferred, cells[0], OSTLER_FOREVER, NULL, &outcome, NULL), OSTLER_OK);
    EXPECT_STATUS(ostler_deferred_release(deferred, cells[1]), OSTLER_OK);
    EXPECT_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
    return status;
}

static ostler_status use_testkit(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_testkit_fault fault = {.struct_size = sizeof fault, .callback = OSTLER_TESTKIT_CREATE, .first = 1};
    ostler_pool *pool = NULL;
    ostler_lease lease = {0};
    void *resource;
    fault.delay_ns = 1;
    TRY(ostler_pool_create(NULL, &callbacks, &pool, &pool));
    if (pool == NULL)
        return status;
    TRY(ostler_testkit_pool_inject(pool, &fault));
    TRY(ostler_testkit_pool_inject(pool, &fault));
    TRY(ostler_pool_acquire(pool, OSTLER_FOREVER, NULL, &lease, &resource));
    if (lease.value != 0)
        EXPECT_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    EXPECT_STATUS(ostler_testkit_pool_clear(pool, OSTLER_TESTKIT_CREATE), OSTLER_OK);
    EXPECT_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
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

static ostler_status make_word(void *user_data, void *slot)
{
    (void)user_data;
    *(void **)slot = malloc(8);
    __atomic_add_fetch(&resources, 1, __ATOMIC_SEQ_CST);
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
    __atomic_sub_fetch(&resources, 1, __ATOMIC_SEQ_CST);
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
        EXPECT_EQ(__atomic_load_n(&resources, __ATOMIC_SEQ_CST), 0);
    }
    return status;
}

static ostler_status load_word(void *user_data, void **value, uint64_t *size_bytes)
{
    (void)user_data;
    *value = malloc(8);
    *size_bytes = 8;
    __atomic_add_fetch(&resources, 1, __ATOMIC_SEQ_CST);
    return OSTLER_OK;
}

static void drop_word(void *user_data, void *value)
{
    (void)user_data;
    free(value);
    __atomic_sub_fetch(&resources, 1, __ATOMIC_SEQ_CST);
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
    EXPECT_EQ(__atomic_load_n(&resources, __ATOMIC_SEQ_CST), 0);
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

static atomic_int pages;

static ostler_status build_page(void *user_data, const void *key, uint64_t key_bytes, void **data, uint64_t *data_bytes,
                                uint64_t *charge_bytes)
{
    (void)user_data, (void)key, (void)key_bytes, (void)charge_bytes;
    *data = calloc(1, 64);
    *data_bytes = 64;
    atomic_fetch_add(&pages, 1);
    return OSTLER_OK;
}

static void destroy_page(void *user_data, void *data, uint64_t data_bytes)
{
    (void)user_data, (void)data_bytes;
    free(data);
    atomic_fetch_sub(&pages, 1);
}

static ostler_status clone_page(void *user_data, const void *data, uint64_t data_bytes, void *target)
{
    (void)user_data;
    memcpy(target, data, data_bytes);
    return OSTLER_OK;
}

static ostler_status use_templates(void)
{
    ostler_status status = OSTLER_OK;
    ostler_templates_config config = {.struct_size = sizeof config, .max_templates = 2, .max_references = 2};
    ostler_templates_callbacks callbacks = {
        .struct_size = sizeof callbacks, .build = build_page, .clone = clone_page, .destroy = destroy_page};
    ostler_templates *templates = NULL;
    ostler_template reference = {0};
    char bytes[64];
    TRY(ostler_templates_create(&config, &callbacks, NULL, &templates));
    if (templates == NULL)
        return status;
    for (int i = 0; i < 4; i++)
        TRY(ostler_templates_instantiate(templates, &i, sizeof i, bytes, sizeof bytes, OSTLER_FOREVER, NULL, NULL));
    TRY(ostler_templates_get(templates, "a", 1, OSTLER_FOREVER, NULL, &reference, NULL, NULL));
    EXPECT_STATUS(ostler_templates_invalidate_all(templates), OSTLER_OK);
    if (reference.value != 0)
        EXPECT_STATUS(ostler_templates_release(templates, reference), OSTLER_OK);
    EXPECT_STATUS(ostler_templates_destroy(templates), OSTLER_OK);
    EXPECT_EQ(pages, 0);
    return status;
}

static ostler_status use_orchestrator(void)
{
    ostler_status status = OSTLER_OK;
    ostler_orchestrator_config config = {.struct_size = sizeof config, .request_slots = 8};
    ostler_model_config model_config = {.struct_size = sizeof model_config, .min_workers = 2, .max_workers = 4,
                                        .max_batch = 2, .memory_bytes = 1 << 20};
    ostler_model_callbacks callbacks = plain_model_callbacks();
    ostler_request request = {.struct_size = sizeof request};
    ostler_orchestrator *orchestrator = NULL;
    ostler_model *model = NULL;
    TRY(ostler_orchestrator_create(&config, &orchestrator));
    if (orchestrator == NULL)
        return status;
    TRY(ostler_model_create(orchestrator, &model_config, &callbacks, NULL, &model));
    for (int i = 0; model != NULL && i < 4; i++) {
        ostler_ticket ticket = {0};
        ostler_result result = {.struct_size = sizeof result};
        TRY(ostler_model_submit(model, &request, &ticket));
        if (ticket.value == 0)
            continue;
        ostler_status waited = ostler_orchestrator_wait(orchestrator, ticket, OSTLER_FOREVER, NULL, &result);
        if (waited == OSTLER_E_OUT_OF_MEMORY)
            EXPECT_STATUS(ostler_orchestrator_wait(orchestrator, ticket, OSTLER_FOREVER, NULL, &result), OSTLER_OK);
        TRY(waited);
        if (waited == OSTLER_OK)
            TRY(result.status);
    }
    /* Workers go, if there are more than two, whatever is refused meanwhile. */
    EXPECT_STATUS(ostler_governor_reclaim(UINT64_MAX, OSTLER_RECLAIM_WORKER, NULL, 0, NULL, NULL), OSTLER_OK);
    TRY(ostler_orchestrator_drain(orchestrator, OSTLER_FOREVER, NULL, NULL));
    EXPECT_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
    return status;
}

/* On a machine with four nodes, for which this one is taken. */
static ostler_status use_pool_by_node(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_config config = {.struct_size = sizeof config, .max_size = 4, .affinity = OSTLER_AFFINITY_NODE};
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool *pool = NULL;
    ostler_lease lease = {0};
    void *resource;
    ostler_faults_set_machine("numa:4 core:2 pu:1");
    TRY(ostler_pool_create(&config, &callbacks, &resources, &pool));
    ostler_faults_set_machine(NULL);
    if (pool == NULL)
        return status;
    for (uint32_t cpu = 0; cpu < 8; cpu++) {
        ostler_faults_run_on_cpu(cpu);
        TRY(ostler_pool_acquire(pool, 0, NULL, &lease, &resource));
        if (lease.value != 0)
            EXPECT_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    }
    EXPECT_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    return status;
}

static const struct scenario heap = {use_heap, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario topology = {use_topology, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario arena = {
    use_arena, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_E_STALE_MARK, OSTLER_OK}};
static const struct scenario tracing = {use_tracing, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario hand_over = {use_hand_over, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario lazy = {use_lazy, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_LOAD_FAILED, OSTLER_E_SYSTEM, OSTLER_OK}};
static const struct scenario slab = {
    use_slab, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_CALLBACK_FAILED, OSTLER_E_LIMIT, OSTLER_E_SYSTEM, OSTLER_OK}};
static const struct scenario buffers = {use_buffers, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario page_source = {
    use_page_source,
    {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_LIMIT, OSTLER_OK}};
static const struct scenario inspection = {use_inspection, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario much = {use_much, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario file = {
    use_file, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_LIMIT, OSTLER_OK}};
/* A descriptor that cannot be looked at is taken for one of something else. */
static const struct scenario segment = {
    use_segment, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_OK}};
/* What a callback that was failed by injection answers is its errno, negative. */
static const struct scenario pool = {
    use_pool, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_CREATE_FAILED, OSTLER_E_TIMEOUT, OSTLER_OK}};
static const struct scenario pool_by_node = {use_pool_by_node, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_OK}};
static const struct scenario lively_pool = {
    use_lively_pool, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_CREATE_FAILED, OSTLER_E_TIMEOUT, OSTLER_OK}};
static const struct scenario tap = {
    use_tap, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_CREATE_FAILED, OSTLER_E_INVALID_HANDLE, OSTLER_OK}};
static const struct scenario turns = {
    use_turns, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_CREATE_FAILED, OSTLER_E_INVALID_HANDLE, OSTLER_OK}};
static const struct scenario turns_of_many = {
    use_turns_of_many, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_CREATE_FAILED, OSTLER_E_INVALID_HANDLE, OSTLER_OK}};
static const struct scenario governor = {use_governor, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_OK}};
static const struct scenario deferred = {use_deferred, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario testkit = {use_testkit, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario templates = {
    use_templates, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_BUILD_FAILED, OSTLER_E_CALLBACK_FAILED, OSTLER_OK}};
static const struct scenario orchestrator = {
    use_orchestrator, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_LOAD_FAILED, -EIO, OSTLER_OK}};

TEST(allocations_of_a_heap) { fail_each_visit(&heap, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_a_heap) { fail_each_visit(&heap, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(mbind_of_a_heap) { fail_each_visit(&heap, OSTLER_FAULT_MBIND, EPERM); }
TEST(madvise_of_a_heap) { fail_each_visit(&heap, OSTLER_FAULT_MADVISE, ENOMEM); }
TEST(allocations_of_a_topology) { fail_each_visit(&topology, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_an_arena) { fail_each_visit(&arena, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_tracing) { fail_each_visit(&tracing, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_a_hand_over) { fail_each_visit(&hand_over, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_a_hand_over) { fail_each_visit(&hand_over, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(allocations_of_a_lazy) { fail_each_visit(&lazy, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_a_lazy) { fail_each_visit(&lazy, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(callbacks_of_a_lazy) { fail_each_visit(&lazy, OSTLER_FAULT_CALLBACK, EIO); }
TEST(allocations_of_a_slab) { fail_each_visit(&slab, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_a_slab) { fail_each_visit(&slab, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(mbind_of_a_slab) { fail_each_visit(&slab, OSTLER_FAULT_MBIND, EPERM); }
TEST(madvise_of_a_slab) { fail_each_visit(&slab, OSTLER_FAULT_MADVISE, ENOMEM); }
TEST(callbacks_of_a_slab) { fail_each_visit(&slab, OSTLER_FAULT_CALLBACK, EIO); }
TEST(allocations_of_buffers) { fail_each_visit(&buffers, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_a_segment) { fail_each_visit(&segment, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_a_segment_without_memory) { fail_each_visit(&segment, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(mmap_of_a_segment_without_permission) { fail_each_visit(&segment, OSTLER_FAULT_MMAP, EPERM); }
TEST(mbind_of_a_segment) { fail_each_visit(&segment, OSTLER_FAULT_MBIND, EPERM); }
TEST(madvise_of_a_segment) { fail_each_visit(&segment, OSTLER_FAULT_MADVISE, EINVAL); }
TEST(file_of_a_segment_without_space) { fail_each_visit(&segment, OSTLER_FAULT_SEGMENT, ENOSPC); }
TEST(file_of_a_segment_without_descriptors) { fail_each_visit(&segment, OSTLER_FAULT_SEGMENT, EMFILE); }
TEST(file_of_a_segment_without_permission) { fail_each_visit(&segment, OSTLER_FAULT_SEGMENT, EPERM); }
TEST(file_of_a_segment_on_an_old_kernel) { fail_each_visit(&segment, OSTLER_FAULT_SEGMENT, EINVAL); }
TEST(allocations_of_a_pool) { fail_each_visit(&pool, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_a_lively_pool) { fail_each_visit(&lively_pool, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_a_tap) { fail_each_visit(&tap, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_turns) { fail_each_visit(&turns, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_turns_of_many) { fail_each_visit(&turns_of_many, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_the_governor) { fail_each_visit(&governor, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(governor_without_a_thread) { fail_each_visit(&governor, OSTLER_FAULT_THREAD_START, EAGAIN); }
TEST(allocations_of_a_deferred) { fail_each_visit(&deferred, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_the_testkit) { fail_each_visit(&testkit, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_templates) { fail_each_visit(&templates, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_an_orchestrator) { fail_each_visit(&orchestrator, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_without_memory) { fail_each_visit(&arena, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(mmap_of_buffers_without_memory) { fail_each_visit(&buffers, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(mmap_without_permission) { fail_each_visit(&arena, OSTLER_FAULT_MMAP, EPERM); }
TEST(mbind_without_permission) { fail_each_visit(&arena, OSTLER_FAULT_MBIND, EPERM); }
TEST(mbind_of_a_node_that_is_not_there) { fail_each_visit(&arena, OSTLER_FAULT_MBIND, EINVAL); }
TEST(madvise_without_memory) { fail_each_visit(&arena, OSTLER_FAULT_MADVISE, ENOMEM); }
TEST(madvise_of_an_old_kernel) { fail_each_visit(&arena, OSTLER_FAULT_MADVISE, EINVAL); }
TEST(system_calls_of_a_page_source)
{
    static const struct {
        uint32_t point;
        int32_t os_errno;
    } failures[] = {
        {OSTLER_FAULT_ALLOCATION, ENOMEM}, {OSTLER_FAULT_MMAP, ENOMEM},       {OSTLER_FAULT_MMAP, EPERM},
        {OSTLER_FAULT_MBIND, EPERM},       {OSTLER_FAULT_MBIND, ENOSYS},      {OSTLER_FAULT_MADVISE, ENOMEM},
        {OSTLER_FAULT_MADVISE, EINVAL},    {OSTLER_FAULT_MADVISE, EFAULT},    {OSTLER_FAULT_MLOCK, ENOMEM},
        {OSTLER_FAULT_MLOCK, EPERM},       {OSTLER_FAULT_MOVE_PAGES, EPERM},  {OSTLER_FAULT_SCAN, ENOTTY},
        {OSTLER_FAULT_OPEN, EMFILE},
    };
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        fail_each_visit(&page_source, failures[i].point, failures[i].os_errno);
}

TEST(system_calls_of_an_inspection)
{
    static const struct {
        uint32_t point;
        int32_t os_errno;
    } failures[] = {
        {OSTLER_FAULT_ALLOCATION, ENOMEM}, {OSTLER_FAULT_MADVISE, EINVAL},   {OSTLER_FAULT_MADVISE, EAGAIN},
        {OSTLER_FAULT_SCAN, ENOTTY},       {OSTLER_FAULT_MOVE_PAGES, EPERM}, {OSTLER_FAULT_OPEN, EMFILE},
    };
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        fail_each_visit(&inspection, failures[i].point, failures[i].os_errno);
}

TEST(placing_by_first_touch)
{
    static const struct {
        uint32_t point;
        int32_t os_errno;
    } failures[] = {
        {OSTLER_FAULT_AFFINITY, EPERM}, {OSTLER_FAULT_AFFINITY, EINVAL},  {OSTLER_FAULT_THREAD_START, EAGAIN},
        {OSTLER_FAULT_MADVISE, EFAULT}, {OSTLER_FAULT_MADVISE, EINVAL},   {OSTLER_FAULT_MMAP, ENOMEM},
        {OSTLER_FAULT_SCAN, ENOTTY},    {OSTLER_FAULT_MOVE_PAGES, EPERM}, {OSTLER_FAULT_ALLOCATION, ENOMEM},
    };
    /* No policy is taken, all the while. */
    ostler_faults_set(OSTLER_FAULT_MBIND, 1, EPERM, 1);
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        fail_each_visit(&page_source, failures[i].point, failures[i].os_errno);
    ostler_faults_set(OSTLER_FAULT_MBIND, 0, 0, 0);
}

TEST(threads_that_bring_much_in) { fail_each_visit(&much, OSTLER_FAULT_THREAD_START, EAGAIN); }
TEST(much_that_is_brought_in_by_threads) { fail_each_visit(&much, OSTLER_FAULT_MADVISE, EFAULT); }

TEST(system_calls_of_a_file)
{
    static const struct {
        uint32_t point;
        int32_t os_errno;
    } failures[] = {
        {OSTLER_FAULT_ALLOCATION, ENOMEM}, {OSTLER_FAULT_MMAP, ENOMEM},    {OSTLER_FAULT_MADVISE, EINVAL},
        {OSTLER_FAULT_MADVISE, EFAULT},    {OSTLER_FAULT_MLOCK, ENOMEM},   {OSTLER_FAULT_SCAN, ENOMEM},
        {OSTLER_FAULT_OPEN, EIO},          {OSTLER_FAULT_OPEN, EINTR},
    };
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        fail_each_visit(&file, failures[i].point, failures[i].os_errno);
}

TEST(threads_of_a_pool) { fail_each_visit(&pool, OSTLER_FAULT_THREAD_START, EAGAIN); }
TEST(threads_of_a_lively_pool) { fail_each_visit(&lively_pool, OSTLER_FAULT_THREAD_START, EAGAIN); }
TEST(threads_of_an_orchestrator) { fail_each_visit(&orchestrator, OSTLER_FAULT_THREAD_START, EAGAIN); }
TEST(allocations_of_a_pool_by_node) { fail_each_visit(&pool_by_node, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(callbacks_of_a_pool) { fail_each_visit(&pool, OSTLER_FAULT_CALLBACK, EIO); }
TEST(callbacks_of_turns) { fail_each_visit(&turns, OSTLER_FAULT_CALLBACK, EIO); }
TEST(callbacks_of_turns_of_many) { fail_each_visit(&turns_of_many, OSTLER_FAULT_CALLBACK, EIO); }
TEST(callbacks_of_a_lively_pool) { fail_each_visit(&lively_pool, OSTLER_FAULT_CALLBACK, EIO); }
TEST(callbacks_of_templates) { fail_each_visit(&templates, OSTLER_FAULT_CALLBACK, EIO); }
TEST(callbacks_of_an_orchestrator) { fail_each_visit(&orchestrator, OSTLER_FAULT_CALLBACK, EIO); }

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

/* Panics of the library. */

TEST(panic_in_each_guarded_call_is_a_status_and_quarantines_its_object)
{
    ostler_pool *lame = make_pool(2, plain_pool_callbacks(), &resources), *sound = make_pool(2, plain_pool_callbacks(), &resources);
    ostler_lease lease;
    void *resource;
    ostler_faults_set(OSTLER_FAULT_CALL, 1, PANICS, 0);
    CHECK_STATUS(ostler_version_check(OSTLER_VERSION_NUMBER), OSTLER_E_PANIC);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "injected panic");
    ostler_faults_set(OSTLER_FAULT_CALL, 0, 0, 0);
    CHECK_STATUS(ostler_version_check(OSTLER_VERSION_NUMBER), OSTLER_OK);

    ostler_faults_set(OSTLER_FAULT_CALLBACK, 1, PANICS, 0);
    CHECK_STATUS(ostler_pool_acquire(lame, 0, NULL, &lease, &resource), OSTLER_E_PANIC);
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
    CHECK_EQ(lease.value, 0);
    CHECK(resource == NULL);
    CHECK_STATUS(ostler_pool_acquire(lame, 0, NULL, &lease, &resource), OSTLER_E_QUARANTINED);
    CHECK_STATUS(ostler_pool_acquire(sound, 0, NULL, &lease, &resource), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(sound, lease), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(lame), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(sound), OSTLER_OK);
    check_nothing_is_left(OSTLER_FAULT_CALLBACK, 1);
}

/* A pool whose callbacks are held up until they may go on. */
struct gate {
    ostler_pool *pool;
    atomic_int inside, may_go_on;
    ostler_status status;
};

static ostler_status wait_at(struct gate *gate)
{
    atomic_fetch_add(&gate->inside, 1);
    while (!atomic_load(&gate->may_go_on))
        sched_yield();
    return OSTLER_OK;
}

static ostler_status validate_at_the_gate(void *gate, void *resource)
{
    (void)resource;
    return wait_at(gate);
}

static ostler_status create_at_the_gate(void *gate, void **resource)
{
    *resource = gate;
    return wait_at(gate);
}

static ostler_status create_at_once(void *gate, void **resource)
{
    *resource = gate;
    return OSTLER_OK;
}

static ostler_status retag_at_once(void *gate, void *resource, uint64_t from, uint64_t to)
{
    (void)gate, (void)resource, (void)from, (void)to;
    return OSTLER_OK;
}

static void destroy_at_once(void *gate, void *resource)
{
    (void)gate, (void)resource;
}

static ostler_pool_callbacks gate_callbacks(void)
{
    ostler_pool_callbacks callbacks;
    CHECK_STATUS(ostler_pool_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.destroy = destroy_at_once;
    return callbacks;
}

static void *acquire_with_a_tag(void *argument)
{
    struct gate *gate = argument;
    ostler_acquire how = {.struct_size = sizeof how, .timeout_ns = OSTLER_FOREVER, .tag = 7};
    ostler_lease lease;
    void *resource;
    EXPECT_STATUS(ostler_pool_acquire_with(gate->pool, &how, &lease, &resource), OSTLER_E_PANIC);
    return NULL;
}

static void *close_for_ever(void *argument)
{
    struct gate *gate = argument;
    uint64_t still_out;
    gate->status = ostler_pool_close(gate->pool, OSTLER_FOREVER, NULL, &still_out);
    EXPECT_EQ(still_out, 1);
    EXPECT(strstr(ostler_last_error_message(), "quarantined") != NULL);
    return NULL;
}

TEST(close_that_waits_ends_when_its_pool_is_quarantined)
{
    struct gate gate = {0};
    pthread_t acquirer, closer;
    ostler_lease lease, held;
    void *resource;
    ostler_pool_callbacks callbacks = gate_callbacks();
    callbacks.create = create_at_once;
    callbacks.retag = retag_at_once;
    callbacks.validate = validate_at_the_gate;
    gate.pool = make_pool(2, callbacks, &gate);
    CHECK_STATUS(ostler_pool_acquire(gate.pool, 0, NULL, &lease, &resource), OSTLER_OK);
    CHECK_STATUS(ostler_pool_acquire(gate.pool, 0, NULL, &held, &resource), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(gate.pool, lease), OSTLER_OK);
    pthread_create(&acquirer, NULL, acquire_with_a_tag, &gate);
    while (!atomic_load(&gate.inside))
        sched_yield();
    pthread_create(&closer, NULL, close_for_ever, &gate);
    while (ostler_pool_try_acquire(gate.pool, &lease, &resource) != OSTLER_E_CLOSED)
        sched_yield();
    /* The next callback that is called is retag. */
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 1, PANICS, 0);
    atomic_store(&gate.may_go_on, 1);
    pthread_join(acquirer, NULL);
    pthread_join(closer, NULL);
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
    CHECK_STATUS(gate.status, OSTLER_E_QUARANTINED);
    CHECK_STATUS(ostler_pool_destroy(gate.pool), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(gate.pool, held), OSTLER_OK);
    check_nothing_is_left(OSTLER_FAULT_CALLBACK, 1);
}

static void *wait_until_warm(void *argument)
{
    struct gate *gate = argument;
    uint32_t ready, wanted;
    gate->status = ostler_pool_wait_warm(gate->pool, OSTLER_FOREVER, NULL, &ready, &wanted);
    EXPECT(strstr(ostler_last_error_message(), "quarantined") != NULL);
    return NULL;
}

TEST(wait_for_warmth_ends_when_its_pool_is_quarantined)
{
    struct gate gate = {0};
    pthread_t waiter;
    ostler_lease lease;
    void *resource;
    ostler_pool_config config = {.struct_size = sizeof config, .max_size = 2, .min_size = 1};
    ostler_pool_callbacks callbacks = gate_callbacks();
    callbacks.create = create_at_the_gate;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, &gate, &gate.pool), OSTLER_OK);
    while (!atomic_load(&gate.inside))
        sched_yield();
    pthread_create(&waiter, NULL, wait_until_warm, &gate);
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 1, PANICS, 0);
    CHECK_STATUS(ostler_pool_acquire(gate.pool, 0, NULL, &lease, &resource), OSTLER_E_PANIC);
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
    pthread_join(waiter, NULL);
    CHECK_STATUS(gate.status, OSTLER_E_QUARANTINED);
    atomic_store(&gate.may_go_on, 1);
    CHECK_STATUS(ostler_pool_destroy(gate.pool), OSTLER_OK);
    check_nothing_is_left(OSTLER_FAULT_CALLBACK, 1);
}

static void *ask_for_a_page(void *templates)
{
    char bytes[64];
    ostler_status status = ostler_templates_instantiate(templates, "a", 1, bytes, sizeof bytes, OSTLER_FOREVER, NULL, NULL);
    /* The one who builds, those who wait for it, and those who come later. */
    EXPECT(status == OSTLER_E_PANIC || status == OSTLER_E_BUILD_FAILED || status == OSTLER_E_QUARANTINED);
    if (status == OSTLER_E_BUILD_FAILED)
        EXPECT(strstr(ostler_last_error_message(), "the library panicked") != NULL);
    return NULL;
}

TEST(panic_in_a_build_is_told_to_those_who_wait)
{
    for (int round = 0; round < 20; round++) {
        ostler_templates_callbacks callbacks = {
            .struct_size = sizeof callbacks, .build = build_page, .destroy = destroy_page};
        ostler_templates *templates;
        pthread_t threads[4];
        CHECK_STATUS(ostler_templates_create(NULL, &callbacks, NULL, &templates), OSTLER_OK);
        ostler_faults_set(OSTLER_FAULT_CALLBACK, 1, PANICS, 1);
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, ask_for_a_page, templates);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
        CHECK_STATUS(ostler_templates_destroy(templates), OSTLER_OK);
        check_nothing_is_left(OSTLER_FAULT_CALLBACK, 1);
    }
}

TEST(panic_in_a_worker_fails_every_request_of_its_model_and_no_other)
{
    ostler_orchestrator *stable = make_orchestrator();
    ostler_model *lame = make_model(stable, plain_model_config(), plain_model_callbacks(), NULL);
    ostler_model *sound = make_model(stable, plain_model_config(), plain_model_callbacks(), NULL);
    ostler_request request = plain_request();
    ostler_ticket ticket;
    CHECK_STATUS(ostler_model_wait_ready(lame, OSTLER_FOREVER, NULL), OSTLER_OK);
    ostler_faults_set(OSTLER_FAULT_WORKER, 1, PANICS, 0);
    ostler_result result = wait_for(stable, submit(lame, request));
    ostler_faults_set(OSTLER_FAULT_WORKER, 0, 0, 0);
    CHECK_EQ(result.outcome, OSTLER_OUTCOME_FAILED);
    CHECK_STATUS(result.status, OSTLER_E_PANIC);
    CHECK_STR_CONTAINS(result.message, "injected panic");
    CHECK_STATUS(ostler_model_submit(lame, &request, &ticket), OSTLER_E_QUARANTINED);
    CHECK_EQ(wait_for(stable, submit(sound, request)).outcome, OSTLER_OUTCOME_COMPLETED);
    CHECK_STATUS(ostler_model_destroy(lame), OSTLER_OK);
    CHECK_STATUS(ostler_orchestrator_destroy(stable), OSTLER_OK);
    check_nothing_is_left(OSTLER_FAULT_WORKER, 1);
}

TEST(panic_around_each_callback_of_a_model_ends_its_requests)
{
    for (uint64_t nth = 1; nth <= 3; nth++) {
        ostler_orchestrator *stable = make_orchestrator();
        ostler_faults_set(OSTLER_FAULT_CALLBACK, nth, PANICS, 0);
        ostler_model *model = make_model(stable, plain_model_config(), plain_model_callbacks(), NULL);
        ostler_request request = plain_request();
        for (int i = 0; i < 2; i++) {
            ostler_ticket ticket;
            ostler_status status = ostler_model_submit(model, &request, &ticket);
            if (status == OSTLER_OK)
                CHECK(wait_for(stable, ticket).outcome != 0);
            else
                CHECK_STATUS(status, OSTLER_E_QUARANTINED);
        }
        ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
        CHECK_STATUS(ostler_orchestrator_destroy(stable), OSTLER_OK);
        check_nothing_is_left(OSTLER_FAULT_CALLBACK, nth);
    }
}

CHECK_MAIN()
