/* What becomes of memory after it was got: the kernel takes huge pages apart, which is counted, stays in the books of the
 * governor, and can be repaired; asked of every noun that is made of chunks. */
#include "inspected.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES (4 * HUGE_BYTES)

static const ostler_page_source huge_pages = {.struct_size = sizeof huge_pages,
                                              .page_policy = OSTLER_PAGES_TRANSPARENT, .prefault = 1};
static const ostler_page_source base_pages = {.struct_size = sizeof base_pages, .page_policy = OSTLER_PAGES_BASE};

static ostler_account_info account_named(const char *name)
{
    static ostler_account_info accounts[256];
    uint64_t count, at = 0;
    CHECK_STATUS(ostler_governor_list_accounts(accounts, 256, &count), OSTLER_OK);
    while (at < count && strcmp(accounts[at].name, name) != 0)
        at++;
    CHECK(at < count && at < 256);
    return accounts[at];
}

static ostler_governor_stats governor_stats(void)
{
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
    return stats;
}

/* Huge pages were asked for from end to end, and are there if the kernel had them. */
static void *make_huge(const struct noun *noun)
{
    void *object = noun->make(&huge_pages, BYTES);
    ostler_coverage whole = coverage_of(noun, object);
    CHECK_EQ(whole.mapped_bytes, BYTES);
    CHECK(whole.wanted_huge_bytes == BYTES && whole.resident_bytes == BYTES);
    CHECK_EQ(whole.huge_bytes + whole.small_bytes, BYTES);
    CHECK(whole.remote_bytes == 0 && whole.unverified_bytes == 0);
    return object;
}

/* Whether a repair found no memory for huge pages, or others held the small ones all the time. */
static int was_short(ostler_repair repair)
{
    return (repair.limit == OSTLER_LIMIT_NODE_MEMORY || repair.limit == OSTLER_LIMIT_MEMORY_CGROUP) &&
           (repair.os_errno == 0 || repair.os_errno == ENOMEM || repair.os_errno == EAGAIN || repair.os_errno == EBUSY);
}

/* Ways in which a program, or somebody for it, takes a huge page apart. */

static void give_a_page_back(char *page) { CHECK_EQ(madvise(page, 4096, MADV_DONTNEED), 0); }

