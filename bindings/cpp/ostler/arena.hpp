// Memory on the pages and the node asked for, given back all at once.
#ifndef OSTLER_ARENA_HPP
#define OSTLER_ARENA_HPP

#include "page_source.hpp"

#include <cstddef>
#include <memory_resource>
#include <new>
#include <string>
#include <string_view>

namespace ostler {

enum class reset_mode : std::uint32_t { keep_pages = OSTLER_RESET_KEEP_PAGES, return_pages = OSTLER_RESET_RETURN_PAGES };

/// The C struct with its defaults, and setters that can be chained.
struct arena_config : ostler_arena_config {
    /// What memory the arena is made of, unless the pointer of the C struct names another.
    page_source from;
    arena_config() noexcept : ostler_arena_config(detail::sized<ostler_arena_config>()) {}
    arena_config &on(const page_source &pages) noexcept { return from = pages, *this; }
    arena_config &chunks_of(std::uint64_t bytes) noexcept { return chunk_bytes = bytes, *this; }
    arena_config &at_most(std::uint64_t bytes) noexcept { return limit_bytes = bytes, *this; }
    arena_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

/// Memory on the pages and the node asked for, shared by many threads and given back all at once.
class arena : public handle<ostler_arena, ostler_arena_destroy> {
  public:
    explicit arena(const arena_config &config = arena_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(config, failure); });
    }
    static arena open(const arena_config &config, std::error_code &failure) noexcept
    {
        ostler_arena *made = nullptr;
        const ostler_arena_config given = detail::with_source<ostler_arena_config>(config);
        detail::note(ostler_arena_create(&given, &made), failure);
        return arena(made);
    }

    void *allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
    {
        return detail::thrown([&](std::error_code &failure) { return allocate(bytes, alignment, failure); });
    }
    void *allocate(std::size_t bytes, std::size_t alignment, std::error_code &failure) noexcept
    {
        void *memory = nullptr;
        detail::note(ostler_arena_alloc(get(), bytes, alignment, &memory), failure);
        return memory;
    }

    ostler_mark mark()
    {
        return detail::thrown([&](std::error_code &failure) { return mark(failure); });
    }
    ostler_mark mark(std::error_code &failure) noexcept
    {
        ostler_mark here{};
        detail::note(ostler_arena_mark(get(), &here), failure);
        return here;
    }
    void rewind(const ostler_mark &mark) { detail::check(ostler_arena_rewind(get(), &mark)); }
    void rewind(const ostler_mark &mark, std::error_code &failure) noexcept
    {
        detail::note(ostler_arena_rewind(get(), &mark), failure);
    }
    void reset(reset_mode mode = reset_mode::keep_pages)
    {
        detail::check(ostler_arena_reset(get(), static_cast<std::uint32_t>(mode)));
    }
    void reset(reset_mode mode, std::error_code &failure) noexcept
    {
        detail::note(ostler_arena_reset(get(), static_cast<std::uint32_t>(mode)), failure);
    }

    ostler_arena_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_arena_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_arena_stats>();
        detail::note(ostler_arena_get_stats(get(), &stats), failure);
        return stats;
    }
    /// What a chunk asked for and got, asked of the kernel anew.
    ostler_receipt receipt(std::uint64_t chunk) const
    {
        return detail::thrown([&](std::error_code &failure) { return receipt(chunk, failure); });
    }
    ostler_receipt receipt(std::uint64_t chunk, std::error_code &failure) const noexcept
    {
        auto receipt = detail::sized<ostler_receipt>();
        detail::note(ostler_arena_get_receipt(get(), chunk, &receipt), failure);
        return receipt;
    }
    /// The receipts of all chunks as a table.
    std::string receipts() const
    {
        return detail::thrown([&](std::error_code &failure) { return receipts(failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::string receipts(std::error_code &failure) const
    {
        std::uint64_t needed = 0;
        std::string table;
        // Chunks may be added between two calls.
        do {
            table.resize(needed);
            if (!detail::note(ostler_arena_print_receipts(get(), table.data(), table.size(), &needed), failure))
                return {};
        } while (needed > table.size());
        table.resize(needed - 1);
        return table;
    }

    /// Takes no new work and waits for open cursors; tells how many are still open.
    std::uint64_t close(wait_limit limit, std::error_code &failure) noexcept
    {
        std::uint64_t still_out = 0;
        detail::note(ostler_arena_close(get(), limit.timeout_ns(), limit.stop(), &still_out), failure);
        return still_out;
    }
    void close(wait_limit limit = {})
    {
        detail::check(ostler_arena_close(get(), limit.timeout_ns(), limit.stop(), nullptr));
    }

  private:
    explicit arena(ostler_arena *raw) noexcept : handle(raw) {}
};

/// One thread's region of an arena: allocation without a call into the library.
class cursor : public handle<ostler_cursor, ostler_cursor_close> {
  public:
    explicit cursor(const arena &from)
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(from, failure); });
    }
    static cursor open(const arena &from, std::error_code &failure) noexcept
    {
        ostler_cursor *made = nullptr;
        detail::note(ostler_cursor_open(from.get(), &made), failure);
        return cursor(made);
    }

    void *allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
    {
        void *memory = nullptr;
        detail::check(ostler_cursor_alloc_inline(get(), bytes, alignment, &memory));
        return memory;
    }
    void *allocate(std::size_t bytes, std::size_t alignment, std::error_code &failure) noexcept
    {
        void *memory = nullptr;
        detail::note(ostler_cursor_alloc_inline(get(), bytes, alignment, &memory), failure);
        return memory;
    }

  private:
    explicit cursor(ostler_cursor *raw) noexcept : handle(raw) {}
};

/// An arena or a cursor as a std::pmr::memory_resource, which it must outlive. Memory comes back with the arena's reset.
template <class Source> class memory_resource final : public std::pmr::memory_resource {
  public:
    explicit memory_resource(Source &source) noexcept : source_(&source) {}

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        std::error_code failure;
        void *memory = source_->allocate(bytes, alignment, failure);
        if (failure)
            detail::raise_it(std::bad_alloc());
        return memory;
    }
    void do_deallocate(void *, std::size_t, std::size_t) override {}
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override { return this == &other; }

    Source *source_;
};

} // namespace ostler

#endif
