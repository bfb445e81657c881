/* The governor of memory: what is held is what is charged, what would pass a limit is refused before it is taken, and the
 * limits are those of the moment, also of a real control group. */
#include "arenas.h"
#include "governed.h"
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

CHECK_MAIN()
