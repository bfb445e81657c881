// Memory in sizes that is leased one by one, and viewed by many without a copy.
#ifndef OSTLER_BUFFERS_HPP
#define OSTLER_BUFFERS_HPP

#include "inspected.hpp"
#include "page_source.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace ostler {

/// The C struct with its defaults, and setters that can be chained.
struct buffers_config : ostler_buffers_config {
    /// What memory the buffers are made of, unless the pointer of the C struct names another.
    page_source from;
    buffers_config() noexcept : ostler_buffers_config(detail::sized<ostler_buffers_config>()) {}
    buffers_config &on(const page_source &pages) noexcept { return from = pages, *this; }
    buffers_config &chunks_of(std::uint64_t bytes) noexcept { return chunk_bytes = bytes, *this; }
    buffers_config &at_most(std::uint64_t bytes) noexcept { return limit_bytes = bytes, *this; }
    buffers_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

/// One reference to a view of memory in a set of buffers, released when it ends. It may outlive its set.
class [[nodiscard]] buffer {
  public:
    buffer() noexcept = default;
    /// Takes a reference over, as from the result of a request.
    buffer(ostler_buffers *set, ostler_buffer view) noexcept : set_(set), view_(view) {}
    buffer(buffer &&other) noexcept : set_(other.set_), view_(std::exchange(other.view_, {})) {}
    buffer &operator=(buffer &&other) noexcept
    {
        if (this != &other) {
            release();
            set_ = other.set_;
            view_ = std::exchange(other.view_, {});
        }
        return *this;
    }
    ~buffer() { release(); }

    explicit operator bool() const noexcept { return view_.value != 0; }
    ostler_buffers *set() const noexcept { return set_; }
    ostler_buffer id() const noexcept { return view_; }
    /// Gives the reference up; the caller releases it.
    ostler_buffer detach() noexcept { return std::exchange(view_, {}); }

    std::byte *data() const noexcept { return static_cast<std::byte *>(extent().base); }
    std::size_t size() const noexcept { return extent().size_bytes; }
    std::byte *begin() const noexcept { return data(); }
    std::byte *end() const noexcept
    {
        const ostler_iovec whole = extent();
        return static_cast<std::byte *>(whole.base) + whole.size_bytes;
    }

    /// Another reference to the same view.
    buffer share() const
    {
        return detail::thrown([&](std::error_code &failure) { return share(failure); });
    }
    buffer share(std::error_code &failure) const noexcept
    {
        return detail::note(ostler_buffers_retain(set_, view_), failure) ? buffer(set_, view_) : buffer();
    }
    /// A view of a part of what this one shows, which may outlive it. Nothing is copied.
    buffer slice(std::size_t offset, std::size_t bytes) const
    {
        return detail::thrown([&](std::error_code &failure) { return slice(offset, bytes, failure); });
    }
    buffer slice(std::size_t offset, std::size_t bytes, std::error_code &failure) const noexcept
    {
        ostler_buffer part{};
        detail::note(ostler_buffers_slice(set_, view_, offset, bytes, &part), failure);
        return {set_, part};
    }
    /// Makes the view shorter.
    void truncate(std::size_t bytes) { detail::check(ostler_buffers_truncate(set_, view_, bytes)); }
    void truncate(std::size_t bytes, std::error_code &failure) noexcept
    {
        detail::note(ostler_buffers_truncate(set_, view_, bytes), failure);
    }

    errc release() noexcept
    {
        if (view_.value == 0)
            return errc::ok;
        return static_cast<errc>(ostler_buffers_release(set_, std::exchange(view_, {})));
    }

  private:
    ostler_iovec extent() const noexcept
    {
        ostler_iovec whole{};
        (void)ostler_buffers_get_data(set_, view_, &whole.base, &whole.size_bytes);
        return whole;
    }

