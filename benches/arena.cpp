// Bump allocation, a batch at a time, then everything given back; and what giving back and marks cost by themselves.
#include "harness.hpp"
#include "peers/peers.hpp"

#include <ostler_inline.h>

#include <apr_pools.h>
#include <google/protobuf/arena.h>

#include <array>
#include <atomic>
#include <memory_resource>
#include <thread>

#include <dlfcn.h>

namespace bench {

namespace {

constexpr std::uint64_t kBlocks = 100'000;
constexpr std::uint64_t kBatches = 100;
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
        ostler_cursor *const mine = cursor;
        for (std::uint64_t i = 0; i < kBlocks; ++i) {
            void *block;
            must(ostler_cursor_alloc_inline(mine, kBlockBytes, 16, &block));
            keep(block);
        }
        must(ostler_arena_reset(arena(), OSTLER_RESET_KEEP_PAGES));
    });
}

double plain_alloc() {
    return time_blocks([] {
        ostler_arena *const mine = arena();
        for (std::uint64_t i = 0; i < kBlocks; ++i) {
            void *block;
            must(ostler_arena_alloc(mine, kBlockBytes, 16, &block));
            keep(block);
        }
        must(ostler_arena_reset(mine, OSTLER_RESET_KEEP_PAGES));
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

double bumpalo() {
    return time_blocks([] { peer_bumpalo(kBlocks); });
}

apr_pool_t *apr_pool() {
    static apr_pool_t *const one = [] {
        apr_pool_t *made = nullptr;
        if (apr_initialize() != APR_SUCCESS || apr_pool_create(&made, nullptr) != APR_SUCCESS)
            std::abort();
        return made;
    }();
    return one;
}

double apr() {
    return time_blocks([] {
        apr_pool_t *const mine = apr_pool();
        for (std::uint64_t i = 0; i < kBlocks; ++i)
            keep(apr_palloc(mine, kBlockBytes));
        apr_pool_clear(mine);
    });
}

// Its first block is given to it, so that a reset keeps it.
double protobuf() {
    static google::protobuf::Arena *const one = [] {
        google::protobuf::ArenaOptions options;
        options.initial_block = touched_buffer();
        options.initial_block_size = kBufferBytes;
        return new google::protobuf::Arena(options);
    }();
    return time_blocks([] {
        auto *const mine = one;
        for (std::uint64_t i = 0; i < kBlocks; ++i)
            keep(google::protobuf::Arena::CreateArray<char>(mine, kBlockBytes));
        mine->Reset();
    });
}

// Sizes of 16 to 256 bytes in an order that no predictor of branches knows.
const std::array<std::uint16_t, 4096> &mixed_sizes() {
    static const auto sizes = [] {
        std::array<std::uint16_t, 4096> made{};
        std::uint64_t state = 1;
        for (auto &size : made) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            size = static_cast<std::uint16_t>(16 + (state >> 33) % 241);
        }
        return made;
    }();
    return sizes;
}

constexpr std::uint64_t kMixedBlocks = 40'000; // about as many bytes as kBlocks of kBlockBytes

template <typename Batch> double time_mixed(Batch &&batch) {
    return time_each(kBatches, [&](std::uint64_t) { batch(mixed_sizes()); }) / static_cast<double>(kMixedBlocks);
}

double mixed_inline() {
    static ostler_cursor *cursor = nullptr;
    if (!cursor)
        must(ostler_cursor_open(arena(), &cursor));
    return time_mixed([](const auto &sizes) {
        ostler_cursor *const mine = cursor;
        for (std::uint64_t i = 0; i < kMixedBlocks; ++i) {
            void *block;
            must(ostler_cursor_alloc_inline(mine, sizes[i % sizes.size()], 16, &block));
            keep(block);
        }
        must(ostler_arena_reset(arena(), OSTLER_RESET_KEEP_PAGES));
    });
}

double mixed_bump_pointer() {
    return time_mixed([](const auto &sizes) {
        Bump bump{touched_buffer(), touched_buffer() + kBufferBytes};
        keep(&bump);
        for (std::uint64_t i = 0; i < kMixedBlocks; ++i) {
            char *block = reinterpret_cast<char *>((reinterpret_cast<std::uintptr_t>(bump.next) + 15) & ~std::uintptr_t{15});
            if (block + sizes[i % sizes.size()] > bump.end)
                std::abort();
            bump.next = block + sizes[i % sizes.size()];
            keep(block);
        }
    });
}

double mixed_pmr() {
    return time_mixed([](const auto &sizes) {
        std::pmr::monotonic_buffer_resource resource(touched_buffer(), kBufferBytes);
        std::pmr::memory_resource *any = &resource;
        keep(any);
        for (std::uint64_t i = 0; i < kMixedBlocks; ++i)
            keep(any->allocate(sizes[i % sizes.size()], 16));
    });
}

double mixed_apr() {
    return time_mixed([](const auto &sizes) {
        apr_pool_t *const mine = apr_pool();
        for (std::uint64_t i = 0; i < kMixedBlocks; ++i)
            keep(apr_palloc(mine, sizes[i % sizes.size()]));
        apr_pool_clear(mine);
    });
}

double mixed_malloc() {
    static std::vector<void *> blocks(kMixedBlocks);
    return time_mixed([](const auto &sizes) {
        for (std::uint64_t i = 0; i < kMixedBlocks; ++i)
            blocks[i] = std::malloc(sizes[i % sizes.size()]);
        for (void *block : blocks)
            std::free(block);
    });
}

// Million blocks a second of `threads` threads, each on a CPU of its own, that begin together. `work` allocates kBlocks.
template <typename Work> double rate_of(int threads, Work &&work) {
    std::atomic<int> ready{0};
    std::vector<std::thread> all;
    std::vector<double> seconds(static_cast<std::size_t>(threads));
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
            cpu_set_t cpu;
            CPU_ZERO(&cpu);
            CPU_SET(t, &cpu);
            sched_setaffinity(0, sizeof cpu, &cpu);
            work(t);
            ready.fetch_add(1);
            while (ready.load() < threads) {
            }
            const double begin = now_ns();
            for (int batch = 0; batch < 10; ++batch)
                work(t);
            seconds[static_cast<std::size_t>(t)] = (now_ns() - begin) / 1e9;
        });
    for (std::thread &thread : all)
        thread.join();
    double rate = 0;
    for (const double one : seconds)
        rate += 10 * static_cast<double>(kBlocks) / one / 1e6;
    return rate;
}

