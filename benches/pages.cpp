// Pages: mapping and bringing them in beside the bare system calls, what huge ones are worth, and asking what was got.
#include "harness.hpp"

#include <hwloc.h>
#include <sys/mman.h>

#include <array>
#include <fstream>
#include <memory>
#include <numeric>
#include <random>
#include <thread>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace bench {

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kHuge = 2 * kMiB;

[[noreturn]] void give_up(const char *why) {
    std::fprintf(stderr, "%s\n", why);
    std::exit(1);
}

// The machine's pool of 2 MiB pages, larger by `pages` for as long as this process runs.
class Pool {
  public:
    explicit Pool(std::uint64_t pages) : before_(number("nr_hugepages")) {
        std::ofstream(kFolder + std::string("nr_hugepages")) << before_ + pages;
        if (number("free_hugepages") - number("resv_hugepages") < pages) {
            put_back();
            give_up("the pool of 2 MiB pages cannot be made larger: run as root, or stop who takes the memory");
        }
    }
    ~Pool() { put_back(); }

  private:
    static constexpr const char *kFolder = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
    static std::uint64_t number(const char *file) {
        std::uint64_t value = 0;
        std::ifstream(kFolder + std::string(file)) >> value;
        return value;
    }
    void put_back() const { std::ofstream(kFolder + std::string("nr_hugepages")) << before_; }

    std::uint64_t before_;
};

void need_pool() { static const Pool pool(64); }

ostler_arena *arena_of(std::uint32_t pages, std::uint64_t bytes) {
    ostler_page_source source;
    must(ostler_page_source_init(&source, sizeof source));
    source.page_policy = pages;
    source.prefault = 1;
    ostler_arena_config config;
    must(ostler_arena_config_init(&config, sizeof config));
    config.source = &source;
    config.chunk_bytes = bytes;
    ostler_arena *made = nullptr;
    must(ostler_arena_create(&config, &made));
    return made;
}

// The least of some turns after one that does not count: memory that nobody used for a while takes a virtual machine
// twenty times as long, and whoever comes first would pay for all.
template <typename Turn> double least(Turn &&turn) {
    turn();
    return std::min({turn(), turn(), turn()});
}

// Milliseconds until the memory is there. Giving it back is not counted.
double arena_ms(std::uint32_t pages, std::uint64_t bytes) {
    return least([=] {
        const double begin = now_ns();
        ostler_arena *arena = arena_of(pages, bytes);
        const double ms = (now_ns() - begin) / 1e6;
        must(ostler_arena_destroy(arena));
        return ms;
    });
}

// The same by the bare system calls. Transparent pages need an aligned address.
void raw_populate(char *start, std::uint64_t bytes) {
    if (madvise(start, bytes, MADV_POPULATE_WRITE) != 0)
        give_up("MADV_POPULATE_WRITE failed");
}

char *raw_map(int flags, int advice, std::uint64_t bytes, bool populate = true) {
    const std::uint64_t mapped = bytes + (advice == MADV_HUGEPAGE ? kHuge : 0);
    void *memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (memory == MAP_FAILED)
        give_up("mmap failed");
    const std::uint64_t unit = advice == MADV_HUGEPAGE ? kHuge : 4096;
    char *start = reinterpret_cast<char *>((reinterpret_cast<std::uintptr_t>(memory) + unit - 1) & ~(unit - 1));
    if (!(flags & MAP_HUGETLB) && madvise(start, bytes, advice) != 0)
        give_up("madvise failed");
    if (populate)
        raw_populate(start, bytes);
    return start;
}

double raw_ms(int flags, int advice, std::uint64_t bytes) {
    return least([=] {
        const double begin = now_ns();
        char *start = raw_map(flags, advice, bytes);
        const double ms = (now_ns() - begin) / 1e6;
        // Beside an aligned start lies only address space, which a benchmark may keep.
        munmap(start, bytes);
        return ms;
    });
}

