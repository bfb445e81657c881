// A program of a user, built out of tree with the C++ header: does a call into the library work?
#include <ostler.hpp>

#include <cstdio>
#include <cstring>

int main()
{
    ostler_arena *arena = nullptr;
    void *memory = nullptr;

    if (ostler_version_check(OSTLER_VERSION_NUMBER) != OSTLER_OK || ostler_version() != OSTLER_VERSION_NUMBER) {
        return 1;
    }
    if (ostler_arena_create(nullptr, &arena) != OSTLER_OK ||
        ostler_arena_alloc(arena, 100, 0, &memory) != OSTLER_OK) {
        std::fprintf(stderr, "%s\n", ostler_last_error_message());
        return 1;
    }
    std::memset(memory, 1, 100);
    if (ostler_arena_destroy(arena) != OSTLER_OK) {
        return 1;
    }
    std::puts(ostler_version_string());
    return 0;
}
