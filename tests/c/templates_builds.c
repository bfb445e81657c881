/* Templates: builds that call the cache themselves. */
#include "workshop.h"

static ostler_status ask_for_itself(struct workshop *workshop, const char *key, uint64_t key_bytes)
{
    char bytes[BYTES];
    EXPECT_STATUS(ostler_templates_destroy(workshop->templates), OSTLER_E_WOULD_DEADLOCK);
    return ostler_templates_instantiate(workshop->templates, key, key_bytes, bytes, BYTES, OSTLER_FOREVER, NULL, NULL);
}

TEST(build_that_asks_for_its_own_key_is_refused)
{
    struct workshop workshop;
    open_workshop(&workshop, plain_config());
    workshop.inside = ask_for_itself;
    CHECK_STATUS(instantiate(&workshop, "a"), OSTLER_OK);
    CHECK_STATUS(workshop.inside_status, OSTLER_E_WOULD_DEADLOCK);
    CHECK_EQ(workshop.builds, 1);
    close_workshop(&workshop);
}

static ostler_status invalidate_and_ask_for_itself(struct workshop *workshop, const char *key, uint64_t key_bytes)
{
    EXPECT_STATUS(ostler_templates_invalidate(workshop->templates, key, key_bytes), OSTLER_OK);
    return ask_for_itself(workshop, key, key_bytes);
}

TEST(build_that_invalidates_its_own_key_is_refused_it_all_the_same)
{
    struct workshop workshop;
    open_workshop(&workshop, plain_config());
    workshop.inside = invalidate_and_ask_for_itself;
    CHECK_STATUS(instantiate(&workshop, "a"), OSTLER_OK);
    CHECK_STATUS(workshop.inside_status, OSTLER_E_WOULD_DEADLOCK);
    CHECK(!is_kept(&workshop, "a"));
    close_workshop(&workshop);
}

/* A template is made of the one of the key without its first letter. */
static ostler_status ask_for_the_rest(struct workshop *workshop, const char *key, uint64_t key_bytes)
{
    char bytes[BYTES];
    if (key_bytes == 1)
        return OSTLER_OK;
    return ostler_templates_instantiate(workshop->templates, key + 1, key_bytes - 1, bytes, BYTES, 0, NULL, NULL);
}

TEST(build_may_ask_for_other_keys)
{
    struct workshop workshop;
    open_workshop(&workshop, plain_config());
    workshop.inside = ask_for_the_rest;
    CHECK_STATUS(instantiate(&workshop, "uvwxyz"), OSTLER_OK);
    CHECK_STATUS(workshop.inside_status, OSTLER_OK);
    CHECK_EQ(workshop.builds, 6);
    CHECK_EQ(stats_of(workshop.templates).templates, 6);
    close_workshop(&workshop);
}

static atomic_int at_the_crossing;
static atomic_int refused;

/* Each of two builds asks for what the other builds. */
static ostler_status ask_for_the_other(struct workshop *workshop, const char *key, uint64_t key_bytes)
{
    char bytes[BYTES];
    const char *other = *key == 'a' ? "b" : "a";
    atomic_fetch_add(&at_the_crossing, 1);
    AWAIT(at_the_crossing >= 2);
    ostler_status status = ostler_templates_instantiate(workshop->templates, other, key_bytes, bytes, BYTES,
                                                        OSTLER_FOREVER, NULL, NULL);
    EXPECT(status == OSTLER_OK || status == OSTLER_E_WOULD_DEADLOCK);
    atomic_fetch_add(&refused, status == OSTLER_E_WOULD_DEADLOCK);
    return status;
}

TEST(builds_that_would_wait_for_one_another_do_not)
{
    for (int round = 0; round < 50; round++) {
        struct workshop workshop;
        struct asker askers[2];
        at_the_crossing = refused = 0;
        open_workshop(&workshop, plain_config());
        workshop.inside = ask_for_the_other;
        begin_asking(&askers[0], &workshop, "a", NULL);
        begin_asking(&askers[1], &workshop, "b", NULL);
        end_asking(&askers[0], OSTLER_OK);
        end_asking(&askers[1], OSTLER_OK);
        CHECK_EQ(refused, 1);
        CHECK_EQ(workshop.builds, 2);
        close_workshop(&workshop);
    }
}

static ostler_status build_nothing(void *user_data, const void *key, uint64_t key_bytes, void **data,
                                   uint64_t *data_bytes, uint64_t *charge_bytes)
{
    (void)user_data, (void)key, (void)key_bytes, (void)data, (void)charge_bytes;
    *data_bytes = 5;
    return OSTLER_OK;
}

static ostler_status build_of_no_bytes(void *user_data, const void *key, uint64_t key_bytes, void **data,
                                       uint64_t *data_bytes, uint64_t *charge_bytes)
{
    (void)user_data, (void)key, (void)key_bytes, (void)data, (void)data_bytes;
    *charge_bytes = 5;
    return OSTLER_OK;
}

TEST(build_must_write_what_it_made)
{
    ostler_templates_callbacks callbacks = {.struct_size = sizeof callbacks, .build = build_nothing};
    ostler_templates *templates;
    uint64_t data_bytes = 9;
    char bytes[8];
    CHECK_STATUS(ostler_templates_create(NULL, &callbacks, NULL, &templates), OSTLER_OK);
    CHECK_STATUS(ostler_templates_instantiate(templates, "a", 1, bytes, 8, 0, NULL, NULL), OSTLER_E_BUILD_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "wrote no data");
    CHECK_STATUS(ostler_templates_destroy(templates), OSTLER_OK);
    callbacks.build = build_of_no_bytes;
    CHECK_STATUS(ostler_templates_create(NULL, &callbacks, NULL, &templates), OSTLER_OK);
    CHECK_STATUS(ostler_templates_instantiate(templates, "a", 1, bytes, 8, 0, NULL, &data_bytes), OSTLER_OK);
    CHECK_EQ(data_bytes, 0);
    CHECK_EQ(stats_of(templates).bytes, 5);
    CHECK_STATUS(ostler_templates_destroy(templates), OSTLER_OK);
    callbacks.build = NULL;
    CHECK_STATUS(ostler_templates_create(NULL, &callbacks, NULL, &templates), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "callbacks->build");
}

CHECK_MAIN()
