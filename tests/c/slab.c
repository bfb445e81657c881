/* Slab: slots that are side by side, never more than the bound, and what is told of a put that cannot be. */
#include "check.h"
#include <ostler.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Base pages, which every machine has. */
static const ostler_page_source base_pages = {.struct_size = sizeof base_pages, .page_policy = OSTLER_PAGES_BASE};

static ostler_slab_config slots_of(uint64_t bytes, uint64_t max)
{
    ostler_slab_config config;
    CHECK_STATUS(ostler_slab_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.slot_bytes = bytes;
    config.max_slots = max;
    config.chunk_bytes = 64 << 10;
    return config;
}

static ostler_slab *make_slab(ostler_slab_config config)
{
    ostler_slab *slab;
    CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, &slab), OSTLER_OK);
    return slab;
}

static ostler_slab_stats stats_of(ostler_slab *slab)
{
    ostler_slab_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_slab_get_stats(slab, &stats), OSTLER_OK);
    return stats;
}

TEST(slots_are_side_by_side_and_live_ones_are_listed_in_order)
{
    ostler_slab *slab = make_slab(slots_of(48, 3000));
    static void *slots[3000];
    static ostler_slab_live live[3000];
    void *more = slots;
    uint64_t count;
    for (int i = 0; i < 3000; i++) {
        CHECK_STATUS(ostler_slab_get(slab, &slots[i]), OSTLER_OK);
        memset(slots[i], i, 48);
    }
    CHECK_STATUS(ostler_slab_get(slab, &more), OSTLER_E_EXHAUSTED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "max_slots is 3000");
    CHECK_EQ(more, NULL);
    CHECK_STATUS(ostler_slab_list_live(slab, live, 3000, &count), OSTLER_OK);
    CHECK_EQ(count, 3000);
    for (int i = 1; i < 3000; i++)
        CHECK_EQ((char *)live[i].slot - (char *)live[i - 1].slot, 48);
    for (int i = 0; i < 3000; i++)
        CHECK_STATUS(ostler_slab_put(slab, slots[i]), OSTLER_OK);
    CHECK_STATUS(ostler_slab_list_live(slab, NULL, 0, &count), OSTLER_OK);
    CHECK_EQ(count, 0);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
}

