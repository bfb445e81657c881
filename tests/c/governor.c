/* The governor of memory: what is held is what is charged, what would pass a limit is refused before it is taken, and the
 * limits are those of the moment. */
#include "arenas.h"
#include "governed.h"
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* Bytes of this process that are resident. */
static uint64_t resident(void)
{
    unsigned long long mapped = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%llu %llu", &mapped, &pages) == 2);
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static ostler_arena *named_arena(const char *name, uint64_t chunk_bytes)
{
    ostler_arena_config config = small_chunks();
    config.chunk_bytes = chunk_bytes;
    snprintf(config.name, sizeof config.name, "%s", name);
    return make_arena(config);
}

static void await_level(uint32_t level)
{
    while (governor_stats().level != level)
        sched_yield();
}

TEST(held_is_what_arenas_map_and_goes_with_them)
{
    /* What the first use of everything takes is there already when it counts. */
    CHECK_STATUS(ostler_arena_destroy(named_arena("first", CHUNK_BYTES)), OSTLER_OK);
    ostler_governor_stats before = governor_stats();
    uint64_t resident_before = resident(), mapped = 0;
    ostler_arena *arenas[8];
    for (int i = 0; i < 8; i++) {
        arenas[i] = named_arena("counted", (i + 1) * CHUNK_BYTES);
        memset(take(arenas[i], 3 * MIB, 0), 1, 3 * MIB);
        mapped += arena_stats(arenas[i]).mapped_bytes;
    }
    ostler_governor_stats held = governor_stats();
    CHECK_EQ(held.held_bytes, before.held_bytes + mapped);
    CHECK_EQ(held.accounts, before.accounts + 8);
    CHECK(held.resident_bytes >= resident_before + 24 * MIB);
    CHECK(held.peak_held_bytes >= held.held_bytes);
    for (int i = 0; i < 8; i++)
        CHECK_STATUS(ostler_arena_destroy(arenas[i]), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, before.held_bytes);
    CHECK_EQ(governor_stats().accounts, before.accounts);
    CHECK_EQ(governor_stats().huge_pool_bytes, before.huge_pool_bytes);
#ifndef CHECK_SANITIZED
    CHECK(resident() <= resident_before + MIB);
#endif
}

TEST(reservation_that_would_pass_the_limit_is_refused_by_name_of_who_holds)
{
    /* Up to the limit itself, whatever the level. */
    ostler_governor_config to_the_limit = governor_config();
    to_the_limit.limit_bytes = 64 * MIB;
    to_the_limit.critical_percent = 100;
    CHECK_STATUS(ostler_governor_configure(&to_the_limit), OSTLER_OK);
    ostler_account *cache = open_account("cache", NULL, 0), *rest = open_account("rest", NULL, 0);
    ostler_governor_stats before = governor_stats();
    CHECK_EQ(before.limited_by, OSTLER_LIMITED_BY_CONFIG);
    CHECK_EQ(before.limit_bytes, 64 * MIB);
    CHECK_STATUS(ostler_account_reserve(cache, 40 * MIB, 0), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(rest, 20 * MIB, 0), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(rest, 5 * MIB, 0), OSTLER_E_MEMORY_PRESSURE);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "5 MiB more would pass the limit of 64 MiB (configured): held 60 MiB");
    CHECK_STR_CONTAINS(ostler_last_error_message(), "external \"cache\" 40 MiB, external \"rest\" 20 MiB");
    CHECK_EQ(governor_stats().refusals, before.refusals + 1);
    CHECK_EQ(governor_stats().held_bytes, before.held_bytes + 60 * MIB);
    CHECK_STATUS(ostler_account_reserve(rest, 4 * MIB, 0), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(rest, 1, OSTLER_RESERVE_ESSENTIAL), OSTLER_E_MEMORY_PRESSURE);
    CHECK_STATUS(ostler_account_release(cache, 1), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(rest, 1, OSTLER_RESERVE_ESSENTIAL), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(rest, (uint64_t)1 << 56, 0), OSTLER_E_MEMORY_PRESSURE);
    CHECK_STATUS(ostler_account_reserve(rest, UINT64_MAX, 0), OSTLER_E_INVALID_ARGUMENT);

    /* An arena is refused like everybody else. */
    ostler_arena_config config = small_chunks();
    ostler_arena *arena;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_E_MEMORY_PRESSURE);
    CHECK_EQ(arena, NULL);
    CHECK_STATUS(ostler_account_destroy(cache), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(rest), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, before.held_bytes);
    govern_no_more();
}

TEST(limit_in_percent_is_of_what_the_kernel_allows)
{
    struct group group = fake_group(0);
    write_file(group.folder, "memory.max", "%llu\n", 100ULL << 20);
    ostler_governor_config config = governor_config();
    config.cgroup_folder = group.inner;
    config.limit_percent = 40;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    ostler_governor_stats stats = governor_stats();
    CHECK_EQ(stats.limit_bytes, 40 * MIB);
    CHECK_EQ(stats.limited_by, OSTLER_LIMITED_BY_CONFIG);
    /* The least of both holds. */
    config.limit_bytes = 30 * MIB;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    CHECK_EQ(governor_stats().configured_limit_bytes, 30 * MIB);
    write_file(group.folder, "memory.max", "%llu\n", 50ULL << 20);
    CHECK_EQ(governor_stats().limit_bytes, 20 * MIB);
    config.limit_percent = 101;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "limit_percent is 101, but must be at most 100");
    CHECK_EQ(governor_stats().limit_bytes, 20 * MIB);
    config = governor_config();
    config.cgroup_folder = "/nowhere";
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "cgroup_folder is \"/nowhere\"");
    govern_no_more();
    remove_group(&group);
}

