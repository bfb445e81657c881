// Pool: leases as owners, callbacks as lambdas.
#include "check.h"
#include "gallop.hpp"
#include <ostler.hpp>

#include <future>
#include <poll.h>
#include <thread>

namespace {

struct horse {
    static inline std::atomic<int> alive{0};
    int rides = 0;
    horse() { alive++; }
    ~horse() { alive--; }
};

ostler::pool<horse> make_stable(std::uint32_t size)
{
    return ostler::pool<horse>([] { return std::make_unique<horse>(); }, ostler::pool_config().at_most(size));
}

} // namespace

TEST(lease_gives_its_resource_back_when_it_ends)
{
    {
        auto stable = make_stable(1);
        for (int i = 0; i < 3; i++)
            stable.acquire()->rides++;
        CHECK_EQ(stable.acquire()->rides, 3);
        CHECK_EQ(stable.stats().created, 1u);
        CHECK_EQ(stable.stats().reuses, 3u);
    }
    CHECK_EQ(horse::alive.load(), 0);
}

TEST(moved_lease_is_one_lease)
{
    auto stable = make_stable(2);
    auto first = stable.acquire();
    auto second = std::move(first);
    CHECK(!first);
    CHECK(first.get() == nullptr);
    CHECK_EQ(stable.stats().in_use, 1u);
    first = stable.acquire();
    CHECK(first.get() != second.get());
    second = std::move(first);
    CHECK_EQ(stable.stats().in_use, 1u);
    CHECK(second.release() == ostler::errc::ok);
    CHECK(second.release() == ostler::errc::ok);
    CHECK_EQ(stable.stats().in_use, 0u);
}

TEST(pool_is_warm_when_it_says_so)
{
    ostler::pool<horse> stable([] { return std::make_unique<horse>(); },
                               ostler::pool_config().at_most(6).at_least(3).idle_at_least(1).creators(2));
    stable.wait_warm();
    std::error_code failure;
    const auto warmth = stable.wait_warm(std::chrono::seconds(60), failure);
    CHECK(!failure);
    CHECK(warmth.ready == 3 && warmth.wanted == 3);
}

TEST(pool_grows_pauses_and_refreshes)
{
    ostler::pool<horse> stable([] { return std::make_unique<horse>(); }, ostler::pool_config().at_most(1).room_for(2));
    auto first = stable.acquire();
    CHECK(!stable.try_acquire());
    stable.resize(0, 2);
    auto second = stable.acquire();
    std::error_code failure;
    stable.resize(0, 3, failure);
    CHECK(failure == ostler::errc::invalid_argument);
    stable.pause();
    second.release();
    CHECK(!stable.try_acquire());
    CHECK(!stable.try_acquire(failure));
    CHECK(failure == ostler::errc::paused);
    stable.resume();
    stable.refresh();
    first.release();
    CHECK(stable.acquire());
    CHECK_EQ(stable.stats().destroyed_refreshed, 2u);
    CHECK_EQ(stable.stats().max_size, 2u);
}

TEST(barging_is_for_pools_without_an_order_of_their_own)
{
    ostler::pool<horse> stable([] { return std::make_unique<horse>(); },
                               ostler::pool_config().at_most(1).barging(std::chrono::milliseconds(1)));
    CHECK(stable.acquire());
    bool threw = false;
    try {
        ostler::pool<horse> other([] { return std::make_unique<horse>(); },
                                  ostler::pool_config().idle_at_least(1).barging(std::chrono::milliseconds(1)));
    } catch (const ostler::error &caught) {
        threw = caught.code() == ostler::errc::invalid_argument;
    }
    CHECK(threw);
}

TEST(lives_are_bounded_by_uses_and_by_time)
{
    ostler::pool<horse> stable([] { return std::make_unique<horse>(); },
                               ostler::pool_config()
                                   .at_most(2)
                                   .soft_at_most(1)
                                   .uses_at_most(2)
                                   .breaker_after(3)
                                   .lease_in(ostler::idle_order::longest_first)
                                   .keep_for(ostler::affinity::node)
                                   .max_lifetime(std::chrono::hours(1))
                                   .lifetime_jitter(std::chrono::minutes(1))
                                   .keepalive(std::chrono::minutes(1)));
    for (int i = 0; i < 5; i++)
        stable.acquire().release();
    stable.close();
    CHECK_EQ(stable.stats().destroyed_used, 2u);
}

