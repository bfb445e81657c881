// Values that are loaded at the first access, and dropped when memory runs short.
#ifndef OSTLER_LAZY_HPP
#define OSTLER_LAZY_HPP

#include "page_source.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <ostler_inline.h>
#include <string>
#include <string_view>

namespace ostler {

/// A value while it is pinned; it lets go when it ends, on the thread that pinned it.
template <class T> class [[nodiscard]] pinned {
  public:
    pinned() noexcept = default;
    pinned(pinned &&other) noexcept : reader_(std::exchange(other.reader_, nullptr)), value_(other.value_) {}
    pinned &operator=(pinned &&other) noexcept
    {
        if (this != &other) {
            unpin();
            reader_ = std::exchange(other.reader_, nullptr);
            value_ = other.value_;
        }
        return *this;
    }
    ~pinned() { unpin(); }

    explicit operator bool() const noexcept { return reader_ != nullptr; }
    const T &operator*() const noexcept { return *value_; }
    const T *operator->() const noexcept { return value_; }
    void unpin() noexcept
    {
        if (reader_)
            (void)ostler_reader_unpin_inline(std::exchange(reader_, nullptr));
    }

  private:
    template <class> friend class reader;
    pinned(ostler_reader *reader, const T *value) noexcept : reader_(reader), value_(value) {}

    ostler_reader *reader_ = nullptr;
    const T *value_ = nullptr;
};

template <class T> class lazy;

/// One thread's way to a lazy value: a pin is a few plain loads and stores.
template <class T> class reader : public handle<ostler_reader, ostler_reader_close> {
  public:
    explicit reader(const lazy<T> &of)
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(of, failure); });
    }
    static reader open(const lazy<T> &of, std::error_code &failure) noexcept
    {
        ostler_reader *made = nullptr;
        detail::note(ostler_reader_open(of.get(), &made), failure);
        return reader(made);
    }

    /// Loads the value when it is not there, or waits for who does.
    pinned<T> pin(wait_limit limit = {})
    {
        void *value = nullptr;
        detail::check(ostler_reader_pin_inline(this->get(), limit.timeout_ns(), limit.stop(), &value));
        return {this->get(), static_cast<const T *>(value)};
    }
    pinned<T> pin(wait_limit limit, std::error_code &failure) noexcept
    {
        void *value = nullptr;
        const bool is_pinned =
            detail::note(ostler_reader_pin_inline(this->get(), limit.timeout_ns(), limit.stop(), &value), failure);
        return is_pinned ? pinned<T>(this->get(), static_cast<const T *>(value)) : pinned<T>();
    }

  private:
    explicit reader(ostler_reader *raw) noexcept : handle<ostler_reader, ostler_reader_close>(raw) {}
};

/// What a load made: the value, and what it counts against the memory of the process.
template <class T> struct loaded {
    std::unique_ptr<T> value;
    std::uint64_t bytes = sizeof(T);
};

/// A value that is loaded at the first access by one thread while others wait, and dropped when memory runs short. It must
/// outlive its readers.
template <class T> class lazy {
  public:
    using loader = std::function<loaded<T>()>;

    explicit lazy(loader load, std::string_view name = {})
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(std::move(load), name, failure); });
    }
    lazy(lazy &&) noexcept = default;
    lazy &operator=(lazy &&other) noexcept
    {
        // The handle first: its end calls the loader's drop.
        handle_ = std::move(other.handle_);
        load_ = std::move(other.load_);
        return *this;
    }
    /// Throws nothing but std::bad_alloc.
    static lazy open(loader load, std::string_view name, std::error_code &failure)
    {
        lazy made;
        made.load_ = std::make_unique<loader>(std::move(load));
        auto config = detail::sized<ostler_lazy_config>();
        detail::set_name(config.name, name);
        auto callbacks = detail::sized<ostler_lazy_callbacks>();
        callbacks.load = call_load;
        callbacks.drop = call_drop;
        ostler_lazy *raw = nullptr;
        detail::note(ostler_lazy_create(&config, &callbacks, made.load_.get(), &raw), failure);
        made.handle_ = owner(raw);
        return made;
    }

    ostler_lazy *get() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

    /// What is there now is not used any more; who has pinned it keeps it.
    void invalidate() { detail::check(ostler_lazy_invalidate(get())); }
    void invalidate(std::error_code &failure) noexcept { detail::note(ostler_lazy_invalidate(get()), failure); }
    /// Drops the value unless it is pinned; tells how many bytes it counted.
    std::uint64_t drop(std::error_code &failure) noexcept
    {
        std::uint64_t freed = 0;
        detail::note(ostler_lazy_drop(get(), &freed), failure);
        return freed;
    }

    ostler_lazy_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_lazy_stats stats(std::error_code &failure) const noexcept
    {
        ostler_lazy_stats told = detail::sized<ostler_lazy_stats>();
        detail::note(ostler_lazy_get_stats(get(), &told), failure);
        return told;
    }
    errc destroy() noexcept { return handle_.destroy(); }

  protected:
    using owner = handle<ostler_lazy, ostler_lazy_destroy>;
    lazy() noexcept = default;
    explicit lazy(ostler_lazy *raw) noexcept : handle_(raw) {}

  private:

    static ostler_status call_load(void *user_data, void **value, std::uint64_t *size_bytes) noexcept
    {
        return detail::guarded([&] {
            loaded<T> made = (*static_cast<loader *>(user_data))();
            *size_bytes = made.bytes;
            *value = made.value.release();
            return OSTLER_OK;
        });
    }
    static void call_drop(void *, void *value) noexcept { delete static_cast<T *>(value); }

    /// Ends after the handle, whose end may still call it.
    std::unique_ptr<loader> load_;
    owner handle_;
};

/// The contents of a file, which is read whole at the first access and opened anew at each load. A
/// reader<ostler_lazy_content> pins them.
class lazy_file : public lazy<ostler_lazy_content> {
  public:
    explicit lazy_file(const std::string &path, std::string_view name = {}, const page_source &pages = page_source())
        : lazy_file(
              detail::thrown([&](std::error_code &failure) { return open(path, name, pages, failure); }))
    {
    }
    static lazy_file open(const std::string &path, std::string_view name, const page_source &pages,
                          std::error_code &failure) noexcept
    {
        auto config = detail::sized<ostler_lazy_config>();
        detail::set_name(config.name, name);
        config.source = &pages;
        ostler_lazy *raw = nullptr;
        detail::note(ostler_lazy_open_file(&config, path.c_str(), &raw), failure);
        return lazy_file(raw);
    }

  private:
    explicit lazy_file(ostler_lazy *raw) noexcept : lazy(raw) {}
};

/// What a pinned file holds.
inline const_bytes contents(const ostler_lazy_content &of) noexcept { return {of.data, of.size_bytes}; }

} // namespace ostler

#endif
