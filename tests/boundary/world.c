/* The objects with which functions are attacked, made small so that thousands of them cost little. */
#include "boundary.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <sched.h>

static atomic_int alive;

int resources_alive(void)
{
    return atomic_load(&alive);
}

static ostler_status create_resource(void *user_data, void **resource)
{
    (void)user_data;
    *resource = malloc(16);
    atomic_fetch_add(&alive, 1);
    return OSTLER_OK;
}

static ostler_status accept_resource(void *user_data, void *resource)
{
    (void)user_data, (void)resource;
    return OSTLER_OK;
}

static void destroy_resource(void *user_data, void *resource)
{
    (void)user_data;
    free(resource);
    atomic_fetch_sub(&alive, 1);
}

static ostler_status load_state(void *user_data, uint32_t worker, void **state)
{
    (void)worker;
    return create_resource(user_data, state);
}

static ostler_status run_items(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    (void)user_data, (void)state, (void)items, (void)count;
    return OSTLER_OK;
}

static ostler_status build_template(void *user_data, const void *key, uint64_t key_bytes, void **data,
                                    uint64_t *data_bytes, uint64_t *charge_bytes)
{
    (void)key, (void)key_bytes, (void)charge_bytes;
    ostler_status status = create_resource(user_data, data);
    memset(*data, 0, 16);
    *data_bytes = 16;
    return status;
}

static void destroy_template(void *user_data, void *data, uint64_t data_bytes)
{
    (void)data_bytes;
    destroy_resource(user_data, data);
}

void callback_ostler_acquired_callback(void *user_data, ostler_ticket ticket, ostler_status status, ostler_lease lease,
                                       void *resource)
{
    (void)user_data, (void)ticket, (void)status, (void)lease, (void)resource;
}

void callback_ostler_bell_callback(void *user_data) { (void)user_data; }

void callback_ostler_tracing_callback(void *user_data, const ostler_trace_group *group)
{
    (void)user_data, (void)group;
}

void callback_ostler_buffer_release_callback(void *user_data, void *data)
{
    (void)user_data, (void)data;
}

void callback_ostler_cell_callback(void *user_data, ostler_cell cell, ostler_status outcome, void *value)
{
    (void)user_data, (void)cell, (void)outcome, (void)value;
}

void callback_ostler_level_callback(void *user_data, const ostler_level_change *change)
{
    (void)user_data, (void)change;
}

void callback_ostler_log_callback(void *user_data, uint32_t level, const char *message)
{
    (void)user_data, (void)level, (void)message;
}

/* Slots of the world's slab, enough for every call that gets some. */
#define SLOTS 256

/* Members beyond the claimed size are left alone: they may not be there. */
#define SET(type, member, value)                                                                                       \
    do {                                                                                                               \
        if (struct_size >= offsetof(type, member) + sizeof(((type *)target)->member))                                  \
            ((type *)target)->member = (value);                                                                        \
    } while (0)

static void begin(void *target, uint32_t struct_size)
{
    memset(target, 0, struct_size < sizeof struct_size ? sizeof struct_size : struct_size);
    memcpy(target, &struct_size, sizeof struct_size);
}

static const ostler_page_source base_pages = {.struct_size = sizeof base_pages, .page_policy = OSTLER_PAGES_BASE};

void fill_ostler_arena_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_arena_config, source, &base_pages);
    /* The attack looks at memory that it gave away. */
    SET(ostler_arena_config, poison, OSTLER_POISON_NEVER);
}

static ostler_status load_value(void *user_data, void **value, uint64_t *size_bytes)
{
    (void)size_bytes;
    return create_resource(user_data, value);
}

void fill_ostler_lazy_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_lazy_config, source, &base_pages);
}

void fill_ostler_lazy_callbacks(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_lazy_callbacks, load, load_value);
    SET(ostler_lazy_callbacks, drop, destroy_resource);
}

void fill_ostler_buffers_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_buffers_config, source, &base_pages);
    SET(ostler_buffers_config, chunk_bytes, 65536);
}

