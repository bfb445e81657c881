/* Buffers: views of one memory without a copy, misuse that harms nobody, and a bound that holds. */
#include "fixtures.h"
#include <stdatomic.h>
#include <sys/uio.h>

static const ostler_page_source base_pages = {.struct_size = sizeof base_pages, .page_policy = OSTLER_PAGES_BASE};

static ostler_buffers *make_buffers(uint64_t chunk_bytes, uint64_t limit_bytes)
{
    ostler_buffers_config config;
    ostler_buffers *buffers;
    CHECK_STATUS(ostler_buffers_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.chunk_bytes = chunk_bytes;
    config.limit_bytes = limit_bytes;
    CHECK_STATUS(ostler_buffers_create(&config, &buffers), OSTLER_OK);
    return buffers;
}

static ostler_buffers_stats stats_of(ostler_buffers *buffers)
{
    ostler_buffers_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_buffers_get_stats(buffers, &stats), OSTLER_OK);
    return stats;
}

static ostler_buffer get(ostler_buffers *buffers, uint64_t size_bytes, void **data)
{
    ostler_buffer buffer;
    CHECK_STATUS(ostler_buffers_get(buffers, size_bytes, &buffer, data), OSTLER_OK);
    CHECK(buffer.value != 0);
    return buffer;
}

TEST(slices_show_the_memory_that_they_are_a_part_of)
{
    ostler_buffers *buffers = make_buffers(0, 0);
    void *data, *part;
    uint64_t size;
    ostler_buffer message = get(buffers, 1500, &data), head, body;
    memset(data, 'x', 1500);
    CHECK_STATUS(ostler_buffers_slice(buffers, message, 0, 20, &head), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_slice(buffers, message, 20, 1480, &body), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_get_data(buffers, body, &part, &size), OSTLER_OK);
    CHECK(part == (char *)data + 20);
    CHECK_EQ(size, 1480);
    /* The memory is in use as long as any part of it is viewed. */
    CHECK_STATUS(ostler_buffers_release(buffers, message), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, head), OSTLER_OK);
    CHECK_EQ(stats_of(buffers).in_use, 1);
    CHECK_STATUS(ostler_buffers_slice(buffers, body, 1480, 0, &head), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, head), OSTLER_OK);
    CHECK_EQ(((char *)part)[1479], 'x');
    CHECK_STATUS(ostler_buffers_release(buffers, body), OSTLER_OK);
    CHECK_EQ(stats_of(buffers).in_use, 0);
    CHECK_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
}

TEST(every_misuse_is_told_and_harms_nobody)
{
    ostler_buffers *buffers = make_buffers(0, 0), *others = make_buffers(0, 0);
    void *data;
    uint64_t size;
    ostler_buffer good = get(buffers, 100, &data), other = get(others, 100, &data), slice;
    ostler_buffer stale = get(buffers, 100, &data);
    CHECK_STATUS(ostler_buffers_release(buffers, stale), OSTLER_OK);
    const ostler_buffer bad[] = {stale, other, {0}, {UINT64_MAX}, {good.value ^ 1}, {good.value + ((uint64_t)1 << 32)}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ostler_iovec piece;
        CHECK_STATUS(ostler_buffers_release(buffers, bad[i]), OSTLER_E_STALE_BUFFER);
        CHECK_STATUS(ostler_buffers_retain(buffers, bad[i]), OSTLER_E_STALE_BUFFER);
        CHECK_STATUS(ostler_buffers_truncate(buffers, bad[i], 0), OSTLER_E_STALE_BUFFER);
        CHECK_STATUS(ostler_buffers_slice(buffers, bad[i], 0, 0, &slice), OSTLER_E_STALE_BUFFER);
        CHECK_EQ(slice.value, 0);
        CHECK_STATUS(ostler_buffers_get_data(buffers, bad[i], &data, &size), OSTLER_E_STALE_BUFFER);
        CHECK(data == NULL && size == 0);
        CHECK_STATUS(ostler_buffers_export(buffers, &bad[i], 1, &piece, &size), OSTLER_E_STALE_BUFFER);
        CHECK(piece.base == NULL && size == 0);
    }
    CHECK_STATUS(ostler_buffers_slice(buffers, good, 101, 0, &slice), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "pass the end of a buffer of 100 bytes");
    CHECK_STATUS(ostler_buffers_slice(buffers, good, 50, 51, &slice), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_buffers_slice(buffers, good, 1, UINT64_MAX, &slice), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_buffers_truncate(buffers, good, 101), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_buffers_get(buffers, ((uint64_t)1 << 30) + 1, &slice, &data), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "size_bytes is 1073741825, but must be at most 1073741824");
    CHECK_STATUS(ostler_buffers_release(buffers, good), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, good), OSTLER_E_STALE_BUFFER);
    CHECK_STATUS(ostler_buffers_release(others, other), OSTLER_OK);
    CHECK_EQ(stats_of(buffers).in_use + stats_of(others).in_use, 0);
    CHECK_STATUS(ostler_buffers_destroy(others), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, good), OSTLER_E_INVALID_HANDLE);
}

