/* Receipts beside what the kernel tells this test itself: pagemap for what is resident, smaps for huge pages, move_pages
 * and numa_maps for nodes. */
#include "arenas.h"
#include "kernel_files.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HUGE_BYTES ((uint64_t)2 << 20)

static ostler_receipt receipt_of(ostler_arena *arena, uint64_t chunk)
{
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    CHECK_STATUS(ostler_arena_get_receipt(arena, chunk, &receipt), OSTLER_OK);
    CHECK(receipt.step_count <= OSTLER_RECEIPT_STEPS && receipt.node_count <= OSTLER_RECEIPT_NODES);
    return receipt;
}

/* What of a range is in memory, page by page. */
static uint64_t kernel_resident(uint64_t address, uint64_t bytes)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), resident = 0, entry;
    int file = open("/proc/self/pagemap", O_RDONLY);
    CHECK(file >= 0);
    for (uint64_t at = address; at < address + bytes; at += page) {
        CHECK_EQ(pread(file, &entry, sizeof entry, (off_t)(at / page * sizeof entry)), sizeof entry);
        if (entry >> 63)
            resident += page;
    }
    close(file);
    return resident;
}

/* The lines of smaps about the mappings that lie in a range, added up in bytes. */
struct smaps {
    uint64_t huge, largest_page;
    bool exact; /* the mappings end where the range does */
};

static struct smaps kernel_smaps(uint64_t address, uint64_t bytes)
{
    struct smaps found = {.exact = true};
    char line[512];
    bool inside = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file)) {
        unsigned long long from, to, kib;
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2) {
            inside = from < address + bytes && to > address;
            if (inside && (from < address || to > address + bytes))
                found.exact = false;
        } else if (inside && (sscanf(line, "AnonHugePages: %llu", &kib) == 1 ||
                              sscanf(line, "Private_Hugetlb: %llu", &kib) == 1 ||
                              sscanf(line, "Shared_Hugetlb: %llu", &kib) == 1)) {
            found.huge += kib * 1024;
        } else if (inside && sscanf(line, "KernelPageSize: %llu", &kib) == 1 && kib * 1024 > found.largest_page) {
            found.largest_page = kib * 1024;
        }
    }
    fclose(file);
    return found;
}

#define HUGE_POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

/* Asks the kernel for a pool of 2 MiB pages; what it made of it. */
static long long set_huge_pool(long long pages)
{
    FILE *file = fopen(HUGE_POOL "nr_hugepages", "w");
    if (file) {
        fprintf(file, "%lld\n", pages);
        fclose(file);
    }
    return read_number(HUGE_POOL "nr_hugepages");
}

static bool transparent_pages_are_on(void)
{
    char text[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
    }
    return strstr(text, "[always]") || strstr(text, "[madvise]");
}

static ostler_page_source asking_for(uint32_t page_policy)
{
    ostler_page_source source;
    CHECK_STATUS(ostler_page_source_init(&source, sizeof source), OSTLER_OK);
    source.page_policy = page_policy;
    return source;
}

static ostler_status create_from(ostler_page_source source, ostler_arena **arena)
{
    ostler_arena_config config = small_chunks();
    config.source = &source;
    config.chunk_bytes = 2 * HUGE_BYTES;
    return ostler_arena_create(&config, arena);
}

static ostler_arena *make_arena_from(ostler_page_source source)
{
    ostler_arena *arena;
    CHECK_STATUS(create_from(source, &arena), OSTLER_OK);
    return arena;
}

/* Touches every chunk of an arena from end to end. */
static void fill(ostler_arena *arena, uint64_t bytes)
{
    for (uint64_t taken = 0; taken < bytes; taken += 65536)
        memset(take(arena, 65536, 0), 1, 65536);
}

static void check_against_kernel(const ostler_receipt *receipt)
{
    struct smaps smaps = kernel_smaps(receipt->address, receipt->mapped_bytes);
    CHECK_EQ(receipt->resident_bytes, kernel_resident(receipt->address, receipt->mapped_bytes));
    if (smaps.exact)
        CHECK_EQ(receipt->huge_bytes, smaps.huge);
    else
        CHECK(receipt->huge_bytes <= smaps.huge);
    CHECK(receipt->pages_verified_by == OSTLER_VERIFIED_PAGEMAP_SCAN ||
          receipt->pages_verified_by == OSTLER_VERIFIED_SMAPS);
}

