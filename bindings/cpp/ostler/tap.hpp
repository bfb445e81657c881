// One thread's, fiber's or coroutine's idle resources of a pool, leased without a call into the library.
#ifndef OSTLER_TAP_HPP
#define OSTLER_TAP_HPP

#include "pool.hpp"

#include <ostler_inline.h>

namespace ostler {

template <class T> class tap;

/// One use of one resource through a tap, given back to it when this ends. The tap must be there until then.
template <class T> class [[nodiscard]] tap_lease {
  public:
    tap_lease() noexcept = default;
    tap_lease(tap_lease &&other) noexcept
        : tap_(std::exchange(other.tap_, nullptr)), lease_(other.lease_), resource_(other.resource_)
    {
    }
    tap_lease &operator=(tap_lease &&other) noexcept
    {
        if (this != &other) {
            release();
            tap_ = std::exchange(other.tap_, nullptr);
            lease_ = other.lease_;
            resource_ = other.resource_;
        }
        return *this;
    }
    ~tap_lease() { release(); }

    T &operator*() const noexcept { return *resource_; }
    T *operator->() const noexcept { return resource_; }
    T *get() const noexcept { return tap_ ? resource_ : nullptr; }
    explicit operator bool() const noexcept { return tap_ != nullptr; }

    /// Gives the resource back now.
    errc release() noexcept
    {
        if (!tap_)
            return errc::ok;
        return static_cast<errc>(ostler_tap_release_inline(std::exchange(tap_, nullptr)->raw_.get(), lease_));
    }
    /// Gives it back to be destroyed.
    errc discard() noexcept
    {
        if (!tap_)
            return errc::ok;
        return static_cast<errc>(ostler_tap_discard(std::exchange(tap_, nullptr)->raw_.get(), lease_));
    }

  private:
    friend class tap<T>;
    tap_lease(const tap<T> *from, ostler_lease raw, T *resource) noexcept : tap_(from), lease_(raw), resource_(resource)
    {
    }

    const tap<T> *tap_ = nullptr;
    ostler_lease lease_{};
    T *resource_ = nullptr;
};

/// A cache of idle resources for one user at a time. Nobody goes without because of it. Leases refer to it, so it stays
/// where it is.
template <class T> class tap {
  public:
    explicit tap(const pool<T> &from)
    {
        detail::thrown([&](std::error_code &failure) { open(from, failure); });
    }
    tap(const pool<T> &from, std::error_code &failure) noexcept { open(from, failure); }
    tap(const tap &) = delete;
    tap &operator=(const tap &) = delete;

    ostler_tap *get() const noexcept { return raw_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(raw_); }

    tap_lease<T> acquire(wait_limit limit = {})
    {
        ostler_lease raw{};
        void *resource = nullptr;
        detail::check(ostler_tap_acquire_inline(get(), limit.timeout_ns(), limit.stop(), &raw, &resource));
        return {this, raw, static_cast<T *>(resource)};
    }
    tap_lease<T> acquire(wait_limit limit, std::error_code &failure) noexcept
    {
        ostler_lease raw{};
        void *resource = nullptr;
        const auto status = ostler_tap_acquire_inline(get(), limit.timeout_ns(), limit.stop(), &raw, &resource);
        if (!detail::note(status, failure))
            return {};
        return {this, raw, static_cast<T *>(resource)};
    }

    /// As many leases, all or none.
    std::vector<tap_lease<T>> acquire_n(std::uint32_t count, wait_limit limit = {})
    {
        return detail::thrown([&](std::error_code &failure) { return acquire_n(count, limit, failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::vector<tap_lease<T>> acquire_n(std::uint32_t count, wait_limit limit, std::error_code &failure)
    {
        std::vector<ostler_lease> raw(count);
        std::vector<void *> resources(count);
        std::vector<tap_lease<T>> taken;
        taken.reserve(count);
        if (detail::note(ostler_tap_acquire_n_inline(get(), count, limit.timeout_ns(), limit.stop(), raw.data(),
                                                     resources.data()),
                         failure)) {
            for (std::uint32_t i = 0; i < count; i++)
                taken.push_back(tap_lease<T>(this, raw[i], static_cast<T *>(resources[i])));
        }
        return taken;
    }

  private:
    friend class tap_lease<T>;
    void open(const pool<T> &from, std::error_code &failure) noexcept
    {
        ostler_tap *made = nullptr;
        if (detail::note(ostler_tap_open(from.get(), &made), failure)) {
            raw_ = handle<ostler_tap, ostler_tap_close>(made);
            callbacks_ = from.callbacks_;
        }
    }

    // A tap may outlive its pool, whose callbacks then end what it had leased.
    std::shared_ptr<const void> callbacks_;
    handle<ostler_tap, ostler_tap_close> raw_;
};

} // namespace ostler

#endif
