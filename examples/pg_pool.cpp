// Pools connections to PostgreSQL: each is made once, checked before it is lent, cleaned when it comes back, and replaced
// when it breaks or grows old. Threads query through the pool until the time is up or a SIGTERM comes; the server may be
// restarted meanwhile. Status 0 says that each thread found its way back to a query that succeeds, and nothing was lost.
//     c++ -std=c++17 pg_pool.cpp $(pkg-config --cflags --libs ostler libpq) -pthread -o pg_pool
//     ./pg_pool 'host=/run/postgresql dbname=postgres' --threads 8 --seconds 10 --size 4
// This file is about Ostler; the folder pg_pool has what else such a program needs: a connection, and a count of errors.
#include <ostler.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <future>
#include <iostream>
#include <map>
#include <thread>
#include <vector>

#include "pg_pool/connection.hpp"
#include "pg_pool/tally.hpp"

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using pool = ostler::pool<connection>;

pool make_pool(const std::string &conninfo, std::uint32_t size, std::chrono::seconds lifetime)
{
    ostler::pool_callbacks<connection> callbacks;
    callbacks.create = [conninfo] { return std::make_unique<connection>(conninfo); };
    // An empty query is the cheapest way there and back. What it throws when nobody answers is a no.
    callbacks.validate = [](connection &it) { return it.query(""), true; };
    // Whatever the borrower left. One that cannot be cleaned is destroyed.
    callbacks.reset = [](connection &it) {
        if (it.in_transaction())
            it.query("ROLLBACK"); // inside a transaction DISCARD ALL is refused
        it.query("DISCARD ALL");
    };
    return pool(std::move(callbacks),
                ostler::pool_config()
                    .named("postgres")
                    .at_most(size)            // what the server was told to expect
                    .at_least((size + 1) / 2) // made in the background, before the first query and after each loss
                    .idle_timeout(10min)      // the others go when the rush is over
                    .creators(2)              // a connect that hangs holds nobody up beyond the limit of the wait
                    .breaker_after(3)         // a server that is down is not stormed
                    .validate_after(1s)       // what was used just now is taken to be good
                    .keepalive(30s)           // firewalls forget a connection that is silent
                    .max_lifetime(lifetime)); // a backend's memory only grows
}

/// A careless borrower leaves a transaction open and a statement prepared; without the reset, the next PREPARE would fail.
void borrow(pool &connections, int number)
{
    auto lease = connections.acquire(10s);
    try {
        lease->query("BEGIN");
        lease->query("PREPARE twice (int) AS SELECT 2 * $1");
        if (lease->query("EXECUTE twice (" + std::to_string(number) + ")") != std::to_string(2 * number))
            throw std::logic_error("that is the answer to another question");
    } catch (...) {
        // It is known to be broken, so nobody else need find out.
        if (lease->is_broken())
            lease.discard();
        throw;
    }
}

/// Queries until it is time to stop, and then on until a query succeeds, for half a minute at most. True when one did.
bool work(pool &connections, tally &counts, const std::atomic<bool> &stop, steady::time_point end)
{
    bool succeeded = false;
    for (int number = 0; (!stop && steady::now() < end) || (!succeeded && steady::now() < end + 30s); number++) {
        try {
            succeeded = false;
            borrow(connections, number);
            succeeded = true;
            counts.success();
            continue;
        } catch (const ostler::error &error) {
            counts.failure(error.code().message(), error.what());
        } catch (const query_error &error) {
            counts.failure(error.sqlstate.empty() ? "connection lost" : "SQLSTATE " + error.sqlstate, error.what());
        }
        // While the server is down, each attempt fails at once.
        std::this_thread::sleep_for(20ms);
    }
    return succeeded;
}

int main(int argc, char **argv)
try {
    std::map<std::string, int> options{{"--threads", 8}, {"--seconds", 10}, {"--size", 4}, {"--lifetime", 1800}};
    const std::size_t known = options.size();
    for (int i = 2; i + 1 < argc; i += 2)
        options[argv[i]] = std::atoi(argv[i + 1]);
    const bool positive = std::all_of(options.begin(), options.end(), [](const auto &it) { return it.second > 0; });
    if (argc < 2 || argc % 2 != 0 || options.size() != known || !positive) {
        std::cerr << "usage: pg_pool CONNINFO [--threads N] [--seconds N] [--size N] [--lifetime SECONDS]\n";
        return 2;
    }
    const auto size = static_cast<std::uint32_t>(options["--size"]);

    // Blocked before there are threads, so that no thread is interrupted and the wait below gets them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    pool connections = make_pool(argv[1], size, std::chrono::seconds(options["--lifetime"]));
    connections.wait_warm(10s); // a wrong conninfo is told here, and not by the first query

    tally counts;
    std::atomic<bool> stop{false};
    const auto end = steady::now() + std::chrono::seconds(options["--seconds"]);
    std::vector<std::future<bool>> workers;
    for (int i = 0; i < options["--threads"]; i++)
        workers.push_back(std::async(std::launch::async, [&] { return work(connections, counts, stop, end); }));
    const timespec tick{0, 100'000'000};
    while (steady::now() < end && sigtimedwait(&signals, nullptr, &tick) < 0) {
    }
    stop = true;
    std::size_t healed = 0;
    for (auto &worker : workers)
        healed += worker.get();

    connections.close(10s);
    const ostler_pool_stats stats = connections.stats();
    const std::uint64_t broken = stats.destroyed_discarded + stats.destroyed_invalid + stats.destroyed_reset;
    std::cout << counts << healed << " of " << workers.size() << " threads ended with a success\n"
              << stats.created << " connections made, " << stats.destroyed << " destroyed, " << stats.destroyed_old
              << " of them old and " << broken << " broken; " << connection::most << " at once at most, "
              << connection::open << " left\n";
    const bool lost = stats.created != stats.destroyed || connection::open != 0 || connection::most > size;
    return healed == workers.size() && !lost ? 0 : 1;
} catch (const std::exception &error) {
    std::cerr << "pg_pool: " << error.what() << '\n';
    return 1;
}
