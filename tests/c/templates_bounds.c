/* Templates: which ones go when there are too many. */
#include "workshop.h"

TEST(least_recently_used_goes)
{
    struct workshop workshop;
    ostler_templates_config config = plain_config();
    config.max_templates = 3;
    open_workshop(&workshop, config);
    instantiate(&workshop, "a");
    instantiate(&workshop, "b");
    instantiate(&workshop, "c");
    instantiate(&workshop, "a");
    instantiate(&workshop, "d");
    CHECK(is_kept(&workshop, "a") && !is_kept(&workshop, "b") && is_kept(&workshop, "c"));
    CHECK_EQ(workshop.destroyed, 1);
    instantiate(&workshop, "c");
    instantiate(&workshop, "e");
    CHECK(!is_kept(&workshop, "a") && is_kept(&workshop, "c") && is_kept(&workshop, "d"));
    CHECK_EQ(stats_of(workshop.templates).evicted_for_count, 2);
    CHECK_EQ(stats_of(workshop.templates).evicted_for_bytes, 0);
    CHECK_EQ(stats_of(workshop.templates).templates, 3);
    close_workshop(&workshop);
}

TEST(least_frequently_used_goes)
{
    struct workshop workshop;
    ostler_templates_config config = plain_config();
    config.max_templates = 3;
    config.eviction = OSTLER_EVICT_LEAST_FREQUENTLY_USED;
    open_workshop(&workshop, config);
    for (int i = 0; i < 20; i++)
        instantiate(&workshop, "a");
    for (int i = 0; i < 3; i++)
        instantiate(&workshop, "b");
    instantiate(&workshop, "c");
    instantiate(&workshop, "d");
    CHECK(is_kept(&workshop, "a") && is_kept(&workshop, "b") && !is_kept(&workshop, "c"));
    instantiate(&workshop, "d");
    instantiate(&workshop, "e");
    CHECK(is_kept(&workshop, "a") && is_kept(&workshop, "b") && !is_kept(&workshop, "d"));
    CHECK_EQ(stats_of(workshop.templates).evicted_for_count, 2);
    config.eviction = 2;
    ostler_templates_callbacks callbacks = {.struct_size = sizeof callbacks, .build = build};
    close_workshop(&workshop);
    CHECK_STATUS(ostler_templates_create(&config, &callbacks, NULL, &workshop.templates), OSTLER_E_INVALID_ARGUMENT);
}

TEST(bytes_are_bounded)
{
    struct workshop workshop;
    ostler_templates_config config = plain_config();
    config.max_bytes = 11 * BYTES;
    open_workshop(&workshop, config);
    instantiate(&workshop, "a");
    instantiate(&workshop, "b");
    instantiate(&workshop, "c");
    instantiate(&workshop, "big1");
    CHECK_EQ(stats_of(workshop.templates).evicted_for_bytes, 2);
    CHECK_EQ(stats_of(workshop.templates).bytes, 11 * BYTES);
    CHECK(is_kept(&workshop, "c") && is_kept(&workshop, "big1"));
    instantiate(&workshop, "big2");
    CHECK_EQ(stats_of(workshop.templates).evicted_for_bytes, 4);
    CHECK_EQ(stats_of(workshop.templates).bytes, 10 * BYTES);
    CHECK_EQ(stats_of(workshop.templates).evicted_for_count, 0);
    CHECK_EQ(workshop.destroyed, 4);
    close_workshop(&workshop);
}

TEST(template_above_the_bound_is_used_and_not_kept)
{
    struct workshop workshop;
    ostler_templates_config config = plain_config();
    config.max_bytes = 2 * BYTES;
    open_workshop(&workshop, config);
    instantiate(&workshop, "a");
    CHECK_STATUS(instantiate(&workshop, "big1"), OSTLER_OK);
    CHECK_EQ(workshop.destroyed, 1);
    CHECK(is_kept(&workshop, "a") && !is_kept(&workshop, "big1"));
    CHECK_EQ(stats_of(workshop.templates).unkept, 1);
    close_workshop(&workshop);
}

TEST(evicted_template_lasts_for_its_users)
{
    struct workshop workshop;
    ostler_templates_config config = plain_config();
    config.max_templates = 1;
    open_workshop(&workshop, config);
    ostler_template reference = get(&workshop, "a");
    instantiate(&workshop, "b");
    CHECK(!is_kept(&workshop, "a"));
    CHECK_EQ(workshop.destroyed, 0);
    CHECK_EQ(stats_of(workshop.templates).leaving, 1);
    CHECK_EQ(*(const char *)info_of(&workshop, reference).data, 'a');
    CHECK_STATUS(ostler_templates_release(workshop.templates, reference), OSTLER_OK);
    CHECK_EQ(workshop.destroyed, 1);
    close_workshop(&workshop);
}

CHECK_MAIN()
