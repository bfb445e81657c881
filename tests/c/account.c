/* Accounts: memory of the host's own in the governor's books, within limits of its own and of those above it. */
#include "arenas.h"
#include "governed.h"

TEST(account_limits_hold_for_all_below_and_a_refusal_leaves_no_trace)
{
    ostler_account *tenant = open_account("tenant", NULL, 10 * MIB);
    ostler_account *first = open_account("first", tenant, 0), *second = open_account("second", tenant, 6 * MIB);
    uint64_t before = governor_stats().held_bytes;
    CHECK_STATUS(ostler_account_reserve(first, 7 * MIB, 0), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(second, 4 * MIB, 0), OSTLER_E_LIMIT);
    CHECK_STR_CONTAINS(ostler_last_error_message(),
                       "4 MiB more would pass the limit of 10 MiB of account \"tenant\": it holds 7 MiB");
    CHECK_EQ(account_stats(second).held_bytes, 0);
    CHECK_EQ(account_stats(tenant).held_bytes, 7 * MIB);
    CHECK_STATUS(ostler_account_reserve(second, 7 * MIB, 0), OSTLER_E_LIMIT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "account \"second\"");
    CHECK_STATUS(ostler_account_reserve(second, 3 * MIB, 0), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, before + 10 * MIB);

    /* The account above is closed first: those below it stay, and its limit holds. */
    CHECK_STATUS(ostler_account_destroy(tenant), OSTLER_OK);
    CHECK_STATUS(ostler_account_release(first, 7 * MIB), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(first, 8 * MIB, 0), OSTLER_E_LIMIT);
    CHECK_STATUS(ostler_account_reserve(first, 7 * MIB, 0), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(first), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(second), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, before);
}

TEST(more_than_was_reserved_is_never_released)
{
    ostler_account *account = open_account("exact", NULL, 0);
    uint64_t before = governor_stats().held_bytes;
    CHECK_STATUS(ostler_account_reserve(account, 1000, 0), OSTLER_OK);
    CHECK_STATUS(ostler_account_report(account, 500), OSTLER_OK);
    CHECK_STATUS(ostler_account_release(account, 1001), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "bytes is 1001, but only 1000 are reserved");
    CHECK_EQ(governor_stats().held_bytes, before + 1500);
    CHECK_STATUS(ostler_account_release(account, 1000), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(account, 1, 2), OSTLER_E_INVALID_ARGUMENT);
    CHECK_EQ(account_stats(account).held_bytes, 500);
    CHECK_EQ(account_stats(account).peak_bytes, 1500);
    CHECK_STATUS(ostler_account_destroy(account), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, before);
}

TEST(reports_are_never_refused_and_leave_less_for_others)
{
    limit_to(32 * MIB);
    ostler_account *heap = open_account("other heap", NULL, 16 * MIB), *account = open_account("asks", NULL, 0);
    uint64_t before = governor_stats().held_bytes;
    CHECK_STATUS(ostler_account_report(heap, 40 * MIB), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(account, 1, 0), OSTLER_E_MEMORY_PRESSURE);
    CHECK_STATUS(ostler_account_report(heap, 10 * MIB), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(account, MIB, 0), OSTLER_OK);
    CHECK_EQ(account_stats(heap).reported_bytes, 10 * MIB);
    CHECK_EQ(account_stats(heap).peak_bytes, 40 * MIB);
    CHECK_STATUS(ostler_account_report(account, UINT64_MAX), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "bytes is 18446744073709551615");
    CHECK_EQ(governor_stats().held_bytes, before + 11 * MIB);
    CHECK_STATUS(ostler_account_destroy(heap), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(account), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, before);
    govern_no_more();
}

TEST(memory_of_devices_counts_against_no_limit_but_its_own)
{
    ostler_account_config config;
    ostler_account *device, *part;
    limit_to(16 * MIB);
    CHECK_STATUS(ostler_account_config_init(&config, sizeof config), OSTLER_OK);
    config.holder = OSTLER_HOLDER_DEVICE;
    config.limit_bytes = 1024 * MIB;
    CHECK_STATUS(ostler_account_create(&config, &device), OSTLER_OK);
    ostler_governor_stats before = governor_stats();
    CHECK_STATUS(ostler_account_reserve(device, 1000 * MIB, 0), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(device, 25 * MIB, 0), OSTLER_E_LIMIT);
    CHECK_EQ(governor_stats().device_bytes, before.device_bytes + 1000 * MIB);
    CHECK_EQ(governor_stats().held_bytes, before.held_bytes);
    config.holder = OSTLER_HOLDER_EXTERNAL;
    config.parent = device;
    CHECK_STATUS(ostler_account_create(&config, &part), OSTLER_E_INVALID_ARGUMENT);
    config.holder = OSTLER_HOLDER_ARENA;
    CHECK_STATUS(ostler_account_create(&config, &part), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "holder is 1");
    CHECK_STATUS(ostler_account_destroy(device), OSTLER_OK);
    CHECK_EQ(governor_stats().device_bytes, before.device_bytes);
    govern_no_more();
}

