// Times Ostler beside its peers: every candidate of a case runs in turn, round after round, so that a drift of the
// machine meets all of them; the first round is discarded, the median of the others counts.
#pragma once

#include <ostler.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <sched.h>
#include <time.h>

namespace bench {

inline double now_ns() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Keeps the compiler from removing what produced `value`, or from reasoning about it.
template <typename T> inline void keep(T &&value) { asm volatile("" : : "g"(value) : "memory"); }

// Ends the run when a call that must work does not.
inline void must(ostler_status status) {
    if (status == OSTLER_OK)
        return;
    std::fprintf(stderr, "%s: %s\n", ostler_status_name(status), ostler_last_error_message());
    std::exit(1);
}

// Nanoseconds for each of the `count` runs that `loop` makes by itself.
template <typename Loop> double time_loop(std::uint64_t count, Loop &&loop) {
    const double begin = now_ns();
    loop(count);
    return (now_ns() - begin) / static_cast<double>(count);
}

// Nanoseconds for each of `count` runs of `body`.
template <typename Body> double time_each(std::uint64_t count, Body &&body) {
    return time_loop(count, [&](std::uint64_t runs) {
        for (std::uint64_t i = 0; i < runs; ++i)
            body(i);
    });
}

struct Candidate {
    std::string name;
    std::function<double()> measure; // one round; in the case's unit
};

struct Case {
    std::string group;
    std::string name;
    std::string unit;
    bool lower_is_better;
    std::vector<Candidate> candidates; // ours first
    bool one_cpu = true;
};

// Each file of cases adds its own.
void add_boundary(std::vector<Case> &cases);
void add_arena(std::vector<Case> &cases);
void add_heap(std::vector<Case> &cases);
void add_pages(std::vector<Case> &cases);
void add_slab(std::vector<Case> &cases);
void add_governor(std::vector<Case> &cases);
void add_pool(std::vector<Case> &cases);
void add_deferred(std::vector<Case> &cases);
void add_templates(std::vector<Case> &cases);
void add_orchestrator(std::vector<Case> &cases);
void add_tracing(std::vector<Case> &cases);
void add_buffers(std::vector<Case> &cases);
void add_lazy(std::vector<Case> &cases);

} // namespace bench
