// An arena in memory that several processes map.
#ifndef OSTLER_SEGMENT_HPP
#define OSTLER_SEGMENT_HPP

#include "page_source.hpp"

#include <new>
#include <string_view>

namespace ostler {

enum class access : std::uint32_t { read_write = OSTLER_ACCESS_READ_WRITE, read_only = OSTLER_ACCESS_READ_ONLY };

enum class owner_state : std::uint32_t {
    alive = OSTLER_OWNER_ALIVE,
    closed = OSTLER_OWNER_CLOSED,
    died = OSTLER_OWNER_DIED,
};

/// The C struct with its defaults, and setters that can be chained.
struct segment_config : ostler_segment_config {
    /// What memory the segment is made of, unless the pointer of the C struct names another.
    page_source from;
    segment_config() noexcept : ostler_segment_config(detail::sized<ostler_segment_config>()) {}
    explicit segment_config(std::uint64_t size) noexcept : segment_config() { bytes = size; }
    segment_config &on(const page_source &pages) noexcept { return from = pages, *this; }
    segment_config &written_only_here() noexcept { return sole_writer = 1, *this; }
    segment_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

/// Memory that several processes map, each at an address of its own.
class segment : public handle<ostler_segment, ostler_segment_destroy> {
  public:
    /// A block as this process sees it; `block` is the same for every one.
    struct allocation {
        ostler_segment_block block;
        void *memory;
    };
    struct contents {
        void *memory;
        std::size_t size;
    };

    explicit segment(const segment_config &config = segment_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(config, failure); });
    }
    static segment open(const segment_config &config, std::error_code &failure) noexcept
    {
        ostler_segment *made = nullptr;
        const ostler_segment_config given = detail::with_source<ostler_segment_config>(config);
        detail::note(ostler_segment_create(&given, &made), failure);
        return segment(made);
    }
    /// The segment behind a descriptor, which stays the caller's.
    static segment attach(int fd, access mode = access::read_write)
    {
        return detail::thrown([&](std::error_code &failure) { return attach(fd, mode, failure); });
    }
    static segment attach(int fd, access mode, std::error_code &failure) noexcept
    {
        ostler_segment *attached = nullptr;
        detail::note(ostler_segment_attach(fd, static_cast<std::uint32_t>(mode), &attached), failure);
        return segment(attached);
    }
    /// A descriptor for another process, which the caller closes.
    int descriptor(access mode = access::read_write) const
    {
        return detail::thrown([&](std::error_code &failure) { return descriptor(mode, failure); });
    }
    int descriptor(access mode, std::error_code &failure) const noexcept
    {
        std::int32_t fd = -1;
        return detail::note(ostler_segment_get_fd(get(), static_cast<std::uint32_t>(mode), &fd), failure) ? fd : -1;
    }

    allocation allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
    {
        return detail::thrown([&](std::error_code &failure) { return allocate(bytes, alignment, failure); });
    }
    allocation allocate(std::size_t bytes, std::size_t alignment, std::error_code &failure) noexcept
    {
        allocation made{};
        detail::note(ostler_segment_alloc(get(), bytes, alignment, &made.block, &made.memory), failure);
        return made;
    }
    /// Where a block lies here.
    contents at(ostler_segment_block block) const
    {
        return detail::thrown([&](std::error_code &failure) { return at(block, failure); });
    }
    contents at(ostler_segment_block block, std::error_code &failure) const noexcept
    {
        contents found{};
        std::uint64_t size = 0;
        detail::note(ostler_segment_get(get(), block, &found.memory, &size), failure);
        found.size = static_cast<std::size_t>(size);
        return found;
    }
    /// The block that begins at an address.
    ostler_segment_block find(const void *memory) const
    {
        return detail::thrown([&](std::error_code &failure) { return find(memory, failure); });
    }
    ostler_segment_block find(const void *memory, std::error_code &failure) const noexcept
    {
        ostler_segment_block block{};
        detail::note(ostler_segment_find(get(), memory, &block), failure);
        return block;
    }

    void set_root(ostler_segment_block block) { detail::check(ostler_segment_set_root(get(), block)); }
    void set_root(ostler_segment_block block, std::error_code &failure) noexcept
    {
        detail::note(ostler_segment_set_root(get(), block), failure);
    }
    /// One of 0 when none was named.
    ostler_segment_block root() const
    {
        return detail::thrown([&](std::error_code &failure) { return root(failure); });
    }
    ostler_segment_block root(std::error_code &failure) const noexcept
    {
        ostler_segment_block block{};
        detail::note(ostler_segment_get_root(get(), &block), failure);
        return block;
    }
    void reset() { detail::check(ostler_segment_reset(get())); }
    void reset(std::error_code &failure) noexcept { detail::note(ostler_segment_reset(get()), failure); }

    ostler_segment_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_segment_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_segment_stats>();
        detail::note(ostler_segment_get_stats(get(), &stats), failure);
        return stats;
    }
    /// Whether the process that made it is still there.
    owner_state owner() const { return static_cast<owner_state>(stats().owner); }
    /// What memory it asked for and got.
    ostler_receipt receipt() const
    {
        return detail::thrown([&](std::error_code &failure) { return receipt(failure); });
    }
    ostler_receipt receipt(std::error_code &failure) const noexcept
    {
        auto receipt = detail::sized<ostler_receipt>();
        detail::note(ostler_segment_get_receipt(get(), &receipt), failure);
        return receipt;
    }

  private:
    explicit segment(ostler_segment *raw) noexcept : handle(raw) {}
};

} // namespace ostler

#endif
