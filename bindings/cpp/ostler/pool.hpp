// Objects that are expensive to make, kept warm and leased out.
#ifndef OSTLER_POOL_HPP
#define OSTLER_POOL_HPP

#include "bells.hpp"
#include "handle.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace ostler {

enum class idle_order : std::uint32_t {
    last_used_first = OSTLER_IDLE_LAST_USED_FIRST,
    longest_first = OSTLER_IDLE_LONGEST_FIRST,
};

/// For whom an idle resource is kept: the thread that used it last, or anyone on the node where it was used last.
enum class affinity : std::uint32_t {
    thread = OSTLER_AFFINITY_THREAD,
    node = OSTLER_AFFINITY_NODE,
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
    pool_config &keep_for(ostler::affinity affinity) noexcept
    {
        return ostler_pool_config::affinity = static_cast<std::uint32_t>(affinity), *this;
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
    /// What each resource holds, charged to the pool's account while it lives.
    pool_config &holding(std::uint64_t bytes) noexcept { return resource_bytes = bytes, *this; }
    /// Who waits may be overtaken for so long, for the speed of who leases and releases in turn.
    pool_config &barging(duration time) noexcept { return barging_ns = time.ns(), *this; }
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
    /// From where it was acquired, for ostler_tracing_print_site; 0 while tracing was off.
    std::uint32_t call_site;

    explicit lease_info(const ostler_lease_info &info) noexcept
        : resource(static_cast<T *>(info.resource)), thread_id(info.thread_id),
          held(static_cast<std::chrono::nanoseconds::rep>(info.held_ns)), raw(info.lease), call_site(info.call_site)
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
template <class T> class tap;
template <class T> class turn;
#ifdef __cpp_impl_coroutine
template <class T> class coming_lease;
#endif

/// How many resources there are, and how many there shall be.
struct pool_warmth {
    std::uint32_t ready = 0;
    std::uint32_t wanted = 0;
};

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
    friend class turn<T>;
#ifdef __cpp_impl_coroutine
    friend class coming_lease<T>;
#endif
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
    /// Tells it from others until it is taken; 0: there is nothing to wait for.
    std::uint64_t id() const noexcept { return ticket_.value; }
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

/// What became of an acquire without a function.
template <class T> struct taken_acquire {
    std::uint64_t id;
    std::error_code failure;
    ostler::lease<T> lease;
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
        const ostler_acquire how = how_to(wanted, timeout);
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

    /// The same for an event loop: what is not to be had now is taken with take_acquired, when the event can be read.
    lease<T> acquire_async(demand wanted, duration timeout, pending_acquire &later)
    {
        return detail::thrown(
            [&](std::error_code &failure) { return acquire_async(wanted, timeout, later, failure); });
    }
    lease<T> acquire_async(demand wanted, duration timeout, pending_acquire &later, std::error_code &failure) noexcept
    {
        const ostler_acquire how = how_to(wanted, timeout);
        ostler_ticket ticket{};
        lease<T> now = leased(failure, [&](ostler_lease *lease, void **resource) {
            return ostler_pool_acquire_async(get(), &how, nullptr, nullptr, &ticket, lease, resource);
        });
        later = pending_acquire(get(), ticket, nullptr);
        return now;
    }
    /// A descriptor that can be read while take_acquired has something to give. The pool's own: it is not to be closed.
    int event()
    {
        return detail::thrown([&](std::error_code &failure) { return event(failure); });
    }
    int event(std::error_code &failure) noexcept
    {
        std::int32_t descriptor = -1;
        detail::note(ostler_pool_get_event(get(), &descriptor), failure);
        return descriptor;
    }
    /// What became of the oldest acquire without a function; does not wait.
    std::optional<taken_acquire<T>> take_acquired()
    {
        std::error_code failure;
        std::optional<taken_acquire<T>> taken = take_acquired(failure);
        if (failure)
            detail::raise(failure.value());
        return taken;
    }
    std::optional<taken_acquire<T>> take_acquired(std::error_code &failure) noexcept
    {
        ostler_ticket ticket{};
        ostler_status outcome = OSTLER_OK;
        ostler_lease raw{};
        void *resource = nullptr;
        const ostler_status status = ostler_pool_take_acquired(get(), &ticket, &outcome, &raw, &resource);
        if (status == OSTLER_E_NOT_READY) {
            failure.clear();
            return std::nullopt;
        }
        if (!detail::note(status, failure))
            return std::nullopt;
        taken_acquire<T> taken{ticket.value, {outcome, category()}, {}};
        if (raw.value)
            taken.lease = lease<T>(get(), raw, static_cast<T *>(resource), callbacks_);
        return taken;
    }

    /// For fibers, coroutines and event loops of one's own: what is to be had now is leased now. Otherwise the lease is empty,
    /// and no thread waits: `bell` rings, on any thread that gives something back, when `later` is to be gone on with. A bell
    /// only wakes somebody; it may ring before this returns, more often than needed, and a moment after its turn has ended. Who
    /// it wakes goes on once `later` is written.
    lease<T> begin_acquire(demand wanted, duration timeout, std::function<void()> bell, turn<T> &later)
    {
        return detail::thrown([&](std::error_code &failure) {
            return begin_acquire(wanted, timeout, std::move(bell), later, failure);
        });
    }
    /// Throws nothing but std::bad_alloc.
    lease<T> begin_acquire(demand wanted, duration timeout, std::function<void()> bell, turn<T> &later,
                           std::error_code &failure)
    {
        const ostler_acquire how = how_to(wanted, timeout);
        void *const hung = detail::bells::hang_up(std::move(bell));
        ostler_ticket ticket{};
        std::uint64_t look_again_ns = 0;
        lease<T> now = leased(failure, [&](ostler_lease *lease, void **resource) {
            return ostler_pool_begin_acquire(get(), &how, detail::bells::ring, hung, &ticket, &look_again_ns, lease,
                                             resource);
        });
        if (!ticket.value)
            detail::bells::take_down(hung);
        later = ticket.value ? turn<T>(get(), ticket, look_again_ns, hung, callbacks_) : turn<T>();
        return now;
    }

#ifdef __cpp_impl_coroutine
    /// co_await gives the lease or throws what acquire does. The coroutine goes on at once, or on the pool's own thread. One that
    /// is destroyed while it waits must not be told at the same moment.
    coming_lease<T> acquire_later(demand wanted = {}, duration timeout = forever) noexcept
    {
        return {get(), how_to(wanted, timeout), callbacks_};
    }
#endif

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

    static ostler_acquire how_to(const demand &wanted, duration timeout) noexcept
    {
        auto how = detail::sized<ostler_acquire>();
        how.priority = static_cast<std::uint32_t>(wanted.priority);
        how.timeout_ns = timeout.ns();
        how.tag = wanted.tag;
        return how;
    }

    template <class Take> lease<T> leased(std::error_code &failure, Take &&take) noexcept
    {
        ostler_lease raw{};
        void *resource = nullptr;
        // It may be on its way.
        if (!detail::note(take(&raw, &resource), failure) || !raw.value)
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

    friend class tap<T>;
    std::shared_ptr<callbacks_type> callbacks_;
    raw_handle raw_;
};

} // namespace ostler

#include "turn.hpp"

#endif
