#include "shim_testkit.h"

ostler_go_failure ostler_go_testkit_clock_freeze(void) { return failure(ostler_testkit_clock_freeze()); }

ostler_go_failure ostler_go_testkit_clock_advance(uint64_t by_ns)
{
    return failure(ostler_testkit_clock_advance(by_ns));
}

ostler_go_failure ostler_go_testkit_clock_settle(uint64_t timeout_ns, uintptr_t cancel)
{
    return failure(ostler_testkit_clock_settle(timeout_ns, (ostler_cancel *)cancel));
}

ostler_go_failure ostler_go_testkit_clock_thaw(void) { return failure(ostler_testkit_clock_thaw()); }

ostler_go_failure ostler_go_testkit_pool_inject(uintptr_t pool, ostler_testkit_fault *fault)
{
    fault->struct_size = sizeof *fault;
    return failure(ostler_testkit_pool_inject((ostler_pool *)pool, fault));
}

ostler_go_failure ostler_go_testkit_pool_clear(uintptr_t pool, uint32_t callback)
{
    return failure(ostler_testkit_pool_clear((ostler_pool *)pool, callback));
}

ostler_go_failure ostler_go_testkit_pool_get_injected(uintptr_t pool, uint32_t callback, ostler_testkit_injected *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_testkit_pool_get_injected((ostler_pool *)pool, callback, out));
}

ostler_go_failure ostler_go_testkit_model_inject(uintptr_t model, ostler_testkit_fault *fault)
{
    fault->struct_size = sizeof *fault;
    return failure(ostler_testkit_model_inject((ostler_model *)model, fault));
}

ostler_go_failure ostler_go_testkit_model_clear(uintptr_t model, uint32_t callback)
{
    return failure(ostler_testkit_model_clear((ostler_model *)model, callback));
}

ostler_go_failure ostler_go_testkit_model_get_injected(uintptr_t model, uint32_t callback, ostler_testkit_injected *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_testkit_model_get_injected((ostler_model *)model, callback, out));
}

ostler_go_failure ostler_go_testkit_templates_inject(uintptr_t templates, ostler_testkit_fault *fault)
{
    fault->struct_size = sizeof *fault;
    return failure(ostler_testkit_templates_inject((ostler_templates *)templates, fault));
}

ostler_go_failure ostler_go_testkit_templates_clear(uintptr_t templates, uint32_t callback)
{
    return failure(ostler_testkit_templates_clear((ostler_templates *)templates, callback));
}

ostler_go_failure ostler_go_testkit_templates_get_injected(uintptr_t templates, uint32_t callback,
                                                           ostler_testkit_injected *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_testkit_templates_get_injected((ostler_templates *)templates, callback, out));
}

ostler_go_failure ostler_go_testkit_chance_seed(uint64_t seed) { return failure(ostler_testkit_chance_seed(seed)); }

ostler_go_failure ostler_go_testkit_chance_unseed(void) { return failure(ostler_testkit_chance_unseed()); }
