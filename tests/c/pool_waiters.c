/* Waiting for a resource: in the order of arrival, and no wait is forgotten. */
#include "fixtures.h"
#include <stdatomic.h>

#define WAITERS 8

struct queue {
    ostler_pool *pool;
    ostler_cancel *cancel;
    struct tally served; /* in the order in which `order` is filled */
    struct tally may_release;
    int order[WAITERS];
};

struct waiter {
    struct queue *queue;
    int number;
    ostler_status status;
    pthread_t thread;
};

static void *wait_in_line(void *argument)
{
    struct waiter *waiter = argument;
    struct queue *queue = waiter->queue;
    ostler_lease lease;
    void *resource;
    waiter->status = ostler_pool_acquire(queue->pool, OSTLER_FOREVER, queue->cancel, &lease, &resource);
    if (waiter->status != OSTLER_OK)
        return NULL;
    /* The pool has one resource, so nobody else is here. */
    queue->order[tally_read(&queue->served)] = waiter->number;
    long turn = tally_add(&queue->served, 1);
    tally_await(&queue->may_release, turn);
    EXPECT_STATUS(ostler_pool_release(queue->pool, lease), OSTLER_OK);
    return NULL;
}

static void begin_queue(struct queue *queue, ostler_pool_callbacks callbacks)
{
    *queue = (struct queue){.served = TALLY_INIT, .may_release = TALLY_INIT};
    queue->pool = make_pool(1, callbacks, queue);
}

/* Each one waits inside the pool before the next comes. */
static void line_up(struct queue *queue, struct waiter *waiters, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t before = pool_stats(queue->pool).waiting;
        waiters[i] = (struct waiter){.queue = queue, .number = i};
        pthread_create(&waiters[i].thread, NULL, wait_in_line, &waiters[i]);
        AWAIT(pool_stats(queue->pool).waiting == before + 1);
    }
}

TEST(waiters_are_served_in_the_order_of_their_coming)
{
    struct queue queue;
    struct waiter waiters[WAITERS];
    ostler_lease more;
    void *resource;
    begin_queue(&queue, plain_pool_callbacks());
    ostler_lease lease = acquire_now(queue.pool);
    line_up(&queue, waiters, WAITERS);
    CHECK_EQ(pool_stats(queue.pool).peak_waiting, WAITERS);
    CHECK_STATUS(ostler_pool_release(queue.pool, lease), OSTLER_OK);
    /* Who comes later does not get ahead, whether it waits or not. */
    CHECK_STATUS(ostler_pool_try_acquire(queue.pool, &more, &resource), OSTLER_E_EXHAUSTED);
    CHECK_STATUS(ostler_pool_acquire(queue.pool, 0, NULL, &more, &resource), OSTLER_E_TIMEOUT);
    tally_add(&queue.may_release, WAITERS);
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(waiters[i].thread, NULL);
        CHECK_STATUS(waiters[i].status, OSTLER_OK);
    }
    for (int i = 0; i < WAITERS; i++)
        CHECK_EQ(queue.order[i], i);
    CHECK_EQ(pool_stats(queue.pool).waiting, 0);
    CHECK_STATUS(ostler_pool_destroy(queue.pool), OSTLER_OK);
}

TEST(waiter_that_gives_up_takes_no_turn)
{
    struct queue queue;
    struct waiter waiters[2];
    ostler_lease more;
    void *resource;
    begin_queue(&queue, plain_pool_callbacks());
    ostler_lease lease = acquire_now(queue.pool);
    line_up(&queue, waiters, 2);
    for (int i = 0; i < 20; i++)
        CHECK_STATUS(ostler_pool_acquire(queue.pool, 1000, NULL, &more, &resource), OSTLER_E_TIMEOUT);
    CHECK_EQ(pool_stats(queue.pool).waiting, 2);
    CHECK_EQ(pool_stats(queue.pool).timeouts, 20);
    tally_add(&queue.may_release, 2);
    CHECK_STATUS(ostler_pool_release(queue.pool, lease), OSTLER_OK);
    for (int i = 0; i < 2; i++)
        pthread_join(waiters[i].thread, NULL);
    CHECK_EQ(queue.order[0], 0);
    CHECK_EQ(queue.order[1], 1);
    CHECK_STATUS(ostler_pool_release(queue.pool, acquire_now(queue.pool)), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(queue.pool), OSTLER_OK);
}

