// Slots of one size: get and put by one thread and by one on each of two, many at once, through a plain call, and got on one
// thread and put on the other.
#include "harness.hpp"

#include <ostler_inline.h>

#include <atomic>
#include <thread>
#include <vector>

#include <boost/pool/pool.hpp>
#include <concurrentqueue/concurrentqueue.h>
#include <dlfcn.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mempool.h>

extern "C" int bench_empty_call(void *argument);

namespace bench {

namespace {

constexpr std::uint64_t kPairs = 1'000'000;
constexpr std::uint64_t kPassed = 200'000;
constexpr std::uint64_t kSingly = 50'000;
constexpr std::uint32_t kAtOnce = 32;
constexpr std::uint32_t kSlots = 8192;
constexpr std::size_t kSmall = 64;
constexpr std::size_t kPage = 4096;

void pin_to(int cpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);
}

// Each on a CPU of its own; nanoseconds for one pair of one thread, the slower one's.
template <typename Loop> double on_each_of(int threads, Loop &&loop) {
    if (threads == 1)
        return loop(0);
    std::atomic<int> ready{0};
    std::vector<double> took(static_cast<std::size_t>(threads));
    std::vector<std::thread> running;
    for (int me = 0; me < threads; ++me)
        running.emplace_back([&, me] {
            pin_to(me);
            ready++;
            while (ready.load() < threads) {
            }
            took[static_cast<std::size_t>(me)] = loop(me);
        });
    for (auto &thread : running)
        thread.join();
    return *std::max_element(took.begin(), took.end());
}

[[noreturn]] void give_up(const char *what) {
    std::fprintf(stderr, "%s could not be set up\n", what);
    std::exit(1);
}

// What gives out and takes back objects of one size. Each thread makes one of its own for what all share.

class OstlerMagazine {
  public:
    explicit OstlerMagazine(std::size_t bytes, int = 0) : magazine_(open(bytes)) {}
    OstlerMagazine(const OstlerMagazine &) = delete;
    ~OstlerMagazine() { ostler_magazine_close(magazine_); }
    void *get() {
        void *slot;
        must(ostler_magazine_get_inline(magazine_, &slot));
        return slot;
    }
    void put(void *slot) { must(ostler_magazine_put_inline(magazine_, slot)); }
    void get_n(void **slots) { must(ostler_magazine_get_n_inline(magazine_, kAtOnce, slots)); }
    void put_n(void **slots) { must(ostler_magazine_put_n_inline(magazine_, slots, kAtOnce, nullptr)); }

    static ostler_slab *slab(std::size_t bytes) {
        static ostler_slab *const small = make(kSmall), *const page = make(kPage);
        return bytes == kSmall ? small : page;
    }

  private:
    static ostler_slab *make(std::size_t bytes) {
        ostler_slab_config config;
        must(ostler_slab_config_init(&config, sizeof config));
        config.slot_bytes = bytes;
        config.max_slots = kSlots;
        ostler_slab *made = nullptr;
        must(ostler_slab_create(&config, nullptr, nullptr, &made));
        return made;
    }

    static ostler_magazine *open(std::size_t bytes) {
        ostler_magazine *opened = nullptr;
        must(ostler_magazine_open(slab(bytes), &opened));
        return opened;
    }

    // A pointer that nobody else can change, as that of each peer.
    ostler_magazine *const magazine_;
};

class OstlerCalls {
  public:
    explicit OstlerCalls(std::size_t bytes, int = 0) : slab_(OstlerMagazine::slab(bytes)) {}
    void *get() {
        void *slot;
        must(ostler_slab_get(slab_, &slot));
        return slot;
    }
    void put(void *slot) { must(ostler_slab_put(slab_, slot)); }

  private:
    ostler_slab *slab_;
};

// Only a thread that DPDK knows has a cache.
class Mempool {
  public:
    explicit Mempool(std::size_t bytes, int = 0) : pool_(of(bytes)), registered_(rte_lcore_id() == LCORE_ID_ANY) {
        if (registered_ && rte_thread_register() != 0)
            give_up("a thread of DPDK");
    }
    Mempool(const Mempool &) = delete;
    ~Mempool() {
        rte_mempool_cache_flush(nullptr, pool_);
        if (registered_)
            rte_thread_unregister();
    }
    void *get() {
        void *object;
        if (rte_mempool_get(pool_, &object) != 0)
            give_up("rte_mempool_get");
        return object;
    }
    void put(void *object) { rte_mempool_put(pool_, object); }
    void get_n(void **objects) {
        if (rte_mempool_get_bulk(pool_, objects, kAtOnce) != 0)
            give_up("rte_mempool_get_bulk");
    }
    void put_n(void **objects) { rte_mempool_put_bulk(pool_, objects, kAtOnce); }

