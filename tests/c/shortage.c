/* Pages run short in every way that a machine has for it: never a signal, always the reason, and nothing stays taken. Each
 * body runs in a process of its own, which has not used the library before. */
#include "arenas.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HUGE_BYTES ((uint64_t)2 << 20)
#define HUGE_POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define HUGE_GROUPS "/sys/fs/cgroup/unified/"
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static long long read_number(const char *path)
{
    long long number = -1;
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%lld", &number) != 1)
        number = -1;
    if (file)
        fclose(file);
    return number;
}

static int write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY);
    int written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0)
        close(file);
    return written;
}

static long long set_pool(long long pages)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", pages);
    write_text(HUGE_POOL "nr_hugepages", text);
    return read_number(HUGE_POOL "nr_hugepages");
}

/* The counters of the pool, which must be afterwards what they were before. */
struct pool {
    long long total, free, promised, surplus;
};

static struct pool pool_now(void)
{
    return (struct pool){read_number(HUGE_POOL "nr_hugepages"), read_number(HUGE_POOL "free_hugepages"),
                         read_number(HUGE_POOL "resv_hugepages"), read_number(HUGE_POOL "surplus_hugepages")};
}

static long long pool_before;

static void end_pool(void) { set_pool(pool_before); }

/* Makes the pool have so many pages, or skips the test. */
static void begin_pool(long long pages)
{
    pool_before = read_number(HUGE_POOL "nr_hugepages");
    if (pool_before != 0 || set_pool(pages) != pages || read_number(HUGE_POOL "free_hugepages") != pages) {
        end_pool();
        SKIP("the pool of 2 MiB pages cannot be made to have %lld pages", pages);
    }
}

