// A result that comes later: a cell is made, completed and its value taken, all by one thread.
#include "harness.hpp"
#include "peers/peers.hpp"

#include <future>

namespace bench {

namespace {

constexpr std::uint64_t kCells = 1'000'000;

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
                     {{"oneshot", [] { return time_loop(kCells, peer_oneshot); }},
                      {"tokio::sync::oneshot", [] { return time_loop(kCells, peer_tokio_oneshot); }},
                      {"std::promise, std::future", std_cell}}});
}

} // namespace bench
