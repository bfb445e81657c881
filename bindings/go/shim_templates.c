#include "shim_templates.h"
#include "_cgo_export.h"

#include <stdlib.h>

static ostler_status templates_build(void *id, const void *key, uint64_t key_bytes, void **data, uint64_t *data_bytes,
                                     uint64_t *charge_bytes)
{
    struct ostlerGoTemplatesBuild_return made = ostlerGoTemplatesBuild((uintptr_t)id, (char *)key, (int)key_bytes);
    (void)charge_bytes;
    *data = made.r1;
    *data_bytes = made.r2;
    return made.r0;
}

static void templates_free(void *id, void *data, uint64_t data_bytes)
{
    (void)id, (void)data_bytes;
    free(data);
}

ostler_go_failure ostler_go_templates_config_init(ostler_templates_config *config)
{
    return failure(ostler_templates_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_templates_create(const ostler_templates_config *config, uintptr_t id)
{
    const ostler_templates_callbacks callbacks = {
        .struct_size = sizeof callbacks,
        .build = templates_build,
        .destroy = templates_free,
    };
    ostler_templates *templates = NULL;
    ostler_go_failure failed = failure(ostler_templates_create(config, &callbacks, (void *)id, &templates));
    return (ostler_go_created){failed, (uintptr_t)templates};
}

ostler_go_template ostler_go_templates_instantiate(uintptr_t templates, const void *key, uint64_t key_bytes, void *target,
                                                   uint64_t target_bytes, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_template made = {.data = NULL};
    made.failure = failure(ostler_templates_instantiate((ostler_templates *)templates, key, key_bytes, target, target_bytes,
                                                        timeout_ns, (ostler_cancel *)cancel, &made.bytes));
    return made;
}

ostler_go_template ostler_go_templates_instantiate_in(uintptr_t templates, const void *key, uint64_t key_bytes,
                                                      uintptr_t arena, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_template made = {.data = NULL};
    void *instance = NULL;
    made.failure = failure(ostler_templates_instantiate_in((ostler_templates *)templates, key, key_bytes,
                                                           (ostler_arena *)arena, timeout_ns, (ostler_cancel *)cancel,
                                                           &instance, &made.bytes));
    made.data = instance;
    return made;
}

ostler_go_template ostler_go_templates_get(uintptr_t templates, const void *key, uint64_t key_bytes, uint64_t timeout_ns,
                                           uintptr_t cancel)
{
    ostler_go_template got = {.data = NULL};
    ostler_template reference = {0};
    got.failure = failure(ostler_templates_get((ostler_templates *)templates, key, key_bytes, timeout_ns,
                                               (ostler_cancel *)cancel, &reference, &got.data, &got.bytes));
    got.reference = reference.value;
    return got;
}

ostler_go_failure ostler_go_templates_release(uintptr_t templates, uint64_t reference)
{
    return failure(ostler_templates_release((ostler_templates *)templates, (ostler_template){reference}));
}

ostler_go_failure ostler_go_templates_get_info(uintptr_t templates, uint64_t reference, ostler_template_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_templates_get_info((ostler_templates *)templates, (ostler_template){reference}, out));
}

ostler_go_failure ostler_go_templates_get_version(uintptr_t templates, const void *key, uint64_t key_bytes,
                                                  uint64_t *version)
{
    return failure(ostler_templates_get_version((ostler_templates *)templates, key, key_bytes, version));
}

ostler_go_failure ostler_go_templates_invalidate(uintptr_t templates, const void *key, uint64_t key_bytes)
{
    return failure(ostler_templates_invalidate((ostler_templates *)templates, key, key_bytes));
}

ostler_go_failure ostler_go_templates_invalidate_all(uintptr_t templates)
{
    return failure(ostler_templates_invalidate_all((ostler_templates *)templates));
}

ostler_go_failure ostler_go_templates_get_stats(uintptr_t templates, ostler_templates_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_templates_get_stats((ostler_templates *)templates, out));
}

ostler_go_failure ostler_go_templates_destroy(uintptr_t templates)
{
    return failure(ostler_templates_destroy((ostler_templates *)templates));
}
