// Errors: each status is one enumerator; both forms of a call tell the same.
#include "check.h"
#include <ostler.hpp>

#include <map>
#include <set>

namespace {

const std::map<ostler::errc, std::string> names = {
    {ostler::errc::ok, "OSTLER_OK"},
    {ostler::errc::invalid_argument, "OSTLER_E_INVALID_ARGUMENT"},
    {ostler::errc::invalid_handle, "OSTLER_E_INVALID_HANDLE"},
    {ostler::errc::closed, "OSTLER_E_CLOSED"},
    {ostler::errc::timeout, "OSTLER_E_TIMEOUT"},
    {ostler::errc::cancelled, "OSTLER_E_CANCELLED"},
    {ostler::errc::out_of_memory, "OSTLER_E_OUT_OF_MEMORY"},
    {ostler::errc::panic, "OSTLER_E_PANIC"},
    {ostler::errc::quarantined, "OSTLER_E_QUARANTINED"},
    {ostler::errc::would_deadlock, "OSTLER_E_WOULD_DEADLOCK"},
    {ostler::errc::forked, "OSTLER_E_FORKED"},
    {ostler::errc::unsupported, "OSTLER_E_UNSUPPORTED"},
    {ostler::errc::system, "OSTLER_E_SYSTEM"},
    {ostler::errc::callback_failed, "OSTLER_E_CALLBACK_FAILED"},
    {ostler::errc::limit, "OSTLER_E_LIMIT"},
    {ostler::errc::busy, "OSTLER_E_BUSY"},
    {ostler::errc::pages_unavailable, "OSTLER_E_PAGES_UNAVAILABLE"},
    {ostler::errc::node_unavailable, "OSTLER_E_NODE_UNAVAILABLE"},
    {ostler::errc::stale_mark, "OSTLER_E_STALE_MARK"},
    {ostler::errc::foreign_pointer, "OSTLER_E_FOREIGN_POINTER"},
    {ostler::errc::double_free, "OSTLER_E_DOUBLE_FREE"},
    {ostler::errc::overrun, "OSTLER_E_OVERRUN"},
    {ostler::errc::stale_block, "OSTLER_E_STALE_BLOCK"},
    {ostler::errc::stale_buffer, "OSTLER_E_STALE_BUFFER"},
    {ostler::errc::memory_pressure, "OSTLER_E_MEMORY_PRESSURE"},
    {ostler::errc::exhausted, "OSTLER_E_EXHAUSTED"},
    {ostler::errc::create_failed, "OSTLER_E_CREATE_FAILED"},
    {ostler::errc::stale_lease, "OSTLER_E_STALE_LEASE"},
    {ostler::errc::paused, "OSTLER_E_PAUSED"},
    {ostler::errc::stale_cell, "OSTLER_E_STALE_CELL"},
    {ostler::errc::already_completed, "OSTLER_E_ALREADY_COMPLETED"},
    {ostler::errc::build_failed, "OSTLER_E_BUILD_FAILED"},
    {ostler::errc::stale_template, "OSTLER_E_STALE_TEMPLATE"},
    {ostler::errc::overloaded, "OSTLER_E_OVERLOADED"},
    {ostler::errc::queue_full, "OSTLER_E_QUEUE_FULL"},
    {ostler::errc::load_failed, "OSTLER_E_LOAD_FAILED"},
    {ostler::errc::stale_ticket, "OSTLER_E_STALE_TICKET"},
    {ostler::errc::not_ready, "OSTLER_E_NOT_READY"},
    {ostler::errc::deadline_exceeded, "OSTLER_E_DEADLINE_EXCEEDED"},
    {ostler::errc::shed, "OSTLER_E_SHED"},
};

} // namespace

TEST(every_status_of_the_library_is_one_enumerator)
{
    std::set<std::string> known;
    for (int number = 0; number >= -1000; number--) {
        const std::string name = ostler_status_name(number);
        const auto found = names.find(static_cast<ostler::errc>(number));
        if (name == "OSTLER_E_UNKNOWN") {
            CHECK(found == names.end());
            continue;
        }
        CHECK(found != names.end());
        CHECK_STR_EQ(found->second.c_str(), name.c_str());
        known.insert(name);
    }
    CHECK_EQ(known.size(), names.size());
}

