// Acquire and release of an idle resource, one thread.
#include "harness.hpp"

#include <condition_variable>
#include <mutex>

#include <apr_general.h>
#include <apr_reslist.h>

namespace bench {

namespace {

constexpr std::uint64_t kPairs = 1'000'000;
constexpr std::uint32_t kResources = 8;

ostler_status create(void *, void **resource) {
    *resource = std::malloc(64);
    return *resource ? OSTLER_OK : OSTLER_E_OUT_OF_MEMORY;
}

void destroy(void *, void *resource) { std::free(resource); }

double ostler_pair() {
    static ostler_pool *const pool = [] {
        ostler_pool_config config;
        must(ostler_pool_config_init(&config, sizeof config));
        config.max_size = kResources;
        ostler_pool_callbacks callbacks;
        must(ostler_pool_callbacks_init(&callbacks, sizeof callbacks));
        callbacks.create = create;
        callbacks.destroy = destroy;
        ostler_pool *made = nullptr;
        must(ostler_pool_create(&config, &callbacks, nullptr, &made));
        return made;
    }();
    return time_each(kPairs, [](std::uint64_t) {
        ostler_lease lease;
        void *resource;
        must(ostler_pool_acquire(pool, OSTLER_FOREVER, nullptr, &lease, &resource));
        keep(resource);
        must(ostler_pool_release(pool, lease));
    });
}

apr_status_t apr_create(void **resource, void *, apr_pool_t *) {
    *resource = std::malloc(64);
    return APR_SUCCESS;
}

apr_status_t apr_destroy(void *resource, void *, apr_pool_t *) {
    std::free(resource);
    return APR_SUCCESS;
}

double apr_pair() {
    static apr_reslist_t *const list = [] {
        apr_pool_t *pool = nullptr;
        apr_reslist_t *made = nullptr;
        if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, nullptr) != APR_SUCCESS ||
            apr_reslist_create(&made, 0, kResources, kResources, 0, apr_create, apr_destroy, nullptr, pool) !=
                APR_SUCCESS) {
            std::fprintf(stderr, "apr_reslist could not be created\n");
            std::exit(1);
        }
        return made;
    }();
    return time_each(kPairs, [](std::uint64_t) {
        void *resource;
        apr_reslist_acquire(list, &resource);
        keep(resource);
        apr_reslist_release(list, resource);
    });
}

// What people write by hand.
class MutexPool {
  public:
    MutexPool() {
        for (std::uint32_t i = 0; i < kResources; ++i)
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

double mutex_pair() {
    static MutexPool pool;
    return time_each(kPairs, [](std::uint64_t) {
        void *resource = pool.acquire();
        keep(resource);
        pool.release(resource);
    });
}

} // namespace

void add_pool(std::vector<Case> &cases) {
    cases.push_back({"pool", "acquire + release, one thread", "ns", true,
                     {{"ostler_pool_acquire/release", ostler_pair},
                      {"apr_reslist", apr_pair},
                      {"mutex + condvar + vector", mutex_pair}}});
}

} // namespace bench
