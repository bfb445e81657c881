/* What can be refused is refused, one after the other: the n-th visit of each point fails, n = 1, 2, 3, ..., until the
 * scenario is not touched any more. Each time the failure is told, and afterwards nothing is left. */
#ifndef OSTLER_TESTS_FAULTS_H
#define OSTLER_TESTS_FAULTS_H

#include "fixtures.h"
#include "ostler_faults.h"
#include <dirent.h>
#include <errno.h>
#include <time.h>

#define PANICS (-1)
enum { MOST_VISITS = 2000 };

struct scenario {
    /* Returns the first status that was not OSTLER_OK, and ends whatever it began. */
    ostler_status (*run)(void);
    /* Statuses that a refusal may become, ended by OSTLER_OK. */
    ostler_status allowed[6];
};

static inline int count_threads(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    while (tasks != NULL && readdir(tasks) != NULL)
        count++;
    if (tasks != NULL)
        closedir(tasks);
    return count - 2;
}

static inline int count_chunks(void)
{
    char line[512];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, "ostler") != NULL && strstr(line, "libostler") == NULL;
    if (maps != NULL)
        fclose(maps);
    return count;
}

static inline int count_descriptors(void)
{
    int count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (all != NULL && readdir(all) != NULL)
        count++;
    if (all != NULL)
        closedir(all);
    return count;
}

static inline int is_allowed(const struct scenario *scenario, ostler_status status)
{
    for (const ostler_status *allowed = scenario->allowed; *allowed != OSTLER_OK; allowed++)
        if (*allowed == status)
            return 1;
    return status == OSTLER_OK;
}

static inline void check_nothing_is_left(uint32_t point, uint64_t nth)
{
    if (ostler_faults_live() != 0)
        FAIL("point %u, visit %llu: %llu objects are left", point, (unsigned long long)nth,
             (unsigned long long)ostler_faults_live());
    if (count_chunks() != 0)
        FAIL("point %u, visit %llu: %d chunks are still mapped", point, (unsigned long long)nth, count_chunks());
    ostler_governor_stats governor = {.struct_size = sizeof governor};
    EXPECT_STATUS(ostler_governor_get_stats(&governor), OSTLER_OK);
    if (governor.held_bytes != 0)
        FAIL("point %u, visit %llu: %llu bytes are still charged", point, (unsigned long long)nth,
             (unsigned long long)governor.held_bytes);
    /* A thread that was joined may still be on its way out of the kernel. */
    for (time_t begin = time(NULL); count_threads() != 1; sched_yield())
        if (time(NULL) - begin > 60)
            FAIL("point %u, visit %llu: %d threads are left", point, (unsigned long long)nth, count_threads());
}

static inline void fail_each_visit(const struct scenario *scenario, uint32_t point, int32_t os_errno)
{
    /* What the library keeps for good is there from now on, also what the governor opens when it is asked. */
    EXPECT_STATUS(scenario->run(), OSTLER_OK);
    check_nothing_is_left(point, 0);
    int descriptors = count_descriptors();
    for (uint64_t nth = 1; nth < MOST_VISITS; nth++) {
        ostler_faults_set(point, nth, os_errno, 0);
        ostler_status status = scenario->run();
        uint64_t visits = ostler_faults_hits(point);
        ostler_faults_set(point, 0, 0, 0);
        if (!is_allowed(scenario, status))
            FAIL("point %u, visit %llu: %s: %s", point, (unsigned long long)nth, ostler_status_name(status),
                 ostler_last_error_message());
        check_nothing_is_left(point, nth);
        if (count_descriptors() != descriptors)
            FAIL("point %u, visit %llu: a descriptor is left", point, (unsigned long long)nth);
        if (visits < nth) {
            if (status != OSTLER_OK)
                FAIL("untouched it ended with %s: %s", ostler_status_name(status), ostler_last_error_message());
            return;
        }
    }
    FAIL("point %u is still visited after %d failures", point, MOST_VISITS);
}

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        ostler_status tried = (call);                                                                                  \
        if (status == OSTLER_OK)                                                                                       \
            status = tried;                                                                                            \
    } while (0)

#endif
