#ifndef OSTLER_GO_SHIM_TOPOLOGY_H
#define OSTLER_GO_SHIM_TOPOLOGY_H

#include "shim.h"

ostler_go_created ostler_go_topology_create(const char *synthetic);
ostler_go_failure ostler_go_topology_get_info(uintptr_t topology, ostler_topology_info *out);
ostler_go_failure ostler_go_topology_get_node(uintptr_t topology, uint32_t index, ostler_node_info *out);
ostler_go_failure ostler_go_topology_get_cpu(uintptr_t topology, uint32_t index, ostler_cpu_info *out);
ostler_go_failure ostler_go_topology_get_cache(uintptr_t topology, uint32_t index, ostler_cache_info *out);
ostler_go_failure ostler_go_topology_get_pages(uintptr_t topology, uint32_t node, uint32_t page_size,
                                               ostler_page_info *out);
ostler_go_failure ostler_go_topology_destroy(uintptr_t topology);

#endif
