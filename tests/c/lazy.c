/* Lazy values: one thread loads while others wait, a pinned value is never dropped, failures back off. With ANOTHER_LAYOUT
 * the inline is one of another header version, which has to leave the struct alone and take the exported call. */
#include "fixtures.h"
#include <stdatomic.h>
#ifdef ANOTHER_LAYOUT
#undef OSTLER_READER_LAYOUT
#define OSTLER_READER_LAYOUT 99
#endif
#include <ostler_inline.h>

/* A value knows whether it was dropped. */
struct value {
    atomic_int alive;
    int number;
};

struct shelf {
    ostler_lazy *lazy;
    struct value values[4096];
    atomic_int loads, drops, threads_inside;
    atomic_int fails;
    ostler_status inside;
};

static ostler_status load(void *user_data, void **value, uint64_t *size_bytes)
{
    struct shelf *shelf = user_data;
    EXPECT_EQ(atomic_fetch_add(&shelf->threads_inside, 1), 0);
    EXPECT_EQ(*size_bytes, 0);
    if (atomic_load(&shelf->fails) > 0) {
        atomic_fetch_sub(&shelf->fails, 1);
        atomic_fetch_sub(&shelf->threads_inside, 1);
        ostler_callback_set_message("the disk is away");
        return OSTLER_E_CALLBACK_FAILED;
    }
    void *own;
    shelf->inside = ostler_lazy_pin(shelf->lazy, OSTLER_FOREVER, NULL, &own);
    int number = atomic_fetch_add(&shelf->loads, 1);
    struct value *loaded = &shelf->values[number % 4096];
    loaded->number = number;
    atomic_store(&loaded->alive, 1);
    *value = loaded;
    *size_bytes = 1000;
    atomic_fetch_sub(&shelf->threads_inside, 1);
    return OSTLER_OK;
}

static void drop(void *user_data, void *value)
{
    struct shelf *shelf = user_data;
    EXPECT_EQ(atomic_exchange(&((struct value *)value)->alive, 0), 1);
    atomic_fetch_add(&shelf->drops, 1);
}

static struct shelf *make_shelf(void)
{
    static struct shelf shelf;
    ostler_lazy_callbacks callbacks;
    memset(&shelf, 0, sizeof shelf);
    CHECK_STATUS(ostler_lazy_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.load = load;
    callbacks.drop = drop;
    CHECK_STATUS(ostler_lazy_create(NULL, &callbacks, &shelf, &shelf.lazy), OSTLER_OK);
    return &shelf;
}

static ostler_lazy_stats stats_of(ostler_lazy *lazy)
{
    ostler_lazy_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_lazy_get_stats(lazy, &stats), OSTLER_OK);
    return stats;
}

TEST(it_is_loaded_at_the_first_pin_and_dropped_when_nobody_holds_one)
{
    struct shelf *shelf = make_shelf();
    ostler_reader *reader;
    void *value, *again;
    uint64_t freed;
    CHECK_EQ(shelf->loads, 0);
    CHECK_STATUS(ostler_lazy_drop(shelf->lazy, &freed), OSTLER_E_BUSY);
    CHECK_STATUS(ostler_reader_open(shelf->lazy, &reader), OSTLER_OK);
    CHECK_STATUS(ostler_reader_pin_inline(reader, 0, NULL, &value), OSTLER_OK);
    CHECK(value == &shelf->values[0]);
    CHECK_STATUS(shelf->inside, OSTLER_E_WOULD_DEADLOCK);
    CHECK_EQ(stats_of(shelf->lazy).value_bytes, 1000);
    CHECK_STATUS(ostler_lazy_pin(shelf->lazy, 0, NULL, &again), OSTLER_OK);
    CHECK(value == again);
    CHECK_STATUS(ostler_lazy_drop(shelf->lazy, &freed), OSTLER_E_BUSY);
    CHECK_EQ(freed, 0);
    CHECK_STATUS(ostler_lazy_unpin(shelf->lazy), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_drop(shelf->lazy, &freed), OSTLER_E_BUSY);
    CHECK_STATUS(ostler_reader_close(reader), OSTLER_E_BUSY);
    CHECK_STATUS(ostler_reader_unpin_inline(reader), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_drop(shelf->lazy, &freed), OSTLER_OK);
    CHECK_EQ(freed, 1000);
    CHECK_EQ(shelf->drops, 1);
    CHECK_STATUS(ostler_reader_pin_inline(reader, 0, NULL, &value), OSTLER_OK);
    CHECK(value == &shelf->values[1]);
    CHECK_EQ(stats_of(shelf->lazy).version, 2);
    CHECK_STATUS(ostler_reader_unpin_inline(reader), OSTLER_OK);
    CHECK_STATUS(ostler_reader_close(reader), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_destroy(shelf->lazy), OSTLER_OK);
    CHECK_EQ(shelf->drops, 2);
}

