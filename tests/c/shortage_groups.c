/* A control group that limits huge pages, while the machine has more. */
#include "shortages.h"

static const char *group_limit;

static void asks_in_a_group(void)
{
    char group[128], path[192];
    name_group(group, getppid());
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    CHECK(write_text(path, "0"));
    ask_in_vain(2, OSTLER_LIMIT_HUGETLB_CGROUP);
    ostler_advice advice = {.struct_size = sizeof advice};
    ostler_page_source source = asking_for(OSTLER_PAGES_2M, 1);
    CHECK_STATUS(ostler_page_source_advise(&source, 2 * HUGE_BYTES, &advice), OSTLER_OK);
    CHECK(advice.holds == 0 && advice.obstacle_count == 1);
    CHECK_STR_CONTAINS(advice.obstacles[0].setting, group_limit);
    CHECK_STR_EQ(advice.obstacles[0].value, "4194304");
    CHECK_STR_EQ(advice.obstacles[0].pod_field, "resources.limits.hugepages-2Mi");
    /* What is advised is enough. */
    CHECK(write_text(advice.obstacles[0].setting, advice.obstacles[0].value));
    ostler_arena *arena;
    CHECK_STATUS(create(source, 2 * HUGE_BYTES, &arena), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

/* Runs a body in a control group that may have one huge page, while the machine has more. */
static void run_in_group_of_one_page(const char *limit, void (*body)(void))
{
    char group[128], path[192];
    begin_pool(8);
    struct pool before = pool_now(), after = before;
    group_limit = limit;
    name_group(group, getpid());
    snprintf(path, sizeof path, "%s/%s", group, limit);
    int may_limit = may_groups_limit_huge_pages();
    let_groups_limit_huge_pages(1);
    int missing = mkdir(group, 0755) != 0 || !write_text(path, "2097152");
    if (!missing)
        run(body);
    rmdir(group);
    after = pool_now();
    let_groups_limit_huge_pages(may_limit);
    end_pool();
    if (missing)
        SKIP("no control group can limit huge pages here");
    CHECK(memcmp(&before, &after, sizeof before) == 0);
}

/* Enforced when pages are touched, where the kernel's answer is SIGBUS. */
TEST(a_limit_of_a_control_group_on_huge_pages) { run_in_group_of_one_page("hugetlb.2MB.max", asks_in_a_group); }

/* Enforced when pages are promised. */
TEST(a_limit_of_a_control_group_on_promised_huge_pages)
{
    run_in_group_of_one_page("hugetlb.2MB.rsvd.max", asks_in_a_group);
}

static void asks_for_pages_that_an_older_kernel_lacks(void)
{
    static const int advise[] = {SYS_madvise};
    refuse(advise, 1, EINVAL, 2, MADV_POPULATE_WRITE);
    char group[128], path[192];
    name_group(group, getppid());
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    CHECK(write_text(path, "0"));
    ask_in_vain(2, OSTLER_LIMIT_HUGETLB_CGROUP);
}

/* Without MADV_POPULATE_WRITE, where the limit is only enforced by SIGBUS. */
TEST(a_limit_that_an_older_kernel_tells_by_a_signal)
{
    run_in_group_of_one_page("hugetlb.2MB.max", asks_for_pages_that_an_older_kernel_lacks);
}

SHORTAGE_MAIN()
