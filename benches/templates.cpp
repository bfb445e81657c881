// An instance of initial data that is there already: by one thread, and by two that want the same.
#include "harness.hpp"

#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

namespace bench {

namespace {

constexpr std::uint64_t kKeys = 64;

// A key as programs have them, and how many copies are timed.
std::string key_of(std::uint64_t number) { return "shop/cart/" + std::to_string(number); }
constexpr std::uint64_t copies(std::uint64_t bytes) { return (std::uint64_t{1} << 28) / (bytes + 1024); }

ostler_status build(void *user_data, const void *, std::uint64_t, void **data, std::uint64_t *data_bytes,
                    std::uint64_t *) {
    *data_bytes = *static_cast<std::uint64_t *>(user_data);
    *data = std::calloc(1, *data_bytes);
    return *data ? OSTLER_OK : OSTLER_E_OUT_OF_MEMORY;
}

void destroy(void *, void *data, std::uint64_t) { std::free(data); }

// What people write by hand.
class MutexCache {
  public:
    explicit MutexCache(std::uint64_t bytes) {
        for (std::uint64_t i = 0; i < kKeys; ++i)
            templates_[key_of(i)] = std::make_shared<std::vector<char>>(bytes);
    }

    void instantiate(const std::string &key, char *target) {
        std::shared_ptr<std::vector<char>> found;
        {
            std::lock_guard lock(mutex_);
            found = templates_.find(key)->second;
        }
        std::memcpy(target, found->data(), found->size());
    }

  private:
    std::mutex mutex_;
    std::unordered_map<std::string, std::shared_ptr<std::vector<char>>> templates_;
};

// One size of template, in all that is compared.
class Bench {
  public:
    explicit Bench(std::uint64_t bytes) : bytes_(bytes), cache_(bytes), plain_(bytes), key_(key_of(7)) {
        ostler_templates_callbacks callbacks;
        must(ostler_templates_callbacks_init(&callbacks, sizeof callbacks));
        callbacks.build = build;
        callbacks.destroy = destroy;
        must(ostler_templates_create(nullptr, &callbacks, &bytes_, &templates_));
        std::vector<char> target(bytes);
        for (std::uint64_t i = 0; i < kKeys; ++i)
            instantiate(key_of(i), target.data());
    }

    double ours(int threads) {
        return by_threads(threads, [this](char *target) { instantiate(key_, target); });
    }
    double mutex_cache(int threads) {
        return by_threads(threads, [this](char *target) { cache_.instantiate(key_, target); });
    }
    double copy(int threads) {
        return by_threads(threads, [this](char *target) {
            std::memcpy(target, plain_.data(), bytes_);
            keep(target);
        });
    }

  private:
    void instantiate(const std::string &key, char *target) {
        must(ostler_templates_instantiate(templates_, key.data(), key.size(), target, bytes_, OSTLER_FOREVER, nullptr,
                                          nullptr));
    }

    // Nanoseconds for one instance of one thread.
    template <typename Body> double by_threads(int count, Body &&body) {
        const double begin = now_ns();
        std::vector<std::thread> threads;
        const auto work = [&] {
            std::vector<char> target(bytes_);
            for (std::uint64_t i = 0; i < copies(bytes_); ++i)
                body(target.data());
        };
        for (int i = 1; i < count; ++i)
            threads.emplace_back(work);
        work();
        for (auto &thread : threads)
            thread.join();
        return (now_ns() - begin) / static_cast<double>(copies(bytes_));
    }

    std::uint64_t bytes_;
    MutexCache cache_;
    std::vector<char> plain_;
    std::string key_;
    ostler_templates *templates_ = nullptr;
};

void add(std::vector<Case> &cases, const char *name, std::uint64_t bytes, int threads) {
    const auto one = std::make_shared<std::unique_ptr<Bench>>();
    const auto get = [one, bytes]() -> Bench & {
        if (!*one)
            *one = std::make_unique<Bench>(bytes);
        return **one;
    };
    cases.push_back({"templates", name, "ns", true,
                     {{"ostler_templates", [=] { return get().ours(threads); }},
                      {"memcpy", [=] { return get().copy(threads); }},
                      {"std::mutex, unordered_map, shared_ptr", [=] { return get().mutex_cache(threads); }}},
                     threads == 1});
}

} // namespace

void add_templates(std::vector<Case> &cases) {
    add(cases, "instance, 64 B", 64, 1);
    add(cases, "instance, 1 KiB", 1 << 10, 1);
    add(cases, "instance, 64 KiB", 64 << 10, 1);
    add(cases, "instance, 1 KiB, two threads", 1 << 10, 2);
}

} // namespace bench
