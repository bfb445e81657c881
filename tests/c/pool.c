/* Pool: what becomes of a resource between its create and its one destroy. */
#include "farm.h"
#include "frozen.h"

TEST(resource_is_made_once_and_handed_out_again)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(4));
    for (int i = 0; i < 100; i++) {
        ostler_lease lease = acquire_now(pool);
        CHECK_EQ(horse_of(pool, lease)->number, 0);
        CHECK_EQ(pool_stats(pool).in_use, 1);
        CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    }
    ostler_pool_stats stats = pool_stats(pool);
    CHECK_EQ(stats.created, 1);
    CHECK_EQ(stats.acquires, 100);
    CHECK_EQ(stats.reuses, 99);
    CHECK_EQ(stats.idle, 1);
    CHECK_EQ(stats.peak_in_use, 1);
    CHECK_EQ(atomic_load(&farm->validated), 99);
    CHECK_EQ(atomic_load(&farm->reset), 100);
    check_accounts(pool);
    end(pool, farm);
}

TEST(never_more_than_max_size_are_out)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    ostler_lease leases[3], more = {99};
    void *resource = farm;
    for (int i = 0; i < 3; i++)
        leases[i] = acquire_now(pool);
    CHECK_STATUS(ostler_pool_try_acquire(pool, &more, &resource), OSTLER_E_EXHAUSTED);
    CHECK(more.value == 0 && resource == NULL);
    more.value = 99;
    resource = farm;
    CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &more, &resource), OSTLER_E_TIMEOUT);
    CHECK(more.value == 0 && resource == NULL);
    CHECK_EQ(pool_stats(pool).timeouts, 1);
    CHECK_STATUS(ostler_pool_release(pool, leases[1]), OSTLER_OK);
    CHECK_STATUS(ostler_pool_try_acquire(pool, &leases[1], &resource), OSTLER_OK);
    CHECK_EQ(resource, horse_of(pool, leases[1]));
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(ostler_pool_release(pool, leases[i]), OSTLER_OK);
    CHECK_EQ(atomic_load(&farm->created), 3);
    check_accounts(pool);
    end(pool, farm);
}

TEST(zero_max_size_is_the_default_of_16)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(0));
    ostler_lease leases[16], more;
    void *resource;
    for (int i = 0; i < 16; i++)
        leases[i] = acquire_now(pool);
    CHECK_STATUS(ostler_pool_try_acquire(pool, &more, &resource), OSTLER_E_EXHAUSTED);
    for (int i = 0; i < 16; i++)
        CHECK_STATUS(ostler_pool_release(pool, leases[i]), OSTLER_OK);
    end(pool, farm);
}

TEST(lease_is_stale_once_it_is_given_back)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease first = acquire_now(pool);
    CHECK_STATUS(ostler_pool_release(pool, first), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, first), OSTLER_E_STALE_LEASE);
    ostler_lease second = acquire_now(pool);
    void *resource = farm;
    CHECK(second.value != first.value);
    CHECK_STATUS(ostler_pool_release(pool, first), OSTLER_E_STALE_LEASE);
    CHECK_STATUS(ostler_pool_discard(pool, first), OSTLER_E_STALE_LEASE);
    CHECK_STATUS(ostler_pool_get_resource(pool, first, &resource), OSTLER_E_STALE_LEASE);
    CHECK_EQ(resource, NULL);
    CHECK_EQ(pool_stats(pool).in_use, 1);
    CHECK_STATUS(ostler_pool_discard(pool, second), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, second), OSTLER_E_STALE_LEASE);
    end(pool, farm);
}

TEST(lease_of_another_pool_is_refused)
{
    struct farm *farm = make_farm(), *other_farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2)), *other = pool_of(other_farm, config_with(2));
    ostler_lease lease = acquire_now(pool), others = acquire_now(other);
    CHECK_STATUS(ostler_pool_release(other, lease), OSTLER_E_STALE_LEASE);
    CHECK_STATUS(ostler_pool_release(pool, others), OSTLER_E_STALE_LEASE);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(other, others), OSTLER_OK);
    end(pool, farm);
    end(other, other_farm);
}

TEST(discarded_resource_is_not_kept)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    CHECK_STATUS(ostler_pool_discard(pool, acquire_now(pool)), OSTLER_OK);
    CHECK_EQ(atomic_load(&farm->destroyed), 1);
    CHECK_EQ(atomic_load(&farm->reset), 0);
    ostler_lease lease = acquire_now(pool);
    CHECK_EQ(horse_of(pool, lease)->number, 1);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    CHECK_EQ(pool_stats(pool).destroyed_discarded, 1);
    check_accounts(pool);
    end(pool, farm);
}