TEST(codes_compare_with_enumerators_and_have_the_names_of_c)
{
    const std::error_code code = ostler::errc::timeout;
    CHECK(code == ostler::errc::timeout);
    CHECK(code != ostler::errc::closed);
    CHECK_STR_EQ(code.category().name(), "ostler");
    CHECK_STR_EQ(code.message().c_str(), "OSTLER_E_TIMEOUT");
    CHECK(!std::error_code(ostler::errc::ok));
}

TEST(codes_compare_with_the_conditions_of_the_standard)
{
    CHECK(make_error_code(ostler::errc::timeout) == std::errc::timed_out);
    CHECK(make_error_code(ostler::errc::cancelled) == std::errc::operation_canceled);
    CHECK(make_error_code(ostler::errc::out_of_memory) == std::errc::not_enough_memory);
    CHECK(make_error_code(ostler::errc::queue_full) != std::errc::timed_out);
}

TEST(throwing_form_carries_the_words_of_the_library)
{
    try {
        ostler::arena arena(ostler::arena_config().chunks_of(1));
        FAIL("an arena of chunks of 1 byte was made");
    } catch (const ostler::error &caught) {
        CHECK(caught.status() == ostler::errc::invalid_argument);
        CHECK_STR_CONTAINS(caught.what(), "chunk_bytes is 1");
    }
}

TEST(other_form_throws_nothing_and_leaves_the_words)
{
    std::error_code failure;
    const auto arena = ostler::arena::open(ostler::arena_config().chunks_of(1), failure);
    CHECK(failure == ostler::errc::invalid_argument);
    CHECK(!arena);
    CHECK_STR_CONTAINS(ostler::last_error_message(), "chunk_bytes is 1");
    const auto good = ostler::arena::open(ostler::arena_config(), failure);
    CHECK(!failure);
    CHECK(static_cast<bool>(good));
}

TEST(moved_handle_is_empty_and_its_target_works)
{
    ostler::cancel first;
    ostler::cancel second = std::move(first);
    CHECK(!first);
    second.signal();
    std::error_code failure;
    first.signal(failure);
    CHECK(failure == ostler::errc::invalid_handle);
    first = std::move(second);
    first.signal();
}

TEST(durations_become_nanoseconds)
{
    CHECK_EQ(ostler::duration(std::chrono::milliseconds(3)).ns(), 3000000u);
    CHECK_EQ(ostler::duration(std::chrono::duration<double>(0.25)).ns(), 250000000u);
    CHECK_EQ(ostler::duration(std::chrono::nanoseconds(INT64_MAX - 1)).ns(), std::uint64_t{INT64_MAX} - 1);
    CHECK_EQ(ostler::forever.ns(), OSTLER_FOREVER);
    CHECK_EQ(ostler::duration(std::chrono::nanoseconds::max()).ns(), OSTLER_FOREVER);
    CHECK_EQ(ostler::duration(std::chrono::seconds::max()).ns(), OSTLER_FOREVER);
    CHECK_EQ(ostler::duration(std::chrono::hours::max()).ns(), OSTLER_FOREVER);
    CHECK_EQ(ostler::duration(std::chrono::hours::min()).ns(), 0u);
    CHECK_EQ(ostler::duration(std::chrono::seconds(-1)).ns(), 0u);
    CHECK_EQ(ostler::wait_limit(std::chrono::hours::max()).timeout_ns(), OSTLER_FOREVER);
    CHECK_EQ(ostler::request().within(std::chrono::hours::max()).deadline_after_ns, 0u);
}

TEST(name_that_is_too_long_is_refused)
{
    std::error_code failure;
    ostler::arena::open(ostler::arena_config().named(std::string(OSTLER_NAME_BYTES - 1, 'a')), failure);
    CHECK(!failure);
    ostler::arena::open(ostler::arena_config().named(std::string(OSTLER_NAME_BYTES, 'a')), failure);
    CHECK(failure == ostler::errc::invalid_argument);
    CHECK_STR_CONTAINS(ostler::last_error_message(), "name");
}

