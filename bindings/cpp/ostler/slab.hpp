// Many objects of one type side by side, made and put back one by one from any thread.
#ifndef OSTLER_SLAB_HPP
#define OSTLER_SLAB_HPP

#include "inspected.hpp"
#include "page_source.hpp"

#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ostler {

/// The C struct with its defaults, and setters that can be chained. The size of a slot is that of the slab's type.
struct slab_config : ostler_slab_config {
    /// What memory the slab is made of, unless the pointer of the C struct names another.
    page_source from;
    slab_config() noexcept : ostler_slab_config(detail::sized<ostler_slab_config>()) {}
    slab_config &on(const page_source &pages) noexcept { return from = pages, *this; }
    slab_config &at_most(std::uint64_t slots) noexcept { return max_slots = slots, *this; }
    slab_config &initially(std::uint64_t slots) noexcept { return initial_slots = slots, *this; }
    slab_config &chunks_of(std::uint64_t bytes) noexcept { return chunk_bytes = bytes, *this; }
    slab_config &magazines_of(std::uint32_t slots) noexcept { return magazine_slots = slots, *this; }
    slab_config &checking() noexcept { return checked = 1, *this; }
    slab_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

namespace detail {

/// Puts a slot back unless it was given up: when a constructor throws.
template <class Put> class slot_guard {
  public:
    slot_guard(void *slot, Put put) noexcept : slot_(slot), put_(std::move(put)) {}
    slot_guard(const slot_guard &) = delete;
    slot_guard &operator=(const slot_guard &) = delete;
    ~slot_guard()
    {
        if (slot_)
            put_(slot_);
    }
    void give_up() noexcept { slot_ = nullptr; }

  private:
    void *slot_;
    Put put_;
};

/// Makes an object in a slot; a null slot stays one.
template <class T, class Put, class... Arguments> T *construct(void *slot, Put put, Arguments &&...arguments)
{
    if (!slot)
        return nullptr;
    slot_guard<Put> guard(slot, std::move(put));
    T *object = ::new (slot) T(std::forward<Arguments>(arguments)...);
    guard.give_up();
    return object;
}

} // namespace detail

template <class T> class magazine;

/// Slots for objects of one type, at most so many as its configuration says. Objects that are out keep its memory when it
/// is destroyed.
template <class T>
class slab : public handle<ostler_slab, ostler_slab_destroy>,
             public detail::inspected<slab<T>, ostler_slab_get_receipt, ostler_slab_print_receipts,
                                      ostler_slab_get_coverage, ostler_slab_repair> {
  public:
    /// Ends an object and puts its slot back, on whichever thread.
    struct putter {
        ostler_slab *from = nullptr;
        void operator()(T *object) const noexcept
        {
            object->~T();
            ostler_slab_put(from, object);
        }
    };
    using pointer = std::unique_ptr<T, putter>;

    explicit slab(const slab_config &config = slab_config())
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(config, failure); });
    }
    static slab open(const slab_config &config, std::error_code &failure) noexcept
    {
        ostler_slab *made = nullptr;
        ostler_slab_config given = detail::with_source<ostler_slab_config>(config);
        given.slot_bytes = sizeof(T);
        given.align_bytes = alignof(T);
        detail::note(ostler_slab_create(&given, nullptr, nullptr, &made), failure);
        return slab(made);
    }

    /// An object in a slot of its own.
    template <class... Arguments> pointer make(Arguments &&...arguments)
    {
        void *slot = nullptr;
        detail::check(ostler_slab_get(get(), &slot));
        return made(slot, std::forward<Arguments>(arguments)...);
    }
    /// The same without throwing, unless the constructor does; null after a failure.
    template <class... Arguments> pointer try_make(std::error_code &failure, Arguments &&...arguments)
    {
        void *slot = nullptr;
        detail::note(ostler_slab_get(get(), &slot), failure);
        return made(slot, std::forward<Arguments>(arguments)...);
    }

    /// Calls `each` with every object that is out, in the order of addresses. None may be ended meanwhile.
    template <class Each> void for_each(Each &&each) const
    {
        for (const ostler_slab_live &one : live())
            each(*std::launder(static_cast<T *>(one.slot)));
    }
    /// The slots that are out, in the order of addresses.
    std::vector<ostler_slab_live> live() const
    {
        return detail::thrown([&](std::error_code &failure) { return live(failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::vector<ostler_slab_live> live(std::error_code &failure) const
    {
        std::uint64_t count = 0;
        std::vector<ostler_slab_live> slots;
        // More may be got between two calls.
        do {
            slots.resize(count);
            if (!detail::note(ostler_slab_list_live(get(), slots.data(), slots.size(), &count), failure))
                return {};
        } while (count > slots.size());
        slots.resize(count);
        return slots;
    }
    /// The same as a table for people.
    std::string live_table() const
    {
        return detail::thrown([&](std::error_code &failure) { return live_table(failure); });
    }
    /// Throws nothing but std::bad_alloc.
    std::string live_table(std::error_code &failure) const
    {
        std::uint64_t needed = 0;
        std::string table;
        // More may be got between two calls.
        do {
            table.resize(needed);
            if (!detail::note(ostler_slab_print_live(get(), table.data(), table.size(), &needed), failure))
                return {};
        } while (needed > table.size());
        table.resize(needed - 1);
        return table;
    }

    /// Gives empty chunks back; tells how many bytes that were.
    std::uint64_t trim()
    {
        return detail::thrown([&](std::error_code &failure) { return trim(failure); });
    }
    std::uint64_t trim(std::error_code &failure) noexcept
    {
        std::uint64_t freed = 0;
        detail::note(ostler_slab_trim(get(), &freed), failure);
        return freed;
    }
    ostler_slab_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_slab_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_slab_stats>();
        detail::note(ostler_slab_get_stats(get(), &stats), failure);
        return stats;
    }
    /// Makes nothing any more and waits until every object is ended; tells how many are not.
    std::uint64_t close(wait_limit limit, std::error_code &failure) noexcept
    {
        std::uint64_t still_out = 0;
        detail::note(ostler_slab_close(get(), limit.timeout_ns(), limit.stop(), &still_out), failure);
        return still_out;
    }
    void close(wait_limit limit = {})
    {
        detail::check(ostler_slab_close(get(), limit.timeout_ns(), limit.stop(), nullptr));
    }

  private:
    explicit slab(ostler_slab *raw) noexcept : handle(raw) {}

    template <class... Arguments> pointer made(void *slot, Arguments &&...arguments)
    {
        ostler_slab *const from = get();
        const auto put = [from](void *unused) noexcept { ostler_slab_put(from, unused); };
        return pointer(detail::construct<T>(slot, put, std::forward<Arguments>(arguments)...), putter{from});
    }
};

/// One thread's stack of free slots of a slab: objects are made and ended without a call into the library.
template <class T> class magazine : public handle<ostler_magazine, ostler_magazine_close> {
  public:
    /// Ends an object on the magazine's own thread, while it is open.
    struct putter {
        ostler_magazine *into = nullptr;
        void operator()(T *object) const noexcept
        {
            object->~T();
            ostler_magazine_put_inline(into, object);
        }
    };
    using pointer = std::unique_ptr<T, putter>;

    explicit magazine(const slab<T> &of)
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(of, failure); });
    }
    static magazine open(const slab<T> &of, std::error_code &failure) noexcept
    {
        ostler_magazine *made = nullptr;
        detail::note(ostler_magazine_open(of.get(), &made), failure);
        return magazine(made);
    }

    /// An object in a slot of its own, which ends on this thread.
    template <class... Arguments> pointer make(Arguments &&...arguments)
    {
        void *slot = nullptr;
        detail::check(ostler_magazine_get_inline(get(), &slot));
        return made(slot, std::forward<Arguments>(arguments)...);
    }
    /// The same without throwing, unless the constructor does; null after a failure.
    template <class... Arguments> pointer try_make(std::error_code &failure, Arguments &&...arguments)
    {
        void *slot = nullptr;
        detail::note(ostler_magazine_get_inline(get(), &slot), failure);
        return made(slot, std::forward<Arguments>(arguments)...);
    }
    /// Takes an object over that another thread has made, in whichever way, to end it here.
    template <class Putter> pointer adopt(std::unique_ptr<T, Putter> &&object) noexcept
    {
        return pointer(object.release(), putter{get()});
    }

  private:
    explicit magazine(ostler_magazine *raw) noexcept : handle(raw) {}

    template <class... Arguments> pointer made(void *slot, Arguments &&...arguments)
    {
        ostler_magazine *const into = get();
        const auto put = [into](void *unused) noexcept { ostler_magazine_put_inline(into, unused); };
        return pointer(detail::construct<T>(slot, put, std::forward<Arguments>(arguments)...), putter{into});
    }
};

} // namespace ostler

#endif