TEST(lease_that_lasts_too_long_is_taken_back)
{
    ostler::pool<horse> *watched = nullptr;
    std::atomic<int> told{0};
    ostler::pool_callbacks<horse> callbacks;
    callbacks.create = [] { return std::make_unique<horse>(); };
    callbacks.overdue = [&](const ostler::lease_info<horse> &info) {
        if (info.held >= std::chrono::milliseconds(2) && watched->take_back(info.raw) == ostler::errc::ok)
            told++;
    };
    ostler::pool<horse> stable(std::move(callbacks),
                               ostler::pool_config().at_most(1).lease_limit(std::chrono::milliseconds(2)));
    watched = &stable;
    auto lease = stable.acquire();
    while (told == 0)
        std::this_thread::yield();
    CHECK(lease.release() == ostler::errc::stale_lease);
    CHECK_EQ(stable.stats().overdue, 1u);
    CHECK_EQ(horse::alive.load(), 0);
}

TEST(leases_that_are_out_are_listed)
{
    auto stable = make_stable(3);
    CHECK(stable.leases().empty());
    const auto first = stable.acquire(), second = stable.acquire();
    const auto infos = stable.leases();
    CHECK_EQ(infos.size(), 2u);
    CHECK(infos[0].resource == first.get() && infos[1].resource == second.get());
    CHECK(infos[0].thread_id == infos[1].thread_id);
    std::error_code failure;
    CHECK_EQ(stable.leases(failure).size(), 2u);
    CHECK(!failure);
}

TEST(several_are_leased_together_or_none)
{
    auto stable = make_stable(3);
    {
        const auto team = stable.acquire_n(3);
        CHECK_EQ(team.size(), 3u);
        CHECK(team[0].get() != team[1].get() && team[1].get() != team[2].get());
        std::error_code failure;
        CHECK(stable.acquire_n(2, std::chrono::milliseconds(1), failure).empty());
        CHECK(failure == ostler::errc::timeout);
        CHECK(stable.acquire_n(4, ostler::forever, failure).empty());
        CHECK(failure == ostler::errc::limit);
    }
    CHECK_EQ(stable.stats().idle, 3u);
    CHECK(stable.acquire_n(0).empty());
}

TEST(exhausted_pool_gives_an_empty_lease_or_times_out)
{
    auto stable = make_stable(1);
    const auto held = stable.acquire();
    CHECK(!stable.try_acquire());
    std::error_code failure;
    CHECK(!stable.try_acquire(failure));
    CHECK(failure == ostler::errc::exhausted);
    CHECK(!stable.acquire(std::chrono::milliseconds(1), failure));
    CHECK(failure == ostler::errc::timeout);
    bool thrown = false;
    try {
        static_cast<void>(stable.acquire(std::chrono::milliseconds(1)));
    } catch (const ostler::error &caught) {
        thrown = caught.status() == ostler::errc::timeout;
    }
    CHECK(thrown);
}

TEST(wait_ends_when_it_is_cancelled)
{
    auto stable = make_stable(1);
    const auto held = stable.acquire();
    ostler::cancel stop;
    std::thread canceller([&] {
        while (stable.stats().waiting == 0)
            std::this_thread::yield();
        stop.signal();
    });
    std::error_code failure;
    CHECK(!stable.acquire(stop, failure));
    CHECK(failure == ostler::errc::cancelled);
    canceller.join();
}

TEST(discarded_and_invalid_resources_are_made_anew)
{
    bool good = true;
    int resets = 0;
    ostler::pool<horse> stable({[] { return std::make_unique<horse>(); }, [&](horse &) { return good; },
                                [&](horse &) { resets++; }},
                               ostler::pool_config().at_most(1));
    stable.acquire()->rides = 7;
    CHECK_EQ(stable.acquire()->rides, 7);
    good = false;
    CHECK_EQ(stable.acquire()->rides, 0);
    CHECK(stable.acquire().discard() == ostler::errc::ok);
    CHECK_EQ(resets, 3);
    const auto stats = stable.stats();
    CHECK_EQ(stats.destroyed_discarded, 1u);
    CHECK(stats.destroyed_invalid >= 1);
}

TEST(lease_may_outlive_its_pool)
{
    ostler::lease<horse> lease;
    {
        auto stable = make_stable(1);
        lease = stable.acquire();
    }
    lease->rides++;
    CHECK_EQ(horse::alive.load(), 1);
    CHECK(lease.release() == ostler::errc::ok);
    CHECK_EQ(horse::alive.load(), 0);
}

