/* Templates: built once, and copied without a lock. */
#include "workshop.h"

TEST(template_is_built_once_and_copied)
{
    struct workshop workshop;
    open_workshop(&workshop, plain_config());
    for (int i = 0; i < 5; i++)
        CHECK_STATUS(instantiate(&workshop, "a"), OSTLER_OK);
    CHECK_STATUS(instantiate(&workshop, "b"), OSTLER_OK);
    ostler_templates_stats stats = stats_of(workshop.templates);
    CHECK_EQ(workshop.builds, 2);
    CHECK_EQ(stats.hits, 4);
    CHECK_EQ(stats.misses, 2);
    CHECK_EQ(stats.builds, 2);
    CHECK_EQ(stats.templates, 2);
    CHECK_EQ(stats.bytes, 2 * BYTES);
    CHECK_EQ(stats.build_times.count, 2);
    CHECK_EQ(workshop.destroyed, 0);
    close_workshop(&workshop);
    CHECK_EQ(workshop.destroyed, 2);
}

TEST(keys_are_bytes_of_any_value)
{
    struct workshop workshop;
    char keys[][3] = {{0, 0, 'a'}, {0, 1, 'b'}, {(char)255, 0, 'c'}}, long_key[256], bytes[BYTES];
    open_workshop(&workshop, plain_config());
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3; i++) {
            CHECK_STATUS(ostler_templates_instantiate(workshop.templates, keys[i], 3, bytes, BYTES, 0, NULL, NULL), OSTLER_OK);
            CHECK_EQ(bytes[0], 'a' + i);
        }
    CHECK_EQ(workshop.builds, 3);
    memset(long_key, 'x', sizeof long_key);
    CHECK_STATUS(ostler_templates_instantiate(workshop.templates, long_key, 255, bytes, BYTES, 0, NULL, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_templates_instantiate(workshop.templates, long_key, 256, bytes, BYTES, 0, NULL, NULL),
                 OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "key_bytes is 256");
    CHECK_STATUS(ostler_templates_instantiate(workshop.templates, long_key, 0, bytes, BYTES, 0, NULL, NULL),
                 OSTLER_E_INVALID_ARGUMENT);
    close_workshop(&workshop);
}

TEST(room_that_is_too_small_is_told)
{
    struct workshop workshop;
    char bytes[BYTES] = "untouched";
    open_workshop(&workshop, plain_config());
    CHECK_STATUS(ostler_templates_instantiate(workshop.templates, "a", 1, bytes, BYTES - 1, 0, NULL, NULL),
                 OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "target_bytes is 63, but must be at least 64");
    CHECK_EQ(bytes[0], 'u');
    CHECK_STATUS(ostler_templates_instantiate(workshop.templates, "a", 1, bytes, BYTES, 0, NULL, NULL), OSTLER_OK);
    CHECK_EQ(workshop.builds, 1);
    close_workshop(&workshop);
}

TEST(instance_in_an_arena_is_aligned_and_stays)
{
    struct workshop workshop;
    ostler_templates_config config = plain_config();
    ostler_arena *arena;
    void *instances[2];
    uint64_t data_bytes;
    config.align_bytes = 4096;
    open_workshop(&workshop, config);
    CHECK_STATUS(ostler_arena_create(NULL, &arena), OSTLER_OK);
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(ostler_templates_instantiate_in(workshop.templates, "ab", 2, arena, OSTLER_FOREVER, NULL,
                                                     &instances[i], &data_bytes),
                     OSTLER_OK);
        CHECK_EQ((uintptr_t)instances[i] % 4096, 0);
        CHECK_EQ(data_bytes, BYTES);
    }
    close_workshop(&workshop);
    CHECK(instances[0] != instances[1]);
    CHECK_EQ(((char *)instances[0])[BYTES - 1], 'b');
    CHECK_EQ(((char *)instances[1])[0], 'b');
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    config.align_bytes = 3;
    ostler_templates_callbacks callbacks = {.struct_size = sizeof callbacks, .build = build};
    CHECK_STATUS(ostler_templates_create(&config, &callbacks, NULL, &workshop.templates), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "align_bytes is 3");
}

