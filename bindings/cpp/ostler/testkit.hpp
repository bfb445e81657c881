// For the tests of programs that use the library: a virtual clock, and callbacks that misbehave.
#ifndef OSTLER_TESTKIT_HPP
#define OSTLER_TESTKIT_HPP

#include "model.hpp"
#include "pool.hpp"
#include "templates.hpp"

#include <utility>

namespace ostler {

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

/// What the library does by chance comes from a seed for as long as this lives, in the whole process.
class [[nodiscard]] seeded_chance {
  public:
    explicit seeded_chance(std::uint64_t seed) { detail::check(ostler_testkit_chance_seed(seed)); }
    seeded_chance(const seeded_chance &) = delete;
    seeded_chance &operator=(const seeded_chance &) = delete;
    // It fails only in a forked child, which asks for no number.
    ~seeded_chance() { (void)ostler_testkit_chance_unseed(); }
};

enum class callback : std::uint32_t {
    create = OSTLER_TESTKIT_CREATE,
    validate = OSTLER_TESTKIT_VALIDATE,
    reset = OSTLER_TESTKIT_RESET,
    destroy = OSTLER_TESTKIT_DESTROY,
    retag = OSTLER_TESTKIT_RETAG,
    load = OSTLER_TESTKIT_LOAD,
    run = OSTLER_TESTKIT_RUN,
    build = OSTLER_TESTKIT_BUILD,
    clone = OSTLER_TESTKIT_CLONE,
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

/// Makes a callback of a pool, a model or templates misbehave for as long as this lives.
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
    injection(templates &of, const fault &fault) : templates_(of.get()), callback_(fault.callback)
    {
        detail::check(ostler_testkit_templates_inject(templates_, &fault));
    }
    injection(injection &&other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), model_(std::exchange(other.model_, nullptr)),
          templates_(std::exchange(other.templates_, nullptr)), callback_(other.callback_)
    {
    }
    injection &operator=(injection &&other) noexcept
    {
        if (this != &other) {
            clear();
            pool_ = std::exchange(other.pool_, nullptr);
            model_ = std::exchange(other.model_, nullptr);
            templates_ = std::exchange(other.templates_, nullptr);
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
        detail::note(model_       ? ostler_testkit_model_get_injected(model_, callback_, &injected)
                     : templates_ ? ostler_testkit_templates_get_injected(templates_, callback_, &injected)
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
        if (templates_)
            (void)ostler_testkit_templates_clear(templates_, callback_);
    }

  private:
    ostler_pool *pool_ = nullptr;
    ostler_model *model_ = nullptr;
    ostler_templates *templates_ = nullptr;
    std::uint32_t callback_;
};

} // namespace testkit

} // namespace ostler

#endif
