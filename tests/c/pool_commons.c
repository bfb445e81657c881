/* What went wrong in the pool that most have used and mended for twenty years: each test is named by the fault, and
 * cites the entry (POOL-...) of Apache Commons Pool in its list of changes. */
#define _GNU_SOURCE
#include "farm.h"
#include <dirent.h>

#define MS 1000000ull
#define MOST_RIDERS 12

static ostler_status acquire_within(ostler_pool *pool, uint64_t timeout_ns, ostler_cancel *cancel, ostler_lease *lease)
{
    void *resource;
    return ostler_pool_acquire(pool, timeout_ns, cancel, lease, &resource);
}

static void release(ostler_pool *pool, ostler_lease lease)
{
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
}

/* Somebody who wants one, on a thread of its own, and keeps it until it is told. */
struct rider {
    ostler_pool *pool;
    ostler_cancel *cancel;
    uint64_t timeout_ns;
    pthread_t thread;
    ostler_status status;
    ostler_lease lease;
    struct tally ended; /* the wait */
};

static void *ride(void *argument)
{
    struct rider *rider = argument;
    rider->status = acquire_within(rider->pool, rider->timeout_ns, rider->cancel, &rider->lease);
    tally_add(&rider->ended, 1);
    return NULL;
}

static void set_out(struct rider *rider, ostler_pool *pool, uint64_t timeout_ns, ostler_cancel *cancel)
{
    *rider = (struct rider){.pool = pool, .cancel = cancel, .timeout_ns = timeout_ns, .ended = TALLY_INIT};
    pthread_create(&rider->thread, NULL, ride, rider);
}

/* The rider waits inside the pool when this returns. */
static void line_up(struct rider *rider, ostler_pool *pool)
{
    uint64_t before = pool_stats(pool).waiting;
    set_out(rider, pool, OSTLER_FOREVER, NULL);
    AWAIT(pool_stats(pool).waiting == before + 1);
}

static void come_home(struct rider *rider, ostler_status status)
{
    pthread_join(rider->thread, NULL);
    CHECK_STATUS(rider->status, status);
    if (status == OSTLER_OK)
        release(rider->pool, rider->lease);
}

/* Every place is to be had at once: none leaked. */
static void check_capacity(ostler_pool *pool, int capacity)
{
    ostler_lease leases[16];
    for (int i = 0; i < capacity; i++)
        CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, NULL, &leases[i]), OSTLER_OK);
    CHECK_STATUS(acquire_within(pool, 0, NULL, &leases[capacity]), OSTLER_E_TIMEOUT);
    for (int i = 0; i < capacity; i++)
        release(pool, leases[i]);
    CHECK_EQ(pool_stats(pool).waiting, 0);
    check_accounts(pool);
}

/* POOL-75: threads got what came back in no order. */
TEST(borrowers_were_not_served_first_come_first_served)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease held = acquire_now(pool);
    struct rider riders[4];
    for (int i = 0; i < 4; i++)
        line_up(&riders[i], pool);
    release(pool, held);
    for (int i = 0; i < 4; i++) {
        tally_await(&riders[i].ended, 1);
        CHECK_EQ(pool_stats(pool).waiting, (uint64_t)(3 - i));
        come_home(&riders[i], OSTLER_OK);
    }
    end(pool, farm);
}

/* How many there are while one more is made. */
static atomic_int most_alive;

static ostler_status create_and_count(void *user_data, void **resource)
{
    struct farm *farm = user_data;
    ostler_status status = create_horse(farm, resource);
    int alive = atomic_load(&farm->created) - atomic_load(&farm->destroyed), most = atomic_load(&most_alive);
    while (alive > most && !atomic_compare_exchange_weak(&most_alive, &most, alive))
        continue;
    sched_yield();
    return status;
}

static void *come_and_go(void *argument)
{
    struct rider *rider = argument;
    for (int i = 0; i < 1000; i++) {
        if (!EXPECT_STATUS(acquire_within(rider->pool, OSTLER_FOREVER, NULL, &rider->lease), OSTLER_OK))
            break;
        ostler_status (*end_it)(ostler_pool *, ostler_lease) = i % 3 ? ostler_pool_release : ostler_pool_discard;
        EXPECT_STATUS(end_it(rider->pool, rider->lease), OSTLER_OK);
    }
    return NULL;
}

