// One thread's, fiber's or coroutine's way to a set of one-shot cells, without a call into the library.
#ifndef OSTLER_DESK_HPP
#define OSTLER_DESK_HPP

#include "deferred.hpp"

#include <ostler_inline.h>

namespace ostler {

/// What a set does, for one user at a time, and without a locked operation as long as nobody else uses the set. Its cells are
/// cells like any other: they may be waited for, be completed elsewhere, and outlive the desk.
template <class T> class desk {
  public:
    explicit desk(const deferred<T> &set)
    {
        detail::thrown([&](std::error_code &failure) { open(set, failure); });
    }
    desk(const deferred<T> &set, std::error_code &failure) noexcept { open(set, failure); }

    ostler_desk *get() const noexcept { return raw_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(raw_); }

    cell<T> acquire()
    {
        ostler_cell raw{};
        detail::check(ostler_desk_acquire_inline(get(), &raw));
        return {deferred_, raw};
    }
    cell<T> acquire(std::error_code &failure) noexcept
    {
        ostler_cell raw{};
        return detail::note(ostler_desk_acquire_inline(get(), &raw), failure) ? cell<T>(deferred_, raw) : cell<T>();
    }

    /// Completes a cell of the set. On success the value is with whoever takes it; otherwise it stays here.
    void complete(const completer<T> &side, std::unique_ptr<T> &&value)
    {
        detail::check(ostler_desk_complete_inline(get(), side.id(), OSTLER_OK, value.get()));
        (void)value.release();
    }
    void complete(const completer<T> &side, std::unique_ptr<T> &&value, std::error_code &failure) noexcept
    {
        if (detail::note(ostler_desk_complete_inline(get(), side.id(), OSTLER_OK, value.get()), failure))
            (void)value.release();
    }
    /// Completes it with a failure. The number must not be 0.
    void fail(const completer<T> &side, int status)
    {
        detail::thrown([&](std::error_code &failure) { return fail(side, status, failure); });
    }
    void fail(const completer<T> &side, int status, std::error_code &failure) noexcept
    {
        detail::note(status == 0 ? OSTLER_E_INVALID_ARGUMENT
                                 : ostler_desk_complete_inline(get(), side.id(), status, nullptr),
                     failure);
    }

    /// Takes what has come to a cell of the set: errc::not_ready when nothing has, else the value or what it was completed
    /// with.
    std::unique_ptr<T> poll(cell<T> &side, std::error_code &failure) noexcept
    {
        if (!side) {
            failure = make_error_code(errc::stale_cell);
            return nullptr;
        }
        return side.taken(failure, [&](ostler_status *outcome, void **value) {
            return ostler_desk_poll_inline(get(), side.id(), outcome, value);
        });
    }
    /// Gives a cell of the set up, as it would do itself at its end. One that is refused stays what it was.
    errc release(cell<T> &side) noexcept
    {
        if (!side)
            return errc::ok;
        const auto status = ostler_desk_release_inline(get(), side.id());
        if (status == OSTLER_OK)
            side.deferred_ = nullptr;
        return static_cast<errc>(status);
    }

  private:
    void open(const deferred<T> &set, std::error_code &failure) noexcept
    {
        ostler_desk *made = nullptr;
        if (detail::note(ostler_desk_open(set.get(), &made), failure)) {
            raw_ = handle<ostler_desk, ostler_desk_close>(made);
            deferred_ = set.get();
        }
    }

    ostler_deferred *deferred_ = nullptr;
    handle<ostler_desk, ostler_desk_close> raw_;
};

} // namespace ostler

#endif
