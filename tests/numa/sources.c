/* Sets of nodes, the nearest ones, what is wanted most where not all is to be had, and pages that are brought home, on a
 * machine of four nodes. */
#include "inspected.h"
#include "nodes.h"
#include <dirent.h>

static ostler_page_source asking_for_set(uint32_t pages, uint32_t node_policy, uint64_t nodes)
{
    ostler_page_source source = asking_for(pages, node_policy, 0);
    source.node_set[0] = nodes;
    return source;
}

static void check_only_on(const ostler_receipt *receipt, uint64_t nodes)
{
    CHECK(receipt->node_count >= 1);
    for (uint32_t i = 0; i < receipt->node_count; i++)
        CHECK(nodes >> receipt->nodes[i].node & 1);
    check_nodes(receipt);
}

TEST(a_set_holds_all_of_it)
{
    for (uint64_t nodes = 1; nodes < 1 << NODES; nodes++) {
        ostler_arena *arena = make(strictly(asking_for_set(OSTLER_PAGES_BASE, OSTLER_NODE_SET, nodes)), 4 * MIB);
        ostler_receipt receipt = receipt_of(arena, 0);
        CHECK_EQ(receipt.got_node_policy, OSTLER_NODE_SET);
        CHECK_EQ(receipt.node_set[0], nodes);
        check_only_on(&receipt, nodes);
        destroy(arena);
        arena = make(asking_for_set(OSTLER_PAGES_TRANSPARENT, OSTLER_NODE_SET, nodes), 4 * MIB);
        receipt = receipt_of(arena, 0);
        CHECK_EQ(receipt.step_count, 0);
        check_only_on(&receipt, nodes);
        destroy(arena);
    }
}

TEST(interleaved_over_a_set)
{
    ostler_arena *arena = make(strictly(asking_for_set(OSTLER_PAGES_BASE, OSTLER_NODE_INTERLEAVE, 0xa)), 8 * MIB);
    ostler_receipt receipt = receipt_of(arena, 0);
    check_only_on(&receipt, 0xa);
    CHECK_EQ(receipt.node_count, 2);
    CHECK_EQ(receipt.nodes[0].bytes, receipt.nodes[1].bytes);
    destroy(arena);
}

TEST(nearest_to_each_cpu)
{
    for (uint32_t node = 0; node < NODES; node++) {
        ostler_page_source source = asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_NEAREST_CPUS, 0);
        source.cpu_set[0] = (uint64_t)1 << node;
        ostler_arena *arena = make(strictly(source), 2 * MIB);
        ostler_receipt receipt = receipt_of(arena, 0);
        CHECK_EQ(receipt.got_node_policy, OSTLER_NODE_NEAREST_CPUS);
        check_only_on(&receipt, (uint64_t)1 << node);
        destroy(arena);
    }
}

TEST(nearest_to_a_device)
{
    /* Whatever is on the bus of node 2; what is on the others belongs to no node, which is told. */
    struct dirent *entry;
    int of_a_node = 0, of_none = 0;
    DIR *devices = opendir("/sys/bus/pci/devices");
    CHECK(devices != NULL);
    while ((entry = readdir(devices)) != NULL) {
        char path[300];
        ostler_arena *arena;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/numa_node", entry->d_name);
        long long node = read_number(path);
        ostler_page_source source = asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_NEAREST_DEVICE, 0);
        snprintf(source.device, sizeof source.device, "%.40s", entry->d_name);
        if (node < 0) {
            CHECK_STATUS(create(strictly(source), 2 * MIB, &arena), OSTLER_E_NODE_UNAVAILABLE);
            arena = make(source, 2 * MIB);
            CHECK_EQ(receipt_of(arena, 0).steps[0].limit, OSTLER_LIMIT_NODE_UNKNOWN);
            of_none++;
        } else {
            arena = make(strictly(source), 2 * MIB);
            ostler_receipt receipt = receipt_of(arena, 0);
            CHECK_EQ(receipt.got_node_policy, OSTLER_NODE_NEAREST_DEVICE);
            check_only_on(&receipt, (uint64_t)1 << node);
            of_a_node += node == 2;
        }
        destroy(arena);
    }
    closedir(devices);
    CHECK(of_a_node > 0 && of_none > 0);
}