TEST(limits_of_every_group_above_hold_and_change_while_running)
{
    struct group group = fake_group(0);
    obey(&group);
    ostler_account *account = open_account("grows", NULL, 0);
    ostler_governor_stats stats = governor_stats();
    CHECK(stats.limited_by != OSTLER_LIMITED_BY_CGROUP_MAX && stats.limited_by != OSTLER_LIMITED_BY_CGROUP_HIGH);
    CHECK_EQ(stats.cgroup_limit_bytes, UINT64_MAX);
    CHECK_STATUS(ostler_account_reserve(account, 100 * MIB, 0), OSTLER_OK);

    /* Lower than what is held: nothing more is granted, and nothing is taken away. */
    write_file(group.folder, "memory.high", "%llu\n", 64ULL << 20);
    stats = governor_stats();
    CHECK_EQ(stats.limited_by, OSTLER_LIMITED_BY_CGROUP_HIGH);
    CHECK_EQ(stats.limit_bytes, 64 * MIB);
    CHECK_STATUS(ostler_account_reserve(account, MIB, 0), OSTLER_E_MEMORY_PRESSURE);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "64 MiB (cgroup memory.high)");
    CHECK_EQ(account_stats(account).held_bytes, 100 * MIB);

    /* The limit of the inner group is the tighter one. */
    write_file(group.inner, "memory.max", "%llu\n", 32ULL << 20);
    CHECK_EQ(governor_stats().limited_by, OSTLER_LIMITED_BY_CGROUP_MAX);
    write_file(group.inner, "memory.max", "max\n");
    write_file(group.folder, "memory.high", "%llu\n", 200ULL << 20);
    await_level(OSTLER_LEVEL_NORMAL);
    CHECK_STATUS(ostler_account_reserve(account, MIB, 0), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(account), OSTLER_OK);
    govern_no_more();
    remove_group(&group);
}

TEST(what_a_group_uses_beside_the_accounts_leaves_less_and_files_that_can_go_do_not)
{
    struct group group = fake_group(70 * MIB);
    write_file(group.inner, "memory.max", "%llu\n", 100ULL << 20);
    obey(&group);
    ostler_account *account = open_account("beside", NULL, 0);
    CHECK_EQ(governor_stats().cgroup_used_bytes, 70 * MIB);
    CHECK_STATUS(ostler_account_reserve(account, 40 * MIB, 0), OSTLER_E_MEMORY_PRESSURE);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "used beside that");
    write_file(group.inner, "memory.stat", "anon 1\ninactive_file %llu\n", 50ULL << 20);
    CHECK_STATUS(ostler_account_reserve(account, 40 * MIB, 0), OSTLER_OK);
    CHECK_EQ(governor_stats().cgroup_used_bytes, 20 * MIB);
    CHECK_STATUS(ostler_account_destroy(account), OSTLER_OK);
    govern_no_more();
    remove_group(&group);
}

TEST(groups_of_version_1_without_a_limit_have_none)
{
    struct group group = fake_group(0);
    remove_group(&group);
    CHECK(mkdir(group.folder, 0700) == 0 && mkdir(group.inner, 0700) == 0);
    write_file(group.inner, "memory.usage_in_bytes", "%llu\n", 1ULL << 20);
    write_file(group.inner, "memory.limit_in_bytes", "9223372036854771712\n");
    obey(&group);
    CHECK_EQ(governor_stats().cgroup_limit_bytes, UINT64_MAX);
    write_file(group.inner, "memory.limit_in_bytes", "%llu\n", 48ULL << 20);
    ostler_governor_stats stats = governor_stats();
    CHECK_EQ(stats.limited_by, OSTLER_LIMITED_BY_CGROUP_V1);
    CHECK_EQ(stats.limit_bytes, 48 * MIB);
    govern_no_more();
    remove_group(&group);
}

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

/* What a watch was told. */
#define MOST_CHANGES 64

struct told {
    ostler_level_change changes[MOST_CHANGES];
    atomic_int count;
    uint64_t watch_id;
};

static void note_change(void *user_data, const ostler_level_change *change)
{
    struct told *told = user_data;
    int place = atomic_load(&told->count);
    EXPECT_EQ(change->struct_size, sizeof *change);
    if (EXPECT(place < MOST_CHANGES))
        told->changes[place] = *change;
    atomic_store(&told->count, place + 1);
}

static void await_changes(struct told *told, int count)
{
    while (atomic_load(&told->count) < count)
        sched_yield();
}

/* Looks often, and forgets what it measured at once. */
static ostler_governor_config quick_config(void)
{
    ostler_governor_config config = governor_config();
    config.tick_ns = 10000000;
    config.cool_down_ns = 1;
    return config;
}

TEST(each_level_is_told_once_on_the_way_up_and_down_and_critical_refuses)
{
    static const struct {
        uint64_t mib;
        uint32_t before, level;
    } steps[] = {{60, OSTLER_LEVEL_LOW, OSTLER_LEVEL_NORMAL},     {82, OSTLER_LEVEL_NORMAL, OSTLER_LEVEL_HIGH},
                 {96, OSTLER_LEVEL_HIGH, OSTLER_LEVEL_CRITICAL},  {85, OSTLER_LEVEL_CRITICAL, OSTLER_LEVEL_HIGH},
                 {70, OSTLER_LEVEL_HIGH, OSTLER_LEVEL_NORMAL},    {10, OSTLER_LEVEL_NORMAL, OSTLER_LEVEL_LOW},
                 {100, OSTLER_LEVEL_LOW, OSTLER_LEVEL_CRITICAL},  {0, OSTLER_LEVEL_CRITICAL, OSTLER_LEVEL_LOW}};
    enum { STEPS = sizeof steps / sizeof *steps };
    ostler_governor_config config = quick_config();
    struct told told = {0};
    ostler_account *account = open_account("steps", NULL, 0), *other = open_account("other", NULL, 0);
    uint64_t held = 0, before = governor_stats().held_bytes;
    config.limit_bytes = 100 * MIB + before;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    await_level(OSTLER_LEVEL_LOW);
    CHECK_STATUS(ostler_governor_watch(note_change, &told, &told.watch_id), OSTLER_OK);
    CHECK(told.watch_id != 0);
    for (int i = 0; i < STEPS; i++) {
        if (steps[i].mib * MIB > held)
            CHECK_STATUS(ostler_account_reserve(account, steps[i].mib * MIB - held, 0), OSTLER_OK);
        else
            CHECK_STATUS(ostler_account_release(account, held - steps[i].mib * MIB), OSTLER_OK);
        held = steps[i].mib * MIB;
        await_changes(&told, i + 1);
        CHECK_EQ(told.changes[i].level_before, steps[i].before);
        CHECK_EQ(told.changes[i].level, steps[i].level);
        CHECK_EQ(told.changes[i].pressure, steps[i].level ? OSTLER_PRESSURE_LIMIT : OSTLER_PRESSURE_NONE);
        CHECK_EQ(told.changes[i].limit_bytes, config.limit_bytes);
        CHECK_EQ(told.changes[i].held_bytes, before + held);
        if (steps[i].level != OSTLER_LEVEL_CRITICAL || steps[i].mib == 100)
            continue;
        CHECK_STATUS(ostler_account_reserve(other, MIB, 0), OSTLER_E_MEMORY_PRESSURE);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "critically short (the configured limit)");
        CHECK_STATUS(ostler_account_reserve(other, MIB, OSTLER_RESERVE_ESSENTIAL), OSTLER_OK);
        CHECK_STATUS(ostler_account_release(other, MIB), OSTLER_OK);
        /* What is given back makes room at once, before any tick. */
        CHECK_STATUS(ostler_account_release(account, 50 * MIB), OSTLER_OK);
        CHECK_STATUS(ostler_account_reserve(account, 50 * MIB, 0), OSTLER_OK);
        await_changes(&told, i + 3);
        CHECK_EQ(told.changes[i + 2].level, OSTLER_LEVEL_CRITICAL);
        atomic_store(&told.count, i + 1);
    }
    CHECK_STATUS(ostler_governor_unwatch(told.watch_id), OSTLER_OK);
    CHECK_STATUS(ostler_governor_unwatch(told.watch_id), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_account_destroy(account), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(other), OSTLER_OK);
    govern_no_more();
}

