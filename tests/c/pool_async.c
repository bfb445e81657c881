/* Pool: acquires that hold no thread up, heard of in a callback or through a descriptor. */
#include "farm.h"
#include <poll.h>

#define MS 1000000ull

struct heard {
    ostler_pool *pool;
    struct tally calls;
    ostler_ticket ticket;
    ostler_status status, destroyed;
    ostler_lease lease;
    void *resource;
    char words[256];
    pthread_t thread;
};

static void hear(void *user_data, ostler_ticket ticket, ostler_status status, ostler_lease lease, void *resource)
{
    struct heard *heard = user_data;
    heard->ticket = ticket;
    heard->status = status;
    heard->lease = lease;
    heard->resource = resource;
    heard->thread = pthread_self();
    snprintf(heard->words, sizeof heard->words, "%s", ostler_last_error_message());
    if (heard->pool)
        heard->destroyed = ostler_pool_destroy(heard->pool);
    tally_add(&heard->calls, 1);
}

static ostler_status begin(ostler_pool *pool, uint64_t timeout_ns, struct heard *heard, ostler_ticket *ticket,
                           ostler_lease *lease)
{
    ostler_acquire how;
    void *resource;
    CHECK_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
    how.timeout_ns = timeout_ns;
    if (heard)
        heard->calls = (struct tally)TALLY_INIT;
    return ostler_pool_acquire_async(pool, &how, heard ? hear : NULL, heard, ticket, lease, &resource);
}

static void release(ostler_pool *pool, ostler_lease lease)
{
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
}

TEST(what_is_there_is_had_at_once)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct heard heard = {0};
    ostler_ticket ticket;
    ostler_lease lease;
    CHECK_STATUS(begin(pool, 0, &heard, &ticket, &lease), OSTLER_OK);
    CHECK(lease.value != 0);
    CHECK_EQ(ticket.value, 0);
    release(pool, lease);
    CHECK_EQ(tally_read(&heard.calls), 0);
    end(pool, farm);
}

TEST(callback_gets_what_comes_back)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct heard heard = {.pool = pool};
    ostler_ticket ticket;
    ostler_lease lease, none;
    lease = acquire_now(pool);
    CHECK_STATUS(begin(pool, OSTLER_FOREVER, &heard, &ticket, &none), OSTLER_OK);
    CHECK(ticket.value != 0);
    CHECK_EQ(none.value, 0);
    CHECK_EQ(pool_stats(pool).waiting, 1);
    release(pool, lease);
    tally_await(&heard.calls, 1);
    CHECK_STATUS(heard.status, OSTLER_OK);
    CHECK_EQ(heard.ticket.value, ticket.value);
    CHECK_EQ(heard.resource, horse_of(pool, heard.lease));
    CHECK(!pthread_equal(heard.thread, pthread_self()));
    CHECK_STATUS(heard.destroyed, OSTLER_E_WOULD_DEADLOCK);
    CHECK_STATUS(ostler_pool_cancel_async(pool, ticket), OSTLER_E_STALE_TICKET);
    release(pool, heard.lease);
    end(pool, farm);
}

TEST(it_waits_its_turn_with_the_others)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    static struct heard heard[20];
    ostler_ticket ticket;
    ostler_lease lease = acquire_now(pool), none;
    for (int i = 0; i < 20; i++)
        CHECK_STATUS(begin(pool, OSTLER_FOREVER, &heard[i], &ticket, &none), OSTLER_OK);
    for (int i = 0; i < 20; i++) {
        release(pool, lease);
        tally_await(&heard[i].calls, 1);
        lease = heard[i].lease;
        for (int j = i + 1; j < 20; j++)
            CHECK_EQ(tally_read(&heard[j].calls), 0);
    }
    release(pool, lease);
    end(pool, farm);
}

