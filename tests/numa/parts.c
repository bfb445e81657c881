/* Memory that the host lent, which is a part of a larger mapping: the kernel's lists of mappings do not tell of it alone. */
#include "nodes.h"
#include <sys/mman.h>
#include <sys/prctl.h>

/* Of 2 MiB that are huge, and 2 MiB of small pages of which every second is there, the halves that meet. */
static ostler_receipt receipt_of_a_part(int huge)
{
    const uint64_t bytes = 16 * MIB;
    unsigned char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    unsigned char *part = (unsigned char *)(((uintptr_t)memory + 8 * MIB) & ~(uintptr_t)(2 * MIB - 1));
    CHECK_EQ(madvise(part + 2 * MIB, 2 * MIB, MADV_NOHUGEPAGE), 0);
    if (huge)
        CHECK_EQ(madvise(part, 2 * MIB, MADV_HUGEPAGE), 0);
    else
        CHECK_EQ(madvise(part, 2 * MIB, MADV_NOHUGEPAGE), 0);
    memset(part, 1, 2 * MIB);
    for (uint64_t at = 0; at < 2 * MIB; at += 8192)
        part[2 * MIB + at] = 1;
    /* Read, but never written to: the page of zeros is not memory that we have. */
    CHECK_EQ(((volatile unsigned char *)part)[2 * MIB + 4096], 0);
    ostler_arena_config config;
    ostler_arena *arena;
    CHECK_STATUS(ostler_arena_config_init(&config, sizeof config), OSTLER_OK);
    /* Beginning and end lie within mappings. */
    config.memory = part + MIB;
    config.memory_bytes = 2 * MIB;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_OK);
    ostler_receipt receipt = receipt_of(arena, 0);
    destroy(arena);
    CHECK_EQ(munmap(memory, bytes), 0);
    return receipt;
}

/* Runs a body in a process that has not used the library before. */
static void run(void (*body)(void))
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (setjmp(check_run.over) == 0)
            body();
        if (check_run.outcome != CHECK_PASSED)
            fprintf(stderr, "%s\n", check_run.why);
        _exit(check_run.outcome == CHECK_PASSED ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void asks_with_privileges(void)
{
    for (int huge = 0; huge < 2; huge++) {
        ostler_receipt receipt = receipt_of_a_part(huge);
        CHECK_EQ(receipt.resident_bytes, MIB + MIB / 2);
        CHECK_EQ(receipt.huge_bytes, huge ? MIB : 0);
        CHECK(receipt.pages_verified_by == OSTLER_VERIFIED_PAGEMAP ||
              receipt.pages_verified_by == OSTLER_VERIFIED_PAGEMAP_SCAN);
        CHECK_EQ(receipt.nodes_verified_by, OSTLER_VERIFIED_MOVE_PAGES);
    }
}

TEST(a_part_is_told_of_page_by_page) { run(asks_with_privileges); }

static void asks_without_privileges(void)
{
    CHECK_EQ(setuid(65534), 0);
    /* What such a process may read of itself. */
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
    ostler_receipt receipt = receipt_of_a_part(1);
    if (receipt.pages_verified_by != OSTLER_VERIFIED_PAGEMAP_SCAN) {
        CHECK_EQ(receipt.pages_verified_by, OSTLER_VERIFIED_NOT);
        CHECK_EQ(receipt.unverified_errno, EPERM);
        CHECK(receipt.huge_bytes == 0 && receipt.resident_bytes == 0);
    }
    CHECK_EQ(receipt.nodes_verified_by, OSTLER_VERIFIED_MOVE_PAGES);
    /* Where nothing around is huge, it is known all the same. */
    receipt = receipt_of_a_part(0);
    CHECK(receipt.pages_verified_by != OSTLER_VERIFIED_NOT && receipt.unverified_errno == 0);
    CHECK_EQ(receipt.huge_bytes, 0);
}

TEST(what_only_a_privileged_process_learns_is_not_guessed) { run(asks_without_privileges); }

CHECK_MAIN()
