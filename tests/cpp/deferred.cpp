// Deferred: cells as owners, values in unique_ptr, completions as lambdas, and co_await.
#include "check.h"
#include "gallop.hpp"
#include <ostler.hpp>

#include <thread>

namespace {

struct foal {
    static inline std::atomic<int> alive{0};
    int number;
    explicit foal(int it) : number(it) { alive++; }
    ~foal() { alive--; }
};

using foals = ostler::deferred<foal>;

std::unique_ptr<foal> born(int number) { return std::make_unique<foal>(number); }

} // namespace

TEST(value_goes_to_the_one_who_waits)
{
    foals set(4);
    auto cell = set.acquire();
    std::thread mare([completer = cell.completer()]() mutable { completer.complete(born(7)); });
    CHECK_EQ(cell.wait()->number, 7);
    CHECK(!cell);
    mare.join();
    CHECK_EQ(set.stats().completed, 1u);
    CHECK_EQ(foal::alive.load(), 0);
}

TEST(value_that_is_refused_stays_with_its_maker)
{
    foals set(1);
    auto cell = set.acquire();
    auto completer = cell.completer();
    auto first = born(1), second = born(2);
    completer.complete(std::move(first));
    CHECK(!first);
    std::error_code failure;
    completer.complete(std::move(second), failure);
    CHECK(failure == ostler::errc::already_completed);
    CHECK_EQ(second->number, 2);
    CHECK_EQ(cell.wait()->number, 1);
    completer.complete(std::move(second), failure);
    CHECK(failure == ostler::errc::stale_cell);
    CHECK_EQ(second->number, 2);
}

TEST(failure_is_thrown_to_the_one_who_waits)
{
    foals set(2);
    auto cell = set.acquire(), other = set.acquire();
    cell.completer().fail(OSTLER_E_LIMIT);
    try {
        cell.wait();
        CHECK(false);
    } catch (const ostler::error &error) {
        CHECK(error.status() == ostler::errc::limit);
        CHECK_STR_CONTAINS(error.what(), "completed with a failure");
    }
    CHECK(!cell);
    std::error_code failure;
    other.completer().fail(0, failure);
    CHECK(failure == ostler::errc::invalid_argument);
    CHECK(other.completer().cancel() == ostler::errc::ok);
    CHECK(other.wait({}, failure) == nullptr);
    CHECK(failure == ostler::errc::cancelled);
    CHECK(!other);
}

TEST(wait_that_ends_early_keeps_the_cell)
{
    foals set(1);
    auto cell = set.acquire();
    std::error_code failure;
    CHECK(cell.poll(failure) == nullptr);
    CHECK(failure == ostler::errc::not_ready);
    CHECK(cell.wait(std::chrono::milliseconds(1), failure) == nullptr);
    CHECK(failure == ostler::errc::timeout);
    CHECK(bool(cell));
    cell.completer().complete(born(3));
    CHECK_EQ(cell.poll(failure)->number, 3);
}

TEST(what_nobody_takes_is_deleted)
{
    {
        foals set(3);
        auto cells = set.acquire_n(3);
        for (int i = 0; i < 3; i++)
            cells[static_cast<std::size_t>(i)].completer().complete(born(i));
        CHECK_EQ(foal::alive.load(), 3);
        auto moved = std::move(cells[0]);
        cells.clear();
        CHECK_EQ(foal::alive.load(), 1);
        std::error_code failure;
        CHECK(set.acquire_n(3, failure).empty());
        CHECK(failure == ostler::errc::exhausted);
    }
    CHECK_EQ(foal::alive.load(), 0);
}

TEST(any_and_all_are_waited_for)
{
    foals set(3);
    auto cells = set.acquire_n(3);
    std::error_code failure;
    set.wait_any(cells, std::chrono::milliseconds(1), failure);
    CHECK(failure == ostler::errc::timeout);
    std::thread mare([&] {
        for (int i = 2; i >= 0; i--)
            cells[static_cast<std::size_t>(i)].completer().complete(born(i));
    });
    const std::size_t first = set.wait_any(cells);
    CHECK(first < 3);
    set.wait_all(cells);
    mare.join();
    for (int i = 0; i < 3; i++)
        CHECK_EQ(cells[static_cast<std::size_t>(i)].wait()->number, i);
}

