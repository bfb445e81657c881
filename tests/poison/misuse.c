/* Misuses an arena's memory in the way that its argument names. A tool that watches must report it, so this must end
 * badly; with "nothing" it must not. */
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
    exit(3);
}

static char lent[65536];

int main(int count, char **arguments)
{
    const char *misuse = count == 2 ? arguments[1] : "";
    ostler_arena_config config;
    ostler_arena *arena, *other;
    ostler_cursor *cursor;
    ostler_mark mark, region;
    volatile char *before, *after, *through, *moved, *volatile ours = lent;
    must(ostler_arena_config_init(&config, sizeof config));
    if (strcmp(misuse, "lent") == 0) {
        config.memory = lent;
        config.memory_bytes = sizeof lent;
    }
    must(ostler_arena_create(&config, &arena));
    must(ostler_arena_create(NULL, &other));
    must(ostler_cursor_open(arena, &cursor));
    must(ostler_arena_alloc(arena, 100, 0, (void **)&before));
    must(ostler_arena_mark(arena, &mark));
    must(ostler_arena_alloc(arena, 100, 0, (void **)&after));
    must(ostler_cursor_alloc_inline(cursor, 100, 1, (void **)&through));
    memset((char *)before, 1, 100);
    memset((char *)after, 1, 100);
    memset((char *)through, 1, 100);

    if (strcmp(misuse, "overrun") == 0)
        through[100] = 1;
    if (strcmp(misuse, "underrun") == 0)
        after[-1] = 1;
    if (strcmp(misuse, "lent") == 0)
        ours[sizeof lent - 100] = 1;
    must(ostler_arena_rewind(arena, &mark));
    before[99] = 2;
    if (strcmp(misuse, "rewind") == 0)
        after[50] = 1;
    if (strcmp(misuse, "cursor") == 0)
        through[50] = 1;
    must(ostler_cursor_mark_inline(cursor, &region));
    must(ostler_cursor_alloc_inline(cursor, 100, 1, (void **)&through));
    must(ostler_cursor_alloc_inline(cursor, 20000, 1, (void **)&moved));
    through[99] = moved[19999] = 1;
    must(ostler_cursor_rewind_inline(cursor, &region));
    if (strcmp(misuse, "back") == 0)
        through[50] = 1;
    if (strcmp(misuse, "alone") == 0)
        moved[19999] = 1;
    must(ostler_cursor_alloc_inline(cursor, 20000, 1, (void **)&moved));
    moved[19999] = 1;
    must(ostler_arena_begin_region(arena, &region));
    must(ostler_arena_alloc(arena, 100, 0, (void **)&moved));
    must(ostler_arena_hand_over_region(arena, &region, other));
    must(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES));
    moved[99] = 1;
    if (strcmp(misuse, "reset") == 0)
        printf("%d\n", before[50]);
    must(ostler_arena_reset(other, OSTLER_RESET_KEEP_PAGES));
    if (strcmp(misuse, "region") == 0)
        moved[50] = 1;
    must(ostler_cursor_close(cursor));
    must(ostler_arena_destroy(arena));
    must(ostler_arena_destroy(other));
    /* Whoever comes after the arena finds nothing poisoned. */
    memset(lent, 1, sizeof lent);
    char *next = calloc(1, 4 << 20);
    memset(next, 1, 4 << 20);
    free(next);
    return 0;
}
