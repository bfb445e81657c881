// The library panics in a call, in a worker and around a callback; a C++ program lives through each.
#include "check.h"
#include "ostler_faults.h"
#include <ostler.hpp>

#include <thread>

namespace {

constexpr std::int32_t panics = -1;

ostler::model<int> make_model(ostler::orchestrator &orchestrator)
{
    return ostler::model<int>(
        orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); }, [](int &, const ostler::batch &) {});
}

} // namespace

TEST(panic_in_a_call_is_an_exception)
{
    ostler::arena arena;
    ostler_faults_set(OSTLER_FAULT_CALL, 1, panics, 0);
    bool thrown = false;
    try {
        arena.allocate(16);
    } catch (const ostler::error &caught) {
        thrown = caught.status() == ostler::errc::panic;
        CHECK_STR_CONTAINS(caught.what(), "injected panic");
    }
    ostler_faults_set(OSTLER_FAULT_CALL, 0, 0, 0);
    CHECK(thrown);
}

TEST(panic_in_a_worker_ends_its_request_and_the_model_is_quarantined)
{
    ostler::orchestrator orchestrator;
    auto model = make_model(orchestrator);
    model.wait_ready();
    ostler_faults_set(OSTLER_FAULT_WORKER, 1, panics, 0);
    const auto result = orchestrator.wait(model.submit(ostler::request()));
    ostler_faults_set(OSTLER_FAULT_WORKER, 0, 0, 0);
    CHECK(result.outcome() == ostler::outcome::failed);
    CHECK(result.code() == ostler::errc::panic);
    std::error_code failure;
    static_cast<void>(model.submit(ostler::request(), failure));
    CHECK(failure == ostler::errc::quarantined);
    CHECK(model.destroy() == ostler::errc::ok);
    auto next = make_model(orchestrator);
    CHECK(orchestrator.wait(next.submit(ostler::request())).completed());
}

TEST(panic_around_a_callback_fails_that_request_alone)
{
    ostler::orchestrator orchestrator;
    auto model = make_model(orchestrator);
    model.wait_ready();
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 1, panics, 0);
    const auto result = orchestrator.wait(model.submit(ostler::request()));
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
    CHECK(result.outcome() == ostler::outcome::failed);
}

TEST(panic_around_a_pool_callback_is_an_exception)
{
    ostler::pool<int> pool([] { return std::make_unique<int>(1); });
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 1, panics, 0);
    std::error_code failure;
    static_cast<void>(pool.acquire(ostler::forever, failure));
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
    CHECK(failure == ostler::errc::panic);
    static_cast<void>(pool.acquire(ostler::forever, failure));
    CHECK(failure == ostler::errc::quarantined);
}

TEST(functions_of_a_model_outlive_a_panic_in_its_destroy)
{
    const auto alive = std::make_shared<int>(0);
    {
        ostler::orchestrator orchestrator;
        std::atomic<bool> entered{false}, go{false};
        std::optional<ostler::model<int>> model;
        model.emplace(
            orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); },
            [&entered, &go, alive](int &, const ostler::batch &) {
                entered = true;
                while (!go)
                    std::this_thread::yield();
                ++*alive;
            });
        const auto ticket = model->submit(ostler::request());
        while (!entered)
            std::this_thread::yield();
        ostler_faults_set(OSTLER_FAULT_CALL, 1, panics, 0);
        model.reset();
        ostler_faults_set(OSTLER_FAULT_CALL, 0, 0, 0);
        CHECK_EQ(alive.use_count(), 2);
        go = true;
        CHECK(orchestrator.wait(ticket).completed());
        CHECK_EQ(*alive, 1);
    }
    CHECK_EQ(alive.use_count(), 1);
}

TEST(nothing_is_left)
{
    CHECK_EQ(ostler_faults_live(), 0u);
}

CHECK_MAIN()