TEST(resource_that_fails_its_reset_is_not_kept)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease lease = acquire_now(pool);
    atomic_store(&farm->refuse_reset, 1);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    CHECK_EQ(atomic_load(&farm->destroyed), 1);
    CHECK_EQ(pool_stats(pool).destroyed_reset, 1);
    CHECK_EQ(pool_stats(pool).idle, 0);
    check_accounts(pool);
    end(pool, farm);
}

TEST(resource_that_fails_its_validation_is_replaced)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    ostler_lease leases[3];
    for (int i = 0; i < 3; i++)
        leases[i] = acquire_now(pool);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(ostler_pool_release(pool, leases[i]), OSTLER_OK);
    atomic_store(&farm->refuse_validate, 1);
    ostler_lease lease = acquire_now(pool);
    CHECK_EQ(horse_of(pool, lease)->number, 3);
    CHECK_EQ(pool_stats(pool).destroyed_invalid, 3);
    CHECK_EQ(pool_stats(pool).idle, 0);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    check_accounts(pool);
    end(pool, farm);
}

TEST(validation_is_left_out_for_what_was_used_just_now)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    config.validate_after_ns = (uint64_t)3600 * 1000000000;
    ostler_pool *pool = pool_of(farm, config);
    for (int i = 0; i < 10; i++)
        CHECK_STATUS(ostler_pool_release(pool, acquire_now(pool)), OSTLER_OK);
    CHECK_EQ(atomic_load(&farm->validated), 0);
    end(pool, farm);
}

TEST(failing_create_tells_its_words_and_takes_no_place)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    config.breaker_failures = 100;
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease lease = {99};
    void *resource = farm;
    atomic_store(&farm->refuse_create, 1);
    for (int i = 0; i < 5; i++) {
        CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &lease, &resource), OSTLER_E_CREATE_FAILED);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "the stable is empty");
        CHECK(lease.value == 0 && resource == NULL);
        CHECK_STATUS(ostler_pool_try_acquire(pool, &lease, &resource), OSTLER_E_CREATE_FAILED);
    }
    CHECK_EQ(pool_stats(pool).create_failures, 10);
    CHECK_EQ(pool_stats(pool).created, 0);
    atomic_store(&farm->refuse_create, 0);
    CHECK_STATUS(ostler_pool_release(pool, acquire_now(pool)), OSTLER_OK);
    check_accounts(pool);
    end(pool, farm);
}

TEST(min_size_is_made_without_anyone_asking)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(5);
    config.min_size = 3;
    ostler_pool *pool = pool_of(farm, config);
    AWAIT(pool_stats(pool).idle == 3);
    CHECK_EQ(pool_stats(pool).created, 3);
    /* What is thrown away below the minimum is made anew. */
    CHECK_STATUS(ostler_pool_discard(pool, acquire_now(pool)), OSTLER_OK);
    AWAIT(pool_stats(pool).idle == 3);
    CHECK_EQ(atomic_load(&farm->created), 4);
    end(pool, farm);
}

TEST(idle_resources_go_but_for_the_minimum)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(6);
    config.min_size = 2;
    config.idle_timeout_ns = MINUTE;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease leases[6];
    for (int i = 0; i < 6; i++)
        leases[i] = acquire_now(pool);
    for (int i = 0; i < 6; i++)
        CHECK_STATUS(ostler_pool_release(pool, leases[i]), OSTLER_OK);
    pass(MINUTE);
    CHECK_EQ(pool_stats(pool).destroyed, 0);
    pass(MINUTE / 2);
    CHECK_EQ(pool_stats(pool).destroyed_idle, 4);
    CHECK_EQ(pool_stats(pool).idle, 2);
    check_accounts(pool);
    end(pool, farm);
    thaw();
}

