/*
 * A heap: blocks of any size that are freed one by one, and blocks that a compaction may move while nobody uses them.
 *
 *     cc -std=c11 examples/heap.c $(pkg-config --cflags --libs ostler) -o heap && ./heap
 */
#include <ostler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS = 4000 };

static void must(ostler_status status)
{
    if (status == OSTLER_OK)
        return;
    fprintf(stderr, "%s: %s\n", ostler_status_name(status), ostler_last_error_message());
    exit(1);
}

int main(void)
{
    ostler_heap_config config;
    ostler_heap *heap;
    void *name;
    must(ostler_heap_config_init(&config, sizeof config));
    config.limit_bytes = 64 << 20;
    must(ostler_heap_create(&config, &heap));

    must(ostler_heap_alloc(heap, 100, 0, &name));
    must(ostler_heap_resize(heap, name, 200, 0, &name));
    must(ostler_heap_free(heap, name));
    if (ostler_heap_free(heap, name) == OSTLER_E_DOUBLE_FREE)
        puts("freed twice, and told so");

    /* What shall be movable is reached through a handle, and pinned while it is used. */
    static ostler_block letters[LETTERS];
    for (int i = 0; i < LETTERS; i++) {
        void *letter;
        must(ostler_heap_alloc_block(heap, 1000, 0, &letters[i]));
        must(ostler_heap_pin(heap, letters[i], &letter));
        memset(letter, i, 1000);
        must(ostler_heap_unpin(heap, letters[i]));
    }
    for (int i = 0; i < LETTERS; i++)
        if (i % 10)
            must(ostler_heap_free_block(heap, letters[i]));

    ostler_heap_compaction done = {.struct_size = sizeof done};
    must(ostler_heap_compact(heap, 0, &done));
    if (done.returned_chunks > 0 && done.fragmentation_after_ppm < done.fragmentation_before_ppm)
        puts("moved together, and chunks given back");

    /* The last of them, by its old name, wherever it lies now. */
    void *letter;
    must(ostler_heap_pin(heap, letters[LETTERS - 10], &letter));
    int is_whole = ((unsigned char *)letter)[999] == (LETTERS - 10) % 256;
    must(ostler_heap_unpin(heap, letters[LETTERS - 10]));
    must(ostler_heap_destroy(heap));
    return !is_whole;
}
