/* Reads a folder of page images with Tesseract: first with a new engine for each page, then with warm workers.
 *
 * Loading an engine is slow, so a worker loads one and keeps it. Images and texts lie in an arena, and a request only
 * points at them. A page that cannot be read fails alone. This file is about Ostler; what else such a program needs, a
 * command line, tables, Tesseract itself, is in the folder ocr. README.md says how to build it. */
#include <ostler.h>
#include <ostler_inline.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "ocr/command.h"
#include "ocr/engine.h"
#include "ocr/folder.h"
#include "ocr/report.h"
#include "ocr/text.h"

#define MINUTE (60 * UINT64_C(1000000000)) /* in nanoseconds */
#define LEAST_ACCURACY 0.95
#define CHECK(call) check((call), #call)

enum {
    TEXT_BYTES = 64 * 1024,
    ENGINE_BYTES = 64 * 1024 * 1024,
    BASE_PAGE_BYTES = 4096,
    MOST_COLD_PAGES = 16,
    URGENCIES = 5,
};

struct page {
    const char *path;
    void *image, *text; /* in the arena */
    uint64_t image_bytes, text_bytes;
    char failure[OSTLER_MESSAGE_BYTES]; /* empty while all is well */
};

struct job {
    const char *language;
    uint32_t workers, count;
    ostler_orchestrator *orchestrator;
    ostler_request *requests; /* one for each page that could be loaded */
    ostler_ticket *tickets;
};

/* How urgent a page is; the pages take turns. */
static const struct urgency urgencies[URGENCIES] = {
    {"critical", OSTLER_PRIORITY_CRITICAL, 2 * MINUTE}, {"high", OSTLER_PRIORITY_HIGH, 5 * MINUTE},
    {"normal", OSTLER_PRIORITY_NORMAL, 10 * MINUTE},    {"low", OSTLER_PRIORITY_LOW, 30 * MINUTE},
    {"batch", OSTLER_PRIORITY_BATCH, 60 * MINUTE},
};

static void check(ostler_status status, const char *call)
{
    if (status != OSTLER_OK)
        report_fatal(FAILURE, "%s: %s (%s)", call, ostler_last_error_message(), ostler_status_name(status));
}

/* The warm way: a worker loads one engine and reads page after page with it. */
static ostler_status load_engine(void *language, uint32_t worker, void **engine)
{
    (void)worker;
    *engine = engine_create(language);
    if (*engine)
        return OSTLER_OK;
    CHECK(ostler_callback_set_message("Tesseract does not load its engine"));
    return OSTLER_E_CALLBACK_FAILED;
}

static ostler_status read_warm(void *language, void *engine, ostler_item *const *items, uint32_t count)
{
    (void)language;
    for (uint32_t i = 0; i < count; i++) {
        ostler_item *item = items[i];
        const char *trouble = engine_read(engine, item->input, item->input_bytes, item->output,
                                          item->output_capacity_bytes, &item->output_bytes);
        if (trouble) {
            item->status = OSTLER_E_CALLBACK_FAILED;
            snprintf(item->message, sizeof item->message, "%s", trouble);
        }
    }
    return OSTLER_OK;
}

static void unload_engine(void *language, void *engine)
{
    (void)language;
    engine_destroy(engine);
}

static const ostler_model_callbacks warm_way = {
    .struct_size = sizeof warm_way, .load = load_engine, .run = read_warm, .unload = unload_engine};

/* The cold way: the same workers, but each request loads an engine and unloads it again. */
static ostler_status load_nothing(void *language, uint32_t worker, void **state)
{
    (void)language, (void)worker;
    *state = NULL;
    return OSTLER_OK;
}

static ostler_status read_cold(void *language, void *state, ostler_item *const *items, uint32_t count)
{
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        void *engine;
        ostler_status status = load_engine(language, 0, &engine);
        if (status != OSTLER_OK)
            return status;
        read_warm(language, engine, &items[i], 1);
        unload_engine(language, engine);
    }
    return OSTLER_OK;
}

static const ostler_model_callbacks cold_way = {
    .struct_size = sizeof cold_way, .load = load_nothing, .run = read_cold};

