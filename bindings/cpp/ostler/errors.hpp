// What goes wrong: a status as a std::error_code or an exception, with the words of the library.
#ifndef OSTLER_ERRORS_HPP
#define OSTLER_ERRORS_HPP

#include "ostler.h"
#include "ostler_inline.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace ostler {

/// One enumerator for each status of ostler.h, with its number.
enum class errc : int {
    ok = OSTLER_OK,
    invalid_argument = OSTLER_E_INVALID_ARGUMENT,
    invalid_handle = OSTLER_E_INVALID_HANDLE,
    closed = OSTLER_E_CLOSED,
    timeout = OSTLER_E_TIMEOUT,
    cancelled = OSTLER_E_CANCELLED,
    out_of_memory = OSTLER_E_OUT_OF_MEMORY,
    panic = OSTLER_E_PANIC,
    quarantined = OSTLER_E_QUARANTINED,
    would_deadlock = OSTLER_E_WOULD_DEADLOCK,
    forked = OSTLER_E_FORKED,
    unsupported = OSTLER_E_UNSUPPORTED,
    system = OSTLER_E_SYSTEM,
    callback_failed = OSTLER_E_CALLBACK_FAILED,
    limit = OSTLER_E_LIMIT,
    busy = OSTLER_E_BUSY,
    pages_unavailable = OSTLER_E_PAGES_UNAVAILABLE,
    node_unavailable = OSTLER_E_NODE_UNAVAILABLE,
    stale_mark = OSTLER_E_STALE_MARK,
    foreign_pointer = OSTLER_E_FOREIGN_POINTER,
    double_free = OSTLER_E_DOUBLE_FREE,
    overrun = OSTLER_E_OVERRUN,
    stale_block = OSTLER_E_STALE_BLOCK,
    stale_buffer = OSTLER_E_STALE_BUFFER,
    memory_pressure = OSTLER_E_MEMORY_PRESSURE,
    exhausted = OSTLER_E_EXHAUSTED,
    create_failed = OSTLER_E_CREATE_FAILED,
    stale_lease = OSTLER_E_STALE_LEASE,
    paused = OSTLER_E_PAUSED,
    stale_cell = OSTLER_E_STALE_CELL,
    already_completed = OSTLER_E_ALREADY_COMPLETED,
    build_failed = OSTLER_E_BUILD_FAILED,
    stale_template = OSTLER_E_STALE_TEMPLATE,
    overloaded = OSTLER_E_OVERLOADED,
    queue_full = OSTLER_E_QUEUE_FULL,
    load_failed = OSTLER_E_LOAD_FAILED,
    stale_ticket = OSTLER_E_STALE_TICKET,
    not_ready = OSTLER_E_NOT_READY,
    deadline_exceeded = OSTLER_E_DEADLINE_EXCEEDED,
    shed = OSTLER_E_SHED,
};

} // namespace ostler

template <> struct std::is_error_code_enum<ostler::errc> : std::true_type {};

namespace ostler {

class category_type final : public std::error_category {
  public:
    const char *name() const noexcept override { return "ostler"; }
    std::string message(int status) const override { return ostler_status_name(status); }
    /// So that a code can be compared with std::errc where that has the same meaning.
    std::error_condition default_error_condition(int status) const noexcept override
    {
        switch (static_cast<errc>(status)) {
        case errc::invalid_argument: return std::errc::invalid_argument;
        case errc::timeout: return std::errc::timed_out;
        case errc::cancelled: return std::errc::operation_canceled;
        case errc::out_of_memory: return std::errc::not_enough_memory;
        case errc::would_deadlock: return std::errc::resource_deadlock_would_occur;
        case errc::unsupported: return std::errc::not_supported;
        case errc::busy: return std::errc::device_or_resource_busy;
        default: return {status, *this};
        }
    }
};

namespace detail {

/// Lives for ever: threads of the library and destructors of static objects may come after the end of main.
template <class T> union immortal {
    T value;
    constexpr immortal() : value() {}
    ~immortal() {}
};

} // namespace detail

inline const std::error_category &category() noexcept
{
    static const detail::immortal<category_type> instance;
    return instance.value;
}

inline std::error_code make_error_code(errc status) noexcept { return {static_cast<int>(status), category()}; }

/// What the throwing forms throw: the status as its code(), and the words of the library in its what().
class error : public std::system_error {
  public:
    error(errc status, const std::string &words) : std::system_error(make_error_code(status), words) {}
    errc status() const noexcept { return static_cast<errc>(code().value()); }
};

/// The words of this thread's last failure.
inline const char *last_error_message() noexcept { return ostler_last_error_message(); }

namespace detail {

template <class Exception> [[noreturn]] void raise_it([[maybe_unused]] const Exception &exception)
{
#ifdef __cpp_exceptions
    throw exception;
#else
    std::terminate();
#endif
}

[[noreturn]] inline void raise(ostler_status status, const char *words = ostler_last_error_message())
{
    raise_it(error(static_cast<errc>(status), words));
}

inline void check(ostler_status status)
{
    if (status != OSTLER_OK)
        raise(status);
}

inline bool note(ostler_status status, std::error_code &failure) noexcept
{
    failure.assign(status, category());
    return status == OSTLER_OK;
}

/// The throwing form of a call, from the one that takes an error code.
template <class Call> auto thrown(Call &&call) -> decltype(call(std::declval<std::error_code &>()))
{
    std::error_code failure;
    if constexpr (std::is_void_v<decltype(call(failure))>) {
        call(failure);
        if (failure)
            raise(failure.value());
    } else {
        auto result = call(failure);
        if (failure)
            raise(failure.value());
        return result;
    }
}

inline ostler_status fail(ostler_status status, const char *words) noexcept
{
    ostler_callback_set_message(words);
    return status == OSTLER_OK ? OSTLER_E_CALLBACK_FAILED : status;
}

/// Runs the host's part of a callback; no exception leaves it.
template <class Body> ostler_status guarded(Body &&body) noexcept
{
#ifdef __cpp_exceptions
    try {
        return body();
    } catch (const error &caught) {
        return fail(caught.code().value(), caught.what());
    } catch (const std::exception &caught) {
        return fail(OSTLER_E_CALLBACK_FAILED, caught.what());
    } catch (...) {
        return fail(OSTLER_E_CALLBACK_FAILED, "an exception that is no std::exception");
    }
#else
    return body();
#endif
}

/// The same for a callback that cannot tell of a failure: the exception goes no further.
template <class Body> void swallowed(Body &&body) noexcept
{
#ifdef __cpp_exceptions
    try {
        body();
    } catch (...) {
    }
#else
    body();
#endif
}

/// A name that is too long fills the field and has no NUL there, which the library refuses.
template <std::size_t N> void set_name(char (&field)[N], std::string_view name) noexcept
{
    std::fill(field + name.copy(field, N), field + N, '\0');
}

/// Words that are too long are cut, between two characters of UTF-8.
template <std::size_t N> void set_words(char (&field)[N], std::string_view words) noexcept
{
    std::size_t length = std::min(words.size(), N - 1);
    while (length > 0 && length < words.size() && (words[length] & 0xc0) == 0x80)
        length--;
    field[words.copy(field, length)] = '\0';
}

template <class Struct> Struct sized() noexcept
{
    Struct value{};
    value.struct_size = sizeof(Struct);
    return value;
}

} // namespace detail

} // namespace ostler

#endif
