// An exception in each kind of callback: it becomes a failure with its words, or goes no further.
#include "check.h"
#include <ostler.hpp>

#include <thread>

namespace {

struct fragile {
    bool throws = false;
    ~fragile() noexcept(false)
    {
        if (throws)
            throw std::runtime_error("the end is bad");
    }
};

std::unique_ptr<fragile> make() { return std::make_unique<fragile>(); }

template <class Call> std::string words_of(Call &&call, ostler::errc wanted)
{
    try {
        call();
    } catch (const ostler::error &caught) {
        return caught.status() == wanted ? caught.what() : std::string("another status: ") + caught.what();
    }
    return "nothing was thrown";
}

} // namespace

TEST(in_create)
{
    ostler::pool<fragile> pool([]() -> std::unique_ptr<fragile> { throw std::runtime_error("no hay"); });
    CHECK_STR_CONTAINS(words_of([&] { static_cast<void>(pool.acquire()); }, ostler::errc::create_failed).c_str(), "no hay");
    CHECK_EQ(pool.stats().create_failures, 1u);
}

TEST(in_create_with_words_in_another_encoding)
{
    ostler::pool<fragile> pool([]() -> std::unique_ptr<fragile> { throw std::runtime_error("refus\xe9" "e"); });
    CHECK_STR_CONTAINS(words_of([&] { static_cast<void>(pool.acquire()); }, ostler::errc::create_failed).c_str(),
                       "refus\xef\xbf\xbd" "e");
}

TEST(in_create_that_is_no_standard_exception)
{
    ostler::pool<fragile> pool([]() -> std::unique_ptr<fragile> { throw 7; });
    CHECK_STR_CONTAINS(words_of([&] { static_cast<void>(pool.acquire()); }, ostler::errc::create_failed).c_str(), "no std::exception");
}

TEST(in_validate)
{
    ostler::pool<fragile> pool({make, [](fragile &) -> bool { throw std::runtime_error("lame"); }});
    pool.acquire().release();
    CHECK(static_cast<bool>(pool.acquire()));
    CHECK_EQ(pool.stats().destroyed_invalid, 1u);
}

TEST(in_reset)
{
    ostler::pool<fragile> pool({make, {}, [](fragile &) { throw std::runtime_error("tired"); }});
    CHECK(pool.acquire().release() == ostler::errc::ok);
    CHECK_EQ(pool.stats().destroyed_reset, 1u);
}

TEST(in_destroy)
{
    ostler::pool<fragile> pool(make);
    auto lease = pool.acquire();
    lease->throws = true;
    CHECK(lease.discard() == ostler::errc::ok);
    CHECK_EQ(pool.stats().destroyed, 1u);
}

TEST(in_load)
{
    ostler::orchestrator orchestrator;
    ostler::model<int> model(
        orchestrator, [](std::uint32_t) -> std::unique_ptr<int> { throw std::runtime_error("no model file"); },
        [](int &, const ostler::batch &) {});
    CHECK_STR_CONTAINS(words_of([&] { model.wait_ready(); }, ostler::errc::load_failed).c_str(), "no model file");
}

TEST(load_without_a_state_is_a_failure)
{
    ostler::orchestrator orchestrator;
    ostler::model<int> model(
        orchestrator, [](std::uint32_t) -> std::unique_ptr<int> { return nullptr; },
        [](int &state, const ostler::batch &) { state++; });
    CHECK_STR_CONTAINS(words_of([&] { model.wait_ready(); }, ostler::errc::load_failed).c_str(), "no state");
}

TEST(create_without_a_resource_is_a_failure)
{
    ostler::pool<fragile> pool([]() -> std::unique_ptr<fragile> { return nullptr; });
    CHECK_STR_CONTAINS(words_of([&] { static_cast<void>(pool.acquire()); }, ostler::errc::create_failed).c_str(), "NULL");
}

TEST(in_run)
{
    ostler::orchestrator orchestrator;
    ostler::model<int> model(
        orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); },
        [](int &, const ostler::batch &) { throw ostler::error(ostler::errc::limit, "too heavy"); });
    const auto result = orchestrator.wait(model.submit(ostler::request()));
    CHECK(result.outcome() == ostler::outcome::failed);
    CHECK(result.code() == ostler::errc::limit);
    CHECK_STR_CONTAINS(std::string(result.message()).c_str(), "too heavy");
}

TEST(in_unload)
{
    ostler::orchestrator orchestrator;
    ostler::model<fragile> model(
        orchestrator,
        [](std::uint32_t) {
            auto made = make();
            made->throws = true;
            return made;
        },
        [](fragile &, const ostler::batch &) {});
    model.wait_ready();
    CHECK(model.destroy() == ostler::errc::ok);
}

TEST(in_completion)
{
    ostler::orchestrator orchestrator;
    ostler::model<int> model(
        orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); }, [](int &, const ostler::batch &) {});
    model.submit(ostler::request(), [](ostler::ticket, const ostler::result &) { throw std::runtime_error("late"); });
    orchestrator.drain();
    CHECK_EQ(model.stats().completed, 1u);
}

TEST(destroy_from_inside_a_callback_is_refused_and_nothing_is_lost)
{
    ostler::orchestrator orchestrator;
    std::optional<ostler::model<int>> model;
    std::atomic<int> refused{0};
    model.emplace(
        orchestrator, [](std::uint32_t) { return std::make_unique<int>(0); },
        [&](int &, const ostler::batch &) {
            refused += model->destroy() == ostler::errc::would_deadlock;
            refused += orchestrator.destroy() == ostler::errc::would_deadlock;
        });
    CHECK(orchestrator.wait(model->submit(ostler::request())).completed());
    CHECK_EQ(refused.load(), 2);
    CHECK(orchestrator.wait(model->submit(ostler::request())).completed());
    CHECK_EQ(refused.load(), 4);
}

CHECK_MAIN()
