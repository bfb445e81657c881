// What the governor costs: a charge, an allocation that it does not see, a look at the kernel.
#include "harness.hpp"

#include <ostler_inline.h>

#include <array>
#include <atomic>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

namespace bench {

namespace {

constexpr std::uint64_t kChunkBytes = 2 << 20;
constexpr std::uint64_t kCharges = 200'000;
constexpr std::uint64_t kBlocks = 200'000;

void govern(bool on) {
    ostler_governor_config config;
    must(ostler_governor_config_init(&config, sizeof config));
    config.limit_percent = 90;
    must(ostler_governor_configure(on ? &config : nullptr));
}

// Reserving a chunk and giving it back through the C interface, with its checks of handle and thread.
double reserve_and_release() {
    static ostler_account *account = nullptr;
    if (!account)
        must(ostler_account_create(nullptr, &account));
    return time_each(kCharges, [&](std::uint64_t) {
        must(ostler_account_reserve(account, kChunkBytes, 0));
        must(ostler_account_release(account, kChunkBytes));
    });
}

// The least that anything can do which only counts: an atomic addition and subtraction in a shard of the thread's own.
double sharded_atomics() {
    struct alignas(128) shard {
        std::atomic<std::uint64_t> bytes{0};
    };
    static std::array<shard, 64> shards;
    static std::atomic<unsigned> next{0};
    thread_local const unsigned mine = next++ % 64;
    return time_each(kCharges, [&](std::uint64_t) {
        shards[mine].bytes.fetch_add(kChunkBytes, std::memory_order_relaxed);
        shards[mine].bytes.fetch_sub(kChunkBytes, std::memory_order_relaxed);
    });
}

// Two atomic totals and a limit that holds exactly, as an account and its process are counted, without a call.
double checked_atomics() {
    static std::atomic<std::uint64_t> account{0}, process{0}, limit{UINT64_MAX};
    return time_each(kCharges, [&](std::uint64_t) {
        std::uint64_t held = process.load(std::memory_order_relaxed);
        while (held + kChunkBytes <= limit.load(std::memory_order_relaxed) &&
               !process.compare_exchange_weak(held, held + kChunkBytes)) {
        }
        account.fetch_add(kChunkBytes);
        account.fetch_sub(kChunkBytes);
        process.fetch_sub(kChunkBytes);
    });
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

template <class Alloc> double blocks(bool governed, Alloc alloc) {
    govern(governed);
    const double each = time_each(10, [&](std::uint64_t) {
        for (std::uint64_t i = 0; i < kBlocks; ++i)
            keep(alloc());
        must(ostler_arena_reset(arena(), OSTLER_RESET_KEEP_PAGES));
    });
    govern(false);
    return each / static_cast<double>(kBlocks);
}

double plain_alloc(bool governed) {
    return blocks(governed, [] {
        void *block;
        must(ostler_arena_alloc(arena(), 64, 16, &block));
        return block;
    });
}

double inline_alloc(bool governed) {
    static ostler_cursor *cursor = nullptr;
    if (!cursor)
        must(ostler_cursor_open(arena(), &cursor));
    return blocks(governed, [] {
        void *block;
        must(ostler_cursor_alloc_inline(cursor, 64, 16, &block));
        return block;
    });
}

ostler_governor_stats stats() {
    ostler_governor_stats stats{};
    stats.struct_size = sizeof stats;
    must(ostler_governor_get_stats(&stats));
    return stats;
}

// Microseconds of a processor that the governor's thread takes for one look, as the kernel counts them.
double tick() {
    ostler_governor_config config;
    must(ostler_governor_config_init(&config, sizeof config));
    config.tick_ns = 10'000'000;
    must(ostler_governor_configure(&config));
    const ostler_governor_stats before = stats();
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
    const ostler_governor_stats after = stats();
    govern(false);
    return static_cast<double>(after.tick_cpu_ns - before.tick_cpu_ns) / 1e3 /
           static_cast<double>(after.ticks - before.ticks);
}

// The same on this thread.
double look() {
    return time_each(500, [](std::uint64_t) { keep(stats().held_bytes); }) / 1e3;
}

// What a look reads, opened anew each time.
double open_read_close() {
    return time_each(500, [](std::uint64_t) {
        char text[8192];
        for (const char *path : {"/proc/meminfo", "/proc/self/statm", "/proc/self/cgroup", "/proc/pressure/memory"}) {
            const int file = open(path, O_RDONLY | O_CLOEXEC);
            if (file < 0)
                continue;
            keep(read(file, text, sizeof text));
            close(file);
        }
    }) / 1e3;
}

} // namespace

void add_governor(std::vector<Case> &cases) {
    cases.push_back({"governor", "charge and release of a chunk", "ns", true,
                     {{"ostler_account_reserve + release", reserve_and_release},
                      {"sharded atomics, no limit", sharded_atomics},
                      {"two atomics and a limit, inline", checked_atomics}}});
    cases.push_back({"governor", "64 bytes of an arena, governed", "ns", true,
                     {{"ostler_arena_alloc, governed", [] { return plain_alloc(true); }},
                      {"the same, not governed", [] { return plain_alloc(false); }}}});
    cases.push_back({"governor", "64 bytes of a cursor, governed", "ns", true,
                     {{"inline, governed", [] { return inline_alloc(true); }},
                      {"the same, not governed", [] { return inline_alloc(false); }}}});
    cases.push_back({"governor", "a look at the kernel", "us", true,
                     {{"ostler_governor_get_stats", look},
                      {"a tick of the governor's thread (CPU)", tick},
                      {"open, read, close of four files", open_read_close}}});
}

} // namespace bench
