// Times and bytes as the header wants them.
#ifndef OSTLER_UNITS_HPP
#define OSTLER_UNITS_HPP

#include "errors.hpp"

#include <chrono>
#include <cstddef>
#include <string_view>
#include <type_traits>
#if __cplusplus >= 202002L
#include <span>
#endif

namespace ostler {

/// A time as the header wants it, made from any std::chrono::duration. One below 0 is 0, one that is too long to count
/// in nanoseconds lasts for ever.
class duration {
  public:
    template <class Number, class Period>
    constexpr duration(std::chrono::duration<Number, Period> time) noexcept : ns_(to_ns(time))
    {
    }
    static constexpr duration endless() noexcept { return duration(OSTLER_FOREVER); }
    constexpr std::uint64_t ns() const noexcept { return ns_; }

  private:
    explicit constexpr duration(std::uint64_t ns) noexcept : ns_(ns) {}

    template <class Number, class Period>
    static constexpr std::uint64_t to_ns(std::chrono::duration<Number, Period> time) noexcept
    {
        // In floating point nothing overflows, so the bounds are looked at there.
        const auto ns = std::chrono::duration<long double, std::nano>(time).count();
        if (!(ns > 0))
            return 0;
        if (ns >= static_cast<long double>(INT64_MAX))
            return OSTLER_FOREVER;
        return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
    }

    std::uint64_t ns_;
};

/// A time-out that never ends.
inline constexpr duration forever = duration::endless();

/// A pointer and a length in bytes; made from a container of trivially copyable elements, or from the two. Nothing is
/// copied, so a container that ends with the expression is refused; so is a literal, which would count its NUL: write
/// std::string_view("text").
template <class Byte> class basic_bytes {
    using any = std::conditional_t<std::is_const_v<Byte>, const void, void>;
    // What owns its elements is not copied so lightly, but for an array.
    template <class Container>
    static constexpr bool is_view = std::is_trivially_copyable_v<Container> && !std::is_array_v<Container>;

  public:
    constexpr basic_bytes() noexcept = default;
    basic_bytes(any *data, std::size_t size) noexcept : data_(static_cast<Byte *>(data)), size_(size) {}
    template <class Container, class Element = std::remove_pointer_t<decltype(std::data(std::declval<Container &>()))>,
              class = std::enable_if_t<std::is_trivially_copyable_v<Element> && std::is_convertible_v<Element *, any *>>,
              class = std::enable_if_t<std::is_lvalue_reference_v<Container> || is_view<Container>>>
    basic_bytes(Container &&container) noexcept
        : basic_bytes(static_cast<any *>(std::data(container)), std::size(container) * sizeof(Element))
    {
    }

    template <std::size_t Size> basic_bytes(const char (&literal)[Size]) = delete;

    constexpr Byte *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr Byte *begin() const noexcept { return data_; }
    constexpr Byte *end() const noexcept { return data_ + size_; }

  private:
    Byte *data_ = nullptr;
    std::size_t size_ = 0;
};

using const_bytes = basic_bytes<const std::byte>;
using mutable_bytes = basic_bytes<std::byte>;

} // namespace ostler

#if __cplusplus >= 202002L
/// With this a std::span of bytes can be made from the bytes that a function returns.
template <class Byte> inline constexpr bool std::ranges::enable_borrowed_range<ostler::basic_bytes<Byte>> = true;
#endif

#endif
