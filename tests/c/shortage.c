/* Pages run short: never a signal, always the reason, and nothing stays taken. Each body runs in a process of its own, which
 * has not used the library before. */
#include "shortages.h"
#include <sys/resource.h>

static void asks_for_one_page_more(void) { ask_in_vain(4, OSTLER_LIMIT_HUGE_PAGE_POOL); }

TEST(a_pool_short_by_one_page)
{
    begin_pool(3);
    struct pool before = pool_now(), after;
    run(asks_for_one_page_more);
    after = pool_now();
    end_pool();
    CHECK(memcmp(&before, &after, sizeof before) == 0);
}

/* Takes pages and gives them back as quickly as it can, without a reservation, until it is killed. */
static pid_t start_thief(int pages)
{
    pid_t thief = fork();
    CHECK(thief >= 0);
    if (thief == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            size_t bytes = (size_t)pages * HUGE_BYTES;
            void *loot = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
            if (loot != MAP_FAILED) {
                madvise(loot, bytes, MADV_POPULATE_WRITE);
                munmap(loot, bytes);
            }
        }
    }
    return thief;
}

static void asks_beside_a_thief(void)
{
    int got = 0;
    for (int i = 0; i < 100; i++) {
        ostler_arena *arena;
        CHECK_STATUS(create(asking_for(OSTLER_PAGES_2M, 0), 2 * HUGE_BYTES, &arena), OSTLER_OK);
        ostler_receipt receipt = receipt_of(arena);
        use(&receipt);
        if (receipt.got_pages != OSTLER_PAGES_2M) {
            CHECK(receipt.step_count >= 1 && receipt.steps[0].page_policy == OSTLER_PAGES_2M);
            CHECK(receipt.steps[0].os_errno == ENOMEM || receipt.steps[0].os_errno == EFAULT);
            CHECK(receipt.steps[0].limit != OSTLER_LIMIT_NONE);
        }
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
    for (int i = 0; i < TRIES; i++) {
        ostler_arena *arena;
        ostler_status status = create(asking_for(OSTLER_PAGES_2M, 1), HUGE_BYTES, &arena);
        CHECK(status == OSTLER_OK || status == OSTLER_E_PAGES_UNAVAILABLE);
        if (status == OSTLER_OK) {
            ostler_receipt receipt = receipt_of(arena);
            use(&receipt);
            CHECK_EQ(receipt.huge_bytes, HUGE_BYTES);
            CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
            got++;
        }
        if (i % 100 == 0)
            CHECK_EQ(held_bytes(), 0);
    }
    CHECK_EQ(held_bytes(), 0);
    /* Or nothing was raced for. */
    CHECK(got > 0 && got < TRIES);
}

TEST(a_thief_of_pages)
{
    begin_pool(3);
    struct pool before = pool_now(), after;
    pid_t thief = start_thief(3);
    run(asks_beside_a_thief);
    kill(thief, SIGKILL);
    waitpid(thief, NULL, 0);
    after = pool_now();
    end_pool();
    CHECK(memcmp(&before, &after, sizeof before) == 0);
}

static void forks_with_an_exhausted_pool(void)
{
    ostler_arena *arena;
    CHECK_STATUS(create(asking_for(OSTLER_PAGES_2M, 1), 2 * HUGE_BYTES, &arena), OSTLER_OK);
    ostler_receipt receipt = receipt_of(arena);
    CHECK_EQ(read_number(HUGE_POOL "free_hugepages"), 0);
    fill(&receipt, 7);
    int ends[2], status;
    CHECK_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        char go;
        ostler_arena *none;
        if (read(ends[0], &go, 1) != 1)
            _exit(1);
        _exit(ostler_arena_create(NULL, &none) == OSTLER_E_FORKED ? 0 : 2);
    }
    /* While the child is there, the parent writes to what both would share. */
    fill(&receipt, 9);
    CHECK_EQ(write(ends[1], "g", 1), 1);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(is_filled(&receipt, 9));
    CHECK_EQ(receipt_of(arena).huge_bytes, 2 * HUGE_BYTES);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(a_fork_with_an_exhausted_pool)
{
    begin_pool(2);
    run(forks_with_an_exhausted_pool);
    end_pool();
}

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%llu %llu", &pages, &resident) == 2);
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void makes_and_destroys(void)
{
    enum { ARENAS = 24 };
    static const uint32_t pages[] = {OSTLER_PAGES_BASE, OSTLER_PAGES_TRANSPARENT, OSTLER_PAGES_2M, OSTLER_PAGES_BEST};
    ostler_arena *arenas[ARENAS];
    /* What the library keeps for itself comes with the first. */
    CHECK_STATUS(create(asking_for(OSTLER_PAGES_BASE, 0), HUGE_BYTES, &arenas[0]), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arenas[0]), OSTLER_OK);
    uint64_t before = resident_bytes();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < ARENAS; i++) {
            ostler_page_source source = asking_for(pages[i % 4], 0);
            source.guard = i % 3 == 0;
            source.exclude_dump = i % 5 == 0;
            CHECK_STATUS(create(source, 2 * HUGE_BYTES, &arenas[i]), OSTLER_OK);
            ostler_receipt receipt = receipt_of(arenas[i]);
            use(&receipt);
        }
        CHECK(held_bytes() >= ARENAS * 2 * HUGE_BYTES && resident_bytes() > before + 16 * HUGE_BYTES);
        for (int i = 0; i < ARENAS; i++)
            CHECK_STATUS(ostler_arena_destroy(arenas[i]), OSTLER_OK);
    }
    CHECK_EQ(held_bytes(), 0);
#ifndef CHECK_SANITIZED /* whose own memory about ours stays */
    CHECK(resident_bytes() <= before + ((uint64_t)1 << 20));
#endif
}

TEST(what_is_destroyed_is_gone)
{
    begin_pool(9);
    struct pool before = pool_now(), after;
    run(makes_and_destroys);
    after = pool_now();
    end_pool();
    CHECK(memcmp(&before, &after, sizeof before) == 0);
}

static void asks_for_more_locked_memory_than_allowed(void)
{
    struct rlimit few = {HUGE_BYTES / 2, HUGE_BYTES / 2};
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &few), 0);
    CHECK_EQ(setuid(65534), 0);
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE, 0);
    ostler_arena *arena;
    ostler_advice advice = {.struct_size = sizeof advice};
    source.lock = 1;
    CHECK_STATUS(ostler_page_source_advise(&source, HUGE_BYTES, &advice), OSTLER_OK);
    CHECK(advice.holds == 1 && advice.obstacle_count == 1);
    CHECK_EQ(advice.obstacles[0].limit, OSTLER_LIMIT_LOCKED_MEMORY);
    CHECK_STR_EQ(advice.obstacles[0].setting, "RLIMIT_MEMLOCK");
    CHECK_STR_EQ(advice.obstacles[0].value, "2097152");
    CHECK_STATUS(create(source, HUGE_BYTES, &arena), OSTLER_OK);
    ostler_receipt receipt = receipt_of(arena);
    CHECK_EQ(receipt.steps[0].limit, OSTLER_LIMIT_LOCKED_MEMORY);
    CHECK(!(receipt.got_options & OSTLER_OPTION_LOCKED));
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    source.strict = 1;
    CHECK_STATUS(create(source, HUGE_BYTES, &arena), OSTLER_E_LIMIT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "RLIMIT_MEMLOCK is 1048576");
}

TEST(a_process_that_may_not_lock_so_much) { run(asks_for_more_locked_memory_than_allowed); }

SHORTAGE_MAIN()
