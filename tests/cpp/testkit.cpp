// Testkit: a frozen clock and injected faults as owners.
#include "check.h"
#include <ostler.hpp>

#include <optional>
#include <thread>

using namespace std::chrono_literals;
using ostler::testkit::callback;
using ostler::testkit::fault;
using ostler::testkit::frozen_clock;
using ostler::testkit::injection;

namespace {

ostler::pool<int> stable_of(const ostler::pool_config &config = {})
{
    return ostler::pool<int>([] { return std::make_unique<int>(7); }, config);
}

void use(ostler::pool<int> &pool) { CHECK_EQ(*pool.acquire(0ns), 7); }

} // namespace

TEST(idle_resource_goes_after_an_hour_that_takes_no_time)
{
    frozen_clock clock;
    auto pool = stable_of(ostler::pool_config().idle_timeout(1h));
    use(pool);
    clock.pass(59min);
    CHECK_EQ(pool.stats().idle, 1u);
    clock.pass(31min);
    CHECK_EQ(pool.stats().destroyed_idle, 1u);
}

TEST(wait_ends_when_its_time_was_advanced_to)
{
    frozen_clock clock;
    auto pool = stable_of(ostler::pool_config().at_most(1));
    auto lease = pool.acquire();
    std::error_code failure;
    std::thread rider([&] { (void)pool.acquire(1h, failure); });
    while (pool.stats().waiting == 0)
        std::this_thread::yield();
    clock.advance(1h);
    rider.join();
    CHECK(failure == ostler::errc::timeout);
}

TEST(clock_runs_on_when_the_last_freeze_ends)
{
    auto pool = stable_of(ostler::pool_config().at_most(1));
    auto lease = pool.acquire();
    std::error_code failure;
    {
        frozen_clock first;
        frozen_clock moved = std::move(first);
        std::optional<frozen_clock> second(std::in_place);
        second.reset();
        moved.advance(1h);
        moved.advance(ostler::forever, failure);
        CHECK(failure == ostler::errc::invalid_argument);
    }
    (void)pool.acquire(1ms, failure);
    CHECK(failure == ostler::errc::timeout);
}

TEST(fault_lasts_as_long_as_its_injection)
{
    auto pool = stable_of();
    {
        injection broken(pool, fault(callback::create).each(1).fails(OSTLER_E_LIMIT));
        injection moved = std::move(broken);
        try {
            use(pool);
            CHECK(false);
        } catch (const ostler::error &error) {
            CHECK(error.code() == ostler::errc::create_failed);
            CHECK_STR_CONTAINS(error.what(), "create callback failed by injection");
        }
        CHECK_EQ(moved.done().failures, 1u);
    }
    use(pool);
    CHECK_EQ(pool.stats().created, 1u);
}

TEST(fault_that_makes_no_sense_is_thrown)
{
    auto pool = stable_of();
    try {
        injection none(pool, fault(callback::destroy).each(1).fails());
        CHECK(false);
    } catch (const ostler::error &error) {
        CHECK(error.code() == ostler::errc::invalid_argument);
    }
}

TEST(same_seed_gives_the_same_failures)
{
    const auto failures = [](std::uint64_t seed) {
        auto pool = stable_of(ostler::pool_config().at_most(32).breaker_after(100));
        injection chance(pool, fault(callback::create).by_chance(500'000, seed).fails());
        std::vector<ostler::lease<int>> leases;
        std::uint32_t failed = 0;
        for (int i = 0; i < 32; i++) {
            std::error_code failure;
            leases.push_back(pool.acquire(0ns, failure));
            failed |= std::uint32_t{failure == ostler::errc::create_failed} << i;
        }
        return failed;
    };
    CHECK_EQ(failures(3), failures(3));
    CHECK(failures(3) != failures(4));
}

TEST(run_of_a_model_is_slow_by_the_clock)
{
    frozen_clock clock;
    ostler::orchestrator orchestrator;
    ostler::model<int> model(
        orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); }, [](int &, const ostler::batch &) {});
    injection slow(model, fault(callback::run).from_call(1).takes(10min));
    const auto ticket = model.submit(ostler::request());
    clock.settle();
    CHECK_EQ(slow.done().delays, 1u);
    clock.pass(10min);
    CHECK(orchestrator.wait(ticket).ran() == 10min);
}

TEST(build_of_a_template_fails_by_injection)
{
    ostler::templates cache([](std::string_view key, ostler::template_data &data) { data.assign(key); });
    char target[2];
    {
        injection broken(cache, fault(callback::build).each(1).fails(OSTLER_E_LIMIT));
        std::error_code failure;
        cache.instantiate("ab", target, {}, failure);
        CHECK(failure == ostler::errc::build_failed);
        CHECK_EQ(broken.done().failures, 1u);
    }
    CHECK_EQ(cache.instantiate("ab", target), 2u);
}

TEST(same_seed_gives_the_same_chance)
{
    // Which of many templates stay where there is room for some is chance.
    const auto survivors = [](std::uint64_t seed) {
        ostler::testkit::seeded_chance chance(seed);
        ostler::templates cache([](std::string_view key, ostler::template_data &data) { data.assign(key); },
                                ostler::templates_config().at_most(500));
        std::vector<bool> kept;
        for (int key = 0; key < 1000; key++) {
            char target[8];
            cache.instantiate(std::to_string(key), target);
        }
        for (int key = 0; key < 1000; key++)
            kept.push_back(cache.version(std::to_string(key)) != 0);
        return kept;
    };
    CHECK(survivors(7) == survivors(7));
    CHECK(survivors(7) != survivors(8));
}

CHECK_MAIN()
