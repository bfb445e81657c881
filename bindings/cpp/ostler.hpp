// Ostler for C++17: the C header with owners, durations, lambdas and exceptions. Header-only; link libostler.
//
// Each call that can fail comes twice: the plain form throws ostler::error, the form with a std::error_code & as its last
// argument does not throw and leaves the words in ostler::last_error_message(). An exception that leaves a callback is
// stopped here and becomes the failure of that callback, with its what(). Compiled without exceptions, the plain forms end
// the program instead of throwing.
#ifndef OSTLER_HPP
#define OSTLER_HPP

#include "ostler.h"
#include "ostler_inline.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>
#if __cplusplus >= 202002L
#include <span>
#endif
#ifdef __cpp_impl_coroutine
#include <coroutine>
#endif

namespace ostler {

// ---- errors ----

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

// ---- time, bytes ----

/// A time as the header wants it, made from any std::chrono::duration. One below 0 is 0, one that is too long to count
/// in nanoseconds lasts for ever.
class duration {
  public:
    template <class Number, class Period>
    constexpr duration(std::chrono::duration<Number, Period> time) noexcept : ns_(to_ns(time))
    {
    }
    static constexpr duration endless() noexcept { return duration(OSTLER_FOREVER); }
    constexpr std::uint64_t ns() const noexcept { return ns_; }

  private:
    explicit constexpr duration(std::uint64_t ns) noexcept : ns_(ns) {}

    template <class Number, class Period>
    static constexpr std::uint64_t to_ns(std::chrono::duration<Number, Period> time) noexcept
    {
        // In floating point nothing overflows, so the bounds are looked at there.
        const auto ns = std::chrono::duration<long double, std::nano>(time).count();
        if (!(ns > 0))
            return 0;
        if (ns >= static_cast<long double>(INT64_MAX))
            return OSTLER_FOREVER;
        return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
    }

    std::uint64_t ns_;
};

/// A time-out that never ends.
inline constexpr duration forever = duration::endless();

/// A pointer and a length in bytes; made from a container of trivially copyable elements, or from the two. Nothing is
/// copied, so a container that ends with the expression is refused; so is a literal, which would count its NUL: write
/// std::string_view("text").
template <class Byte> class basic_bytes {
    using any = std::conditional_t<std::is_const_v<Byte>, const void, void>;
    // What owns its elements is not copied so lightly, but for an array.
    template <class Container>
    static constexpr bool is_view = std::is_trivially_copyable_v<Container> && !std::is_array_v<Container>;

  public:
    constexpr basic_bytes() noexcept = default;
    basic_bytes(any *data, std::size_t size) noexcept : data_(static_cast<Byte *>(data)), size_(size) {}
    template <class Container, class Element = std::remove_pointer_t<decltype(std::data(std::declval<Container &>()))>,
              class = std::enable_if_t<std::is_trivially_copyable_v<Element> && std::is_convertible_v<Element *, any *>>,
              class = std::enable_if_t<std::is_lvalue_reference_v<Container> || is_view<Container>>>
    basic_bytes(Container &&container) noexcept
        : basic_bytes(static_cast<any *>(std::data(container)), std::size(container) * sizeof(Element))
    {
    }

    template <std::size_t Size> basic_bytes(const char (&literal)[Size]) = delete;

    constexpr Byte *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr Byte *begin() const noexcept { return data_; }
    constexpr Byte *end() const noexcept { return data_ + size_; }

  private:
    Byte *data_ = nullptr;
    std::size_t size_ = 0;
};

using const_bytes = basic_bytes<const std::byte>;
using mutable_bytes = basic_bytes<std::byte>;

} // namespace ostler

#if __cplusplus >= 202002L
/// With this a std::span of bytes can be made from the bytes that a function returns.
template <class Byte> inline constexpr bool std::ranges::enable_borrowed_range<ostler::basic_bytes<Byte>> = true;
#endif

namespace ostler {

// ---- library ----

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

// ---- handles ----

/// Owns a handle of the C header. Moved, never copied.
template <class C, ostler_status (*Destroy)(C *)> class handle {
  public:
    handle() noexcept = default;
    explicit handle(C *raw) noexcept : raw_(raw) {}
    handle(handle &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    handle &operator=(handle &&other) noexcept
    {
        if (this != &other) {
            destroy();
            raw_ = std::exchange(other.raw_, nullptr);
        }
        return *this;
    }
    ~handle() { destroy(); }

    C *get() const noexcept { return raw_; }
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /// Gives the handle up; the caller destroys it.
    C *detach() noexcept { return std::exchange(raw_, nullptr); }
    /// Destroys it now. While the object may still be there the handle is kept, as with would_deadlock from inside one of
    /// its own callbacks.
    errc destroy() noexcept
    {
        const ostler_status status = Destroy(raw_);
        if (status == OSTLER_OK || status == OSTLER_E_INVALID_HANDLE)
            raw_ = nullptr;
        return static_cast<errc>(status);
    }

  private:
    C *raw_ = nullptr;
};

/// Ends waits from another thread.
class cancel : public handle<ostler_cancel, ostler_cancel_destroy> {
  public:
    cancel()
    {
        *this = detail::thrown([](std::error_code &failure) { return open(failure); });
    }
    static cancel open(std::error_code &failure) noexcept
    {
        ostler_cancel *made = nullptr;
        detail::note(ostler_cancel_create(&made), failure);
        return cancel(made);
    }
    void signal() { detail::check(ostler_cancel_signal(get())); }
    void signal(std::error_code &failure) noexcept { detail::note(ostler_cancel_signal(get()), failure); }

  private:
    explicit cancel(ostler_cancel *raw) noexcept : handle(raw) {}
};

/// How long a wait may take and what else ends it: a duration, a cancel, or {duration, &cancel}.
class wait_limit {
  public:
    wait_limit() noexcept = default;
    template <class Time, class = std::enable_if_t<std::is_convertible_v<Time, duration>>>
    wait_limit(Time time, const cancel *stop = nullptr) noexcept : timeout_(time), stop_(stop)
    {
    }
    wait_limit(const cancel &stop) noexcept : stop_(&stop) {}

    std::uint64_t timeout_ns() const noexcept { return timeout_.ns(); }
    ostler_cancel *stop() const noexcept { return stop_ ? stop_->get() : nullptr; }

  private:
    duration timeout_ = forever;
    const cancel *stop_ = nullptr;
};

// ---- topology ----

/// The machine's nodes, CPUs, caches and pages, or those of a description such as "node:2 core:4 pu:2".
class topology : public handle<ostler_topology, ostler_topology_destroy> {
  public:
    explicit topology(const char *synthetic = nullptr)
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(synthetic, failure); });
    }
    static topology open(const char *synthetic, std::error_code &failure) noexcept
    {
        ostler_topology *made = nullptr;
        detail::note(ostler_topology_create(synthetic, &made), failure);
        return topology(made);
    }

    ostler_topology_info info() const { return thrown_of<ostler_topology_info>(ostler_topology_get_info); }
    ostler_topology_info info(std::error_code &failure) const noexcept
    {
        return of<ostler_topology_info>(failure, ostler_topology_get_info);
    }
    ostler_node_info node(std::uint32_t index) const { return thrown_of<ostler_node_info>(ostler_topology_get_node, index); }
    ostler_node_info node(std::uint32_t index, std::error_code &failure) const noexcept
    {
        return of<ostler_node_info>(failure, ostler_topology_get_node, index);
    }
    ostler_cpu_info cpu(std::uint32_t index) const { return thrown_of<ostler_cpu_info>(ostler_topology_get_cpu, index); }
    ostler_cpu_info cpu(std::uint32_t index, std::error_code &failure) const noexcept
    {
        return of<ostler_cpu_info>(failure, ostler_topology_get_cpu, index);
    }
    ostler_cache_info cache(std::uint32_t index) const
    {
        return thrown_of<ostler_cache_info>(ostler_topology_get_cache, index);
    }
    ostler_cache_info cache(std::uint32_t index, std::error_code &failure) const noexcept
    {
        return of<ostler_cache_info>(failure, ostler_topology_get_cache, index);
    }
    /// node_index may be OSTLER_ALL_NODES.
    ostler_page_info pages(std::uint32_t node_index, std::uint32_t page_size_index) const
    {
        return thrown_of<ostler_page_info>(ostler_topology_get_pages, node_index, page_size_index);
    }
    ostler_page_info pages(std::uint32_t node_index, std::uint32_t page_size_index, std::error_code &failure) const noexcept
    {
        return of<ostler_page_info>(failure, ostler_topology_get_pages, node_index, page_size_index);
    }

  private:
    explicit topology(ostler_topology *raw) noexcept : handle(raw) {}

    template <class Info, class Get, class... Index>
    Info of(std::error_code &failure, Get get_info, Index... index) const noexcept
    {
        auto info = detail::sized<Info>();
        detail::note(get_info(get(), index..., &info), failure);
        return info;
    }
    template <class Info, class Get, class... Index> Info thrown_of(Get get_info, Index... index) const
    {
        return detail::thrown([&](std::error_code &failure) { return of<Info>(failure, get_info, index...); });
    }
};

// ---- arena, cursor ----

enum class pages : std::uint32_t {
    transparent = OSTLER_PAGES_TRANSPARENT,
    base = OSTLER_PAGES_BASE,
    huge_2m = OSTLER_PAGES_2M,
    huge_1g = OSTLER_PAGES_1G,
    best = OSTLER_PAGES_BEST,
};

enum class nodes : std::uint32_t {
    any = OSTLER_NODE_ANY,
    local = OSTLER_NODE_LOCAL,
    one = OSTLER_NODE_ONE,
    interleave = OSTLER_NODE_INTERLEAVE,
};

enum class reset_mode : std::uint32_t { keep_pages = OSTLER_RESET_KEEP_PAGES, return_pages = OSTLER_RESET_RETURN_PAGES };

