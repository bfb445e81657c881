// What the host's functions own lives until the library has called them for the last time, and not for ever.
#include "check.h"
#include <ostler.hpp>

#include <thread>

namespace {

/// Captured by value in functions; tells how many copies there are.
using token = std::shared_ptr<int>;

void yield_until(const std::atomic<bool> &flag)
{
    while (!flag)
        std::this_thread::yield();
}

} // namespace

TEST(late_lease_still_has_the_functions_of_its_pool)
{
    const token alive = std::make_shared<int>(0);
    ostler::lease<int> lease;
    {
        ostler::pool<int> pool({[alive] { return std::make_unique<int>(*alive); }, {}, [alive](int &) { ++*alive; }});
        lease = pool.acquire();
        CHECK_EQ(alive.use_count(), 3);
    }
    CHECK_EQ(alive.use_count(), 3);
    CHECK(lease.release() == ostler::errc::ok);
    CHECK_EQ(alive.use_count(), 1);
}

TEST(pool_that_ends_inside_its_own_callback_keeps_its_functions)
{
    static std::optional<ostler::pool<int>> pool;
    const token alive = std::make_shared<int>(0);
    pool.emplace(ostler::pool_callbacks<int>{[alive] { return std::make_unique<int>(*alive); }, {}, [alive](int &) {
                                                 pool.reset();
                                                 ++*alive;
                                             }});
    ostler_pool *const raw = pool->get();
    pool->acquire().release();
    CHECK_EQ(*alive, 1);
    // Nobody owns it any more, and it still works.
    ostler_lease late;
    void *resource;
    CHECK_STATUS(ostler_pool_acquire(raw, OSTLER_FOREVER, nullptr, &late, &resource), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(raw, late), OSTLER_OK);
    CHECK_EQ(*alive, 2);
}

TEST(model_that_ends_gives_its_functions_back)
{
    const token alive = std::make_shared<int>(0);
    ostler::orchestrator orchestrator;
    for (int i = 0; i < 3; i++) {
        ostler::model<int> model(
            orchestrator, [alive](std::uint32_t) { return std::make_unique<int>(*alive); },
            [](int &, const ostler::batch &) {});
        model.wait_ready();
    }
    CHECK_EQ(alive.use_count(), 1);
    std::error_code failure;
    const auto refused = ostler::model<int>::open(
        orchestrator, [alive](std::uint32_t) { return std::make_unique<int>(*alive); }, nullptr, ostler::model_config(),
        failure);
    CHECK(failure == ostler::errc::invalid_argument);
    CHECK_EQ(alive.use_count(), 2);
}

TEST(model_that_ends_inside_its_own_run_goes_on_until_its_orchestrator_ends)
{
    const token alive = std::make_shared<int>(0);
    {
        ostler::orchestrator orchestrator;
        std::optional<ostler::model<int>> model;
        model.emplace(
            orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); },
            [&model, alive](int &, const ostler::batch &) {
                model.reset();
                ++*alive;
            });
        CHECK(orchestrator.wait(model->submit(ostler::request())).completed());
        CHECK_EQ(*alive, 1);
        CHECK_EQ(alive.use_count(), 2);
    }
    CHECK_EQ(alive.use_count(), 1);
}

TEST(model_that_ends_while_its_orchestrator_is_destroyed_elsewhere)
{
    const token alive = std::make_shared<int>(0);
    std::atomic<bool> entered{false}, go{false};
    std::optional<ostler::orchestrator> orchestrator(std::in_place);
    {
        std::thread destroyer;
        {
            ostler::model<int> model(
                *orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); },
                [&entered, &go, alive](int &, const ostler::batch &) {
                    entered = true;
                    yield_until(go);
                    ++*alive;
                });
            orchestrator->forget(model.submit(ostler::request()));
            yield_until(entered);
            destroyer = std::thread([&] { orchestrator->destroy(); });
            std::error_code failure;
            while (failure != ostler::errc::closed && failure != ostler::errc::invalid_handle)
                model.stats(failure), std::this_thread::yield();
            // The orchestrator waits for the run now; the model's owner ends, and does not wait for it.
        }
        CHECK(alive.use_count() > 1);
        go = true;
        destroyer.join();
    }
    CHECK_EQ(*alive, 1);
    orchestrator.reset();
    CHECK_EQ(alive.use_count(), 1);
}

TEST(completion_ends_after_its_call_or_a_refusal)
{
    const token alive = std::make_shared<int>(0);
    ostler::orchestrator orchestrator;
    ostler::model<int> model(
        orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); }, [](int &, const ostler::batch &) {});
    model.submit(ostler::request(), [alive](ostler::ticket, const ostler::result &) { ++*alive; });
    orchestrator.drain();
    CHECK_EQ(*alive, 1);
    CHECK_EQ(alive.use_count(), 1);
    std::error_code failure;
    model.submit(ostler::request(), [alive](ostler::ticket, const ostler::result &) { ++*alive; }, failure);
    CHECK(failure == ostler::errc::closed);
    CHECK_EQ(*alive, 1);
    CHECK_EQ(alive.use_count(), 1);
}

TEST(moved_owners_still_own)
{
    const token alive = std::make_shared<int>(0);
    {
        ostler::orchestrator first, second;
        ostler::model<int> model(
            second, [](std::uint32_t) { return std::make_unique<int>(0); },
            [alive](int &, const ostler::batch &) { ++*alive; });
        first = std::move(second);
        ostler::model<int> other = std::move(model);
        CHECK(first.wait(other.submit(ostler::request())).completed());
        CHECK(!second);
        CHECK(!model);
    }
    CHECK_EQ(*alive, 1);
    CHECK_EQ(alive.use_count(), 1);
}

TEST(log_function_may_replace_itself)
{
    const token lines = std::make_shared<int>(0);
    ostler::set_log(OSTLER_LOG_DEBUG, [lines](std::uint32_t, std::string_view) {
        ostler::set_log(OSTLER_LOG_DEBUG, nullptr);
        ++*lines;
    });
    {
        ostler::pool<int> pool([]() -> std::unique_ptr<int> { return nullptr; }, ostler::pool_config().at_least(1));
        while (lines.use_count() > 1)
            std::this_thread::yield();
    }
    CHECK_EQ(*lines, 1);
}

CHECK_MAIN()
