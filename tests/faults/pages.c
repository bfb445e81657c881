/* Pages, when the kernel refuses what places them, looks at them or brings them in. */
#include "faults.h"
#include "inspected.h"
#include <sys/mman.h>

/* Everything a page source can be asked for, a dry run before it and a repair after it. */
static ostler_status use_page_source(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BEST, .prefault = 1,
                                 .lock = 1, .guard = 1, .exclude_fork = 1, .exclude_dump = 1,
                                 .node_policy = OSTLER_NODE_SET, .node_set = {1}};
    ostler_arena_config config = {.struct_size = sizeof config, .source = &source, .chunk_bytes = 4 << 20,
                                  .name = "ostler-test"};
    ostler_advice advice = {.struct_size = sizeof advice};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    ostler_coverage coverage = {.struct_size = sizeof coverage};
    ostler_repair repair = {.struct_size = sizeof repair};
    for (source.strict = 0; source.strict <= 1; source.strict++) {
        ostler_arena *arena = NULL;
        TRY(ostler_page_source_advise(&source, 4 << 20, &advice));
        TRY(ostler_arena_create(&config, &arena));
        if (arena == NULL)
            return status;
        TRY(ostler_arena_get_receipt(arena, 0, &receipt));
        TRY(ostler_arena_get_coverage(arena, &coverage));
        TRY(ostler_arena_repair(arena, &repair));
        EXPECT_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    }
    return status;
}

/* Every noun that is made of chunks, taken apart, looked at, and repaired. */
static ostler_status use_inspection(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_TRANSPARENT, .prefault = 1};
    ostler_arena_config of_arena = {.struct_size = sizeof of_arena, .source = &source};
    ostler_heap_config of_heap = {.struct_size = sizeof of_heap, .source = &source};
    ostler_slab_config of_slab = {.struct_size = sizeof of_slab, .source = &source, .slot_bytes = 64,
                                  .max_slots = 32768};
    ostler_buffers_config of_buffers = {.struct_size = sizeof of_buffers, .source = &source};
    ostler_coverage coverage = {.struct_size = sizeof coverage};
    ostler_repair repair = {.struct_size = sizeof repair};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    ostler_arena *arena = NULL;
    ostler_heap *heap = NULL;
    ostler_slab *slab = NULL;
    ostler_buffers *buffers = NULL;
    char table[4096];
    TRY(ostler_arena_create(&of_arena, &arena));
    TRY(ostler_heap_create(&of_heap, &heap));
    TRY(ostler_slab_create(&of_slab, NULL, NULL, &slab));
    TRY(ostler_buffers_create(&of_buffers, &buffers));
    void *objects[] = {arena, heap, slab, buffers};
    for (size_t i = 0; i < NOUNS; i++) {
        if (objects[i] == NULL)
            continue;
        receipt.address = 0;
        TRY(nouns[i].receipt(objects[i], 0, &receipt));
        if (receipt.address != 0)
            EXPECT(madvise((void *)(uintptr_t)(receipt.address + 8192), 4096, MADV_DONTNEED) == 0);
        TRY(nouns[i].print(objects[i], table, sizeof table, NULL));
        TRY(nouns[i].coverage(objects[i], &coverage));
        TRY(nouns[i].repair(objects[i], &repair));
    }
    TRY(ostler_governor_get_coverage(&coverage));
    TRY(ostler_governor_repair(&repair));
    EXPECT_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    EXPECT_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    EXPECT_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
    EXPECT_STATUS(ostler_buffers_destroy(buffers), OSTLER_OK);
    return status;
}

/* So much that several threads bring it in. */
static ostler_status use_much(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .prefault = 1};
    ostler_arena_config config = {.struct_size = sizeof config, .source = &source, .chunk_bytes = 96 << 20,
                                  .name = "ostler-test"};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    ostler_arena *arena = NULL;
    TRY(ostler_arena_create(&config, &arena));
    if (arena == NULL)
        return status;
    TRY(ostler_arena_get_receipt(arena, 0, &receipt));
    EXPECT(receipt.resident_bytes == receipt.mapped_bytes);
    EXPECT_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    return status;
}