TEST(a_bad_field_is_named)
{
    ostler_buffers_config config = {.struct_size = sizeof config, .chunk_bytes = 65535};
    ostler_buffers *buffers;
    CHECK_STATUS(ostler_buffers_create(&config, &buffers), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "chunk_bytes is 65535, but must be 0, or 65536");
    config = (ostler_buffers_config){.struct_size = sizeof config, .limit_bytes = 1};
    CHECK_STATUS(ostler_buffers_create(&config, &buffers), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "limit_bytes is 1, but");
}

TEST(views_go_to_the_kernel_as_an_iovec)
{
    ostler_buffers *buffers = make_buffers(0, 0);
    void *data;
    ostler_buffer hello = get(buffers, 64, &data), world, pair[2];
    struct iovec pieces[2];
    uint64_t total;
    int ends[2];
    char read_back[16] = "";
    memcpy(data, "hello, world", 12);
    CHECK_STATUS(ostler_buffers_slice(buffers, hello, 7, 5, &world), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_truncate(buffers, hello, 7), OSTLER_OK);
    pair[0] = world;
    pair[1] = hello;
    CHECK_STATUS(ostler_buffers_export(buffers, pair, 2, (ostler_iovec *)pieces, &total), OSTLER_OK);
    CHECK_EQ(total, 12);
    CHECK(pipe(ends) == 0);
    CHECK_EQ(writev(ends[1], pieces, 2), 12);
    CHECK_EQ(read(ends[0], read_back, sizeof read_back), 12);
    CHECK_STR_EQ(read_back, "worldhello, ");
    close(ends[0]);
    close(ends[1]);
    uint32_t released;
    ostler_buffer with_a_bad_one[] = {world, {0}, hello};
    CHECK_STATUS(ostler_buffers_release_n(buffers, with_a_bad_one, 3, &released), OSTLER_E_STALE_BUFFER);
    CHECK_EQ(released, 2);
    CHECK_EQ(stats_of(buffers).in_use, 0);
    CHECK_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
}

struct wrapping {
    ostler_buffers *buffers;
    ostler_status destroyed;
    int given_back;
    void *data;
};

static void give_back(void *user_data, void *data)
{
    struct wrapping *wrapping = user_data;
    wrapping->given_back++;
    wrapping->data = data;
    wrapping->destroyed = ostler_buffers_destroy(wrapping->buffers);
    ostler_buffer buffer;
    /* The set may be used from inside. */
    if (ostler_buffers_get(wrapping->buffers, 10, &buffer, NULL) == OSTLER_OK)
        EXPECT_STATUS(ostler_buffers_release(wrapping->buffers, buffer), OSTLER_OK);
}

TEST(wrapped_memory_comes_back_with_its_last_view)
{
    char memory[100];
    struct wrapping wrapping = {.buffers = make_buffers(0, 0)};
    ostler_buffer whole, part;
    CHECK_STATUS(ostler_buffers_wrap(wrapping.buffers, memory, sizeof memory, give_back, &wrapping, &whole), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_slice(wrapping.buffers, whole, 10, 10, &part), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(wrapping.buffers, whole), OSTLER_OK);
    CHECK_EQ(wrapping.given_back, 0);
    CHECK_EQ(stats_of(wrapping.buffers).wrapped, 1);
    CHECK_STATUS(ostler_buffers_release(wrapping.buffers, part), OSTLER_OK);
    CHECK_EQ(wrapping.given_back, 1);
    CHECK(wrapping.data == memory);
    CHECK_STATUS(wrapping.destroyed, OSTLER_E_WOULD_DEADLOCK);
    CHECK_EQ(stats_of(wrapping.buffers).wrapped, 0);
    CHECK_STATUS(ostler_buffers_wrap(wrapping.buffers, NULL, 1, NULL, NULL, &whole), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_buffers_wrap(wrapping.buffers, memory, (uint64_t)1 << 48, NULL, NULL, &whole),
                 OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_buffers_wrap(wrapping.buffers, memory, 1, NULL, NULL, &whole), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(wrapping.buffers, whole), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_destroy(wrapping.buffers), OSTLER_OK);
}

