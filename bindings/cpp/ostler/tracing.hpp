// Tracing: who took what, and from where.
#ifndef OSTLER_TRACING_HPP
#define OSTLER_TRACING_HPP

#include "handle.hpp"

#include <exception>
#include <string>
#include <utility>

namespace ostler {

/// Who took what, and from where: one switch for the whole process.
namespace tracing {

/// The C struct with its defaults, and setters that can be chained.
struct config : ostler_tracing_config {
    config() noexcept : ostler_tracing_config(detail::sized<ostler_tracing_config>()) {}
    config &frames(std::uint32_t most) noexcept { return max_frames = most, *this; }
    /// One block in so many bytes, on average; 1: each.
    config &every(std::uint64_t bytes) noexcept { return sample_bytes = bytes, *this; }
    config &seeded(std::uint64_t with) noexcept { return seed = with, *this; }
};

enum class by : std::uint32_t {
    stack = OSTLER_TRACING_BY_STACK,
    object = OSTLER_TRACING_BY_OBJECT,
};

inline void start(const config &how = {}) { detail::check(ostler_tracing_start(&how)); }
inline void start(const config &how, std::error_code &failure) noexcept
{
    detail::note(ostler_tracing_start(&how), failure);
}
inline void stop() { detail::check(ostler_tracing_stop()); }
inline void stop(std::error_code &failure) noexcept { detail::note(ostler_tracing_stop(), failure); }

inline ostler_tracing_stats stats(std::error_code &failure) noexcept
{
    auto stats = detail::sized<ostler_tracing_stats>();
    detail::note(ostler_tracing_get_stats(&stats), failure);
    return stats;
}
inline ostler_tracing_stats stats()
{
    return detail::thrown([](std::error_code &failure) { return stats(failure); });
}

/// What is alive, for people. Throws nothing but std::bad_alloc.
inline std::string report(by order, std::error_code &failure)
{
    std::uint64_t needed = 0;
    std::string text;
    // More may be taken between two calls.
    do {
        text.resize(needed);
        const auto number = static_cast<std::uint32_t>(order);
        if (!detail::note(ostler_tracing_report(number, text.data(), text.size(), &needed), failure))
            return {};
    } while (needed > text.size());
    text.resize(needed - 1);
    return text;
}
inline std::string report(by order = by::stack)
{
    return detail::thrown([&](std::error_code &failure) { return report(order, failure); });
}

/// Shows each group (a const ostler_trace_group &, good during the call) to a function. When it throws, it is shown no
/// more, and what it threw goes on from here.
template <class Visitor> void visit(by order, Visitor &&visitor, std::error_code &failure)
{
    struct visit {
        Visitor &visitor;
        std::exception_ptr thrown;

        static void show(void *self, const ostler_trace_group *group) noexcept
        {
            auto &here = *static_cast<visit *>(self);
            if (here.thrown)
                return;
#if defined(__cpp_exceptions)
            try {
                here.visitor(*group);
            } catch (...) {
                here.thrown = std::current_exception();
            }
#else
            here.visitor(*group);
#endif
        }
    } here{visitor, nullptr};
    detail::note(ostler_tracing_visit(static_cast<std::uint32_t>(order), visit::show, &here), failure);
    if (here.thrown)
        std::rethrow_exception(std::move(here.thrown));
}
template <class Visitor> void visit(by order, Visitor &&visitor)
{
    detail::thrown([&](std::error_code &failure) { visit(order, visitor, failure); });
}

} // namespace tracing

} // namespace ostler

#endif
