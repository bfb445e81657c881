// Acquire and release of idle resources: by one thread, by two that have enough, by three that have two, and many at once.
#include "harness.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

#include <apr_general.h>
#include <apr_reslist.h>

namespace bench {

namespace {

constexpr std::uint64_t kPairs = 1'000'000;
constexpr std::uint64_t kContendedPairs = 200'000;
constexpr std::uint64_t kScarcePairs = 20'000;
constexpr std::uint32_t kResources = 8;
constexpr std::uint32_t kScarce = 2;
constexpr std::uint32_t kAtOnce = 32;

ostler_status create(void *, void **resource) {
    *resource = std::malloc(64);
    return *resource ? OSTLER_OK : OSTLER_E_OUT_OF_MEMORY;
}

void destroy(void *, void *resource) { std::free(resource); }

// Each thread does so many pairs; nanoseconds for one pair of one thread.
template <typename Pair> double by_threads(int count, std::uint64_t pairs, Pair &&pair) {
    const double begin = now_ns();
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i)
        threads.emplace_back([&] {
            for (std::uint64_t n = 0; n < pairs; ++n)
                pair();
        });
    for (auto &thread : threads)
        thread.join();
    return (now_ns() - begin) / static_cast<double>(pairs);
}

ostler_pool *make_pool(std::uint32_t resources) {
    ostler_pool_config config;
    must(ostler_pool_config_init(&config, sizeof config));
    config.max_size = resources;
    ostler_pool_callbacks callbacks;
    must(ostler_pool_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.create = create;
    callbacks.destroy = destroy;
    ostler_pool *made = nullptr;
    must(ostler_pool_create(&config, &callbacks, nullptr, &made));
    return made;
}

void use(ostler_pool *pool) {
    ostler_lease lease;
    void *resource;
    must(ostler_pool_acquire(pool, OSTLER_FOREVER, nullptr, &lease, &resource));
    keep(resource);
    must(ostler_pool_release(pool, lease));
}

ostler_pool *roomy_pool() {
    static ostler_pool *const pool = make_pool(kResources);
    return pool;
}

ostler_pool *scarce_pool() {
    static ostler_pool *const pool = make_pool(kScarce);
    return pool;
}

double ostler_pair() {
    return time_each(kPairs, [](std::uint64_t) { use(roomy_pool()); });
}

double ostler_many() {
    static ostler_pool *const pool = make_pool(kAtOnce);
    return time_each(kPairs / kAtOnce, [](std::uint64_t) {
               ostler_lease leases[kAtOnce];
               void *resources[kAtOnce];
               must(ostler_pool_acquire_n(pool, kAtOnce, OSTLER_FOREVER, nullptr, leases, resources));
               keep(resources);
               must(ostler_pool_release_n(pool, leases, kAtOnce, nullptr));
           }) /
           kAtOnce;
}

apr_status_t apr_create(void **resource, void *, apr_pool_t *) {
    *resource = std::malloc(64);
    return APR_SUCCESS;
}

apr_status_t apr_destroy(void *resource, void *, apr_pool_t *) {
    std::free(resource);
    return APR_SUCCESS;
}

apr_reslist_t *make_list(int resources) {
    apr_pool_t *pool = nullptr;
    apr_reslist_t *made = nullptr;
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, nullptr) != APR_SUCCESS ||
        apr_reslist_create(&made, 0, resources, resources, 0, apr_create, apr_destroy, nullptr, pool) != APR_SUCCESS) {
        std::fprintf(stderr, "apr_reslist could not be created\n");
        std::exit(1);
    }
    return made;
}

void use(apr_reslist_t *list) {
    void *resource;
    apr_reslist_acquire(list, &resource);
    keep(resource);
    apr_reslist_release(list, resource);
}

apr_reslist_t *roomy_list() {
    static apr_reslist_t *const list = make_list(kResources);
    return list;
}

apr_reslist_t *scarce_list() {
    static apr_reslist_t *const list = make_list(kScarce);
    return list;
}

double apr_pair() {
    return time_each(kPairs, [](std::uint64_t) { use(roomy_list()); });
}

// What people write by hand.
class MutexPool {
  public:
    explicit MutexPool(std::uint32_t resources) {
        for (std::uint32_t i = 0; i < resources; ++i)
            idle_.push_back(std::malloc(64));
    }

    void *acquire() {
        std::unique_lock lock(mutex_);
        released_.wait(lock, [this] { return !idle_.empty(); });
        void *resource = idle_.back();
        idle_.pop_back();
        return resource;
    }

    void release(void *resource) {
        {
            std::lock_guard lock(mutex_);
            idle_.push_back(resource);
        }
        released_.notify_one();
    }

  private:
    std::mutex mutex_;
    std::condition_variable released_;
    std::vector<void *> idle_;
};

void use(MutexPool &pool) {
    void *resource = pool.acquire();
    keep(resource);
    pool.release(resource);
}

MutexPool &roomy_mutex_pool() {
    static MutexPool pool(kResources);
    return pool;
}

MutexPool &scarce_mutex_pool() {
    static MutexPool pool(kScarce);
    return pool;
}

double mutex_pair() {
    return time_each(kPairs, [](std::uint64_t) { use(roomy_mutex_pool()); });
}

} // namespace

void add_pool(std::vector<Case> &cases) {
    cases.push_back({"pool", "acquire + release, one thread", "ns", true,
                     {{"ostler_pool_acquire/release", ostler_pair},
                      {"apr_reslist", apr_pair},
                      {"mutex + condvar + vector", mutex_pair}}});
    cases.push_back({"pool", "the same, 32 at once, each", "ns", true,
                     {{"ostler_pool_acquire_n/release_n", ostler_many},
                      {"ostler_pool_acquire/release", ostler_pair},
                      {"apr_reslist, one by one", apr_pair}}});
    cases.push_back({"pool", "two threads, 8 resources, each", "ns", true,
                     {{"ostler_pool_acquire/release",
                       [] { return by_threads(2, kContendedPairs, [] { use(roomy_pool()); }); }},
                      {"apr_reslist", [] { return by_threads(2, kContendedPairs, [] { use(roomy_list()); }); }},
                      {"mutex + condvar + vector",
                       [] { return by_threads(2, kContendedPairs, [] { use(roomy_mutex_pool()); }); }}},
                     false});
    cases.push_back({"pool", "three threads, 2 resources, each", "ns", true,
                     {{"ostler_pool_acquire/release",
                       [] { return by_threads(3, kScarcePairs, [] { use(scarce_pool()); }); }},
                      {"apr_reslist", [] { return by_threads(3, kScarcePairs, [] { use(scarce_list()); }); }},
                      {"mutex + condvar + vector",
                       [] { return by_threads(3, kScarcePairs, [] { use(scarce_mutex_pool()); }); }}},
                     false});
}

} // namespace bench
