// A result that comes later: a cell is made, completed and its value taken, all by one thread.
#include "harness.hpp"
#include "peers/peers.hpp"

#include <future>

namespace bench {

namespace {

constexpr std::uint64_t kCells = 1'000'000;
constexpr std::uint32_t kAtOnce = 32;

ostler_deferred *cells() {
    static ostler_deferred *const set = [] {
        ostler_deferred *made = nullptr;
        must(ostler_deferred_create(nullptr, &made));
        return made;
    }();
    return set;
}

void complete_and_take(ostler_cell cell) {
    ostler_status outcome;
    void *value;
    must(ostler_deferred_complete(cells(), cell, OSTLER_OK, cells()));
    must(ostler_deferred_poll(cells(), cell, &outcome, &value));
    keep(value);
}

double ostler_cell_by_cell() {
    return time_each(kCells, [](std::uint64_t) {
        ostler_cell cell;
        must(ostler_deferred_acquire(cells(), &cell));
        complete_and_take(cell);
    });
}

double ostler_cells_at_once() {
    return time_each(kCells / kAtOnce, [](std::uint64_t) {
               ostler_cell taken[kAtOnce];
               must(ostler_deferred_acquire_n(cells(), kAtOnce, taken));
               for (const ostler_cell cell : taken)
                   complete_and_take(cell);
           }) /
           kAtOnce;
}

double std_cell() {
    return time_each(kCells, [](std::uint64_t i) {
        std::promise<std::uint64_t> promise;
        std::future<std::uint64_t> future = promise.get_future();
        promise.set_value(i);
        keep(future.get());
    });
}

} // namespace

void add_deferred(std::vector<Case> &cases) {
    cases.push_back({"deferred", "make, complete, take; one thread", "ns", true,
                     {{"ostler_deferred_...", ostler_cell_by_cell},
                      {"ostler_deferred_..., acquired 32 at once", ostler_cells_at_once},
                      {"oneshot", [] { return time_loop(kCells, peer_oneshot); }},
                      {"tokio::sync::oneshot", [] { return time_loop(kCells, peer_tokio_oneshot); }},
                      {"std::promise, std::future", std_cell}}});
}

} // namespace bench
