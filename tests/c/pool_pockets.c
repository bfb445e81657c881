/* Pool: what a thread used last stays at hand for it, and is still everybody's. */
#include "farm.h"
#include <stdatomic.h>

/* Often enough in peace, so that resources stay at hand from now on. */
static void settle(ostler_pool *pool)
{
    for (int i = 0; i < 200; i++)
        CHECK_STATUS(ostler_pool_release(pool, acquire_now(pool)), OSTLER_OK);
}

static void *lease_once(ostler_pool *pool, ostler_lease *lease)
{
    void *resource = NULL;
    EXPECT_STATUS(ostler_pool_acquire(pool, OSTLER_FOREVER, NULL, lease, &resource), OSTLER_OK);
    return resource;
}

/* Another thread, which does one thing when it is told to. */
struct hand {
    pthread_t thread;
    struct tally told, done;
    void (*task)(struct hand *);
    ostler_pool *pool;
    ostler_lease lease;
    ostler_status status;
    void *resource;
};

static void *obey(void *argument)
{
    struct hand *hand = argument;
    for (long turn = 1;; turn++) {
        tally_await(&hand->told, turn);
        if (!hand->task)
            return NULL;
        hand->task(hand);
        tally_add(&hand->done, 1);
    }
}

static void hire(struct hand *hand, ostler_pool *pool)
{
    *hand = (struct hand){.told = TALLY_INIT, .done = TALLY_INIT, .pool = pool};
    pthread_create(&hand->thread, NULL, obey, hand);
}

static void tell(struct hand *hand, void (*task)(struct hand *))
{
    long turn = tally_read(&hand->told) + 1;
    hand->task = task;
    tally_add(&hand->told, 1);
    if (task)
        tally_await(&hand->done, turn);
    else
        pthread_join(hand->thread, NULL);
}

static void use_once(struct hand *hand)
{
    hand->resource = lease_once(hand->pool, &hand->lease);
    hand->status = ostler_pool_release(hand->pool, hand->lease);
}

static void try_once(struct hand *hand)
{
    hand->status = ostler_pool_try_acquire(hand->pool, &hand->lease, &hand->resource);
}

static void give_back(struct hand *hand)
{
    hand->status = ostler_pool_release(hand->pool, hand->lease);
}

TEST(thread_gets_what_it_used_last)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(4));
    struct hand hand;
    ostler_lease lease;
    hire(&hand, pool);
    /* Two resources, one in use by each. */
    void *mine = lease_once(pool, &lease);
    tell(&hand, use_once);
    void *theirs = hand.resource;
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    CHECK(mine != theirs);
    for (int i = 0; i < 200; i++) {
        lease_once(pool, &lease);
        tell(&hand, use_once);
        CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    }
    mine = lease_once(pool, &lease);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    tell(&hand, use_once);
    theirs = hand.resource;
    CHECK(mine != theirs);
    /* In turn now, so that whatever is on top of all idle ones would go round. */
    for (int i = 0; i < 100; i++) {
        tell(&hand, use_once);
        CHECK_EQ(hand.resource, theirs);
        CHECK_EQ(lease_once(pool, &lease), mine);
        CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    }
    CHECK_EQ(pool_stats(pool).peak_in_use, 2);
    tell(&hand, NULL);
    end(pool, farm);
}

TEST(what_was_released_last_is_at_hand)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    ostler_lease leases[3], lease;
    void *resources[3];
    settle(pool);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 3; i++)
            resources[i] = lease_once(pool, &leases[i]);
        for (int i = 0; i < 3; i++)
            CHECK_STATUS(ostler_pool_release(pool, leases[i]), OSTLER_OK);
        for (int i = 2; i >= 0; i--)
            CHECK_EQ(lease_once(pool, &leases[i]), resources[i]);
        for (int i = 0; i < 3; i++)
            CHECK_STATUS(ostler_pool_release(pool, leases[i]), OSTLER_OK);
    }
    CHECK_EQ(pool_stats(pool).created, 3);
    lease = acquire_now(pool);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    end(pool, farm);
}

