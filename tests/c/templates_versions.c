/* Templates: invalidated and built anew. */
#include "workshop.h"

TEST(invalidated_template_is_built_anew_and_the_old_one_lasts_for_its_users)
{
    struct workshop workshop;
    open_workshop(&workshop, plain_config());
    ostler_template old = get(&workshop, "a");
    uint64_t first = version_of(&workshop, "a");
    invalidate(&workshop, "a");
    CHECK_EQ(version_of(&workshop, "a"), 0);
    CHECK_EQ(workshop.destroyed, 0);
    CHECK_EQ(stats_of(workshop.templates).leaving, 1);
    CHECK_EQ(stats_of(workshop.templates).leaving_bytes, BYTES);
    CHECK_STATUS(instantiate(&workshop, "a"), OSTLER_OK);
    CHECK_EQ(workshop.builds, 2);
    CHECK(version_of(&workshop, "a") > first);
    CHECK_EQ(info_of(&workshop, old).version, first);
    CHECK_EQ(((const char *)info_of(&workshop, old).data)[BYTES - 1], 'a');
    CHECK_STATUS(ostler_templates_release(workshop.templates, old), OSTLER_OK);
    CHECK_EQ(workshop.destroyed, 1);
    /* Nobody uses this one. */
    invalidate(&workshop, "a");
    CHECK_EQ(workshop.destroyed, 2);
    invalidate(&workshop, "never there");
    CHECK_EQ(stats_of(workshop.templates).invalidated, 2);
    CHECK_EQ(stats_of(workshop.templates).leaving, 0);
    close_workshop(&workshop);
}

TEST(all_are_invalidated_at_once)
{
    struct workshop workshop;
    char key[16];
    open_workshop(&workshop, plain_config());
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            snprintf(key, sizeof key, "k%d", i);
            CHECK_STATUS(instantiate(&workshop, key), OSTLER_OK);
        }
        CHECK_EQ(workshop.builds, (round + 1) * 100);
        CHECK_STATUS(ostler_templates_invalidate_all(workshop.templates), OSTLER_OK);
        CHECK_EQ(workshop.destroyed, (round + 1) * 100);
        CHECK_EQ(stats_of(workshop.templates).bytes, 0);
    }
    CHECK_EQ(stats_of(workshop.templates).invalidated, 300);
    close_workshop(&workshop);
}

static void build_is_not_kept(void (*invalidate_it)(struct workshop *workshop))
{
    struct workshop workshop;
    struct asker early[2], late;
    open_workshop(&workshop, plain_config());
    workshop.is_held = 1;
    begin_asking(&early[0], &workshop, "a", NULL);
    begin_asking(&early[1], &workshop, "a", NULL);
    AWAIT(stats_of(workshop.templates).waiting == 1);
    invalidate_it(&workshop);
    /* Who comes now does not get the old one: there is a second build. */
    begin_asking(&late, &workshop, "a", NULL);
    AWAIT(workshop.building == 2);
    workshop.is_held = 0;
    for (int i = 0; i < 2; i++)
        end_asking(&early[i], OSTLER_OK);
    end_asking(&late, OSTLER_OK);
    CHECK_EQ(workshop.builds, 2);
    CHECK_EQ(workshop.destroyed, 1);
    CHECK_EQ(version_of(&workshop, "a"), 2);
    CHECK_EQ(stats_of(workshop.templates).unkept, 1);
    CHECK_EQ(stats_of(workshop.templates).invalidated, 0);
    close_workshop(&workshop);
}

static void invalidate_a(struct workshop *workshop)
{
    invalidate(workshop, "a");
}

static void invalidate_everything(struct workshop *workshop)
{
    EXPECT_STATUS(ostler_templates_invalidate_all(workshop->templates), OSTLER_OK);
}

TEST(build_under_way_is_not_kept_when_its_key_is_invalidated) { build_is_not_kept(invalidate_a); }
TEST(build_under_way_is_not_kept_when_all_are_invalidated) { build_is_not_kept(invalidate_everything); }

CHECK_MAIN()
