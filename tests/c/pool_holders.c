/* Pool: who has its resources, and how others learn of it. */
#define _GNU_SOURCE
#include "frozen.h"
#include "riders.h"
#include <unistd.h>

/* Callers that hold what others wait for, each on a thread of its own. */
struct holder {
    ostler_pool *pool;
    pthread_t thread;
    struct tally *has_it, *may_end;
    uint64_t then_waits_ns; /* for a second one */
    ostler_status status;
    char words[512];
};

static void *hold(void *argument)
{
    struct holder *holder = argument;
    ostler_lease lease, second;
    pthread_setname_np(pthread_self(), "stable-boy");
    EXPECT_STATUS(acquire_within(holder->pool, OSTLER_FOREVER, &lease), OSTLER_OK);
    tally_add(holder->has_it, 1);
    if (holder->then_waits_ns > 0) {
        holder->status = acquire_within(holder->pool, holder->then_waits_ns, &second);
        snprintf(holder->words, sizeof holder->words, "%s", ostler_last_error_message());
        if (holder->status == OSTLER_OK)
            EXPECT_STATUS(ostler_pool_release(holder->pool, second), OSTLER_OK);
    }
    tally_await(holder->may_end, 1);
    EXPECT_STATUS(ostler_pool_release(holder->pool, lease), OSTLER_OK);
    return NULL;
}

TEST(who_waits_in_vain_learns_who_has_it)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    struct tally has_it = TALLY_INIT, may_end = TALLY_INIT;
    struct holder boy = {.pool = pool, .has_it = &has_it, .may_end = &may_end};
    ostler_lease mine = acquire_now(pool), more;
    char me[64];
    snprintf(me, sizeof me, "thread %d", (int)gettid());
    pthread_create(&boy.thread, NULL, hold, &boy);
    tally_await(&has_it, 1);
    CHECK_STATUS(acquire_within(pool, 5 * MS, &more), OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "held by thread");
    CHECK_STR_CONTAINS(ostler_last_error_message(), "(stable-boy)");
    CHECK_STR_CONTAINS(ostler_last_error_message(), me);
    CHECK(strstr(ostler_last_error_message(), "deadlock") == NULL);
    CHECK_STATUS(ostler_pool_close(pool, 0, NULL, NULL), OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "(stable-boy)");
    release(pool, mine);
    tally_add(&may_end, 1);
    pthread_join(boy.thread, NULL);
    end(pool, farm);
}

TEST(deadlock_is_called_by_its_name)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(2));
    struct tally has_it = TALLY_INIT, may_end = TALLY_INIT;
    struct holder boy = {.pool = pool, .has_it = &has_it, .may_end = &may_end, .then_waits_ns = OSTLER_FOREVER};
    ostler_lease mine = acquire_now(pool), more;
    pthread_create(&boy.thread, NULL, hold, &boy);
    AWAIT(pool_stats(pool).waiting == 1);
    CHECK_STATUS(acquire_within(pool, 2 * MS, &more), OSTLER_E_TIMEOUT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "a deadlock: each of them waits for this pool");
    release(pool, mine);
    tally_add(&may_end, 1);
    pthread_join(boy.thread, NULL);
    CHECK_STATUS(boy.status, OSTLER_OK);
    end(pool, farm);
}

TEST(leases_that_are_out_can_be_listed)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(4));
    ostler_lease leases[3];
    ostler_lease_info infos[4];
    uint64_t count = 99;
    CHECK_STATUS(ostler_pool_list_leases(pool, NULL, 0, &count), OSTLER_OK);
    CHECK_EQ(count, 0);
    for (int i = 0; i < 3; i++)
        leases[i] = acquire_now(pool);
    CHECK_STATUS(ostler_pool_list_leases(pool, infos, 2, &count), OSTLER_OK);
    CHECK_EQ(count, 3);
    CHECK_STATUS(ostler_pool_list_leases(pool, infos, 4, &count), OSTLER_OK);
    CHECK_EQ(count, 3);
    /* Each once, in whatever order. */
    for (int i = 0; i < 3; i++) {
        int place = 0;
        while (place < 2 && infos[place].lease.value != leases[i].value)
            place++;
        CHECK_EQ(infos[place].lease.value, leases[i].value);
        CHECK(infos[place].resource == horse_of(pool, leases[i]));
        CHECK_EQ(infos[place].thread_id, (uint32_t)gettid());
    }
    for (int i = 0; i < 3; i++)
        release(pool, leases[i]);
    end(pool, farm);
}

/* The host takes back what is held too long. */
static ostler_pool *watched;
static struct tally taken_back = TALLY_INIT;
static uint32_t late_thread;

static void take_back(void *user_data, const ostler_lease_info *info)
{
    struct farm *farm = user_data;
    struct horse *horse = info->resource;
    EXPECT(horse == &farm->horses[horse->number]);
    EXPECT(info->held_ns >= HOUR);
    late_thread = info->thread_id;
    EXPECT_STATUS(ostler_pool_discard(watched, info->lease), OSTLER_OK);
    tally_add(&taken_back, 1);
}

TEST(lease_that_lasts_too_long_is_told_of_and_can_be_taken_back)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_lease lease;
    config.lease_limit_ns = HOUR;
    callbacks.create = create_horse;
    callbacks.destroy = destroy_horse;
    callbacks.overdue = take_back;
    freeze();
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, farm, &watched), OSTLER_OK);
    lease = acquire_now(watched);
    pass(HOUR / 2);
    CHECK_EQ(tally_read(&taken_back), 0);
    pass(HOUR / 2 + HOUR / 4);
    CHECK_EQ(tally_read(&taken_back), 1);
    CHECK_EQ(late_thread, (uint32_t)gettid());
    CHECK_STATUS(ostler_pool_release(watched, lease), OSTLER_E_STALE_LEASE);
    CHECK_EQ(pool_stats(watched).overdue, 1);
    CHECK_EQ(pool_stats(watched).destroyed_discarded, 1);
    lease = acquire_now(watched);
    CHECK_STATUS(ostler_pool_discard(watched, lease), OSTLER_OK);
    end(watched, farm);
    thaw();
}

CHECK_MAIN()
