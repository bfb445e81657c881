/* Pool: acquires in two steps, between which their host waits in its own way. */
#include "farm.h"
#include "frozen.h"

/* One who waits, with what its steps wrote. */
struct guest {
    struct tally rings;
    ostler_ticket ticket;
    uint64_t look_again_ns;
    ostler_lease lease;
    void *resource;
    ostler_pool *pool;
    ostler_status destroyed;
};

static void ring(void *user_data)
{
    struct guest *guest = user_data;
    if (guest->pool)
        guest->destroyed = ostler_pool_destroy(guest->pool);
    tally_add(&guest->rings, 1);
}

static ostler_status begin(ostler_pool *pool, uint64_t timeout_ns, struct guest *guest)
{
    ostler_acquire how;
    CHECK_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
    how.timeout_ns = timeout_ns;
    guest->rings = (struct tally)TALLY_INIT;
    return ostler_pool_begin_acquire(pool, &how, ring, guest, &guest->ticket, &guest->look_again_ns, &guest->lease,
                                     &guest->resource);
}

static void waits(ostler_pool *pool, uint64_t timeout_ns, struct guest *guest)
{
    CHECK_STATUS(begin(pool, timeout_ns, guest), OSTLER_OK);
    CHECK(guest->ticket.value != 0);
    CHECK_EQ(guest->lease.value, 0);
    CHECK_EQ(guest->resource, NULL);
}

static ostler_status go_on(ostler_pool *pool, struct guest *guest, uint32_t cancelled)
{
    return ostler_pool_continue_acquire(pool, guest->ticket, cancelled, &guest->look_again_ns, &guest->lease,
                                        &guest->resource);
}

static void release(ostler_pool *pool, ostler_lease lease)
{
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
}

TEST(what_is_there_is_had_at_once)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct guest guest = {.ticket = {7}, .look_again_ns = 7};
    CHECK_STATUS(begin(pool, 0, &guest), OSTLER_OK);
    CHECK(guest.lease.value != 0);
    CHECK_EQ(guest.ticket.value, 0);
    CHECK_EQ(guest.look_again_ns, 0);
    CHECK_EQ(guest.resource, horse_of(pool, guest.lease));
    release(pool, guest.lease);
    CHECK_EQ(tally_read(&guest.rings), 0);
    end(pool, farm);
}

TEST(bell_rings_in_the_order_of_their_coming)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    static struct guest guests[20];
    ostler_lease lease = acquire_now(pool);
    for (int i = 0; i < 20; i++) {
        waits(pool, OSTLER_FOREVER, &guests[i]);
        CHECK_EQ(guests[i].look_again_ns, OSTLER_FOREVER);
    }
    CHECK_EQ(pool_stats(pool).waiting, 20);
    for (int i = 0; i < 20; i++) {
        CHECK_STATUS(go_on(pool, &guests[i], 0), OSTLER_E_NOT_READY);
        release(pool, lease);
        for (int j = 0; j < 20; j++)
            CHECK_EQ(tally_read(&guests[j].rings), j <= i);
        CHECK_STATUS(go_on(pool, &guests[i], 0), OSTLER_OK);
        CHECK_EQ(guests[i].resource, horse_of(pool, guests[i].lease));
        lease = guests[i].lease;
        CHECK_STATUS(go_on(pool, &guests[i], 0), OSTLER_E_STALE_TICKET);
        CHECK_EQ(guests[i].lease.value, 0);
    }
    CHECK_EQ(farm->created, 1);
    CHECK_EQ(pool_stats(pool).waits.count, 20);
    release(pool, lease);
    end(pool, farm);
}

TEST(wait_ends_in_time_and_says_why)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct guest guest = {0};
    ostler_lease lease = acquire_now(pool);
    waits(pool, 60000 * MS, &guest);
    CHECK(guest.look_again_ns > 0 && guest.look_again_ns <= 60000 * MS);
    CHECK_STATUS(go_on(pool, &guest, 0), OSTLER_E_NOT_READY);
    CHECK_STATUS(go_on(pool, &guest, 1), OSTLER_E_CANCELLED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "the wait was cancelled: 1 resources are in use");
    CHECK_STR_CONTAINS(ostler_last_error_message(), "held by thread");
    CHECK_EQ(guest.look_again_ns, 0);

    CHECK_STATUS(begin(pool, 0, &guest), OSTLER_E_TIMEOUT);
    CHECK_EQ(guest.ticket.value, 0);
    freeze();
    waits(pool, MS, &guest);
    advance(2 * MS);
    CHECK_STATUS(go_on(pool, &guest, 0), OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "the time was up");
    thaw();
    CHECK_EQ(pool_stats(pool).timeouts, 2);
    CHECK_EQ(pool_stats(pool).waiting, 0);
    release(pool, lease);
    end(pool, farm);
}

