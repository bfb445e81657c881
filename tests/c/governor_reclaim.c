/* Giving back: what costs least goes first, what was really freed is told, and by itself only while memory is short. */
#include "arenas.h"
#include "governed.h"
#include <stdatomic.h>
#include <stdbool.h>

/* An arena with so many bytes that it keeps for later. */
static ostler_arena *arena_that_keeps(const char *name, uint64_t bytes)
{
    ostler_arena *arena = named_arena(name, MIB);
    for (uint64_t taken = 0; taken < bytes; taken += MIB)
        memset(take(arena, MIB, 0), 1, MIB);
    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    return arena;
}

/* The host's own cache: what it holds it reserved, and can free. */
struct cache {
    ostler_account *account;
    atomic_uint_fast64_t held, asked, calls;
    ostler_status status, destroyed_inside, reclaimed_inside;
    bool lies, waits;
    atomic_bool entered, leave, gone;
};

static ostler_status free_some(void *user_data, uint64_t bytes, uint64_t *freed)
{
    struct cache *cache = user_data;
    EXPECT(!atomic_load(&cache->gone));
    EXPECT_EQ(*freed, 0);
    atomic_fetch_add(&cache->calls, 1);
    atomic_fetch_add(&cache->asked, bytes);
    atomic_store(&cache->entered, true);
    while (cache->waits && !atomic_load(&cache->leave))
        sched_yield();
    cache->destroyed_inside = ostler_account_destroy(cache->account);
    cache->reclaimed_inside = ostler_governor_reclaim(1, OSTLER_RECLAIM_WORKER, NULL, 0, NULL, NULL);
    if (cache->status != OSTLER_OK) {
        ostler_callback_set_message("the cache is busy");
        return cache->status;
    }
    uint64_t gives = bytes < atomic_load(&cache->held) ? bytes : atomic_load(&cache->held);
    EXPECT_STATUS(ostler_account_release(cache->account, gives), OSTLER_OK);
    atomic_fetch_sub(&cache->held, gives);
    *freed = cache->lies ? 2 * gives : gives;
    return OSTLER_OK;
}

static void open_cache(struct cache *cache, const char *name, uint32_t kind, uint64_t bytes)
{
    ostler_account_config config;
    CHECK_STATUS(ostler_account_config_init(&config, sizeof config), OSTLER_OK);
    config.reclaim = free_some;
    config.user_data = cache;
    config.reclaim_kind = kind;
    snprintf(config.name, sizeof config.name, "%s", name);
    CHECK_STATUS(ostler_account_create(&config, &cache->account), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(cache->account, bytes, 0), OSTLER_OK);
    atomic_store(&cache->held, bytes);
}

static uint64_t suggestions(ostler_suggestion *list, uint64_t capacity)
{
    uint64_t count = 0;
    CHECK_STATUS(ostler_governor_suggest(list, capacity, &count), OSTLER_OK);
    return count;
}

TEST(suggestions_are_in_order_of_cost_and_act_on_nothing)
{
    struct cache old = {0}, young = {0}, dear = {0};
    ostler_suggestion list[16];
    uint64_t before = suggestions(NULL, 0);
    open_cache(&dear, "dear", OSTLER_RECLAIM_WORKER, MIB);
    open_cache(&old, "old", OSTLER_RECLAIM_LAZY, 2 * MIB);
    open_cache(&young, "young", OSTLER_RECLAIM_LAZY, 3 * MIB);
    ostler_arena *arena = arena_that_keeps("keeps", 4 * MIB);
    CHECK_EQ(suggestions(list, 16), before + 4);
    CHECK_STR_EQ(list[before].name, "keeps");
    CHECK_EQ(list[before].kind, OSTLER_RECLAIM_EMPTY);
    CHECK_EQ(list[before].holder, OSTLER_HOLDER_ARENA);
    CHECK(list[before].bytes >= 4 * MIB && list[before].bytes <= arena_stats(arena).mapped_bytes);
    CHECK_STR_EQ(list[before + 1].name, "old");
    CHECK_EQ(list[before + 1].bytes, 2 * MIB);
    CHECK(list[before + 1].idle_ns >= list[before + 2].idle_ns);
    CHECK_STR_EQ(list[before + 2].name, "young");
    CHECK_STR_EQ(list[before + 3].name, "dear");
    /* What is used goes later. */
    CHECK_STATUS(ostler_account_touch(old.account), OSTLER_OK);
    suggestions(list, 16);
    CHECK_STR_EQ(list[before + 1].name, "young");
    CHECK_EQ(atomic_load(&old.calls) + atomic_load(&young.calls) + atomic_load(&dear.calls), 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(old.account), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(young.account), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(dear.account), OSTLER_OK);
    CHECK_EQ(suggestions(list, 16), before);
}

