/* A cache of templates for tests, and callers on threads of their own. */
#ifndef OSTLER_TESTS_WORKSHOP_H
#define OSTLER_TESTS_WORKSHOP_H

#include "fixtures.h"
#include <stdatomic.h>

/* A workshop whose builder makes BYTES of the last letter of its key, unless the key says otherwise:
 *   "big..."  ten times as many
 * A builder can be held up at a gate until the test opens it. */
enum { BYTES = 64 };

struct workshop {
    ostler_templates *templates;
    atomic_int builds, built, destroyed, building, clones;
    atomic_int is_held;              /* builders wait while it is 1 */
    char held_key;                   /* only those of keys that begin with it; 0: all */
    atomic_int fails;                /* builds fail while it is 1 */
    ostler_status (*inside)(struct workshop *workshop, const char *key, uint64_t key_bytes); /* called by build */
    ostler_status inside_status;
};

static inline ostler_status build(void *user_data, const void *key, uint64_t key_bytes, void **data, uint64_t *data_bytes,
                           uint64_t *charge_bytes)
{
    struct workshop *workshop = user_data;
    const char *name = key;
    uint64_t bytes = key_bytes > 3 && memcmp(name, "big", 3) == 0 ? BYTES * 10 : BYTES;
    EXPECT_EQ(*charge_bytes, 0);
    atomic_fetch_add(&workshop->builds, 1);
    atomic_fetch_add(&workshop->building, 1);
    while (workshop->is_held && (workshop->held_key == 0 || workshop->held_key == name[0]))
        sched_yield();
    atomic_fetch_sub(&workshop->building, 1);
    if (workshop->inside)
        workshop->inside_status = workshop->inside(workshop, name, key_bytes);
    if (workshop->fails) {
        ostler_callback_set_message("the plan is lost");
        return -42;
    }
    *data = malloc(bytes);
    memset(*data, name[key_bytes - 1], bytes);
    *data_bytes = bytes;
    atomic_fetch_add(&workshop->built, 1);
    return OSTLER_OK;
}

static inline void destroy_data(void *user_data, void *data, uint64_t data_bytes)
{
    struct workshop *workshop = user_data;
    memset(data, 0, data_bytes);
    free(data);
    atomic_fetch_add(&workshop->destroyed, 1);
}

static inline ostler_templates_config plain_config(void)
{
    ostler_templates_config config;
    CHECK_STATUS(ostler_templates_config_init(&config, sizeof config), OSTLER_OK);
    return config;
}

static inline void open_workshop(struct workshop *workshop, ostler_templates_config config)
{
    ostler_templates_callbacks callbacks;
    CHECK_STATUS(ostler_templates_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.build = build;
    callbacks.destroy = destroy_data;
    memset(workshop, 0, sizeof *workshop);
    CHECK_STATUS(ostler_templates_create(&config, &callbacks, workshop, &workshop->templates), OSTLER_OK);
}

static inline void close_workshop(struct workshop *workshop)
{
    CHECK_STATUS(ostler_templates_destroy(workshop->templates), OSTLER_OK);
    CHECK_EQ(workshop->built, workshop->destroyed);
}

static inline ostler_templates_stats stats_of(ostler_templates *templates)
{
    ostler_templates_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_templates_get_stats(templates, &stats), OSTLER_OK);
    return stats;
}

static inline ostler_status instantiate(struct workshop *workshop, const char *key)
{
    char bytes[BYTES * 10];
    uint64_t data_bytes = 7;
    ostler_status status = ostler_templates_instantiate(workshop->templates, key, strlen(key), bytes, sizeof bytes,
                                                        OSTLER_FOREVER, NULL, &data_bytes);
    if (status != OSTLER_OK) {
        EXPECT_EQ(data_bytes, 0);
        return status;
    }
    for (uint64_t i = 0; i < data_bytes; i++)
        if (bytes[i] != key[strlen(key) - 1]) {
            EXPECT_EQ(bytes[i], key[strlen(key) - 1]);
            break;
        }
    return status;
}

static inline ostler_template get(struct workshop *workshop, const char *key)
{
    ostler_template reference = {0};
    const void *data = NULL;
    uint64_t data_bytes = 0;
    EXPECT_STATUS(ostler_templates_get(workshop->templates, key, strlen(key), OSTLER_FOREVER, NULL, &reference, &data,
                                       &data_bytes),
                  OSTLER_OK);
    EXPECT(reference.value != 0);
    EXPECT(data != NULL && ((const char *)data)[data_bytes - 1] == key[strlen(key) - 1]);
    return reference;
}

static inline uint64_t version_of(struct workshop *workshop, const char *key)
{
    uint64_t version = 77;
    EXPECT_STATUS(ostler_templates_get_version(workshop->templates, key, strlen(key), &version), OSTLER_OK);
    return version;
}

static inline ostler_template_info info_of(struct workshop *workshop, ostler_template reference)
{
    ostler_template_info info = {.struct_size = sizeof info};
    EXPECT_STATUS(ostler_templates_get_info(workshop->templates, reference, &info), OSTLER_OK);
    return info;
}

static inline void invalidate(struct workshop *workshop, const char *key)
{
    EXPECT_STATUS(ostler_templates_invalidate(workshop->templates, key, strlen(key)), OSTLER_OK);
}

/* Whether it is there, which is found out without a build. */
static inline bool is_kept(struct workshop *workshop, const char *key)
{
    return version_of(workshop, key) != 0;
}

/* Somebody who asks on a thread of their own. */
struct asker {
    struct workshop *workshop;
    const char *key;
    uint64_t timeout_ns;
    ostler_cancel *cancel;
    pthread_t thread;
    ostler_status status;
    char first;
    char words[200];
};

static inline void *ask_on_a_thread(void *argument)
{
    struct asker *asker = argument;
    char bytes[BYTES * 10] = {0};
    asker->status = ostler_templates_instantiate(asker->workshop->templates, asker->key, strlen(asker->key), bytes,
                                                 sizeof bytes, asker->timeout_ns, asker->cancel, NULL);
    asker->first = bytes[0];
    if (asker->status != OSTLER_OK)
        snprintf(asker->words, sizeof asker->words, "%s", ostler_last_error_message());
    return NULL;
}

static inline void begin_asking(struct asker *asker, struct workshop *workshop, const char *key, ostler_cancel *cancel)
{
    *asker = (struct asker){.workshop = workshop, .key = key, .timeout_ns = OSTLER_FOREVER, .cancel = cancel};
    pthread_create(&asker->thread, NULL, ask_on_a_thread, asker);
}

static inline void end_asking(struct asker *asker, ostler_status wanted)
{
    pthread_join(asker->thread, NULL);
    EXPECT_STATUS(asker->status, wanted);
}

#endif