TEST(cancel_ends_its_own_waiters_only)
{
    struct queue queue;
    struct waiter cancelled[3], patient;
    begin_queue(&queue, plain_pool_callbacks());
    CHECK_STATUS(ostler_cancel_create(&queue.cancel), OSTLER_OK);
    ostler_lease lease = acquire_now(queue.pool);
    line_up(&queue, cancelled, 3);
    struct queue other = {.pool = queue.pool, .served = TALLY_INIT, .may_release = TALLY_INIT};
    line_up(&other, &patient, 1);
    CHECK_STATUS(ostler_cancel_signal(queue.cancel), OSTLER_OK);
    for (int i = 0; i < 3; i++) {
        pthread_join(cancelled[i].thread, NULL);
        CHECK_STATUS(cancelled[i].status, OSTLER_E_CANCELLED);
    }
    CHECK_EQ(pool_stats(queue.pool).waiting, 1);
    tally_add(&other.may_release, 1);
    CHECK_STATUS(ostler_pool_release(queue.pool, lease), OSTLER_OK);
    pthread_join(patient.thread, NULL);
    CHECK_STATUS(patient.status, OSTLER_OK);
    CHECK_STATUS(ostler_cancel_destroy(queue.cancel), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(queue.pool), OSTLER_OK);
}

TEST(discard_makes_room_for_the_next_in_line)
{
    struct queue queue;
    struct waiter waiter;
    begin_queue(&queue, plain_pool_callbacks());
    ostler_lease lease = acquire_now(queue.pool);
    line_up(&queue, &waiter, 1);
    tally_add(&queue.may_release, 1);
    CHECK_STATUS(ostler_pool_discard(queue.pool, lease), OSTLER_OK);
    pthread_join(waiter.thread, NULL);
    CHECK_STATUS(waiter.status, OSTLER_OK);
    CHECK_EQ(pool_stats(queue.pool).created, 2);
    CHECK_STATUS(ostler_pool_destroy(queue.pool), OSTLER_OK);
}

static ostler_status fail_reset(void *user_data, void *resource)
{
    (void)user_data, (void)resource;
    return OSTLER_E_CALLBACK_FAILED;
}

TEST(failed_reset_makes_room_for_the_next_in_line)
{
    struct queue queue;
    struct waiter waiter;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    callbacks.reset = fail_reset;
    begin_queue(&queue, callbacks);
    ostler_lease lease = acquire_now(queue.pool);
    line_up(&queue, &waiter, 1);
    tally_add(&queue.may_release, 1);
    CHECK_STATUS(ostler_pool_release(queue.pool, lease), OSTLER_OK);
    pthread_join(waiter.thread, NULL);
    CHECK_STATUS(waiter.status, OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(queue.pool), OSTLER_OK);
}

TEST(destroy_ends_every_wait)
{
    struct queue queue;
    struct waiter waiters[3];
    begin_queue(&queue, plain_pool_callbacks());
    ostler_lease lease = acquire_now(queue.pool);
    line_up(&queue, waiters, 3);
    CHECK_STATUS(ostler_pool_destroy(queue.pool), OSTLER_OK);
    for (int i = 0; i < 3; i++) {
        pthread_join(waiters[i].thread, NULL);
        CHECK_STATUS(waiters[i].status, OSTLER_E_CLOSED);
    }
    CHECK_STATUS(ostler_pool_release(queue.pool, lease), OSTLER_OK);
}

/* A create that fails the first time, when the test says so. */
struct slow_mare {
    struct queue queue;
    struct tally entered, may_fail;
    atomic_int attempts;
};

static ostler_status fail_first(void *user_data, void **resource)
{
    struct slow_mare *mare = user_data;
    *resource = mare;
    if (atomic_fetch_add(&mare->attempts, 1) > 0)
        return OSTLER_OK;
    tally_add(&mare->entered, 1);
    tally_await(&mare->may_fail, 1);
    return OSTLER_E_CALLBACK_FAILED;
}

TEST(create_that_fails_passes_its_place_to_who_waits)
{
    struct slow_mare mare = {.entered = TALLY_INIT, .may_fail = TALLY_INIT};
    struct waiter first = {.queue = &mare.queue, .number = 0}, second;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    callbacks.create = fail_first;
    mare.queue = (struct queue){.served = TALLY_INIT, .may_release = TALLY_INIT};
    mare.queue.pool = make_pool(1, callbacks, &mare);
    pthread_create(&first.thread, NULL, wait_in_line, &first);
    tally_await(&mare.entered, 1);
    CHECK_EQ(pool_stats(mare.queue.pool).creating, 1);
    line_up(&mare.queue, &second, 1);
    tally_add(&mare.queue.may_release, 1);
    tally_add(&mare.may_fail, 1);
    pthread_join(first.thread, NULL);
    pthread_join(second.thread, NULL);
    CHECK_STATUS(first.status, OSTLER_E_CREATE_FAILED);
    CHECK_STATUS(second.status, OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(mare.queue.pool), OSTLER_OK);
}

