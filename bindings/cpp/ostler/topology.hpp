// The machine's nodes, CPUs, caches and pages.
#ifndef OSTLER_TOPOLOGY_HPP
#define OSTLER_TOPOLOGY_HPP

#include "handle.hpp"

namespace ostler {

/// The machine's nodes, CPUs, caches and pages, or those of a description such as "node:2 core:4 pu:2".
class topology : public handle<ostler_topology, ostler_topology_destroy> {
  public:
    explicit topology(const char *synthetic = nullptr)
    {
        *this = detail::thrown([&](std::error_code &failure) { return open(synthetic, failure); });
    }
    static topology open(const char *synthetic, std::error_code &failure) noexcept
    {
        ostler_topology *made = nullptr;
        detail::note(ostler_topology_create(synthetic, &made), failure);
        return topology(made);
    }

    ostler_topology_info info() const { return thrown_of<ostler_topology_info>(ostler_topology_get_info); }
    ostler_topology_info info(std::error_code &failure) const noexcept
    {
        return of<ostler_topology_info>(failure, ostler_topology_get_info);
    }
    ostler_node_info node(std::uint32_t index) const { return thrown_of<ostler_node_info>(ostler_topology_get_node, index); }
    ostler_node_info node(std::uint32_t index, std::error_code &failure) const noexcept
    {
        return of<ostler_node_info>(failure, ostler_topology_get_node, index);
    }
    ostler_cpu_info cpu(std::uint32_t index) const { return thrown_of<ostler_cpu_info>(ostler_topology_get_cpu, index); }
    ostler_cpu_info cpu(std::uint32_t index, std::error_code &failure) const noexcept
    {
        return of<ostler_cpu_info>(failure, ostler_topology_get_cpu, index);
    }
    ostler_cache_info cache(std::uint32_t index) const
    {
        return thrown_of<ostler_cache_info>(ostler_topology_get_cache, index);
    }
    ostler_cache_info cache(std::uint32_t index, std::error_code &failure) const noexcept
    {
        return of<ostler_cache_info>(failure, ostler_topology_get_cache, index);
    }
    /// node_index may be OSTLER_ALL_NODES.
    ostler_page_info pages(std::uint32_t node_index, std::uint32_t page_size_index) const
    {
        return thrown_of<ostler_page_info>(ostler_topology_get_pages, node_index, page_size_index);
    }
    ostler_page_info pages(std::uint32_t node_index, std::uint32_t page_size_index, std::error_code &failure) const noexcept
    {
        return of<ostler_page_info>(failure, ostler_topology_get_pages, node_index, page_size_index);
    }

  private:
    explicit topology(ostler_topology *raw) noexcept : handle(raw) {}

    template <class Info, class Get, class... Index>
    Info of(std::error_code &failure, Get get_info, Index... index) const noexcept
    {
        auto info = detail::sized<Info>();
        detail::note(get_info(get(), index..., &info), failure);
        return info;
    }
    template <class Info, class Get, class... Index> Info thrown_of(Get get_info, Index... index) const
    {
        return detail::thrown([&](std::error_code &failure) { return of<Info>(failure, get_info, index...); });
    }
};

} // namespace ostler

#endif
