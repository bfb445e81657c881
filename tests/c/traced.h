/* What tracing shows, for tests. */
#ifndef OSTLER_TESTS_TRACED_H
#define OSTLER_TESTS_TRACED_H

#include "check.h"
#include <ostler.h>

/* So rare a sample falls on nothing. */
#define MAPPINGS_ALONE ((uint64_t)1 << 40)

static inline void start(uint64_t sample_bytes)
{
    ostler_tracing_config config;
    CHECK_STATUS(ostler_tracing_config_init(&config, sizeof config), OSTLER_OK);
    config.sample_bytes = sample_bytes;
    config.seed = 7;
    CHECK_STATUS(ostler_tracing_start(&config), OSTLER_OK);
}

static inline ostler_tracing_stats tracing_stats(void)
{
    ostler_tracing_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_tracing_get_stats(&stats), OSTLER_OK);
    return stats;
}

/* The groups that were shown, of which a few words are kept. */
struct seen {
    int groups;
    uint32_t kind[64];
    uint64_t bytes[64], blocks[64], account[64];
    char stack[64][4096], holder[64][16], name[64][OSTLER_NAME_BYTES], module[64][512];
};
static struct seen seen;

static inline void see(void *user_data, const ostler_trace_group *group)
{
    struct seen *to = user_data;
    int at = to->groups < 64 ? to->groups++ : 63;
    EXPECT_EQ(group->struct_size, sizeof *group);
    to->kind[at] = group->kind;
    to->bytes[at] = group->bytes;
    to->blocks[at] = group->blocks;
    to->account[at] = group->account;
    snprintf(to->holder[at], sizeof to->holder[at], "%s", group->holder);
    snprintf(to->name[at], sizeof to->name[at], "%s", group->name);
    to->stack[at][0] = 0;
    for (uint32_t i = 0; i < group->frame_count; i++) {
        size_t length = strlen(to->stack[at]);
        snprintf(to->stack[at] + length, sizeof to->stack[at] - length, "%s ", group->frames[i].function);
        EXPECT(strstr(group->frames[i].module, "libostler") == NULL);
        if (i == 0)
            snprintf(to->module[at], sizeof to->module[at], "%s", group->frames[i].module);
    }
}

static inline void look(uint32_t by)
{
    memset(&seen, 0, sizeof seen);
    CHECK_STATUS(ostler_tracing_visit(by, see, &seen), OSTLER_OK);
}

/* The group whose call stack begins with a function, -1 when there is none. */
static inline int group_of(const char *function)
{
    for (int i = 0; i < seen.groups; i++)
        if (strstr(seen.stack[i], function))
            return i;
    return -1;
}

#endif