/* Releases and time-outs that meet: no resource gets lost between a waiter that gives up and one that comes. */
static void *hurry(void *argument)
{
    ostler_pool *pool = argument;
    for (int i = 0; i < 3000; i++) {
        ostler_lease lease;
        void *resource;
        ostler_status status = ostler_pool_acquire(pool, (uint64_t)(i % 50) * 1000, NULL, &lease, &resource);
        if (status == OSTLER_OK)
            EXPECT_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
        else
            EXPECT_STATUS(status, OSTLER_E_TIMEOUT);
    }
    return NULL;
}

TEST(no_resource_is_lost_between_a_release_and_a_timeout)
{
    ostler_pool *pool = make_pool(2, plain_pool_callbacks(), &pool);
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        pthread_create(&threads[i], NULL, hurry, pool);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    ostler_lease first = acquire_now(pool), second = acquire_now(pool);
    CHECK_STATUS(ostler_pool_release(pool, first), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, second), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).waiting, 0);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

#define TEAM 3

static int held_by_nobody;

/* Teams that want more than half each, as long as the test goes. */
static void *drive(void *argument)
{
    struct queue *queue = argument;
    ostler_lease leases[TEAM];
    void *resources[TEAM];
    uint32_t released;
    for (int i = 0; i < 2000; i++) {
        EXPECT_STATUS(ostler_pool_acquire_n(queue->pool, TEAM, OSTLER_FOREVER, NULL, leases, resources), OSTLER_OK);
        EXPECT(resources[0] && leases[0].value != leases[1].value && leases[1].value != leases[2].value);
        EXPECT_STATUS(ostler_pool_release_n(queue->pool, leases, TEAM, &released), OSTLER_OK);
        EXPECT_EQ(released, TEAM);
    }
    return NULL;
}

TEST(several_are_leased_together_and_nobody_holds_up_another)
{
    struct queue queue = {.pool = make_pool(5, plain_pool_callbacks(), &queue)};
    pthread_t teams[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&teams[i], NULL, drive, &queue);
    for (int i = 0; i < 4; i++)
        pthread_join(teams[i], NULL);
    ostler_pool_stats stats = pool_stats(queue.pool);
    CHECK_EQ(stats.acquires, 4 * 2000 * TEAM);
    CHECK(stats.in_use == 0 && stats.waiting == 0 && stats.created <= 5);
    CHECK_STATUS(ostler_pool_destroy(queue.pool), OSTLER_OK);
}

TEST(all_or_none_are_leased)
{
    ostler_pool *pool = make_pool(3, plain_pool_callbacks(), &held_by_nobody);
    ostler_lease leases[4], held = acquire_now(pool);
    void *resources[4];
    uint32_t released = 99;
    CHECK_STATUS(ostler_pool_acquire_n(pool, 3, 1000000, NULL, leases, resources), OSTLER_E_TIMEOUT);
    for (int i = 0; i < 3; i++)
        CHECK(leases[i].value == 0 && resources[i] == NULL);
    CHECK_EQ(pool_stats(pool).in_use, 1);
    CHECK_STATUS(ostler_pool_acquire_n(pool, 4, OSTLER_FOREVER, NULL, leases, resources), OSTLER_E_LIMIT);
    CHECK_STATUS(ostler_pool_acquire_n(pool, 0, 0, NULL, NULL, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_pool_acquire_n(pool, 2, 0, NULL, leases, resources), OSTLER_OK);
    leases[2] = leases[0];
    CHECK_STATUS(ostler_pool_release_n(pool, leases, 3, &released), OSTLER_E_STALE_LEASE);
    CHECK_EQ(released, 2);
    CHECK_STATUS(ostler_pool_release_n(pool, &held, 1, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release_n(pool, NULL, 0, &released), OSTLER_OK);
    CHECK_EQ(released, 0);
    CHECK_EQ(pool_stats(pool).idle, 3);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

CHECK_MAIN()
