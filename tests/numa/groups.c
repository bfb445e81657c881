/* Limits of control groups of version 2 in which a process creates arenas: an answer before the kernel would kill or
 * stall it. Each test runs in a group of its own. */
#include "nodes.h"
#include <sys/mman.h>
#include <sys/stat.h>

#define GROUPS "/sys/fs/cgroup/"
#define LIMIT (64 * MIB)

struct group {
    char folder[64];
};

static void file_of(const struct group *group, const char *name, char path[128])
{
    snprintf(path, 128, "%s/%s", group->folder, name);
}

static void set(const struct group *group, const char *name, uint64_t value)
{
    char path[128], text[32];
    file_of(group, name, path);
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    write_text(path, text);
}

static long long event(const struct group *group, const char *name)
{
    char path[128];
    file_of(group, "memory.events", path);
    return read_field(path, name);
}

/* Microseconds in which something in the group waited for memory. */
static long long stalled_us(const struct group *group)
{
    char path[128];
    file_of(group, "memory.pressure", path);
    return read_field(path, "total");
}

static struct group make_group(const char *name)
{
    struct group group;
    snprintf(group.folder, sizeof group.folder, GROUPS "%s", name);
    CHECK_EQ(mkdir(group.folder, 0755), 0);
    return group;
}

/* Begins a body in the group, in a process that has not used the library before. */
static pid_t begin_in(const struct group *group, void (*body)(void))
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char path[128];
        file_of(group, "cgroup.procs", path);
        if (setjmp(check_run.over) == 0) {
            write_text(path, "0");
            body();
        }
        if (check_run.outcome != CHECK_PASSED)
            fprintf(stderr, "%s\n", check_run.why);
        _exit(check_run.outcome == CHECK_PASSED ? 0 : 1);
    }
    return child;
}

/* The same to its end. Its wait status. */
static int run_in(const struct group *group, void (*body)(void))
{
    int status;
    pid_t child = begin_in(group, body);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}

static void end_group(const struct group *group) { CHECK_EQ(rmdir(group->folder), 0); }