void fill_ostler_file_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_file_config, readahead, OSTLER_READAHEAD_NONE);
}
void fill_ostler_segment_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_segment_config, source, &base_pages);
    SET(ostler_segment_config, bytes, 4096);
}

void open_segment_fd(void)
{
    ostler_segment *segment;
    int32_t fd;
    if (fcntl(SEGMENT_FD, F_GETFD) >= 0)
        return;
    CHECK_STATUS(ostler_segment_create(NULL, &segment), OSTLER_OK);
    CHECK_STATUS(ostler_segment_get_fd(segment, OSTLER_ACCESS_READ_WRITE, &fd), OSTLER_OK);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
    CHECK_EQ(dup2(fd, SEGMENT_FD), SEGMENT_FD);
    close(fd);
}

void fill_ostler_page_source(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_page_source, page_policy, OSTLER_PAGES_BASE);
}

void fill_ostler_governor_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_governor_config, limit_percent, 90);
}

void fill_ostler_account_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_account_config, holder, OSTLER_HOLDER_EXTERNAL);
}

void fill_ostler_tracing_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_tracing_config, sample_bytes, 1);
}

void fill_ostler_heap_config(void *target, uint32_t struct_size)
{
    static const ostler_page_source base_pages = {.struct_size = sizeof base_pages, .page_policy = OSTLER_PAGES_BASE};
    begin(target, struct_size);
    SET(ostler_heap_config, source, &base_pages);
}

void fill_ostler_pool_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_pool_config, max_size, 2);
}

void fill_ostler_pool_callbacks(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_pool_callbacks, create, create_resource);
    SET(ostler_pool_callbacks, validate, accept_resource);
    SET(ostler_pool_callbacks, reset, accept_resource);
    SET(ostler_pool_callbacks, destroy, destroy_resource);
}

void fill_ostler_orchestrator_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_orchestrator_config, request_slots, 8);
}

void fill_ostler_model_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_model_config, queue_capacity, 8);
}

void fill_ostler_model_callbacks(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_model_callbacks, load, load_state);
    SET(ostler_model_callbacks, run, run_items);
    SET(ostler_model_callbacks, unload, destroy_resource);
}

void fill_ostler_deferred_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_deferred_config, capacity, 4);
}

/* Of a call that the tests never come to. */
static void fill_fault(void *target, uint32_t struct_size, uint32_t callback)
{
    begin(target, struct_size);
    SET(ostler_testkit_fault, callback, callback);
    SET(ostler_testkit_fault, first, UINT64_MAX);
    SET(ostler_testkit_fault, status, OSTLER_E_CALLBACK_FAILED);
}

void fill_ostler_testkit_fault(void *target, uint32_t struct_size)
{
    fill_fault(target, struct_size, OSTLER_TESTKIT_CREATE);
}

void fill_ostler_testkit_fault_of_model(void *target, uint32_t struct_size)
{
    fill_fault(target, struct_size, OSTLER_TESTKIT_RUN);
}

void fill_ostler_testkit_fault_of_templates(void *target, uint32_t struct_size)
{
    fill_fault(target, struct_size, OSTLER_TESTKIT_BUILD);
}

void fill_ostler_templates_config(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_templates_config, max_templates, 2);
    SET(ostler_templates_config, max_references, 4);
}

void fill_ostler_templates_callbacks(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_templates_callbacks, build, build_template);
    SET(ostler_templates_callbacks, destroy, destroy_template);
}

void fill_ostler_acquire(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
}

void fill_ostler_request(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
}

void fill_ostler_slab_config(void *target, uint32_t struct_size)
{
    static const ostler_page_source base_pages = {.struct_size = sizeof base_pages, .page_policy = OSTLER_PAGES_BASE};
    begin(target, struct_size);
    SET(ostler_slab_config, source, &base_pages);
    SET(ostler_slab_config, slot_bytes, 64);
    SET(ostler_slab_config, max_slots, SLOTS);
}