TEST(bytes_are_made_from_containers)
{
    const std::vector<std::uint32_t> numbers = {1, 2, 3};
    CHECK_EQ(ostler::const_bytes(numbers).size(), 12u);
    CHECK_EQ(static_cast<const void *>(ostler::const_bytes(numbers).data()), static_cast<const void *>(numbers.data()));
    CHECK_EQ(ostler::const_bytes(std::string_view("hay")).size(), 3u);
    char room[8];
    const ostler::mutable_bytes bytes = room;
    CHECK_EQ(bytes.size(), 8u);
    CHECK_EQ(ostler::const_bytes(bytes).end() - bytes.begin(), 8);
    static_assert(!std::is_constructible_v<ostler::const_bytes, std::string>, "bytes that are gone at the semicolon");
    static_assert(!std::is_constructible_v<ostler::const_bytes, const char (&)[4]>, "a literal with its NUL");
    static_assert(std::is_constructible_v<ostler::const_bytes, ostler::mutable_bytes>, "a view of a view");
    static_assert(!std::is_constructible_v<ostler::mutable_bytes, const std::vector<int> &>, "bytes that may not change");
    static_assert(!std::is_constructible_v<ostler::const_bytes, std::vector<std::string> &>, "bytes that mean nothing");
#if __cplusplus >= 202002L
    CHECK_EQ(std::span<const std::byte>(ostler::const_bytes(numbers)).size(), 12u);
    CHECK_EQ(std::span<std::byte>(ostler::mutable_bytes(room)).size(), 8u);
    CHECK_EQ(ostler::const_bytes(std::span(numbers)).size(), 12u);
#endif
}

TEST(version_is_that_of_the_header)
{
    ostler::check_version();
    std::error_code failure;
    ostler::check_version(failure);
    CHECK(!failure);
    CHECK_EQ(ostler::version_number(), OSTLER_VERSION_NUMBER);
    CHECK_STR_EQ(ostler::version(), ostler_version_string());
}

TEST(shutdown_ends_every_handle)
{
    ostler::arena arena;
    std::error_code failure;
    CHECK_EQ(ostler::shutdown(ostler::forever, failure), 0u);
    CHECK(!failure);
    arena.allocate(1, 1, failure);
    CHECK(failure == ostler::errc::invalid_handle);
    ostler::arena anew;
    CHECK(anew.allocate(1) != nullptr);
}

TEST(topology_tells_of_the_machine_and_of_a_description)
{
    const ostler::topology machine;
    CHECK(machine.info().cpu_count >= 1);
    CHECK(machine.info().is_this_machine == 1);
    const ostler::topology planned("node:2 core:4 pu:2");
    CHECK_EQ(planned.info().node_count, 2u);
    CHECK_EQ(planned.info().cpu_count, 16u);
    CHECK_EQ(planned.node(1).cpu_count, 8u);
    std::error_code failure;
    planned.node(2, failure);
    CHECK(failure == ostler::errc::invalid_argument);
}

TEST(log_goes_to_a_function_and_can_be_silenced)
{
    int lines = 0;
    ostler::set_log(OSTLER_LOG_DEBUG, [&](std::uint32_t, std::string_view) {
        __atomic_add_fetch(&lines, 1, __ATOMIC_SEQ_CST);
        throw std::runtime_error("the log is full");
    });
    {
        ostler::orchestrator orchestrator;
        ostler::model<int> model(
            orchestrator, [](std::uint32_t) { return std::make_unique<int>(1); }, [](int &, const ostler::batch &) {});
        model.wait_ready();
    }
    ostler::set_log(0, nullptr);
    std::error_code failure;
    ostler::set_log(99, [](std::uint32_t, std::string_view) {}, failure);
    CHECK(failure == ostler::errc::invalid_argument);
    CHECK(__atomic_load_n(&lines, __ATOMIC_SEQ_CST) > 0);
}

CHECK_MAIN()
