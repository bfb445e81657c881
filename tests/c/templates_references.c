/* Templates: references to them, and what becomes of those who have one. */
#include "workshop.h"

TEST(reference_is_good_until_it_is_released_and_only_once)
{
    struct workshop workshop, other;
    ostler_template_info info = {.struct_size = sizeof info};
    open_workshop(&workshop, plain_config());
    open_workshop(&other, plain_config());
    ostler_template one = get(&workshop, "a"), two = get(&workshop, "a"), others = get(&other, "a");
    CHECK(one.value != two.value);
    CHECK_EQ(stats_of(workshop.templates).in_use, 2);
    CHECK_EQ(workshop.builds, 1);
    CHECK_STATUS(ostler_templates_release(workshop.templates, one), OSTLER_OK);
    CHECK_STATUS(ostler_templates_release(workshop.templates, one), OSTLER_E_STALE_TEMPLATE);
    CHECK_STATUS(ostler_templates_get_info(workshop.templates, one, &info), OSTLER_E_STALE_TEMPLATE);
    CHECK_STATUS(ostler_templates_release(workshop.templates, others), OSTLER_E_STALE_TEMPLATE);
    for (int i = 0; i < 100; i++) {
        ostler_template again = get(&workshop, "a");
        CHECK(again.value != one.value);
        CHECK_STATUS(ostler_templates_release(workshop.templates, one), OSTLER_E_STALE_TEMPLATE);
        CHECK_STATUS(ostler_templates_release(workshop.templates, again), OSTLER_OK);
    }
    info = info_of(&workshop, two);
    CHECK_EQ(info.data_bytes, BYTES);
    CHECK_EQ(*(const char *)info.data, 'a');
    CHECK_EQ(info.version, version_of(&workshop, "a"));
    CHECK_STATUS(ostler_templates_release(workshop.templates, two), OSTLER_OK);
    CHECK_STATUS(ostler_templates_release(other.templates, others), OSTLER_OK);
    close_workshop(&workshop);
    close_workshop(&other);
}

TEST(references_are_bounded)
{
    struct workshop workshop;
    ostler_templates_config config = plain_config();
    ostler_template more;
    config.max_references = 2;
    open_workshop(&workshop, config);
    ostler_template one = get(&workshop, "a"), two = get(&workshop, "b");
    CHECK_STATUS(ostler_templates_get(workshop.templates, "c", 1, 0, NULL, &more, NULL, NULL), OSTLER_E_EXHAUSTED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "max_references");
    CHECK_EQ(more.value, 0);
    CHECK_EQ(workshop.builds, 2);
    CHECK_STATUS(instantiate(&workshop, "c"), OSTLER_OK);
    CHECK_STATUS(ostler_templates_release(workshop.templates, one), OSTLER_OK);
    one = get(&workshop, "c");
    /* A failure leaves its reference free. */
    CHECK_STATUS(ostler_templates_release(workshop.templates, one), OSTLER_OK);
    workshop.fails = 1;
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(ostler_templates_get(workshop.templates, "d", 1, 0, NULL, &more, NULL, NULL), OSTLER_E_BUILD_FAILED);
    CHECK_STATUS(ostler_templates_release(workshop.templates, two), OSTLER_OK);
    CHECK_EQ(stats_of(workshop.templates).in_use, 0);
    close_workshop(&workshop);
}

static void *destroy_on_a_thread(void *templates)
{
    EXPECT_STATUS(ostler_templates_destroy(templates), OSTLER_OK);
    return NULL;
}

TEST(destroy_ends_waits_and_waits_for_builds)
{
    struct workshop workshop;
    struct asker builder, waiter;
    pthread_t closer;
    open_workshop(&workshop, plain_config());
    instantiate(&workshop, "b");
    workshop.is_held = 1;
    begin_asking(&builder, &workshop, "a", NULL);
    AWAIT(workshop.building == 1);
    begin_asking(&waiter, &workshop, "a", NULL);
    AWAIT(stats_of(workshop.templates).waiting == 1);
    pthread_create(&closer, NULL, destroy_on_a_thread, workshop.templates);
    end_asking(&waiter, OSTLER_E_CLOSED);
    CHECK_STATUS(instantiate(&workshop, "b"), OSTLER_E_CLOSED);
    CHECK_EQ(workshop.building, 1);
    workshop.is_held = 0;
    end_asking(&builder, OSTLER_E_CLOSED);
    pthread_join(closer, NULL);
    CHECK_EQ(workshop.built, 2);
    CHECK_EQ(workshop.destroyed, 2);
    CHECK_STATUS(instantiate(&workshop, "b"), OSTLER_E_INVALID_HANDLE);
}

TEST(references_outlive_the_cache)
{
    struct workshop workshop;
    ostler_template_info info = {.struct_size = sizeof info};
    open_workshop(&workshop, plain_config());
    ostler_template a = get(&workshop, "a"), b = get(&workshop, "b");
    instantiate(&workshop, "c");
    CHECK_STATUS(ostler_templates_destroy(workshop.templates), OSTLER_OK);
    CHECK_EQ(workshop.destroyed, 1);
    CHECK_STATUS(ostler_templates_get_info(workshop.templates, a, &info), OSTLER_OK);
    CHECK_EQ(*(const char *)info.data, 'a');
    CHECK_STATUS(ostler_templates_release(workshop.templates, a), OSTLER_OK);
    CHECK_STATUS(ostler_templates_release(workshop.templates, a), OSTLER_E_STALE_TEMPLATE);
    CHECK_EQ(workshop.destroyed, 2);
    CHECK_STATUS(ostler_templates_release(workshop.templates, b), OSTLER_OK);
    CHECK_EQ(workshop.destroyed, 3);
    CHECK_STATUS(ostler_templates_release(workshop.templates, b), OSTLER_E_INVALID_HANDLE);
}

CHECK_MAIN()
