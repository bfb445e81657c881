/* What the kernel itself tells about nodes, asked without the library; and arenas for these tests. */
#ifndef OSTLER_TESTS_NODES_H
#define OSTLER_TESTS_NODES_H

#include "check.h"
#include "kernel_files.h"
#include <errno.h>
#include <fcntl.h>
#include <ostler.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
/* The machine that tests/numa/machine.sh starts. */
#define NODES 4

static inline void write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY);
    CHECK(file >= 0);
    if (write(file, text, strlen(text)) != (ssize_t)strlen(text))
        FAIL("%s does not take \"%s\": %s", path, text, strerror(errno));
    close(file);
}

/* The value behind a word in a file such as memory.events or meminfo. */
static inline long long read_field(const char *path, const char *field)
{
    char line[256];
    long long value = -1;
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file)) {
        char *found = strstr(line, field);
        if (found && (found == line || found[-1] == ' ') &&
            sscanf(found + strlen(field), "%*[ =:]%lld", &value) == 1)
            break;
    }
    fclose(file);
    return value;
}

static inline uint64_t free_on_node(int node)
{
    char path[80];
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/meminfo", node);
    return (uint64_t)read_field(path, "MemFree") * 1024;
}

/* Pages of 2 MiB in a node's pool. */
static inline void set_huge_pages(int node, int pages)
{
    char path[120], text[16];
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/nr_hugepages", node);
    snprintf(text, sizeof text, "%d", pages);
    write_text(path, text);
    CHECK_EQ(read_number(path), pages);
}

static inline long long free_huge_pages(int node)
{
    char path[120];
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/free_hugepages", node);
    return read_number(path);
}

static inline long long promised_huge_pages(void)
{
    return read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages");
}

/* Bytes of a range on each node, by move_pages, one base page at a time; what is not there counts nowhere. */
static inline void kernel_nodes(uint64_t address, uint64_t bytes, uint64_t on_node[NODES])
{
    static void *pages[512];
    static int answers[512];
    memset(on_node, 0, NODES * sizeof *on_node);
    for (uint64_t done = 0; done < bytes;) {
        unsigned long count = 0;
        for (; count < 512 && done < bytes; count++, done += 4096)
            pages[count] = (void *)(uintptr_t)(address + done);
        CHECK_EQ(syscall(SYS_move_pages, 0, count, pages, NULL, answers, 0), 0);
        for (unsigned long i = 0; i < count; i++)
            if (answers[i] >= 0 && answers[i] < NODES)
                on_node[answers[i]] += 4096;
    }
}

/* Where this thread runs from now on: each node of the machine has the CPU of its number. */
static inline void run_on_node(int node)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(node, &cpus);
    CHECK_EQ(sched_setaffinity(0, sizeof cpus, &cpus), 0);
}

static inline ostler_page_source asking_for(uint32_t page_policy, uint32_t node_policy, uint32_t node)
{
    ostler_page_source source;
    CHECK_STATUS(ostler_page_source_init(&source, sizeof source), OSTLER_OK);
    source.page_policy = page_policy;
    source.node_policy = node_policy;
    source.node = node;
    source.prefault = 1;
    return source;
}

static inline ostler_page_source strictly(ostler_page_source source)
{
    source.strict = 1;
    return source;
}

static inline ostler_status create(ostler_page_source source, uint64_t chunk_bytes, ostler_arena **arena)
{
    ostler_arena_config config;
    CHECK_STATUS(ostler_arena_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &source;
    config.chunk_bytes = chunk_bytes;
    return ostler_arena_create(&config, arena);
}

static inline ostler_arena *make(ostler_page_source source, uint64_t chunk_bytes)
{
    ostler_arena *arena = NULL;
    CHECK_STATUS(create(source, chunk_bytes, &arena), OSTLER_OK);
    return arena;
}

static inline ostler_receipt receipt_of(ostler_arena *arena, uint64_t chunk)
{
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    CHECK_STATUS(ostler_arena_get_receipt(arena, chunk, &receipt), OSTLER_OK);
    return receipt;
}

static inline uint64_t chunks_of(ostler_arena *arena)
{
    ostler_arena_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_arena_get_stats(arena, &stats), OSTLER_OK);
    return stats.chunks;
}

/* The receipt tells of the very pages that move_pages finds. */
static inline void check_nodes(const ostler_receipt *receipt)
{
    uint64_t on_node[NODES], listed = 0;
    kernel_nodes(receipt->address, receipt->mapped_bytes, on_node);
    for (uint32_t i = 0; i < receipt->node_count; i++) {
        CHECK_EQ(receipt->nodes[i].bytes, on_node[receipt->nodes[i].node]);
        listed += receipt->nodes[i].bytes;
    }
    CHECK_EQ(listed, on_node[0] + on_node[1] + on_node[2] + on_node[3]);
    CHECK_EQ(listed, receipt->resident_bytes);
}

static inline void destroy(ostler_arena *arena)
{
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

#endif