/* POOL-107, POOL-135: under load more were made than the maximum. */
TEST(more_were_made_than_the_maximum)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(3);
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool *pool;
    struct rider riders[6];
    atomic_store(&most_alive, 0);
    callbacks.create = create_and_count;
    callbacks.destroy = destroy_horse;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, farm, &pool), OSTLER_OK);
    for (int i = 0; i < 6; i++) {
        riders[i] = (struct rider){.pool = pool};
        pthread_create(&riders[i].thread, NULL, come_and_go, &riders[i]);
    }
    for (int i = 0; i < 6; i++)
        pthread_join(riders[i].thread, NULL);
    CHECK(atomic_load(&most_alive) <= 3);
    CHECK(pool_stats(pool).peak_in_use <= 3);
    check_capacity(pool, 3);
    end(pool, farm);
}

/* POOL-144: a client that gave up took its place with it. */
TEST(wait_that_timed_out_leaked_capacity)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    ostler_lease held[2] = {acquire_now(pool), acquire_now(pool)}, more;
    for (int i = 0; i < 50; i++)
        CHECK_STATUS(acquire_within(pool, (uint64_t)i * 1000, NULL, &more), OSTLER_E_TIMEOUT);
    release(pool, held[0]);
    /* This one has one of its two in the hand when it gives up. */
    ostler_lease two[2];
    void *resources[2];
    CHECK_STATUS(ostler_pool_acquire_n(pool, 2, MS, NULL, two, resources), OSTLER_E_TIMEOUT);
    release(pool, held[1]);
    check_capacity(pool, 2);
    end(pool, farm);
}

/* POOL-147, POOL-149: a thread waited for ever although something was idle. Half give up at the moment of a release. */
static void *give_up_often(void *argument)
{
    struct rider *rider = argument;
    for (int i = 0; i < 1500; i++) {
        uint64_t timeout_ns = rider->timeout_ns ? OSTLER_FOREVER : (uint64_t)(i % 30) * 1000;
        rider->status = acquire_within(rider->pool, timeout_ns, NULL, &rider->lease);
        if (rider->status == OSTLER_OK)
            EXPECT_STATUS(ostler_pool_release(rider->pool, rider->lease), OSTLER_OK);
        else
            EXPECT_STATUS(rider->status, OSTLER_E_TIMEOUT);
    }
    return NULL;
}

TEST(thread_waited_although_something_was_idle)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    struct rider riders[8];
    for (int i = 0; i < 8; i++) {
        riders[i] = (struct rider){.pool = pool, .timeout_ns = i % 2};
        pthread_create(&riders[i].thread, NULL, give_up_often, &riders[i]);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(riders[i].thread, NULL);
    check_capacity(pool, 2);
    end(pool, farm);
}

/* POOL-152: one that was just made failed its validation, and whoever waited did so for ever. */
TEST(failed_validation_blocked_an_exhausted_pool)
{
    for (uint32_t creators = 0; creators < 2; creators++) {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(1);
        config.creator_threads = creators;
        ostler_pool *pool = pool_of(farm, config);
        struct rider riders[2];
        ostler_lease held;
        CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, NULL, &held), OSTLER_OK);
        line_up(&riders[0], pool);
        line_up(&riders[1], pool);
        atomic_store(&farm->refuse_validate, 1);
        release(pool, held);
        tally_await(&farm->destroys, creators ? 3 : 1);
        atomic_store(&farm->refuse_validate, 0);
        come_home(&riders[0], OSTLER_OK);
        come_home(&riders[1], OSTLER_OK);
        check_capacity(pool, 1);
        end(pool, farm);
    }
}

/* POOL-162, POOL-179: a waiting thread was interrupted, and its place was gone. */
TEST(interrupted_wait_leaked_capacity)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    for (int i = 0; i < 200; i++) {
        struct rider rider;
        ostler_cancel *cancel;
        ostler_lease held;
        CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, NULL, &held), OSTLER_OK);
        CHECK_STATUS(ostler_cancel_create(&cancel), OSTLER_OK);
        set_out(&rider, pool, OSTLER_FOREVER, cancel);
        AWAIT(pool_stats(pool).waiting == 1);
        /* The two meet, now this way and now that. */
        if (i % 2)
            CHECK_STATUS(ostler_cancel_signal(cancel), OSTLER_OK);
        release(pool, held);
        CHECK_STATUS(ostler_cancel_signal(cancel), OSTLER_OK);
        pthread_join(rider.thread, NULL);
        if (rider.status == OSTLER_OK)
            release(pool, rider.lease);
        else
            CHECK_STATUS(rider.status, OSTLER_E_CANCELLED);
        CHECK_STATUS(ostler_cancel_destroy(cancel), OSTLER_OK);
    }
    check_capacity(pool, 1);
    end(pool, farm);
}

