// On which pages and which NUMA nodes memory is asked for.
#ifndef OSTLER_PAGE_SOURCE_HPP
#define OSTLER_PAGE_SOURCE_HPP

#include "handle.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace ostler {

enum class pages : std::uint32_t {
    transparent = OSTLER_PAGES_TRANSPARENT,
    base = OSTLER_PAGES_BASE,
    huge_2m = OSTLER_PAGES_2M,
    huge_1g = OSTLER_PAGES_1G,
    best = OSTLER_PAGES_BEST,
};

enum class nodes : std::uint32_t {
    any = OSTLER_NODE_ANY,
    local = OSTLER_NODE_LOCAL,
    one = OSTLER_NODE_ONE,
    interleave = OSTLER_NODE_INTERLEAVE,
    set = OSTLER_NODE_SET,
    nearest_cpus = OSTLER_NODE_NEAREST_CPUS,
    nearest_device = OSTLER_NODE_NEAREST_DEVICE,
};

namespace detail {

/// Numbers beyond the set are left out; the library refuses them where it takes a single one.
inline void set_numbers(std::uint64_t (&set)[OSTLER_SET_WORDS], std::initializer_list<std::uint32_t> numbers) noexcept
{
    for (std::uint64_t &word : set)
        word = 0;
    for (const std::uint32_t number : numbers)
        if (number / 64 < OSTLER_SET_WORDS)
            set[number / 64] |= std::uint64_t{1} << number % 64;
}

} // namespace detail

/// The C struct with its defaults, and setters that can be chained. A policy of pages is a source by itself.
struct page_source : ostler_page_source {
    page_source() noexcept : ostler_page_source(detail::sized<ostler_page_source>()) {}
    page_source(ostler::pages policy) noexcept : page_source() { page_policy = static_cast<std::uint32_t>(policy); }
    page_source &on(ostler::nodes policy, std::uint32_t number = 0) noexcept
    {
        return node_policy = static_cast<std::uint32_t>(policy), node = number, *this;
    }
    page_source &on_set(std::initializer_list<std::uint32_t> numbers) noexcept
    {
        return detail::set_numbers(node_set, numbers), on(nodes::set);
    }
    page_source &interleaved(std::initializer_list<std::uint32_t> numbers = {}) noexcept
    {
        return detail::set_numbers(node_set, numbers), on(nodes::interleave);
    }
    /// On the nodes nearest to these CPUs.
    page_source &near_cpus(std::initializer_list<std::uint32_t> numbers) noexcept
    {
        return detail::set_numbers(cpu_set, numbers), on(nodes::nearest_cpus);
    }
    /// On the nodes nearest to a device: "0000:3b:00.0", "net/eth0".
    page_source &near_device(std::string_view name) noexcept
    {
        return detail::set_name(device, name), on(nodes::nearest_device);
    }
    page_source &locked() noexcept { return lock = 1, *this; }
    page_source &guarded() noexcept { return guard = 1, *this; }
    page_source &not_forked() noexcept { return exclude_fork = 1, *this; }
    page_source &not_dumped() noexcept { return exclude_dump = 1, *this; }
    page_source &strictly() noexcept { return strict = 1, *this; }
    page_source &prefaulted() noexcept { return prefault = 1, *this; }
};

/// What a mapping of so many bytes would get now, and what stands in the way of more.
inline ostler_advice advise(const page_source &source, std::uint64_t bytes, std::error_code &failure) noexcept
{
    auto advice = detail::sized<ostler_advice>();
    detail::note(ostler_page_source_advise(&source, bytes, &advice), failure);
    return advice;
}
inline ostler_advice advise(const page_source &source, std::uint64_t bytes)
{
    return detail::thrown([&](std::error_code &failure) { return advise(source, bytes, failure); });
}
/// The same for people. Throws nothing but std::bad_alloc.
inline std::string print_advice(const page_source &source, std::uint64_t bytes, std::error_code &failure)
{
    std::uint64_t needed = 0;
    std::string text;
    // What is free may change between two calls.
    do {
        text.resize(needed);
        if (!detail::note(ostler_page_source_print_advice(&source, bytes, text.data(), text.size(), &needed), failure))
            return {};
    } while (needed > text.size());
    text.resize(needed - 1);
    return text;
}
inline std::string print_advice(const page_source &source, std::uint64_t bytes)
{
    return detail::thrown([&](std::error_code &failure) { return print_advice(source, bytes, failure); });
}

namespace detail {

/// The C struct of a configuration, with its own source where it names no other. It lasts as long as the configuration.
template <class Struct, class Config> Struct with_source(const Config &config) noexcept
{
    Struct given = config;
    if (!given.source)
        given.source = &config.from;
    return given;
}

} // namespace detail

} // namespace ostler

#endif
