// Leasing a buffer and giving it back, beside malloc and free of the same size and beside a shared vector.
#include "harness.hpp"

#include <cstddef>
#include <dlfcn.h>
#include <memory>
#include <vector>

namespace bench {

namespace {

constexpr std::uint64_t kRuns = 200'000;

ostler_buffers *buffers() {
    static ostler_buffers *const made = [] {
        ostler_buffers *set = nullptr;
        must(ostler_buffers_create(nullptr, &set));
        return set;
    }();
    return made;
}

// Each writes the first byte, as a user would.
double ours(std::uint64_t bytes) {
    return time_each(kRuns, [bytes](std::uint64_t i) {
        ostler_buffer buffer;
        void *data;
        must(ostler_buffers_get(buffers(), bytes, &buffer, &data));
        *static_cast<volatile char *>(data) = static_cast<char>(i);
        must(ostler_buffers_release(buffers(), buffer));
    });
}

using Take = void *(*)(std::size_t);
using Give = void (*)(void *);

double with_malloc(Take take, Give give, std::uint64_t bytes) {
    return time_each(kRuns, [=](std::uint64_t i) {
        void *data = take(bytes);
        *static_cast<volatile char *>(data) = static_cast<char>(i);
        give(data);
    });
}

// An allocator that is not linked, by the names that it exports.
double with_library(const char *file, const char *take, const char *give, std::uint64_t bytes) {
    void *const library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        std::fprintf(stderr, "%s is missing: see scripts/setup.sh\n", file);
        std::exit(1);
    }
    return with_malloc(reinterpret_cast<Take>(dlsym(library, take)), reinterpret_cast<Give>(dlsym(library, give)), bytes);
}

double with_shared_vector(std::uint64_t bytes) {
    return time_each(kRuns, [bytes](std::uint64_t i) {
        auto shared = std::make_shared<std::vector<char>>();
        shared->reserve(bytes);
        *static_cast<volatile char *>(shared->data()) = static_cast<char>(i);
        keep(shared);
    });
}

double slice_ours() {
    static ostler_buffer whole = [] {
        ostler_buffer buffer;
        must(ostler_buffers_get(buffers(), 65536, &buffer, nullptr));
        return buffer;
    }();
    return time_each(kRuns, [](std::uint64_t i) {
        ostler_buffer part;
        must(ostler_buffers_slice(buffers(), whole, i % 60000, 1000, &part));
        must(ostler_buffers_release(buffers(), part));
    });
}

// What a checked slice is compared with: a second owner of the same memory, and a copy of it.
double slice_shared() {
    static const auto whole = std::make_shared<std::vector<char>>(65536);
    return time_each(kRuns, [](std::uint64_t i) {
        std::shared_ptr<char> part(whole, whole->data() + i % 60000);
        keep(part);
    });
}

double slice_copied() {
    static const std::vector<char> whole(65536);
    return time_each(kRuns, [](std::uint64_t i) {
        const auto from = whole.begin() + static_cast<std::ptrdiff_t>(i % 60000);
        std::vector<char> part(from, from + 1000);
        keep(part);
    });
}

} // namespace

void add_buffers(std::vector<Case> &cases) {
    for (const std::uint64_t bytes : {256, 1500, 4096, 16384, 65536, 262144, 1048576}) {
        cases.push_back({"buffers", "get + release " + std::to_string(bytes), "ns", true,
                         {{"ostler_buffers", [=] { return ours(bytes); }},
                          {"malloc + free (glibc)", [=] { return with_malloc(std::malloc, std::free, bytes); }},
                          {"malloc + free (jemalloc)",
                           [=] { return with_library("libjemalloc.so.2", "malloc", "free", bytes); }},
                          {"malloc + free (mimalloc)",
                           [=] { return with_library("libmimalloc.so.2", "mi_malloc", "mi_free", bytes); }},
                          {"shared_ptr<vector>", [=] { return with_shared_vector(bytes); }}}});
    }
    cases.push_back({"buffers", "slice + release", "ns", true,
                     {{"ostler_buffers_slice", slice_ours},
                      {"shared_ptr, aliased", slice_shared},
                      {"copy of 1000 bytes", slice_copied}}});
}

} // namespace bench