static ostler_status use_file(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BASE};
    ostler_file_config config = {.struct_size = sizeof config, .prefault = 1, .length_bytes = 40000, .lock = 1};
    ostler_file_info info = {.struct_size = sizeof info};
    for (config.mode = OSTLER_FILE_MAP; config.mode <= OSTLER_FILE_COPY; config.mode++) {
        ostler_file *file = NULL;
        config.source = config.mode == OSTLER_FILE_COPY ? &source : NULL;
        TRY(ostler_file_open("/proc/self/exe", &config, &file));
        if (file != NULL)
            TRY(ostler_file_get_info(file, &info));
        EXPECT_STATUS(ostler_file_destroy(file), OSTLER_OK);
    }
    return status;
}

static ostler_status use_segment(void)
{
    ostler_status status = OSTLER_OK;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BEST,
                                 .node_policy = OSTLER_NODE_INTERLEAVE};
    ostler_segment_config config = {.struct_size = sizeof config, .source = &source, .bytes = 4 << 20,
                                    .name = "ostler-test"};
    ostler_segment_stats stats = {.struct_size = sizeof stats};
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    ostler_segment *segment = NULL, *attached = NULL;
    ostler_segment_block block = {0};
    int32_t fd = -1;
    TRY(ostler_segment_create(&config, &segment));
    if (segment == NULL)
        return status;
    TRY(ostler_segment_get_fd(segment, OSTLER_ACCESS_READ_WRITE, &fd));
    if (fd > 0)
        TRY(ostler_segment_attach(fd, OSTLER_ACCESS_READ_WRITE, &attached));
    if (attached != NULL) {
        TRY(ostler_segment_alloc(attached, 1000, 0, &block, NULL));
        TRY(ostler_segment_get_stats(attached, &stats));
    }
    TRY(ostler_segment_get_receipt(segment, &receipt));
    if (fd > 0)
        close(fd);
    EXPECT_STATUS(ostler_segment_destroy(attached), OSTLER_OK);
    EXPECT_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
    return status;
}

static const struct scenario page_source = {
    use_page_source,
    {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_PAGES_UNAVAILABLE, OSTLER_E_NODE_UNAVAILABLE, OSTLER_E_LIMIT, OSTLER_OK}};
static const struct scenario inspection = {use_inspection, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario much = {use_much, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario file = {
    use_file, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_LIMIT, OSTLER_OK}};
/* A descriptor that cannot be looked at is taken for one of something else. */
static const struct scenario segment = {
    use_segment, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_INVALID_ARGUMENT, OSTLER_E_UNSUPPORTED, OSTLER_OK}};

TEST(system_calls_of_a_page_source)
{
    static const struct {
        uint32_t point;
        int32_t os_errno;
    } failures[] = {
        {OSTLER_FAULT_ALLOCATION, ENOMEM}, {OSTLER_FAULT_MMAP, ENOMEM},       {OSTLER_FAULT_MMAP, EPERM},
        {OSTLER_FAULT_MBIND, EPERM},       {OSTLER_FAULT_MBIND, ENOSYS},      {OSTLER_FAULT_MADVISE, ENOMEM},
        {OSTLER_FAULT_MADVISE, EINVAL},    {OSTLER_FAULT_MADVISE, EFAULT},    {OSTLER_FAULT_MLOCK, ENOMEM},
        {OSTLER_FAULT_MLOCK, EPERM},       {OSTLER_FAULT_MOVE_PAGES, EPERM},  {OSTLER_FAULT_SCAN, ENOTTY},
        {OSTLER_FAULT_OPEN, EMFILE},
    };
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        fail_each_visit(&page_source, failures[i].point, failures[i].os_errno);
}