TEST(group_that_fills_up_is_told_of_and_stops_what_would_fill_it)
{
    struct group group = fake_group(0);
    ostler_governor_config config = quick_config();
    struct told told = {0};
    config.cgroup_folder = group.inner;
    write_file(group.inner, "memory.high", "%llu\n", 400ULL << 20);
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    await_level(OSTLER_LEVEL_LOW);
    CHECK_STATUS(ostler_governor_watch(note_change, &told, &told.watch_id), OSTLER_OK);
    ostler_page_source prefaulted = base_pages;
    prefaulted.prefault = 1;
    ostler_arena_config arena_config = small_chunks();
    arena_config.source = &prefaulted;
    arena_config.chunk_bytes = 2 * MIB;
    ostler_arena *arena = make_arena(arena_config);
    take(arena, MIB, 0);

    /* memory.high is crossed by others: no chunk more is made. */
    write_file(group.inner, "memory.current", "%llu\n", 400ULL << 20);
    await_changes(&told, 1);
    CHECK_EQ(told.changes[0].level, OSTLER_LEVEL_CRITICAL);
    CHECK_EQ(told.changes[0].pressure, OSTLER_PRESSURE_CGROUP);
    uint64_t mapped = arena_stats(arena).mapped_bytes;
    void *bytes;
    CHECK_STATUS(ostler_arena_alloc(arena, 2 * MIB, 0, &bytes), OSTLER_E_MEMORY_PRESSURE);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "cgroup memory.high");
    CHECK_EQ(arena_stats(arena).mapped_bytes, mapped);

    write_file(group.inner, "memory.current", "%llu\n", 1ULL << 20);
    await_changes(&told, 2);
    CHECK_EQ(told.changes[1].level, OSTLER_LEVEL_LOW);
    take(arena, 2 * MIB, 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_governor_unwatch(told.watch_id), OSTLER_OK);
    govern_no_more();
    remove_group(&group);
}

static void await_false_alarms(uint64_t count)
{
    while (governor_stats().false_alarms < count)
        sched_yield();
}

TEST(alarm_without_a_stall_is_never_told_of_and_a_stall_is)
{
    struct group group = fake_group(0);
    char fifo[160];
    struct told told = {0};
    snprintf(fifo, sizeof fifo, "%s/memory.usage_in_bytes", group.folder);
    CHECK(mkfifo(fifo, 0600) == 0);
    tell_stalls(&group, 5000000, 3000000);
    ostler_governor_config config = quick_config();
    config.cgroup_folder = group.inner;
    setenv("MEMORY_PRESSURE_WATCH", fifo, 1);
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    unsetenv("MEMORY_PRESSURE_WATCH");
    while (!governor_stats().alarm_armed)
        sched_yield();
    CHECK_STATUS(ostler_governor_watch(note_change, &told, &told.watch_id), OSTLER_OK);
    uint64_t false_before = governor_stats().false_alarms;
    int alarm = open(fifo, O_WRONLY);
    CHECK(alarm >= 0);
    for (uint64_t i = 1; i <= 3; i++) {
        CHECK(write(alarm, "!", 1) == 1);
        await_false_alarms(false_before + i);
    }
    CHECK_EQ(atomic_load(&told.count), 0);
    CHECK_EQ(governor_stats().level, OSTLER_LEVEL_LOW);

    /* All threads waited for a second. */
    tell_stalls(&group, 6000000, 4000000);
    await_changes(&told, 2);
    CHECK_EQ(told.changes[0].pressure, OSTLER_PRESSURE_STALL);
    CHECK_EQ(told.changes[0].level, OSTLER_LEVEL_CRITICAL);
    CHECK_EQ(told.changes[1].level, OSTLER_LEVEL_LOW);
    close(alarm);
    CHECK_STATUS(ostler_governor_unwatch(told.watch_id), OSTLER_OK);
    govern_no_more();
    remove_group(&group);
}

TEST(trigger_is_what_the_environment_asks_for_and_its_end_is_no_busy_loop)
{
    struct group group = fake_group(0);
    char watch[160], text[64] = {0};
    tell_stalls(&group, 0, 0);
    snprintf(watch, sizeof watch, "%s/memory.usage_in_bytes", group.inner);
    write_file(group.inner, "memory.usage_in_bytes", "0");
    ostler_governor_config config = quick_config();
    config.pressure_file = "/nowhere";
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "pressure_file is \"/nowhere\"");
    char pressure[160];
    snprintf(pressure, sizeof pressure, "%s/memory.pressure", group.inner);
    config.pressure_file = pressure;
    setenv("MEMORY_PRESSURE_WATCH", watch, 1);
    setenv("MEMORY_PRESSURE_WRITE", "c29tZSAyMDAwMDAgMjAwMDAwMAA=", 1);
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    unsetenv("MEMORY_PRESSURE_WRITE");
    while (!governor_stats().alarm_armed)
        sched_yield();
    FILE *file = fopen(watch, "r");
    CHECK(file && fread(text, 1, 20, file) == 20);
    fclose(file);
    CHECK(memcmp(text, "some 200000 2000000", 20) == 0);

    /* None is wanted at all. */
    setenv("MEMORY_PRESSURE_WATCH", "/dev/null", 1);
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    unsetenv("MEMORY_PRESSURE_WATCH");
    while (governor_stats().alarm_armed)
        sched_yield();
    CHECK_EQ(governor_stats().alarm_errno, 0);

    /* A plain file that is not the kernel's takes no trigger: stalls are measured all the same. */
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    while (governor_stats().alarm_errno == 0)
        sched_yield();
    CHECK_EQ(governor_stats().alarm_errno, EOPNOTSUPP);
    govern_no_more();
    remove_group(&group);
}