// A thread that filled its region takes the next one, as it would in a long run: nothing is given back meanwhile.
double threads_with_cursors(int threads) {
    ostler_page_source source;
    must(ostler_page_source_init(&source, sizeof source));
    source.prefault = 1;
    ostler_arena_config config;
    must(ostler_arena_config_init(&config, sizeof config));
    config.source = &source;
    config.chunk_bytes = 160 << 20;
    static ostler_arena *shared = nullptr;
    if (!shared)
        must(ostler_arena_create(&config, &shared));
    static std::array<ostler_cursor *, 2> cursors{};
    for (ostler_cursor *&cursor : cursors)
        if (!cursor)
            must(ostler_cursor_open(shared, &cursor));
    const double rate = rate_of(threads, [](int thread) {
        ostler_cursor *const cursor = cursors[static_cast<std::size_t>(thread)];
        for (std::uint64_t i = 0; i < kBlocks; ++i) {
            void *block;
            must(ostler_cursor_alloc_inline(cursor, kBlockBytes, 16, &block));
            keep(block);
        }
    });
    must(ostler_arena_reset(shared, OSTLER_RESET_KEEP_PAGES));
    return rate;
}

double two_threads_with_cursors() { return threads_with_cursors(2); }
double one_thread_with_a_cursor() { return threads_with_cursors(1); }

// The usual way to share a bump pointer.
double two_threads_on_a_counter() {
    static std::atomic<std::uint64_t> next{0};
    next = 0;
    return rate_of(2, [](int) {
        for (std::uint64_t i = 0; i < kBlocks; ++i) {
            const std::uint64_t at = next.fetch_add(kBlockBytes, std::memory_order_relaxed);
            keep(at);
        }
    });
}

// What a reset costs with so many chunks in use; filling them is not counted.
double reset_of(std::uint64_t chunks) {
    ostler_arena_config config;
    must(ostler_arena_config_init(&config, sizeof config));
    config.chunk_bytes = 128 << 10;
    ostler_arena *filled = nullptr;
    must(ostler_arena_create(&config, &filled));
    constexpr int kResets = 200;
    double total = 0;
    for (int i = 0; i < kResets; ++i) {
        for (std::uint64_t chunk = 0; chunk < chunks; ++chunk) {
            void *block;
            must(ostler_arena_alloc(filled, 120 << 10, 16, &block));
        }
        const double begin = now_ns();
        must(ostler_arena_reset(filled, OSTLER_RESET_KEEP_PAGES));
        total += now_ns() - begin;
    }
    must(ostler_arena_destroy(filled));
    return total / kResets;
}