TEST(placing_by_first_touch)
{
    static const struct {
        uint32_t point;
        int32_t os_errno;
    } failures[] = {
        {OSTLER_FAULT_AFFINITY, EPERM}, {OSTLER_FAULT_AFFINITY, EINVAL},  {OSTLER_FAULT_THREAD_START, EAGAIN},
        {OSTLER_FAULT_MADVISE, EFAULT}, {OSTLER_FAULT_MADVISE, EINVAL},   {OSTLER_FAULT_MMAP, ENOMEM},
        {OSTLER_FAULT_SCAN, ENOTTY},    {OSTLER_FAULT_MOVE_PAGES, EPERM}, {OSTLER_FAULT_ALLOCATION, ENOMEM},
    };
    /* No policy is taken, all the while. */
    ostler_faults_set(OSTLER_FAULT_MBIND, 1, EPERM, 1);
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        fail_each_visit(&page_source, failures[i].point, failures[i].os_errno);
    ostler_faults_set(OSTLER_FAULT_MBIND, 0, 0, 0);
}

TEST(system_calls_of_an_inspection)
{
    static const struct {
        uint32_t point;
        int32_t os_errno;
    } failures[] = {
        {OSTLER_FAULT_ALLOCATION, ENOMEM}, {OSTLER_FAULT_MADVISE, EINVAL},   {OSTLER_FAULT_MADVISE, EAGAIN},
        {OSTLER_FAULT_SCAN, ENOTTY},       {OSTLER_FAULT_MOVE_PAGES, EPERM}, {OSTLER_FAULT_OPEN, EMFILE},
    };
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        fail_each_visit(&inspection, failures[i].point, failures[i].os_errno);
}

TEST(threads_that_bring_much_in) { fail_each_visit(&much, OSTLER_FAULT_THREAD_START, EAGAIN); }
TEST(much_that_is_brought_in_by_threads) { fail_each_visit(&much, OSTLER_FAULT_MADVISE, EFAULT); }

TEST(system_calls_of_a_file)
{
    static const struct {
        uint32_t point;
        int32_t os_errno;
    } failures[] = {
        {OSTLER_FAULT_ALLOCATION, ENOMEM}, {OSTLER_FAULT_MMAP, ENOMEM},    {OSTLER_FAULT_MADVISE, EINVAL},
        {OSTLER_FAULT_MADVISE, EFAULT},    {OSTLER_FAULT_MLOCK, ENOMEM},   {OSTLER_FAULT_SCAN, ENOMEM},
        {OSTLER_FAULT_OPEN, EIO},          {OSTLER_FAULT_OPEN, EINTR},
    };
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        fail_each_visit(&file, failures[i].point, failures[i].os_errno);
}

TEST(allocations_of_a_segment) { fail_each_visit(&segment, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(mmap_of_a_segment_without_memory) { fail_each_visit(&segment, OSTLER_FAULT_MMAP, ENOMEM); }
TEST(mmap_of_a_segment_without_permission) { fail_each_visit(&segment, OSTLER_FAULT_MMAP, EPERM); }
TEST(mbind_of_a_segment) { fail_each_visit(&segment, OSTLER_FAULT_MBIND, EPERM); }
TEST(madvise_of_a_segment) { fail_each_visit(&segment, OSTLER_FAULT_MADVISE, EINVAL); }
TEST(file_of_a_segment_without_space) { fail_each_visit(&segment, OSTLER_FAULT_SEGMENT, ENOSPC); }
TEST(file_of_a_segment_without_descriptors) { fail_each_visit(&segment, OSTLER_FAULT_SEGMENT, EMFILE); }
TEST(file_of_a_segment_without_permission) { fail_each_visit(&segment, OSTLER_FAULT_SEGMENT, EPERM); }
TEST(file_of_a_segment_on_an_old_kernel) { fail_each_visit(&segment, OSTLER_FAULT_SEGMENT, EINVAL); }

CHECK_MAIN()