/// The C struct with its defaults, and setters that can be chained.
struct arena_config : ostler_arena_config {
    arena_config() noexcept : ostler_arena_config(detail::sized<ostler_arena_config>()) {}
    arena_config &on(ostler::pages policy) noexcept { return page_policy = static_cast<std::uint32_t>(policy), *this; }
    arena_config &on(ostler::nodes policy, std::uint32_t number = 0) noexcept
    {
        return node_policy = static_cast<std::uint32_t>(policy), node = number, *this;
    }
    arena_config &strictly() noexcept { return strict = 1, *this; }
    arena_config &prefaulted() noexcept { return prefault = 1, *this; }
    arena_config &chunks_of(std::uint64_t bytes) noexcept { return chunk_bytes = bytes, *this; }
    arena_config &at_most(std::uint64_t bytes) noexcept { return limit_bytes = bytes, *this; }
    arena_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

/// Memory on the pages and the node asked for, shared by many threads and given back all at once.
class arena : public handle<ostler_arena, ostler_arena_destroy> {
  public:
    explicit arena(const ostler_arena_config &config = arena_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(config, failure); });
    }
    static arena open(const ostler_arena_config &config, std::error_code &failure) noexcept
    {
        ostler_arena *made = nullptr;
        detail::note(ostler_arena_create(&config, &made), failure);
        return arena(made);
    }

    void *allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
    {
        return detail::thrown([&](std::error_code &failure) { return allocate(bytes, alignment, failure); });
    }
    void *allocate(std::size_t bytes, std::size_t alignment, std::error_code &failure) noexcept
    {
        void *memory = nullptr;
        detail::note(ostler_arena_alloc(get(), bytes, alignment, &memory), failure);
        return memory;
    }

    ostler_mark mark()
    {
        return detail::thrown([&](std::error_code &failure) { return mark(failure); });
    }
    ostler_mark mark(std::error_code &failure) noexcept
    {
        ostler_mark here{};
        detail::note(ostler_arena_mark(get(), &here), failure);
        return here;
    }
    void rewind(const ostler_mark &mark) { detail::check(ostler_arena_rewind(get(), &mark)); }
    void rewind(const ostler_mark &mark, std::error_code &failure) noexcept
    {
        detail::note(ostler_arena_rewind(get(), &mark), failure);
    }
    void reset(reset_mode mode = reset_mode::keep_pages)
    {
        detail::check(ostler_arena_reset(get(), static_cast<std::uint32_t>(mode)));
    }
    void reset(reset_mode mode, std::error_code &failure) noexcept
    {
        detail::note(ostler_arena_reset(get(), static_cast<std::uint32_t>(mode)), failure);
    }

    ostler_arena_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_arena_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_arena_stats>();
        detail::note(ostler_arena_get_stats(get(), &stats), failure);
        return stats;
    }
    /// What a chunk asked for and got, asked of the kernel anew.
    ostler_receipt receipt(std::uint64_t chunk) const
    {
        return detail::thrown([&](std::error_code &failure) { return receipt(chunk, failure); });
    }
    ostler_receipt receipt(std::uint64_t chunk, std::error_code &failure) const noexcept
    {
        auto receipt = detail::sized<ostler_receipt>();
        detail::note(ostler_arena_get_receipt(get(), chunk, &receipt), failure);
        return receipt;
    }
    /// The receipts of all chunks as a table.
    std::string receipts() const
    {
        return detail::thrown([&](std::error_code &failure) { return receipts(failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::string receipts(std::error_code &failure) const
    {
        std::uint64_t needed = 0;
        std::string table;
        // Chunks may be added between two calls.
        do {
            table.resize(needed);
            if (!detail::note(ostler_arena_print_receipts(get(), table.data(), table.size(), &needed), failure))
                return {};
        } while (needed > table.size());
        table.resize(needed - 1);
        return table;
    }

    /// Takes no new work and waits for open cursors; tells how many are still open.
    std::uint64_t close(wait_limit limit, std::error_code &failure) noexcept
    {
        std::uint64_t still_out = 0;
        detail::note(ostler_arena_close(get(), limit.timeout_ns(), limit.stop(), &still_out), failure);
        return still_out;
    }
    void close(wait_limit limit = {})
    {
        detail::check(ostler_arena_close(get(), limit.timeout_ns(), limit.stop(), nullptr));
    }

  private:
    explicit arena(ostler_arena *raw) noexcept : handle(raw) {}
};

/// One thread's region of an arena: allocation without a call into the library.
class cursor : public handle<ostler_cursor, ostler_cursor_close> {
  public:
    explicit cursor(const arena &from)
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(from, failure); });
    }
    static cursor open(const arena &from, std::error_code &failure) noexcept
    {
        ostler_cursor *made = nullptr;
        detail::note(ostler_cursor_open(from.get(), &made), failure);
        return cursor(made);
    }

    void *allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
    {
        void *memory = nullptr;
        detail::check(ostler_cursor_alloc_inline(get(), bytes, alignment, &memory));
        return memory;
    }
    void *allocate(std::size_t bytes, std::size_t alignment, std::error_code &failure) noexcept
    {
        void *memory = nullptr;
        detail::note(ostler_cursor_alloc_inline(get(), bytes, alignment, &memory), failure);
        return memory;
    }

  private:
    explicit cursor(ostler_cursor *raw) noexcept : handle(raw) {}
};

/// An arena or a cursor as a std::pmr::memory_resource, which it must outlive. Memory comes back with the arena's reset.
template <class Source> class memory_resource final : public std::pmr::memory_resource {
  public:
    explicit memory_resource(Source &source) noexcept : source_(&source) {}

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        std::error_code failure;
        void *memory = source_->allocate(bytes, alignment, failure);
        if (failure)
            detail::raise_it(std::bad_alloc());
        return memory;
    }
    void do_deallocate(void *, std::size_t, std::size_t) override {}
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override { return this == &other; }

    Source *source_;
};

// ---- pool ----

/// Whose turn it is among those who wait: a higher class before any lower.
enum class priority : std::uint32_t {
    critical = OSTLER_PRIORITY_CRITICAL,
    high = OSTLER_PRIORITY_HIGH,
    normal = OSTLER_PRIORITY_NORMAL,
    low = OSTLER_PRIORITY_LOW,
    batch = OSTLER_PRIORITY_BATCH,
};

enum class idle_order : std::uint32_t {
    last_used_first = OSTLER_IDLE_LAST_USED_FIRST,
    longest_first = OSTLER_IDLE_LONGEST_FIRST,
};

struct pool_config : ostler_pool_config {
    pool_config() noexcept : ostler_pool_config(detail::sized<ostler_pool_config>()) {}
    pool_config &at_least(std::uint32_t resources) noexcept { return min_size = resources, *this; }
    pool_config &at_most(std::uint32_t resources) noexcept { return max_size = resources, *this; }
    /// The most that a resize may ask for.
    pool_config &room_for(std::uint32_t resources) noexcept { return capacity = resources, *this; }
    pool_config &idle_at_least(std::uint32_t resources) noexcept { return min_idle = resources, *this; }
    pool_config &soft_at_most(std::uint32_t resources) noexcept { return soft_max_size = resources, *this; }
    pool_config &creators(std::uint32_t threads) noexcept { return creator_threads = threads, *this; }
    pool_config &breaker_after(std::uint32_t failures) noexcept { return breaker_failures = failures, *this; }
    pool_config &lease_in(ostler::idle_order order) noexcept
    {
        return ostler_pool_config::idle_order = static_cast<std::uint32_t>(order), *this;
    }
    pool_config &uses_at_most(std::uint64_t leases) noexcept { return max_uses = leases, *this; }
    pool_config &idle_timeout(duration time) noexcept { return idle_timeout_ns = time.ns(), *this; }
    pool_config &validate_after(duration time) noexcept { return validate_after_ns = time.ns(), *this; }
    pool_config &keepalive(duration time) noexcept { return keepalive_ns = time.ns(), *this; }
    pool_config &lease_limit(duration time) noexcept { return lease_limit_ns = time.ns(), *this; }
    pool_config &max_lifetime(duration time) noexcept { return max_lifetime_ns = time.ns(), *this; }
    pool_config &lifetime_jitter(duration time) noexcept { return lifetime_jitter_ns = time.ns(), *this; }
    /// So many are kept for callers of priority::high and priority::critical.
    pool_config &reserve_for_high(std::uint32_t resources) noexcept { return reserved_high = resources, *this; }
    /// A caller whose limit ends before its turn would come, at the present rate, gets errc::overloaded at once.
    pool_config &refuse_the_hopeless() noexcept { return refuse_hopeless = 1, *this; }
    /// When nobody has waited less for a whole interval, who has waited longer gets errc::overloaded.
    pool_config &target_wait(duration time, duration interval = std::chrono::milliseconds(100)) noexcept
    {
        return target_wait_ns = time.ns(), wait_interval_ns = interval.ns(), *this;
    }
    pool_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

enum class pool_event : std::uint32_t {
    created = OSTLER_POOL_EVENT_CREATED,
    destroyed = OSTLER_POOL_EVENT_DESTROYED,
    breaker_opened = OSTLER_POOL_EVENT_BREAKER_OPENED,
    breaker_closed = OSTLER_POOL_EVENT_BREAKER_CLOSED,
    paused = OSTLER_POOL_EVENT_PAUSED,
    resumed = OSTLER_POOL_EVENT_RESUMED,
    resized = OSTLER_POOL_EVENT_RESIZED,
    refreshed = OSTLER_POOL_EVENT_REFRESHED,
    closed = OSTLER_POOL_EVENT_CLOSED,
};

/// How a resource is acquired, besides how long that may take.
struct demand {
    ostler::priority priority = ostler::priority::normal;
    /// The settings that the resource shall have; 0: as create makes it.
    std::uint64_t tag = 0;
};

/// A lease that is out.
template <class T> struct lease_info {
    T *resource;
    /// The thread that acquired it, as gettid has it.
    std::uint32_t thread_id;
    /// 0 when nobody has looked at the clock.
    std::chrono::nanoseconds held;
    ostler_lease raw;

    explicit lease_info(const ostler_lease_info &info) noexcept
        : resource(static_cast<T *>(info.resource)), thread_id(info.thread_id),
          held(static_cast<std::chrono::nanoseconds::rep>(info.held_ns)), raw(info.lease)
    {
    }
};

/// What the host does for a pool. Only create is required. An exception is a failure.
template <class T> struct pool_callbacks {
    std::function<std::unique_ptr<T>()> create;
    /// Whether an idle resource can still be used.
    std::function<bool(T &)> validate = {};
    std::function<void(T &)> reset = {};
    /// Hears, once, of a lease that lasts longer than the limit.
    std::function<void(const lease_info<T> &)> overdue = {};
    /// Gives a resource the settings of another tag, before it is leased to who wants those.
    std::function<void(T &, std::uint64_t from_tag, std::uint64_t to_tag)> retag = {};
    /// Hears what happens to the pool; the resource is none unless the event is about one.
    std::function<void(pool_event, T *)> event = {};
};

template <class T> class pool;

/// How many resources there are, and how many there shall be.
struct pool_warmth {
    std::uint32_t ready = 0;
    std::uint32_t wanted = 0;
};

namespace detail {

/// What the library calls with user_data. Where it may go on calling without an owner, it owns itself.
template <class Functions> struct shared_callbacks : Functions {
    std::shared_ptr<shared_callbacks> itself;
    explicit shared_callbacks(Functions &&functions) : Functions(std::move(functions)) {}
};

} // namespace detail

/// One use of one resource, given back when it ends.
template <class T> class [[nodiscard]] lease {
  public:
    lease() noexcept = default;
    lease(lease &&other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), lease_(other.lease_), resource_(other.resource_),
          callbacks_(std::move(other.callbacks_))
    {
    }
    lease &operator=(lease &&other) noexcept
    {
        if (this != &other) {
            end(ostler_pool_release);
            pool_ = std::exchange(other.pool_, nullptr);
            lease_ = other.lease_;
            resource_ = other.resource_;
            callbacks_ = std::move(other.callbacks_);
        }
        return *this;
    }
    ~lease() { end(ostler_pool_release); }

    T &operator*() const noexcept { return *resource_; }
    T *operator->() const noexcept { return resource_; }
    T *get() const noexcept { return pool_ ? resource_ : nullptr; }
    explicit operator bool() const noexcept { return pool_ != nullptr; }

    /// Gives the resource back now.
    errc release() noexcept { return end(ostler_pool_release); }
    /// Gives it back to be destroyed.
    errc discard() noexcept { return end(ostler_pool_discard); }

  private:
    friend class pool<T>;
    lease(ostler_pool *pool, ostler_lease raw, T *resource, std::shared_ptr<const void> callbacks) noexcept
        : pool_(pool), lease_(raw), resource_(resource), callbacks_(std::move(callbacks))
    {
    }

    errc end(ostler_status (*give_back)(ostler_pool *, ostler_lease)) noexcept
    {
        if (!pool_)
            return errc::ok;
        const ostler_status status = give_back(std::exchange(pool_, nullptr), lease_);
        callbacks_.reset();
        return static_cast<errc>(status);
    }

    ostler_pool *pool_ = nullptr;
    ostler_lease lease_{};
    T *resource_ = nullptr;
    // A lease may outlive its pool, whose callbacks then end its resource.
    std::shared_ptr<const void> callbacks_;
};

namespace detail {

/// What an acquire on its way keeps for the one who hears of it.
struct unheard_acquire {
    virtual ~unheard_acquire() = default;
};

} // namespace detail

/// An acquire on its way, which goes on without this.
class pending_acquire {
  public:
    pending_acquire() noexcept = default;
    explicit operator bool() const noexcept { return ticket_.value != 0; }
    /// From errc::ok on its function is not called; errc::stale_ticket when it has been or is being.
    errc cancel() noexcept
    {
        const ostler_status status = ostler_pool_cancel_async(pool_, std::exchange(ticket_, ostler_ticket{}));
        if (status == OSTLER_OK)
            delete unheard_;
        return static_cast<errc>(status);
    }

