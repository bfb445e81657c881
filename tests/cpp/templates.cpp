// Templates: builds as lambdas, instances in memory of the caller and in an arena, references as owners.
#include "check.h"
#include <ostler.hpp>

#include <array>
#include <thread>

namespace {

using std::chrono::milliseconds;

struct point {
    std::uint32_t x, y;
};

/// Each template is its key, twice.
void twice(std::string_view key, ostler::template_data &data)
{
    const std::string words = std::string(key) + std::string(key);
    data.assign(words);
}

std::string text(ostler::const_bytes bytes)
{
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

} // namespace

TEST(template_is_built_once_and_copied)
{
    std::atomic<int> builds{0};
    ostler::templates cache([&](std::string_view key, ostler::template_data &data) {
        builds++;
        const auto bytes = data.allocate(sizeof(point));
        const point made{7, static_cast<std::uint32_t>(key.size())};
        std::memcpy(bytes.data(), &made, sizeof made);
    });
    std::array<point, 1> target{};
    for (int i = 0; i < 3; i++)
        CHECK_EQ(cache.instantiate("home", target), sizeof(point));
    CHECK_EQ(target[0].x, 7u);
    CHECK_EQ(target[0].y, 4u);
    CHECK_EQ(builds.load(), 1);
    CHECK_EQ(cache.stats().hits, 2u);
}

TEST(instance_goes_into_an_arena)
{
    ostler::arena arena;
    ostler::templates cache(twice, ostler::templates_config().aligned_to(256));
    const auto bytes = cache.instantiate("ab", arena);
    CHECK(text({bytes.data(), bytes.size()}) == "abab");
    CHECK_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 256, 0u);
    std::error_code failure;
    CHECK_EQ(cache.instantiate("ab", arena, milliseconds(1), failure).size(), 4u);
    CHECK(!failure);
}

TEST(room_that_is_too_small_is_an_error_in_both_forms)
{
    ostler::templates cache(twice);
    std::array<char, 3> target{};
    std::error_code failure;
    CHECK_EQ(cache.instantiate("ab", target, {}, failure), 0u);
    CHECK(failure == ostler::errc::invalid_argument);
    try {
        cache.instantiate("ab", target);
        CHECK(false);
    } catch (const ostler::error &caught) {
        CHECK(caught.status() == ostler::errc::invalid_argument);
        CHECK(std::strstr(caught.what(), "at least 4") != nullptr);
    }
}

TEST(exception_of_a_build_is_told_to_who_asked)
{
    bool fails = true;
    ostler::templates cache([&](std::string_view key, ostler::template_data &data) {
        if (fails)
            throw std::runtime_error("the plan is lost");
        twice(key, data);
    });
    try {
        auto reference = cache.refer("a");
        CHECK(false);
    } catch (const ostler::error &caught) {
        CHECK(caught.status() == ostler::errc::build_failed);
        CHECK(std::strstr(caught.what(), "the plan is lost") != nullptr);
    }
    fails = false;
    CHECK(text(cache.refer("a").bytes()) == "aa");
}

TEST(clone_makes_the_instance)
{
    ostler::templates_callbacks callbacks;
    callbacks.build = twice;
    callbacks.clone = [](ostler::const_bytes data, std::byte *target) {
        std::reverse_copy(data.begin(), data.end(), target);
        if (data.size() > 6)
            throw std::runtime_error("too long");
    };
    ostler::templates cache(callbacks);
    std::array<char, 8> target{};
    CHECK_EQ(cache.instantiate("abc", target), 6u);
    CHECK(std::string(target.data(), 6) == "cbacba");
    std::error_code failure;
    cache.instantiate("abcd", target, {}, failure);
    CHECK(failure == ostler::errc::callback_failed);
    CHECK(std::strstr(ostler::last_error_message(), "too long") != nullptr);
}

TEST(reference_lasts_while_its_key_is_invalidated)
{
    ostler::templates cache(twice);
    auto old = cache.refer("a");
    CHECK_EQ(old.version(), cache.version("a"));
    cache.invalidate("a");
    CHECK_EQ(cache.version("a"), 0u);
    auto fresh = cache.refer("a");
    CHECK(fresh.version() > old.version());
    CHECK(text(old.bytes()) == "aa");
    CHECK_EQ(cache.stats().leaving, 1u);
    auto moved = std::move(old);
    CHECK(!old);
    CHECK_EQ(old.bytes().size(), 0u);
    moved = std::move(fresh);
    CHECK_EQ(cache.stats().leaving, 0u);
    cache.invalidate_all();
    std::error_code failure;
    cache.invalidate("a", failure);
    cache.invalidate_all(failure);
    CHECK(!failure);
    CHECK_EQ(cache.version("a", failure), 0u);
    CHECK(moved.release() == ostler::errc::ok);
    CHECK(moved.release() == ostler::errc::ok);
    moved.version(failure);
    CHECK(failure == ostler::errc::invalid_handle);
}

TEST(reference_outlives_its_cache)
{
    ostler::template_reference reference;
    {
        ostler::templates cache([held = std::make_shared<int>(1)](std::string_view key, ostler::template_data &data) {
            twice(key, data);
        });
        reference = cache.refer("a");
    }
    CHECK(text(reference.bytes()) == "aa");
    CHECK(reference.release() == ostler::errc::ok);
}

TEST(bounds_hold)
{
    ostler::templates cache([](std::string_view key, ostler::template_data &data) {
        twice(key, data);
        data.charge(10);
    }, ostler::templates_config().at_most(3).bytes_at_most(20).references_at_most(1).evict(
           ostler::eviction::least_frequently_used));
    for (const char *key : {"a", "b", "c"})
        cache.refer(key).release();
    CHECK_EQ(cache.stats().templates, 2u);
    CHECK_EQ(cache.stats().evicted_for_bytes, 1u);
    auto only = cache.refer("c");
    std::error_code failure;
    CHECK(!cache.refer("c", {}, failure));
    CHECK(failure == ostler::errc::exhausted);
}

TEST(wait_for_a_build_ends_with_its_time)
{
    std::atomic<bool> goes_on{false}, is_building{false};
    ostler::templates cache([&](std::string_view key, ostler::template_data &data) {
        is_building = true;
        while (!goes_on)
            std::this_thread::yield();
        twice(key, data);
    });
    std::thread builder([&] { EXPECT(text(cache.refer("a").bytes()) == "aa"); });
    while (!is_building)
        std::this_thread::yield();
    std::error_code failure;
    CHECK(!cache.refer("a", milliseconds(1), failure));
    CHECK(failure == ostler::errc::timeout);
    ostler::cancel cancel;
    cancel.signal();
    CHECK(!cache.refer("a", cancel, failure));
    CHECK(failure == ostler::errc::cancelled);
    goes_on = true;
    builder.join();
}

TEST(cache_that_asks_for_itself_is_refused)
{
    ostler::templates *itself = nullptr;
    ostler::templates cache([&](std::string_view key, ostler::template_data &data) {
        EXPECT(itself->destroy() == ostler::errc::would_deadlock);
        data.assign(itself->refer(key).bytes());
    });
    itself = &cache;
    std::error_code failure;
    CHECK(!cache.refer("a", {}, failure));
    CHECK(failure == ostler::errc::build_failed);
    CHECK(std::strstr(ostler::last_error_message(), "wait for itself") != nullptr);
}

CHECK_MAIN()
