/* Topology: what it says about this machine beside what the kernel says, and machines that exist only as text. */
#include "check.h"
#include <dirent.h>
#include <ostler.h>
#include <sched.h>
#include <stdbool.h>

static ostler_topology *make_topology(const char *synthetic)
{
    ostler_topology *topology;
    CHECK_STATUS(ostler_topology_create(synthetic, &topology), OSTLER_OK);
    return topology;
}

static ostler_topology_info info_of(ostler_topology *topology)
{
    ostler_topology_info info = {.struct_size = sizeof info};
    CHECK_STATUS(ostler_topology_get_info(topology, &info), OSTLER_OK);
    CHECK_EQ(info.struct_size, sizeof info);
    return info;
}

/* The number that a file of the kernel holds after a word, or at its start; -1 without the file. */
static long long kernel_number(const char *path, const char *after)
{
    char text[4096];
    const char *place = text;
    FILE *file = fopen(path, "r");
    if (!file)
        return -1;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    if (after && !(place = strstr(text, after)))
        return -1;
    return strtoll(place + (after ? strlen(after) : 0), NULL, 10);
}

static unsigned count_entries(const char *folder, const char *prefix)
{
    unsigned count = 0;
    DIR *directory = opendir(folder);
    if (!directory)
        return 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        size_t length = strlen(prefix);
        count += strncmp(entry->d_name, prefix, length) == 0 && entry->d_name[length] >= '0' &&
                 entry->d_name[length] <= '9';
    }
    closedir(directory);
    return count;
}

TEST(this_machine_has_the_nodes_of_the_kernel)
{
    ostler_topology *topology = make_topology(NULL);
    ostler_topology_info info = info_of(topology);
    unsigned nodes = count_entries("/sys/devices/system/node", "node");
    CHECK_EQ(info.is_this_machine, 1);
    CHECK_EQ(info.node_count, nodes ? nodes : 1);
    for (uint32_t i = 0; i < info.node_count; i++) {
        char path[96];
        ostler_node_info node = {.struct_size = sizeof node};
        CHECK_STATUS(ostler_topology_get_node(topology, i, &node), OSTLER_OK);
        snprintf(path, sizeof path, "/sys/devices/system/node/node%u/meminfo", node.node);
        long long kib = kernel_number(path, "MemTotal:");
        if (kib >= 0)
            CHECK_EQ(node.memory_bytes, kib * 1024);
        CHECK(node.free_bytes <= node.memory_bytes);
    }
    CHECK_STATUS(ostler_topology_destroy(topology), OSTLER_OK);
}

TEST(this_machine_has_the_cpus_of_the_kernel)
{
    ostler_topology *topology = make_topology(NULL);
    ostler_topology_info info = info_of(topology);
    cpu_set_t ours, seen;
    CHECK_EQ(sched_getaffinity(0, sizeof ours, &ours), 0);
    CPU_ZERO(&seen);
    CHECK(info.core_count >= 1 && info.core_count <= info.cpu_count);
    CHECK(info.package_count >= 1 && info.package_count <= info.core_count);
    for (uint32_t i = 0; i < info.cpu_count; i++) {
        ostler_cpu_info cpu = {.struct_size = sizeof cpu};
        CHECK_STATUS(ostler_topology_get_cpu(topology, i, &cpu), OSTLER_OK);
        CHECK(cpu.cpu < CPU_SETSIZE && !CPU_ISSET(cpu.cpu, &seen));
        CHECK(cpu.allowed == 0 || cpu.allowed == 1);
        CPU_SET(cpu.cpu, &seen);
        if (CPU_ISSET(cpu.cpu, &ours))
            CHECK_EQ(cpu.allowed, 1);
    }
    CPU_AND(&seen, &seen, &ours);
    CHECK(CPU_EQUAL(&seen, &ours));
    CHECK_STATUS(ostler_topology_destroy(topology), OSTLER_OK);
}

