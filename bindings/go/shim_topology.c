#include "shim_topology.h"

ostler_go_created ostler_go_topology_create(const char *synthetic)
{
    ostler_topology *topology = NULL;
    ostler_go_failure failed = failure(ostler_topology_create(synthetic, &topology));
    return (ostler_go_created){failed, (uintptr_t)topology};
}

ostler_go_failure ostler_go_topology_get_info(uintptr_t topology, ostler_topology_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_topology_get_info((ostler_topology *)topology, out));
}

ostler_go_failure ostler_go_topology_get_node(uintptr_t topology, uint32_t index, ostler_node_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_topology_get_node((ostler_topology *)topology, index, out));
}

ostler_go_failure ostler_go_topology_get_cpu(uintptr_t topology, uint32_t index, ostler_cpu_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_topology_get_cpu((ostler_topology *)topology, index, out));
}

ostler_go_failure ostler_go_topology_get_cache(uintptr_t topology, uint32_t index, ostler_cache_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_topology_get_cache((ostler_topology *)topology, index, out));
}

ostler_go_failure ostler_go_topology_get_pages(uintptr_t topology, uint32_t node, uint32_t page_size,
                                               ostler_page_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_topology_get_pages((ostler_topology *)topology, node, page_size, out));
}

ostler_go_failure ostler_go_topology_destroy(uintptr_t topology)
{
    return failure(ostler_topology_destroy((ostler_topology *)topology));
}