TEST(acquire_that_ends_in_vain_says_why)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct heard late = {0}, closed = {0};
    ostler_ticket ticket;
    ostler_lease lease = acquire_now(pool), none;
    CHECK_STATUS(begin(pool, MS, &late, &ticket, &none), OSTLER_OK);
    tally_await(&late.calls, 1);
    CHECK_STATUS(late.status, OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(late.words, "the time was up");
    CHECK_EQ(late.lease.value, 0);
    CHECK_EQ(late.resource, NULL);
    CHECK_STATUS(begin(pool, OSTLER_FOREVER, &closed, &ticket, &none), OSTLER_OK);
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, NULL), OSTLER_E_TIMEOUT);
    tally_await(&closed.calls, 1);
    CHECK_STATUS(closed.status, OSTLER_E_CLOSED);
    CHECK_STATUS(begin(pool, 0, &late, &ticket, &none), OSTLER_E_CLOSED);
    release(pool, lease);
    end(pool, farm);
}

TEST(no_caller_makes_what_it_waits_for)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct heard heard = {0};
    ostler_ticket ticket;
    ostler_lease lease = acquire_now(pool), none;
    CHECK_STATUS(begin(pool, OSTLER_FOREVER, &heard, &ticket, &none), OSTLER_OK);
    /* The place comes free, and not by this thread is another made in it. */
    CHECK_STATUS(ostler_pool_discard(pool, lease), OSTLER_OK);
    tally_await(&heard.calls, 1);
    CHECK_STATUS(heard.status, OSTLER_OK);
    CHECK_EQ(farm->created, 2);
    CHECK(pthread_equal(farm->foaled_by, heard.thread));
    release(pool, heard.lease);
    end(pool, farm);
}

TEST(cancelled_acquire_is_never_told)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct heard first = {0}, second = {0};
    ostler_ticket tickets[2];
    ostler_lease lease = acquire_now(pool), none;
    CHECK_STATUS(begin(pool, OSTLER_FOREVER, &first, &tickets[0], &none), OSTLER_OK);
    CHECK_STATUS(begin(pool, OSTLER_FOREVER, &second, &tickets[1], &none), OSTLER_OK);
    CHECK_STATUS(ostler_pool_cancel_async(pool, tickets[0]), OSTLER_OK);
    CHECK_STATUS(ostler_pool_cancel_async(pool, tickets[0]), OSTLER_E_STALE_TICKET);
    CHECK_EQ(pool_stats(pool).waiting, 1);
    release(pool, lease);
    tally_await(&second.calls, 1);
    CHECK_EQ(tally_read(&first.calls), 0);
    release(pool, second.lease);
    end(pool, farm);
}

static int is_readable(int descriptor)
{
    struct pollfd poll_it = {.fd = descriptor, .events = POLLIN};
    return poll(&poll_it, 1, 0);
}

TEST(descriptor_can_be_read_while_there_is_something_to_take)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    ostler_ticket tickets[3], ticket;
    ostler_lease leases[2], lease;
    ostler_status outcome;
    void *resource;
    int32_t descriptor, same;
    CHECK_STATUS(ostler_pool_get_event(pool, &descriptor), OSTLER_OK);
    CHECK_STATUS(ostler_pool_get_event(pool, &same), OSTLER_OK);
    CHECK_EQ(descriptor, same);
    leases[0] = acquire_now(pool);
    leases[1] = acquire_now(pool);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(begin(pool, i == 2 ? MS : OSTLER_FOREVER, NULL, &tickets[i], &lease), OSTLER_OK);
    struct pollfd poll_it = {.fd = descriptor, .events = POLLIN};
    CHECK_EQ(poll(&poll_it, 1, -1), 1);
    CHECK_STATUS(ostler_pool_take_acquired(pool, &ticket, &outcome, &lease, &resource), OSTLER_OK);
    CHECK_EQ(ticket.value, tickets[2].value);
    CHECK_STATUS(outcome, OSTLER_E_TIMEOUT);
    CHECK_EQ(lease.value, 0);
    CHECK_EQ(is_readable(descriptor), 0);
    CHECK_STATUS(ostler_pool_take_acquired(pool, &ticket, &outcome, &lease, &resource), OSTLER_E_NOT_READY);
    release(pool, leases[0]);
    release(pool, leases[1]);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(poll(&poll_it, 1, -1), 1);
        CHECK_STATUS(ostler_pool_take_acquired(pool, &ticket, &outcome, &lease, &resource), OSTLER_OK);
        CHECK_EQ(ticket.value, tickets[i].value);
        CHECK_STATUS(outcome, OSTLER_OK);
        CHECK_EQ(resource, horse_of(pool, lease));
        release(pool, lease);
    }
    CHECK_EQ(is_readable(descriptor), 0);
    end(pool, farm);
}

