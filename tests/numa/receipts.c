/* Hundreds of chunks of every page size and node policy at once: the receipt of each is what the kernel's list of
 * mappings and move_pages say. */
#include "nodes.h"

#define ARENAS 64
#define CLASSES 4

/* What numa_maps and smaps tell of a mapping. */
struct mapping {
    uint64_t address, on_node[NODES], huge;
};

#define MAPPINGS 4096
static struct mapping mappings[MAPPINGS];
static int mapping_count;

static struct mapping *mapping_at(uint64_t address)
{
    for (int i = 0; i < mapping_count; i++)
        if (mappings[i].address == address)
            return &mappings[i];
    return NULL;
}

static void read_mappings(void)
{
    static char line[1024];
    struct mapping *mapping = NULL;
    FILE *file = fopen("/proc/self/numa_maps", "r");
    CHECK(file != NULL);
    for (mapping_count = 0; fgets(line, sizeof line, file); mapping_count++) {
        unsigned long long start, pages, kib = 4;
        int node;
        CHECK(mapping_count < MAPPINGS && sscanf(line, "%llx ", &start) == 1);
        mappings[mapping_count] = (struct mapping){.address = start};
        char *size = strstr(line, "kernelpagesize_kB=");
        if (size)
            sscanf(size, "kernelpagesize_kB=%llu", &kib);
        for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
            if (sscanf(word, "N%d=%llu", &node, &pages) == 2 && node < NODES)
                mappings[mapping_count].on_node[node] = pages * kib * 1024;
    }
    fclose(file);
    file = fopen("/proc/self/smaps", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file)) {
        unsigned long long start, end, kib;
        if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
            mapping = mapping_at(start);
        else if (mapping && (sscanf(line, "AnonHugePages: %llu", &kib) == 1 ||
                             sscanf(line, "Private_Hugetlb: %llu", &kib) == 1))
            mapping->huge += kib * 1024;
    }
    fclose(file);
}

static void check_chunk(const ostler_receipt *receipt)
{
    struct mapping *mapping = mapping_at(receipt->address);
    uint64_t listed[NODES] = {0};
    CHECK(receipt->pages_verified_by != OSTLER_VERIFIED_NOT && receipt->nodes_verified_by != OSTLER_VERIFIED_NOT);
    CHECK_EQ(receipt->unverified_errno, 0);
    CHECK(mapping != NULL);
    for (uint32_t i = 0; i < receipt->node_count; i++)
        listed[receipt->nodes[i].node] = receipt->nodes[i].bytes;
    for (int node = 0; node < NODES; node++)
        CHECK_EQ(listed[node], mapping->on_node[node]);
    CHECK_EQ(receipt->huge_bytes, mapping->huge);
    check_nodes(receipt);
}

TEST(sixty_four_arenas_of_each_page_size)
{
    static const uint32_t classes[CLASSES] = {OSTLER_PAGES_BASE, OSTLER_PAGES_TRANSPARENT, OSTLER_PAGES_2M,
                                              OSTLER_PAGES_BEST};
    static ostler_arena *arenas[ARENAS * CLASSES];
    uint64_t got[OSTLER_PAGES_BEST] = {0};
    /* Too few for all that ask. */
    for (int node = 0; node < NODES; node++)
        set_huge_pages(node, 20);
    for (int i = 0; i < ARENAS * CLASSES; i++) {
        uint32_t node_policy = (uint32_t)(i / CLASSES) % 4;
        run_on_node(i / 16 % NODES);
        ostler_page_source source =
            asking_for(classes[i % CLASSES], node_policy, node_policy == OSTLER_NODE_ONE ? (uint32_t)i / 16 % 4 : 0);
        arenas[i] = make(source, 2 * MIB);
    }
    read_mappings();
    for (int i = 0; i < ARENAS * CLASSES; i++) {
        CHECK_EQ(chunks_of(arenas[i]), 1);
        ostler_receipt receipt = receipt_of(arenas[i], 0);
        CHECK_EQ(receipt.asked_pages, classes[i % CLASSES]);
        check_chunk(&receipt);
        got[receipt.got_pages]++;
    }
    CHECK_EQ(got[OSTLER_PAGES_2M], 4 * 20);
    CHECK(got[OSTLER_PAGES_BASE] >= ARENAS && got[OSTLER_PAGES_TRANSPARENT] >= ARENAS);
    for (int i = 0; i < ARENAS * CLASSES; i++)
        destroy(arenas[i]);
    for (int node = 0; node < NODES; node++) {
        CHECK_EQ(free_huge_pages(node), 20);
        set_huge_pages(node, 0);
    }
    CHECK_EQ(promised_huge_pages(), 0);
}

CHECK_MAIN()