/* POOL-184, POOL-125: the evictor and the borrowers took one another's objects, until there were none. */
TEST(eviction_starved_the_borrowers)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.idle_timeout_ns = 1;
    config.keepalive_ns = 1;
    config.max_lifetime_ns = MS;
    ostler_pool *pool = pool_of(farm, config);
    struct rider riders[3];
    for (int i = 0; i < 3; i++) {
        riders[i] = (struct rider){.pool = pool};
        pthread_create(&riders[i].thread, NULL, come_and_go, &riders[i]);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(riders[i].thread, NULL);
    check_capacity(pool, 2);
    end(pool, farm);
}

/* POOL-189: threads that waited when the pool was closed waited on. */
TEST(close_left_the_waiting_blocked)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease held = acquire_now(pool);
    struct rider riders[3];
    for (int i = 0; i < 3; i++)
        line_up(&riders[i], pool);
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, NULL), OSTLER_E_TIMEOUT);
    for (int i = 0; i < 3; i++)
        come_home(&riders[i], OSTLER_E_CLOSED);
    release(pool, held);
    end(pool, farm);
}

static void *ask_for_three(void *argument)
{
    struct rider *rider = argument;
    ostler_lease leases[3];
    void *resources[3];
    rider->status = ostler_pool_acquire_n(rider->pool, 3, OSTLER_FOREVER, NULL, leases, resources);
    if (rider->status == OSTLER_OK)
        EXPECT_STATUS(ostler_pool_release_n(rider->pool, leases, 3, NULL), OSTLER_OK);
    return NULL;
}

/* POOL-192, POOL-391, POOL-401: what clear freed was counted as used, or told to nobody who waited. */
TEST(clear_leaked_capacity)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    ostler_lease held = acquire_now(pool), other = acquire_now(pool);
    struct rider rider = {.pool = pool};
    release(pool, other);
    /* It has two of the three in its hand when they grow old. */
    pthread_create(&rider.thread, NULL, ask_for_three, &rider);
    AWAIT(pool_stats(pool).waiting == 1);
    CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK);
    release(pool, held);
    pthread_join(rider.thread, NULL);
    CHECK_STATUS(rider.status, OSTLER_OK);
    CHECK_EQ(pool_stats(pool).destroyed_refreshed, 2);
    for (int i = 0; i < 20; i++)
        CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK);
    check_capacity(pool, 3);
    end(pool, farm);
}

/* POOL-240, POOL-424: an object was destroyed as it came back or was invalidated, and nobody told those who waited. */
TEST(destroyed_on_return_and_nobody_told_the_waiting)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    for (int way = 0; way < 3; way++) {
        struct rider rider;
        ostler_lease held;
        CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, NULL, &held), OSTLER_OK);
        line_up(&rider, pool);
        atomic_store(&farm->refuse_reset, way == 0);
        atomic_store(&farm->refuse_validate, way == 1);
        if (way == 2)
            CHECK_STATUS(ostler_pool_discard(pool, held), OSTLER_OK);
        else
            release(pool, held);
        tally_await(&rider.ended, 1);
        atomic_store(&farm->refuse_reset, 0);
        atomic_store(&farm->refuse_validate, 0);
        come_home(&rider, OSTLER_OK);
    }
    ostler_pool_stats stats = pool_stats(pool);
    CHECK(stats.destroyed_reset == 1 && stats.destroyed_invalid == 1 && stats.destroyed_discarded == 1);
    check_capacity(pool, 1);
    end(pool, farm);
}

/* POOL-243: each create that threw took a place with it. */
TEST(create_that_threw_leaked_capacity)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(3);
    config.breaker_failures = 1000;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease lease, many[3];
    void *resources[3];
    atomic_store(&farm->refuse_create, 1);
    for (int i = 0; i < 20; i++) {
        CHECK_STATUS(acquire_within(pool, OSTLER_FOREVER, NULL, &lease), OSTLER_E_CREATE_FAILED);
        CHECK_STATUS(ostler_pool_acquire_n(pool, 3, OSTLER_FOREVER, NULL, many, resources), OSTLER_E_CREATE_FAILED);
    }
    atomic_store(&farm->refuse_create, 0);
    check_capacity(pool, 3);
    end(pool, farm);
}