static void *take(ostler_cursor *cursor, uint64_t bytes)
{
    void *memory;
    CHECK(ostler_cursor_alloc_inline(cursor, bytes, 0, &memory));
    memset(memory, 0, bytes);
    return memory;
}

/* Brings the image into the arena and makes a request of it. Where there is none to bring, the page says why. */
static void prepare(struct job *job, ostler_cursor *cursor, struct page *page)
{
    const char *trouble = image_size(page->path, &page->image_bytes);
    if (!trouble && ostler_cursor_alloc_inline(cursor, page->image_bytes, 0, &page->image) != OSTLER_OK)
        trouble = ostler_last_error_message();
    if (!trouble)
        trouble = image_read(page->path, page->image, page->image_bytes);
    if (trouble) {
        snprintf(page->failure, sizeof page->failure, "%s", trouble);
        return;
    }
    page->text = take(cursor, TEXT_BYTES);
    const struct urgency *urgency = &urgencies[job->count % URGENCIES];
    job->requests[job->count++] = (ostler_request){
        .struct_size = sizeof(ostler_request), .priority = urgency->priority, .deadline_after_ns = urgency->deadline_ns,
        .input = page->image, .input_bytes = page->image_bytes,
        .output = page->text, .output_capacity_bytes = TEXT_BYTES, .user_data = page};
}

/* Submits the first requests as one batch, and takes their outcomes in the order in which they come. */
static void read_batch(struct job *job, ostler_model *model, uint32_t count, struct column *column)
{
    uint32_t accepted;
    CHECK(ostler_model_submit_n(model, job->requests, count, job->tickets, &accepted));
    for (uint32_t urgency = 0; urgency < URGENCIES; urgency++) {
        for (uint32_t i = urgency; i < count; i += URGENCIES) {
            ostler_result result = {.struct_size = sizeof result};
            CHECK(ostler_orchestrator_wait(job->orchestrator, job->tickets[i], OSTLER_FOREVER, NULL, &result));
            struct page *page = job->requests[i].user_data;
            page->text_bytes = result.output_bytes;
            if (result.outcome == OSTLER_OUTCOME_COMPLETED)
                column->samples[column->completed++] = (struct sample){urgency, result.queue_ns, result.run_ns};
            else
                snprintf(page->failure, sizeof page->failure, "%s", result.message);
            report_progress(column->title, ++column->answered, column->requests);
        }
    }
}

/* Lets a model with these callbacks read the first pages, so many times over. */
static void measure(struct job *job, const ostler_model_callbacks *callbacks, uint32_t count, uint32_t rounds,
                    struct column *column)
{
    ostler_model *model;
    ostler_model_config config = {.struct_size = sizeof config, .min_workers = job->workers, .queue_capacity = count,
                                  .memory_bytes = ENGINE_BYTES};
    CHECK(ostler_model_create(job->orchestrator, &config, callbacks, (void *)job->language, &model));
    CHECK(ostler_model_wait_ready(model, OSTLER_FOREVER, NULL));

    column->requests = (uint64_t)count * rounds;
    uint64_t begin_ns = report_clock_ns();
    for (uint32_t round = 0; round < rounds; round++)
        read_batch(job, model, count, column);
    column->elapsed_ns = report_clock_ns() - begin_ns;

    ostler_model_stats stats = {.struct_size = sizeof stats};
    CHECK(ostler_model_get_stats(model, &stats));
    column->engines = stats.loads;
    column->reuse_rate = (double)stats.warm_requests / (double)stats.accepted;
    CHECK(ostler_model_destroy(model));
}

static void compare(struct job *job, ostler_cursor *cursor, uint32_t rounds)
{
    uint32_t sample = job->count < MOST_COLD_PAGES ? job->count : MOST_COLD_PAGES;
    struct column cold = {"new engine each", .samples = take(cursor, sizeof *cold.samples * sample)};
    struct column warm = {"warm workers", .samples = take(cursor, sizeof *warm.samples * job->count * rounds)};
    measure(job, &cold_way, sample, 1, &cold);
    measure(job, &warm_way, job->count, rounds, &warm);
    cold.engines = cold.requests; /* each loaded its own, which the library cannot know */
    cold.reuse_rate = 0;
    report_columns(&cold, &warm);
    report_waiting(&warm, urgencies, URGENCIES);
}