TEST(arena_that_is_full_says_so)
{
    struct workshop workshop;
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_BASE};
    ostler_arena_config config;
    ostler_arena *arena;
    void *instance = &config;
    ostler_status status = OSTLER_OK;
    CHECK_STATUS(ostler_arena_config_init(&config, sizeof config), OSTLER_OK);
    config.limit_bytes = config.chunk_bytes = 64 << 10;
    config.source = &source;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_OK);
    open_workshop(&workshop, plain_config());
    for (int i = 0; i < 2000 && status == OSTLER_OK; i++)
        status = ostler_templates_instantiate_in(workshop.templates, "a", 1, arena, 0, NULL, &instance, NULL);
    CHECK_STATUS(status, OSTLER_E_LIMIT);
    CHECK_EQ(instance, NULL);
    close_workshop(&workshop);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
}

/* A clone that adds its own mark, and refuses the letter x. */
static ostler_status clone_marked(void *user_data, const void *data, uint64_t data_bytes, void *target)
{
    struct workshop *workshop = user_data;
    atomic_fetch_add(&workshop->clones, 1);
    if (*(const char *)data == 'x') {
        ostler_callback_set_message("no room for an x");
        return -77;
    }
    EXPECT_STATUS(ostler_templates_destroy(workshop->templates), OSTLER_E_WOULD_DEADLOCK);
    memcpy(target, data, data_bytes);
    *(char *)target = '!';
    return OSTLER_OK;
}

TEST(clone_callback_makes_the_instance)
{
    struct workshop workshop = {0};
    char bytes[BYTES];
    ostler_templates_callbacks callbacks = {
        .struct_size = sizeof callbacks, .build = build, .clone = clone_marked, .destroy = destroy_data};
    CHECK_STATUS(ostler_templates_create(NULL, &callbacks, &workshop, &workshop.templates), OSTLER_OK);
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(ostler_templates_instantiate(workshop.templates, "a", 1, bytes, BYTES, 0, NULL, NULL), OSTLER_OK);
        CHECK_EQ(bytes[0], '!');
        CHECK_EQ(bytes[1], 'a');
    }
    CHECK_EQ(workshop.clones, 2);
    CHECK_STATUS(ostler_templates_instantiate(workshop.templates, "x", 1, bytes, BYTES, 0, NULL, NULL),
                 OSTLER_E_CALLBACK_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "no room for an x (status -77)");
    close_workshop(&workshop);
}

/* A clone that instantiates the key of the next letter, and meanwhile makes its own go. */
static ostler_status clone_nested(void *user_data, const void *data, uint64_t data_bytes, void *target)
{
    struct workshop *workshop = user_data;
    char own = *(const char *)data, next = (char)(own + 1);
    ostler_status status = OSTLER_OK;
    EXPECT_STATUS(ostler_templates_invalidate(workshop->templates, &own, 1), OSTLER_OK);
    if (next <= 'p')
        status = ostler_templates_instantiate(workshop->templates, &next, 1, target, data_bytes, 0, NULL, NULL);
    EXPECT_EQ(*(const char *)data, own);
    EXPECT_EQ(((const char *)data)[data_bytes - 1], own);
    memcpy(target, data, data_bytes);
    return status;
}

TEST(clones_nest_and_what_they_use_lasts)
{
    struct workshop workshop = {0};
    char bytes[BYTES];
    ostler_templates_callbacks callbacks = {
        .struct_size = sizeof callbacks, .build = build, .clone = clone_nested, .destroy = destroy_data};
    CHECK_STATUS(ostler_templates_create(NULL, &callbacks, &workshop, &workshop.templates), OSTLER_OK);
    /* Kept first, so that the clones read them where they are kept. */
    for (char key = 'p'; key >= 'a'; key--) {
        ostler_template reference;
        CHECK_STATUS(ostler_templates_get(workshop.templates, &key, 1, 0, NULL, &reference, NULL, NULL), OSTLER_OK);
        CHECK_STATUS(ostler_templates_release(workshop.templates, reference), OSTLER_OK);
    }
    CHECK_STATUS(ostler_templates_instantiate(workshop.templates, "a", 1, bytes, BYTES, 0, NULL, NULL), OSTLER_OK);
    CHECK_EQ(workshop.builds, 16);
    CHECK_EQ(workshop.destroyed, 16);
    CHECK_EQ(stats_of(workshop.templates).leaving, 0);
    close_workshop(&workshop);
}

