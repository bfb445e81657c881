// Tap: leases without a call, given back where they came from.
#include "check.h"
#include <ostler.hpp>

#include <thread>
#include <vector>

namespace {

struct horse {
    std::atomic<int> riders{0};
};

ostler::pool<horse> make_stable(std::uint32_t size)
{
    return ostler::pool<horse>([] { return std::make_unique<horse>(); }, ostler::pool_config().at_most(size));
}

} // namespace

TEST(lease_goes_back_to_its_tap)
{
    auto stable = make_stable(2);
    ostler::tap<horse> tap(stable);
    for (int i = 0; i < 300; i++)
        CHECK(tap.acquire().get() != nullptr);
    CHECK_EQ(tap.get()->count, 1u);
    {
        auto lease = tap.acquire();
        auto moved = std::move(lease);
        CHECK(!lease && moved);
        CHECK_EQ(tap.get()->count, 0u);
        CHECK(moved.release() == ostler::errc::ok);
        CHECK(moved.release() == ostler::errc::ok);
    }
    CHECK_EQ(tap.get()->count, 1u);
    CHECK(tap.acquire().discard() == ostler::errc::ok);
    CHECK_EQ(stable.stats().destroyed_discarded, 1u);
    std::error_code failure;
    auto one = tap.acquire(), two = tap.acquire();
    CHECK(!tap.acquire(std::chrono::seconds(0), failure));
    CHECK(failure == ostler::errc::timeout);
    CHECK_EQ(stable.stats().in_use, 2u);
}

TEST(tap_of_a_pool_with_barging_keeps_what_it_has)
{
    const ostler::testkit::frozen_clock clock;
    ostler::pool<horse> stable([] { return std::make_unique<horse>(); },
                               ostler::pool_config().at_most(1).barging(std::chrono::hours(1)));
    ostler::tap<horse> tap(stable);
    for (int i = 0; i < 300; i++)
        CHECK(tap.acquire().get() != nullptr);
    CHECK_EQ(tap.get()->count, 1u);
    auto mine = tap.acquire();
    ostler::turn<horse> other;
    CHECK(!stable.begin_acquire({}, ostler::forever, [] {}, other));
    for (int i = 0; i < 100; i++) {
        CHECK(mine.release() == ostler::errc::ok);
        CHECK_EQ(tap.get()->count, 1u);
        mine = tap.acquire();
    }
    CHECK(!other.go_on());
}

TEST(many_leases_at_once_go_back_to_their_tap)
{
    auto stable = make_stable(4);
    ostler::tap<horse> tap(stable);
    for (int i = 0; i < 300; i++)
        CHECK_EQ(tap.acquire_n(4).size(), 4u);
    CHECK_EQ(tap.get()->count, 4u);
    auto taken = tap.acquire_n(4);
    CHECK(taken[0].get() != taken[3].get());
    std::error_code failure;
    CHECK(tap.acquire_n(1, std::chrono::seconds(0), failure).empty());
    CHECK(failure == ostler::errc::timeout);
    taken.clear();
    CHECK_EQ(stable.stats().in_use, 0u);
    CHECK_EQ(stable.stats().idle, 4u);
}

TEST(each_thread_has_a_tap_of_its_own)
{
    auto stable = make_stable(3);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            ostler::tap<horse> tap(stable);
            for (int n = 0; n < 5000; n++) {
                auto lease = tap.acquire();
                EXPECT_EQ(lease->riders++, 0);
                EXPECT_EQ(lease->riders--, 1);
            }
        });
    for (auto &thread : threads)
        thread.join();
    CHECK_EQ(stable.stats().acquires, 4u * 5000u);
    CHECK_EQ(stable.stats().in_use, 0u);
}

TEST(tap_of_no_pool_is_refused)
{
    auto moved = make_stable(1);
    const auto stable = std::move(moved);
    std::error_code failure;
    ostler::tap<horse> tap(moved, failure);
    CHECK(!tap);
    CHECK(failure == ostler::errc::invalid_handle);
    try {
        ostler::tap<horse> none(moved);
        CHECK(!"it throws");
    } catch (const ostler::error &caught) {
        CHECK(caught.code() == ostler::errc::invalid_handle);
    }
}

CHECK_MAIN()
