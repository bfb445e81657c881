/* Huge pages without surprises: what would be got, what was got, and what to set for more.
 *     cc -std=c11 huge_pages.c $(pkg-config --cflags --libs ostler) -o huge_pages && ./huge_pages */
#include <ostler.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES ((uint64_t)16 << 20)

static void must(ostler_status status)
{
    if (status == OSTLER_OK)
        return;
    fprintf(stderr, "huge_pages: %s: %s\n", ostler_status_name(status), ostler_last_error_message());
    exit(1);
}

int main(void)
{
    static char text[16 * 1024];
    ostler_page_source source;
    ostler_arena_config config;
    ostler_arena *arena;
    must(ostler_page_source_init(&source, sizeof source));
    source.page_policy = OSTLER_PAGES_BEST; /* the largest there are */
    source.node_policy = OSTLER_NODE_LOCAL; /* near to this thread */
    source.prefault = 1;                    /* now, where a shortage is an answer and no signal */
    source.guard = 1;                       /* a write past the end is noticed */
    source.exclude_dump = 1;                /* weights are no part of a core dump */

    /* Before: what would be got, and which setting with which value would give more. */
    must(ostler_page_source_print_advice(&source, CHUNK_BYTES, text, sizeof text, NULL));
    printf("%s\n", text);

    /* What was got, as the kernel tells it, and why it is no more. In a container that refuses memory policies pages are
     * placed by touching them first, which the receipt says, too. */
    must(ostler_arena_config_init(&config, sizeof config));
    config.source = &source;
    config.chunk_bytes = CHUNK_BYTES;
    must(ostler_arena_create(&config, &arena));
    must(ostler_arena_print_receipts(arena, text, sizeof text, NULL));
    printf("%s\n", text);

    /* Later: the kernel splits and moves pages. Two numbers to watch, and one call that brings them back. */
    ostler_coverage coverage = {.struct_size = sizeof coverage};
    must(ostler_arena_get_coverage(arena, &coverage));
    printf("%.1f %% of it in huge pages, %llu bytes on other nodes\n",
           coverage.resident_bytes ? 100.0 * (double)coverage.huge_bytes / (double)coverage.resident_bytes : 0.0,
           (unsigned long long)coverage.remote_bytes);
    if (coverage.small_bytes + coverage.remote_bytes > 0) {
        ostler_repair repair = {.struct_size = sizeof repair};
        must(ostler_arena_repair(arena, &repair));
        printf("repaired: %llu bytes are still small, %llu elsewhere\n", (unsigned long long)repair.small_bytes_after,
               (unsigned long long)repair.remote_bytes_after);
    }
    must(ostler_arena_destroy(arena));
    return 0;
}
