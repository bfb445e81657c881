// Feeds requests to the warm workers of its models.
#ifndef OSTLER_ORCHESTRATOR_HPP
#define OSTLER_ORCHESTRATOR_HPP

#include "request.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace ostler {

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

} // namespace ostler

#endif