TEST(base_pages_are_counted_one_by_one)
{
    ostler_arena *arena = make_arena_from(asking_for(OSTLER_PAGES_BASE));
    unsigned char *bytes = take(arena, HUGE_BYTES, 4096);
    for (int i = 0; i < 37; i++)
        bytes[i * 3 * 4096] = 1;
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.asked_pages, OSTLER_PAGES_BASE);
    CHECK_EQ(receipt.got_pages, OSTLER_PAGES_BASE);
    CHECK_EQ(receipt.page_bytes, sysconf(_SC_PAGESIZE));
    CHECK_EQ(receipt.huge_bytes, 0);
    CHECK(receipt.asked_bytes >= 2 * HUGE_BYTES && receipt.mapped_bytes >= receipt.asked_bytes);
    CHECK((uintptr_t)bytes >= receipt.address && (uintptr_t)bytes < receipt.address + receipt.mapped_bytes);
    CHECK(receipt.resident_bytes >= 37 * 4096);
    check_against_kernel(&receipt);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(receipt_asks_the_kernel_anew)
{
    ostler_arena *arena = make_arena_from(asking_for(OSTLER_PAGES_BASE));
    unsigned char *bytes = take(arena, HUGE_BYTES, 4096);
    uint64_t before = receipt_of(arena, 0).resident_bytes;
    memset(bytes, 1, HUGE_BYTES / 2);
    uint64_t after = receipt_of(arena, 0).resident_bytes;
    CHECK(after >= before + HUGE_BYTES / 2 - 8192);
    ostler_receipt receipt = receipt_of(arena, 0);
    check_against_kernel(&receipt);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(transparent_pages_count_only_where_the_kernel_has_made_them)
{
    ostler_arena *arena = make_arena_from(asking_for(OSTLER_PAGES_TRANSPARENT));
    fill(arena, HUGE_BYTES);
    ostler_receipt receipt = receipt_of(arena, 0);
    /* Between two looks khugepaged must not change it. */
    CHECK(madvise((void *)(uintptr_t)receipt.address, receipt.mapped_bytes, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
    receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.asked_pages, OSTLER_PAGES_TRANSPARENT);
    check_against_kernel(&receipt);
    CHECK_EQ(receipt.got_pages == OSTLER_PAGES_TRANSPARENT, receipt.huge_bytes > 0);
    if (!transparent_pages_are_on()) {
        CHECK_EQ(receipt.got_pages, OSTLER_PAGES_BASE);
        CHECK(receipt.step_count >= 1);
        CHECK_EQ(receipt.steps[0].limit, OSTLER_LIMIT_THP_DISABLED);
    }
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(prefault_makes_every_page_resident)
{
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE);
    source.prefault = 1;
    ostler_arena *arena = make_arena_from(source);
    take(arena, 1, 0);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.resident_bytes, receipt.mapped_bytes);
    check_against_kernel(&receipt);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(without_huge_pages_the_arena_steps_down_and_says_why)
{
    if (read_number(HUGE_POOL "free_hugepages") > 0)
        SKIP("this machine has free 2 MiB pages");
    ostler_arena *arena = make_arena_from(asking_for(OSTLER_PAGES_2M));
    fill(arena, 4 * HUGE_BYTES);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.asked_pages, OSTLER_PAGES_2M);
    CHECK(receipt.got_pages == OSTLER_PAGES_BASE || receipt.got_pages == OSTLER_PAGES_TRANSPARENT);
    CHECK(receipt.step_count >= 1);
    CHECK_EQ(receipt.steps[0].page_policy, OSTLER_PAGES_2M);
    CHECK(receipt.steps[0].limit == OSTLER_LIMIT_HUGE_PAGE_POOL ||
          receipt.steps[0].limit == OSTLER_LIMIT_PAGE_SIZE_UNKNOWN);
    CHECK(arena_stats(arena).step_downs >= 1);
    check_against_kernel(&receipt);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

/* Where a strict refusal is told: at the latest when memory is first asked for. */
static ostler_status ask_strictly(ostler_page_source source)
{
    ostler_arena *arena;
    void *bytes;
    source.strict = 1;
    ostler_status status = create_from(source, &arena);
    if (status != OSTLER_OK)
        return status;
    status = ostler_arena_alloc(arena, 64, 0, &bytes);
    CHECK(status == OSTLER_OK || bytes == NULL);
    char message[512];
    snprintf(message, sizeof message, "%s", ostler_last_error_message());
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STR_EQ(ostler_last_error_message(), message);
    return status;
}

TEST(strict_turns_a_step_down_into_an_error)
{
    if (read_number(HUGE_POOL "free_hugepages") > 0)
        SKIP("this machine has free 2 MiB pages");
    CHECK_STATUS(ask_strictly(asking_for(OSTLER_PAGES_2M)), OSTLER_E_PAGES_UNAVAILABLE);
    CHECK(ostler_last_error_message()[0] != 0);
    CHECK_STATUS(ask_strictly(asking_for(OSTLER_PAGES_BASE)), OSTLER_OK);
}

TEST(best_goes_down_from_the_largest)
{
    ostler_arena *arena = make_arena_from(asking_for(OSTLER_PAGES_BEST));
    fill(arena, HUGE_BYTES);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.asked_pages, OSTLER_PAGES_BEST);
    CHECK(receipt.step_count >= 1);
    /* Chunks of 4 MiB are not for 1 GiB pages. */
    CHECK_EQ(receipt.steps[0].page_policy, OSTLER_PAGES_1G);
    CHECK(receipt.steps[0].limit != OSTLER_LIMIT_NONE);
    for (uint32_t i = 1; i < receipt.step_count; i++)
        CHECK(receipt.steps[i].page_policy != receipt.steps[i - 1].page_policy);
    check_against_kernel(&receipt);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(huge_pages_are_real_and_a_short_pool_is_no_sigbus)
{
    long long before = read_number(HUGE_POOL "nr_hugepages"), got;
    if (before < 0 || access(HUGE_POOL "nr_hugepages", W_OK) != 0)
        SKIP("the pool of 2 MiB pages cannot be set here");
    got = set_huge_pool(before + 4);
    if (got < before + 4) {
        set_huge_pool(before);
        SKIP("the kernel has only %lld of 4 more 2 MiB pages", got - before);
    }
    ostler_arena *arena = make_arena_from(asking_for(OSTLER_PAGES_2M));
    fill(arena, (uint64_t)(got + 6) * HUGE_BYTES);
    ostler_receipt first = receipt_of(arena, 0), last = receipt_of(arena, arena_stats(arena).chunks - 1);
    set_huge_pool(before);

    CHECK_EQ(first.got_pages, OSTLER_PAGES_2M);
    CHECK_EQ(first.page_bytes, HUGE_BYTES);
    CHECK_EQ(first.huge_bytes, first.mapped_bytes);
    CHECK_EQ(kernel_smaps(first.address, first.mapped_bytes).largest_page, HUGE_BYTES);
    CHECK(last.got_pages != OSTLER_PAGES_2M);
    CHECK(last.step_count >= 1);
    CHECK_EQ(last.steps[0].limit, OSTLER_LIMIT_HUGE_PAGE_POOL);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    set_huge_pool(before);
    CHECK_EQ(read_number(HUGE_POOL "nr_hugepages"), before);
}

/* Bytes of a range on each node, one page at a time. */
static void kernel_nodes(uint64_t address, uint64_t bytes, uint64_t on_node[64])
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    memset(on_node, 0, 64 * sizeof *on_node);
    for (uint64_t at = address; at < address + bytes; at += page) {
        void *pointer = (void *)(uintptr_t)at;
        int node = -1;
        if (syscall(SYS_move_pages, 0, 1UL, &pointer, NULL, &node, 0) != 0)
            SKIP("move_pages is not to be had here");
        if (node >= 0 && node < 64)
            on_node[node] += page;
    }
}

static void check_nodes(uint32_t node_policy)
{
    uint64_t on_node[64], sum = 0;
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE);
    source.node_policy = node_policy;
    ostler_arena *arena = make_arena_from(source);
    fill(arena, HUGE_BYTES);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.asked_node_policy, node_policy);
    CHECK(receipt.nodes_verified_by == OSTLER_VERIFIED_MOVE_PAGES ||
          receipt.nodes_verified_by == OSTLER_VERIFIED_NUMA_MAPS);
    kernel_nodes(receipt.address, receipt.mapped_bytes, on_node);
    CHECK(receipt.node_count >= 1);
    for (uint32_t i = 0; i < receipt.node_count; i++) {
        CHECK_EQ(receipt.nodes[i].bytes, on_node[receipt.nodes[i].node]);
        sum += receipt.nodes[i].bytes;
    }
    CHECK_EQ(sum, receipt.resident_bytes);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(nodes_are_those_of_move_pages)
{
    check_nodes(OSTLER_NODE_ANY);
    check_nodes(OSTLER_NODE_LOCAL);
    check_nodes(OSTLER_NODE_ONE);
    check_nodes(OSTLER_NODE_INTERLEAVE);
}

