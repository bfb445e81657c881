// Buffers and lazy values in C++: who owns what, and what is stopped at the boundary.
#include "check.h"
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <ostler.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

TEST(a_buffer_is_released_where_its_owner_ends)
{
    ostler::buffers set(ostler::buffers_config().at_most(1 << 20).named("cpp"));
    {
        ostler::buffer whole = set.lease(100);
        std::memcpy(whole.data(), "hello, world", 12);
        whole.truncate(12);
        ostler::buffer world = whole.slice(7, 5);
        CHECK_EQ(std::string(reinterpret_cast<char *>(world.data()), world.size()), "world");
        ostler::buffer again = world.share();
        CHECK_EQ(again.id().value, world.id().value);
        const auto pieces = set.gather({world.id(), whole.id()});
        CHECK_EQ(pieces[0].size_bytes + pieces[1].size_bytes, 17);
        ostler::buffer moved = std::move(whole);
        CHECK(!whole);
        CHECK_EQ(moved.size(), 12);
        CHECK_EQ(set.stats().in_use, 1);
    }
    CHECK_EQ(set.stats().in_use, 0);
    std::error_code failure;
    CHECK(!set.lease(2 << 20, failure));
    CHECK(failure == ostler::errc::limit);
    bool threw = false;
    try {
        (void)set.lease(64).slice(60, 5);
    } catch (const ostler::error &caught) {
        threw = caught.code() == ostler::errc::invalid_argument;
    }
    CHECK(threw);
    CHECK_EQ(set.close(), 0);
}

TEST(wrapped_memory_calls_its_function_once)
{
    ostler::buffers set;
    std::string text = "wrapped";
    int called = 0;
    {
        ostler::buffer view = set.wrap(text.data(), text.size(), [&] { called++; });
        CHECK(view.data() == reinterpret_cast<std::byte *>(text.data()));
        ostler::buffer part = view.slice(0, 1);
        view.release();
        CHECK_EQ(called, 0);
    }
    CHECK_EQ(called, 1);
}

TEST(a_lazy_value_is_typed_and_its_loader_may_throw)
{
    int loads = 0;
    bool away = true;
    ostler::lazy<std::string> words(
        [&] {
            if (away)
                throw std::runtime_error("the disk is away");
            loads++;
            return ostler::loaded<std::string>{std::make_unique<std::string>("loaded " + std::to_string(loads))};
        },
        "words");
    ostler::reader<std::string> reader(words);
    std::error_code failure;
    CHECK(!reader.pin({}, failure));
    CHECK(failure == ostler::errc::load_failed);
    CHECK_STR_CONTAINS(ostler::last_error_message(), "the disk is away");
    away = false;
    words.invalidate();
    {
        const ostler::pinned<std::string> value = reader.pin();
        CHECK_EQ(*value, "loaded 1");
        CHECK_EQ(words.drop(failure), 0);
        CHECK(failure == ostler::errc::busy);
        words.invalidate();
        CHECK_EQ(*value, "loaded 1");
        CHECK_EQ(value->size(), 8);
    }
    CHECK_EQ(*reader.pin(), "loaded 2");
    CHECK_EQ(words.drop(failure), sizeof(std::string));
    CHECK_EQ(words.stats().version, 2);
    ostler::lazy<std::string> moved = std::move(words);
    CHECK_EQ(*reader.pin(), "loaded 3");
}

TEST(a_lazy_file_is_read_when_it_is_wanted_and_read_anew)
{
    const char *room = std::getenv("TMPDIR");
    const std::string path = std::string(room ? room : "/tmp") + "/ostler-lazy-" + std::to_string(::getpid());
    const auto write = [&](const char *words) { std::ofstream(path) << words; };
    write("hello");
    ostler::lazy_file file(path, "words", ostler::page_source());
    CHECK_EQ(file.stats().is_loaded, 0);
    ostler::reader<ostler_lazy_content> reader(file);
    const auto words = [](const ostler_lazy_content &content) {
        const ostler::const_bytes bytes = ostler::contents(content);
        return std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
    };
    CHECK_EQ(words(*reader.pin()), "hello");
    write("other");
    CHECK_EQ(words(*reader.pin()), "hello");
    file.invalidate();
    CHECK_EQ(words(*reader.pin()), "other");
    ostler::lazy_file moved = std::move(file);
    CHECK(!file && moved.stats().version == 2);
    std::remove(path.c_str());
    moved.invalidate();
    std::error_code failure;
    CHECK(!reader.pin(ostler::forever, failure));
    CHECK(failure == ostler::errc::load_failed);
}

TEST(a_set_tells_of_its_sizes_and_chunks)
{
    ostler::buffers set;
    const ostler::buffer small = set.lease(1), large = set.lease(1 << 20);
    CHECK_EQ(set.class_stats(0).size_bytes, 256);
    CHECK_EQ(set.class_stats(0).in_use, 1);
    CHECK(set.receipt(0).mapped_bytes >= 256);
    std::error_code failure;
    set.class_stats(1000, failure);
    CHECK(failure == ostler::errc::invalid_argument);
    set.receipt(1000, failure);
    CHECK(failure == ostler::errc::invalid_argument);
}

CHECK_MAIN()