TEST(nobody_goes_without_what_is_at_hand_for_another)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct hand hand;
    hire(&hand, pool);
    for (int round = 0; round < 20; round++) {
        settle(pool);
        CHECK_EQ(pool_stats(pool).idle, 1);
        CHECK_EQ(pool_stats(pool).in_use, 0);
        tell(&hand, try_once);
        CHECK_STATUS(hand.status, OSTLER_OK);
        tell(&hand, give_back);
        CHECK_STATUS(hand.status, OSTLER_OK);
    }
    CHECK_EQ(pool_stats(pool).created, 1);
    CHECK_EQ(pool_stats(pool).peak_in_use, 1);
    tell(&hand, NULL);
    end(pool, farm);
}

TEST(what_an_ended_thread_had_at_hand_is_not_lost)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    ostler_lease both[2];
    void *resources[2];
    settle(pool);
    for (int i = 0; i < 10; i++) {
        struct hand hand;
        ostler_lease lease;
        hire(&hand, pool);
        lease_once(pool, &lease);
        for (int j = 0; j < 100; j++)
            tell(&hand, use_once);
        CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
        tell(&hand, NULL);
        CHECK_STATUS(ostler_pool_acquire_n(pool, 2, 0, NULL, both, resources), OSTLER_OK);
        CHECK_STATUS(ostler_pool_release_n(pool, both, 2, NULL), OSTLER_OK);
    }
    CHECK_EQ(pool_stats(pool).created, 2);
    end(pool, farm);
}

TEST(lease_is_ended_by_any_thread)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct hand hand;
    hire(&hand, pool);
    for (int round = 0; round < 20; round++) {
        settle(pool);
        hand.lease = acquire_now(pool);
        tell(&hand, give_back);
        CHECK_STATUS(hand.status, OSTLER_OK);
        CHECK_STATUS(ostler_pool_release(pool, hand.lease), OSTLER_E_STALE_LEASE);
        settle(pool);
        tell(&hand, give_back);
        CHECK_STATUS(hand.status, OSTLER_E_STALE_LEASE);
    }
    tell(&hand, NULL);
    end(pool, farm);
}

struct duel {
    ostler_pool *pool;
    pthread_barrier_t start;
    _Atomic uint64_t lease;
    atomic_int ended;
};

enum { DUELS = 3000 };

static void end_in_duel(struct duel *duel, ostler_lease lease)
{
    ostler_status status = ostler_pool_release(duel->pool, lease);
    EXPECT(status == OSTLER_OK || status == OSTLER_E_STALE_LEASE);
    atomic_fetch_add(&duel->ended, status == OSTLER_OK);
}

static void *second(void *argument)
{
    struct duel *duel = argument;
    for (int i = 0; i < DUELS; i++) {
        pthread_barrier_wait(&duel->start);
        end_in_duel(duel, (ostler_lease){duel->lease});
        pthread_barrier_wait(&duel->start);
    }
    return NULL;
}

TEST(two_threads_that_end_one_lease_end_it_once)
{
    struct farm *farm = make_farm();
    struct duel duel = {.pool = pool_of(farm, config_with(2))};
    pthread_t thread;
    pthread_barrier_init(&duel.start, NULL, 2);
    pthread_create(&thread, NULL, second, &duel);
    for (int i = 0; i < DUELS; i++) {
        /* Mostly at hand, and sometimes not. */
        for (int j = 0; j < i % 80; j++)
            EXPECT_STATUS(ostler_pool_release(duel.pool, acquire_now(duel.pool)), OSTLER_OK);
        ostler_lease lease = acquire_now(duel.pool);
        duel.lease = lease.value;
        pthread_barrier_wait(&duel.start);
        end_in_duel(&duel, lease);
        pthread_barrier_wait(&duel.start);
        EXPECT_EQ(duel.ended, i + 1);
    }
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&duel.start);
    CHECK_EQ(duel.ended, DUELS);
    end(duel.pool, farm);
}

