#ifndef OSTLER_GO_SHIM_ORCHESTRATOR_H
#define OSTLER_GO_SHIM_ORCHESTRATOR_H

#include "shim.h"

ostler_go_failure ostler_go_orchestrator_config_init(ostler_orchestrator_config *config);
ostler_go_created ostler_go_orchestrator_create(const ostler_orchestrator_config *config);
ostler_go_failure ostler_go_orchestrator_cancel(uintptr_t orchestrator, uint64_t ticket);
ostler_go_waited ostler_go_orchestrator_drain(uintptr_t orchestrator, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_orchestrator_get_stats(uintptr_t orchestrator, ostler_orchestrator_stats *out);
ostler_go_failure ostler_go_orchestrator_destroy(uintptr_t orchestrator);

#endif
