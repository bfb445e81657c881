/* The governor's levels: each is told once, by fill or by stalls, on a thread that is there only while it is wanted. */
#include "arenas.h"
#include "governed.h"
#include <dirent.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#define HOUR_US ((uint64_t)3600 * 1000000)

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

    /* All threads waited for longer than any look is late. */
    tell_stalls(&group, 5000000 + HOUR_US, 3000000 + HOUR_US);
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
    /* A thread that was joined may still be on its way out of the kernel. */
    while (threads_named("ostler-governor", &unblocked) > 0)
        sched_yield();
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
    CHECK_EQ(poll(&readable, 1, -1), 1);
    close(alarm);
    while (governor_stats().alarm_armed)
        sched_yield();
    CHECK_EQ(governor_stats().alarm_errno, EPIPE);
    CHECK_EQ(atomic_load(&told.count), 0);
    tell_stalls(&group, HOUR_US, HOUR_US);
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