TEST(pool_can_be_moved_while_leases_are_out)
{
    auto first = make_stable(2);
    auto lease = first.acquire();
    auto second = std::move(first);
    CHECK_EQ(second.stats().in_use, 1u);
    lease.release();
    second.close();
    std::error_code failure;
    static_cast<void>(second.acquire(ostler::forever, failure));
    CHECK(failure == ostler::errc::closed);
}

TEST(resource_with_the_same_tag_is_preferred)
{
    ostler::pool_callbacks<horse> callbacks{[] { return std::make_unique<horse>(); }};
    std::vector<std::pair<std::uint64_t, std::uint64_t>> retags;
    callbacks.retag = [&](horse &, std::uint64_t from, std::uint64_t to) {
        retags.emplace_back(from, to);
        if (to == 13)
            throw std::runtime_error("unlucky");
    };
    ostler::pool<horse> stable(std::move(callbacks), ostler::pool_config().at_most(2));
    {
        auto plain = stable.acquire();
        auto seven = stable.acquire({ostler::priority::normal, 7});
        horse *const both[] = {plain.get(), seven.get()};
        CHECK(plain.release() == ostler::errc::ok && seven.release() == ostler::errc::ok);
        CHECK(stable.acquire({ostler::priority::normal, 7}).get() == both[1]);
        CHECK(stable.acquire().get() == both[0]);
    }
    CHECK_EQ(retags.size(), 1u);
    std::error_code failure;
    CHECK(!stable.acquire({ostler::priority::normal, 13}, std::chrono::seconds(1), failure));
    CHECK(failure == ostler::errc::create_failed);
}

TEST(share_is_kept_for_high_priority)
{
    ostler::pool<horse> stable([] { return std::make_unique<horse>(); },
                               ostler::pool_config().at_most(2).reserve_for_high(1).refuse_the_hopeless().target_wait(
                                   std::chrono::milliseconds(5)));
    auto batch = stable.acquire({ostler::priority::batch});
    CHECK(!stable.try_acquire());
    auto high = stable.acquire({ostler::priority::high});
    CHECK(high.get() != batch.get());
}

TEST(revoked_lease_ends_with_its_holder)
{
    std::vector<ostler::pool_event> heard;
    {
        ostler::pool_callbacks<horse> callbacks{[] { return std::make_unique<horse>(); }};
        callbacks.event = [&](ostler::pool_event event, horse *it) {
            CHECK_EQ(it != nullptr, event != ostler::pool_event::closed);
            heard.push_back(event);
        };
        ostler::pool<horse> stable(std::move(callbacks), ostler::pool_config().at_most(1));
        auto lease = stable.acquire();
        CHECK(stable.revoke(stable.leases().at(0).raw) == ostler::errc::ok);
        auto next = stable.acquire();
        CHECK_EQ(horse::alive.load(), 2);
        lease->rides++;
        CHECK(lease.release() == ostler::errc::stale_lease);
        CHECK_EQ(horse::alive.load(), 1);
        CHECK(next.release() == ostler::errc::ok);
        CHECK_EQ(stable.trim(0), 1u);
        CHECK_EQ(horse::alive.load(), 0);
    }
    using event = ostler::pool_event;
    CHECK(heard == (std::vector<event>{event::created, event::created, event::destroyed, event::destroyed, event::closed}));
}

TEST(acquire_may_hold_nobody_up)
{
    auto stable = make_stable(1);
    const auto unheard = [](std::error_code, ostler::lease<horse>) { EXPECT(!"called although it was had at once"); };
    auto now = stable.acquire_async({}, ostler::forever, unheard);
    CHECK(bool(now));

    std::promise<int> rides;
    ostler::pending_acquire later, cancelled;
    CHECK(!stable.acquire_async({}, ostler::forever, unheard, &cancelled));
    CHECK(!stable.acquire_async({ostler::priority::low}, ostler::forever,
                                [&](std::error_code failure, ostler::lease<horse> lease) {
                                    EXPECT(!failure);
                                    rides.set_value(++lease->rides);
                                },
                                &later));
    CHECK(cancelled.cancel() == ostler::errc::ok);
    now->rides = 6;
    CHECK(now.release() == ostler::errc::ok);
    CHECK_EQ(rides.get_future().get(), 7);
    CHECK(later.cancel() == ostler::errc::stale_ticket);

    std::promise<std::error_code> late;
    now = stable.acquire();
    (void)stable.acquire_async({}, std::chrono::milliseconds(1),
                         [&](std::error_code failure, ostler::lease<horse> lease) {
                             EXPECT(!lease);
                             late.set_value(failure);
                             throw std::runtime_error("goes no further");
                         });
    CHECK(late.get_future().get() == ostler::errc::timeout);
}

