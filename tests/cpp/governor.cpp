// The governor in C++: accounts that end with their scope, functions that are told and that free memory.
#include "check.h"
#include <ostler.hpp>

#include <atomic>
#include <thread>

namespace {

constexpr std::uint64_t mib = 1 << 20;

template <class Condition> void await(Condition &&condition)
{
    while (!condition())
        std::this_thread::yield();
}

} // namespace

TEST(account_ends_with_its_scope_and_a_refusal_is_an_error)
{
    const auto before = ostler::governor::stats().held_bytes;
    {
        ostler::account tenant(ostler::account_config().named("tenant").at_most(8 * mib));
        ostler::account part(ostler::account_config().named("part").below(tenant));
        part.reserve(6 * mib);
        part.report(mib);
        CHECK_EQ(tenant.stats().held_bytes, 7 * mib);
        std::error_code failure;
        part.reserve(2 * mib, false, failure);
        CHECK(failure == ostler::errc::limit);
        part.release(7 * mib, failure);
        CHECK(failure == ostler::errc::invalid_argument);
        ostler::account moved = std::move(part);
        CHECK(!part);
        CHECK_EQ(moved.stats().reserved_bytes, 6 * mib);
        CHECK_EQ(ostler::governor::accounts().front().held_bytes, 7 * mib);
    }
    CHECK_EQ(ostler::governor::stats().held_bytes, before);
    ostler::governor::configure(ostler::governor::config().at_most(4 * mib));
    bool refused = false;
    try {
        ostler::account().reserve(5 * mib);
    } catch (const ostler::error &error) {
        refused = error.status() == ostler::errc::memory_pressure;
    }
    CHECK(refused);
    ostler::governor::forget();
}

TEST(functions_are_told_of_levels_and_free_memory)
{
    std::atomic<std::uint64_t> held{40 * mib}, calls{0};
    std::atomic<std::uint32_t> highest{0};
    ostler::account *self = nullptr;
    ostler::account cache(ostler::account_config().named("cache").freed_by(
        ostler::governor::cost::lazy, [&](std::uint64_t bytes) -> std::uint64_t {
            if (++calls == 1)
                throw std::runtime_error("not now");
            const auto gives = std::min<std::uint64_t>(bytes, held);
            held -= gives;
            self->release(gives);
            return gives;
        }));
    self = &cache;
    cache.reserve(40 * mib);
    cache.touch();
    CHECK_EQ(ostler::governor::suggestions().back().bytes, 40 * mib);
    ostler::governor::watch watch([&](const ostler_level_change &change) {
        highest = std::max(highest.load(), change.level);
        throw 1;
    });
    ostler::governor::configure(ostler::governor::config()
                                    .at_most(45 * mib)
                                    .every(std::chrono::milliseconds(10))
                                    .cools_down_in(std::chrono::nanoseconds(1)));
    await([&] { return ostler::governor::stats().level < OSTLER_LEVEL_HIGH && calls >= 2; });
    CHECK_EQ(highest.load(), std::uint32_t{OSTLER_LEVEL_HIGH});
    CHECK(held < 40 * mib);
    const auto left = held.load();
    CHECK_EQ(ostler::governor::reclaim(UINT64_MAX), left);
    watch.end();
    CHECK(!watch);
    ostler::governor::forget();
}

TEST(watch_may_end_itself)
{
    ostler::account account;
    std::unique_ptr<ostler::governor::watch> watch;
    std::atomic<bool> ready{false}, ended{false};
    watch = std::make_unique<ostler::governor::watch>([&](const ostler_level_change &) {
        await([&] { return ready.load(); });
        watch.reset();
        ended = true;
    });
    ready = true;
    ostler::governor::configure(
        ostler::governor::config().at_most(8 * mib).every(std::chrono::milliseconds(10)).only_suggests());
    account.reserve(7 * mib);
    await([&] { return ended.load(); });
    ostler::governor::forget();
}

TEST(idle_workers_go_when_memory_is_wanted)
{
    struct nothing {};
    std::atomic<int> running{0};
    std::atomic<bool> may_end{false};
    ostler::orchestrator orchestrator;
    ostler::model<nothing> model(
        orchestrator, [](std::uint32_t) { return std::make_unique<nothing>(); },
        [&](nothing &, const ostler::batch &) {
            ++running;
            await([&] { return may_end.load(); });
        },
        ostler::model_config().workers(1, 3).memory(mib));
    std::vector<ostler::ticket> tickets(3);
    for (auto &ticket : tickets)
        ticket = model.submit(ostler::request());
    await([&] { return running == 3; });
    CHECK_EQ(ostler::governor::reclaim(UINT64_MAX), 0);
    may_end = true;
    for (const auto &ticket : tickets)
        orchestrator.wait(ticket);
    await([&] { return model.stats().idle_workers == 3; });
    CHECK_EQ(ostler::governor::suggestions().front().bytes, 2 * mib);
    CHECK_EQ(ostler::governor::reclaim(UINT64_MAX), 2 * mib);
    CHECK_EQ(model.stats().evicted, 2);
}

CHECK_MAIN()
