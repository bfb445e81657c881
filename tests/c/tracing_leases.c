/* Tracing: what buffers, pools, lazy values, models, files and segments give out and hold is told with its call stack. */
#include "fixtures.h"
#include "traced.h"

enum { WORD_BYTES = 3000, HORSE_BYTES = 1 << 20 };

/* Functions of this program, which the call stacks have to tell apart. */
__attribute__((noinline)) static ostler_buffer lease_word(ostler_buffers *buffers)
{
    ostler_buffer leased;
    CHECK_STATUS(ostler_buffers_get(buffers, WORD_BYTES, &leased, NULL), OSTLER_OK);
    return leased;
}

__attribute__((noinline)) static ostler_buffer lease_verse(ostler_buffers *buffers)
{
    ostler_buffer leased;
    CHECK_STATUS(ostler_buffers_get(buffers, 10 * WORD_BYTES, &leased, NULL), OSTLER_OK);
    return leased;
}

/* What is told of a function: how many blocks it has, and of how many bytes. */
static uint64_t blocks_of(const char *function, uint64_t *bytes)
{
    look(OSTLER_TRACING_BY_STACK);
    uint64_t blocks = 0;
    *bytes = 0;
    for (int i = 0; i < seen.groups; i++) {
        if (!strstr(seen.stack[i], function) || seen.kind[i] != OSTLER_TRACED_BLOCK)
            continue;
        blocks += seen.blocks[i];
        *bytes += seen.bytes[i];
    }
    return blocks;
}

TEST(buffers_are_told_until_nobody_views_them)
{
    ostler_buffers *buffers;
    ostler_buffers_config config;
    ostler_buffer words[5], slice;
    uint64_t bytes;
    CHECK_STATUS(ostler_buffers_config_init(&config, sizeof config), OSTLER_OK);
    snprintf(config.name, sizeof config.name, "words");
    CHECK_STATUS(ostler_buffers_create(&config, &buffers), OSTLER_OK);
    ostler_buffer before = lease_word(buffers);
    start(1);
    for (int i = 0; i < 5; i++)
        words[i] = lease_word(buffers);
    ostler_buffer verse = lease_verse(buffers);
    CHECK_EQ(blocks_of("lease_word", &bytes), 5);
    CHECK_EQ(bytes, 5 * WORD_BYTES);
    int group = group_of("lease_verse");
    CHECK(group >= 0 && group < group_of("lease_word"));
    CHECK_STR_EQ(seen.holder[group], "buffers");
    CHECK_STR_EQ(seen.name[group], "words");

    /* A slice keeps all of it, and a second reference the view. */
    CHECK_STATUS(ostler_buffers_slice(buffers, words[0], 0, 1, &slice), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, words[0]), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_retain(buffers, words[1]), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, words[1]), OSTLER_OK);
    CHECK_EQ(blocks_of("lease_word", &bytes), 5);
    CHECK_STATUS(ostler_buffers_release(buffers, slice), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, words[1]), OSTLER_OK);
    CHECK_EQ(blocks_of("lease_word", &bytes), 3);
    /* The next use of the same memory is another block. */
    ostler_buffer again = lease_verse(buffers);
    CHECK_EQ(blocks_of("lease_verse", &bytes), 2);
    CHECK_EQ(blocks_of("lease_word", &bytes), 3);

    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, again), OSTLER_OK);
    again = lease_verse(buffers);
    CHECK_EQ(blocks_of("lease_verse", &bytes), 1);
    for (int i = 2; i < 5; i++)
        CHECK_STATUS(ostler_buffers_release(buffers, words[i]), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, verse), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, again), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, before), OSTLER_OK);
    CHECK_EQ(blocks_of("lease_", &bytes), 0);
    CHECK_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
    CHECK_EQ(tracing_stats().followed, 0);
}

TEST(sample_of_buffers_is_right_on_average)
{
    enum { BUFFERS = 20000 };
    static ostler_buffer leased[BUFFERS];
    ostler_buffers *buffers;
    uint64_t bytes;
    CHECK_STATUS(ostler_buffers_create(NULL, &buffers), OSTLER_OK);
    start(64 << 10);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BUFFERS; i++)
            leased[i] = lease_word(buffers);
        (void)blocks_of("lease_word", &bytes);
        /* Some 900 are followed: four standard deviations are 14 %. */
        CHECK(bytes > (uint64_t)BUFFERS * WORD_BYTES * 86 / 100 && bytes < (uint64_t)BUFFERS * WORD_BYTES * 114 / 100);
        CHECK(tracing_stats().followed < 2000);
        for (int i = 0; i < BUFFERS; i++)
            CHECK_STATUS(ostler_buffers_release(buffers, leased[i]), OSTLER_OK);
        CHECK_EQ(blocks_of("lease_word", &bytes), 0);
    }
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
}

__attribute__((noinline)) static ostler_lease saddle(ostler_pool *pool) { return acquire_now(pool); }

static ostler_pool *pool_holding(uint64_t resource_bytes)
{
    static int horse;
    ostler_pool_config config;
    ostler_pool *pool;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    CHECK_STATUS(ostler_pool_config_init(&config, sizeof config), OSTLER_OK);
    config.max_size = 4;
    config.resource_bytes = resource_bytes;
    snprintf(config.name, sizeof config.name, "horses");
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, &horse, &pool), OSTLER_OK);
    return pool;
}

