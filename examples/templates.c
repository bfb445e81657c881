/* Initial data that is dear to make: built once for each key, and then copied for each use.
 *     cc -std=c11 templates.c $(pkg-config --cflags --libs ostler) -o templates && ./templates */
#include <ostler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 64 };

static void must(ostler_status status)
{
    if (status == OSTLER_OK)
        return;
    fprintf(stderr, "templates: %s: %s\n", ostler_status_name(status), ostler_last_error_message());
    exit(1);
}

/* A board of the game that the key names, with all pieces where the game begins. */
static ostler_status build(void *user_data, const void *key, uint64_t key_bytes, void **data, uint64_t *data_bytes,
                           uint64_t *charge_bytes)
{
    (void)charge_bytes;
    if (key_bytes != 5 || memcmp(key, "chess", 5) != 0)
        return ostler_callback_set_message("nobody here knows the rules"), OSTLER_E_CALLBACK_FAILED;
    char *board = malloc(SIDE);
    if (board == NULL)
        return OSTLER_E_OUT_OF_MEMORY;
    memcpy(board, "rnbqkbnrpppppppp................................PPPPPPPPRNBQKBNR", SIDE);
    *(int *)user_data += 1;
    *data = board;
    *data_bytes = SIDE;
    return OSTLER_OK;
}

static void end(void *user_data, void *data, uint64_t data_bytes)
{
    (void)user_data, (void)data_bytes;
    free(data);
}

int main(void)
{
    int built = 0;
    ostler_templates *boards;
    ostler_templates_callbacks callbacks;
    must(ostler_templates_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.build = build;
    callbacks.destroy = end;
    must(ostler_templates_create(NULL, &callbacks, &built, &boards));

    /* Each game has a board of its own. */
    char games[3][SIDE];
    for (int i = 0; i < 3; i++)
        must(ostler_templates_instantiate(boards, "chess", 5, games[i], SIDE, OSTLER_FOREVER, NULL, NULL));
    games[0][52] = '.', games[0][36] = 'P';
    printf("built %d time, copied 3 times; the other boards are %s\n", built,
           memcmp(games[1], games[2], SIDE) == 0 && games[1][52] == 'P' ? "untouched" : "spoiled");

    /* Who only reads needs no copy; the reference keeps it, whatever happens to the key. */
    ostler_template reference;
    const void *board;
    must(ostler_templates_get(boards, "chess", 5, OSTLER_FOREVER, NULL, &reference, &board, NULL));
    must(ostler_templates_invalidate(boards, "chess", 5));
    printf("the first rank is %.8s\n", (const char *)board);
    must(ostler_templates_release(boards, reference));

    ostler_status status =
        ostler_templates_instantiate(boards, "go", 2, games[0], SIDE, OSTLER_FOREVER, NULL, NULL);
    printf("%s: %s\n", ostler_status_name(status), ostler_last_error_message());
    must(ostler_templates_destroy(boards));
    return 0;
}
