// How much memory the process may hold, how short it is, and who gives some back.
#ifndef OSTLER_GOVERNOR_HPP
#define OSTLER_GOVERNOR_HPP

#include "handle.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ostler {

/// The governor of memory: one for the process.
namespace governor {

/// How short memory is.
enum class level : std::uint32_t {
    low = OSTLER_LEVEL_LOW,
    normal = OSTLER_LEVEL_NORMAL,
    high = OSTLER_LEVEL_HIGH,
    critical = OSTLER_LEVEL_CRITICAL,
};

/// What it costs to get memory back.
enum class cost : std::uint32_t {
    empty = OSTLER_RECLAIM_EMPTY,
    lazy = OSTLER_RECLAIM_LAZY,
    pool = OSTLER_RECLAIM_POOL,
    compact = OSTLER_RECLAIM_COMPACT,
    worker = OSTLER_RECLAIM_WORKER,
};

/// The C struct with its defaults, and setters that can be chained. Texts are borrowed until it is used.
struct config : ostler_governor_config {
    config() noexcept : ostler_governor_config(detail::sized<ostler_governor_config>()) {}
    config &at_most(std::uint64_t bytes) noexcept { return limit_bytes = bytes, *this; }
    /// Of what the kernel allows.
    config &share(std::uint32_t percent) noexcept { return limit_percent = percent, *this; }
    config &thresholds(std::uint32_t normal, std::uint32_t high, std::uint32_t critical) noexcept
    {
        return normal_percent = normal, high_percent = high, critical_percent = critical, *this;
    }
    config &every(duration tick) noexcept { return tick_ns = tick.ns(), *this; }
    config &cools_down_in(duration time) noexcept { return cool_down_ns = time.ns(), *this; }
    /// How often it looks at what has become of the memory of each object; forever: never.
    config &looks_every(duration period) noexcept { return coverage_period_ns = period.ns(), *this; }
    config &only_suggests() noexcept { return suggest_only = 1, *this; }
    config &in_group(const char *folder) noexcept { return cgroup_folder = folder, *this; }
};

inline void configure(const config &how) { detail::check(ostler_governor_configure(&how)); }
inline void configure(const config &how, std::error_code &failure) noexcept
{
    detail::note(ostler_governor_configure(&how), failure);
}
/// As before the first configuration.
inline void forget() { detail::check(ostler_governor_configure(nullptr)); }
inline void forget(std::error_code &failure) noexcept { detail::note(ostler_governor_configure(nullptr), failure); }

inline ostler_governor_stats stats(std::error_code &failure) noexcept
{
    auto stats = detail::sized<ostler_governor_stats>();
    detail::note(ostler_governor_get_stats(&stats), failure);
    return stats;
}
inline ostler_governor_stats stats()
{
    return detail::thrown([](std::error_code &failure) { return stats(failure); });
}

/// How much of the memory of all objects still is in huge pages, and on its nodes.
inline ostler_coverage coverage(std::error_code &failure) noexcept
{
    auto coverage = detail::sized<ostler_coverage>();
    detail::note(ostler_governor_get_coverage(&coverage), failure);
    return coverage;
}
inline ostler_coverage coverage()
{
    return detail::thrown([](std::error_code &failure) { return coverage(failure); });
}
/// Puts huge pages of all objects together, and moves their pages home.
inline ostler_repair repair(std::error_code &failure) noexcept
{
    auto repair = detail::sized<ostler_repair>();
    detail::note(ostler_governor_repair(&repair), failure);
    return repair;
}
inline ostler_repair repair()
{
    return detail::thrown([](std::error_code &failure) { return repair(failure); });
}

} // namespace governor

namespace detail {

/// Everything that a function of the C header lists. Throws nothing but std::bad_alloc.
template <class Entry, class List> std::vector<Entry> listed(List &&list, std::error_code &failure)
{
    std::vector<Entry> entries;
    std::uint64_t count = 0;
    // There may be more the next time.
    do {
        entries.resize(count);
        if (!note(list(entries.data(), entries.size(), &count), failure))
            return {};
    } while (count > entries.size());
    entries.resize(count);
    return entries;
}

} // namespace detail

namespace governor {

/// The accounts that are open, the largest first. Throws nothing but std::bad_alloc.
inline std::vector<ostler_account_info> accounts(std::error_code &failure)
{
    return detail::listed<ostler_account_info>(ostler_governor_list_accounts, failure);
}
inline std::vector<ostler_account_info> accounts()
{
    return detail::thrown([](std::error_code &failure) { return accounts(failure); });
}

/// Who could give memory back, in the order in which they would be asked. Throws nothing but std::bad_alloc.
inline std::vector<ostler_suggestion> suggestions(std::error_code &failure)
{
    return detail::listed<ostler_suggestion>(ostler_governor_suggest, failure);
}
inline std::vector<ostler_suggestion> suggestions()
{
    return detail::thrown([](std::error_code &failure) { return suggestions(failure); });
}

/// Asks for memory back, up to a cost, and tells how much was freed.
inline std::uint64_t reclaim(std::uint64_t bytes, cost up_to, std::error_code &failure) noexcept
{
    std::uint64_t freed = 0;
    const auto kind = static_cast<std::uint32_t>(up_to);
    detail::note(ostler_governor_reclaim(bytes, kind, nullptr, 0, nullptr, &freed), failure);
    return freed;
}
inline std::uint64_t reclaim(std::uint64_t bytes, cost up_to = cost::worker)
{
    return detail::thrown([&](std::error_code &failure) { return reclaim(bytes, up_to, failure); });
}

/// Has a function called on the governor's thread at each change of the level, until it ends. What the function throws
/// goes no further.
class [[nodiscard]] watch {
  public:
    using function = std::function<void(const ostler_level_change &)>;