TEST(turn_that_has_come_is_preferred_over_a_cancel)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct guest guest = {0};
    ostler_lease lease = acquire_now(pool);
    waits(pool, OSTLER_FOREVER, &guest);
    release(pool, lease);
    CHECK_STATUS(go_on(pool, &guest, 1), OSTLER_OK);
    release(pool, guest.lease);
    end(pool, farm);
}

TEST(who_does_not_go_on_holds_up_nobody_behind)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct guest first = {0}, second = {0};
    ostler_lease lease = acquire_now(pool);
    waits(pool, OSTLER_FOREVER, &first);
    waits(pool, OSTLER_FOREVER, &second);
    CHECK_STATUS(go_on(pool, &first, 1), OSTLER_E_CANCELLED);
    release(pool, lease);
    CHECK_EQ(tally_read(&first.rings), 0);
    CHECK_STATUS(go_on(pool, &second, 0), OSTLER_OK);
    release(pool, second.lease);
    end(pool, farm);
}

TEST(who_goes_on_makes_what_it_waited_for)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct guest guest = {0};
    ostler_lease lease = acquire_now(pool);
    waits(pool, OSTLER_FOREVER, &guest);
    CHECK_STATUS(ostler_pool_discard(pool, lease), OSTLER_OK);
    CHECK_EQ(tally_read(&guest.rings), 1);
    CHECK_EQ(farm->created, 1);
    farm->refuse_create = 1;
    CHECK_STATUS(go_on(pool, &guest, 0), OSTLER_E_CREATE_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "the stable is empty");
    farm->refuse_create = 0;
    CHECK_STATUS(begin(pool, OSTLER_FOREVER, &guest), OSTLER_OK);
    CHECK_EQ(farm->created, 2);
    release(pool, guest.lease);
    end(pool, farm);
}

TEST(who_waits_for_the_breaker_is_told_when_to_look)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    config.breaker_failures = 1;
    ostler_pool *pool = pool_of(farm, config);
    struct guest guest = {0};
    ostler_lease lease = acquire_now(pool);
    waits(pool, OSTLER_FOREVER, &guest);
    struct guest other = {0};
    waits(pool, OSTLER_FOREVER, &other);
    CHECK_STATUS(ostler_pool_pause(pool), OSTLER_OK);
    CHECK_STATUS(ostler_pool_discard(pool, lease), OSTLER_OK);
    farm->refuse_create = 1;
    CHECK_STATUS(ostler_pool_resume(pool), OSTLER_OK);
    CHECK_STATUS(go_on(pool, &guest, 0), OSTLER_E_CREATE_FAILED);
    /* Nothing is there, and nothing is made for now: the other one hears of it, and is told so. */
    CHECK(tally_read(&other.rings) > 0);
    CHECK_STATUS(go_on(pool, &other, 0), OSTLER_E_CREATE_FAILED);
    end(pool, farm);
}

TEST(close_and_destroy_ring_every_bell)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    static struct guest guests[300];
    struct guest none = {0};
    ostler_lease lease = acquire_now(pool);
    for (int i = 0; i < 300; i++)
        waits(pool, OSTLER_FOREVER, &guests[i]);
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, NULL), OSTLER_E_TIMEOUT);
    for (int i = 0; i < 300; i++) {
        CHECK(tally_read(&guests[i].rings) > 0);
        if (i % 2)
            CHECK_STATUS(go_on(pool, &guests[i], 0), OSTLER_E_CLOSED);
    }
    CHECK_STATUS(begin(pool, 0, &none), OSTLER_E_CLOSED);
    release(pool, lease);
    /* The others keep its memory, and find out. */
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    for (int i = 0; i < 300; i += 2)
        CHECK_STATUS(go_on(pool, &guests[i], 0), OSTLER_E_CLOSED);
    CHECK_STATUS(go_on(pool, &guests[0], 0), OSTLER_E_INVALID_HANDLE);
    CHECK_EQ(atomic_load(&farm->created), atomic_load(&farm->destroyed));
    free(farm);
}

TEST(bell_is_a_callback_of_the_pool)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct guest guest = {.pool = pool};
    ostler_lease lease = acquire_now(pool);
    waits(pool, OSTLER_FOREVER, &guest);
    release(pool, lease);
    CHECK_STATUS(guest.destroyed, OSTLER_E_WOULD_DEADLOCK);
    CHECK_STATUS(go_on(pool, &guest, 0), OSTLER_OK);
    release(pool, guest.lease);
    end(pool, farm);
}