static ostler_status accept_slot(void *user_data, void *slot)
{
    (void)user_data, (void)slot;
    return OSTLER_OK;
}

void fill_ostler_slab_callbacks(void *target, uint32_t struct_size)
{
    begin(target, struct_size);
    SET(ostler_slab_callbacks, create, accept_slot);
    SET(ostler_slab_callbacks, reset, accept_slot);
}

static void make_handle(struct world *world, enum kind kind)
{
    void **out = &world->handles[kind];
    switch (kind) {
    case CANCEL:
        CHECK_STATUS(ostler_cancel_create((ostler_cancel **)out), OSTLER_OK);
        break;
    case TOPOLOGY:
        CHECK_STATUS(ostler_topology_create("pack:1 l3:1 core:2 pu:1", (ostler_topology **)out), OSTLER_OK);
        break;
    case ARENA: {
        ostler_arena_config config;
        void *bytes;
        fill_ostler_arena_config(&config, sizeof config);
        CHECK_STATUS(ostler_arena_create(&config, (ostler_arena **)out), OSTLER_OK);
        CHECK_STATUS(ostler_arena_alloc(*out, 16, 0, &bytes), OSTLER_OK); /* so that there is a chunk */
        break;
    }
    case ACCOUNT: {
        ostler_account_config config;
        fill_ostler_account_config(&config, sizeof config);
        CHECK_STATUS(ostler_account_create(&config, (ostler_account **)out), OSTLER_OK);
        break;
    }
    case LAZY: {
        ostler_lazy_callbacks callbacks;
        fill_ostler_lazy_callbacks(&callbacks, sizeof callbacks);
        CHECK_STATUS(ostler_lazy_create(NULL, &callbacks, NULL, (ostler_lazy **)out), OSTLER_OK);
        break;
    }
    case READER:
        world_make(world, LAZY);
        CHECK_STATUS(ostler_reader_open(world->handles[LAZY], (ostler_reader **)out), OSTLER_OK);
        break;
    case BUFFERS: {
        ostler_buffers_config config;
        fill_ostler_buffers_config(&config, sizeof config);
        CHECK_STATUS(ostler_buffers_create(&config, (ostler_buffers **)out), OSTLER_OK);
        break;
    }
    case CONTENTS: {
        ostler_page_source pages;
        ostler_file_config config;
        fill_ostler_page_source(&pages, sizeof pages);
        fill_ostler_file_config(&config, sizeof config);
        config.mode = OSTLER_FILE_COPY; /* so that it has a receipt */
        config.readahead = 0;
        config.length_bytes = 4096;
        config.source = &pages;
        CHECK_STATUS(ostler_file_open("/proc/self/exe", &config, (ostler_file **)out), OSTLER_OK);
        break;
    }
    case SEGMENT: {
        ostler_segment_config config;
        fill_ostler_segment_config(&config, sizeof config);
        CHECK_STATUS(ostler_segment_create(&config, (ostler_segment **)out), OSTLER_OK);
        break;
    }
    case CURSOR:
        world_make(world, ARENA);
        CHECK_STATUS(ostler_cursor_open(world->handles[ARENA], (ostler_cursor **)out), OSTLER_OK);
        break;
    case SLAB: {
        ostler_slab_config config;
        fill_ostler_slab_config(&config, sizeof config);
        CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, (ostler_slab **)out), OSTLER_OK);
        break;
    }
    case MAGAZINE:
        world_make(world, SLAB);
        CHECK_STATUS(ostler_magazine_open(world->handles[SLAB], (ostler_magazine **)out), OSTLER_OK);
        break;
    case HEAP: {
        ostler_heap_config config;
        fill_ostler_heap_config(&config, sizeof config);
        CHECK_STATUS(ostler_heap_create(&config, (ostler_heap **)out), OSTLER_OK);
        break;
    }
    case POOL: {
        ostler_pool_config config;
        ostler_pool_callbacks callbacks;
        fill_ostler_pool_config(&config, sizeof config);
        fill_ostler_pool_callbacks(&callbacks, sizeof callbacks);
        CHECK_STATUS(ostler_pool_create(&config, &callbacks, NULL, (ostler_pool **)out), OSTLER_OK);
        break;
    }
    case TAP:
        world_make(world, POOL);
        CHECK_STATUS(ostler_tap_open(world->handles[POOL], (ostler_tap **)out), OSTLER_OK);
        break;
    case DEFERRED: {
        ostler_deferred_config config;
        fill_ostler_deferred_config(&config, sizeof config);
        CHECK_STATUS(ostler_deferred_create(&config, (ostler_deferred **)out), OSTLER_OK);
        break;
    }
    case DESK:
        world_make(world, DEFERRED);
        CHECK_STATUS(ostler_desk_open(world->handles[DEFERRED], (ostler_desk **)out), OSTLER_OK);
        break;
    case TEMPLATES: {
        ostler_templates_config config;
        ostler_templates_callbacks callbacks;
        fill_ostler_templates_config(&config, sizeof config);
        fill_ostler_templates_callbacks(&callbacks, sizeof callbacks);
        CHECK_STATUS(ostler_templates_create(&config, &callbacks, NULL, (ostler_templates **)out), OSTLER_OK);
        break;
    }
    case ORCHESTRATOR: {
        ostler_orchestrator_config config;
        fill_ostler_orchestrator_config(&config, sizeof config);
        CHECK_STATUS(ostler_orchestrator_create(&config, (ostler_orchestrator **)out), OSTLER_OK);
        break;
    }
    default: {
        ostler_model_config config;
        ostler_model_callbacks callbacks;
        world_make(world, ORCHESTRATOR);
        fill_ostler_model_config(&config, sizeof config);
        fill_ostler_model_callbacks(&callbacks, sizeof callbacks);
        CHECK_STATUS(ostler_model_create(world->handles[ORCHESTRATOR], &config, &callbacks, NULL, (ostler_model **)out),
                     OSTLER_OK);
        CHECK_STATUS(ostler_model_wait_ready(*out, OSTLER_FOREVER, NULL), OSTLER_OK);
    }
    }
}