/* The policy that numa_maps tells of the mapping that begins at or before an address: bind:0, interleave:0, default. */
static void kernel_policy(uint64_t address, char policy[64])
{
    char line[1024];
    FILE *file = fopen("/proc/self/numa_maps", "r");
    policy[0] = 0;
    if (!file)
        SKIP("this kernel has no numa_maps");
    while (fgets(line, sizeof line, file)) {
        unsigned long long from;
        char name[64];
        if (sscanf(line, "%llx %63s", &from, name) == 2 && from <= address)
            strcpy(policy, name);
    }
    fclose(file);
}

TEST(node_policy_that_was_got_is_the_one_of_numa_maps)
{
    static const struct {
        uint32_t policy;
        const char *words[2];
    } cases[] = {
        {OSTLER_NODE_ONE, {"bind:0", "prefer"}},
        {OSTLER_NODE_INTERLEAVE, {"interleave", "interleave"}},
        {OSTLER_NODE_LOCAL, {"local", "prefer"}},
        {OSTLER_NODE_ANY, {"default", "default"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char policy[64];
        ostler_page_source source = asking_for(OSTLER_PAGES_BASE);
        source.node_policy = cases[i].policy;
        ostler_arena *arena = make_arena_from(source);
        fill(arena, HUGE_BYTES);
        ostler_receipt receipt = receipt_of(arena, 0);
        kernel_policy(receipt.address, policy);
        if (receipt.got_node_policy == cases[i].policy && cases[i].policy != OSTLER_NODE_LOCAL)
            CHECK(strncmp(policy, cases[i].words[0], strlen(cases[i].words[0])) == 0 ||
                  strncmp(policy, cases[i].words[1], strlen(cases[i].words[1])) == 0);
        CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
}

TEST(node_that_does_not_exist_is_told_or_refused)
{
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE);
    source.node_policy = OSTLER_NODE_ONE;
    source.node = 63;
    if (access("/sys/devices/system/node/node63", F_OK) == 0)
        SKIP("this machine has a node 63");
    CHECK_STATUS(ask_strictly(source), OSTLER_E_NODE_UNAVAILABLE);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "63");

    ostler_arena *arena = make_arena_from(source);
    fill(arena, HUGE_BYTES);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.asked_node_policy, OSTLER_NODE_ONE);
    CHECK_EQ(receipt.asked_node, 63);
    CHECK(receipt.got_node_policy != OSTLER_NODE_ONE);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

/* Whether the kernel reads a byte; it answers with an error where a read of ours would be a signal. */
static int is_readable(const void *address)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    int readable = write(ends[1], address, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return readable;
}

TEST(options_are_got_and_told)
{
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE);
    source.prefault = source.lock = source.guard = source.exclude_fork = source.exclude_dump = source.strict = 1;
    const uint32_t all = OSTLER_OPTION_PREFAULTED | OSTLER_OPTION_LOCKED | OSTLER_OPTION_GUARDED |
                         OSTLER_OPTION_NOT_FORKED | OSTLER_OPTION_NOT_DUMPED;
    ostler_arena *arena = make_arena_from(source);
    unsigned char *bytes = take(arena, 64, 0);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.asked_options, all);
    CHECK_EQ(receipt.got_options & all, all);
    CHECK(is_readable(bytes));
    CHECK(!is_readable((char *)(uintptr_t)receipt.address - 1));
    CHECK(!is_readable((char *)(uintptr_t)(receipt.address + receipt.mapped_bytes)));
    pid_t child = fork();
    if (child == 0)
        _exit(is_readable(bytes) ? 1 : 0);
    int ended = 0;
    CHECK(waitpid(child, &ended, 0) == child);
    CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(sets_of_nodes_stand_for_what_may_be_used)
{
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE);
    source.node_policy = OSTLER_NODE_SET;
    source.node_set[0] = 1;
    source.node_set[15] = 1;
    CHECK_STATUS(ask_strictly(source), OSTLER_E_NODE_UNAVAILABLE);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "960");
    ostler_arena *arena = make_arena_from(source);
    fill(arena, HUGE_BYTES);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.got_node_policy, OSTLER_NODE_SET);
    CHECK(receipt.node_set[0] == 1 && receipt.node_set[15] == 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    source.node_set[15] = 0;
    CHECK_STATUS(ask_strictly(source), OSTLER_OK);
}

