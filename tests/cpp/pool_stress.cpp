// Pool: callbacks that throw and dawdle at random, under load, and an account of every resource.
#include "check.h"
#include <ostler.hpp>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace {

constexpr int most = 3;

// Each thread has dice of its own.
unsigned dice()
{
    static std::atomic<unsigned> seeds{1};
    thread_local std::minstd_rand generator(seeds++);
    return static_cast<unsigned>(generator() >> 8) % 64;
}

// What a callback may do: nothing, be slow, or throw one thing or another.
void be_unruly()
{
    for (unsigned slow = dice(); slow > 48; slow--)
        std::this_thread::yield();
    switch (dice()) {
    case 0: throw std::runtime_error("not today");
    case 1: throw 42;
    case 2: throw std::bad_alloc();
    default: break;
    }
}

struct horse {
    static inline std::atomic<int> alive{0}, made{0};
    std::atomic<int> users{0};

    horse()
    {
        EXPECT(++alive <= most);
        made++;
    }
    // It has ended, also when its end throws.
    ~horse() noexcept(false)
    {
        EXPECT_EQ(users.load(), 0);
        alive--;
        be_unruly();
    }
    void ride()
    {
        EXPECT_EQ(users.fetch_add(1), 0);
        std::this_thread::yield();
        users--;
    }
};

ostler::pool_callbacks<horse> unruly()
{
    ostler::pool_callbacks<horse> callbacks;
    callbacks.create = [] {
        be_unruly();
        return dice() == 0 ? nullptr : std::make_unique<horse>();
    };
    callbacks.validate = [](horse &horse) {
        horse.ride();
        be_unruly();
        return dice() > 4;
    };
    callbacks.reset = [](horse &horse) {
        horse.ride();
        be_unruly();
    };
    return callbacks;
}

// Whoever waits is served or learns that nothing could be made; what it was given it gives back.
void come_and_go(ostler::pool<horse> &stable)
{
    for (int turn = 0; turn < 500; turn++) {
        std::error_code failure;
        auto lease = turn % 5 == 0 ? stable.try_acquire(failure) : stable.acquire({}, failure);
        if (failure) {
            EXPECT(failure == ostler::errc::create_failed || failure == ostler::errc::exhausted);
            continue;
        }
        lease->ride();
        if (dice() == 0)
            EXPECT_EQ(lease.discard(), ostler::errc::ok);
    }
}

void stress(const ostler::pool_config &config)
{
    {
        ostler::pool<horse> stable(unruly(), config);
        std::vector<std::thread> threads;
        for (int i = 0; i < 6; i++)
            threads.emplace_back([&] { come_and_go(stable); });
        for (auto &thread : threads)
            thread.join();
        CHECK_EQ(stable.stats().waiting, 0u);
        CHECK_EQ(stable.stats().in_use, 0u);
    }
    CHECK_EQ(horse::alive.load(), 0);
}

} // namespace

TEST(callbacks_that_throw_lose_nothing)
{
    stress(ostler::pool_config().at_most(most).breaker_after(1000000));
}

TEST(callbacks_that_throw_on_threads_of_the_pool_lose_nothing)
{
    stress(ostler::pool_config().at_most(most).creators(2).breaker_after(1000000).uses_at_most(7));
    stress(ostler::pool_config().at_most(most).idle_at_least(1).breaker_after(1000000).keepalive(
        std::chrono::milliseconds(1)));
}

CHECK_MAIN()
