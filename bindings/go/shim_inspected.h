#ifndef OSTLER_GO_SHIM_INSPECTED_H
#define OSTLER_GO_SHIM_INSPECTED_H

#include "shim.h"

/* What is made of chunks; each of the calls is one on an object of such a noun. */
typedef enum ostler_go_noun { OSTLER_GO_ARENA, OSTLER_GO_HEAP, OSTLER_GO_SLAB, OSTLER_GO_BUFFERS } ostler_go_noun;

ostler_go_failure ostler_go_get_receipt(ostler_go_noun noun, uintptr_t object, uint64_t chunk, ostler_receipt *out);
ostler_go_printed ostler_go_print_receipts(ostler_go_noun noun, uintptr_t object, char *buffer, uint64_t buffer_bytes);
ostler_go_failure ostler_go_get_coverage(ostler_go_noun noun, uintptr_t object, ostler_coverage *out);
ostler_go_failure ostler_go_repair(ostler_go_noun noun, uintptr_t object, ostler_repair *out);

#endif
