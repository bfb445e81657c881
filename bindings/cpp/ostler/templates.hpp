// Immutable initial data by key, built once and then copied.
#ifndef OSTLER_TEMPLATES_HPP
#define OSTLER_TEMPLATES_HPP

#include "arena.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string_view>

namespace ostler {

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

} // namespace ostler

#endif
