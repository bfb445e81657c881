#ifndef OSTLER_GO_SHIM_PAGE_SOURCE_H
#define OSTLER_GO_SHIM_PAGE_SOURCE_H

#include "shim.h"

ostler_go_failure ostler_go_page_source_advise(const ostler_page_source *source, uint64_t size_bytes, ostler_advice *out);
ostler_go_printed ostler_go_page_source_print_advice(const ostler_page_source *source, uint64_t size_bytes, char *buffer,
                                                     uint64_t buffer_bytes);

#endif