/* Threads of that name, the signals that one of them lets through noted. */
static int threads_named(const char *name, uint64_t *unblocked)
{
    char path[300], text[64], line[128];
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (!file)
            continue;
        bool same = fgets(text, sizeof text, file) && strncmp(text, name, strlen(name)) == 0;
        fclose(file);
        if (!same)
            continue;
        count++;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        file = fopen(path, "r");
        while (file && fgets(line, sizeof line, file))
            if (strncmp(line, "SigBlk:", 7) == 0)
                *unblocked = ~strtoull(line + 7, NULL, 16);
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return count;
}

TEST(thread_is_there_only_while_it_is_wanted_and_blocks_every_signal)
{
    uint64_t unblocked = UINT64_MAX, watch_id;
    struct told told = {0};
    while (threads_named("ostler-governor", &unblocked) > 0)
        sched_yield();
    CHECK_STATUS(ostler_arena_destroy(named_arena("no thread", CHUNK_BYTES)), OSTLER_OK);
    CHECK_EQ(threads_named("ostler-governor", &unblocked), 0);
    limit_to(64 * MIB);
    while (threads_named("ostler-governor", &unblocked) == 0)
        sched_yield();
    CHECK_EQ(threads_named("ostler-governor", &unblocked), 1);
    /* SIGKILL, SIGSTOP and the two that the C library keeps for itself cannot be blocked. */
    CHECK_EQ(unblocked & ~((1ULL << 8) | (1ULL << 18) | (3ULL << 31)), 0);
    limit_to(32 * MIB);
    CHECK_STATUS(ostler_governor_watch(note_change, &told, &watch_id), OSTLER_OK);
    CHECK_EQ(threads_named("ostler-governor", &unblocked), 1);
    govern_no_more();
    CHECK_EQ(threads_named("ostler-governor", &unblocked), 1);
    CHECK_STATUS(ostler_governor_unwatch(watch_id), OSTLER_OK);
    govern_no_more();
    while (threads_named("ostler-governor", &unblocked) > 0)
        sched_yield();
    limit_to(64 * MIB);
    CHECK_STATUS(ostler_shutdown(OSTLER_FOREVER, NULL), OSTLER_OK);
    CHECK_EQ(threads_named("ostler-governor", &unblocked), 0);
    CHECK_EQ(governor_stats().configured_limit_bytes, UINT64_MAX);
}

struct slow {
    atomic_int entered, leave, left, after_end;
    atomic_bool ended;
    uint64_t watch_id;
};

static void be_slow(void *user_data, const ostler_level_change *change)
{
    struct slow *slow = user_data;
    (void)change;
    EXPECT(!atomic_load(&slow->ended));
    atomic_fetch_add(&slow->entered, 1);
    while (!atomic_load(&slow->leave))
        sched_yield();
    /* The library can be used here. */
    EXPECT_EQ(governor_stats().struct_size, sizeof(ostler_governor_stats));
    EXPECT_STATUS(ostler_shutdown(0, NULL), OSTLER_E_WOULD_DEADLOCK);
    atomic_fetch_add(&slow->left, 1);
}

static void end_own_watch(void *user_data, const ostler_level_change *change)
{
    struct slow *slow = user_data;
    (void)change;
    EXPECT_STATUS(ostler_governor_unwatch(slow->watch_id), OSTLER_OK);
    atomic_fetch_add(&slow->left, 1);
}

static void *end_watch(void *argument)
{
    struct slow *slow = argument;
    EXPECT_STATUS(ostler_governor_unwatch(slow->watch_id), OSTLER_OK);
    EXPECT_EQ(atomic_load(&slow->left), atomic_load(&slow->entered));
    atomic_store(&slow->ended, true);
    return NULL;
}

TEST(ended_watch_is_told_no_more_and_its_end_waits_for_what_runs)
{
    struct slow slow = {0}, own = {0};
    pthread_t ender;
    ostler_governor_config config = quick_config();
    ostler_account *account = open_account("up and down", NULL, 0);
    config.limit_bytes = 64 * MIB;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    await_level(OSTLER_LEVEL_LOW);
    CHECK_STATUS(ostler_governor_watch(end_own_watch, &own, &own.watch_id), OSTLER_OK);
    CHECK_STATUS(ostler_governor_watch(be_slow, &slow, &slow.watch_id), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(account, 60 * MIB, 0), OSTLER_OK);
    while (!atomic_load(&slow.entered))
        sched_yield();
    CHECK_EQ(atomic_load(&own.left), 1);
    CHECK(pthread_create(&ender, NULL, end_watch, &slow) == 0);
    for (int i = 0; i < 100; i++)
        sched_yield();
    CHECK(!atomic_load(&slow.ended));
    atomic_store(&slow.leave, 1);
    pthread_join(ender, NULL);
    CHECK_STATUS(ostler_account_destroy(account), OSTLER_OK);
    await_level(OSTLER_LEVEL_LOW);
    CHECK_EQ(atomic_load(&own.left), 1);
    govern_no_more();
}

/* An arena with so many bytes that it keeps for later. */
static ostler_arena *arena_that_keeps(const char *name, uint64_t bytes)
{
    ostler_arena *arena = named_arena(name, MIB);
    for (uint64_t taken = 0; taken < bytes; taken += MIB)
        memset(take(arena, MIB, 0), 1, MIB);
    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    return arena;
}

/* The host's own cache: what it holds it reserved, and can free. */
struct cache {
    ostler_account *account;
    atomic_uint_fast64_t held, asked, calls;
    ostler_status status, destroyed_inside, reclaimed_inside;
    bool lies, waits;
    atomic_bool entered, leave, gone;
};

