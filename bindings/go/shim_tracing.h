#ifndef OSTLER_GO_SHIM_TRACING_H
#define OSTLER_GO_SHIM_TRACING_H

#include "shim.h"

ostler_go_failure ostler_go_tracing_start(uint32_t max_frames, uint64_t sample_bytes, uint64_t seed);
ostler_go_failure ostler_go_tracing_stop(void);
ostler_go_failure ostler_go_tracing_get_stats(ostler_tracing_stats *out);
ostler_go_printed ostler_go_tracing_report(uint32_t by, char *buffer, uint64_t buffer_bytes);
/* visit: what the callback gets. */
ostler_go_failure ostler_go_tracing_visit(uint32_t by, uintptr_t visit);

#endif