TEST(destroyed_pool_lasts_as_long_as_its_leases)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    ostler_lease kept = acquire_now(pool), thrown = acquire_now(pool), more;
    void *resource;
    CHECK_STATUS(ostler_pool_release(pool, acquire_now(pool)), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    CHECK_EQ(atomic_load(&farm->destroyed), 1);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &more, &resource), OSTLER_E_CLOSED);
    CHECK_EQ(horse_of(pool, kept)->number, 0);
    CHECK_STATUS(ostler_pool_release(pool, kept), OSTLER_OK);
    CHECK_EQ(atomic_load(&farm->destroyed), 2);
    CHECK_STATUS(ostler_pool_release(pool, kept), OSTLER_E_STALE_LEASE);
    CHECK_STATUS(ostler_pool_discard(pool, thrown), OSTLER_OK);
    CHECK_EQ(atomic_load(&farm->destroyed), 3);
    CHECK_STATUS(ostler_pool_release(pool, thrown), OSTLER_E_INVALID_HANDLE);
    CHECK_EQ(atomic_load(&farm->created), 3);
    free(farm);
}

TEST(close_waits_for_leases_and_refuses_new_work)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    ostler_lease lease = acquire_now(pool), more;
    uint64_t still_out = 99;
    void *resource;
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 1);
    CHECK_STATUS(ostler_pool_acquire(pool, OSTLER_FOREVER, NULL, &more, &resource), OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_pool_try_acquire(pool, &more, &resource), OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    CHECK_STATUS(ostler_pool_close(pool, OSTLER_FOREVER, NULL, &still_out), OSTLER_OK);
    CHECK_EQ(still_out, 0);
    CHECK_EQ(pool_stats(pool).in_use, 0);
    CHECK_EQ(pool_stats(pool).destroyed, 1);
    end(pool, farm);
}

struct late_rider {
    ostler_pool *pool;
    ostler_status status;
};

static void *ride_if_open(void *argument)
{
    struct late_rider *rider = argument;
    ostler_lease lease;
    void *resource;
    rider->status = ostler_pool_acquire(rider->pool, OSTLER_FOREVER, NULL, &lease, &resource);
    return NULL;
}

TEST(close_counts_leases_and_tells_of_what_else_it_waits_for)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    ostler_lease lease = acquire_now(pool);
    struct late_rider rider = {.pool = pool};
    pthread_t thread;
    uint64_t still_out = 99;
    atomic_store(&farm->gated, 1);
    pthread_create(&thread, NULL, ride_if_open, &rider);
    tally_await(&farm->create_calls, 2);
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 1);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "1 lease is still out, 1 create is under way: the time was up");
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 0);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "no lease is out any more, 1 create is under way");
    tally_add(&farm->gate, 1000);
    CHECK_STATUS(ostler_pool_close(pool, OSTLER_FOREVER, NULL, &still_out), OSTLER_OK);
    CHECK_EQ(still_out, 0);
    pthread_join(thread, NULL);
    CHECK_STATUS(rider.status, OSTLER_E_CLOSED);
    end(pool, farm);
}

/* A groom that takes his time over a horse that came back. */
struct groom {
    ostler_pool *pool;
    ostler_lease lease;
    struct tally began, may_end;
};

static ostler_status groom_slowly(void *user_data, void *resource)
{
    struct groom *groom = user_data;
    (void)resource;
    tally_add(&groom->began, 1);
    tally_await(&groom->may_end, 1);
    return OSTLER_OK;
}

static void *bring_back(void *argument)
{
    struct groom *groom = argument;
    EXPECT_STATUS(ostler_pool_release(groom->pool, groom->lease), OSTLER_OK);
    return NULL;
}

TEST(close_does_not_call_a_lease_what_was_released)
{
    struct groom groom = {.began = TALLY_INIT, .may_end = TALLY_INIT};
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    pthread_t thread;
    uint64_t still_out = 99;
    callbacks.reset = groom_slowly;
    groom.pool = make_pool(1, callbacks, &groom);
    groom.lease = acquire_now(groom.pool);
    pthread_create(&thread, NULL, bring_back, &groom);
    tally_await(&groom.began, 1);
    CHECK_STATUS(ostler_pool_close(groom.pool, 0, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 0);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "1 resource is on its way out");
    tally_add(&groom.may_end, 1);
    CHECK_STATUS(ostler_pool_close(groom.pool, OSTLER_FOREVER, NULL, NULL), OSTLER_OK);
    pthread_join(thread, NULL);
    CHECK_STATUS(ostler_pool_destroy(groom.pool), OSTLER_OK);
}

static void *close_for_ever(void *pool)
{
    uint64_t still_out = 99;
    EXPECT_STATUS(ostler_pool_close(pool, OSTLER_FOREVER, NULL, &still_out), OSTLER_E_CLOSED);
    EXPECT_EQ(still_out, 1);
    return NULL;
}