static ostler_status free_some(void *user_data, uint64_t bytes, uint64_t *freed)
{
    struct cache *cache = user_data;
    EXPECT(!atomic_load(&cache->gone));
    EXPECT_EQ(*freed, 0);
    atomic_fetch_add(&cache->calls, 1);
    atomic_fetch_add(&cache->asked, bytes);
    atomic_store(&cache->entered, true);
    while (cache->waits && !atomic_load(&cache->leave))
        sched_yield();
    cache->destroyed_inside = ostler_account_destroy(cache->account);
    cache->reclaimed_inside = ostler_governor_reclaim(1, OSTLER_RECLAIM_WORKER, NULL, 0, NULL, NULL);
    if (cache->status != OSTLER_OK) {
        ostler_callback_set_message("the cache is busy");
        return cache->status;
    }
    uint64_t gives = bytes < atomic_load(&cache->held) ? bytes : atomic_load(&cache->held);
    EXPECT_STATUS(ostler_account_release(cache->account, gives), OSTLER_OK);
    atomic_fetch_sub(&cache->held, gives);
    *freed = cache->lies ? 2 * gives : gives;
    return OSTLER_OK;
}

static void open_cache(struct cache *cache, const char *name, uint32_t kind, uint64_t bytes)
{
    ostler_account_config config;
    CHECK_STATUS(ostler_account_config_init(&config, sizeof config), OSTLER_OK);
    config.reclaim = free_some;
    config.user_data = cache;
    config.reclaim_kind = kind;
    snprintf(config.name, sizeof config.name, "%s", name);
    CHECK_STATUS(ostler_account_create(&config, &cache->account), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(cache->account, bytes, 0), OSTLER_OK);
    atomic_store(&cache->held, bytes);
}

static uint64_t suggestions(ostler_suggestion *list, uint64_t capacity)
{
    uint64_t count = 0;
    CHECK_STATUS(ostler_governor_suggest(list, capacity, &count), OSTLER_OK);
    return count;
}

TEST(suggestions_are_in_order_of_cost_and_act_on_nothing)
{
    struct cache old = {0}, young = {0}, dear = {0};
    ostler_suggestion list[16];
    uint64_t before = suggestions(NULL, 0);
    open_cache(&dear, "dear", OSTLER_RECLAIM_WORKER, MIB);
    open_cache(&old, "old", OSTLER_RECLAIM_LAZY, 2 * MIB);
    open_cache(&young, "young", OSTLER_RECLAIM_LAZY, 3 * MIB);
    ostler_arena *arena = arena_that_keeps("keeps", 4 * MIB);
    CHECK_EQ(suggestions(list, 16), before + 4);
    CHECK_STR_EQ(list[before].name, "keeps");
    CHECK_EQ(list[before].kind, OSTLER_RECLAIM_EMPTY);
    CHECK_EQ(list[before].holder, OSTLER_HOLDER_ARENA);
    CHECK(list[before].bytes >= 4 * MIB && list[before].bytes <= arena_stats(arena).mapped_bytes);
    CHECK_STR_EQ(list[before + 1].name, "old");
    CHECK_EQ(list[before + 1].bytes, 2 * MIB);
    CHECK(list[before + 1].idle_ns >= list[before + 2].idle_ns);
    CHECK_STR_EQ(list[before + 2].name, "young");
    CHECK_STR_EQ(list[before + 3].name, "dear");
    /* What is used goes later. */
    CHECK_STATUS(ostler_account_touch(old.account), OSTLER_OK);
    suggestions(list, 16);
    CHECK_STR_EQ(list[before + 1].name, "young");
    CHECK_EQ(atomic_load(&old.calls) + atomic_load(&young.calls) + atomic_load(&dear.calls), 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(old.account), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(young.account), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(dear.account), OSTLER_OK);
    CHECK_EQ(suggestions(list, 16), before);
}

TEST(reclaim_tells_what_each_really_freed)
{
    struct cache honest = {0}, liar = {.lies = true};
    ostler_reclaimed list[8];
    uint64_t count = 0, freed = 0;
    ostler_arena *arena = arena_that_keeps("gives", 8 * MIB);
    open_cache(&liar, "liar", OSTLER_RECLAIM_LAZY, 2 * MIB);
    open_cache(&honest, "honest", OSTLER_RECLAIM_POOL, 2 * MIB);
    ostler_governor_stats before = governor_stats();
    uint64_t mapped = arena_stats(arena).mapped_bytes;
    CHECK_STATUS(ostler_governor_reclaim(4 * MIB, OSTLER_RECLAIM_EMPTY, list, 8, &count, &freed), OSTLER_OK);
    CHECK_EQ(count, 1);
    CHECK_STR_EQ(list[0].from.name, "gives");
    CHECK_EQ(list[0].asked_bytes, 4 * MIB);
    CHECK_EQ(list[0].freed_bytes, mapped - arena_stats(arena).mapped_bytes);
    CHECK_EQ(list[0].freed_bytes, before.held_bytes - governor_stats().held_bytes);
    CHECK_EQ(list[0].claimed_bytes, list[0].freed_bytes);
    CHECK(freed >= 4 * MIB);
#ifndef CHECK_SANITIZED
    CHECK(list[0].resident_bytes >= 3 * MIB);
#endif
    CHECK_EQ(governor_stats().reclaimed_bytes, before.reclaimed_bytes + freed);

    CHECK_STATUS(ostler_governor_reclaim(UINT64_MAX, OSTLER_RECLAIM_WORKER, list, 8, &count, &freed), OSTLER_OK);
    CHECK_EQ(count, 3);
    CHECK_STR_EQ(list[1].from.name, "liar");
    CHECK_EQ(list[1].claimed_bytes, 4 * MIB);
    CHECK_EQ(list[1].freed_bytes, 2 * MIB);
    CHECK_EQ(list[2].claimed_bytes, list[2].freed_bytes);
    CHECK_STATUS(honest.destroyed_inside, OSTLER_E_WOULD_DEADLOCK);
    CHECK_STATUS(honest.reclaimed_inside, OSTLER_E_BUSY);
    CHECK_STATUS(ostler_governor_reclaim(1, 5, NULL, 0, NULL, NULL), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "up_to_kind is 5");
    CHECK_STATUS(ostler_governor_reclaim(UINT64_MAX, OSTLER_RECLAIM_WORKER, NULL, 0, &count, &freed), OSTLER_OK);
    CHECK_EQ(count + freed, 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(liar.account), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(honest.account), OSTLER_OK);
}

