// The library as a whole: its version, its log, its end.
#ifndef OSTLER_LIBRARY_HPP
#define OSTLER_LIBRARY_HPP

#include "units.hpp"

#include <functional>
#include <memory>
#include <mutex>

namespace ostler {

inline const char *version() noexcept { return ostler_version_string(); }
inline std::uint32_t version_number() noexcept { return ostler_version(); }

/// Throws when the library that is loaded does not fit the header that this program was compiled with.
inline void check_version() { detail::check(ostler_version_check(OSTLER_VERSION_NUMBER)); }
inline void check_version(std::error_code &failure) noexcept
{
    detail::note(ostler_version_check(OSTLER_VERSION_NUMBER), failure);
}

/// Destroys everything and joins every thread of the library, then waits for leases, tickets and cursors that are still
/// out; tells how many are. No other thread may be ending a pool or model meanwhile.
inline std::uint64_t shutdown(duration timeout, std::error_code &failure) noexcept
{
    std::uint64_t still_out = 0;
    detail::note(ostler_shutdown(timeout.ns(), &still_out), failure);
    return still_out;
}
inline void shutdown(duration timeout = forever) { detail::check(ostler_shutdown(timeout.ns(), nullptr)); }

using log_function = std::function<void(std::uint32_t level, std::string_view line)>;

namespace detail {

/// Where the log goes. Each line holds on to its function, so that a function may set another one while it runs.
struct log_sink {
    std::mutex lock;
    std::shared_ptr<log_function> current;

    static log_sink &instance() noexcept
    {
        static immortal<log_sink> sink;
        return sink.value;
    }
    std::shared_ptr<log_function> get()
    {
        const std::lock_guard<std::mutex> hold(lock);
        return current;
    }
    std::shared_ptr<log_function> exchange(std::shared_ptr<log_function> next)
    {
        const std::lock_guard<std::mutex> hold(lock);
        return std::exchange(current, std::move(next));
    }
    static void deliver(void *, std::uint32_t level, const char *line) noexcept
    {
        swallowed([&] {
            if (const auto sink = instance().get())
                (*sink)(level, line);
        });
    }
};

} // namespace detail

/// Sends the log to a function; an empty one silences it. One log for the whole process. Throws nothing but
/// std::bad_alloc.
inline void set_log(std::uint32_t max_level, log_function sink, std::error_code &failure)
{
    auto next = sink ? std::make_shared<log_function>(std::move(sink)) : nullptr;
    const auto deliver = next ? detail::log_sink::deliver : nullptr;
    // The function before lives until the library has no line on its way to it.
    auto before = detail::log_sink::instance().exchange(std::move(next));
    if (!detail::note(ostler_log_set(deliver ? max_level : OSTLER_LOG_ERROR, deliver, nullptr), failure))
        detail::log_sink::instance().exchange(std::move(before));
}
inline void set_log(std::uint32_t max_level, log_function sink)
{
    detail::thrown([&](std::error_code &failure) { set_log(max_level, std::move(sink), failure); });
}

} // namespace ostler

#endif
