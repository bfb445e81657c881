// A cancel ends each kind of wait, from another thread; a wait of no time ends by itself.
#include "check.h"
#include <ostler.hpp>

#include <thread>

namespace {

/// Signals after the wait has begun, as far as one can tell, and has to be waited for by the wait itself.
struct signaller {
    ostler::cancel stop;
    std::thread thread{[this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        stop.signal();
    }};
    ~signaller() { thread.join(); }
};

/// A worker that runs its requests only after it was let go.
struct stalled_model {
    std::atomic<bool> go{false};
    ostler::orchestrator orchestrator;
    ostler::model<int> model{orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); },
                             [this](int &, const ostler::batch &) {
                                 while (!go)
                                     std::this_thread::yield();
                             }};
    ~stalled_model() { go = true; }
};

} // namespace

TEST(acquire)
{
    ostler::pool<int> pool([] { return std::make_unique<int>(1); }, ostler::pool_config().at_most(1));
    const auto held = pool.acquire();
    signaller other;
    std::error_code failure;
    CHECK(!pool.acquire(other.stop, failure));
    CHECK(failure == ostler::errc::cancelled);
    CHECK(!pool.acquire({std::chrono::hours(1), &other.stop}, failure));
    CHECK(failure == ostler::errc::cancelled);
}

TEST(close_of_a_pool)
{
    ostler::pool<int> pool([] { return std::make_unique<int>(1); });
    const auto held = pool.acquire();
    signaller other;
    std::error_code failure;
    CHECK_EQ(pool.close(other.stop, failure), 1u);
    CHECK(failure == ostler::errc::cancelled);
    CHECK_EQ(pool.close(std::chrono::milliseconds(1), failure), 1u);
    CHECK(failure == ostler::errc::timeout);
}

TEST(close_of_an_arena)
{
    ostler::arena arena;
    const ostler::cursor cursor(arena);
    signaller other;
    std::error_code failure;
    CHECK_EQ(arena.close(other.stop, failure), 1u);
    CHECK(failure == ostler::errc::cancelled);
}

TEST(wait_for_a_ticket)
{
    stalled_model stalled;
    const auto ticket = stalled.model.submit(ostler::request());
    signaller other;
    std::error_code failure;
    stalled.orchestrator.wait(ticket, other.stop, failure);
    CHECK(failure == ostler::errc::cancelled);
    stalled.orchestrator.wait(ticket, std::chrono::seconds(0), failure);
    CHECK(failure == ostler::errc::timeout);
    stalled.go = true;
    CHECK(stalled.orchestrator.wait(ticket).completed());
}

TEST(drain)
{
    stalled_model stalled;
    stalled.orchestrator.forget(stalled.model.submit(ostler::request()));
    signaller other;
    std::error_code failure;
    CHECK_EQ(stalled.orchestrator.drain(other.stop, failure), 1u);
    CHECK(failure == ostler::errc::cancelled);
}

TEST(wait_until_ready)
{
    std::atomic<bool> go{false};
    ostler::orchestrator orchestrator;
    ostler::model<int> model(
        orchestrator,
        [&](std::uint32_t) {
            while (!go)
                std::this_thread::yield();
            return std::make_unique<int>(0);
        },
        [](int &, const ostler::batch &) {});
    signaller other;
    std::error_code failure;
    model.wait_ready(other.stop, failure);
    CHECK(failure == ostler::errc::cancelled);
    go = true;
    model.wait_ready();
}

TEST(throwing_form_says_that_it_was_cancelled)
{
    ostler::pool<int> pool([] { return std::make_unique<int>(1); }, ostler::pool_config().at_most(1));
    const auto held = pool.acquire();
    const ostler::cancel stop = [] {
        ostler::cancel made;
        made.signal();
        return made;
    }();
    bool thrown = false;
    try {
        static_cast<void>(pool.acquire(stop));
    } catch (const ostler::error &caught) {
        thrown = caught.status() == ostler::errc::cancelled;
    }
    CHECK(thrown);
}

CHECK_MAIN()