TEST(accounts_are_listed_largest_first_with_who_pays_for_them)
{
    ostler_account *tenant = open_account("listed tenant", NULL, 0), *part = open_account("part", tenant, 0);
    ostler_arena *arena = named_arena("listed arena", CHUNK_BYTES);
    CHECK_STATUS(ostler_account_reserve(part, 64 * MIB, 0), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(tenant, MIB, 0), OSTLER_OK);
    ostler_account_info list[64];
    uint64_t count = 0, counted = 0;
    CHECK_STATUS(ostler_governor_list_accounts(NULL, 0, &counted), OSTLER_OK);
    CHECK_STATUS(ostler_governor_list_accounts(list, 64, &count), OSTLER_OK);
    CHECK(count >= 3 && count == counted && count <= 64);
    CHECK_STR_EQ(list[0].name, "listed tenant");
    CHECK_EQ(list[0].held_bytes, 65 * MIB);
    CHECK_STR_EQ(list[1].name, "part");
    CHECK_EQ(list[1].parent_id, list[0].id);
    CHECK_EQ(list[0].parent_id, 0);
    uint64_t sum = 0, arenas = 0;
    for (uint64_t i = 0; i < count; i++) {
        CHECK(i == 0 || list[i].held_bytes <= list[i - 1].held_bytes);
        sum += list[i].parent_id || list[i].holder == OSTLER_HOLDER_DEVICE ? 0 : list[i].held_bytes;
        arenas += list[i].holder == OSTLER_HOLDER_ARENA && strcmp(list[i].name, "listed arena") == 0;
    }
    CHECK_EQ(arenas, 1);
    CHECK_EQ(sum, governor_stats().held_bytes);
    CHECK_STATUS(ostler_governor_list_accounts(list, 1, &count), OSTLER_OK);
    CHECK_EQ(count, counted);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(part), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(tenant), OSTLER_OK);
}

#define RESERVERS 4
#define TENANT_BYTES (3 * MIB)

struct reserver {
    ostler_account *account, *tenant;
    uint64_t seed, limit, granted, over;
};

/* Takes and gives back at random; whenever something was granted, no limit may be passed. */
static void *reserve_at_random(void *argument)
{
    struct reserver *reserver = argument;
    uint64_t held = 0, seed = reserver->seed;
    for (int round = 0; round < 40000; round++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        uint64_t bytes = seed % (MIB / 2);
        if (seed >> 63 && ostler_account_reserve(reserver->account, bytes, 0) == OSTLER_OK) {
            held += bytes;
            reserver->granted++;
            reserver->over += account_stats(reserver->tenant).held_bytes > TENANT_BYTES;
            reserver->over += round % 64 == 0 && governor_stats().held_bytes > reserver->limit;
        } else if (bytes <= held) {
            EXPECT_STATUS(ostler_account_release(reserver->account, bytes), OSTLER_OK);
            held -= bytes;
        }
    }
    EXPECT_EQ(account_stats(reserver->account).reserved_bytes, held);
    EXPECT_STATUS(ostler_account_release(reserver->account, held), OSTLER_OK);
    return NULL;
}

TEST(many_threads_never_pass_a_limit_together)
{
    ostler_account *tenant = open_account("shared", NULL, TENANT_BYTES);
    struct reserver reservers[RESERVERS];
    pthread_t threads[RESERVERS];
    uint64_t before = governor_stats().held_bytes, granted = 0;
    limit_to(before + TENANT_BYTES / 2);
    for (int i = 0; i < RESERVERS; i++) {
        reservers[i] = (struct reserver){open_account("one of many", tenant, 0), tenant, 88172645463325252ULL + i,
                                         before + TENANT_BYTES / 2, 0, 0};
        CHECK(pthread_create(&threads[i], NULL, reserve_at_random, &reservers[i]) == 0);
    }
    for (int i = 0; i < RESERVERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(reservers[i].over, 0);
        granted += reservers[i].granted;
        CHECK_EQ(account_stats(reservers[i].account).held_bytes, 0);
        CHECK_STATUS(ostler_account_destroy(reservers[i].account), OSTLER_OK);
    }
    CHECK(granted > 0);
    CHECK_EQ(account_stats(tenant).held_bytes, 0);
    CHECK(account_stats(tenant).peak_bytes <= TENANT_BYTES);
    CHECK_EQ(governor_stats().held_bytes, before);
    CHECK_STATUS(ostler_account_destroy(tenant), OSTLER_OK);
    govern_no_more();
}

CHECK_MAIN()
