/* Pages are on the node and of the size that the receipt tells, for each policy, on a machine of four nodes. */
#include "nodes.h"

static const uint32_t page_policies[] = {OSTLER_PAGES_BASE, OSTLER_PAGES_TRANSPARENT, OSTLER_PAGES_2M};
#define PAGE_POLICIES (sizeof page_policies / sizeof *page_policies)

static uint64_t page_bytes_of(uint32_t policy) { return policy == OSTLER_PAGES_BASE ? 4096 : 2 * MIB; }

static void check_got(const ostler_receipt *receipt, uint32_t page_policy)
{
    CHECK_EQ(receipt->step_count, 0);
    CHECK_EQ(receipt->got_pages, page_policy);
    CHECK_EQ(receipt->page_bytes, page_bytes_of(page_policy));
    CHECK_EQ(receipt->resident_bytes, receipt->mapped_bytes);
    CHECK_EQ(receipt->huge_bytes, page_policy == OSTLER_PAGES_BASE ? 0 : receipt->mapped_bytes);
    check_nodes(receipt);
}

TEST(each_page_size_on_each_node)
{
    for (uint32_t node = 0; node < NODES; node++) {
        set_huge_pages((int)node, 4);
        /* From another node than the one asked for. */
        run_on_node((int)((node + 1) % NODES));
        for (size_t i = 0; i < PAGE_POLICIES; i++) {
            ostler_arena *arena = make(strictly(asking_for(page_policies[i], OSTLER_NODE_ONE, node)), 8 * MIB);
            ostler_receipt receipt = receipt_of(arena, 0);
            check_got(&receipt, page_policies[i]);
            CHECK_EQ(receipt.got_node_policy, OSTLER_NODE_ONE);
            CHECK_EQ(receipt.node_count, 1);
            CHECK_EQ(receipt.nodes[0].node, node);
            destroy(arena);
        }
        CHECK_EQ(free_huge_pages((int)node), 4);
        set_huge_pages((int)node, 0);
    }
}

TEST(a_page_of_one_gigabyte_where_there_is_one)
{
    ostler_arena *arena = make(strictly(asking_for(OSTLER_PAGES_1G, OSTLER_NODE_ONE, 0)), GIB);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.got_pages, OSTLER_PAGES_1G);
    CHECK_EQ(receipt.page_bytes, GIB);
    CHECK_EQ(receipt.huge_bytes, GIB);
    CHECK(receipt.node_count == 1 && receipt.nodes[0].node == 0 && receipt.nodes[0].bytes == GIB);
    destroy(arena);
    ostler_arena *refused;
    CHECK_STATUS(create(strictly(asking_for(OSTLER_PAGES_1G, OSTLER_NODE_ONE, 1)), GIB, &refused),
                 OSTLER_E_PAGES_UNAVAILABLE);
}

TEST(what_a_thread_asks_for_locally_is_on_its_node)
{
    for (int node = 0; node < NODES; node++) {
        set_huge_pages(node, 4);
        run_on_node(node);
        for (size_t i = 0; i < PAGE_POLICIES; i++) {
            ostler_arena *arena = make(asking_for(page_policies[i], OSTLER_NODE_LOCAL, 0), 8 * MIB);
            ostler_receipt receipt = receipt_of(arena, 0);
            check_got(&receipt, page_policies[i]);
            CHECK_EQ(receipt.got_node_policy, OSTLER_NODE_LOCAL);
            CHECK(receipt.node_count == 1 && receipt.nodes[0].node == (uint32_t)node);
            destroy(arena);
        }
        set_huge_pages(node, 0);
    }
}

TEST(interleaved_pages_are_spread_evenly)
{
    for (int node = 0; node < NODES; node++)
        set_huge_pages(node, 4);
    for (size_t i = 0; i < PAGE_POLICIES; i++) {
        ostler_arena *arena = make(asking_for(page_policies[i], OSTLER_NODE_INTERLEAVE, 0), 32 * MIB);
        ostler_receipt receipt = receipt_of(arena, 0);
        check_got(&receipt, page_policies[i]);
        CHECK_EQ(receipt.node_count, NODES);
        for (int node = 0; node < NODES; node++)
            CHECK_EQ(receipt.nodes[node].bytes, receipt.mapped_bytes / NODES);
        destroy(arena);
    }
    for (int node = 0; node < NODES; node++) {
        CHECK_EQ(free_huge_pages(node), 4);
        set_huge_pages(node, 0);
    }
}

/* So much that threads on other nodes bring it in as well: the policy places it all the same. */
TEST(much_is_where_the_policy_says)
{
    for (uint32_t policy = OSTLER_NODE_LOCAL; policy <= OSTLER_NODE_ONE; policy++) {
        uint32_t node = policy == OSTLER_NODE_ONE ? 3 : 1;
        cpu_set_t all;
        CPU_ZERO(&all);
        for (int cpu = 0; cpu < NODES; cpu++)
            CPU_SET(cpu, &all);
        run_on_node(1);
        if (policy == OSTLER_NODE_ONE)
            CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
        ostler_arena *arena = make(asking_for(OSTLER_PAGES_BASE, policy, policy == OSTLER_NODE_ONE ? node : 0), 128 * MIB);
        ostler_receipt receipt = receipt_of(arena, 0);
        CHECK_EQ(receipt.resident_bytes, receipt.mapped_bytes);
        CHECK(receipt.node_count == 1 && receipt.nodes[0].node == node);
        CHECK_EQ(receipt.placed_by, OSTLER_PLACED_BY_POLICY);
        destroy(arena);
    }
    /* Nobody said where: where the thread runs that asks. */
    run_on_node(2);
    ostler_arena *arena = make(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ANY, 0), 128 * MIB);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK(receipt.node_count == 1 && receipt.nodes[0].node == 2);
    CHECK_EQ(receipt.placed_by, OSTLER_PLACED_BY_KERNEL);
    destroy(arena);
}

TEST(pages_that_a_thread_touches_first_are_on_its_node)
{
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ANY, 0);
    source.prefault = 0;
    for (int node = 0; node < NODES; node++) {
        void *bytes;
        run_on_node(node);
        ostler_arena *arena = make(source, 2 * MIB);
        CHECK_STATUS(ostler_arena_alloc(arena, MIB, 4096, &bytes), OSTLER_OK);
        memset(bytes, 1, MIB);
        ostler_receipt receipt = receipt_of(arena, 0);
        check_nodes(&receipt);
        CHECK(receipt.node_count == 1 && receipt.nodes[0].node == (uint32_t)node);
        CHECK_EQ(receipt.nodes[0].bytes, MIB);
        destroy(arena);
    }
}

CHECK_MAIN()
