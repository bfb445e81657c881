// What the objects share: who owns a handle of the C header, how long a wait may take, whose turn it is, what calls back.
#ifndef OSTLER_HANDLE_HPP
#define OSTLER_HANDLE_HPP

#include "library.hpp"

#include <memory>
#include <type_traits>
#include <utility>

namespace ostler {

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

/// Whose turn it is among those who wait: a higher class before any lower.
enum class priority : std::uint32_t {
    critical = OSTLER_PRIORITY_CRITICAL,
    high = OSTLER_PRIORITY_HIGH,
    normal = OSTLER_PRIORITY_NORMAL,
    low = OSTLER_PRIORITY_LOW,
    batch = OSTLER_PRIORITY_BATCH,
};

namespace detail {

/// What the library calls with user_data. Where it may go on calling without an owner, it owns itself.
template <class Functions> struct shared_callbacks : Functions {
    std::shared_ptr<shared_callbacks> itself;
    explicit shared_callbacks(Functions &&functions) : Functions(std::move(functions)) {}
};

} // namespace detail

} // namespace ostler

#endif
