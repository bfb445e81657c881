// What tracing costs: the same work with it off and with it on at its default rate.
#include "harness.hpp"

#include <ostler_inline.h>

namespace bench {

namespace {

constexpr std::uint64_t kBlocks = 100'000;
constexpr std::uint64_t kBatches = 20;
constexpr std::uint64_t kBlockBytes = 64;

ostler_arena *make_arena(std::uint64_t chunk_bytes) {
    ostler_page_source source;
    must(ostler_page_source_init(&source, sizeof source));
    source.prefault = 1;
    ostler_arena_config config;
    must(ostler_arena_config_init(&config, sizeof config));
    config.source = &source;
    config.chunk_bytes = chunk_bytes;
    ostler_arena *made = nullptr;
    must(ostler_arena_create(&config, &made));
    return made;
}

// A round with tracing on, when it is to be.
template <typename Body> std::function<double()> with_tracing(bool on, Body body) {
    return [on, body] {
        if (on)
            must(ostler_tracing_start(nullptr));
        const double value = body();
        must(ostler_tracing_stop());
        return value;
    };
}

double cursor_blocks() {
    static ostler_arena *const arena = make_arena(16 << 20);
    static ostler_cursor *cursor = nullptr;
    if (!cursor)
        must(ostler_cursor_open(arena, &cursor));
    return time_each(kBatches, [](std::uint64_t) {
               for (std::uint64_t i = 0; i < kBlocks; ++i) {
                   void *block;
                   must(ostler_cursor_alloc_inline(cursor, kBlockBytes, 16, &block));
                   keep(block);
               }
               must(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES));
           }) /
           static_cast<double>(kBlocks);
}

double plain_blocks() {
    static ostler_arena *const arena = make_arena(16 << 20);
    return time_each(kBatches, [](std::uint64_t) {
               for (std::uint64_t i = 0; i < kBlocks; ++i) {
                   void *block;
                   must(ostler_arena_alloc(arena, kBlockBytes, 16, &block));
                   keep(block);
               }
               must(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES));
           }) /
           static_cast<double>(kBlocks);
}

// Slots are held a thousand at a time, so that magazines are filled and emptied.
double slots() {
    constexpr std::uint64_t kHeld = 1000;
    static ostler_slab *const slab = [] {
        ostler_slab_config config;
        must(ostler_slab_config_init(&config, sizeof config));
        config.slot_bytes = kBlockBytes;
        ostler_slab *made = nullptr;
        must(ostler_slab_create(&config, nullptr, nullptr, &made));
        return made;
    }();
    static void *held[kHeld];
    return time_each(2000, [](std::uint64_t) {
               for (void *&slot : held)
                   must(ostler_slab_get(slab, &slot));
               for (void *slot : held)
                   must(ostler_slab_put(slab, slot));
           }) /
           static_cast<double>(kHeld);
}

// Buffers are held a hundred at a time, more than a thread keeps at hand.
template <std::uint64_t kBytes> double buffers_held() {
    constexpr std::uint64_t kHeld = 100;
    static ostler_buffers *const buffers = [] {
        ostler_buffers *made = nullptr;
        must(ostler_buffers_create(nullptr, &made));
        return made;
    }();
    static ostler_buffer held[kHeld];
    return time_each(5000, [](std::uint64_t) {
               for (ostler_buffer &view : held)
                   must(ostler_buffers_get(buffers, kBytes, &view, nullptr));
               for (const ostler_buffer view : held)
                   must(ostler_buffers_release(buffers, view));
           }) /
           static_cast<double>(kHeld);
}

// As many blocks of all sizes are live, each of which is freed for the next.
double heap_blocks() {
    constexpr std::uint64_t kLive = 10'000;
    static ostler_heap *const heap = [] {
        ostler_heap *made = nullptr;
        must(ostler_heap_create(nullptr, &made));
        return made;
    }();
    static void *live[kLive];
    static std::uint64_t state = 88172645463325252;
    return time_each(400'000, [](std::uint64_t) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        void *&block = live[((state >> 32) * kLive) >> 32];
        must(ostler_heap_free(heap, block));
        must(ostler_heap_alloc(heap, 16 + (state & 1023), 0, &block));
    });
}

// An arena's whole life, the first chunk brought in.
double arena_lives() {
    return time_each(200, [](std::uint64_t) { must(ostler_arena_destroy(make_arena(2 << 20))); });
}

void add(std::vector<Case> &cases, const std::string &name, double (*measure)()) {
    cases.push_back({"tracing", name, "ns", true,
                     {{"on, at the default rate", with_tracing(true, measure)}, {"off", with_tracing(false, measure)}}});
}

} // namespace

void add_tracing(std::vector<Case> &cases) {
    add(cases, "inline cursor, 64 B", cursor_blocks);
    add(cases, "plain call into an arena, 64 B", plain_blocks);
    add(cases, "slot of a slab, 64 B, 1000 held", slots);
    add(cases, "buffer of 1 KiB, 100 held", buffers_held<1024>);
    add(cases, "buffer of 64 KiB, 100 held", buffers_held<65536>);
    add(cases, "block of a heap replaced, 16-1039 B", heap_blocks);
    add(cases, "life of an arena of 2 MiB", arena_lives);
}

} // namespace bench