    ostler_buffers *set_ = nullptr;
    ostler_buffer view_{};
};

/// A set of buffers of many sizes, shared by many threads.
class buffers : public handle<ostler_buffers, ostler_buffers_destroy>,
              public detail::inspected<buffers, ostler_buffers_get_receipt, ostler_buffers_print_receipts, ostler_buffers_get_coverage,
                                       ostler_buffers_repair> {
  public:
    explicit buffers(const buffers_config &config = buffers_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(config, failure); });
    }
    static buffers open(const buffers_config &config, std::error_code &failure) noexcept
    {
        ostler_buffers *made = nullptr;
        const ostler_buffers_config given = detail::with_source<ostler_buffers_config>(config);
        detail::note(ostler_buffers_create(&given, &made), failure);
        return buffers(made);
    }

    buffer lease(std::size_t bytes)
    {
        return detail::thrown([&](std::error_code &failure) { return lease(bytes, failure); });
    }
    buffer lease(std::size_t bytes, std::error_code &failure) noexcept
    {
        ostler_buffer leased{};
        detail::note(ostler_buffers_get(get(), bytes, &leased, nullptr), failure);
        return {get(), leased};
    }

    /// A view of memory of the caller's; the function is called when nobody views it any more, and must not throw.
    buffer wrap(void *memory, std::size_t bytes, std::function<void()> release)
    {
        return detail::thrown(
            [&](std::error_code &failure) { return wrap(memory, bytes, std::move(release), failure); });
    }
    /// Throws nothing but std::bad_alloc.
    buffer wrap(void *memory, std::size_t bytes, std::function<void()> release, std::error_code &failure)
    {
        auto kept = std::make_unique<std::function<void()>>(std::move(release));
        ostler_buffer wrapped{};
        if (detail::note(ostler_buffers_wrap(get(), memory, bytes, call, kept.get(), &wrapped), failure))
            (void)kept.release();
        return {get(), wrapped};
    }

    /// What views show, for writev and its like; an ostler_iovec is laid out as an iovec.
    std::vector<ostler_iovec> gather(const std::vector<ostler_buffer> &views) const
    {
        std::vector<ostler_iovec> pieces(views.size());
        detail::check(ostler_buffers_export(get(), views.data(), static_cast<std::uint32_t>(views.size()), pieces.data(),
                                            nullptr));
        return pieces;
    }

    /// Gives idle memory back to the system; tells how many bytes.
    std::uint64_t trim(std::uint64_t keep_bytes = 0)
    {
        return detail::thrown([&](std::error_code &failure) { return trim(keep_bytes, failure); });
    }
    std::uint64_t trim(std::uint64_t keep_bytes, std::error_code &failure) noexcept
    {
        std::uint64_t freed = 0;
        detail::note(ostler_buffers_trim(get(), keep_bytes, &freed), failure);
        return freed;
    }

    ostler_buffers_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_buffers_stats stats(std::error_code &failure) const noexcept
    {
        ostler_buffers_stats told = detail::sized<ostler_buffers_stats>();
        detail::note(ostler_buffers_get_stats(get(), &told), failure);
        return told;
    }

    /// The same of one size class; the first is number 0.
    ostler_buffers_class_stats class_stats(std::uint64_t number) const
    {
        return detail::thrown([&](std::error_code &failure) { return class_stats(number, failure); });
    }
    ostler_buffers_class_stats class_stats(std::uint64_t number, std::error_code &failure) const noexcept
    {
        auto told = detail::sized<ostler_buffers_class_stats>();
        detail::note(ostler_buffers_get_class_stats(get(), number, &told), failure);
        return told;
    }
    /// Takes no new work, and waits until every view is released; tells how many buffers are still out.
    std::uint64_t close(wait_limit limit = {})
    {
        return detail::thrown([&](std::error_code &failure) { return close(limit, failure); });
    }
    std::uint64_t close(wait_limit limit, std::error_code &failure) noexcept
    {
        std::uint64_t still_out = 0;
        detail::note(ostler_buffers_close(get(), limit.timeout_ns(), limit.stop(), &still_out), failure);
        return still_out;
    }

  private:
    explicit buffers(ostler_buffers *raw) noexcept : handle(raw) {}

    static void call(void *user_data, void *) noexcept
    {
        const std::unique_ptr<std::function<void()>> release(static_cast<std::function<void()> *>(user_data));
        if (*release)
            (*release)();
    }
};

} // namespace ostler

#endif