/* A request that has its outcome, so that neither a wait nor a poll for it depends on time. */
static void make_ticket(struct world *world)
{
    ostler_request request;
    ostler_orchestrator_stats stats = {.struct_size = sizeof stats};
    world_make(world, MODEL);
    fill_ostler_request(&request, sizeof request);
    CHECK_STATUS(ostler_model_submit(world->handles[MODEL], &request, &world->ticket), OSTLER_OK);
    while (stats.untaken == 0) {
        sched_yield();
        CHECK_STATUS(ostler_orchestrator_get_stats(world->handles[ORCHESTRATOR], &stats), OSTLER_OK);
    }
}

void world_make(struct world *world, enum kind kind)
{
    void *resource;
    if (kind > NOTHING && kind < HANDLES && !world->handles[kind])
        make_handle(world, kind);
    if (kind == CURSOR_MARK) {
        world_make(world, CURSOR);
        CHECK_STATUS(ostler_cursor_mark(world->handles[CURSOR], &world->cursor_mark), OSTLER_OK);
    }
    if (kind == MARK) {
        world_make(world, ARENA);
        CHECK_STATUS(ostler_arena_begin_region(world->handles[ARENA], &world->mark), OSTLER_OK);
    }
    if (kind == LEASE) {
        world_make(world, POOL);
        CHECK_STATUS(ostler_pool_acquire(world->handles[POOL], 0, NULL, &world->lease, &resource), OSTLER_OK);
    }
    if (kind == CELL) {
        world_make(world, DEFERRED);
        CHECK_STATUS(ostler_deferred_acquire(world->handles[DEFERRED], &world->cell), OSTLER_OK);
        /* So that no wait for it depends on time. */
        CHECK_STATUS(ostler_deferred_complete(world->handles[DEFERRED], world->cell, OSTLER_OK, NULL), OSTLER_OK);
    }
    if (kind == TEMPLATE) {
        world_make(world, TEMPLATES);
        CHECK_STATUS(ostler_templates_get(world->handles[TEMPLATES], "key", 3, 0, NULL, &world->template, NULL, NULL),
                     OSTLER_OK);
    }
    if (kind == VIEW) {
        world_make(world, BUFFERS);
        CHECK_STATUS(ostler_buffers_get(world->handles[BUFFERS], 64, &world->view, NULL), OSTLER_OK);
    }
    if (kind == BLOCK) {
        world_make(world, SEGMENT);
        CHECK_STATUS(ostler_segment_alloc(world->handles[SEGMENT], 16, 0, &world->block, NULL), OSTLER_OK);
    }
    if (kind == MOVABLE) {
        world_make(world, HEAP);
        CHECK_STATUS(ostler_heap_alloc_block(world->handles[HEAP], 64, 0, &world->movable), OSTLER_OK);
    }
    if (kind == TICKET)
        make_ticket(world);
}