static void protect_a_page(char *page)
{
    CHECK_EQ(mprotect(page, 4096, PROT_READ), 0);
    CHECK_EQ(mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
}

static void do_both(char *page)
{
    protect_a_page(page);
    give_a_page_back(page);
}

static void (*const damages[])(char *page) = {give_a_page_back, protect_a_page, do_both};
#define DAMAGES (sizeof damages / sizeof *damages)

/* What is free in an object is poisoned under AddressSanitizer; its pages are there all the same. */
#define UNWATCHED __attribute__((no_sanitize("address")))

UNWATCHED static void write_page(uint64_t address, unsigned char value)
{
    for (int at = 0; at < 4096; at++)
        ((volatile unsigned char *)(uintptr_t)address)[at] = value;
}

UNWATCHED static int is_page_of(uint64_t address, unsigned char value)
{
    for (int at = 0; at < 4096; at++)
        if (((const volatile unsigned char *)(uintptr_t)address)[at] != value)
            return 0;
    return 1;
}

/* Until a repair, khugepaged puts nothing together. */
static void forbid_huge_pages(const ostler_receipt *receipt)
{
    CHECK_EQ(madvise((void *)(uintptr_t)receipt->address, receipt->mapped_bytes, MADV_NOHUGEPAGE), 0);
}

/* Each huge page of the first chunk; its third page is the test's. */
static void damage(const ostler_receipt *receipt, void (*how)(char *page))
{
    forbid_huge_pages(receipt);
    for (uint64_t at = 0; at < receipt->mapped_bytes; at += HUGE_BYTES)
        how((char *)(uintptr_t)(receipt->address + at + 8192));
}

TEST(what_the_kernel_split_is_counted_and_repaired)
{
    for (size_t i = 0; i < NOUNS * DAMAGES; i++) {
        const struct noun *noun = &nouns[i / DAMAGES];
        void *object = make_huge(noun);
        ostler_receipt receipt = first_receipt_of(noun, object);
        write_page(receipt.address + 3 * 4096, 7);
        damage(&receipt, damages[i % DAMAGES]);
        ostler_coverage split = coverage_of(noun, object);
        CHECK(split.huge_bytes == 0 && split.remote_bytes == 0);
        CHECK(split.small_bytes == split.resident_bytes && split.wanted_huge_bytes == split.resident_bytes);
        CHECK(split.resident_bytes >= BYTES - 4 * 4096);
        ostler_repair repair = repair_of(noun, object);
        if (was_short(repair))
            SKIP("the kernel does not put pages together now: errno %d", repair.os_errno);
        CHECK_EQ(repair.limit, OSTLER_LIMIT_NONE);
        CHECK(repair.small_bytes_before == split.small_bytes && repair.small_bytes_after == 0);
        CHECK_EQ(first_receipt_of(noun, object).huge_bytes, BYTES);
        CHECK(is_page_of(receipt.address + 3 * 4096, 7));
        /* There is nothing left to do. */
        CHECK_EQ(repair_of(noun, object).small_bytes_before, 0);
        CHECK_STATUS(noun->destroy(object), OSTLER_OK);
    }
}

TEST(what_was_seen_last_stays_in_the_accounts)
{
    uint64_t mapped = 0;
    void *objects[NOUNS];
    CHECK_EQ(governor_stats().seen.age_ns, UINT64_MAX);
    for (size_t i = 0; i < NOUNS; i++) {
        char name[OSTLER_NAME_BYTES];
        snprintf(name, sizeof name, "inspected %s", strcmp(nouns[i].name, "buffers") ? nouns[i].name : "set");
        objects[i] = nouns[i].make(&base_pages, BYTES);
        CHECK_EQ(account_named(name).seen.age_ns, UINT64_MAX);
        CHECK_EQ(account_named(name).seen.mapped_bytes, 0);
        ostler_coverage coverage = coverage_of(&nouns[i], objects[i]);
        ostler_account_info account = account_named(name);
        CHECK(account.seen.age_ns < UINT64_MAX && account.held_bytes >= account.seen.mapped_bytes);
        CHECK_EQ(account.seen.mapped_bytes, coverage.mapped_bytes);
        CHECK_EQ(account.seen.resident_bytes, coverage.resident_bytes);
        CHECK_EQ(account.seen.wanted_huge_bytes, 0);
        CHECK_EQ(account.seen.small_bytes, 0);
        mapped += coverage.mapped_bytes;
        CHECK_EQ(governor_stats().seen.mapped_bytes, mapped);
    }
    /* What is written now is seen by the next look alone. */
    ostler_governor_stats before = governor_stats();
    ostler_receipt receipt = first_receipt_of(&nouns[0], objects[0]);
    memset((char *)(uintptr_t)receipt.address + HUGE_BYTES, 1, HUGE_BYTES);
    CHECK_EQ(governor_stats().seen.resident_bytes, before.seen.resident_bytes);
    ostler_coverage all = {.struct_size = sizeof all};
    CHECK_STATUS(ostler_governor_get_coverage(&all), OSTLER_OK);
    CHECK_EQ(all.mapped_bytes, mapped);
    CHECK(all.resident_bytes >= before.seen.resident_bytes + HUGE_BYTES - 4096);
    CHECK_EQ(governor_stats().seen.resident_bytes, all.resident_bytes);
    /* What is gone counts no more. */
    for (size_t i = 0; i < NOUNS; i++)
        CHECK_STATUS(nouns[i].destroy(objects[i]), OSTLER_OK);
    CHECK_EQ(governor_stats().seen.mapped_bytes, 0);
    CHECK_EQ(governor_stats().seen.age_ns, UINT64_MAX);
}

TEST(all_of_the_process_is_repaired_by_one_call)
{
    void *objects[NOUNS];
    for (size_t i = 0; i < NOUNS; i++) {
        objects[i] = make_huge(&nouns[i]);
        ostler_receipt receipt = first_receipt_of(&nouns[i], objects[i]);
        damage(&receipt, give_a_page_back);
    }
    ostler_coverage all = {.struct_size = sizeof all};
    ostler_repair repair = {.struct_size = sizeof repair};
    CHECK_STATUS(ostler_governor_get_coverage(&all), OSTLER_OK);
    CHECK_EQ(all.small_bytes, NOUNS * 4 * (HUGE_BYTES - 4096));
    CHECK_EQ(governor_stats().seen.small_bytes, all.small_bytes);
    CHECK_STATUS(ostler_governor_repair(&repair), OSTLER_OK);
    if (was_short(repair))
        SKIP("the kernel does not put pages together now: errno %d", repair.os_errno);
    CHECK_EQ(repair.limit, OSTLER_LIMIT_NONE);
    CHECK_EQ(repair.small_bytes_before, all.small_bytes);
    CHECK_EQ(repair.small_bytes_after, 0);
    CHECK_EQ(governor_stats().seen.huge_bytes, NOUNS * BYTES);
    for (size_t i = 0; i < NOUNS; i++)
        CHECK_STATUS(nouns[i].destroy(objects[i]), OSTLER_OK);
}

/* An account goes along with what is handed over, and with it the way to look at that. */
TEST(what_was_handed_over_is_looked_at_where_it_is)
{
    ostler_arena *arena = make_inspected_arena(&base_pages, BYTES), *heir;
    ostler_coverage all = {.struct_size = sizeof all};
    CHECK_STATUS(ostler_arena_hand_over(arena, &heir), OSTLER_OK);
    CHECK_STATUS(ostler_governor_get_coverage(&all), OSTLER_OK);
    CHECK_EQ(all.mapped_bytes, BYTES);
    CHECK_STATUS(ostler_arena_destroy(heir), OSTLER_OK);
}

static void govern(uint64_t coverage_period_ns)
{
    ostler_governor_config config;
    CHECK_STATUS(ostler_governor_config_init(&config, sizeof config), OSTLER_OK);
    config.tick_ns = 10 * UINT64_C(1000000);
    config.coverage_period_ns = coverage_period_ns;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
}

static void wait_for_ticks(uint64_t more)
{
    uint64_t until = governor_stats().ticks + more;
    while (governor_stats().ticks < until)
        usleep(1000);
}

TEST(the_governors_thread_looks_at_every_object)
{
    void *objects[NOUNS];
    govern(OSTLER_FOREVER);
    for (size_t i = 0; i < NOUNS; i++)
        objects[i] = nouns[i].make(&base_pages, BYTES);
    wait_for_ticks(8);
    CHECK(governor_stats().coverage_looks == 0 && governor_stats().seen.age_ns == UINT64_MAX);
    govern(10 * UINT64_C(1000000));
    while (governor_stats().seen.mapped_bytes < NOUNS * BYTES)
        usleep(1000);
    ostler_governor_stats stats = governor_stats();
    CHECK(stats.coverage_looks >= NOUNS && stats.coverage_cpu_ns > 0);
    CHECK(stats.seen.mapped_bytes >= NOUNS * BYTES);
    /* And again and again. */
    uint64_t resident = stats.seen.resident_bytes;
    ostler_receipt receipt = first_receipt_of(&nouns[0], objects[0]);
    memset((char *)(uintptr_t)receipt.address, 1, HUGE_BYTES);
    while (governor_stats().seen.resident_bytes < resident + HUGE_BYTES / 2)
        usleep(1000);
    CHECK_STATUS(ostler_governor_configure(NULL), OSTLER_OK);
    for (size_t i = 0; i < NOUNS; i++)
        CHECK_STATUS(nouns[i].destroy(objects[i]), OSTLER_OK);
}

TEST(a_period_of_looks_is_checked)
{
    ostler_governor_config config;
    CHECK_STATUS(ostler_governor_config_init(&config, sizeof config), OSTLER_OK);
    config.coverage_period_ns = 9999999;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "coverage_period_ns is 9999999");
}