TEST(many_ask_and_one_builds)
{
    enum { ASKERS = 8 };
    struct workshop workshop;
    struct asker askers[ASKERS];
    open_workshop(&workshop, plain_config());
    workshop.is_held = 1;
    for (int i = 0; i < ASKERS; i++)
        begin_asking(&askers[i], &workshop, "a", NULL);
    AWAIT(stats_of(workshop.templates).waiting == ASKERS - 1);
    CHECK_EQ(workshop.builds, 1);
    workshop.is_held = 0;
    for (int i = 0; i < ASKERS; i++) {
        end_asking(&askers[i], OSTLER_OK);
        CHECK_EQ(askers[i].first, 'a');
    }
    ostler_templates_stats stats = stats_of(workshop.templates);
    CHECK_EQ(workshop.builds, 1);
    CHECK_EQ(stats.misses, ASKERS);
    /* A time that meets another is left out. */
    CHECK(stats.waits.count >= 1 && stats.waits.count < ASKERS);
    CHECK_EQ(stats.waiting, 0);
    close_workshop(&workshop);
}

TEST(failed_build_is_told_to_all_and_tried_again)
{
    struct workshop workshop;
    struct asker askers[3];
    open_workshop(&workshop, plain_config());
    workshop.is_held = workshop.fails = 1;
    for (int i = 0; i < 3; i++)
        begin_asking(&askers[i], &workshop, "a", NULL);
    AWAIT(stats_of(workshop.templates).waiting == 2);
    workshop.is_held = 0;
    for (int i = 0; i < 3; i++) {
        end_asking(&askers[i], OSTLER_E_BUILD_FAILED);
        CHECK_STR_CONTAINS(askers[i].words, "the plan is lost (status -42)");
    }
    CHECK_EQ(workshop.builds, 1);
    CHECK_EQ(stats_of(workshop.templates).build_failures, 1);
    CHECK_EQ(stats_of(workshop.templates).templates, 0);
    workshop.fails = 0;
    CHECK_STATUS(instantiate(&workshop, "a"), OSTLER_OK);
    CHECK_EQ(workshop.builds, 2);
    close_workshop(&workshop);
}

TEST(builds_of_other_keys_go_on)
{
    struct workshop workshop;
    struct asker asker;
    open_workshop(&workshop, plain_config());
    workshop.held_key = 'a';
    workshop.is_held = 1;
    begin_asking(&asker, &workshop, "a", NULL);
    AWAIT(workshop.building == 1);
    CHECK_STATUS(instantiate(&workshop, "b"), OSTLER_OK);
    CHECK_STATUS(instantiate(&workshop, "b"), OSTLER_OK);
    invalidate(&workshop, "b");
    CHECK_STATUS(instantiate(&workshop, "b"), OSTLER_OK);
    CHECK_EQ(workshop.building, 1);
    workshop.is_held = 0;
    end_asking(&asker, OSTLER_OK);
    close_workshop(&workshop);
}

TEST(wait_for_a_build_ends_with_its_time_or_its_cancel)
{
    struct workshop workshop;
    struct asker builder, waiter;
    ostler_cancel *cancel;
    char bytes[BYTES];
    open_workshop(&workshop, plain_config());
    CHECK_STATUS(ostler_cancel_create(&cancel), OSTLER_OK);
    workshop.is_held = 1;
    begin_asking(&builder, &workshop, "a", NULL);
    AWAIT(workshop.building == 1);
    CHECK_STATUS(ostler_templates_instantiate(workshop.templates, "a", 1, bytes, BYTES, 0, NULL, NULL), OSTLER_E_TIMEOUT);
    CHECK_STATUS(ostler_templates_instantiate(workshop.templates, "a", 1, bytes, BYTES, 1000000, NULL, NULL),
                 OSTLER_E_TIMEOUT);
    begin_asking(&waiter, &workshop, "a", cancel);
    AWAIT(stats_of(workshop.templates).waiting == 1);
    CHECK_STATUS(ostler_cancel_signal(cancel), OSTLER_OK);
    end_asking(&waiter, OSTLER_E_CANCELLED);
    workshop.is_held = 0;
    end_asking(&builder, OSTLER_OK);
    CHECK_EQ(workshop.builds, 1);
    CHECK_STATUS(ostler_cancel_destroy(cancel), OSTLER_OK);
    close_workshop(&workshop);
}

CHECK_MAIN()