ostler_status end_token(const struct world *world, enum kind kind, const void *token)
{
    uint64_t value;
    memcpy(&value, token, sizeof value);
    if (value == 0)
        return OSTLER_OK;
    switch (kind) {
    case BLOCK: /* it goes with its segment */
        return OSTLER_OK;
    case LEASE:
        return ostler_pool_release(world->handles[POOL], (ostler_lease){value});
    case MOVABLE:
        while (ostler_heap_unpin(world->handles[HEAP], (ostler_block){value}) == OSTLER_OK) {
        }
        return ostler_heap_free_block(world->handles[HEAP], (ostler_block){value});
    case CELL:
        return ostler_deferred_release(world->handles[DEFERRED], (ostler_cell){value});
    case TEMPLATE:
        return ostler_templates_release(world->handles[TEMPLATES], (ostler_template){value});
    case VIEW:
        return ostler_buffers_release(world->handles[BUFFERS], (ostler_buffer){value});
    default:
        return ostler_orchestrator_forget(world->handles[ORCHESTRATOR], (ostler_ticket){value});
    }
}

/* What a test has used up already is a stale token or a destroyed handle by now, which does no harm. */
void world_end(struct world *world)
{
    static const enum kind children_first[] = {MAGAZINE, SLAB, READER, LAZY, CURSOR,    TAP,      MODEL, ORCHESTRATOR, POOL,     TEMPLATES,
                                               DESK,     DEFERRED, BUFFERS,  HEAP, ARENA, ACCOUNT, CONTENTS, TOPOLOGY,   CANCEL, SEGMENT};
    end_token(world, LEASE, &world->lease);
    end_token(world, CELL, &world->cell);
    end_token(world, MOVABLE, &world->movable);
    end_token(world, TEMPLATE, &world->template);
    end_token(world, VIEW, &world->view);
    end_token(world, TICKET, &world->ticket);
    for (size_t i = 0; i < sizeof children_first / sizeof *children_first; i++)
        destroy_handle(children_first[i], world->handles[children_first[i]]);
    memset(world, 0, sizeof *world);
}