/* POOL-248: an object was returned twice, and the counts of active and idle ones were wrong from then on. */
TEST(second_return_corrupted_the_counts)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    ostler_lease lease = acquire_now(pool);
    release(pool, lease);
    ostler_lease others = acquire_now(pool);
    for (int i = 0; i < 5; i++) {
        CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_E_STALE_LEASE);
        CHECK_STATUS(ostler_pool_discard(pool, lease), OSTLER_E_STALE_LEASE);
    }
    CHECK(pool_stats(pool).in_use == 1 && pool_stats(pool).idle == 0);
    release(pool, others);
    check_capacity(pool, 2);
    end(pool, farm);
}

static void *give_back(void *argument)
{
    struct rider *rider = argument;
    EXPECT_STATUS(ostler_pool_release(rider->pool, rider->lease), OSTLER_OK);
    return NULL;
}

/* POOL-263: what was returned while the pool was closed was not destroyed. */
TEST(return_during_close_left_one_alive)
{
    for (int i = 0; i < 200; i++) {
        struct farm *farm = make_farm();
        ostler_pool *pool = pool_of(farm, config_with(2));
        struct rider rider = {.pool = pool, .lease = acquire_now(pool)};
        pthread_create(&rider.thread, NULL, give_back, &rider);
        CHECK_STATUS(ostler_pool_close(pool, OSTLER_FOREVER, NULL, NULL), OSTLER_OK);
        CHECK_EQ(atomic_load(&farm->destroyed), 1);
        pthread_join(rider.thread, NULL);
        end(pool, farm);
    }
}

/* Validates slowly: each call is let go by the test. */
static struct tally validations, may_validate;

static ostler_status validate_slowly(void *user_data, void *resource)
{
    long call = tally_add(&validations, 1);
    tally_await(&may_validate, call);
    return validate_horse(user_data, resource);
}

/* POOL-287, POOL-340: one that the evictor was validating was lent, or its place was lost. */
TEST(lent_while_the_evictor_validated_it)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool *pool;
    struct rider rider;
    validations = may_validate = (struct tally)TALLY_INIT;
    config.keepalive_ns = 1;
    callbacks.create = create_horse;
    callbacks.validate = validate_slowly;
    callbacks.destroy = destroy_horse;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, farm, &pool), OSTLER_OK);
    release(pool, acquire_now(pool));
    tally_await(&validations, 1);
    /* The only one is in the evictor's hands: who comes waits for it, and has it validated again for itself. */
    line_up(&rider, pool);
    tally_add(&may_validate, 1000000);
    come_home(&rider, OSTLER_OK);
    CHECK_EQ(pool_stats(pool).created, 1);
    check_capacity(pool, 1);
    end(pool, farm);
}

/* POOL-303, POOL-310, POOL-356: more threads than the maximum, no create works, and those who wait do so for ever. */
TEST(all_creates_failed_and_the_waiting_never_learned)
{
    for (uint32_t creators = 0; creators < 2; creators++) {
        struct farm *farm = make_farm();
        ostler_pool_config config = config_with(2);
        config.creator_threads = creators;
        ostler_pool *pool = pool_of(farm, config);
        struct rider riders[MOST_RIDERS];
        atomic_store(&farm->gated, 1);
        atomic_store(&farm->refuse_create, 1);
        for (int i = 0; i < MOST_RIDERS; i++)
            set_out(&riders[i], pool, OSTLER_FOREVER, NULL);
        AWAIT(pool_stats(pool).waiting + pool_stats(pool).creating >= MOST_RIDERS);
        tally_add(&farm->gate, 1000);
        for (int i = 0; i < MOST_RIDERS; i++)
            come_home(&riders[i], OSTLER_E_CREATE_FAILED);
        CHECK_EQ(pool_stats(pool).waiting, 0);
        end(pool, farm);
    }
}

/* POOL-347, POOL-418, POOL-420: each wake-up began the wait anew. The test goes on waking it until it ends. */
TEST(wake_up_began_the_timeout_anew)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease held = acquire_now(pool);
    struct rider rider;
    set_out(&rider, pool, 5 * MS, NULL);
    while (tally_read(&rider.ended) == 0)
        CHECK_STATUS(ostler_pool_resize(pool, 0, 1), OSTLER_OK);
    come_home(&rider, OSTLER_E_TIMEOUT);
    release(pool, held);
    end(pool, farm);
}

