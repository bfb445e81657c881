/* Where a sandbox refuses the calls for memory policies, pages are placed by touching them first, on a machine of four
 * nodes: each is where the receipt says, and what cannot be placed is told. */
#include "nodes.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* Makes system calls fail with EPERM in this process from now on. */
static void refuse(const int *calls, size_t count)
{
    struct sock_filter filter[32];
    unsigned short length = 0;
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count; i++) {
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

static void refuse_numa_calls(void)
{
    static const int calls[] = {SYS_mbind, SYS_set_mempolicy, SYS_get_mempolicy, SYS_move_pages, SYS_migrate_pages};
    refuse(calls, sizeof calls / sizeof *calls);
}

/* Bytes of a range on each node. This process may not ask; another may, whom nothing is refused. */
struct question {
    uint64_t address, bytes, on_node[NODES];
    pid_t of;
};

static int to_asker[2], from_asker[2];

static void ask_for_others(void)
{
    struct question question;
    while (read(to_asker[0], &question, sizeof question) == sizeof question) {
        memset(question.on_node, 0, sizeof question.on_node);
        for (uint64_t at = question.address; at < question.address + question.bytes; at += 4096) {
            void *page = (void *)(uintptr_t)at;
            int node = -1;
            if (syscall(SYS_move_pages, question.of, 1UL, &page, NULL, &node, 0) != 0)
                _exit(1);
            if (node >= 0 && node < NODES)
                question.on_node[node] += 4096;
        }
        if (write(from_asker[1], &question, sizeof question) != sizeof question)
            _exit(2);
    }
    _exit(0);
}

static void where_is(const ostler_receipt *receipt, uint64_t on_node[NODES])
{
    struct question question = {receipt->address, receipt->mapped_bytes, {0}, getpid()};
    CHECK(write(to_asker[1], &question, sizeof question) == sizeof question);
    CHECK(read(from_asker[0], &question, sizeof question) == sizeof question);
    memcpy(on_node, question.on_node, sizeof question.on_node);
}

/* Runs a body in a process of its own that is refused the calls, with one beside it that is not. */
static void run_confined(void (*body)(void))
{
    int status;
    fflush(stdout);
    CHECK(pipe(to_asker) == 0 && pipe(from_asker) == 0);
    pid_t asker = fork();
    if (asker == 0) {
        close(to_asker[1]);
        ask_for_others();
    }
    pid_t child = fork();
    CHECK(asker > 0 && child >= 0);
    if (child == 0) {
        if (setjmp(check_run.over) == 0) {
            refuse_numa_calls();
            body();
        }
        if (check_run.outcome != CHECK_PASSED)
            fprintf(stderr, "%s\n", check_run.why);
        _exit(check_run.outcome == CHECK_PASSED ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    close(to_asker[0]), close(to_asker[1]), close(from_asker[0]), close(from_asker[1]);
    CHECK_EQ(waitpid(asker, NULL, 0), asker);
    if (WIFSIGNALED(status))
        FAIL("died of signal %d", WTERMSIG(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

static ostler_page_source asking_for_set(uint32_t pages, uint32_t node_policy, uint64_t nodes)
{
    ostler_page_source source = asking_for(pages, node_policy, 0);
    source.node_set[0] = nodes;
    return source;
}

/* Placed by first touch on nodes that the receipt tells, all of them among `nodes`. */
static ostler_receipt check_placed(ostler_page_source source, uint64_t bytes, uint64_t nodes)
{
    uint64_t on_node[NODES], there = 0;
    ostler_arena *arena = make(source, bytes);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.got_pages, source.page_policy);
    CHECK_EQ(receipt.placed_by, OSTLER_PLACED_BY_FIRST_TOUCH);
    CHECK_EQ(receipt.got_node_policy, source.node_policy);
    CHECK_EQ(receipt.node_set[0], nodes);
    CHECK_EQ(receipt.step_count, 1);
    CHECK(receipt.steps[0].limit == OSTLER_LIMIT_POLICY_REFUSED && receipt.steps[0].os_errno == EPERM);
    CHECK(receipt.nodes_verified_by != OSTLER_VERIFIED_NOT);
    where_is(&receipt, on_node);
    for (uint32_t i = 0; i < receipt.node_count; i++)
        CHECK_EQ(receipt.nodes[i].bytes, on_node[receipt.nodes[i].node]);
    for (int node = 0; node < NODES; node++) {
        there += on_node[node];
        CHECK(on_node[node] == 0 || nodes >> node & 1);
    }
    CHECK_EQ(there, receipt.mapped_bytes);
    destroy(arena);
    return receipt;
}

static const uint32_t page_policies[] = {OSTLER_PAGES_BASE, OSTLER_PAGES_TRANSPARENT, OSTLER_PAGES_2M};
#define PAGE_POLICIES (sizeof page_policies / sizeof *page_policies)

static void touches_on_each_node(void)
{
    for (uint32_t node = 0; node < NODES; node++)
        for (size_t i = 0; i < PAGE_POLICIES; i++)
            for (uint32_t strict = 0; strict < 2; strict++) {
                /* From another node than the one asked for. */
                run_on_node((int)((node + 1) % NODES));
                ostler_page_source source = asking_for(page_policies[i], OSTLER_NODE_ONE, node);
                source.strict = strict;
                source.prefault = strict;
                check_placed(source, 8 * MIB, (uint64_t)1 << node);
                run_on_node((int)node);
                source = asking_for(page_policies[i], OSTLER_NODE_LOCAL, 0);
                source.strict = strict;
                check_placed(source, 8 * MIB, (uint64_t)1 << node);
                source = asking_for(page_policies[i], OSTLER_NODE_NEAREST_CPUS, 0);
                source.cpu_set[0] = (uint64_t)1 << node;
                source.strict = strict;
                check_placed(source, 8 * MIB, (uint64_t)1 << node);
            }
}

TEST(each_page_size_on_each_node)
{
    for (int node = 0; node < NODES; node++)
        set_huge_pages(node, 4);
    run_confined(touches_on_each_node);
    for (int node = 0; node < NODES; node++) {
        CHECK_EQ(free_huge_pages(node), 4);
        set_huge_pages(node, 0);
    }
    CHECK_EQ(promised_huge_pages(), 0);
}

static void touches_in_turn(void)
{
    for (size_t i = 0; i < PAGE_POLICIES; i++) {
        ostler_receipt receipt =
            check_placed(strictly(asking_for(page_policies[i], OSTLER_NODE_INTERLEAVE, 0)), 32 * MIB, 0xf);
        CHECK_EQ(receipt.node_count, NODES);
        for (int node = 0; node < NODES; node++)
            CHECK_EQ(receipt.nodes[node].bytes, receipt.mapped_bytes / NODES);
        receipt = check_placed(strictly(asking_for_set(page_policies[i], OSTLER_NODE_INTERLEAVE, 0xa)), 16 * MIB, 0xa);
        CHECK(receipt.node_count == 2 && receipt.nodes[0].bytes == receipt.nodes[1].bytes);
    }
}

TEST(interleaved_pages_are_spread_evenly)
{
    for (int node = 0; node < NODES; node++)
        set_huge_pages(node, 4);
    run_confined(touches_in_turn);
    for (int node = 0; node < NODES; node++) {
        CHECK_EQ(free_huge_pages(node), 4);
        set_huge_pages(node, 0);
    }
}

static void touches_in_sets(void)
{
    for (uint64_t nodes = 1; nodes < 1 << NODES; nodes++)
        check_placed(strictly(asking_for_set(OSTLER_PAGES_BASE, OSTLER_NODE_SET, nodes)), 4 * MIB, nodes);
}

TEST(a_set_holds_all_of_it) { run_confined(touches_in_sets); }

static void touches_what_is_short(void)
{
    ostler_arena *arena;
    /* The node's pool has 2 of 4 pages, the machine has enough. */
    CHECK_STATUS(create(strictly(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ONE, 1)), 8 * MIB, &arena),
                 OSTLER_E_PAGES_UNAVAILABLE);
    arena = make(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ONE, 1), 8 * MIB);
    ostler_receipt receipt = receipt_of(arena, 0);
    uint64_t on_node[NODES];
    where_is(&receipt, on_node);
    CHECK_EQ(receipt.got_pages, OSTLER_PAGES_2M);
    CHECK_EQ(receipt.placed_by, OSTLER_PLACED_BY_FIRST_TOUCH);
    CHECK(on_node[1] == 4 * MIB && on_node[0] + on_node[2] + on_node[3] == 4 * MIB);
    for (uint32_t i = 0; i < receipt.node_count; i++)
        CHECK_EQ(receipt.nodes[i].bytes, on_node[receipt.nodes[i].node]);
    destroy(arena);
    /* To whom small pages here are better than large ones elsewhere. */
    arena = make(asking_for(OSTLER_PAGES_BEST, OSTLER_NODE_ONE, 1), 8 * MIB);
    receipt = receipt_of(arena, 0);
    CHECK(receipt.got_pages == OSTLER_PAGES_TRANSPARENT || receipt.got_pages == OSTLER_PAGES_BASE);
    CHECK(receipt.node_count == 1 && receipt.nodes[0].node == 1);
    destroy(arena);
    /* More than the node has, which nothing is bound to. */
    CHECK(create(strictly(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ONE, 2)), 320 * MIB, &arena) != OSTLER_OK);
    arena = make(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ONE, 2), 320 * MIB);
    receipt = receipt_of(arena, 0);
    CHECK(receipt.node_count >= 2 && receipt.resident_bytes == receipt.mapped_bytes);
    destroy(arena);
}

TEST(a_short_node_spills_and_the_receipt_says_where)
{
    long long kills = read_field("/proc/vmstat", "oom_kill");
    set_huge_pages(1, 2);
    set_huge_pages(3, 8);
    run_confined(touches_what_is_short);
    CHECK(free_huge_pages(1) == 2 && free_huge_pages(3) == 8 && promised_huge_pages() == 0);
    set_huge_pages(1, 0);
    set_huge_pages(3, 0);
    CHECK_EQ(read_field("/proc/vmstat", "oom_kill"), kills);
}

static void touches_without_affinity(void)
{
    static const int affinity[] = {SYS_sched_setaffinity};
    ostler_arena *arena;
    run_on_node(0);
    refuse(affinity, 1);
    for (uint32_t policy = OSTLER_NODE_LOCAL; policy <= OSTLER_NODE_INTERLEAVE; policy++) {
        arena = make(asking_for(OSTLER_PAGES_BASE, policy, policy == OSTLER_NODE_ONE ? 2 : 0), 4 * MIB);
        ostler_receipt receipt = receipt_of(arena, 0);
        CHECK(receipt.placed_by == OSTLER_PLACED_BY_KERNEL && receipt.got_node_policy == OSTLER_NODE_ANY);
        CHECK_EQ(receipt.step_count, 2);
        CHECK(receipt.steps[1].limit == OSTLER_LIMIT_THREAD_REFUSED && receipt.steps[1].os_errno == EPERM);
        CHECK(receipt.node_count == 1 && receipt.nodes[0].node == 0);
        destroy(arena);
    }
    CHECK_STATUS(create(strictly(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ONE, 2)), 4 * MIB, &arena),
                 OSTLER_E_NODE_UNAVAILABLE);
}

TEST(without_affinity_it_is_the_kernels_choice) { run_confined(touches_without_affinity); }

static void shares_memory(void)
{
    for (uint32_t node = 0; node < NODES; node++) {
        ostler_page_source source = strictly(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ONE, node));
        ostler_segment_config config;
        ostler_segment *segment;
        ostler_receipt receipt = {.struct_size = sizeof receipt};
        CHECK_STATUS(ostler_segment_config_init(&config, sizeof config), OSTLER_OK);
        config.bytes = 4 * MIB;
        config.source = &source;
        CHECK_STATUS(ostler_segment_create(&config, &segment), OSTLER_OK);
        CHECK_STATUS(ostler_segment_get_receipt(segment, &receipt), OSTLER_OK);
        CHECK_EQ(receipt.placed_by, OSTLER_PLACED_BY_FIRST_TOUCH);
        CHECK(receipt.node_count == 1 && receipt.nodes[0].node == node && receipt.nodes[0].bytes == 4 * MIB);
        CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
    }
}

TEST(segments_are_placed_in_the_same_way) { run_confined(shares_memory); }

CHECK_MAIN()