/* Every object still does its work: no call that was meant for something else has harmed it. */
bool world_is_well(const struct world *world)
{
    ostler_topology_info topology = {.struct_size = sizeof topology};
    ostler_heap_stats heap = {.struct_size = sizeof heap};
    ostler_arena_stats arena = {.struct_size = sizeof arena};
    ostler_pool_stats pool = {.struct_size = sizeof pool};
    ostler_orchestrator_stats orchestrator = {.struct_size = sizeof orchestrator};
    ostler_model_stats model = {.struct_size = sizeof model};
    ostler_deferred_stats deferred = {.struct_size = sizeof deferred};
    ostler_templates_stats templates = {.struct_size = sizeof templates};
    ostler_account_stats account = {.struct_size = sizeof account};
    ostler_slab_stats slab = {.struct_size = sizeof slab};
    void *slot;
    ostler_lease lease;
    ostler_cell cell;
    ostler_buffers_stats buffers = {.struct_size = sizeof buffers};
    ostler_file_info file = {.struct_size = sizeof file};
    ostler_lazy_stats lazy = {.struct_size = sizeof lazy};
    ostler_segment_stats segment = {.struct_size = sizeof segment};
    void *bytes;
    return EXPECT_STATUS(ostler_buffers_get_stats(world->handles[BUFFERS], &buffers), OSTLER_OK) &&
           EXPECT_EQ(buffers.in_use, 0) &&
           EXPECT_STATUS(ostler_lazy_get_stats(world->handles[LAZY], &lazy), OSTLER_OK) &&
           EXPECT_EQ(lazy.readers, 1) && EXPECT_EQ(lazy.version, 0) && EXPECT_STATUS(ostler_cancel_signal(world->handles[CANCEL]), OSTLER_OK) &&
           EXPECT_STATUS(ostler_heap_alloc(world->handles[HEAP], 16, 0, &bytes), OSTLER_OK) &&
           EXPECT_STATUS(ostler_heap_free(world->handles[HEAP], bytes), OSTLER_OK) &&
           EXPECT_STATUS(ostler_heap_get_stats(world->handles[HEAP], &heap), OSTLER_OK) && EXPECT_EQ(heap.blocks, 0) &&
           EXPECT_STATUS(ostler_topology_get_info(world->handles[TOPOLOGY], &topology), OSTLER_OK) &&
           EXPECT_STATUS(ostler_arena_get_stats(world->handles[ARENA], &arena), OSTLER_OK) &&
           EXPECT_STATUS(ostler_cursor_alloc(world->handles[CURSOR], 16, 0, &bytes), OSTLER_OK) &&
           EXPECT_STATUS(ostler_tap_acquire(world->handles[TAP], 0, NULL, &lease, &bytes), OSTLER_OK) &&
           EXPECT_STATUS(ostler_tap_release(world->handles[TAP], lease), OSTLER_OK) &&
           EXPECT_STATUS(ostler_pool_get_stats(world->handles[POOL], &pool), OSTLER_OK) &&
           EXPECT_STATUS(ostler_orchestrator_get_stats(world->handles[ORCHESTRATOR], &orchestrator), OSTLER_OK) &&
           EXPECT_STATUS(ostler_model_get_stats(world->handles[MODEL], &model), OSTLER_OK) &&
           EXPECT_STATUS(ostler_desk_acquire(world->handles[DESK], &cell), OSTLER_OK) &&
           EXPECT_STATUS(ostler_desk_release(world->handles[DESK], cell), OSTLER_OK) &&
           EXPECT_STATUS(ostler_deferred_get_stats(world->handles[DEFERRED], &deferred), OSTLER_OK) &&
           EXPECT_STATUS(ostler_templates_get_stats(world->handles[TEMPLATES], &templates), OSTLER_OK) &&
           EXPECT_STATUS(ostler_slab_get_stats(world->handles[SLAB], &slab), OSTLER_OK) && EXPECT_EQ(slab.out, 0) &&
           EXPECT_STATUS(ostler_magazine_get(world->handles[MAGAZINE], &slot), OSTLER_OK) &&
           EXPECT_STATUS(ostler_magazine_put(world->handles[MAGAZINE], slot), OSTLER_OK) &&
           EXPECT_STATUS(ostler_account_get_stats(world->handles[ACCOUNT], &account), OSTLER_OK) &&
           EXPECT_STATUS(ostler_file_get_info(world->handles[CONTENTS], &file), OSTLER_OK) &&
           EXPECT_STATUS(ostler_segment_get_stats(world->handles[SEGMENT], &segment), OSTLER_OK) &&
           EXPECT_EQ(segment.generation, 1) && EXPECT_EQ(account.held_bytes, 0) && EXPECT_EQ(file.bytes, 4096) && EXPECT_EQ(templates.templates, 0) && EXPECT_EQ(deferred.in_use, 0) && EXPECT_EQ(arena.cursors_open, 1) && EXPECT_EQ(pool.in_use, 0) && EXPECT_EQ(orchestrator.models, 1) &&
           EXPECT_EQ(model.accepted, 0);
}

