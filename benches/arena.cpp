// Bump allocation of 64 bytes, a batch at a time, then everything given back.
#include "harness.hpp"

#include <ostler_inline.h>

#include <memory_resource>

#include <dlfcn.h>

namespace bench {

namespace {

constexpr std::uint64_t kBlocks = 100'000;
constexpr std::uint64_t kBatches = 20;
constexpr std::uint64_t kBlockBytes = 64;
constexpr std::uint64_t kBufferBytes = kBlocks * kBlockBytes + 4096;

// Nanoseconds for each block when `batch` allocates kBlocks of them and gives them back.
template <typename Batch> double time_blocks(Batch &&batch) {
    return time_each(kBatches, [&](std::uint64_t) { batch(); }) / static_cast<double>(kBlocks);
}

ostler_arena *arena() {
    static ostler_arena *const one = [] {
        ostler_page_source source;
        must(ostler_page_source_init(&source, sizeof source));
        source.prefault = 1;
        ostler_arena_config config;
        must(ostler_arena_config_init(&config, sizeof config));
        config.source = &source;
        config.chunk_bytes = 16 << 20;
        ostler_arena *made = nullptr;
        must(ostler_arena_create(&config, &made));
        return made;
    }();
    return one;
}

double inline_cursor() {
    static ostler_cursor *cursor = nullptr;
    if (!cursor)
        must(ostler_cursor_open(arena(), &cursor));
    return time_blocks([] {
        for (std::uint64_t i = 0; i < kBlocks; ++i) {
            void *block;
            must(ostler_cursor_alloc_inline(cursor, kBlockBytes, 16, &block));
            keep(block);
        }
        must(ostler_arena_reset(arena(), OSTLER_RESET_KEEP_PAGES));
    });
}

double plain_alloc() {
    return time_blocks([] {
        for (std::uint64_t i = 0; i < kBlocks; ++i) {
            void *block;
            must(ostler_arena_alloc(arena(), kBlockBytes, 16, &block));
            keep(block);
        }
        must(ostler_arena_reset(arena(), OSTLER_RESET_KEEP_PAGES));
    });
}

char *touched_buffer() {
    static char *const buffer = static_cast<char *>(std::calloc(1, kBufferBytes));
    return buffer;
}

// Two words and a comparison: what the inline cursor is measured against.
struct Bump {
    char *next;
    char *end;
};

double bump_pointer() {
    return time_blocks([] {
        Bump bump{touched_buffer(), touched_buffer() + kBufferBytes};
        keep(&bump);
        for (std::uint64_t i = 0; i < kBlocks; ++i) {
            char *block = reinterpret_cast<char *>((reinterpret_cast<std::uintptr_t>(bump.next) + 15) & ~std::uintptr_t{15});
            if (block + kBlockBytes > bump.end)
                std::abort();
            bump.next = block + kBlockBytes;
            keep(block);
        }
    });
}

double pmr_monotonic() {
    return time_blocks([] {
        std::pmr::monotonic_buffer_resource resource(touched_buffer(), kBufferBytes);
        std::pmr::memory_resource *any = &resource;
        keep(any);
        for (std::uint64_t i = 0; i < kBlocks; ++i)
            keep(any->allocate(kBlockBytes, 16));
    });
}

template <typename Alloc, typename Free> double malloc_and_free(Alloc alloc, Free release) {
    static std::vector<void *> blocks(kBlocks);
    return time_blocks([&] {
        for (void *&block : blocks)
            block = alloc(kBlockBytes);
        for (void *block : blocks)
            release(block);
    });
}

double glibc_malloc() { return malloc_and_free(std::malloc, std::free); }

// Loaded by name: linking it would replace malloc in this whole process.
double mimalloc() {
    using Alloc = void *(*)(std::size_t);
    using Free = void (*)(void *);
    static void *const library = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL);
    static const auto alloc = library ? reinterpret_cast<Alloc>(dlsym(library, "mi_malloc")) : nullptr;
    static const auto release = library ? reinterpret_cast<Free>(dlsym(library, "mi_free")) : nullptr;
    if (!alloc || !release) {
        std::fprintf(stderr, "libmimalloc.so.2 is missing: install the package libmimalloc2.0\n");
        std::exit(1);
    }
    return malloc_and_free(alloc, release);
}

} // namespace

void add_arena(std::vector<Case> &cases) {
    cases.push_back({"arena", "inline cursor, 64 B", "ns", true,
                     {{"ostler_cursor_alloc_inline", inline_cursor},
                      {"hand-written bump pointer", bump_pointer},
                      {"std::pmr::monotonic_buffer_resource", pmr_monotonic},
                      {"malloc + free (glibc)", glibc_malloc},
                      {"malloc + free (mimalloc)", mimalloc}}});
    cases.push_back({"arena", "plain call, 64 B", "ns", true,
                     {{"ostler_arena_alloc", plain_alloc},
                      {"std::pmr::monotonic_buffer_resource", pmr_monotonic},
                      {"malloc + free (glibc)", glibc_malloc}}});
}

} // namespace bench
