/* Tap: what is idle in it is at hand for one user, and everybody's all the same. The inline functions and the library's do
 * the same. */
#include "frozen.h"
#include "taps.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void ring(void *user_data)
{
    tally_add(user_data, 1);
}

/* Begins to wait, as all resources are leased. */
static ostler_ticket wait_at(ostler_tap *tap, struct tally *rings)
{
    ostler_acquire how;
    ostler_ticket ticket;
    ostler_lease lease;
    uint64_t look_again_ns;
    void *resource;
    CHECK_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
    how.timeout_ns = OSTLER_FOREVER;
    CHECK_STATUS(ostler_tap_begin_acquire(tap, &how, ring, rings, &ticket, &look_again_ns, &lease, &resource), OSTLER_OK);
    CHECK(ticket.value != 0 && lease.value == 0 && resource == NULL);
    return ticket;
}

TEST(turn_of_a_tap_gives_a_lease_of_the_tap)
{
    for (uint64_t barging_ns = 0; barging_ns <= HOUR; barging_ns += HOUR) {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(2);
        config.barging_ns = barging_ns;
        ostler_pool *pool = bare_pool(farm, config);
        ostler_tap *tap = open_tap(pool);
        struct tally rings = TALLY_INIT;
        ostler_lease held[2] = {acquire_now(pool), acquire_now(pool)}, lease;
        uint64_t look_again_ns;
        void *resource;
        freeze();
        ostler_ticket ticket = wait_at(tap, &rings);
        CHECK_STATUS(ostler_pool_release(pool, held[0]), OSTLER_OK);
        advance(HOUR);
        CHECK_STATUS(ostler_pool_continue_acquire(pool, ticket, 0, &look_again_ns, &lease, &resource), OSTLER_OK);
        thaw();
        /* When nobody has waited for a while, the tap has something at hand again. */
        CHECK_STATUS(ostler_pool_release(pool, held[1]), OSTLER_OK);
        warm(0, tap);
        CHECK_EQ(tap->count, 1);
        CHECK_STATUS(ostler_tap_release(tap, lease), OSTLER_OK);
        CHECK_EQ(tap->count, 2);
        ends(tap, pool, farm);
    }
}

TEST(begin_at_a_tap_takes_what_is_at_hand_and_refuses_what_is_bad)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = bare_pool(farm, config_with(2));
    ostler_tap *tap = open_tap(pool);
    ostler_acquire how;
    ostler_ticket ticket = {7};
    ostler_lease lease = {7};
    uint64_t look_again_ns = 7;
    void *resource = &how;
    warm(1, tap);
    CHECK_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
    CHECK_STATUS(ostler_tap_begin_acquire(tap, &how, NULL, NULL, &ticket, &look_again_ns, &lease, &resource),
                 OSTLER_E_INVALID_ARGUMENT);
    CHECK(ticket.value == 0 && look_again_ns == 0 && lease.value == 0 && resource == NULL);
    CHECK_STATUS(ostler_tap_begin_acquire(tap, &how, ring, NULL, &ticket, &look_again_ns, &lease, &resource), OSTLER_OK);
    CHECK(ticket.value == 0 && lease.value != 0 && resource != NULL);
    CHECK_EQ(tap->count, 0);
    CHECK_STATUS(ostler_tap_release_inline(tap, lease), OSTLER_OK);
    CHECK_EQ(tap->count, 1);
    CHECK_STATUS(ostler_tap_begin_acquire(NULL, &how, ring, NULL, &ticket, &look_again_ns, &lease, &resource),
                 OSTLER_E_INVALID_HANDLE);
    CHECK(lease.value == 0 && resource == NULL);
    ends(tap, pool, farm);
}

