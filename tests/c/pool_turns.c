/* Pool: acquires in two steps, between which their host waits in its own way. */
#include "farm.h"
#include "frozen.h"
#include <string.h>

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

/* Some who come together, and want a resource each or none. */
struct company {
    struct guest leader;
    ostler_lease leases[4];
    void *resources[4];
};

static ostler_status begin_n(ostler_pool *pool, uint32_t count, struct company *company)
{
    ostler_acquire how;
    CHECK_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
    how.timeout_ns = OSTLER_FOREVER;
    company->leader.rings = (struct tally)TALLY_INIT;
    memset(company->leases, 7, sizeof company->leases);
    return ostler_pool_begin_acquire_n(pool, &how, count, ring, &company->leader, &company->leader.ticket,
                                       &company->leader.look_again_ns, company->leases, company->resources);
}

static ostler_status go_on_n(ostler_pool *pool, uint32_t count, struct company *company, uint32_t cancelled)
{
    memset(company->leases, 7, sizeof company->leases);
    return ostler_pool_continue_acquire_n(pool, company->leader.ticket, count, cancelled, &company->leader.look_again_ns,
                                          company->leases, company->resources);
}

/* Whether each of so many has one of its own; the alternative is that none has any. */
static int all_have(ostler_pool *pool, struct company *company, uint32_t count)
{
    uint32_t have = 0;
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQ(company->leases[i].value == 0, company->resources[i] == NULL);
        if (company->leases[i].value) {
            CHECK_EQ(company->resources[i], horse_of(pool, company->leases[i]));
            have++;
        }
    }
    CHECK(have == 0 || have == count);
    return have == count;
}

TEST(many_who_come_together_wait_for_all)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    struct company company = {0};
    struct guest behind = {0};
    ostler_lease held[2] = {acquire_now(pool), acquire_now(pool)};
    CHECK_STATUS(begin_n(pool, 3, &company), OSTLER_OK);
    CHECK(company.leader.ticket.value != 0 && !all_have(pool, &company, 3));
    CHECK_EQ(company.leader.look_again_ns, OSTLER_FOREVER);
    waits(pool, OSTLER_FOREVER, &behind);
    release(pool, held[0]);
    CHECK_EQ(tally_read(&company.leader.rings), 0);
    CHECK_STATUS(go_on_n(pool, 3, &company, 0), OSTLER_E_NOT_READY);
    CHECK(!all_have(pool, &company, 3));
    release(pool, held[1]);
    CHECK_EQ(tally_read(&company.leader.rings), 1);
    CHECK_EQ(tally_read(&behind.rings), 0);
    CHECK_STATUS(go_on_n(pool, 3, &company, 0), OSTLER_OK);
    CHECK(all_have(pool, &company, 3));
    CHECK_STATUS(ostler_pool_release_n(pool, company.leases, 3, NULL), OSTLER_OK);
    CHECK_STATUS(go_on(pool, &behind, 0), OSTLER_OK);
    release(pool, behind.lease);
    CHECK_EQ(pool_stats(pool).created, 3);

    /* What is there is had at once, and nothing by who asks for nothing. */
    CHECK_STATUS(begin_n(pool, 3, &company), OSTLER_OK);
    CHECK(company.leader.ticket.value == 0 && all_have(pool, &company, 3));
    CHECK_STATUS(ostler_pool_release_n(pool, company.leases, 3, NULL), OSTLER_OK);
    CHECK_STATUS(begin_n(pool, 0, &company), OSTLER_OK);
    CHECK_EQ(company.leader.ticket.value, 0);
    end(pool, farm);
}