TEST(live_slots_are_told_with_their_age)
{
    ostler_slab *slab = make_slab(slots_of(64, 10));
    ostler_slab_live live[3];
    void *slots[2];
    uint64_t count, needed;
    char table[400];
    CHECK_STATUS(ostler_slab_get_n(slab, 2, slots), OSTLER_OK);
    CHECK_STATUS(ostler_slab_list_live(slab, live, 1, &count), OSTLER_OK);
    CHECK_EQ(count, 2);
    CHECK_EQ(live[0].held_ns, 0);
    usleep(2000);
    CHECK_STATUS(ostler_slab_list_live(slab, live, 3, &count), OSTLER_OK);
    CHECK(live[0].held_ns >= 2000000 && live[1].held_ns >= 2000000);
    CHECK_STATUS(ostler_slab_put(slab, slots[0]), OSTLER_OK);
    CHECK_STATUS(ostler_slab_get(slab, &slots[0]), OSTLER_OK);
    CHECK_STATUS(ostler_slab_list_live(slab, live, 3, &count), OSTLER_OK);
    CHECK_EQ(count, 2);
    for (int i = 0; i < 2; i++)
        CHECK(live[i].slot == slots[0] ? live[i].held_ns == 0 : live[i].held_ns >= 2000000);
    CHECK_STATUS(ostler_slab_print_live(slab, NULL, 0, &needed), OSTLER_OK);
    CHECK_STATUS(ostler_slab_print_live(slab, table, sizeof table, &needed), OSTLER_OK);
    CHECK_EQ(strlen(table) + 1, needed);
    CHECK_STATUS(ostler_slab_print_live(slab, table, 10, NULL), OSTLER_OK);
    CHECK_EQ(strlen(table), 9);
    CHECK_STATUS(ostler_slab_put_n(slab, slots, 2, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
}

TEST(what_cannot_be_put_is_told_and_changes_nothing)
{
    for (uint32_t checked = 0; checked < 2; checked++) {
        ostler_slab_config config = slots_of(64, 100);
        config.checked = checked;
        ostler_slab *slab = make_slab(config), *other = make_slab(config);
        void *slot, *others;
        int local;
        CHECK_STATUS(ostler_slab_get(slab, &slot), OSTLER_OK);
        CHECK_STATUS(ostler_slab_get(other, &others), OSTLER_OK);
        CHECK_STATUS(ostler_slab_put(slab, others), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(ostler_slab_put(slab, &local), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(ostler_slab_put(slab, NULL), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(ostler_slab_put(slab, (char *)slot + 8), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(ostler_slab_put(slab, (char *)slot + 64 * 99), OSTLER_E_FOREIGN_POINTER);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "never got");
        CHECK_EQ(stats_of(slab).out, 1);
        CHECK_STATUS(ostler_slab_put(slab, slot), OSTLER_OK);
        CHECK_STATUS(ostler_slab_put(slab, slot), OSTLER_E_DOUBLE_FREE);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "put before");
        void *two[] = {slot, others};
        uint32_t put = 7;
        CHECK_STATUS(ostler_slab_put_n(slab, two, 2, &put), OSTLER_E_DOUBLE_FREE);
        CHECK_EQ(put, 0);
        CHECK_EQ(stats_of(slab).double_puts, 2);
        CHECK_EQ(stats_of(slab).foreign_puts, 6);
        CHECK_STATUS(ostler_slab_put(other, others), OSTLER_OK);
        CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
        CHECK_STATUS(ostler_slab_destroy(other), OSTLER_OK);
    }
}

struct made {
    atomic_int created, reset, destroyed;
    ostler_status answer;
    ostler_slab *slab;
};

static ostler_status create(void *user_data, void *slot)
{
    struct made *made = user_data;
    if (made->answer != OSTLER_OK)
        return made->answer;
    made->created++;
    *(int *)slot = 42;
    return OSTLER_OK;
}

static ostler_status reset(void *user_data, void *slot)
{
    ((struct made *)user_data)->reset++;
    EXPECT_EQ(*(int *)slot, 42);
    return OSTLER_OK;
}

static void destroy(void *user_data, void *slot)
{
    struct made *made = user_data;
    made->destroyed++;
    EXPECT_EQ(*(int *)slot, 42);
    if (made->slab)
        EXPECT_STATUS(ostler_slab_destroy(made->slab), OSTLER_E_WOULD_DEADLOCK);
}

static ostler_slab *make_with_callbacks(struct made *made, uint64_t max)
{
    ostler_slab_config config = slots_of(64, max);
    ostler_slab_callbacks callbacks;
    ostler_slab *slab;
    CHECK_STATUS(ostler_slab_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.create = create;
    callbacks.reset = reset;
    callbacks.destroy = destroy;
    CHECK_STATUS(ostler_slab_create(&config, &callbacks, made, &slab), OSTLER_OK);
    return slab;
}

TEST(objects_are_created_once_and_destroyed_once)
{
    struct made made = {0};
    ostler_slab *slab = make_with_callbacks(&made, 5000);
    static void *slots[5000];
    uint64_t freed;
    for (int round = 0; round < 3; round++) {
        CHECK_STATUS(ostler_slab_get_n(slab, 5000, slots), OSTLER_OK);
        CHECK_STATUS(ostler_slab_put_n(slab, slots, 5000, NULL), OSTLER_OK);
    }
    CHECK_EQ(made.created, 5000);
    CHECK_EQ(made.reset, 15000);
    made.slab = slab;
    CHECK_STATUS(ostler_slab_trim(slab, &freed), OSTLER_OK);
    CHECK(freed >= 4 * (64 << 10));
    CHECK(made.destroyed > 3000);
    made.slab = NULL;
    made.answer = OSTLER_E_LIMIT;
    CHECK_STATUS(ostler_slab_get_n(slab, 5000, slots), OSTLER_E_CALLBACK_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "create callback failed");
    CHECK_EQ(slots[0], NULL);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
    CHECK_EQ(made.created, made.destroyed);
}

TEST(destroyed_slab_stays_until_its_last_slot_is_put)
{
    struct made made = {0};
    ostler_slab *slab = make_with_callbacks(&made, 100);
    void *slots[3], *more;
    CHECK_STATUS(ostler_slab_get_n(slab, 3, slots), OSTLER_OK);
    CHECK_STATUS(ostler_slab_put(slab, slots[2]), OSTLER_OK);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
    CHECK_EQ(made.destroyed, 1);
    CHECK_STATUS(ostler_slab_get(slab, &more), OSTLER_E_CLOSED);
    CHECK_EQ(*(int *)slots[0], 42);
    CHECK_STATUS(ostler_slab_put(slab, slots[0]), OSTLER_OK);
    CHECK_EQ(made.destroyed, 2);
    CHECK_STATUS(ostler_slab_put(slab, slots[0]), OSTLER_E_FOREIGN_POINTER);
    CHECK_STATUS(ostler_slab_put(slab, slots[1]), OSTLER_OK);
    CHECK_EQ(made.destroyed, 3);
    CHECK_STATUS(ostler_slab_put(slab, slots[1]), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_E_INVALID_HANDLE);
}

TEST(close_tells_what_is_out)
{
    ostler_slab *slab = make_slab(slots_of(64, 100));
    void *slots[2];
    uint64_t still_out;
    CHECK_STATUS(ostler_slab_get_n(slab, 2, slots), OSTLER_OK);
    CHECK_STATUS(ostler_slab_close(slab, 1000000, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 2);
    CHECK_STATUS(ostler_slab_get(slab, &slots[0]), OSTLER_E_CLOSED);
    CHECK_EQ(slots[0], NULL);
    ostler_slab_live live[2];
    CHECK_STATUS(ostler_slab_list_live(slab, live, 2, &still_out), OSTLER_OK);
    CHECK_STATUS(ostler_slab_put(slab, live[0].slot), OSTLER_OK);
    CHECK_STATUS(ostler_slab_put(slab, live[1].slot), OSTLER_OK);
    CHECK_STATUS(ostler_slab_close(slab, OSTLER_FOREVER, NULL, &still_out), OSTLER_OK);
    CHECK_EQ(still_out, 0);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
}

TEST(chunks_have_receipts)
{
    ostler_slab *slab = make_slab(slots_of(64, 10000));
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    void *slots[2000];
    CHECK_STATUS(ostler_slab_get_n(slab, 2000, slots), OSTLER_OK);
    for (int i = 0; i < 2000; i++)
        memset(slots[i], 1, 64);
    CHECK_EQ(stats_of(slab).chunks, 2);
    CHECK_STATUS(ostler_slab_get_receipt(slab, 1, &receipt), OSTLER_OK);
    CHECK_EQ(receipt.mapped_bytes, 64 << 10);
    CHECK_EQ(receipt.address + receipt.resident_bytes > receipt.address, 1);
    CHECK_STATUS(ostler_slab_get_receipt(slab, 2, &receipt), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_slab_put_n(slab, slots, 2000, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
}

TEST(configuration_is_checked)
{
    ostler_slab_config config = slots_of(0, 0);
    ostler_slab *slab;
    CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, &slab), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "slot_bytes is 0");
    config.slot_bytes = 64;
    config.checked = 2;
    CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, &slab), OSTLER_E_INVALID_ARGUMENT);
    config.checked = 0;
    config.magazine_slots = 129;
    CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, &slab), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "magazine_slots is 129");
    CHECK_EQ(slab, NULL);
    config.magazine_slots = 0;
    CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, &slab), OSTLER_OK);
    CHECK_EQ(stats_of(slab).max_slots, 65536);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
}

TEST(forked_child_is_told)
{
    ostler_slab *slab = make_slab(slots_of(64, 100));
    void *slot, *more;
    CHECK_STATUS(ostler_slab_get(slab, &slot), OSTLER_OK);
    pid_t child = fork();
    if (child == 0)
        _exit(ostler_slab_get(slab, &more) == OSTLER_E_FORKED && ostler_slab_put(slab, slot) == OSTLER_E_FORKED ? 0 : 1);
    int ended;
    waitpid(child, &ended, 0);
    CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    CHECK_STATUS(ostler_slab_put(slab, slot), OSTLER_OK);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
}

CHECK_MAIN()