TEST(with_barging_a_tap_keeps_what_it_has_until_somebody_insists)
{
    FOR_EACH_TWIN(i)
    {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(1);
        config.barging_ns = HOUR;
        ostler_pool *pool = bare_pool(farm, config);
        ostler_tap *tap = open_tap(pool), *other = open_tap(pool);
        struct tally rings = TALLY_INIT;
        uint64_t look_again_ns;
        ostler_lease lease;
        void *resource;
        warm(i, tap);
        CHECK_EQ(tap->count, 1);
        freeze();
        ostler_lease mine = through(i, tap, &resource);
        ostler_ticket ticket = wait_at(other, &rings);
        for (int round = 0; round < 100; round++) {
            CHECK_STATUS(releases[i](tap, mine), OSTLER_OK);
            CHECK_EQ(tap->count, 1);
            mine = through(i, tap, &resource);
        }
        CHECK_EQ(tally_read(&rings), 0);
        advance(HOUR);
        CHECK_STATUS(ostler_pool_continue_acquire(pool, ticket, 0, &look_again_ns, &lease, &resource), OSTLER_E_NOT_READY);
        CHECK_STATUS(releases[i](tap, mine), OSTLER_OK);
        CHECK_EQ(tap->count, 0);
        CHECK_EQ(tally_read(&rings), 1);
        CHECK_STATUS(ostler_pool_continue_acquire(pool, ticket, 0, &look_again_ns, &lease, &resource), OSTLER_OK);
        thaw();
        CHECK_STATUS(releases[i](other, lease), OSTLER_OK);
        CHECK_EQ(other->count, 1);
        CHECK_STATUS(ostler_tap_close(other), OSTLER_OK);
        ends(tap, pool, farm);
    }
}

TEST(lease_through_a_tap_is_a_lease_like_any_other)
{
    FOR_EACH_TWIN(i)
    {
        struct farm *farm = make_farm();
        ostler_pool *pool = bare_pool(farm, config_with(4));
        ostler_tap *tap = open_tap(pool);
        void *resource, *named;
        warm(i, tap);
        CHECK_EQ(tap->count, 1);
        ostler_lease lease = through(i, tap, &resource);
        CHECK_EQ(tap->count, 0);
        CHECK_STATUS(ostler_pool_get_resource(pool, lease, &named), OSTLER_OK);
        CHECK_EQ(named, resource);
        CHECK_EQ(pool_stats(pool).in_use, 1);
        CHECK_STATUS(releases[i](tap, lease), OSTLER_OK);
        CHECK_STATUS(releases[i](tap, lease), OSTLER_E_STALE_LEASE);
        CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_E_STALE_LEASE);
        /* Stale also when its resource is leased again, and to either side. */
        ostler_lease next = through(i, tap, &resource);
        CHECK_STATUS(releases[i](tap, lease), OSTLER_E_STALE_LEASE);
        CHECK_STATUS(ostler_pool_get_resource(pool, lease, &named), OSTLER_E_STALE_LEASE);
        CHECK_STATUS(ostler_pool_release(pool, next), OSTLER_OK);
        CHECK_STATUS(releases[i](tap, next), OSTLER_E_STALE_LEASE);
        /* One of the pool through the tap. */
        CHECK_STATUS(releases[i](tap, acquire_now(pool)), OSTLER_OK);
        CHECK_STATUS(releases[i](tap, (ostler_lease){0}), OSTLER_E_STALE_LEASE);
        CHECK_STATUS(releases[i](tap, (ostler_lease){UINT64_MAX}), OSTLER_E_STALE_LEASE);
        next = through(i, tap, &resource);
        CHECK_STATUS(ostler_pool_discard(pool, next), OSTLER_OK);
        CHECK_STATUS(releases[i](tap, next), OSTLER_E_STALE_LEASE);
        next = through(i, tap, &resource);
        CHECK_STATUS(ostler_pool_revoke(pool, next), OSTLER_OK);
        CHECK_EQ(pool_stats(pool).revoked, 1);
        CHECK_STATUS(releases[i](tap, next), OSTLER_E_STALE_LEASE);
        CHECK_EQ(pool_stats(pool).revoked, 0);
        ostler_pool_stats stats = pool_stats(pool);
        CHECK_EQ(stats.in_use, 0);
        CHECK_EQ(stats.acquires, 300 + 5);
        CHECK_EQ(stats.created, stats.destroyed + stats.idle);
        ends(tap, pool, farm);
    }
}

struct elsewhere {
    ostler_tap *tap;
    ostler_lease lease;
    ostler_status status;
};

static void *lease_for_the_tap(void *argument)
{
    struct elsewhere *elsewhere = argument;
    void *resource = NULL;
    elsewhere->status = ostler_tap_try_acquire_shared(elsewhere->tap, &elsewhere->lease, &resource);
    CHECK((resource != NULL) == (elsewhere->lease.value != 0));
    return NULL;
}

