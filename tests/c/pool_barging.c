/* Pool: for a while a waiter may be overtaken, and not for longer. */
#include "frozen.h"
#include "riders.h"

static ostler_pool *pool_with(struct farm *farm, uint32_t max_size, uint64_t barging_ns)
{
    ostler_pool_config config = config_with(max_size);
    config.barging_ns = barging_ns;
    return pool_of(farm, config);
}

/* Leases and releases in turn, and has what it needs at hand in the end. */
static void turn_over(ostler_pool *pool)
{
    for (int i = 0; i < 200; i++)
        release(pool, acquire_now(pool));
}

/* Waits without a thread, so that the test knows when the library has done what it does. */
struct rider_to_be {
    struct tally calls;
    ostler_status status;
    ostler_lease lease;
};

static void hear(void *user_data, ostler_ticket ticket, ostler_status status, ostler_lease lease, void *resource)
{
    (void)ticket, (void)resource;
    struct rider_to_be *rider = user_data;
    rider->status = status;
    rider->lease = lease;
    tally_add(&rider->calls, 1);
}

static void queue_up(ostler_pool *pool, uint64_t timeout_ns, struct rider_to_be *rider)
{
    ostler_acquire how;
    ostler_ticket ticket;
    ostler_lease lease;
    void *resource;
    CHECK_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
    how.timeout_ns = timeout_ns;
    *rider = (struct rider_to_be){.calls = TALLY_INIT};
    CHECK_STATUS(ostler_pool_acquire_async(pool, &how, hear, rider, &ticket, &lease, &resource), OSTLER_OK);
    CHECK(ticket.value != 0);
    settle();
}

TEST(waiter_is_overtaken_until_it_insists)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_with(farm, 1, SECOND);
    struct rider_to_be rider;
    freeze();
    turn_over(pool);
    for (int round = 0; round < 3; round++) {
        ostler_lease mine = acquire_now(pool);
        queue_up(pool, OSTLER_FOREVER, &rider);
        for (int quarter = 0; quarter < 4; quarter++) {
            for (int i = 0; i < 100; i++) {
                release(pool, mine);
                mine = acquire_now(pool);
            }
            CHECK_EQ(pool_stats(pool).waiting, 1);
            pass(SECOND / 4 - 1);
        }
        release(pool, mine);
        mine = acquire_now(pool);
        pass(4);
        /* Its turn is kept from now on. */
        CHECK_EQ(pool_stats(pool).waiting, 1);
        release(pool, mine);
        CHECK_STATUS(acquire_within(pool, 0, &mine), OSTLER_E_TIMEOUT);
        CHECK_STATUS(try_now(pool, &mine), OSTLER_E_EXHAUSTED);
        tally_await(&rider.calls, 1);
        CHECK_STATUS(rider.status, OSTLER_OK);
        release(pool, rider.lease);
    }
    thaw();
    end(pool, farm);
}

TEST(all_whose_patience_ends_at_once_insist_in_their_order)
{
    enum { MANY = 20 };
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_with(farm, 1, SECOND);
    struct rider_to_be riders[MANY];
    freeze();
    turn_over(pool);
    ostler_lease mine = acquire_now(pool);
    for (int i = 0; i < MANY; i++)
        queue_up(pool, i % 4 == 3 ? SECOND : OSTLER_FOREVER, &riders[i]);
    release(pool, mine);
    mine = acquire_now(pool);
    pass(SECOND);
    for (int i = 3; i < MANY; i += 4) {
        tally_await(&riders[i].calls, 1);
        CHECK_STATUS(riders[i].status, OSTLER_E_TIMEOUT);
    }
    for (int i = 0; i < MANY; i++) {
        if (i % 4 == 3)
            continue;
        CHECK_EQ(tally_read(&riders[i].calls), 0);
        release(pool, mine);
        tally_await(&riders[i].calls, 1);
        CHECK_STATUS(riders[i].status, OSTLER_OK);
        mine = riders[i].lease;
    }
    release(pool, mine);
    /* Nobody insists any more. */
    turn_over(pool);
    mine = acquire_now(pool);
    queue_up(pool, OSTLER_FOREVER, &riders[0]);
    release(pool, mine);
    mine = acquire_now(pool);
    CHECK_EQ(tally_read(&riders[0].calls), 0);
    pass(SECOND);
    release(pool, mine);
    tally_await(&riders[0].calls, 1);
    release(pool, riders[0].lease);
    thaw();
    end(pool, farm);
}

TEST(without_barging_nobody_is_overtaken)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_with(farm, 1, 0);
    struct rider_to_be rider;
    freeze();
    turn_over(pool);
    ostler_lease mine = acquire_now(pool);
    queue_up(pool, OSTLER_FOREVER, &rider);
    release(pool, mine);
    CHECK_STATUS(try_now(pool, &mine), OSTLER_E_EXHAUSTED);
    tally_await(&rider.calls, 1);
    release(pool, rider.lease);
    thaw();
    end(pool, farm);
}

TEST(what_lies_unused_is_found_before_one_may_insist)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_with(farm, 2, HOUR);
    struct rider_to_be rider;
    freeze();
    turn_over(pool);
    ostler_lease one = acquire_now(pool), other = acquire_now(pool);
    queue_up(pool, OSTLER_FOREVER, &rider);
    release(pool, one);
    /* It is seen at the next look, and lies there at the one after that. */
    pass(HOUR / 4);
    CHECK_EQ(tally_read(&rider.calls), 0);
    pass(HOUR / 4);
    CHECK_EQ(tally_read(&rider.calls), 1);
    CHECK_STATUS(rider.status, OSTLER_OK);
    release(pool, rider.lease);
    release(pool, other);
    thaw();
    end(pool, farm);
}

