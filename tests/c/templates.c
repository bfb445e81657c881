/* Templates: built once, copied or read without a lock, invalidated and evicted under their users. */
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

static ostler_status build(void *user_data, const void *key, uint64_t key_bytes, void **data, uint64_t *data_bytes,
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

static void destroy_data(void *user_data, void *data, uint64_t data_bytes)
{
    struct workshop *workshop = user_data;
    memset(data, 0, data_bytes);
    free(data);
    atomic_fetch_add(&workshop->destroyed, 1);
}

static ostler_templates_config plain_config(void)
{
    ostler_templates_config config;
    CHECK_STATUS(ostler_templates_config_init(&config, sizeof config), OSTLER_OK);
    return config;
}

static void open_workshop(struct workshop *workshop, ostler_templates_config config)
{
    ostler_templates_callbacks callbacks;
    CHECK_STATUS(ostler_templates_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.build = build;
    callbacks.destroy = destroy_data;
    memset(workshop, 0, sizeof *workshop);
    CHECK_STATUS(ostler_templates_create(&config, &callbacks, workshop, &workshop->templates), OSTLER_OK);
}

static void close_workshop(struct workshop *workshop)
{
    CHECK_STATUS(ostler_templates_destroy(workshop->templates), OSTLER_OK);
    CHECK_EQ(workshop->built, workshop->destroyed);
}

static ostler_templates_stats stats_of(ostler_templates *templates)
{
    ostler_templates_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_templates_get_stats(templates, &stats), OSTLER_OK);
    return stats;
}

static ostler_status instantiate(struct workshop *workshop, const char *key)
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

static ostler_template get(struct workshop *workshop, const char *key)
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

static uint64_t version_of(struct workshop *workshop, const char *key)
{
    uint64_t version = 77;
    EXPECT_STATUS(ostler_templates_get_version(workshop->templates, key, strlen(key), &version), OSTLER_OK);
    return version;
}

static ostler_template_info info_of(struct workshop *workshop, ostler_template reference)
{
    ostler_template_info info = {.struct_size = sizeof info};
    EXPECT_STATUS(ostler_templates_get_info(workshop->templates, reference, &info), OSTLER_OK);
    return info;
}

static void invalidate(struct workshop *workshop, const char *key)
{
    EXPECT_STATUS(ostler_templates_invalidate(workshop->templates, key, strlen(key)), OSTLER_OK);
}

/* Whether it is there, which is found out without a build. */
static bool is_kept(struct workshop *workshop, const char *key)
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

static void *ask_on_a_thread(void *argument)
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

static void begin_asking(struct asker *asker, struct workshop *workshop, const char *key, ostler_cancel *cancel)
{
    *asker = (struct asker){.workshop = workshop, .key = key, .timeout_ns = OSTLER_FOREVER, .cancel = cancel};
    pthread_create(&asker->thread, NULL, ask_on_a_thread, asker);
}

static void end_asking(struct asker *asker, ostler_status wanted)
{
    pthread_join(asker->thread, NULL);
    EXPECT_STATUS(asker->status, wanted);
}

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