  private:
    static rte_mempool *of(std::size_t bytes) {
        static rte_mempool *const small = make("small", kSmall), *const page = make("page", kPage);
        return bytes == kSmall ? small : page;
    }
    static rte_mempool *make(const char *name, std::size_t bytes) {
        static const bool begun = [] {
            static char program[] = "bench", huge[] = "--no-huge", memory[] = "--no-shconf", megabytes[] = "-m", how_many[] = "256",
                        core[] = "-l", zero[] = "0", pci[] = "--no-pci", telemetry[] = "--no-telemetry";
            char *arguments[] = {program, huge, memory, megabytes, how_many, core, zero, pci, telemetry};
            if (rte_eal_init(9, arguments) < 0)
                give_up("DPDK");
            return true;
        }();
        (void)begun;
        rte_mempool *pool = rte_mempool_create(name, kSlots - 1, static_cast<unsigned>(bytes), 256, 0, nullptr, nullptr,
                                               nullptr, nullptr, SOCKET_ID_ANY, 0);
        if (!pool)
            give_up("rte_mempool_create");
        return pool;
    }

    rte_mempool *pool_;
    bool registered_;
};

// For one thread, and checks nothing.
class BoostPool {
  public:
    explicit BoostPool(std::size_t bytes, int = 0) : pool_(bytes) {}
    void *get() { return pool_.malloc(); }
    void put(void *object) { pool_.free(object); }

  private:
    boost::pool<> pool_;
};

// What people write by hand.
class Stack {
  public:
    explicit Stack(std::size_t bytes, int = 0) : memory_(64 * bytes) {
        while (top_ < 64)
            put(memory_.data() + top_ * bytes);
    }
    void *get() { return items_[--top_]; }
    void put(void *object) { items_[top_++] = object; }

  private:
    std::vector<char> memory_;
    std::uint64_t top_ = 0;
    void *items_[64];
};

// Loaded by name: linking them would replace malloc in this whole process.
struct Allocator {
    void *(*allocate)(std::size_t);
    void (*release)(void *);

    static Allocator load(const char *library, const char *allocate, const char *release) {
        void *const loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        if (!loaded)
            give_up(dlerror());
        return {reinterpret_cast<void *(*)(std::size_t)>(dlsym(loaded, allocate)),
                reinterpret_cast<void (*)(void *)>(dlsym(loaded, release))};
    }
};

const Allocator &jemalloc() {
    static const Allocator loaded = Allocator::load("libjemalloc.so.2", "malloc", "free");
    return loaded;
}

const Allocator &mimalloc() {
    static const Allocator loaded = Allocator::load("libmimalloc.so.2", "mi_malloc", "mi_free");
    return loaded;
}

const Allocator &glibc() {
    static const Allocator own = {std::malloc, std::free};
    return own;
}

template <const Allocator &(*Which)()> class Malloc {
  public:
    explicit Malloc(std::size_t bytes, int = 0) : allocator_(Which()), bytes_(bytes) {}
    void *get() { return allocator_.allocate(bytes_); }
    void put(void *object) { allocator_.release(object); }

  private:
    Allocator allocator_;
    std::size_t bytes_;
};

// Objects lie in a queue of those that are free.
class Moodycamel {
  public:
    explicit Moodycamel(std::size_t bytes, int = 0) : free_(of(bytes)) {}
    void *get() {
        void *object = nullptr;
        while (!free_.try_dequeue(object)) {
        }
        return object;
    }
    void put(void *object) { free_.enqueue(object); }

