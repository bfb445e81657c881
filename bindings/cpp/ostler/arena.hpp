// Memory on the pages and the node asked for, given back all at once.
#ifndef OSTLER_ARENA_HPP
#define OSTLER_ARENA_HPP

#include "inspected.hpp"
#include "page_source.hpp"

#include <cstddef>
#include <memory_resource>
#include <new>
#include <string>
#include <string_view>

namespace ostler {

enum class reset_mode : std::uint32_t { keep_pages = OSTLER_RESET_KEEP_PAGES, return_pages = OSTLER_RESET_RETURN_PAGES };

enum class growth : std::uint32_t {
    fixed = OSTLER_GROWTH_FIXED,
    doubling = OSTLER_GROWTH_DOUBLE,
    none = OSTLER_GROWTH_NONE,
};

enum class poison : std::uint32_t {
    watched = OSTLER_POISON_WATCHED,
    never = OSTLER_POISON_NEVER,
    always = OSTLER_POISON_ALWAYS,
};

/// The C struct with its defaults, and setters that can be chained.
struct arena_config : ostler_arena_config {
    /// What memory the arena is made of, unless the pointer of the C struct names another.
    page_source from;
    arena_config() noexcept : ostler_arena_config(detail::sized<ostler_arena_config>()) {}
    arena_config &on(const page_source &pages) noexcept { return from = pages, *this; }
    arena_config &chunks_of(std::uint64_t bytes) noexcept { return chunk_bytes = bytes, *this; }
    /// How large the next chunk is; `largest` is for chunks that double.
    arena_config &growing(ostler::growth policy, std::uint64_t largest = 0) noexcept
    {
        return growth = static_cast<std::uint32_t>(policy), max_chunk_bytes = largest, *this;
    }
    /// The first chunk is this memory, which must outlive the arena.
    arena_config &over(void *bytes, std::size_t count) noexcept
    {
        return memory = bytes, memory_bytes = count, *this;
    }
    arena_config &poisoned(ostler::poison when) noexcept
    {
        return poison = static_cast<std::uint32_t>(when), *this;
    }
    arena_config &at_most(std::uint64_t bytes) noexcept { return limit_bytes = bytes, *this; }
    arena_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

/// Memory on the pages and the node asked for, shared by many threads and given back all at once.
class arena : public handle<ostler_arena, ostler_arena_destroy>,
            public detail::inspected<arena, ostler_arena_get_receipt, ostler_arena_print_receipts, ostler_arena_get_coverage,
                                     ostler_arena_repair> {
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

    /// Frees, where it ends, what was allocated since it began. Scopes nest; one inside another ends before it.
    class scope {
      public:
        explicit scope(arena &of) : arena_(&of), begin_(of.mark()) {}
        scope(const scope &) = delete;
        scope &operator=(const scope &) = delete;
        /// Silent where the arena was reset or rewound further, or is closed, meanwhile: then it is free already.
        ~scope()
        {
            std::error_code ignored;
            arena_->rewind(begin_, ignored);
        }

      private:
        arena *arena_;
        ostler_mark begin_;
    };

    /// Gives the arena memory to hand out, which must outlive it.
    void adopt(void *memory, std::size_t bytes) { detail::check(ostler_arena_adopt(get(), memory, bytes)); }
    void adopt(void *memory, std::size_t bytes, std::error_code &failure) noexcept
    {
        detail::note(ostler_arena_adopt(get(), memory, bytes), failure);
    }
    /// Gives chunks that are kept for later back to the system; tells how many bytes.
    std::uint64_t trim(std::uint64_t keep_bytes = 0)
    {
        return detail::thrown([&](std::error_code &failure) { return trim(keep_bytes, failure); });
    }
    std::uint64_t trim(std::uint64_t keep_bytes, std::error_code &failure) noexcept
    {
        std::uint64_t given_back = 0;
        detail::note(ostler_arena_trim(get(), keep_bytes, &given_back), failure);
        return given_back;
    }

    /// Everything that this arena holds, for another owner. Afterwards this one is empty, unless the call failed.
    arena hand_over()
    {
        return detail::thrown([&](std::error_code &failure) { return hand_over(failure); });
    }
    arena hand_over(std::error_code &failure) noexcept
    {
        ostler_arena *heir = nullptr;
        if (detail::note(ostler_arena_hand_over(get(), &heir), failure))
            detach();
        return arena(heir);
    }
    /// What is allocated from now on can be handed over by itself.
    ostler_mark begin_region()
    {
        return detail::thrown([&](std::error_code &failure) { return begin_region(failure); });
    }
    ostler_mark begin_region(std::error_code &failure) noexcept
    {
        ostler_mark region{};
        detail::note(ostler_arena_begin_region(get(), &region), failure);
        return region;
    }
    /// Moves what was allocated since the beginning of a region into another arena.
    void hand_over(const ostler_mark &region, arena &into)
    {
        detail::check(ostler_arena_hand_over_region(get(), &region, into.get()));
    }
    void hand_over(const ostler_mark &region, arena &into, std::error_code &failure) noexcept
    {
        detail::note(ostler_arena_hand_over_region(get(), &region, into.get()), failure);
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

    ostler_mark mark()
    {
        ostler_mark here;
        detail::check(ostler_cursor_mark_inline(get(), &here));
        return here;
    }
    ostler_mark mark(std::error_code &failure) noexcept
    {
        ostler_mark here{};
        detail::note(ostler_cursor_mark_inline(get(), &here), failure);
        return here;
    }
    /// Frees what was allocated through this cursor since the mark, which is stale then, as those made after it are.
    void rewind(const ostler_mark &mark) { detail::check(ostler_cursor_rewind_inline(get(), &mark)); }
    void rewind(const ostler_mark &mark, std::error_code &failure) noexcept
    {
        detail::note(ostler_cursor_rewind_inline(get(), &mark), failure);
    }

    /// Frees, where it ends, what was allocated through the cursor since it began. Scopes nest; one inside another ends
    /// before it.
    class scope {
      public:
        explicit scope(cursor &of) : cursor_(&of), begin_(of.mark()) {}
        scope(const scope &) = delete;
        scope &operator=(const scope &) = delete;
        /// Silent where the arena was reset or rewound meanwhile, or the cursor further: then it is free already.
        ~scope()
        {
            std::error_code ignored;
            cursor_->rewind(begin_, ignored);
        }

      private:
        cursor *cursor_;
        ostler_mark begin_;
    };

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