constexpr std::uint64_t kPoolBytes = 120 * kMiB;
constexpr std::uint64_t kTransparentBytes = 256 * kMiB;

double pool_pages() { return need_pool(), arena_ms(OSTLER_PAGES_2M, kPoolBytes); }
double raw_pool_pages() { return need_pool(), raw_ms(MAP_HUGETLB, 0, kPoolBytes); }
double raw_small_pages_as_many() { return raw_ms(0, MADV_NOHUGEPAGE, kPoolBytes); }

double transparent_pages() { return arena_ms(OSTLER_PAGES_TRANSPARENT, kTransparentBytes); }
double raw_transparent_pages() { return raw_ms(0, MADV_HUGEPAGE, kTransparentBytes); }
double raw_small_pages() { return raw_ms(0, MADV_NOHUGEPAGE, kTransparentBytes); }

// The same by the bare system calls in two threads, each of which brings in one half.
double raw_by_two_ms(int flags, int advice, std::uint64_t bytes) {
    return least([=] {
        const double begin = now_ns();
        char *start = raw_map(flags, advice, bytes, false);
        std::thread other([=] { raw_populate(start, bytes / 2); });
        raw_populate(start + bytes / 2, bytes / 2);
        other.join();
        const double ms = (now_ns() - begin) / 1e6;
        munmap(start, bytes);
        return ms;
    });
}

double raw_pool_pages_by_two() { return need_pool(), raw_by_two_ms(MAP_HUGETLB, 0, kPoolBytes); }
double raw_transparent_pages_by_two() { return raw_by_two_ms(0, MADV_HUGEPAGE, kTransparentBytes); }

// Milliseconds until two threads have made an arena each, together as large.
double pool_pages_of_two() {
    need_pool();
    return least([] {
        std::array<ostler_arena *, 2> arenas{};
        const double begin = now_ns();
        std::thread other([&] { arenas[1] = arena_of(OSTLER_PAGES_2M, kPoolBytes / 2); });
        arenas[0] = arena_of(OSTLER_PAGES_2M, kPoolBytes / 2);
        other.join();
        const double ms = (now_ns() - begin) / 1e6;
        for (ostler_arena *arena : arenas)
            must(ostler_arena_destroy(arena));
        return ms;
    });
}

constexpr std::uint64_t kChaseBytes = 1024 * kMiB;
constexpr std::uint64_t kLine = 256; // far enough apart that no load brings the next one in

// Links places all over the memory into one ring in random order (Sattolo's algorithm).
char *as_ring(char *memory) {
    std::vector<std::uint32_t> order(kChaseBytes / kLine);
    std::iota(order.begin(), order.end(), 0u);
    std::mt19937 random(1);
    for (std::uint32_t last = static_cast<std::uint32_t>(order.size()) - 1; last > 0; --last)
        std::swap(order[last], order[random() % last]);
    for (std::size_t i = 0; i < order.size(); ++i)
        *reinterpret_cast<char **>(memory + order[i] * kLine) = memory + order[(i + 1) % order.size()] * kLine;
    return memory;
}

// Nanoseconds for a load whose address came from the one before. Each round goes on where the last one stopped.
double chase(char *&at) {
    return time_loop(1'000'000, [&](std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i)
            at = *reinterpret_cast<char **>(at);
        keep(at);
    });
}

double chase_arena(std::uint32_t pages, char *&at) {
    if (!at) {
        ostler_arena *arena = arena_of(pages, kChaseBytes);
        ostler_receipt receipt{};
        receipt.struct_size = sizeof receipt;
        must(ostler_arena_get_receipt(arena, 0, &receipt));
        if ((pages == OSTLER_PAGES_TRANSPARENT) != (receipt.huge_bytes == receipt.mapped_bytes))
            give_up("the kernel did not give the pages that are to be measured");
        at = as_ring(reinterpret_cast<char *>(static_cast<std::uintptr_t>(receipt.address)));
    }
    return chase(at);
}