TEST(another_thread_leases_for_a_tap_what_all_share)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = bare_pool(farm, config_with(2));
    struct elsewhere elsewhere = {.tap = open_tap(pool)};
    void *resource;
    warm(1, elsewhere.tap);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, lease_for_the_tap, &elsewhere) == 0);
    pthread_join(thread, NULL);
    CHECK_STATUS(elsewhere.status, OSTLER_OK);
    CHECK_EQ(pool_stats(pool).created, 1);
    /* What was at hand was all there was. It belongs to the tap, so its user ends it there. */
    CHECK_EQ(elsewhere.tap->count, 0);
    const ostler_lease first = elsewhere.lease, second = through(1, elsewhere.tap, &resource);
    CHECK_EQ(pool_stats(pool).created, 2);
    CHECK_STATUS(ostler_tap_try_acquire_shared(elsewhere.tap, &elsewhere.lease, &resource), OSTLER_E_EXHAUSTED);
    CHECK(elsewhere.lease.value == 0 && resource == NULL);
    CHECK_STATUS(ostler_tap_release(elsewhere.tap, second), OSTLER_OK);
    CHECK_STATUS(ostler_tap_release(elsewhere.tap, first), OSTLER_OK);
    CHECK_STATUS(ostler_tap_try_acquire_shared(NULL, &elsewhere.lease, &resource), OSTLER_E_INVALID_HANDLE);
    ends(elsewhere.tap, pool, farm);
}

/* A resource that broke is no reason to take from others what they have at hand. */
TEST(discard_through_a_tap_leaves_alone_what_is_at_hand)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = bare_pool(farm, config_with(4));
    ostler_tap *tap = open_tap(pool), *other = open_tap(pool);
    ostler_lease leases[4];
    void *resource;
    ride_together(1, tap, 4, leases);
    CHECK_STATUS(ostler_tap_release_n_inline(tap, leases, 4, NULL), OSTLER_OK);
    warm(1, tap);
    ride_together(1, tap, 4, leases);
    CHECK_STATUS(ostler_tap_release(tap, leases[0]), OSTLER_OK);
    CHECK_EQ(tap->count, 1);
    CHECK_STATUS(ostler_tap_discard(tap, leases[1]), OSTLER_OK);
    CHECK_EQ(tap->count, 1);
    CHECK_EQ(pool_stats(pool).destroyed_discarded, 1);
    CHECK_STATUS(ostler_tap_discard(tap, leases[1]), OSTLER_E_STALE_LEASE);
    CHECK_STATUS(ostler_tap_release(tap, leases[1]), OSTLER_E_STALE_LEASE);
    CHECK_EQ(tap->count, 1);
    /* One of another tap, and one of none. */
    CHECK_STATUS(ostler_tap_discard(other, leases[2]), OSTLER_OK);
    CHECK_STATUS(ostler_tap_release(tap, leases[3]), OSTLER_OK);
    CHECK_STATUS(ostler_tap_discard(tap, acquire_now(pool)), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).destroyed_discarded, 3);
    CHECK_EQ(pool_stats(pool).in_use, 0);
    CHECK_STATUS(ostler_tap_discard(NULL, leases[0]), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_tap_close(other), OSTLER_OK);
    ostler_lease last = through(1, tap, &resource);
    CHECK_STATUS(ostler_tap_discard(other, last), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_tap_discard(tap, last), OSTLER_OK);
    ends(tap, pool, farm);
}

TEST(tap_has_nothing_at_hand_where_callbacks_come_between)
{
    FOR_EACH_TWIN(i)
    {
        struct farm *farm = make_farm();
        ostler_pool *pool = pool_of(farm, config_with(2));
        ostler_tap *tap = open_tap(pool);
        void *resource;
        warm(i, tap);
        CHECK_EQ(tap->count, 0);
        CHECK_EQ(atomic_load(&farm->reset), 300);
        CHECK_EQ(atomic_load(&farm->validated), 299);
        ostler_lease lease = through(i, tap, &resource);
        CHECK_STATUS(releases[i](tap, lease), OSTLER_OK);
        CHECK_STATUS(releases[i](tap, lease), OSTLER_E_STALE_LEASE);
        ends(tap, pool, farm);
    }
}