static void check_survived(int status)
{
    if (WIFSIGNALED(status))
        FAIL("died of signal %d", WTERMSIG(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

/* The file of the limit that a refusal has to name. */
static const char *limit_file;

static void asks_for_twice_the_limit(void)
{
    ostler_arena *arena;
    for (uint32_t pages = OSTLER_PAGES_TRANSPARENT; pages <= OSTLER_PAGES_BASE; pages++) {
        ostler_status status = create(strictly(asking_for(pages, OSTLER_NODE_ANY, 0)), 2 * LIMIT, &arena);
        CHECK(status == OSTLER_E_OUT_OF_MEMORY || status == OSTLER_E_MEMORY_PRESSURE ||
              status == OSTLER_E_PAGES_UNAVAILABLE);
        CHECK_STR_CONTAINS(ostler_last_error_message(), limit_file);
    }
    /* What does fit is to be had afterwards. */
    destroy(make(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ANY, 0), LIMIT / 2));
}

static void grows_until_it_is_refused(void)
{
    ostler_arena *arena = make(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ANY, 0), 4 * MIB);
    void *block;
    uint64_t taken = 0;
    ostler_status status = OSTLER_OK;
    for (; taken < 2 * LIMIT && status == OSTLER_OK; taken += MIB) {
        status = ostler_arena_alloc(arena, MIB, 0, &block);
        if (status == OSTLER_OK)
            memset(block, 1, MIB);
    }
    CHECK(status == OSTLER_E_OUT_OF_MEMORY || status == OSTLER_E_MEMORY_PRESSURE);
    CHECK(taken > LIMIT / 2 && taken < LIMIT);
    destroy(arena);
}

/* What a program does that does not ask beforehand. */
static void touch(uint64_t size)
{
    volatile char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(bytes != MAP_FAILED);
    for (uint64_t at = 0; at < size; at += 4096)
        bytes[at] = 1;
}

static void touches_twice_the_limit(void) { touch(2 * LIMIT); }
static void touches_a_little_more(void) { touch(LIMIT + MIB / 2); }

TEST(more_than_memory_max_is_a_status_and_the_process_lives)
{
    struct group group = make_group("max");
    set(&group, limit_file = "memory.max", LIMIT);
    check_survived(run_in(&group, asks_for_twice_the_limit));
    CHECK_EQ(event(&group, "oom_kill"), 0);
    /* Without the library's arithmetic it would have died. */
    int naive = run_in(&group, touches_twice_the_limit);
    CHECK(WIFSIGNALED(naive) && WTERMSIG(naive) == SIGKILL);
    CHECK_EQ(event(&group, "oom_kill"), 1);
    end_group(&group);
}

TEST(an_ancestors_limit_counts_too)
{
    struct group outer = make_group("outer"), inner;
    write_text(GROUPS "outer/cgroup.subtree_control", "+memory");
    inner = make_group("outer/inner");
    set(&outer, limit_file = "memory.max", LIMIT);
    check_survived(run_in(&inner, asks_for_twice_the_limit));
    CHECK_EQ(event(&outer, "oom_kill"), 0);
    end_group(&inner);
    end_group(&outer);
}

/* Past memory.high the kernel lets a process sleep longer and longer; 128 MiB with a limit of 64 take it 18 seconds. */
TEST(memory_high_ends_a_creation_before_the_kernel_stalls_it)
{
    struct group group = make_group("high");
    set(&group, limit_file = "memory.high", LIMIT);
    check_survived(run_in(&group, asks_for_twice_the_limit));
    check_survived(run_in(&group, grows_until_it_is_refused));
    CHECK_EQ(event(&group, "high"), 0);
    CHECK(stalled_us(&group) < 500000);
    check_survived(run_in(&group, touches_a_little_more));
    CHECK(event(&group, "high") > 0);
    end_group(&group);
}

/* Pressure stall information: the kernel's alarm alone can wake the governor, whose own look comes once a minute. */

static _Atomic uint32_t highest_level, pressure_then;

static void note_level(void *user_data, const ostler_level_change *change)
{
    (void)user_data;
    if (change->level > highest_level) {
        pressure_then = change->pressure;
        highest_level = change->level;
    }
}

static void touches_far_more(void) { touch(LIMIT + 6 * MIB); }

static ostler_governor_stats governor_stats(void)
{
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
    return stats;
}

static void watches_the_stalls_of_a_neighbour(void)
{
    uint64_t watch_id;
    struct group group = make_group("stall");
    char pressure_file[128];
    set(&group, "memory.high", LIMIT);
    file_of(&group, "memory.pressure", pressure_file);
    ostler_governor_config config;
    CHECK_STATUS(ostler_governor_config_init(&config, sizeof config), OSTLER_OK);
    config.pressure_file = pressure_file;
    config.tick_ns = 60 * UINT64_C(1000000000);
    config.stall_high_percent = 1;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    CHECK_STATUS(ostler_governor_watch(note_level, NULL, &watch_id), OSTLER_OK);
    for (int tries = 0; governor_stats().alarm_armed != 1 && tries < 500; tries++)
        usleep(10000);
    CHECK_EQ(governor_stats().alarm_armed, 1);
    CHECK(highest_level < OSTLER_LEVEL_HIGH);

    pid_t neighbour = begin_in(&group, touches_far_more);
    for (int tries = 0; highest_level < OSTLER_LEVEL_HIGH && tries < 3000; tries++)
        usleep(10000);
    kill(neighbour, SIGKILL);
    CHECK_EQ(waitpid(neighbour, NULL, 0), neighbour);
    CHECK(highest_level >= OSTLER_LEVEL_HIGH);
    CHECK_EQ(pressure_then, OSTLER_PRESSURE_STALL);
    CHECK(governor_stats().stall_some_permille > 0);
    CHECK_STATUS(ostler_governor_unwatch(watch_id), OSTLER_OK);
    CHECK_STATUS(ostler_governor_configure(NULL), OSTLER_OK);
    end_group(&group);
}

TEST(the_kernels_alarm_tells_of_a_stall)
{
    struct group none = {GROUPS "."};
    check_survived(run_in(&none, watches_the_stalls_of_a_neighbour));
}

static void outlives_the_group_it_watches(void)
{
    uint64_t watch_id;
    struct group group = make_group("gone");
    char pressure_file[128];
    file_of(&group, "memory.pressure", pressure_file);
    ostler_governor_config config;
    CHECK_STATUS(ostler_governor_config_init(&config, sizeof config), OSTLER_OK);
    config.pressure_file = pressure_file;
    config.tick_ns = 10 * UINT64_C(1000000);
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    highest_level = OSTLER_LEVEL_LOW;
    CHECK_STATUS(ostler_governor_watch(note_level, NULL, &watch_id), OSTLER_OK);
    for (int tries = 0; governor_stats().alarm_armed != 1 && tries < 500; tries++)
        usleep(10000);
    CHECK_EQ(governor_stats().alarm_armed, 1);
    /* From now on a poll of the file is answered with POLLERR at once, again and again. */
    end_group(&group);
    for (int tries = 0; governor_stats().alarm_armed == 1 && tries < 1000; tries++)
        usleep(10000);
    ostler_governor_stats stats = governor_stats();
    CHECK_EQ(stats.alarm_armed, 0);
    CHECK_EQ(stats.alarm_errno, EPIPE);
    /* It still ticks, and does not spin. */
    usleep(500000);
    uint64_t ticks = governor_stats().ticks - stats.ticks;
    CHECK(ticks >= 2 && ticks < 200);
    CHECK_EQ(highest_level, OSTLER_LEVEL_LOW);
    ostler_account *account;
    CHECK_STATUS(ostler_account_create(NULL, &account), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(account, MIB, 0), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(account), OSTLER_OK);
    CHECK_STATUS(ostler_governor_unwatch(watch_id), OSTLER_OK);
    CHECK_STATUS(ostler_governor_configure(NULL), OSTLER_OK);
}

TEST(a_watched_group_that_goes_is_no_busy_loop)
{
    struct group none = {GROUPS "."};
    check_survived(run_in(&none, outlives_the_group_it_watches));
}

static void asks_for_too_many_huge_pages(void)
{
    ostler_arena *arena;
    CHECK_STATUS(create(strictly(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ANY, 0)), 16 * MIB, &arena),
                 OSTLER_E_PAGES_UNAVAILABLE);
    arena = make(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ANY, 0), 16 * MIB);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK(receipt.step_count >= 1);
    CHECK_EQ(receipt.steps[0].page_policy, OSTLER_PAGES_2M);
    CHECK_EQ(receipt.steps[0].limit, OSTLER_LIMIT_HUGETLB_CGROUP);
    CHECK(receipt.steps[0].os_errno == ENOMEM || receipt.steps[0].os_errno == EFAULT);
    destroy(arena);
    destroy(make(strictly(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ANY, 0)), 4 * MIB));
}

/* One limit holds when pages are promised, the other only when they are touched, where the kernel's answer is SIGBUS. */
TEST(limits_on_huge_pages_are_steps)
{
    static const char *const limits[] = {"hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"};
    set_huge_pages(0, 16);
    for (int i = 0; i < 2; i++) {
        struct group group = make_group("huge");
        set(&group, limits[i], 4 * MIB);
        check_survived(run_in(&group, asks_for_too_many_huge_pages));
        end_group(&group);
        CHECK(free_huge_pages(0) == 16 && promised_huge_pages() == 0);
    }
    set_huge_pages(0, 0);
}

CHECK_MAIN()