TEST(nearest_nodes_are_found_for_cpus_and_devices)
{
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE);
    source.node_policy = OSTLER_NODE_NEAREST_CPUS;
    source.cpu_set[0] = 1;
    ostler_arena *arena = make_arena_from(source);
    fill(arena, HUGE_BYTES);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.asked_node_policy, OSTLER_NODE_NEAREST_CPUS);
    CHECK(receipt.node_count == 1 && receipt.nodes[0].node < 64);
    CHECK_EQ(receipt.node_set[0], (uint64_t)1 << receipt.nodes[0].node);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);

    source = asking_for(OSTLER_PAGES_BASE);
    source.node_policy = OSTLER_NODE_NEAREST_DEVICE;
    strcpy(source.device, "net/lo");
    arena = make_arena_from(source);
    receipt = receipt_of(arena, 0);
    CHECK_EQ(receipt.got_node_policy, OSTLER_NODE_ANY);
    CHECK_EQ(receipt.steps[0].limit, OSTLER_LIMIT_NODE_UNKNOWN);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ask_strictly(source), OSTLER_E_NODE_UNAVAILABLE);
    strcpy(source.device, "net/none");
    CHECK_STATUS(ask_strictly(source), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "net/none");
}

TEST(fields_of_other_policies_are_refused)
{
    static const uint32_t policies[] = {OSTLER_NODE_ANY, OSTLER_NODE_SET, OSTLER_NODE_NEAREST_CPUS, 7};
    for (int i = 0; i < 12; i++) {
        ostler_page_source source = asking_for(OSTLER_PAGES_BASE);
        source.node_policy = policies[i % 4];
        if (i / 4 == 0)
            source.node_set[3] = policies[i % 4] != OSTLER_NODE_SET;
        if (i / 4 == 1)
            source.cpu_set[3] = policies[i % 4] != OSTLER_NODE_NEAREST_CPUS;
        if (i / 4 == 2)
            strcpy(source.device, "net/lo");
        CHECK_STATUS(ask_strictly(source), OSTLER_E_INVALID_ARGUMENT);
    }
    ostler_page_source source = asking_for(OSTLER_PAGES_BASE);
    memset(source.device, 'x', sizeof source.device);
    CHECK_STATUS(ask_strictly(source), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "device");
}