TEST(destroy_ends_a_close_that_waits)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    ostler_lease lease = acquire_now(pool), more;
    void *resource;
    pthread_t closer;
    pthread_create(&closer, NULL, close_for_ever, pool);
    do {
        ostler_status status = ostler_pool_try_acquire(pool, &more, &resource);
        if (status == OSTLER_E_CLOSED)
            break;
        CHECK_STATUS(status, OSTLER_OK);
        CHECK_STATUS(ostler_pool_release(pool, more), OSTLER_OK);
    } while (true);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    pthread_join(closer, NULL);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    CHECK_EQ(atomic_load(&farm->created), atomic_load(&farm->destroyed));
    free(farm);
}

/* Callbacks that use the pool which calls them. */
struct nested {
    ostler_pool *pool;
    int depth;
};

static ostler_status create_inside_create(void *user_data, void **resource)
{
    struct nested *nested = user_data;
    *resource = nested;
    if (nested->depth++ == 0) {
        ostler_lease lease = {0};
        void *inner;
        EXPECT_EQ(pool_stats(nested->pool).creating, 1);
        EXPECT_STATUS(ostler_pool_acquire(nested->pool, 0, NULL, &lease, &inner), OSTLER_OK);
        EXPECT_STATUS(ostler_pool_release(nested->pool, lease), OSTLER_OK);
    }
    return OSTLER_OK;
}

TEST(callback_may_use_its_own_pool)
{
    struct nested nested = {0};
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    callbacks.create = create_inside_create;
    nested.pool = make_pool(2, callbacks, &nested);
    CHECK_STATUS(ostler_pool_release(nested.pool, acquire_now(nested.pool)), OSTLER_OK);
    CHECK_EQ(nested.depth, 2);
    CHECK_STATUS(ostler_pool_destroy(nested.pool), OSTLER_OK);
}

struct rider {
    struct farm *farm;
    ostler_pool *pool;
    unsigned seed;
    pthread_t thread;
};

static void *ride(void *argument)
{
    struct rider *rider = argument;
    for (int i = 0; i < 1000; i++) {
        ostler_lease lease;
        void *resource = NULL;
        bool tries = rand_r(&rider->seed) % 4 == 0;
        ostler_status status = tries ? ostler_pool_try_acquire(rider->pool, &lease, &resource)
                                     : ostler_pool_acquire(rider->pool, OSTLER_FOREVER, NULL, &lease, &resource);
        if (tries && status == OSTLER_E_EXHAUSTED)
            continue;
        if (!EXPECT_STATUS(status, OSTLER_OK))
            return NULL;
        struct horse *horse = resource;
        EXPECT_EQ(atomic_fetch_add(&horse->riders, 1), 0);
        EXPECT_EQ(atomic_load(&horse->alive), 1);
        atomic_store(&rider->farm->refuse_validate, rand_r(&rider->seed) % 16 == 0);
        atomic_store(&rider->farm->refuse_reset, rand_r(&rider->seed) % 16 == 0);
        EXPECT_EQ(atomic_fetch_sub(&horse->riders, 1), 1);
        if (rand_r(&rider->seed) % 16 == 0)
            EXPECT_STATUS(ostler_pool_discard(rider->pool, lease), OSTLER_OK);
        else
            EXPECT_STATUS(ostler_pool_release(rider->pool, lease), OSTLER_OK);
    }
    return NULL;
}

TEST(one_owner_at_a_time_and_one_destroy_under_stress)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(3));
    struct rider riders[6];
    for (unsigned i = 0; i < 6; i++) {
        riders[i] = (struct rider){.farm = farm, .pool = pool, .seed = i + 1};
        pthread_create(&riders[i].thread, NULL, ride, &riders[i]);
    }
    for (unsigned i = 0; i < 6; i++)
        pthread_join(riders[i].thread, NULL);
    ostler_pool_stats stats = pool_stats(pool);
    CHECK_EQ(stats.in_use, 0);
    CHECK_EQ(stats.waiting, 0);
    CHECK_EQ(stats.creating, 0);
    CHECK(stats.peak_in_use <= 3);
    CHECK_EQ(stats.created, atomic_load(&farm->created));
    CHECK_EQ(stats.destroyed, atomic_load(&farm->destroyed));
    check_accounts(pool);
    end(pool, farm);
}

CHECK_MAIN()