TEST(many_who_give_up_leave_nothing_behind)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    struct company company = {0};
    struct guest behind = {0};
    ostler_lease held[2] = {acquire_now(pool), acquire_now(pool)};
    CHECK_STATUS(begin_n(pool, 2, &company), OSTLER_OK);
    waits(pool, OSTLER_FOREVER, &behind);
    release(pool, held[0]);
    CHECK_EQ(tally_read(&behind.rings), 0);
    CHECK_STATUS(go_on_n(pool, 2, &company, 1), OSTLER_E_CANCELLED);
    CHECK(!all_have(pool, &company, 2));
    CHECK_STATUS(go_on_n(pool, 2, &company, 1), OSTLER_E_STALE_TICKET);
    CHECK_STATUS(go_on(pool, &behind, 0), OSTLER_OK);
    release(pool, behind.lease);
    release(pool, held[1]);
    end(pool, farm);
}

TEST(many_wait_again_for_what_was_not_fit)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.creator_threads = 1;
    ostler_pool *pool = pool_of(farm, config);
    struct company company = {0};
    ostler_lease held[2];
    void *resources[2];
    CHECK_STATUS(ostler_pool_acquire_n(pool, 2, OSTLER_FOREVER, NULL, held, resources), OSTLER_OK);
    CHECK_STATUS(begin_n(pool, 2, &company), OSTLER_OK);
    farm->refuse_validate = 1;
    farm->gated = 1;
    release(pool, held[0]);
    release(pool, held[1]);
    CHECK_EQ(tally_read(&company.leader.rings), 1);
    CHECK_STATUS(go_on_n(pool, 2, &company, 0), OSTLER_E_NOT_READY);
    CHECK(!all_have(pool, &company, 2));
    farm->refuse_validate = 0;
    tally_add(&farm->gate, 1000);
    tally_await(&company.leader.rings, 2);
    CHECK_STATUS(go_on_n(pool, 2, &company, 0), OSTLER_OK);
    CHECK(all_have(pool, &company, 2));
    CHECK_STATUS(ostler_pool_release_n(pool, company.leases, 2, NULL), OSTLER_OK);
    end(pool, farm);
}

/* With one of them it is tried whether any can be made. */
TEST(many_behind_an_open_breaker_wait_for_its_pause)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(4);
    config.breaker_failures = 1;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    struct company company = {0};
    ostler_lease held = acquire_now(pool);
    farm->refuse_create = 1;
    CHECK_STATUS(begin_n(pool, 2, &company), OSTLER_E_CREATE_FAILED);
    for (int attempt = 0; attempt < 2; attempt++) {
        CHECK_STATUS(begin_n(pool, 3, &company), OSTLER_OK);
        CHECK(company.leader.ticket.value != 0 && company.leader.look_again_ns < HOUR);
        advance(HOUR);
        farm->refuse_create = attempt == 0;
        CHECK_STATUS(go_on_n(pool, 3, &company, 0), attempt == 0 ? OSTLER_E_CREATE_FAILED : OSTLER_OK);
        CHECK_EQ(all_have(pool, &company, 3), attempt);
    }
    CHECK_EQ(farm->created, 4);
    CHECK_STATUS(ostler_pool_release_n(pool, company.leases, 3, NULL), OSTLER_OK);
    release(pool, held);
    end(pool, farm);
    thaw();
}

TEST(many_are_never_more_than_there_can_be)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    struct company company = {0};
    ostler_lease held = acquire_now(pool);
    CHECK_STATUS(begin_n(pool, 4, &company), OSTLER_E_LIMIT);
    CHECK_STATUS(begin_n(pool, 1 << 21, &company), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(begin_n(pool, 3, &company), OSTLER_OK);
    CHECK_STATUS(go_on_n(pool, 2, &company, 0), OSTLER_E_STALE_TICKET);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "names no acquire of 2");
    CHECK_STATUS(go_on(pool, &company.leader, 0), OSTLER_E_STALE_TICKET);
    CHECK_STATUS(go_on_n(pool, 3, &company, 0), OSTLER_E_NOT_READY);
    CHECK_STATUS(ostler_pool_resize(pool, 0, 2), OSTLER_OK);
    CHECK(tally_read(&company.leader.rings) > 0);
    CHECK_STATUS(go_on_n(pool, 3, &company, 0), OSTLER_E_LIMIT);
    CHECK(!all_have(pool, &company, 3));
    release(pool, held);
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