TEST(reclaim_tells_what_each_really_freed)
{
    struct cache honest = {0}, liar = {.lies = true};
    ostler_reclaimed list[8];
    uint64_t count = 0, freed = 0;
    ostler_arena *arena = arena_that_keeps("gives", 8 * MIB);
    open_cache(&liar, "liar", OSTLER_RECLAIM_LAZY, 2 * MIB);
    open_cache(&honest, "honest", OSTLER_RECLAIM_POOL, 2 * MIB);
    ostler_governor_stats before = governor_stats();
    uint64_t mapped = arena_stats(arena).mapped_bytes;
    CHECK_STATUS(ostler_governor_reclaim(4 * MIB, OSTLER_RECLAIM_EMPTY, list, 8, &count, &freed), OSTLER_OK);
    CHECK_EQ(count, 1);
    CHECK_STR_EQ(list[0].from.name, "gives");
    CHECK_EQ(list[0].asked_bytes, 4 * MIB);
    CHECK_EQ(list[0].freed_bytes, mapped - arena_stats(arena).mapped_bytes);
    CHECK_EQ(list[0].freed_bytes, before.held_bytes - governor_stats().held_bytes);
    CHECK_EQ(list[0].claimed_bytes, list[0].freed_bytes);
    CHECK(freed >= 4 * MIB);
#ifndef CHECK_SANITIZED
    CHECK(list[0].resident_bytes >= 3 * MIB);
#endif
    CHECK_EQ(governor_stats().reclaimed_bytes, before.reclaimed_bytes + freed);

    CHECK_STATUS(ostler_governor_reclaim(UINT64_MAX, OSTLER_RECLAIM_WORKER, list, 8, &count, &freed), OSTLER_OK);
    CHECK_EQ(count, 3);
    CHECK_STR_EQ(list[1].from.name, "liar");
    CHECK_EQ(list[1].claimed_bytes, 4 * MIB);
    CHECK_EQ(list[1].freed_bytes, 2 * MIB);
    CHECK_EQ(list[2].claimed_bytes, list[2].freed_bytes);
    CHECK_STATUS(honest.destroyed_inside, OSTLER_E_WOULD_DEADLOCK);
    CHECK_STATUS(honest.reclaimed_inside, OSTLER_E_BUSY);
    CHECK_STATUS(ostler_governor_reclaim(1, 5, NULL, 0, NULL, NULL), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "up_to_kind is 5");
    CHECK_STATUS(ostler_governor_reclaim(UINT64_MAX, OSTLER_RECLAIM_WORKER, NULL, 0, &count, &freed), OSTLER_OK);
    CHECK_EQ(count + freed, 0);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(liar.account), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(honest.account), OSTLER_OK);
}

/* Returns when the governor's thread asks nobody, and will not: an account that is being destroyed takes no release. */
static void ask_no_more(ostler_governor_config config)
{
    config.suggest_only = 1;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    uint64_t ticks = governor_stats().ticks;
    while (governor_stats().ticks < ticks + 2)
        sched_yield();
}

