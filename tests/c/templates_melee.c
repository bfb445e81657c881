/* Templates that are asked for, invalidated and evicted by many threads at once. Each carries a sum over itself, which is
 * wiped out when it is destroyed; so whoever gets one that is gone, or half of another, sees it. */
#include "fixtures.h"
#include <stdatomic.h>

enum { WORDS = 32, ROUNDS = 10000, KEYS = 12, THREADS = 4 };

struct page {
    uint64_t sum, version, words[WORDS];
};

static atomic_ullong latest[KEYS]; /* goes on before each invalidation; a build writes it down */
static atomic_int pages;

static ostler_status build_page(void *user_data, const void *key, uint64_t key_bytes, void **data, uint64_t *data_bytes,
                                uint64_t *charge_bytes)
{
    struct page *page = malloc(sizeof *page);
    int number = *(const unsigned char *)key;
    (void)user_data, (void)key_bytes, (void)charge_bytes;
    page->version = latest[number];
    page->sum = page->version;
    for (int i = 0; i < WORDS; i++)
        page->sum += page->words[i] = (uint64_t)(number * 1000 + i);
    atomic_fetch_add(&pages, 1);
    *data = page;
    *data_bytes = sizeof *page;
    return OSTLER_OK;
}

static void destroy_page(void *user_data, void *data, uint64_t data_bytes)
{
    (void)user_data;
    memset(data, 0xee, data_bytes);
    free(data);
    atomic_fetch_sub(&pages, 1);
}

static void check_page(const struct page *page, int number, uint64_t at_least)
{
    uint64_t sum = page->version;
    for (int i = 0; i < WORDS; i++)
        sum += page->words[i];
    EXPECT_EQ(page->words[0], number * 1000);
    EXPECT_EQ(sum, page->sum);
    EXPECT(page->version >= at_least);
}

struct hand {
    ostler_templates *templates;
    unsigned seed;
    ostler_arena *arena;
};

static void *use_and_invalidate(void *argument)
{
    struct hand *hand = argument;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned char key = (unsigned char)(rand_r(&hand->seed) % KEYS);
        struct page page;
        ostler_template reference;
        const void *data;
        void *instance;
        uint64_t at_least = 0;
        switch (rand_r(&hand->seed) % 8) {
        case 0:
            /* Nothing that was built before may come. */
            at_least = atomic_fetch_add(&latest[key], 1) + 1;
            EXPECT_STATUS(ostler_templates_invalidate(hand->templates, &key, 1), OSTLER_OK);
            break;
        case 1:
            if (i % 50 == 0)
                EXPECT_STATUS(ostler_templates_invalidate_all(hand->templates), OSTLER_OK);
            break;
        case 2:
        case 3:
            EXPECT_STATUS(ostler_templates_get(hand->templates, &key, 1, OSTLER_FOREVER, NULL, &reference, &data, NULL),
                          OSTLER_OK);
            sched_yield();
            check_page(data, key, 0);
            EXPECT_STATUS(ostler_templates_release(hand->templates, reference), OSTLER_OK);
            break;
        case 4:
            EXPECT_STATUS(ostler_templates_instantiate_in(hand->templates, &key, 1, hand->arena, OSTLER_FOREVER, NULL,
                                                          &instance, NULL),
                          OSTLER_OK);
            check_page(instance, key, 0);
            break;
        default:
            break;
        }
        EXPECT_STATUS(ostler_templates_instantiate(hand->templates, &key, 1, &page, sizeof page, OSTLER_FOREVER, NULL, NULL),
                      OSTLER_OK);
        check_page(&page, key, at_least);
    }
    return NULL;
}

static void work_together(uint32_t eviction, uint32_t max_templates, uint64_t max_bytes)
{
    ostler_templates_config config = {.struct_size = sizeof config};
    ostler_templates_callbacks callbacks = {
        .struct_size = sizeof callbacks, .build = build_page, .destroy = destroy_page};
    ostler_templates *templates;
    ostler_arena *arena;
    struct hand hands[THREADS];
    pthread_t threads[THREADS];
    config.eviction = eviction;
    config.max_templates = max_templates;
    config.max_bytes = max_bytes;
    for (int i = 0; i < KEYS; i++)
        latest[i] = 0;
    CHECK_STATUS(ostler_templates_create(&config, &callbacks, NULL, &templates), OSTLER_OK);
    CHECK_STATUS(ostler_arena_create(NULL, &arena), OSTLER_OK);
    for (unsigned i = 0; i < THREADS; i++) {
        hands[i] = (struct hand){templates, i + 1, arena};
        pthread_create(&threads[i], NULL, use_and_invalidate, &hands[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ostler_templates_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_templates_get_stats(templates, &stats), OSTLER_OK);
    CHECK_EQ(stats.in_use, 0);
    CHECK_EQ(stats.leaving, 0);
    CHECK_EQ((uint64_t)pages, stats.templates);
    CHECK_EQ(stats.bytes, stats.templates * sizeof(struct page));
    CHECK(stats.templates <= max_templates);
    CHECK_EQ(stats.builds, stats.templates + stats.evicted_for_count + stats.evicted_for_bytes + stats.invalidated +
                               stats.unkept);
    CHECK_STATUS(ostler_templates_destroy(templates), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_EQ(pages, 0);
}

TEST(nobody_sees_a_template_that_is_gone_by_recency) { work_together(OSTLER_EVICT_LEAST_RECENTLY_USED, 5, 0); }
TEST(nobody_sees_a_template_that_is_gone_by_frequency) { work_together(OSTLER_EVICT_LEAST_FREQUENTLY_USED, 5, 0); }
TEST(nobody_sees_a_template_that_is_gone_by_bytes)
{
    work_together(OSTLER_EVICT_LEAST_RECENTLY_USED, KEYS, 6 * sizeof(struct page));
}
TEST(nobody_sees_a_template_that_is_gone_by_invalidation) { work_together(OSTLER_EVICT_LEAST_RECENTLY_USED, KEYS, 0); }

CHECK_MAIN()
