/* A pool whose resources stay with the node that used them last: who runs there gets them again, and others only when
 * nothing is idle nearer to them. */
#include "nodes.h"

static ostler_status make_number(void *user_data, void **resource)
{
    *resource = (void *)++*(uintptr_t *)user_data;
    return OSTLER_OK;
}

static void forget_number(void *user_data, void *resource)
{
    (void)user_data;
    (void)resource;
}

/* Resource n is the pointer n, counted from 1. */
static ostler_pool *pool_by_node(uintptr_t *made, uint32_t idle_order)
{
    ostler_pool_config config;
    ostler_pool_callbacks callbacks;
    ostler_pool *pool = NULL;
    *made = 0;
    CHECK_STATUS(ostler_pool_config_init(&config, sizeof config), OSTLER_OK);
    CHECK_STATUS(ostler_pool_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    config.max_size = 2 * NODES;
    config.idle_order = idle_order;
    config.affinity = OSTLER_AFFINITY_NODE;
    callbacks.create = make_number;
    callbacks.destroy = forget_number;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, made, &pool), OSTLER_OK);
    return pool;
}

static ostler_lease acquire_from(ostler_pool *pool, uintptr_t *resource)
{
    ostler_lease lease;
    void *leased;
    CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &lease, &leased), OSTLER_OK);
    *resource = (uintptr_t)leased;
    return lease;
}

/* Uses resources 2n + 1 and 2n + 2 on node n, so that these are idle there, the second on top. */
static void use_two_on_each_node(ostler_pool *pool)
{
    ostler_lease leases[2 * NODES];
    uintptr_t resource;
    for (int i = 0; i < 2 * NODES; i++) {
        leases[i] = acquire_from(pool, &resource);
        CHECK_EQ(resource, i + 1);
    }
    for (int i = 0; i < 2 * NODES; i++) {
        run_on_node(i / 2);
        CHECK_STATUS(ostler_pool_release(pool, leases[i]), OSTLER_OK);
    }
}

static void check_hits(ostler_pool *pool, uint64_t hits, uint64_t misses)
{
    ostler_pool_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_pool_get_stats(pool, &stats), OSTLER_OK);
    CHECK_EQ(stats.node_hits, hits);
    CHECK_EQ(stats.node_misses, misses);
}

TEST(thread_gets_what_was_used_last_on_its_node)
{
    uintptr_t made, resource;
    ostler_pool *pool = pool_by_node(&made, OSTLER_IDLE_LAST_USED_FIRST);
    use_two_on_each_node(pool);
    for (int round = 0; round < 3; round++) {
        for (int node = NODES - 1; node >= 0; node--) {
            run_on_node(node);
            ostler_lease lease = acquire_from(pool, &resource);
            CHECK_EQ(resource, 2 * node + 2);
            CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
        }
    }
    check_hits(pool, 3 * NODES, 0);
    CHECK_EQ(made, 2 * NODES);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

/* By the distances of the machine: from node 2 node 3 is the nearest, then 0, then 1. */
TEST(then_what_was_used_nearest_to_it)
{
    static const uintptr_t wanted[2 * NODES] = {6, 5, 8, 7, 2, 1, 4, 3};
    uintptr_t made, resource;
    ostler_lease leases[2 * NODES], none;
    void *nothing;
    ostler_pool *pool = pool_by_node(&made, OSTLER_IDLE_LAST_USED_FIRST);
    use_two_on_each_node(pool);
    run_on_node(2);
    for (int i = 0; i < 2 * NODES; i++) {
        leases[i] = acquire_from(pool, &resource);
        CHECK_EQ(resource, wanted[i]);
    }
    check_hits(pool, 2, 2 * NODES - 2);
    CHECK_STATUS(ostler_pool_try_acquire(pool, &none, &nothing), OSTLER_E_EXHAUSTED);
    CHECK_STATUS(ostler_pool_release_n(pool, leases, 2 * NODES, NULL), OSTLER_OK);
    /* All are of this node now. */
    void *resources[2 * NODES];
    CHECK_STATUS(ostler_pool_acquire_n(pool, 2 * NODES, 0, NULL, leases, resources), OSTLER_OK);
    check_hits(pool, 2 + 2 * NODES, 2 * NODES - 2);
    CHECK_STATUS(ostler_pool_release_n(pool, leases, 2 * NODES, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

TEST(the_longest_idle_of_the_node_comes_first_where_that_is_the_order)
{
    uintptr_t made, resource;
    ostler_pool *pool = pool_by_node(&made, OSTLER_IDLE_LONGEST_FIRST);
    use_two_on_each_node(pool);
    for (int turn = 0; turn < 4; turn++) {
        run_on_node(1);
        ostler_lease lease = acquire_from(pool, &resource);
        CHECK_EQ(resource, 3 + turn % 2);
        CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    }
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

struct waiter {
    ostler_pool *pool;
    int node;
    uintptr_t resource;
    ostler_lease lease;
};

static void *wait_on_a_node(void *argument)
{
    struct waiter *waiter = argument;
    void *resource = NULL;
    run_on_node(waiter->node);
    EXPECT_STATUS(ostler_pool_acquire(waiter->pool, OSTLER_FOREVER, NULL, &waiter->lease, &resource), OSTLER_OK);
    waiter->resource = (uintptr_t)resource;
    return NULL;
}

/* What is handed out when a pause ends is chosen for who waits, wherever the one runs who hands it out. */
TEST(who_waits_gets_one_of_its_own_node)
{
    uintptr_t made;
    pthread_t threads[NODES];
    struct waiter waiters[NODES];
    ostler_pool *pool = pool_by_node(&made, OSTLER_IDLE_LAST_USED_FIRST);
    use_two_on_each_node(pool);
    CHECK_STATUS(ostler_pool_pause(pool), OSTLER_OK);
    for (int node = 0; node < NODES; node++) {
        waiters[node] = (struct waiter){.pool = pool, .node = node};
        CHECK_EQ(pthread_create(&threads[node], NULL, wait_on_a_node, &waiters[node]), 0);
    }
    ostler_pool_stats stats = {.struct_size = sizeof stats};
    do {
        sched_yield();
        CHECK_STATUS(ostler_pool_get_stats(pool, &stats), OSTLER_OK);
    } while (stats.waiting < NODES);
    CHECK_STATUS(ostler_pool_resume(pool), OSTLER_OK);
    for (int node = 0; node < NODES; node++) {
        pthread_join(threads[node], NULL);
        CHECK_EQ(waiters[node].resource, 2 * node + 2);
        CHECK_STATUS(ostler_pool_release(pool, waiters[node].lease), OSTLER_OK);
    }
    check_hits(pool, NODES, 0);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

CHECK_MAIN()