TEST(holder_of_a_lease_through_a_tap_is_named)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = bare_pool(farm, config_with(1));
    ostler_tap *tap = open_tap(pool);
    ostler_lease_info info;
    uint64_t count;
    void *resource;
    warm(1, tap);
    ostler_lease lease = through(1, tap, &resource);
    CHECK_STATUS(ostler_pool_list_leases(pool, &info, 1, &count), OSTLER_OK);
    CHECK_EQ(count, 1);
    CHECK_EQ(info.lease.value, lease.value);
    CHECK_EQ(info.resource, resource);
    CHECK_EQ(info.thread_id, (uint32_t)getpid());
    CHECK_STATUS(ostler_tap_release_inline(tap, lease), OSTLER_OK);
    ends(tap, pool, farm);
}

/* No caller goes without while one lies in a tap, and none is made beyond the bound. */
TEST(what_lies_in_a_tap_is_everybodys)
{
    FOR_EACH_TWIN(i)
    {
        struct farm *farm = make_farm();
        ostler_pool *pool = bare_pool(farm, config_with(2));
        ostler_tap *tap = open_tap(pool), *other = open_tap(pool);
        ostler_lease leases[2], lease = {0};
        void *resource, *resources[2];
        for (int round = 0; round < 50; round++) {
            warm(i, tap);
            for (int k = 0; k < 2; k++)
                leases[k] = through(i, tap, &resource);
            CHECK_STATUS(ostler_pool_try_acquire(pool, &lease, &resource), OSTLER_E_EXHAUSTED);
            CHECK_STATUS(acquires[i](other, 0, NULL, &lease, &resource), OSTLER_E_TIMEOUT);
            for (int k = 0; k < 2; k++)
                CHECK_STATUS(releases[i](tap, leases[k]), OSTLER_OK);
            CHECK_STATUS(round % 2 ? ostler_pool_try_acquire(pool, &lease, &resource)
                                   : acquires[i](other, 0, NULL, &lease, &resource),
                         OSTLER_OK);
            CHECK_STATUS(ostler_pool_acquire_n(pool, 2, 0, NULL, leases, resources), OSTLER_E_TIMEOUT);
            CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
            CHECK_EQ(pool_stats(pool).created, 2);
        }
        CHECK_STATUS(ostler_tap_close(other), OSTLER_OK);
        ends(tap, pool, farm);
    }
}

/* Whoever needs to have all that is idle has it. */
TEST(tap_is_emptied_for_who_pauses_trims_resizes_refreshes_and_closes)
{
    FOR_EACH_TWIN(i)
    {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(3);
        ostler_pool *pool = bare_pool(farm, config);
        ostler_tap *tap = open_tap(pool);
        ostler_lease lease, leases[3];
        void *resource;
        uint32_t trimmed;
        for (int k = 0; k < 3; k++)
            leases[k] = through(i, tap, &resource);
        for (int k = 0; k < 3; k++)
            CHECK_STATUS(releases[i](tap, leases[k]), OSTLER_OK);
        warm(i, tap);
        CHECK_STATUS(ostler_pool_pause(pool), OSTLER_OK);
        CHECK_STATUS(acquires[i](tap, 0, NULL, &lease, &resource), OSTLER_E_TIMEOUT);
        CHECK_EQ(lease.value, 0);
        CHECK_EQ(resource, NULL);
        CHECK_STATUS(ostler_pool_resume(pool), OSTLER_OK);
        warm(i, tap);
        CHECK_STATUS(ostler_pool_trim(pool, 0, &trimmed), OSTLER_OK);
        CHECK_EQ(trimmed, 3);
        CHECK_EQ(pool_stats(pool).idle, 0);
        for (int k = 0; k < 3; k++)
            leases[k] = through(i, tap, &resource);
        /* What is leased when the pool shrinks, or is refreshed, goes when it comes back. */
        CHECK_STATUS(ostler_pool_resize(pool, 0, 2), OSTLER_OK);
        CHECK_STATUS(releases[i](tap, leases[0]), OSTLER_OK);
        CHECK_EQ(pool_stats(pool).destroyed_surplus, 1);
        CHECK_STATUS(releases[i](tap, leases[1]), OSTLER_OK);
        warm(i, tap);
        CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK);
        CHECK_EQ(pool_stats(pool).destroyed_refreshed, 1);
        warm(i, tap);
        CHECK_STATUS(releases[i](tap, leases[2]), OSTLER_OK);
        CHECK_EQ(pool_stats(pool).destroyed_refreshed, 2);
        warm(i, tap);
        uint64_t still_out;
        CHECK_STATUS(ostler_pool_close(pool, 0, NULL, &still_out), OSTLER_OK);
        CHECK_STATUS(acquires[i](tap, 0, NULL, &lease, &resource), OSTLER_E_CLOSED);
        ends(tap, pool, farm);
    }
}

