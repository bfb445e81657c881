// Runs every case, prints the table, and writes the same as JSON to the file named by the first argument. A second
// argument keeps only the groups whose name contains it.
#include "harness.hpp"

#include <cstring>

namespace {

constexpr int kRounds = 11; // the first is discarded

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void pin_to_one_cpu(bool pinned) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (int cpu = 0; cpu < (pinned ? 1 : CPU_SETSIZE); ++cpu)
        CPU_SET(cpu, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
}

// The median of each candidate, all of them interleaved.
std::vector<double> run(const bench::Case &one) {
    std::vector<std::vector<double>> rounds(one.candidates.size());
    for (int round = 0; round < kRounds; ++round)
        for (std::size_t i = 0; i < one.candidates.size(); ++i) {
            const double value = one.candidates[i].measure();
            if (round > 0)
                rounds[i].push_back(value);
        }
    std::vector<double> medians;
    for (const auto &values : rounds)
        medians.push_back(median(values));
    return medians;
}

void write_row(std::FILE *json, bool &first, const bench::Case &one, double ours, const std::string &peer, double value) {
    std::fprintf(json,
                 "%s  {\"group\": \"%s\", \"case\": \"%s\", \"ours\": %.3f, \"peer\": \"%s\", \"peer_value\": %.3f, "
                 "\"unit\": \"%s\", \"ratio\": %.3f, \"better\": \"%s\", \"runs\": %d}",
                 first ? "" : ",\n", one.group.c_str(), one.name.c_str(), ours, peer.c_str(), value, one.unit.c_str(),
                 ours / value, one.lower_is_better ? "lower" : "higher", kRounds - 1);
    first = false;
}

} // namespace

int main(int count, char **arguments) {
    if (count < 2) {
        std::fprintf(stderr, "usage: bench RESULTS.json [GROUP]\n");
        return 2;
    }
    std::FILE *json = std::fopen(arguments[1], "w");
    if (!json) {
        std::fprintf(stderr, "%s cannot be written: give a path in a folder that exists\n", arguments[1]);
        return 2;
    }
    std::vector<bench::Case> cases;
    bench::add_boundary(cases);
    bench::add_arena(cases);
    bench::add_heap(cases);
    bench::add_pages(cases);
    bench::add_slab(cases);
    bench::add_governor(cases);
    bench::add_pool(cases);
    bench::add_deferred(cases);
    bench::add_templates(cases);
    bench::add_orchestrator(cases);
    bench::add_tracing(cases);
    bench::add_buffers(cases);
    bench::add_lazy(cases);

    std::printf("Ostler %s beside its peers. One process; the candidates of a case take turns for %d rounds, the first\n"
                "is discarded, the median of the rest is shown. Cases of one thread are pinned to CPU 0; those of several\n"
                "threads are not pinned, unless they name their CPUs. ratio = ours / peer.\n\n",
                ostler_version_string(), kRounds);
    std::printf("%-13s %-34s %10s  %-36s %10s %-7s %6s\n", "group", "case", "ours", "peer", "value", "unit", "ratio");
    std::fputs("[\n", json);
    bool first = true;
    for (const bench::Case &one : cases) {
        if (count > 2 && !std::strstr(one.group.c_str(), arguments[2]))
            continue;
        pin_to_one_cpu(one.one_cpu);
        const std::vector<double> medians = run(one);
        for (std::size_t i = 1; i < medians.size(); ++i) {
            const bench::Candidate &peer = one.candidates[i];
            std::printf("%-13s %-34s %10.2f  %-36s %10.2f %-7s %6.2f\n", one.group.c_str(), one.name.c_str(), medians[0],
                        peer.name.c_str(), medians[i], one.unit.c_str(), medians[0] / medians[i]);
            write_row(json, first, one, medians[0], peer.name, medians[i]);
        }
        std::fflush(stdout);
    }
    std::fputs("\n]\n", json);
    std::fclose(json);
    return 0;
}
