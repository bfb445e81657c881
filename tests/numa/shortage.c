/* What there is too little of, on a node or in its pool of huge pages: a status or a spill that the receipt tells, never
 * a signal and never an out-of-memory kill. */
#include "nodes.h"

/* The nodes but the first have 256 MiB. */
#define TOO_MUCH (320 * MIB)

/* How the library bore it, in a process of its own: the kernel would kill the largest. */
static void survives(void (*body)(void))
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (setjmp(check_run.over) == 0)
            body();
        if (check_run.outcome != CHECK_PASSED)
            fprintf(stderr, "%s\n", check_run.why);
        _exit(check_run.outcome == CHECK_PASSED ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        FAIL("died of signal %d", WTERMSIG(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

static void binds_more_than_the_node_has(void)
{
    ostler_arena *arena;
    ostler_status status = create(strictly(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ONE, 1)), TOO_MUCH, &arena);
    CHECK(status == OSTLER_E_PAGES_UNAVAILABLE || status == OSTLER_E_NODE_UNAVAILABLE ||
          status == OSTLER_E_OUT_OF_MEMORY);
    CHECK(arena == NULL);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "free memory");
}

TEST(a_node_that_cannot_hold_it_is_a_status_when_strict)
{
    long long kills = read_field("/proc/vmstat", "oom_kill");
    uint64_t before = free_on_node(1);
    survives(binds_more_than_the_node_has);
    CHECK_EQ(read_field("/proc/vmstat", "oom_kill"), kills);
    CHECK(free_on_node(1) + 8 * MIB > before);
}

static void prefers_more_than_the_node_has(void)
{
    ostler_arena *arena = make(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ONE, 1), TOO_MUCH);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.resident_bytes, receipt.mapped_bytes);
    CHECK(receipt.node_count >= 2);
    check_nodes(&receipt);
    destroy(arena);
}

TEST(a_node_that_cannot_hold_it_spills_and_the_receipt_says_where)
{
    long long kills = read_field("/proc/vmstat", "oom_kill");
    survives(prefers_more_than_the_node_has);
    CHECK_EQ(read_field("/proc/vmstat", "oom_kill"), kills);
}

TEST(huge_pages_of_one_node_are_found_there_alone)
{
    set_huge_pages(2, 4);
    ostler_arena *arena = make(strictly(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ONE, 2)), 8 * MIB);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.got_pages, OSTLER_PAGES_2M);
    CHECK(receipt.node_count == 1 && receipt.nodes[0].node == 2);
    CHECK_EQ(free_huge_pages(2), 0);
    destroy(arena);
    CHECK_EQ(free_huge_pages(2), 4);
    CHECK_EQ(promised_huge_pages(), 0);

    for (uint32_t node = 0; node < NODES; node++) {
        if (node == 2)
            continue;
        CHECK_STATUS(create(strictly(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ONE, node)), 8 * MIB, &arena),
                     OSTLER_E_PAGES_UNAVAILABLE);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "nr_hugepages");
        CHECK_EQ(free_huge_pages(2), 4);
        CHECK_EQ(promised_huge_pages(), 0);
    }
    set_huge_pages(2, 0);
}

TEST(a_short_pool_of_the_node_is_a_step_with_its_errno)
{
    /* In all there are enough, so the kernel's own promise would be kept by a SIGBUS. */
    set_huge_pages(1, 2);
    set_huge_pages(3, 8);
    ostler_arena *arena;
    for (int i = 0; i < 500; i++)
        CHECK_STATUS(create(strictly(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ONE, 1)), 8 * MIB, &arena),
                     OSTLER_E_PAGES_UNAVAILABLE);
    CHECK(free_huge_pages(1) == 2 && free_huge_pages(3) == 8 && promised_huge_pages() == 0);
    arena = make(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ONE, 1), 8 * MIB);
    ostler_receipt receipt = receipt_of(arena, 0);
    check_nodes(&receipt);
    CHECK_EQ(receipt.resident_bytes, receipt.mapped_bytes);
    if (receipt.got_pages != OSTLER_PAGES_2M) {
        CHECK(receipt.step_count >= 1);
        CHECK_EQ(receipt.steps[0].page_policy, OSTLER_PAGES_2M);
        CHECK_EQ(receipt.steps[0].limit, OSTLER_LIMIT_HUGE_PAGE_POOL);
        CHECK(receipt.steps[0].os_errno == ENOMEM || receipt.steps[0].os_errno == EFAULT);
    }
    destroy(arena);
    CHECK(free_huge_pages(1) == 2 && free_huge_pages(3) == 8 && promised_huge_pages() == 0);
    set_huge_pages(1, 0);
    set_huge_pages(3, 0);
}

CHECK_MAIN()