/* Runs the body in a new process; what it finds wrong is told. Its wait status. */
static int run(void (*body)(void))
{
    int status, ends[2];
    char why[sizeof check_run.why] = "";
    CHECK_EQ(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        /* Nothing may be printed. */
        int nowhere = open("/tmp", O_TMPFILE | O_RDWR, 0600);
        dup2(nowhere, 1);
        dup2(nowhere, 2);
        if (setjmp(check_run.over) == 0)
            body();
        if (check_run.outcome == CHECK_PASSED && lseek(nowhere, 0, SEEK_END) > 0)
            check_note(CHECK_FAILED, "something was printed");
        if (check_run.outcome != CHECK_PASSED && write(ends[1], check_run.why, strlen(check_run.why)) < 0)
            _exit(3);
        _exit(check_run.outcome == CHECK_PASSED ? 0 : check_run.outcome == CHECK_SKIPPED ? 77 : 1);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], why, sizeof why - 1);
    (void)length;
    close(ends[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        check_note(CHECK_FAILED, "died of signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) == 77)
        check_note(CHECK_SKIPPED, "%s", why);
    else if (WEXITSTATUS(status) != 0)
        check_note(CHECK_FAILED, "%s", why);
    return status;
}

static ostler_page_source asking_for(uint32_t pages, uint32_t strict)
{
    return (ostler_page_source){.struct_size = sizeof(ostler_page_source), .page_policy = pages, .strict = strict,
                                .prefault = 1};
}

static ostler_status create(ostler_page_source source, uint64_t bytes, ostler_arena **arena)
{
    ostler_arena_config config = {.struct_size = sizeof config, .source = &source, .chunk_bytes = bytes};
    return ostler_arena_create(&config, arena);
}

static ostler_receipt receipt_of(ostler_arena *arena)
{
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    CHECK_STATUS(ostler_arena_get_receipt(arena, 0, &receipt), OSTLER_OK);
    return receipt;
}

/* What of a chunk nobody has allocated is poisoned under AddressSanitizer; the kernel has its pages all the same, and
 * these two ask for them. */
#define UNWATCHED __attribute__((no_sanitize("address")))

UNWATCHED static void fill(const ostler_receipt *receipt, unsigned char value)
{
    for (uint64_t at = 0; at < receipt->mapped_bytes; at += 512)
        ((volatile unsigned char *)(uintptr_t)receipt->address)[at] = value;
}

UNWATCHED static int is_filled(const ostler_receipt *receipt, unsigned char value)
{
    for (uint64_t at = 0; at < receipt->mapped_bytes; at += 512)
        if (((const volatile unsigned char *)(uintptr_t)receipt->address)[at] != value)
            return 0;
    return 1;
}

/* Writes to all of the first chunk. */
static void use(const ostler_receipt *receipt) { fill(receipt, 1); }

static uint64_t held_bytes(void)
{
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
    return stats.held_bytes;
}

/* Each of the following asks so often. */
enum { TRIES = 10000 };

/* Asks for `pages` huge pages where fewer are to be had, again and again. What a failed try costs is little beside a look
 * at the books and at the kernel's counters, so that is done with every hundredth. */
static void ask_in_vain(int pages, uint32_t limit)
{
    struct pool before = pool_now(), after;
    for (int i = 0; i < TRIES; i++) {
        ostler_arena *arena;
        CHECK_STATUS(create(asking_for(OSTLER_PAGES_2M, 1), (uint64_t)pages * HUGE_BYTES, &arena),
                     OSTLER_E_PAGES_UNAVAILABLE);
        if (i % 100 == 0) {
            after = pool_now();
            CHECK(memcmp(&before, &after, sizeof before) == 0);
            CHECK_EQ(held_bytes(), 0);
            CHECK_STATUS(create(asking_for(OSTLER_PAGES_2M, 0), (uint64_t)pages * HUGE_BYTES, &arena), OSTLER_OK);
            ostler_receipt receipt = receipt_of(arena);
            CHECK(receipt.got_pages != OSTLER_PAGES_2M && receipt.step_count >= 1);
            CHECK_EQ(receipt.steps[0].page_policy, OSTLER_PAGES_2M);
            CHECK_EQ(receipt.steps[0].limit, limit);
            CHECK(receipt.steps[0].os_errno == ENOMEM || receipt.steps[0].os_errno == EFAULT);
            use(&receipt);
            CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
        }
    }
    CHECK_EQ(held_bytes(), 0);
}

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

/* Lets the groups below the root limit huge pages; whether that was so before. */
static int delegate_huge_pages(void)
{
    char enabled[256] = "";
    FILE *file = fopen(HUGE_GROUPS "cgroup.subtree_control", "r");
    if (file && !fgets(enabled, sizeof enabled, file))
        enabled[0] = 0;
    if (file)
        fclose(file);
    if (strstr(enabled, "hugetlb"))
        return 1;
    write_text(HUGE_GROUPS "cgroup.subtree_control", "+hugetlb");
    return 0;
}

static void end_delegation(int delegated_before)
{
    if (!delegated_before)
        write_text(HUGE_GROUPS "cgroup.subtree_control", "-hugetlb");
}

static const char *group_limit;

static void asks_in_a_group(void)
{
    char group[128], path[192];
    snprintf(group, sizeof group, HUGE_GROUPS "ostler-test-%d", (int)getppid());
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
    snprintf(group, sizeof group, HUGE_GROUPS "ostler-test-%d", (int)getpid());
    snprintf(path, sizeof path, "%s/%s", group, limit);
    int delegated = delegate_huge_pages();
    int missing = mkdir(group, 0755) != 0 || !write_text(path, "2097152");
    if (!missing)
        run(body);
    rmdir(group);
    after = pool_now();
    end_delegation(delegated);
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

/* Makes a system call fail with an errno from now on; with `argument` 0 to 5, only when that argument is `value`. */
static void refuse(const int *calls, size_t count, int os_errno, int argument, uint32_t value)
{
    struct sock_filter filter[64];
    unsigned short length = 0;
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count; i++) {
        unsigned char skip = argument < 0 ? 1 : 4;
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, skip);
        if (argument >= 0) {
            unsigned at = offsetof(struct seccomp_data, args) + 8 * (unsigned)argument;
            filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at);
            filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
        }
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)os_errno);
        if (argument >= 0)
            filter[length++] =
                (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

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

static void asks_for_pages_that_an_older_kernel_lacks(void)
{
    static const int advise[] = {SYS_madvise};
    refuse(advise, 1, EINVAL, 2, MADV_POPULATE_WRITE);
    char path[192];
    snprintf(path, sizeof path, HUGE_GROUPS "ostler-test-%d/cgroup.procs", (int)getppid());
    CHECK(write_text(path, "0"));
    ask_in_vain(2, OSTLER_LIMIT_HUGETLB_CGROUP);
}

/* Without MADV_POPULATE_WRITE, where the limit is only enforced by SIGBUS. */
TEST(a_limit_that_an_older_kernel_tells_by_a_signal)
{
    run_in_group_of_one_page("hugetlb.2MB.max", asks_for_pages_that_an_older_kernel_lacks);
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

CHECK_MAIN()
