#include "shim_slab.h"
#include "_cgo_export.h"

static ostler_status slab_create(void *id, void *slot)
{
    return ostlerGoSlabCreate((uintptr_t)id, slot);
}

static ostler_status slab_reset(void *id, void *slot)
{
    return ostlerGoSlabReset((uintptr_t)id, slot);
}

static void slab_destroy(void *id, void *slot)
{
    ostlerGoSlabDestroy((uintptr_t)id, slot);
}

ostler_go_failure ostler_go_slab_config_init(ostler_slab_config *config)
{
    return failure(ostler_slab_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_slab_create(ostler_slab_config *config, const ostler_page_source *source, uintptr_t id,
                                        uint32_t has_reset)
{
    const ostler_slab_callbacks callbacks = {
        .struct_size = sizeof callbacks,
        .create = slab_create,
        .reset = has_reset ? slab_reset : NULL,
        .destroy = slab_destroy,
    };
    config->source = source;
    ostler_slab *slab = NULL;
    ostler_go_failure failed = failure(ostler_slab_create(config, id ? &callbacks : NULL, (void *)id, &slab));
    return (ostler_go_created){failed, (uintptr_t)slab};
}

ostler_go_memory ostler_go_slab_get(uintptr_t slab)
{
    ostler_go_memory memory = {0};
    memory.failure = failure(ostler_slab_get((ostler_slab *)slab, &memory.address));
    return memory;
}

ostler_go_failure ostler_go_slab_put(uintptr_t slab, uintptr_t slot)
{
    return failure(ostler_slab_put((ostler_slab *)slab, (void *)slot));
}

ostler_go_failure ostler_go_slab_get_n(uintptr_t slab, uint32_t count, void **slots)
{
    return failure(ostler_slab_get_n((ostler_slab *)slab, count, slots));
}

ostler_go_slab_count ostler_go_slab_put_n(uintptr_t slab, void *const *slots, uint32_t count)
{
    uint32_t put = 0;
    ostler_go_failure failed = failure(ostler_slab_put_n((ostler_slab *)slab, slots, count, &put));
    return (ostler_go_slab_count){failed, put};
}

ostler_go_slab_count ostler_go_slab_trim(uintptr_t slab)
{
    ostler_go_slab_count trimmed = {0};
    trimmed.failure = failure(ostler_slab_trim((ostler_slab *)slab, &trimmed.count));
    return trimmed;
}

ostler_go_slab_count ostler_go_slab_list_live(uintptr_t slab, ostler_slab_live *slots, uint64_t capacity)
{
    ostler_go_slab_count listed = {0};
    listed.failure = failure(ostler_slab_list_live((ostler_slab *)slab, slots, capacity, &listed.count));
    return listed;
}

ostler_go_failure ostler_go_slab_get_stats(uintptr_t slab, ostler_slab_stats *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_slab_get_stats((ostler_slab *)slab, out));
}

ostler_go_waited ostler_go_slab_close(uintptr_t slab, uint64_t timeout_ns, uintptr_t cancel)
{
    ostler_go_waited waited = {0};
    waited.failure =
        failure(ostler_slab_close((ostler_slab *)slab, timeout_ns, (ostler_cancel *)cancel, &waited.still_out));
    return waited;
}

ostler_go_failure ostler_go_slab_destroy(uintptr_t slab)
{
    return failure(ostler_slab_destroy((ostler_slab *)slab));
}

ostler_go_memory ostler_go_magazine_open(uintptr_t slab)
{
    ostler_magazine *magazine = NULL;
    ostler_go_failure failed = failure(ostler_magazine_open((ostler_slab *)slab, &magazine));
    return (ostler_go_memory){failed, magazine};
}

ostler_go_memory ostler_go_magazine_get(ostler_magazine *magazine)
{
    ostler_go_memory memory = {0};
    memory.failure = failure(ostler_magazine_get(magazine, &memory.address));
    return memory;
}

ostler_go_failure ostler_go_magazine_put(ostler_magazine *magazine, uintptr_t slot)
{
    return failure(ostler_magazine_put(magazine, (void *)slot));
}

ostler_go_failure ostler_go_magazine_get_n(ostler_magazine *magazine, uint32_t count, void **slots)
{
    return failure(ostler_magazine_get_n(magazine, count, slots));
}

ostler_go_slab_count ostler_go_magazine_put_n(ostler_magazine *magazine, void *const *slots, uint32_t count)
{
    uint32_t put = 0;
    ostler_go_failure failed = failure(ostler_magazine_put_n(magazine, slots, count, &put));
    return (ostler_go_slab_count){failed, put};
}

ostler_go_failure ostler_go_magazine_close(ostler_magazine *magazine)
{
    return failure(ostler_magazine_close(magazine));
}
