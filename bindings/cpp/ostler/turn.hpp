// An acquire that waits for its turn and holds no thread up.
#ifndef OSTLER_TURN_HPP
#define OSTLER_TURN_HPP

#include "pool.hpp"

#include <atomic>
#include <string>
#ifdef __cpp_impl_coroutine
#include <coroutine>
#endif

namespace ostler {

/// An acquire that waits for its turn, begun by pool::begin_acquire. It is gone on with when its bell has rung, or after
/// look_again; one that ends before that gives its turn up. It may outlive its pool.
template <class T> class [[nodiscard]] turn {
  public:
    turn() noexcept = default;
    turn(turn &&other) noexcept { take(other); }
    turn &operator=(turn &&other) noexcept
    {
        if (this != &other) {
            give_up();
            take(other);
        }
        return *this;
    }
    ~turn() { give_up(); }

    /// Whether it still waits.
    explicit operator bool() const noexcept { return ticket_.value != 0; }
    /// After so long it is to be gone on with although its bell has not rung; std::chrono::nanoseconds::max(): never.
    std::chrono::nanoseconds look_again() const noexcept
    {
        return std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(look_again_ns_, std::uint64_t{INT64_MAX})));
    }

    /// The lease, or an empty one while it waits on. Not to be called from a bell.
    lease<T> go_on()
    {
        std::error_code failure;
        lease<T> taken = go_on(failure);
        if (failure && failure != errc::not_ready)
            detail::raise(failure.value());
        return taken;
    }
    /// errc::not_ready while it waits on.
    lease<T> go_on(std::error_code &failure) noexcept { return step(0, failure); }
    /// Ends the wait: errc::cancelled, unless its turn has come, which is not lost.
    lease<T> cancel(std::error_code &failure) noexcept { return step(1, failure); }

  private:
    friend class pool<T>;
    turn(ostler_pool *pool, ostler_ticket ticket, std::uint64_t look_again_ns, void *bell,
         std::shared_ptr<const void> callbacks) noexcept
        : pool_(pool), ticket_(ticket), look_again_ns_(look_again_ns), bell_(bell), callbacks_(std::move(callbacks))
    {
    }

    void take(turn &other) noexcept
    {
        pool_ = other.pool_;
        ticket_ = std::exchange(other.ticket_, ostler_ticket{});
        look_again_ns_ = other.look_again_ns_;
        bell_ = other.bell_;
        callbacks_ = std::move(other.callbacks_);
    }

    lease<T> step(std::uint32_t cancelled, std::error_code &failure) noexcept
    {
        ostler_lease raw{};
        void *resource = nullptr;
        const ostler_status status =
            ostler_pool_continue_acquire(pool_, ticket_, cancelled, &look_again_ns_, &raw, &resource);
        detail::note(status, failure);
        if (status == OSTLER_E_NOT_READY)
            return {};
        if (std::exchange(ticket_, ostler_ticket{}).value)
            detail::bells::take_down(bell_);
        const std::shared_ptr<const void> callbacks = std::move(callbacks_);
        return raw.value ? lease<T>(pool_, raw, static_cast<T *>(resource), callbacks) : lease<T>();
    }

    void give_up() noexcept
    {
        std::error_code failure;
        // What came at the last moment goes back.
        if (ticket_.value)
            (void)cancel(failure);
    }

    ostler_pool *pool_ = nullptr;
    ostler_ticket ticket_{};
    std::uint64_t look_again_ns_ = 0;
    void *bell_ = nullptr;
    // A turn may outlive its pool, whose callbacks then end what it was handed.
    std::shared_ptr<const void> callbacks_;
};

#ifdef __cpp_impl_coroutine
/// A lease that comes later, from pool::acquire_later; once, for the co_await that it is in.
template <class T> class [[nodiscard]] coming_lease {
  public:
    coming_lease(const coming_lease &) = delete;
    coming_lease &operator=(const coming_lease &) = delete;
    ~coming_lease()
    {
        if (ticket_.value && !has_come_)
            (void)ostler_pool_cancel_async(pool_, ticket_);
    }

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiting) noexcept
    {
        ostler_lease raw{};
        void *resource = nullptr;
        waiting_ = waiting;
        const ostler_status status =
            ostler_pool_acquire_async(pool_, &how_, tell, this, &ticket_, &raw, &resource);
        if (!ticket_.value) {
            take(status, raw, resource);
            return false;
        }
        // Whoever is second goes on with the coroutine: this thread, or the one that tells.
        return !second_.exchange(true);
    }
    lease<T> await_resume()
    {
        if (status_ != OSTLER_OK)
            detail::raise(status_, words_.c_str());
        return std::move(lease_);
    }

  private:
    friend class pool<T>;
    coming_lease(ostler_pool *pool, const ostler_acquire &how, std::shared_ptr<const void> callbacks) noexcept
        : pool_(pool), how_(how), callbacks_(std::move(callbacks))
    {
    }

    void take(ostler_status status, ostler_lease raw, void *resource) noexcept
    {
        has_come_ = true;
        status_ = status;
        if (raw.value)
            lease_ = lease<T>(pool_, raw, static_cast<T *>(resource), std::move(callbacks_));
        else
            detail::swallowed([&] { words_ = last_error_message(); });
    }
    static void tell(void *user_data, ostler_ticket, ostler_status status, ostler_lease raw, void *resource) noexcept
    {
        auto *const self = static_cast<coming_lease *>(user_data);
        self->take(status, raw, resource);
        const std::coroutine_handle<> waiting = self->waiting_;
        if (self->second_.exchange(true))
            waiting.resume();
    }

    ostler_pool *pool_;
    ostler_acquire how_;
    std::shared_ptr<const void> callbacks_;
    ostler_ticket ticket_{};
    std::coroutine_handle<> waiting_;
    bool has_come_ = false;
    ostler_status status_ = OSTLER_OK;
    lease<T> lease_;
    std::string words_;
    std::atomic<bool> second_{false};
};
#endif

} // namespace ostler

#endif