TEST(pause_resize_refresh_and_close_reach_what_is_at_hand)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    ostler_lease lease;
    void *resource;
    settle(pool);
    CHECK_STATUS(ostler_pool_pause(pool), OSTLER_OK);
    CHECK_STATUS(ostler_pool_try_acquire(pool, &lease, &resource), OSTLER_E_PAUSED);
    CHECK_STATUS(ostler_pool_resume(pool), OSTLER_OK);
    settle(pool);
    CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).destroyed_refreshed, 1);
    settle(pool);
    CHECK_EQ(pool_stats(pool).created, 2);
    /* Two are idle, one of them at hand. */
    ostler_lease other = acquire_now(pool);
    lease = acquire_now(pool);
    CHECK_STATUS(ostler_pool_release(pool, other), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    settle(pool);
    CHECK_STATUS(ostler_pool_resize(pool, 0, 1), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).destroyed_surplus, 1);
    CHECK_EQ(pool_stats(pool).idle, 1);
    settle(pool);
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, NULL), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).destroyed, 3);
    end(pool, farm);
}

/* Threads come and go, hold one or two, and give back what others leased; nothing is lost and nobody shares. */
struct market {
    ostler_pool *pool;
    atomic_int *users;
    _Atomic uint64_t stall; /* one lease that waits for whoever takes it over */
    unsigned seed;
};

static void *trade(void *argument)
{
    struct market *market = argument;
    unsigned seed = __atomic_fetch_add(&market->seed, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2000; i++) {
        ostler_lease lease;
        atomic_int *users = lease_once(market->pool, &lease);
        EXPECT_EQ(atomic_fetch_add(users, 1), 0);
        atomic_fetch_sub(users, 1);
        if (rand_r(&seed) % 50 == 0) {
            ostler_lease found = {atomic_exchange(&market->stall, lease.value)};
            if (found.value)
                EXPECT_STATUS(ostler_pool_release(market->pool, found), OSTLER_OK);
        } else {
            EXPECT_STATUS(ostler_pool_release(market->pool, lease), OSTLER_OK);
        }
    }
    return NULL;
}

static ostler_status lend_counter(void *user_data, void **resource)
{
    static atomic_int next;
    *resource = &((atomic_int *)user_data)[atomic_fetch_add(&next, 1)];
    return OSTLER_OK;
}

TEST(nothing_is_lost_and_nobody_shares_whatever_threads_do)
{
    static atomic_int users[1024];
    struct market market = {.users = users};
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    pthread_t threads[4];
    callbacks.create = lend_counter;
    market.pool = make_pool(4, callbacks, users);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, trade, &market);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    }
    ostler_pool_stats stats = pool_stats(market.pool);
    CHECK_EQ(stats.in_use, market.stall != 0);
    CHECK_EQ(stats.acquires, 5 * 4 * 2000);
    CHECK(stats.peak_in_use <= 4);
    CHECK_EQ(stats.idle + stats.in_use, stats.created);
    if (market.stall)
        CHECK_STATUS(ostler_pool_release(market.pool, (ostler_lease){market.stall}), OSTLER_OK);
    CHECK_STATUS(ostler_pool_close(market.pool, OSTLER_FOREVER, NULL, NULL), OSTLER_OK);
    CHECK_EQ(pool_stats(market.pool).destroyed, stats.created);
    CHECK_STATUS(ostler_pool_destroy(market.pool), OSTLER_OK);
}

/* Horses whose leases need no look, so that they are mostly taken and given back without one. */
static ostler_pool *paddock_of(struct farm *farm, ostler_pool_config config)
{
    ostler_pool_callbacks callbacks;
    ostler_pool *pool;
    CHECK_STATUS(ostler_pool_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.create = create_horse;
    callbacks.destroy = destroy_horse;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, farm, &pool), OSTLER_OK);
    return pool;
}