static ostler_advice advice_on(ostler_page_source source, uint64_t bytes)
{
    ostler_advice advice = {.struct_size = sizeof advice};
    CHECK_STATUS(ostler_page_source_advise(&source, bytes, &advice), OSTLER_OK);
    CHECK(advice.obstacle_count <= OSTLER_ADVICE_OBSTACLES);
    return advice;
}

/* What is advised is what is got, and what is said to clear an obstacle clears it. */
TEST(advice_tells_what_the_receipt_will_tell)
{
    long long before = read_number(HUGE_POOL "nr_hugepages");
    ostler_page_source source = asking_for(OSTLER_PAGES_2M);
    source.prefault = 1;
    ostler_advice advice = advice_on(source, 3 * HUGE_BYTES);
    ostler_arena_config config = {.struct_size = sizeof config, .source = &source, .chunk_bytes = 3 * HUGE_BYTES};
    ostler_arena *arena;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_OK);
    ostler_receipt receipt = receipt_of(arena, 0);
    CHECK_EQ(advice.holds, 1);
    /* Of transparent pages it is told what is asked of the kernel, which may have none that is huge. */
    CHECK(advice.page_policy == receipt.got_pages ||
          (advice.page_policy == OSTLER_PAGES_TRANSPARENT && receipt.huge_bytes == 0));
    CHECK_EQ(advice.mapped_bytes, receipt.mapped_bytes);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    if (advice.obstacle_count == 0 || advice.obstacles[0].limit != OSTLER_LIMIT_HUGE_PAGE_POOL)
        SKIP("this machine has free 2 MiB pages, or none at all");
    CHECK_STR_EQ(advice.obstacles[0].setting, HUGE_POOL "nr_hugepages");
    if (access(HUGE_POOL "nr_hugepages", W_OK) != 0)
        SKIP("the pool of 2 MiB pages cannot be set here");
    set_huge_pool(atoll(advice.obstacles[0].value));
    advice = advice_on(source, 3 * HUGE_BYTES);
    ostler_status status = ostler_arena_create(&config, &arena);
    set_huge_pool(before);
    CHECK_STATUS(status, OSTLER_OK);
    CHECK(advice.obstacle_count == 0 && advice.page_policy == OSTLER_PAGES_2M);
    CHECK_EQ(receipt_of(arena, 0).got_pages, OSTLER_PAGES_2M);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    set_huge_pool(before);
    CHECK_EQ(read_number(HUGE_POOL "nr_hugepages"), before);
}