/* Large pages elsewhere, small ones here: whoever names the size gets the first, whoever asks for the best the second. */
TEST(a_size_that_is_named_weighs_more_than_the_node)
{
    set_huge_pages(0, 8);
    ostler_arena *arena = make(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ONE, 1), 8 * MIB);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.got_pages, OSTLER_PAGES_2M);
    CHECK_EQ(receipt.steps[0].limit, OSTLER_LIMIT_HUGE_PAGE_POOL);
    check_only_on(&receipt, 1);
    destroy(arena);
    arena = make(asking_for(OSTLER_PAGES_BEST, OSTLER_NODE_ONE, 1), 8 * MIB);
    receipt = receipt_of(arena, 0);
    CHECK(receipt.got_pages == OSTLER_PAGES_TRANSPARENT || receipt.got_pages == OSTLER_PAGES_BASE);
    check_only_on(&receipt, 2);
    destroy(arena);
    CHECK_EQ(free_huge_pages(0), 8);
    CHECK_EQ(promised_huge_pages(), 0);
    set_huge_pages(0, 0);
}

TEST(advice_names_the_pool_of_the_node)
{
    ostler_page_source source = strictly(asking_for(OSTLER_PAGES_2M, OSTLER_NODE_ONE, 2));
    ostler_advice advice = {.struct_size = sizeof advice};
    set_huge_pages(0, 8);
    set_huge_pages(2, 1);
    CHECK_STATUS(ostler_page_source_advise(&source, 8 * MIB, &advice), OSTLER_OK);
    CHECK(advice.holds == 0 && advice.obstacle_count == 1);
    CHECK_STR_EQ(advice.obstacles[0].setting, "/sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages");
    CHECK_STR_EQ(advice.obstacles[0].value, "4");
    write_text(advice.obstacles[0].setting, advice.obstacles[0].value);
    destroy(make(source, 8 * MIB));
    set_huge_pages(0, 0);
    set_huge_pages(2, 0);
}

TEST(pages_that_were_moved_away_are_brought_home)
{
    for (size_t i = 0; i < NOUNS; i++) {
        ostler_page_source source = strictly(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ONE, 1));
        void *object = nouns[i].make(&source, 4 * MIB);
        ostler_receipt receipt = first_receipt_of(&nouns[i], object);
        CHECK_EQ(coverage_of(&nouns[i], object).remote_bytes, 0);
        for (uint64_t at = receipt.address; at < receipt.address + receipt.mapped_bytes; at += 4096) {
            void *page = (void *)(uintptr_t)at;
            int to = 3, status;
            CHECK_EQ(syscall(SYS_move_pages, 0, 1UL, &page, &to, &status, 2), 0);
        }
        CHECK_EQ(coverage_of(&nouns[i], object).remote_bytes, receipt.mapped_bytes);
        ostler_governor_stats stats = {.struct_size = sizeof stats};
        CHECK_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
        CHECK_EQ(stats.seen.remote_bytes, receipt.mapped_bytes);
        ostler_repair repair = repair_of(&nouns[i], object);
        CHECK_EQ(repair.remote_bytes_before, receipt.mapped_bytes);
        CHECK_EQ(repair.remote_bytes_after, 0);
        receipt = first_receipt_of(&nouns[i], object);
        check_only_on(&receipt, 2);
        CHECK_STATUS(nouns[i].destroy(object), OSTLER_OK);
    }
}

/* The governor's thread finds them as well, and one call brings all home. */
TEST(pages_that_were_moved_away_become_a_metric)
{
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_ONE, 2);
    ostler_governor_config config;
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    ostler_repair repair = {.struct_size = sizeof repair};
    void *objects[NOUNS];
    for (size_t i = 0; i < NOUNS; i++) {
        objects[i] = nouns[i].make(&source, MIB);
        ostler_receipt receipt = first_receipt_of(&nouns[i], objects[i]);
        const unsigned long node = 1;
        CHECK_EQ(syscall(SYS_mbind, (void *)(uintptr_t)receipt.address, receipt.mapped_bytes, 2 /* MPOL_BIND */, &node,
                         8UL, 2 /* MPOL_MF_MOVE */),
                 0);
    }
    CHECK_STATUS(ostler_governor_config_init(&config, sizeof config), OSTLER_OK);
    config.tick_ns = config.coverage_period_ns = 10 * UINT64_C(1000000);
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    while (stats.seen.remote_bytes < NOUNS * MIB) {
        usleep(10000);
        CHECK_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
    }
    CHECK_STATUS(ostler_governor_configure(NULL), OSTLER_OK);
    CHECK_EQ(stats.seen.remote_bytes, NOUNS * MIB);
    CHECK_STATUS(ostler_governor_repair(&repair), OSTLER_OK);
    CHECK(repair.remote_bytes_before == NOUNS * MIB && repair.remote_bytes_after == 0);
    for (size_t i = 0; i < NOUNS; i++) {
        ostler_receipt receipt = first_receipt_of(&nouns[i], objects[i]);
        check_only_on(&receipt, 4);
        CHECK_STATUS(nouns[i].destroy(objects[i]), OSTLER_OK);
    }
}

CHECK_MAIN()