TEST(while_the_level_is_high_memory_is_asked_back_unless_only_suggested)
{
    struct cache cache = {0};
    ostler_governor_config config = quick_config();
    ostler_account *user = open_account("user", NULL, 0);
    ostler_arena *arena = arena_that_keeps("spare", 16 * MIB);
    open_cache(&cache, "cache", OSTLER_RECLAIM_LAZY, 40 * MIB);
    uint64_t held = governor_stats().held_bytes;
    config.limit_bytes = held + 30 * MIB;
    config.suggest_only = 1;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(user, 20 * MIB, 0), OSTLER_OK);
    uint64_t ticks = governor_stats().ticks;
    while (governor_stats().ticks < ticks + 5)
        sched_yield();
    CHECK_EQ(governor_stats().level, OSTLER_LEVEL_HIGH);
    CHECK(governor_stats().excess_bytes > 0);
    CHECK_EQ(governor_stats().held_bytes, held + 20 * MIB);
    CHECK_EQ(atomic_load(&cache.calls), 0);

    /* The arena's spare chunks cost nothing and suffice: the cache stays whole. */
    config.suggest_only = 0;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    await_level(OSTLER_LEVEL_NORMAL);
    CHECK(arena_stats(arena).mapped_bytes <= 8 * MIB);
    CHECK_EQ(atomic_load(&cache.calls), 0);

    /* What was refused is made room for. */
    ostler_status status;
    while ((status = ostler_account_reserve(user, 45 * MIB, 0)) == OSTLER_E_MEMORY_PRESSURE)
        sched_yield();
    CHECK_STATUS(status, OSTLER_OK);
    CHECK(atomic_load(&cache.calls) > 0);
    CHECK(atomic_load(&cache.held) < 40 * MIB);
    CHECK_STATUS(ostler_account_destroy(user), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(cache.account), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    govern_no_more();
}

static void *reclaim_all(void *argument)
{
    uint64_t freed = 0;
    (void)argument;
    EXPECT_STATUS(ostler_governor_reclaim(UINT64_MAX, OSTLER_RECLAIM_WORKER, NULL, 0, NULL, &freed), OSTLER_OK);
    return NULL;
}

static void *destroy_cache(void *argument)
{
    struct cache *cache = argument;
    EXPECT_STATUS(ostler_account_destroy(cache->account), OSTLER_OK);
    atomic_store(&cache->gone, true);
    return NULL;
}

TEST(destroy_of_an_account_waits_for_its_reclaim_and_ends_it)
{
    struct cache cache = {.waits = true};
    pthread_t reclaimer, destroyer;
    uint64_t before = governor_stats().held_bytes;
    open_cache(&cache, "slow", OSTLER_RECLAIM_LAZY, MIB);
    CHECK(pthread_create(&reclaimer, NULL, reclaim_all, NULL) == 0);
    while (!atomic_load(&cache.entered))
        sched_yield();
    CHECK_STATUS(ostler_governor_reclaim(1, OSTLER_RECLAIM_WORKER, NULL, 0, NULL, NULL), OSTLER_E_BUSY);
    CHECK(pthread_create(&destroyer, NULL, destroy_cache, &cache) == 0);
    for (int i = 0; i < 100; i++)
        sched_yield();
    CHECK(!atomic_load(&cache.gone));
    /* Closing by then or not, what it holds is given back once. */
    cache.status = -1;
    atomic_store(&cache.leave, true);
    pthread_join(reclaimer, NULL);
    pthread_join(destroyer, NULL);
    CHECK_EQ(governor_stats().held_bytes, before);
    reclaim_all(NULL);
    CHECK_EQ(atomic_load(&cache.calls), 1);
}

static void note_line(void *user_data, uint32_t level, const char *message)
{
    char *line = user_data;
    if (level == OSTLER_LOG_WARN && strstr(message, "account"))
        snprintf(line, 512, "%s", message);
}

TEST(failure_to_reclaim_is_told_to_the_log_in_its_own_words)
{
    struct cache cache = {.status = OSTLER_E_BUSY};
    char line[512] = "";
    open_cache(&cache, "stubborn", OSTLER_RECLAIM_EMPTY, MIB);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_WARN, note_line, line), OSTLER_OK);
    reclaim_all(NULL);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_WARN, NULL, NULL), OSTLER_OK);
    CHECK_STR_EQ(line, "account \"stubborn\": the cache is busy (OSTLER_E_BUSY)");
    CHECK_EQ(account_stats(cache.account).held_bytes, MIB);
    CHECK_STATUS(ostler_account_destroy(cache.account), OSTLER_OK);
}

TEST(this_kernel_s_alarm_is_armed_and_tells_of_nothing_while_nothing_stalls)
{
    struct told told = {0};
    ostler_governor_config config = quick_config();
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    CHECK_STATUS(ostler_governor_watch(note_change, &told, &told.watch_id), OSTLER_OK);
    uint64_t ticks = governor_stats().ticks;
    /* Longer than a window of the kernel's. */
    while (governor_stats().ticks < ticks + 260)
        usleep(10000);
    ostler_governor_stats stats = governor_stats();
    CHECK(stats.alarm_armed == 1 || stats.alarm_errno != 0 || access("/proc/pressure/memory", F_OK) != 0);
    for (int i = 0; i < atomic_load(&told.count); i++)
        if (told.changes[i].pressure == OSTLER_PRESSURE_STALL)
            SKIP("threads of this machine waited for memory");
    CHECK_STATUS(ostler_governor_unwatch(told.watch_id), OSTLER_OK);
    govern_no_more();
}

/* Where the process's own group of version 1 is; empty when there is none. */
static void own_memory_group(char path[256])
{
    char line[256];
    path[0] = 0;
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (file && fgets(line, sizeof line, file)) {
        char *group = strstr(line, ":memory:");
        if (group) {
            line[strcspn(line, "\n")] = 0;
            snprintf(path, 256, "/sys/fs/cgroup/memory%s", group + strlen(":memory:"));
        }
    }
    if (file)
        fclose(file);
}

#define IN_GROUP "OSTLER_TEST_IN_GROUP"

