/* Testkit: the library's own chance has a seed, and the callbacks of templates misbehave. */
#include "fixtures.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_int live;

static ostler_status build_word(void *user_data, const void *key, uint64_t key_bytes, void **data, uint64_t *data_bytes,
                                uint64_t *charge_bytes)
{
    (void)user_data, (void)charge_bytes;
    *data = malloc(key_bytes);
    memcpy(*data, key, key_bytes);
    *data_bytes = key_bytes;
    atomic_fetch_add(&live, 1);
    return OSTLER_OK;
}

static void free_word(void *user_data, void *data, uint64_t data_bytes)
{
    (void)user_data, (void)data_bytes;
    free(data);
    atomic_fetch_sub(&live, 1);
}

static ostler_templates *make_templates(uint32_t most)
{
    ostler_templates_callbacks callbacks;
    ostler_templates_config config;
    ostler_templates *templates;
    CHECK_STATUS(ostler_templates_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    CHECK_STATUS(ostler_templates_config_init(&config, sizeof config), OSTLER_OK);
    callbacks.build = build_word;
    callbacks.destroy = free_word;
    config.max_templates = most;
    CHECK_STATUS(ostler_templates_create(&config, &callbacks, NULL, &templates), OSTLER_OK);
    return templates;
}

TEST(build_of_templates_fails_as_told)
{
    ostler_templates *templates = make_templates(4);
    ostler_testkit_fault fault = {.struct_size = sizeof fault, .callback = OSTLER_TESTKIT_BUILD, .first = 2};
    ostler_testkit_injected injected = {.struct_size = sizeof injected};
    char word[8];
    fault.status = -77;
    CHECK_STATUS(ostler_testkit_templates_inject(templates, &fault), OSTLER_OK);
    CHECK_STATUS(ostler_templates_instantiate(templates, "one", 3, word, 8, 0, NULL, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_templates_instantiate(templates, "two", 3, word, 8, 0, NULL, NULL), OSTLER_E_BUILD_FAILED);
    CHECK_STATUS(ostler_templates_instantiate(templates, "two", 3, word, 8, 0, NULL, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_testkit_templates_get_injected(templates, OSTLER_TESTKIT_BUILD, &injected), OSTLER_OK);
    CHECK_EQ(injected.calls, 3);
    CHECK_EQ(injected.failures, 1);
    CHECK_STATUS(ostler_testkit_templates_clear(templates, OSTLER_TESTKIT_BUILD), OSTLER_OK);
    CHECK_STATUS(ostler_testkit_templates_clear(templates, OSTLER_TESTKIT_CREATE), OSTLER_E_INVALID_ARGUMENT);
    fault.callback = OSTLER_TESTKIT_LOAD;
    CHECK_STATUS(ostler_testkit_templates_inject(templates, &fault), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_templates_destroy(templates), OSTLER_OK);
    CHECK_EQ(atomic_load(&live), 0);
}

/* Stands for which of many templates stay when there is room for some, by chance. */
static uint64_t survivors(void)
{
    ostler_templates *templates = make_templates(500);
    uint64_t kept = 0, version, copy;
    for (uint64_t key = 0; key < 1000; key++)
        CHECK_STATUS(ostler_templates_instantiate(templates, &key, 8, &copy, 8, 0, NULL, NULL), OSTLER_OK);
    for (uint64_t key = 0; key < 1000; key++) {
        CHECK_STATUS(ostler_templates_get_version(templates, &key, 8, &version), OSTLER_OK);
        kept = kept * 31 + (version != 0);
    }
    CHECK_STATUS(ostler_templates_destroy(templates), OSTLER_OK);
    return kept;
}

TEST(same_seed_same_luck)
{
    CHECK_STATUS(ostler_testkit_chance_seed(7), OSTLER_OK);
    uint64_t first = survivors(), next = survivors();
    CHECK_STATUS(ostler_testkit_chance_seed(7), OSTLER_OK);
    CHECK_EQ(survivors(), first);
    CHECK_EQ(survivors(), next);
    CHECK(first != next);
    CHECK_STATUS(ostler_testkit_chance_unseed(), OSTLER_OK);
}

CHECK_MAIN()
