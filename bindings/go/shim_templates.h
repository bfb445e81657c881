#ifndef OSTLER_GO_SHIM_TEMPLATES_H
#define OSTLER_GO_SHIM_TEMPLATES_H

#include "shim.h"

typedef struct ostler_go_template {
    ostler_go_failure failure;
    uint64_t reference;
    const void *data;
    uint64_t bytes;
} ostler_go_template;

ostler_go_failure ostler_go_templates_config_init(ostler_templates_config *config);
ostler_go_created ostler_go_templates_create(const ostler_templates_config *config, uintptr_t id);
ostler_go_template ostler_go_templates_instantiate(uintptr_t templates, const void *key, uint64_t key_bytes, void *target,
                                                   uint64_t target_bytes, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_template ostler_go_templates_instantiate_in(uintptr_t templates, const void *key, uint64_t key_bytes,
                                                      uintptr_t arena, uint64_t timeout_ns, uintptr_t cancel);
ostler_go_template ostler_go_templates_get(uintptr_t templates, const void *key, uint64_t key_bytes, uint64_t timeout_ns,
                                           uintptr_t cancel);
ostler_go_failure ostler_go_templates_release(uintptr_t templates, uint64_t reference);
ostler_go_failure ostler_go_templates_get_info(uintptr_t templates, uint64_t reference, ostler_template_info *out);
ostler_go_failure ostler_go_templates_get_version(uintptr_t templates, const void *key, uint64_t key_bytes,
                                                  uint64_t *version);
ostler_go_failure ostler_go_templates_invalidate(uintptr_t templates, const void *key, uint64_t key_bytes);
ostler_go_failure ostler_go_templates_invalidate_all(uintptr_t templates);
ostler_go_failure ostler_go_templates_get_stats(uintptr_t templates, ostler_templates_stats *out);
ostler_go_failure ostler_go_templates_destroy(uintptr_t templates);

#endif