TEST(an_invalidated_value_stays_until_its_last_pin)
{
    struct shelf *shelf = make_shelf();
    ostler_reader *readers[2];
    void *old, *old_too, *fresh;
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(ostler_reader_open(shelf->lazy, &readers[i]), OSTLER_OK);
    CHECK_STATUS(ostler_reader_pin_inline(readers[0], 0, NULL, &old), OSTLER_OK);
    CHECK_STATUS(ostler_reader_pin(readers[1], 0, NULL, &old_too), OSTLER_OK);
    CHECK(old == old_too);
    CHECK_STATUS(ostler_lazy_invalidate(shelf->lazy), OSTLER_OK);
    CHECK_EQ(stats_of(shelf->lazy).leaving, 1);
    /* A second pin of the same reader is of the new value. */
    CHECK_STATUS(ostler_reader_pin_inline(readers[0], 0, NULL, &fresh), OSTLER_OK);
    CHECK(fresh != old);
    CHECK_STATUS(ostler_reader_unpin_inline(readers[0]), OSTLER_OK);
    CHECK_STATUS(ostler_reader_unpin_inline(readers[1]), OSTLER_OK);
    CHECK_EQ(((struct value *)old)->alive, 1);
    CHECK_STATUS(ostler_lazy_invalidate(shelf->lazy), OSTLER_OK);
    CHECK_EQ(stats_of(shelf->lazy).leaving, 2);
    CHECK_STATUS(ostler_reader_unpin_inline(readers[0]), OSTLER_OK);
    CHECK_EQ(stats_of(shelf->lazy).leaving, 0);
    CHECK_EQ(shelf->drops, 2);
    CHECK_STATUS(ostler_lazy_destroy(shelf->lazy), OSTLER_OK);
    CHECK_STATUS(ostler_reader_pin_inline(readers[0], 0, NULL, &fresh), OSTLER_E_CLOSED);
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(ostler_reader_close(readers[i]), OSTLER_OK);
    CHECK_STATUS(ostler_reader_pin(readers[0], 0, NULL, &fresh), OSTLER_E_INVALID_HANDLE);
}

TEST(a_failed_load_is_told_and_tried_again_after_a_pause)
{
    struct shelf *shelf = make_shelf();
    void *value = shelf;
    CHECK_STATUS(ostler_testkit_clock_freeze(), OSTLER_OK);
    atomic_store(&shelf->fails, 2);
    CHECK_STATUS(ostler_lazy_pin(shelf->lazy, 0, NULL, &value), OSTLER_E_LOAD_FAILED);
    CHECK(value == NULL);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "the disk is away");
    CHECK_STATUS(ostler_lazy_pin(shelf->lazy, OSTLER_FOREVER, NULL, &value), OSTLER_E_LOAD_FAILED);
    CHECK_EQ(stats_of(shelf->lazy).load_failures, 1);
    CHECK_STATUS(ostler_testkit_clock_advance(100000000), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_pin(shelf->lazy, 0, NULL, &value), OSTLER_E_LOAD_FAILED);
    CHECK_STATUS(ostler_testkit_clock_advance(100000000), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_pin(shelf->lazy, 0, NULL, &value), OSTLER_E_LOAD_FAILED);
    CHECK_EQ(stats_of(shelf->lazy).load_failures, 2);
    CHECK_STATUS(ostler_testkit_clock_advance(100000000), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_pin(shelf->lazy, 0, NULL, &value), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_unpin(shelf->lazy), OSTLER_OK);
    CHECK_STATUS(ostler_testkit_clock_thaw(), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_destroy(shelf->lazy), OSTLER_OK);
}

static ostler_status load_nothing(void *user_data, void **value, uint64_t *size_bytes)
{
    (void)user_data, (void)value, (void)size_bytes;
    return OSTLER_OK;
}

