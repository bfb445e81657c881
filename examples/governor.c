/* A cache that stays within what the process may hold, and gives way when memory runs short. Build it with
 *
 *     cc governor.c $(pkg-config --cflags --libs ostler) -o governor
 */
#include <ostler.h>
#include <stdio.h>
#include <stdlib.h>

#define MIB ((uint64_t)1 << 20)

static void check(ostler_status status)
{
    if (status != OSTLER_OK) {
        fprintf(stderr, "%s: %s\n", ostler_status_name(status), ostler_last_error_message());
        exit(1);
    }
}

/* The cache has entries of 1 MiB, and can always do with fewer. */
struct cache {
    ostler_account *account;
    void *entries[64];
    int count;
};

/* Asks before it takes. A refusal says who holds how much. */
static int add_entry(struct cache *cache)
{
    if (ostler_account_reserve(cache->account, MIB, 0) != OSTLER_OK) {
        printf("refused: %s\n", ostler_last_error_message());
        return 0;
    }
    cache->entries[cache->count++] = malloc(MIB);
    return 1;
}

/* Called when memory runs short, here by ostler_governor_reclaim, else on the governor's thread: a cache that several
 * threads use takes its lock here. */
static ostler_status give_way(void *user_data, uint64_t bytes, uint64_t *freed)
{
    struct cache *cache = user_data;
    while (cache->count > 0 && *freed < bytes) {
        free(cache->entries[--cache->count]);
        check(ostler_account_release(cache->account, MIB));
        *freed += MIB;
    }
    return OSTLER_OK;
}

int main(void)
{
    struct cache cache = {0};
    ostler_governor_config config;
    ostler_account_config account;
    uint64_t freed;

    /* Up to 32 MiB, however much the kernel would allow. Memory is asked back below, not by the thread. */
    check(ostler_governor_config_init(&config, sizeof config));
    config.limit_bytes = 32 * MIB;
    config.critical_percent = 100;
    config.suggest_only = 1;
    check(ostler_governor_configure(&config));

    check(ostler_account_config_init(&account, sizeof account));
    snprintf(account.name, sizeof account.name, "cache");
    account.reclaim = give_way;
    account.reclaim_kind = OSTLER_RECLAIM_LAZY;
    account.user_data = &cache;
    check(ostler_account_create(&account, &cache.account));

    while (add_entry(&cache))
        ;
    printf("%d entries fit\n", cache.count);

    check(ostler_governor_reclaim(8 * MIB, OSTLER_RECLAIM_LAZY, NULL, 0, NULL, &freed));
    printf("%d MiB came back, and %d entries are left\n", (int)(freed / MIB), cache.count);
    check(ostler_governor_reclaim(UINT64_MAX, OSTLER_RECLAIM_LAZY, NULL, 0, NULL, &freed));
    check(ostler_account_destroy(cache.account));
    check(ostler_shutdown(OSTLER_FOREVER, NULL));
    return 0;
}
