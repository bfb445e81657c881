// Blocks of any size, freed one by one by any thread; and blocks that a compaction may move.
#ifndef OSTLER_HEAP_HPP
#define OSTLER_HEAP_HPP

#include "inspected.hpp"
#include "page_source.hpp"

#include <cstddef>
#include <memory_resource>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace ostler {

/// The C struct with its defaults, and setters that can be chained.
struct heap_config : ostler_heap_config {
    /// What memory the heap is made of, unless the pointer of the C struct names another.
    page_source from;
    heap_config() noexcept : ostler_heap_config(detail::sized<ostler_heap_config>()) {}
    heap_config &on(const page_source &pages) noexcept { return from = pages, *this; }
    heap_config &chunks_of(std::uint64_t bytes) noexcept { return chunk_bytes = bytes, *this; }
    heap_config &at_most(std::uint64_t bytes) noexcept { return limit_bytes = bytes, *this; }
    /// Guards surround each block, and are looked at when it is freed.
    heap_config &checking() noexcept { return checked = 1, *this; }
    /// The heap maps nothing; it has what it adopts.
    heap_config &adopting() noexcept { return adopted_only = 1, *this; }
    heap_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

/// A block that may be moved while nobody has it pinned.
using block = ostler_block;

/// Blocks of any size on the pages and the node asked for. Those that are out go with it.
class heap : public handle<ostler_heap, ostler_heap_destroy>,
           public detail::inspected<heap, ostler_heap_get_receipt, ostler_heap_print_receipts, ostler_heap_get_coverage,
                                    ostler_heap_repair> {
  public:
    explicit heap(const heap_config &config = heap_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(config, failure); });
    }
    static heap open(const heap_config &config, std::error_code &failure) noexcept
    {
        ostler_heap *made = nullptr;
        const ostler_heap_config given = detail::with_source<ostler_heap_config>(config);
        detail::note(ostler_heap_create(&given, &made), failure);
        return heap(made);
    }

    void *allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
    {
        return detail::thrown([&](std::error_code &failure) { return allocate(bytes, alignment, failure); });
    }
    void *allocate(std::size_t bytes, std::size_t alignment, std::error_code &failure) noexcept
    {
        void *memory = nullptr;
        detail::note(ostler_heap_alloc(get(), bytes, alignment, &memory), failure);
        return memory;
    }
    void *resize(void *memory, std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
    {
        return detail::thrown([&](std::error_code &failure) { return resize(memory, bytes, alignment, failure); });
    }
    void *resize(void *memory, std::size_t bytes, std::size_t alignment, std::error_code &failure) noexcept
    {
        void *moved = nullptr;
        detail::note(ostler_heap_resize(get(), memory, bytes, alignment, &moved), failure);
        return moved;
    }
    void deallocate(void *memory) { detail::check(ostler_heap_free(get(), memory)); }
    void deallocate(void *memory, std::error_code &failure) noexcept
    {
        detail::note(ostler_heap_free(get(), memory), failure);
    }
    /// So many blocks of one size, or none.
    std::vector<void *> allocate_n(std::uint32_t count, std::size_t bytes,
                                   std::size_t alignment = alignof(std::max_align_t))
    {
        return detail::thrown(
            [&](std::error_code &failure) { return allocate_n(count, bytes, alignment, failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::vector<void *> allocate_n(std::uint32_t count, std::size_t bytes, std::size_t alignment,
                                   std::error_code &failure)
    {
        std::vector<void *> blocks(count);
        if (!detail::note(ostler_heap_alloc_n(get(), bytes, alignment, count, blocks.data()), failure))
            blocks.clear();
        return blocks;
    }
    /// Those that can be freed are, also when another one cannot; tells how many.
    std::uint32_t deallocate_n(const std::vector<void *> &blocks)
    {
        return detail::thrown([&](std::error_code &failure) { return deallocate_n(blocks, failure); });
    }
    std::uint32_t deallocate_n(const std::vector<void *> &blocks, std::error_code &failure) noexcept
    {
        std::uint32_t freed = 0;
        const auto count = static_cast<std::uint32_t>(blocks.size());
        detail::note(ostler_heap_free_n(get(), blocks.data(), count, &freed), failure);
        return freed;
    }
    std::uint64_t usable_bytes(void *memory) const
    {
        return detail::thrown([&](std::error_code &failure) { return usable_bytes(memory, failure); });
    }
    std::uint64_t usable_bytes(void *memory, std::error_code &failure) const noexcept
    {
        std::uint64_t bytes = 0;
        detail::note(ostler_heap_get_usable_bytes(get(), memory, &bytes), failure);
        return bytes;
    }

    /// Memory of the host's, which must outlive the heap.
    void adopt(void *memory, std::uint64_t bytes) { detail::check(ostler_heap_adopt(get(), memory, bytes)); }
    void adopt(void *memory, std::uint64_t bytes, std::error_code &failure) noexcept
    {
        detail::note(ostler_heap_adopt(get(), memory, bytes), failure);
    }
    /// Gives empty chunks back, and tells how many bytes that was.
    std::uint64_t trim(std::uint64_t keep_bytes = 0)
    {
        return detail::thrown([&](std::error_code &failure) { return trim(keep_bytes, failure); });
    }
    std::uint64_t trim(std::uint64_t keep_bytes, std::error_code &failure) noexcept
    {
        std::uint64_t returned = 0;
        detail::note(ostler_heap_trim(get(), keep_bytes, &returned), failure);
        return returned;
    }
    /// Looks at the guards of every block of a checked heap.
    void check() const { detail::check(ostler_heap_check(get())); }
    void check(std::error_code &failure) const noexcept { detail::note(ostler_heap_check(get()), failure); }

    block allocate_block(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t))
    {
        return detail::thrown([&](std::error_code &failure) { return allocate_block(bytes, alignment, failure); });
    }
    block allocate_block(std::size_t bytes, std::size_t alignment, std::error_code &failure) noexcept
    {
        block made{};
        detail::note(ostler_heap_alloc_block(get(), bytes, alignment, &made), failure);
        return made;
    }
    void resize(block which, std::size_t bytes) { detail::check(ostler_heap_resize_block(get(), which, bytes)); }
    void resize(block which, std::size_t bytes, std::error_code &failure) noexcept
    {
        detail::note(ostler_heap_resize_block(get(), which, bytes), failure);
    }
    void deallocate(block which) { detail::check(ostler_heap_free_block(get(), which)); }
    void deallocate(block which, std::error_code &failure) noexcept
    {
        detail::note(ostler_heap_free_block(get(), which), failure);
    }
    ostler_block_info info(block which) const
    {
        return detail::thrown([&](std::error_code &failure) { return info(which, failure); });
    }
    ostler_block_info info(block which, std::error_code &failure) const noexcept
    {
        auto info = detail::sized<ostler_block_info>();
        detail::note(ostler_heap_get_block_info(get(), which, &info), failure);
        return info;
    }
    /// Moves what nobody has pinned together, at most so many bytes (0: as many as it takes), and gives pages back.
    ostler_heap_compaction compact(std::uint64_t most_bytes = 0)
    {
        return detail::thrown([&](std::error_code &failure) { return compact(most_bytes, failure); });
    }
    ostler_heap_compaction compact(std::uint64_t most_bytes, std::error_code &failure) noexcept
    {
        auto done = detail::sized<ostler_heap_compaction>();
        detail::note(ostler_heap_compact(get(), most_bytes, &done), failure);
        return done;
    }

    ostler_heap_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_heap_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_heap_stats>();
        detail::note(ostler_heap_get_stats(get(), &stats), failure);
        return stats;
    }
    /// The blocks that are out, lowest address first.
    std::vector<ostler_heap_block> blocks() const
    {
        return detail::thrown([&](std::error_code &failure) { return blocks(failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::vector<ostler_heap_block> blocks(std::error_code &failure) const
    {
        std::uint64_t count = 0;
        std::vector<ostler_heap_block> listed;
        // More may be allocated between two calls.
        do {
            listed.resize(count);
            if (!detail::note(ostler_heap_list_blocks(get(), 0, listed.data(), listed.size(), &count), failure))
                return {};
        } while (count > listed.size());
        listed.resize(count);
        return listed;
    }
    /// Takes no new work and waits until every block is given back; tells how many are still out.
    std::uint64_t close(wait_limit limit, std::error_code &failure) noexcept
    {
        std::uint64_t still_out = 0;
        detail::note(ostler_heap_close(get(), limit.timeout_ns(), limit.stop(), &still_out), failure);
        return still_out;
    }
    void close(wait_limit limit = {})
    {
        detail::check(ostler_heap_close(get(), limit.timeout_ns(), limit.stop(), nullptr));
    }

  private:
    explicit heap(ostler_heap *raw) noexcept : handle(raw) {}
};

/// Keeps a movable block where it is for as long as it lives.
class pinned_block {
  public:
    pinned_block(const heap &from, block which) : heap_(from.get()), block_(which)
    {
        detail::check(ostler_heap_pin(heap_, block_, &address_));
    }
    pinned_block(const heap &from, block which, std::error_code &failure) noexcept : heap_(from.get()), block_(which)
    {
        detail::note(ostler_heap_pin(heap_, block_, &address_), failure);
    }
    pinned_block(const pinned_block &) = delete;
    pinned_block &operator=(const pinned_block &) = delete;
    ~pinned_block()
    {
        if (address_)
            ostler_heap_unpin(heap_, block_);
    }

    /// Where the block lies; null when it could not be pinned.
    void *get() const noexcept { return address_; }

  private:
    ostler_heap *heap_;
    block block_;
    void *address_ = nullptr;
};

/// A heap as a std::pmr::memory_resource, which it must outlive.
class heap_resource final : public std::pmr::memory_resource {
  public:
    explicit heap_resource(heap &from) noexcept : heap_(&from) {}

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        std::error_code failure;
        void *memory = heap_->allocate(bytes, alignment, failure);
        if (failure)
            detail::raise_it(std::bad_alloc());
        return memory;
    }
    void do_deallocate(void *memory, std::size_t, std::size_t) override
    {
        std::error_code failure;
        heap_->deallocate(memory, failure);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override { return this == &other; }

    heap *heap_;
};

} // namespace ostler

#endif
