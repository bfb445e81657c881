/* A block of malloc whose only pointer lies in an arena is not leaked; with the argument "leak" it is. */
#include <ostler.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments)
{
    ostler_arena *arena;
    void **place;
    if (ostler_arena_create(NULL, &arena) != OSTLER_OK || ostler_arena_alloc(arena, sizeof *place, 0, (void **)&place) != OSTLER_OK)
        return 3;
    *place = malloc(1000);
    if (count == 2 && strcmp(arguments[1], "leak") == 0)
        ostler_arena_destroy(arena);
    place = NULL;
    return 0;
}