TEST(misuse_is_told)
{
    struct shelf *shelf = make_shelf();
    ostler_lazy_callbacks callbacks = {.struct_size = sizeof callbacks};
    ostler_lazy *lazy;
    ostler_reader *reader, stray = {0};
    void *value;
    CHECK_STATUS(ostler_lazy_create(NULL, &callbacks, NULL, &lazy), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "callbacks->load is NULL");
    callbacks.load = load_nothing;
    CHECK_STATUS(ostler_lazy_create(NULL, &callbacks, NULL, &lazy), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_pin(lazy, 0, NULL, &value), OSTLER_E_LOAD_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "load callback left no value");
    CHECK_STATUS(ostler_lazy_destroy(lazy), OSTLER_OK);

    CHECK_STATUS(ostler_lazy_unpin(shelf->lazy), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_reader_open(shelf->lazy, &reader), OSTLER_OK);
    CHECK_STATUS(ostler_reader_unpin_inline(reader), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_reader_pin_inline(reader, 0, NULL, NULL), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_reader_pin(&stray, 0, NULL, &value), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_reader_unpin(NULL), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_reader_settle((ostler_reader *)((char *)reader + 8)), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_reader_close(reader), OSTLER_OK);
    CHECK_STATUS(ostler_reader_close(reader), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_reader_pin_inline(reader, 0, NULL, &value), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_lazy_destroy(shelf->lazy), OSTLER_OK);
}

TEST(a_file_is_read_whole_and_anew_after_an_invalidation)
{
    char path[] = "/tmp/ostler_lazy_XXXXXX";
    static const ostler_page_source base_pages = {.struct_size = sizeof base_pages, .page_policy = OSTLER_PAGES_BASE};
    ostler_lazy_config config;
    const ostler_lazy_content *content;
    ostler_lazy *lazy;
    void *value;
    int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK_EQ(write(file, "hello", 5), 5);
    CHECK_STATUS(ostler_lazy_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    CHECK_STATUS(ostler_lazy_open_file(&config, path, &lazy), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_pin(lazy, 0, NULL, &value), OSTLER_OK);
    content = value;
    CHECK_EQ(content->size_bytes, 5);
    CHECK(memcmp(content->data, "hello", 5) == 0);
    /* Nobody who shortens it takes it from under us. */
    CHECK(ftruncate(file, 0) == 0);
    CHECK(memcmp(content->data, "hello", 5) == 0);
    CHECK_EQ(stats_of(lazy).value_bytes, 4096);
    CHECK_STATUS(ostler_lazy_invalidate(lazy), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_unpin(lazy), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_pin(lazy, 0, NULL, &value), OSTLER_OK);
    CHECK_EQ(((const ostler_lazy_content *)value)->size_bytes, 0);
    CHECK_STATUS(ostler_lazy_unpin(lazy), OSTLER_OK);
    unlink(path);
    close(file);
    CHECK_STATUS(ostler_lazy_invalidate(lazy), OSTLER_OK);
    CHECK_STATUS(ostler_lazy_pin(lazy, 0, NULL, &value), OSTLER_E_LOAD_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "No such file");
    CHECK_STATUS(ostler_lazy_destroy(lazy), OSTLER_OK);
}

/* Threads pin and look, while others drop and invalidate: nobody sees a dropped value. */
static atomic_int over;

static void *read_on(void *argument)
{
    struct shelf *shelf = argument;
    ostler_reader *reader;
    if (!EXPECT_STATUS(ostler_reader_open(shelf->lazy, &reader), OSTLER_OK))
        return NULL;
    for (int round = 0; round < 100000; round++) {
        void *value;
        if (!EXPECT_STATUS(ostler_reader_pin_inline(reader, OSTLER_FOREVER, NULL, &value), OSTLER_OK))
            break;
        EXPECT_EQ(atomic_load(&((struct value *)value)->alive), 1);
        EXPECT_EQ(atomic_load(&((struct value *)value)->alive), 1);
        EXPECT_STATUS(ostler_reader_unpin_inline(reader), OSTLER_OK);
    }
    EXPECT_STATUS(ostler_reader_close(reader), OSTLER_OK);
    return NULL;
}

static void *take_away(void *argument)
{
    struct shelf *shelf = argument;
    for (int round = 0; !atomic_load(&over) && atomic_load(&shelf->loads) < 4000; round++) {
        if (round % 2)
            ostler_lazy_drop(shelf->lazy, NULL);
        else
            EXPECT_STATUS(ostler_lazy_invalidate(shelf->lazy), OSTLER_OK);
        sched_yield();
    }
    return NULL;
}

TEST(nobody_sees_a_dropped_value)
{
    struct shelf *shelf = make_shelf();
    pthread_t readers[3], taker;
    atomic_store(&over, 0);
    pthread_create(&taker, NULL, take_away, shelf);
    for (int i = 0; i < 3; i++)
        pthread_create(&readers[i], NULL, read_on, shelf);
    for (int i = 0; i < 3; i++)
        pthread_join(readers[i], NULL);
    atomic_store(&over, 1);
    pthread_join(taker, NULL);
    CHECK_EQ(stats_of(shelf->lazy).leaving, 0);
    CHECK_STATUS(ostler_lazy_destroy(shelf->lazy), OSTLER_OK);
    CHECK_EQ(shelf->loads, shelf->drops);
}

CHECK_MAIN()