TEST(this_machine_has_the_page_sizes_and_pools_of_the_kernel)
{
    ostler_topology *topology = make_topology(NULL);
    ostler_topology_info info = info_of(topology);
    bool base_seen = false;
    CHECK_EQ(info.page_size_count, 1 + count_entries("/sys/kernel/mm/hugepages", "hugepages-"));
    for (uint32_t i = 0; i < info.page_size_count; i++) {
        char path[128];
        uint64_t total = 0, on_nodes = 0;
        ostler_page_info pages = {.struct_size = sizeof pages};
        CHECK_STATUS(ostler_topology_get_pages(topology, OSTLER_ALL_NODES, i, &pages), OSTLER_OK);
        CHECK(pages.page_bytes > 0 && (pages.page_bytes & (pages.page_bytes - 1)) == 0);
        total = pages.total_pages;
        if (pages.page_bytes == (uint64_t)sysconf(_SC_PAGESIZE)) {
            base_seen = true;
            continue;
        }
        snprintf(path, sizeof path, "/sys/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
                 (unsigned long long)pages.page_bytes / 1024);
        CHECK_EQ(pages.total_pages, kernel_number(path, NULL));
        CHECK(pages.free_pages <= pages.total_pages);
        for (uint32_t node = 0; node < info.node_count; node++) {
            CHECK_STATUS(ostler_topology_get_pages(topology, node, i, &pages), OSTLER_OK);
            on_nodes += pages.total_pages;
        }
        CHECK_EQ(on_nodes, total);
    }
    CHECK(base_seen);
    CHECK_STATUS(ostler_topology_destroy(topology), OSTLER_OK);
}

/* The size that the kernel tells of a CPU's cache, 0 if it tells of none such. */
static uint64_t kernel_cache_bytes(uint32_t cpu, uint32_t level, uint32_t kind)
{
    static const char *const kinds[] = {
        [OSTLER_CACHE_UNIFIED] = "Unified", [OSTLER_CACHE_DATA] = "Data", [OSTLER_CACHE_INSTRUCTION] = "Instruction"};
    for (int index = 0; index < 8; index++) {
        char folder[80], path[96], type[16] = "";
        snprintf(folder, sizeof folder, "/sys/devices/system/cpu/cpu%u/cache/index%d", cpu, index);
        snprintf(path, sizeof path, "%s/type", folder);
        FILE *file = fopen(path, "r");
        if (!file)
            return 0;
        if (fscanf(file, "%15s", type) != 1)
            type[0] = 0;
        fclose(file);
        snprintf(path, sizeof path, "%s/level", folder);
        if (strcmp(type, kinds[kind]) != 0 || kernel_number(path, NULL) != level)
            continue;
        snprintf(path, sizeof path, "%s/size", folder);
        return (uint64_t)kernel_number(path, NULL) * 1024;
    }
    return 0;
}

TEST(this_machine_has_the_caches_of_the_kernel)
{
    ostler_topology *topology = make_topology(NULL);
    ostler_topology_info info = info_of(topology);
    for (uint32_t i = 0; i < info.cache_count; i++) {
        ostler_cache_info cache = {.struct_size = sizeof cache};
        CHECK_STATUS(ostler_topology_get_cache(topology, i, &cache), OSTLER_OK);
        CHECK(cache.level >= 1 && cache.level <= 5);
        CHECK(cache.kind <= OSTLER_CACHE_INSTRUCTION);
        CHECK(cache.cpu_count >= 1 && cache.cpu_count <= info.cpu_count);
        uint64_t bytes = kernel_cache_bytes(cache.first_cpu, cache.level, cache.kind);
        if (bytes)
            CHECK_EQ(cache.size_bytes, bytes);
    }
    CHECK_STATUS(ostler_topology_destroy(topology), OSTLER_OK);
}