TEST(receipts_of_every_noun_are_printed)
{
    for (size_t i = 0; i < NOUNS; i++) {
        void *object = nouns[i].make(&base_pages, BYTES);
        ostler_receipt receipt = first_receipt_of(&nouns[i], object);
        char table[2048];
        uint64_t needed;
        CHECK(receipt.mapped_bytes == BYTES && receipt.got_pages == OSTLER_PAGES_BASE);
        CHECK_STATUS(nouns[i].receipt(object, 1, &receipt), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "chunk_index is 1, but there are 1 chunks");
        CHECK_STATUS(nouns[i].print(object, table, sizeof table, &needed), OSTLER_OK);
        CHECK_EQ(strlen(table) + 1, needed);
        CHECK_STR_CONTAINS(table, "8 MiB");
        CHECK_STATUS(nouns[i].print(object, table, 20, &needed), OSTLER_OK);
        CHECK(strlen(table) < 20 && needed > 80);
        CHECK_STATUS(nouns[i].destroy(object), OSTLER_OK);
    }
}

TEST(memory_that_the_host_lent_has_receipts_and_no_coverage)
{
    static char lent[2 << 20];
    ostler_arena_config of_arena = {.struct_size = sizeof of_arena, .memory = lent, .memory_bytes = 1 << 20};
    ostler_heap_config of_heap = {.struct_size = sizeof of_heap, .adopted_only = 1};
    ostler_arena *arena;
    ostler_heap *heap;
    CHECK_STATUS(ostler_arena_create(&of_arena, &arena), OSTLER_OK);
    CHECK_STATUS(ostler_heap_create(&of_heap, &heap), OSTLER_OK);
    CHECK_EQ(coverage_of(&nouns[1], heap).mapped_bytes, 0);
    CHECK_STATUS(ostler_heap_adopt(heap, lent + (1 << 20), 1 << 20), OSTLER_OK);
    void *objects[] = {arena, heap};
    for (int i = 0; i < 2; i++) {
        ostler_receipt receipt = first_receipt_of(&nouns[i], objects[i]);
        CHECK((char *)(uintptr_t)receipt.address >= lent && receipt.mapped_bytes <= 1 << 20);
        ostler_coverage coverage = coverage_of(&nouns[i], objects[i]);
        CHECK(coverage.mapped_bytes > 0 && coverage.unverified_bytes == coverage.mapped_bytes);
        CHECK_EQ(repair_of(&nouns[i], objects[i]).small_bytes_before, 0);
        CHECK_STATUS(nouns[i].destroy(objects[i]), OSTLER_OK);
    }
}

