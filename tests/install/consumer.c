/* A program of a user, built out of tree: is the header that of the library, and does a call into it work? */
#include <ostler.h>
#include <ostler_inline.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    ostler_arena *arena = NULL;
    void *memory = NULL;

    if (ostler_version_check(OSTLER_VERSION_NUMBER) != OSTLER_OK || ostler_version() != OSTLER_VERSION_NUMBER) {
        return 1;
    }
    if (ostler_arena_create(NULL, &arena) != OSTLER_OK || ostler_arena_alloc(arena, 100, 0, &memory) != OSTLER_OK) {
        fprintf(stderr, "%s\n", ostler_last_error_message());
        return 1;
    }
    memset(memory, 1, 100);
    if (ostler_arena_destroy(arena) != OSTLER_OK) {
        return 1;
    }
    printf("%s\n", ostler_version_string());
    return 0;
}