/* What calls that succeeded have left out. */
static void put_all(ostler_slab *slab)
{
    ostler_slab_live live[SLOTS];
    uint64_t count;
    if (ostler_slab_list_live(slab, live, SLOTS, &count) == OSTLER_OK)
        for (uint64_t i = 0; i < count; i++)
            CHECK_STATUS(ostler_slab_put(slab, live[i].slot), OSTLER_OK);
}

ostler_status destroy_handle(enum kind kind, void *handle)
{
    switch (kind) {
    case CANCEL:
        return ostler_cancel_destroy(handle);
    case TOPOLOGY:
        return ostler_topology_destroy(handle);
    case ARENA:
        return ostler_arena_destroy(handle);
    case CURSOR:
        return ostler_cursor_close(handle);
    case HEAP:
        return ostler_heap_destroy(handle);
    case POOL:
        return ostler_pool_destroy(handle);
    case TAP:
        return ostler_tap_close(handle);
    case ORCHESTRATOR:
        return ostler_orchestrator_destroy(handle);
    case MODEL:
        return ostler_model_destroy(handle);
    case DEFERRED:
        return ostler_deferred_destroy(handle);
    case DESK:
        return ostler_desk_close(handle);
    case TEMPLATES:
        return ostler_templates_destroy(handle);
    case SEGMENT:
        return ostler_segment_destroy(handle);
    case ACCOUNT:
        return ostler_account_destroy(handle);
    case SLAB:
        put_all(handle);
        return ostler_slab_destroy(handle);
    case MAGAZINE:
        return ostler_magazine_close(handle);
    case BUFFERS:
        return ostler_buffers_destroy(handle);
    case CONTENTS:
        return ostler_file_destroy(handle);
    case LAZY:
        while (ostler_lazy_unpin(handle) == OSTLER_OK)
            continue;
        return ostler_lazy_destroy(handle);
    case READER:
        while (ostler_reader_unpin(handle) == OSTLER_OK)
            continue;
        return ostler_reader_close(handle);
    default:
        return OSTLER_OK;
    }
}

ostler_status stale_status(enum kind kind)
{
    switch (kind) {
    case CURSOR_MARK:
    case MARK:
        return OSTLER_E_STALE_MARK;
    case LEASE:
        return OSTLER_E_STALE_LEASE;
    case MOVABLE:
        return OSTLER_E_STALE_BLOCK;
    case CELL:
        return OSTLER_E_STALE_CELL;
    case TEMPLATE:
        return OSTLER_E_STALE_TEMPLATE;
    case VIEW:
        return OSTLER_E_STALE_BUFFER;
    case BLOCK:
        return OSTLER_E_STALE_BLOCK;
    default:
        return OSTLER_E_STALE_TICKET;
    }
}

const char *kind_name(enum kind kind)
{
    static const char *const names[KINDS] = {
        [MOVABLE] = "movable block",
        [HEAP] = "heap",
        [SLAB] = "slab",         [MAGAZINE] = "magazine",
        [NOTHING] = "nothing",   [CANCEL] = "cancel", [TOPOLOGY] = "topology",         [ARENA] = "arena",
        [CURSOR] = "cursor",     [POOL] = "pool",     [ORCHESTRATOR] = "orchestrator", [MODEL] = "model",
        [TAP] = "tap",           [MARK] = "mark", [CURSOR_MARK] = "cursor's mark",     [LEASE] = "lease",   [TICKET] = "ticket",
        [BUFFERS] = "buffers",   [VIEW] = "view",     [LAZY] = "lazy",     [READER] = "reader",
        [SEGMENT] = "segment",   [BLOCK] = "block",
        [DEFERRED] = "deferred", [DESK] = "desk", [CELL] = "cell",     [TEMPLATES] = "templates",       [TEMPLATE] = "template",
        [ACCOUNT] = "account",   [CONTENTS] = "file",
    };
    return names[kind];
}