TEST(advice_is_printed_with_its_settings)
{
    ostler_page_source source = asking_for(OSTLER_PAGES_1G);
    char text[2048];
    uint64_t needed;
    source.strict = 1;
    CHECK_STATUS(ostler_page_source_print_advice(&source, 1 << 30, text, sizeof text, &needed), OSTLER_OK);
    CHECK_EQ(needed, strlen(text) + 1);
    if (strstr(text, "would get"))
        SKIP("this machine has a free page of 1 GiB");
    CHECK_STR_CONTAINS(text, "would fail");
    CHECK_STR_CONTAINS(text, "set ");
    CHECK_STATUS(ostler_page_source_print_advice(&source, 0, text, sizeof text, &needed), OSTLER_E_INVALID_ARGUMENT);
    CHECK(needed == 0 && text[0] == 0);
}

TEST(chunk_that_does_not_exist_is_refused)
{
    ostler_arena *arena = make_arena_from(asking_for(OSTLER_PAGES_BASE));
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    take(arena, 1, 0);
    uint64_t chunks = arena_stats(arena).chunks;
    CHECK_STATUS(ostler_arena_get_receipt(arena, chunks, &receipt), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "chunk_index is 1");
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

TEST(receipts_print_as_a_table_that_is_cut_where_room_ends)
{
    ostler_arena *arena = make_arena_from(asking_for(OSTLER_PAGES_2M));
    uint64_t needed = 0, again = 0;
    fill(arena, 3 * HUGE_BYTES);
    CHECK_STATUS(ostler_arena_print_receipts(arena, NULL, 0, &needed), OSTLER_OK);
    CHECK(needed > 80 && needed < 65536);
    char *whole = malloc(needed), *part = malloc(needed);
    CHECK_STATUS(ostler_arena_print_receipts(arena, whole, needed, &again), OSTLER_OK);
    CHECK_EQ(again, needed);
    CHECK_EQ(strlen(whole) + 1, needed);
    CHECK_STR_CONTAINS(whole, "2 MiB");
    for (uint64_t room = 1; room < needed; room += 7) {
        memset(part, 'x', needed);
        CHECK_STATUS(ostler_arena_print_receipts(arena, part, room, &again), OSTLER_OK);
        CHECK_EQ(again, needed);
        CHECK(strlen(part) < room && strncmp(part, whole, strlen(part)) == 0);
        CHECK_EQ(part[room], 'x');
    }
    free(whole);
    free(part);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

CHECK_MAIN()
