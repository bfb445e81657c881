/* Destroys inside the callbacks of other pools, on several threads at once: none waits for one that waits for it. */
#include "check.h"
#include <ostler.h>
#include <stdatomic.h>

enum { MOST = 3 };

/* Each pool's destroy callback destroys the next one, so that together they are a circle. */
struct circle {
    int count;
    ostler_pool *pools[MOST];
    pthread_barrier_t all_inside;
    atomic_int destroyed, refused, ends;
    struct link {
        struct circle *circle;
        int place;
        pthread_t thread;
        int is_done;
    } links[MOST];
};

static ostler_status make_link(void *link, void **resource)
{
    *resource = link;
    return OSTLER_OK;
}

static void destroy_the_next(void *user_data, void *resource)
{
    struct link *link = user_data;
    struct circle *circle = link->circle;
    EXPECT(resource == link);
    atomic_fetch_add(&circle->ends, 1);
    if (link->is_done)
        return;
    link->is_done = 1;
    pthread_barrier_wait(&circle->all_inside);
    ostler_status status = ostler_pool_destroy(circle->pools[(link->place + 1) % circle->count]);
    if (status == OSTLER_E_WOULD_DEADLOCK) {
        EXPECT(strstr(ostler_last_error_message(), "wait for one another") != NULL);
        atomic_fetch_add(&circle->refused, 1);
    } else {
        EXPECT_STATUS(status, OSTLER_OK);
        atomic_fetch_add(&circle->destroyed, 1);
    }
}

static void *trim_one(void *argument)
{
    struct link *link = argument;
    uint32_t trimmed;
    EXPECT_STATUS(ostler_pool_trim(link->circle->pools[link->place], 0, &trimmed), OSTLER_OK);
    EXPECT_EQ(trimmed, 1);
    return NULL;
}

static void check_circle_of(int count)
{
    struct circle circle = {.count = count};
    pthread_barrier_init(&circle.all_inside, NULL, (unsigned)count);
    ostler_pool_callbacks callbacks;
    CHECK_STATUS(ostler_pool_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.create = make_link;
    callbacks.destroy = destroy_the_next;
    for (int i = 0; i < count; i++) {
        ostler_lease lease;
        void *resource;
        circle.links[i] = (struct link){.circle = &circle, .place = i};
        CHECK_STATUS(ostler_pool_create(NULL, &callbacks, &circle.links[i], &circle.pools[i]), OSTLER_OK);
        CHECK_STATUS(ostler_pool_acquire(circle.pools[i], 0, NULL, &lease, &resource), OSTLER_OK);
        CHECK_STATUS(ostler_pool_release(circle.pools[i], lease), OSTLER_OK);
    }
    for (int i = 0; i < count; i++)
        CHECK_EQ(pthread_create(&circle.links[i].thread, NULL, trim_one, &circle.links[i]), 0);
    for (int i = 0; i < count; i++)
        pthread_join(circle.links[i].thread, NULL);
    /* The last that came was refused, and its pool is there still. */
    CHECK_EQ(atomic_load(&circle.refused), 1);
    CHECK_EQ(atomic_load(&circle.destroyed), count - 1);
    CHECK_EQ(atomic_load(&circle.ends), count);
    int left = 0;
    for (int i = 0; i < count; i++)
        left += ostler_pool_destroy(circle.pools[i]) == OSTLER_OK;
    CHECK_EQ(left, 1);
    pthread_barrier_destroy(&circle.all_inside);
}

TEST(two_that_destroy_one_another)
{
    for (int round = 0; round < 50; round++)
        check_circle_of(2);
}

TEST(a_circle_of_three)
{
    for (int round = 0; round < 50; round++)
        check_circle_of(3);
}

/* In a row of destroys on one thread nobody waits for anybody. */
struct chain {
    ostler_pool *next;
    ostler_status status;
};

static ostler_status make_chained(void *chain, void **resource)
{
    *resource = chain;
    return OSTLER_OK;
}

static void destroy_chained(void *user_data, void *resource)
{
    struct chain *chain = user_data;
    EXPECT(resource == chain);
    chain->status = ostler_pool_destroy(chain->next);
}

TEST(a_row_on_one_thread)
{
    struct chain chains[4] = {{0}};
    ostler_pool *pool = NULL;
    ostler_pool_callbacks callbacks;
    CHECK_STATUS(ostler_pool_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.create = make_chained;
    callbacks.destroy = destroy_chained;
    for (int i = 0; i < 4; i++) {
        ostler_lease lease;
        void *resource;
        chains[i] = (struct chain){.next = pool, .status = -1};
        CHECK_STATUS(ostler_pool_create(NULL, &callbacks, &chains[i], &pool), OSTLER_OK);
        CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &lease, &resource), OSTLER_OK);
        CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    }
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    for (int i = 0; i < 4; i++)
        CHECK_STATUS(chains[i].status, OSTLER_OK);
}

CHECK_MAIN()