/* Runs the test of that name in a program of its own, inside a group of 64 MiB; tells how it ended. */
static int run_in_small_group(const char *test)
{
    char group[256], path[300];
    own_memory_group(group);
    if (!group[0] || access(group, W_OK) != 0)
        SKIP("no memory control group of version 1 that this process may divide");
    size_t length = strlen(group);
    snprintf(group + length, sizeof group - length, "/ostler-test-%d", (int)getpid());
    if (mkdir(group, 0755) != 0)
        SKIP("no memory control group can be made: %s", strerror(errno));
    write_file(group, "memory.limit_in_bytes", "%llu\n", 64ULL << 20);
    pid_t child = fork();
    if (child == 0) {
        snprintf(path, sizeof path, "%s/cgroup.procs", group);
        FILE *procs = fopen(path, "w");
        if (!procs || fprintf(procs, "%d\n", (int)getpid()) < 0 || fclose(procs) != 0)
            _exit(99);
        setenv(IN_GROUP, "1", 1);
        execl("/proc/self/exe", "governor", test, (char *)NULL);
        _exit(98);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    for (int tries = 0; rmdir(group) != 0 && tries < 100; tries++)
        usleep(10000);
    return status;
}

/* A group of 64 MiB, of which 128 MiB are asked. A process that took them would be killed. */
static void ask_for_more_than_the_group_has(uint32_t prefault)
{
    ostler_page_source source = base_pages;
    source.prefault = prefault;
    ostler_arena_config config = small_chunks();
    config.source = &source;
    config.chunk_bytes = 2 * MIB;
    ostler_arena *arena = make_arena(config);
    ostler_status status = OSTLER_OK;
    uint64_t got = 0;
    ostler_governor_stats stats = governor_stats();
    CHECK_EQ(stats.limited_by, OSTLER_LIMITED_BY_CGROUP_V1);
    CHECK_EQ(stats.limit_bytes, 64 * MIB);
    for (void *bytes; got < 128 * MIB; got += MIB) {
        status = ostler_arena_alloc(arena, MIB, 0, &bytes);
        if (status != OSTLER_OK)
            break;
        memset(bytes, 1, MIB);
    }
    /* What the sanitizer takes meanwhile may be seen first when pages are brought in. */
    if (status == OSTLER_E_OUT_OF_MEMORY && prefault) {
        CHECK_STR_CONTAINS(ostler_last_error_message(), "the control group has too little memory left");
    } else {
        CHECK_STATUS(status, OSTLER_E_MEMORY_PRESSURE);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "64 MiB (cgroup memory.limit_in_bytes)");
    }
    CHECK(got < 64 * MIB);
#ifndef CHECK_SANITIZED
    CHECK(got >= 32 * MIB);
#endif
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);

    /* At once, too. */
    config.chunk_bytes = 128 * MIB;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_E_MEMORY_PRESSURE);
    CHECK_EQ(governor_stats().held_bytes, 0);
}

TEST(inside_a_small_group)
{
    if (!getenv(IN_GROUP))
        SKIP("is run by the test after it");
    ask_for_more_than_the_group_has(0);
    ask_for_more_than_the_group_has(1);
}

