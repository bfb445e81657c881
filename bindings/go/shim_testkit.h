#ifndef OSTLER_GO_SHIM_TESTKIT_H
#define OSTLER_GO_SHIM_TESTKIT_H

#include "shim.h"

ostler_go_failure ostler_go_testkit_clock_freeze(void);
ostler_go_failure ostler_go_testkit_clock_advance(uint64_t by_ns);
ostler_go_failure ostler_go_testkit_clock_settle(uint64_t timeout_ns, uintptr_t cancel);
ostler_go_failure ostler_go_testkit_clock_thaw(void);
ostler_go_failure ostler_go_testkit_pool_inject(uintptr_t pool, ostler_testkit_fault *fault);
ostler_go_failure ostler_go_testkit_pool_clear(uintptr_t pool, uint32_t callback);
ostler_go_failure ostler_go_testkit_pool_get_injected(uintptr_t pool, uint32_t callback, ostler_testkit_injected *out);
ostler_go_failure ostler_go_testkit_model_inject(uintptr_t model, ostler_testkit_fault *fault);
ostler_go_failure ostler_go_testkit_model_clear(uintptr_t model, uint32_t callback);
ostler_go_failure ostler_go_testkit_model_get_injected(uintptr_t model, uint32_t callback, ostler_testkit_injected *out);
ostler_go_failure ostler_go_testkit_templates_inject(uintptr_t templates, ostler_testkit_fault *fault);
ostler_go_failure ostler_go_testkit_templates_clear(uintptr_t templates, uint32_t callback);
ostler_go_failure ostler_go_testkit_templates_get_injected(uintptr_t templates, uint32_t callback,
                                                           ostler_testkit_injected *out);
ostler_go_failure ostler_go_testkit_chance_seed(uint64_t seed);
ostler_go_failure ostler_go_testkit_chance_unseed(void);

#endif