TEST(bad_arguments_are_refused)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1)), *other = pool_of(farm, config_with(1));
    struct guest guest = {0};
    ostler_acquire how;
    ostler_lease lease = acquire_now(pool);
    CHECK_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
    CHECK_STATUS(ostler_pool_begin_acquire(pool, &how, NULL, NULL, &guest.ticket, &guest.look_again_ns, &guest.lease,
                                           &guest.resource),
                 OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "bell");
    CHECK_STATUS(ostler_cancel_create(&how.cancel), OSTLER_OK);
    CHECK_STATUS(ostler_pool_begin_acquire(pool, &how, ring, &guest, &guest.ticket, &guest.look_again_ns, &guest.lease,
                                           &guest.resource),
                 OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "ostler_pool_continue_acquire");
    CHECK_STATUS(ostler_cancel_destroy(how.cancel), OSTLER_OK);
    waits(pool, OSTLER_FOREVER, &guest);
    CHECK_STATUS(go_on(pool, &guest, 2), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "cancelled is 2");
    CHECK_STATUS(go_on(other, &guest, 0), OSTLER_E_STALE_TICKET);
    CHECK_STATUS(go_on(pool, &guest, 1), OSTLER_E_CANCELLED);
    CHECK_STATUS(go_on(pool, &guest, 1), OSTLER_E_STALE_TICKET);
    release(pool, lease);
    CHECK_STATUS(ostler_pool_destroy(other), OSTLER_OK);
    end(pool, farm);
}

/* Threads that wait, and threads with many guests each who come, go on and go away: nobody is forgotten. */
enum { GUESTS = 12 };

struct inn {
    ostler_pool *pool;
    unsigned seed;
};

static void *entertain(void *argument)
{
    struct inn *inn = argument;
    unsigned seed = __atomic_fetch_add(&inn->seed, 1, __ATOMIC_RELAXED);
    struct guest guests[GUESTS] = {0};
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < GUESTS; i++) {
            ostler_acquire how = {.struct_size = sizeof how,
                                  .priority = 1 + (uint32_t)rand_r(&seed) % 5,
                                  .timeout_ns = OSTLER_FOREVER};
            guests[i].rings = (struct tally)TALLY_INIT;
            EXPECT_STATUS(ostler_pool_begin_acquire(inn->pool, &how, ring, &guests[i], &guests[i].ticket,
                                                    &guests[i].look_again_ns, &guests[i].lease, &guests[i].resource),
                          OSTLER_OK);
            if (guests[i].lease.value)
                EXPECT_STATUS(ostler_pool_release(inn->pool, guests[i].lease), OSTLER_OK);
        }
        /* Only who has heard the bell goes on, or who goes away. */
        for (int left = 1; left; sched_yield()) {
            left = 0;
            for (int i = 0; i < GUESTS; i++) {
                if (!guests[i].ticket.value)
                    continue;
                left = 1;
                uint32_t cancelled = rand_r(&seed) % 64 == 0;
                if (!cancelled && tally_read(&guests[i].rings) == 0)
                    continue;
                ostler_status status = go_on(inn->pool, &guests[i], cancelled);
                EXPECT(status == OSTLER_OK || status == (cancelled ? OSTLER_E_CANCELLED : OSTLER_E_NOT_READY));
                if (status == OSTLER_E_NOT_READY)
                    continue;
                guests[i].ticket.value = 0;
                if (status == OSTLER_OK)
                    EXPECT_STATUS(ostler_pool_release(inn->pool, guests[i].lease), OSTLER_OK);
            }
        }
    }
    return NULL;
}

static void *queue_up(void *argument)
{
    struct inn *inn = argument;
    for (int i = 0; i < 2000; i++) {
        ostler_lease lease;
        void *resource;
        EXPECT_STATUS(ostler_pool_acquire(inn->pool, OSTLER_FOREVER, NULL, &lease, &resource), OSTLER_OK);
        if (i % 8 == 0)
            sched_yield();
        EXPECT_STATUS(i % 16 ? ostler_pool_release(inn->pool, lease) : ostler_pool_discard(inn->pool, lease), OSTLER_OK);
    }
    return NULL;
}

TEST(nobody_is_forgotten)
{
    struct farm *farm = make_farm();
    struct inn inn = {.pool = pool_of(farm, config_with(3))};
    pthread_t hosts[3], threads[2];
    for (int i = 0; i < 3; i++)
        pthread_create(&hosts[i], NULL, entertain, &inn);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, queue_up, &inn);
    for (int i = 0; i < 3; i++)
        pthread_join(hosts[i], NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(pool_stats(inn.pool).waiting, 0);
    CHECK_EQ(pool_stats(inn.pool).in_use, 0);
    end(inn.pool, farm);
}

CHECK_MAIN()