/* So much time goes by, and the housekeeper has done what it had to do then. */
static void let_pass(uint64_t by_ns)
{
    CHECK_STATUS(ostler_testkit_clock_advance(by_ns), OSTLER_OK);
    CHECK_STATUS(ostler_testkit_clock_settle(OSTLER_FOREVER, NULL), OSTLER_OK);
}

TEST(what_is_at_hand_too_long_goes_as_well)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.idle_timeout_ns = 1000000000;
    CHECK_STATUS(ostler_testkit_clock_freeze(), OSTLER_OK);
    ostler_pool *pool = paddock_of(farm, config);
    settle(pool);
    let_pass(900000000);
    CHECK_EQ(pool_stats(pool).idle, 1);
    settle(pool);
    let_pass(900000000);
    CHECK_EQ(pool_stats(pool).idle, 1);
    let_pass(1500000000);
    CHECK_EQ(pool_stats(pool).idle, 0);
    CHECK_EQ(pool_stats(pool).destroyed_idle, 1);
    settle(pool);
    CHECK_EQ(pool_stats(pool).created, 2);
    CHECK_STATUS(ostler_testkit_clock_thaw(), OSTLER_OK);
    end(pool, farm);
}

/* Riders go on and on, while all is done to the pool that moves what they have at hand. */
struct derby {
    ostler_pool *pool;
    atomic_int is_over;
    atomic_uint riders;
};

static void *gallop(void *argument)
{
    struct derby *derby = argument;
    unsigned seed = atomic_fetch_add(&derby->riders, 1);
    while (!atomic_load(&derby->is_over)) {
        for (int i = rand_r(&seed) % 500; i > 0; i--) {
            ostler_lease lease;
            void *resource;
            if (ostler_pool_acquire(derby->pool, 1000000, NULL, &lease, &resource) != OSTLER_OK)
                continue;
            struct horse *horse = resource;
            EXPECT_EQ(atomic_fetch_add(&horse->riders, 1), 0);
            EXPECT(atomic_load(&horse->alive));
            atomic_fetch_sub(&horse->riders, 1);
            EXPECT_STATUS(ostler_pool_release(derby->pool, lease), OSTLER_OK);
            EXPECT_STATUS(ostler_pool_release(derby->pool, lease), OSTLER_E_STALE_LEASE);
        }
        if (rand_r(&seed) % 8 == 0)
            usleep(rand_r(&seed) % 3000);
    }
    return NULL;
}

TEST(whatever_is_done_to_the_pool_a_resource_has_one_user_and_one_end)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(4);
    config.idle_timeout_ns = 1000000;
    struct derby derby = {.pool = paddock_of(farm, config)};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, gallop, &derby);
    for (int i = 0; i < 250; i++) {
        uint32_t trimmed;
        usleep(2000);
        switch (i % 5) {
        case 0: CHECK_STATUS(ostler_pool_refresh(derby.pool), OSTLER_OK); break;
        case 1: CHECK_STATUS(ostler_pool_trim(derby.pool, 0, &trimmed), OSTLER_OK); break;
        case 2: CHECK_STATUS(ostler_pool_resize(derby.pool, 0, 2), OSTLER_OK); break;
        case 3: CHECK_STATUS(ostler_pool_resize(derby.pool, 0, 4), OSTLER_OK); break;
        default:
            CHECK_STATUS(ostler_pool_pause(derby.pool), OSTLER_OK);
            CHECK_STATUS(ostler_pool_resume(derby.pool), OSTLER_OK);
        }
    }
    atomic_store(&derby.is_over, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(pool_stats(derby.pool).in_use, 0);
    CHECK(pool_stats(derby.pool).peak_in_use <= 4);
    end(derby.pool, farm);
}

CHECK_MAIN()