/* A destroyed pool lasts as long as a tap of it is open. */
TEST(tap_outlives_its_pool)
{
    FOR_EACH_TWIN(i)
    {
        struct farm *farm = make_farm();
        ostler_pool *pool = bare_pool(farm, config_with(2));
        ostler_tap *tap = open_tap(pool);
        ostler_lease lease, next;
        void *resource;
        warm(i, tap);
        lease = through(i, tap, &resource);
        CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
        CHECK_STATUS(acquires[i](tap, 0, NULL, &next, &resource), OSTLER_E_CLOSED);
        CHECK_STATUS(releases[i](tap, lease), OSTLER_OK);
        CHECK_STATUS(releases[i](tap, lease), OSTLER_E_STALE_LEASE);
        CHECK_EQ(atomic_load(&farm->destroyed), atomic_load(&farm->created));
        CHECK_STATUS(acquires[i](tap, 0, NULL, &next, &resource), OSTLER_E_CLOSED);
        CHECK_STATUS(ostler_tap_close(tap), OSTLER_OK);
        CHECK_STATUS(ostler_tap_close(tap), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(acquires[i](tap, 0, NULL, &next, &resource), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(releases[i](tap, lease), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_E_INVALID_HANDLE);
        free(farm);
    }
    uint64_t objects;
    CHECK_STATUS(ostler_shutdown(0, &objects), OSTLER_OK);
    CHECK_EQ(objects, 0);
}

TEST(pointers_that_are_no_taps_are_refused)
{
    FOR_EACH_TWIN(i)
    {
        static _Alignas(128) ostler_tap made_up;
        ostler_lease lease = {7};
        void *resource = &lease;
        CHECK_STATUS(acquires[i](NULL, 0, NULL, &lease, &resource), OSTLER_E_INVALID_HANDLE);
        CHECK_EQ(lease.value, 0);
        CHECK_EQ(resource, NULL);
        CHECK_STATUS(acquires[i](&made_up, 0, NULL, &lease, &resource), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(releases[i](&made_up, lease), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(releases[i](NULL, lease), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(ostler_tap_close(&made_up), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(ostler_tap_close(NULL), OSTLER_OK);
    }
    struct farm *farm = make_farm();
    ostler_pool *pool = bare_pool(farm, config_with(1));
    ostler_tap *tap = NULL;
    ostler_lease lease;
    void *resource;
    CHECK_STATUS(ostler_tap_open(pool, NULL), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_tap_open(NULL, &tap), OSTLER_E_INVALID_HANDLE);
    CHECK_EQ(tap, NULL);
    tap = open_tap(pool);
    warm(1, tap);
    CHECK_STATUS(ostler_tap_acquire_inline(tap, 0, NULL, NULL, &resource), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_tap_acquire_inline(tap, 0, NULL, &lease, NULL), OSTLER_E_INVALID_ARGUMENT);
    CHECK_EQ(lease.value, 0);
    ends(tap, pool, farm);
}

/* Idle ones go by their age, also those that lie in a tap. */
TEST(what_lies_in_a_tap_grows_old)
{
    FOR_EACH_TWIN(i)
    {
        freeze();
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(2);
        config.idle_timeout_ns = 8 * SECOND;
        ostler_pool *pool = bare_pool(farm, config);
        ostler_tap *tap = open_tap(pool);
        void *resource;
        settle();
        warm(i, tap);
        CHECK_EQ(atomic_load(&farm->destroyed), 0);
        for (int k = 0; k < 8; k++)
            pass(2 * SECOND);
        CHECK_EQ(atomic_load(&farm->destroyed), 1);
        ostler_lease lease = through(i, tap, &resource);
        CHECK_EQ(atomic_load(&farm->created), 2);
        CHECK_STATUS(releases[i](tap, lease), OSTLER_OK);
        warm(i, tap);
        ends(tap, pool, farm);
        thaw();
    }
}

/* Leases so many at once, and gives them back. */
static ostler_status many(int twin, ostler_tap *tap, uint32_t count, ostler_lease *leases)
{
    void *resources[3];
    const ostler_status status = acquires_n[twin](tap, count, 0, NULL, leases, resources);
    return status == OSTLER_OK ? releases_n[twin](tap, leases, count, NULL) : status;
}

/* Both twins, on the same sequence, by chance, in a pool each: the same statuses and the same numbers. */
TEST(twins_do_the_same)
{
    uint64_t chance = 88172645463325252u;
    for (int round = 0; round < 30; round++) {
        struct farm *farms[2];
        ostler_pool *pools[2];
        ostler_tap *taps[2][2];
        struct { ostler_lease lease[2]; } held[32];
        ostler_lease leases[2][3];
        int count = 0;
        FOR_EACH_TWIN(i)
        {
            farms[i] = make_farm();
            pools[i] = bare_pool(farms[i], config_with(1 + (uint32_t)round % 12));
            for (int t = 0; t < 2; t++)
                taps[i][t] = open_tap(pools[i]);
        }
        for (int step = 0; step < 4000; step++) {
            chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
            int t = (int)(chance >> 8 & 1), what = (int)(chance >> 16 & 15);
            int at = count ? (int)((chance >> 32) % (unsigned)count) : 0;
            ostler_status status[2];
            FOR_EACH_TWIN(i)
            {
                void *resource;
                ostler_lease none = {0};
                if (what == 6)
                    status[i] = many(i, taps[i][t], (uint32_t)(chance >> 44 & 3), leases[i]);
                else if (what < 6)
                    status[i] = count < 32 ? acquires[i](taps[i][t], 0, NULL, &held[count].lease[i], &resource) : 1;
                else if (what < 13)
                    status[i] = releases[i](taps[i][t], count ? held[at].lease[i] : none);
                else if (what == 13)
                    status[i] = count ? ostler_pool_release(pools[i], held[at].lease[i]) : 1;
                else if (what == 14)
                    status[i] = chance >> 40 & 7 ? 1 : ostler_pool_refresh(pools[i]);
                else
                    status[i] = chance >> 40 & 7 ? 1 : ostler_pool_trim(pools[i], 1, NULL);
            }
            CHECK_STATUS(status[0], status[1]);
            if (what < 6 && status[0] == OSTLER_OK)
                count++;
            /* Now and then a lease that has ended stays in the list. */
            if (what >= 7 && what < 14 && status[0] == OSTLER_OK && (chance >> 50 & 3))
                held[at] = held[--count];
            else if (what >= 7 && what < 14 && status[0] == OSTLER_E_STALE_LEASE && count)
                held[at] = held[--count];
            ostler_pool_stats stats[2] = {pool_stats(pools[0]), pool_stats(pools[1])};
            CHECK_EQ(stats[0].in_use, stats[1].in_use);
            CHECK_EQ(stats[0].idle, stats[1].idle);
            CHECK_EQ(stats[0].created, stats[1].created);
            CHECK_EQ(stats[0].acquires, stats[1].acquires);
            CHECK(stats[1].created - stats[1].destroyed <= 1 + (unsigned)round % 12);
        }
        while (count-- > 0)
            FOR_EACH_TWIN(i) (void)ostler_pool_release(pools[i], held[count].lease[i]);
        FOR_EACH_TWIN(i)
        {
            CHECK_STATUS(ostler_tap_close(taps[i][0]), OSTLER_OK);
            ends(taps[i][1], pools[i], farms[i]);
        }
    }
}

/* Threads with taps of their own and others without, who have less than they want; some end what is not theirs. */
enum { RIDERS = 4, RIDES = 20000 };

struct rider {
    pthread_t thread;
    ostler_pool *pool;
    int kind;
    _Atomic uint64_t *shown;
};

static void *ride(void *argument)
{
    struct rider *rider = argument;
    ostler_tap *tap = rider->kind < 3 ? open_tap(rider->pool) : NULL;
    uint64_t chance = 0x9e3779b97f4a7c15u * (uint64_t)(rider->kind + 1);
    for (int i = 0; i < RIDES; i++) {
        chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
        ostler_lease lease;
        void *resource;
        EXPECT_STATUS(tap ? ostler_tap_acquire_inline(tap, OSTLER_FOREVER, NULL, &lease, &resource)
                          : ostler_pool_acquire(rider->pool, OSTLER_FOREVER, NULL, &lease, &resource),
                      OSTLER_OK);
        struct horse *horse = resource;
        EXPECT_EQ(atomic_fetch_add(&horse->riders, 1), 0);
        EXPECT(atomic_load(&horse->alive));
        EXPECT_EQ(atomic_fetch_sub(&horse->riders, 1), 1);
        if (chance % 64 == 0) {
            /* Shown to whoever wants to end it as well: one of the two does. */
            atomic_store(rider->shown, lease.value);
        }
        ostler_status status =
            tap && chance % 16 ? ostler_tap_release_inline(tap, lease) : ostler_pool_release(rider->pool, lease);
        EXPECT(status == OSTLER_OK || status == OSTLER_E_STALE_LEASE);
        if (chance % 256 == 0) {
            ostler_lease theirs = {atomic_exchange(rider->shown, 0)};
            status = tap ? ostler_tap_release_inline(tap, theirs) : ostler_pool_release(rider->pool, theirs);
            EXPECT(status == OSTLER_OK || status == OSTLER_E_STALE_LEASE);
        }
        if (tap && chance % 4096 == 0) {
            EXPECT_STATUS(ostler_tap_close(tap), OSTLER_OK);
            tap = open_tap(rider->pool);
        }
    }
    EXPECT_STATUS(ostler_tap_close(tap), OSTLER_OK);
    return NULL;
}

TEST(one_has_it_at_a_time_through_taps_and_without)
{
    for (uint32_t resources = 2; resources <= 6; resources += 2) {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(resources);
        if (resources == 4)
            config.idle_timeout_ns = SECOND; /* idle ones are claimed */
        ostler_pool *pool = bare_pool(farm, config);
        static _Atomic uint64_t shown;
        struct rider riders[RIDERS];
        for (int i = 0; i < RIDERS; i++) {
            riders[i] = (struct rider){.pool = pool, .kind = i, .shown = &shown};
            pthread_create(&riders[i].thread, NULL, ride, &riders[i]);
        }
        for (int i = 0; i < RIDERS; i++)
            pthread_join(riders[i].thread, NULL);
        ostler_pool_stats stats = pool_stats(pool);
        CHECK_EQ(stats.in_use, 0);
        CHECK_EQ(stats.acquires, RIDERS * RIDES);
        CHECK(stats.created <= resources || config.idle_timeout_ns);
        CHECK_EQ(stats.created, stats.destroyed + stats.idle);
        end(pool, farm);
    }
}

/* As a tap of a library that has another layout; the inline code that used its fields all the same would crash. */
static ostler_tap *of_another_layout(ostler_tap *tap)
{
    tap->layout = OSTLER_TAP_LAYOUT + 1;
    tap->slots = NULL;
    return tap;
}

TEST(tap_of_another_layout_asks_the_library)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = bare_pool(farm, config_with(4));
    ostler_tap *tap = open_tap(pool);
    ostler_slot *const slots = tap->slots;
    ostler_lease leases[2];
    void *resources[2];
    uint32_t released = 0;
    warm(1, tap);
    CHECK(tap->count > 0);
    /* Each call may say anew that it is of this layout. */
    leases[0] = through(1, of_another_layout(tap), &resources[0]);
    CHECK_STATUS(ostler_tap_release_inline(of_another_layout(tap), leases[0]), OSTLER_OK);
    CHECK_EQ(tap->count, 1);
    CHECK_STATUS(ostler_tap_acquire_n_inline(of_another_layout(tap), 2, 0, NULL, leases, resources), OSTLER_OK);
    CHECK_STATUS(ostler_tap_release_n_inline(of_another_layout(tap), leases, 2, &released), OSTLER_OK);
    CHECK_EQ(released, 2);
    tap->slots = slots;
    ends(tap, pool, farm);
}

TEST(forked_child_is_told_so)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = bare_pool(farm, config_with(2));
    ostler_tap *tap = open_tap(pool);
    void *resource;
    warm(1, tap);
    ostler_lease out = through(1, tap, &resource);
    pid_t child = fork();
    if (child == 0) {
        ostler_lease lease;
        int is_told = ostler_tap_acquire_inline(tap, 0, NULL, &lease, &resource) == OSTLER_E_FORKED &&
                      ostler_tap_release_inline(tap, out) == OSTLER_E_FORKED && ostler_tap_close(tap) == OSTLER_E_FORKED;
        _exit(is_told ? 0 : 1);
    }
    int status = 1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_STATUS(ostler_tap_release_inline(tap, out), OSTLER_OK);
    ends(tap, pool, farm);
}

CHECK_MAIN()
