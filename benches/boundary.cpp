// What the boundary costs: the guard, and the check of a handle, beside an empty call into a shared library.
#include "harness.hpp"

extern "C" int bench_empty_call(void *argument);

namespace bench {

namespace {

constexpr std::uint64_t kCalls = 5'000'000;

double empty_calls() {
    return time_each(kCalls, [](std::uint64_t) { keep(bench_empty_call(nullptr)); });
}

} // namespace

void add_boundary(std::vector<Case> &cases) {
    static ostler_topology *topology = nullptr;
    must(ostler_topology_create("numa:1 core:1 pu:1", &topology));

    cases.push_back({"boundary", "call without a guard (version)", "ns", true,
                     {{"ostler_version", [] { return time_each(kCalls, [](std::uint64_t) { keep(ostler_version()); }); }},
                      {"empty call into a shared library", empty_calls}}});
    cases.push_back({"boundary", "guard (version_check)", "ns", true,
                     {{"ostler_version_check",
                       [] {
                           return time_each(kCalls, [](std::uint64_t) {
                               keep(ostler_version_check(OSTLER_VERSION_NUMBER));
                           });
                       }},
                      {"empty call into a shared library", empty_calls}}});
    cases.push_back({"boundary", "guard + handle check (get_info)", "ns", true,
                     {{"ostler_topology_get_info",
                       [] {
                           ostler_topology_info info{};
                           info.struct_size = sizeof info;
                           return time_each(kCalls, [&](std::uint64_t) {
                               keep(ostler_topology_get_info(topology, &info));
                           });
                       }},
                      {"empty call into a shared library", empty_calls}}});
}

} // namespace bench
