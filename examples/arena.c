/*
 * A server's memory for its requests: each worker thread fills an arena without a lock, frees it all at once, and passes
 * an answer on without a copy. Build it with
 *   cc -std=c11 examples/arena.c $(pkg-config --cflags --libs ostler) -o arena
 */
#include <ostler.h>
#include <ostler_inline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(ostler_status status)
{
    if (status == OSTLER_OK)
        return;
    fprintf(stderr, "%s: %s\n", ostler_status_name(status), ostler_last_error_message());
    exit(1);
}

/* A linked list of words, all of it in the arena. */
struct word {
    struct word *next;
    char text[];
};

static struct word *split(ostler_cursor *cursor, const char *request)
{
    struct word *first = NULL, **end = &first;
    for (const char *at = request; *at; at += *at == ' ') {
        size_t length = strcspn(at, " ");
        struct word *word;
        must(ostler_cursor_alloc_inline(cursor, sizeof *word + length + 1, 0, (void **)&word));
        memcpy(word->text, at, length);
        word->text[length] = 0;
        word->next = NULL;
        *end = word;
        end = &word->next;
        at += length;
    }
    return first;
}

int main(void)
{
    /* The first 64 KiB are ours, so that small requests map nothing; then chunks double, up to 16 MiB in all. */
    static char first[65536];
    ostler_arena_config config;
    must(ostler_arena_config_init(&config, sizeof config));
    config.memory = first;
    config.memory_bytes = sizeof first;
    config.chunk_bytes = 256 << 10;
    config.growth = OSTLER_GROWTH_DOUBLE;
    config.limit_bytes = 16 << 20;
    strcpy(config.name, "requests");

    ostler_arena *arena, *answers;
    ostler_cursor *cursor;
    must(ostler_arena_create(&config, &arena));
    must(ostler_arena_create(NULL, &answers));
    must(ostler_cursor_open(arena, &cursor));

    const char *requests[] = {"feed the bay mare", "saddle two geldings", "rub down the grey"};
    struct word *answer = NULL;
    for (int i = 0; i < 3; i++) {
        /* What is allocated in the scope goes with it, whatever the request needed. */
        ostler_mark scope;
        must(ostler_arena_mark(arena, &scope));
        int words = 0;
        for (struct word *word = split(cursor, requests[i]); word; word = word->next)
            words++;
        printf("request %d has %d words\n", i, words);
        must(ostler_arena_rewind(arena, &scope));
    }

    /* An answer lies in a region of its own, which goes to the arena of whoever sends it. */
    ostler_mark region;
    must(ostler_arena_begin_region(arena, &region));
    answer = split(cursor, "the grey is dry");
    must(ostler_arena_hand_over_region(arena, &region, answers));
    must(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES));
    for (; answer; answer = answer->next)
        printf("%s%s", answer->text, answer->next ? " " : "\n");

    ostler_arena_stats stats = {.struct_size = sizeof stats};
    must(ostler_arena_get_stats(arena, &stats));
    printf("after the reset %llu bytes are used\n", (unsigned long long)stats.used_bytes);
    must(ostler_cursor_close(cursor));
    must(ostler_arena_destroy(arena));
    must(ostler_arena_destroy(answers));
    return 0;
}
