// Tracing: reports and groups through lambdas and exceptions.
#include "check.h"
#include <ostler.hpp>

#include <stdexcept>
#include <string>

namespace tracing = ostler::tracing;

namespace {

ostler::arena make_stable() { return ostler::arena(ostler::arena_config().named("stable")); }

} // namespace

TEST(report_names_what_is_alive_until_it_ends)
{
    tracing::start(tracing::config().every(1).frames(16));
    {
        const auto arena = make_stable();
        CHECK_STR_CONTAINS(tracing::report().c_str(), "arena \"stable\"");
        CHECK_STR_CONTAINS(tracing::report(tracing::by::object).c_str(), "make_stable");
        CHECK_EQ(tracing::stats().followed, 1u);
        CHECK_EQ(tracing::stats().sample_bytes, 1u);
    }
    CHECK(tracing::report().empty());
    tracing::stop();
    CHECK_EQ(tracing::stats().on, 0u);
}

TEST(groups_are_shown_to_a_lambda)
{
    tracing::start();
    const auto arena = make_stable();
    std::string function;
    std::uint64_t bytes = 0;
    tracing::visit(tracing::by::stack, [&](const ostler_trace_group &group) {
        bytes += group.bytes;
        for (std::uint32_t i = 0; i < group.frame_count; i++)
            function += group.frames[i].function + std::string(" ");
    });
    CHECK_EQ(bytes, arena.stats().mapped_bytes);
    CHECK_STR_CONTAINS(function.c_str(), "make_stable");
    tracing::stop();
}

TEST(exception_of_a_visitor_goes_on_and_ends_the_visit)
{
    tracing::start();
    const auto one = make_stable(), other = make_stable();
    int shown = 0;
    try {
        tracing::visit(tracing::by::stack, [&](const ostler_trace_group &) {
            shown++;
            throw std::runtime_error("enough");
        });
        FAIL("nothing was thrown");
    } catch (const std::runtime_error &error) {
        CHECK_STR_EQ(error.what(), "enough");
    }
    CHECK_EQ(shown, 1);
    tracing::stop();
}

TEST(a_field_out_of_range_is_an_error_in_both_forms)
{
    std::error_code failure;
    tracing::start(tracing::config().frames(65), failure);
    CHECK(failure == ostler::errc::invalid_argument);
    try {
        tracing::start(tracing::config().frames(65));
        FAIL("nothing was thrown");
    } catch (const ostler::error &error) {
        CHECK_STR_CONTAINS(error.what(), "max_frames is 65");
    }
}

CHECK_MAIN()