TEST(synthetic_machine_is_what_its_text_says)
{
    ostler_topology *topology =
        make_topology("pack:2 [numa(memory=1073741824)] l3:1(size=4194304) core:3 l1:1(size=32768) pu:2");
    ostler_topology_info info = info_of(topology);
    uint32_t on_second_node = 0, level_3 = 0, level_1 = 0;
    CHECK_EQ(info.is_this_machine, 0);
    CHECK_EQ(info.package_count, 2);
    CHECK_EQ(info.node_count, 2);
    CHECK_EQ(info.core_count, 6);
    CHECK_EQ(info.cpu_count, 12);
    CHECK_EQ(info.cache_count, 2 + 6);
    for (uint32_t i = 0; i < info.node_count; i++) {
        ostler_node_info node = {.struct_size = sizeof node};
        CHECK_STATUS(ostler_topology_get_node(topology, i, &node), OSTLER_OK);
        CHECK_EQ(node.node, i);
        CHECK_EQ(node.cpu_count, 6);
        CHECK_EQ(node.memory_bytes, 1 << 30);
    }
    for (uint32_t i = 0; i < info.cpu_count; i++) {
        ostler_cpu_info cpu = {.struct_size = sizeof cpu};
        CHECK_STATUS(ostler_topology_get_cpu(topology, i, &cpu), OSTLER_OK);
        CHECK_EQ(cpu.cpu, i);
        CHECK_EQ(cpu.package, i / 6);
        CHECK_EQ(cpu.allowed, 1);
        on_second_node += cpu.node == 1;
    }
    CHECK_EQ(on_second_node, 6);
    for (uint32_t i = 0; i < info.cache_count; i++) {
        ostler_cache_info cache = {.struct_size = sizeof cache};
        CHECK_STATUS(ostler_topology_get_cache(topology, i, &cache), OSTLER_OK);
        level_3 += cache.level == 3 && cache.size_bytes == 4 << 20 && cache.cpu_count == 6;
        level_1 += cache.level == 1 && cache.size_bytes == 32 << 10 && cache.cpu_count == 2;
    }
    CHECK_EQ(level_3, 2);
    CHECK_EQ(level_1, 6);
    CHECK_STATUS(ostler_topology_destroy(topology), OSTLER_OK);
}

TEST(two_topologies_do_not_mix)
{
    ostler_topology *small = make_topology("pack:1 core:1 pu:1");
    ostler_topology *large = make_topology("pack:4 core:4 pu:4");
    CHECK_EQ(info_of(small).cpu_count, 1);
    CHECK_EQ(info_of(large).cpu_count, 64);
    CHECK_STATUS(ostler_topology_destroy(large), OSTLER_OK);
    CHECK_EQ(info_of(small).cpu_count, 1);
    CHECK_STATUS(ostler_topology_destroy(small), OSTLER_OK);
}

TEST(text_that_describes_no_machine_is_refused)
{
    static const char *const texts[] = {"", "horses", "pack:0", "pack:2 core", "pu:2 pack:2", "pack:-1 pu:1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ostler_topology *topology = (ostler_topology *)texts;
        CHECK_STATUS(ostler_topology_create(texts[i], &topology), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "synthetic");
        CHECK_EQ(topology, NULL);
    }
}

TEST(index_past_the_end_is_refused_with_the_bound)
{
    ostler_topology *topology = make_topology("pack:1 core:3 pu:1");
    ostler_topology_info info = info_of(topology);
    ostler_node_info node = {.struct_size = sizeof node};
    ostler_cpu_info cpu = {.struct_size = sizeof cpu};
    ostler_cache_info cache = {.struct_size = sizeof cache};
    ostler_page_info pages = {.struct_size = sizeof pages};
    CHECK_STATUS(ostler_topology_get_cpu(topology, 3, &cpu), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "index is 3");
    CHECK_STATUS(ostler_topology_get_node(topology, info.node_count, &node), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "index is 1");
    CHECK_STATUS(ostler_topology_get_cache(topology, info.cache_count, &cache), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "index is ");
    CHECK_STATUS(ostler_topology_get_pages(topology, OSTLER_ALL_NODES, info.page_size_count, &pages),
                 OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "page_size_index is ");
    CHECK_STATUS(ostler_topology_get_pages(topology, info.node_count, 0, &pages), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "node_index is 1");
    CHECK_STATUS(ostler_topology_destroy(topology), OSTLER_OK);
}

CHECK_MAIN()
