// What the use of a loaded lazy value costs over a plain load, beside a shared lock and a shared pointer.
#include "harness.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <ostler_inline.h>
#include <shared_mutex>

namespace bench {

namespace {

constexpr std::uint64_t kRuns = 2'000'000;

int word = 7;

ostler_status load(void *, void **value, std::uint64_t *size_bytes) {
    *value = &word;
    *size_bytes = sizeof word;
    return OSTLER_OK;
}

ostler_lazy *lazy() {
    static ostler_lazy *const made = [] {
        ostler_lazy_callbacks callbacks;
        must(ostler_lazy_callbacks_init(&callbacks, sizeof callbacks));
        callbacks.load = load;
        ostler_lazy *value = nullptr;
        must(ostler_lazy_create(nullptr, &callbacks, nullptr, &value));
        return value;
    }();
    return made;
}

double inline_pin() {
    static ostler_reader *const reader = [] {
        ostler_reader *opened = nullptr;
        must(ostler_reader_open(lazy(), &opened));
        return opened;
    }();
    return time_each(kRuns, [](std::uint64_t) {
        void *value;
        must(ostler_reader_pin_inline(reader, 0, nullptr, &value));
        keep(*static_cast<int *>(value));
        must(ostler_reader_unpin_inline(reader));
    });
}

double called_pin() {
    return time_each(kRuns, [](std::uint64_t) {
        void *value;
        must(ostler_lazy_pin(lazy(), 0, nullptr, &value));
        keep(*static_cast<int *>(value));
        must(ostler_lazy_unpin(lazy()));
    });
}

double plain_load() {
    static std::atomic<int *> published{&word};
    return time_each(kRuns, [](std::uint64_t) { keep(*published.load(std::memory_order_acquire)); });
}

double shared_lock() {
    static std::shared_mutex mutex;
    static int *value = &word;
    return time_each(kRuns, [](std::uint64_t) {
        const std::shared_lock lock(mutex);
        keep(*value);
    });
}

double shared_pointer() {
    static const auto value = std::make_shared<int>(7);
    return time_each(kRuns, [](std::uint64_t) {
        const std::shared_ptr<int> mine = value;
        keep(*mine);
    });
}

} // namespace

void add_lazy(std::vector<Case> &cases) {
    const std::vector<Candidate> peers = {
        {"plain load", plain_load}, {"shared_mutex", shared_lock}, {"copy of a shared_ptr", shared_pointer}};
    for (const auto &[name, measure] : {std::pair("pin, read, unpin inline", inline_pin),
                                        std::pair("pin, read, unpin by calls", called_pin)}) {
        std::vector<Candidate> candidates = {{"ostler_lazy", measure}};
        candidates.insert(candidates.end(), peers.begin(), peers.end());
        cases.push_back({"lazy", name, "ns", true, candidates});
    }
}

} // namespace bench