TEST(event_loop_takes_what_it_did_not_wait_for)
{
    auto stable = make_stable(1);
    ostler::pending_acquire first, second, cancelled;
    pollfd event{stable.event(), POLLIN, 0};
    ostler::lease<horse> now = stable.acquire_async({}, ostler::forever, first);
    CHECK(bool(now) && !first && first.id() == 0);
    CHECK(!stable.acquire_async({}, ostler::forever, first));
    CHECK(!stable.acquire_async({}, ostler::forever, cancelled));
    CHECK(!stable.acquire_async({ostler::priority::low}, ostler::forever, second));
    CHECK(first && second && first.id() != second.id());
    CHECK(!stable.take_acquired());
    CHECK_EQ(poll(&event, 1, 0), 0);
    CHECK(cancelled.cancel() == ostler::errc::ok);
    now->rides = 3;
    now.release();
    CHECK_EQ(poll(&event, 1, 60000), 1);
    auto taken = stable.take_acquired();
    CHECK(taken && taken->id == first.id() && !taken->failure);
    CHECK_EQ(taken->lease->rides, 3);
    CHECK(!stable.take_acquired());
    taken.reset();
    CHECK_EQ(poll(&event, 1, 60000), 1);
    taken = stable.take_acquired();
    CHECK(taken && taken->id == second.id() && taken->lease);

    /* What ran out of time says so. */
    ostler::pending_acquire late;
    CHECK(!stable.acquire_async({}, std::chrono::milliseconds(1), late));
    CHECK_EQ(poll(&event, 1, 60000), 1);
    auto none = stable.take_acquired();
    CHECK(none && none->id == late.id() && !none->lease);
    CHECK(none->failure == ostler::errc::timeout);
    CHECK(late.cancel() == ostler::errc::stale_ticket);
}

TEST(turn_comes_and_no_thread_waits)
{
    auto stable = make_stable(1);
    std::atomic<int> rings{0};
    const auto ring = [&] { rings++; };
    ostler::turn<horse> mine, other;
    auto now = stable.begin_acquire({}, ostler::forever, ring, mine);
    CHECK(now && !mine);
    CHECK(!stable.begin_acquire({ostler::priority::low}, ostler::forever, ring, other));
    CHECK(!stable.begin_acquire({}, ostler::forever, ring, mine));
    CHECK(mine && other && mine.look_again() == std::chrono::nanoseconds::max());
    CHECK(!mine.go_on());
    CHECK_EQ(rings.load(), 0);
    now->rides = 3;
    CHECK(now.release() == ostler::errc::ok);
    CHECK_EQ(rings.load(), 1);
    ostler::turn<horse> moved = std::move(mine);
    CHECK(!mine && moved);
    CHECK_EQ(moved.go_on()->rides, 3);
    CHECK(!moved);
    CHECK_EQ(rings.load(), 2);
    std::error_code failure;
    now = other.go_on(failure);
    CHECK(now && !failure && !other);
    CHECK(!other.go_on(failure));
    CHECK(failure == ostler::errc::stale_ticket);
}

TEST(turn_that_nobody_wants_any_more_is_given_up)
{
    auto stable = make_stable(1);
    std::error_code failure;
    const auto silent = [] {};
    auto held = stable.acquire();
    ostler::turn<horse> first, second;
    CHECK(!stable.begin_acquire({}, ostler::forever, silent, first));
    CHECK(!stable.begin_acquire({}, ostler::forever, silent, second));
    CHECK(!first.cancel(failure));
    CHECK(failure == ostler::errc::cancelled && !first);
    CHECK_EQ(stable.stats().waiting, 1u);
    {
        const auto gone = std::move(second);
    }
    CHECK_EQ(stable.stats().waiting, 0u);
    CHECK(!stable.begin_acquire({}, ostler::forever, silent, first));
    held.release();
    /* It has come, and goes back. */
    first = {};
    CHECK_EQ(stable.stats().in_use, 0u);
    CHECK(stable.try_acquire());
}