TEST(while_the_level_is_high_memory_is_asked_back_unless_only_suggested)
{
    struct cache cache = {0};
    ostler_governor_config config = quick_config();
    ostler_account *user = open_account("user", NULL, 0);
    ostler_arena *arena = arena_that_keeps("spare", 16 * MIB);
    open_cache(&cache, "cache", OSTLER_RECLAIM_LAZY, 40 * MIB);
    uint64_t held = governor_stats().held_bytes;
    config.limit_bytes = held + 30 * MIB;
    config.suggest_only = 1;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    CHECK_STATUS(ostler_account_reserve(user, 20 * MIB, 0), OSTLER_OK);
    uint64_t ticks = governor_stats().ticks;
    while (governor_stats().ticks < ticks + 5)
        sched_yield();
    CHECK_EQ(governor_stats().level, OSTLER_LEVEL_HIGH);
    CHECK(governor_stats().excess_bytes > 0);
    CHECK_EQ(governor_stats().held_bytes, held + 20 * MIB);
    CHECK_EQ(atomic_load(&cache.calls), 0);

    /* The arena's spare chunks cost nothing and suffice: the cache stays whole. */
    config.suggest_only = 0;
    CHECK_STATUS(ostler_governor_configure(&config), OSTLER_OK);
    await_level(OSTLER_LEVEL_NORMAL);
    CHECK(arena_stats(arena).mapped_bytes <= 8 * MIB);
    CHECK_EQ(atomic_load(&cache.calls), 0);

    /* What was refused is made room for. */
    ostler_status status;
    while ((status = ostler_account_reserve(user, 45 * MIB, 0)) == OSTLER_E_MEMORY_PRESSURE)
        sched_yield();
    CHECK_STATUS(status, OSTLER_OK);
    CHECK(atomic_load(&cache.calls) > 0);
    CHECK(atomic_load(&cache.held) < 40 * MIB);
    ask_no_more(config);
    CHECK_STATUS(ostler_account_destroy(user), OSTLER_OK);
    CHECK_STATUS(ostler_account_destroy(cache.account), OSTLER_OK);
    CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
    govern_no_more();
}

static void *reclaim_all(void *argument)
{
    uint64_t freed = 0;
    (void)argument;
    EXPECT_STATUS(ostler_governor_reclaim(UINT64_MAX, OSTLER_RECLAIM_WORKER, NULL, 0, NULL, &freed), OSTLER_OK);
    return NULL;
}

static void *destroy_cache(void *argument)
{
    struct cache *cache = argument;
    EXPECT_STATUS(ostler_account_destroy(cache->account), OSTLER_OK);
    atomic_store(&cache->gone, true);
    return NULL;
}

TEST(destroy_of_an_account_waits_for_its_reclaim_and_ends_it)
{
    struct cache cache = {.waits = true};
    pthread_t reclaimer, destroyer;
    uint64_t before = governor_stats().held_bytes;
    open_cache(&cache, "slow", OSTLER_RECLAIM_LAZY, MIB);
    CHECK(pthread_create(&reclaimer, NULL, reclaim_all, NULL) == 0);
    while (!atomic_load(&cache.entered))
        sched_yield();
    CHECK_STATUS(ostler_governor_reclaim(1, OSTLER_RECLAIM_WORKER, NULL, 0, NULL, NULL), OSTLER_E_BUSY);
    CHECK(pthread_create(&destroyer, NULL, destroy_cache, &cache) == 0);
    for (int i = 0; i < 100; i++)
        sched_yield();
    CHECK(!atomic_load(&cache.gone));
    /* Closing by then or not, what it holds is given back once. */
    cache.status = -1;
    atomic_store(&cache.leave, true);
    pthread_join(reclaimer, NULL);
    pthread_join(destroyer, NULL);
    CHECK_EQ(governor_stats().held_bytes, before);
    reclaim_all(NULL);
    CHECK_EQ(atomic_load(&cache.calls), 1);
}

static void note_line(void *user_data, uint32_t level, const char *message)
{
    char *line = user_data;
    if (level == OSTLER_LOG_WARN && strstr(message, "account"))
        snprintf(line, 512, "%s", message);
}

TEST(failure_to_reclaim_is_told_to_the_log_in_its_own_words)
{
    struct cache cache = {.status = OSTLER_E_BUSY};
    char line[512] = "";
    open_cache(&cache, "stubborn", OSTLER_RECLAIM_EMPTY, MIB);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_WARN, note_line, line), OSTLER_OK);
    reclaim_all(NULL);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_WARN, NULL, NULL), OSTLER_OK);
    CHECK_STR_EQ(line, "account \"stubborn\": the cache is busy (OSTLER_E_BUSY)");
    CHECK_EQ(account_stats(cache.account).held_bytes, MIB);
    CHECK_STATUS(ostler_account_destroy(cache.account), OSTLER_OK);
}

CHECK_MAIN()