/* POOL-402: who did not wait was taken for one who waits, and idle ones were kept for it. */
TEST(who_does_not_wait_was_counted_among_the_waiting)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.soft_max_size = 1;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease held[2] = {acquire_now(pool), acquire_now(pool)}, more;
    void *resource;
    CHECK_STATUS(ostler_pool_try_acquire(pool, &more, &resource), OSTLER_E_EXHAUSTED);
    CHECK_STATUS(acquire_within(pool, 0, NULL, &more), OSTLER_E_TIMEOUT);
    CHECK_EQ(pool_stats(pool).waiting, 0);
    release(pool, held[0]);
    CHECK_EQ(pool_stats(pool).destroyed_surplus, 1);
    release(pool, held[1]);
    end(pool, farm);
}

struct enders {
    ostler_pool *pool;
    ostler_lease lease;
    atomic_int ready, ended;
};

static void end_at_once(struct enders *enders, ostler_status (*end_it)(ostler_pool *, ostler_lease))
{
    atomic_fetch_add(&enders->ready, 1);
    AWAIT(atomic_load(&enders->ready) == 2);
    ostler_status status = end_it(enders->pool, enders->lease);
    if (status == OSTLER_OK)
        atomic_fetch_add(&enders->ended, 1);
    else
        EXPECT_STATUS(status, OSTLER_E_STALE_LEASE);
}

static void *discard_at_once(void *argument)
{
    end_at_once(argument, ostler_pool_discard);
    return NULL;
}

/* POOL-419: returned by one thread and invalidated by another at once, an object was idle and destroyed. */
TEST(returned_and_invalidated_at_once)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    for (int i = 0; i < 300; i++) {
        struct enders enders = {.pool = pool, .lease = acquire_now(pool)};
        pthread_t other;
        pthread_create(&other, NULL, discard_at_once, &enders);
        end_at_once(&enders, ostler_pool_release);
        pthread_join(other, NULL);
        CHECK_EQ(atomic_load(&enders.ended), 1);
    }
    check_capacity(pool, 2);
    end(pool, farm);
}

/* POOL-421: adding to a pool that was full waited until it was not. */
TEST(adding_to_a_full_pool_waited)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    ostler_lease held[2] = {acquire_now(pool), acquire_now(pool)};
    uint32_t ready, wanted;
    CHECK_STATUS(ostler_pool_resize(pool, 2, 2), OSTLER_OK);
    CHECK_STATUS(ostler_pool_wait_warm(pool, OSTLER_FOREVER, NULL, &ready, &wanted), OSTLER_OK);
    CHECK(ready == 2 && wanted == 2);
    CHECK_STATUS(ostler_pool_refresh(pool), OSTLER_OK);
    release(pool, held[0]);
    release(pool, held[1]);
    AWAIT(pool_stats(pool).idle == 2 && pool_stats(pool).destroyed_refreshed == 2);
    end(pool, farm);
}

/* POOL-93, POOL-108: the factory worked under the pool's lock, and everybody waited for it. */
TEST(everybody_waited_while_the_factory_worked)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    struct rider rider;
    release(pool, acquire_now(pool));
    ostler_lease held = acquire_now(pool);
    atomic_store(&farm->gated, 1);
    set_out(&rider, pool, OSTLER_FOREVER, NULL);
    tally_await(&farm->create_calls, 2);
    release(pool, held);
    for (int i = 0; i < 100; i++)
        release(pool, acquire_now(pool));
    CHECK_EQ(pool_stats(pool).creating, 1);
    tally_add(&farm->gate, 1000);
    come_home(&rider, OSTLER_OK);
    end(pool, farm);
}

static int threads_of_pools(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; tasks && (entry = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *comm = fopen(path, "r");
        if (!comm)
            continue;
        count += fgets(name, sizeof name, comm) && strcmp(name, "ostler-pool\n") == 0;
        fclose(comm);
    }
    if (tasks)
        closedir(tasks);
    return count;
}

/* POOL-97, POOL-161, POOL-363: the thread of the evictor lived on after the last pool. */
TEST(evictor_outlived_its_pool)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    config.idle_timeout_ns = 3600 * 1000 * MS;
    config.creator_threads = 3;
    ostler_pool *pool = pool_of(farm, config);
    AWAIT(threads_of_pools() == 4);
    end(pool, farm);
    /* The kernel takes a joined thread off its list a moment later. */
    AWAIT(threads_of_pools() == 0);
}

CHECK_MAIN()
