/* Advice on the governor's limits: what would be refused, and is, and what each limit must be for it not to be. */
#include "arenas.h"
#include "governed.h"
#include <sys/resource.h>
#include <sys/wait.h>

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

#define IN_SMALL_SPACE "OSTLER_TEST_IN_SMALL_SPACE"

TEST(address_space_is_the_least_limit_where_it_is)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        /* A heap of its own for each thread would take address space whenever a thread allocates for the first time. */
        if (setenv(IN_SMALL_SPACE, "1", 1) == 0 && setenv("MALLOC_ARENA_MAX", "1", 1) == 0)
            execl("/proc/self/exe", "governor", "inside_a_small_address_space", (char *)NULL);
        _exit(98);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST(inside_a_small_address_space)
{
    if (!getenv(IN_SMALL_SPACE))
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

CHECK_MAIN()
