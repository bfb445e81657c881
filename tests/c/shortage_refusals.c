/* A kernel or a container that refuses calls, or has never heard of them: always the reason, and what can be had. */
#include "shortages.h"
#include <sched.h>
#include <sys/mount.h>

static const int numa_calls[] = {SYS_mbind, SYS_set_mempolicy, SYS_get_mempolicy, SYS_move_pages, SYS_migrate_pages};

static void refuse_numa_calls(void) { refuse(numa_calls, sizeof numa_calls / sizeof *numa_calls, EPERM, -1, 0); }

/* Asks for each page size with each node policy; the receipt says that nothing or a first touch placed it. */
static void ask_for_nodes(void (*check)(ostler_page_source source, const ostler_receipt *receipt))
{
    static const uint32_t policies[] = {OSTLER_NODE_LOCAL, OSTLER_NODE_ONE, OSTLER_NODE_INTERLEAVE, OSTLER_NODE_SET,
                                        OSTLER_NODE_NEAREST_CPUS};
    static const uint32_t pages[] = {OSTLER_PAGES_BASE, OSTLER_PAGES_TRANSPARENT, OSTLER_PAGES_2M};
    for (size_t i = 0; i < 30; i++) {
        ostler_page_source source = asking_for(pages[i / 10], 0);
        ostler_arena *arena;
        source.node_policy = policies[i % 5];
        source.prefault = i / 5 % 2;
        source.node_set[0] = source.node_policy == OSTLER_NODE_SET;
        source.cpu_set[0] = source.node_policy == OSTLER_NODE_NEAREST_CPUS;
        CHECK_STATUS(create(source, 2 * HUGE_BYTES, &arena), OSTLER_OK);
        ostler_receipt receipt = receipt_of(arena);
        /* What came without a single huge page is of base pages. */
        int has_none = source.page_policy == OSTLER_PAGES_TRANSPARENT && receipt.resident_bytes > 0 && receipt.huge_bytes == 0;
        CHECK_EQ(receipt.got_pages, has_none ? OSTLER_PAGES_BASE : source.page_policy);
        CHECK_EQ(receipt.asked_node_policy, source.node_policy);
        CHECK_EQ(receipt.steps[0].limit, OSTLER_LIMIT_POLICY_REFUSED);
        CHECK_EQ(receipt.steps[0].os_errno, EPERM);
        /* Where the pages are is known all the same. */
        CHECK_EQ(receipt.nodes_verified_by,
                 receipt.resident_bytes > 0 ? OSTLER_VERIFIED_NUMA_MAPS : OSTLER_VERIFIED_MOVE_PAGES);
        check(source, &receipt);
        use(&receipt);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
}

static void is_touched_first(ostler_page_source source, const ostler_receipt *receipt)
{
    ostler_arena *arena;
    CHECK_EQ(receipt->placed_by, OSTLER_PLACED_BY_FIRST_TOUCH);
    CHECK_EQ(receipt->got_node_policy, source.node_policy);
    CHECK_EQ(receipt->node_set[0], 1);
    CHECK_EQ(receipt->step_count, 1);
    CHECK(receipt->got_options & OSTLER_OPTION_PREFAULTED);
    CHECK(receipt->node_count == 1 && receipt->nodes[0].bytes == receipt->mapped_bytes);
    /* On a machine of one node it is where it shall be. */
    source.strict = 1;
    if (source.page_policy != OSTLER_PAGES_2M) {
        CHECK_STATUS(create(source, 2 * HUGE_BYTES, &arena), OSTLER_OK);
        CHECK_EQ(receipt_of(arena).placed_by, OSTLER_PLACED_BY_FIRST_TOUCH);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
    ostler_advice advice = {.struct_size = sizeof advice};
    source.page_policy = OSTLER_PAGES_BASE;
    CHECK_STATUS(ostler_page_source_advise(&source, 2 * HUGE_BYTES, &advice), OSTLER_OK);
    CHECK(advice.holds == 1 && advice.obstacle_count == 1);
    CHECK_EQ(advice.placed_by, OSTLER_PLACED_BY_FIRST_TOUCH);
    CHECK_EQ(advice.obstacles[0].limit, OSTLER_LIMIT_POLICY_REFUSED);
    CHECK_STR_CONTAINS(advice.obstacles[0].pod_field, "SYS_NICE");
}

static void asks_without_numa_calls(void)
{
    if (access("/sys/devices/system/node/node1", F_OK) == 0)
        SKIP("this machine has several nodes");
    refuse_numa_calls();
    ask_for_nodes(is_touched_first);
    /* There is no such node, and so none of its CPUs. */
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE, 0);
    ostler_arena *arena;
    source.node_policy = OSTLER_NODE_ONE;
    source.node = 900;
    CHECK_STATUS(create(source, HUGE_BYTES, &arena), OSTLER_OK);
    ostler_receipt receipt = receipt_of(arena);
    CHECK(receipt.step_count == 2 && receipt.steps[1].limit == OSTLER_LIMIT_NO_CPU);
    CHECK(receipt.placed_by == OSTLER_PLACED_BY_KERNEL && receipt.got_node_policy == OSTLER_NODE_ANY);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    source.strict = 1;
    CHECK_STATUS(create(source, HUGE_BYTES, &arena), OSTLER_E_NODE_UNAVAILABLE);
}

TEST(a_container_that_refuses_the_numa_calls)
{
    begin_pool(4);
    run(asks_without_numa_calls);
    end_pool();
}

static int affinity_errno;

static void is_left_to_the_kernel(ostler_page_source source, const ostler_receipt *receipt)
{
    ostler_arena *arena;
    CHECK_EQ(receipt->placed_by, OSTLER_PLACED_BY_KERNEL);
    CHECK_EQ(receipt->got_node_policy, OSTLER_NODE_ANY);
    CHECK_EQ(receipt->step_count, 2);
    CHECK_EQ(receipt->steps[1].limit,
             affinity_errno == EINVAL ? OSTLER_LIMIT_NO_CPU : OSTLER_LIMIT_THREAD_REFUSED);
    CHECK_EQ(receipt->steps[1].os_errno, affinity_errno);
    CHECK_EQ(receipt->got_options & OSTLER_OPTION_PREFAULTED,
             source.prefault || source.page_policy == OSTLER_PAGES_2M ? OSTLER_OPTION_PREFAULTED : 0);
    source.strict = 1;
    source.page_policy = OSTLER_PAGES_BASE;
    CHECK_STATUS(create(source, 2 * HUGE_BYTES, &arena), OSTLER_E_NODE_UNAVAILABLE);
    ostler_advice advice = {.struct_size = sizeof advice};
    CHECK_STATUS(ostler_page_source_advise(&source, 2 * HUGE_BYTES, &advice), OSTLER_OK);
    CHECK(advice.holds == 0 && advice.obstacle_count == 2 && advice.placed_by == OSTLER_PLACED_BY_KERNEL);
    CHECK_EQ(advice.obstacles[1].os_errno, affinity_errno);
    CHECK(advice.obstacles[1].setting[0] != 0);
}

static void asks_without_numa_calls_and_affinity(void)
{
    static const int affinity[] = {SYS_sched_setaffinity};
    refuse_numa_calls();
    refuse(affinity, 1, affinity_errno, -1, 0);
    ask_for_nodes(is_left_to_the_kernel);
}

/* EINVAL is what the kernel says to a process whose cpuset has none of these CPUs. */
TEST(a_container_that_lets_no_thread_run_elsewhere_either)
{
    static const int errnos[] = {EPERM, EINVAL};
    begin_pool(4);
    for (int i = 0; i < 2; i++) {
        affinity_errno = errnos[i];
        run(asks_without_numa_calls_and_affinity);
    }
    end_pool();
}

static void asks_without_transparent_pages(void)
{
    ostler_arena *arena;
    CHECK_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
    CHECK_STATUS(create(asking_for(OSTLER_PAGES_TRANSPARENT, 1), HUGE_BYTES, &arena), OSTLER_E_PAGES_UNAVAILABLE);
    CHECK_STATUS(create(asking_for(OSTLER_PAGES_TRANSPARENT, 0), HUGE_BYTES, &arena), OSTLER_OK);
    ostler_receipt receipt = receipt_of(arena);
    CHECK(receipt.got_pages == OSTLER_PAGES_BASE && receipt.huge_bytes == 0);
    CHECK_EQ(receipt.steps[receipt.step_count - 1].limit, OSTLER_LIMIT_THP_DISABLED);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    ostler_page_source source = asking_for(OSTLER_PAGES_TRANSPARENT, 0);
    ostler_advice advice = {.struct_size = sizeof advice};
    CHECK_STATUS(ostler_page_source_advise(&source, HUGE_BYTES, &advice), OSTLER_OK);
    CHECK(advice.page_policy == OSTLER_PAGES_BASE && advice.obstacles[0].limit == OSTLER_LIMIT_THP_DISABLED);
    CHECK_STR_CONTAINS(advice.obstacles[0].setting, "PR_SET_THP_DISABLE");
}

TEST(a_process_without_transparent_pages) { run(asks_without_transparent_pages); }

#define HUGE_SIZES "/sys/kernel/mm/hugepages"

/* A kernel that was built without them has no such folder. */
static void asks_without_explicit_huge_pages(void)
{
    static const uint32_t pages[] = {OSTLER_PAGES_2M, OSTLER_PAGES_1G, OSTLER_PAGES_BEST};
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", HUGE_SIZES, "tmpfs", 0, NULL) != 0)
        SKIP("nothing can be mounted here");
    for (size_t i = 0; i < 3; i++) {
        ostler_arena *arena;
        CHECK_STATUS(create(asking_for(pages[i], 0), 2 * HUGE_BYTES, &arena), OSTLER_OK);
        ostler_receipt receipt = receipt_of(arena);
        CHECK(receipt.got_pages == OSTLER_PAGES_TRANSPARENT || receipt.got_pages == OSTLER_PAGES_BASE);
        CHECK_EQ(receipt.resident_bytes, receipt.mapped_bytes);
        int unknown = 0;
        for (uint32_t step = 0; step < receipt.step_count; step++)
            unknown += receipt.steps[step].limit == OSTLER_LIMIT_PAGE_SIZE_UNKNOWN;
        CHECK_EQ(unknown, pages[i] == OSTLER_PAGES_2M ? 1 : 2);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
        ostler_status strictly = create(asking_for(pages[i], 1), 2 * HUGE_BYTES, &arena);
        /* The best may be transparent pages, of which the kernel may have none that is huge. */
        if (strictly != OSTLER_OK || pages[i] != OSTLER_PAGES_BEST)
            CHECK_STATUS(strictly, OSTLER_E_PAGES_UNAVAILABLE);
        else
            CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
}

TEST(a_kernel_without_explicit_huge_pages)
{
    if (access(HUGE_SIZES, F_OK) != 0)
        SKIP("this kernel is one");
    run(asks_without_explicit_huge_pages);
}

static int is_privileged;

static void asks_an_older_kernel(void)
{
    static const int advise[] = {SYS_madvise}, scan[] = {SYS_ioctl};
    static const struct {
        uint32_t pages;
        uint64_t bytes;
    } chunks[] = {{OSTLER_PAGES_BASE, 2 * HUGE_BYTES},
                  {OSTLER_PAGES_TRANSPARENT, 2 * HUGE_BYTES},
                  {OSTLER_PAGES_2M, 2 * HUGE_BYTES},
                  {OSTLER_PAGES_BASE, 4 * HUGE_BYTES},
                  {OSTLER_PAGES_TRANSPARENT, 4 * HUGE_BYTES}};
    refuse(advise, 1, EINVAL, 2, MADV_POPULATE_WRITE);
    refuse(scan, 1, ENOTTY, 1, 0xc0606610u); /* PAGEMAP_SCAN */
    /* What a process that changed its user may still read of itself. */
    if (!is_privileged)
        CHECK(setuid(65534) == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        ostler_arena *arena;
        ostler_status status = create(asking_for(chunks[i].pages, 1), chunks[i].bytes, &arena);
        if (status == OSTLER_E_PAGES_UNAVAILABLE && chunks[i].pages == OSTLER_PAGES_TRANSPARENT)
            SKIP("the kernel has no huge pages now");
        CHECK_STATUS(status, OSTLER_OK);
        ostler_receipt receipt = receipt_of(arena);
        CHECK_EQ(receipt.got_pages, chunks[i].pages);
        /* Who may know the numbers of pages asks for few of them one by one. */
        CHECK(receipt.pages_verified_by == OSTLER_VERIFIED_SMAPS ||
              (receipt.pages_verified_by == OSTLER_VERIFIED_PAGEMAP && is_privileged && i < 3));
        CHECK_EQ(receipt.nodes_verified_by, OSTLER_VERIFIED_MOVE_PAGES);
        CHECK_EQ(receipt.unverified_errno, 0);
        CHECK_EQ(receipt.resident_bytes, receipt.mapped_bytes);
        CHECK_EQ(receipt.huge_bytes, chunks[i].pages == OSTLER_PAGES_BASE ? 0 : receipt.mapped_bytes);
        CHECK(receipt.node_count >= 1 && receipt.nodes[0].bytes > 0);
        CHECK(receipt.got_options & OSTLER_OPTION_PREFAULTED);
        CHECK(is_filled(&receipt, 0));
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
}

TEST(a_kernel_before_populating_and_scanning)
{
    begin_pool(2);
    for (is_privileged = 0; is_privileged < 2; is_privileged++)
        run(asks_an_older_kernel);
    end_pool();
}

SHORTAGE_MAIN()