  private:
    using Queue = moodycamel::ConcurrentQueue<void *>;
    static Queue &of(std::size_t bytes) {
        static Queue *const small = make(kSmall), *const page = make(kPage);
        return *(bytes == kSmall ? small : page);
    }
    static Queue *make(std::size_t bytes) {
        auto *const queue = new Queue(kSlots);
        char *const memory = static_cast<char *>(std::aligned_alloc(kPage, kSlots * bytes));
        for (std::uint32_t i = 0; i < kSlots; ++i)
            queue->enqueue(memory + i * bytes);
        return queue;
    }
    Queue &free_;
};

template <typename Source> double pair(std::size_t bytes, int threads) {
    return on_each_of(threads, [bytes](int me) {
        Source source(bytes, me);
        return time_each(kPairs, [&](std::uint64_t) {
            void *object = source.get();
            keep(object);
            source.put(object);
        });
    });
}

template <typename Source> double many(std::size_t bytes) {
    Source source(bytes);
    return time_each(kPairs / kAtOnce, [&](std::uint64_t) {
               void *objects[kAtOnce];
               source.get_n(objects);
               keep(objects);
               source.put_n(objects);
           }) /
           kAtOnce;
}

// One at a time, or batches of kAtOnce, from one thread to the other: a ring that only they use.
template <std::uint32_t Batch> struct Ring {
    static constexpr std::uint32_t kPlaces = 64;
    struct alignas(64) Place {
        std::atomic<std::uint32_t> full{0};
        void *objects[Batch];
    };
    Place places[kPlaces];
};

// Nanoseconds for each object that is got on one CPU and put on the other.
template <typename Source, std::uint32_t Batch> double passed(std::size_t bytes, std::uint64_t count) {
    static Ring<Batch> ring;
    for (auto &place : ring.places)
        place.full = 0;
    return on_each_of(2, [&, bytes, count](int me) {
        Source source(bytes, me);
        return time_loop(count, [&](std::uint64_t objects) {
            for (std::uint64_t i = 0; i < objects / Batch; ++i) {
                auto &place = ring.places[i % Ring<Batch>::kPlaces];
                const std::uint32_t wanted = me == 0 ? 0 : 1;
                while (place.full.load(std::memory_order_acquire) != wanted) {
                }
                for (auto &object : place.objects) {
                    if (me == 0)
                        object = source.get();
                    else
                        source.put(object);
                }
                place.full.store(1 - wanted, std::memory_order_release);
            }
        });
    });
}

template <typename Source> Candidate pairs_of(const char *name, std::size_t bytes, int threads) {
    return {name, [=] { return pair<Source>(bytes, threads); }};
}

template <std::uint32_t Batch> std::vector<Candidate> passing(std::size_t bytes, std::uint64_t count) {
    return {{"ostler_magazine_..._inline", [=] { return passed<OstlerMagazine, Batch>(bytes, count); }},
            {"rte_mempool", [=] { return passed<Mempool, Batch>(bytes, count); }},
            {"malloc, free (glibc)", [=] { return passed<Malloc<glibc>, Batch>(bytes, count); }},
            {"malloc, free (jemalloc)", [=] { return passed<Malloc<jemalloc>, Batch>(bytes, count); }},
            {"mi_malloc, mi_free", [=] { return passed<Malloc<mimalloc>, Batch>(bytes, count); }},
            {"moodycamel::ConcurrentQueue", [=] { return passed<Moodycamel, Batch>(bytes, count); }}};
}

double two_empty_calls() {
    return time_each(kPairs, [](std::uint64_t) {
        keep(bench_empty_call(nullptr));
        keep(bench_empty_call(nullptr));
    });
}

} // namespace

void add_slab(std::vector<Case> &cases) {
    for (const std::size_t bytes : {kSmall, kPage}) {
        const std::string size = bytes == kSmall ? "64 B" : "4 KiB";
        for (const int threads : {1, 2}) {
            Case one{"slab", "get, put " + size + (threads == 1 ? ", one thread" : ", one on each CPU"), "ns", true, {}, threads == 1};
            one.candidates = {pairs_of<OstlerMagazine>("ostler_magazine_..._inline", bytes, threads),
                              pairs_of<Mempool>("rte_mempool, cache 256", bytes, threads),
                              pairs_of<BoostPool>("boost::pool, unchecked", bytes, threads),
                              pairs_of<Stack>("inline stack, unchecked", bytes, threads),
                              pairs_of<Malloc<glibc>>("malloc, free (glibc)", bytes, threads),
                              pairs_of<Malloc<jemalloc>>("malloc, free (jemalloc)", bytes, threads),
                              pairs_of<Malloc<mimalloc>>("mi_malloc, mi_free", bytes, threads)};
            cases.push_back(one);
        }
        cases.push_back({"slab", "32 at once, " + size, "ns", true,
                         {{"ostler_magazine_..._n_inline", [=] { return many<OstlerMagazine>(bytes); }},
                          {"rte_mempool_..._bulk", [=] { return many<Mempool>(bytes); }}}});
        cases.push_back({"slab", "from thread to thread, 32s, " + size, "ns", true, passing<kAtOnce>(bytes, kPassed), false});
        cases.push_back({"slab", "from thread to thread, singly, " + size, "ns", true, passing<1>(bytes, kSingly), false});
    }
    for (const int threads : {1, 2})
        cases.push_back({"slab", threads == 1 ? "plain calls, one thread" : "plain calls, one on each CPU", "ns", true,
                         {pairs_of<OstlerCalls>("ostler_slab_get, ostler_slab_put", kSmall, threads),
                          {"two empty calls", [=] { return on_each_of(threads, [](int) { return two_empty_calls(); }); }},
                          pairs_of<Malloc<glibc>>("malloc, free (glibc)", kSmall, threads)},
                         threads == 1});
}

} // namespace bench
