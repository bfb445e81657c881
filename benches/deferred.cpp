// A result that comes later: a cell is made, completed and its value taken, all by one thread, or completed by another.
#include "harness.hpp"
#include "peers/peers.hpp"

#include <ostler_inline.h>

#include <atomic>
#include <future>
#include <optional>
#include <thread>

namespace bench {

namespace {

constexpr std::uint64_t kCells = 1'000'000;
constexpr std::uint32_t kAtOnce = 32;

ostler_deferred *make_cells() {
    ostler_deferred *made = nullptr;
    must(ostler_deferred_create(nullptr, &made));
    return made;
}

// Of one thread, as long as the benchmark runs.
ostler_deferred *own_cells() {
    static ostler_deferred *const set = make_cells();
    return set;
}

// Of two.
ostler_deferred *cells() {
    static ostler_deferred *const set = [] {
        ostler_deferred *made = make_cells();
        const auto use = [made] {
            ostler_cell cell;
            must(ostler_deferred_acquire(made, &cell));
            must(ostler_deferred_complete(made, cell, OSTLER_OK, nullptr));
            must(ostler_deferred_release(made, cell));
        };
        use();
        std::thread(use).join();
        return made;
    }();
    return set;
}

void complete_and_take(ostler_deferred *set, ostler_cell cell) {
    ostler_status outcome;
    void *value;
    must(ostler_deferred_complete(set, cell, OSTLER_OK, set));
    must(ostler_deferred_poll(set, cell, &outcome, &value));
    keep(value);
}

double one_by_one(ostler_deferred *set) {
    return time_each(kCells, [set](std::uint64_t) {
        ostler_cell cell;
        must(ostler_deferred_acquire(set, &cell));
        complete_and_take(set, cell);
    });
}

double at_once(ostler_deferred *set) {
    return time_each(kCells / kAtOnce,
                     [set](std::uint64_t) {
                         ostler_cell taken[kAtOnce];
                         must(ostler_deferred_acquire_n(set, kAtOnce, taken));
                         for (const ostler_cell cell : taken)
                             complete_and_take(set, cell);
                     }) /
           kAtOnce;
}

// Of one thread, at a desk of a set of its own.
ostler_desk *own_desk() {
    static ostler_desk *const desk = [] {
        ostler_desk *opened = nullptr;
        must(ostler_desk_open(make_cells(), &opened));
        return opened;
    }();
    return desk;
}

double one_by_one_at(ostler_desk *desk) {
    return time_each(kCells, [desk](std::uint64_t) {
        ostler_cell cell;
        ostler_status outcome;
        void *value;
        must(ostler_desk_acquire_inline(desk, &cell));
        must(ostler_desk_complete_inline(desk, cell, OSTLER_OK, desk));
        must(ostler_desk_poll_inline(desk, cell, &outcome, &value));
        keep(value);
    });
}

double ostler_polls_in_vain() {
    ostler_cell cell;
    must(ostler_deferred_acquire(own_cells(), &cell));
    const double ns = time_each(kCells, [cell](std::uint64_t) {
        ostler_status outcome;
        keep(ostler_deferred_poll(own_cells(), cell, &outcome, nullptr));
    });
    must(ostler_deferred_release(own_cells(), cell));
    return ns;
}

double std_cell() {
    return time_each(kCells, [](std::uint64_t i) {
        std::promise<std::uint64_t> promise;
        std::future<std::uint64_t> future = promise.get_future();
        promise.set_value(i);
        keep(future.get());
    });
}

// Two threads with one CPU each: `begin` and `end` get and take a batch, `complete` is the other's.
template <typename Begin, typename Complete, typename End>
double in_batches(Begin &&begin, Complete &&complete, End &&end) {
    constexpr std::uint64_t kBatches = kCells / kAtOnce / 4;
    std::atomic<std::uint64_t> begun{0}, completed{0};
    const auto run_on = [](int cpu) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET(cpu, &cpus);
        sched_setaffinity(0, sizeof cpus, &cpus);
    };
    const auto await = [](const std::atomic<std::uint64_t> &count, std::uint64_t wanted) {
        while (count.load(std::memory_order_acquire) < wanted)
            __builtin_ia32_pause();
    };
    // A thread begins where the one is that starts it, and shall not have to wait there for it.
    run_on(1);
    std::thread other([&] {
        for (std::uint64_t i = 1; i <= kBatches; ++i) {
            await(begun, i);
            complete();
            completed.store(i, std::memory_order_release);
        }
    });
    run_on(0);
    const double ns = time_each(kBatches, [&](std::uint64_t i) {
        begin();
        begun.store(i + 1, std::memory_order_release);
        await(completed, i + 1);
        end();
    });
    other.join();
    return ns / kAtOnce;
}

double ostler_cells_of_two() {
    ostler_cell taken[kAtOnce];
    return in_batches(
        [&] {
            for (ostler_cell &cell : taken)
                must(ostler_deferred_acquire(cells(), &cell));
        },
        [&] {
            for (const ostler_cell cell : taken)
                must(ostler_deferred_complete(cells(), cell, OSTLER_OK, cells()));
        },
        [&] {
            for (const ostler_cell cell : taken) {
                ostler_status outcome;
                void *value;
                must(ostler_deferred_poll(cells(), cell, &outcome, &value));
                keep(value);
            }
        });
}

double std_cells_of_two() {
    std::optional<std::promise<std::uint64_t>> promises[kAtOnce];
    std::future<std::uint64_t> futures[kAtOnce];
    return in_batches(
        [&] {
            for (std::uint32_t i = 0; i < kAtOnce; ++i) {
                promises[i].emplace();
                futures[i] = promises[i]->get_future();
            }
        },
        [&] {
            for (auto &promise : promises) {
                promise->set_value(7);
                promise.reset();
            }
        },
        [&] {
            for (auto &future : futures)
                keep(future.get());
        });
}

// The crate's cells as it hands them to C: a sender is one word.
double oneshot_cells_of_two() {
    void *senders[kAtOnce], *receivers[kAtOnce];
    return in_batches([&] { peer_oneshot_make(senders, receivers, kAtOnce); },
                      [&] { peer_oneshot_send(senders, kAtOnce); },
                      [&] { peer_oneshot_receive(receivers, kAtOnce); });
}

} // namespace

void add_deferred(std::vector<Case> &cases) {
    cases.push_back({"deferred", "make, complete, take; one thread", "ns", true,
                     {{"ostler_desk_..._inline", [] { return one_by_one_at(own_desk()); }},
                      {"ostler_deferred_...", [] { return one_by_one(own_cells()); }},
                      {"ostler_deferred_..., acquired 32 at once", [] { return at_once(own_cells()); }},
                      {"ostler_deferred_... of a set that two have used", [] { return one_by_one(cells()); }},
                      {"oneshot", [] { return time_loop(kCells, peer_oneshot); }},
                      {"tokio::sync::oneshot", [] { return time_loop(kCells, peer_tokio_oneshot); }},
                      {"std::promise, std::future", std_cell}}});
    cases.push_back({"deferred", "poll while nothing has come", "ns", true, {{"ostler_deferred_poll", ostler_polls_in_vain}}});
    cases.push_back({"deferred", "make, complete, take; completed by another", "ns", true,
                     {{"ostler_deferred_...", ostler_cells_of_two},
                      {"oneshot", oneshot_cells_of_two},
                      {"std::promise, std::future", std_cells_of_two}},
                     false});
}

} // namespace bench
