// What wakes those who wait in a way of their own.
#ifndef OSTLER_BELLS_HPP
#define OSTLER_BELLS_HPP

#include "errors.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace ostler {

namespace detail {

/// The bells of all turns, by number. One may ring a moment after its turn has ended; then its function is gone already.
class bells {
  public:
    using bell = std::function<void()>;

    /// Throws nothing but std::bad_alloc.
    static void *hang_up(bell function)
    {
        auto kept = std::make_shared<bell>(std::move(function));
        all &every = instance();
        const std::lock_guard<std::mutex> guard(every.lock);
        every.hung.emplace(++every.last, std::move(kept));
        return reinterpret_cast<void *>(every.last);
    }
    static void take_down(void *number) noexcept
    {
        std::shared_ptr<bell> gone;
        all &every = instance();
        const std::lock_guard<std::mutex> guard(every.lock);
        const auto found = every.hung.find(reinterpret_cast<std::uintptr_t>(number));
        if (found == every.hung.end())
            return;
        gone = std::move(found->second);
        every.hung.erase(found);
    }
    static void ring(void *number) noexcept
    {
        if (const std::shared_ptr<bell> hung = find(number))
            swallowed([&] { (*hung)(); });
    }

  private:
    struct all {
        std::mutex lock;
        std::unordered_map<std::uintptr_t, std::shared_ptr<bell>> hung;
        std::uintptr_t last = 0;
    };
    static all &instance() noexcept
    {
        static immortal<all> bells;
        return bells.value;
    }
    static std::shared_ptr<bell> find(void *number) noexcept
    {
        all &every = instance();
        const std::lock_guard<std::mutex> guard(every.lock);
        const auto found = every.hung.find(reinterpret_cast<std::uintptr_t>(number));
        return found == every.hung.end() ? nullptr : found->second;
    }
};

} // namespace detail

} // namespace ostler

#endif
