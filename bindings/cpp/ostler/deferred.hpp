// One-shot cells: a result that is made once, and taken once.
#ifndef OSTLER_DEFERRED_HPP
#define OSTLER_DEFERRED_HPP

#include "handle.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <vector>
#ifdef __cpp_impl_coroutine
#include <coroutine>
#endif

namespace ostler {

template <class T> class deferred;
template <class T> class desk;

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
    template <class> friend class desk;
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

} // namespace ostler

#endif