TEST(leases_are_told_with_what_their_resource_holds)
{
    uint64_t bytes;
    ostler_pool *pool = pool_holding(HORSE_BYTES), *light = pool_holding(0);
    ostler_lease before = saddle(pool);
    start(1);
    ostler_lease first = saddle(pool), second = saddle(pool), of_light = saddle(light);
    CHECK_EQ(blocks_of("saddle", &bytes), 2);
    CHECK_EQ(bytes, 2 * HORSE_BYTES);
    int group = group_of("saddle");
    CHECK_STR_EQ(seen.holder[group], "pool");
    CHECK_STR_EQ(seen.name[group], "horses");
    CHECK_STATUS(ostler_pool_release(pool, first), OSTLER_OK);
    CHECK_EQ(blocks_of("saddle", &bytes), 1);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
    first = saddle(pool);
    CHECK_EQ(blocks_of("saddle", &bytes), 1);
    CHECK_STATUS(ostler_pool_release(pool, second), OSTLER_OK);
    CHECK_EQ(blocks_of("saddle", &bytes), 0);
    CHECK_STATUS(ostler_pool_release(pool, first), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, before), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(light, of_light), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(light), OSTLER_OK);
}

static ostler_status load_number(void *user_data, void **value, uint64_t *size_bytes)
{
    *value = user_data;
    *size_bytes = 12345;
    return OSTLER_OK;
}

__attribute__((noinline)) static void pin_it(ostler_lazy *lazy)
{
    void *value;
    CHECK_STATUS(ostler_lazy_pin(lazy, OSTLER_FOREVER, NULL, &value), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_unpin(lazy), OSTLER_OK);
}

__attribute__((noinline)) static ostler_file *open_it(void)
{
    ostler_file *file;
    CHECK_STATUS(ostler_file_open("/proc/self/exe", NULL, &file), OSTLER_OK);
    return file;
}

__attribute__((noinline)) static ostler_segment *share_it(void)
{
    ostler_segment_config config;
    ostler_segment *segment;
    CHECK_STATUS(ostler_segment_config_init(&config, sizeof config), OSTLER_OK);
    config.bytes = HORSE_BYTES;
    CHECK_STATUS(ostler_segment_create(&config, &segment), OSTLER_OK);
    return segment;
}

TEST(what_is_loaded_or_mapped_is_told_as_a_mapping)
{
    int number = 7;
    ostler_lazy *lazy;
    ostler_lazy_callbacks callbacks = {.struct_size = sizeof callbacks, .load = load_number};
    CHECK_STATUS(ostler_lazy_create(NULL, &callbacks, &number, &lazy), OSTLER_OK);
    start(MAPPINGS_ALONE);
    ostler_file *file = open_it();
    ostler_segment *segment = share_it();
    ostler_orchestrator *orchestrator = make_orchestrator();
    ostler_model_config config = plain_model_config();
    config.memory_bytes = HORSE_BYTES;
    ostler_model *model = make_model(orchestrator, config, plain_model_callbacks(), NULL);
    CHECK_STATUS(ostler_model_wait_ready(model, OSTLER_FOREVER, NULL), OSTLER_OK);
    look(OSTLER_TRACING_BY_STACK);
    CHECK_EQ(group_of("pin_it"), -1);
    pin_it(lazy);
    look(OSTLER_TRACING_BY_STACK);
    int group = group_of("pin_it");
    CHECK(group >= 0);
    CHECK_EQ(seen.bytes[group], 12345);
    CHECK_STR_EQ(seen.holder[group], "lazy");
    CHECK_EQ(seen.kind[group], OSTLER_TRACED_MAPPING);
    group = group_of("open_it");
    CHECK(group >= 0);
    CHECK_STR_EQ(seen.holder[group], "file");
    group = group_of("share_it");
    CHECK(group >= 0 && seen.bytes[group] >= HORSE_BYTES);
    CHECK_STR_EQ(seen.holder[group], "shared");
    int workers = 0;
    for (int i = 0; i < seen.groups; i++)
        workers += strcmp(seen.holder[i], "worker") == 0 && seen.bytes[i] == HORSE_BYTES;
    CHECK_EQ(workers, 1);

    CHECK_STATUS(ostler_lazy_drop(lazy, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_file_destroy(file), OSTLER_OK);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
    CHECK_STATUS(ostler_orchestrator_destroy(orchestrator), OSTLER_OK);
    look(OSTLER_TRACING_BY_STACK);
    CHECK_EQ(seen.groups, 0);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_destroy(lazy), OSTLER_OK);
}

static void note_words(void *user_data, uint32_t level, const char *message)
{
    (void)level;
    if (strstr(message, "still there at shutdown"))
        snprintf((char *)user_data + strlen(user_data), 8192 - strlen(user_data), "%s\n", message);
}

TEST(leases_that_are_left_at_shutdown_are_told_to_the_log)
{
    static char words[8192];
    ostler_buffers *buffers;
    ostler_pool *pool = pool_holding(HORSE_BYTES);
    CHECK_STATUS(ostler_buffers_create(NULL, &buffers), OSTLER_OK);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_WARN, note_words, words), OSTLER_OK);
    start(1);
    ostler_buffer word = lease_word(buffers);
    ostler_lease lease = saddle(pool);
    CHECK_STATUS(ostler_shutdown(0, NULL), OSTLER_E_TIMEOUT);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_WARN, NULL, NULL), OSTLER_OK);
    CHECK_STR_CONTAINS(words, "3000 bytes in 1 block of buffers");
    CHECK_STR_CONTAINS(words, "lease_word");
    CHECK_STR_CONTAINS(words, "1048576 bytes in 1 block of pool \"horses\"");
    CHECK_STR_CONTAINS(words, "saddle");
    CHECK_STATUS(ostler_buffers_release(buffers, word), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
}

CHECK_MAIN()