/* Nobody is charged for pages that a compaction gave back, so a repair must not bring them in. */
TEST(what_a_compaction_gave_back_stays_away)
{
    enum { BLOCKS = 96, BLOCK_BYTES = 65536 };
    ostler_heap_config config = {.struct_size = sizeof config, .source = &huge_pages, .chunk_bytes = BYTES,
                                 .name = "compacted"};
    ostler_heap *heap;
    void *fixed[BLOCKS];
    CHECK_STATUS(ostler_heap_create(&config, &heap), OSTLER_OK);
    ostler_coverage whole = coverage_of(&nouns[1], heap);
    if (whole.huge_bytes < whole.mapped_bytes)
        SKIP("the kernel has no huge pages now");
    /* So khugepaged does not bring it in either. */
    ostler_receipt receipt = first_receipt_of(&nouns[1], heap);
    forbid_huge_pages(&receipt);
    for (int i = 0; i < BLOCKS; i++)
        CHECK_STATUS(ostler_heap_alloc(heap, BLOCK_BYTES, 0, &fixed[i]), OSTLER_OK);
    /* Gaps of 128 KiB in every huge page that has blocks. */
    for (int i = 0; i < BLOCKS; i++)
        if (i % 3 != 0)
            CHECK_STATUS(ostler_heap_free(heap, fixed[i]), OSTLER_OK);
    ostler_heap_compaction done = {.struct_size = sizeof done};
    CHECK_STATUS(ostler_heap_compact(heap, 0, &done), OSTLER_OK);
    CHECK(done.returned_bytes > HUGE_BYTES);
    ostler_account_info account = account_named("compacted");
    ostler_heap_stats stats = {.struct_size = sizeof stats};
    ostler_coverage split = coverage_of(&nouns[1], heap);
    CHECK(split.small_bytes > 0 && split.resident_bytes <= account.held_bytes);
    repair_of(&nouns[1], heap);
    CHECK_STATUS(ostler_heap_get_stats(heap, &stats), OSTLER_OK);
    CHECK_EQ(stats.resident_bytes, split.resident_bytes);
    CHECK_EQ(stats.returned_bytes, done.returned_bytes);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
}

/* Chunks of a slab come and go, each to a place of its own, while others look at them. */

#define CHUNK_BYTES ((uint64_t)64 << 10)
enum { SLOTS = 64, SLOT_BYTES = 4096 };

struct churn {
    ostler_slab *slab;
    _Atomic int is_over;
};

static void *look_and_repair(void *argument)
{
    struct churn *churn = argument;
    ostler_coverage coverage = {.struct_size = sizeof coverage};
    ostler_repair repair = {.struct_size = sizeof repair};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    while (!churn->is_over) {
        EXPECT_STATUS(ostler_slab_get_coverage(churn->slab, &coverage), OSTLER_OK);
        EXPECT_STATUS(ostler_slab_repair(churn->slab, &repair), OSTLER_OK);
        for (uint64_t chunk = 0; chunk < 4; chunk++)
            (void)ostler_slab_get_receipt(churn->slab, chunk, &receipt);
    }
    return NULL;
}

TEST(chunks_of_a_slab_come_and_go_while_they_are_looked_at)
{
    ostler_slab_config config = {.struct_size = sizeof config, .source = &base_pages, .slot_bytes = SLOT_BYTES,
                                 .chunk_bytes = CHUNK_BYTES, .max_slots = SLOTS, .initial_slots = 1};
    struct churn churn = {0};
    pthread_t threads[2];
    CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, &churn.slab), OSTLER_OK);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, look_and_repair, &churn), 0);
    for (int round = 0; round < 2000; round++) {
        void *slots[SLOTS];
        CHECK_STATUS(ostler_slab_get_n(churn.slab, SLOTS, slots), OSTLER_OK);
        for (int i = 0; i < SLOTS; i++)
            memset(slots[i], round, SLOT_BYTES);
        for (int i = 0; i < SLOTS; i++)
            CHECK_EQ(((unsigned char *)slots[i])[SLOT_BYTES - 1], (unsigned char)round);
        CHECK_STATUS(ostler_slab_put_n(churn.slab, slots, SLOTS, NULL), OSTLER_OK);
        CHECK_STATUS(ostler_slab_trim(churn.slab, NULL), OSTLER_OK);
    }
    churn.is_over = 1;
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_STATUS(ostler_slab_destroy(churn.slab), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, 0);
}

CHECK_MAIN()