TEST(more_than_a_real_group_has_is_a_status_and_the_process_lives)
{
    int status = run_in_small_group("inside_a_small_group");
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

static ostler_advice advice_on(ostler_page_source source, uint64_t bytes)
{
    ostler_advice advice = {.struct_size = sizeof advice};
    CHECK_STATUS(ostler_page_source_advise(&source, bytes, &advice), OSTLER_OK);
    return advice;
}

static ostler_status create_of(ostler_page_source source, uint64_t bytes, ostler_arena **arena)
{
    ostler_arena_config config = small_chunks();
    config.source = &source;
    config.chunk_bytes = bytes;
    return ostler_arena_create(&config, arena);
}

/* A request that would be refused, and is: then what the advice names, set to what it says, is enough. */
static void check_refusal(ostler_page_source source, uint64_t bytes, uint32_t limit, const char *setting)
{
    ostler_arena *arena;
    ostler_advice advice = advice_on(source, bytes);
    CHECK(advice.holds == 0 && advice.obstacle_count >= 1);
    const ostler_obstacle *last = &advice.obstacles[advice.obstacle_count - 1];
    CHECK_EQ(last->limit, limit);
    CHECK_STR_EQ(last->setting, setting);
    CHECK(last->left_bytes < last->wanted_bytes);
    uint64_t refusals = governor_stats().refusals, held = governor_stats().held_bytes;
    CHECK_STATUS(create_of(source, bytes, &arena), OSTLER_E_MEMORY_PRESSURE);
    CHECK(governor_stats().refusals > refusals && governor_stats().held_bytes == held);
}

TEST(advice_tells_of_the_configured_limit_and_what_would_be_enough)
{
    ostler_arena *arena;
    ostler_account *cache = open_account("cache", NULL, 0);
    CHECK_STATUS(ostler_account_reserve(cache, 40 * MIB, 0), OSTLER_OK);
    for (int is_percent = 0; is_percent < 2; is_percent++) {
        ostler_governor_config config = governor_config();
        struct group group = fake_group(0);
        write_file(group.folder, "memory.max", "%llu\n", 1000ULL << 20);
        config.cgroup_folder = group.inner;
        config.limit_bytes = 64 * MIB;
        if (is_percent) {
            config.limit_bytes = 0;
            config.limit_percent = 10;
        }
        CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
        CHECK_EQ(advice_on(base_pages, 4 * MIB).holds, 1);
        check_refusal(base_pages, 80 * MIB, OSTLER_LIMIT_GOVERNOR,
                      is_percent ? "ostler_governor_config.limit_percent" : "ostler_governor_config.limit_bytes");
        ostler_advice advice = advice_on(base_pages, 80 * MIB);
        uint64_t value = strtoull(advice.obstacles[advice.obstacle_count - 1].value, NULL, 10);
        if (is_percent)
            config.limit_percent = (uint32_t)value;
        else
            config.limit_bytes = value;
        CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
        CHECK_EQ(advice_on(base_pages, 80 * MIB).holds, 1);
        CHECK_STATUS(create_of(base_pages, 80 * MIB, &arena), OSTLER_OK);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
        govern_no_more();
        remove_group(&group);
    }
    /* More than all there is: no share would do. */
    ostler_governor_config config = governor_config();
    config.limit_percent = 1;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    ostler_advice advice = advice_on(base_pages, (uint64_t)1 << 45);
    CHECK(advice.holds == 0 && advice.obstacle_count >= 1);
    CHECK_EQ(advice.obstacles[advice.obstacle_count - 1].limit, OSTLER_LIMIT_GOVERNOR);
    CHECK_STR_EQ(advice.obstacles[advice.obstacle_count - 1].value, "0");
    CHECK_STATUS(ostler_account_destroy(cache), OSTLER_OK);
    govern_no_more();
}

/* What is critically short is refused though no limit is passed. */
TEST(advice_tells_of_a_critical_level)
{
    ostler_account *cache = open_account("cache", NULL, 0);
    limit_to(100 * MIB);
    CHECK_STATUS(ostler_account_reserve(cache, 97 * MIB, 0), OSTLER_OK);
    await_level(OSTLER_LEVEL_CRITICAL);
    check_refusal(base_pages, 2 * MIB, OSTLER_LIMIT_GOVERNOR, "ostler_governor_config.limit_bytes");
    CHECK_STATUS(ostler_account_destroy(cache), OSTLER_OK);
    govern_no_more();
}

#ifndef CHECK_SANITIZED /* which reserves terabytes of address space */
static uint64_t mapped(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%llu", &pages) == 1);
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void set_address_space(uint64_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

TEST(address_space_is_the_least_limit_where_it_is)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (setenv(IN_GROUP, "1", 1) == 0)
            execl("/proc/self/exe", "governor", "inside_a_small_address_space", (char *)NULL);
        _exit(98);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST(inside_a_small_address_space)
{
    if (!getenv(IN_GROUP))
        SKIP("is run by the test before it");
    ostler_arena *arena;
    struct told told = {0};
    uint64_t room = 96 * MIB;
    ostler_governor_config config = quick_config();
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    CHECK_STATUS(ostler_governor_watch(note_change, &told, &told.watch_id), OSTLER_OK);
    await_level(OSTLER_LEVEL_LOW);
    /* Nothing but the limit changes, so its fill is what is mapped. */
    uint64_t limit = mapped() + room;
    set_address_space(limit);
    ostler_governor_stats stats = governor_stats();
    CHECK_EQ(stats.limited_by, OSTLER_LIMITED_BY_ADDRESS_SPACE);
    CHECK_EQ(stats.limit_bytes, limit);
    check_refusal(base_pages, 2 * room, OSTLER_LIMIT_ADDRESS_SPACE, "RLIMIT_AS");
    CHECK_STR_CONTAINS(ostler_last_error_message(), "(RLIMIT_AS)");
    CHECK_EQ(advice_on(base_pages, room / 4).holds, 1);
    /* Explicit huge pages count against no other limit of the kernel's, but take address space, too. */
    ostler_page_source huge = base_pages;
    huge.page_policy = OSTLER_PAGES_2M;
    CHECK_EQ(advice_on(huge, 2 * room).obstacles[0].limit, OSTLER_LIMIT_ADDRESS_SPACE);

    /* A fill of it is a level, which is told of. */
    CHECK_STATUS(create_of(base_pages, room / 4 * 3, &arena), OSTLER_OK);
    uint32_t level = OSTLER_LEVEL_LOW;
    while (level == OSTLER_LEVEL_LOW) {
        stats = governor_stats();
        level = stats.level;
    }
    CHECK_EQ(stats.pressure, OSTLER_PRESSURE_ADDRESS_SPACE);
    await_changes(&told, 1);
    CHECK_EQ(told.changes[0].pressure, OSTLER_PRESSURE_ADDRESS_SPACE);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);

    /* What is advised is enough. */
    ostler_advice advice = advice_on(base_pages, 2 * room);
    set_address_space(strtoull(advice.obstacles[advice.obstacle_count - 1].value, NULL, 10));
    ostler_status made;
    /* The level cools down. */
    while ((made = create_of(base_pages, 2 * room, &arena)) == OSTLER_E_MEMORY_PRESSURE &&
           governor_stats().level == OSTLER_LEVEL_CRITICAL)
        sched_yield();
    CHECK_STATUS(made, OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_governor_unwatch(told.watch_id), OSTLER_OK);
    govern_no_more();
}
#endif

/* A socket whose other end goes with something unread tells its poll of an error (POLLERR). */
TEST(alarm_that_breaks_is_given_up_and_stalls_are_still_measured)
{
    struct group group = fake_group(0);
    struct told told = {0};
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    char pressure[160];
    tell_stalls(&group, 0, 0);
    snprintf(pressure, sizeof pressure, "%s/memory.pressure", group.inner);
    snprintf(place.sun_path, sizeof place.sun_path, "%s/s", group.folder);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&place, sizeof place) == 0 && listen(listener, 1) == 0);
    ostler_governor_config config = quick_config();
    config.pressure_file = pressure;
    setenv("MEMORY_PRESSURE_WATCH", place.sun_path, 1);
    setenv("MEMORY_PRESSURE_WRITE", "c29tZSAyMDAwMDAgMjAwMDAwMAA=", 1);
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    unsetenv("MEMORY_PRESSURE_WATCH");
    unsetenv("MEMORY_PRESSURE_WRITE");
    CHECK_STATUS(ostler_governor_watch(note_change, &told, &told.watch_id), OSTLER_OK);
    int alarm = accept(listener, NULL, NULL);
    CHECK(alarm >= 0);
    while (!governor_stats().alarm_armed)
        sched_yield();
    CHECK_EQ(governor_stats().alarm_errno, 0);
    /* What it was told is there, and stays unread. */
    struct pollfd readable = {.fd = alarm, .events = POLLIN};
    CHECK_EQ(poll(&readable, 1, 10000), 1);
    close(alarm);
    while (governor_stats().alarm_armed)
        sched_yield();
    CHECK_EQ(governor_stats().alarm_errno, EPIPE);
    CHECK_EQ(atomic_load(&told.count), 0);
    tell_stalls(&group, 1000000, 1000000);
    await_changes(&told, 2);
    CHECK_EQ(told.changes[0].level, OSTLER_LEVEL_CRITICAL);
    CHECK_EQ(told.changes[0].pressure, OSTLER_PRESSURE_STALL);
    CHECK_STATUS(ostler_governor_unwatch(told.watch_id), OSTLER_OK);
    close(listener);
    unlink(place.sun_path);
    govern_no_more();
    remove_group(&group);
}

CHECK_MAIN()