    explicit watch(function told)
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(std::move(told), failure); });
    }
    /// Throws nothing but std::bad_alloc.
    static watch open(function told, std::error_code &failure)
    {
        watch made;
        made.told_ = std::make_unique<std::shared_ptr<function>>(std::make_shared<function>(std::move(told)));
        if (!detail::note(ostler_governor_watch(deliver, made.told_.get(), &made.id_), failure))
            made.told_.reset();
        return made;
    }
    watch(watch &&other) noexcept : told_(std::move(other.told_)), id_(std::exchange(other.id_, 0)) {}
    watch &operator=(watch &&other) noexcept
    {
        if (this != &other) {
            end();
            told_ = std::move(other.told_);
            id_ = std::exchange(other.id_, 0);
        }
        return *this;
    }
    ~watch() { end(); }

    explicit operator bool() const noexcept { return id_ != 0; }
    /// The function is called no more when this returns; inside of it, after that.
    void end() noexcept
    {
        if (const auto id = std::exchange(id_, 0))
            ostler_governor_unwatch(id);
        told_.reset();
    }

  private:
    watch() noexcept = default;
    static void deliver(void *told, const ostler_level_change *change) noexcept
    {
        // A function that ends its own watch lives until it returns.
        const auto function_now = *static_cast<std::shared_ptr<function> *>(told);
        detail::swallowed([&] { (*function_now)(*change); });
    }

    std::unique_ptr<std::shared_ptr<function>> told_;
    std::uint64_t id_ = 0;
};

} // namespace governor

/// The C struct with its defaults, and setters that can be chained.
struct account_config : ostler_account_config {
    /// Frees about so many bytes that the account holds, and tells how many; the cost is that of getting them back.
    std::function<std::uint64_t(std::uint64_t bytes)> frees;

    account_config() noexcept : ostler_account_config(detail::sized<ostler_account_config>()) {}
    account_config &at_most(std::uint64_t bytes) noexcept { return limit_bytes = bytes, *this; }
    account_config &of_device() noexcept { return holder = OSTLER_HOLDER_DEVICE, *this; }
    account_config &all_essential() noexcept { return essential = 1, *this; }
    account_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
    template <class Account> account_config &below(const Account &account) noexcept
    {
        return parent = account.get(), *this;
    }
    account_config &freed_by(governor::cost cost, std::function<std::uint64_t(std::uint64_t)> free)
    {
        return reclaim_kind = static_cast<std::uint32_t>(cost), frees = std::move(free), *this;
    }
};

/// Memory that the program takes itself, or holds already, in the governor's books.
class account : public handle<ostler_account, ostler_account_destroy> {
  public:
    explicit account(account_config config = account_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(std::move(config), failure); });
    }
    /// Throws nothing but std::bad_alloc.
    static account open(account_config config, std::error_code &failure)
    {
        account made(nullptr);
        ostler_account_config given = config;
        if (config.frees) {
            made.frees_ = std::make_unique<free_function>(std::move(config.frees));
            given.reclaim = free;
            given.user_data = made.frees_.get();
        }
        ostler_account *raw = nullptr;
        detail::note(ostler_account_create(&given, &raw), failure);
        static_cast<handle &>(made) = handle(raw);
        return made;
    }
    account(account &&) noexcept = default;
    account &operator=(account &&) noexcept = default;
    ~account()
    {
        // Until the account is gone, its function may be called.
        if (destroy() == errc::would_deadlock)
            (void)frees_.release();
    }

    /// Asks for memory before it is taken; throws when it is refused.
    void reserve(std::uint64_t bytes, bool essential = false)
    {
        detail::check(ostler_account_reserve(get(), bytes, flags(essential)));
    }
    void reserve(std::uint64_t bytes, bool essential, std::error_code &failure) noexcept
    {
        detail::note(ostler_account_reserve(get(), bytes, flags(essential)), failure);
    }
    void release(std::uint64_t bytes) { detail::check(ostler_account_release(get(), bytes)); }
    void release(std::uint64_t bytes, std::error_code &failure) noexcept
    {
        detail::note(ostler_account_release(get(), bytes), failure);
    }
    /// Tells what is held beside the reservations, in place of what was told before.
    void report(std::uint64_t bytes) { detail::check(ostler_account_report(get(), bytes)); }
    void report(std::uint64_t bytes, std::error_code &failure) noexcept
    {
        detail::note(ostler_account_report(get(), bytes), failure);
    }
    /// What it holds was of use just now.
    void touch() { detail::check(ostler_account_touch(get())); }
    void touch(std::error_code &failure) noexcept { detail::note(ostler_account_touch(get()), failure); }

    ostler_account_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_account_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_account_stats>();
        detail::note(ostler_account_get_stats(get(), &stats), failure);
        return stats;
    }

  private:
    using free_function = std::function<std::uint64_t(std::uint64_t)>;

    explicit account(ostler_account *raw) noexcept : handle(raw) {}
    static std::uint32_t flags(bool essential) noexcept { return essential ? OSTLER_RESERVE_ESSENTIAL : 0; }
    static ostler_status free(void *self, std::uint64_t bytes, std::uint64_t *freed) noexcept
    {
        return detail::guarded([&] {
            *freed = (*static_cast<free_function *>(self))(bytes);
            return OSTLER_OK;
        });
    }

    std::unique_ptr<free_function> frees_;
};

} // namespace ostler

#endif
