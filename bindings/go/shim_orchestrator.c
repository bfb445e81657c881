#include "shim_orchestrator.h"

ostler_go_failure ostler_go_orchestrator_config_init(ostler_orchestrator_config *config)
{
    return failure(ostler_orchestrator_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_orchestrator_create(const ostler_orchestrator_config *config)
{
    ostler_orchestrator *orchestrator = NULL;
    ostler_go_failure failed = failure(ostler_orchestrator_create(config, &orchestrator));
    return (ostler_go_created){failed, (uintptr_t)orchestrator};
}

ostler_go_failure ostler_go_orchestrator_cancel(uintptr_t orchestrator, uint64_t ticket)
{
    return failure(ostler_orchestrator_cancel((ostler_orchestrator *)orchestrator, (ostler_ticket){ticket}));
}

ostler_go_waited ostler_go_orchestrator_drain(uintptr_t orchestrator, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_waited waited = {0};
    waited.failure = failure(ostler_orchestrator_drain((ostler_orchestrator *)orchestrator, timeout_ns,
                                                       (ostler_cancel *)cancel, &waited.still_out));
    return waited;
}

ostler_go_failure ostler_go_orchestrator_get_stats(uintptr_t orchestrator, ostler_orchestrator_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_orchestrator_get_stats((ostler_orchestrator *)orchestrator, out));
}

ostler_go_failure ostler_go_orchestrator_destroy(uintptr_t orchestrator)
{
    return failure(ostler_orchestrator_destroy((ostler_orchestrator *)orchestrator));
}