struct thief {
    ostler_pool *pool;
    ostler_status (*acquire)(ostler_pool *pool, ostler_lease *lease);
    ostler_status status;
};

static void *steal(void *argument)
{
    struct thief *thief = argument;
    ostler_lease lease;
    thief->status = thief->acquire(thief->pool, &lease);
    if (thief->status == OSTLER_OK)
        release(thief->pool, lease);
    return NULL;
}

static ostler_status at_once(ostler_pool *pool, ostler_lease *lease)
{
    return acquire_within(pool, 0, lease);
}

static ostler_status in_the_end(ostler_pool *pool, ostler_lease *lease)
{
    return acquire_within(pool, OSTLER_FOREVER, lease);
}

static ostler_status two_at_once(ostler_pool *pool, ostler_lease *lease)
{
    ostler_lease leases[2];
    void *resources[2];
    ostler_status status = ostler_pool_acquire_n(pool, 2, OSTLER_FOREVER, NULL, leases, resources);
    *lease = leases[0];
    if (status == OSTLER_OK)
        release(pool, leases[1]);
    return status;
}

TEST(nobody_goes_without_while_one_lies_in_a_pocket)
{
    ostler_status (*const ways[])(ostler_pool *, ostler_lease *) = {try_now, at_once, in_the_end, two_at_once};
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_with(farm, 2, HOUR);
    freeze();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        /* One lies idle for all, and one in this thread's pocket; of the first three each has to take the latter. */
        ostler_lease kept = acquire_now(pool);
        turn_over(pool);
        if (ways[i] == two_at_once)
            release(pool, kept);
        struct thief thief = {pool, ways[i], OSTLER_E_PANIC};
        pthread_t thread;
        pthread_create(&thread, NULL, steal, &thief);
        pthread_join(thread, NULL);
        CHECK_STATUS(thief.status, OSTLER_OK);
        if (ways[i] != two_at_once)
            release(pool, kept);
    }
    thaw();
    end(pool, farm);
}

TEST(time_that_is_up_before_one_insists_ends_the_wait)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_with(farm, 1, HOUR);
    struct rider_to_be rider;
    freeze();
    turn_over(pool);
    ostler_lease mine = acquire_now(pool), none;
    CHECK_STATUS(acquire_within(pool, 0, &none), OSTLER_E_TIMEOUT);
    queue_up(pool, MS, &rider);
    pass(MS);
    tally_await(&rider.calls, 1);
    CHECK_STATUS(rider.status, OSTLER_E_TIMEOUT);
    release(pool, mine);
    thaw();
    end(pool, farm);
}

enum { RIDERS = 4, TURNS = 4000 };

static void *ride_often(void *argument)
{
    ostler_pool *pool = argument;
    unsigned dice = (unsigned)(uintptr_t)&dice;
    for (int i = 0; i < TURNS; i++) {
        ostler_lease lease;
        dice = dice * 1103515245 + 12345;
        ostler_status status =
            dice >> 16 & 7 ? acquire_within(pool, OSTLER_FOREVER, &lease) : acquire_within(pool, 50000, &lease);
        if (status == OSTLER_E_TIMEOUT)
            continue;
        CHECK_STATUS(status, OSTLER_OK);
        struct horse *horse = horse_of(pool, lease);
        EXPECT_EQ(atomic_fetch_add(&horse->riders, 1), 0);
        atomic_fetch_sub(&horse->riders, 1);
        if (dice >> 20 & 63)
            release(pool, lease);
        else
            CHECK_STATUS(ostler_pool_discard(pool, lease), OSTLER_OK);
    }
    return NULL;
}

TEST(everybody_is_served_and_nobody_shares)
{
    for (uint32_t resources = 1; resources < RIDERS; resources++) {
        struct farm *farm = make_farm();
        ostler_pool *pool = pool_with(farm, resources, 200000);
        pthread_t riders[RIDERS];
        for (int i = 0; i < RIDERS; i++)
            pthread_create(&riders[i], NULL, ride_often, pool);
        for (int i = 0; i < RIDERS; i++)
            pthread_join(riders[i], NULL);
        CHECK_EQ(pool_stats(pool).waiting, 0);
        check_accounts(pool);
        end(pool, farm);
    }
}

static ostler_status settings_are_all_one(void *user_data, void *resource, uint64_t from, uint64_t to)
{
    (void)user_data, (void)resource, (void)from, (void)to;
    return OSTLER_OK;
}

TEST(barging_is_refused_where_turns_are_always_kept)
{
    ostler_pool_config cases[] = {
        {.max_size = 4, .min_idle = 1},
        {.max_size = 4, .reserved_high = 1},
        {.max_size = 4, .idle_order = OSTLER_IDLE_LONGEST_FIRST},
        {.max_size = 4, .affinity = OSTLER_AFFINITY_NODE},
        {.max_size = 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ostler_pool_callbacks callbacks = plain_pool_callbacks();
        ostler_pool *pool;
        if (i + 1 == sizeof cases / sizeof *cases)
            callbacks.retag = settings_are_all_one;
        cases[i].struct_size = sizeof cases[i];
        cases[i].barging_ns = MS;
        CHECK_STATUS(ostler_pool_create(&cases[i], &callbacks, NULL, &pool), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "barging_ns is 1000000");
    }
}

CHECK_MAIN()