static void show_coverage(ostler_arena *arena, const char *moment)
{
    ostler_coverage coverage = {.struct_size = sizeof coverage};
    CHECK(ostler_arena_get_coverage(arena, &coverage));
    report_coverage(moment, coverage.resident_bytes, coverage.huge_bytes, coverage.remote_bytes);
}

/* Protects a base page for a moment: to do that the kernel takes the transparent huge page around it apart. One of the
 * pool of huge pages stays whole, and refuses. */
static bool split_huge_page(const void *memory)
{
    char *inside = (char *)memory + (-(uintptr_t)memory % BASE_PAGE_BYTES);
    return !mprotect(inside, BASE_PAGE_BYTES, PROT_READ) && !mprotect(inside, BASE_PAGE_BYTES, PROT_READ | PROT_WRITE);
}

/* What came does not stay: the kernel splits huge pages and moves pages between nodes. Two numbers to watch, and one call
 * that brings them back. */
static void show_repair(ostler_arena *arena, const void *memory)
{
    ostler_repair repair = {.struct_size = sizeof repair};
    printf("\nWhat came does not stay so while a program runs, but it can be watched and repaired\n");
    show_coverage(arena, "as it is");
    if (split_huge_page(memory))
        show_coverage(arena, "one split by hand");
    CHECK(ostler_arena_repair(arena, &repair));
    show_coverage(arena, "repaired");
    if (repair.limit != OSTLER_LIMIT_NONE)
        printf("not all of it: limit %u, errno %d\n", repair.limit, repair.os_errno);
}

/* Whether every page was read, and well enough. */
static bool judge(const struct page *pages, uint32_t count)
{
    struct accuracy accuracy = {0};
    uint32_t failed = 0;
    for (const struct page *page = pages; page < pages + count; page++) {
        failed += *page->failure != '\0';
        if (*page->failure)
            report_trouble("%s: %s", page->path, page->failure);
        else
            text_compare(page->path, page->text, page->text_bytes, &accuracy);
    }
    return report_verdict(count, failed, &accuracy, LEAST_ACCURACY);
}

int main(int argc, char **argv)
{
    engine_keep_to_one_thread(argv);
    struct command command = command_read(argc, argv);
    struct folder folder = folder_open(command.folder);
    report_silence_libraries();
    engine_require_languages(command.language);

    ostler_arena *arena;
    ostler_cursor *cursor;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BEST};
    ostler_arena_config arena_config = {.struct_size = sizeof arena_config, .source = &source};
    CHECK(ostler_arena_create(&arena_config, &arena));
    CHECK(ostler_cursor_open(arena, &cursor));

    struct page *pages = take(cursor, folder.count * sizeof *pages);
    struct job job = {.language = command.language, .workers = command.workers};
    job.requests = take(cursor, folder.count * sizeof *job.requests);
    job.tickets = take(cursor, folder.count * sizeof *job.tickets);
    for (uint32_t i = 0; i < folder.count; i++) {
        pages[i].path = folder.paths[i];
        prepare(&job, cursor, &pages[i]);
    }

    ostler_orchestrator_config config = {.struct_size = sizeof config, .request_slots = folder.count};
    CHECK(ostler_orchestrator_create(&config, &job.orchestrator));
    if (job.count > 0)
        compare(&job, cursor, command.rounds);
    CHECK(ostler_orchestrator_destroy(job.orchestrator));

    char receipts[16 * 1024];
    uint64_t needed;
    CHECK(ostler_arena_print_receipts(arena, receipts, sizeof receipts, &needed));
    printf("\nThe arena of images and texts asked for the best pages there are, and got\n%s", receipts);
    show_repair(arena, pages);
    bool well = judge(pages, folder.count);

    CHECK(ostler_cursor_close(cursor));
    CHECK(ostler_arena_destroy(arena));
    folder_close(&folder);
    return well ? 0 : FAILURE;
}