TEST(what_nobody_took_is_given_back_at_the_end)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_ticket ticket;
    ostler_lease lease = acquire_now(pool), none;
    CHECK_STATUS(begin(pool, OSTLER_FOREVER, NULL, &ticket, &none), OSTLER_OK);
    release(pool, lease);
    AWAIT(pool_stats(pool).waiting == 0);
    end(pool, farm);
}

TEST(cancel_in_how_is_refused)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_acquire how;
    ostler_ticket ticket;
    ostler_lease lease;
    void *resource;
    CHECK_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
    CHECK_STATUS(ostler_cancel_create(&how.cancel), OSTLER_OK);
    CHECK_STATUS(ostler_pool_acquire_async(pool, &how, hear, NULL, &ticket, &lease, &resource), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "ostler_pool_cancel_async");
    CHECK_STATUS(ostler_cancel_destroy(how.cancel), OSTLER_OK);
    end(pool, farm);
}

/* Threads that wait, threads that begin and cancel: each acquire ends once, and nothing is lost. */
struct rush {
    ostler_pool *pool;
    atomic_long begun, told, cancelled;
    unsigned seed;
};

static void give_back(void *user_data, ostler_ticket ticket, ostler_status status, ostler_lease lease, void *resource)
{
    struct rush *rush = user_data;
    (void)ticket, (void)resource;
    EXPECT(status == OSTLER_OK || status == OSTLER_E_TIMEOUT);
    if (status == OSTLER_OK)
        EXPECT_STATUS(ostler_pool_release(rush->pool, lease), OSTLER_OK);
    atomic_fetch_add(&rush->told, 1);
}

static void *hurry(void *argument)
{
    struct rush *rush = argument;
    unsigned seed = __atomic_fetch_add(&rush->seed, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 400; i++) {
        ostler_acquire how = {.struct_size = sizeof how,
                              .priority = 1 + (uint32_t)rand_r(&seed) % 5,
                              .timeout_ns = rand_r(&seed) % 4 ? OSTLER_FOREVER : (uint64_t)rand_r(&seed) % MS};
        ostler_ticket ticket;
        ostler_lease lease;
        void *resource;
        EXPECT_STATUS(ostler_pool_acquire_async(rush->pool, &how, give_back, rush, &ticket, &lease, &resource), OSTLER_OK);
        if (lease.value) {
            if (rand_r(&seed) % 4 == 0)
                sched_yield();
            EXPECT_STATUS(ostler_pool_release(rush->pool, lease), OSTLER_OK);
            continue;
        }
        atomic_fetch_add(&rush->begun, 1);
        if (rand_r(&seed) % 3 == 0 && ostler_pool_cancel_async(rush->pool, ticket) == OSTLER_OK)
            atomic_fetch_add(&rush->cancelled, 1);
        if (rand_r(&seed) % 8 == 0) {
            EXPECT_STATUS(ostler_pool_acquire(rush->pool, OSTLER_FOREVER, NULL, &lease, &resource), OSTLER_OK);
            EXPECT_STATUS(ostler_pool_discard(rush->pool, lease), OSTLER_OK);
        }
    }
    return NULL;
}

TEST(every_acquire_ends_once)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(3);
    pthread_t threads[4];
    config.reserved_high = 1;
    struct rush rush = {.pool = pool_of(farm, config)};
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, hurry, &rush);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    AWAIT(rush.told + rush.cancelled == rush.begun);
    CHECK_EQ(pool_stats(rush.pool).waiting, 0);
    AWAIT(pool_stats(rush.pool).in_use == 0);
    end(rush.pool, farm);
}

CHECK_MAIN()
