/* The governor for tests: what it tells, accounts, and control groups that are only files. */
#ifndef OSTLER_TESTS_GOVERNED_H
#define OSTLER_TESTS_GOVERNED_H

#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <ostler.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define MIB ((uint64_t)1 << 20)

static inline ostler_governor_stats governor_stats(void)
{
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
    return stats;
}

static inline void await_level(uint32_t level)
{
    while (governor_stats().level != level)
        sched_yield();
}

static inline ostler_governor_config governor_config(void)
{
    ostler_governor_config config;
    CHECK_STATUS(ostler_governor_config_init(&config, sizeof config), OSTLER_OK);
    return config;
}

/* The process as it was before any test, for the next one. */
static inline void govern_no_more(void)
{
    EXPECT_STATUS(ostler_governor_configure(NULL), OSTLER_OK);
}

/* Looks often, and forgets what it measured at once. */
static inline ostler_governor_config quick_config(void)
{
    ostler_governor_config config = governor_config();
    config.tick_ns = 10000000;
    config.cool_down_ns = 1;
    return config;
}

static inline void limit_to(uint64_t limit_bytes)
{
    ostler_governor_config config = governor_config();
    config.limit_bytes = limit_bytes;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
}

static inline ostler_account *open_account(const char *name, ostler_account *parent, uint64_t limit_bytes)
{
    ostler_account_config config;
    ostler_account *account;
    CHECK_STATUS(ostler_account_config_init(&config, sizeof config), OSTLER_OK);
    config.parent = parent;
    config.limit_bytes = limit_bytes;
    snprintf(config.name, sizeof config.name, "%s", name);
    CHECK_STATUS(ostler_account_create(&config, &account), OSTLER_OK);
    return account;
}

static inline ostler_account_stats account_stats(ostler_account *account)
{
    ostler_account_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_account_get_stats(account, &stats), OSTLER_OK);
    return stats;
}

/* What a watch was told. */
#define MOST_CHANGES 64

struct told {
    ostler_level_change changes[MOST_CHANGES];
    atomic_int count;
    uint64_t watch_id;
};

static inline void note_change(void *user_data, const ostler_level_change *change)
{
    struct told *told = user_data;
    int place = atomic_load(&told->count);
    EXPECT_EQ(change->struct_size, sizeof *change);
    if (EXPECT(place < MOST_CHANGES))
        told->changes[place] = *change;
    atomic_store(&told->count, place + 1);
}

static inline void await_changes(struct told *told, int count)
{
    while (atomic_load(&told->count) < count)
        sched_yield();
}

/* A folder of files as a control group has them, below another. */
struct group {
    char folder[96];
    char inner[128];
};

__attribute__((format(printf, 3, 4))) static inline void write_file(const char *folder, const char *name,
                                                                   const char *format, ...)
{
    /* In place and of the same length each time, so that nobody ever reads a file that is half written. */
    char path[256], text[128];
    va_list arguments;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memset(text + length, ' ', sizeof text - (size_t)length);
    int file = open(path, O_WRONLY | O_CREAT, 0600);
    EXPECT(file >= 0 && pwrite(file, text, sizeof text, 0) == (ssize_t)sizeof text);
    close(file);
}

/* Both groups of version 2, without a limit, and with `used` bytes. */
static inline struct group fake_group(uint64_t used)
{
    struct group group;
    const char *room = getenv("TMPDIR");
    snprintf(group.folder, sizeof group.folder, "%s/ostler-group-XXXXXX", room ? room : "/tmp");
    CHECK(mkdtemp(group.folder) != NULL);
    snprintf(group.inner, sizeof group.inner, "%s/inner", group.folder);
    CHECK(mkdir(group.inner, 0700) == 0);
    for (int level = 0; level < 2; level++) {
        const char *folder = level ? group.inner : group.folder;
        write_file(folder, "memory.max", "max\n");
        write_file(folder, "memory.high", "max\n");
        write_file(folder, "memory.current", "%llu\n", (unsigned long long)used);
        write_file(folder, "memory.stat", "anon 0\ninactive_file 0\n");
    }
    return group;
}

static inline void obey(const struct group *group)
{
    ostler_governor_config config = governor_config();
    config.cgroup_folder = group->inner;
    config.cool_down_ns = 1;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
}

/* Sums of pressure stall information. */
static inline void tell_stalls(const struct group *group, uint64_t some_us, uint64_t full_us)
{
    write_file(group->inner, "memory.pressure",
               "some avg10=0 avg60=0 avg300=0 total=%llu\nfull avg10=0 avg60=0 avg300=0 total=%llu\n",
               (unsigned long long)some_us, (unsigned long long)full_us);
}

static inline void remove_group(const struct group *group)
{
    static const char *const files[] = {"memory.max",  "memory.high",     "memory.current",
                                        "memory.stat", "memory.pressure", "memory.usage_in_bytes", "memory.limit_in_bytes"};
    char path[256];
    for (int level = 0; level < 2; level++) {
        const char *folder = level ? group->folder : group->inner;
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            snprintf(path, sizeof path, "%s/%s", folder, files[i]);
            remove(path);
        }
        rmdir(folder);
    }
}

#endif