TEST(a_destroyed_set_lives_until_its_last_view)
{
    ostler_buffers *buffers = make_buffers(0, 0);
    void *data;
    ostler_buffer buffer = get(buffers, 5000, &data), slice, none;
    uint64_t still_out;
    CHECK_STATUS(ostler_buffers_close(buffers, 0, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 1);
    CHECK_STATUS(ostler_buffers_get(buffers, 1, &none, NULL), OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
    memset(data, 1, 5000);
    CHECK_STATUS(ostler_buffers_get(buffers, 1, &none, NULL), OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_buffers_slice(buffers, buffer, 4999, 1, &slice), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, buffer), OSTLER_OK);
    CHECK_EQ(((char *)data)[4999], 1);
    CHECK_STATUS(ostler_buffers_release(buffers, slice), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_release(buffers, slice), OSTLER_E_INVALID_HANDLE);
}

TEST(the_bound_counts_for_all_sizes_together)
{
    enum { LIMIT = 1 << 20, MOST = 4096 };
    static ostler_buffer held[MOST];
    ostler_buffers *buffers = make_buffers(LIMIT, LIMIT);
    const uint64_t sizes[] = {4096, 256, 65536, LIMIT, 40960};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint32_t count = 0, released;
        ostler_status status;
        while ((status = ostler_buffers_get(buffers, sizes[i], &held[count], NULL)) == OSTLER_OK)
            count++;
        CHECK_STATUS(status, OSTLER_E_LIMIT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "would pass limit_bytes 1048576");
        CHECK(count * sizes[i] >= LIMIT * 9 / 10);
        CHECK_EQ(stats_of(buffers).mapped_bytes, LIMIT);
        CHECK_STATUS(ostler_buffers_release_n(buffers, held, count, &released), OSTLER_OK);
        CHECK_EQ(released, count);
    }
    uint64_t freed;
    CHECK_STATUS(ostler_buffers_trim(buffers, 0, &freed), OSTLER_OK);
    CHECK_EQ(freed, LIMIT);
    CHECK_EQ(stats_of(buffers).mapped_bytes, 0);
    CHECK_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
}

TEST(statistics_and_receipts_tell_what_is_there)
{
    ostler_buffers *buffers = make_buffers(0, 0);
    ostler_buffers_class_stats of_class = {.struct_size = sizeof of_class};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    uint64_t before = 0, in_use = 0;
    ostler_buffer buffer = get(buffers, 300, NULL);
    for (uint64_t i = 0; i < OSTLER_BUFFERS_CLASSES; i++) {
        CHECK_STATUS(ostler_buffers_get_class_stats(buffers, i, &of_class), OSTLER_OK);
        CHECK(of_class.size_bytes > before);
        before = of_class.size_bytes;
        in_use += of_class.in_use;
        if (of_class.in_use == 1) {
            CHECK_EQ(of_class.size_bytes, 320);
            CHECK_EQ(of_class.waste_bytes, 20);
            CHECK_EQ(of_class.gets, 1);
        }
    }
    CHECK_EQ(in_use, 1);
    CHECK_STATUS(ostler_buffers_get_class_stats(buffers, OSTLER_BUFFERS_CLASSES, &of_class), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_buffers_get_receipt(buffers, 0, &receipt), OSTLER_OK);
    CHECK_EQ(receipt.mapped_bytes, 2 << 20);
    CHECK_STATUS(ostler_buffers_get_receipt(buffers, 1, &receipt), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_buffers_release(buffers, buffer), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
}

/* Each thread writes its mark into what it gets, and hands it to the next through a mailbox. */
struct relay {
    ostler_buffers *buffers;
    _Atomic uint64_t mailbox;
};

static void *run_relay(void *argument)
{
    struct relay *relay = argument;
    for (int round = 0; round < 20000; round++) {
        ostler_buffer mine, theirs;
        void *data;
        uint64_t size;
        if (!EXPECT_STATUS(ostler_buffers_get(relay->buffers, 8 + round % 2000, &mine, &data), OSTLER_OK))
            return NULL;
        memcpy(data, &mine.value, sizeof mine.value);
        EXPECT_STATUS(ostler_buffers_retain(relay->buffers, mine), OSTLER_OK);
        EXPECT_STATUS(ostler_buffers_release(relay->buffers, mine), OSTLER_OK);
        theirs.value = atomic_exchange(&relay->mailbox, mine.value);
        if (theirs.value == 0)
            continue;
        EXPECT_STATUS(ostler_buffers_get_data(relay->buffers, theirs, &data, &size), OSTLER_OK);
        EXPECT(memcmp(data, &theirs.value, sizeof theirs.value) == 0);
        EXPECT_STATUS(ostler_buffers_release(relay->buffers, theirs), OSTLER_OK);
        EXPECT_STATUS(ostler_buffers_release(relay->buffers, theirs), OSTLER_E_STALE_BUFFER);
    }
    return NULL;
}

TEST(buffers_pass_from_thread_to_thread)
{
    struct relay relay = {.buffers = make_buffers(0, 0)};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run_relay, &relay);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_STATUS(ostler_buffers_release(relay.buffers, (ostler_buffer){atomic_load(&relay.mailbox)}), OSTLER_OK);
    CHECK_EQ(stats_of(relay.buffers).in_use, 0);
    CHECK_EQ(stats_of(relay.buffers).waste_bytes, 0);
    CHECK_EQ(stats_of(relay.buffers).gets, 80000);
    CHECK_STATUS(ostler_buffers_close(relay.buffers, 0, NULL, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_buffers_destroy(relay.buffers), OSTLER_OK);
}

CHECK_MAIN()