double clear_of(std::uint64_t chunks) {
    apr_pool_t *filled = nullptr;
    if (apr_pool_create(&filled, apr_pool()) != APR_SUCCESS)
        std::abort();
    constexpr int kClears = 200;
    double total = 0;
    for (int i = 0; i < kClears; ++i) {
        for (std::uint64_t chunk = 0; chunk < chunks; ++chunk)
            keep(apr_palloc(filled, 120 << 10));
        const double begin = now_ns();
        apr_pool_clear(filled);
        total += now_ns() - begin;
    }
    apr_pool_destroy(filled);
    return total / kClears;
}

// What the two readings of the clock around each cost.
double clock_alone() {
    double total = 0;
    for (int i = 0; i < 1000; ++i) {
        const double begin = now_ns();
        keep(begin);
        total += now_ns() - begin;
    }
    return total / 1000;
}

double mark_and_rewind() {
    return time_each(1'000'000, [](std::uint64_t) {
        ostler_mark mark;
        must(ostler_arena_mark(arena(), &mark));
        must(ostler_arena_rewind(arena(), &mark));
    });
}

double cursor_mark_and_rewind() {
    static ostler_cursor *cursor = nullptr;
    if (!cursor)
        must(ostler_cursor_open(arena(), &cursor));
    return time_each(1'000'000, [mine = cursor](std::uint64_t) {
        ostler_mark mark;
        must(ostler_cursor_mark_inline(mine, &mark));
        keep(&mark);
        must(ostler_cursor_rewind_inline(mine, &mark));
    });
}

double apr_sub_pool() {
    return time_each(100'000, [](std::uint64_t) {
        apr_pool_t *scope = nullptr;
        apr_pool_create(&scope, apr_pool());
        apr_pool_destroy(scope);
    });
}

} // namespace

void add_arena(std::vector<Case> &cases) {
    cases.push_back({"arena", "inline cursor, 64 B", "ns", true,
                     {{"ostler_cursor_alloc_inline", inline_cursor},
                      {"hand-written bump pointer", bump_pointer},
                      {"bumpalo", bumpalo},
                      {"apr_palloc", apr},
                      {"std::pmr::monotonic_buffer_resource", pmr_monotonic},
                      {"protobuf Arena", protobuf},
                      {"malloc + free (glibc)", glibc_malloc},
                      {"malloc + free (mimalloc)", mimalloc}}});
    cases.push_back({"arena", "inline cursor, 16-256 B", "ns", true,
                     {{"ostler_cursor_alloc_inline", mixed_inline},
                      {"hand-written bump pointer", mixed_bump_pointer},
                      {"apr_palloc", mixed_apr},
                      {"std::pmr::monotonic_buffer_resource", mixed_pmr},
                      {"malloc + free (glibc)", mixed_malloc}}});
    cases.push_back({"arena", "plain call, 64 B", "ns", true,
                     {{"ostler_arena_alloc", plain_alloc},
                      {"protobuf Arena", protobuf},
                      {"apr_palloc", apr},
                      {"std::pmr::monotonic_buffer_resource", pmr_monotonic},
                      {"malloc + free (glibc)", glibc_malloc}}});
    cases.push_back({"arena", "one arena, a cursor each, 2 threads", "M/s", false,
                     {{"ostler_cursor_alloc_inline", two_threads_with_cursors},
                      {"the same, 1 thread", one_thread_with_a_cursor},
                      {"shared fetch_add", two_threads_on_a_counter}},
                     false});
    cases.push_back({"arena", "reset of 1 chunk", "ns", true,
                     {{"ostler_arena_reset", [] { return reset_of(1); }},
                      {"apr_pool_clear", [] { return clear_of(1); }},
                      {"the clock alone", clock_alone}}});
    cases.push_back({"arena", "reset of 100 chunks", "ns", true,
                     {{"ostler_arena_reset", [] { return reset_of(100); }},
                      {"apr_pool_clear", [] { return clear_of(100); }},
                      {"the clock alone", clock_alone}}});
    cases.push_back({"arena", "mark + rewind", "ns", true,
                     {{"ostler_cursor_..._inline", cursor_mark_and_rewind},
                      {"ostler_arena_mark, _rewind", mark_and_rewind},
                      {"APR sub-pool", apr_sub_pool}}});
}

} // namespace bench