TEST(completion_gets_what_comes)
{
    foals set(3);
    int number = 0;
    std::error_code outcome;
    auto note = [&](std::error_code came, std::unique_ptr<foal> value) {
        outcome = came;
        number = value ? value->number : -1;
    };
    auto cell = set.acquire();
    auto completer = cell.completer();
    cell.on_complete(note);
    CHECK(!cell);
    completer.complete(born(5));
    CHECK_EQ(number, 5);
    CHECK(!outcome);
    auto late = set.acquire();
    late.completer().fail(OSTLER_E_SHED);
    late.on_complete(note);
    CHECK_EQ(number, -1);
    CHECK(outcome == ostler::errc::shed);
    auto thrown = set.acquire();
    thrown.completer().complete(born(6));
    thrown.on_complete([](std::error_code, std::unique_ptr<foal>) { throw std::runtime_error("stops here"); });
    CHECK_EQ(set.stats().in_use, 0u);
    CHECK_EQ(foal::alive.load(), 0);
}

TEST(cell_outlives_its_set)
{
    ostler::cell<foal> pending, completed;
    {
        foals set(2);
        pending = set.acquire();
        completed = set.acquire();
        completed.completer().complete(born(8));
    }
    std::error_code failure;
    CHECK(pending.wait({}, failure) == nullptr);
    CHECK(failure == ostler::errc::closed);
    CHECK_EQ(completed.wait()->number, 8);
}

#ifdef __cpp_impl_coroutine
namespace {

gallop await(ostler::cell<foal> cell, std::atomic<int> &arrived)
{
    try {
        arrived = (co_await cell)->number;
    } catch (const ostler::error &error) {
        arrived = error.code().value();
    }
}

} // namespace

TEST(coroutine_goes_on_with_what_comes)
{
    foals set(2);
    std::atomic<int> arrived{0};
    auto cell = set.acquire();
    auto completer = cell.completer();
    await(std::move(cell), arrived);
    CHECK_EQ(arrived.load(), 0);
    completer.complete(born(9));
    CHECK_EQ(arrived.load(), 9);

    auto ready = set.acquire();
    ready.completer().complete(born(10));
    await(std::move(ready), arrived);
    CHECK_EQ(arrived.load(), 10);

    auto failed = set.acquire();
    auto failing = failed.completer();
    await(std::move(failed), arrived);
    failing.fail(OSTLER_E_LIMIT);
    CHECK_EQ(arrived.load(), OSTLER_E_LIMIT);
    CHECK_EQ(set.stats().in_use, 0u);
}

TEST(coroutine_is_continued_once_whoever_is_first)
{
    foals set(1);
    for (int i = 1; i <= 2000; i++) {
        std::atomic<int> arrived{0};
        auto cell = set.acquire();
        std::thread mare([completer = cell.completer(), i]() mutable { completer.complete(born(i)); });
        await(std::move(cell), arrived);
        mare.join();
        CHECK_EQ(arrived.load(), i);
    }
    CHECK_EQ(foal::alive.load(), 0);
}

TEST(coroutine_that_is_destroyed_takes_its_completion_back)
{
    struct held {
        struct promise_type {
            held get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
            std::suspend_never initial_suspend() noexcept { return {}; }
            std::suspend_always final_suspend() noexcept { return {}; }
            void return_void() noexcept {}
            void unhandled_exception() noexcept { std::terminate(); }
        };
        std::coroutine_handle<promise_type> handle;
    };
    foals set(1);
    auto cell = set.acquire();
    auto completer = cell.completer();
    auto waiting = [](ostler::cell<foal> awaited) -> held { (void)co_await awaited; }(std::move(cell));
    waiting.handle.destroy();
    std::error_code failure;
    completer.complete(born(1), failure);
    CHECK(failure == ostler::errc::stale_cell);
    CHECK_EQ(set.stats().in_use, 0u);
}
#endif

CHECK_MAIN()