double chase_huge_arena() {
    static char *at = nullptr;
    return chase_arena(OSTLER_PAGES_TRANSPARENT, at);
}

double chase_small_arena() {
    static char *at = nullptr;
    return chase_arena(OSTLER_PAGES_BASE, at);
}

double chase_raw_transparent() {
    static char *at = [] {
        return as_ring(raw_map(0, MADV_HUGEPAGE, kChaseBytes));
    }();
    return chase(at);
}

ostler_arena *receipt_arena() {
    static ostler_arena *const arena = arena_of(OSTLER_PAGES_TRANSPARENT, kTransparentBytes);
    return arena;
}

ostler_receipt receipt() {
    ostler_receipt receipt{};
    receipt.struct_size = sizeof receipt;
    must(ostler_arena_get_receipt(receipt_arena(), 0, &receipt));
    return receipt;
}

double receipt_us() {
    receipt_arena();
    return time_each(100, [](std::uint64_t) { keep(receipt().resident_bytes); }) / 1e3;
}

double hwloc_location_us() {
    static const hwloc_topology_t topology = [] {
        hwloc_topology_t made = nullptr;
        if (hwloc_topology_init(&made) != 0 || hwloc_topology_load(made) != 0)
            give_up("hwloc does not discover this machine");
        return made;
    }();
    static const hwloc_bitmap_t nodes = hwloc_bitmap_alloc();
    static const ostler_receipt where = receipt();
    return time_each(1, [](std::uint64_t) {
               if (hwloc_get_area_memlocation(topology, reinterpret_cast<void *>(static_cast<std::uintptr_t>(where.address)),
                                              where.mapped_bytes, nodes, HWLOC_MEMBIND_BYNODESET) != 0)
                   give_up("hwloc does not tell where memory is");
           }) / 1e3;
}

} // namespace

void add_pages(std::vector<Case> &cases) {
    cases.push_back({"pages", "120 MiB of 2 MiB pages, made", "ms", true,
                     {{"ostler_arena_create", pool_pages},
                      {"mmap + MADV_POPULATE_WRITE", raw_pool_pages},
                      {"the same of 4 KiB pages", raw_small_pages_as_many}}});
    cases.push_back({"pages", "256 MiB of transparent pages, made", "ms", true,
                     {{"ostler_arena_create", transparent_pages},
                      {"mmap + MADV_POPULATE_WRITE", raw_transparent_pages},
                      {"the same of 4 KiB pages", raw_small_pages}}});
    cases.push_back({"pages", "120 MiB of 2 MiB pages, on 2 CPUs", "ms", true,
                     {{"ostler_arena_create", pool_pages},
                      {"two threads, an arena of half as much each", pool_pages_of_two},
                      {"mmap, MADV_POPULATE_WRITE by two", raw_pool_pages_by_two},
                      {"mmap + MADV_POPULATE_WRITE by one", raw_pool_pages}},
                     false});
    cases.push_back({"pages", "256 MiB of transparent pages, on 2 CPUs", "ms", true,
                     {{"ostler_arena_create", transparent_pages},
                      {"mmap, MADV_POPULATE_WRITE by two", raw_transparent_pages_by_two},
                      {"mmap + MADV_POPULATE_WRITE by one", raw_transparent_pages}},
                     false});
    cases.push_back({"pages", "random load in 1 GiB", "ns", true,
                     {{"huge arena", chase_huge_arena},
                      {"mmap + MADV_HUGEPAGE", chase_raw_transparent},
                      {"arena of 4 KiB pages", chase_small_arena}}});
    cases.push_back({"pages", "receipt of 256 MiB", "us", true,
                     {{"ostler_arena_get_receipt", receipt_us},
                      {"hwloc_get_area_memlocation", hwloc_location_us}}});
}

} // namespace bench