  private:
    template <class> friend class pool;
    pending_acquire(ostler_pool *pool, ostler_ticket ticket, detail::unheard_acquire *unheard) noexcept
        : pool_(pool), ticket_(ticket), unheard_(unheard)
    {
    }

    ostler_pool *pool_ = nullptr;
    ostler_ticket ticket_{};
    detail::unheard_acquire *unheard_ = nullptr;
};

/// Keeps objects of type T warm.
template <class T> class pool {
  public:
    explicit pool(pool_callbacks<T> callbacks, const ostler_pool_config &config = pool_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(std::move(callbacks), config, failure); });
    }
    explicit pool(std::function<std::unique_ptr<T>()> create, const ostler_pool_config &config = pool_config())
        : pool(pool_callbacks<T>{std::move(create)}, config)
    {
    }
    /// Throws nothing but std::bad_alloc.
    static pool open(pool_callbacks<T> callbacks, const ostler_pool_config &config, std::error_code &failure)
    {
        pool made;
        made.callbacks_ = std::make_shared<callbacks_type>(std::move(callbacks));
        auto table = detail::sized<ostler_pool_callbacks>();
        table.create = made.callbacks_->create ? create_one : nullptr;
        table.validate = made.callbacks_->validate ? validate_one : nullptr;
        table.reset = made.callbacks_->reset ? reset_one : nullptr;
        table.destroy = destroy_one;
        table.overdue = made.callbacks_->overdue ? tell_overdue : nullptr;
        table.retag = made.callbacks_->retag ? retag_one : nullptr;
        table.event = made.callbacks_->event ? tell_event : nullptr;
        ostler_pool *raw = nullptr;
        detail::note(ostler_pool_create(&config, &table, made.callbacks_.get(), &raw), failure);
        made.raw_ = raw_handle(raw);
        return made;
    }
    pool(pool &&) noexcept = default;
    pool &operator=(pool &&other) noexcept
    {
        if (this != &other) {
            end();
            raw_ = std::move(other.raw_);
            callbacks_ = std::move(other.callbacks_);
        }
        return *this;
    }
    ~pool() { end(); }

    ostler_pool *get() const noexcept { return raw_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(raw_); }

    lease<T> acquire(wait_limit limit = {})
    {
        return detail::thrown([&](std::error_code &failure) { return acquire(limit, failure); });
    }
    lease<T> acquire(wait_limit limit, std::error_code &failure) noexcept
    {
        return leased(failure, [&](ostler_lease *lease, void **resource) {
            return ostler_pool_acquire(get(), limit.timeout_ns(), limit.stop(), lease, resource);
        });
    }
    /// With a priority, or one with these settings.
    lease<T> acquire(demand wanted, wait_limit limit = {})
    {
        return detail::thrown([&](std::error_code &failure) { return acquire(wanted, limit, failure); });
    }
    lease<T> acquire(demand wanted, wait_limit limit, std::error_code &failure) noexcept
    {
        auto how = detail::sized<ostler_acquire>();
        how.priority = static_cast<std::uint32_t>(wanted.priority);
        how.timeout_ns = limit.timeout_ns();
        how.cancel = limit.stop();
        how.tag = wanted.tag;
        return leased(failure, [&](ostler_lease *lease, void **resource) {
            return ostler_pool_acquire_with(get(), &how, lease, resource);
        });
    }
    using acquired = std::function<void(std::error_code, lease<T>)>;

    /// Holds nobody up: what is to be had now is leased now. Otherwise the lease is empty, and the function gets one later,
    /// on the pool's own thread, or the reason why not; until then `later` can cancel it.
    lease<T> acquire_async(demand wanted, duration timeout, acquired function, pending_acquire *later = nullptr)
    {
        return detail::thrown([&](std::error_code &failure) {
            return acquire_async(wanted, timeout, std::move(function), later, failure);
        });
    }
    /// Throws nothing but std::bad_alloc.
    lease<T> acquire_async(demand wanted, duration timeout, acquired function, pending_acquire *later,
                           std::error_code &failure)
    {
        auto how = detail::sized<ostler_acquire>();
        how.priority = static_cast<std::uint32_t>(wanted.priority);
        how.timeout_ns = timeout.ns();
        how.tag = wanted.tag;
        auto waiting = std::make_unique<waiting_acquire>(get(), callbacks_, std::move(function));
        ostler_ticket ticket{};
        lease<T> now = leased(failure, [&](ostler_lease *lease, void **resource) {
            return ostler_pool_acquire_async(get(), &how, tell_acquired, waiting.get(), &ticket, lease, resource);
        });
        // From here on it is with the library, which may have called the function already.
        detail::unheard_acquire *const unheard = ticket.value ? waiting.release() : nullptr;
        if (later)
            *later = pending_acquire(get(), ticket, unheard);
        return now;
    }

    /// So many together, or none; two callers that want several cannot hold up one another.
    std::vector<lease<T>> acquire_n(std::uint32_t count, wait_limit limit = {})
    {
        return detail::thrown([&](std::error_code &failure) { return acquire_n(count, limit, failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::vector<lease<T>> acquire_n(std::uint32_t count, wait_limit limit, std::error_code &failure)
    {
        std::vector<ostler_lease> raw(count);
        std::vector<void *> resources(count);
        std::vector<lease<T>> taken;
        taken.reserve(count);
        if (detail::note(ostler_pool_acquire_n(get(), count, limit.timeout_ns(), limit.stop(), raw.data(), resources.data()),
                         failure)) {
            for (std::uint32_t i = 0; i < count; i++)
                taken.push_back(lease<T>(get(), raw[i], static_cast<T *>(resources[i]), callbacks_));
        }
        return taken;
    }
    /// An empty lease when all are out, or the pool is paused.
    lease<T> try_acquire()
    {
        std::error_code failure;
        lease<T> taken = try_acquire(failure);
        if (failure && failure != make_error_code(errc::exhausted) && failure != make_error_code(errc::paused))
            detail::raise(failure.value());
        return taken;
    }
    lease<T> try_acquire(std::error_code &failure) noexcept
    {
        return leased(failure, [&](ostler_lease *lease, void **resource) {
            return ostler_pool_try_acquire(get(), lease, resource);
        });
    }

    ostler_pool_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_pool_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_pool_stats>();
        detail::note(ostler_pool_get_stats(get(), &stats), failure);
        return stats;
    }

    /// The leases that are out: who has what, for how long.
    std::vector<lease_info<T>> leases() const
    {
        return detail::thrown([&](std::error_code &failure) { return leases(failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::vector<lease_info<T>> leases(std::error_code &failure) const
    {
        std::vector<ostler_lease_info> raw;
        std::uint64_t count = 0;
        do {
            raw.resize(static_cast<std::size_t>(count));
            if (!detail::note(ostler_pool_list_leases(get(), raw.data(), raw.size(), &count), failure))
                return {};
        } while (count > raw.size());
        return {raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(count)};
    }
    /// Takes a lease away from its holder and destroys the resource, which the holder must not use any more.
    errc take_back(ostler_lease lease) noexcept { return static_cast<errc>(ostler_pool_discard(get(), lease)); }

    /// Takes a lease away from its holder; the resource lives, shared with nobody, until the holder's lease ends.
    errc revoke(ostler_lease lease) noexcept { return static_cast<errc>(ostler_pool_revoke(get(), lease)); }

    /// Destroys idle resources until so many are idle, as far as at_least allows; tells how many went.
    std::uint32_t trim(std::uint32_t keep_idle)
    {
        return detail::thrown([&](std::error_code &failure) { return trim(keep_idle, failure); });
    }
    std::uint32_t trim(std::uint32_t keep_idle, std::error_code &failure) noexcept
    {
        std::uint32_t trimmed = 0;
        detail::note(ostler_pool_trim(get(), keep_idle, &trimmed), failure);
        return trimmed;
    }

    /// Waits until the resources are there that at_least and idle_at_least ask for, or one cannot be made; tells how
    /// far it is. What failed before the call does not end it, so that a loop around it waits each time.
    pool_warmth wait_warm(wait_limit limit, std::error_code &failure) noexcept
    {
        pool_warmth warmth;
        detail::note(ostler_pool_wait_warm(get(), limit.timeout_ns(), limit.stop(), &warmth.ready, &warmth.wanted),
                     failure);
        return warmth;
    }
    void wait_warm(wait_limit limit = {})
    {
        detail::check(ostler_pool_wait_warm(get(), limit.timeout_ns(), limit.stop(), nullptr, nullptr));
    }

    /// Changes the bounds; what is too much goes as it comes free.
    void resize(std::uint32_t at_least, std::uint32_t at_most)
    {
        detail::check(ostler_pool_resize(get(), at_least, at_most));
    }
    void resize(std::uint32_t at_least, std::uint32_t at_most, std::error_code &failure) noexcept
    {
        detail::note(ostler_pool_resize(get(), at_least, at_most), failure);
    }

    /// Leases nothing until resume; callers wait.
    void pause() { detail::check(ostler_pool_pause(get())); }
    void pause(std::error_code &failure) noexcept { detail::note(ostler_pool_pause(get()), failure); }
    void resume() { detail::check(ostler_pool_resume(get())); }
    void resume(std::error_code &failure) noexcept { detail::note(ostler_pool_resume(get()), failure); }

    /// Leases none any more that was made before. Where create has failed too often, it is tried at once.
    void refresh() { detail::check(ostler_pool_refresh(get())); }
    void refresh(std::error_code &failure) noexcept { detail::note(ostler_pool_refresh(get()), failure); }

    /// Leases nothing any more and waits until all are back and destroyed; tells how many leases are still out.
    std::uint64_t close(wait_limit limit, std::error_code &failure) noexcept
    {
        std::uint64_t still_out = 0;
        detail::note(ostler_pool_close(get(), limit.timeout_ns(), limit.stop(), &still_out), failure);
        return still_out;
    }
    void close(wait_limit limit = {})
    {
        detail::check(ostler_pool_close(get(), limit.timeout_ns(), limit.stop(), nullptr));
    }

    /// Destroys it now; from inside one of its own callbacks it is would_deadlock, and the pool is kept.
    errc destroy() noexcept { return raw_.destroy(); }

  private:
    using raw_handle = handle<ostler_pool, ostler_pool_destroy>;
    using callbacks_type = detail::shared_callbacks<pool_callbacks<T>>;

    pool() noexcept = default;

    static ostler_status create_one(void *user_data, void **resource) noexcept
    {
        return detail::guarded([&] {
            *resource = static_cast<callbacks_type *>(user_data)->create().release();
            return OSTLER_OK;
        });
    }
    static ostler_status validate_one(void *user_data, void *resource) noexcept
    {
        return detail::guarded([&] {
            const bool valid = static_cast<callbacks_type *>(user_data)->validate(*static_cast<T *>(resource));
            return valid ? OSTLER_OK : detail::fail(OSTLER_E_CALLBACK_FAILED, "not valid any more");
        });
    }
    static ostler_status reset_one(void *user_data, void *resource) noexcept
    {
        return detail::guarded([&] {
            static_cast<callbacks_type *>(user_data)->reset(*static_cast<T *>(resource));
            return OSTLER_OK;
        });
    }
    static ostler_status retag_one(void *user_data, void *resource, std::uint64_t from, std::uint64_t to) noexcept
    {
        return detail::guarded([&] {
            static_cast<callbacks_type *>(user_data)->retag(*static_cast<T *>(resource), from, to);
            return OSTLER_OK;
        });
    }
    struct waiting_acquire : detail::unheard_acquire {
        ostler_pool *pool;
        std::shared_ptr<const void> callbacks;
        acquired function;
        waiting_acquire(ostler_pool *of, std::shared_ptr<const void> kept, acquired &&told)
            : pool(of), callbacks(std::move(kept)), function(std::move(told))
        {
        }
    };
    static void tell_acquired(void *user_data, ostler_ticket, ostler_status status, ostler_lease raw, void *resource) noexcept
    {
        const std::unique_ptr<waiting_acquire> waiting(static_cast<waiting_acquire *>(user_data));
        lease<T> taken;
        if (raw.value)
            taken = lease<T>(waiting->pool, raw, static_cast<T *>(resource), waiting->callbacks);
        detail::swallowed([&] { waiting->function(make_error_code(static_cast<errc>(status)), std::move(taken)); });
    }
    static void tell_event(void *user_data, std::uint32_t event, void *resource) noexcept
    {
        detail::swallowed([&] {
            static_cast<callbacks_type *>(user_data)->event(static_cast<pool_event>(event), static_cast<T *>(resource));
        });
    }
    static void tell_overdue(void *user_data, const ostler_lease_info *info) noexcept
    {
        detail::swallowed([&] { static_cast<callbacks_type *>(user_data)->overdue(lease_info<T>(*info)); });
    }
    static void destroy_one(void *, void *resource) noexcept
    {
        detail::swallowed([&] { delete static_cast<T *>(resource); });
    }

    template <class Take> lease<T> leased(std::error_code &failure, Take &&take) noexcept
    {
        ostler_lease raw{};
        void *resource = nullptr;
        if (!detail::note(take(&raw, &resource), failure))
            return {};
        return lease<T>(get(), raw, static_cast<T *>(resource), callbacks_);
    }

    void end() noexcept
    {
        raw_.destroy();
        // A pool that cannot be destroyed here goes on calling its callbacks, so they stay.
        if (raw_)
            callbacks_->itself = callbacks_;
        raw_.detach();
    }

    std::shared_ptr<callbacks_type> callbacks_;
    raw_handle raw_;
};

// ---- deferred ----

template <class T> class deferred;

/// The side that makes the result. May be copied; of several that complete one cell the first does.
template <class T> class completer {
  public:
    completer() noexcept = default;

    /// On success the value is with whoever takes it; otherwise it stays here.
    void complete(std::unique_ptr<T> &&value)
    {
        detail::thrown([&](std::error_code &failure) { return complete(std::move(value), failure); });
    }
    void complete(std::unique_ptr<T> &&value, std::error_code &failure) noexcept
    {
        if (detail::note(ostler_deferred_complete(deferred_, cell_, OSTLER_OK, value.get()), failure))
            (void)value.release();
    }
    /// Completes it with a failure, which is what wait then throws. The number must not be 0.
    void fail(int status)
    {
        detail::thrown([&](std::error_code &failure) { return fail(status, failure); });
    }
    void fail(int status, std::error_code &failure) noexcept
    {
        detail::note(status == 0 ? OSTLER_E_INVALID_ARGUMENT : ostler_deferred_complete(deferred_, cell_, status, nullptr),
                     failure);
    }
    errc cancel() noexcept { return static_cast<errc>(ostler_deferred_cancel(deferred_, cell_)); }

    ostler_cell id() const noexcept { return cell_; }

  private:
    template <class> friend class cell;
    completer(ostler_deferred *deferred, ostler_cell cell) noexcept : deferred_(deferred), cell_(cell) {}

    ostler_deferred *deferred_ = nullptr;
    ostler_cell cell_{};
};

/// The side that takes the result: one use of one cell, released when it ends. It may outlive its set.
template <class T> class [[nodiscard]] cell {
  public:
    using completion = std::function<void(std::error_code outcome, std::unique_ptr<T> value)>;

    cell() noexcept = default;
    cell(cell &&other) noexcept : deferred_(std::exchange(other.deferred_, nullptr)), cell_(other.cell_) {}
    cell &operator=(cell &&other) noexcept
    {
        if (this != &other) {
            release();
            deferred_ = std::exchange(other.deferred_, nullptr);
            cell_ = other.cell_;
        }
        return *this;
    }
    ~cell() { release(); }

    /// False once its result was taken.
    explicit operator bool() const noexcept { return deferred_ != nullptr; }
    ostler_cell id() const noexcept { return cell_; }
    ostler::completer<T> completer() const noexcept { return {deferred_, cell_}; }

    /// Takes the value. A failure is what it was completed with, and then it is taken as well; or the wait ended first.
    std::unique_ptr<T> wait(wait_limit limit = {})
    {
        std::error_code failure;
        std::unique_ptr<T> value = wait(limit, failure);
        raise_if(failure);
        return value;
    }
    std::unique_ptr<T> wait(wait_limit limit, std::error_code &failure) noexcept
    {
        return taken(failure, [&](ostler_status *outcome, void **value) {
            return ostler_deferred_wait(deferred_, cell_, limit.timeout_ns(), limit.stop(), outcome, value);
        });
    }
    /// The same without a wait: errc::not_ready when nothing has come.
    std::unique_ptr<T> poll(std::error_code &failure) noexcept
    {
        return taken(failure, [&](ostler_status *outcome, void **value) {
            return ostler_deferred_poll(deferred_, cell_, outcome, value);
        });
    }

    /// Gives the result to a function, on the thread that completes, or now when it is there. The cell is gone from here.
    void on_complete(completion function)
    {
        detail::thrown([&](std::error_code &failure) { return on_complete(std::move(function), failure); });
    }
    /// Throws nothing but std::bad_alloc.
    void on_complete(completion function, std::error_code &failure)
    {
        auto kept = std::make_unique<completion>(std::move(function));
        if (detail::note(ostler_deferred_on_complete(deferred_, cell_, call, kept.get()), failure)) {
            (void)kept.release();
            deferred_ = nullptr;
        }
    }

    /// Gives it up: what has come is deleted, and who completes it later is told that it is stale.
    errc release() noexcept
    {
        if (!deferred_)
            return errc::ok;
        return static_cast<errc>(ostler_deferred_release(std::exchange(deferred_, nullptr), cell_));
    }

#ifdef __cpp_impl_coroutine
    /// co_await gives the value or throws what wait does. The coroutine goes on where the cell is completed. One that is
    /// destroyed while it waits must not be completed at the same moment.
    auto operator co_await() noexcept { return awaiter(*this); }
#endif

  private:
    template <class> friend class deferred;
    cell(ostler_deferred *deferred, ostler_cell raw) noexcept : deferred_(deferred), cell_(raw) {}

    template <class Take> std::unique_ptr<T> taken(std::error_code &failure, Take &&take) noexcept
    {
        ostler_status outcome = OSTLER_OK;
        void *value = nullptr;
        if (!detail::note(take(&outcome, &value), failure))
            return nullptr;
        deferred_ = nullptr;
        std::unique_ptr<T> owned(static_cast<T *>(value));
        failure = make_error_code(static_cast<errc>(outcome));
        return owned;
    }

    void raise_if(std::error_code failure) const
    {
        if (failure && !deferred_)
            detail::raise(failure.value(), "the cell was completed with a failure");
        if (failure)
            detail::raise(failure.value());
    }

    static void call(void *user_data, ostler_cell, ostler_status outcome, void *value)
    {
        const std::unique_ptr<completion> function(static_cast<completion *>(user_data));
        std::unique_ptr<T> owned(static_cast<T *>(value));
        detail::swallowed([&] { (*function)(make_error_code(static_cast<errc>(outcome)), std::move(owned)); });
    }

#ifdef __cpp_impl_coroutine
    class awaiter {
      public:
        explicit awaiter(cell &awaited) noexcept : cell_(awaited) {}
        bool await_ready() noexcept
        {
            value_ = cell_.poll(failure_);
            return failure_ != make_error_code(errc::not_ready);
        }
        bool await_suspend(std::coroutine_handle<> waiting) noexcept
        {
            waiting_ = waiting;
            if (!detail::note(ostler_deferred_on_complete(cell_.deferred_, cell_.cell_, resume, this), failure_))
                return false;
            // Whoever is second goes on with the coroutine: this thread, or the one that completes.
            return !second_.exchange(true);
        }
        std::unique_ptr<T> await_resume()
        {
            cell_.raise_if(failure_);
            return std::move(value_);
        }

      private:
        static void resume(void *user_data, ostler_cell, ostler_status outcome, void *value)
        {
            auto *self = static_cast<awaiter *>(user_data);
            self->cell_.deferred_ = nullptr;
            self->value_.reset(static_cast<T *>(value));
            self->failure_ = make_error_code(static_cast<errc>(outcome));
            const std::coroutine_handle<> waiting = self->waiting_;
            if (self->second_.exchange(true))
                waiting.resume();
        }

        cell &cell_;
        std::coroutine_handle<> waiting_;
        std::unique_ptr<T> value_;
        std::error_code failure_;
        std::atomic<bool> second_{false};
    };
#endif

    ostler_deferred *deferred_ = nullptr;
    ostler_cell cell_{};
};

/// A set of one-shot cells for values of type T, made beforehand and used again.
template <class T> class deferred : public handle<ostler_deferred, ostler_deferred_destroy> {
  public:
    explicit deferred(std::uint32_t capacity = 1024)
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(capacity, failure); });
    }
    static deferred open(std::uint32_t capacity, std::error_code &failure) noexcept
    {
        auto config = detail::sized<ostler_deferred_config>();
        config.capacity = capacity;
        config.discard = [](void *, void *value) { delete static_cast<T *>(value); };
        ostler_deferred *made = nullptr;
        detail::note(ostler_deferred_create(&config, &made), failure);
        return deferred(made);
    }

    cell<T> acquire()
    {
        return detail::thrown([&](std::error_code &failure) { return acquire(failure); });
    }
    cell<T> acquire(std::error_code &failure) noexcept
    {
        ostler_cell raw{};
        return detail::note(ostler_deferred_acquire(get(), &raw), failure) ? cell<T>(get(), raw) : cell<T>();
    }
    /// So many together, or none.
    std::vector<cell<T>> acquire_n(std::uint32_t count)
    {
        return detail::thrown([&](std::error_code &failure) { return acquire_n(count, failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::vector<cell<T>> acquire_n(std::uint32_t count, std::error_code &failure)
    {
        std::vector<ostler_cell> raw(count);
        std::vector<cell<T>> cells;
        cells.reserve(count);
        if (detail::note(ostler_deferred_acquire_n(get(), count, raw.data()), failure)) {
            for (const ostler_cell one : raw)
                cells.push_back(cell<T>(get(), one));
        }
        return cells;
    }

    /// Waits until something has come to one of the cells, and leaves it there; tells the place of the first that has.
    template <class Cells> std::size_t wait_any(const Cells &cells, wait_limit limit = {})
    {
        return detail::thrown([&](std::error_code &failure) { return wait_any(cells, limit, failure); });
    }
    /// Throws nothing but std::bad_alloc.
    template <class Cells> std::size_t wait_any(const Cells &cells, wait_limit limit, std::error_code &failure)
    {
        const std::vector<ostler_cell> raw = ids(cells);
        std::uint32_t index = 0;
        detail::note(ostler_deferred_wait_any(get(), raw.data(), static_cast<std::uint32_t>(raw.size()),
                                              limit.timeout_ns(), limit.stop(), &index),
                     failure);
        return index;
    }
    /// Waits until something has come to all of them, and leaves it there.
    template <class Cells> void wait_all(const Cells &cells, wait_limit limit = {})
    {
        detail::thrown([&](std::error_code &failure) { return wait_all(cells, limit, failure); });
    }
    /// Throws nothing but std::bad_alloc.
    template <class Cells> void wait_all(const Cells &cells, wait_limit limit, std::error_code &failure)
    {
        const std::vector<ostler_cell> raw = ids(cells);
        detail::note(ostler_deferred_wait_all(get(), raw.data(), static_cast<std::uint32_t>(raw.size()),
                                              limit.timeout_ns(), limit.stop()),
                     failure);
    }

    ostler_deferred_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_deferred_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_deferred_stats>();
        detail::note(ostler_deferred_get_stats(get(), &stats), failure);
        return stats;
    }

  private:
    explicit deferred(ostler_deferred *raw) noexcept : handle(raw) {}

    template <class Cells> static std::vector<ostler_cell> ids(const Cells &cells)
    {
        std::vector<ostler_cell> raw;
        for (const auto &one : cells)
            raw.push_back(one.id());
        return raw;
    }
};

// ---- templates ----

enum class eviction : std::uint32_t {
    least_recently_used = OSTLER_EVICT_LEAST_RECENTLY_USED,
    least_frequently_used = OSTLER_EVICT_LEAST_FREQUENTLY_USED,
};

struct templates_config : ostler_templates_config {
    templates_config() noexcept : ostler_templates_config(detail::sized<ostler_templates_config>()) {}
    templates_config &at_most(std::uint32_t templates) noexcept { return max_templates = templates, *this; }
    templates_config &bytes_at_most(std::uint64_t bytes) noexcept { return max_bytes = bytes, *this; }
    templates_config &references_at_most(std::uint32_t references) noexcept { return max_references = references, *this; }
    /// Of instances in an arena.
    templates_config &aligned_to(std::uint64_t bytes) noexcept { return align_bytes = bytes, *this; }
    templates_config &evict(ostler::eviction which) noexcept
    {
        return ostler_templates_config::eviction = static_cast<std::uint32_t>(which), *this;
    }
};

/// What a build fills: memory that it asks for once, which becomes the template.
class template_data {
  public:
    /// So many bytes, aligned as std::malloc does, to be written before the build returns.
    mutable_bytes allocate(std::size_t size)
    {
        memory_.reset(std::malloc(std::max<std::size_t>(size, 1)));
        if (!memory_)
            detail::raise_it(std::bad_alloc());
        size_ = size;
        return {memory_.get(), size};
    }
    /// A copy of these bytes.
    void assign(const_bytes bytes)
    {
        const auto target = allocate(bytes.size());
        std::copy(bytes.begin(), bytes.end(), target.begin());
    }
    /// What it counts for bytes_at_most, where that is not its size.
    void charge(std::uint64_t bytes) noexcept { charge_ = bytes; }

  private:
    friend class templates;
    struct free_it {
        void operator()(void *memory) const noexcept { std::free(memory); }
    };
    std::unique_ptr<void, free_it> memory_;
    std::size_t size_ = 0;
    std::uint64_t charge_ = 0;
};

/// What a cache of templates calls, from the threads that use it. What clone puts besides the bytes at target is for the
/// user of the instance to end.
struct templates_callbacks {
    std::function<void(std::string_view key, template_data &data)> build;
    /// Makes an instance at target, which has room for the template's size; without one the bytes are copied.
    std::function<void(const_bytes data, std::byte *target)> clone = nullptr;
};

/// A template that stays, and is read in place, until this ends.
class [[nodiscard]] template_reference {
  public:
    template_reference() noexcept = default;
    template_reference(template_reference &&other) noexcept
        : templates_(std::exchange(other.templates_, nullptr)), reference_(other.reference_), data_(other.data_),
          callbacks_(std::move(other.callbacks_))
    {
    }
    template_reference &operator=(template_reference &&other) noexcept
    {
        if (this != &other) {
            release();
            templates_ = std::exchange(other.templates_, nullptr);
            reference_ = other.reference_;
            data_ = other.data_;
            callbacks_ = std::move(other.callbacks_);
        }
        return *this;
    }
    ~template_reference() { release(); }

    const_bytes bytes() const noexcept { return templates_ ? data_ : const_bytes(); }
    explicit operator bool() const noexcept { return templates_ != nullptr; }

    std::uint64_t version() const
    {
        return detail::thrown([&](std::error_code &failure) { return version(failure); });
    }
    std::uint64_t version(std::error_code &failure) const noexcept
    {
        auto info = detail::sized<ostler_template_info>();
        detail::note(ostler_templates_get_info(templates_, reference_, &info), failure);
        return info.version;
    }

    /// Gives it back now.
    errc release() noexcept
    {
        if (!templates_)
            return errc::ok;
        const ostler_status status = ostler_templates_release(std::exchange(templates_, nullptr), reference_);
        callbacks_.reset();
        return static_cast<errc>(status);
    }

  private:
    friend class templates;
    template_reference(ostler_templates *templates, ostler_template raw, const_bytes data,
                       std::shared_ptr<const void> callbacks) noexcept
        : templates_(templates), reference_(raw), data_(data), callbacks_(std::move(callbacks))
    {
    }

    ostler_templates *templates_ = nullptr;
    ostler_template reference_{};
    const_bytes data_;
    // A reference may outlive its cache, whose callbacks then end its template.
    std::shared_ptr<const void> callbacks_;
};

/// Keeps immutable initial data by key: built once, then copied.
class templates {
  public:
    explicit templates(templates_callbacks callbacks, const ostler_templates_config &config = templates_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(std::move(callbacks), config, failure); });
    }
    explicit templates(std::function<void(std::string_view key, template_data &data)> build,
                       const ostler_templates_config &config = templates_config())
        : templates(templates_callbacks{std::move(build)}, config)
    {
    }
    /// Throws nothing but std::bad_alloc.
    static templates open(templates_callbacks callbacks, const ostler_templates_config &config, std::error_code &failure)
    {
        templates made;
        made.callbacks_ = std::make_shared<callbacks_type>(std::move(callbacks));
        auto table = detail::sized<ostler_templates_callbacks>();
        table.build = made.callbacks_->build ? build_one : nullptr;
        table.clone = made.callbacks_->clone ? clone_one : nullptr;
        table.destroy = destroy_one;
        ostler_templates *raw = nullptr;
        detail::note(ostler_templates_create(&config, &table, made.callbacks_.get(), &raw), failure);
        made.raw_ = raw_handle(raw);
        return made;
    }
    templates(templates &&) noexcept = default;
    templates &operator=(templates &&other) noexcept
    {
        if (this != &other) {
            end();
            raw_ = std::move(other.raw_);
            callbacks_ = std::move(other.callbacks_);
        }
        return *this;
    }
    ~templates() { end(); }

    ostler_templates *get() const noexcept { return raw_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(raw_); }

    /// Makes an instance in memory of the caller; tells how many bytes it takes.
    std::size_t instantiate(std::string_view key, mutable_bytes target, wait_limit limit = {})
    {
        return detail::thrown([&](std::error_code &failure) { return instantiate(key, target, limit, failure); });
    }
    std::size_t instantiate(std::string_view key, mutable_bytes target, wait_limit limit, std::error_code &failure) noexcept
    {
        std::uint64_t size = 0;
        detail::note(ostler_templates_instantiate(get(), key.data(), key.size(), target.data(), target.size(),
                                                  limit.timeout_ns(), limit.stop(), &size),
                     failure);
        return static_cast<std::size_t>(size);
    }
    /// The same in an arena, to which the bytes belong.
    mutable_bytes instantiate(std::string_view key, arena &into, wait_limit limit = {})
    {
        return detail::thrown([&](std::error_code &failure) { return instantiate(key, into, limit, failure); });
    }
    mutable_bytes instantiate(std::string_view key, arena &into, wait_limit limit, std::error_code &failure) noexcept
    {
        void *instance = nullptr;
        std::uint64_t size = 0;
        detail::note(ostler_templates_instantiate_in(get(), key.data(), key.size(), into.get(), limit.timeout_ns(),
                                                     limit.stop(), &instance, &size),
                     failure);
        return {instance, static_cast<std::size_t>(size)};
    }

    /// Reads the template in place.
    template_reference refer(std::string_view key, wait_limit limit = {})
    {
        return detail::thrown([&](std::error_code &failure) { return refer(key, limit, failure); });
    }
    template_reference refer(std::string_view key, wait_limit limit, std::error_code &failure) noexcept
    {
        ostler_template raw{};
        const void *data = nullptr;
        std::uint64_t size = 0;
        if (!detail::note(ostler_templates_get(get(), key.data(), key.size(), limit.timeout_ns(), limit.stop(), &raw, &data,
                                               &size),
                          failure))
            return {};
        return {get(), raw, const_bytes(data, static_cast<std::size_t>(size)), callbacks_};
    }

    /// The version that is kept for a key; 0 when none is.
    std::uint64_t version(std::string_view key) const
    {
        return detail::thrown([&](std::error_code &failure) { return version(key, failure); });
    }
    std::uint64_t version(std::string_view key, std::error_code &failure) const noexcept
    {
        std::uint64_t version = 0;
        detail::note(ostler_templates_get_version(get(), key.data(), key.size(), &version), failure);
        return version;
    }

    /// Nobody who asks from now on gets what was built for the key before.
    void invalidate(std::string_view key)
    {
        detail::check(ostler_templates_invalidate(get(), key.data(), key.size()));
    }
    void invalidate(std::string_view key, std::error_code &failure) noexcept
    {
        detail::note(ostler_templates_invalidate(get(), key.data(), key.size()), failure);
    }
    void invalidate_all() { detail::check(ostler_templates_invalidate_all(get())); }
    void invalidate_all(std::error_code &failure) noexcept
    {
        detail::note(ostler_templates_invalidate_all(get()), failure);
    }

    ostler_templates_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_templates_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_templates_stats>();
        detail::note(ostler_templates_get_stats(get(), &stats), failure);
        return stats;
    }

    /// Destroys it now; from inside one of its own callbacks it is would_deadlock, and the cache is kept.
    errc destroy() noexcept { return raw_.destroy(); }

  private:
    using raw_handle = handle<ostler_templates, ostler_templates_destroy>;
    using callbacks_type = detail::shared_callbacks<templates_callbacks>;

    templates() noexcept = default;

    static ostler_status build_one(void *user_data, const void *key, std::uint64_t key_bytes, void **data,
                                   std::uint64_t *data_bytes, std::uint64_t *charge_bytes) noexcept
    {
        return detail::guarded([&] {
            template_data made;
            static_cast<callbacks_type *>(user_data)->build(
                {static_cast<const char *>(key), static_cast<std::size_t>(key_bytes)}, made);
            *data = made.memory_.release();
            *data_bytes = made.size_;
            *charge_bytes = made.charge_;
            return OSTLER_OK;
        });
    }
    static ostler_status clone_one(void *user_data, const void *data, std::uint64_t data_bytes, void *target) noexcept
    {
        return detail::guarded([&] {
            static_cast<callbacks_type *>(user_data)->clone({data, static_cast<std::size_t>(data_bytes)},
                                                            static_cast<std::byte *>(target));
            return OSTLER_OK;
        });
    }
    static void destroy_one(void *, void *data, std::uint64_t) noexcept { std::free(data); }

    void end() noexcept
    {
        raw_.destroy();
        // A cache that cannot be destroyed here goes on calling its callbacks, so they stay.
        if (raw_)
            callbacks_->itself = callbacks_;
        raw_.detach();
    }

    std::shared_ptr<callbacks_type> callbacks_;
    raw_handle raw_;
};

// ---- requests ----

enum class outcome : std::uint32_t {
    completed = OSTLER_OUTCOME_COMPLETED,
    failed = OSTLER_OUTCOME_FAILED,
    timed_out = OSTLER_OUTCOME_TIMED_OUT,
    cancelled = OSTLER_OUTCOME_CANCELLED,
    shed = OSTLER_OUTCOME_SHED,
};

/// Names an accepted request until its outcome is taken.
using ticket = ostler_ticket;

/// What became of a request.
class result {
  public:
    result() noexcept : raw_(detail::sized<ostler_result>()) {}
    explicit result(const ostler_result &raw) noexcept : raw_(raw) {}
    ostler::outcome outcome() const noexcept { return static_cast<ostler::outcome>(raw_.outcome); }
    bool completed() const noexcept { return raw_.outcome == OSTLER_OUTCOME_COMPLETED; }
    explicit operator bool() const noexcept { return completed(); }
    std::error_code code() const noexcept { return {raw_.status, category()}; }
    std::string_view message() const noexcept { return raw_.message; }
    std::size_t output_bytes() const noexcept { return raw_.output_bytes; }
    std::uint32_t batch_size() const noexcept { return raw_.batch_size; }
    std::uint32_t worker() const noexcept { return raw_.worker; }
    std::chrono::nanoseconds queued() const noexcept { return std::chrono::nanoseconds(raw_.queue_ns); }
    std::chrono::nanoseconds ran() const noexcept { return std::chrono::nanoseconds(raw_.run_ns); }
    /// Throws when the request was not completed.
    const result &value() const
    {
        if (!completed())
            detail::raise_it(error(static_cast<errc>(raw_.status), raw_.message));
        return *this;
    }
    ostler_result *raw() noexcept { return &raw_; }

  private:
    ostler_result raw_;
};

/// What is submitted. The buffers are borrowed until the outcome: declare them before the orchestrator, so that an
/// exception on the way ends the workers first.
struct request : ostler_request {
    request() noexcept : ostler_request(detail::sized<ostler_request>()) {}
    request &from(const_bytes bytes) noexcept { return input = bytes.data(), input_bytes = bytes.size(), *this; }
    request &into(mutable_bytes bytes) noexcept
    {
        return output = bytes.data(), output_capacity_bytes = bytes.size(), *this;
    }
    request &as(ostler::priority urgency) noexcept
    {
        return ostler_request::priority = static_cast<std::uint32_t>(urgency), *this;
    }
    /// Must start within this time, or at once when there is none left.
    request &within(duration time) noexcept
    {
        return deadline_after_ns = time.ns() == OSTLER_FOREVER ? 0 : std::max<std::uint64_t>(time.ns(), 1), *this;
    }
    request &with(void *pointer) noexcept { return user_data = pointer, *this; }
};

/// One request as a run sees it.
class item {
  public:
    explicit item(ostler_item *raw) noexcept : raw_(raw) {}
    const_bytes input() const noexcept { return {raw_->input, raw_->input_bytes}; }
    std::string_view input_text() const noexcept
    {
        return {static_cast<const char *>(raw_->input), raw_->input_bytes};
    }
    mutable_bytes output() const noexcept { return {raw_->output, raw_->output_capacity_bytes}; }
    /// Says how much of the output was written.
    void wrote(std::size_t bytes) const noexcept { raw_->output_bytes = bytes; }
    /// Copies a result to the output; fails the item when there is no room.
    void write(const_bytes bytes) const noexcept
    {
        if (bytes.size() > raw_->output_capacity_bytes)
            return fail("the output has no room for the result");
        if (bytes.size() != 0)
            std::memcpy(raw_->output, bytes.data(), bytes.size());
        wrote(bytes.size());
    }
    /// This item failed, and the others go on.
    void fail(std::string_view words, errc status = errc::callback_failed) const noexcept
    {
        raw_->status = static_cast<ostler_status>(status);
        detail::set_words(raw_->message, words);
    }
    bool cancelled() const noexcept
    {
        return __atomic_load_n(raw_->cancelled, __ATOMIC_ACQUIRE) != 0;
    }
    template <class T> T *user_data() const noexcept { return static_cast<T *>(raw_->user_data); }
    ostler::priority priority() const noexcept { return static_cast<ostler::priority>(raw_->priority); }
    ostler_item *get() const noexcept { return raw_; }

  private:
    ostler_item *raw_;
};

/// The requests of one run.
class batch {
  public:
    class iterator {
      public:
        explicit iterator(ostler_item *const *at) noexcept : at_(at) {}
        item operator*() const noexcept { return item(*at_); }
        iterator &operator++() noexcept { return ++at_, *this; }
        bool operator!=(const iterator &other) const noexcept { return at_ != other.at_; }

      private:
        ostler_item *const *at_;
    };

    batch(ostler_item *const *items, std::uint32_t count) noexcept : items_(items), count_(count) {}
    std::uint32_t size() const noexcept { return count_; }
    item operator[](std::uint32_t index) const noexcept { return item(items_[index]); }
    iterator begin() const noexcept { return iterator(items_); }
    iterator end() const noexcept { return iterator(items_ + count_); }

  private:
    ostler_item *const *items_;
    std::uint32_t count_;
};

// ---- orchestrator ----

struct orchestrator_config : ostler_orchestrator_config {
    orchestrator_config() noexcept : ostler_orchestrator_config(detail::sized<ostler_orchestrator_config>()) {}
    orchestrator_config &slots(std::uint32_t requests) noexcept { return request_slots = requests, *this; }
    orchestrator_config &memory_limit(std::uint64_t bytes) noexcept { return memory_limit_bytes = bytes, *this; }
    orchestrator_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

namespace detail {

/// The functions of an orchestrator's models. A model may end while another thread destroys the orchestrator, and then
/// its workers still call them.
class kept_functions {
  public:
    void add(std::shared_ptr<const void> functions)
    {
        const std::lock_guard<std::mutex> hold(lock_);
        kept_.push_back(std::move(functions));
    }
    /// The caller has a share in them, so that they do not end under the lock.
    void remove(const std::shared_ptr<const void> &functions) noexcept
    {
        const std::lock_guard<std::mutex> hold(lock_);
        kept_.erase(std::remove(kept_.begin(), kept_.end(), functions), kept_.end());
    }

    /// Set where the workers may go on without an owner.
    std::shared_ptr<kept_functions> itself;

  private:
    std::mutex lock_;
    std::vector<std::shared_ptr<const void>> kept_;
};

} // namespace detail

/// Feeds requests to the warm workers of its models. Its end is that of its models.
class orchestrator {
  public:
    explicit orchestrator(const ostler_orchestrator_config &config = orchestrator_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(config, failure); });
    }
    /// Throws nothing but std::bad_alloc.
    static orchestrator open(const ostler_orchestrator_config &config, std::error_code &failure)
    {
        orchestrator made{unmade()};
        made.kept_ = std::make_shared<detail::kept_functions>();
        ostler_orchestrator *raw = nullptr;
        detail::note(ostler_orchestrator_create(&config, &raw), failure);
        made.raw_ = raw_handle(raw);
        return made;
    }
    orchestrator(orchestrator &&) noexcept = default;
    orchestrator &operator=(orchestrator &&other) noexcept
    {
        if (this != &other) {
            end();
            raw_ = std::move(other.raw_);
            kept_ = std::move(other.kept_);
        }
        return *this;
    }
    ~orchestrator() { end(); }

    ostler_orchestrator *get() const noexcept { return raw_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(raw_); }
    /// Destroys it now; from inside one of its own callbacks it is would_deadlock, and the orchestrator is kept.
    errc destroy() noexcept { return raw_.destroy(); }

    /// Waits for the outcome and takes it. The outcome itself may be a failure.
    ostler::result wait(ticket request, wait_limit limit = {})
    {
        return detail::thrown([&](std::error_code &failure) { return wait(request, limit, failure); });
    }
    ostler::result wait(ticket request, wait_limit limit, std::error_code &failure) noexcept
    {
        ostler::result result;
        detail::note(ostler_orchestrator_wait(get(), request, limit.timeout_ns(), limit.stop(), result.raw()), failure);
        return result;
    }
    /// Takes the outcome when it is there.
    std::optional<ostler::result> poll(ticket request)
    {
        std::error_code failure;
        ostler::result result = poll(request, failure);
        if (failure == make_error_code(errc::not_ready))
            return std::nullopt;
        if (failure)
            detail::raise(failure.value());
        return result;
    }
    ostler::result poll(ticket request, std::error_code &failure) noexcept
    {
        ostler::result result;
        detail::note(ostler_orchestrator_poll(get(), request, result.raw()), failure);
        return result;
    }
    /// True when the request has an outcome; false when it runs and was told.
    bool cancel_request(ticket request)
    {
        std::error_code failure;
        cancel_request(request, failure);
        if (failure && failure != make_error_code(errc::busy))
            detail::raise(failure.value());
        return !failure;
    }
    void cancel_request(ticket request, std::error_code &failure) noexcept
    {
        detail::note(ostler_orchestrator_cancel(get(), request), failure);
    }
    /// Nobody will take the outcome.
    void forget(ticket request) { detail::check(ostler_orchestrator_forget(get(), request)); }
    void forget(ticket request, std::error_code &failure) noexcept
    {
        detail::note(ostler_orchestrator_forget(get(), request), failure);
    }

    /// Takes no more requests and waits until each has its outcome; tells how many have none.
    std::uint64_t drain(wait_limit limit, std::error_code &failure) noexcept
    {
        std::uint64_t still_out = 0;
        detail::note(ostler_orchestrator_drain(get(), limit.timeout_ns(), limit.stop(), &still_out), failure);
        return still_out;
    }
    void drain(wait_limit limit = {})
    {
        detail::check(ostler_orchestrator_drain(get(), limit.timeout_ns(), limit.stop(), nullptr));
    }

    ostler_orchestrator_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_orchestrator_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_orchestrator_stats>();
        detail::note(ostler_orchestrator_get_stats(get(), &stats), failure);
        return stats;
    }

  private:
    template <class State> friend class model;
    using raw_handle = handle<ostler_orchestrator, ostler_orchestrator_destroy>;

    struct unmade {};
    explicit orchestrator(unmade) noexcept {}

    void end() noexcept
    {
        raw_.destroy();
        // Where it cannot be destroyed its workers go on.
        if (raw_)
            kept_->itself = kept_;
        raw_.detach();
    }

    std::shared_ptr<detail::kept_functions> kept_;
    raw_handle raw_;
};

// ---- model ----

struct model_config : ostler_model_config {
    model_config() noexcept : ostler_model_config(detail::sized<ostler_model_config>()) {}
    model_config &workers(std::uint32_t min, std::uint32_t max = 0) noexcept
    {
        return min_workers = min, max_workers = max, *this;
    }
    model_config &batches(std::uint32_t most, duration wait = std::chrono::nanoseconds(0)) noexcept
    {
        return max_batch = most, batch_wait_ns = wait.ns(), *this;
    }
    model_config &queue(std::uint32_t requests) noexcept { return queue_capacity = requests, *this; }
    model_config &idle_timeout(duration time) noexcept { return idle_timeout_ns = time.ns(), *this; }
    model_config &memory(std::uint64_t bytes) noexcept { return memory_bytes = bytes, *this; }
    model_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

/// What requests run on: workers that each load a State once and keep it warm. An exception that leaves load or run is
/// its failure.
template <class State> class model {
  public:
    using load_function = std::function<std::unique_ptr<State>(std::uint32_t worker)>;
    using run_function = std::function<void(State &, const batch &)>;
    using completion = std::function<void(ticket, const result &)>;

    model(orchestrator &owner, load_function load, run_function run, const ostler_model_config &config = model_config())
    {
        *this = detail::thrown(
            [&](std::error_code &failure) { return open(owner, std::move(load), std::move(run), config, failure); });
    }
    /// Throws nothing but std::bad_alloc.
    static model open(orchestrator &owner, load_function load, run_function run, const ostler_model_config &config,
                      std::error_code &failure)
    {
        model made;
        made.functions_ = std::make_shared<functions>(functions{std::move(load), std::move(run)});
        made.owner_ = owner.kept_;
        if (owner.kept_)
            owner.kept_->add(made.functions_);
        auto table = detail::sized<ostler_model_callbacks>();
        table.load = made.functions_->load ? load_one : nullptr;
        table.run = made.functions_->run ? run_batch : nullptr;
        table.unload = unload_one;
        ostler_model *raw = nullptr;
        detail::note(ostler_model_create(owner.get(), &config, &table, made.functions_.get(), &raw), failure);
        made.raw_ = raw_handle(raw);
        if (failure)
            made.drop_functions();
        return made;
    }
    model(model &&) noexcept = default;
    model &operator=(model &&other) noexcept
    {
        if (this != &other) {
            end();
            raw_ = std::move(other.raw_);
            functions_ = std::move(other.functions_);
            owner_ = std::move(other.owner_);
        }
        return *this;
    }
    ~model() { end(); }

    ostler_model *get() const noexcept { return raw_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(raw_); }

    /// Waits until the least number of workers is loaded.
    void wait_ready(wait_limit limit = {})
    {
        detail::check(ostler_model_wait_ready(get(), limit.timeout_ns(), limit.stop()));
    }
    void wait_ready(wait_limit limit, std::error_code &failure) noexcept
    {
        detail::note(ostler_model_wait_ready(get(), limit.timeout_ns(), limit.stop()), failure);
    }

    [[nodiscard]] ticket submit(const ostler_request &request)
    {
        return detail::thrown([&](std::error_code &failure) { return submit(request, failure); });
    }
    [[nodiscard]] ticket submit(const ostler_request &request, std::error_code &failure) noexcept
    {
        ticket accepted{};
        detail::note(ostler_model_submit(get(), &request, &accepted), failure);
        return accepted;
    }
    /// The function takes the outcome; the request's own user_data and on_complete are not used.
    ticket submit(request request, completion done)
    {
        return detail::thrown([&](std::error_code &failure) { return submit(request, std::move(done), failure); });
    }
    /// Throws nothing but std::bad_alloc.
    ticket submit(request request, completion done, std::error_code &failure)
    {
        auto kept = std::make_unique<completion>(std::move(done));
        request.on_complete = complete_one;
        request.user_data = kept.get();
        const ticket accepted = submit(request, failure);
        // complete_one owns it now, or may, where the library panicked.
        if (!failure || failure == errc::panic)
            (void)kept.release();
        return accepted;
    }
    /// Submits many in one call; tells how many were accepted before the first that was refused.
    std::size_t submit(const request *requests, std::size_t count, ticket *tickets, std::error_code &failure) noexcept
    {
        std::uint32_t accepted = 0;
        const auto all = static_cast<std::uint32_t>(std::min<std::size_t>(count, UINT32_MAX));
        detail::note(ostler_model_submit_n(get(), requests, all, tickets, &accepted), failure);
        return accepted;
    }
    /// The tickets of those that were accepted before the first that was refused. Throws when none was.
    [[nodiscard]] std::vector<ticket> submit(const std::vector<request> &requests)
    {
        std::vector<ticket> tickets(requests.size());
        std::error_code failure;
        tickets.resize(submit(requests.data(), requests.size(), tickets.data(), failure));
        if (failure && tickets.empty())
            detail::raise(failure.value());
        return tickets;
    }

    ostler_model_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_model_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_model_stats>();
        detail::note(ostler_model_get_stats(get(), &stats), failure);
        return stats;
    }

    /// Destroys it now; from inside one of its own callbacks it is would_deadlock, and the model is kept.
    errc destroy() noexcept
    {
        const errc status = raw_.destroy();
        // Any other answer means that workers may be there yet; then the orchestrator keeps the functions until its end.
        if (status == errc::ok)
            drop_functions();
        return status;
    }

  private:
    using raw_handle = handle<ostler_model, ostler_model_destroy>;
    struct functions {
        load_function load;
        run_function run;
    };

    model() noexcept = default;

    static ostler_status load_one(void *user_data, std::uint32_t worker, void **state) noexcept
    {
        return detail::guarded([&] {
            *state = static_cast<functions *>(user_data)->load(worker).release();
            return *state ? OSTLER_OK : detail::fail(OSTLER_E_CALLBACK_FAILED, "load returned no state");
        });
    }
    static ostler_status run_batch(void *user_data, void *state, ostler_item *const *items, std::uint32_t count) noexcept
    {
        return detail::guarded([&] {
            static_cast<functions *>(user_data)->run(*static_cast<State *>(state), batch(items, count));
            return OSTLER_OK;
        });
    }
    static void unload_one(void *, void *state) noexcept
    {
        detail::swallowed([&] { delete static_cast<State *>(state); });
    }
    static void complete_one(void *user_data, ostler_ticket ticket, const ostler_result *outcome) noexcept
    {
        const std::unique_ptr<completion> done(static_cast<completion *>(user_data));
        detail::swallowed([&] { (*done)(ticket, result(*outcome)); });
    }

    void drop_functions() noexcept
    {
        if (const auto owner = std::exchange(owner_, {}).lock())
            owner->remove(functions_);
    }
    void end() noexcept
    {
        if (raw_)
            destroy();
        raw_.detach();
    }

    std::shared_ptr<functions> functions_;
    std::weak_ptr<detail::kept_functions> owner_;
    raw_handle raw_;
};

// ---- testkit ----

/// For the tests of programs that use the library.
namespace testkit {

/// Stops the library's clock, for the whole process and as long as this lives. Each of several is to end before the
/// clock runs on.
class [[nodiscard]] frozen_clock {
  public:
    frozen_clock() { detail::check(ostler_testkit_clock_freeze()); }
    frozen_clock(frozen_clock &&other) noexcept : is_frozen_(std::exchange(other.is_frozen_, false)) {}
    frozen_clock &operator=(frozen_clock &&other) noexcept
    {
        if (this != &other) {
            thaw();
            is_frozen_ = std::exchange(other.is_frozen_, false);
        }
        return *this;
    }
    ~frozen_clock() { thaw(); }

    /// Moves the clock, and waits for nothing: also for callbacks.
    void advance(duration by) { detail::check(ostler_testkit_clock_advance(by.ns())); }
    void advance(duration by, std::error_code &failure) noexcept
    {
        detail::note(ostler_testkit_clock_advance(by.ns()), failure);
    }
    /// Waits, in real time, until the library's threads have done what is due.
    void settle(wait_limit limit = {})
    {
        detail::check(ostler_testkit_clock_settle(limit.timeout_ns(), limit.stop()));
    }
    void settle(wait_limit limit, std::error_code &failure) noexcept
    {
        detail::note(ostler_testkit_clock_settle(limit.timeout_ns(), limit.stop()), failure);
    }
    /// So much time goes by, and what is due then is done.
    void pass(duration by)
    {
        advance(by);
        settle();
    }
    /// Lets the clock run on from where it stands.
    void thaw() noexcept
    {
        // It fails only in a forked child, whose clock nobody reads.
        if (std::exchange(is_frozen_, false))
            (void)ostler_testkit_clock_thaw();
    }

  private:
    bool is_frozen_ = true;
};

enum class callback : std::uint32_t {
    create = OSTLER_TESTKIT_CREATE,
    validate = OSTLER_TESTKIT_VALIDATE,
    reset = OSTLER_TESTKIT_RESET,
    destroy = OSTLER_TESTKIT_DESTROY,
    retag = OSTLER_TESTKIT_RETAG,
    load = OSTLER_TESTKIT_LOAD,
    run = OSTLER_TESTKIT_RUN,
};

/// Which calls of a callback misbehave, and how.
struct fault : ostler_testkit_fault {
    explicit fault(testkit::callback of) noexcept : ostler_testkit_fault(detail::sized<ostler_testkit_fault>())
    {
        ostler_testkit_fault::callback = static_cast<std::uint32_t>(of);
    }
    /// Counted from 1.
    fault &from_call(std::uint64_t number) noexcept { return first = number, *this; }
    /// And after it, or from the first on, each so-many-th.
    fault &each(std::uint64_t calls) noexcept { return every = calls, *this; }
    fault &by_chance(std::uint32_t in_a_million, std::uint64_t with_seed) noexcept
    {
        return per_million = in_a_million, seed = with_seed, *this;
    }
    fault &fails(ostler_status with = OSTLER_E_CALLBACK_FAILED) noexcept { return status = with, *this; }
    fault &takes(duration time) noexcept { return delay_ns = time.ns(), *this; }
};

/// Makes a callback of a pool or model misbehave for as long as this lives.
class [[nodiscard]] injection {
  public:
    template <class T> injection(pool<T> &of, const fault &fault) : pool_(of.get()), callback_(fault.callback)
    {
        detail::check(ostler_testkit_pool_inject(pool_, &fault));
    }
    template <class State> injection(model<State> &of, const fault &fault) : model_(of.get()), callback_(fault.callback)
    {
        detail::check(ostler_testkit_model_inject(model_, &fault));
    }
    injection(injection &&other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), model_(std::exchange(other.model_, nullptr)),
          callback_(other.callback_)
    {
    }
    injection &operator=(injection &&other) noexcept
    {
        if (this != &other) {
            clear();
            pool_ = std::exchange(other.pool_, nullptr);
            model_ = std::exchange(other.model_, nullptr);
            callback_ = other.callback_;
        }
        return *this;
    }
    ~injection() { clear(); }

    /// What it did up to now.
    ostler_testkit_injected done() const
    {
        return detail::thrown([&](std::error_code &failure) { return done(failure); });
    }
    ostler_testkit_injected done(std::error_code &failure) const noexcept
    {
        auto injected = detail::sized<ostler_testkit_injected>();
        detail::note(model_ ? ostler_testkit_model_get_injected(model_, callback_, &injected)
                            : ostler_testkit_pool_get_injected(pool_, callback_, &injected),
                     failure);
        return injected;
    }
    /// The callback is itself again, also where it is held up at this moment.
    void clear() noexcept
    {
        // It fails only where the object is gone, and the fault with it.
        if (pool_)
            (void)ostler_testkit_pool_clear(pool_, callback_);
        if (model_)
            (void)ostler_testkit_model_clear(model_, callback_);
    }

  private:
    ostler_pool *pool_ = nullptr;
    ostler_model *model_ = nullptr;
    std::uint32_t callback_;
};

} // namespace testkit

} // namespace ostler

#endif