TEST(turn_ends_in_vain_and_says_why)
{
    ostler::turn<horse> left;
    std::error_code failure;
    std::atomic<int> rings{0};
    {
        auto stable = make_stable(1);
        const auto held = stable.acquire();
        CHECK(!stable.begin_acquire({}, std::chrono::seconds(0), [] {}, left, failure));
        CHECK(failure == ostler::errc::timeout && !left);
        CHECK(!stable.begin_acquire({}, ostler::forever, [&] { rings++; throw std::runtime_error("goes no further"); }, left,
                                    failure));
        CHECK(!failure && left);
    }
    CHECK(rings > 0);
    bool threw = false;
    try {
        (void)left.go_on();
    } catch (const ostler::error &caught) {
        threw = caught.status() == ostler::errc::closed;
    }
    CHECK(threw && !left);
    CHECK_EQ(horse::alive.load(), 0);
}

#ifdef __cpp_impl_coroutine
namespace {

gallop ride(ostler::pool<horse> &stable, ostler::duration timeout, std::promise<int> &ended)
{
    int result = 0;
    try {
        const auto lease = co_await stable.acquire_later({}, timeout);
        result = ++lease->rides;
    } catch (const ostler::error &caught) {
        result = std::string_view(caught.what()).find("1 resources are in use") == std::string_view::npos
                     ? 0
                     : caught.code().value();
    }
    ended.set_value(result);
}

} // namespace

TEST(coroutine_goes_on_with_a_lease)
{
    auto stable = make_stable(1);
    std::promise<int> now, late, later;
    ride(stable, std::chrono::seconds(0), now);
    CHECK_EQ(now.get_future().get(), 1);
    auto held = stable.acquire();
    ride(stable, std::chrono::milliseconds(1), late);
    CHECK_EQ(late.get_future().get(), OSTLER_E_TIMEOUT);
    ride(stable, ostler::forever, later);
    CHECK_EQ(stable.stats().waiting, 1u);
    held.release();
    CHECK_EQ(later.get_future().get(), 2);
}

TEST(coroutine_with_a_lease_is_continued_once_whoever_is_first)
{
    auto stable = make_stable(1);
    for (int i = 1; i <= 500; i++) {
        std::promise<int> ended;
        auto held = stable.acquire();
        std::thread groom([&] { held.release(); });
        ride(stable, ostler::forever, ended);
        CHECK_EQ(ended.get_future().get(), i);
        groom.join();
    }
}

TEST(coroutine_that_is_destroyed_waits_for_no_lease)
{
    struct stalled {
        struct promise_type {
            stalled get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
            std::suspend_never initial_suspend() noexcept { return {}; }
            std::suspend_always final_suspend() noexcept { return {}; }
            void return_void() noexcept {}
            void unhandled_exception() noexcept { std::terminate(); }
        };
        std::coroutine_handle<promise_type> handle;
    };
    auto stable = make_stable(1);
    auto held = stable.acquire();
    auto waiting = [](ostler::pool<horse> &from) -> stalled { (void)co_await from.acquire_later(); }(stable);
    CHECK_EQ(stable.stats().waiting, 1u);
    waiting.handle.destroy();
    CHECK_EQ(stable.stats().waiting, 0u);
    held.release();
    CHECK(stable.try_acquire());
}
#endif

TEST(turns_of_many_threads_ring_whoever_waits)
{
    auto stable = make_stable(2);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            for (int n = 0; n < 500; n++) {
                /* A bell may ring again when all is over. */
                struct bell {
                    std::promise<void> rung;
                    std::atomic<bool> has_rung{false};
                };
                const auto hung = std::make_shared<bell>();
                const auto ring = [hung] {
                    if (!hung->has_rung.exchange(true))
                        hung->rung.set_value();
                };
                ostler::turn<horse> mine;
                auto lease = stable.begin_acquire({}, ostler::forever, ring, mine);
                if (mine) {
                    hung->rung.get_future().wait();
                    lease = mine.go_on();
                }
                EXPECT(bool(lease));
            }
        });
    for (auto &thread : threads)
        thread.join();
    CHECK_EQ(stable.stats().in_use, 0u);
    CHECK_EQ(stable.stats().acquires, 2000u);
}

CHECK_MAIN()
