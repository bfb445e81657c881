// Blocks of 16 to 1039 bytes at random, 10,000 of them live: each step frees one and allocates another in its place.
#include "harness.hpp"

#include "peers/peers.hpp"

#define TBB_PREVIEW_MEMORY_POOL 1
#include <tbb/memory_pool.h>

#include <atomic>
#include <memory>
#include <thread>

#include <dlfcn.h>
#include <sys/mman.h>

namespace bench {

namespace {

constexpr std::size_t kLive = 10'000;
constexpr std::uint64_t kSteps = 400'000;
constexpr std::size_t kFixedBytes = 64 << 20;

// What the Rust peers do as well: xorshift64, the place from the high half and the size from the low one.
struct Random {
    std::uint64_t state = 88172645463325252;
    std::uint64_t next()
    {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
    }
};

std::size_t place_of(std::uint64_t random) { return static_cast<std::size_t>(((random >> 32) * kLive) >> 32); }
std::size_t size_of(std::uint64_t random) { return 16 + (random & 1023); }

// An allocator with its live blocks, which stay from round to round.
template <typename Alloc, typename Free> struct Churn {
    Alloc alloc;
    Free release;
    bool written;
    std::vector<void *> blocks = std::vector<void *>(kLive);
    Random random;

    Churn(Alloc alloc, Free release, bool written) : alloc(alloc), release(release), written(written)
    {
        for (void *&block : blocks)
            block = alloc(size_of(random.next()));
    }

    void run(std::uint64_t steps)
    {
        for (std::uint64_t i = 0; i < steps; ++i) {
            const std::uint64_t number = random.next();
            void *&block = blocks[place_of(number)];
            release(block);
            block = alloc(size_of(number));
            if (written)
                *static_cast<std::uint64_t *>(block) = number;
            keep(block);
        }
    }

    double round()
    {
        return time_loop(kSteps, [this](std::uint64_t steps) { run(steps); });
    }
};

template <typename Alloc, typename Free> std::function<double()> churn(Alloc alloc, Free release, bool written = false)
{
    // Made at the first round.
    auto made = std::make_shared<std::unique_ptr<Churn<Alloc, Free>>>();
    return [=] {
        if (!*made)
            *made = std::make_unique<Churn<Alloc, Free>>(alloc, release, written);
        return (*made)->round();
    };
}

ostler_heap *heap()
{
    static ostler_heap *const one = [] {
        ostler_heap *made = nullptr;
        must(ostler_heap_create(nullptr, &made));
        return made;
    }();
    return one;
}

void *ours_alloc(std::size_t bytes)
{
    void *block;
    must(ostler_heap_alloc(heap(), bytes, 0, &block));
    return block;
}
void ours_free(void *block) { must(ostler_heap_free(heap(), block)); }

// Loaded by name: linking them would replace malloc in this whole process.
template <typename Function> Function *from(const char *library, const char *name)
{
    void *const opened = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    void *const found = opened ? dlsym(opened, name) : nullptr;
    if (!found) {
        std::fprintf(stderr, "%s has no %s, or is missing: scripts/setup.sh installs it: %s\n", library, name, dlerror());
        std::exit(1);
    }
    return reinterpret_cast<Function *>(found);
}

constexpr const char *kMimalloc = "libmimalloc.so.2";
constexpr const char *kJemalloc = "libjemalloc.so.2";

std::function<double()> mimalloc(bool written)
{
    return churn([alloc = from<void *(std::size_t)>(kMimalloc, "mi_malloc")](std::size_t bytes) { return alloc(bytes); },
                 [release = from<void(void *)>(kMimalloc, "mi_free")](void *block) { release(block); }, written);
}

// An arena of its own, with a cache of its own.
std::function<double()> jemalloc(bool written)
{
    auto *const control = from<int(const char *, void *, std::size_t *, void *, std::size_t)>(kJemalloc, "mallctl");
    unsigned arena = 0, cache = 0;
    std::size_t bytes = sizeof arena;
    if (control("arenas.create", &arena, &bytes, nullptr, 0) || control("tcache.create", &cache, &bytes, nullptr, 0))
        std::abort();
    const int flags = static_cast<int>(((cache + 2) << 8) | ((arena + 1) << 20)); // MALLOCX_TCACHE and MALLOCX_ARENA
    auto *const alloc = from<void *(std::size_t, int)>(kJemalloc, "mallocx");
    auto *const release = from<void(void *, int)>(kJemalloc, "dallocx");
    return churn([=](std::size_t size) { return alloc(size, flags); }, [=](void *block) { release(block, flags); }, written);
}

std::function<double()> fixed_pool()
{
    static void *const memory =
        mmap(nullptr, kFixedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    static tbb::fixed_pool pool(memory, kFixedBytes);
    return churn([](std::size_t bytes) { return pool.malloc(bytes); }, [](void *block) { pool.free(block); });
}

std::function<double()> rust_peer(void (*run)(std::uint64_t))
{
    return [=] { return time_loop(kSteps, run); };
}

// Each of two threads has blocks of its own.
template <typename Alloc, typename Free> std::function<double()> two_threads(Alloc alloc, Free release)
{
    return [=] {
        std::atomic<int> ready{0};
        std::atomic<double> slowest{0};
        const auto body = [&] {
            Churn<Alloc, Free> own(alloc, release, false);
            own.run(kSteps / 10);
            ready.fetch_add(1);
            while (ready.load() < 2) {
            }
            const double time = own.round();
            double before = slowest.load();
            while (before < time && !slowest.compare_exchange_weak(before, time)) {
            }
            for (void *block : own.blocks)
                release(block);
        };
        std::thread other(body);
        body();
        other.join();
        return slowest.load();
    };
}

// One thread allocates, the other frees.
template <typename Alloc, typename Free> std::function<double()> handed_over(Alloc alloc, Free release)
{
    return [=] {
        constexpr std::size_t kRing = 1024;
        static std::atomic<void *> ring[kRing];
        return time_loop(kSteps, [&](std::uint64_t steps) {
            std::thread consumer([&] {
                for (std::uint64_t i = 0; i < steps; ++i) {
                    void *block;
                    while (!(block = ring[i % kRing].load(std::memory_order_acquire)))
                        std::this_thread::yield();
                    ring[i % kRing].store(nullptr, std::memory_order_relaxed);
                    release(block);
                }
            });
            Random random;
            for (std::uint64_t i = 0; i < steps; ++i) {
                void *const block = alloc(size_of(random.next()));
                while (ring[i % kRing].load(std::memory_order_relaxed))
                    std::this_thread::yield();
                ring[i % kRing].store(block, std::memory_order_release);
            }
            consumer.join();
        });
    };
}

} // namespace

void add_heap(std::vector<Case> &cases)
{
    cases.push_back({"heap", "replace 16-1039 B, 10k live", "ns", true,
                     {{"ostler_heap", churn(ours_alloc, ours_free)},
                      {"rlsf (TLSF, Rust, no lock)", rust_peer(peer_rlsf)},
                      {"offset-allocator (Rust, no lock)", rust_peer(peer_offset_allocator)},
                      {"tbb::fixed_pool", fixed_pool()},
                      {"jemalloc, arena and tcache of its own", jemalloc(false)},
                      {"malloc + free (mimalloc)", mimalloc(false)},
                      {"malloc + free (glibc)", churn(std::malloc, std::free)}}});
    cases.push_back({"heap", "the same, first word written", "ns", true,
                     {{"ostler_heap", churn(ours_alloc, ours_free, true)},
                      {"jemalloc, arena and tcache of its own", jemalloc(true)},
                      {"malloc + free (mimalloc)", mimalloc(true)},
                      {"malloc + free (glibc)", churn(std::malloc, std::free, true)}}});
    cases.push_back({"heap", "the same, 2 threads", "ns", true,
                     {{"ostler_heap", two_threads(ours_alloc, ours_free)},
                      {"malloc + free (glibc)", two_threads(std::malloc, std::free)}},
                     false});
    cases.push_back({"heap", "freed by another thread", "ns", true,
                     {{"ostler_heap", handed_over(ours_alloc, ours_free)},
                      {"malloc + free (glibc)", handed_over(std::malloc, std::free)}},
                     false});
}

} // namespace bench
