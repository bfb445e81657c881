/* What there is too little of, on a node or in its pool of huge pages: a status or a spill that the receipt tells, never
 * a signal and never an out-of-memory kill. */
#include "nodes.h"

/* The nodes but the first have 256 MiB. */
#define TOO_MUCH (320 * MIB)

/* Begins a body in a process of its own: the kernel would kill the largest. On the CPU of a node, if that is no -1. */
static pid_t begin(void (*body)(void), int node)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (setjmp(check_run.over) == 0) {
            if (node >= 0)
                run_on_node(node);
            body();
        }
        if (check_run.outcome != CHECK_PASSED)
            fprintf(stderr, "%s\n", check_run.why);
        _exit(check_run.outcome == CHECK_PASSED ? 0 : 1);
    }
    return child;
}

static void check_survived(pid_t child)
{
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        FAIL("died of signal %d", WTERMSIG(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

static void survives(void (*body)(void)) { check_survived(begin(body, -1)); }

/* What an ended process had is counted as free when every CPU has told what it has. */
static void wait_for_free(int node, uint64_t bytes)
{
    for (int tries = 0; free_on_node(node) < bytes && tries < 500; tries++)
        usleep(10000);
    CHECK(free_on_node(node) >= bytes);
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
    wait_for_free(1, before - 8 * MIB);
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

/* Processes that ask at the same time, one on each node; together ten thousand times. */
enum { ASKERS = NODES, TRIES_OF_EACH = 10000 / ASKERS / 2 };

static int pages_there;

static void asks_for_one_page_more(void)
{
    ostler_page_source source = strictly(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ONE, 1));
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    ostler_arena *arena;
    for (int i = 0; i < TRIES_OF_EACH; i++)
        CHECK_STATUS(create(source, (uint64_t)(pages_there + 1) * 2 * MIB, &arena), OSTLER_E_PAGES_UNAVAILABLE);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "nr_hugepages");
    CHECK_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
    CHECK_EQ(stats.held_bytes, 0);
}

/* In all there are enough pages, so the kernel's own promise would be kept by a SIGBUS. Before this program has used the
 * library, because a forked child of one that has may not. */
TEST(a_node_short_by_one_page_refuses_ten_thousand_times)
{
    set_huge_pages(3, 8);
    for (pages_there = 0; pages_there < 2; pages_there++) {
        pid_t askers[ASKERS];
        set_huge_pages(1, pages_there);
        for (int i = 0; i < ASKERS; i++)
            askers[i] = begin(asks_for_one_page_more, i);
        for (int i = 0; i < ASKERS; i++)
            check_survived(askers[i]);
        CHECK(free_huge_pages(1) == pages_there && free_huge_pages(3) == 8 && promised_huge_pages() == 0);
    }
    set_huge_pages(1, 0);
    set_huge_pages(3, 0);
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
    set_huge_pages(1, 2);
    set_huge_pages(3, 8);
    ostler_arena *arena = make(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ONE, 1), 8 * MIB);
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
