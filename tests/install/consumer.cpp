// A program of a user, built out of tree with the C++ header: does a call into the library work?
#include <ostler.hpp>

#include <cstdio>
#include <cstring>

int main()
try {
    ostler::check_version();
    ostler::arena arena;
    std::memset(arena.allocate(100), 1, 100);
    std::puts(ostler::version());
    return 0;
} catch (const ostler::error &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
