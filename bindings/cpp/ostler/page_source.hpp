// On which pages and which NUMA nodes memory is asked for.
#ifndef OSTLER_PAGE_SOURCE_HPP
#define OSTLER_PAGE_SOURCE_HPP

#include "handle.hpp"

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
};

/// The C struct with its defaults, and setters that can be chained. A policy of pages is a source by itself.
struct page_source : ostler_page_source {
    page_source() noexcept : ostler_page_source(detail::sized<ostler_page_source>()) {}
    page_source(ostler::pages policy) noexcept : page_source() { page_policy = static_cast<std::uint32_t>(policy); }
    page_source &on(ostler::nodes policy, std::uint32_t number = 0) noexcept
    {
        return node_policy = static_cast<std::uint32_t>(policy), node = number, *this;
    }
    page_source &strictly() noexcept { return strict = 1, *this; }
    page_source &prefaulted() noexcept { return prefault = 1, *this; }
};

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
